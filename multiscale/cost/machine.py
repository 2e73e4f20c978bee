"""How fast this machine is beside the one that the usual coefficients are kept for, and what its own runs have said."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from atomistic.whole_file import write_whole
from multiscale.cost.coefficients import Observation

#: Side of the square grid whose Laplacian is factorised, its solutions, and how often all of it is done.
_SIDE, _SOLUTIONS, _REPEATS = 120, 20, 8
#: Names another folder for what is kept.
FOLDER = "MULTISCALE_COST_CACHE"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What is known of a machine.

    Attributes:
        name: of the host.
        cores: that this process may use.
        probe_seconds: processor seconds of `probe`, the least of some.
        observations: what recorded runs have said, by the run they come from.
    """

    name: str
    cores: int
    probe_seconds: float
    observations: dict[str, tuple[Observation, ...]]


def probe() -> float:
    """Processor seconds of a piece of work like that of a run: a sparse factor and its solutions, arrays, and plain Python."""
    import scipy.sparse as sp

    from continuum.factorise import Factor

    line = sp.diags([-1.0, 2.0, -1.0], [-1, 0, 1], shape=(_SIDE, _SIDE))
    matrix = sp.csr_matrix(sp.kronsum(line, line))
    right = np.linspace(0.0, 1.0, _SIDE**2)
    took = []
    for _ in range(_REPEATS):
        began = time.process_time()
        factor = Factor(matrix, symmetric=True)
        for _ in range(_SOLUTIONS):
            np.sort(np.exp(factor.solve(right)))
        sum(k * k % 7 for k in range(100_000))
        took.append(time.process_time() - began)
    return min(took)


def this_machine(*, anew: bool = False) -> Machine:
    """This machine as it was measured before, or now: a second or less.

    What is measured is kept in ``~/.cache/multiscale/cost``, or where `FOLDER` or ``XDG_CACHE_HOME`` say, a file for each kind
    of processor; where that cannot be written it is measured again the next time.

    Args:
        anew: measure it whatever is kept.
    """
    known = None if anew else _read(_file())
    if known is not None:
        return known
    machine = Machine(name=platform.node(), cores=cores(), probe_seconds=probe(), observations={})
    keep(machine)
    return machine


def with_observations(machine: Machine, run: str, observations: Sequence[Observation]) -> Machine:
    """The machine with what a run has said; the same run said before is replaced."""
    return replace(machine, observations={**machine.observations, run: tuple(observations)})


def keep(machine: Machine) -> bool:
    """Write what is known of this machine; returns whether that was possible."""
    path = _file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(asdict(machine), indent=1) + "\n")
    except OSError:
        return False
    return True


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def whole_memory() -> int:
    """Bytes of memory that the machine has; 0 where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _file() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get(FOLDER) or cache / "multiscale" / "cost")
    text = "|".join((platform.node(), platform.machine(), _processor(), str(cores())))
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _read(path: Path) -> Machine | None:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        told = {run: tuple(Observation(**entry) for entry in entries) for run, entries in data["observations"].items()}
        return Machine(**{**data, "observations": told})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
