"""A preconditioner for solids with stiff interfaces: tied bodies and jumps, one after the other.

A penalty that is stiff beside the bulk, as that of an intrinsic law on a coarse mesh is, hides the common motion of both
nodes of a pair from every pointwise smoother: multigrid then takes hundreds of iterations. Every displacement is the sum of
one without jumps and one of jumps alone, u = P_m m + P_j j, and the energy of both parts together is at most a few times
that of u once the interface is stiffer than the elements beside it. So M⁻¹ = P_m A_m⁻¹ P_mᵀ + P_j A_j⁻¹ P_jᵀ with the
Galerkin matrices A_m = P_mᵀ A P_m (the tied bodies: multigrid) and A_j = P_jᵀ A P_j (well conditioned: a few Chebyshev
steps) is a good one whatever the stiffness (additive subspace correction, Xu 1992). Pairs that have softened are not tied.
"""

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from petsc4py import PETSc
from scipy.sparse.csgraph import connected_components

from continuum.solid import Solid

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
# Stiffness of a pair over that of the softer of its nodes in the bulk (sums of diagonals) beyond which it is tied.
_STIFF = 0.5
_STEPS = "4"


class TiedPairs:
    """What PETSc calls to apply the preconditioner (a context of its PC type ``python``).

    Args:
        solid: its interfaces say which nodes are pairs.
        fixed: (dofs,) of the whole solid, True where prescribed.
        multigrid: makes a preconditioner for elastic matrices from the matrix and its nodes' places (owned, dim).
    """

    def __init__(self, solid: Solid, fixed: NDArray[np.bool_], multigrid: Any) -> None:
        self.solid, self.fixed, self._multigrid = solid, fixed, multigrid
        self._held: list[Any] = []
        self._inner: Any = None
        self._jumps: Any = None
        self._bulk = self._bulk_stiffness()

    def renew(self, matrix: PETSc.Mat, tangent: Array) -> None:
        """Build it for a matrix whose interfaces have D = tangent (points, dim, dim); collective."""
        for one in self._held:
            one.destroy()
        self._held, self._jumps = [], None
        solid, dim = self.solid, self.solid.dim
        places = solid.space.tabulate_dof_coordinates()[: solid.space.dofmap.index_map.size_local, :dim]
        pairs = solid.interfaces.nodes[self._stiff(tangent)]
        if not len(pairs):
            self._inner = self._multigrid(matrix, places)
            self._held = [self._inner]
            return
        self._tied, kept = self._merge(matrix, pairs)
        self._opened = self._part(matrix, pairs)
        bodies, jumps = matrix.ptap(self._tied), matrix.ptap(self._opened)
        for one in (bodies, jumps):
            one.setBlockSize(dim)
        self._inner = self._multigrid(bodies, places[kept])
        self._jumps = _chebyshev(jumps)
        self._small = [m.createVecRight() for m in (bodies, bodies, jumps, jumps)]
        self._held = [self._inner, self._jumps, bodies, jumps, self._tied, self._opened, *self._small]

    def apply(self, pc: PETSc.PC, right: PETSc.Vec, left: PETSc.Vec) -> None:
        """M⁻¹ of a residual; called by PETSc."""
        if self._jumps is None:
            self._inner.apply(right, left)
            return
        of_bodies, bodies, of_jumps, jumps = self._small
        self._tied.multTranspose(right, of_bodies)
        self._inner.apply(of_bodies, bodies)
        self._tied.mult(bodies, left)
        self._opened.multTranspose(right, of_jumps)
        self._jumps.solve(of_jumps, jumps)
        self._opened.multAdd(jumps, left, left)

    def _bulk_stiffness(self) -> Array:
        """(pairs,) sum of the bulk's diagonal at the softer node of each pair; collective, the same on all ranks."""
        solid, interfaces = self.solid, self.solid.interfaces
        start, stop = (int(n) for n in solid.space.dofmap.index_map.local_range)
        own: Any = solid.bulk.getDiagonal().array
        own = own.reshape(-1, solid.dim).sum(axis=1)
        nodes = interfaces.nodes
        here = (nodes >= start) & (nodes < stop)
        found = np.zeros(nodes.shape)
        found[here] = own[nodes[here] - start]
        return np.asarray(solid.comm.allreduce(found)).min(axis=1)

    def _stiff(self, tangent: Array) -> NDArray[np.bool_]:
        """(pairs,) which pairs are tied."""
        interfaces = self.solid.interfaces
        diagonal = np.einsum("pii->pi", tangent) * interfaces.weights[:, None]
        squares = interfaces.interpolation.multiply(interfaces.interpolation)
        own = (squares.T @ diagonal.ravel()).reshape(-1, self.solid.dim).sum(axis=1)
        return own > _STIFF * self._bulk

    def _merge(self, matrix: PETSc.Mat, pairs: Integers) -> tuple[PETSc.Mat, Integers]:
        """P_m, one column for all nodes that hang together, and this rank's nodes that stand for them (local numbers)."""
        dim = self.solid.dim
        start, stop = (int(n) for n in self.solid.space.dofmap.index_map.local_range)
        nodes, ends = np.unique(pairs, return_inverse=True)
        ends = ends.reshape(pairs.shape)
        graph = sp.coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(nodes), len(nodes)))
        _, group = connected_components(graph, directed=False)
        _, first = np.unique(group, return_index=True)
        leader = nodes[first[group]]
        gone = nodes[leader != nodes]
        own = np.arange(start, stop)
        stands_for = own.copy()
        mine = (nodes >= start) & (nodes < stop)
        stands_for[nodes[mine] - start] = leader[mine]
        columns = ((stands_for - np.searchsorted(gone, stands_for))[:, None] * dim + np.arange(dim)).ravel()
        # A prescribed component does not follow the others of its group, unless all of them are prescribed.
        held = self.fixed.reshape(-1, dim)[nodes]
        free = np.zeros((first.size, dim), dtype=bool)
        np.logical_or.at(free, group, ~held)
        values = np.ones((stop - start, dim))
        values[nodes[mine] - start] = np.where(held & free[group], 0.0, 1.0)[mine]
        kept = np.setdiff1d(own, gone) - start
        return _sparse(matrix, np.arange(len(columns) + 1), columns, values.ravel(), len(kept) * dim), kept

    def _part(self, matrix: PETSc.Mat, pairs: Integers) -> PETSc.Mat:
        """P_j: a jump moves the second node by half of it and the first one back by as much."""
        dim, index_map = self.solid.dim, self.solid.space.dofmap.index_map
        start, stop = (int(n) for n in index_map.local_range)
        # Columns belong to the rank of the pair's first node.
        pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
        dofs = pairs[:, :, None] * dim + np.arange(dim)
        held = self.fixed[dofs]
        values = np.where(held, 0.0, np.array([-0.5, 0.5])[None, :, None])
        one = held.any(axis=1)
        values = np.where(one[:, None] & ~held, 1.0, values)
        values[:, 0][held.all(axis=1)] = 1.0
        columns = np.broadcast_to(np.arange(len(pairs) * dim).reshape(-1, 1, dim), dofs.shape)
        here = (dofs >= start * dim) & (dofs < stop * dim)
        own = (int(((pairs[:, 0] >= start) & (pairs[:, 0] < stop)).sum())) * dim
        local = sp.csr_matrix(
            (values[here], (dofs[here] - start * dim, columns[here])), shape=((stop - start) * dim, len(pairs) * dim)
        )
        return _sparse(matrix, local.indptr, local.indices, local.data, own)


def _sparse(matrix: PETSc.Mat, pointers: Any, columns: Any, values: Any, own_columns: int) -> PETSc.Mat:
    """A distributed matrix with the rows of another one."""
    rows: Any = matrix.getSizes()[0]
    made = PETSc.Mat()
    csr: Any = (pointers.astype(PETSc.IntType), columns.astype(PETSc.IntType), values)
    size: Any = (rows, (own_columns, None))
    made.createAIJ(size, bsize=matrix.getBlockSize(), csr=csr, comm=matrix.comm)
    return made


def _chebyshev(matrix: PETSc.Mat) -> PETSc.KSP:
    """A few steps, always as many: the same linear map at each application."""
    solver = PETSc.KSP().create(matrix.comm)
    prefix = "elasticity_jumps_"
    options: Any = PETSc.Options()
    for name, value in {
        "ksp_type": "chebyshev",
        "pc_type": "pbjacobi",
        "ksp_max_it": _STEPS,
        "ksp_norm_type": "none",
    }.items():
        if not options.hasName(prefix + name):
            options[prefix + name] = value
    solver.setOptionsPrefix(prefix)
    solver.setOperators(matrix)
    solver.setFromOptions()
    solver.setUp()
    return solver
