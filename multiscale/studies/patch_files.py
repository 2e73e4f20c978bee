"""What the adhesion study writes of its zone of atoms: path, profiles, results, and the words of its prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coupling.handshake import CoupledModel
from coupling.handshake.loading import LoadStep
from multiscale.config import AdhesionCase
from multiscale.progress import format_seconds
from multiscale.run import RunDirectory, describe_potential
from multiscale.studies.adhesion_files import Row, atomistic_quantities, law_quantities
from multiscale.studies.embedded_files import corrected_separation
from multiscale.studies.patch import PatchCharacter, PatchPlan, zone_of
from multiscale.units import (
    ANGSTROM_IN_NM,
    EV_PER_A2_IN_J_PER_M2,
    EV_PER_A3_IN_GPA,
    EV_PER_A_IN_J_PER_M,
    format_length,
)

if TYPE_CHECKING:
    from multiscale.studies.adhesion_zone import AdhesionZoneResult

Array = NDArray[np.float64]
ROLES = ("core", "blend", "pad")


def step_event(step: LoadStep) -> dict[str, Any]:
    """A step as `events.jsonl` keeps it."""
    return {
        "opening_nm": round(step.load * ANGSTROM_IN_NM, 6),
        "reaction_ev_per_angstrom": step.reaction,
        "largest_force_ev_per_angstrom": step.residual,
        "iterations": step.iterations,
        "calls": step.calls,
        "cutbacks": step.cutbacks,
        "jumped": step.jumped,
        "seconds": round(step.seconds, 3),
        "seconds_in_potential": round(step.potential_seconds, 3),
    }


def write_path(run: RunDirectory, result: AdhesionZoneResult) -> None:
    """path.csv: load, traction and the account of energy along the path, per width of the specimen."""
    steps, body = result.steps, result.model.body
    if not steps:
        return
    width = body.thickness
    columns: dict[str, Array] = {
        "opening [nm]": np.array([s.load for s in steps]) * ANGSTROM_IN_NM,
        "load [N/m]": np.array([s.reaction for s in steps]) / width * EV_PER_A2_IN_J_PER_M2,
        "work [J/m]": np.cumsum([s.work for s in steps]) / width * EV_PER_A_IN_J_PER_M,
        "step defect [J/m]": np.array([s.defect for s in steps]) / width * EV_PER_A_IN_J_PER_M,
    }
    if not result.plan.crack:
        columns["mean traction [GPa]"] = np.array([s.reaction for s in steps]) / result.area * EV_PER_A3_IN_GPA
    if result.ledger is not None:
        for term in result.ledger.terms:
            columns[f"{term.name} [J/m]"] = result.ledger.column(term.name) / width * EV_PER_A_IN_J_PER_M
    for name in {name: None for s in steps for name in s.part_works}:
        works = np.cumsum([s.part_works.get(name, 0.0) for s in steps])
        columns[f"work on {name} [J/m]"] = works / width * EV_PER_A_IN_J_PER_M
    columns |= {
        "largest force [eV/angstrom]": np.array([s.residual for s in steps]),
        "iterations": np.array([s.iterations for s in steps]),
        "potential calls": np.array([s.calls for s in steps]),
        "cutbacks": np.array([s.cutbacks for s in steps]),
        "jumped": np.array([int(s.jumped) for s in steps]),
    }
    run.write_csv("path.csv", columns, comment="Energies are weighted and count from the unloaded specimen.")


def write_profiles(run: RunDirectory, result: AdhesionZoneResult) -> None:
    """profiles.csv: opening and traction along the whole interface at each output, sites and law's own points in one table."""
    parts: dict[str, list[Array]] = {}
    interface = result.model.body.interface
    assert interface is not None
    for output in result.outputs:
        profile, law = output.profile, interface.profile(output.step.u, output.history)
        spacing = float(np.diff(profile.x).min())
        ends = (profile.x[0] - 0.5 * spacing, profile.x[-1] + 0.5 * spacing)
        beyond = (law.x < ends[0]) | (law.x > ends[1])
        intact = result.model.whole_facets[law.facet] > 0.0
        shown = beyond & intact
        x = np.concatenate([profile.x, law.x[shown]])
        order = np.argsort(x, kind="stable")
        nothing = np.full(int(shown.sum()), np.nan)
        along = np.interp(profile.x, law.x, law.opening[:, 0])
        along[profile.weight >= 1.0] = np.nan
        table = {
            "opening [nm]": np.full(len(x), output.step.load * ANGSTROM_IN_NM),
            "x [nm]": x * ANGSTROM_IN_NM,
            "weight of atoms": np.concatenate([profile.weight, np.zeros(len(nothing))]),
            "gap of the rows [angstrom]": np.concatenate([profile.gap[:, 0], nothing]),
            "slip of the rows [angstrom]": np.concatenate([profile.gap[:, 1], nothing]),
            "opening of the law [angstrom]": np.concatenate([along, law.opening[shown, 0]]),
            "traction [GPa]": np.concatenate([profile.traction[:, 0], law.traction[shown, 0]]) * EV_PER_A3_IN_GPA,
            "shear traction [GPa]": np.concatenate([profile.traction[:, 1], law.traction[shown, 1]]) * EV_PER_A3_IN_GPA,
            "traction of the atoms [GPa]": np.concatenate([profile.atoms[:, 0], nothing]) * EV_PER_A3_IN_GPA,
            "traction of the law [GPa]": np.concatenate([profile.law[:, 0], law.traction[shown, 0]]) * EV_PER_A3_IN_GPA,
        }
        for name, values in table.items():
            parts.setdefault(name, []).append(values[order])
    if parts:
        run.write_csv(
            "profiles.csv",
            {name: np.concatenate(values) for name, values in parts.items()},
            comment="Traction: (1 - beta) atoms + beta law. The gap holds the strain between the rows, the law's opening not.",
        )


