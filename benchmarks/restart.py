"""The restart matrix: every study, stopped by a file, by a signal and by a kill in the middle of a write, on one and two ranks.

Each small case is run once without interruption, then interrupted at a fixed share of its writes and resumed. On one rank the
results must be the same to the last bit: every number of every table and field, times apart. On two ranks they must agree to
1e-12, and where the run goes on with another number of ranks to 1e-8, each relative to the largest number of its column.

    python benchmarks/restart.py [NAMES OF CASES ...]
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from _report import report
from _restart_cases import CASES

from multiscale.agreement import agreement_of

ROOT = Path(__file__).parents[1]
INTERRUPT = Path(__file__).with_name("_restart_interrupt.py")
LIMIT = 300.0
#: How a run ends, at which share of its writes, on how many ranks, and with how many it goes on.
ROWS = (
    ("EXIT", 0.3, 1, 1),
    ("TERM", 0.6, 1, 1),
    ("KILL", 0.4, 1, 1),
    ("KILL", 0.85, 1, 1),
    ("EXIT", 0.7, 2, 2),
    ("TERM", 0.4, 2, 2),
    ("KILL", 0.6, 2, 2),
    ("KILL", 0.75, 1, 2),
    ("TERM", 0.75, 2, 3),
    ("KILL", 0.5, 2, 1),
)
#: Exit codes: resume me, or those of a process that was killed (by mpirun: of its own).
STOPPED, SIGKILLED = 75, (-9, 9, 137)
#: What tells times, not results.
TIMES = ("seconds", "time", "[s]", "started", "elapsed")


@dataclass(frozen=True)
class Row:
    """What came of one interruption: how it went, what it should have been, the largest relative difference."""

    case: str
    how: str
    ranks: tuple[int, int]
    stopped: bool
    difference: float
    bound: float
    remarks: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether it went as promised."""
        return self.stopped and self.difference <= self.bound and not self.remarks


