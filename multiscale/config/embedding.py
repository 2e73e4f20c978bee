"""A quantum region inside the atoms, as every study asks for it."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from multiscale.config.base import CaseModel, KeyedError
from multiscale.config.crystal import Element
from multiscale.units import Coordinate, Force, Length, NonNegativeLength, format_length

ENGINE_FORMS = (
    "Write a name such as gpaw, tblite, pyscf or sevennet-l3i5, {engine: gpaw, settings: {...}} or "
    '{calculator: "module:Class", arguments: {...}}'
)
ENGINE_HEADS = ("engine", "name", "calculator", "path")


def check_engine(value: Any) -> Any:
    """Check the form of an engine's specification; whether it exists is for ``atomistic.oracle`` to say.

    Raises:
        ValueError: if it is neither a name nor a mapping with one of engine, name, calculator or path.
    """
    if isinstance(value, str) and value.strip():
        return value.strip()
    if not isinstance(value, dict) or not value:
        raise ValueError(f"expected a quantum engine, got {value!r}. {ENGINE_FORMS}")
    heads = [key for key in ENGINE_HEADS if key in value]
    if len(heads) != 1:
        given = " and ".join(heads) if heads else ", ".join(map(str, value))
        raise ValueError(
            f"an engine needs exactly one of engine, name, calculator and path, got {given}. {ENGINE_FORMS}"
        )
    head = heads[0]
    if not isinstance(value[head], str) or not value[head].strip():
        raise ValueError(f"{head} must be text, got {value[head]!r}. {ENGINE_FORMS}")
    if head == "calculator" and ":" not in value[head]:
        raise ValueError(
            f'calculator {value[head]!r} names no class. Write "module:Class", for example "ase.calculators.emt:EMT"'
        )
    if head == "path" and not os.path.isfile(value[head]):
        raise ValueError(f"model file {value[head]} does not exist. Write its path relative to the case file")
    if "settings" in value and not isinstance(value["settings"], dict):
        raise KeyedError(f"expected a mapping of settings, got {value['settings']!r}. Write keys below it", "settings")
    return value


def one_or_several(value: Any) -> Any:
    """One item where several may stand.

    Raises:
        ValueError: for none at all.
    """
    if isinstance(value, list | tuple) and not value:
        raise ValueError("the list is empty. Write one item at least")
    return [value] if isinstance(value, str | dict | int) and not isinstance(value, bool) else value


def none_by_name(value: Any) -> Any:
    """The word none for nothing."""
    return None if value == "none" else value


def along_axes(value: Any) -> Any:
    """Three edges of an upright box as three vectors."""
    if (
        isinstance(value, list | tuple)
        and len(value) == 3
        and not any(isinstance(item, list | tuple) for item in value)
    ):
        return [[item if row == column else "0 nm" for column in range(3)] for row, item in enumerate(value)]
    return value


Vector = tuple[Coordinate, Coordinate, Coordinate]
Engine = Annotated[str | dict[str, Any], BeforeValidator(check_engine)]


class CoordinationModel(CaseModel):
    """Atoms told by the number of their neighbours."""

    fewer_than: int | None = Field(default=None, ge=1, examples=[12])
    """neighbours that an atom of the core lacks at least one of"""
    more_than: int | None = Field(default=None, ge=0, examples=[12])
    """instead of it: neighbours that an atom of the core exceeds"""
    within: Length | None = Field(default=None, examples=["3.4 angstrom"])
    """distance up to which an atom is a neighbour; by default 1.25 times the sum of the covalent radii"""
    leave: int | None = Field(default=None, ge=0, examples=[13])
    """count that replaces fewer_than or more_than for atoms that are in the core already"""

    @model_validator(mode="after")
    def _consistent(self) -> CoordinationModel:
        if (self.fewer_than is None) == (self.more_than is None):
            given = "both" if self.fewer_than is not None else "neither"
            raise ValueError(f"{given} of fewer_than and more_than given. Write one, for example fewer_than: 12")
        if self.leave is None:
            return self
        if self.fewer_than is not None and self.leave < self.fewer_than:
            raise KeyedError(
                f"leave ({self.leave}) must not be less than fewer_than ({self.fewer_than}), or atoms would flicker. "
                "Enlarge it, or leave it out",
                "leave",
            )
        if self.more_than is not None and self.leave > self.more_than:
            raise KeyedError(
                f"leave ({self.leave}) must not exceed more_than ({self.more_than}), or atoms would flicker. Lower it, or "
                "leave it out",
                "leave",
            )
        return self


class ScoreModel(CaseModel):
    """Atoms told by a number that each of them carries, such as the disagreement of a committee."""

    array: str = Field(min_length=1, examples=["uncertainty"])
    """name of the per-atom array that holds the score"""
    above: float = Field(allow_inf_nan=False, examples=[0.1])
    """score from which on an atom joins the core"""
    leave: float | None = Field(default=None, allow_inf_nan=False, examples=[0.07])
    """score below which it leaves again; by default the same"""

    @model_validator(mode="after")
    def _consistent(self) -> ScoreModel:
        if self.leave is not None and self.leave > self.above:
            raise KeyedError(
                f"leave ({self.leave:g}) must not exceed above ({self.above:g}), or atoms would flicker. Lower it, or leave it "
                "out",
                "leave",
            )
        return self


class DoubtModel(CaseModel):
    """Atoms on whose forces the members of the potential, a committee, disagree."""

    above: Force = Field(examples=["0.2 eV/angstrom"])
    """largest difference of two members' forces from which on an atom joins the core"""
    leave: Force | None = Field(default=None, examples=["0.15 eV/angstrom"])
    """below which it leaves again; by default the same"""

    @model_validator(mode="after")
    def _consistent(self) -> DoubtModel:
        if self.leave is not None and self.leave > self.above:
            raise KeyedError("leave must not exceed above, or atoms would flicker. Lower it, or leave it out", "leave")
        return self


