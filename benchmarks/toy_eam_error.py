"""How far a coupled solution is from the reference, over the whole plane: ‖D(Iu − u_ref)‖/‖Du_ref‖.

Near the defect the sum runs over lattice triangles, u taken at the sites. Where elements are much larger than the lattice its
interpolant I changes nothing and the integral is taken over the elements; beyond the body u = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import basix
import numpy as np
from numpy.typing import NDArray
from toy_eam_problem import LATTICE, Integers, interpolate, layers_at, sites_within
from toy_eam_reference import Reference, lattice_square

from continuum.body import Body
from continuum.elements import Group

Array = NDArray[np.float64]
#: Layers up to which the lattice's own triangles are summed.
SUMMED = 96
#: Degree of the quadrature in elements outside, and parts that each side is divided into of those that lie across.
_DEGREE, _DIVISIONS = 12, 12


@dataclass(frozen=True)
class Error:
    """Relative errors; their squares add up.

    Attributes:
        near: over the lattice triangles up to `SUMMED` layers.
        far: over the elements beyond.
        outside: beyond the body.
    """

    near: float
    far: float
    outside: float

    @property
    def total(self) -> float:
        """The error itself."""
        return float(np.sqrt(self.near**2 + self.far**2 + self.outside**2))


def measure(body: Body, u: Array, reference: Reference, *, summed: int = SUMMED) -> Error:
    """The relative error of displacements u (nodes, 2) of a body whose boundary is a hexagon with u = 0."""
    indices = sites_within(summed)
    difference = interpolate(body, u, LATTICE.places(indices)) - reference.displacement(indices)
    table = np.full((2 * summed + 1, 2 * summed + 1, 2), np.nan)
    table[tuple((indices + summed).T)] = difference
    edge = float(layers_at(body.nodes).max())
    squares = (
        lattice_square(table),
        _far(body, u, reference, summed) if edge > summed else 0.0,
        reference.far.square_beyond(max(edge, summed)),
    )
    return Error(*(float(np.sqrt(s / reference.square)) for s in squares))


def _far(body: Body, u: Array, reference: Reference, summed: int) -> float:
    """∫ |∇u_h − ∇u_ref|² over the elements outside a hexagon; those it cuts by the parts of them that lie outside."""
    layers, total = layers_at(body.mesh.points)[body.cells], 0.0
    # Cells whose corners lie well outside are taken not to be cut; what is cut of them all the same is not counted.
    centre = layers_at(body.mesh.points[body.cells].mean(axis=1))
    out, inside = layers.min(axis=1) > 1.2 * summed, (layers.max(axis=1) <= summed) & (centre <= summed)
    points, weights = (np.asarray(a) for a in basix.make_quadrature(basix.CellType.triangle, _DEGREE))
    parts = _points(_DIVISIONS)
    for group in body.groups:
        for cells, x, w in (
            (np.flatnonzero(out[group.cells]), points, weights),
            (np.flatnonzero(~(out | inside)[group.cells]), parts, np.full(len(parts), 0.5 / len(parts))),
        ):
            total += _integral(group, cells, x, w, u, reference, summed)
    return total


def _integral(
    group: Group, cells: Integers, points: Array, weights: Array, u: Array, reference: Reference, summed: int
) -> float:
    """The same over some cells of one degree, with a quadrature of the unit triangle."""
    corners = group.corners[cells]
    jacobian = np.swapaxes(corners[:, 1:] - corners[:, :1], 1, 2)
    size, inverse = np.abs(np.linalg.det(jacobian)), np.linalg.inv(jacobian)
    table = np.asarray(group.element.tabulate(1, points))[1:, :, :, 0]  # direction, point, function
    total = 0.0
    for k, (point, weight) in enumerate(zip(points, weights, strict=True)):
        places = corners[:, 0] + np.einsum("cij,j->ci", jacobian, point)
        beyond = layers_at(places) > summed
        slopes = group.fold(cells, np.einsum("cjm,js->cms", inverse, table[:, k]))
        found = np.einsum("cms,csi->cim", slopes[beyond], u[group.nodes[cells][beyond]])
        wanted = reference.far.gradient(places[beyond])
        total += weight * float(size[beyond] @ np.sum((found - wanted) ** 2, axis=(1, 2)))
    return total


def _points(n: int) -> Array:
    """Centroids (n², 2) of a triangle's division into n² equal ones, in its own coordinates."""
    up = [(i + 1 / 3, j + 1 / 3) for i in range(n) for j in range(n - i)]
    down = [(i + 2 / 3, j + 2 / 3) for i in range(n) for j in range(n - i - 1)]
    return np.array(up + down) / n
