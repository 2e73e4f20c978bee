"""The command ``multiscale compare``. Heavy imports happen inside, so that ``--help`` answers at once."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiscale.compare import SideBySide

DESCRIPTION = (
    "Put runs of any study side by side: what differs in their cases, quantities, energy balance, times and versions; with -o "
    "as a page with their curves over each other. Of fracture runs: toughness, trapping, barriers, as a table and a picture."
)
WIDE = 28
"""Letters that a value may take on the terminal."""


def add_parser(commands: Any, add_common: Callable[[argparse.ArgumentParser], None]) -> argparse.ArgumentParser:
    """Add the command to the command line's; `add_common` adds what all commands have."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "compare", help="put runs side by side", description=DESCRIPTION
    )
    parser.add_argument("directories", type=Path, nargs="+", metavar="DIR")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="write comparison.html, comparison.csv and pictures there"
    )
    add_common(parser)
    return parser


def output_directory(arguments: argparse.Namespace) -> None:
    """A defect's traceback belongs to none of the runs."""


def run(arguments: argparse.Namespace, comm: Any) -> int:
    """Do it and return 0."""
    from multiscale.compare import cracks, side_by_side, write_comparison
    from multiscale.fracture_compare import compare_runs, print_comparison

    if arguments.output is not None and arguments.output.exists() and not arguments.output.is_dir():
        from multiscale.errors import StudyError

        raise StudyError(f"{arguments.output} is a file. Choose another directory with -o")
    compared = side_by_side(arguments.directories)
    if comm.rank:
        return 0
    if cracks(compared):
        print_comparison(compare_runs(arguments.directories))
    else:
        print_side_by_side(compared)
    for number, one in enumerate(compared.runs[1:], start=1):
        if said := compared.against_first(number):
            print(f"{one.label} against {compared.runs[0].label}, the same case: {said}")
    if arguments.output is None:
        print("-o DIR writes a page with all quantities and curves")
    else:
        print(f"Comparison: {', '.join(map(str, write_comparison(compared, arguments.output)))}")
    return 0


def print_side_by_side(compared: SideBySide) -> None:
    """On the terminal, one column for each run: the case where it differs, results that differ, calls and times."""
    groups = (
        ("case", compared.case),
        ("results", [row for row in compared.quantities if row.differs]),
        ("energy balance", compared.closures),
        ("times and calls", [row for row in compared.effort if not row.name.startswith("phase")]),
    )
    lines = [("", *(run.label for run in compared.runs), ""), ("status", *(run.status for run in compared.runs), "")]
    for name, rows in groups:
        shared = [row for row in rows if row.shared or name == "case"]
        lines += (
            [(f"{name}:",), *((f"  {row.name}", *map(_cell, row.values), row.unit) for row in shared)] if shared else []
        )
    whole = [line for line in lines if len(line) > 1]
    widths = [max(len(line[column]) for line in whole) for column in range(len(whole[0]))]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=False)).rstrip())
    same = sum(not row.differs for row in compared.quantities)
    if same:
        print(f"The same in all runs: {same} of {len(compared.quantities)} results")
    if alone := sum(not row.shared for row in (*compared.quantities, *compared.closures)):
        print(f"In one of the runs only: {alone} results")


def _cell(value: Any) -> str:
    text = "" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)
    return text if len(text) <= WIDE else f"{text[: WIDE - 1]}…"
