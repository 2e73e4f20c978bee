"""What the adhesion study writes of an impurity and of quantum single points: curves, laws, tables and quantities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from mpi4py import MPI

from continuum.solvers import Step
from multiscale.config import AdhesionCase
from multiscale.run import RunDirectory
from multiscale.studies.impurity import CurveCheck, ImpurityStudy, QuantumPoint, Separation
from multiscale.units import (
    ANGSTROM_IN_NM,
    EV_PER_A2_IN_J_PER_M2,
    EV_PER_A3_IN_GPA,
    format_length,
)

if TYPE_CHECKING:
    from multiscale.studies.adhesion import AdhesionResult

Row = tuple[str, str, float | str | None, str, str]
#: A corrected curve that a single point misses by more than this share of the work is told.
_MISS = 0.1
#: Quantum forces (eV/Å) on the potential's relaxed states beyond which those states are told to be someone else's.
_RESTLESS = 0.3


@dataclass(frozen=True, kw_only=True)
class ImpurePath:
    """The specimen with the impurity's law.

    Attributes:
        steps: of its path.
        initial_tip: where the crack's tip was before loading, Å.
        zone: cohesive zone length, Å.
        stopped: the opening (Å) at which no equilibrium was found; None where the path was followed to its end.
    """

    steps: Sequence[Step]
    initial_tip: float
    zone: float
    stopped: float | None

    @property
    def onset(self) -> Step | None:
        """The first step after which the crack has grown by a cohesive zone length; None where it never does."""
        return next((s for s in self.steps if s.crack_tip - self.initial_tip > self.zone), None)


def write_impurity(run: RunDirectory, study: ImpurityStudy, comm: MPI.Comm) -> None:
    """Curves and laws of both interfaces, the states at rest, the quantum points."""
    for name, side in _sides(study):
        corrected = side.corrected or side.curve
        run.write_csv(
            f"separation_{name}.csv",
            {
                "opening [angstrom]": side.curve.opening,
                "energy [J/m^2]": side.curve.energy * EV_PER_A2_IN_J_PER_M2,
                "traction [GPa]": side.curve.traction * EV_PER_A3_IN_GPA,
                "corrected opening [angstrom]": corrected.opening,
                "corrected energy [J/m^2]": corrected.energy * EV_PER_A2_IN_J_PER_M2,
                "corrected traction [GPa]": corrected.traction * EV_PER_A3_IN_GPA,
            },
            comment="Curve of the potential, and the same with quantum energies at its ends.",
        )
        run.write_csv(
            f"law_{name}.csv",
            {
                "opening [angstrom]": side.extraction.opening,
                "potential [J/m^2]": side.extraction.potential * EV_PER_A2_IN_J_PER_M2,
                "traction [GPa]": side.extraction.traction * EV_PER_A3_IN_GPA,
            },
        )
    if study.points:
        run.write_json("quantum.json", {"points": [_point(point) for point in study.points]})
    if comm.rank == 0:
        images = []
        for name, side in _sides(study):
            for state, what in ((side.closed, "closed"), (side.open, "open")):
                atoms = state.atoms.copy()
                atoms.calc = SinglePointCalculator(atoms, energy=state.energy)
                atoms.info["state"] = f"{name} {what}"
                images.append(atoms)
        ase.io.write(run.file("impurity.extxyz"), images, format="extxyz", parallel=False)


def write_impure_path(run: RunDirectory, case: AdhesionCase, path: ImpurePath | None) -> None:
    """load_opening_impure.csv: load and crack of the specimen with the impurity's law."""
    if path is None or not path.steps:
        return
    load = np.array([s.reaction for s in path.steps]) / case.specimen.thickness * EV_PER_A2_IN_J_PER_M2
    tip = np.array([s.crack_tip for s in path.steps]) * ANGSTROM_IN_NM
    run.write_csv(
        "load_opening_impure.csv",
        {
            "opening [nm]": np.array([0.0, *(s.load for s in path.steps)]) * ANGSTROM_IN_NM,
            "load [N/m]": np.array([0.0, *load]),
            "crack tip [nm]": np.array([path.initial_tip * ANGSTROM_IN_NM, *tip]),
        },
    )


