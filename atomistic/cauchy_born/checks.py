"""Whether the atoms and the continuum are the same crystal: its lattice constant and its elastic constants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from mpi4py import MPI

from atomistic.cauchy_born.base import Array, CauchyBorn, stiffness_of
from atomistic.crystal import Crystal
from atomistic.elasticity import VOIGT, elastic_tensor, rotate_stiffness
from atomistic.errors import CauchyBornError, CrystalMismatchError
from atomistic.lattice import Lattice
from atomistic.orientation import Orientation
from atomistic.potentials.base import Potential
from atomistic.ranks import on_first_rank


@dataclass(frozen=True, kw_only=True)
class CrystalMatch:
    """How well two descriptions of one crystal agree, in the axes of the continuum.

    Attributes:
        atoms_strain: largest component of C⁻¹σ of the atoms on the undeformed lattice: their distance from rest.
        continuum_strain: the same of the continuum, from P at F = I and its own constants.
        stiffness_mismatch: largest difference of an elastic constant over the largest constant of the atoms.
        atoms_stiffness: (6, 6), Voigt, eV/Å³.
        continuum_stiffness: (6, 6), Voigt, eV/Å³: the tangent at F = I.
    """

    atoms_strain: float
    continuum_strain: float
    stiffness_mismatch: float
    atoms_stiffness: Array
    continuum_stiffness: Array


def check_same_crystal(
    cauchy_born: CauchyBorn,
    crystal: Crystal | Lattice,
    potential: Potential,
    *,
    orientation: Orientation | None = None,
    largest_strain: float = 1e-4,
    largest_mismatch: float = 0.02,
    comm: MPI.Comm | None = None,
) -> CrystalMatch:
    """Compare the lattice constant and the elastic constants of atoms and continuum, and refuse what differs.

    A strain ε between the two at rest puts a stress of about Cε along the whole handshake; a mismatch of the constants
    reflects part of every load there. Costs some 13 evaluations of the primitive cell.

    Args:
        cauchy_born: the continuum.
        crystal: the crystal, or the lattice that the sites of the body are taken from.
        potential: that drives the atoms.
        orientation: the axes of the continuum, with a crystal; a lattice is in those axes already.
        largest_strain: bound on the distance of either from rest.
        largest_mismatch: bound on the difference of the elastic constants.
        comm: where given, its first rank computes and all of them get the same numbers.

    Raises:
        CrystalMismatchError: a bound is exceeded; the message gives all numbers.
    """
    if isinstance(crystal, Lattice):
        if crystal.components != 3 or orientation is not None:
            raise CauchyBornError(
                f"A lattice of {crystal.components} components with {'an' if orientation else 'no'} orientation cannot be "
                "compared; give a lattice of three components, which is in the laboratory axes already, or a crystal."
            )
        atoms, rotation = crystal.supercell([1] * crystal.dimension), np.eye(3)
    else:
        atoms, rotation = crystal.atoms.copy(), np.eye(3) if orientation is None else orientation.rotation

    def measure() -> tuple[Array, Array]:
        return potential.evaluate(atoms).stress, elastic_tensor(potential, atoms)

    stress, constants = on_first_rank(measure, potential=potential, comm=comm)
    ours = rotate_stiffness(constants, rotation)
    stress = rotation @ stress @ rotation.T
    undeformed = np.eye(3)[None]
    theirs = stiffness_of(np.asarray(cauchy_born.tangent(undeformed))[0])
    match = CrystalMatch(
        atoms_strain=_strain(ours, stress),
        continuum_strain=_strain(theirs, np.asarray(cauchy_born.stress(undeformed))[0]),
        stiffness_mismatch=float(np.abs(ours - theirs).max() / np.abs(ours).max()),
        atoms_stiffness=ours,
        continuum_stiffness=theirs,
    )
    if max(match.atoms_strain, match.continuum_strain) > largest_strain or match.stiffness_mismatch > largest_mismatch:
        raise CrystalMismatchError(
            f"Atoms ({potential.capabilities.name!r}) and continuum are not the same crystal: on the undeformed lattice the "
            f"atoms are strained by {match.atoms_strain:.1e} from rest and the continuum by {match.continuum_strain:.1e} "
            f"(at most {largest_strain:.0e} is accepted), and their elastic constants differ by "
            f"{100 * match.stiffness_mismatch:.2g}% (at most {100 * largest_mismatch:.2g}%). In a case, choose "
            "another material.type, or accept the difference with material.largest_mismatch; in Python, take crystal "
            "(`relax_crystal`) and continuum (`cauchy_born`) from the same potential."
        )
    return match


def _strain(stiffness: Array, stress: Array) -> float:
    """Return the largest component of the strain that a residual stress stands for."""
    return float(np.abs(np.linalg.solve(stiffness, [stress[p, q] for p, q in VOIGT])).max())
