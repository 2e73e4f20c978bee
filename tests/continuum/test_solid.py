"""Solids: uniform opening, unloading, patch test, energies, contact, cracks, mistakes."""

import numpy as np
import pytest
from mpi4py import MPI
from specimens import HEIGHT, LAW, METAL, pulled_block

from continuum.errors import ContinuumError, MeshError, SupportError
from continuum.laws import BilinearLaw, ExponentialLaw, UberLaw
from continuum.mesh import block, double_cantilever_beam, split_bodies
from continuum.solid import Solid
from continuum.solvers import ConvergenceError, SolverOptions, follow
from continuum.supports import Displacement

CELLS = ["triangle", "quadrilateral", "tetrahedron", "hexahedron"]
TIGHT = SolverOptions(rtol=1e-12)
LOADS = [0.05, 0.3, 0.8, 1.5, 3.0]


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_uniform_opening(cell, degree):
    solid = pulled_block(cell, degree=degree)
    law = ExponentialLaw(**LAW)
    area = 10.0 if solid.dim == 2 else 100.0

    def check(step):
        state = solid.interface_state("interface")
        opening = state.opening[:, 0]
        # Every point opens alike, its traction is the law's and balances the bulk's C'(t − δ)/L.
        assert np.ptp(opening) < 1e-11
        assert state.traction[:, 0] == pytest.approx(law.traction(opening), abs=1e-15)
        bulk = METAL.uniaxial_modulus * (step.load - opening) / HEIGHT
        assert state.traction[:, 0] == pytest.approx(bulk, abs=1e-10 * law.peak_traction)
        assert step.reaction == pytest.approx(area * law.traction(opening[:1])[0], rel=1e-9)
        assert abs(step.closure) < 1e-10 * abs(step.energies.total)

    steps = follow(solid, LOADS, options=TIGHT, on_step=check)
    spent = steps[-1].energies.dissipated + steps[-1].energies.interface_stored
    assert spent == pytest.approx(area * law.potential([solid.history.max()])[0], rel=1e-10)


@pytest.mark.parametrize("limit", [1, 3000])
def test_newton_on_the_whole_solid_agrees(limit):
    """Zone limit 1 sends everything through Newton's method on the whole matrix."""
    options = SolverOptions(rtol=1e-12, zone_limit=limit)
    steps = follow(pulled_block("triangle", sideways=0.3), LOADS, options=options)
    assert [s.reaction for s in steps] == pytest.approx(
        [s.reaction for s in follow(pulled_block("triangle", sideways=0.3), LOADS, options=TIGHT)], rel=1e-9
    )


def test_load_unload_reload():
    solid = pulled_block("triangle")
    up = follow(solid, [0.5, 1.2], options=TIGHT)[-1]
    opening = solid.interface_state("interface").opening[0, 0]
    secant = solid.interface_state("interface").traction[0, 0] / opening
    down = follow(solid, [0.6], options=TIGHT)[-1]
    # Unloaded, the interface is a spring of the secant stiffness in series with the bulk.
    bulk = METAL.uniaxial_modulus / HEIGHT
    assert down.reaction == pytest.approx(10.0 * 0.6 / (1.0 / secant + 1.0 / bulk), rel=1e-10)
    assert down.energies.dissipated == pytest.approx(up.energies.dissipated, rel=1e-12)
    again = follow(solid, [1.2], options=TIGHT)[-1]
    assert again.reaction == pytest.approx(up.reaction, rel=1e-10)


def test_reversible_law_comes_back():
    solid = pulled_block("triangle", law=UberLaw(work=0.0743, length=0.44, unloading="reversible"))
    steps = follow(solid, [0.3, 2.0, 0.3, 0.0], options=TIGHT)
    assert steps[2].reaction == pytest.approx(steps[0].reaction, rel=1e-9)
    assert abs(steps[3].energies.total) < 1e-15
    assert steps[1].energies.dissipated == 0.0


