"""Read a case from YAML, keeping the line and column of everything for the messages."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

from multiscale.config.adhesion import AdhesionCase
from multiscale.config.base import CaseError, CaseProblem, either, nearest
from multiscale.config.caches import cache_problems
from multiscale.config.common import CheckedCase
from multiscale.config.contact import ContactCase
from multiscale.config.defect import DefectCase
from multiscale.config.embedding_case import EmbeddingCase
from multiscale.config.fracture import FractureCase
from multiscale.config.learning_case import ActiveLearningCase
from multiscale.config.properties import PropertiesCase, named_potentials
from multiscale.config.yaml_text import LARGEST_FILE, Keys, Places, YamlTextError, read_yaml

STUDIES: dict[str, type[CheckedCase]] = {
    "active-learning": ActiveLearningCase,
    "adhesion": AdhesionCase,
    "contact": ContactCase,
    "defect": DefectCase,
    "embedding": EmbeddingCase,
    "fracture": FractureCase,
    "properties": PropertiesCase,
}
"""Case model of each study."""

FILE_KEYS: tuple[tuple[str, ...], ...] = (
    ("decohesion", "file"),
    ("specimen", "file"),
    ("structure", "file"),
    ("embedding", "cache"),
    ("embedding", "engine", "path"),
    ("learning", "cache"),
    ("learning", "contract"),
    ("learning", "oracle", "path"),
    ("learning", "data", "initial"),
    ("learning", "data", "held_out"),
)
"""Keys that hold a file name or several, taken relative to the case file; those of potentials apart."""


def load_case(path: str | Path) -> CheckedCase:
    """Read and check a case file.

    File names in it are taken relative to the case file.

    Raises:
        CaseError: with every mistake found, each with file, line, column, key, cause and fix.
    """
    path = Path(path)
    text = _read(path)
    data, positions = _parse(text, path)
    model = _study(data, positions, path)
    _resolve_files(data, path.parent)
    problems = cache_problems(data, path.parent)
    try:
        case = model(**data)
    except CaseError as error:
        problems += error.problems
    if not problems:
        return case
    placed = [_placed(problem, positions, path) for problem in problems]
    raise CaseError(sorted(placed, key=lambda problem: (problem.line or 0, problem.column or 0)))


def read_data(path: str | Path) -> tuple[dict[str, Any], Places]:
    """What a YAML file of keys says, unchecked, and where its keys and items stand.

    Raises:
        CaseError: it cannot be read, or holds no mapping.
    """
    path = Path(path)
    return _parse(_read(path), path)


def resolve_files(data: dict[str, Any], folder: Path) -> None:
    """Make the file names in a case's data absolute, in place: they are relative to `folder`."""
    _resolve_files(data, folder)


def locate(path: str | Path, keys: Keys) -> tuple[Keys, int, int]:
    """Where a key stands in a case file: the deepest of ``keys`` that exists there, its line and column (from 1)."""
    path = Path(path)
    _, positions = _parse(_read(path), path)
    known = keys
    while known not in positions:
        known = known[:-1]
    return (known, *positions[known])


def study_of(path: str | Path) -> type[CheckedCase]:
    """The case model of the study that a file names."""
    path = Path(path)
    return _study(*_parse(_read(path), path), path)


def refuse_other_study(path: str | Path, case: CheckedCase, study: str) -> None:
    """Say so where a command is for cases of one study only.

    Raises:
        CaseError: the case is of another study.
    """
    if case.study == study:
        return
    known, line, column = locate(path, ("study",))
    raise CaseError(
        [
            CaseProblem(
                path=known,
                cause=f"this command needs a case of the study {study}, and this one is of {case.study}",
                fix=f'"multiscale init {study}" writes one; "multiscale run" runs any',
                file=str(path),
                line=line,
                column=column,
            )
        ]
    )


def _problem(path: Path, cause: str, fix: str, *, line: int | None = None, column: int | None = None) -> CaseError:
    return CaseError([CaseProblem(path=(), cause=cause, fix=fix, file=str(path), line=line, column=column)])


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise _problem(path, "no such file", _other_file(path)) from None
    except IsADirectoryError:
        raise _problem(path, "this is a directory", "Give a case file, for example case.yaml in it") from None
    except OSError as error:
        raise _problem(path, f"the file cannot be read ({error.strerror})", "Check its permissions") from error
    if len(content) > LARGEST_FILE:
        cause = f"the file is larger than {LARGEST_FILE // 2**20} MiB, which no case is"
        raise _problem(path, cause, "Give a YAML case file; tables belong into files of their own", line=1, column=1)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        cause = "this is not a text file in UTF-8"
        raise _problem(path, cause, "Give a YAML case file", line=line, column=column) from None
    if not text.strip():
        cause = "the file is empty"
        raise _problem(path, cause, '"multiscale init adhesion" shows what a case looks like', line=1, column=1)
    return text


