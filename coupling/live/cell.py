"""One atomistic cell of an interface: an opening in, energy and traction out.

The cell is a periodic stack of lattice planes. Its third cell vector grows by the opening Δ: along the normal, which
opens the cut gap, and in the plane, which slides what lies above it. With h the third cell vector, V the volume, A the
area and L_z the period along the normal, at fixed positions

    T_i = dφ/dΔ_i = (V σ_iz + Σ_k f_ki z_k)/(L_z A),      φ = E/A.

Derivation: a homogeneous deformation F of cell and atoms gives dE/dF_ij = V σ_ij = Σ_a (dE/dh_ai) h_aj − Σ_k f_ki r_kj,
a runs over cell vectors; the first two lie in the plane, so that column z of the inverse cell is (0, 0, 1/L_z).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from atomistic.builders import Stack, build_stack
from atomistic.crystal import Crystal
from atomistic.orientation import Orientation, orient
from atomistic.potentials.base import Evaluation, Potential
from atomistic.pulling import checked_force, energy_noise, full_opening, normal_moduli
from atomistic.relaxation import minimise, springs
from coupling.errors import CouplingError

Array = NDArray[np.float64]
Relaxation = Literal["rigid", "relaxed"]
#: Openings (Å) beyond which nothing crosses the gap any more lie this far beyond the one that separates it.
_MARGIN = 1e-9


@dataclass(frozen=True, kw_only=True)
class CellAnswer:
    """What a cell says at one opening of m components, the normal first.

    Attributes:
        energy: E/A, eV/Å², from any zero.
        traction: (m,), eV/Å³, its derivative by the opening.
        spread: (m,), eV/Å³, standard deviation of a committee's tractions; zeros for one potential.
        calls: evaluations of potentials that it cost.
    """

    energy: float
    traction: Array
    spread: Array
    calls: int = 1


class Cell(Protocol):
    """What a live law asks. `InterfaceCell` and `Committee` are cells; so is any object like them."""

    @property
    def components(self) -> int:
        """m: 1 for opening alone, 2 with a shear along x, 3 with one along z as well."""

    @property
    def full_opening(self) -> float:
        """Normal opening at which nothing crosses the gap, Å."""

    @property
    def length(self) -> float:
        """Length of crystal whose elasticity the answers contain and the elements hold already, Å."""

    @property
    def stiffness(self) -> Array:
        """Q (m, m), eV/Å³, of that crystal: traction per uniform strain of the normal and shears by the normal."""

    @property
    def noise(self) -> float:
        """What rounding leaves uncertain in an energy, eV/Å²."""

    @property
    def shared(self) -> bool:
        """Whether one evaluation takes all ranks, which then call the cell together."""

    @property
    def name(self) -> str:
        """Potential, crystal, plane and settings in one line: two cells of one name answer alike."""

    def __call__(self, opening: Array) -> CellAnswer:
        """The answer at an opening (m,), Å."""


@dataclass(frozen=True, kw_only=True)
class InterfaceCell:
    """A cleavage plane of a crystal as a periodic stack of planes.

    Attributes:
        potential: gives energies, forces and stresses; every evaluation counts in its counter.
        crystal: relaxed with the same potential.
        plane: Miller indices.
        growth: direction in the plane that is the laboratory's x, along which the first shear acts; see `orient`.
        n_planes: in one period.
        cut: which gap opens, "widest", "narrowest" or its number.
        components: 1 opening; 2 with shear along x; 3 with shear along z too.
        relaxation: "rigid" fixes all atoms where the perfect crystal has them; "relaxed" moves them to rest at each opening,
            which then is the elongation of the whole period.
        fmax: largest force left on a relaxed atom, eV/Å.

    Raises:
        CouplingError: a crystal of another potential, or a number of components that is none.
        UnknownElementError: the potential does not know an element.
        InvalidCurveError: no such cut, fewer than two planes, or a force that is not positive.
        InvalidPlaneError: no such plane or direction.
    """

    potential: Potential
    crystal: Crystal
    plane: Sequence[int]
    growth: Sequence[int] | None = None
    n_planes: int = 10
    cut: str | int = "widest"
    components: int = 1
    relaxation: Relaxation = "rigid"
    fmax: float = 1e-3
    stack: Stack = field(init=False, repr=False)
    orientation: Orientation = field(init=False, repr=False)

    def __post_init__(self) -> None:
        name = self.potential.capabilities.name
        if self.crystal.potential != name:
            raise CouplingError(
                f"the crystal was relaxed with {self.crystal.potential!r} and the cell would use {name!r}: relax it with that one"
            )
        if self.components not in (1, 2, 3) or self.relaxation not in ("rigid", "relaxed"):
            raise CouplingError(
                f"components = {self.components!r}, relaxation = {self.relaxation!r}: expected 1, 2 or 3, 'rigid' or 'relaxed'"
            )
        checked_force(self.fmax)
        self.potential.check_elements(self.crystal.symbols)
        stack = build_stack(self.crystal, plane=self.plane, n_planes=self.n_planes, cut=self.cut)
        object.__setattr__(self, "stack", stack)
        object.__setattr__(self, "orientation", orient(self.crystal, plane=self.plane, growth=self.growth))

    @property
    def length(self) -> float:
        """Length of crystal whose elasticity the answers contain, Å: the cut gap, relaxed the whole period."""
        return self.stack.cut_gap if self.relaxation == "rigid" else self.stack.height

    @property
    def stiffness(self) -> Array:
        """Q (m, m), eV/Å³: Q_jl = C_njnl of the crystal at rest, n the normal."""
        if self.components == 1:
            return self.orientation.stiffness[1:2, 1:2]
        keep = [1, 5, 3][: self.components]
        return self.orientation.stiffness[np.ix_(keep, keep)]

    @cached_property
    def directions(self) -> Array:
        """(3, 3) rows: normal, x and z of the laboratory, in the stack's axes."""
        lab = np.asarray(self.orientation.rotation) @ self.stack.rotation.T
        return lab[[1, 0, 2]]

    @property
    def full_opening(self) -> float:
        """Normal opening at which nothing crosses the gap, Å."""
        return full_opening(self.potential, self.stack, 0.0) + _MARGIN

    @property
    def noise(self) -> float:
        """What the potential's precision leaves uncertain in an energy, eV/Å²."""
        return energy_noise(self.potential, self.crystal, self.stack)

    @property
    def shared(self) -> bool:
        """Whether one evaluation takes all ranks of the potential's communicator."""
        return self.potential.comm.size > 1

    @property
    def name(self) -> str:
        """Potential, crystal, plane and settings in one line."""
        can, crystal = self.potential.capabilities, self.crystal
        return (
            f"{can.name} {(can.model_sha256 or '')[:12]} {'-'.join(crystal.symbols)} {crystal.structure} a={crystal.a!r} "
            f"c={crystal.c!r} plane={tuple(self.stack.plane)} growth={self.orientation.growth} n_planes={self.stack.n_planes} "
            f"cut={self.cut} {self.relaxation} components={self.components}"
        )

    def opened(self, opening: ArrayLike) -> Atoms:
        """The cell with its cut gap opened by (m,) Å, atoms where they were."""
        vector = np.asarray(opening, dtype=float) @ self.directions[: self.components]
        atoms = self.stack.atoms.copy()
        cell = atoms.cell.array.copy()
        cell[2] += vector
        # The same lattice, leaning least: engines limit the tilt of their cells.
        cell[2, :2] -= np.rint(np.linalg.solve(cell[:2, :2].T, cell[2, :2])) @ cell[:2, :2]
        atoms.set_cell(cell, scale_atoms=False)
        return atoms

    def __call__(self, opening: Array) -> CellAnswer:
        """Energy per area and traction at an opening (m,), Å.

        Raises:
            EvaluationError: the potential fails, or answers with what is no number.
            RelaxationError: the atoms do not come to rest.
        """
        atoms, before = self.opened(opening), self.potential.counter.calls
        if self.relaxation == "rigid":
            result = self.potential.evaluate(atoms)
        else:
            model = springs(self.stack, moduli=normal_moduli(self.crystal, self.stack), crossing=False)
            relaxed = minimise(self.potential, atoms, inverse_hessian=model, fmax=self.fmax)
            atoms, result = relaxed.atoms, relaxed.result
        pull = pull_on_period(result, atoms.positions, atoms.cell.array) / self.stack.area
        traction = self.directions[: self.components] @ pull
        calls = self.potential.counter.calls - before
        energy = result.energy / self.stack.area
        return CellAnswer(energy=energy, traction=traction, spread=np.zeros_like(traction), calls=calls)