def write_results(run: RunDirectory, case: AdhesionCase, result: AdhesionZoneResult) -> None:
    """results.json: every quantity with symbol, unit and origin; the ledger; the profiles' jumps; the audit; warnings."""
    run.record(potential=describe_potential(result.interface.potential))
    names = ("name", "symbol", "value", "unit", "note")
    rows = [
        *atomistic_quantities(case, result.interface),
        *law_quantities(result.interface, result.plan.mesh),
        *_zone_quantities(case, result),
        *_path_quantities(case, result),
        *result.quantum.rows(),
        *_corrected_rows(result),
    ]
    peak = result.interface.extraction.peak_traction
    width = result.model.body.thickness
    ledger, note = [], "Sites have no energy of their own: there is no account of energies, only of forces."
    if result.ledger is not None:
        ledger = [
            {
                "term": term.name,
                "domain": term.domain,
                "weight": term.weight,
                "value": float(result.ledger.column(term.name)[-1]) / width * EV_PER_A_IN_J_PER_M,
                "unit": "J/m",
                "note": term.note,
            }
            for term in result.ledger.terms
        ]
        work = float(result.ledger.work[-1]) / width * EV_PER_A_IN_J_PER_M
        ledger.append({"term": "work of the load", "domain": "supports", "weight": -1.0, "value": work, "unit": "J/m",
                       "note": "trapezoidal"})  # fmt: skip
        note = "Weighted energies, as changes from the unloaded specimen."
        if zone_of(case).method != "bgfc":
            note += (
                f" Forces of {zone_of(case).method} have no common energy: what does not add up is the method's defect."
            )
    run.write_json(
        "results.json",
        {
            "quantities": [dict(zip(names, row, strict=True)) for row in rows],
            "warnings": result.warnings,
            "ledger": ledger,
            "ledger_note": note,
            "profiles": {
                "rows": [
                    {
                        "opening": format_length(output.step.load),
                        "peak along the interface": f"{np.nanmax(output.profile.traction[:, 0]) * EV_PER_A3_IN_GPA:.3f} GPa",
                        "jump in the handshake / σ_max": output.jump / peak,
                        "out of line there / σ_max": output.kink / peak,
                        "atoms against law / σ_max": output.profile.disagreement / peak,
                        "ghost traction / σ_max": output.ghost / peak,
                    }
                    for output in result.outputs
                ],
                "note": "Jump: the largest change of the traction from one site to the next where atoms and law both count; out "
                "of line: its distance from the mean of the neighbours' there. Ghost traction: the largest difference from "
                "the mean over the block.",
            },
            "audit": result.model.partition.audit,
            **({"quantum": section} if (section := result.quantum.section()) else {}),
        },
    )


