"""Following a crack: equilibria in (u, load) through bond breaking, by arc length where the load would snap.

The path of a crack in a crystal snakes: the load rises to K₊, where a bond breaks, falls to K₋ while the bond comes apart, and
rises again one lattice period on. The core's displacement goes on through all of it, so steps are measured by it (Riks 1979;
Crisfield 1981; for cracks in crystals Li 2013 and Buze and Kermode 2021): with τ the path's direction at the last state,

    r(u; λ) = 0,        τ_u·(u − u₀) + θ²τ_λ(λ − λ₀) = s,

solved together by Newton's iteration with a tangent that is kept for a few steps, which Anderson's mixing makes up for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continuum.errors import FactorError
from coupling.acceleration import Anderson
from coupling.crack.build import UnitLoad
from coupling.crack.harmonic import HarmonicTangent
from coupling.crack.method import CrackForces
from coupling.crack.options import FollowOptions
from coupling.crack.relax import BREAKDOWNS, fall
from coupling.crack.stability import way_down
from coupling.crack.state import CrackState
from coupling.crack.tangent import CrackTangent
from coupling.errors import HandshakeConvergenceError, MethodError
from coupling.handshake.methods import Balance
from coupling.handshake.preconditioner import Preconditioner

Array = NDArray[np.float64]
#: Iterations after which a tangent is taken anew.
_RENEWAL = 5
#: The same for springs.
_PATIENCE = 15
#: A state farther beside the predicted one than this share of the step may lie on another branch.
_STRAY = 0.6
#: Iterations after which a step along the path is given up: what is found later is seldom on the same branch.
_LONG = 12
#: From a saddle the core is moved by so much, Å, before it falls again.
_KICK = 0.3


class CrackSolver:
    """Equilibria of one cracked body under one unit load.

    Args:
        method: blended forces.
        unit: displacement at load one.
        options: tolerances and steps.
        tangent: Newton's, for potentials whose second derivatives are affordable: what follows a path through its folds.
        springs: the harmonic crystal: finds stable states in a few calls, by any potential. Without either, elements stand
            for the atoms, which takes many.
        report: called with (iteration, largest force).
    """

    def __init__(
        self,
        method: CrackForces,
        unit: UnitLoad,
        options: FollowOptions | None = None,
        *,
        tangent: CrackTangent | None = None,
        springs: HarmonicTangent | None = None,
        report: Callable[[int, float], None] | None = None,
    ) -> None:
        self.method, self.unit, self.model = method, unit, method.model
        self.options = options or FollowOptions()
        self._report = report or (lambda iteration, force: None)
        model = self.model
        self.tangent, self.springs = tangent, springs
        # Springs stay as they are unless bonds break: Anderson's memory is worth more than their renewal.
        self._renewal = _RENEWAL if tangent is not None else _PATIENCE
        self._elastic = method.preconditioner(np.zeros(0))
        self._moving, self._free = method.moving, method.free
        # The core's nodes measure the length of a step.
        core = model.carriers[model.partition.beta[model.carriers] == 0.0]
        self._core = model.partition.node[core]
        self._affine = unit.field[self._core]
        #: Å per unit load: makes loads comparable with what the core does by itself.
        self.scale = 1.0
        self._fixed = np.zeros(model.shape)
        self._fixed[: model.nodes][model.held] = unit.field[: model.nodes][model.held]

    def state(self) -> dict[str, Any]:
        """What earlier searches have left behind that the next one depends on, for `go_on` (collective)."""
        atoms = self.model.atoms
        return {
            "tangent": None if self.tangent is None else self.tangent.state(),
            "atoms": atoms.state() if hasattr(atoms, "state") else None,
            "max_fall": self.options.max_fall,
        }

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that another solver of the same body has left, perhaps in another process (collective)."""
        if self.tangent is not None:
            self.tangent.go_on(state["tangent"])
        if state["atoms"] is not None:
            self.model.atoms.go_on(state["atoms"])  # type: ignore[attr-defined]
        self.options = replace(self.options, max_fall=state["max_fall"])

    def start(self, load: float) -> Array:
        """The unit field times the load."""
        return load * self.unit.field

    def at_load(
        self, load: float, *, guess: Array | None = None, before: CrackState | None = None, near: bool = False
    ) -> CrackState:
        """The equilibrium at a load.

        Args:
            load: of the state.
            guess: (rows, 3) to begin with; by default the elastic field.
            before: the state before it on the path, for the account.
            near: the guess is close to the state: solve from there. Otherwise fall first.

        Raises:
            HandshakeConvergenceError: there is none near, or only a saddle, carrying the last state.
        """
        u = self.start(load) if guess is None else np.array(guess)
        held = self.model.held
        u[: self.model.nodes][held] = load * self.unit.field[: self.model.nodes][held]
        began, calls = time.perf_counter(), self.model.atoms.counter.calls
        found = self._solve(u if near else self._fallen(u, load), load, None, before)
        down = self.way_down(found)
        if down is not None and not near:
            # Falling ends where forces are small, which they are on a saddle, too.
            found = self._solve(self._fallen(found.u + _KICK * down[1], load), load, None, before)
            down = self.way_down(found)
        if down is not None:
            raise HandshakeConvergenceError(
                f"the equilibrium near by at load {load:.6g} is a saddle, from which the crack moves by itself: begin from "
                "another guess",
                solution=(found.u, load),
            )
        return replace(
            found, calls=self.model.atoms.counter.calls - calls, seconds=time.perf_counter() - began, stable=True
        )

    def _fallen(self, u: Array, load: float) -> Array:
        """Where the atoms fall to."""
        options, counter = self.options, self.model.atoms.counter
        calls = counter.calls
        u, left = fall(
            self.method,
            u,
            force=options.rough,
            max_calls=options.max_fall,
            springs=self.springs,
            report=self._report,
        )
        if self.tangent is None and left > options.rough:
            raise HandshakeConvergenceError(
                f"no equilibrium of the crack at load {load:.6g}: on the way down the largest force is still {left:.3g} eV/Å "
                f"after {counter.calls - calls} potential calls; beyond what it bears a crack runs",
                solution=(u, load),
            )
        return u

    def way_down(self, state: CrackState) -> tuple[float, Array] | None:
        """How a saddle is left: stiffness of the core, eV/Å², below zero, and displacement (rows, 3).

        None at a stable state, and without a tangent, when nobody knows.
        """
        if self.tangent is None:
            return None
        self.tangent.update(state.u)
        model = self.model
        inside = model.partition.beta[model.carriers] == 0.0
        return way_down(self.tangent, np.concatenate([self._core, model.inner_rows[inside].ravel()]))

    def direction(self, state: CrackState, along: tuple[Array, float]) -> tuple[Array, float]:
        """The path's own direction at a state (rows, 3) and load, on the side of a given one; takes the tangent there.

        Raises:
            MethodError: without second derivatives there is none.
        """
        if self.tangent is None:
            raise MethodError(
                "a path is followed with a tangent only: pass tangent=CrackTangent(...), or take loads one by one"
            )
        self.tangent.update(state.u)
        answer = self._answer(
            self.tangent, state.u, self.method.evaluate(state.u), self.options.first_step * state.load
        )
        side = float(np.sum(self.own(answer, 1.0) * self.own(*along))) + self.scale**2 * along[1]
        return (answer, 1.0) if side >= 0.0 else (-answer, -1.0)

    def next(self, before: CrackState, direction: tuple[Array, float], length: float) -> tuple[CrackState, float]:
        """The equilibrium one arc length on, and how far beside the predicted one it is, as a share of the step.

        Args:
            before: where the step begins; the tangent is the one taken there.
            direction: (rows, 3) and load: along the path, of any length.
            length: of the step, as `norm` measures it.

        Raises:
            HandshakeConvergenceError: none is found there, or only one that may lie on another branch.
        """
        du, dload = direction
        size = self.norm(du, dload)
        du, dload = du * (length / size), dload * (length / size)
        found = self._solve(before.u + du, before.load + dload, (du, dload), before)
        strayed = self.norm(found.u - before.u - du, found.load - before.load - dload) / length
        if strayed > _STRAY:
            raise HandshakeConvergenceError(
                f"the path bends: a state {strayed * length:.2g} Å beside a step of {length:.2g} Å",
                solution=(found.u, found.load),
            )
        return found, strayed

    def own(self, du: Array, dload: float) -> Array:
        """(core, 3) what the core's nodes do beyond the elastic field, Å: hardly anything on a branch, a lot between branches."""
        found: Array = du[self._core] - dload * self._affine
        return found

    def norm(self, du: Array, dload: float) -> float:
        """Length of a step: the core's own displacement and the scaled load, Å."""
        return float(np.sqrt(np.sum(self.own(du, dload) ** 2) + (self.scale * dload) ** 2))

    def longest(self, du: Array, dload: float, *, load: float) -> float:
        """Length of the longest step along a direction: bounded by the core's largest displacement and the load's change."""
        size, options = self.norm(du, dload), self.options
        moved = float(np.abs(self.own(du, dload)).max()) / options.largest_step
        loaded = abs(dload) / (options.largest_change * abs(load))
        return size / max(moved, loaded)

    def _solve(self, u: Array, load: float, arc: tuple[Array, float] | None, before: CrackState | None) -> CrackState:
        """Anderson's iteration from a predictor; on the plane across the arc through it, or at constant load."""
        began, counter = time.perf_counter(), self.model.atoms.counter
        calls = counter.calls
        options = self.options
        balance = self._attempt(u)
        if balance is None:
            raise self._failure(u, load, None, calls, "the predictor already breaks the crystal")
        newton = self.tangent or self.springs
        factor: Preconditioner = newton or self._elastic
        border = None
        accelerate = Anderson(depth=options.depth, regularisation=1e-10)
        reach = 1.0
        most = options.max_iterations if arc is None else min(options.max_iterations, _LONG)
        for iteration in range(most + 1):
            size = self._size(balance)
            self._report(iteration, size)
            if size <= options.tolerance:
                state = self._state(u, load, balance, before, counter.calls - calls, time.perf_counter() - began)
                return replace(state, iterations=iteration)
            if iteration == most:
                break
            # Along an arc the tangent of the state before is good to begin with.
            if newton is not None and iteration % self._renewal == 0 and (iteration > 0 or arc is None):
                try:
                    newton.update(u)
                except FactorError as error:
                    raise self._failure(u, load, balance, calls, f"an atom is held by nothing ({error})") from error
                accelerate.restart()
            if arc is not None and (border is None or iteration % self._renewal == 0):
                border = self._border(factor, u, load, balance, arc)
            step = -factor.solve(np.where(self._free, balance.residual, 0.0))
            change = 0.0
            if border is not None:
                assert arc is not None
                answer, row, pivot = border
                # The constraint holds at the predictor and must go on holding.
                change = -float(np.sum(row * self.own(step, 0.0))) / pivot
                step = step + change * answer
            largest = float(np.abs(step).max())
            scale = min(1.0, 0.3 / max(largest, 1e-300))
            here = self._packed(u, load)
            wanted = accelerate.next(here, here + scale * self._packed(step, change))
            move = wanted - here
            bound = min(1.0, reach * 0.5 / max(float(np.abs(move[:-1]).max()), 1e-300))
            trial_u, trial_load = self._unpacked(here + bound * move)
            there = self._attempt(trial_u)
            if there is None:
                reach *= 0.25
                accelerate.restart()
                if reach < 1e-3:
                    break
                continue
            u, load, balance = trial_u, trial_load, there
        raise self._failure(u, load, balance, calls, f"{most} iterations")

    def _answer(self, factor: Preconditioner, u: Array, balance: Balance, change: float) -> Array:
        """(rows, 3) displacement for a unit change of load near an equilibrium; `change` is the difference it is taken by."""
        step = 1e-3 * abs(change)
        shifted = self.method.evaluate(u + step * self.unit.field)
        slope = (shifted.residual - balance.residual) / step
        return self.unit.field - factor.solve(np.where(self._free, slope, 0.0))

    def _border(
        self, factor: Preconditioner, u: Array, load: float, balance: Balance, arc: tuple[Array, float]
    ) -> tuple[Array, Array, float]:
        """What a change of load does, with the arc's row: direction (rows, 3), row (core, 3), pivot."""
        answer = self._answer(factor, u, balance, self.options.first_step * load)
        row = self.own(*arc)
        return answer, row, float(np.sum(row * self.own(answer, 1.0))) + self.scale**2 * arc[1]

    def _packed(self, u: Array, load: float) -> Array:
        return np.concatenate([u[self._moving], [self.scale * load]])

    def _unpacked(self, packed: Array) -> tuple[Array, float]:
        load = float(packed[-1] / self.scale)
        u = load * self._fixed
        u[self._moving] = packed[:-1]
        return u, load

    def _size(self, balance: Balance) -> float:
        return float(np.abs(balance.residual[self._free]).max())

    def _attempt(self, u: Array) -> Balance | None:
        try:
            there = self.method.evaluate(u)
        except BREAKDOWNS:
            return None
        return there if np.isfinite(there.residual).all() else None

    def _state(
        self, u: Array, load: float, balance: Balance, before: CrackState | None, calls: int, seconds: float
    ) -> CrackState:
        conjugate = self.conjugate(u)
        work, stable = 0.0, None
        if before is not None:
            work = before.work + 0.5 * (before.conjugate + conjugate) * (load - before.load)
        return CrackState(
            load=load,
            u=u,
            positions=self.model.places(u),
            conjugate=conjugate,
            work=work,
            stable=stable,
            residual=self._size(balance),
            calls=calls,
            seconds=seconds,
            terms=self.method.terms(u),
        )

    def conjugate(self, u: Array) -> float:
        """Reaction of the supports on their unit displacement, eV per unit load."""
        nodes = self.model.nodes
        reaction = self.model.body.gradient(u[:nodes])
        return float(np.sum(reaction * self._fixed[:nodes]))

    def _failure(
        self, u: Array, load: float, balance: Balance | None, calls: int, why: str
    ) -> HandshakeConvergenceError:
        size = float("nan") if balance is None else self._size(balance)
        return HandshakeConvergenceError(
            f"no equilibrium of the crack at load {load:.6g}: {why}; the largest force is {size:.3g} eV/Å, wanted "
            f"{self.options.tolerance:.3g}",
            solution=(u, load),
        )
