"""A coupled body with an interface under prescribed displacements: initial cracks, load steps, and the work that is done.

The load λ multiplies a displacement d of the supports. Between two equilibria the trapezoidal rule gives the work of the
supports' reactions, and that of the nodal forces g_p of each part p (weighted atoms, weighted bulk, weighted interface,
ghost force correction) on the nodes' own increments,

    ½(R₀ + R₁) Δλ = Σ_p ½ Σ_k (g_p,k⁰ + g_p,k¹)·Δu_k,        R = Σ_supports r·d,

an algebraic identity of equilibrium: whatever leaves the account of forces shows at once. That the same work is the change
of the weighted energies holds for methods with an energy, up to the rule's error of second order; elsewhere their difference
is what the method costs, and is reported.

A path may break off: a crack jumps, the bodies part. Steps are then halved, and when that does not help the state either falls
to an equilibrium further down (`descent`) or starts from a guess of the caller's. Such steps are marked: what their work
exceeds the change of energy by goes into motion, which statics does not follow.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continuum.factorise import Factor
from coupling.errors import HandshakeConvergenceError, MethodError, PartitionError
from coupling.handshake.descent import BREAKDOWNS, descend, descends
from coupling.handshake.equilibrium import HandshakeOptions, HandshakeSolution, find_equilibrium
from coupling.handshake.methods import Balance, Method
from coupling.handshake.model import CoupledModel
from coupling.handshake.steps import Equilibrium, LoadStep, Tally

__all__ = ["LoadPath", "LoadStep", "weighted_energies", "with_crack", "with_history"]

Array = NDArray[np.float64]
#: A step that moves a node by this many times its supports (and at least this length, Å) was no step along a path but a jump.
_JUMP, _LEAST_JUMP = 3.0, 0.3


def with_crack(model: CoupledModel, *, before: float) -> CoupledModel:
    """The same body with an initial crack: facets left of a place carry no law, so their weight is zero.

    The faces of the crack are free and do not touch each other: loads must open it.

    Args:
        model: with an interface.
        before: x of the crack's tip, Å; facets whose middle lies left of it are cracked.

    Raises:
        PartitionError: there is no interface, or atoms of the zone, pads included, reach the crack.
    """
    interface = model.body.interface
    if interface is None:
        raise PartitionError("an initial crack in a body without an interface: couple(..., interface=y, law=...)")
    cracked = interface.midpoints[:, 0] < before
    if not cracked.any():
        return model
    tip = float((interface.midpoints[:, 0] + 0.5 * interface.lengths)[cracked].max())
    partition = model.partition
    reach = float(partition.lattice.places(partition.indices)[:, 0].min())
    if reach <= tip:
        raise PartitionError(
            f"atoms of the zone, blend and pad included, begin at x = {reach:.2f} Å and the initial crack ends at {tip:.2f} Å, "
            "where the perfect lattice that they are part of ends too: move the zone ahead of the crack by at least "
            f"{tip - reach:.2f} Å, make it smaller, or shorten the crack"
        )
    return replace(
        model,
        partition=replace(partition, facet_weights=np.where(cracked, 0.0, partition.facet_weights)),
        intact=np.where(cracked, 0.0, 1.0),
    )


class LoadPath:
    """Follows a method through loads, committing the law's history after each equilibrium.

    Args:
        method: of a model whose `held` are the supports.
        direction: (nodes, c) displacement of the supports for a load of 1 Å; zero elsewhere.
        options: of the search at each load.
        max_cutbacks: how often a step may be halved.
        apart: gives displacements (nodes, c) with which to begin at a load to which no path leads, for example the bodies
            parted; None to fall from the last state.
        report: called with (load, iteration, largest force).
        state: what `keep` was given after a step: the path goes on from there as if it had never been left, on one rank to the
            last bit.
        keep: called on every rank after each step, after `on_step`, with a function that makes the state, a tree (collective).

    Raises:
        MethodError: a direction that does not fit, or that moves what is not held.
    """

    def __init__(
        self,
        method: Method,
        *,
        direction: Array,
        options: HandshakeOptions | None = None,
        max_cutbacks: int = 3,
        apart: Callable[[float], Array] | None = None,
        report: Callable[[float, int, float], None] | None = None,
        state: Mapping[str, Any] | None = None,
        keep: Callable[[Callable[[], dict[str, Any]]], None] | None = None,
    ) -> None:
        model = method.model
        if direction.shape != model.shape or not np.isfinite(direction).all():
            raise MethodError(f"direction of shape {direction.shape}: expected finite numbers of shape {model.shape}")
        if (direction[~model.held] != 0.0).any():
            raise MethodError("the direction of loading moves nodes that are not held: expected zero there")
        if not direction.any():
            raise MethodError("the direction of loading is zero everywhere: expected supports that move")
        self.method, self.direction = method, direction
        self.options, self.max_cutbacks = options or HandshakeOptions(), max_cutbacks
        self._apart = apart
        self._report = report or (lambda load, iteration, force: None)
        self._copies = method.shape[0] // model.shape[0]
        self._rows = np.concatenate([direction] * self._copies)
        self._reach = float(np.abs(direction).max())
        self._state: Equilibrium | None = None
        self._before: Equilibrium | None = None
        self._start: Array | None = None
        self._keep = keep
        if state is not None:
            self._go_on(state)

    def state(self) -> dict[str, Any]:
        """All that decides the next step (collective)."""
        return {
            "now": self._state,
            "before": self._before,
            "history": self.model.history,
            "atoms": self.model.atoms.state() if hasattr(self.model.atoms, "state") else None,
        }

    def _go_on(self, state: Mapping[str, Any]) -> None:
        now = state["now"]
        if now is not None and now.u.shape != self.method.shape:
            raise MethodError(
                f"a state of {now.u.shape} unknowns for a body of {self.method.shape}: expected one of the same mesh"
            )
        # The correction of ghost forces belongs to the body that had not been opened.
        getattr(self.method, "ghost_forces", None)
        self._state, self._before = now, state["before"]
        if state["history"] is not None:
            self.method = with_history(self.method, state["history"])
        if state["atoms"] is not None:
            self.model.atoms.go_on(state["atoms"])  # type: ignore[attr-defined]

    @property
    def model(self) -> CoupledModel:
        """With the history of the law that the next step begins with."""
        return self.method.model

    def begin(self, load: float, start: Array) -> LoadStep:
        """Begin at a load near a state that is known from elsewhere, (nodes, c), Å, instead of the unloaded body.

        The law's history is that of the openings there, and the account of work begins there.

        Raises:
            HandshakeConvergenceError: no equilibrium.
        """
        self._start = np.concatenate([start] * self._copies)
        return self._to(float(load))

    def follow(self, loads: Sequence[float], *, on_step: Callable[[LoadStep], None] | None = None) -> list[LoadStep]:
        """Go through the loads, in order.

        Returns:
            One step a load; the first call begins with the equilibrium at load zero, which is a step too, but for a path that
            goes on from a state.

        Raises:
            HandshakeConvergenceError: no equilibrium at a load however short the step; carries the last state.
        """
        steps = []
        wanted = [0.0, *loads] if self._state is None else list(loads)
        for load in wanted:
            step = self._to(float(load))
            steps.append(step)
            if on_step is not None:
                on_step(step)
            if self._keep is not None:
                self._keep(self.state)
        return steps

    def _to(self, load: float) -> LoadStep:
        """One step, in as many parts as it takes."""
        tally, share, done = Tally(), 1.0, 0.0
        origin = 0.0 if self._state is None else self._state.load
        while done < 1.0:
            upto = min(1.0, done + share)
            target = load if upto == 1.0 else origin + upto * (load - origin)
            try:
                solution = self._solve(target, tally)
            except HandshakeConvergenceError as error:
                self._count(tally, error.solution)
                # At load zero there is no step to halve.
                if self._state is not None and tally.cutbacks < self.max_cutbacks:
                    tally.cutbacks += 1
                    share *= 0.5
                    self._before = None
                    continue
                solution = self._jump(target, tally, error)
            history = self.model.history
            self._advance(target, solution, tally)
            done = upto
        state = self._state
        assert state is not None
        return LoadStep(
            load=state.load,
            u=self.method.nodal(state.u),
            balance=state.balance,
            energies=weighted_energies(self.method, state.u, state.balance, history),
            history=history,
            reaction=state.reaction,
            defect=tally.work - sum(tally.part_works.values()) if tally.part_works else 0.0,
            residual=solution.residual,
            **vars(tally),
        )

    def _solve(self, load: float, tally: Tally) -> HandshakeSolution:
        """The equilibrium at a load, from a guess that follows the path so far.

        Raises:
            HandshakeConvergenceError: there is none near it.
        """
        solution = self._find(load, self._guess(load))
        self._count(tally, solution)
        return solution

    def _find(self, load: float, start: Array) -> HandshakeSolution:
        """The same from any start; a crystal that breaks down on the way is a search that has failed."""
        try:
            return find_equilibrium(
                self.method,
                start=start,
                options=self.options,
                report=lambda iteration, force: self._report(load, iteration, force),
            )
        except BREAKDOWNS as error:
            raise HandshakeConvergenceError(
                f"{self.method.name}: the search broke down: {error}", solution=self._last(str(error))
            ) from error

    def _last(self, why: str) -> HandshakeSolution:
        """The last equilibrium, as what a search leaves that has broken down."""
        state = self._state
        if state is None:
            raise MethodError(f"the unloaded body has no equilibrium to begin with: {why}")
        return HandshakeSolution(
            u=state.u, balance=state.balance, residual=float("nan"), history=(), iterations=0, calls=0, seconds=0.0,
            potential_seconds=0.0,
        )  # fmt: skip

    def _jump(self, load: float, tally: Tally, error: HandshakeConvergenceError) -> HandshakeSolution:
        """An equilibrium at a load to which no path leads.

        Raises:
            HandshakeConvergenceError: there is none to be found either; carries the state of the search along the path.
        """
        tally.jumped = True
        solution = None
        try:
            if self._apart is not None:
                start = np.concatenate([self._apart(load)] * self._copies)
                solution = self._find(load, start)
            elif descends(self.method) and self._state is not None:
                self._before = None
                solution = descend(
                    self.method,
                    start=self._guess(load),
                    options=self.options,
                    report=lambda iteration, force: self._report(load, iteration, force),
                )
        except HandshakeConvergenceError as failure:
            self._count(tally, failure.solution)
            error = failure
        except BREAKDOWNS as failure:
            error = HandshakeConvergenceError(f"{error}; then {failure}", solution=error.solution)
        if solution is None:
            reached = "nothing" if self._state is None else f"{self._state.load:.4g} Å"
            raise HandshakeConvergenceError(
                f"no equilibrium at load {load:.4g} Å after {tally.cutbacks} halvings of the step (reached: {reached}): {error}",
                solution=error.solution,
            ) from error
        self._count(tally, solution)
        return solution

    def _guess(self, load: float) -> Array:
        """Extrapolated from the last two equilibria; without them the elastic answer, the law as stiff as its secant is now."""
        state, before = self._state, self._before
        if state is None:
            rest = load * self._rows
            return rest if self._start is None else np.where(self._held, rest, self._start)
        step = load - state.load
        if before is not None and before.load != state.load:
            ahead = state.u + (state.u - before.u) * (step / (state.load - before.load))
            ahead[self._held] = (load * self._rows)[self._held]
            return ahead
        stiffness = self.model.elastic_stiffness(self.method.nodal(state.u), secant=True)
        pulled = (stiffness @ self.direction.ravel()).reshape(self.direction.shape)
        answer = self.direction - Factor(stiffness, self.model.moving, symmetric=True).solve(pulled)
        return state.u + step * np.concatenate([answer] * self._copies)

    @property
    def _held(self) -> NDArray[np.bool_]:
        return np.concatenate([self.model.held] * self._copies)

    def _advance(self, load: float, solution: HandshakeSolution, tally: Tally) -> None:
        """Enter an equilibrium into the account and take over the history of the law."""
        reaction = float(np.sum((solution.balance.residual * self._rows)[self._held]))
        after, before = Equilibrium(load, solution.u, solution.balance, reaction), self._state
        if before is not None:
            moved = after.u - before.u
            tally.work += 0.5 * (before.reaction + reaction) * (load - before.load)
            for name, forces in after.balance.parts.items():
                mean = 0.5 * (before.balance.parts[name] + forces)
                tally.part_works[name] = tally.part_works.get(name, 0.0) + float(np.sum(mean * moved))
            supports = self._reach * abs(load - before.load)
            largest = float(np.abs(self.method.nodal(after.u) - self.method.nodal(before.u)).max())
            tally.jump = max(tally.jump, largest / max(supports, 1e-12))
            tally.jumped |= largest > max(_JUMP * supports, _LEAST_JUMP)
        self._before = None if before is None or tally.jumped else before
        self._state = after
        interface = self.model.body.interface
        if interface is not None:
            answer = interface.respond(self.method.nodal(after.u), self.model.history)
            self.method = with_history(self.method, answer.history_new)

    @staticmethod
    def _count(tally: Tally, solution: HandshakeSolution) -> None:
        tally.iterations += solution.iterations
        tally.calls += solution.calls
        tally.seconds += solution.seconds
        tally.potential_seconds += solution.potential_seconds


def with_history(method: Method, history: Array) -> Method:
    """The same method after the law has opened: everything that was computed of mesh, lattice and atoms is kept."""
    model, changed = copy.copy(method.model), copy.copy(method)
    object.__setattr__(model, "history", history)
    object.__setattr__(changed, "model", model)
    return changed


def weighted_energies(method: Method, u: Array, balance: Balance, history: Array | None) -> dict[str, float]:
    """Each part's weighted energy, eV: the method's own, or where its forces have none that of the same weights.

    Blended forces belong to no energy; the one that counts every site and every element once is still the sum to look at.
    Costs a potential call then. Empty where sites have no energy.
    """
    if balance.terms:
        return dict(balance.terms)
    model, partition = method.model, method.model.partition
    if not model.atoms.weighted:
        return {}
    u = method.nodal(u)
    atoms, _ = model.atomistic(u, model.weights)
    assert model.body.interface is not None
    return {
        **model.energy_terms(u, model.weights, atoms),
        "bulk": model.body.energy(u, partition.cell_weights),
        "interface": model.body.interface.energy(u, history, partition.facet_weights),
    }
