"""Evaluations kept in files, so that a run which is begun again repeats none of those that it has made before.

What a deterministic program asks of a potential is the same each time that it runs. Kept under all that decides the answer (the
potential, the structure to the last bit, the weights, what was asked for) the answers serve a program that starts anew: it
comes to where it was stopped with the same numbers, to the last bit, and without the potential's time. Records follow each
other in files of their rank and part; a record that a kill cut short is left out.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

Answer = dict[str, Any]

_HEAD = struct.Struct("<4s20sII")
_MARK = b"eval"
#: Bytes that a run keeps at most: beyond, evaluations are made again after a stop.
LARGEST = 4 * 1024**3
#: Arrays beside positions that change what an engine answers.
_TELLING = ("initial_magmoms", "initial_charges")


class Memory:
    """Evaluations of a run's potentials in a folder.

    Args:
        folder: of the files; it exists.
        rank: of the calling process, which writes files of its own and reads those of all.
        recording: False to look up only.
        largest: bytes that this rank keeps at most.

    Attributes:
        recalled: evaluations answered from the files.
        kept, seconds: evaluations written, and the time that it took.
        sign: called after each evaluation that was made.
    """

    def __init__(self, folder: Path, *, rank: int = 0, recording: bool = True, largest: int = LARGEST) -> None:
        self.folder, self.rank = folder, rank
        self.recalled = 0
        self.kept, self.seconds = 0, 0.0
        self.sign: Callable[[], None] = lambda: None
        self._left = largest if recording else 0
        self._part, self._number = "stages", _next_number(folder)
        self._stream: io.FileIO | None = None
        self._where: dict[bytes, tuple[Path, int, int]] = {}
        self._old = sorted(folder.glob("answers-*.bin"))
        for path in self._old:
            for key, start, size in _records(path):
                self._where[key] = (path, start, size)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to recall: the same on every rank, since all have read the same files."""
        return not self._where

    def recall(self, key: bytes) -> Answer | None:
        """The answer kept under a key, or None; an answer is given any number of times."""
        found = self._where.get(key)
        if found is None:
            return None
        path, start, size = found
        try:
            with path.open("rb") as stream:
                stream.seek(start)
                payload = stream.read(size)
        except OSError:
            return None
        self.recalled += 1
        return _unpacked(payload)

    def keep(self, key: bytes, answer: Mapping[str, Any]) -> None:
        """Write an answer behind the others of this rank; it survives the death of the process at once."""
        began = time.perf_counter()
        payload = _packed(answer)
        self._left -= len(payload)
        if self._left < 0:
            return
        try:
            if self._stream is None:
                self._stream = self._path().open("ab", buffering=0)
            record = memoryview(_HEAD.pack(_MARK, key, len(payload), zlib.crc32(payload)) + payload)
            while record:
                # A disk that is nearly full takes a part, and refuses the rest.
                record = record[self._stream.write(record) :]
        except OSError as error:
            # The system says which file only where one is opened.
            error.filename = str(self._path())
            raise
        self.kept += 1
        self.seconds += time.perf_counter() - began

    def begin_part(self, part: str) -> None:
        """What is kept from now on belongs to this part of the run."""
        self.close()
        self._part, self._number = part, self._number + 1

    def forget_part(self, part: str) -> None:
        """Drop what was kept of a part so far, files included: its state is kept elsewhere."""
        self.close()
        prefix = f"answers-{part}-"
        self._where = {k: where for k, where in self._where.items() if not where[0].name.startswith(prefix)}
        # Every rank removes its own; those of an earlier process, which perhaps had more ranks, go with the first one.
        stale = [*self.folder.glob(f"{prefix}*-r{self.rank}.bin"), *(self._old if self.rank == 0 else [])]
        for path in stale:
            if path.name.startswith(prefix):
                path.unlink(missing_ok=True)
        self._number += 1

    def sync(self) -> None:
        """Have what was kept on the disk, for a machine that fails."""
        if self._stream is not None:
            os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file; what is kept later begins another."""
        if self._stream is not None:
            self.sync()
            self._stream.close()
            self._stream = None

    def _path(self) -> Path:
        return self.folder / f"answers-{self._part}-{self._number:04d}-r{self.rank}.bin"


_PRESENT: ContextVar[Memory | None] = ContextVar("memory of evaluations", default=None)


def present_memory() -> Memory | None:
    """The memory that evaluations go to, None outside `remembering`."""
    return _PRESENT.get()


@contextmanager
def remembering(memory: Memory | None) -> Iterator[None]:
    """Within, evaluations are recalled from and kept in a memory; None for none."""
    token = _PRESENT.set(memory)
    try:
        yield
    finally:
        _PRESENT.reset(token)
        if memory is not None:
            memory.close()


def key_of(identity: str, atoms: Atoms, *asked: Any) -> bytes:
    """All that decides an answer, in 20 bytes.

    Args:
        identity: of the potential.
        atoms: the structure.
        asked: words and arrays that say what is wanted.
    """
    digest = hashlib.blake2b(identity.encode(), digest_size=20)
    telling = [atoms.arrays[name] for name in _TELLING if name in atoms.arrays]
    for part in (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, *telling, *asked):
        data = part if isinstance(part, np.ndarray) else np.frombuffer(str(part).encode(), dtype=np.uint8)
        digest.update(f"{data.dtype}{data.shape}".encode())
        digest.update(np.ascontiguousarray(data).data)
    return digest.digest()


def _packed(answer: Mapping[str, Any]) -> bytes:
    """Names, kinds and shapes as a line, then the numbers."""
    arrays = {name: np.ascontiguousarray(value) for name, value in answer.items()}
    header = json.dumps([[name, a.dtype.str, list(np.shape(answer[name]))] for name, a in arrays.items()]).encode()
    return b"".join([struct.pack("<I", len(header)), header, *(a.tobytes() for a in arrays.values())])


def _unpacked(payload: bytes) -> Answer:
    (length,) = struct.unpack_from("<I", payload)
    found: Answer = {}
    at = 4 + length
    for name, kind, shape in json.loads(payload[4:at]):
        count = int(np.prod(shape, dtype=int))
        values = np.frombuffer(payload, dtype=kind, count=count, offset=at)
        at += values.nbytes
        found[name] = values.reshape(shape).copy() if shape else values[0].item()
    return found


def _records(path: Path) -> Iterator[tuple[bytes, int, int]]:
    """Key, place and size of each whole record of a file; what follows a damaged one is left out."""
    try:
        data = path.read_bytes()
    except OSError:
        return
    at = 0
    while at + _HEAD.size <= len(data):
        mark, key, size, check = _HEAD.unpack_from(data, at)
        start = at + _HEAD.size
        if mark != _MARK or start + size > len(data) or zlib.crc32(data[start : start + size]) != check:
            return
        yield key, start, size
        at = start + size


def _next_number(folder: Path) -> int:
    """A number for files that none of an earlier process has."""
    return max((int(path.stem.rsplit("-", 2)[1]) for path in folder.glob("answers-*-r*.bin")), default=-1) + 1
