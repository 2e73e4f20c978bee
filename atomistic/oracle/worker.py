"""A process beside this one that answers requests: for engines whose libraries clash with ours."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from atomistic.errors import EvaluationError, OracleInputError

#: Seconds that the process has to start and call back.
START = 120.0
#: Seconds of one turn of waiting for an answer.
TURN = 1.0
#: Variables by which MPI launchers speak to their processes; the other process must not believe that it is one of ours.
LAUNCHER = ("PMI", "OMPI_", "MPI", "HYDRA", "HYDI", "I_MPI", "SLURM_", "ALPS_")

_waits = {"turns": 0}


def tallies() -> dict[str, int]:
    """Return how many turns this process has waited for others that were at work: while it grows, nothing hangs."""
    return dict(_waits)


class Worker:
    """Starts a script on the first request, speaks with it through a local socket, and ends with this object.

    Args:
        script: the Python script; its only argument is the socket to connect to.
        cores: processes that share the work, started by mpirun where there are several.
        title: what people call it, for messages.
    """

    def __init__(self, script: Path, *, cores: int, title: str) -> None:
        self.script = script
        self.cores = cores
        self.title = title
        self._running: tuple[subprocess.Popen[bytes], Connection] | None = None
        self._errors: Path | None = None

    def ask(self, request: Any) -> Any:
        """Send a request and return the answer.

        Raises:
            EvaluationError: the process died, with the last words it wrote.
        """
        process, connection = self._started()
        try:
            connection.send(request)
            while not connection.poll(TURN):
                _waits["turns"] += 1
            return connection.recv()
        except (EOFError, OSError) as error:
            self.close()
            raise EvaluationError(f"The process of {self.title} died. {self._last_words(process)}") from error

    def close(self) -> None:
        """End the process."""
        if self._running is not None:
            process, connection = self._running
            self._running = None
            connection.close()
            _end(process)

    def _started(self) -> tuple[subprocess.Popen[bytes], Connection]:
        if self._running is None:
            folder = Path(tempfile.mkdtemp(prefix="oracle-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self._errors = folder / "stderr"
            with socket.socket(socket.AF_UNIX) as server, self._errors.open("wb") as errors:
                server.bind(str(folder / "line"))
                server.listen(1)
                server.settimeout(0.2)
                process = subprocess.Popen(
                    [*self._launcher(), sys.executable, "-P", str(self.script), str(folder / "line")],
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, env=self._environment(),
                )  # fmt: skip
                self._running = process, self._called_back(server, process)
            weakref.finalize(self, _hang_up, *self._running)
        return self._running

    def _called_back(self, server: socket.socket, process: subprocess.Popen[bytes]) -> Connection:
        """Wait for the process to connect."""
        limit = time.monotonic() + START
        while time.monotonic() < limit:
            with contextlib.suppress(TimeoutError):
                line, _ = server.accept()
                line.setblocking(True)
                return Connection(line.detach())
            if process.poll() is not None:
                break
        _end(process)
        raise EvaluationError(f"The process of {self.title} did not start. {self._last_words(process)}")

    def _launcher(self) -> list[str]:
        if self.cores == 1:
            return []
        there = os.cpu_count() or 1
        if self.cores > there:
            raise OracleInputError(f"{self.title} was given {self.cores} cores; this machine has {there}.")
        beside = Path(sys.executable).parent / "mpirun"
        found = str(beside) if beside.exists() else shutil.which("mpirun")
        if found is None:
            raise OracleInputError(f"{self.title} on {self.cores} cores needs mpirun, which is not here. Use cores: 1.")
        return [found, "-n", str(self.cores)]

    def _environment(self) -> dict[str, str]:
        """This process's environment without what its own MPI launcher told it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHER)}
        return kept | {"GPAW_MPI_BACKEND": "mpi4py" if self.cores > 1 else "serial"}

    def _last_words(self, process: subprocess.Popen[bytes]) -> str:
        text = self._errors.read_text(errors="replace") if self._errors and self._errors.exists() else ""
        lines = [line for line in text.strip().splitlines() if line.strip()]
        said = f"Its last words: {lines[-1].strip()}" if lines else "It said nothing."
        return f"Exit status {process.returncode}. {said}"


def _hang_up(process: subprocess.Popen[bytes], connection: Connection) -> None:
    connection.close()
    _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let a process that was hung up on end by itself, else end it."""
    try:
        process.wait(timeout=2.0)
    except subprocess.TimeoutExpired:
        process.terminate()
        try:
            process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
