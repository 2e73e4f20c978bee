"""One process at a time works in a run's directory: a lock of the system, which falls with its owner however that ends."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from multiscale.errors import AtWorkError

LOCK = ".at-work"


@contextmanager
def at_work(directory: str | Path, *, comm: Any = None) -> Iterator[None]:
    """Be the only one who works in a directory, which is made where it is not there (collective).

    Where the file system knows no locks there is none.

    Raises:
        AtWorkError: on all ranks; another process is at work there.
    """
    first = comm is None or comm.rank == 0
    path = Path(directory).absolute() / LOCK
    stream: IO[str] | None = None
    problem = None
    if first:
        stream, problem = _locked(path)
    problem = problem if comm is None else comm.bcast(problem, root=0)
    if problem is not None:
        raise AtWorkError(problem)
    try:
        yield
    finally:
        if stream is not None:
            with suppress(OSError):
                path.unlink()
            stream.close()
            # A directory in which nothing has come to be goes again.
            with suppress(OSError):
                path.parent.rmdir()


def _locked(path: Path) -> tuple[IO[str] | None, str | None]:
    """The locked file, None where there can be none, and who holds it instead."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+", encoding="utf-8")
    except OSError:
        # Whoever writes there first will tell what is wrong.
        return None, None
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.seek(0)
        who = _described(stream.read())
        stream.close()
        directory = shlex.quote(str(path.parent))
        return None, (
            f"{who} is at work in {path.parent}. Wait for it, stop it (touch {directory}/EXIT), or choose another directory with "
            "-o"
        )
    except OSError:
        stream.close()
        return None, None
    stream.truncate(0)
    json.dump(
        {"pid": os.getpid(), "host": platform.node(), "since": datetime.now(UTC).isoformat("T", "seconds")}, stream
    )
    stream.flush()
    return stream, None


def _described(text: str) -> str:
    """ "process 7392 on node, since 2026-11-23T10:00:00+00:00", as far as it is known."""
    try:
        owner = json.loads(text)
        return f"process {owner['pid']} on {owner['host']}, since {owner['since']},"
    except (ValueError, KeyError, TypeError):
        return "another process"
