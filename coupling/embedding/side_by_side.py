"""Quantum and ML evaluations that do not wait for each other: each on a rank of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from mpi4py import MPI

from atomistic.errors import StoppedError
from atomistic.ranks import fail_together


@dataclass
class SideBySide:
    """Shares a fixed list of evaluations among ranks by what each has cost last time.

    The longest goes to the rank with the least to do, and so on (Graham 1969): for three evaluations on two ranks the largest
    runs beside the other two. All ranks get all results.

    Args:
        comm: ranks; None, or one rank, evaluates everything here in turn.
    """

    comm: MPI.Comm | None = None
    _seconds: dict[int, float] = field(default_factory=dict)

    def run[Result](self, tasks: Sequence[Callable[[], Result]], *, sizes: Sequence[float]) -> list[Result]:
        """Return the results of all tasks, in order, on every rank (collective).

        Args:
            tasks: the same list on every rank.
            sizes: a guess of what each costs, until it has been measured; the order counts.

        Raises:
            EvaluationError: on every rank, where a task failed on another one; its own error on the rank itself.
        """
        if self.comm is None or self.comm.size == 1:
            return [task() for task in tasks]
        mine = [k for k, rank in enumerate(self._assign(sizes)) if rank == self.comm.rank]
        done: dict[int, tuple[Result, float]] = {}
        failure: Exception | StoppedError | None = None
        try:
            for k in mine:
                start = time.perf_counter()
                result = tasks[k]()
                done[k] = result, time.perf_counter() - start
        except (Exception, StoppedError) as error:
            failure = error
        fail_together(failure, self.comm)
        found = {k: entry for part in self.comm.allgather(done) for k, entry in part.items()}
        self._seconds = {k: seconds for k, (_, seconds) in found.items()}
        return [found[k][0] for k in range(len(tasks))]

    def _assign(self, sizes: Sequence[float]) -> list[int]:
        """Return the rank of every task."""
        assert self.comm is not None
        measured = len(self._seconds) == len(sizes)
        cost = np.array([self._seconds[k] for k in range(len(sizes))] if measured else sizes, dtype=float)
        load, rank = np.zeros(self.comm.size), [0] * len(cost)
        for k in np.argsort(-cost, kind="stable"):
            rank[k] = int(np.argmin(load))
            load[rank[k]] += cost[k]
        return rank
