"""The figures of a run, each made from the files in its directory and nothing else."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.tables import Table, read_table

INK, GREY, FAINT = "#1c2733", "#6b7785", "#d9dee4"
BLUE, RED, AMBER, TEAL = "#1f6fb2", "#c8443a", "#d98e04", "#2a8f82"
STRESS_COLOURS = "inferno"

STYLE: dict[str, Any] = {
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
}


PICTURED = (
    (("buffers.csv",), "embedding"),
    (("properties.json",), "properties"),
    (("separation_clean.csv",), "impurity"),
    (("contact.csv",), "contact"),
    (("zone.npz", "interaction.csv"), "defect"),
    (("path.csv",), "patch"),
    (("references.json",), "fracture"),
    (("doubt.csv",), "learning"),
    (("learning_effect.csv",), "learning_effect"),
    (("spread.csv",), "spread"),
    (("validation.npz",), "validation"),
)
"""Files one of which tells that there are more figures to draw, and whose module draws them."""
OF_A_CRACK = ("fracture", "learning", "learning_effect", "spread")
"""Those that a crack's run has; its path and interaction are in its own figures."""


def to_the_letter(name: str) -> str:
    """A name that a person gave, as figures show it: what is between dollars is no formula."""
    return name.replace("$", r"\$")


@dataclass(frozen=True, kw_only=True)
class RunData:
    """What the figures are drawn from: the tables of a run directory that exist, and the last fields."""

    separation: Table | None
    law: Table | None
    path: Table | None
    stacks: Table | None
    fields: dict[str, np.ndarray] | None


def read_run(directory: Path) -> RunData:
    """Read what a run directory holds; a missing file is None, a broken one raises ``TableError``."""

    def table(name: str) -> Table | None:
        return read_table(directory / name) if (directory / name).is_file() else None

    fields = None
    if (directory / "fields_last.npz").is_file():
        with np.load(directory / "fields_last.npz") as archive:
            fields = {name: archive[name] for name in archive.files}
        if len(fields["triangles"]) == 0:  # a solid in three dimensions: for ParaView, not for a flat picture
            fields = None
    return RunData(
        separation=table("separation.csv"),
        law=table("law.csv"),
        path=table("load_opening.csv"),
        stacks=table("stacks.csv"),
        fields=fields,
    )


def make_plots(directory: str | Path) -> list[Path]:
    """Draw every figure for which the run directory holds data, as PNG beside it.

    Returns:
        The files written: separation.png, stacks.png, ..., or those of the study, as far as possible.

    Raises:
        TableError: for a file that cannot be read.
    """
    directory = Path(directory)
    data = read_run(directory)
    figures: list[tuple[str, Any, Callable[[RunData], Any]]] = [
        ("separation.png", data.separation, draw_separation),
        ("stacks.png", data.stacks, draw_stacks),
        ("load_opening.png", data.path, draw_load_opening),
        ("specimen.png", data.fields, draw_specimen),
        ("energy.png", data.path, draw_energy),
    ]
    written = []
    with house_style():
        for name, needed, draw in figures:
            if needed is not None:
                figure = draw(data)
                figure.savefig(directory / name)
                written.append(directory / name)
    crack = (directory / "references.json").is_file()
    for names, study in PICTURED:
        if (study in OF_A_CRACK or not crack) and any((directory / name).is_file() for name in names):
            module = importlib.import_module(f"multiscale.{study}_plots")
            written += getattr(module, f"make_{study}_plots")(directory)
    return written


def house_style() -> AbstractContextManager[None]:
    """Matplotlib settings of all figures."""
    import matplotlib as mpl

    return mpl.rc_context(STYLE)  # type: ignore[arg-type]


