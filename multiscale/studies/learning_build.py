"""From a case's `learning:` to what takes part in it, and the lesson itself: the same for every study that learns."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from mpi4py import MPI

from atomistic.active_learning import (
    Cutter,
    Event,
    LearningOptions,
    LearningResult,
    LearningRun,
    Student,
    learn,
)
from atomistic.caps import Links
from atomistic.committee import HeadFeatures, HeadOptions, committee_of
from atomistic.labelled import LabelledFrame, read_frames, write_frames
from atomistic.oracle import load_oracle
from atomistic.oracle.excerpt import Excerpt
from atomistic.oracle.labels import label
from atomistic.potentials import load_potential
from atomistic.potentials.base import Potential
from atomistic.ranks import fail_together
from atomistic.validation import Contract, validate
from multiscale.config.base import either, nearest
from multiscale.config.learning import LearningModel, StudentModel
from multiscale.errors import NothingToLearnError, StoppedError, StudyError
from multiscale.failures import caused_by
from multiscale.studies.learning_checks import check_held_out

STATE = "learning"
"""Folder of the loop in a run directory: data set, potentials, and the state from which it goes on."""
FEATURES = "features"
"""Folder of the backbone's features of the frames, in a run directory: a killed run does not compute them again."""
FIRST_LABELS = "initial.extxyz"
"""Frames that the oracle labelled before the run, in a run directory."""
FIRST_STRAIN = 0.01
"""Standard deviation of the random strain of these frames' cells, so that the stress is taught too."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """All that takes part in learning, beside the run.

    Attributes:
        student: who is taught.
        oracle: who is asked.
        options: when.
        initial: labelled frames that the first potential is taught with.
        start: taught already, the potential to begin with; None: `initial` makes it.
        held_out: labelled frames that are never taught.
        contract: bounds on the errors on them; None without.
        excerpt: cuts the piece that the oracle gets; None for whole frames.
        spent: oracle calls for `initial`; not in `options.budget` any more.
    """

    student: Student
    oracle: Potential
    options: LearningOptions
    initial: tuple[LabelledFrame, ...]
    start: Potential | None
    held_out: tuple[LabelledFrame, ...]
    contract: Contract | None
    excerpt: Cutter | None
    spent: int


def prepare(
    learning: LearningModel,
    *,
    potential: Any,
    first: Atoms | Sequence[Atoms],
    directory: Path | None,
    device: str = "cpu",
    comm: MPI.Comm = MPI.COMM_WORLD,
    report: Callable[[str], None] = lambda text: None,
) -> Lesson:
    """Load everything, and have the first frames labelled where the case gives none (collective).

    Args:
        learning: of the case.
        potential: specification of the potential that is taught: the backbone of the heads.
        first: the structure from which the run starts, or several that it will come through: first frames are made of them.
        directory: of the run; None labels no frames, for a prediction.
        device: of the backbone.
        comm: the ranks.
        report: told what is being done.

    Raises:
        ValueError: with its cause, for what the oracle, the student, the data or the contract cannot be.
    """
    structures = [first] if isinstance(first, Atoms) else list(first)
    with caused_by("learning", "student"):
        features = None if directory is None else directory / FEATURES
        student = make_student(learning.student, potential=potential, device=device, cache=features)
    cache = learning.cache if learning.cache is not None or directory is None else directory / "quantum"
    with caused_by("learning", "oracle"):
        oracle = load_oracle(learning.oracle_spec, cache=cache, comm=comm)
        oracle.check_elements(structures[0].symbols)
    with caused_by("learning", "data"):
        initial, held_out = _read(learning.data.initial), _read(learning.data.held_out)
    known = {symbol for atoms in (*structures, *(frame.atoms for frame in initial)) for symbol in atoms.symbols}
    start = taught_before(potential, device=device)
    check_held_out(held_out, known=known if start is None else known | set(start.capabilities.elements or known))
    with caused_by("learning", "contract"):
        contract = make_contract(learning.contract)
    spent = 0
    if not initial and start is None and learning.data.frames == 0:
        raise NothingToLearnError(
            "the student has nothing to learn from before the run. Give data.initial, data.frames from 1, or a potential that "
            "has been taught, {path: taught.npz}"
        )
    if not initial and start is None and directory is not None:
        initial = first_labels(learning, oracle, structures, path=directory / FIRST_LABELS, comm=comm, report=report)
        spent = len(initial)
    return Lesson(
        student=student,
        oracle=oracle,
        options=make_options(learning, spent=spent),
        initial=initial,
        start=start,
        held_out=held_out,
        contract=contract,
        excerpt=make_excerpt(learning),
        spent=spent,
    )


def make_student(model: StudentModel, *, potential: Any, device: str = "cpu", cache: Path | None = None) -> Student:
    """The student of a case.

    Args:
        model: of the case.
        potential: the backbone where the case names none.
        device: of the backbone.
        cache: folder of the features of the frames; in memory alone if None.

    Raises:
        StudyError: a factory that cannot be imported.
        ValueError: a backbone or options that heads cannot have.
    """
    if model.factory is not None:
        module, _, name = model.factory.partition(":")
        try:
            factory = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise StudyError(
                f'the student {model.factory!r} cannot be imported ({error}). Write "module:function" of an importable module'
            ) from error
        made: Student = factory(**model.arguments)
        return made
    from atomistic.active_learning.student import HeadStudent

    known = [field.name for field in fields(HeadOptions)]
    if wrong := [name for name in model.arguments if name not in known]:
        near = nearest(wrong[0], known)
        raise StudyError(
            f"heads have no option {wrong[0]!r}. "
            + (f'Did you mean "{near}"?' if near else f"Options are {either(known)}")
        )
    features = HeadFeatures(
        model.backbone or potential, layers=model.layers, directions=model.directions, cache=cache, device=device
    )
    options: dict[str, Any] = {**model.arguments, "members": model.members, "seed": model.seed}
    return HeadStudent(features, options=HeadOptions(**options))


def taught_before(potential: Any, *, device: str = "cpu") -> Potential | None:
    """The potential of a specification where it is a committee of taught heads; None of any other.

    Raises:
        ModelFileError: a file that is none.
    """
    if not isinstance(potential, Mapping) or not str(potential.get("path", "")).endswith(".npz"):
        return None
    found = load_potential(potential, device=device)
    return found if committee_of(found) is not None else None


def make_options(learning: LearningModel, *, spent: int = 0) -> LearningOptions:
    """The loop's options; `spent` oracle calls are taken off the budget."""
    return LearningOptions(
        threshold=learning.threshold,
        check_every=learning.check_every,
        budget=max(learning.budget - spent, 0),
        patience=learning.patience,
        improvement=learning.improvement,
        frames_per_trigger=learning.frames_per_trigger,
        neighbours=learning.neighbours,
        ceiling=learning.ceiling,
        contract_stops=learning.contract_stops,
        spent=spent,
    )


