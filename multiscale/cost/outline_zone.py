"""Costs of the studies with a zone of atoms in a body: a defect, a crack."""

from __future__ import annotations

from typing import Any

import numpy as np
from mpi4py import MPI

from coupling.crack.method import CrackForces
from coupling.handshake import make_method
from coupling.handshake.clamped import Clamped
from multiscale.config import DefectCase, DipoleModel, FollowModel, FractureCase
from multiscale.cost.survey import TINY, Call, Survey, pieces_of
from multiscale.studies.all_atoms import all_atoms_model, count_atoms, refuse_too_many
from multiscale.studies.coupled_zone import (
    CrystalCharacter,
    ZonePlan,
    build_model,
    characterise_crystal,
    plan_zone,
)
from multiscale.studies.crack_references import find_references
from multiscale.studies.crack_system import build_crack, characterise_crack, plan_crack
from multiscale.studies.embedded_cases import embed_crack, embed_defect

#: Evaluations of an account beside those of its quadrature.
_ENDS = 1
#: Displacements of an atom.
_COMPONENTS = 3
#: Seconds that a call of all atoms may take to be made.
_PATIENCE = 4.0


def outline_defect(case: DefectCase, survey: Survey, comm: MPI.Comm) -> None:
    """Everything up to the equilibrium is made; its calls follow from recorded runs."""
    character = characterise_crystal(case, comm=comm, progress=survey.progress)
    with survey.progress.phase("zone and body"):
        plan = plan_zone(case, character)
        refuse_too_many(case, character, plan)
        zone = embed_defect(case, character, plan, build_model(case, character, plan, comm), comm)
        model = zone.model
    survey.take_over("potential", "crystal", "continuum", "range of the potential", "zone and body")
    method = make_method(case.method, model)
    begin = plan.start(model.body.nodes)
    start = np.concatenate([begin] * (method.shape[0] // len(begin)))
    call = survey.call(lambda k: method.evaluate(start + k * TINY))
    survey.unknowns = int(np.prod(method.shape))
    survey.sizes |= {
        "atoms of a call in the zone": f"{call.atoms:.0f}",
        "unknowns of the coupled body": f"{survey.unknowns:,}",
    }
    # Dislocations glide for long before they rest.
    what = "dislocations" if isinstance(case.defect, DipoleModel) else "others"
    pieces = pieces_of(character.potential)
    calls: dict[str, Any] = {"atoms": call.atoms, "seconds": call.seconds, "pieces": pieces}
    survey.add("equilibrium", "calls", f"defect.{what}.calls", most=case.solver.max_calls, **calls)
    survey.add("equilibrium", "rest", "defect.rest", driver=survey.unknowns)
    if method.conservative:
        survey.add("energy", "calls", "defect.energy.calls", driver=case.output.closure_points + _ENDS, **calls)
        survey.add("energy", "rest", "defect.rest", driver=survey.unknowns)
    if case.compare.all_atoms:
        _all_atoms(case, character, plan, call, what, survey, comm)
    if case.embedding is not None:
        survey.missing.append("states that the quantum engine evaluates apart")


def _all_atoms(
    case: DefectCase, character: CrystalCharacter, plan: ZonePlan, call: Call, what: str, survey: Survey, comm: MPI.Comm
) -> None:
    """The comparison: one call of all atoms is made where it is quick, since large structures leave the processor's caches."""
    count = count_atoms(character, plan)
    seconds = call.seconds * count / max(call.atoms, 1.0)
    if seconds < _PATIENCE:
        with survey.own("all atoms"):
            whole = all_atoms_model(case, character, plan, comm)
        method = Clamped(whole)
        survey.kind = "defect"
        found = survey.call(lambda k: method.evaluate(np.full(method.shape, k * TINY)), least=0.0)
        count, seconds, survey.unknowns = round(found.atoms), found.seconds, int(np.prod(method.shape))
    else:
        survey.kind, survey.unknowns = "defect.all atoms", _COMPONENTS * count
    survey.sizes["atoms of the comparison"] = f"{count:,}"
    calls = {"atoms": count, "seconds": seconds, "pieces": pieces_of(character.potential)}
    survey.add("all atoms", "calls", f"defect.all atoms.{what}.calls", **calls)
    survey.add("all atoms", "rest", "defect.rest", driver=survey.unknowns)


def outline_fracture(case: FractureCase, survey: Survey, comm: MPI.Comm) -> None:
    """Everything up to the first state is made; the calls of the path follow from recorded runs."""
    character = characterise_crack(case, comm=comm, progress=survey.progress)
    find_references(case, character, comm=comm, progress=survey.progress)
    survey.take_over("potential", "crystal", "continuum", "created surfaces", "range of the potential")
    with survey.own("body"):
        plan = plan_crack(case, character)
        model = build_crack(character, plan, comm)
        zone = embed_crack(case, character, plan, model, comm, center=plan.center, tip=0.0)
    method = CrackForces(zone.model)
    call = survey.call(lambda k: method.evaluate(np.full(method.shape, k * TINY)))
    survey.unknowns = int(np.prod(method.shape))
    survey.sizes |= {
        "atoms of a call in the zone": f"{call.atoms:.0f}",
        "unknowns of the coupled body": f"{survey.unknowns:,}",
    }
    follow = isinstance(case.load, FollowModel)
    survey.kind = f"fracture.{'follow' if follow else 'steps'}"
    kind, loads = ("follow", case.load.advance) if isinstance(case.load, FollowModel) else ("steps", len(case.levels))
    survey.sizes["periods to follow" if follow else "loads"] = str(loads)
    most = 0.0 if follow else float(case.solver.max_calls * loads)
    pieces = pieces_of(character.potential)
    calls: dict[str, Any] = {"atoms": call.atoms, "seconds": call.seconds, "most": most, "pieces": pieces}
    # Second derivatives by differences are calls, exact ones are none.
    way = "exact" if hasattr(zone.model.atoms, "hessian") else "falling"
    if way == "falling" and (follow or case.solver.type == "newton"):
        way = "differences"
    survey.add("path", "calls", f"fracture.{kind}.{way}.calls", driver=loads, **calls)
    survey.add("path", "beside", f"fracture.{kind}.rest", driver=loads * survey.unknowns)
    if case.embedding is not None:
        survey.missing.append("states that the quantum engine evaluates apart")
