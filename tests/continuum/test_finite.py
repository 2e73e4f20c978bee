"""Finite rotations: frame indifference, balance, tangents, the small-strain limit, peeling."""

import sys
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI
from specimens import HEIGHT, LAW, METAL

from continuum.errors import ContinuumError
from continuum.finite import FiniteSolid
from continuum.finite_frames import local_jump
from continuum.laws import BilinearLaw, ExponentialLaw
from continuum.mesh import CELLS, block
from continuum.path import trace
from continuum.solid import Solid
from continuum.solvers import ConvergenceError, SolverOptions, follow
from continuum.supports import Displacement, Force
from tests.mpi import run_mpi

ROOT = Path(__file__).parents[2]
TIGHT = SolverOptions(rtol=1e-12)


def turn(dim, angle, axis=(0.3, -0.5, 0.8)):
    """Rotation matrix; in 3D about a skew axis."""
    if dim == 2:
        return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    n = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -n[2], n[1]], [n[2], 0, -n[0]], [-n[1], n[0], 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def held_block(kind, cell, *, degree=2, law=None, size=(10.0, HEIGHT, 10.0), divisions=(2, 1, 2), forces=(), **extra):
    """Two layers, the lower face held, the upper moved along a skew direction by the load."""
    dim = CELLS[cell]
    mesh = block(MPI.COMM_WORLD, size=size[:dim], divisions=divisions[:dim], cell=cell)
    supports = [Displacement(group="bottom", component=c) for c in "xyz"[:dim]]
    if not forces:
        supports += [
            Displacement(group="top", component=c, factor=f) for c, f in zip("xyz", (0.3, 1.0, 0.1), strict=True)
        ][:dim]
    return kind(
        mesh,
        materials=dict.fromkeys(mesh.bodies, METAL),
        interfaces={"interface": law or ExponentialLaw(**LAW)},
        degree=degree,
        supports=supports,
        forces=forces,
        **extra,
    )


def places(solid):
    return solid.space.tabulate_dof_coordinates()[:, : solid.dim]


def superpose(solid, rotation):
    """Turn the deformed specimen as a whole."""
    u = solid.owned().reshape(-1, solid.dim)
    u[:] = (places(solid) + u) @ rotation.T - places(solid)


def random_state(cell, degree):
    solid = held_block(FiniteSolid, cell, degree=degree)
    random = np.random.default_rng(3)
    solid.owned()[:] = 0.05 * random.normal(size=len(solid.owned()))
    return solid, random.normal(size=len(solid.owned()))


@pytest.mark.parametrize("angle", [0.4, 1.7, np.pi])
@pytest.mark.parametrize("cell", ["triangle", "quadrilateral", "tetrahedron", "hexahedron"])
def test_frame_indifference(cell, angle):
    """An opened, bent, damaged specimen turned as a whole: same jumps and energies, forces that turn with it."""
    solid, _ = random_state(cell, 2 if CELLS[cell] == 2 else 1)
    solid.commit()
    solid.owned()[:] *= 0.7  # unloaded: off the envelope
    rotation = turn(solid.dim, angle)
    jumps, energies = solid.jumps(), solid.energies()
    force = np.array(solid.internal_force().array).reshape(-1, solid.dim)
    superpose(solid, rotation)
    assert solid.jumps() == pytest.approx(jumps, abs=1e-12)
    assert solid.energies().total == pytest.approx(energies.total, rel=1e-12)
    turned = np.array(solid.internal_force().array).reshape(-1, solid.dim)
    assert turned == pytest.approx(force @ rotation.T, abs=1e-12 * np.abs(force).max())


@pytest.mark.parametrize("cell", ["triangle", "hexahedron"])
def test_turning_a_specimen_at_rest_costs_nothing(cell):
    solid = held_block(FiniteSolid, cell, degree=2 if CELLS[cell] == 2 else 1)
    superpose(solid, turn(solid.dim, np.pi))
    assert abs(solid.energies().total) < 1e-20
    assert np.abs(solid.internal_force().array).max() < 1e-12


@pytest.mark.parametrize("cell", ["triangle", "quadrilateral", "tetrahedron", "hexahedron"])
def test_forces_and_moments_balance(cell):
    """Interface forces alone, any traction at all: no net force, no net moment about any point, facet by facet."""
    solid, _ = random_state(cell, 1)
    superpose(solid, turn(solid.dim, 0.9))
    traction = np.random.default_rng(5).normal(size=solid.jumps().shape)
    forces = solid.interface_forces(solid.local(), traction)
    at = (places(solid) + solid.owned().reshape(-1, solid.dim))[solid.interfaces.nodes]
    arms = np.swapaxes(at[solid.interfaces.facet_pairs], 1, 2)
    assert np.abs(forces.sum(axis=(1, 2))).max() < 1e-12 * np.abs(forces).max()
    moments = np.cross(
        np.pad(arms, [(0, 0)] * 3 + [(0, 3 - solid.dim)]), np.pad(forces, [(0, 0)] * 3 + [(0, 3 - solid.dim)])
    )
    assert np.abs(moments.sum(axis=(1, 2))).max() < 1e-11 * np.abs(moments).max()


@pytest.mark.parametrize(
    ("cell", "degree"), [("triangle", 2), ("quadrilateral", 1), ("quadrilateral", 2), ("tetrahedron", 1)]
)
def test_tangent_against_differences(cell, degree):
    solid, along = random_state(cell, degree)
    superpose(solid, turn(solid.dim, 1.1))
    base, step = solid.owned().copy(), 1e-5
    answer = solid.respond()
    ends = []
    for sign in (1.0, -1.0):
        solid.owned()[:] = base + sign * step * along
        ends.append((np.array(solid.internal_force().array), solid.energies().total))
    solid.owned()[:] = base
    difference = (ends[0][0] - ends[1][0]) / (2 * step)
    assert solid.push(along, answer) == pytest.approx(difference, abs=2e-8 * np.abs(difference).max())
    # The force is the energy's gradient, and the factorised matrix is the one that pushes.
    work = float(np.array(solid.internal_force().array) @ along)
    assert (ends[0][1] - ends[1][1]) / (2 * step) == pytest.approx(work, rel=1e-6)
    held = solid.hold(along.copy())
    tangent = solid.tangent_matrix()
    tangent.update(answer)
    assert tangent.solve(solid.hold(solid.push(held, answer))) == pytest.approx(held, abs=1e-9)


def test_second_derivatives_of_the_frame():
    """In space, by differences of first derivatives."""
    random = np.random.default_rng(1)
    d, t, traction = (
        random.normal(size=(6, 3)),
        np.eye(3)[1:] + 0.3 * random.normal(size=(6, 2, 3)),
        random.normal(size=(6, 3)),
    )
    bending, h = local_jump(d, t).bending(traction), 1e-6
    for i in range(9):
        change = np.zeros(9)
        change[i] = h
        ends = [local_jump(d + s * change[:3], t + s * change[3:].reshape(2, 3)).jacobian for s in (1.0, -1.0)]
        column = np.einsum("ni,niz->nz", traction, (ends[0] - ends[1]) / (2 * h))
        assert bending[:, :, i] == pytest.approx(column, abs=1e-8 * np.abs(bending).max())


@pytest.mark.parametrize("angle", [0.6, 2.0, np.pi])
def test_a_single_interface_pulled_apart_along_a_turned_direction(angle):
    """Two elements: turned rigidly by any angle, then pulled apart along the turned normal until nearly broken.

    The reaction is the law's in series with the bulk at every load, whatever the angle.
    """
    curves = []
    for theta in (0.0, angle):
        rotation = turn(2, theta)
        mesh = block(MPI.COMM_WORLD, size=[10.0, HEIGHT], divisions=[1, 1], cell="quadrilateral")
        pull = rotation @ [0.0, 1.0]
        supports = [Displacement(group="bottom", component=c) for c in "xy"]
        supports += [Displacement(group="top", component=c, factor=float(f)) for c, f in zip("xy", pull, strict=True)]
        solid = FiniteSolid(
            mesh,
            materials=dict.fromkeys(mesh.bodies, METAL),
            interfaces={"interface": ExponentialLaw(**LAW)},
            degree=1,
            supports=supports,
        )
        superpose(solid, rotation)
        held, turned = solid.prescribed, solid.owned().copy()
        # Supports hold the turned specimen: prescribed values on top of the rotation.
        solid.set_load = lambda load, solid=solid, held=held, turned=turned: _move(solid, held, turned, load)
        steps = follow(solid, [0.05, 0.3, 0.8, 1.5], options=TIGHT)
        curves.append([step.reaction for step in steps])
        opening = solid.jumps()
        assert np.abs(opening[:, 1]).max() < 1e-9
        area = 10.0
        assert steps[-1].reaction == pytest.approx(area * solid.respond().traction[0, 0], rel=0.02)
    assert curves[1] == pytest.approx(curves[0], rel=1e-10)


def _move(solid, held, turned, load):
    solid.load = load
    solid.owned()[held.dofs] = turned[held.dofs] + load * held.factors


@pytest.mark.parametrize("cell", ["quadrilateral", "tetrahedron"])
def test_small_loads_give_the_linear_answer(cell):
    """Loads of 1e-4 of the height: reaction and openings of the linear solid, with a defect of first order in the load."""
    defects = []
    for load in (1e-3, 1e-4):
        finite, linear = (held_block(kind, cell, degree=1) for kind in (FiniteSolid, Solid))
        one, two = follow(finite, [load], options=TIGHT)[0], follow(linear, [load])[0]
        assert finite.jumps() == pytest.approx(linear.jumps(), abs=1e-3 * load)
        defects.append(abs(one.reaction / two.reaction - 1.0))
    assert defects[0] < 1e-3
    assert defects[1] < 0.2 * defects[0]


def test_dead_load_and_unloading_give_the_work_back():
    """A strip bent by 0.4 of its length under a dead load: work in the ledger; unloaded to nothing."""
    law = BilinearLaw(fracture_energy=1.0, peak_traction=1.0, initial_stiffness=50.0)
    solid = held_block(
        FiniteSolid,
        "quadrilateral",
        law=law,
        size=(2.0, 40.0),
        divisions=(1, 12),
        forces=[Force(group="top", component="x", total=2e-4)],
    )
    steps = follow(solid, [*np.linspace(0.125, 1.0, 8), 0.5, 0.0])
    top = places(solid)[:, 1] > 39.99
    assert abs(solid.owned().reshape(-1, 2)[top]).max() < 1e-6
    assert abs(steps[-1].energies.total) < 1e-10 * steps[7].energies.bulk
    assert steps[7].reaction < -8.0 * 2e-4


def test_the_path_follower_serves_it():
    """A long block traced through its snap-back: it peaks at the strength and spends G_c × area."""
    mesh = block(MPI.COMM_WORLD, size=[10.0, 60.0], divisions=[1, 1], cell="quadrilateral")
    supports = [Displacement(group=g, component=c) for g, c in (("bottom", "y"), ("left", "x"), ("right", "x"))]
    solid = FiniteSolid(
        mesh,
        materials=dict.fromkeys(mesh.bodies, METAL),
        interfaces={"interface": ExponentialLaw(fracture_energy=7.4e-4, peak_traction=6.2e-3)},
        degree=1,
        supports=[*supports, Displacement(group="top", component="y", factor=1.0)],
    )
    steps = trace(solid, to=1.2, step=0.1)
    assert min(np.diff([step.load for step in steps])) < -1e-3
    assert max(step.reaction for step in steps) == pytest.approx(6.2e-2, rel=1e-3)
    assert steps[-1].energies.dissipated == pytest.approx(7.4e-3, rel=1e-6)
    assert sum(step.work for step in steps) == pytest.approx(7.4e-3, rel=5e-3)


def test_one_body_without_interfaces():
    """Stretched along y, free to contract: force E'·F·E per width with Green's strain E = ½(F² − 1)."""
    mesh = block(MPI.COMM_WORLD, size=[4.0, 10.0], divisions=[1, 2], cell="quadrilateral", interface_at=[])
    supports = [Displacement(group="bottom", component="y"), Displacement(group="left", component="x")]
    supports += [Displacement(group="top", component="y", factor=1.0)]
    solid = FiniteSolid(mesh, materials={"block": METAL}, interfaces={}, degree=1, supports=supports)
    step = follow(solid, [1.0], options=TIGHT)[0]
    stretch = 1.1
    modulus = METAL.plane_strain_compliance
    green = 0.5 * (stretch**2 - 1.0)
    assert step.reaction == pytest.approx(4.0 * stretch * green / modulus[1, 1], rel=1e-9)
    assert step.energies.bulk == pytest.approx(40.0 * 0.5 * green**2 / modulus[1, 1], rel=1e-9)


def test_peeling():
    """Peeled at 45° the force settles at Kendall's (1975); the ledger closes."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        from peel import TOUGHNESS, kendall, peeled
    finally:
        sys.path.pop(0)
    solid = peeled(45.0, length=48.0, crack=8.0, size=1.0)
    steps = follow(solid, np.arange(1, 26) * 0.4)
    assert np.mean([step.reaction for step in steps[-5:]]) == pytest.approx(kendall(45.0), rel=0.01)
    assert sum(step.work for step in steps) == pytest.approx(steps[-1].energies.total, rel=5e-3)
    assert steps[-1].energies.dissipated > 20.0 * TOUGHNESS


RANKS = """
import sys
sys.path.insert(0, "tests/continuum")
from test_finite import held_block, TIGHT
from continuum.finite import FiniteSolid
from continuum.solvers import follow
from mpi4py import MPI
found = []
for cell in ("quadrilateral", "tetrahedron"):
    solid = held_block(FiniteSolid, cell, divisions=(3, 2, 2), degree=1)
    found += [s.reaction for s in follow(solid, [0.5, 2.0, 1.0], options=TIGHT)]
if MPI.COMM_WORLD.rank == 0:
    print(" ".join(repr(f) for f in found))
"""


def test_the_same_on_one_two_and_three_ranks():
    one, *others = [[float(x) for x in run_mpi(n, RANKS).stdout.split()] for n in (1, 2, 3)]
    assert len(one) == 6
    for other in others:
        assert other == pytest.approx(one, rel=1e-9)


def test_mistakes_are_named():
    solid = held_block(FiniteSolid, "triangle")
    with pytest.raises(ContinuumError, match="finite number"):
        follow(solid, [np.nan])
    with pytest.raises(ContinuumError, match="max_iterations = 0"):
        SolverOptions(max_iterations=0)
    with pytest.raises(ConvergenceError, match="smaller load steps") as caught:
        follow(solid, [5.0], options=SolverOptions(max_iterations=1, max_cutbacks=1))
    assert caught.value.solid is solid
    assert solid.load == 0.0
