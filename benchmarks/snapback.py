"""Specimens that snap back: a bonded strip pulled off (mode II) and a bar torn in two (mode I), mm, N and MPa.

python benchmarks/snapback.py [--picture [FILE]]     draws docs/images/snapback.png, or FILE

Strip, after the pull-out test of Alfano (2006), Compos. Sci. Technol. 66, 723: E = 70 GPa, ν = 0, K0 = 5000 N/mm³, 3 MPa,
G_c = 0.1 N/mm; length L = 200, thickness t = 1 and width 1 mm are chosen here, long beside the process zone of 62 mm. On a rigid
base, pulled by one end. A bar that shears its interface, E t u'' = τ(u), with a bilinear τ is solved in closed form piece by
piece from the free end's slip u0: elastic u = u0 cosh κs, κ² = K0/Et; softening u_f − u = A cos μs − B sin μs,
μ² = [σ0/(u_f − σ0/K0)]/Et; debonded u linear. As u0 runs from 0 to u_f so does the whole path, its snap-back included, and P
is largest near √(2 G_c E t).

Bar of length ℓ with one softening plane, same law: Δ = σℓ/E + δ(σ), straight in pieces; Δ falls with the opening where
ℓ > E (δ_f − δ_0)/σ0 (2 E G_c/σ0² for a stiff K0).
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _beam_specimens import BeamGrid, beam_mesh
from _report import report
from mpi4py import MPI

from continuum.laws import BilinearLaw
from continuum.materials import LinearElastic
from continuum.mesh import BodyMesh, block
from continuum.path import PathOptions, PathStep, trace
from continuum.solid import Solid
from continuum.supports import Displacement

Array = np.ndarray
PICTURE = Path(__file__).parent.parent / "docs" / "images" / "snapback.png"
MODULUS, STIFFNESS, STRENGTH, TOUGHNESS = 70e3, 5000.0, 3.0, 0.1
LENGTH, THICKNESS = 200.0, 1.0
#: Displacement that the strip's end is taken to, beyond the largest on its path.
END = 0.4
FIRST, LAST = STRENGTH / STIFFNESS, 2.0 * TOUGHNESS / STRENGTH
CRITICAL = MODULUS * (LAST - FIRST) / STRENGTH


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What a specimen carries: displacement of its end (n,) mm, force (n,) N/mm (or stress), and the steps behind it."""

    displacement: Array
    force: Array
    steps: list[PathStep]

    @property
    def snap_back(self) -> float:
        """How far the displacement falls behind an earlier one, mm."""
        return float((np.maximum.accumulate(self.displacement) - self.displacement).max())


def law() -> BilinearLaw:
    """The interface's law."""
    return BilinearLaw(fracture_energy=TOUGHNESS, peak_traction=STRENGTH, initial_stiffness=STIFFNESS)


def solid(mesh: BodyMesh, supports: list[Displacement]) -> Solid:
    """Two bodies of the same metal, ν = 0, of unit width."""
    metal = LinearElastic.isotropic(E=MODULUS, nu=0.0)
    return Solid(mesh, materials=dict.fromkeys(mesh.bodies, metal), interfaces={"interface": law()}, supports=supports)


def strip() -> tuple[Curve, int]:
    """Pull the strip off its base, which is rigid, beyond where anything holds; and the number of unknowns."""
    grid = BeamGrid(x=np.linspace(0.0, LENGTH, 201), y=np.array([0.0, THICKNESS]), crack=0.0)
    pulled = solid(
        beam_mesh(MPI.COMM_SELF, grid),
        [
            *(Displacement(group="lower", component=component) for component in "xy"),
            Displacement(group="upper", component="y"),
            Displacement(group="upper grip", component="x", factor=-1.0),
        ],
    )
    steps = trace(pulled, to=END, step=0.1 * LAST, options=PathOptions(resolution=0.01))
    return _curve(steps, 1.0), pulled.n_dofs


def _curve(steps: list[PathStep], area: float) -> Curve:
    return Curve(
        displacement=np.array([0.0, *(step.load for step in steps)]),
        force=np.array([0.0, *(step.reaction for step in steps)]) / area,
        steps=steps,
    )


