"""The evaluations of an embedding study, shared among ranks, and what they say of every buffer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.potentials import Evaluation, Potential
from atomistic.ranks import spread
from coupling.embedding import ForceMixing, Remainder
from coupling.embedding.account import remainder_between
from coupling.embedding.base import Evaluated
from multiscale.studies.embedding_system import EmbeddingSystem

Array = NDArray[np.float64]
WHOLE = -1
"""Number that stands for all atoms in place of a buffer's."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One evaluation.

    Attributes:
        engine: the potential (ml) or the quantum engine (qm).
        part: number of the buffer, or `WHOLE`.
        displaced: of the structure whose core is displaced.
        size: atoms, caps included.
    """

    engine: Literal["ml", "qm"]
    part: int
    displaced: bool
    size: int

    @property
    def key(self) -> tuple[str, int, bool]:
        """What tells it from the others."""
        return self.engine, self.part, self.displaced


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an evaluation gives.

    Attributes:
        evaluation: energy and forces.
        sites: (n,) site energies, eV; None where the engine has none.
        seconds: wall time; of a result found in the cache, that which it took when it was computed.
        reused: found in the cache.
    """

    evaluation: Evaluation
    sites: Array | None
    seconds: float
    reused: bool = False


@dataclass(frozen=True, kw_only=True)
class ForceError:
    """Errors of the core atoms' forces, eV/Å: lengths of vectors.

    Attributes:
        largest: over the core.
        rms: root mean square over the core.
    """

    largest: float
    rms: float


@dataclass(frozen=True, kw_only=True)
class BufferRow:
    """One buffer.

    Attributes:
        buffer: Å.
        atoms: of core and buffer.
        caps: their number.
        difference: error of the forces in difference form, F_ML + F_QM(C) − F_ML(C).
        substitution: error where F_QM(C) is taken instead of F_ML.
        energy: E_ML(all) + E_QM(C) − E_ML(C) less the reference's energy, eV; None without a reference energy.
        change: error of the energy's change when the core is displaced, eV; None where that is not asked for.
        remainder: what the cut environments leave uncancelled; None without site energies.
        quantum_seconds: wall time of the quantum call.
        ml_seconds: wall time of the potential's call on the same atoms.
    """

    buffer: float
    atoms: int
    caps: int
    difference: ForceError
    substitution: ForceError
    energy: float | None
    change: float | None
    remainder: Remainder | None
    quantum_seconds: float
    ml_seconds: float


@dataclass(frozen=True, kw_only=True)
class Convergence:
    """The whole study.

    Attributes:
        rows: one for each buffer, rising.
        judged: how many of them, from the first, are compared with something other than themselves.
        alone: error of the potential without embedding.
        alone_change: error of its change of energy, eV, when the core is displaced; None where that is not asked for.
        force: largest force on a core atom in the reference, eV/Å.
        tolerance: eV/Å.
        whole_seconds: wall time of the quantum engine on all atoms; None where it was not asked.
    """

    rows: Sequence[BufferRow]
    judged: int
    alone: ForceError
    alone_change: float | None
    force: float
    tolerance: float
    whole_seconds: float | None

    def recommended(self, form: Literal["difference", "substitution"] = "difference") -> float | None:
        """Smallest buffer, Å, from which on every error stays within the tolerance; None where there is none."""
        found = None
        for row in reversed(self.rows[: self.judged]):
            if not getattr(row, form).largest <= self.tolerance:
                break
            found = row.buffer
        return found


def make_tasks(system: EmbeddingSystem, *, whole: bool) -> list[Task]:
    """Return every evaluation, the costly ones first; `whole`: all atoms by the quantum engine too."""
    sizes = {k: len(cluster.symbols) for k, cluster in enumerate(system.clusters)} | {WHOLE: len(system.atoms)}
    tasks = [
        Task(engine=engine, part=part, displaced=displaced, size=size)
        for displaced in ((False,) if system.displaced is None else (False, True))
        for part, size in sizes.items()
        for engine in ("qm", "ml")
        if whole or (engine, part) != ("qm", WHOLE)
    ]
    return sorted(tasks, key=lambda task: (task.engine != "qm", -task.size, task.displaced))


def evaluate(
    system: EmbeddingSystem,
    tasks: Sequence[Task],
    *,
    comm: MPI.Comm,
    on_done: Callable[[Task, Answer], None] = lambda task, answer: None,
) -> dict[tuple[str, int, bool], Answer]:
    """Make every evaluation, spread over the ranks; all ranks get all answers (collective)."""

    def compute(task: Task) -> Answer:
        structure = _structure(system, task)
        potential = system.oracle if task.engine == "qm" else system.potential
        before = _taken_from_cache(potential)
        start = time.perf_counter()
        evaluation, sites = _ask(potential, structure, sites=task.engine == "ml" and not task.displaced)
        seconds, after = time.perf_counter() - start, _taken_from_cache(potential)
        reused = after[0] > before[0]
        answer = Answer(
            evaluation=evaluation, sites=sites, seconds=after[1] - before[1] if reused else seconds, reused=reused
        )
        on_done(task, answer)
        return answer

    answers = spread(tasks, compute, potential=system.potential, comm=comm)
    return {task.key: answer for task, answer in zip(tasks, answers, strict=True)}


def _taken_from_cache(potential: Potential) -> tuple[int, float]:
    """Return how many results came from a cache so far, and the seconds that they took when they were computed."""
    record = getattr(potential.calculator, "record", None)
    return (0, 0.0) if record is None else (record.reused, record.saved_seconds)


