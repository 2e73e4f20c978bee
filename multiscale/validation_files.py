"""What a validation writes: results, tables by metric and by frame, arrays for the figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from atomistic.validation import ContractResult, Metrics, Validation
from atomistic.validation.metrics import Comparison
from atomistic.validation.validation import doubts_of
from multiscale.run import RunDirectory
from multiscale.units import EV_PER_A3_IN_GPA

#: Factor and unit in which a person reads each quantity.
SHOWN: dict[str, tuple[float, str]] = {
    "energy": (1e3, "meV/atom"),
    "forces": (1.0, "eV/Å"),
    "force_vectors": (1.0, "eV/Å"),
    "stress": (EV_PER_A3_IN_GPA, "GPa"),
}
NAMES = {
    "energy": "energy per atom",
    "forces": "force components",
    "force_vectors": "force vectors",
    "stress": "stress components",
}
_SYMBOLS = {"energy": "ε_E", "forces": "ε_F", "force_vectors": "", "stress": "ε_σ"}


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the frames come from.

    Attributes:
        files: the file of each frame.
        numbers: of each frame in its file, counted from 0.
        plain: whether they are all frames of one file, so that a number says everything.
    """

    files: tuple[str, ...]
    numbers: tuple[int, ...]
    plain: bool

    @property
    def names(self) -> tuple[str, ...]:
        """What each frame is called."""
        pairs = zip(self.numbers, self.files, strict=True)
        return tuple(str(number) if self.plain else f"{number} of {file}" for number, file in pairs)


def write_results(
    run: RunDirectory,
    data: Sequence[Mapping[str, Any]],
    places: Places,
    validation: Validation,
    contract: ContractResult | None,
    warnings: Sequence[str],
) -> None:
    """Write everything that a run leaves."""
    metrics = validation.metrics
    run.write_json(
        "results.json",
        {
            "quantities": quantities(metrics, places, contract),
            "warnings": list(warnings),
            "validation": {
                "rows": [metric_line(row, places) for row in metrics.rows],
                "note": _note(validation),
                "data": [dict(entry) for entry in data],
                "frames": metrics.frames,
                "failed": metrics.failed,
                "energy_shifts": dict(metrics.shifts.per_species),
                "energy_shifts_fitted": metrics.shifts.fitted,
                "doubt": metrics.doubt,
            },
            "contract": None if contract is None else {"passed": contract.passed, "rows": contract_lines(contract)},
        },
    )
    _write_metrics(run, metrics, places)
    _write_frames(run, validation, places)
    _write_arrays(run, validation)


def quantities(metrics: Metrics, places: Places, contract: ContractResult | None) -> list[dict[str, Any]]:
    """The numbers of the report's first table."""
    found: list[dict[str, Any]] = []
    for row in metrics.rows:
        if row.of != "all" or row.quantity == "force_vectors":
            continue
        factor, unit = SHOWN[row.quantity]
        e, name = row.errors, NAMES[row.quantity]
        relative = f"{100 * e.relative:.3g} % of the reference's spread" if math.isfinite(e.relative) else ""
        symbol = _SYMBOLS[row.quantity]
        found.append(_quantity(f"RMSE of {name}", e.rmse * factor, unit, symbol=symbol, note=relative))
        where = f"frame {places.names[e.frame]}" + (f", atom {e.atom}" if e.atom >= 0 else "")
        found.append(_quantity(f"largest error of {name}", e.max * factor, unit, note=where))
    if metrics.doubt is not None:
        doubt = metrics.doubt
        found += [
            _quantity("rank correlation of doubt and error", doubt.rank_correlation, "", symbol="ρ", note="over atoms"),
            _quantity("rank correlation, largest of each frame", doubt.rank_correlation_frames, ""),
            _quantity("miscalibration area", doubt.area, "", symbol="A_cal", note="0 perfect, 0.5 the worst"),
            _quantity(
                "errors over spreads, root mean square",
                doubt.scale,
                "",
                note="1 where the spreads are as large as the errors"
                if math.isfinite(doubt.scale)
                else f"none: zero spread on {doubt.unspread} of {doubt.atoms} atoms",
            ),
        ]
    found.append(_quantity("frames compared", metrics.frames, ""))
    if metrics.failed:
        found.append(_quantity("frames that failed", metrics.failed, ""))
    if contract is not None:
        kept = sum(row.passed for row in contract.rows)
        found.append(
            _quantity("bounds kept", kept, f"of {len(contract.rows)}", note="passed" if contract.passed else "failed")
        )
    return found


def _quantity(name: str, value: Any, unit: str, *, symbol: str = "", note: str = "") -> dict[str, Any]:
    return {"name": name, "symbol": symbol, "value": value, "unit": unit, "note": note}


