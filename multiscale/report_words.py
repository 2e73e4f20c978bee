"""The words of a report: captions of figures, what files hold, which quantities matter most, how runs are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

CAPTIONS = {
    "separation.png": (
        "Two halves of the crystal pulled apart by atoms. Left: energy over the opening, with the universal binding "
        "relation (UBER) fitted to it. Right: traction. The cohesive law is the same curve with the gap's elasticity "
        "taken out, because the finite elements hold it already; its area is unchanged."
    ),
    "stacks.png": (
        "Stacks of crystal planes, elongated: computed independently by atoms, and predicted by elastic blocks joined "
        "by the law. A law that still holds the bulk's elasticity counts it twice and fails."
    ),
    "load_opening.png": (
        "Load per width over the opening of the loaded ends, with what beam theory expects for a crack that grows at "
        "the work of separation; below, where the crack tip stands."
    ),
    "specimen.png": "The specimen at the last step, coloured by von Mises stress, whole and around the crack tip.",
    "energy.png": (
        "Work of the load and where it went. Dissipation is integrated from the interface's history, not taken as the "
        "remainder, so the lower panel is a check that can fail."
    ),
    "zone.png": (
        "The deformed body, coloured by the displacement's gradient beyond the far field; right, the zone with its atoms at "
        "their deformed places. Atoms of the blend share their energy with the elements; those of the pad only complete "
        "neighbourhoods and follow the elements."
    ),
    "patch.png": (
        "Normal stress of the elements, whole and around the zone of atoms, at the largest load and at the end, displacements at "
        "true scale. In the core there are atoms alone; atoms of the blend share their energy with the elements; those of "
        "the pad only complete neighbourhoods."
    ),
    "profiles.png": (
        "Along the interface, at several openings: distance gained by the two rows beside it, and traction. In the shaded blend "
        "atoms and law both carry the interface, each with its weight; their sum is drawn."
    ),
    "path.png": "Load over the opening of the specimen; crosses mark equilibria to which no path led.",
    "ledger.png": (
        "Work of the load and where it went, every site, element and facet with its weight. Lower panel: what the parts fail "
        "to add up to, from energies over the whole run and from forces step by step; the two are independent."
    ),
    "convergence.png": "Largest force on any unknown, atoms and nodes alike, before each iteration.",
    "error.png": (
        "Difference of the strain from that of the same body computed by atoms alone, from the same start: over the body, "
        "and its root mean square against the distance from the core (negative: inside)."
    ),
    "crack_path.png": (
        "Load on the crack over the advance of its tip: it rises on stable branches, solid, to K₊, where a bond breaks, and on "
        "unstable ones, dashed, falls back to K₋, below which the bond heals. K_G is Griffith's load of the same potential, "
        "without a lattice."
    ),
    "crack_energy.png": (
        "Left: energy along the path less the parabola in the load that fits the stable branches; where two of those cross, the "
        "crack has no reason to move either way. Right: what it takes to get over the unstable branch between them."
    ),
    "crack.png": (
        "Above: normal stress of the elements around the zone of atoms, displacements at true scale. In the core there are atoms "
        "alone; those of the blend share with the elements; those of the pad only complete neighbourhoods. Below: bonds between "
        "first neighbours at the tip, coloured by their strain; those across the crack's plane that are broken are dashed."
    ),
    "crack_body.png": "Strain energy density of the elements in the whole body and around the zone, before the first advance.",
    "crack_plane.png": (
        "Normal traction along the crack's plane in one state: the asymptotic field K/√(2πr); a cohesive law of the same "
        "potential at the opening of the atoms beside the plane; the atoms' own strain by Cauchy–Born; the finite elements."
    ),
    "crack_j.png": (
        "J integral of the elements over the energy that K releases by Stroh's formalism, in every state and over rings about "
        "the tip; the band is one percent."
    ),
    "crack_ledger.png": (
        "Work of the load and the weighted energies that hold it, after every state; below, what fails to add up, since the "
        "start and in single steps."
    ),
    "contact_load.png": (
        "Load on the indenter, pressing positive, over its approach and over the contact radius, on the way in and back, with "
        "JKR's, DMT's and Maugis's closed forms. Where the path jumps, energy goes into motion."
    ),
    "contact_profiles.png": (
        "Stress along the surface, tension positive, at the largest contact, the last state under pressure on the way back, and "
        "pull-off; right, the law of the surfaces."
    ),
    "contact_stress.png": "The half space around the contact at pull-off, coloured by von Mises stress, at true scale.",
    "impurity.png": (
        "The interface clean and with the impurity. Left, energies of separation: of the potential (dotted) and with quantum "
        "energies at their ends (solid); diamonds are the single points. Middle, the cohesive laws. Right, the same specimen on "
        "either law."
    ),
    "embedding.png": (
        "Errors against the width of the buffer. Above: largest (solid) and root mean square (dashed) error of a core atom's "
        "force, in difference form, where the error that the cluster's surface makes in both descriptions cancels, and by plain "
        "substitution, where it stays. Below: errors of the subtractive energy, and what of the potential's energy of the "
        "cluster the cut environments leave uncancelled; number of atoms and seconds."
    ),
    "spread.png": (
        "Results of the study run with each member of the committee alone, against the mean over the members; the bar is one "
        "standard deviation. The diamond is the committee's mean potential."
    ),
    "spread_curves.png": (
        "The same curves by each member and by the committee's mean potential; the band is the members' mean and one standard "
        "deviation."
    ),
    "learning.png": (
        "Above: largest disagreement of the committee on a judged atom over the steps of the run, with the threshold and the "
        "calls of the oracle; a run that is taken back to where it was trusted starts again from there. Below: force error on "
        "the held-out frames after every training, and the oracle's calls."
    ),
    "learning_effect.png": (
        "The same curves by the untaught potential, by the taught one and by the oracle, and the errors "
        "of the results against the oracle's own before and after."
    ),
    "validation_parity.png": (
        "The potential's values over the reference's, coloured by config_type. On the line they agree."
    ),
    "validation_errors.png": (
        "Distribution of the errors, on a logarithmic scale that shows the tails; dashed, a Gaussian of the same mean and width."
    ),
    "validation_doubt.png": (
        "Left: force error over the committee's disagreement, atom by atom; a doubt that is worth something orders the errors. "
        "Right: share of force components whose error lies within the central interval of the spread, over the share that "
        "should; below the diagonal the committee is overconfident."
    ),
    "properties.png": (
        "Each property by each potential, as its difference from the first reference that has a value for it; bars are the "
        "standard deviation over a committee's members."
    ),
    "eos.png": "Energy over the volume, and the third-order Birch–Murnaghan equation of state through it.",
    "vacancy.png": (
        "Formation energy of a vacancy over the inverse number of sites in the cell, the atoms relaxed at the crystal's volume "
        "and together with the cell at zero pressure. Both lines must meet at 1/N = 0."
    ),
    "gamma_lines.png": (
        "Energy of a stacking fault against the shift of one half of the crystal over the other, along one lattice period; lines "
        "follow energies and slopes of the points."
    ),
    "gamma_surface.png": "Energy of a stacking fault over all shifts of one half of the crystal over the other.",
    "interaction.png": (
        "Response of a perfect crystal to the displacement of one atom, against the distance: it sets the widths of pads "
        "and the least width of a blend."
    ),
}

HEADLINES = (
    "R_b",
    "R_s",
    "ε_F",
    "ε_ML",
    "N_C",
    "N_q",
    "ε_0",
    "P_off",
    "P_D",
    "μ",
    "λ",
    "K_G",
    "K_+",
    "K_−",
    "K₊/K₋",
    "ΔE",
    "W_sep",
    "W_0",
    "W_imp",
    "σ_max",
    "l_cz",
    "Δ_0",
    "P_max",
    "Δa",
    "E_f",
    "ε_err",
    "N_a",
    "N_h",
    "u_max",
    "W_tot",
    "T_max",
    "T_g",
    "a",
    "E_coh",
    "B",
    "E_v",
    "γ(111)",
    "γ_sf(111)",
)
"""Symbols of the quantities shown large at the top of the page."""

FILES = {
    "run.json": "resolved case, versions, hardware, times",
    "results.json": "quantities, warnings, ledger",
    "events.jsonl": "what happened when, one event a line",
    "separation.csv": "separation curve by atoms",
    "law.csv": "cohesive law used",
    "load_opening.csv": "load, crack tip and energies over the path",
    "stacks.csv": "stacks by atoms and by the laws",
    "fields_last.npz": "fields of the last step, for the figures",
    "separation.extxyz": "the atoms, for OVITO and ASE",
    "fields": "displacement, stress and interface damage, for ParaView",
    "zone.extxyz": "deformed atoms of the zone, for OVITO and ASE",
    "body.vtu": "deformed elements, for ParaView, in the frame of zone.extxyz",
    "zone.npz": "zone and body, for the figures",
    "convergence.csv": "largest force over the iterations",
    "interaction.csv": "decay of the potential's interaction",
    "error.csv": "error against all atoms over the distance from the core",
    "error.npz": "error against all atoms, for the figures",
    "path.csv": "load, account and more over the path",
    "profiles.csv": "opening and traction along the interface",
    "patch.npz": "zone and specimen at the largest load, for the figures",
    "patch_last.npz": "the same at the end",
    "references.json": "surfaces, elastic constants, K_G and cuts of the plane",
    "trapping.json": "K₊, K₋ and the barrier",
    "barriers.csv": "barriers of advance and healing over K",
    "plane.csv": "opening and traction along the crack's plane",
    "rings.csv": "J over rings about the tip",
    "ledger.csv": "energies after every state",
    "atoms.extxyz": "deformed atoms of the states kept, for OVITO and ASE",
    "states": "states kept: elements for ParaView (warp by displacement), arrays for the figures",
    "contact.csv": "load, approach and contact radius along the path",
    "contact_profiles.csv": "opening and traction along the surface in the states that matter",
    "contact_law.csv": "law of the surfaces",
    "theory.csv": "closed forms: Dugdale, JKR, DMT",
    "contact_fields.npz": "fields at pull-off, for the figures",
    "separation_clean.csv": "clean interface: separation curve of the potential, and corrected",
    "separation_impure.csv": "interface with the impurity: the same",
    "law_clean.csv": "cohesive law of the clean interface",
    "law_impure.csv": "cohesive law with the impurity",
    "load_opening_impure.csv": "load and crack tip over the path, with the impurity's law",
    "impurity.extxyz": "closed and open stacks at rest, for OVITO and ASE",
    "quantum.json": "quantum single points, term by term",
    "buffers.csv": "errors, atoms and seconds over the buffer",
    "structure.extxyz": "the atoms: core, and the buffer from which each is in the quantum region, for OVITO and ASE",
    "quantum": "finished quantum calculations, used again by a run with --force",
    "metrics.csv": "errors of all frames, by species and by config_type",
    "frames.csv": "errors frame by frame",
    "validation.npz": "reference and prediction, row by row, for the figures",
    "spread.csv": "every result by the committee's mean and by each member",
    "members": "runs of the committee's members, one a folder",
    "doubt.csv": "disagreement of the committee, check by check",
    "learning_effect.csv": "results before and after learning, and the oracle's own",
    "before": "the study by the untaught potential",
    "oracle": "the oracle's own crystal, surfaces and separation curve, or its whole study",
    "rounds.csv": "every training: frames, calls of the oracle, errors on held-out frames",
    "learning": "data set, potentials and the state of the loop, from which it goes on",
    "features": "features of the frames, used again by a run with --force",
    "initial.extxyz": "frames that the oracle labelled before the run",
    "start.extxyz": "the atoms at the start",
    "end.extxyz": "the atoms at the end",
    "taught.npz": "the taught potential: potential: {path: taught.npz}",
    "properties.csv": "every property by every potential, with what convergence leaves open, and the references",
    "properties.json": "the same with the data of the figures",
    "eos.csv": "energies over the volume",
    "vacancy.csv": "vacancies in every cell",
    "surfaces.csv": "half the work of separation of every slab",
    "gamma_lines.csv": "γ-lines",
    "traceback.txt": "where in the code a defect arose",
}


def run_title(run: Mapping[str, Any]) -> str:
    """What a run was about, "Adhesion of Al(111) with sevennet-0"."""
    case = run.get("case") or {}
    interface, crack = case.get("interface") or {}, case.get("crack") or {}
    defect = (case.get("defect") or {}).get("type")
    plane, front = interface.get("plane") or crack.get("plane") or (), crack.get("front") or ()
    what, potential = species(case), potential_name(case)
    title = str(case.get("study", "run")).capitalize()
    title += f" of {what}({indices(plane)})" if what and plane else ""
    title += f"[{indices(front)}]" if what and plane and front else ""
    if second := interface.get("second"):
        title += f"/{species(second)}({indices(second.get('plane') or ())})"
    title += f": {defect} in {what}" if what and defect else ""
    if case.get("study") == "properties":
        title += f" of {what}"
    if case.get("study") == "embedding":
        title += f" of {engine_name(case)} in {what or 'a structure'}"
    return title + (f" with {potential}" if potential else "")


def species(case: Mapping[str, Any]) -> str:
    """Elements of a case's crystal, "NaCl"."""
    crystal = case.get("crystal") or (case.get("structure") or {}).get("crystal") or {}
    return str(crystal.get("element") or "".join(crystal.get("symbols") or ()))


def indices(values: Iterable[int]) -> str:
    """Miller indices without commas, negative ones under a bar."""
    return "".join(f"{i}" if i >= 0 else f"{-i}\u0305" for i in values)


def potential_name(case: Mapping[str, Any]) -> str:
    """What a case calls its potential, or "" where it has none."""
    if several := case.get("potentials"):
        return ", ".join(several)
    potential = case.get("potential")
    if isinstance(potential, Mapping):
        member = f", member {potential['member']}" if "member" in potential else ""
        if committee := potential.get("committee"):
            return f"a committee of {', '.join(potential_name({'potential': one}) for one in committee)}{member}"
        named = potential.get("name") or potential.get("calculator") or Path(str(potential.get("path"))).name
        return f"{named}{member}"
    return str(potential or "")


def engine_name(case: Mapping[str, Any]) -> str:
    """What a case calls its quantum engine."""
    engine = (case.get("embedding") or {}).get("engine")
    if isinstance(engine, Mapping):
        engine = next((engine[key] for key in ("engine", "name", "calculator", "path") if key in engine), "")
    return Path(str(engine or "")).name
