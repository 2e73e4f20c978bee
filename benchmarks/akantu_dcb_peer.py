"""The double cantilever beam of Alfano (2006) in Akantu, implicit; run by akantu_dcb.py in Akantu's own environment.

python akantu_dcb_peer.py COLUMNS ROWS DEGREE     elements along and through each arm, 1 or 2; prints one JSON object

mm, N, MPa; plane strain; Akantu's own static solver (Newton–Raphson) does every step. Akantu has no step control: a step that it
does not converge is halved here, up to six times.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import akantu as aka
import numpy as np

LENGTH, HEIGHT, CRACK, WIDTH = 100.0, 1.5, 30.0, 20.0
STEP, END, HALVINGS = 0.1, 12.0, 6
MATERIALS = """
model solid_mechanics_model_cohesive [
  cohesive_inserter [
    cohesive_surfaces = [interface]
  ]
  material elastic [
    name = metal
    rho = 1.0
    E = 70e3
    nu = 0.3
    Plane_Stress = false
  ]
  material cohesive_bilinear [
    name = interface
    sigma_c = 30.0
    G_c = 0.5
    delta_0 = 0.003
    penalty = 1e4
    beta = 1.0
    kappa = 1.0
  ]
]
"""


def write_mesh(path: Path, columns: int, rows: int, degree: int) -> None:
    """Write both arms as one gmsh mesh: nodes shared from the tip on (Akantu doubles them), doubled along the crack."""
    numbers: dict[tuple[int, int, int], int] = {}
    places: list[tuple[float, float]] = []
    tip = round(CRACK / LENGTH * columns) * degree

    def node(i: int, j: int, arm: int) -> int:
        key = (i, j, 0 if j == 0 and i >= tip else arm)
        if key not in numbers:
            numbers[key] = len(places) + 1
            places.append((i * LENGTH / (columns * degree), (2 * arm - 1) * j * HEIGHT / (rows * degree)))
        return numbers[key]

    elements = []
    d = degree
    for arm in (0, 1):
        for j in range(0, rows * d, d):
            for i in range(0, columns * d, d):
                corners = [(i, j), (i + d, j), (i + d, j + d), (i, j + d)]
                corners = corners if arm else corners[::-1]
                middles = [
                    ((a + c) // 2, (b + e) // 2)
                    for (a, b), (c, e) in zip(corners, corners[1:] + corners[:1], strict=True)
                ]
                nodes = [node(a, b, arm) for a, b in corners + (middles if d == 2 else [])]
                elements.append((16 if d == 2 else 3, 1 + arm, nodes))
    for i in range(tip, columns * d, d):
        ends = [i, i + d] + ([i + 1] if d == 2 else [])
        elements.append((8 if d == 2 else 1, 3, [node(a, 0, 0) for a in ends]))
    lines = ["$MeshFormat", "2.2 0 8", "$EndMeshFormat", "$PhysicalNames", "3"]
    lines += ['2 1 "lower"', '2 2 "upper"', '1 3 "interface"', "$EndPhysicalNames", "$Nodes", str(len(places))]
    lines += [f"{k} {x:.17g} {y:.17g} 0" for k, (x, y) in enumerate(places, start=1)]
    lines += ["$EndNodes", "$Elements", str(len(elements))]
    lines += [
        f"{k} {kind} 2 {group} {group} {' '.join(map(str, nodes))}"
        for k, (kind, group, nodes) in enumerate(elements, start=1)
    ]
    path.write_text("\n".join([*lines, "$EndElements", ""]))


def follow(columns: int, rows: int, degree: int, folder: Path) -> dict:
    """Open the beam to the end, or as far as Akantu gets."""
    began, worked = time.perf_counter(), time.process_time()
    write_mesh(folder / "beam.msh", columns, rows, degree)
    (folder / "materials.dat").write_text(MATERIALS)
    aka.parseInput(str(folder / "materials.dat"))
    mesh = aka.Mesh(2)
    mesh.read(str(folder / "beam.msh"))
    model = aka.SolidMechanicsModelCohesive(mesh)
    model.initFull(_analysis_method=aka._static, _is_extrinsic=False)
    solver = model.getNonLinearSolver()
    solver.set("max_iterations", 200)
    solver.set("threshold", 1e-6)
    solver.set("convergence_type", aka.SolveConvergenceCriteria.residual)
    x, u, blocked = np.array(mesh.getNodes()), model.getDisplacement(), model.getBlockedDOFs()
    left = np.flatnonzero(x[:, 0] < 1e-9)
    # Both ends of the crack's faces lie at y = 0; the lower arm's nodes were written first.
    lower, upper = left[: len(left) // 2], left[len(left) // 2 :]
    blocked[left, 1] = True
    blocked[x[:, 0] > LENGTH - 1e-9, 0] = True
    openings, forces, iterations, failures = [], [], 0, 0
    reached, share = 0.0, 1.0
    for target in STEP * np.arange(1, round(END / STEP) + 1):
        while reached < target:
            opening = min(reached + share * STEP, target)
            if target - opening < 1e-9:
                opening = target
            before = np.array(u)
            u[lower, 1], u[upper, 1] = -0.5 * opening, 0.5 * opening
            try:
                model.solveStep()
            except aka.NLSNotConvergedException:
                failures += 1
                u[:] = before
                share *= 0.5
                if share < 0.5**HALVINGS:
                    break
                continue
            iterations += solver.getInt("nb_iterations")
            reached = opening
        if reached < target:
            break
        share = 1.0
        openings.append(float(target))
        forces.append(-WIDTH * float(np.asarray(model.getInternalForce())[upper, 1].sum()))
    return {
        "unknowns": 2 * len(x),
        "openings_mm": openings,
        "forces_newton": forces,
        "iterations": iterations,
        "failed_steps": failures,
        "reached_mm": reached,
        "seconds": time.perf_counter() - began,
        "processor_seconds": time.process_time() - worked,
        "version": aka.__version__,
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        answer = follow(*(int(argument) for argument in sys.argv[1:4]), Path(name))
    print(json.dumps(answer), flush=True)
