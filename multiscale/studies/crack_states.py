"""Loading a crack: states one after the other, looked at and written as they come, until the path has come far enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coupling.crack import CrackState, follow
from coupling.errors import HandshakeConvergenceError
from multiscale.config import FollowModel, StepsModel
from multiscale.errors import ValidityError
from multiscale.studies.crack_path import Walk
from multiscale.studies.crack_stage import Run
from multiscale.studies.fracture_state import Leg, PathPoint

Array = NDArray[np.float64]
#: A path that has come far enough goes on to this share of K_G: states on both sides of the barrier are then known there.
_PAST = 1.05


@dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """A state with which a path begins in place of the elastic field: where another walk has come to.

    Attributes:
        load: of the state: K of the mixture, eV/Å^2.5; grips: their opening, Å.
        guess: (rows, 3) its unknowns, about, Å.
        leg: that it belongs to.
        number: of the case's level; not looked at where branches are followed.
        left: numbers of the levels that are still to come; not looked at either.
    """

    load: float
    guess: Array
    leg: Leg
    number: int = 0
    left: tuple[int, ...] = ()


def walk_path(walk: Walk, state: Mapping[str, Any] | None = None) -> None:
    """Go along the path that the case asks for, from its beginning or from a state that `walk.keep` was given.

    Raises:
        HandshakeConvergenceError: no further equilibrium; what was found before is kept.
        ValidityError: the first load is beyond what the body describes.
    """
    if state is None:
        walk.begin()
    else:
        walk.go_on(state["walk"])
    for _ in states_of(walk, leg=None if state is None else state["leg"]):
        pass


def states_of(walk: Walk, start: Start | None = None, *, leg: Mapping[str, Any] | None = None) -> Iterator[PathPoint]:
    """The same, state by state: each is yielded as soon as it is recorded.

    Args:
        walk: stands in its first model, or where it has gone on.
        start: takes the place of the first state.
        leg: where in its loads a walk that has gone on stands: the states after that follow.

    Raises:
        HandshakeConvergenceError, ValidityError: as `walk_path`.
    """
    if isinstance(walk.case.load, StepsModel):
        return _take_steps(walk, walk.case.load, start)
    return _follow_branches(walk, walk.case.load, start, leg)


def _keep(walk: Walk, leg: Callable[[], Mapping[str, Any] | None] = lambda: None) -> None:
    """Offer the walk's state, with where it stands in its loads, to who keeps it."""
    walk.keep(lambda: {"walk": walk.state(), "leg": leg()})


def _first(walk: Walk, load: float, leg: Leg, guess: Array | None = None) -> PathPoint:
    """The state with which the path begins: near the elastic field or a guess, or wherever the atoms fall to from there."""
    point = walk.record(walk.stage.solver.at_load(load, guess=guess), leg)
    if walk.must_end(point):
        raise ValidityError(f"the path ends where it begins: {walk.reason}")
    return point


def _take_steps(walk: Walk, load: StepsModel, start: Start | None) -> Iterator[PathPoint]:
    """Relax the atoms at each load, from the state before.

    Beyond K₊ a crack under a K-field runs until it leaves the zone, below K₋ it closes: such loads are noted, and the path goes
    on from the last state that stood, with the loads on the other side of it.
    """
    loads = [walk.load_of(level) for level in load.wanted]
    if walk.points:
        point = walk.points[-1]
    elif start is None:
        walk.left = tuple(range(1, len(loads)))
        point = _first(walk, loads[0], "up")
        yield point
    else:
        walk.number, walk.left = start.number, start.left
        point = _first(walk, start.load, start.leg, start.guess)
        yield point
    while walk.left:
        _keep(walk)
        if len(walk.points) >= load.max_states:
            walk.reason = f"{len(walk.points)} states were taken: raise load.max_states"
            return
        number, *others = walk.left
        walk.left, wanted = tuple(others), loads[number]
        sign = 1.0 if wanted >= point.load else -1.0
        if load.advance is not None and sign > 0.0 and point.advance > load.advance - 0.5:
            # Far enough: only loads below are left.
            walk.left = tuple(n for n in walk.left if loads[n] < point.load)
            continue
        state = _settle(walk, wanted, point, sign)
        if state is None:
            walk.runs.append(Run(before=point.load, load=wanted, sign=sign))
            walk.left = tuple(n for n in walk.left if sign * (loads[n] - point.load) < 0.0)
            continue
        walk.number = number
        point = walk.record(state, "up" if sign > 0.0 else "down")
        yield point
        if walk.must_end(point):
            return
        if load.recentre and walk.at_edge(point, ahead=walk.character.period):
            point = walk.recentre(point)
            yield point


