"""One page for a sweep: how far it is, pictures over the parameters, and a table that links every run and can be sorted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from atomistic.whole_file import PART, write_whole
from multiscale.html_parts import badge, format_number, html_figure, html_page, html_sections, html_table, html_warnings
from multiscale.progress import format_seconds
from multiscale.scalars import Scalar
from multiscale.sweep.collect_table import ATTEMPTS_TIME, RUN_TIME, Sweep, SweptRun
from multiscale.sweep.ledger import STATUSES, counts

PAGE = "index.html"
THUMBNAILS = "thumbnails"
THUMBNAIL_WIDTH = 150
"""Pixels."""
PICTURES = (
    *(
        "load_opening.png",
        "crack_path.png",
        "contact_load.png",
        "path.png",
        "zone.png",
        "properties.png",
        "embedding.png",
    ),
    *("learning.png", "impurity.png", "separation.png", "convergence.png", "validation_parity.png"),
)
"""Pictures of runs, of which the first that is there stands in the table."""
CAPTIONS = {
    "parameters.png": "Results over the parameters. Crosses are cases that failed or ran out of time.",
    "parallel.png": "Every case as a line over its parameters (black axes) and results (blue axes).",
}
STYLE = """
main { max-width: 84rem; } th[data-key] { cursor: pointer; user-select: none; vertical-align: bottom; }
th[data-key]:hover { color: var(--ink); } th[aria-sort=ascending]::after { content: " ▲"; font-size: .7em; }
th[aria-sort=descending]::after { content: " ▼"; font-size: .7em; }
td.picture { padding: .2rem 0; } td.picture img { width: 75px; max-width: none; margin: 0; } td { vertical-align: middle; }
.badge.wait { background: #e8ecf0; color: var(--soft); } .tools { display: flex; gap: 1rem; align-items: center; margin: 1rem 0; }
.tools input { font: inherit; padding: .25rem .6rem; border: 1px solid var(--line); border-radius: 4px; width: 22rem; }
.reason { max-width: 18rem; font-size: .85rem; color: var(--soft); overflow-wrap: anywhere; }
"""
SCRIPT = """
const table = document.querySelector("#case-table"), body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
heads.forEach((head, column) => head.dataset.key !== undefined && head.addEventListener("click", () => {
  const up = head.getAttribute("aria-sort") !== "ascending";
  heads.forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const value = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const order = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === "" || y === "") return (x === "") - (y === "");
    const [p, q] = [Number(x), Number(y)];
    const one = Number.isNaN(p) || Number.isNaN(q) ? x.localeCompare(y) : p - q;
    return up ? one : -one;
  };
  body.append(...[...body.rows].sort(order));
}));
const filter = document.querySelector("#filter"), shown = document.querySelector("#shown");
filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let count = 0;
  for (const row of body.rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every(word => text.includes(word));
    count += !row.hidden;
  }
  shown.textContent = words.length ? `${count} of ${body.rows.length}` : "";
});
"""


def write_page(sweep: Sweep, chosen: Sequence[Scalar], pictures: Sequence[Path], folder: Path) -> Path:
    """Write ``index.html`` and the small pictures that it shows.

    Args:
        sweep: the runs.
        chosen: results that have a column.
        pictures: over the parameters.
        folder: the page's.

    Returns:
        The page.
    """
    thumbnails = {run.row.hash: made for run in sweep.runs if (made := _thumbnail(run, folder)) is not None}
    _remove_others(folder / THUMBNAILS, set(thumbnails.values()))
    page = folder / PAGE
    write_whole(page, render(sweep, chosen, pictures, thumbnails=thumbnails))
    return page


def render(sweep: Sweep, chosen: Sequence[Scalar], pictures: Sequence[Path], *, thumbnails: dict[str, str]) -> str:
    """The page as text; `thumbnails` are file names in their folder by the hash of the case."""
    found = counts(run.row for run in sweep.runs)
    told = " ".join(_badge(status, f"{found[status]} {status.lower()}") for status in STATUSES if status in found)
    title = f"Sweep {sweep.directory.name}"
    titles = {run.title for run in sweep.runs if run.title}
    about = titles.pop() if len(titles) == 1 else ""
    header = (
        f'<header><h1>{escape(title)}</h1><p class="status">{told}{" · " if about else ""}{escape(about)}</p></header>'
    )
    shown = "".join(html_figure(path.name, path, CAPTIONS[path.name]) for path in pictures)
    sections = [
        ("Over the parameters", shown),
        ("Cases", _cases(sweep, chosen, thumbnails)),
        ("Parameters", _parameters(sweep)),
        ("Files", _files()),
    ]
    return html_page(title, header + _warnings(sweep) + html_sections(sections), style=STYLE, script=SCRIPT)


def _badge(status: str, text: str) -> str:
    if status in ("PENDING", "RUNNING"):
        return f'<span class="badge wait">{escape(text)}</span>'
    return badge(text, good=status == "DONE")


def _cases(sweep: Sweep, chosen: Sequence[Scalar], thumbnails: dict[str, str]) -> str:
    """A row for each case; a click on a heading sorts."""
    heads = ["case", *(_head(p.name, p.unit) for p in sweep.parameters), "status"]
    heads += [_head(sweep.names[scalar], scalar.unit) for scalar in chosen]
    heads += [RUN_TIME, ATTEMPTS_TIME, "calls", "reason"]
    head = "".join(f"<th data-key>{escape(name)}</th>" for name in heads) + "<th></th>"
    body = "".join(_case(sweep, run, chosen, thumbnails.get(run.row.hash)) for run in sweep.runs)
    tools = (
        '<div class="tools"><input id="filter" placeholder="show cases with these words"><span id="shown"></span></div>'
    )
    table = f'<table id="case-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'{tools}<div class="scroll">{table}</div>'


def _head(name: str, unit: str | None) -> str:
    return f"{name} ({unit})" if unit else name


def _case(sweep: Sweep, run: SweptRun, chosen: Sequence[Scalar], thumbnail: str | None) -> str:
    row = run.row
    target = _link(sweep, run)
    number = f'<a href="{target}">{row.number}</a>' if target else str(row.number)
    cells = [f'<td data-value="{row.number}">{number}</td>']
    for parameter in sweep.parameters:
        point = row.parameters.get(parameter.name)
        cells.append(_cell(None if point is None else point.value))
    cells.append(f"<td>{_badge(row.status, row.status)}</td>")
    cells += [_cell(run.number(s) if math.isfinite(run.number(s)) else None, std=run.std.get(s)) for s in chosen]
    for seconds in (run.seconds, row.seconds or None):
        cells.append(
            f'<td data-value="{seconds or ""}">{"" if seconds is None else format_seconds(float(seconds))}</td>'
        )
    cells.append(_cell(None if run.calls is None else int(run.calls)))
    cells.append(f'<td class="reason">{escape(row.reason or "")}</td>')
    picture = ""
    if thumbnail is not None:
        image = f'<img src="{THUMBNAILS}/{quote(thumbnail)}" alt="picture of case {row.number}">'
        picture = f'<a href="{target}">{image}</a>' if target else image
    cells.append(f'<td class="picture">{picture}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _cell(value: Any, *, std: float | None = None) -> str:
    """A cell that sorts by its whole number, whatever is shown."""
    if value is None:
        return '<td data-value=""></td>'
    number = isinstance(value, int | float) and not isinstance(value, bool)
    spread = "" if std is None else f" ± {std:.2g}"
    kind = " class=number" if number else ""
    return f'<td{kind} data-value="{escape(repr(value) if number else str(value))}">{escape(format_number(value) + spread)}</td>'


def _link(sweep: Sweep, run: SweptRun) -> str:
    """Address of the run's report, else of its directory, else of the case's; relative, so that a sweep can be moved."""
    case = sweep.directory / run.row.directory
    for target in (run.directory / "report.html", run.directory, case):
        if target.exists():
            return quote("../" + target.relative_to(sweep.directory).as_posix())
    return ""


def _thumbnail(run: SweptRun, folder: Path) -> str | None:
    """Make a small picture of a run, or take the one that is newer than the run's; returns its name."""
    source = next((path for name in PICTURES if (path := run.directory / name).is_file()), None)
    if source is None:
        return None
    target = folder / THUMBNAILS / f"{run.row.hash}.png"
    if not target.is_file() or target.stat().st_mtime < source.stat().st_mtime:
        from PIL import Image

        target.parent.mkdir(exist_ok=True)
        try:
            with Image.open(source) as image:
                image.thumbnail((THUMBNAIL_WIDTH, THUMBNAIL_WIDTH))
                small = image.convert("RGB").quantize(64)
        except OSError:  # a picture that is being written, or was cut by a kill
            return None
        # Renamed, but not forced to the disk as tables are: one that a crash cuts is made again from the run's own.
        part = target.with_name(f"{PART}{target.name}")
        small.save(part, format="PNG")
        part.replace(target)
    return target.name


