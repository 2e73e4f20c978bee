"""The crystal and its cleavage plane, as far as they can be checked without a potential."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from multiscale.config.base import CaseModel, KeyedError, nearest
from multiscale.units import Area, Length

ATOMS_IN_BASIS = {"fcc": 1, "bcc": 1, "hcp": 1, "diamond": 1, "rocksalt": 2, "B2": 2, "zincblende": 2}
"""How many different elements each structure holds."""


def check_element(symbol: Any) -> str:
    """A chemical symbol of the periodic table, or an error that names the nearest one."""
    from ase.data import atomic_numbers, chemical_symbols

    if isinstance(symbol, str) and symbol in atomic_numbers and symbol != "X":
        return symbol
    near = nearest(symbol, chemical_symbols[1:]) if isinstance(symbol, str) and symbol else None
    fix = f'Did you mean "{near}"?' if near else 'Write a chemical symbol, for example "Al"'
    raise ValueError(f"{symbol!r} is not an element of the periodic table. {fix}")


def canonical_structure(name: Any) -> Any:
    """Spell a structure the way the builders do: FCC -> fcc, b2 or cesiumchloride -> B2."""
    if not isinstance(name, str):
        return name
    aliases = {"b2": "B2", "cesiumchloride": "B2", "cscl": "B2", "nacl": "rocksalt", "b1": "rocksalt", "a4": "diamond"}
    aliases |= {"sphalerite": "zincblende", "b3": "zincblende"}
    lowered = name.strip().lower()
    return aliases.get(lowered, lowered)


Element = Annotated[str, BeforeValidator(check_element)]
Structure = Annotated[
    Literal["fcc", "bcc", "hcp", "diamond", "rocksalt", "B2", "zincblende"], BeforeValidator(canonical_structure)
]


class CrystalModel(CaseModel):
    """A perfect crystal: its elements and structure; the potential finds the lattice constants."""

    element: Element | None = Field(default=None, examples=["Al"])
    """chemical symbol of a crystal of one element"""
    symbols: tuple[Element, ...] | None = Field(default=None, examples=[["Na", "Cl"]])
    """chemical symbols of a compound, in the order of its sites"""
    structure: Structure = Field(examples=["fcc"])
    """crystal structure"""
    a: Length | None = None
    """a guess of the lattice constant a; by default from the tables of ASE"""
    c: Length | None = None
    """a guess of the lattice constant c (hcp)"""

    @property
    def species(self) -> tuple[str, ...]:
        """The chemical symbols, whether one element or several were given."""
        return (self.element,) if self.element is not None else self.symbols or ()

    @model_validator(mode="after")
    def _consistent(self) -> CrystalModel:
        if (self.element is None) == (self.symbols is None):
            given = "both" if self.element is not None else "neither"
            raise ValueError(
                f"{given} of element and symbols given. Write element: Al for one element, symbols: [Na, Cl] for two"
            )
        expected = ATOMS_IN_BASIS[self.structure]
        if len(self.species) != expected:
            raise ValueError(
                f"{self.structure} holds {expected} element{'s' if expected > 1 else ''}, got "
                f"{', '.join(self.species)}. Write "
                + ("symbols: [Na, Cl]" if expected > 1 else "element: Al")
                + " or choose another structure"
            )
        if self.c is not None and self.structure != "hcp":
            raise KeyedError(f"{self.structure} has no lattice constant c. Leave c out", "c")
        return self


class PlaneModel(CaseModel):
    """A plane of a crystal, the direction of crack growth in it, and the gap along which it parts."""

    plane: tuple[int, ...] = Field(examples=[[1, 1, 1]])
    """Miller indices of the plane, 3 or (hcp) 4"""
    growth: tuple[int, ...] | None = Field(default=None, examples=[[1, 1, -2]])
    """direction of crack growth in the plane; by default one whose crack front is a twofold axis or mirror normal"""
    cut: Literal["widest", "narrowest"] | int = "widest"
    """which gap between successive planes opens, where the gaps differ; or its number from 0"""

    @model_validator(mode="after")
    def _a_plane(self) -> Self:
        check_indices(self.plane, "plane")
        if isinstance(self.cut, int) and self.cut < 0:
            message = f"cut {self.cut} is not the number of a gap. Write widest, narrowest or 0, 1, ..."
            raise KeyedError(message, "cut")
        if self.growth is None:
            return self
        check_indices(self.growth, "growth")
        if len(self.growth) != len(self.plane):
            raise KeyedError(
                f"plane {list(self.plane)} and growth {list(self.growth)} have different numbers of indices. "
                "Write both with 3 or both with 4",
                "growth",
            )
        if sum(h * u for h, u in zip(self.plane, self.growth, strict=True)) != 0:
            raise KeyedError(
                f"growth {list(self.growth)} does not lie in the plane {list(self.plane)}: hu + kv + lw must be 0. "
                "Choose a direction in the plane, or leave growth out",
                "growth",
            )
        return self

    def check_indices_of(self, crystal: CrystalModel, *path: str) -> None:
        """Refuse four indices in a crystal that is not hexagonal.

        Raises:
            KeyedError: pointing at ``path``.
        """
        if len(self.plane) == 4 and crystal.structure != "hcp":
            raise KeyedError(
                f"plane {list(self.plane)} has four indices, which only hcp has; the crystal is {crystal.structure}. "
                "Write three Miller indices",
                *path,
                "plane",
            )


class SecondCrystalModel(PlaneModel):
    """Another crystal above the interface, on a common cell with the one below."""

    crystal: CrystalModel = Field(examples=[{"element": "Cu", "structure": "fcc"}])
    """elements and structure of the crystal above"""
    alignment: Literal["parallel", "free"] = "parallel"
    """parallel: both directions of growth along each other; free: turned about the normal where the lattices fit best"""
    max_strain: float = Field(default=0.03, ge=0.0, le=0.15)
    """largest strain between the two crystals in the common cell"""
    max_area: Area = Field(default="5 nm^2", validate_default=True, examples=["5 nm^2"])
    """largest area of the common cell"""
    share: Literal["stiffness", "lower", "upper"] = "stiffness"
    """who carries that strain: both by their stiffness, or one alone"""
    bodies: tuple[str, ...] = Field(default=(), examples=[["upper"]])
    """of an imported mesh: the bodies made of this crystal"""


class InterfaceModel(PlaneModel):
    """The plane that comes apart and the direction in which the crack grows."""

    second: SecondCrystalModel | None = None
    """another crystal above the interface; by default the same one on both sides"""


def check_indices(indices: tuple[int, ...], what: str) -> None:
    """Refuse Miller indices that mean no plane or direction in any crystal.

    Raises:
        KeyedError: for a wrong count, all zeros, or four indices whose first three don't sum to zero.
    """
    shown = list(indices)
    if len(indices) not in (3, 4):
        raise KeyedError(f"{what} {shown} has {len(indices)} indices. Write 3 Miller indices, or 4 for hcp", what)
    if not any(indices):
        raise KeyedError(
            f"{what} {shown} does not exist: all its indices are zero. Write, for example, [1, 1, 1]", what
        )
    if len(indices) == 4 and sum(indices[:3]) != 0:
        h, k = indices[:2]
        raise KeyedError(
            f"{what} {shown} does not exist: the first three of four indices must sum to zero. "
            f"Write [{h}, {k}, {-h - k}, {indices[3]}]",
            what,
        )
