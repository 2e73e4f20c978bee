"""Interfaces that ask atoms while the load is followed: same curve as the tabulated law, and what it saves.

python benchmarks/live_points.py [--picture FILE]

A double cantilever beam of aluminium whose facets carry a live law (EAM, then SevenNet-0), against the same beam with the
law tabulated beforehand from 97 openings. The traction may be 2% of its peak off between evaluated openings; its integral, which
moves the crack, is exact there, so the load must agree to 0.5%. Then opening and slip together, from one cell.
"""

import sys
import time

import numpy as np
from _report import report
from mpi4py import MPI

from atomistic.crystal import relax_crystal
from atomistic.decohesion import rigid_separation
from atomistic.potentials import load_potential
from continuum.laws import CohesiveLaw
from continuum.materials import LinearElastic
from continuum.mesh import block, double_cantilever_beam
from continuum.solid import Solid
from continuum.solvers import follow
from continuum.supports import Displacement
from coupling.cohesive import extract_law
from coupling.elasticity import LinearUniaxial
from coupling.live import InterfaceCell, LiveCoupledLaw, LiveLaw, LiveRun, follow_live

POTENTIALS = {"eam": "eam-al", "sevennet": "sevennet-0"}
TOLERANCE = 0.02
LOADS = np.linspace(1.5, 54.0, 36)


def beam(cell: InterfaceCell, law: CohesiveLaw) -> Solid:
    """10 nm long, arms of 1.2 nm, 3 nm initial crack; 5724 unknowns."""
    mesh = double_cantilever_beam(
        MPI.COMM_SELF,
        length=100.0,
        arm_height=12.0,
        initial_crack=30.0,
        fine_size=0.5,
        fine_from=28.0,
        fine_to=60.0,
        growth=1.5,
        coarse_size=4.0,
    )
    metal = LinearElastic(stiffness=cell.orientation.stiffness)
    return Solid(
        mesh,
        materials={"lower": metal, "upper": metal},
        interfaces={"interface": law},
        thickness=1.0,
        supports=[
            Displacement(group="lower grip", component="y", factor=-0.5),
            Displacement(group="upper grip", component="y", factor=0.5),
            Displacement(group="right", component="x"),
        ],
    )


def measure(name: str) -> tuple[dict[str, float], LiveRun, LiveLaw, InterfaceCell, float]:
    """One potential: the figures, and what the picture shows."""
    potential = load_potential(POTENTIALS[name])
    crystal = relax_crystal(potential, symbols="Al", structure="fcc")
    cell = InterfaceCell(potential=potential, crystal=crystal, plane=(1, 1, 1))
    begun, before = time.perf_counter(), potential.counter.seconds
    law = LiveLaw(cell, tolerance=TOLERANCE)
    solid = beam(cell, law)
    run = follow_live(solid, LOADS)
    seconds, inside = time.perf_counter() - begun, potential.counter.seconds - before
    committed = len(run.steps) * int(solid.interfaces.points - solid.interfaces.cracked.sum())
    curve = rigid_separation(potential, crystal, plane=(1, 1, 1), openings=np.linspace(0.0, 6.0, 97))
    table = extract_law(curve, LinearUniaxial(cell.stiffness[0, 0]), length=cell.length).law()
    reference = follow(beam(cell, table), LOADS)
    live = np.array([s.reaction for s in run.steps])
    known = np.array([s.reaction for s in reference])
    record, work = run.records["interface"], sum(s.work for s in run.steps)
    closure = sum(s.closure for s in run.steps)
    figures = {
        "evaluations": record.evaluations,
        "potential_calls": record.calls,
        "points_asked_active": record.active_points_asked,
        "saved_against_active_points_every_iteration": record.saved,
        "saved_against_points_once_a_load": committed / record.evaluations,
        "load_difference_percent_of_peak": 100.0 * float(np.abs(live - known).max() / known.max()),
        "crack_advance_angstrom": run.steps[-1].crack_tip - run.steps[0].crack_tip,
        "estimated_error_percent": 100.0 * record.largest_estimate,
        "steps_taken_back": run.taken_back,
        "refinement_energy_percent": 100.0 * run.refinement_energy / work,
        "ledger_open_percent": 100.0 * abs(closure) / work,
        "furthest_evaluated_angstrom": record.frontier,
        "potential_seconds": inside,
        "run_seconds": seconds,
    }
    return {f"{name}_{k}": v for k, v in figures.items()}, run, law, cell, known


