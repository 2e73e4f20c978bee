"""How the atoms of a motif move against each other when the crystal is strained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import ArrayLike, NDArray

from atomistic.cauchy_born.unit_cell import UnitCell
from atomistic.columns import Columns
from atomistic.crystal import Crystal
from atomistic.elasticity import VOIGT, force_constants
from atomistic.errors import LatticeError
from atomistic.orientation import Orientation
from atomistic.potentials.base import Potential
from atomistic.ranks import on_first_rank

Array = NDArray[np.float64]

#: Strain of the central differences: their error is of second order in it (eam-mg is off by 2% at 5e-3, by 0.1% at 2e-3), and
#: the noise of the forces is divided by it.
_STRAIN = {"float64": 2e-3, "float32": 5e-3}
#: Shifts smaller than this (Å per unit of strain) are what relaxation leaves of ones that symmetry forbids.
_NONE = {"float64": 1e-4, "float32": 1e-2}


@dataclass(frozen=True, kw_only=True, eq=False)
class InnerShifts:
    """Linear response of a motif's atoms to strain.

    A homogeneous displacement gradient H moves the atom k of a site to (I + H)(X + o_k) + s_k, with s_k linear in the strain
    ε = (H + Hᵀ)/2. Displacements that are written as those of the site and an inner part, u_k = u(X) + p_k, have
    p_k = H o_k + s_k.

    Attributes:
        linear: (q, 3, 6), ∂s_k/∂ε, Å, in laboratory axes; Voigt xx, yy, zz, yz, xz, xy with engineering shears. Sums to
            zero over k.
        stiffness: (3(q − 1), 3(q − 1)), second derivative of the energy of one motif by p_1 ... p_(q−1), eV/Å², where every
            site moves alike, all sites stay, and p_q = −(p_1 + ... + p_(q−1)).
        offsets: (q, 3), o_k of the undeformed motif, Å.
        calls: evaluations that it took.
    """

    linear: Array
    stiffness: Array
    offsets: Array
    calls: int

    def positions_shift(self, strain: ArrayLike) -> Array:
        """Return s (n, q, 3), Å, under strains (n, 6) in Voigt order with engineering shears."""
        given = np.asarray(strain, dtype=float)
        if given.ndim != 2 or given.shape[1] != 6:
            raise LatticeError(f"Strains of inner shifts have the shape (n, 6), Voigt; got {given.shape}.")
        found: Array = np.einsum("kcv,nv->nkc", self.linear, given)
        return found

    def inner_displacements(self, gradient: ArrayLike) -> Array:
        """Return p = H o + s (n, q, 3), Å, of displacement gradients H (n, 3, 2) by x and y: those of a plane body.

        Nothing depends on z, so that H has no third column and a further period along z the same p.
        """
        given = np.asarray(gradient, dtype=float)
        if given.ndim != 3 or given.shape[1:] != (3, 2):
            raise LatticeError(f"Displacement gradients of a plane body have the shape (n, 3, 2); got {given.shape}.")
        full = np.concatenate([given, np.zeros((len(given), 3, 1))], axis=2)
        strain = np.stack([full[:, p, p] if p == q else full[:, p, q] + full[:, q, p] for p, q in VOIGT], axis=1)
        affine: Array = np.einsum("ncd,kd->nkc", full, self.offsets)
        return affine + self.positions_shift(strain)


def inner_shifts(
    potential: Potential,
    crystal: Crystal,
    orientation: Orientation,
    columns: Columns,
    comm: MPI.Comm | None = None,
) -> InnerShifts:
    """Measure the inner shifts of a crystal's motif and how stiffly it holds them (Born and Huang 1954).

    Shifts are central differences of relaxed primitive cells under strains of ±0.2%, ±0.5% in single precision; where the
    motif holds several periods along the front, all of them shift alike. The stiffness comes from the force constants of one
    motif in its own period.

    Args:
        potential: gives energies, forces and stresses.
        crystal: relaxed with the same potential.
        orientation: of the laboratory axes.
        columns: of the same crystal and orientation.
        comm: where given, its first rank computes and all of them get the same numbers.

    Raises:
        RelaxationError: a strained cell that does not come to rest.
    """

    precision = potential.capabilities.precision

    def compute() -> InnerShifts:
        before = potential.counter.calls
        cell = UnitCell(potential, crystal, orientation)
        linear = _response(cell, _STRAIN[precision]) if len(crystal.atoms) > 1 else np.zeros((1, 3, 6))
        linear[np.abs(linear) < _NONE[precision]] = 0.0
        stiffness = _stiffness(potential, columns)
        return InnerShifts(
            linear=np.tile(linear, (columns.periods, 1, 1)),
            stiffness=stiffness,
            offsets=columns.offsets,
            calls=potential.counter.calls - before,
        )

    return on_first_rank(compute, potential=potential, comm=comm)


def _response(cell: UnitCell, step: float) -> Array:
    """Return the shifts of a primitive cell's n atoms per unit of each strain, (n, 3, 6), Å."""
    found = []
    for p, q in VOIGT:
        strain = np.zeros((3, 3))
        strain[p, q] += 0.5 * step
        strain[q, p] += 0.5 * step
        found.append((cell.shifts(np.eye(3) + strain) - cell.shifts(np.eye(3) - strain)) / (2.0 * step))
    return np.stack(found, axis=2)


def _stiffness(potential: Potential, columns: Columns) -> Array:
    """Return the stiffness (3(q − 1), 3(q − 1)) of a motif against inner displacements, eV/Å²."""
    count = columns.atoms_per_site
    if count == 1:
        return np.zeros((0, 0))
    motif = Atoms(
        columns.chemical_symbols(1),
        positions=columns.positions([[0, 0]])[0],
        cell=columns.lattice.vectors,
        pbc=True,
    )
    constants = force_constants(potential, motif)
    free = np.eye(3 * (count - 1))
    moves = np.vstack([free, -np.tile(np.eye(3), count - 1)])
    found: Array = moves.T @ constants @ moves
    return found
