"""Runs that are stopped or cut short and gone on with: codec, memory of evaluations, checkpoints, stops, and a study."""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms
from mpi4py import MPI
from scipy.sparse import csr_matrix

from atomistic.errors import EvaluationError
from atomistic.potentials import load_potential
from atomistic.potentials.memory import Memory, remembering
from continuum.state import Energies
from multiscale import AdhesionCase, run_adhesion
from multiscale.at_work import LOCK, at_work
from multiscale.checkpoint import FOLDER, MANIFEST, Checkpoints
from multiscale.cli import main
from multiscale.codec import CodecError, decode, encode
from multiscale.errors import AtWorkError, CheckpointError, StoppedError
from multiscale.rerun import RerunError
from multiscale.resume import resume_run
from multiscale.run import RunDirectory, RunExistsError
from multiscale.stopping import Stopper
from multiscale.studies import launch
from multiscale.survival import RunOptions, run_options
from tests.mpi import run_mpi

CASE = {
    "potential": "eam-al",
    "crystal": {"element": "Al", "structure": "fcc"},
    "interface": {"plane": [1, 1, 1]},
    "decohesion": {"planes": 6, "relax": False},
    "verification": {"stacks": []},
    "specimen": {"shape": "block", "width": "2 nm", "height": "1 nm"},
    "loading": {"opening": {"to": "4 angstrom", "steps": 8}},
    "output": {"fields_every": 2},
}


# Trees as bytes.


def test_trees_come_back_to_the_last_bit():
    values = np.random.default_rng(0).normal(size=(4, 3))
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=3)
    atoms.set_velocities(values)
    atoms.set_constraint(FixAtoms([1]))
    energies = Energies(bulk=0.1, interface_stored=1 / 3, dissipated=float("nan"), contact=float("inf"))
    tree = {
        "values": [values, values.T.copy(), np.float32(0.1), np.int64(7), np.zeros((0, 3), dtype=bool)],
        "plain": (None, True, 3, -0.0, 0.1 + 0.2, "Å", Path("a/b"), {1, 2}, {(1, 2): "pair", "x": {}}),
        "energies": energies,
        "atoms": atoms,
        "matrix": csr_matrix(np.eye(3)),
    }
    found = decode(encode(tree))
    np.testing.assert_array_equal(found["values"][0], values)
    assert [type(v) for v in found["values"]] == [type(v) for v in tree["values"]]
    assert found["plain"] == tree["plain"]
    assert np.signbit(found["plain"][3])
    assert type(found["energies"]) is Energies
    assert repr(found["energies"]) == repr(energies)
    assert found["atoms"].positions.tobytes() == atoms.positions.tobytes()
    assert found["atoms"].get_momenta().tobytes() == atoms.get_momenta().tobytes()
    assert found["atoms"].constraints[0].index.tolist() == [1]
    assert (found["matrix"] != tree["matrix"]).nnz == 0


@dataclass(frozen=True)
class Foreign:
    value: int


