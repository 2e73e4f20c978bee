"""The numbers of a fracture run as rows of its results: name, symbol, value, unit, remark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from multiscale.progress import format_seconds
from multiscale.studies.defect_files import Row
from multiscale.units import (
    ANGSTROM_IN_NM,
    EV_PER_A2_IN_J_PER_M2,
    EV_PER_A3_IN_GPA,
    EV_PER_A25_IN_MPA_SQRT_M,
    format_intensity,
)

if TYPE_CHECKING:
    from atomistic.cleavage import Cut
    from multiscale.config.fracture import FractureCase
    from multiscale.studies.fracture_state import CrackReferences, FractureResult

Array = NDArray[np.float64]
ROLES = ("core", "blend", "pad")


def reference_quantities(case: FractureCase, references: CrackReferences) -> list[Row]:
    """The references as rows of results.json."""
    surfaces, cut = references.surfaces, references.cut
    rigid, thinner = surfaces.rigid * EV_PER_A2_IN_J_PER_M2, surfaces.convergence * EV_PER_A2_IN_J_PER_M2
    rows: list[Row] = [
        ("cut", "", cut.name, "", f"{bonds_per_cell(cut)}, planes {cut.gap:.4f} Å apart"),
        (
            "created surfaces",
            "2γ",
            references.two_gamma * EV_PER_A2_IN_J_PER_M2,
            "J/m²",
            f"both, relaxed; {rigid:.4f} unrelaxed; {surfaces.layers} planes, {thinner:.1e} from fewer",
        ),
        ("effective modulus", "E*", references.modulus * EV_PER_A3_IN_GPA, "GPa", "K_I²/G, by Stroh's formalism"),
        (
            "Griffith toughness",
            "K_G",
            references.griffith * EV_PER_A25_IN_MPA_SQRT_M,
            "MPa√m",
            f"mode {mode_words(case)}: releases 2γ",
        ),
    ]
    if np.isfinite(references.cohesive_length):
        rows += [
            ("largest traction", "σ_max", references.peak * EV_PER_A3_IN_GPA, "GPa", "halves separated rigidly"),
            ("cohesive length", "l_cz", references.cohesive_length * ANGSTROM_IN_NM, "nm", "(π/8) E* 2γ/σ²"),
        ]
    return rows


def trapping_quantities(result: FractureResult) -> list[Row]:
    """K₊, K₋, their range and the barrier between."""
    trapping, griffith = result.trapping, result.references.griffith
    if trapping is None:
        return []

    def toughness(name: str, symbol: str, loads: Sequence[float], errors: Sequence[float], act: str) -> list[Row]:
        if not loads:
            return []
        note = f"{loads[0] / griffith:.4f} K_G; crack {act}"
        note += (
            f"; ± {format_intensity(errors[0], digits=2)}, half a step of the load"
            if errors[0]
            else ", a fold of the path"
        )
        if len(loads) > 1:
            note += f"; further ones {', '.join(f'{load / griffith:.4f}' for load in loads[1:])} K_G"
        return [(name, symbol, loads[0] * EV_PER_A25_IN_MPA_SQRT_M, "MPa√m", note)]

    rows = [
        *toughness("advance toughness", "K_+", trapping.plus, trapping.plus_error, "advances"),
        *toughness("healing toughness", "K_−", trapping.minus, trapping.minus_error, "heals"),
    ]
    if np.isfinite(trapping.ratio):
        rows.append(("trapping range", "K₊/K₋", trapping.ratio, "", "1 without a lattice"))
    if np.isfinite(trapping.barrier):
        thickness = result.pictures[-1].thickness
        note = f"at {trapping.barrier_load / griffith:.4f} K_G, per {thickness:.3f} Å of the front; from {trapping.barrier_from}"
        rows.append(("barrier of an advance", "ΔE", trapping.barrier, "eV", note))
    if np.isfinite(trapping.shift_error):
        note = "largest displacement that differs from the state one period earlier, moved by one period"
        rows.append(("error of a shift by one period", "", trapping.shift_error, "Å", note))
    return rows


def zone_quantities(case: FractureCase, result: FractureResult) -> list[Row]:
    """Atoms and elements."""
    if not result.pictures:
        return []
    picture = result.pictures[-1]
    counts, body = np.bincount(picture.role, minlength=3), picture.body
    return [
        (
            "atoms",
            "N_a",
            len(picture.role),
            "",
            ", ".join(f"{n} {role}" for n, role in zip(counts, ROLES, strict=True)),
        ),
        ("nodes", "N_h", body.size, "", f"{len(body.cells)} elements; {case.body.shape}"),
        ("radius of the core", "", picture.radius * ANGSTROM_IN_NM, "nm", ""),
        ("width of the blend", "", picture.width * ANGSTROM_IN_NM, "nm", ""),
        ("thickness", "", picture.thickness, "Å", "along the front, periodic"),
    ]


def path_quantities(case: FractureCase, result: FractureResult) -> list[Row]:
    """What the states on the path say together."""
    points = result.points
    if not points:
        return []
    rows: list[Row] = []
    release, j = column(points, "release"), column(points, "j")
    known = np.isfinite(j) & (release > 0.0)
    if known.any() and not case.gripped:
        worst = float(np.abs(j[known] / release[known] - 1.0).max())
        rows.append(("J against K²/E*", "", 100 * worst, "%", "largest difference on the path; bound 1%"))
    # While a bond comes apart the tip lies in it by the field and beside it by the bonds.
    still = [point for point in points if point.state.stable is not False]
    apart = np.abs(column(still, "tip_field") - column(still, "tip_bonds"))
    if np.isfinite(apart).any():
        apart = apart[np.isfinite(apart)]
        rows.append(
            ("two ways to find the tip", "", float(apart.max()), "Å", "by bonds and by the field: apart, stable states")
        )
    jumps = column(points, "energy_jump")
    if np.isfinite(jumps).any():
        rows.append(("energy jump of re-centring", "", float(np.nanmax(np.abs(jumps))), "eV", "largest"))
    advance = max(point.advance for point in points)
    slipped = max(point.emitted for point in points)
    calls, seconds = sum(point.state.calls for point in points), sum(point.state.seconds for point in points)
    counter = result.character.potential.counter
    rows += [
        ("advance of the tip", "Δa", advance, "periods", f"{len(points)} states on the path"),
        ("slipped pairs of atoms", "", slipped, "", "0: no dislocation was emitted"),
        ("largest force left", "", max(point.state.residual for point in points), "eV/Å", f"tolerance {case.solver.tolerance:g}"),
        ("potential calls", "", int(counter.calls), "", f"{calls} on the path, {format_seconds(counter.seconds)} inside"),
        ("time of the path", "", seconds, "s", ""),
    ]  # fmt: skip
    return rows


def bonds_per_cell(cut: Cut) -> str:
    """How many bonds a cut breaks, in words."""
    return f"{cut.broken_bonds} bond{'' if cut.broken_bonds == 1 else 's'} per cell"


def mode_words(case: FractureCase) -> str:
    """I, or the mixture as 1 I + 0.1 II."""
    parts = {name: float(getattr(case.crack.mode, name)) for name in ("I", "II", "III")}
    present = {name: share for name, share in parts.items() if share}
    return next(iter(present)) if len(present) == 1 else " + ".join(f"{v:g} {name}" for name, v in present.items())


def cut_table(references: CrackReferences) -> dict[str, Any]:
    """Where the plane can be cut, for the report."""
    return {
        "rows": [
            {
                "cut": cut.name,
                "distance of the planes (Å)": cut.gap,
                "bonds per cell": cut.broken_bonds,
                "bonds per nm²": 100.0 * cut.bond_density,
                "2γ unrelaxed (J/m²)": None if cut.energy is None else cut.energy * EV_PER_A2_IN_J_PER_M2,
                "taken": "yes" if cut.name == references.cut.name else "",
            }
            for cut in references.cuts
        ],
        "note": "Gaps between planes of atoms in one lattice period along the normal, the cheapest first.",
    }


def column(items: Sequence[Any], name: str) -> Array:
    """One attribute of many things."""
    return np.array([getattr(item, name) for item in items], dtype=float)
