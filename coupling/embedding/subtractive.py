"""The subtractive scheme: quantum energy in, ML energy of the same atoms out."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray

from coupling.embedding.base import Embedding, Evaluated
from coupling.errors import EmbeddingError

Array = NDArray[np.float64]


class SubtractiveEmbedding(Embedding):
    """E = E_ML(all) + Σ_k [E_QM(C_k) − E_ML(C_k)] (Maseras and Morokuma 1995, with overlapping buffers allowed).

    Conservative: forces are −∂E/∂r, through the caps by the chain rule; in periodic cells stress as well,

        σ = σ_ML(all) + Σ_k [E_QM − E_ML]'_ε(C_k)/V,

    from forces times places of a cluster in vacuum, from the engines' own stress of a periodic sub-cell.

    Args:
        ml: the potential of everything.
        qm: the quantum engine.
        regions: one or several.
        ml_region: another instance of the ML potential for C.
        comm: ranks that share the evaluations.

    Raises:
        EmbeddingError: regions that blend (that is force mixing), or share a name.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012 - ASE's own convention

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for region in self.regions:
            if region.blend:
                raise EmbeddingError(
                    f"The region {region.name!r} has a blend of {region.blend:g} Å; the subtractive scheme has none: its buffer "
                    "begins at the core. Leave blend out, or take ForceMixing."
                )

    def combine(self, atoms: Atoms, parts: Evaluated, *, stress: bool = False) -> dict[str, Any]:
        """Return energy, forces and stress."""
        energy = parts.whole.energy + sum(q.energy - m.energy for q, m in zip(parts.quantum, parts.ml, strict=True))
        forces = parts.whole.forces.copy()
        single = "float32" in (self.qm.capabilities.precision, self.ml_region.capabilities.precision)
        for k, cluster in enumerate(self.clusters):
            change = self._correction(parts, k, len(atoms))
            if single:
                # Forces within C add up to zero: what single precision leaves of their sum is rounding, and goes back to C.
                change[cluster.indices] -= change.sum(axis=0) / len(cluster)
            forces += change
        found: dict[str, Any] = {"energy": energy, "free_energy": energy, "forces": forces}
        if stress:
            found["stress"] = full_3x3_to_voigt_6_stress(self._whole_stress(parts, atoms))
        return found

    def _whole_stress(self, parts: Evaluated, atoms: Atoms) -> Array:
        """Return the stress, (3, 3), eV/Å³."""
        volume = atoms.get_volume()
        stress = parts.whole.stress.copy()
        for cluster, quantum, ml in zip(self.clusters, parts.quantum, parts.ml, strict=True):
            if cluster.periodic:
                own = cluster.structure(atoms).get_volume()
                stress += own / volume * (quantum.stress - ml.stress)
            else:
                stress -= cluster.virial(quantum.forces - ml.forces, atoms) / volume
        return stress
