"""The main job as a user runs it: examples/adhesion.yaml on the command line, on 1, 2 and 3 ranks, and with twice the steps.

Figures: wall time by phase, potential calls, peak memory, crack advance, closure of the ledger and its convergence.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _report import report

ROOT = Path(__file__).parents[1]
CASE = ROOT / "examples" / "adhesion.yaml"


def run(case: Path, directory: Path, *, ranks: int) -> tuple[dict, dict, float]:
    """Run a case on the command line; returns run.json, results.json and the wall seconds."""
    command = [sys.executable, "-m", "multiscale", "run", str(case), "-o", str(directory), "--quiet"]
    if ranks > 1:
        command = [str(Path(sys.executable).parent / "mpirun"), "-n", str(ranks), *command]
    began = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=1200)
    seconds = time.perf_counter() - began
    read = [json.loads((directory / name).read_text()) for name in ("run.json", "results.json")]
    return read[0], read[1], seconds


def quantity(results: dict, name: str) -> float:
    """The value of a quantity by its name."""
    return next(q["value"] for q in results["quantities"] if q["name"] == name)


def loads(directory: Path) -> np.ndarray:
    """The load column of a run."""
    with open(directory / "load_opening.csv") as stream:
        return np.array([float(row["load [N/m]"]) for row in csv.DictReader(stream)])


def main() -> int:
    """Measure and report."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        first, results, seconds = run(CASE, base / "1", ranks=1)
        differences = []
        for ranks in (2, 3):
            run(CASE, base / str(ranks), ranks=ranks)
            differences.append(np.max(np.abs(loads(base / str(ranks)) - loads(base / "1"))) / np.max(loads(base / "1")))
        fine_case = base / "fine.yaml"
        fine_case.write_text(CASE.read_text().replace("steps: 60", "steps: 120"))
        _, fine, _ = run(fine_case, base / "fine", ranks=1)
    figures: dict[str, float] = {f"seconds_{k.replace(' ', '_')}": v for k, v in first["phases"].items()}
    figures |= {
        "seconds": seconds,
        "peak_memory_gib_of_a_rank": max(first["peak_memory_bytes_by_rank"]) / 2**30,
        "potential_calls": quantity(results, "potential calls"),
        "work_of_separation_j_per_m2": quantity(results, "work of separation, rigid"),
        "peak_traction_gpa": quantity(results, "peak traction"),
        "crack_advance_nm": quantity(results, "crack advance"),
        "energy_dissipated_per_new_surface_j_per_m2": quantity(results, "energy dissipated per new surface"),
        "load_against_beam_envelope_percent": quantity(results, "last load against beam envelope"),
        "load_difference_on_2_ranks": float(differences[0]),
        "load_difference_on_3_ranks": float(differences[1]),
        "closure_of_a_step": quantity(results, "closure of a step"),
        "closure_of_the_run": quantity(results, "closure of the run"),
        "closure_of_the_run_with_twice_the_steps": quantity(fine, "closure of the run"),
    }
    figures["closure_falls_by"] = figures["closure_of_the_run"] / figures["closure_of_the_run_with_twice_the_steps"]
    bounds: dict[str, tuple[str, float]] = {
        "seconds": ("<=", 120.0),
        "crack_advance_nm": (">=", 100.0),
        "load_difference_on_2_ranks": ("<=", 1e-8),
        "load_difference_on_3_ranks": ("<=", 1e-8),
        "closure_of_a_step": ("<=", 1e-8),
        "closure_of_the_run": ("<=", 1e-3),
        "closure_falls_by": (">=", 3.5),
    }
    return report("main_job", figures, bounds)


if __name__ == "__main__":
    sys.exit(main())
