"""Cores that move during a run: jumps below the bound seen from outside, and an account that closes to the integrator's order."""

import json
from itertools import pairwise

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, fcc100
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from hypothesis import given, settings
from hypothesis import strategies as st

from atomistic.potentials import load_potential
from coupling.embedding import ForceMixing, Indices, Near, Region, SubtractiveEmbedding
from coupling.embedding.moving import MovingEmbedding
from coupling.embedding.transition import CoreMove, Transition, steps_needed
from coupling.errors import EmbeddingError
from tests.mpi import run_mpi

JUMP = 0.1


@pytest.fixture(scope="module")
def pair():
    """Two embedded-atom potentials of aluminium whose forces are derivatives to rounding; the second stands for the engine."""
    return load_potential("eam-al-zhou"), load_potential("eam-al-mendelev")


def block(seed=2):
    """A free block of aluminium with an empty close-packed row, along which one atom, the last, flies at 7 eV."""
    atoms = fcc100("Al", (6, 3, 5), a=4.05)
    atoms.pbc = False
    middle = atoms.positions.mean(axis=0)
    away = np.linalg.norm((atoms.positions - middle)[:, 1:], axis=1)
    row = np.flatnonzero(away < away.min() + 0.1)
    assert len(row) == 6
    flying = row[np.argsort(atoms.positions[row, 0])[1]]
    atoms = atoms[[i for i in range(len(atoms)) if i not in row] + [int(flying)]]
    atoms.rattle(0.02, seed=seed)
    atoms.set_velocities(np.outer(np.arange(len(atoms)) == len(atoms) - 1, [0.7, 0.02, 0.0]))
    return atoms


def following(scheme, atoms, pair, *, radius=3.2, leave=3.7, buffer=3.0, blend=0.0, **options):
    region = Region(core=Near(len(atoms) - 1, radius, leave=leave), buffer=buffer, blend=blend)
    atoms.calc = MovingEmbedding(scheme(ml=pair[0], qm=pair[1], regions=region), **options)
    return atoms.calc


class Turn:
    """A selection that a test turns."""

    def __init__(self, *rows):
        self.rows = list(rows)

    def select(self, atoms, current=None):
        return np.isin(np.arange(len(atoms)), self.rows)


def turning(pair, atoms, *rows, scheme=SubtractiveEmbedding, buffer=3.0, **options):
    selection = Turn(*rows)
    region = Region(core=selection, buffer=buffer)
    atoms.calc = MovingEmbedding(scheme(ml=pair[0], qm=pair[1], regions=region), **options)
    return selection, atoms.calc


def watched_run(atoms, calc, *, step, time, interval):
    """Run NVE; return force jumps at fixed places and raw and continuous total energies, all taken from outside."""
    dynamics = VelocityVerlet(atoms, step * units.fs)
    before, jumps, raw, kept = [], [], [], []
    dynamics.attach(lambda: before.append(atoms.get_forces()))
    calc.attach(dynamics, interval=interval)

    def after():
        jumps.append(np.linalg.norm(atoms.get_forces() - before[-1], axis=1).max())
        if "energy" in calc.implemented_properties:
            kinetic = atoms.get_kinetic_energy()
            raw.append(kinetic + atoms.get_potential_energy())
            kept.append(kinetic + calc.continuous_energy(atoms))

    dynamics.attach(after)
    dynamics.run(round(time / step))
    return np.array(jumps), np.array(raw), np.array(kept)


def test_a_core_that_follows_an_atom_jumps_no_more_than_allowed_and_its_account_closes(pair):
    """Halving the step quarters what is left open, as without any core; without the booking it would be 40 times as much."""
    open_, plain = [], []
    for step in (2.0, 1.0):
        atoms = block()
        calc = following(SubtractiveEmbedding, atoms, pair, largest_jump=JUMP)
        jumps, raw, kept = watched_run(atoms, calc, step=step, time=44.0, interval=round(4 / step))
        assert 0.5 * JUMP < jumps.max() <= JUMP * (1 + 1e-9)
        assert np.ptp(raw) > 30 * np.ptp(kept)
        open_.append(np.ptp(kept))
        still = block()
        still.calc = pair[0].calculator
        plain.append(np.ptp(watched_run(still, PlainRun(), step=step, time=44.0, interval=1)[2]))
    assert len(calc.moves) >= 3
    assert len({atom for move in calc.moves for atom in move.changes[0].entered}) >= 4
    assert len({atom for move in calc.moves for atom in move.changes[0].left}) >= 4
    assert open_[0] / open_[1] == pytest.approx(4.0, rel=0.2)
    assert open_[1] < 2.0 * plain[1]


