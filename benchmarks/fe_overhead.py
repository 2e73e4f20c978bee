"""Assembly and solution of a linear problem: this package against bare DOLFINx and PETSc doing the same.

Forms are compiled before the clock starts on both sides; both sides factorise with MUMPS. The two take turns and the median
of the ratios counts, so that a busy machine slows both.

    python benchmarks/fe_overhead.py
"""

import sys
import time

import numpy as np
import ufl
from _report import report
from mpi4py import MPI

from continuum.materials import LinearElastic
from continuum.mesh import BodyMesh, block
from continuum.solid import Solid
from continuum.solvers import follow
from continuum.supports import Displacement

METAL = LinearElastic.isotropic(E=0.44, nu=0.3)
ROUNDS = 7
LOAD = 0.1


def ours(bodies: BodyMesh) -> tuple[float, float]:
    """Seconds and mean end displacement work of the package."""
    begun = time.perf_counter()
    solid = Solid(
        bodies,
        materials={"block": METAL},
        interfaces={},
        supports=[
            *[Displacement(group="bottom", component=c) for c in "xy"],
            Displacement(group="top", component="y", factor=1.0),
        ],
    )
    step = follow(solid, [LOAD])[0]
    return time.perf_counter() - begun, step.energies.bulk


def bare(bodies: BodyMesh) -> tuple[float, float]:
    """Seconds and energy of the same problem in plain DOLFINx."""
    from dolfinx import fem
    from dolfinx.fem import petsc
    from petsc4py import PETSc

    mesh = bodies.mesh
    begun = time.perf_counter()
    space = fem.functionspace(mesh, ("Lagrange", 2, (2,)))
    u, v = ufl.TrialFunction(space), ufl.TestFunction(space)
    matrix = fem.Constant(mesh, METAL.plane_strain_stiffness)

    def voigt(w):
        e = ufl.sym(ufl.grad(w))
        return ufl.as_vector([e[0, 0], e[1, 1], 2 * e[0, 1]])

    a = fem.form(ufl.inner(ufl.dot(matrix, voigt(u)), voigt(v)) * ufl.dx)
    zero = fem.form(ufl.inner(fem.Constant(mesh, (0.0, 0.0)), v) * ufl.dx)
    bottom = fem.locate_dofs_topological(space, 1, bodies.groups["bottom"])
    below = fem.dirichletbc(np.zeros(2), bottom, space)
    top = fem.locate_dofs_topological((space.sub(1), space.sub(1).collapse()[0]), 1, bodies.groups["top"])
    value = fem.Function(space.sub(1).collapse()[0])
    value.x.array[:] = LOAD
    above = fem.dirichletbc(value, top, space.sub(1))
    stiffness = petsc.assemble_matrix(a, bcs=[below, above])
    stiffness.assemble()
    stiffness.setOption(PETSc.Mat.Option.SYMMETRIC, True)
    right = petsc.assemble_vector(zero)
    petsc.apply_lifting(right, [a], bcs=[[below, above]])
    right.ghostUpdate(addv=PETSc.InsertMode.ADD, mode=PETSc.ScatterMode.REVERSE)
    petsc.set_bc(right, [below, above])
    solver = PETSc.KSP().create(mesh.comm)
    solver.setOperators(stiffness)
    solver.setType("preonly")
    solver.getPC().setType("cholesky")
    solver.getPC().setFactorSolverType("mumps")
    answer = fem.Function(space)
    solver.solve(right, answer.x.petsc_vec)
    answer.x.scatter_forward()
    strained = voigt(answer)
    energy = fem.assemble_scalar(fem.form(0.5 * ufl.inner(ufl.dot(matrix, strained), strained) * ufl.dx))
    return time.perf_counter() - begun, float(np.real(energy))


def main() -> int:
    """Take turns and report."""
    bodies = block(MPI.COMM_WORLD, size=[1000.0, 1000.0], divisions=[160, 160], interface_at=[])
    ours(bodies), bare(bodies)
    pairs = [(ours(bodies), bare(bodies)) for _ in range(ROUNDS)]
    ratios = [a[0] / b[0] for a, b in pairs]
    figures = {
        "ratio_median": float(np.median(ratios)),
        "seconds_package": float(np.median([a[0] for a, _ in pairs])),
        "seconds_dolfinx": float(np.median([b[0] for _, b in pairs])),
        "energy_difference_relative": abs(pairs[0][0][1] / pairs[0][1][1] - 1.0),
        "unknowns": 2 * 321 * 321,
    }
    bounds = {"ratio_median": ("<=", 1.1), "energy_difference_relative": ("<=", 1e-8)}
    return report("fe_overhead", figures, bounds)


if __name__ == "__main__":
    sys.exit(main())
