"""The figure of an interface with and without an impurity: energies, laws, and the specimen on either law."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.plots import BLUE, GREY, INK, RED, house_style, new_figure
from multiscale.tables import Table, read_table
from multiscale.units import EV_PER_A2_IN_J_PER_M2

SIDES = (("clean", "clean", BLUE), ("impure", "with impurity", RED))


def make_impurity_plots(directory: str | Path) -> list[Path]:
    """Draw impurity.png from the tables of a run.

    Raises:
        TableError: for a file that cannot be read.
    """
    directory = Path(directory)

    def table(name: str) -> Table | None:
        return read_table(directory / name) if (directory / name).is_file() else None

    points: list[dict[str, Any]] = []
    if (directory / "quantum.json").is_file():
        points = json.loads((directory / "quantum.json").read_text(encoding="utf-8"))["points"]
    paths = {"clean": table("load_opening.csv"), "impure": table("load_opening_impure.csv")}
    shown = all(path is not None for path in paths.values())
    with house_style():
        figure = new_figure(11.4 if shown else 8.0, 3.9)
        axes = figure.subplots(1, 3 if shown else 2)
        for name, label, colour in SIDES:
            curve, law = table(f"separation_{name}.csv"), table(f"law_{name}.csv")
            if curve is None or law is None:
                continue
            _draw_energies(axes[0], curve, [p for p in points if p["interface"] == label], label, colour)
            axes[1].plot(law["opening"], law["traction"], color=colour, label=label)
            path = paths[name]
            if shown and path is not None:
                axes[2].plot(path["opening"], path["load"], "-o", color=colour, markersize=2.5, label=label)
        axes[0].set(title="Energy of separation", xlabel="opening Δ (Å)", ylabel="energy (J/m²)")
        axes[1].set(title="Cohesive law", xlabel="opening δ (Å)", ylabel="traction (GPa)")
        if shown:
            axes[2].set(title="Specimen", xlabel="opening (nm)", ylabel="load per width (N/m)")
        for part in axes:
            part.set_xlim(left=0)
            part.set_ylim(bottom=0)
            part.legend(loc="lower right")
        figure.savefig(directory / "impurity.png")
    return [directory / "impurity.png"]


def _draw_energies(axes: Any, curve: Table, points: list[dict[str, Any]], label: str, colour: str) -> None:
    """The potential's curve, the corrected one, and the single points over it."""
    opening, energy = curve["opening"], curve["energy"]
    corrected = curve.get("corrected energy")
    if not points or corrected is None:
        axes.plot(opening, energy, "-o", color=colour, markersize=3, label=label)
        return
    axes.plot(opening, energy, ":", color=colour, linewidth=1.3, label=f"{label}, potential")
    axes.plot(curve["corrected opening"], corrected, color=colour, label=f"{label}, corrected")
    ordered = sorted(points, key=lambda point: point["opening (Å)"])
    area = points[0]["area (Å²)"]
    energies = np.array([point["E (eV)"] for point in ordered])
    values = (energies - energies[0]) / area * EV_PER_A2_IN_J_PER_M2
    places = np.minimum([point["opening (Å)"] for point in ordered], opening[-1])
    axes.plot(places, values, "D", color="white", markeredgecolor=INK, markersize=6, zorder=5)
    axes.axhline(values[-1], color=GREY, linewidth=0.6, linestyle=(0, (2, 3)))
