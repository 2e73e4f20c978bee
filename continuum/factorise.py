"""Sparse direct solves by MUMPS, whole on every rank: factorised once, used for many right-hand sides."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from petsc4py import PETSc

from continuum.errors import FactorError
from continuum.tally import booked

Array = NDArray[np.float64]
# A pivot this small beside the matrix' norm is zero; MUMPS' codes for a matrix without entries or of too low a rank.
_NULL_PIVOT = 1e-13
_SINGULAR = (-2, -6, -10)


class Factor:
    """A = LU (or LDLᵀ) of a matrix whose fixed rows and columns are taken out.

    Args:
        matrix: (n, n) sparse, eV/Å².
        free: (n,) True for the unknowns; None: all.
        symmetric: factorise as a symmetric (not necessarily definite) matrix, from its upper triangle: half the work.

    Attributes:
        free: as given.
        negative_pivots: of the last symmetric factorisation; 0 means positive definite. None of an unsymmetric one.

    Raises:
        FactorError: where the matrix is singular, not finite, or does not fit.
    """

    def __init__(self, matrix: sp.spmatrix, free: ArrayLike | None = None, *, symmetric: bool = False) -> None:
        size = matrix.shape[0]
        self.free = np.ones(size, dtype=bool) if free is None else np.asarray(free, dtype=bool).ravel()
        if matrix.shape != (size, size) or self.free.shape != (size,):
            raise FactorError(f"matrix {matrix.shape} and {self.free.size} free flags: expected n × n and n")
        if not self.free.any():
            raise FactorError("no free unknowns: expected at least one that is not prescribed")
        self.symmetric = symmetric
        self.negative_pivots: int | None = None
        self._ksp: Any = None
        self._matrix: Any = None
        self._indptr = self._indices = np.zeros(0, dtype=PETSc.IntType)
        self._values = np.zeros(0)
        self.update(matrix)

    def update(self, matrix: sp.spmatrix) -> None:
        """Factorise another matrix of the same size; one of the same pattern keeps the ordering of the last.

        Raises:
            FactorError: as the constructor.
        """
        inner = sp.csr_matrix(matrix)[self.free][:, self.free]
        inner.sort_indices()
        if not np.isfinite(inner.data).all():
            raise FactorError("matrix with infinite or undefined entries: the state it comes from has broken down")
        same = self._ksp is not None and np.array_equal(self._indptr, inner.indptr)
        if same and np.array_equal(self._indices, inner.indices):
            self._values[:] = inner.data
            self._matrix.setValuesCSR(self._indptr, self._indices, self._values)
            self._matrix.assemble()
        else:
            self._indptr = inner.indptr.astype(PETSc.IntType)
            self._indices = inner.indices.astype(PETSc.IntType)
            self._values = inner.data.copy()
            csr: Any = (self._indptr, self._indices, self._values)
            self._matrix = PETSc.Mat().createAIJ(inner.shape, csr=csr, comm=PETSc.COMM_SELF)
            if self.symmetric:
                option: Any = PETSc.Mat.Option.SYMMETRIC
                self._matrix.setOption(option, True)
            self._ksp = PETSc.KSP().create(PETSc.COMM_SELF)
            self._ksp.setType(PETSc.KSP.Type.PREONLY)
            pc = self._ksp.getPC()
            pc.setType(PETSc.PC.Type.CHOLESKY if self.symmetric else PETSc.PC.Type.LU)
            pc.setFactorSolverType(PETSc.Mat.SolverType.MUMPS)
        self._ksp.setOperators(self._matrix)
        pc = self._ksp.getPC()
        try:
            pc.setFactorSetUpSolverType()
            factor = pc.getFactorMatrix()
            # Report pivots that vanish but for rounding; MUMPS alone stops at exact zeros only, and LDLᵀ hardly meets one.
            factor.setMumpsIcntl(24, 1)
            factor.setMumpsCntl(3, _NULL_PIVOT)
            # Pivoting of saddle points asks for far more room than the analysis foresees.
            factor.setMumpsIcntl(14, 50 if self.symmetric else 200)
            with booked("factorisations", unknowns=inner.shape[0]):
                self._ksp.setUp()
        except PETSc.Error as error:
            raise FactorError(f"MUMPS could not factorise {inner.shape[0]} unknowns: {error}") from error
        code, null = int(factor.getMumpsInfog(1)), int(factor.getMumpsInfog(28))
        if code < 0 or null > 0:
            meaning = f"MUMPS error {code}, {factor.getMumpsInfog(2)}"
            if null > 0 or code in _SINGULAR:
                meaning = f"singular ({null} null pivots)" if null > 0 else "singular"
            raise FactorError(
                f"matrix of {inner.shape[0]} unknowns: {meaning}; expected enough prescribed displacements to hold the body "
                "and weights above zero around every free node"
            )
        self.negative_pivots = int(factor.getMumpsInfog(12)) if self.symmetric else None

    def solve(self, right: Array) -> Array:
        """A⁻¹ b on the free unknowns, zero elsewhere.

        Args:
            right: (n,), (n, k) for k right-hand sides, or any shape of n entries such as (nodes, components).

        Returns:
            The solution in the same shape.
        """
        size = len(self.free)
        several = right.ndim == 2 and right.shape[0] == size
        columns = right if several else right.reshape(size, 1)
        answer = np.zeros(columns.shape)
        inner = columns[self.free]
        b: Any
        x: Any
        if inner.shape[1] == 1:
            b, x = self._matrix.createVecLeft(), self._matrix.createVecRight()
            b.array[:] = inner[:, 0]
            with booked("solutions", unknowns=len(inner)):
                self._ksp.solve(b, x)
            found = x.array[:, None]
        else:
            values: Any = np.asfortranarray(inner)
            b = PETSc.Mat().createDense(inner.shape, array=values, comm=PETSc.COMM_SELF)
            x = b.duplicate()
            with booked("solutions", unknowns=len(inner), count=inner.shape[1]):
                self._ksp.getPC().getFactorMatrix().matSolve(b, x)
            found = x.getDenseArray()
        if not np.isfinite(found).all():
            raise FactorError(
                "solution with infinite or undefined entries: the matrix is singular to working precision"
            )
        answer[self.free] = found
        return answer.reshape(right.shape)
