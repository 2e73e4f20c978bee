"""The field at the atoms and its transpose: exact, adjoint, the same on every number of ranks, errors on all of them."""

import json

import continuum  # noqa: F401 - before dolfinx: loads its wheel build where there is one

# isort: split
import numpy as np
import pytest
from dolfinx import fem, mesh
from mpi4py import MPI

from coupling.transfer import Transfer
from tests.mpi import run_mpi

# Any number of ranks: fields that the elements hold exactly, adjointness, and numbers to compare between runs.
CASES = """
import json
import continuum
import numpy as np
from dolfinx import fem, mesh
from mpi4py import MPI
from coupling.transfer import Transfer
comm = MPI.COMM_WORLD
figures = []
for dim, c, degree in ((2, 3, 1), (2, 3, 2), (2, 1, 2), (3, 3, 1), (3, 3, 2)):
    rng = np.random.default_rng(7)
    high = np.array([4.0, 3.0, 2.0][:dim])
    counts = [9, 7, 4][:dim]
    make = mesh.create_rectangle if dim == 2 else mesh.create_box
    body = make(comm, [np.zeros(dim), high], counts)
    space = fem.functionspace(body, ("Lagrange", degree, (c,)))
    # Inside, on nodes (hence on borders between ranks), and on the boundary.
    nodes = np.stack(np.meshgrid(*[np.linspace(0, h, n + 1) for h, n in zip(high, counts)]), axis=-1).reshape(-1, dim)
    x = np.concatenate([rng.random((300, dim)) * high, nodes, rng.random((40, dim)) * high * ([0] + [1] * (dim - 1))])
    transfer = Transfer(space, x)
    linear, square = rng.standard_normal((c, dim)), (degree - 1) * rng.standard_normal((c, dim, dim))
    def exact(x):
        return 0.5 + linear @ x[:dim] + np.einsum("cij,ip,jp->cp", square, x[:dim], x[:dim])
    u = fem.Function(space)
    u.interpolate(exact)
    found = transfer.to_atoms(u)
    wild = fem.Function(space)
    wild.interpolate(lambda x: np.array([np.sin(3 * x[0] + k) * np.cos(5 * x[1]) + x[2] ** 3 for k in range(c)]))
    values = transfer.to_atoms(wild.x.petsc_vec)
    forces = rng.standard_normal(values.shape)
    on_nodes = transfer.to_nodes(forces)
    pair = (values * forces).sum(), on_nodes.dot(wild.x.petsc_vec)
    # Forces and moments arrive whole: Σ f and Σ x f.
    ones = fem.Function(space)
    ones.interpolate(lambda x: np.array([x[0]] * c))
    moment = on_nodes.dot(ones.x.petsc_vec) - (forces * x[:, :1]).sum()
    figures.append(dict(
        error=float(np.abs(found - exact(x.T).T).max()), adjoint=abs(pair[0] - pair[1]) / np.abs(values * forces).sum(),
        moment=abs(moment), values=values.ravel()[::7].tolist(), norm=on_nodes.norm(), rows=transfer.matrix.getSizes()[0],
    ))
    same = comm.bcast(values)
    assert np.array_equal(same, values)
if comm.rank == 0:
    print(json.dumps(figures))
"""


def test_exact_adjoint_and_independent_of_ranks():
    one, *others = [json.loads(run_mpi(n, CASES).stdout.splitlines()[-1]) for n in (1, 2, 3)]
    for figures in (one, *others):
        for f in figures:
            # Fields of size 30 in double precision.
            assert f["error"] < 5e-14
            assert f["adjoint"] < 1e-14
            assert f["moment"] < 1e-11
    for other in others:
        for a, b in zip(one, other, strict=True):
            assert b["values"] == pytest.approx(a["values"], abs=1e-14)
            assert b["norm"] == pytest.approx(a["norm"], rel=1e-13)
            assert b["rows"][1] == a["rows"][1]
            assert b["rows"][0] < a["rows"][0]


FAILURES = """
import sys
import continuum
import numpy as np
from dolfinx import fem, mesh
from mpi4py import MPI
from coupling.errors import TransferError
from coupling.transfer import Transfer
comm = MPI.COMM_WORLD
body = mesh.create_rectangle(comm, [[0, 0], [4, 3]], [6, 5])
space = fem.functionspace(body, ("Lagrange", 1, (3,)))
quads = mesh.create_rectangle(comm, [[0, 0], [4, 3]], [6, 5], mesh.CellType.quadrilateral)
inside = np.array([[1.0, 1.0], [2.0, 2.5]])
transfer = Transfer(space, inside)
other = fem.Function(fem.functionspace(body, ("Lagrange", 2, (3,))))
attempts = {
    "2 of 4 atoms lie outside": lambda: Transfer(space, [[1, 1], [5, 1], [2, 2], [2, -0.1]]),
    "differ between the ranks": lambda: Transfer(space, inside + 0.1 * comm.rank),
    "finite coordinates": lambda: Transfer(space, inside * (np.nan if comm.rank else 1.0)),
    "expected (n, 2)": lambda: Transfer(space, np.zeros((2, 3))),
    "triangles and tetrahedra": lambda: Transfer(fem.functionspace(quads, ("Lagrange", 1, (3,))), inside),
    "continuous Lagrange": lambda: Transfer(fem.functionspace(body, ("DG", 0, (3,))), inside),
    "unknowns (own, all)": lambda: transfer.to_atoms(other),
    "forces of shape": lambda: transfer.to_nodes(np.zeros((2, 3 - comm.rank))),
    "not finite": lambda: transfer.to_nodes(np.full((2, 3), np.inf)),
    "COMM_SELF": lambda: transfer.csr(),
}
for text, attempt in attempts.items():
    try:
        attempt()
    except TransferError as error:
        assert text in str(error), (text, str(error))
        assert comm.allreduce(1) == comm.size
    else:
        sys.exit(f"no error: {text}")
"""


def test_failures_reach_all_ranks():
    run_mpi(2, FAILURES, timeout=60)


def test_serial_matrix():
    body = mesh.create_rectangle(MPI.COMM_SELF, [[0, 0], [4, 3]], [6, 5])
    space = fem.functionspace(body, ("Lagrange", 2, (3,)))
    x = np.random.default_rng(0).random((50, 2)) * [4, 3]
    transfer = Transfer(space, x)
    matrix = transfer.csr()
    u = fem.Function(space)
    u.x.array[:] = np.random.default_rng(1).standard_normal(len(u.x.array))
    assert (matrix @ u.x.array).reshape(-1, 3) == pytest.approx(transfer.to_atoms(u), abs=1e-14)
    assert np.asarray(matrix.sum(axis=1)).ravel() == pytest.approx(np.ones(150), abs=1e-14)
    # The nodes themselves: one entry a row.
    nodes = space.tabulate_dof_coordinates()[:, :2]
    assert Transfer(space, nodes).csr().nnz == 3 * len(nodes)
