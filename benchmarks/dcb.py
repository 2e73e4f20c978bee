"""The double cantilever beam of Alfano (2006) against its beam envelope, exponential law, units mm, N and MPa.

python benchmarks/dcb.py
"""

import sys
import time

import numpy as np
from _report import report
from mpi4py import MPI

from continuum.laws import ExponentialLaw
from continuum.materials import LinearElastic
from continuum.mesh import double_cantilever_beam
from continuum.solid import Solid
from continuum.solvers import Step, follow
from continuum.supports import Displacement

LENGTH, HEIGHT, CRACK, WIDTH = 100.0, 1.5, 30.0, 20.0
MODULUS, POISSON, PEAK, TOUGHNESS = 70e3, 0.3, 30.0, 0.5


def envelope(opening: float) -> float:
    """P = b √(2/3Δ) (E'I)^¼ G_c^¾ with I = h³/12 per width."""
    bending = MODULUS / (1.0 - POISSON**2) * HEIGHT**3 / 12.0
    return WIDTH * np.sqrt(2.0 / (3.0 * opening)) * bending**0.25 * TOUGHNESS**0.75


def main() -> int:
    """Follow the beam to 12 mm and report."""
    begun = time.perf_counter()
    mesh = double_cantilever_beam(
        MPI.COMM_WORLD,
        length=LENGTH,
        arm_height=HEIGHT,
        initial_crack=CRACK,
        fine_size=0.15,
        fine_from=29.0,
        fine_to=75.0,
        growth=1.5,
        coarse_size=0.5,
    )
    metal = LinearElastic.isotropic(E=MODULUS, nu=POISSON)
    solid = Solid(
        mesh,
        materials={"lower": metal, "upper": metal},
        interfaces={"interface": ExponentialLaw(fracture_energy=TOUGHNESS, peak_traction=PEAK)},
        thickness=WIDTH,
        supports=[
            Displacement(group="lower grip", component="y", factor=-0.5),
            Displacement(group="upper grip", component="y", factor=0.5),
            Displacement(group="right", component="x"),
        ],
    )
    loads, forces, releases = np.arange(1, 121) * 0.1, [], []

    def note(step: Step) -> None:
        forces.append(step.reaction)
        releases.append(2.0 * step.reaction * abs(solid.rotation("upper grip")) / WIDTH)

    steps = follow(solid, loads, on_step=note)
    figures: dict[str, float | int] = {}
    bounds: dict[str, tuple[str, float]] = {}
    for opening in (4, 8, 12):
        at = int(np.argmin(np.abs(loads - opening)))
        figures[f"load_{opening}_mm_newton"] = forces[at]
        figures[f"load_error_{opening}_mm_percent"] = abs(forces[at] / envelope(opening) - 1.0) * 100.0
        figures[f"j_error_{opening}_mm_percent"] = abs(releases[at] / TOUGHNESS - 1.0) * 100.0
        bounds[f"load_error_{opening}_mm_percent"] = ("<=", 0.1)
        bounds[f"j_error_{opening}_mm_percent"] = ("<=", 0.1)
    work = sum(step.work for step in steps)
    figures |= {
        "unknowns": solid.n_dofs,
        "load_steps": len(steps),
        "newton_iterations": sum(step.iterations for step in steps),
        "cutbacks": sum(step.cutbacks for step in steps),
        "factorisations": sum(step.factorisations for step in steps),
        "energy_closure_relative": abs(work - steps[-1].energies.total) / work,
        "seconds": time.perf_counter() - begun,
    }
    return report("dcb", figures, bounds)


if __name__ == "__main__":
    sys.exit(main())
