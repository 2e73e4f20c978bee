"""A potential against labelled frames, from evaluation to metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.labelled import LabelledFrame
from atomistic.potentials.base import Potential
from atomistic.validation.calibration import Calibration, calibration, rank_correlation
from atomistic.validation.conventions import suspicions
from atomistic.validation.metrics import Comparison, DoubtMetrics, Metrics, compare, has_energy, has_stress, metric_rows
from atomistic.validation.predictions import Prediction, predict
from atomistic.validation.shifts import EnergyShifts, ShiftChoice, energy_shifts

if TYPE_CHECKING:
    from atomistic.committee import Committee

#: A common shift of the energies this many times their scatter (and at least 50 meV per atom) is another zero, not an error.
_OTHER_ZERO = (5.0, 0.05)
#: Members whose forces differ by less (eV/Å) say the same.
_ROUNDING = 1e-10


@dataclass(frozen=True, kw_only=True)
class Validation:
    """A potential's answers beside the labels.

    Attributes:
        frames: what was compared with.
        predictions: of every frame, in the same order; None where it has no labels.
        comparisons: "energy", "forces", "stress", each where there are labels.
        metrics: the errors.
        calibration: of a committee's spreads against the errors of force components; None without one.
        notes: what a reader should know: frames left out, failures, units that look wrong.
    """

    frames: Sequence[LabelledFrame]
    predictions: Sequence[Prediction | None]
    comparisons: Mapping[str, Comparison]
    metrics: Metrics
    calibration: Calibration | None
    notes: tuple[str, ...]


def validate(
    frames: Sequence[LabelledFrame],
    potential: Potential,
    *,
    shift: ShiftChoice = "none",
    doubts: bool = True,
    comm: MPI.Comm | None = None,
    names: Sequence[str] | None = None,
    on_done: Callable[[int], None] | None = None,
) -> Validation:
    """Compare a potential with labelled frames (collective over `comm`; every rank gets the result).

    Args:
        frames: the same on every rank; those without labels are left out and noted.
        potential: what is tested; where it is a committee, its doubt is tested too.
        shift: what may be added to the potential's energies, see `ShiftChoice`. "species" fits a constant to the very
            energies that are tested, and says so.
        doubts: False leaves the members of a committee alone, which is cheaper.
        comm: ranks that share the frames.
        names: what the frames are called in notes and errors; by default their numbers.
        on_done: called with the number of each frame that this rank has evaluated.

    Raises:
        ValidationError: no labelled frames, or shifts that cannot be had from these.
        UnknownElementError: elements that the potential does not know.
        EvaluationError: it failed on every frame.
    """
    committee = _committee_of(potential) if doubts else None
    predictions = predict(frames, potential, comm=comm, committee=committee, names=names, on_done=on_done)
    used = [
        (frame, prediction)
        for frame, prediction in zip(frames, predictions, strict=True)
        if prediction is not None and prediction.failure is None and has_energy(frame)
    ]
    differences = np.array([float(frame.energy or 0.0) - prediction.energy for frame, prediction in used])
    shifts = energy_shifts(shift, [frame.atoms for frame, _ in used], differences)
    comparisons = compare(frames, predictions, shifts)
    doubt, calibrated = _doubt(predictions, comparisons.get("forces")) if committee is not None else (None, None)
    evaluated = [prediction for prediction in predictions if prediction is not None]
    failed = sum(prediction.failure is not None for prediction in evaluated)
    metrics = Metrics(
        frames=len(evaluated) - failed, failed=failed, rows=metric_rows(comparisons), shifts=shifts, doubt=doubt
    )
    notes = [
        *_left_out(frames),
        *_failures(predictions, names),
        *_zero_spread(doubt),
        *suspicions(comparisons, np.array([len(frame.atoms) for frame in frames])),
        *_zero(comparisons.get("energy"), shifts),
    ]
    return Validation(
        frames=frames,
        predictions=predictions,
        comparisons=comparisons,
        metrics=metrics,
        calibration=calibrated,
        notes=tuple(notes),
    )


def _committee_of(potential: Potential) -> Committee | None:
    from atomistic.committee import committee_of  # only here: committees are calibrated with what this package has

    return committee_of(potential)


def _doubt(
    predictions: Sequence[Prediction | None], forces: Comparison | None
) -> tuple[DoubtMetrics | None, Calibration | None]:
    """Put a committee's doubt beside the errors of its forces."""
    if forces is None or not len(forces):
        return None, None
    doubts = doubts_of(predictions, forces)
    spreads = _on_rows(predictions, forces, "spreads")
    errors = np.linalg.norm(forces.errors, axis=1)
    # Rounding is neither spread nor error.
    spreads = np.where(spreads < _ROUNDING, 0.0, spreads)
    components = np.where((spreads[:, None] == 0.0) & (np.abs(forces.errors) < _ROUNDING), 0.0, forces.errors)
    # One spread for the three components of an atom: s² sums over them.
    found = calibration(components, np.repeat(spreads[:, None] / np.sqrt(3.0), 3, axis=1))
    _, starts = np.unique(forces.frame, return_index=True)  # the rows of a frame follow one another
    of_frames = np.maximum.reduceat(doubts, starts), np.maximum.reduceat(errors, starts)
    metrics = DoubtMetrics(
        atoms=len(forces),
        rank_correlation=rank_correlation(doubts, errors),
        rank_correlation_frames=rank_correlation(*of_frames) if len(starts) > 2 else float("nan"),
        area=found.area,
        scale=found.scale,
        largest=float(doubts.max()),
        mean=float(doubts.mean()),
        unspread=int(np.count_nonzero(spreads == 0.0)),
    )
    return metrics, found


