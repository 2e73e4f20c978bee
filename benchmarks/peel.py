"""A strip peeled off a rigid substrate: steady force against Rivlin (1944) and Kendall (1975).

python benchmarks/peel.py [--picture FILE]

Units: thickness h = 1, modulus E' = 1; the strip bends far (ρ of some ten thicknesses) and turns through up to 135°.
Kendall (1975), J. Phys. D 8, 1449: (F/b)²/(2E'h) + (F/b)(1 − cos θ) = G_c; Rivlin's (1944, Paint Technol. 9, 215) without
the first term, which is the strip's own stretch.
"""

import argparse
import sys
import time
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from _report import report
from mpi4py import MPI
from numpy.typing import NDArray

from continuum.finite import FiniteSolid
from continuum.laws import BilinearLaw
from continuum.materials import LinearElastic
from continuum.mesh import BodyMesh, split_bodies
from continuum.solvers import Step, follow
from continuum.supports import Displacement

matplotlib.use("Agg")
Array = NDArray[np.float64]
TOUGHNESS, PEAK = 1e-3, 3e-3
LENGTH, CRACK, SIZE, PEELED = 130.0, 15.0, 0.5, 80


def strip(angle: float, length: float, crack: float, size: float) -> BodyMesh:
    """A strip of thickness 1, one layer of cells, on a substrate; free of it from its end to `crack`.

    The specimen is turned so that a force along y makes the angle (degrees) with the bonded strip.
    """
    line = np.linspace(0.0, length, round(length / size) + 1)
    heights = np.array([-0.5, 0.0, 1.0])
    n = len(line)
    points = np.column_stack([np.tile(line, 3), np.repeat(heights, n)])
    corner = np.concatenate([np.arange(n - 1), n + np.arange(n - 1)])
    tilt = np.radians(90.0 - angle)
    rotation = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])

    def straight(places: Array) -> Array:
        return places @ rotation

    return split_bodies(
        MPI.COMM_WORLD,
        points=points @ rotation.T,
        cells=corner[:, None] + np.array([0, 1, n, n + 1]),
        cell="quadrilateral",
        body_of_cell=np.repeat([0, 1], n - 1),
        bodies=["substrate", "strip"],
        interfaces={"bond": ("substrate", "strip")},
        groups={"end": lambda m: (np.abs(straight(m)[:, 0]) < 1e-9) & (straight(m)[:, 1] > 0.0)},
        cracked=lambda m: straight(m)[:, 0] < crack,
    )


def peeled(angle: float, *, length: float = LENGTH, crack: float = CRACK, size: float = SIZE) -> FiniteSolid:
    """The specimen for a peel angle in degrees: its end is lifted along y by the load parameter, free along x."""
    mesh = strip(angle, length, crack, size)
    supports = [Displacement(group="substrate", component=c) for c in "xy"]
    supports += [Displacement(group="end", component="y", factor=1.0)]
    metal = LinearElastic.isotropic(E=1.0, nu=0.0)
    law = BilinearLaw(fracture_energy=TOUGHNESS, peak_traction=PEAK, initial_stiffness=0.05)
    return FiniteSolid(mesh, materials=dict.fromkeys(mesh.bodies, metal), interfaces={"bond": law}, supports=supports)


def kendall(angle: float) -> float:
    """Steady force per width at an angle in degrees, the strip's stretch included."""
    opening = 1.0 - np.cos(np.radians(angle))
    return float(np.sqrt(opening**2 + 2.0 * TOUGHNESS) - opening)


def profile(solid: FiniteSolid) -> Array:
    """The strip's deformed lower face, (n, 2)."""
    part = solid.interfaces.parts[0]
    places = solid.space.tabulate_dof_coordinates()[part.nodes_2, :2]
    return np.asarray(places + np.asarray(solid.u.x.array).reshape(-1, 2)[part.nodes_2])


def peel(angle: float) -> tuple[Array, list[Array], dict[str, float]]:
    """Load and force at each step (n, 2); deformed faces; the ledger's defect and iterations."""
    solid = peeled(angle)
    found: list[tuple[float, float]] = []
    shapes: list[Array] = []

    def note(step: Step) -> None:
        found.append((step.load, step.reaction))
        if len(found) in (25, 50, PEELED):
            shapes.append(profile(solid))

    # In the steady state the end rises by 1 − cos θ for a unit of length that comes off.
    advance = 1.0 - np.cos(np.radians(angle))
    steps = follow(solid, np.arange(1, PEELED + 1) * advance, on_step=note)
    work, left = sum(step.work for step in steps), steps[-1].energies.total
    numbers = {
        "iterations": float(sum(step.iterations for step in steps)),
        "cutbacks": float(sum(step.cutbacks for step in steps)),
        "ledger_percent": abs(work / left - 1.0) * 100.0,
    }
    return np.array(found), shapes, numbers


def draw(path: Path, curves: dict[float, tuple[Array, list[Array], dict[str, float]]]) -> None:
    """Deformed strips, and forces on their way to the steady state."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.0, 4.4))
    for (angle, (found, shapes, _)), colour in zip(sorted(curves.items()), ("C0", "C1", "C2"), strict=True):
        tilt = np.radians(90.0 - angle)
        rotation = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
        for i, shape in enumerate(shapes):
            label = f"{angle:g}°" if i == 0 else None
            left.plot(*(shape @ rotation).T, color=colour, alpha=0.4 + 0.3 * i, label=label)
        right.plot(found[:, 0] / (1.0 - np.cos(np.radians(angle))), found[:, 1] / TOUGHNESS, color=colour)
        right.axhline(kendall(angle) / TOUGHNESS, color=colour, linestyle=":")
    left.set(aspect="equal", xlabel="x / h", ylabel="y / h", title=f"strip after 25, 50 and {PEELED} steps")
    left.axhline(0.0, color="0.5", linewidth=3.0, zorder=0)
    left.legend()
    right.set(xlabel="rise of the end / h(1 − cos θ)", ylabel="F / (b G$_c$)", title="force; dotted: Kendall (1975)")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> int:
    """Peel at three angles and report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    begun = time.perf_counter()
    figures: dict[str, float] = {}
    bounds: dict[str, tuple[str, float]] = {}
    curves = {}
    for angle in (45.0, 90.0, 135.0):
        curves[angle] = peel(angle)
        found, _, numbers = curves[angle]
        # The force wavers a little as the zone passes from facet to facet: its mean over the last ten.
        force, name = float(found[-10:, 1].mean()), f"{angle:g}_degrees"
        opening = 1.0 - np.cos(np.radians(angle))
        figures[f"force_{name}_over_toughness"] = force / TOUGHNESS
        figures[f"kendall_error_{name}_percent"] = abs(force / kendall(angle) - 1.0) * 100.0
        figures[f"rivlin_error_{name}_percent"] = abs(force * opening / TOUGHNESS - 1.0) * 100.0
        figures |= {f"{key}_{name}": value for key, value in numbers.items()}
        bounds |= {f"kendall_error_{name}_percent": ("<=", 1.0), f"rivlin_error_{name}_percent": ("<=", 1.0)}
        bounds[f"ledger_percent_{name}"] = ("<=", 0.5)
    figures["seconds"] = time.perf_counter() - begun
    if arguments.picture:
        draw(arguments.picture, curves)
    return report("peel", figures, bounds)


if __name__ == "__main__":
    sys.exit(main())
