"""The reference: a page for each folder of the four packages, written when the site is built, and docstrings made ready for it.

Docstrings are plain text with `names` in backticks, formulas indented after an empty line, and Google's sections. What would mean
something else to reStructuredText (|F|, *, a_) is escaped here.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

from docutils.nodes import literal_block
from sphinx.addnodes import pending_xref

ROOT = Path(__file__).parents[2]
PACKAGES = ("atomistic", "continuum", "coupling", "multiscale")
SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields|Warns):$")
WHOLE = "|".join(PACKAGES)


def dotted(path: Path) -> str:
    """The import path of a folder or module."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def modules(folder: Path) -> list[Path]:
    """The public modules of one folder."""
    return sorted(path for path in folder.glob("*.py") if not path.stem.startswith("_"))


@cache
def folders() -> list[Path]:
    """The folders of all packages, a package before what it holds."""
    return [init.parent for package in PACKAGES for init in sorted((ROOT / package).rglob("__init__.py"))]


@cache
def homes() -> dict[str, str]:
    """Where each public class stands whose name is one of a kind."""
    found: dict[str, list[str]] = {}
    for folder in folders():
        for path in modules(folder):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef):
                    found.setdefault(node.name, []).append(f"{dotted(path)}.{node.name}")
    return {name: places[0] for name, places in found.items() if len(places) == 1}


def page(folder: Path) -> str:
    """The source of a folder's page."""
    name = dotted(folder)
    lines = [name, "=" * len(name), "", f".. automodule:: {name}", "   :no-members:", ""]
    for module in map(dotted, modules(folder)):
        lines += [module, "-" * len(module), "", f".. automodule:: {module}", ""]
    return "\n".join(lines)


def write_pages(app: Any) -> None:
    """Write the pages that differ from what is there, so that an unchanged reference is not built again."""
    out = Path(app.srcdir) / "api"
    out.mkdir(exist_ok=True)
    pages = {f"{dotted(folder)}.rst": page(folder) for folder in folders()}
    for name, text in pages.items():
        path = out / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in out.glob("*.rst"):
        if path.name not in pages:
            path.unlink()


def code(text: str) -> str:
    """What stood between backticks: a link where it names something of ours, else code."""
    if text in homes():
        return f":py:obj:`{text} <{homes()[text]}>`"
    if re.fullmatch(rf"(?:{WHOLE})(?:\.\w+)+", text):
        return f":py:obj:`{text}`"
    return f"``{text}``"


def escaped(line: str) -> str:
    """A line in which only backticks mean something."""
    pieces = re.split(r"`+([^`]+)`+", line)
    plain = [re.sub(r"([*|\\]|_(?!\w))", r"\\\1", piece) for piece in pieces[::2]]
    marked = [code(piece) for piece in pieces[1::2]]
    return "".join(text for pair in zip(plain, [*marked, ""], strict=True) for text in pair)


def prepared(lines: list[str]) -> list[str]:
    """Docstring lines, with formulas as literal blocks."""
    made: list[str] = []
    section = literal = False
    for before, line in zip(["", *lines], lines, strict=False):
        indented = line.startswith(" ")
        if line and not indented:
            section, literal = bool(SECTION.match(line)), False
        if indented and not section and not literal and not before:
            made += ["::", ""]
            literal = True
        made.append(line if literal else escaped(line))
    return made


def ready(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Rewrite the lines of one docstring, before napoleon reads its sections; an attribute's has none."""
    lines[:] = prepared(lines)
    if what in ("attribute", "property", "data"):
        # napoleon, which comes next, would take all before a colon for a type.
        app.api_attribute = list(lines)


def as_it_was(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Undo what napoleon made of an attribute."""
    if what in ("attribute", "property", "data"):
        lines[:] = app.api_attribute


def exact(app: Any, doctree: Any) -> None:
    """Look names of types up where they stand instead of searching everything that ends like them, which takes minutes."""
    for node in doctree.findall(pending_xref):
        if node.get("refdomain") == "py" and node.hasattr("refspecific"):
            del node["refspecific"]  # False means the same as True: Sphinx looks whether it is there
            node["reftarget"] = homes().get(node["reftarget"], node["reftarget"])


def coloured(app: Any, doctree: Any) -> None:
    """Indented blocks that begin with an import are Python; what else is indented (commands, formulas, output) stays plain."""
    for node in doctree.findall(literal_block):
        if node.get("language") == "none" and re.match(r"(from|import) \w", node.astext()):
            node["language"] = "python"


def setup(app: Any) -> dict[str, bool]:
    """Hook into Sphinx."""
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", ready, priority=400)
    app.connect("autodoc-process-docstring", as_it_was, priority=600)
    app.connect("doctree-read", exact)
    app.connect("doctree-read", coloured)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