def pull_on_period(result: Evaluation, positions: Array, cell: Array) -> Array:
    """dE/dh of the third cell vector h at fixed positions, (3,) eV/Å; the first two lie in the plane."""
    volume = abs(float(np.linalg.det(cell)))
    return (volume * result.stress[:, 2] + result.forces.T @ positions[:, 2]) / cell[2, 2]


class Committee:
    """Several cells of one interface: the first is the law, the spread of all is its uncertainty.

    Each member has its own potential and its own crystal, at rest with it.

    Args:
        cells: at least two, of the same components.

    Raises:
        CouplingError: fewer, or cells that do not fit each other.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        if len(cells) < 2 or len({c.components for c in cells}) != 1:
            raise CouplingError(f"a committee of {len(cells)} cells: expected at least two with the same components")
        self.cells = tuple(cells)
        self.components = cells[0].components
        self.length, self.stiffness, self.noise = cells[0].length, cells[0].stiffness, cells[0].noise
        self.full_opening = max(c.full_opening for c in cells)
        self.shared = any(c.shared for c in cells)
        self.name = " + ".join(c.name for c in cells)

    def __call__(self, opening: Array) -> CellAnswer:
        """The first member's answer with the standard deviation of all members' tractions."""
        answers = [c(opening) for c in self.cells]
        spread = np.std([a.traction for a in answers], axis=0, ddof=1)
        calls = sum(a.calls for a in answers)
        return CellAnswer(energy=answers[0].energy, traction=answers[0].traction, spread=spread, calls=calls)
