"""A crack in Stillinger-Weber silicon at one number of atoms: coupled to an elastic body, and in matscipy's fixed cluster.

python benchmarks/crack_peers.py

(111) through the shuffle bonds, front [1-10], one period thick, one run each. The reference is what fixed clusters tend to as
their radius grows (`crack_peers_limit.py`, stored). Silicon as published (sw-si) has bounds; the brittle one of Holland and
Marder (1998), whose tip advances where the published one's blunts, is shown beside it.
"""

from __future__ import annotations

import sys
import time
from itertools import pairwise

import numpy as np
from _report import report
from crack_peers_limit import Limit, deviation, reference
from crack_peers_matscipy import CORE, fixed_boundary
from scipy.interpolate import CubicSpline

from atomistic.cauchy_born import cauchy_born
from atomistic.cleavage import created_surfaces, find_cuts
from atomistic.column_interaction import measure_columns
from atomistic.columns import crack_columns
from atomistic.crystal import orient, relax_crystal
from atomistic.inner_shifts import inner_shifts
from atomistic.potentials import load_potential
from atomistic.site_energies import AtomCluster
from continuum.crack_bodies import Disc
from continuum.stroh import crack_field
from coupling.crack import (
    CrackForces,
    CrackModel,
    CrackSolver,
    CrackState,
    CrackTangent,
    FollowOptions,
    HarmonicTangent,
    couple_crack,
    follow,
    intensity_load,
)
from coupling.errors import HandshakeConvergenceError
from multiscale.units import EV_PER_A25_IN_MPA_SQRT_M

Array = np.ndarray
#: Radius of matscipy's free atoms; core, blend and pad of ours, Å: no more atoms than it has, its rim included.
PEER_RADIUS, ZONE = 16.0, (8.0, 7.0, 7.6)
#: Radius of the elastic body, Å: 2 µm.
BODY = 20_000.0
#: Of our paths: largest number of states, force left (eV/Å).
STATES, TOLERANCE = 60, 1e-7
#: Names here and in matscipy's tables.
POTENTIALS = {"sw-si": "sw-si", "sw-si-brittle": "holland-marder"}


def build(name: str) -> tuple[CrackModel, CrackSolver, float]:
    """Return the coupled crack, its solver and K_G (eV/Å^2.5)."""
    potential = load_potential(name)
    crystal = relax_crystal(potential, symbols="Si", structure="diamond")
    orientation = orient(crystal, plane=(1, 1, 1), growth=(1, 1, -2))
    cut = next(cut for cut in find_cuts(crystal, orientation) if cut.name == "shuffle")
    columns = crack_columns(crystal, orientation, cut=cut)
    field = crack_field(orientation.stiffness)
    core, blend, pad = ZONE
    model = couple_crack(
        columns=columns,
        shifts=inner_shifts(potential, crystal, orientation, columns),
        make_atoms=lambda sites: AtomCluster(
            potential, symbols=columns.chemical_symbols(len(sites)), thickness=columns.lattice.thickness
        ),
        material=cauchy_born(potential, crystal, orientation, largest_strain=0.05),
        outer=Disc(radius=BODY),
        radius=core,
        width=blend,
        pad=pad,
    )
    method = CrackForces(model)
    solver = CrackSolver(
        method,
        intensity_load(model, field, np.array([0.0, 1.0, 0.0])),
        FollowOptions(tolerance=TOLERANCE, max_states=STATES),
        tangent=CrackTangent(method, reach=2.0 * (potential.capabilities.cutoff or 0.0)),
        springs=HarmonicTangent(method, measure_columns(potential, columns)),
    )
    surfaces = created_surfaces(potential, crystal, orientation, cut)
    return model, solver, field.stress_intensity(surfaces.relaxed)


def turn(solver: CrackSolver, first: CrackState, sign: float) -> float:
    """Return the load (eV/Å^2.5) at which the path from a state first turns, upwards (+1) or downwards (−1)."""
    states: list[CrackState] = []
    try:
        for state in follow(solver, first, sign=sign):
            states.append(state)
            if len(states) > 3 and (states[-2].load - states[-3].load) * sign < 0.0:
                break
    except HandshakeConvergenceError:
        # What breaks after the turn does not matter.
        if len(states) < 4 or (states[-1].load - states[-2].load) * sign > 0.0:
            raise
    pairs = pairwise(states)
    way = np.cumsum([0.0, *(solver.norm(after.u - before.u, after.load - before.load) for before, after in pairs)])
    load = CubicSpline(way, [state.load for state in states])
    return float(sign * (sign * load(load.derivative().roots(extrapolate=False))).max())


