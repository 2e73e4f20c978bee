"""From a case's specimen to bodies, supports and a solid, meshed for the law that its interface carries."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from continuum.beams import DoubleCantileverEstimate, cohesive_zone_length
from continuum.laws import BilinearLaw, CohesiveLaw, ExponentialLaw, TrapezoidalLaw, UberLaw
from continuum.materials import LinearElastic
from continuum.mesh import BodyMesh, block, double_cantilever_beam, read_mesh
from continuum.solid import Solid
from continuum.supports import Displacement
from coupling.cohesive import CohesiveExtraction
from multiscale.config import AdhesionCase, Block, DoubleCantileverBeam, ImportedSpecimen

# How far beam theory's crack may run past its estimate before it leaves the finely meshed path.
PATH_MARGIN = 1.35
# Length of the trapezoidal law's plateau, in units of G_c/σ: the law of Tvergaard and Hutchinson (1992) has 0.35 of its final
# opening there.
PLATEAU = 0.5
# Unknowns up to which every rank holds the whole specimen. Two ranks took 1.3 times as long as one over the main job's 89,000,
# and a crack between two neighbouring places of equal standing went either way with the rounding that a partition brings.
DISTRIBUTED_ABOVE = 250_000


@dataclass(frozen=True, kw_only=True)
class MeshPlan:
    """What the law asks of the mesh.

    Attributes:
        zone: cohesive zone length E*G_c/σ² (Å).
        facet: size of the facets along the expected path (Å).
        path: from where to where along the interface they lie (Å), None where all of it is meshed alike.
    """

    zone: float
    facet: float
    path: tuple[float, float] | None


def make_law(case: AdhesionCase, extraction: CohesiveExtraction) -> CohesiveLaw:
    """The law that the interface carries: the table, or an analytic law with its work of separation and peak.

    A live law is `multiscale.studies.live`'s; the table stands in for it where meshes are planned.
    """
    unloading = case.law.unloading
    match case.law.type:
        case "tabulated" | "live":
            return extraction.law(unloading=unloading)
        case "uber":
            return UberLaw(
                work=extraction.work,
                length=extraction.work / (2.718281828459045 * extraction.peak_traction),
                unloading=unloading,
                penalty=extraction.penalty,
            )
        case "bilinear":
            return BilinearLaw(
                fracture_energy=extraction.work,
                peak_traction=extraction.peak_traction,
                initial_stiffness=min(extraction.stiffness_cap, 10 * extraction.modulus / extraction.length),
                unloading=unloading,
                penalty=extraction.penalty,
            )
        case "trapezoidal":
            return TrapezoidalLaw(
                fracture_energy=extraction.work,
                peak_traction=extraction.peak_traction,
                initial_stiffness=min(extraction.stiffness_cap, 10 * extraction.modulus / extraction.length),
                plateau=PLATEAU * extraction.work / extraction.peak_traction,
                unloading=unloading,
                penalty=extraction.penalty,
            )
        case "exponential":
            return ExponentialLaw(
                fracture_energy=extraction.work,
                peak_traction=extraction.peak_traction,
                unloading=unloading,
                penalty=extraction.penalty,
            )


def estimate(
    case: AdhesionCase, material: LinearElastic, extraction: CohesiveExtraction, *, upper: LinearElastic | None = None
) -> DoubleCantileverEstimate | None:
    """Beam theory's expectation, for the specimens that have one.

    Arms of two materials: with equal and opposite loads P, Δ = (Pa³/3)(1/B₁ + 1/B₂) and G = (P²a²/2)(1/B₁ + 1/B₂), those of equal
    arms with the harmonic mean of the bending stiffnesses B; its like is taken of the moduli in the correction of the roots.
    """
    if not isinstance(case.specimen, DoubleCantileverBeam):
        return None
    arms = [arm.plane_strain_compliance for arm in (material, upper or material)]
    modulus, transverse, shear = 2.0 / np.sum([np.diag(compliance) for compliance in arms], axis=0)
    return DoubleCantileverEstimate(
        modulus=float(modulus),
        transverse_modulus=float(transverse),
        shear_modulus=float(shear),
        fracture_energy=extraction.work,
        arm_height=case.specimen.arm_height,
        initial_crack=case.specimen.initial_crack,
    )


def plan_mesh(
    case: AdhesionCase, material: LinearElastic, extraction: CohesiveExtraction, *, upper: LinearElastic | None = None
) -> MeshPlan:
    """Facets short enough for the cohesive zone, along the path that beam theory expects.

    Between two materials the modulus is the harmonic mean (Hutchinson and Suo 1992).
    """
    modulus = 2.0 / (1.0 / material.crack_modulus + 1.0 / (upper or material).crack_modulus)
    zone = cohesive_zone_length(
        modulus=modulus, fracture_energy=extraction.work, peak_traction=extraction.peak_traction
    )
    facet = zone / case.mesh.elements_in_zone
    beam, specimen = estimate(case, material, extraction, upper=upper), case.specimen
    if beam is None or not isinstance(specimen, DoubleCantileverBeam):
        return MeshPlan(zone=zone, facet=facet, path=None)
    advance = beam.crack_length(case.loading.opening.to) - specimen.initial_crack
    end = specimen.initial_crack + PATH_MARGIN * advance + 20 * zone
    start = max(specimen.initial_crack - 4 * zone, 0.0)
    return MeshPlan(zone=zone, facet=facet, path=(start, min(end, specimen.length)))


def build_bodies(case: AdhesionCase, plan: MeshPlan, comm: MPI.Comm) -> tuple[BodyMesh, list[Displacement]]:
    """Mesh and supports of the case's specimen."""
    specimen = case.specimen
    match specimen:
        case DoubleCantileverBeam():
            assert plan.path is not None  # planned for this shape
            bodies = double_cantilever_beam(
                comm,
                length=specimen.length,
                arm_height=specimen.arm_height,
                initial_crack=specimen.initial_crack,
                fine_size=plan.facet,
                fine_from=plan.path[0],
                fine_to=plan.path[1],
                growth=case.mesh.growth,
                cell=case.mesh.cell,
            )
            # The grips leave the end faces free to turn; the far end is clamped, far enough away not to be felt.
            supports = [
                Displacement(group="upper grip", component="y", factor=0.5),
                Displacement(group="lower grip", component="y", factor=-0.5),
                Displacement(group="right", component="x", factor=0.0),
            ]
            if case.interface.second is None:
                # Arms of two materials are left to float, so that both grips carry the same load.
                supports.append(Displacement(group="right", component="y", factor=0.0))
        case Block():
            solid = case.mesh.cell in ("tetrahedron", "hexahedron")
            size = [specimen.width, specimen.height] + ([specimen.thickness] if solid else [])
            bodies = block(comm, size=size, divisions=[4, 4] + ([2] if solid else []), cell=case.mesh.cell)
            # Uniaxial strain: every face slides along itself.
            supports = [
                Displacement(group="bottom", component="y", factor=0.0),
                Displacement(group="top", component="y", factor=1.0),
                Displacement(group="left", component="x", factor=0.0),
                Displacement(group="right", component="x", factor=0.0),
            ]
            if solid:
                supports += [
                    Displacement(group="back", component="z", factor=0.0),
                    Displacement(group="front", component="z", factor=0.0),
                ]
        case ImportedSpecimen():
            bodies = read_mesh(
                specimen.file,
                comm,
                bodies=specimen.bodies,
                length_unit=specimen.length_unit,
                cracked=None if specimen.initial_crack is None else partial(_left_of, specimen.initial_crack),
            )
            supports = [Displacement(group=s.group, component=s.component, factor=s.factor) for s in specimen.supports]
    return bodies, supports


