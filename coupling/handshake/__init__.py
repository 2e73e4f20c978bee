"""Atoms and finite elements in one equilibrium: the methods, and one call to use any of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from coupling.errors import MethodError
from coupling.handshake.bgfc import Bgfc
from coupling.handshake.bqce import Bqce, Qce
from coupling.handshake.bqcf import Bqcf
from coupling.handshake.build import audit_lines, couple
from coupling.handshake.clamped import Clamped
from coupling.handshake.equilibrium import HandshakeOptions, HandshakeSolution, find_equilibrium
from coupling.handshake.methods import Balance, Method
from coupling.handshake.model import CoupledModel
from coupling.handshake.schwarz import Schwarz, alternate

#: Methods by the name that a case gives them.
METHODS: dict[str, Callable[[CoupledModel], Method]] = {
    "bgfc": Bgfc,
    "bqcf": Bqcf,
    "schwarz": Schwarz,
    "bqce": Bqce,
    "qce": Qce,
    "clamped": Clamped,
}

__all__ = [
    "METHODS",
    "Balance",
    "CoupledModel",
    "HandshakeOptions",
    "HandshakeSolution",
    "Method",
    "Schwarz",
    "alternate",
    "audit_lines",
    "couple",
    "find_equilibrium",
    "make_method",
    "solve",
]


def make_method(name: str, model: CoupledModel) -> Method:
    """Return a method by name.

    Raises:
        MethodError: no such method, or one that the potential or the partition cannot serve.
    """
    if name not in METHODS:
        raise MethodError(f"method {name!r}: expected one of {', '.join(METHODS)}")
    return METHODS[name](model)


def solve(
    model: CoupledModel,
    *,
    method: str = "bgfc",
    start: NDArray[np.float64] | None = None,
    options: HandshakeOptions | None = None,
    report: Callable[[int, float], None] | None = None,
) -> HandshakeSolution:
    """Find the coupled equilibrium with one of the methods.

    Args:
        model: from `couple`.
        method: bgfc, bqcf, schwarz, bqce, qce or clamped.
        start: (nodes, c) displacements to begin with, prescribed ones included.
        options: tolerance and solver.
        report: called with (iteration, largest force).

    Returns:
        The solution, with one displacement a node.

    Raises:
        MethodError: the method cannot be used here.
        HandshakeConvergenceError: no equilibrium was found; the error carries the last state.
    """
    chosen = make_method(method, model)
    begin = None if start is None else np.concatenate([start] * (chosen.shape[0] // model.shape[0]))
    found = find_equilibrium(chosen, start=begin, options=options, report=report)
    return found.on_nodes(chosen.nodal(found.u))
