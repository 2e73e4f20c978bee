"""The adhesion study: relax the crystal, measure its elasticity, pull an interface apart, take the bulk's elasticity out of
the curve, build a specimen on the law that remains, follow it until it comes apart, and audit the energy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mpi4py import MPI

from atomistic.potentials import Potential
from continuum.beams import DoubleCantileverEstimate
from continuum.laws import CohesiveLaw
from continuum.output import FieldWriter, gather_fields
from continuum.solvers import ConvergenceError, Step
from coupling.ledger import EnergyLedger, Term
from coupling.live import LiveRecord
from multiscale.config import AdhesionCase, Block, DoubleCantileverBeam
from multiscale.progress import Progress
from multiscale.run import RunDirectory
from multiscale.studies import adhesion_files as files
from multiscale.studies import impurity_files
from multiscale.studies.adhesion_loading import first_tip, load_with_impurity, take_through
from multiscale.studies.adhesion_zone import AdhesionZoneResult, follow_zone, predict_zone
from multiscale.studies.bicrystal import second_warnings
from multiscale.studies.impurity import ImpurityStudy, study_impurity
from multiscale.studies.impurity_files import ImpurePath
from multiscale.studies.interface import InterfaceCharacter, characterise_interface
from multiscale.studies.launch import launch
from multiscale.studies.live import live_law, live_warnings
from multiscale.studies.specimen import MeshPlan, build_solid, estimate, largest_facet, make_law, plan_mesh
from multiscale.units import format_length

# The largest part of the load's work that may be missing from the account at the end of a run.
CLOSURE_BOUND = 1e-3


@dataclass(frozen=True, kw_only=True)
class AdhesionResult:
    """What a run leaves in memory; the rest is in its directory.

    Attributes:
        directory: of the run.
        interface: what the atoms said.
        plan: of the mesh.
        beam: beam theory's expectation, None for other specimens.
        steps: the path of the specimen.
        ledger: its energies.
        initial_tip: where the crack's tip was before loading (Å).
        warnings: what a reader of the results should know.
        live: what a live law has cost; None of any other.
        impurity: what an impurity, or quantum mechanics, does to the interface; None where the case has neither.
        impure_path: of the specimen with the impurity's law; None without one.
    """

    directory: Path
    interface: InterfaceCharacter
    plan: MeshPlan
    beam: DoubleCantileverEstimate | None
    steps: Sequence[Step]
    ledger: EnergyLedger
    initial_tip: float
    warnings: list[str]
    live: LiveRecord | None = None
    impurity: ImpurityStudy | None = None
    impure_path: ImpurePath | None = None

    @property
    def crack_advance(self) -> float:
        """How far the crack has grown (Å)."""
        return self.steps[-1].crack_tip - self.initial_tip

    @property
    def onset(self) -> Step | None:
        """The first step after which the crack has grown by a cohesive zone length; None where it never does."""
        return next((s for s in self.steps if s.crack_tip - self.initial_tip > self.plan.zone), None)


def run_adhesion(
    case: AdhesionCase,
    *,
    directory: str | Path,
    comm: MPI.Comm = MPI.COMM_WORLD,
    progress: Progress | None = None,
    force: bool = False,
) -> AdhesionResult | AdhesionZoneResult:
    """Run a case and write its directory (collective).

    Args:
        case: what to do.
        directory: where everything is written; must be new or empty unless `force`.
        comm: cells of atoms and the finite elements spread over its ranks.
        progress: shown on rank 0; silent if None.
        force: write into a directory that is not empty.

    Returns:
        The result, on every rank: of finite elements alone, or with a zone of atoms.

    Raises:
        ValueError: with its cause, for what the potential, the crystal, the zone or the files cannot do.
        ConvergenceError: the specimen has no equilibrium at a load; what was computed is written.
        HandshakeConvergenceError: the same with a zone of atoms.
        LearningStoppedError: the learning stopped or did not keep its contract; all is written, and `result` is the result.
    """
    return launch(case, _story(case), directory=directory, comm=comm, progress=progress, force=force)


def _story(case: AdhesionCase) -> Callable[..., AdhesionResult | AdhesionZoneResult]:
    """What runs this case: with a zone of atoms or without, its potential taught or as it is."""
    story: Callable[..., AdhesionResult | AdhesionZoneResult] = _follow_story if case.zone is None else follow_zone
    if case.learning is not None:
        from multiscale.studies.learning_adhesion import taught_adhesion

        story = taught_adhesion(story)
    return story


def _follow_story(
    case: AdhesionCase, run: RunDirectory, comm: MPI.Comm, progress: Progress, potential: Potential | None = None
) -> AdhesionResult:
    """The study itself, from the case's potential, or the one given, to the audit."""
    interface = characterise_interface(case, comm=comm, progress=progress, potential=potential)
    study = None
    if case.impurity is not None or case.embedding is not None:
        interface, study = study_impurity(case, interface, directory=run.path, comm=comm, progress=progress)
        impurity_files.write_impurity(run, study, comm)
    files.write_interface(run, interface, comm)

    with progress.phase("specimen"):
        upper = None if interface.second is None else interface.second.material
        plan = plan_mesh(case, interface.material, interface.extraction, upper=upper)
        if study is not None and study.impure is not None:
            # Both laws on one mesh: what differs is then theirs.
            plan = fit_both(plan, plan_mesh(case, interface.material, study.impure.extraction))
        beam = estimate(case, interface.material, interface.extraction, upper=upper)
        law: CohesiveLaw = make_law(case, interface.extraction)
        if case.law.type == "live":
            law = live_law(case, interface, comm=comm, run=run)
        solid = build_solid(case, interface.material, law, plan, comm, upper=upper)
        if plan.path is None:
            # Nobody knows the crack's path here: what counts is the coarsest facet that it may meet.
            plan = replace(plan, facet=largest_facet(solid))
        initial_tip = first_tip(solid)
        run.event("specimen_built", unknowns=solid.n_dofs, facet_angstrom=plan.facet)

    keeper = run.keeper("loading")
    kept = keeper.kept()
    steps: list[Step] = []
    ledger = open_ledger(case)
    # Where every rank holds the whole specimen, one of them writes it.
    writes = solid.comm.size > 1 or comm.rank == 0
    written = 0 if kept is None else kept["written"]
    writer = FieldWriter(run.path / "fields", solid, written=written) if writes else None

    def on_step(step: Step) -> None:
        enter(ledger, step)
        run.event("step", **files.step_event(step))
        every = case.output.fields_every
        if writer and (step.load == case.loading.opening.to or (every and len(steps) % every == 0)):
            writer.write(step.load)

    def keep(state: Callable[[], dict[str, Any]]) -> None:
        keeper.commit(lambda: {"path": state(), "written": writer.written if writer else 0})

    if kept is not None:
        steps += kept["path"]["steps"]
        for step in steps:
            enter(ledger, step)
    try:
        state = None if kept is None else kept["path"]
        live = take_through(case, solid, steps, on_step, progress, phase="loading", state=state, keep=keep)
        keeper.done()
    except ConvergenceError as error:
        if writer:
            writer.write(solid.load)
        run.event("no_convergence", load_angstrom=error.load, residual=error.residual)
        files.write_path(run, case, steps, ledger, beam)
        raise
    other = None if study is None else load_with_impurity(case, interface, study, plan, run, comm, progress)

    with progress.phase("results"):
        result = AdhesionResult(
            directory=run.path,
            interface=interface,
            plan=plan,
            beam=beam,
            steps=steps,
            ledger=ledger,
            initial_tip=initial_tip,
            live=live,
            impurity=study,
            impure_path=other,
            warnings=[
                *warnings_of(case, interface, plan, beam),
                *warnings_after(case, ledger, plan),
                *live_warnings(live),
                *impurity_files.impurity_warnings(study, other),
            ],
        )
        files.write_path(run, case, steps, ledger, beam)
        impurity_files.write_impure_path(run, case, other)
        files.write_results(run, case, result, solid)
        run.write_fields(gather_fields(solid))
    return result


