"""What a potential says of labelled frames, one independent evaluation each, spread over the ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.errors import EvaluationError, UnknownElementError, ValidationError
from atomistic.labelled import LabelledFrame
from atomistic.potentials.base import Potential
from atomistic.ranks import spread

if TYPE_CHECKING:
    from atomistic.committee import Committee


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One frame as the potential sees it.

    Attributes:
        energy: eV.
        forces: (n, 3) eV/Å.
        stress: (3, 3) eV/Å³; None where the frame has no stress to compare with.
        doubts: (n,) largest difference of two members' forces on each atom, eV/Å; None without a committee.
        spreads: (n,) s with s² = Σ_k |F_k − F̄|² / (K − 1), eV/Å; None without a committee.
        failure: why there is no result; the numbers are then NaN.
    """

    energy: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64] | None = None
    doubts: NDArray[np.float64] | None = None
    spreads: NDArray[np.float64] | None = None
    failure: str | None = None


def predict(
    frames: Sequence[LabelledFrame],
    potential: Potential,
    *,
    comm: MPI.Comm | None = None,
    committee: Committee | None = None,
    names: Sequence[str] | None = None,
    on_done: Callable[[int], None] | None = None,
) -> list[Prediction | None]:
    """Evaluate every labelled frame, None for the others (collective).

    A frame on which the potential fails says so and stops none of the others.

    Args:
        frames: the same on every rank; each rank evaluates every size-th.
        potential: what is tested.
        comm: the ranks; None for the calling one alone.
        committee: a `Committee` whose members' forces are compared besides; None for none.
        names: what the frames are called in messages; by default their numbers.
        on_done: called with the number of each frame that this rank has evaluated.

    Raises:
        ValidationError: no labelled frames.
        UnknownElementError: elements that the potential does not know; names the first frame that has them.
        EvaluationError: it failed on every frame.
    """
    labelled = [k for k, frame in enumerate(frames) if frame.labelled]
    if not labelled:
        raise ValidationError(
            f"There is nothing to compare with: none of {len(frames)} frames has an energy, forces or a stress."
        )
    _check_elements(frames, labelled, potential, names)

    def one(k: int) -> Prediction:
        result = _evaluated(frames[k], potential, committee)
        if on_done is not None:
            on_done(k)
        return result

    found = spread(labelled, one, potential=potential, comm=comm)
    if all(prediction.failure is not None for prediction in found):
        raise EvaluationError(
            f"{potential.capabilities.name!r} failed on all {len(found)} labelled frames; on the first: {found[0].failure}"
        )
    predictions: list[Prediction | None] = [None] * len(frames)
    for k, prediction in zip(labelled, found, strict=True):
        predictions[k] = prediction
    return predictions


def _check_elements(
    frames: Sequence[LabelledFrame], labelled: Sequence[int], potential: Potential, names: Sequence[str] | None
) -> None:
    """Say at once which elements the potential lacks, and where the first of them is."""
    try:
        potential.check_elements({symbol for k in labelled for symbol in frames[k].atoms.symbols})
    except UnknownElementError as error:
        known = potential.capabilities.elements or frozenset()
        bad = [k for k in labelled if set(frames[k].atoms.symbols) - known]
        first = str(bad[0]) if names is None else names[bad[0]]
        raise UnknownElementError(
            f"{error} {len(bad)} of {len(labelled)} frames have them, first frame {first} ({frames[bad[0]].atoms.symbols})."
        ) from None


def _evaluated(frame: LabelledFrame, potential: Potential, committee: Committee | None) -> Prediction:
    """Evaluate one frame, or say why it could not be."""
    atoms = frame.atoms.copy()
    stressed = frame.stress is not None and bool(atoms.pbc.all())
    try:
        found = potential.evaluate(atoms, stress=stressed)
        doubts, spreads = (None, None) if committee is None else _doubts(committee, atoms)
    except Exception as error:  # engines raise what they like on a structure that they cannot take
        nothing = np.full((len(atoms), 3), np.nan)
        return Prediction(energy=float("nan"), forces=nothing, failure=f"{type(error).__name__}: {error}")
    return Prediction(
        energy=found.energy,
        forces=found.forces,
        stress=found.stress if stressed else None,
        doubts=doubts,
        spreads=spreads,
    )


def _doubts(committee: Committee, atoms: Atoms) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return disagreement and spread of a committee's forces on each atom, (n,) both."""
    from atomistic.committee import disagreement, force_spread  # only here: committees are calibrated with this package

    forces = committee.deviations(atoms).forces
    return disagreement(forces).per_atom, force_spread(forces)
