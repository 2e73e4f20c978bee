"""The border between the units a person writes and the units the code computes in.

Inside, everything is in ASE's units: Å, eV, eV/Å³ (stress, traction), eV/Å² (energy per area). A person writes
``"200 nm"`` or ``"0.8 J/m^2"`` and reads nm, GPa, J/m², N. Numbers cross here and nowhere else.

The factors follow from the exact elementary charge of the 2019 SI (1 eV = 1.602176634e-19 J), which is what pint uses
too; ``ase.units`` still holds CODATA 2014, 1e-8 away in relative terms.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic_core import core_schema

if TYPE_CHECKING:
    import pint
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

ANGSTROM_IN_NM = 0.1
"""Multiply a length in Å to get nm."""
EV_PER_A3_IN_GPA = 160.2176634
"""Multiply a stress in eV/Å³ to get GPa."""
EV_PER_A2_IN_J_PER_M2 = 16.02176634
"""Multiply an energy per area in eV/Å² to get J/m²; also a force per width, eV/Å² to N/m."""
EV_PER_A_IN_J_PER_M = 1.602176634e-9
"""Multiply an energy per width in eV/Å to get J/m; also a force, eV/Å to N."""
EV_PER_A25_IN_MPA_SQRT_M = 1.602176634
"""Multiply a stress intensity in eV/Å^2.5 to get MPa√m."""
EV_IN_J = 1.602176634e-19
"""Multiply an energy in eV to get J."""

Sign = Literal["positive", "non-negative", "any"]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A physical quantity at the border: the unit inside and what a person would write."""

    name: str
    internal: str
    examples: tuple[str, ...]

    @property
    def one(self) -> str:
        """The name with its article, "a length"."""
        return f"{'an' if self.name[0] in 'aeiou' else 'a'} {self.name}"


LENGTH = Kind(name="length", internal="angstrom", examples=("200 nm", "2 um", "6 angstrom"))
AREA = Kind(name="area", internal="angstrom**2", examples=("5 nm^2", "200 angstrom^2"))
STRESS = Kind(name="stress", internal="eV/angstrom**3", examples=("1.2 GPa", "300 MPa"))
ENERGY_PER_AREA = Kind(name="energy per area", internal="eV/angstrom**2", examples=("0.8 J/m^2", "50 meV/angstrom^2"))
ENERGY = Kind(name="energy", internal="eV", examples=("1.5 eV", "20 meV"))
FORCE = Kind(name="force", internal="eV/angstrom", examples=("0.01 eV/angstrom", "1 nN"))
TEMPERATURE = Kind(name="temperature", internal="kelvin", examples=("300 K", "900 K"))
TIME = Kind(name="time", internal="fs", examples=("2 fs", "1 ps"))
WALL_TIME = Kind(name="time", internal="second", examples=("90 min", "2 h"))
STIFFNESS_PER_AREA = Kind(name="stress per length", internal="eV/angstrom**4", examples=("50 GPa/angstrom",))
STRESS_INTENSITY = Kind(
    name="stress intensity", internal="eV/angstrom**2.5", examples=("0.6 MPa*m^0.5", "0.6 MPa√m", "600 kPa√m")
)

