"""The figures of a defect run: the zone in its body, the search, the error against all atoms, from the run directory alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.plots import AMBER, BLUE, FAINT, GREY, INK, TEAL, house_style, new_figure
from multiscale.tables import Table, read_table

#: Colours of atoms by what they are to the coupling.
ROLE_COLOURS = (BLUE, AMBER, "white")
ROLE_LABELS = ("core", "blend", "pad")
#: Strains below this part of the largest one shown are drawn alike.
_FLOOR = 3e-4


@dataclass(frozen=True, kw_only=True)
class DefectData:
    """What the figures are drawn from; what a run has not written is None."""

    zone: dict[str, np.ndarray] | None
    convergence: Table | None
    interaction: Table | None
    error: dict[str, np.ndarray] | None
    profile: Table | None


def read_defect(directory: str | Path) -> DefectData:
    """Read what a defect run has left."""
    directory = Path(directory)

    def table(name: str) -> Table | None:
        return read_table(directory / name) if (directory / name).is_file() else None

    def arrays(name: str) -> dict[str, np.ndarray] | None:
        if not (directory / name).is_file():
            return None
        with np.load(directory / name) as archive:
            return {key: archive[key] for key in archive.files}

    return DefectData(
        zone=arrays("zone.npz"),
        convergence=table("convergence.csv"),
        interaction=table("interaction.csv"),
        error=arrays("error.npz"),
        profile=table("error.csv"),
    )


def make_defect_plots(directory: str | Path) -> list[Path]:
    """Draw every figure of a defect run for which its directory holds data.

    Returns:
        The files written: zone.png, convergence.png, error.png, interaction.png, as far as possible.
    """
    directory = Path(directory)
    data = read_defect(directory)
    figures: list[tuple[str, Any, Callable[[DefectData], Any]]] = [
        ("zone.png", data.zone, draw_zone),
        ("convergence.png", data.convergence, draw_convergence),
        ("error.png", data.error, draw_error),
        ("interaction.png", data.interaction, draw_interaction),
    ]
    written = []
    with house_style():
        for name, needed, draw in figures:
            if needed is not None:
                draw(data).savefig(directory / name)
                written.append(directory / name)
    return written


def draw_zone(data: DefectData) -> Any:
    """The deformed body coloured by strain, whole, and the atoms of the zone upon it."""
    zone = data.zone
    assert zone is not None
    figure = new_figure(10.4, 5.4)
    whole, near = figure.subplots(1, 2)
    scale = _strain_scale(zone["strain"])
    shown = _paint(whole, zone, scale)
    _paint(near, zone, scale, edges=True)
    middle, half = _window(zone)
    cut = ", cut through the middle" if zone["cells"].shape[1] == 4 else ""
    whole.set(title=f"Body{cut}", xlabel="x (nm)", ylabel="y (nm)")
    near.set(title="Zone: atoms at their deformed places", xlabel="x (nm)", ylabel="y (nm)")
    near.set_xlim(middle[0] - half, middle[0] + half)
    near.set_ylim(middle[1] - half, middle[1] + half)
    _atoms(figure, near, zone, half, middle)
    whole.indicate_inset([middle[0] - half, middle[1] - half, 2 * half, 2 * half], edgecolor=INK, alpha=0.9)
    bar = figure.colorbar(shown, ax=[whole, near], extend="both", pad=0.015, aspect=30, shrink=0.85)
    bar.outline.set_visible(False)
    bar.set_label("|∇u| beyond the far field")
    near.legend(loc="upper right", frameon=True, framealpha=0.9, edgecolor="none", markerscale=1.0)
    return figure


def _strain_scale(strain: np.ndarray) -> Any:
    """Logarithmic colours from the smallest strain worth showing to nearly the largest."""
    from matplotlib.colors import LogNorm

    known = strain[np.isfinite(strain) & (strain > 0.0)]
    top = float(np.percentile(known, 99)) if known.size else 1.0
    top = max(top, 1e-12)
    return LogNorm(vmin=max(_FLOOR * top, 1e-12), vmax=top)


def _flat(zone: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (n, 2), triangles (k, 3) and strain (k,) of a plane body, or of the cut z = 0 through a solid one."""
    points, cells, strain = zone["deformed"], zone["cells"], zone["strain"]
    if cells.shape[1] == 3:
        return points[:, :2], cells, strain
    return cut_tetrahedra(points, cells, strain)


