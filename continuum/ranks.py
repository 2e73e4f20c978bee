"""What ranks must not decide each for itself."""

from collections.abc import Callable

from mpi4py import MPI


def on_root[T](comm: MPI.Comm, compute: Callable[[], T]) -> T:
    """Value, or exception, of rank 0 for all: rounding must not make ranks differ, nor one fail alone (collective)."""
    if comm.size == 1:
        return compute()
    outcome: tuple[T | None, Exception | None] = (None, None)
    if comm.rank == 0:
        try:
            outcome = (compute(), None)
        except Exception as error:
            outcome = (None, error)
    value, failure = comm.bcast(outcome)
    if failure is not None:
        raise failure
    return value
