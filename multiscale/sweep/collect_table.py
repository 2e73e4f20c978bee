"""What the runs of a sweep have found, in one table: a row for each case, a column for each parameter and each result."""

from __future__ import annotations

import importlib.util
import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atomistic.whole_file import put_whole, write_whole
from multiscale.config.base import either, nearest
from multiscale.errors import SweepError
from multiscale.report_words import HEADLINES, run_title
from multiscale.run import csv_text
from multiscale.scalars import Scalar, headings, is_number, results_of, values_of
from multiscale.spread_results import UNTOLD
from multiscale.sweep.ledger import CaseRow, Ledger, Parameter

RUN_TIME, ATTEMPTS_TIME = "time of the run itself", "time of its processes, all attempts"
"""Headings: what run.json tells; and wall time from start to end of every process, also of those that came to nothing."""
MOST = 6
"""Results drawn and listed where nobody says which."""
LARGEST_EXACT = 2**53
"""Whole numbers below it stay whole numbers in a table."""


@dataclass(frozen=True, kw_only=True)
class SweptRun:
    """One case and what its run has left.

    Attributes:
        row: of the ledger.
        directory: of the run, absolute; it need not exist yet.
        title: what the run is about, "" where it has not begun.
        values: every scalar result, numbers and texts.
        std: standard deviation over a committee's members, of the results that have one.
        seconds: the run's own wall time, all stages; None where it has not ended.
        calls: of the potentials; None where they are not known.
        warnings: of the results, in words.
    """

    row: CaseRow
    directory: Path
    title: str
    values: dict[Scalar, Any]
    std: dict[Scalar, float]
    seconds: float | None
    calls: float | None
    warnings: tuple[str, ...]

    def number(self, scalar: Scalar) -> float:
        """A result; NaN where the run has no such number."""
        value = self.values.get(scalar)
        return float(value) if value is not None and is_number(value) else float("nan")


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep and its runs.

    Attributes:
        directory: of the sweep, absolute.
        parameters: what varies.
        runs: one for each case, in the order of the design.
        names: what each scalar result is called, in the order in which the runs tell them; units apart.
        unplanned: finished cases that are left out because the sweep file no longer has them.
    """

    directory: Path
    parameters: tuple[Parameter, ...]
    runs: tuple[SweptRun, ...]
    names: dict[Scalar, str]
    unplanned: int

    def numbers(self, scalar: Scalar) -> np.ndarray:
        """A result of all runs, (n,); NaN where a run has no such number."""
        return np.array([run.number(scalar) for run in self.runs])

    def values(self, parameter: Parameter) -> list[Any]:
        """A parameter's value in every case; None where a case of an earlier sweep file has no such parameter."""
        points = [run.row.parameters.get(parameter.name) for run in self.runs]
        return [None if point is None else point.value for point in points]


def gather(directory: Path, *, unplanned: bool = False) -> Sweep:
    """Read the ledger of a sweep and what its runs have left so far.

    Raises:
        SweepError: there is no sweep, or one without cases.
    """
    with Ledger.read(directory) as ledger:
        parameters, rows = ledger.parameters, ledger.rows()
        kept = [row for row in rows if row.planned or unplanned]
        runs = tuple(_read(row, ledger.run_directory(row)) for row in kept)
    if not runs:
        raise SweepError(
            f"the sweep in {directory} has no cases yet. Run it: multiscale sweep SWEEP.yaml -o {shlex.quote(str(directory))}"
        )
    return Sweep(
        directory=directory.absolute(),
        parameters=parameters,
        runs=runs,
        names=headings((scalar for run in runs for scalar in run.values), units=False),
        unplanned=sum(row.status == "DONE" for row in rows) - sum(row.status == "DONE" for row in kept),
    )