def core_of(model: CrackModel, state: CrackState, limit: Limit) -> tuple[Array, Array]:
    """Return the core's places (m, 2) from the middle of the first whole bond and displacements (m, 3), in the peer's order."""
    across = np.abs(model.reference[:, 1]) < 0.45 * model.partition.lattice.row_spacing
    ahead = model.reference[across & (model.reference[:, 0] > 0.0), 0]
    places = model.reference[:, :2] - [float(ahead.min()), 0.0]
    near = np.flatnonzero(np.hypot(*places.T) < CORE + 0.1)
    gap = np.linalg.norm(limit.places[:, None] - places[near], axis=2)
    chosen = near[gap.argmin(axis=1)]
    return places[chosen], state.positions[chosen] - model.reference[chosen]


def compare(name: str) -> dict[str, float | int | str]:
    """Measure one potential both ways."""
    began = time.perf_counter()
    limit = reference(POTENTIALS[name])
    peer = fixed_boundary(PEER_RADIUS, potential=POTENTIALS[name], tip="bond")
    seconds, began = time.perf_counter() - began, time.perf_counter()
    model, solver, griffith = build(name)
    first = solver.at_load(griffith)
    plus, minus = turn(solver, first, 1.0), turn(solver, first, -1.0)
    own = {"k_plus": plus, "k_minus": minus, "k_griffith": griffith}
    figures: dict[str, float | int | str] = {
        "griffith_mpa_sqrt_m": griffith * EV_PER_A25_IN_MPA_SQRT_M,
        "atoms": len(model.reference),
        "matscipy_atoms": peer["atoms"],
        "nodes": len(model.body.nodes),
        "calls": model.atoms.counter.calls,
        "matscipy_calls": peer["calls"],
        "seconds": time.perf_counter() - began,
        "matscipy_seconds": seconds,
    }
    for key, (value, error) in (("k_plus", limit.k_plus), ("k_minus", limit.k_minus)):
        figures[f"reference_{key}_over_griffith"] = value
        figures[f"reference_{key}_uncertainty_percent"] = 100 * error / value
        for who, found in (("", own), ("matscipy_", peer)):
            ratio = found[key] / found["k_griffith"]
            figures[f"{who}{key}_over_griffith"] = ratio
            figures[f"{who}{key}_error_percent"] = 100 * abs(ratio / value - 1)
    figures["reference_core_uncertainty_angstrom"] = limit.shape_error
    figures["core_error_angstrom"] = deviation(*core_of(model, first, limit), limit)
    figures["matscipy_core_error_angstrom"] = deviation(
        np.asarray(peer["core_places"]), np.asarray(peer["core_displacements"]), limit
    )
    for what, unit in (("k_plus", "percent"), ("core", "angstrom")):
        theirs = float(figures[f"matscipy_{what}_error_{unit}"])
        figures[f"{what}_error_over_matscipy"] = float(figures[f"{what}_error_{unit}"]) / theirs
        figures[f"{what}_reference_over_matscipy"] = float(figures[f"reference_{what}_uncertainty_{unit}"]) / theirs
    return figures


def main() -> int:
    """Measure both kinds of silicon and report."""
    figures: dict[str, float | int | str] = {}
    for name in POTENTIALS:
        short = name.replace("-", "_")
        figures |= {f"{short}_{key}": value for key, value in compare(name).items()}
    bounds = {
        **{f"sw_si_{what}_error_over_matscipy": ("<=", 1.0 / 3.0) for what in ("k_plus", "core")},
        **{f"sw_si_{what}_reference_over_matscipy": ("<=", 0.1) for what in ("k_plus", "core")},
        "sw_si_atoms": ("<=", float(figures["sw_si_matscipy_atoms"])),
    }
    return report("crack_peers", figures, bounds)


if __name__ == "__main__":
    sys.exit(main())
