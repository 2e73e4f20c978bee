"""Independent evaluations on several ranks: each rank takes some, all get every result, and all fail together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mpi4py import MPI

from atomistic.errors import EvaluationError, StoppedError
from atomistic.potentials.base import Potential


def spread[Task, Result](
    tasks: Sequence[Task],
    function: Callable[[Task], Result],
    *,
    potential: Potential,
    comm: MPI.Comm | None,
    until: Callable[[Result], bool] = lambda result: False,
) -> list[Result]:
    """Return `function` of every task, in their order, on all ranks of `comm`.

    Rank r takes tasks r, r + size, ...: neighbouring ones cost alike. A potential whose evaluations are shared by
    several ranks themselves is called by all of them for every task.

    Args:
        tasks: the same list on every rank.
        function: evaluates one task on the calling rank.
        potential: tells whether evaluations are shared.
        comm: None for the calling rank alone.
        until: true of a result after which the later tasks are not wanted; the list ends with the first such result.

    Raises:
        EvaluationError: on every rank, where `function` raised on another one; its own error on the rank itself.
    """
    shared = comm is None or comm.size == 1 or potential.comm.size > 1
    rank, size = (0, 1) if shared or comm is None else (comm.rank, comm.size)
    mine: list[Result] = []
    failure: Exception | StoppedError | None = None
    try:
        for task in tasks[rank::size]:
            mine.append(function(task))
            if until(mine[-1]):
                break
    except (Exception, StoppedError) as error:
        failure = error
    if shared or comm is None:
        if failure is not None:
            raise failure
        return mine
    fail_together(failure, comm)
    parts: list[list[Result]] = comm.allgather(mine)
    ordered: list[Result] = []
    for k in range(len(tasks)):
        # A rank that stopped early has no result here, but then an earlier result has ended the list already.
        ordered.append(parts[k % size][k // size])
        if until(ordered[-1]):
            break
    return ordered


def on_first_rank[Result](function: Callable[[], Result], *, potential: Potential, comm: MPI.Comm | None) -> Result:
    """Return `function()` computed on the first rank, the same to the last bit on every rank of `comm`.

    A potential whose evaluations are shared by several ranks is called by all of them.
    """
    if comm is None or comm.size == 1 or potential.comm.size > 1:
        return function()
    result: Result | None = None
    failure: Exception | StoppedError | None = None
    if comm.rank == 0:
        try:
            result = function()
        except (Exception, StoppedError) as error:
            failure = error
    fail_together(failure, comm)
    shared: Result = comm.bcast(result, root=0)
    return shared


def fail_together(failure: Exception | StoppedError | None, comm: MPI.Comm) -> None:
    """Raise on every rank if any rank has failed, so that none waits for another (collective).

    Raises:
        EvaluationError: where another rank failed, ValueError where that was a mistake, StoppedError where it was asked to stop;
            a rank's own failure as it is.
    """
    stop = failure.reason if isinstance(failure, StoppedError) else None
    messages = comm.allgather(None if failure is None else (isinstance(failure, ValueError), str(failure), stop))
    first = next(((rank, *m) for rank, m in enumerate(messages) if m is not None), None)
    if first is None:
        return
    if failure is not None:
        raise failure
    rank, mistake, text, stop = first
    if stop is not None:
        raise StoppedError(stop)
    raise (ValueError if mistake else EvaluationError)(f"{text} (on rank {rank})")
