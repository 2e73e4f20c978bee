"""Faults, what each should come to, and how one is run: shared by benchmarks/faults.py and the tests."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
RANK = "{rank}"
LIMIT = 240.0
"""Seconds after which a run counts as hanging."""
STEPS = 6
SAME = 1e-12
"""Of the largest number of a column: what ranks that share sums may differ by."""

BLOCK = """\
study: adhesion
potential: {calculator: "ase.calculators.emt:EMT"}
crystal: {element: Cu, structure: fcc}
interface: {plane: [1, 1, 1]}
decohesion: {mode: rigid, relax: false, opening: {to: 6 angstrom, points: 16}}
specimen: {shape: block, width: 2 nm, height: 1 nm}
loading: {opening: {to: 3 angstrom, steps: 6}}
verification: {stacks: []}
"""
ZONE = BLOCK.replace("width: 2 nm, height: 1 nm", "width: 12 nm, height: 6 nm").replace("to: 3 ang", "to: 2 ang") + (
    "zone: {shape: box, size: [1 nm, 1 nm], blend: 1 nm, method: bqcf}\n"
)
CASES = {
    "block": BLOCK,
    "live": BLOCK.replace("decohesion: {mode: rigid, relax: false,", "law: {type: live}\ndecohesion: {relax: false,"),
    "zone": ZONE,
    "far": BLOCK.replace("to: 3 angstrom, steps: 6", "to: 6 angstrom, steps: 6").replace(
        "verification", "solver: {max_cutbacks: 0, max_iterations: 2}\nverification"
    ),
    "lammps": BLOCK.replace('{calculator: "ase.calculators.emt:EMT"}', "eam-cu"),
    "missing": BLOCK.replace("ase.calculators.emt:EMT", "no_such_engine.calculator:Engine"),
    "no model": BLOCK.replace('{calculator: "ase.calculators.emt:EMT"}', "{path: weights.pth}"),
}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        inject: fault, where and which of them: see `_faulty.py`.
        rank: where it happens: the "first" or the "last".
        ranks: numbers of ranks that it is tried on.
        case: of `CASES`.
        options: of the command.
        redirect: of the shell, such as ">&-"; one rank only.
        prepare: does something to the run directory before the run.
        damage: does something to the directory of a run that was stopped well, which is then resumed.
        codes: exit codes that are right; None stands for any but 0.
        says: what the one message must contain; `{rank}` stands for the rank.
        words: False for a process that dies without any: nothing of ours is left to speak.
        kept: committed steps that must be kept at least.
        resumes: whether resuming without the fault must come to the end, with the same results.
        patience: seconds from the fault to the end of all processes.
    """

    inject: tuple[str, str, int] = ("nothing", "", 0)
    rank: str = "last"
    ranks: tuple[int, ...] = (1, 2)
    case: str = "block"
    options: tuple[str, ...] = ()
    redirect: str = ""
    prepare: Callable[[Path], None] | None = None
    damage: Callable[[Path], None] | None = None
    codes: tuple[int, ...] | None = (1,)
    says: tuple[str, ...] = ()
    words: bool = True
    kept: int = 0
    resumes: bool = True
    patience: float = 20.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a fault came to.

    Attributes:
        name, ranks: what was run.
        code: exit code.
        seconds: from the fault, where it says when, else from the start, to the end of all processes.
        message: what was said.
        complaints: what is not as it should be.
    """

    name: str
    ranks: int
    code: int | None
    seconds: float
    message: str
    complaints: list[str] = field(default_factory=list)


def newest(directory: Path, pattern: str) -> Path:
    return max((directory / "checkpoint").glob(pattern), key=lambda path: path.stat().st_mtime_ns)


def states(directory: Path) -> list[Path]:
    return sorted((directory / "checkpoint").glob("*.npz"))


def change(path: Path, edit: Callable[[bytearray], bytearray]) -> None:
    path.write_bytes(edit(bytearray(path.read_bytes())))


def flipped(data: bytearray) -> bytearray:
    data[len(data) // 2] ^= 0x10
    return data


def halved(data: bytearray) -> bytearray:
    return data[: len(data) // 2]


def edit_manifest(directory: Path, **changes: object) -> None:
    path = directory / "checkpoint" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def ask_to_exit(directory: Path) -> None:
    directory.mkdir()
    (directory / "EXIT").touch()


def every_state(edit: Callable[[bytearray], bytearray]) -> Callable[[Path], None]:
    return lambda directory: [change(path, edit) for path in states(directory)] and None


EVALUATION = ("separation", "[")
AGAIN = "multiscale resume"
FAULTS: dict[str, Fault] = {
    # The potential.
    "the potential raises": Fault(
        inject=("fail", "evaluation", 8), says=("failed on Cu", "RuntimeError: the engine fell over", RANK)
    ),
    "the potential raises in the zone": Fault(
        inject=("fail", "loading", 9), rank="first", case="zone", kept=1, says=("no equilib", "fell over", "zone of atoms")
    ),
    "the potential raises at a live facet": Fault(
        inject=("fail", "loading", 3), rank="first", ranks=(1,), case="live", kept=1,
        says=("interface 'interface', facet", "point", "opening", "rank 0", "the engine fell over"),
    ),
    "not a number from the potential": Fault(
        inject=("poison", "evaluation", 8), says=("not a finite number", "too close", RANK)
    ),
    "not a number at a live facet": Fault(
        inject=("poison", "loading", 3), rank="first", ranks=(1,), case="live", kept=1,
        says=("facet", "point", "not a finite number", "rank 0"),
    ),
    "not a number at a live law's opening": Fault(
        inject=("poison", "loading", 2), ranks=(2,), case="live", kept=1, says=("cell at opening", "finite number", "rank 1")
    ),
    "not a number in the zone": Fault(
        inject=("poison", "loading", 9), rank="first", case="zone", kept=1, says=("no equilib", "finite number", "zone of atoms")
    ),
    "LAMMPS loses atoms": Fault(inject=("lose_atoms", "evaluation", 4), case="lammps", says=("3 of", "atoms were lost", RANK)),
    "memory used up": Fault(inject=("exhaust", "evaluation", 8), says=("memory is used up", RANK, AGAIN)),
    "memory of torch used up": Fault(inject=("exhaust_torch", "evaluation", 8), says=("can't allocate memory", RANK, AGAIN)),
    "memory of the GPU used up": Fault(inject=("exhaust_cuda", "evaluation", 8), says=("out of memory", RANK, AGAIN)),
    "engine missing": Fault(case="missing", codes=(2,), says=("no_such_engine", "not installed", "potential"), resumes=False),
    "model file missing": Fault(case="no model", codes=(2,), says=("weights.pth", "potential"), resumes=False),
    # The continuum.
    "linear solver finds no numbers": Fault(
        inject=("spoil", "solution", 8), says=("no finite solution", "loading", RANK), kept=1
    ),
    "no equilibrium": Fault(case="far", says=("no equilibrium at load", "loading", "max_cutbacks"), resumes=False),
    # One rank.
    "one rank raises in a step": Fault(inject=("trip", "step", 3), says=("KeyError", RANK, "loading, after 2 of 6"), kept=2),
    "the first rank raises in a step": Fault(
        inject=("trip", "step", 3), rank="first", says=("KeyError", RANK, "loading, after 2 of 6"), kept=2
    ),
    "an engine calls exit": Fault(inject=("leave_politely", "evaluation", 8), codes=None, says=("SystemExit", RANK)),
    "an engine leaves without a word": Fault(inject=("leave", "evaluation", 8), codes=None, words=False),
    "an engine crashes": Fault(
        inject=("crash", "step", 3), codes=None, words=False, says=("Segmentation fault", "on_step"), kept=2
    ),
    "an engine aborts": Fault(inject=("abort", "step", 3), codes=None, words=False, says=("Aborted",), kept=2),
    "a rank is killed": Fault(inject=("kill", "step", 3), codes=None, words=False, kept=2),
    "killed while a checkpoint is written": Fault(inject=("kill", "write", 6), rank="first", codes=None, words=False, kept=2),
    # Hangs.
    "a rank enters another collective": Fault(
        inject=("desert", "step", 3), ranks=(2,), options=("--watchdog", "2 s"), kept=2,
        says=("nothing has moved", "rank 0 stands in", "rank 1 stands in desert", "loading, after 2 of 6"),
    ),
    "a rank hangs": Fault(
        inject=("hang", "step", 3), options=("--watchdog", "2 s"), says=("stands in hang", "stacks-rank"), kept=2
    ),
    "a rank hangs in a library": Fault(
        inject=("hang_holding", "step", 3), ranks=(1,), options=("--watchdog", "2 s"), codes=None, words=False,
        says=("in hang_holding",), kept=2,
    ),
    "one of two ranks hangs in a library": Fault(
        inject=("hang_holding", "step", 3), ranks=(2,), options=("--watchdog", "2 s"), kept=2, codes=(1,),
        says=("nothing has moved", "rank 1 stands in hang_holding"),
    ),
    # Files.
    "disk full at an evaluation": Fault(
        inject=("fill", "evaluation", 8), rank="first", says=("answers-", "cannot be written", "Make room", AGAIN)
    ),
    "disk full at a step": Fault(
        inject=("fill", "step", 3), rank="first", says=("cannot be written", "Make room", AGAIN, "loading, after 2 of 6"), kept=2
    ),
    "disk full at a checkpoint": Fault(
        inject=("fill", "write", 5), rank="first", kept=2, says=("cannot be written", "step 2 of loading", "Make room", AGAIN)
    ),
    "disk full at the results": Fault(
        inject=("fill", "phase", 7), rank="first", kept=STEPS, says=("cannot be written", "Make room", AGAIN)
    ),
    "read-only disk at a checkpoint": Fault(inject=("refuse", "write", 5), rank="first", kept=2, says=("Read-only",)),
    "run directory removed": Fault(
        inject=("remove", "step", 3), rank="first", says=("directory", "is gone", "loading"), resumes=False
    ),
    "output directory cannot be made": Fault(
        prepare=lambda path: path.write_text("a file"), codes=(2,), says=("is a file",), resumes=False
    ),
    # Checkpoints.
    "the newest state truncated": Fault(damage=lambda path: change(states(path)[-1], halved), codes=(0,)),
    "a bit of the newest state flipped": Fault(damage=lambda path: change(states(path)[-1], flipped), ranks=(1,), codes=(0,)),
    "every state truncated": Fault(
        damage=every_state(halved), says=("no state of 'loading'", "damaged", "--force"), resumes=False
    ),
    "states missing": Fault(
        damage=lambda path: [p.unlink() for p in states(path)] and None, says=("no state of 'loading'", "--force"), resumes=False
    ),
    "manifest missing": Fault(damage=lambda path: (path / "checkpoint" / "manifest.json").unlink(), codes=(0,)),
    "manifest truncated": Fault(
        damage=lambda path: change(path / "checkpoint" / "manifest.json", halved), says=("no manifest", "--force"), resumes=False
    ),
    "manifest of another case": Fault(
        damage=lambda path: edit_manifest(path, case="0" * 64), says=("another case", "--force"), resumes=False
    ),
    "manifest of a later format": Fault(
        damage=lambda path: edit_manifest(path, format=99), says=("format 99", "later version"), resumes=False
    ),
    "manifest of an earlier format": Fault(
        damage=lambda path: edit_manifest(path, format=0), says=("format 0", "earlier version"), resumes=False
    ),
    "remembered evaluations truncated": Fault(
        damage=lambda path: change(newest(path, "answers-*.bin"), halved), codes=(0,)
    ),
    "a bit of remembered evaluations flipped": Fault(
        damage=lambda path: change(newest(path, "answers-*.bin"), flipped), codes=(0,)
    ),
    "record of the run truncated": Fault(
        damage=lambda path: change(path / "run.json", halved), codes=(2,), says=("run.json",), resumes=False
    ),
    # Being asked to stop.
    "the file EXIT from the start": Fault(
        prepare=ask_to_exit, options=("--force",), codes=(75,), says=("EXIT",)
    ),
    "a time limit in the first stage": Fault(options=("--time-limit", "0.001 s"), codes=(75,), says=("time limit",)),
    "SIGTERM on one rank": Fault(inject=("terminate", "step", 3), codes=(75,), says=("SIGTERM", AGAIN), kept=3),
    "SIGUSR1 on one rank": Fault(inject=("notify", "step", 3), codes=(75,), says=("SIGUSR1", AGAIN), kept=3),
    "SIGINT once": Fault(inject=("interrupt", "step", 3), codes=(75,), says=("SIGINT", AGAIN), kept=3),
    "SIGINT twice": Fault(inject=("interrupt_twice", "step", 3), codes=(130,), kept=2),
    # The terminal.
    "stdout closed": Fault(redirect=">&-", ranks=(1,), codes=(0,), words=False),
    "stderr closed": Fault(redirect="2>&-", ranks=(1,), codes=(0,), words=False),
    "stdout a full disk": Fault(redirect=">/dev/full", ranks=(1,), codes=(1,), says=("cannot be written",)),
    "the reader of stderr goes": Fault(redirect="2> >(head -c 1 >/dev/null)", ranks=(1,), codes=(0,), words=False),
}  # fmt: skip


def command(ranks: int, inject: tuple[str, str, int], rank: int, *arguments: str) -> list[str]:
    """The command line with a fault, under mpirun where there are several ranks."""
    beside = Path(sys.executable).parent / "mpirun"
    launcher = [str(beside) if beside.exists() else "mpirun", "-n", str(ranks)] if ranks > 1 else []
    return [*launcher, sys.executable, str(HERE / "_faulty.py"), *map(str, inject), str(rank), *arguments]


def call(line: list[str], *, folder: Path, redirect: str = "") -> tuple[int | None, str, float]:
    """Run to the end: exit code (None where it hangs), what it said on stderr, and when it ended."""
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    environment = os.environ | threads | {"PYTHONPATH": str(HERE.parent), "FAULT_TIME": str(folder / "time")}
    if redirect:
        line = ["bash", "-c", f'exec "$@" {redirect}', "bash", *line]
    # Through pipes: where files cannot grow any more, words still come through.
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, env=environment, start_new_session=True
    )
    try:
        said = process.communicate(timeout=LIMIT)[1]
        code: int | None = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, code = process.communicate()[1], None
    return code, said.decode(errors="replace"), time.time()


def kept_steps(directory: Path) -> int:
    """Committed steps in a checkpoint."""
    try:
        manifest = json.loads((directory / "checkpoint" / "manifest.json").read_text())
    except (OSError, ValueError):
        return 0
    return max((entry["step"] for entry in manifest["entries"]), default=0)


def path_of(directory: Path) -> np.ndarray:
    """The numbers of the path, seconds left out."""
    name = next(name for name in ("load_opening.csv", "path.csv") if (directory / name).exists())
    lines = (directory / name).read_text().splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    kept = [i for i, name in enumerate(lines[0].split(",")) if "second" not in name and "[s]" not in name]
    return np.array([[float(line.split(",")[i] or "nan") for i in kept] for line in lines[1:]])


def told_steps(directory: Path) -> int:
    """Steps among the events of a run."""
    events = (directory / "events.jsonl").read_text().splitlines()
    return sum(json.loads(line)["event"] == "step" for line in events)


class Bench:
    """Runs faults below a folder; references are run once each.

    Args:
        folder: for everything.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._references: dict[tuple[str, int], tuple[np.ndarray, int]] = {}
        self._stopped: dict[int, Path] = {}

    def attempt(self, name: str, ranks: int) -> Outcome:
        """Run a fault and look at what it came to; then resume without it."""
        fault = FAULTS[name]
        folder = self._fresh(name, ranks)
        directory, began = folder / "run", time.time()
        rank = 0 if fault.rank == "first" else ranks - 1
        if fault.damage is not None:
            shutil.copytree(self._stopped_well(ranks), directory)
            fault.damage(directory)
            line = command(ranks, ("nothing", "-", 0), 0, "resume", str(directory), "--quiet")
        else:
            if fault.prepare is not None:
                fault.prepare(directory)
            line = command(
                ranks, fault.inject, rank, "run", "case.yaml", "-o", str(directory), "--save", "every", *fault.options
            )
        code, said, ended = call(line, folder=folder, redirect=fault.redirect)
        when = folder / "time"
        seconds = ended - (float(when.read_text()) if when.exists() and when.stat().st_size else began)
        complaints = _complaints(fault, code, said, rank if ranks > 1 else None)
        if fault.inject[0] != "nothing" and not when.exists():
            complaints.append("the fault was never met")
        if when.exists() and seconds > fault.patience:
            complaints.append(f"ended only after {seconds:.0f} s")
        if fault.damage is None and kept_steps(directory) < fault.kept and code != 0:
            complaints.append(f"{kept_steps(directory)} steps are kept of {fault.kept}")
        if code != 0 and fault.resumes:
            complaints += self._resumed(fault, folder, ranks)
        elif code == 0:
            complaints += self._finished(fault, directory, ranks)
        message = next((line for line in said.splitlines() if line.startswith("error")), said.strip()[:300])
        return Outcome(name=name, ranks=ranks, code=code, seconds=seconds, message=message, complaints=complaints)

    def _fresh(self, name: str, ranks: int) -> Path:
        folder = self.folder / f"{name.replace(' ', '_')}-{ranks}"
        folder.mkdir(parents=True)
        case = FAULTS[name].case if name in FAULTS else name.removeprefix("reference ")
        (folder / "case.yaml").write_text(CASES.get(case, BLOCK))
        return folder

    def _resumed(self, fault: Fault, folder: Path, ranks: int) -> list[str]:
        """Resume without the fault: what is wrong with the end."""
        again = command(ranks, ("nothing", "-", 0), 0, "resume", str(folder / "run"), "--quiet")
        code, said, _ = call(again, folder=folder)
        if code != 0:
            return [f"resuming ended with {code}: {said.strip()[-300:]}"]
        return self._finished(fault, folder / "run", ranks)

    def _finished(self, fault: Fault, directory: Path, ranks: int) -> list[str]:
        """What is wrong with a finished run."""
        found, (expected, usual) = path_of(directory), self._reference(fault.case, ranks)
        told = told_steps(directory)
        wrong = [] if told == usual else [f"{told} steps were told, not {usual}"]
        if found.shape != expected.shape:
            return [*wrong, f"the path has shape {found.shape}, not {expected.shape}"]
        if ranks == 1 and not np.array_equal(found, expected, equal_nan=True):
            wrong.append("the results are not the same to the last bit")
        largest = np.nan_to_num(np.abs(expected)).max(axis=0)
        share = float((np.nan_to_num(np.abs(found - expected)) / np.where(largest > 0.0, largest, 1.0)).max())
        if not share <= SAME:
            wrong.append(f"the results differ by {share:.1e} of the largest of their column")
        return wrong

    def _reference(self, case: str, ranks: int) -> tuple[np.ndarray, int]:
        """The path of a run without a fault, and how many steps it told of."""
        if (case, ranks) not in self._references:
            folder = self._fresh(f"reference {case}", ranks)
            code, said, _ = call(
                command(ranks, ("nothing", "-", 0), 0, "run", "case.yaml", "-o", str(folder / "run"), "--quiet"),
                folder=folder,
            )
            if code != 0:
                raise RuntimeError(f"the reference of {case} on {ranks} ranks ended with {code}: {said}")
            self._references[case, ranks] = path_of(folder / "run"), told_steps(folder / "run")
        return self._references[case, ranks]

    def _stopped_well(self, ranks: int) -> Path:
        """The directory of a run that was stopped by SIGTERM at its third step."""
        if ranks not in self._stopped:
            folder = self._fresh("reference block stopped", ranks)
            line = command(
                ranks,
                ("terminate", "step", 3),
                0,
                "run",
                "case.yaml",
                "-o",
                str(folder / "run"),
                "--save",
                "every",
                "--quiet",
            )
            code, said, _ = call(line, folder=folder)
            if code != 75:
                raise RuntimeError(f"a run that was stopped on {ranks} ranks ended with {code}: {said}")
            self._stopped[ranks] = folder / "run"
        return self._stopped[ranks]


