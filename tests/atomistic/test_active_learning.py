"""The loop of active learning: it learns, it can be killed anywhere, it stops for the right reasons and says which."""

import dataclasses
import os
import re
import shutil
import signal
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.constraints import FixAtoms
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet

from atomistic.active_learning import BrokenRunError, Frame, HeadStudent, LearningOptions, MDRun, RelaxationRun, learn
from atomistic.active_learning.doubt import Judgement, Limits, judge
from atomistic.active_learning.labelling import Choice, Passed, candidates
from atomistic.active_learning.store import Store, packed, unpacked
from atomistic.committee import HeadFeatures, HeadOptions, committee_of
from atomistic.data_set import DataSet
from atomistic.dynamics import AdaptiveLangevin
from atomistic.errors import LearningError
from atomistic.labelled import LabelledFrame
from atomistic.oracle.excerpt import Excerpt
from atomistic.potentials import as_potential
from tests.mpi import run_mpi
from tests.pair_student import Morse, PairStudent

CRYSTAL = bulk("Al", cubic=True, a=4.0) * (2, 2, 1)
STEPS = 20
OPTIONS = LearningOptions(threshold=0.04, save_every=2)


def labelled(seed, rattle):
    atoms = CRYSTAL.copy()
    atoms.rattle(rattle, seed=seed)
    found = as_potential(Morse()).evaluate(atoms)
    return LabelledFrame(atoms=atoms, energy=found.energy, forces=found.forces, stress=found.stress)


INITIAL = [labelled(seed, 0.03) for seed in range(2)]
HELD_OUT = [labelled(seed, 0.1) for seed in range(100, 102)]


def md(steps=STEPS):
    atoms = CRYSTAL.copy()
    thermalize_momenta(atoms, temperature_K=800, rng=np.random.default_rng(1))
    return MDRun(
        atoms,
        dynamics=lambda a: AdaptiveLangevin(a, 3 * units.fs, temperature_K=500, rng=2),
        steps=steps,
        note={"temperature": 500},
    )


def go(folder, run=None, *, options=OPTIONS, **changes):
    given = {"student": PairStudent(), "oracle": as_potential(Morse()), "initial": INITIAL, "held_out": HELD_OUT}
    return learn(run or md(), directory=folder, options=options, **{**given, **changes})


def bits(folder):
    """What must not depend on interruptions."""
    files = ["data/data.extxyz", "checks.csv", *(f"potentials/{p.name}" for p in (folder / "potentials").iterdir())]
    (final,) = (folder / "states").glob("final-*.npz")
    return {name: (folder / name).read_bytes() for name in files} | {"final": final.read_bytes()}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder, run = tmp_path_factory.mktemp("reference") / "loop", md()
    return SimpleNamespace(result=go(folder, run), run=run, folder=folder, bits=bits(folder))


def test_a_run_learns_and_goes_on_from_where_it_was_trusted(reference):
    result = reference.result
    assert result.stop == "finished"
    assert result.steps == STEPS
    assert result.rounds == result.triggers == result.oracle_calls == result.labelled >= 2
    assert result.share == result.oracle_calls / STEPS < 0.2
    assert result.steps_made > STEPS  # what was taken back was made again
    assert all(not check.trusted for check in result.checks if check.disagreement > OPTIONS.threshold)
    trusted = 0
    for this, following in zip(result.checks, result.checks[1:], strict=False):
        trusted = this.step if this.trusted else trusted
        assert following.step == trusted + 5  # from the last trusted step, never from the one that asked
    # The potential of the end knows the frames of the run, that of the start did not.
    frames = [f for f in DataSet(result.data).frames() if f.provenance]
    errors = [
        max(np.abs(PairStudent().load(path).evaluate(f.atoms).forces - f.forces).max() for f in frames)
        for path in (result.potentials[0], result.potentials[-1])
    ]
    assert errors[1] < 0.1 * errors[0]
    origin = frames[0].provenance["learning"]
    assert (origin["trigger"], origin["reason"], origin["temperature"]) == (1, "doubt", 500)
    assert frames[0].provenance["oracle"] == "Morse"
    assert frames[0].stress is not None


