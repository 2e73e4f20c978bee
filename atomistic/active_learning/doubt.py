"""How much a committee doubts a frame, and by how much a potential errs on frames whose answer is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.active_learning.base import Frame
from atomistic.committee import Committee, committee_of
from atomistic.errors import EvaluationError, LearningError
from atomistic.labelled import LabelledFrame
from atomistic.potentials.base import Potential
from atomistic.ranks import on_first_rank


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Up to where a potential is trusted.

    Attributes:
        threshold: disagreement of forces, eV/Å.
        novelty: how unlike the training atoms an atom may be, 1 for the farthest of them; None: it is not asked.
    """

    threshold: float
    novelty: float | None = None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a committee says of a frame; atoms that are not judged have zeros.

    Attributes:
        disagreement: (n,) largest of two members about the force on each atom, eV/Å.
        novelty: (n,) how unlike the training atoms each is; zeros where it was not asked.
        score: (n,) the larger of both in parts of their limits; the frame is trusted where none is above 1.
    """

    disagreement: NDArray[np.float64]
    novelty: NDArray[np.float64]
    score: NDArray[np.float64]

    @property
    def largest(self) -> float:
        """The largest disagreement, eV/Å."""
        return float(self.disagreement.max())

    @property
    def most_novel(self) -> float:
        """The largest novelty."""
        return float(self.novelty.max())

    @property
    def atom(self) -> int:
        """The atom in doubt."""
        return int(np.argmax(self.score))

    @property
    def trusted(self) -> bool:
        """Whether all is within the limits."""
        return bool(self.score.max() <= 1.0)


def doubting(potential: Potential) -> Committee:
    """Return the committee of a potential.

    Raises:
        LearningError: it is none.
    """
    committee = committee_of(potential)
    if committee is None:
        raise LearningError(
            f"{potential.capabilities.name!r} is one potential and cannot doubt itself. Give a student whose potentials are "
            "committees (HeadStudent), or {committee: [...]} as the first potential."
        )
    return committee


def judge(potential: Potential, frame: Frame, limits: Limits, *, comm: MPI.Comm | None = None) -> Judgement:
    """Return how much the committee doubts a frame, the same on every rank.

    Raises:
        EvaluationError: a member gives no usable answer.
        LearningError: the potential is no committee; or novelty is asked, and no member knows it.
    """
    committee = doubting(potential)
    mask = np.ones(len(frame.atoms), dtype=bool) if frame.judged is None else np.asarray(frame.judged)

    def first() -> Judgement:
        found = np.where(mask, committee.disagreement(frame.atoms).per_atom, 0.0)
        novelty = np.zeros(len(frame.atoms))
        score = found / limits.threshold
        if limits.novelty is not None:
            known = committee.novelty(frame.atoms)
            if known is None:
                raise LearningError(
                    f"{potential.capabilities.name!r} does not know how new an atom is to it: that is for heads. Leave the limit "
                    "for novelty out."
                )
            novelty = np.where(mask, known, 0.0)
            score = np.maximum(score, novelty / limits.novelty)
        if not np.isfinite(score).all():
            raise EvaluationError(f"The committee's doubt about {frame.atoms.symbols} is not finite.")
        return Judgement(disagreement=found, novelty=novelty, score=score)

    return on_first_rank(first, potential=potential, comm=comm)


def counted_errors(potential: Potential, frame: LabelledFrame) -> NDArray[np.float64]:
    """Return force minus label (m, 3), eV/Å, of the m atoms that count."""
    assert frame.forces is not None
    found = potential.evaluate(frame.atoms, stress=False).forces - frame.forces
    return found if frame.counted is None else found[frame.counted]
