"""A sweep of 200 cases whose driver is killed three times at random moments, and what a sweep costs beyond its cases.

python benchmarks/sweep.py [CASES]

1. 200 cases of the properties study (EMT aluminium; a Latin hypercube of its guess of a and of the strain of its equation of
   state) on two cores. Three times the driver is killed (SIGKILL) at a random moment and the same command is given again. The
   second time its cases are killed with it, as a machine that loses its power does. Counted: finished cases that ran again, cases
   lost, attempts that nothing explains.
2. A sweep on one core beside the same cases run one after the other by their own command. Counted per case, the start of the
   driver, its planning and its ledger included.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _report import report

from multiscale.sweep.ledger import CaseRow, Ledger
from multiscale.sweep.process import process_of

KILLS, POWER_CUT = 3, 1
SEED = 8
FEW = 12
TIMES_OUT = 3600.0
SWEEP = """\
case:
  study: properties
  potentials: emt
  crystal: {{element: Al, structure: fcc}}
  properties: [lattice, state]
design: latin-hypercube
parameters:
  crystal.a: {{from: 3.9 angstrom, to: 4.1 angstrom}}
  state.strain: {{from: 0.02, to: 0.08}}
samples: {samples}
seed: 1
run: {{cores: {cores}}}
"""


def main(cases: int = 200) -> int:
    """Do both and report."""
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        killed = killed_sweep(Path(folder), cases)
        cost = overhead(Path(folder))
    bounds = {
        "kills_of_the_driver": ("==", KILLS),
        "cases_done": ("==", cases),
        "finished_cases_run_again": ("==", 0),
        "cases_lost": ("==", 0),
        "unexplained_attempts": ("==", 0),
        "overhead_seconds_a_case": ("<=", 0.5),
        "overhead_within_the_sweep_seconds_a_case": ("<=", 0.5),
    }
    return report("sweep", killed | cost, bounds)


def start(file: Path, directory: Path) -> subprocess.Popen[bytes]:
    """The command, as a process that can be killed alone."""
    words = [sys.executable, "-m", "multiscale", "sweep", str(file), "-o", str(directory), "--quiet"]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, start_new_session=True)


def rows_of(directory: Path) -> tuple[CaseRow, ...]:
    """The ledger's cases, as anybody may read them at any time; none before there is one."""
    if not (directory / "sweep.sqlite").is_file():
        return ()
    with contextlib.suppress(ValueError), Ledger.read(directory) as ledger:
        return ledger.rows()
    return ()


def finished(directory: Path) -> dict[str, str]:
    """When each finished case began, by its own record: it changes where a case runs again."""
    began = {}
    for row in rows_of(directory):
        with contextlib.suppress(OSError, ValueError):
            record = json.loads((directory / row.directory / "run" / "run.json").read_text())
            if record["status"] == "finished":
                began[row.hash] = record["started"]
    return began


def killed_sweep(folder: Path, cases: int) -> dict[str, float | int]:
    """A sweep with kills; what was lost and what was repeated."""
    file, directory = folder / "killed.yaml", folder / "killed"
    file.write_text(SWEEP.format(samples=cases, cores=2))
    chance = random.Random(SEED)
    known: dict[str, str] = {}
    killed_cases = kills = 0
    begun = time.perf_counter()
    for number in range(KILLS):
        driver = start(file, directory)
        wanted = len(known) + chance.randint(max(1, cases // 20), max(2, cases // 4))
        while len(finished(directory)) < wanted and driver.poll() is None:
            time.sleep(0.5)
        durations = [row.seconds for row in rows_of(directory) if row.seconds] or [3.0]
        time.sleep(chance.uniform(0.0, 2.0 * sum(durations) / len(durations)))
        if driver.poll() is not None:
            break
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        kills += 1
        running = [row for row in rows_of(directory) if row.status == "RUNNING"]
        if number == POWER_CUT:
            for row in running:
                pid = process_of(directory / row.directory)
                if pid is not None:
                    os.killpg(pid, signal.SIGKILL)
                    killed_cases += 1
        known = finished(directory)
    code = start(file, directory).wait(TIMES_OUT)
    seconds = time.perf_counter() - begun
    last = finished(directory)
    rows = rows_of(directory)
    with Ledger.read(directory) as ledger:
        attempts = ledger.attempts()
    gone = sum(attempt["outcome"] == "STOPPED" for attempt in attempts)
    return {
        "kills_of_the_driver": kills,
        "cases_killed_with_it": killed_cases,
        "exit_code": code,
        "cases_done": sum(row.status == "DONE" for row in rows),
        "finished_cases_run_again": sum(last.get(digest) != when for digest, when in known.items()),
        "cases_lost": cases - len(last),
        "attempts": len(attempts),
        "attempts_without_an_end": gone,
        "unexplained_attempts": len(attempts) - cases - gone,
        "sweep_seconds": round(seconds, 1),
        "mean_case_seconds": round(sum(row.seconds for row in rows) / len(rows), 2),
    }


def overhead(folder: Path) -> dict[str, float]:
    """Seconds of a sweep on one core beyond its cases, and beyond the same cases by their own command."""
    file, directory = folder / "few.yaml", folder / "few"
    file.write_text(SWEEP.format(samples=FEW, cores=1))
    begun = time.perf_counter()
    assert start(file, directory).wait(TIMES_OUT) == 0
    sweep = time.perf_counter() - begun
    rows = rows_of(directory)
    begun = time.perf_counter()
    for row in rows:
        case, run = directory / row.directory / "case.yaml", folder / "alone" / row.hash
        words = [sys.executable, "-m", "multiscale", "run", str(case), "-o", str(run)]
        subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    alone = time.perf_counter() - begun
    within = sum(row.seconds for row in rows)
    return {
        "one_core_sweep_seconds_a_case": round(sweep / FEW, 3),
        "own_command_seconds_a_case": round(alone / FEW, 3),
        "overhead_seconds_a_case": round((sweep - alone) / FEW, 3),
        "overhead_within_the_sweep_seconds_a_case": round((sweep - within) / FEW, 3),
    }


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
