"""The fracture study: relax the crystal, choose where it is cut, say what its crack should do by Griffith, put atoms about the
tip of a crack in an elastic body, load it up and down through the breaking of bonds, see how the lattice holds it, and check J.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from mpi4py import MPI

from atomistic.potentials import Potential
from coupling.crack.method import CrackForces
from coupling.errors import HandshakeConvergenceError
from coupling.handshake import audit_lines
from multiscale.config import FollowModel, FractureCase
from multiscale.progress import Progress
from multiscale.run import RunDirectory
from multiscale.studies import fracture_files as files
from multiscale.studies.crack_account import account, shift_error
from multiscale.studies.crack_observer import J_ROOM, clear_radius
from multiscale.studies.crack_path import Stage, Walk
from multiscale.studies.crack_references import check_fit, find_references
from multiscale.studies.crack_states import walk_path
from multiscale.studies.crack_system import CrackCharacter, CrackPlan, build_crack, characterise_crack, plan_crack
from multiscale.studies.crack_trapping import trapping_of_path, trapping_of_steps
from multiscale.studies.embedded_cases import embed_crack
from multiscale.studies.fracture_fields import begin_states, write_state
from multiscale.studies.fracture_plane import rings_about, write_plane, write_rings
from multiscale.studies.fracture_state import CrackReferences, FractureResult, PathPoint, Trapping
from multiscale.studies.launch import launch

#: J and K²/E* shall agree to this.
_J_BOUND = 0.01
#: Evaluations of a state and states of a path, about, to predict the cost.
_USUAL_CALLS, _USUAL_STATES = 12, 60
#: Moving the zone shall change less than this share of the energy that one period of advance costs.
_MOVE_BOUND = 0.01
#: A surface energy that changes by more than this share between slabs is not converged.
_SURFACE_BOUND = 0.01


def run_fracture(
    case: FractureCase,
    *,
    directory: str | Path,
    comm: MPI.Comm = MPI.COMM_WORLD,
    progress: Progress | None = None,
    force: bool = False,
) -> FractureResult:
    """Run a case and write its directory (collective).

    Args:
        case: what to do.
        directory: where everything is written; must be new or empty unless `force`.
        comm: ranks that share the potential; each holds the finite elements whole.
        progress: shown on rank 0; silent if None.
        force: write into a directory that is not empty.

    Returns:
        The result, on every rank.

    Raises:
        ValueError: with its cause, for what the potential, the crystal, the zone or the load cannot do.
        HandshakeConvergenceError: the path broke off; what was found until then is written.
        LearningStoppedError: the learning stopped or did not keep its contract; all is written, and `result` is the result.
    """
    return launch(
        case,
        _story(case),
        directory=directory,
        comm=comm,
        progress=progress,
        force=force,
        reported=HandshakeConvergenceError,
    )


def _story(case: FractureCase) -> Callable[..., FractureResult]:
    """What runs this case: with a potential that is taught or with one that stays as it is."""
    if case.learning is None:
        return _follow_story
    from multiscale.studies.learning_fracture import taught_fracture

    return taught_fracture(_follow_story)


def _follow_story(
    case: FractureCase, run: RunDirectory, comm: MPI.Comm, progress: Progress, potential: Potential | None = None
) -> FractureResult:
    """The study itself, from the case's potential, or the one given, to the trapping range."""
    character = characterise_crack(case, comm=comm, progress=progress, potential=potential)
    files.write_crystal(run, character)
    references = find_references(case, character, comm=comm, progress=progress)
    files.write_references(run, case, references)
    for line in files.reference_lines(case, references):
        progress.note(line)

    plan = plan_crack(case, character)
    check_fit(case, character, plan, references)

    broken: HandshakeConvergenceError | None = None
    keeper = run.keeper("path")
    kept = keeper.kept()
    if kept is None:
        begin_states(run)
    with progress.phase("path") as phase:
        walk = Walk(
            case=case,
            character=character,
            references=references,
            plan=plan,
            comm=comm,
            phase=phase,
            watch=lambda walk: _keep(run, walk),
            keep=keeper.commit,
            cache=run.path / "quantum",
        )
        try:
            walk_path(walk, kept)
        except HandshakeConvergenceError as error:
            if not walk.points:
                raise HandshakeConvergenceError(f"{error}. {_ADVICE}", solution=error.solution) from error
            broken, walk.reason = error, f"no further equilibrium was found: {error}"
    keeper.done()
    for stage in walk.stages:
        for line in audit_lines(stage.observer.model.partition):
            progress.note(line)

    walk.quantum.conclude(run, progress)
    with progress.phase("results"):
        result = conclude(case, run, walk)
        files.write_results(run, case, result)
    if broken is not None:
        raise HandshakeConvergenceError(f"{broken}. {_ADVICE}", solution=broken.solution) from broken
    return result


