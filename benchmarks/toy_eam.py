"""One vacancy in a triangular lattice of toy-EAM atoms: every method of the coupling against the infinite crystal.

First the published set-up (Luskin, Ortner and Van Koten 2013; Ortner and Zhang 2016; errors re-run against a converged
reference): 9 to 65 layers of clamped atoms; K₀ = 3 to 22 for QCE, BQCE, BGFC and BQCF with u = 0 beyond N = K₀² + 10 layers.
Then the methods with the radius of the body free, so that cutting it off costs at most a fifth of the error: meshes of the
coupling's own, a family a degree, refined by one number F.

    F layers of lattice, the inner half core and the outer half blend (Schwarz: the outermost two overlap; QCE: no blend)
    P1: h = (1 + d/F)^(3/2), slope at most 0.6, body of 6F² layers
    P2: h = (1 + d/0.4F)^1.2, slope at most 0.7, body of 2.2F³ layers; quadratic beyond the lattice

All nodes count, mid-side nodes too, and those of Schwarz's overlap twice. Seconds are those of mesh,
assembly and solution, the least of three runs.

python benchmarks/toy_eam.py [--again]     --again recomputes the stored all-atom reference
"""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _report import report
from toy_eam_error import measure
from toy_eam_plot import plot_errors, plot_mesh
from toy_eam_problem import FAR_FIELD, LATTICE, TOY, Rings, graded, layer, sites_within, vacancy, whole_lattice
from toy_eam_reference import RADII, Reference, all_atoms, load

from continuum.mesh import Growth, SimplexMesh
from coupling.handshake import CoupledModel, HandshakeOptions, Schwarz, solve

HERE = Path(__file__).parent
STORED = HERE / "results" / "toy_eam_reference.npz"
PICTURES = HERE.parent / "docs" / "images"

#: ‖Du_ref‖ and the energy of 9 layers of clamped atoms (with F_CB = 0.983804672 I) as published.
NORM, NINE_LAYERS, ROUNDED = 0.0548307, -699.365048, 0.983804672
#: Published relative errors and nodes (the vacancy not counted) by K₀, clamped atoms by layers.
CLAMPED = {9: (0.172, 270), 17: (0.086, 918), 33: (0.0432, 3366), 46: (0.0307, 6486), 65: (0.0216, 12870)}
SIZES = (3, 6, 11, 16, 22)
PUBLISHED = {
    "qce": (0.215, 0.202, 0.209, 0.208, 0.211),
    "bqce": (0.104, 0.0512, 0.0265, 0.0180, 0.0130),
    "bgfc": (0.079, 0.0308, 0.0108, 0.0053, 0.0028),
    "bqcf": (0.079, 0.0308, 0.0108, 0.0053, 0.0028),
}
NODES = {"qce": (132, 402, 1320, 2496, 4686), "blended": (264, 1158, 3984, 8718, 16776)}
#: Geometry-reconstruction coupling, as published: (nodes, error).
GRAC = ((210, 0.087), (522, 0.0353), (1518, 0.0126), (2970, 0.0062), (5004, 0.0034))
FAMILIES = {1: (8, 12, 16, 22, 32, 44), 2: (8, 12, 16, 20, 24, 28, 32)}
OPTIONS = HandshakeOptions(tolerance=1e-9)
#: The least time of so many runs counts.
REPEATS = 3


@dataclass(frozen=True, kw_only=True)
class Point:
    """One solution.

    Attributes:
        method: with the degree of the elements.
        size: K₀, F, or layers.
        nodes: all that carry an unknown or a prescribed value.
        error: relative, over the whole plane.
        truncation: the share of it that cutting the body off causes, as a relative error.
        seconds: mesh, assembly, solution.
    """

    method: str
    size: int
    nodes: int
    error: float
    truncation: float
    seconds: float

    def line(self) -> str:
        """For the screen."""
        return (
            f"{self.method:12s} {self.size:3d} {self.nodes:6d} nodes  error {self.error:.3e}  "
            f"of which truncation {self.truncation:.1e}  {self.seconds:.2f} s"
        )


def solved(model: CoupledModel, method: str, reference: Reference) -> tuple[float, float]:
    """Error and seconds of a method."""
    began = time.perf_counter()
    u = solve(model, method=method, options=OPTIONS).u
    seconds = time.perf_counter() - began
    return measure(model.body, u, reference).total, seconds


def timed(mesh: SimplexMesh, **arguments: object) -> CoupledModel:
    """A model whose operators are there."""
    model = vacancy(mesh, **arguments)
    _ = model.to_atoms, model.atoms
    return model


