"""Curves of several runs over each other, from their tables alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from multiscale.plots import AMBER, BLUE, GREY, INK, RED, TEAL, new_figure
from multiscale.spread_plots import CURVES, Curve
from multiscale.tables import Table, TableError, read_table

if TYPE_CHECKING:
    from multiscale.compare import ComparedRun

MORE = (
    Curve(table="law.csv", x="opening", y="traction [gpa]", title="Cohesive law", across="opening δ (Å)",
          up="traction (GPa)"),
    Curve(table="load_opening.csv", x="opening", y="crack tip", title="Crack tip", across="opening (nm)",
          up="crack tip (nm)"),
    Curve(table="path.csv", x="tip by field", y="k/k_g", title="Load on the crack", across="crack tip by its field (nm)",
          up="$K/K_\\mathrm{G}$"),
    Curve(table="path.csv", x="opening", y="load", title="Load along the path", across="opening (nm)", up="load"),
    Curve(table="barriers.csv", x="k/k_g", y="barrier of advance [ev]", title="Barrier of an advance",
          across="$K/K_\\mathrm{G}$", up="energy (eV)"),
    Curve(table="error.csv", x="distance from the core", y="rms error of the strain", title="Error against all atoms",
          across="distance from the core (nm)", up="rms error of the strain"),
    Curve(table="rounds.csv", x="oracle calls", y="held-out force error", title="Error over the oracle's calls",
          across="oracle calls", up="held-out force error (eV/Å)"),
    Curve(table="doubt.csv", x="step", y="disagreement", title="Doubt", across="step", up="disagreement (eV/Å)"),
)  # fmt: skip
"""Curves of which a spread shows none."""
COLOURS = (BLUE, RED, TEAL, AMBER, INK, GREY)
LINES = ("-", "--", ":", "-.")


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A curve that some of the runs have: points (x, y) of each, None where it has none."""

    curve: Curve
    points: tuple[tuple[np.ndarray, np.ndarray] | None, ...]


def draw_curves(runs: Sequence[ComparedRun]) -> Any:
    """A panel for each curve that two of the runs at least have; None where there is none."""
    found = curves_of(runs)
    if not found:
        return None
    across = min(len(found), 3)
    down = -(-len(found) // across)
    figure = new_figure(max(4.1 * across, 8.0) + 0.4, 3.3 * down + 0.35 + 0.22 * -(-len(runs) // 3))
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes, drawn in zip(panels, found, strict=False):
        for number, points in enumerate(drawn.points):
            if points is not None:
                axes.plot(*points, **_stroke(number))
        axes.set(title=drawn.curve.title, xlabel=drawn.curve.across, ylabel=drawn.curve.up)
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    handles = [panels[0].plot([], [], label=run.label, **_stroke(number))[0] for number, run in enumerate(runs)]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(runs), 3))
    return figure


def _stroke(number: int) -> dict[str, Any]:
    """How the curves of a run are drawn: broken and thinner than those before, which are seen below where both are the same."""
    # Twelve runs have every line in every other colour, twelve more in the rest.
    line = LINES[(number + number // 12) % 4]
    return {"color": COLOURS[number % 6], "linestyle": line, "linewidth": max(3.0 - 0.6 * number, 1.2)}


def curves_of(runs: Sequence[ComparedRun]) -> list[Drawn]:
    """Every curve that two runs at least have."""
    tables = [{name: _table(run, name) for name in {c.table for c in (*CURVES, *MORE)}} for run in runs]
    found = []
    for curve in (*CURVES, *MORE):
        points = tuple(_points(table[curve.table], curve) for table in tables)
        if sum(one is not None for one in points) > 1:
            found.append(Drawn(curve=curve, points=points))
    return found


def _table(run: ComparedRun, name: str) -> Table | None:
    try:
        return read_table(run.directory / name) if (run.directory / name).is_file() else None
    except TableError:  # texts among the cells: no curve
        return None


def _points(table: Table | None, curve: Curve) -> tuple[np.ndarray, np.ndarray] | None:
    x, y = (None, None) if table is None else (table.get(curve.x), table.get(curve.y))
    return None if x is None or y is None else (x, y)
