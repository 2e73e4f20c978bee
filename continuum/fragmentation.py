"""Cracks along paths that are not known: cohesive surfaces between all elements of a region, extrinsic onset.

Each cell of the region has its own nodes. Intact facets are tied by a symmetric interior penalty (Nitsche; Arnold 1982, SIAM
J. Numer. Anal. 19, 742; with cohesive onset Radovitzky, Seagraves, Tupek and Noels 2011, Comput. Methods Appl. Mech.
Eng. 200, 326): the stress of both sides carries across, so that linear fields are exact and the uncracked body is no softer
than a continuous one. A facet whose mean traction reaches the strength becomes active: its points may then open by δ as the
law says (Lorentz 2008; Hansbo and Salomonsson 2015, Finite Elem. Anal. Des. 102-103, 1). With λ = mean σn and p = λ + r⟦u⟧,

    E(u) = ½uᵀKu + ∫ min_δ [λ·(⟦u⟧ − δ) + ½ r |⟦u⟧ − δ|² + ψ(δ)],

δ = 0 where intact: one energy before, at and after onset, contact included (δ_n ≥ 0).

The whole body lies on every rank: runs on several ranks do the same work on each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from continuum.errors import ContinuumError, SupportError
from continuum.factorise import Factor
from continuum.fragmentation_law import ExtrinsicLaw, Opened
from continuum.fragmentation_mesh import Predicate, break_body
from continuum.materials import LinearElastic
from continuum.mesh import BodyMesh
from continuum.supports import Displacement

Array = NDArray[np.float64]
# Relative unbalanced force below which changes of the energy are rounding.
_FINISH = 1e-6


@dataclass(frozen=True, kw_only=True)
class FragmentEnergies:
    """Energies of a state, eV (2D: of the given thickness).

    Attributes:
        bulk: ½∫ε:C:ε over the cells.
        ties: of the interior penalty; what discretisation leaves, small.
        stored: recoverable, of the cohesive facets.
        dissipated: spent by them.
    """

    bulk: float
    ties: float
    stored: float
    dissipated: float

    @property
    def total(self) -> float:
        """Sum of all four, eV."""
        return self.bulk + self.ties + self.stored + self.dissipated


@dataclass(frozen=True, kw_only=True)
class FragmentStep:
    """One load.

    Attributes:
        load: load parameter.
        reaction: P conjugate to it, eV/Å.
        energies: eV.
        work: ∫P dλ over the step by the trapezoidal rule, eV.
        released: work less the energies' change, eV: what a crack that ran on its own at a fixed load set free, beside the
            trapezoidal rule's error.
        activated: facets that became active.
        crack_area: dissipated energy over G_c, Å^(dim−1) (2D: times the thickness).
        iterations: Newton steps.
    """

    load: float
    reaction: float
    energies: FragmentEnergies
    work: float
    released: float
    activated: int
    crack_area: float
    iterations: int


class FragmentError(RuntimeError):
    """No equilibrium could be found; the message says at which load."""


class Fragmentation:
    """A body that may crack between any two cells of a region.

    Args:
        bodies: one body of triangles or tetrahedra, whole on this rank (built with COMM_SELF).
        material: of the body.
        law: of the facets.
        supports: prescribed displacements.
        region: predicate on midpoints of cells (n, dim); None: everywhere. Its cells' facets may crack.
        cracked: predicate on midpoints of facets (n, dim) that are broken from the start.
        degree: 1 or 2.
        thickness: Å, in 2D (plane strain).
        penalty: of the ties, in units of the least that keeps the body stable; above 1.

    Attributes:
        active: (facets,) True where the points may open.
        history: (points,) largest effective opening, Å.
        u: (nodes·dim,) displacement, Å.
        load: load parameter.

    Raises:
        MeshError: a mesh of another kind.
        SupportError: supports that name what does not exist or disagree.
        ContinuumError: a penalty too small for the law's softening: cells too large for the process zone.
    """

    def __init__(
        self,
        bodies: BodyMesh,
        *,
        material: LinearElastic,
        law: ExtrinsicLaw,
        supports: Sequence[Displacement],
        region: Predicate | None = None,
        cracked: Predicate | None = None,
        degree: int = 1,
        thickness: float = 1.0,
        penalty: float = 2.0,
    ) -> None:
        if not np.isfinite(penalty) or penalty <= 1.0:
            raise ContinuumError(f"penalty = {penalty!r}: expected a factor above 1")
        self.law, self.dim = law, bodies.mesh.geometry.dim
        self.body = break_body(bodies, material=material, degree=degree, thickness=thickness, region=region)
        body = self.body
        facet_penalty = penalty * max(1.0, law.shear_weight**2) * body.penalty
        if (facet_penalty <= 1.5 * law.softening).any():
            raise ContinuumError(
                f"ties of {facet_penalty.min():.3g} eV/Å⁴ beside a softening of {law.softening:.3g} eV/Å⁴: expected cells "
                "much smaller than the process zone E G_c/σ_c²; refine the mesh or raise penalty"
            )
        self._normal_penalty = facet_penalty[body.facet_of_point]
        self._penalty = law.penalties(self._normal_penalty, self.dim)
        w = np.repeat(body.weights, self.dim)
        mixed = (body.traction.T @ sp.diags(w) @ body.jump).tocsr()
        tie = (body.jump.T @ sp.diags(w * self._penalty.ravel()) @ body.jump).tocsr()
        self._tied = (body.stiffness + mixed + mixed.T + tie).tocsr()
        self._trial = (body.traction + sp.diags(self._penalty.ravel()) @ body.jump).tocsr()
        self._fixed, self._factors = self._prescribe(supports)
        self._free = np.ones(self._tied.shape[0], dtype=bool)
        self._free[self._fixed] = False
        self._factor: Factor | None = None
        self.active = np.zeros(len(body.areas), dtype=bool)
        self.history = np.zeros(len(body.weights))
        if cracked is not None:
            self.active |= np.asarray(cracked(body.midpoints), dtype=bool)
            self.history[self.active[body.facet_of_point]] = 2.0 * law.final_opening
        self._spent_before = float(body.weights @ np.minimum(self.history, law.final_opening)) * 0.5 * law.strength
        self.u = np.zeros(self._tied.shape[0])
        self.load, self.iterations, self._largest = 0.0, 0, 0.0

    def _prescribe(self, supports: Sequence[Displacement]) -> tuple[NDArray[np.int64], Array]:
        """Fixed unknowns and their value per unit load."""
        table: dict[int, float] = {}
        for support in supports:
            if support.group not in self.body.nodes_of_group:
                raise SupportError(
                    f"support of group {support.group!r}: expected one of {sorted(self.body.nodes_of_group)}"
                )
            component = {"x": 0, "y": 1, "z": 2}.get(str(support.component), support.component)
            if component not in range(self.dim):
                raise SupportError(f"component = {support.component!r}: expected one of {list('xyz'[: self.dim])}")
            for dof in (self.body.nodes_of_group[support.group] * self.dim + int(component)).tolist():
                if table.setdefault(dof, support.factor) != support.factor:
                    raise SupportError(
                        f"group {support.group!r} moves a corner by {support.factor}, another support by {table[dof]}: "
                        "expected one value for each component"
                    )
        fixed = np.array(sorted(table), dtype=np.int64)
        return fixed, np.array([table[d] for d in fixed.tolist()])

    def _points(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.active[self.body.facet_of_point])

    def _rows(self, points: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray((points[:, None] * self.dim + np.arange(self.dim)).ravel())

    def _opened(self, points: NDArray[np.int64], trial: Array) -> Opened:
        return self.law.open(trial, self._normal_penalty[points], self.history[points])

    def trial_tractions(self) -> Array:
        """p at all points, (points, dim) eV/Å³, normal first: the traction where nothing has opened."""
        return (self._trial @ self.u).reshape(-1, self.dim)

    def facet_tractions(self) -> Array:
        """Effective traction of the mean p of each facet, (facets,) eV/Å³; zero where active."""
        sums = np.zeros((len(self.active), self.dim))
        np.add.at(sums, self.body.facet_of_point, self.body.weights[:, None] * self.trial_tractions())
        found = self.law.effective(sums / self.body.areas[:, None])
        return np.where(self.active, 0.0, found)

    def energies(self) -> FragmentEnergies:
        """Energies of the present state; what was broken from the start has dissipated nothing."""
        points = self._points()
        answer = self._opened(points, self.trial_tractions()[points])
        w = self.body.weights[points]
        bulk = 0.5 * float(self.u @ (self.body.stiffness @ self.u))
        stored, spent = float(w @ answer.stored), float(w @ answer.dissipated)
        total = self._energy(self.u)
        return FragmentEnergies(
            bulk=bulk, ties=total - bulk - stored - spent, stored=stored, dissipated=spent - self._spent_before
        )

    def _energy(self, u: Array) -> float:
        """E(u): all the energies of displacements u at the present history."""
        points = self._points()
        rows = self._rows(points)
        trial = (self._trial[rows] @ u).reshape(-1, self.dim)
        answer = self._opened(points, trial)
        gained = np.einsum("pi,pi->p", trial - 0.5 * self._penalty[points] * answer.opening, answer.opening)
        return 0.5 * float(u @ (self._tied @ u)) - float(
            self.body.weights[points] @ (gained - answer.stored - answer.dissipated)
        )

    def internal_force(self) -> Array:
        """∂E/∂u, (nodes·dim,) eV/Å."""
        return self._respond()[0]

    def _respond(self) -> tuple[Array, Opened, NDArray[np.int64]]:
        points = self._points()
        answer = self._opened(points, (self._trial[self._rows(points)] @ self.u).reshape(-1, self.dim))
        pulled = (self.body.weights[points, None] * answer.opening).ravel()
        return self._tied @ self.u - self._trial[self._rows(points)].T @ pulled, answer, points

    def reaction(self) -> float:
        """P = Σ factor·force over the supports: dW = P dλ, eV/Å."""
        return float(self.internal_force()[self._fixed] @ self._factors)

    def tangent(self, *, secant: bool = False) -> sp.csr_matrix:
        """∂²E/∂u² (or with the damage standing still), (nodes·dim, nodes·dim) eV/Å²."""
        _, answer, points = self._respond()
        if not len(points):
            return self._tied
        blocks = answer.derivative
        if secant:
            blocks = answer.secant[:, :, None] * np.eye(self.dim)
        blocks = self.body.weights[points, None, None] * blocks
        n = len(points)
        middle = sp.bsr_matrix((blocks, np.arange(n), np.arange(n + 1)), shape=(n * self.dim, n * self.dim))
        trial = self._trial[self._rows(points)]
        return (self._tied - trial.T @ middle @ trial).tocsr()

    def equilibrate(self, *, rtol: float = 1e-9, max_iterations: int = 200) -> None:
        """Find the equilibrium at the present load and active facets, from the present displacement.

        Raises:
            FragmentError: none was found.
        """
        last = np.inf
        for _ in range(max_iterations):
            whole = self.internal_force()
            force = np.where(self._free, whole, 0.0)
            # A body in two pieces bears nothing: the largest force so far then says what rounding is.
            self._largest = max(self._largest, float(np.linalg.norm(whole[self._fixed])))
            scale = max(float(np.linalg.norm(whole[self._fixed])), 1e-3 * self._largest)
            residual = float(np.linalg.norm(force)) / scale if scale > 0.0 else float(np.abs(force).max() > 0.0)
            # Rounding of the ties, much stiffer than the body, may leave more than rtol: what no step lowers is accepted.
            if residual <= rtol or (residual <= 100.0 * rtol and residual > 0.5 * last):
                return
            last = residual
            self.iterations += 1
            self._step(force, residual)
        raise FragmentError(
            f"no equilibrium at load {self.load:.6g}: relative residual {residual:.3g} after {max_iterations} steps; try "
            "smaller load steps or cells"
        )

    def _solve(self, right: Array, *, secant: bool) -> tuple[Array, int]:
        matrix = self.tangent(secant=secant)
        if self._factor is None:
            self._factor = Factor(matrix, self._free, symmetric=True)
        else:
            self._factor.update(matrix)
        return self._factor.solve(right), int(self._factor.negative_pivots or 0)

    def _step(self, force: Array, residual: float) -> None:
        """Newton's step, shortened until it lowers the energy; where the tangent is not definite, what lowers it most.

        That is a step with the damage held, which always lowers the energy but leaves an unstable state ever so slowly, or
        Newton's step backwards: away from the saddle.
        """
        step, negative = self._solve(-force, secant=False)
        if not negative:
            self.u = self._lowest(step, force, far=False)[1] if residual > _FINISH else self.u + step
            return
        held, _ = self._solve(-force, secant=True)
        back = -step if float(force @ step) > 0.0 else step
        self.u = min((self._lowest(d, force, far=True) for d in (held, back)), key=lambda found: found[0])[1]

    def _lowest(self, step: Array, force: Array, *, far: bool) -> tuple[float, Array]:
        """Energy and displacement after a step of a length that lowers the energy (Armijo), or as far as it falls."""
        now, slope, length = self._energy(self.u), float(force @ step), 1.0
        after = self._energy(self.u + step)
        while after > now + 1e-4 * length * slope and length > 1e-4:
            length *= 0.5
            after = self._energy(self.u + length * step)
        while far and length >= 1.0:
            further = self._energy(self.u + 2.0 * length * step)
            if further >= after:
                break
            length, after = 2.0 * length, further
        return after, self.u + length * step

    def commit(self) -> None:
        """Take the present openings into the history."""
        _, answer, points = self._respond()
        self.history[points] = answer.history_new

    def set_load(self, load: float) -> None:
        """Prescribe the displacements of a load; the interior stays where it is."""
        self.load = load
        self.u[self._fixed] = load * self._factors

    def activate(self, *, at_most: int = 1, excess: float = 1e-6) -> int:
        """Let the most loaded facets open whose mean traction has reached the strength; how many."""
        found = self.facet_tractions() / self.law.strength
        order = np.argsort(-found, kind="stable")[:at_most]
        order = order[found[order] > 1.0 + excess]
        self.active[order] = True
        return len(order)

    def follow(
        self,
        loads: Sequence[float],
        *,
        per_pass: int = 1,
        max_passes: int = 10_000,
        on_step: Callable[[FragmentStep], None] | None = None,
    ) -> list[FragmentStep]:
        """Take the body through the loads; at each, facets become active until no intact one is beyond the strength.

        Args:
            loads: load parameters, in order.
            per_pass: facets that may become active before the equilibrium is sought again.
            max_passes: at one load.
            on_step: called after each load.

        Raises:
            FragmentError: no equilibrium, or too many passes.
            ContinuumError: where a load is not finite.
        """
        values = np.asarray(loads, dtype=float)
        if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
            raise ContinuumError(f"loads = {loads!r}: expected a sequence of at least one finite number")
        steps: list[FragmentStep] = []
        energies, reaction = self.energies(), self.reaction()
        for load in values.tolist():
            before, pulled, start, begun = energies, reaction, self.load, self.iterations
            self.set_load(load)
            activated = self._settle(per_pass, max_passes)
            energies, reaction = self.energies(), self.reaction()
            work = 0.5 * (pulled + reaction) * (load - start)
            step = FragmentStep(
                load=load,
                reaction=reaction,
                energies=energies,
                work=work,
                released=work - (energies.total - before.total),
                activated=activated,
                crack_area=energies.dissipated / self.law.fracture_energy,
                iterations=self.iterations - begun,
            )
            steps.append(step)
            if on_step is not None:
                on_step(step)
        return steps

    def _settle(self, per_pass: int, max_passes: int) -> int:
        """Equilibrium and activation by turns until nothing more is to open; facets activated."""
        total = 0
        for _ in range(max_passes):
            self.equilibrate()
            self.commit()
            found = self.activate(at_most=per_pass)
            if not found:
                return total
            total += found
        raise FragmentError(f"{total} facets active at load {self.load:.6g} and more to come: raise max_passes")
