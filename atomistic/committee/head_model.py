"""A backbone with its heads, evaluated: the mean at the price of the model alone, the members' differences from early layers.

E_k = Σ_i E_i + w_k·φ(h_i). The model's own energies cancel in E_k − E_l, and with them its later layers; members' deviations from
their mean add up to zero, so that K members need K − 1 passes back through the early layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from mpi4py import MPI
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from atomistic.committee.backbone import Backbone
from atomistic.committee.heads import Heads
from atomistic.committee.members import Members
from atomistic.errors import ModelFileError, UnknownElementError
from atomistic.potentials.base import Capabilities, Potential
from atomistic.potentials.sevennet import SevenNetGraph

Array = NDArray[np.float64]


@dataclass
class _Seen:
    """The early layers of the last structure, still ready for backward passes."""

    atoms: Atoms
    graph: SevenNetGraph
    features: dict[str, tuple[NDArray[np.int64], Any]]


class HeadModel:
    """Heads on their backbone.

    Args:
        heads: trained heads.
        backbone: the model that they were trained on.

    Raises:
        ModelFileError: another model than the one that they were trained on.
    """

    def __init__(self, heads: Heads, backbone: Backbone) -> None:
        if dict(heads.identity) != backbone.identity:
            raise ModelFileError(
                f"The heads belong to {dict(heads.identity)}; got {backbone.identity}. Load them with the model that they were "
                "trained on, or train them again."
            )
        self.heads = heads
        self.backbone = backbone
        self._seen: _Seen | None = None

    def check_elements(self, atoms: Atoms) -> None:
        """Refuse elements that no head was trained for.

        Raises:
            UnknownElementError: which, and what would do.
        """
        unknown = sorted(set(atoms.symbols) - set(self.heads.species))
        if unknown:
            raise UnknownElementError(
                f"The heads were trained on {', '.join(sorted(self.heads.species))} alone; got {', '.join(unknown)}. Add "
                "labelled frames that hold it, and train again."
            )

    def weighted(self, atoms: Atoms, weights: Array) -> tuple[Array, Array]:
        """Return the mean head's energies of atoms V_i (n,), eV, and d(Σ w_i V_i)/dy (n, 3), eV/Å."""
        energies, graph, slopes = self._evaluate(atoms, weights)
        return energies, np.zeros((len(atoms), 3)) if slopes is None else graph.gathered(slopes)

    def mean(self, atoms: Atoms) -> tuple[Array, Array, Array]:
        """Return energies of atoms (n,), eV, forces (n, 3), eV/Å, and the virial dE/dε (3, 3), eV, of the mean head."""
        energies, graph, slopes = self._evaluate(atoms, np.ones(len(atoms)))
        if slopes is None:
            return energies, np.zeros((len(atoms), 3)), np.zeros((3, 3))
        return energies, -graph.gathered(slopes), graph.virial(slopes)

    def _evaluate(self, atoms: Atoms, weights: Array) -> tuple[Array, SevenNetGraph, Any]:
        import torch

        self.check_elements(atoms)
        graph = self.backbone.graph(atoms)
        h, own = self.backbone.whole(graph)
        seen = self._remember(atoms, graph, h)
        energies = own.double()
        for symbol, (rows, features) in seen.features.items():
            head = self.heads.species[symbol]
            mean = torch.as_tensor(head.mean, device=features.device)
            places = torch.as_tensor(rows, device=features.device)
            energies = energies.index_add(0, places, features @ mean + head.offset)
        factors = torch.as_tensor(np.asarray(weights, dtype=float), device=energies.device)
        (slopes,) = torch.autograd.grad(factors @ energies, [graph.edges], retain_graph=True, allow_unused=True)
        found: Array = energies.detach().cpu().numpy()
        return found, graph, slopes

    def deviations(self, atoms: Atoms) -> Members:
        """Return the members' energies, forces and stresses about their mean; stresses are zeros unless all is periodic.

        Early layers that `mean` or `weighted` has left for the same structure are used again; else they alone are run.
        """
        import torch

        seen = self._remembered(atoms)
        count, size = len(atoms), self.heads.size
        energies, forces = np.zeros(size), np.zeros((size, count, 3))
        virials = np.zeros((size, 3, 3))
        for k in range(size - 1):
            total: Any = 0.0
            for symbol, (_, features) in seen.features.items():
                column = np.ascontiguousarray(self.heads.species[symbol].deviations[:, k])
                total = total + (features @ torch.as_tensor(column, device=features.device)).sum()
            (slopes,) = torch.autograd.grad(total, [seen.graph.edges], retain_graph=True, allow_unused=True)
            energies[k] = float(total.detach())
            if slopes is not None:
                forces[k], virials[k] = -seen.graph.gathered(slopes), seen.graph.virial(slopes)
        if size > 1:
            energies[-1], forces[-1], virials[-1] = -energies.sum(), -forces.sum(axis=0), -virials.sum(axis=0)
        volume = atoms.get_volume() if atoms.pbc.all() else np.inf
        return Members(energies=energies, forces=forces, stresses=virials / volume)

    def novelty(self, atoms: Atoms) -> Array:
        """Return how unlike the training atoms each atom is (n,), 1 for the farthest of them; no backward pass is needed.

        √(φᵀ(ΦᵀΦ + ς²)⁻¹φ) over its largest value on the training set: the variance of a Bayesian fit up to a factor.
        """
        seen = self._remembered(atoms)
        found = np.zeros(len(atoms))
        for symbol, (rows, features) in seen.features.items():
            root = self.heads.species[symbol].root
            turned = solve_triangular(root, features.detach().cpu().numpy().T, lower=True)
            found[rows] = np.sqrt(np.sum(turned**2, axis=0))
        return found

    def _remembered(self, atoms: Atoms) -> _Seen:
        seen = self._seen
        if seen is None or not _same(seen.atoms, atoms):
            self.check_elements(atoms)
            graph = self.backbone.graph(atoms)
            seen = self._remember(atoms, graph, self.backbone.early(graph))
        return seen

    def _remember(self, atoms: Atoms, graph: SevenNetGraph, h: Any) -> _Seen:
        symbols = np.array(atoms.get_chemical_symbols())
        features = {}
        for symbol in dict.fromkeys(symbols.tolist()):
            rows = np.flatnonzero(symbols == symbol)
            features[symbol] = (rows, self.heads.species[symbol].map.of(h[rows]))
        bare = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        self._seen = _Seen(atoms=bare, graph=graph, features=features)
        return self._seen