class PlainRun:
    """The same run without embedding."""

    implemented_properties = ("energy",)

    def attach(self, dynamics, interval):
        pass

    def continuous_energy(self, atoms):
        return atoms.get_potential_energy()


def test_the_record_says_what_happened(pair):
    atoms = block()
    calc = following(SubtractiveEmbedding, atoms, pair, largest_jump=JUMP)
    jumps, raw, kept = watched_run(atoms, calc, step=1.0, time=30.0, interval=4)
    assert calc.moves
    for move in calc.moves:
        assert move.step % 4 == 0
        assert move.time == pytest.approx(move.step)
        assert move.done - move.step + 1 == move.steps >= 2
        assert move.steps >= move.difference / JUMP * 0.5
        assert move.largest_jump == pytest.approx(jumps[move.step : move.done + 1].max(), rel=1e-9)
        assert move.changes[0].cluster >= move.changes[0].core > 0
    assert all(first.done < second.step for first, second in pairwise(calc.moves))
    assert calc.booked == pytest.approx((raw - kept)[-1], abs=1e-9)
    assert sum(abs(move.booked) for move in calc.moves) > 0.02


def test_one_description_under_two_names_books_nothing(pair):
    """QM ≡ ML: no difference, no steps, no energy, and the forces of plain ML."""
    atoms = block()
    calc = following(SubtractiveEmbedding, atoms, (pair[0], pair[0]), largest_jump=JUMP)
    jumps, raw, kept = watched_run(atoms, calc, step=1.0, time=30.0, interval=2)
    assert len(calc.moves) >= 2
    assert jumps.max() == 0.0
    assert calc.booked == 0.0
    assert all(move.steps == 1 and move.difference == 0.0 for move in calc.moves)
    assert np.array_equal(raw, kept)
    plain = pair[0].evaluate(atoms)
    np.testing.assert_allclose(atoms.get_forces(), plain.forces, atol=1e-12)
    assert atoms.get_potential_energy() == pytest.approx(plain.energy, abs=1e-10)


def test_force_mixing_goes_over_in_the_same_steps(pair):
    atoms = block()
    calc = following(ForceMixing, atoms, pair, largest_jump=JUMP, blend=1.0)
    nets = []
    dynamics = VelocityVerlet(atoms, units.fs)
    dynamics.attach(lambda: nets.append(np.abs(atoms.get_forces().sum(axis=0)).max()))
    jumps, _, _ = watched_run(atoms, calc, step=1.0, time=30.0, interval=4)
    dynamics.run(3)
    assert calc.moves
    assert any(move.steps > 1 for move in calc.moves)
    assert 0.3 * JUMP < jumps.max() <= JUMP * (1 + 1e-9)
    assert max(nets) < 1e-10
    assert calc.booked == 0.0
    assert calc.moves[0].booked is None
    with pytest.raises(EmbeddingError, match="has no energy"):
        calc.continuous_energy(atoms)


def test_at_either_end_it_is_the_scheme_itself(pair):
    atoms = block()
    turn, calc = turning(pair, atoms, 60, largest_jump=JUMP)
    forces, energy = {}, {}
    for rows in ((60,), (64, 12)):
        scheme = SubtractiveEmbedding(ml=pair[0], qm=pair[1], regions=Region(core=list(rows), buffer=3.0))
        plain = atoms.copy()
        plain.calc = scheme
        forces[rows], energy[rows] = plain.get_forces(), plain.get_potential_energy()
    np.testing.assert_allclose(atoms.get_forces(), forces[60,], atol=1e-12)
    turn.rows = [64, 12]
    moves = calc.update(atoms)
    np.testing.assert_allclose(atoms.get_forces(), forces[64, 12], atol=1e-12)
    assert atoms.get_potential_energy() == pytest.approx(energy[64, 12], abs=1e-9)
    (move,) = moves
    assert (move.changes[0].entered, move.changes[0].left) == ((12, 64), (60,))
    jump = np.linalg.norm(forces[64, 12] - forces[60,], axis=1).max()
    assert move.largest_jump == pytest.approx(jump)
    assert move.steps == 1
    assert calc.booked == pytest.approx(energy[64, 12] - energy[60,], abs=1e-9)
    assert calc.update(atoms) == ()


