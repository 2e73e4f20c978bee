"""The defect study: relax the crystal, make its continuum, put a zone of atoms around a defect into an elastic body, see that
nothing is counted twice, find the equilibrium of both together, account for its energy, and compare it with all atoms.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from coupling.errors import HandshakeConvergenceError
from coupling.handshake import (
    CoupledModel,
    HandshakeOptions,
    HandshakeSolution,
    Method,
    Schwarz,
    alternate,
    audit_lines,
    find_equilibrium,
    make_method,
)
from coupling.ledger import EnergyLedger, Term
from multiscale.config import DefectCase, InclusionModel
from multiscale.progress import Phase, Progress
from multiscale.run import RunDirectory
from multiscale.studies import defect_files as files
from multiscale.studies.all_atoms import Comparison, compare, defect_energy, refuse_too_many
from multiscale.studies.coupled_zone import (
    CrystalCharacter,
    ZonePlan,
    build_model,
    characterise_crystal,
    plan_zone,
    spacing,
)
from multiscale.studies.embedded_cases import embed_defect
from multiscale.studies.embedded_files import EmbeddedRecord, ledger_domains
from multiscale.studies.launch import launch
from multiscale.studies.zone_files import write_state

Array = NDArray[np.float64]
#: The largest part of the relaxation's energy that the forces along the way may miss.
CLOSURE_BOUND = 1e-3
#: Calls of the potential that an equilibrium takes, about, to predict its cost.
_USUAL_CALLS = 40
#: Far strains beyond this may lie beyond what a crystal with a defect bears.
_LARGE_STRAIN = 0.02


@dataclass(frozen=True, kw_only=True)
class DefectResult:
    """What a run leaves in memory; the rest is in its directory.

    Attributes:
        directory: of the run.
        character: what the potential says of the crystal.
        plan: of defect, zone and body.
        model: the coupled body.
        start: (nodes, c) displacements with which the search began, Å.
        solution: the equilibrium.
        ledger: its energies, as changes from the start; None for methods without an energy.
        energy: of the defect, eV: the formation energy where atoms are missing; NaN for methods without an energy.
        comparison: with all atoms, where asked for.
        warnings: what a reader of the results should know.
        quantum: start and end by the quantum engine, where there is one.
    """

    directory: Path
    character: CrystalCharacter
    plan: ZonePlan
    model: CoupledModel
    start: Array
    solution: HandshakeSolution
    ledger: EnergyLedger | None
    energy: float
    comparison: Comparison | None
    warnings: list[str]
    quantum: EmbeddedRecord


def run_defect(
    case: DefectCase,
    *,
    directory: str | Path,
    comm: MPI.Comm = MPI.COMM_WORLD,
    progress: Progress | None = None,
    force: bool = False,
) -> DefectResult:
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
        ValueError: with its cause, for what the potential, the crystal or the zone cannot do.
        HandshakeConvergenceError: no equilibrium was found; the last state is written.
    """
    return launch(
        case,
        _follow_story,
        directory=directory,
        comm=comm,
        progress=progress,
        force=force,
        reported=HandshakeConvergenceError,
    )


def _follow_story(case: DefectCase, run: RunDirectory, comm: MPI.Comm, progress: Progress) -> DefectResult:
    """The study itself, from the potential to the comparison."""
    character = characterise_crystal(case, comm=comm, progress=progress)
    files.write_crystal(run, character)

    with progress.phase("zone and body"):
        plan = plan_zone(case, character)
        refuse_too_many(case, character, plan)
        zone = embed_defect(case, character, plan, build_model(case, character, plan, comm), comm, run)
        model = zone.model
        start = plan.start(model.body.nodes)
        start[model.held] = 0.0
    for line in audit_lines(model.partition):
        progress.note(line)
    run.event("audit", lines=audit_lines(model.partition), nodes=len(model.body.nodes))

    method = make_method(case.method, model)
    with progress.phase("equilibrium") as phase:
        try:
            solution = find(case, method, start, phase)
        except HandshakeConvergenceError as error:
            write_state(run, case, plan, model, error.solution)
            run.event("no_convergence", error=str(error))
            raise HandshakeConvergenceError(f"{error}. {_advice(case, run)}", solution=error.solution) from error
    write_state(run, case, plan, model, solution)

    quantum = EmbeddedRecord(embedding=case.embedding)
    quantum.keep(zone, start, "start")
    quantum.keep(zone, solution.u, "equilibrium")
    quantum.conclude(run, progress)

    ledger = None
    with progress.phase("energy"):
        if solution.balance.energy is not None:
            ledger = account(method, start, solution, points=case.output.closure_points)
        energy = defect_energy(model, solution, character, comm=comm)

    comparison = None
    if case.compare.all_atoms:
        with progress.phase("all atoms") as phase:
            try:
                comparison = compare(case, character, plan, model, solution, comm=comm, phase=phase)
            except HandshakeConvergenceError as error:
                raise HandshakeConvergenceError(
                    f"the comparison with all atoms: {error}. {_advice(case, run)}", solution=error.solution
                ) from error
        files.write_comparison(run, comparison)

    with progress.phase("results"):
        result = DefectResult(
            directory=run.path,
            character=character,
            plan=plan,
            model=model,
            start=start,
            solution=solution,
            ledger=ledger,
            energy=float("nan") if not _has_energy(case) else energy,
            comparison=comparison,
            warnings=[*warnings_of(case, character, plan, model, solution, ledger), *zone.warnings],
            quantum=quantum,
        )
        files.write_results(run, case, result)
    return result


