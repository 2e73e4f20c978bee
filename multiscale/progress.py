"""What a person sees while a run works: bars with an estimate on a terminal, plain lines otherwise, rank 0 only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class Phase:
    """One stretch of work inside a ``Progress``; call ``advance`` as it goes."""

    def __init__(self, name: str, *, total: float | None, show: Callable[[Phase], None]):
        self.name = name
        self.total = total
        self.done = 0.0
        self.text = ""
        self.started = time.perf_counter()
        self._show = show

    @property
    def seconds(self) -> float:
        """Wall seconds since the phase began."""
        return time.perf_counter() - self.started

    @property
    def remaining(self) -> float | None:
        """Seconds still to go at the pace so far, None while unknown."""
        if not self.total or self.done <= 0:
            return None
        return self.seconds / self.done * max(self.total - self.done, 0.0)

    @property
    def stand(self) -> str:
        """Where the work stands, ``"loading, after 24 of 60: 24 nm"``."""
        done = f", after {self.done:.4g} of {self.total:g}" if self.total else ""
        return f"{self.name}{done}{f': {self.text}' if self.text else ''}"

    def advance(self, amount: float = 1, text: str = "") -> None:
        """Report ``amount`` more of ``total`` done, with a word on where the work stands."""
        self.done += amount
        self.text = text or self.text
        self._show(self)

    def describe(self, text: str) -> None:
        """Change the word on where the work stands."""
        self.text = text
        self._show(self)


class Progress:
    """Shows phases and keeps the wall seconds of each.

    On a terminal a bar with an estimate (rich); elsewhere a plain line at the start and end of each phase and at most
    one every ``interval`` seconds between. Disabled (ranks other than 0, tests, drivers) it only keeps the seconds.

    Attributes:
        seconds: wall seconds by phase name, in the order they first ran; a phase that runs twice adds up.
    """

    def __init__(
        self,
        *,
        enabled: bool = True,
        stream: TextIO | None = None,
        interval: float = 5.0,
        listener: Callable[..., None] | None = None,
    ):
        """Args: listener is called as ``listener(kind, **fields)`` at phase starts and ends, e.g. a run's ``event``."""
        self.seconds: dict[str, float] = {}
        self.listener = listener
        self._stream: TextIO | None = stream if stream is not None else sys.stderr
        # Without a stderr there is nobody to show anything.
        self._enabled = enabled and self._stream is not None
        self._interval = interval
        self._last_line = 0.0
        self._bars: Any = None
        self._tasks: dict[int, Any] = {}
        self._open: list[Phase] = []

    @classmethod
    def silent(cls) -> Progress:
        """A progress that shows nothing."""
        return cls(enabled=False)

    @classmethod
    def on(cls, comm: Any) -> Progress:
        """A progress that shows on rank 0 of ``comm`` and is silent elsewhere."""
        return cls(enabled=comm.rank == 0)

    @contextmanager
    def phase(self, name: str, total: float | None = None) -> Iterator[Phase]:
        """Open a phase of ``total`` units of work (None: unknown); phases may nest.

        An error that leaves a phase takes along where that stood, as ``phases``, the innermost first.
        """
        phase = Phase(name, total=total, show=lambda phase: self._display(self._update, phase))
        self._open.append(phase)
        self._tell("phase_started", phase=name, total=total)
        self._display(self._begin, phase)
        try:
            yield phase
        except BaseException as error:
            error.__dict__.setdefault("phases", []).append(phase.stand)
            # A disk that is full, or gone, must not hide what went wrong before.
            with suppress(OSError):
                self._close(phase, completed=False)
            raise
        self._close(phase, completed=True)

    def _close(self, phase: Phase, *, completed: bool) -> None:
        self._open.remove(phase)
        seconds = phase.seconds
        self.seconds[phase.name] = self.seconds.get(phase.name, 0.0) + seconds
        self._display(self._end, phase, completed)
        self._tell("phase_finished", phase=phase.name, seconds=round(seconds, 3), completed=completed)

    def stand(self) -> str:
        """What the run is doing: its open phases, the innermost first."""
        return ", within ".join(phase.stand for phase in reversed(self._open))

    def note(self, text: str) -> None:
        """Show one line apart from any phase."""
        self._display(self._write, text)

    def _tell(self, kind: str, **fields: Any) -> None:
        if self.listener is not None:
            self.listener(kind, **fields)

    def _display(self, act: Callable[..., None], *arguments: Any) -> None:
        """Show something; whoever watches may go away, and the run goes on without."""
        if not self._enabled:
            return
        try:
            act(*arguments)
        except (OSError, ValueError):  # a stream that is closed: ValueError if by ourselves
            self._enabled, self._bars = False, None

    def _write(self, text: str) -> None:
        if self._bars is not None:
            self._bars.console.print(text, highlight=False, markup=False)
        else:
            self._line(text)

    def _line(self, text: str) -> None:
        assert self._stream is not None
        self._stream.write(text + "\n")
        self._stream.flush()
        self._last_line = time.perf_counter()

    def _begin(self, phase: Phase) -> None:
        assert self._stream is not None
        if not self._stream.isatty():
            self._line(f"{phase.name} ...")
            return
        if self._bars is None:
            self._bars = _terminal_bars(self._stream)
            self._bars.start()
        self._tasks[id(phase)] = self._bars.add_task(phase.name, total=phase.total, text="")

    def _update(self, phase: Phase) -> None:
        if self._bars is not None:
            self._bars.update(self._tasks[id(phase)], completed=phase.done, text=phase.text)
        elif time.perf_counter() - self._last_line >= self._interval:
            self._line(plain_line(phase))

    def _end(self, phase: Phase, completed: bool) -> None:
        if self._bars is None:
            self._line(f"{phase.name}: {'done' if completed else 'stopped'} in {format_seconds(phase.seconds)}")
            return
        task = self._tasks.pop(id(phase))
        if completed:
            total = phase.total or max(phase.done, 1.0)
            self._bars.update(task, total=total, completed=total, text=phase.text)
        self._bars.stop_task(task)
        if not self._tasks:
            self._bars.stop()
            self._bars = None


def plain_line(phase: Phase) -> str:
    """One line on where a phase stands, ``"loading: 40 % (24 of 60), about 12 s to go: 24 nm"``."""
    parts = [f"{phase.name}:"]
    if phase.total:
        parts.append(f"{100 * phase.done / phase.total:.0f} % ({phase.done:g} of {phase.total:g})")
        if phase.remaining is not None:
            parts.append(f"about {format_seconds(phase.remaining)} to go")
    else:
        parts.append(f"{format_seconds(phase.seconds)} so far")
    line = parts[0] + " " + ", ".join(parts[1:])
    return f"{line}: {phase.text}" if phase.text else line


def format_seconds(seconds: float) -> str:
    """Seconds as a person reads them: "0.4 s", "12 s", "3 min 20 s", "2 h 05 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _terminal_bars(stream: TextIO) -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        SpinnerColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as RichProgress

    return RichProgress(
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[text]}"),
        console=Console(file=stream),
    )
