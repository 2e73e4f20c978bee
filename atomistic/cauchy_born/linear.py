"""The crystal's elastic constants at small strain."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from atomistic.cauchy_born.base import PAIRS, Array, checked_deformation
from atomistic.errors import CauchyBornError


class LinearCauchyBorn:
    """Linear elasticity, W = W₀ + ½ ε : C : ε with ε = sym(F − I) and P = C : ε.

    Right to first order in the displacement gradient. It knows nothing of rotations: a rigid turn by the angle ω costs
    energy of fourth order in ω and gives stress of second order.

    Args:
        stiffness: (6, 6), Voigt, eV/Å³, in the laboratory axes; (3, 3) for flat model lattices.
        rest_energy: W₀, of the undeformed crystal, eV/Å³.

    Raises:
        CauchyBornError: not such a matrix, not symmetric, or not positive definite.
    """

    def __init__(self, stiffness: ArrayLike, *, rest_energy: float = 0.0) -> None:
        matrix = np.array(stiffness, dtype=float)
        if matrix.shape not in ((6, 6), (3, 3)) or not np.all(np.isfinite(matrix)):
            raise CauchyBornError(
                f"A stiffness must be a finite (6, 6) matrix, or (3, 3) in two dimensions; got shape {matrix.shape}."
            )
        if np.abs(matrix - matrix.T).max() > 1e-6 * np.abs(matrix).max() or np.linalg.eigvalsh(matrix).min() <= 0.0:
            raise CauchyBornError(
                f"A stiffness must be symmetric and positive definite; its eigenvalues are "
                f"{np.linalg.eigvalsh(0.5 * (matrix + matrix.T)).tolist()} eV/Å³. Take that of a relaxed crystal."
            )
        self.stiffness: Array = 0.5 * (matrix + matrix.T)
        self.rest_energy = float(rest_energy)
        self.components = 3 if len(matrix) == 6 else 2
        self._tensor = np.empty((self.components,) * 4)
        for v, (p, q) in enumerate(PAIRS[self.components]):
            for w, (r, s) in enumerate(PAIRS[self.components]):
                for i, j in ((p, q), (q, p)):
                    for k, m in ((r, s), (s, r)):
                        self._tensor[i, j, k, m] = self.stiffness[v, w]

    def energy(self, deformation: Array) -> Array:
        """Return W, (n,), eV/Å³."""
        strain = self._gradient(deformation)
        return self.rest_energy + 0.5 * np.einsum("nij,nij->n", strain, self._apply(strain))

    def stress(self, deformation: Array) -> Array:
        """Return P = C : ε, (n, c, c), eV/Å³."""
        return self._apply(self._gradient(deformation))

    def tangent(self, deformation: Array) -> Array:
        """Return C for every point, (n, c, c, c, c), eV/Å³; a read-only view of one tensor."""
        gradients = checked_deformation(deformation, self.components)
        return np.broadcast_to(self._tensor, (len(gradients), *self._tensor.shape))

    def _gradient(self, deformation: Array) -> Array:
        """Return F − I, of which the elastic constants see the symmetric part only."""
        return checked_deformation(deformation, self.components) - np.eye(self.components)

    def _apply(self, gradient: Array) -> Array:
        """Return C : ∇u, (n, c, c)."""
        c = self.components
        return (gradient.reshape(-1, c * c) @ self._tensor.reshape(c * c, c * c)).reshape(-1, c, c)
