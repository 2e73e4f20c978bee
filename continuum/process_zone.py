"""The nonlinear part of an interface, condensed: a small dense minimisation that unzips a crack tip robustly.

All nonlinearity of a linear solid with cohesive interfaces sits at the interfaces, and at any moment only near the tip.
With K_r = K + Bᵀ(wD_r)B factorised at a reference state, the nodal jumps x of a window around the tip obey exactly

    x = x₀ − F h(x),    F = G K_r⁻¹ Gᵀ,    h(x) = Nᵀ w [T(j + N x) − T(j) − D_r N x],

x₀ being the answer of the linear reference. This is stationarity of Φ(x) = ½(x − x₀)ᵀF⁻¹(x − x₀) + ∫w[ψ − ...],
minimised here by Newton's method with a line search. Where the Hessian is not positive definite (the tip overruns its
peak), the tangent is replaced by the secant stiffness: for a law whose T/δ falls with δ, ψ is concave in δ², the secant
model lies above Φ and each step lowers the energy (majorisation–minimisation; Lange 2016). Many facets may so break in one
load step at the cost of small dense matrices.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp
from numpy.typing import NDArray

from continuum.laws import LawResponse

Array = NDArray[np.float64]
Law = Callable[[Array], LawResponse]


@dataclass(frozen=True, kw_only=True)
class Window:
    """The facets that are treated as nonlinear, and their linear reference.

    Attributes:
        law: jumps at the window's points (points, dim) -> answer.
        jump: (points, dim) where the linear reference starts from, Å.
        traction, tangent: T(j), (points, dim), and D_r, (points, dim, dim), of the reference.
        weights: (points,).
        interpolation: N, (points·dim, n).
        rigidity: F⁻¹, (n, n).
    """

    law: Law
    jump: Array
    traction: Array
    tangent: Array
    weights: Array
    interpolation: sp.csr_matrix
    rigidity: Array

    def respond(self, x: Array) -> tuple[LawResponse, Array]:
        """Law's answer and the change of the local jumps for nodal jumps x (n,)."""
        change = (self.interpolation @ x).reshape(self.jump.shape)
        return self.law(self.jump + change), change

    def excess(self, answer: LawResponse, change: Array) -> Array:
        """h(x): nodal forces beyond the linear reference, (n,)."""
        linear = self.traction + np.einsum("pij,pj->pi", self.tangent, change)
        return self.interpolation.T @ (self.weights[:, None] * (answer.traction - linear)).ravel()

    def energy(self, x: Array, x0: Array, answer: LawResponse, change: Array) -> float:
        """Φ(x), eV."""
        law = answer.stored + answer.dissipated + answer.contact
        linear = np.einsum("pi,pi->p", self.traction, change)
        linear += 0.5 * np.einsum("pi,pij,pj->p", change, self.tangent, change)
        return float(0.5 * (x - x0) @ self.rigidity @ (x - x0) + self.weights @ (law - linear))

    def hessian(self, stiffness: Array) -> Array:
        """F⁻¹ + Nᵀ w (D − D_r) N for D = stiffness (points, dim, dim)."""
        points, dim, _ = stiffness.shape
        blocks = self.weights[:, None, None] * (stiffness - self.tangent)
        middle = sp.bsr_matrix((blocks, np.arange(points), np.arange(points + 1)), shape=(points * dim, points * dim))
        return self.rigidity + (self.interpolation.T @ (middle @ self.interpolation)).toarray()


@dataclass(frozen=True, kw_only=True)
class Settled:
    """Where the minimisation ended.

    Attributes:
        x: (n,) nodal jumps.
        excess: (n,) h(x).
        iterations: Newton and secant steps taken.
        residual: |∇Φ| relative to the forces in play.
    """

    x: Array
    excess: Array
    iterations: int
    residual: float


def settle(window: Window, x0: Array, x: Array, *, tolerance: float, max_iterations: int) -> Settled:
    """Minimise Φ from x for the linear answer x₀.

    Args:
        window: the nonlinear facets.
        x0: (n,) nodal jumps of the linear reference.
        x: (n,) start.
        tolerance: on |∇Φ| relative to the forces in play.
        max_iterations: steps before giving up (the residual then says so).
    """
    answer, change = window.respond(x)
    energy = window.energy(x, x0, answer, change)
    residual = np.inf
    for iteration in range(max_iterations + 1):
        pull, excess = window.rigidity @ (x - x0), window.excess(answer, change)
        gradient = pull + excess
        scale = max(float(np.linalg.norm(pull)), float(np.linalg.norm(excess)), 1e-300)
        whole = window.interpolation.T @ (window.weights[:, None] * answer.traction).ravel()
        scale = max(scale, float(np.linalg.norm(whole)))
        residual = float(np.linalg.norm(gradient)) / scale
        if residual <= tolerance or iteration == max_iterations:
            break
        direction, newton = _direction(window, answer, gradient)
        found = _line_search(window, x, x0, direction, gradient, energy, newton)
        if found is None:
            break
        x, answer, change, energy = found
    return Settled(x=x, excess=excess, iterations=iteration, residual=residual)


def _direction(window: Window, answer: LawResponse, gradient: Array) -> tuple[Array, bool]:
    """A descent direction, and whether it is Newton's."""
    secant = np.zeros_like(answer.tangent)
    index = np.arange(secant.shape[1])
    secant[:, index, index] = answer.secant
    for share in (1.0, 0.0):
        try:
            factor = la.cho_factor(window.hessian(share * answer.tangent + (1.0 - share) * secant), check_finite=False)
        except la.LinAlgError:
            continue
        return -la.cho_solve(factor, gradient, check_finite=False), share == 1.0
    return -gradient / np.abs(np.diag(window.rigidity)).max(), False


def _line_search(
    window: Window, x: Array, x0: Array, direction: Array, gradient: Array, energy: float, newton: bool
) -> tuple[Array, LawResponse, Array, float] | None:
    """A step that lowers Φ (or, near the minimum where Φ is rounding, its gradient); secant steps may stretch."""
    slope, norm = float(gradient @ direction), float(np.linalg.norm(gradient))
    best, length = None, 1.0
    for _ in range(30):
        trial = x + length * direction
        answer, change = window.respond(trial)
        value = window.energy(trial, x0, answer, change)
        lower = value <= energy + 1e-4 * length * slope
        if best is not None:
            if not lower or value >= best[3]:
                return best
            best = (trial, answer, change, value)
            length *= 2.0
        elif lower:
            best = (trial, answer, change, value)
            if newton or length < 1.0:
                return best
            length *= 2.0
        else:
            steep = window.rigidity @ (trial - x0) + window.excess(answer, change)
            if newton and length == 1.0 and np.linalg.norm(steep) < 0.5 * norm:
                return trial, answer, change, value
            length *= 0.5
        if length > 64.0:
            return best
    return best
