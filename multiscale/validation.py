"""A potential held against reference data: read, evaluate, measure, hold against the contract, write it all down."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mpi4py import MPI
from pydantic import Field

from atomistic.errors import AtomisticError
from atomistic.label_keys import LabelOptions
from atomistic.labelled import LabelledFrame, read_labelled
from atomistic.potentials import Potential, load_potential
from atomistic.validation import Contract, ContractResult, Validation, validate
from multiscale import validation_files as files
from multiscale.config.common import CheckedCase, Device, PotentialSpec
from multiscale.progress import Progress
from multiscale.run import RunDirectory, describe_potential
from multiscale.studies.launch import launch


class ValidationRequest(CheckedCase):
    """What is validated, with what, against which bounds."""

    study: Literal["validate-potential"] = "validate-potential"
    """kind of study"""
    potential: PotentialSpec
    """what is tested"""
    device: Device = "cpu"
    """where it runs"""
    data: tuple[str, ...] = Field(min_length=1)
    """files with labelled structures"""
    frames: str = ":"
    """which of each file's frames, as ASE writes it: ":", "0:100", "::10" """
    labels: LabelOptions = LabelOptions()
    """where the labels are and in which units"""
    contract: str | None = None
    """file with bounds"""
    energy_shift: Literal["none", "species"] | dict[str, float] | None = None
    """what may be added to the potential's energies; None for what the contract says, else none"""
    doubts: bool = True
    """whether the doubt of a committee is tested too"""


@dataclass(frozen=True, kw_only=True)
class ValidationResult:
    """What a validation leaves in memory; the rest is in its directory.

    Attributes:
        directory: of the run.
        validation: the comparison.
        places: where the frames come from.
        contract: what became of the bounds; None without any.
        warnings: what a reader of the results should know.
    """

    directory: Path
    validation: Validation
    places: files.Places
    contract: ContractResult | None
    warnings: list[str]


@dataclass(frozen=True, kw_only=True)
class Data:
    """The frames of all files, where each comes from, and which names their labels had."""

    frames: Sequence[LabelledFrame]
    places: files.Places
    files: Sequence[Mapping[str, Any]]
    contract: Contract | None


def validate_potential(
    request: ValidationRequest,
    *,
    directory: str | Path,
    comm: MPI.Comm = MPI.COMM_WORLD,
    progress: Progress | None = None,
    force: bool = False,
) -> ValidationResult:
    """Compare a potential with reference data and write a run directory (collective).

    Args:
        request: what to do.
        directory: where everything is written; must be new or empty unless `force`.
        comm: ranks that share the frames.
        progress: shown on rank 0; silent if None.
        force: write into a directory that is not empty.

    Raises:
        ValueError: with its cause, for data, a contract or a potential that cannot be used.
    """
    return launch(request, _follow_story, directory=directory, comm=comm, progress=progress, force=force)


def _follow_story(
    request: ValidationRequest, run: RunDirectory, comm: MPI.Comm, progress: Progress
) -> ValidationResult:
    """Read, load, evaluate, judge, write."""
    with progress.phase("data"):
        data = read_together(request, comm)
    with progress.phase("potential"):
        potential = load_potential(request.potential, comm=MPI.COMM_SELF, device=request.device)
    validation = _evaluate(request, data, potential, comm, progress)
    outcome = None if data.contract is None else data.contract.check(validation.metrics)
    warnings = [*_warnings_of_keys(data), *_warnings_of_missing(data), *validation.notes]
    with progress.phase("results"):
        run.record(potential=describe_potential(potential))
        files.write_results(run, data.files, data.places, validation, outcome, warnings)
    return ValidationResult(
        directory=run.path, validation=validation, places=data.places, contract=outcome, warnings=warnings
    )


def _evaluate(
    request: ValidationRequest, data: Data, potential: Potential, comm: MPI.Comm, progress: Progress
) -> Validation:
    """Evaluate the frames; progress counts the atoms of this rank's share, the others have about as many."""
    sizes = [len(frame.atoms) for frame in data.frames]
    labelled = [k for k, frame in enumerate(data.frames) if frame.labelled]
    total = sum(sizes[k] for k in labelled[comm.rank :: comm.size])
    contract_shift = "none" if data.contract is None else data.contract.energy_shift
    with progress.phase("evaluations", total=total) as phase:
        return validate(
            data.frames,
            potential,
            shift=contract_shift if request.energy_shift is None else request.energy_shift,
            doubts=request.doubts,
            comm=comm,
            names=data.places.names,
            on_done=lambda k: phase.advance(sizes[k], f"frame {k + 1} of {len(sizes)}"),
        )