def strip_exact() -> tuple[Array, Array]:
    """End displacement and force of the strip along its whole path, each (n,)."""
    length = LENGTH
    # The free end hardly slips until the process zone is near it: κL = 53.
    slip = np.concatenate([np.geomspace(1e-26, FIRST, 20000), np.linspace(FIRST, LAST, 5000)[1:]])
    bar = MODULUS * THICKNESS
    kappa, mu = np.sqrt(STIFFNESS / bar), np.sqrt(STRENGTH / (LAST - FIRST) / bar)
    answers = []
    for start in slip:
        place, u, slope = 0.0, float(start), 0.0
        if u < FIRST:
            # Length of the elastic part: until u0 cosh κs reaches the peak.
            part = min(np.arccosh(FIRST / u) / kappa, length)
            place, u, slope = part, start * np.cosh(kappa * part), start * kappa * np.sinh(kappa * part)
        if place < length and u < LAST:
            gap, turn = LAST - u, slope / mu
            part = min(np.arctan2(gap, turn) / mu, length - place)
            u = LAST - gap * np.cos(mu * part) + turn * np.sin(mu * part)
            slope = mu * (gap * np.sin(mu * part) + turn * np.cos(mu * part))
            place += part
        answers.append((u + slope * (length - place), bar * slope))
    # After the last state nothing holds.
    displacement, force = np.array([(0.0, 0.0), *answers, (END, 0.0)]).T
    return displacement, force


def bar(length: float) -> Curve:
    """Tear a bar in two and go half as far again; force is stress here."""
    width = 0.25 * length
    mesh = block(MPI.COMM_SELF, size=(width, length), divisions=(1, 2), cell="quadrilateral")
    torn = solid(
        mesh,
        [
            Displacement(group="bottom", component="y"),
            Displacement(group="left", component="x"),
            Displacement(group="top", component="y", factor=1.0),
        ],
    )
    end = 1.5 * max(LAST, STRENGTH * length / MODULUS + FIRST)
    return _curve(trace(torn, to=end, step=0.1 * LAST, options=PathOptions(resolution=0.02)), width)


def bar_exact(displacement: Array, force: Array, length: float) -> Array:
    """Distance of states (n,) from the exact path in displacement, relative to u_f: Δ = σℓ/E + δ(σ), σ ≥ 0."""
    stretched = force * length / MODULUS
    branches = [force / STIFFNESS, LAST - force / STRENGTH * (LAST - FIRST)]
    on_branch = np.min([np.abs(displacement - stretched - opening) for opening in branches], axis=0)
    broken = (displacement >= LAST) & (np.abs(force) < 1e-9 * STRENGTH)
    return np.where(broken, 0.0, on_branch) / LAST


def distance(curve: Curve, displacement: Array, force: Array) -> float:
    """Largest distance of a traced curve from an exact one, both axes scaled to 1."""
    scale = np.array([LAST, force.max()])
    exact = np.column_stack([displacement, force]) / scale
    start, along = exact[:-1], np.diff(exact, axis=0)
    worst = 0.0
    for state in np.column_stack([curve.displacement, curve.force]) / scale:
        share = np.clip(((state - start) * along).sum(axis=1) / (along**2).sum(axis=1), 0.0, 1.0)
        worst = max(worst, float(np.hypot(*(start + share[:, None] * along - state).T).min()))
    return worst


