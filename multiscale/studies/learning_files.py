"""What a run that learns writes beside its own results: doubt, rounds, oracle calls, the taught potential."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from atomistic.active_learning import Event, LearningResult
from multiscale.config.learning import LearningModel
from multiscale.run import RunDirectory
from multiscale.studies.learning_build import Lesson
from multiscale.studies.learning_checks import where_stopped

FORCE = "eV/Å"
Row = tuple[str, str, float | int | str | None, str, str]
FEW = 20
"""Steps of a run below which calls in parts of always asking say nothing."""
PASSING = ("check", "training", "asking")
"""Events that only tell that something begins: not written."""


def event_fields(event: Event) -> dict[str, Any]:
    """An event of the loop as ``events.jsonl`` keeps it."""
    return {"what": event.kind, "round": event.round, "step": event.step, "text": event.text, **dict(event.data)}


def write_learning(run: RunDirectory, lesson: Lesson, result: LearningResult, *, before: float | None) -> Path | None:
    """doubt.csv, rounds.csv and the taught potential; returns the potential's file, None on ranks that do not write.

    Args:
        run: where.
        lesson: who took part.
        result: of the loop.
        before: force error of the untaught potential on the held-out frames, eV/Å.
    """
    checks = result.checks
    asked = labels_by_step(result.events)
    run.write_csv(
        "doubt.csv",
        {
            "round": np.array([check.round for check in checks], dtype=int),
            "step": np.array([check.step for check in checks], dtype=int),
            "disagreement [eV/angstrom]": np.array([check.disagreement for check in checks], dtype=float),
            "atom": np.array([check.atom for check in checks], dtype=int),
            "trusted": np.array([int(check.trusted) for check in checks], dtype=int),
            "oracle calls": np.array(
                [0 if check.trusted else asked.get((check.round, check.step), 0) for check in checks], dtype=int
            ),
        },
        comment=f"Threshold {lesson.options.threshold!r} eV/angstrom.",
    )
    rows = round_rows(result, lesson, before=before)
    run.write_csv(
        "rounds.csv",
        {
            "round": np.array([row["round"] for row in rows], dtype=int),
            "step": np.array([_number(row["step"]) for row in rows]),
            "frames": np.array([_number(row["frames"]) for row in rows]),
            "oracle calls": np.array([_number(row["oracle_calls"]) for row in rows]),
            "held-out force error [eV/angstrom]": np.array([_number(row["held_out"]) for row in rows]),
            "seconds": np.array([_number(row["seconds"]) for row in rows]),
        },
        comment="Round -1 is the potential before it was taught, 0 that taught with the first frames.",
    )
    if not run.writes:
        return None
    path = run.file(f"taught{lesson.student.suffix}")
    lesson.student.save(result.potential, path)
    return path


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def labels_by_step(events: Sequence[Event]) -> dict[tuple[int, int], int]:
    """How many frames the oracle labelled by round and step of the run at which it was asked."""
    found: dict[tuple[int, int], int] = {}
    asked: tuple[int, int] | None = None
    for event in events:
        if event.kind in ("trigger", "broken"):
            asked = (event.round, event.step)
        elif event.kind == "labelled" and asked is not None:
            found[asked] = found.get(asked, 0) + 1
    return found


def round_rows(result: LearningResult, lesson: Lesson, *, before: float | None) -> list[dict[str, Any]]:
    """A row for each training: frames, oracle calls so far, error on held-out frames, seconds; −1 is the untaught potential."""
    rows: list[dict[str, Any]] = []
    if before is not None:
        rows.append({"round": -1, "step": None, "frames": 0, "oracle_calls": 0, "held_out": before, "seconds": None})
    calls = lesson.spent
    for event in result.events:
        if event.kind in ("labelled", "oracle failed"):
            calls += 1
        elif event.kind == "trained":
            error = result.held_out[event.round] if event.round < len(result.held_out) else None
            rows.append(
                {
                    "round": event.round,
                    "step": event.step,
                    "frames": event.data.get("frames"),
                    "oracle_calls": calls,
                    "held_out": error,
                    "seconds": event.data.get("seconds"),
                }
            )
    return rows


def quantities(result: LearningResult, lesson: Lesson, *, before: float | None) -> list[Row]:
    """Rows of the report: what learning cost and what it brought."""
    calls = result.oracle_calls + lesson.spent
    threshold = lesson.options.threshold
    first = f"{lesson.spent} of them for first frames, before the run" if lesson.spent else "all during the run"
    rows: list[Row] = [
        ("end of the learning", "", result.stop, "", result.text),
        ("oracle calls", "N_q", calls, "", f"{first}; {result.failures} failed"),
        *_against_always(calls, result.always),
        ("trainings", "", result.rounds + 1, "", "the first one before the run"),
        ("steps of the run", "", result.steps, "", f"{result.steps_made} made, those taken back included"),
    ]
    last = [check for check in result.checks if check.round == result.rounds]
    if last:
        largest = max(check.disagreement for check in last)
        rows.append(("largest disagreement, last potential", "", largest, FORCE, f"threshold {threshold:g} {FORCE}"))
    if before is not None:
        rows.append(("held-out force error before teaching", "ε_0", before, FORCE, "root mean square of components"))
    if result.held_out:
        rows.append(("held-out force error, first training", "", result.held_out[0], FORCE, ""))
        rows.append(
            ("held-out force error, taught", "ε_F", result.held_out[-1], FORCE, _fall(before, result.held_out[-1]))
        )
    if result.contract_kept is not None:
        rows.append(
            ("contract of accuracy", "", "kept" if result.contract_kept else "broken", "", "by the last potential")
        )
    return rows


def _against_always(calls: int, always: int) -> list[Row]:
    """Calls in parts of those that the oracle alone would have needed; not of a run of a few steps."""
    if always < FEW:
        return []
    note = f"the oracle alone would have been asked {always} times for these steps"
    return [("oracle calls against always asking", "", 100.0 * calls / always, "%", note)]


def _fall(before: float | None, after: float) -> str:
    return "" if before is None or not after else f"{before / after:.3g} times less than before teaching"


def learning_section(
    result: LearningResult, lesson: Lesson, *, before: float | None, path: Path | None
) -> dict[str, Any]:
    """What ``results.json`` holds under `learning`."""
    return {
        "stop": result.stop,
        "text": result.text,
        "oracle": lesson.oracle.capabilities.name,
        "oracle_calls": result.oracle_calls + lesson.spent,
        "share_of_always": (result.oracle_calls + lesson.spent) / result.always if result.always >= FEW else None,
        "threshold": lesson.options.threshold,
        "taught": None if path is None else path.name,
        "held_out_before": before,
        "held_out": list(result.held_out),
        "contract_kept": result.contract_kept,
        "seconds": dict(result.seconds),
        "rows": round_rows(result, lesson, before=before),
        "note": (
            "Errors are root mean squares of force components on the held-out frames, eV/Å. Round −1 is the potential before it "
            "was taught, round 0 that taught with the first frames alone."
        ),
    }


def learning_warnings(result: LearningResult, learning: LearningModel, *, before: float | None) -> list[str]:
    """What a reader of the results should know about the learning."""
    found = []
    if result.stop != "finished":
        found.append(
            f"the learning stopped before the run's end, at {where_stopped(result)}: {result.text}. The same case "
            "with --force goes on from there"
        )
    if result.failures:
        found.append(f"{result.failures} calculations of the oracle failed; their structures are in learning/failed")
    if result.known:
        found.append(
            f"{result.known} doubtful frames had been labelled already: teaching did not take the doubt away. Raise the "
            "threshold or take more layers"
        )
    if not learning.data.held_out:
        found.append(
            "no frames were held out: the doubt is not calibrated, and nothing says what the teaching brought. Give "
            "learning.data.held_out"
        )
    elif before is not None and result.held_out and result.held_out[-1] > before:
        found.append(
            f"the taught potential errs more on the held-out frames ({result.held_out[-1]:.3g} eV/Å) than the untaught one "
            f"({before:.3g} eV/Å): they are unlike what the run met, or the data are too few"
        )
    if result.contract_kept is False:
        found.append("the last potential does not keep the contract of accuracy")
    return found


def told(rows: Sequence[Row]) -> list[Mapping[str, Any]]:
    """Rows as ``results.json`` holds them."""
    names = ("name", "symbol", "value", "unit", "note")
    return [dict(zip(names, row, strict=True)) for row in rows]
