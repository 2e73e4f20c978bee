"""Any ASE calculator, or any potential, in the engine's place."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import InputError, PropertyNotImplementedError, all_changes

from atomistic.errors import AtomisticError, EvaluationError, MissingEngineError, OracleInputError
from atomistic.oracle.base import Engine, Outcome, Rung, ScfFailure, Task
from atomistic.oracle.settings import plain
from atomistic.potentials.base import Capabilities, Potential, sha256
from atomistic.potentials.imported import load_imported
from atomistic.potentials.registry import load_potential


@dataclass(frozen=True, kw_only=True)
class CalculatorSpec:
    """An ASE calculator by the path of its class.

    Attributes:
        calculator: "package.module:Class".
        arguments: for its constructor.
        retries: arguments that replace some of these, one mapping for each further attempt; `changed: "..."` among them says
            how the physics then differs from what was asked, and `retry: hot` allows it.
        elements: chemical symbols that it has parameters for; None if it takes any.
        electronic: whether it treats electrons.
        charge_argument: the constructor's argument that takes the charge (e), if it has one.
        multiplicity_argument: the constructor's argument that takes 2S + 1, if it has one.
        version: text that tells releases apart in records.
    """

    calculator: str
    arguments: Mapping[str, Any] | None = None
    retries: Sequence[Mapping[str, Any]] = ()
    elements: Sequence[str] | None = None
    electronic: bool = False
    charge_argument: str | None = None
    multiplicity_argument: str | None = None
    version: str = ""


class CalculatorEngine(Engine):
    """Any ASE calculator; made anew for each structure, so that no attempt sees what another left behind."""

    advice = "Give `retries`: a list of arguments for further attempts (more iterations, slower mixing)."

    def __init__(self, spec: CalculatorSpec, *, deferred: bool) -> None:
        self.spec = spec
        self.name = spec.calculator.rpartition(":")[2] or spec.calculator
        for retry in spec.retries:
            if not isinstance(retry, Mapping):
                raise OracleInputError(f"retries are mappings of arguments, one for each attempt; got {retry!r}.")
        elements = frozenset(spec.elements) if spec.elements is not None else None
        self.capabilities = Capabilities(name=spec.calculator, elements=elements, electronic=spec.electronic)
        plain(spec.arguments or {})
        try:
            able = self._made(spec.arguments).capabilities
            self.capabilities = replace(able, electronic=spec.electronic)
        except MissingEngineError:
            if not deferred:
                raise

    def identity(self, task: Task) -> dict[str, Any]:
        """Return path and arguments."""
        return {"calculator": self.spec.calculator, "arguments": plain(self.spec.arguments or {})}

    def check(self, task: Task) -> None:
        """Refuse a charge or spin that would be lost."""
        asked = {"charge": task.charge, "multiplicity": task.spin}
        for name, value in asked.items():
            if value and self.spec.electronic and getattr(self.spec, f"{name}_argument") is None:
                raise OracleInputError(
                    f"{task.title}: the calculator {self.spec.calculator!r} is not told of charge and spin. Name the argument of "
                    f"its constructor that takes them: {name}_argument."
                )

    def rungs(self, task: Task) -> tuple[Rung, ...]:
        """Return: as asked; then each of the retries."""
        rungs = [Rung(label="as asked")]
        for retry in self.spec.retries:
            changes = {key: value for key, value in retry.items() if key != "changed"}
            rungs.append(Rung(label=f"with {changes}", changes=changes, changed=str(retry.get("changed", ""))))
        return tuple(rungs)

    def compute(self, task: Task, rung: Rung, *, log: Path | None = None) -> Outcome:
        """Compute with the calculator."""
        arguments = dict(self.spec.arguments or {}) | dict(rung.changes)
        if self.spec.charge_argument:
            arguments[self.spec.charge_argument] = task.charge
        if self.spec.multiplicity_argument:
            arguments[self.spec.multiplicity_argument] = task.spin + 1
        return evaluated(self._made(arguments), task, engine=f"{self.spec.calculator} {self.spec.version}".strip())

    def _made(self, arguments: Mapping[str, Any] | None) -> Potential:
        return load_imported(self.spec.calculator, arguments=arguments, elements=self.spec.elements)


class PotentialEngine(Engine):
    """Any potential that `load_potential` knows, standing in for a quantum engine; charge and spin mean nothing to it."""

    def __init__(self, spec: Any, *, deferred: bool) -> None:
        self.spec = spec
        self.name = (
            str(spec.get("name") or Path(str(spec.get("path"))).name) if isinstance(spec, Mapping) else str(spec)
        )
        self.capabilities = Capabilities(name=self.name, elements=None)
        self._potential: Potential | None = None
        try:
            self.capabilities = self.potential.capabilities
        except MissingEngineError:
            if not deferred:
                raise

    @property
    def potential(self) -> Potential:
        """The potential, loaded when first needed."""
        if self._potential is None:
            self._potential = load_potential(self.spec)
        return self._potential

    def identity(self, task: Task) -> dict[str, Any]:
        """Return the specification, and the hash of its file where it is given by path."""
        identity: dict[str, Any] = {"potential": plain(self.spec)}
        path = self.spec.get("path") if isinstance(self.spec, Mapping) else None
        if path is not None and Path(path).is_file():
            identity = {
                "potential": plain({k: v for k, v in self.spec.items() if k != "path"}),
                "sha256": sha256(Path(path)),
            }
        return identity

    def rungs(self, task: Task) -> tuple[Rung, ...]:
        """Return one rung: potentials have nothing to converge."""
        return (Rung(label="as asked"),)

    def compute(self, task: Task, rung: Rung, *, log: Path | None = None) -> Outcome:
        """Evaluate the potential."""
        return evaluated(self.potential, task, engine=self.name)


def evaluated(potential: Potential, task: Task, *, engine: str) -> Outcome:
    """Return what a calculator gives for a structure.

    Raises:
        ScfFailure: it raised, or gave numbers that are not finite.
        OracleInputError: it cannot give the forces, or the stress, or refuses the structure.
    """
    began = time.perf_counter()
    calculator = potential.calculator
    wanted = ["energy", "forces", *(["stress"] if task.stress else [])]
    refuse: Callable[[Exception], OracleInputError] = lambda error: OracleInputError(  # noqa: E731
        f"{engine} cannot compute {', '.join(wanted)} of {task.title}: {error}"
    )
    try:
        calculator.reset()
        calculator.calculate(task.atoms, wanted, all_changes)
    except (PropertyNotImplementedError, NotImplementedError, InputError) as error:
        raise refuse(error) from error
    except (AtomisticError, MissingEngineError, MemoryError):
        raise
    except EvaluationError as error:
        if isinstance(error.__cause__, InputError):
            raise refuse(error.__cause__) from error
        raise ScfFailure(str(error)) from error
    except Exception as error:
        raise ScfFailure(f"{type(error).__name__}: {error}") from error
    found = calculator.results
    missing = [name for name in wanted if name not in found]
    if missing:
        raise refuse(KeyError(f"no {', '.join(missing)} among its results"))
    magmoms = found.get("magmoms")
    return Outcome(
        energy=float(found["energy"]),
        free_energy=float(found.get("free_energy", found["energy"])),
        forces=np.array(found["forces"], dtype=float),
        stress=_voigt(found["stress"]) if task.stress else None,
        magmoms=None if magmoms is None or not np.any(magmoms) else np.array(magmoms, dtype=float),
        magmom=found.get("magmom"),
        engine=engine,
        seconds=time.perf_counter() - began,
    )


def _voigt(stress: Any) -> np.ndarray:
    """A stress (6,) from (6,) or (3, 3)."""
    array = np.array(stress, dtype=float)
    return array if array.shape == (6,) else array.ravel()[[0, 4, 8, 5, 2, 1]]
