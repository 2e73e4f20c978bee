"""From a survey and coefficients to time and memory on any number of ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from multiscale.cost.coefficients import Coefficient
from multiscale.cost.survey import Stage, Survey

#: A number that no run has told: what it multiplies counts as it is, and may be off by this factor.
_UNKNOWN = Coefficient(value=1.0, spread=2.0, weight=0.0)
#: Twice the ranks must take this part of the time at most to be worth their cores.
_WORTH = 0.85
#: What more ranks on one machine cost each other where no run has told: part of the time for each that is added.
CROWDING = "ranks.crowding"
#: Unknowns that take as much memory as the figures of a report.
_REPORT = 10_000
#: Part of a machine's memory that a run should leave alone.
_SPARE = 0.1


@dataclass(frozen=True, kw_only=True)
class StageForecast:
    """A stage of a run in seconds.

    Attributes:
        phase: of the run.
        seconds: on one rank.
        spread: factor by which they may be off.
        calls: of a potential; 0 where it is not calls that count.
        pieces: that ranks share.
        known: whether the survey measured it.
    """

    phase: str
    seconds: float
    spread: float
    calls: float
    pieces: int
    known: bool


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A number of ranks and what it costs.

    Attributes:
        ranks: of MPI.
        seconds: of the whole run.
        low: and
        high: about two runs of three end between these.
        memory: bytes of each rank at its peak.
        fits: whether all ranks have room in this machine's memory.
    """

    ranks: int
    seconds: float
    low: float
    high: float
    memory: int
    fits: bool


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a run will cost.

    Attributes:
        stages: in the run's order.
        layouts: by number of ranks, rising.
        recommended: the number of ranks to take.
        survey: what it stands on.
    """

    stages: tuple[StageForecast, ...]
    layouts: tuple[Layout, ...]
    recommended: int
    survey: Survey

    def on(self, ranks: int) -> Layout:
        """The layout with so many ranks."""
        return next(layout for layout in self.layouts if layout.ranks == ranks)


def forecast(
    survey: Survey,
    coefficients: Mapping[str, Coefficient],
    *,
    speed: float,
    ranks: Sequence[int],
    memory: int = 0,
) -> Forecast:
    """Turn a survey into time and memory.

    Args:
        survey: of the case.
        coefficients: by key.
        speed: of this machine, relative to the one that the coefficients are kept for.
        ranks: numbers of ranks to tell of.
        memory: bytes that this machine has; 0 where unknown.
    """
    stages = forecast_stages(survey.stages, coefficients, speed=speed)
    crowding = coefficients[CROWDING].value if CROWDING in coefficients else 0.0
    bytes_each = peak_memory_of(survey, _memory(survey.kind, coefficients))
    layouts = []
    for count in sorted(set(ranks)):
        slower = survey.members * (1.0 + crowding * (count - 1))
        parts = [(stage.seconds * slower * _share(stage.pieces, count), stage.spread) for stage in stages]
        seconds = sum(part for part, _ in parts)
        off = 1.0 + math.sqrt(sum((part * (spread - 1.0)) ** 2 for part, spread in parts)) / max(seconds, 1e-9)
        fits = not memory or bytes_each * count <= (1.0 - _SPARE) * memory
        layouts.append(
            Layout(ranks=count, seconds=seconds, low=seconds / off, high=seconds * off, memory=bytes_each, fits=fits)
        )
    return Forecast(stages=stages, layouts=tuple(layouts), recommended=_best(layouts), survey=survey)


def forecast_stages(
    stages: Sequence[Stage], coefficients: Mapping[str, Coefficient], *, speed: float
) -> tuple[StageForecast, ...]:
    """The seconds of every stage on one rank."""
    found, calls = [], dict.fromkeys((stage.phase for stage in stages), 0.0)
    for stage in stages:
        one = coefficients.get(stage.key, _UNKNOWN) if stage.key else Coefficient(value=1.0, spread=1.02, weight=0.0)
        amount, made = one.value * stage.driver, 0.0
        match stage.quantity:
            case "measured":
                seconds = stage.seconds
            case "calls":
                made = min(amount, stage.most or amount)
                calls[stage.phase] += made
                seconds = made * stage.seconds
            case "rest":
                seconds = calls[stage.phase] * amount / speed
            case "scaled":
                seconds = amount
            case "beside" | "seconds":
                seconds = amount / speed
        found.append(
            StageForecast(
                phase=stage.phase,
                seconds=seconds,
                spread=one.spread,
                calls=made,
                pieces=stage.pieces,
                known=not stage.key,
            )
        )
    return tuple(found)


def memory_key(kind: str) -> str:
    """The coefficient of the memory of a kind of run."""
    return f"memory.{kind}"


def _memory(kind: str, coefficients: Mapping[str, Coefficient]) -> Coefficient | None:
    """The memory of a kind of run, or of its study where no run of the kind is known."""
    return coefficients.get(memory_key(kind), coefficients.get(memory_key(kind.partition(".")[0])))


def memory_driver(unknowns: int) -> float:
    """What a run's memory beyond its survey's goes by: factors and fields, and a report that asks for some whatever the size."""
    return unknowns + _REPORT


def peak_memory_of(survey: Survey, coefficient: Coefficient | None) -> int:
    """Bytes of a rank: those that the survey has come to, and some more for every unknown."""
    more = 0.0 if coefficient is None else coefficient.value * memory_driver(survey.unknowns)
    return round(survey.memory + more)


def _share(pieces: int, ranks: int) -> float:
    """The part of a stage's time that the slowest rank has."""
    return math.ceil(pieces / ranks) / pieces


def _best(layouts: Sequence[Layout]) -> int:
    """The most ranks that are worth their cores and have room."""
    best = layouts[0]
    for layout in layouts[1:]:
        gain = math.log(layout.ranks / best.ranks, 2)
        if layout.fits and layout.seconds <= _WORTH**gain * best.seconds:
            best = layout
    return best.ranks
