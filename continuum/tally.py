"""What this process has asked of sparse solvers so far: for records of what a run costs, whoever asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace


@dataclass(kw_only=True)
class Tally:
    """Uses of sparse solvers: how many, over how many unknowns altogether, and their wall and processor seconds.

    A block of right-hand sides counts as so many solutions. Matrices that ranks share count whole on each of them.
    """

    count: int = 0
    unknowns: int = 0
    largest: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


_TALLIES: dict[str, Tally] = {"factorisations": Tally(), "solutions": Tally()}


@contextmanager
def booked(kind: str, *, unknowns: int, count: int = 1) -> Iterator[None]:
    """Enter what runs inside as `count` factorisations or solutions ("factorisations", "solutions") of so many unknowns."""
    wall, processor = time.perf_counter(), time.process_time()
    yield
    tally = _TALLIES[kind]
    tally.count += count
    tally.unknowns += count * unknowns
    tally.largest = max(tally.largest, unknowns)
    tally.seconds += time.perf_counter() - wall
    tally.cpu_seconds += time.process_time() - processor


def tallies() -> dict[str, Tally]:
    """Return copies of what has been booked so far, by kind."""
    return {kind: replace(tally) for kind, tally in _TALLIES.items()}
