"""How wrong a potential is: errors of energies, forces and stresses, of all frames, by species and by group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from atomistic.errors import ValidationError
from atomistic.labelled import LabelledFrame
from atomistic.validation.predictions import Prediction
from atomistic.validation.shifts import EnergyShifts

Quantity = Literal["energy", "forces", "force_vectors", "stress"]
QUANTITIES: tuple[Quantity, ...] = ("energy", "forces", "force_vectors", "stress")
#: Units of the statistics, by quantity.
UNITS: dict[str, str] = {
    "energy": "eV/atom",
    "forces": "eV/angstrom",
    "force_vectors": "eV/angstrom",
    "stress": "eV/angstrom^3",
}
STATISTICS = ("rmse", "mae", "max", "relative")
#: What frames without a group are called in tables.
NO_GROUP = "(none)"
_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Reference and prediction of one quantity, row by row.

    Attributes:
        reference, predicted: (m, c) in eV/atom (c = 1), eV/Å (c = 3) or eV/Å³ (c = 6: xx, yy, zz, yz, xz, xy).
        frame: (m,) number of the frame that a row belongs to.
        atom: (m,) number of the atom in it; −1 where the row is of the whole frame.
        species: (m,) symbol of the atom; empty for whole frames.
        group: (m,) `config_type` of the frame.
    """

    reference: NDArray[np.float64]
    predicted: NDArray[np.float64]
    frame: NDArray[np.int64]
    atom: NDArray[np.int64]
    species: NDArray[np.str_]
    group: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def errors(self) -> NDArray[np.float64]:
        """Prediction minus reference, (m, c)."""
        return self.predicted - self.reference


@dataclass(frozen=True, kw_only=True)
class ErrorStatistics:
    """Errors of one quantity in one unit (`UNITS`).

    Attributes:
        count: number of errors.
        rmse: root of their mean square; of vectors √⟨|ΔF|²⟩.
        mae: mean of their sizes.
        max: the largest size.
        bias: their mean; zero for vectors, which have sizes only.
        spread: of the reference: root mean square of forces and stresses, standard deviation of energies per atom.
        frame, atom: where the largest is; atom −1 for whole frames.
    """

    count: int
    rmse: float
    mae: float
    max: float
    bias: float
    spread: float
    frame: int
    atom: int

    @property
    def relative(self) -> float:
        """RMSE in parts of the reference's spread; infinite where that is zero."""
        return self.rmse / self.spread if self.spread > 0.0 else float("inf")


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """One line of the table: a quantity's errors in all frames, on one species, or in one group."""

    quantity: Quantity
    of: Literal["all", "species", "config_type"]
    name: str
    errors: ErrorStatistics


@dataclass(frozen=True, kw_only=True)
class DoubtMetrics:
    """What a committee's doubt is worth.

    Attributes:
        atoms: number of atoms compared.
        rank_correlation: Spearman's, of disagreement and force error, over atoms.
        rank_correlation_frames: the same of the largest ones of each frame; NaN with fewer than three frames.
        area: miscalibration area of the force components, with s/√3 as their spread.
        scale: what the spreads would have to be multiplied by; infinite where one is zero and its error is not.
        largest: disagreement, eV/Å.
        mean: disagreement, eV/Å.
        unspread: number of atoms on which all members give the same forces.
    """

    atoms: int
    rank_correlation: float
    rank_correlation_frames: float
    area: float
    scale: float
    largest: float
    mean: float
    unspread: int = 0


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """All errors of a potential on labelled frames.

    Attributes:
        frames: number of frames compared.
        failed: number of frames that the potential could not evaluate; none of the numbers knows them.
        rows: errors; first of all frames, then by species, then by group.
        shifts: what was added to the potential's energies.
        doubt: of a committee, else None.
    """

    frames: int
    failed: int
    rows: tuple[MetricRow, ...]
    shifts: EnergyShifts
    doubt: DoubtMetrics | None = None

    def of(
        self, quantity: str, *, species: str | None = None, config_type: str | None = None
    ) -> ErrorStatistics | None:
        """Return the errors of a quantity, or None where the data say nothing about it."""
        kind, name = ("species", species) if species is not None else ("config_type", config_type)
        if name is None:
            kind, name = "all", ""
        for row in self.rows:
            if (row.quantity, row.of, row.name) == (quantity, kind, name):
                return row.errors
        return None

    def value(self, name: str, *, species: str | None = None, config_type: str | None = None) -> float | None:
        """Return one number by its name, such as "forces_rmse" or "stress_max"; None where the data do not tell.

        Raises:
            ValidationError: an unknown name.
        """
        if name == "frames":
            return float(self.frames)
        if name in ("rank_correlation", "miscalibration_area"):
            if self.doubt is None or species is not None or config_type is not None:
                return None
            return self.doubt.rank_correlation if name == "rank_correlation" else self.doubt.area
        quantity, _, statistic = name.rpartition("_")
        if quantity not in QUANTITIES or statistic not in STATISTICS:
            raise ValidationError(f"There is no metric {name!r}; names are QUANTITY_STATISTIC such as forces_rmse.")
        errors = self.of(quantity, species=species, config_type=config_type)
        return None if errors is None else float(getattr(errors, statistic))

    def groups(self, of: str) -> list[str]:
        """Return the names of the species or groups that occur."""
        return list(dict.fromkeys(row.name for row in self.rows if row.of == of))


