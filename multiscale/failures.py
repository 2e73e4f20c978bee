"""What a failure becomes: one message, an exit code, and no rank left waiting for the others."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from multiscale.config.base import CaseError

EXIT_DONE, EXIT_FAILED, EXIT_MISTAKE, EXIT_INTERRUPTED = 0, 1, 2, 130
FORWARDING = 0.5
"""Seconds that mpirun gets to pass a message on; it drops what it still holds when a rank aborts."""
PACKAGES = ("atomistic", "continuum", "coupling", "multiscale")

KEYS_BY_ERROR: dict[str, tuple[tuple[str, ...], ...]] = {
    "UnknownPotentialError": (("potential",), ("potentials",)),
    "ModelFileError": (("potential",), ("potentials",)),
    "MissingEngineError": (("potential",), ("potentials",)),
    "DeviceError": (("device",),),
    "UnknownElementError": (("crystal", "element"), ("structure",)),
    "CrystalError": (("crystal",), ("structure", "crystal")),
    "InvalidPlaneError": (("crack", "plane"), ("interface", "plane"), ("body", "plane"), ("surfaces", "planes")),
    "UnknownCutError": (("crack", "cut"),),
    "PropertyError": (("properties",),),
    "InvalidCurveError": (("decohesion",), ("faults",)),
    "TableError": (("decohesion", "file"),),
    "LawError": (("law",),),
    "MeshError": (("specimen",), ("body",)),
    "SupportError": (("specimen", "supports"),),
    "LatticeError": (("crack",), ("body",), ("interface", "plane")),
    "BodyError": (("body",), ("specimen",)),
    "CauchyBornError": (("material",), ("zone", "material")),
    "CrystalMismatchError": (("material",), ("zone", "material")),
    "InteractionError": (("zone",),),
    "WeightedEnergiesError": (("method",), ("zone", "method")),
    "ForeignElementError": (("defect", "element"),),
    "DefectError": (("defect",),),
    "ZoneError": (("zone",),),
    "PartitionError": (("zone",),),
    "DoubleCountingError": (("zone",),),
    "TransferError": (("zone",),),
    "StrainError": (("strain",),),
    "MethodError": (("method",), ("zone", "method")),
    "TooManyAtomsError": (("compare", "largest"),),
    "PrecisionError": (("load", "path"),),
    "CohesiveZoneError": (("zone", "radius"),),
    "ValidityError": (("zone", "radius"),),
    "CrackLoadError": (("load",),),
    "StructureFileError": (("structure",),),
    "SelectionError": (("embedding", "core"),),
    "CapError": (("embedding", "links"), ("learning", "excerpt", "passivate")),
    "EmbeddingError": (("embedding",),),
    "OracleInputError": (("embedding", "engine"), ("learning", "oracle")),
    "CommitteeError": (("potential",),),
    "LearningError": (("learning",),),
    "NothingToLearnError": (("learning", "data"),),
    "ExcerptError": (("learning", "excerpt"),),
    "OracleCacheError": (("embedding", "cache"),),
}
"""The key of a case that a mistake found further down comes from; studies call some things by different names."""


def exit_code(error: BaseException) -> int:
    """2 for a user's mistake or a missing engine, 1 for failed physics and defects, 130 for an interrupt."""
    if isinstance(error, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    mistake = isinstance(error, ImportError) or (isinstance(error, ValueError) and is_ours(error))
    return EXIT_MISTAKE if mistake else EXIT_FAILED


def is_ours(error: BaseException) -> bool:
    """Whether the error is one that this project raises on purpose (its class lives in one of the four packages)."""
    return type(error).__module__.partition(".")[0] in PACKAGES


@contextmanager
def caused_by(*keys: str) -> Iterator[None]:
    """Point at these keys of the case for mistakes made within, where their class alone would point elsewhere."""
    try:
        yield
    except (ValueError, ImportError) as error:
        error.__dict__.setdefault("case_keys", keys)
        raise


def message(error: BaseException, *, case_file: Path | None = None) -> str:
    """What to tell about an error; with a case file, where in it the cause is."""
    if isinstance(error, CaseError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "stopped by the user"
    if not is_ours(error) and not isinstance(error, ImportError):
        return f"unexpected {type(error).__name__}: {error}"
    return f"{_place(error, case_file)}{error}"


def _place(error: BaseException, case_file: Path | None) -> str:
    """ "case.yaml:3:10: crystal.element: " for an error whose class tells which key it comes from."""
    names = [cls.__name__ for cls in type(error).__mro__]
    choices = next((KEYS_BY_ERROR[name] for name in names if name in KEYS_BY_ERROR), None)
    if "case_keys" in error.__dict__:
        choices = (error.__dict__["case_keys"],)
    if case_file is None or choices is None:
        return ""
    from multiscale.config.load import locate, study_of

    model = study_of(case_file)
    keys = next((keys for keys in choices if keys[0] in model.model_fields), None)
    if keys is None:
        return ""
    found, line, column = locate(case_file, keys)
    if not found:
        return f"{case_file}: {keys[0]}: "
    return f"{case_file}:{line}:{column}: {'.'.join(map(str, found))}: "


def save_traceback(error: BaseException, directory: Path | None) -> str:
    """Keep the traceback of a defect where the run writes; returns a sentence that says where."""
    text = "".join(traceback.format_exception(error))
    if directory is None or not directory.is_dir():
        return ". This is a defect of the program; --traceback shows where."
    path = directory / "traceback.txt"
    path.write_text(text, encoding="utf-8")
    return f". This is a defect of the program; its traceback is in {path}."


def run_together(
    work: Callable[[], Any],
    *,
    comm: Any,
    report: Callable[[BaseException], None],
    patience: float = 5.0,
) -> int:
    """Run ``work`` on all ranks; when it fails, fail on all of them and say so once.

    An error that every rank meets (the common case: arguments are checked before anything collective) is reported by
    rank 0 and all ranks return the same code. An error of some ranks only is reported by those, and the run is aborted
    because the others wait in a collective call that can never complete.

    Args:
        work: called without arguments.
        comm: MPI communicator.
        report: shows an error; called on the rank that speaks.
        patience: seconds to wait for the other ranks to fail too.

    Returns:
        The exit code.
    """
    agreement = comm.Dup() if comm.size > 1 else None
    try:
        work()
    except BaseException as error:  # every failure must reach the other ranks, SystemExit and interrupts included
        code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else exit_code(error)
        if agreement is None or all_arrive(agreement, patience):
            if comm.rank == 0:
                report(error)
            return code if agreement is None else max(agreement.allgather(code))
        report(error)
        sys.stdout.flush()
        sys.stderr.flush()
        time.sleep(FORWARDING)
        comm.Abort(code)
    return EXIT_DONE


def all_arrive(agreement: Any, patience: float) -> bool:
    """Whether every rank gets here within ``patience`` seconds; `agreement` is a communicator that nothing else uses."""
    request = agreement.Ibarrier()
    deadline = time.monotonic() + patience
    while not request.Test():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
