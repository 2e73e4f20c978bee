"""One half of a crystal moved over and away from the other: γ-surfaces and combined shear–opening separation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from mpi4py import MPI
from numpy.typing import ArrayLike, NDArray

from atomistic.builders import Stack, build_stack
from atomistic.crystal import Crystal
from atomistic.decohesion import default_openings
from atomistic.errors import InvalidCurveError
from atomistic.orientation import Orientation, orient
from atomistic.plane_symmetry import distinct_shifts, shift_symmetry
from atomistic.potentials.base import Potential
from atomistic.pulling import energy_noise, full_opening
from atomistic.ranks import spread
from atomistic.slabs import SlabShear
from atomistic.stacking_faults import StackingFault, critical_points, settle

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class GammaSurface:
    """Energy of a stacking fault against the shift of one half of the crystal over the other.

    Attributes:
        lattice: (2, 2) Å, rows are the vectors of the in-plane cell in the laboratory's (x, z): growth and front.
        shifts: (n1, n2, 2) Å, the grid of shifts over that cell in the same axes; the upper half, at larger y, moves.
        energy: (n1, n2) eV/Å².
        traction: (n1, n2, 3) eV/Å³: normal, x, z; the derivative of the energy by the separation.
        opening: (n1, n2) Å, how far the halves have moved apart: 0 where nothing relaxes.
        unstable: the lowest saddle, which a slip over the plane has to pass; None where the surface has none.
        intrinsic: the lowest minimum beside the perfect crystal, a stable stacking fault; None where none lies below that saddle.
        relax: False, or "normal".
        area: of the in-plane cell, Å².
        plane: Miller indices.
        potential: its name.
        noise: what the potential's precision leaves uncertain in `energy`, eV/Å².
        evaluated: how many shifts of the grid were evaluated; symmetry gives the others.
    """

    lattice: Array
    shifts: Array
    energy: Array
    traction: Array
    opening: Array
    unstable: StackingFault | None
    intrinsic: StackingFault | None
    relax: Literal[False, "normal"]
    area: float
    plane: tuple[int, ...]
    potential: str
    noise: float
    evaluated: int


@dataclass(frozen=True, kw_only=True)
class ShearOpening:
    """Energy and traction of two rigid halves of a crystal against their separation: opening and in-plane shift.

    Attributes:
        openings: (m,) Å, ascending, 0 among them; negative ones press the halves together.
        lattice: (2, 2) Å, rows are the vectors of the in-plane cell in the laboratory's (x, z): growth and front.
        shifts: (n1, n2, 2) Å, the grid of shifts over that cell.
        energy: (m, n1, n2) eV/Å², above that of the perfect crystal.
        traction: (m, n1, n2, 3) eV/Å³: normal, x, z; the derivative of the energy by the separation.
        work_of_separation: energy at full separation, the same for every shift, eV/Å².
        orientation: the laboratory axes, with the crystal's stiffness in them.
        length: Å of crystal whose elasticity the table contains: the cut gap.
        spacing: mean distance of neighbouring planes, Å.
        n_planes: planes in the periodic stack.
        area: of the in-plane cell, Å².
        potential: its name.
        noise: what the potential's precision leaves uncertain in `energy`, eV/Å².
        evaluated: number of evaluations; symmetry gives the rest of the table.
    """

    openings: Array
    lattice: Array
    shifts: Array
    energy: Array
    traction: Array
    work_of_separation: float
    orientation: Orientation
    length: float
    spacing: float
    n_planes: int
    area: float
    potential: str
    noise: float
    evaluated: int


def separated_and_sheared(potential: Potential, stack: Stack, separation: ArrayLike) -> tuple[float, Array]:
    """Return energy per area (eV/Å²) and traction (3,) (eV/Å³) of a stack whose halves stay as they are.

    The third cell vector c grows by the separation Δ and every atom stays where it is. A strain Δ⊗n/h (h the stack's height)
    changes the cell in the same way and moves the atoms with it; taking that motion back,

        T = dφ/dΔ = σ n + Σ_i f_i z_i/(A h),

    of which `atomistic.pulling.traction_of` is the normal component.

    Args:
        potential: gives energies, forces and stresses.
        stack: the perfect stack.
        separation: (3,) Å, in the stack's axes: two in the plane, then along the normal.
    """
    atoms = stack.atoms.copy()
    cell = atoms.cell.array.copy()
    cell[2] += np.asarray(separation, dtype=float)
    atoms.set_cell(cell, scale_atoms=False)
    result = potential.evaluate(atoms)
    traction = result.stress[:, 2] + result.forces.T @ atoms.positions[:, 2] / (stack.area * cell[2, 2])
    return result.energy / stack.area, traction


def shear_opening(
    potential: Potential,
    crystal: Crystal,
    *,
    plane: Sequence[int],
    growth: Sequence[int] | None = None,
    front: Sequence[int] | None = None,
    openings: ArrayLike | None = None,
    grid: int | tuple[int, int] = 12,
    n_planes: int = 10,
    cut: str | int = "widest",
    comm: MPI.Comm | None = None,
) -> ShearOpening:
    """Move one half of a crystal rigidly over and away from the other, over all shifts of the in-plane cell.

    Only shifts that the crystal's symmetry does not relate are evaluated (an fcc (111) plane: one in six).

    Args:
        potential: gives energies, forces and stresses.
        crystal: relaxed with the same potential.
        plane: Miller indices.
        growth: direction of the laboratory's x; see `atomistic.orientation.orient`.
        front: direction of z, instead.
        openings: ascending, Å, at least four, with 0 among them; by default −0.3, −0.15 and `default_openings(points=32)`.
        grid: number of shifts along each vector of the in-plane cell.
        n_planes: in one period.
        cut: which gap to open.
        comm: ranks among which the evaluations are shared out; every rank gets the whole table.

    Raises:
        InvalidPlaneError: no such plane or direction.
        InvalidCurveError: openings that do not ascend or miss 0, a grid of less than 4, or too few planes.
    """
    gaps = _checked_openings(openings)
    counts = _checked_grid(grid)
    orientation = orient(crystal, plane=plane, growth=growth, front=front)
    stack = build_stack(crystal, plane=plane, n_planes=n_planes, cut=cut)
    cell = _Cell(crystal, stack, orientation, counts)
    far = full_opening(potential, stack, gaps[-1])
    tasks = [(gap, shift) for gap in gaps for shift in cell.distinct] + [(far, np.zeros(2))]

    def at(task: tuple[float, Array]) -> Array:
        energy, traction = separated_and_sheared(potential, stack, [*task[1], task[0]])
        return np.array([energy, *traction])

    answers = np.array(spread(tasks, at, potential=potential, comm=comm))
    values = answers[:-1].reshape(len(gaps), len(cell.distinct), 4)
    table = np.array([cell.spread_out(level) for level in values])
    closed = int(np.flatnonzero(gaps == 0.0)[0])
    reference = table[closed, 0, 0, 0]
    return ShearOpening(
        openings=gaps,
        lattice=cell.lattice,
        shifts=cell.shifts,
        energy=table[..., 0] - reference,
        traction=table[..., 1:],
        work_of_separation=float(answers[-1, 0] - reference),
        orientation=orientation,
        length=stack.cut_gap,
        spacing=stack.spacing,
        n_planes=stack.n_planes,
        area=stack.area,
        potential=potential.capabilities.name,
        noise=energy_noise(potential, crystal, stack),
        evaluated=len(tasks),
    )


def gamma_surface(
    potential: Potential,
    crystal: Crystal,
    *,
    plane: Sequence[int],
    growth: Sequence[int] | None = None,
    front: Sequence[int] | None = None,
    grid: int | tuple[int, int] = 12,
    n_planes: int = 10,
    cut: str | int = "widest",
    relax: Literal[False, "normal"] = False,
    fmax: float = 1e-3,
    comm: MPI.Comm | None = None,
) -> GammaSurface:
    """Return the γ-surface of a plane (Vítek 1968), with its unstable and its stable stacking fault.

    Rigid: as `shear_opening` at no opening. Relaxed ("normal"): a free slab of 2·n_planes planes whose upper half is shifted;
    all atoms move along the normal until no force is left along it. Both faults are evaluated where the surface is flat,
    not read from the grid.

    Args:
        potential: gives energies, forces and, for a rigid surface, stresses.
        crystal: relaxed with the same potential.
        plane: Miller indices.
        growth: direction of the laboratory's x; see `atomistic.orientation.orient`.
        front: direction of z, instead.
        grid: number of shifts along each vector of the in-plane cell.
        n_planes: in one period, or in each half of the slab.
        cut: which gap is sheared.
        relax: False, or "normal".
        fmax: largest force left along the normal, eV/Å.
        comm: ranks among which the shifts are shared out.

    Raises:
        InvalidPlaneError: no such plane or direction.
        InvalidCurveError: an unknown `relax`, a grid of less than 4, or too few planes.
        RelaxationError: atoms that do not come to rest.
    """
    counts = _checked_grid(grid)
    orientation = orient(crystal, plane=plane, growth=growth, front=front)
    stack = build_stack(crystal, plane=plane, n_planes=n_planes, cut=cut)
    cell = _Cell(crystal, stack, orientation, counts)
    at = fault_energies(potential, crystal, stack, relax=relax, fmax=fmax, cut=cut)
    answers = np.array(spread(cell.distinct, at, potential=potential, comm=comm))
    table = cell.spread_out(answers)
    reference, closed = table[0, 0, 0], table[0, 0, 4]
    noise = energy_noise(potential, crystal, stack)

    def in_lab(shift: Array) -> tuple[float, Array, float]:
        values = at(cell.turn.T @ shift)
        return values[0] - reference, values[1:3] @ cell.turn.T, values[4] - closed

    saddle, minimum = critical_points(table[..., 0] - reference, cell.lattice, floor=10.0 * noise)
    guesses = [g for g in (saddle, minimum) if g is not None]
    settled = iter(spread(guesses, lambda g: settle(in_lab, g), potential=potential, comm=comm))
    unstable = None if saddle is None else next(settled)
    intrinsic = None if minimum is None else next(settled)
    if unstable is None or intrinsic is None or intrinsic.energy > 0.999 * unstable.energy:
        intrinsic = None  # a dent that no slip over the lowest saddle reaches
    return GammaSurface(
        lattice=cell.lattice,
        shifts=cell.shifts,
        energy=table[..., 0] - reference,
        traction=table[..., 1:4],
        opening=table[..., 4] - closed,
        unstable=unstable,
        intrinsic=intrinsic,
        relax=relax,
        area=stack.area,
        plane=stack.plane,
        potential=potential.capabilities.name,
        noise=noise,
        evaluated=len(cell.distinct),
    )


def fault_energies(
    potential: Potential,
    crystal: Crystal,
    stack: Stack,
    *,
    relax: Literal[False, "normal"],
    fmax: float,
    cut: str | int,
) -> Callable[[Array], Array]:
    """Return what tells of a shift (2,) Å, in the stack's axes, what it costs.

    It gives energy/area (eV/Å²), tractions along the in-plane axes and the normal (eV/Å³), and the width of the gap (Å; 0 of
    rigid halves). Arguments as of `gamma_surface`.

    Raises:
        InvalidCurveError: an unknown `relax`.
    """
    if relax not in (False, "normal"):
        raise InvalidCurveError(f"relax = {relax!r}: expected False (rigid halves) or 'normal' (along the normal).")
    if relax:
        return SlabShear(potential, crystal, stack, fmax=fmax, cut=cut).at

    def rigid(shift: Array) -> Array:
        energy, traction = separated_and_sheared(potential, stack, [*shift, 0.0])
        return np.array([energy, *traction, 0.0])

    return rigid


class _Cell:
    """The in-plane cell of a stack in the laboratory's axes, its grid of shifts, and what symmetry makes of it.

    Attributes:
        turn: (2, 2) from the stack's in-plane axes to the laboratory's (x, z).
        lattice: (2, 2) Å, rows are lattice vectors in (x, z).
        shifts: (n1, n2, 2) Å in (x, z).
        distinct: shifts that are to be evaluated, (2,) each, in the stack's axes.
    """

    def __init__(self, crystal: Crystal, stack: Stack, orientation: Orientation, counts: tuple[int, int]) -> None:
        in_plane = stack.atoms.cell.array[:2, :2]
        self.counts = counts
        self.turn = (orientation.rotation @ stack.rotation.T)[np.ix_([0, 2], [0, 1])]
        self.lattice = in_plane @ self.turn.T
        fractions = np.stack(np.meshgrid(*(np.arange(n) / n for n in counts), indexing="ij"), axis=-1)
        self.shifts = fractions @ self.lattice
        self.operations = shift_symmetry(crystal, stack)
        self._first, self._by = distinct_shifts(self.operations, in_plane, counts)
        self._chosen, self._number = np.unique(self._first, return_inverse=True)
        self.distinct = list(fractions.reshape(-1, 2)[self._chosen] @ in_plane)

    def spread_out(self, values: Array) -> Array:
        """Return what was evaluated at the distinct shifts for the whole grid.

        Args:
            values: (k, 4 + …) energy, in-plane tractions in the stack's axes, normal traction, whatever else.

        Returns:
            (n1, n2, 4 + …) energy, normal traction, x, z, whatever else.
        """
        whole = values[self._number]
        turns = self.turn @ np.array(self.operations)[self._by]
        shear = np.einsum("nij,nj->ni", turns, whole[:, 1:3])
        ordered = np.concatenate([whole[:, :1], whole[:, 3:4], shear, whole[:, 4:]], axis=1)
        return ordered.reshape(*self.counts, -1)


def _checked_openings(openings: ArrayLike | None) -> Array:
    """Return the openings as an array, having checked that they ascend through 0."""
    if openings is None:
        return np.concatenate([[-0.3, -0.15], default_openings(points=32)])
    gaps = np.asarray(openings, dtype=float)
    if gaps.ndim != 1 or len(gaps) < 4 or not np.isfinite(gaps).all() or np.any(np.diff(gaps) <= 0) or 0.0 not in gaps:
        raise InvalidCurveError(
            f"The openings must be at least four, ascend and hold 0; got {np.array2string(gaps, threshold=8)}."
        )
    return gaps


def _checked_grid(grid: int | tuple[int, int]) -> tuple[int, int]:
    """Return the numbers of shifts along the two vectors of the in-plane cell, at least four each."""
    counts = (grid, grid) if isinstance(grid, int) else tuple(grid)
    if len(counts) != 2 or any(int(n) != n or n < 4 for n in counts):
        raise InvalidCurveError(f"The grid of shifts needs two whole numbers of at least 4; got {grid!r}.")
    return int(counts[0]), int(counts[1])
