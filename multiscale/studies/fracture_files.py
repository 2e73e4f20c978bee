"""What the fracture study writes besides its states: references, path, trapping, ledger, results, and the words before a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from multiscale.progress import format_seconds
from multiscale.run import RunDirectory, describe_potential
from multiscale.studies.defect_files import Row, crystal_quantities, range_quantity, write_interaction
from multiscale.studies.fracture_quantities import (
    ROLES,
    bonds_per_cell,
    column,
    cut_table,
    mode_words,
    path_quantities,
    reference_quantities,
    trapping_quantities,
    zone_quantities,
)
from multiscale.units import (
    ANGSTROM_IN_NM,
    EV_PER_A2_IN_J_PER_M2,
    EV_PER_A3_IN_GPA,
    EV_PER_A25_IN_MPA_SQRT_M,
    format_intensity,
    format_length,
)

if TYPE_CHECKING:
    from coupling.ledger import EnergyLedger
    from multiscale.config.fracture import FractureCase
    from multiscale.studies.crack_system import CrackCharacter, CrackPlan
    from multiscale.studies.fracture_state import CrackReferences, FractureResult, PathPoint, Trapping

Array = NDArray[np.float64]
INTENSITY = "MPa*m^0.5"
"""Unit of stress intensities in tables."""
_NAMES = ("name", "symbol", "value", "unit", "note")
_LEGS = {"up": 1, "down": -1, "follow": 0}
#: Elastic constants that are printed: in Voigt's numbers, laboratory axes.
_PRINTED = ((1, 1), (2, 2), (3, 3), (1, 2), (1, 3), (2, 3), (4, 4), (5, 5), (6, 6))


def write_crystal(run: RunDirectory, character: CrackCharacter) -> None:
    """How the interaction decays; the potential's record."""
    write_interaction(run, character.interaction)
    run.record(potential=describe_potential(character.potential))


def write_references(run: RunDirectory, case: FractureCase, references: CrackReferences) -> None:
    """references.json: what the potential says of the crack before there is one, in the schema of results.json."""
    run.write_json(
        "references.json",
        {
            "quantities": _quantities(reference_quantities(case, references)),
            "cuts": cut_table(references),
            "stiffness_gpa": references.stiffness * EV_PER_A3_IN_GPA,
            "k_griffith": references.griffith * EV_PER_A25_IN_MPA_SQRT_M,
            "direction": dict(zip(("II", "I", "III"), references.direction, strict=True)),
            "grips": case.gripped,
        },
    )


def reference_lines(case: FractureCase, references: CrackReferences) -> list[str]:
    """What is said before a run: cuts, surfaces, elastic constants, K_G."""
    surfaces, stiffness = references.surfaces, references.stiffness * EV_PER_A3_IN_GPA
    lines = []
    for cut in references.cuts:
        chosen = "  <- taken" if cut.name == references.cut.name else ""
        energy = "" if cut.energy is None else f", 2γ = {cut.energy * EV_PER_A2_IN_J_PER_M2:.4f} J/m² unrelaxed"
        lines.append(
            f"cut {cut.name}: planes {cut.gap:.4f} Å apart, {bonds_per_cell(cut)} "
            f"({cut.bond_density * 100:.2f} per nm²){energy}{chosen}"
        )
    constants = [f"C{i}{j} {stiffness[i - 1, j - 1]:.2f}" for i, j in _PRINTED]
    lines += [
        f"created surfaces: 2γ = {surfaces.relaxed * EV_PER_A2_IN_J_PER_M2:.4f} J/m² relaxed, "
        f"{surfaces.rigid * EV_PER_A2_IN_J_PER_M2:.4f} J/m² unrelaxed",
        f"elastic constants along growth, normal, front (GPa): {', '.join(constants)}",
        f"E* = {references.modulus * EV_PER_A3_IN_GPA:.2f} GPa, K_G = {format_intensity(references.griffith, digits=5)} "
        f"(mode {mode_words(case)})",
    ]
    if np.isfinite(references.cohesive_length):
        lines.append(
            f"cohesive length {format_length(references.cohesive_length)}, largest traction "
            f"{references.peak * EV_PER_A3_IN_GPA:.2f} GPa unrelaxed"
        )
    return lines


