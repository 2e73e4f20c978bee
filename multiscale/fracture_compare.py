"""Cracks side by side: one row and one bar for each run of the fracture study, from their directories alone."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atomistic.whole_file import write_whole
from multiscale.plots import BLUE, FAINT, GREY, INK, RED, TEAL, house_style, new_figure, to_the_letter
from multiscale.report import NotARunError
from multiscale.report_words import indices, potential_name, species

#: Columns of the table: heading with unit, and the quantity of results.json that it holds.
QUANTITIES = (
    ("K_- [MPa*m^0.5]", "healing toughness"),
    ("K_G [MPa*m^0.5]", "Griffith toughness"),
    ("K_+ [MPa*m^0.5]", "advance toughness"),
    ("K_+/K_-", "trapping range"),
    ("barrier [eV]", "barrier of an advance"),
    ("thickness [angstrom]", "thickness"),
    ("2 gamma [J/m^2]", "created surfaces"),
    ("E* [GPa]", "effective modulus"),
    ("J against K^2/E* [%]", "J against K²/E*"),
    ("atoms", "atoms"),
    ("potential calls", "potential calls"),
)


@dataclass(frozen=True, kw_only=True)
class RunComparison:
    """What several runs found.

    Attributes:
        names: of the runs: crystal, plane, front and potential.
        directories: of the runs.
        columns: heading with unit -> one value for each run; NaN where a run does not know it.
    """

    names: tuple[str, ...]
    directories: tuple[Path, ...]
    columns: dict[str, np.ndarray]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One mapping for each run, its name first."""
        return [
            {"run": name, "directory": str(path), **{heading: float(v[i]) for heading, v in self.columns.items()}}
            for i, (name, path) in enumerate(zip(self.names, self.directories, strict=True))
        ]

    def csv(self) -> str:
        """The table as text; pandas reads it, unknown values are empty."""
        stream = io.StringIO()
        writer = csv.DictWriter(stream, fieldnames=["run", "directory", *self.columns], lineterminator="\n")
        writer.writeheader()
        for row in self.rows:
            writer.writerow(
                {
                    key: "" if isinstance(value, float) and not np.isfinite(value) else value
                    for key, value in row.items()
                }
            )
        return stream.getvalue()


def compare_runs(directories: Sequence[str | Path], output: str | Path | None = None) -> RunComparison:
    """Put fracture runs side by side, whatever their potentials, crystals and zones.

    Args:
        directories: of the runs.
        output: directory for ``comparison.csv`` and ``comparison.png``, made if missing; None writes nothing.

    Raises:
        NotARunError: for a directory that no fracture run has written.
    """
    paths = tuple(Path(directory) for directory in directories)
    if not paths:
        raise NotARunError("no runs to compare. Give the directories of fracture runs")
    found = [_read(path) for path in paths]
    columns = {
        heading: np.array([quantities.get(name, np.nan) for _, quantities, _ in found]) for heading, name in QUANTITIES
    }
    columns["seconds"] = np.array([seconds for _, _, seconds in found])
    comparison = RunComparison(
        names=_told_apart([name for name, _, _ in found], paths), directories=paths, columns=columns
    )
    if output is not None:
        folder = Path(output)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "comparison.csv", comparison.csv())
        with house_style():
            draw_comparison(comparison).savefig(folder / "comparison.png")
    return comparison


