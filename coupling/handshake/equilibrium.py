"""The coupled equilibrium: Newton, Newton–Krylov, L-BFGS, or a fixed point with Anderson's acceleration.

All are preconditioned by one factorised matrix, the stiffness of the finite elements with atoms replaced by elements: it has the
elastic constants of both sides, so that long waves converge in a step or two and the number of potential calls hardly
depends on the size of the zone.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, gmres

from atomistic.errors import CauchyBornError
from continuum.factorise import Factor
from coupling.acceleration import Anderson
from coupling.errors import HandshakeConvergenceError, MethodError
from coupling.handshake.methods import Balance, Method

Array = NDArray[np.float64]
#: Solvers by name.
SOLVERS = ("newton", "newton-krylov", "anderson", "lbfgs")
# Rounding of an energy, as a share of its size: a line search cannot see less.
_ROUNDING = 1e-12
# Iterations after which the stiffness of an interface that has opened further is taken anew.
_RENEWAL = 12
# Halvings of a step that the material refuses.
_HALVINGS = 6


@dataclass(frozen=True, kw_only=True)
class HandshakeOptions:
    """How a coupled equilibrium is sought.

    Attributes:
        tolerance: largest force left on an unknown, eV/Å.
        solver: "newton" (exact second derivatives), "newton-krylov" (theirs by differences of forces), "anderson" (forces only),
            "lbfgs" (forces only, for one field on the nodes; far fewer calls where a defect glides or its core rearranges);
            "auto" takes Anderson, which costs one potential call an iteration.
        max_iterations: of the outer loop.
        max_calls: of the potential.
        depth: vectors that Anderson's acceleration, L-BFGS or the Krylov space keep.
        largest_step: a displacement beyond this (Å) shortens the step.
    """

    tolerance: float = 1e-4
    solver: str = "auto"
    max_iterations: int = 200
    max_calls: int = 1000
    depth: int = 10
    largest_step: float = 0.3

    def __post_init__(self) -> None:
        if not (np.isfinite(self.tolerance) and self.tolerance > 0.0):
            raise MethodError(f"tolerance = {self.tolerance!r}: expected a positive force in eV/Å")
        if self.solver != "auto" and self.solver not in SOLVERS:
            raise MethodError(f"solver = {self.solver!r}: expected auto or one of {', '.join(SOLVERS)}")
        for name in ("max_iterations", "max_calls", "depth"):
            if int(getattr(self, name)) < 1:
                raise MethodError(f"{name} = {getattr(self, name)!r}: expected at least 1")
        if not self.largest_step > 0.0:
            raise MethodError(f"largest_step = {self.largest_step!r}: expected a positive length in Å")


@dataclass(frozen=True, kw_only=True, eq=False)
class HandshakeSolution:
    """A coupled state.

    Attributes:
        u: (nodes, c) displacements beyond F₀X, Å.
        balance: energies and forces there.
        residual: largest force left on an unknown, eV/Å.
        history: largest force before each iteration, eV/Å.
        iterations: of the outer loop.
        calls: of the potential.
        seconds: wall time, of which `potential_seconds` inside the potential.
    """

    u: Array
    balance: Balance
    residual: float
    history: tuple[float, ...]
    iterations: int
    calls: int
    seconds: float
    potential_seconds: float

    def on_nodes(self, u: Array) -> HandshakeSolution:
        """The same solution with one displacement a node."""
        return replace(self, u=u)


@dataclass
class _Search:
    """The state of a search: what was evaluated, how often, and the factor that preconditions."""

    method: Method
    options: HandshakeOptions
    free: NDArray[np.bool_]
    report: Callable[[int, float], None]
    history: list[float] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.counter = self.method.model.atoms.counter
        self.calls_before, self.seconds_before = self.counter.calls, self.counter.seconds

    def size(self, balance: Balance) -> float:
        """Largest force on an unknown."""
        left = np.abs(balance.residual[self.free])
        return float(left.max()) if left.size else 0.0

    def note(self, balance: Balance) -> bool:
        """Record the force; True where it is small enough."""
        self.history.append(self.size(balance))
        self.report(len(self.history) - 1, self.history[-1])
        return self.history[-1] <= self.options.tolerance

    def solution(self, u: Array, balance: Balance) -> HandshakeSolution:
        """Collect the state."""
        return HandshakeSolution(
            u=u,
            balance=balance,
            residual=self.size(balance),
            history=tuple(self.history),
            iterations=max(len(self.history) - 1, 0),
            calls=self.calls,
            seconds=time.perf_counter() - self.started,
            potential_seconds=self.counter.seconds - self.seconds_before,
        )

    @property
    def calls(self) -> int:
        """Potential calls of this search."""
        return self.counter.calls - self.calls_before

    def fail(self, u: Array, balance: Balance, why: str) -> HandshakeConvergenceError:
        """The error that carries the state."""
        return HandshakeConvergenceError(
            f"{self.method.name}: no equilibrium: {why}; the largest force is {self.size(balance):.3g} eV/Å after "
            f"{self.calls} potential calls, wanted {self.options.tolerance:.3g}",
            solution=self.solution(u, balance),
        )

    def attempt(self, u: Array) -> Balance | None:
        """Evaluate a trial; None where the material refuses its strain, or forces are not finite."""
        try:
            there = self.method.evaluate(u)
        except CauchyBornError:
            return None
        return there if np.isfinite(there.residual).all() else None

    def advance(self, u: Array, balance: Balance, step: Array) -> tuple[Array, Balance]:
        """Take a step, shortened where it strains the body beyond what its material takes.

        Raises:
            HandshakeConvergenceError: with the state before the step, which cannot be made short enough.
        """
        for halving in range(_HALVINGS + 1):
            trial = u + 0.5**halving * step
            there = self.attempt(trial)
            if there is not None:
                return trial, there
        raise self.fail(u, balance, "the next step strains the elements beyond what their material takes")

    def bounded(self, step: Array) -> Array:
        """The step, shortened to the largest one allowed."""
        largest = float(np.abs(step).max())
        return step if largest <= self.options.largest_step else step * (self.options.largest_step / largest)


def find_equilibrium(
    method: Method,
    *,
    start: Array | None = None,
    options: HandshakeOptions | None = None,
    report: Callable[[int, float], None] | None = None,
) -> HandshakeSolution:
    """Solve for the equilibrium of a method.

    Args:
        method: any of the methods on one set of unknowns.
        start: (nodes, c) displacements to begin with; prescribed ones are kept as they are.
        options: tolerances and solver.
        report: called with (iteration, largest force) as the solution goes on.

    Raises:
        HandshakeConvergenceError: carrying the last state.
    """
    options = options or HandshakeOptions()
    u = np.zeros(method.shape) if start is None else np.array(start, dtype=float)
    if u.shape != method.shape or not np.isfinite(u).all():
        raise MethodError(f"start of shape {u.shape}: expected finite displacements of shape {method.shape}")
    search = _Search(method, options, method.free, report or (lambda iteration, force: None))
    solver = options.solver
    if solver == "auto":
        solver = "anderson"
    return {"newton": _newton, "newton-krylov": _newton_krylov, "anderson": _anderson, "lbfgs": _lbfgs}[solver](
        search, u
    )


def _newton(search: _Search, u: Array) -> HandshakeSolution:
    """Newton's method with exact second derivatives; along the energy where there is one, else along the force."""
    method = search.method
    factor: Factor | None = None
    balance = method.evaluate(u)
    for _ in range(search.options.max_iterations):
        if search.note(balance):
            return search.solution(u, balance)
        tangent = method.tangent(u)
        if tangent is None:
            raise MethodError(
                f"the potential {method.model.atoms.name!r} has no second derivatives: use newton-krylov or anderson"
            )
        if factor is None:
            factor = Factor(tangent, search.free)
        else:
            factor.update(tangent)
        step = search.bounded(-factor.solve(balance.residual))
        u, balance = _search_line(search, u, balance, step)
    raise search.fail(u, balance, f"{search.options.max_iterations} iterations")


