"""What a Cauchy–Born continuum gives, and the kinematics that all of ours share."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomistic.elasticity import VOIGT
from atomistic.errors import CauchyBornError

Array = NDArray[np.float64]

#: Tensor indices of the Voigt components in two dimensions: xx, yy, xy; in three those of `atomistic.elasticity`.
PAIRS: dict[int, tuple[tuple[int, int], ...]] = {2: ((0, 0), (1, 1), (0, 1)), 3: VOIGT}


class CauchyBorn(Protocol):
    """The strain energy of the homogeneously deformed crystal, per undeformed volume.

    Deformation gradients F are (n, c, c); energies are eV/Å³ (eV/Å² for flat model lattices),
    counted from the same zero as the site energies of the potential.
    """

    def energy(self, deformation: Array, /) -> Array:
        """Return W(F), (n,); of the undeformed crystal the energy of a site over its volume."""

    def stress(self, deformation: Array, /) -> Array:
        """Return the first Piola–Kirchhoff stress P = ∂W/∂F, (n, c, c)."""

    def tangent(self, deformation: Array, /) -> Array:
        """Return A = ∂P/∂F, (n, c, c, c, c)."""


def checked_deformation(deformation: ArrayLike, components: int = 3) -> Array:
    """Return deformation gradients as a double array (n, c, c).

    Raises:
        CauchyBornError: another shape, or numbers that are not finite.
    """
    gradients = np.asarray(deformation, dtype=float)
    if gradients.ndim != 3 or gradients.shape[1:] != (components, components):
        raise CauchyBornError(
            f"Deformation gradients must have shape (n, {components}, {components}); got {gradients.shape}."
        )
    if not np.all(np.isfinite(gradients)):
        first = int(np.flatnonzero(~np.all(np.isfinite(gradients), axis=(1, 2)))[0])
        raise CauchyBornError(
            f"Deformation gradients must be finite; number {first} is {gradients[first].tolist()}. The displacements have "
            "diverged: take smaller load steps."
        )
    return gradients


def green_lagrange(deformation: Array) -> Array:
    """Return E = (FᵀF − I)/2 in Voigt order with engineering shears, (n, 6) or (n, 3)."""
    right = np.swapaxes(deformation, 1, 2) @ deformation
    pairs = PAIRS[deformation.shape[-1]]
    return np.stack([0.5 * (right[:, p, p] - 1.0) if p == q else right[:, p, q] for p, q in pairs], axis=1)


def strain_operator(deformation: Array) -> Array:
    """Return ∂E/∂F, (n, v, c·c): δE_v = Σ B_v,kJ δF_kJ for the Voigt components v of `green_lagrange`."""
    count, c, _ = deformation.shape
    operator = np.zeros((count, len(PAIRS[c]), c, c))
    for v, (p, q) in enumerate(PAIRS[c]):
        operator[:, v, :, q] += deformation[:, :, p]
        if p != q:
            operator[:, v, :, p] += deformation[:, :, q]
    return operator.reshape(count, -1, c * c)


def first_piola(deformation: Array, second: Array) -> Array:
    """Return P = F S from the second Piola–Kirchhoff stress S = ∂W/∂E in Voigt order (n, v)."""
    return deformation @ from_voigt(second)


def first_tangent(deformation: Array, second: Array, moduli: Array) -> Array:
    """Return ∂P/∂F = (∂E/∂F)ᵀ (∂S/∂E) (∂E/∂F) + I ⊗ S, (n, c, c, c, c).

    Args:
        deformation: F, (n, c, c).
        second: S, (n, v).
        moduli: ∂S/∂E, (n, v, v).
    """
    count, c, _ = deformation.shape
    operator = strain_operator(deformation)
    tangent = (np.swapaxes(operator, 1, 2) @ moduli @ operator).reshape(count, c, c, c, c)
    stress = from_voigt(second)
    for k in range(c):
        tangent[:, k, :, k, :] += stress
    return tangent


def from_voigt(stress: Array) -> Array:
    """Return symmetric tensors (n, c, c) from stresses in Voigt order (n, v)."""
    c = 3 if stress.shape[1] == 6 else 2
    tensor = np.empty((len(stress), c, c))
    for v, (p, q) in enumerate(PAIRS[c]):
        tensor[:, p, q] = tensor[:, q, p] = stress[:, v]
    return tensor


def stretch_of(strain: ArrayLike) -> Array:
    """Return the symmetric stretch U = (I + 2E)^½, (3, 3), of a Green–Lagrange strain in Voigt order (6,).

    Raises:
        CauchyBornError: no deformation has that strain.
    """
    e = np.asarray(strain, dtype=float)
    right = np.eye(3) + 2.0 * from_voigt(e[None] * np.array([1, 1, 1, 0.5, 0.5, 0.5]))[0]
    values, vectors = np.linalg.eigh(right)
    if values.min() <= 0.0:
        raise CauchyBornError(f"No deformation has the Green–Lagrange strain {e.tolist()}: I + 2E is not positive.")
    root: Array = (vectors * np.sqrt(values)) @ vectors.T
    return root


def strain_rotation(rotation: ArrayLike) -> Array:
    """Return the matrix (6, 6) that turns strains in Voigt order (engineering shears) into the axes `rotation` (rows).

    Stresses turn by its inverse transposed.
    """
    turn = np.asarray(rotation, dtype=float)
    columns = np.empty((6, 6))
    for v, (p, q) in enumerate(VOIGT):
        tensor = np.zeros((3, 3))
        tensor[p, q] += 0.5
        tensor[q, p] += 0.5
        turned = turn @ tensor @ turn.T
        columns[:, v] = [turned[i, j] if i == j else 2.0 * turned[i, j] for i, j in VOIGT]
    return columns


def stiffness_of(tangent: Array) -> Array:
    """Return the Voigt stiffness (v, v) of a tangent (c, c, c, c) at F = I without stress."""
    pairs = PAIRS[tangent.shape[0]]
    minor = 0.25 * (
        tangent + tangent.transpose(1, 0, 2, 3) + tangent.transpose(0, 1, 3, 2) + tangent.transpose(1, 0, 3, 2)
    )
    return np.array([[minor[p, q, r, s] for r, s in pairs] for p, q in pairs])
