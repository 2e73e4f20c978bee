"""Paths through limit points and snap-back, contact, loads, and going on from a file."""

from pathlib import Path

import numpy as np
import pytest
from mpi import run_mpi
from mpi4py import MPI
from specimens import pulled_block

from continuum.checkpoint import load_state, save_state
from continuum.errors import ContinuumError
from continuum.laws import BilinearLaw, ExponentialLaw
from continuum.materials import LinearElastic
from continuum.mesh import block
from continuum.path import PathOptions, ViscosityError, trace
from continuum.solid import Solid
from continuum.solvers import ConvergenceError, SolverOptions, follow
from continuum.supports import Displacement, Force

MODULUS, WORK, PEAK, WIDTH = 0.6, 0.0743, 0.0624, 10.0
LAW = BilinearLaw(fracture_energy=WORK, peak_traction=PEAK, initial_stiffness=1.0)
CRITICAL = 2 * MODULUS * WORK / PEAK**2  # length of a bar beyond which it snaps back: 22.9 Å


def bar(length, *, law=LAW, pulled=True):
    mesh = block(MPI.COMM_WORLD, size=[WIDTH, length], divisions=[2, 2], cell="quadrilateral")
    supports = [Displacement(group="bottom", component="y"), Displacement(group="left", component="x")]
    supports += [Displacement(group="top", component="y", factor=1.0)] if pulled else []
    return Solid(
        mesh,
        materials=dict.fromkeys(mesh.bodies, LinearElastic.isotropic(E=MODULUS, nu=0.0)),
        interfaces={"interface": law},
        degree=1,
        supports=supports,
        forces=[] if pulled else [Force(group="top", component="y", total=1.0)],
    )


@pytest.mark.parametrize("length", [0.5 * CRITICAL, 2.5 * CRITICAL])
def test_a_softening_bar_follows_the_exact_branch(length):
    solid = bar(length)
    steps = trace(solid, to=PEAK * length / MODULUS + 3.0, step=0.3)
    loads = np.array([s.load for s in steps])
    tractions = np.array([s.reaction for s in steps]) / WIDTH
    # In series: opening = elongation − T L/E, and T follows the law at that opening.
    opening = loads - tractions * length / MODULUS
    assert np.abs(tractions - LAW.traction(np.maximum(opening, 0.0))).max() <= 1e-9 * PEAK
    snaps = length > CRITICAL
    assert (np.diff(loads).min() < 0.0) == snaps
    assert any(s.control == "dissipation" for s in steps)
    assert all(s.negative_pivots > 0 for s in steps if s.control == "dissipation") == snaps
    assert solid.energies().dissipated == pytest.approx(WORK * WIDTH, rel=1e-9)
    # The trapezoidal rule is exact but at the law's corners.
    assert sum(s.work for s in steps) == pytest.approx(WORK * WIDTH, rel=1e-3)
    assert max(abs(s.closure) for s in steps) < 1e-10 * WORK * WIDTH
    assert steps[-1].control == "load"
    assert steps[-1].load == PEAK * length / MODULUS + 3.0


def test_a_strip_pulled_off_its_base_goes_back_as_its_last_millimetres_come_off(monkeypatch):
    # Points break one after the other; at the end broken ones move back with the strip while the last still hold.
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    from snapback import END, LENGTH, TOUGHNESS, distance, strip, strip_exact

    curve, _ = strip()
    assert curve.displacement[-1] == END
    assert curve.snap_back > 0.2
    assert distance(curve, *strip_exact()) < 1e-3
    assert curve.steps[-1].energies.dissipated == pytest.approx(TOUGHNESS * LENGTH, rel=1e-9)


def test_dead_loads_go_through_their_limit_point():
    solid = bar(20.0, pulled=False)
    steps = trace(solid, to=2.0 * PEAK * WIDTH, step=0.1)
    loads = np.array([s.load for s in steps])
    assert loads.max() == pytest.approx(PEAK * WIDTH, rel=0.01)
    assert loads[-1] == pytest.approx(0.0, abs=1e-6)
    assert solid.energies().dissipated == pytest.approx(WORK * WIDTH, rel=1e-9)


