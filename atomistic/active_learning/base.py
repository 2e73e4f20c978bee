"""What takes part in active learning: runs that can be paused, and students that can be taught."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from atomistic.errors import EvaluationError
from atomistic.labelled import LabelledFrame
from atomistic.potentials.base import Potential

#: Arrays, and whatever JSON can hold (nested mappings and lists of numbers, text, True, False and None), by name.
Snapshot = Mapping[str, Any]


class BrokenRunError(EvaluationError):
    """A run that cannot go on with the potential that it has; a run may raise it in `advance`.

    The loop takes it, like every `EvaluationError` and `RelaxationError` in `advance`, as a sign of a potential astray: it has
    the last frames labelled and goes back to the last trusted one.
    """


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What of a run is judged, and may be labelled.

    Attributes:
        atoms: a copy, without a calculator.
        judged: (n,) bool, atoms whose doubt counts; None for all. Atoms at an artificial boundary should not.
        config_type: group of the labelled frame ("md", "crack", ...).
        note: what is worth keeping beside the label: load, opening, temperature (numbers and text).
    """

    atoms: Atoms
    judged: NDArray[np.bool_] | None = None
    config_type: str = ""
    note: Mapping[str, Any] = field(default_factory=dict)


class LearningRun(Protocol):
    """Any run that can step, snapshot and restore: dynamics, a relaxation, a coupled study.

    A restored run with the same potential must take the same steps to the last bit. On several ranks all call every method.
    """

    @property
    def finished(self) -> bool:
        """Whether no step is left."""

    @property
    def step(self) -> int:
        """Steps made since the start; `restore` takes it back."""

    def advance(self) -> None:
        """Make one step with the present potential."""

    def frame(self) -> Frame:
        """Return what is to be judged now."""

    def snapshot(self) -> Snapshot:
        """Return all that `restore` needs: positions, cell, velocities, random numbers, bias, step, history."""

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot, perhaps one of another process."""

    def adopt(self, potential: Potential) -> None:
        """Go on from the present state with this potential."""


class Student(Protocol):
    """What can be taught. Training must be deterministic: the same frames in the same order, the same bits.

    Attributes:
        suffix: of its files, with the dot.
    """

    @property
    def suffix(self) -> str:
        """Return the ending of its files, with the dot."""

    def train(self, frames: Sequence[LabelledFrame], *, held_out: Sequence[LabelledFrame]) -> Potential:
        """Return a potential taught from nothing with these frames; `held_out` may calibrate its doubt, never teach it."""

    def save(self, potential: Potential, path: Path) -> None:
        """Write what `train` returned into one file, exactly at `path`."""

    def load(self, path: Path) -> Potential:
        """Return what was saved."""


class Cutter(Protocol):
    """Makes of an uncertain place in a large structure something that the oracle can afford (`atomistic.oracle.Excerpt`)."""

    def cut(self, atoms: Atoms, centre: int) -> LabelledFrame:
        """Return the piece around an atom, without labels; `counted` says whose forces mean something."""
