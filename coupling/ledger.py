"""The energy ledger: every term with the domain it is counted on and its weight, and whether the account closes.

Two independent checks. *Step*: the trapezoidal work of the load equals, to the solver's tolerance, the change of the bulk's
energy and the trapezoidal work of the interface's own tractions on its own openings: an algebraic identity of equilibrium,
so any energy that leaves the account shows at once. *Run*: the work of the load equals stored and dissipated energy, the
dissipation integrated from the history of the interface; this holds up to the trapezoidal rule's error of second order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from coupling.errors import LedgerError


@dataclass(frozen=True, kw_only=True)
class Term:
    """One term of the energy.

    Attributes:
        name: for example "bulk elastic".
        domain: where it is counted, for example "both arms up to the interface".
        weight: with which it enters the total; 1 where nothing is blended, 0 where another description carries it.
        note: what it holds and what was taken out of it.
    """

    name: str
    domain: str
    weight: float = 1.0
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The account after a step.

    Attributes:
        load: the load parameter (Å).
        work: of the load so far, by the trapezoidal rule (eV).
        values: energy of each term (eV), in the ledger's order.
        step_defect: trapezoidal work of the load less change of the bulk's energy less trapezoidal work of the
            interfaces, of this step (eV).
    """

    load: float
    work: float
    values: tuple[float, ...]
    step_defect: float


@dataclass
class EnergyLedger:
    """Collects the terms of the energy along a run and audits them.

    Args:
        terms: what is counted, where, with which weight. Names are unique.
    """

    terms: Sequence[Term]
    entries: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = [term.name for term in self.terms]
        if len(set(names)) != len(names):
            raise LedgerError(f"two terms of the ledger share a name: {names}; a term is counted once")

    def record(self, *, load: float, work_increment: float, step_defect: float, **values: float) -> Entry:
        """Enter one step.

        Args:
            load: load parameter (Å).
            work_increment: the load's work in this step, trapezoidal (eV).
            step_defect: of the step's identity (eV).
            values: energy by term (eV); spaces in a term's name become underscores.

        Raises:
            LedgerError: a term is missing, unknown, or not finite.
        """
        expected = [term.name.replace(" ", "_") for term in self.terms]
        if sorted(values) != sorted(expected):
            raise LedgerError(f"the ledger's terms are {expected}, entered were {sorted(values)}: enter each term once")
        if not np.isfinite([load, work_increment, step_defect, *values.values()]).all():
            raise LedgerError(f"an energy at load {load:.4g} Å is not finite: {values}")
        before = self.entries[-1].work if self.entries else 0.0
        entry = Entry(
            load=load,
            work=before + work_increment,
            values=tuple(values[name] for name in expected),
            step_defect=step_defect,
        )
        self.entries.append(entry)
        return entry

    def column(self, name: str) -> NDArray[np.float64]:
        """One term's energy after each step (eV)."""
        index = [term.name for term in self.terms].index(name)
        return np.array([entry.values[index] for entry in self.entries])

    @property
    def work(self) -> NDArray[np.float64]:
        """The load's work after each step (eV)."""
        return np.array([entry.work for entry in self.entries])

    @property
    def total(self) -> NDArray[np.float64]:
        """Weighted sum of all terms after each step (eV)."""
        weights = np.array([term.weight for term in self.terms])
        return np.array([np.dot(weights, entry.values) for entry in self.entries])

    def step_closure(self) -> float:
        """The largest defect of a step's identity as a fraction of the run's total work."""
        if not self.entries:
            return 0.0
        scale = max(float(np.max(np.abs(self.work))), np.finfo(float).tiny)
        return float(np.max(np.abs([entry.step_defect for entry in self.entries])) / scale)

    def run_closure(self) -> float:
        """|work − stored − dissipated| at the end as a fraction of the total work."""
        if not self.entries:
            return 0.0
        scale = max(float(np.max(np.abs(self.work))), np.finfo(float).tiny)
        return float(abs(self.work[-1] - self.total[-1]) / scale)
