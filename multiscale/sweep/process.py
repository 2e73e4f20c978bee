"""One case as a process: started, resumed, waited for, stopped; what its end means.

`run_case` is what every executor is given, on this machine or in the job of a queue. Each case's directory has a file that its
process keeps locked (flock): the lock passes to the process when it is started and falls with its last descendant, whoever is
killed and in whatever order. So nobody starts a case twice, and whoever comes later finds what still runs, without trusting a
process id.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from multiscale.sweep.verdict import ASKED, is_complete, judged, run_record

MPI_VARIABLES = ("PMI_", "PMIX_", "OMPI_COMM_WORLD_", "HYDI_")
"""What a launcher tells its ranks; a case that inherits it would take itself for one of them."""
PROGRAM = (sys.executable, "-m", "multiscale")
LOOK = 1.0
"""Seconds between looks at a case whose process is unknown: one of another machine."""
_START = 'printf \'{"pid": %d, "host": "%s", "started": "%s"}\\n\' $$ "$1" "$2" > "$3"; shift 3; exec "$@"'
"""The process says who it is before it becomes the case, so that no kill can fall between."""


@dataclass(frozen=True, kw_only=True)
class CaseTask:
    """What is to be run.

    Attributes:
        directory: of the case, with `case.yaml` in it.
        ranks: MPI ranks.
        time_limit: seconds of the process; None for no limit.
        grace: seconds from being asked to stop to being killed.
        anew: begin from the start even where there is a state to go on from.
        program: the words that start this package's command line.
        folder: where the process works; imported calculators are looked for there.
    """

    directory: str
    ranks: int = 1
    time_limit: float | None = None
    grace: float = 120.0
    anew: bool = False
    folder: str | None = None
    program: tuple[str, ...] = PROGRAM


@dataclass(frozen=True, kw_only=True)
class CaseOutcome:
    """How it ended.

    Attributes:
        status: DONE, FAILED, TIMEOUT, or STOPPED, which can go on.
        reason: why, in a line; None for DONE.
        exit_code: negative for a signal; None where nobody of ours saw it.
        action: run, resume or report; None where it was found running or finished.
        pid, host, started, finished, seconds: of the process.
        progressed: whether there is a newer state to go on from than before.
    """

    status: str
    reason: str | None = None
    exit_code: int | None = None
    action: str | None = None
    pid: int | None = None
    host: str | None = None
    started: str | None = None
    finished: str | None = None
    seconds: float = 0.0
    progressed: bool = True


def now() -> str:
    """The time in ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def run_case(task: CaseTask) -> CaseOutcome:
    """Run a case to its end, or go on with it, or wait for the process that runs it already.

    Raises:
        OSError: its process cannot be started.
    """
    directory = Path(task.directory)
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _locked(lock):
            return _waited_for(task, directory, lock)
        if is_complete(directory):
            return CaseOutcome(status="DONE")
        return _started(task, directory, lock)
    finally:
        os.close(lock)


