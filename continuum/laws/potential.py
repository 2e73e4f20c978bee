"""Laws given by one potential ψ(δ_n, δ_t): tractions and tangents are its derivatives, taken by UFL.

Reversible laws derive from ψ everywhere, so that closed paths cost nothing. Where the faces press (δ_n < 0) ψ is continued by
ψ(0, δ_t) + T_n(0, δ_t) δ_n + ½ p δ_n², p the penalty: tractions are continuous, a potential remains, and a law with
T_n(0, δ_t) = 0 (most have it) keeps its shear traction unchanged under pressure. A law with a repulsion of its own is
taken as it stands.

Damaging laws unload to the origin with the two secants of `SecantLaw`.
"""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from continuum.laws.base import Array, LawResponse, Unloading
from continuum.laws.secant import SecantLaw
from continuum.laws.symbolic import Compiled, Expression, JumpSymbol

# Below this share of the opening at the peak a secant is the tangent at zero: T/δ would lose its figures to rounding.
_SMALL = 1e-6


@dataclass(frozen=True, kw_only=True)
class _Functions:
    """Array functions of one dimension.

    Attributes:
        first: tractions (dim of them), ∂T_n/∂δ_n and ∂T_t/∂δ_t along the first tangent.
        second: ψ, tractions, and the dim² second derivatives.
        bend: the (dim − 1)² second derivatives of T_n by the tangents.
    """

    first: Compiled
    second: Compiled
    bend: Compiled


