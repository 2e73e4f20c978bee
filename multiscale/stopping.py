"""Stopping well: a signal, a file named EXIT or the clock asks for it, and the run stops at its next committed step."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any

from multiscale.errors import StoppedError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
EXIT_FILE = "EXIT"
#: Seconds between two looks for the file.
_LOOK = 0.1


class Stopper:
    """Knows whether a run has been asked to stop.

    A second SIGINT does not wait any more: it interrupts at once, as without a stopper.

    Args:
        directory: of the run, where the file EXIT is looked for.
        comm: MPI communicator; None means one process.
        time_limit: seconds from now; None for no limit.

    Attributes:
        patient: whether a step is being taken that ends in a commit: evaluations of a potential within are not places to stop.
    """

    def __init__(self, directory: Path, *, comm: Any = None, time_limit: float | None = None) -> None:
        self._file, self._comm = directory / EXIT_FILE, comm
        self._deadline = None if time_limit is None else time.monotonic() + time_limit
        self._limit = time_limit
        self._signal: int | None = None
        self._looked = 0.0
        self._seen = False
        self.patient = False

    def reason(self) -> str | None:
        """Why this rank should stop, None where it should not."""
        if self._signal is not None:
            return f"by {signal.Signals(self._signal).name}"
        now = time.monotonic()
        if self._deadline is not None and now >= self._deadline:
            return f"by its time limit of {self._limit:g} s"
        if not self._seen and now - self._looked >= _LOOK:
            self._looked, self._seen = now, self._file.exists()
        return f"by the file {self._file.name}" if self._seen else None

    def agreed(self) -> str | None:
        """Why the run should stop: the reason of any rank, the same on all (collective)."""
        reason = self.reason()
        if self._comm is None or self._comm.size == 1:
            return reason
        return next((r for r in self._comm.allgather(reason) if r is not None), None)

    def at_evaluation(self) -> None:
        """Stop between two evaluations of a potential, which are kept each, unless a commit is to come.

        Raises:
            StoppedError: on this rank; others follow at their next evaluation.
        """
        if not self.patient and (reason := self.reason()) is not None:
            raise StoppedError(reason)

    def clear(self) -> None:
        """Remove the file EXIT, so that the run may go on; only where this is the first rank."""
        if self._comm is None or self._comm.rank == 0:
            self._file.unlink(missing_ok=True)

    @contextmanager
    def listening(self) -> Iterator[Stopper]:
        """Take the signals over; outside the main thread, where Python forbids it, file and clock alone are heard."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        _keep_petsc_from_signals()
        # PETSc took SIGPIPE from Python, which ignores it, and dies of it: a reader who goes must not end the run.
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        before = {number: signal.signal(number, self._hear) for number in SIGNALS}
        token = _PRESENT.set(self)
        try:
            yield self
        finally:
            _PRESENT.reset(token)
            for number, handler in before.items():
                # None: a handler that was not set from Python, and cannot be given back.
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._signal is not None:
            raise KeyboardInterrupt
        self._signal = number


_PRESENT: ContextVar[Stopper | None] = ContextVar("stopper", default=None)


def present_stopper() -> Stopper | None:
    """The stopper of the run within which another one begins; None outside of any."""
    return _PRESENT.get()


def _keep_petsc_from_signals() -> None:
    """PETSc, where it is first imported while a run listens, would take SIGTERM for itself, and abort."""
    options = os.environ.get("PETSC_OPTIONS", "")
    if "petsc4py.PETSc" not in sys.modules and "-no_signal_handler" not in options:
        os.environ["PETSC_OPTIONS"] = f"{options} -no_signal_handler".strip()
