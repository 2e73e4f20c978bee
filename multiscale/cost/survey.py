"""A look at a case before it runs: its quick stages made once and measured, the long ones put into numbers that scale."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from atomistic.potentials import Potential
from multiscale.cost.meter import Meter
from multiscale.environment import peak_memory
from multiscale.progress import Progress

#: Calls at most by which the time of one is measured.
_CALLS = 20
_CALL = "one call"
#: Å by which one such call differs from the next.
TINY = 1e-6
#: Pieces of an evaluation that an engine spreads over any ranks.
_SPREAD = 10**6
#: What is known of a stage, see there.
Quantity = Literal["measured", "calls", "rest", "beside", "scaled", "seconds"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of a run that costs something.

    Attributes:
        phase: of the run that it belongs to.
        quantity: what is known of it. "measured": the survey has done the same work. "calls": how long one call of a potential
            takes; how many, the driver tells. "rest": what each of these calls costs beside the potential, by unknowns.
            "beside": all that a phase costs beside potentials. "scaled": seconds of this machine, the driver. "seconds": all
            that a phase costs.
        key: of the coefficient that multiplies the driver; empty where nothing is left open.
        driver: load steps, unknowns, steps times unknowns, or seconds.
        seconds: measured: of the whole stage; calls: of one call.
        atoms: of one call.
        base: atoms that the same phase evaluates apart from this stage, over all calls.
        most: calls at most; 0 without a bound.
        pieces: independent pieces of the stage, which ranks share; 1 where every rank does all of it.
    """

    phase: str
    quantity: Quantity
    key: str = ""
    driver: float = 1.0
    seconds: float = 0.0
    atoms: float = 0.0
    base: float = 0.0
    most: float = 0.0
    pieces: int = 1


@dataclass(kw_only=True)
class Survey:
    """What the look has found so far.

    Attributes:
        stages: of the run, in its order.
        sizes: numbers that tell how large the case is, for people.
        unknowns: of the largest matrix that the run factorises; 0 where there is none.
        missing: parts of the run that nobody can put into numbers.
        kind: what the run's memory goes by: the study, or something that takes more of it.
        members: runs of the study in all, one for each member of a committee and one for their mean.
        memory: bytes that the survey itself has come to, see `finish`.
        seconds: processor seconds that the survey took.
    """

    stages: list[Stage] = field(default_factory=list)
    sizes: dict[str, str] = field(default_factory=dict)
    unknowns: int = 0
    missing: list[str] = field(default_factory=list)
    kind: str = ""
    members: int = 1
    memory: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self._meter = Meter()
        self._began = time.process_time()
        self.progress = Progress(enabled=False, listener=self._meter.listening(None))

    @contextmanager
    def own(self, phase: str) -> Iterator[None]:
        """Measure something that the run has no phase for."""
        with self.progress.phase(phase):
            yield

    def spent(self, phase: str) -> Spent:
        """What the survey has spent in a phase."""
        return Spent.of(self._meter.work()["phases"].get(phase, {}))

    def take_over(self, *phases: str, pieces: int = 1) -> None:
        """Enter phases that the run does exactly as the survey has done them; those never met are left out."""
        known = self._meter.work()["phases"]
        for phase in phases:
            if phase in known:
                self.stages.append(
                    Stage(phase=phase, quantity="measured", seconds=self.spent(phase).seconds, pieces=pieces)
                )

    def add(self, phase: str, quantity: Quantity, key: str, **fields: Any) -> None:
        """Enter a stage whose coefficient is looked up."""
        self.stages.append(Stage(phase=phase, quantity=quantity, key=key, **fields))

    def call(self, evaluate: Callable[[int], object], *, least: float = 0.2) -> Call:
        """Measure a call. The first one only warms up; short ones are made again until they add up to `least` seconds.

        Args:
            evaluate: makes a call, another one for each number: a calculator remembers the last.
            least: seconds.
        """
        evaluate(0)
        self._meter.forget(_CALL)
        count = 0
        while count == 0 or (count < _CALLS and self.spent(_CALL).seconds < least):
            with self.own(_CALL):
                evaluate(count + 1)
            count += 1
        spent = self.spent(_CALL)
        calls = max(spent.calls, 1)
        return Call(atoms=spent.atoms / calls, seconds=spent.potential_seconds / calls)

    def finish(self) -> Survey:
        """Close the account of the survey itself."""
        self.memory, self.seconds = peak_memory(), time.process_time() - self._began
        return self


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a potential: its atoms, and the seconds inside the potential."""

    atoms: float
    seconds: float


def pieces_of(potential: Potential) -> int:
    """Into how many pieces one evaluation falls."""
    return _SPREAD if potential.capabilities.parallel else 1


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Work of a phase, recorded or measured: seconds are those of the processor, or of the clock where these are fewer.

    Attributes:
        seconds: in all.
        potential_seconds: inside potentials.
        calls: of all potentials.
        atoms: over all calls.
        unknowns: of the largest matrix factorised.
    """

    seconds: float = 0.0
    potential_seconds: float = 0.0
    calls: int = 0
    atoms: int = 0
    unknowns: int = 0

    @classmethod
    def of(cls, phase: dict[str, Any]) -> Spent:
        """Read one entry of a record's ``phases``."""
        tallies = list(phase.get("potentials", {}).values())
        factored = phase.get("solvers", {}).get("factorisations", {})
        return cls(
            seconds=quiet(phase) if phase else 0.0,
            potential_seconds=sum(quiet(tally) for tally in tallies),
            calls=sum(tally["calls"] for tally in tallies),
            atoms=sum(tally["atoms"] for tally in tallies),
            unknowns=int(factored.get("largest", 0)),
        )


def quiet(entry: dict[str, Any]) -> float:
    """Seconds on a machine that nobody else loads: waiting is no work, and work on several threads goes on at once."""
    return float(min(entry["seconds"], entry["cpu_seconds"]))
