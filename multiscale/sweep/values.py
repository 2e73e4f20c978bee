"""Values of parameters: ranges with their units, and what stands in tables for a value."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from multiscale.config.base import flow
from multiscale.sweep.ledger import PointValue
from multiscale.units import registry

_QUANTITY = re.compile(r"\s*(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*\*?\s*(?P<unit>[^\s\d.].*?)?\s*")
LONGEST = 60
"""Letters of a value in a table."""


class RangeError(ValueError):
    """A range that has no values; ``key`` says which end is to blame."""

    def __init__(self, message: str, key: str):
        super().__init__(message)
        self.key = key


def quantity(value: Any) -> tuple[float, str] | None:
    """The number and the unit ("" for none) of a value; None where it is no number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if not isinstance(value, str):
        return (float(value), "") if math.isfinite(value) else None
    found = _QUANTITY.fullmatch(value)
    return None if found is None else (float(found["number"]), found["unit"] or "")


def in_unit(number: float, unit: str, other: str) -> float | None:
    """A number of one unit in another; None where there is no way."""
    if unit == other:
        return number
    ureg = registry()
    try:
        return float(ureg.Quantity(number, ureg.Unit(unit)).to(ureg.Unit(other)).magnitude)
    except Exception:  # pint raises many classes for text that is no unit, or of another dimension
        return None


def limits(start: Any, to: Any, *, scale: str, integer: bool) -> tuple[float, float, str]:
    """Both ends of a range, in the unit of the first.

    Raises:
        RangeError: they are no numbers, of different units, not ascending, or not as the scale or `integer` needs.
    """
    low, unit = _end(start, "from")
    upper, other = _end(to, "to")
    high = in_unit(upper, other, unit)
    if high is None:
        given = f"the unit {other!r}" if other else "no unit"
        raise RangeError(f"{to!r} has {given}, which does not go with {start!r}. Write both ends in one unit", "to")
    if not low < high:
        raise RangeError(f"the range ends at {to!r}, which is not above {start!r}. Write the smaller value first", "to")
    if scale == "log" and low <= 0.0:
        raise RangeError(
            f"a logarithmic range must begin above zero, not at {start!r}. Raise it or take scale: linear", "from"
        )
    if integer and not (low.is_integer() and high.is_integer()):
        raise RangeError(f"{start!r} to {to!r} are no whole numbers. Write whole numbers or leave integer out", "from")
    return low, high, unit


def _end(given: Any, key: str) -> tuple[float, str]:
    found = quantity(given)
    if found is None:
        raise RangeError(f"{given!r} is not a number, with its unit or without. Write {key}: 50 GPa", key)
    return found


def at_share(share: float, bounds: tuple[float, float, str], *, scale: str, integer: bool) -> Any:
    """The value at a share (0 to 1) of a range, as it stands in a case: ``"62.5 GPa"``, or a number."""
    low, high, unit = bounds
    if integer:
        number: float = min(math.floor(low + share * (high - low + 1)), int(high))
    elif scale == "log":
        number = low * (high / low) ** share
    else:
        number = low + share * (high - low)
    rounded = number if integer else float(f"{number:.9g}")
    if unit:
        return f"{rounded:.9g} {unit}"
    return int(rounded) if integer else rounded


def spaced(count: int, bounds: tuple[float, float, str], *, scale: str, integer: bool) -> list[Any]:
    """Values over a range, both ends among them, as they stand in a case; of whole numbers each once."""
    low, high, unit = bounds
    if not integer:
        return [at_share(k / (count - 1), bounds, scale=scale, integer=False) for k in range(count)]
    shares = [k / (count - 1) for k in range(count)]
    numbers = [low * (high / low) ** s if scale == "log" else low + s * (high - low) for s in shares]
    whole = dict.fromkeys(round(number) for number in numbers)
    return [f"{number} {unit}" if unit else number for number in whole]


def unit_of(values: Sequence[Any]) -> str | None:
    """The unit that all values can be said in: that of the first; "" for plain numbers, None where not all are numbers."""
    found = [quantity(value) for value in values]
    if not found or any(one is None for one in found):
        return None
    unit = found[0][1] if found[0] is not None else ""
    return unit if all(one is not None and in_unit(*one, unit) is not None for one in found) else None


def point_value(value: Any, unit: str | None, label: str | None = None) -> PointValue:
    """A value as tables and plots take it, with the text that stands in the case."""
    text = flow(value)
    found = quantity(value)
    if unit is None or found is None:
        shown = label if label is not None else _short(value, text)
        return PointValue(value=shown, text=text)
    number = in_unit(*found, unit)
    if number is not None and isinstance(value, int):
        return PointValue(value=value, text=text)
    return PointValue(value=number, text=text)


def _short(value: Any, text: str) -> Any:
    """What a table says of a value that is no number."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, Mapping):
        head = next(
            (value[key] for key in ("calculator", "path", "type", "shape") if isinstance(value.get(key), str)), None
        )
        text = head if head is not None else text
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
