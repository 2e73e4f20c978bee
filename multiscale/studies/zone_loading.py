"""Opening a specimen with a zone of atoms, equilibrium after equilibrium: the account of its energy, and what is looked at."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coupling.errors import HandshakeConvergenceError
from coupling.handshake import CoupledModel, HandshakeOptions, HandshakeSolution, make_method
from coupling.handshake.loading import LoadPath, LoadStep, with_history
from coupling.handshake.profile import HandshakeProfile, interface_profile
from coupling.ledger import EnergyLedger, Term
from multiscale.config import AdhesionCase
from multiscale.progress import Phase
from multiscale.run import RunDirectory
from multiscale.studies import patch_files
from multiscale.studies.embedded_files import ledger_domains
from multiscale.studies.embedded_zone import EmbeddedZone
from multiscale.studies.patch import Supports, zone_of
from multiscale.studies.patch_state import FRAMES, strain_over_range, write_state
from multiscale.units import format_length

if TYPE_CHECKING:
    from multiscale.studies.adhesion_zone import AdhesionZoneResult

Array = NDArray[np.float64]
RELEASED = "released in jumps"
#: Where each term is counted.
DOMAINS = {
    "atoms": ("core and blend", "Σ(1 − β)V over the sites"),
    "bulk": ("blend and elements", "Σ v_T W over the elements, v_T less what the atoms own"),
    "interface": ("interface beyond the core", "weighted cohesive energy, stored and dissipated"),
    "ghost force correction": ("blend", "dead load that keeps the perfect crystal at rest"),
    RELEASED: ("steps in which the path broke off", "work less change of energy there: it goes into motion"),
}


@dataclass(frozen=True, kw_only=True)
class Output:
    """An equilibrium at which profiles were taken.

    Attributes:
        step: the equilibrium.
        profile: along the interface.
        history: of the law there.
        jump: largest change of the normal traction between neighbouring sites of the handshake, eV/Å³.
        kink: largest distance of the normal traction at a site of the handshake from the mean of its neighbours, eV/Å³: what a
            gradient along the interface leaves out.
        ghost: largest difference of a site's normal traction from the mean over the block, eV/Å³; NaN in other specimens.
        over_range: largest strain of the elements over the range of their fitted energy; zero where it is not fitted.
    """

    step: LoadStep
    profile: HandshakeProfile
    history: Array | None
    jump: float
    kink: float
    ghost: float
    over_range: float


def load_specimen(
    case: AdhesionCase, run: RunDirectory, result: AdhesionZoneResult, phase: Phase, zone: EmbeddedZone[CoupledModel]
) -> None:
    """Open the specimen step by step, with profiles and files at the outputs (collective).

    Raises:
        HandshakeConvergenceError: no equilibrium; its last state has one displacement a node.
    """
    model, plan, opening = result.model, result.plan, case.loading.opening
    body, counter = model.body, model.atoms.counter
    method = make_method(zone_of(case).method, model)
    holds = Supports(plan)
    keeper = run.keeper("loading")
    kept = keeper.kept()
    path = LoadPath(
        method,
        direction=holds.direction(body),
        options=options_of(case),
        max_cutbacks=zone_of(case).solver.max_cutbacks,
        apart=holds.apart(body),
        report=lambda load, iteration, force: phase.describe(
            f"opening {format_length(load)}, iteration {iteration}, largest force {force:.1e} eV/Å"
        ),
        state=None if kept is None else kept["path"],
        keep=lambda state: keeper.commit(lambda: {"path": state(), **_state(run, result, zone)}),
    )
    if kept is not None:
        _go_on(run, result, zone, path, kept)
        phase.advance(len(result.steps), "gone on with")
    calls, seconds, began = counter.calls - result.calls, counter.seconds - result.seconds[1], time.perf_counter()
    began -= result.seconds[0]

    def on_step(step: LoadStep) -> None:
        result.steps.append(step)
        enter(result, step)
        result.quantum.keep(zone, step.u, f"opening {format_length(step.load)}")
        done, every = len(result.steps) - 1, case.output.fields_every
        if done and (done == opening.steps or (every and done % every == 0)):
            result.model = path.model
            result.outputs.append(take_output(result, step))
            write_state(run, result, step.u, f"{done:04d}", load=step.load)
        result.calls = counter.calls - calls
        result.seconds = (time.perf_counter() - began, counter.seconds - seconds)
        run.event("step", **patch_files.step_event(step))
        phase.advance(1, f"opening {format_length(step.load)}, {step.iterations} iterations")

    loads = np.linspace(0.0, opening.to, opening.steps + 1)[1:]
    try:
        path.follow(loads.tolist()[max(len(result.steps) - 1, 0) :], on_step=on_step)
    except HandshakeConvergenceError as error:
        state = error.solution
        assert isinstance(state, HandshakeSolution)
        hint = ""
        if plan.crack:
            hint = (
                ". Ahead of a sharp crack elements and atoms may reach the strength of the crystal itself: what was computed is "
                "written; open the specimen less, or take longer elements (mesh.degree: 1)"
            )
        raise HandshakeConvergenceError(f"{error}{hint}", solution=state.on_nodes(method.nodal(state.u))) from error
    finally:
        keeper.done()
    result.model = path.model


def _state(run: RunDirectory, result: AdhesionZoneResult, zone: EmbeddedZone[CoupledModel]) -> dict[str, Any]:
    """What the run knows of its loading beside the path."""
    frames = run.file(FRAMES)
    return {
        "steps": result.steps,
        "outputs": [(result.steps.index(output.step), output) for output in result.outputs],
        "quantum": result.quantum.state([zone]),
        "cost": (result.calls, result.seconds),
        "frames": frames.stat().st_size if run.writes and frames.exists() else 0,
    }


def _go_on(
    run: RunDirectory,
    result: AdhesionZoneResult,
    zone: EmbeddedZone[CoupledModel],
    path: LoadPath,
    kept: Mapping[str, Any],
) -> None:
    """Take what an earlier process has left; frames that it wrote later will be written again."""
    for step in kept["steps"]:
        result.steps.append(step)
        enter(result, step)
    result.outputs = [replace(output, step=result.steps[number]) for number, output in kept["outputs"]]
    if result.outputs:
        last = result.outputs[-1].history
        result.model = path.model if last is None else with_history(path.method, last).model
    result.quantum.go_on(kept["quantum"], [zone])
    result.calls, result.seconds = kept["cost"]
    frames = run.file(FRAMES)
    if run.writes and frames.exists():
        os.truncate(frames, min(kept["frames"], frames.stat().st_size))


def options_of(case: AdhesionCase) -> HandshakeOptions:
    """The case's solver settings."""
    solver = zone_of(case).solver
    return HandshakeOptions(
        tolerance=solver.tolerance,
        solver=solver.type,
        max_iterations=solver.max_iterations,
        max_calls=solver.max_calls,
        depth=solver.depth,
        largest_step=solver.largest_step,
    )


