"""What a committee's members make of each scalar result: mean, standard deviation, least and largest, in a run directory."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.errors import SpreadError
from multiscale.run import RunDirectory

Key = tuple[str, str, str]
UNTOLD = (
    "potential calls",
    "calls",
    "seconds of",
    "time of",
    "closure",
    "unknowns",
    "load steps",
    "facet",
    "misfit",
    "change of",
)
"""Beginnings of the names of results that tell of the computation, not of the physics."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """One scalar result of all members.

    Attributes:
        name, symbol, unit: as in ``results.json``.
        value: of the committee's mean potential; None where it has none.
        mean, std, low, high: over the members that have the result; std with the number less one.
        members: of each member, in the order of the committee; None where it failed or has no such result.
    """

    name: str
    symbol: str
    unit: str
    value: float | None
    mean: float
    std: float
    low: float
    high: float
    members: tuple[float | None, ...]

    @property
    def count(self) -> int:
        """How many members have the result."""
        return sum(value is not None for value in self.members)


def spread_of(results: Mapping[str, Any], members: Sequence[Mapping[str, Any] | None]) -> list[Spread]:
    """Compare scalar results by name, symbol and unit.

    Args:
        results: ``results.json`` of the committee's mean.
        members: of each member; None of one that failed.

    Returns:
        Every result that two members at least have, in the order in which the committee's run tells them.
    """
    tables = [{} if member is None else _scalars(member) for member in members]
    own = _scalars(results)
    keys = dict.fromkeys([*own, *(key for table in tables for key in table)])
    found = []
    for key in keys:
        values = tuple(table.get(key) for table in tables)
        there = np.array([value for value in values if value is not None])
        if len(there) < 2:
            continue
        found.append(
            Spread(
                name=key[0],
                symbol=key[1],
                unit=key[2],
                value=own.get(key),
                mean=float(there.mean()),
                std=float(there.std(ddof=1)),
                low=float(there.min()),
                high=float(there.max()),
                members=values,
            )
        )
    return found


def _key(quantity: Mapping[str, Any]) -> Key:
    """Name, symbol and unit of a result."""
    name, symbol, unit = (str(quantity.get(part) or "") for part in ("name", "symbol", "unit"))
    return name, symbol, unit


def _scalars(results: Mapping[str, Any]) -> dict[Key, float]:
    """What is a number and tells of physics; the first of each key."""
    found: dict[Key, float] = {}
    for quantity in results.get("quantities", []):
        key, value = _key(quantity), quantity.get("value")
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if number and key[2] != "s" and not key[0].startswith(UNTOLD):
            found.setdefault(key, float(value))
    return found


def write_spread(run: RunDirectory, names: Sequence[str], folders: Sequence[str], failed: Mapping[int, str]) -> None:
    """Put the spread into ``results.json`` and ``spread.csv`` of a run; on the rank that writes.

    Args:
        run: of the committee's mean.
        names: of the members.
        folders: of their runs, below the run directory.
        failed: why, by the number of the member.
    """
    results = _read(run.file("results.json"))
    theirs = [
        None if number in failed else _read(run.path / folder / "results.json") for number, folder in enumerate(folders)
    ]
    spreads = spread_of(results, theirs)
    by_key = {(spread.name, spread.symbol, spread.unit): spread for spread in spreads}
    for quantity in results.get("quantities", []):
        spread = by_key.get(_key(quantity))
        if spread is not None and spread.value == quantity.get("value"):
            quantity["std"] = spread.std
    warnings = _warnings(spreads, names, failed)
    # A spread that is made again replaces what the one before had to say.
    before = results.get("spread", {}).get("warnings", [])
    results["warnings"] = [*(text for text in results.get("warnings", []) if text not in before), *warnings]
    results["spread"] = {
        "members": names,
        "failed": {str(number): cause for number, cause in failed.items()},
        "warnings": warnings,
        "note": note(len(names), len(failed)),
        "rows": [asdict(spread) for spread in spreads],
    }
    run.write_json("results.json", results)
    _write_table(run, spreads, names)
    run.record(spread={"members": names, "failed": {str(number): cause for number, cause in failed.items()}})


def _warnings(spreads: Sequence[Spread], names: Sequence[str], failed: Mapping[int, str]) -> list[str]:
    """Members and results that are not in the spread."""
    ran = len(names) - len(failed)
    found = [
        f"member {number} ({names[number]}) of the committee failed and is kept out of the spread: {cause}"
        for number, cause in failed.items()
    ]
    if ran < 2:
        found.append("fewer than two members of the committee are left: there is no spread")
    found += [
        f"{ran - spread.count} of the {ran} members that ran have no {spread.name}: its spread is of {spread.count}"
        for spread in spreads
        if spread.count < ran
    ]
    return found


def note(members: int, failed: int) -> str:
    """What the numbers of a spread are."""
    of = f"{members} members" if not failed else f"{members - failed} of {members} members, {failed} failed"
    return (
        f"The study with each member alone, {of}; ± is their standard deviation, with the number of members less one. The value "
        "beside it is that of the committee's mean potential, which need not be the mean of the members' values. Members "
        "that were trained alike can err alike: the spread is a lower bound of the doubt."
    )


def _write_table(run: RunDirectory, spreads: Sequence[Spread], names: Sequence[str]) -> None:
    """spread.csv: a row for each result."""

    def column(values: Sequence[float | None]) -> np.ndarray:
        return np.array([np.nan if value is None else value for value in values], dtype=float)

    columns: dict[str, Any] = {
        "result": np.array([spread.name for spread in spreads], dtype=object),
        "symbol": np.array([spread.symbol for spread in spreads], dtype=object),
        "unit": np.array([spread.unit for spread in spreads], dtype=object),
        "committee": column([spread.value for spread in spreads]),
        **{name: column([getattr(spread, name) for spread in spreads]) for name in ("mean", "std", "low", "high")},
    }
    for number, name in enumerate(names):
        columns[f"member {number}: {name}"] = column([spread.members[number] for spread in spreads])
    run.write_csv("spread.csv", columns, comment="Each result by the committee's mean potential and by its members.")


def _read(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def read_spread(directory: str | Path) -> dict[str, Spread]:
    """The spread of every result of a run, by the result's name; of several of a name by name and symbol, "elastic constant C12".

    Raises:
        SpreadError: the run has none.
    """
    path = Path(directory) / "results.json"
    rows = _read(path).get("spread", {}).get("rows") if path.is_file() else None
    if rows is None:
        raise SpreadError(
            f"{directory} holds no spread of a committee. Run a case whose potential is one, with spread: members, or "
            f'"multiscale spread {directory}"'
        )
    names = [row["name"] for row in rows]
    return {
        row["name"] if names.count(row["name"]) == 1 else f"{row['name']} {row['symbol']}": Spread(
            **{**row, "members": tuple(row["members"])}
        )
        for row in rows
    }
