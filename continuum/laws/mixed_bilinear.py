"""The bilinear law whose strength and fracture energy depend on the mode: delamination of composites."""

from typing import Literal, get_args

import numpy as np
import ufl

from continuum.errors import LawError
from continuum.laws.base import Array, positive
from continuum.laws.secant import SymbolicSecantLaw
from continuum.laws.symbolic import Expression, length

Criterion = Literal["benzeggagh-kenane", "power"]


class MixedBilinearLaw(SymbolicSecantLaw):
    """T = (1 − d) K δ, d = Δ_f (λ − Δ₀)/(λ (Δ_f − Δ₀)), λ = √(⟨δ_n⟩² + |δ_t|²); Δ₀ and Δ_f depend on the mode.

    With B = |δ_t|²/λ², the share of shear in the energy:

    ``benzeggagh-kenane`` (Benzeggagh and Kenane 1996; onset and history by Turon, Camanho, Costa and Dávila 2006):
    G_c = G_I + (G_II − G_I) B^η, Δ₀² = (N/K)² + ((S/K)² − (N/K)²) B^η, and Δ_f = [Δ₀ᴵΔ_fᴵ + (Δ₀ᴵᴵΔ_fᴵᴵ − Δ₀ᴵΔ_fᴵ) B^η]/Δ₀.

    ``power`` (Camanho and Dávila 2002): (G_n/G_I)^α + (G_t/G_II)^α = 1, quadratic onset (T_n/N)² + (|T_t|/S)² = 1.

    d is the largest so far, whatever the mode does meanwhile, so that nothing heals where the mode changes.

    Args:
        fracture_energy: G_I, eV/Å².
        shear_fracture_energy: G_II, eV/Å².
        peak_traction: strength N in opening, eV/Å³.
        shear_peak: strength S in sliding, eV/Å³.
        initial_stiffness: K of both, eV/Å⁴.
        criterion: ``benzeggagh-kenane`` or ``power``.
        exponent: η or α, at least 1.
        penalty: stiffness against interpenetration, eV/Å⁴; K if None.

    Raises:
        LawError: where a parameter is not positive, the exponent is below 1, or K is too small for a mode.
    """

    def __init__(
        self,
        *,
        fracture_energy: float,
        shear_fracture_energy: float,
        peak_traction: float,
        shear_peak: float,
        initial_stiffness: float,
        criterion: Criterion = "benzeggagh-kenane",
        exponent: float = 2.0,
        penalty: float | None = None,
    ) -> None:
        self.fracture_energy = positive(fracture_energy, "fracture_energy", "an energy per area in eV/Å²")
        self.shear_fracture_energy = positive(
            shear_fracture_energy, "shear_fracture_energy", "an energy per area in eV/Å²"
        )
        self.peak_traction = positive(peak_traction, "peak_traction", "a traction in eV/Å³")
        self.shear_peak = positive(shear_peak, "shear_peak", "a traction in eV/Å³")
        self.initial_stiffness = positive(initial_stiffness, "initial_stiffness", "a traction per length in eV/Å⁴")
        if criterion not in get_args(Criterion):
            raise LawError(f"criterion = {criterion!r}: expected 'benzeggagh-kenane' or 'power'")
        self.criterion, self.exponent = criterion, positive(exponent, "exponent", "η or α of the criterion")
        if self.exponent < 1.0:
            raise LawError(
                f"exponent = {exponent!r}: expected at least 1 (the tangent is infinite in pure mode I below)"
            )
        self.opening_at_peak = self.peak_traction / self.initial_stiffness
        self.final_opening = 2.0 * self.fracture_energy / self.peak_traction
        shares = np.linspace(0.0, 1.0, 101)
        onset, energy = self.onset(shares), self.mixed_energy(shares)
        least = (onset * self.initial_stiffness) ** 2 / (2.0 * energy)
        worst = int(np.argmax(least))
        if least[worst] >= self.initial_stiffness:
            raise LawError(
                f"initial_stiffness = {initial_stiffness!r}: at a share {shares[worst]:g} of shear the peak would lie "
                f"beyond the final opening; expected more than {least[worst]:g}: raise it"
            )
        self._finish("damaging", penalty)

    def mixed_energy(self, share: Array) -> Array:
        """G_c at shares B of shear in the energy, (n,) -> (n,) eV/Å²."""
        return np.asarray(self._energy(np.asarray(share, dtype=float)))

    def onset(self, share: Array) -> Array:
        """Δ₀, the effective opening at which damage begins, at shares B of shear, (n,) -> (n,) Å."""
        return np.sqrt(self._onset_square(np.asarray(share, dtype=float)))

    def toughness(self, opening: Array) -> Array:
        """Fracture energy in the mode of an opening, (n, dim) -> (n,) eV/Å²."""
        square = opening**2
        total = square.sum(axis=1)
        return self.mixed_energy(square[:, 1:].sum(axis=1) / np.where(total > 0.0, total, 1.0))

    def secants(self, opening: Expression) -> tuple[Expression, Expression]:
        """a_n and a_t of a first opening as UFL scalars (eV/Å⁴) of a UFL vector (Å), normal first."""
        small = 1e-9 * self.opening_at_peak
        effective = length(opening, small)
        share = sum(opening[i] ** 2 for i in range(1, len(opening))) / effective**2
        first = ufl.sqrt(self._onset_square(share))
        last = 2.0 * self._energy(share) / (self.initial_stiffness * first)
        intact = first * (last - effective) / (effective * (last - first))
        left = ufl.conditional(ufl.lt(effective, first), 1.0, ufl.conditional(ufl.lt(effective, last), intact, 0.0))
        return self.initial_stiffness * left, self.initial_stiffness * left

    def _energy(self, share: Expression) -> Expression:
        first, second, power = self.fracture_energy, self.shear_fracture_energy, self.exponent
        if self.criterion == "power":
            return (((1.0 - share) / first) ** power + (share / second) ** power) ** (-1.0 / power)
        return first + (second - first) * share**power

    def _onset_square(self, share: Expression) -> Expression:
        first, second = self.opening_at_peak**2, (self.shear_peak / self.initial_stiffness) ** 2
        if self.criterion == "power":
            return 1.0 / ((1.0 - share) / first + share / second)
        return first + (second - first) * share**self.exponent
