"""A law that asks its cell: exact where it asked, honest in between, lazy beyond, and loud where a cell fails."""

import json

import numpy as np
import pytest
from mpi4py import MPI
from scipy.integrate import quad

from continuum.laws import TabulatedLaw
from continuum.path import trace
from continuum.solvers import follow
from coupling.errors import CouplingError
from coupling.live import LiveCacheError, LiveCellError, LiveLaw, follow_live, trace_live
from tests.coupling.live_cells import LENGTH, MODULUS, SPACING, WORK, FormulaCell, block_with, followed
from tests.mpi import run_mpi

# T'(0) of the formula is W/l²; with this modulus it is 0.75 of C'/L, so that no cap acts.
SOFT = 1.0 / 0.75


def cell_of(**changes):
    return FormulaCell(stiffness=np.array([[WORK / LENGTH**2 * SPACING * SOFT]]), **changes)


def rice(cell, gaps):
    """δ and ψ of Rice's relation at openings of the cell."""
    energy, traction = cell.exact(gaps)
    compliance = cell.length / cell.stiffness[0, 0]
    return gaps - compliance * traction, energy - 0.5 * compliance * traction**2, traction


def test_at_evaluated_openings_the_law_is_the_cells_answer():
    cell = cell_of()
    law = LiveLaw(cell, tolerance=0.01)
    law.prepare(np.linspace(0, 2, 30))
    gaps = np.array(sorted(cell.asked))[1:-1]
    opening, potential, traction = rice(cell, gaps)
    assert np.allclose(law.traction(opening), traction, rtol=1e-12)
    assert np.allclose(law.potential(opening), potential, rtol=1e-12)
    assert law.fracture_energy == pytest.approx(cell.exact(9.0)[0], rel=1e-12)


@pytest.mark.parametrize("tolerance", [0.05, 0.01, 1e-3])
def test_the_true_error_stays_below_the_estimate(tolerance):
    cell = cell_of()
    law = LiveLaw(cell, tolerance=tolerance)
    law.prepare(np.linspace(0, 3, 100))
    record = law.record()
    gaps = np.linspace(0.01, 3, 400)
    opening, _, traction = rice(cell, gaps)
    error = np.abs(law.traction(opening) - traction).max() / law.peak_traction
    assert error <= record.largest_estimate <= tolerance
    assert record.largest_surprise <= 0.1
    assert record.unresolved == ()


def test_a_finer_tolerance_costs_evaluations_and_few():
    costs = []
    for tolerance in (0.05, 0.01, 1e-3):
        law = LiveLaw(cell_of(), tolerance=tolerance)
        law.prepare(np.linspace(0, 9, 300))
        costs.append(law.record().evaluations)
    assert costs == sorted(costs)
    assert costs[0] <= 35
    assert costs[-1] <= 90


def test_a_bump_that_no_node_sees_is_found_by_its_energy():
    """A bump of T well inside an interval, 3% of W under it: all tractions at nodes would miss it."""
    plain, bumped = cell_of(), cell_of(bump=(-0.002, 1.05, 0.03))
    first, second = LiveLaw(plain, tolerance=0.02), LiveLaw(bumped, tolerance=0.02)
    for law in (first, second):
        law.prepare(np.linspace(0, 2, 50))
    fresh = set(bumped.asked) - set(plain.asked)
    assert fresh
    assert all(0.6 < opening < 1.5 for opening in fresh)
    assert any(abs(opening - 1.05) < 0.03 for opening in fresh)


def test_a_step_of_the_energy_is_left_spread_and_reported(tmp_path):
    """As cut-off potentials have: halving only makes it worse. Whoever goes on from the cache does not try again."""
    path = tmp_path / "nodes.csv"
    law = LiveLaw(cell_of(bump=(0.001, 1.03, 1e-5)), tolerance=0.01, cache=path)
    law.prepare(np.linspace(0, 2, 50))
    (interval,) = law.record().unresolved
    assert interval[0] < 1.03 < interval[1]
    assert interval[1] - interval[0] > 0.05
    assert law.record().largest_estimate < 10 * 0.001 / (interval[1] - interval[0]) / law.peak_traction
    again = LiveLaw(cell_of(bump=(0.001, 1.03, 1e-5)), tolerance=0.01, cache=path)
    assert again.prepare(np.linspace(0, 2, 50)) == 0
    assert np.array_equal(again.traction(np.linspace(0, 3, 50)), law.traction(np.linspace(0, 3, 50)))


def test_nothing_is_asked_beyond_the_openings_in_use():
    cell = cell_of()
    law = LiveLaw(cell, first_step=0.3)
    law.prepare(np.linspace(0, 1.2, 50))
    inside = [opening for opening in cell.asked if opening < cell.full_opening]
    assert max(inside) <= 1.2 + 2 * 0.3
    assert law.uncertainty([1.0])[0] < 0.02 * law.peak_traction
    assert np.isinf(law.uncertainty([3.0]))[0]
    assert law.prepare(np.linspace(0, 1.2, 50)) == 0


