"""What offline pages are put together from: numbers, tables, figures, the page itself."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from multiscale.report_style import CSS


def html_page(title: str, body: str, *, style: str = "", script: str = "") -> str:
    """A whole page, which needs no other file.

    Args:
        title: of the window.
        body: HTML within ``main``.
        style: rules beyond those of all pages.
        script: JavaScript that runs when the page is there.
    """
    code = f"<script>{script}</script>" if script else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}{style}</style></head><body><main>{body}</main>{code}</body></html>\n"
    )


def html_sections(sections: Sequence[tuple[str, str]]) -> str:
    """Links to the sections that hold something, then these."""
    present = [(title, body) for title, body in sections if body]
    links = "".join(f'<a href="#{_anchor(title)}">{escape(title)}</a>' for title, _ in present)
    bodies = "".join(
        f'<section id="{_anchor(title)}"><h2>{escape(title)}</h2>{body}</section>' for title, body in present
    )
    return f"<nav>{links}</nav>{bodies}"


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def format_number(value: Any) -> str:
    """A number with four digits, powers of ten written out; other values as they are."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    text = f"{value:.4g}"
    if "e" not in text:
        return text.replace("-", "−")
    mantissa, exponent = text.split("e")
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa.replace('-', '−')} × 10{raised}"


def html_note(text: Any) -> str:
    """A remark in small print; nothing without a text."""
    return f'<p class="note">{escape(str(text))}</p>' if text else ""


def html_warnings(heading: str, warnings: Sequence[str]) -> str:
    """A box of warnings; nothing where there are none."""
    if not warnings:
        return ""
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f'<div class="box warning"><strong>{escape(heading)}</strong><ul>{items}</ul></div>'


def html_table(headings: Sequence[str], rows: Sequence[Sequence[Any]], *, name: str = "") -> str:
    """A table; numbers are aligned right."""
    if not rows:
        return ""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = ""
    for row in rows:
        cells = ""
        for value in row:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            cells += f"<td{' class=number' if number else ''}>{escape(format_number(value))}</td>"
        body += f"<tr>{cells}</tr>"
    head = f"<thead><tr>{head}</tr></thead>" if any(headings) else ""
    return f'<div class="scroll"><table class="{name}">{head}<tbody>{body}</tbody></table></div>'


def html_figure(name: str, path: Path, caption: str) -> str:
    """A picture within the page."""
    return (
        f'<figure><img src="{picture_data(path)}" alt="{escape(name)}: {escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def picture_data(path: Path) -> str:
    """A PNG as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def badge(status: str, *, good: bool) -> str:
    """A status in colour."""
    return f'<span class="badge {"good" if good else "bad"}">{escape(status)}</span>'