def fit_both(plan: MeshPlan, other: MeshPlan) -> MeshPlan:
    """A plan whose facets are short enough, and whose path is long enough, for two laws; the zone stays the first one's."""
    path = None
    if plan.path is not None and other.path is not None:
        path = (min(plan.path[0], other.path[0]), max(plan.path[1], other.path[1]))
    return replace(plan, facet=min(plan.facet, other.facet), path=path)


def open_ledger(case: AdhesionCase) -> EnergyLedger:
    """The terms of this study's energy and where each is counted."""
    return EnergyLedger(
        [
            Term(
                name="bulk elastic",
                domain="both bodies, up to the interface",
                note="½∫ε:C:ε with the potential's own tensor; holds the elasticity that was taken out of the law",
            ),
            Term(name="interface stored", domain="interface", note="recoverable part of ψ; bulk elasticity taken out"),
            Term(name="dissipated", domain="interface", note="from the history of every quadrature point"),
            Term(name="contact", domain="interface", note="penalty energy where the faces press together"),
        ]
    )


def enter(ledger: EnergyLedger, step: Step) -> None:
    """Enter a step of the specimen into the ledger."""
    ledger.record(
        load=step.load,
        work_increment=step.work,
        step_defect=step.closure,
        bulk_elastic=step.energies.bulk,
        interface_stored=step.energies.interface_stored,
        dissipated=step.energies.dissipated,
        contact=step.energies.contact,
    )


