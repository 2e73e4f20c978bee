"""Along the path of a crack, state after state, through all that snaps; it can be left after any state and gone on with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coupling.crack.path import CrackSolver
from coupling.crack.state import CrackState
from coupling.errors import HandshakeConvergenceError

Array = NDArray[np.float64]
#: Stray that the length of steps is adapted to.
_BEND = 0.2


@dataclass(frozen=True, kw_only=True, eq=False)
class Branch:
    """Where on its path a crack is: all that decides the next step beside the solver.

    Attributes:
        count: states so far.
        state: the last one.
        along: change of u (rows, 3), Å, and of the load in the last step; None after the first state.
        length: of the next step, Å.
    """

    count: int
    state: CrackState
    along: tuple[Array, float] | None
    length: float


def follow(
    solver: CrackSolver,
    first: CrackState,
    *,
    sign: float = 1.0,
    advance: Callable[[CrackState], bool] | None = None,
    state: Mapping[str, Any] | None = None,
    keep: Callable[[Callable[[], dict[str, Any]]], None] | None = None,
) -> Iterator[CrackState]:
    """Go along the path from an equilibrium, towards rising (+1) or falling (−1) load, through all that snaps.

    Args:
        solver: of the body.
        first: where the path begins.
        sign: of the first change of load.
        advance: asked after each state but the first two; where it says True the path has come far enough.
        state: what `keep` was given: the path goes on from there, on one rank to the last bit, and `first` is not looked at.
        keep: called on every rank once each state has been dealt with by who asked for it, with a function that makes the
            state of the path, a tree (collective).

    Yields:
        The states, the first one too, but for those before `state`.

    Raises:
        HandshakeConvergenceError: no next state, however short the step.
    """
    if state is None:
        branch = Branch(count=1, state=first, along=None, length=0.0)
        yield first
    else:
        branch = state["branch"]
        solver.go_on(state["solver"])
    while branch.count < solver.options.max_states:
        if advance is not None and branch.count > 1 and advance(branch.state):
            return
        if keep is not None:
            keep(lambda branch=branch: {"branch": branch, "solver": solver.state()})  # type: ignore[misc]
        branch = _second(solver, branch.state, sign) if branch.along is None else _next(solver, branch, sign)
        yield branch.state


def _second(solver: CrackSolver, first: CrackState, sign: float) -> Branch:
    """A small change of the load, which tells the path's direction."""
    share = sign * solver.options.first_step
    second = solver.at_load(
        first.load * (1.0 + share), guess=first.u + share * first.load * solver.unit.field, before=first, near=True
    )
    along = (second.u - first.u, second.load - first.load)
    return Branch(count=2, state=second, along=along, length=solver.norm(*along))


def _next(solver: CrackSolver, branch: Branch, sign: float) -> Branch:
    """One arc length on, or as much of it as there is a state for."""
    assert branch.along is not None
    before = branch.state
    direction = solver.direction(before, branch.along)
    length = min(branch.length, solver.longest(*direction, load=before.load))
    while True:
        try:
            found, strayed = solver.next(before, direction, length)
            break
        except HandshakeConvergenceError:
            length *= 0.4
            if length < solver.options.smallest_step:
                raise
            # The iterations may have taken the tangent elsewhere.
            direction = solver.direction(before, direction)
    along = (found.u - before.u, found.load - before.load)
    return Branch(
        count=branch.count + 1,
        state=replace(found, stable=along[1] * sign > 0.0),
        along=along,
        length=length * float(np.clip(_BEND / max(strayed, 1e-3), 0.5, 1.7)),
    )