class Shifted(Morse):
    """The same forces, an energy of another zero."""

    def calculate(self, *arguments, **options):
        super().calculate(*arguments, **options)
        self.results["energy"] += 5.0


def test_a_jump_of_the_energy_is_no_drift(reference):
    jumps = [event.data["jump"] for event in reference.result.events if event.kind == "resumed"]
    assert reference.run.jump == pytest.approx(sum(jumps), abs=1e-9)
    energies = []
    for second in (Morse(), Shifted()):
        run = md()
        run.adopt(as_potential(Morse()))
        for step in range(20):
            if step == 10:
                run.restore(unpacked_of(run))
                run.adopt(as_potential(second))
            run.advance()
            energies.append(run.conserved)
    assert run.jump == pytest.approx(5.0, abs=1e-9)
    assert energies[20:] == pytest.approx(energies[:20], abs=1e-9)
    assert np.ptp(energies) < 0.01  # what 3 fs leave of 5 eV


def unpacked_of(run):
    """A snapshot as another process finds it."""
    with tempfile.TemporaryDirectory() as folder:
        (path := Path(folder, "state.npz")).write_bytes(packed(run.snapshot(), "state"))
        return unpacked(path)


def test_a_finished_loop_is_not_run_again(reference):
    run, calls = md(), []
    again = go(reference.folder, run, report=calls.append)
    assert calls == []
    assert (run.step, again.oracle_calls) == (STEPS, reference.result.oracle_calls)
    assert np.array_equal(run.atoms.positions, reference.run.atoms.positions)
    assert run.jump == reference.run.jump


# Killed


class Moments:
    """Counts the moments of a loop, by name; at the chosen one the process kills itself."""

    def __init__(self, monkeypatch, *, kill=None):
        self.kill, self.seen = kill, []
        replace, train, advance = os.replace, PairStudent.train, MDRun.advance
        calculate = Morse.calculate

        def renamed(source, target):
            kind = re.sub(r"[-\d]+", "", os.path.basename(target))
            self.passed(f"before {kind}")
            replace(source, target)
            self.passed(f"after {kind}")

        def told(name, function):
            def call(*arguments, **options):
                self.passed(name)
                return function(*arguments, **options)

            return call

        monkeypatch.setattr(os, "replace", renamed)
        monkeypatch.setattr(PairStudent, "train", told("train", train))
        monkeypatch.setattr(MDRun, "advance", told("step", advance))
        monkeypatch.setattr(Morse, "calculate", told("oracle", calculate))

    def passed(self, name):
        self.seen.append(name)
        if len(self.seen) - 1 == self.kill:
            os.kill(os.getpid(), signal.SIGKILL)


