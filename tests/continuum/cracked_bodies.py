"""Linear cracked bodies on graded meshes, and the isotropic field of a crack, for tests."""

import numpy as np

from continuum.body import Body
from continuum.factorise import Factor
from continuum.materials import LinearElastic
from continuum.mesh import Growth, graded_mesh, node_sides, open_slit

SPACING = 2.5  # of the lattice, Å
LATTICE = SPACING * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
ORIGIN = 0.5 * LATTICE[1] - 0.5 * LATTICE[0]  # rows at y = ±h/2; x = 0 is midway between two facing sites and a node
YOUNG, POISSON = 1.2, 0.3
SHEAR = YOUNG / (2.0 * (1.0 + POISSON))
ISOTROPIC = LinearElastic.isotropic(E=YOUNG, nu=POISSON)
MODULUS = YOUNG / (1.0 - POISSON**2)
_VOIGT = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])


class Linear:
    """W = ½ ε:C:ε with the small strain ε = sym(F − 1)."""

    def __init__(self, elastic=ISOTROPIC):
        self.stiffness = elastic.stiffness[_VOIGT[:, :, None, None], _VOIGT[None, None]]

    def _strain(self, gradient):
        change = gradient - np.eye(3)
        return 0.5 * (change + np.swapaxes(change, 1, 2))

    def energy(self, gradient):
        return 0.5 * np.einsum("nij,nij->n", self.stress(gradient), self._strain(gradient))

    def stress(self, gradient):
        return np.einsum("ijkl,nkl->nij", self.stiffness, self._strain(gradient))

    def tangent(self, gradient):
        return np.broadcast_to(self.stiffness, (len(gradient), 3, 3, 3, 3))


def cut_mesh(shape, *, radius=8.0, slope=0.35, is_open=None):
    """Lattice-fine around each tip, coarse beyond."""

    def distance(x):
        return np.linalg.norm(x[:, None] - shape.tips, axis=-1).min(axis=1) - radius

    whole = graded_mesh(
        basis=LATTICE,
        origin=ORIGIN,
        distance=distance,
        domain=shape.corners,
        growth=Growth(slope=slope),
        interface=0.0,
    )
    return open_slit(whole, open=is_open or shape.is_open)


def cracked(shape, *, degree=2, material=None, thickness=3.0, radius=8.0, **options):
    """The body, linear where it is lattice-fine, and on which side of the crack each of its nodes lies."""
    mesh = cut_mesh(shape, radius=radius, **options)
    near = np.linalg.norm(mesh.points, axis=1) < radius + SPACING
    body = Body(
        mesh,
        material=material or Linear(),
        components=3,
        thickness=thickness,
        degree=degree,
        linear=near[mesh.cells].any(axis=1),
    )
    return body, node_sides(mesh, body.ends)


def pull(shape, load=1.0, *, steps=1, **options):
    """The body and its displacements with the grips opened by `load`, Å: Newton, one step for a linear body."""
    body, side = cracked(shape, **options)
    held = shape.held(body.nodes, side)
    u = np.where(held, load * shape.grips(body.nodes, side), 0.0)
    for _ in range(steps):
        u -= Factor(body.stiffness(u), ~held, symmetric=True).solve(body.gradient(u))
    return body, u, held


def crack_field(places, k, side):
    """Displacements (n, 3) of a crack with intensities k = (K_I, K_II, K_III) in the isotropic body, plane strain."""
    x, y = places.T
    angle = np.where((y == 0.0) & (x < 0.0), np.pi * side, np.arctan2(y, x))
    root, half, kappa = np.sqrt(np.hypot(x, y) / (2.0 * np.pi)), 0.5 * angle, 3.0 - 4.0 * POISSON
    cos, sin = np.cos(half), np.sin(half)
    first = np.stack([cos * (kappa - np.cos(angle)), sin * (kappa - np.cos(angle)), 0.0 * x], axis=1)
    second = np.stack([sin * (kappa + 2.0 + np.cos(angle)), -cos * (kappa - 2.0 + np.cos(angle)), 0.0 * x], axis=1)
    third = np.stack([0.0 * x, 0.0 * x, 4.0 * sin], axis=1)
    return root[:, None] / (2.0 * SHEAR) * (k[0] * first + k[1] * second + k[2] * third)


def energy_release(k):
    """G of intensities (K_I, K_II, K_III)."""
    return (k[0] ** 2 + k[1] ** 2) / MODULUS + k[2] ** 2 / (2.0 * SHEAR)
