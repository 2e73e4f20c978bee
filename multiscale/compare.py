"""Runs of any study side by side: what differs in their cases, what they found, how the energy closes, what they took."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atomistic.whole_file import write_whole
from multiscale.agreement import Agreement, agreement_of, unfinished
from multiscale.provenance import dotted, leaves
from multiscale.report import NotARunError
from multiscale.report_words import run_title
from multiscale.run import csv_text
from multiscale.scalars import Scalar, headings, is_number, results_of, values_of
from multiscale.units import format_quantity

CLOSURE = ("closure", "double counting", "J against")
"""Beginnings of the names of checks of the energy balance."""


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """One run.

    Attributes:
        directory: absolute.
        label: a short name that no other of the runs has.
        title: what it is about.
        record: ``run.json``.
        results: ``results.json``; empty where there is none.
    """

    directory: Path
    label: str
    title: str
    record: Mapping[str, Any]
    results: Mapping[str, Any]

    @property
    def status(self) -> str:
        """How it ended."""
        return str(self.record.get("status", "unknown"))

    @property
    def study(self) -> str:
        """Of its case."""
        return str((self.record.get("case") or {}).get("study", ""))

    @property
    def unfinished(self) -> str:
        """Why it has no results, and how it goes on; "" where it has some."""
        return unfinished(self.directory, self.record)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table: what it is, and a value for each run; None where a run has none."""

    name: str
    unit: str
    values: tuple[Any, ...]

    @property
    def differs(self) -> bool:
        """Whether the runs do not all have the same."""
        return any(value != self.values[0] for value in self.values[1:])

    @property
    def shared(self) -> bool:
        """Whether two runs at least have it."""
        return sum(value is not None for value in self.values) > 1

    @property
    def largest(self) -> float | None:
        """The largest relative difference from the first run; None where there are no numbers to compare."""
        first, others = self.values[0], [value for value in self.values[1:] if is_number(value)]
        if not is_number(first) or not others or not first:
            return None
        return max(abs(value - first) for value in others) / abs(first)


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """Several runs.

    Attributes:
        runs: in the order in which they were given.
        case: keys of the case whose values differ.
        quantities: scalar results, checks and effort apart.
        closures: checks of the energy balance.
        ledger: terms of the energy, weighted.
        effort: calls, iterations, seconds by phase, ranks, memory.
        circumstances: versions, machines, models that differ.
        agreements: of each run but the first with the first; None for a run of another case, or where one of the two has no
            results.
    """

    runs: tuple[ComparedRun, ...]
    case: tuple[Row, ...]
    quantities: tuple[Row, ...]
    closures: tuple[Row, ...]
    ledger: tuple[Row, ...]
    effort: tuple[Row, ...]
    circumstances: tuple[Row, ...]
    agreements: tuple[Agreement | None, ...]

    def against_first(self, number: int) -> str:
        """How the results of a run, counted from 0, agree with the first's, in words; "" for a run of another case."""
        first, other = self.runs[0], self.runs[number]
        if not _same_case(first, other):
            return ""
        agreement = self.agreements[number - 1]
        waiting = [f"{run.label} {run.unfinished}" for run in (first, other) if run.unfinished]
        return "; ".join(waiting) if agreement is None else agreement.sentence()


def side_by_side(directories: Sequence[str | Path]) -> SideBySide:
    """Put runs side by side, of one study or of several, finished or not.

    Raises:
        NotARunError: for a directory that no run has written, and for fewer than two.
    """
    runs = read_runs(directories)
    if len(runs) < 2:
        raise NotARunError("there is nothing to compare with one run. Give the directories of two or more")
    scalars = [values_of(run.results) for run in runs]
    names = headings([scalar for values in scalars for scalar in values], units=False)
    rows = {scalar: _row(name, scalar.unit, scalars, scalar) for scalar, name in names.items()}
    return SideBySide(
        runs=runs,
        case=_case_rows(runs),
        quantities=tuple(row for scalar, row in rows.items() if not scalar.effort and not _closes(scalar)),
        closures=tuple(row for scalar, row in rows.items() if _closes(scalar)),
        ledger=_ledger_rows(runs),
        effort=(*(row for scalar, row in rows.items() if scalar.effort and not _closes(scalar)), *_effort_rows(runs)),
        circumstances=_circumstance_rows(runs),
        agreements=tuple(_agreement(runs[0], run) for run in runs[1:]),
    )


