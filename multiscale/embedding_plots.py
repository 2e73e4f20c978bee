"""The figure of an embedding run: errors, atoms and seconds over the buffer, from the run directory alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.plots import AMBER, BLUE, GREY, INK, RED, TEAL, house_style, new_figure
from multiscale.tables import Table, read_table

FORMS = (("difference", "difference form", BLUE, "o"), ("substitution", "plain substitution", RED, "s"))
ENERGIES = (
    ("energy change error", "change of the energy, core displaced", BLUE, "o"),
    ("remainder core", "remainder, core", TEAL, "^"),
    ("remainder rest", "remainder, buffer and caps", AMBER, "v"),
    ("energy error", "energy, all of it", GREY, "."),
)


def make_embedding_plots(directory: str | Path) -> list[Path]:
    """Draw embedding.png where the directory holds buffers.csv.

    Returns:
        The file written.

    Raises:
        TableError: for a table that cannot be read.
    """
    directory = Path(directory)
    if not (directory / "buffers.csv").is_file():
        return []
    results: dict[str, Any] = {}
    if (directory / "results.json").is_file():
        results = json.loads((directory / "results.json").read_text(encoding="utf-8"))
    with house_style():
        figure = draw_buffers(read_table(directory / "buffers.csv"), results.get("embedding") or {})
        figure.savefig(directory / "embedding.png")
    return [directory / "embedding.png"]


def draw_buffers(table: Table, results: Mapping[str, Any]) -> Any:
    """Errors of forces above; errors of energies, and sizes and times, below."""
    figure = new_figure(9.2, 7.6)
    grid = figure.add_gridspec(2, 2, height_ratios=[1.25, 1])
    forces = figure.add_subplot(grid[0, :])
    _draw_forces(forces, table, results)
    _draw_energies(figure.add_subplot(grid[1, 0], sharex=forces), table)
    _draw_cost(figure.add_subplot(grid[1, 1], sharex=forces), table, results)
    return figure


def _draw_forces(axes: Any, table: Table, results: Mapping[str, Any]) -> None:
    """Largest and rms error of the core's forces in both forms, with the tolerance and the potential alone."""
    buffer = table["buffer"]
    for name, label, colour, marker in FORMS:
        for kind, line, filled in (("largest", "-", colour), ("rms", "--", "none")):
            values = _positive(table[f"{name} {kind}"])
            style = {"color": colour, "marker": marker, "markersize": 5, "markerfacecolor": filled, "linewidth": 1.5}
            axes.semilogy(buffer, values, line, label=f"{label}, {kind}", **style)
    if (tolerance := results.get("tolerance")) is not None:
        axes.axhline(tolerance, color=INK, linewidth=1.0, linestyle=":")
        _beside(axes, tolerance, "tolerance", INK, left=True)
    if (alone := results.get("alone")) is not None:
        axes.axhline(alone, color=GREY, linewidth=1.0)
        _beside(axes, alone, f"{results.get('potential', 'potential')} alone", GREY)
    if (recommended := results.get("recommended")) is not None:
        axes.axvline(recommended, color=TEAL, linewidth=5, alpha=0.22, zorder=0)
        left = recommended > 0.5 * (buffer[0] + buffer[-1])
        axes.annotate(
            f"recommended: {recommended:.3g} Å", (recommended, 0.03), xycoords=("data", "axes fraction"),
            xytext=(-6 if left else 6, 0), textcoords="offset points", ha="right" if left else "left", color=TEAL, fontsize=9,
        )  # fmt: skip
    axes.set(title="Error of forces on the core", xlabel="buffer (Å)", ylabel="error (eV/Å)")
    axes.margins(y=0.12)
    _legend_below(axes, axes.get_lines()[:4], columns=4)


def _legend_below(axes: Any, lines: Sequence[Any], *, columns: int) -> None:
    """What the lines are, where it hides none of them."""
    labels = [line.get_label() for line in lines]
    axes.legend(
        lines, labels, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=columns, fontsize=8, columnspacing=1.2
    )


def _beside(axes: Any, height: float, text: str, colour: str, *, left: bool = False) -> None:
    """A word on a level line, at one of its ends."""
    end, shift, side = (0.0, 4, "left") if left else (1.0, -4, "right")
    axes.annotate(
        text, (end, height), xycoords=("axes fraction", "data"), xytext=(shift, 3), textcoords="offset points", ha=side,
        color=colour, fontsize=8.5,
    )  # fmt: skip


def _positive(values: np.ndarray) -> np.ndarray:
    """Magnitudes, with nothing where there is none: a logarithmic axis shows no zero."""
    found = np.abs(values)
    return np.where(found > 0.0, found, np.nan)


def _draw_energies(axes: Any, table: Table) -> None:
    """Errors of the subtractive energy, and what the cut environments leave uncancelled."""
    columns = {name: table.get(name) for name, *_ in ENERGIES}
    buffer, caps = table.get("remainder buffer"), table.get("remainder caps")
    if buffer is not None:
        columns["remainder rest"] = buffer + (0.0 if caps is None else caps)
    shown = False
    for name, label, colour, marker in ENERGIES:
        values = columns[name]
        if values is None or not np.isfinite(_positive(values)).any():
            continue
        axes.semilogy(
            table["buffer"],
            _positive(values),
            "-",
            marker=marker,
            markersize=4.5,
            color=colour,
            label=label,
            linewidth=1.4,
        )
        shown = True
    axes.set(title="Energy", xlabel="buffer (Å)", ylabel="magnitude (eV)")
    if shown:
        _legend_below(axes, axes.get_lines(), columns=2)


def _draw_cost(axes: Any, table: Table, results: Mapping[str, Any]) -> None:
    """Atoms of core, buffer and caps, and the seconds of both engines on them."""
    buffer = table["buffer"]
    axes.plot(buffer, table["atoms"] + table["caps"], "-o", color=INK, markersize=4, label="atoms and caps")
    axes.set(title="Cost", xlabel="buffer (Å)", ylabel="atoms")
    right = axes.twinx()
    right.grid(False)
    right.spines["right"].set_visible(True)
    for name, key, colour in (("quantum", "engine", BLUE), ("potential", "potential", AMBER)):
        seconds = f"seconds, {results.get(key, name)}"
        right.plot(buffer, table[name], "--", marker=".", color=colour, linewidth=1.3, label=seconds)
    right.set_ylabel("seconds")
    for one in (axes, right):
        one.set_ylim(bottom=0.0)
    _legend_below(axes, [*axes.get_lines(), *right.get_lines()], columns=2)
