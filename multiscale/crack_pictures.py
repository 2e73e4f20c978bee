"""Atoms and elements of a crack in one picture: the zone, the bonds at the tip, and the body around them."""

from __future__ import annotations

from typing import Any

import numpy as np

from multiscale.defect_plots import ROLE_COLOURS, ROLE_LABELS
from multiscale.fracture_data import FractureData, State
from multiscale.plots import GREY, INK, RED, new_figure

Array = np.ndarray
#: A bond across the plane that is longer than this part of its length in the crystal is drawn as broken.
BROKEN = 1.25
#: Bonds take their colour from their stretch, up to this.
_STRETCH = 0.25
#: Half the window about the tip, in periods of the crack's advance.
_NEAR = 2.6
#: Strain energies below this part of the largest one are drawn alike.
_FAINTEST = 3e-4
#: Atoms are drawn with this part of a bond as diameter.
_ATOM = 0.5


def draw_crack(data: FractureData) -> Any:
    """The zone in its elements at the first state, at K₊ and at the last one; below, the bonds at the tip of each."""
    chosen = data.chosen()
    count = len(chosen)
    figure = new_figure(3.5 * count + 1.4, 7.4)
    grid = figure.subplots(2, count, squeeze=False)
    options = _colours([state for _, state in chosen])
    for column, (name, state) in enumerate(chosen):
        above, below = grid[:, column]
        shown = _paint(above, state, options)
        _window(above, _zone_box(state))
        _draw_atoms(above, state, figure)
        intensity = float(state["intensity"])
        above.set_title(f"{name}\n{intensity:.4g} MPa√m, {intensity / data.griffith:.4g} $K_\\mathrm{{G}}$")
        bonds = _draw_tip(below, state, options, figure)
        box = _tip_box(state)
        above.indicate_inset([box[0], box[2], box[1] - box[0], box[3] - box[2]], edgecolor=INK, alpha=0.9)
        below.set_xlabel("x (nm)")
        for axes in (above, below):
            axes.locator_params(nbins=5)
    for row in grid:
        row[0].set_ylabel("y (nm)")
    _bar(figure, shown, grid[0], "normal stress $\\sigma_{yy}$ (GPa)", "both")
    _bar(figure, bonds, grid[1], "strain of a bond", "max")
    _legend(figure, grid)
    return figure


def draw_body(data: FractureData) -> Any:
    """The whole body before the first advance, and around the zone, coloured by the elements' strain energy."""
    from matplotlib.colors import LogNorm

    chosen = data.chosen()
    state = chosen[min(1, len(chosen) - 1)][1]
    figure = new_figure(10.4, 4.9)
    whole, near = figure.subplots(1, 2)
    top = float(np.nanpercentile(state["energy"], 99.5))
    options = {"norm": LogNorm(_FAINTEST * top, top), "cmap": "magma", "rasterized": True}
    shown = _paint(whole, state, options, values=np.maximum(state["energy"], _FAINTEST * top), edges="none")
    _paint(near, state, options, values=np.maximum(state["energy"], _FAINTEST * top), edges="#ffffff30")
    left, right, low, high = _zone_box(state)
    half = 1.5 * 0.5 * max(right - left, high - low)
    middle = 0.5 * (left + right), 0.5 * (low + high)
    box = (middle[0] - half, middle[0] + half, middle[1] - half, middle[1] + half)
    _window(near, box)
    _draw_atoms(near, state, figure)
    whole.set(title=f"Body at {float(state['intensity']):.4g} MPa√m", xlabel="x (nm)", ylabel="y (nm)")
    near.set(title="Around the zone, displacements at true scale", xlabel="x (nm)", ylabel="y (nm)")
    whole.indicate_inset([box[0], box[2], 2 * half, 2 * half], edgecolor=INK, alpha=0.9)
    _bar(figure, shown, [whole, near], "strain energy density (eV/Å³)", "both")
    return figure


def _colours(states: list[State]) -> dict[str, Any]:
    """One scale for all states: from the stresses of the elements beside the zone, zero white."""
    near = np.concatenate([state["stress"][_inside(state, _zone_box(state))] for state in states])
    reach = float(np.nanpercentile(np.abs(near), 97)) if near.size else 1.0
    return {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach, "rasterized": True}


def _inside(state: State, box: tuple[float, float, float, float]) -> Array:
    """Elements that reach into a box."""
    corners = state["points"][state["cells"], :2]
    low, high = corners.min(axis=1), corners.max(axis=1)
    return np.asarray((high[:, 0] > box[0]) & (low[:, 0] < box[1]) & (high[:, 1] > box[2]) & (low[:, 1] < box[3]))


