"""What a coupling method is to the solver, and the table of those there are."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from coupling.errors import MethodError
from coupling.handshake.model import CoupledModel
from coupling.handshake.preconditioner import Preconditioner, Whole

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Balance:
    """One evaluation of a method.

    Attributes:
        energy: whose derivative the residual is (eV); None where the forces have no energy.
        residual: (nodes, c) generalised forces that must vanish on the unknowns, eV/Å, sign of a gradient.
        terms: weighted energies by name (eV): they add up to `energy` where there is one.
        parts: (nodes, c) share of each term in the residual, by the same names.
    """

    energy: float | None
    residual: Array
    terms: dict[str, float] = field(default_factory=dict)
    parts: dict[str, Array] = field(default_factory=dict)


class Method(Protocol):
    """A way to put atoms and finite elements into one equilibrium.

    Attributes:
        name: as a case calls it.
        weighted: whether it needs weighted site energies; otherwise forces are enough.
        conservative: whether its forces derive from an energy.
        model: what it works on.
    """

    @property
    def model(self) -> CoupledModel: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def weighted(self) -> bool: ...  # noqa: D102
    @property
    def conservative(self) -> bool: ...  # noqa: D102

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, c) of the unknowns."""
        ...

    @property
    def free(self) -> NDArray[np.bool_]:
        """(rows, c) True where an unknown is sought, False where it keeps its value."""
        ...

    @property
    def moving(self) -> NDArray[np.bool_]:
        """(rows, c) what a step may change: the unknowns, and nodes that no energy holds but that keep the mesh together."""
        ...

    def preconditioner(self, u: Array) -> Preconditioner:
        """An approximate inverse of the tangent near u, on the moving rows."""
        ...

    def evaluate(self, u: Array) -> Balance:
        """Energy, residual and their parts at the unknowns u (rows, c)."""
        ...

    def tangent(self, u: Array) -> sp.csr_matrix | None:
        """Exact derivative of the residual, where the potential has second derivatives; else None."""
        ...

    def nodal(self, u: Array) -> Array:
        """One displacement a node, (nodes, c), to draw, write and compare."""
        ...


@dataclass(frozen=True, eq=False)
class OnNodes:
    """What the methods share whose unknowns are the displacements of the body's nodes."""

    model: CoupledModel

    @property
    def shape(self) -> tuple[int, int]:
        """(nodes, c)."""
        return self.model.shape

    @property
    def free(self) -> NDArray[np.bool_]:
        """Every node that some energy holds and no support prescribes."""
        return self.model.free

    @property
    def moving(self) -> NDArray[np.bool_]:
        """The unknowns, and the nodes of an interface in the core, where atoms and not the law hold both sides together."""
        return self.model.moving

    @cached_property
    def _at_rest(self) -> Preconditioner:
        """Of the undeformed body: serves every state of a body without an interface."""
        return Whole(self.model, np.zeros(self.shape))

    def preconditioner(self, u: Array) -> Preconditioner:
        """The elastic stiffness with elements in place of atoms, and the interface's stiffness at u."""
        return self._at_rest if self.model.body.interface is None else Whole(self.model, u)

    def nodal(self, u: Array) -> Array:
        """The unknowns themselves."""
        return u


def require_site_energies(name: str, model: CoupledModel) -> None:
    """Refuse an energy method where the potential gives forces only.

    Raises:
        MethodError: naming the methods that would do.
    """
    if not model.atoms.weighted:
        raise MethodError(
            f"the method {name!r} weighs the energies of sites, and {model.atoms.name!r} gives forces only: use bqcf or schwarz, "
            "or a potential with site energies (eam-al, sevennet-0, chgnet)"
        )


def require_sharp(name: str, model: CoupledModel) -> None:
    """Refuse a blended partition where a method wants a sharp one.

    Raises:
        MethodError: the blend has a width.
    """
    if model.partition.width > 0.0:
        raise MethodError(
            f"the method {name!r} has no blend, and the partition has one of {model.partition.width:g} Å: use width 0"
        )
