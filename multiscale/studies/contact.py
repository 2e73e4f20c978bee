"""The contact study: what the surfaces do to each other, by numbers or by atoms; an indenter pressed onto a half space and pulled
off again, through jumps into and out of contact; and what JKR, DMT and Maugis say of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mpi4py import MPI

from continuum.contact_bodies import build_contact
from continuum.contact_path import ContactPath, ContactRun, ContactState
from continuum.output import FieldWriter, gather_fields
from continuum.solvers import ConvergenceError
from multiscale.config import ContactCase
from multiscale.progress import Progress
from multiscale.run import RunDirectory
from multiscale.studies import adhesion_files
from multiscale.studies import contact_files as files
from multiscale.studies.contact_system import ContactSystem, describe_contact
from multiscale.studies.launch import launch
from multiscale.units import format_length

#: A zone with fewer facets than this traps the contact's edge.
_LEAST_FACETS = 4.0
#: Attraction in the first state over the pull-off force.
_EARLY = 0.1
#: Small strains: the contact radius over that of the indenter.
_STEEP = 0.3
#: Anisotropy in the surface that a sphere's axisymmetric elements may leave out without a word.
_ANISOTROPY = 0.02


@dataclass(frozen=True, kw_only=True)
class ContactResult:
    """What a run leaves in memory; the rest is in its directory.

    Attributes:
        directory: of the run.
        system: indenter, half space, law and mesh.
        path: equilibria on the way in and back.
        warnings: what a reader of the results should know.
    """

    directory: Path
    system: ContactSystem
    path: ContactPath
    warnings: list[str]

    @property
    def pull_off(self) -> float:
        """Pull-off force, eV/Å; of a cylinder per length, eV/Å²."""
        return -self.path.pull_off.load


def run_contact(
    case: ContactCase,
    *,
    directory: str | Path,
    comm: MPI.Comm = MPI.COMM_WORLD,
    progress: Progress | None = None,
    force: bool = False,
) -> ContactResult:
    """Run a case and write its directory (collective).

    Args:
        case: what to do.
        directory: where everything is written; must be new or empty unless `force`.
        comm: cells of atoms spread over its ranks; each holds the finite elements whole.
        progress: shown on rank 0; silent if None.
        force: write into a directory that is not empty.

    Returns:
        The result, on every rank.

    Raises:
        ValueError: with its cause, for what the potential, the crystal or the mesh cannot do.
        ConvergenceError: no equilibrium was found; what was computed is written.
    """
    return launch(
        case, _follow_story, directory=directory, comm=comm, progress=progress, force=force, reported=ConvergenceError
    )


def _follow_story(case: ContactCase, run: RunDirectory, comm: MPI.Comm, progress: Progress) -> ContactResult:
    """The study itself."""
    system = describe_contact(case, comm=comm, progress=progress)
    if system.interface is not None:
        adhesion_files.write_interface(run, system.interface, comm)
    files.write_law(run, system)
    files.write_theory(run, system)

    with progress.phase("half space"):
        solid = build_contact(system.contact, system.law, system.material, system.plan, degree=case.mesh.degree)
        run.event("half_space_built", unknowns=solid.n_dofs, facets=system.plan.facets)
    keeper = run.keeper("path")
    kept = keeper.kept()
    with progress.phase("contact", total=3 * case.path.steps) as phase:

        def on_state(state: ContactState) -> None:
            run.event("state", **files.state_event(system, state))
            phase.advance(1, files.state_text(system, state))

        walk = ContactRun(system.contact, solid, system.plan, steps=case.path.steps, on_state=on_state)
        if kept is not None:
            phase.advance(len(kept["states"]), files.state_text(system, kept["states"][-1]))
        try:
            path = walk.follow(state=kept, keep=keeper.commit)
        except ConvergenceError:
            files.write_states(run, system, walk.states)
            raise
        keeper.done()

    with progress.phase("results"):
        files.write_states(run, system, path.states)
        files.write_profiles(run, path)
        warnings = [*warnings_of(case, system), *warnings_after(system, path)]
        result = ContactResult(directory=run.path, system=system, path=path, warnings=warnings)
        files.write_results(run, case, result, solid.n_dofs)
        if "pull-off" in path.snapshots and comm.rank == 0:
            solid.restore(path.snapshots["pull-off"])
            FieldWriter(run.path / "fields", solid).write(path.pull_off.displacement)
            run.write_fields(gather_fields(solid), name="contact_fields.npz")
    return result


def warnings_of(case: ContactCase, system: ContactSystem) -> list[str]:
    """What a user should know before trusting the numbers."""
    found, plan, contact = [], system.plan, system.contact
    if plan.facet > plan.zone / _LEAST_FACETS:
        found.append(
            f"facets of {plan.facet:.3g} Å are fewer than {_LEAST_FACETS:.0f} to a zone of attraction of {plan.zone:.3g} Å: the "
            "contact's edge is trapped between them and the pull-off force comes out too large. Raise mesh.facets_in_zone"
        )
    if plan.largest > _STEEP * contact.radius:
        found.append(
            f"the contact grows to {plan.largest / contact.radius:.2f} of the indenter's radius: beyond {_STEEP} the parabola "
            "and small strains miss several percent"
        )
    if system.spread > _ANISOTROPY:
        found.append(
            f"the surface is not isotropic: under the sphere its stiffness is averaged over all turns about the normal, which "
            f"leaves out up to {system.spread:.0%} of the largest constant"
        )
    if case.law.type != "dugdale":
        found.append("Maugis's curve is that of Dugdale's law of the same work and strength, an estimate for this law")
    return found


def warnings_after(system: ContactSystem, path: ContactPath) -> list[str]:
    """What the run itself showed."""
    found = []
    # Dugdale's law may pull the surfaces into contact within the first step; that is a jump, not a late beginning.
    share = path.states[0].load / path.pull_off.load
    if share > _EARLY and path.states[0].radius == 0.0:
        found.append(
            f"the path begins where the surfaces attract each other already, by {share:.0%} of the pull-off force"
        )
    widest = max(state.radius for state in path.states)
    if widest > 1.1 * system.plan.largest:
        found.append(
            f"the surfaces jumped to a contact of {format_length(widest)}, beyond the {format_length(system.plan.largest)} for "
            "which the mesh is fine: states of wide contact are rough. Raise path.contact"
        )
    return found


def predict(case: ContactCase, *, comm: MPI.Comm = MPI.COMM_WORLD) -> tuple[list[tuple[str, str]], list[str]]:
    """What to expect of a case before it runs: rows of label and value, and warnings (collective)."""
    system = describe_contact(case, comm=comm, progress=Progress.silent())
    return files.prediction_rows(case, system), warnings_of(case, system)
