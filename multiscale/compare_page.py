"""One offline page that compares runs: case differences, quantities, curves, energy balance, effort, circumstances."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from multiscale.compare import Row, SideBySide
from multiscale.html_parts import badge, format_number, html_figure, html_note, html_page, html_sections, html_warnings
from multiscale.progress import format_seconds

CAPTIONS = {
    "comparison.png": (
        "Toughness from K₋ to K₊ of each run, in MPa√m and in shares of its own Griffith load; barriers where they are known."
    ),
    "curves.png": "The same curves of all runs, as far as they have them.",
}
STYLE = """
main { max-width: 76rem; } td.other { background: #fdf6e7; }
"""


def render(compared: SideBySide, pictures: Mapping[str, Path], folder: Path) -> str:
    """The page as text.

    Args:
        compared: the runs.
        pictures: file name -> PNG.
        folder: where the page will be, for links to the runs.
    """
    shown = "".join(html_figure(name, path, CAPTIONS[name]) for name, path in pictures.items())
    sections = [
        ("Runs", _runs(compared, folder)),
        ("Case", _table(compared, compared.case) or html_note("The cases are the same.")),
        ("Pictures", shown),
        ("Quantities", _table(compared, compared.quantities, relative=True)),
        ("Energy balance", _table(compared, compared.closures) + _table(compared, compared.ledger, relative=True)),
        ("Times and calls", _table(compared, compared.effort)),
        ("Circumstances", _table(compared, compared.circumstances) or html_note("Versions, machine and models agree.")),
    ]
    studies = list(dict.fromkeys(run.study for run in compared.runs))
    title = f"{len(compared.runs)} runs of {' and '.join(studies)}"
    header = f'<header><h1>{escape(title)}</h1><p class="status">side by side</p></header>'
    return html_page(title, header + _warnings(compared) + html_sections(sections), style=STYLE)


def _runs(compared: SideBySide, folder: Path) -> str:
    """A line for each run: a link to its report, its title, how it ended, and how its results agree with the first's."""
    rows = ""
    for number, run in enumerate(compared.runs):
        page = run.directory / "report.html"
        target = page if page.is_file() else run.directory
        link = f'<a href="{escape(os.path.relpath(target, folder.absolute()))}">{escape(run.label)}</a>'
        seconds = run.record.get("seconds")
        cells = (
            link,
            escape(run.title),
            badge(run.status, good=run.status == "finished"),
            "" if seconds is None else format_seconds(float(seconds)),
            escape(compared.against_first(number) or "another case") if number else "",
        )
        rows += "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    heads = ("run", "about", "status", "time", "results against the first run's")
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _table(compared: SideBySide, rows: Sequence[Row], *, relative: bool = False) -> str:
    """A line for each row, what differs from the first run marked; with `relative` the largest difference in per cent."""
    if not rows:
        return ""
    labels = [run.label for run in compared.runs]
    heads = ["", *labels, *(["unit"] if any(row.unit for row in rows) else []), *(["largest difference"] * relative)]
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = ""
    for row in rows:
        cells = [f"<td>{escape(row.name)}</td>", *(_cell(value, row.values[0]) for value in row.values)]
        if "unit" in heads:
            cells.append(f"<td>{escape(row.unit)}</td>")
        if relative:
            largest = row.largest
            text = "" if largest is None else "0" if largest == 0 else f"{format_number(100 * largest)} %"
            cells.append(f"<td class=number>{escape(text)}</td>")
        body += f"<tr>{''.join(cells)}</tr>"
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(value: Any, first: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    kinds = [*(["number"] if number else []), *(["other"] if value != first else [])]
    name = f' class="{" ".join(kinds)}"' if kinds else ""
    return f"<td{name}>{escape(format_number(value))}</td>"


def _warnings(compared: SideBySide) -> str:
    """What runs warned of, and those that did not finish."""
    html = ""
    for run in compared.runs:
        if run.status != "finished" and run.record.get("error"):
            said = escape(str(run.record["error"]))
            html += f'<div class="box bad"><strong>{escape(run.label)} {escape(run.status)}.</strong> {said}</div>'
        html += html_warnings(f"Warnings of {run.label}", [str(text) for text in run.results.get("warnings", [])])
    return html
