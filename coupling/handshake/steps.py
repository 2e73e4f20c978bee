"""What a load path is made of: its steps, the equilibria between which they lie, what a step has cost so far."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from coupling.handshake.methods import Balance

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadStep:
    """One equilibrium on the path.

    Attributes:
        load: λ, Å.
        u: (nodes, c) one displacement a node, Å.
        balance: forces and energies of the method there.
        energies: weighted energies by name, eV; also for methods whose forces have no energy, where sites have one; else empty.
        history: of the law before this step, for profiles and energies at u.
        reaction: R conjugate to the load, eV/Å (per unit of the load in Å).
        work: trapezoidal, of the supports in this step, eV.
        part_works: trapezoidal, of the nodal forces of each part, eV; empty for methods without parts.
        defect: work less the sum of them, eV; zero without parts.
        residual: largest force left on an unknown, eV/Å.
        iterations: of the solver, all parts of a halved step together.
        calls: of the potential.
        cutbacks: how often the step was halved.
        jump: largest displacement of a node in this step over the supports' own; far above one where the path broke off.
        jumped: whether that is beyond what a path can do, or no path led here: the step's work then says nothing of the energy
            between.
        seconds: wall time.
        potential_seconds: of it inside the potential.
    """

    load: float
    u: Array
    balance: Balance
    energies: dict[str, float]
    history: Array | None
    reaction: float
    work: float
    part_works: dict[str, float]
    defect: float
    residual: float
    iterations: int
    calls: int
    cutbacks: int
    jump: float
    jumped: bool
    seconds: float
    potential_seconds: float


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """An equilibrium with what a step from it needs.

    Attributes:
        load: λ, Å.
        u: (rows, c) unknowns, Å.
        balance: forces and energies there.
        reaction: R, eV/Å.
    """

    load: float
    u: Array
    balance: Balance
    reaction: float


@dataclass
class Tally:
    """What a step has cost and done so far."""

    work: float = 0.0
    part_works: dict[str, float] = field(default_factory=dict)
    iterations: int = 0
    calls: int = 0
    cutbacks: int = 0
    jump: float = 0.0
    jumped: bool = False
    seconds: float = 0.0
    potential_seconds: float = 0.0
