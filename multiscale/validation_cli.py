"""The command ``multiscale validate-potential``. Heavy imports happen inside, so that ``--help`` answers at once."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXIT_FAILED = 1
DESCRIPTION = (
    "Compare a potential with reference data: errors of energies, forces and stresses, for all frames, by species and by "
    "config_type, with figures and a report. With a contract, a file of bounds, the exit code is 0 where all are kept and 1 "
    "where one is broken. Under mpirun the ranks share the frames."
)
#: What the library tells to do, and how it is done here.
_IN_FLAGS = {
    "read it with `nan_is_missing`": "give --nan-is-missing",
    "Give the unit of the stress (kbar or GPa), and its sign: VASP's is positive in compression.": (
        "Give --stress-unit kbar or GPa, and --stress-positive; for numbers copied from OUTCAR --vasp-stress does both."
    ),
    "name the labels' keys": "name the labels' keys (--energy-key, --forces-key, --stress-key, --virial-key)",
    "Read them with the right unit and sign": (
        "Give their unit and sign (--forces-unit; --stress-unit, --stress-positive; for numbers copied from OUTCAR --vasp-stress)"
    ),
    "An energy shift for each species would": "--energy-shift species would",
}


def add_parser(commands: Any, add_common: Callable[[argparse.ArgumentParser], None]) -> argparse.ArgumentParser:
    """Add the command to the command line's; `add_common` adds what all commands have."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "validate-potential",
        help="errors of a potential on reference data, against a contract",
        description=DESCRIPTION,
    )
    parser.add_argument(
        "data", nargs="+", metavar="DATA", help="extended XYZ, ASE database, OUTCAR, or what else ASE reads"
    )
    parser.add_argument(
        "--potential",
        required=True,
        metavar="SPEC",
        help="a name, a model file, a case file, or a mapping as in a case file",
    )
    parser.add_argument("--contract", type=Path, metavar="FILE", help="bounds, in YAML or JSON")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="directory (default: runs/validate-DATA)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or cuda:N")
    parser.add_argument(
        "--frames", default=":", metavar="RANGE", help="which frames, such as 0:100 or ::10 (default: all)"
    )
    parser.add_argument(
        "--energy-shift",
        metavar="SHIFT",
        help="added to the potential's energies: none, species (fitted to these energies), or Al=1.23,Cu=0.4 (eV per atom)",
    )
    parser.add_argument("--no-doubt", action="store_true", help="leave the members of a committee alone")
    labels = parser.add_argument_group("labels, where they are not found by themselves")
    for label in ("energy", "forces", "stress", "virial"):
        labels.add_argument(f"--{label}-key", metavar="NAME", help=f"name of the {label} in the file")
    labels.add_argument("--group-key", default="config_type", metavar="NAME", help="name of the group (config_type)")
    for label, unit in (("energy", "eV"), ("forces", "eV/angstrom"), ("stress", "eV/angstrom^3")):
        labels.add_argument(f"--{label}-unit", default=unit, metavar="UNIT", help=f"({unit})")
    labels.add_argument(
        "--stress-positive", choices=("tension", "compression"), default="tension", help="sign of the stress"
    )
    labels.add_argument(
        "--stress-order",
        choices=("voigt", "vasp"),
        default="voigt",
        help="of six numbers: voigt is xx yy zz yz xz xy (default), vasp is xx yy zz xy yz zx",
    )
    labels.add_argument(
        "--vasp-stress",
        action="store_true",
        help="stress copied from OUTCAR: kbar, positive in compression, six numbers as xx yy zz xy yz zx (for Voigt's order "
        "give --stress-unit kbar --stress-positive compression instead)",
    )
    labels.add_argument("--nan-is-missing", action="store_true", help="NaN means that a label was not computed")
    parser.add_argument("--force", action="store_true", help="write into a directory that is not empty")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    add_common(parser)
    return parser


def in_flags(text: str) -> str:
    """Say a message of the library in the flags of this command."""
    for words, flags in _IN_FLAGS.items():
        text = text.replace(words, flags)
    return text


