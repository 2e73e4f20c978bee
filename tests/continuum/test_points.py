"""Places in a mesh: found, evaluated exactly, and refused outside."""

import continuum  # noqa: F401 - before dolfinx: loads its wheel build where there is one

# isort: split
import numpy as np
import pytest
from dolfinx import fem
from dolfinx import mesh as dolfinx_mesh
from mpi4py import MPI

from continuum.errors import MeshError
from continuum.points import locate, point_operator


def body(dim=2):
    if dim == 2:
        return dolfinx_mesh.create_rectangle(MPI.COMM_SELF, [[0, 0], [4, 3]], [9, 7])
    return dolfinx_mesh.create_box(MPI.COMM_SELF, [[0, 0, 0], [4, 3, 2]], [4, 3, 2])


@pytest.mark.parametrize("dim", [2, 3])
def test_located_places_are_their_barycentric_sums(dim):
    mesh = body(dim)
    x = np.random.default_rng(0).random((500, dim)) * [4, 3, 2][:dim]
    found = locate(mesh, x)
    corners = mesh.geometry.x[mesh.geometry.dofmaps[0][found.cells]][:, :, :dim]
    assert np.einsum("pv,pvm->pm", found.barycentric, corners) == pytest.approx(x, abs=1e-14)
    assert found.depth.min() > -1e-12
    assert len(found.missing) == 0


def test_outside():
    x = np.array([[1.0, 1.0], [4.1, 1.0], [4.0 + 1e-10, 3.0], [-3.0, 9.0]])
    assert locate(body(), x).missing.tolist() == [1, 3]
    space = fem.functionspace(body(), ("Lagrange", 1))
    with pytest.raises(MeshError, match="2 of 4 places lie outside the mesh"):
        point_operator(space, x)


@pytest.mark.parametrize(("dim", "degree"), [(2, 1), (2, 2), (3, 1), (3, 2)])
def test_operator(dim, degree):
    space = fem.functionspace(body(dim), ("Lagrange", degree))
    x = np.random.default_rng(0).random((200, dim)) * [4, 3, 2][:dim]
    nodes = space.tabulate_dof_coordinates()[:, :dim]
    field = lambda x: 1 + x[:, 0] - 2 * x[:, 1] + (degree - 1) * x[:, 0] * x[:, -1]  # noqa: E731
    operator = point_operator(space, x)
    assert operator @ field(nodes) == pytest.approx(field(x), abs=1e-13)
    at_nodes = point_operator(space, nodes)
    assert at_nodes.nnz == len(nodes)
    assert at_nodes.diagonal() == pytest.approx(np.ones(len(nodes)), abs=1e-14)
