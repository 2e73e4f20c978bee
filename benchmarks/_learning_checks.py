"""What the learning benchmarks measure: errors on held-out frames, doubt against error, rigid separation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline
from scipy.stats import spearmanr

from atomistic.labelled import LabelledFrame, read_frames
from atomistic.potentials.base import Evaluation, Potential
from atomistic.pulling import traction_of

Array = NDArray[np.float64]
DATA = Path(__file__).parent / "data"
JOULE_PER_M2, GPA = 16.021766, 160.21766  # of an eV/Å², of an eV/Å³


def data(name: str) -> list[LabelledFrame]:
    """Return a group of shipped frames, e.g. "al_gpaw_held"."""
    return read_frames(DATA / f"{name}.extxyz")


def force_errors(potential: Potential, frames: Sequence[LabelledFrame]) -> list[Array]:
    """Return the error of each frame's forces, (n, 3), eV/Å."""
    return [potential.evaluate(frame.atoms, stress=False).forces - frame.forces for frame in frames]


def rmse(errors: Sequence[Array]) -> float:
    """Root mean square of all components."""
    return float(np.sqrt(np.mean(np.concatenate([error.ravel() for error in errors]) ** 2)))


def chosen(errors: Sequence[Array], frames: Sequence[LabelledFrame], *words: str) -> list[Array]:
    """Return the errors of frames whose group holds one of the words."""
    return [error for error, frame in zip(errors, frames, strict=True) if any(w in frame.config_type for w in words)]


def rank_correlations(doubts: Sequence[Array], errors: Sequence[Array]) -> tuple[float, float]:
    """Return Spearman's rank correlation of disagreement and size of the error: by structure (largest), by atom."""
    sizes = [np.linalg.norm(error, axis=1) for error in errors]
    by_structure = spearmanr([d.max() for d in doubts], [s.max() for s in sizes]).statistic
    by_atom = spearmanr(np.concatenate(doubts), np.concatenate(sizes)).statistic
    return float(by_structure), float(by_atom)


@dataclass(frozen=True, kw_only=True)
class Separation:
    """A rigid separation: openings (Å), energies (J/m²) from the closed state, tractions (GPa)."""

    opening: Array
    energy: Array
    traction: Array

    @property
    def work(self) -> float:
        """Work of separation, J/m²: at the largest opening, 6 Å."""
        return float(self.energy[-1])

    def smooth(self, opening: Array) -> Array:
        """Traction (GPa) between the openings: slope of the energy, which meets energies and tractions there."""
        curve = CubicHermiteSpline(self.opening, self.energy, self.traction / 10.0)  # 1 GPa is 0.1 J/m² per Å
        return np.asarray(curve(opening, 1)) * 10.0

    @property
    def peak(self) -> float:
        """Largest traction, GPa."""
        return float(self.smooth(np.linspace(0.0, 3.0, 601)).max())


def separation(frames: Sequence[LabelledFrame], potential: Potential | None = None) -> Separation:
    """Return the curve of the frames, by a potential or (None) by their labels."""
    frames = sorted(frames, key=lambda frame: float(frame.provenance["opening_A"]))
    answers = [_label(frame) if potential is None else potential.evaluate(frame.atoms) for frame in frames]
    cells = [frame.atoms.cell.array for frame in frames]
    area = abs(cells[0][0, 0] * cells[0][1, 1])
    energies = np.array([answer.energy for answer in answers])
    pulls = [traction_of(a, frame.atoms.positions, c) for a, frame, c in zip(answers, frames, cells, strict=True)]
    return Separation(
        opening=np.array([float(frame.provenance["opening_A"]) for frame in frames]),
        energy=(energies - energies[0]) / area * JOULE_PER_M2,
        traction=np.array(pulls) / area * GPA,
    )


def _label(frame: LabelledFrame) -> Evaluation:
    return Evaluation(energy=frame.energy, forces=frame.forces, stress=frame.stress)
