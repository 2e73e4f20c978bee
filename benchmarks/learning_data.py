"""Label the structures of the learning benchmarks: Si(111) by SevenNet-l3i5, Al(111) by quantum mechanics (GPAW, PBE).

python benchmarks/learning_data.py sevennet                 seconds; writes benchmarks/data/si_sevennet_l3i5_*.extxyz
python benchmarks/learning_data.py gpaw --cache FOLDER      an hour on an idle core; stops and goes on at any frame

The structures are those of `_learning_structures.py`: training and held-out ones are fixed there, before anything is labelled.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from _learning_structures import (
    CURVE,
    HELD_BETWEEN,
    HELD_BEYOND,
    QUANTUM_BETWEEN,
    QUANTUM_BEYOND,
    QUANTUM_TRAINING,
    TRAINING,
    frames,
    stack,
)

from atomistic.labelled import LabelledFrame, write_frames
from atomistic.oracle import load_oracle
from atomistic.potentials.base import Potential

DATA = Path(__file__).parent / "data"
#: Lattice constants (Å): of silicon by SevenNet-l3i5, and of PBE (docs/engines.md).
SEVENNET_LATTICE, QUANTUM_LATTICE = 5.46, 4.046
#: 12×12 points in the plane of one atom, 12 along a stack of one plane; a Fermi-Dirac width of 0.2 eV.
_CUTOFF, _POINTS, _WIDTH = 300.0, 12, 0.2
#: Planes of the stack whose rigid separation is the exact curve.
CURVE_PLANES = 6


def quantum_settings(planes: int, per_plane: int) -> dict[str, Any]:
    """Return GPAW's settings for a stack: one density of points for all of them."""
    across = _POINTS if per_plane == 1 else round(_POINTS / 3.0**0.5)
    return {"ecut": _CUTOFF, "kpts": [_POINTS, across, _POINTS // planes], "width": _WIDTH}


def rigid_curve() -> list[LabelledFrame]:
    """Return the perfect stack, separated rigidly, without answers."""
    return [
        LabelledFrame(
            atoms=stack(CURVE_PLANES, 1, lattice=QUANTUM_LATTICE, opening=opening),
            config_type="curve",
            provenance={"opening_A": opening},
        )
        for opening in CURVE
    ]


def labelled(frame: LabelledFrame, oracle: Potential, name: str, settings: Any) -> LabelledFrame:
    """Return the frame with the oracle's energy, forces and stress."""
    answer = oracle.evaluate(frame.atoms)
    origin = {**frame.provenance, "oracle": name, "settings": settings}
    return replace(frame, energy=answer.energy, forces=answer.forces, stress=answer.stress, provenance=origin)


def by_sevennet() -> None:
    """Write si_sevennet_l3i5_training.extxyz and _held.extxyz."""
    oracle = load_oracle("sevennet-l3i5")
    groups = {
        "training": frames(TRAINING, 56, lattice=SEVENNET_LATTICE, name="training"),
        "held": [
            *frames(HELD_BETWEEN, 21, lattice=SEVENNET_LATTICE, name="between"),
            *frames(HELD_BEYOND, 21, lattice=SEVENNET_LATTICE, name="beyond"),
        ],
    }
    for group, unlabelled in groups.items():
        answered = [labelled(frame, oracle, "sevennet-l3i5", {}) for frame in unlabelled]
        write_frames(DATA / f"si_sevennet_l3i5_{group}.extxyz", answered)


def by_gpaw(cache: Path, *, until: str | None) -> None:
    """Write al_gpaw_curve.extxyz, _training.extxyz and _held.extxyz with all that is labelled so far."""
    groups = {
        "curve": rigid_curve(),
        "training": frames(QUANTUM_TRAINING, 36, lattice=QUANTUM_LATTICE, name="training"),
        "held": _alternating(
            frames(QUANTUM_BETWEEN, 6, lattice=QUANTUM_LATTICE, name="between"),
            frames(QUANTUM_BEYOND, 6, lattice=QUANTUM_LATTICE, name="beyond"),
        ),
    }
    done: dict[str, list[LabelledFrame]] = {group: [] for group in groups}
    oracles: dict[tuple[int, int], Potential] = {}
    tasks = {group: [(group, frame) for frame in some] for group, some in groups.items()}
    training = tasks.pop("training")
    order = _alternating(training[::2], *tasks.values(), training[1::2])
    # Structures that keep their symmetry take a tenth of the time: they come first.
    for group, frame in sorted(order, key=lambda task: not _symmetric(task[1])):
        if until is not None and time.strftime("%H:%M") >= until:
            break
        kind = _kind(frame)
        settings = quantum_settings(*kind)
        if kind not in oracles:
            oracles[kind] = load_oracle({"engine": "gpaw", "settings": settings}, cache=cache)
        done[group].append(labelled(frame, oracles[kind], "gpaw", settings))
        write_frames(DATA / f"al_gpaw_{group}.extxyz", done[group])


def _kind(frame: LabelledFrame) -> tuple[int, int]:
    """Planes of a stack and atoms in each: cells of one atom lean in the plane, those of two are rectangles."""
    per_plane = 1 if abs(frame.atoms.cell[1, 0]) > 1e-9 else 2
    return len(frame.atoms) // per_plane, per_plane


def _symmetric(frame: LabelledFrame) -> bool:
    """Whether the planes are whole: perfect, or displaced along their normal alone."""
    return frame.provenance.get("displaced", "z") == "z"


def _alternating(*groups: Sequence[Any]) -> list[Any]:
    """All of several lists in turn, so that what is done when time is up holds some of each."""
    return [entry for entry in chain.from_iterable(zip_longest(*groups)) if entry is not None]


def main() -> int:
    """Label and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("oracle", choices=("sevennet", "gpaw"))
    parser.add_argument("--cache", type=Path, default=Path("al_gpaw_cache"), help="folder of GPAW's results")
    parser.add_argument("--until", help="HH:MM at which no further calculation is begun")
    arguments = parser.parse_args()
    DATA.mkdir(exist_ok=True)
    if arguments.oracle == "sevennet":
        by_sevennet()
    else:
        by_gpaw(arguments.cache, until=arguments.until)
    return 0


if __name__ == "__main__":
    sys.exit(main())
