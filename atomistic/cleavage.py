"""Where a crystal can be cut along a plane, and what the two surfaces cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from ase.neighborlist import neighbor_list
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.builders import plane_gaps, plane_heights
from atomistic.crystal import Crystal
from atomistic.decohesion import relaxed_work_of_separation, thickness_convergence
from atomistic.errors import UnknownCutError, nearest
from atomistic.orientation import Orientation
from atomistic.potentials.base import Potential
from atomistic.ranks import on_first_rank, spread

Array = NDArray[np.float64]

#: Neighbours up to this many nearest distances are bonds: above the two shells of an hcp crystal off its ideal shape, below
#: the second shell of bcc (1.155).
_BOND = 1.1
#: A bond that rises by less (Å) lies in the plane.
_LEVEL = 1e-6
#: Height of a slab, Å and in ranges of the potential: an atom may feel both of its surfaces across two ranges.
_SLAB, _RANGES = 24.0, 3.0
#: The thinner slab that convergence is measured against.
_THINNER = 2.0 / 3.0
#: Two heights (Å) and two energies (eV/Å²) that differ by less are the same.
_SAME_HEIGHT, _SAME_ENERGY = 1e-3, 1e-5
#: Structures whose {111} planes come in pairs, and the names of the wide and the narrow gap (Hirth and Lothe 1982).
_PAIRED = ("diamond", "zincblende")


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A gap between two planes of atoms along which a crystal can be cut.

    Attributes:
        name: "shuffle" or "glide" on {111} of diamond and zincblende, else "1", "2", ... in order of broken bonds, then of
            falling width.
        height: of the middle of the gap over the crystal's origin along the plane's normal, Å, in [0, d).
        gap: distance of the two planes of atoms beside it, Å.
        broken_bonds: nearest-neighbour bonds that cross it, per primitive cell of the surface.
        bond_density: the same per area, 1/Å².
        energy: work 2γ of separating the crystal there rigidly, eV/Å²; None where it was not computed.
    """

    name: str
    height: float
    gap: float
    broken_bonds: int
    bond_density: float
    energy: float | None = None


@dataclass(frozen=True, kw_only=True)
class CreatedSurfaces:
    """Both surfaces that a cut creates, which may differ from each other.

    Attributes:
        rigid: work 2γ of separation with every atom where it is in the crystal, eV/Å².
        relaxed: the same with the atoms at rest, eV/Å², in the smallest cell of the plane (1 × 1): surfaces that would
            reconstruct in a larger one do not.
        calls: evaluations that it took.
        layers: planes of atoms in the slab.
        convergence: change of `relaxed` against a slab of two thirds of the planes, eV/Å².
    """

    rigid: float
    relaxed: float
    calls: int
    layers: int
    convergence: float


def find_cuts(crystal: Crystal, orientation: Orientation) -> tuple[Cut, ...]:
    """Return the gaps in one lattice period along a plane's normal, those with the fewest broken bonds first.

    Args:
        crystal: relaxed.
        orientation: whose plane is cut.
    """
    gaps, heights = plane_gaps(crystal, orientation.plane), plane_heights(crystal, orientation.plane)
    spacing = float(gaps.sum())
    middles = (heights + 0.5 * gaps) % spacing
    crossing = _crossing_bonds(crystal, orientation, middles, spacing)
    area = crystal.atoms.get_volume() / spacing
    order = np.lexsort((middles, -np.round(gaps, 6), crossing))
    return tuple(
        Cut(
            name=_name(crystal, orientation, rank, len(order)),
            height=float(middles[i]),
            gap=float(gaps[i]),
            broken_bonds=int(crossing[i]),
            bond_density=float(crossing[i] / area),
        )
        for rank, i in enumerate(order)
    )


def choose_cut(
    potential: Potential,
    crystal: Crystal,
    orientation: Orientation,
    name: str | None = None,
    comm: MPI.Comm | None = None,
) -> tuple[Cut, tuple[Cut, ...]]:
    """Return the cut of a name, by default the one that costs the least energy, and all cuts in order of energy.

    One evaluation for each cut: a slab with unrelaxed surfaces. Of cuts that cost the same, the one that `find_cuts` lists
    first comes first.

    Args:
        potential: gives energies.
        crystal: relaxed with the same potential.
        orientation: whose plane is cut.
        name: as `find_cuts` names it.
        comm: ranks among which the cuts are shared out.

    Raises:
        UnknownCutError: the plane has no cut of that name.
    """
    found = find_cuts(crystal, orientation)
    layers = _layers(potential, crystal, orientation)

    def separated(cut: Cut) -> float:
        return _rigid(potential, crystal, orientation, cut, layers)

    energies = np.array(spread(found, separated, potential=potential, comm=comm))
    cuts = tuple(replace(found[k], energy=float(energies[k])) for k in _ascending(energies))
    if name is None:
        return cuts[0], cuts
    wanted = str(name).strip().lower()
    chosen = next((cut for cut in cuts if cut.name == wanted), None)
    if chosen is None:
        offered = "; ".join(
            f"{c.name}: {c.gap:.3f} Å wide, {c.broken_bonds} bonds per surface cell, 2γ = {c.energy:.4f} eV/Å²"
            for c in cuts
        )
        raise UnknownCutError(
            f"The plane {orientation.plane} of {crystal.structure} {'-'.join(crystal.symbols)} has no cut {name!r}; expected "
            f"one of {offered}.{nearest(wanted, [c.name for c in cuts])}"
        )
    return chosen, cuts


