"""Results over the parameters of a sweep: lines over one, maps over two, a grid of pairs and parallel axes over more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.plots import BLUE, FAINT, GREY, INK, RED, house_style, new_figure, to_the_letter
from multiscale.scalars import Scalar
from multiscale.sweep.collect_table import Sweep
from multiscale.sweep.ledger import Parameter

COLOURS = "viridis"
CELLS = 12
"""Most values along a side of a map whose cells hold their numbers."""
GRID = 30
"""Most values of each of two parameters that make a map; more are points in a plane."""
FAILED, WAITING = ("FAILED", "TIMEOUT"), ("PENDING", "RUNNING")


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A parameter as an axis.

    Attributes:
        parameter: what varies.
        places: where each case lies on it, (n,); NaN where a case has no such parameter.
        words: of categories, in the order of their places 0, 1, ...; empty for numbers.
        log: whether its scale is logarithmic.
    """

    parameter: Parameter
    places: np.ndarray
    words: tuple[str, ...]
    log: bool

    @property
    def label(self) -> str:
        """Name and unit."""
        name, unit = to_the_letter(self.parameter.name), self.parameter.unit
        return f"{name} ({unit})" if unit else name

    @property
    def levels(self) -> np.ndarray:
        """The different places, ascending."""
        return np.unique(self.places[np.isfinite(self.places)])

    def dress(self, axes: Any, *, along: str = "x") -> None:
        """Put label, scale and words on one side of a panel."""
        side = axes.xaxis if along == "x" else axes.yaxis
        side.set_label_text(self.label)
        if self.log:
            (axes.set_xscale if along == "x" else axes.set_yscale)("log")
        if self.words:
            turned = along == "x" and sum(map(len, self.words)) > 24
            places = range(len(self.words))
            side.set_ticks(
                places, [_cut(word) for word in self.words], **({"rotation": 30, "ha": "right"} if turned else {})
            )
            (axes.set_xlim if along == "x" else axes.set_ylim)(-0.5, len(self.words) - 0.5)
            side.grid(visible=False)


def write_pictures(
    sweep: Sweep, chosen: Sequence[Scalar], folder: Path, *, logarithmic: Sequence[str] = ()
) -> list[Path]:
    """Draw what the number of parameters asks for.

    Args:
        sweep: the runs.
        chosen: results to draw.
        folder: where the pictures go; those of an earlier time are removed.
        logarithmic: names of parameters on logarithmic scales; those with values in equal ratios are so by themselves.

    Returns:
        The files: parameters.png, and parallel.png where more than two parameters vary.
    """
    names = ("parameters.png", "parallel.png")
    for name in names:
        (folder / name).unlink(missing_ok=True)
    axes = [axis_of(sweep, parameter, log=parameter.name in logarithmic) for parameter in sweep.parameters]
    axes = [axis for axis in axes if len(axis.levels) > 1]
    if not axes or not chosen:
        return []
    written = []
    with house_style():
        for name, figure in zip(names, _figures(sweep, chosen, axes), strict=False):
            figure.savefig(folder / name)
            written.append(folder / name)
    return written


def _figures(sweep: Sweep, chosen: Sequence[Scalar], axes: Sequence[Axis]) -> list[Any]:
    if len(axes) == 1:
        return [draw_lines(sweep, chosen, axes[0])]
    if len(axes) == 2:
        return [draw_planes(sweep, chosen, axes[0], axes[1])]
    return [draw_pairs(sweep, chosen, axes), draw_parallel(sweep, chosen, axes)]


def axis_of(sweep: Sweep, parameter: Parameter, *, log: bool = False) -> Axis:
    """Where each case lies along a parameter; categories stand in the order in which they come."""
    values = sweep.values(parameter)
    if parameter.unit is None:
        words = tuple(dict.fromkeys(str(value) for value in values if value is not None))
        places = np.array([np.nan if value is None else float(words.index(str(value))) for value in values])
        return Axis(parameter=parameter, places=places, words=tuple(map(to_the_letter, words)), log=False)
    places = np.array([np.nan if value is None else float(value) for value in values])
    return Axis(parameter=parameter, places=places, words=(), log=log or _in_ratios(places))