def make_contract(given: str | dict[str, Any] | None) -> Contract | None:
    """The contract of a case, from a file or a mapping.

    Raises:
        ValueError: bounds that nobody knows.
    """
    if given is None:
        return None
    return Contract.read(given) if isinstance(given, str) else Contract.from_mapping(given)


def make_excerpt(learning: LearningModel) -> Cutter | None:
    """What cuts pieces for the oracle; None for whole frames."""
    if learning.excerpt is None:
        return None
    model = learning.excerpt
    return Excerpt(
        core=model.core,
        buffer=model.buffer,
        vacuum=model.vacuum,
        passivate=None if model.passivate == "none" else Links(),
        periodic=model.periodic,
        mismatch=model.mismatch,
    )


def _read(paths: Sequence[str]) -> tuple[LabelledFrame, ...]:
    return tuple(frame for path in paths for frame in read_frames(path))


def first_labels(
    learning: LearningModel,
    oracle: Potential,
    first: Sequence[Atoms],
    *,
    path: Path,
    comm: MPI.Comm,
    report: Callable[[str], None] = lambda text: None,
) -> tuple[LabelledFrame, ...]:
    """Structures, displaced and strained at random, with the oracle's labels (collective).

    They are kept at `path`; labels that are there already are not asked for again.
    """
    frames = _on_first(lambda: list(read_frames(path)) if path.is_file() else [], comm)
    wanted = first_frames(first, count=learning.data.frames, rattle=learning.data.rattle, seed=learning.student.seed)
    for number, atoms in enumerate(wanted[len(frames) :], len(frames)):
        report(f"first frame {number + 1} of {len(wanted)}")
        frame = LabelledFrame(atoms=atoms, config_type="first")
        frames.append(label(oracle, frame, reason="taught before the run"))
        _on_first(lambda: write_frames(path, frames), comm)
    return tuple(frames)


