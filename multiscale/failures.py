"""What a failure becomes: one message, an exit code, and no rank left waiting for the others."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from atomistic.errors import StoppedError
from atomistic.whole_file import write_whole
from multiscale.config.base import CaseError
from multiscale.errors import CheckpointError

EXIT_DONE, EXIT_FAILED, EXIT_MISTAKE, EXIT_RESUME, EXIT_INTERRUPTED = 0, 1, 2, 75, 130
"""EXIT_RESUME is EX_TEMPFAIL of sysexits.h: stopped well, and to be resumed."""
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


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
MEMORY_WORDS = ("can't allocate memory", "out of memory", "not enough memory", "bad_alloc", "Cannot allocate memory")
ON_RANK = re.compile(r" \(on rank (\d+)\)$")


def exit_code(error: BaseException) -> int:
    """2 for a user's mistake or a missing engine, 1 for failed physics, machines and defects, 75 stopped, 130 interrupted."""
    if isinstance(error, StoppedError):
        return EXIT_RESUME
    if isinstance(error, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    mistake = isinstance(error, ImportError) or (isinstance(error, ValueError) and is_ours(error))
    mistake |= isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG
    return EXIT_MISTAKE if mistake and not trouble(error) else EXIT_FAILED


def is_ours(error: BaseException) -> bool:
    """Whether the error is one that this project raises on purpose (its class lives in one of the four packages)."""
    return type(error).__module__.partition(".")[0] in PACKAGES


def trouble(error: BaseException) -> str:
    """What the machine cannot give, and what to do: disk full, memory used up; "" for any other error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in FULL:
            return f"{_file_of(cause)} cannot be written ({cause.strerror}). Make room there"
        words = str(cause)
        spent = type(cause).__name__ == "OutOfMemoryError" or any(word in words for word in MEMORY_WORDS)
        if isinstance(cause, MemoryError) or (isinstance(cause, RuntimeError | OSError) and spent):
            return (
                f"the memory is used up ({type(cause).__name__}{f': {words.splitlines()[0]}' if words else ''}). Fewer ranks on "
                "a machine, smaller cells and zones, or a machine with more of it"
            )
        cause = cause.__cause__
    return ""


def _file_of(error: OSError) -> str:
    return str(error.filename) if error.filename is not None else "a file"


@contextmanager
def caused_by(*keys: str) -> Iterator[None]:
    """Point at these keys of the case for mistakes made within, where their class alone would point elsewhere."""
    try:
        yield
    except (ValueError, ImportError) as error:
        error.__dict__.setdefault("case_keys", keys)
        raise


def message(error: BaseException, *, case_file: Path | None = None, directory: Path | None = None) -> str:
    """What to tell about an error.

    Args:
        error: what was raised; `phases`, `rank` and `place`, where it has them, tell in which phase of the run, on which rank and
            in which part of the model.
        case_file: the case, in which the cause is then pointed at.
        directory: of the run, to say whether it can be resumed.
    """
    if isinstance(error, CaseError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return f"stopped by the user{resumable(directory)}"
    if isinstance(error, StoppedError):
        return f"{error}{_circumstances(error)}{resumable(directory)}"
    text = ON_RANK.sub("", str(error))
    lost = isinstance(error, CheckpointError) or getattr(error, "errno", None) == errno.ENOENT
    if lost and directory is not None and not directory.exists():
        gone = f"the run directory {directory} is gone: it was removed or renamed while the run wrote to it"
        return f"{gone}{_circumstances(error)}"
    if lacking := trouble(error):
        text = text if is_ours(error) else lacking
        return f"{text}{_circumstances(error)}{resumable(directory) if 'resume' not in text else ''}"
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ImportError):
        advice = ". Choose another directory with -o" if error.errno in FORBIDDEN else ""
        return f"{_file_of(error)} cannot be used ({error.strerror}){advice}{_circumstances(error)}"
    if not is_ours(error) and not isinstance(error, ImportError):
        return f"unexpected {type(error).__name__}: {text}{_circumstances(error)}"
    mistake = exit_code(error) == EXIT_MISTAKE
    return f"{_place(error, case_file)}{text}{'' if mistake else _circumstances(error)}"


def _circumstances(error: BaseException) -> str:
    """ " [rank 1; loading, after 2 of 6: 12 nm; the zone of atoms, 96 of them]"."""
    told = error.__dict__
    known = [f"rank {told['rank']}"] if "rank" in told else []
    known += [", within ".join(told["phases"])] if told.get("phases") else []
    cause: BaseException | None = error
    while cause is not None and "place" not in cause.__dict__:
        cause = cause.__cause__
    known += [] if cause is None else [str(cause.__dict__["place"])]
    return f" [{'; '.join(known)}]" if known else ""


def resumable(directory: Path | None) -> str:
    """A sentence that says how the run in a directory goes on; "" where nothing is kept."""
    with suppress(OSError):
        if directory is not None and any((directory / "checkpoint").iterdir()):
            return f". What was reached is kept; go on with: multiscale resume {shlex.quote(str(directory))}"
    return ""


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
    with suppress(OSError):
        if directory is not None and directory.is_dir():
            path = directory / "traceback.txt"
            path.write_text(text, encoding="utf-8")
            return f". This is a defect of the program; its traceback is in {path}."
    return ". This is a defect of the program; --traceback shows where."


def mark_failed(directory: Path | None, text: str) -> None:
    """Write into ``run.json`` that a run has failed whose first rank cannot do it any more."""
    if directory is None:
        return
    path = directory / "run.json"
    with suppress(OSError, ValueError):
        record = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(record, dict) and record.get("status") == "running":
            record |= {"status": "failed", "mistake": False, "error": text}
            write_whole(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def run_together(
    work: Callable[[], Any],
    *,
    comm: Any,
    report: Callable[[BaseException], None],
    patience: float = 5.0,
) -> int:
    """Run ``work`` on all ranks; when it fails, fail on all of them and say so once.

    An error that every rank meets (the common case: arguments are checked before anything collective), or that one rank has met
    and told the others, is reported once, by rank 0 or the one that it is of, and all ranks return the same code. An error of
    some ranks only is reported by those, and the run is aborted because the others wait in a collective call that can never
    complete. Errors that are of one rank know it then, as ``rank``.

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
        if agreement is None:
            report(error)
            return code
        if all_arrive(agreement, patience):
            said = agreement.allgather((str(error), code))
            speaker, common = _speaker([text for text, _ in said])
            if comm.rank == speaker:
                error.__dict__.update({} if common else {"rank": speaker})
                report(error)
            return int(said[speaker][1])
        error.__dict__["rank"] = comm.rank
        report(error)
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        time.sleep(FORWARDING)
        comm.Abort(code)
        # Some libraries come back from there, and wait for their launcher to end them.
        os._exit(code)
    return EXIT_DONE


def _speaker(texts: Sequence[str]) -> tuple[int, bool]:
    """The rank whose error it is, by what each rank's says, and whether it is everybody's."""
    for text in texts:
        told = ON_RANK.search(text)
        if told and int(told[1]) < len(texts) and texts[int(told[1])] == ON_RANK.sub("", text):
            return int(told[1]), False
    return 0, len(set(texts)) == 1


def all_arrive(agreement: Any, patience: float) -> bool:
    """Whether every rank gets here within ``patience`` seconds; `agreement` is a communicator that nothing else uses."""
    request = agreement.Ibarrier()
    deadline = time.monotonic() + patience
    while not request.Test():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
