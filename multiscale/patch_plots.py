"""The figures of a zone of atoms at an interface: specimen and zone, profiles, path and ledger, from the run directory alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.defect_plots import ROLE_COLOURS, ROLE_LABELS
from multiscale.plots import AMBER, BLUE, FAINT, GREY, INK, RED, TEAL, house_style, joules_per_metre, new_figure
from multiscale.tables import Table, read_table

#: Parts of the account by their column in path.csv; what a run has not is left out.
PARTS = (
    ("atoms", "stored in the atoms", BLUE),
    ("bulk", "stored in the elements", TEAL),
    ("interface", "interface: stored and dissipated", AMBER),
    ("released in jumps", "released in jumps", "#b9c1ca"),
)
#: States along the path that profiles are drawn of, at most.
_PROFILES = 6

State = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class PatchData:
    """What the figures are drawn from; what a run has not written is None."""

    path: Table
    profiles: Table | None
    peak: State | None
    last: State | None


def read_patch(directory: str | Path) -> PatchData:
    """Read what a run with a zone has left."""
    directory = Path(directory)

    def arrays(name: str) -> State | None:
        if not (directory / name).is_file():
            return None
        with np.load(directory / name) as archive:
            return {key: archive[key] for key in archive.files}

    profiles = directory / "profiles.csv"
    return PatchData(
        path=read_table(directory / "path.csv"),
        profiles=read_table(profiles) if profiles.is_file() else None,
        peak=arrays("patch.npz"),
        last=arrays("patch_last.npz"),
    )


def make_patch_plots(directory: str | Path) -> list[Path]:
    """Draw every figure for which the directory holds data.

    Returns:
        The files written: path.png, patch.png, profiles.png, ledger.png, as far as possible.
    """
    directory = Path(directory)
    data = read_patch(directory)
    figures: list[tuple[str, bool, Callable[[PatchData], Any]]] = [
        ("path.png", len(data.path["opening"]) > 1, draw_path),
        ("patch.png", data.last is not None, draw_patch),
        ("profiles.png", data.profiles is not None, draw_profiles),
        ("ledger.png", data.path.get("atoms") is not None and len(data.path["opening"]) > 1, draw_ledger),
    ]
    written = []
    with house_style():
        for name, there, draw in figures:
            if there:
                draw(data).savefig(directory / name)
                written.append(directory / name)
    return written


def draw_path(data: PatchData) -> Any:
    """Load, or the mean traction of a block, over the opening."""
    table = data.path
    traction = table.get("mean traction")
    values, what = (table["load"], "load per width (N/m)") if traction is None else (traction, "mean traction (GPa)")
    figure = new_figure(7.4, 3.9)
    axes = figure.subplots()
    opening, jumped = table["opening"], table["jumped"] > 0
    axes.plot(opening, values, "-o", color=BLUE, markersize=4, zorder=3)
    if jumped.any():
        axes.plot(opening[jumped], values[jumped], "x", color=RED, markersize=9, markeredgewidth=2, zorder=4, clip_on=False,
                  label="the path broke off before")  # fmt: skip
        axes.legend(loc="center left")
    top = int(np.nanargmax(values))
    unit = what.split("(")[1].rstrip(")")
    across, side = (0.03, "left") if opening[top] > 0.4 * opening[-1] else (0.97, "right")
    axes.text(across, 0.95, f"largest {values[top]:.4g} {unit} at {opening[top]:.4g} nm", transform=axes.transAxes,
              ha=side, va="top", fontsize=9)  # fmt: skip
    axes.set(
        title="Load over opening",
        xlabel="opening (nm)",
        ylabel=what,
        ylim=(min(0.0, 1.05 * values.min()), 1.15 * values[top]),
    )
    axes.set_xlim(left=0)
    return figure


def draw_patch(data: PatchData) -> Any:
    """The specimen coloured by normal stress, and the zone's atoms upon it, at the largest load and at the end."""
    last = data.last
    assert last is not None
    states = [last] if data.peak is None or float(data.peak["opening"]) == float(last["opening"]) else [data.peak, last]
    first = states[0]
    length, height = np.ptp(first["deformed"][:, :2], axis=0)
    strip = float(np.clip(9.6 * height / length, 1.2, 4.4))
    middle, half = _window(first)
    tall = half[1] / half[0] * (9.6 / max(len(states), 1.55))
    figure = new_figure(9.6, strip + tall + 1.6)
    above, below = figure.subfigures(2, 1, height_ratios=[strip + 0.6, tall + 0.8])
    whole = above.subplots()
    near = np.atleast_1d(below.subplots(1, len(states)))
    options = _colours(first["stress"])
    shown = _paint(whole, first, options)
    whole.set(
        title=f"Specimen at an opening of {_nm(first)}, displacements at true scale", xlabel="x (nm)", ylabel="y (nm)"
    )
    _bar(above, shown, whole)
    for axes, state in zip(near, states, strict=True):
        shown = _paint(axes, state, options)
        here, reach = _window(state)
        axes.set(title=f"Zone at {_nm(state)}", xlabel="x (nm)", ylabel="y (nm)")
        axes.set_xlim(here[0] - reach[0], here[0] + reach[0])
        axes.set_ylim(here[1] - reach[1], here[1] + reach[1])
        width = axes.get_window_extent().width / figure.dpi
        size = (0.13 / (2 * reach[0]) * width * 72) ** 2
        for kind, (colour, label) in enumerate(zip(ROLE_COLOURS, ROLE_LABELS, strict=True)):
            atoms = state["atoms"][state["role"] == kind]
            axes.scatter(*atoms[:, :2].T, s=size, c=colour, edgecolors=INK, linewidths=0.4, label=label, zorder=3)
    near[-1].legend(loc="upper right", frameon=True, framealpha=0.9, edgecolor="none")
    if len(states) == 1:
        _bar(below, shown, near[0])
    box = [*(middle - half), *(2 * half)]
    whole.indicate_inset(box, edgecolor=INK, alpha=0.9)
    return figure


