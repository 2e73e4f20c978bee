"""Whether two runs found the same, and to how many digits, from their directories alone."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.checkpoint import resuming
from multiscale.failures import resumable
from multiscale.scalars import headings, is_effort, is_number, results_of, values_of

CHECKS = ("closure", "mismatch", "misfit", "change of", "energy cut", "strain from rest", "double counting")
"""Beginnings of the names of what is small where all is well; a difference is measured by what it is a part of."""
LEFT = ("largest force",)
"""What a solver leaves below its tolerance: noise, in quantities and in columns."""
NOT_RESULTS = ("convergence.csv", "spread.csv")
"""Tables that tell of the way, or repeat others."""
ALL_DIGITS = 16.0
NOT_KEPT = "validate-potential"
"""The study that keeps nothing to go on from."""
_NOT_FINISHED = {
    "stopped": "was stopped before its end",
    "interrupted": "was interrupted",
    "running": "is still running or was killed",
}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One number or column of two runs.

    Attributes:
        name: of the quantity, or file and column.
        before, after: the numbers, for a column those that differ most; None where a run has none.
        digits: −log₁₀ of the difference over the magnitude; 16 where both are the same to the last bit; 0 where one is missing.
    """

    name: str
    before: float | None
    after: float | None
    digits: float


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far two runs agree.

    Attributes:
        compared: every number and column.
        remarks: what could not be compared, in words: tables of other lengths, texts that differ.
    """

    compared: tuple[Comparison, ...]
    remarks: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether every number is the same to the last bit."""
        return bool(self.compared) and not self.remarks and self.digits == ALL_DIGITS

    @property
    def digits(self) -> float:
        """Of the number that agrees least; 0 where something is missing in one of the runs or nothing was compared."""
        if self.remarks or not self.compared:
            return 0.0
        return min(entry.digits for entry in self.compared)

    @property
    def worst(self) -> tuple[Comparison, ...]:
        """What differs, the largest difference first."""
        return tuple(
            sorted((entry for entry in self.compared if entry.digits < ALL_DIGITS), key=lambda entry: entry.digits)
        )

    def sentence(self) -> str:
        """What to tell."""
        if not self.compared and not self.remarks:
            return "neither run has results to compare"
        if self.identical:
            return f"identical: all {len(self.compared)} quantities and columns are the same to the last bit"
        if self.remarks:
            return f"not the same: {'; '.join(self.remarks[:3])}" + (" ..." if len(self.remarks) > 3 else "")
        worst = self.worst[0]
        return (
            f"agree to {self.digits:.1f} digits: {len(self.compared) - len(self.worst)} of {len(self.compared)} quantities and "
            f"columns are the same to the last bit, and the worst is {worst.name} ({worst.before!r} before, {worst.after!r} now)"
        )

    def entry(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "identical": self.identical,
            "digits": self.digits,
            "sentence": self.sentence(),
            "remarks": list(self.remarks),
            "differences": [asdict(entry) for entry in self.worst],
            "compared": len(self.compared),
        }


def agreement_of(before: str | Path, after: str | Path) -> Agreement:
    """Compare the results of two runs: scalar quantities, and every column of numbers in their tables.

    Seconds, calls and iterations are left out. A difference is measured by the larger of the two numbers; that of a column by
    the column's largest; that of a check, which is small where all is well, by what it is a part of.

    Args:
        before, after: run directories.
    """
    before, after = Path(before), Path(after)
    compared, remarks = _compare_quantities(results_of(before), results_of(after))
    names = dict.fromkeys(
        path.name for folder in (before, after) for path in sorted(folder.glob("*.csv")) if path.name not in NOT_RESULTS
    )
    for name in names:
        found, said = _compare_tables(name, before / name, after / name)
        compared += found
        remarks += said
    return Agreement(compared=tuple(compared), remarks=tuple(remarks))


def unfinished(directory: Path, record: Mapping[str, Any]) -> str:
    """Why a run has no results and how it goes on, to be said after its name; "" where it has results.

    Args:
        directory: of the run.
        record: its ``run.json``.
    """
    if (directory / "results.json").is_file():
        return ""
    status = str(record.get("status"))
    if status == "finished":
        return "has no results: its results.json is gone"
    if status not in _NOT_FINISHED:
        return f"has no results, because it failed{resumable(directory)}"
    why = f"has no results, because it {_NOT_FINISHED[status]}"
    return (
        why if (record.get("case") or {}).get("study") == NOT_KEPT else f"{why}. Go on with it: {resuming(directory)}"
    )


