"""What a solid is at one moment: its energies, its interfaces, and all that is needed to go back to it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Energies:
    """Energies of a state in eV (plane: of the given thickness; axisymmetric: of the whole ring).

    Attributes:
        bulk: ½∫(ε − ε*):C:(ε − ε*), ε* the stress-free strain.
        interface_stored: recoverable part of ∫ψ.
        dissipated: spent by the interfaces, from their history.
        contact: of the compressive penalty.
        loads: −λ f·u, the potential of dead loads.
    """

    bulk: float
    interface_stored: float
    dissipated: float
    contact: float
    loads: float = 0.0

    @property
    def held(self) -> float:
        """Of the bodies and the loads on them, interfaces apart, eV."""
        return self.bulk + self.loads

    @property
    def total(self) -> float:
        """Sum of all, eV."""
        return self.bulk + self.interface_stored + self.dissipated + self.contact + self.loads


@dataclass(frozen=True, kw_only=True)
class InterfaceState:
    """One interface at its quadrature points, sorted by place; the same on every rank.

    Attributes:
        points: (n, dim) Å.
        opening: (n, dim) jump, normal first, Å.
        traction: (n, dim) normal first, eV/Å³.
        damage: (n,) share of the fracture energy that has been called on; 1 on the initial crack.
        weights: (n,) Å^(dim−1).
    """

    points: Array
    opening: Array
    traction: Array
    damage: Array
    weights: Array


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All that is needed to go back to a state: displacement of this rank, history, contact pressures, load."""

    displacement: Array
    history: Array
    pressure: Array
    load: float
