"""YAML text to plain data and the place of everything in it, within limits.

The parser's events become mappings, lists, text, numbers, booleans and nothing: no tag is obeyed, so no text can name
something to be made or run. Plain scalars are resolved by the core schema of YAML 1.2.2 (section 10.3.2); a date is text.
Aliases and merge keys are copied out and counted, so that neither one within itself nor a few that stand for millions
("billion laughs") go further than this module.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import AliasEvent, DocumentStartEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

Keys = tuple[str | int, ...]
Places = dict[Keys, tuple[int, int]]
"""Line and column, from 1, of every key and item."""

LARGEST_FILE = 2**20
"""Bytes of a case file; the largest example has some thousand."""
LARGEST_DEPTH = 40
"""Mappings and lists within each other."""
LARGEST_COUNT = 100_000
"""Values of a case, aliases copied out."""
LARGEST_INTEGER = 2**63 - 1

_NOTHING = ("", "~", "null", "Null", "NULL")
_BOOLEANS = {word: value for value in (True, False) for word in (str(value).lower(), str(value), str(value).upper())}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"(?P<number>[-+]?)\.(?P<word>inf|Inf|INF|nan|NaN|NAN)")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""Controls, halves of a pair and what is no character: no name or quantity needs them, terminals and files choke on them."""


_ESCAPE = re.compile(r"\\U([0-9a-fA-F]{8})")


class YamlTextError(ValueError):
    """A text that is no data of ours: the cause, how to mend it, its place, and the keys that lead there."""

    def __init__(self, cause: str, fix: str, *, place: tuple[int, int], keys: Keys = ()):
        super().__init__(f"{cause}. {fix}")
        self.cause, self.fix, self.place, self.keys = cause, fix, place, keys


@dataclass(frozen=True, kw_only=True)
class _Node:
    """A value as it is written: its place, and text, items or pairs of keys and values; aliases share one node."""

    place: tuple[int, int]
    kind: type
    text: str = ""
    plain: bool = False
    items: tuple[_Node, ...] = ()
    pairs: tuple[tuple[_Node, _Node], ...] = ()

    @property
    def merges(self) -> bool:
        """Whether this key is YAML's merge key."""
        return self.plain and self.text == "<<"


def read_yaml(text: str) -> tuple[Any, Places]:
    """The data of one YAML document, and the line and column of every key and item in it.

    What an alias or a merge key repeats has the place where it is written.

    Raises:
        YamlTextError: no YAML, several documents, a tag, a key twice, or more than the limits above.
    """
    if found := _UNPRINTABLE.search(text):
        raise _unprintable(found[0], _place_at(text, found.start()))
    root = _Composer(text).document()
    places: Places = {}
    return _Builder(places).value(root, ()), places


