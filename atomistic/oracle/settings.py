"""Settings of engines: dataclasses read from mappings, with the names checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, field, fields
from typing import Any

import numpy as np

from atomistic.errors import OracleInputError, nearest


def way(default: Any) -> Any:
    """A setting of the way to the answer (iterations, mixing), not of the answer: it is no part of a result's identity."""
    return field(default=default, metadata={"way": True})


def read_settings[Settings](kind: type[Settings], given: Mapping[str, Any] | None, *, engine: str) -> Settings:
    """Return the settings dataclass `kind` filled from a mapping.

    Raises:
        OracleInputError: an unknown setting (with the nearest name), or a value that makes no sense.
    """
    if given is not None and not isinstance(given, Mapping):
        raise OracleInputError(f"settings of {engine} are a mapping of names to values; got {given!r}.")
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    for name in given or {}:
        if name not in known:
            raise OracleInputError(
                f"{engine} has no setting {name!r}.{nearest(str(name), known)} It has {', '.join(known)}."
            )
    return kind(**dict(given or {}))


def identity_of(settings: Any) -> dict[str, Any]:
    """Return the settings that decide the answer and differ from their defaults, ready for JSON.

    Leaving out defaults lets an engine gain settings without making every cached result a stranger. Numbers that may have
    fractions are written with one: 300 and 300.0 are the same cutoff.
    """
    values = {f.name: (f, getattr(settings, f.name)) for f in fields(settings) if not f.metadata.get("way")}
    return {
        name: float(value) if type(value) is int and "float" in str(f.type) else plain(value)
        for name, (f, value) in values.items()
        if value != _default(f)
    }


def _default(f: Field[Any]) -> Any:
    return f.default_factory() if f.default_factory is not MISSING else f.default


def plain(value: Any) -> Any:
    """Return `value` as JSON knows it: lists, dicts with sorted text keys, numbers, text.

    Raises:
        OracleInputError: a value that no file can hold, such as a function.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | str | int | float):
        return value
    raise OracleInputError(
        f"A setting must be a number, a text, a list or a mapping, so that a cached result can be recognised; got {value!r}."
    )


def positive(name: str, value: Any, *, zero: bool = False) -> None:
    """Refuse what is no positive number (or zero, where that is allowed).

    Raises:
        OracleInputError: what was given.
    """
    fine = isinstance(value, int | float | np.number) and not isinstance(value, bool) and np.isfinite(value)
    if not fine or value < 0 or (value == 0 and not zero):
        raise OracleInputError(f"{name} must be a {'number ≥ 0' if zero else 'positive number'}; got {value!r}.")


def whole(name: str, value: Any, *, least: int = 1) -> None:
    """Refuse what is no whole number of at least `least`.

    Raises:
        OracleInputError: what was given.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise OracleInputError(f"{name} must be a whole number ≥ {least}; got {value!r}.")


def one_of(name: str, value: Any, valid: Iterable[str]) -> None:
    """Refuse what is none of the valid words.

    Raises:
        OracleInputError: what was given, with the nearest.
    """
    words = list(valid)
    if value not in words:
        raise OracleInputError(f"{name} must be one of {', '.join(words)}; got {value!r}.{nearest(str(value), words)}")