def output_directory(arguments: argparse.Namespace) -> Path:
    """Where the results go."""
    stem = Path(arguments.data[0]).name.partition(".")[0] or "data"
    return (arguments.output or Path("runs") / f"validate-{stem}").absolute()


def run(arguments: argparse.Namespace, comm: Any) -> int:
    """Do it (collective) and return 0, or 1 where a contract is broken."""
    from atomistic.errors import LabelledDataError
    from multiscale.progress import Progress
    from multiscale.validation import terminal_lines, validate_potential

    request = request_of(arguments)
    progress = Progress.silent() if arguments.quiet else Progress.on(comm)
    directory = output_directory(arguments)
    try:
        result = validate_potential(request, directory=directory, comm=comm, progress=progress, force=arguments.force)
    except LabelledDataError as error:
        raise LabelledDataError(in_flags(str(error))) from error
    if comm.rank == 0:
        for line in terminal_lines(result):
            print(in_flags(line))
        print(f"Report: {result.directory / 'report.html'}")
    return 0 if result.contract is None or result.contract.passed else EXIT_FAILED


def request_of(arguments: argparse.Namespace) -> Any:
    """What the arguments ask for.

    Raises:
        ValidationError: a potential or an energy shift that cannot be read.
        CaseError: arguments that make no sense.
    """
    from atomistic.labelled import LabelOptions
    from multiscale.validation import ValidationRequest

    labels: dict[str, Any] = {
        name: getattr(arguments, name)
        for name in (
            *("energy_key", "forces_key", "stress_key", "virial_key", "group_key"),
            *("energy_unit", "forces_unit", "stress_unit", "stress_positive", "stress_order"),
            "nan_is_missing",
        )
    }
    if arguments.vasp_stress:
        labels |= {"stress_unit": "kbar", "stress_positive": "compression", "stress_order": "vasp"}
    return ValidationRequest(
        data=tuple(arguments.data),
        potential=potential_of(arguments.potential),
        device=arguments.device,
        frames=arguments.frames,
        labels=LabelOptions(**labels),
        contract=None if arguments.contract is None else str(arguments.contract),
        energy_shift=shift_of(arguments.energy_shift),
        doubts=not arguments.no_doubt,
    )


def potential_of(text: str) -> Any:
    """Turn the text of ``--potential`` into what a case file would hold.

    A mapping in braces; a YAML file with a mapping or with the key ``potential``; another file, which is a model's; else a name.

    Raises:
        ValidationError: text or a file that holds no potential.
    """
    from atomistic.errors import ValidationError

    path = Path(text)
    is_case = path.suffix.lower() in (".yaml", ".yml")
    if not is_case and not text.lstrip().startswith("{"):
        return {"path": text} if path.is_file() or "/" in text else text
    try:
        from ruamel.yaml import YAML

        data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8") if is_case else text)
    except OSError as error:
        raise ValidationError(f"--potential {text}: the file cannot be read ({error.strerror}).") from None
    except Exception as error:  # the parser's errors have many classes
        raise ValidationError(f"--potential {text}: not valid YAML ({str(error).splitlines()[0]}).") from None
    found = data.get("potential", None if is_case and "study" in data else data) if isinstance(data, dict) else data
    if not found:
        raise ValidationError(
            f"--potential {text}: expected a mapping such as {{path: model.pth}}, or a case file with one."
        )
    return found


def shift_of(text: str | None) -> Any:
    """Turn the text of ``--energy-shift`` into a choice.

    Raises:
        ValidationError: neither none nor species nor numbers.
    """
    from atomistic.errors import ValidationError

    if text is None or text in ("none", "species"):
        return text
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return {symbol.strip(): float(value) for symbol, value in pairs}
    except ValueError:
        raise ValidationError(
            f"--energy-shift is none, species, or numbers such as Al=1.23,Cu=0.4; got {text!r}."
        ) from None
