"""A model file given by its path: which family wrote it, and the loader of that family."""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ase.data import chemical_symbols
from mpi4py import MPI

from atomistic.errors import MissingEngineError, ModelFileError, UnknownPotentialError, nearest
from atomistic.potentials import sevennet
from atomistic.potentials.base import Capabilities, Potential, sha256
from atomistic.potentials.torch_engine import prepare_torch

FAMILIES = ("sevennet", "mace", "nequip", "heads")


def load_path(path: Path, *, family: str | None, modal: str | None, device: str, comm: MPI.Comm) -> Potential:
    """Load a model file; its family is read from its contents where not given.

    Raises:
        ModelFileError: no such file, or no family recognises it.
        MissingEngineError: the family's package is not installed.
        UnknownPotentialError: an unknown family.
    """
    path = path.expanduser()
    if not path.is_file():
        raise ModelFileError(f"There is no model file {str(path)!r} (looked in {Path.cwd()}). Check the path.")
    if family is not None and family not in FAMILIES:
        raise UnknownPotentialError(
            f"Unknown family {family!r} of model files; expected {', '.join(FAMILIES)}.{nearest(family, FAMILIES)}"
        )
    found = family or family_of(path)
    if found is None:
        raise ModelFileError(
            f"{path} is no model file that SevenNet, MACE, NequIP or a training of heads wrote. Where it is one all the same, "
            "say so by {path: ..., family: sevennet|mace|nequip}."
        )
    loaders: dict[str, Callable[[], Potential]] = {
        "sevennet": lambda: sevennet.load_checkpoint(
            path.resolve(), name=path.name, device=device, comm=comm, modal=modal
        ),
        "heads": lambda: _load_heads(path.resolve(), device=device, comm=comm),
        "mace": lambda: _load_mace(path.resolve(), device=device, comm=comm),
        "nequip": lambda: _load_nequip(path.resolve(), device=device, comm=comm),
    }
    return loaders[found]()


def family_of(path: Path) -> str | None:
    """Read from a file's contents which family wrote it, without executing anything in it.

    Torch's files are zip archives whose pickle names the classes and keys in clear text.
    """
    if path.name.endswith((".nequip.pth", ".nequip.pt2")):
        return "nequip"
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if any("nequip" in name for name in names):
            return "nequip"
        if "multiscale_heads.npy" in names:
            return "heads"
        pickles = [name for name in names if name.endswith("data.pkl")]
        text = b"".join(archive.read(name) for name in pickles)
    if b"mace.modules" in text or any("mace/modules" in name for name in names):
        return "mace"
    if b"model_state_dict" in text and b"edge_embedding" in text.lower().replace(b"edgeembedding", b"edge_embedding"):
        return "sevennet"
    return "nequip" if b"nequip" in text else None


def _load_heads(path: Path, *, device: str, comm: MPI.Comm) -> Potential:
    """Load heads that were trained here."""
    from atomistic.committee.load import load_heads

    return load_heads(path, device=device, comm=comm)


def _load_mace(path: Path, *, device: str, comm: MPI.Comm) -> Potential:
    """Load a MACE model; its packages cannot share an environment with SevenNet's."""
    if importlib.util.find_spec("mace") is None:
        raise MissingEngineError(f"MACE (for {path.name})", "pip install mace-torch (in an environment without sevenn)")
    prepare_torch(device, comm)
    from mace.calculators import MACECalculator

    calculator = MACECalculator(model_paths=str(path), device=device, default_dtype="float64")
    return _wrapped(
        calculator, path, precision="float64", elements=[int(z) for z in calculator.z_table.zs], cutoff=calculator.r_max
    )


def _load_nequip(path: Path, *, device: str, comm: MPI.Comm) -> Potential:
    """Load a compiled NequIP or Allegro model."""
    if importlib.util.find_spec("nequip") is None:
        raise MissingEngineError(f"NequIP (for {path.name})", "pip install nequip")
    prepare_torch(device, comm)
    from nequip.ase import NequIPCalculator

    calculator = NequIPCalculator.from_compiled_model(str(path), device=device)
    return _wrapped(calculator, path, precision="float32", elements=None, cutoff=None)


def _wrapped(
    calculator: Any, path: Path, *, precision: str, elements: list[int] | None, cutoff: float | None
) -> Potential:
    """Wrap a calculator that came from a model file."""
    return Potential(
        calculator=calculator,
        capabilities=Capabilities(
            name=path.name,
            elements=frozenset(chemical_symbols[z] for z in elements) if elements is not None else None,
            energies_per_atom=True,
            precision=precision,
            devices=("cpu", "cuda"),
            cutoff=float(cutoff) if cutoff is not None else None,
            model_file=path,
            model_sha256=sha256(path),
        ),
        comm=MPI.COMM_SELF,
    )