def write_path(run: RunDirectory, references: CrackReferences, points: Sequence[PathPoint], *, grips: bool) -> None:
    """path.csv: load, tip, work and account of every state so far.

    Args:
        run: where to.
        references: for K_G and the mixture of modes.
        points: of the path.
        grips: whether the load is an opening instead of a stress intensity.
    """
    if not points:
        return
    states = [point.state for point in points]
    stable = [np.nan if state.stable is None else float(state.stable) for state in states]
    intensity = column(points, "intensity") * EV_PER_A25_IN_MPA_SQRT_M
    load = column(points, "load") * (ANGSTROM_IN_NM if grips else EV_PER_A25_IN_MPA_SQRT_M)
    columns: dict[str, Any] = {
        "state": np.array([point.index for point in points]),
        "leg": np.array([_LEGS[point.leg] for point in points]),
        f"load [{'nm' if grips else INTENSITY}]": load,
        f"K [{INTENSITY}]": intensity,
        "K/K_G": column(points, "intensity") / references.griffith,
    }
    if np.count_nonzero(references.direction) > 1:
        for name, share in zip(("II", "I", "III"), references.direction, strict=True):
            columns[f"K_{name} [{INTENSITY}]"] = intensity * share
    columns |= {
        "tip by bonds [nm]": column(points, "tip_bonds") * ANGSTROM_IN_NM,
        "tip by field [nm]": column(points, "tip_field") * ANGSTROM_IN_NM,
        "advance [periods]": column(points, "advance"),
        "stable": np.array(stable),
        "G [J/m^2]": column(points, "release") * EV_PER_A2_IN_J_PER_M2,
        "J [J/m^2]": column(points, "j") * EV_PER_A2_IN_J_PER_M2,
        f"conjugate [{'eV/angstrom' if grips else 'angstrom^2.5'}]": column(states, "conjugate"),
        "work [eV]": column(states, "work"),
    }
    for name in {name: None for state in states for name in state.terms}:
        columns[f"{name} [eV]"] = np.array([state.terms.get(name, np.nan) for state in states])
    columns |= {
        "broken bonds": np.array([point.broken for point in points]),
        "slipped pairs": np.array([point.emitted for point in points]),
        "recentred": np.array([int(point.recentred) for point in points]),
        "energy jump [eV]": column(points, "energy_jump"),
        "fitted K/K": column(points, "field_scale"),
        "residual of the fit [angstrom]": column(points, "field_residual"),
        "largest force [eV/angstrom]": column(states, "residual"),
        "potential calls": np.array([state.calls for state in states]),
        "seconds": column(states, "seconds"),
    }
    run.write_csv(
        "path.csv",
        columns,
        comment="leg: 1 up, -1 down, 0 followed. stable: 1, 0, or empty where it is not known.",
    )


def write_trapping(run: RunDirectory, trapping: Trapping) -> None:
    """trapping.json: K₊ and K₋ of every period passed, the barrier; barriers.csv: barriers across the range."""
    unit = EV_PER_A25_IN_MPA_SQRT_M
    run.write_json(
        "trapping.json",
        {
            "unit": INTENSITY,
            "k_plus": [unit * load for load in trapping.plus],
            "k_plus_error": [unit * error for error in trapping.plus_error],
            "k_minus": [unit * load for load in trapping.minus],
            "k_minus_error": [unit * error for error in trapping.minus_error],
            "barrier_ev": trapping.barrier,
            "barrier_k": unit * trapping.barrier_load,
            "barrier_from": trapping.barrier_from,
            "shift_error_angstrom": trapping.shift_error,
        },
    )
    if len(trapping.barriers):
        load, advance, healing = np.asarray(trapping.barriers, dtype=float).T
        run.write_csv(
            "barriers.csv",
            {
                f"K [{INTENSITY}]": unit * load,
                "barrier of an advance [eV]": advance,
                "barrier of healing [eV]": healing,
            },
            comment=f"Per thickness of the body, from {trapping.barrier_from}.",
        )


