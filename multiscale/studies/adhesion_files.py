"""What the adhesion study writes: tables, results and the words of its prediction. Conversion to a reader's units is here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ase.io
import numpy as np
from mpi4py import MPI

from continuum.beams import DoubleCantileverEstimate
from continuum.solid import Solid
from continuum.solvers import Step
from coupling.ledger import EnergyLedger
from multiscale.config import AdhesionCase
from multiscale.run import RunDirectory, describe_potential
from multiscale.studies.bicrystal import second_data, second_quantities, second_rows
from multiscale.studies.impurity_files import impurity_data, impurity_quantities
from multiscale.studies.interface import InterfaceCharacter
from multiscale.studies.live import live_quantities
from multiscale.studies.specimen import MeshPlan
from multiscale.units import (
    ANGSTROM_IN_NM,
    EV_PER_A2_IN_J_PER_M2,
    EV_PER_A3_IN_GPA,
    EV_PER_A_IN_J_PER_M,
    format_length,
)

if TYPE_CHECKING:
    from multiscale.studies.adhesion import AdhesionResult


def write_interface(run: RunDirectory, interface: InterfaceCharacter, comm: MPI.Comm) -> None:
    """Separation curve, law, stacks, and the atoms themselves."""
    curve, extraction, uber = interface.curve, interface.extraction, interface.uber
    fit_energy = np.asarray(extraction.fit.energy(np.minimum(curve.opening, extraction.fit.end)))
    traction = np.full_like(curve.opening, np.nan) if curve.traction is None else curve.traction
    run.write_csv(
        "separation.csv",
        {
            "opening [angstrom]": curve.opening,
            "energy [eV/angstrom^2]": curve.energy,
            "traction [eV/angstrom^3]": traction,
            "energy [J/m^2]": curve.energy * EV_PER_A2_IN_J_PER_M2,
            "traction [GPa]": traction * EV_PER_A3_IN_GPA,
            "fit energy [J/m^2]": fit_energy * EV_PER_A2_IN_J_PER_M2,
            "uber energy [J/m^2]": uber.energy(curve.opening) * EV_PER_A2_IN_J_PER_M2,
            "uber traction [GPa]": uber.traction(curve.opening) * EV_PER_A3_IN_GPA,
        },
    )
    run.write_csv(
        "law.csv",
        {
            "opening [angstrom]": extraction.opening,
            "potential [eV/angstrom^2]": extraction.potential,
            "traction [eV/angstrom^3]": extraction.traction,
            "stiffness [eV/angstrom^4]": extraction.stiffness,
            "potential [J/m^2]": extraction.potential * EV_PER_A2_IN_J_PER_M2,
            "traction [GPa]": extraction.traction * EV_PER_A3_IN_GPA,
        },
        comment="The cohesive law: the finite elements' own elasticity is taken out of the separation curve.",
    )
    if interface.stacks is not None:
        _write_stacks(run, interface)
    if comm.rank == 0 and interface.images:
        ase.io.write(run.file("separation.extxyz"), interface.images, format="extxyz", parallel=False)
    run.record(potential=describe_potential(interface.potential))


def _write_stacks(run: RunDirectory, interface: InterfaceCharacter) -> None:
    """Each stack by atoms, beside what each law predicts at the same elongations."""
    assert interface.stacks is not None
    columns: dict[str, list[np.ndarray]] = {}

    def add(name: str, values: np.ndarray) -> None:
        columns.setdefault(name, []).append(np.asarray(values))

    laws = sorted({law for law, _ in interface.stacks.paths})
    for reference in interface.stacks.references:
        stable = np.asarray(reference.stable, bool)
        elongation = np.asarray(reference.elongation)[stable]
        add("planes", np.full(len(elongation), reference.n_planes))
        add("elongation [angstrom]", elongation)
        add("energy atoms [J/m^2]", np.asarray(reference.energy)[stable] * EV_PER_A2_IN_J_PER_M2)
        add("stress atoms [GPa]", np.asarray(reference.traction)[stable] * EV_PER_A3_IN_GPA)
        for law in laws:
            energy, stress = interface.stacks.paths[law, reference.n_planes].at(elongation)
            add(f"energy {law} [J/m^2]", energy * EV_PER_A2_IN_J_PER_M2)
            add(f"stress {law} [GPa]", stress * EV_PER_A3_IN_GPA)
    run.write_csv("stacks.csv", {name: np.concatenate(parts) for name, parts in columns.items()})


def step_event(step: Step) -> dict[str, Any]:
    """A step as `events.jsonl` keeps it."""
    return {
        "opening_nm": round(step.load * ANGSTROM_IN_NM, 6),
        "reaction_ev_per_angstrom": step.reaction,
        "crack_tip_nm": round(step.crack_tip * ANGSTROM_IN_NM, 4),
        "iterations": step.iterations,
        "cutbacks": step.cutbacks,
        "seconds": round(step.seconds, 3),
    }


def step_text(step: Step, initial_tip: float) -> str:
    """A step as the progress shows it."""
    return f"opening {format_length(step.load)}, crack advance {format_length(max(step.crack_tip - initial_tip, 0.0))}"


def write_path(
    run: RunDirectory,
    case: AdhesionCase,
    steps: Sequence[Step],
    ledger: EnergyLedger,
    beam: DoubleCantileverEstimate | None,
) -> None:
    """load_opening.csv: load, crack and energies along the path, per width of the specimen."""
    if not steps:
        return
    width = case.specimen.thickness
    opening = np.array([s.load for s in steps])
    nothing = np.full_like(opening, np.nan)
    envelope, elastic = nothing, nothing
    if beam is not None:
        envelope = beam.envelope(opening)
        onset, load = beam.onset()
        elastic = load * opening / onset
    columns = {
        "opening [nm]": opening * ANGSTROM_IN_NM,
        "load [N/m]": np.array([s.reaction for s in steps]) / width * EV_PER_A2_IN_J_PER_M2,
        "crack tip [nm]": np.array([s.crack_tip for s in steps]) * ANGSTROM_IN_NM,
        "envelope [N/m]": envelope * EV_PER_A2_IN_J_PER_M2,
        "elastic [N/m]": elastic * EV_PER_A2_IN_J_PER_M2,
        "bulk [J/m]": ledger.column("bulk elastic") / width * EV_PER_A_IN_J_PER_M,
        "interface [J/m]": (ledger.column("interface stored") + ledger.column("contact")) / width * EV_PER_A_IN_J_PER_M,
        "dissipated [J/m]": ledger.column("dissipated") / width * EV_PER_A_IN_J_PER_M,
        "work [J/m]": ledger.work / width * EV_PER_A_IN_J_PER_M,
        "step defect [J/m]": np.array([e.step_defect for e in ledger.entries]) / width * EV_PER_A_IN_J_PER_M,
        "iterations": np.array([s.iterations for s in steps]),
        "cutbacks": np.array([s.cutbacks for s in steps]),
    }
    # The unloaded state is a point of the path too, and the plots begin there.
    first = {name: 0.0 for name in columns}
    first["crack tip [nm]"] = columns["crack tip [nm]"][0]
    first["envelope [N/m]"] = np.nan
    run.write_csv(
        "load_opening.csv", {name: np.concatenate([[first[name]], values]) for name, values in columns.items()}
    )


def write_results(run: RunDirectory, case: AdhesionCase, result: AdhesionResult, solid: Solid) -> None:
    """results.json: every quantity with symbol, unit and origin; the ledger; the stacks; warnings."""
    quantities = [
        *atomistic_quantities(case, result.interface),
        *second_quantities(result.interface),
        *law_quantities(result.interface, result.plan),
        *live_quantities(result.live),
        *impurity_quantities(result, case.specimen.thickness),
        *_specimen_quantities(case, result, solid),
    ]
    names = ("name", "symbol", "value", "unit", "note")
    width = case.specimen.thickness
    terms = [
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
    terms.append(
        {"term": "work of the load", "domain": "grips", "weight": -1.0, "value": work, "unit": "J/m", "note": ""}
    )
    data: dict[str, Any] = {
        "quantities": [dict(zip(names, row, strict=True)) for row in quantities],
        "warnings": result.warnings,
        "ledger": terms,
        **impurity_data(result),
    }
    if result.interface.second is not None:
        data["bicrystal"] = second_data(result.interface.second)
    if (stacks := result.interface.stacks) is not None:
        data["stacks"] = {
            "rows": [
                {
                    "law": error.law,
                    "planes": error.n_planes,
                    "energy error": error.energy,
                    "stress error": error.stress,
                    "points beyond its strength": f"{error.beyond} of {error.points}",
                }
                for error in stacks.errors
            ],
            "note": "Largest errors over the range in which the atoms hold together, as fractions of W_sep and of the "
            f"peak traction. Once broken, a rigid law misses what relaxation takes: {stacks.broken_energy_error:+.2%} of W_sep.",
        }
    run.write_json("results.json", data)


Row = tuple[str, str, float | str | None, str, str]


def atomistic_quantities(case: AdhesionCase, interface: InterfaceCharacter) -> list[Row]:
    """What the atoms say of crystal and interface."""
    crystal, curve, gpa = interface.crystal, interface.curve, EV_PER_A3_IN_GPA
    stiffness = crystal.stiffness * gpa
    rows: list[Row] = [("lattice constant", "a", crystal.a, "Å", f"{crystal.structure} {'-'.join(crystal.symbols)}")]
    if crystal.c is not None:
        rows.append(("lattice constant", "c", crystal.c, "Å", ""))
    if crystal.cohesive_energy is not None:
        rows.append(
            (
                "cohesive energy",
                "E_coh",
                crystal.cohesive_energy,
                "eV/atom",
                "free atoms are an extrapolation of an MLIP",
            )
        )
    for label, (i, j) in {"C11": (0, 0), "C12": (0, 1), "C44": (3, 3)}.items():
        rows.append(("elastic constant", label, float(stiffness[i, j]), "GPa", "crystal axes"))
    if crystal.c is not None:
        rows += [
            ("elastic constant", "C13", float(stiffness[0, 2]), "GPa", ""),
            ("elastic constant", "C33", float(stiffness[2, 2]), "GPa", ""),
        ]
    plane, growth, front = (
        _indices(v) for v in (interface.orientation.plane, interface.orientation.growth, interface.orientation.front)
    )
    rows += [
        ("interface", "(hkl)", f"({plane})", "", f"crack grows along [{growth}], front along [{front}]"),
        (
            "uniaxial stiffness along the normal",
            "C′",
            interface.material.uniaxial_modulus * gpa,
            "GPa",
            "what is taken out of the curve",
        ),
        (
            "work of separation, from file" if case.decohesion.file else f"work of separation, {curve.mode}",
            "W_sep",
            interface.extraction.work * EV_PER_A2_IN_J_PER_M2,
            "J/m²",
            f"fitted; {len(curve.opening)} openings" + ("; ends at quantum single points" if case.embedding else ""),
        ),
    ]
    if interface.work_relaxed is not None:
        rows.append(
            (
                "work of separation, relaxed",
                "W_rel",
                interface.work_relaxed * EV_PER_A2_IN_J_PER_M2,
                "J/m²",
                "surfaces relaxed",
            )
        )
    planes = ", ".join(f"{n}: {w * EV_PER_A2_IN_J_PER_M2:.4f}" for n, w in sorted(interface.thickness.items()))
    spread = np.ptp(list(interface.thickness.values())) * EV_PER_A2_IN_J_PER_M2 if interface.thickness else None
    if spread is not None:
        rows.append(("change of W_sep with the stack's planes", "", float(spread), "J/m²", f"J/m² by planes: {planes}"))
    uber = interface.uber
    rows.append(("UBER length", "l", uber.length, "Å", f"rms misfit {uber.rms_energy / uber.work:.1%} of W in energy"))
    return rows


def law_quantities(interface: InterfaceCharacter, plan: MeshPlan) -> list[Row]:
    """The law and what it asks of the mesh."""
    extraction, fit = interface.extraction, interface.extraction.fit
    gap = (
        "no tractions in the data"
        if fit.energy_force_gap is None
        else f"energies and tractions disagree by {fit.energy_force_gap:.2%}"
    )
    return [
        (
            "peak traction",
            "σ_max",
            extraction.peak_traction * EV_PER_A3_IN_GPA,
            "GPa",
            "the correction leaves it as it is",
        ),
        ("length of crystal in the curve", "L", extraction.length, "Å", "whose elasticity is taken out"),
        (
            "initial stiffness before correction",
            "T′(0)L/C′",
            extraction.initial_stiffness_ratio,
            "",
            "1: rigid at first",
        ),
        (
            "initial stiffness of the law",
            "K",
            float(extraction.stiffness[0] * extraction.length / extraction.modulus),
            "C′/L",
            f"capped at {extraction.stiffness_cap * extraction.length / extraction.modulus:.3g}",
        ),
        (
            "energy cut by cap and envelope",
            "",
            100 * extraction.envelope_defect,
            "% of W_sep",
            "returned by stretching the opening",
        ),
        ("misfit of energies", "", 100 * fit.energy_misfit, "% of W_sep", gap),
        ("cohesive zone length", "l_cz", plan.zone * ANGSTROM_IN_NM, "nm", "E*G_c/σ_max²"),
        (
            "facet along the path",
            "",
            plan.facet * ANGSTROM_IN_NM,
            "nm",
            f"{plan.zone / plan.facet:.1f} in a zone",
        ),
    ]


def _specimen_quantities(case: AdhesionCase, result: AdhesionResult, solid: Solid) -> list[Row]:
    steps, width, ledger = result.steps, case.specimen.thickness, result.ledger
    loads = np.array([s.reaction for s in steps]) / width * EV_PER_A2_IN_J_PER_M2
    top = int(np.argmax(loads))
    rows: list[Row] = [
        ("unknowns of the specimen", "", solid.n_dofs, "", f"degree {case.mesh.degree}"),
        ("largest load", "P_max", float(loads[top]), "N/m", f"at an opening of {format_length(steps[top].load)}"),
    ]
    if result.onset is not None:
        note = "crack has grown by one cohesive zone length"
        if result.beam is not None:
            expected, simple = result.beam.onset()[0], result.beam.onset(corrected=False)[0]
            note = f"beam theory {format_length(expected)}, without turning roots {format_length(simple)}"
        rows.append(("opening at onset", "Δ_0", result.onset.load * ANGSTROM_IN_NM, "nm", note))
    advance = result.crack_advance
    rows.append(
        ("crack advance", "Δa", advance * ANGSTROM_IN_NM, "nm", f"at an opening of {format_length(steps[-1].load)}")
    )
    if advance > 10 * result.plan.zone:
        spent = float(ledger.column("dissipated")[-1]) / (advance * width)
        if case.law.unloading == "damaging":
            rows.append(
                ("energy dissipated per new surface", "", spent * EV_PER_A2_IN_J_PER_M2, "J/m²", "should be W_sep")
            )
        if result.beam is not None:
            ratio = loads[-1] / (float(result.beam.envelope(steps[-1].load)) * EV_PER_A2_IN_J_PER_M2) - 1
            rows.append(("last load against beam envelope", "", 100 * float(ratio), "%", ""))
    rows += [
        ("closure of a step", "", ledger.step_closure(), "of total work", "trapezoidal identity; bound 1e-8"),
        (
            "closure of the run",
            "",
            ledger.run_closure(),
            "of total work",
            "trapezoidal work against stored and dissipated; bound 1e-3",
        ),
        (
            "load steps halved",
            "",
            sum(s.cutbacks for s in steps),
            "",
            f"{sum(s.iterations for s in steps)} iterations in all",
        ),
        ("potential calls", "", result.interface.calls, "", "of all ranks"),
    ]
    return rows


def _indices(indices: Sequence[int] | None) -> str:
    """Miller indices as text, 1 1 -2; a question mark where the direction has none."""
    return "?" if indices is None else " ".join(str(int(i)) for i in indices)


def prediction_rows(
    case: AdhesionCase, interface: InterfaceCharacter, plan: MeshPlan, beam: DoubleCantileverEstimate | None
) -> list[tuple[str, str]]:
    """What `validate` prints."""
    extraction, gpa = interface.extraction, EV_PER_A3_IN_GPA
    rows = [
        ("potential", f"{interface.potential.capabilities.name} ({interface.potential.capabilities.precision})"),
        ("lattice constant", f"{interface.crystal.a:.4f} Å"),
        ("C′ along the normal", f"{interface.material.uniaxial_modulus * gpa:.1f} GPa"),
        *second_rows(interface),
        (f"work of separation, {interface.curve.mode}", f"{extraction.work * EV_PER_A2_IN_J_PER_M2:.3f} J/m²"),
        ("peak traction", f"{extraction.peak_traction * gpa:.2f} GPa"),
        ("cohesive zone length", format_length(plan.zone)),
    ]
    if plan.path is not None:
        length, zone = plan.path[1] - plan.path[0], case.mesh.elements_in_zone
        rows.append(("facets along the path", f"{format_length(plan.facet)}, {zone} in a cohesive zone"))
        rows.append(("finely meshed path", f"{format_length(length)}, {length / plan.facet:.0f} facets"))
    if beam is not None:
        opening, load = beam.onset()
        rows += [
            (
                "expected onset",
                f"opening {format_length(opening)} ({format_length(beam.onset(corrected=False)[0])} with rigid roots)",
            ),
            ("expected peak load", f"{load * EV_PER_A2_IN_J_PER_M2:.4g} N/m"),
            (
                "expected crack advance",
                format_length(beam.crack_length(case.loading.opening.to) - beam.initial_crack)
                + f" at an opening of {format_length(case.loading.opening.to)}",
            ),
        ]
    return rows
