"""What ``run.json`` keeps so that a run can be repeated: the case as given, its files by hash, its code, seeds, environment."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

Keys = tuple[str | int, ...]

ENVIRONMENT = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_PLACES", "OMP_PROC_BIND"),
    *("PETSC_OPTIONS", "CUDA_VISIBLE_DEVICES", "PYTHONHASHSEED", "PYTHONPATH"),
    *("SLURM_JOB_ID", "SLURM_JOB_PARTITION", "SLURM_NTASKS", "SLURM_CPUS_PER_TASK", "SLURM_JOB_NODELIST"),
    "FLUX_JOB_ID",
)
"""Variables that results or times depend on; no others are recorded, because run directories are handed on."""
CODE_KEYS = ("calculator", "factory")
"""Keys whose values name code, "module:Class"."""
INPUT, MODEL, CODE = "input", "model", "code"


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A file that a run reads.

    Attributes:
        key: where the case names it, from the top; empty for several keys' worth of one model.
        kind: "input" named by its path; "model" behind a short name or shipped with an engine; "code" of an imported class.
        path: absolute.
        sha256: of its content.
        size: bytes.
    """

    key: Keys
    kind: str
    path: Path
    sha256: str
    size: int

    def entry(self) -> dict[str, Any]:
        """As ``run.json`` holds it."""
        return {
            "key": list(self.key),
            "kind": self.kind,
            "path": str(self.path),
            "sha256": self.sha256,
            "bytes": self.size,
        }


def describe_provenance(case: Any, *, force: bool = False) -> dict[str, Any]:
    """The section ``provenance`` of ``run.json``.

    Args:
        case: a pydantic case; None where a run has none.
        force: whether the run writes into a directory that is not empty, where earlier results may be used again.
    """
    given = {} if case is None else case.model_dump(mode="json", exclude_unset=True)
    whole = {} if case is None else case.model_dump(mode="json")
    return {
        "given": given,
        "directory": os.getcwd(),
        "python": sys.executable,
        "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        "inputs": [file.entry() for file in inputs_of(whole)],
        "code": code_packages(whole),
        "seeds": {dotted(keys): value for keys, value in leaves(whole) if keys[-1] == "seed" and value is not None},
        "into_earlier_results": force,
    }


def inputs_of(case: Any) -> list[InputFile]:
    """Every file that a case reads, models behind short names included, with its hash; each file once for each key.

    Args:
        case: a pydantic case, or its keys as a mapping.
    """
    data = case if isinstance(case, Mapping) else case.model_dump(mode="json")
    found: dict[tuple[Keys, Path], InputFile] = {}
    for keys, value in leaves(data):
        if isinstance(value, str) and value:
            for kind, path in _files(keys, value):
                with suppress(OSError):  # one that cannot be read is the study's to complain of
                    found[keys, path] = InputFile(
                        key=keys, kind=kind, path=path, sha256=file_hash(path), size=path.stat().st_size
                    )
    return list(found.values())


def leaves(data: Any, above: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Every value of nested mappings and lists with its keys from the top."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from leaves(value, (*above, str(key)))
    elif isinstance(data, list | tuple):
        for number, value in enumerate(data):
            yield from leaves(value, (*above, number))
    else:
        yield above, data


def dotted(keys: Keys) -> str:
    """Keys as a person would say them, ``"references[0].seed"``."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def _files(keys: Keys, value: str) -> Iterator[tuple[str, Path]]:
    """Files that a value stands for."""
    if keys[-1] in CODE_KEYS and ":" in value:
        if (code := code_file(value)) is not None:
            yield CODE, code
        return
    if len(value) > 1000 or "\n" in value or "\0" in value:
        return
    path = Path(value)
    # A bare word such as Al is an element, even where a file is called so; a file's name has a suffix or a folder.
    if (path.is_absolute() or path.suffix or "/" in value) and _is_file(path):
        yield INPUT, path.absolute()
        return
    from atomistic.potentials.model_files import files_of_name, shipped_file

    if "files" in keys:
        if (shipped := shipped_file(value)) is not None:
            yield MODEL, shipped
    elif keys != ("study",):
        for model in files_of_name(value):
            yield MODEL, model


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a text that is too long for a name
        return False


def code_file(spec: str) -> Path | None:
    """The file of a class named "module:Class" that belongs to no installed package; nothing is imported."""
    module = spec.partition(":")[0]
    top, *rest = module.split(".")
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if found is None or not found.origin or _version(top) is not None or "site-packages" in found.origin:
        return None
    folder, origin = Path(found.origin).parent, Path(found.origin)
    for path in (
        (folder.joinpath(*rest).with_suffix(".py"), folder.joinpath(*rest, "__init__.py")) if rest else (origin,)
    ):
        if path.is_file() and "lib/python" not in str(path):
            return path.resolve()
    return None


def code_packages(data: Mapping[str, Any]) -> dict[str, str]:
    """Installed packages that the case's own code comes from, with their versions."""
    names = {
        value.partition(":")[0].partition(".")[0]
        for keys, value in leaves(data)
        if keys and keys[-1] in CODE_KEYS and isinstance(value, str) and ":" in value
    }
    return {name: version for name in sorted(names) if (version := _version(name)) is not None}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def file_hash(path: Path) -> str:
    """SHA-256 of a file; of one that has not changed since it was asked for last, without reading it again."""
    state = path.stat()
    return _hash(str(path), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _hash(path: str, _changed: int, _size: int) -> str:
    from atomistic.potentials.base import sha256

    return sha256(Path(path))
