"""Taking the specimen of the adhesion study through its loads, step by step, each of them kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from mpi4py import MPI

from continuum.checkpoint import Keep
from continuum.solid import Solid
from continuum.solvers import ConvergenceError, SolverOptions, Step
from coupling.live import LiveRecord
from multiscale.config import AdhesionCase
from multiscale.progress import Progress
from multiscale.run import RunDirectory
from multiscale.studies import adhesion_files as files
from multiscale.studies.impurity import ImpurityStudy
from multiscale.studies.impurity_files import ImpurePath
from multiscale.studies.interface import InterfaceCharacter
from multiscale.studies.live import load
from multiscale.studies.specimen import MeshPlan, build_solid, make_law, plan_mesh


def take_through(
    case: AdhesionCase,
    solid: Solid,
    steps: list[Step],
    on_step: Callable[[Step], None],
    progress: Progress,
    *,
    phase: str,
    state: Mapping[str, Any] | None = None,
    keep: Keep | None = None,
) -> LiveRecord | None:
    """Load a specimen as the case asks, each step appended to `steps` as it is found (collective).

    Args:
        steps: those that are known already.
        state, keep: of the walk, see `continuum.solvers.follow`.

    Raises:
        ConvergenceError: no equilibrium at a load; `steps` holds those before.
    """
    initial_tip, opening = first_tip(solid), case.loading.opening
    loads = np.linspace(0, opening.to, opening.steps + 1)[1:]
    with progress.phase(phase, total=opening.steps) as shown:

        def show(step: Step) -> None:
            # Along a path that snaps back the number of steps is not known before: the largest opening so far counts.
            largest = max(s.load for s in steps) / opening.to * opening.steps
            shown.advance(max(largest - shown.done, 0.0), files.step_text(step, initial_tip))

        def found(step: Step) -> None:
            steps.append(step)
            on_step(step)
            show(step)

        if steps:
            show(steps[-1])
        return load(case, solid, loads.tolist(), solver_options(case), on_step=found, state=state, keep=keep)


def load_with_impurity(
    case: AdhesionCase,
    interface: InterfaceCharacter,
    study: ImpurityStudy,
    plan: MeshPlan,
    run: RunDirectory,
    comm: MPI.Comm,
    progress: Progress,
) -> ImpurePath | None:
    """Take the same specimen through the same loads with the law of the impure interface (collective); None without one."""
    if study.impure is None:
        return None
    extraction = study.impure.extraction
    zone = plan_mesh(case, interface.material, extraction).zone
    solid = build_solid(case, interface.material, make_law(case, extraction), plan, comm)
    initial_tip, stopped = first_tip(solid), None
    keeper = run.keeper("loading with impurity")
    kept = keeper.kept()
    steps: list[Step] = [] if kept is None else list(kept["steps"])

    def on_step(step: Step) -> None:
        run.event("step_with_impurity", **files.step_event(step))

    try:
        phase = "loading with impurity"
        take_through(case, solid, steps, on_step, progress, phase=phase, state=kept, keep=keeper.commit)
        keeper.done()
    except ConvergenceError as error:
        # The clean path stands by itself: it is not lost because the other one ends early.
        stopped = float(error.load)
    return ImpurePath(steps=steps, initial_tip=initial_tip, zone=zone, stopped=stopped)


def solver_options(case: AdhesionCase) -> SolverOptions:
    """The case's solver settings."""
    return SolverOptions(
        rtol=case.solver.rtol, max_iterations=case.solver.max_iterations, max_cutbacks=case.solver.max_cutbacks
    )


def first_tip(solid: Solid) -> float:
    """Where the crack of the first interface ends (Å)."""
    return solid.crack_tip(solid.interfaces.parts[0].name)
