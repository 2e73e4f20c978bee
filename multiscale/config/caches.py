"""The one name in a case that becomes a folder outside the run directory: that of quantum results, kept between runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from multiscale.config.base import CaseProblem

CACHE_KEYS = (("embedding", "cache"), ("learning", "cache"))


def cache_problems(data: Mapping[str, Any], *folders: Path) -> list[CaseProblem]:
    """What is wrong with the folders that a case file names for quantum results.

    Within the folder of its file a case may have folders made. Elsewhere somebody made them before, for this: a folder
    that holds anything but quantum results is not written to.

    Args:
        data: of the case, file names absolute and without links.
        folders: of the files that the case was read from.
    """
    return [
        CaseProblem(
            path=keys,
            cause=f"the folder {folder} lies outside {' and '.join(str(home) for home in folders)}, and is no folder of "
            "quantum results",
            fix="Name a folder beside the case file; or make this one, empty, first",
        )
        for keys, folder in _caches(data)
        if not any(folder.is_relative_to(home.resolve()) for home in folders) and not _for_results(folder)
    ]


def make_caches(data: Mapping[str, Any]) -> None:
    """Make the folders of a case whose file is to be written elsewhere, once `cache_problems` has found none.

    Where one cannot be made, its case says so when it is run.
    """
    for _, folder in _caches(data):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)


def _caches(data: Mapping[str, Any]) -> list[tuple[tuple[str, str], Path]]:
    blocks = [(keys, data.get(keys[0])) for keys in CACHE_KEYS]
    named = [(keys, block.get(keys[1])) for keys, block in blocks if isinstance(block, Mapping)]
    return [(keys, Path(name)) for keys, name in named if isinstance(name, str) and name]


def _for_results(folder: Path) -> bool:
    """Whether a folder is there, and empty or a cache of quantum results."""
    from atomistic.oracle.cache import BUCKET

    try:
        return all(
            entry.name in ("logs", "failed") or (entry / BUCKET).is_file()
            for entry in folder.iterdir()
            if not entry.name.startswith(".")
        )
    except OSError:
        return False
