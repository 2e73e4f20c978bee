"""How cracks are solved and followed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coupling.errors import MethodError


@dataclass(frozen=True, kw_only=True)
class FollowOptions:
    """How a path is followed.

    Attributes:
        tolerance: largest force left on an unknown, eV/Å.
        first_step: first change of the load, as a share of it.
        largest_step: largest displacement of a core node beyond the elastic field in one step, Å.
        largest_change: of the load in one step, as a share of it.
        smallest_step: where steps get shorter than this, the path is given up, Å.
        max_states: on the path.
        max_iterations: for one state.
        depth: of Anderson's iteration.
        rough: force to which a state falls before it is solved for, eV/Å.
        max_fall: calls on the way down.
    """

    tolerance: float = 1e-5
    first_step: float = 0.01
    largest_step: float = 0.1
    largest_change: float = 0.04
    smallest_step: float = 1e-4
    max_states: int = 200
    max_iterations: int = 30
    depth: int = 20
    rough: float = 0.01
    max_fall: int = 100

    def __post_init__(self) -> None:
        for name in ("tolerance", "first_step", "largest_step", "largest_change", "smallest_step"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0.0):
                raise MethodError(f"{name} = {value!r}: expected a number above zero")
        for name in ("max_states", "max_iterations", "depth"):
            if int(getattr(self, name)) < 1:
                raise MethodError(f"{name} = {getattr(self, name)!r}: expected at least 1")
