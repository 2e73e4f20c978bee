"""Newton's method on a whole solid, at a load or at a given advance along its path.

Along the path the load λ is an unknown. With r the unbalanced force, K its derivative by the displacement, q that by λ, and a
constraint c(u) = Δ that says how far to go, each iteration solves the bordered system

    K du + q dλ = −r,      ∇c·du + ∂c/∂λ dλ = Δ − c

by two solutions with one factor of K. Two constraints, both functions of the interfaces' jumps alone:

dissipation: what damaging interfaces have spent since the last step (Gutiérrez 2004, Commun. Numer. Meth. Eng. 20, 19;
Verhoosel, Remmers and Gutiérrez 2009, Int. J. Numer. Meth. Eng. 77, 1290). A law that unloads to its origin stores ½T·j, so
the spent energy's derivative by the jump is T − ∂(½T·j)/∂j = ½(T − Cᵀj): point by point the rate that Gutiérrez writes for
the whole body. It needs no sign: it grows along the path wherever something breaks.

opening: the advance of all jumps along their last increment (Riks 1979), for reversible laws, which dissipate nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from continuum.laws import LawResponse

Array = NDArray[np.float64]


class Tangent(Protocol):
    """A solid's tangent stiffness, factorised."""

    negative_pivots: int
    symmetric: bool

    def update(self, answer: LawResponse) -> None:
        """Factorise at the present state; collective."""

    def solve(self, owned: Array) -> Array:
        """Solution for a right-hand side, owned values; collective."""


class NotFound(RuntimeError):
    """Newton's method ended without an equilibrium.

    Attributes:
        residual: relative, where it ended.
    """

    def __init__(self, residual: float) -> None:
        super().__init__(f"relative residual {residual:.3g}")
        self.residual = residual


@dataclass(frozen=True, kw_only=True)
class Drag:
    """Viscous traction η (j − j₀)/Δt at the interfaces.

    Attributes:
        stiffness: η/Δt at each point, (points,) eV/Å⁴.
        start: j₀ (points, dim), Å.
    """

    stiffness: Array
    start: Array

    def added(self, answer: LawResponse, jump: Array) -> LawResponse:
        """The laws' answer with the drag in traction and tangent."""
        tangent = answer.tangent.copy()
        index = np.arange(jump.shape[1])
        tangent[:, index, index] += self.stiffness[:, None]
        traction = answer.traction + self.traction(jump)
        return replace(answer, traction=traction, tangent=tangent, secant=answer.secant + self.stiffness[:, None])

    def traction(self, jump: Array) -> Array:
        """The viscous traction, (points, dim) eV/Å³."""
        return self.stiffness[:, None] * (jump - self.start)


@dataclass(frozen=True, kw_only=True)
class DissipationConstraint:
    """Energy spent by the damaging points since `start`.

    Attributes:
        weights: (points,), 0 where the law is reversible.
        start: (points,) dissipated so far, eV/Å².
    """

    weights: Array
    start: Array

    def value(self, answer: LawResponse, jump: Array) -> float:
        """Advance along the path, eV."""
        return float(self.weights @ (answer.dissipated - self.start))

    def gradient(self, answer: LawResponse, jump: Array) -> Array:
        """Derivative by the jumps, (points, dim)."""
        turned = np.einsum("pki,pk->pi", answer.tangent, jump)
        return 0.5 * self.weights[:, None] * (answer.traction - turned)


@dataclass(frozen=True, kw_only=True)
class OpeningConstraint:
    """Advance of the jumps along a direction.

    Attributes:
        direction: (points, dim), weighted, of unit norm.
        start: (points, dim) Å.
    """

    direction: Array
    start: Array

    def value(self, answer: LawResponse, jump: Array) -> float:
        """Advance along the path."""
        return float(np.sum(self.direction * (jump - self.start)))

    def gradient(self, answer: LawResponse, jump: Array) -> Array:
        """Derivative by the jumps, (points, dim)."""
        return self.direction


# Relative unbalanced force below which changes of the energy are rounding.
_ROUNDING = 1e-6

Constraint = DissipationConstraint | OpeningConstraint