def launch(ranks: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts here on so many ranks, one thread each."""
    command = [sys.executable, str(INTERRUPT), *arguments]
    if ranks > 1:
        command = [str(Path(sys.executable).parent / "mpirun"), "-n", str(ranks), *command]
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    environment = os.environ | threads | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=LIMIT, cwd=ROOT)


def options(case: Path, directory: Path) -> list[str]:
    """The command line of a run."""
    return ["run", str(case), "-o", str(directory), "--quiet", "--save", "every"]


def is_time(name: str) -> bool:
    """Whether a column or key tells a time."""
    return any(word in name.lower() for word in TIMES)


def unlike(before: Path, after: Path) -> list[str]:
    """Files of results that are not the same to the last bit, times apart."""
    found = []
    suffixes = {".csv", ".json", ".npz", ".extxyz", ".vtkhdf", ".vtu"}
    names = sorted(
        {str(p.relative_to(d)) for d in (before, after) for p in d.rglob("*") if p.suffix in suffixes}
        - {"run.json", "checkpoint/manifest.json"}
    )
    for name in names:
        if name.endswith("run.json") or "learning/" in name:
            continue
        if not (before / name).exists() or not (after / name).exists():
            found.append(f"{name} is in one of them only")
        elif content(before / name) != content(after / name):
            found.append(f"{name} differs")
    return found


def content(path: Path) -> object:
    """What a file says, without times and without what a library writes for itself."""
    if path.suffix == ".json":
        return json.dumps(without_times(json.loads(path.read_text())))
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name].tobytes() for name in file.files}
    if path.suffix == ".vtkhdf":
        arrays: dict[str, bytes] = {}
        with h5py.File(path) as file:
            file.visititems(
                lambda name, item: arrays.update({name: item[()].tobytes()}) if hasattr(item, "shape") else None
            )
        return arrays
    if path.suffix == ".csv":
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        rows = [line.split(",") for line in lines]
        timed = {i for i, heading in enumerate(rows[0]) if is_time(heading)} if rows else set()
        return [[cell for i, cell in enumerate(row) if i not in timed] for row in rows]
    return path.read_bytes()


def without_times(value: object) -> object:
    """Results without the numbers that are times."""
    if isinstance(value, dict):
        if value.get("unit") == "s" or is_time(str(value.get("name", ""))):
            return None
        return {key: without_times(item) for key, item in value.items() if not is_time(key)}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def interrupted(
    case: Path, name: str, reference: Path, writes: int, row: tuple[str, float, int, int], work: Path
) -> Row:
    """One run that is stopped and resumed, against the one that was not."""
    how, share, before, after = row
    directory = work / f"{how}-{share}-{before}-{after}"
    first = launch(before, how, str(max(round(share * writes), 1)), str(directory), *options(case, directory))
    stopped = first.returncode == STOPPED if how != "KILL" else first.returncode in SIGKILLED
    remarks = [] if stopped else [f"ended with {first.returncode}: {first.stderr.strip()[-300:]}"]
    second = launch(
        after, "count", str(work / f"ignored-{how}-{share}"), "resume", str(directory), "--quiet", "--save", "every"
    )
    if second.returncode != 0:
        remarks.append(f"resume ended with {second.returncode}: {second.stderr.strip()[-300:]}")
        return Row(name, how, (before, after), stopped, math.inf, 0.0, tuple(remarks))
    if before == after == 1:
        remarks += unlike(reference, directory)
    found = agreement_of(reference, directory)
    digits = min((one.digits for one in found.compared), default=math.nan)
    exact = all(one.before == one.after for one in found.compared)
    bound = (0.0 if before == 1 else 1e-12) if before == after else 1e-8
    difference = 0.0 if exact else 10.0**-digits
    remarks += [remark for remark in found.remarks if "run only" not in remark]
    return Row(name, how, (before, after), stopped, difference, bound, tuple(remarks))


def rows_of(name: str, folder: Path) -> list[Row]:
    """Every interruption of one case."""
    work = folder / name.replace(" ", "_").replace(",", "")
    work.mkdir()
    case = work / "case.yaml"
    case.write_text(json.dumps(CASES[name]))
    references, writes = {}, {}
    for ranks in (1, 2):
        references[ranks] = work / f"whole-{ranks}"
        count = work / f"writes-{ranks}"
        done = launch(ranks, "count", str(count), *options(case, references[ranks]))
        if done.returncode not in (0, 1) or not count.exists():
            raise SystemExit(f"{name} does not run: {done.stderr[-500:]}")
        writes[ranks] = int(count.read_text())
    with ThreadPoolExecutor(max_workers=2) as pool:
        found = list(pool.map(lambda row: interrupted(case, name, references[row[2]], writes[row[2]], row, work), ROWS))
    for one in found:
        word = "as promised" if one.good else f"NOT as promised: {'; '.join(one.remarks) or one.difference}"
        print(f"{name}: {one.how} on {one.ranks[0]}, on with {one.ranks[1]}: {one.difference:.1e}, {word}", flush=True)
    return found


def saving_share(folder: Path) -> tuple[float, float]:
    """Percent of a run's time that keeping every state takes, and seconds of a step: a beam with a finer mesh."""
    fine = CASES["adhesion"] | {"mesh": {"elements_in_zone": 40}, "loading": {"opening": {"to": "16 nm", "steps": 16}}}
    case, directory = folder / "fine.yaml", folder / "fine"
    case.write_text(json.dumps(fine))
    done = launch(1, "count", str(folder / "writes"), *options(case, directory))
    if done.returncode != 0:
        raise SystemExit(done.stderr[-500:])
    record = json.loads((directory / "run.json").read_text())
    loading = record["phases"]["loading"]
    return 100.0 * record["saving"]["seconds"] / record["seconds"], loading / record["saving"]["states"]


def main() -> int:
    """Go through the matrix."""
    names = sys.argv[1:] or list(CASES)
    began, rows = time.perf_counter(), []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            rows += rows_of(name, Path(folder))
        share, step = saving_share(Path(folder))
    figures = {
        "cases": len(names),
        "interruptions": len(rows),
        "not_as_promised": sum(not row.good for row in rows),
        "largest_difference_one_rank": max((r.difference for r in rows if r.ranks == (1, 1)), default=0.0),
        "largest_difference_two_ranks": max((r.difference for r in rows if r.ranks == (2, 2)), default=0.0),
        "largest_difference_other_ranks": max((r.difference for r in rows if r.ranks[0] != r.ranks[1]), default=0.0),
        "saving_percent_of_the_run": share,
        "seconds_a_step_there": step,
        "minutes": round((time.perf_counter() - began) / 60.0, 1),
    }
    bounds = {
        "not_as_promised": ("==", 0),
        "largest_difference_one_rank": ("==", 0.0),
        "largest_difference_two_ranks": ("<=", 1e-12),
        "largest_difference_other_ranks": ("<=", 1e-8),
        "saving_percent_of_the_run": ("<=", 2.0),
        "seconds_a_step_there": (">=", 1.0),
    }
    return report("restart", figures, bounds)


if __name__ == "__main__":
    sys.exit(main())
