"""What a loop keeps on disk, so that it can be killed at any moment and go on with the same bits.

Files are written beside their place, forced to the disk and renamed; the manifest comes last and names the files that count. What
a killed process left behind beyond the manifest is removed or cut off. On several ranks the first one writes and reads for all.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

from atomistic.active_learning.base import Snapshot
from atomistic.errors import LearningError, StoppedError
from atomistic.ranks import fail_together
from atomistic.whole_file import PART, put_whole, write_whole

_MANIFEST = "manifest.json"
_PLAIN = "__json__"
_VERSION = 1
#: Journals and the first line of each.
JOURNALS = {"events.jsonl": "", "checks.csv": "round,step,disagreement,atom,trusted,novelty\n"}


class Store:
    """The folder of one loop.

    Args:
        folder: made if it is not there.
        comm: ranks that call together; None for the calling one alone.

    Raises:
        LearningError: the folder cannot be used, or another process is at work in it.
    """

    def __init__(self, folder: str | Path, *, comm: MPI.Comm | None = None) -> None:
        self.folder = Path(folder).expanduser()
        self.comm = MPI.COMM_SELF if comm is None else comm
        self._lock: io.TextIOWrapper | None = None
        self.first(self._open)

    def first[Result](self, function: Callable[[], Result]) -> Result:
        """Return on every rank what `function` gives on the first one; all fail together."""
        result: Result | None = None
        failure: Exception | StoppedError | None = None
        if self.comm.rank == 0:
            try:
                result = function()
            except (Exception, StoppedError) as error:
                failure = error
        if self.comm.size > 1:
            fail_together(failure, self.comm)
            result = self.comm.bcast(result, root=0)
        elif failure is not None:
            raise failure
        return result  # type: ignore[return-value]

    def close(self) -> None:
        """Let go of the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def path(self, kind: str, name: str) -> Path:
        """Return the place of a file: potentials/0003.npz."""
        return self.folder / kind / name

    def manifest(self) -> dict[str, Any] | None:
        """Return what was saved last, with journals cut back to it and files that it does not name removed; None at a start.

        Raises:
            LearningError: a manifest that cannot be read, or one of another version.
        """
        return self.first(self._read_manifest)

    def save(self, manifest: Mapping[str, Any], *, states: Iterable[str], lines: Mapping[str, list[str]]) -> None:
        """Save the manifest, with new lines of the journals; states that it does not name any more are removed.

        Args:
            manifest: what JSON can hold; floating-point numbers come back bit by bit.
            states: names of the states that still count.
            lines: new lines by journal.
        """
        self.first(lambda: self._save(dict(manifest), set(states), lines))

    def keep(self, name: str, snapshot: Snapshot) -> None:
        """Write a state."""
        self.put("states", f"{name}.npz", lambda part: part.write_bytes(packed(snapshot, name)))

    def state(self, name: str) -> dict[str, Any]:
        """Read a state.

        Raises:
            LearningError: it is missing or damaged.
        """
        path = self.path("states", f"{name}.npz")
        return self.first(lambda: unpacked(path))

    def put(self, kind: str, name: str, write: Callable[[Path], object]) -> Path:
        """Let `write` make a file, whole or not at all (collective, the first rank writes)."""
        path = self.path(kind, name)

        def put() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            put_whole(path, write)

        self.first(put)
        return path

    def journal(self, name: str) -> list[str]:
        """Return the lines of a journal, without its first one where it has a header."""
        path = self.folder / name
        header = 1 if JOURNALS[name] else 0
        return self.first(lambda: path.read_text(encoding="utf-8").splitlines()[header:] if path.exists() else [])

    def _open(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / ".lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LearningError(
                f"Another process is learning in {self.folder}. Wait for it, or give a folder of its own to this one."
            ) from None
        except OSError as error:
            raise LearningError(
                f"{self.folder} cannot be used for active learning ({error.strerror}). Give a folder that can be written."
            ) from error

    def _read_manifest(self) -> dict[str, Any] | None:
        path = self.folder / _MANIFEST
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            version = found["version"]
            kept, sizes = set(found.pop("states")), dict(found.pop("journals"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise LearningError(
                f"{path} cannot be read ({error!r}): it is not what a loop of active learning wrote. Start in an empty folder; "
                "the labels in data/ can be given to it as initial frames."
            ) from None
        if version != _VERSION:
            raise LearningError(f"{path} is of version {version}; this program knows version {_VERSION}.")
        for name, size in sizes.items():
            journal = self.folder / name
            if not journal.exists() or journal.stat().st_size < size:
                raise LearningError(
                    f"{journal} is shorter than the manifest says: lines of it were lost. Start in an empty folder; the "
                    "labels in data/ can be given to it as initial frames."
                )
            with journal.open("r+b") as stream:
                stream.truncate(size)
        self._sweep(kept)
        return dict(found)

    def _save(self, manifest: dict[str, Any], states: set[str], lines: Mapping[str, list[str]]) -> None:
        sizes = {name: _append(self.folder / name, lines.get(name, []), header) for name, header in JOURNALS.items()}
        whole = {"version": _VERSION, **manifest, "states": sorted(states), "journals": sizes}
        write_whole(self.folder / _MANIFEST, (json.dumps(whole, indent=1) + "\n").encode())
        self._sweep(states)

    def _sweep(self, states: set[str]) -> None:
        """Remove states that do not count any more, and files that a killed process left half written."""
        for path in (self.folder / "states").glob("*.npz"):
            if path.stem not in states:
                path.unlink()
        for path in [*self.folder.glob(f"{PART}*"), *self.folder.glob(f"*/{PART}*")]:
            path.unlink()


def packed(snapshot: Snapshot, name: str) -> bytes:
    """Return a snapshot as the bytes of an .npz: arrays by name, all else as JSON.

    Raises:
        LearningError: a value that is neither an array of numbers nor JSON.
    """
    arrays = {key: value for key, value in snapshot.items() if isinstance(value, np.ndarray)}
    plain = {key: value for key, value in snapshot.items() if key not in arrays}
    bad = [key for key, value in arrays.items() if value.dtype.kind not in "biufcUS"]
    try:
        text = json.dumps(plain, default=_number)
    except (TypeError, ValueError) as error:
        raise LearningError(
            f"The snapshot {name!r} cannot be saved: {error}. Give arrays, numbers, text, lists and mappings."
        ) from None
    if bad or _PLAIN in snapshot:
        raise LearningError(f"The snapshot {name!r} cannot be saved: {', '.join(bad) or _PLAIN} holds objects.")
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **{_PLAIN: np.frombuffer(text.encode(), dtype=np.uint8)}, **arrays)
    return stream.getvalue()


def unpacked(path: Path) -> dict[str, Any]:
    """Read what `packed` gave.

    Raises:
        LearningError: no such file, or a damaged one.
    """
    try:
        with np.load(path) as file:
            plain = json.loads(file[_PLAIN].tobytes().decode())
            return {**plain, **{name: file[name] for name in file.files if name != _PLAIN}}
    except Exception as error:
        # Damaged archives fail in many ways.
        raise LearningError(
            f"The state {path} cannot be read ({error!r}). Without it the run cannot go on: start in an empty folder, with the "
            "labels in data/ as initial frames."
        ) from None


def _number(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no number, text, list or mapping")


def _append(path: Path, lines: list[str], header: str) -> int:
    """Append lines and return the size of the file in bytes."""
    with path.open("ab") as stream:
        if stream.tell() == 0:
            stream.write(header.encode())
        stream.write("".join(f"{line}\n" for line in lines).encode())
        stream.flush()
        if lines:
            os.fsync(stream.fileno())
        return stream.tell()
