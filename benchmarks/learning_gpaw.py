"""SevenNet-0 taught by quantum mechanics (GPAW, PBE): rigid separation of Al(111) before, after, and the oracle's own.

python benchmarks/learning_gpaw.py [--picture FILE]

Trains from the shipped answers (benchmarks/data, made by learning_data.py); GPAW is not needed. No training structure has an
opening of the curve except 0, and all of them are rattled.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from _learning_checks import chosen, data, force_errors, rank_correlations, rmse, separation
from _report import report

from atomistic.committee import HeadFeatures, HeadOptions, committee_of, train_heads
from atomistic.potentials import load_potential
from atomistic.potentials.base import Potential

MEMBERS = 4


def taught(members: int = MEMBERS) -> Potential:
    """Return heads on SevenNet-0, trained on the shipped PBE frames and calibrated on the held-out ones."""
    return train_heads(
        data("al_gpaw_training"),
        HeadFeatures("sevennet-0"),
        options=HeadOptions(members=members, seed=0),
        held_out=data("al_gpaw_held"),
    )


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", help="draw the three curves into this file")
    arguments = parser.parse_args()
    held, curve = data("al_gpaw_held"), data("al_gpaw_curve")
    plain = load_potential("sevennet-0")
    began = time.perf_counter()
    potential = taught()
    seconds = time.perf_counter() - began
    committee = committee_of(potential)
    exact, first, last = separation(curve), separation(curve, plain), separation(curve, potential)
    members = [separation(curve, committee.member(k)) for k in range(committee.size)]
    before, after = force_errors(plain, held), force_errors(potential, held)
    doubts = [committee.disagreement(frame.atoms).per_atom for frame in held]
    by_structure, by_atom = rank_correlations(doubts, after)
    figures = {
        "training_frames": len(data("al_gpaw_training")),
        "held_out_frames": len(held),
        "work_pbe_J_per_m2": exact.work,
        "work_before_J_per_m2": first.work,
        "work_after_J_per_m2": last.work,
        "work_members_std_J_per_m2": float(np.std([m.work for m in members], ddof=1)),
        "work_error_cut": abs(first.work - exact.work) / abs(last.work - exact.work),
        "peak_pbe_GPa": exact.peak,
        "peak_before_GPa": first.peak,
        "peak_after_GPa": last.peak,
        "peak_members_std_GPa": float(np.std([m.peak for m in members], ddof=1)),
        "peak_error_cut": abs(first.peak - exact.peak) / abs(last.peak - exact.peak),
        "force_rmse_before_eV_per_A": rmse(before),
        "force_rmse_after_eV_per_A": rmse(after),
        "force_error_fall": rmse(before) / rmse(after),
    }
    for name in ("between", "beyond"):
        figures[f"force_rmse_{name}_before_eV_per_A"] = rmse(chosen(before, held, name))
        figures[f"force_rmse_{name}_after_eV_per_A"] = rmse(chosen(after, held, name))
    figures |= {
        "rank_correlation_by_structure": by_structure,
        "rank_correlation_by_atom": by_atom,
        "training_seconds": seconds,
    }
    if arguments.picture:
        from _learning_pictures import draw_separations

        draw_separations(exact, first, last, members, path=Path(arguments.picture))
    bounds = {"work_error_cut": (">=", 3.0), "peak_error_cut": (">=", 3.0)}
    rounded = {
        name: float(np.round(value, 5)) if isinstance(value, float) else value for name, value in figures.items()
    }
    return report("learning_gpaw", rounded, bounds)


if __name__ == "__main__":
    sys.exit(main())