def new_figure(width: float, height: float) -> Any:
    """A figure that needs no display; sizes in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def draw_separation(data: RunData) -> Any:
    """Energy and traction over the opening: atoms, UBER fit, and the law before and after the bulk is taken out."""
    table = data.separation
    assert table is not None
    figure = new_figure(9.2, 3.9)
    left, right = figure.subplots(1, 2)
    opening = table["opening"]
    energy, uber_energy = table.get("energy [j/m^2]"), table.get("uber energy")
    if energy is not None:
        left.plot(opening, energy, "o", color=BLUE, markersize=4.5, label="separation curve", zorder=3)
        _level(left, energy[-1], f"$W_\\mathrm{{sep}}$ = {energy[-1]:.3g} J/m²")
    if uber_energy is not None:
        left.plot(opening, uber_energy, "--", color=GREY, linewidth=1.3, label="UBER fit")
    left.set(title="Energy of separation", xlabel="opening Δ (Å)", ylabel="energy (J/m²)")
    left.legend(loc="center right")
    _draw_tractions(right, data)
    for axes in (left, right):
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
    return figure


def _draw_tractions(axes: Any, data: RunData) -> None:
    assert data.separation is not None
    opening = data.separation["opening"]
    traction, uber = data.separation.get("traction [gpa]"), data.separation.get("uber traction")
    stress = data.law.get("traction [gpa]") if data.law is not None else None
    if data.law is not None and stress is not None:
        axes.plot(data.law["opening"], stress, color=AMBER, label="cohesive law, over δ = Δ − T d/C′", zorder=4)
        peak = int(np.nanargmax(stress))
        place = (data.law["opening"][peak], stress[peak])
        text = f"{stress[peak]:.3g} GPa at δ = {place[0]:.2g} Å"
        axes.annotate(text, place, xytext=(0.97, 0.95), textcoords="axes fraction", ha="right", va="center", fontsize=9,
                      arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.8})  # fmt: skip
    if traction is not None:
        axes.plot(opening, traction, "o", color=BLUE, markersize=4.5, label="separation curve, over Δ", zorder=3)
    if uber is not None:
        axes.plot(opening, uber, "--", color=GREY, linewidth=1.3, label="UBER fit, over Δ")
    axes.set(title="Traction", xlabel="opening (Å)", ylabel="traction (GPa)")
    axes.legend(loc="center right")
    axes.margins(y=0.15)


def _level(axes: Any, value: float, text: str) -> None:
    axes.axhline(value, color=GREY, linewidth=0.8, linestyle=(0, (2, 3)))
    axes.annotate(text, (0.98, value), xycoords=("axes fraction", "data"), xytext=(0, 6), textcoords="offset points",
                  ha="right", color=INK, fontsize=9)  # fmt: skip
    axes.set_ylim(top=max(axes.get_ylim()[1], 1.14 * value))


def draw_load_opening(data: RunData) -> Any:
    """Load and crack tip over the opening, with the beam's envelope."""
    table = data.path
    assert table is not None
    figure = new_figure(7.4, 5.6)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2.4, 1])
    opening, load = table["opening"], table["load"]
    envelope, elastic = table.get("envelope"), table.get("elastic")
    top.plot(opening, load, "-o", color=BLUE, markersize=3, label="finite elements", zorder=3)
    ceiling = 1.18 * np.nanmax(load)
    if envelope is not None and np.nanmin(envelope) < ceiling:
        top.plot(opening, np.where(envelope < 1.6 * ceiling, envelope, np.nan), "--", color=GREY, linewidth=1.4,
                 label="beam theory: crack grows at $G_c$")  # fmt: skip
    if elastic is not None:
        top.plot(
            opening,
            np.where(elastic < 1.06 * np.nanmax(load), elastic, np.nan),
            ":",
            color=GREY,
            linewidth=1.6,
            label="beam theory: crack at rest",
        )
    peak = int(np.nanargmax(load))
    top.plot(opening[peak], load[peak], "o", markersize=9, markerfacecolor="none", markeredgecolor=INK, zorder=4)
    across, side = (0.03, "left") if opening[peak] > 0.4 * opening[-1] else (0.97, "right")
    text = f"peak {load[peak]:.4g} N/m at {opening[peak]:.4g} nm"
    top.text(across, 0.94, text, transform=top.transAxes, ha=side, va="top", fontsize=9)
    top.set(title="Load over opening", ylabel="load per width (N/m)", ylim=(0, ceiling))
    top.legend(loc="lower right")
    tip = table.get("crack tip")
    if tip is not None:
        bottom.plot(opening, tip, "-o", color=TEAL, markersize=3)
        bottom.text(
            0.985, 0.1, f"grown by {tip[-1] - tip[0]:.0f} nm", transform=bottom.transAxes, ha="right", fontsize=9
        )
        bottom.margins(y=0.2)
    bottom.set(xlabel="opening (nm)", ylabel="crack tip (nm)")
    bottom.set_xlim(left=0)
    return figure


