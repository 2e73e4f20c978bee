"""One offline page that shows a run: figures, quantities, warnings, ledger and provenance, from its directory alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from atomistic.whole_file import write_whole
from multiscale.html_parts import (
    badge,
    format_number,
    html_figure,
    html_note,
    html_page,
    html_sections,
    html_table,
    html_warnings,
)
from multiscale.plots import make_plots
from multiscale.progress import format_seconds
from multiscale.report_words import CAPTIONS, FILES, HEADLINES, run_title
from multiscale.units import format_length


class NotARunError(ValueError):
    """A directory that no run has written."""


def make_report(directory: str | Path) -> Path:
    """Draw the figures of a run and write ``report.html`` into its directory.

    Works for unfinished and failed runs too: what isn't there is left out.

    Returns:
        The page.

    Raises:
        NotARunError: if the directory holds no ``run.json``, or a broken one.
        TableError: if one of the run's tables cannot be read.
    """
    directory = Path(directory)
    if not (directory / "run.json").is_file():
        what = "holds no run.json" if directory.is_dir() else "does not exist"
        raise NotARunError(f"{directory} {what}. Give the directory of a run, for example runs/adhesion")
    run = read_json(directory / "run.json")
    results: dict[str, Any] = {}
    # A crack's references come before its results, which hold them too.
    for name in ("references.json", "results.json"):
        if (directory / name).is_file():
            results |= read_json(directory / name)
    figures = {path.name: path for path in make_plots(directory)}
    page = directory / "report.html"
    write_whole(page, render(run, results, figures, files=sorted(directory.iterdir())))
    return page


def read_json(path: Path) -> dict[str, Any]:
    """What a file of a run directory says.

    Raises:
        NotARunError: it is damaged.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise NotARunError(f"{path} is not valid JSON ({error}). Run the case again") from None
    if not isinstance(data, dict):
        raise NotARunError(f"{path} holds no JSON object. Run the case again")
    return data


def render(
    run: Mapping[str, Any], results: Mapping[str, Any], figures: Mapping[str, Path], *, files: Sequence[Path] = ()
) -> str:
    """The page as text.

    Args:
        run: of ``run.json``.
        results: of ``results.json``.
        figures: file name -> PNG.
        files: of the run directory, to list.
    """

    def shown(*names: str) -> str:
        return "".join(html_figure(name, figures[name], CAPTIONS.get(name, "")) for name in names if name in figures)

    quantities = results.get("quantities", [])
    named = ("stacks", "profiles", "cuts", "embedding", "quantum", "quantum_checks", "contract", "validation")
    stacks, profiles, cuts, buffers, quantum, checks, contract, validation = (results.get(name) or {} for name in named)
    properties, taught = (results.get(name) or {} for name in ("properties", "learning_effect"))
    sections = [
        ("Contract", _table(contract.get("rows", []))),
        (
            "Properties",
            _lowered(_table(properties.get("rows", [])), properties.get("rows", []))
            + html_note(properties.get("note"))
            + shown("properties.png", "eos.png", "vacancy.png", "gamma_lines.png", "gamma_surface.png"),
        ),
        ("Quantities", _quantities(quantities)),
        (
            "Errors",
            shown("validation_parity.png", "validation_errors.png")
            + _table(validation.get("rows", []))
            + html_note(validation.get("note")),
        ),
        ("Doubt", shown("validation_doubt.png")),
        ("Data", _table(validation.get("data", []))),
        ("Spread of the committee", _spread(results.get("spread") or {}, shown("spread.png", "spread_curves.png"))),
        (
            "Learning",
            shown("learning.png", "learning_effect.png")
            + _table(taught.get("rows", []))
            + html_note(taught.get("note")),
        ),
        ("Cuts of the plane", _table(cuts.get("rows", [])) + html_note(cuts.get("note"))),
        ("Buffer", shown("embedding.png") + _table(buffers.get("rows", [])) + html_note(buffers.get("note"))),
        ("Contact", shown("contact_load.png", "contact_profiles.png", "contact_stress.png")),
        ("Crack", shown("crack_path.png", "crack.png", "crack_body.png")),
        ("Emission", _table(results.get("emission", []))),
        ("Barriers", shown("crack_energy.png")),
        ("Stress and J", shown("crack_plane.png", "crack_j.png")),
        ("Interface", shown("separation.png")),
        ("Check of the law", shown("stacks.png") + _table(stacks.get("rows", [])) + html_note(stacks.get("note"))),
        ("Impurity", shown("impurity.png")),
        ("Specimen", shown("load_opening.png", "specimen.png")),
        ("Path", shown("path.png")),
        ("Zone", shown("zone.png", "patch.png")),
        ("Handshake", shown("profiles.png") + _table(profiles.get("rows", [])) + html_note(profiles.get("note"))),
        ("Quantum region", _table(quantum.get("rows", [])) + html_note(quantum.get("note"))),
        ("Check of the corrected curves", _table(checks.get("rows", [])) + html_note(checks.get("note"))),
        ("Error against all atoms", shown("error.png")),
        ("Convergence", shown("convergence.png", "interaction.png")),
        (
            "Energy",
            shown("energy.png", "ledger.png", "crack_ledger.png")
            + _ledger(results.get("ledger", []))
            + html_note(results.get("ledger_note")),
        ),
        ("Case", _case(run.get("case") or {})),
        ("Provenance", _provenance(run)),
        ("Files", _files(files)),
    ]
    title = run_title(run)
    header = f"<header><h1>{escape(title)}</h1>{_status(run)}</header>{_tiles(quantities)}{_warnings(run, results)}"
    return html_page(title, header + html_sections(sections))