def test_what_is_not_ours_is_neither_kept_nor_made():
    with pytest.raises(CodecError, match=r"state\['a'\]\[0\]: a .*Foreign cannot be kept"):
        encode({"a": [Foreign(1)]})
    with pytest.raises(CodecError, match="cannot be kept"):
        encode(np.array([object()]))
    bytes_of = encode(Energies(bulk=1.0, interface_stored=0.0, dissipated=0.0, contact=0.0))
    assert b"continuum.state:Energies" in bytes_of
    # An archive of the same length that names another class: its checksum has to be right for the reader to get so far.
    for name, cause in (
        ("subprocess:Popen", "none of the project's packages"),
        ("continuum.state:Gone", "of another version"),
    ):
        with pytest.raises(CodecError, match=cause):
            decode(_named(name))
    with pytest.raises(CodecError, match="no state that can be read"):
        decode(bytes_of[: len(bytes_of) // 2])


def _named(name):
    import io

    text = json.dumps({"class": name, "fields": {"dict": []}})
    buffer = io.BytesIO()
    np.savez(buffer, tree=np.frombuffer(text.encode(), dtype=np.uint8))
    return buffer.getvalue()


# Evaluations.


def _asked(spec="eam-al"):
    potential, found = load_potential(spec), []
    for seed in range(4):
        atoms = bulk("Al", cubic=True)
        atoms.rattle(0.05, seed=seed)
        whole = potential.evaluate(atoms)
        found += [whole.energy, whole.forces.tobytes(), whole.stress.tobytes()]
    return found, potential.counter


def test_evaluations_are_recalled_to_the_last_bit_and_counted(tmp_path):
    bare, _ = _asked()
    with remembering(Memory(tmp_path)):
        made, counter = _asked()
    memory = Memory(tmp_path)
    with remembering(memory):
        recalled, again = _asked()
    assert bare == made == recalled
    assert memory.recalled == 4
    assert (again.calls, again.atoms, again.seconds) == (counter.calls, counter.atoms, counter.seconds)
    # Another potential, or another structure, is another question.
    with remembering(memory):
        assert _asked("eam-al-zhou")[0] != made
    assert memory.recalled == 4


def test_a_record_that_was_cut_short_is_made_again(tmp_path):
    with remembering(Memory(tmp_path)):
        made, _ = _asked()
    (file,) = tmp_path.glob("answers-*.bin")
    os.truncate(file, file.stat().st_size - 10)
    memory = Memory(tmp_path)
    with remembering(memory):
        assert _asked()[0] == made
    assert memory.recalled == 3
    with remembering(whole := Memory(tmp_path)):
        assert _asked()[0] == made
    assert whole.recalled == 4


def test_a_loop_forgets_its_own_evaluations_only(tmp_path):
    memory = Memory(tmp_path)
    with remembering(memory):
        _asked()
        memory.begin_part("loop")
        _asked("eam-al-zhou")
        memory.forget_part("loop")
    assert len(list(tmp_path.glob("answers-*"))) == 1
    with remembering(memory := Memory(tmp_path)):
        _asked("eam-al-zhou")
        assert memory.recalled == 0
        _asked()
        assert memory.recalled == 4


def test_committees_and_what_is_not_finite_are_not_remembered(tmp_path):
    committee = load_potential({"committee": ["eam-al", "eam-al-zhou"]})
    assert committee.identity is None
    potential = load_potential("emt")
    potential.calculator.results = {}
    close = Atoms("Al2", positions=[[0, 0, 0], [0, 0, 0]], cell=[9, 9, 9], pbc=True)
    memory = Memory(tmp_path)
    with remembering(memory), pytest.raises((EvaluationError, ZeroDivisionError)), np.errstate(all="ignore"):
        potential.evaluate(close)
    assert Memory(tmp_path).empty


# Checkpoints.


def checkpoints(folder, *, case="a", **options):
    folder.mkdir(exist_ok=True)
    return Checkpoints(folder, case=case, options=RunOptions(**{"save": "every"} | options))


def test_the_last_states_are_kept_and_the_newest_whole_one_is_taken(tmp_path):
    keeper = checkpoints(tmp_path).keeper("loading")
    assert keeper.kept() is None
    for number in range(5):
        keeper.commit(lambda number=number: {"number": number})
    assert sorted(p.name for p in tmp_path.glob("*.npz")) == [f"loading-00000{n}.npz" for n in (3, 4, 5)]
    again = checkpoints(tmp_path, resume=True).keeper("loading")
    assert again.kept() == {"number": 4}
    assert again.step == 5
    # A damaged one is passed over; nothing else is at hand where all are.
    newest = tmp_path / "loading-000005.npz"
    newest.write_bytes(newest.read_bytes()[:-7])
    assert checkpoints(tmp_path, resume=True).keeper("loading").kept() == {"number": 3}
    for path in tmp_path.glob("*.npz"):
        path.unlink()
    with pytest.raises(
        CheckpointError, match=r"no state of 'loading' .* can be read: .*rm .*npz .*then multiscale resume"
    ):
        checkpoints(tmp_path, resume=True).keeper("loading").kept()


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"format": 99}, "a later version"),
        ({"format": 0}, "an earlier version"),
        ({"format": "1"}, "no manifest"),
        ({"case": "b"}, "another case"),
        ({"entries": {}}, "no manifest"),
    ],
)
def test_manifests_that_are_not_ours_are_refused(tmp_path, change, cause):
    checkpoints(tmp_path).keeper("x").commit(dict)
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps(manifest | change))
    with pytest.raises(CheckpointError, match=cause):
        checkpoints(tmp_path, resume=True)


