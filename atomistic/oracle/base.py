"""What every engine looks like from the retry ladder, the cache and the calculator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from atomistic.potentials.base import Capabilities


class ScfFailure(Exception):
    """An engine found no self-consistent state; the next rung of the ladder may. Never leaves this package."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One structure to compute.

    Attributes:
        atoms: numbers, positions (Å), cell (Å), pbc, initial magnetic moments; no calculator.
        charge: total charge of the cell or molecule (e).
        spin: unpaired electrons.
        stress: whether the stress is wanted.
    """

    atoms: Atoms
    charge: float
    spin: int
    stress: bool = False

    @property
    def periodic(self) -> bool:
        """Whether any direction is periodic."""
        return bool(self.atoms.pbc.any())

    @property
    def title(self) -> str:
        """The structure in a few words, for messages."""
        kind = "periodic" if self.periodic else "molecule"
        return f"{self.atoms.get_chemical_formula()} ({kind}, charge {self.charge:g}, spin {self.spin})"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an engine found for a structure.

    Attributes:
        energy: eV; extrapolated to zero electronic temperature where the engine can.
        free_energy: eV; the energy whose gradient the forces are.
        forces: (n, 3), eV/Å.
        stress: (6,), Voigt order xx yy zz yz xz xy, eV/Å³, positive in tension; None if it was not computed.
        magmoms: (n,), Bohr magnetons; None where the engine did not polarise the spins.
        magmom: of all, what lies between the atoms included; None as before.
        engine: name and version of what computed it.
        seconds: wall time of all attempts.
        attempts: what was tried before and why it failed, one line each.
        changed: how the physics differs from what was asked (a higher electronic temperature); empty if it does not.
        away: largest component, Å, by which the stored structure lies off the one asked for; 0 where it was computed.
    """

    energy: float
    free_energy: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64] | None = None
    magmoms: NDArray[np.float64] | None = None
    magmom: float | None = None
    engine: str = ""
    seconds: float = 0.0
    attempts: tuple[str, ...] = ()
    changed: str = ""
    away: float = 0.0

    def unusable(self) -> str:
        """Say which numbers are not finite, or nothing."""
        for name in ("energy", "free_energy", "forces", "stress", "magmoms"):
            value = getattr(self, name)
            if value is not None and not np.all(np.isfinite(value)):
                return f"{name} not finite"
        return ""


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One step of an engine's retry ladder.

    Attributes:
        label: what is done, for records and messages.
        changes: settings of the engine's own that replace those asked for.
        changed: how the answer then differs from what was asked; empty where the converged answer is the same.
    """

    label: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    changed: str = ""


class Engine(ABC):
    """A quantum engine, or what stands in for one.

    Attributes:
        name: what people call it.
        capabilities: what it knows and gives.
        advice: what to try where its ladder ends.
    """

    name: str
    capabilities: Capabilities
    advice: str = "Look at the saved structure: atoms too close together are the usual cause."

    @abstractmethod
    def identity(self, task: Task) -> dict[str, Any]:
        """Return what decides the answer apart from the structure, ready for JSON: the same entries, the same answer."""

    @abstractmethod
    def rungs(self, task: Task) -> tuple[Rung, ...]:
        """Return the ladder, the settings asked for first; rungs that change the physics last."""

    @abstractmethod
    def compute(self, task: Task, rung: Rung, *, log: Path | None = None) -> Outcome:
        """Compute energy and forces, and the stress where the task wants it.

        Args:
            task: the structure.
            rung: the step of the ladder.
            log: file for the engine's own log, if it writes one.

        Raises:
            ScfFailure: no self-consistent state; the next rung may find one.
            MissingEngineError: the engine is not installed.
            OracleInputError: the structure cannot be computed with these settings.
        """

    def check(self, task: Task) -> None:  # noqa: B027 - most engines take every structure
        """Refuse structures that the engine cannot treat, before anything runs.

        Raises:
            OracleInputError: what does not fit, and what would.
        """
