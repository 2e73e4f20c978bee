"""Costs of the studies that stand on an interface's law: adhesion, with a zone of atoms or without, and contact."""

from __future__ import annotations

import numpy as np
from mpi4py import MPI

from continuum.contact_bodies import build_contact
from coupling.handshake import make_method
from multiscale.config import AdhesionCase, ContactCase
from multiscale.cost.survey import TINY, Survey, pieces_of
from multiscale.studies.contact_system import describe_contact
from multiscale.studies.embedded_cases import embed_patch
from multiscale.studies.interface import STACK_OPENINGS, STACK_POINTS, InterfaceCharacter, characterise_interface
from multiscale.studies.patch import build_patch, characterise_patch, plan_patch, zone_of
from multiscale.studies.specimen import DISTRIBUTED_ABOVE, build_solid, make_law, plan_mesh

#: Unknowns whose solution costs as much as a step's own overhead; a usual number, and the power of it with which the number of
#: solutions in a step rises, as seen in the runs of benchmarks/cost_model.py.
_OVERHEAD, _USUAL_UNKNOWNS, _FINER = 1000, 50_000, 0.3


def solving(unknowns: int) -> float:
    """What a step of a load costs, up to a factor, by the unknowns of a body whose factor is kept.

    The more unknowns, the finer the mesh: more facets part in a step, each of which asks for solutions with the factor.
    """
    return _OVERHEAD + unknowns * (unknowns / _USUAL_UNKNOWNS) ** _FINER


def outline_adhesion(case: AdhesionCase, survey: Survey, comm: MPI.Comm) -> None:
    """Crystal, curve and mesh are made; surfaces, stacks and the loading follow from them."""
    quick = case.model_copy(
        update={
            "verification": case.verification.model_copy(update={"stacks": ()}),
            "decohesion": case.decohesion.model_copy(update={"relax": False}),
            "impurity": None,
            "embedding": None,
        }
    )
    interface = characterise_interface(quick, comm=comm, progress=survey.progress)
    _atoms(case, interface, survey)
    if case.zone is not None:
        _zone(case, interface, survey, comm)
        return
    with survey.progress.phase("specimen"):
        upper = None if interface.second is None else interface.second.material
        plan = plan_mesh(case, interface.material, interface.extraction, upper=upper)
        solid = build_solid(case, interface.material, make_law(case, interface.extraction), plan, comm, upper=upper)
    survey.take_over("specimen")
    survey.unknowns, steps = solid.n_dofs, case.loading.opening.steps
    survey.sizes |= {"unknowns of the finite elements": f"{solid.n_dofs:,}", "load steps": str(steps)}
    path = "traced" if case.solver.snap_back == "follow" else "followed"
    survey.add(
        "loading",
        "seconds",
        f"adhesion.{path}.{solid.dim}d",
        driver=steps * solving(solid.n_dofs),
        pieces=10**6 if solid.n_dofs > DISTRIBUTED_ABOVE else 1,
    )
    if case.law.type == "live":
        survey.missing.append("cells of the live law beyond the load's own cost")
    if case.impurity is not None or case.embedding is not None:
        survey.missing.append("the impurity's and the quantum engine's evaluations")


def _atoms(case: AdhesionCase, interface: InterfaceCharacter, survey: Survey) -> None:
    """Stages of the atoms: as measured, and relaxations of surfaces and stacks by calls of cells as large."""
    survey.take_over("potential", "crystal")
    survey.take_over("separation", "surfaces", pieces=case.decohesion.opening.points)
    atoms, seconds = _cell(survey)
    survey.sizes["atoms of the stack"] = f"{atoms:.0f}"
    if case.decohesion.file is not None or interface.second is not None:
        return
    if case.decohesion.relax:
        base = survey.spent("surfaces").atoms
        survey.add("surfaces", "calls", "adhesion.surfaces.calls", atoms=atoms, seconds=seconds, base=base)
    planes, stacks = case.decohesion.planes, case.verification.stacks
    if stacks and interface.curve.mode == "rigid":
        # A call for a stack costs as its planes do: all are counted as calls for the stack that is pulled apart.
        taken = len(STACK_OPENINGS) + STACK_POINTS * sum(stacks) / planes
        survey.add(
            "stack check",
            "calls",
            "adhesion.stack check.calls",
            driver=taken,
            atoms=atoms,
            seconds=seconds,
            pieces=STACK_POINTS,
        )


def _cell(survey: Survey) -> tuple[float, float]:
    """Atoms of the stack that is pulled apart, and the seconds of a call for it."""
    for phase in ("surfaces", "separation"):
        spent = survey.spent(phase)
        if spent.calls:
            return spent.atoms / spent.calls, spent.potential_seconds / spent.calls
    return 0.0, 0.0


def _zone(case: AdhesionCase, interface: InterfaceCharacter, survey: Survey, comm: MPI.Comm) -> None:
    """The handshake: one equilibrium's worth of calls at every load."""
    character = characterise_patch(case, interface, comm=comm, progress=survey.progress)
    with survey.progress.phase("zone and specimen"):
        plan = plan_patch(case, interface, character)
        zone = embed_patch(case, character, plan, build_patch(case, interface, character, plan, comm), comm)
    method = make_method(zone_of(case).method, zone.model)
    survey.take_over("continuum", "range of the potential", "zone and specimen")
    call = survey.call(lambda k: method.evaluate(np.full(method.shape, k * TINY)))
    survey.unknowns, loads = int(np.prod(method.shape)), case.loading.opening.steps + 1
    survey.sizes |= {
        "atoms of a call in the zone": f"{call.atoms:.0f}",
        "unknowns of the coupled body": f"{survey.unknowns:,}",
        "load steps": str(loads - 1),
    }
    survey.add(
        "loading",
        "calls",
        "adhesion.zone.calls",
        driver=loads,
        atoms=call.atoms,
        seconds=call.seconds,
        pieces=pieces_of(interface.potential),
    )
    survey.kind = "adhesion.zone"
    survey.add("loading", "rest", "adhesion.zone.rest", driver=survey.unknowns)


def outline_contact(case: ContactCase, survey: Survey, comm: MPI.Comm) -> None:
    """Interface and mesh are made; the path follows from its unknowns."""
    system = describe_contact(case, comm=comm, progress=survey.progress)
    survey.take_over("potential", "crystal", "separation", "surfaces")
    with survey.progress.phase("half space"):
        solid = build_contact(system.contact, system.law, system.material, system.plan, degree=case.mesh.degree)
    survey.take_over("half space")
    survey.unknowns = solid.n_dofs
    survey.sizes |= {"unknowns of the half space": f"{solid.n_dofs:,}", "path steps": str(case.path.steps)}
    survey.add(
        "contact",
        "seconds",
        f"contact.{case.indenter.shape}.{case.law.type}",
        driver=case.path.steps * solving(solid.n_dofs),
    )
