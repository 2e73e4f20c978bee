"""The command line. Heavy imports happen inside the commands, so that ``--help`` answers at once."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from multiscale import compare_cli, cost_cli, rerun_cli, survival_cli, validation_cli
from multiscale.sweep import commands as sweep_commands

DESCRIPTION = "Atoms driven by interatomic potentials and finite elements, every piece of energy counted once."
EPILOG = (
    'Start with "multiscale init fracture" (adhesion, contact, defect, embedding), then "multiscale run fracture.yaml"; '
    'parallel: "mpirun -n 4".'
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 physics or numerics failed, 2 the user's mistake."""
    arguments = build_parser().parse_args(argv)
    try:
        code: int = arguments.command(arguments)
        if sys.stdout is not None:  # as it is where it was closed before
            sys.stdout.flush()
    except KeyboardInterrupt:
        _complain("stopped by the user")
        return 130
    except OSError as error:
        # Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            # The reader, such as head, has seen enough.
            return 0
        _complain(f"the output cannot be written ({error.strerror}). What was computed is in its files")
        return 1
    return code


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="multiscale",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=18),
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run a case", description="Run a case and write everything to a directory.")
    _add_run_arguments(run)
    cost_cli.add_options(run)
    run.set_defaults(command=_run)

    survival_cli.add_parser(commands, _add_traceback).set_defaults(command=_resume)

    embedding = commands.add_parser("embedding", help="tools for quantum regions: the buffer that they need")
    tools = embedding.add_subparsers(title="tools", required=True, metavar="TOOL")
    converge = tools.add_parser(
        "converge",
        help="error of the core's forces against the buffer, and the buffer to take",
        description="Compute the error of the core's forces against the buffer, with a plot and a recommended width.",
    )
    _add_run_arguments(converge)
    converge.set_defaults(command=_converge)

    properties = commands.add_parser(
        "properties",
        help="what potentials say of a crystal, side by side",
        description="Lattice, cohesion, equation of state, elasticity, vacancy, surfaces and faults by several potentials.",
    )
    _add_run_arguments(properties)
    properties.set_defaults(command=_properties)

    validate = commands.add_parser(
        "validate",
        help="check a case and predict what it will do",
        description="Check a case file and predict what it will do: sizes, loads, times, before running it.",
    )
    validate.add_argument("case", type=Path, metavar="CASE.yaml")
    _add_traceback(validate)
    validate.set_defaults(command=_validate)

    validation = validation_cli.add_parser(commands, _add_traceback)
    validation.set_defaults(command=_validate_potential)

    rerun_cli.add_parser(commands, _add_traceback).set_defaults(command=_rerun)

    init = commands.add_parser("init", help="write a commented case file", description="Write a commented case file.")
    init.add_argument(
        "study", metavar="STUDY", help="active-learning, adhesion, contact, defect, embedding, fracture or properties"
    )
    init.add_argument("-o", "--output", metavar="FILE", help="file to write (default: STUDY.yaml; - for the terminal)")
    init.add_argument("--force", action="store_true", help="write over an existing file")
    init.set_defaults(command=_init)

    potentials = commands.add_parser("potentials", help="list what is installed and what each can do")
    potentials.set_defaults(command=_potentials)

    doctor = commands.add_parser("doctor", help="check this installation: versions, MPI, self-tests")
    doctor.set_defaults(command=_doctor)

    report = commands.add_parser("report", help="make plots and report.html of a run again")
    report.add_argument("directory", type=Path, metavar="DIR")
    _add_traceback(report)
    report.set_defaults(command=_report)

    spread = commands.add_parser(
        "spread",
        help="run a committee's members for a run that has their mean",
        description="Run the study of a directory with every member of its committee that is missing, and report the spread.",
    )
    spread.add_argument("directory", type=Path, metavar="DIR")
    spread.add_argument("--quiet", action="store_true", help="show no progress")
    _add_traceback(spread)
    spread.set_defaults(command=_spread)

    compare_cli.add_parser(commands, _add_traceback).set_defaults(command=_compare)

    sweep_commands.add_parser(commands, _add_traceback).set_defaults(command=_sweep)

    schema = commands.add_parser("schema", help="print the JSON Schema of a case, for editors")
    schema.add_argument("study", nargs="?", default="adhesion", metavar="STUDY", help="default: adhesion")
    schema.set_defaults(command=_schema)
    return parser