def read_together(request: ValidationRequest, comm: MPI.Comm) -> Data:
    """Read data and contract on rank 0 and give them, or the mistake, to all ranks (collective).

    Raises:
        LabelledDataError: data that cannot be used.
        ValidationError: a contract that cannot.
    """
    outcome: Data | AtomisticError | None = None
    if comm.rank == 0:
        try:
            outcome = _read(request)
        except AtomisticError as error:
            outcome = error
    outcome = comm.bcast(outcome, root=0)
    if isinstance(outcome, AtomisticError):
        raise outcome
    assert outcome is not None  # what rank 0 sent
    return outcome


def _read(request: ValidationRequest) -> Data:
    """Read the contract, whose mistakes are found soonest, and the data."""
    contract = None if request.contract is None else Contract.read(request.contract)
    frames: list[LabelledFrame] = []
    described: list[dict[str, Any]] = []
    origins: list[tuple[str, int]] = []
    for path in request.data:
        reading = read_labelled(path, options=request.labels, index=request.frames)
        described.append(
            {
                "file": str(path),
                "first_frame": len(frames),
                "frames": len(reading.frames),
                **{f"with_{name}": reading.counts[name] for name in ("energy", "forces", "stress")},
                "without_labels": reading.counts["unlabelled"],
                **{f"{name}_from": key for name, key in dataclasses.asdict(reading.keys).items() if key is not None},
            }
        )
        frames += reading.frames
        origins += [(str(path), number) for number in reading.numbers]
    places = files.Places(
        files=tuple(path for path, _ in origins),
        numbers=tuple(number for _, number in origins),
        plain=len(request.data) == 1 and request.frames == ":",
    )
    return Data(frames=frames, places=places, files=described, contract=contract)


def _warnings_of_keys(data: Data) -> list[str]:
    """Say where files were read by different names, which may mean different theories."""
    found = []
    for label in ("energy", "forces"):
        names = {str(entry[f"{label}_from"]): str(entry["file"]) for entry in data.files if f"{label}_from" in entry}
        if len(names) > 1:
            listed = ", ".join(f"{name} in {file}" for name, file in names.items())
            found.append(f"the {label} of the files have different names ({listed}): is their theory the same?")
    return found


def _warnings_of_missing(data: Data) -> list[str]:
    """Say where all labels of a kind were NaN; where some are left, the validation says how many are not."""
    return [
        f"{entry['file']} has no {label} at all: every {entry[f'{label}_from']} is NaN and was taken for missing"
        for entry in data.files
        for label in ("energy", "forces", "stress")
        if f"{label}_from" in entry and not entry[f"with_{label}"]
    ]


def terminal_lines(result: ValidationResult) -> list[str]:
    """What to say when it is over: warnings, errors of all frames and of groups, the contract."""
    metrics = result.validation.metrics
    lines = [f"warning: {warning}" for warning in result.warnings]
    rows = [row for row in metrics.rows if row.of == "all"]
    names = {
        "energy": "energy",
        "forces": "force components",
        "force_vectors": "force vectors",
        "stress": "stress components",
    }
    for row in rows:
        factor, unit = files.SHOWN[row.quantity]
        e = row.errors
        lines.append(
            f"{names[row.quantity]}: RMSE {e.rmse * factor:.4g}, MAE {e.mae * factor:.4g}, largest {e.max * factor:.4g} {unit} "
            f"({e.count} numbers; largest in frame {result.places.names[e.frame]}{f', atom {e.atom}' if e.atom >= 0 else ''})"
        )
    if metrics.shifts.per_species:
        shifts = ", ".join(f"{symbol} {value:+.4f}" for symbol, value in metrics.shifts.per_species.items())
        how = f"fitted to these {metrics.shifts.frames} energies" if metrics.shifts.fitted else "as given"
        lines.append(f"energy shifts added to the potential ({how}): {shifts} eV per atom")
    if (doubt := metrics.doubt) is not None:
        ranked = "undefined" if math.isnan(doubt.rank_correlation) else f"{doubt.rank_correlation:.3f}"
        scale = (
            f"spreads should be {doubt.scale:.3g} times as large"
            if math.isfinite(doubt.scale)
            else f"zero spread on {doubt.unspread} atoms"
        )
        lines.append(
            f"doubt against error: rank correlation {ranked} over {doubt.atoms} atoms, miscalibration area "
            f"{doubt.area:.3f}, {scale}"
        )
    if result.contract is not None:
        lines += [f"contract: {row.line}" for row in result.contract.rows]
        lines.append(f"contract {'passed' if result.contract.passed else 'FAILED'}")
    return lines
