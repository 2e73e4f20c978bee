"""A double cantilever beam of some 100 nm on meshes from two lattice planes a facet to 32, with the law of one plane and of N.

The answer to hold against: facets two lattice planes long and the law of a single plane.

python benchmarks/renormalised.py [--picture docs/images/renormalised.png]
"""

import sys
import time
from pathlib import Path

import numpy as np
from _report import report
from mpi4py import MPI

from atomistic.crystal import orient, relax_crystal
from atomistic.decohesion import rigid_separation
from atomistic.potentials import load_potential
from continuum.laws import CohesiveLaw, NPlaneLaw
from continuum.materials import LinearElastic
from continuum.mesh import double_cantilever_beam
from continuum.solid import Solid
from continuum.solvers import SolverOptions, follow
from continuum.supports import Displacement
from coupling.elasticity import LinearUniaxial
from coupling.renormalised import renormalise

LENGTH, HEIGHT, CRACK = 1600.0, 150.0, 500.0  # Å
OPENINGS = np.linspace(0.0, 400.0, 101)[1:]  # the crack starts at some 190 Å and runs to 900 Å
COARSENING = (4, 8, 16, 32)  # facets in lattice planes
REFERENCE = 2
PLANES_PER_FACET = 6  # N planes are six facets high: some three facets lie in the cohesive zone
GPA = 160.2177


def load_curve(law: CohesiveLaw, metal: LinearElastic, facet: float) -> tuple[np.ndarray, float, int]:
    """Loads (n,) eV/Å², largest closure of the energy ledger relative to the work, and unknowns."""
    mesh = double_cantilever_beam(
        MPI.COMM_SELF,
        length=LENGTH,
        arm_height=HEIGHT,
        initial_crack=CRACK,
        fine_size=facet,
        fine_from=CRACK - 60.0,
        fine_to=1300.0,
        growth=1.5,
        coarse_size=max(40.0, facet),
    )
    solid = Solid(
        mesh,
        materials=dict.fromkeys(mesh.bodies, metal),
        interfaces={"interface": law},
        supports=[
            Displacement(group="lower grip", component="y", factor=-0.5),
            Displacement(group="upper grip", component="y", factor=0.5),
            Displacement(group="right", component="x"),
        ],
    )
    steps = follow(solid, OPENINGS, options=SolverOptions(rtol=1e-8))
    work = sum(step.work for step in steps)
    return np.array([step.reaction for step in steps]), abs(work - steps[-1].energies.total) / work, solid.n_dofs


def draw(
    path: Path, sizes: list[float], errors: tuple[dict[str, list[float]], ...], curves: dict[str, np.ndarray]
) -> None:
    """Error against the size of a facet, and the coarsest curves beside the resolved one."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for style, kind, table in zip(("-", "--"), ("largest", "crack running"), errors, strict=True):
        for colour, (name, values) in zip(("C1", "C2"), table.items(), strict=True):
            left.loglog(sizes, values, style, color=colour, marker="o", label=f"{name}, {kind}")
    left.set(xlabel="length of a facet (nm)", ylabel="error of the load (%)")
    left.legend()
    for name, loads in curves.items():
        right.plot(OPENINGS / 10, loads * 16.02177, label=name, lw=2.5 if name == "resolved" else 1.2)
    right.set(xlabel="opening (nm)", ylabel="load per width (N/m)")
    right.legend()
    figure.savefig(path, dpi=130)


def main() -> int:
    """Follow all beams and report."""
    begun = time.perf_counter()
    potential = load_potential("eam-al-zhou")
    crystal = relax_crystal(potential, symbols="Al", structure="fcc")
    metal = LinearElastic(orient(crystal, plane=(1, 1, 1)).stiffness)
    curve = rigid_separation(potential, crystal, plane=(1, 1, 1))
    body, gap = LinearUniaxial(metal.uniaxial_modulus), curve.length
    one = renormalise(curve, 1, body, length=gap)
    resolved, closure, unknowns = load_curve(one.law(), metal, REFERENCE * gap)
    figures: dict[str, float] = {"reference_unknowns": unknowns, "reference_closure_percent": 100 * closure}
    errors: dict[str, list[float]] = {"law of one plane": [], "law of N planes": []}
    running: dict[str, list[float]] = {"law of one plane": [], "law of N planes": []}
    curves = {"resolved": resolved}
    after = slice(25, None)  # a quarter of the way on: from well before the largest load
    grown = slice(62, None)  # once the crack runs
    for planes in COARSENING:
        count = PLANES_PER_FACET * planes
        many = renormalise(curve, count, body, length=gap)
        for name, law, key in (("law of one plane", one.law(), "one"), ("law of N planes", many.law(), "many")):
            loads, closure, unknowns = load_curve(law, metal, planes * gap)
            error = 100.0 * float(np.abs(loads / resolved - 1.0)[after].max())
            errors[name].append(error)
            figures[f"load_error_percent_{key}_{planes}_planes_a_facet"] = error
            growing = 100.0 * float(np.abs(loads / resolved - 1.0)[grown].max())
            figures[f"growing_crack_load_error_percent_{key}_{planes}_planes_a_facet"] = growing
            running[name].append(growing)
            figures[f"closure_percent_{key}_{planes}_planes_a_facet"] = 100 * closure
            print(f"{planes} planes a facet, {name}: {error:.3f}%, closure {closure:.1e}", file=sys.stderr, flush=True)
            if planes == 16:
                curves[f"{name}, facets of {planes} planes"] = loads
        figures[f"unknowns_{planes}_planes_a_facet"] = unknowns
        figures[f"peak_gpa_{count}_planes"] = many.peak_traction * GPA
        closed = NPlaneLaw(fracture_energy=many.work, plane_stiffness=body.modulus / gap, n_planes=count)
        figures[f"peak_over_closed_form_{count}_planes"] = many.peak_traction / closed.peak_traction
        figures[f"energy_defect_{count}_planes"] = abs(many.law().fracture_energy / many.work - 1.0)
    if "--picture" in sys.argv:
        draw(
            Path(sys.argv[sys.argv.index("--picture") + 1]),
            [0.1 * gap * p for p in COARSENING],
            (errors, running),
            curves,
        )
    largest = PLANES_PER_FACET * COARSENING[-1]
    bounds = {f"energy_defect_{PLANES_PER_FACET * p}_planes": ("<=", 1e-12) for p in COARSENING}
    bounds[f"load_error_percent_many_{COARSENING[0]}_planes_a_facet"] = ("<=", 1.0)
    for planes in COARSENING:
        gain = figures[f"load_error_percent_one_{planes}_planes_a_facet"]
        gain /= figures[f"load_error_percent_many_{planes}_planes_a_facet"]
        figures[f"error_one_plane_over_many_{planes}_planes_a_facet"] = gain
        bounds[f"error_one_plane_over_many_{planes}_planes_a_facet"] = (">=", 1.0)
    bounds |= {f"closure_percent_many_{p}_planes_a_facet": ("<=", 0.1) for p in COARSENING}
    bounds[f"peak_over_closed_form_{largest}_planes"] = (">=", 0.99)
    figures["seconds"] = time.perf_counter() - begun
    return report("renormalised", figures, bounds)


if __name__ == "__main__":
    sys.exit(main())