class _Version(argparse.Action):
    """Prints the version, looked up only when asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, **_: Any):
        super().__init__(option_strings, dest, nargs=0, help="show the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib import metadata

        try:
            version = metadata.version("multiscale-mlip")
        except metadata.PackageNotFoundError:
            version = "(not installed as a package)"
        print(f"multiscale {version}")
        parser.exit()


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("case", type=Path, metavar="CASE.yaml")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="run directory (default: runs/CASE)")
    parser.add_argument("--force", action="store_true", help="write into a directory that is not empty")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    survival_cli.add_options(parser)
    _add_traceback(parser)


def _add_traceback(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--traceback", action="store_true", help="show where in the code an error arose")


def _complain(text: str, *, several: bool = False) -> None:
    print(f"errors:\n{text}" if several else f"error: {text}", file=sys.stderr, flush=True)


def _world() -> Any:
    """The MPI world, or a world of one where mpi4py is missing."""
    try:
        from mpi4py import MPI
    except ImportError:
        if any(name in os.environ for name in ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK")):
            raise
        return _OneRank()
    return MPI.COMM_WORLD


class _OneRank:
    """The part of a communicator that the command line uses, for one process."""

    rank, size = 0, 1

    def bcast(self, value: Any, root: int = 0) -> Any:
        return value


def _load_together(path: Path, comm: Any, study: str | None = None) -> Any:
    """Read the case, of this study alone where one is named, on rank 0 and give it, or the error, to all ranks."""
    from multiscale.config import CaseError, load_case
    from multiscale.config.load import refuse_other_study

    outcome: Any = None
    if comm.rank == 0:
        try:
            outcome = load_case(path)
            if study is not None:
                refuse_other_study(path, outcome, study)
        except CaseError as error:
            outcome = error
    outcome = comm.bcast(outcome, root=0)
    if isinstance(outcome, CaseError):
        raise outcome
    return outcome


def _guarded(work: Any, arguments: argparse.Namespace, *, comm: Any, directory: Path | None = None) -> int:
    """Run a command's work; failures become one message and an exit code on all ranks."""
    from multiscale import failures

    case_file = getattr(arguments, "case", None)

    def report(error: BaseException) -> None:
        if isinstance(error, BrokenPipeError):
            raise error
        if arguments.traceback:
            import traceback

            traceback.print_exception(error)
        text = failures.message(error, case_file=case_file, directory=directory)
        if text.startswith("unexpected"):
            text += failures.save_traceback(error, directory)
        failures.mark_failed(directory, text)
        _complain(text, several=len(getattr(error, "problems", ())) > 1)

    return failures.run_together(work, comm=comm, report=report)


def _converge(arguments: argparse.Namespace) -> int:
    return _run(arguments, study="embedding")


def _properties(arguments: argparse.Namespace) -> int:
    return _run(arguments, study="properties")


def _run(arguments: argparse.Namespace, study: str | None = None) -> int:
    if getattr(arguments, "dry_run", False):
        return _told_by(cost_cli, arguments)
    comm = _world()
    # A file called "...yaml" has the stem "..", which leads out of runs/.
    directory = (arguments.output or Path("runs") / (arguments.case.stem.strip(".") or "case")).absolute()

    def work() -> None:
        case = _load_together(arguments.case, comm, study)
        from multiscale.progress import Progress
        from multiscale.studies import runner
        from multiscale.survival import run_options

        progress = Progress.silent() if arguments.quiet else Progress.on(comm)
        with run_options(survival_cli.options_of(arguments)):
            runner(case)(case, directory=directory, comm=comm, progress=progress, force=arguments.force)
        if comm.rank == 0:
            from multiscale.summary import summary_lines

            for line in summary_lines(directory):
                print(line)
            print(f"Report: {directory / 'report.html'}")

    return _guarded(work, arguments, comm=comm, directory=directory)


def _validate(arguments: argparse.Namespace) -> int:
    comm = _world()

    def work() -> None:
        case = _load_together(arguments.case, comm)
        from multiscale.studies import predictor

        rows, warnings = predictor(case)(case)
        if comm.rank == 0:
            _print_prediction(arguments.case, rows, warnings)

    return _guarded(work, arguments, comm=comm)


