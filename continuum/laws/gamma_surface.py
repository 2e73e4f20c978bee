"""Shear over a γ-surface, coupled to opening: slip of a crystal along a plane that may also part."""

from collections.abc import Sequence

import numpy as np
import ufl

from continuum.errors import LawError
from continuum.laws.base import positive
from continuum.laws.exponential import TAIL
from continuum.laws.potential import PotentialLaw
from continuum.laws.symbolic import Expression


class GammaSurfaceLaw(PotentialLaw):
    """ψ = w [1 − (1 + x)e^{−x}] + Σ_k γ_k sin²(π δ_k/b_k) (1 + x (q_k − p)/(q_k (1 − p))) e^{−x}, x = δ_n/l, q_k = γ_k/w.

    The potential of the tractions of Sun, Beltz and Rice (1993), Mater. Sci. Eng. A 170, 67 (Frenkel's sine
    in sliding, the universal binding-energy relation in opening), with one term for each tangential axis k. w = 2γ_s is
    the work of separation, γ_k the unstable stacking energy and b_k the period along axis k, p l the opening at which an
    interface halfway through its slip bears no normal traction. Reversible and periodic: slip by b_k leaves no trace.

    Args:
        work: w, eV/Å².
        length: l, Å.
        unstable_energies: γ_k of the first tangent, or of both, eV/Å².
        periods: b_k, Å, as many.
        dilation: p, in [0, 1).
        penalty: stiffness against interpenetration, eV/Å⁴; the initial stiffness if None.

    Raises:
        LawError: where a parameter is out of its range, or (from the first use in 3D) a second axis is missing.
    """

    def __init__(
        self,
        *,
        work: float,
        length: float,
        unstable_energies: Sequence[float],
        periods: Sequence[float],
        dilation: float = 0.0,
        penalty: float | None = None,
    ) -> None:
        self.fracture_energy = positive(work, "work", "a work of separation in eV/Å²")
        self.opening_at_peak = positive(length, "length", "a decay length in Å")
        if len(unstable_energies) != len(periods) or len(periods) not in (1, 2):
            raise LawError(
                f"{len(unstable_energies)} unstable_energies and {len(periods)} periods: expected one of each for the first "
                "tangent, or two of each"
            )
        self.unstable_energies = tuple(
            positive(e, f"unstable_energies[{i}]", "an energy per area in eV/Å²")
            for i, e in enumerate(unstable_energies)
        )
        self.periods = tuple(positive(b, f"periods[{i}]", "a length in Å") for i, b in enumerate(periods))
        self.dilation = float(dilation)
        if not 0.0 <= self.dilation < 1.0:
            raise LawError(f"dilation = {dilation!r}: expected a share of `length` in [0, 1)")
        self.peak_traction = self.fracture_energy / (np.e * self.opening_at_peak)
        self.initial_stiffness = self.fracture_energy / self.opening_at_peak**2
        self.final_opening = TAIL * self.opening_at_peak
        # A whole period costs nothing: what sliding takes is a barrier, not an energy spent.
        self.shear_fracture_energy = 0.0
        self.shear_peak = np.pi * self.unstable_energies[0] / self.periods[0]
        self._finish("reversible", penalty)

    def density(self, opening: Expression) -> Expression:
        """ψ as a UFL scalar (eV/Å²) of a UFL vector (Å): normal first, then one tangent or two."""
        axes = len(opening) - 1
        if axes > len(self.periods):
            raise LawError(f"{axes} tangents: expected unstable_energies and periods for both; one was given")
        x = opening[0] / self.opening_at_peak
        decay = ufl.exp(-x)
        psi = self.fracture_energy * (1.0 - (1.0 + x) * decay)
        for axis, energy, period in zip(range(axes), self.unstable_energies, self.periods, strict=False):
            q = energy / self.fracture_energy
            along = (q - self.dilation) / (q * (1.0 - self.dilation))
            psi += energy * ufl.sin(np.pi * opening[axis + 1] / period) ** 2 * (1.0 + along * x) * decay
        return psi