ENERGY_PARTS = (
    ("bulk", "stored in the bodies", BLUE),
    ("interface", "stored in the interface", AMBER),
    ("dissipated", "dissipated by debonding", RED),
)


def draw_energy(data: RunData) -> Any:
    """Where the work went, over the path, and by how much the parts fail to add up to it."""
    table = data.path
    assert table is not None
    figure = new_figure(7.4, 5.2)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2.6, 1])
    opening = table["opening"]
    parts = [(table.get(name), label, colour) for name, label, colour in ENERGY_PARTS]
    shown = [(values, label, colour) for values, label, colour in parts if values is not None]
    work = table.get("work")
    scale, unit = joules_per_metre(np.nansum([values for values, _, _ in shown], axis=0) if shown else np.ones(1))
    top.stackplot(
        opening,
        [values * scale for values, _, _ in shown],
        labels=[label for _, label, _ in shown],
        colors=[colour for _, _, colour in shown],
        alpha=0.92,
        linewidth=0,
    )
    if work is not None:
        top.plot(opening, work * scale, color=INK, linewidth=1.6, label="work of the load")
        total = np.sum([values for values, _, _ in shown], axis=0)
        defect = np.maximum(np.abs(work - total) / np.nanmax(np.abs(work)), 1e-14)
        bottom.semilogy(opening, defect, "-o", color=GREY, markersize=2.5, linewidth=1.2)
    top.set(title="Where the work went", ylabel=f"energy per width ({unit})")
    top.legend(loc="upper left")
    bottom.set(xlabel="opening (nm)", ylabel="|work − parts|\n/ total work")
    bottom.set_xlim(opening[0], opening[-1])
    return figure


def joules_per_metre(values: np.ndarray) -> tuple[float, str]:
    """Factor and unit in which energies per width read well."""
    largest = float(np.nanmax(np.abs(values))) or 1.0
    for factor, unit in ((1.0, "J/m"), (1e3, "mJ/m"), (1e6, "µJ/m"), (1e9, "nJ/m")):
        if largest * factor >= 1:
            return factor, unit
    return 1e12, "pJ/m"


def draw_stacks(data: RunData) -> Any:
    """Stacks of atoms against what the laws predict: one column for each number of planes."""
    table = data.stacks
    assert table is not None
    planes = sorted(set(table["planes"].astype(int)))
    labels = [name.removeprefix("energy ") for name in table.columns if name.startswith("energy ") and "[" not in name]
    figure = new_figure(max(7.4, 3.9 * len(planes)), 6.2)
    grid = figure.subplots(2, len(planes), sharex="col", squeeze=False)
    for column, count in enumerate(planes):
        chosen = table["planes"].astype(int) == count
        for row, quantity in enumerate(("energy", "stress")):
            axes = grid[row, column]
            for index, label in enumerate(labels):
                values = table.get(f"{quantity} {label}")
                if values is not None:
                    _stack_curve(axes, table["elongation"][chosen], values[chosen], label, index)
            axes.set_xlim(left=0)
            axes.set_ylim(bottom=0)
        grid[0, column].set_title(f"{count} planes")
        grid[1, column].set_xlabel("elongation of the stack (Å)")
    grid[0, 0].set_ylabel("energy (J/m²)")
    grid[1, 0].set_ylabel("stress (GPa)")
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), 3))
    return figure


def _stack_curve(axes: Any, elongation: np.ndarray, values: np.ndarray, label: str, index: int) -> None:
    finite = np.isfinite(values)
    order = np.argsort(elongation[finite], kind="stable")
    across, up = elongation[finite][order], values[finite][order]
    if label.startswith("atoms"):
        axes.plot(across, up, "o", color=BLUE, markersize=4.5, zorder=4, label=label)
    elif "uncorrected" in label:
        axes.plot(across, up, "--", color=RED, label=label)
    else:
        axes.plot(across, up, color=(AMBER, TEAL, GREY, INK)[max(index - 1, 0) % 4], label=label)