def _settle(walk: Walk, load: float, point: PathPoint, sign: float) -> CrackState | None:
    """The equilibrium at the next load: nearby where the tip stays, else wherever the atoms fall to; None if the crack runs.

    Raises:
        HandshakeConvergenceError: there is none, and not because the crack runs.
    """
    solver, before = walk.stage.solver, point.state
    guess = before.u + (load - before.load) * walk.stage.unit.field
    try:
        state = solver.at_load(load, guess=guess, before=before, near=True)
        if walk.moved(state.positions, point) == 0.0:
            return state
    except HandshakeConvergenceError:
        pass
    try:
        walk.bound_fall()
        state = solver.at_load(load, guess=guess, before=before)
        positions = state.positions
    except HandshakeConvergenceError as error:
        positions = walk.stage.observer.model.places(error.solution[0])
        if sign * walk.moved(positions, point) <= 0.0:
            raise
        return None
    # What stands at the edge of the core is held by the handshake, not by the lattice.
    tip = point.tip_bonds + walk.moved(positions, point)
    return None if not walk.stage.observer.room(tip) > walk.least_room else state


def _follow_branches(
    walk: Walk, load: FollowModel, start: Start | None, leg: Mapping[str, Any] | None
) -> Iterator[PathPoint]:
    """Continuation from the start, until the crack has grown far enough; then, if asked for, from the start the other way."""
    if leg is not None:
        point = walk.points[0]
    elif start is None:
        point = _first(walk, walk.load_of(load.start), "follow")
        yield point
    else:
        point = _first(walk, start.load, start.leg, start.guess)
        yield point
    back = leg if leg is not None and leg["name"] == "down" else None
    if point.leg == "follow" and back is None:
        left = max(load.advance - round(point.advance), 1)
        yield from _one_way(walk, point, name="follow", sign=1.0, periods=left, leg=leg)
    if load.heal and not walk.reason:
        if back is None:
            walk.at = 0
        yield from _one_way(walk, point, name="down", sign=-1.0, periods=1, leg=back)


def _one_way(
    walk: Walk, first: PathPoint, *, name: Leg, sign: float, periods: int, leg: Mapping[str, Any] | None
) -> Iterator[PathPoint]:
    """Follow the path from a stable state towards rising or falling load, from model to model where the zone is moved."""
    begun, start = (len(walk.points), first) if leg is None else (leg["begun"], walk.points[leg["start"]])
    branch = None if leg is None else leg["branch"]

    def keep(branch: Callable[[], dict[str, Any]]) -> None:
        _keep(walk, lambda: {"name": name, "begun": begun, "start": start.index, "branch": branch()})

    while True:
        solver = walk.stage.solver
        for state in follow(solver, start.state, sign=sign, state=branch, keep=keep):
            if state is start.state:
                continue
            point = walk.record(state, name)
            yield point
            if walk.must_end(point) or _done(walk, first, walk.points[begun:], sign, periods):
                return
            if walk.case.load.recentre and _may_move(walk, point, sign):
                break
        else:
            walk.reason = f"{solver.options.max_states} states were taken: raise load.max_states"
            return
        start, branch = walk.recentre(point), None
        yield start


def _may_move(walk: Walk, point: PathPoint, sign: float) -> bool:
    """Whether the zone is to be moved now: on a stable branch, half-way between its folds, before the next period breaks.

    Near a fold the new model might find the state of the other branch.
    """
    half_way = sign * (point.intensity - walk.references.griffith) > 0.0
    return bool(point.state.stable) and half_way and walk.at_edge(point, ahead=sign * walk.character.period)


def _done(walk: Walk, first: PathPoint, points: list[PathPoint], sign: float, periods: int) -> bool:
    """Whether the crack stands stably, by so many periods farther on, at the load of the start or at K_G.

    Bonds are long before they give way: that the tip by bonds has moved is not enough, the load must have turned back and again.
    """
    last, loads = points[-1], sign * np.array([first.load, *(point.load for point in points)])
    steps = np.sign(np.diff(loads))
    valleys = int(((steps[:-1] < 0.0) & (steps[1:] > 0.0)).sum())
    moved = sign * (last.advance - first.advance)
    if not valleys and moved < periods + 0.5:
        return False
    level = max(first.intensity, _PAST * walk.references.griffith) if sign > 0.0 else first.intensity
    return moved > periods - 0.5 and steps[-1] > 0.0 and sign * (last.intensity - level) > 0.0