def _other_file(path: Path) -> str:
    """What to do about a case file that is not there."""
    try:
        folder = path.parent if path.parent.is_dir() else Path(".")
        near = nearest(path.name, [other.name for other in folder.iterdir() if other.suffix in (".yaml", ".yml")])
    except OSError:  # a folder that may be entered but not listed
        near = None
    return f'Did you mean "{folder / near}"?' if near else '"multiscale init adhesion -o case.yaml" writes one'


def _parse(text: str, path: Path) -> tuple[dict[str, Any], Places]:
    """The data of a YAML text and the line and column (from 1) of every key and item."""
    try:
        data, positions = read_yaml(text)
    except YamlTextError as error:
        problem = CaseProblem(path=error.keys, cause=error.cause, fix=error.fix)
        line, column = error.place
        raise CaseError([problem.at(file=str(path), line=line, column=column)]) from None
    if not isinstance(data, dict):
        shown = "a list" if isinstance(data, list) else "nothing" if data is None else f"the text {str(data)[:40]!r}"
        fix = 'Write keys with values, "study: adhesion" first'
        raise _problem(path, f"expected a mapping of keys to values, got {shown}", fix, line=1, column=1)
    return data, positions


def _placed(problem: CaseProblem, positions: Places, path: Path) -> CaseProblem:
    """The problem at its key, or at the closest key above it."""
    known = problem.path
    while known not in positions and known:
        known = known[:-1]
    line, column = positions.get(known, (1, 1))
    return problem.at(file=str(path), line=line, column=column)


def _study(data: dict, positions: Places, path: Path) -> type[CheckedCase]:
    """The model of the study that the file names."""
    bad_keys = [key for key in data if not isinstance(key, str)]
    if bad_keys:
        line, column = positions[(bad_keys[0],)]
        fix = 'Write keys with values, "study: adhesion" first'
        raise _problem(path, f"the key {bad_keys[0]!r} is not text", fix, line=line, column=column)
    if "study" not in data:
        if "case" in data and ("parameters" in data or "points" in data):
            raise _problem(
                path,
                "this is a sweep, not a case",
                f"Write multiscale sweep {shlex.quote(str(path))}",
                line=1,
                column=1,
            )
        near = nearest("study", list(data))
        fix = f'Did you mean "study" by "{near}"?' if near else f"Write study: {either(list(STUDIES))}"
        raise _problem(path, "the key 'study' is missing", fix, line=1, column=1)
    study = data["study"]
    if not isinstance(study, str) or study not in STUDIES:
        near = nearest(study, list(STUDIES))
        fix = f'Did you mean "{near}"?' if near else f"Studies are: {either(list(STUDIES))}"
        problem = CaseProblem(path=("study",), cause=f"unknown study {study!r}", fix=fix)
        raise CaseError([_placed(problem, positions, path)])
    return STUDIES[study]


def _resolve_files(data: dict, folder: Path) -> None:
    """Make file names relative to the case file absolute, in place; shipped potential files keep their bare names."""
    for *sections, key in FILE_KEYS:
        block: Any = data
        for section in sections:
            block = block.get(section) if isinstance(block, dict) else None
        if not isinstance(block, dict):
            continue
        if isinstance(block.get(key), str):
            block[key] = _absolute(folder, block[key])
        elif isinstance(block.get(key), list):
            block[key] = [_absolute(folder, name) if isinstance(name, str) else name for name in block[key]]
    _resolve_potential(data.get("potential"), folder)
    several = named_potentials(data.get("potentials"))
    for potential in several.values() if isinstance(several, dict) else ():
        _resolve_potential(potential, folder)


def _resolve_potential(potential: Any, folder: Path) -> None:
    """The same for what a potential's mapping names, and for every member of a committee."""
    if not isinstance(potential, dict):
        return
    if isinstance(potential.get("path"), str):
        potential["path"] = _absolute(folder, potential["path"])
    if isinstance(potential.get("committee"), list):
        for member in potential["committee"]:
            _resolve_potential(member, folder)
    if isinstance(potential.get("files"), list):
        potential["files"] = [
            found if isinstance(name, str) and os.path.isfile(found := _absolute(folder, name)) else name
            for name in potential["files"]
        ]


def _absolute(folder: Path, name: str) -> str:
    """A name relative to a folder, absolute and without links; any text will do, as `Path.resolve` has it not."""
    return os.path.realpath(folder / name)
