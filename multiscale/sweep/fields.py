"""Fields of a case by dotted paths: ``specimen.length``, ``faults[0].plane``."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

from multiscale.config.base import flow
from multiscale.config.yaml_text import Keys

_PART = re.compile(r"(?P<name>[^.\[\]]+)|\[(?P<index>[0-9]+)\]")
EXAMPLES = "Write, for example, specimen.length or faults[0].plane"


class FieldError(ValueError):
    """A path that does not lead to a field of the case."""


def parse_path(text: str) -> Keys:
    """Read a dotted path.

    Returns:
        Keys and places in lists (from 0): ``("faults", 0, "plane")``.

    Raises:
        FieldError: for anything else.
    """
    keys: list[str | int] = []
    rest = text.strip()
    while rest:
        found = _PART.match(rest)
        if found is None:
            raise FieldError(f"{text!r} is not a path to a field. {EXAMPLES}")
        keys.append(found["name"] if found["index"] is None else int(found["index"]))
        after = rest[found.end() :]
        rest = after.removeprefix(".")
        broken = after.startswith(".") and (not rest or rest.startswith("["))
        if broken or (after and after[0] not in ".["):
            raise FieldError(f"{text!r} is not a path to a field. {EXAMPLES}")
    if not keys or isinstance(keys[0], int):
        raise FieldError(f"{text!r} is not a path to a field. {EXAMPLES}")
    return tuple(keys)


def path_text(keys: Sequence[str | int]) -> str:
    """A path as a person writes it."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def with_fields(data: Mapping[str, Any], fields: Mapping[Keys, Any]) -> dict[str, Any]:
    """A copy of a case's data with other values in some fields; mappings that are missing on the way are made.

    Raises:
        FieldError: where a path leads through something that is no mapping or list, or to an item that is not there.
    """
    changed = copy.deepcopy(dict(data))
    for keys, value in fields.items():
        _put(changed, keys, copy.deepcopy(value))
    return changed


def _put(data: dict[str, Any], keys: Keys, value: Any) -> None:
    here: Any = data
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        _check_step(here, keys, depth)
        if last:
            here[key] = value
        elif isinstance(here, dict) and here.get(str(key)) is None:
            if isinstance(keys[depth + 1], int):
                raise FieldError(
                    f"the case has no {path_text(keys[: depth + 1])}, so no item {keys[depth + 1]} of it. Vary the list as a "
                    "whole"
                )
            here[key] = {}
            here = here[key]
        else:
            here = here[key]


def _check_step(here: Any, keys: Keys, depth: int) -> None:
    """Refuse a step from `here` that cannot be made."""
    key, above = keys[depth], path_text(keys[:depth])
    if isinstance(key, int):
        if not isinstance(here, list):
            raise FieldError(f"{above} is {flow(here)[:60]}, not a list. Leave [{key}] out")
        if key >= len(here):
            raise FieldError(
                f"{above} has {len(here)} item{'s' if len(here) != 1 else ''}, counted from 0; there is no [{key}]. Write "
                "one that is there, or vary the list as a whole"
            )
    elif isinstance(here, list):
        raise FieldError(f"{above} is a list. Say which item of it: {above}[0].{key}")
    elif not isinstance(here, dict):
        raise FieldError(f"{above} is {flow(here)[:60]}, which has no {key!r}. Vary {above} as a whole")
