"""The figures of a properties run: differences from the reference, equations of state, vacancies over 1/N, γ-surfaces."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.plots import AMBER, BLUE, GREY, INK, RED, TEAL, house_style, new_figure, to_the_letter
from multiscale.tables import TableError

COLOURS = (BLUE, RED, TEAL, AMBER, "#7a4fa3", INK, "#5b8c2a", "#b0578d")
MARKS = "osD^vPX*"
Data = Mapping[str, Any]


def make_properties_plots(directory: str | Path) -> list[Path]:
    """Draw every figure of a properties run for which its directory holds data.

    Returns:
        The files written: properties.png, eos.png, vacancy.png, gamma_lines.png, gamma_surface.png, as far as possible.

    Raises:
        TableError: for a file that cannot be read.
    """
    directory = Path(directory)
    path = directory / "properties.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        potentials = data["potentials"]
    except (OSError, ValueError, KeyError) as error:
        raise TableError(f"{path} cannot be read ({error}). Run the case again") from None
    for named, key in [*((one, "label") for one in potentials), *((one, "name") for one in data["references"])]:
        named[key] = to_the_letter(named[key])
    figures: list[tuple[str, Any]] = []
    with house_style():
        if reference := _reference(data):
            figures.append(("properties.png", draw_differences(data, reference)))
        if any("state" in one for one in potentials):
            figures.append(("eos.png", draw_states(potentials)))
        if any("vacancy" in one for one in potentials):
            figures.append(("vacancy.png", draw_vacancies(potentials, data["references"])))
        if any(one["lines"] for one in potentials):
            figures.append(("gamma_lines.png", draw_lines(potentials)))
        if any(one["maps"] for one in potentials):
            figures.append(("gamma_surface.png", draw_surfaces(potentials)))
        for name, figure in figures:
            figure.savefig(directory / name)
    return [directory / name for name, _ in figures]


def _reference(data: Data) -> dict[str, float]:
    """Of each property the value of the first reference that has it."""
    found: dict[str, float] = {}
    for reference in data["references"]:
        for key, value in reference["values"].items():
            if value:
                found.setdefault(key, value)
    known = {key for one in data["potentials"] for key in one["values"]}
    return {key: value for key, value in found.items() if key in known}


def _style(number: int) -> dict[str, Any]:
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKS[number % len(MARKS)]}


def draw_differences(data: Data, reference: Mapping[str, float]) -> Any:
    """Relative difference of each property from its reference; bars are a committee's standard deviation."""
    keys = [key for key in data["symbols"] if key in reference]
    figure = new_figure(8.2, 1.6 + 0.27 * len(keys))
    axes = figure.subplots()
    count = len(data["potentials"])
    for number, one in enumerate(data["potentials"]):
        rows = [k for k, key in enumerate(keys) if one["values"].get(key) is not None]
        differences = [100.0 * (one["values"][keys[k]] / reference[keys[k]] - 1.0) for k in rows]
        bars = [100.0 * one["std"].get(keys[k], 0.0) / abs(reference[keys[k]]) for k in rows]
        places = np.array(rows) + 0.5 * (number - 0.5 * (count - 1)) / max(count, 2)
        axes.errorbar(
            differences,
            places,
            xerr=bars if any(bars) else None,
            linestyle="none",
            markersize=5.5,
            capsize=2.5,
            elinewidth=1.2,
            label=one["label"],
            **_style(number),
        )
    axes.axvline(0.0, color=GREY, linewidth=1.0)
    axes.set_yticks(range(len(keys)), [_shown(data["symbols"][key]) for key in keys])
    axes.set_ylim(len(keys) - 0.4, -0.6)
    axes.set(title="Difference from the reference", xlabel="difference (%)")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=min(count, 4))
    return figure


def _shown(symbol: str) -> str:
    """A symbol with its index lowered."""
    letter, _, below = symbol.partition("_")
    index, bracket, rest = below.partition("(")
    return f"{letter}$_{{\\mathrm{{{index}}}}}${bracket}{rest}" if below else symbol


def draw_states(potentials: Sequence[Data]) -> Any:
    """Energy over volume, with the fitted equation of state."""
    figure = new_figure(6.4, 4.0)
    axes = figure.subplots()
    for number, one in enumerate(potentials):
        if "state" not in one:
            continue
        state, style = one["state"], _style(number)
        axes.plot(state["fit"]["volume"], np.array(state["fit"]["energy"]) - state["lowest"], color=style["color"])
        points = np.array(state["energy"]) - state["lowest"]
        axes.plot(state["volume"], points, linestyle="none", markersize=4.5, label=one["label"], **style)
    axes.set(title="Equation of state", xlabel="volume (Å³/atom)", ylabel="energy above the lowest (eV/atom)")
    axes.set_ylim(bottom=0.0)
    axes.legend(loc="upper center")
    return figure


