"""One vacancy in a triangular lattice of toy-EAM atoms: the crystal, its meshes, and the coupled models of it.

The problem of the lattice benchmarks (Luskin, Ortner, Van Koten 2013; Ortner and Zhang 2016): spacing 1, six fixed neighbours,
far field F₀ = [1 .02; 0 1.03] times the stretch at which the crystal is free of pressure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atomistic.lattice import triangular_lattice
from atomistic.lattice_potentials import ToyEAM
from continuum.body import Body
from continuum.mesh import Growth, SimplexMesh, graded_mesh, triangulate
from coupling.handshake import CoupledModel, couple
from coupling.zones import Hexagon

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

TOY = ToyEAM()
LATTICE = triangular_lattice()
FAR_FIELD = np.array([[1.0, 0.02], [0.0, 1.03]]) * TOY.equilibrium_stretch()
#: Area of a lattice triangle.
TRIANGLE = np.sqrt(3.0) / 4.0


def layer(indices: Integers) -> Integers:
    """Hexagonal layer (n,) of lattice sites (n, 2)."""
    return np.maximum(np.abs(indices).max(axis=1), np.abs(indices.sum(axis=1)))


def layers_at(places: Array) -> Array:
    """The same, continuous, of places (n, 2)."""
    return Hexagon(layers=0.0).distance(places)


def sites_within(layers: int) -> Integers:
    """Indices (n, 2) of the sites of all layers up to this one."""
    i, j = np.meshgrid(*[np.arange(-layers, layers + 1)] * 2, indexing="ij")
    every = np.column_stack([i.ravel(), j.ravel()])
    return every[layer(every) <= layers]


def hexagon(radius: float) -> Array:
    """Corners (6, 2) of the hexagon of this many layers."""
    angles = np.arange(6) * np.pi / 3.0
    return radius * np.column_stack([np.cos(angles), np.sin(angles)])


@dataclass(frozen=True, kw_only=True)
class Rings:
    """Mesh of hexagonal rings of nodes: whole lattice layers inside, then rings at distances that grow.

    h(R) = (R/K)^p as the mean of both ends of a ring, no ring more than `most` times as wide as the last; scaled to end at
    the domain's edge. On a ring at R_i the sides are divided into ⌈R_i/h_i⌉, h_i half the distance of the two rings beside
    it. With p = 3/2 these are the meshes of the published runs, node for node.

    Attributes:
        fine: K, layers of the lattice kept whole.
        radius: of the domain, in layers.
        exponent: p.
        most: largest ratio of neighbouring widths.
    """

    fine: int
    radius: float
    exponent: float = 1.5
    most: float = 3.0

    def radii(self) -> Array:
        """Of the rings beyond the fine part, the last lattice layer first, and one radius beyond the domain."""
        fine, end = float(self.fine), float(self.radius)

        def size(r: float) -> float:
            return (r / fine) ** self.exponent

        rings, last = [fine], 1.0
        while rings[-1] < end:
            r = rings[-1]
            h = size(r)
            for _ in range(10):
                h = 0.5 * (size(r) + size(r + h))
            last = max(last, min(h, self.most * last))
            rings.append(r + last)
        found, after = np.array(rings), size(end)
        if len(found) > 2 and found[-1] - end > 0.5 * after:
            found = fine + (found[:-1] - fine) * (end - fine) / (found[-2] - fine)
        else:
            found[1:] = found[1] + (found[1:] - found[1]) * (end - found[1]) / max(found[-1] - found[1], 1e-12)
        found = np.append(found, end + after)
        if found[2] - found[1] < found[1] - found[0]:
            found[1] = 0.5 * (found[0] + found[2])
        return found

    def nodes(self) -> tuple[Array, NDArray[np.bool_]]:
        """Nodes (n, 2), sites of the lattice first, and which lie on the boundary (n,)."""
        parts = [LATTICE.places(sites_within(self.fine))]
        radii = self.radii()
        corners = hexagon(1.0)
        for before, r, after in zip(radii[:-2], radii[1:-1], radii[2:], strict=True):
            count = int(np.ceil(r / (0.5 * (after - before)) - 1e-12))
            t = np.arange(count)[:, None] / count
            parts += [r * ((1.0 - t) * a + t * b) for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)]
        boundary = np.zeros(sum(map(len, parts)), dtype=bool)
        boundary[-6 * count :] = True
        return np.concatenate(parts), boundary

    def mesh(self) -> SimplexMesh:
        """Delaunay's triangles of the nodes."""
        points, boundary = self.nodes()
        return SimplexMesh(points=points, cells=triangulate(points, LATTICE.basis), boundary=boundary)


def graded(fine: int, radius: float, growth: Growth) -> SimplexMesh:
    """The coupling's own mesh: lattice up to a layer, then sites of coarser and coarser sublattices."""
    return graded_mesh(
        basis=LATTICE.basis, distance=Hexagon(layers=fine).distance, domain=hexagon(radius), growth=growth
    )


def whole_lattice(radius: int) -> SimplexMesh:
    """The lattice itself up to a layer, as a mesh."""
    indices = sites_within(radius)
    points = LATTICE.places(indices)
    return SimplexMesh(points=points, cells=triangulate(points, LATTICE.basis), boundary=layer(indices) == radius)


def vacancy(
    mesh: SimplexMesh,
    *,
    core: float,
    width: float = 0.0,
    degree: int = 1,
    blend: str = "minimal-curvature",
) -> CoupledModel:
    """The coupled model of one vacancy at the origin.

    Args:
        mesh: nodes and cells; its boundary keeps u = 0.
        core: layers with β = 0.
        width: of the blend, in layers.
        degree: of the elements beyond the blend.
        blend: blending function.
    """
    return couple(
        lattice=LATTICE,
        make_atoms=TOY.cluster,
        material=TOY.cauchy_born(),
        zone=Hexagon(layers=core),
        domain=hexagon(float(layers_at(mesh.points).max())),
        width=width,
        pad=2.0,
        blend=blend,
        absent=[(0, 0)],
        far_field=FAR_FIELD,
        degree=degree,
        mesh=mesh,
    )


def interpolate(body: Body, u: Array, places: Array) -> Array:
    """Displacements (p, 2) at places (p, 2), zero outside the body."""
    found = np.zeros(places.shape)
    edge = float(layers_at(body.nodes).max())
    inside = layers_at(places) < edge * (1.0 - 1e-12)
    if inside.any():
        found[inside] = body.interpolation(places[inside]) @ u
    return found
