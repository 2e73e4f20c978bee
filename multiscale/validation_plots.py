"""The figures of a validation: parity, distributions of errors, doubt against error; from the run directory alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.plots import AMBER, BLUE, FAINT, GREY, INK, RED, TEAL, house_style, new_figure
from multiscale.units import EV_PER_A3_IN_GPA

#: Quantity, title, factor and unit of the parity plot, factor and unit of errors.
_PANELS = (
    ("energy", "Energy per atom", 1.0, "eV/atom", 1e3, "meV/atom"),
    ("forces", "Force components", 1.0, "eV/Å", 1.0, "eV/Å"),
    ("stress", "Stress components", EV_PER_A3_IN_GPA, "GPa", EV_PER_A3_IN_GPA, "GPa"),
)
_COLOURS = (BLUE, AMBER, TEAL, RED, "#7a5ea8", INK)
#: Points drawn at most; more only make the same cloud darker.
_MOST = 20_000


def make_validation_plots(directory: str | Path) -> list[Path]:
    """Draw what the directory's validation.npz holds.

    Returns:
        The files written: validation_parity.png, validation_errors.png, and with a committee validation_doubt.png.
    """
    directory = Path(directory)
    source = directory / "validation.npz"
    if not source.is_file():
        return []
    with np.load(source) as archive:
        data = {name: archive[name] for name in archive.files}
    results = directory / "results.json"
    found = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}
    draws = {"validation_parity.png": draw_parity, "validation_errors.png": draw_errors}
    written = []
    with house_style():
        for name, draw in draws.items():
            if figure := draw(data):
                figure.savefig(directory / name)
                written.append(directory / name)
        if "doubts" in data:
            draw_doubt(data, (found.get("validation") or {}).get("doubt") or {}).savefig(
                directory / "validation_doubt.png"
            )
            written.append(directory / "validation_doubt.png")
    return written


def draw_parity(data: Mapping[str, np.ndarray]) -> Any:
    """Prediction over reference, one panel for each quantity, coloured by group; None without data."""
    panels = [panel for panel in _PANELS if f"{panel[0]}_reference" in data]
    if not panels:
        return None
    figure = new_figure(max(4.0 * len(panels), 5.4), 4.4)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (name, title, factor, unit, small, small_unit) in zip(grid, panels, strict=True):
        reference, predicted = data[f"{name}_reference"], data[f"{name}_predicted"]
        low, high = factor * min(reference.min(), predicted.min()), factor * max(reference.max(), predicted.max())
        margin = 0.04 * (high - low) or 0.5
        axes.plot([low - margin, high + margin], [low - margin, high + margin], color=GREY, linewidth=0.9, zorder=1)
        for label, colour, chosen in _groups(data, name):
            x, y = _thinned(factor * reference[chosen].ravel(), factor * predicted[chosen].ravel())
            axes.plot(
                x, y, "o", color=colour, markersize=3.2, alpha=0.55, markeredgewidth=0, label=label, rasterized=True
            )
        rmse = small * float(np.sqrt(np.mean((predicted - reference) ** 2)))
        axes.text(0.04, 0.95, f"RMSE {rmse:.3g} {small_unit}", transform=axes.transAxes, va="top", fontsize=9)
        limits = (low - margin, high + margin)
        axes.set(title=title, xlabel=f"reference ({unit})", ylabel=f"potential ({unit})", xlim=limits, ylim=limits)
        axes.set_box_aspect(1)
    _legend(figure, data, panels[-1][0])
    return figure


def draw_errors(data: Mapping[str, np.ndarray]) -> Any:
    """Distribution of the errors, on a logarithmic scale that shows the tails, with the Gaussian of the same mean and width."""
    panels = [panel for panel in _PANELS if f"{panel[0]}_reference" in data]
    if not panels:
        return None
    figure = new_figure(max(4.0 * len(panels), 5.4), 3.8)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (name, title, _, _, factor, unit) in zip(grid, panels, strict=True):
        errors = factor * (data[f"{name}_predicted"] - data[f"{name}_reference"])
        edges = _edges(errors)
        everything, _ = np.histogram(errors.ravel(), bins=edges)
        axes.stairs(everything / (np.diff(edges) * errors.size), edges, fill=True, color=FAINT, label="all frames")
        for label, colour, chosen in _groups(data, name):
            density, _ = np.histogram(errors[chosen].ravel(), bins=edges)
            width = np.diff(edges) * errors.size
            axes.stairs(density / width, edges, color=colour, linewidth=1.5, label=label)
        mean, std = float(errors.mean()), float(errors.std())
        if std > 0.0:
            x = np.linspace(edges[0], edges[-1], 201)
            gauss = np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * np.sqrt(2.0 * np.pi))
            axes.plot(x, gauss, "--", color=GREY, linewidth=1.2)
            axes.set_ylim(0.3 / (errors.size * float(np.diff(edges).mean())), 3.0 * _top(axes, gauss))
        if edges[0] < 0.0 < edges[-1]:
            axes.axvline(0.0, color=GREY, linewidth=0.8, zorder=0)
        axes.set(title=title, xlabel=f"potential − reference ({unit})", ylabel=f"density (1/({unit}))", yscale="log")
    _legend(figure, data, panels[-1][0])
    return figure


def _top(axes: Any, gauss: np.ndarray) -> float:
    """The highest density drawn."""
    return max([float(gauss.max()), *(float(patch.get_data().values.max()) for patch in axes.patches)])


def _edges(errors: np.ndarray) -> np.ndarray:
    """Edges of bins from the least to the largest error, about as many as the square root of their number."""
    count = int(np.clip(np.sqrt(errors.size), 9, 61))
    low, high = float(errors.min()), float(errors.max())
    # Errors that are all the same still have a bin with a width.
    margin = max(0.02 * (high - low), 1e-6 * max(abs(low), abs(high)), 1e-12)
    return np.linspace(low - margin, high + margin, count + 1)


def draw_doubt(data: Mapping[str, np.ndarray], doubt: Mapping[str, Any]) -> Any:
    """Left: error over doubt, atom by atom. Right: how often errors lie within what the spread promises."""
    figure = new_figure(9.2, 4.3)
    left, right = figure.subplots(1, 2)
    errors = np.linalg.norm(data["forces_predicted"] - data["forces_reference"], axis=1)
    floor = 1e-4 * max(float(errors.max()), float(data["doubts"].max()), 1e-12)
    for label, colour, chosen in _groups(data, "forces"):
        x, y = _thinned(np.maximum(data["doubts"][chosen], floor), np.maximum(errors[chosen], floor))
        left.loglog(x, y, "o", color=colour, markersize=3.4, alpha=0.6, markeredgewidth=0, label=label, rasterized=True)
    ends = np.array(left.get_xlim())
    left.plot(ends, ends, color=GREY, linewidth=0.9, zorder=1)
    if doubt.get("rank_correlation") is not None:
        text = f"rank correlation {doubt['rank_correlation']:.2f}"
        left.text(0.04, 0.95, text, transform=left.transAxes, va="top", fontsize=9)
    drawn = f"; zero drawn at {floor:.0e}" if np.any(data["doubts"] < floor) else ""
    left.set(
        title="Doubt and error",
        xlabel=f"largest disagreement on an atom (eV/Å{drawn})",
        ylabel="its force error (eV/Å)",
    )
    handles, labels = left.get_legend_handles_labels()
    if len(set(labels) - {""}) > 1:
        left.legend(handles, labels, loc="lower right", markerscale=1.6)
    expected, observed = data["calibration_expected"], data["calibration_observed"]
    right.plot([0, 1], [0, 1], color=GREY, linewidth=0.9)
    right.fill_between(expected, expected, observed, color=BLUE, alpha=0.15, linewidth=0)
    right.plot(expected, observed, color=BLUE)
    if doubt.get("area") is not None:
        scale = doubt.get("scale")  # null where a spread is zero and its error is not
        told = (
            f"zero spread on {doubt.get('unspread', 'some')} atoms"
            if scale is None
            else f"spreads should be ×{scale:.2g}"
        )
        text = f"area {doubt['area']:.3f}\n{told}"
        right.text(0.04, 0.95, text, transform=right.transAxes, va="top", fontsize=9)
    right.text(
        0.97, 0.05, "below the line: overconfident", transform=right.transAxes, ha="right", fontsize=8.5, color=GREY
    )
    right.set(
        title="Calibration",
        xlabel="share expected within the interval",
        ylabel="share observed",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    return figure


def _groups(data: Mapping[str, np.ndarray], name: str) -> Iterator[tuple[str, str, np.ndarray]]:
    """The groups by size, with a colour each; those beyond the colours are put together."""
    labels, groups = _group_names(data), data[f"{name}_group"]
    shown, rest = labels[: len(_COLOURS)], labels[len(_COLOURS) :]
    if rest:
        shown, rest = labels[: len(_COLOURS) - 1], labels[len(_COLOURS) - 1 :]
    for label, colour in zip(shown, _COLOURS, strict=False):
        if np.any(groups == label):
            yield label, colour, groups == label
    if rest and np.isin(groups, rest).any():
        yield f"{len(rest)} others", _COLOURS[-1], np.isin(groups, rest)


def _group_names(data: Mapping[str, np.ndarray]) -> list[str]:
    """All groups, the largest first, the same in every panel."""
    counts: dict[str, int] = {}
    for name, *_ in _PANELS:
        for label, count in zip(
            *np.unique(data.get(f"{name}_group", np.array([], str)), return_counts=True), strict=True
        ):
            counts[str(label)] = counts.get(str(label), 0) + int(count)
    return sorted(counts, key=lambda label: (-counts[label], label))


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most so many points, chosen at random with a fixed seed."""
    if len(x) <= _MOST:
        return x, y
    chosen = np.random.default_rng(0).choice(len(x), _MOST, replace=False)
    return x[chosen], y[chosen]


def _legend(figure: Any, data: Mapping[str, np.ndarray], name: str) -> None:
    """Groups below the panels, where there is more than one."""
    if len(_group_names(data)) < 2:
        return
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=min(len(found), 7), markerscale=1.6)
