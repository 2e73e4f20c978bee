"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

#: How the names of files begin that a killed process has left half written.
PART = ".part-"


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, text in UTF-8, so that a kill or a full disk leaves the old one or the new one; it is on the disk on return.

    Any number of processes may write at once. Others than the owner may read it.

    Raises:
        OSError: it cannot be written; the old one stays.
    """
    data = content.encode() if isinstance(content, str) else content
    put_whole(path, lambda part: part.write_bytes(data))


def put_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make the file that takes the place of `path`, under the same promise as `write_whole`.

    Raises:
        OSError: it cannot be written; the old one stays.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=PART, suffix=f"-{path.name}")
    os.close(handle)
    part = Path(name)
    try:
        write(part)
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.chmod(part, 0o644)
        os.replace(part, path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            # The system names a file only where one is opened, and that is not the one that people know.
            error.filename = str(path)
        raise
    # A rename is on the disk when its folder is.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
