"""What a committee of heads costs and whether its doubt means something: SevenNet-0 in silicon, four heads on two layers.

python benchmarks/committee.py [--quick] [--picture FILE]

Data: `benchmarks/data/si_sevennet_l3i5_*.extxyz` (SevenNet-l3i5, cells of 12 atoms). Training times: cells of 32 atoms that
Tersoff's potential labels, since only the number of labels counts there. `--quick` leaves those out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _learning_checks import data, force_errors, rank_correlations, rmse
from _report import report
from ase import units
from ase.build import bulk
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta

from atomistic.committee import HeadFeatures, HeadOptions, committee_of, disagreement, exceeds, train_heads
from atomistic.labelled import LabelledFrame
from atomistic.potentials import Potential, load_potential
from atomistic.validation import calibration

MEMBERS, EVERY, STEPS = 4, 5, 40
THRESHOLD = 0.3  # eV/Å


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave the training times of 32-atom frames out")
    parser.add_argument("--picture", help="draw doubt against error, and the calibration, into this file")
    arguments = parser.parse_args()
    features = HeadFeatures("sevennet-0")
    training, held = data("si_sevennet_l3i5_training"), data("si_sevennet_l3i5_held")
    taught = train_heads(training, features, held_out=held[::2], options=HeadOptions(members=MEMBERS))
    figures = speeds(taught, features.backbone.potential) | tests(taught)
    figures |= trust(taught, held[1::2], picture=arguments.picture)
    figures |= directions(training, held, every=rmse(force_errors(taught, held)))
    if not arguments.quick:
        figures |= training_times()
    bounds = {
        "times_base_checked_every_5": ("<=", 1.3),
        "times_base_checked_every_step": ("<=", 2.2),
        "wrong_answers_of_the_cheap_test": ("==", 0),
        "share_spared_by_bounds": (">=", 0.5),
        "miscalibration_area": ("<=", 0.1),
        "sixteen_directions_error_over_all": ("<=", 1.5),
    }
    if not arguments.quick:
        bounds |= {"seconds_one_more_frame": ("<=", 60.0), "seconds_fifty_frames": ("<=", 900.0)}
    rounded = {k: round(v, 5) if isinstance(v, float) else v for k, v in figures.items()}
    return report("committee", rounded, bounds)


def speeds(taught: Potential, base: Potential) -> dict[str, float]:
    """Seconds a step: the plain model, the mean head, and with checks; the steps of all four alternate on one path."""
    atoms = bulk("Si", cubic=True, a=5.46) * (2, 2, 1)
    atoms.rattle(0.05, seed=0)
    committee = committee_of(taught)
    rng = np.random.default_rng(0)
    spent: dict[str, list[float]] = {"base": [], "mean": [], "check": []}
    for step in range(STEPS):
        atoms.positions += 0.01 * rng.standard_normal(atoms.positions.shape)
        for name, potential in (("base", base), ("mean", taught)):
            began = time.perf_counter()
            potential.evaluate(atoms)
            spent[name].append(time.perf_counter() - began)
        began = time.perf_counter()
        committee.exceeds(atoms, THRESHOLD)
        spent["check"].append(time.perf_counter() - began)
        if step == 4:  # the first steps warm up
            spent = {name: [] for name in spent}
    median = {name: float(np.median(values)) for name, values in spent.items()}
    return {
        "atoms": len(atoms),
        "ms_base": 1e3 * median["base"],
        "ms_mean_of_members": 1e3 * median["mean"],
        "ms_check": 1e3 * median["check"],
        "times_base_unchecked": median["mean"] / median["base"],
        "times_base_checked_every_5": (median["mean"] + median["check"] / EVERY) / median["base"],
        "times_base_checked_every_step": (median["mean"] + median["check"]) / median["base"],
    }


def tests(taught: Potential) -> dict[str, float]:
    """The cheap test against the exact one, along hot dynamics, at thresholds around what is met there."""
    atoms = bulk("Si", cubic=True, a=5.46)
    atoms.calc = taught.calculator
    rng = np.random.default_rng(1)
    thermalize_momenta(atoms, temperature_K=1200.0, rng=rng)
    dynamics = Langevin(atoms, 2.0 * units.fs, temperature_K=1200.0, friction=0.02 / units.fs, fixcm=False, rng=rng)
    wrong = spared = asked = 0
    for _ in range(40):
        dynamics.run(2)
        forces = committee_of(taught).deviations(atoms).forces
        exact = disagreement(forces).largest
        for threshold in exact * np.array([0.25, 0.5, 0.8, 0.95, 1.05, 1.25, 2.0, 4.0]):
            above, compared = exceeds(forces, float(threshold))
            wrong += int(above != (exact > threshold))
            spared += int(not compared)
            asked += 1
    return {"tests_asked": asked, "wrong_answers_of_the_cheap_test": wrong, "share_spared_by_bounds": spared / asked}


def trust(taught: Potential, held: list[LabelledFrame], *, picture: str | None) -> dict[str, float]:
    """Doubt against true error on frames neither trained on nor calibrated on."""
    committee = committee_of(taught)
    errors = force_errors(taught, held)
    doubts = [committee.disagreement(frame.atoms).per_atom for frame in held]
    spreads = [committee.deviations(frame.atoms).forces.std(axis=0, ddof=1) for frame in held]
    found = calibration(np.concatenate([e.ravel() for e in errors]), np.concatenate([s.ravel() for s in spreads]))
    by_structure, by_atom = rank_correlations(doubts, errors)
    if picture:
        from _learning_pictures import draw_trust

        draw_trust(doubts, errors, found, path=Path(picture))
    return {
        "held_out_frames": len(held),
        "held_out_force_rmse_eV_per_A": rmse(errors),
        "miscalibration_area": found.area,
        "rank_correlation_by_structure": by_structure,
        "rank_correlation_by_atom": by_atom,
    }


def directions(training: list[LabelledFrame], held: list[LabelledFrame], *, every: float) -> dict[str, float]:
    """Held-out error of training with sixteen random directions a frame, over that with all components."""
    few = train_heads(training, HeadFeatures("sevennet-0", directions=16), options=HeadOptions(members=2))
    return {"sixteen_directions_error_over_all": rmse(force_errors(few, held)) / every}


def training_times() -> dict[str, float]:
    """Seconds to train on 50 frames of 32 atoms from nothing, and with one frame more in a process that starts anew."""
    oracle = load_potential("tersoff-si")
    frames = []
    for seed in range(51):
        atoms = bulk("Si", cubic=True, a=5.43) * (2, 2, 1)
        atoms.rattle(0.1, seed=seed)
        answer = oracle.evaluate(atoms)
        frames.append(LabelledFrame(atoms=atoms, energy=answer.energy, forces=answer.forces, stress=answer.stress))
    with tempfile.TemporaryDirectory() as folder:
        features = HeadFeatures("sevennet-0", cache=folder)
        began = time.perf_counter()
        train_heads(frames[:50], features)
        fifty = time.perf_counter() - began
        again = HeadFeatures("sevennet-0", cache=folder)  # as a resumed run would: features from disk
        began = time.perf_counter()
        train_heads(frames, again)
        one = time.perf_counter() - began
        stored = sum(path.stat().st_size for path in Path(folder).iterdir()) / 51 / 2**20
    return {"seconds_fifty_frames": fifty, "seconds_one_more_frame": one, "MiB_of_features_a_frame": stored}


if __name__ == "__main__":
    sys.exit(main())