def _corrected_rows(result: AdhesionZoneResult) -> list[Row]:
    """Work of separation of the quantum cell by both engines, and what that makes of the whole one."""
    record = result.quantum
    found = corrected_separation(record)
    if found is None or record.embedding is None:
        return []
    engine, potential, area = found
    where = (
        f"between {record.points[0].label} and {record.points[-1].label}, the cell's own {area:.2f} Å² of the interface"
    )
    rows: list[Row] = [
        ("work of the quantum cell, engine", "W_C", engine * EV_PER_A2_IN_J_PER_M2, "J/m²", where),
        ("work of the quantum cell, potential", "", potential * EV_PER_A2_IN_J_PER_M2, "J/m²", "the same atoms"),
    ]
    whole = result.work_of_separation
    if np.isfinite(whole) and record.embedding.mode == "single points":
        corrected = whole + record.correction / result.area
        note = f"at the potential's geometries; uncorrected {whole * EV_PER_A2_IN_J_PER_M2:.6g} J/m²"
        rows.append(("work of separation of the whole, corrected", "", corrected * EV_PER_A2_IN_J_PER_M2, "J/m²", note))
    return rows


def _zone_quantities(case: AdhesionCase, result: AdhesionZoneResult) -> list[Row]:
    partition, body, character = result.model.partition, result.model.body, result.character
    counts, audit, match = partition.counts, partition.audit, result.character.match
    free = int(result.model.free.any(axis=1).sum())
    return [
        (
            "mismatch of elastic constants",
            "",
            100 * match.stiffness_mismatch,
            "%",
            f"atoms against continuum ({type(character.material).__name__}), of the largest one",
        ),
        ("range of a site's energy", "", character.site_range, "Å", "measured: beyond, a tenth of the tolerance"),
        (
            "range of forces",
            "",
            character.force_range,
            "Å",
            f"beyond the pad {character.interaction.cut_off_part(result.plan.pad):.1e} of the force constants",
        ),
        ("atoms", "N_a", sum(counts.values()), "", ", ".join(f"{counts[role]} {role}" for role in ROLES)),
        (
            "nodes",
            "N_h",
            len(body.nodes),
            "",
            f"{free} of them free, {len(body.cells)} elements, degree {case.mesh.degree}",
        ),
        ("middle of the core", "", result.plan.at * ANGSTROM_IN_NM, "nm", "from the left end"),
        ("width of the blend", "", result.plan.width, "Å", f"{zone_of(case).method}, {zone_of(case).blending}"),
        ("width of the pad", "", result.plan.pad, "Å", ""),
        (
            "double counting",
            "",
            audit.relative_error,
            "of the volume",
            f"{audit.atomistic:.6g} by atoms + {audit.continuum:.6g} by elements = {audit.expected:.6g} Å³; bound 1e-12",
        ),
    ]