CHOICES = ("indices", "species", "near", "near_tip", "coordination", "score", "doubt")
CORE_FORMS = (
    "Write, for example, {species: H, around: 2.5 angstrom}, {near: [0 nm, 0 nm, 0 nm], radius: 4 angstrom}, "
    "{near_tip: 5 angstrom} or {indices: [12, 13]}"
)


class CoreModel(CaseModel):
    """Atoms of the core: those that meet every key given."""

    indices: Annotated[tuple[int, ...], BeforeValidator(one_or_several)] | None = Field(
        default=None, examples=[[12, 13]]
    )
    """numbers of atoms, from 0"""
    species: Annotated[tuple[Element, ...], BeforeValidator(one_or_several)] | None = Field(
        default=None, examples=["H"]
    )
    """chemical symbol, or several"""
    near: Vector | None = Field(default=None, examples=[["0 nm", "0 nm", "0 nm"]])
    """a place, with its radius"""
    radius: Length | None = Field(default=None, examples=["4 angstrom"])
    """distance from that place up to which atoms belong to the core"""
    near_tip: Length | None = Field(default=None, examples=["5 angstrom"])
    """distance from the crack's tip up to which atoms belong to the core"""
    coordination: CoordinationModel | None = Field(default=None, examples=[{"fewer_than": 12}])
    """number of neighbours"""
    score: ScoreModel | None = Field(default=None, examples=[{"array": "uncertainty", "above": 0.1}])
    """a number that each atom carries"""
    doubt: DoubtModel | None = Field(default=None, examples=[{"above": "0.2 eV/angstrom"}])
    """disagreement of a committee on the atom's force"""
    leave: Length | None = Field(default=None, examples=["5 angstrom"])
    """distance beyond which an atom leaves a core chosen by near or near_tip again; by default the same"""
    around: Length | None = Field(default=None, examples=["2.5 angstrom"])
    """and every atom closer than this to one of them"""

    @model_validator(mode="after")
    def _consistent(self) -> CoreModel:
        if not any(getattr(self, name) is not None for name in CHOICES):
            raise ValueError(f"the core is empty: none of {', '.join(CHOICES)} is given. {CORE_FORMS}")
        if self.indices is not None and (wrong := [index for index in self.indices if index < 0]):
            raise KeyedError(f"{wrong[0]} is not the number of an atom. Count from 0", "indices")
        if (self.near is None) != (self.radius is None):
            given, absent = ("near", "radius") if self.near is not None else ("radius", "near")
            raise KeyedError(
                f"{given} needs {absent}. Write, for example, {{near: [0 nm, 0 nm, 0 nm], radius: 4 angstrom}}", given
            )
        if self.leave is not None:
            entered = [distance for distance in (self.radius, self.near_tip) if distance is not None]
            if not entered:
                raise KeyedError("leave belongs to near or near_tip, and neither is given. Leave it out", "leave")
            if self.leave < max(entered):
                raise KeyedError(
                    f"leave ({format_length(self.leave)}) must not be smaller than the distance at which atoms enter "
                    f"({format_length(max(entered))}), or they would flicker. Enlarge it",
                    "leave",
                )
        return self

    @property
    def needs_tip(self) -> bool:
        """Whether it can be chosen only where there is a crack."""
        return self.near_tip is not None