def test_compression_is_contact():
    law = BilinearLaw(fracture_energy=0.0743, peak_traction=0.0624, initial_stiffness=1.0, penalty=5.0)
    step = follow(pulled_block("quadrilateral", law=law), [-0.2], options=TIGHT)[0]
    expected = -0.2 / (1.0 / 5.0 + HEIGHT / METAL.uniaxial_modulus)
    assert step.reaction == pytest.approx(10.0 * expected, rel=1e-10)
    assert step.energies.contact == pytest.approx(10.0 * expected**2 / (2 * 5.0), rel=1e-9)
    assert step.energies.dissipated == 0.0


@pytest.mark.parametrize("cell", CELLS)
def test_patch_of_one_body_is_exact(cell):
    """A linear displacement, sheared: one body, no interface, exact for any degree."""
    solid = pulled_block(cell, degree=1, interface_at=[])
    step = follow(solid, [0.1], options=TIGHT)[0]
    area = 10.0 if solid.dim == 2 else 100.0
    assert step.reaction == pytest.approx(area * METAL.uniaxial_modulus * 0.1 / HEIGHT, rel=1e-12)
    assert step.energies.bulk == pytest.approx(0.05 * step.reaction, rel=1e-12)


def test_several_interfaces_share_the_opening():
    solid = pulled_block("triangle", interface_at=[5.0, 12.0])
    follow(solid, [0.3], options=TIGHT)
    first, second = (solid.interface_state(f"interface {i}").opening[:, 0] for i in (1, 2))
    assert first == pytest.approx(second[0], abs=1e-11)


def test_initial_crack_carries_nothing():
    """With the interface cracked to one third, only the rest resists: tractions behind the tip are exactly zero."""
    solid = pulled_block("triangle", cracked_to=4.0)
    follow(solid, [0.3], options=TIGHT)
    state = solid.interface_state("interface")
    behind = state.points[:, 0] < 10.0 / 3.0
    assert np.abs(state.traction[behind]).max() == 0.0
    assert (state.damage[behind] == 1.0).all()
    assert (state.traction[~behind, 0] > 0.0).all()
    assert (state.opening[behind, 0] > state.opening[~behind, 0].max()).all()


def short_beam(**options):
    mesh = double_cantilever_beam(
        MPI.COMM_WORLD, length=600.0, arm_height=50.0, initial_crack=200.0, fine_size=4.0, fine_to=320.0, **options
    )
    grips = [
        Displacement(group="lower grip", component="y", factor=-0.5),
        Displacement(group="upper grip", component="y", factor=0.5),
        Displacement(group="right", component="x"),
    ]
    law = ExponentialLaw(**LAW)
    return Solid(mesh, materials=dict.fromkeys(mesh.bodies, METAL), interfaces={"interface": law}, supports=grips), law


def test_crack_in_a_beam_spends_what_the_work_pays():
    solid, law = short_beam()
    steps = follow(solid, np.linspace(8.0, 240.0, 30))
    assert all(s.cutbacks == 0 for s in steps)
    grown = steps[-1].crack_tip - 200.0
    assert grown > 30.0
    # Dissipation is the fracture energy of the new surface, apart from the zone's ends (a few Å of 0.0743 eV/Å²).
    assert steps[-1].energies.dissipated == pytest.approx(law.fracture_energy * grown, abs=12.0 * law.fracture_energy)
    work = sum(s.work for s in steps)
    assert work == pytest.approx(steps[-1].energies.total, rel=2e-3)
    assert max(abs(s.closure) for s in steps) < 1e-8 * work


def test_failure_carries_the_state():
    solid, _ = short_beam()
    with pytest.raises(ConvergenceError, match="smaller load steps") as caught:
        follow(solid, [8.0, 240.0], options=SolverOptions(max_iterations=1, max_zone_iterations=1, max_cutbacks=1))
    assert caught.value.solid is solid
    assert solid.load == (caught.value.steps[-1].load if caught.value.steps else 0.0)