def doubts_of(predictions: Sequence[Prediction | None], forces: Comparison) -> NDArray[np.float64]:
    """Return the disagreement (eV/Å) on the atom of every row of the compared forces, (m,)."""
    return _on_rows(predictions, forces, "doubts")


def _on_rows(predictions: Sequence[Prediction | None], forces: Comparison, name: str) -> NDArray[np.float64]:
    """Return a number of every atom of the compared forces."""
    return np.array(
        [getattr(predictions[k], name)[i] for k, i in zip(forces.frame, forces.atom, strict=True)], dtype=float
    )


def _left_out(frames: Sequence[LabelledFrame]) -> list[str]:
    """Say what of the data was not compared."""
    labelled = [frame for frame in frames if frame.labelled]
    found = []
    if len(labelled) < len(frames):
        found.append(f"{len(frames) - len(labelled)} of {len(frames)} frames have no labels and were left out")
    labels = {
        "energies": (lambda frame: frame.energy is not None, has_energy),
        "forces": (lambda frame: frame.forces is not None, lambda frame: frame.forces is not None),
        "stresses": (lambda frame: frame.stress is not None, has_stress),
    }
    for name, (has, compared) in labels.items():
        given, kept = (sum(test(frame) for frame in labelled) for test in (has, compared))
        if kept < given:
            why = "have atoms that do not count" + (
                "" if name == "energies" else " or are not periodic in all directions"
            )
            found.append(f"the {name} of {given - kept} frames were left out: these frames {why}")
        elif 0 < given < len(labelled):
            found.append(f"{len(labelled) - given} of {len(labelled)} frames have no {name}")
    return found


def _failures(predictions: Sequence[Prediction | None], names: Sequence[str] | None) -> list[str]:
    """Say on which frames the potential failed."""
    failed = [
        (k, found.failure) for k, found in enumerate(predictions) if found is not None and found.failure is not None
    ]
    if not failed:
        return []
    listed = ", ".join(str(k) if names is None else names[k] for k, _ in failed[:10]) + (
        ", ..." if len(failed) > 10 else ""
    )
    tried = sum(found is not None for found in predictions)
    return [f"the potential failed on {len(failed)} of {tried} frames ({listed}); first: {failed[0][1]}"]


def _zero_spread(doubt: DoubtMetrics | None) -> list[str]:
    """Say where a committee's members agree to the last bit, so that their doubt tells nothing."""
    if doubt is None or not doubt.unspread:
        return []
    if doubt.unspread == doubt.atoms:
        return [
            f"the committee's spread is zero on all {doubt.atoms} atoms: its members give the same forces, and its doubt tells "
            "nothing. Take members that differ"
        ]
    wrong = (
        ""
        if np.isfinite(doubt.scale)
        else ", also where the error is not, and no factor makes it as large as the errors"
    )
    return [f"the committee's spread is zero on {doubt.unspread} of {doubt.atoms} atoms{wrong}"]


def _zero(energies: Comparison | None, shifts: EnergyShifts) -> list[str]:
    """Say where energies differ by a constant, and how far shifts can be trusted."""
    if energies is None:
        return []
    errors = energies.errors[:, 0]
    bias, scatter = float(errors.mean()), float(errors.std())
    factor, least = _OTHER_ZERO
    if not shifts.per_species and len(errors) > 1 and abs(bias) > max(factor * scatter, least):
        return [
            f"the potential's energies lie {bias:+.4g} eV/atom from the reference's with a scatter of only {scatter:.3g} "
            "eV/atom: the two count from different zeros. An energy shift for each species would take that out"
        ]
    if shifts.fitted and not shifts.determined:
        return ["the frames' compositions do not tell the species' energy shifts apart: only their sums mean anything"]
    return []