def draw_specimen(data: RunData) -> Any:
    """The deformed specimen coloured by stress, whole and around the crack tip, displacements at true scale."""
    fields = data.fields
    assert fields is not None
    points = fields["points"][:, :2] + fields["displacement"][:, :2]
    triangles = fields["triangles"]
    stress = _at_points(fields["von_mises"], triangles, len(points))
    length, height = np.ptp(points, axis=0)
    tip = _crack_tip(data)
    strip = 9.2 * height / length
    figure = new_figure(9.2, float(np.clip(strip, 0.8, 5.0)) + (4.3 if tip else 1.0))
    heights = [max(strip, 0.9), 3.6] if tip else [1.0]
    whole, *zoomed = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights).flat
    _stress_map(figure, whole, points, triangles, stress, np.percentile(stress, 99.5))
    whole.set(title="Deformed specimen, displacements at true scale", xlabel="x (nm)", ylabel="y (nm)")
    if tip:
        axes, (x, y) = zoomed[0], tip
        half = min(40 * _facet_size(points, triangles, tip), length / 20)
        inside = _triangles_within(points, triangles, x - half, x + half, y - half / 3, y + half / 3)
        local = stress[triangles[inside]]
        _stress_map(figure, axes, points, triangles[inside], stress, np.percentile(local, 99.8) if local.size else 1.0)
        axes.set(title="Around the crack tip", xlabel="x (nm)", ylabel="y (nm)")
        axes.set_xlim(x - half, x + half)
        axes.set_ylim(y - half / 3, y + half / 3)
        box = [x - half, y - half / 3, 2 * half, 2 * half / 3]
        whole.indicate_inset(box, edgecolor=INK, alpha=0.9, linewidth=1.0)
    return figure


def _crack_tip(data: RunData) -> tuple[float, float] | None:
    """The crack tip in nm, on the interface at the last step; None where the specimen has none."""
    tip = data.path.get("crack tip") if data.path is not None else None
    if tip is None or data.fields is None or not np.isfinite(tip[-1]):
        return None
    points = data.fields["points"]
    if not points[:, 0].min() < tip[-1] < points[:, 0].max():
        return None
    return float(tip[-1]), float(points[:, 1].min() + points[:, 1].max()) / 2


def _at_points(values: np.ndarray, triangles: np.ndarray, count: int) -> np.ndarray:
    """Values of triangles averaged at their corners; bodies share no points, so nothing is averaged across an interface."""
    corners = triangles.ravel()
    total = np.bincount(corners, weights=np.repeat(values, 3), minlength=count)
    return total / np.maximum(np.bincount(corners, minlength=count), 1)


def _facet_size(points: np.ndarray, triangles: np.ndarray, place: tuple[float, float]) -> float:
    """Shortest edge of the triangle closest to a place."""
    corners = points[triangles]
    closest = corners[np.argmin(np.hypot(*(corners.mean(axis=1) - place).T))]
    return float(np.hypot(*(closest - np.roll(closest, 1, axis=0)).T).min())


def _triangles_within(
    points: np.ndarray, triangles: np.ndarray, left: float, right: float, bottom: float, top: float
) -> np.ndarray:
    corners = points[triangles]
    overlap_x = (corners[..., 0].max(axis=1) >= left) & (corners[..., 0].min(axis=1) <= right)
    return overlap_x & (corners[..., 1].max(axis=1) >= bottom) & (corners[..., 1].min(axis=1) <= top)


def _stress_map(
    figure: Any, axes: Any, points: np.ndarray, triangles: np.ndarray, stress: np.ndarray, top: float
) -> None:
    options = {"cmap": STRESS_COLOURS, "vmin": 0.0, "vmax": float(top) or 1.0, "rasterized": True}
    shown = axes.tripcolor(points[:, 0], points[:, 1], triangles, stress, shading="gouraud", **options)
    bar = figure.colorbar(shown, ax=axes, extend="max", pad=0.015, aspect=14, shrink=0.95)
    bar.outline.set_visible(False)
    bar.set_label("von Mises (GPa)")
    axes.set_aspect("equal")
    axes.grid(False)
