"""What a loop has done so far and what comes next: the content of its manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

from atomistic.active_learning.records import Check, Event, LearningOptions
from atomistic.errors import LearningError
from atomistic.labelled import LabelledFrame, frame_text

#: Options that decide what a run does; the others may change from call to call.
_DECIDING = ("threshold", "check_every", "frames_per_trigger", "neighbours", "ceiling", "novelty", "check_start")


@dataclass
class Trigger:
    """A frame that asked, and what became of its candidates so far.

    Attributes:
        number: of the trigger, from 1.
        reason: "doubt", or "broken" where the run could not go on.
        step: of the run.
        disagreement: eV/Å, of the frame that is labelled first.
        novelty: of its newest atom.
        state: where the candidates are kept.
        outcomes: of each candidate asked about: "labelled", "failed", "known".
    """

    number: int
    reason: str
    step: int
    disagreement: float
    novelty: float
    state: str
    outcomes: list[str] = field(default_factory=list)


@dataclass
class Account:
    """The state of a loop; see `LearningResult` for the counts.

    Attributes:
        identity: what a later call must give alike.
        stage: what comes next.
        round: of the present potential; −1 before the first.
        trusted: name of the last trusted snapshot; empty before the start.
        trusted_checked: whether doubt was found small there (the start may not have been looked at).
        trigger: the last one.
        names: numbers given to states so far.
        farthest: largest step reached.
        final: name of the snapshot at the run's end.
        held_out, contract, improved: force error on the held-out frames (eV/Å), whether the contract was kept, and whether the
            retraining was an improvement; by round.
        stop, text: why the loop stopped; None while it goes on.
    """

    identity: dict[str, Any]
    stage: str = "train"
    round: int = -1
    trusted: str = ""
    trusted_checked: bool = False
    final: str = ""
    trigger: Trigger | None = None
    names: int = 0
    steps_made: int = 0
    farthest: int = 0
    triggers: int = 0
    asked: int = 0
    labelled: int = 0
    failures: int = 0
    known: int = 0
    potential_calls: int = 0
    held_out: list[float] = field(default_factory=list)
    contract: list[bool] = field(default_factory=list)
    improved: list[bool] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    stop: str | None = None
    text: str = ""

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Account:
        """Return the account that a manifest holds."""
        trigger = kept["trigger"]
        known = {name: value for name, value in kept.items() if name not in ("trigger", "version")}
        return cls(**known, trigger=None if trigger is None else Trigger(**trigger))

    def kept(self) -> dict[str, Any]:
        """Return the account as the manifest holds it."""
        return asdict(self)

    def states(self) -> set[str]:
        """Return the names of the snapshots that are still needed."""
        return {name for name in (self.trusted, self.final, self.trigger.state if self.trigger else "") if name}

    def name(self, kind: str) -> str:
        """Return a new name for a state."""
        self.names += 1
        return f"{kind}-{self.names:05d}"

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Count the seconds of a part."""
        began = perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + perf_counter() - began


def identity(
    options: LearningOptions, *, initial: Sequence[LabelledFrame], held_out: Sequence[LabelledFrame]
) -> dict[str, Any]:
    """Return what has to be the same in every call with one folder."""
    return {
        **{name: getattr(options, name) for name in _DECIDING},
        "initial frames": _fingerprint(initial),
        "held-out frames": _fingerprint(held_out),
    }


def compare_identity(kept: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse to go on under other conditions.

    Raises:
        LearningError: what differs.
    """
    other = [name for name in given if kept.get(name) != given[name]]
    if other:
        described = "; ".join(f"{name}: {kept.get(name)!r} then, {given[name]!r} now" for name in other)
        raise LearningError(
            f"The folder holds a loop begun under other conditions ({described}). Give the same, or an empty folder; budget, "
            "patience, improvement, save_every and the contract may change."
        )


def event_line(event: Event) -> str:
    """Return an event as a line of the journal."""
    return json.dumps(asdict(event), default=str)


def event_of(line: str) -> Event:
    """Return the event of a line."""
    return Event(**json.loads(line))


def check_line(check: Check) -> str:
    """Return a check as a line of the journal."""
    return f"{check.round},{check.step},{check.disagreement!r},{check.atom},{int(check.trusted)},{check.novelty!r}"


def check_of(line: str) -> Check:
    """Return the check of a line."""
    number, step, disagreement, atom, trusted, novelty = line.split(",")
    return Check(
        round=int(number),
        step=int(step),
        disagreement=float(disagreement),
        atom=int(atom),
        trusted=trusted == "1",
        novelty=float(novelty),
    )


def _fingerprint(frames: Sequence[LabelledFrame]) -> str:
    """Number of frames and hash of them; positions and labels to the last bit."""
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(frame_text(frame).encode())
    return f"{len(frames)} ({digest.hexdigest()[:12]})"