class SubCellModel(CaseModel):
    """A periodic cell for the quantum region, where the vacuum of a cluster would be too rough an end."""

    vectors: Annotated[tuple[Vector, Vector, Vector], BeforeValidator(along_axes)] = Field(
        examples=[["8.1 angstrom", "8.1 angstrom", "12 angstrom"]]
    )
    """its three vectors, three lengths each, or the three edges of an upright box: periods of the environment, or a thickness"""
    periodic: tuple[bool, bool, bool] = Field(default=(True, True, True), examples=[[True, True, False]])
    """along which of them it repeats; along the others it is a slice in vacuum"""

    @model_validator(mode="after")
    def _repeats(self) -> SubCellModel:
        if not any(self.periodic):
            raise KeyedError(
                "a quantum cell repeats along one direction at least. Leave cell out for a cluster in vacuum",
                "periodic",
            )
        return self


Cell = Annotated[SubCellModel | None, BeforeValidator(none_by_name)]
Core = Annotated[
    tuple[CoreModel, ...],
    BeforeValidator(one_or_several, json_schema_input_type=CoreModel | tuple[CoreModel, ...]),
]


class EmbeddingModel(CaseModel):
    """A quantum region: who computes it, which atoms it holds, and how it is joined to the rest."""

    engine: Engine = Field(examples=["gpaw"])
    """the quantum engine: a name or a mapping; any other potential stands in for one"""
    settings: dict[str, Any] = Field(default_factory=dict, examples=[{"kpts": [4, 4, 1]}])
    """of the engine, as it names them itself"""
    scheme: Literal["subtractive", "force mixing"] = "subtractive"
    """subtractive: one energy, conservative; force mixing: forces only"""
    core: Core = Field(examples=[{"species": "H", "around": "2.5 angstrom"}])
    """the atoms that quantum mechanics decides on: a choice, or a list of which one suffices"""
    buffer: NonNegativeLength = Field(default="6 angstrom", validate_default=True, examples=["6 angstrom"])
    """atoms up to this distance from core and blend are computed with them"""
    blend: NonNegativeLength = Field(default="0 angstrom", validate_default=True, examples=["2 angstrom"])
    """force mixing: width around the core over which quantum forces fade"""
    links: Literal["none", "hydrogen"] = "none"
    """what ends cut covalent bonds"""
    cell: Cell = None
    """periodic cell of the quantum region; by default a cluster in vacuum"""
    vacuum: Length = Field(default="6 angstrom", validate_default=True, examples=["6 angstrom"])
    """empty space around a cluster, for engines that need a box"""
    charge: int = 0
    """of the quantum region, elementary charges"""
    spin: int = Field(default=0, ge=0)
    """unpaired electrons of the quantum region"""
    cache: str | None = Field(default=None, min_length=1, examples=["quantum"])
    """directory of finished quantum calculations, kept between runs; by default in the run directory"""
    match: Length = Field(default="1e-6 angstrom", validate_default=True, examples=["1e-6 angstrom"])
    """structures whose atoms agree this closely are the same calculation"""
    mode: Literal["in the loop", "single points"] = "in the loop"
    """in the loop: in every force; single points: on the finished states of the potential alone"""

    @model_validator(mode="after")
    def _consistent(self) -> EmbeddingModel:
        if self.settings and isinstance(self.engine, dict) and "settings" in self.engine:
            raise KeyedError("settings are given twice, here and inside engine. Keep one of the two", "settings")
        if self.settings and isinstance(self.engine, dict) and "engine" not in self.engine:
            raise KeyedError(
                "settings belong to an engine given by its name. Write them inside engine, as arguments of its calculator or "
                "keys of its potential",
                "settings",
            )
        if self.blend and self.scheme == "subtractive":
            raise KeyedError(
                "the subtractive scheme has no blend: its weights are one or nothing. Leave blend out, or write scheme: force "
                "mixing",
                "blend",
            )
        if self.cell is not None and all(self.cell.periodic) and self.links == "hydrogen":
            raise KeyedError(
                "a quantum cell that is periodic in all directions cuts no bond. Write links: none, or leave cell out",
                "links",
            )
        return self

    @property
    def oracle(self) -> str | dict[str, Any]:
        """The engine with its settings, as ``atomistic.oracle.load_oracle`` takes it."""
        if not self.settings:
            return self.engine
        if isinstance(self.engine, dict):
            return {**self.engine, "settings": self.settings}
        return {"engine": self.engine, "settings": self.settings}

    @property
    def needs_tip(self) -> bool:
        """Whether the core can be chosen only where there is a crack."""
        return any(core.needs_tip for core in self.core)
