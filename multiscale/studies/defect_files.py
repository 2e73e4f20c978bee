"""What the defect study writes besides its state: tables, results and the words of its prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atomistic.cauchy_born import CauchyBorn, CrystalMatch
from atomistic.column_interaction import ColumnInteraction
from atomistic.crystal import Crystal
from atomistic.interaction import Interaction
from coupling.defects import ScrewDipole
from coupling.handshake import CoupledModel
from multiscale.config import DefectCase, DipoleModel
from multiscale.progress import format_seconds
from multiscale.run import RunDirectory, describe_potential
from multiscale.studies.all_atoms import Comparison, count_atoms
from multiscale.studies.coupled_zone import CrystalCharacter, ZonePlan
from multiscale.units import ANGSTROM_IN_NM, EV_PER_A3_IN_GPA, EV_PER_A_IN_J_PER_M, format_length

if TYPE_CHECKING:
    from multiscale.studies.defect import DefectResult

Array = NDArray[np.float64]
ROLES = ("core", "blend", "pad")
_REFERENCE = "less the perfect crystal under F₀"
Row = tuple[str, str, float | int | str | None, str, str]


def write_crystal(run: RunDirectory, character: CrystalCharacter) -> None:
    """How the interaction decays; the potential's record."""
    write_interaction(run, character.interaction)
    run.record(potential=describe_potential(character.potential))


def write_interaction(run: RunDirectory, interaction: Interaction | ColumnInteraction) -> None:
    """interaction.csv: how the potential's interaction decays with distance."""
    site = np.full_like(interaction.decay, np.nan) if interaction.site_decay is None else interaction.site_decay
    run.write_csv(
        "interaction.csv",
        {
            "distance [angstrom]": interaction.distances,
            "force constant [eV/angstrom^2]": interaction.decay,
            "site force constant [eV/angstrom^2]": site,
        },
        comment="Largest response of a site at this distance to the displacement of one site of the perfect crystal.",
    )


def write_comparison(run: RunDirectory, comparison: Comparison) -> None:
    """Where the coupled answer differs from that of all atoms."""
    run.write_arrays(
        "error.npz",
        points=comparison.points * ANGSTROM_IN_NM,
        cells=comparison.cells,
        error=comparison.cell_error,
    )
    run.write_csv(
        "error.csv",
        {
            "distance from the core [nm]": comparison.distance * ANGSTROM_IN_NM,
            "rms error of the strain": comparison.profile,
        },
        comment="Against all atoms, in rings of one lattice spacing about the core; negative distances lie in it.",
    )


def write_results(run: RunDirectory, case: DefectCase, result: DefectResult) -> None:
    """results.json: every quantity with symbol, unit and origin; the ledger; the audit; warnings."""
    names = ("name", "symbol", "value", "unit", "note")
    rows = [
        *_crystal_quantities(result.character),
        *_zone_quantities(case, result),
        *_equilibrium_quantities(case, result),
        *result.quantum.rows(),
        *_corrected_rows(result),
        *_comparison_quantities(result),
    ]
    data: dict[str, Any] = {
        "quantities": [dict(zip(names, row, strict=True)) for row in rows],
        "warnings": result.warnings,
        "ledger": _ledger_rows(result),
        "audit": result.model.partition.audit,
    }
    note = f"{case.method} joins forces, which have no common energy: there is no account of it."
    if result.ledger is not None:
        note = (
            "Changes from the start of the search to the equilibrium. The last row is the work of the forces along the straight "
            "way between the two, an independent sum."
        )
    data["ledger_note"] = note
    if section := result.quantum.section():
        data["quantum"] = section
    run.write_json("results.json", data)


def _corrected_rows(result: DefectResult) -> list[Row]:
    """The relaxation's energy with the quantum region in place of the potential's, where single points alone asked for it."""
    embedding, change = result.quantum.embedding, result.quantum.correction
    if embedding is None or embedding.mode == "in the loop" or result.ledger is None or not np.isfinite(change):
        return []
    total = float(result.ledger.total[-1])
    note = f"from the start of the search, at the potential's geometries; uncorrected {-total:.6g} eV"
    return [("energy set free by relaxation, corrected", "", -(total + change), "eV", note)]


def _ledger_rows(result: DefectResult) -> list[dict[str, Any]]:
    """Changes of the weighted energies, and what the forces say of their sum."""
    ledger = result.ledger
    if ledger is None:
        return []
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
    rows.append(
        {
            "term": "work of the forces",
            "domain": "all unknowns",
            "weight": -1.0,
            "value": float(ledger.work[-1]),
            "unit": "eV",
            "note": "∫ ∂E/∂u · du",
        }
    )
    return rows


