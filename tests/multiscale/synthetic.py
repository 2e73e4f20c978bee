"""A run directory with invented but plausible numbers: an UBER interface and a beam that follows its theory."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from multiscale.config import AdhesionCase
from multiscale.run import RunDirectory

WORK, LENGTH, SPACING, MODULUS = 1.19, 0.66, 2.33, 110.0
"""J/m², Å, Å, GPa."""


def case() -> AdhesionCase:
    return AdhesionCase(
        potential="emt",
        crystal={"element": "Al", "structure": "fcc"},
        interface={"plane": [1, 1, 1]},
        specimen={
            "shape": "double cantilever beam",
            "length": "2 um",
            "arm_height": "200 nm",
            "initial_crack": "600 nm",
        },
        loading={"opening": {"to": "60 nm", "steps": 60}},
    )


def uber(opening: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energy (J/m²) and traction (GPa) over an opening in Å."""
    energy = WORK * (1 - (1 + opening / LENGTH) * np.exp(-opening / LENGTH))
    return energy, 10 * WORK * opening / LENGTH**2 * np.exp(-opening / LENGTH)


def make_run(path: Path, *, force: bool = False) -> RunDirectory:
    run = RunDirectory(path, case=case(), force=force)
    rng = np.random.default_rng(3)
    opening = np.concatenate([np.linspace(0, 3, 18), np.linspace(3.5, 6, 6)])
    energy, traction = uber(opening)
    run.write_csv(
        "separation.csv",
        {
            "opening [angstrom]": opening,
            "energy [eV/angstrom^2]": energy / 16.02176634,
            "energy [J/m^2]": energy * (1 + 0.004 * rng.standard_normal(24)),
            "traction [eV/angstrom^3]": traction / 160.2176634,
            "traction [GPa]": traction * (1 + 0.02 * rng.standard_normal(24)),
            "uber energy [J/m^2]": energy,
            "uber traction [GPa]": traction,
        },
    )
    fine = np.linspace(0, 6, 300)
    fine_energy, fine_traction = uber(fine)
    reduced = fine - fine_traction * SPACING / MODULUS * 0.82
    run.write_csv(
        "law.csv",
        {
            "opening [angstrom]": reduced,
            "traction [eV/angstrom^3]": fine_traction / 160.2176634,
            "traction [GPa]": fine_traction,
            "potential [J/m^2]": fine_energy,
        },
    )
    _write_path(run)
    _write_stacks(run)
    run.write_fields(_fields())
    _write_results(run)
    run.record(potential={"name": "emt", "precision": "float64", "calls": 61, "seconds": 1.25, "model_sha256": None})
    run.finish("finished", phases={"potential": 2.1, "crystal": 1.4, "separation": 9.8, "loading": 31.2, "report": 2.6})
    return run


def _write_path(run: RunDirectory) -> None:
    opening = np.arange(0, 61.0)  # nm
    stiffness, height, crack = 95e9, 200e-9, 600e-9
    inertia = height**3 / 12
    envelope = np.sqrt(2 / 3 / np.maximum(opening, 1e-3) / 1e-9) * (stiffness * inertia) ** 0.25 * WORK**0.75
    elastic = 3 * stiffness * inertia * opening * 1e-9 / (2 * crack**3)
    load = np.minimum(elastic, envelope)
    tip = np.where(
        load < elastic, (1.5 * stiffness * inertia * opening * 1e-9 / np.maximum(load, 1e-9)) ** (1 / 3), crack
    )
    dissipated = WORK * (tip - crack) * 0.97
    bulk = 0.5 * load * opening * 1e-9
    work = np.concatenate([[0], np.cumsum(0.5 * (load[1:] + load[:-1]) * np.diff(opening) * 1e-9)])
    interface = np.maximum(work - bulk - dissipated, 0) * 0.999
    run.write_csv(
        "load_opening.csv",
        {
            "opening": opening,
            "load": load,
            "crack tip": tip * 1e9,
            "envelope": envelope,
            "elastic": elastic,
            "bulk": bulk,
            "interface": interface,
            "dissipated": dissipated,
            "work": work,
            "iterations": np.full(61, 6),
            "cutbacks": np.zeros(61, int),
        },
        units={
            "opening": "nm",
            "load": "N/m",
            "crack tip": "nm",
            "envelope": "N/m",
            "elastic": "N/m",
            "bulk": "J/m",
            "interface": "J/m",
            "dissipated": "J/m",
            "work": "J/m",
        },
    )


