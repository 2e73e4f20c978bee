"""The command ``multiscale sweep``. Heavy imports happen inside, so that ``--help`` answers at once."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from multiscale.sweep import collect

ACTIONS = ("status", "resume", "collect")
PROGRAMS = ("multiscale", "__main__.py")
EXIT_DONE, EXIT_FAILED, EXIT_RESUME = 0, 1, 75
USAGE = """multiscale sweep SWEEP.yaml [-o DIR]      plan and run, or go on
       multiscale sweep status DIR            how far it is
       multiscale sweep resume DIR            go on with what is not done
       multiscale sweep collect DIR           one table, plots and a page of all cases"""
DESCRIPTION = (
    "Run a case with some of its fields varied, every case as a process in a directory of its own. It may be stopped or killed "
    "at any moment: started again it repeats nothing that is finished. Exit code 0: all done; 1: some failed or ran out of time; "
    "2: a mistake; 75: stopped, to be resumed; 130: interrupted a second time, or before the first case: go on as after 75."
)


def add_parser(commands: Any, add_common: Callable[[argparse.ArgumentParser], None]) -> argparse.ArgumentParser:
    """Add the command to the command line's; `add_common` adds what all commands have."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "sweep",
        help="run a case with some of its fields varied",
        usage=USAGE,
        description=DESCRIPTION,
    )
    parser.add_argument("what", metavar="SWEEP.yaml", help="a sweep file; or status, resume or collect")
    parser.add_argument("directory", nargs="?", type=Path, metavar="DIR", help="of status, resume and collect")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="directory of the sweep (default: runs/SWEEP)")
    parser.add_argument("--cores", type=int, metavar="N", help="cores for all cases together, instead of the file's")
    parser.add_argument("--retry", action="store_true", help="try cases again that failed or ran out of time")
    parser.add_argument("--time-limit", metavar="TIME", help='of a case, such as "2 h", instead of the file\'s')
    parser.add_argument("--dry-run", action="store_true", help="check every case and list them; run nothing")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    collect.add_options(parser)
    add_common(parser)
    return parser


def output_directory(arguments: argparse.Namespace) -> Path:
    """Where the sweep is."""
    if arguments.what in ACTIONS:
        return (arguments.directory or Path(".")).absolute()
    return (arguments.output or Path("runs") / (Path(arguments.what).stem.strip(".") or "sweep")).absolute()


def run(arguments: argparse.Namespace) -> int:
    """Do it and return the exit code.

    Raises:
        CaseError: mistakes in the sweep file or the case that it varies.
        SweepError: arguments or a directory that make no sense.
    """
    _check(arguments)
    if arguments.what == "status":
        return _status(arguments)
    if arguments.what == "collect":
        return _collect(arguments)
    if Path(sys.argv[0]).name in PROGRAMS:
        # Ranks are the cases' own. Where this process is nothing but a sweep it starts no MPI, which login nodes may not bear.
        import mpi4py

        mpi4py.rc.initialize = False
    return _resume(arguments) if arguments.what == "resume" else _plan_and_run(arguments)


def _check(arguments: argparse.Namespace) -> None:
    from multiscale.errors import SweepError

    ranks = next(
        (int(os.environ[n]) for n in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE") if os.environ.get(n, "").isdigit()), 1
    )
    if ranks > 1:
        raise SweepError(
            "a sweep is started once, without mpirun. For cases on two ranks write run: {ranks: 2} into the sweep file"
        )
    if arguments.what in ACTIONS and arguments.directory is None:
        raise SweepError(
            f"`multiscale sweep {arguments.what}` needs the directory of a sweep, such as runs/sweep. For a sweep file of this "
            f"name write ./{arguments.what}"
        )
    if arguments.what not in ACTIONS and arguments.directory is not None:
        from multiscale.config.base import nearest

        near = nearest(arguments.what, ACTIONS)
        given = shlex.quote(str(arguments.directory))
        meant, output = f"multiscale sweep {near} {given}", f"-o {given}"
        hint = f"Did you mean `{meant}`?" if near else f"Give a directory as {output}"
        raise SweepError(f"a sweep file and a second argument, {arguments.directory}, are given. {hint}")
    if arguments.cores is not None and arguments.cores < 1:
        raise SweepError(f"--cores {arguments.cores} leaves nothing to run on. Give 1 or more")
    if arguments.time_limit is not None:
        from multiscale.survival_cli import seconds_of

        seconds_of(arguments.time_limit, "--time-limit")


def _status(arguments: argparse.Namespace) -> int:
    from multiscale.sweep.status import status_lines

    _print(status_lines(arguments.directory))
    return EXIT_DONE


def _collect(arguments: argparse.Namespace) -> int:
    _print(collect.collect(arguments.directory, arguments))
    return EXIT_DONE


def _plan_and_run(arguments: argparse.Namespace) -> int:
    from multiscale.sweep.driver import Driver
    from multiscale.sweep.plan import read_plan
    from multiscale.sweep.status import plan_lines

    path = Path(arguments.what)
    plan = read_plan(path)
    plan.run.changed(**_settings(arguments))
    if arguments.dry_run:
        _print(plan_lines(plan, every=True))
        return EXIT_DONE
    with Driver(output_directory(arguments), tell=_teller(arguments)) as driver:
        driver.add(plan)
        _print(plan_lines(plan))
        return _drive(driver, arguments)


def _resume(arguments: argparse.Namespace) -> int:
    from multiscale.sweep.driver import Driver
    from multiscale.sweep.ledger import Ledger

    Ledger.read(arguments.directory).close()
    with Driver(arguments.directory, tell=_teller(arguments)) as driver:
        driver.go_on()
        return _drive(driver, arguments)


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the command line says in the place of the sweep file; None where it says nothing."""
    return {"cores": arguments.cores, "time_limit": arguments.time_limit}


def _drive(driver: Any, arguments: argparse.Namespace) -> int:
    """Run what is not done and say how it ended."""
    from multiscale.sweep.status import end_lines

    driver.change(**_settings(arguments))
    if arguments.retry:
        driver.ledger.try_again(("FAILED", "TIMEOUT"))
    summary = driver.run()
    _print(end_lines(summary, driver.directory))
    if summary.stopped:
        return EXIT_RESUME
    return EXIT_FAILED if set(summary.counts) - {"DONE"} else EXIT_DONE


def _teller(arguments: argparse.Namespace) -> Callable[[str, Any], None] | None:
    """What shows progress: a line for each case that ends."""
    if arguments.quiet:
        return None
    from multiscale.sweep.status import event_line

    def tell(kind: str, row: Any) -> None:
        if kind != "started":
            _print([event_line(kind, row)])

    return tell


def _print(lines: Sequence[str]) -> None:
    for line in lines:
        print(line)
    sys.stdout.flush()
