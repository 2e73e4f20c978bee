"""Runs the command line and interrupts it at its N-th write: part of the restart matrix.

    python _restart_interrupt.py count FILE   run ...    writes how many there were
    python _restart_interrupt.py EXIT|TERM|KILL N DIR run ...

A write is a file that is put in place whole, or an evaluation that is recorded. KILL leaves the write half done. Rank 0 alone
counts and is interrupted.
"""

import os
import signal
import sys
from pathlib import Path

from mpi4py import MPI

from atomistic import whole_file
from atomistic.potentials.memory import Memory
from multiscale.cli import main


class Writes:
    """Counts writes, and interrupts one of them."""

    def __init__(self, how: str, at: int, directory: Path) -> None:
        self.how, self.at, self.directory = how, at, directory
        self.count = 0

    def half(self) -> bool:
        """One more write; True where it is to be left half done."""
        self.count += 1
        if self.count != self.at or MPI.COMM_WORLD.rank != 0:
            return False
        if self.how == "EXIT":
            (self.directory / "EXIT").touch()
        elif self.how == "TERM":
            os.kill(os.getpid(), signal.SIGTERM)
        return self.how == "KILL"


def watch(writes: Writes) -> None:
    """Put the counter before every write."""
    put, keep = whole_file.put_whole, Memory.keep

    def put_whole(path: Path, write: object) -> None:
        if writes.half():
            part = path.with_name(f"{whole_file.PART}left-{path.name}")
            write(part)
            os.truncate(part, part.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        put(path, write)

    def half_kept(memory: Memory, key: bytes, answer: object) -> None:
        half = writes.half()
        keep(memory, key, answer)
        if half:
            newest = max(memory.folder.glob(f"answers-*-r{memory.rank}.bin"), key=lambda p: p.stat().st_mtime_ns)
            os.truncate(newest, newest.stat().st_size - 40)
            os.kill(os.getpid(), signal.SIGKILL)

    whole_file.put_whole, Memory.keep = put_whole, half_kept


if __name__ == "__main__":
    how = sys.argv[1]
    at, directory, rest = (0, Path(), 3) if how == "count" else (int(sys.argv[2]), Path(sys.argv[3]), 4)
    writes = Writes(how, at, directory)
    watch(writes)
    code = main(sys.argv[rest:])
    if how == "count" and MPI.COMM_WORLD.rank == 0:
        Path(sys.argv[2]).write_text(str(writes.count))
    sys.exit(code)
