"""The driver of a sweep: it gives cases to an executor while there are cores, and keeps the ledger.

It can be killed at any moment. What it knows is in the ledger and in the directories of the cases; cases that run go on
without it, and the next driver finds them. It sleeps until a case ends or a signal comes.
"""

from __future__ import annotations

import fcntl
import json
import os
import queue
import re
import shlex
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from atomistic.whole_file import write_whole
from multiscale.config.caches import make_caches
from multiscale.errors import SweepBrokenError, SweepError
from multiscale.sweep.config import ClusterModel, RunModel
from multiscale.sweep.executors import CaseExecutor, make_executor, resources
from multiscale.sweep.ledger import CORES, CaseRow, Ledger, counts, refuse_run
from multiscale.sweep.plan import Plan, package_version
from multiscale.sweep.process import (
    LOOK,
    PROGRAM,
    CaseOutcome,
    CaseTask,
    ask_to_stop,
    is_running,
    left_behind,
    now,
    run_case,
)
from multiscale.sweep.verdict import ASKED, EXIT_MISTAKE, is_complete, judged, run_record

LOCK = "sweep.lock"
WAITS = "stopped; goes on where it was when the sweep does"
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How a driver ended.

    Attributes:
        counts: planned cases by status.
        stopped: whether it was asked to stop before all was done.
        left: cases that are still in a cluster's queue.
    """

    counts: dict[str, int]
    stopped: bool
    left: int = 0


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A case that somebody runs; an adopted one was begun by another driver."""

    row: CaseRow
    future: Future[CaseOutcome]
    adopted: bool


