"""The universal binding-energy relation as a traction–separation law."""

import numpy as np

from continuum.laws.base import Unloading, positive
from continuum.laws.exponential import ExponentialLaw


class UberLaw(ExponentialLaw):
    """φ = W [1 − (1 + Δ/l) e^{−Δ/l}] (Rose, Smith and Ferrante 1983): peak W/(e l) at Δ = l.

    Args:
        work: work of separation W, eV/Å².
        length: decay length l, Å; √(W d/C') where the law is to be as stiff as an atomic plane.
        unloading: ``damaging`` (default) or ``reversible``.
        penalty: stiffness against interpenetration, eV/Å⁴; the initial stiffness if None.

    Raises:
        LawError: where a parameter is not positive.
    """

    def __init__(
        self, *, work: float, length: float, unloading: Unloading = "damaging", penalty: float | None = None
    ) -> None:
        work = positive(work, "work", "a work of separation in eV/Å²")
        self.length = positive(length, "length", "a decay length in Å")
        super().__init__(
            fracture_energy=work, peak_traction=work / (np.e * self.length), unloading=unloading, penalty=penalty
        )