def test_a_change_during_a_change_waits_and_is_bounded_too(pair):
    """The core goes from a to b, is called to c half-way, and ends at c by way of b."""
    atoms = block()
    turn, calc = turning(pair, atoms, 60, largest_jump=0.1)
    last, rng, jumps = atoms.get_forces(), np.random.default_rng(1), []
    for step in range(400):
        atoms.positions += rng.normal(0.0, 1e-3, atoms.positions.shape)
        last = atoms.get_forces()
        turn.rows = [60] if step < 2 else [12] if step < 5 else [64]
        calc.observe(atoms)
        jumps.append(np.linalg.norm(atoms.get_forces() - last, axis=1).max())
        if len(calc.moves) == 2:
            break
    assert [move.changes[0].entered for move in calc.moves] == [(12,), (64,)]
    assert calc.moves[0].step == 2
    assert calc.moves[0].done > 5
    assert calc.moves[1].step == calc.moves[0].done + 1
    assert 0.07 < max(jumps) <= 0.1 * (1 + 1e-9)
    assert calc.settled


def test_a_bound_for_the_energy_is_kept(pair):
    atoms = block()
    turn, calc = turning(pair, atoms, 60, largest_jump=10.0, largest_energy_jump=0.2)
    atoms.get_forces()
    turn.rows = [64, 12]
    rng, jumps = np.random.default_rng(1), []
    while not calc.moves:
        atoms.positions += rng.normal(0.0, 1e-3, atoms.positions.shape)
        before = atoms.get_potential_energy()
        kept = calc.continuous_energy(atoms)
        calc.observe(atoms)
        jumps.append(abs(atoms.get_potential_energy() - before))
        assert calc.continuous_energy(atoms) == pytest.approx(kept, abs=1e-9)
        assert len(jumps) < 200
    assert len(jumps) > 2
    assert 0.1 < max(jumps) <= 0.2 * (1 + 1e-9)
    assert calc.moves[0].largest_energy_jump == pytest.approx(max(jumps), abs=1e-9)


def test_one_place_is_one_step(pair):
    """A second run's first observer call comes at the places of the first run's last."""
    atoms = block()
    turn, calc = turning(pair, atoms, 60, largest_jump=0.02)
    atoms.get_forces()
    turn.rows = [12]
    calc.observe(atoms)
    share, calls = calc.transition.share, pair[1].counter.calls
    assert calc.transition.move.done is None
    assert calc.moves == ()
    assert 0.0 < share < 1.0
    calc.observe(atoms)
    assert calc.transition.share == share
    assert pair[1].counter.calls == calls


def test_a_step_costs_one_quantum_evaluation_and_two_during_a_change(pair):
    atoms = block()
    turn, calc = turning(pair, atoms, 60, largest_jump=0.1)
    rng = np.random.default_rng(1)

    def step():
        calls = pair[1].counter.calls
        atoms.positions += rng.normal(0.0, 1e-3, atoms.positions.shape)
        atoms.get_forces()
        calc.observe(atoms)
        return pair[1].counter.calls - calls

    assert [step() for _ in range(3)] == [1, 1, 1]
    turn.rows = [12]
    assert step() == 2
    while not calc.settled:
        assert step() == 2
    assert calc.moves[0].steps > 2
    assert step() == 1


def test_only_the_region_that_changes_is_evaluated_twice(pair):
    atoms = block()
    turn = Turn(60)
    regions = [Region(core=turn, buffer=3.0, name="one"), Region(core=[0], buffer=3.0, name="two")]
    atoms.calc = calc = MovingEmbedding(
        SubtractiveEmbedding(ml=pair[0], qm=pair[1], regions=regions), largest_jump=0.02
    )
    atoms.get_forces()
    turn.rows = [56]
    calls = pair[1].counter.calls
    calc.observe(atoms)
    assert pair[1].counter.calls - calls == 1
    assert [change.region for change in calc.transition.move.changes] == ["one"]
    assert calc.transition.old[1] is calc.transition.new[1]


def test_a_restart_in_the_midst_of_a_change_goes_on_as_if_nothing_had_been(pair):
    def run(atoms, calc, steps):
        dynamics = VelocityVerlet(atoms, units.fs)
        calc.attach(dynamics, interval=4)
        dynamics.run(steps)

    whole = block()
    one = following(SubtractiveEmbedding, whole, pair, largest_jump=JUMP)
    run(whole, one, 26)
    atoms = block()
    first = following(SubtractiveEmbedding, atoms, pair, largest_jump=JUMP)
    steps = next(move.step for move in one.moves if move.steps > 2) + 1
    run(atoms, first, steps)
    assert not first.settled
    kept = json.loads(json.dumps(first.state()))
    forces, booked = atoms.get_forces(), first.booked
    second = following(SubtractiveEmbedding, atoms, pair, largest_jump=JUMP)
    second.restore(kept, atoms)
    np.testing.assert_allclose(atoms.get_forces(), forces, atol=1e-11)
    assert second.booked == booked
    run(atoms, second, 26 - steps)
    np.testing.assert_allclose(atoms.positions, whole.positions, atol=1e-10)
    assert second.booked == pytest.approx(one.booked, abs=1e-9)
    assert [move.changes for move in second.moves] == [move.changes for move in one.moves]
    assert [(move.step, move.done) for move in second.moves] == [(move.step, move.done) for move in one.moves]


