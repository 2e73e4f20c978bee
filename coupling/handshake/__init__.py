"""Atoms and finite elements in one equilibrium: the methods, and one call to use any of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray

from coupling.errors import MethodError
from coupling.handshake.arlequin import Arlequin, CorrectedArlequin, require_unmatched
from coupling.handshake.bgfc import Bgfc
from coupling.handshake.bqce import Bqce, Qce
from coupling.handshake.bqcf import Bqcf
from coupling.handshake.build import audit_lines, couple
from coupling.handshake.build_unmatched import couple_arlequin
from coupling.handshake.clamped import Clamped
from coupling.handshake.equilibrium import HandshakeOptions, HandshakeSolution, find_equilibrium
from coupling.handshake.methods import Balance, Method
from coupling.handshake.model import CoupledModel
from coupling.handshake.schwarz import Schwarz, alternate
from coupling.handshake.unmatched import UnmatchedModel

#: Methods by the name that a case gives them.
METHODS: dict[str, Callable[[CoupledModel], Method]] = {
    "bgfc": Bgfc,
    "bqcf": Bqcf,
    "schwarz": Schwarz,
    "bqce": Bqce,
    "qce": Qce,
    "clamped": Clamped,
}

#: Methods for atoms and finite elements with displacements of their own, from `couple_arlequin`.
UNMATCHED_METHODS: dict[str, Callable[[UnmatchedModel], Method]] = {
    "arlequin": Arlequin,
    "arlequin-corrected": CorrectedArlequin,
}

__all__ = [
    "METHODS",
    "UNMATCHED_METHODS",
    "Balance",
    "CoupledModel",
    "HandshakeOptions",
    "HandshakeSolution",
    "Method",
    "Schwarz",
    "UnmatchedModel",
    "alternate",
    "audit_lines",
    "couple",
    "couple_arlequin",
    "find_equilibrium",
    "make_method",
    "solve",
]


def make_method(name: str, model: CoupledModel) -> Method:
    """Return a method by name.

    Raises:
        MethodError: no such method, or one that the potential or the partition cannot serve.
    """
    if name in UNMATCHED_METHODS:
        require_unmatched(name, model)
        return UNMATCHED_METHODS[name](cast(UnmatchedModel, model))
    if name not in METHODS:
        raise MethodError(f"method {name!r}: expected one of {', '.join([*METHODS, *UNMATCHED_METHODS])}")
    if isinstance(model, UnmatchedModel):
        raise MethodError(
            f"the method {name!r} wants atoms that share their displacements with the nodes of a matching mesh: make the model "
            f"with couple(...), or use one of {', '.join(UNMATCHED_METHODS)} on this one"
        )
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
        model: from `couple`, or from `couple_arlequin`.
        method: bgfc, bqcf, schwarz, bqce, qce or clamped; arlequin or arlequin-corrected.
        start: (nodes, c) displacements to begin with, prescribed ones included; one a row of an unmatched model.
        options: tolerance and solver.
        report: called with (iteration, largest force).

    Returns:
        The solution, with one displacement a node; a row of an unmatched model.

    Raises:
        MethodError: the method cannot be used here.
        HandshakeConvergenceError: no equilibrium was found; the error carries the last state.
    """
    chosen = make_method(method, model)
    begin = None
    if start is not None:
        begin = chosen.stacked(start) if isinstance(chosen, Schwarz | Arlequin) else start
    found = find_equilibrium(chosen, start=begin, options=options, report=report)
    return found.on_nodes(chosen.nodal(found.u))
