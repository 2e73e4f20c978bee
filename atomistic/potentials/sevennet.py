"""SevenNet (Park et al. 2024) from the weights inside its wheel, or from a checkpoint."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

from ase.data import chemical_symbols
from mpi4py import MPI

from atomistic.errors import MissingEngineError, ModelFileError
from atomistic.potentials.base import MPTRJ_ELEMENTS, Capabilities, Potential, sha256
from atomistic.potentials.torch_engine import prepare_torch

INSTALL = 'pip install "multiscale-mlip[sevennet]"'
REFERENCE = "Y. Park, J. Kim, S. Hwang, S. Han, J. Chem. Theory Comput. 20, 4857 (2024)"

#: name -> (checkpoint inside the wheel, fidelity of multi-fidelity models)
MODELS: dict[str, tuple[str, str | None]] = {
    "sevennet-0": ("SevenNet_0__11Jul2024/checkpoint_sevennet_0.pth", None),
    "sevennet-0-22may2024": ("SevenNet_0__22May2024/checkpoint_sevennet_0.pth", None),
    "sevennet-l3i5": ("SevenNet_l3i5/checkpoint_l3i5.pth", None),
    "sevennet-mf-0": ("SevenNet_MF_0/checkpoint_sevennet_mf_0.pth", "PBE"),
}


def installed() -> bool:
    """Whether the package can be imported."""
    return importlib.util.find_spec("sevenn") is not None


def capabilities(name: str) -> Capabilities:
    """Return what a packaged model can do, without loading its weights."""
    return Capabilities(
        name=name,
        elements=MPTRJ_ELEMENTS,
        energies_per_atom=True,
        precision="float32",
        devices=("cpu", "cuda"),
        cutoff=5.0,
        reference=REFERENCE,
    )


def load_packaged(name: str, *, device: str, comm: MPI.Comm) -> Potential:
    """Load one of `MODELS` from the installed wheel."""
    spec = importlib.util.find_spec("sevenn")
    if spec is None or spec.origin is None:
        raise MissingEngineError("SevenNet", INSTALL)
    file, modal = MODELS[name]
    path = Path(spec.origin).parent / "pretrained_potentials" / file
    if not path.is_file():
        raise ModelFileError(f"The installed SevenNet has no weights for {name!r} at {path}. Reinstall it: {INSTALL}")
    return load_checkpoint(path, name=name, device=device, comm=comm, modal=modal)


def load_checkpoint(path: Path, *, name: str, device: str, comm: MPI.Comm, modal: str | None = None) -> Potential:
    """Load a SevenNet checkpoint; `modal` picks the fidelity of a multi-fidelity model."""
    if not installed():
        raise MissingEngineError("SevenNet", INSTALL)
    prepare_torch(device, comm)
    with warnings.catch_warnings():
        # About accelerators that CPUs have not, and torch's own deprecations: nothing that a user can act on.
        warnings.simplefilter("ignore")
        from sevenn.calculator import SevenNetCalculator

        try:
            calculator = SevenNetCalculator(str(path), device=device, modal=modal)
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise ModelFileError(f"{path} could not be loaded as a SevenNet checkpoint: {error}") from error
    return Potential(
        calculator=calculator,
        capabilities=Capabilities(
            name=name,
            elements=frozenset(chemical_symbols[z] for z in calculator.type_map),
            energies_per_atom=True,
            precision="float32",
            devices=("cpu", "cuda"),
            cutoff=float(calculator.cutoff),
            model_file=path,
            model_sha256=sha256(path),
            reference=REFERENCE,
        ),
        comm=MPI.COMM_SELF,
    )
