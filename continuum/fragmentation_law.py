"""Extrinsic cohesive law: rigid until the traction reaches the strength, straight softening from there on.

The effective traction √(⟨t_n⟩² + β²|t_t|²) (Camacho and Ortiz 1996, Int. J. Solids Struct. 33, 2899) starts at σ_c and falls with
the effective opening δ = √(δ_n² + |δ_t|²/β²) to zero at δ_f = 2G_c/σ_c; unloading goes to the origin.

A rigid law has no traction for a given (zero) opening, so it is asked another way: for the trial traction p = λ + r⟦u⟧ that
the bulk offers (λ the mean stress of both sides, r the penalty of the intact facet) it answers the opening that minimises

    ψ(δ) + ½ r|δ|² − p·δ,     so that     t(δ) + r δ = p

(Lorentz 2008, Comput. Methods Appl. Mech. Eng. 198, 302). An opening starts from zero exactly when p reaches
the strength, with the traction that was there, in its direction: no jump of traction at onset, no artificial stiffness.
Tangential components take the penalty r/β², with which the answer is in closed form.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continuum.laws.base import positive

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What a law answers at n points for trial tractions; normal components first.

    Attributes:
        opening: δ, (n, dim) Å.
        derivative: ∂δ/∂p, (n, dim, dim) symmetric, Å⁴/eV.
        secant: (n, dim), Å⁴/eV; δ = secant·p, and ∂δ/∂p while the damage stands still.
        effective: √(⟨p_n⟩² + β²|p_t|²), (n,) eV/Å³.
        stored: (n,) eV/Å².
        dissipated: (n,) eV/Å².
        history_new: (n,) largest effective opening, Å.
    """

    opening: Array
    derivative: Array
    secant: Array
    effective: Array
    stored: Array
    dissipated: Array
    history_new: Array


class ExtrinsicLaw:
    """Linear softening from the strength; no opening before.

    Args:
        fracture_energy: G_c, eV/Å².
        strength: σ_c, eV/Å³.
        shear_weight: β: shear counts β times in the effective traction.

    Attributes:
        final_opening: δ_f = 2G_c/σ_c, Å.

    Raises:
        LawError: where a parameter is not positive.
    """

    def __init__(self, *, fracture_energy: float, strength: float, shear_weight: float = 1.0) -> None:
        self.fracture_energy = positive(fracture_energy, "fracture_energy", "an energy per area in eV/Å²")
        self.strength = positive(strength, "strength", "a traction in eV/Å³")
        self.shear_weight = positive(shear_weight, "shear_weight", "a ratio of strengths")
        self.final_opening = 2.0 * self.fracture_energy / self.strength

    @property
    def softening(self) -> float:
        """Slope −dT/dδ, eV/Å⁴; penalties must be larger."""
        return self.strength / self.final_opening

    def penalties(self, normal: Array, dim: int) -> Array:
        """r (n, dim) from that of the normal component (n,), eV/Å⁴."""
        found = np.repeat(normal[:, None], dim, axis=1)
        found[:, 1:] /= self.shear_weight**2
        return found

    def effective(self, trial: Array) -> Array:
        """Effective traction (n,) of tractions (n, dim)."""
        return np.sqrt(np.maximum(trial[:, 0], 0.0) ** 2 + self.shear_weight**2 * (trial[:, 1:] ** 2).sum(axis=1))

    def open(self, trial: Array, penalty: Array, history: Array) -> Opened:
        """Openings for trial tractions.

        Args:
            trial: p, (n, dim) eV/Å³.
            penalty: r of the normal component, (n,) eV/Å⁴, above `softening`.
            history: κ, (n,) Å, largest effective opening so far; δ_f and more where nothing holds.
        """
        p, beta = self.effective(trial), self.shear_weight
        first = np.clip((p - self.strength) / (penalty - self.softening), 0.0, None)
        first = np.where(first > self.final_opening, p / penalty, first)
        loading = first > history
        # Unloading stiffness T(κ)/κ; intact points do not open, as if it were infinite.
        held = self.strength * np.clip(1.0 - history / self.final_opening, 0.0, None)
        known = history > 1e-12 * self.final_opening
        stiffness = held / np.where(known, history, 1.0)
        back = np.where(known, p / (stiffness + penalty), 0.0)
        size = np.where(loading, first, back)
        # δ_i = s m_i p_i with m = (1, β², ...) where open: in the scaled components δ and p are parallel.
        metric = np.full(trial.shape, beta**2)
        metric[:, 0] = trial[:, 0] > 0.0
        scale = size / np.maximum(p, 1e-300)
        secant = scale[:, None] * metric
        slope = np.where(loading, 1.0 / (penalty - self.softening), scale)
        slope = np.where(loading & (first > self.final_opening), 1.0 / penalty, slope)
        pulled = metric * trial / np.maximum(p, 1e-300)[:, None]
        derivative = ((slope - scale) * (p > 0.0))[:, None, None] * pulled[:, :, None] * pulled[:, None, :]
        index = np.arange(trial.shape[1])
        derivative[:, index, index] += secant
        largest = np.maximum(history, size)
        spent = np.minimum(largest, self.final_opening)
        left = self.strength * (1.0 - spent / self.final_opening)
        soft = left / np.where(largest > 1e-12 * self.final_opening, largest, 1.0)
        stored = np.where(largest > 1e-12 * self.final_opening, 0.5 * soft * size**2, 0.0)
        return Opened(
            opening=secant * trial,
            derivative=derivative,
            secant=secant,
            effective=p,
            stored=stored,
            dissipated=0.5 * self.strength * spent,
            history_new=largest,
        )
