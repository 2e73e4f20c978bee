"""The figures of a fracture run: load, energy and account along the path, stress and J, from the run directory alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.crack_pictures import draw_body, draw_crack
from multiscale.defect_plots import draw_interaction, read_defect
from multiscale.fracture_data import FractureData, read_fracture
from multiscale.plots import AMBER, BLUE, FAINT, GREY, INK, RED, TEAL, house_style, new_figure
from multiscale.tables import Table

Array = np.ndarray
K_LABEL = "$K$ (MPa√m)"
#: Of legends that lie over lines.
BOXED = {"frameon": True, "framealpha": 0.9, "edgecolor": "none"}
#: Terms below this part of the load's work; columns of ledger.csv that are no terms of the energy.
_SMALL = 0.05
_NO_TERMS = ("step", "work", "total", "step defect")


def make_fracture_plots(directory: str | Path) -> list[Path]:
    """Draw every figure for which the directory holds data.

    Returns:
        The files written: crack_path.png, crack_energy.png, crack.png, crack_body.png, crack_plane.png, crack_j.png,
        crack_ledger.png, interaction.png, as far as possible.
    """
    directory = Path(directory)
    data = read_fracture(directory)
    steps = 0 if data.path is None else len(data.path["state"])
    figures: list[tuple[str, bool, Callable[[FractureData], Any]]] = [
        ("crack_path.png", steps > 1, draw_path),
        ("crack_energy.png", steps > 3 or data.barriers is not None, draw_energy),
        ("crack.png", bool(data.states), draw_crack),
        ("crack_body.png", bool(data.states), draw_body),
        ("crack_plane.png", data.plane is not None, draw_plane),
        ("crack_j.png", _applied(data) or data.rings is not None, draw_j),
        ("crack_ledger.png", data.ledger is not None and len(data.ledger["step"]) > 1, draw_ledger),
    ]
    written = []
    with house_style():
        for name, there, draw in figures:
            if there:
                draw(data).savefig(directory / name)
                written.append(directory / name)
        if (directory / "interaction.csv").is_file():
            draw_interaction(read_defect(directory)).savefig(directory / "interaction.png")
            written.append(directory / "interaction.png")
    return written


def branches(path: Table) -> Iterator[tuple[Array, str]]:
    """The path in pieces: rows (n,) that follow each other, n ≥ 2, and ``stable``, ``unstable`` or ``unknown``.

    A piece between states of two kinds counts as unstable: the path turns there. Where the path is taken up again from its
    start, the piece ends.
    """
    stable, leg = path["stable"], path["leg"]
    kind = np.where(np.isnan(stable[1:] + stable[:-1]), 2, np.where((stable[1:] > 0) & (stable[:-1] > 0), 0, 1))
    load = path["k"]
    again = (leg[1:] != leg[:-1]) & (np.abs(load[1:] - load[0]) < np.abs(load[1:] - load[:-1]))
    kind = np.where(again, 3, kind)
    ends = np.flatnonzero(np.diff(kind)) + 1
    for rows in np.split(np.arange(len(kind)), ends):
        if len(rows) and kind[rows[0]] < 3:
            yield np.append(rows, rows[-1] + 1), ("stable", "unstable", "unknown")[kind[rows[0]]]


STYLES: dict[str, dict[str, Any]] = {
    "stable": {"color": BLUE, "linestyle": "-", "linewidth": 2.0, "zorder": 4},
    "unstable": {"color": BLUE, "linestyle": (0, (3, 2)), "linewidth": 1.3, "zorder": 3},
    "unknown": {"color": BLUE, "linestyle": "-", "linewidth": 1.0, "marker": "o", "markersize": 4, "zorder": 3},
}
_NAMES = {"stable": "stable", "unstable": "unstable", "unknown": "equilibria, load by load"}


def _draw_branches(axes: Any, path: Table, x: Array, y: Array) -> None:
    """Stable branches solid, unstable ones dashed, with a legend."""
    told: set[str] = set()
    for rows, kind in branches(path):
        axes.plot(x[rows], y[rows], label=None if kind in told else _NAMES[kind], **STYLES[kind])
        told.add(kind)


def _tips(data: FractureData) -> tuple[Array, str, float | None]:
    """Advance of the tip since the first state, by the field where it was fitted, what to call it, and the period in Å."""
    assert data.path is not None
    tip, how = data.path.get("tip by field"), "fit of the field"
    if tip is None:
        tip, how = data.path["tip by bonds"], "bonds"
    period = data.period
    moved = tip - tip[np.flatnonzero(np.isfinite(tip))[0]] if np.isfinite(tip).any() else tip
    if period is None:
        return 10.0 * moved, f"advance of the tip by {how} (Å)", None
    return moved / period, f"advance of the tip by {how} (periods)", 10.0 * period


def draw_path(data: FractureData) -> Any:
    """K over the advance of the tip, with K₋, K_G and K₊; of grips the opening below."""
    path = data.path
    assert path is not None
    grips = bool(data.references.get("grips"))
    figure = new_figure(7.4, 6.4 if grips else 4.4)
    top, *below = np.atleast_1d(figure.subplots(1 + grips, 1, sharex=True, height_ratios=[2, 1][: 1 + grips]))
    advance, label, period = _tips(data)
    _draw_branches(top, path, advance, path["k"])
    slipped = path.get("slipped pairs")
    if slipped is not None and (slipped > 0).any():
        here = slipped > 0
        top.plot(advance[here], path["k"][here], "x", color=RED, markersize=6, label="atoms have slipped", zorder=5)
    _draw_levels(top, data)
    top.set(title="Load on the crack over its advance", ylabel=K_LABEL)
    top.margins(x=0.04, y=0.12)
    if period is not None:
        above = top.secondary_xaxis("top", functions=(lambda x: x * period, lambda x: x / period))
        above.set_xlabel("Å", loc="right", labelpad=2)
        above.spines["top"].set_visible(False)
    if grips:
        _draw_branches(below[0], path, advance, path["load"])
        below[0].set_ylabel("opening (nm)")
    (below or [top])[0].set_xlabel(label)
    figure.legend(*top.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _draw_levels(axes: Any, data: FractureData) -> None:
    """Lines at K₋, K_G and K₊ with their values beyond the right end, none upon another."""
    found = sorted(data.levels, key=lambda level: level[1])
    shown = data.path["k"] if data.path is not None else np.array([value for _, value, _ in found])
    reach = np.ptp(np.append(shown, [value for _, value, _ in found])) or 1.0
    heights = np.array([value for _, value, _ in found])
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + 0.07 * reach)
    for (label, value, colour), height in zip(found, heights, strict=True):
        axes.axhline(value, color=colour, linewidth=0.9, linestyle=(0, (1, 2)), zorder=2)
        share = "" if value == data.griffith else f" = {value / data.griffith:.3f} $K_\\mathrm{{G}}$"
        axes.annotate(f"{label} = {value:.4g}{share}", (1.0, height), xycoords=("axes fraction", "data"), xytext=(6, 0),
                      fontsize=9, textcoords="offset points", va="center", color=colour, annotation_clip=False)  # fmt: skip


def draw_energy(data: FractureData) -> Any:
    """Energy along the path, less a parabola in the load, and the barriers of advance and healing."""
    panels = [draw for draw, there in ((_draw_swallowtails, _enough(data)), (_draw_barriers, data.barriers)) if there]
    figure = new_figure(9.6 if len(panels) == 2 else 6.4, 3.9)
    for axes, draw in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        draw(axes, data)
        for label, value, colour in data.levels:
            axes.axvline(value, color=colour, linewidth=0.9, linestyle=(0, (1, 2)), zorder=2)
            axes.annotate(label, (value, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3), fontsize=9, color=colour,
                          textcoords="offset points", ha="center")  # fmt: skip
    return figure


def _enough(data: FractureData) -> bool:
    return data.path is not None and len(data.path["state"]) > 3


def _draw_swallowtails(axes: Any, data: FractureData) -> None:
    path = data.path
    assert path is not None
    energy = path["work"] - elastic_part(path)
    scale, unit = (1e3, "meV") if np.abs(energy).max() < 0.5 else (1.0, "eV")
    _draw_branches(axes, path, path["k"], scale * energy)
    axes.set_title("Energy along the path, less a parabola in the load", pad=18)
    axes.set(xlabel=K_LABEL, ylabel=f"energy ({unit})")
    axes.legend(loc="best", **BOXED)


def elastic_part(path: Table) -> Array:
    """The parabola in the load that fits the energy of the stable states best: what elastic bodies of one crack would store."""
    load, work, stable = path["load"], path["work"], path["stable"] != 0.0
    if stable.sum() < 4:
        stable = np.ones(len(load), dtype=bool)
    middle, reach = load.mean(), np.ptp(load) or 1.0
    # A polynomial in a variable of size one.
    return np.asarray(np.polyval(np.polyfit((load[stable] - middle) / reach, work[stable], 2), (load - middle) / reach))


def _draw_barriers(axes: Any, data: FractureData) -> None:
    table = data.barriers
    assert table is not None
    load = table["k"]
    scale, unit = (1e3, "meV") if np.nanmax(table["barrier of an advance"]) < 0.5 else (1.0, "eV")
    for name, label, colour in (
        ("barrier of an advance", "advance", RED),
        ("barrier of healing", "healing", TEAL),
    ):
        axes.plot(load, scale * table[name], color=colour, label=label, marker="o", markersize=3)
    axes.set_title("Barriers of one period", pad=18)
    thickness = f" per {10 * float(data.states[0]['thickness']):.3g} Å of the front" if data.states else ""
    axes.set(xlabel=K_LABEL, ylabel=f"energy ({unit}){thickness}")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper center", **BOXED)


def _marks(colour: str, marker: str, size: float) -> dict[str, Any]:
    return {"color": colour, "linestyle": "none", "marker": marker, "markersize": size, "markeredgewidth": 0.0}


#: Descriptions of the crack's plane: their names in plane.csv, in the legend, and how they are drawn.
PLANE_CURVES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("crack field", "$K/\\sqrt{2\\pi r}$", {"color": GREY, "linestyle": "--", "linewidth": 1.4}),
    ("separation law", "cohesive law at the atoms' opening", _marks(AMBER, "D", 4.5)),
    ("cauchy-born", "atoms' strain, Cauchy–Born", _marks(BLUE, "o", 4.5)),
    ("elements", "finite elements", _marks(TEAL, "s", 3.5)),
)


def draw_plane(data: FractureData) -> Any:
    """Normal stress ahead of the tip: K-field, cohesive law, atoms and elements; linear near the tip and on log axes."""
    plane = data.plane
    assert plane is not None
    figure = new_figure(10.0, 4.2)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.15])
    distance = plane["x"] - plane["tip"]
    top = 0.0
    for name, label, style in PLANE_CURVES:
        stress = plane.get(f"traction of {name}")
        if stress is None:
            continue
        known = np.isfinite(stress)
        left.plot(distance[known], stress[known], **style)
        ahead = known & (distance > 0.0) & (stress > 0.0)
        right.plot(distance[ahead], stress[ahead], label=label, **style)
        if "marker" in style:
            top = max(top, float(np.nanmax(stress)))
    opening = plane.get("opening of atoms")
    atoms = distance if opening is None else distance[np.isfinite(opening)]
    left.set(title="Beside the tip", xlabel="distance from the tip (nm)", ylabel="normal stress (GPa)")
    left.set_xlim(max(atoms.min(), -1.0), min(atoms.max(), 3.0))
    left.set_ylim(-0.05 * top, 1.25 * top or None)
    right.set(title="Along the crack's plane", xlabel="distance ahead of the tip (nm)", ylabel="normal stress (GPa)")
    right.set(xscale="log", yscale="log")
    _plain_ticks(right.xaxis)
    _plain_ticks(right.yaxis)
    right.legend(loc="lower left")
    return figure


def _plain_ticks(axis: Any) -> None:
    """Logarithmic ticks at 1, 2 and 5 written as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def draw_j(data: FractureData) -> Any:
    """J of the elements against K²/E*: over the path, where K is applied and not itself from J, and over rings about the tip."""
    panels = [draw for draw, there in ((_draw_j_path, _applied(data)), (_draw_rings, data.rings is not None)) if there]
    figure = new_figure(9.6 if len(panels) == 2 else 5.6, 3.9)
    for axes, draw in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        draw(axes, data)
    return figure


