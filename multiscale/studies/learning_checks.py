"""What is asked of a case that learns before anything is computed, and of its learning once it is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from atomistic.active_learning import LearningResult
from atomistic.labelled import LabelledFrame, read_frames
from multiscale.config.learning import LearningModel
from multiscale.errors import LearningStoppedError, StudyError
from multiscale.failures import caused_by

HOW_ON = {
    "budget": "Raise learning.budget, and run the case again with --force: it goes on from there",
    "no improvement": "Raise learning.patience, and --force goes on; another student or other learning.data need a new directory",
    "oracle failed": "See learning/failed in it; --force asks again and goes on from there",
    "contract": "Loosen the contract, or write contract_stops: lost, and --force goes on; more data need a new directory",
    "run failed": "Give learning.data.initial nearer to the run, in a new directory; --force tries again from there",
}
"""By why a loop stopped, what its user can do."""


def check_held_out(held_out: Sequence[LabelledFrame], *, known: Iterable[str]) -> None:
    """Refuse held-out frames with elements that nothing teaches.

    Args:
        held_out: the frames.
        known: symbols of the elements of the structure, the frames to begin with and a potential that was taught before.

    Raises:
        StudyError: at learning.data.held_out.
    """
    there = set(known)
    foreign = sorted({symbol for frame in held_out for symbol in frame.atoms.symbols} - there)
    if foreign:
        with caused_by("learning", "data", "held_out"):
            raise StudyError(
                f"the held-out frames have {', '.join(foreign)}, and what is taught has {', '.join(sorted(there))} alone: "
                "nothing could be said of them. Hold out frames of the elements that are taught, or teach the others with "
                "learning.data.initial"
            )


def check_data(case: Any) -> None:
    """Check the held-out frames of a case with `crystal` and `learning`, from its files alone.

    Raises:
        StudyError: as `check_held_out`.
        ValueError: files that cannot be read.
    """
    data = case.learning.data
    if not data.held_out or isinstance(case.potential, Mapping):
        # Heads that were taught before may know more; they are asked where they are loaded.
        return
    with caused_by("learning", "data"):
        initial, held_out = (
            [frame for path in paths for frame in read_frames(path)] for paths in (data.initial, data.held_out)
        )
    check_held_out(held_out, known=[*case.crystal.species, *(s for frame in initial for s in frame.atoms.symbols)])


def oracle_warnings(case: Any) -> list[str]:
    """An oracle that is the student's own backbone."""
    learning: LearningModel = case.learning
    if learning.student.factory is not None:
        return []
    backbone = learning.student.backbone or case.potential
    if _name(learning.oracle) != _name(backbone):
        return []
    return [
        f"the oracle is the student's own backbone, {_name(backbone)}: the heads would learn what they stand on. Name another "
        "learning.oracle"
    ]


def _name(spec: Any) -> Any:
    """A potential's or an engine's name where it has one."""
    if isinstance(spec, Mapping):
        spec = spec.get("engine") or spec.get("name") or dict(spec)
    return spec.lower() if isinstance(spec, str) else spec


def coupled_prediction(case: Any) -> list[str]:
    """What ``validate`` has to say about the learning of a coupled study: warnings.

    Raises:
        ValueError: as `check_data`.
    """
    if getattr(case, "crystal", None) is None or getattr(case, "learning", None) is None:
        return []
    check_data(case)
    return oracle_warnings(case)


def where_stopped(result: LearningResult) -> str:
    """At which step a loop stopped, and where it will go on."""
    asked = next((event.step for event in reversed(result.events) if event.kind == "stopped"), result.steps)
    return f"step {asked}" if asked == result.steps else f"step {asked} (trusted up to step {result.steps})"


def require_end(result: LearningResult, *, directory: Path, told: Any = None) -> None:
    """Say of a learning that is over and written whether it got where it should.

    Args:
        result: of the loop.
        directory: of the run.
        told: what the study would return; the error has it as `result`.

    Raises:
        LearningStoppedError: the run did not come to its end, or its last potential does not keep the contract.
    """
    if result.stop != "finished":
        raise LearningStoppedError(
            f"the learning stopped before the run's end, at {where_stopped(result)}: {result.text}. What there is, is in "
            f"{directory}. {HOW_ON[result.stop]}",
            result=told,
        )
    if result.contract_kept is False:
        raise LearningStoppedError(
            "the run came to its end, and the taught potential does not keep the contract of accuracy. What there is, is in "
            f"{directory}. Teach more, with a lower learning.threshold or more learning.data.initial, in a new directory",
            result=told,
        )
