"""Checks on a finished path: the account of its energies, and whether a crack one period on is the same crack."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coupling.crack import CrackState
from coupling.crack.tip import shifted_difference
from coupling.errors import HandshakeConvergenceError, TipError
from coupling.ledger import EnergyLedger, Term
from multiscale.studies.crack_path import Stage, Walk
from multiscale.studies.embedded_files import DOMAINS
from multiscale.studies.fracture_state import PathPoint

Array = NDArray[np.float64]
_ENERGIES = {
    "atoms": ("core and blend", "Σ (1 − β) V over the atoms"),
    "bulk": ("blend and body", "Σ v_T W over the elements, v_T less what the atoms own"),
    **DOMAINS,
}
_WORKS = {
    "atoms": ("core and blend", "∫ forces of the atoms · du, with the share 1 − β on displacements of sites"),
    "bulk": ("blend and body", "∫ forces of the elements · du, with the share β"),
}


def account(walk: Walk) -> EnergyLedger | None:
    """Work of the load in every step, and what of it went into atoms and into elements; None for fewer than two states.

    Where the potential tells the energy of each atom, every atom and element is counted once, and the work of the load is an
    independent sum: of the supports' reactions. Where it gives forces only, the works of the parts' forces take the energies'
    place; at equilibrium they cancel on all unknowns, so that a force that is missing shows, at one evaluation a state.

    A way back begins anew at the first state; where the zone is moved, nothing is worked.
    """
    points = walk.points
    if len(points) < 2:
        return None
    known = all(point.state.terms for point in points)
    changes = _energy_changes(points) if known else _force_works(walk)
    domains = _ENERGIES if known else _WORKS
    names = list(changes[0])
    ledger = EnergyLedger(
        [
            Term(name=name, domain=domains.get(name, (name, ""))[0], note=domains.get(name, ("", ""))[1])
            for name in names
        ]
    )
    totals: list[dict[str, float]] = [dict.fromkeys(names, 0.0)]
    works = [0.0]
    for index in range(1, len(points)):
        before, steps, work = _before(points, index), dict.fromkeys(names, 0.0), 0.0
        if not points[index].recentred:
            steps = changes[index - 1]
            first, last = points[before].state, points[index].state
            work = 0.5 * (first.conjugate + last.conjugate) * (last.load - first.load)
        totals.append({name: totals[before][name] + steps[name] for name in names})
        ledger.record(
            load=points[index].load,
            # The ledger adds up: a way that begins anew takes back what was worked before.
            work_increment=works[before] + work - works[-1],
            step_defect=work - sum(steps.values()),
            **{name.replace(" ", "_"): value for name, value in totals[-1].items()},
        )
        works.append(works[before] + work)
    return ledger


def _energy_changes(points: Sequence[PathPoint]) -> list[dict[str, float]]:
    """Change of each energy in every step, eV."""
    return [
        {
            name: value - points[_before(points, index)].state.terms[name]
            for name, value in points[index].state.terms.items()
        }
        for index in range(1, len(points))
    ]


def _force_works(walk: Walk) -> list[dict[str, float]]:
    """Work that each part's forces do in every step, eV."""
    points = walk.points
    parts = [walk.stages[point.picture].solver.method.evaluate(point.state.u).parts for point in points]
    found = []
    for index in range(1, len(points)):
        before = _before(points, index)
        same = points[index].picture == points[before].picture
        change = points[index].state.u - points[before].state.u if same else np.zeros(1)
        found.append(
            {
                name: 0.5 * float(np.sum((parts[before][name] + parts[index][name]) * change)) if same else 0.0
                for name in parts[0]
            }
        )
    return found


def _before(points: Sequence[PathPoint], index: int) -> int:
    """Number of the state that a step starts from."""
    back = points[index].leg == "down" and points[index - 1].leg == "follow"
    return 0 if back else index - 1


def shift_error(walk: Walk) -> float:
    """The least of what `stage_shift_error` finds in the models of a path, Å; NaN if unknown in all."""
    found = [stage_shift_error(walk, stage) for stage in walk.stages]
    return min((error for error in found if np.isfinite(error)), default=float("nan"))


def stage_shift_error(walk: Walk, stage: Stage) -> float:
    """Largest displacement (Å) in the core that one period of advance does not simply move by one period; NaN if unknown.

    Compared are two equilibria at one load, before and after the crack has grown by a period, each relaxed there. What a finite
    body adds by way of a rigid motion, because the tip stands elsewhere in it, is taken out.
    """
    period = walk.character.period
    points = [p for p in walk.points if p.picture == stage.observer.number and p.leg != "down" and p.state.stable]
    first = [p for p in points if abs(p.advance - points[0].advance) < 0.25] if points else []
    second = [p for p in points if abs(p.advance - points[0].advance - 1.0) < 0.25] if points else []
    if not first or not second:
        return float("nan")
    low = max(min(p.load for p in side) for side in (first, second))
    high = min(max(p.load for p in side) for side in (first, second))
    if low > high:
        return float("nan")
    load = 0.5 * (low + high) if walk.case.gripped else float(np.clip(walk.references.griffith, low, high))
    try:
        states = [_at(stage, side, load) for side in (first, second)]
        model, lattice = stage.observer.model, walk.character.columns.lattice
        vector = lattice.row @ lattice.vectors[:2]
        moved = [state.positions - model.reference for state in states]
        core = stage.observer.picture.role == 0
        sign = 1.0 if vector[0] > 0.0 else -1.0
        difference = shifted_difference(
            model.reference, *moved, vector=sign * vector, thickness=lattice.thickness, select=core
        )
    except (TipError, HandshakeConvergenceError):
        return float("nan")
    # The counterparts of the core's atoms, in the same order, are all there: the blend is wider than a period.
    places = model.reference[core] if len(difference) == int(core.sum()) else None
    assert abs(sign * vector[0] - period) < 1e-6
    return float(np.linalg.norm(_without_rigid(places, difference), axis=1).max())


def _at(stage: Stage, side: Sequence[PathPoint], load: float) -> CrackState:
    """The equilibrium at a load, from between the two states of a branch that enclose it."""
    below = max((p for p in side if p.load <= load), key=lambda p: p.load)
    above = min((p for p in side if p.load >= load), key=lambda p: p.load)
    share = (load - below.load) / (above.load - below.load) if above.load > below.load else 0.0
    guess = below.state.u + share * (above.state.u - below.state.u)
    return stage.solver.at_load(load, guess=guess, before=below.state, near=True)


def _without_rigid(places: Array | None, difference: Array) -> Array:
    """A displacement (n, 3) without its translation and its rotation about the front."""
    left = difference - difference.mean(axis=0)
    if places is None:
        return left
    arm = places[:, :2] - places[:, :2].mean(axis=0)
    turn = np.column_stack([-arm[:, 1], arm[:, 0], np.zeros(len(arm))])
    return left - turn * (float(np.sum(turn * left)) / float(np.sum(turn * turn)))
