"""What the properties study writes: one table of all potentials, what it stands on, and the data of its figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from atomistic.properties import PropertySet, SurfaceEnergy, VacancyCell, kind_of, spread_of_members
from multiscale.config.properties import PropertiesCase
from multiscale.run import RunDirectory
from multiscale.units import EV_PER_A2_IN_J_PER_M2, EV_PER_A3_IN_GPA

if TYPE_CHECKING:
    from multiscale.studies.properties import PropertiesResult

#: Factor and unit of each kind of property; faults are small and told in thousandths.
_UNITS = {
    "length": (1.0, "Å"),
    "volume": (1.0, "Å³"),
    "energy": (1.0, "eV"),
    "stress": (EV_PER_A3_IN_GPA, "GPa"),
    "energy per area": (EV_PER_A2_IN_J_PER_M2, "J/m²"),
    "number": (1.0, ""),
}
_FAULT = (1e3 * EV_PER_A2_IN_J_PER_M2, "mJ/m²")
#: In volumes per atom.
_OF_ATOMS = (1.0, "Ω")
#: Name and symbol of each property.
_WORDS = {
    "a": ("lattice constant", "a"),
    "c": ("second lattice constant", "c"),
    "c/a": ("ratio of the lattice constants", "c/a"),
    "volume": ("volume per atom", "Ω"),
    "cohesive_energy": ("cohesive energy", "E_coh"),
    "bulk_modulus": ("bulk modulus", "B"),
    "bulk_modulus_derivative": ("pressure derivative of the bulk modulus", "B′"),
    "shear_modulus": ("shear modulus of a polycrystal", "G"),
    "zener_ratio": ("Zener's ratio of anisotropy", "A"),
    "vacancy": ("vacancy formation energy", "E_v"),
    "vacancy_unrelaxed": ("vacancy formation energy, unrelaxed", "E_v0"),
    "vacancy_volume": ("relaxation volume of the vacancy", "ΔV_v"),
    "surface": ("surface energy", "γ"),
    "surface_unrelaxed": ("surface energy, unrelaxed", "γ_0"),
    "unstable_fault": ("unstable stacking fault energy", "γ_us"),
    "stacking_fault": ("stacking fault energy", "γ_sf"),
}
NOTE = (
    "Differences are from the first reference that has the value. Ω is the volume per atom. Vacancies are extrapolated in 1/N, "
    "surface energies come from the intercept of slabs of several thicknesses; what either leaves open is in properties.csv."
)


def unit_of(key: str) -> tuple[float, str]:
    """Factor from units of Å and eV, and the unit in which a property is told."""
    if key == "vacancy_volume":
        return _OF_ATOMS
    return _FAULT if "fault" in key else _UNITS[kind_of(key)]


def words_of(key: str) -> tuple[str, str]:
    """Name and symbol of a property, "surface energy (111)" and "γ(111)"."""
    name, bracket, rest = key.partition("(")
    words, symbol = _WORDS.get(name, (f"elastic constant {name}", f"C_{name[1:]}"))
    return (f"{words} ({rest}", f"{symbol}({rest}") if bracket else (words, symbol)


def keys_of(result: PropertiesResult) -> list[str]:
    """All properties that any potential has, in their order."""
    longest = sorted(result.sets, key=lambda one: -len(one.properties))
    return list(dict.fromkeys(p.key for one in longest for p in one.properties))


def write_tables(run: RunDirectory, case: PropertiesCase, result: PropertiesResult) -> None:
    """properties.csv: a row for each property, a column for each potential and reference; eos, vacancy, surfaces, gamma csv."""
    keys = keys_of(result)
    factors = np.array([unit_of(key)[0] for key in keys])
    columns: dict[str, Any] = {
        "property": np.array(keys),
        "unit": np.array([unit_of(key)[1] for key in keys]),
    }
    for one in result.sets:
        found = [one.get(key) for key in keys]
        columns[one.label] = factors * [np.nan if p is None else p.value for p in found]
        open_ = [np.nan if p is None or p.uncertainty is None else p.uncertainty for p in found]
        columns[f"{one.label}: convergence"] = factors * np.array(open_)
        if one.label in result.members:
            columns[f"{one.label}: std"] = factors * _deviations(result, one.label, keys)
            for k, member in enumerate(result.members[one.label]):
                values = [member.get(key) for key in keys]
                columns[f"{one.label}: member {k}"] = factors * [np.nan if p is None else p.value for p in values]
    for reference in case.references:
        known = reference.internal()
        columns[reference.name] = factors * np.array([known.get(key, np.nan) for key in keys])
    run.write_csv(
        "properties.csv",
        columns,
        comment="convergence: what size or thickness leaves open; std: of a committee's members",
    )
    _write_details(run, result)


def _deviations(result: PropertiesResult, label: str, keys: list[str]) -> np.ndarray:
    """Standard deviation of each property over a committee's members, NaN where there is none."""
    spreads = [spread_of_members(result.members[label], key) for key in keys]
    return np.array([np.nan if s is None else s[0] for s in spreads])


