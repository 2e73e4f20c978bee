"""Elastic constants from stresses, and their exact rotation.

Voigt order is ASE's: xx, yy, zz, yz, xz, xy, with engineering shear strains.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import ArrayLike, NDArray

from atomistic.errors import AtomisticError, CrystalError
from atomistic.potentials.base import Potential

#: Tensor indices of the six Voigt components.
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
_VOIGT_OF = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
#: Displacement (Å) for the force constants of inner relaxation.
_DISPLACEMENT = 0.01
#: Strain of the central differences: truncation error against the noise of the stress.
_STRAINS = {"float64": 1e-3, "float32": 5e-3}
_ASYMMETRY = 0.05


def elastic_tensor(potential: Potential, atoms: Atoms, *, strain: float | None = None) -> NDArray[np.float64]:
    """Return the elastic constants of a crystal at rest, (6, 6), eV/Å³, in the axes of `atoms`.

    C_ij = ∂σ_i/∂ε_j by central differences of the stress. Where the cell holds several atoms, their relaxation under strain is
    taken out exactly to first order,

        C = C⁰ − (1/V) Λᵀ K⁺ Λ,    Λ = ∂f/∂ε at fixed fractional coordinates,    K = −∂f/∂u,

    (Born and Huang 1954; Lutsko 1989), with K from central differences of the forces and K⁺ its inverse without the
    uniform translations.

    Args:
        potential: gives stresses and forces.
        atoms: a periodic cell in equilibrium; its calculator is not used.
        strain: of the central differences; by default 1e-3, or 5e-3 for potentials in single precision.

    Raises:
        CrystalError: the tensor is not symmetric within 5%, so the crystal was not at rest or the stress is not the
            derivative of the energy.
    """
    constants = raw_elastic_tensor(potential, atoms, strain=strain)
    defect = np.abs(constants - constants.T).max() / np.abs(constants).max()
    if defect > _ASYMMETRY:
        raise CrystalError(
            f"The elastic constants of {atoms.symbols} are not symmetric ({100 * defect:.1f}%); expected at most "
            f"{100 * _ASYMMETRY:.0f}%. Relax the crystal first; if it is, the potential's stress is not the derivative of "
            "its energy."
        )
    return 0.5 * (constants + constants.T)


def raw_elastic_tensor(potential: Potential, atoms: Atoms, *, strain: float | None = None) -> NDArray[np.float64]:
    """Return the elastic constants as the stresses give them, not symmetrised; see `elastic_tensor`."""
    step = _STRAINS[potential.capabilities.precision] if strain is None else float(strain)
    if not 0.0 < step < 0.1:
        raise AtomisticError(f"The strain of the central differences must lie between 0 and 0.1; got {strain!r}.")
    cell = atoms.copy()
    cell.calc = None
    stresses, forces = np.zeros((6, 6)), np.zeros((3 * len(cell), 6))
    for j, (p, q) in enumerate(VOIGT):
        for sign in (1.0, -1.0):
            result = potential.evaluate(strained(cell, sign * step, p, q))
            stresses[:, j] += sign * full_3x3_to_voigt_6_stress(result.stress) / (2.0 * step)
            forces[:, j] += sign * result.forces.ravel() / (2.0 * step)
    if len(cell) == 1:
        return stresses
    constants = force_constants(potential, cell)
    return stresses - forces.T @ np.linalg.pinv(constants, rcond=1e-6, hermitian=True) @ forces / cell.get_volume()


def strained(atoms: Atoms, strain: float, p: int, q: int) -> Atoms:
    """Return `atoms` under the engineering strain of components p, q (symmetric, no rotation)."""
    deformation = np.eye(3)
    deformation[p, q] += 0.5 * strain
    deformation[q, p] += 0.5 * strain
    deformed = atoms.copy()
    deformed.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    return deformed


def force_constants(potential: Potential, atoms: Atoms) -> NDArray[np.float64]:
    """Return −∂f/∂u of a cell, (3n, 3n), eV/Å², symmetric and blind to uniform translations.

    The last atom is never moved: its row follows from translation.
    """
    count = len(atoms)
    matrix = np.zeros((3 * count, 3 * count))
    for column in range(3 * (count - 1)):
        for sign in (1.0, -1.0):
            moved = atoms.copy()
            moved.positions[column // 3, column % 3] += sign * _DISPLACEMENT
            matrix[:, column] -= sign * potential.evaluate(moved).forces.ravel() / (2.0 * _DISPLACEMENT)
    blocks = matrix.reshape(3 * count, count, 3)
    blocks[:, -1, :] = -blocks[:, :-1, :].sum(axis=1)
    return 0.5 * (matrix + matrix.T)


def rotate_stiffness(stiffness: ArrayLike, rotation: ArrayLike) -> NDArray[np.float64]:
    """Return the stiffness in rotated axes, (6, 6): C'_ijkl = R_ip R_jq R_kr R_ls C_pqrs.

    Args:
        stiffness: (6, 6), Voigt, in the old axes.
        rotation: (3, 3), rows are the new axes in the old ones.

    Raises:
        AtomisticError: shapes are wrong, or the rotation is not orthogonal.
    """
    matrix, turn = np.asarray(stiffness, dtype=float), np.asarray(rotation, dtype=float)
    if matrix.shape != (6, 6) or turn.shape != (3, 3):
        raise AtomisticError(f"Expected a (6, 6) stiffness and a (3, 3) rotation; got {matrix.shape} and {turn.shape}.")
    if not np.allclose(turn @ turn.T, np.eye(3), atol=1e-10):
        raise AtomisticError(f"The rows of a rotation must be orthonormal; got {turn.tolist()}.")
    tensor = matrix[_VOIGT_OF[:, :, None, None], _VOIGT_OF[None, None, :, :]]
    rotated = np.einsum("ip,jq,kr,ls,pqrs->ijkl", turn, turn, turn, turn, tensor, optimize=True)
    return np.array([[rotated[p, q, r, s] for r, s in VOIGT] for p, q in VOIGT])


def uniaxial_modulus(stiffness_lab: ArrayLike) -> float:
    """Return C' = C_yyyy: the stiffness of strain along the normal y of the plane at fixed lateral size, eV/Å³."""
    return float(np.asarray(stiffness_lab, dtype=float)[1, 1])


def symmetrised(stiffness: ArrayLike, group: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the average of a stiffness over the rotations of a point group: its part with the crystal's symmetry."""
    average = np.mean([rotate_stiffness(stiffness, rotation) for rotation in group], axis=0)
    return 0.5 * (average + average.T)


def rotation_group(*generators: ArrayLike) -> list[NDArray[np.float64]]:
    """Return all products of the generating rotations, each once."""
    seeds = [np.asarray(g, dtype=float) for g in generators]
    group = [np.eye(3)]
    for element in group:  # grows while it is walked through
        for seed in seeds:
            product = element @ seed
            if not any(np.allclose(product, known, atol=1e-9) for known in group):
                group.append(product)
    return group
