"""Plane-wave density functional theory by GPAW, in a process of its own."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import kptdensity2monkhorstpack
from numpy.typing import NDArray

from atomistic.errors import EvaluationError, MissingEngineError, OracleInputError
from atomistic.oracle.base import Engine, Outcome, Rung, ScfFailure, Task
from atomistic.oracle.settings import identity_of, one_of, plain, positive, read_settings, way, whole
from atomistic.oracle.worker import Worker
from atomistic.potentials.base import Capabilities

MODULE = "gpaw"
INSTALL = 'sudo apt install libxc-dev libopenblas-dev && pip install "multiscale-mlip[gpaw]"'
WHY = "GPAW (PyPI has its source only, which needs the libraries libxc and OpenBLAS to build)"
REFERENCE = "J. J. Mortensen et al., J. Chem. Phys. 160, 092503 (2024) (GPL-3.0-or-later)"
SMEARINGS = ("fermi-dirac", "methfessel-paxton", "marzari-vanderbilt")
SCRIPT = Path(__file__).with_name("gpaw_process.py")
#: Smearing of the last rung (eV).
HOT = 0.3
#: Settings for simple and transition metals, in the bulk, strained, cut, and with vacuum (docs/engines.md: what they were
#: measured to give). Densities make cells of unlike sizes comparable; a fixed grid cancels better between like cells.
METAL: Mapping[str, Any] = MappingProxyType(
    {"xc": "PBE", "ecut": 350.0, "kpts": 5.0, "gap": 6.0, "width": 0.1, "smearing": "fermi-dirac"}
)


@dataclass(frozen=True, kw_only=True)
class GPAWSettings:
    """Settings of GPAW; lengths in Å, energies in eV.

    Attributes:
        xc: functional; PBE is what the MPtrj-trained potentials were fitted to.
        ecut: cutoff of the plane waves.
        kpts: points along the three cell vectors ([8, 8, 1]), or a density in points per Å⁻¹ of reciprocal space.
        gamma: whether the grid holds Γ; hexagonal cells need it.
        gap: where the atoms leave a gap wider than this (Å) along a cell vector, one point along it will do (a density does
            not see vacuum); None where the density holds for every vector.
        width: of the smearing; None for 0.1 where the structure is periodic and 0 for molecules.
        smearing: "fermi-dirac", "methfessel-paxton" or "marzari-vanderbilt".
        magmoms: initial magnetic moments by element ({Ni: 0.7}), Bohr magnetons, instead of the atoms' own (which ASE's `bulk`
            sets for magnetic metals); free to change where the structure is periodic and atoms.info["spin"] is 0.
        vacuum: added on both sides along directions for which the structure has no cell vector.
        convergence: GPAW's own criteria.
        extra: more of GPAW's own parameters (setups, nbands, poissonsolver, symmetry ...).
        max_iterations: of one attempt.
        cores: processes that share one calculation (over k-points); more than 1 needs mpirun.
    """

    xc: str = "PBE"
    ecut: float = 400.0
    kpts: Sequence[int] | float = 3.5
    gamma: bool = True
    gap: float | None = None
    width: float | None = None
    smearing: str = "fermi-dirac"
    magmoms: Mapping[str, float] = field(default_factory=dict)
    vacuum: float = 6.0
    convergence: Mapping[str, Any] = field(default_factory=lambda: {"density": 1e-5})
    extra: Mapping[str, Any] = field(default_factory=dict)
    max_iterations: int = way(200)
    cores: int = way(1)

    def __post_init__(self) -> None:
        positive("ecut", self.ecut)
        if isinstance(self.kpts, Sequence) and not isinstance(self.kpts, str):
            if len(self.kpts) != 3:
                raise OracleInputError(f"kpts must be three whole numbers or a density; got {self.kpts!r}.")
            for count in self.kpts:
                whole("kpts", count)
        else:
            positive("kpts (a density in points per Å⁻¹)", self.kpts)
        if self.gap is not None:
            positive("gap", self.gap)
        if self.width is not None:
            positive("width", self.width, zero=True)
        one_of("smearing", self.smearing, SMEARINGS)
        for name in ("magmoms", "convergence", "extra"):
            if not isinstance(getattr(self, name), Mapping):
                raise OracleInputError(f"{name} must be a mapping; got {getattr(self, name)!r}.")
            plain(getattr(self, name))
        positive("vacuum", self.vacuum)
        whole("max_iterations", self.max_iterations)
        whole("cores", self.cores)


def installed() -> bool:
    """Whether GPAW is there, without importing it."""
    return importlib.util.find_spec(MODULE) is not None


class GPAWEngine(Engine):
    """GPAW in plane-wave mode.

    It runs in a process of its own: its BLAS is the system's, and once DOLFINx has loaded another library of the same name
    GPAW cannot be loaded beside it; nor do its MPI world and ASE's get mixed up with this program's. Every structure is
    started from scratch: the same structure gives the same bits, whatever was computed before.
    """

    name = "gpaw"
    advice = (
        "Try more k-points, a larger width (metals 0.1 to 0.2 eV), initial magmoms for magnetic metals, tighter vacuum checks; "
        "`retry: hot` lets the ladder raise the electronic temperature itself."
    )

    def __init__(self, settings: dict[str, Any] | None = None) -> None:
        self.settings = read_settings(GPAWSettings, settings, engine=self.name)
        self.capabilities = Capabilities(
            name=self.name, elements=_elements(self.settings.xc), electronic=True, reference=REFERENCE
        )
        self._worker = Worker(SCRIPT, cores=self.settings.cores, title="GPAW")

    def identity(self, task: Task) -> dict[str, Any]:
        """Return the settings, and the initial magnetic moments, which can decide between states."""
        identity = identity_of(self.settings)
        moments = task.atoms.get_initial_magnetic_moments()
        if moments.any() and not self.settings.magmoms:
            identity["initial_magmoms"] = moments.tolist()
        return identity

    def rungs(self, task: Task) -> tuple[Rung, ...]:
        """Return: as asked; slow mixing; more bands and steps of the eigensolver; a larger smearing."""
        many = max(500, 2 * self.settings.max_iterations)
        slow = {"maxiter": many, "mixer": {"beta": 0.02, "nmaxold": 5, "weight": 100.0}}
        bands = {"nbands": "140%", "eigensolver": {"name": "dav", "niter": 4}}
        width = self._width(task)
        hot = max(HOT, 2 * width)
        return (
            Rung(label="as asked"),
            Rung(label="mixing of 0.02 of the new density", changes=slow),
            Rung(label="slow mixing, more bands, four steps of the eigensolver", changes=slow | bands),
            Rung(
                label=f"smearing of {hot:g} eV",
                changes=slow | bands | {"width": hot},
                changed=f"smearing of {hot:g} eV instead of {width:g} eV (energy extrapolated to zero)",
            ),
        )

    def compute(self, task: Task, rung: Rung, *, log: Path | None = None) -> Outcome:
        """Compute with GPAW."""
        if not installed():
            raise MissingEngineError(WHY, INSTALL)
        began = time.perf_counter()
        atoms = self.boxed(task)
        status, answer = self._worker.ask(
            {
                "numbers": atoms.numbers, "positions": atoms.positions, "cell": atoms.cell.array, "pbc": atoms.pbc,
                "magmoms": self._moments(task), "parameters": self.parameters(task, rung),
                "stress": task.stress, "log": None if log is None else str(log),
            }
        )  # fmt: skip
        if status == "scf":
            raise ScfFailure(answer)
        if status == "input":
            raise OracleInputError(f"GPAW refused {task.title}: {answer}.")
        if status != "done":
            raise EvaluationError(f"GPAW failed: {answer}")
        return Outcome(**answer, seconds=time.perf_counter() - began)

    def boxed(self, task: Task) -> Atoms:
        """The structure with vacuum along the directions for which it has no cell vector."""
        atoms = task.atoms.copy()
        bare = tuple(axis for axis in range(3) if not atoms.cell[axis].any())
        if bare:
            atoms.center(vacuum=self.settings.vacuum, axis=bare)
        return atoms

    def parameters(self, task: Task, rung: Rung) -> dict[str, Any]:
        """GPAW's own parameters for a structure and a rung."""
        changes = dict(rung.changes)
        occupations: dict[str, Any] = {
            "name": self.settings.smearing, "width": changes.pop("width", None) or self._width(task),
        }  # fmt: skip
        polarised = self._moments(task) is not None
        if polarised and (task.spin or not task.periodic):
            occupations["fixmagmom"] = True
        return {
            "mode": {"name": "pw", "ecut": self.settings.ecut},
            "xc": self.settings.xc,
            "kpts": {"size": self.grid(task), "gamma": self.settings.gamma},
            "occupations": occupations,
            "charge": task.charge,
            "convergence": dict(self.settings.convergence),
            "maxiter": self.settings.max_iterations,
            **dict(self.settings.extra),
            **changes,
        }

    def grid(self, task: Task) -> list[int]:
        """The numbers of k-points along the cell vectors."""
        kpts = self.settings.kpts
        if isinstance(kpts, Sequence):
            return [int(k) if periodic else 1 for k, periodic in zip(kpts, task.atoms.pbc, strict=True)]
        atoms = self.boxed(task)
        found = kptdensity2monkhorstpack(atoms, kpts, even=False)
        gap = np.inf if self.settings.gap is None else self.settings.gap
        return [1 if open_width > gap else int(k) for k, open_width in zip(found, _gaps(atoms), strict=True)]

    def _width(self, task: Task) -> float:
        if self.settings.width is not None:
            return float(self.settings.width)
        return 0.1 if task.periodic else 0.0

    def _moments(self, task: Task) -> Any:
        """Initial magnetic moments (n,), or None for paired spins."""
        atoms = task.atoms
        moments = atoms.get_initial_magnetic_moments()
        if self.settings.magmoms:
            moments = np.array([float(self.settings.magmoms.get(symbol, 0.0)) for symbol in atoms.symbols])
        if not task.spin:
            return moments if moments.any() else None
        if not moments.sum():
            # Anywhere will do for a start: all but hydrogen, where there is anything else.
            heavy = atoms.numbers > 1
            moments = np.where(heavy, 1.0, 0.0) if heavy.any() else np.ones(len(atoms))
        return moments * (task.spin / moments.sum())


def _gaps(atoms: Atoms) -> NDArray[np.float64]:
    """The widest gap between planes of atoms along each cell vector (3,), Å, measured across the planes."""
    fractional = np.sort(atoms.get_scaled_positions(wrap=True), axis=0)
    gaps = np.diff(np.concatenate([fractional, fractional[:1] + 1.0]), axis=0).max(axis=0)
    found: NDArray[np.float64] = gaps / np.linalg.norm(atoms.cell.reciprocal(), axis=1)
    return found


def _elements(xc: str) -> frozenset[str] | None:
    """Elements with a PAW data set for a functional, None where that cannot be told."""
    found = importlib.util.find_spec("gpaw_data") if xc in ("PBE", "LDA") else None
    if found is None or not found.submodule_search_locations:
        return None
    names = Path(next(iter(found.submodule_search_locations)), "setups").glob(f"*.{xc}.gz")
    return frozenset(name.name.split(".")[0] for name in names) or None
