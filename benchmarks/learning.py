"""Si(111) pulled apart by SevenNet-0, which SevenNet-l3i5 teaches where its heads disagree.

python benchmarks/learning.py [--picture FILE]

Held-out frames (`_learning_structures.py`) share no temperature and no strain with the pulls, which pass through all openings.
"Between" lies between what the pulls visit, "beyond" is hotter or more strained.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from _learning_checks import chosen, data, force_errors, rank_correlations, rmse
from _learning_pulls import Pull, Pulls
from _learning_structures import TRAINING, frames
from _report import report

from atomistic.active_learning import LearningOptions, LearningResult, learn
from atomistic.active_learning.student import HeadStudent
from atomistic.committee import HeadFeatures, HeadOptions, committee_of
from atomistic.labelled import LabelledFrame
from atomistic.oracle import load_oracle
from atomistic.potentials import load_potential

LATTICE = 5.46
PULLS = (
    Pull(temperature=300.0, strain=(0.0, 0.0)),
    Pull(temperature=600.0, strain=(0.03, 0.03)),
    Pull(temperature=100.0, strain=(-0.03, -0.03)),
    Pull(temperature=600.0, strain=(0.03, -0.015)),
    Pull(temperature=300.0, strain=(-0.015, 0.015)),
    Pull(temperature=600.0, strain=(-0.03, -0.03)),
)
STEPS, TIMESTEP, GROWTH = 100, 3.0, 4.0  # of a pull, fs, Å
FIRST = 28  # frames labelled before the run starts
THRESHOLD, BUDGET = 0.6, 32  # eV/Å; calculations of the oracle beside the first


def first_frames() -> list[LabelledFrame]:
    """Label the frames of the first training."""
    oracle = load_oracle("sevennet-l3i5")
    answered = []
    for frame in frames(TRAINING, FIRST, lattice=LATTICE, name="training"):
        answer = oracle.evaluate(frame.atoms)
        answered.append(replace(frame, energy=answer.energy, forces=answer.forces, stress=answer.stress))
    return answered


def learned(directory: Path, *, features: Path | None = None) -> LearningResult:
    """Run the loop."""
    return learn(
        Pulls(PULLS, lattice=LATTICE, steps=STEPS, timestep=TIMESTEP, to=GROWTH, seed=1),
        student=HeadStudent(HeadFeatures("sevennet-0", cache=features), options=HeadOptions(members=4, seed=0)),
        oracle=load_oracle("sevennet-l3i5"),
        directory=directory,
        options=LearningOptions(threshold=THRESHOLD, check_every=5, budget=BUDGET, patience=20, frames_per_trigger=2),
        initial=first_frames(),
        held_out=data("si_sevennet_l3i5_held")[::4],  # watched while it runs; the figures are of all
    )


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", help="draw the disagreement and the held-out errors into this file")
    parser.add_argument("--features", type=Path, help="folder where features of frames are kept between runs")
    arguments = parser.parse_args()
    held = data("si_sevennet_l3i5_held")
    before = force_errors(load_potential("sevennet-0"), held)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        result = learned(Path(folder), features=arguments.features)
    seconds = time.perf_counter() - began
    after = force_errors(result.potential, held)
    committee = committee_of(result.potential)
    doubts = [committee.disagreement(frame.atoms).per_atom for frame in held]
    by_structure, by_atom = rank_correlations(doubts, after)
    steps = len(PULLS) * STEPS
    figures = {
        "finished": int(result.stop == "finished"),
        "steps": steps,
        "oracle_calls": result.oracle_calls + FIRST,
        "oracle_share_percent": 100.0 * (result.oracle_calls + FIRST) / steps,
        "retrainings": result.rounds,
        "force_rmse_before_eV_per_A": rmse(before),
        "force_rmse_after_eV_per_A": rmse(after),
        "force_error_fall": rmse(before) / rmse(after),
    }
    for name, words in {"between": ("between",), "beyond": ("beyond",)}.items():
        figures[f"fall_{name}"] = rmse(chosen(before, held, *words)) / rmse(chosen(after, held, *words))
    figures |= {
        "rank_correlation_by_structure": by_structure,
        "rank_correlation_by_atom": by_atom,
        "seconds_in_all": seconds,
        **{f"seconds_{part}": spent for part, spent in result.seconds.items()},
    }
    if arguments.picture:
        from _learning_pictures import draw_learning

        draw_learning(result, doubts, after, threshold=THRESHOLD, path=Path(arguments.picture))
    bounds = {
        "finished": ("==", 1.0),
        "oracle_share_percent": ("<=", 10.0),
        "force_error_fall": (">=", 3.0),
        "fall_between": (">=", 3.0),
        "rank_correlation_by_structure": (">=", 0.7),
    }
    rounded = {
        name: float(np.round(value, 5)) if isinstance(value, float) else value for name, value in figures.items()
    }
    return report("learning", rounded, bounds)


if __name__ == "__main__":
    sys.exit(main())