def _left_of(crack: float, midpoints: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Facets of the initial crack: those with x below its tip."""
    return midpoints[:, 0] < crack


def largest_facet(solid: Solid) -> float:
    """The longest facet ahead of the initial cracks (Å), where a mesh is coarse; of a surface, the root of its area."""
    sizes = []
    for part in solid.interfaces.parts:
        measure = part.weights.sum(axis=1) / (solid.thickness if solid.dim == 2 else 1.0)
        sizes.extend((measure ** (1.0 / (solid.dim - 1)))[~part.cracked])
    return float(max(sizes, default=0.0))


def build_solid(
    case: AdhesionCase,
    material: LinearElastic,
    law: CohesiveLaw,
    plan: MeshPlan,
    comm: MPI.Comm,
    *,
    upper: LinearElastic | None = None,
) -> Solid:
    """The case's specimen, ready to be loaded: its crystal in every body, or two of them, and the law on every interface.

    A small specimen is built whole on every rank (its communicator is then of size 1), a large one is distributed.
    """
    solid = _solid_on(MPI.COMM_SELF, case, material, law, plan, upper)
    if comm.size == 1 or solid.n_dofs <= DISTRIBUTED_ABOVE:
        return solid
    return _solid_on(comm, case, material, law, plan, upper)


def _solid_on(
    comm: MPI.Comm,
    case: AdhesionCase,
    material: LinearElastic,
    law: CohesiveLaw,
    plan: MeshPlan,
    upper: LinearElastic | None,
) -> Solid:
    bodies, supports = build_bodies(case, plan, comm)
    materials = dict.fromkeys(bodies.bodies, material)
    if upper is not None and case.interface.second is not None:
        materials.update(dict.fromkeys(case.interface.second.bodies or ("upper",), upper))
    return Solid(
        bodies,
        materials=materials,
        interfaces=dict.fromkeys(bodies.interfaces, law),
        degree=case.mesh.degree,
        thickness=case.specimen.thickness,
        supports=supports,
    )