def published(reference: Reference) -> tuple[dict[str, list[Point]], int]:
    """The published set-up, by method, and by how many nodes the meshes differ from the published ones in all."""
    found: dict[str, list[Point]] = {name: [] for name in ("clamped", *PUBLISHED)}
    for layers in CLAMPED:
        # Two of the layers are fixed: u = 0 from the first of them on.
        began = time.perf_counter()
        model = timed(whole_lattice(layers), core=layers - 2)
        build = time.perf_counter() - began
        error, seconds = solved(model, "clamped", reference)
        found["clamped"].append(_point("clamped", layers, len(model.body.nodes) - 1, error, error, seconds + build))
    differ = sum(abs(p.nodes - n) for p, (_, n) in zip(found["clamped"], CLAMPED.values(), strict=True))
    for k, size in enumerate(SIZES):
        radius = size**2 + 10
        for name in PUBLISHED:
            sharp = name == "qce"
            mesh = Rings(fine=size + 1 if sharp else 2 * size, radius=radius).mesh()
            differ += abs(len(mesh.points) - 1 - NODES["qce" if sharp else "blended"][k])
            # β = 0 up to layer K₀ − 1 and 1 from layer 2K₀ − 1 on gives the published errors to three digits; one layer
            # further out BQCE's are up to 4% larger.
            model = vacancy(mesh, core=size if sharp else size - 1, width=0 if sharp else size)
            error, seconds = solved(model, name, reference)
            found[name].append(_point(name, size, len(mesh.points) - 1, error, np.nan, seconds))
    return found, differ


def _point(method: str, size: int, nodes: int, error: float, truncation: float, seconds: float) -> Point:
    point = Point(method=method, size=size, nodes=nodes, error=error, truncation=truncation, seconds=seconds)
    print(point.line(), flush=True)
    return point


def radius_of(degree: int, fine: int) -> float:
    """Layers of the body of a family's member."""
    return 6.0 * fine**2 if degree == 1 else 2.2 * fine**3


def member(degree: int, fine: int, *, core: int, radius: float | None = None) -> CoupledModel:
    """A family's member with its own core."""
    growth = (
        Growth(radius=fine, exponent=1.5, slope=0.6)
        if degree == 1
        else Growth(radius=0.4 * fine, exponent=1.2, slope=0.7)
    )
    mesh = graded(fine, radius_of(degree, fine) if radius is None else radius, growth)
    return timed(mesh, core=core, width=0 if core == fine - 1 else fine - core, degree=degree)