def _same(one: Atoms, other: Atoms) -> bool:
    return (
        len(one) == len(other)
        and np.array_equal(one.numbers, other.numbers)
        and np.array_equal(one.positions, other.positions)
        and np.array_equal(one.cell.array, other.cell.array)
        and np.array_equal(one.pbc, other.pbc)
    )


class HeadCalculator(Calculator):
    """The mean head as an ASE calculator: energy, energies of atoms, forces and stress.

    Args:
        model: heads on their backbone.
    """

    implemented_properties = ["energy", "energies", "forces", "stress"]  # noqa: RUF012 - ASE's own declaration

    def __init__(self, model: HeadModel) -> None:
        super().__init__()
        self.model = model

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Evaluate the mean head (ASE's interface)."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        energies, forces, virial = self.model.mean(self.atoms)
        self.results = {"energy": float(energies.sum()), "energies": energies, "forces": forces}
        if self.atoms.pbc.all():
            self.results["stress"] = full_3x3_to_voigt_6_stress(virial / self.atoms.get_volume())


def head_potential(model: HeadModel, *, name: str) -> Potential:
    """Return the mean head as a potential."""
    own = model.backbone.potential.capabilities
    known = frozenset(model.heads.species)
    return Potential(
        calculator=HeadCalculator(model),
        capabilities=Capabilities(
            name=name,
            elements=known,
            energies_per_atom=True,
            weighted_site_energies=True,
            precision=own.precision,
            devices=own.devices,
            cutoff=own.cutoff,
            model_file=own.model_file,
            model_sha256=own.model_sha256,
            reference=own.reference,
        ),
        comm=MPI.COMM_SELF,
        site_model=model,
    )
