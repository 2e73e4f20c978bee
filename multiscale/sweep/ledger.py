"""The ledger of a sweep: what has become of every case, in one SQLite file that survives a kill at any moment.

Every change is a transaction that is on the disk when it returns (synchronous=FULL). The journal is SQLite's rollback
journal, not its write-ahead log: that needs memory shared between processes, which the network file systems of clusters do
not have. One driver writes; others may read.
"""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from multiscale.errors import SweepError

STATUSES = ("PENDING", "RUNNING", "DONE", "FAILED", "TIMEOUT")
FILE = "sweep.sqlite"
FORMAT = "1"
CORES = "cores"
"""Key of the setting that holds the budget of the last driver; "inf" for none."""
PATIENCE = 30.0
"""Seconds to wait for another process that holds the file, such as a backup."""

_TABLES = """
CREATE TABLE IF NOT EXISTS sweep (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cases (
    hash TEXT PRIMARY KEY, number INTEGER NOT NULL, directory TEXT NOT NULL,
    parameters TEXT NOT NULL, data TEXT NOT NULL, inputs TEXT NOT NULL,
    ranks INTEGER NOT NULL, planned INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('PENDING', 'RUNNING', 'DONE', 'FAILED', 'TIMEOUT')),
    attempts INTEGER NOT NULL DEFAULT 0, reason TEXT, exit_code INTEGER,
    pid INTEGER, host TEXT, started TEXT, finished TEXT, seconds REAL NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS attempts (
    hash TEXT NOT NULL, attempt INTEGER NOT NULL, action TEXT, pid INTEGER, host TEXT,
    started TEXT, finished TEXT, seconds REAL, exit_code INTEGER, outcome TEXT, reason TEXT,
    PRIMARY KEY (hash, attempt));
"""
_COLUMNS = (
    *("hash", "number", "directory", "parameters", "data", "inputs", "ranks", "planned", "status"),
    *("attempts", "reason", "exit_code", "pid", "host", "started", "finished", "seconds"),
)


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """What varies.

    Attributes:
        name: in tables.
        paths: the fields of the case that it sets.
        unit: of all its values, "nm"; "" for plain numbers; None for categories.
    """

    name: str
    paths: tuple[str, ...]
    unit: str | None


@dataclass(frozen=True, kw_only=True)
class PointValue:
    """A parameter's value in one case.

    Attributes:
        value: in the parameter's unit where it has one, else a category's label.
        text: as it stands in the case.
    """

    value: float | int | str | bool | None
    text: str


@dataclass(frozen=True, kw_only=True)
class CaseRow:
    """One case of a sweep and what has become of it.

    Attributes:
        hash: of the resolved case, the package's version and its model and input files; the name of its directory.
        number: place in the design, from 0.
        directory: relative to the sweep's.
        parameters: values by the name of the parameter.
        data: the case as it is run.
        inputs: SHA-256 of model and input files, by path.
        ranks: MPI ranks.
        planned: whether it belongs to the design as the sweep file has it now.
        status: one of `STATUSES`.
        attempts: processes started for it.
        reason: why it failed, timed out or waits.
        exit_code: of the last process; negative where a signal ended it; None where nobody saw it end.
        pid, host, started, finished: of the last process; times in ISO 8601, UTC.
        seconds: wall time of all its processes.
    """

    hash: str
    number: int
    directory: str
    parameters: dict[str, PointValue]
    data: dict[str, Any]
    inputs: dict[str, str] = field(default_factory=dict)
    ranks: int = 1
    planned: bool = True
    status: str = "PENDING"
    attempts: int = 0
    reason: str | None = None
    exit_code: int | None = None
    pid: int | None = None
    host: str | None = None
    started: str | None = None
    finished: str | None = None
    seconds: float = 0.0


