"""Pictures of the vacancy benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import matplotlib
import numpy as np
from toy_eam_problem import layers_at

from coupling.handshake import CoupledModel

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

# Colour by method, mark and line by degree.
_COLOURS = {
    "clamped": "#7f7f7f",
    "qce": "#bcbd22",
    "bqce": "#d62728",
    "bgfc": "#1f77b4",
    "bqcf": "#2ca02c",
    "schwarz": "#ff7f0e",
}
_NAMES = {
    "clamped": "clamped atoms",
    "qce": "QCE",
    "bqce": "BQCE",
    "bgfc": "BGFC",
    "bqcf": "BQCF",
    "schwarz": "Schwarz",
}


class Drawn(Protocol):
    """What is drawn of a solution."""

    nodes: int
    error: float
    seconds: float


def plot_errors(
    curves: Mapping[str, Sequence[Drawn]], grac: Sequence[tuple[int, float]], path: Path, *, sizes: float = 5.0
) -> None:
    """Error against nodes and against seconds, one curve a method and degree.

    Args:
        curves: points by "method P1".
        grac: published (nodes, error) to compare with.
        path: of the PNG.
        sizes: of the marks.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.0, 5.4), sharey=True, layout="constrained")
    for label, points in curves.items():
        method, _, degree = label.partition(" ")
        # BQCF and Schwarz lie on BGFC: larger open marks keep all of them in sight.
        grow = {"bgfc": 0.7, "bqcf": 1.2, "schwarz": 1.8}.get(method, 1.0)
        style = {
            "color": _COLOURS[method],
            "marker": "s" if degree == "P2" else "o",
            "linestyle": "-" if degree == "P2" else "--",
            "markersize": sizes * grow,
            "markerfacecolor": _COLOURS[method] if method in ("bgfc", "bqce", "qce", "clamped") else "none",
            "label": " ".join([_NAMES[method], *([degree] if degree else [])]),
        }
        for axes, x in ((left, [p.nodes for p in points]), (right, [p.seconds for p in points])):
            axes.loglog(x, [p.error for p in points], **style)
    left.loglog(*zip(*grac, strict=True), ":", color="black", marker="x", label="GRAC, published")
    _guide(left, 1150.0, 6.2e-2, -0.5, "N$^{-1/2}$")
    _guide(left, 3500.0, 7.5e-3, -1.0, "N$^{-1}$")
    _guide(left, 1300.0, 2.6e-3, -1.5, "N$^{-3/2}$")
    left.set_xlabel("nodes")
    right.set_xlabel("seconds: mesh, assembly and solution, one core")
    left.set_ylabel("relative error of the strain, truncation included")
    for axes in (left, right):
        axes.grid(True, which="major", alpha=0.3)
    figure.legend(*left.get_legend_handles_labels(), fontsize=9, loc="outside lower center", ncols=5)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _guide(axes: Axes, start: float, value: float, power: float, text: str) -> None:
    """A short straight line of a given slope."""
    x = np.array([start, 4.0 * start])
    axes.loglog(x, value * (x / start) ** power, color="black", linewidth=0.8)
    axes.annotate(text, (x[1], value * 4.0**power), fontsize=9, xytext=(3, -2), textcoords="offset points")


def plot_mesh(model: CoupledModel, path: Path) -> None:
    """Atoms coloured by β, elements and their nodes: the whole body and its inside."""
    body, partition = model.body, model.partition
    places = partition.lattice.places(partition.indices[model.present])
    figure, panels = plt.subplots(1, 2, figsize=(11.0, 5.0), layout="constrained")
    fine = float(layers_at(places[partition.beta[model.present] < 1.0]).max())
    for axes, reach in zip(panels, (float(layers_at(body.nodes).max()), 2.4 * fine), strict=True):
        axes.triplot(*body.mesh.points.T, body.cells, color="#1f77b4", linewidth=0.4)
        axes.set_xlim(-1.02 * reach, 1.02 * reach)
        axes.set_ylim(-0.9 * reach, 0.9 * reach)
        axes.set_aspect("equal")
        axes.set_xlabel("spacings")
    axes.plot(*body.nodes[len(body.mesh.points) :].T, ".", color="#1f77b4", markersize=2.5, label="mid-side nodes")
    counted = partition.beta[model.present] < 1.0
    atoms = axes.scatter(
        *places[counted].T, c=partition.beta[model.present][counted], s=14, cmap="viridis", vmin=0, vmax=1, zorder=3
    )
    figure.colorbar(atoms, ax=axes, label="β of the atoms: 0 atomistic, 1 continuum", shrink=0.85)
    axes.legend(fontsize=8, loc="upper right")
    figure.savefig(path, dpi=150)
    plt.close(figure)
