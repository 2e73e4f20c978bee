"""Solids of several bodies in space: triple lines, inclusions, interfaces of two laws."""

import numpy as np
from mpi4py import MPI
from specimens import LAW, METAL

from continuum.laws import BilinearLaw, ExponentialLaw
from continuum.mesh import CELLS, round_inclusion, split_bodies
from continuum.mesh.builtin import grid, on_plane
from continuum.solid import Solid
from continuum.supports import Displacement

EDGE = 10.0


def triple_line(cell, *, n=4, comm=MPI.COMM_WORLD):
    """A cube of three bodies that meet at the line x = y = EDGE/2: `base` below, `west` and `east` side by side on it."""
    dim = CELLS[cell]
    points, cells = grid([np.linspace(0.0, EDGE, n + 1)] * dim, cell)
    middle = points[cells].mean(axis=1)
    body = np.where(middle[:, 1] < EDGE / 2, 0, np.where(middle[:, 0] < EDGE / 2, 1, 2))
    faces = {"left": (0, 0.0), "right": (0, EDGE), "bottom": (1, 0.0), "top": (1, EDGE)}
    faces |= {"back": (2, 0.0), "front": (2, EDGE)} if dim == 3 else {}
    return split_bodies(
        comm,
        points=points,
        cells=cells,
        cell=cell,
        body_of_cell=body,
        bodies=["base", "west", "east"],
        groups={name: on_plane(*where) for name, where in faces.items()},
    )


def pulled(bodies, *, degree=1, law=None, sideways=None):
    """Top pulled up, bottom held in y alone: uniaxial stress; with `sideways` both are clamped and the top moves along x too."""
    dim = bodies.mesh.geometry.dim
    supports = [Displacement(group="bottom", component="y"), Displacement(group="top", component="y", factor=1.0)]
    if sideways is None:
        supports += [Displacement(group=g, component=c) for g, c in (("left", "x"), ("back", "z"))[: dim - 1]]
    else:
        supports += [Displacement(group="bottom", component=c) for c in "xz"[: dim - 1]]
        supports += [Displacement(group="top", component="x", factor=sideways)]
        supports += [Displacement(group="top", component="z")] if dim == 3 else []
    laws = law if isinstance(law, dict) else dict.fromkeys(bodies.interfaces, law or ExponentialLaw(**LAW))
    return Solid(
        bodies, materials=dict.fromkeys(bodies.bodies, METAL), interfaces=laws, degree=degree, supports=supports
    )


def with_inclusion(cell, *, facet_size=1.5, comm=MPI.COMM_WORLD, **options):
    """A round inclusion, of another stiffness unless asked otherwise, in a cube of EDGE."""
    bodies = round_inclusion(comm, size=[EDGE] * CELLS[cell], radius=3.0, facet_size=facet_size, cell=cell)
    return pulled(bodies, **options)


def spring(stiffness):
    """A law that stays linear for all openings of these tests."""
    return BilinearLaw(fracture_energy=1e3, peak_traction=1e2, initial_stiffness=stiffness)
