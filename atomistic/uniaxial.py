"""The perfect crystal under strain along the normal of a plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import ArrayLike, NDArray

from atomistic.builders import Stack, lattice_period
from atomistic.crystal import Crystal
from atomistic.curves import UniaxialResponse
from atomistic.elasticity import force_constants
from atomistic.errors import InvalidCurveError
from atomistic.orientation import plane_indices
from atomistic.potentials.base import Potential
from atomistic.ranks import spread
from atomistic.relaxation import minimise


@dataclass(frozen=True, kw_only=True)
class StrainedCell:
    """One lattice period under uniaxial strain at rest.

    Attributes:
        strain: of the period.
        energy: eV, of the cell.
        force: dE/d(period) over the area, eV/Å³: the nominal stress.
        positions: (n, 3), Å, atoms of the cell.
    """

    strain: float
    energy: float
    force: float
    positions: NDArray[np.float64]


def uniaxial_response(
    potential: Potential,
    crystal: Crystal,
    *,
    plane: Sequence[int],
    strains: ArrayLike,
    fmax: float = 1e-4,
    comm: MPI.Comm | None = None,
) -> UniaxialResponse:
    """Strain the perfect crystal along a plane's normal at fixed lateral size; its basis relaxes.

        w(ε) = [E(ε) − E(0)]/V₀,    dw/dε = A L_z σ_zz/V₀ = σ_zz (at fixed area)

    Args:
        potential: gives energies, forces and stresses.
        crystal: relaxed with the same potential.
        plane: Miller indices.
        strains: (n,), any order, above −1.
        fmax: largest force left on an atom of the basis, eV/Å.
        comm: ranks among which the strains are shared out.

    Raises:
        InvalidPlaneError: no such plane.
        InvalidCurveError: strains that are not finite, or at most −1.
    """
    values = np.asarray(strains, dtype=float)
    if values.ndim != 1 or not len(values) or not np.all(np.isfinite(values)) or np.any(values <= -1.0):
        raise InvalidCurveError(f"The strains must be finite numbers above -1; got {values!r}.")
    stack = lattice_period(crystal, plane=plane)
    rest = crystal.energy_per_atom * len(stack.atoms)
    cells = strained_cells(potential, stack, values, fmax=fmax, comm=comm)
    return UniaxialResponse(
        strain=values,
        energy_density=np.array([c.energy - rest for c in cells]) / (stack.area * stack.height),
        stress=np.array([c.force for c in cells]),
        plane=plane_indices(crystal, plane),
        potential=potential.capabilities.name,
    )


def strained_cells(
    potential: Potential,
    stack: Stack,
    strains: NDArray[np.float64],
    *,
    fmax: float,
    comm: MPI.Comm | None = None,
) -> list[StrainedCell]:
    """Relax the basis of a lattice period at each strain."""
    primitive = len(stack.atoms) == 1
    constants = np.zeros((3, 3)) if primitive else force_constants(potential, stack.atoms)
    inverse = np.linalg.pinv(constants, rcond=1e-6, hermitian=True)

    def at(strain: float) -> StrainedCell:
        atoms = stretched(stack, strain)
        if primitive:
            result = potential.evaluate(atoms)
            energy, final = result.energy, atoms
        else:
            relaxed = minimise(potential, atoms, inverse_hessian=inverse, fmax=fmax)
            energy, final, result = relaxed.energy, relaxed.atoms, relaxed.result
        return StrainedCell(strain=strain, energy=energy, force=float(result.stress[2, 2]), positions=final.positions)

    return spread([float(s) for s in strains], at, potential=potential, comm=comm)


def stretched(stack: Stack, strain: float) -> Atoms:
    """Return a stack strained uniformly along its normal."""
    atoms = stack.atoms.copy()
    atoms.set_cell(atoms.cell.array * np.array([1.0, 1.0, 1.0 + strain]), scale_atoms=True)
    return atoms
