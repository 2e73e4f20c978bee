"""The files of weights or parameters behind a potential's short name, found without loading it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from atomistic.potentials import chgnet, lammps, sevennet


def files_of_name(name: str) -> tuple[Path, ...]:
    """Return the files that a short name such as "sevennet-0" or "eam-al" reads.

    Args:
        name: as `load_potential` takes it.

    Returns:
        Those that exist; none for a name without files (EMT), an unknown one, or an engine that is not installed.
    """
    key = name.strip().lower()
    if key in sevennet.MODELS:
        candidates = _in_package("sevenn", "pretrained_potentials", sevennet.MODELS[key][0])
    elif key in chgnet.MODELS:
        candidates = _in_package("chgnet", "pretrained", chgnet.MODELS[key][1])
    elif key in lammps.SHORTCUTS:
        candidates = [path for file in lammps.SHORTCUTS[key].files if (path := shipped_file(str(file))) is not None]
    else:
        candidates = []
    return tuple(path for path in candidates if path.is_file())


def shipped_file(name: str) -> Path | None:
    """Return the parameter file of this name that comes with LAMMPS, or the file itself; None where there is neither."""
    folder = lammps.potentials_folder()
    places = [Path(name).expanduser(), *([folder / name] if folder is not None else [])]
    return next((place.resolve() for place in places if place.is_file()), None)


def _in_package(package: str, *parts: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    return [] if spec is None or spec.origin is None else [Path(spec.origin).parent.joinpath(*parts)]
