"""Every traction–separation law: energies, tangents, frames, dissipation, closed paths, speed.

python benchmarks/laws.py [--picture docs/images/laws.png]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from _report import report
from laws_cases import WORK, laws

from continuum.laws import CohesiveLaw, GammaSurfaceLaw, LennardJonesLaw
from continuum.laws.base import Array

SEED = 20260


def energy_error(law: CohesiveLaw, mode: int) -> float:
    """|∫T dδ − G_c|/G_c along the normal (0) or the first tangent (1); of a periodic law over its period."""
    sizes = (law.final_opening, getattr(law, "final_sliding", 0.0), 5.0 * getattr(law, "shear_length", 0.0))
    end, expected = 2.5 * max(sizes), law.fracture_energy
    if isinstance(law, LennardJonesLaw):
        end = 1e5
    if mode == 1:
        expected = law.shear_fracture_energy
        end = law.periods[0] if isinstance(law, GammaSurfaceLaw) else end
    edges = np.concatenate([[0.0], np.geomspace(1e-7, 1.0, 20000)]) * end
    places, weights = np.polynomial.legendre.leggauss(4)
    width = np.diff(edges)[:, None]
    jump = np.zeros((4 * len(width), 3))
    jump[:, mode] = (edges[:-1, None] + 0.5 * width * (places + 1.0)).ravel()
    traction = law.evaluate(jump, law.fresh(len(jump))).traction[:, mode]
    return abs(float((0.5 * width * weights).ravel() @ traction) - expected) / law.fracture_energy


def used(law: CohesiveLaw, count: int, dim: int, rng: np.random.Generator) -> Array:
    """The history of points that have been through two random openings."""
    history = law.fresh(count)
    for _ in range(2):
        history = law.evaluate(0.5 * rng.normal(size=(count, dim)), history).history_new
    return history


def tangent_error(law: CohesiveLaw) -> float:
    """Largest |finite difference − tangent| over the initial stiffness, at points that have no kink within 10⁻⁶ Å."""
    rng, h, worst = np.random.default_rng(SEED), 1e-6, 0.0
    for dim in (2, 3):
        history, jump = used(law, 4000, dim, rng), 0.7 * rng.normal(size=(4000, dim))
        answer = law.evaluate(jump, history)
        ahead, behind = np.empty_like(answer.tangent), np.empty_like(answer.tangent)
        for k in range(dim):
            move = h * np.eye(dim)[k]
            ahead[:, :, k] = (law.evaluate(jump + move, history).traction - answer.traction) / h
            behind[:, :, k] = (answer.traction - law.evaluate(jump - move, history).traction) / h
        smooth = np.abs(ahead - behind).max(axis=(1, 2)) < 1e-4 * law.initial_stiffness
        error = np.abs(0.5 * (ahead + behind) - answer.tangent)[smooth].max() / law.initial_stiffness
        worst = max(worst, float(error), 0.0 if smooth.mean() > 0.95 else np.inf)
    return worst


def rotation_error(law: CohesiveLaw) -> float:
    """Largest change of a traction (over the peak) where the tangential axes are turned; 0 of laws with axes of their own."""
    if isinstance(law, GammaSurfaceLaw):
        return 0.0
    rng, (c, s) = np.random.default_rng(SEED), (np.cos(1.1), np.sin(1.1))
    turn = np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
    straight, turned, worst = law.fresh(2000), law.fresh(2000), 0.0
    for jump in 0.7 * rng.normal(size=(4, 2000, 3)):
        a, b = law.evaluate(jump, straight), law.evaluate(jump @ turn.T, turned)
        worst = max(worst, float(np.abs(b.traction - a.traction @ turn.T).max()) / law.peak_traction)
        straight, turned = a.history_new, b.history_new
    return worst


def least_dissipation(law: CohesiveLaw) -> float:
    """Least growth of the dissipated energy (over G_c) in a step of 2000 random mixed-mode paths of 40 steps."""
    rng, history = np.random.default_rng(SEED), law.fresh(2000)
    spent, least, jump = np.zeros(2000), np.inf, np.zeros((2000, 3))
    for _ in range(40):
        # Steps far and near: half the points jump anywhere, half go on from where they are.
        far = rng.normal(size=(2000, 3))
        jump = np.where(rng.random((2000, 1)) < 0.5, far, jump + 0.2 * far)
        answer = law.evaluate(jump, history)
        least = min(least, float((answer.dissipated - spent).min()))
        spent, history = answer.dissipated, answer.history_new
    return least / law.fracture_energy


def winding(count: int, steps: int) -> Array:
    """Smooth random closed paths (steps + 1, n, 3) from zero to zero."""
    rng, angle = np.random.default_rng(SEED), np.linspace(0.0, 2.0 * np.pi, steps + 1)[:, None, None]
    waves = [
        rng.normal(size=(count, 3)) * np.sin(k * angle) + rng.normal(size=(count, 3)) * (1.0 - np.cos(k * angle))
        for k in (1, 2)
    ]
    return 0.35 * (waves[0] + waves[1])


def balance_error(law: CohesiveLaw) -> float:
    """Largest |work − change of stored, dissipated and contact energy| (over G_c) along 50 closed paths of 2000 steps."""
    path = winding(50, 2000)
    answer = law.evaluate(path[0], law.fresh(50))
    work, kept = np.zeros(50), answer.stored + answer.dissipated + answer.contact
    for before, after in pairwise(path):
        new = law.evaluate(after, answer.history_new)
        work += 0.5 * np.einsum("ij,ij->i", answer.traction + new.traction, after - before)
        answer = new
    return float(np.abs(answer.stored + answer.dissipated + answer.contact - kept - work).max()) / WORK


def loop_work(law: CohesiveLaw) -> float:
    """Largest |∮T·dδ| (over G_c) of a reversible law along 20 closed polygons of 20000 sides, four Gauss points a side."""
    if law.unloading != "reversible":
        return 0.0
    # Short sides: across a kink (contact, the end of a law) the quadrature errs by the square of a side.
    path = winding(20, 20000)
    places, weights = np.polynomial.legendre.leggauss(4)
    side = np.diff(path, axis=0)
    work = np.zeros(20)
    for place, weight in zip(places, weights, strict=True):
        jump = (path[:-1] + 0.5 * (place + 1.0) * side).reshape(-1, 3)
        traction = law.evaluate(jump, law.fresh(len(jump))).traction.reshape(side.shape)
        work += 0.5 * weight * np.einsum("sni,sni->n", traction, side)
    return float(np.abs(work).max()) / WORK


def speed(law: CohesiveLaw, *, loading: bool) -> float:
    """Points per second in 3D, 20,000 at once: all opened for the first time, or all unloaded by half."""
    jump = np.abs(np.random.default_rng(SEED).normal(size=(20000, 3)))
    history = law.fresh(len(jump))
    if not loading:
        history, jump = law.evaluate(jump, history).history_new, 0.5 * jump
    law.evaluate(jump, history)
    best = np.inf
    for _ in range(5):
        begun = time.perf_counter()
        law.evaluate(jump, history)
        best = min(best, time.perf_counter() - begun)
    return len(jump) / best


MEASURES: dict[str, tuple[Callable[[CohesiveLaw], float], Callable, tuple[str, float]]] = {
    "mode_1_energy_error": (lambda law: energy_error(law, 0), max, ("<=", 1e-6)),
    "mode_2_energy_error": (lambda law: energy_error(law, 1), max, ("<=", 1e-6)),
    "tangent_error": (tangent_error, max, ("<=", 1e-6)),
    "rotation_error": (rotation_error, max, ("<=", 1e-10)),
    "least_dissipation": (least_dissipation, min, (">=", -1e-12)),
    "energy_balance_error": (balance_error, max, ("<=", 5e-3)),
    "reversible_loop_work": (loop_work, max, ("<=", 1e-6)),
    "points_per_second_loading": (lambda law: speed(law, loading=True), min, (">=", 2e4)),
    "points_per_second_unloading": (lambda law: speed(law, loading=False), min, (">=", 1e5)),
}


def main() -> int:
    """Measure all laws; report the worst of each figure and whose it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path, help="file of the gallery; that of the mixed modes goes beside it")
    given = parser.parse_args()
    begun, every = time.perf_counter(), laws()
    figures: dict[str, float | int | str] = {"laws": len(every)}
    for name, (measure, worst, _) in MEASURES.items():
        values = {key: measure(law) for key, law in every.items()}
        which = worst(values, key=lambda key: values[key])
        figures[name] = values[which]
        if values[which]:
            figures[f"{name}_of"] = which
        print(f"{name}: " + ", ".join(f"{key} {value:.3g}" for key, value in values.items()), file=sys.stderr)
    figures["seconds"] = time.perf_counter() - begun
    if given.picture:
        from laws_pictures import draw_gallery, draw_mixed

        draw_gallery(given.picture)
        draw_mixed(given.picture.with_name(f"{given.picture.stem}_mixed{given.picture.suffix}"))
    return report("laws", figures, {name: bound for name, (_, _, bound) in MEASURES.items()})


if __name__ == "__main__":
    sys.exit(main())
