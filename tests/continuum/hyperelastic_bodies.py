"""Small bodies of each kind under a random applied deformation."""

import numpy as np
from kirchhoff import Kirchhoff

from continuum.body import Body
from continuum.laws import UberLaw
from continuum.mesh import graded_mesh, obtuse_basis

EQUILATERAL = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
FCC = obtuse_basis([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
BOX = np.array([[-14.0, -12.0], [15.0, -12.0], [15.0, 12.0], [-14.0, 12.0]])
LAW = UberLaw(work=0.4, length=0.6, unloading="reversible")
KINDS = [
    "flat P1",
    "flat P2",
    "flat mixed",
    "plane P1",
    "plane P2",
    "plane mixed",
    "solid P1",
    "solid P2",
    "solid mixed",
]


def make(kind, *, law=None, seed=3, scale=0.03, material=None):
    """A body of one kind under a random applied deformation."""
    shape, order = kind.split()
    radius = 4.0
    c = 2 if shape == "flat" else 3

    def distance(x):
        return np.linalg.norm(x, axis=1) - radius

    if shape == "solid":
        mesh = graded_mesh(basis=FCC, distance=lambda x: distance(x) + 2.0, domain=[[-8] * 3, [8] * 3])
    else:
        y = 0.5 * EQUILATERAL[1, 1] if law is not None else None
        mesh = graded_mesh(basis=EQUILATERAL, distance=distance, domain=BOX, interface=y)
    centres = mesh.points[mesh.cells].mean(axis=1)
    F0 = np.eye(c) + scale * np.random.default_rng(seed).normal(size=(c, c))
    return Body(
        mesh,
        material=material or Kirchhoff(),
        components=c,
        thickness=1.0 if shape == "solid" else 2.86,
        degree=1 if order == "P1" else 2,
        linear=np.linalg.norm(centres, axis=1) < radius if order == "mixed" else None,
        F0=F0,
        law=law,
    )


def random(body, size=0.05, seed=0):
    return size * np.random.default_rng(seed).normal(size=(body.size, body.components))
