"""Debonding of two stiff inclusions: the plate of the FEniCSx tours, and the energy of a law with a potential.

The problem is that of J. Bleyer's tour "Cohesive zone modeling restricted to an interface" (Numerical tours of computational
mechanics with FEniCSx, bleyerj.github.io/comet-fenicsx): a plate of 1 × 0.5 mm in plane strain, half discs of radius
0.25 mm around (0.4, 0) and (0.6, 0.5) mm, E = 3.09 and 10 GPa, ν = 0.25 and 0.4, held at the left, its right end moved by
0.04 mm in 40 steps. The law has T = G_c/δ₀² (1 − d) ⟦u⟧ in both modes and in compression too, d = 1 − exp(−δ/δ₀) with
δ² = u_n² + 4 u_t², σ_max = 50 MPa, G_c = 0.5 N/mm: for opening alone it is `ExponentialLaw`. It has no potential, and what
it spends is only known for small steps: not in the fall. The page shows its force–displacement curve without numbers. Those
in inclusion_reference.json come from a run of the tour's script with three changes: calls that FEniCSx 0.11 has renamed,
its blocked solver replaced by a plain assembly and an LU factor of the same system, and its end supports found by place; it
stops its fixed-point iterations when d changes by less than 10⁻⁴ of the interface's length. The picture's left half shows
`ExponentialLaw` with the same two numbers: with a potential, the same energy in both modes, and contact.

    python benchmarks/inclusion.py [--picture docs/images/inclusion.png]
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from _report import report
from mpi4py import MPI

from continuum.laws import CohesiveLaw, ExponentialLaw, LawResponse
from continuum.linear import ReferenceMatrix
from continuum.materials import LinearElastic
from continuum.mesh import read_mesh
from continuum.solid import Solid
from continuum.supports import Displacement

# N and mm throughout: the solver only sees numbers, and energies come out in N·mm.
TOUGHNESS, STRENGTH, BETA = 0.5, 50.0, 2.0
LOADS = np.linspace(0.0, 0.04, 41)[1:]
MATERIALS = {
    "matrix": LinearElastic.isotropic(E=3.09e3, nu=0.25),
    "inclusions": LinearElastic.isotropic(E=10e3, nu=0.4),
}
REFERENCE = Path(__file__).with_name("inclusion_reference.json")


class TourLaw(CohesiveLaw):
    """The tour's law. History: damage, energy spent, square of the jump at which it was last reckoned."""

    variational, symmetric, history_size = False, False, 3

    def __init__(self) -> None:
        self.fracture_energy, self.peak_traction = TOUGHNESS, STRENGTH
        self.opening_at_peak = TOUGHNESS / STRENGTH / np.e
        self.initial_stiffness = TOUGHNESS / self.opening_at_peak**2
        self.final_opening = 12.0 * self.opening_at_peak
        self._finish("damaging", None)

    def evaluate(self, jump: np.ndarray, history: np.ndarray) -> LawResponse:
        """Traction and energies; see the module's docstring."""
        scale = np.full(jump.shape[1], BETA**2)
        scale[0] = 1.0
        opening = np.sqrt((scale * jump**2).sum(axis=1))
        damage = -np.expm1(-opening / self.opening_at_peak)
        loading = damage > history[:, 0]
        damage = np.maximum(damage, history[:, 0])
        secant = self.initial_stiffness * (1.0 - damage)
        tangent = secant[:, None, None] * np.eye(jump.shape[1])
        slope = np.where(loading, secant / (self.opening_at_peak * np.maximum(opening, 1e-300)), 0.0)
        tangent -= slope[:, None, None] * jump[:, :, None] * (scale * jump)[:, None, :]
        square = (jump**2).sum(axis=1)
        spent = history[:, 1] + 0.25 * self.initial_stiffness * (square + history[:, 2]) * (damage - history[:, 0])
        return LawResponse(
            traction=secant[:, None] * jump,
            tangent=tangent,
            secant=np.repeat(secant[:, None], jump.shape[1], axis=1),
            history_new=np.column_stack([damage, spent, square]),
            stored=0.5 * secant * square,
            dissipated=spent,
            contact=np.zeros(len(jump)),
            damage=damage,
        )


