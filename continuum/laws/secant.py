"""Laws that unload to the origin and carry a secant stiffness for opening and one for sliding.

T_n = a_n δ_n, T_t = a_t δ_t, with a_n and a_t the least values so far of what the virgin law has, T_i/δ_i. The stored energy
is ½ Σ a_i δ_i². Whatever the path, a_i only falls, so −½ Σ δ_i² da_i ≥ 0 is dissipated: nothing is created on any mixed
path, whether or not the virgin tractions have a potential. Where they have one, a path along which both secants fall
spends exactly the difference of that potential.

The energy that a step spends is its work less what is stored, the work being integrated along the straight line between
the two openings (Gauss points), so that steps may be long. The tangent is that of the tractions; it is not symmetric.
"""

from abc import abstractmethod

import numpy as np
from numpy.typing import ArrayLike

from continuum.laws.base import Array, CohesiveLaw, LawResponse
from continuum.laws.symbolic import Compiled, Expression, JumpSymbol

_PLACES, _WEIGHTS = (
    0.5 * (nodes + shift) for nodes, shift in zip(np.polynomial.legendre.leggauss(8), (1, 0), strict=True)
)
# Columns of the history.
_SECANTS, _OPENING, _SPENT, _CALLED = slice(0, 2), slice(2, 5), 5, 6


class SecantLaw(CohesiveLaw):
    """A damaging law with one secant stiffness for opening and one for sliding.

    History, 7 columns: least secants a_n and a_t (eV/Å⁴), the last opening (3 components, the normal one ≥ 0, Å), the
    energy dissipated (eV/Å²), and the largest share of the fracture energy that was called on.

    Attributes:
        shear_fracture_energy: ∫T_t dδ_t in pure sliding, eV/Å².
    """

    variational = False
    symmetric = False
    history_size = 7
    shear_fracture_energy: float

    @abstractmethod
    def virgin(self, opening: Array) -> tuple[Array, Array]:
        """Secants of a first opening and their derivatives: (n, dim) Å, normal ≥ 0 -> (n, 2), (n, 2, dim)."""

    def virgin_secants(self, opening: Array) -> Array:
        """The secants alone, (n, dim) Å -> (n, 2); for laws that get them for less than their derivatives."""
        return self.virgin(opening)[0]

    def toughness(self, opening: Array) -> Array:
        """Fracture energy in the mode of an opening, (n, dim) -> (n,) eV/Å²; linear in the share of sliding in |δ|²."""
        square = opening**2
        total = square.sum(axis=1)
        share = square[:, 1:].sum(axis=1) / np.where(total > 0.0, total, 1.0)
        return self.fracture_energy + (self.shear_fracture_energy - self.fracture_energy) * share

    def fresh(self, count: int) -> Array:
        """The history (count, 7) of points that were never opened."""
        history = np.zeros((count, self.history_size))
        history[:, _SECANTS] = self.virgin(np.zeros((1, 2)))[0]
        return history

    def potential(self, opening: ArrayLike) -> Array:
        """∫T dδ of a first opening in mode I, (n,) Å -> (n,) eV/Å²."""
        ends = np.atleast_1d(np.asarray(opening, dtype=float))
        # Panels that halve towards zero: a stiff start is a small part of the opening.
        panels = np.concatenate([[0.0], np.geomspace(2.0**-20, 1.0, 161)])
        share = (panels[:-1, None] + np.diff(panels)[:, None] * _PLACES).ravel()
        weights = (np.diff(panels)[:, None] * _WEIGHTS).ravel()
        normal = (ends[:, None] * share).ravel()
        return ends * (self.traction(normal).reshape(len(ends), -1) @ weights)

    def evaluate(self, jump: Array, history: Array) -> LawResponse:
        """Traction, tangent and energies for jumps (n, dim), normal first, given the history (n, 7)."""
        dim = jump.shape[1]
        closed = jump[:, 0] < 0.0
        opened = jump.copy()
        opened[closed, 0] = 0.0
        before = history[:, _SECANTS]
        virgin, slopes = self.virgin(opened)
        secants = np.minimum(before, np.maximum(virgin, 0.0))
        slopes = np.where(((virgin < before) & (virgin > 0.0))[:, :, None], slopes, 0.0)
        slopes[closed, :, 0] = 0.0
        kind = np.minimum(np.arange(dim), 1)
        diagonal = secants[:, kind]
        diagonal[closed, 0] = self.penalty
        tangent = opened[:, :, None] * slopes[:, kind, :]
        index = np.arange(dim)
        tangent[:, index, index] += diagonal
        stored = 0.5 * np.einsum("ij,ij->i", secants[:, kind], opened**2)
        spent = history[:, _SPENT] + self._spent_in_step(opened, secants, stored, history)
        called = np.where(secants.any(axis=1), np.minimum((stored + spent) / self.toughness(opened), 1.0), 1.0)
        new = np.zeros((len(jump), self.history_size))
        new[:, _SECANTS], new[:, 2 : 2 + dim], new[:, _SPENT] = secants, opened, spent
        new[:, _CALLED] = np.maximum(history[:, _CALLED], called)
        return LawResponse(
            traction=diagonal * jump,
            tangent=tangent,
            secant=diagonal,
            history_new=new,
            stored=stored,
            dissipated=spent,
            contact=0.5 * self.penalty * np.minimum(jump[:, 0], 0.0) ** 2,
            damage=new[:, _CALLED],
        )

    def _spent_in_step(self, opened: Array, secants: Array, stored: Array, history: Array) -> Array:
        """Energy dissipated between the last opening and this one, (n,) eV/Å², never negative."""
        spent = np.zeros(len(opened))
        falling = (secants < history[:, _SECANTS]).any(axis=1)
        if not falling.any():
            return spent
        count, dim = int(falling.sum()), opened.shape[1]
        start, before = history[falling, 2 : 2 + dim], history[falling, _SECANTS]
        step = opened[falling] - start
        along = start[:, None, :] + _PLACES[:, None] * step[:, None, :]
        passed = np.maximum(self.virgin_secants(along.reshape(-1, dim)), 0.0).reshape(count, -1, 2)
        passed = np.minimum.accumulate(np.minimum(passed, before[:, None, :]), axis=1)
        passed = np.maximum(passed, secants[falling][:, None, :])
        kind = np.minimum(np.arange(dim), 1)
        work = np.einsum("q,nqi,nqi,ni->n", _WEIGHTS, passed[:, :, kind], along, step)
        stored_before = 0.5 * np.einsum("ni,ni->n", before[:, kind], start**2)
        # The exact integral is not negative; what the quadrature leaves below zero is its own error.
        spent[falling] = np.maximum(work - (stored[falling] - stored_before), 0.0)
        return spent