def _on_first(function: Callable[[], Any], comm: MPI.Comm) -> Any:
    """What a function gives on the first rank, on every one; all fail together."""
    result, failure = None, None
    if comm.rank == 0:
        try:
            result = function()
        except (Exception, StoppedError) as error:  # told on every rank
            failure = error
    fail_together(failure, comm)
    return comm.bcast(result, root=0)


def first_frames(first: Sequence[Atoms], *, count: int, rattle: float, seed: int) -> list[Atoms]:
    """Copies of structures with displaced atoms in strained cells, the same ones for the same seed.

    Args:
        first: the structures, taken in turn, those at the ends first where there are fewer copies than structures.
        count: of the copies.
        rattle: standard deviation of a component of the displacements, Å.
        seed: of the random numbers.
    """
    rng = np.random.default_rng((seed, 3))
    found = []
    chosen = (
        np.linspace(0, len(first) - 1, count).round().astype(int)
        if count < len(first)
        else np.arange(count) % len(first)
    )
    for number in chosen.tolist():
        one = first[number]
        atoms = Atoms(numbers=one.numbers, positions=one.positions, cell=one.cell, pbc=one.pbc)
        strain = rng.normal(scale=FIRST_STRAIN, size=(3, 3))
        noise = rng.normal(scale=rattle, size=(len(atoms), 3))
        if atoms.pbc.any():
            atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.5 * (strain + strain.T)), scale_atoms=True)
        atoms.positions += noise
        found.append(atoms)
    return found


def teach(
    lesson: Lesson,
    run: LearningRun,
    *,
    directory: Path,
    comm: MPI.Comm = MPI.COMM_WORLD,
    report: Callable[[Event], None] | None = None,
) -> LearningResult:
    """Let a run learn, or go on learning where an earlier process stopped (collective).

    Args:
        lesson: who takes part.
        run: at its start; the loop takes it back or forth to where it was.
        directory: of the run; the loop's state is in its folder `learning`.
        comm: the ranks.
        report: told of every event.
    """
    return learn(
        run,
        student=lesson.student,
        oracle=lesson.oracle,
        directory=directory / STATE,
        options=lesson.options,
        initial=lesson.initial,
        potential=lesson.start,
        held_out=lesson.held_out,
        contract=lesson.contract,
        excerpt=lesson.excerpt,
        comm=comm,
        report=report,
    )


def force_error(frames: Sequence[LabelledFrame], potential: Potential, *, comm: MPI.Comm) -> float | None:
    """Root mean square error of the force components on labelled frames, eV/Å; None where they have no forces (collective)."""
    if not frames:
        return None
    found = validate(frames, potential, shift="none", doubts=False, comm=comm).comparisons.get("forces")
    return None if found is None or not len(found) else float(np.sqrt(np.mean(np.square(found.errors))))


def with_budget(lesson: Lesson, budget: int) -> Lesson:
    """The same lesson with another number of oracle calls left."""
    return replace(lesson, options=replace(lesson.options, budget=budget))
