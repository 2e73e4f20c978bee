"""What a case reads besides itself: model files and input files, hashed; and whether its potentials are there at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from multiscale.config.base import CaseProblem, nearest
from multiscale.config.yaml_text import Keys
from multiscale.sweep.values import quantity

DIGITS = 16
"""Hexadecimal digits of a case's name: two of a million cases are alike with a chance of 3e-8."""


class Inputs:
    """Finds and hashes the files that cases read; each once, however many cases read it."""

    def __init__(self) -> None:
        self._hashes: dict[Path, str] = {}
        self._checked: dict[str, list[CaseProblem]] = {}

    def of(self, resolved: Any) -> dict[str, str]:
        """SHA-256 of every file that a resolved case names, by path: input files, models, parameter files of engines."""
        paths = {path for text in _texts(resolved) for path in files_of(text)}
        return {str(path): self._hash(path) for path in sorted(paths)}

    def _hash(self, path: Path) -> str:
        if path not in self._hashes:
            with path.open("rb") as stream:
                self._hashes[path] = hashlib.file_digest(stream, "sha256").hexdigest()
        return self._hashes[path]

    def missing(self, case: Any) -> list[CaseProblem]:
        """Potentials of a case that do not exist or whose engine is not installed."""
        found = []
        for keys, name in potential_names(case):
            if name not in self._checked:
                self._checked[name] = _problems_of_name(name)
            found += [CaseProblem(path=keys, cause=p.cause, fix=p.fix) for p in self._checked[name]]
        return found


@cache
def files_of(text: str) -> tuple[Path, ...]:
    """The files that a text of a case stands for: an absolute path, the name of a model, a parameter file of LAMMPS."""
    from atomistic.potentials.model_files import files_of_name, shipped_file

    if not text or len(text) > 4096 or "\n" in text or "\0" in text:
        return ()
    try:
        if text.startswith("/"):
            path = Path(text)
            return (path,) if path.is_file() else ()
        if " " in text or text.startswith(("~", ".")):
            return ()
        shipped = shipped_file(text) if "." in text and "/" not in text else None
    except OSError:  # a text that no file system takes for a name
        return ()
    return files_of_name(text) if shipped is None else (shipped,)


def digest_of(resolved: Mapping[str, Any], inputs: Mapping[str, str], version: str) -> str:
    """The name of a case: a hash of what decides its results.

    A file counts by what is in it, not by where it lies; numbers count to 12 digits, so that 0.2 um is 200 nm.
    """
    content = {"case": _canonical(resolved, inputs), "files": sorted(set(inputs.values())), "version": version}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:DIGITS]


def _canonical(value: Any, inputs: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _canonical(item, inputs) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item, inputs) for item in value]
    if isinstance(value, float):
        return float(f"{value:.12g}")
    if isinstance(value, str):
        if value in inputs:
            return f"sha256:{inputs[value]}"
        found = quantity(value)
        return value if found is None else f"{found[0]:.12g} {found[1]}"
    return value


def _texts(value: Any) -> Iterator[str]:
    """Every text in a case's data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def potential_names(case: Any) -> Iterator[tuple[Keys, str]]:
    """The potentials that a case asks for by name, with the keys that lead to them."""
    if (spec := getattr(case, "potential", None)) is not None:
        yield from _names(spec, ("potential",))
    for label, spec in (getattr(case, "potentials", None) or {}).items():
        yield from _names(spec, ("potentials", label))


def _names(spec: Any, keys: Keys) -> Iterator[tuple[Keys, str]]:
    if isinstance(spec, str):
        yield keys, spec
    elif isinstance(spec, Mapping):
        for number, member in enumerate(spec.get("committee") or ()):
            yield from _names(member, (*keys, "committee", number))
        name = spec.get("name")
        if isinstance(name, str) and name.lower() != "lammps":
            yield (*keys, "name"), name


def _problems_of_name(name: str) -> list[CaseProblem]:
    known = _known_names()
    found = known.get(name.strip().lower())
    if found is None:
        near = nearest(name, list(known))
        hint = f'Did you mean "{near}"?' if near else "`multiscale potentials` lists the names"
        return [CaseProblem(path=(), cause=f"unknown potential {name!r}", fix=hint)]
    installed, family, install = found
    if not installed:
        return [
            CaseProblem(path=(), cause=f"{name} needs {family}, which is not installed", fix=f"Install it: {install}")
        ]
    return []


@cache
def _known_names() -> dict[str, tuple[bool, str, str]]:
    from atomistic.potentials import available_potentials

    return {info.name: (info.installed, info.family, info.install) for info in available_potentials()}
