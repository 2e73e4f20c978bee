"""A run in which nothing moves any more says where each of its ranks stands, and ends.

Ranks that wait for each other wait for ever, and mostly inside a library that lets no Python run: so the stacks are written by
a timer of the interpreter's own (`faulthandler`), which asks nobody, and a signal of the system ends a process that does not
end itself. What winds the timers up again is a thread that looks on: nothing is asked of the code that works.
"""

from __future__ import annotations

import faulthandler
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

ENDING = 3.0
"""A run ends after so many times the limit without a sign of life."""
ROOT = Path(__file__).parents[1]
PACKAGES = tuple(str(ROOT / name) + os.sep for name in ("atomistic", "continuum", "coupling", "multiscale"))
SUMMARY = "stacks.txt"
TALLIES = ("atomistic.potentials.tally", "atomistic.oracle.worker", "continuum.tally")
_FRAME = re.compile(r'^ *File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)$')
_watches = False


@contextmanager
def watching(
    limit: float | None,
    *,
    directory: Path,
    rank: int = 0,
    whereabouts: Callable[[], str] = str,
    on_end: Callable[[str], None] = lambda text: None,
) -> Iterator[None]:
    """Within, a process in which nothing moves for `limit` seconds writes its stack, and ends at three times that.

    A sign of life is whatever changes: the place in the code of the main thread, evaluations, solutions and waits for other
    processes counted. A loop that never ends is none of its business. A run within another one is watched with that.

    Args:
        limit: seconds; None watches nothing.
        directory: where each rank writes `stacks-rankN.txt`, and the first of them `stacks.txt` with all in a few lines.
        rank: of the calling process.
        whereabouts: what the run is doing, for the message.
        on_end: called with the message, on the rank that speaks, before the process ends with status 1.
    """
    global _watches
    if limit is None or _watches:
        yield
        return
    watchdog = Watchdog(limit, directory=directory, rank=rank, whereabouts=whereabouts, on_end=on_end)
    watchdog.start()
    _watches = True
    try:
        yield
    finally:
        _watches = False
        watchdog.stop()


