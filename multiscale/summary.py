"""What a run says on the terminal when it is over, from its ``results.json``: warnings and the few numbers that matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MOST = 6
"""Lines of a summary."""
NAMES = (
    "recommended buffer",
    "recommended buffer, plain substitution",
    "force error there",
    "error of the potential alone",
    "atoms of core and buffer",
    "oracle calls",
    "oracle calls against always asking",
    "held-out force error before teaching",
    "held-out force error, taught",
    "largest disagreement, last potential",
    "trainings",
    "pull-off force",
    "pull-off force against Dugdale",
    "pull-off force, JKR",
    "Maugis parameter",
    "energy lost in jumps",
    "Griffith toughness",
    "advance toughness",
    "healing toughness",
    "trapping range",
    "barrier of an advance",
    "J against K²/E*",
    "work of separation, rigid",
    "work of separation, clean",
    "work of separation, with impurity",
    "peak traction",
    "largest load",
    "crack advance",
    "formation energy",
    "energy of the dipole",
    "energy",
    "error against all atoms",
    "closure of the ledger",
    "closure of a step",
    "potential calls",
    "time of the equilibrium",
)
"""Quantities in the order in which they are told, as far as a run has them."""
COMPARED = ("W_sep", "W_rel", "σ_max", "2γ", "K_G", "K_+", "P_max")
"""Symbols of what is told before and after learning and by the oracle, in place of the plain result."""


def summary_lines(directory: Path) -> list[str]:
    """Warnings, one a line, at most six quantities, and what learning has changed; nothing where a run left no results."""
    path = directory / "results.json"
    if not path.is_file():
        return []
    from multiscale.report import read_json

    results = read_json(path)
    found: dict[str, Mapping[str, Any]] = {}
    for quantity in results.get("quantities", []):
        if isinstance(quantity.get("value"), int | float):
            found.setdefault(quantity["name"], quantity)
    effects = [e for e in (results.get("learning_effect") or {}).get("effects", []) if e["symbol"] in COMPARED]
    for effect in effects:
        found.pop(effect["name"], None)
    told = [found[name] for name in NAMES if name in found][:MOST]
    return [
        *(f"warning: {warning}" for warning in results.get("warnings", [])),
        *table_lines((results.get("properties") or {}).get("rows", [])),
        *(f"{q['name']}: {q['value']:.4g}{_spread(q)} {q['unit']}".rstrip() for q in told),
        *map(effect_line, effects),
    ]


def effect_line(effect: Mapping[str, Any]) -> str:
    """A result before and after learning and by the oracle, as far as they are known."""
    parts = []
    for name, words in (("before", "before learning"), ("after", "after"), ("oracle", "by the oracle")):
        if effect[name] is not None:
            spread = _spread(effect) if name == "after" else ""
            parts.append(f"{effect[name]:.4g}{spread} {effect['unit']}".rstrip() + f" {words}")
    return f"{effect['name']}: {', '.join(parts)}"


def _spread(quantity: Mapping[str, Any]) -> str:
    """What a committee's members differ by."""
    return "" if quantity.get("std") is None else f" ± {quantity['std']:.2g}"


def table_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table of records in columns of even width, symbols and remarks on differences left to the report."""
    if not rows:
        return []
    heads = [head for head in rows[0] if head != "symbol" and "difference" not in head]
    cells = [heads, *([_short(row.get(head)) for head in heads] for row in rows)]
    widths = [max(len(line[k]) for line in cells) for k in range(len(heads))]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells]


def _short(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
