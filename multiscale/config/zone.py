"""A zone of atoms in a patch of an interface whose rest carries the cohesive law."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from multiscale.config.base import KeyedError
from multiscale.config.handshake import GradingModel, HandshakeSolverModel, MaterialModel, ZoneModel
from multiscale.config.specimen import Block, DoubleCantileverBeam, ImportedSpecimen
from multiscale.units import Length, NonNegativeLength, format_length


class PatchSolverModel(HandshakeSolverModel):
    """How the equilibrium of each load is sought."""

    turns: Literal["monolithic"] = "monolithic"
    """method schwarz: both sides at once"""
    max_iterations: int = Field(default=60, ge=1)
    """of each search before its step is halved"""
    max_cutbacks: int = Field(default=3, ge=0)
    """how often a step may be halved before the state falls to another equilibrium"""


class PatchModel(ZoneModel):
    """What zones at an interface share: where they lie and how they are joined to the finite elements."""

    at: NonNegativeLength | None = Field(default=None, examples=["6 nm"])
    """middle of the core along the interface, from the left end; by default that of a block, or just ahead of the crack"""
    method: Literal["bqcf", "bgfc", "schwarz", "bqce"] = "bqcf"
    """how atoms and finite elements are joined"""
    material: MaterialModel = MaterialModel()
    """the continuum made from the potential"""
    grading: GradingModel = GradingModel()
    """how elements grow with the distance from the zone"""
    solver: PatchSolverModel = PatchSolverModel()
    """how the equilibrium of each load is sought"""

    @property
    def half_length(self) -> float:
        """Half the length of the core along the interface, Å."""
        raise NotImplementedError


class BoxPatch(PatchModel):
    """A rectangle, its middle on the interface."""

    shape: Literal["box"]
    size: tuple[Length, Length] = Field(examples=[["2 nm", "2 nm"]])
    """length along the interface and height of the core"""

    @property
    def half_length(self) -> float:
        """Half the first side."""
        return 0.5 * self.size[0]


class DiscPatch(PatchModel):
    """A disc, its middle on the interface."""

    shape: Literal["disc"]
    radius: Length = Field(examples=["1 nm"])
    """radius of the core"""

    @property
    def half_length(self) -> float:
        """The radius."""
        return self.radius


Patch = Annotated[BoxPatch | DiscPatch, Field(discriminator="shape")]


def check_patch(case: Any) -> None:
    """Refuse a zone in a case whose other keys leave no place for it.

    Args:
        case: an adhesion case with a zone.

    Raises:
        KeyedError: pointing at the key.
    """
    zone, specimen = case.zone, case.specimen
    if case.crystal.structure not in ("fcc", "bcc"):
        raise KeyedError(
            f"a zone of atoms needs a crystal with one atom in its primitive cell, fcc or bcc, not {case.crystal.structure}. "
            "Choose another crystal, or leave zone out",
            "crystal",
            "structure",
        )
    if isinstance(specimen, ImportedSpecimen):
        raise KeyedError(
            "a zone of atoms needs a mesh that is the crystal's own lattice around it, which an imported one is not. "
            "Choose shape: block or shape: double cantilever beam, or leave zone out",
            "specimen",
            "shape",
        )
    if case.decohesion.file is not None:
        raise KeyedError(
            "beside a zone of atoms the law must be that of their potential, or the two would not join. Leave file out",
            "decohesion",
            "file",
        )
    if case.mesh.cell != "triangle":
        raise KeyedError(
            f"around a zone of atoms cells are triangles of the lattice, not of type {case.mesh.cell}. Write cell: triangle",
            "mesh",
            "cell",
        )
    for section, key, instead in (
        ("mesh", "growth", "zone.grading says how cells grow"),
        (
            "specimen",
            "thickness",
            "the specimen is as thick as the crystal's period along the front; loads are per width",
        ),
    ):
        if key in getattr(case, section).model_fields_set:
            raise KeyedError(f"with a zone of atoms {key} means nothing: {instead}. Leave it out", section, key)
    if "solver" in case.model_fields_set:
        raise KeyedError("with a zone of atoms zone.solver counts. Move what you need there", "solver")
    if zone.blend == 0.0:
        raise KeyedError(
            f"the method {zone.method} needs a blend wider than nothing. Leave blend out, or give a width",
            "zone",
            "blend",
        )
    _check_place(zone, specimen)


def _check_place(zone: PatchModel, specimen: Block | DoubleCantileverBeam) -> None:
    """Refuse a core that reaches the specimen's ends or its crack, as far as it can be told without the potential."""
    beam = isinstance(specimen, DoubleCantileverBeam)
    start = specimen.initial_crack if isinstance(specimen, DoubleCantileverBeam) else 0.0
    end = specimen.length if isinstance(specimen, DoubleCantileverBeam) else specimen.width
    reach = zone.half_length + (zone.blend or 0.0) + (zone.pad or 0.0)
    where = f"{'the crack at' if beam else 'the end at'} {format_length(start)} and the end at {format_length(end)}"
    if 2 * reach >= end - start:
        raise KeyedError(
            f"the zone, blend and pad as far as given, is {format_length(2 * reach)} long and does not fit between {where}. "
            "Make it smaller or the specimen longer",
            "zone",
        )
    if zone.at is not None and not start < zone.at - reach < zone.at + reach < end:
        raise KeyedError(
            f"a zone about {format_length(zone.at)} that reaches {format_length(reach)} to either side, blend and pad as far as "
            f"given, does not lie between {where}. Move it or make it smaller",
            "zone",
            "at",
        )