_ADVICE = (
    "What was found until then is in the run directory. Try a smaller load.largest_step or step, more solver.max_iterations, or "
    "a larger solver.tolerance where the potential is noisy"
)


def _keep(run: RunDirectory, walk: Walk) -> None:
    """Write what a new state adds: the path so far, and every so often the state itself."""
    point, every = walk.points[-1], walk.case.output.states_every
    files.write_path(run, walk.references, walk.points, grips=walk.case.gripped)
    if point.emission:
        run.event("emission", state=point.index, load=point.load, slip=point.emission)
    if point.index == 0 or (every and point.index % every == 0):
        write_state(run, walk.stages[point.picture].observer.picture, point, name=f"{point.index:04d}")


def conclude(case: FractureCase, run: RunDirectory, walk: Walk) -> FractureResult:
    """What the path says: trapping, account, fields of the states that matter."""
    pictures = [stage.observer.picture for stage in walk.stages]
    ledger = account(walk)
    trapping = find_trapping(walk)
    shown = notable(walk.points)
    for name, point in shown.items():
        write_state(run, pictures[point.picture], point, name=name)
    write_plane(run, walk.references, pictures[shown["plus"].picture], shown["plus"])
    room = {p.picture: J_ROOM * clear_radius(walk.plan.outer, pictures[p.picture].center) for p in shown.values()}
    rings = [rings_about(pictures[p.picture], p, room=room[p.picture]) for p in shown.values()]
    write_rings(run, walk.references, rings)
    return FractureResult(
        directory=run.path,
        character=walk.character,
        references=walk.references,
        plan=walk.plan,
        pictures=pictures,
        points=walk.points,
        trapping=trapping,
        ledger=ledger,
        warnings=[
            *warnings_of(case, walk.character, walk.plan, walk.references, walk, trapping),
            *(walk.stages[0].zone.warnings if walk.stages else []),
        ],
        quantum=walk.quantum,
    )


def notable(points: list[PathPoint]) -> dict[str, PathPoint]:
    """The states that are always written: the one nearest to K₊, that nearest to K₋ after it, the last."""
    ahead = [point for point in points if point.leg == "follow"] or points
    loads = [point.load for point in ahead]
    top = next((i for i in range(len(loads) - 1) if loads[i + 1] < loads[i]), len(loads) - 1)
    bottom = next((i for i in range(top + 1, len(loads) - 1) if loads[i + 1] > loads[i]), None)
    found = {"plus": ahead[top], "last": points[-1]}
    return found if bottom is None else found | {"minus": ahead[bottom]}


def find_trapping(walk: Walk) -> Trapping:
    """K₊, K₋ and barriers of the path, and whether one period of advance shifts all fields by one period."""
    if not isinstance(walk.case.load, FollowModel):
        strength = walk.points[0].intensity / walk.points[0].load if walk.case.gripped else 1.0
        return trapping_of_steps(walk.points, [(strength * run.before, strength * run.load) for run in walk.runs])
    known = [found for stage in walk.stages if (found := _trapping_of_stage(walk, stage)) is not None]
    if not known:
        return trapping_of_steps(walk.points)
    # Each model knows the folds of its own stretch of the path; barriers need a whole period in one of them.
    best = next((found for found in known if np.isfinite(found.barrier)), known[0])
    plus = tuple(load for found in known for load in found.plus)
    minus = tuple(load for found in known for load in found.minus)
    return replace(
        best,
        plus=plus,
        minus=minus,
        plus_error=(0.0,) * len(plus),
        minus_error=(0.0,) * len(minus),
        shift_error=shift_error(walk),
    )


def _trapping_of_stage(walk: Walk, stage: Stage) -> Trapping | None:
    """What the states of one model say; the way back from the start comes first, from its end."""
    observer = stage.observer
    mine = [point for point in walk.points if point.picture == observer.number]
    back = [point for point in mine if point.leg == "down"]
    points = [*reversed(back), *(point for point in mine if point.leg != "down")]
    return trapping_of_path(points, observer.picture.role == 0, walk.references)


