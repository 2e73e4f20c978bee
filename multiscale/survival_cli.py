"""Options of ``multiscale run`` for long runs, and the command ``multiscale resume``. Heavy imports happen inside."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from multiscale.survival import RunOptions

WATCHDOG = "10 min"
DESCRIPTION = (
    "Go on with a run that was stopped or killed, from its directory, to the end of its own case. The number of ranks may be "
    "another one. What was computed is not computed again; on one rank the results are those of the run that was never stopped, "
    "to the last bit."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a run survives."""
    parser.add_argument(
        "--time-limit", metavar="TIME", help='stop well after this time, such as "90 min": exit code 75, resume'
    )
    parser.add_argument(
        "--save",
        choices=("auto", "every", "never"),
        default="auto",
        help="checkpoints: auto keeps below 2 %% of the time (default), every step, or never",
    )
    parser.add_argument(
        "--watchdog",
        metavar="TIME",
        default=WATCHDOG,
        help=f"write every rank's stack when nothing moves for so long (default: {WATCHDOG}); none",
    )


def options_of(arguments: argparse.Namespace) -> RunOptions:
    """The options that were given.

    Raises:
        StudyError: a time that is none.
    """
    watchdog = None if arguments.watchdog == "none" else seconds_of(arguments.watchdog, "--watchdog")
    limit = None if arguments.time_limit is None else seconds_of(arguments.time_limit, "--time-limit")
    return RunOptions(save=arguments.save, time_limit=limit, watchdog=watchdog)


def seconds_of(text: str, option: str) -> float:
    """The seconds of a time that an option was given.

    Raises:
        StudyError: it is none, or not above zero.
    """
    from multiscale.errors import StudyError
    from multiscale.units import WALL_TIME, parse_quantity

    try:
        return parse_quantity(text, WALL_TIME, sign="positive")
    except ValueError as error:
        raise StudyError(f"{option}: {error}") from error


def add_parser(commands: Any, add_common: Callable[[argparse.ArgumentParser], None]) -> argparse.ArgumentParser:
    """Add the command to the command line's; `add_common` adds what all commands have."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "resume", help="go on with a run that was stopped or killed", description=DESCRIPTION
    )
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    add_options(parser)
    add_common(parser)
    return parser


def output_directory(arguments: argparse.Namespace) -> Path:
    """Where the run is."""
    directory: Path = arguments.directory.absolute()
    return directory


def run(arguments: argparse.Namespace, comm: Any) -> int:
    """Do it (collective) and return 0."""
    options = options_of(arguments)
    from multiscale.progress import Progress
    from multiscale.resume import resume_run

    progress = Progress.silent() if arguments.quiet else Progress.on(comm)
    directory = output_directory(arguments)
    went_on = resume_run(directory, comm=comm, progress=progress, options=options)
    if comm.rank == 0:
        from multiscale.summary import summary_lines

        if not went_on:
            print(f"The run in {directory} is finished; there is nothing to resume.")
        for line in summary_lines(directory):
            print(line)
        print(f"Report: {directory / 'report.html'}")
    return 0