def _applied(data: FractureData) -> bool:
    """Whether the path holds values of J beside a K that was applied."""
    return data.path is not None and data.path.get("j") is not None and not data.references.get("grips")


def _draw_j_path(axes: Any, data: FractureData) -> None:
    path = data.path
    assert path is not None
    known = np.isfinite(path["j"]) & (path["g"] > 0.0)
    ratio = path["j"][known] / path["g"][known]
    axes.plot(path["k"][known], ratio, "o", color=BLUE, markersize=3.5)
    axes.set(title="J along the path", xlabel=K_LABEL, ylabel="$J\\,E^*/K^2$")
    _ratio_axis(axes, ratio)
    axes.text(0.97, 0.06, f"off by {100 * np.abs(ratio - 1.0).max():.2g}% at most", transform=axes.transAxes, ha="right",
              fontsize=9)  # fmt: skip


def _draw_rings(axes: Any, data: FractureData) -> None:
    import matplotlib as mpl

    rings = data.rings
    assert rings is not None
    states = np.unique(rings["state"])
    colours = mpl.colormaps["viridis"](np.linspace(0.0, 0.85, len(states)))
    for state, colour in zip(states, colours, strict=True):
        here = rings["state"] == state
        ratio = rings["j"][here] / rings["g"][here]
        axes.semilogx(rings["radius"][here], ratio, "-o", color=colour, markersize=4, linewidth=1.2,
                      label=f"{rings['k'][here][0]:.4g} MPa√m")  # fmt: skip
    axes.set(title="J over rings about the tip", xlabel="mean radius of the ring (nm)", ylabel="$J\\,E^*/K^2$")
    _ratio_axis(axes, rings["j"] / rings["g"])
    _plain_ticks(axes.xaxis)
    axes.legend(loc="best", title="$K$ of the state")


