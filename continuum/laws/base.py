"""What every traction–separation law answers, and the family that is one curve of an effective opening.

A law takes jumps and history at n points as arrays and answers tractions, tangents and energies. Its history is an array
(n, h) whose columns only the law knows: `CohesiveLaw.fresh` makes that of an interface never opened.

`EffectiveLaw` is written once in mode I, as ψ(δ) with T = ψ' and K = ψ''. It becomes mixed-mode through the effective
opening δ = √(⟨δ_n⟩² + |δ_t|²) (Ortiz and Pandolfi 1999, with β = 1), so that tractions in every mode derive from the
one potential ψ, the same energy is spent in opening and in sliding, and nothing depends on the frame.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from continuum.errors import LawError

Array = NDArray[np.float64]
Unloading = Literal["reversible", "damaging"]


@dataclass(frozen=True, kw_only=True)
class LawResponse:
    """What an interface answers at n points; the normal component comes first.

    Attributes:
        traction: (n, dim), eV/Å³; on side 2, so that it resists a positive jump.
        tangent: (n, dim, dim), eV/Å⁴; derivative of the traction with respect to the jump.
        secant: (n, dim), eV/Å⁴; positive diagonal stiffness whose product with the jump is the traction.
        history_new: (n, h); the history to go on with once this state is committed.
        stored: (n,), eV/Å²; recoverable energy, contact apart.
        dissipated: (n,), eV/Å²; energy spent since the interface was intact, friction included.
        contact: (n,), eV/Å²; energy of the compressive penalty.
        damage: (n,); share of the fracture energy that has been called on, 1 where nothing holds any more.
    """

    traction: Array
    tangent: Array
    secant: Array
    history_new: Array
    stored: Array
    dissipated: Array
    contact: Array
    damage: Array

    def definite(self, *, secant: bool = False) -> Array:
        """Stiffness (n, dim, dim) that is never negative: tangents where they are definite, else (or always) secants."""
        index = np.arange(self.secant.shape[1])
        stiffness = np.zeros_like(self.tangent)
        stiffness[:, index, index] = self.secant
        if secant:
            return stiffness
        good = np.linalg.eigvalsh(self.tangent)[:, 0] >= 0.0
        return np.where(good[:, None, None], self.tangent, stiffness)


class CohesiveLaw(ABC):
    """A traction–separation law.

    Unloading is ``reversible`` (back along the same curve: adhesion) or ``damaging`` (along the secant to the origin:
    fracture). The numbers below are those of mode I.

    Attributes:
        unloading: ``reversible`` or ``damaging``.
        penalty: stiffness against interpenetration, eV/Å⁴.
        fracture_energy: ∫T dδ, eV/Å².
        shear_fracture_energy: the same in pure sliding; equal to it unless a law sets another.
        peak_traction: largest traction, eV/Å³.
        opening_at_peak: opening where it acts, Å.
        initial_stiffness: T'(0), eV/Å⁴.
        final_opening: opening beyond which nothing (or less than 10⁻³ of the fracture energy) is left, Å.
        variational: True where stored + dissipated + contact energy at fixed history is a potential of the traction, and
            secant unloading makes it smaller: equilibria are then sought as its minima.
        symmetric: True where the tangent is symmetric.
        own_repulsion: True where the curve itself resists δ_n < 0; no penalty acts then.
        history_size: number h of the history's columns.
    """

    variational: bool = True
    symmetric: bool = True
    own_repulsion: bool = False
    history_size: int = 1

    unloading: Unloading
    penalty: float
    fracture_energy: float
    shear_fracture_energy: float = float("nan")
    peak_traction: float
    opening_at_peak: float
    initial_stiffness: float
    final_opening: float

    def _finish(self, unloading: Unloading, penalty: float | None) -> None:
        """Check and set what all laws take; called last by each constructor."""
        if unloading not in get_args(Unloading):
            raise LawError(f"unloading = {unloading!r}: expected 'reversible' (adhesion) or 'damaging' (fracture)")
        if penalty is None:
            penalty = self.initial_stiffness
        self.unloading = unloading
        if np.isnan(self.shear_fracture_energy):
            self.shear_fracture_energy = self.fracture_energy
        self.penalty = positive(penalty, "penalty", "a stiffness against interpenetration in eV/Å⁴")

    def fresh(self, count: int) -> Array:
        """The history (count, h) of points that were never opened."""
        return np.zeros((count, self.history_size))

    @abstractmethod
    def evaluate(self, jump: Array, history: Array) -> LawResponse:
        """Traction, tangent and energies for jumps (n, dim), normal first, given the history (n, h)."""

    def potential(self, opening: ArrayLike) -> Array:
        """∫T dδ of a first opening in mode I, (n,) Å -> (n,) eV/Å²."""
        answer = self._mode_one(opening)
        return answer.stored + answer.dissipated

    def traction(self, opening: ArrayLike) -> Array:
        """T(δ) of a first opening in mode I, (n,) Å -> (n,) eV/Å³."""
        return self._mode_one(opening).traction[:, 0]

    def stiffness(self, opening: ArrayLike) -> Array:
        """dT/dδ of a first opening in mode I, (n,) Å -> (n,) eV/Å⁴."""
        return self._mode_one(opening).tangent[:, 0, 0]

    def _mode_one(self, opening: ArrayLike) -> LawResponse:
        normal = np.atleast_1d(np.asarray(opening, dtype=float))
        return self.evaluate(np.column_stack([normal, np.zeros_like(normal)]), self.fresh(len(normal)))


class EffectiveLaw(CohesiveLaw):
    """A law of the effective opening; subclasses give the mode-I curve.

    With κ the largest effective opening so far, a damaging law stores ½T(κ)/κ·δ² and has dissipated ψ(κ) − ½T(κ)κ,
    which grows as long as T/δ falls with δ. Its history is κ, in Å.
    """

    @abstractmethod
    def curve(self, opening: Array) -> tuple[Array, Array, Array]:
        """ψ, T and K at effective openings ≥ 0, each (n,)."""

    def potential(self, opening: ArrayLike) -> Array:
        """ψ(δ) in mode I, (n,) Å -> (n,) eV/Å²."""
        return self.curve(np.asarray(opening, dtype=float))[0]

    def traction(self, opening: ArrayLike) -> Array:
        """T(δ) = ψ'(δ) in mode I, (n,) Å -> (n,) eV/Å³."""
        return self.curve(np.asarray(opening, dtype=float))[1]

    def stiffness(self, opening: ArrayLike) -> Array:
        """K(δ) = ψ''(δ) in mode I, (n,) Å -> (n,) eV/Å⁴."""
        return self.curve(np.asarray(opening, dtype=float))[2]

    def evaluate(self, jump: Array, history: Array) -> LawResponse:
        """Traction, tangent and energies for jumps (n, dim), normal first, given the history (n, 1) in Å."""
        opened = jump.copy()
        closed = jump[:, 0] < 0.0
        opened[closed, 0] = 0.0
        opening = np.sqrt(np.einsum("ij,ij->i", opened, opened))
        before = history[:, 0]
        damaging = self.unloading == "damaging"
        loading = opening >= before if damaging else np.ones(len(opening), dtype=bool)
        reference = np.where(loading, opening, before)
        psi, force, stiffness = self.curve(reference)
        tiny = 1e-12 * self.opening_at_peak
        secant = np.where(reference > tiny, force / np.maximum(reference, tiny), self.initial_stiffness)
        if damaging:
            stored, spent = 0.5 * secant * opening**2, np.maximum(psi - 0.5 * force * reference, 0.0)
        else:
            stored, spent = psi, np.zeros_like(psi)
        direction = opened / np.maximum(opening, tiny)[:, None]
        bend = np.where(loading & (opening > tiny), stiffness - secant, 0.0)
        tangent = bend[:, None, None] * direction[:, :, None] * direction[:, None, :]
        diagonal = np.repeat(secant[:, None], jump.shape[1], axis=1)
        diagonal[closed, 0] = self.penalty
        index = np.arange(jump.shape[1])
        tangent[:, index, index] += diagonal
        squeezed = np.minimum(jump[:, 0], 0.0)
        largest = np.maximum(before, opening)
        return LawResponse(
            traction=diagonal * jump,
            tangent=tangent,
            secant=diagonal,
            history_new=largest[:, None],
            stored=stored,
            dissipated=spent,
            contact=0.5 * self.penalty * squeezed**2,
            damage=(psi if damaging else self.potential(largest)) / self.fracture_energy,
        )


def positive(value: float, name: str, meaning: str) -> float:
    """The value as a float if it is finite and positive; else a LawError that says what it should be."""
    number = float(value)
    if not np.isfinite(number) or number <= 0.0:
        raise LawError(f"{name} = {value!r}: expected {meaning}, finite and greater than zero")
    return number