def _read(directory: Path) -> tuple[str, dict[str, float], float]:
    """Name of a run, its quantities, its seconds."""
    documents = []
    for name in ("run.json", "results.json"):
        try:
            documents.append(json.loads((directory / name).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            why = "is missing" if isinstance(error, OSError) else "is not valid JSON"
            raise NotARunError(
                f"{directory / name} {why}. Give directories of finished fracture runs, for example runs/fracture"
            ) from None
    run, results = documents
    case = run.get("case") or {}
    if case.get("study") != "fracture":
        raise NotARunError(
            f"{directory} holds a run of the study {case.get('study')!r}. Give directories of fracture runs only"
        )
    quantities: dict[str, float] = {}
    for quantity in results.get("quantities", []):
        if isinstance(quantity.get("value"), int | float):
            quantities.setdefault(quantity["name"], float(quantity["value"]))
    seconds = run.get("seconds")
    return _name(case), quantities, float("nan") if seconds is None else float(seconds)


def _name(case: dict[str, Any]) -> str:
    """Si(111)[11̄0], sw-si."""
    crack = case.get("crack") or {}
    plane, front = crack.get("plane") or (), crack.get("front") or ()
    name = species(case) + (f"({indices(plane)})" if plane else "") + (f"[{indices(front)}]" if front else "")
    return f"{name}, {potential_name(case)}"


def _told_apart(names: Sequence[str], paths: Sequence[Path]) -> tuple[str, ...]:
    """Names, with the directory's where several runs share one."""
    return tuple(
        name if names.count(name) == 1 else f"{name} ({path.name or path})"
        for name, path in zip(list(names), paths, strict=True)
    )


def print_comparison(comparison: RunComparison) -> None:
    """The table on the terminal, one column for each run."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2))
    for heading in ("", *comparison.names):
        table.add_column(heading, justify="left" if not heading else "right")
    for heading, values in comparison.columns.items():
        if np.isfinite(values).any():
            table.add_row(heading, *("" if np.isnan(value) else f"{value:.5g}" for value in values))
    Console(highlight=False, markup=False).print(table)


def draw_comparison(comparison: RunComparison) -> Any:
    """From K₋ to K₊ of each run, in MPa√m and in shares of its own K_G; barriers where they are known."""
    columns, count = comparison.columns, len(comparison.names)
    minus, griffith, plus = (columns[f"K_{name} [MPa*m^0.5]"] for name in ("-", "G", "+"))
    barrier = columns["barrier [eV]"]
    panels = 3 if np.isfinite(barrier).any() else 2
    figure = new_figure(4.2 + 2.6 * panels, 1.5 + 0.52 * count)
    axes = figure.subplots(1, panels, sharey=True)
    y = np.arange(count)[::-1]
    for panel, scale in zip(axes, (np.ones(count), griffith), strict=False):
        panel.use_sticky_edges = False
        panel.barh(y, (plus - minus) / scale, left=minus / scale, height=0.34, color=FAINT, zorder=2)
        for values, colour, label in ((minus, TEAL, "$K_-$"), (griffith, INK, "$K_\\mathrm{G}$"), (plus, RED, "$K_+$")):
            panel.plot(values / scale, y, "|", color=colour, markersize=14, markeredgewidth=2.4, label=label, zorder=3)
    axes[0].set_title("Toughness")
    axes[0].set_xlabel("$K$ (MPa√m)")
    axes[1].set_title("Trapping")
    axes[1].set_xlabel("$K/K_\\mathrm{G}$")
    for place, ratio, right in zip(y, columns["K_+/K_-"], plus / griffith, strict=True):
        if np.isfinite(ratio) and np.isfinite(right):
            axes[1].annotate(f"$K_+/K_-$ = {ratio:.3f}", (right, place), xytext=(7, 0), textcoords="offset points",
                             va="center", fontsize=8.5, color=GREY)  # fmt: skip
    axes[1].margins(x=0.45)
    axes[0].margins(x=0.12)
    if panels == 3:
        factor, unit = (1e3, "meV") if np.nanmax(barrier) < 0.5 else (1.0, "eV")
        axes[2].barh(y, factor * barrier, height=0.34, color=BLUE, zorder=2)
        axes[2].set_title("Barrier of an advance")
        axes[2].set_xlabel(f"energy per thickness ({unit})")
        for place, value in zip(y, factor * barrier, strict=True):
            if np.isfinite(value):
                axes[2].annotate(f"{value:.3g}", (value, place), xytext=(5, 0), textcoords="offset points", va="center",
                                 fontsize=8.5, color=GREY)  # fmt: skip
        axes[2].margins(x=0.15)
    for panel in axes:
        panel.grid(visible=False, axis="y")
        panel.tick_params(axis="y", length=0)
    axes[0].set_yticks(y, list(map(to_the_letter, comparison.names)))
    axes[0].set_ylim(-0.6, count - 0.4)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