def test_snapshot_and_restore():
    solid = pulled_block("triangle")
    follow(solid, [0.5])
    before, saved = solid.energies(), solid.snapshot()
    follow(solid, [2.0])
    solid.restore(saved)
    assert solid.energies() == before


def test_mistakes_are_named():
    mesh = block(MPI.COMM_WORLD, size=[10.0, 20.0], divisions=[2, 2])
    both, law = dict.fromkeys(mesh.bodies, METAL), {"interface": ExponentialLaw(**LAW)}

    def build(supports, materials=both, laws=law, **options):
        return Solid(mesh, materials=materials, interfaces=laws, supports=supports, **options)

    held = [Displacement(group="bottom", component="y"), Displacement(group="left", component="x")]
    with pytest.raises(SupportError, match=r"expected one of .*'bottom'"):
        build([Displacement(group="botom", component="y")])
    with pytest.raises(SupportError, match="component = 'z'"):
        build([Displacement(group="bottom", component="z")])
    with pytest.raises(SupportError, match="free to move"):
        build(held[:1])
    with pytest.raises(SupportError, match="expected one value"):
        build([*held, Displacement(group="left", component="y", factor=1.0)])
    with pytest.raises(SupportError, match="materials"):
        build(held, materials={"lower": METAL})
    with pytest.raises(SupportError, match="interfaces"):
        build(held, laws={})
    with pytest.raises(SupportError, match="degree = 3"):
        build(held, degree=3)
    with pytest.raises(ContinuumError, match="finite number"):
        follow(build(held), [np.nan])
    with pytest.raises(MeshError, match="0 <= fine_from"):
        double_cantilever_beam(
            MPI.COMM_WORLD, length=10.0, arm_height=1.0, initial_crack=12.0, fine_size=0.1, fine_to=9.0
        )
    with pytest.raises(MeshError, match="expected one of"):
        block(MPI.COMM_WORLD, size=[1.0, 1.0], divisions=[1, 1], cell="pentagon")


def test_support_on_one_side_of_an_interface():
    """Nodes of the interface held on one body only: the zone and Newton on the whole solid must agree."""
    x, y = np.meshgrid(np.linspace(0.0, 10.0, 4), np.linspace(0.0, 20.0, 5))
    points = np.column_stack([x.ravel(), y.ravel()])
    corner = (np.arange(4)[:, None] * 4 + np.arange(3)).ravel()
    cells = corner[:, None] + np.array([0, 1, 4, 5])
    mesh = split_bodies(
        MPI.COMM_WORLD,
        points=points,
        cells=cells,
        cell="quadrilateral",
        body_of_cell=(np.arange(12) >= 6).astype(np.int64),
        bodies=["lower", "upper"],
        interfaces={"interface": ("lower", "upper")},
        groups={
            "bottom": lambda m: m[:, 1] < 1e-9,
            "top": lambda m: m[:, 1] > 20.0 - 1e-9,
            "upper left": lambda m: (m[:, 0] < 1e-9) & (m[:, 1] > 10.0),
        },
    )
    supports = [Displacement(group="bottom", component=c) for c in "xy"]
    supports += [
        Displacement(group="top", component="y", factor=1.0),
        Displacement(group="top", component="x", factor=0.5),
    ]
    supports += [Displacement(group="upper left", component="x", factor=0.5)]
    curves = []
    for limit in (1, 3000):
        solid = Solid(
            mesh,
            materials=dict.fromkeys(mesh.bodies, METAL),
            interfaces={"interface": ExponentialLaw(**LAW)},
            supports=supports,
        )
        options = SolverOptions(rtol=1e-12, zone_limit=limit)
        curves.append([s.reaction for s in follow(solid, LOADS, options=options)])
    assert curves[1] == pytest.approx(curves[0], rel=1e-9)
