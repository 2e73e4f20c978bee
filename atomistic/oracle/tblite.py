"""GFN-xTB by tblite: molecules by GFN2, periodic structures by GFN1 unless a method is named."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import InputError
from ase.data import chemical_symbols

from atomistic.errors import MissingEngineError, OracleInputError
from atomistic.oracle.base import Engine, Outcome, Rung, ScfFailure, Task
from atomistic.oracle.settings import identity_of, one_of, positive, read_settings, way, whole
from atomistic.potentials.base import Capabilities

MODULE = "tblite"
INSTALL = 'pip install "multiscale-mlip[tblite]"'
METHODS = {"gfn1": "GFN1-xTB", "gfn2": "GFN2-xTB", "ipea1": "IPEA1-xTB"}
REFERENCE = "C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019); tblite (LGPL-3.0)"
#: The electronic temperature of the last rung (K).
HOT = 3000.0


@dataclass(frozen=True, kw_only=True)
class TBLiteSettings:
    """Settings of tblite.

    Attributes:
        method: "GFN2-xTB", "GFN1-xTB" or "IPEA1-xTB" (also gfn2, gfn1, ipea1); None for GFN2 of molecules and GFN1 of
            periodic structures, where GFN2's multipoles often find no self-consistency.
        accuracy: tblite's factor on all thresholds; smaller is tighter.
        electronic_temperature: K.
        solvation: implicit solvent as tblite takes it, ("alpb", "water") for example.
        max_iterations: of one attempt.
        damping: share of the new charges that the mixer takes.
    """

    method: str | None = None
    accuracy: float = 1.0
    electronic_temperature: float = 300.0
    solvation: Sequence[Any] | None = None
    max_iterations: int = way(250)
    damping: float = way(0.4)

    def __post_init__(self) -> None:
        if self.method is not None:
            one_of("method", str(self.method).lower().removesuffix("-xtb"), METHODS)
        positive("accuracy", self.accuracy)
        positive("electronic_temperature", self.electronic_temperature, zero=True)
        whole("max_iterations", self.max_iterations)
        positive("damping", self.damping)


def installed() -> bool:
    """Whether tblite is there, without importing it."""
    return importlib.util.find_spec(MODULE) is not None


class TBLiteEngine(Engine):
    """tblite's ASE calculator, made anew for each structure: the same structure, the same bits."""

    name = "tblite"
    advice = (
        "Try method GFN1-xTB, a higher electronic_temperature (metals, broken bonds: 1000 to 5000 K), another charge or spin; "
        "`retry: hot` lets the ladder raise the temperature itself."
    )

    def __init__(self, settings: dict[str, Any] | None = None) -> None:
        self.settings = read_settings(TBLiteSettings, settings, engine=self.name)
        self.capabilities = Capabilities(
            name=self.name, elements=frozenset(chemical_symbols[1:87]), electronic=True, reference=REFERENCE
        )

    def method(self, task: Task) -> str:
        """The method for a structure."""
        if self.settings.method is None:
            return METHODS["gfn1" if task.periodic else "gfn2"]
        return METHODS[self.settings.method.lower().removesuffix("-xtb")]

    def identity(self, task: Task) -> dict[str, Any]:
        """Return method and settings."""
        return identity_of(self.settings) | {"method": self.method(task)}

    def check(self, task: Task) -> None:
        """Refuse structures periodic in some directions only: tblite repeats them in all three."""
        pbc = task.atoms.pbc
        if pbc.any() and not pbc.all():
            raise OracleInputError(
                f"tblite repeats a cell along all three directions or along none; got pbc {pbc.tolist()}. Set pbc to True "
                "with 10 Å of vacuum along the others, or use gpaw."
            )

    def rungs(self, task: Task) -> tuple[Rung, ...]:
        """Return: as asked; more and gentler iterations; annealed from a high temperature; hot."""
        asked = self.settings
        many = max(500, 2 * asked.max_iterations)
        hot = max(HOT, 2 * asked.electronic_temperature)
        return (
            Rung(label="as asked"),
            Rung(label="more iterations, damping 0.1", changes={"max_iterations": many, "mixer_damping": 0.1}),
            Rung(
                label="electrons annealed from 5000 K",
                changes={"max_iterations": many, "mixer_damping": 0.2, "annealing": 5000.0},
            ),
            Rung(
                label=f"electronic temperature {hot:g} K",
                changes={"max_iterations": many, "mixer_damping": 0.2, "electronic_temperature": hot},
                changed=f"electronic temperature {hot:g} K instead of {asked.electronic_temperature:g} K",
            ),
        )

    def compute(self, task: Task, rung: Rung, *, log: Path | None = None) -> Outcome:
        """Compute with tblite."""
        began = time.perf_counter()
        try:
            from tblite.ase import TBLite
        except ModuleNotFoundError as error:
            raise MissingEngineError("tblite", INSTALL) from error
        parameters = {
            "accuracy": self.settings.accuracy,
            "electronic_temperature": self.settings.electronic_temperature,
            "max_iterations": self.settings.max_iterations,
            "mixer_damping": self.settings.damping,
        } | dict(rung.changes)
        if self.settings.solvation is not None:
            parameters["solvation"] = tuple(self.settings.solvation)
        calculator = TBLite(
            method=self.method(task), charge=task.charge, multiplicity=task.spin + 1, verbosity=0, **parameters
        )
        try:
            calculator.calculate(task.atoms, ["energy", "forces"])
        except InputError as error:
            raise OracleInputError(f"tblite refused {task.title}: {error}.") from error
        except RuntimeError as error:
            raise ScfFailure(str(error)) from error
        found = calculator.results
        return Outcome(
            energy=float(found["energy"]),
            free_energy=float(found["energy"]),
            forces=np.array(found["forces"]),
            stress=np.array(found["stress"]) if "stress" in found else None,
            engine=f"tblite {metadata.version('tblite')}",
            seconds=time.perf_counter() - began,
        )