def is_running(directory: Path) -> bool:
    """Whether a process holds the case."""
    try:
        lock = os.open(directory / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        return not _locked(lock)
    finally:
        os.close(lock)


def ask_to_stop(directory: Path, *, kill: bool = False) -> bool:
    """Ask the process of a case to finish its step, keep its state and end; or kill it with all that it has started.

    Returns:
        Whether there was somebody to ask.
    """
    pid = process_of(directory)
    if pid is None:
        if kill or not is_running(directory) or not (directory / "run" / "run.json").is_file():
            return False
        # On another machine: the file asks.
        (directory / "run" / "EXIT").touch()
        return True
    try:
        if kill:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return False
    return True


def process_of(directory: Path) -> int | None:
    """The process of a case on this machine: the one that its file names, if that has the case's lock open; else None."""
    try:
        pid = int(_said(directory)["pid"])
        lock = os.stat(directory / "lock")
        for handle in os.scandir(f"/proc/{pid}/fd"):
            try:
                found = handle.stat()
            except OSError:  # closed meanwhile
                continue
            if (found.st_dev, found.st_ino) == (lock.st_dev, lock.st_ino):
                return pid
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None


def has_state(directory: Path) -> bool:
    """Whether there is a state to go on from."""
    return _manifest(directory).is_file()


def _manifest(directory: Path) -> Path:
    return directory / "run" / "checkpoint" / "manifest.json"


def _fingerprint(directory: Path) -> str | None:
    try:
        return hashlib.sha256(_manifest(directory).read_bytes()).hexdigest()
    except OSError:
        return None


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _started(task: CaseTask, directory: Path, lock: int) -> CaseOutcome:
    """Start the process and see it through."""
    action = _action(task, directory)
    before, started, host = _fingerprint(directory), now(), socket.gethostname()
    begun = time.perf_counter()
    log = directory / "output.txt"
    with log.open("ab") as output:
        said = output.tell()
        words = ["/bin/sh", "-c", _START, "sh", host, started, str(directory / "process.json")]
        process = subprocess.Popen(
            [*words, *command(task, action)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock,),
            env=environment(),
            cwd=task.folder,
        )
    with _passing_on(process.pid):
        timed_out = _wait(task, lambda seconds: _ended(process, seconds))
    seconds = time.perf_counter() - begun
    status, reason = judged(directory, process.returncode, said=said)
    if timed_out and status != "DONE":
        status, reason = "TIMEOUT", f"stopped at its time limit of {task.time_limit:g} s"
    return CaseOutcome(
        status=status,
        reason=reason,
        exit_code=process.returncode,
        action=action,
        pid=process.pid,
        host=host,
        started=started,
        finished=now(),
        seconds=round(seconds, 3),
        progressed=_fingerprint(directory) != before,
    )


def _action(task: CaseTask, directory: Path) -> str:
    """What a case needs: its report, where a kill left it without one; to go on; or to begin."""
    if run_record(directory).get("status") == "finished":
        return "report"
    return "resume" if has_state(directory) and not task.anew else "run"


def command(task: CaseTask, action: str) -> list[str]:
    """The command that does it, as a person would write it."""
    directory = Path(task.directory)
    words, run = list(task.program), directory / "run"
    if action == "report":
        return [*words, action, str(run)]
    if action == "resume":
        words += [action, str(run)]
    else:
        words += ["run", str(directory / "case.yaml"), "-o", str(run), *(["--force"] if run.exists() else [])]
    if task.ranks == 1:
        return words
    from multiscale.doctor import mpirun

    return [mpirun() or "mpirun", "-n", str(task.ranks), *words]


def environment() -> dict[str, str]:
    """What a case's process inherits: one thread a rank unless somebody wants more, and nothing of another MPI launcher's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(MPI_VARIABLES)}
    return {"OMP_NUM_THREADS": "1"} | kept


def _waited_for(task: CaseTask, directory: Path, lock: int) -> CaseOutcome:
    """Wait for a process that somebody else has started, such as a driver that was killed."""
    timed_out = _wait(task, lambda seconds: _released(directory, lock, seconds))
    status, reason = judged(directory, None, said=None)
    if timed_out and status != "DONE":
        status, reason = "TIMEOUT", f"stopped at its time limit of {task.time_limit:g} s"
    return left_behind(directory, CaseOutcome(status=status, reason=reason, finished=now()))


def left_behind(directory: Path, outcome: CaseOutcome) -> CaseOutcome:
    """An outcome with what the last process of a case said of itself when it started."""
    said = _said(directory)
    try:
        began, ended = (datetime.fromisoformat(text) for text in (said["started"], outcome.finished or ""))
        seconds = max(0.0, (ended - began).total_seconds())
    except (KeyError, ValueError, TypeError):
        seconds = 0.0
    return replace(outcome, pid=said.get("pid"), host=said.get("host"), seconds=round(seconds, 3))


def _said(directory: Path) -> dict[str, Any]:
    """What the last process of a case said of itself; empty where none did."""
    try:
        found = json.loads((directory / "process.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _wait(task: CaseTask, ended: Callable[[float | None], bool]) -> bool:
    """Wait for the end, which is asked for at the time limit and forced after the grace; returns whether the limit came."""
    if ended(task.time_limit):
        return False
    directory = Path(task.directory)
    ask_to_stop(directory)
    if not ended(task.grace):
        ask_to_stop(directory, kill=True)
        ended(None)
    return True


def _ended(process: subprocess.Popen[bytes], seconds: float | None) -> bool:
    """Whether a child ends within a time; sleeps in the kernel until then."""
    if hasattr(os, "pidfd_open"):
        handle = os.pidfd_open(process.pid)
        try:
            _sleep_until_ended(handle, seconds)
        finally:
            os.close(handle)
        return process.poll() is not None
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _sleep_until_ended(handle: int, seconds: float | None) -> None:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.poll(None if seconds is None else max(1, int(seconds * 1000)))


def _released(directory: Path, lock: int, seconds: float | None) -> bool:
    """Whether a case's lock falls within a time."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while not _locked(lock):
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return False
        pid = process_of(directory)
        try:
            if pid is None or not hasattr(os, "pidfd_open"):
                raise OSError
            handle = os.pidfd_open(pid)
        except OSError:
            time.sleep(min(LOOK, LOOK if left is None else left))
            continue
        try:
            _sleep_until_ended(handle, left)
        finally:
            os.close(handle)
    return True


@contextmanager
def _passing_on(pid: int) -> Iterator[None]:
    """Pass signals that ask to stop on to a process, where this is a program's main thread: the job of a queue."""
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in ASKED:
            before[number] = signal.signal(number, lambda *_: os.kill(pid, signal.SIGTERM))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