def _validate_potential(arguments: argparse.Namespace) -> int:
    return _told_by(validation_cli, arguments)


def _resume(arguments: argparse.Namespace) -> int:
    return _told_by(survival_cli, arguments)


def _rerun(arguments: argparse.Namespace) -> int:
    return _told_by(rerun_cli, arguments)


def _told_by(module: Any, arguments: argparse.Namespace) -> int:
    """Run a command that lives in a module of its own, and return its exit code."""
    comm = _world()
    codes: list[int] = []
    directory = module.output_directory(arguments)
    failed = _guarded(lambda: codes.append(module.run(arguments, comm)), arguments, comm=comm, directory=directory)
    return failed or codes[0]


def _print_prediction(path: Path, rows: Sequence[tuple[str, str]], warnings: Sequence[str]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    console.print(
        f"[bold]{escape(str(path))}[/bold] is a valid case. Expected, before any step of it runs:", soft_wrap=True
    )
    table = Table(show_header=False, box=None, padding=(0, 2))
    for label, value in rows:
        table.add_row(escape(label), f"[bold]{escape(value)}[/bold]")
    console.print(table)
    for warning in warnings:
        console.print(f"[yellow]warning:[/yellow] {escape(warning)}", soft_wrap=True)


def _init(arguments: argparse.Namespace) -> int:
    from multiscale.config.base import either, nearest
    from multiscale.config.template import TEMPLATES

    text = TEMPLATES.get(arguments.study)
    if text is None:
        near = nearest(arguments.study, list(TEMPLATES))
        hint = f'Did you mean "{near}"?' if near else f"Studies are: {either(list(TEMPLATES))}."
        _complain(f"unknown study {arguments.study!r}. {hint}")
        return 2
    if arguments.output == "-":
        print(text, end="")
        return 0
    path = Path(arguments.output or f"{arguments.study}.yaml")
    try:
        if path.exists() and not arguments.force:
            _complain(f"{path} exists. Choose another file with -o, or write over it with --force")
            return 2
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        _complain(f"{path} cannot be written ({error.strerror}). Choose another file with -o")
        return 2
    print(f"Wrote {path}. Next: multiscale validate {path}")
    return 0


def _potentials(arguments: argparse.Namespace) -> int:
    from multiscale.doctor import print_potentials

    print_potentials()
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from multiscale.doctor import examine, print_findings

    findings = examine()
    print_findings(findings)
    return 1 if any(finding.state == "broken" for finding in findings) else 0


def _report(arguments: argparse.Namespace) -> int:
    def work() -> None:
        from multiscale.report import make_report

        print(f"Report: {make_report(arguments.directory)}")

    return _guarded(work, arguments, comm=_OneRank(), directory=arguments.directory)


def _spread(arguments: argparse.Namespace) -> int:
    comm = _world()

    def work() -> None:
        from multiscale.progress import Progress
        from multiscale.spread import complete_spread
        from multiscale.summary import summary_lines

        progress = Progress.silent() if arguments.quiet else Progress.on(comm)
        complete_spread(arguments.directory, comm=comm, progress=progress)
        if comm.rank == 0:
            for line in summary_lines(arguments.directory):
                print(line)
            print(f"Report: {arguments.directory.absolute() / 'report.html'}")

    return _guarded(work, arguments, comm=comm, directory=arguments.directory)


def _compare(arguments: argparse.Namespace) -> int:
    return _told_by(compare_cli, arguments)


def _sweep(arguments: argparse.Namespace) -> int:
    codes: list[int] = []
    failed = _guarded(lambda: codes.append(sweep_commands.run(arguments)), arguments, comm=_OneRank())
    return failed or codes[0]


def _schema(arguments: argparse.Namespace) -> int:
    import json

    from multiscale.config.base import either
    from multiscale.config.load import STUDIES

    if arguments.study not in STUDIES:
        _complain(f"unknown study {arguments.study!r}. Studies are: {either(list(STUDIES))}")
        return 2
    schema = STUDIES[arguments.study].model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    print(json.dumps(schema, indent=2, ensure_ascii=False))
    return 0
