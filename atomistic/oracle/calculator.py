"""The ASE calculator in front of every engine: looks in the cache, climbs the ladder, keeps the record."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from mpi4py import MPI

from atomistic.errors import (
    EvaluationError,
    MissingEngineError,
    OracleBudgetError,
    OracleError,
    OracleInputError,
    StoppedError,
)
from atomistic.oracle.base import Engine, Outcome, Task
from atomistic.oracle.cache import ResultCache, merged
from atomistic.oracle.retry import climb
from atomistic.oracle.settings import one_of, plain, whole
from atomistic.oracle.structure import electrons_of, make_task

#: Where failed structures go if there is no cache.
FAILED = Path("oracle_failed")
ENERGIES = ("extrapolated", "free")


@dataclass
class OracleRecord:
    """What a calculator has done so far.

    Attributes:
        fresh: results that the engine computed.
        reused: results found in the cache.
        completed: stored results that lacked the stress, computed again for it (counted among the fresh ones too).
        retried: fresh results that took more than one attempt.
        failed: structures without a result.
        seconds: wall time in the engine.
        saved_seconds: wall time that the reused results took when they were computed.
        farthest: largest component, Å, by which a reused result's structure lay off the one asked for.
        retries: one line for each attempt that failed.
        changed: one line for each result, fresh or reused, whose physics differs from what was asked.
        last: the last result.
    """

    fresh: int = 0
    reused: int = 0
    completed: int = 0
    retried: int = 0
    failed: int = 0
    seconds: float = 0.0
    saved_seconds: float = 0.0
    farthest: float = 0.0
    retries: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    last: Outcome | None = None

    @property
    def spent(self) -> int:
        """Structures that the engine was asked for, with or without success: what a budget limits."""
        return self.fresh + self.failed

    def as_dict(self) -> dict[str, Any]:
        """Return the counts and lines, ready for JSON."""
        return {name: value for name, value in vars(self).items() if name != "last"}


class OracleCalculator(Calculator):
    """An ASE calculator for any engine.

    Energies are extrapolated to zero electronic temperature (`energy="extrapolated"`) or free energies, of which the forces are
    the exact gradient (`energy="free"`); `free_energy` is always among the results. Energy and forces are always computed
    together, the stress when it is asked for.

    Args:
        engine: who computes.
        cache: stored results, or None.
        retry: how far the ladder goes: "none", "safe" or "hot".
        energy: "extrapolated" or "free".
        budget: fresh calculations that may be made, failed ones included; None for no limit.
        comm: ranks that call together: the first looks up or computes, all get the same bits.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        cache: ResultCache | None = None,
        retry: str = "safe",
        energy: str = "extrapolated",
        budget: int | None = None,
        comm: MPI.Comm = MPI.COMM_SELF,
    ) -> None:
        one_of("energy", energy, ENERGIES)
        if budget is not None:
            whole("budget", budget, least=0)
        self.implemented_properties = ["energy", "free_energy", "forces", "magmom", "magmoms"]
        if engine.capabilities.stress:
            self.implemented_properties.append("stress")
        super().__init__()
        self.engine = engine
        self.cache = cache
        self.retry = retry
        self.energy = energy
        self.budget = budget
        self.comm = comm
        self.record = OracleRecord()
        self._task: Task | None = None

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """Return what changed; charge and spin in `atoms.info` count, which ASE does not compare."""
        changes = super().check_state(atoms, tol=tol)
        if self.atoms is not None and electrons_of(atoms) != electrons_of(self.atoms):
            changes.append("info")
        return changes

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Look the structure up, else compute it (ASE's interface).

        Raises:
            OracleInputError: a structure that the engine cannot treat.
            OracleCacheError: the cache is damaged or cannot be written.
            OracleError: no attempt gave a result.
            OracleBudgetError: a fresh calculation is needed, and the budget is spent.
            MissingEngineError: the engine is needed, and not installed.
        """
        super().calculate(atoms, properties, system_changes)
        self.results: dict[str, Any] = {}
        assert self.atoms is not None
        stress = "stress" in properties
        task = make_task(self.atoms, self.engine, stress=stress)
        if stress and not self.engine.capabilities.stress:
            raise PropertyNotImplementedError(f"{self.engine.name} gives no stress")
        outcome = self._shared(task)
        self.record.last = outcome
        self._task = task
        chosen = outcome.energy if self.energy == "extrapolated" else outcome.free_energy
        self.results = {"energy": chosen, "free_energy": outcome.free_energy, "forces": outcome.forces.copy()}
        if outcome.stress is not None:
            self.results["stress"] = outcome.stress.copy()
        if outcome.magmoms is not None:
            self.results["magmoms"] = outcome.magmoms.copy()
        if outcome.magmom is not None:
            self.results["magmom"] = outcome.magmom

    def provenance(self) -> dict[str, Any]:
        """Return where the last result comes from, ready for JSON; nothing in it depends on when or how fast it was computed.

        Keys: `oracle`, `version` (of the engine), `settings` (that differ from the engine's defaults), `settings_hash` (the
        same for answers on one scale of energy), `energy` ("extrapolated" or "free"), `charge` and `spin` where they are not 0,
        and where they apply `attempts` (what failed before), `changed` (how the physics differs from what was asked), `away`
        (Å, how far the stored structure lies off the one asked for), `model_sha256`.

        Raises:
            OracleInputError: nothing has been computed.
        """
        outcome, task = self.record.last, self._task
        if outcome is None or task is None:
            raise OracleInputError(
                f"{self.engine.name} has computed nothing yet: there is no result to tell the origin of."
            )
        settings = self.engine.identity(task)
        # A start for the spins belongs to the structure, not to the scale of the energies.
        scale = {key: value for key, value in settings.items() if key != "initial_magmoms"}
        found: dict[str, Any] = {
            "oracle": self.engine.name, "version": outcome.engine, "settings": settings,
            "settings_hash": settings_hash(self.engine.name, scale, self.energy), "energy": self.energy,
        }  # fmt: skip
        more = {
            "charge": task.charge, "spin": task.spin, "attempts": list(outcome.attempts), "changed": outcome.changed,
            "away": outcome.away, "model_sha256": self.engine.capabilities.model_sha256,
        }  # fmt: skip
        return found | {key: value for key, value in more.items() if value}

    def _shared(self, task: Task) -> Outcome:
        """The outcome on every rank, from the first one; all fail together."""
        if self.comm.size == 1:
            return self._obtained(task)
        outcome: Outcome | None = None
        failure: Exception | StoppedError | None = None
        if self.comm.rank == 0:
            try:
                outcome = self._obtained(task)
            except (Exception, StoppedError) as error:
                failure = error
        told = None if failure is None else (_kind(failure), getattr(failure, "reason", str(failure)))
        told, outcome, record = self.comm.bcast((told, outcome, self.record), root=0)
        if failure is not None:
            raise failure
        self.record = record
        if told is not None:
            kind, text = told
            raise kind(f"{text} (on rank 0)")
        assert outcome is not None
        return outcome

    def _obtained(self, task: Task) -> Outcome:
        """The outcome, from the cache or fresh."""
        engine, record = self.engine, self.record
        identity = engine.identity(task)
        stored = None
        if self.cache is not None:
            stored = self.cache.find(engine.name, identity, task, changed=self.retry == "hot")
            if stored is not None and not (task.stress and stored.stress is None):
                record.reused += 1
                record.saved_seconds += stored.seconds
                record.farthest = max(record.farthest, stored.away)
                self._note(task, stored)
                return stored
        self._afford(task)
        outcome = merged(stored, self._computed(task, identity))
        record.fresh += 1
        record.completed += stored is not None
        self._note(task, outcome)
        if self.cache is not None:
            self.cache.store(engine.name, identity, task, outcome)
        return outcome

    def _afford(self, task: Task) -> None:
        """Refuse a fresh calculation beyond the budget."""
        if self.budget is None or self.record.spent < self.budget:
            return
        kept = (
            ""
            if self.cache is None
            else f" Results so far are in {self.cache.folder} and cost nothing when asked again."
        )
        raise OracleBudgetError(
            f"The oracle {self.engine.name} has made {self.record.spent} of {self.budget} calculations that it may make, and "
            f"{task.title} would be another.{kept} Give a larger budget to go on."
        )

    def _computed(self, task: Task, identity: dict[str, Any]) -> Outcome:
        """A fresh outcome."""
        record = self.record
        log = None if self.cache is None else self.cache.prepare(self.engine.name, identity, task)
        folder = FAILED if self.cache is None else self.cache.folder / "failed"
        began = time.perf_counter()
        try:
            outcome = climb(self.engine, task, mode=self.retry, folder=folder, log=log, told=record.retries.append)
        except EvaluationError:
            record.failed += 1
            raise
        except MissingEngineError as error:
            if self.cache is None:
                raise
            what = f"{self.cache.folder} holds no result for {task.title}, and {self.engine.name}"
            raise MissingEngineError(what, error.install) from error
        finally:
            record.seconds += time.perf_counter() - began
        record.retried += bool(outcome.attempts)
        return outcome

    def _note(self, task: Task, outcome: Outcome) -> None:
        """Record, and say aloud, that a result is not quite what was asked."""
        if outcome.changed:
            line = f"{self.engine.name}, {task.title}: {outcome.changed}"
            self.record.changed.append(line)
            warnings.warn(f"{line}; nothing else converged.", stacklevel=4)


def settings_hash(oracle: str, settings: Mapping[str, Any], energy: str = "") -> str:
    """Return twelve digits that tell unlike settings apart."""
    text = json.dumps({"oracle": oracle, "settings": plain(settings), "energy": energy}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _kind(failure: Exception | StoppedError) -> Callable[[str], Exception | StoppedError]:
    """What the other ranks raise where the first one failed, or was asked to stop."""
    if isinstance(failure, StoppedError):
        return StoppedError
    if isinstance(failure, ValueError):
        return OracleInputError
    return next((kind for kind in (OracleBudgetError, OracleError) if isinstance(failure, kind)), EvaluationError)
