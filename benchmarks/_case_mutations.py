"""Case files as mistakes, accidents and malice make them, and what must hold of each: a case, or an error with its place.

`mutated_cases` draws the bytes of a file: a template or an example, its values, keys and text changed once or several
times. `verdict` reads one.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from pydantic import BaseModel
from ruamel.yaml import YAML

from multiscale.config import CaseError, load_case
from multiscale.config.base import _models
from multiscale.config.load import STUDIES
from multiscale.config.template import TEMPLATES
from multiscale.run import strict_json

EXAMPLES = Path(__file__).parents[1] / "examples"
PATIENCE = 10.0
"""Seconds of the processor that a file may take; the slowest there is, at the limits of size, takes half of them."""


class Raw(str):
    """Text that stands in the YAML as it is."""


def _laughs(lines: int) -> str:
    """A list of lists of lists ... by aliases: ten to the power of its lines."""
    text = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n"
    for number in range(1, lines):
        text += f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]\n"
    return text


def _merges(lines: int) -> str:
    text = "m0: &m0 {a: 1}\n"
    for number in range(1, lines):
        text += f"m{number}: &m{number} {{<<: [{', '.join([f'*m{number - 1}'] * 10)}]}}\n"
    return text


def _chain(link: str) -> str:
    """A thousand anchors, each of which holds the one before."""
    return "c0: &c0 {a: 1}\n" + "".join(f"c{k}: &c{k} {link.format(k - 1)}\n" for k in range(1, 1000))


NUMBERS = [0, 1, -1, 3, 7, 10**6, 10**18, -(10**30), 10**400, 0.5, -2.5, 1e-300, 1e300, True, False, None]
QUANTITIES = [
    "5 nm", "-5 nm", "0 nm", "nan nm", "inf nm", "1e400 nm", "1e-400 nm", "5", "5 furlong", "5 GPa", "5 nm^-3",
    "5 **nm", "5 nm(", "5 nm/0", "5 nm*2**9**9**9", "5 " + "n" * 5000, "9" * 5000 + " nm", "٣ nm", "5 ℃", "5 A",
    "1e9 km", "1e300 km", "5 K_G", "-1 K_G", "nan K_G", "200 % K_G", "K_G", "5 MPa√m", "√", "300 K", "-300 K",
    "0.1 eV/angstrom", "1e30 eV", "5 __import__('os')",
]  # fmt: skip
TEXTS = [
    "", " ", "x", "none", "auto", "Al", "Xx", "fcc", "rocksalt", "hcp", "I", "sevennet-0", "../../x", "/etc/passwd",
    "/dev/zero", "~", "x" * 5000, "a/" * 3000, "\u202egpj.exe", "😀", "ｎｍ", "a:b", "os:system", "nosuch.module:Class",
    "a\x00b", "\x1b[31mred", "\ud800", "\n\n", "%s%n", "{0}", "${HOME}", "`id`", "'; DROP TABLE runs;--", "<script>",
    "1e5", "0x10", "1_000", "yes", "2026-11-23", "NaN", ".inf",
]  # fmt: skip
NESTED: list[Any] = [
    [],
    {},
    [[]],
    [1, 2],
    [1, 1, 1],
    [1, 1, -2],
    [0, 0, 0],
    [1, 1, 1, 1],
    [None],
    {"x": 1},
    ["a", "a"],
    [True, False, True],
]
RAW = [
    Raw(text)
    for text in (
        "!!python/object/apply:os.system [id]", "!!python/name:os.system", "!!binary aGVsbG8=", "!!set {a, b}",
        "!!omap [a: 1]", "!!int x", "!!timestamp soon", "!include /etc/passwd", "!<tag:yaml.org,2002:str> a",
        "&a [*a]", "&a {b: *a}", "*nobody", "{<<: 5}", "{<<: [1]}", "{<<: {shape: block}}", "{? [1] : 2}",
        "{? {a: 1} : 2}", "{1: 2}", "{null: 1}", "{.nan: 1}", "{true: 1}", "{a: 1, a: 2}", "[" * 30 + "]" * 30,
        "[" * 500 + "]" * 500, "{a: " * 500 + "1" + "}" * 500, "[" * 5000, '"\\UFFFFFFFF"', '"\\ud800"', '"\\0"',
        '"\\e[31m"', "'", '"', "[", "{", "}", "|", ">-", "%", "@", "`", "? a", "- a", "a: b: c", "2001-99-99", "0o_",
        "0x_", "1:30:00", "<<", "=", ".nan", "-.inf", "1e999", "9" * 5000, "[" + "1, " * 3000 + "1]",
    )
]  # fmt: skip
PIECES = [
    "\t", "\r\n", "\r", "\x00", "\x07", "\x85", "\u2028", "\ufeff", "\u202e", "é", "😀", ":", ": ", "- ", "#", "{",
    "}", "[", "]", "*a", "&a ", "!!x ", "|\n", "---\n", "...\n", "%YAML 1.1\n", "%TAG ! tag:x,2000:\n", "<<: ", "? ",
    '"', "'", "\\", "@", "`", "0" * 400, "\n" * 50, " " * 300,
]  # fmt: skip
HEADS = [
    _laughs(9),
    _laughs(30),
    _chain("[*c{}]"),
    _chain("{{<<: *c{}}}"),
    _merges(9),
    "%YAML 1.1\n---\n",
    "%YAML 9.9\n---\n",
    "--- a\n",
    "a: &a 1\n",
    "? - \n",
    "\ufeff",
    "#" * 70000 + "\n",
]


def _sources() -> Iterator[str]:
    yield from TEMPLATES.values()
    for path in sorted(EXAMPLES.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        if "\nstudy:" in f"\n{text}":
            yield text


SOURCES = list(_sources())
"""Every template and example of a case."""
VALUES = [*NUMBERS, float("nan"), float("inf"), *QUANTITIES, *TEXTS, *NESTED, *RAW]


def _places(data: Any, path: tuple = ()) -> Iterator[tuple]:
    """Paths of all values within."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from _places(value, (*path, key))