class _Composer:
    """Nodes from the events of a text."""

    def __init__(self, text: str):
        self._text = text
        self._events = self._parsed()
        self._anchors: dict[str, _Node] = {}
        self._open: list[str | None] = []

    def document(self) -> _Node:
        """The one document of the text."""
        next(self._events)  # the stream's start
        event = next(self._events)
        if not isinstance(event, DocumentStartEvent):
            return _Node(place=(1, 1), kind=str, plain=True)
        root = self._node(next(self._events))
        next(self._events)  # the document's end
        event = next(self._events)
        if isinstance(event, DocumentStartEvent):
            raise YamlTextError("another document begins here", "Give one case a file", place=_place(event.start_mark))
        return root

    def _parsed(self) -> Iterator[Any]:
        try:
            yield from YAML(typ="safe", pure=True).parse(self._text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            cause = f"not valid YAML: {error.problem or error.context}"
            raise YamlTextError(cause, _syntax_hint(self._text, mark), place=_place(mark)) from None
        except (ValueError, OverflowError):  # what chr() says of an escape beyond the last character
            found = next(one for one in _ESCAPE.finditer(self._text) if int(one[1], 16) > sys.maxunicode)
            cause = f"not valid YAML: the escape {found[0]} stands for no character"
            raise YamlTextError(
                cause, "Write the character itself", place=_place_at(self._text, found.start())
            ) from None

    def _node(self, event: Any) -> _Node:
        place = _place(event.start_mark)
        if isinstance(event, AliasEvent):
            return self._anchored(event.anchor, place)
        if event.tag is not None:
            raise YamlTextError(
                f"the tag {event.tag} asks for a special kind of value, which cases do not have",
                "Leave the tag out; text stands in quotes",
                place=place,
            )
        if len(self._open) == LARGEST_DEPTH:
            raise _too_deep(place)
        self._open.append(event.anchor)
        node = self._composed(event, place)
        self._open.pop()
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _composed(self, event: Any, place: tuple[int, int]) -> _Node:
        if isinstance(event, ScalarEvent):
            if found := _UNPRINTABLE.search(event.value):  # written as an escape
                raise _unprintable(found[0], place)
            return _Node(place=place, kind=str, text=event.value, plain=event.implicit[0])
        if isinstance(event, SequenceStartEvent):
            return _Node(place=place, kind=list, items=tuple(self._nodes()))
        assert isinstance(event, MappingStartEvent)
        nodes = list(self._nodes())
        return _Node(place=place, kind=dict, pairs=tuple(zip(nodes[::2], nodes[1::2], strict=True)))

    def _nodes(self) -> Iterator[_Node]:
        while not type(event := next(self._events)).__name__.endswith("EndEvent"):
            yield self._node(event)

    def _anchored(self, name: str, place: tuple[int, int]) -> _Node:
        if name in self._open:
            raise YamlTextError(f"the alias *{name} stands within what it repeats", "Write it out", place=place)
        if name not in self._anchors:
            raise YamlTextError(f"there is no anchor &{name} before the alias *{name}", "Write the value", place=place)
        return self._anchors[name]


class _Builder:
    """Data from nodes; ``places`` takes note of where each key and item stands."""

    def __init__(self, places: Places):
        self._places = places
        self._count = 0

    def value(self, node: _Node, path: Keys) -> Any:
        """What a node at ``path`` holds."""
        self._places.setdefault(path, node.place)
        self._counted(node, depth=len(path))
        if node.kind is dict:
            return self._mapping(node, path)
        if node.kind is list:
            return [self.value(item, (*path, index)) for index, item in enumerate(node.items)]
        return _scalar(node, path)

    def _counted(self, node: _Node, *, depth: int) -> None:
        """Refuse more values, or deeper ones, than a case has: by aliases few lines may stand for any number."""
        self._count += 1
        if depth > LARGEST_DEPTH:
            raise _too_deep(node.place)
        if self._count > LARGEST_COUNT:
            raise YamlTextError(
                f"the case holds more than {LARGEST_COUNT:,} values, all that aliases repeat counted",
                "Write fewer; tables belong into files of their own",
                place=node.place,
            )

    def _mapping(self, node: _Node, path: Keys) -> dict:
        data: dict = {}
        merged: list[_Node] = []
        for key_node, value_node in node.pairs:
            if key_node.merges:
                merged += _mappings(value_node, path)
                continue
            key = _key(key_node, path)
            if key in data:
                raise YamlTextError(f"duplicate key {key!r}", "Keep one of the two", place=key_node.place)
            data[key] = self._entry(key, key_node, value_node, path)
        for other in merged:  # the mapping's own keys win, and of several merged mappings the first
            for key_node, value_node in self._flat(other, path):
                if (key := _key(key_node, path)) not in data:
                    data[key] = self._entry(key, key_node, value_node, path)
        return data

    def _entry(self, key: str | int, key_node: _Node, value_node: _Node, path: Keys) -> Any:
        self._places.setdefault((*path, key), key_node.place)
        return self.value(value_node, (*path, key))

    def _flat(self, node: _Node, path: Keys, depth: int = 0) -> Iterator[tuple[_Node, _Node]]:
        """Pairs of a merged mapping, its own first, then those that it merges itself."""
        self._counted(node, depth=depth)
        yield from (pair for pair in node.pairs if not pair[0].merges)
        for key_node, value_node in node.pairs:
            if key_node.merges:
                for other in _mappings(value_node, path):
                    yield from self._flat(other, path, depth + 1)


def _mappings(node: _Node, path: Keys) -> list[_Node]:
    """The mappings that a merge key names: one, or a list."""
    found = list(node.items) if node.kind is list else [node]
    if any(one.kind is not dict for one in found):
        fix = "Write the alias of a mapping, <<: *name, or a list of such"
        raise YamlTextError("a merge key takes mappings", fix, place=node.place, keys=path)
    return found


def _key(node: _Node, path: Keys) -> str | int:
    key = _scalar(node, path) if node.kind is str else node.kind()
    if isinstance(key, str) or type(key) is int:
        return key
    kinds: dict[type, str] = {dict: "a mapping", list: "a list", str: f"the value {node.text!r}"}
    cause = f"{kinds[node.kind]} as a key is not text"
    raise YamlTextError(cause, "Write a name as the key, in quotes where need be", place=node.place, keys=path)


def _scalar(node: _Node, path: Keys) -> Any:
    """A scalar by the core schema."""
    text = node.text
    if not node.plain:
        return text
    if text in _NOTHING:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return _integer(text, node.place, path)
    if found := _NOT_FINITE.fullmatch(text):
        return float(found["number"] + found["word"])
    return float(text) if _FLOAT.fullmatch(text) else text


def _integer(text: str, place: tuple[int, int], path: Keys) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    digits = text.lstrip("+-0") if base == 10 else text[2:]
    number = int(text, base) if len(digits) < 32 else LARGEST_INTEGER + 1
    if abs(number) > LARGEST_INTEGER:
        shown = text if len(text) < 32 else f"{text[:12]}... of {len(text)} digits"
        raise YamlTextError(f"the number {shown} is too large", "Write a smaller one", place=place, keys=path)
    return number


def _too_deep(place: tuple[int, int]) -> YamlTextError:
    fix = f"Nest at most {LARGEST_DEPTH} mappings and lists; a case needs about 6"
    return YamlTextError("mappings and lists are nested too deeply here", fix, place=place)


def _place(mark: Any) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1


def _place_at(text: str, index: int) -> tuple[int, int]:
    before = text[:index]
    return before.count("\n") + 1, index - before.rfind("\n")


def _unprintable(character: str, place: tuple[int, int]) -> YamlTextError:
    cause = f"not valid YAML: the character U+{ord(character):04X} is not allowed"
    return YamlTextError(cause, "Take it out; text of other languages is welcome, in UTF-8", place=place)


def _syntax_hint(text: str, mark: Any) -> str:
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if "\t" in line:
        return "Indent with spaces, not tabs"
    if line.count(": ") > 1 and "{" not in line:
        return "Put quotes around text that contains a colon, or braces around several keys on one line"
    return "Check brackets, quotes, colons and the indentation there and in the line before"