def test_an_optimiser_reaches_what_the_last_core_alone_would(pair):
    atoms = bulk("Al", cubic=True, a=4.05).repeat(2)
    atoms.rattle(0.05, seed=4)
    last = len(atoms) - 1
    start = atoms.copy()

    class Far:
        """The first atom, until atoms have moved away from the start; the last one from then on."""

        def select(self, atoms, current=None):
            moved = np.linalg.norm(atoms.positions - start.positions) > 0.1 or (current is not None and current[last])
            return np.arange(len(atoms)) == (last if moved else 0)

    atoms.calc = calc = MovingEmbedding(
        SubtractiveEmbedding(ml=pair[0], qm=pair[1], regions=Region(core=Far(), buffer=3.0)), largest_jump=0.05
    )
    optimiser = BFGS(atoms, logfile=None)
    calc.attach(optimiser, interval=1)
    optimiser.run(fmax=2e-3, steps=100)
    assert calc.settled
    assert len(calc.moves) == 1
    alone = start.copy()
    alone.calc = SubtractiveEmbedding(ml=pair[0], qm=pair[1], regions=Region(core=[last], buffer=3.0))
    # The same C as that which the moving core was given.
    alone.calc.adopt(alone, calc.clusters)
    BFGS(alone, logfile=None).run(fmax=2e-3, steps=100)
    assert atoms.get_potential_energy() == pytest.approx(alone.get_potential_energy(), abs=2e-5)


def test_the_buffer_changes_beyond_its_slack_only(pair):
    """One atom goes out across the buffer's edge at 3.5 Å and in again."""
    line = Atoms("Al5", positions=[[0, 0, 0], [2.8, 0, 0], [0, 2.8, 0], [0, 0, 3.4], [0, 5.4, 0]])
    line.calc = calc = MovingEmbedding(
        SubtractiveEmbedding(ml=pair[0], qm=pair[1], regions=Region(core=[0], buffer=3.5)), slack=0.5
    )
    line.get_forces()
    seen = []
    for height in (3.8, 3.4, 3.9, 4.1, 3.6, 3.2, 2.9):
        line.positions[3, 2] = height
        calc.update(line)
        seen.append(len(calc.clusters[0]))
    assert seen == [4, 4, 4, 3, 3, 3, 4]
    assert [move.changes[0].cluster for move in calc.moves] == [3, 4]
    assert all(move.changes[0].entered == move.changes[0].left == () for move in calc.moves)


def test_stress_goes_over_with_the_rest(pair):
    atoms = bulk("Al", cubic=True, a=4.05).repeat(3)
    atoms.rattle(0.05, seed=1)
    turn, calc = turning(pair, atoms, 0, largest_jump=0.02)
    ends = []
    for rows in ([0], [50]):
        plain = atoms.copy()
        plain.calc = SubtractiveEmbedding(ml=pair[0], qm=pair[1], regions=Region(core=rows, buffer=3.0))
        ends.append(plain.get_stress())
    np.testing.assert_allclose(atoms.get_stress(), ends[0], atol=1e-13)
    turn.rows = [50]
    calc.observe(atoms)
    share = calc.transition.share
    assert 0.0 < share < 1.0
    np.testing.assert_allclose(atoms.get_stress(), (1 - share) * ends[0] + share * ends[1], atol=1e-12)


def test_a_selection_that_fails_leaves_the_run_as_it_was(pair):
    atoms = block()
    turn, calc = turning(pair, atoms, 60)
    forces = atoms.get_forces()
    turn.rows = []
    atoms.positions[0] += 0.01
    with pytest.raises(EmbeddingError, match="is empty"):
        calc.observe(atoms)
    atoms.positions[0] -= 0.01
    np.testing.assert_allclose(atoms.get_forces(), forces, atol=1e-12)
    assert calc.settled
    assert len(calc.clusters) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"largest_jump": 0.0}, "largest_jump must be positive"),
        ({"largest_jump": np.nan}, "largest_jump must be positive"),
        ({"largest_energy_jump": -1.0}, "largest_energy_jump must be positive"),
        ({"slack": -0.1}, "slack"),
    ],
)
def test_senseless_bounds_are_refused(pair, options, message):
    scheme = SubtractiveEmbedding(ml=pair[0], qm=pair[1], regions=Region(core=[0]))
    with pytest.raises(EmbeddingError, match=message):
        MovingEmbedding(scheme, **options)


