"""Bodies and the interfaces between them: built-in specimens and files from gmsh and meshio."""

from continuum.mesh.bodies import CELLS, BodyMesh, InterfaceFacets, split_bodies
from continuum.mesh.builtin import block, double_cantilever_beam
from continuum.mesh.io import read_mesh

__all__ = ["CELLS", "BodyMesh", "InterfaceFacets", "block", "double_cantilever_beam", "read_mesh", "split_bodies"]