def crystal_quantities(crystal: Crystal, match: CrystalMatch, material: CauchyBorn) -> list[Row]:
    """The perfect crystal by its atoms and by its continuum."""
    stiffness = crystal.stiffness * EV_PER_A3_IN_GPA
    return [
        ("lattice constant", "a", crystal.a, "Å", f"{crystal.structure} {'-'.join(crystal.symbols)}"),
        ("elastic constant", "C11", float(stiffness[0, 0]), "GPa", "crystal axes"),
        ("elastic constant", "C12", float(stiffness[0, 1]), "GPa", ""),
        ("elastic constant", "C44", float(stiffness[3, 3]), "GPa", ""),
        (
            "mismatch of elastic constants",
            "",
            100 * match.stiffness_mismatch,
            "%",
            f"atoms against continuum ({type(material).__name__}), of the largest one",
        ),
        (
            "strain from rest",
            "",
            max(match.atoms_strain, match.continuum_strain),
            "",
            "of the reference lattice, in atoms or continuum",
        ),
    ]


def range_quantity(interaction: Interaction | ColumnInteraction, reach: float) -> Row:
    """How far forces reach (Å), and what is left beyond."""
    left = f"beyond it {interaction.cut_off_part(reach):.1e} of the force constants"
    return ("range of forces", "", reach, "Å", left)


def _crystal_quantities(character: CrystalCharacter) -> list[Row]:
    return [
        *crystal_quantities(character.crystal, character.match, character.material),
        (
            "range of a site's energy",
            "",
            character.site_range,
            "Å",
            "measured: beyond, a tenth of the tolerance",
        ),
        range_quantity(character.interaction, character.force_range),
    ]


def _zone_quantities(case: DefectCase, result: DefectResult) -> list[Row]:
    partition, body = result.model.partition, result.model.body
    counts, audit = partition.counts, partition.audit
    held = int(result.model.free.any(axis=1).sum())
    whole = count_atoms(result.character, result.plan)
    rows: list[Row] = [
        ("atoms", "N_a", sum(counts.values()), "", ", ".join(f"{counts[role]} {role}" for role in ROLES)),
        ("missing atoms", "", int(partition.absent.sum()), "", ""),
        *_dipole_quantities(case, result.plan),
        ("nodes", "N_h", len(body.nodes), "", f"{held} of them free, {len(body.cells)} elements, {case.body.elements}"),
        ("sites of the body", "", whole, "", f"{whole / max(sum(counts.values()), 1):.0f} for each atom computed"),
        ("width of the blend", "", result.plan.width, "Å", f"{case.method}, {case.zone.blending}"),
        ("width of the pad", "", result.plan.pad, "Å", ""),
        ("core to boundary", "", result.plan.clear * ANGSTROM_IN_NM, "nm", ""),
        (
            "double counting",
            "",
            audit.relative_error,
            "of the volume",
            f"{audit.atomistic:.6g} by atoms + {audit.continuum:.6g} by elements = {audit.expected:.6g} Å³; bound 1e-12",
        ),
    ]
    return rows


def _dipole_quantities(case: DefectCase, plan: ZonePlan) -> list[Row]:
    """How far apart the dislocations began, once each was moved between rows of atoms."""
    if not isinstance(case.defect, DipoleModel) or not isinstance(plan.defect, ScrewDipole):
        return []
    apart = float(np.linalg.norm(np.subtract(plan.defect.upper, plan.defect.lower)))
    asked = f"at the start, between rows of atoms; asked for {format_length(case.defect.separation)}"
    return [("separation of the dislocations", "", apart * ANGSTROM_IN_NM, "nm", asked)]


def _equilibrium_quantities(case: DefectCase, result: DefectResult) -> list[Row]:
    solution = result.solution
    rows: list[Row] = [
        (
            "largest force left",
            "",
            solution.residual,
            "eV/Å",
            f"tolerance {case.solver.tolerance:g}; {solution.iterations} iterations",
        ),
        (
            "potential calls",
            "",
            solution.calls,
            "",
            f"{format_seconds(solution.potential_seconds)} inside the potential",
        ),
        ("time of the equilibrium", "", solution.seconds, "s", "mesh and partition apart"),
        (
            "largest displacement",
            "u_max",
            float(np.linalg.norm(result.model.to_atoms @ (solution.u - result.start), axis=1).max()),
            "Å",
            "of an atom, from the start of the search",
        ),
    ]
    ledger = result.ledger
    if ledger is not None:
        change = float(ledger.total[-1])
        rows.append(("energy set free by relaxation", "", -change, "eV", "from the start of the search"))
        if case.output.closure_points:
            rows.append(
                (
                    "closure of the ledger",
                    "",
                    ledger.step_closure(),
                    "of the change",
                    f"against the work of the forces at {case.output.closure_points} points along the way; bound 1e-3",
                )
            )
    if np.isfinite(result.energy):
        rows += _energy_rows(case, result, result.energy, "")
    return rows


