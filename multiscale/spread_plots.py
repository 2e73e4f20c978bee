"""The figures of a committee's spread: every result of every member, and curves with bands, from the run directory alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.fracture_data import FractureData, read_fracture
from multiscale.plots import AMBER, BLUE, FAINT, GREY, INK, RED, TEAL, house_style, new_figure, to_the_letter
from multiscale.report_words import HEADLINES
from multiscale.tables import Table, read_table

Array = np.ndarray
MOST = 12
"""Results shown, those that matter most first."""
COLOURS = (TEAL, AMBER, RED, GREY, BLUE)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A curve of which there is one for each member.

    Attributes:
        table: file that holds it.
        x, y: its columns, in lower case with their units.
        title, across, up: of the picture.
    """

    table: str
    x: str
    y: str
    title: str
    across: str
    up: str


CURVES = (
    Curve(table="separation.csv", x="opening", y="energy [j/m^2]", title="Energy of separation", across="opening Δ (Å)",
          up="energy (J/m²)"),
    Curve(table="separation.csv", x="opening", y="traction [gpa]", title="Traction", across="opening Δ (Å)",
          up="traction (GPa)"),
    Curve(table="load_opening.csv", x="opening", y="load", title="Load over opening", across="opening (nm)",
          up="load per width (N/m)"),
    Curve(table="contact.csv", x="approach", y="load", title="Load over approach", across="approach (nm)", up="load"),
    Curve(table="buffers.csv", x="buffer", y="difference largest", title="Error over the buffer", across="buffer (Å)",
          up="largest force error (eV/Å)"),
)  # fmt: skip


def make_spread_plots(directory: str | Path) -> list[Path]:
    """Draw spread.png, and spread_curves.png where there are curves.

    Returns:
        The files written.
    """
    directory = Path(directory)
    spread = json.loads((directory / "results.json").read_text(encoding="utf-8")).get("spread") or {}
    rows = chosen_rows(spread.get("rows", []))
    names = [to_the_letter(name) for name in spread.get("members", [])]
    kept = [number for number in range(len(names)) if str(number) not in spread.get("failed", {})]
    written = []
    with house_style():
        if rows:
            draw_results(rows, names).savefig(directory / "spread.png")
            written.append(directory / "spread.png")
        figure = draw_curves(directory, kept, names)
        if figure is not None:
            figure.savefig(directory / "spread_curves.png")
            written.append(directory / "spread_curves.png")
    return written


