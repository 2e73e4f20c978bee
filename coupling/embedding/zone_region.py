"""The quantum region of a zone of atoms: E_QM(C) − E_ML(C), or mixed forces, of C cut once out of the zone and then followed.

A plane body repeats along its front with a period of a few Å. A quantum region that repeats with it must be periodic there, or
its core would be counted once for each image in C; with `repeat` m, C spans m periods and counts for one of them,
[E_QM(C) − E_ML(C)]/m, all images displaced alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.potentials import Potential
from atomistic.ranks import on_first_rank
from coupling.embedding.account import Remainder, remainder_of
from coupling.embedding.base import check_electrons
from coupling.embedding.cluster import Cluster, cut_cluster
from coupling.embedding.region import Region
from coupling.errors import EmbeddingError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]

#: Names of what an atom is to the region, in the files.
ROLES = ("environment", "buffer", "core", "cap")


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionAnswer:
    """One evaluation of a region, per period of the body.

    Attributes:
        quantum: E_QM(C), eV.
        ml: E_ML(C), eV.
        gradient: (n, 3) by the places of the zone's atoms: of the difference, or of force mixing's share, eV/Å.
    """

    quantum: float
    ml: float
    gradient: Array

    @property
    def difference(self) -> float:
        """E_QM(C) − E_ML(C), eV."""
        return self.quantum - self.ml


class ZoneRegion:
    """C of one zone and the two engines that look at it.

    Attributes:
        whole: the zone's atoms, as many periods of them as C spans.
        cluster: C.

    Args:
        zone: all atoms of the zone at the places where C is chosen, periodic along z in a plane body.
        region: core, buffer, sub-cell.
        qm: the quantum engine.
        ml: the zone's own potential.
        mixing: mix forces instead of subtracting energies.
        repeat: periods of a plane body along z that C spans.
        comm: ranks that call together; engines that run on one rank are evaluated on the first.
        core: (n,) atoms of the core; by default as the region's selection says.

    Raises:
        EmbeddingError: C holds an atom of the zone twice, cuts a row of the front, or is no period of the body.
    """

    def __init__(
        self,
        zone: Atoms,
        region: Region,
        *,
        qm: Potential,
        ml: Potential,
        mixing: bool = False,
        repeat: int = 1,
        comm: MPI.Comm | None = None,
        core: Mask | None = None,
    ) -> None:
        if repeat < 1 or (repeat > 1 and not zone.pbc[2]):
            raise EmbeddingError(f"repeat = {repeat!r}: expected 1, or more periods of a body that repeats along z")
        self.count, self.repeat, self.mixing, self.comm = len(zone), repeat, mixing, comm
        self.qm, self.ml = qm, ml
        self.whole = zone.copy().repeat((1, 1, repeat)) if repeat > 1 else zone.copy()
        _check_period(zone, region, repeat)
        chosen = region.choose(zone) if core is None else core
        # One image of the core hangs together; where C spans several periods each has its own.
        self.region = replace(region, core=np.flatnonzero(np.tile(chosen, repeat)))
        self.cluster: Cluster = cut_cluster(self.whole, self.region)
        for engine in (qm, ml):
            engine.check_elements(set(self.cluster.symbols))
        if qm.capabilities.electronic and not self.cluster.periodic:
            check_electrons(self.cluster, self.whole)

    def __len__(self) -> int:
        """Number of atoms that the engines see, caps included."""
        return len(self.cluster.symbols)

    @cached_property
    def rows(self) -> Indices:
        """Atoms of the zone that are in C, ascending."""
        found: Indices = np.unique(self.cluster.indices % self.count)
        return found

    @cached_property
    def core_rows(self) -> Indices:
        """Atoms of the zone that are in the core."""
        found: Indices = np.unique(self.cluster.indices[self.cluster.core] % self.count)
        return found

    @cached_property
    def touched(self) -> Indices:
        """Atoms of the zone on which the region acts: those of C, and the far ends of capped bonds."""
        found: Indices = np.unique(np.concatenate([self.cluster.indices, self.cluster.caps.outer]) % self.count)
        return found

    def restricted(self, rows: Indices) -> ZoneRegion | None:
        """The same region in a body of which only some atoms are left; None where none of them is in C.

        Args:
            rows: (k,) of the zone's atoms, the new zone's, ascending.

        Raises:
            EmbeddingError: caps sit on bonds that are gone.
        """
        cluster, own = self.cluster, self.cluster.indices % self.count
        kept = np.isin(own, rows)
        if not kept.any():
            return None
        if len(cluster.caps.inner):
            raise EmbeddingError(
                "a capped region cannot be parted: leave links out, or take no profile along the interface"
            )
        core = cluster.core[kept]
        if not core.any():
            core = np.arange(len(core)) == 0
        found = copy(self)
        found.count = len(rows)
        images = [rows + k * self.count for k in range(self.repeat)]
        found.whole = self.whole[np.concatenate(images)]
        found.cluster = replace(
            cluster,
            indices=np.searchsorted(rows, own[kept]) + len(rows) * (cluster.indices[kept] // self.count),
            core=core,
            weights=cluster.weights[kept],
            # Places are told relative to the first core atom.
            relative=cluster.relative[kept] - cluster.relative[kept][np.flatnonzero(core)[0]],
            symbols=tuple(np.array(cluster.symbols)[kept]),
        )
        for name in ("rows", "core_rows", "touched"):
            found.__dict__.pop(name, None)
        return found

    def counted(self) -> dict[str, Any]:
        """Return evaluations of the quantum engine, and its record of what was computed and what found, where it has one."""
        record = getattr(self.qm.calculator, "record", None)
        return {"engine": asdict(self.qm.counter), "record": None if record is None else record.as_dict()}

    def count_on(self, counted: Mapping[str, Any]) -> None:
        """Count on from what `counted` gave."""
        for name, value in counted["engine"].items():
            setattr(self.qm.counter, name, value)
        if counted["record"] is not None:
            vars(self.qm.calculator.record).update(counted["record"])

    def roles(self) -> NDArray[np.str_]:
        """(n,) what each atom of the zone is: environment, buffer or core."""
        found = np.full(self.count, ROLES[0], dtype="<U11")
        found[self.rows] = ROLES[1]
        found[self.core_rows] = ROLES[2]
        return found

    def structure(self, positions: Array) -> Atoms:
        """C with its caps at places (n, 3) of the zone, with an array `region` that says what each atom is."""
        found = self.cluster.structure(self._placed(positions))
        names = np.full(len(found), ROLES[3], dtype="<U11")
        names[: len(self.cluster)] = np.where(self.cluster.core, ROLES[2], ROLES[1])
        found.set_array("region", names)
        return found

    def evaluate(self, positions: Array) -> RegionAnswer:
        """Ask both engines at places (n, 3) of the zone's atoms, Å (collective).

        Raises:
            EvaluationError: an engine gave no finite numbers.
            OracleError: a quantum calculation did not converge.
        """
        whole = self._placed(positions)
        atoms = self.cluster.structure(whole)
        quantum = self._ask(self.qm, atoms)
        ml = self._ask(self.ml, atoms)
        on_all = self.cluster.forces_on_all(quantum[1] - ml[1], len(whole))
        if self.mixing:
            on_all = self.cluster.mixed(on_all)
        # Images move alike: what acts on them acts on the one atom, for as many periods.
        gradient = -on_all.reshape(self.repeat, self.count, 3).sum(axis=0) / self.repeat
        return RegionAnswer(quantum=quantum[0] / self.repeat, ml=ml[0] / self.repeat, gradient=gradient)

    def remainder(self, positions: Array) -> Remainder | None:
        """What of the potential's own energy of C does not cancel, per period; None without energies of sites (collective)."""
        whole = self._placed(positions)
        found = on_first_rank(
            lambda: remainder_of(self.ml, self.ml, whole.copy(), self.cluster), potential=self.ml, comm=self.comm
        )
        if found is None:
            return None
        share = 1.0 / self.repeat
        return replace(found, core=share * found.core, buffer=share * found.buffer, caps=share * found.caps)

    def _placed(self, positions: Array) -> Atoms:
        """The zone, all its periods in C, at places (n, 3)."""
        shift = np.arange(self.repeat)[:, None, None] * np.array([0.0, 0.0, self.whole.cell[2, 2] / self.repeat])
        self.whole.positions = (positions[None] + shift).reshape(-1, 3)
        return self.whole

    def _ask(self, engine: Potential, atoms: Atoms) -> tuple[float, Array]:
        """Energy and forces, the same to the last bit on every rank."""

        def ask() -> tuple[float, Array]:
            found = engine.evaluate(atoms.copy(), stress=False)
            return found.energy, found.forces

        return on_first_rank(ask, potential=engine, comm=self.comm)


def _check_period(zone: Atoms, region: Region, repeat: int) -> None:
    """Refuse a region that repeats along the front otherwise than the body."""
    if not zone.pbc[2]:
        return
    period, cell = float(zone.cell[2, 2]) * repeat, region.cell
    if cell is not None and cell.periodic[2]:
        length = float(np.linalg.norm(cell.vectors[2]))
        if abs(length - period) > 1e-3 * period:
            raise EmbeddingError(
                f"the quantum cell repeats every {length:.4g} Å along the front, and {repeat} periods of the body every "
                f"{period:.4g} Å: give the cell the body's own period, or as many as it counts for"
            )
        return
    width = 2.0 * (region.buffer + region.blend)
    if width > period:
        raise EmbeddingError(
            f"the body repeats along its front every {period:.4g} Å, less than the {width:.4g} Å that a cluster with its buffer "
            "takes: its core would be quantum in one image and not in the next. Take a periodic quantum cell (cell: {along: 2, "
            "planes: 6}), a smaller buffer, a front of more periods, or a body of dimension 3"
        )