def test_traction_is_the_potentials_derivative_and_the_tangent_is_its():
    law = LiveLaw(cell_of(), tolerance=0.02, unloading="damaging")
    law.prepare([1.0])
    rng = np.random.default_rng(1)
    jump = rng.normal(scale=0.4, size=(60, 2))
    history = rng.uniform(0, 0.5, size=(60, 1))
    step = 1e-6
    answer = law.evaluate(jump, history)
    for axis in range(2):
        shift = np.zeros(2)
        shift[axis] = step
        up, down = law.evaluate(jump + shift, history), law.evaluate(jump - shift, history)
        assert np.allclose((up.traction - down.traction) / (2 * step), answer.tangent[:, :, axis], atol=2e-6)
        energy = [r.stored + r.dissipated + r.contact for r in (up, down)]
        assert np.allclose((energy[0] - energy[1]) / (2 * step), answer.traction[:, axis], atol=1e-8)


def test_the_energy_under_the_traction_is_the_work_of_separation_also_where_it_is_only_foretold():
    law = LiveLaw(cell_of())
    for ask in ([], [0.4], [1.1], [3.0]):
        law.prepare(ask)
        total = quad(lambda x: float(law.traction([x])[0]), 0, law.final_opening, limit=400)[0]
        assert total == pytest.approx(law.fracture_energy, rel=1e-6)


def test_a_cell_that_folds_is_capped_as_tabulated_laws_are():
    law = LiveLaw(FormulaCell(stiffness=np.array([[WORK / LENGTH**2 * SPACING * 0.9]])))
    law.prepare(np.linspace(0, 2, 40))
    cap = 50 * law.elasticity.modulus / SPACING
    assert law.stiffness([0.0])[0] <= cap * (1 + 1e-9)
    assert law.correction.capped_to > 0.0
    assert law.potential([20.0])[0] == pytest.approx(law.cell.exact(9.0)[0], rel=1e-9)


@pytest.mark.parametrize("how", ["raise", "nan"])
def test_a_failed_cell_stops_the_run_and_says_where(how):
    solid = block_with(LiveLaw(cell_of(fails_above=0.8, how=how)))
    with pytest.raises(LiveCellError, match=r"interface 'interface', facet \d+, point \d+ at .*rank 0") as caught:
        follow_live(solid, np.linspace(0.1, 3.0, 30), ahead=0.0)
    assert ("lost atoms" if how == "raise" else "not finite") in str(caught.value)
    assert 0.0 < solid.load < 3.0


def test_a_fallback_is_taken_only_where_it_was_asked_for_and_is_recorded():
    law = LiveLaw(cell_of(fails_above=0.8), on_failure="predict")
    run = follow_live(block_with(law), np.linspace(0.1, 3.0, 15))
    assert len(run.steps) == 15
    assert run.records["interface"].predicted
    assert min(run.records["interface"].predicted) > 0.8


def test_a_run_goes_on_from_its_cache_and_refuses_anothers(tmp_path):
    path = tmp_path / "nodes.csv"
    first = LiveLaw(cell_of(), cache=path)
    first.prepare(np.linspace(0, 2, 30))
    cell = cell_of()
    second = LiveLaw(cell, cache=path)
    second.prepare(np.linspace(0, 2, 30))
    assert cell.asked == []
    assert second.record().from_cache == first.record().evaluations
    places = np.linspace(0, 2, 77)
    assert np.array_equal(first.traction(places), second.traction(places))
    assert second.prepare(np.linspace(0, 2, 30)) == 0
    with pytest.raises(LiveCacheError, match="another"):
        LiveLaw(cell_of(name="another"), cache=path)
    path.write_text("nonsense")
    with pytest.raises(LiveCacheError, match=r"nodes\.csv"):
        LiveLaw(cell_of(), cache=path)


def test_the_finite_elements_see_what_the_exact_table_gives():
    cell = cell_of()
    gaps = np.concatenate([np.linspace(0, 3, 150), np.linspace(3, 9, 80)[1:]])
    opening, potential, traction = rice(cell, gaps)
    slope = np.gradient(traction, opening, edge_order=2)
    traction[-1], slope[-1] = 0.0, 0.0
    exact = TabulatedLaw(opening=opening, potential=potential, traction=traction, stiffness=slope)
    loads = np.linspace(0.05, 2.5, 50)
    reference = follow(block_with(exact), loads)
    law = LiveLaw(cell_of(), tolerance=1e-3)
    run = follow_live(block_with(law), loads)
    peak = max(s.reaction for s in reference)
    gap = max(abs(a.reaction - b.reaction) for a, b in zip(run.steps, reference, strict=True))
    assert gap < 2e-3 * peak
    assert run.records["interface"].saved > 20
    work = sum(s.work for s in run.steps)
    assert max(abs(s.closure) for s in run.steps) < 1e-6 * work