def _agreement(first: ComparedRun, other: ComparedRun) -> Agreement | None:
    comparable = _same_case(first, other) and not first.unfinished and not other.unfinished
    return agreement_of(first.directory, other.directory) if comparable else None


def _same_case(first: ComparedRun, other: ComparedRun) -> bool:
    return bool(first.record.get("case") == other.record.get("case"))


def _closes(scalar: Scalar) -> bool:
    return scalar.name.startswith(CLOSURE)


def _row(name: str, unit: str, tables: Sequence[Mapping[Any, Any]], key: Any) -> Row:
    return Row(name=name, unit=unit, values=tuple(table.get(key) for table in tables))


def read_runs(directories: Sequence[str | Path]) -> tuple[ComparedRun, ...]:
    """Read ``run.json`` and ``results.json`` of runs, and find short names for them.

    Raises:
        NotARunError: for a directory that no run has written.
    """
    paths = [Path(directory).absolute() for directory in directories]
    labels = _labels(paths)
    runs = []
    for given, path, label in zip(directories, paths, labels, strict=True):
        record = _record(Path(given))
        runs.append(
            ComparedRun(directory=path, label=label, title=run_title(record), record=record, results=results_of(path))
        )
    return tuple(runs)


def _record(directory: Path) -> dict[str, Any]:
    path = directory / "run.json"
    what = "Give directories of runs, for example runs/adhesion"
    if not directory.exists():
        raise NotARunError(f"{directory} does not exist. {what}")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = "is missing" if isinstance(error, OSError) else "is not valid JSON"
        raise NotARunError(f"{path} {why}. {what}") from None
    if not isinstance(record, dict):
        raise NotARunError(f"{path} holds no JSON object. {what}")
    return record


def _labels(paths: Sequence[Path]) -> list[str]:
    """The part of each path that is not the same for all; a number behind one that was given twice."""
    distinct = list(dict.fromkeys(paths))
    common = Path(os.path.commonpath([path.parent for path in distinct])) if distinct else Path()
    short = [str(path.relative_to(common)) for path in paths]
    return [
        text if paths.count(path) == 1 else f"{text} ({paths[: place + 1].count(path)})"
        for place, (path, text) in enumerate(zip(paths, short, strict=True))
    ]


def _case_rows(runs: Sequence[ComparedRun]) -> tuple[Row, ...]:
    """Keys whose values differ, in the order of the cases; lists of numbers whole."""
    cases = [_leaves(run.record.get("case") or {}) for run in runs]
    keys = dict.fromkeys(key for case in cases for key in case)
    rows = [_row(key, "", cases, key) for key in keys]
    return tuple(
        Row(name=row.name, unit="", values=tuple(_short(value) for value in row.values)) for row in rows if row.differs
    )


def _leaves(case: Mapping[str, Any]) -> dict[str, Any]:
    def whole(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: whole(item) for key, item in value.items()}
        if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
            return "[" + ", ".join(str(_short(item)) for item in value) + "]"
        return [whole(item) for item in value] if isinstance(value, list) else value

    return {dotted(keys): value for keys, value in leaves(whole(case)) if value is not None and keys}


def _short(value: Any) -> Any:
    """A value of a case as a person would write it."""
    return value if value is None or is_number(value) else format_quantity(str(value))


def _ledger_rows(runs: Sequence[ComparedRun]) -> tuple[Row, ...]:
    tables = []
    for run in runs:
        entries = run.results.get("ledger") or []
        tables.append({(entry.get("term"), entry.get("unit", "")): entry.get("value") for entry in entries})
    keys = dict.fromkeys(key for table in tables for key in table)
    return tuple(_row(str(key[0]), str(key[1]), tables, key) for key in keys)