def enter(result: AdhesionZoneResult, step: LoadStep) -> None:
    """Enter a step into the ledger: changes of the weighted energies from the unloaded state."""
    if not step.energies:
        return
    if result.ledger is None:
        names = [*step.energies, RELEASED]
        domains = DOMAINS | ledger_domains(names)
        result.ledger = EnergyLedger(
            [Term(name=name, domain=domains[name][0], note=domains[name][1]) for name in names]
        )
    first, before = result.steps[0].energies, result.steps[max(len(result.steps) - 2, 0)].energies
    changes = {name: step.energies[name] - first[name] for name in step.energies}
    released = float(result.ledger.column(RELEASED)[-1]) if result.ledger.entries else 0.0
    if step.jumped:
        released += step.work - (sum(step.energies.values()) - sum(before.values()))
    result.ledger.record(
        load=step.load,
        work_increment=step.work,
        step_defect=step.defect,
        **{name.replace(" ", "_"): value for name, value in [*changes.items(), (RELEASED, released)]},
    )


def take_output(result: AdhesionZoneResult, step: LoadStep) -> Output:
    """Profiles of opening and traction along the interface at a step (collective; three calls of the potential)."""
    profile = interface_profile(result.model, step.u)
    ghost = float("nan")
    if not result.plan.crack:
        mean = step.reaction / result.area
        ghost = float(np.nanmax(np.abs(profile.traction[:, 0] - mean)))
    traction = profile.traction[:, 0]
    bends = np.abs(traction[1:-1] - 0.5 * (traction[:-2] + traction[2:]))[profile.handshake[1:-1]]
    return Output(
        step=step,
        profile=profile,
        history=result.model.history,
        jump=profile.jump,
        kink=float(bends.max(initial=0.0)),
        ghost=ghost,
        over_range=strain_over_range(result, step.u),
    )
