"""What both schemes share: engines, regions and their clusters, and one evaluation of everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.potentials import Evaluation, Potential, as_potential
from atomistic.ranks import on_first_rank
from coupling.embedding.account import EmbeddingAccount, RegionAccount, remainder_of
from coupling.embedding.cluster import Cluster, check_places, cut_cluster
from coupling.embedding.region import Mask, Region
from coupling.embedding.side_by_side import SideBySide
from coupling.errors import EmbeddingError

Array = NDArray[np.float64]

#: Ranks that are farther apart than this (Å) no longer run the same script on the same places.
_SAME = 1e-6


@dataclass(frozen=True, kw_only=True)
class CoreChange:
    """What a new choice of a region's core has changed.

    Attributes:
        region: its name.
        entered: atoms that are core now and were not.
        left: atoms that were core and are not now.
        core: number of core atoms now.
        cluster: number of atoms of C now, without caps.
    """

    region: str
    entered: tuple[int, ...]
    left: tuple[int, ...]
    core: int
    cluster: int


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """One evaluation of everything: the whole by ML, and every C by both."""

    whole: Evaluation
    quantum: tuple[Evaluation, ...]
    ml: tuple[Evaluation, ...]


class Embedding(Calculator):
    """Quantum regions in an ML environment, as an ASE calculator: the part that does not depend on the scheme.

    Cores and buffers are chosen at the first evaluation and stay until `reselect`: a calculator is a function of places.

    Args:
        ml: the potential of everything: an ASE calculator, or what `load_potential` gives.
        qm: the quantum engine: the same, or what `load_oracle` gives.
        regions: one or several; no atom is core of two.
        ml_region: another instance of the ML potential for C, for engines that keep much per structure; by default `ml`.
        reference: atoms at whose places cores and buffers are chosen; by default those of the first evaluation. Images of one
            path (a band, a scan) that are given one reference have the same C, and energies that can be compared.
        comm: ranks among which the evaluations are shared (collective then); by default this rank alone.
    """

    def __init__(
        self,
        *,
        ml: Potential | Calculator,
        qm: Potential | Calculator,
        regions: Region | Sequence[Region],
        ml_region: Potential | Calculator | None = None,
        reference: Atoms | None = None,
        comm: MPI.Comm | None = None,
    ) -> None:
        super().__init__()
        self.reference = None if reference is None else reference.copy()
        self.ml = as_potential(ml)
        # The same engine on both sides is one engine: it is counted once, and its second answer is remembered.
        self.qm = self.ml if qm is ml else as_potential(qm)
        self.ml_region = self.ml if ml_region is None or ml_region is ml else as_potential(ml_region)
        self.regions = (regions,) if isinstance(regions, Region) else tuple(regions)
        if not self.regions or not all(isinstance(region, Region) for region in self.regions):
            raise EmbeddingError(f"Expected one Region or several; got {regions!r}.")
        names = [region.name for region in self.regions]
        if len(set(names)) != len(names):
            raise EmbeddingError(f"Two regions share a name: {names}. Give each its own.")
        for potential in (self.ml, self.qm, self.ml_region):
            if comm is not None and comm.size > 1 and potential.comm.size > 1:
                raise EmbeddingError(
                    f"{potential.capabilities.name} shares each evaluation among {potential.comm.size} ranks already, and "
                    "regions are shared among ranks as whole evaluations. Load it without a communicator."
                )
        self.comm = comm
        self.clusters: tuple[Cluster, ...] = ()
        self._bound_to = np.zeros(0, dtype=int)
        self._share = SideBySide(comm)
        self._stress = False

    def reselect(self, atoms: Atoms) -> tuple[CoreChange, ...]:
        """Choose cores and buffers anew at these places, and say what has changed.

        Raises:
            EmbeddingError: an empty core, an atom that is core of two regions, a cluster that cannot be cut.
            UnknownElementError: an engine does not know an element.
        """
        atoms = self.same_everywhere(atoms)
        before = [self._mask(k, len(atoms)) for k in range(len(self.regions))] if self.fits(atoms) else None
        # The choice is the first rank's: a score may differ between ranks. What follows from it is the same on all.
        cores = on_first_rank(lambda: self._choose(atoms, before), potential=self.ml, comm=self.comm)
        clusters = tuple(cut_cluster(atoms, region, core) for region, core in zip(self.regions, cores, strict=True))
        self._check_engines(atoms, clusters)
        self.adopt(atoms, clusters)
        old = before or [np.zeros(len(atoms), dtype=bool)] * len(cores)
        return tuple(
            CoreChange(
                region=cluster.region.name,
                entered=tuple(np.flatnonzero(core & ~was).tolist()),
                left=tuple(np.flatnonzero(was & ~core).tolist()),
                core=int(core.sum()),
                cluster=len(cluster),
            )
            for cluster, core, was in zip(clusters, cores, old, strict=True)
        )

    def _choose(self, atoms: Atoms, before: Sequence[Mask] | None) -> list[Mask]:
        """Return the cores that the selections want, given the present ones."""
        cores = [region.choose(atoms, None if before is None else before[k]) for k, region in enumerate(self.regions)]
        self._check_cores(atoms, cores)
        return cores

    def adopt(self, atoms: Atoms, clusters: Sequence[Cluster]) -> None:
        """Take clusters as they are, wherever these atoms were when they were cut."""
        self.clusters = tuple(clusters)
        self._bound_to = atoms.numbers.copy()
        self.results = {}

    def evaluate_parts(self, atoms: Atoms, *, stress: bool = False) -> Evaluated:
        """Evaluate the whole by ML and every C by both engines (collective where there is a communicator).

        Raises:
            EvaluationError: an engine has no usable answer.
        """
        atoms = self.same_everywhere(atoms)
        if not self.fits(atoms):
            self.reselect(self._reference_of(atoms))
        structures = [cluster.structure(atoms) for cluster in self.clusters]
        in_cell = [stress and cluster.periodic for cluster in self.clusters]
        tasks: list[Callable[[], Evaluation]] = [lambda: self.ml.evaluate(atoms, stress=stress)]
        sizes = [float(len(atoms))]
        for structure, wanted in zip(structures, in_cell, strict=True):
            tasks.append(lambda s=structure, w=wanted: self.qm.evaluate(s, stress=w))  # type: ignore[misc]
            tasks.append(lambda s=structure, w=wanted: self.ml_region.evaluate(s, stress=w))  # type: ignore[misc]
            # Quantum engines cost more than any potential; the measured times decide from the second evaluation on.
            sizes += [1e6 * len(structure), float(len(structure))]
        whole, *others = self._share.run(tasks, sizes=sizes)
        return Evaluated(whole=whole, quantum=tuple(others[0::2]), ml=tuple(others[1::2]))

    def account(self, atoms: Atoms) -> EmbeddingAccount:
        """Return every term of the energy, and what of the cut environments does not cancel (collective)."""
        parts = self.evaluate_parts(atoms)
        return EmbeddingAccount(
            whole=parts.whole.energy,
            regions=tuple(
                RegionAccount(
                    name=cluster.region.name,
                    atoms=len(cluster),
                    caps=len(cluster.caps.inner),
                    quantum=quantum.energy,
                    ml=ml.energy,
                    remainder=remainder_of(self.ml, self.ml_region, atoms, cluster),
                )
                for cluster, quantum, ml in zip(self.clusters, parts.quantum, parts.ml, strict=True)
            ),
        )

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = ("positions",)
    ) -> None:
        """Evaluate for ASE."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        self._stress = self._stress or "stress" in properties
        self.results = self._results(self.atoms, stress=self._stress)

    def _results(self, atoms: Atoms, *, stress: bool) -> dict[str, Any]:
        stress = stress and "stress" in self.implemented_properties and bool(atoms.pbc.all())
        return self.combine(atoms, self.evaluate_parts(atoms, stress=stress), stress=stress)

    def combine(self, atoms: Atoms, parts: Evaluated, *, stress: bool = False) -> dict[str, Any]:
        """Return what ASE asks for, made of the parts for `clusters`; each scheme its own."""
        raise NotImplementedError

    def _correction(self, parts: Evaluated, k: int, count: int) -> Array:
        """Return F_QM(C) − F_ML(C) of a region, carried to all atoms, (count, 3), eV/Å."""
        return self.clusters[k].forces_on_all(parts.quantum[k].forces - parts.ml[k].forces, count)

    def fits(self, atoms: Atoms) -> bool:
        """Whether clusters have been cut for these atoms."""
        return bool(self.clusters) and np.array_equal(self._bound_to, atoms.numbers)

    def _mask(self, k: int, count: int) -> Mask:
        """Return which atoms are core of region k now."""
        mask = np.zeros(count, dtype=bool)
        mask[self.clusters[k].indices[self.clusters[k].core]] = True
        return mask

    def _check_cores(self, atoms: Atoms, cores: Sequence[Mask]) -> None:
        shared = np.flatnonzero(np.sum(cores, axis=0) > 1)
        if len(shared):
            atom = int(shared[0])
            names = [region.name for region, core in zip(self.regions, cores, strict=True) if core[atom]]
            raise EmbeddingError(
                f"Atom {atom} ({atoms.symbols[atom]}) is core of the regions {' and '.join(map(repr, names))}: it would be "
                "counted twice. Make one region of them, or choose cores without common atoms."
            )

    def _check_engines(self, atoms: Atoms, clusters: Sequence[Cluster]) -> None:
        """Refuse elements that an engine does not know, and numbers of electrons that do not fit the spin."""
        self.ml.check_elements(atoms.symbols)
        for cluster in clusters:
            self.qm.check_elements(cluster.symbols)
            self.ml_region.check_elements(cluster.symbols)
            if self.qm.capabilities.electronic and not cluster.periodic:
                check_electrons(cluster, atoms)

    def _reference_of(self, atoms: Atoms) -> Atoms:
        """Return the atoms at whose places C is chosen."""
        if self.reference is None:
            return atoms
        if not np.array_equal(self.reference.numbers, atoms.numbers):
            raise EmbeddingError(
                f"The reference is {self.reference.symbols} and the atoms are {atoms.symbols}: expected the same atoms in "
                "the same order, at other places."
            )
        return self.reference

    def same_everywhere(self, atoms: Atoms) -> Atoms:
        """Return the atoms of the first rank, so that no rank drifts away from the others (collective).

        Raises:
            EmbeddingError: a place that is not finite, or ranks that have other places.
        """
        if self.comm is None or self.comm.size == 1:
            check_places(atoms)
            return atoms
        places, cell = self.comm.bcast((atoms.positions, np.asarray(atoms.cell)), root=0)
        same = places.shape == atoms.positions.shape and bool(np.all(np.abs(places - atoms.positions) <= _SAME))
        others = [rank for rank, equal in enumerate(self.comm.allgather(same)) if not equal and rank]
        if others:
            raise EmbeddingError(
                f"Rank {others[0]} evaluates atoms at other places than rank 0: all ranks must run the same script on the same "
                "atoms. Seed random numbers alike."
            )
        found = atoms.copy()
        found.set_cell(cell)
        found.positions = places
        check_places(found)
        return found


def check_electrons(cluster: Cluster, atoms: Atoms) -> None:
    """Refuse a spin that the number of electrons cannot have.

    Raises:
        EmbeddingError: an odd number of electrons with an even number of unpaired ones, or the reverse.
    """
    region, structure = cluster.region, cluster.structure(atoms)
    electrons = int(structure.numbers.sum()) - int(region.charge)
    if (electrons - region.spin) % 2 == 0:
        return
    raise EmbeddingError(
        f"The region {region.name!r} ({structure.symbols}, {len(cluster.caps.inner)} of its atoms caps) with charge "
        f"{region.charge:+d} has {electrons} electrons, which cannot leave {region.spin} unpaired. Give spin = "
        f"{1 if region.spin == 0 else region.spin - 1}, another charge, or another core."
    )