KNOWN_UNITS = [
    "angstrom",
    "nm",
    "um",
    "µm",
    "mm",
    "cm",
    "m",
    "pm",
    "bohr",
    "nm^2",
    "angstrom^2",
    "Pa",
    "kPa",
    "MPa",
    "GPa",
    "J/m^2",
    "mJ/m^2",
    "eV/angstrom^2",
    "meV/angstrom^2",
    "eV/angstrom^3",
    "eV",
    "meV",
    "J",
    "N/m",
    "N",
    "nN",
    "mN",
    "eV/angstrom",
    "MPa*m^0.5",
    "MPa√m",
    "kPa√m",
    "GPa√m",
    "K",
    "fs",
    "ps",
]
_ROOT = re.compile(r"\s*[*·]?\s*(?:√|sqrt\b)\s*\(?\s*(?P<unit>[A-Za-zµÅ]+)\s*\)?")
"""A root as people write it: MPa√m, MPa·√m, MPa*sqrt(m)."""
_NUMBER = r"[0-9]{1,2}(?:\.[0-9]{1,4})?"
_POWER = rf"\s*(?:\*\*|\^)\s*(?:[+-]?{_NUMBER}|\(\s*[+-]?{_NUMBER}(?:\s*/\s*{_NUMBER})?\s*\))"
_FACTOR = rf"[(\s]*(?:1|°?[^\W\d]\w*)(?:{_POWER})?(?:[\s)]*\)(?:{_POWER})?)?"
_UNIT = re.compile(rf"{_FACTOR}(?:(?:\s*[*/·]\s*|\s+){_FACTOR})*")
"""Products of powers of words. Without this pint computes whatever numbers a unit holds: nm*2**9**9**9 takes for ever."""
_LONGEST = 100
"""Characters of a quantity; its unit may have half of them."""
_QUANTITY = re.compile(
    r"^\s*(?P<number>[+-]?(?:nan|inf(?:inity)?|(?:\d+(?:_\d+)*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))\s*\*?\s*(?P<unit>.*?)\s*$",
    re.IGNORECASE,
)


class UnitError(ValueError):
    """A quantity without a unit, with a wrong one, or with a value that makes no sense."""


@cache
def registry() -> pint.UnitRegistry:
    """The application's pint registry, made at first use because loading it takes a while."""
    import pint

    return pint.get_application_registry()


def parse_quantity(value: Any, kind: Kind, *, sign: Sign = "any") -> float:
    """Read ``"200 nm"`` or a pint quantity as a number in the unit inside.

    Args:
        value: text with a number and a unit, or a ``pint.Quantity``.
        kind: what quantity is expected.
        sign: ``"positive"``, ``"non-negative"`` or ``"any"``.

    Returns:
        The value in ``kind.internal``.

    Raises:
        UnitError: for a bare number, an unknown unit, a wrong dimension, a wrong sign, NaN or infinity.
    """
    number, unit = _split(value, kind)
    converted = _convert(number, unit, kind, given=value)
    given = str(value)
    if not math.isfinite(converted):
        raise UnitError(f"{given!r} is not a finite {kind.name}. Write {_for_example(kind)}")
    if sign == "positive" and converted <= 0:
        raise UnitError(f"{given!r} must be greater than zero. Write a positive {kind.name}, {_for_example(kind)}")
    if sign == "non-negative" and converted < 0:
        raise UnitError(f"{given!r} must not be negative. Write {_for_example(kind)}")
    return converted


def _for_example(kind: Kind) -> str:
    return f'for example "{kind.examples[0]}"'


def _split(value: Any, kind: Kind) -> tuple[float, Any]:
    """Number and unit of what was given; the unit is text or a pint unit."""
    if hasattr(value, "magnitude") and hasattr(value, "units"):
        return float(value.magnitude), value.units
    if isinstance(value, bool) or value is None or not isinstance(value, str | int | float):
        shown = "nothing" if value is None else repr(value)
        raise UnitError(f"expected {kind.one} with its unit, got {shown}. Write {_for_example(kind)}")
    text = str(value)
    match = _QUANTITY.match(text) if len(text) <= _LONGEST else None
    if match is None:
        shown = text if len(text) <= _LONGEST else f"{text[:20]}..."
        raise UnitError(f"{shown!r} is not a number with a unit. Write {_for_example(kind)}")
    number = match["number"]
    if not match["unit"]:
        suggestion = kind.examples[0].split(" ", 1)[1]
        raise UnitError(f'{text} has no unit. Write {kind.one} with its unit, for example "{number} {suggestion}"')
    return float(number), match["unit"]


