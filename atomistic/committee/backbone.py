"""The early layers of a SevenNet model, frozen: scalars that describe each atom's surroundings, and how they change.

After layer L an atom has a few hundred rotation-invariant numbers h_i that know its surroundings up to L cutoffs. Heads on them
cost a backward pass through L layers only, and the model behind them need not run at all where only differences of heads are
asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.errors import CommitteeError
from atomistic.potentials.base import Potential
from atomistic.potentials.sevennet import SevenNetGraph, SevenNetSites

Array = NDArray[np.float64]
Single = NDArray[np.float32]


class Backbone:
    """Scalars after the first layers of a SevenNet model, all of these layers' side by side.

    Args:
        spec: what `load_potential` takes: a SevenNet model by name or file.
        layers: how many layers to use; 1 knows one cutoff, 2 two, and so on.
        device: "cpu" or "cuda".
        comm: the ranks that share the machine.

    Attributes:
        potential: the whole model.
        width: number of scalars of an atom.

    Raises:
        CommitteeError: no SevenNet model, or not that many layers.
    """

    def __init__(
        self,
        spec: str | Mapping[str, Any] | Path,
        *,
        layers: int = 2,
        device: str = "cpu",
        comm: MPI.Comm | None = None,
    ) -> None:
        from atomistic.potentials.registry import load_potential

        self.spec = str(spec) if isinstance(spec, Path) else spec
        self.potential: Potential = load_potential(spec, comm=comm, device=device)
        if not isinstance(self.potential.site_model, SevenNetSites):
            raise CommitteeError(
                f"Heads need the layers of a SevenNet model; {self.potential.capabilities.name!r} is none. Use sevennet-0 or "
                "another SevenNet model as backbone; to teach anything else give a student of your own (factory)."
            )
        self._modules = dict(self.potential.calculator.model._modules)
        gates = [name for name in self._modules if name.endswith("equivariant_gate")]
        if isinstance(layers, bool) or not isinstance(layers, int) or not 1 <= layers <= len(gates):
            raise CommitteeError(
                f"{self.potential.capabilities.name!r} has {len(gates)} layers; got layers = {layers!r}. Expected 1 to "
                f"{len(gates)}: 2 is quick and knows enough for most."
            )
        self.layers = layers
        self._gates = gates[:layers]
        self._scalars = {name: _scalars(self._modules[name]) for name in self._gates}
        self.width = sum(self._scalars.values())

    @property
    def name(self) -> str:
        """The model's name."""
        return self.potential.capabilities.name

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the scalars apart from the structure, ready for JSON."""
        return {"backbone": self.name, "sha256": self.potential.capabilities.model_sha256, "layers": self.layers}

    def graph(self, atoms: Atoms) -> SevenNetGraph:
        """Build the graph of a structure."""
        return SevenNetGraph.of(self.potential.calculator, atoms)

    def early(self, graph: SevenNetGraph) -> Any:
        """Return the scalars h (n, width) as a torch tensor that remembers how it came from the graph's edges."""
        return self._run(graph, whole=False)[0]

    def whole(self, graph: SevenNetGraph) -> tuple[Any, Any]:
        """Return h (n, width) and the model's own energies of atoms (n,), eV, as torch tensors."""
        return self._run(graph, whole=True)

    def _run(self, graph: SevenNetGraph, *, whole: bool) -> tuple[Any, Any]:
        import torch
        from sevenn import _keys as key

        data = graph.data
        scalars = []
        for name, module in self._modules.items():
            if name == "force_output":  # it would differentiate the sum, and free what heads need
                break
            data = module(data)
            if name in self._scalars:
                scalars.append(data[key.NODE_FEATURE][: graph.count, : self._scalars[name]])
                if len(scalars) == self.layers and not whole:
                    break
        h = torch.cat(scalars, dim=1)
        return h, data[key.ATOMIC_ENERGY].reshape(-1)[: graph.count] if whole else None

    def tangents(self, atoms: Atoms, directions: Array) -> tuple[Single, Single, Single]:
        """Return the scalars and their derivatives along displacements and strains.

        The derivative of h along a direction is a product of its Jacobian with a vector. Two reverse passes give it (the
        gradient of u·h is linear in u, and its derivative with respect to u, along a direction, is what is asked): the first is
        made once a structure, the second once a direction.

        Args:
            atoms: the structure.
            directions: (m, n, 3), displacements of all atoms.

        Returns:
            h (n, width); its derivatives along the directions (m, n, width); along the six strains xx yy zz yz xz xy
            (6, n, width), shears as tensor components counted on both sides. All float32.
        """
        import torch

        graph = self.graph(atoms)
        h = self.early(graph)
        count = graph.count
        blank = np.zeros((count, self.width), dtype=np.float32)
        if len(graph.source) == 0:  # atoms alone: nothing changes whatever moves
            return (
                h.detach().cpu().numpy(),
                np.zeros((len(directions), *blank.shape), np.float32),
                np.stack([blank] * 6),
            )
        probe = torch.zeros_like(h, requires_grad=True)
        (slopes,) = torch.autograd.grad(h, [graph.edges], grad_outputs=probe, create_graph=True)

        def along(change: Any) -> Single:
            (found,) = torch.autograd.grad(slopes, [probe], grad_outputs=change, retain_graph=True)
            tangent: Single = found.cpu().numpy()
            return tangent

        edges = graph.edges.detach()
        moved = [
            along(torch.as_tensor(v[graph.target] - v[graph.source], dtype=edges.dtype, device=edges.device))
            for v in directions
        ]
        strained = [along(edges @ torch.as_tensor(e, dtype=edges.dtype, device=edges.device)) for e in _STRAINS]
        first = np.array(moved, dtype=np.float32).reshape(len(directions), count, self.width)
        return h.detach().cpu().numpy(), first, np.array(strained, dtype=np.float32)


def _strains() -> Array:
    """The six unit strains (6, 3, 3) in Voigt's order, symmetric; a shear has a half on both sides."""
    strains = np.zeros((6, 3, 3))
    for k, (i, j) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
        strains[k, i, j] += 0.5
        strains[k, j, i] += 0.5
    return strains


_STRAINS = _strains()


def _scalars(gate: Any) -> int:
    """How many of a layer's outputs are invariant: they come first."""
    irreps = gate.gate.irreps_out
    first = irreps[0]
    if first.ir.l != 0:
        raise CommitteeError(f"This SevenNet model has no scalars in front of its layers' outputs ({irreps}).")
    return int(first.mul)
