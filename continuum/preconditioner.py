"""Iterative solution of elastic problems: conjugate gradients with smoothed aggregation, and when it is worth it."""

from contextlib import nullcontext
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from petsc4py import PETSc

from continuum.errors import ContinuumError
from continuum.options import LinearSolver
from continuum.solid import Solid
from continuum.tied_pairs import TiedPairs

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

# Unknowns of a solid in space beyond which `auto` iterates. Plane problems stay direct: their factors grow as n log n only,
# and the process zone is condensed on them.
ITERATIVE_ABOVE = 30_000
_SUBSET: Any = PETSc.Mat.Structure.SUBSET_NONZERO_PATTERN
# What begins the names of PETSc options that change the solver below; options that are set there already win.
PREFIX = "elasticity_"
# Weak couplings (and the zeros in rows of supports, which carry no coupling at all) leave the graph that aggregates are
# formed on: without that, 24 to 29 instead of 17 to 18 iterations on cubes of 12 and 24 hexahedra an edge, and growing.
# Point-block Jacobi smooths a node's components together and costs a third of SSOR at a few more iterations.
OPTIONS = {
    "pc_type": "gamg",
    "pc_gamg_threshold": "0.01",
    "mg_levels_ksp_type": "chebyshev",
    "mg_levels_pc_type": "pbjacobi",
    "ksp_norm_type": "unpreconditioned",
    "ksp_max_it": "500",
}


def choose_solver(solid: Solid, wanted: LinearSolver = "auto") -> Literal["direct", "iterative"]:
    """Whether a solid's matrix is factorised (MUMPS) or solved by preconditioned iterations.

    Args:
        solid: its dimension and number of unknowns decide.
        wanted: ``direct``, ``iterative``, or ``auto``: iterative in 3D above `ITERATIVE_ABOVE` unknowns, else direct.

    Raises:
        ContinuumError: another word.
    """
    if wanted not in get_args(LinearSolver):
        raise ContinuumError(f"linear_solver = {wanted!r}: expected one of {', '.join(get_args(LinearSolver))}")
    if wanted != "auto":
        return "direct" if wanted == "direct" else "iterative"
    return "iterative" if solid.dim == 3 and solid.n_dofs > ITERATIVE_ABOVE else "direct"


def rigid_body_modes(places: Array, matrix: PETSc.Mat) -> PETSc.NullSpace:
    """The near-null space of an elastic matrix: translations and rotations, orthonormal (collective).

    Three modes in the plane and six in space, of all bodies together. Aggregates keep to one body where interfaces are
    weaker than the bulk, and restricted to an aggregate these modes span the rigid motions of any body of its own.

    Args:
        places: (n, dim) of this rank's nodes, in the order of the matrix's blocks of rows.
        matrix: of dim rows a node.
    """
    spots: Any = matrix.createVecLeft()
    spots.setBlockSize(places.shape[1])
    spots.array[:] = places.ravel()
    return PETSc.NullSpace().createRigidBody(spots)


def multigrid(matrix: PETSc.Mat, places: Array) -> PETSc.PC:
    """Smoothed aggregation (Vaněk, Mandel and Brezina 1996) as PETSc's GAMG does it, set up (collective).

    Args:
        matrix: elastic, definite.
        places: (n, dim) Å of this rank's nodes, in the order of the matrix's blocks of rows.
    """
    pc = PETSc.PC().create(matrix.comm)
    matrix.setNearNullSpace(rigid_body_modes(places, matrix))
    pc.setOptionsPrefix(PREFIX)
    pc.setFromOptions()
    pc.setOperators(matrix)
    pc.setUp()
    return pc


def iterative_solver(matrix: PETSc.Mat, *, symmetric: bool, rtol: float) -> PETSc.KSP:
    """Conjugate gradients (flexible GMRES where the matrix is not symmetric), their preconditioner still to be named.

    Args:
        matrix: with its pattern; values may come later.
        symmetric: whether it is.
        rtol: residual at the end, relative to the right-hand side.
    """
    options: Any = PETSc.Options()
    for name, value in OPTIONS.items():
        # They stay in PETSc's data base: the levels of the hierarchy read theirs when it is built.
        if not options.hasName(PREFIX + name):
            options[PREFIX + name] = value
    solver = PETSc.KSP().create(matrix.comm)
    solver.setOptionsPrefix(PREFIX)
    solver.setType(PETSc.KSP.Type.CG if symmetric else PETSc.KSP.Type.FGMRES)
    solver.setTolerances(rtol=float(np.clip(rtol, 1e-14, 1e-2)))
    solver.setFromOptions()
    return solver