def _energy_rows(case: DefectCase, result: DefectResult, energy: float, whom: str) -> list[Row]:
    """The energy of the defect; in plane bodies per length of the front too."""
    missing = int(result.model.partition.absent.sum())
    name = (
        "formation energy" if missing else "energy of the dipole" if isinstance(case.defect, DipoleModel) else "energy"
    )
    symbol = "E_f" if not whom else ""
    lattice = result.model.partition.lattice
    where = _REFERENCE
    if lattice.dimension == 2:
        where += f", per period of {lattice.thickness:.3f} Å along the front"
    rows: list[Row] = [(name + whom, symbol, energy, "eV", where)]
    if lattice.dimension == 2:
        period = lattice.thickness * float(result.plan.far_field[2, 2])
        rows.append((name + whom + ", per length", "", energy / period * EV_PER_A_IN_J_PER_M * 1e9, "nJ/m", ""))
    return rows


def _comparison_quantities(result: DefectResult) -> list[Row]:
    comparison, solution = result.comparison, result.solution
    if comparison is None:
        return []
    reference = comparison.solution
    rows: list[Row] = [
        (
            "error against all atoms",
            "ε_err",
            100 * comparison.strain,
            "%",
            "‖D(u − u_ref)‖/‖D(u_ref − u_start)‖ over the lattice",
        ),
        ("largest difference of a displacement", "", comparison.largest_displacement, "Å", ""),
        ("atoms of the whole body", "", comparison.atoms, "", "free ones"),
        (
            "time of all atoms",
            "",
            reference.seconds,
            "s",
            f"{reference.calls} calls, same solver; coupled {solution.seconds:.2f} s, {solution.calls} calls",
        ),
        ("times faster", "", reference.seconds / max(solution.seconds, 1e-9), "", "equilibrium alone"),
    ]
    if np.isfinite(result.energy) and np.isfinite(comparison.energy):
        missing = result.model.partition.absent.any()
        name = "formation energy" if missing else "energy of the defect"
        rows.append((f"{name}, all atoms", "", comparison.energy, "eV", _REFERENCE))
        rows.append(
            (
                f"difference of the {name}",
                "",
                1000 * (result.energy - comparison.energy),
                "meV",
                "coupled less all atoms",
            )
        )
    return rows


def prediction_rows(
    case: DefectCase, character: CrystalCharacter, plan: ZonePlan, model: CoupledModel, *, seconds: float, calls: int
) -> list[tuple[str, str]]:
    """What `validate` prints."""
    partition = model.partition
    counts, capabilities = partition.counts, character.potential.capabilities
    audit = partition.audit
    weighed = "weighted site energies" if capabilities.weighted_site_energies else "forces only"
    rows = [
        ("potential", f"{capabilities.name} ({capabilities.precision}, {weighed})"),
        ("lattice constant", f"{character.crystal.a:.4f} Å"),
        ("range", f"{character.site_range:.1f} Å of a site's energy, {character.force_range:.1f} Å of forces"),
        ("atoms", ", ".join(f"{counts[role]} {role}" for role in ROLES) + f"; {int(partition.absent.sum())} missing"),
        ("blend and pad", f"{format_length(plan.width)} and {format_length(plan.pad)}"),
        ("nodes", f"{len(model.body.nodes)}, {len(model.body.cells)} elements ({case.body.elements})"),
        ("whole body", f"{count_atoms(character, plan)} atoms"),
        ("core to boundary", format_length(plan.clear)),
        ("double counting", f"{audit.relative_error:.1e} of the volume"),
        ("one evaluation", f"{seconds:.2f} s"),
        ("expected time", f"about {format_seconds(seconds * calls)} for some {calls} evaluations"),
    ]
    if case.compare.all_atoms:
        share = count_atoms(character, plan) / max(sum(counts.values()), 1)
        rows.append(("comparison with all atoms", f"about {format_seconds(seconds * calls * share)}"))
    return rows
