"""Overlapping Schwarz, also known as FEAt: each side solves its own problem with the other's displacements on its rim.

    atoms:            f_i(u_a) = 0 in core and overlap,       pads follow the finite elements, u_i = u_h(X_i)
    finite elements:  −∇·P(F₀ + ∇u_h) = 0 outside the core,    u_h = u_a on the rim of the core

(Kohlhoff, Gumbsch and Fischmeister 1991; Parks, Bochev and Lehoucq 2008). In the overlap, as wide as a blend would be,
both fields live. Forces are enough, nothing is blended, no energy exists. Solved together ("monolithic", as Sinclair 1975
did for his flexible boundary; Hodapp 2021) or by turns, plain or accelerated.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from continuum.factorise import Factor
from coupling.acceleration import Aitken, Anderson, Relaxation
from coupling.errors import HandshakeConvergenceError, MethodError
from coupling.handshake.equilibrium import HandshakeOptions, HandshakeSolution, find_equilibrium
from coupling.handshake.methods import Balance
from coupling.handshake.model import CoupledModel

Array = NDArray[np.float64]
#: Ways to go from one turn to the next.
ACCELERATIONS = {"plain": Relaxation, "aitken": Aitken, "anderson": Anderson}


@dataclass(frozen=True, eq=False)
class Schwarz:
    """Two fields on the nodes, stacked (2·nodes, c): first the atoms', then the finite elements'.

    Attributes:
        sides: which of the two are solved for; the other one keeps its values.
    """

    model: CoupledModel
    sides: tuple[str, ...] = ("atoms", "elements")
    name: str = "schwarz"
    weighted: bool = False
    conservative: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(2·nodes, c)."""
        return 2 * self.model.shape[0], self.model.shape[1]

    @cached_property
    def atomic(self) -> NDArray[np.bool_]:
        """(nodes,) nodes of present atoms in core and overlap."""
        model, found = self.model, np.zeros(self.model.shape[0], dtype=bool)
        found[model.partition.node[model.present[model.partition.weighted[model.present]]]] = True
        return found

    @cached_property
    def elastic(self) -> NDArray[np.bool_]:
        """(nodes,) nodes of the finite elements outside the core."""
        return self.model.partition.node_beta > 0.0

    @cached_property
    def free(self) -> NDArray[np.bool_]:
        """Unknowns of the sides that are solved for."""
        loose = ~self.model.held
        atoms = self.atomic[:, None] & loose if "atoms" in self.sides else np.zeros_like(loose)
        elements = self.elastic[:, None] & loose if "elements" in self.sides else np.zeros_like(loose)
        return np.concatenate([atoms, elements])

    @cached_property
    def _own(self) -> Array:
        """(atoms, 1) 1 for atoms with an unknown of their own, 0 for pads."""
        return self.model.partition.weighted[self.model.present].astype(float)[:, None]

    @cached_property
    def _cells(self) -> Array:
        """(cells,) 1 for elements that push on a node outside the core."""
        return self.elastic[self.model.body.cells].any(axis=1).astype(float)

    def split(self, u: Array) -> tuple[Array, Array]:
        """The atoms' field, and the finite elements' field completed on the rim by the atoms'."""
        atoms, elements = np.split(u, 2)
        return atoms, np.where(self.elastic[:, None], elements, atoms)

    def nodal(self, u: Array) -> Array:
        """The atoms' displacement where there are atoms, else the finite elements'."""
        atoms, elements = self.split(u)
        return np.where(self.atomic[:, None], atoms, elements)

    def stacked(self, u: Array) -> Array:
        """Both fields from one displacement a node."""
        return np.concatenate([u, u])

    def gap(self, u: Array) -> float:
        """Largest difference of the two fields in the overlap, Å: zero only where both descriptions agree."""
        atoms, elements = self.split(u)
        both = self.atomic & self.elastic
        return float(np.abs(atoms - elements)[both].max()) if both.any() else 0.0

    def evaluate(self, u: Array) -> Balance:
        """Forces of the sides that are solved for."""
        model = self.model
        atoms, elements = self.split(u)
        on_atoms, on_elements = np.zeros(model.shape), np.zeros(model.shape)
        if "atoms" in self.sides:
            places = model.reference[model.present] + np.where(
                self._own > 0.0, model.to_atoms @ atoms, model.to_atoms @ elements
            )
            _, gradient = model.atoms.energy_and_gradient(places, None)
            on_atoms = model.to_atoms.T @ (self._own * gradient)
        if "elements" in self.sides:
            continuum = model.continuum(elements, self._cells, model.whole_facets)
            on_elements = self.elastic[:, None] * (continuum.on_bulk + continuum.on_interface)
        return Balance(energy=None, residual=np.concatenate([on_atoms, on_elements]))

    def _joined(self, atoms: sp.spmatrix, pads: sp.spmatrix, elements: sp.spmatrix) -> sp.csr_matrix:
        """The matrix of both fields, from the atoms' rows by own and by pad displacements and the elements' rows."""
        c = self.model.components
        outside, inside = (sp.diags(np.repeat(mask.astype(float), c)) for mask in (self.elastic, ~self.elastic))
        return sp.bmat(
            [[atoms + pads @ inside, pads @ outside], [outside @ elements @ inside, outside @ elements @ outside]],
            format="csr",
        )

    @property
    def moving(self) -> NDArray[np.bool_]:
        """The unknowns."""
        return self.free

    @cached_property
    def _at_rest(self) -> Factor:
        """Of the undeformed body: serves every state of a body without an interface."""
        return self._factor(np.zeros(self.shape))

    def preconditioner(self, u: Array) -> Factor:
        """The elastic stiffness on both sides, with each side's rim on the other's field."""
        return self._at_rest if self.model.body.interface is None else self._factor(u)

    def _factor(self, u: Array) -> Factor:
        """Factorise both sides, atoms as elements."""
        stiffness, c = self.model.elastic_stiffness(self.split(u)[1]), self.model.components
        own, other = (sp.diags(np.repeat(mask.astype(float), c)) for mask in (self.atomic, ~self.atomic))
        return Factor(self._joined(own @ stiffness @ own, own @ stiffness @ other, stiffness), self.free)

    def tangent(self, u: Array) -> sp.csr_matrix | None:
        """Derivative of both sides' forces."""
        model, c = self.model, self.model.components
        atoms, elements = self.split(u)
        places = model.reference[model.present] + np.where(
            self._own > 0.0, model.to_atoms @ atoms, model.to_atoms @ elements
        )
        if not hasattr(model.atoms, "hessian"):
            return None
        carry = model.expand(model.to_atoms)
        own = sp.diags(np.repeat(self._own.ravel(), c))
        rows = carry.T @ own @ model.atoms.hessian(places, None)
        pads = sp.identity(own.shape[0]) - own
        bulk = model.stiffness(elements, self._cells, model.whole_facets)
        return self._joined(rows @ own @ carry, rows @ pads @ carry, bulk)


