"""What the contact study writes: tables, results and the words of its prediction. Conversion to a reader's units is here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from continuum.adhesive_contact import SphereContact
from continuum.contact_path import ContactPath, ContactState
from multiscale.config import ContactCase
from multiscale.run import RunDirectory
from multiscale.studies.adhesion_files import Row
from multiscale.studies.contact_system import ContactSystem
from multiscale.units import (
    ANGSTROM_IN_NM,
    EV_IN_J,
    EV_PER_A2_IN_J_PER_M2,
    EV_PER_A3_IN_GPA,
    EV_PER_A_IN_J_PER_M,
    format_length,
)

if TYPE_CHECKING:
    from multiscale.studies.contact import ContactResult

_POINTS = 200


def load_unit(system: ContactSystem) -> tuple[float, str]:
    """Factor and unit of a load: nN, of a cylinder N/m."""
    if isinstance(system.contact, SphereContact):
        return 1e9 * EV_PER_A_IN_J_PER_M, "nN"
    return EV_PER_A2_IN_J_PER_M2, "N/m"


def energy_unit(system: ContactSystem) -> tuple[float, str]:
    """Factor and unit of an energy: aJ, of a cylinder per length nJ/m."""
    return (1e18 * EV_IN_J, "aJ") if isinstance(system.contact, SphereContact) else (1e9 * EV_PER_A_IN_J_PER_M, "nJ/m")


def write_law(run: RunDirectory, system: ContactSystem) -> None:
    """contact_law.csv: the traction over the opening."""
    law = system.law
    openings = np.linspace(-0.05, 1.0, 4 * _POINTS) * min(1.1 * law.final_opening, 4.0 * system.contact.range)
    jumps = np.column_stack([openings, np.zeros_like(openings)])
    traction = law.evaluate(jumps, law.fresh(len(jumps))).traction[:, 0]
    run.write_csv(
        "contact_law.csv",
        {"opening [angstrom]": openings, "traction [GPa]": traction * EV_PER_A3_IN_GPA},
    )


def write_theory(run: RunDirectory, system: ContactSystem) -> None:
    """theory.csv: closed forms over the contact radius."""
    contact, (force, unit) = system.contact, load_unit(system)
    radius = np.linspace(1e-3, 1.05, _POINTS) * system.plan.largest
    dugdale, jkr, hertz = contact.dugdale(radius), contact.jkr(radius), contact.hertz(radius)
    columns = {
        "contact radius [nm]": radius * ANGSTROM_IN_NM,
        "zone radius [nm]": dugdale.zone * ANGSTROM_IN_NM,
        f"load dugdale [{unit}]": dugdale.load * force,
        f"load jkr [{unit}]": jkr.load * force,
        f"load hertz [{unit}]": hertz.load * force,
    }
    if isinstance(contact, SphereContact):
        columns |= {
            f"load dmt [{unit}]": contact.dmt(radius).load * force,
            "approach dugdale [nm]": dugdale.approach * ANGSTROM_IN_NM,
            "approach jkr [nm]": jkr.approach * ANGSTROM_IN_NM,
            "approach dmt [nm]": hertz.approach * ANGSTROM_IN_NM,
        }
    run.write_csv("theory.csv", columns)


def state_event(system: ContactSystem, state: ContactState) -> dict[str, Any]:
    """A state as `events.jsonl` keeps it."""
    force, unit = load_unit(system)
    return {
        "stage": state.stage,
        "displacement_nm": round(state.displacement * ANGSTROM_IN_NM, 6),
        "load": state.load * force,
        "load_unit": unit,
        "contact_radius_nm": round(state.radius * ANGSTROM_IN_NM, 4),
    }


def state_text(system: ContactSystem, state: ContactState) -> str:
    """A state as the progress shows it."""
    force, unit = load_unit(system)
    return f"{state.stage}, load {state.load * force:.4g} {unit}, contact {format_length(state.radius)}"


def write_states(run: RunDirectory, system: ContactSystem, states: Sequence[ContactState]) -> None:
    """contact.csv: load, approach and contact radius along the path."""
    if not states:
        return
    (force, unit), (energy, joules) = load_unit(system), energy_unit(system)

    def column(name: str, factor: float) -> np.ndarray:
        return np.array([getattr(state, name) for state in states]) * factor

    run.write_csv(
        "contact.csv",
        {
            "retracting": np.array([float(state.stage == "retract") for state in states]),
            "displacement [nm]": column("displacement", ANGSTROM_IN_NM),
            "approach [nm]": column("approach", ANGSTROM_IN_NM),
            f"load [{unit}]": column("load", force),
            "contact radius [nm]": column("radius", ANGSTROM_IN_NM),
            "zone radius [nm]": column("zone", ANGSTROM_IN_NM),
            f"stored [{joules}]": column("stored", energy),
            f"work [{joules}]": np.cumsum(column("work", energy)),
            f"lost in jumps [{joules}]": np.cumsum(column("lost", energy)),
        },
        comment="Displacement is that of the indenter above a half space of finite size, approach that above an infinite one.",
    )


def write_profiles(run: RunDirectory, path: ContactPath) -> None:
    """contact_profiles.csv: opening and traction along the surface in the states that matter."""
    columns: dict[str, np.ndarray] = {}
    for name, (x, opening, traction) in path.profiles.items():
        columns["x [nm]"] = x * ANGSTROM_IN_NM
        columns[f"opening {name} [angstrom]"] = opening
        columns[f"traction {name} [GPa]"] = traction * EV_PER_A3_IN_GPA
    run.write_csv("contact_profiles.csv", columns)


def write_results(run: RunDirectory, case: ContactCase, result: ContactResult, unknowns: int) -> None:
    """results.json: every quantity with symbol, unit and origin; warnings."""
    names = ("name", "symbol", "value", "unit", "note")
    rows = [*system_quantities(case, result.system), *_path_quantities(result, unknowns)]
    run.write_json(
        "results.json",
        {"quantities": [dict(zip(names, row, strict=True)) for row in rows], "warnings": result.warnings},
    )


def system_quantities(case: ContactCase, system: ContactSystem) -> list[Row]:
    """Indenter, half space and law, and what theory expects."""
    contact, (force, unit) = system.contact, load_unit(system)
    sphere = isinstance(contact, SphereContact)
    half = "half space and indenter" if case.indenter.elastic else "half space under a rigid indenter"
    rows: list[Row] = [
        ("radius", "R", contact.radius * ANGSTROM_IN_NM, "nm", case.indenter.shape),
        ("contact modulus", "E*", contact.modulus * EV_PER_A3_IN_GPA, "GPa", half),
        ("work of adhesion", "w", contact.work * EV_PER_A2_IN_J_PER_M2, "J/m²", case.law.type),
        ("strength", "σ_0", contact.strength * EV_PER_A3_IN_GPA, "GPa", "largest stress of the law"),
        ("range of attraction", "h_0", contact.range, "Å", "w/σ₀"),
        ("Tabor parameter", "μ", contact.tabor, "", "(R w²/E*²h₀³)^⅓; small: DMT, large: JKR"),
        ("Maugis parameter", "λ", contact.maugis_lambda, "", "2σ₀(R/πwK²)^⅓, K = 4E*/3"),
        ("pull-off force, JKR", "P_JKR", contact.jkr_pull_off * force, unit, "3πwR/2" if sphere else "3(πE*w²R/16)^⅓"),
    ]
    if isinstance(contact, SphereContact):
        rows.append(("pull-off force, DMT", "P_DMT", contact.dmt_pull_off * force, unit, "2πwR"))
    source = "Maugis (1992)" if sphere else "Baney and Hui (1997)"
    rows.append(("pull-off force, Dugdale", "P_D", contact.pull_off * force, unit, source))
    if system.interface is not None:
        rows.append(("potential calls", "", system.interface.calls, "", "of all ranks"))
    return rows


def _path_quantities(result: ContactResult, unknowns: int) -> list[Row]:
    contact, path, plan = result.system.contact, result.path, result.system.plan
    (force, unit), (energy, joules) = load_unit(result.system), energy_unit(result.system)
    state = path.pull_off
    rows: list[Row] = [
        ("pull-off force", "P_off", result.pull_off * force, unit, f"at a contact of {format_length(state.radius)}"),
        ("pull-off force against Dugdale", "", 100.0 * (result.pull_off / contact.pull_off - 1.0), "%", "closed form"),
        ("pull-off force against JKR", "", 100.0 * (result.pull_off / contact.jkr_pull_off - 1.0), "%", ""),
    ]
    if isinstance(contact, SphereContact):
        difference = 100.0 * (result.pull_off / contact.dmt_pull_off - 1.0)
        rows += [
            ("pull-off force against DMT", "", difference, "%", ""),
            ("pull-off force over πwR", "", result.pull_off / (np.pi * contact.work * contact.radius), "", "1.5 to 2"),
        ]
    rows += [
        ("energy lost in jumps", "W_lost", path.lost * energy, joules, "of the load's work, over the whole path"),
        ("facet along the contact", "", plan.facet * ANGSTROM_IN_NM, "nm", f"{plan.zone / plan.facet:.1f} in the zone"),
        ("unknowns of the half space", "", unknowns, "", f"size {format_length(plan.size)}"),
        ("states", "", len(path.states), "", f"{path.iterations} iterations in all"),
    ]
    return rows


def prediction_rows(case: ContactCase, system: ContactSystem) -> list[tuple[str, str]]:
    """What `validate` prints."""
    plan = system.plan
    rows = [
        (name, f"{value:.4g} {unit}".strip())
        for name, _, value, unit, _ in system_quantities(case, system)
        if isinstance(value, int | float) and name not in ("radius", "potential calls")
    ]
    return [
        *rows,
        ("contact radius up to", format_length(plan.largest)),
        ("zone of attraction at pull-off", format_length(plan.zone)),
        (
            "facets along the contact",
            f"{plan.facets} of {format_length(plan.facet)}, {plan.zone / plan.facet:.3g} in the zone",
        ),
        ("size of the half space", format_length(plan.size)),
    ]
