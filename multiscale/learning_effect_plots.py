"""The figure of what learning has changed: curves before, after and by the oracle, and errors of the results."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.plots import AMBER, BLUE, INK, house_style, new_figure
from multiscale.tables import Table, read_table

TOLD = (("before", "before", AMBER, "--"), ("", "after", BLUE, "-"), ("oracle", "oracle", INK, ":"))
"""Folder in the run directory, what it is called, colour and line."""
_LEAST = 1e-3
"""Errors below this, in percent, are drawn as this."""


def make_learning_effect_plots(directory: str | Path) -> list[Path]:
    """Draw learning_effect.png.

    Returns:
        The file written.
    """
    directory = Path(directory)
    results = json.loads((directory / "results.json").read_text(encoding="utf-8"))
    effects = [
        effect
        for effect in results.get("learning_effect", {}).get("effects", [])
        if None not in (effect["after"], effect["oracle"]) and effect["oracle"]
    ]
    panels: list[Callable[[Any], None]] = []
    curves = _tables(directory, "separation.csv")
    if curves:
        panels += [
            lambda axes: _draw(axes, curves, "opening", "energy [j/m^2]", "opening (Å)", "energy (J/m²)"),
            lambda axes: _draw(axes, curves, "opening", "traction [gpa]", "opening (Å)", "traction (GPa)"),
        ]
    paths = _tables(directory, "path.csv")
    if paths and all("k" in table and "advance" in table for _, table, _, _ in paths):
        panels.append(lambda axes: _draw(axes, paths, "advance", "k", "advance of the tip (periods)", "K (MPa√m)", "o"))
    if effects:
        panels.append(lambda axes: _draw_errors(axes, effects))
    if not panels:
        return []
    with house_style():
        figure = new_figure(3.6 * len(panels) + 0.6, 3.6)
        for axes, draw in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
            draw(axes)
        figure.savefig(directory / "learning_effect.png")
    return [directory / "learning_effect.png"]


def _tables(directory: Path, name: str) -> list[tuple[str, Table, str, str]]:
    """Tables of a name by all that told the study."""
    files = [(directory / folder / name, label, colour, line) for folder, label, colour, line in TOLD]
    return [(label, read_table(path), colour, line) for path, label, colour, line in files if path.is_file()]


def _draw(
    axes: Any,
    curves: list[tuple[str, Table, str, str]],
    x: str,
    y: str,
    x_label: str,
    y_label: str,
    marker: str = "",
) -> None:
    """One quantity over another, by all that told it."""
    for label, table, colour, line in curves:
        axes.plot(table[x], table[y], line, color=colour, marker=marker, markersize=3, label=label)
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.legend()


def _draw_errors(axes: Any, effects: list[dict[str, Any]]) -> None:
    """Errors before and after as bars on a logarithmic scale."""
    place = np.arange(len(effects))
    for offset, name, colour in ((-0.2, "before", AMBER), (0.2, "after", BLUE)):
        ratios = [np.nan if effect[name] is None else effect[name] / effect["oracle"] for effect in effects]
        errors = 100.0 * np.abs(np.array(ratios) - 1.0)
        axes.barh(place + offset, np.maximum(errors, _LEAST), height=0.38, color=colour, label=name)
    axes.set_xscale("log")
    axes.set_yticks(place, [_written(str(effect["symbol"])) for effect in effects])
    axes.invert_yaxis()
    axes.set(xlabel="error against the oracle (%)")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)


def _written(symbol: str) -> str:
    """A symbol with what follows its underline set lower."""
    return re.sub(r"_([\w+−]+)", r"$_{\\mathrm{\1}}$", symbol)
