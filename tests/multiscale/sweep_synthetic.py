"""A sweep that has been run, with invented but plausible results: a ledger and run directories, no process started."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.sweep.ledger import CaseRow, Ledger, PointValue

WORK = ("work of separation, rigid", "W_sep", "J/m²")
LOAD = ("largest load", "P_max", "N/m")


def make_sweep(
    directory: Path,
    parameters: Mapping[str, tuple[str | None, Sequence[Any]]],
    results: Callable[..., Mapping[tuple[str, str, str], float]],
    *,
    points: Sequence[Mapping[str, Any]] | None = None,
    failed: Callable[..., str | None] = lambda **_: None,
) -> Path:
    """Write a sweep.

    Args:
        directory: of it.
        parameters: name -> unit (None: categories) and values, of which a grid is made.
        results: quantities by name, symbol and unit, of a case's parameters.
        points: the cases, in place of the grid.
        failed: "FAILED", "TIMEOUT", "PENDING" or "RUNNING" for cases without results.
    """
    directory.mkdir()
    names = list(parameters)
    grid = itertools.product(*(values for _, values in parameters.values()))
    cases = [dict(zip(names, values, strict=True)) for values in grid] if points is None else [dict(p) for p in points]
    listed = [{"name": n, "paths": [f"crystal.{n}"], "unit": parameters[n][0]} for n in names]
    rows = [
        CaseRow(
            hash=f"{number:016x}",
            number=number,
            directory=f"cases/{number:016x}",
            parameters={n: PointValue(value=v, text=f"{v} {parameters[n][0] or ''}".strip()) for n, v in case.items()},
            data={"study": "adhesion"},
        )
        for number, case in enumerate(cases)
    ]
    with Ledger.open(directory) as ledger:
        ledger.plan(rows, {"parameters": json.dumps(listed), "source": "sweep.yaml"})
        for row, case in zip(rows, cases, strict=True):
            status = failed(**case) or "DONE"
            if status == "DONE":
                _write_run(directory / row.directory / "run", results(**case), seconds=1.0 + row.number)
            reason = {"FAILED": "the load steps did not converge <at all>", "TIMEOUT": "longer than 2 h"}.get(status)
            ledger.settle(row.hash, status=status, reason=reason)
    return directory


def _write_run(path: Path, quantities: Mapping[tuple[str, str, str], float], *, seconds: float) -> None:
    path.mkdir(parents=True)
    listed = [dict(zip(("name", "symbol", "unit"), key, strict=True), value=v) for key, v in quantities.items()]
    listed.append({"name": "interface", "symbol": "(hkl)", "unit": "", "value": "(1 1 1)"})
    listed.append({"name": "potential calls", "symbol": "", "unit": "", "value": 40})
    (path / "results.json").write_text(json.dumps({"quantities": listed, "warnings": ["float32 <noise>"]}))
    run = {"status": "finished", "seconds": seconds, "case": {"study": "adhesion"}, "potential": {"calls": 40}}
    (path / "run.json").write_text(json.dumps(run))
    (path / "report.html").write_text("<!doctype html>")


def one_parameter(directory: Path) -> Path:
    """Seven strengths, the last of which fails and the one before waits."""
    return make_sweep(
        directory,
        {"length": ("nm", list(np.linspace(50.0, 350.0, 7)))},
        lambda length: {WORK: 1.0 + 1e-3 * length, LOAD: 3.0 / np.sqrt(length)},
        failed=lambda length: {350.0: "FAILED", 300.0: "PENDING"}.get(length),
    )