class Ledger:
    """An open ledger; a context manager."""

    def __init__(self, connection: sqlite3.Connection, directory: Path):
        self._connection = connection
        self.directory = directory

    @classmethod
    def open(cls, directory: Path) -> Ledger:
        """Open the ledger of a directory to write in it, made if there is none.

        Raises:
            SweepError: the file is no ledger, of another format, or cannot be written.
        """
        ledger = cls(_connect(directory / FILE), directory)
        try:
            ledger._connection.execute("PRAGMA journal_mode=DELETE")
            ledger._connection.execute("PRAGMA synchronous=FULL")
            ledger._connection.executescript(_TABLES)
            with ledger._connection:
                ledger._connection.execute("INSERT OR IGNORE INTO sweep VALUES ('format', ?)", (FORMAT,))
        except sqlite3.Error as error:
            ledger._connection.close()
            raise _unusable(directory, error) from None
        return ledger._checked()

    @classmethod
    def read(cls, directory: Path) -> Ledger:
        """Open the ledger of a directory to read it.

        Raises:
            SweepError: there is none, or the file is no ledger.
        """
        if not (directory / FILE).is_file():
            raise _absent(directory)
        ledger = cls(_connect(directory / FILE), directory)
        try:
            # What a killed driver has left half written is rolled back here, so the file is not opened read-only.
            ledger._connection.execute("SELECT count(*) FROM cases")
        except sqlite3.Error as error:
            ledger._connection.close()
            raise _unusable(directory, error) from None
        return ledger._checked()

    def _checked(self) -> Self:
        found = self.setting("format")
        if found != FORMAT:
            self.close()
            raise SweepError(
                f"{self.directory / FILE} has the format {found!r} and this version writes {FORMAT!r}. Use the version that "
                "it was made with, or another directory"
            )
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def setting(self, key: str) -> str | None:
        """What the table of settings holds under a key."""
        found = self._connection.execute("SELECT value FROM sweep WHERE key = ?", (key,)).fetchone()
        return None if found is None else found[0]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What varies, in the order of the sweep file."""
        listed = json.loads(self.setting("parameters") or "[]")
        return tuple(Parameter(name=p["name"], paths=tuple(p["paths"]), unit=p["unit"]) for p in listed)

    def rows(self) -> tuple[CaseRow, ...]:
        """Every case, those of the present design first, each group in the order of its design."""
        query = f"SELECT {', '.join(_COLUMNS)} FROM cases ORDER BY planned DESC, number"
        return tuple(_row(values) for values in self._connection.execute(query))

    def row(self, digest: str) -> CaseRow:
        """One case by its hash."""
        query = f"SELECT {', '.join(_COLUMNS)} FROM cases WHERE hash = ?"
        return _row(self._connection.execute(query, (digest,)).fetchone())

    def run_directory(self, row: CaseRow) -> Path:
        """Where the run of a case writes, absolute."""
        return (self.directory / row.directory / "run").absolute()

    def attempts(self, digest: str | None = None) -> list[dict[str, Any]]:
        """What was started, in order: of one case, or of all."""
        cursor = self._connection.execute("SELECT * FROM attempts ORDER BY started")
        names = [column[0] for column in cursor.description]
        found = [dict(zip(names, values, strict=True)) for values in cursor]
        return [entry for entry in found if digest is None or entry["hash"] == digest]

    def failures(self, digest: str) -> int:
        """How many attempts at a case have failed since somebody last asked to try again."""
        query = "SELECT count(*) FROM attempts WHERE hash = ? AND outcome = 'FAILED'"
        found: int = self._connection.execute(query, (digest,)).fetchone()[0]
        return found

    def plan(self, rows: Sequence[CaseRow], settings: Mapping[str, str]) -> None:
        """Note a design: cases that are known keep what has become of them, and what is no longer in it stays as unplanned."""
        values = [
            (r.hash, r.number, r.directory, _parameters_text(r), json.dumps(r.data), json.dumps(r.inputs), r.ranks)
            for r in rows
        ]
        with self._connection:
            self._connection.execute("UPDATE cases SET planned = 0")
            self._connection.executemany(
                "INSERT INTO cases (hash, number, directory, parameters, data, inputs, ranks, planned, status) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, 1, 'PENDING') ON CONFLICT (hash) DO UPDATE SET number = excluded.number, "
                "parameters = excluded.parameters, ranks = excluded.ranks, planned = 1",
                values,
            )
            self._connection.executemany("INSERT OR REPLACE INTO sweep VALUES (?, ?)", settings.items())

    def note(self, key: str, value: str) -> None:
        """Write down one setting."""
        with self._connection:
            self._connection.execute("INSERT OR REPLACE INTO sweep VALUES (?, ?)", (key, value))

    def begin(self, digest: str, *, started: str, host: str) -> int:
        """Note that a case is about to run, before it does; returns the number of the attempt, from 1."""
        with self._connection:
            self._connection.execute(
                "UPDATE cases SET status = 'RUNNING', attempts = attempts + 1, reason = NULL, exit_code = NULL, pid = NULL, "
                "host = ?, started = ?, finished = NULL WHERE hash = ?",
                (host, started, digest),
            )
            query = "SELECT attempts FROM cases WHERE hash = ?"
            number: int = self._connection.execute(query, (digest,)).fetchone()[0]
            self._connection.execute(
                "INSERT OR REPLACE INTO attempts (hash, attempt, started, host) VALUES (?, ?, ?, ?)",
                (digest, number, started, host),
            )
        return number

    def end(self, digest: str, *, status: str, outcome: str, reason: str | None, facts: Mapping[str, Any]) -> None:
        """Note how a process ended and what that makes of its case.

        Args:
            digest: of the case.
            status: of the case from now on.
            outcome: of the attempt: DONE, FAILED, TIMEOUT or STOPPED.
            reason: why.
            facts: exit_code, pid, host, started, finished, seconds, action.
        """
        names = ("exit_code", "pid", "host", "finished", "seconds", "action")
        given = {name: facts.get(name) for name in names}
        given |= {"hash": digest, "status": status, "outcome": outcome, "reason": reason}
        with self._connection:
            self._connection.execute(
                "UPDATE cases SET status = :status, reason = :reason, exit_code = :exit_code, pid = :pid, "
                "host = coalesce(:host, host), finished = :finished, seconds = seconds + coalesce(:seconds, 0) "
                "WHERE hash = :hash",
                given,
            )
            self._connection.execute(
                "UPDATE attempts SET action = :action, pid = :pid, host = coalesce(:host, host), finished = :finished, "
                "seconds = :seconds, exit_code = :exit_code, outcome = :outcome, reason = :reason "
                "WHERE hash = :hash AND attempt = (SELECT attempts FROM cases WHERE hash = :hash)",
                given,
            )

    def settle(self, digest: str, *, status: str, reason: str | None) -> None:
        """Note a status that no process of this driver brought: found on the disk, or asked for by a person."""
        with self._connection:
            self._connection.execute("UPDATE cases SET status = ?, reason = ? WHERE hash = ?", (status, reason, digest))

    def try_again(self, statuses: Iterable[str]) -> int:
        """Put the planned cases of some statuses back to PENDING, with all their tries before them; returns how many."""
        wanted = tuple(statuses)
        marks = ", ".join("?" for _ in wanted)
        with self._connection:
            self._connection.execute(
                f"UPDATE attempts SET outcome = outcome || ', tried again' WHERE outcome = 'FAILED' AND hash IN "
                f"(SELECT hash FROM cases WHERE planned = 1 AND status IN ({marks}))",
                wanted,
            )
            cursor = self._connection.execute(
                f"UPDATE cases SET status = 'PENDING', reason = 'to be tried again' WHERE planned = 1 AND status IN ({marks})",
                wanted,
            )
        return cursor.rowcount


def refuse_run(directory: Path) -> None:
    """Refuse the directory of a run: the two would be mixed.

    Raises:
        SweepError: it has a run.json and no ledger.
    """
    if (directory / "run.json").is_file() and not (directory / FILE).is_file():
        raise SweepError(
            f"{directory} is the directory of a run: {directory / 'run.json'} is there. Choose another with -o"
        )


def _absent(directory: Path) -> SweepError:
    """What is said where there is no ledger."""
    if any((directory / name).exists() for name in ("sweep.yaml", "cases")):
        return SweepError(
            f"the ledger {directory / FILE} is gone. Start the sweep again by its sweep file, which makes a new one and finds "
            f"the finished cases by their directories: multiscale sweep SWEEP.yaml -o {shlex.quote(str(directory))}"
        )
    return SweepError(
        f"{directory} holds no sweep. Give the directory that `multiscale sweep SWEEP.yaml` names, for example runs/sweep"
    )


def _connect(path: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(path, timeout=PATIENCE)
    except sqlite3.Error as error:
        raise _unusable(path.parent, error) from None


def _unusable(directory: Path, error: sqlite3.Error) -> SweepError:
    return SweepError(
        f"the ledger {directory / FILE} cannot be used ({error}). Check the disk and its permissions; a damaged ledger may be "
        "deleted: `multiscale sweep SWEEP.yaml` finds the finished cases again by their directories"
    )


def _parameters_text(row: CaseRow) -> str:
    return json.dumps({name: asdict(value) for name, value in row.parameters.items()})


def _row(values: Sequence[Any]) -> CaseRow:
    given = dict(zip(_COLUMNS, values, strict=True))
    given["parameters"] = {name: PointValue(**value) for name, value in json.loads(given["parameters"]).items()}
    given["data"], given["inputs"] = json.loads(given["data"]), json.loads(given["inputs"])
    given["planned"] = bool(given["planned"])
    return CaseRow(**given)


def counts(rows: Iterable[CaseRow]) -> dict[str, int]:
    """How many cases there are of each status, those of none left out."""
    listed = [row.status for row in rows]
    return {status: listed.count(status) for status in STATUSES if status in listed}
