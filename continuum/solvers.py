"""Following a solid through a sequence of loads: step control, energies and work of each step."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from continuum.checkpoint import Keep, gather_state, scatter_state
from continuum.equilibrium import Equilibrium
from continuum.errors import ContinuumError, NotReached
from continuum.options import SolverOptions
from continuum.solid import Energies, Solid

__all__ = ["ConvergenceError", "SolverOptions", "Step", "follow"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One converged load step.

    Attributes:
        load: load parameter.
        reaction: P conjugate to it, eV/Å (per unit of the load parameter in Å).
        iterations: passes, Newton and secant steps.
        cutbacks: times that the step was halved.
        factorisations: of the whole solid's matrix.
        energies: at the end of the step, eV.
        crack_tip: x of the first interface's crack tip, Å (NaN without interfaces).
        seconds: wall time.
        work: ∫P dλ by the trapezoidal rule over the step (and its parts after a cutback), eV.
        interface_work: ∫∫T·d⟦u⟧ by the same rule, eV. The bulk being linear, work − Δbulk − interface_work vanishes up to
            the solver's tolerance: the identity that `closure` states.
        closure: work − Δ(bulk + loads) − interface_work, eV.
        released: work − Δ(all energies), eV: what no term holds at the end. Of second order in the step where the state moves
            steadily; where the solid jumped to a distant equilibrium, the energy that would have gone into motion.
    """

    load: float
    reaction: float
    iterations: int
    cutbacks: int
    factorisations: int
    energies: Energies
    crack_tip: float
    seconds: float
    work: float
    interface_work: float
    closure: float
    released: float


class ConvergenceError(RuntimeError):
    """No equilibrium could be found; the solid stands at the last converged state.

    Attributes:
        solid: at the last converged state.
        steps: those that converged.
        load: that could not be reached.
        residual: relative residual of the last attempt.
    """

    def __init__(
        self,
        solid: Solid,
        steps: Sequence[Step],
        load: float,
        residual: float,
        cutbacks: int,
        *,
        advice: str | None = None,
    ) -> None:
        advice = advice or (
            "try smaller load steps, more max_cutbacks, or smaller facets in the cohesive zone; where the response snaps back, "
            "continuum.path.trace follows it (in a case file solver.snap_back: follow)"
        )
        super().__init__(
            f"no equilibrium at load {load:.6g} (last converged {solid.load:.6g}, {cutbacks} cutbacks, relative residual "
            f"{residual:.3g}): {advice}"
        )
        self.solid, self.steps, self.load, self.residual = solid, tuple(steps), load, residual


def follow(
    solid: Solid,
    loads: Sequence[float],
    *,
    options: SolverOptions | None = None,
    on_step: Callable[[Step], None] | None = None,
    state: Mapping[str, Any] | None = None,
    keep: Keep | None = None,
) -> list[Step]:
    """Take a solid from its present state through the loads, committing the interfaces' history at each (collective).

    Args:
        solid: its state is changed.
        loads: load parameters, in order; unloading is allowed.
        options: of the solver.
        on_step: called on every rank after each converged step.
        state: what `keep` was given after a step through the same loads: they go on from there, wherever the solid stands.
        keep: called on every rank after each step, after `on_step`, with a function that makes the state, a tree (collective).

    Returns:
        One Step a load, those before `state` among them.

    Raises:
        ConvergenceError: on all ranks; the solid stands at the last converged state.
        ContinuumError: where a load is not finite.
    """
    values = np.asarray(loads, dtype=float)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ContinuumError(f"loads = {loads!r}: expected a sequence of at least one finite number")
    if not isinstance(options, SolverOptions | None):
        raise ContinuumError(f"options = {options!r}: expected continuum.options.SolverOptions")
    options = options or SolverOptions()
    equilibrium = Equilibrium(solid, options)
    steps: list[Step] = []
    if state is not None:
        scatter_state(solid, state["solid"])
        equilibrium.restore(state["equilibrium"])
        steps = list(state["steps"])
    # Taken before the law's history is: it cannot be computed again from the solid alone.
    here = PathState.of(solid) if state is None else state["here"]
    for load in values.tolist()[len(steps) :]:
        begun, iterations, factors = time.perf_counter(), equilibrium.iterations, equilibrium.reference.factorisations
        start, work, interface_work, cuts = here, 0.0, 0.0, 0
        share, goal = 1.0, 0.0
        while goal < 1.0:
            saved = solid.snapshot()
            goal_next = min(1.0, goal + share)
            target = load if goal_next == 1.0 else start.load + goal_next * (load - start.load)
            try:
                equilibrium.reach(target)
            except NotReached as failure:
                solid.restore(saved)
                equilibrium.renew_next()
                cuts += 1
                if cuts > options.max_cutbacks:
                    raise ConvergenceError(solid, steps, target, failure.residual, cuts - 1) from failure
                share *= 0.5
                continue
            after = PathState.of(solid)
            work += 0.5 * (here.reaction + after.reaction) * (after.load - here.load)
            interface_work += after.interface_work_from(here, solid)
            solid.commit()
            here, goal = after, goal_next
        step = Step(
            load=load,
            reaction=here.reaction,
            iterations=equilibrium.iterations - iterations,
            cutbacks=cuts,
            factorisations=equilibrium.reference.factorisations - factors,
            energies=here.energies,
            crack_tip=solid.crack_tip(solid.interfaces.parts[0].name) if solid.interfaces.parts else float("nan"),
            seconds=time.perf_counter() - begun,
            work=work,
            interface_work=interface_work,
            closure=work - (here.energies.held - start.energies.held) - interface_work,
            released=work - (here.energies.total - start.energies.total),
        )
        steps.append(step)
        if on_step is not None:
            on_step(step)
        if keep is not None:
            keep(partial(_state, solid, equilibrium, here, list(steps)))
    return steps


def _state(solid: Solid, equilibrium: Equilibrium, here: "PathState", steps: list[Step]) -> dict[str, Any]:
    """All that the next step takes from those before, as a tree; collective."""
    return {"solid": gather_state(solid), "equilibrium": equilibrium.state(), "here": here, "steps": steps}


@dataclass(frozen=True, kw_only=True)
class PathState:
    """What a step's work is computed from.

    Attributes:
        load, reaction, energies: of the solid.
        jump: (points, dim) Å.
        traction: (points, dim) the laws', eV/Å³.
    """

    load: float
    reaction: float
    energies: Energies
    jump: np.ndarray
    traction: np.ndarray

    @classmethod
    def of(cls, solid: Solid) -> "PathState":
        """The present state; collective."""
        empty = np.zeros((0, solid.dim))
        return cls(
            load=solid.load,
            reaction=solid.reaction(),
            energies=solid.energies(),
            jump=solid.jumps() if solid.interfaces.points else empty,
            traction=solid.respond().traction if solid.interfaces.points else empty,
        )

    def interface_work_from(self, before: "PathState", solid: Solid) -> float:
        """∫∫T·d⟦u⟧ from a state before to this one by the trapezoidal rule, eV."""
        mean = 0.5 * (self.traction + before.traction)
        return float(solid.interfaces.weights @ np.einsum("pi,pi->p", mean, self.jump - before.jump))
