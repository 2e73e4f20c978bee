"""Finished runs as a source of numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiscale.errors import CostError


@dataclass(frozen=True, kw_only=True)
class Record:
    """A finished run that was not resumed, on one rank.

    Attributes:
        directory: of the run.
        key: tells it from every other run.
        given: the case as it was written, in units of Å and eV.
        work: of the rank, see `multiscale.cost.meter`.
    """

    directory: Path
    key: str
    given: dict[str, Any]
    work: dict[str, Any]


def find_runs(places: Sequence[Path]) -> list[Record]:
    """Runs in directories and in folders of directories.

    Raises:
        CostError: there is none that can be learnt from.
    """
    found = [record for place in places for record in _below(place)]
    if not found:
        raise CostError(
            f"--records {' '.join(str(place) for place in places)}: no finished run with its work recorded, on one rank and "
            "not resumed. Give directories of such runs, or a folder that holds them"
        )
    return found


def read_run(directory: Path) -> Record | None:
    """The record of a run, or None where there is nothing to learn from it."""
    try:
        data = json.loads((directory / "run.json").read_text(encoding="utf-8"))
        work = data["work"]
        if data["status"] != "finished" or len(work) != 1 or data.get("resumed"):
            return None
        return Record(
            directory=directory,
            key=f"{directory.resolve()} {data['started']}",
            given=data["given"],
            work=work[0],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_case(record: Record) -> Any:
    """The case of a run, checked as any other."""
    from multiscale.config.load import STUDIES

    return STUDIES[record.given["study"]](**record.given)


def _below(place: Path) -> Iterator[Record]:
    paths = [place] if (place / "run.json").is_file() else sorted(path.parent for path in place.glob("*/run.json"))
    for path in paths:
        if (record := read_run(path)) is not None:
            yield record
