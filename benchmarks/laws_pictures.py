"""Pictures of the gallery of laws: mode I with unloading, and mixed-mode paths."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
from laws_cases import BOTH, PEAK, WORK, laws

from continuum.laws import AlfanoSaccoLaw, CohesiveLaw, MixedBilinearLaw
from continuum.laws.base import Array

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

INK, SOFT, FIRST, SECOND, THIRD, FOURTH = "#222222", "#9a9a9a", "#1f5fa8", "#c4541a", "#3a8f4a", "#7d4aa0"
HUES = (FIRST, THIRD, SECOND, FOURTH)
GPA = 160.21766  # of an eV/Å³
_GALLERY = {
    "bilinear": "bilinear",
    "trapezoidal": "trapezoidal",
    "exponential": "exponential, UBER",
    "tabulated": "tabulated (from atoms)",
    "mixed_bilinear_bk": "mixed-mode bilinear",
    "xu_needleman": "Xu–Needleman",
    "van_den_bosch": "van den Bosch",
    "park_paulino_roesler": "Park–Paulino–Roesler, α = 5",
    "alfano_sacco": "Alfano–Sacco",
    "dugdale_maugis": "Dugdale–Maugis",
    "lennard_jones": "Lennard-Jones (3, 9)",
    "gamma_surface": "γ-surface (UBER in opening)",
}


def walk(law: CohesiveLaw, path: Array) -> tuple[Array, Array]:
    """Tractions (steps, dim) and energies (steps, 2: stored and contact, dissipated) along a path (steps, dim)."""
    history, tractions, energies = law.fresh(1), [], []
    for jump in path:
        answer = law.evaluate(jump[None, :], history)
        history = answer.history_new
        tractions.append(answer.traction[0])
        energies.append([answer.stored[0] + answer.contact[0], answer.dissipated[0]])
    return np.array(tractions), np.array(energies)


def through(*corners: tuple[float, ...], steps: int = 240) -> Array:
    """Straight from corner to corner (steps, dim)."""
    points = np.array(corners)
    share = np.linspace(0.0, 1.0, steps)[:, None]
    return np.concatenate([a + share * (b - a) for a, b in pairwise(points)])


def dress(axes: Axes, title: str, across: str, up: str) -> None:
    """Title, labels and quiet frame."""
    axes.set_title(title, fontsize=9.5, loc="left", color=INK)
    axes.set_xlabel(across, fontsize=8.5)
    axes.set_ylabel(up, fontsize=8.5)
    axes.axhline(0.0, color=SOFT, lw=0.7, zorder=0)
    axes.tick_params(labelsize=8, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)


def draw_gallery(file: Path) -> None:
    """Mode I: each law opened, closed until the faces press, and opened again to the end."""
    figure, grid = pyplot.subplots(3, 4, figsize=(12.0, 7.6), sharex=True, sharey=True, layout="constrained")
    every, turn, press, end = laws(), 1.1, -0.02, 3.2
    for axes, (name, title) in zip(grid.flat, _GALLERY.items(), strict=True):
        law = every[name]
        opening = through((0.0, 0.0), (turn, 0.0), (0.0, 0.0), (press, 0.0), (turn, 0.0), (end, 0.0))
        traction = GPA * walk(law, opening)[0][:, 0]
        first, back = slice(0, 240), slice(240, 720)
        x = opening[:, 0]
        envelope = np.linspace(0.0, end, 1200)
        full = GPA * law.traction(envelope)
        axes.fill_between(envelope, full, color=FIRST, alpha=0.08, lw=0.0)
        axes.plot(envelope, full, color=FIRST, lw=1.8)
        axes.plot(x[back], traction[back], color=SECOND, lw=1.2, ls=(0, (4, 2)))
        axes.plot(x[first][-1], traction[first][-1], "o", color=SECOND, ms=4)
        dress(axes, title, "", "")
        axes.text(
            0.97, 0.86, law.unloading, transform=axes.transAxes, ha="right", fontsize=8, color=SECOND, style="italic"
        )
        axes.set_xlim(-0.15, end)
        axes.set_ylim(-4.0, 12.0)
    for axes in grid[-1]:
        axes.set_xlabel("opening δₙ (Å)", fontsize=8.5)
    for axes in grid[:, 0]:
        axes.set_ylabel("traction Tₙ (GPa)", fontsize=8.5)
    figure.savefig(file, dpi=140)
    pyplot.close(figure)


def draw_mixed(file: Path) -> None:
    """Tractions along mixed-mode paths, γ-surface shear, friction under pressure, and where the energy goes."""
    figure, grid = pyplot.subplots(2, 4, figsize=(14.0, 7.0), layout="constrained")
    every = laws()
    _fan(grid[0, 0], every["mixed_bilinear_bk"], "mixed-mode bilinear (Benzeggagh–Kenane)")
    _criteria(grid[0, 1])
    _fan(grid[0, 2], every["van_den_bosch"], "van den Bosch")
    _fan(grid[0, 3], every["park_paulino_roesler"], "Park–Paulino–Roesler, φₜ = 2φₙ")
    _order(grid[1, 0], every["xu_needleman"])
    _reversal(grid[1, 1], every["mixed_bilinear_bk"])
    _periodic(grid[1, 2], every["gamma_surface"])
    _friction(grid[1, 3], every["alfano_sacco"])
    figure.savefig(file, dpi=140)
    pyplot.close(figure)


def _fan(axes: Axes, law: CohesiveLaw, title: str) -> None:
    """Tractions for openings at fixed angles to the normal: full line T_n, broken line T_t."""
    size = np.linspace(0.0, 4.4, 700)
    for angle, hue in zip((0.0, 30.0, 60.0, 90.0), HUES, strict=True):
        turn = np.deg2rad(angle)
        jump = size[:, None] * np.array([np.cos(turn), np.sin(turn)])
        traction = GPA * walk(law, jump)[0]
        if angle < 89.0:
            axes.plot(size, traction[:, 0], color=hue, lw=1.5, label=f"{angle:.0f}°")
        if angle > 1.0:
            axes.plot(size, traction[:, 1], color=hue, lw=1.3, ls=(0, (4, 2)), label="90°" if angle > 89.0 else None)
    dress(axes, title, "|δ| (Å)", "Tₙ full, Tₜ broken (GPa)")
    axes.legend(title="angle to normal", fontsize=8, title_fontsize=8, frameon=False)
    axes.set_ylim(-0.4, 14.0)


def _criteria(axes: Axes) -> None:
    """Fracture energy over the share of shear: both criteria (lines) and ∫T·dδ of the law (dots)."""
    shares, dots = np.linspace(0.0, 1.0, 201), np.linspace(0.0, 1.0, 11)
    cases = [("benzeggagh-kenane", 1.0), ("benzeggagh-kenane", 2.5), ("power", 1.0), ("power", 2.0)]
    for (criterion, exponent), hue in zip(cases, HUES, strict=True):
        law = MixedBilinearLaw(**BOTH, initial_stiffness=1.0, criterion=criterion, exponent=exponent)
        short = f"BK, η = {exponent:g}" if criterion != "power" else f"power, α = {exponent:g}"
        axes.plot(shares, law.mixed_energy(shares) / WORK, color=hue, lw=1.5, label=short)
        size = np.concatenate([[0.0], np.geomspace(1e-4, 5.0, 4000)])
        for share in dots:
            direction = np.array([np.sqrt(1.0 - share), np.sqrt(share)])
            along = law.evaluate(size[:, None] * direction, law.fresh(len(size))).traction @ direction
            axes.plot(share, np.trapezoid(along, size) / WORK, "o", color=hue, ms=3.5)
    dress(axes, "mixed-mode bilinear: criteria, and ∫T·dδ (dots)", "share of shear B", "G_c / G_I")
    axes.legend(fontsize=8, frameon=False)
    axes.set_ylim(0.0, 2.5)


def _order(axes: Axes, law: CohesiveLaw) -> None:
    """Energy of Xu and Needleman's law along three ways to the same separation."""
    far = 2.4
    ways = {
        "open, then slide": through((0.0, 0.0), (far, 0.0), (far, far)),
        "slide, then open": through((0.0, 0.0), (0.0, far), (far, far)),
        "both at once": through((0.0, 0.0), (far, far), steps=480),
    }
    for (label, path), hue in zip(ways.items(), HUES, strict=False):
        energy = walk(law, path)[1]
        share = np.linspace(0.0, 1.0, len(path))
        axes.plot(share, energy.sum(axis=1) / WORK, color=hue, lw=1.5, label=label)
        axes.plot(share, energy[:, 1] / WORK, color=hue, lw=1.2, ls=(0, (1, 1.5)))
    dress(axes, "Xu–Needleman, q = ½: three ways to part", "share of the path", "energy / φₙ (dissipated: dotted)")
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    axes.set_ylim(-0.05, 1.45)