def _in_ratios(places: np.ndarray) -> bool:
    """Whether values are positive and lie in nearly equal ratios, over a factor of ten at least."""
    levels = np.unique(places[np.isfinite(places)])
    if len(levels) < 3 or levels[0] <= 0 or levels[-1] < 10 * levels[0]:
        return False
    steps = np.diff(np.log(levels))
    # Points at random over decades have no steps of one size: what tells is that they crowd where numbers are small.
    return bool(steps.max() < 1.5 * steps.min() or np.median(levels) < 0.1 * levels[-1])


def _cut(text: str, most: int = 18) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _label(sweep: Sweep, scalar: Scalar, *, lines: bool = False) -> str:
    name = sweep.names[scalar]
    unit = f" ({scalar.unit})" if scalar.unit else ""
    return f"{name}\n{unit.strip()}".strip() if lines and len(name) > 24 else f"{name}{unit}"


def _mask(sweep: Sweep, statuses: Sequence[str]) -> np.ndarray:
    return np.array([run.row.status in statuses for run in sweep.runs])


def _panels(count: int, *, width: float = 4.3, height: float = 3.3) -> tuple[Any, list[Any]]:
    across = min(count, 3 if count > 4 else 2)
    down = -(-count // across)
    figure = new_figure(max(width * across, 6.4), height * down + 0.3)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes in panels[count:]:
        axes.set_axis_off()
    return figure, list(panels[:count])


def draw_lines(sweep: Sweep, chosen: Sequence[Scalar], axis: Axis) -> Any:
    """A panel for each result over one parameter; cases that failed are crosses at the foot."""
    figure, panels = _panels(len(chosen))
    for axes, scalar in zip(panels, chosen, strict=True):
        values = sweep.numbers(scalar)
        known = np.isfinite(values) & np.isfinite(axis.places)
        order = np.argsort(axis.places, kind="stable")
        order = order[known[order]]
        std = np.array([run.std.get(scalar, 0.0) for run in sweep.runs])
        line = "none" if axis.words else "-"
        axes.errorbar(
            axis.places[order],
            values[order],
            yerr=std[order] if std.any() else None,
            color=BLUE,
            marker="o",
            markersize=4.5,
            linewidth=1.5,
            linestyle=line,
            capsize=2.5,
            elinewidth=1,
        )
        axes.set(ylabel=_label(sweep, scalar))
        axis.dress(axes)
        _mark_at_the_foot(sweep, axes, axis.places)
    _legend(sweep, figure)
    return figure


def _mark_at_the_foot(sweep: Sweep, axes: Any, places: np.ndarray) -> None:
    """Cases without a value: crosses where they failed, dots where they wait."""
    for statuses, marker, colour in ((FAILED, "x", RED), (WAITING, ".", GREY)):
        mask = _mask(sweep, statuses) & np.isfinite(places)
        if mask.any():
            axes.plot(places[mask], np.full(mask.sum(), 0.02), marker, color=colour, markersize=6.5, clip_on=False,
                      transform=axes.get_xaxis_transform(), zorder=5)  # fmt: skip


def _legend(sweep: Sweep, figure: Any) -> None:
    """What crosses and dots mean, where there are any."""
    from matplotlib.lines import Line2D

    handles = []
    for statuses, marker, colour, words in (
        (FAILED, "x", RED, "failed or out of time"),
        (WAITING, ".", GREY, "not there yet"),
    ):
        count = int(_mask(sweep, statuses).sum())
        if count:
            label = f"{words}: {count}"
            handles.append(Line2D([], [], color=colour, marker=marker, linestyle="none", markersize=6.5, label=label))
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def draw_planes(sweep: Sweep, chosen: Sequence[Scalar], first: Axis, second: Axis) -> Any:
    """A panel for each result over two parameters: a map where they make a grid, else points in their plane."""
    across, up = (first, second) if len(first.levels) >= len(second.levels) else (second, first)
    figure, panels = _panels(len(chosen), width=4.9, height=3.7)
    for axes, scalar in zip(panels, chosen, strict=True):
        values = sweep.numbers(scalar)
        drawn = _draw_map(axes, across, up, values) if _is_grid(across, up) else _draw_points(axes, across, up, values)
        if drawn is not None:
            figure.colorbar(drawn, ax=axes, pad=0.02).outline.set_visible(False)
        axes.set_title(_label(sweep, scalar))
        axes.grid(visible=False)
        mapped = _is_grid(across, up)
        for statuses, marker, colour in ((FAILED, "x", RED), (WAITING, ".", GREY)):
            mask = _mask(sweep, statuses) & np.isfinite(across.places) & np.isfinite(up.places)
            x, y = (_index(across), _index(up)) if mapped else (across.places, up.places)
            axes.plot(x[mask], y[mask], marker, color=colour, markersize=8, markeredgewidth=1.8, zorder=5)
    _legend(sweep, figure)
    return figure


def _is_grid(first: Axis, second: Axis) -> bool:
    """Whether most pairs of levels are there: a design at random has a level of its own for every case."""
    cells = len(first.levels) * len(second.levels)
    few = max(len(first.levels), len(second.levels)) <= GRID
    return few and np.isfinite(first.places + second.places).sum() >= 0.5 * cells


def _index(axis: Axis) -> np.ndarray:
    """The number of each case's level; NaN where it has none."""
    found = np.full(len(axis.places), np.nan)
    known = np.isfinite(axis.places)
    found[known] = np.searchsorted(axis.levels, axis.places[known])
    return found


def _draw_map(axes: Any, across: Axis, up: Axis, values: np.ndarray) -> Any:
    """Cells in equal sizes, whatever the distance of their values, which stand beside them."""
    cells = np.full((len(up.levels), len(across.levels)), np.nan)
    rows, columns = _index(up), _index(across)
    for row, column, value in zip(rows, columns, values, strict=True):
        if np.isfinite(row + column):
            cells[int(row), int(column)] = value
    picture = axes.imshow(cells, origin="lower", aspect="auto", cmap=COLOURS) if np.isfinite(cells).any() else None
    for side, axis in ((axes.xaxis, across), (axes.yaxis, up)):
        words = [_cut(axis.words[int(level)]) if axis.words else f"{level:.4g}" for level in axis.levels]
        step = -(-len(words) // CELLS)
        turned = side is axes.xaxis and sum(map(len, words[::step])) > 36
        places = range(0, len(words), step)
        side.set_ticks(places, words[::step], **({"rotation": 30, "ha": "right"} if turned else {}))
        side.set_label_text(axis.label)
    axes.set(xlim=(-0.5, len(across.levels) - 0.5), ylim=(-0.5, len(up.levels) - 0.5))
    if picture is not None and max(cells.shape) <= CELLS:
        _write_cells(axes, cells, picture)
    return picture


def _write_cells(axes: Any, cells: np.ndarray, picture: Any) -> None:
    """The number of each cell, in a colour that can be read on it."""
    size = 8.5 if cells.shape[1] <= 6 else 6.5
    for (row, column), value in np.ndenumerate(cells):
        if np.isfinite(value):
            bright = picture.norm(value) > 0.6
            axes.text(
                column, row, f"{value:.3g}", ha="center", va="center", fontsize=size, color=INK if bright else "white"
            )


def _draw_points(axes: Any, across: Axis, up: Axis, values: np.ndarray) -> Any:
    known = np.isfinite(values) & np.isfinite(across.places) & np.isfinite(up.places)
    picture = None
    if known.any():
        picture = axes.scatter(across.places[known], up.places[known], c=values[known], cmap=COLOURS, s=42, zorder=4,
                               edgecolors="white", linewidths=0.6)  # fmt: skip
    across.dress(axes)
    up.dress(axes, along="y")
    return picture


def draw_pairs(sweep: Sweep, chosen: Sequence[Scalar], parameters: Sequence[Axis]) -> Any:
    """A row for each result, a column for each parameter: every case a dot, its other parameters whatever they are."""
    shown = list(chosen[:5])
    figure = new_figure(max(2.5 * len(parameters) + 0.8, 6.4), 2.25 * len(shown) + 0.6)
    panels = figure.subplots(len(shown), len(parameters), squeeze=False, sharex="col", sharey="row")
    for row, scalar in zip(panels, shown, strict=True):
        values = sweep.numbers(scalar)
        for axes, axis in zip(row, parameters, strict=True):
            shift = _beside(axis, len(values))
            axes.plot(axis.places + shift, values, "o", color=BLUE, markersize=3.8, alpha=0.75, markeredgewidth=0)
            axis.dress(axes)
            axes.set_xlabel("")
            _mark_at_the_foot(sweep, axes, axis.places)
        row[0].set_ylabel(_label(sweep, scalar, lines=True), fontsize=8.5)
    for axes, axis in zip(panels[-1], parameters, strict=True):
        axes.set_xlabel(axis.label, fontsize=8.5)
    _legend(sweep, figure)
    return figure


def _beside(axis: Axis, count: int) -> np.ndarray:
    """Small steps aside for categories, so that cases of one do not hide each other; the same at every call."""
    return np.random.default_rng(0).uniform(-0.12, 0.12, count) if axis.words else np.zeros(count)


def draw_parallel(sweep: Sweep, chosen: Sequence[Scalar], parameters: Sequence[Axis]) -> Any:
    """A vertical axis for each parameter and result and a line for each case, coloured by the first result."""
    import matplotlib as mpl

    results = list(chosen[:4])
    places = np.array(
        [_share(axis.places, log=axis.log) for axis in parameters] + [_share(sweep.numbers(s)) for s in results]
    )
    colours = places[len(parameters)]
    figure = new_figure(max(1.55 * len(places) + 1.2, 7.0), 4.2)
    axes = figure.subplots()
    failed = _mask(sweep, FAILED)
    for case in range(places.shape[1]):
        line = places[:, case]
        if failed[case]:
            axes.plot(line[: len(parameters)], color=RED, linewidth=1.1, linestyle="--", zorder=4)
        elif np.isfinite(colours[case]):
            axes.plot(line, color=mpl.colormaps[COLOURS](colours[case]), linewidth=1.1, alpha=0.75, zorder=3)
    titles = [axis.label for axis in parameters] + [_label(sweep, scalar) for scalar in results]
    for number, ends in enumerate(
        [_ends(a.places, a.words) for a in parameters] + [_ends(sweep.numbers(s)) for s in results]
    ):
        axes.axvline(number, color=INK if number < len(parameters) else BLUE, linewidth=1.0, zorder=2)
        for height, text in ends:
            axes.annotate(text, (number, height), xytext=(4, 0), textcoords="offset points", fontsize=8, color=INK, va="center",
                          zorder=6, bbox={"facecolor": "white", "edgecolor": FAINT, "pad": 1.2, "linewidth": 0.4})  # fmt: skip
    axes.set_xticks(range(len(titles)), ["\n".join(_wrapped(title)) for title in titles], fontsize=8.5)
    axes.set(ylim=(-0.04, 1.04), xlim=(-0.15, len(places) - 0.6))
    axes.yaxis.set_visible(False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False)
    axes.set_title(f"Coloured by {_label(sweep, results[0])}; dashed: failed or out of time" if failed.any() else
                   f"Coloured by {_label(sweep, results[0])}")  # fmt: skip
    return figure


def _share(values: np.ndarray, *, log: bool = False) -> np.ndarray:
    """Where values lie between the least and the largest, 0 to 1."""
    scaled = np.log(values) if log else values
    known = scaled[np.isfinite(scaled)]
    if len(known) == 0 or np.ptp(known) == 0:
        return np.where(np.isfinite(scaled), 0.5, np.nan)
    return (scaled - known.min()) / np.ptp(known)


def _ends(values: np.ndarray, words: Sequence[str] = ()) -> list[tuple[float, str]]:
    """What stands at an axis: its least and largest number, or every word."""
    known = values[np.isfinite(values)]
    if words and len(words) > 1:
        return [(number / (len(words) - 1), _cut(word, 12)) for number, word in enumerate(words)]
    return [(0.0, f"{known.min():.4g}"), (1.0, f"{known.max():.4g}")] if len(known) else []


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 18)
