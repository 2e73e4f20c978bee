"""The figure of a run that learns: doubt over the steps with the oracle's calls, and what the held-out frames say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.plots import AMBER, BLUE, GREY, INK, RED, TEAL, house_style, new_figure
from multiscale.tables import Table, read_table


def make_learning_plots(directory: str | Path) -> list[Path]:
    """Draw learning.png.

    Returns:
        The file written.
    """
    directory = Path(directory)
    doubt = read_doubt(directory / "doubt.csv")
    rounds = read_table(directory / "rounds.csv") if _has_rows(directory / "rounds.csv") else None
    threshold = _threshold(directory)
    if doubt is None and rounds is None:
        return []
    with house_style():
        draw_learning(doubt, rounds, threshold=threshold).savefig(directory / "learning.png")
    return [directory / "learning.png"]


def read_doubt(path: Path) -> Table | None:
    """The checks of a loop; None before the first."""
    return read_table(path) if _has_rows(path) else None


def _has_rows(path: Path) -> bool:
    if not path.is_file():
        return False
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return len(lines) > 1


def _threshold(directory: Path) -> float | None:
    """The threshold, from the comment of doubt.csv: the results may not be there yet."""
    path = directory / "doubt.csv"
    found = (
        re.search(r"^# Threshold (\S+) eV", path.read_text(encoding="utf-8"), re.MULTILINE) if path.is_file() else None
    )
    return None if found is None else float(json.loads(found[1]))


def draw_learning(doubt: Table | None, rounds: Table | None, *, threshold: float | None) -> Any:
    """Disagreement over the steps, a line for each round, with the oracle's calls; below, the error on held-out frames."""
    panels = (doubt is not None) + (rounds is not None)
    figure = new_figure(8.6, 2.9 * panels + 0.9)
    grid = list(np.atleast_1d(figure.subplots(panels, 1)))
    if doubt is not None:
        _draw_doubt(grid[0], doubt, threshold)
    if rounds is not None:
        _draw_rounds(grid[-1], rounds)
    return figure


def _draw_doubt(axes: Any, doubt: Table, threshold: float | None) -> None:
    step, value, number = doubt["step"], doubt["disagreement"], doubt["round"].astype(int)
    last = number.max()
    for k in range(number.min(), last + 1):
        here = number == k
        colour = BLUE if k == last else GREY
        # A run that is taken back starts again: its line is broken there.
        pieces = np.split(np.flatnonzero(here), np.flatnonzero(np.diff(step[here]) < 0.0) + 1)
        for piece in pieces:
            label = "last potential" if k == last else "earlier potentials"
            axes.plot(step[piece], value[piece], "-o", color=colour, markersize=2.5, linewidth=1.2, label=label,
                      alpha=1.0 if k == last else 0.35 + 0.5 * k / max(last, 1), zorder=3 + (k == last))  # fmt: skip
    asked = doubt["oracle calls"] > 0.0
    axes.plot(step[asked], value[asked], "v", color=RED, markersize=7, zorder=6, label="oracle asked")
    for place in np.unique(step[asked]):
        axes.axvline(place, color=RED, linewidth=0.7, alpha=0.35, zorder=1)
    untrusted = (doubt["trusted"] == 0.0) & ~asked
    if untrusted.any():
        axes.plot(
            step[untrusted], value[untrusted], "x", color=AMBER, markersize=6, zorder=6, label="not trusted, not asked"
        )
    if threshold is not None:
        axes.axhline(threshold, color=INK, linewidth=1.0, linestyle=(0, (4, 2)), zorder=2, label="threshold")
    if value.max() > 20.0 * max(np.median(value), 1e-12):
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0.0)
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), ncols=2)
    axes.set(title="Disagreement of the committee", xlabel="step of the run", ylabel="largest |F$_k$ − F$_l$| (eV/Å)")


def _draw_rounds(axes: Any, rounds: Table) -> None:
    number, error, calls = rounds["round"], rounds["held-out force error"], rounds["oracle calls"]
    if np.isfinite(error).any():
        axes.plot(number, error, "-o", color=TEAL, markersize=4)
        axes.set_ylabel("held-out force error (eV/Å)", color=TEAL)
        axes.set_ylim(0.0, 1.15 * np.nanmax(error))
        other = axes.twinx()
        other.grid(False)
    else:
        other = axes
    other.step(number, calls, where="post", color=RED, linewidth=1.3)
    other.set_ylabel("oracle calls so far", color=RED)
    other.set_ylim(0.0, 1.15 * max(calls.max(), 1.0))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(title="What was learnt", xlabel="training (−1: before teaching)")
