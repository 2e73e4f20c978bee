"""Outer iterations and potential calls of every way to solve one coupled problem: the aluminium void of `all_atom.py`.

python benchmarks/iterations.py

Overlapping Schwarz by turns, plain, with Aitken's and with Anderson's acceleration of the rim, and monolithic; the blended
methods with each solver. All start from the homogeneous deformation and end at the same largest force.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from _report import report
from all_atom_problem import PADS, coupled_model, make_body

from coupling.acceleration import Acceleration
from coupling.handshake import HandshakeOptions, HandshakeSolution, Schwarz, alternate, solve
from coupling.handshake.model import CoupledModel
from coupling.handshake.schwarz import ACCELERATIONS

ATOMS, TOLERANCE = 29_000, 1e-4
TURNS: dict[str, type[Acceleration]] = ACCELERATIONS
SOLVERS = ("anderson", "newton-krylov", "newton")
#: For one field on the nodes only.
ONE_FIELD = ("lbfgs", *SOLVERS)


@dataclass(frozen=True, kw_only=True, eq=False)
class Effort:
    """What one way took.

    Attributes:
        solution: its state, with one displacement a node in `u`.
        iterations: turns, or steps of the monolithic solver.
        calls: of the potential.
    """

    solution: HandshakeSolution
    u: np.ndarray
    iterations: int
    calls: int


def by_turns(model: CoupledModel, acceleration: str, *, tolerance: float = TOLERANCE) -> Effort:
    """Overlapping Schwarz, one side after the other."""
    method = Schwarz(model)
    options = HandshakeOptions(tolerance=tolerance, max_calls=20_000, max_iterations=500)
    solution, _ = alternate(method, acceleration=acceleration, options=options)
    return Effort(solution=solution, u=method.nodal(solution.u), iterations=solution.iterations, calls=solution.calls)


def together(model: CoupledModel, method: str, solver: str, *, tolerance: float = TOLERANCE) -> Effort:
    """Any method on all unknowns at once."""
    found = solve(model, method=method, options=HandshakeOptions(tolerance=tolerance, solver=solver))
    return Effort(solution=found, u=found.u, iterations=found.iterations, calls=found.calls)


def efforts(model: CoupledModel) -> dict[str, Effort]:
    """All ways by name."""
    found = {f"schwarz_{name}": by_turns(model, name) for name in TURNS}
    found |= {f"schwarz_monolithic_{s}": together(model, "schwarz", s) for s in SOLVERS}
    return found | {f"{m}_{s}": together(model, m, s) for m in ("bgfc", "bqcf") for s in ONE_FIELD}


def main() -> int:
    """Solve in all ways and report."""
    model = coupled_model(make_body("void", ATOMS), pad=PADS["schwarz"])
    found = efforts(model)
    figures: dict = {
        "tolerance_eV_per_A": TOLERANCE,
        "overlap_A": model.partition.width,
        "zone_atoms": len(model.present),
    }
    for name, effort in found.items():
        name = name.replace("-", "_")
        figures[f"{name}_iterations"] = effort.iterations
        figures[f"{name}_potential_calls"] = effort.calls
        figures[f"{name}_seconds"] = round(effort.solution.seconds, 3)
    exact = {method: found[f"{method}_newton"].u for method in ("schwarz_monolithic", "bgfc", "bqcf")}

    def off(name: str) -> float:
        """Largest difference from the same method's solution by Newton's method, Å."""
        own = next(u for method, u in exact.items() if name.startswith(method.split("_")[0]))
        return float(np.abs(found[name].u - own).max())

    plain, anderson = found["schwarz_plain"], found["schwarz_anderson"]
    figures |= {
        "same_solution_A": max(off(name) for name in found),
        "aitken_turns_over_plain": found["schwarz_aitken"].iterations / plain.iterations,
        "anderson_turns_over_plain": anderson.iterations / plain.iterations,
        "monolithic_calls_over_anderson_turns": found["schwarz_monolithic_anderson"].calls / anderson.calls,
        "most_calls_of_a_monolithic_solve": max(
            e.calls for n, e in found.items() if n.removeprefix("schwarz_") not in TURNS
        ),
    }
    bounds = {
        "same_solution_A": ("<=", 1e-3),
        "aitken_turns_over_plain": ("<", 1.0),
        "anderson_turns_over_plain": ("<", 1.0),
        "monolithic_calls_over_anderson_turns": ("<", 1.0),
        "most_calls_of_a_monolithic_solve": ("<=", 50.0),
    }
    return report("iterations", figures, bounds)


if __name__ == "__main__":
    sys.exit(main())
