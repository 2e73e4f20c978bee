"""What goes wrong: one message that says where and what to do, an exit code on every rank, nobody left hanging."""

import errno
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from atomistic.errors import EvaluationError, StoppedError
from atomistic.potentials import tally
from multiscale import failures
from multiscale.errors import CheckpointError
from multiscale.progress import Progress
from multiscale.watchdog import SUMMARY, stand_in, watching
from tests.mpi import run_mpi

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from _faults import CASES, FAULTS, Bench, call, command


@pytest.fixture
def directory(tmp_path):
    """Of a run that has kept something."""
    (tmp_path / "run" / "checkpoint").mkdir(parents=True)
    (tmp_path / "run" / "checkpoint" / "answers-stages-0000-r0.bin").touch()
    return tmp_path / "run"


def wrapped(cause: BaseException) -> EvaluationError:
    error = EvaluationError(f"The potential 'emt' failed on Cu: {cause}")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (MemoryError(), 1, ["the memory is used up", "Fewer ranks", "multiscale resume"]),
        (wrapped(RuntimeError("DefaultCPUAllocator: can't allocate memory")), 1, ["failed on Cu", "multiscale resume"]),
        (OSError(errno.ENOSPC, "No space left", "runs/a/x"), 1, ["runs/a/x cannot be written", "Make room", "resume"]),
        (PermissionError(errno.EACCES, "Permission denied", "b"), 1, ["b cannot be used", "-o"]),
        (CheckpointError("cannot be written. Go on with: multiscale resume runs/a"), 1, ["resume runs/a"]),
        (StoppedError("by SIGTERM"), 75, ["stopped by SIGTERM", "multiscale resume"]),
        (wrapped(ValueError("a shape")), 1, ["failed on Cu: a shape"]),
    ],
)
def test_an_error_says_what_to_do_and_has_its_code(directory, error, code, words):
    assert failures.exit_code(error) == code
    told = failures.message(error, directory=directory)
    assert all(word in told for word in words)
    assert told.count("multiscale resume") <= 1
    # Where nothing is kept, nothing is promised.
    assert "multiscale resume /" not in failures.message(error, directory=directory / "checkpoint")


def test_an_error_knows_its_phases_its_rank_and_its_place():
    progress = Progress.silent()

    def fail():
        with progress.phase("loading", total=6) as phase:
            phase.advance(2, "opening 1 Å")
            assert progress.stand() == "loading, after 2 of 6: opening 1 Å"
            with progress.phase("cells"):
                assert progress.stand().startswith("cells, within loading")
                raise EvaluationError("lost atoms (on rank 1)")

    with pytest.raises(EvaluationError) as caught:
        fail()
    caught.value.__dict__.update(rank=1, place="the zone of atoms")
    assert failures.message(caught.value) == (
        "lost atoms [rank 1; cells, within loading, after 2 of 6: opening 1 Å; the zone of atoms]"
    )
    assert progress.stand() == ""
    # The place is that of what has led to an error.
    other = EvaluationError("no equilibrium")
    other.__cause__ = caught.value
    assert failures.message(other) == "no equilibrium [the zone of atoms]"


def test_the_rank_whose_error_it_is_speaks():
    assert failures._speaker(["x (on rank 1)", "x"]) == (1, False)
    assert failures._speaker(["x", "x (on rank 0)", "x (on rank 0)"]) == (0, False)
    assert failures._speaker(["x", "x"]) == (0, True)
    assert failures._speaker(["x", "y"]) == (0, False)
    # Ranks of other communicators count otherwise.
    assert failures._speaker(["x (on rank 7)", "x (on rank 7)"]) == (0, True)


def test_a_run_whose_directory_is_gone_says_so(tmp_path):
    gone = FileNotFoundError(errno.ENOENT, "No such file", str(tmp_path / "run" / "events.jsonl"))
    assert f"{tmp_path / 'run'} is gone" in failures.message(gone, directory=tmp_path / "run")
    assert "is gone" not in failures.message(gone, directory=tmp_path)


