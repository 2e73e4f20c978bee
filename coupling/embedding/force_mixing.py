"""Buffered force mixing in difference form: quantum forces where they matter, without the error of a cut surface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from numpy.typing import NDArray

from coupling.embedding.base import Embedding, Evaluated

Array = NDArray[np.float64]


def mixed_property(name: str, otherwise: Callable[[], Any]) -> Any:
    """Answer for forces that have no energy.

    Raises:
        PropertyNotImplementedError: the stress.
    """
    if name in ("energy", "free_energy"):
        return float("nan")
    if name == "stress":
        raise PropertyNotImplementedError(
            "Mixed forces have no energy, and so no stress: take SubtractiveEmbedding where cells change."
        )
    return otherwise()


class ForceMixing(Embedding):
    """F_i = F_ML,i(all) + w_i [F_QM,i(C) − F_ML,i(C)], the net force taken back from C.

    After Bernstein, Kermode and Csányi (2009), who substitute F_QM,i(C); here the difference is mixed, so that what the surface
    of C does alike to both descriptions cancels. w is 1 in the core and falls to 0 over the blend; the buffer beyond only
    surrounds. The weights belong to the atoms and stay until `reselect`.

    The forces have no energy: thermostat dynamics, and take energies from ∫F·dr (`coupling.embedding.path_energy`). Asked for
    one, as ASE's optimisers do for their logs, this says nan; those that go by forces alone (BFGS, FIRE) relax.

    Args:
        ml: the potential of everything.
        qm: the quantum engine.
        regions: one or several.
        ml_region: another instance of the ML potential for C.
        comm: ranks that share the evaluations.
    """

    implemented_properties = ["forces"]  # noqa: RUF012 - ASE's own convention

    def get_property(self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True) -> Any:
        """Return what ASE asks for: there is no energy (nan), and so no stress.

        Raises:
            PropertyNotImplementedError: the stress.
        """
        return mixed_property(name, lambda: super(ForceMixing, self).get_property(name, atoms, allow_calculation))

    def combine(self, atoms: Atoms, parts: Evaluated, *, stress: bool = False) -> dict[str, Any]:
        """Return the mixed forces."""
        return {"forces": self.mixed(parts, len(atoms))}

    def mixed(self, parts: Evaluated, count: int) -> Array:
        """Return the mixed forces (count, 3), eV/Å."""
        forces = parts.whole.forces.copy()
        for k, cluster in enumerate(self.clusters):
            forces += cluster.mixed(self._correction(parts, k, count))
        return forces
