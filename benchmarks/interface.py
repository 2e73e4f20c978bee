"""Uniform opening of all cell types on one to three ranks: traction against the law; load, unload, reload.

python benchmarks/interface.py
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from _report import report

CELLS = ("triangle", "quadrilateral", "tetrahedron", "hexahedron")
RANKS = (1, 2, 3)


def measure() -> dict[str, float]:
    """Largest errors over all cells and degrees on this communicator."""
    from mpi4py import MPI

    from continuum.laws import ExponentialLaw
    from continuum.materials import LinearElastic
    from continuum.mesh import CELLS as DIMENSION
    from continuum.mesh import block
    from continuum.solid import Solid
    from continuum.solvers import SolverOptions, follow
    from continuum.supports import Displacement

    metal, law = LinearElastic.isotropic(E=0.6, nu=0.3), ExponentialLaw(fracture_energy=0.0743, peak_traction=0.0624)
    height, worst = 20.0, {"law": 0.0, "balance": 0.0, "reload": 0.0}
    for cell in CELLS:
        for degree in (1, 2):
            dim = DIMENSION[cell]
            mesh = block(MPI.COMM_WORLD, size=[10.0, height, 10.0][:dim], divisions=[4, 3, 4][:dim], cell=cell)
            supports = [
                Displacement(group="bottom", component="y"),
                Displacement(group="top", component="y", factor=1.0),
            ]
            sides = [("left", "x"), ("right", "x"), ("back", "z"), ("front", "z")]
            supports += [Displacement(group=g, component=c) for g, c in sides if g in mesh.groups]
            solid = Solid(
                mesh,
                materials={"lower": metal, "upper": metal},
                interfaces={"interface": law},
                degree=degree,
                supports=supports,
            )
            for load in (0.05, 0.3, 0.8, 1.5):
                follow(solid, [load], options=SolverOptions(rtol=1e-12))
                state = solid.interface_state("interface")
                opening = state.opening[:, 0]
                gap = np.abs(state.traction[:, 0] - law.traction(opening)).max()
                bulk = np.abs(metal.uniaxial_modulus * (load - opening) / height - state.traction[:, 0]).max()
                worst["law"] = max(worst["law"], gap / law.peak_traction)
                worst["balance"] = max(worst["balance"], bulk / law.peak_traction)
            down, up = follow(solid, [0.4, 1.5], options=SolverOptions(rtol=1e-12))
            secant = state.traction[0, 0] / opening[0]
            area = 10.0 ** (dim - 1)
            series = area * 0.4 / (1.0 / secant + height / metal.uniaxial_modulus)
            first = area * state.traction[0, 0]
            worst["reload"] = max(worst["reload"], abs(down.reaction / series - 1.0), abs(up.reaction / first - 1.0))
    return worst


def main() -> int:
    """Run on one to three ranks and report."""
    if "--measure" in sys.argv:
        from mpi4py import MPI

        worst = measure()
        if MPI.COMM_WORLD.rank == 0:
            print(json.dumps(worst))
        return 0
    begun = time.perf_counter()
    figures: dict[str, float] = {}
    beside = Path(sys.executable).parent / "mpirun"
    launcher = str(beside) if beside.exists() else (shutil.which("mpirun") or "mpirun")
    root = str(Path(__file__).resolve().parents[1])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    for ranks in RANKS:
        command = [launcher, "-n", str(ranks), sys.executable, __file__, "--measure"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=True)
        worst = json.loads(done.stdout.strip().splitlines()[-1])
        for name, value in worst.items():
            figures[f"{name}_error_{ranks}_ranks"] = value
    bounds = {name: ("<=", 1e-10) for name in figures}
    figures["seconds"] = time.perf_counter() - begun
    return report("interface", figures, bounds)


if __name__ == "__main__":
    sys.exit(main())