def _at(data: Any, path: tuple) -> Any:
    for key in path:
        data = data[key]
    return data


def _fields(model: type[BaseModel], path: tuple) -> list[str]:
    """Names of keys that a mapping at ``path`` may have, of all its alternatives."""
    models = [model]
    for part in path:
        if isinstance(part, str):
            fields = [m.model_fields[part] for m in models if part in m.model_fields]
            models = [below for field in fields for below in _models(field.annotation)]
    return sorted({name for m in models for name in m.model_fields})


def _emitted(value: Any) -> str:
    """A value in YAML's flow style; ``Raw`` stands as it is."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_emitted(key)}: {_emitted(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_emitted, value)) + "]"
    if isinstance(value, float):
        return {"nan": ".nan", "inf": ".inf", "-inf": "-.inf"}.get(repr(value), repr(value))
    return json.dumps(value)


def _written(data: dict) -> str:
    return "".join(f"{_emitted(key)}: {_emitted(value)}\n" for key, value in data.items())


@st.composite
def _changed_data(draw: Callable, text: str) -> str:
    """The case with one to three of its values or keys changed, written anew."""
    data = YAML(typ="safe", pure=True).load(text)
    model = STUDIES[data["study"]]
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        places = list(_places(data))
        path = draw(st.sampled_from(places))
        above = _at(data, path[:-1])
        value = copy.deepcopy(draw(st.sampled_from(VALUES)))
        change = draw(st.sampled_from(["value", "value", "value", "delete", "rename", "add", "add", "move", "wrap"]))
        if change == "value":
            above[path[-1]] = value
        elif change == "delete":
            del above[path[-1]]
        elif change == "rename" and isinstance(above, dict):
            above[draw(st.sampled_from([f"{path[-1]}x", str(path[-1])[:-1], *TEXTS, *RAW]))] = above.pop(path[-1])
        elif change == "add" and isinstance(above, dict):
            above[draw(st.sampled_from(_fields(model, path[:-1]) or ["x"]))] = value
        elif change == "move":
            above[path[-1]] = copy.deepcopy(_at(data, draw(st.sampled_from(places))))
        elif change == "wrap":
            above[path[-1]] = draw(st.sampled_from([[above[path[-1]]], {"x": above[path[-1]]}]))
    return _written(data)


@st.composite
def _changed_text(draw: Callable, text: str) -> str:
    """The text with comments made keys, lines lost or doubled, and characters put in."""
    lines = text.splitlines(keepends=True)
    for _ in range(draw(st.sampled_from([1, 1, 2, 5]))):
        row = draw(st.integers(0, max(len(lines) - 1, 0)))
        change = draw(
            st.sampled_from(["uncomment", "uncomment", "delete", "double", "swap", "insert", "indent", "cut"])
        )
        if not lines:
            break
        line = lines[row]
        if change == "uncomment":
            commented = [k for k, one in enumerate(lines) if one.lstrip().startswith("#")] or [row]
            row = draw(st.sampled_from(commented))
            lines[row] = lines[row].replace("# ", "", 1)
        elif change == "delete":
            del lines[row]
        elif change == "double":
            lines.insert(row, line)
        elif change == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[row], lines[other] = lines[other], lines[row]
        elif change == "insert":
            column = draw(st.integers(0, len(line)))
            lines[row] = line[:column] + draw(st.sampled_from(PIECES)) + line[column:]
        elif change == "indent":
            lines[row] = draw(st.sampled_from([" ", "   ", "\t", " " * 200])) + line
        else:
            lines[row] = line[: draw(st.integers(0, len(line)))]
    return "".join(lines)


@st.composite
def mutated_cases(draw: Callable) -> bytes:
    """The bytes of a case file that somebody, or something, has changed."""
    text = draw(st.sampled_from(SOURCES))
    text = draw(st.one_of(_changed_data(text), _changed_data(text), _changed_text(text)))
    rare = draw(st.integers(0, 19))
    if rare == 0:
        text = draw(st.sampled_from(HEADS)) + text
    elif rare == 1:
        text = text.replace("\n", draw(st.sampled_from(["\r\n", "\r", "\x85"])))
    elif rare == 2:
        text = text[: draw(st.integers(0, len(text)))]
    elif rare == 3:
        return text.encode("utf-16", "surrogatepass")
    content = text.encode("utf-8", "surrogatepass")
    if rare == 4:
        content = draw(st.binary(max_size=200))
    elif rare == 5:
        place = draw(st.integers(0, len(content)))
        content = content[:place] + draw(st.binary(min_size=1, max_size=4)) + content[place:]
    elif rare == 6:
        content = content * (2**20 // max(len(content), 1) + 1)
    return content


def verdict(content: bytes, path: Path) -> str:
    """Write a file, read it as a case, and say what it was: "case" or "error".

    Raises:
        AssertionError: an error without its place, or that no terminal can show; a case that its own record does not give back;
            a file that takes too long.
    """
    path.write_bytes(content)
    began = time.process_time()
    try:
        case = load_case(path)
    except CaseError as error:
        for problem in error.problems:
            assert problem.file == str(path), problem
            assert (problem.line or 0) >= 1, problem
            assert (problem.column or 0) >= 1, problem
            assert problem.cause, problem
            assert len(str(problem)) < 3000, len(str(problem))
            assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in str(problem)), (
                problem
            )
        return "error"
    finally:
        seconds = time.process_time() - began
        assert seconds < PATIENCE, f"{seconds:.1f} s"
    given = strict_json(case.model_dump(mode="json", exclude_unset=True)).encode("utf-8")  # as run.json records it
    again = type(case)(**json.loads(given))
    assert strict_json(again.model_dump(mode="json")) == strict_json(case.model_dump(mode="json"))
    return "case"
