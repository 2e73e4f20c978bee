"""The double cantilever beam of Alfano (2006), bilinear law, beside Akantu at the same number of unknowns, mm, N and MPa.

python benchmarks/akantu_dcb.py [--rerun] [--environment FOLDER]

Akantu comes from PyPI into an environment of its own (made on demand). Its figures are kept in akantu_reference.json and used
again on the same kind of processor; --rerun, or another processor, measures anew. One core, one run each, 120 openings of
0.1 mm; seconds from building the mesh to the last opening, by the clock and by the processor. The ratio that is bounded is the
processor's, what the clock shows on an idle core: stored and new figures then compare however busy the machine was.
Linear elements at 16,020 unknowns in both; quadratic ones at the same 16,020 (nine nodes) here and 12,820 (eight nodes, as
many elements) in Akantu.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import venv
from datetime import date
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from _beam_specimens import ALFANO, BeamGrid, beam_mesh
from _report import report
from mpi4py import MPI

from continuum.laws import BilinearLaw
from continuum.materials import LinearElastic
from continuum.solid import Solid
from continuum.solvers import follow
from continuum.supports import Displacement

HERE = Path(__file__).parent
REFERENCE = HERE / "akantu_reference.json"
PACKAGE = "akantu==5.0.7.post1"
#: Elements along and through each arm, and their degree.
LINEAR, QUADRATIC = (800, 4, 1), (400, 2, 2)
LOADS = np.arange(1, 121) * 0.1
SHOWN = (4, 8, 12)


def ours(columns: int, rows: int, degree: int) -> dict:
    """Follow the beam here; the same fields as akantu_dcb_peer.py prints."""
    began, worked = time.perf_counter(), time.process_time()
    grid = BeamGrid(
        x=np.linspace(0.0, ALFANO.length, columns + 1), y=np.linspace(0.0, ALFANO.height, rows + 1), crack=ALFANO.crack
    )
    metal = LinearElastic.isotropic(E=ALFANO.modulus, nu=ALFANO.poisson)
    law = BilinearLaw(fracture_energy=ALFANO.toughness, peak_traction=30.0, initial_stiffness=1e4)
    solid = Solid(
        beam_mesh(MPI.COMM_SELF, grid),
        materials={"lower": metal, "upper": metal},
        interfaces={"interface": law},
        degree=degree,
        thickness=ALFANO.width,
        supports=[
            Displacement(group="lower grip", component="y", factor=-0.5),
            Displacement(group="upper grip", component="y", factor=0.5),
            Displacement(group="right", component="x"),
        ],
    )
    steps = follow(solid, LOADS.tolist())
    return {
        "unknowns": solid.n_dofs,
        "openings_mm": [step.load for step in steps],
        "forces_newton": [step.reaction for step in steps],
        "iterations": sum(step.iterations for step in steps),
        "cutbacks": sum(step.cutbacks for step in steps),
        "reached_mm": steps[-1].load,
        "seconds": time.perf_counter() - began,
        "processor_seconds": time.process_time() - worked,
    }


def environment(folder: Path) -> Path:
    """Akantu's own Python, made on demand.

    Raises:
        SystemExit: where the package cannot be installed; with the line that does it.
    """
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    if subprocess.run([python, "-c", "import akantu"], capture_output=True, check=False).returncode:
        line = [str(python), "-m", "pip", "install", PACKAGE]
        if subprocess.run(line, stdout=sys.stderr, check=False).returncode:
            raise SystemExit(f"{PACKAGE} cannot be installed (offline?). With a connection:\n    {' '.join(line)}")
    return python


def processor() -> str:
    """What this machine computes with."""
    models = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return models[0] if models else platform.machine()


def akantu(folder: Path, *, rerun: bool) -> dict:
    """Akantu's figures, {linear, quadratic, processor, date}: stored ones of this kind of processor, or measured now."""
    if REFERENCE.exists() and not rerun:
        stored = json.loads(REFERENCE.read_text())
        if stored["processor"] == processor():
            return stored
    python, answers = environment(folder), {}
    for name, case in (("linear", LINEAR), ("quadratic", QUADRATIC)):
        done = subprocess.run(
            [python, HERE / "akantu_dcb_peer.py", *map(str, case)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"akantu_dcb_peer.py failed:\n{done.stderr[-2000:]}")
        answers[name] = json.loads(done.stdout.strip().splitlines()[-1])
    measured = {**answers, "processor": processor(), "date": date.today().isoformat()}
    REFERENCE.write_text(json.dumps(measured) + "\n")
    return measured


def figures_of(name: str, run: dict) -> dict[str, float | int | str]:
    """What is shown of one run."""
    openings, forces = np.array(run["openings_mm"]), np.array(run["forces_newton"])
    found: dict[str, float | int | str] = {f"{name}_unknowns": run["unknowns"]}
    for opening in SHOWN:
        at = np.flatnonzero(np.abs(openings - opening) < 1e-9)
        if len(at):
            envelope = ALFANO.width * float(ALFANO.estimate.envelope(float(opening)))
            found[f"{name}_load_error_{opening}_mm_percent"] = (forces[at[0]] / envelope - 1.0) * 100.0
    return found | {
        f"{name}_peak_newton": forces.max(),
        f"{name}_reached_mm": run["reached_mm"],
        f"{name}_iterations": run["iterations"],
        f"{name}_seconds": run["seconds"],
        f"{name}_processor_seconds": run["processor_seconds"],
    }


def main() -> int:
    """Run, compare and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rerun", action="store_true", help="measure Akantu anew")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser.add_argument(
        "--environment", type=Path, default=cache / "multiscale" / "akantu", help="Akantu's environment"
    )
    arguments = parser.parse_args()
    peer = akantu(arguments.environment, rerun=arguments.rerun)
    # Forms are compiled (once a machine) before the clock starts, as Akantu's were when its wheel was made.
    for degree in (1, 2):
        ours(10, 1, degree)
    linear, quadratic = ours(*LINEAR), ours(*QUADRATIC)
    figures: dict[str, float | int | str] = {}
    for name, run in (("linear", linear), ("quadratic", quadratic)):
        figures |= figures_of(name, run)
        figures |= figures_of(f"akantu_{name}", peer[name])
    shown = [f"quadratic_load_error_{opening}_mm_percent" for opening in SHOWN]
    figures["largest_load_error_percent"] = max(abs(float(figures[name])) for name in shown)
    figures["unknowns_over_akantu"] = quadratic["unknowns"] / peer["linear"]["unknowns"]
    for name, run in (("linear", linear), ("quadratic", quadratic)):
        figures[f"{name}_seconds_over_akantu"] = run["processor_seconds"] / peer["linear"]["processor_seconds"]
    figures |= {"akantu_version": peer["linear"]["version"], "akantu_measured": f"{peer['date']}, {peer['processor']}"}
    return report(
        "akantu_dcb",
        figures,
        {
            "largest_load_error_percent": ("<=", 0.1),
            "unknowns_over_akantu": ("==", 1.0),
            "quadratic_reached_mm": (">=", 12.0),
            "quadratic_seconds_over_akantu": ("<=", 0.1),
            "linear_seconds_over_akantu": ("<=", 0.1),
        },
    )


if __name__ == "__main__":
    sys.exit(main())
