"""Where cases run: executors in the shape of concurrent.futures.

Local cases are processes that threads wait for, so the standard library's pool of threads is all that it takes. For a
cluster's queue executorlib has that shape: `submit` writes the task into a file and hands a job to SLURM or Flux (by pysqa's
templates), a Future tells its end, and a driver that comes back finds the jobs of the one before it by their keys.
docs/sweeps.md weighs it against others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from multiscale.errors import SweepError
from multiscale.sweep.config import ClusterModel, RunModel
from multiscale.sweep.ledger import CaseRow
from multiscale.sweep.process import CaseOutcome, CaseTask

INSTALL = 'pip install "multiscale-mlip[cluster]"'
MOST_THREADS = 4096
"""A thread sleeps for each running case; adopted ones may be more than the budget."""
REFRESH = 1.0
"""Seconds between looks for results that jobs of a queue have written."""
WARNING = 120
"""Seconds before the end of its time at which a job of a queue is told, so that its case can finish a step and keep its state."""

Submit = Callable[[CaseTask], CaseOutcome]


class CaseExecutor(Protocol):
    """What runs cases: the part of concurrent.futures.Executor that a sweep needs."""

    def submit(self, fn: Submit, task: CaseTask, /, *, resource_dict: dict[str, Any]) -> Future[CaseOutcome]:
        """Have ``fn(task)`` done somewhere.

        Args:
            fn: can be imported by its name.
            task: what it is given.
            resource_dict: cores and what else a queue is told.
        """

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more; with `cancel_futures` forget what has not begun."""


class LocalExecutor:
    """Cases as processes of this machine, each waited for by a thread that sleeps."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=MOST_THREADS, thread_name_prefix="case")

    def submit(self, fn: Submit, task: CaseTask, /, *, resource_dict: dict[str, Any]) -> Future[CaseOutcome]:
        """Run it now: the driver has seen to it that there are cores."""
        return self._threads.submit(fn, task)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)


def make_executor(run: RunModel, directory: Path) -> CaseExecutor:
    """The executor that a sweep file names.

    Raises:
        SweepError: its package, or the queue's own, is not installed.
    """
    if run.executor == "local":
        return LocalExecutor()
    folder = directory / "executorlib"
    try:
        import executorlib

        if run.executor == "executorlib-local":
            from executorlib.api import TestClusterExecutor

            executor: CaseExecutor = TestClusterExecutor(cache_directory=str(folder))
        elif run.executor == "slurm":
            executor = executorlib.SlurmClusterExecutor(cache_directory=str(folder), refresh_rate=REFRESH)
        else:
            executor = executorlib.FluxClusterExecutor(cache_directory=str(folder), refresh_rate=REFRESH)
    except ImportError as error:
        hint = (
            INSTALL if error.name in ("executorlib", "pysqa", "h5py") else f"the package {error.name} of your cluster"
        )
        raise SweepError(
            f"the executor {run.executor} needs {error.name or 'executorlib'}, which is not installed. Install it: {hint}; "
            "or write executor: local"
        ) from None
    return executor


def resources(row: CaseRow, attempt: int, *, run: RunModel, cluster: ClusterModel, directory: Path) -> dict[str, Any]:
    """What a queue is told of one case, in executorlib's words.

    The function runs once, on one core, and starts the ranks itself: with `cores` above one executorlib would run it on every
    rank. What the job is given is `threads_per_core`, which its script asks for as tasks. By the key a driver that comes back
    finds the job.
    """
    if run.executor == "local":
        return {}
    told: dict[str, Any] = {
        "cores": 1,
        "cache_key": f"{row.hash}-{attempt}",
        "cwd": str(directory / row.directory / "job"),
    }
    if run.executor == "executorlib-local":
        return told
    told |= {
        "threads_per_core": row.ranks,
        "submission_template": submission(row, executor=run.executor, cluster=cluster),
    }
    if cluster.wall_time is not None:
        told["run_time_max"] = int(cluster.wall_time)
    return told


def submission(row: CaseRow, *, executor: str, cluster: ClusterModel) -> str:
    """The template of a job's script, for pysqa; what is in double braces it fills in."""
    lines = _slurm(row, cluster) if executor == "slurm" else _flux(row, cluster)
    setup = [_verbatim(line) for line in cluster.setup]
    # The shell makes way for the case's own process, so that the queue's warning reaches it.
    return "\n".join(["#!/bin/bash", *lines, "", *setup, "exec {{command}}", ""])


def _slurm(row: CaseRow, cluster: ClusterModel) -> list[str]:
    given: Mapping[str, str | None] = {
        "job-name": f"sweep-{row.hash}",
        "chdir": "{{working_directory}}",
        "output": "job.txt",
        "ntasks": "{{cores}}",
        "partition": cluster.partition,
        "account": cluster.account,
        "mem": None if cluster.memory is None else f"{cluster.memory}G",
        "signal": f"B:TERM@{WARNING}",
    }
    lines = [f"#SBATCH --{key}={value}" for key, value in given.items() if value is not None]
    lines.append("{% if run_time_max %}#SBATCH --time={{ [1, run_time_max // 60] | max }}{% endif %}")
    return [*lines, *(f"#SBATCH {_verbatim(option)}" for option in cluster.options)]


def _flux(row: CaseRow, cluster: ClusterModel) -> list[str]:
    given: Mapping[str, str | None] = {
        "job-name": f"sweep-{row.hash}",
        "output": "job.txt",
        "nslots": "{{cores}}",
        "queue": cluster.partition,
        "bank": cluster.account,
        "signal": f"SIGTERM@{WARNING}s",
    }
    lines = [f"# flux: --{key}={value}" for key, value in given.items() if value is not None]
    lines.append("{% if run_time_max %}# flux: --time-limit={{ run_time_max }}s{% endif %}")
    return [*lines, *(f"# flux: {_verbatim(option)}" for option in cluster.options)]


def _verbatim(text: str) -> str:
    """A person's line as it is, braces and all."""
    return "{% raw %}" + text + "{% endraw %}"