def test_saving_by_itself_stays_below_its_share(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("multiscale.checkpoint.time.perf_counter", lambda: now[0])
    store = checkpoints(tmp_path, save="auto")
    keeper, saved = store.keeper("loading"), []

    def state():
        now[0] += 0.01
        saved.append(now[0])
        return {}

    for _ in range(200):
        now[0] += 0.1
        keeper.commit(state)
    # As often as 2 % of the time allow, in steps of a tenth of a second.
    assert 0.016 < 0.01 * len(saved) / now[0] <= 0.02
    saved.clear()
    for _ in range(20):
        now[0] += 1.0
        keeper.commit(state)
    assert len(saved) == 20


def test_a_full_disk_is_told_with_what_is_left(tmp_path, monkeypatch):
    keeper = checkpoints(tmp_path).keeper("loading")
    keeper.commit(dict)

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("multiscale.checkpoint.write_whole", full)
    with pytest.raises(CheckpointError, match=r"step 2 of loading .*No space left.*the last one kept is step 1"):
        keeper.commit(dict)
    assert checkpoints(tmp_path, resume=True).keeper("loading").step == 0
    assert checkpoints(tmp_path, resume=True).keeper("loading").kept() == {}


# Stops.


def test_a_file_a_signal_and_the_clock_ask_to_stop(tmp_path):
    stopper = Stopper(tmp_path)
    assert stopper.agreed() is None
    (tmp_path / "EXIT").touch()
    stopper._looked = -10.0
    assert stopper.agreed() == "by the file EXIT"
    stopper.clear()
    assert not (tmp_path / "EXIT").exists()
    with pytest.raises(StoppedError, match="time limit of 0 s"):
        Stopper(tmp_path, time_limit=0.0).at_evaluation()
    before = signal.getsignal(signal.SIGTERM)
    stopper = Stopper(tmp_path)
    with stopper.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        stopper.patient = True
        stopper.at_evaluation()
        stopper.patient = False
        with pytest.raises(StoppedError, match="SIGTERM"):
            stopper.at_evaluation()
        # Whoever presses Ctrl-C now does not want to wait.
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) == before


def test_petsc_does_not_take_the_signals(tmp_path):
    code = f"""
        import os, signal, sys
        from pathlib import Path
        from multiscale.stopping import Stopper
        stopper = Stopper(Path({str(tmp_path)!r}))
        assert "petsc4py.PETSc" not in sys.modules
        with stopper.listening():
            from mpi4py import MPI
            import dolfinx
            from petsc4py import PETSc
            PETSc.Sys.getVersion()
            os.kill(os.getpid(), signal.SIGTERM)
            assert stopper.reason() == "by SIGTERM", stopper.reason()
    """
    run_mpi(1, code)


@pytest.fixture
def no_pages(monkeypatch):
    monkeypatch.setattr(launch, "make_report", lambda path: path)


@pytest.fixture
def stopped(tmp_path, monkeypatch, no_pages):
    """A run that was asked to stop in its loop, and one that was not."""
    whole = run_adhesion(AdhesionCase(**CASE), directory=tmp_path / "whole", comm=MPI.COMM_SELF)
    directory, looks = tmp_path / "stopped", []

    def reason(stopper):
        looks.append(stopper.patient)
        return "by this test" if sum(looks) == 5 else None

    with monkeypatch.context() as patch:
        patch.setattr(Stopper, "reason", reason)
        with pytest.raises(StoppedError):
            run_adhesion(AdhesionCase(**CASE), directory=directory, comm=MPI.COMM_SELF)
    return whole, directory


def events(directory, kind):
    lines = (directory / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def test_a_study_goes_on_to_the_same_bits(stopped):
    whole, directory = stopped
    record = json.loads((directory / "run.json").read_text())
    assert record["status"] == "stopped"
    assert len(events(directory, "step")) == 5
    assert (directory / FOLDER / MANIFEST).exists()
    with pytest.raises(RunExistsError, match="multiscale resume"):
        run_adhesion(AdhesionCase(**CASE), directory=directory, comm=MPI.COMM_SELF)
    assert resume_run(directory, comm=MPI.COMM_SELF)
    first = json.loads((whole.directory / "results.json").read_text())
    again = json.loads((directory / "results.json").read_text())
    assert [q for q in again["quantities"] if q["unit"] != "s"] == [q for q in first["quantities"] if q["unit"] != "s"]
    table = "load_opening.csv"
    assert (directory / table).read_text() == (whole.directory / table).read_text()
    assert len(events(directory, "step")) == 8
    assert len(events(directory, "run_resumed")) == 1
    assert len(events(directory, "specimen_built")) == 1
    record = json.loads((directory / "run.json").read_text())
    assert record["status"] == "finished"
    assert len(record["resumed"]) == 1
    assert not (directory / FOLDER).exists()
    # The series for ParaView holds each state once.
    import h5py

    with h5py.File(directory / "fields" / "bodies.vtkhdf") as file:
        assert file["VTKHDF/Steps"].attrs["NSteps"] == 4
    assert not resume_run(directory, comm=MPI.COMM_SELF)


def test_a_run_whose_states_cannot_be_read_says_so(stopped):
    _, directory = stopped
    for path in (directory / FOLDER).glob("*.npz"):
        path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="can be read"):
        resume_run(directory, comm=MPI.COMM_SELF)
    assert json.loads((directory / "run.json").read_text())["status"] == "failed"
    assert run_adhesion(AdhesionCase(**CASE), directory=directory, comm=MPI.COMM_SELF, force=True).steps


