"""What a run has done, phase by phase: calls and atoms of each potential, uses of sparse solvers, seconds, memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from multiscale.environment import peak_memory

#: What of a tally adds up; the rest of it is a largest value.
_ADDED = ("calls", "atoms", "count", "unknowns", "seconds", "cpu_seconds")


class Meter:
    """Reads the process's tallies where a phase of the progress begins and ends.

    Phases inside others belong to the outermost one; one that comes again adds up. Processor seconds, unlike the clock's, say
    the same on a machine that others load.
    """

    _others = False

    def __init__(self) -> None:
        self._first, Meter._others = not Meter._others, True
        self._phases: dict[str, dict[str, Any]] = {}
        self._depth = 0
        self._before: dict[str, Any] = {}

    def listening(self, listener: Callable[..., None] | None) -> Callable[..., None]:
        """A progress's listener that measures, and passes on to another what it hears."""

        def listen(kind: str, **fields: Any) -> None:
            if kind == "phase_started":
                if self._depth == 0:
                    self._before = _readings()
                self._depth += 1
            elif kind == "phase_finished":
                self._depth -= 1
                if self._depth == 0:
                    self._book(str(fields["phase"]))
            if listener is not None:
                listener(kind, **fields)

        return listen

    def work(self) -> dict[str, Any]:
        """What this process has done so far: its phases, and processor seconds and peak memory since it began."""
        return {
            "first_of_process": self._first,
            "cpu_seconds": round(time.process_time(), 4),
            "peak_memory_bytes": peak_memory(),
            "phases": self._phases,
        }

    def forget(self, phase: str) -> None:
        """Leave a phase out of the work."""
        self._phases.pop(phase, None)

    def gathered(self, comm: Any) -> list[dict[str, Any]]:
        """The work of each rank, on rank 0 (collective)."""
        return comm.gather(self.work(), root=0) or []

    def _book(self, phase: str) -> None:
        spent = _difference(_readings(), self._before)
        spent["peak_memory_bytes"] = peak_memory()
        self._phases[phase] = _sum(self._phases[phase], spent) if phase in self._phases else spent


def _readings() -> dict[str, Any]:
    """Everything that is counted in this process, as it stands."""
    from atomistic.potentials import tally as potentials
    from continuum import tally as solvers

    return {
        "seconds": time.perf_counter(),
        "cpu_seconds": time.process_time(),
        "potentials": {name: asdict(tally) for name, tally in potentials.tallies().items()},
        "solvers": {kind: asdict(tally) for kind, tally in solvers.tallies().items()},
    }


def _difference(after: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    spent: dict[str, Any] = {key: round(after[key] - before[key], 4) for key in ("seconds", "cpu_seconds")}
    for group, counter in (("potentials", "calls"), ("solvers", "count")):
        spent[group] = {}
        for name, tally in after[group].items():
            earlier = before[group].get(name, {})
            entry = {key: value - earlier.get(key, 0) if key in _ADDED else value for key, value in tally.items()}
            if entry[counter]:
                spent[group][name] = {key: _rounded(value) for key, value in entry.items()}
    return spent


def _sum(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for key in dict.fromkeys([*one, *other]):
        a, b = one.get(key), other.get(key)
        if isinstance(a, Mapping) or isinstance(b, Mapping):
            total[key] = _sum(a or {}, b or {})
        elif key in _ADDED:
            total[key] = _rounded((a or 0) + (b or 0))
        else:
            total[key] = max(a or 0, b or 0)
    return total


def _rounded(value: float) -> float:
    return round(value, 4) if isinstance(value, float) else value
