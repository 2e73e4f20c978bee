"""The picture of two crystals on a common cell and of their separation."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import numpy as np

from atomistic.bicrystal import Bicrystal
from atomistic.curves import SeparationCurve

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle, Polygon

JOULE, GPA = 16.02176634, 160.2176634
_COLOURS = {"Al(111)": "#8a94a0", "Cu(111)": "#c26a2d", "Al(111)/Cu(111)": "#1f6fb2"}
_LOWER, _UPPER = "#8a94a0", "#c26a2d"


def draw(bicrystal: Bicrystal, curves: Mapping[str, SeparationCurve], file: str) -> None:
    """Draw the planes that meet from above, the joined slabs from the side, energies and tractions."""
    figure, axes = plt.subplots(1, 4, figsize=(15.0, 4.3), width_ratios=[1.05, 0.8, 1.1, 1.1], layout="constrained")
    _from_above(axes[0], bicrystal)
    _from_the_side(axes[1], bicrystal)
    for name, curve in curves.items():
        style = {"color": _COLOURS[name], "label": name, "marker": "o", "markersize": 3}
        axes[2].plot(curve.opening, curve.energy * JOULE, **style)
        axes[3].plot(curve.opening, curve.traction * GPA, **style)
    axes[2].set(title="energy", xlabel="opening Δ (Å)", ylabel="φ (J/m²)", xlim=(0, None), ylim=(0, None))
    axes[3].set(title="traction", xlabel="opening Δ (Å)", ylabel="T (GPa)", xlim=(0, None))
    axes[3].axhline(0.0, color="#b0b7bf", linewidth=0.8)
    axes[2].legend(frameon=False, loc="lower right")
    for each in axes[2:]:
        each.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=130)
    plt.close(figure)


def _tiled(positions: np.ndarray, cell: np.ndarray, reach: int) -> np.ndarray:
    """Repeat positions (n, 3) in the plane."""
    shifts = np.array([[i, j] for i in range(-reach, reach + 1) for j in range(-reach, reach + 1)]) @ cell
    return (positions[None, :, :2] + shifts[:, None]).reshape(-1, 2)


def _from_above(axes: Axes, bicrystal: Bicrystal) -> None:
    """The two planes of atoms at the interface with the common cell."""
    lower, upper = bicrystal.lower.positions, bicrystal.upper.positions
    below = _tiled(lower[lower[:, 2] > lower[:, 2].max() - 0.1], bicrystal.cell, 3)
    above = _tiled(upper[upper[:, 2] < 0.1] + [*bicrystal.shift, 0.0], bicrystal.cell, 3)
    middle = 0.5 * bicrystal.cell.sum(axis=0)
    half = 1.05 * float(np.linalg.norm(bicrystal.cell, axis=1).max())
    for points, colour, size, face in ((below, _LOWER, 190, _LOWER), (above, _UPPER, 70, "none")):
        near = points[(np.abs(points - middle) < half).all(axis=1)]
        axes.scatter(*near.T, s=size, facecolors=face, edgecolors=colour, linewidths=1.4, alpha=0.9)
    origin = np.zeros(2)
    a, b = bicrystal.cell
    axes.add_patch(Polygon([origin, a, a + b, b], closed=True, fill=False, edgecolor="#1c2733", linewidth=1.6))
    n, m = bicrystal.match.cells
    axes.set(
        xlim=(middle[0] - half, middle[0] + half),
        ylim=(middle[1] - half, middle[1] + half),
        aspect="equal",
        xticks=[],
        yticks=[],
        title=f"{n} cells of Al to {m} of Cu, {100 * bicrystal.match.strain:.1f}%",
    )


def _from_the_side(axes: Axes, bicrystal: Bicrystal) -> None:
    """The joined slabs, seen along y: atoms as balls that touch, those behind paler."""
    atoms = bicrystal.atoms(room=0.0)
    width, depth = 2.0 * float(np.abs(bicrystal.cell[:, 0]).max()), 8.0
    balls = []
    for half, part in (
        (bicrystal.lower, slice(None, len(bicrystal.lower.numbers))),
        (bicrystal.upper, slice(len(bicrystal.lower.numbers), None)),
    ):
        positions = atoms.positions[part]
        flat = _tiled(positions, bicrystal.cell, 3)
        heights = np.tile(positions[:, 2], len(flat) // len(positions))
        inside = (flat[:, 0] > 0.0) & (flat[:, 0] < width) & (flat[:, 1] > 0.0) & (flat[:, 1] < depth)
        colour = _LOWER if half is bicrystal.lower else _UPPER
        radius = half.crystal.a / np.sqrt(8.0)
        balls += [(y, x, z, radius, colour) for (x, y), z in zip(flat[inside], heights[inside], strict=True)]
    for y, x, z, radius, colour in sorted(balls, key=lambda ball: -ball[0]):
        shade = 0.35 + 0.65 * (1.0 - y / depth)
        face = shade * np.array(to_rgb(colour)) + (1.0 - shade)
        axes.add_patch(Circle((x, z), radius, facecolor=face, edgecolor="white", linewidth=0.5, clip_on=False))
    axes.set(xlim=(-1.5, width + 1.5), ylim=(-1.6, float(atoms.positions[:, 2].max()) + 1.6))
    axes.axhline(
        bicrystal.lower.height + 0.5 * bicrystal.distance, color="#1c2733", linewidth=0.9, linestyle=(0, (4, 3))
    )
    axes.set(aspect="equal", xticks=[], yticks=[], title=f"{bicrystal.count} atoms, {bicrystal.distance:.2f} Å apart")
    axes.spines[["top", "right", "bottom", "left"]].set_visible(False)
