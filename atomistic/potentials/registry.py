"""From a specification, as a person writes it, to a potential."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpi4py import MPI

from atomistic.errors import DeviceError, UnknownPotentialError, nearest
from atomistic.potentials import checkpoint, chgnet, imported, lammps, sevennet
from atomistic.potentials.base import Capabilities, Potential

_KEYS = {
    "lammps": {"name", "pair_style", "files", "elements", "pair_coeff"},
    "calculator": {"calculator", "arguments", "elements"},
    "path": {"path", "family", "modal"},
    "name": {"name", "modal"},
    "committee": {"committee", "voting"},
}


@dataclass(frozen=True, kw_only=True)
class PotentialInfo:
    """A potential that can be asked for by name: its family, whether it is installed, else how to install it."""

    name: str
    family: str
    installed: bool
    install: str
    capabilities: Capabilities


def load_potential(
    spec: str | Mapping[str, Any] | Path, *, comm: MPI.Comm | None = None, device: str = "cpu"
) -> Potential:
    """Turn a specification into a counted ASE calculator. Nothing is ever downloaded.

    Args:
        spec: a name (`available_potentials` lists them); or a mapping of one of these forms:
            {name: lammps, pair_style: snap, files: [...], elements: [...], pair_coeff: [...]} for any LAMMPS pair style;
            {calculator: "package.module:Class", arguments: {...}, elements: [...]} for any ASE calculator;
            {path: model.pth} for a checkpoint of SevenNet (or of MACE or NequIP, where installed), or heads trained here;
            {committee: [first, second, ...], voting: [0]} for several potentials of any form, their mean, and their doubt.
            With `member: k` in such a mapping, or beside the path of heads, member k alone.
        comm: ranks that share one evaluation, for engines that can (LAMMPS); by default the calling rank alone. The
            others evaluate on the calling rank whatever `comm` is.
        device: "cpu" or "cuda".

    Raises:
        UnknownPotentialError: no such name, or a mapping that fits none of the forms.
        ModelFileError: a file is missing or not what it should be.
        MissingEngineError: the package is not installed; the message is the line that installs it.
        DeviceError: the device is not there, or the potential cannot use it.
    """
    comm = MPI.COMM_SELF if comm is None else comm
    potential = _load(spec, comm=comm, device=device)
    capabilities = potential.capabilities
    # The members of a committee remember each for itself; together they keep more than their results.
    if capabilities.members == 1:
        parts = [spec if isinstance(spec, str | Mapping) else str(spec), capabilities.model_sha256, device]
        potential.identity = json.dumps(
            [capabilities.name, capabilities.precision, *parts], sort_keys=True, default=str
        )
    return potential


def _load(spec: str | Mapping[str, Any] | Path, *, comm: MPI.Comm, device: str) -> Potential:
    """Load by the form of the specification."""
    if isinstance(spec, Path):
        spec = {"path": spec}
    if isinstance(spec, str):
        spec = {"name": spec}
    if not isinstance(spec, Mapping):
        raise UnknownPotentialError(f"A potential is a name or a mapping; got {type(spec).__name__} {spec!r}.")
    if "member" in spec:
        return _load_member(spec, comm=comm, device=device)
    form = _form(spec)
    if form == "lammps":
        return _load_lammps(spec, comm=comm, device=device)
    if form == "calculator":
        _refuse_device(str(spec["calculator"]), device, ("cpu",))
        return imported.load_imported(
            str(spec["calculator"]), arguments=spec.get("arguments"), elements=spec.get("elements")
        )
    if form == "committee":
        from atomistic.committee.load import load_committee

        return load_committee(spec, device=device)
    if form == "path":
        return checkpoint.load_path(
            Path(spec["path"]), family=spec.get("family"), modal=spec.get("modal"), device=device, comm=comm
        )
    return _load_named(str(spec["name"]), device=device, comm=comm)


def available_potentials() -> list[PotentialInfo]:
    """List every potential that has a name, with what it can do, without loading any weights."""
    families: list[tuple[str, Any, Any]] = [
        ("SevenNet", sevennet, sevennet.MODELS),
        ("CHGNet", chgnet, chgnet.MODELS),
        ("LAMMPS", lammps, lammps.SHORTCUTS),
    ]
    listed = [
        PotentialInfo(
            name=name,
            family=family,
            installed=module.installed(),
            install=module.INSTALL,
            capabilities=module.capabilities(name),
        )
        for family, module, names in families
        for name in names
    ]
    emt = PotentialInfo(
        name="emt", family="ASE", installed=True, install="pip install ase", capabilities=imported.capabilities_of_emt()
    )
    return [*listed, emt]


def _form(spec: Mapping[str, Any]) -> str:
    """Return which of the forms a mapping has, and check its keys."""
    if "calculator" in spec:
        form = "calculator"
    elif "path" in spec:
        form = "path"
    elif "committee" in spec:
        form = "committee"
    elif "name" in spec:
        form = "lammps" if str(spec["name"]).lower() == "lammps" else "name"
    else:
        raise UnknownPotentialError(
            f"A potential's mapping needs one of the keys name, calculator, path or committee; got {sorted(map(str, spec))}."
        )
    for key in spec:
        if key not in _KEYS[form]:
            raise UnknownPotentialError(
                f"Unknown key {key!r} in the potential's mapping; expected {', '.join(sorted(_KEYS[form]))}."
                f"{nearest(str(key), _KEYS[form])}"
            )
    return form


def _load_member(spec: Mapping[str, Any], *, comm: MPI.Comm, device: str) -> Potential:
    """Load a committee and return one of its members alone."""
    from atomistic.committee import committee_of

    whole = {key: value for key, value in spec.items() if key != "member"}
    committee = committee_of(load_potential(whole, comm=comm, device=device))
    if committee is None:
        raise UnknownPotentialError(
            f"member is the number of one in a committee, and {whole} is a single potential. Leave it out."
        )
    return committee.member(spec["member"])


def _load_named(name: str, *, device: str, comm: MPI.Comm) -> Potential:
    """Load a potential by its short name."""
    key = name.strip().lower()
    loaders: dict[str, tuple[tuple[str, ...], Callable[[], Potential]]] = {
        "emt": (("cpu",), imported.load_emt),
        **{
            n: (("cpu", "cuda"), lambda: sevennet.load_packaged(key, device=device, comm=comm)) for n in sevennet.MODELS
        },
        **{n: (("cpu", "cuda"), lambda: chgnet.load_packaged(key, device=device, comm=comm)) for n in chgnet.MODELS},
        **{n: (("cpu",), lambda: lammps.load_shortcut(key, comm=comm)) for n in lammps.SHORTCUTS},
    }
    if key not in loaders:
        raise UnknownPotentialError(
            f"Unknown potential {name!r}.{nearest(key, loaders)} `multiscale potentials` lists the names; a file is given as "
            "{path: FILE}, a calculator as {calculator: 'module:Class'}."
        )
    devices, load = loaders[key]
    _refuse_device(key, device, devices)
    return load()


def _load_lammps(spec: Mapping[str, Any], *, comm: MPI.Comm, device: str) -> Potential:
    """Load the LAMMPS form of a mapping."""
    _refuse_device("lammps", device, ("cpu",))
    missing = [key for key in ("pair_style", "elements") if not spec.get(key)]
    if missing:
        raise UnknownPotentialError(
            f"A LAMMPS potential needs {' and '.join(missing)}, as in "
            "{name: lammps, pair_style: snap, files: [Ni.snapcoeff, Ni.snapparam], elements: [Ni]}."
        )
    for key in ("files", "elements", "pair_coeff"):
        if isinstance(spec.get(key), str):
            raise UnknownPotentialError(f"{key} must be a list; got the text {spec[key]!r}. Write [{spec[key]}].")
    return lammps.load_lammps(
        pair_style=str(spec["pair_style"]),
        files=tuple(spec.get("files") or ()),
        elements=tuple(spec["elements"]),
        pair_coeff=spec.get("pair_coeff"),
        comm=comm,
    )


def _refuse_device(name: str, device: str, devices: tuple[str, ...]) -> None:
    """Raise DeviceError unless the potential can run on the device."""
    if device.split(":")[0] not in devices:
        raise DeviceError(
            f"The potential {name!r} runs on {' or '.join(devices)}; got device {device!r}. Use device 'cpu'."
        )
