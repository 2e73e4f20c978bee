"""Following a solid along its equilibrium path, through limit points and snap-back.

Where a specimen holds more elastic energy than its interface can spend, the load that it carries falls while its supports
move back. `trace` raises the load as long as steps are stable and small; where a step fails, or spends more than a step may,
it goes on by the energy spent (`newton.py`), and back to the load where nothing more breaks. Nothing is jumped silently: each
step says how it was controlled.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from continuum.checkpoint import Keep, gather_nodal, gather_state, scatter_nodal, scatter_state
from continuum.errors import ContinuumError
from continuum.newton import Constraint, DissipationConstraint, Drag, Newton, NotFound, OpeningConstraint
from continuum.options import PathOptions
from continuum.solvers import ConvergenceError, PathState, Step

__all__ = ["Control", "PathOptions", "PathStep", "ViscosityError", "trace"]

Array = NDArray[np.float64]
Control = Literal["load", "dissipation", "opening", "alternate minimisation"]
#: What a walk between two steps knows beside the solid, Newton's method and its own last move.
_KEPT = (
    "longest",
    "load_step",
    "energy_step",
    "opening_share",
    "viscous",
    "by_load",
    "ended",
    "before",
    "_pull",
)


@dataclass(frozen=True, kw_only=True)
class PathStep(Step):
    """One step of a path.

    Attributes:
        control: what was prescribed: the load, the energy spent, the advance of the openings, or the load with a fall to
            the next stable state.
        viscous: energy that the viscous traction took, eV; part of `interface_work`.
        negative_pivots: of the last tangent: above 0 the state is unstable at fixed load. None where a law's tangent is not
            symmetric: nobody counts them then.
    """

    control: Control
    viscous: float
    negative_pivots: int | None


class ViscosityError(ContinuumError):
    """The viscous energy of a run exceeds the share that was allowed."""


def trace(
    solid: Any,
    *,
    to: float,
    step: float,
    options: PathOptions | None = None,
    on_step: Callable[[PathStep], bool | None] | None = None,
    state: Mapping[str, Any] | None = None,
    keep: Keep | None = None,
) -> list[PathStep]:
    """Follow a solid from its present state until the load parameter is `to`, committing history at each step (collective).

    Args:
        solid: its state is changed.
        to: load parameter to reach. Below the present one a stable state is unloaded; from an unstable one, whose path leads
            back anyway, the breaking goes on.
        step: largest step of the load parameter.
        options: of the path.
        on_step: called on every rank after each step; True ends the path.
        state: what `keep` was given after a step of the same path: the path goes on from there, wherever the solid stands, with
            the same steps as if it had never been left (on one rank to the last bit).
        keep: called on every rank after each step, after `on_step`, with a function that makes the state, a tree (collective).

    Returns:
        The steps, those before `state` among them; they end early where `on_step` says so, or where everything is broken that
        dead loads pull at.

    Raises:
        ConvergenceError: on all ranks; the solid stands at the last committed state.
        ViscosityError: the viscous energy exceeds its share.
        ContinuumError: where `to` or `step` is no number, or there is no interface.
    """
    if not all(isinstance(n, Real) and np.isfinite(n) for n in (to, step)) or not step > 0.0:
        raise ContinuumError(f"to = {to!r}, step = {step!r}: expected finite numbers, the step above zero")
    if not isinstance(options, PathOptions | None):
        raise ContinuumError(f"options = {options!r}: expected continuum.path.PathOptions")
    if not solid.interfaces.points:
        raise ContinuumError("a solid without interfaces has no path to trace: use continuum.solvers.follow")
    return _Walk(solid, to, step, options or PathOptions(), on_step, state).run(keep)


class _Walk:
    """The state of a walk along a path."""

    def __init__(
        self,
        solid: Any,
        to: float,
        step: float,
        options: PathOptions,
        on_step: Callable[[PathStep], bool | None] | None,
        state: Mapping[str, Any] | None,
    ) -> None:
        self.solid, self.to, self.options, self.on_step = solid, to, options, on_step
        self.newton = Newton(solid, rtol=options.rtol, max_iterations=options.max_iterations)
        interfaces = solid.interfaces
        intact = np.where(interfaces.cracked, 0.0, interfaces.weights)
        energies = np.zeros(interfaces.points)
        self._reversible = np.zeros(interfaces.points, dtype=bool)
        for part, where in zip(interfaces.parts, interfaces.slices, strict=True):
            energies[where] = part.law.fracture_energy
            self._reversible[where] = part.law.unloading == "reversible"
        self._weights = np.where(self._reversible, 0.0, intact)
        self.available = float(intact @ energies)
        self.largest = options.resolution * self.available
        self.longest = min(step, abs(to - solid.load)) or step
        self.load_step = self.longest
        # Next advances along the path: energy (eV), and norm of the openings' increment where it differs from the last one's.
        self.energy_step, self.opening_share = 0.1 * self.largest, 1.0
        self.by_load, self._resorted, self.ended = True, False, False
        self.steps: list[PathStep] = []
        self.before = PathState.of(solid) if state is None else state["before"]
        self._dissipated_before = self.before.energies.dissipated
        self.last: tuple[Array, Array, float] | None = (
            None  # increments of displacement, jumps and load of the last step
        )
        self.viscous, self._pull = 0.0, np.zeros_like(self.before.jump)
        if state is not None:
            self._restore(state)

    def state(self) -> dict[str, Any]:
        """All that decides on the steps to come, after a step, as a tree; collective."""
        assert self.last is not None
        moved, opened, advanced = self.last
        return {
            "solid": gather_state(self.solid),
            "newton": self.newton.state(),
            "last": {"moved": gather_nodal(self.solid, moved), "opened": opened, "load": advanced},
            "steps": list(self.steps),
            **{name: getattr(self, name) for name in _KEPT},
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        """Stand where a walk over the same path stood when it gave its state; collective."""
        scatter_state(self.solid, state["solid"])
        self.newton.restore(state["newton"])
        last = state["last"]
        self.last = scatter_nodal(self.solid, last["moved"]), last["opened"], last["load"]
        self.steps = list(state["steps"])
        for name in _KEPT:
            setattr(self, name, state[name])

    def run(self, keep: Keep | None = None) -> list[PathStep]:
        """Walk to the end."""
        cuts = 0
        while self.solid.load != self.to and not self.ended:
            if len(self.steps) >= self.options.max_steps:
                raise self._stopped(
                    0.0, cuts, f"the path took max_steps = {self.options.max_steps} steps; take longer ones"
                )
            saved, begun, iterations = self.solid.snapshot(), time.perf_counter(), self.newton.iterations
            try:
                control = self._by_load() if self.by_load else self._by_path(saved)
            except NotFound as failure:
                self.solid.restore(saved)
                cuts += 1
                self.by_load = self._after_failure(self.by_load, cuts, failure)
                continue
            step = self._commit(control, saved, iterations, time.perf_counter() - begun, cuts)
            self._resorted, cuts = False, 0
            self._steer(step)
            self.ended = bool(self.on_step is not None and self.on_step(step)) or self._in_two()
            if keep is not None:
                keep(self.state)
        return self.steps

    def _steer(self, step: PathStep) -> None:
        """Length and control of the next step, by what the last one took."""
        ease = (self.options.wanted_iterations / step.iterations) ** 0.5 if step.iterations else 2.0
        if self.by_load:
            self.load_step = min(self.longest, self.load_step * (2.0 if ease >= 1.0 else 1.0))
            return
        self.energy_step = min(self.largest, self.energy_step * float(np.clip(ease, 0.5, 2.0)))
        self.opening_share = float(np.clip(ease, 0.5, 1.5))
        self.by_load = self._load_again(step)

    def _in_two(self) -> bool:
        """Whether dead loads pull at what no longer holds together."""
        spent = self.before.energies.dissipated
        loaded = self.solid.comm.allreduce(float(np.abs(self.solid.dead_load).sum())) > 0.0
        return bool(loaded and self._weights.any() and spent >= (1.0 - 1e-9) * self.available)

    def _by_load(self) -> Control:
        """One step of the load; NotFound where it fails or spends more than a step may."""
        solid, options = self.solid, self.options
        left = self.to - solid.load
        move = left if abs(left) <= 1.0000001 * self.load_step else float(np.sign(left)) * self.load_step
        target = self.to if move == left else solid.load + move
        drag, before, predicted = None, self._spent(), False
        if options.viscosity:
            share = abs(move) / self.longest
            rate = np.where(solid.interfaces.cracked, 0.0, options.viscosity / share)
            drag = Drag(stiffness=rate, start=self.before.jump)
        elif self.last is not None and self.last[2] * move > 0.0:
            solid.owned()[:] += move / self.last[2] * self.last[0]
            predicted = True
        control: Control = "load"
        try:
            self.newton.at_load(target, drag=drag, predicted=predicted)
        except NotFound:
            if options.snap == "follow" or options.viscosity:
                raise
            self.newton.at_load(target, secant=True)
            control = "alternate minimisation"
        if options.viscosity:
            self._add_drag(drag)
        elif options.snap == "follow" and abs(self._spent() - before) > 1.0000001 * self.largest:
            raise NotFound(0.0)
        return control

    def _by_path(self, saved: Any) -> Control:
        """One step along the path: by the energy spent where something breaks, else, or where that fails, by the openings."""
        solid = self.solid
        side = np.sign(self.to - solid.load)
        found: Control = "opening"
        constraints = self._constraints()
        if not constraints:
            raise NotFound(float("nan"))
        for index, (control, constraint, advance) in enumerate(constraints):
            try:
                self._along(control, constraint, advance)
                found = control
                break
            except NotFound:
                solid.restore(saved)
                if index == len(constraints) - 1:
                    raise
        if side and (self.to - solid.load) * side < 0.0:
            # Past the end: the end itself instead.
            self.newton.at_load(self.to)
            found = "load"
        return found

    def _along(self, control: Control, constraint: Constraint, advance: float) -> None:
        before = self._spent()
        self.newton.along(constraint, advance)
        if control == "opening" and abs(self._spent() - before) > 2.0 * self.largest:
            raise NotFound(0.0)

    def _constraints(self) -> list[tuple[Control, Constraint, float]]:
        """How the next step can be measured, best first, and how far it is to go."""
        found: list[tuple[Control, Constraint, float]] = []
        answer, jump = self.solid.respond(), self.before.jump
        if self._weights.any():
            spent = DissipationConstraint(weights=self._weights, start=answer.dissipated)
            pulled = np.abs(self._weights[:, None] * answer.traction * jump).sum()
            # Nothing breaks here, or nothing is left to break.
            if np.abs(spent.gradient(answer, jump) * jump).sum() > max(1e-6 * pulled, 1e-9 * self.available):
                found.append(("dissipation", spent, self.energy_step))
        if self.last is not None:
            # Broken points move with the bodies, back as well as forth: they say nothing about the path.
            holding = np.where(answer.damage < 1.0 - 1e-9, self.solid.interfaces.weights, 0.0)
            weighted = holding[:, None] * self.last[1]
            norm = float(np.sqrt(np.sum(weighted * self.last[1])))
            if norm > 0.0:
                opened = OpeningConstraint(direction=weighted / norm, start=jump)
                found.append(("opening", opened, self.opening_share * norm))
        return found

    def _spent(self) -> float:
        """Energy that the interfaces have called on, eV: spent, or of reversible ones stored."""
        answer = self.solid.respond()
        held = np.where(self._reversible, answer.stored, 0.0)
        return float(self._weights @ answer.dissipated + self.solid.interfaces.weights @ held)

    def _after_failure(self, by_load: bool, cuts: int, failure: NotFound) -> bool:
        """Shorter steps, or the other control; True where the next step is one of the load."""
        options = self.options
        if by_load:
            self.load_step *= 0.5
            by_path = options.snap == "follow" and not options.viscosity
            if by_path and cuts > options.load_cuts and self._constraints():
                self.opening_share = 1.0
                return False
            if self.load_step < options.finest * self.longest:
                raise self._stopped(failure.residual, cuts) from failure
            return True
        if not self._constraints():
            # Nothing holds any more: no path is left but the load's.
            self.load_step = self.longest / 2**options.load_cuts
            return True
        self.energy_step *= 0.25
        self.opening_share *= 0.25
        if self.energy_step >= options.finest * self.largest:
            return False
        if self._resorted:
            raise self._stopped(failure.residual, cuts) from failure
        # What is left to break may be too little to measure a path by: the load gets one more chance.
        self._resorted, self.energy_step = True, 0.1 * self.largest
        self.load_step = self.longest / 2**options.load_cuts
        return True

    def _stopped(self, residual: float, cuts: int, advice: str | None = None) -> ConvergenceError:
        advice = advice or (
            "try a smaller step, a finer resolution, smaller facets in the cohesive zone, or snap='jump', which falls to the "
            "next stable state"
        )
        return ConvergenceError(self.solid, self.steps, self.to, residual, cuts, advice=advice)

    def _load_again(self, step: PathStep) -> bool:
        """Whether a load step of useful length would now spend little."""
        moved = abs(self.last[2]) if self.last else 0.0
        forward = self.last is not None and self.last[2] * (self.to - self.solid.load) > 0.0
        if step.negative_pivots or not forward or not moved:
            return False
        trial = self.longest / 4.0
        spent = (
            abs(step.interface_work) if self._reversible.all() else step.energies.dissipated - self._dissipated_before
        )
        if spent * trial / moved > 0.3 * self.largest:
            return False
        self.load_step = trial
        return True

    def _add_drag(self, drag: Drag | None) -> None:
        if drag is None:
            return
        jump = self.solid.jumps()
        pull = drag.traction(jump)
        mean = 0.5 * (pull + self._pull)
        self._pull = pull
        self.viscous += float(self.solid.interfaces.weights @ np.einsum("pi,pi->p", mean, jump - drag.start))
        if self.viscous > self.options.max_viscous_share * self.available:
            raise ViscosityError(
                f"the viscous traction has taken {self.viscous:.4g} eV, {self.viscous / self.available:.2%} of all that the "
                f"interfaces can spend; allowed are {self.options.max_viscous_share:.2%}: lower viscosity, take smaller steps, "
                "or allow more with max_viscous_share"
            )

    def _commit(self, control: Control, saved: Any, iterations: int, seconds: float, cuts: int) -> PathStep:
        """Take the state into the history and describe the step."""
        solid, before = self.solid, self.before
        after = PathState.of(solid)
        work = 0.5 * (before.reaction + after.reaction) * (after.load - before.load)
        interface_work = after.interface_work_from(before, solid)
        taken = self.viscous - (self.steps[-1].viscous if self.steps else 0.0)
        moved = np.array(solid.u.x.array - saved.displacement)[: len(solid.owned())]
        self.last = (moved, after.jump - before.jump, after.load - before.load)
        self._dissipated_before = before.energies.dissipated
        solid.commit()
        self.before = after
        step = PathStep(
            load=after.load,
            reaction=after.reaction,
            iterations=self.newton.iterations - iterations,
            cutbacks=cuts,
            factorisations=self.newton.iterations - iterations,
            energies=after.energies,
            crack_tip=solid.crack_tip(solid.interfaces.parts[0].name),
            seconds=seconds,
            work=work,
            interface_work=interface_work + taken,
            closure=work - (after.energies.held - before.energies.held) - interface_work - taken,
            released=work - (after.energies.total - before.energies.total) - taken,
            control=control,
            viscous=self.viscous,
            negative_pivots=self.newton.tangent.negative_pivots if self.newton.tangent.symmetric else None,
        )
        self.steps.append(step)
        return step