def test_a_lost_first_rank_is_recorded_by_another(directory):
    record = directory / "run.json"
    record.write_text('{"status": "running"}')
    failures.mark_failed(directory, "rank 1 failed")
    assert json.loads(record.read_text()) == {"status": "failed", "mistake": False, "error": "rank 1 failed"}
    failures.mark_failed(directory, "something else")
    assert json.loads(record.read_text())["error"] == "rank 1 failed"
    failures.mark_failed(directory / "nowhere", "no directory, no record")


class Gone(io.StringIO):
    def write(self, text):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


@pytest.mark.parametrize("stream", [Gone(), None])
def test_a_run_goes_on_where_nobody_watches(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    progress = Progress(interval=0.0)
    with progress.phase("loading", total=2) as phase:
        phase.advance()
    assert "loading" in progress.seconds


HANGING = """
import ctypes, sys, time
from pathlib import Path
from mpi4py import MPI
from multiscale.watchdog import watching
comm = MPI.COMM_WORLD

def work():
    if sys.argv[2] == "library":
        ctypes.PyDLL(None).sleep(100)
    elif comm.rank == 1:
        time.sleep(100)
    comm.Barrier()

with watching(0.5, directory=Path(sys.argv[1]), rank=comm.rank, whereabouts=lambda: "loading, after 2 of 6"):
    work()
"""


def test_a_hang_shows_where_each_rank_stands_and_ends(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(HANGING)
    began = time.monotonic()
    done = run_mpi(2, [str(script), str(tmp_path), "barrier"], timeout=60, check=False)
    assert done.returncode == 1
    assert time.monotonic() - began < 30
    message = next(line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert done.stderr.count("error: ") == 1
    assert (
        "in loading, after 2 of 6: rank 0 stands in work (script.py:13); rank 1 stands in work (script.py:12)"
        in message
    )
    assert (tmp_path / SUMMARY).read_text().startswith("nothing has moved for")
    for rank in (0, 1):
        assert "most recent call first" in (tmp_path / f"stacks-rank{rank}.txt").read_text()


def test_a_hang_in_a_library_that_lets_no_python_run_ends_too(tmp_path):
    arguments = [sys.executable, "-c", HANGING, str(tmp_path), "library"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2])
    assert done.returncode < 0
    assert "line 10 in work" in done.stderr
    assert stand_in((tmp_path / "stacks-rank0.txt").read_text()) == "stands in work (<string>:10)"


def test_a_watchdog_is_silent_while_something_moves(tmp_path, capfd):
    with watching(0.3, directory=tmp_path):
        for _ in range(8):
            # The same place in the code each time: what is counted tells that it moves.
            time.sleep(0.1)
            tally.book("watched", atoms=1, seconds=0.0, cpu_seconds=0.0)
        with watching(0.01, directory=tmp_path / "nowhere"):
            pass
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""
    with watching(None, directory=tmp_path / "nowhere"):
        pass


def test_a_watchdog_that_has_warned_takes_it_back(tmp_path, capfd):
    with watching(0.2, directory=tmp_path):
        time.sleep(0.45)
        deadline = time.monotonic() + 5
        while (tmp_path / SUMMARY).exists() and time.monotonic() < deadline:
            pass
    assert capfd.readouterr().err.count("warning: ") == 2
    assert (tmp_path / "stacks-rank0.txt").stat().st_size


def test_one_rank_that_fails_in_a_step_ends_the_run(tmp_path):
    fault = FAULTS["one rank raises in a step"]
    (tmp_path / "case.yaml").write_text(CASES["block"])
    code, said, _ = call(command(2, fault.inject, 1, "run", "case.yaml", "-o", "run", "--quiet"), folder=tmp_path)
    assert code == 1
    assert said.count("error: ") == 1
    assert "[rank 1; loading, after 2 of 6: opening" in said
    assert "Traceback" not in said
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["status"] == "failed"
    assert "rank 1" in record["error"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["disk full at a checkpoint", "not a number at a live facet"])
def test_what_was_committed_survives_a_fault(tmp_path, name):
    for ranks in FAULTS[name].ranks:
        assert Bench(tmp_path).attempt(name, ranks).complaints == []