def test_a_jump_at_fixed_load_reaches_the_broken_state_and_the_account_says_so():
    solid = bar(2.5 * CRITICAL)
    steps = trace(solid, to=10.0, step=0.3, options=PathOptions(snap="jump"))
    assert any(s.control == "alternate minimisation" for s in steps)
    assert steps[-1].reaction == pytest.approx(0.0, abs=1e-9)
    # The elastic energy that the interface could not spend is missing in the stored and dissipated energies.
    assert sum(s.work for s in steps) > 1.5 * steps[-1].energies.total


def test_viscous_traction_is_accounted_for_and_refused_where_it_takes_too_much():
    options = PathOptions(viscosity=2e-3, max_viscous_share=0.5)
    steps = trace(bar(0.5 * CRITICAL), to=4.0, step=0.1, options=options)
    # Elastic law, viscous law and bar in series: what is left over closes to the solver's tolerance.
    assert max(abs(s.closure) for s in steps) < 1e-8 * WORK * WIDTH
    assert 0.0 < steps[-1].viscous < 0.5 * WORK * WIDTH
    halved = trace(bar(0.5 * CRITICAL), to=4.0, step=0.1, options=PathOptions(viscosity=1e-3, max_viscous_share=0.5))
    assert halved[-1].viscous == pytest.approx(0.5 * steps[-1].viscous, rel=0.1)
    with pytest.raises(ViscosityError, match="max_viscous_share"):
        trace(bar(0.5 * CRITICAL), to=4.0, step=0.1, options=PathOptions(viscosity=2e-3))


def test_reversible_laws_are_followed_by_their_openings():
    law = ExponentialLaw(fracture_energy=WORK, peak_traction=PEAK, unloading="reversible")
    length = 80.0
    steps = trace(bar(length, law=law), to=12.0, step=0.5)
    loads = np.array([s.load for s in steps])
    tractions = np.array([s.reaction for s in steps]) / WIDTH
    opening = loads - tractions * length / MODULUS
    assert np.diff(loads).min() < 0.0
    assert any(s.control == "opening" for s in steps)
    assert np.abs(tractions - law.traction(opening)).max() <= 1e-8 * PEAK


def test_a_run_goes_on_from_a_file(tmp_path):
    whole = trace(bar(2.5 * CRITICAL), to=8.0, step=0.3)
    first = bar(2.5 * CRITICAL)
    trace(first, to=8.0, step=0.3, on_step=lambda s: s.control == "dissipation")
    file = save_state(tmp_path / "state", first)
    second = bar(2.5 * CRITICAL)
    load_state(file, second)
    assert second.reaction() == pytest.approx(first.reaction(), rel=1e-13)
    steps = trace(second, to=8.0, step=0.3)
    assert steps[-1].energies.total == pytest.approx(whole[-1].energies.total, rel=1e-9)
    with pytest.raises(ContinuumError, match="expected the same mesh"):
        load_state(file, bar(30.0))
    with pytest.raises(ContinuumError, match="cannot be read"):
        load_state(tmp_path / "none.npz", second)


def test_augmented_lagrangian_closes_the_gap_that_the_penalty_leaves():
    law = BilinearLaw(fracture_energy=WORK, peak_traction=PEAK, initial_stiffness=1.0, penalty=0.05)
    soft, hard = pulled_block(law=law), pulled_block(law=law)
    follow(soft, [-0.5])
    follow(hard, [-0.5], options=SolverOptions(contact="augmented lagrangian", max_augmentations=80))
    # Uniaxial strain with nothing in between: the traction is C' times the strain, the jump nothing.
    exact = -0.5 / 20.0 * LinearElastic.isotropic(E=0.6, nu=0.3).uniaxial_modulus
    assert soft.jumps()[:, 0].min() < -0.1
    assert np.abs(hard.jumps()).max() < 1e-5
    assert hard.respond().traction[:, 0] == pytest.approx(exact, rel=1e-4)
    with pytest.raises(ContinuumError, match="contact"):
        SolverOptions(contact="glue")


