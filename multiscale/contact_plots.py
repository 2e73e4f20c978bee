"""The figures of a contact run: load over approach and contact radius, stress along the surface, from the run directory alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from multiscale.plots import AMBER, BLUE, GREY, INK, RED, STRESS_COLOURS, TEAL, house_style, new_figure
from multiscale.tables import Table, read_table

#: Closed forms: column, label, line and colour.
THEORIES = (
    ("jkr", "JKR", "--", GREY),
    ("dmt", "DMT", ":", GREY),
    ("dugdale", "Dugdale (Maugis; Baney–Hui)", "-", AMBER),
)
_STATES = (("pressed", TEAL), ("zero load", BLUE), ("pull-off", RED))


def make_contact_plots(directory: str | Path) -> list[Path]:
    """Draw every figure of a contact run for which its directory holds data.

    Returns:
        The files written: contact_load.png, contact_profiles.png, contact_stress.png, as far as possible.
    """
    directory = Path(directory)
    written = []

    def table(name: str) -> Table | None:
        return read_table(directory / name) if (directory / name).is_file() else None

    states, theory, profiles = table("contact.csv"), table("theory.csv"), table("contact_profiles.csv")
    with house_style():
        figures: dict[str, Any] = {}
        if states is not None:
            figures["contact_load.png"] = draw_load(states, theory)
        if profiles is not None:
            figures["contact_profiles.png"] = draw_profiles(profiles, table("contact_law.csv"))
        if (directory / "contact_fields.npz").is_file() and states is not None:
            with np.load(directory / "contact_fields.npz") as archive:
                figures["contact_stress.png"] = draw_stress({key: archive[key] for key in archive.files}, states)
        for name, figure in figures.items():
            figure.savefig(directory / name)
            written.append(directory / name)
    return written


def draw_load(states: Table, theory: Table | None) -> Any:
    """Load over approach (a cylinder: displacement) and over contact radius, with the closed forms."""
    figure = new_figure(9.2, 4.0)
    left, right = figure.subplots(1, 2, sharey=True)
    sphere = states.get("approach") is not None
    unit = states.units.get("load", "")
    across = "approach" if sphere else "displacement"
    if theory is not None:
        for name, label, line, colour in THEORIES:
            load = theory.get(f"load {name}")
            if load is None:
                continue
            right.plot(theory["contact radius"], load, line, color=colour, linewidth=1.4, label=label)
            if theory.get(f"approach {name}") is not None:
                left.plot(theory[f"approach {name}"], load, line, color=colour, linewidth=1.4)
    back = states["retracting"] > 0.5
    for chosen, label, style in (
        (~back, "approach", {"markerfacecolor": "none", "color": BLUE, "markersize": 5.5}),
        (back, "retraction", {"color": RED, "markersize": 2.6}),
    ):
        left.plot(states[across][chosen], states["load"][chosen], "o", **style)
        touching = chosen & (states["contact radius"] > 0.0)
        right.plot(states["contact radius"][touching], states["load"][touching], "o", label=label, **style)
    low, high = np.nanmin(states["load"]), np.nanmax(states["load"])
    room = 0.08 * (high - low)
    left.set(title="Load", xlabel=f"{across} (nm)", ylabel=f"load ({unit})", ylim=(low - room, high + room))
    left.set_xlim(np.nanmin(states[across]), np.nanmax(states[across]))
    right.set(title="Contact", xlabel="contact radius (nm)" if sphere else "contact half width (nm)")
    right.set_xlim(0, 1.05 * np.nanmax(states["contact radius"]))
    for axes in (left, right):
        axes.axhline(0.0, color=GREY, linewidth=0.8)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def draw_profiles(profiles: Table, law: Table | None) -> Any:
    """Stress along the surface in the states that matter, and the law."""
    figure = new_figure(9.2, 3.8)
    left, right = figure.subplots(1, 2, width_ratios=[1.7, 1])
    x, widest = profiles["x"], 0.0
    for name, colour in _STATES:
        traction = profiles.get(f"traction {name}")
        if traction is None:
            continue
        left.plot(x, traction, color=colour, linewidth=1.4, label=name)
        pulled = np.flatnonzero(np.abs(traction) > 0.02 * np.abs(traction).max())
        widest = max(widest, float(x[pulled[-1]]) if len(pulled) else 0.0)
    left.axhline(0.0, color=GREY, linewidth=0.8)
    left.set(
        title="Stress along the surface", xlabel="distance from the axis (nm)", ylabel="traction, tension up (GPa)"
    )
    left.set_xlim(0, 1.1 * widest or None)
    left.legend(loc="lower right")
    if law is not None:
        right.plot(law["opening"], law["traction"], color=INK)
        right.set(title="Law", xlabel="opening (Å)", ylim=(-0.5 * law["traction"].max(), 1.15 * law["traction"].max()))
        right.axhline(0.0, color=GREY, linewidth=0.8)
    else:
        right.set_axis_off()
    return figure


def draw_stress(fields: dict[str, np.ndarray], states: Table) -> Any:
    """The half space around the contact at pull-off, coloured by von Mises stress, displacements at true scale."""
    zone = float(np.nanmax(states["zone radius"]))
    corners = fields["points"][fields["triangles"]]
    inside = (corners[..., 1].max(axis=1) <= 1e-9 * zone) & (corners[..., 0].min(axis=1) < 1.5 * zone)
    triangles = fields["triangles"][inside & (corners[..., 1].max(axis=1) > -1.2 * zone)]
    points = fields["points"] + fields["displacement"]
    # Stresses of elements, averaged at their corners.
    flat, count = fields["triangles"][inside].ravel(), len(points)
    total = np.bincount(flat, weights=np.repeat(fields["von_mises"][inside], 3), minlength=count)
    stress = total / np.maximum(np.bincount(flat, minlength=count), 1)
    figure = new_figure(7.4, 3.8)
    axes = figure.subplots()
    options = {"cmap": STRESS_COLOURS, "vmin": 0.0, "vmax": float(np.percentile(stress[triangles], 99.8)) or 1.0}
    for sign in (1.0, -1.0):
        shown = axes.tripcolor(
            sign * points[:, 0], points[:, 1], triangles, stress, shading="gouraud", rasterized=True, **options
        )
    bar = figure.colorbar(shown, ax=axes, extend="max", pad=0.015, aspect=14, shrink=0.9)
    bar.outline.set_visible(False)
    bar.set_label("von Mises (GPa)")
    axes.set_aspect("equal")
    axes.grid(False)
    axes.set(title="Half space at pull-off", xlabel="distance from the axis (nm)", ylabel="height (nm)")
    axes.set_xlim(-1.5 * zone, 1.5 * zone)
    axes.set_ylim(-1.2 * zone, 0.1 * zone)
    return figure