def picture(path: Path, pulled: Curve, long: Curve, short: Curve) -> None:
    """Draw the traced paths on the exact ones."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9.0, 3.8), layout="constrained")
    displacement, force = strip_exact()
    axes[0].plot(displacement, force, color="0.6", linewidth=3, label="shear-lag bar, closed form")
    axes[0].plot(pulled.displacement, pulled.force, "k.", markersize=4, label="traced")
    axes[0].axhline(np.sqrt(2 * TOUGHNESS * MODULUS * THICKNESS), color="0.6", linestyle=":", label="√(2 $G_c$ E t)")
    axes[0].set(
        xlabel="displacement of the pulled end, mm", ylabel="force per width, N/mm", title="strip pulled off its base"
    )
    for curve, length, colour in ((long, 2.0, "C3"), (short, 0.5, "C0")):
        elastic = STRENGTH * length * CRITICAL / MODULUS
        axes[1].plot(
            [0, elastic + FIRST, LAST, curve.displacement[-1]],
            [0, STRENGTH, 0, 0],
            color=colour,
            alpha=0.35,
            linewidth=3,
        )
        axes[1].plot(curve.displacement, curve.force, ".", color=colour, markersize=4, label=f"ℓ = {length:g} critical")
    axes[1].set(xlabel="elongation, mm", ylabel="stress, MPa", title="bar torn in two")
    axes[1].locator_params(axis="x", nbins=5)
    axes[0].legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 0.08))
    axes[1].legend(frameon=False)
    figure.savefig(path, dpi=150)


def main() -> int:
    """Trace, compare and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, nargs="?", const=PICTURE, help="file that the paths are drawn into")
    arguments = parser.parse_args()
    (pulled, unknowns), long, short = strip(), bar(2.0 * CRITICAL), bar(0.5 * CRITICAL)
    displacement, force = strip_exact()
    backward = float((np.maximum.accumulate(displacement) - displacement).max())
    figures: dict[str, float | int | str] = {
        "strip_unknowns": unknowns,
        "strip_steps": len(pulled.steps),
        "strip_iterations": sum(step.iterations for step in pulled.steps),
        "strip_steps_by_dissipation": sum(step.control == "dissipation" for step in pulled.steps),
        "strip_snap_back_mm": pulled.snap_back,
        "strip_snap_back_over_exact": pulled.snap_back / backward,
        "strip_peak_error_percent": abs(pulled.force.max() / force.max() - 1.0) * 100.0,
        "strip_exact_peak_over_griffith": force.max() / np.sqrt(2.0 * TOUGHNESS * MODULUS * THICKNESS),
        "strip_distance_from_exact_percent": distance(pulled, displacement, force) * 100.0,
        "strip_spent_error_percent": abs(pulled.steps[-1].energies.dissipated / (TOUGHNESS * LENGTH) - 1.0) * 100.0,
        "strip_work_error_percent": abs(sum(step.work for step in pulled.steps) / (TOUGHNESS * LENGTH) - 1.0) * 100.0,
    }
    bounds: dict[str, tuple[str, float]] = {
        "strip_snap_back_over_exact": (">=", 0.9),
        "strip_peak_error_percent": ("<=", 0.5),
        "strip_distance_from_exact_percent": ("<=", 0.5),
        "strip_spent_error_percent": ("<=", 0.5),
        "strip_work_error_percent": ("<=", 0.5),
    }
    for name, curve, length in (("long_bar", long, 2.0 * CRITICAL), ("short_bar", short, 0.5 * CRITICAL)):
        area = 0.25 * length
        figures |= {
            f"{name}_snap_back_mm": curve.snap_back,
            f"{name}_distance_from_exact": float(bar_exact(curve.displacement, curve.force, length).max()),
            f"{name}_spent_error_percent": abs(curve.steps[-1].energies.dissipated / (TOUGHNESS * area) - 1.0) * 100.0,
        }
        bounds |= {f"{name}_distance_from_exact": ("<=", 1e-6), f"{name}_spent_error_percent": ("<=", 0.5)}
    # Exact: from the elastic limit back to u_f; between steps the turn itself is not met.
    expected = STRENGTH * 2.0 * CRITICAL / MODULUS + FIRST - LAST
    figures["long_bar_snap_back_over_exact"] = long.snap_back / expected
    bounds |= {"short_bar_snap_back_mm": ("==", 0.0), "long_bar_snap_back_over_exact": (">=", 0.9)}
    if arguments.picture:
        picture(arguments.picture, pulled, long, short)
    return report("snapback", figures, bounds)


if __name__ == "__main__":
    sys.exit(main())
