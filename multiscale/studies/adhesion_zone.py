"""The adhesion study with a zone of atoms: the same interface, the same law, but in a patch of it the atoms themselves.

Relax the crystal, pull the interface apart, take the crystal's own nonlinear elasticity out of the curve, make the continuum
of that crystal, put the patch of atoms between finite elements and law, see that nothing is counted twice, open the specimen
step by step, compare opening and traction of both sides along the interface, and account for the energy.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.potentials import Potential
from coupling.errors import HandshakeConvergenceError
from coupling.handshake import CoupledModel, make_method
from coupling.handshake.loading import LoadStep
from coupling.ledger import EnergyLedger
from multiscale.config import AdhesionCase
from multiscale.progress import Progress
from multiscale.run import RunDirectory
from multiscale.studies import adhesion_files, patch_files
from multiscale.studies.defect_files import write_interaction
from multiscale.studies.embedded_cases import embed_patch
from multiscale.studies.embedded_files import EmbeddedRecord
from multiscale.studies.interface import InterfaceCharacter, characterise_interface
from multiscale.studies.patch import (
    PatchCharacter,
    PatchPlan,
    audit_of,
    build_patch,
    characterise_patch,
    plan_patch,
    spacing_of,
    zone_of,
)
from multiscale.studies.patch_state import write_state
from multiscale.studies.zone_loading import Output, load_specimen
from multiscale.units import EV_PER_A3_IN_GPA, format_length

Array = NDArray[np.float64]
#: The largest part of the work that may be missing from the account of a method with an energy.
CLOSURE_BOUND = 1e-3
#: Ghost tractions above this share of the peak are told.
GHOST_BOUND = 0.01
#: Searches that a load step takes, about, in evaluations, to predict the cost.
_USUAL_CALLS = 12


@dataclass(kw_only=True)
class AdhesionZoneResult:
    """What a run leaves in memory; the rest is in its directory.

    Attributes:
        directory: of the run.
        interface: what the atoms said of interface and law.
        character: what the potential says of the crystal on both sides.
        plan: of zone and specimen.
        model: the coupled specimen.
        steps: the path, the unloaded state first.
        outputs: equilibria with profiles.
        ledger: energies as changes from the unloaded state; None where sites have none.
        calls: of the potential, for the zone alone.
        seconds: wall time of the loading, of which inside the potential.
        warnings: what a reader of the results should know.
        quantum: states by the quantum engine, where there is one.
    """

    directory: Path
    interface: InterfaceCharacter
    character: PatchCharacter
    plan: PatchPlan
    model: CoupledModel
    steps: list[LoadStep] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    ledger: EnergyLedger | None = None
    calls: int = 0
    seconds: tuple[float, float] = (0.0, 0.0)
    warnings: list[str] = field(default_factory=list)
    quantum: EmbeddedRecord = field(default_factory=lambda: EmbeddedRecord(embedding=None))

    @property
    def area(self) -> float:
        """Of the uncracked interface, Å²."""
        interface = self.model.body.interface
        assert interface is not None
        return float(self.model.whole_facets @ interface.lengths) * self.model.body.thickness

    def unseen_traction(self, case: AdhesionCase) -> float:
        """The traction that a force of the solver's tolerance makes on one site of a row, eV/Å³."""
        rows = self.outputs[-1].profile.x
        return zone_of(case).solver.tolerance / (float(np.diff(rows).min()) * self.model.body.thickness)

    @property
    def parted(self) -> LoadStep | None:
        """The last step, if the law has nothing left anywhere on an uncracked interface by then."""
        interface, last = self.model.body.interface, self.steps[-1]
        assert interface is not None
        counted = (self.model.partition.facet_weights > 0.5)[interface.facet_of_point]
        open_ = interface.openings(last.u)[counted, 0] >= interface.law.final_opening
        return last if open_.all() and not self.plan.crack else None

    @property
    def work_of_separation(self) -> float:
        """Change of all energies per area once the bodies are apart, eV/Å²; NaN before, and where sites have no energy."""
        last = self.parted
        if last is None or not last.energies:
            return float("nan")
        return (sum(last.energies.values()) - sum(self.steps[0].energies.values())) / self.area


def follow_zone(
    case: AdhesionCase, run: RunDirectory, comm: MPI.Comm, progress: Progress, potential: Potential | None = None
) -> AdhesionZoneResult:
    """The study itself, from the case's potential, or the one given, to the audit (collective)."""
    interface = characterise_interface(case, comm=comm, progress=progress, potential=potential)
    adhesion_files.write_interface(run, interface, comm)
    character = characterise_patch(case, interface, comm=comm, progress=progress)
    write_interaction(run, character.interaction)

    with progress.phase("zone and specimen"):
        plan = plan_patch(case, interface, character)
        zone = embed_patch(case, character, plan, build_patch(case, interface, character, plan, comm), comm, run)
        model = zone.model
    for line in audit_of(model, plan):
        progress.note(line)
    run.event("audit", lines=audit_of(model, plan), nodes=len(model.body.nodes))

    result = AdhesionZoneResult(directory=run.path, interface=interface, character=character, plan=plan, model=model)
    result.quantum = EmbeddedRecord(embedding=case.embedding)
    with progress.phase("loading", total=case.loading.opening.steps + 1) as phase:
        try:
            load_specimen(case, run, result, phase, zone)
        except HandshakeConvergenceError as error:
            run.event("no_convergence", error=str(error))
            patch_files.write_path(run, result)
            patch_files.write_profiles(run, result)
            write_state(run, result, error.solution.u, "last")
            raise

    result.quantum.conclude(run, progress)

    with progress.phase("results"):
        result.warnings = [
            *warnings_of(case, interface, character, plan),
            *zone.warnings,
            *warnings_after(case, result),
        ]
        patch_files.write_path(run, result)
        patch_files.write_profiles(run, result)
        patch_files.write_results(run, case, result)
    return result