def _complaints(fault: Fault, code: int | None, said: str, rank: int | None) -> list[str]:
    """What is wrong with how a run has ended."""
    if code is None:
        return ["it hangs"]
    wrong = []
    if (code == 0) if fault.codes is None else code not in fault.codes:
        wrong.append(f"exit code {code}, not {fault.codes or 'another than 0'}")
    if "Traceback" in said:
        wrong.append("a traceback")
    messages = [line for line in said.splitlines() if line.startswith("error")]
    if fault.words and code != 0 and len(messages) != 1:
        wrong.append(f"{len(messages)} messages")
    for word in fault.says:
        if word == RANK:
            if rank is not None and f"rank {rank}" not in said:
                wrong.append(f"it does not name rank {rank}")
        elif word not in said:
            wrong.append(f"it does not say {word!r}")
    return wrong


def describe(outcomes: list[Outcome]) -> Mapping[str, float | int | str]:
    """The figures of a benchmark; seconds of the faults that say when they happen."""
    timed = [outcome.seconds for outcome in outcomes if FAULTS[outcome.name].inject[0] != "nothing"]
    return {
        "faults": len({outcome.name for outcome in outcomes}),
        "runs": len(outcomes),
        "hanging": sum(outcome.code is None for outcome in outcomes),
        "lost_steps": sum("steps are kept" in text for outcome in outcomes for text in outcome.complaints),
        "not_as_expected": sum(bool(outcome.complaints) for outcome in outcomes),
        "longest_seconds_from_fault_to_end": round(max(timed, default=0.0), 1),
    }