@dataclass(kw_only=True)
class Turns:
    """What alternating cost.

    Attributes:
        changes: largest change of the rim's displacement in each turn, Å.
        gap: largest difference of the two fields in the overlap at the end, Å.
    """

    changes: list[float] = field(default_factory=list)
    gap: float = 0.0


def alternate(
    method: Schwarz,
    *,
    acceleration: str = "anderson",
    start: Array | None = None,
    options: HandshakeOptions | None = None,
) -> tuple[HandshakeSolution, Turns]:
    """Solve by turns: finite elements with the atoms' rim, then atoms with the pads that follow.

    Args:
        method: both fields.
        acceleration: of the rim's displacement from turn to turn: "plain", "aitken" or "anderson".
        start: (2·nodes, c).
        options: `tolerance` is that of both sub-problems together, `max_iterations` that of the turns.

    Raises:
        HandshakeConvergenceError: naming the sub-problem that failed, with the state.
    """
    if acceleration not in ACCELERATIONS:
        raise MethodError(f"acceleration = {acceleration!r}: expected one of {', '.join(ACCELERATIONS)}")
    options = options or HandshakeOptions()
    model, began = method.model, time.perf_counter()
    counter = model.atoms.counter
    calls, seconds = counter.calls, counter.seconds
    inner = HandshakeOptions(
        tolerance=0.3 * options.tolerance, max_calls=options.max_calls, depth=options.depth, solver=options.solver
    )
    sides = {side: Schwarz(model, sides=(side,)) for side in ("elements", "atoms")}
    u = np.zeros(method.shape) if start is None else np.array(start, dtype=float)
    rim = np.flatnonzero(method.atomic & ~method.elastic)
    scheme, turns, history = ACCELERATIONS[acceleration](), Turns(), []
    for _ in range(options.max_iterations):
        before = u[rim].copy()
        for side, part in sides.items():
            try:
                u = find_equilibrium(part, start=u, options=inner).u
            except HandshakeConvergenceError as error:
                raise HandshakeConvergenceError(f"the {side}' sub-problem: {error}", solution=error.solution) from error
        change = u[rim] - before
        turns.changes.append(float(np.abs(change).max()) if change.size else 0.0)
        balance = sides["elements"].evaluate(u)
        # The atoms are in balance after their turn; what is left shows on the finite elements, whose rim has moved.
        history.append(float(np.abs(balance.residual[sides["elements"].free]).max()))
        turns.gap = method.gap(u)
        if history[-1] <= options.tolerance or counter.calls - calls > options.max_calls:
            break
        u[rim] = scheme.next(before.ravel(), u[rim].ravel()).reshape(before.shape)
    solution = HandshakeSolution(
        u=u,
        balance=balance,
        residual=history[-1],
        history=tuple(history),
        iterations=len(history),
        calls=counter.calls - calls,
        seconds=time.perf_counter() - began,
        potential_seconds=counter.seconds - seconds,
    )
    if solution.residual > options.tolerance:
        raise HandshakeConvergenceError(
            f"schwarz ({acceleration}): {len(history)} turns left a force of {solution.residual:.3g} eV/Å on the finite "
            f"elements, wanted {options.tolerance:.3g}: widen the overlap or use the monolithic solver",
            solution=solution,
        )
    return solution, turns