def _zone_box(state: State) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a square about the atoms, nm."""
    low, high = state["atoms"][:, :2].min(axis=0), state["atoms"][:, :2].max(axis=0)
    middle, half = 0.5 * (low + high), 0.54 * float((high - low).max())
    return middle[0] - half, middle[0] + half, middle[1] - half, middle[1] + half


def _tip_box(state: State) -> tuple[float, float, float, float]:
    """The same about the tip."""
    tips = [float(state[name]) for name in ("tip_bonds", "tip_field") if np.isfinite(state[name])]
    tip, half = tips[0] if tips else 0.0, max(_NEAR * float(state["period"]), 0.8)
    return tip - half, tip + half, -half, half


def _window(axes: Any, box: tuple[float, float, float, float]) -> None:
    axes.set_xlim(box[0], box[1])
    axes.set_ylim(box[2], box[3])


def _paint(
    axes: Any, state: State, options: dict[str, Any], *, values: Array | None = None, edges: str = "#1c273330"
) -> Any:
    """Elements in the colour of their normal stress, or of other values."""
    x, y = state["points"][:, :2].T
    shown = axes.tripcolor(
        x, y, state["cells"], state["stress"] if values is None else values, edgecolors=edges, linewidth=0.2, **options
    )
    axes.set_aspect("equal")
    axes.grid(False)
    return shown


def _bond_length(state: State) -> float:
    """Mean length of the crystal's bonds as they are seen along the front, nm."""
    first, second = state["bonds"].T
    return float(np.linalg.norm(state["reference"][first, :2] - state["reference"][second, :2], axis=1).mean())


def _draw_atoms(axes: Any, state: State, figure: Any) -> None:
    """Atoms by role, sized by the window."""
    size = _size(axes, state, figure)
    for kind, colour in enumerate(ROLE_COLOURS):
        here = state["role"] == kind
        axes.scatter(*state["atoms"][here, :2].T, s=size, c=colour, edgecolors=INK, linewidths=0.35, zorder=4)


def _size(axes: Any, state: State, figure: Any) -> float:
    """Area of an atom in points squared."""
    width = axes.get_position().width * figure.get_size_inches()[0] * 72
    return float((_ATOM * _bond_length(state) / np.ptp(axes.get_xlim()) * width) ** 2)


def _draw_tip(axes: Any, state: State, options: dict[str, Any], figure: Any) -> Any:
    """Atoms and bonds about the tip; bonds across the plane that are broken as dashed lines."""
    from matplotlib.collections import LineCollection

    box = _tip_box(state)
    _paint(axes, state, options)
    _window(axes, box)
    places = state["atoms"][:, :2]
    pairs, stretch = state["bonds"], state["stretch"]
    middle = places[pairs].mean(axis=1)
    reach = 1.15 * (box[1] - box[0])
    near = np.abs(middle - [0.5 * (box[0] + box[1]), 0.0]).max(axis=1) < 0.5 * reach
    gone = state["crossing"] & (stretch > BROKEN)
    whole = near & ~gone
    lines = LineCollection(list(places[pairs[whole]]), cmap="YlOrRd", linewidths=2.2, zorder=2, capstyle="round")
    lines.set_array(stretch[whole] - 1.0)
    lines.set_clim(-0.25 * _STRETCH, _STRETCH)
    axes.add_collection(lines)
    broken = LineCollection(
        list(places[pairs[near & gone]]), colors=RED, linewidths=1.0, linestyles=(0, (2, 2)), zorder=2
    )
    axes.add_collection(broken)
    _draw_atoms(axes, state, figure)
    tip = float(state["tip_bonds"])
    if np.isfinite(tip):
        axes.axvline(tip, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    return lines


def _bar(figure: Any, shown: Any, axes: Any, label: str, extend: str) -> None:
    bar = figure.colorbar(shown, ax=list(axes), extend=extend, pad=0.012, aspect=24, shrink=0.85)
    bar.outline.set_visible(False)
    bar.set_label(label)


def _legend(figure: Any, grid: Any) -> None:
    """Roles, and what the lines in the lower row mean."""
    from matplotlib.lines import Line2D

    dots = [
        Line2D([], [], linestyle="none", marker="o", markersize=6, markerfacecolor=colour, markeredgecolor=INK, label=label,
               markeredgewidth=0.5)
        for colour, label in zip(ROLE_COLOURS, ROLE_LABELS, strict=True)
    ]  # fmt: skip
    broken = Line2D(
        [], [], color=RED, linewidth=1.0, linestyle=(0, (2, 2)), label=f"broken: over {BROKEN:g} times its length"
    )
    tip = Line2D([], [], color=GREY, linewidth=0.8, linestyle=(0, (1, 2)), label="tip by bonds")
    figure.legend(handles=[*dots, broken, tip], loc="outside lower center", ncols=5)