class PotentialLaw(SecantLaw):
    """A law that is one expression; subclasses give `density`.

    The history of a reversible law has one column, the largest ψ so far (eV/Å²); that of a damaging law is SecantLaw's.
    """

    _compiled: dict[int, "_Functions"]

    @abstractmethod
    def density(self, opening: Expression) -> Expression:
        """ψ as a UFL scalar (eV/Å²) of a UFL vector (Å): normal first, then one tangent or two."""

    def _finish(self, unloading: Unloading, penalty: float | None) -> None:
        super()._finish(unloading, penalty)
        if unloading == "reversible":
            self.variational, self.symmetric, self.history_size = True, True, 1
        shear = float(self.derivatives(np.zeros((1, 2)))[2][0, 1, 1])
        self._stiffest = max(self.initial_stiffness, self.penalty, shear)

    def fresh(self, count: int) -> Array:
        """The history of points that were never opened."""
        return np.zeros((count, 1)) if self.unloading == "reversible" else super().fresh(count)

    def potential(self, opening: ArrayLike) -> Array:
        """ψ(δ) in mode I, (n,) Å -> (n,) eV/Å²."""
        normal = np.atleast_1d(np.asarray(opening, dtype=float))
        return self.derivatives(np.column_stack([normal, np.zeros_like(normal)]))[0]

    def derivatives(self, opening: Array) -> tuple[Array, Array, Array]:
        """ψ (n,), its gradient (n, dim) and its second derivatives (n, dim, dim) at openings (n, dim)."""
        dim = opening.shape[1]
        values = self._functions(dim).second(opening)
        return values[:, 0], values[:, 1 : 1 + dim], values[:, 1 + dim :].reshape(-1, dim, dim)

    def _functions(self, dim: int) -> "_Functions":
        """What is compiled at the first use in a dimension."""
        if not hasattr(self, "_compiled"):
            self._compiled = {}
        if dim not in self._compiled:
            symbol = JumpSymbol(dim)
            psi = self.density(symbol.vector)
            force = symbol.gradient(psi)
            stiffness = [symbol.gradient(part) for part in force]
            self._compiled[dim] = _Functions(
                first=Compiled([*force, stiffness[0][0], stiffness[1][1]], symbol),
                second=Compiled([psi, *force, *(entry for row in stiffness for entry in row)], symbol),
                bend=Compiled([entry for part in stiffness[0][1:] for entry in symbol.gradient(part)[1:]], symbol),
            )
        return self._compiled[dim]

    def virgin(self, opening: Array) -> tuple[Array, Array]:
        """Secants of a first opening and their derivatives: (n, dim) Å, normal ≥ 0 -> (n, 2), (n, 2, dim)."""
        _, force, stiffness = self.derivatives(opening)
        secants = self._secants(opening, force, stiffness[:, [0, 1], [0, 1]])
        slopes = np.zeros((len(opening), 2, opening.shape[1]))
        normal, tangent = opening[:, 0], opening[:, 1:]
        square = np.einsum("ij,ij->i", tangent, tangent)
        open_, slid = normal > self._small, square > self._small**2
        slopes[open_, 0] = stiffness[open_, 0] / normal[open_, None]
        slopes[open_, 0, 0] -= secants[open_, 0] / normal[open_]
        slopes[slid, 1] = np.einsum("ij,ijk->ik", tangent[slid], stiffness[slid, 1:]) / square[slid, None]
        slopes[slid, 1, 1:] += (force[slid, 1:] - 2.0 * secants[slid, 1, None] * tangent[slid]) / square[slid, None]
        return secants, slopes

    def virgin_secants(self, opening: Array) -> Array:
        """The secants alone, (n, dim) Å -> (n, 2)."""
        dim = opening.shape[1]
        values = self._functions(dim).first(opening)
        return self._secants(opening, values[:, :dim], values[:, dim:])

    def _secants(self, opening: Array, force: Array, diagonal: Array) -> Array:
        """T_n/δ_n and T_t·δ_t/|δ_t|² (n, 2); where that is 0/0 the stiffness `diagonal` (n, 2) at that place."""
        square = np.einsum("ij,ij->i", opening[:, 1:], opening[:, 1:])
        pull = np.einsum("ij,ij->i", force[:, 1:], opening[:, 1:])
        wide, slid = np.abs(opening[:, 0]) > self._small, square > self._small**2
        return np.column_stack(
            [
                np.where(wide, force[:, 0] / np.where(wide, opening[:, 0], 1.0), diagonal[:, 0]),
                np.where(slid, pull / np.where(slid, square, 1.0), diagonal[:, 1]),
            ]
        )

    @property
    def _small(self) -> float:
        return _SMALL * self.opening_at_peak

    def evaluate(self, jump: Array, history: Array) -> LawResponse:
        """Traction, tangent and energies for jumps (n, dim), normal first, given the history (n, h)."""
        if self.unloading == "damaging":
            return super().evaluate(jump, history)
        dim, squeezed = jump.shape[1], np.minimum(jump[:, 0], 0.0)
        if self.own_repulsion:
            squeezed = np.zeros_like(squeezed)
        opened = jump.copy()
        opened[:, 0] -= squeezed
        psi, force, stiffness = self.derivatives(opened)
        closed = squeezed < 0.0
        largest = np.maximum(history[:, 0], np.where(jump[:, 0] < 0.0, 0.0, psi))
        # Only an estimate where a traction acts without its jump: kept between zero and the stiffest start of the law.
        diagonal = np.clip(self._secants(opened, force, stiffness[:, [0, 1], [0, 1]]), 0.0, self._stiffest)
        if closed.any():
            bend = self._functions(dim).bend(opened[closed]).reshape(-1, dim - 1, dim - 1)
            psi = psi + force[:, 0] * squeezed
            force[closed, 1:] += stiffness[closed, 0, 1:] * squeezed[closed, None]
            force[closed, 0] += self.penalty * squeezed[closed]
            stiffness[closed, 0, 0] = self.penalty
            stiffness[closed, 1:, 1:] += bend * squeezed[closed, None, None]
            diagonal[closed, 0] = self.penalty
        return LawResponse(
            traction=force,
            tangent=stiffness,
            secant=diagonal[:, np.minimum(np.arange(dim), 1)],
            history_new=largest[:, None],
            stored=psi,
            dissipated=np.zeros(len(jump)),
            contact=0.5 * self.penalty * squeezed**2,
            damage=np.minimum(largest / self.fracture_energy, 1.0),
        )