def slipping() -> dict[str, float]:
    """Opening and slip at once: a block whose upper face is pulled up and aside, its interface a cell of EAM aluminium."""
    potential = load_potential(POTENTIALS["eam"])
    crystal = relax_crystal(potential, symbols="Al", structure="fcc")
    cell = InterfaceCell(potential=potential, crystal=crystal, plane=(1, 1, 1), growth=(1, 1, -2), components=2)
    metal = LinearElastic(stiffness=cell.orientation.stiffness)
    held = [Displacement(group="bottom", component=c) for c in "xy"]
    pulled = [
        Displacement(group="top", component="y", factor=1.0),
        Displacement(group="top", component="x", factor=0.4),
    ]
    law = LiveCoupledLaw(cell, tolerance=0.05)
    solid = Solid(
        block(MPI.COMM_SELF, size=[12.0, 12.0], divisions=[6, 4], cell="quadrilateral"),
        materials={"lower": metal, "upper": metal},
        interfaces={"interface": law},
        supports=[*held, *pulled],
    )
    run = follow_live(solid, np.linspace(0.1, 2.0, 20))
    state, record = solid.interface_state("interface"), run.records["interface"]
    gaps = law.cell_separations(state.opening)
    true = np.array([cell(gap).traction for gap in gaps[::4]])
    return {
        "coupled_evaluations": record.evaluations,
        "coupled_saved_against_active_points_every_iteration": record.saved,
        "coupled_traction_error_percent_of_peak": 100.0
        * float(np.abs(true - state.traction[::4]).max() / law.peak_traction),
        "coupled_largest_slip_angstrom": float(np.abs(state.opening[:, 1]).max()),
        "coupled_ledger_open_percent": 100.0 * abs(sum(s.closure for s in run.steps) / sum(s.work for s in run.steps)),
    }


def picture(path: str, run: LiveRun, law: LiveLaw, cell: InterfaceCell, known: np.ndarray) -> None:
    """Evaluated openings with the curve, its estimate and its true error; evaluations beside the load."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    curve = law.curve_of_gaps
    gaps = np.linspace(1e-3, curve.frontier, 90)
    true = np.array([cell(np.array([g])).traction[0] for g in gaps])
    drawn = np.array([curve.at(g)[1] for g in gaps])
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13.5, 4.0), layout="constrained")
    left.plot(gaps, 160.218 * drawn, color="#1f5fa8", label="law's curve")
    left.plot(curve.opening, 160.218 * curve.traction, "o", color="#c1440e", label="evaluated cells")
    left.set(xlabel="opening of the cell Δ (Å)", ylabel="traction (GPa)")
    left.legend(frameon=False)
    peak = law.peak_traction
    middle.semilogy(gaps, np.maximum(np.abs(drawn - true) / peak, 1e-7), color="#1f5fa8", label="true error")
    middle.stairs(curve.estimate / peak, curve.opening, color="#c1440e", label="estimate")
    middle.axhline(law.tolerance, color="k", lw=0.8, ls=":", label="tolerance")
    middle.set(xlabel="opening of the cell Δ (Å)", ylabel="error of the traction, share of the peak", ylim=(1e-6, 0.1))
    middle.legend(frameon=False, loc="lower right")
    force = 1.602177 * np.array([s.reaction for s in run.steps])
    right.plot(LOADS, 1.602177 * known, color="#9a9a9a", lw=4, label="load, tabulated law")
    right.plot(LOADS, force, color="#1f5fa8", label="load, live law")
    right.set(xlabel="opening of the beam (Å)", ylabel="load (nN per Å of width)")
    counts = right.twinx()
    counts.step(LOADS, run.evaluations, where="post", color="#c1440e", label="cells evaluated")
    counts.set(
        ylabel="cells evaluated", ylim=(0, max(run.evaluations) + 2), yticks=range(0, max(run.evaluations) + 2, 5)
    )
    lines = [*right.get_lines(), *counts.get_lines()]
    right.legend(lines, [str(line.get_label()) for line in lines], frameon=False, loc="lower right")
    figure.savefig(path, dpi=130)


def main() -> int:
    """Follow both beams and report."""
    figures: dict[str, float] = {}
    bounds: dict[str, tuple[str, float]] = {}
    for name in POTENTIALS:
        found, run, law, cell, known = measure(name)
        figures |= found
        bounds |= {
            f"{name}_saved_against_active_points_every_iteration": (">=", 20.0),
            f"{name}_saved_against_points_once_a_load": (">=", 20.0),
            f"{name}_load_difference_percent_of_peak": ("<=", 0.5),
            f"{name}_estimated_error_percent": ("<=", 100.0 * TOLERANCE),
        }
    figures |= slipping()
    bounds["coupled_saved_against_active_points_every_iteration"] = (">=", 20.0)
    bounds["coupled_traction_error_percent_of_peak"] = ("<=", 5.0)
    if "--picture" in sys.argv:
        picture(sys.argv[sys.argv.index("--picture") + 1], run, law, cell, known)
    return report("live_points", figures, bounds)


if __name__ == "__main__":
    sys.exit(main())
