"""The J integral of a plane body over rings of elements around a crack's tip.

    J = ∮ (W n₁ − P_iJ n_J ∂u_i/∂X₁) ds = ∫ (P_iJ ∂u_i/∂X₁ − W δ_1J) ∂q/∂X_J dA

for any q that is one inside the ring and zero outside (Rice 1968; Li, Shih and Needleman 1985), with the first
Piola–Kirchhoff stress P, so that displacements may be large. The crack's faces are free of traction and parallel to x. q is
linear in every element, its values at the vertices those of a ramp in the distance from the tip: J is then, to rounding, what
the energy of the same finite elements loses as the mesh inside the ring is pushed along x.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from continuum.body import Body
from continuum.errors import BodyError

Array = NDArray[np.float64]


class JIntegral:
    """Energy that a crack would release per area as it grows along +x, from one ring of elements.

    Args:
        body: plane, of the full energy W in the ring.
        tip: (2,) centre of the ring, Å.
        inner: radius up to which q = 1, Å.
        outer: radius from which q = 0, Å.
        weights: (k,) of the body's cells: those in the ring must be 1. None: not checked.

    Attributes:
        body, tip, inner, outer: as given.
        cells: (r,) cells of the ring, where q is not constant.

    Raises:
        BodyError: a solid body, radii that make no ring, a ring that leaves the body or holds no element, or cells in it
            that do not have their full weight.
    """

    def __init__(
        self, body: Body, *, tip: ArrayLike = (0.0, 0.0), inner: float, outer: float, weights: Array | None = None
    ) -> None:
        if body.nodes.shape[1] != 2:
            raise BodyError("a solid body: expected a plane one, whose crack front is along z")
        if not (np.isfinite(outer) and 0.0 <= inner < outer):
            raise BodyError(f"a ring from {inner!r} to {outer!r} Å: expected 0 <= inner < outer")
        self.body, self.tip = body, np.asarray(tip, dtype=float)
        self.inner, self.outer = float(inner), float(outer)
        mesh = body.mesh
        distance = np.linalg.norm(mesh.points - self.tip, axis=1)
        q = np.clip((self.outer - distance) / (self.outer - self.inner), 0.0, 1.0)
        if (q[mesh.boundary] > 0.0).any():
            raise BodyError(
                f"a ring of outer radius {outer:g} Å that reaches the boundary, {distance[mesh.boundary].min():g} Å from the "
                "tip: expected one inside the body"
            )
        self.cells = np.flatnonzero(np.ptp(q[mesh.cells], axis=1) > 0.0)
        if not len(self.cells):
            raise BodyError(f"no element between {inner:g} and {outer:g} Å from the tip: expected a wider ring")
        if weights is not None and (np.abs(weights[self.cells] - 1.0) > 1e-12).any():
            raise BodyError(
                f"elements of weight {weights[self.cells].min():.3g} in the ring from {inner:g} to {outer:g} Å: expected whole "
                "ones; take a ring beyond the blend"
            )
        corners = mesh.points[mesh.cells[self.cells]]
        rise = q[mesh.cells[self.cells]]
        slope = np.linalg.solve(corners[:, 1:] - corners[:, :1], (rise[:, 1:] - rise[:, :1])[..., None])[..., 0]
        row = np.full(len(mesh.cells), -1)
        row[self.cells] = np.arange(len(self.cells))
        self._points = np.flatnonzero(row[body.cell_of_point] >= 0)
        # ∂q/∂X times the area of each quadrature point, (points, 2).
        areas = body.point_volumes[self._points] / body.thickness
        self._pull = areas[:, None] * slope[row[body.cell_of_point[self._points]]]

    def value(self, u: Array) -> float:
        """J, eV/Å², for displacements u (n, c), Å."""
        gradient = self.body.gradients(u)[self._points]
        energy = self.body.material.energy(gradient)
        stress = self.body.material.stress(gradient)
        along = gradient[:, :, 0] - np.eye(self.body.components)[0]
        flux = np.einsum("pij,pi->pj", stress[:, :, :2], along)
        flux[:, 0] -= energy
        return float((flux * self._pull).sum())

    def rings(self, u: Array, radii: ArrayLike) -> Array:
        """J (r − 1,) of the rings between neighbouring radii (r,), Å: equal where J does not depend on the path."""
        return np.array(
            [
                JIntegral(self.body, tip=self.tip, inner=a, outer=b).value(u)
                for a, b in pairwise(np.asarray(radii, dtype=float).tolist())
            ]
        )
