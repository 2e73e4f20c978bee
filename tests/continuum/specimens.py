"""Specimens that several tests pull apart."""

from mpi4py import MPI

from continuum.laws import ExponentialLaw
from continuum.materials import LinearElastic
from continuum.mesh import CELLS, block
from continuum.solid import Solid
from continuum.supports import Displacement

HEIGHT = 20.0
METAL = LinearElastic.isotropic(E=0.6, nu=0.3)
LAW = {"fracture_energy": 0.0743, "peak_traction": 0.0624}


def pulled_block(cell="triangle", *, degree=2, law=None, sideways=0.0, comm=MPI.COMM_WORLD, **options):
    """A block in uniaxial strain: both layers, the interface between them, its top pulled up by the load."""
    dim = CELLS[cell]
    mesh = block(comm, size=[10.0, HEIGHT, 10.0][:dim], divisions=[3, 2, 3][:dim], cell=cell, **options)
    supports = [Displacement(group="bottom", component=c) for c in "xyz"[:dim]] if sideways else []
    if sideways:
        supports += [Displacement(group="top", component="x", factor=sideways)]
        supports += [Displacement(group="top", component="z")] if dim == 3 else []
    else:
        supports += [Displacement(group="bottom", component="y")]
        supports += [Displacement(group=g, component="x") for g in ("left", "right")]
        supports += [Displacement(group=g, component="z") for g in ("back", "front") if dim == 3]
    supports += [Displacement(group="top", component="y", factor=1.0)]
    law = law or ExponentialLaw(**LAW)
    return Solid(
        mesh,
        materials=dict.fromkeys(mesh.bodies, METAL),
        interfaces=dict.fromkeys(mesh.interfaces, law),
        degree=degree,
        supports=supports,
    )
