"""What is asked of a loop of active learning, and what it says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from atomistic.errors import LearningError
from atomistic.potentials.base import Potential

#: Why a loop stopped, and what calling it again in the same directory does.
STOPS = {
    "finished": "the run came to its end",
    "budget": "the oracle's budget is used up; a larger one goes on",
    "no improvement": "retraining after retraining lowered neither the held-out error nor the doubt that had asked for it",
    "oracle failed": "the oracle gave no label for the frame or any of its neighbours; calling again asks again",
    "contract": "the potential does not keep its contract of accuracy",
    "run failed": "the run broke down where nothing new was left to be labelled",
}


@dataclass(frozen=True, kw_only=True)
class LearningOptions:
    """When to ask, how often, and when to give up.

    Attributes:
        threshold: disagreement of forces beyond which the potential is not trusted, eV/Å.
        check_every: steps between two checks.
        budget: calculations of the oracle altogether, failed ones counted.
        patience: retrainings in a row without improvement that end the loop.
        improvement: relative fall that counts as one, of the held-out force error or of the disagreement at the frame that asked.
        frames_per_trigger: labels for one trigger; more than one are chosen for diversity.
        neighbours: how many other frames or places are tried where the oracle fails.
        ceiling: disagreement beyond which a frame is held to be unphysical and an earlier one labelled instead, eV/Å.
        novelty: how unlike all training atoms an atom may be, 1 for the farthest of them (`Committee.novelty`); heads on one
            backbone agree too easily far from their data, and this does not. None: not asked.
        save_every: checks between two saves of a run that goes well.
        contract_stops: what ends the loop: "lost", a retrained potential that breaks a contract which an earlier one kept;
            "failed", any potential that breaks it.
        check_start: whether the first state of the run is checked before any step.
        spent: calculations of the oracle made before the loop; not in `budget`, only told with it.
    """

    threshold: float
    check_every: int = 5
    budget: int = 40
    patience: int = 3
    improvement: float = 0.01
    frames_per_trigger: int = 1
    neighbours: int = 2
    ceiling: float | None = None
    novelty: float | None = None
    save_every: int = 20
    contract_stops: str = "lost"
    check_start: bool = True
    spent: int = 0

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        for name, unit in (("threshold", " (eV/Å)"), ("ceiling", " (eV/Å)"), ("novelty", "")):
            value = getattr(self, name)
            if not (value is None and name != "threshold") and not (_number(value) and value > 0.0):
                raise LearningError(f"{name} must be positive{unit}; got {value!r}.")
        if self.ceiling is not None and self.ceiling <= self.threshold:
            raise LearningError(
                f"The ceiling ({self.ceiling}) must be above the threshold ({self.threshold}), both in eV/Å."
            )
        least = {
            "check_every": 1,
            "budget": 0,
            "patience": 1,
            "frames_per_trigger": 1,
            "neighbours": 0,
            "save_every": 1,
            "spent": 0,
        }
        for name, low in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise LearningError(f"{name} must be a whole number, {low} or more; got {value!r}.")
        if not (_number(self.improvement) and 0.0 <= self.improvement < 1.0):
            raise LearningError(f"improvement is a relative fall, 0 or more and below 1; got {self.improvement!r}.")
        if self.contract_stops not in ("lost", "failed"):
            raise LearningError(f"contract_stops is 'lost' or 'failed'; got {self.contract_stops!r}.")


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened.

    Attributes:
        kind: "trained", "trigger", "labelled", "known", "oracle failed", "broken", "validated", "resumed", "continued",
            "symmetric", "stopped"; to `report` alone, not kept: "check", "training", "asking".
        round: trainings finished then, less one: 0 is the first potential.
        step: of the run.
        text: one sentence.
        data: figures; eV, Å, s.
    """

    kind: str
    round: int
    step: int
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Check:
    """One look at the doubt.

    Attributes:
        round: of the potential.
        step: of the run.
        disagreement: the largest, eV/Å.
        atom: the one in doubt.
        trusted: whether the doubt was within its limits.
        novelty: the largest; 0 where it was not asked.
    """

    round: int
    step: int
    disagreement: float
    atom: int
    trusted: bool
    novelty: float = 0.0


@dataclass(frozen=True, kw_only=True)
class LearningResult:
    """How a loop ended.

    Attributes:
        stop: one of `STOPS`.
        text: why, in a sentence.
        potential: the last one.
        rounds: retrainings.
        steps: of the run as it stands.
        steps_made: all of them, those that were taken back and made again included.
        triggers: how often the run asked.
        oracle_calls: calculations asked of the oracle, failed ones included.
        labelled: frames that the oracle labelled.
        failures: oracle calculations that failed.
        known: doubtful frames that had been labelled already: doubt that teaching did not take away.
        always: oracle calls that the run would have needed with the oracle alone, one for each step as far as it came.
        share: oracle_calls / always.
        potential_calls: evaluations of the student's potentials, checks included.
        seconds: wall time by part: "run", "check", "oracle", "train", "validate".
        checks: every look at the doubt, in order.
        events: everything else that happened, in order.
        held_out: force error (RMSE of components, eV/Å) on the held-out frames by round; empty without such frames.
        contract_kept: whether the last potential keeps the contract; None without one.
        potentials: their files, by round.
        data: folder of the data set.
    """

    stop: str
    text: str
    potential: Potential
    rounds: int
    steps: int
    steps_made: int
    triggers: int
    oracle_calls: int
    labelled: int
    failures: int
    known: int
    always: int
    share: float
    potential_calls: int
    seconds: Mapping[str, float]
    checks: tuple[Check, ...]
    events: tuple[Event, ...]
    held_out: tuple[float, ...]
    contract_kept: bool | None
    potentials: tuple[Path, ...]
    data: Path


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