def _write_stacks(run: RunDirectory) -> None:
    rows: dict[str, list[np.ndarray]] = {name: [] for name in ("planes", "elongation")}
    curves = {"atoms": 1.0, "corrected law": 1.01, "uncorrected law": 0.72}
    for count in (14, 20):
        elongation = np.linspace(0, 2.2, 18)
        rows["planes"].append(np.full(18, count))
        rows["elongation"].append(elongation)
        for label, factor in curves.items():
            strain = elongation / (count * SPACING) * factor
            rows.setdefault(f"energy {label} [J/m^2]", []).append(0.5 * MODULUS * strain**2 * count * SPACING * 0.1)
            rows.setdefault(f"stress {label} [GPa]", []).append(MODULUS * strain * (1 - 2 * strain))
    columns = {name: np.concatenate(parts) for name, parts in rows.items()}
    columns["elongation [angstrom]"] = columns.pop("elongation")
    run.write_csv("stacks.csv", columns)


def _fields() -> SimpleNamespace:
    """A beam opened by 60 nm, in Å and eV/Å³, on a structured mesh of triangles."""
    x, y = np.linspace(0, 20000, 241), np.linspace(0, 2000, 17)
    points, triangles, displacement, stress = [], [], [], []
    for arm in (1, -1):
        base = sum(len(part) for part in points)
        grid = np.stack(np.meshgrid(x, arm * y, indexing="ij"), axis=-1).reshape(-1, 2)
        index = base + np.arange(len(grid)).reshape(len(x), len(y))
        corners = [index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]]
        quads = np.stack([corner.ravel() for corner in corners], axis=1)
        triangles += [quads[:, :3], quads[:, [0, 2, 3]]]
        arm_length = np.clip(8000 - grid[:, 0], 0, None)
        deflection = arm * 300 * (arm_length / 8000) ** 2 * (1.5 - 0.5 * arm_length / 8000)
        slope = -arm * 300 / 8000 * (3 * arm_length / 8000 - 1.5 * (arm_length / 8000) ** 2)
        displacement.append(np.stack([-(grid[:, 1] - arm * 1000) * slope, deflection], axis=1))
        bending = 0.02 * np.abs(grid[:, 1] - arm * 1000) / 1000 * np.clip(8000 - arm_length, 0, 8000) / 8000
        near_tip = 0.06 / np.sqrt(1 + np.hypot(grid[:, 0] - 8000, grid[:, 1]) / 60)
        stress.append(bending * (grid[:, 0] < 8000) + near_tip)
        points.append(grid)
    return SimpleNamespace(
        points=np.concatenate(points),
        triangles=np.concatenate(triangles),
        displacement=np.concatenate(displacement),
        triangle_von_mises=np.concatenate(stress)[np.concatenate(triangles)].mean(axis=1),
    )


def _write_results(run: RunDirectory) -> None:
    quantities = [
        ("work of separation, rigid", "W_sep", 1.19, "J/m²", "24 openings to 6 Å"),
        ("work of separation, relaxed", "W_rel", 1.15, "J/m²", "surfaces relaxed"),
        ("peak traction", "σ_max", 6.63, "GPa", "of the law"),
        ("cohesive zone length", "l_cz", 2.4, "nm", "E′G_c/σ²"),
        ("opening at onset", "Δ_0", 37.8, "nm", "beam theory 38.1 nm"),
        ("crack advance", "Δa", 163.0, "nm", ""),
    ]
    names = ("name", "symbol", "value", "unit", "note")
    ledger = [("bulk", "upper arm, lower arm", 1.0, 1.7e-7), ("cohesive", "interface", 1.0, 3.1e-9)]
    rows = [
        {"law": "corrected", "planes": 14, "energy error": 0.004, "stress error": 0.011},
        {"law": "uncorrected", "planes": 14, "energy error": 0.27, "stress error": 0.31},
    ]
    run.write_json(
        "results.json",
        {
            "quantities": [dict(zip(names, row, strict=True)) for row in quantities],
            "warnings": ["float32 potential: tractions below 0.02 GPa are noise <not markup>"],
            "ledger": [
                {"term": term, "domain": domain, "weight": weight, "value": value, "unit": "J/m"}
                for term, domain, weight, value in ledger
            ],
            "stacks": {"rows": rows, "note": "Errors as fractions of W_sep and of the peak."},
        },
    )