def _convert(number: float, unit: Any, kind: Kind, *, given: Any) -> float:
    import pint

    ureg = registry()
    try:
        text = _ROOT.sub(lambda root: f"*{root['unit']}**0.5", str(unit)).removeprefix("*")
        if len(text) > _LONGEST // 2 or not _UNIT.fullmatch(text):
            raise pint.UndefinedUnitError(text)
        parsed = ureg.Unit(text)
        return float(ureg.Quantity(number, parsed).to(kind.internal).magnitude)
    except pint.DimensionalityError:
        hint = '. "A" is the ampere; write "angstrom"' if str(unit) == "A" else f". Write {_for_example(kind)}"
        raise UnitError(f"{str(given)!r} is not {kind.one}: {unit} is {_dimension(parsed)}{hint}") from None
    except Exception as error:  # pint raises its own, tokenize's and plain TypeErrors on text that is no unit
        near = difflib.get_close_matches(str(unit), KNOWN_UNITS, n=1, cutoff=0.4)
        hint = f'did you mean "{near[0]}"?' if near else f"write {_for_example(kind)}"
        raise UnitError(f"unit {str(unit)!r} in {str(given)!r} is unknown: {hint}") from error


def _dimension(unit: Any) -> str:
    """Name of a unit's dimension where it is one of ours, else pint's."""
    ureg = registry()
    kinds = (
        LENGTH,
        AREA,
        STRESS,
        ENERGY_PER_AREA,
        ENERGY,
        FORCE,
        STIFFNESS_PER_AREA,
        STRESS_INTENSITY,
        TEMPERATURE,
        TIME,
    )
    for kind in kinds:
        if unit.dimensionality == ureg.Unit(kind.internal).dimensionality:
            return kind.one
    return f"of dimension {unit.dimensionality}"


@dataclass(frozen=True, kw_only=True)
class Level:
    """The load on a crack: a share of the Griffith toughness K_G, a stress intensity, or the opening of grips.

    Attributes:
        value: a number, eV/Å^2.5, or Å.
        of: what it is.
    """

    value: float
    of: Literal["K_G", "stress intensity", "length"]

    def __str__(self) -> str:
        unit = {"K_G": "K_G", "stress intensity": STRESS_INTENSITY.internal, "length": LENGTH.internal}[self.of]
        return f"{self.value!r} {unit}"


_SHARE = re.compile(r"^(?P<number>.*?)(?P<percent>%)?\s*\*?\s*K_?G$", re.IGNORECASE)
_LEVELS = '"0.9 K_G" or "0.6 MPa*m^0.5"; for grips an opening such as "2 nm" too'


def parse_level(value: Any) -> Level:
    """Read ``"0.9 K_G"``, ``"90 % K_G"``, ``"0.6 MPa*m^0.5"`` or ``"2 nm"``; none may be negative.

    Raises:
        UnitError: for anything else.
    """
    if isinstance(value, Level):
        return value
    share = _SHARE.match(value.strip()) if isinstance(value, str) and len(value) <= _LONGEST else None
    if share is not None:
        try:
            number = float(share["number"]) * (0.01 if share["percent"] else 1.0)
        except ValueError:
            raise UnitError(f"{value!r} is no share of K_G. Write a number before it: {_LEVELS}") from None
        if not math.isfinite(number) or number < 0.0:
            raise UnitError(f"{value!r} must be finite and not negative. Write {_LEVELS}")
        return Level(value=number, of="K_G")
    kind = LENGTH if _reads_as(value, LENGTH) else STRESS_INTENSITY
    try:
        return Level(
            value=parse_quantity(value, kind, sign="non-negative"),
            of="length" if kind is LENGTH else "stress intensity",
        )
    except UnitError as error:
        cause = str(error).split(". Write", 1)[0].split(": write", 1)[0]
        raise UnitError(cause if "did you mean" in cause else f"{cause}. Write {_LEVELS}") from None


def _reads_as(value: Any, kind: Kind) -> bool:
    """Whether a value is a quantity of this kind, whatever its sign."""
    try:
        parse_quantity(value, kind)
    except UnitError:
        return False
    return True


def format_intensity(value: float, *, digits: int = 4) -> str:
    """A stress intensity in eV/Å^2.5 as a person would say it: 0.3745 -> "0.6 MPa√m"."""
    return f"{value * EV_PER_A25_IN_MPA_SQRT_M:.{digits}g} MPa√m"


