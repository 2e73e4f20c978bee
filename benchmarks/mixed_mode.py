"""γ-surfaces, works of separation along several paths and coupled laws on (111) of Al, Cu and Ni (EAM) and Al (SevenNet-0).

python benchmarks/mixed_mode.py [--short] [--picture docs/images/mixed_mode.png]      --short leaves SevenNet-0 out
"""

import itertools
import sys
import time
from pathlib import Path

import numpy as np
from _report import report

from atomistic.builders import build_stack
from atomistic.crystal import relax_crystal
from atomistic.decohesion import default_openings, rigid_separation
from atomistic.potentials import load_potential
from atomistic.shear import GammaSurface, gamma_surface, separated_and_sheared, shear_opening
from continuum.laws import CoupledTableLaw
from coupling.cohesive import extract_law
from coupling.elasticity import LinearUniaxial
from coupling.mixed_mode import CoupledExtraction, extract_coupled_law

MILLI = 16021.77  # mJ/m² in eV/Å²
PLANE = (1, 1, 1)
CASES = {
    "al_zhou": ("eam-al-zhou", "Al", 12),
    "al": ("eam-al", "Al", 12),
    "cu": ("eam-cu", "Cu", 12),
    "ni": ("eam-ni", "Ni", 12),
    "al_sevennet": ("sevennet-0", "Al", 6),
}
# Intrinsic faults that the potentials' authors give, mJ/m²: Mishin et al. 2001, Phys. Rev. B 63, 224106 (Cu);
# Angelo, Moody and Baskes 1995, Model. Simul. Mater. Sci. Eng. 3, 289 (Ni).
PUBLISHED = {"cu": 44.4, "ni": 89.0}