def write_ledger(run: RunDirectory, ledger: EnergyLedger) -> list[dict[str, Any]]:
    """ledger.csv: the account after every step of the path.

    Returns:
        The rows of results.json: each term at the end.
    """
    if not ledger.entries:
        return []
    columns = {f"{term.name} [eV]": ledger.column(term.name) for term in ledger.terms}
    run.write_csv(
        "ledger.csv",
        {
            "step": np.arange(1, len(ledger.entries) + 1),
            "work [eV]": ledger.work,
            **columns,
            "total [eV]": ledger.total,
            "step defect [eV]": np.array([entry.step_defect for entry in ledger.entries]),
        },
        comment="Changes since the start of the path; total: the weighted sum of the terms.",
    )
    rows = [
        {
            "term": term.name,
            "domain": term.domain,
            "weight": term.weight,
            "value": float(ledger.column(term.name)[-1]),
            "unit": "eV",
            "note": term.note,
        }
        for term in ledger.terms
    ]
    work = {"term": "work of the load", "domain": "supports", "weight": -1.0, "value": float(ledger.work[-1])}
    return [*rows, {**work, "unit": "eV", "note": "∫ reaction dload, trapezoidal"}]


def write_results(run: RunDirectory, case: FractureCase, result: FractureResult) -> None:
    """results.json: every quantity with symbol, unit and origin; the cuts; the ledger; warnings."""
    character = result.character
    run.record(potential=describe_potential(character.potential))
    if result.trapping is not None:
        write_trapping(run, result.trapping)
    rows = [
        *trapping_quantities(result),
        *reference_quantities(case, result.references),
        *crystal_quantities(character.crystal, character.match, character.material),
        range_quantity(character.interaction, character.force_range),
        *zone_quantities(case, result),
        *path_quantities(case, result),
        *result.quantum.rows(),
    ]
    ledger = [] if result.ledger is None else write_ledger(run, result.ledger)
    note = (
        "Changes since the start of the path; the work of the load is an independent sum of the supports' reactions."
        if ledger
        else ""
    )
    if result.trapping is None or result.trapping.barrier_from != "energies":
        note += " The method joins forces, which have no common energy: barriers are the work of the load, ∫ reaction dload."
    run.write_json(
        "results.json",
        {
            "quantities": _quantities(rows),
            "warnings": result.warnings,
            "cuts": cut_table(result.references),
            "emission": [
                {"state": point.index, "K (MPa√m)": point.intensity * EV_PER_A25_IN_MPA_SQRT_M, "slip": point.emission}
                for point in result.points
                if point.emission
            ],
            "ledger": ledger,
            "ledger_note": note.strip(),
            **({"quantum": section} if (section := result.quantum.section()) else {}),
        },
    )


def prediction_rows(
    case: FractureCase,
    character: CrackCharacter,
    references: CrackReferences,
    plan: CrackPlan,
    model_counts: Mapping[str, int],
    seconds: float,
    calls: int,
) -> list[tuple[str, str]]:
    """What `validate` prints.

    Args:
        case: the case.
        character: what the potential says of the crystal.
        references: of the crack.
        plan: of zone and body.
        model_counts: atoms by role, ``nodes`` and ``elements``.
        seconds: of one evaluation.
        calls: expected on the path.
    """
    capabilities, two_gamma = character.potential.capabilities, references.two_gamma * EV_PER_A2_IN_J_PER_M2
    rows = [
        ("potential", f"{capabilities.name} ({capabilities.precision})"),
        ("lattice constant", f"{character.crystal.a:.4f} Å"),
        ("cut", f"{references.cut.name} of {', '.join(cut.name for cut in references.cuts)}"),
        ("created surfaces", f"2γ = {two_gamma:.4f} J/m²"),
        ("effective modulus", f"E* = {references.modulus * EV_PER_A3_IN_GPA:.2f} GPa"),
        ("Griffith toughness", f"K_G = {format_intensity(references.griffith)} (mode {mode_words(case)})"),
    ]
    if np.isfinite(references.cohesive_length):
        rows.append(("cohesive length", format_length(references.cohesive_length)))
    return [
        *rows,
        ("range of forces", f"{character.force_range:.1f} Å"),
        ("atoms", ", ".join(f"{model_counts[role]} {role}" for role in ROLES if role in model_counts)),
        ("blend and pad", f"{format_length(plan.width)} and {format_length(plan.pad)}"),
        ("nodes", f"{model_counts['nodes']}, {model_counts['elements']} elements ({case.body.elements})"),
        ("one evaluation", f"{seconds:.2f} s"),
        ("expected time", f"about {format_seconds(seconds * calls)} for some {calls} evaluations"),
    ]


def _quantities(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [dict(zip(_NAMES, row, strict=True)) for row in rows]