def _remove_others(folder: Path, kept: set[str]) -> None:
    """Small pictures of cases that are no longer shown."""
    for path in folder.glob("*.png"):
        if path.name not in kept:
            path.unlink()


def _parameters(sweep: Sweep) -> str:
    """What varies, in which fields, over which values."""
    rows = []
    for parameter in sweep.parameters:
        values = list(dict.fromkeys(value for value in sweep.values(parameter) if value is not None))
        if parameter.unit is not None and len(values) > 6:
            shown = f"{len(values)} values from {format_number(min(values))} to {format_number(max(values))}"
        else:
            shown = ", ".join(format_number(value) for value in values[:12]) + (" ..." if len(values) > 12 else "")
        rows.append([parameter.name, ", ".join(parameter.paths), shown, parameter.unit or ""])
    return html_table(("parameter", "fields", "values", "unit"), rows)


def _warnings(sweep: Sweep) -> str:
    """Warnings of the runs, each once, with how many have it."""
    found: dict[str, int] = {}
    for run in sweep.runs:
        for text in set(run.warnings):
            found[text] = found.get(text, 0) + 1
    ordered = sorted(found.items(), key=lambda item: -item[1])[:8]
    return html_warnings("Warnings of runs", [f"{text} ({count} of {len(sweep.runs)} runs)" for text, count in ordered])


def _files() -> str:
    listed = {"table.csv": "every case with all its results", "../sweep.yaml": "the sweep file"}
    rows = "".join(f'<tr><td><a href="{name}">{name}</a></td><td>{what}</td></tr>' for name, what in listed.items())
    return f'<div class="scroll"><table class="facts"><tbody>{rows}</tbody></table></div>'
