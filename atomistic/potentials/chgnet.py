"""CHGNet (Deng et al. 2023) from the weights inside its wheel."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import NDArray

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
        weighted_site_energies=True,
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
    return Potential(
        calculator=calculator,
        capabilities=capabilities(name, model_file=path),
        comm=MPI.COMM_SELF,
        site_model=CHGNetSites(calculator),
    )


class CHGNetSites:
    """Weighted site energies of a CHGNet model by one backward pass from its energies of atoms to their positions.

    With all weights one the gradient is that of the model's own forces to the last bit; both are within 3e-5 eV/Å of what the
    same network gives in double. The model takes every direction as periodic: where atoms are not, the cell must leave more
    room than its cutoff.
    """

    def __init__(self, calculator: Any) -> None:
        self._calculator = calculator

    def weighted(self, atoms: Atoms, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return E_i (n,), eV, and d(Σ w_i E_i)/dy (n, 3), eV/Å."""
        import torch
        from chgnet.model.model import BatchedGraph
        from pymatgen.io.ase import AseAtomsAdaptor

        calculator = self._calculator
        model = calculator.model
        model.eval()
        graph = model.graph_converter(AseAtomsAdaptor.get_structure(atoms)).to(calculator.device)
        batch = BatchedGraph.from_graphs(
            [graph],
            bond_basis_expansion=model.bond_basis_expansion,
            angle_basis_expansion=model.angle_basis_expansion,
            compute_stress=False,
        )
        energies = model._compute(batch, return_site_energies=True)["site_energies"][0]
        factors = torch.as_tensor(weights, dtype=energies.dtype, device=energies.device)
        # As in the model's own forces: without create_graph other kernels round differently, by 2e-5 eV/Å near straight angles.
        (gradient,) = torch.autograd.grad(factors @ energies, [batch.atom_positions[0]], create_graph=True)
        total = energies.detach().cpu().numpy().astype(float)
        if model.composition_model is not None:
            # Energies of the elements: numbers that the gradient does not see.
            shifts = model.composition_model.get_site_energies([graph])[0]
            total = total + shifts.detach().cpu().numpy().astype(float)
        return total, gradient.detach().cpu().numpy().astype(float)
