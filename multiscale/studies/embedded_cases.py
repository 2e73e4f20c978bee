"""The zones of the studies with what their cases embed in them: defects, patches of an interface, tips of cracks."""

from __future__ import annotations

from pathlib import Path

from mpi4py import MPI

from coupling.crack import CrackModel
from coupling.handshake import CoupledModel
from coupling.zones import Disc
from multiscale.config import AdhesionCase, DefectCase, FractureCase
from multiscale.run import RunDirectory
from multiscale.studies.coupled_zone import CrystalCharacter, ZonePlan, default_center
from multiscale.studies.crack_system import CrackCharacter, CrackPlan
from multiscale.studies.embedded_zone import EmbeddedZone, ZonePlace, embed_zone
from multiscale.studies.patch import PatchCharacter, PatchPlan, zone_of


def embed_defect(
    case: DefectCase,
    character: CrystalCharacter,
    plan: ZonePlan,
    model: CoupledModel,
    comm: MPI.Comm,
    run: RunDirectory | None = None,
) -> EmbeddedZone[CoupledModel]:
    """Put the case's quantum region and impurity into the zone, the impurity at the defect (collective)."""
    place = ZonePlace(
        depth=plan.zone.distance,
        center=default_center(case),
        tolerance=case.solver.tolerance,
        site_range=character.site_range,
    )
    return embed_zone(
        model, embedding=case.embedding, impurity=case.impurity, place=place, comm=comm, cache=quantum_cache(run)
    )


def embed_patch(
    case: AdhesionCase,
    character: PatchCharacter,
    plan: PatchPlan,
    model: CoupledModel,
    comm: MPI.Comm,
    run: RunDirectory | None = None,
) -> EmbeddedZone[CoupledModel]:
    """Put the case's quantum region and impurity into the patch, the impurity on the interface (collective)."""
    place = ZonePlace(
        depth=plan.zone.distance,
        center=(plan.at, 0.0),
        tolerance=zone_of(case).solver.tolerance,
        site_range=character.site_range,
    )
    return embed_zone(
        model, embedding=case.embedding, impurity=case.impurity, place=place, comm=comm, cache=quantum_cache(run)
    )


def embed_crack(
    case: FractureCase,
    character: CrackCharacter,
    plan: CrackPlan,
    model: CrackModel,
    comm: MPI.Comm,
    *,
    center: tuple[float, float],
    tip: float,
    cache: Path | None = None,
) -> EmbeddedZone[CrackModel]:
    """Put the case's quantum region and impurity about the tip at x = `tip` (Å), in a core about `center` (collective)."""
    place = ZonePlace(
        depth=Disc(center=center, radius=plan.radius).distance,
        center=(tip, 0.0),
        tolerance=case.solver.tolerance,
        site_range=0.5 * character.force_range,
        tip=tip,
    )
    return embed_zone(model, embedding=case.embedding, impurity=case.impurity, place=place, comm=comm, cache=cache)


def quantum_cache(run: RunDirectory | None) -> Path | None:
    """Where a run keeps its quantum calculations."""
    return None if run is None else run.path / "quantum"