def _colours(stress: np.ndarray) -> dict[str, Any]:
    """From blue to red about zero where there is compression to speak of, else from zero up."""
    lowest, largest = np.nanpercentile(stress, [0.5, 99.5])
    if lowest < -0.1 * largest:
        reach = max(-float(lowest), float(largest))
        return {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach, "rasterized": True}
    return {"cmap": "YlOrRd", "vmin": 0.0, "vmax": 1.15 * float(largest), "rasterized": True}


def _nm(state: State) -> str:
    opening = float(state["opening"])
    return f"{opening:.3g} nm" if np.isfinite(opening) else "the last state"


def _window(state: State) -> tuple[np.ndarray, np.ndarray]:
    """Middle and half sides of a window about the atoms."""
    low, high = state["atoms"][:, :2].min(axis=0), state["atoms"][:, :2].max(axis=0)
    return 0.5 * (low + high), 0.5 * (high - low) + 0.15


def _paint(axes: Any, state: State, options: dict[str, Any]) -> Any:
    """Elements in the colour of their normal stress, the finer ones with edges."""
    x, y = state["deformed"][:, :2].T
    shown = axes.tripcolor(x, y, state["cells"], state["stress"], edgecolors="#1c273330", linewidth=0.15, **options)
    axes.set_aspect("equal")
    axes.grid(False)
    return shown


def _bar(figure: Any, shown: Any, axes: Any) -> None:
    bar = figure.colorbar(shown, ax=axes, extend="both", pad=0.015, aspect=20, shrink=0.95)
    bar.outline.set_visible(False)
    bar.set_label("normal stress $P_{yy}$ (GPa)")


