"""CHGNet (Deng et al. 2023) from the weights inside its wheel."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import warnings
from pathlib import Path

from mpi4py import MPI

from atomistic.errors import MissingEngineError, ModelFileError
from atomistic.potentials.base import MPTRJ_ELEMENTS, Capabilities, Potential, sha256
from atomistic.potentials.torch_engine import prepare_torch

INSTALL = 'pip install "multiscale-mlip[chgnet]"'
REFERENCE = "B. Deng et al., Nature Machine Intelligence 5, 1031 (2023)"

#: name -> (version as CHGNet calls it, file inside the wheel)
MODELS: dict[str, tuple[str, str]] = {
    "chgnet": ("0.3.0", "0.3.0/chgnet_0.3.0_e29f68s314m37.pth.tar"),
    "chgnet-0.3.0": ("0.3.0", "0.3.0/chgnet_0.3.0_e29f68s314m37.pth.tar"),
    "chgnet-0.2.0": ("0.2.0", "0.2.0/chgnet_0.2.0_e30f77s348m32.pth.tar"),
    "chgnet-r2scan": ("r2scan", "r2scan/chgnet_r2scan_transfer_learning_e15f36s161m23.pth.tar"),
}


def installed() -> bool:
    """Whether the package can be imported."""
    return importlib.util.find_spec("chgnet") is not None


def capabilities(name: str, *, model_file: Path | None = None) -> Capabilities:
    """Return what a packaged model can do, without loading its weights."""
    return Capabilities(
        name=name,
        elements=MPTRJ_ELEMENTS,
        energies_per_atom=True,
        precision="float32",
        devices=("cpu", "cuda"),
        cutoff=6.0,
        model_file=model_file,
        model_sha256=sha256(model_file) if model_file else None,
        reference=REFERENCE,
    )


def load_packaged(name: str, *, device: str, comm: MPI.Comm) -> Potential:
    """Load one of `MODELS` from the installed wheel.

    Its energies carry the Materials Project's 2020 corrections (r2SCAN excepted): never compare them with those of models
    trained on the bare energies.
    """
    spec = importlib.util.find_spec("chgnet")
    if spec is None or spec.origin is None:
        raise MissingEngineError("CHGNet", INSTALL)
    version, file = MODELS[name]
    path = Path(spec.origin).parent / "pretrained" / file
    if not path.is_file():
        raise ModelFileError(f"The installed CHGNet has no weights for {name!r} at {path}. Reinstall it: {INSTALL}")
    prepare_torch(device, comm)
    # Loading announces itself on standard output, which belongs to the program that loads it.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from chgnet.model.dynamics import CHGNetCalculator
        from chgnet.model.model import CHGNet

        model = CHGNet.load(model_name=version, use_device=device, verbose=False)
        calculator = CHGNetCalculator(model, use_device=device, on_isolated_atoms="ignore", return_site_energies=True)
    return Potential(calculator=calculator, capabilities=capabilities(name, model_file=path), comm=MPI.COMM_SELF)
