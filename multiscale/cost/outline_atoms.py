"""Costs of the studies that are evaluations of atoms alone: properties, embedding, active learning."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ase import Atoms
from mpi4py import MPI

from atomistic.crystal import relax_crystal
from atomistic.oracle import load_oracle
from atomistic.potentials import Potential, load_potential
from atomistic.properties import supercell, vacancy_sizes
from multiscale.config import ActiveLearningCase, EmbeddingCase, PropertiesCase
from multiscale.cost.survey import Survey
from multiscale.studies.active_learning_run import build_start
from multiscale.studies.embedding_measure import make_tasks
from multiscale.studies.embedding_system import EmbeddingSystem, describe_system
from multiscale.studies.properties import REFUSALS, expected_work, load_all, request_of

#: Exponents of the time over the atoms: of potentials, and of quantum engines whose time nobody has measured at two sizes.
_LINEAR, _QUANTUM, _CUBIC = 1.0, 2.0, 3.0
#: Seconds that an evaluation may take to be measured; how much larger the next one must be to tell more.
_PATIENCE, _STRIDE = 1.0, 2.5
#: Independent structures of a crystal's properties, about, that ranks share.
_CELLS = 12


def outline_properties(case: PropertiesCase, survey: Survey, comm: MPI.Comm) -> None:
    """Each crystal is relaxed; how many atoms are evaluated in all follows from the cells that the request names."""
    request = request_of(case)
    potentials = load_all(case, survey.progress)
    survey.take_over("potentials")
    for label, potential in potentials.items():
        with survey.own("crystal"):
            try:
                crystal = relax_crystal(
                    potential, symbols=request.symbols, structure=request.structure, a=request.a, c=request.c, comm=comm
                )
            except REFUSALS:
                continue
        evaluated, largest = expected_work(request, crystal)
        cell, _ = supercell(crystal, vacancy_sizes(crystal)[0])
        cell.rattle(0.01, seed=1)
        call = survey.call(lambda _, c=cell, p=potential: _anew(p, c))  # type: ignore[misc]
        survey.sizes[f"largest cell by {label}"] = f"{largest} atoms"
        survey.add(
            label,
            "calls",
            "properties.calls",
            driver=evaluated / len(cell),
            atoms=len(cell),
            seconds=call.seconds,
            pieces=_CELLS,
        )
        survey.add(label, "rest", "properties.rest")


def outline_embedding(case: EmbeddingCase, survey: Survey, comm: MPI.Comm) -> None:
    """Every evaluation is known; engines are timed on the smallest region, potentials on a larger one too."""
    system = describe_system(case, comm=comm, progress=survey.progress)
    survey.take_over("engines", "structure")
    tasks = make_tasks(system, whole=case.converge.reference == "whole system")
    rates = {"ml": _rate(system, system.potential, survey), "qm": _rate(system, system.oracle, survey)}
    seconds = [rates[task.engine].seconds(task.size) for task in tasks]
    survey.sizes |= {"evaluations": str(len(tasks)), "atoms of the largest": str(max(task.size for task in tasks))}
    # The longest evaluation bounds what ranks can gain.
    pieces = max(1, int(sum(seconds) / max(seconds)))
    survey.add("evaluations", "scaled", "embedding.evaluations", driver=sum(seconds), pieces=pieces)


def outline_active_learning(case: ActiveLearningCase, survey: Survey, comm: MPI.Comm) -> None:
    """The potential and its oracle are timed on the first structure; the rest follows from steps and budget."""
    learning = case.learning
    with survey.progress.phase("structure"):
        potential = load_potential(case.potential, comm=comm, device=case.device)
        start = build_start(case.structure, potential, comm=comm)
    survey.take_over("structure")
    call = survey.call(lambda _: _anew(potential, start))
    with survey.own("oracle"):
        oracle = load_oracle(learning.oracle_spec, comm=comm)
    asked = survey.call(lambda _: _anew(oracle, start))
    survey.sizes |= {
        "atoms": str(len(start)),
        "steps": str(case.run.steps),
        "oracle calls at most": str(learning.budget),
    }
    frames = learning.data.frames + learning.budget
    survey.add("first lesson", "scaled", "active-learning.lesson", driver=learning.data.frames * asked.seconds)
    survey.add("run", "scaled", "active-learning.run", driver=case.run.steps * call.seconds + frames * asked.seconds)


class _Rate:
    """Seconds of an evaluation over its atoms: a power through what was measured."""

    def __init__(self, points: Mapping[int, float], exponent: float) -> None:
        sizes = sorted(points)
        self._size, self._seconds, self._exponent = sizes[-1], points[sizes[-1]], exponent
        if len(sizes) > 1:
            slope = math.log(points[sizes[-1]] / points[sizes[-2]]) / math.log(sizes[-1] / sizes[-2])
            self._exponent = min(max(slope, _LINEAR), _CUBIC)

    def seconds(self, atoms: int) -> float:
        """Of one evaluation; beyond what was measured, by the power."""
        return self._seconds * (atoms / self._size) ** self._exponent


def _rate(system: EmbeddingSystem, engine: Potential, survey: Survey) -> _Rate:
    """Measure an engine on regions that grow, as long as the next one takes seconds only."""
    points: dict[int, float] = {}
    structures = [cluster.structure(system.atoms) for cluster in system.clusters]
    for structure in sorted([*structures, system.atoms], key=len):
        last = max(points, default=0)
        if last and (len(structure) < _STRIDE * last or points[last] * len(structure) / last > _PATIENCE):
            continue
        points[len(structure)] = survey.call(lambda _, s=structure: _anew(engine, s), least=0.0).seconds  # type: ignore[misc]
    return _Rate(points, _QUANTUM if engine.capabilities.electronic else _LINEAR)


def _anew(potential: Potential, atoms: Atoms) -> None:
    """Evaluate, also where the calculator remembers the answer."""
    potential.calculator.reset()
    potential.evaluate(atoms, stress=False)