class SymbolicSecantLaw(SecantLaw):
    """A damaging law whose secants are given as UFL expressions of the opening; UFL differentiates them."""

    _compiled: dict[int, tuple[Compiled, Compiled]]

    @abstractmethod
    def secants(self, opening: Expression) -> tuple[Expression, Expression]:
        """a_n and a_t of a first opening as UFL scalars (eV/Å⁴) of a UFL vector (Å), normal first."""

    def virgin(self, opening: Array) -> tuple[Array, Array]:
        """Secants of a first opening and their derivatives: (n, dim) Å, normal ≥ 0 -> (n, 2), (n, 2, dim)."""
        values = self._functions(opening.shape[1])[1](opening)
        return values[:, :2], values[:, 2:].reshape(-1, 2, opening.shape[1])

    def virgin_secants(self, opening: Array) -> Array:
        """The secants alone, (n, dim) Å -> (n, 2)."""
        return self._functions(opening.shape[1])[0](opening)

    def _functions(self, dim: int) -> tuple[Compiled, Compiled]:
        """Secants, and secants with their derivatives, compiled at the first use in a dimension."""
        if not hasattr(self, "_compiled"):
            self._compiled = {}
        if dim not in self._compiled:
            symbol = JumpSymbol(dim)
            both = self.secants(symbol.vector)
            slopes = [*symbol.gradient(both[0]), *symbol.gradient(both[1])]
            self._compiled[dim] = Compiled(both, symbol), Compiled([*both, *slopes], symbol)
        return self._compiled[dim]