def plate(size: float, law: CohesiveLaw, degree: int) -> Solid:
    """The plate, meshed by gmsh with elements of one size."""
    try:
        import gmsh
    except ImportError:
        raise SystemExit("the plate is meshed by gmsh, which is not here: pip install 'gmsh>=4.13'") from None

    gmsh.initialize()
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        occ, model = gmsh.model.occ, gmsh.model
        box = occ.addRectangle(0.0, 0.0, 0.0, 1.0, 0.5)
        discs = [(2, occ.addDisk(x, y, 0.0, 0.25, 0.25)) for x, y in ((0.4, 0.0), (0.6, 0.5))]
        inside, _ = occ.intersect([(2, box)], discs, removeObject=False)
        occ.fragment([(2, box)], inside)
        occ.synchronize()
        areas = {t: occ.getMass(2, t) for _, t in model.getEntities(2)}
        matrix = max(areas, key=areas.__getitem__)
        model.addPhysicalGroup(2, [matrix], name="matrix")
        model.addPhysicalGroup(2, [t for t in areas if t != matrix], name="inclusions")
        ends = {"left": 0.0, "right": 1.0}
        for name, x in ends.items():
            lines = [t for _, t in model.getEntities(1) if abs(occ.getCenterOfMass(1, t)[0] - x) < 1e-6]
            model.addPhysicalGroup(1, lines, name=name)
        gmsh.option.setNumber("Mesh.MeshSizeMin", size)
        gmsh.option.setNumber("Mesh.MeshSizeMax", size)
        model.mesh.generate(2)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "plate.msh"
            gmsh.write(str(path))
            bodies = read_mesh(path, MPI.COMM_WORLD, bodies=["matrix", "inclusions"])
    finally:
        gmsh.finalize()
    return Solid(
        bodies,
        materials=MATERIALS,
        interfaces={"interface": law},
        degree=degree,
        supports=[
            Displacement(group="left", component="x"),
            Displacement(group="left", component="y"),
            Displacement(group="right", component="y"),
            Displacement(group="right", component="x", factor=1.0),
        ],
    )


def relax(solid: Solid, load: float, reference: ReferenceMatrix, *, tolerance: float = 1e-6, most: int = 5000) -> int:
    """Secant iterations at a load until damage stands still; an unstable plate falls to its next stable state."""
    solid.set_load(load)
    held = solid.prescribed.dofs
    damage = solid.respond().damage
    for count in range(1, most + 1):
        answer = solid.respond()
        index = np.arange(solid.dim)
        stiffness = np.zeros_like(answer.tangent)
        stiffness[:, index, index] = answer.secant
        reference.factorise(stiffness)
        force = np.array(solid.internal_force(answer.traction).array)
        force[held] = 0.0
        solid.owned()[:] += reference.solve(-force)
        after = solid.respond().damage
        if np.abs(after - damage).max() < tolerance:
            return count
        damage = after
    raise RuntimeError(f"damage still moves after {most} secant iterations at {load}")


def curve(size: float, law: CohesiveLaw, degree: int) -> tuple[Solid, np.ndarray, np.ndarray]:
    """The solid at the end, its force at each load (N per mm of thickness), and work less energy in N."""
    solid = plate(size, law, degree)
    reference = ReferenceMatrix(solid, method="direct")
    forces, missing, work, last = [], [], 0.0, (0.0, 0.0)
    for load in LOADS:
        relax(solid, float(load), reference)
        force = solid.reaction()
        work += 0.5 * (force + last[1]) * (load - last[0])
        last = (float(load), force)
        forces.append(force)
        missing.append(work - solid.energies().total)
        solid.commit()
    return solid, np.array(forces), np.array(missing)