def cut_tetrahedra(
    points: np.ndarray, cells: np.ndarray, values: np.ndarray, *, height: float | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut tetrahedra by a plane z = const.

    Args:
        points: (n, 3).
        cells: (k, 4).
        values: (k,) of the cells.
        height: of the plane; by default a little off the middle of the points, so that it hits none.

    Returns:
        Points (p, 2) and triangles (q, 3) of the cut, and the values (q,) of the cells cut.
    """
    z = points[:, 2]
    level = float(0.5 * (z.min() + z.max()) + 1e-4 * np.ptp(z)) if height is None else height
    above = z[cells] > level
    found_points, found_values = [], []
    count = above.sum(axis=1)
    for odd in (1, 3):
        pick = np.flatnonzero(count == odd)
        lone = np.argmax(above[pick] if odd == 1 else ~above[pick], axis=1)
        tip = cells[pick, lone]
        rest = np.array([[j for j in range(4) if j != k] for k in range(4)])[lone]
        others = np.take_along_axis(cells[pick], rest, axis=1)
        found_points.append(_crossings(points, np.repeat(tip[:, None], 3, axis=1), others, level))
        found_values.append(values[pick])
    pick = np.flatnonzero(count == 2)
    order = np.argsort(~above[pick], axis=1, kind="stable")
    a, b, c, d = (np.take_along_axis(cells[pick], order[:, k : k + 1], axis=1)[:, 0] for k in range(4))
    first = _crossings(points, np.stack([a, a, b], axis=1), np.stack([c, d, d], axis=1), level)
    second = _crossings(points, np.stack([a, b, b], axis=1), np.stack([c, d, c], axis=1), level)
    corners = np.concatenate([*found_points, first, second])
    all_values = np.concatenate([*found_values, values[pick], values[pick]])
    return corners.reshape(-1, 2), np.arange(3 * len(corners)).reshape(-1, 3), all_values


def _crossings(points: np.ndarray, start: np.ndarray, end: np.ndarray, level: float) -> np.ndarray:
    """Where edges (k, 3) cross the plane: (k, 3, 2)."""
    a, b = points[start], points[end]
    share = ((level - a[..., 2]) / (b[..., 2] - a[..., 2]))[..., None]
    return np.asarray((a + share * (b - a))[..., :2])


def _paint(axes: Any, zone: dict[str, np.ndarray], scale: Any, *, edges: bool = False) -> Any:
    """Cells in the colour of their strain; those without an atom at a corner stay white."""
    points, triangles, strain = _flat(zone)
    here = np.isfinite(strain)
    shown = axes.tripcolor(
        points[:, 0],
        points[:, 1],
        triangles[here],
        np.maximum(strain[here], scale.vmin),
        norm=scale,
        cmap="magma",
        edgecolors="#ffffff40" if edges else "none",
        linewidth=0.15 if edges else 0.0,
        rasterized=True,
    )
    axes.set_aspect("equal")
    axes.grid(False)
    return shown


def _window(zone: dict[str, np.ndarray]) -> tuple[np.ndarray, float]:
    """Middle and half width of a square about the atoms."""
    places = zone["atoms"][:, :2]
    low, high = places.min(axis=0), places.max(axis=0)
    return 0.5 * (low + high), 0.53 * float((high - low).max())


def _atoms(figure: Any, axes: Any, zone: dict[str, np.ndarray], half: float, middle: np.ndarray) -> None:
    """Atoms by role; of a solid body those of a layer about the cut."""
    places, role = zone["atoms"], zone["atom_role"]
    if zone["cells"].shape[1] == 4:
        level = 0.5 * (zone["deformed"][:, 2].min() + zone["deformed"][:, 2].max())
        # Half the spacing of neighbours: one plane of atoms or two.
        layer = np.abs(places[:, 2] - level) < 0.11
        places, role = places[layer], role[layer]
        foreign = zone["atom_foreign"][layer]
    else:
        foreign = zone["atom_foreign"]
    # Atoms about 0.1 nm across, in points squared of an axis some 4.2 inches wide.
    size = (0.16 / (2 * half) * 4.2 * 72) ** 2
    for kind, (colour, label) in enumerate(zip(ROLE_COLOURS, ROLE_LABELS, strict=True)):
        here = (role == kind) & ~foreign
        if here.any():
            axes.scatter(*places[here, :2].T, s=size, c=colour, edgecolors=INK, linewidths=0.35, label=label, zorder=3)
    if foreign.any():
        axes.scatter(
            *places[foreign, :2].T, s=size, c=TEAL, edgecolors=INK, linewidths=0.35, label="other element", zorder=4
        )


def draw_convergence(data: DefectData) -> Any:
    """The largest force over the iterations."""
    table = data.convergence
    assert table is not None
    figure = new_figure(6.4, 3.4)
    axes = figure.subplots()
    axes.semilogy(table["iteration"], table["largest force"], "-o", color=BLUE, markersize=4)
    axes.set(title="Search for the equilibrium", xlabel="iteration", ylabel="largest force (eV/Å)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    last = table["largest force"][-1]
    axes.text(0.98, 0.92, f"{last:.1e} eV/Å left", transform=axes.transAxes, ha="right", va="top", fontsize=9)
    return figure


def draw_error(data: DefectData) -> Any:
    """Where the strain differs from that of all atoms: over the body, and against the distance from the core."""
    error, profile = data.error, data.profile
    assert error is not None
    solid = error["cells"].shape[1] == 4
    figure = new_figure(6.4, 3.8) if solid else new_figure(10.4, 4.6)
    if solid:
        right = figure.subplots()
    else:
        left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
        known = np.isfinite(error["error"])
        top = float(np.percentile(error["error"][known], 99.9))
        from matplotlib.colors import LogNorm

        shown = left.tripcolor(
            *error["points"].T,
            error["cells"][known],
            np.maximum(error["error"][known], 1e-4 * top),
            norm=LogNorm(vmin=1e-3 * top, vmax=top),
            cmap="magma",
            rasterized=True,
        )
        bar = figure.colorbar(shown, ax=left, extend="both", pad=0.015, aspect=28, shrink=0.9)
        bar.outline.set_visible(False)
        bar.set_label("|D(u − u_ref)|")
        left.set_aspect("equal")
        left.grid(False)
        left.set(title="Error of the strain", xlabel="x (nm)", ylabel="y (nm)")
    if profile is not None:
        distance, value = profile["distance from the core"], profile["rms error of the strain"]
        right.semilogy(distance, np.where(value > 0.0, value, np.nan), "-", color=BLUE)
        edges = _edges(data)
        if edges:
            right.axvspan(edges[0], edges[1], color=FAINT, alpha=0.7, linewidth=0)
            right.text(np.mean(edges), 0.97, "blend", transform=right.get_xaxis_transform(), ha="center", va="top",
                       fontsize=9, color=GREY)  # fmt: skip
        right.axvline(0.0, color=GREY, linewidth=0.8)
        right.set(
            title="Error of the strain over the distance",
            xlabel="distance from the core (nm)",
            ylabel="root mean square of |D(u − u_ref)|",
        )
    return figure


def _edges(data: DefectData) -> tuple[float, float] | None:
    """From the core's edge to the end of the blend, nm; None where there is no blend."""
    zone = data.zone
    return (0.0, float(zone["width"])) if zone is not None and "width" in zone and zone["width"] > 0.0 else None


def draw_interaction(data: DefectData) -> Any:
    """How the response to a displaced atom decays with distance."""
    table = data.interaction
    assert table is not None
    figure = new_figure(6.4, 3.4)
    axes = figure.subplots()
    distance, decay = table["distance"], table["force constant"]
    axes.semilogy(distance, np.maximum(decay, 1e-12), "o", color=BLUE, markersize=4, label="force on an atom")
    site = table.get("site force constant")
    if site is not None:
        axes.semilogy(distance, np.maximum(site, 1e-12), "o", color=AMBER, markersize=4, label="energy of one site")
    axes.set(
        title="Range of the potential",
        xlabel="distance of the sites (Å)",
        ylabel="response (eV/Å²)",
        ylim=(1e-8, None),
    )
    axes.legend(loc="upper right")
    return figure
