"""What a crack's path is made of beside its states: models with their zones, and loads at which the crack did not stand."""

from __future__ import annotations

from dataclasses import dataclass

from coupling.crack import CrackModel, CrackSolver, UnitLoad
from multiscale.studies.crack_observer import Observer
from multiscale.studies.embedded_zone import EmbeddedZone


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """One model on the path: where its zone lies, how it is solved, how its states are looked at.

    Attributes:
        observer: looks at states.
        solver: finds them.
        unit: displacement at load one.
        zone: its atoms, with what is embedded in them.
        tip: x of the crack's tip when the model was made, Å.
    """

    observer: Observer
    solver: CrackSolver
    unit: UnitLoad
    zone: EmbeddedZone[CrackModel]
    tip: float


@dataclass(frozen=True, kw_only=True)
class Run:
    """A load at which the crack did not stand.

    Attributes:
        before: the last load at which it stood.
        load: at which it ran (sign 1) or closed (−1).
        sign: of the change.
    """

    before: float
    load: float
    sign: float
