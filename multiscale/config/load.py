"""Read a case from YAML, keeping the line and column of everything for the messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from multiscale.config.adhesion import AdhesionCase
from multiscale.config.base import CaseError, CaseProblem, either, nearest
from multiscale.config.common import CheckedCase
from multiscale.config.contact import ContactCase
from multiscale.config.defect import DefectCase
from multiscale.config.embedding_case import EmbeddingCase
from multiscale.config.fracture import FractureCase
from multiscale.config.learning_case import ActiveLearningCase
from multiscale.config.properties import PropertiesCase, named_potentials

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

Keys = tuple[str | int, ...]
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
    try:
        return model(**data)
    except CaseError as error:
        placed = [_placed(problem, positions, path) for problem in error.problems]
        raise CaseError(sorted(placed, key=lambda problem: (problem.line or 0, problem.column or 0))) from None


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
    if path.is_dir():
        raise _problem(path, "this is a directory", "Give a case file, for example case.yaml in it")
    if not path.exists():
        folder = path.parent if path.parent.is_dir() else Path(".")
        near = nearest(path.name, [other.name for other in folder.iterdir() if other.suffix in (".yaml", ".yml")])
        hint = f'Did you mean "{folder / near}"?' if near else '"multiscale init adhesion -o case.yaml" writes one'
        raise _problem(path, "no such file", hint)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _problem(path, "this is not a text file in UTF-8", "Give a YAML case file") from error
    except OSError as error:
        raise _problem(path, f"the file cannot be read ({error.strerror})", "Check its permissions") from error
    if not text.strip():
        raise _problem(path, "the file is empty", '"multiscale init adhesion" shows what a case looks like')
    return text


def _parse(text: str, path: Path) -> tuple[dict[str, Any], dict[Keys, tuple[int, int]]]:
    """The data of a YAML text and the line and column (from 1) of every key and item."""
    try:
        yaml = YAML(typ="safe", pure=True)
        node = yaml.compose(text)
        data = yaml.load(text)
    except DuplicateKeyError as error:
        mark = error.problem_mark
        words = str(error.problem).split('"')
        cause = f"duplicate key {words[1]!r}" if len(words) > 1 else "duplicate key"
        raise _problem(path, cause, "Keep one of the two", line=mark.line + 1, column=mark.column + 1) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = {"line": mark.line + 1, "column": mark.column + 1} if mark else {}
        cause = f"not valid YAML: {error.problem or error.context}"
        raise _problem(path, cause, _syntax_hint(text, mark), **place) from None
    except YAMLError as error:
        lines = str(error).strip().splitlines()
        raise _problem(path, f"not valid YAML: {lines[0]}", "Give a YAML case file") from None
    if not isinstance(data, dict):
        shown = "a list" if isinstance(data, list) else "nothing" if data is None else f"the text {str(data)[:40]!r}"
        fix = 'Write keys with values, "study: adhesion" first'
        raise _problem(path, f"expected a mapping of keys to values, got {shown}", fix, line=1, column=1)
    positions: dict[Keys, tuple[int, int]] = {}
    _collect(node, (), positions, set())
    return data, positions


def _syntax_hint(text: str, mark: Any) -> str:
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if "\t" in line:
        return "Indent with spaces, not tabs"
    if line.count(": ") > 1 and "{" not in line:
        return "Put quotes around text that contains a colon, or braces around several keys on one line"
    return "Check brackets, quotes, colons and the indentation there and in the line before"


def _collect(node: Node, path: Keys, positions: dict[Keys, tuple[int, int]], seen: set[int]) -> None:
    """Note where each key or item stands; what an alias repeats is noted once, where it is written."""
    positions.setdefault(path, _position(node))
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, MappingNode):
        for key, value in node.value:
            here = (*path, key.value if isinstance(key.value, str) else str(key.value))
            positions.setdefault(here, _position(key))
            _collect(value, here, positions, seen)
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            _collect(item, (*path, index), positions, seen)


def _position(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _placed(problem: CaseProblem, positions: dict[Keys, tuple[int, int]], path: Path) -> CaseProblem:
    """The problem at its key, or at the closest key above it."""
    known = problem.path
    while known not in positions and known:
        known = known[:-1]
    line, column = positions.get(known, (1, 1))
    return problem.at(file=str(path), line=line, column=column)


def _study(data: dict, positions: dict[Keys, tuple[int, int]], path: Path) -> type[CheckedCase]:
    """The model of the study that the file names."""
    bad_keys = [key for key in data if not isinstance(key, str)]
    if bad_keys:
        raise _problem(path, f"the key {bad_keys[0]!r} is not text", 'Write keys with values, "study: adhesion" first')
    if "study" not in data:
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
            block[key] = str((folder / block[key]).resolve())
        elif isinstance(block.get(key), list):
            block[key] = [str((folder / name).resolve()) if isinstance(name, str) else name for name in block[key]]
    _resolve_potential(data.get("potential"), folder)
    several = named_potentials(data.get("potentials"))
    for potential in several.values() if isinstance(several, dict) else ():
        _resolve_potential(potential, folder)


def _resolve_potential(potential: Any, folder: Path) -> None:
    """The same for what a potential's mapping names, and for every member of a committee."""
    if not isinstance(potential, dict):
        return
    if isinstance(potential.get("path"), str):
        potential["path"] = str((folder / potential["path"]).resolve())
    if isinstance(potential.get("committee"), list):
        for member in potential["committee"]:
            _resolve_potential(member, folder)
    if isinstance(potential.get("files"), list):
        potential["files"] = [
            str((folder / name).resolve()) if isinstance(name, str) and (folder / name).is_file() else name
            for name in potential["files"]
        ]
