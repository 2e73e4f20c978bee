"""``multiscale run CASE --dry-run``: what a case will cost in time and memory, and on how many ranks to run it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to those of ``run``."""
    options = parser.add_argument_group("cost")
    options.add_argument(
        "--dry-run", action="store_true", help="run nothing: predict time, memory and the ranks to take"
    )
    options.add_argument(
        "-n", "--ranks", type=int, metavar="RANKS", help="predict up to so many ranks (default: this machine's cores)"
    )
    options.add_argument(
        "--records",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="learn from these finished runs of this machine",
    )
    options.add_argument("--json", action="store_true", help="print the prediction as JSON")


def output_directory(arguments: argparse.Namespace) -> Path | None:
    """A dry run writes nowhere."""
    return None


def run(arguments: argparse.Namespace, comm: Any) -> int:
    """Predict on rank 0 and print; the other ranks wait.

    Raises:
        CaseError: a case that is not valid.
        CostError: ranks that are no number from 1, or records that are no runs.
    """
    failure: BaseException | None = None
    if comm.rank == 0:
        try:
            _predict(arguments)
        except (Exception, KeyboardInterrupt) as error:
            failure = error
    failure = comm.bcast(failure, root=0)
    if failure is not None:
        raise failure
    return 0


def _predict(arguments: argparse.Namespace) -> None:
    from multiscale.config import load_case
    from multiscale.cost.dry_run import as_json, dry_run, print_forecast

    case = load_case(arguments.case)
    found = dry_run(case, ranks=arguments.ranks, records=arguments.records)
    if arguments.json:
        print(json.dumps(as_json(found), indent=1))
    else:
        print_forecast(arguments.case, found)
