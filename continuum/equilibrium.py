"""Equilibrium at one load: the tip's nonlinearity condensed, the rest corrected with a factor that is kept.

One pass solves the process zone exactly on the linear reference (process_zone.py) and looks at the true residual; what is left
comes from points outside the zone and shrinks quickly. The factor serves many loads, until the zone has grown long or passes
stop helping. Interfaces that soften everywhere at once go through Newton's method on the whole solid instead.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg as la
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from continuum.errors import NotReached
from continuum.laws import LawResponse
from continuum.linear import LinearSolveError, ReferenceMatrix
from continuum.mixing import Mixing
from continuum.newton import Newton, NotFound
from continuum.options import SolverOptions
from continuum.process_zone import Settled, Window, settle
from continuum.ranks import on_root
from continuum.solid import Solid

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


#: What an `Equilibrium` carries from one load to the next: counts, and the zone condensed on its factor.
_CARRIED = (
    "iterations",
    "_fresh",
    "_age",
    "_rounds",
    "_begun",
    "_largest",
    "_stiffness",
    "_zone",
    "_columns",
    "_grown",
)


class Equilibrium:
    """Finds equilibria of one solid, one load after another.

    Attributes:
        iterations: passes, Newton and secant steps taken so far.
        reference: the factorised matrix; it counts its factorisations.
    """

    def __init__(self, solid: Solid, options: SolverOptions) -> None:
        self.solid, self.options = solid, options
        self.iterations = 0
        self.reference = ReferenceMatrix(solid, method=options.linear_solver, rtol=0.01 * options.rtol)
        interfaces = solid.interfaces
        # Condensing takes a factor for the flexibility, and jumps of which none follows from the others.
        self._uncondensed = interfaces.points > 0 and (self.reference.iterative or interfaces.dependent())
        self._facets = len(interfaces.midpoints)
        # Neighbours that join the zone with a facet: the few next ones along a path, a ring around it on a surface.
        near = min(options.zone_padding, self._facets)
        self._near: Any = (
            cKDTree(interfaces.midpoints).query(interfaces.midpoints, k=[*range(1, near + 1)])[1] if near else None
        )
        self._stiffness, self._flexibility = np.zeros((0, solid.dim, solid.dim)), np.zeros((0, 0))
        self._forget()
        self._fresh = False
        self._largest = 0.0
        # Loads since the factor was renewed, and rounds (one solution each) that the last load took.
        self._age, self._rounds = 0, 0
        self._begun = False
        self._variational = all(part.law.variational for part in interfaces.parts)
        self._plain: Newton | None = None

    def state(self) -> dict[str, Any]:
        """What the next equilibrium takes from those before, beside the solid's own state, as a tree."""
        kept = {name: getattr(self, name) for name in _CARRIED}
        plain = None if self._plain is None else self._plain.state()
        return {**kept, "factorisations": self.reference.factorisations, "newton": plain}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave, in this process or another: the factor is made where it was made; collective."""
        for name in _CARRIED:
            setattr(self, name, state[name])
        self._rigidity = np.zeros((0, 0))
        if self._fresh:
            self.reference.factorise(self._stiffness)
            # In the same blocks as before: the size of a block shows in the last digits.
            blocks = np.split(self._columns, np.cumsum(self._grown)[:-1]) if self._grown else []
            none = self._flexibility[:, :0]
            self._flexibility = np.concatenate([none, *map(self.reference.flexibility, blocks)], axis=1)
        self.reference.factorisations = state["factorisations"]
        if state["newton"] is not None:
            self._whole().restore(state["newton"])

    def reach(self, load: float) -> None:
        """Move the solid's displacement to equilibrium at a load; collective.

        Raises:
            NotReached: on all ranks; the displacement is then wherever the search ended.
        """
        self._reach(load)
        if self.options.contact == "augmented lagrangian" and self.solid.interfaces.points:
            for _ in range(self.options.max_augmentations):
                if self.solid.interfaces.augment(self.solid.jumps()) <= self.options.contact_rtol:
                    return
                self._reach(load)
            raise NotReached(float("nan"))

    def _reach(self, load: float) -> None:
        """Equilibrium at a load with the contact pressures as they are; collective."""
        solid, first = self.solid, not self._begun
        self._begun = True
        if not (solid.linear and self._variational):
            self._reach_as_a_whole(load)
            return
        solid.set_load(load)
        # At rest every point ahead of a tip leaves its first tangent at once: Newton's method on all of them is cheapest.
        if first and solid.interfaces.points:
            before = solid.owned().copy()
            if self._newton_from_rest():
                return
            solid.owned()[:] = before
        if self._uncondensed:
            self._newton()
        else:
            self._reach_by_zone()

    def _reach_as_a_whole(self, load: float) -> None:
        """Newton's method on the whole solid: the bulk is not linear, or the laws' traction has no potential."""
        newton = self._whole()
        before = newton.iterations
        try:
            newton.at_load(load)
        except NotFound as failure:
            raise NotReached(failure.residual) from failure
        finally:
            self.iterations += newton.iterations - before

    def _whole(self) -> Newton:
        """Newton's method on the whole solid, made when it is first wanted."""
        if self._plain is None:
            descend, o = self._variational and bool(self.solid.interfaces.points), self.options
            self._plain = Newton(self.solid, rtol=o.rtol, max_iterations=o.max_iterations, descend=descend)
        return self._plain

    def _newton_from_rest(self) -> bool:
        """Newton's method on the whole solid with full steps; False where it does not contract."""
        solid = self.solid
        self._fresh = False
        last = np.inf
        for _ in range(self.options.max_newton_iterations):
            answer = solid.respond()
            force, residual = self._residual(answer)
            if residual <= self.options.rtol:
                return True
            if not residual < last:
                return False
            last = residual
            self.iterations += 1
            self.reference.factorise(answer.tangent)
            solid.owned()[:] += self.reference.solve(-force)
        return False

    def _reach_by_zone(self) -> None:
        """Equilibrium from the present state, the process zone condensed; collective."""
        solid, limit = self.solid, self.options.zone_limit
        self._age += 1
        slow = self._rounds > self.options.slow_rounds and self._age > self.options.least_age
        if not self._fresh or slow or len(self._columns) > self.options.zone_renewal:
            self._renew()
        self._rounds = 0
        last, renewed = np.inf, False
        for _ in range(self.options.max_iterations):
            answer = solid.respond() if solid.interfaces.points else None
            force, residual = self._residual(answer)
            if residual <= self.options.rtol:
                return
            if not np.isfinite(residual):
                raise NotReached(residual)
            if residual > 0.5 * last:
                # Passes stopped helping: a new reference at this state, once; after that the step is too long.
                if renewed or residual < 20.0 * self.options.rtol:
                    if residual <= 20.0 * self.options.rtol:
                        return
                    raise NotReached(residual)
                self._renew()
                renewed, last = True, np.inf
            else:
                last = residual
            if not self._pass(force, answer, limit):
                self._newton()
                return
        raise NotReached(residual)

    def _residual(self, answer: LawResponse | None) -> tuple[Array, float]:
        """Unbalanced forces on free dofs (this rank's), and their norm relative to the forces in play."""
        solid, mine = self.solid, self.solid.prescribed.dofs[self.solid.prescribed.owned]
        force = np.array(solid.internal_force(None if answer is None else answer.traction).array, dtype=float)
        reactions = float(force[mine] @ force[mine])
        force[mine] = 0.0
        external = solid.external_force()
        total, reactions, applied = solid.comm.allreduce(np.array([force @ force, reactions, external @ external]))
        scale = max(float(reactions), float(applied))
        if answer is not None:
            scale = max(scale, float((solid.interfaces.forces(answer.traction) ** 2).sum()))
        # Unloaded to nothing there are no forces in play: the largest of an equilibrium so far then say what rounding is.
        least = max(scale, 1e-8 * self._largest)
        residual = float(np.sqrt(total / least)) if least > 0.0 else float(total != 0.0)
        residual = residual if np.isfinite(total + scale) else np.inf
        if residual <= self.options.rtol:
            self._largest = max(self._largest, scale)
        return force, residual

    def _renew(self) -> None:
        """Factorise at the present state: tangents where they stiffen, secants where they soften (always definite)."""
        interfaces, stiffness = self.solid.interfaces, np.zeros((0, self.solid.dim, self.solid.dim))
        if interfaces.points:
            stiffness = self.solid.respond().definite()
        self._stiffness = stiffness
        self.reference.factorise(stiffness)
        self._forget()
        self._fresh, self._age = True, 0

    def renew_next(self) -> None:
        """Renew the factor before the next load: after a failed one, the kept reference may be far from the state."""
        self._fresh = False

    def _forget(self) -> None:
        n = self.solid.interfaces.pairs * self.solid.dim
        self._zone = np.zeros(self._facets, dtype=bool)
        self._columns = np.zeros(0, dtype=np.int64)
        self._flexibility = np.zeros((n, 0))
        self._grown: list[int] = []
        self._rigidity = np.zeros((0, 0))

    def _pass(self, force: Array, answer: LawResponse | None, limit: int) -> bool:
        """One correction of the displacement; False where the zone would exceed `limit` unknowns.

        With h the excess forces of all pairs over the linear reference, the nodal jumps are x = x₀ − G K_r⁻¹Gᵀ h. The
        zone's part of h is minimised for, the rest iterated (it is small by choice of the zone) with Anderson mixing.
        """
        solid, shape = self.solid, (self.solid.interfaces.pairs, self.solid.dim)
        if answer is None:
            self.iterations += 1
            solid.owned()[:] += self.reference.solve(-force)
            return True
        unloaded = solid.nodal_jumps(self.reference.solve(-force)).ravel()
        jump = solid.jumps()
        x, excess = unloaded[self._columns], np.zeros(len(self._columns))
        outside, linear, mixing = np.zeros(len(unloaded)), unloaded, Mixing()
        growing = True
        for _ in range(self.options.max_iterations):
            self.iterations += 1
            self._rounds += 1
            while True:
                # While the zone still grows a rough answer says where it must reach.
                x, excess = self._settle(linear, x, jump, answer, 1e-3 if growing else 0.1 * self.options.rtol)
                after, escaped, scale = self._outside(linear - self._flexibility @ excess, jump, answer)
                if not len(escaped):
                    if not growing:
                        break
                    growing = False
                    continue
                growing = True
                if not self._grow(escaped, limit):
                    return False
                start = linear[self._columns]
                # Newcomers start from where the zone's opening so far has carried them.
                start[len(x) :] -= self._flexibility[self._columns[len(x) :], : len(x)] @ excess
                start[: len(x)] = x
                x = start
            if np.linalg.norm(after - outside) <= 0.1 * self.options.rtol * scale:
                break
            outside = on_root(self.solid.comm, partial(mixing.next, outside, after))
            right = np.zeros(len(force))
            self._add_free(right, -outside.reshape(shape))
            linear = unloaded + solid.nodal_jumps(self.reference.solve(right)).ravel()
        nodal = after.copy()
        nodal[self._columns] += excess
        right = -force
        self._add_free(right, -nodal.reshape(shape))
        solid.owned()[:] += self.reference.solve(right)
        return True

    def _add_free(self, target: Array, forces: Array) -> None:
        """Add force pairs (pairs, dim) to this rank's free dofs; prescribed ones stay zero."""
        solid = self.solid
        solid.add_nodal_forces(target, forces)
        target[solid.prescribed.dofs[solid.prescribed.owned]] = 0.0

    def _outside(self, nodal: Array, jump: Array, answer: LawResponse) -> tuple[Array, Integers, float]:
        """Excess forces (pairs·dim,) of points outside the zone, facets that should join it, norm of all forces."""
        solid, interfaces = self.solid, self.solid.interfaces

        def find() -> tuple[Array, Integers, float]:
            change = interfaces.jumps(nodal)
            traction = interfaces.evaluate(jump + change, solid.history).traction
            beyond = traction - answer.traction - np.einsum("pij,pj->pi", self._stiffness, change)
            beyond[self._zone[interfaces.facet_of_point]] = 0.0
            far = np.abs(beyond).max(axis=1) > self.options.zone_threshold * interfaces.peak
            escaped = np.unique(interfaces.facet_of_point[far])
            return interfaces.forces(beyond).ravel(), escaped, float(np.linalg.norm(interfaces.forces(traction)))

        return on_root(self.solid.comm, find)

    def _grow(self, facets: Integers, limit: int) -> bool:
        """Take facets and their neighbours into the zone; False where it would exceed `limit` unknowns."""
        solid, zone = self.solid, self._zone.copy()
        zone[self._near[facets].ravel()] = True
        pairs = np.unique(solid.interfaces.facet_pairs[zone])
        wanted = (pairs[:, None] * solid.dim + np.arange(solid.dim)).ravel()
        wanted = wanted[self.reference.free[wanted]]
        if len(wanted) > limit:
            return False
        self._zone = zone
        new = np.setdiff1d(wanted, self._columns)
        self._columns, self._grown = np.concatenate([self._columns, new]), [*self._grown, len(new)]
        self._flexibility = np.concatenate([self._flexibility, self.reference.flexibility(new)], axis=1)
        return True

    def _settle(
        self, linear: Array, start: Array, jump: Array, answer: LawResponse, tolerance: float
    ) -> tuple[Array, Array]:
        """Minimise over the zone; nodal jumps and excess forces of its columns, the same on all ranks."""
        solid, interfaces = self.solid, self.solid.interfaces

        def minimise() -> Settled:
            rows = np.flatnonzero(self._zone[interfaces.facet_of_point])
            if len(self._rigidity) != len(self._columns):
                own = self._flexibility[self._columns]
                self._rigidity = la.inv(0.5 * (own + own.T), check_finite=False)
                self._rigidity = 0.5 * (self._rigidity + self._rigidity.T)
            local = (rows[:, None] * solid.dim + np.arange(solid.dim)).ravel()
            window = Window(
                law=lambda j: interfaces.evaluate(j, solid.history[rows], rows),
                jump=jump[rows],
                traction=answer.traction[rows],
                tangent=self._stiffness[rows],
                weights=interfaces.weights[rows],
                interpolation=interfaces.interpolation[local][:, self._columns],
                rigidity=self._rigidity,
            )
            return settle(
                window,
                linear[self._columns],
                start,
                tolerance=tolerance,
                max_iterations=self.options.max_zone_iterations,
            )

        if not len(self._columns):
            return np.zeros(0), np.zeros(0)
        settled = on_root(self.solid.comm, minimise)
        self.iterations += settled.iterations
        if settled.residual > max(1e-4, tolerance):
            raise NotReached(settled.residual)
        return settled.x, settled.excess

    def _newton(self) -> None:
        """Newton's method on the whole solid, secants where the tangent is not definite, line search on the energy."""
        solid = self.solid
        self._fresh = False
        residual = np.inf
        for _ in range(self.options.max_zone_iterations):
            answer = solid.respond()
            force, residual = self._residual(answer)
            if residual <= self.options.rtol:
                return
            self.iterations += 1
            step = self._direction(answer, force)
            length = 1.0
            # Below 1e-6 the energy's change is rounding: full Newton steps finish.
            if residual > 1e-6:
                length = self._shorten(step, force)
            solid.owned()[:] += length * step
        raise NotReached(residual)

    def _direction(self, answer: LawResponse, force: Array) -> Array:
        """Newton's step, or one along secants where the matrix is not positive definite; collective."""
        reference = self.reference
        with suppress(LinearSolveError):
            reference.factorise(answer.tangent)
            # A factor has counted its negative pivots; conjugate gradients meet negative curvature while they iterate.
            step = reference.solve(-force) if reference.negative_pivots == 0 else force
            if reference.negative_pivots == 0:
                return step
        reference.factorise(answer.definite(secant=True))
        return reference.solve(-force)

    def _shorten(self, step: Array, force: Array) -> float:
        """Length of a step on the whole solid that lowers the energy (Armijo, halving)."""
        solid, interfaces = self.solid, self.solid.interfaces
        vector: Any = solid.bulk.createVecRight()
        pulled: Any = solid.bulk.createVecLeft()
        vector.array[:] = step
        solid.bulk.mult(vector, pulled)
        solid.bulk.mult(solid.u.x.petsc_vec, vector)
        products = np.array([(vector.array - solid.external_force()) @ step, pulled.array @ step, force @ step])
        linear, quadratic, slope = solid.comm.allreduce(products)
        jump, change = solid.jumps(), interfaces.jumps(solid.nodal_jumps(step))

        def energy(length: float) -> float:
            law = interfaces.evaluate(jump + length * change, solid.history)
            held = float(interfaces.weights @ (law.stored + law.dissipated + law.contact))
            return length * linear + 0.5 * length**2 * quadratic + held

        length, before = 1.0, energy(0.0)
        while energy(length) > before + 1e-4 * length * slope and length > 1e-6:
            length *= 0.5
        return length
