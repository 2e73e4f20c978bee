"""What the end of a case's process means: by its exit code and by what the run says of itself."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

EXIT_DONE, EXIT_MISTAKE, EXIT_RESUME, EXIT_INTERRUPTED = 0, 2, 75, 130
ASKED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
"""Signals that ask to stop; they end a process that has not begun to listen yet."""


def run_record(directory: Path) -> dict[str, Any]:
    """What the run of a case says of itself; empty where there is none."""
    try:
        found = json.loads((directory / "run" / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def is_complete(directory: Path) -> bool:
    """Whether a case is finished and has its report: a kill may fall between."""
    return run_record(directory).get("status") == "finished" and (directory / "run" / "report.html").is_file()


def judged(directory: Path, exit_code: int | None, *, said: int | None) -> tuple[str, str | None]:
    """What the end of a process means for its case: a status, and the reason where it is not DONE.

    Args:
        directory: of the case.
        exit_code: None where it is not known; then the run's own record decides.
        said: where in the output what this process said begins; None for nowhere.
    """
    record = run_record(directory)
    if record.get("status") == "finished":
        if exit_code is None and not is_complete(directory):
            return "STOPPED", "its results are there; its report is still to be made"
        if exit_code in (None, EXIT_DONE):
            return "DONE", None
        return "DONE", f"its results were written; then it ended with {_ending(exit_code)}"
    asked = exit_code in (EXIT_RESUME, EXIT_INTERRUPTED) or (exit_code is not None and -exit_code in ASKED)
    asked = asked or (exit_code is not None and exit_code - 128 in ASKED)
    if asked or (exit_code is None and record.get("status") != "failed"):
        return "STOPPED", "stopped" if asked else "its process is gone"
    told = record.get("error") if record.get("status") == "failed" else None
    told = str(told) if told else _last_words(directory / "output.txt", said)
    if exit_code == EXIT_DONE:
        return "FAILED", f"ended without a result; run.json says {record.get('status', 'nothing')!r}"
    if exit_code is None:
        return "FAILED", _line(told or "failed")
    if told and exit_code > 0:
        return "FAILED", _line(told)
    return "FAILED", _line(f"{_ending(exit_code)}{f'; its last words: {told}' if told else ''}")


def _ending(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name if -exit_code in signal.valid_signals() else str(-exit_code)
        return f"signal {name}{' (out of memory?)' if name == 'SIGKILL' else ''}"
    return f"exit code {exit_code}"


def _last_words(log: Path, said: int | None) -> str:
    """The error in what a process said, else its last line."""
    if said is None:
        return ""
    try:
        with log.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(said, size - 20_000))
            lines = [line.strip() for line in stream.read().decode("utf-8", "replace").splitlines() if line.strip()]
    except OSError:
        return ""
    errors = [line.removeprefix("error:").strip() for line in lines if line.startswith("error:")]
    return (errors or lines or [""])[-1]


def _line(text: str, longest: int = 400) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