def fall(forces: np.ndarray) -> int:
    """Index of the last load before the largest drop of the force."""
    return int(np.argmin(np.diff(forces)))


def draw(path: str, solid: Solid, curves: dict[str, np.ndarray]) -> None:
    """The plate at the end, jumps as they are, beside the force–displacement curves."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8), constrained_layout=True, width_ratios=[1.25, 1])
    x = solid.bodies.mesh.geometry.x[:, :2]
    nodes = solid.bodies.mesh.geometry.dofmaps[0]
    first = solid.space.dofmap.list[:, :3]
    moved = x.copy()
    moved[nodes] += solid.u.x.array.reshape(-1, 2)[first]
    left.tripcolor(*moved.T, nodes, facecolors=solid.bodies.body_of_cell.astype(float), cmap="Blues", vmin=-1, vmax=2.5)
    left.triplot(*moved.T, nodes, color="0.35", lw=0.15)
    left.set(aspect="equal", xlabel="x [mm]", ylabel="y [mm]", title=f"end displacement {LOADS[-1]:g} mm, to scale")
    styles = {0: {"marker": "o", "ms": 4, "mfc": "none", "ls": "none"}, 1: {"lw": 1.5}, 2: {"lw": 1.5, "ls": "--"}}
    for i, (name, force) in enumerate(curves.items()):
        right.plot(np.concatenate([[0], LOADS]), np.concatenate([[0], force]), label=name, **styles[i])
    right.set(xlabel="end displacement [mm]", ylabel="force [N/mm]")
    right.legend()
    figure.savefig(path, dpi=150)


def main(picture: str | None) -> int:
    """Follow, compare, report."""
    tour = np.array(json.loads(REFERENCE.read_text())["force"])[1:]
    _, same, missing = curve(0.02, TourLaw(), 1)
    before = min(fall(same), fall(tour))
    finer = {h: curve(h, TourLaw(), 2)[1] for h in (0.04, 0.02, 0.01)}
    end = curve(0.02, ExponentialLaw(fracture_energy=TOUGHNESS, peak_traction=STRENGTH), 2)
    rise = slice(0, before + 1)
    peaks = {h: float(f.max()) for h, f in finer.items()}
    figures = {
        "unlike the tour's force before debonding": float(np.abs(same[rise] / tour[rise] - 1.0).max()),
        "peak force": float(same.max()),
        "peak force of the tour": float(tour.max()),
        "peak unlike the tour's": float(abs(same.max() / tour.max() - 1.0)),
        "displacement before the drop": float(LOADS[fall(same)]),
        "displacement before the drop, tour": float(LOADS[fall(tour)]),
        "unlike the tour's force at the end": float(abs(same[-1] / tour[-1] - 1.0)),
        "force at the end": float(same[-1]),
        "force at the end, tour": float(tour[-1]),
        "work less energy before the drop": float(np.abs(missing[rise]).max() / TOUGHNESS),
        **{f"peak force, degree 2, size {h:g}": p for h, p in peaks.items()},
        "peak's change from size 0.02 to 0.01": abs(peaks[0.01] / peaks[0.02] - 1.0),
        "peak force with a potential and contact": float(end[1].max()),
        "energy lost in the drop, with a potential": float(end[2][-1]),
        "work less energy before the drop, with a potential": float(
            np.abs(end[2][: fall(end[1]) + 1]).max() / TOUGHNESS
        ),
    }
    bounds = {
        "unlike the tour's force before debonding": ("<=", 0.01),
        "peak unlike the tour's": ("<=", 0.01),
        "unlike the tour's force at the end": ("<=", 0.01),
        "peak's change from size 0.02 to 0.01": ("<=", 0.01),
    }
    if picture:
        draw(picture, end[0], {"tour": tour, "same mesh size, linear": same, "size 0.01 mm, quadratic": finer[0.01]})
    return report("inclusion", figures, bounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--picture")
    sys.exit(main(parser.parse_args().picture))