def test_it_is_followed_through_snap_back():
    """A body so long that it gives back more energy than the interface takes: the path turns back, cells are asked on it."""
    gaps = np.concatenate([np.linspace(0, 3, 150), np.linspace(3, 9, 80)[1:]])
    opening, potential, traction = rice(cell_of(), gaps)
    slope = np.gradient(traction, opening, edge_order=2)
    traction[-1], slope[-1] = 0.0, 0.0
    exact = TabulatedLaw(opening=opening, potential=potential, traction=traction, stiffness=slope)
    reference = trace(block_with(exact, height=60.0), to=6.0, step=1.0)
    law = LiveLaw(cell_of())
    run = trace_live(block_with(law, height=60.0), to=6.0, step=1.0)
    loads = np.array([s.load for s in run.steps])
    assert (np.maximum.accumulate(loads) - loads).max() > 0.3
    spent, energy = run.steps[-1].energies.dissipated, 6.0 * law.fracture_energy
    assert spent == pytest.approx(reference[-1].energies.dissipated, rel=2e-3)
    assert spent == pytest.approx(energy, rel=0.01)
    peaks = [max(s.reaction for s in steps) for steps in (run.steps, reference)]
    assert peaks[0] == pytest.approx(peaks[1], rel=0.01)
    assert abs(sum(s.closure for s in run.steps)) < 1e-3 * energy
    assert run.records["interface"].saved > 20


def test_committed_states_rest_on_evaluated_openings_only():
    law = LiveLaw(cell_of(), tolerance=0.01)
    solid = block_with(law)

    def check(_):
        opening = solid.interface_state("interface").opening[:, 0]
        assert (law.uncertainty(opening) <= 0.01 * law.peak_traction * (1 + 1e-9)).all()

    follow_live(solid, np.linspace(0.1, 2.0, 12), on_step=check)


def test_the_same_numbers_on_any_number_of_ranks():
    script = """
        import json
        from mpi4py import MPI
        from tests.coupling.live_cells import followed
        world = MPI.COMM_WORLD
        answers = followed([MPI.COMM_SELF, world], world)
        if world.rank == 0:
            print(json.dumps(answers))
    """
    (alone, exact), _ = followed([MPI.COMM_SELF, MPI.COMM_SELF], MPI.COMM_SELF)
    for ranks in (2, 3):
        whole, distributed = json.loads(run_mpi(ranks, script, timeout=100).stdout)
        for shares, _ in (whole, distributed):
            assert sum(shares) == alone[0]
            assert np.ptp(shares) <= 1
        assert whole[1] == exact
        assert np.allclose(distributed[1], exact, rtol=1e-8)


def test_all_ranks_stop_together_with_one_message():
    script = """
        from mpi4py import MPI
        import numpy as np
        from coupling.live import LiveCellError, LiveLaw, follow_live
        from tests.coupling.test_live import cell_of, block_with
        world = MPI.COMM_WORLD
        # Only one rank's potential is broken.
        law = LiveLaw(cell_of(fails_above=0.5 if world.rank == 1 else np.inf), comm=world, tolerance=1e-3)
        try:
            follow_live(block_with(law, comm=world), np.linspace(0.2, 3.0, 8))
        except LiveCellError as error:
            messages = world.gather(str(error))
            if world.rank == 0:
                assert len(set(messages)) == 1, messages
                print(messages[0])
        # One rank alone fails where no cell is involved; each has the whole specimen.
        def trip(step):
            if world.rank == 1 and step.load > 0.5:
                raise OSError("disk full")
        try:
            follow_live(block_with(LiveLaw(cell_of(), comm=world)), np.linspace(0.2, 3.0, 8), on_step=trip)
        except ValueError as error:
            assert "rank 1: OSError: disk full" in str(error), error
            print("together")
    """
    said = run_mpi(2, script, timeout=100).stdout
    assert "on rank 1: RuntimeError: lost atoms" in said
    assert said.count("together") == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"components": 2}, "components"),
        ({"work": -1.0}, "positive energy"),
        ({"full_opening": 1.0}, "larger full_opening"),
    ],
)
def test_cells_that_make_no_law_are_refused(changes, message):
    with pytest.raises(CouplingError, match=message):
        LiveLaw(cell_of(**changes))


@pytest.mark.parametrize("settings", [{"tolerance": 0.0}, {"first_step": -1.0}, {"levels": 0}, {"on_failure": "hope"}])
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(CouplingError, match=next(iter(settings))):
        LiveLaw(cell_of(), **settings)


def test_modulus_defaults_to_the_cells_own():
    assert LiveLaw(FormulaCell()).elasticity.modulus == MODULUS


def test_a_solver_that_asks_no_cells_is_refused():
    law = LiveLaw(cell_of())
    with pytest.raises(CouplingError, match="follow_live"):
        follow(block_with(law), [0.5])
    law = LiveLaw(cell_of())
    law.prepare(np.linspace(0.0, 2.0, 50))
    assert follow(block_with(law), [0.5])[0].reaction > 0.0
