"""Bodies and the interfaces between them: built-in specimens and files from gmsh and meshio."""

from continuum.mesh.bodies import CELLS, BodyMesh, InterfaceFacets, split_bodies
from continuum.mesh.builtin import block, double_cantilever_beam
from continuum.mesh.graded import graded_mesh
from continuum.mesh.growth import Growth
from continuum.mesh.half_space import half_space
from continuum.mesh.inclusion import round_inclusion
from continuum.mesh.io import read_mesh
from continuum.mesh.octree import obtuse_basis
from continuum.mesh.simplex import SimplexMesh, triangulate
from continuum.mesh.slit import node_sides, open_slit

__all__ = [
    "CELLS",
    "BodyMesh",
    "Growth",
    "InterfaceFacets",
    "SimplexMesh",
    "block",
    "double_cantilever_beam",
    "graded_mesh",
    "half_space",
    "node_sides",
    "obtuse_basis",
    "open_slit",
    "read_mesh",
    "round_inclusion",
    "split_bodies",
    "triangulate",
]
