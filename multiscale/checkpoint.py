"""The states of a run's loops on disk: each file whole or not at all, the manifest last, so that any kill is survived."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from atomistic.potentials.memory import Memory
from atomistic.whole_file import PART, write_whole
from multiscale.codec import CodecError, decode, encode
from multiscale.errors import CheckpointError, StoppedError
from multiscale.stopping import Stopper
from multiscale.survival import RunOptions

FORMAT = 1
FOLDER, MANIFEST = "checkpoint", "manifest.json"
#: Saving by itself takes no more than this share of a run's time.
SHARE = 0.02
#: How manifests of earlier formats become the present one: format -> function of the manifest.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


def resuming(directory: Path) -> str:
    """The command that goes on with the run in a directory, as a shell takes it."""
    return f"multiscale resume {shlex.quote(str(directory))}"


class Checkpoints:
    """What a run keeps of its loops in ``checkpoint/`` (every call is collective over `comm`; rank 0 alone touches the disk).

    Args:
        folder: made where it is not there.
        case: hash of what is run: a state of another case is refused.
        options: how often, how many.
        comm: MPI communicator; None means one process.
        stopper: asked at every commit.
        memory: of evaluations; those up to a commit are forgotten with it.
        passing: what is noted beside each state, and handed back on resuming: times, lengths of files.

    Raises:
        CheckpointError: on all ranks; on resuming a folder of another case, of a later format, or without a readable manifest.
    """

    def __init__(
        self,
        folder: Path,
        *,
        case: str,
        options: RunOptions,
        comm: Any = None,
        stopper: Stopper | None = None,
        memory: Memory | None = None,
        passing: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        self.folder, self.options, self._comm = folder, options, comm
        self.stopper, self.memory, self._passing = stopper, memory, passing
        self._manifest: dict[str, Any] = {"format": FORMAT, "program": _version(), "case": case, "entries": []}
        if options.resume:
            self._together(self._read_manifest)
            self._manifest = self._shared(self._manifest)
        self._cost, self._saved = 0.0, 0.0
        self._states, self._seconds = 0, 0.0

    @property
    def costs(self) -> dict[str, float]:
        """What keeping has cost this process so far: states, evaluations, and seconds of both."""
        memory = self.memory
        return {
            "states": self._states,
            "evaluations": 0 if memory is None else memory.kept,
            "seconds": round(self._seconds + (0.0 if memory is None else memory.seconds), 4),
        }

    @property
    def latest(self) -> dict[str, Any] | None:
        """The newest entry: of which keeper, its step, and what was noted in passing; None before the first commit."""
        entries = self._manifest["entries"]
        return entries[-1] if entries else None

    def keeper(self, name: str) -> Keeper:
        """What keeps the states of one loop, under a name that no other loop of the run has."""
        if self.memory is not None:
            self.memory.begin_part(name)
        return Keeper(self, name)

    def read(self, name: str) -> tuple[Any, int]:
        """The newest state of a loop that can be read, and its step; (None, 0) without any.

        Raises:
            CheckpointError: on all ranks; there are files, and none can be read.
        """
        entries = [e for e in self._manifest["entries"] if e["keeper"] == name]
        if not entries:
            return None, 0
        found: list[tuple[bytes, int]] = []

        def look() -> None:
            causes = []
            for entry in reversed(entries):
                try:
                    data = (self.folder / entry["file"]).read_bytes()
                    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
                        raise CodecError("is damaged: its content is not what was written")
                    found.append((data, entry["step"]))
                    return
                except (OSError, CodecError) as error:
                    causes.append(f"{entry['file']} {getattr(error, 'strerror', None) or error}")
            raise CheckpointError(
                f"no state of {name!r} in {self.folder} can be read: {'; '.join(causes)}. {self._anew()}"
            )

        self._together(look)
        data, step = self._shared(found[0] if found else None)
        try:
            return decode(data), step
        except CodecError as error:
            raise CheckpointError(
                f"the state of {name!r} in {self.folder} {error}. Go on with the version that wrote it "
                f"({self._manifest['program']}). {self._anew()}"
            ) from error

    def commit(self, name: str, step: int, state: Callable[[], Any]) -> None:
        """Take note of a step: keep its state where it is time to, stop where that was asked for.

        Raises:
            StoppedError: on all ranks; the state is kept.
            CheckpointError: on all ranks; the state cannot be written.
        """
        reason = None if self.stopper is None else self.stopper.agreed()
        if self._shared(reason is not None or self._due()):
            began = time.perf_counter()
            tree = state()
            self._together(lambda: self._write(name, step, tree))
            if self.memory is not None:
                self.memory.forget_part(name)
            self._saved = time.perf_counter()
            self._cost = self._saved - began
            self._states, self._seconds = self._states + 1, self._seconds + self._cost
        if reason is not None:
            raise StoppedError(reason)

    def remove(self) -> None:
        """Nothing is left to resume."""
        if self._writes:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _writes(self) -> bool:
        return self._comm is None or self._comm.rank == 0

    def _due(self) -> bool:
        saving = self.options.save
        return saving == "every" or (saving == "auto" and time.perf_counter() - self._saved >= self._cost / SHARE)

    def _write(self, name: str, step: int, tree: Any) -> None:
        file = f"{name.replace(' ', '_')}-{step:06d}.npz"
        try:
            data = encode(tree)
            write_whole(self.folder / file, data)
            own = [e for e in self._manifest["entries"] if e["keeper"] == name and e["file"] != file]
            kept = own[-(self.options.keep - 1) :] if self.options.keep > 1 else []
            others = [e for e in self._manifest["entries"] if e["keeper"] != name]
            entry = {"keeper": name, "file": file, "step": step, "sha256": hashlib.sha256(data).hexdigest()}
            manifest = {**self._manifest, "entries": [*others, *kept, {**entry, **self._passing()}]}
            write_whole(self.folder / MANIFEST, json.dumps(manifest, indent=1).encode())
        except OSError as error:
            last = self.latest
            until = (
                "nothing is kept yet"
                if last is None
                else f"the last one kept is step {last['step']} of {last['keeper']}"
            )
            raise CheckpointError(
                f"the state after step {step} of {name} cannot be written to {self.folder} ({error.strerror or error}); {until}. "
                f"Make room there, then go on with: {resuming(self.folder.parent)}"
            ) from error
        self._manifest = manifest
        wanted = {e["file"] for e in manifest["entries"]}
        for path in [*self.folder.glob("*.npz"), *self.folder.glob(f"{PART}*")]:
            if path.name not in wanted:
                path.unlink(missing_ok=True)

    def _read_manifest(self) -> None:
        path, case = self.folder / MANIFEST, self._manifest["case"]
        if not path.exists():
            # Killed before the first commit: evaluations are all that was kept.
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            number, entries = found["format"], found["entries"]
            if not isinstance(number, int) or not isinstance(entries, list):
                raise TypeError("format or entries of another kind")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path} is damaged: no manifest of a checkpoint. {self._anew()}") from error
        while number < FORMAT and number in MIGRATIONS:
            found = MIGRATIONS[number](found)
            number = found["format"]
        entries = found["entries"]
        if number != FORMAT:
            age = "a later" if number > FORMAT else "an earlier"
            raise CheckpointError(
                f"{path} has format {number}, of {age} version of the program ({found.get('program', 'unknown')}); this one "
                f"({_version()}) reads {FORMAT}. Go on with that version. {self._anew()}"
            )
        if found.get("case") != case:
            raise CheckpointError(
                f"{self.folder} holds states of another case than the one in run.json. {self._anew()}"
            )
        # A state that is damaged is passed over for the one before it, and what was written after that one is written again.
        while len(entries) > 1 and not self._intact(entries[-1]) and entries[-2]["keeper"] == entries[-1]["keeper"]:
            entries.pop()
        self._manifest = {**found, "entries": entries}

    def _intact(self, entry: Mapping[str, Any]) -> bool:
        try:
            return hashlib.sha256((self.folder / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]
        except OSError:
            return False

    def _anew(self) -> str:
        """What is left to do: evaluations that were kept are recalled whatever becomes of the states."""
        states = f"{shlex.quote(str(self.folder))}/*.npz {shlex.quote(str(self.folder / MANIFEST))}"
        return f"To begin its loops again with the evaluations that are kept: rm {states}; then {resuming(self.folder.parent)}"

    def _together(self, act: Callable[[], None]) -> None:
        """Do something on rank 0; what goes wrong there is raised on all ranks."""
        failure = None
        if self._writes:
            try:
                act()
            except CheckpointError as error:
                failure = str(error)
        failure = self._shared(failure)
        if failure is not None:
            raise CheckpointError(failure)

    def _shared(self, value: Any) -> Any:
        return value if self._comm is None else self._comm.bcast(value, root=0)


class Keeper:
    """Keeps the states of one loop.

    Attributes:
        name: of the loop.
        step: number of the last commit, those before a stop included.
    """

    def __init__(self, checkpoints: Checkpoints | None, name: str) -> None:
        self._checkpoints, self.name = checkpoints, name
        self.step = 0

    def kept(self) -> Any:
        """The last state kept before a stop, None where the loop begins.

        Raises:
            CheckpointError: on all ranks; there are files, and none can be read.
        """
        if self._checkpoints is None:
            return None
        state, self.step = self._checkpoints.read(self.name)
        if self._checkpoints.stopper is not None:
            self._checkpoints.stopper.patient = True
        return state

    def commit(self, state: Callable[[], Any]) -> None:
        """A step is done (collective).

        Args:
            state: makes the complete state of the loop, as a tree that `codec.encode` takes; called only where it is kept, then
                on every rank.

        Raises:
            StoppedError: on all ranks, where the run was asked to stop; the state is kept.
            CheckpointError: on all ranks, where the state cannot be written.
        """
        self.step += 1
        if self._checkpoints is not None:
            self._checkpoints.commit(self.name, self.step, state)

    def done(self) -> None:
        """The loop is at its end: what follows may be stopped between evaluations again."""
        if self._checkpoints is not None and self._checkpoints.stopper is not None:
            self._checkpoints.stopper.patient = False


def _version() -> str:
    try:
        return metadata.version("multiscale-mlip")
    except metadata.PackageNotFoundError:
        return "unknown"
