"""Pictures of the learning benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from _learning_checks import Separation

from atomistic.active_learning import LearningResult
from atomistic.validation import Calibration

matplotlib.use("Agg")
from matplotlib import pyplot

INK, SOFT, BEFORE, AFTER, ASKED = "#222222", "#9a9a9a", "#c4541a", "#1f5fa8", "#3a8f4a"


def draw_learning(result: LearningResult, doubts: Sequence, errors: Sequence, *, threshold: float, path: Path) -> None:
    """Doubt along the run with the oracle's calls, held-out error by round, and doubt against error."""
    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(12.0, 3.6), width_ratios=(1.8, 1.0, 1.0))
    left.semilogy([c.step for c in result.checks], [c.disagreement for c in result.checks], ".", color=INK, ms=3)
    asked = [c for c in result.checks if not c.trusted]
    left.semilogy(
        [c.step for c in asked], [c.disagreement for c in asked], "o", color=ASKED, ms=5, label="oracle asked"
    )
    left.axhline(threshold, color=SOFT, lw=1)
    left.set(xlabel="step", ylabel="largest disagreement (eV/Å)", ylim=(0.05, None))
    left.legend(frameon=False)
    middle.plot(range(len(result.held_out)), result.held_out, "-", color=AFTER)
    middle.set(xlabel="retrainings", ylabel="held-out force RMSE (eV/Å)", ylim=(0.0, None))
    sizes = [float(np.linalg.norm(e, axis=1).max()) for e in errors]
    right.loglog([float(d.max()) for d in doubts], sizes, "o", color=AFTER, ms=4)
    right.set(xlabel="largest disagreement (eV/Å)", ylabel="largest error (eV/Å), held out")
    _save(figure, path)


def draw_separations(
    exact: Separation, before: Separation, after: Separation, members: Sequence[Separation], *, path: Path
) -> None:
    """Energies and tractions of the rigid separation: PBE, before, after with the members' range."""
    figure, axes = pyplot.subplots(1, 2, figsize=(9.6, 3.8))
    fine = np.linspace(0.0, 6.0, 241)
    for axis, quantity in zip(axes, ("energy", "traction"), strict=True):
        curves = np.array([getattr(m, quantity) for m in members])
        axis.fill_between(exact.opening, curves.min(0), curves.max(0), color=AFTER, alpha=0.25, lw=0)
        axis.plot(exact.opening, getattr(exact, quantity), "o", color=INK, label="PBE (GPAW)")
        axis.plot(before.opening, getattr(before, quantity), "s--", color=BEFORE, ms=4, label="SevenNet-0")
        axis.plot(after.opening, getattr(after, quantity), "^-", color=AFTER, ms=4, label="taught; members' range")
        axis.set(xlabel="opening (Å)", xlim=(0.0, 6.1))
    axes[1].plot(fine, exact.smooth(fine), color=INK, lw=0.7)
    axes[0].set_ylabel("energy (J/m²)")
    axes[1].set_ylabel("traction (GPa)")
    axes[0].legend(frameon=False)
    _save(figure, path)


def draw_trust(doubts: Sequence, errors: Sequence, found: Calibration, *, path: Path) -> None:
    """Doubt against error, atom by atom and structure by structure; and the calibration of the spread."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9.0, 3.8))
    sizes = [np.linalg.norm(error, axis=1) for error in errors]
    left.loglog(np.concatenate(doubts), np.concatenate(sizes), ".", color=SOFT, ms=3, label="atoms")
    left.loglog(
        [d.max() for d in doubts], [s.max() for s in sizes], "o", color=AFTER, ms=4, label="structures, largest"
    )
    left.set(xlabel="disagreement (eV/Å)", ylabel="error of the force (eV/Å), held out")
    left.legend(frameon=False)
    right.plot([0, 1], [0, 1], "--", color=SOFT)
    right.plot(found.expected, found.observed, color=AFTER, label=f"miscalibration area {found.area:.3f}")
    right.set(xlabel="expected share within the interval", ylabel="observed share", xlim=(0, 1), ylim=(0, 1))
    right.legend(frameon=False)
    _save(figure, path)


def _save(figure: pyplot.Figure, path: Path) -> None:
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