def impurity_quantities(result: AdhesionResult, width: float) -> list[Row]:
    """Works of separation with and without, the potency, and what the specimen makes of it."""
    study = result.impurity
    if study is None:
        return []
    rows: list[Row] = []
    for name, side in _sides(study):
        tail = "with impurity" if name == "impure" else "clean"
        mark = "W_imp" if name == "impure" else "W_0"
        rows.append(
            (f"work of separation, {tail}", mark, _joules(side.best_work), "J/m²", _origin(side, study.calculations))
        )
        if side.quantum_work is not None:
            rows.append((f"the same by the potential, {tail}", "", _joules(side.work), "J/m²", "both surfaces relaxed"))
    if study.impure is None or study.stack is None:
        return rows
    quantum = study.impure.quantum_work is not None
    note = "Δg_int − Δg_surf of each impurity; positive: it embrittles" + (", quantum energies" if quantum else "")
    rows += [
        ("coverage", "Γ", study.stack.coverage, "monolayers", f"{study.stack.element}, {study.stack.site} hole"),
        ("embrittling potency", "Δg", study.potency(quantum=quantum), "eV", note),
        (
            "peak traction with impurity",
            "σ_imp",
            study.impure.extraction.peak_traction * EV_PER_A3_IN_GPA,
            "GPa",
            f"clean {study.clean.extraction.peak_traction * EV_PER_A3_IN_GPA:.3g} GPa",
        ),
        (
            "initial stiffness before correction, with impurity",
            "",
            study.impure.extraction.initial_stiffness_ratio,
            "",
            f"T′(0)L/C′; cap and envelope cut {study.impure.extraction.envelope_defect:.2%} of the work",
        ),
    ]
    if quantum:
        rows.append(("the same potency by the potential", "", study.potency(quantum=False), "eV", ""))
    if (binding := study.binding()) is not None:
        rows += [
            ("binding in the closed gap", "", binding[0], "eV", "less the dilute crystal, by the potential"),
            ("binding on the surface", "", binding[1], "eV", "the same; negative: the impurity goes there"),
        ]
    path = result.impure_path
    if path is not None and path.steps:
        loads = np.array([s.reaction for s in path.steps]) / width * EV_PER_A2_IN_J_PER_M2
        clean = np.array([s.reaction for s in result.steps]) / width * EV_PER_A2_IN_J_PER_M2
        top = int(np.argmax(loads))
        rows.append(
            (
                "largest load with impurity",
                "P_imp",
                float(loads[top]),
                "N/m",
                f"{loads[top] / clean.max() - 1:+.1%} of the clean one, at {format_length(path.steps[top].load)}",
            )
        )
        if path.onset is not None:
            note = "crack has grown by one cohesive zone length"
            rows.append(("opening at onset with impurity", "", path.onset.load * ANGSTROM_IN_NM, "nm", note))
    return rows


def impurity_data(result: AdhesionResult) -> dict[str, Any]:
    """Tables of ``results.json``."""
    study = result.impurity
    if study is None:
        return {}
    data: dict[str, Any] = {}
    if study.points:
        fresh, reused = study.calculations
        data["quantum"] = {
            "rows": [_point(point) for point in study.points],
            "note": f"E = E_ML(all) + E_QM(C) − E_ML(C), single points at the potential's states; {fresh} computed here, "
            f"{reused} found in the cache. Differences over the area are the works of separation.",
        }
    if study.checks:
        data["quantum_checks"] = {
            "rows": [_check(check) for check in study.checks],
            "note": "Energies between the ends, where nothing was fitted: the rule by which the curve was corrected.",
        }
    return data


def impurity_warnings(study: ImpurityStudy | None, path: ImpurePath | None) -> list[str]:
    """What a reader should know."""
    if study is None:
        return []
    found = []
    for check in study.checks:
        side = study.impure if check.impure else study.clean
        assert side is not None
        miss = (check.curve - check.point) / side.best_work
        if abs(miss) > _MISS:
            found.append(
                f"the corrected curve {'with impurity' if check.impure else 'of the clean interface'} misses the single point at "
                f"{check.opening:.2f} Å by {miss:+.0%} of its work of separation: its peak traction is that uncertain"
            )
    openings = [point.opening for point in study.points]
    rest = {min(openings, default=0.0), max(openings, default=0.0)}
    restless = max((point.force for point in study.points if point.opening in rest), default=0.0)
    if restless > _RESTLESS:
        found.append(
            f"the quantum engine finds forces up to {restless:.2f} eV/Å on the states that the potential calls relaxed: single "
            "points leave out what its own relaxation would gain"
        )
    if path is not None and path.stopped is not None:
        found.append(
            f"with the impurity the specimen has no equilibrium at an opening of {format_length(path.stopped)}; its path "
            "ends there"
        )
    return found


def _sides(study: ImpurityStudy) -> list[tuple[str, Separation]]:
    return [("clean", study.clean)] + ([] if study.impure is None else [("impure", study.impure)])


def _joules(work: float) -> float:
    return work * EV_PER_A2_IN_J_PER_M2


def _origin(side: Separation, calculations: tuple[int, int]) -> str:
    if side.quantum_work is None:
        return "by the potential, both surfaces relaxed"
    return f"quantum single points at the potential's states ({sum(calculations)} in all)"


def _point(point: QuantumPoint) -> dict[str, Any]:
    return {
        "interface": "with impurity" if point.impure else "clean",
        "opening (Å)": point.opening,
        "area (Å²)": point.area,
        "atoms of C": f"{point.atoms} of {point.of}",
        "E_ML(all) (eV)": point.whole,
        "E_QM(C) (eV)": point.quantum,
        "E_ML(C) (eV)": point.ml,
        "E (eV)": point.energy,
        "force left by QM (eV/Å)": point.force,
        "seconds": point.seconds,
        "result": f"from the cache, {point.away:.0e} Å off" if point.reused else "computed",
    }


def _check(check: CurveCheck) -> dict[str, Any]:
    return {
        "interface": "with impurity" if check.impure else "clean",
        "opening (Å)": check.opening,
        "potential (J/m²)": _joules(check.potential),
        "corrected curve (J/m²)": _joules(check.curve),
        "single point (J/m²)": _joules(check.point),
    }
