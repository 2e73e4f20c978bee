"""The case of the properties study: what several potentials say of one crystal, beside values that somebody trusts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from multiscale.config.base import CaseModel, KeyedError, either
from multiscale.config.common import HEADS, CheckedCase, Device, PotentialSpec, SpreadChoice
from multiscale.config.crystal import CrystalModel, Element, check_indices
from multiscale.units import ENERGY, ENERGY_PER_AREA, LENGTH, STRESS, Energy, Kind, Length, parse_quantity

PartName = Literal["lattice", "cohesion", "state", "elastic", "vacancy", "surfaces", "faults"]
CutName = Literal["widest", "narrowest"] | Annotated[int, Field(ge=0)]
Plane = Annotated[tuple[int, ...], Field(min_length=3, max_length=4)]
VOLUME = Kind(name="volume", internal="angstrom**3", examples=("16.6 angstrom^3",))
UNITS = {"length": LENGTH, "volume": VOLUME, "energy": ENERGY, "stress": STRESS, "energy per area": ENERGY_PER_AREA}
"""Quantity of each kind of property; what is missing here is a plain number."""


def label_of(spec: Any) -> str:
    """What a potential is called where nobody gave it a name."""
    if not isinstance(spec, dict):
        return str(spec)
    head = next((key for key in HEADS if key in spec), "")
    value = spec.get(head)
    if head == "committee" and isinstance(value, list | tuple):
        return f"committee of {len(value)}"
    if head == "path":
        return Path(str(value)).name
    if value == "lammps" and spec.get("files"):
        return Path(str(spec["files"][0])).name
    return str(value or spec)


def named_potentials(value: Any) -> Any:
    """Give every potential a name: of one, of a list, or of a mapping from names that already has them."""
    if isinstance(value, dict) and not any(key in value for key in HEADS):
        return value
    named: dict[str, Any] = {}
    for spec in value if isinstance(value, list | tuple) else [value]:
        label = label_of(spec)
        repeated = sum(known == label or known.startswith(f"{label} (") for known in named)
        named[f"{label} ({repeated + 1})" if repeated else label] = spec
    return named


class StateModel(CaseModel):
    """The equation of state."""

    strain: Annotated[float, Field(gt=0.0, le=0.3)] = 0.06
    """largest relative change of the volume, both ways"""
    points: Annotated[int, Field(ge=5, le=201)] = 11
    """number of volumes"""


class VacancyCellsModel(CaseModel):
    """The vacancy and its cells."""

    sizes: tuple[Annotated[int, Field(ge=1, le=20)], ...] | None = Field(default=None, min_length=1)
    """conventional cells along the first edge, ascending; by default those with 30 to 300 sites"""
    species: Element | None = None
    """the missing element, for compounds"""
    chemical_potential: dict[str, Energy] = Field(default_factory=dict, examples=[{"eam-nial": "-4.45 eV"}])
    """energy of the missing atom where it goes, by the name of the potential; for compounds"""
    starts: Annotated[int, Field(ge=1, le=100)] = 1
    """places from which the atoms relax; the lowest energy counts"""

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.sizes is not None and list(self.sizes) != sorted(set(self.sizes)):
            raise KeyedError(f"sizes {list(self.sizes)} do not ascend. Write, for example, [2, 3, 4]", "sizes")
        return self


class SurfacesModel(CaseModel):
    """Slabs of several thicknesses."""

    planes: tuple[Plane, ...] | None = Field(default=None, examples=[[[1, 1, 1], [1, 0, 0]]])
    """Miller indices of the surfaces; by default the densest of the structure"""
    heights: tuple[Length, ...] = Field(
        default=("16 angstrom", "24 angstrom", "32 angstrom"), validate_default=True, min_length=2
    )
    """heights of the slabs, in whole lattice planes"""
    cut: CutName = "widest"
    """which gap becomes the surface, where gaps differ"""
    relax: bool = True
    """relax the atoms too"""


class FaultModel(CaseModel):
    """A γ-surface."""

    plane: Plane = Field(examples=[[1, 1, 1]])
    """Miller indices of the plane"""
    direction: Plane | None = Field(default=None, examples=[[1, 1, -2]])
    """of a γ-line; without it the whole surface is computed"""
    points: Annotated[int, Field(ge=4, le=400)] | None = None
    """shifts along the line (25), or along either edge of the surface's cell (12)"""
    cut: CutName = "widest"
    """which gap is sheared, where gaps differ"""
    relax: bool = True
    """relax along the normal; else rigid halves"""
    planes: Annotated[int, Field(ge=2, le=200)] = 8
    """planes of atoms in each half"""

    @model_validator(mode="after")
    def _in_plane(self) -> Self:
        check_indices(self.plane, "plane")
        if self.direction is None:
            return self
        check_indices(self.direction, "direction")
        same = len(self.direction) == len(self.plane)
        if not same or sum(h * u for h, u in zip(self.plane, self.direction, strict=True)) != 0:
            raise KeyedError(
                f"direction {list(self.direction)} does not lie in the plane {list(self.plane)}: hu + kv + lw must be 0. Choose "
                "a direction in the plane, with as many indices",
                "direction",
            )
        if self.points is not None and self.points < 7:
            raise KeyedError(f"{self.points} points show no maxima and minima. Write at least 7", "points")
        return self


