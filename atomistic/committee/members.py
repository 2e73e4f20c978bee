"""What the members of a committee say of one structure, side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Members:
    """Energies, forces and stresses of K members.

    Attributes:
        energies: (K,), eV.
        forces: (K, n, 3), eV/Å.
        stresses: (K, 3, 3), eV/Å³, positive in tension; zeros unless all directions are periodic.
    """

    energies: Array
    forces: Array
    stresses: Array
