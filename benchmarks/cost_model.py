"""Time and memory of held-out cases, predicted from the case alone and then measured.

python benchmarks/cost_model.py              predict and run every held-out case, benchmarks/data/cost/held_out_*.yaml
python benchmarks/cost_model.py --fit DIR    run the training cases into DIR (those that lie there stay) and fit the usual numbers

Each prediction is made in a process of its own by `multiscale run CASE --dry-run --json`, before the case is run; machine and
potentials are measured by it, on a cache that is empty when the benchmark begins. Held-out cases were chosen before the fit, and
none is in it. Seconds are those of the processor, or of the clock where these are fewer: what the case takes on a machine that
does nothing else, on one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _report import report

HERE = Path(__file__).parent
CASES = HERE / "data" / "cost"
EXAMPLES = HERE.parent / "examples"
# Examples that teach beside the training cases.
TAUGHT_BY = (
    *("adhesion", "adhesion_live", "adhesion_zone_eam", "contact_atoms_al", "contact_sphere"),
    *("crack_eam_fe", "crack_sw_si", "screw_dipole", "void", "void_snap_ni"),
)
BOUND_PERCENT = 30.0


def main() -> int:
    """Measure, or fit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fit", type=Path, metavar="DIR")
    arguments = parser.parse_args()
    if arguments.fit is not None:
        fit(arguments.fit)
        return 0
    figures: dict[str, float | int | str] = {}
    bounds: dict[str, tuple[str, float]] = {}
    potentials: set[str] = set()
    studies: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MULTISCALE_COST_CACHE": folder}
        for path in sorted(CASES.glob("held_out_*.yaml")):
            name = path.stem.removeprefix("held_out_")
            told = predicted(path, environment)
            layout = told["layouts"][0]
            measured = run(path, Path(folder) / name, environment)
            error = 100.0 * abs(layout["seconds"] / measured["seconds"] - 1.0)
            more = 100.0 * abs(layout["memory"] / measured["memory"] - 1.0)
            figures |= {
                f"{name}_predicted_seconds": round(layout["seconds"], 2),
                f"{name}_seconds": round(measured["seconds"], 2),
                f"{name}_clock_seconds": round(measured["clock"], 2),
                f"{name}_prediction_took_seconds": round(told["survey"]["seconds"], 2),
                f"{name}_predicted_gigabytes": round(layout["memory"] / 1e9, 3),
                f"{name}_gigabytes": round(measured["memory"] / 1e9, 3),
                f"{name}_time_error_percent": round(error, 1),
                f"{name}_memory_error_percent": round(more, 1),
            }
            bounds[f"{name}_time_error_percent"] = ("<=", BOUND_PERCENT)
            bounds[f"{name}_memory_error_percent"] = ("<=", BOUND_PERCENT)
            given = json.loads((Path(folder) / name / "run.json").read_text())["given"]
            studies.add(given["study"])
            potentials.update(str(p) for p in given.get("potentials", [given.get("potential")]))
            print(
                name, json.dumps({k: v for k, v in figures.items() if k.startswith(name)}), file=sys.stderr, flush=True
            )
    figures |= {"studies": len(studies), "potentials": len(potentials)}
    bounds |= {"studies": (">=", 3), "potentials": (">=", 3)}
    return report("cost_model", figures, bounds)


def predicted(path: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """What a dry run says of a case."""
    command = [sys.executable, "-m", "multiscale", "run", str(path), "--dry-run", "--json", "-n", "1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def run(path: Path, directory: Path, environment: Mapping[str, str]) -> dict[str, float]:
    """Run a case; its seconds and its peak memory, bytes, as the system saw them."""
    command = [sys.executable, "-m", "multiscale", "run", str(path), "-o", str(directory), "--quiet", "--force"]
    began = time.perf_counter()
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    clock = time.perf_counter() - began
    if status:
        raise RuntimeError(f"{path} ended with status {status}")
    processor = usage.ru_utime + usage.ru_stime
    return {"seconds": min(clock, processor), "clock": clock, "memory": 1024.0 * usage.ru_maxrss}


def fit(directory: Path) -> None:
    """Run what has not run yet, look at each case, and write the usual numbers."""
    from multiscale.cost.coefficients import (
        USUAL,
        Coefficient,
        Observation,
        coefficient_of,
        observe,
        write_coefficients,
    )
    from multiscale.cost.forecast import CROWDING, memory_driver, memory_key
    from multiscale.cost.machine import probe
    from multiscale.cost.records import read_run
    from multiscale.cost.survey import Stage

    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MULTISCALE_COST_CACHE": str(directory)}
    cases = {path.stem.removeprefix("training_"): path for path in sorted(CASES.glob("training_*.yaml"))}
    cases |= {name: EXAMPLES / f"{name}.yaml" for name in TAUGHT_BY}
    observations: list[Observation] = []
    for name, path in cases.items():
        measured = directory / f"{name}.measured.json"
        if not measured.is_file():
            measured.write_text(json.dumps(run(path, directory / name, environment)))
        record = read_run(directory / name)
        if record is None:
            raise RuntimeError(f"{directory / name} holds no finished run of one rank")
        kept = directory / f"{name}.survey.json"
        if not kept.is_file():
            kept.write_text(json.dumps(predicted(path, environment)))
        survey = json.loads(kept.read_text())["survey"]
        stages = [Stage(**stage) for stage in survey["stages"]]
        more = (record.work["peak_memory_bytes"] - survey["memory"]) / memory_driver(survey["unknowns"])
        # What the system saw holds the process's end too, which no record does.
        found = observe(stages, {**record.work, "cpu_seconds": json.loads(measured.read_text())["seconds"]}, speed=1.0)
        if more > 0:
            found.append(Observation(key=memory_key(survey["kind"]), value=more))
        observations += found
        print(name, {o.key: float(f"{o.value:.3g}") for o in found}, file=sys.stderr, flush=True)
    grouped: dict[str, list[float]] = {}
    for observation in observations:
        grouped.setdefault(observation.key, []).append(observation.value)
    coefficients = {key: coefficient_of(values) for key, values in grouped.items()}
    # Two ranks beside each other on the machine of the fit, see benchmarks/scaling.py.
    coefficients[CROWDING] = Coefficient(value=0.05, spread=1.05, weight=1.0)
    write_coefficients(USUAL, coefficients, probe_seconds=round(min(probe() for _ in range(5)), 5), cases=sorted(cases))


if __name__ == "__main__":
    raise SystemExit(main())