def test_the_command_line_stops_with_a_code_of_its_own(tmp_path, capsys, no_pages):
    case = tmp_path / "case.yaml"
    case.write_text(json.dumps({"study": "adhesion"} | CASE))
    arguments = [str(case), "-o", str(tmp_path / "run"), "--quiet", "--watchdog", "none"]
    assert main(["run", *arguments, "--time-limit", "1 ms"]) == 75
    told = capsys.readouterr().err
    assert "stopped by its time limit of 0.001 s" in told
    assert f"multiscale resume {tmp_path / 'run'}" in told
    assert main(["resume", str(tmp_path / "run"), "--quiet", "--watchdog", "none"]) == 0
    assert "largest load" in capsys.readouterr().out
    assert main(["resume", str(tmp_path / "run"), "--quiet"]) == 0
    assert "nothing to resume" in capsys.readouterr().out
    assert main(["run", *arguments, "--time-limit", "1 nm"]) == 2
    assert "--time-limit" in capsys.readouterr().err
    assert main(["resume", str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_a_run_is_not_gone_on_with_when_a_file_has_changed(tmp_path, no_pages):
    curve = tmp_path / "curve.csv"
    curve.write_text(
        "opening [angstrom],energy [J/m^2]\n" + "\n".join(f"{x},{1.0 - np.exp(-x)}" for x in np.linspace(0, 9, 40))
    )
    keys = CASE | {"decohesion": {"file": str(curve)}}
    with run_options(RunOptions(time_limit=0.0)), pytest.raises(StoppedError):
        run_adhesion(AdhesionCase(**keys), directory=tmp_path / "run", comm=MPI.COMM_SELF)
    curve.write_text(curve.read_text().replace("0.0,0.0", "0.0,0.0\n0.01,0.0099"))
    with pytest.raises(RerunError, match=r"cannot be gone on with: .*curve\.csv"):
        resume_run(tmp_path / "run", comm=MPI.COMM_SELF)


def test_one_process_at_a_time_works_in_a_directory(tmp_path, no_pages):
    directory = tmp_path / "run"
    with at_work(directory):
        for force in (False, True):
            with pytest.raises(AtWorkError, match=rf"process {os.getpid()} on .* is at work in .*run\. .*EXIT"):
                run_adhesion(AdhesionCase(**CASE), directory=directory, comm=MPI.COMM_SELF, force=force)
    # Nothing has come to be there.
    assert not directory.exists()
    with run_options(RunOptions(time_limit=0.0)), pytest.raises(StoppedError):
        run_adhesion(AdhesionCase(**CASE), directory=directory, comm=MPI.COMM_SELF)
    with at_work(directory), pytest.raises(AtWorkError):
        resume_run(directory, comm=MPI.COMM_SELF)
    assert resume_run(directory, comm=MPI.COMM_SELF)
    assert not (directory / LOCK).exists()


def test_a_report_that_a_kill_took_is_made_on_resuming(stopped, monkeypatch):
    whole, _ = stopped
    made = []
    monkeypatch.setattr("multiscale.report.make_report", made.append)
    assert not resume_run(whole.directory, comm=MPI.COMM_SELF)
    assert made == [whole.directory]


def test_outside_a_study_nothing_is_kept(tmp_path):
    run = RunDirectory(tmp_path / "run")
    keeper = run.keeper("loading")
    assert keeper.kept() is None
    keeper.commit(lambda: pytest.fail("a state was made"))