def _reversal(axes: Axes, law: CohesiveLaw) -> None:
    """A path that changes its mode: open, unload, slide further, press."""
    path = through((0.0, 0.0), (0.6, 0.0), (0.0, 0.0), (0.0, 1.2), (0.5, 1.2), (-0.01, 1.2), (-0.01, 0.0))
    traction, energy = walk(law, path)
    step = np.arange(len(path)) / 240.0
    axes.plot(step, GPA * traction[:, 0], color=FIRST, lw=1.5, label="Tₙ")
    axes.plot(step, GPA * traction[:, 1], color=SECOND, lw=1.5, label="Tₜ")
    axes.set_ylim(-4.0, 14.0)
    dress(axes, "bilinear: the mode changes, damage stays", "", "traction (GPa)")
    for at, word in enumerate(("open", "close", "slide", "open", "press", "back")):
        axes.axvline(at + 1.0, color=SOFT, lw=0.5)
        axes.text(at + 0.5, -3.6, word, fontsize=8, ha="center", color=INK)
    axes.set_xticks([])
    beside = axes.twinx()
    beside.plot(step, energy[:, 1] / WORK, color=THIRD, lw=1.3, ls=(0, (1, 1.5)))
    beside.set_ylabel("dissipated / G_I (dotted)", fontsize=8.5, color=THIRD)
    beside.set_ylim(-4.0 / 14.0 * 1.4, 1.4)
    beside.set_yticks([0.0, 0.5, 1.0])
    beside.tick_params(labelsize=8)
    beside.spines[["top"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, loc="upper left", ncols=2)


def _periodic(axes: Axes, law: CohesiveLaw) -> None:
    """Shear traction over two periods at fixed openings."""
    slid = np.linspace(0.0, 5.6, 600)
    for share, hue in zip((0.0, 0.5, 1.0, 2.0), HUES, strict=True):
        jump = np.column_stack([np.full_like(slid, share * law.opening_at_peak), slid])
        shear = law.evaluate(jump, law.fresh(len(slid))).traction[:, 1]
        axes.plot(slid, GPA * shear, color=hue, lw=1.5, label=f"{share:g} l")
    dress(axes, "γ-surface: shear at fixed opening", "slip δₜ (Å)", "Tₜ (GPa)")
    axes.legend(title="opening", fontsize=8, title_fontsize=8, frameon=False, ncols=2, loc="upper right")
    axes.set_ylim(-4.3, 6.5)


def _friction(axes: Axes, law: AlfanoSaccoLaw) -> None:
    """Shear there and back under three pressures."""
    for pressure, hue in zip((0.0, 0.02, 0.05), HUES, strict=False):
        closed = -pressure / law.penalty
        path = through((closed, 0.0), (closed, 4.5), (closed, 2.0), (closed, 5.2), steps=500)
        traction = walk(law, path)[0]
        axes.plot(path[:, 1], GPA * traction[:, 1], color=hue, lw=1.5, label=f"{GPA * pressure:.1f} GPa")
    dress(axes, f"Alfano–Sacco, μ = {law.friction:g}: shear under pressure", "δₜ (Å)", "Tₜ (GPa)")
    axes.legend(title="pressure", fontsize=8, title_fontsize=8, frameon=False)
    axes.set_ylim(-4.5, 1.5 * GPA * 1.3 * PEAK)