def compare(
    frames: Sequence[LabelledFrame], predictions: Sequence[Prediction | None], shifts: EnergyShifts
) -> dict[str, Comparison]:
    """Put labels beside predictions: "energy" per atom, "forces", "stress", each where there is any.

    Forces are of the counted atoms. Energies and stresses of frames with atoms that do not count are left out, and so are
    stresses of frames that are not periodic in all directions, where a stress has no volume.
    """
    found: dict[str, list[tuple]] = {"energy": [], "forces": [], "stress": []}
    for k, (frame, prediction) in enumerate(zip(frames, predictions, strict=True)):
        if prediction is None or prediction.failure is not None:
            continue
        n, group = len(frame.atoms), frame.config_type or NO_GROUP
        if has_energy(frame):
            assert frame.energy is not None
            shifted = prediction.energy + shifts.of(frame.atoms)
            found["energy"].append(([[frame.energy / n]], [[shifted / n]], [k], [-1], [""], [group]))
        if frame.forces is not None:
            chosen = np.arange(n) if frame.counted is None else np.flatnonzero(frame.counted)
            symbols = np.array(frame.atoms.get_chemical_symbols())[chosen]
            m = len(chosen)
            found["forces"].append(
                (frame.forces[chosen], prediction.forces[chosen], [k] * m, chosen, symbols, [group] * m)
            )
        if has_stress(frame) and frame.stress is not None and prediction.stress is not None:
            reference, predicted = ([[tensor[i, j] for i, j in _VOIGT]] for tensor in (frame.stress, prediction.stress))
            found["stress"].append((reference, predicted, [k], [-1], [""], [group]))
    names = ("reference", "predicted", "frame", "atom", "species", "group")
    return {
        quantity: Comparison(
            **{name: np.concatenate(parts) for name, parts in zip(names, zip(*rows, strict=True), strict=True)}
        )
        for quantity, rows in found.items()
        if rows
    }


def has_energy(frame: LabelledFrame) -> bool:
    """Whether the frame's energy can be compared."""
    return frame.energy is not None and (frame.counted is None or bool(np.all(frame.counted)))


def has_stress(frame: LabelledFrame) -> bool:
    """Whether the frame's stress can be compared."""
    whole = frame.counted is None or bool(np.all(frame.counted))
    return frame.stress is not None and whole and bool(frame.atoms.pbc.all())


def metric_rows(comparisons: Mapping[str, Comparison]) -> tuple[MetricRow, ...]:
    """Return the table of errors."""
    rows: list[MetricRow] = []
    for kind in ("all", "species", "config_type"):
        for quantity in QUANTITIES:
            comparison = comparisons.get("forces" if quantity == "force_vectors" else quantity)
            if comparison is None or not len(comparison):
                continue
            for name, chosen in _parts(comparison, kind):
                rows.append(
                    MetricRow(quantity=quantity, of=kind, name=name, errors=statistics(comparison, chosen, quantity))
                )
    return tuple(rows)


def _parts(comparison: Comparison, kind: str) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield the names of the parts of a table, and their rows."""
    if kind == "all":
        yield "", np.ones(len(comparison), dtype=bool)
        return
    labels = comparison.species if kind == "species" else comparison.group
    names = set(labels.tolist()) - {""}
    for name in sorted(names if names != {NO_GROUP} else ()):  # one group without a name is all frames once more
        yield name, labels == name


def statistics(comparison: Comparison, chosen: NDArray[np.bool_], quantity: Quantity) -> ErrorStatistics:
    """Return the statistics of the chosen rows."""
    errors, reference = comparison.errors[chosen], comparison.reference[chosen]
    vectors = quantity == "force_vectors"
    values = np.linalg.norm(errors, axis=1, keepdims=True) if vectors else errors
    sizes = np.abs(values)
    worst = int(np.argmax(sizes.max(axis=1)))
    centred = reference - reference.mean() if quantity == "energy" else reference
    square = np.mean(centred**2) * (reference.shape[1] if vectors else 1)
    return ErrorStatistics(
        count=int(values.size),
        rmse=float(np.sqrt(np.mean(values**2))),
        mae=float(sizes.mean()),
        max=float(sizes.max()),
        bias=0.0 if vectors else float(values.mean()),
        spread=float(np.sqrt(square)),
        frame=int(comparison.frame[chosen][worst]),
        atom=int(comparison.atom[chosen][worst]),
    )