class _Strip:
    """What supports take out of a matrix: the entries in prescribed rows and columns, their diagonal apart.

    Taken out while the matrix is solved with and put back after: exactly, as k − k = 0 and 0 + k = k. A second matrix
    would be a quarter of all memory.
    """

    def __init__(self, matrix: PETSc.Mat, prescribed: Integers, fixed: NDArray[np.bool_]) -> None:
        start, stop = matrix.getOwnershipRange()
        numbers: Any = (np.sort(prescribed) + start).astype(PETSc.IntType)
        rows = PETSc.IS().createGeneral(numbers, comm=matrix.comm)
        columns = PETSc.IS().createStride(stop - start, first=start, step=1, comm=matrix.comm)
        pointers, j, values = matrix.createSubMatrix(rows, columns).getValuesCSR()
        i = np.repeat(numbers, np.diff(pointers))
        beside, across = i != j, ~fixed[j]
        places: Any = [np.concatenate([a[beside], b[across]]).astype(PETSc.IntType) for a, b in ((i, j), (j, i))]
        sizes: Any = matrix.getSizes()
        self._matrix, self._taken = matrix, PETSc.Mat().create(matrix.comm)
        self._taken.setSizes(sizes)
        self._taken.setType(PETSc.Mat.Type.AIJ)
        self._taken.setPreallocationCOO(*places)
        entries: Any = np.concatenate([values[beside], values[across]])
        self._taken.setValuesCOO(entries)

    def __enter__(self) -> None:
        self._matrix.axpy(-1.0, self._taken, _SUBSET)

    def __exit__(self, *_: object) -> None:
        self._matrix.axpy(1.0, self._taken, _SUBSET)


class Multigrid:
    """Solver of a solid's matrix by iterations: multigrid on all bodies, on tied ones where interfaces are stiff.

    Args:
        solid: the matrix's.
        matrix: with its pattern; that of the bulk itself, no support applied, where there are no interfaces.
        fixed: (dofs,) of the whole solid, True where prescribed.
        symmetric: whether the matrix is.
        rtol: residual at the end, relative to the right-hand side.

    Attributes:
        ksp: PETSc's solver.
    """

    def __init__(
        self, solid: Solid, matrix: PETSc.Mat, fixed: NDArray[np.bool_], *, symmetric: bool, rtol: float
    ) -> None:
        self.ksp, self._matrix = iterative_solver(matrix, symmetric=symmetric, rtol=rtol), matrix
        self._tied: TiedPairs | None = None
        self._strip: _Strip | None = None
        if solid.interfaces.points:
            self._tied = TiedPairs(solid, fixed, multigrid)
            self.ksp.getPC().setType(PETSc.PC.Type.PYTHON)
            self.ksp.getPC().setPythonContext(self._tied)
        else:
            self._strip = _Strip(matrix, solid.prescribed.dofs[solid.prescribed.owned], fixed)
            owned = solid.space.dofmap.index_map.size_local
            places = solid.space.tabulate_dof_coordinates()[:owned, : solid.dim]
            matrix.setNearNullSpace(rigid_body_modes(places, matrix))

    def renew(self, tangent: Array) -> None:
        """Set up for the matrix's present values, of interfaces with D = tangent (points, dim, dim); collective."""
        if self._tied is not None:
            self._tied.renew(self._matrix, tangent)
        pc = self.ksp.getPC()
        pc.setReusePreconditioner(False)
        with self._strip or nullcontext():
            self.ksp.setOperators(self._matrix)
            self.ksp.setUp()
        # Values are touched between solutions; what was set up stays.
        pc.setReusePreconditioner(True)

    def solve(self, right: PETSc.Vec, left: PETSc.Vec) -> None:
        """Solve; both vectors are zero where prescribed (collective)."""
        with self._strip or nullcontext():
            self.ksp.solve(right, left)