def draw_profiles(data: PatchData) -> Any:
    """Opening and traction along the interface at several loads; total as lines, atoms and law as marks."""
    import matplotlib as mpl

    table = data.profiles
    assert table is not None
    openings = np.unique(table["opening"])
    # A specimen that has come apart would only flatten the others.
    tractions = np.array([np.nanmax(np.abs(table["traction"][table["opening"] == opening])) for opening in openings])
    openings = openings[tractions > 0.02 * tractions.max()]
    openings = openings[np.unique(np.linspace(0, len(openings) - 1, min(len(openings), _PROFILES)).round().astype(int))]
    figure = new_figure(9.6, 6.4)
    top, bottom = figure.subplots(2, 1, sharex=True)
    colours = mpl.colormaps["viridis"](np.linspace(0.0, 0.85, len(openings)))
    weight = table["weight of atoms"]
    for opening, colour in zip(openings, colours, strict=True):
        here = table["opening"] == opening
        x = table["x"][here]
        sites = here & np.isfinite(table["gap of the rows"])
        top.plot(table["x"][sites], table["gap of the rows"][sites], "-o", color=colour, markersize=3)
        bottom.plot(x, table["traction"][here], "-", color=colour, linewidth=1.5, label=f"{opening:.3g} nm")
        atoms = here & (weight >= 0.25) & np.isfinite(table["traction of the atoms"])
        bottom.plot(table["x"][atoms], table["traction of the atoms"][atoms], "o", color=colour, markersize=3.2)
    x = table["x"]
    inside = x[np.isfinite(table["gap of the rows"])]
    margin = 0.35 * np.ptp(inside)
    blended = (weight > 0.0) & (weight < 1.0)
    core = weight >= 1.0
    for axes in (top, bottom):
        if blended.any():
            edge = (x[core].min(), x[core].max()) if core.any() else (np.median(x[blended]),) * 2
            for side in (blended & (x < edge[0]), blended & (x > edge[1])):
                if side.any():
                    axes.axvspan(x[side].min(), x[side].max(), color=FAINT, alpha=0.7, linewidth=0)
        axes.set_xlim(max(inside.min() - margin, x.min()), min(inside.max() + margin, x.max()))
    top.set(title="Opening of the rows beside the interface", ylabel="gap (Å)")
    bottom.margins(y=0.14)
    bottom.set(title="Normal traction: lines in all, dots the atoms' own", xlabel="x (nm)", ylabel="traction (GPa)")
    bottom.legend(title="opening of the specimen", loc="center left", bbox_to_anchor=(1.0, 1.1))
    if core.any():
        middle = 0.5 * (x[core].min() + x[core].max())
        bottom.text(middle, 0.04, "core", transform=bottom.get_xaxis_transform(), ha="center", fontsize=9, color=GREY)
        outer = x[blended & (x < x[core].min())]
        if outer.size:
            bottom.text(outer.mean(), 0.04, "blend", transform=bottom.get_xaxis_transform(), ha="center", fontsize=9,
                        color=GREY)  # fmt: skip
    return figure


def draw_ledger(data: PatchData) -> Any:
    """Where the work went over the path, and by how much the parts fail to add up to it."""
    table = data.path
    opening, work = table["opening"], table["work"]
    scale, unit = joules_per_metre(work)
    parts = [(table[name], label, colour) for name, label, colour in PARTS if name in table]
    figure = new_figure(7.4, 5.4)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2.4, 1])
    base = np.zeros_like(work)
    for values, label, colour in parts:
        top.fill_between(
            opening, base * scale, (base + values) * scale, color=colour, alpha=0.92, linewidth=0, label=label
        )
        base = base + values
    correction = table.get("ghost force correction")
    total = base if correction is None else base + correction
    top.plot(opening, work * scale, color=INK, linewidth=1.6, label="work of the load")
    top.set(title="Where the work went", ylabel=f"energy per width ({unit})")
    top.legend(loc="upper left")
    largest = float(np.nanmax(np.abs(work))) or 1.0
    energies = np.maximum(np.abs(work - total) / largest, 1e-14)
    forces = np.maximum(np.abs(np.cumsum(table["step defect"])) / largest, 1e-14)
    bottom.semilogy(opening[1:], energies[1:], "-o", color=RED, markersize=3, linewidth=1.2, label="energies")
    bottom.semilogy(opening[1:], forces[1:], "-o", color=GREY, markersize=3, linewidth=1.2, label="forces")
    bottom.legend(loc="center right")
    bottom.set(xlabel="opening (nm)", ylabel="|work − parts|\n/ total work")
    bottom.set_xlim(opening[0], opening[-1])
    return figure