def metric_line(row: Any, places: Places) -> dict[str, Any]:
    """One line of the table of errors, in units that a person reads."""
    factor, unit = SHOWN[row.quantity]
    e = row.errors
    return {
        "quantity": NAMES[row.quantity],
        "of": {"all": "all frames", "species": row.name, "config_type": row.name}[row.of],
        "by": {"all": "", "species": "species", "config_type": "config_type"}[row.of],
        "RMSE": e.rmse * factor,
        "MAE": e.mae * factor,
        "largest": e.max * factor,
        "bias": None if row.quantity == "force_vectors" else e.bias * factor,
        "unit": unit,
        "numbers": e.count,
        "worst_frame": places.numbers[e.frame],
        **({} if places.plain else {"worst_file": places.files[e.frame]}),
    }


def contract_lines(contract: ContractResult) -> list[dict[str, Any]]:
    """The bounds as a table."""
    return [
        {
            "bound": row.bound.name,
            "of": row.bound.part or "all frames",
            "measured": None if row.measured is None else row.bound.as_written(row.measured),
            "limit": f"{row.bound.operator} {row.bound.written:.4g}",
            "unit": row.bound.unit,
            "kept": "yes" if row.passed else "NO",
            "remark": row.remark,
        }
        for row in contract.rows
    ]


def _note(validation: Validation) -> str:
    """What the table of errors rests on."""
    shifts = validation.metrics.shifts
    if not shifts.per_species:
        return "Errors are prediction minus reference; nothing was added to the potential's energies."
    listed = ", ".join(f"{symbol} {value:+.4f}" for symbol, value in shifts.per_species.items())
    how = (
        f"fitted by least squares to the {shifts.frames} energies that are tested"
        if shifts.fitted
        else "given, not fitted to these energies"
    )
    return f"Errors are prediction minus reference. Added to the potential's energies, {how} (eV per atom): {listed}."


def _write_metrics(run: RunDirectory, metrics: Metrics, places: Places) -> None:
    """One row for each quantity and part, in ASE's units."""
    rows = metrics.rows
    columns: dict[str, Any] = {
        "quantity": [row.quantity for row in rows],
        "by": [row.of for row in rows],
        "part": [row.name for row in rows],
    }
    for name in ("count", "rmse", "mae", "max", "bias", "spread", "relative"):
        columns[name] = [getattr(row.errors, name) for row in rows]
    columns["file"] = [places.files[row.errors.frame] for row in rows]
    columns["frame"] = [places.numbers[row.errors.frame] for row in rows]
    columns["atom"] = [row.errors.atom for row in rows]
    run.write_csv(
        "metrics.csv", columns, comment="energy: eV/atom; forces, force_vectors: eV/angstrom; stress: eV/angstrom^3"
    )


def _write_frames(run: RunDirectory, validation: Validation, places: Places) -> None:
    """One row for each frame: where it comes from and how wrong the potential is on it."""
    count = len(validation.frames)
    columns: dict[str, Any] = {
        "file": list(places.files),
        "frame": list(places.numbers),
        "formula": [str(frame.atoms.symbols) for frame in validation.frames],
        "config_type": [frame.config_type for frame in validation.frames],
        "atoms": [len(frame.atoms) for frame in validation.frames],
        "energy error": np.full(count, np.nan),
        "force rmse": np.full(count, np.nan),
        "force max": np.full(count, np.nan),
        "stress rmse": np.full(count, np.nan),
    }
    for quantity, comparison in validation.comparisons.items():
        for k, errors in _by_frame(comparison):
            if quantity == "energy":
                columns["energy error"][k] = errors[0, 0]
            elif quantity == "stress":
                columns["stress rmse"][k] = np.sqrt(np.mean(errors**2))
            else:
                columns["force rmse"][k] = np.sqrt(np.mean(errors**2))
                columns["force max"][k] = np.linalg.norm(errors, axis=1).max()
    if any(found is not None and found.doubts is not None for found in validation.predictions):
        columns["doubt"] = [
            np.nan if found is None or found.doubts is None else found.doubts.max() for found in validation.predictions
        ]
    columns["failure"] = [
        (found.failure or "") if found is not None else "no labels" for found in validation.predictions
    ]
    units = {
        "energy error": "eV/atom",
        "force rmse": "eV/angstrom",
        "force max": "eV/angstrom",
        "stress rmse": "eV/angstrom^3",
        **({"doubt": "eV/angstrom"} if "doubt" in columns else {}),
    }
    run.write_csv("frames.csv", columns, units=units)


def _by_frame(comparison: Comparison) -> list[tuple[int, np.ndarray]]:
    """The errors of each frame; rows of a frame follow one another."""
    numbers, starts = np.unique(comparison.frame, return_index=True)
    return list(zip(numbers.tolist(), np.split(comparison.errors, starts[1:]), strict=True))


def _write_arrays(run: RunDirectory, validation: Validation) -> None:
    """What the figures are drawn from."""
    arrays: dict[str, Any] = {}
    for quantity, comparison in validation.comparisons.items():
        for name in ("reference", "predicted", "frame", "atom", "species", "group"):
            arrays[f"{quantity}_{name}"] = getattr(comparison, name)
    if validation.calibration is not None:
        arrays["doubts"] = doubts_of(validation.predictions, validation.comparisons["forces"])
        arrays["calibration_expected"] = validation.calibration.expected
        arrays["calibration_observed"] = validation.calibration.observed
    run.write_arrays("validation.npz", **arrays)