def _path_quantities(case: AdhesionCase, result: AdhesionZoneResult) -> list[Row]:
    steps, extraction, width = result.steps, result.interface.extraction, result.model.body.thickness
    loads = np.array([s.reaction for s in steps])
    top = int(np.argmax(loads))
    rows: list[Row] = [
        (
            "largest load",
            "P_max",
            float(loads[top]) / width * EV_PER_A2_IN_J_PER_M2,
            "N/m",
            f"at an opening of {format_length(steps[top].load)}",
        )
    ]
    if not result.plan.crack:
        mean = float(loads[top]) / result.area
        note = f"{mean / extraction.peak_traction:.3f} of the law's peak"
        rows.append(("largest mean traction", "T_max", mean * EV_PER_A3_IN_GPA, "GPa", note))
    whole = result.work_of_separation
    if np.isfinite(whole):
        rows.append(
            (
                "work of separation of the whole",
                "W_tot",
                whole * EV_PER_A2_IN_J_PER_M2,
                "J/m²",
                f"atoms, elements and law together; {whole / extraction.work - 1.0:+.1e} against the law alone",
            )
        )
    rows += _handshake_quantities(case, result)
    largest = max(abs(s.work) for s in steps) or 1.0
    total = max(abs(float(np.sum([s.work for s in steps]))), largest)
    if any(s.part_works for s in steps):
        rows.append(
            (
                "closure of a step",
                "",
                max(abs(s.defect) for s in steps) / total,
                "of total work",
                "work on each part's nodes against the supports'; bounded by the tolerance of the forces",
            )
        )
    if result.ledger is not None:
        released = float(result.ledger.column("released in jumps")[-1])
        rows.append(
            (
                "closure of the run",
                "",
                result.ledger.run_closure(),
                "of total work",
                "energies against trapezoidal work"
                + ("; bound 1e-3" if zone_of(case).method == "bgfc" else f": the defect of {zone_of(case).method}")
                + (f"; {released / total:.1%} released in jumps" if released else ""),
            )
        )
    inside = result.seconds[1] / max(result.seconds[0], 1e-9)
    rows += [
        (
            "potential calls of the zone",
            "",
            result.calls,
            "",
            f"{sum(s.iterations for s in steps)} iterations, {sum(s.cutbacks for s in steps)} halvings; energies and profiles "
            "included",
        ),
        (
            "time of the loading",
            "",
            result.seconds[0],
            "s",
            f"{format_seconds(result.seconds[1])} inside the potential ({inside:.0%})",
        ),
    ]
    return rows


def _handshake_quantities(case: AdhesionCase, result: AdhesionZoneResult) -> list[Row]:
    """How far the traction passes through the handshake unchanged, at the outputs on the path."""
    peak, smooth = result.interface.extraction.peak_traction, [o for o in result.outputs if not o.step.jumped]
    if not smooth:
        return []
    rows: list[Row] = []
    fitted = [o for o in smooth if o.over_range <= 1.0]
    if fitted and np.isfinite(fitted[0].ghost):
        note = f"bound 1%; the tolerance of forces alone lets {result.unseen_traction(case) / peak:.1%} pass"
        if len(fitted) < len(smooth):
            worst = max(o.ghost for o in smooth) / peak
            note += f"; {worst:.1%} where elements are strained beyond the range of their fitted energy"
        rows.append(("ghost traction", "T_g", 100 * max(o.ghost for o in fitted) / peak, "% of σ_max", note))
    jump, bend = (100 * max(getattr(o, name) for o in smooth) / peak for name in ("jump", "kink"))
    return [
        *rows,
        ("jump of the traction in the handshake", "", jump, "% of σ_max", "from one site to the next"),
        ("traction out of line in the handshake", "", bend, "% of σ_max", "from the mean of its neighbours"),
    ]


def prediction_rows(
    character: PatchCharacter, plan: PatchPlan, model: CoupledModel, *, seconds: float, calls: int
) -> list[tuple[str, str]]:
    """What `validate` prints beside what it prints of the interface."""
    counts, audit = model.partition.counts, model.partition.audit
    return [
        ("range", f"{character.site_range:.1f} Å of a site's energy, {character.force_range:.1f} Å of forces"),
        ("atoms", ", ".join(f"{counts[role]} {role}" for role in ROLES)),
        ("core about", f"x = {format_length(plan.at)}"),
        ("blend and pad", f"{format_length(plan.width)} and {format_length(plan.pad)}"),
        ("nodes", f"{len(model.body.nodes)}, {len(model.body.cells)} elements"),
        ("double counting", f"{audit.relative_error:.1e} of the volume"),
        ("one evaluation", f"{seconds:.2f} s"),
        ("expected time", f"about {format_seconds(seconds * calls)} for some {calls} evaluations"),
    ]