def _status(run: Mapping[str, Any]) -> str:
    status = str(run.get("status", "unknown"))
    parts = [badge(status, good=status == "finished")]
    if run.get("started"):
        parts.append(escape(str(run["started"])[:16].replace("T", " ")) + " UTC")
    if run.get("seconds") is not None:
        parts.append(format_seconds(float(run["seconds"])))
    ranks = (run.get("mpi") or {}).get("ranks")
    if ranks:
        parts.append(_count(ranks))
    return f'<p class="status">{" · ".join(parts)}</p>'


def _count(ranks: int) -> str:
    return f"{ranks} rank{'s' if ranks != 1 else ''}"


def _tiles(quantities: Sequence[Mapping[str, Any]]) -> str:
    """The quantities that matter most, found by their symbols; the first four where none of them is there."""
    by_symbol = {quantity.get("symbol"): quantity for quantity in quantities}
    chosen = [by_symbol[symbol] for symbol in HEADLINES if symbol in by_symbol] or list(quantities[:4])
    tiles = "".join(
        f'<div class="tile"><div class="value">{escape(format_number(quantity.get("value")))}{_plus_minus(quantity)}'
        f'<span class="unit">{escape(str(quantity.get("unit") or ""))}</span></div>'
        f'<div class="label">{escape(str(quantity.get("name", "")))}</div></div>'
        for quantity in chosen
    )
    return f'<div class="tiles">{tiles}</div>' if tiles else ""


def _plus_minus(quantity: Mapping[str, Any]) -> str:
    """The standard deviation over a committee's members, small; nothing without one."""
    std = quantity.get("std")
    return "" if std is None else f'<span class="unit">± {escape(f"{std:.2g}")}</span>'


def _spread(spread: Mapping[str, Any], picture: str) -> str:
    """What a committee's members differ by: a picture, and the results that are not the same for all."""
    names = spread.get("members", [])
    headings = ("quantity", "symbol", "committee", "mean", "±", "least", "largest", *names, "unit")
    rows = [
        [*(row[key] for key in ("name", "symbol", "value", "mean", "std", "low", "high")), *row["members"], row["unit"]]
        for row in spread.get("rows", [])
        if row["std"] > 1e-12 * abs(row["mean"])
    ]
    return picture + html_table(headings, rows) + html_note(spread.get("note"))