def _effort_rows(runs: Sequence[ComparedRun]) -> list[Row]:
    """Seconds, whole and by phase; potential; ranks and memory."""
    records = [run.record for run in runs]
    phases = [record.get("phases") or {} for record in records]
    rows = [Row(name="wall time", unit="s", values=tuple(record.get("seconds") for record in records))]
    rows += [_row(f"phase {name}", "s", phases, name) for name in dict.fromkeys(name for one in phases for name in one)]
    potentials = [record.get("potential") or {} for record in records]
    rows.append(Row(name="inside the potential", unit="s", values=tuple(one.get("seconds") for one in potentials)))
    rows.append(Row(name="atoms evaluated", unit="", values=tuple(one.get("atoms") for one in potentials)))
    rows.append(Row(name="ranks", unit="", values=tuple((record.get("mpi") or {}).get("ranks") for record in records)))
    memory = tuple(_mebibytes(record) for record in records)
    rows.append(Row(name="peak memory of all ranks", unit="MiB", values=memory))
    return [row for row in rows if any(value is not None for value in row.values)]


def _mebibytes(record: Mapping[str, Any]) -> float | None:
    memory = [bytes_ for bytes_ in record.get("peak_memory_bytes_by_rank") or [] if bytes_]
    return sum(memory) / 2**20 if memory else None


def _circumstance_rows(runs: Sequence[ComparedRun]) -> tuple[Row, ...]:
    """What may make results differ beside the case."""
    tables = []
    for run in runs:
        record = run.record
        host, potential = record.get("host") or {}, record.get("potential") or {}
        table = {f"package {name}": version for name, version in (record.get("packages") or {}).items()}
        table |= {"git revision": record.get("git_revision"), "host": host.get("name"), "Python": host.get("python")}
        table |= {"cores": host.get("cores"), "MPI": (record.get("mpi") or {}).get("library")}
        table |= dict(host.get("threads") or {})
        table |= {
            "potential": potential.get("name"),
            "SHA-256 of the model": (potential.get("model_sha256") or "")[:16],
        }
        for entry in (record.get("provenance") or {}).get("inputs", []):
            table[f"file of {dotted(tuple(entry['key']))}, SHA-256"] = entry["sha256"][:16]
        tables.append(table)
    keys = dict.fromkeys(key for table in tables for key in table)
    rows = [_row(key, "", tables, key) for key in keys]
    return tuple(row for row in rows if row.differs)


def comparison_csv(compared: SideBySide) -> str:
    """A table with one row for each run: its quantities and its effort; unknown values are empty."""
    columns: dict[str, Any] = {
        "run": np.array([run.label for run in compared.runs], dtype=object),
        "directory": np.array([str(run.directory) for run in compared.runs], dtype=object),
        "status": np.array([run.status for run in compared.runs], dtype=object),
    }
    for row in (*compared.quantities, *compared.closures, *compared.effort):
        heading = f"{row.name} [{row.unit}]" if row.unit else row.name
        if any(is_number(value) for value in row.values):
            columns[heading] = np.array([value if is_number(value) else math.nan for value in row.values], dtype=float)
    return csv_text(columns, units={})


def write_comparison(compared: SideBySide, output: str | Path) -> list[Path]:
    """Write ``comparison.csv``, pictures of curves, and ``comparison.html`` into a folder, made if missing.

    Of runs of fracture alone, table and picture are those of `multiscale.fracture_compare`.

    Returns:
        The files.
    """
    from multiscale.compare_curves import draw_curves
    from multiscale.compare_page import render
    from multiscale.fracture_compare import compare_runs
    from multiscale.plots import house_style

    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    files, pictures = [folder / "comparison.csv"], {}
    if cracks(compared):
        compare_runs([run.directory for run in compared.runs], folder)
        pictures["comparison.png"] = folder / "comparison.png"
    else:
        write_whole(folder / "comparison.csv", comparison_csv(compared))
    with house_style():
        figure = draw_curves(compared.runs)
        if figure is not None:
            figure.savefig(folder / "curves.png")
            pictures["curves.png"] = folder / "curves.png"
    write_whole(folder / "comparison.html", render(compared, pictures, folder))
    return [*files, *pictures.values(), folder / "comparison.html"]


def cracks(compared: SideBySide) -> bool:
    """Whether all are finished runs of fracture, which have a table and a picture of their own."""
    return all(run.study == "fracture" and run.results for run in compared.runs)
