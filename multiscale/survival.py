"""How a run survives: what it keeps, when it stops, and how it goes on; chosen by the person, not by the case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

Saving = Literal["auto", "every", "never"]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How runs are carried out within `run_options`.

    Attributes:
        resume: go on in the directory of a run that was stopped or killed.
        save: checkpoints at committed steps as often as they take no more than 2 % of the time ("auto"), at "every" step, or
            "never".
        keep: how many states of each loop are kept.
        time_limit: wall-clock seconds after which a run finishes its step, saves and stops; None for no limit.
        watchdog: seconds without a sign of life after which each rank writes its stack to a file; None for no watchdog.
    """

    resume: bool = False
    save: Saving = "auto"
    keep: int = 3
    time_limit: float | None = None
    watchdog: float | None = None


_OPTIONS: ContextVar[RunOptions | None] = ContextVar("run options", default=None)


def present_options() -> RunOptions:
    """What holds here: the options of the innermost `run_options`, else the defaults."""
    return _OPTIONS.get() or RunOptions()


@contextmanager
def run_options(options: RunOptions) -> Iterator[None]:
    """Have every study that is run within carried out so.

    ``with run_options(RunOptions(time_limit=3600.0)): run_adhesion(case, directory="runs/adhesion")``
    """
    token = _OPTIONS.set(options)
    try:
        yield
    finally:
        _OPTIONS.reset(token)