def to_unit(value: Any, kind: Kind, unit: str) -> Any:
    """Express a number or array given in the unit inside in another unit, ``to_unit(2000.0, LENGTH, "nm") == 200``."""
    return registry().Quantity(value, kind.internal).to(unit).magnitude


_LENGTH_STEPS = ((1e7, 1e-7, "mm"), (1e4, 1e-4, "µm"), (10.0, 0.1, "nm"), (0.0, 1.0, "Å"))


def format_length(value: float, *, digits: int = 4) -> str:
    """A length in Å as a person would say it: 2000.0 -> "200 nm", 2.34 -> "2.34 Å"."""
    for above, factor, unit in _LENGTH_STEPS:
        if abs(value) >= above * (1 - 1e-12):
            return f"{value * factor:.{digits}g} {unit}"
    return f"{value:.{digits}g} Å"


_SAID = {
    AREA.internal: (1.0, "Å²"),
    "angstrom**3": (1.0, "Å³"),
    STRESS.internal: (EV_PER_A3_IN_GPA, "GPa"),
    ENERGY_PER_AREA.internal: (EV_PER_A2_IN_J_PER_M2, "J/m²"),
    FORCE.internal: (1.0, "eV/Å"),
    STIFFNESS_PER_AREA.internal: (EV_PER_A3_IN_GPA, "GPa/Å"),
    STRESS_INTENSITY.internal: (EV_PER_A25_IN_MPA_SQRT_M, "MPa√m"),
    TEMPERATURE.internal: (1.0, "K"),
    WALL_TIME.internal: (1.0, "s"),
}


def format_quantity(text: str, *, digits: int = 12) -> str:
    """A quantity as ``run.json`` holds it in a person's units: "0.43690563 eV/angstrom**3" -> "70 GPa"; other text as it is."""
    number, _, unit = text.partition(" ")
    try:
        value = float(number)
    except ValueError:
        return text
    if unit == LENGTH.internal:
        return format_length(value, digits=digits)
    factor, name = _SAID.get(unit, (1.0, ""))
    return f"{value * factor:.{digits}g} {name}" if name else text


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """Pydantic annotation: read text with a unit, hold a float in the unit inside, write text with a unit again."""

    kind: Kind
    sign: Sign = "any"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Validate with ``parse_quantity``; write ``"2000.0 angstrom"`` to JSON, which reads back to the last bit."""
        return core_schema.no_info_plain_validator_function(
            lambda value: parse_quantity(value, self.kind, sign=self.sign),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: f"{value!r} {self.kind.internal}", when_used="json"
            ),
        )

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict:
        """Describe the text form for editors."""
        return {
            "type": "string",
            "description": f"{self.kind.name} with its unit",
            "pattern": r"^\s*[+-]?[0-9._]+([eE][+-]?[0-9]+)?\s*\S+",
            "examples": list(self.kind.examples),
        }


class LevelText:
    """Pydantic annotation of a `Level`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Validate with ``parse_level``; write to JSON what reads back to the last bit."""
        return core_schema.no_info_plain_validator_function(
            parse_level, serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json")
        )

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict:
        """Describe the text form for editors."""
        examples = ["0.9 K_G", *STRESS_INTENSITY.examples, "2 nm"]
        return {"type": "string", "description": "share of K_G, stress intensity or opening", "examples": examples}


LoadLevel = Annotated[Level, LevelText()]
Length = Annotated[float, Quantity(kind=LENGTH, sign="positive")]
NonNegativeLength = Annotated[float, Quantity(kind=LENGTH, sign="non-negative")]
Coordinate = Annotated[float, Quantity(kind=LENGTH)]
Area = Annotated[float, Quantity(kind=AREA, sign="positive")]
Stress = Annotated[float, Quantity(kind=STRESS, sign="positive")]
EnergyPerArea = Annotated[float, Quantity(kind=ENERGY_PER_AREA, sign="positive")]
Energy = Annotated[float, Quantity(kind=ENERGY)]
Force = Annotated[float, Quantity(kind=FORCE, sign="positive")]
Temperature = Annotated[float, Quantity(kind=TEMPERATURE, sign="positive")]
Time = Annotated[float, Quantity(kind=TIME, sign="positive")]
