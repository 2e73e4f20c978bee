"""What is asked of a potential about one crystal, and what it answers: properties by name, each with its kind of unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from atomistic.crystal import Crystal
from atomistic.errors import PropertyError, nearest
from atomistic.properties.equation_of_state import EquationOfState
from atomistic.properties.faults import GammaLine
from atomistic.properties.surfaces import HEIGHTS, SurfaceEnergy
from atomistic.properties.vacancies import VacancyFormation
from atomistic.shear import GammaSurface

#: What can be asked for, in the order in which it is computed.
PARTS = ("lattice", "cohesion", "state", "elastic", "vacancy", "surfaces", "faults")
#: Units, inside: Å, Å³, eV, eV/Å³, eV/Å², or none.
Kind = Literal["length", "volume", "energy", "stress", "energy per area", "number"]

#: Kind of each property; those of a plane have its indices in brackets behind their name, "surface(111)".
KINDS: dict[str, Kind] = {
    "a": "length",
    "c": "length",
    "c/a": "number",
    "volume": "volume",
    "cohesive_energy": "energy",
    "bulk_modulus": "stress",
    "bulk_modulus_derivative": "number",
    "C11": "stress",
    "C12": "stress",
    "C13": "stress",
    "C33": "stress",
    "C44": "stress",
    "shear_modulus": "stress",
    "zener_ratio": "number",
    "vacancy": "energy",
    "vacancy_unrelaxed": "energy",
    "vacancy_volume": "number",
    "surface": "energy per area",
    "surface_unrelaxed": "energy per area",
    "unstable_fault": "energy per area",
    "stacking_fault": "energy per area",
}
#: Properties that belong to a plane.
OF_PLANES = ("surface", "surface_unrelaxed", "unstable_fault", "stacking_fault")
#: Planes and slip systems where nobody says otherwise: densest planes, and the direction that shows both faults.
PLANES: dict[str, tuple[tuple[int, ...], ...]] = {
    "fcc": ((1, 1, 1), (1, 0, 0), (1, 1, 0)),
    "bcc": ((1, 1, 0), (1, 0, 0), (1, 1, 1)),
    "hcp": ((0, 0, 0, 1), (1, 0, -1, 0)),
    "diamond": ((1, 1, 1), (1, 1, 0)),
    "zincblende": ((1, 1, 0),),
    "rocksalt": ((1, 0, 0),),
    "cesiumchloride": ((1, 1, 0),),
}


@dataclass(frozen=True, kw_only=True)
class FaultRequest:
    """A γ-surface to compute.

    Attributes:
        plane: Miller indices.
        direction: of a line; None for the whole surface.
        points: shifts along the line, or along either vector of the surface's cell.
        cut: which gap is sheared.
        relax: False, or "normal".
        planes: of atoms in one period, or in each half of the slab.
    """

    plane: tuple[int, ...]
    direction: tuple[int, ...] | None = None
    points: int = 25
    cut: str | int = "widest"
    relax: Literal[False, "normal"] = "normal"
    planes: int = 8


FAULTS: dict[str, tuple[FaultRequest, ...]] = {
    "fcc": (FaultRequest(plane=(1, 1, 1), direction=(1, 1, -2)),),
    "bcc": (FaultRequest(plane=(1, 1, 0), direction=(1, -1, 1)),),
    "hcp": (FaultRequest(plane=(0, 0, 0, 1), direction=(1, 0, -1, 0)),),
    "diamond": (FaultRequest(plane=(1, 1, 1), direction=(1, 1, -2), cut="narrowest"),),
}


@dataclass(frozen=True, kw_only=True)
class PropertyRequest:
    """The crystal and what is wanted of it.

    Attributes:
        symbols: its elements.
        structure: its structure.
        a: a first guess of the lattice constant, Å.
        c: the same for hcp's second.
        parts: some of `PARTS`; "lattice" is always computed.
        strain: largest change of the volume in the equation of state.
        volumes: number of volumes in it.
        vacancy_sizes: conventional cells along the first edge; by default `vacancies.vacancy_sizes`.
        species: the element that is missing, for compounds.
        chemical_potentials: of that element, eV, by the label of the potential.
        starts: places from which the atoms around the vacancy relax.
        planes: whose surfaces are computed; by default `PLANES` of the structure.
        heights: of the slabs, Å.
        cut: which gap becomes the surface.
        relax: whether surfaces are relaxed too.
        faults: γ-surfaces; by default `FAULTS` of the structure.
        free_atoms: energies of free atoms by element, eV, by the label of the potential whose energies they belong to.
        fmax: largest force on an atom at rest, eV/Å.
    """

    symbols: tuple[str, ...]
    structure: str
    a: float | None = None
    c: float | None = None
    parts: tuple[str, ...] = PARTS
    strain: float = 0.06
    volumes: int = 11
    vacancy_sizes: tuple[int, ...] | None = None
    species: str | None = None
    chemical_potentials: Mapping[str, float] = field(default_factory=dict)
    starts: int = 1
    planes: tuple[tuple[int, ...], ...] | None = None
    heights: tuple[float, ...] = HEIGHTS
    cut: str | int = "widest"
    relax: bool = True
    faults: tuple[FaultRequest, ...] | None = None
    free_atoms: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    fmax: float = 1e-3

    def __post_init__(self) -> None:
        unknown = [part for part in self.parts if part not in PARTS]
        if unknown:
            raise PropertyError(
                f"{unknown[0]!r} is no part of the properties; expected {', '.join(PARTS)}.{nearest(unknown[0], PARTS)}"
            )


@dataclass(frozen=True, kw_only=True)
class Property:
    """One number about a crystal.

    Attributes:
        key: as in `KINDS`, "C11", "surface(111)".
        value: in the unit of its kind.
        uncertainty: what its convergence leaves open, in the same unit; None where nothing is known.
        note: what a reader should know.
    """

    key: str
    value: float
    uncertainty: float | None = None
    note: str = ""

    @property
    def kind(self) -> Kind:
        """Kind of its unit."""
        return kind_of(self.key)


@dataclass(frozen=True, kw_only=True)
class PropertySet:
    """The answers of one potential.

    Attributes:
        label: what the potential is called here.
        potential: its own name.
        properties: in the order in which they were computed.
        failures: why a part is missing, by part.
        warnings: what a reader should know.
        crystal: at rest; None where it has none.
        state, vacancy, surfaces, lines, maps: what the numbers come from.
        calls: evaluations of the potential.
        seconds: spent in them.
    """

    label: str
    potential: str
    properties: tuple[Property, ...]
    failures: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    crystal: Crystal | None = None
    state: EquationOfState | None = None
    vacancy: VacancyFormation | None = None
    surfaces: tuple[SurfaceEnergy, ...] = ()
    lines: tuple[GammaLine, ...] = ()
    maps: tuple[GammaSurface, ...] = ()
    calls: int = 0
    seconds: float = 0.0

    def get(self, key: str) -> Property | None:
        """Return a property by its key, None where it was not computed."""
        return next((p for p in self.properties if p.key == key), None)


def plane_name(plane: Sequence[int]) -> str:
    """Return Miller indices without commas, "111", "1-10"; with commas where one has two digits."""
    return ("," if any(abs(i) > 9 for i in plane) else "").join(str(i) for i in plane)


def kind_of(key: str) -> Kind:
    """Return the kind of unit that a property has.

    Raises:
        PropertyError: no property has that key.
    """
    name, bracket, rest = key.partition("(")
    known = [f"{k}(111)" if k in OF_PLANES else k for k in KINDS]
    if name not in KINDS or bool(bracket) != (name in OF_PLANES) or (bracket and not rest.endswith(")")):
        raise PropertyError(f"There is no property {key!r}; expected one of {', '.join(known)}.{nearest(key, known)}")
    return KINDS[name]


def spread_of_members(members: Sequence[PropertySet], key: str) -> tuple[float, NDArray[np.float64]] | None:
    """Return the standard deviation of a property over a committee's members, and its values (k,).

    The estimate for a sample, with k − 1 below; None where fewer than two members have the property.
    """
    found = [p.value for p in (member.get(key) for member in members) if p is not None]
    if len(found) < 2:
        return None
    values = np.array(found)
    return float(values.std(ddof=1)), values