class Newton:
    """Newton's method with one factor an iteration and a line search.

    Args:
        solid: `continuum.solid.Solid` or anything with its methods.
        rtol: unbalanced force relative to the forces in play.
        max_iterations: before giving up.
        descend: lower the energy rather than the unbalanced force, with the secant stiffness where the tangent is not positive
            definite: ends in stable states. For laws with a potential.

    Attributes:
        iterations: so far.
        tangent: the factorised stiffness.
    """

    def __init__(self, solid: Any, *, rtol: float, max_iterations: int, descend: bool = False) -> None:
        self.solid, self.rtol, self.max_iterations, self.descend = solid, rtol, max_iterations, descend
        self.tangent: Tangent = solid.tangent_matrix()
        self.iterations = 0
        # Squares of the forces in play: largest of all equilibria, and of the last state looked at.
        self._largest, self._seen = 0.0, 0.0

    def state(self) -> dict[str, Any]:
        """What the next equilibrium takes from those before, beside the solid's own state, as a tree."""
        return {"iterations": self.iterations, "largest": self._largest, "pivots": self.tangent.negative_pivots}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave, in this process or another."""
        self.iterations, self._largest = state["iterations"], state["largest"]
        self.tangent.negative_pivots = state["pivots"]

    def at_load(self, load: float, *, drag: Drag | None = None, secant: bool = False, predicted: bool = False) -> None:
        """Equilibrium at a load, from the present displacement; collective.

        Args:
            load: load parameter.
            predicted: the displacement is a guess for this load already; else it is first moved along the tangent.
            drag: viscous traction.
            secant: alternate minimisation: the displacement at fixed damage, then the damage at that displacement, and so on.
                Each round lowers the energy, so it also leaves a state that has lost its stability.

        Raises:
            NotFound: no equilibrium.
        """
        solid = self.solid
        if not predicted and load != solid.load:
            self._move(load)
        solid.set_load(load)
        answer, force, norm, residual = self._balance(drag)
        for _ in range(self.max_iterations * (20 if secant else 1)):
            if residual <= self.rtol:
                self._largest = max(self._largest, self._seen)
                return
            if not np.isfinite(residual):
                break
            self.iterations += 1
            self.tangent.update(_at_fixed_damage(answer) if secant else answer)
            if self.descend and self.tangent.negative_pivots:
                self.tangent.update(_at_fixed_damage(answer))
            step = self.tangent.solve(-force)
            if self.descend and residual > _ROUNDING:
                self._lower(step, force)
                answer, force, norm, residual = self._balance(drag)
                continue
            base, length = solid.owned().copy(), 1.0
            while True:
                solid.owned()[:] = base + length * step
                answer, force, after, residual = self._balance(drag)
                if secant or length < 0.1 or after <= (1.0 - 1e-4 * length) * norm or residual <= self.rtol:
                    break
                length *= 0.5
            norm = after
        raise NotFound(residual)

    def _lower(self, step: Array, force: Array) -> None:
        """Move along a step as far as it lowers the energy (Armijo, halving)."""
        solid, base, length = self.solid, self.solid.owned().copy(), 1.0
        slope, before = float(solid.comm.allreduce(float(force @ step))), solid.energies().total
        while True:
            solid.owned()[:] = base + length * step
            if length < 1e-4 or solid.energies().total <= before + 1e-4 * length * min(slope, 0.0):
                return
            length *= 0.5

    def _move(self, load: float) -> None:
        """Move the whole displacement to another load by the tangent of this state.

        Supports moved alone would distort the elements beside them, and contact would see faces that never touch.
        """
        solid, change = self.solid, load - self.solid.load
        answer, force, _, _ = self._balance(None)
        self.iterations += 1
        self.tangent.update(answer)
        step = self.tangent.solve(-force - change * solid.hold(solid.load_derivative(answer)))
        if np.isfinite(step).all():
            solid.owned()[:] += step + change * solid.drive()

    def along(self, constraint: Constraint, advance: float) -> None:
        """Equilibrium `advance` further along the path, load and displacement unknown; collective.

        Raises:
            NotFound: no equilibrium, or the constraint does not change along the path here.
        """
        solid = self.solid
        answer, force, _, residual = self._balance(None)
        first = True
        for _ in range(self.max_iterations):
            jump = solid.jumps()
            missing = advance - constraint.value(answer, jump)
            if not first and residual <= self.rtol and abs(missing) <= 1e-6 * abs(advance):
                self._largest = max(self._largest, self._seen)
                return
            if not (np.isfinite(residual) and residual < 1e6):
                break
            self.iterations += 1
            self.tangent.update(answer)
            drive = solid.drive()
            free = self.tangent.solve(-force)
            bound = self.tangent.solve(-solid.hold(solid.load_derivative(answer))) + drive
            slope = constraint.gradient(answer, jump)
            along = float(np.sum(slope * self._change(bound)))
            scale = float(np.sqrt(np.sum(slope**2) * np.sum(self._change(bound) ** 2)))
            if not abs(along) > 1e-10 * scale:
                break
            dload = (missing - float(np.sum(slope * self._change(free)))) / along
            solid.load += dload
            solid.owned()[:] += free + dload * bound
            answer, force, _, residual = self._balance(None)
            first = False
        raise NotFound(residual)

    def _change(self, owned: Array) -> Array:
        """Change of the jumps (points, dim) for a change of the displacement; collective."""
        change: Array = self.solid.jump_change(owned)
        return change

    def _balance(self, drag: Drag | None) -> tuple[LawResponse, Array, float, float]:
        """Laws' answer, unbalanced force (zero where prescribed), its norm, and that relative to the forces in play."""
        solid = self.solid
        answer = solid.respond()
        if drag is not None:
            answer = drag.added(answer, solid.jumps())
        whole = np.array(solid.internal_force(answer.traction).array, dtype=float)
        force = solid.hold(whole.copy())
        external = solid.external_force()
        sums = np.array([force @ force, whole @ whole - force @ force, external @ external])
        total, reactions, applied = (float(s) for s in solid.comm.allreduce(sums))
        held = float((solid.interfaces.forces(answer.traction) ** 2).sum())
        self._seen = max(reactions, applied, held)
        # Broken or unloaded there are no forces in play: the largest of an equilibrium so far then say what rounding is.
        scale = max(self._seen, 1e-4 * self._largest)
        residual = np.sqrt(total / scale) if scale > 0.0 else float(total != 0.0)
        # Forces that are no numbers never balance.
        return answer, force, np.sqrt(total), float(residual) if np.isfinite(total + scale) else np.inf


def _at_fixed_damage(answer: LawResponse) -> LawResponse:
    """The answer with the stiffness that a law has while its damage stands still, the secant."""
    return replace(answer, tangent=answer.definite(secant=True))