def _write_details(run: RunDirectory, result: PropertiesResult) -> None:
    """What the numbers come from, one row for each potential and cell."""
    states = [
        (s.label, v, e)
        for s in result.sets
        if s.state is not None
        for v, e in zip(s.state.volume, s.state.energy, strict=True)
    ]
    _rows(run, "eos.csv", ("potential", "volume [Å³/atom]", "energy [eV/atom]"), states)
    _rows(
        run,
        "vacancy.csv",
        (
            "potential",
            "sites",
            "unrelaxed [eV]",
            "fixed volume [eV]",
            "zero pressure [eV]",
            "pressure [GPa]",
            "relaxation [Å³]",
        ),
        [(s.label, *_vacancy(c)) for s in result.sets if s.vacancy is not None for c in s.vacancy.cells],
    )
    _rows(
        run,
        "surfaces.csv",
        ("potential", "plane", "planes", "atoms", "unrelaxed [J/m²]", "relaxed [J/m²]"),
        [(s.label, *row) for s in result.sets for surface in s.surfaces for row in _slabs(surface)],
    )
    lines = [
        (s.label, " ".join(map(str, g.plane)), " ".join(map(str, g.direction)), x, e * _FAULT[0])
        for s in result.sets
        for g in s.lines
        for x, e in zip(g.shift, g.energy, strict=True)
    ]
    _rows(run, "gamma_lines.csv", ("potential", "plane", "direction", "shift [Å]", "energy [mJ/m²]"), lines)


def _vacancy(cell: VacancyCell) -> tuple[float, ...]:
    """Sites, energies (eV), pressure (GPa) and relaxation volume (Å³) of a vacancy in one cell."""
    pressure = cell.pressure * EV_PER_A3_IN_GPA
    return cell.sites, cell.unrelaxed, cell.fixed_volume, cell.zero_pressure, pressure, cell.relaxation_volume


def _slabs(surface: SurfaceEnergy) -> Iterator[tuple[str, int, int, float, float]]:
    """Of each slab its planes and atoms, and half its work of separation, J/m²."""
    factor = 0.5 * EV_PER_A2_IN_J_PER_M2
    for k, planes in enumerate(surface.planes):
        relaxed = np.nan if surface.relaxed is None else factor * float(surface.relaxed.work[k])
        plane = " ".join(map(str, surface.plane))
        yield plane, planes, surface.atoms[k], factor * float(surface.unrelaxed.work[k]), relaxed


def _rows(run: RunDirectory, name: str, heads: tuple[str, ...], rows: list[tuple]) -> None:
    """Write rows as a table, if there are any."""
    if rows:
        run.write_csv(
            name, {head: np.array(column) for head, column in zip(heads, zip(*rows, strict=True), strict=True)}
        )


def write_results(run: RunDirectory, case: PropertiesCase, result: PropertiesResult) -> None:
    """results.json: quantities, the table of all potentials, warnings; properties.json: the data of the figures."""
    run.write_json(
        "results.json",
        {
            "quantities": _quantities(result),
            "properties": {"rows": table_rows(case, result), "note": " ".join([NOTE, *_sources(case)])},
            "warnings": result.warnings,
        },
    )
    run.write_json(
        "properties.json",
        {
            "potentials": [_data(one, result) for one in result.sets],
            "references": [
                {"name": r.name, "source": r.source, "values": _told(r.internal())} for r in case.references
            ],
            "units": {key: unit_of(key)[1] for key in keys_of(result)},
            "symbols": {key: words_of(key)[1] for key in keys_of(result)},
        },
    )


def _sources(case: PropertiesCase) -> list[str]:
    """Where the references come from, a sentence each."""
    return [f"{reference.name}: {reference.source}." for reference in case.references if reference.source]