def created_surfaces(
    potential: Potential, crystal: Crystal, orientation: Orientation, cut: Cut, *, comm: MPI.Comm | None = None
) -> CreatedSurfaces:
    """Return what the two surfaces cost that a crack along a cut creates, 2γ = [E_slab − N e_crystal]/A.

    Args:
        potential: gives energies and forces.
        crystal: relaxed with the same potential.
        orientation: whose plane is cut.
        cut: one of `find_cuts`.
        comm: where given, its first rank computes and all of them get the same numbers.

    Raises:
        UnknownCutError: the plane has no such cut.
        RelaxationError: the surfaces do not come to rest.
    """

    def compute() -> CreatedSurfaces:
        before = potential.counter.calls
        layers = _layers(potential, crystal, orientation)
        number = _gap_number(crystal, orientation, cut)
        per_period = len(plane_gaps(crystal, orientation.plane))
        thin = max(per_period, 2, math.floor(_THINNER * layers / per_period) * per_period)
        thick, thinner = (
            relaxed_work_of_separation(potential, crystal, plane=orientation.plane, n_planes=n, cut=number)
            for n in (layers, thin)
        )
        return CreatedSurfaces(
            rigid=_rigid(potential, crystal, orientation, cut, layers),
            relaxed=thick,
            calls=potential.counter.calls - before,
            layers=layers,
            convergence=abs(thick - thinner),
        )

    return on_first_rank(compute, potential=potential, comm=comm)


def _layers(potential: Potential, crystal: Crystal, orientation: Orientation) -> int:
    """Return the planes of atoms in a slab that keeps its surfaces apart: whole lattice periods, at least two."""
    gaps = plane_gaps(crystal, orientation.plane)
    height = max(_SLAB, _RANGES * (potential.capabilities.cutoff or 0.0))
    return max(2, math.ceil(height / gaps.sum())) * len(gaps)


def _ascending(energies: Array) -> NDArray[np.int64]:
    """Return the order of energies (n,), eV/Å², from the least; equal ones stay in their order."""
    order = np.argsort(energies, kind="stable")
    level = np.cumsum([0, *(np.diff(energies[order]) > _SAME_ENERGY)])
    return np.asarray(order[np.lexsort((order, level))], dtype=np.int64)


def _rigid(potential: Potential, crystal: Crystal, orientation: Orientation, cut: Cut, layers: int) -> float:
    """Return the work 2γ of separating a crystal rigidly at a cut, eV/Å²."""
    number = _gap_number(crystal, orientation, cut)
    works = thickness_convergence(potential, crystal, plane=orientation.plane, n_planes=[layers], cut=number)
    return next(iter(works.values()))


def _gap_number(crystal: Crystal, orientation: Orientation, cut: Cut) -> int:
    """Return the number of a cut's gap among those of `plane_gaps`."""
    gaps, heights = plane_gaps(crystal, orientation.plane), plane_heights(crystal, orientation.plane)
    away = (heights + 0.5 * gaps - cut.height) / gaps.sum()
    away = np.abs(away - np.rint(away)) * gaps.sum()
    number = int(np.argmin(away))
    if away[number] > _SAME_HEIGHT:
        raise UnknownCutError(
            f"The plane {orientation.plane} of {crystal.structure} {'-'.join(crystal.symbols)} has no gap in the middle of "
            f"which the cut {cut.name!r} at {cut.height:g} Å lies. Take one of find_cuts for this crystal and plane."
        )
    return number


def bonds(crystal: Crystal, orientation: Orientation) -> tuple[NDArray[np.int64], Array]:
    """Return the nearest-neighbour bonds of a primitive cell's atoms in laboratory axes.

    Returns:
        The number (n,) of the atom that each starts from, and its vector (n, 3), Å; each bond in both directions.
    """
    atoms = crystal.atoms
    # Every crystal has neighbours within 1.6 times the edge of the cube that an atom fills.
    near = 1.6 * (atoms.get_volume() / len(atoms)) ** (1 / 3)
    nearest = float(neighbor_list("d", atoms, near).min())
    start, vector = neighbor_list("iD", atoms, _BOND * nearest)
    return start, vector @ orientation.rotation.T


def _crossing_bonds(crystal: Crystal, orientation: Orientation, heights: Array, spacing: float) -> NDArray[np.int64]:
    """Return how many nearest-neighbour bonds cross each height, per primitive cell of the surface.

    The planes y + m d, m = 0, ±1, ..., that the bonds of one primitive cell cross are those that the bonds of all cells of a
    column cross at y.
    """
    start, vector = bonds(crystal, orientation)
    low = crystal.atoms.positions[start] @ orientation.rotation[1]
    rise = vector[:, 1]
    up = rise > _LEVEL
    turns_low = np.floor((low[up, None] - heights) / spacing)
    turns_high = np.floor((low[up, None] + rise[up, None] - heights) / spacing)
    crossed: NDArray[np.int64] = (turns_high - turns_low).sum(axis=0).astype(np.int64)
    return crossed


def _name(crystal: Crystal, orientation: Orientation, rank: int, count: int) -> str:
    """Name the cut of a rank in the order of broken bonds."""
    h, k, l = (abs(i) for i in orientation.plane)  # noqa: E741 - the field's own letters
    if crystal.structure in _PAIRED and h == k == l and count == 2:
        return ("shuffle", "glide")[rank]
    return str(rank + 1)
