"""The command ``multiscale sweep collect``: one table, pictures over the parameters, a page that links every run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiscale.sweep.collect_table import Sweep

FOLDER = "collected"
"""Where everything is written, in the sweep's directory."""
INSTALL = 'pip install "multiscale-mlip[parquet]"'


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's own options."""
    group = parser.add_argument_group("collect")
    group.add_argument(
        "--quantity",
        action="append",
        metavar="NAME",
        help="a result to draw, by symbol, name or its beginning; again for more",
    )
    group.add_argument(
        "--log", action="append", metavar="PARAMETER", help="to draw on a logarithmic scale; again for more"
    )
    group.add_argument("--all", action="store_true", help="cases that are no longer in the sweep file too")
    group.add_argument("--no-pictures", action="store_true", help="the table and the page alone")
    group.add_argument("--parquet", action="store_true", help="refuse to go on where table.parquet cannot be written")


def collect(directory: Path, arguments: argparse.Namespace) -> Sequence[str]:
    """Gather what the runs of a sweep have found, as far as they have got, and write it into ``collected``.

    Args:
        directory: of the sweep.
        arguments: those of `add_options`.

    Returns:
        What to tell.

    Raises:
        SweepError: no sweep, a quantity or a parameter that it does not have, or no pyarrow although Parquet was asked for.
    """
    from multiscale.errors import SweepError
    from multiscale.sweep.collect_page import write_page
    from multiscale.sweep.collect_plots import write_pictures
    from multiscale.sweep.collect_table import chosen_scalars, gather, parameter_named, write_csv, write_parquet

    sweep = gather(directory, unplanned=arguments.all)
    chosen = chosen_scalars(sweep, arguments.quantity)
    logarithmic = [parameter_named(sweep, name).name for name in arguments.log or ()]
    folder = directory.absolute() / FOLDER
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise SweepError(f"{folder} cannot be made ({error.strerror}). Check the directory's permissions") from None
    lines = [f"Table: {write_csv(sweep, folder / 'table.csv')}"]
    table = write_parquet(sweep, folder / "table.parquet")
    if table is not None:
        lines.append(f"The same as Parquet, for pandas and others: {table}")
    elif arguments.parquet:
        raise SweepError(f"table.parquet needs pyarrow. Install it: {INSTALL}")
    else:
        lines.append(f"No table.parquet: {INSTALL}")
    pictures = [] if arguments.no_pictures else write_pictures(sweep, chosen, folder, logarithmic=logarithmic)
    lines += [f"Picture: {path}" for path in pictures]
    lines.append(f"Page: {write_page(sweep, chosen, pictures, folder)}")
    return [*_counts(sweep), *lines]


def _counts(sweep: Sweep) -> list[str]:
    """How far the sweep has got."""
    from multiscale.sweep.ledger import counts

    found = counts(run.row for run in sweep.runs)
    told = ", ".join(f"{number} {status}" for status, number in found.items())
    lines = [f"{len(sweep.runs)} cases: {told}"]
    if sweep.unplanned:
        lines.append(f"{sweep.unplanned} finished cases of earlier sweep files are left out; --all takes them in")
    return lines