def table_rows(case: PropertiesCase, result: PropertiesResult) -> list[dict[str, Any]]:
    """The table of the report: a row for each property, columns for potentials, references and differences."""
    references = [(r.name, r.internal()) for r in case.references]
    rows = []
    for key in keys_of(result):
        factor, unit = unit_of(key)
        name, symbol = words_of(key)
        row: dict[str, Any] = {"property": name, "symbol": symbol, "unit": unit}
        trusted = next((known[key] for _, known in references if key in known), None)
        differences = {}
        for one in result.sets:
            found = one.get(key)
            spread = spread_of_members(result.members.get(one.label, ()), key)
            value = None if found is None else found.value * factor
            row[one.label] = value if spread is None or value is None else f"{value:.4g} ± {spread[0] * factor:.2g}"
            if trusted:
                differences[f"{one.label}, difference (%)"] = (
                    None if found is None else float(f"{100.0 * (found.value / trusted - 1.0):.3g}")
                )
        row |= {label: known[key] * factor if key in known else None for label, known in references}
        if references:
            row |= differences
        rows.append(row)
    return rows


def _quantities(result: PropertiesResult) -> list[dict[str, Any]]:
    """Every property with its remark where there is one potential; of several the table tells."""
    if len(result.sets) > 1:
        return []
    one, found = result.sets[0], []
    for p in one.properties:
        (factor, unit), (name, symbol) = unit_of(p.key), words_of(p.key)
        note = _note(p.uncertainty, factor, p.note)
        found.append({"name": name, "symbol": symbol, "value": p.value * factor, "unit": unit, "note": note})
    calls = {"name": "potential calls", "symbol": "", "value": one.calls, "unit": "", "note": "on this rank"}
    return [*found, calls]


def _note(uncertainty: float | None, factor: float, note: str) -> str:
    """A remark with what convergence leaves open."""
    open_ = "" if uncertainty is None else f"± {uncertainty * factor:.2g}"
    return "; ".join(part for part in (open_, note) if part)


def _told(values: Mapping[str, float]) -> dict[str, float]:
    """Properties in the units in which they are told."""
    return {key: value * unit_of(key)[0] for key, value in values.items()}


def _data(one: PropertySet, result: PropertiesResult) -> dict[str, Any]:
    """Everything of one potential that a figure or a script may want, in the units in which it is told."""
    members = result.members.get(one.label, ())
    deviations = {p.key: spread_of_members(members, p.key) for p in one.properties}
    data: dict[str, Any] = {
        "label": one.label,
        "potential": one.potential,
        "values": _told({p.key: p.value for p in one.properties}),
        "convergence": _told({p.key: p.uncertainty for p in one.properties if p.uncertainty is not None}),
        "std": _told({key: found[0] for key, found in deviations.items() if found is not None}),
        "members": [_told({p.key: p.value for p in member.properties}) for member in members],
        "failures": dict(one.failures),
        "calls": one.calls,
        "seconds": one.seconds,
    }
    if one.state is not None:
        fine = np.linspace(one.state.volume[0], one.state.volume[-1], 100)
        data["state"] = {
            "volume": one.state.volume,
            "energy": one.state.energy,
            "lowest": one.state.equilibrium_energy,
            "fit": {"volume": fine, "energy": one.state.energy_at(fine)},
            "rms": one.state.rms,
        }
    if one.vacancy is not None:
        data["vacancy"] = {
            "energy": one.vacancy.energy,
            "sites": [c.sites for c in one.vacancy.cells],
            "fixed_volume": [c.fixed_volume for c in one.vacancy.cells],
            "zero_pressure": [c.zero_pressure for c in one.vacancy.cells],
            "stored": [c.stored for c in one.vacancy.cells],
        }
    data["lines"] = [_line(line) for line in one.lines]
    data["maps"] = [
        {"plane": m.plane, "lattice": m.lattice, "energy": m.energy * _FAULT[0], "relax": bool(m.relax)}
        for m in one.maps
    ]
    return data


def _line(line: Any) -> dict[str, Any]:
    """A γ-line, finely drawn."""
    fine = np.linspace(0.0, line.shift[-1], 200)
    return {
        "plane": line.plane,
        "direction": line.direction,
        "relax": bool(line.relax),
        "shift": line.shift,
        "energy": line.energy * _FAULT[0],
        "fine": {"shift": fine, "energy": line.energy_at(fine) * _FAULT[0]},
    }