def test_mistakes_are_named():
    with pytest.raises(ContinuumError, match="step"):
        trace(bar(10.0), to=1.0, step=-1.0)
    with pytest.raises(ContinuumError, match="to = None"):
        trace(bar(10.0), to=None, step=1.0)
    with pytest.raises(ContinuumError, match="PathOptions"):
        trace(bar(10.0), to=1.0, step=1.0, options=SolverOptions())
    with pytest.raises(ContinuumError, match=r"SolverOptions"):
        follow(bar(10.0), [1.0], options={"rtol": 1e-9})
    with pytest.raises(ContinuumError, match=r"interfaces\['interface'\] = BilinearLaw: expected an instance"):
        bar(10.0, law=BilinearLaw)
    with pytest.raises(ContinuumError, match="snap"):
        PathOptions(snap="back")
    with pytest.raises(ContinuumError, match="viscosity"):
        PathOptions(viscosity=-1.0)
    with pytest.raises(ConvergenceError, match="no equilibrium"):
        trace(bar(2.5 * CRITICAL), to=8.0, step=0.3, options=PathOptions(max_steps=3))


@pytest.mark.parametrize("ranks", [2, 3])
def test_the_path_does_not_depend_on_the_number_of_ranks(ranks, tmp_path):
    here = trace(bar(2.5 * CRITICAL), to=7.0, step=1.0, options=PathOptions(resolution=0.1))
    script = f"""
        import sys
        sys.path[:0] = ["tests/continuum", "tests"]
        import numpy as np
        from test_path import CRITICAL, bar
        from continuum.checkpoint import load_state, save_state
        from continuum.path import PathOptions, trace
        solid = bar(2.5 * CRITICAL)
        steps = trace(solid, to=7.0, step=1.0, options=PathOptions(resolution=0.1))
        save_state(r"{tmp_path}/state.npz", solid)
        if solid.comm.rank == 0:
            np.savetxt(r"{tmp_path}/path.txt", [[s.load, s.reaction] for s in steps])
    """
    run_mpi(ranks, script, timeout=120)
    there = np.loadtxt(tmp_path / "path.txt")
    assert there == pytest.approx(np.array([[s.load, s.reaction] for s in here]), abs=1e-8)
    solid = bar(2.5 * CRITICAL)
    load_state(tmp_path / "state.npz", solid)
    assert solid.load == 7.0
    assert solid.reaction() == pytest.approx(here[-1].reaction, abs=1e-9)


def test_damaged_and_foreign_states_are_refused(tmp_path):
    solid = bar(30.0)
    trace(solid, to=1.0, step=0.5)
    file = save_state(tmp_path / "state.dat", solid)
    assert file.name == "state.dat.npz"
    load_state(file, bar(30.0))
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no archive"):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(ContinuumError, match="cannot be read"):
            load_state(tmp_path / "bad.npz", solid)
    tougher = BilinearLaw(fracture_energy=2 * WORK, peak_traction=PEAK, initial_stiffness=1.0)
    with pytest.raises(ContinuumError, match="the same solid and laws"):
        load_state(file, bar(30.0, law=tougher))
    solid.owned()[3] = np.nan
    with pytest.raises(ContinuumError, match="NaN"):
        load_state(save_state(tmp_path / "broken", solid), bar(30.0))


def test_forces_that_are_no_numbers_never_balance():
    solid = bar(30.0)
    solid.dead_load[:] = np.nan
    with pytest.raises(ConvergenceError):
        trace(solid, to=1.0, step=0.5)
    with pytest.raises(ConvergenceError):
        follow(solid, [1.0])


def test_a_jump_through_given_loads_shows_in_what_was_released():
    solid = bar(2.5 * CRITICAL)
    steps = follow(solid, [3.0, 5.0, 7.0, 8.0])
    # The bar held ½ E (λ/L)² L per width and could spend WORK of it.
    missing = sum(s.work for s in steps) - steps[-1].energies.total
    assert sum(s.released for s in steps) == pytest.approx(missing, rel=1e-12)
    assert max(s.released for s in steps) > 1.0 * WORK * WIDTH
    gentle = follow(bar(0.5 * CRITICAL), np.linspace(0.05, 4.0, 80).tolist())
    assert max(abs(s.released) for s in gentle) < 0.02 * WORK * WIDTH
