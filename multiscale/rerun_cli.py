"""The command ``multiscale rerun``. Heavy imports happen inside, so that ``--help`` answers at once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXIT_DIFFERENT = 1
MOST_DIGITS = 15.9
"""What two numbers have in common that differ in their last bit."""
DESCRIPTION = (
    "Run the case of a run directory once more, from its run.json, and say to how many digits the results agree. Input and model "
    "files that have changed are refused, and so is a run without results; other versions are warned of. The exit code is 0 "
    "where the results agree."
)


def add_parser(commands: Any, add_common: Callable[[argparse.ArgumentParser], None]) -> argparse.ArgumentParser:
    """Add the command to the command line's; `add_common` adds what all commands have."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "rerun", help="repeat a run and compare the results", description=DESCRIPTION
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="of the run to repeat")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="NEW", help="directory of the new run (default: DIR-rerun)"
    )
    parser.add_argument(
        "--digits",
        type=float,
        default=6.0,
        metavar="N",
        help="to how many digits the results must agree, 0 to 15.9 (default: 6)",
    )
    parser.add_argument(
        "--inputs", type=Path, metavar="DIR", help="where to look for input files that are gone, by hash"
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--anyway", action="store_true", help="run although files have changed or DIR has no results")
    choice.add_argument(
        "--strict", action="store_true", help="refuse other versions, machines and numbers of ranks too"
    )
    parser.add_argument("--force", action="store_true", help="write into a directory that is not empty")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    add_common(parser)
    return parser


def output_directory(arguments: argparse.Namespace) -> Path:
    """Where the new run goes."""
    from multiscale.rerun import target_of

    return target_of(arguments.directory, arguments.output)


def run(arguments: argparse.Namespace, comm: Any) -> int:
    """Do it (collective) and return 0, or 1 where the results do not agree or there are none to compare with."""
    from multiscale.errors import RerunError
    from multiscale.progress import Progress
    from multiscale.rerun import rerun

    if not 0.0 <= arguments.digits <= MOST_DIGITS:
        raise RerunError(
            f"--digits {arguments.digits:g}: a number has from 0 to {MOST_DIGITS} digits. Write --digits 6"
        )
    repeated = rerun(
        arguments.directory,
        output_directory(arguments),
        comm=comm,
        progress=Progress.silent() if arguments.quiet else Progress.on(comm),
        anyway=arguments.anyway,
        strict=arguments.strict,
        inputs=arguments.inputs,
        force=arguments.force,
        tell=lambda text: print(f"warning: {text}", file=sys.stderr, flush=True),
    )
    agreement = repeated.agreement
    if comm.rank == 0:
        said = f"{arguments.directory} has no results to compare with" if agreement is None else agreement.sentence()
        print(f"Results: {said}")
        print(f"Report: {repeated.directory / 'report.html'}")
    return 0 if agreement is not None and agreement.digits >= arguments.digits else EXIT_DIFFERENT