def warnings_of(
    case: AdhesionCase, interface: InterfaceCharacter, character: PatchCharacter, plan: PatchPlan
) -> list[str]:
    """What a user should know before trusting the numbers."""
    found, zone = [], zone_of(case)
    capabilities, extraction = interface.potential.capabilities, interface.extraction
    if zone.method == "bqce":
        found.append(
            "bqce is a control: it leaves ghost forces where atoms and elements meet. Use bqcf or bgfc for results"
        )
    if interface.work_relaxed is not None and interface.work_relaxed > 0.0:
        excess = extraction.work / interface.work_relaxed - 1.0
        if abs(excess) > CLOSURE_BOUND:
            found.append(
                f"the law ({interface.curve.mode} separation) differs by {excess:+.2%} from the work of separation of atoms with "
                "relaxed surfaces, so that of the whole depends on how much of the interface is atoms"
            )
    if case.law.type != "tabulated":
        found.append(
            f"a law of type {case.law.type} is not that of the atoms beside it: tractions will differ in the handshake"
        )
    if plan.mesh.path is not None and plan.facet > plan.mesh.zone / 3.9:
        found.append(
            f"a cohesive zone of {format_length(plan.mesh.zone)} spans only {plan.mesh.zone / plan.facet:.1f} spacings of the "
            "lattice, the shortest facets there are: the crack is trapped between them"
        )
    if plan.width < 2.0 * spacing_of(character.lattice):
        found.append(f"the blend is only {plan.width:.1f} Å wide: about as wide as the core is best")
    left_out = character.interaction.cut_off_part(plan.pad)
    if zone.method in ("bqcf", "schwarz") and plan.pad < character.force_range:
        found.append(
            f"pads of {plan.pad:.1f} Å cut off {left_out:.1e} of the force constants; forces reach {character.force_range:.1f} Å "
            "at this tolerance"
        )
    if capabilities.precision == "float32":
        found.append(
            f"{capabilities.name} computes in float32: its noise, about 1e-6 eV/Å in forces, bounds the tolerance"
        )
        if zone.method == "bgfc":
            found.append(
                "weighted energies of message-passing potentials lose their stability before the peak: bgfc may stall there. "
                "Use bqcf near it"
            )
    return found


def warnings_after(case: AdhesionCase, result: AdhesionZoneResult) -> list[str]:
    """What the run itself showed."""
    found, peak = [], result.interface.extraction.peak_traction
    jumps = [step.load for step in result.steps if step.jumped]
    if jumps:
        found.append(
            f"the path broke off {'once' if len(jumps) == 1 else f'{len(jumps)} times'}, first before an opening of "
            f"{format_length(jumps[0])}: what the work exceeds the stored energy by there goes into motion, which statics "
            "does not follow"
        )
    smooth = [output for output in result.outputs if not output.step.jumped and output.over_range <= 1.0]
    ghosts = [output.ghost for output in smooth if np.isfinite(output.ghost)]
    if ghosts and max(ghosts) > GHOST_BOUND * peak + result.unseen_traction(case):
        found.append(
            f"ghost traction of {max(ghosts) * EV_PER_A3_IN_GPA:.2f} GPa, {max(ghosts) / peak:.1%} of the peak: widen the blend"
        )
    if zone_of(case).method == "bgfc" and result.ledger is not None and result.ledger.run_closure() > CLOSURE_BOUND:
        found.append(
            f"work and energies differ by {result.ledger.run_closure():.1e} of the work: take more load steps, or the "
            "potential's energy has jumps at its cutoff"
        )
    worst = max((output.over_range for output in result.outputs), default=0.0)
    if worst > 1.0:
        found.append(
            f"elements are strained up to {worst:.1f} times the range of the fitted strain energy: raise "
            "zone.material.largest_strain, or zone.material.order"
        )
    return found


def predict_zone(
    case: AdhesionCase, interface: InterfaceCharacter, comm: MPI.Comm
) -> tuple[Sequence[tuple[str, str]], list[str]]:
    """What to expect of a case before its specimen is loaded: rows of label and value, and warnings (collective).

    Meshes the specimen and evaluates it once.
    """
    character = characterise_patch(case, interface, comm=comm, progress=Progress.silent())
    plan = plan_patch(case, interface, character)
    zone = embed_patch(case, character, plan, build_patch(case, interface, character, plan, comm), comm)
    model = zone.model
    method = make_method(zone_of(case).method, model)
    began = time.perf_counter()
    method.evaluate(np.zeros(method.shape))
    seconds = time.perf_counter() - began
    calls = _USUAL_CALLS * (case.loading.opening.steps + 1)
    rows = patch_files.prediction_rows(character, plan, model, seconds=seconds, calls=calls)
    return rows, [*warnings_of(case, interface, character, plan), *zone.warnings]
