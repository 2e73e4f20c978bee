"""Whether a crack stays in an equilibrium, or leaves it by itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coupling.crack.tangent import CrackTangent

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Steps of Arnoldi's method: a negative eigenvalue lies apart from all others, and a few of them find it.
_STEPS = 30


def way_down(tangent: CrackTangent, rows: Integers) -> tuple[float, Array] | None:
    """How a saddle is left: the stiffness that is negative, and its displacement; None at a stable state.

    With J the tangent and c some rows, S⁻¹ = (J⁻¹)_cc is the compliance of these rows while all others follow. Where the others
    by themselves are stable, S has as many negative eigenvalues as J (Haynsworth 1968), and in S⁻¹ they are the ones farthest
    to the left, the first that Arnoldi's method (1951) finds. It begins with noise, which has no symmetry.

    Args:
        tangent: taken at the state.
        rows: (k,) of the unknowns: where bonds break.

    Returns:
        Stiffness, eV/Å², the one of several negative ones that is nearest to zero; displacement (rows, 3) of all unknowns, its
        largest component 1.
    """
    size, shape = 3 * len(rows), tangent.method.shape

    def answer(push: Array) -> Array:
        residual = np.zeros(shape)
        residual[rows] = push.reshape(-1, 3)
        return tangent.solve(residual)

    steps = min(_STEPS, size)
    basis, projected = np.zeros((steps + 1, size)), np.zeros((steps + 1, steps))
    basis[0] = np.random.default_rng(0).standard_normal(size)
    basis[0] /= np.linalg.norm(basis[0])
    for k in range(steps):
        found = answer(basis[k])[rows].ravel()
        for _ in range(2):  # the second time takes away what rounding left
            share = basis[: k + 1] @ found
            projected[: k + 1, k] += share
            found = found - share @ basis[: k + 1]
        projected[k + 1, k] = np.linalg.norm(found)
        basis[k + 1] = found / max(projected[k + 1, k], 1e-300)
    values, vectors = np.linalg.eig(projected[:steps])
    lowest = int(np.argmin(values.real))
    if values[lowest].real >= 0.0:
        return None
    mode = answer(vectors[:, lowest].real @ basis[:steps])
    return 1.0 / float(values[lowest].real), mode / np.abs(mode).max()