def compared(reference: Reference, cut: float) -> dict[str, list[Point]]:
    """The methods with a free outer radius; `cut`/R is the relative error of cutting a body at R layers."""
    found: dict[str, list[Point]] = {}
    for degree, sizes in FAMILIES.items():
        for fine in sizes:
            cores = {"bgfc": fine // 2, "bqcf": fine // 2, "schwarz": fine - 2}
            if degree == 1:
                cores |= {"bqce": fine // 2, "qce": fine - 1}
            for name, core in cores.items():
                seconds = np.inf
                for _ in range(REPEATS):
                    began = time.perf_counter()
                    model = member(degree, fine, core=core)
                    u = solve(model, method=name, options=OPTIONS).u
                    seconds = min(seconds, time.perf_counter() - began)
                error = measure(model.body, u, reference).total
                nodes = len(model.body.nodes)
                if name == "schwarz":
                    both = Schwarz(model)
                    nodes += int((both.atomic & both.elastic).sum())
                label = f"{name} P{degree}"
                found.setdefault(label, []).append(
                    _point(label, fine, nodes, error, cut / radius_of(degree, fine), seconds)
                )
    return found


def slope(points: list[Point]) -> float:
    """Of log error against log nodes, by least squares."""
    return float(np.polyfit(np.log([p.nodes for p in points]), np.log([p.error for p in points]), 1)[0])


def nine_layers() -> float:
    """Energy of 9 layers of clamped atoms of which 2 are fixed, with the rounded F_CB."""
    scale = ROUNDED / TOY.equilibrium_stretch()
    indices = sites_within(9)
    indices = indices[indices.any(axis=1)]
    table, _ = all_atoms(7, stretch=scale)
    u = np.zeros((len(indices), 2))
    free = layer(indices) <= 7
    u[free] = table[tuple((indices[free] + 7).T)]
    places = LATTICE.places(indices) @ (scale * FAR_FIELD).T + u
    return TOY.cluster(indices).energy_and_gradient(places)[0]


def main() -> int:
    """Solve, compare, draw and report."""
    began = time.perf_counter()
    if "--again" in sys.argv:
        STORED.unlink(missing_ok=True)
    reference = load(STORED)
    load_seconds = time.perf_counter() - began
    print(
        f"reference: all atoms up to {RADII} layers, ‖Du‖ = {np.sqrt(reference.square):.7f}, {load_seconds:.0f} s",
        flush=True,
    )
    solve(member(2, 8, core=4), options=OPTIONS)  # everything compiled and loaded before the clock counts
    table, differ = published(reference)
    cut = table["clamped"][-1].error * (table["clamped"][-1].size - 1)
    free = compared(reference, cut)

    wanted = {"clamped": tuple(e for e, _ in CLAMPED.values()), **PUBLISHED}
    deviation = {
        (name, p.size): p.error / w - 1.0 for name in wanted for p, w in zip(table[name], wanted[name], strict=True)
    }
    worst = max(deviation, key=lambda key: abs(deviation[key]))
    quadratic = [p for name, points in free.items() if name.endswith("P2") for p in points if p.nodes <= GRAC[-1][0]]
    best = min(quadratic, key=lambda p: p.error)
    linear = [p for name, points in free.items() if name in ("bgfc P1", "bqcf P1", "schwarz P1") for p in points]
    best_linear = min((p for p in linear if p.nodes <= GRAC[-1][0]), key=lambda p: p.error)
    twice = member(2, best.size, core=best.size // 2, radius=2.0 * radius_of(2, best.size))
    error_twice, _ = solved(twice, "bqcf", reference)
    once, _ = solved(member(2, best.size, core=best.size // 2), "bqcf", reference)
    figures: dict[str, float | int | str] = {
        "reference_norm": float(np.sqrt(reference.square)),
        "reference_norm_deviation": abs(float(np.sqrt(reference.square)) / NORM - 1.0),
        "nine_layers_energy_deviation": abs(nine_layers() - NINE_LAYERS),
        **{f"reference_{name}": value for name, value in reference.figures.items()},
        **{
            f"published_setup_{name}": " ".join(
                f"{p.error:.4f} ({w:g})" for p, w in zip(table[name], wanted[name], strict=True)
            )
            for name in wanted
        },
        "published_setup_worst": f"{worst[0]} {worst[1]}",
        "published_setup_worst_deviation_percent": 100.0 * abs(deviation[worst]),
        "published_setup_nodes_differing": differ,
        "truncation_times_layers": cut,
        "truncation_largest_share": max(p.truncation / p.error for points in free.values() for p in points),
        "best_method": f"{best.method}, F = {best.size}",
        "best_error_percent": 100.0 * best.error,
        "best_truncation_percent": 100.0 * best.truncation,
        "best_nodes": best.nodes,
        "best_seconds": best.seconds,
        "bqcf_P2_error_of_that_size_percent": 100.0 * once,
        "bqcf_P2_error_with_twice_the_radius_percent": 100.0 * error_twice,
        "best_linear_method": f"{best_linear.method}, F = {best_linear.size}",
        "best_linear_error_percent": 100.0 * best_linear.error,
        "best_linear_nodes": best_linear.nodes,
        **{f"slope_{name.replace(' ', '_')}": slope(points) for name, points in free.items()},
        "slope_clamped": slope(table["clamped"]),
        "sizes_P1": len(FAMILIES[1]),
        "sizes_P2": len(FAMILIES[2]),
    }
    figures["slope_P1"] = max(float(figures[f"slope_{m}_P1"]) for m in ("bgfc", "bqcf", "schwarz"))
    figures["slope_P2"] = max(float(figures[f"slope_{m}_P2"]) for m in ("bgfc", "bqcf", "schwarz"))
    target = HERE / "results" / "toy_eam.png"
    plot_errors({"clamped": table["clamped"], **free}, GRAC, target)
    plot_mesh(member(2, 12, core=6), HERE / "results" / "toy_eam_mesh.png")
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in ("toy_eam.png", "toy_eam_mesh.png"):
        shutil.copy(HERE / "results" / name, PICTURES / name)
    figures["seconds"] = time.perf_counter() - began
    bounds: dict[str, tuple[str, float]] = {
        "reference_norm_deviation": ("<=", 1e-5),
        "nine_layers_energy_deviation": ("<=", 1e-6),
        "published_setup_worst_deviation_percent": ("<=", 10.0),
        "published_setup_nodes_differing": ("==", 0),
        "truncation_largest_share": ("<=", 0.2),
        "best_error_percent": ("<", 0.34),
        "best_nodes": ("<=", 5004),
        "slope_P1": ("<=", -0.9),
        "slope_P2": ("<=", -1.4),
        "sizes_P1": (">=", 5),
        "sizes_P2": (">=", 5),
    }
    return report("toy_eam", figures, bounds)


if __name__ == "__main__":
    sys.exit(main())
