"""What a crack is at one point of its path: unknowns, load, forces, account."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class CrackState:
    """One equilibrium of a cracked body.

    Attributes:
        load: multiplies the unit load: of a disc the stress intensity K of its mixture of modes, eV/Å^2.5; else the
            displacement of the grips, Å.
        u: (rows, 3) unknowns, Å: displacements of the nodes first, inner displacements of the motifs after.
        positions: (atoms, 3) deformed places of all atoms, pads included, site by site, Å.
        conjugate: generalised force of the load, dΠ/dload: the reaction on the unit displacement.
        work: ∫ conjugate dload along the path so far, eV: the change of energy of a conservative method.
        stable: whether the branch is: rising load, or held by the bonds; None where it is not known.
        residual: largest force left on an unknown, eV/Å.
        iterations: for this state.
        calls: of the potential for this state.
        seconds: wall time for this state.
        terms: energies by name, eV, where the potential gives them.
    """

    load: float
    u: Array
    positions: Array
    conjugate: float
    work: float
    stable: bool | None
    residual: float
    calls: int
    seconds: float
    terms: dict[str, float] = field(default_factory=dict)
    iterations: int = 0