def _warnings(run: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    html = ""
    if run.get("error"):
        html += f'<div class="box bad"><strong>The run stopped.</strong> {escape(str(run["error"]))}</div>'
    html += html_warnings("Warnings", [str(warning) for warning in results.get("warnings", [])])
    return html


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of records; keys are the headings."""
    headings = list(dict.fromkeys(key for row in rows for key in row))
    return html_table(
        [heading.replace("_", " ") for heading in headings], [[row.get(key) for key in headings] for row in rows]
    )


def _quantities(quantities: Sequence[Mapping[str, Any]]) -> str:
    keys = ("name", "symbol", "value", "unit", "note")
    rows = [[quantity.get(key) if quantity.get(key) is not None else "" for key in keys] for quantity in quantities]
    return _lowered(html_table(("quantity", "symbol", "value", "unit", "remark"), rows), quantities)


def _lowered(table: str, records: Sequence[Mapping[str, Any]]) -> str:
    """A table of these records with the indices of their symbols below the line."""
    for symbol in {str(record.get("symbol", "")) for record in records}:
        letter, _, below = symbol.partition("_")
        index, bracket, rest = below.partition("(")
        if index:
            lowered = f"<td>{escape(letter)}<sub>{escape(index.strip('{}'))}</sub>{escape(bracket + rest)}</td>"
            table = table.replace(f"<td>{escape(symbol)}</td>", lowered)
    return table


def _ledger(entries: Sequence[Mapping[str, Any]]) -> str:
    keys = ("term", "domain", "weight", "value", "unit", "note")
    return html_table((*keys[:-1], "remark"), [[entry.get(key, "") for key in keys] for entry in entries])


def _case(case: Mapping[str, Any]) -> str:
    """The resolved case as YAML, defaults included; ``run.json`` has its lengths to the last bit."""
    if not case:
        return ""
    return f"<pre>{escape(_yaml(case))}</pre>"


def _yaml(case: Mapping[str, Any]) -> str:
    import io

    from ruamel.yaml import YAML

    def short(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: short(item) for key, item in value.items() if item is not None}
        if isinstance(value, list):
            return [short(item) for item in value]
        if isinstance(value, str) and value.endswith(" angstrom"):
            return format_length(float(value.removesuffix(" angstrom")), digits=6)
        return value

    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(short(case), stream)
    return stream.getvalue().rstrip()


def _provenance(run: Mapping[str, Any]) -> str:
    host, mpi, potential, engine = (run.get(key) or {} for key in ("host", "mpi", "potential", "engine"))
    memory = [bytes_ for bytes_ in run.get("peak_memory_bytes_by_rank") or [] if bytes_]
    provenance = run.get("provenance") or {}
    files = {one["path"]: one for one in provenance.get("inputs", [])}.values()
    cells = {
        "command": " ".join(run.get("command") or ()),
        "started in": provenance.get("directory"),
        "git revision": run.get("git_revision"),
        "host": f"{host.get('name', '')}, {host.get('cores', '?')} cores, {host.get('system', '')}" if host else None,
        "threads": ", ".join(f"{key}={value}" for key, value in (host.get("threads") or {}).items()),
        "MPI": f"{_count(mpi.get('ranks', 1))}, {mpi.get('library', 'no MPI library')}" if mpi else None,
        "peak memory": f"{sum(memory) / 2**20:.0f} MiB over {_count(len(memory))}" if memory else None,
        "potential": potential.get("name"),
        "potential calls": potential.get("calls"),
        "seconds in the potential": potential.get("seconds"),
        "precision": potential.get("precision"),
        "model file": potential.get("model_file"),
        "SHA-256 of it": potential.get("model_sha256"),
        "reference": potential.get("reference"),
        "files read, SHA-256": ", ".join(f"{Path(one['path']).name} {one['sha256'][:12]}" for one in files),
        "seeds": ", ".join(f"{key} {seed}" for key, seed in (provenance.get("seeds") or {}).items()),
        "quantum engine": engine.get("name"),
        "quantum calculations": engine.get("fresh", engine.get("calls")),
        "taken from earlier runs": engine.get("reused"),
        "reference of the engine": engine.get("reference"),
    }
    facts = html_table(
        ("", ""), [[key, value] for key, value in cells.items() if value not in (None, "")], name="facts"
    )
    versions = ", ".join(f"{escape(name)} {escape(version)}" for name, version in (run.get("packages") or {}).items())
    return facts + _phases(run.get("phases") or {}) + (f'<p class="note">{versions}</p>' if versions else "")


def _phases(phases: Mapping[str, float]) -> str:
    """Wall time per phase as bars."""
    longest = max(phases.values(), default=0.0)
    if longest <= 0:
        return ""
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td class=number>{format_seconds(seconds)}</td>"
        f'<td class="track"><div class="bar" style="width:{100 * seconds / longest:.1f}%"></div></td></tr>'
        for name, seconds in phases.items()
    )
    return f'<h3>Time by phase</h3><div class="scroll"><table class="phases"><tbody>{rows}</tbody></table></div>'


def _files(files: Sequence[Path]) -> str:
    rows = "".join(
        f'<tr><td><a href="{escape(path.name)}">{escape(path.name)}{"/" if path.is_dir() else ""}</a></td>'
        f"<td>{escape(FILES.get(path.name, 'figure' if path.suffix == '.png' else ''))}</td></tr>"
        for path in files
        if not path.name.startswith(".") and path.name != "report.html"
    )
    return f'<div class="scroll"><table class="facts"><tbody>{rows}</tbody></table></div>' if rows else ""