def path_works(law: CoupledTableLaw, slip: float) -> list[float]:
    """∫T·dδ to full separation (eV/Å²): straight; along x to a slip and then open; on a slant."""
    far = law.final_opening + 0.1
    points, weights = np.polynomial.legendre.leggauss(4)

    def work(corners: list[list[float]]) -> float:
        total = 0.0
        for a, b in itertools.pairwise(corners):
            ends = np.linspace(a, b, 601)
            steps = np.diff(ends, axis=0)
            places = ends[:-1, None] + steps[:, None] * (0.5 * (points + 1))[:, None]
            pull = law.evaluate(places.reshape(-1, 2), law.fresh(places.size // 2)).traction.reshape(places.shape)
            total += float(np.einsum("pqi,q,pi->", pull, 0.5 * weights, steps))
        return total

    ways = [
        [[0.0, 0.0], [far, 0.0]],
        [[0.0, 0.0], [0.15, 0.0], [0.15, slip], [far, slip]],
        [[0.0, 0.0], [1.0, 2.0 * slip], [far, -slip]],
    ]
    return [work(way) for way in ways]


def draw(path: Path, surface: GammaSurface, found: CoupledExtraction) -> None:
    """The γ-surface, and tractions of the coupled law over opening and slip."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    bare, law = found.bare_law(), found.law()
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.0), layout="constrained")
    x, z = np.meshgrid(np.linspace(-2.6, 2.6, 121), np.linspace(-2.6, 2.6, 121), indexing="ij")
    closed = np.column_stack([np.zeros(x.size), x.ravel(), z.ravel()])
    image = axes[0].contourf(x, z, bare.table(closed)[0].reshape(x.shape) * MILLI, 24, cmap="viridis")
    axes[0].plot(*surface.intrinsic.shift, "w^", label="stacking fault")
    axes[0].plot(*surface.unstable.shift, "wx", label="unstable")
    axes[0].set(xlabel="slip along [112̄] (Å)", ylabel="slip along [11̄0] (Å)", title="γ, rigid (mJ/m²)")
    axes[0].legend(loc="upper left", fontsize=7)
    figure.colorbar(image, ax=axes[0])
    opening, slip = np.meshgrid(np.linspace(0.0, 2.5, 101), np.linspace(-1.2, 1.9, 121), indexing="ij")
    jumps = np.column_stack([opening.ravel(), slip.ravel()])
    answer = law.evaluate(jumps, law.fresh(len(jumps)))
    for axis, k, name in ((axes[1], 0, "normal"), (axes[2], 1, "shear")):
        values = answer.traction[:, k].reshape(slip.shape) * MILLI / 100
        image = axis.contourf(slip, opening, np.clip(values, -8, 9), np.linspace(-8, 9, 35), cmap="RdBu_r")
        axis.contour(slip, opening, values, [0.0], colors="k", linewidths=0.6)
        axis.set(xlabel="slip along [112̄] (Å)", ylabel="opening δ (Å)", title=f"{name} traction of the law (GPa)")
        figure.colorbar(image, ax=axis)
    figure.savefig(path, dpi=120)


def measure(key: str, figures: dict[str, float]) -> tuple[GammaSurface, CoupledExtraction]:
    """All figures of one crystal."""
    spec, symbol, grid = CASES[key]
    potential = load_potential(spec)
    crystal = relax_crystal(potential, symbols=symbol, structure="fcc")
    short = grid < 12
    planes = 6 if short else 10
    surface = gamma_surface(potential, crystal, plane=PLANE, grid=grid, n_planes=planes)
    surfaces = {"rigid": surface}
    if not short:
        surfaces["relaxed"] = gamma_surface(potential, crystal, plane=PLANE, grid=grid, relax="normal")
    for name, faults in surfaces.items():
        figures[f"{key}_unstable_{name}_mj_per_m2"] = faults.unstable.energy * MILLI
        figures[f"{key}_fault_{name}_mj_per_m2"] = faults.intrinsic.energy * MILLI if faults.intrinsic else float("nan")
    openings = np.concatenate([[-0.3, -0.15], default_openings(points=16)]) if short else None
    table = shear_opening(potential, crystal, plane=PLANE, grid=grid, n_planes=planes, openings=openings)
    found = extract_coupled_law(table)
    law = found.law()
    works = path_works(law, float(np.linalg.norm(table.lattice[0])) / np.sqrt(3))
    figures[f"{key}_work_of_separation_mj_per_m2"] = found.work * MILLI
    figures[f"{key}_path_defect"] = float(np.ptp([*works, found.work])) / found.work
    curve = rigid_separation(
        potential, crystal, plane=PLANE, n_planes=planes, openings=None if openings is None else openings[2:]
    )
    body = LinearUniaxial(table.orientation.stiffness[1, 1])
    scalar = extract_law(curve, body, length=found.share[0] * table.length).law()
    at = np.linspace(0.0, 4.0, 161)
    figures[f"{key}_mode_one_traction_error"] = float(
        np.abs(law.traction(at) - scalar.traction(at)).max() / scalar.peak_traction
    )
    figures[f"{key}_share_opening"], figures[f"{key}_share_slip"] = found.share
    figures[f"{key}_steepest_opening"], figures[f"{key}_steepest_slip"] = found.steepest
    figures[f"{key}_folded_if_accepted"] = extract_coupled_law(table, folds="accept").folded
    figures[f"{key}_evaluations"] = table.evaluated + surface.evaluated
    if not short:
        rng = np.random.default_rng(0)
        places = np.column_stack([rng.uniform(0.3, 3.0, 100), rng.uniform(-3.0, 3.0, (100, 2))])
        stack = build_stack(crystal, plane=PLANE, n_planes=planes)
        turn = stack.rotation @ table.orientation.rotation.T
        atoms = [separated_and_sheared(potential, stack, turn @ p[[1, 0, 2]])[1] for p in places]
        pull = np.array([(turn.T @ a)[[1, 0, 2]] for a in atoms])
        interpolated = found.bare_law().table(places)[1]
        figures[f"{key}_interpolation_error"] = float(np.abs(interpolated - pull).max() / law.peak_traction)
    return surface, found


def main() -> int:
    """Measure all crystals and report."""
    begun = time.perf_counter()
    figures: dict[str, float] = {}
    bounds: dict[str, tuple[str, float]] = {}
    for key in CASES:
        if "--short" in sys.argv and key == "al_sevennet":
            continue
        surface, found = measure(key, figures)
        print(key, {k: round(v, 5) for k, v in figures.items() if k.startswith(f"{key}_")}, file=sys.stderr, flush=True)
        bounds[f"{key}_path_defect"] = ("<=", 1e-5)
        # Cai and Ye's table of aluminium has kinks where its energy steps at the cutoff: no smooth law follows them.
        if f"{key}_interpolation_error" in figures and key != "al":
            bounds[f"{key}_interpolation_error"] = ("<=", 5e-3)
        if key in PUBLISHED:
            figures[f"{key}_fault_error_percent"] = (
                abs(figures[f"{key}_fault_relaxed_mj_per_m2"] / PUBLISHED[key] - 1.0) * 100.0
            )
            bounds[f"{key}_fault_error_percent"] = ("<=", 1.0)
        if key == "al_zhou":
            bounds[f"{key}_mode_one_traction_error"] = ("<=", 0.01)
            if "--picture" in sys.argv:
                draw(Path(sys.argv[sys.argv.index("--picture") + 1]), surface, found)
    figures["seconds"] = time.perf_counter() - begun
    return report("mixed_mode", figures, bounds)


if __name__ == "__main__":
    sys.exit(main())