def test_what_does_not_fit_is_refused(pair):
    mixing = ForceMixing(ml=pair[0], qm=pair[1], regions=Region(core=[0]))
    with pytest.raises(EmbeddingError, match="no energy"):
        MovingEmbedding(mixing, largest_energy_jump=1.0)
    with pytest.raises(EmbeddingError, match="Expected a SubtractiveEmbedding"):
        MovingEmbedding(pair[0].calculator)
    atoms = block()
    _, calc = turning(pair, atoms, 60)
    with pytest.raises(EmbeddingError, match="interval"):
        calc.attach(VelocityVerlet(atoms, units.fs), interval=0)
    atoms.get_forces()
    state = calc.state()
    with pytest.raises(EmbeddingError, match="other atoms"):
        calc.restore(state, atoms[:30])
    other = MovingEmbedding(
        SubtractiveEmbedding(ml=pair[0], qm=pair[1], regions=Region(core=Indices([0]), name="other"))
    )
    with pytest.raises(EmbeddingError, match="of the regions"):
        other.restore(state, atoms)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(1e-6, 5.0), min_size=1, max_size=30),
    st.floats(0.05, 1.0),
    st.one_of(st.none(), st.floats(0.05, 1.0)),
)
def test_no_history_of_differences_breaks_the_bound(apart, jump, energy_jump):
    """Whatever the ends do between the steps, every step keeps both bounds, and the last one arrives."""
    change = Transition(old=(), new=(), share=0.0, move=CoreMove(step=0, time=None, changes=(), difference=0.0))
    looks, booked, jumps = 0, 0.0, []
    while change.share < 1.0:
        g = apart[min(looks, len(apart) - 1)]
        first = {"forces": np.zeros((2, 3)), "energy": 3.0}
        second = {"forces": np.array([[0.0, g, 0.0], [0.0, 0.0, -0.5 * g]]), "energy": 3.0 - 0.7 * g}
        before = change.mixed(first, second)
        after = change.stepped(first, second, jump=jump, energy_jump=energy_jump, looks=looks)
        now = after.mixed(first, second)
        jumps.append(np.linalg.norm(now["forces"] - before["forces"], axis=1).max())
        assert jumps[-1] <= jump * (1 + 1e-9)
        if energy_jump is not None:
            assert abs(now["energy"] - before["energy"]) <= energy_jump * (1 + 1e-9) + 1e-12
        booked += now["energy"] - before["energy"]
        assert after.share > change.share
        change, looks = after, looks + 1
    assert change.move.steps == looks
    assert change.move.done == looks - 1
    assert change.move.booked == pytest.approx(booked, abs=1e-9)
    assert change.move.largest_jump == pytest.approx(max(jumps))


def test_steps_needed():
    assert [steps_needed(1.0, g, 0.1) for g in (0.0, 0.05, 0.1, 0.11, 1.0)] == [1, 1, 1, 2, 10]
    assert steps_needed(0.5, 1.0, 0.1) == 5


RANKS = """
import json
from mpi4py import MPI
import numpy as np
from ase import units
from ase.md.verlet import VelocityVerlet
from atomistic.potentials import load_potential
from coupling.embedding import SubtractiveEmbedding
from tests.coupling.embedding.test_moving import JUMP, block, following

comm = MPI.COMM_WORLD
atoms = block()
pair = load_potential("eam-al-zhou"), load_potential("eam-al-mendelev")
calc = following(lambda **options: SubtractiveEmbedding(**options, comm=comm), atoms, pair, largest_jump=JUMP)
dynamics = VelocityVerlet(atoms, units.fs, comm=MPI.COMM_SELF)
calc.attach(dynamics, interval=4)
dynamics.run(25)
all_ = comm.gather((calc.booked, len(calc.moves), atoms.positions.tolist()))
if comm.rank == 0:
    print(json.dumps({"same": all(a == all_[0] for a in all_), "booked": calc.booked, "moves": len(calc.moves)}))
"""


def test_ranks_move_the_core_together(pair):
    atoms = block()
    alone = following(SubtractiveEmbedding, atoms, pair, largest_jump=JUMP)
    dynamics = VelocityVerlet(atoms, units.fs)
    alone.attach(dynamics, interval=4)
    dynamics.run(25)
    two = json.loads(run_mpi(2, RANKS, timeout=100).stdout)
    assert two["same"]
    assert two["moves"] == len(alone.moves) >= 1
    assert two["booked"] == pytest.approx(alone.booked, abs=1e-9)