def killed(folder, monkeypatch, moment):
    child = os.fork()
    if child == 0:
        try:
            Moments(monkeypatch, kill=moment)
            go(folder)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def moments(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        counted = Moments(patch)
        go(tmp_path / "counted")
    return counted.seen


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_killed_at_any_stage_it_ends_with_the_same_bits(reference, tmp_path, monkeypatch):
    seen = moments(tmp_path, monkeypatch)
    kinds = {"manifest.json", "data.extxyz", ".npz", "trusted.npz", "asked.npz", "final.npz"}
    assert set(seen) == {f"{when} {kind}" for when in ("before", "after") for kind in kinds} | {
        "step",
        "oracle",
        "train",
    }
    spared = {f"{when} {kind}" for when in ("before", "after") for kind in ("asked.npz", "final.npz")}
    for name in sorted(set(seen) - spared - {"before trusted.npz", "before .npz"}):
        # After the first trigger; where the manifest is about to be written, checks are in their journal already.
        asked = seen.index("after asked.npz")
        places = [k for k, other in enumerate(seen) if other == name]
        folder = tmp_path / name.replace(" ", "-")
        killed(folder, monkeypatch, next((k for k in places if k > asked), places[-1]))
        assert go(folder).stop == "finished"
        assert bits(folder) == reference.bits, name
        assert not list(folder.rglob(".part-*"))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_killed_at_any_moment_it_ends_with_the_same_bits(reference, tmp_path, monkeypatch):
    for moment, name in enumerate(moments(tmp_path, monkeypatch)):
        if name == "step" and moment % 4:
            continue
        folder = tmp_path / "killed"
        killed(folder, monkeypatch, moment)
        assert go(folder).stop == "finished"
        assert bits(folder) == reference.bits, (moment, name)
        shutil.rmtree(folder)


# Stops


def test_a_budget_used_up_stops_and_a_larger_one_goes_on(reference, tmp_path):
    first = go(tmp_path, options=dataclasses.replace(OPTIONS, budget=1))
    assert (first.stop, first.oracle_calls, first.rounds) == ("budget", 1, 1)
    assert first.steps % 5 == 0  # the run stands where it was trusted last
    assert go(tmp_path, options=dataclasses.replace(OPTIONS, budget=1)).stop == "budget"
    last = go(tmp_path)
    assert (last.stop, last.oracle_calls) == ("finished", reference.result.oracle_calls)
    assert bits(tmp_path) == reference.bits


class Stubborn(PairStudent):
    """Learns from the first two frames only."""

    def train(self, frames, *, held_out=()):
        return super().train(frames[:2])


def test_no_improvement_stops_the_loop(tmp_path):
    result = go(tmp_path, student=Stubborn(), options=dataclasses.replace(OPTIONS, patience=2))
    # The same potential asks about the same frame: its label is known, the run goes on and finds the next one.
    assert result.stop == "no improvement"
    assert result.rounds == result.oracle_calls == 2
    assert not any(e.data["improved"] for e in result.events if e.kind == "validated" and e.round > 0)
    more = go(tmp_path, student=Stubborn(), options=dataclasses.replace(OPTIONS, patience=3))
    assert (more.stop, more.rounds) == ("no improvement", 3)


class Contract:
    """Kept by the potentials of some rounds, counted by how often it is asked."""

    def __init__(self, *kept):
        self.kept = list(kept)

    def check(self, metrics):
        assert metrics.value("forces_rmse") > 0.0
        return SimpleNamespace(passed=self.kept.pop(0))


@pytest.mark.parametrize(
    ("kept", "stops", "rounds", "stop"),
    [
        ((False, True, True, True, True), "lost", None, "finished"),
        ((False, False, False, False, False), "lost", None, "finished"),
        ((True, False), "lost", 1, "contract"),
        ((False,), "failed", 0, "contract"),
    ],
)
def test_a_contract_that_is_lost_stops_the_loop(tmp_path, kept, stops, rounds, stop):
    options = dataclasses.replace(OPTIONS, contract_stops=stops)
    result = go(tmp_path, options=options, contract=Contract(*kept))
    assert result.stop == stop
    assert rounds is None or result.rounds == rounds
    assert result.contract_kept == kept[result.rounds]
    if stop == "contract":
        assert go(tmp_path, options=options, contract=Contract(*[True] * 9)).stop == "finished"


# Oracles that fail


class Failing(Morse):
    """Fails at some of its calls, counted from 0; `how` is raised, or done to the forces."""

    def __init__(self, fails, how=None):
        super().__init__()
        self.fails, self.how, self.asked = fails, how or RuntimeError("no self-consistent state"), 0

    def calculate(self, *arguments, **options):
        super().calculate(*arguments, **options)
        self.asked += 1
        if self.asked - 1 in self.fails:
            if isinstance(self.how, Exception):
                raise self.how
            self.results["forces"] = self.results["forces"] * self.how


@pytest.mark.parametrize("how", [None, np.nan, np.linalg.LinAlgError("singular")])
def test_where_the_oracle_fails_a_neighbouring_frame_is_labelled(tmp_path, how):
    result = go(tmp_path, oracle=Failing({0}, how))
    assert result.stop == "finished"
    assert result.failures == 1
    assert result.oracle_calls == result.labelled + 1
    (failed,) = [e for e in result.events if e.kind == "oracle failed"]
    (first,) = [e for e in result.events if e.kind == "labelled"][:1]
    assert first.data["of_step"] == failed.data["of_step"] - 1
    assert len(list((tmp_path / "failed").glob("*.extxyz"))) == 1
    assert all(np.isfinite(f.forces).all() for f in DataSet(result.data).frames())


def test_an_oracle_that_fails_altogether_stops_the_loop_and_is_asked_again(reference, tmp_path):
    result = go(tmp_path, oracle=Failing(range(99)))
    assert (result.stop, result.oracle_calls, result.failures) == ("oracle failed", 3, 3)
    assert "no self-consistent state" in result.text
    assert len(DataSet(result.data)) == 2
    assert go(tmp_path).stop == "finished"
    assert bits(tmp_path)["data/data.extxyz"] == reference.bits["data/data.extxyz"]


def test_an_oracle_without_stress_will_do(tmp_path):
    oracle = Morse()
    oracle.implemented_properties = ["energy", "forces"]
    result = go(tmp_path, oracle=oracle)
    assert result.stop == "finished"
    assert [f.stress is None for f in DataSet(result.data)] == [False, False] + [True] * result.labelled


# Runs that break, runs that cannot differ


class Frames:
    """A run through given structures, whatever the potential; it breaks before some steps with the first potential."""

    def __init__(self, frames, *, breaks=(), judged=None):
        self.frames, self.breaks, self.judged = frames, breaks, judged
        self.step, self.potentials = 0, 0

    @property
    def finished(self):
        return self.step >= len(self.frames) - 1

    def advance(self):
        if self.step + 1 in self.breaks and self.potentials < 3:
            raise BrokenRunError("atoms flew away")
        self.step += 1

    def frame(self):
        return Frame(atoms=self.frames[self.step].copy(), judged=self.judged, config_type="given")

    def snapshot(self):
        return {"step": self.step}

    def restore(self, snapshot):
        self.step = snapshot["step"]

    def adopt(self, potential):
        self.potentials += 1


def pulled(count):
    """Structures in which one atom is moved away, 0.1 Å a step."""
    found = []
    for k in range(count):
        atoms = CRYSTAL.copy()
        atoms.rattle(0.02, seed=1)
        atoms.positions[3, 0] += 0.1 * k
        found.append(atoms)
    return found


EVERY = dataclasses.replace(OPTIONS, check_every=1)


def test_a_run_that_breaks_asks_about_its_last_frames(tmp_path):
    loose = dataclasses.replace(EVERY, threshold=5.0)
    result = go(tmp_path, Frames(pulled(6), breaks=(4,)), options=loose)
    assert result.stop == "finished"
    assert [e.data["of_step"] for e in result.events if e.kind == "labelled"] == [3]
    assert "atoms flew away" in next(e.text for e in result.events if e.kind == "broken")


def test_a_run_that_breaks_where_all_is_known_stops(tmp_path):
    known = as_potential(Morse()).evaluate(pulled(1)[0])
    initial = [*INITIAL, LabelledFrame(atoms=pulled(1)[0], energy=known.energy, forces=known.forces)]
    result = go(
        tmp_path, Frames(pulled(3), breaks=(1,)), options=dataclasses.replace(EVERY, threshold=5.0), initial=initial
    )
    assert result.stop == "run failed"
    assert "atoms flew away" in result.text


def test_a_doubtful_frame_that_has_its_label_is_passed(tmp_path):
    result = go(tmp_path, Frames(pulled(8)), student=Stubborn(), options=dataclasses.replace(EVERY, patience=99))
    assert result.stop == "finished"
    assert result.labelled == result.rounds > 1
    assert result.known > 0
    assert len(DataSet(result.data)) == 2 + result.labelled  # nobody was asked twice


def test_only_judged_atoms_ask(tmp_path):
    near = CRYSTAL.get_distances(3, range(16), mic=True) < 4.6
    judged = np.zeros(16, dtype=bool)
    judged[np.flatnonzero(~near)[:1]] = True
    asked = [
        go(tmp_path / name, Frames(pulled(8), judged=mask), options=EVERY).oracle_calls
        for name, mask in (("all", None), ("far", judged))
    ]
    assert asked[0] > 0
    assert asked[1] == 0


def test_beyond_the_ceiling_an_earlier_frame_is_labelled(tmp_path):
    options = dataclasses.replace(OPTIONS, check_every=6)
    seen = [c.disagreement for c in go(tmp_path / "seen", Frames(pulled(7)), options=EVERY, student=Stubborn()).checks]
    limited = dataclasses.replace(options, ceiling=0.5 * max(seen), patience=1)
    result = go(tmp_path / "limited", Frames(pulled(7)), options=limited, student=Stubborn())
    (step,) = [e.data["of_step"] for e in result.events if e.kind == "labelled"]
    assert 0 < step < 6


# Several labels, pieces


def doubt(each):
    """What a committee whose members differ by `each` says, at a threshold of 0.1 eV/Å."""
    return Judgement(disagreement=each, novelty=np.zeros(len(each)), score=each / 0.1)


def test_frames_are_chosen_for_diversity():
    passed = [Passed(frame=Frame(atoms=atoms), step=k) for k, atoms in enumerate(pulled(8))]
    found = candidates(passed, doubt(np.zeros(16)), Choice(wanted=3, neighbours=1))
    assert [c.step for c in found] == [7, 0, 4, 6]  # the last, the farthest, the middle; then the newest of the rest


def test_centres_are_apart():
    each = np.linspace(0.0, 0.3, 16)
    choice = Choice(wanted=3, neighbours=0, excerpt=Excerpt(core=3.5))
    passed = [Passed(frame=Frame(atoms=CRYSTAL), step=0)]
    found = candidates(passed, doubt(each), choice)
    centres = [c.centre for c in found]
    assert centres[0] == 15
    assert len(centres) > 1
    apart = CRYSTAL.get_all_distances(mic=True)[np.ix_(centres, centres)] + 9.0 * np.eye(len(centres))
    assert apart.min() > 3.5
    assert all(each[c] > 0.1 for c in centres)


def test_several_labels_for_one_trigger(tmp_path):
    result = go(tmp_path, options=dataclasses.replace(OPTIONS, frames_per_trigger=2))
    assert result.stop == "finished"
    assert result.labelled == 2 * result.triggers
    steps = [e.data["of_step"] for e in result.events if e.kind == "labelled"]
    assert all(0 < first - second < 5 for first, second in zip(steps[::2], steps[1::2], strict=True))


def test_pieces_of_a_large_structure_are_labelled(tmp_path):
    large = bulk("Al", cubic=True, a=4.0) * (4, 4, 4)
    large.rattle(0.02, seed=1)
    end = large.copy()
    end.positions[100, 0] += 0.4
    result = go(tmp_path, Frames([large, end]), options=EVERY, excerpt=Excerpt(core=3.0, buffer=4.6))
    assert result.stop == "finished"
    assert result.labelled > 0
    for frame in DataSet(result.data).frames()[2:]:
        assert 0 < frame.counted.sum() < len(frame.atoms) < 256
        whole = as_potential(Morse()).evaluate(end).forces
        rows = np.array(frame.provenance["excerpt"]["atoms"])
        assert np.allclose(frame.forces[frame.counted], whole[rows[frame.counted]], atol=1e-9)


# The runs


@pytest.mark.parametrize(
    "dynamics",
    [
        lambda a: AdaptiveLangevin(a, 3 * units.fs, temperature_K=500, rng=2),
        lambda a: Langevin(
            a, 3 * units.fs, temperature_K=500, friction=0.01, rng=np.random.default_rng(3), fixcm=False
        ),
        lambda a: Langevin(
            a, 3 * units.fs, temperature_K=500, friction=0.01, rng=np.random.RandomState(3), fixcm=False
        ),
        lambda a: VelocityVerlet(a, 3 * units.fs),
        None,
    ],
    ids=["adaptive", "langevin", "langevin, old generator", "verlet", "relaxation"],
)
def test_a_snapshot_goes_on_with_the_same_bits(dynamics):
    def new():
        atoms = labelled(1, 0.1).atoms
        atoms.set_constraint(FixAtoms([0]))
        thermalize_momenta(atoms, temperature_K=500, rng=np.random.default_rng(1))
        run = (
            RelaxationRun(atoms, steps=20, fmax=1e-4) if dynamics is None else MDRun(atoms, dynamics=dynamics, steps=20)
        )
        run.adopt(as_potential(Morse()))
        return run

    first, second = new(), new()
    for _ in range(7):
        first.advance()
    kept = unpacked_of(first)
    for _ in range(6):
        first.advance()
    second.advance()
    second.restore(kept)
    second.adopt(as_potential(Morse()))
    assert second.step == 7
    for _ in range(6):
        second.advance()
    assert packed(first.snapshot(), "a") == packed(second.snapshot(), "b")
    assert np.array_equal(first.atoms.positions[0], labelled(1, 0.1).atoms.positions[0])


def test_a_relaxation_learns_and_comes_to_rest_for_the_oracle(tmp_path):
    run = RelaxationRun(labelled(5, 0.15).atoms, fmax=0.01, steps=300)
    result = go(tmp_path, run, options=dataclasses.replace(OPTIONS, check_every=3))
    assert result.stop == "finished"
    assert result.labelled > 0
    assert run.converged
    found = as_potential(Morse()).evaluate(run.atoms)
    assert np.abs(found.forces).max() < 0.03
    assert found.energy == pytest.approx(as_potential(Morse()).evaluate(CRYSTAL).energy, abs=1e-3)


def test_heads_can_be_taught(tmp_path):
    """What was trained and what was saved give the same bits, and the doubt is in place."""
    small = bulk("Al", a=4.05) * (2, 1, 1)
    frames = []
    for seed in range(3):
        atoms = small.copy()
        atoms.rattle(0.05, seed=seed)
        found = as_potential(Morse()).evaluate(atoms)
        frames.append(LabelledFrame(atoms=atoms, energy=found.energy, forces=found.forces, stress=found.stress))
    student = HeadStudent(HeadFeatures("sevennet-0", layers=1), options=HeadOptions(components=5, cosines=8))
    trained = student.train(frames[:2])
    student.save(trained, tmp_path / "heads.npz")
    loaded = student.load(tmp_path / "heads.npz")
    atoms = frames[2].atoms
    assert np.array_equal(loaded.evaluate(atoms).forces, trained.evaluate(atoms).forces)
    assert committee_of(loaded).disagreement(atoms).largest > 0.0
    judged = judge(loaded, Frame(atoms=atoms), Limits(threshold=1e9, novelty=1e-3))
    assert not judged.trusted
    assert judged.atom == np.argmax(judged.novelty)


# Mistakes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": 0.0}, "threshold must be positive"),
        ({"ceiling": 0.01}, "above the threshold"),
        ({"novelty": -1.0}, "novelty must be positive"),
        ({"check_every": 0}, "check_every must be a whole number"),
        ({"budget": 1.5}, "budget must be a whole number"),
        ({"improvement": 1.0}, "relative fall"),
        ({"contract_stops": "never"}, "'lost' or 'failed'"),
    ],
)
def test_options_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(LearningError, match=message):
        dataclasses.replace(OPTIONS, **changes)