def _has_energy(case: DefectCase) -> bool:
    """Whether the defect's energy is one of the perfect crystal's atoms alone: nothing foreign, no engine of another zero."""
    in_loop = case.embedding is not None and case.embedding.mode == "in the loop"
    return not (isinstance(case.defect, InclusionModel) or case.impurity is not None or in_loop)


def _advice(case: DefectCase, run: RunDirectory) -> str:
    """What to do where no equilibrium was found."""
    strained = any(abs(component) > _LARGE_STRAIN for component in case.strain.model_dump().values())
    return (
        f"The last state is in {run.path} (zone.extxyz, body.vtu). "
        + ("The crystal or its defect may be unstable at this strain: make it smaller. " if strained else "")
        + "Try solver.type: lbfgs, a smaller solver.largest_step, or more solver.max_calls"
    )


def options_of(case: DefectCase) -> HandshakeOptions:
    """The case's solver settings."""
    solver = case.solver
    return HandshakeOptions(
        tolerance=solver.tolerance,
        solver=solver.type,
        max_iterations=solver.max_iterations,
        max_calls=solver.max_calls,
        depth=solver.depth,
        largest_step=solver.largest_step,
    )


def find(case: DefectCase, method: Method, start: Array, phase: Phase) -> HandshakeSolution:
    """Find the equilibrium, with one displacement a node (collective).

    Raises:
        HandshakeConvergenceError: with the last state, one displacement a node too.
    """
    begin = np.concatenate([start] * (method.shape[0] // len(start)))

    def report(iteration: int, force: float) -> None:
        phase.describe(f"iteration {iteration}, largest force {force:.2e} eV/Å")

    try:
        if isinstance(method, Schwarz) and case.solver.turns != "monolithic":
            solution, _ = alternate(method, acceleration=case.solver.turns, start=begin, options=options_of(case))
        else:
            solution = find_equilibrium(method, start=begin, options=options_of(case), report=report)
    except HandshakeConvergenceError as error:
        state = error.solution
        assert isinstance(state, HandshakeSolution)
        raise HandshakeConvergenceError(str(error), solution=state.on_nodes(method.nodal(state.u))) from error
    return solution.on_nodes(method.nodal(solution.u))


def account(method: Method, start: Array, solution: HandshakeSolution, *, points: int) -> EnergyLedger:
    """Change of each energy from start to end, beside the work of the forces along the straight way between them.

    Work and energies come from different sums, so a term that is missing from either shows. Gauss's quadrature of the forces:
    the finer, the smaller its own error, down to that of rounding (collective).

    Args:
        method: conservative.
        start: (nodes, c).
        solution: the end.
        points: of the quadrature; 0 leaves the check out.
    """
    before, after = method.evaluate(start), solution.balance
    domains = {
        "atoms": ("core and blend", "Σ(1 − β)V over the sites"),
        "bulk": ("blend and body", "Σ v_T W over the elements, v_T less what the atoms own"),
        "interface": ("interface", "weighted cohesive energy"),
        "ghost force correction": ("blend", "dead load that keeps the perfect crystal at rest"),
    }
    domains |= ledger_domains(list(after.terms))
    ledger = EnergyLedger(
        [
            Term(name=name, domain=domains.get(name, ("body", ""))[0], note=domains.get(name, ("body", ""))[1])
            for name in after.terms
        ]
    )
    changes = {name.replace(" ", "_"): after.terms[name] - before.terms[name] for name in after.terms}
    assert before.energy is not None
    assert after.energy is not None
    change = after.energy - before.energy
    work = change
    if points:
        along = solution.u - start
        at, shares = np.polynomial.legendre.leggauss(points)
        work = sum(
            0.5 * share * float(np.sum(method.evaluate(start + 0.5 * (1.0 + x) * along).residual * along))
            for x, share in zip(at, shares, strict=True)
        )
    ledger.record(load=1.0, work_increment=work, step_defect=change - work, **changes)
    return ledger


def warnings_of(
    case: DefectCase,
    character: CrystalCharacter,
    plan: ZonePlan,
    model: CoupledModel,
    solution: HandshakeSolution | None,
    ledger: EnergyLedger | None,
) -> list[str]:
    """What a user should know before trusting the numbers."""
    found = []
    if case.method in ("bqce", "qce"):
        found.append(
            f"{case.method} is a control: it leaves ghost forces where atoms and elements meet. Use bgfc for results"
        )
    if case.method == "clamped":
        found.append("clamped atoms feel no elastic surroundings: this is the baseline, not a coupled answer")
    if case.material.type == "linear" and np.abs(plan.far_field - np.eye(3)).max() > 1e-3:
        found.append(
            "linear elements under a far strain differ from the atoms by its square: use material.type exact or expanded"
        )
    if 0.0 < plan.width < 2.0 * spacing(character.lattice):
        found.append(f"the blend is only {plan.width:.1f} Å wide: about as wide as the core is best")
    if plan.clear - plan.width < plan.width:
        found.append(
            f"the boundary is {plan.clear:.0f} Å from the core, blend included: fixed boundaries so near stiffen the answer. "
            "Enlarge the body; coarse elements cost little"
        )
    if character.potential.capabilities.precision == "float32":
        found.append(
            f"{character.potential.capabilities.name} computes in float32: its noise, about 1e-6 eV/Å in forces, bounds the "
            "tolerance"
        )
    if solution is not None and hasattr(character.material, "strain_over_range"):
        strained = character.material.strain_over_range(model.body.gradients(solution.u))
        weighted = model.partition.cell_weights[model.body.cell_of_point] > 0.0
        if strained[weighted].max(initial=0.0) > 1.0:
            found.append(
                f"elements are strained up to {strained[weighted].max():.1f} times the range of the fitted strain energy: "
                "enlarge the zone or material.largest_strain"
            )
    if ledger is not None and case.output.closure_points and ledger.step_closure() > CLOSURE_BOUND:
        found.append(_open_account(character, solution, ledger))
    return found


def _open_account(character: CrystalCharacter, solution: HandshakeSolution | None, ledger: EnergyLedger) -> str:
    """Why forces may miss part of the energy's change: the rounding of a huge body's energy, or a jump in the potential."""
    missed = f"forces along the way from start to end miss {ledger.step_closure():.1e} of the energy's change. "
    energy = 0.0 if solution is None else max(map(abs, solution.balance.terms.values()), default=0.0)
    if np.finfo(float).eps * energy > 0.1 * CLOSURE_BOUND * abs(float(ledger.total[-1])):
        return (
            missed
            + f"The body's energy, {energy:.1e} eV, is so large that its rounding hides the change: make it smaller"
        )
    return missed + (
        f"The usual cause is {character.potential.capabilities.name} itself: an energy that jumps as pairs cross its cutoff, "
        "which no force shows; where more output.closure_points change nothing, only another potential closes the account"
    )


def predict(case: DefectCase, *, comm: MPI.Comm = MPI.COMM_WORLD) -> tuple[list[tuple[str, str]], list[str]]:
    """What to expect of a case before it runs: rows of label and value, and warnings (collective).

    Computes the crystal, its continuum and the range of the potential, meshes the body and evaluates it once.
    """
    character = characterise_crystal(case, comm=comm, progress=Progress.silent())
    plan = plan_zone(case, character)
    refuse_too_many(case, character, plan)
    zone = embed_defect(case, character, plan, build_model(case, character, plan, comm), comm)
    model = zone.model
    method = make_method(case.method, model)
    began = time.perf_counter()
    begin = plan.start(model.body.nodes)
    method.evaluate(np.concatenate([begin] * (method.shape[0] // len(begin))))
    seconds = time.perf_counter() - began
    rows = files.prediction_rows(case, character, plan, model, seconds=seconds, calls=_USUAL_CALLS)
    return rows, [*warnings_of(case, character, plan, model, None, None), *zone.warnings]
