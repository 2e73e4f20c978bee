"""Down the energy where the path breaks off: a preconditioned fall with memory, for jumps from one equilibrium to another.

    v ← a v − b K⁻¹ r(u),      u ← u + v,      v ← 0 where r·v > 0,

with K the positive stiffness that preconditions the methods, the law's secant in place of its tangent. Newton's and Anderson's
methods find equilibria near their start, stable or not; where a crack jumps there is none near, and only a way down
leads on. That is what this does, as FIRE (Bitzek and co-workers 2006) does for atoms alone, at some hundred evaluations.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from atomistic.errors import CauchyBornError, EvaluationError
from coupling.errors import HandshakeConvergenceError, MethodError
from coupling.handshake.bqce import Bqce
from coupling.handshake.equilibrium import HandshakeOptions, HandshakeSolution
from coupling.handshake.methods import Method, OnNodes
from coupling.handshake.preconditioner import Preconditioner, Shared, Whole

Array = NDArray[np.float64]
#: a and b above: memory of the last step, and share of the preconditioned force.
_MEMORY, _SHARE = 0.9, 0.5
#: Iterations after which the law's stiffness is taken anew.
_RENEWAL = 10
#: What an evaluation raises where there is no crystal any more: the last step went too far.
BREAKDOWNS = (CauchyBornError, EvaluationError)
#: Iterations that a fall may take for each one that the options grant to a search near its start.
_PATIENCE = 5


def descends(method: Method) -> bool:
    """Whether the method's unknowns are those of one field, whose forces lead down."""
    return isinstance(method, OnNodes)


def descend(
    method: Method,
    *,
    start: Array,
    options: HandshakeOptions | None = None,
    report: Callable[[int, float], None] | None = None,
) -> HandshakeSolution:
    """Fall from a state to a stable equilibrium.

    Args:
        method: with one displacement a node.
        start: (nodes, c) displacements to begin with; prescribed ones are kept.
        options: tolerance, largest step and bounds on calls; five times as many iterations are made.
        report: called with (iteration, largest force).

    Raises:
        MethodError: a method with two fields.
        HandshakeConvergenceError: carrying the last state.
    """
    options = options or HandshakeOptions()
    if not isinstance(method, OnNodes):
        raise MethodError(f"the method {method.name!r} has two fields and no way down: use bqcf or bgfc")
    model, free = method.model, method.free
    counter, began = model.atoms.counter, time.perf_counter()
    calls, seconds = counter.calls, counter.seconds
    u, velocity, history = np.array(start, dtype=float), np.zeros(method.shape), []
    factor: Preconditioner | None = None
    reach = options.largest_step
    balance = method.evaluate(u)
    for iteration in range(_PATIENCE * options.max_iterations + 1):
        residual = np.where(free, balance.residual, 0.0)
        history.append(float(np.abs(residual).max(initial=0.0)))
        if report is not None:
            report(iteration, history[-1])
        if history[-1] <= options.tolerance or counter.calls - calls > options.max_calls:
            break
        if factor is None or iteration % _RENEWAL == 0:
            kind = Shared if isinstance(method, Bqce) and model.body.interface is not None else Whole
            factor = kind(model, u, secant=True)
        if np.sum(residual * velocity) > 0.0:
            velocity[:] = 0.0
        velocity = _MEMORY * velocity - _SHARE * factor.solve(residual)
        largest = float(np.abs(velocity).max())
        try:
            ahead = u + velocity * min(1.0, reach / max(largest, 1e-300))
            balance = method.evaluate(ahead)
            u = ahead
        except BREAKDOWNS:
            # Less at a time, from where it was; if that does not help, the iterations run out.
            velocity, reach = np.zeros(method.shape), 0.5 * min(reach, largest)
            factor = None
    solution = HandshakeSolution(
        u=u,
        balance=balance,
        residual=history[-1],
        history=tuple(history),
        iterations=len(history) - 1,
        calls=counter.calls - calls,
        seconds=time.perf_counter() - began,
        potential_seconds=counter.seconds - seconds,
    )
    if history[-1] > options.tolerance:
        raise HandshakeConvergenceError(
            f"{method.name}: no equilibrium on the way down: the largest force is {history[-1]:.3g} eV/Å after "
            f"{solution.calls} potential calls, wanted {options.tolerance:.3g}",
            solution=solution,
        )
    return solution
