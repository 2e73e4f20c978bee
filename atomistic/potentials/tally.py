"""What this process has asked of its potentials so far, by name: for records of what a run costs, whoever made the calls."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace


@dataclass(kw_only=True)
class Tally:
    """Evaluations by one potential: how many, over how many atoms altogether, and their wall and processor seconds."""

    calls: int = 0
    atoms: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


_TALLIES: dict[str, Tally] = {}


def clock() -> tuple[float, float]:
    """Return wall and processor seconds of this process, from any zero."""
    return time.perf_counter(), time.process_time()


def since(began: tuple[float, float]) -> tuple[float, float]:
    """Return wall and processor seconds spent since `clock()` gave `began`."""
    wall, processor = clock()
    return wall - began[0], processor - began[1]


def book(name: str, *, atoms: int, seconds: float, cpu_seconds: float) -> None:
    """Enter one evaluation by the potential `name` of a structure of `atoms` atoms."""
    tally = _TALLIES.setdefault(name, Tally())
    tally.calls += 1
    tally.atoms += atoms
    tally.seconds += seconds
    tally.cpu_seconds += cpu_seconds


def tallies() -> dict[str, Tally]:
    """Return copies of what has been booked so far."""
    return {name: replace(tally) for name, tally in _TALLIES.items()}
