"""What the learning runs of the studies share: several runs as one, the crystal that a student sees first, what goes astray."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from atomistic.active_learning import BrokenRunError, Cutter, Frame, LearningRun, Snapshot
from atomistic.crystal import Crystal
from atomistic.errors import AtomisticError
from atomistic.labelled import LabelledFrame
from atomistic.potentials import Potential
from atomistic.structures import conventional_cell, find_structure, guess_distance
from continuum.errors import ContinuumError
from coupling.errors import CouplingError, HandshakeConvergenceError
from multiscale.config import StudyCase
from multiscale.errors import StudyError

#: What says that a potential is astray where a student drives a coupled body: no equilibrium, no crystal, no room for its crack.
ASTRAY = (HandshakeConvergenceError, CouplingError, AtomisticError, ContinuumError, StudyError)
#: Atoms of the crystal's cell from which first frames are made, at least.
_LEAST = 4


@contextmanager
def astray() -> Iterator[None]:
    """Turn what a coupled body raises where its potential is no good into what the loop takes for that.

    Raises:
        BrokenRunError: with the cause.
    """
    try:
        yield
    except ASTRAY as error:
        raise BrokenRunError(str(error)) from error


def small_cell(crystal: Crystal) -> Atoms:
    """A small periodic cell of a crystal at rest: what first frames are made of.

    A student that has never seen the perfect crystal would change its lattice and elastic constants with the first lesson.
    """
    cell = crystal.conventional
    return cell.repeat((-(-_LEAST // len(cell)), 1, 1))


def guessed_crystal(case: StudyCase) -> Atoms:
    """The conventional cell of a case's crystal as it is guessed before any potential is asked."""
    guess = case.crystal
    kind = find_structure(guess.structure, guess.species)
    a = guess.a or kind.a_over_distance * guess_distance(guess.species)
    c = guess.c or (np.sqrt(8.0 / 3.0) * a if kind.hexagonal else None)
    return conventional_cell(kind, guess.species, a, c)


class RunsInRow:
    """Several runs, one after the other, as one.

    Args:
        runs: in order; each must be able to take its potential at any time.
    """

    def __init__(self, runs: Sequence[LearningRun]) -> None:
        self.runs, self._at = list(runs), 0

    @property
    def run(self) -> LearningRun:
        """The one at which the row stands."""
        return self.runs[self._at]

    @property
    def finished(self) -> bool:
        """Whether the last one is."""
        return self._at == len(self.runs) - 1 and self.run.finished

    @property
    def step(self) -> int:
        """Of all of them together."""
        return sum(run.step for run in self.runs[: self._at + 1])

    def advance(self) -> None:
        """One step of the first run that is not finished."""
        while self.run.finished and not self.finished:
            self._at += 1
        if not self.run.finished:
            self.run.advance()

    def frame(self) -> Frame:
        """That of the run at which the row stands."""
        return self.run.frame()

    def snapshot(self) -> Snapshot:
        """Snapshots of the runs so far, each name with the run's number before it."""
        found: dict[str, Any] = {"at": self._at}
        for number, run in enumerate(self.runs[: self._at + 1]):
            found |= {f"{number}.{name}": value for name, value in run.snapshot().items()}
        return found

    def restore(self, snapshot: Snapshot) -> None:
        """Go back, perhaps to an earlier run."""
        self._at = int(snapshot["at"])
        for number, run in enumerate(self.runs[: self._at + 1]):
            own = f"{number}."
            run.restore({name.removeprefix(own): value for name, value in snapshot.items() if name.startswith(own)})

    def adopt(self, potential: Potential) -> None:
        """All of them."""
        for run in self.runs:
            run.adopt(potential)


def kept_atoms(atoms: Atoms, judged: NDArray[np.bool_] | None) -> dict[str, Any]:
    """Arrays of a structure for a snapshot."""
    return {
        "numbers": np.array(atoms.numbers),
        "positions": np.array(atoms.positions),
        "cell": atoms.cell.array.copy(),
        "pbc": np.array(atoms.pbc),
        "judged": np.ones(len(atoms), dtype=bool) if judged is None else np.asarray(judged, dtype=bool),
    }


def atoms_kept(values: Snapshot) -> tuple[Atoms, NDArray[np.bool_]]:
    """The inverse: the structure, and which of its atoms are judged."""
    atoms = Atoms(
        np.asarray(values["numbers"]), positions=values["positions"], cell=values["cell"], pbc=np.asarray(values["pbc"])
    )
    return atoms, np.asarray(values["judged"], dtype=bool)


@dataclass(frozen=True)
class CutLarge:
    """Cuts pieces out of large structures and leaves small ones, which an oracle can afford, as they are.

    Attributes:
        excerpt: what cuts.
        whole: the most atoms of a structure that stays whole.
    """

    excerpt: Cutter
    whole: int

    @property
    def core(self) -> float:
        """Radius of what a piece teaches, Å."""
        return float(getattr(self.excerpt, "core", 0.0))

    def cut(self, atoms: Atoms, centre: int) -> LabelledFrame:
        """Return the piece around an atom, without labels."""
        if len(atoms) <= self.whole:
            return LabelledFrame(atoms=atoms.copy())
        return self.excerpt.cut(atoms, centre=centre)
