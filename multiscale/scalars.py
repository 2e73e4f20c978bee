"""The scalar results of runs side by side: which numbers of several runs are the same quantity, and what it is called."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EFFORT = ("second", "time", "calls", "iteration", "cutback", "halved", "evaluations")
"""Words in the names of what tells of the computation's effort, which may differ where results do not."""


@dataclass(frozen=True, kw_only=True)
class Scalar:
    """What identifies a scalar result among those of a run.

    Attributes:
        name, symbol, unit: as in ``results.json``.
        place: how many of these came before it: two crystals have a lattice constant each.
    """

    name: str
    symbol: str
    unit: str
    place: int = 0

    @property
    def effort(self) -> bool:
        """Whether it tells of the computation's effort."""
        return is_effort(self.name, self.unit)


def is_effort(name: str, unit: str = "") -> bool:
    """Whether a result or a column of this name tells of the computation's effort: how long, how often, by which rank."""
    return unit == "s" or name == "rank" or any(word in name.lower() for word in EFFORT)


def results_of(directory: Path) -> dict[str, Any]:
    """``results.json`` of a run; empty where there is none that can be read."""
    try:
        results = json.loads((directory / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return results if isinstance(results, dict) else {}


def values_of(results: Mapping[str, Any]) -> dict[Scalar, Any]:
    """Every quantity of a run with its value, a number or a text, in the order in which the run tells them.

    Properties of several potentials are quantities too, "elastic constant C11, eam-al".
    """
    count: Counter[tuple[str, str, str]] = Counter()
    found: dict[Scalar, Any] = {}
    for quantity in (*results.get("quantities", []), *_properties(results)):
        key = (str(quantity.get("name") or ""), str(quantity.get("symbol") or ""), str(quantity.get("unit") or ""))
        found[Scalar(name=key[0], symbol=key[1], unit=key[2], place=count[key])] = quantity.get("value")
        count[key] += 1
    return found


def _properties(results: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """A row of the properties' table for each potential; a spread, "112.7 ± 6.9", is left to properties.csv."""
    for row in (results.get("properties") or {}).get("rows", []):
        for label, value in row.items():
            if label not in ("property", "symbol", "unit") and "difference" not in label and value is not None:
                number = str(value).partition(" ± ")[0]
                yield {
                    "name": f"{row['property']}, {label}",
                    "symbol": row.get("symbol"),
                    "unit": row.get("unit"),
                    "value": float(number) if " ± " in str(value) else value,
                }


def numbers_of(results: Mapping[str, Any]) -> dict[Scalar, float]:
    """Those that are finite numbers."""
    return {key: value for key, value in values_of(results).items() if is_number(value)}


def is_number(value: Any) -> bool:
    """Whether a value is a finite number; a truth value is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def headings(scalars: Iterable[Scalar], *, units: bool = True) -> dict[Scalar, str]:
    """What each is called in a table, all different: "peak traction [GPa]", "elastic constant C11 [GPa]".

    The symbol stands behind names that several have, a number behind what still is the same.
    """
    known = list(dict.fromkeys(scalars))
    symbols: dict[str, set[str]] = {}
    for scalar in known:
        symbols.setdefault(scalar.name, set()).add(scalar.symbol)
    called, taken = {}, Counter[str]()
    for scalar in known:
        text = f"{scalar.name} {scalar.symbol}".strip() if len(symbols[scalar.name]) > 1 else scalar.name
        text += f" ({scalar.place + 1})" if scalar.place else ""
        text += f" [{scalar.unit}]" if units and scalar.unit else ""
        taken[text] += 1
        called[scalar] = text if taken[text] == 1 else f"{text} ({scalar.unit or 'no unit'})"
    return called