def warnings_of(
    case: AdhesionCase, interface: InterfaceCharacter, plan: MeshPlan, beam: DoubleCantileverEstimate | None
) -> list[str]:
    """What a user should know before trusting the numbers."""
    found = second_warnings(interface)
    opening = case.loading.opening.to
    if beam is not None:
        onset, _ = beam.onset()
        rotation = 0.75 * opening / beam.crack_length(opening)
        if opening < onset:
            found.append(
                f"the opening ends at {opening / 10:.4g} nm, before the expected onset at {onset / 10:.4g} nm: raise "
                f"loading.opening.to, to about {1.5 * onset / 10:.0f} nm"
            )
        if rotation > 0.1:
            found.append(
                f"the arms' ends turn by about {rotation:.2f} rad: beyond 0.1 rad small strains miss a percent and more"
            )
        if isinstance(case.specimen, DoubleCantileverBeam) and beam.crack_length(opening) > 0.9 * case.specimen.length:
            found.append("the crack is expected to run to the clamped end: lengthen the specimen")
    extraction = interface.extraction
    # A softening joint in series with height H of elastic matter (Hillerborg 1976).
    critical = 2 * interface.material.uniaxial_modulus * extraction.work / extraction.peak_traction**2
    if isinstance(case.specimen, Block) and case.solver.snap_back == "stop" and case.specimen.height > critical:
        found.append(
            f"a block higher than 2C′W/σ² = {format_length(critical)} holds more energy than its interface spends and comes "
            "apart at once. Write solver: {snap_back: follow} to see the path"
        )
    if abs(extraction.envelope_defect) > 0.01:
        found.append(
            f"the cap and the envelope cut {extraction.envelope_defect:.1%} of the work of separation off the curve, returned "
            f"by stretching the opening: the interface is stiffer than a plane of its crystal up to {extraction.capped_to:.2f} Å"
        )
    if extraction.fit.energy_misfit > 0.01:
        found.append(
            f"the smooth curve misses the energies of the separation by up to {extraction.fit.energy_misfit:.1%} of the work of "
            "separation: give more openings, or look for jumps in separation.csv"
        )
    gap = extraction.fit.energy_force_gap
    if gap is not None and abs(gap) > 0.01:
        found.append(f"energies and tractions of the separation disagree by {gap:.1%} of the work of separation")
    if interface.potential.capabilities.precision == "float32":
        found.append(
            f"{interface.potential.capabilities.name} computes in float32: its noise, about 1e-7 eV/Å in forces, limits elastic "
            "constants to a few 0.01 GPa; foundation models miss surface energies by several percent themselves"
        )
    # A law that single points have corrected ends with relaxed surfaces already.
    if interface.work_relaxed is not None and interface.work_relaxed > 0 and case.embedding is None:
        excess = extraction.work / interface.work_relaxed - 1
        if interface.curve.mode == "rigid" and excess > 0.05:
            found.append(
                f"surface relaxation lowers the work of separation by {excess:.0%}: consider decohesion.mode: relaxed"
            )
    return found


def warnings_after(case: AdhesionCase, ledger: EnergyLedger, plan: MeshPlan) -> list[str]:
    """What the run itself showed."""
    found = []
    if ledger.run_closure() > CLOSURE_BOUND:
        found.append(
            f"the energies do not close: {ledger.run_closure():.1%} of the load's work is neither stored nor dissipated. "
            "Either the interface broke in an unstable jump (solver.snap_back: follow goes through it), "
            "or the load steps are too long"
        )
    # A block opened as a whole has no crack to trap.
    if plan.facet > plan.zone / 3.9 and not isinstance(case.specimen, Block):
        found.append(
            f"facets of {format_length(plan.facet)} are fewer than four to a cohesive zone of {format_length(plan.zone)}: "
            "the crack is trapped between them. Refine the interface"
        )
    return found


def predict(case: AdhesionCase, *, comm: MPI.Comm = MPI.COMM_WORLD) -> tuple[list[tuple[str, str]], list[str]]:
    """What to expect of a case before any step of it runs: rows of label and value, and warnings (collective).

    Computes the crystal and its separation curve with the case's potential, but no specimen.
    """
    quick = case.model_copy(
        update={
            "verification": case.verification.model_copy(update={"stacks": ()}),
            "decohesion": case.decohesion.model_copy(update={"relax": False}),
        }
    )
    interface = characterise_interface(quick, comm=comm, progress=Progress.silent())
    if case.zone is not None:
        rows, warnings = predict_zone(case, interface, comm)
        plan, beam = plan_mesh(case, interface.material, interface.extraction), None
        return [*files.prediction_rows(case, interface, plan, beam), *rows], warnings
    upper = None if interface.second is None else interface.second.material
    # A law that the curve does not allow is found here, not after the run has begun.
    make_law(case, interface.extraction)
    plan = plan_mesh(case, interface.material, interface.extraction, upper=upper)
    beam = estimate(case, interface.material, interface.extraction, upper=upper)
    warnings = warnings_of(case, interface, plan, beam)
    if case.impurity is not None or case.embedding is not None:
        warnings.append(
            "this is expected of the clean interface by the potential alone: neither the impurity nor quantum mechanics is in it"
        )
    return files.prediction_rows(case, interface, plan, beam), warnings
