"""Which frames an oracle is asked about, in which order, and what becomes of its answers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from numpy.typing import NDArray

from atomistic.active_learning.base import Cutter, Frame, Snapshot
from atomistic.active_learning.doubt import Judgement
from atomistic.errors import ExcerptError, OracleBudgetError
from atomistic.labelled import LabelledFrame
from atomistic.oracle.labels import label
from atomistic.potentials.base import Potential

#: What ASE's calculators raise where they fail at a structure; mistakes in the input are other errors.
_FAILURES = (RuntimeError, ArithmeticError, np.linalg.LinAlgError)


@dataclass(frozen=True, kw_only=True)
class Passed:
    """A frame that the run has come through since it was last trusted, and its step."""

    frame: Frame
    step: int


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A frame, or a place in it, that may be labelled.

    Attributes:
        frame: of the run.
        step: at which the run was there.
        centre: the atom around which a piece is cut; −1 for the whole frame.
    """

    frame: Frame
    step: int
    centre: int = -1

    def piece(self, excerpt: Cutter | None) -> LabelledFrame:
        """Return what the oracle is asked, without labels.

        Raises:
            ExcerptError: no piece can be cut there.
        """
        if excerpt is None or self.centre < 0:
            return LabelledFrame(atoms=self.frame.atoms.copy(), config_type=self.frame.config_type)
        cut = excerpt.cut(self.frame.atoms, centre=self.centre)
        return replace(cut, config_type=cut.config_type or self.frame.config_type)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of asking: a labelled frame, or why there is none ("failed", "budget")."""

    frame: LabelledFrame | None
    why: str = ""
    kind: str = "labelled"
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How candidates are chosen; see `LearningOptions`."""

    wanted: int
    neighbours: int
    excerpt: Cutter | None = None


def candidates(passed: Sequence[Passed], judged: Judgement, choice: Choice) -> list[Candidate]:
    """Return candidates in the order in which they are asked about.

    First come as many as are wanted, then as many neighbours as may be tried for those that fail. Whole frames: the last one,
    those farthest from all chosen before (largest minimum of the r.m.s. displacement of the judged atoms), the rest from the
    newest on. With pieces: the most doubtful atom of the last frame, the next atoms beyond a limit that lie outside
    the cores chosen before, then the first atom in earlier frames.

    Args:
        passed: frames since the run was last trusted, the one that asks last.
        judged: the doubt about that last one.
        choice: how many.
    """
    newest = passed[::-1]
    if choice.excerpt is None:
        chosen = _diverse(newest, choice.wanted)
        order = [*chosen, *(k for k in range(len(newest)) if k not in chosen)]
        found = [Candidate(frame=newest[k].frame, step=newest[k].step) for k in order]
    else:
        first = newest[0]
        centres = _centres(first.frame.atoms, judged, choice)
        places = [(first, centre) for centre in centres] + [(p, centres[0]) for p in newest[1:]]
        found = [Candidate(frame=p.frame, step=p.step, centre=centre) for p, centre in places]
    return found[: choice.wanted + choice.neighbours]


def ask(oracle: Potential, candidate: Candidate, excerpt: Cutter | None, *, origin: Mapping[str, Any]) -> Answer:
    """Let the oracle label a candidate; failures are answers too.

    Args:
        oracle: whom to ask.
        candidate: what about.
        excerpt: cuts a piece around the candidate's centre.
        origin: kept as `provenance["learning"]`.

    Raises:
        AtomisticError: a mistake that no other frame would mend, such as an element that the oracle does not know.
        MissingEngineError: its package is not installed.
    """
    began = time.perf_counter()
    try:
        labelled = label(oracle, candidate.piece(excerpt), learning=dict(origin))
    except OracleBudgetError as error:
        return Answer(frame=None, kind="budget", why=str(error))
    except (*_FAILURES, ExcerptError) as error:
        why = f"{type(error).__name__}: {error}"
        return Answer(frame=None, kind="failed", why=why, seconds=time.perf_counter() - began)
    return Answer(frame=labelled, seconds=time.perf_counter() - began)


def frames_to(found: Sequence[Candidate]) -> Snapshot:
    """Return candidates as a snapshot."""
    kept: dict[str, Any] = {"count": len(found)}
    for k, candidate in enumerate(found):
        atoms, judged = candidate.frame.atoms, candidate.frame.judged
        kept[f"{k}.positions"], kept[f"{k}.cell"] = atoms.positions, atoms.cell.array
        kept[f"{k}.numbers"], kept[f"{k}.pbc"] = atoms.numbers, atoms.pbc
        if judged is not None:
            kept[f"{k}.judged"] = np.asarray(judged)
        if atoms.has("initial_magmoms"):
            kept[f"{k}.magmoms"] = atoms.get_initial_magnetic_moments()
        info = {name: value for name, value in atoms.info.items() if isinstance(value, int | float | str | np.number)}
        kept[f"{k}.plain"] = {
            "step": candidate.step,
            "centre": candidate.centre,
            "config_type": candidate.frame.config_type,
            "note": dict(candidate.frame.note),
            "info": info,
        }
    return kept


def frames_from(kept: Snapshot) -> list[Candidate]:
    """Return candidates that were kept."""
    found = []
    for k in range(kept["count"]):
        plain = kept[f"{k}.plain"]
        atoms = Atoms(
            numbers=kept[f"{k}.numbers"],
            positions=kept[f"{k}.positions"],
            cell=kept[f"{k}.cell"],
            pbc=kept[f"{k}.pbc"],
            info=plain["info"],
            magmoms=kept.get(f"{k}.magmoms"),
        )
        frame = Frame(atoms=atoms, judged=kept.get(f"{k}.judged"), config_type=plain["config_type"], note=plain["note"])
        found.append(Candidate(frame=frame, step=plain["step"], centre=plain["centre"]))
    return found


def _diverse(frames: Sequence[Passed], wanted: int) -> list[int]:
    """Farthest-point selection (Gonzalez 1985, Theor. Comput. Sci. 38, 293) that starts with the first frame."""
    chosen = [0]
    nearest = np.full(len(frames), np.inf)
    while len(chosen) < min(wanted, len(frames)):
        last = frames[chosen[-1]].frame
        nearest = np.minimum(nearest, [_distance(last, other.frame) for other in frames])
        nearest[chosen] = -1.0
        chosen.append(int(np.argmax(nearest)))
    return chosen


def _distance(a: Frame, b: Frame) -> float:
    """Root mean square displacement of the judged atoms, Å; unlike structures are far from each other."""
    if len(a.atoms) != len(b.atoms):
        return float("inf")
    moved = b.atoms.positions - a.atoms.positions
    if a.atoms.pbc.any():
        moved = find_mic(moved, a.atoms.cell, a.atoms.pbc)[0]
    moved = moved if a.judged is None else moved[a.judged]
    return float(np.sqrt(np.mean(np.sum(moved**2, axis=1))))


def _centres(atoms: Atoms, judged: Judgement, choice: Choice) -> list[int]:
    """The most doubtful atom, and the next ones beyond a limit that lie in no core chosen before."""
    core = float(getattr(choice.excerpt, "core", 0.0))
    chosen = [judged.atom]
    free: NDArray[np.bool_] = judged.score > 1.0
    while True:
        away = atoms.get_distances(chosen[-1], np.arange(len(atoms)), mic=bool(atoms.pbc.any()))
        free = free & (away > core)
        free[chosen] = False
        if not free.any() or len(chosen) >= choice.wanted + choice.neighbours:
            return chosen
        chosen.append(int(np.argmax(np.where(free, judged.score, -1.0))))