def draw_vacancies(potentials: Sequence[Data], references: Sequence[Data]) -> Any:
    """Formation energy of a vacancy over the inverse of the cell's size, and its extrapolation."""
    figure = new_figure(6.4, 4.0)
    axes = figure.subplots()
    widest = 0.0
    for number, one in enumerate(potentials):
        if "vacancy" not in one:
            continue
        vacancy, style = one["vacancy"], _style(number)
        inverse = 1.0 / np.array(vacancy["sites"])
        widest = max(widest, float(inverse.max()))
        axes.plot(inverse, vacancy["zero_pressure"], linestyle="none", label=one["label"], **style)
        axes.plot(inverse, vacancy["fixed_volume"], linestyle="none", markerfacecolor="none", **style)
        for kind, line in (("zero_pressure", "-"), ("fixed_volume", ":")):
            if len(inverse) > 1:
                slope = (vacancy[kind][-1] - vacancy[kind][-2]) / (inverse[-1] - inverse[-2])
                ends = np.array([0.0, inverse[-2]])
                axes.plot(
                    ends, vacancy[kind][-1] + slope * (ends - inverse[-1]), line, color=style["color"], linewidth=1.2
                )
    for reference in references:
        value = reference["values"].get("vacancy")
        if value is not None:
            axes.axhline(value, color=GREY, linestyle="--", linewidth=1.0)
            axes.annotate(reference["name"], (0.99 * widest, value), ha="right", va="bottom", color=GREY, fontsize=8.5)
    axes.set(
        title="Vacancy: at zero pressure (full), at fixed volume (open)",
        xlabel="1/N",
        ylabel="formation energy (eV)",
        xlim=(0.0, 1.06 * widest),
    )
    axes.legend(loc="best")
    return figure


def draw_lines(potentials: Sequence[Data]) -> Any:
    """γ-lines, one panel for each plane and direction."""
    kinds = list(dict.fromkeys(_kind(line) for one in potentials for line in one["lines"]))
    figure = new_figure(max(6.4, 4.6 * len(kinds)), 4.0)
    panels = figure.subplots(1, len(kinds), squeeze=False)[0]
    for axes, kind in zip(panels, kinds, strict=True):
        for number, one in enumerate(potentials):
            for line in one["lines"]:
                if _kind(line) != kind:
                    continue
                style, period = _style(number), line["shift"][-1]
                axes.plot(np.array(line["fine"]["shift"]) / period, line["fine"]["energy"], color=style["color"])
                places = np.array(line["shift"]) / period
                axes.plot(places, line["energy"], linestyle="none", markersize=3.5, label=one["label"], **style)
        plane, direction = (" ".join(map(str, indices)) for indices in kind)
        axes.set(title=f"({plane}) along [{direction}]", xlabel="shift over the period", ylabel="energy (mJ/m²)")
        axes.set_xlim(0.0, 1.0)
        axes.legend(loc="best")
    return figure


def _kind(line: Data) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(line["plane"]), tuple(line["direction"])


def draw_surfaces(potentials: Sequence[Data]) -> Any:
    """γ-surfaces over the cell of the plane, one panel for each potential and plane."""
    shown = [(one["label"], surface) for one in potentials for surface in one["maps"]]
    figure = new_figure(max(5.0, 3.6 * len(shown)), 3.8)
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, (label, surface) in zip(panels, shown, strict=True):
        energy, lattice = np.array(surface["energy"]), np.array(surface["lattice"])
        # Once round, so that the cell closes.
        energy = np.pad(energy, ((0, 1), (0, 1)), mode="wrap")
        fractions = np.stack(np.meshgrid(*(np.linspace(0.0, 1.0, n) for n in energy.shape), indexing="ij"), axis=-1)
        places = fractions @ lattice
        filled = axes.contourf(places[..., 0], places[..., 1], energy, levels=24, cmap="viridis")
        bar = figure.colorbar(filled, ax=axes, shrink=0.9)
        bar.outline.set_visible(False)
        bar.set_label("energy (mJ/m²)")
        plane = " ".join(map(str, surface["plane"]))
        axes.set(title=f"({plane}) by {label}", xlabel="shift x (Å)", ylabel="shift z (Å)")
        axes.set_aspect("equal")
        axes.grid(False)
    return figure
