"""The reference matrix K + Bᵀ(wD)B of a solid: assembled into one fixed pattern, then factorised by MUMPS and reused while
it serves, or (large solids in space) given to conjugate gradients with algebraic multigrid.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from petsc4py import PETSc

from continuum.laws import LawResponse
from continuum.options import LinearSolver
from continuum.preconditioner import Multigrid, choose_solver
from continuum.solid import Solid
from continuum.tally import booked

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
# Right-hand sides solved at once: enough for matrix-matrix speed, few enough to stay small beside the factor.
_BLOCK = 96
# Why conjugate gradients stop at a matrix, or a preconditioner, that is not positive definite.
_REASONS = PETSc.KSP.ConvergedReason
_INDEFINITE = (int(_REASONS.DIVERGED_INDEFINITE_MAT), int(_REASONS.DIVERGED_INDEFINITE_PC))


class LinearSolveError(RuntimeError):
    """Equations whose solution is not finite, or iterations on a positive definite matrix that did not converge."""


class ReferenceMatrix:
    """K + Bᵀ(wD)B with prescribed rows and columns taken out, and its factor.

    The positions of all entries are found once; a new D only writes values (PETSc's coordinate assembly).

    Args:
        solid: its bulk and the pattern of its interfaces; D comes with each factorisation.
        symmetric: whether D is; LDLᵀ or conjugate gradients then, LU or GMRES otherwise.
        method: ``direct``, ``iterative`` or ``auto``, see `choose_solver`.
        rtol: of iterative solutions: residual relative to the right-hand side.

    Attributes:
        symmetric: as given.
        iterative: whether solutions are iterated; there is no `flexibility` then.
        free: (pairs·dim,) True where at least one node of a pair is not prescribed in that component.
        negative_pivots: of the last factorisation; 0 means positive definite (LU does not count them: always 0). Of an
            iterative solver, 1 after a solution in which it met a direction of negative curvature.
        factorisations: how many so far (multigrid hierarchies, where iterative).
        linear_iterations: of the last iterative solution.
    """

    def __init__(
        self, solid: Solid, *, symmetric: bool = True, method: LinearSolver = "auto", rtol: float = 1e-10
    ) -> None:
        self.solid, self.symmetric = solid, symmetric
        self.iterative = choose_solver(solid, method) == "iterative"
        self.factorisations, self.negative_pivots, self.linear_iterations = 0, 0, 0
        start, _ = solid.bulk.getOwnershipRange()
        self._mine = solid.prescribed.dofs[solid.prescribed.owned]
        self.free = np.zeros(0, dtype=bool)
        fixed = np.zeros(solid.n_dofs, dtype=bool)
        fixed[np.concatenate(solid.comm.allgather(self._mine + start))] = True
        if solid.interfaces.points:
            self.matrix = self._union(start, fixed)
        elif self.iterative:
            # Not a copy, which would be a quarter of all memory: the solver keeps prescribed dofs out itself.
            self.matrix = solid.bulk
        else:
            self.matrix = solid.bulk.copy()
            prescribed: Any = (self._mine + start).astype(PETSc.IntType)
            self.matrix.zeroRowsColumns(prescribed)
        option: Any = PETSc.Mat.Option.SYMMETRIC
        self.matrix.setOption(option, symmetric)
        self._multigrid: Multigrid | None = None
        if self.iterative:
            self._multigrid = Multigrid(solid, self.matrix, fixed, symmetric=symmetric, rtol=rtol)
            self._ksp = self._multigrid.ksp
        else:
            self._ksp = self._direct()
        self._right: Any = self.matrix.createVecRight()
        self._left: Any = self.matrix.createVecLeft()

    def _direct(self) -> PETSc.KSP:
        solver = PETSc.KSP().create(self.solid.comm)
        solver.setType(PETSc.KSP.Type.PREONLY)
        solver.getPC().setType(PETSc.PC.Type.CHOLESKY if self.symmetric else PETSc.PC.Type.LU)
        solver.getPC().setFactorSolverType(PETSc.Mat.SolverType.MUMPS)
        return solver

    def _union(self, start: int, fixed: NDArray[np.bool_]) -> PETSc.Mat:
        """An empty matrix with places for the bulk's entries and those of all interfaces, found once."""
        solid, dim = self.solid, self.solid.dim
        _, stop = solid.bulk.getOwnershipRange()
        pointers, columns, values = solid.bulk.getValuesCSR()
        rows = np.repeat(np.arange(start, stop), np.diff(pointers))
        diagonal = (rows == columns) & fixed[rows]
        self._values = np.where(fixed[rows] | fixed[columns], 0.0, values)
        self._values[diagonal] = 1.0
        facets = solid.interfaces.facet_pairs
        sides = solid.interfaces.nodes[facets]  # facets, nodes, side
        dofs = sides[..., None] * dim + np.arange(dim)  # facets, nodes, side, component
        dofs = np.moveaxis(dofs, 2, 1).reshape(len(facets), 2, facets.shape[1] * dim)
        shape = (len(facets), 2, dofs.shape[2], 2, dofs.shape[2])
        i = np.broadcast_to(dofs[:, :, :, None, None], shape)
        j = np.broadcast_to(dofs[:, None, None, :, :], shape)
        self._keep = (i >= start) & (i < stop) & ~fixed[i] & ~fixed[j]
        self.free = ~(fixed[(solid.interfaces.nodes[..., None] * dim + np.arange(dim))].all(axis=1)).ravel()
        matrix = PETSc.Mat()
        matrix.create(solid.comm)
        sizes: Any = solid.bulk.getSizes()
        matrix.setSizes(sizes)
        # The block size lets MUMPS order nodes rather than dofs, which halves its analysis.
        matrix.setBlockSize(dim)
        matrix.setType(PETSc.Mat.Type.AIJ)
        both: Any = [np.concatenate([a, b[self._keep]]).astype(PETSc.IntType) for a, b in ((rows, i), (columns, j))]
        matrix.setPreallocationCOO(*both)
        return matrix

    def factorise(self, tangent: Array) -> None:
        """Factorise, or build the hierarchy, with D = tangent (points, dim, dim); collective."""
        if self.solid.interfaces.points:
            values: Any = np.concatenate([self._values, self._interface_values(tangent)])
            self.matrix.setValuesCOO(values)
        with booked("factorisations", unknowns=self.solid.n_dofs):
            if self._multigrid is not None:
                self._multigrid.renew(tangent)
            else:
                self._ksp.setOperators(self.matrix)
                self._ksp.setUp()
        self.negative_pivots = 0
        if self.symmetric and not self.iterative:
            self.negative_pivots = int(self._ksp.getPC().getFactorMatrix().getMumpsInfog(12))
        self.factorisations += 1

    def _interface_values(self, tangent: Array) -> Array:
        interfaces = self.solid.interfaces
        blocks = []
        for part, where in zip(interfaces.parts, interfaces.slices, strict=True):
            facets, points, dim, _ = part.frames.shape
            local = tangent[where].reshape(facets, points, dim, dim) * part.weights[..., None, None]
            turned = np.einsum("fqki,fqkl,fqlj->fqij", part.frames, local, part.frames, optimize=True)
            dense = np.einsum("qa,fqij,qb->faibj", part.shape, turned, part.shape, optimize=True)
            blocks.append(dense.reshape(facets, part.shape.shape[1] * dim, -1))
        stiffness = np.concatenate(blocks)
        signed = np.empty((len(stiffness), 2, stiffness.shape[1], 2, stiffness.shape[1]))
        signed[:, 0, :, 0], signed[:, 1, :, 1] = stiffness, stiffness
        signed[:, 0, :, 1], signed[:, 1, :, 0] = -stiffness, -stiffness
        return signed[self._keep]

    def solve(self, owned: Array) -> Array:
        """Solution for a right-hand side, both this rank's owned values (zero where prescribed); collective.

        Raises:
            LinearSolveError: an iterative solution that did not converge, unless negative curvature ended it; a solution that is
                not finite, on the ranks that hold such a part.
        """
        self._right.array[:] = owned
        with booked("solutions", unknowns=self.solid.n_dofs):
            if self._multigrid is not None:
                self._multigrid.solve(self._right, self._left)
                self._judge()
            else:
                self._ksp.solve(self._right, self._left)
        found = self._left.array.copy()
        # A right-hand side that is not finite is the caller's, whose residual tells.
        if not np.isfinite(found).all() and np.isfinite(owned).all():
            raise LinearSolveError(
                f"the equations of the finite elements ({self.solid.n_dofs} unknowns) have no finite solution at this state: its "
                "stiffness is singular, or holds numbers that are none; take shorter load steps, and look at the last output"
            )
        return found

    def _judge(self) -> None:
        """Look at how the iterations ended."""
        ended: Any = self._ksp.getConvergedReason()
        reason = int(ended)
        self.linear_iterations = int(self._ksp.getIterationNumber())
        if reason in _INDEFINITE:
            self.negative_pivots = 1
        elif reason < 0:
            raise LinearSolveError(
                f"conjugate gradients stopped after {self.linear_iterations} iterations (PETSc's reason {reason}): expected "
                'convergence; look for cells of extreme shape or stiffness, or choose linear_solver = "direct"'
            )

    def flexibility(self, columns: Integers) -> Array:
        """Columns of G K⁻¹ Gᵀ, (pairs·dim, n): jumps of all pairs under unit force pairs; collective.

        Args:
            columns: (n,) pair·dim + component, free ones only.
        """
        solid, factor = self.solid, self._ksp.getPC().getFactorMatrix()
        found = []
        for begin in range(0, len(columns), _BLOCK):
            part = columns[begin : begin + _BLOCK]
            sizes = (self._right.getSizes(), (None, len(part)))
            force: Any = PETSc.Mat()
            force.createDense(sizes, comm=solid.comm)
            force.setUp()
            dense = force.getDenseArray()
            dense[:] = 0.0
            unit = np.zeros((solid.interfaces.pairs * solid.dim, len(part)))
            unit[part, np.arange(len(part))] = 1.0
            solid.add_nodal_forces(dense, unit.reshape(-1, solid.dim, len(part)))
            dense[self._mine] = 0.0
            force.assemble()
            answer = force.duplicate()
            with booked("solutions", unknowns=solid.n_dofs, count=len(part)):
                factor.matSolve(force, answer)
            jumps = solid.nodal_jumps(answer.getDenseArray())
            found.append(jumps.reshape(-1, len(part)))
            force.destroy()
            answer.destroy()
        return np.concatenate(found, axis=1) if found else np.zeros((solid.interfaces.pairs * solid.dim, 0))


class WholeTangent(ReferenceMatrix):
    """The tangent of a solid at its present state, as Newton's method wants it (see `continuum.newton.Tangent`)."""

    def __init__(self, solid: Solid) -> None:
        laws = [part.law for part in solid.interfaces.parts]
        # Paths lead through indefinite tangents, which iterative solvers do not stand.
        super().__init__(solid, symmetric=all(law.symmetric for law in laws), method="direct")

    def update(self, answer: LawResponse) -> None:
        """Factorise with the laws' tangent; collective."""
        self.factorise(answer.tangent)