class Driver:
    """The one driver of a sweep's directory; a context manager, which holds the directory's lock."""

    def __init__(
        self,
        directory: str | Path,
        *,
        executor: CaseExecutor | None = None,
        program: Sequence[str] = PROGRAM,
        tell: Callable[[str, CaseRow], None] | None = None,
    ):
        """Nothing is touched before the context is entered.

        Args:
            directory: of the sweep, made if it is not there.
            executor: in the place of the one that the sweep file names.
            program: the words that start this package's command line.
            tell: called with "started", "found" or "ended" and the case's row.
        """
        self.directory = Path(directory).absolute()
        self._program = tuple(program)
        self._executor, self._tell = executor, tell or (lambda kind, row: None)
        self._run, self._cluster = RunModel(), ClusterModel()
        self._events: queue.SimpleQueue[tuple[str, Future[CaseOutcome]] | None] = queue.SimpleQueue()
        self._pending: list[CaseRow] = []
        self._jobs: dict[str, _Job] = {}
        self._asked: set[str] = set()
        self._anew: set[str] = set()
        self._stops = 0

    def __enter__(self) -> Self:
        """Take the directory.

        Raises:
            SweepError: another driver has it, a run is in it, or it cannot be written.
        """
        refuse_run(self.directory)
        try:
            (self.directory / "cases").mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.directory / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise SweepError(
                f"{self.directory} cannot be used ({error.strerror}). Choose another directory with -o"
            ) from None
        try:
            self._take()
            self.ledger = Ledger.open(self.directory)
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def _take(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            try:
                holder = json.loads(os.pread(self._lock, 1000, 0))
                who = f"process {holder['pid']} on {holder['host']} since {holder['started']}"
            except (ValueError, KeyError, TypeError):
                who = "another process"
            raise SweepError(
                f"{who} is at work on the sweep in {self.directory}. Let it finish, or stop it (SIGTERM) and start again; "
                "`multiscale sweep status` shows how far it is"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(
            self._lock, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": now()}).encode(), 0
        )

    def __exit__(self, *_: object) -> None:
        self.ledger.close()
        os.close(self._lock)

    def add(self, plan: Plan) -> None:
        """Note what a sweep file plans; what is done already stays done."""
        self._run, self._cluster = plan.run, plan.cluster
        self.ledger.plan(plan.cases, plan.settings)
        write_whole(self.directory / "sweep.yaml", plan.text.encode("utf-8"))

    def go_on(self) -> None:
        """Take up the plan that the ledger holds.

        Raises:
            SweepError: it was made with another version of this package.
        """
        planned, here = self.ledger.setting("package_version"), package_version()
        if planned is None:
            raise SweepError(
                f"{self.directory} holds no planned sweep. Start it: multiscale sweep SWEEP.yaml -o "
                f"{shlex.quote(str(self.directory))}"
            )
        if planned != here:
            raise SweepError(
                f"the sweep in {self.directory} was planned with version {planned} and this is {here}: results would not belong "
                f"together. Plan it again: multiscale sweep {shlex.quote(self.ledger.setting('source') or 'SWEEP.yaml')} "
                "-o another directory"
            )
        self._run = RunModel.model_validate_json(self.ledger.setting("run") or "{}")
        self._cluster = ClusterModel.model_validate_json(self.ledger.setting("cluster") or "{}")

    def change(self, **settings: Any) -> None:
        """Run with other settings than the sweep file's, such as ``cores=4``; None leaves one as it is."""
        self._run = self._run.changed(**settings)

    def run(self) -> Summary:
        """Run what is not done.

        Returns:
            How many cases have which status, and whether it was stopped.

        Raises:
            SweepError: a case that never fits, or an executor that is not installed.
            SweepBrokenError: the disk or the ledger fails.
        """
        rows = [row for row in self.ledger.rows() if row.planned]
        self._cores = self._budget(rows)
        self.ledger.note(CORES, f"{self._cores:g}")
        if self._executor is None:
            self._executor = make_executor(self._run, self.directory)
        with self._signals():
            try:
                self._recover(rows)
                self._loop()
            except (OSError, sqlite3.Error) as error:
                self._abandon()
                raise SweepBrokenError(
                    f"the sweep in {self.directory} cannot go on: {error}. Its cases were asked to stop and keep what they have; "
                    "make room or mend the disk, then give the same command again"
                ) from error
            finally:
                self._executor.shutdown(wait=self._owned, cancel_futures=False)
        found = counts(row for row in self.ledger.rows() if row.planned)
        unfinished = found.get("PENDING", 0) + found.get("RUNNING", 0)
        return Summary(counts=found, stopped=bool(unfinished), left=len(self._jobs))

    @property
    def _owned(self) -> bool:
        """Whether the cases are processes of this machine, which end with the driver; jobs of a queue stay in it."""
        return self._run.executor == "local"

    def _budget(self, rows: list[CaseRow]) -> float:
        """How many ranks may run at once."""
        if self._run.cores is None and not self._owned:
            return float("inf")
        cores = self._run.cores or _own_cores()
        widest = max((row.ranks for row in rows), default=1)
        if widest > cores:
            raise SweepError(
                f"a case of {widest} ranks never fits into {cores} cores. Give more with --cores, or lower ranks in the sweep "
                "file"
            )
        return cores

    def _recover(self, rows: list[CaseRow]) -> None:
        """Find out what became of cases that were under way, and what is to be done."""
        for row in rows:
            if row.status == "RUNNING":
                self._take_over(row)
            elif row.status == "PENDING" and is_complete(self._home(row)) and not row.attempts:
                # A ledger that was lost: the directories know.
                self.ledger.settle(row.hash, status="DONE", reason=None)
                self._tell("found", self.ledger.row(row.hash))
            elif row.status == "PENDING":
                self._pending.append(row)
        # The widest first, so that none of them waits for a whole machine at the end.
        self._pending.sort(key=lambda row: (-row.ranks, row.number))

    def _take_over(self, row: CaseRow) -> None:
        """A case that another driver began: wait for it where it still runs, else judge it by what it left."""
        if not self._owned or is_running(self._home(row)):
            self._submit(row, row.attempts, adopted=True)
            return
        status, reason = judged(self._home(row), None, said=None)
        finished = run_record(self._home(row)).get("finished")
        self._settle(row, left_behind(self._home(row), CaseOutcome(status=status, reason=reason, finished=finished)))

    def _loop(self) -> None:
        while self._pending or self._jobs:
            if not self._stops:
                self._fill()
            if not self._jobs or (self._stops and not self._owned):
                return
            try:
                event = self._events.get(timeout=LOOK if self._stops else None)
            except queue.Empty:
                self._stop_all()
                continue
            if event is None:
                self._stops += 1
                self._since = time.monotonic()
                self._stop_all()
            else:
                self._end(*event)

    def _fill(self) -> None:
        """Start what fits."""
        free = self._cores - sum(job.row.ranks for job in self._jobs.values())
        waiting = []
        for place, row in enumerate(self._pending):
            if free < 1:
                waiting += self._pending[place:]
                break
            if row.ranks > free:
                waiting.append(row)
                continue
            free -= row.ranks
            self._start(row)
        self._pending = waiting

    def _start(self, row: CaseRow) -> None:
        home = self._home(row)
        home.mkdir(exist_ok=True)
        make_caches(row.data)
        write_whole(home / "case.yaml", case_text(row.data).encode("utf-8"))
        attempt = self.ledger.begin(row.hash, started=now(), host=socket.gethostname())
        self._submit(row, attempt)
        self._tell("started", row)

    def _submit(self, row: CaseRow, attempt: int, *, adopted: bool = False) -> None:
        assert self._executor is not None
        task = CaseTask(
            directory=str(self._home(row)),
            ranks=row.ranks,
            time_limit=self._run.time_limit,
            grace=self._run.grace,
            anew=row.hash in self._anew,
            folder=os.getcwd(),
            program=self._program,
        )
        told = resources(row, attempt, run=self._run, cluster=self._cluster, directory=self.directory)
        future = self._executor.submit(run_case, task, resource_dict=told)
        self._jobs[row.hash] = _Job(row=row, future=future, adopted=adopted)
        future.add_done_callback(lambda done: self._events.put((row.hash, done)))

    def _end(self, digest: str, future: Future[CaseOutcome]) -> None:
        job = self._jobs.pop(digest)
        error = future.exception()
        if error is not None:
            told = str(error) or type(error).__name__
            outcome = CaseOutcome(status="FAILED", reason=f"its process could not be run: {told}", finished=now())
        else:
            outcome = future.result()
        self._settle(job.row, outcome)

    def _settle(self, row: CaseRow, outcome: CaseOutcome) -> None:
        """Write down how a process ended, and try again where there is reason to."""
        status, outcome = self._verdict(row, outcome)
        facts = {name: getattr(outcome, name) for name in ("exit_code", "pid", "host", "finished", "seconds", "action")}
        self.ledger.end(row.hash, status=status, outcome=outcome.status, reason=outcome.reason, facts=facts)
        ended = self.ledger.row(row.hash)
        if status == "PENDING" and not self._stops:
            self._pending.append(ended)
        self._tell("ended", ended)

    def _verdict(self, row: CaseRow, outcome: CaseOutcome) -> tuple[str, CaseOutcome]:
        """The status of a case after a process ended, and the outcome as it counts."""
        self._anew.discard(row.hash)
        if outcome.status in ("DONE", "TIMEOUT"):
            return outcome.status, outcome
        if self._stops:
            return "PENDING", replace(outcome, status="STOPPED", reason=WAITS)
        if outcome.status == "STOPPED":
            if outcome.progressed:
                return "PENDING", outcome
            outcome = replace(
                outcome, status="FAILED", reason=f"{outcome.reason} from outside before it had kept anything new"
            )
        elif outcome.exit_code == EXIT_MISTAKE:
            if outcome.action != "resume":
                return "FAILED", outcome
            # What it had kept is of no use.
            self._anew.add(row.hash)
        again = self.ledger.failures(row.hash) < self._run.retries
        return ("PENDING" if again else "FAILED"), outcome

    def _stop_all(self) -> None:
        """Ask every case to stop; kill them where that was asked for, or has lasted too long."""
        kill = self._stops > 1 or time.monotonic() - self._since > self._run.grace
        if not self._owned:
            return
        for digest, job in self._jobs.items():
            if (kill or digest not in self._asked) and ask_to_stop(self._home(job.row), kill=kill):
                self._asked.add(digest)

    def _abandon(self) -> None:
        """Let nothing run on that nobody keeps a ledger of."""
        self._stops, self._since = 1, time.monotonic()
        while self._owned and not all(job.future.done() for job in self._jobs.values()):
            self._stop_all()
            wait([job.future for job in self._jobs.values()], timeout=LOOK)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """While it runs, signals that ask to stop become events; those that are ignored stay so (nohup)."""
        before: dict[signal.Signals, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in ASKED:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    # SimpleQueue.put may be called from a signal handler.
                    before[number] = signal.signal(number, lambda *_: self._events.put(None))
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _home(self, row: CaseRow) -> Path:
        return self.directory / row.directory


def case_text(data: dict[str, Any]) -> str:
    """A case file: a line for each key, values in JSON, which is YAML that nothing can misread."""
    lines = ["# One case of a sweep; `multiscale run` of this file repeats it."]
    for key, value in data.items():
        name = key if _PLAIN_KEY.fullmatch(key) else json.dumps(key)
        lines.append(f"{name}: {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def _own_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
