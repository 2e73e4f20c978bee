"""How far the columns of atoms along a crack front feel each other, in crystals with any number of atoms in their cell."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.columns import Columns
from atomistic.errors import InteractionError
from atomistic.potentials.base import Potential
from atomistic.ranks import spread

Array = NDArray[np.float64]

#: Displacement (Å) of the central differences, as in `atomistic.interaction`.
_DISPLACEMENTS = {"float64": 0.01, "float32": 0.05}
#: Å; where the cutoff of the potential does not ask for more.
_RADIUS = 12.0


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnInteraction:
    """Forces on the atoms of a perfect crystal while one column of them is displaced.

    Attributes:
        potential: its name.
        distances: (s,), of the other columns, Å seen along the front, ascending.
        decay: (s,), largest force on an atom at that distance per displacement of the column, eV/Å².
        site_decay: None: forces alone are measured.
        radius: up to which columns are complete, Å.
        evaluations: of the potential.
        offsets: (m, 2), lattice indices of the other sites within the radius, and of the site itself.
        constants: (m, q, q₁, 3, 3), d²E/dy_l dy_k of atom l of the site at an offset and atom k of the first period of the
            site, eV/Å².
    """

    potential: str
    distances: Array
    decay: Array
    site_decay: None
    radius: float
    evaluations: int
    offsets: NDArray[np.int64]
    constants: Array

    def cut_off_part(self, radius: float) -> float:
        """Return the largest response beyond a distance over the largest of all."""
        return float(self.decay[self.distances > radius + 1e-6].max(initial=0.0) / self.decay.max())

    def range_for(self, *, force: float, displacement: float = 0.1) -> float:
        """Return the distance (Å) beyond which no atom feels more than a force (eV/Å) of a column displaced by so much (Å).

        Raises:
            InteractionError: the bound is not met within the measured radius.
        """
        reach = float(self.distances[self.decay * displacement > force].max(initial=0.0))
        if reach > self.radius + 1e-6:
            raise InteractionError(
                f"The interaction of {self.potential!r} beyond {self.radius:.1f} Å is still above {force:g} eV/Å. Allow more, "
                "or give the width of the pad."
            )
        return reach


def measure_columns(
    potential: Potential, columns: Columns, *, radius: float | None = None, comm: MPI.Comm | None = None
) -> ColumnInteraction:
    """Displace one atom of a perfect crystal both ways along each axis, and read the forces on all others.

    What a whole column of them does is the sum over the periods.

    Args:
        potential: drives the atoms.
        columns: the crystal along its front; each atom of a motif is displaced in turn, but for those that only repeat it.
        radius: up to which the answer is complete, Å; by default twice the potential's cutoff, at least 12 Å.
        comm: ranks among which the evaluations are shared out.

    Raises:
        InteractionError: a radius that is no positive length.
    """
    if radius is None:
        radius = max(_RADIUS, 2.0 * (potential.capabilities.cutoff or 0.0))
    if not (np.isfinite(radius) and radius > 0.0):
        raise InteractionError(f"The radius must be a positive length in Å; got {radius!r}.")
    step = _DISPLACEMENTS[potential.capabilities.precision]
    perfect, counts = _supercell(columns, radius)
    one_period = columns.atoms_per_site // columns.periods
    moves = [(k, axis, sign) for k in range(one_period) for axis in range(3) for sign in (1.0, -1.0)]

    def pushed(move: tuple[int, int, float]) -> tuple[Array, int]:
        k, axis, sign = move
        before = potential.counter.calls
        moved = perfect.copy()
        moved.positions[k, axis] += sign * step
        return potential.evaluate(moved).forces, potential.counter.calls - before

    answers = spread(moves, pushed, potential=potential, comm=comm)
    forces = np.array([forces for forces, _ in answers]).reshape(one_period, 3, 2, -1, 3)
    single = (forces[:, :, 1] - forces[:, :, 0]) / (2.0 * step)
    # Whole columns: the sum over the periods, in a shape that tells sites, periods and atoms of one period.
    shape = (one_period, 3, -1, columns.periods, one_period, 3)
    response = np.linalg.norm(single.reshape(shape).sum(axis=3), axis=-1).max(axis=1).reshape(one_period, -1)
    first = (np.arange(len(perfect)) % columns.atoms_per_site) < one_period
    reach = np.array([_distances(perfect, k, columns, counts)[first] for k in range(one_period)])
    offsets, constants = _constants(single, columns, counts, radius)
    distances, shell = np.unique(np.round(reach, 6), return_inverse=True)
    decay = np.zeros(len(distances))
    np.maximum.at(decay, shell.ravel(), response.ravel())
    return ColumnInteraction(
        potential=potential.capabilities.name,
        distances=distances[1:],
        decay=decay[1:],
        site_decay=None,
        radius=float(radius),
        evaluations=sum(calls for _, calls in answers),
        offsets=offsets,
        constants=constants,
    )


def _constants(
    single: Array, columns: Columns, counts: NDArray[np.int64], radius: float
) -> tuple[NDArray[np.int64], Array]:
    """Return offsets (m, 2) of sites within a radius and the force constants (m, q, q₁, 3, 3) towards them.

    Args:
        single: (q₁, 3, atoms, 3), minus the forces on all atoms of the supercell per displacement of atom k along an axis.
        columns: the crystal.
        counts: sites of the supercell along its axes.
        radius: Å.
    """
    indices = np.array(list(itertools.product(*(range(n) for n in counts))))
    turns = np.array(list(itertools.product((-1, 0), repeat=2))) * counts
    images = indices[:, None, :] + turns
    length = np.linalg.norm(images @ columns.lattice.basis, axis=2)
    nearest = length.argmin(axis=1)
    offsets = images[np.arange(len(indices)), nearest]
    near = length.min(axis=1) <= radius
    blocks = single.reshape(len(single), 3, len(indices), columns.atoms_per_site, 3).transpose(2, 3, 0, 4, 1)
    return offsets[near], blocks[near]


def _supercell(columns: Columns, radius: float) -> tuple[Atoms, NDArray[np.int64]]:
    """Return a supercell, site 0 first, in which all images of a column are at least two radii apart, and its counts."""
    basis = columns.lattice.basis
    counts = np.maximum(np.ceil(2.0 * radius / np.linalg.norm(basis, axis=1)).astype(np.int64), 2)
    turns = np.array([t for t in itertools.product((-1, 0, 1), repeat=2) if any(t)])
    while np.linalg.norm((turns * counts) @ basis, axis=1).min() < 2.0 * radius:
        counts = counts + 1
    indices = np.array(list(itertools.product(*(range(n) for n in counts))))
    cell = columns.lattice.vectors.copy()
    cell[:2] *= counts[:, None]
    atoms = Atoms(
        columns.chemical_symbols(len(indices)),
        positions=columns.positions(indices).reshape(-1, 3),
        cell=cell,
        pbc=True,
    )
    return atoms, counts


def _distances(atoms: Atoms, k: int, columns: Columns, counts: NDArray[np.int64]) -> Array:
    """Return how far each atom is from the nearest image of column k, seen along the front, Å."""
    turns = np.array(list(itertools.product((-1, 0, 1), repeat=2))) * counts
    out = atoms.positions[:, :2] - atoms.positions[k, :2]
    images = out[:, None, :] + turns @ columns.lattice.basis
    nearest: Array = np.linalg.norm(images, axis=2).min(axis=1)
    return nearest