class Watchdog:
    """Watches the thread that makes it; see `watching`."""

    def __init__(
        self,
        limit: float,
        *,
        directory: Path,
        rank: int,
        whereabouts: Callable[[], str],
        on_end: Callable[[str], None],
    ) -> None:
        self.limit, self.directory, self.rank = limit, directory, rank
        self._whereabouts, self._on_end = whereabouts, on_end
        self._pause = min(1.0, limit / 10)
        self._path = directory / f"stacks-rank{rank}.txt"
        self._watched = threading.get_ident()
        self._last, self._seen = time.monotonic(), self._look()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._stream: TextIO | None = None
        self._speaks = self._told = self._kills = False

    def start(self) -> None:
        """Wind everything up."""
        # The interpreter's timer needs an open file: a process that hangs can open none.
        self._stream = self._path.open("w", encoding="utf-8")
        if self.rank == 0:
            (self.directory / SUMMARY).unlink(missing_ok=True)
        self._report_crashes()
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL:
            # The last resort, where no Python runs any more: the stack on stderr, then the signal's own end.
            faulthandler.register(signal.SIGALRM, file=_real(sys.stderr), all_threads=False, chain=True)
            self._kills = True
        self._wind()
        self._thread.start()

    @staticmethod
    def _report_crashes() -> None:
        """Let a library that crashes show where on stderr, and die of it at once: PETSc's handler knows nothing of Python."""
        if faulthandler.is_enabled() or threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL):
            signal.signal(number, signal.SIG_DFL)
        faulthandler.enable(file=_real(sys.stderr), all_threads=False)

    def stop(self) -> None:
        """Watch no longer; a file in which nothing was written goes."""
        self._done.set()
        self._thread.join(timeout=5.0)
        faulthandler.cancel_dump_traceback_later()
        if self._kills:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            faulthandler.unregister(signal.SIGALRM)
        if self._stream is not None:
            self._stream.close()
            with suppress(OSError):
                if not self._path.stat().st_size:
                    self._path.unlink()

    def _wind(self) -> None:
        """Set the timers anew."""
        assert self._stream is not None
        faulthandler.dump_traceback_later(self.limit, file=self._stream)
        if self._kills:
            # Later than the thread, which has more to say.
            signal.setitimer(signal.ITIMER_REAL, (ENDING + 1.0) * self.limit)

    def _look(self) -> tuple[Any, ...]:
        """What changes while a process works."""
        places, frame = [], sys._current_frames().get(self._watched)
        while frame is not None:
            places.append((id(frame.f_code), frame.f_lasti))
            frame = frame.f_back
        # What was not imported counts nothing yet, and is not imported for this.
        tallies = [sys.modules[name].tallies() for name in TALLIES if name in sys.modules]
        return tallies, places

    def _watch(self) -> None:
        """The thread: winds up while something moves, tells and ends when nothing does."""
        while not self._done.wait(self._pause):
            try:
                seen = self._look()
            except RuntimeError:
                # A table that grows while it is read: a sign of life if there ever was one.
                seen = ()
            if seen != self._seen:
                self._seen, self._last = seen, time.monotonic()
                self._wind()
                self._take_back()
                continue
            silent = time.monotonic() - self._last
            # Ranks come to their limits one after the other: wait for the stacks of the last.
            if not self._told and silent > self.limit + 3 * self._pause:
                self._told = True
                self._tell()
            if silent > ENDING * self.limit + (0.0 if self._speaks else 3 * self._pause):
                self._end()

    def _tell(self) -> None:
        """Say once for all ranks that nothing moves, and where each of them stands."""
        try:
            handle = os.open(self.directory / SUMMARY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return
        except OSError:
            handle = None
        self._speaks = handle is not None or self.rank == 0
        text = self._message()
        if handle is not None:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text + "\n")
        if self._speaks:
            _say(f"warning: {text}. The run ends when this lasts {ENDING:g} times as long")

    def _take_back(self) -> None:
        """Something moves again."""
        if self._speaks:
            _say("warning: the run goes on")
            with suppress(OSError):
                (self.directory / SUMMARY).unlink()
        self._speaks = self._told = False

    def _end(self) -> None:
        """End the process; the others follow by themselves, or are ended by their launcher."""
        if self._speaks:
            text = (
                f"{self._message()}. The run is ended; where single steps of it take this long, give it more: --watchdog "
                '"2 h", or none'
            )
            with suppress(Exception):
                self._on_end(text)
            _say(f"error: {text}")
        os._exit(1)

    def _message(self) -> str:
        """What is known, in a sentence for the run and one for each rank."""
        during = self._whereabouts()
        stands = "; ".join(f"rank {rank} {where}" for rank, where in sorted(stands_of(self.directory).items()))
        from multiscale.progress import format_seconds

        return (
            f"nothing has moved for {format_seconds(time.monotonic() - self._last)}{f' in {during}' if during else ''}: "
            f"{stands or 'no stack was written'}. Whole stacks are in {self.directory}/stacks-rankN.txt"
        )


def stands_of(directory: Path) -> dict[int, str]:
    """Where the main thread of each rank stood last, by the stacks in a directory."""
    found = {}
    for path in directory.glob("stacks-rank*.txt"):
        try:
            stand = stand_in(path.read_text(encoding="utf-8", errors="replace"))
            found[int(path.stem.removeprefix("stacks-rank"))] = stand
        except (OSError, ValueError):
            continue
    return {rank: stand for rank, stand in found.items() if stand}


def stand_in(text: str) -> str:
    """ "waits in f (a.py:3), called by g (coupling/b.py:7)" of the last stack that `faulthandler` has written in a text."""
    # Threads follow each other from the newest to the first, which is the main one.
    frames = [m for m in map(_FRAME.match, re.split(r"^Thread ", text, flags=re.M)[-1].splitlines()) if m]
    if not frames:
        return ""
    ours = next((f for f in frames if f["file"].startswith(PACKAGES)), None)
    stand = f"stands in {_shown(frames[0])}"
    return stand if ours in (None, frames[0]) else f"{stand}, called by {_shown(ours)}"


def _shown(frame: Any) -> str:
    path = Path(frame["file"])
    short = path.relative_to(ROOT) if frame["file"].startswith(PACKAGES) else Path(path.name)
    return f"{frame['name']} ({short}:{frame['line']})"


def _say(text: str) -> None:
    """A line on stderr, if there is one: whoever is dying of a closed stream must not die of its message."""
    with suppress(Exception):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _real(stream: Any) -> Any:
    """The stream if it is a file of the system, else the system's own stderr."""
    try:
        stream.fileno()
    except (AttributeError, OSError, ValueError):
        return 2
    return stream