def chosen_rows(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Results that differ between the members, those of the report's headlines first, at most `MOST`."""
    differ = [row for row in rows if row["mean"] and row["std"] > 1e-12 * abs(row["mean"])]
    rank = {symbol: number for number, symbol in enumerate(HEADLINES)}
    return sorted(differ, key=lambda row: rank.get(row["symbol"], len(rank)))[:MOST]


def draw_results(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Any:
    """Every result of every member against the members' mean, in percent, with the standard deviation as a bar."""
    figure = new_figure(8.2, 1.5 + 0.42 * len(rows))
    axes = figure.subplots()
    heights = np.arange(len(rows))[::-1]
    for height, row in zip(heights, rows, strict=True):
        scale = 100.0 / abs(row["mean"])
        axes.errorbar(0.0, height, xerr=row["std"] * scale, color=GREY, linewidth=5, alpha=0.45, zorder=2)
        for number, value in enumerate(row["members"]):
            if value is not None:
                axes.plot(
                    (value - row["mean"]) * scale, height, "o", markersize=5.5, color=COLOURS[number % 5], zorder=4
                )
        if row["value"] is not None:
            axes.plot((row["value"] - row["mean"]) * scale, height, "D", markersize=6, color="none", markeredgecolor=INK,
                      zorder=3)  # fmt: skip
    shown = [row["name"] for row in rows]
    axes.set_yticks(heights, [_told(row, symbol=shown.count(row["name"]) > 1) for row in rows])
    axes.axvline(0.0, color=GREY, linewidth=0.8)
    axes.set(title="What the members make of it", xlabel="difference from the members' mean (%)")
    axes.set_ylim(-0.7, len(rows) - 0.3)
    for number, name in enumerate(names):
        axes.plot([], [], "o", color=COLOURS[number % 5], label=name)
    axes.plot([], [], "D", color="none", markeredgecolor=INK, label="mean potential")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=min(len(names) + 1, 4))
    return figure


def _told(row: Mapping[str, Any], *, symbol: bool) -> str:
    """ "work of separation 0.9342 ± 0.021 J/m^2", with its symbol where others have the same name."""
    digits = max(2, 2 - int(np.floor(np.log10(row["std"] / abs(row["mean"])))))
    name = f"{row['name']} {row['symbol']}" if symbol else row["name"]
    return f"{name}\n{row['mean']:.{min(digits, 6)}g} ± {row['std']:.2g} {row['unit']}".rstrip()


def draw_curves(directory: Path, kept: Sequence[int], names: Sequence[str]) -> Any | None:
    """Curves of the members, thin, about that of the mean, with the band of one standard deviation; None without any."""
    drawn = [curve for curve in CURVES if _column(directory / curve.table, curve) is not None]
    crack = (directory / "references.json").is_file() and (directory / "path.csv").is_file()
    if len(kept) < 2 or not (drawn or crack):
        return None
    count = len(drawn) + crack
    columns = min(count, 2)
    lines = -(-count // columns)
    figure = new_figure(4.6 * columns + 0.4, 3.6 * lines + 0.5)
    grid = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axes, curve in zip(grid, drawn, strict=False):
        _draw_curve(axes, curve, directory, kept, names)
    if crack:
        _draw_crack(grid[len(drawn)], directory, kept, names)
    for axes in grid[count:]:
        axes.set_visible(False)
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _column(path: Path, curve: Curve) -> tuple[Array, Array] | None:
    """x and y of a curve, None where a run has not written it."""
    table: Table | None = read_table(path) if path.is_file() else None
    across, up = (None, None) if table is None else (table.get(curve.x), table.get(curve.y))
    if across is None or up is None:
        return None
    there = np.isfinite(across) & np.isfinite(up)
    return (across[there], up[there]) if there.sum() > 1 else None


def _draw_curve(axes: Any, curve: Curve, directory: Path, kept: Sequence[int], names: Sequence[str]) -> None:
    own = _column(directory / curve.table, curve)
    assert own is not None
    members = {number: _column(directory / "members" / str(number) / curve.table, curve) for number in kept}
    there = {number: line for number, line in members.items() if line is not None}
    for number, (x, y) in there.items():
        axes.plot(x, y, color=COLOURS[number % 5], linewidth=1.0, alpha=0.9, label=names[number], zorder=3)
    axes.plot(*own, color=INK, linewidth=1.6, label="mean potential", zorder=4)
    band = spread_band(own[0], list(there.values()))
    if band is not None:
        mean, std = band
        axes.fill_between(
            own[0], mean - std, mean + std, color=FAINT, linewidth=0, label="members' mean ± std", zorder=2
        )
    axes.set(title=curve.title, xlabel=curve.across, ylabel=curve.up)


def spread_band(x: Array, lines: Sequence[tuple[Array, Array]]) -> tuple[Array, Array] | None:
    """Mean and standard deviation of curves at `x`, NaN beyond the end of any; None where a curve turns back."""
    if len(lines) < 2 or any(np.any(np.diff(line[0]) <= 0.0) for line in [(x, x), *lines]):
        return None
    values = np.array([np.interp(x, a, b, left=np.nan, right=np.nan) for a, b in lines])
    return values.mean(axis=0), values.std(axis=0, ddof=1)


def _draw_crack(axes: Any, directory: Path, kept: Sequence[int], names: Sequence[str]) -> None:
    """K over the advance of the tip for every member, with K₊ and K₋ of all as bars."""
    whole = {"mean potential": (read_fracture(directory), INK, 1.6)}
    for number in kept:
        whole[names[number]] = (read_fracture(directory / "members" / str(number)), COLOURS[number % 5], 1.0)
    for name, (data, colour, width) in whole.items():
        if data.path is not None:
            axes.plot(_advance(data), data.path["k"], color=colour, linewidth=width, label=name, zorder=3)
    for key, label, colour in (("k_plus", "$K_+$", RED), ("k_minus", "$K_-$", TEAL)):
        found = [data.trapping[key][0] for data, _, _ in list(whole.values())[1:] if data.trapping.get(key)]
        if len(found) > 1:
            mean, std = float(np.mean(found)), float(np.std(found, ddof=1))
            axes.axhspan(mean - std, mean + std, color=colour, alpha=0.15, linewidth=0, zorder=1)
            axes.annotate(f"{label} = {mean:.4g} ± {std:.2g}", (0.98, mean), xycoords=("axes fraction", "data"), ha="right",
                          va="bottom", fontsize=9, color=colour)  # fmt: skip
    axes.set(title="Load on the crack over its advance", xlabel="advance of the tip (nm)", ylabel="$K$ (MPa√m)")


def _advance(data: FractureData) -> Array:
    """How far the tip has moved since the first state, nm."""
    assert data.path is not None
    tip = data.path.get("tip by field", "tip by bonds")
    if tip is None:
        return np.full(len(data.path["k"]), np.nan)
    finite = tip[np.isfinite(tip)]
    return tip - finite[0]