def _read(row: CaseRow, directory: Path) -> SweptRun:
    results = results_of(directory)
    try:
        record = json.loads((directory / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = {}
    values = values_of(results)
    return SweptRun(
        row=row,
        directory=directory,
        title=run_title(record) if record else "",
        values=values,
        std=_deviations(results, values),
        seconds=record.get("seconds"),
        calls=_calls(record),
        warnings=tuple(str(text) for text in results.get("warnings", [])),
    )


def _deviations(results: dict[str, Any], values: dict[Scalar, Any]) -> dict[Scalar, float]:
    """The quantities come in the order of the scalars; properties, which follow, carry none."""
    quantities = results.get("quantities", [])
    return {
        scalar: float(quantity["std"])
        for scalar, quantity in zip(values, quantities, strict=False)
        if is_number(quantity.get("std"))
    }


def _calls(record: dict[str, Any]) -> float | None:
    described = [record.get("potential") or {}, *(record.get("potentials") or {}).values()]
    found = [one["calls"] for one in described if is_number(one.get("calls"))]
    return sum(found) if found else None


def parameter_named(sweep: Sweep, name: str) -> Parameter:
    """A parameter by its name.

    Raises:
        SweepError: there is none.
    """
    for parameter in sweep.parameters:
        if parameter.name == name:
            return parameter
    names = [parameter.name for parameter in sweep.parameters]
    near = nearest(name, names)
    hint = (
        f'Did you mean "{near}"?' if near else f"The sweep varies {either(names)}." if names else "It varies nothing."
    )
    raise SweepError(f"the sweep in {sweep.directory} has no parameter {name!r}. {hint}")


def chosen_scalars(sweep: Sweep, wanted: Sequence[str] | None) -> tuple[Scalar, ...]:
    """The results to draw: those asked for, else those of the report's headlines that vary, then others that vary.

    Args:
        sweep: the runs.
        wanted: symbols, names or beginnings of names.

    Raises:
        SweepError: none of the results is called so.
    """
    if wanted:
        return tuple(dict.fromkeys(scalar for name in wanted for scalar in _called(sweep, name)))
    rank = {symbol: number for number, symbol in enumerate(HEADLINES)}
    varying = [s for s in sweep.names if not s.effort and not s.name.startswith(UNTOLD) and _varies(sweep.numbers(s))]
    ordered = sorted(varying, key=lambda scalar: rank.get(scalar.symbol, len(rank)))
    return tuple(ordered[:MOST])


def _called(sweep: Sweep, name: str) -> list[Scalar]:
    drawable = [scalar for scalar in sweep.names if np.isfinite(sweep.numbers(scalar)).any()]
    for fits in (
        lambda s: name in (s.symbol, s.name, sweep.names[s]),
        lambda s: sweep.names[s].lower().startswith(name.lower()),
        lambda s: name.lower() in sweep.names[s].lower(),
    ):
        if found := [scalar for scalar in drawable if fits(scalar)]:
            return found
    if not drawable:
        raise SweepError(f"no run of the sweep in {sweep.directory} has results yet. Leave out --quantity")
    known = [sweep.names[scalar] for scalar in drawable]
    near = nearest(name, [*known, *(scalar.symbol for scalar in drawable if scalar.symbol)])
    hint = f'Did you mean "{near}"?' if near else f"Results are {either(known[:8])}{' ...' if len(known) > 8 else ''}."
    raise SweepError(f"no run has a result {name!r}. {hint}")


def _varies(numbers: np.ndarray) -> bool:
    known = numbers[np.isfinite(numbers)]
    return len(known) > 1 and float(np.ptp(known)) > 1e-9 * float(np.abs(known).max())


def columns_of(sweep: Sweep) -> dict[str, tuple[np.ndarray, str]]:
    """The table: heading, without its unit, -> values and unit; texts are columns of objects, unknown values None or NaN."""
    rows = [run.row for run in sweep.runs]
    columns: dict[str, tuple[np.ndarray, str]] = {"case": (np.array([row.number for row in rows]), "")}
    for parameter in sweep.parameters:
        values = sweep.values(parameter)
        _add(columns, parameter.name, _array(values, numbers=parameter.unit is not None), parameter.unit or "")
    _add(columns, "status", _array([row.status for row in rows], numbers=False), "")
    for scalar, name in sweep.names.items():
        values = [run.values.get(scalar) for run in sweep.runs]
        numbers = any(is_number(value) for value in values)
        _add(columns, name, sweep.numbers(scalar) if numbers else _array(values, numbers=False), scalar.unit)
        if any(scalar in run.std for run in sweep.runs):
            std = [run.std.get(scalar) for run in sweep.runs]
            _add(columns, f"{name}, standard deviation", _array(std, numbers=True), scalar.unit)
    seconds, wall, calls = (
        [run.seconds for run in sweep.runs],
        [row.seconds for row in rows],
        [run.calls for run in sweep.runs],
    )
    _add(columns, RUN_TIME, _array(seconds, numbers=True), "s")
    _add(columns, ATTEMPTS_TIME, _array(wall, numbers=True), "s")
    _add(columns, "calls", _array(calls, numbers=True), "")
    _add(columns, "ranks", np.array([row.ranks for row in rows]), "")
    _add(columns, "attempts", np.array([row.attempts for row in rows]), "")
    _add(columns, "warnings", np.array([len(run.warnings) for run in sweep.runs]), "")
    _add(columns, "reason", _array([row.reason for row in rows], numbers=False), "")
    places = [str(run.directory.relative_to(sweep.directory)) for run in sweep.runs]
    _add(columns, "directory", _array(places, numbers=False), "")
    return columns


def _add(columns: dict[str, tuple[np.ndarray, str]], name: str, values: np.ndarray, unit: str) -> None:
    """Add a column; a result that is called like a parameter, or like what every row has, is marked."""
    heading = name if name not in columns else f"{name} (result)"
    number = 2
    while heading in columns:
        heading, number = f"{name} ({number})", number + 1
    columns[heading] = (values, unit)


def _array(values: Iterable[Any], *, numbers: bool) -> np.ndarray:
    if numbers:
        values = list(values)
        if values and all(type(value) is int and abs(value) < LARGEST_EXACT for value in values):
            return np.array(values, dtype=np.int64)
        known = [float(value) if value is not None and is_number(value) else np.nan for value in values]
        return np.array(known, dtype=float)
    return np.array([None if value is None else str(value) for value in values], dtype=object)


def write_csv(sweep: Sweep, path: Path) -> Path:
    """Write the table as text, units in the headings; pandas reads it, unknown values are empty."""
    columns = columns_of(sweep)
    filled = {
        name: np.array(["" if value is None else value for value in values], dtype=object)
        if values.dtype == object
        else values
        for name, (values, _) in columns.items()
    }
    write_whole(path, csv_text(filled, units={name: unit for name, (_, unit) in columns.items() if unit}))
    return path


def write_parquet(sweep: Sweep, path: Path) -> Path | None:
    """Write the table as Parquet, with the headings of the CSV file and each column's unit in its field; None without pyarrow."""
    if importlib.util.find_spec("pyarrow") is None:
        return None
    import pyarrow
    from pyarrow import parquet

    fields, arrays = [], []
    for name, (values, unit) in columns_of(sweep).items():
        array = pyarrow.array(
            values.tolist(), from_pandas=True, type=pyarrow.string() if values.dtype == object else None
        )
        heading = f"{name} [{unit}]" if unit else name
        fields.append(pyarrow.field(heading, array.type, metadata={"unit": unit} if unit else None))
        arrays.append(array)
    table = pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields))
    put_whole(path, lambda part: parquet.write_table(table, part))
    return path