def _newton_krylov(search: _Search, u: Array) -> HandshakeSolution:
    """Newton's method whose systems are solved by GMRES with differences of forces (Knoll and Keyes 2004)."""
    method, free = search.method, search.free
    factor = method.preconditioner(u)
    single = getattr(method.model.atoms, "precision", "float64") == "float32"
    length = 1e-2 if single else 1e-5
    balance = method.evaluate(u)
    for _ in range(search.options.max_iterations):
        if search.note(balance):
            return search.solution(u, balance)
        here, at = balance.residual, u

        def product(vector: Array, here: Array = here, at: Array = at) -> Array:
            direction = np.zeros(method.shape)
            direction[free] = vector
            scale = length / max(float(np.abs(direction).max()), 1e-300)
            return ((method.evaluate(at + scale * direction).residual - here) / scale)[free]

        def precondition(vector: Array) -> Array:
            full = np.zeros(method.shape)
            full[free] = vector
            return factor.solve(full)[free]

        count = int(free.sum())
        operator = LinearOperator((count, count), matvec=product, dtype=float)
        guess = LinearOperator((count, count), matvec=precondition, dtype=float)
        # Far from the solution a rough direction will do; Newton's own error is of second order.
        exactness = float(np.clip(np.sqrt(search.history[-1]), 1e-2, 0.1))
        found, _ = gmres(operator, -here[free], M=guess, rtol=exactness, restart=search.options.depth, maxiter=2)
        step = np.zeros(method.shape)
        step[free] = found
        u, balance = _search_line(search, u, balance, search.bounded(step))
        if search.calls > search.options.max_calls:
            break
    raise search.fail(u, balance, f"{search.calls} potential calls")