def warnings_of(
    case: FractureCase,
    character: CrackCharacter,
    plan: CrackPlan,
    references: CrackReferences,
    walk: Walk | None,
    trapping: Trapping | None,
) -> list[str]:
    """What a user should know before trusting the numbers."""
    found = []
    capabilities = character.potential.capabilities
    if references.cut.name != references.cuts[0].name:
        found.append(
            f"the cut {references.cut.name} is not the cheapest of its plane: {references.cuts[0].name} costs less, and a crack "
            "may leave for it"
        )
    if capabilities.precision == "float32":
        found.append(
            f"{capabilities.name} computes in float32: its noise, about 1e-6 eV/Å in forces, bounds the tolerance"
        )
    surfaces = references.surfaces
    if surfaces.convergence > _SURFACE_BOUND * surfaces.relaxed:
        found.append(
            f"the created surfaces' energy still changes by {100 * surfaces.convergence / surfaces.relaxed:.1f} % between slabs: "
            "K_G is as uncertain as half of that"
        )
    if not case.crack.mode.I:
        found.append(
            "without mode I the faces are pressed onto each other, where nothing but the atoms keeps them apart"
        )
    if walk is None:
        return found
    if walk.reason:
        found.append(f"the path ended early: {walk.reason}")
    for run in walk.runs:
        share = run.load / references.griffith
        at = f"{share:.4g} K_G" if not case.gripped else f"an opening of {run.load:.4g} Å"
        found.append(
            f"at {at} the crack {'ran until it left the zone' if run.sign > 0.0 else 'closed'}: no equilibrium there"
        )
    slipped = [point for point in walk.points if point.emission]
    if slipped:
        found.append(f"something slipped beside the crack, first in state {slipped[0].index}: {slipped[0].emission}")
    ratios = [point.j / point.release for point in walk.points if point.release > 0.0 and np.isfinite(point.j)]
    if not case.gripped and ratios and max(abs(ratio - 1.0) for ratio in ratios) > _J_BOUND:
        found.append(
            f"J differs from K²/E* by up to {100 * max(abs(ratio - 1.0) for ratio in ratios):.1f} %: the body is small for its "
            "load, enlarge body.radius"
        )
    period = references.two_gamma * character.period * character.columns.lattice.thickness
    jumps = [abs(point.energy_jump) for point in walk.points if point.recentred]
    if jumps and max(jumps) > _MOVE_BOUND * period:
        found.append(
            f"moving the zone changed the energy by up to {max(jumps):.2g} eV, {100 * max(jumps) / period:.1f} % of what one "
            "period of advance costs: enlarge zone.radius or zone.blend"
        )
    if trapping is not None and not trapping.plus:
        found.append("the crack did not advance: no K₊; let the load go farther up")
    return found


def predict(case: FractureCase, *, comm: MPI.Comm = MPI.COMM_WORLD) -> tuple[list[tuple[str, str]], list[str]]:
    """What to expect of a case before it runs: rows of label and value, and warnings (collective).

    Computes the crystal, its continuum, the references and the range of the potential, meshes the body and evaluates it once.
    """
    progress = Progress.silent()
    character = characterise_crack(case, comm=comm, progress=progress)
    references = find_references(case, character, comm=comm, progress=progress)
    plan = plan_crack(case, character)
    check_fit(case, character, plan, references)
    model = build_crack(character, plan, comm)
    zone = embed_crack(case, character, plan, model, comm, center=plan.center, tip=0.0)
    model = zone.model
    method = CrackForces(model)
    began = time.perf_counter()
    method.evaluate(np.zeros(method.shape))
    seconds = time.perf_counter() - began
    partition, q = model.partition, model.atoms_per_site
    counts = {role: q * count for role, count in partition.counts.items()}
    counts |= {"nodes": len(model.body.nodes), "elements": len(model.body.cells)}
    states = _USUAL_STATES if isinstance(case.load, FollowModel) else len(case.levels)
    calls = min(_USUAL_CALLS * states, case.solver.max_calls)
    rows = files.prediction_rows(case, character, references, plan, counts, seconds, calls)
    return rows, [*warnings_of(case, character, plan, references, None, None), *zone.warnings]