def _structure(system: EmbeddingSystem, task: Task) -> Atoms:
    """Return the atoms of an evaluation; those of the engine carry charge and spin."""
    atoms = system.displaced if task.displaced else system.atoms
    assert atoms is not None
    if task.part != WHOLE:
        return system.clusters[task.part].structure(atoms)
    if task.engine == "qm":
        # The environment is taken to be neutral and closed-shell: all electrons that are odd belong to the region.
        atoms = atoms.copy()
        atoms.info.update(charge=system.pieces.region.charge, spin=system.pieces.region.spin)
    return atoms


def _ask(potential: Potential, atoms: Atoms, *, sites: bool) -> tuple[Evaluation, Array | None]:
    """Evaluate once; site energies come with it where the potential has them."""
    if sites and potential.site_model is not None:
        weighted = potential.evaluate_weighted(atoms)
        # With all weights one, the weighted energy is the energy.
        evaluation = Evaluation(energy=weighted.energy, forces=-weighted.gradient, stress=np.zeros((3, 3)))
        return evaluation, weighted.site_energies
    evaluation = potential.evaluate(atoms, stress=False)
    found = potential.calculator.results.get("energies") if sites else None
    return evaluation, None if found is None else np.array(found, dtype=float)


def compare(
    system: EmbeddingSystem,
    answers: Mapping[tuple[str, int, bool], Answer],
    *,
    whole: bool,
    tolerance: float,
) -> Convergence:
    """Return the errors of every buffer against the quantum engine on all atoms (`whole`), or against the largest buffer."""
    core = system.core
    forms = [_forms(system, answers, k) for k in range(len(system.clusters))]
    reference = answers["qm", WHOLE, False].evaluation.forces[core] if whole else forms[-1][0]
    energies = [_energy(answers, k, displaced=False) for k in range(len(forms))]
    changes: list[float] | None = None
    alone_change = None
    if system.displaced is not None:
        raw = [_energy(answers, k, displaced=True) - energies[k] for k in range(len(forms))]
        right = _difference(answers, "qm") if whole else raw[-1]
        changes = [change - right for change in raw]
        alone_change = _difference(answers, "ml") - right
    rows = [
        BufferRow(
            buffer=buffer,
            atoms=len(cluster),
            caps=len(cluster.caps.inner),
            difference=force_error(forms[k][0] - reference),
            substitution=force_error(forms[k][1] - reference),
            energy=energies[k] - answers["qm", WHOLE, False].evaluation.energy if whole else None,
            change=None if changes is None else changes[k],
            remainder=remainder_between(
                answers["ml", WHOLE, False].sites, answers["ml", k, False].sites, cluster=cluster
            ),
            quantum_seconds=answers["qm", k, False].seconds,
            ml_seconds=answers["ml", k, False].seconds,
        )
        for k, (buffer, cluster) in enumerate(zip(system.buffers, system.clusters, strict=True))
    ]
    return Convergence(
        rows=rows,
        judged=len(rows) if whole else len(rows) - 1,
        alone=force_error(answers["ml", WHOLE, False].evaluation.forces[core] - reference),
        alone_change=alone_change,
        force=float(np.linalg.norm(reference, axis=1).max()),
        tolerance=tolerance,
        whole_seconds=answers["qm", WHOLE, False].seconds if whole else None,
    )


def force_error(difference: Array) -> ForceError:
    """Return largest and root mean square length of the vectors (n, 3)."""
    squares = np.sum(difference**2, axis=1)
    return ForceError(largest=float(np.sqrt(squares.max())), rms=float(np.sqrt(squares.mean())))


def _forms(system: EmbeddingSystem, answers: Mapping[tuple[str, int, bool], Answer], k: int) -> tuple[Array, Array]:
    """Return the core's forces (n, 3) at one buffer: in difference form, as the scheme does it, and by plain substitution."""
    cluster, core, count = system.clusters[k], system.core, len(system.atoms)
    whole, quantum, ml = (
        answers[engine, part, False].evaluation for engine, part in (("ml", WHOLE), ("qm", k), ("ml", k))
    )
    substituted = cluster.forces_on_all(quantum.forces, count)[core]
    if system.pieces.model.scheme == "subtractive":
        difference = (whole.forces + cluster.forces_on_all(quantum.forces - ml.forces, count))[core]
        return difference, substituted
    mixing = system.pieces.with_buffer(system.buffers[k]).calculator()
    assert isinstance(mixing, ForceMixing)
    mixing.clusters = (cluster,)
    return mixing.mixed(Evaluated(whole=whole, quantum=(quantum,), ml=(ml,)), count)[core], substituted


def _energy(answers: Mapping[tuple[str, int, bool], Answer], k: int, *, displaced: bool) -> float:
    """Return E_ML(all) + E_QM(C) − E_ML(C), eV."""
    whole, quantum, ml = (
        answers[engine, part, displaced].evaluation.energy for engine, part in (("ml", WHOLE), ("qm", k), ("ml", k))
    )
    return whole + quantum - ml


def _difference(answers: Mapping[tuple[str, int, bool], Answer], engine: str) -> float:
    """Return by how much an engine's energy of all atoms changes when the core is displaced, eV."""
    return answers[engine, WHOLE, True].evaluation.energy - answers[engine, WHOLE, False].evaluation.energy