def _compare_quantities(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[list[Comparison], list[str]]:
    old, new = values_of(before), values_of(after)
    largest: dict[str, float] = {}
    for scalar, value in (*old.items(), *new.items()):
        if is_number(value):
            largest[scalar.unit] = max(largest.get(scalar.unit, 0.0), abs(value))
    compared, remarks = [], []
    for scalar, label in headings([*old, *new], units=False).items():
        if scalar.effort or scalar.name.startswith(LEFT):
            continue
        if scalar not in old or scalar not in new:
            remarks.append(f"{label} is in {'the first' if scalar in old else 'the second'} run only")
            continue
        first, second = old[scalar], new[scalar]
        if is_number(first) and is_number(second):
            scale = max(abs(first), abs(second))
            if scalar.name.startswith(CHECKS):
                scale = max(scale, _whole(scalar.unit) or largest[scalar.unit])
            digits = _digits(abs(first - second), scale)
            compared.append(Comparison(name=label, before=first, after=second, digits=digits))
        elif first != second:
            remarks.append(f"{label} was {first} and is {second}")
    return compared, remarks


def _whole(unit: str) -> float:
    """The whole that a share without a unit is a part of; 0 for a unit of its own."""
    return 100.0 if unit.startswith("%") else 1.0 if not unit or unit.startswith("of ") else 0.0


def _digits(difference: float, scale: float) -> float:
    if difference == 0.0:
        return ALL_DIGITS
    # One bit short of the same is one bit short of all digits, whatever the logarithm rounds to.
    return float(np.clip(-math.log10(difference / scale), 0.0, 15.9)) if scale > 0 else 0.0


def _compare_tables(name: str, before: Path, after: Path) -> tuple[list[Comparison], list[str]]:
    if not before.is_file() or not after.is_file():
        return [], [f"{name} is in {'the first' if before.is_file() else 'the second'} run only"]
    old, new = read_columns(before), read_columns(after)
    if set(old) != set(new):
        return [], [f"{name} has other columns: {', '.join(sorted(set(old) ^ set(new)))}"]
    counts = [len(next(iter(table.values()), ())) for table in (old, new)]
    if counts[0] != counts[1]:
        return [], [f"{name} had {counts[0]} rows and has {counts[1]}"]
    largest: dict[str, float] = {}
    for heading, values in (*old.items(), *new.items()):
        if values.dtype.kind == "f" and np.isfinite(values).any():
            unit = _unit(heading)
            largest[unit] = max(largest.get(unit, 0.0), float(np.nanmax(np.abs(values))))
    compared, remarks = [], []
    for heading, values in old.items():
        if is_effort(heading, _unit(heading)) or heading.startswith(LEFT):
            continue
        label, other = f"{name}, {heading}", new[heading]
        if values.dtype.kind != "f" or other.dtype.kind != "f":
            if values.tolist() != other.tolist():
                remarks.append(f"{label}: texts differ")
        elif (np.isnan(values) != np.isnan(other)).any():
            remarks.append(f"{label}: other cells are empty")
        elif not np.isnan(values).all():
            compared.append(_compare_columns(label, values, other, whole=largest[_unit(heading)]))
    return compared, remarks


def _compare_columns(label: str, before: np.ndarray, after: np.ndarray, *, whole: float) -> Comparison:
    difference = np.abs(before - after)
    place = int(np.nanargmax(difference))
    scale = float(max(np.nanmax(np.abs(before)), np.nanmax(np.abs(after))))
    # What is left over of numbers a million times larger, such as an energy balance, is a part of them.
    scale = whole if scale < 1e-6 * whole else scale
    return Comparison(
        name=label,
        before=float(before[place]),
        after=float(after[place]),
        digits=_digits(float(difference[place]), scale),
    )


def _unit(heading: str) -> str:
    return heading.rpartition("[")[2].rstrip("]") if heading.endswith("]") else ""


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """Columns of one of our tables by heading: numbers where every cell is one or empty (NaN), else texts."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(line for line in stream if not line.startswith("#")))
    if not rows:
        return {}
    return {heading: _column([row[k] if k < len(row) else "" for row in rows[1:]]) for k, heading in enumerate(rows[0])}


def _column(cells: list[str]) -> np.ndarray:
    try:
        return np.array([float(cell) if cell.strip() else np.nan for cell in cells], dtype=float)
    except ValueError:
        return np.array(cells, dtype=object)
