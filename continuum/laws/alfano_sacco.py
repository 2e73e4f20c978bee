"""Damage and Coulomb friction together: the broken part of an interface slides under pressure."""

from dataclasses import dataclass

import numpy as np

from continuum.errors import LawError
from continuum.laws.base import Array, CohesiveLaw, LawResponse, positive

_DAMAGE, _SPENT, _RUBBED, _PRESSURE = 0, 3, 4, 5


@dataclass(frozen=True, kw_only=True)
class _Friction:
    """The broken part's traction and slip (n, dim − 1), ∂t/∂p (n, dim − 1) and ∂t/∂(trial slide) (n, dim − 1, dim − 1)."""

    traction: Array
    slip: Array
    by_pressure: Array
    by_strain: Array


class AlfanoSaccoLaw(CohesiveLaw):
    """T_n = (1 − D) K_n δ_n (p δ_n in contact), T_t = (1 − D) K_t δ_t + D t, |t| ≤ μ p⟨−δ_n⟩ with t = K_t (δ_t − s).

    Alfano and Sacco (2006), Int. J. Numer. Meth. Engng 68, 542: of each representative area a share D is broken and
    slides with friction, the rest is intact. D = min(1, (1 − 1/ε)/η) and never falls, ε² = (⟨δ_n⟩/δ_n0)² + (|δ_t|/δ_t0)²
    at its largest; onset and final jump have the same ratio 1 − η in both modes, which fixes K_t. Without pressure the law is
    bilinear in each mode.

    One thing differs from the paper: what has just broken begins without slip, s being the mean over what is broken (D s
    carries over). It is the same where sliding and damage go one way, and it makes the energy spent by damage,
    ½(K_n⟨δ_n⟩² + K_t|s|²) dD, non-negative on any path. Friction spends D t·ds.

    History, 6 columns: D, the mean slip s (2 components, Å), the energy dissipated and the part of it that friction took
    (eV/Å²), the pressure (eV/Å³).

    Args:
        fracture_energy: G_I, eV/Å².
        shear_fracture_energy: G_II without friction, eV/Å².
        peak_traction: strength in opening, eV/Å³.
        shear_peak: strength in sliding, without friction, eV/Å³.
        initial_stiffness: K_n, eV/Å⁴.
        friction: Coulomb's coefficient μ ≥ 0.
        penalty: stiffness against interpenetration p, eV/Å⁴; K_n if None.

    Attributes:
        shear_stiffness: K_t, eV/Å⁴.

    Raises:
        LawError: where a parameter is not positive, or K_n is too small.
    """

    variational = False
    symmetric = False
    history_size = 6

    def __init__(
        self,
        *,
        fracture_energy: float,
        shear_fracture_energy: float,
        peak_traction: float,
        shear_peak: float,
        initial_stiffness: float,
        friction: float,
        penalty: float | None = None,
    ) -> None:
        self.fracture_energy = positive(fracture_energy, "fracture_energy", "an energy per area in eV/Å²")
        self.shear_fracture_energy = positive(
            shear_fracture_energy, "shear_fracture_energy", "an energy per area in eV/Å²"
        )
        self.peak_traction = positive(peak_traction, "peak_traction", "a traction in eV/Å³")
        self.shear_peak = positive(shear_peak, "shear_peak", "a traction in eV/Å³")
        self.initial_stiffness = positive(initial_stiffness, "initial_stiffness", "a traction per length in eV/Å⁴")
        self.friction = float(friction)
        if not 0.0 <= self.friction < np.inf:
            raise LawError(f"friction = {friction!r}: expected Coulomb's coefficient, zero or more")
        self.opening_at_peak = self.peak_traction / self.initial_stiffness
        self.final_opening = 2.0 * self.fracture_energy / self.peak_traction
        ratio = self.opening_at_peak / self.final_opening
        if ratio >= 1.0:
            least = self.peak_traction**2 / (2.0 * self.fracture_energy)
            raise LawError(
                f"initial_stiffness = {initial_stiffness!r}: the peak would lie beyond the final opening "
                f"{self.final_opening:g}; expected more than peak_traction²/(2 fracture_energy) = {least:g}: raise it"
            )
        self.final_sliding = 2.0 * self.shear_fracture_energy / self.shear_peak
        self.sliding_at_peak = ratio * self.final_sliding
        self.shear_stiffness = self.shear_peak / self.sliding_at_peak
        self._eta = 1.0 - ratio
        self._finish("damaging", penalty)

    def evaluate(self, jump: Array, history: Array) -> LawResponse:
        """Traction, tangent and energies for jumps (n, dim), normal first, given the history (n, 6)."""
        dim = jump.shape[1]
        normal, shear = np.maximum(jump[:, 0], 0.0), jump[:, 1:]
        before, slip_before = history[:, _DAMAGE], history[:, 1:dim]
        damage, damage_by_jump, breaking, reach = self._damage(normal, shear, before)
        pressure = self.penalty * np.maximum(-jump[:, 0], 0.0)
        broken = damage > 0.0
        mixed = (before / np.where(broken, damage, 1.0))[:, None] * slip_before
        rubbing = self._friction(shear - mixed, pressure)
        slip = mixed + np.where(broken[:, None], rubbing.slip, 0.0)
        # The mean pressure of the step, for a slide under rising pressure rubbed less at its beginning.
        resistance = 0.5 * self.friction * (history[:, _PRESSURE] + pressure)
        rubbed = damage * resistance * np.linalg.norm(slip - mixed, axis=1)
        spent = history[:, _SPENT] + breaking[:, 0] + breaking[:, 1] * _ratio(slip, shear) + rubbed
        intact, stiffness = 1.0 - damage, self.shear_stiffness
        traction = np.empty_like(jump)
        traction[:, 0] = intact * self.initial_stiffness * normal - pressure
        traction[:, 1:] = intact[:, None] * stiffness * shear + damage[:, None] * rubbing.traction
        new = np.zeros((len(jump), self.history_size))
        new[:, _DAMAGE], new[:, 1:dim], new[:, _SPENT] = damage, slip, spent
        new[:, _RUBBED], new[:, _PRESSURE] = history[:, _RUBBED] + rubbed, pressure
        elastic = 0.5 * stiffness * (damage * ((shear - slip) ** 2).sum(axis=1) + intact * (shear**2).sum(axis=1))
        return LawResponse(
            traction=traction,
            tangent=self._tangent(jump, damage, damage_by_jump, mixed, rubbing),
            secant=self._secant(jump, traction, damage),
            history_new=new,
            stored=0.5 * intact * self.initial_stiffness * normal**2 + elastic,
            dissipated=spent,
            contact=0.5 * self.penalty * np.minimum(jump[:, 0], 0.0) ** 2,
            damage=self._called(damage, reach),
        )

    def _tangent(self, jump: Array, damage: Array, by_jump: Array, mixed: Array, rubbing: "_Friction") -> Array:
        """∂T/∂δ (n, dim, dim); `by_jump` is ∂D/∂δ (n, dim), `mixed` the slip (n, dim − 1) before this step's slide."""
        dim, closed = jump.shape[1], jump[:, 0] < 0.0
        intact, stiffness = 1.0 - damage, self.shear_stiffness
        # ∂s/∂D of the mean slip at fixed D s is −s/D; the elastic slide grows by as much.
        strain = (mixed / np.where(damage > 0.0, damage, 1.0)[:, None])[:, :, None] * by_jump[:, None, :]
        strain[:, :, 1:] += np.eye(dim - 1)
        tangent = np.zeros((len(jump), dim, dim))
        tangent[:, 0, :] = -self.initial_stiffness * np.maximum(jump[:, 0], 0.0)[:, None] * by_jump
        tangent[:, 0, 0] += np.where(closed, self.penalty, intact * self.initial_stiffness)
        tangent[:, 1:, :] = (rubbing.traction - stiffness * jump[:, 1:])[:, :, None] * by_jump[:, None, :]
        tangent[:, 1:, :] += damage[:, None, None] * (rubbing.by_strain @ strain)
        tangent[closed, 1:, 0] -= (self.penalty * damage[:, None] * rubbing.by_pressure)[closed]
        index = np.arange(1, dim)
        tangent[:, index, index] += (intact * stiffness)[:, None]
        return tangent

    def _damage(self, normal: Array, shear: Array, before: Array) -> tuple[Array, Array, Array, Array]:
        """D (n,), ∂D/∂δ (n, dim), what the step spends in opening and sliding if nothing rubs (n, 2), and ε (n,)."""
        parts = np.column_stack([normal / self.opening_at_peak, shear / self.sliding_at_peak])
        reach = np.sqrt(np.einsum("ij,ij->i", parts, parts))
        most = 1.0 / (1.0 - self._eta)
        reached = np.minimum(np.maximum(reach, 1.0), most)
        virgin = (1.0 - 1.0 / reached) / self._eta
        growing = virgin > before
        damage = np.where(growing, np.minimum(virgin, 1.0), before)
        scale = np.array([self.opening_at_peak] + [self.sliding_at_peak] * shear.shape[1])
        still = growing & (reach < most)
        slope = np.where(still, 1.0 / (self._eta * np.maximum(reach, 1.0) ** 3), 0.0)
        # At one mode ½(K_n δ_n² + K_t δ_t²) dD integrates to (1 − η)/η times energies of the mode times the growth of ε.
        growth = np.where(growing, (reached - 1.0 / (1.0 - self._eta * before)) * (1.0 - self._eta) / self._eta, 0.0)
        cosine = (parts[:, 0] / np.maximum(reach, 1e-300)) ** 2
        opening, sliding = growth * cosine * self.fracture_energy, growth * (1.0 - cosine) * self.shear_fracture_energy
        return damage, slope[:, None] * parts / scale, np.column_stack([opening, sliding]), reach

    def _friction(self, strain: Array, pressure: Array) -> "_Friction":
        """What the broken part answers to a trial slide (n, dim − 1) Å under a pressure (n,) eV/Å³."""
        most, stiffness = self.friction * pressure, self.shear_stiffness
        size = np.linalg.norm(strain, axis=1)
        sliding = (stiffness * size > most)[:, None]
        safe = np.where(size > 0.0, size, 1.0)
        along = strain / safe[:, None]
        traction = np.where(sliding, most[:, None] * along, stiffness * strain)
        identity = np.eye(strain.shape[1])
        turning = (most / safe)[:, None, None] * (identity - along[:, :, None] * along[:, None, :])
        return _Friction(
            traction=traction,
            slip=np.where(sliding, strain - traction / stiffness, 0.0),
            by_pressure=np.where(sliding, self.friction * along, 0.0),
            by_strain=np.where(sliding[:, :, None], turning, stiffness * identity),
        )

    def _called(self, damage: Array, reach: Array) -> Array:
        """Share of the fracture energy called on where D has been reached along one mode."""
        ratio = 1.0 - self._eta
        reached = np.where(
            damage > 0.0, np.minimum(1.0 / (1.0 - self._eta * damage), 1.0 / ratio), np.minimum(reach, 1.0)
        )
        # ψ of the bilinear law over G_c: what is dissipated, (ε − 1)(1 − η)/η, and what is stored, (1 − D) ε² (1 − η).
        return np.minimum(ratio * (np.maximum(reached - 1.0, 0.0) / self._eta + (1.0 - damage) * reached**2), 1.0)

    def _secant(self, jump: Array, traction: Array, damage: Array) -> Array:
        """Positive diagonal estimate (n, dim): the intact part's stiffness, and T_t·δ_t/|δ_t|² in sliding."""
        secant = np.empty_like(jump)
        secant[:, 0] = np.where(jump[:, 0] < 0.0, self.penalty, (1.0 - damage) * self.initial_stiffness)
        square = (jump[:, 1:] ** 2).sum(axis=1)
        pull = np.einsum("ij,ij->i", traction[:, 1:], jump[:, 1:])
        sliding = np.where(square > 0.0, pull / np.where(square > 0.0, square, 1.0), self.shear_stiffness)
        secant[:, 1:] = np.clip(sliding, 0.0, self.shear_stiffness)[:, None]
        return secant


def _ratio(slip: Array, shear: Array) -> Array:
    """|s|²/|δ_t|², the share of K_t|δ_t|² that breaking spends at once; at most 1."""
    square = (shear**2).sum(axis=1)
    return np.minimum((slip**2).sum(axis=1) / np.where(square > 0.0, square, 1.0), 1.0)
