"""The tangent of a solid under finite rotations: assembled into one fixed pattern, factorised by MUMPS."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from petsc4py import PETSc

from continuum.laws import LawResponse

if TYPE_CHECKING:
    from continuum.finite import FiniteSolid

Array = NDArray[np.float64]


class FiniteTangent:
    """Derivative of the internal force at the present displacement, prescribed rows and columns taken out.

    Args:
        solid: whose displacement is meant; it may change from one factorisation to the next.

    Attributes:
        symmetric: True where the tangents of all laws are: LDLᵀ then, LU otherwise.
        negative_pivots: of the last factorisation; 0 means positive definite (LU does not count them: always 0).
        factorisations: how many so far.
    """

    def __init__(self, solid: "FiniteSolid") -> None:
        self.solid = solid
        self.symmetric = all(part.law.symmetric for part in solid.interfaces.parts)
        self.negative_pivots, self.factorisations = 0, 0
        self._matrix = self._pattern()
        option: Any = PETSc.Mat.Option.SYMMETRIC
        self._matrix.setOption(option, self.symmetric)
        self._ksp = PETSc.KSP().create(solid.comm)
        self._ksp.setType(PETSc.KSP.Type.PREONLY)
        self._ksp.getPC().setType(PETSc.PC.Type.CHOLESKY if self.symmetric else PETSc.PC.Type.LU)
        self._ksp.getPC().setFactorSolverType(PETSc.Mat.SolverType.MUMPS)
        self._right: Any = self._matrix.createVecRight()
        self._left: Any = self._matrix.createVecLeft()

    def _pattern(self) -> PETSc.Mat:
        """An empty matrix with places for the entries of the bodies and of all interfaces, found once."""
        solid, dim = self.solid, self.solid.dim
        bulk = solid.bulk_tangent()
        start, stop = bulk.getOwnershipRange()
        pointers, columns, _ = bulk.getValuesCSR()
        rows = np.repeat(np.arange(start, stop), np.diff(pointers))
        fixed = np.zeros(solid.n_dofs, dtype=bool)
        mine = solid.prescribed.dofs[solid.prescribed.owned]
        fixed[np.concatenate(solid.comm.allgather(mine + start))] = True
        self._held = fixed[rows] | fixed[columns]
        self._unit = (rows == columns) & fixed[rows]
        facets = solid.interfaces.facet_pairs
        dofs = np.swapaxes(solid.interfaces.nodes[facets], 1, 2)[..., None] * dim + np.arange(dim)
        dofs = dofs.reshape(len(facets), 2 * facets.shape[1] * dim)
        shape = (len(facets), dofs.shape[1], dofs.shape[1])
        i, j = np.broadcast_to(dofs[:, :, None], shape), np.broadcast_to(dofs[:, None, :], shape)
        self._keep = (i >= start) & (i < stop) & ~fixed[i] & ~fixed[j]
        matrix = PETSc.Mat()
        matrix.create(solid.comm)
        sizes: Any = bulk.getSizes()
        matrix.setSizes(sizes)
        matrix.setBlockSize(dim)
        matrix.setType(PETSc.Mat.Type.AIJ)
        both: Any = [np.concatenate([a, b[self._keep]]).astype(PETSc.IntType) for a, b in ((rows, i), (columns, j))]
        matrix.setPreallocationCOO(*both)
        return matrix

    def update(self, answer: LawResponse | None, *, stiffness: Array | None = None) -> None:
        """Factorise at the present displacement; collective.

        Args:
            answer: of the laws there; None without interfaces.
            stiffness: (points, dim, dim) to take in the laws' place, with the turning of the frames left out: a matrix to step
                with where the true tangent is not definite.
        """
        solid = self.solid
        values: Any = np.array(solid.bulk_tangent().getValuesCSR()[2], dtype=float)
        values[self._held] = 0.0
        values[self._unit] = 1.0
        if answer is not None and solid.interfaces.points:
            own = answer.tangent if stiffness is None else stiffness
            blocks = solid.interface_stiffness(solid.local(), own, answer.traction if stiffness is None else None)
            values = np.concatenate([values, blocks.reshape(self._keep.shape)[self._keep]])
        self._matrix.setValuesCOO(values)
        self._ksp.setOperators(self._matrix)
        self._ksp.setUp()
        if self.symmetric:
            self.negative_pivots = int(self._ksp.getPC().getFactorMatrix().getMumpsInfog(12))
        self.factorisations += 1

    def solve(self, owned: Array) -> Array:
        """Solution for a right-hand side, both this rank's owned values (zero where prescribed); collective."""
        self._right.array[:] = owned
        self._ksp.solve(self._right, self._left)
        return self._left.array.copy()
