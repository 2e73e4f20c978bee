"""The run directory: everything that a run leaves behind, written on rank 0, each file whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from atomistic.whole_file import write_whole
from multiscale.at_work import LOCK
from multiscale.checkpoint import FOLDER, Checkpoints, Keeper, resuming
from multiscale.config.base import nearest
from multiscale.environment import describe_host, describe_mpi, git_revision, installed_packages, peak_memory
from multiscale.errors import StoppedError
from multiscale.failures import EXIT_MISTAKE, exit_code
from multiscale.provenance import describe_provenance
from multiscale.units import ANGSTROM_IN_NM, EV_PER_A3_IN_GPA


class RunExistsError(ValueError):
    """The directory already holds something and nobody allowed to write over it."""


class RunDirectory:
    """Where a run writes: ``run.json``, ``events.jsonl``, tables, results.

    Made on all ranks together; only rank 0 touches the disk, the other ranks' calls do nothing.

    Attributes:
        path: the directory, absolute.
    """

    def __init__(
        self, path: str | Path, *, case: Any = None, comm: Any = None, force: bool = False, resume: bool = False
    ):
        """Create the directory.

        Args:
            path: created with its parents.
            case: the pydantic case that ``run.json`` records.
            comm: MPI communicator; None means one process.
            force: write into a directory that isn't empty; files of an earlier run with the same names are replaced.
            resume: go on with the run that is in it.

        Raises:
            RunExistsError: on all ranks, if the directory is not empty or is a file, without ``force``; with ``resume``, if it
                holds no run.
        """
        self.path = Path(path).absolute()
        self._comm = comm
        self._began = time.time()
        self._record: dict[str, Any] = {}
        self._checkpoints: Checkpoints | None = None
        self._retold: str | None = None
        if resume:
            self._record = self._recorded_before()
        else:
            self._begin(force)
        self._record |= {
            "status": "running",
            "command": list(sys.argv),
            "host": describe_host(),
            "mpi": describe_mpi(comm),
            "packages": installed_packages() if self.writes else {},
            "git_revision": git_revision(Path(__file__).parent) if self.writes else None,
        }
        if resume:
            self._record["resumed"] = [*self._record.get("resumed", []), _now()]
            self._record.pop("error", None)
        else:
            self._record |= {"started": _now(), "case": None if case is None else case.model_dump(mode="json")}
            self._record["provenance"] = describe_provenance(case, force=force) if self.writes else {}
        self._save()
        if not resume:
            self.event("run_started", command=" ".join(sys.argv))

    def _begin(self, force: bool) -> None:
        problem = self._prepare(force) if self.writes else None
        if self._comm is not None:
            problem = self._comm.bcast(problem, root=0)
        if problem is not None:
            raise RunExistsError(problem)

    @classmethod
    def reopen(cls, path: str | Path, *, comm: Any = None) -> RunDirectory:
        """The directory of an earlier run, to add to: nothing in it is touched (collective).

        Raises:
            RunExistsError: it holds no run, on all ranks.
        """
        run = cls.__new__(cls)
        run.path, run._comm, run._began = Path(path).absolute(), comm, time.time()
        run._checkpoints, run._retold = None, None
        run._record = run._recorded_before()
        return run

    def _recorded_before(self) -> dict[str, Any]:
        """What ``run.json`` says, the same on all ranks."""
        record: Any = None
        if self.writes:
            try:
                record = json.loads(self.file("run.json").read_text(encoding="utf-8"))
            except (OSError, ValueError):
                record = None
        record = record if self._comm is None else self._comm.bcast(record, root=0)
        if not isinstance(record, dict):
            what = "holds no run.json of a run" if self.path.exists() else "does not exist"
            near = nearest(self.path.name, [d.parent.name for d in self.path.parent.glob("*/run.json")])
            hint = (
                f"Did you mean {self.path.with_name(near)}?"
                if near
                else "Give the directory of a run, for example runs/adhesion"
            )
            raise RunExistsError(f"{self.path} {what}. {hint}")
        return record

    @property
    def recorded(self) -> Mapping[str, Any]:
        """What ``run.json`` says, as far as this run has written or read it."""
        return self._record

    @property
    def writes(self) -> bool:
        """Whether this rank writes."""
        return self._comm is None or self._comm.rank == 0

    def _prepare(self, force: bool) -> str | None:
        """Make the directory on rank 0; returns what is in the way."""
        if self.path.exists() and not self.path.is_dir():
            return f"{self.path} is a file. Choose another directory with -o"
        if self.path.is_dir() and any(entry.name != LOCK for entry in self.path.iterdir()):
            if not force and not self._left_by_a_mistake():
                learning = self.file("learning/manifest.json").is_file()
                if (self.path / FOLDER).is_dir() and not learning:
                    return (
                        f"{self.path} holds a run that did not come to its end. Go on with: {resuming(self.path)}; or "
                        "choose another directory with -o, or begin again with --force"
                    )
                force_does = "go on with its learning with --force" if learning else "write over it with --force"
                return (
                    f"{self.path} is not empty. Choose another directory with -o, or {force_does}, which keeps "
                    f"{'what was taught and ' if learning else ''}quantum results"
                )
            for stale in ("events.jsonl", "results.json", "report.html"):
                (self.path / stale).unlink(missing_ok=True)
            shutil.rmtree(self.path / FOLDER, ignore_errors=True)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            return f"{self.path} cannot be made ({error.strerror}). Choose another directory with -o"
        return None

    def _left_by_a_mistake(self) -> bool:
        """Whether the directory only holds a run that a mistake in its case ended: no result is lost with it."""
        try:
            return bool(json.loads(self.file("run.json").read_text(encoding="utf-8")).get("mistake"))
        except (OSError, ValueError, AttributeError):
            return False

    def survive(self, checkpoints: Checkpoints) -> None:
        """Keep the states of loops in these checkpoints; of a resumed run, take back what was written after the last one.

        What leads up to the loop that stands in the last checkpoint is told again as it is done again: it is not written twice.
        """
        self._checkpoints = checkpoints
        latest = checkpoints.latest
        events, resumed = self.file("events.jsonl"), "resumed" in self._record
        if latest is not None:
            self._began = time.time() - float(latest.get("seconds", 0.0))
        if self.writes and resumed and events.exists():
            # Without a state everything is told again, but that the run was started.
            told = len(events.read_bytes().split(b"\n", 1)[0]) + 1 if latest is None else int(latest.get("events", 0))
            os.truncate(events, min(told, events.stat().st_size))
        if resumed:
            self.event("run_resumed", times=len(self._record["resumed"]))
        self._retold = None if latest is None else str(latest["keeper"])

    def passing(self) -> dict[str, Any]:
        """What a checkpoint notes beside a state: seconds of the run so far, and how long its events are."""
        events = self.file("events.jsonl")
        return {
            "seconds": round(time.time() - self._began, 3),
            "events": events.stat().st_size if events.exists() else 0,
        }

    def keeper(self, name: str) -> Keeper:
        """What keeps the states of a loop of this run: of none outside a study, where nothing is kept."""
        if name == self._retold:
            self._retold = None
        return Keeper(None, name) if self._checkpoints is None else self._checkpoints.keeper(name)

    def file(self, name: str) -> Path:
        """Path of a file in the directory."""
        return self.path / name

    def event(self, kind: str, **fields: Any) -> None:
        """Append one line to ``events.jsonl``: time stamp, seconds elapsed since the start, kind and fields."""
        if not self.writes or self._retold is not None:
            return
        line = {"time": _now(), "elapsed": round(time.time() - self._began, 3), "event": kind, **fields}
        try:
            with open(self.file("events.jsonl"), "a", encoding="utf-8") as stream:
                stream.write(strict_json(line, indent=None) + "\n")
        except OSError as error:
            # The system says which file only where one is opened.
            error.filename = str(self.file("events.jsonl"))
            raise

    def write_json(self, name: str, data: Any) -> None:
        """Write strict JSON; NaN and infinity, which JSON lacks, become null."""
        if self.writes:
            write_whole(self.file(name), strict_json(data) + "\n")

    def write_csv(
        self, name: str, columns: Mapping[str, Any], *, units: Mapping[str, str] | None = None, comment: str = ""
    ) -> None:
        """Write columns of equal length under a header such as ``opening [angstrom]``; NaN becomes an empty cell.

        Raises:
            ValueError: if lengths differ or a unit belongs to no column.
        """
        if self.writes:
            write_whole(self.file(name), csv_text(columns, units=units or {}, comment=comment))

    def write_arrays(self, name: str, **arrays: Any) -> None:
        """Write a compressed ``.npz`` of arrays."""
        if self.writes:
            buffer = io.BytesIO()
            np.savez_compressed(buffer, **arrays)
            write_whole(self.file(name), buffer.getvalue())

    def write_fields(self, snapshot: Any, *, name: str = "fields_last.npz") -> None:
        """Write gathered fields for the figures, lengths in nm and stress in GPa.

        Args:
            snapshot: with points (n, 2|3) Å, triangles (t, 3), displacement (n, 2|3) Å and triangle_von_mises (t,) eV/Å³,
                e.g. ``continuum.output.gather_fields(solid)``; not looked at on ranks other than 0.
            name: of the file.
        """
        if self.writes:
            self.write_arrays(
                name,
                points=np.asarray(snapshot.points) * ANGSTROM_IN_NM,
                triangles=np.asarray(snapshot.triangles),
                displacement=np.asarray(snapshot.displacement) * ANGSTROM_IN_NM,
                von_mises=np.asarray(snapshot.triangle_von_mises) * EV_PER_A3_IN_GPA,
            )

    def record(self, **fields: Any) -> None:
        """Add to ``run.json`` at once, e.g. ``record(potential=describe_potential(potential))``."""
        self._record.update(fields)
        self._save()

    def finish(self, status: str, *, phases: Mapping[str, float] | None = None, error: str | None = None) -> None:
        """Close ``run.json`` with status, times per phase and peak memory.

        Args:
            status: ``"finished"``, which is collective (memory is gathered), or anything else, e.g. ``"failed"``,
                which is not: after a failure the other ranks may be gone.
            phases: wall seconds by phase, ``Progress.seconds``.
            error: what went wrong.
        """
        memory = [peak_memory()]
        if status == "finished" and self._comm is not None:
            memory = self._comm.gather(memory[0], root=0) or memory
        self._record.update(
            status=status,
            finished=_now(),
            seconds=round(time.time() - self._began, 3),
            phases={name: round(seconds, 3) for name, seconds in (phases or {}).items()},
            peak_memory_bytes_by_rank=memory,
        )
        if error is not None:
            self._record["error"] = error
        self._save()
        self.event("run_ended", status=status, **({"error": error} if error else {}))

    def fail(self, error: BaseException, *, phases: Mapping[str, float] | None = None) -> None:
        """Close ``run.json`` after an error, not collectively: "stopped" well, "interrupted" by the user, else "failed".

        A user's mistake is marked as such, so that the mended case may use the directory.
        """
        kept = self._checkpoints is not None and self._checkpoints.latest is not None
        self._record["mistake"] = exit_code(error) == EXIT_MISTAKE and not kept
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        status = "stopped" if isinstance(error, StoppedError) else status
        self._retold = None
        # A disk that is full, or a directory that is gone, must not hide what went wrong.
        with suppress(OSError):
            self.finish(status, phases=phases, error=str(error) or type(error).__name__)

    def _save(self) -> None:
        self.write_json("run.json", self._record)


def describe_potential(potential: Any) -> dict[str, Any]:
    """What ``run.json`` records about a potential: its capabilities, model file, hash, calls and seconds."""
    entry: dict[str, Any] = {}
    for part in ("capabilities", "counter"):
        value = getattr(potential, part, None)
        if is_dataclass(value) and not isinstance(value, type):
            entry.update(asdict(value))
    return entry


def strict_json(data: Any, *, indent: int | None = 2) -> str:
    """JSON text of data that may hold numpy values, dataclasses, paths and non-finite numbers (written as null)."""
    return json.dumps(_plain(data), indent=indent, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if is_dataclass(value) and not isinstance(value, type):
        return _plain({name: getattr(value, name) for name in value.__dataclass_fields__})
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(_plain(item) for item in value)
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return str(value)


def csv_text(columns: Mapping[str, Any], *, units: Mapping[str, str], comment: str = "") -> str:
    """The text of ``RunDirectory.write_csv``; numbers are written so that they read back to the last bit."""
    arrays = {name: np.atleast_1d(np.asarray(values)) for name, values in columns.items()}
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of a table must have one length, got {lengths}. Give as many values in each")
    if unknown := set(units) - set(arrays):
        raise ValueError(f"units for {sorted(unknown)}, which are no columns of {sorted(arrays)}. Match the names")
    stream = io.StringIO()
    for line in comment.splitlines():
        stream.write(f"# {line}\n")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([f"{name} [{units[name]}]" if name in units else name for name in arrays])
    for row in zip(*arrays.values(), strict=True):
        writer.writerow([_cell(value) for value in row])
    return stream.getvalue()


def _cell(value: Any) -> str:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ""
    return str(value)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
