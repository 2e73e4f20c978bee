"""What recorded runs say of the numbers that a survey leaves open: each one's usual value, and how far runs lie about it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from multiscale.cost.outlines import BESIDE
from multiscale.cost.survey import Spent, Stage, quiet

#: Fitted to the runs that benchmarks/cost_model.py --fit makes.
USUAL = Path(__file__).with_name("usual.json")
#: The factor by which a number that fewer than three runs know may be off; and at least, any number.
_UNSURE, _SURE = 1.5, 1.05
#: What this machine's own runs weigh against one of those that come with the package.
_OWN = 4.0


@dataclass(frozen=True, kw_only=True)
class Coefficient:
    """A number that multiplies a driver.

    Attributes:
        value: geometric mean over the runs.
        spread: factor within which two thirds of them lie about it.
        weight: of how many runs, one's own counted several times.
    """

    value: float
    spread: float
    weight: float


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One run's value of a coefficient."""

    key: str
    value: float


def coefficient_of(values: Sequence[float]) -> Coefficient:
    """The coefficient that observations make: geometric mean, and the standard deviation of their logarithms."""
    logs = [math.log(value) for value in values]
    mean = sum(logs) / len(logs)
    spread = _UNSURE
    if len(logs) > 2:
        spread = max(math.exp(math.sqrt(sum((x - mean) ** 2 for x in logs) / (len(logs) - 1))), _SURE)
    return Coefficient(value=math.exp(mean), spread=spread, weight=float(len(logs)))


def merged(usual: Mapping[str, Coefficient], own: Iterable[Observation]) -> dict[str, Coefficient]:
    """The usual coefficients, drawn towards what this machine's runs say.

    Logarithms are averaged, a run of one's own counted as several of the others.
    """
    grouped: dict[str, list[float]] = {}
    for observation in own:
        grouped.setdefault(observation.key, []).append(observation.value)
    found = dict(usual)
    for key, values in grouped.items():
        mine, theirs = coefficient_of(values), usual.get(key)
        if theirs is None:
            found[key] = mine
            continue
        weight = _OWN * mine.weight
        total = weight + theirs.weight
        value = math.exp((weight * math.log(mine.value) + theirs.weight * math.log(theirs.value)) / total)
        found[key] = Coefficient(value=value, spread=mine.spread if len(values) > 2 else theirs.spread, weight=total)
    return found


def observe(stages: Sequence[Stage], work: Mapping[str, Any], *, speed: float) -> list[Observation]:
    """What a recorded run says of the coefficients of its survey.

    Args:
        stages: of the survey of the same case, on the same machine where seconds count.
        work: one rank's entry of ``work`` in run.json.
        speed: of the machine, relative to the one that the coefficients are kept for.
    """
    found = []
    for stage in stages:
        if not stage.key:
            continue
        value = _observed(stage, _phase(work, stage.phase), speed)
        if value > 0.0:
            found.append(Observation(key=stage.key, value=value))
    return found


def _phase(work: Mapping[str, Any], name: str) -> Spent:
    phases = work["phases"]
    if name == BESIDE and not work.get("first_of_process", True):
        return Spent()
    if name == BESIDE:
        return Spent(seconds=max(work["cpu_seconds"] - sum(quiet(phase) for phase in phases.values()), 0.0))
    return Spent.of(phases.get(name, {}))


def _observed(stage: Stage, spent: Spent, speed: float) -> float:
    """The coefficient that makes the stage's number the recorded one; 0 where the record is silent."""
    if not stage.driver:
        return 0.0
    beside = spent.seconds - spent.potential_seconds
    match stage.quantity:
        case "calls":
            return (spent.atoms - stage.base) / (stage.atoms * stage.driver) if stage.atoms else 0.0
        case "rest":
            return beside * speed / spent.calls / stage.driver if spent.calls else 0.0
        case "beside":
            return beside * speed / stage.driver
        case "scaled":
            return spent.seconds / stage.driver
        case "seconds":
            return spent.seconds * speed / stage.driver
    return 0.0


def read_coefficients(path: Path = USUAL) -> tuple[dict[str, Coefficient], dict[str, Any]]:
    """Coefficients from a file, and what it says beside them."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return {key: Coefficient(**entry) for key, entry in data.pop("coefficients").items()}, data


def write_coefficients(path: Path, coefficients: Mapping[str, Coefficient], **beside: Any) -> None:
    """Write coefficients and what belongs to them."""
    rounded = {
        key: {name: float(f"{value:.4g}") for name, value in asdict(entry).items()}
        for key, entry in sorted(coefficients.items())
    }
    path.write_text(json.dumps({**beside, "coefficients": rounded}, indent=1) + "\n", encoding="utf-8")