def _ratio_axis(axes: Any, ratio: Array) -> None:
    """One in the middle, a band of one percent about it."""
    axes.axhspan(0.99, 1.01, color=FAINT, alpha=0.7, linewidth=0)
    axes.axhline(1.0, color=GREY, linewidth=0.9)
    reach = max(0.02, 1.2 * float(np.nanmax(np.abs(ratio - 1.0))))
    axes.set_ylim(1.0 - reach, 1.0 + reach)


def draw_ledger(data: FractureData) -> Any:
    """The account after every step: where the load's work is, and what it fails to add up to."""
    ledger = data.ledger
    assert ledger is not None
    steps, work, total = ledger["step"], ledger["work"], ledger["total"]
    names = [name for name in ledger.columns if "[" not in name and name not in _NO_TERMS]
    scale = float(np.nanmax(np.abs(work))) or 1.0
    # Terms too small to be seen beside the work have a panel of their own.
    small = [name for name in names if np.nanmax(np.abs(ledger[name])) < _SMALL * scale]
    figure = new_figure(7.4, 5.4 + 1.6 * bool(small))
    panels = figure.subplots(2 + bool(small), 1, sharex=True, height_ratios=[2.2, *([1.2] if small else []), 1])
    top, bottom = panels[0], panels[-1]
    for name, colour in zip(names, (BLUE, TEAL, AMBER, RED, GREY, "#7a5195"), strict=False):
        (panels[1] if name in small else top).plot(steps, ledger[name], color=colour, label=name, linewidth=1.8)
    top.plot(steps, work, color=INK, linewidth=1.2, linestyle=(0, (3, 3)), label="work of the load")
    top.set(title="Where the work went, since the first state", ylabel="energy (eV)")
    if small:
        panels[1].set_ylabel("energy (eV)")
    whole = np.maximum(np.abs(work - total) / scale, 1e-16)
    step = np.maximum(np.abs(ledger["step defect"]) / scale, 1e-16)
    bottom.semilogy(steps, whole, "-o", color=RED, markersize=2.5, linewidth=1.1, label="since the start")
    bottom.semilogy(steps, step, "-o", color=GREY, markersize=2.5, linewidth=1.1, label="of a step")
    handles = [line for panel in panels[:-1] for line in panel.lines]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    bottom.legend(loc="lower right", bbox_to_anchor=(1.0, 0.97), ncols=2)
    bottom.set(xlabel="step of the path", ylabel="|work − parts|\n/ largest work")
    bottom.set_xlim(steps[0], steps[-1])
    return figure