class Single(PairStudent):
    """Gives a potential that is no committee."""

    def load(self, path):
        return as_potential(Morse())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"initial": ()}, "nothing to start from"),
        ({"contract": Contract(True), "held_out": ()}, "held-out frames"),
        ({"student": Single()}, "cannot doubt itself"),
        ({"options": dataclasses.replace(OPTIONS, novelty=1.0)}, "does not know how new"),
        ({"held_out": [LabelledFrame(atoms=CRYSTAL, energy=1.0)]}, "No held-out frame has forces"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(tmp_path, changes, message):
    with pytest.raises(LearningError, match=message):
        go(tmp_path, **changes)


def test_a_folder_of_another_loop_is_refused(reference, tmp_path):
    with pytest.raises(LearningError, match=r"threshold: 0\.04 then, 0\.05 now"):
        go(reference.folder, options=dataclasses.replace(OPTIONS, threshold=0.05))
    with pytest.raises(LearningError, match="initial frames"):
        go(reference.folder, initial=INITIAL[:1])
    store = Store(reference.folder)
    with pytest.raises(LearningError, match="Another process"):
        go(reference.folder)
    store.close()
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(LearningError, match="cannot be read"):
        go(tmp_path)
    shutil.copytree(reference.folder, tmp_path / "damaged")
    for path in (tmp_path / "damaged" / "states").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(LearningError, match="cannot be read"):
        go(tmp_path / "damaged")
    (tmp_path / "damaged" / "checks.csv").write_text("")
    with pytest.raises(LearningError, match="lines of it were lost"):
        go(tmp_path / "damaged")
    other = MDRun(Atoms("Al"), dynamics=lambda a: VelocityVerlet(a, 1.0), steps=3)
    with pytest.raises(LearningError, match="other atoms"):
        go(reference.folder, other)
    with pytest.raises(LearningError, match="another kind of run"):
        go(reference.folder, RelaxationRun(CRYSTAL))


def test_runs_that_cannot_be_saved_are_refused():
    with pytest.raises(LearningError, match="shared random numbers"):
        MDRun(CRYSTAL, dynamics=lambda a: Langevin(a, 1.0, temperature_K=300, friction=0.01, fixcm=False), steps=3)
    with pytest.raises(LearningError, match="cannot be saved"):
        packed({"rng": np.random.default_rng(1)}, "state")
    with pytest.raises(LearningError, match="must be a mask"):
        RelaxationRun(CRYSTAL, judged=[0, 1])
    with pytest.raises(LearningError, match="steps must be"):
        md(steps=0)


# Several ranks

_SCRIPT = """
import sys
from pathlib import Path
from mpi4py import MPI
from tests.atomistic.test_active_learning import Failing, go
folder, comm = Path(sys.argv[1]), MPI.COMM_WORLD
result = go(folder / "good", comm=comm)
bad = go(folder / "bad", comm=comm, oracle=Failing(range(99)))
try:
    go(folder / "none", comm=comm, initial=())
except ValueError as error:
    refused = "nothing to start from" in str(error)
told = comm.gather((result.stop, result.oracle_calls, result.steps, bad.stop, bad.failures, refused))
if comm.rank == 0:
    print(told)
"""


def test_two_ranks_end_with_the_bits_of_one(reference, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    done = run_mpi(2, [str(script), str(tmp_path)], timeout=100)
    told = ("finished", reference.result.oracle_calls, STEPS, "oracle failed", 3, True)
    assert done.stdout.strip() == str([told, told])
    assert bits(tmp_path / "good") == reference.bits
