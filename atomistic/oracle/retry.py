"""Up the ladder: a failed calculation is tried again with safer settings, then the structure is saved and the run told."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase.io import write

from atomistic.errors import EvaluationError, OracleError
from atomistic.oracle.base import Engine, Outcome, Rung, ScfFailure, Task
from atomistic.oracle.cache import word_of
from atomistic.oracle.settings import one_of

#: How far the ladder goes: not at all, as far as the converged answer is the same, or to its end.
MODES = ("none", "safe", "hot")


def ladder(engine: Engine, task: Task, mode: str) -> tuple[Rung, ...]:
    """Return the rungs that `mode` allows.

    Raises:
        OracleInputError: unknown mode.
    """
    one_of("retry", mode, MODES)
    rungs = engine.rungs(task)
    if mode == "none":
        return rungs[:1]
    return rungs if mode == "hot" else tuple(rung for rung in rungs if not rung.changed)


def climb(
    engine: Engine,
    task: Task,
    *,
    mode: str,
    folder: Path,
    log: Path | None = None,
    told: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Compute a structure, trying one rung after another.

    Args:
        engine: who computes.
        task: the structure.
        mode: one of MODES.
        folder: where the structure is saved if no rung gives a result.
        log: file for the engine's own log.
        told: called with one line for every attempt that failed.

    Raises:
        OracleError: no rung gave a result; the structure lies in `folder`, settings and reasons beside it.
        OracleInputError, UnknownElementError, MissingEngineError: as the engine raises them, without another attempt.
    """
    attempts: list[str] = []
    began = time.perf_counter()
    for rung in ladder(engine, task, mode):
        try:
            outcome = engine.compute(task, rung, log=log)
            reason = outcome.unusable()
        except ScfFailure as failure:
            reason = str(failure)
        except EvaluationError as failure:
            attempts.append(f"{rung.label}: {failure}")
            raise _given_up(engine, task, attempts, folder, log) from failure
        if not reason:
            seconds = time.perf_counter() - began
            return replace(outcome, seconds=seconds, attempts=tuple(attempts), changed=rung.changed)
        attempts.append(f"{rung.label}: {reason}")
        told(f"{engine.name}, {task.title}: {attempts[-1]}")
    raise _given_up(engine, task, attempts, folder, log)


def _given_up(engine: Engine, task: Task, attempts: list[str], folder: Path, log: Path | None) -> OracleError:
    """Save the structure and return the error that says where."""
    where = save_failure(engine, task, attempts, folder)
    read = f" The engine's log of the last attempt is {log}." if log is not None and log.exists() else ""
    count = f"{len(attempts)} attempt{'s' if len(attempts) > 1 else ''}"
    return OracleError(
        f"{engine.name} gave no result for {task.title} in {count}: {'; '.join(attempts)}. The structure is in {where}, the "
        f"settings beside it.{read} {engine.advice}"
    )


def save_failure(engine: Engine, task: Task, attempts: list[str], folder: Path) -> Path:
    """Write structure (extxyz) and settings (json); a folder that cannot be written must not hide the failure itself."""
    content = b"".join(
        np.ascontiguousarray(a).tobytes() for a in (task.atoms.numbers, task.atoms.positions, task.atoms.cell)
    )
    name = f"{word_of(engine.name)}-{task.atoms.get_chemical_formula()}-{hashlib.sha256(content).hexdigest()[:8]}"
    path = folder / f"{name}.xyz"
    record: dict[str, Any] = {
        "engine": engine.name, "identity": engine.identity(task), "charge": task.charge, "spin": task.spin, "attempts": attempts,
    }  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write(path, task.atoms, format="extxyz", parallel=False)
        path.with_suffix(".json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        return Path(f"(not saved: {error})")
    return path
