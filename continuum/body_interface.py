"""The cohesive interface of a body on a plane mesh, each of its facets with a weight.

The jump is u₂ − u₁, upper minus lower side, in the undeformed frame: normal (y), then along the line (x), then out of the
plane (z, three components only). The energy is t Σ_f w_f ∫_f ψ(⟦u⟧); history and laws are those of `continuum.laws`.
"""

from dataclasses import dataclass

import basix
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from continuum.errors import BodyError
from continuum.laws import CohesiveLaw, LawResponse
from continuum.mesh.simplex import SimplexMesh

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
# Eight Gauss points a facet: a law that spends its energy within a few facets is no polynomial there (see interface.py).
_EXACT = 15


@dataclass(frozen=True, kw_only=True)
class InterfaceProfile:
    """An interface at its quadrature points, from left to right.

    Attributes:
        x: (p,) Å.
        facet: (p,) facet of each point.
        opening: (p, c) normal, along the line, out of the plane; Å.
        traction: (p, c) the law's, eV/Å³, not weighted.
        damage: (p,) share of the fracture energy that has been called on.
        weights: (p,) of the facets.
    """

    x: Array
    facet: Integers
    opening: Array
    traction: Array
    damage: Array
    weights: Array


class BodyInterface:
    """Energy of the interface of a plane body and its derivatives.

    Args:
        mesh: with an interface.
        ends: (e, 2) ends of the edges that have a mid-side node.
        size: number of nodes n, the mesh's points first and then the mid-side nodes.
        law: traction–separation law.
        components: c.
        thickness: Å.

    Attributes:
        law: as given.
        lengths: (f,) Å.
        midpoints: (f, 2) Å.
        places: (p, 2) quadrature points, facet by facet from left to right, Å.
        areas: (p,) weight of each quadrature point times the thickness, Å².
        facet_of_point: (p,).
        jump: (p, n) scalar operator: upper side minus lower side.
    """

    def __init__(
        self, mesh: SimplexMesh, ends: Integers, size: int, law: CohesiveLaw, components: int, thickness: float
    ) -> None:
        if mesh.interface is None or mesh.dimension != 2:
            raise BodyError("a mesh without an interface, or not plane: expected graded_mesh(..., interface=y)")
        self.law, self.components = law, components
        self._order = [1, 0, 2][:components]
        below = mesh.points[mesh.interface[:, 0]]
        self.lengths = np.linalg.norm(below[:, 1] - below[:, 0], axis=1)
        self.midpoints = below.mean(axis=1)
        points, weights = (np.asarray(a) for a in basix.make_quadrature(basix.CellType.interval, _EXACT))
        order = np.argsort(points[:, 0])
        s, weights = points[order, 0], weights[order]
        f, q = len(below), len(s)
        self.facet_of_point = np.repeat(np.arange(f), q)
        self.places = (below[:, None, 0] + s[:, None] * (below[:, 1] - below[:, 0])[:, None]).reshape(-1, 2)
        self.areas = (self.lengths[:, None] * weights * thickness).ravel()
        self.jump = sum(
            sign * _trace(mesh.interface[:, side], ends, size, len(mesh.points), s)
            for side, sign in ((0, -1.0), (1, 1.0))
        )
        self._outer = self.jump.T.tocsr()

    @property
    def size(self) -> int:
        """Number of quadrature points p."""
        return len(self.areas)

    def history(self) -> Array:
        """The history (p, h) of an interface that was never opened."""
        return self.law.fresh(self.size)

    def openings(self, u: Array) -> Array:
        """Jumps (p, c), normal first, for displacements u (n, c); Å."""
        return (self.jump @ u)[:, self._order]

    def respond(self, u: Array, history: Array | None = None) -> LawResponse:
        """The law at all quadrature points; ``history_new`` of the answer is the history to go on with."""
        return self.law.evaluate(self.openings(u), self.history() if history is None else history)

    def energy(self, u: Array, history: Array | None = None, facet_weights: Array | None = None) -> float:
        """t Σ w_f ∫_f (stored + dissipated + contact energy), eV."""
        answer = self.respond(u, history)
        return float(self._areas(facet_weights) @ (answer.stored + answer.dissipated + answer.contact))

    def facet_energies(self, u: Array, history: Array | None = None) -> Array:
        """Energy of each facet without weights, (f,) eV."""
        answer = self.respond(u, history)
        density = answer.stored + answer.dissipated + answer.contact
        return np.bincount(self.facet_of_point, self.areas * density, minlength=len(self.lengths))

    def gradient(self, u: Array, history: Array | None = None, facet_weights: Array | None = None) -> Array:
        """Derivative of the energy, (n, c) eV/Å: jumpᵀ(w T)."""
        traction = self._areas(facet_weights)[:, None] * self.respond(u, history).traction
        return self._outer @ traction[:, np.argsort(self._order)]

    def stiffness(
        self, u: Array, history: Array | None = None, facet_weights: Array | None = None, *, secant: bool = False
    ) -> sp.csr_matrix:
        """Second derivative, (n·c, n·c) eV/Å²: jumpᵀ(w D)jump, node by node.

        With `secant` D is the law's secant, which is positive where the law softens too.
        """
        answer = self.respond(u, history)
        local = answer.secant[:, :, None] * np.eye(self.components) if secant else answer.tangent
        tangent = self._areas(facet_weights)[:, None, None] * local
        back = np.argsort(self._order)
        tangent = np.ascontiguousarray(tangent[:, back][:, :, back])
        c = self.components
        middle = sp.bsr_matrix(
            (tangent, np.arange(self.size), np.arange(self.size + 1)), shape=(self.size * c, self.size * c)
        )
        jump = sp.kron(self.jump, sp.identity(c), format="csr")
        return (jump.T @ (middle @ jump)).tocsr()

    def profile(self, u: Array, history: Array | None = None, facet_weights: Array | None = None) -> InterfaceProfile:
        """Openings and tractions along the line."""
        answer = self.respond(u, history)
        weights = np.ones(len(self.lengths)) if facet_weights is None else facet_weights
        return InterfaceProfile(
            x=self.places[:, 0],
            facet=self.facet_of_point,
            opening=self.openings(u),
            traction=answer.traction,
            damage=answer.damage,
            weights=weights[self.facet_of_point],
        )

    def _areas(self, weights: Array | None) -> Array:
        if weights is None:
            return self.areas
        if weights.shape != self.lengths.shape:
            raise BodyError(
                f"facet weights of shape {weights.shape}: expected one for each of {len(self.lengths)} facets"
            )
        return self.areas * weights[self.facet_of_point]


def _trace(facets: Integers, ends: Integers, size: int, points: int, s: Array) -> sp.csr_matrix:
    """Values (f·q, n) at s (q,) along facets (f, 2) of one side: quadratic where their edge has a mid-side node."""
    f, q = len(facets), len(s)
    key = np.sort(facets, axis=1) @ np.array([points, 1])
    known = ends @ np.array([points, 1])
    at = np.searchsorted(known, key)
    middle = np.zeros(f, dtype=bool)
    if len(known):
        middle = known[np.minimum(at, len(known) - 1)] == key
    straight = np.stack([1.0 - s, s, np.zeros(q)], axis=1)
    curved = np.stack([(1.0 - s) * (1.0 - 2.0 * s), s * (2.0 * s - 1.0), 4.0 * s * (1.0 - s)], axis=1)
    values = np.where(middle[:, None, None], curved, straight)
    columns = np.concatenate([facets, np.where(middle, points + at, facets[:, 0])[:, None]], axis=1)
    columns = np.repeat(columns, q, axis=0)
    matrix = sp.csr_matrix((values.ravel(), columns.ravel(), np.arange(f * q + 1) * 3), shape=(f * q, size))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix
