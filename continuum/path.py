"""Following a solid along its equilibrium path, through limit points and snap-back.

Where a specimen holds more elastic energy than its interface can spend, the load that it carries falls while its supports
move back. `trace` raises the load as long as steps are stable and small; where a step fails, or spends more than a step may,
it goes on by the energy spent (`newton.py`), and back to the load where nothing more breaks. Nothing is jumped silently: each
step says how it was controlled.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from continuum.errors import ContinuumError
from continuum.newton import Constraint, DissipationConstraint, Drag, Newton, NotFound, OpeningConstraint
from continuum.solvers import ConvergenceError, PathState, Step

Array = NDArray[np.float64]
Control = Literal["load", "dissipation", "opening", "alternate minimisation"]


@dataclass(frozen=True, kw_only=True)
class PathOptions:
    """How a path is followed.

    Attributes:
        rtol: unbalanced force relative to the forces in play.
        max_iterations: Newton's, of one step.
        wanted_iterations: step sizes are steered towards it.
        resolution: most energy that a step may spend, as a share of all that the interfaces can spend.
        finest: smallest step, as a share of the largest, before the search gives up.
        load_cuts: times that a load step is halved before the path is followed by another control.
        snap: ``follow`` goes through snap-back by arc length; ``jump`` lets an unstable solid fall to its next stable state
            at the same load by alternate minimisation, as it would under real supports with the kinetic energy lost.
        viscosity: η of a viscous traction η d⟦u⟧/dt at the interfaces, eV/Å⁴ times the unit of time, in which the load moves by
            one `step`; 0: none. Steps are then controlled by the load alone.
        max_viscous_share: viscous energy, as a share of all that the interfaces can spend, beyond which a run is refused.
        max_steps: of the whole path.
    """

    rtol: float = 1e-8
    max_iterations: int = 20
    wanted_iterations: int = 6
    resolution: float = 0.01
    finest: float = 1e-4
    load_cuts: int = 1
    snap: Literal["follow", "jump"] = "follow"
    viscosity: float = 0.0
    max_viscous_share: float = 0.01
    max_steps: int = 5000

    def __post_init__(self) -> None:
        for name, low, high in (
            ("rtol", 1e-14, 1e-2),
            ("resolution", 1e-6, 1.0),
            ("finest", 1e-12, 1.0),
            ("max_viscous_share", 0.0, 1.0),
        ):
            if not low <= getattr(self, name) <= high:
                raise ContinuumError(
                    f"{name} = {getattr(self, name)!r}: expected a number between {low:g} and {high:g}"
                )
        for name in ("max_iterations", "wanted_iterations", "max_steps"):
            if int(getattr(self, name)) < 1:
                raise ContinuumError(f"{name} = {getattr(self, name)!r}: expected at least 1")
        if self.load_cuts < 0 or not (np.isfinite(self.viscosity) and self.viscosity >= 0.0):
            raise ContinuumError(
                f"load_cuts = {self.load_cuts!r}, viscosity = {self.viscosity!r}: expected both finite and not negative"
            )
        if self.snap not in ("follow", "jump"):
            raise ContinuumError(
                f"snap = {self.snap!r}: expected 'follow' (arc length) or 'jump' (falls at fixed load)"
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
) -> list[PathStep]:
    """Follow a solid from its present state until the load parameter is `to`, committing history at each step (collective).

    Args:
        solid: its state is changed.
        to: load parameter to reach. Below the present one a stable state is unloaded; from an unstable one, whose path leads
            back anyway, the breaking goes on.
        step: largest step of the load parameter.
        options: of the path.
        on_step: called on every rank after each step; True ends the path.

    Returns:
        The steps; they end early where `on_step` says so, or where everything is broken that dead loads pull at.

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
    return _Walk(solid, to, step, options or PathOptions(), on_step).run()


class _Walk:
    """The state of a walk along a path."""

    def __init__(
        self,
        solid: Any,
        to: float,
        step: float,
        options: PathOptions,
        on_step: Callable[[PathStep], bool | None] | None,
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
        self._resorted = False
        self.steps: list[PathStep] = []
        self.state = PathState.of(solid)
        self._dissipated_before = self.state.energies.dissipated
        self.last: tuple[Array, Array, float] | None = (
            None  # increments of displacement, jumps and load of the last step
        )
        self.viscous, self._pull = 0.0, np.zeros_like(self.state.jump)

    def run(self) -> list[PathStep]:
        """Walk to the end."""
        by_load, cuts = True, 0
        while self.solid.load != self.to:
            if len(self.steps) >= self.options.max_steps:
                raise self._stopped(
                    0.0, cuts, f"the path took max_steps = {self.options.max_steps} steps; take longer ones"
                )
            saved, begun, iterations = self.solid.snapshot(), time.perf_counter(), self.newton.iterations
            try:
                control = self._by_load() if by_load else self._by_path(saved)
            except NotFound as failure:
                self.solid.restore(saved)
                cuts += 1
                by_load = self._after_failure(by_load, cuts, failure)
                continue
            step = self._commit(control, saved, iterations, time.perf_counter() - begun, cuts)
            self._resorted = False
            ease, cuts = (self.options.wanted_iterations / step.iterations) ** 0.5 if step.iterations else 2.0, 0
            if by_load:
                self.load_step = min(self.longest, self.load_step * (2.0 if ease >= 1.0 else 1.0))
            else:
                self.energy_step = min(self.largest, self.energy_step * float(np.clip(ease, 0.5, 2.0)))
                self.opening_share = float(np.clip(ease, 0.5, 1.5))
                by_load = self._load_again(step)
            if (self.on_step is not None and self.on_step(step)) or self._in_two():
                break
        return self.steps

    def _in_two(self) -> bool:
        """Whether dead loads pull at what no longer holds together."""
        spent = self.state.energies.dissipated
        loaded = self.solid.comm.allreduce(float(np.abs(self.solid.dead_load).sum())) > 0.0
        return bool(loaded and self._weights.any() and spent >= (1.0 - 1e-9) * self.available)

    def _by_load(self) -> Control:
        """One step of the load; NotFound where it fails or spends more than a step may."""
        solid, options = self.solid, self.options
        left = self.to - solid.load
        move = left if abs(left) <= 1.0000001 * self.load_step else np.sign(left) * self.load_step
        target = self.to if move == left else solid.load + move
        drag, before, predicted = None, self._spent(), False
        if options.viscosity:
            share = abs(move) / self.longest
            rate = np.where(solid.interfaces.cracked, 0.0, options.viscosity / share)
            drag = Drag(stiffness=rate, start=self.state.jump)
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
        answer, jump = self.solid.respond(), self.state.jump
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
        solid, before = self.solid, self.state
        after = PathState.of(solid)
        work = 0.5 * (before.reaction + after.reaction) * (after.load - before.load)
        interface_work = after.interface_work_from(before, solid)
        taken = self.viscous - (self.steps[-1].viscous if self.steps else 0.0)
        moved = np.array(solid.u.x.array - saved.displacement)[: len(solid.owned())]
        self.last = (moved, after.jump - before.jump, after.load - before.load)
        self._dissipated_before = before.energies.dissipated
        solid.commit()
        self.state = after
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
