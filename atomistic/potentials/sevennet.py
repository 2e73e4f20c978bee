"""SevenNet (Park et al. 2024) from the weights inside its wheel, or from a checkpoint."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from mpi4py import MPI
from numpy.typing import NDArray

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
        weighted_site_energies=True,
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
            weighted_site_energies=True,
            precision="float32",
            devices=("cpu", "cuda"),
            cutoff=float(calculator.cutoff),
            model_file=path,
            model_sha256=sha256(path),
            reference=REFERENCE,
        ),
        comm=MPI.COMM_SELF,
        site_model=SevenNetSites(calculator),
    )


@dataclass
class SevenNetGraph:
    """A structure on its way through the network.

    Attributes:
        data: what the network's modules take and give.
        edges: (e, 3) torch tensor, the vectors of the edges, Å; gradients are taken with respect to it.
        source: (e,), the atom at which each edge begins.
        target: (e,), the atom at which it ends.
        count: number of atoms.
    """

    data: Any
    edges: Any
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    count: int

    @classmethod
    def of(cls, calculator: Any, atoms: Atoms) -> SevenNetGraph:
        """Build the graph of a structure for a SevenNet calculator's model."""
        from sevenn import _keys as key
        from sevenn.atom_graph_data import AtomGraphData
        from sevenn.train.dataload import unlabeled_atoms_to_graph

        graph = unlabeled_atoms_to_graph(atoms, calculator.cutoff, with_shift=False)
        source, target = (np.array(end) for end in graph[key.EDGE_IDX])
        data: Any = AtomGraphData.from_numpy_dict(graph)
        if calculator.modal:
            data[key.DATA_MODALITY] = calculator.modal
        data.to(calculator.device)
        data = calculator.model._preprocess(data)
        edges = data[key.EDGE_VEC].requires_grad_(True)
        return cls(data=data, edges=edges, source=source, target=target, count=len(atoms))

    def gathered(self, slopes: Any) -> NDArray[np.float64]:
        """Return dE/dy (n, 3), eV/Å, from dE/d(edges): it goes with opposite signs to the two ends, and adds up to zero."""
        pulls = slopes.detach().cpu().numpy().astype(float)
        gradient = np.zeros((self.count, 3))
        for k in range(3):
            gradient[:, k] = np.bincount(self.target, pulls[:, k], self.count) - np.bincount(
                self.source, pulls[:, k], self.count
            )
        return gradient

    def virial(self, slopes: Any) -> NDArray[np.float64]:
        """Return dE/dε (3, 3), symmetric, eV: Σ_e r_e ⊗ dE/dr_e; over the volume it is the stress."""
        pulls = slopes.detach().cpu().numpy().astype(float)
        outer = self.edges.detach().cpu().numpy().astype(float).T @ pulls
        symmetric: NDArray[np.float64] = 0.5 * (outer + outer.T)
        return symmetric


class SevenNetSites:
    """Weighted site energies of a SevenNet model by one backward pass, at the cost of an ordinary evaluation.

    The model runs up to its energies of atoms E_i(r_e), r_e the vectors of its edges; g_e = ∂(Σ w_i E_i)/∂r_e then goes with
    opposite signs to the two ends of each edge. The network works in float32, the sums over edges and atoms in double: the
    gradient adds up to zero.
    """

    def __init__(self, calculator: Any) -> None:
        self._calculator = calculator

    def weighted(self, atoms: Atoms, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return E_i (n,), eV, and d(Σ w_i E_i)/dy (n, 3), eV/Å."""
        import torch
        from sevenn import _keys as key

        graph = SevenNetGraph.of(self._calculator, atoms)
        data = graph.data
        for name, module in self._calculator.model._modules.items():
            if name != "force_output":  # it would differentiate the plain sum, and free what we need
                data = module(data)
        energies = data[key.ATOMIC_ENERGY].reshape(-1)[: len(atoms)]
        factors = torch.as_tensor(weights, dtype=energies.dtype, device=energies.device)
        (slopes,) = torch.autograd.grad(factors @ energies, [graph.edges], allow_unused=True)
        gradient = np.zeros((len(atoms), 3)) if slopes is None else graph.gathered(slopes)
        return energies.detach().cpu().numpy().astype(float), gradient
