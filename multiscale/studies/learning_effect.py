"""What a lesson has changed: results before it, after it, and the oracle's own, side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atomistic.active_learning import LearningResult
from multiscale.config import AdhesionCase, FractureCase
from multiscale.report_words import engine_name
from multiscale.run import RunDirectory
from multiscale.studies import learning_files as files
from multiscale.studies.learning_build import Lesson
from multiscale.studies.learning_checks import oracle_warnings

BEFORE, ORACLE = "before", "oracle"
"""Folders of the study by the untaught potential and by the oracle, in the run directory."""
TABLE = "learning_effect.csv"
"""The comparison, in the run directory."""
COMPARED = ("a", "C′", "W_sep", "W_rel", "σ_max", "2γ", "E*", "K_G", "K_+", "K_−", "ΔE", "P_max", "Δ_0", "W_tot")
"""Symbols of the results that are compared, in this order."""

ROUNDING = 1e-4
"""Relative difference up to which two results are the same: the last figure of the report's percentages."""
DEVIATIONS = 3
"""Standard deviations of the members beyond which the oracle's value is not in their spread."""


@dataclass(frozen=True, kw_only=True)
class Schooling:
    """What has been taught, and what is left of it.

    Attributes:
        lesson: who took part.
        result: of the loop.
        error_before: force error of the untaught potential on the held-out frames, eV/Å; None without such frames.
        file: of the taught potential; None on ranks that do not write.
    """

    lesson: Lesson
    result: LearningResult
    error_before: float | None
    file: Path | None


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One result before and after a lesson, and the oracle's own; None where it is not known.

    Attributes:
        name, symbol, unit: as in ``results.json``.
        before: by the untaught potential.
        after: by the taught one.
        oracle: by the oracle.
        std: of `after` over the members; None where they were not run.
    """

    name: str
    symbol: str
    unit: str
    before: float | None
    after: float | None
    oracle: float | None
    std: float | None = None

    @property
    def error_before(self) -> float | None:
        """Relative error against the oracle before the lesson."""
        return _relative(self.before, self.oracle)

    @property
    def error_after(self) -> float | None:
        """The same after it."""
        return _relative(self.after, self.oracle)

    @property
    def factor(self) -> float | None:
        """By how much the error has become smaller."""
        before, after = self.error_before, self.error_after
        return None if before is None or not after else abs(before / after)


def effects_of(
    after: Mapping[str, Any], before: Mapping[str, Any] | None, oracle: Mapping[str, Any] | None
) -> list[Effect]:
    """Compare the contents of ``results.json``; K₊ over K_G of each is one of the results.

    Returns:
        A row for every result that is compared and known after the lesson.
    """
    tables = [_values(results or {}) for results in (before, after, oracle)]
    rows = []
    for symbol in (*COMPARED, "K₊/K_G"):
        found = [table.get(symbol) for table in tables]
        known = next((entry for entry in found if entry is not None), None)
        if known is None:
            continue
        values = [None if entry is None else entry[2] for entry in found]
        rows.append(
            Effect(name=known[0], symbol=symbol, unit=known[1], before=values[0], after=values[1], oracle=values[2])
        )
    return rows


def _values(results: Mapping[str, Any]) -> dict[str, tuple[str, str, float]]:
    """Name, unit and value by symbol of what is a number; the first of each symbol."""
    found: dict[str, tuple[str, str, float]] = {}
    for quantity in results.get("quantities", []):
        value, symbol = quantity.get("value"), str(quantity.get("symbol") or "")
        if symbol in COMPARED and isinstance(value, int | float) and np.isfinite(value):
            found.setdefault(symbol, (str(quantity["name"]), str(quantity.get("unit") or ""), float(value)))
    if "K_+" in found and "K_G" in found:
        found["K₊/K_G"] = ("advance toughness over Griffith's", "", found["K_+"][2] / found["K_G"][2])
    return found


def _relative(value: float | None, reference: float | None) -> float | None:
    return None if value is None or not reference else value / reference - 1.0


def read_results(directory: Path) -> dict[str, Any] | None:
    """``results.json`` of a directory; None where there is none."""
    path = directory / "results.json"
    if not path.is_file():
        return None
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def write_effect(run: RunDirectory, case: AdhesionCase | FractureCase, schooling: Schooling) -> list[Effect]:
    """Put the comparison and the account of the lesson into ``results.json``, and the comparison into a table.

    Args:
        run: whose results are those after the lesson; on the rank that writes.
        case: with `learning`.
        schooling: what has been taught.
    """
    assert case.learning is not None
    after, result, lesson = read_results(run.path) or {}, schooling.result, schooling.lesson
    effects = effects_of(after, read_results(run.path / BEFORE), read_results(run.path / ORACLE))
    rows = files.quantities(result, lesson, before=schooling.error_before)
    after["quantities"] = [*after.get("quantities", []), *files.told(rows)]
    after["warnings"] = [
        *after.get("warnings", []),
        *oracle_warnings(case),
        *files.learning_warnings(result, case.learning, before=schooling.error_before),
    ]
    after["learning"] = files.learning_section(result, lesson, before=schooling.error_before, path=schooling.file)
    after["learning_effect"] = {
        "rows": [_row(effect) for effect in effects],
        "effects": [asdict(effect) for effect in effects],
        "note": note(case, schooling),
    }
    run.write_json("results.json", after)
    _write_table(run, effects)
    return effects


def warn_of_effect(run: RunDirectory) -> None:
    """Put the spread beside the comparison, and what learning did not mend into the warnings of ``results.json``.

    Called again, after a spread that is made again, it replaces what it said before; on the rank that writes.
    """
    results = read_results(run.path) or {}
    taught, rows = results.get("learning_effect"), (results.get("spread") or {}).get("rows", [])
    if not taught:
        return
    found = []
    for kept in taught["effects"]:
        kept["std"] = next(
            (row["std"] for row in rows if row["symbol"] == kept["symbol"] and row["value"] == kept["after"]), None
        )
        found += effect_warnings(Effect(**kept))
    before = taught.get("warnings", [])
    results["warnings"] = [*(text for text in results.get("warnings", []) if text not in before), *found]
    taught["warnings"] = found
    run.write_json("results.json", results)


def effect_warnings(effect: Effect) -> list[str]:
    """What a reader should know of a result that learning left, or made, wrong: one sentence, or none."""
    if effect.after is None or effect.oracle is None:
        return []
    apart, reasons = abs(effect.after - effect.oracle), []
    least = ROUNDING * abs(effect.oracle)
    if effect.std is not None and apart > max(DEVIATIONS * effect.std, least):
        reasons.append(
            f"they are more than {DEVIATIONS} standard deviations of the members apart, so the spread does not tell the error"
        )
    if effect.before is not None and apart > abs(effect.before - effect.oracle) + least:
        reasons.append(f"before learning it was {effect.before:.4g}, nearer to the oracle's")
    if not reasons:
        return []
    spread = "" if effect.std is None else f" ± {effect.std:.2g}"
    unit = f" {effect.unit}" if effect.unit else ""
    values = f"{effect.after:.4g}{spread}{unit} after learning, {effect.oracle:.4g}{unit} by the oracle"
    return [f"{effect.name} ({effect.symbol}): {values}; {'; '.join(reasons)}"]


def note(case: AdhesionCase | FractureCase, schooling: Schooling) -> str:
    """What the table compares."""
    assert case.learning is not None
    result, lesson = schooling.result, schooling.lesson
    oracle = engine_name({"embedding": {"engine": case.learning.oracle}})
    return (
        f"Before: the untaught potential. After: taught with {result.oracle_calls + lesson.spent} calculations of {oracle}, in "
        f"{result.rounds} lessons after the first, the whole study again with the last potential. Oracle: its own crystal, "
        "surfaces and separation curve, and the whole study where compare: whole. Errors are relative to the oracle."
    )


def _row(effect: Effect) -> dict[str, Any]:
    """A row of the report's table."""

    def percent(value: float | None) -> str:
        return "–" if value is None else f"{100 * value:+.2f} %".replace("-", "−")

    return {
        "quantity": effect.name,
        "symbol": effect.symbol,
        "before": effect.before,
        "after": effect.after,
        "oracle": effect.oracle,
        "unit": effect.unit,
        "error before": percent(effect.error_before),
        "error after": percent(effect.error_after),
    }


def _write_table(run: RunDirectory, effects: Sequence[Effect]) -> None:
    """learning_effect.csv: a row for each result."""

    def column(name: str) -> np.ndarray:
        values = [getattr(effect, name) for effect in effects]
        return np.array([np.nan if value is None else value for value in values], dtype=float)

    run.write_csv(
        TABLE,
        {
            **{
                name: np.array([getattr(e, name) for e in effects], dtype=object) for name in ("name", "symbol", "unit")
            },
            **{name: column(name) for name in ("before", "after", "oracle", "error_before", "error_after")},
        },
        comment="Results before and after learning, and the oracle's own; errors relative to the oracle.",
    )