class ReferenceModel(CaseModel):
    """Values to compare with: of experiments, of DFT, of the literature."""

    name: str = Field(min_length=1, examples=["PBE"])
    """what the column is called"""
    source: str = ""
    """where the values come from"""
    values: dict[str, str | float] = Field(examples=[{"a": "4.04 angstrom", "surface(111)": "0.8 J/m^2"}])
    """by property: a, c, cohesive_energy, bulk_modulus, C11, vacancy, surface(111), stacking_fault(111), ..."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        self.internal()
        return self

    def internal(self) -> dict[str, float]:
        """The values in units of Å and eV.

        Raises:
            KeyedError: pointing at a value that is no property, or has no such unit.
        """
        from atomistic.properties import kind_of

        found = {}
        for key, value in self.values.items():
            try:
                unit = UNITS.get(kind_of(key))
                found[key] = float(value) if unit is None else parse_quantity(value, unit)
            except ValueError as error:
                raise KeyedError(str(error), "values", key) from None
        return found


class PropertiesCase(CheckedCase):
    """One crystal by one or several potentials."""

    study: Literal["properties"] = "properties"
    """kind of study"""
    potentials: Annotated[dict[str, PotentialSpec], BeforeValidator(named_potentials)] = Field(
        min_length=1, examples=[["eam-al", "sevennet-0"]]
    )
    """one potential, a list, or names of your own with a potential each"""
    device: Device = "cpu"
    """where the potentials run: cpu, cuda or cuda:N"""
    spread: SpreadChoice = "members"
    """where a potential is a committee: members computes the properties by each of them too and tells the spread"""
    crystal: CrystalModel = Field(examples=[{"element": "Al", "structure": "fcc"}])
    """the perfect crystal"""
    properties: tuple[PartName, ...] = ("lattice", "cohesion", "state", "elastic", "vacancy", "surfaces", "faults")
    """what to compute"""
    state: StateModel = StateModel()
    """the equation of state"""
    vacancy: VacancyCellsModel = VacancyCellsModel()
    """the vacancy"""
    surfaces: SurfacesModel = SurfacesModel()
    """the surfaces"""
    faults: tuple[FaultModel, ...] | None = None
    """γ-surfaces and lines; by default the slip system of the structure"""
    free_atoms: dict[str, dict[Element, Energy]] = Field(
        default_factory=dict, examples=[{"sevennet-0": {"Al": "-0.2 eV"}}]
    )
    """energies of free atoms by the method that a potential was fitted to, by the potential's name"""
    references: tuple[ReferenceModel, ...] = ()
    """values to compare with"""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for key, named in (("free_atoms", self.free_atoms), ("vacancy", self.vacancy.chemical_potential)):
            path = (key,) if key == "free_atoms" else (key, "chemical_potential")
            if strange := [name for name in named if name not in self.potentials]:
                raise KeyedError(
                    f"{strange[0]!r} is none of the potentials. Write {either(list(self.potentials))}",
                    *path,
                    strange[0],
                )
        for label, atoms in self.free_atoms.items():
            if lacking := [s for s in self.crystal.species if s not in atoms]:
                raise KeyedError(
                    f"the energy of {lacking[0]} is missing. Write {lacking[0]}: -0.2 eV", "free_atoms", label
                )
        self._check_planes()
        self._check_vacancy()
        if len({r.name for r in self.references}) < len(self.references):
            raise KeyedError("two references have one name. Give each its own", "references")
        return self

    def _check_planes(self) -> None:
        """Four indices are for hexagonal crystals."""
        planes: list[tuple[Plane, tuple[str | int, ...]]]
        planes = [(plane, ("surfaces", "planes", k)) for k, plane in enumerate(self.surfaces.planes or ())]
        planes += [(fault.plane, ("faults", k, "plane")) for k, fault in enumerate(self.faults or ())]
        for plane, path in planes:
            try:
                check_indices(plane, "plane")
            except KeyedError as error:
                raise KeyedError(str(error), *path) from None
            if len(plane) == 4 and self.crystal.structure != "hcp":
                raise KeyedError(
                    f"plane {list(plane)} has four indices, which only hcp has; the crystal is {self.crystal.structure}. Write "
                    "three Miller indices",
                    *path,
                )

    def _check_vacancy(self) -> None:
        """A compound's vacancy needs to know where its atom goes."""
        species, vacancy = self.crystal.species, self.vacancy
        if "vacancy" not in self.properties:
            return
        if vacancy.species is not None and vacancy.species not in species:
            raise KeyedError(
                f"there is no {vacancy.species} in the crystal. Choose {either(list(species))}", "vacancy", "species"
            )
        if len(species) == 1:
            return
        if vacancy.species is None:
            raise KeyedError(
                f"a vacancy in {''.join(species)} is of one of its elements. Write vacancy: {{species: {species[0]}, "
                "chemical_potential: {POTENTIAL: ENERGY}}, or leave vacancy out of the properties",
                "properties",
            )
        if lacking := [label for label in self.potentials if label not in vacancy.chemical_potential]:
            raise KeyedError(
                f"the chemical potential of {vacancy.species} by {lacking[0]} is missing: its energy per atom where it goes, for "
                f"example in its own crystal. Write chemical_potential: {{{lacking[0]}: -4 eV}}",
                "vacancy",
            )
