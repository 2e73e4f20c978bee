"""Read tables with units in their header back, ours and other people's."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_HEADER = re.compile(r"^\s*(?P<name>.*?)\s*(?:[\[(](?P<unit>[^\])]*)[\])])?\s*$")


class TableError(ValueError):
    """A table that cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns of numbers by name, shape (n,) each, and their units as written in the header.

    Names are in lower case. Each column is found by name with unit too, ``"traction [gpa]"``, because a name may occur
    with several units; the bare name is then the first of them.
    """

    columns: Mapping[str, np.ndarray]
    units: Mapping[str, str]

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def get(self, *names: str) -> np.ndarray | None:
        """The first of the named columns that exists and holds a number."""
        for name in names:
            if name in self.columns and np.isfinite(self.columns[name]).any():
                return self.columns[name]
        return None


def read_table(path: str | Path) -> Table:
    """Read a CSV file whose header is ``opening [angstrom],energy [J/m^2]``; empty cells become NaN, ``#`` comments.

    Raises:
        TableError: names the file, the line and what is wrong.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} cannot be read as text ({error}). Give a CSV file in UTF-8") from None
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if len(rows) < 2:
        raise TableError(f"{path} holds no table. Expected a header such as opening [angstrom],energy [J/m^2] and rows")
    header = [_HEADER.match(cell) for cell in next(csv.reader([rows[0][1]]))]
    values = [_numbers(line, len(header), path, number) for number, line in rows[1:]]
    data = np.array(values, dtype=float).reshape(len(values), len(header))
    columns: dict[str, np.ndarray] = {}
    units: dict[str, str] = {}
    for index, match in enumerate(header):
        assert match is not None  # the pattern matches any text
        name, unit = match["name"].strip().lower(), match["unit"]
        for key in (name, f"{name} [{unit.lower()}]") if unit else (name,):
            if key not in columns:
                columns[key] = data[:, index]
                if unit:
                    units[key] = unit
    return Table(columns=columns, units=units)


def _numbers(line: str, count: int, path: Path, number: int) -> list[float]:
    cells = next(csv.reader([line]))
    if len(cells) != count:
        raise TableError(f"{path}:{number}: {len(cells)} cells under {count} headings. Give one value for each column")
    return [_number(cell.strip(), path, number) for cell in cells]


def _number(cell: str, path: Path, number: int) -> float:
    if cell.lower() in ("", "true", "false"):
        return {"": float("nan"), "true": 1.0, "false": 0.0}[cell.lower()]
    try:
        return float(cell)
    except ValueError:
        raise TableError(f"{path}:{number}: {cell!r} is not a number. Write plain numbers") from None
