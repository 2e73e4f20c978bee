"""A law taken from a stack of 10 planes predicts stacks of 14 and 20 that atoms compute independently.

SevenNet-0 and an EAM potential, Al(111). The corrected law and, beside it: with a linear bulk, from rigid separation, and
uncorrected, which must fail.
"""

from __future__ import annotations

import sys

import torch
from _report import report
from mpi4py import MPI

from atomistic.crystal import relax_crystal
from atomistic.decohesion import rigid_separation
from atomistic.orientation import orient
from atomistic.potentials import load_potential
from coupling.elasticity import LinearUniaxial
from multiscale.studies.interface import CORRECTED, LINEAR, RIGID, UNCORRECTED, check_stacks

PLANE, PLANES, STACKS = (1, 1, 1), 10, (14, 20)
SHORT = {CORRECTED: "corrected", LINEAR: "linear_bulk", RIGID: "rigid", UNCORRECTED: "uncorrected"}


def main() -> int:
    """Measure and report."""
    torch.set_num_threads(1)
    figures: dict[str, float] = {}
    bounds: dict[str, tuple[str, float]] = {}
    for name in ("sevennet-0", "eam-al"):
        potential = load_potential(name, comm=MPI.COMM_SELF)
        crystal = relax_crystal(potential, symbols=("Al",), structure="fcc")
        modulus = orient(crystal, plane=PLANE).stiffness[1, 1]
        study = check_stacks(
            potential,
            crystal,
            LinearUniaxial(modulus),
            plane=PLANE,
            cut="widest",
            rigid=rigid_separation(potential, crystal, plane=PLANE, n_planes=PLANES),
            n_planes=PLANES,
            stacks=STACKS,
            comm=MPI.COMM_SELF,
        )
        key = name.replace("-", "_")
        for error in study.errors:
            row = f"{key}_{SHORT[error.law]}_{error.n_planes}_planes"
            figures[f"{row}_energy_percent_of_work"] = 100 * error.energy
            figures[f"{row}_stress_percent_of_peak"] = 100 * error.stress
            figures[f"{row}_points_beyond_its_strength"] = error.beyond
            if error.law == CORRECTED:
                bounds[f"{row}_energy_percent_of_work"] = ("<=", 2.0)
                bounds[f"{row}_stress_percent_of_peak"] = ("<=", 1.0)
                bounds[f"{row}_points_beyond_its_strength"] = ("==", 0)
            if error.law == UNCORRECTED:
                bounds[f"{row}_stress_percent_of_peak"] = (">=", 10.0)
        figures[f"{key}_surface_relaxation_percent_of_work"] = 100 * study.broken_energy_error
        figures[f"{key}_potential_calls"] = study.calls
    return report("stack", figures, bounds)


if __name__ == "__main__":
    sys.exit(main())