def _search_line(search: _Search, u: Array, balance: Balance, step: Array) -> tuple[Array, Balance]:
    """Shorten a step until the energy, or without one the force, has fallen."""
    slope = float(np.sum(balance.residual * step))
    for halving in range(12):
        length = 0.5**halving
        trial = u + length * step
        there = search.attempt(trial)
        if there is None:
            continue
        if balance.energy is not None and there.energy is not None and slope < 0.0:
            slack = _ROUNDING * max(abs(balance.energy), 1.0) * 10
            accepted = there.energy <= balance.energy + 1e-4 * length * slope + slack
        else:
            accepted = search.size(there) <= (1.0 - 1e-4 * length) * search.size(balance) * (
                2.0 if halving == 0 else 1.0
            )
        if accepted:
            return trial, there
    raise search.fail(u, balance, "no step along Newton's direction lowers the energy or the force")


def _anderson(search: _Search, u: Array) -> HandshakeSolution:
    """u ← u − K⁻¹r(u), accelerated (Anderson 1965; Walker and Ni 2011); K is renewed where it serves no longer."""
    method, moving, options = search.method, search.method.moving, search.options
    factor = method.preconditioner(u)
    single = getattr(method.model.atoms, "precision", "float64") == "float32"
    accelerate = Anderson(depth=options.depth, regularisation=1e-3 if single else 1e-12)
    balance = method.evaluate(u)
    for iteration in range(1, options.max_iterations + 1):
        if search.note(balance):
            return search.solution(u, balance)
        if search.calls > options.max_calls:
            break
        if iteration % _RENEWAL == 0 and method.model.body.interface is not None:
            factor = method.preconditioner(u)
            accelerate.restart()
        residual = np.where(search.free, balance.residual, 0.0)
        step = search.bounded(-factor.solve(residual))
        wanted = np.array(u)
        wanted[moving] = accelerate.next(u[moving], (u + step)[moving])
        u, balance = search.advance(u, balance, search.bounded(wanted - u))
    raise search.fail(u, balance, f"{len(search.history)} iterations")


def _lbfgs(search: _Search, u: Array) -> HandshakeSolution:
    """Limited-memory BFGS from K⁻¹ (Nocedal 1980), without a line search: K is close enough, steps are bounded.

    Blended forces are a gradient but for a small part, so this serves them, too. Pairs (s, y) without curvature, sᵀy ≤ 0, are
    left out. Where the force grows far beyond the least so far, the search returns there with half the steps.
    """
    method, moving, options = search.method, search.method.moving, search.options
    if len(moving) != method.model.shape[0]:
        raise MethodError(
            f"lbfgs wants one field on the nodes, and {method.name!r} has two: use anderson or newton-krylov"
        )
    factor, largest = method.preconditioner(u), 1.0
    pairs: deque[tuple[Array, Array, float]] = deque(maxlen=options.depth)
    balance = method.evaluate(u)
    best = (search.size(balance), u, balance)
    for iteration in range(1, options.max_iterations + 1):
        if search.note(balance):
            return search.solution(u, balance)
        if search.calls > options.max_calls:
            break
        if search.history[-1] < best[0]:
            best = (search.history[-1], u, balance)
        elif search.history[-1] > max(30.0 * best[0], 30.0 * options.tolerance):
            _, u, balance = best
            pairs.clear()
            largest *= 0.5
        if iteration % _RENEWAL == 0 and method.model.body.interface is not None:
            factor = method.preconditioner(u)
            pairs.clear()
        force = np.where(search.free, balance.residual, 0.0)
        direction, shares = force.copy(), []
        for s, y, curvature in reversed(pairs):
            shares.append(np.vdot(s, direction) / curvature)
            direction -= shares[-1] * y
        direction = factor.solve(direction)
        for (s, y, curvature), share in zip(pairs, reversed(shares), strict=True):
            direction += (share - np.vdot(y, direction) / curvature) * s
        step = np.where(moving, largest * search.bounded(-direction), 0.0)
        before = u
        u, balance = search.advance(u, balance, step)
        step = u - before
        change = np.where(search.free, balance.residual, 0.0) - force
        curvature = float(np.vdot(step, change))
        if curvature > 1e-10 * float(np.linalg.norm(step) * np.linalg.norm(change)):
            pairs.append((step, change, curvature))
    raise search.fail(u, balance, f"{len(search.history)} iterations")
