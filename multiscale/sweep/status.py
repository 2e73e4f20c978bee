"""What the terminal says of a sweep."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from multiscale.progress import format_seconds
from multiscale.sweep.driver import Summary
from multiscale.sweep.ledger import CORES, STATUSES, CaseRow, Ledger, counts
from multiscale.sweep.plan import Plan
from multiscale.sweep.process import is_running

MOST_LINES = 30
"""Cases that are listed of each kind; the table has all."""


def plan_lines(plan: Plan, *, every: bool = False) -> list[str]:
    """What is planned; with `every` each case."""
    varied = ", ".join(f"{p.name}{f' [{p.unit}]' if p.unit else ''}" for p in plan.parameters)
    lines = [f"{_count(len(plan.cases), 'case')} ({plan.design}): {varied}"]
    if plan.merged:
        lines.append(f"{_count(plan.merged, 'point')} more would repeat one of them and is left out")
    if every:
        lines += [f"{row.number:>5}  {row.hash}  {values_text(row)}" for row in plan.cases]
    return lines


def values_text(row: CaseRow) -> str:
    """The values of a case in a line."""
    return ", ".join(f"{name} = {_shown(value.text, value.value)}" for name, value in row.parameters.items())


def _shown(text: str, value: object) -> str:
    return text if len(text) <= 40 or not isinstance(value, str) else value


def event_line(kind: str, row: CaseRow) -> str:
    """What is said when a case ends, or is found finished."""
    took = "found finished" if kind == "found" else format_seconds(row.seconds)
    words = {"PENDING": "goes on later" if kind == "ended" else ""}.get(row.status, row.status)
    reason = f": {row.reason}" if row.reason else ""
    return f"{row.number:>5}  {row.hash}  {values_text(row)}  {words} ({took}){reason}"


def end_lines(summary: Summary, directory: Path) -> list[str]:
    """How it ended and what to do next."""
    lines, there = [_counts_text(summary.counts)], shlex.quote(str(directory))
    if summary.left:
        lines.append(f"{_count(summary.left, 'job')} stay in the queue; they are found again by the next command")
    if summary.stopped:
        lines.append(f"Stopped. Go on: multiscale sweep resume {there}")
        return lines
    if set(summary.counts) - {"DONE"}:
        lines.append(f"Reasons: multiscale sweep status {there}    Try again: multiscale sweep resume {there} --retry")
    lines.append(f"Table, plots and page: multiscale sweep collect {there}")
    return lines


def status_lines(directory: Path) -> list[str]:
    """How far a sweep is: counts, what runs, what failed and why, and when it may be done.

    Raises:
        SweepError: the directory holds no sweep.
    """
    with Ledger.read(directory) as ledger:
        listed = ledger.rows()
        source, cores = ledger.setting("source"), float(ledger.setting(CORES) or "inf")
    rows = [row for row in listed if row.planned]
    lines = [f"{directory}: {_count(len(rows), 'case')} of {source}", _counts_text(counts(rows))]
    if len(listed) > len(rows):
        lines.append(f"{_count(len(listed) - len(rows), 'case')} of an earlier sweep file not counted")
    lines += _running_lines([row for row in rows if row.status == "RUNNING"], directory)
    for status in ("FAILED", "TIMEOUT"):
        lines += _listed(status, [row for row in rows if row.status == status])
    return [*lines, *_prospect(rows, cores)]


def _running_lines(rows: Sequence[CaseRow], directory: Path) -> list[str]:
    lines = []
    for row in rows[:MOST_LINES]:
        since = "" if row.started is None else f" for {format_seconds(_age(row.started))}"
        state = "running" if is_running(directory / row.directory) else "no process (in a queue, or its driver is gone)"
        lines.append(f"  {state}{since}  {row.number:>5}  {row.hash}  {values_text(row)}  attempt {row.attempts}")
    return [*lines, *_more(rows)]


def _listed(status: str, rows: Sequence[CaseRow]) -> list[str]:
    lines = [
        f"  {status}  {row.number:>5}  {row.hash}  {values_text(row)}  ({_count(row.attempts, 'attempt')}): {row.reason}"
        for row in rows[:MOST_LINES]
    ]
    return [*lines, *_more(rows)]


def _more(rows: Sequence[CaseRow]) -> list[str]:
    return [f"  ... and {len(rows) - MOST_LINES} more"] if len(rows) > MOST_LINES else []


def _prospect(rows: Sequence[CaseRow], cores: float) -> list[str]:
    """The time that is left, by the mean of what is done, on the cores that the last driver had; infinite ones: a queue's."""
    done = [row.seconds for row in rows if row.status == "DONE" and row.seconds]
    left = [row for row in rows if row.status in ("PENDING", "RUNNING")]
    if not done or not left:
        return []
    mean = sum(done) / len(done)
    so_far = f"{format_seconds(mean)} a case so far, all its attempts"
    if math.isinf(cores):
        share = f"about {format_seconds(mean * len(left))} left if one ran after another; no limit of cores is known"
        return [f"{so_far}; {share}"]
    at_once = max(1, int(cores) // max(row.ranks for row in left))
    time = format_seconds(mean * math.ceil(len(left) / at_once))
    return [f"{so_far}; about {time} left with {_count(at_once, 'case')} at once on {_count(int(cores), 'core')}"]


def _age(started: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(started)).total_seconds()


def _counts_text(found: dict[str, int]) -> str:
    return ", ".join(f"{found[status]} {status}" for status in STATUSES if found.get(status)) or "no cases"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
