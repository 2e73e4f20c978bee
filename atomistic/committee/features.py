"""What heads are trained on: scalars of each frame's atoms, their derivatives, and the model's own answers, computed once."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.committee.backbone import Backbone
from atomistic.errors import CommitteeError
from atomistic.whole_file import write_whole

Array = NDArray[np.float64]
Single = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class FrameFeatures:
    """One structure seen through the backbone.

    Attributes:
        scalars: h (n, c).
        directions: v (m, n, 3), orthonormal, or random with E[vvᵀ] = 1 where they are fewer than the components that count.
        moved: dh/dy·v (m, n, c).
        strained: dh/dε (6, n, c), Voigt order.
        energy: the model's own, eV.
        forces: (n, 3), eV/Å.
        stress: (3, 3), eV/Å³.
    """

    scalars: Single
    directions: Array
    moved: Single
    strained: Single
    energy: float
    forces: Array
    stress: Array


class HeadFeatures:
    """A frozen backbone with the features of the frames that it has seen.

    Args:
        spec: a SevenNet model, as `load_potential` takes it.
        layers: how many of its layers heads see.
        directions: at most so many derivatives along displacements of a frame. Up to it all 3n components are taken one by one;
            beyond it so many random ones stand for them, with E[vvᵀ] = 1. All of 32 atoms by default; 16 is six times quicker.
        cache: folder where features are kept between processes; in memory alone by default.
        device: "cpu" or "cuda".
        comm: the ranks that share the machine.

    Raises:
        CommitteeError: no SevenNet model, layers or directions that make no sense, or a cache that is a file.
    """

    def __init__(
        self,
        spec: str | Mapping[str, Any] | Path,
        *,
        layers: int = 2,
        directions: int = 96,
        cache: str | Path | None = None,
        device: str = "cpu",
        comm: MPI.Comm | None = None,
    ) -> None:
        if isinstance(directions, bool) or not isinstance(directions, int) or directions < 1:
            raise CommitteeError(f"directions is a whole number ≥ 1 of derivatives a frame; got {directions!r}.")
        self.backbone = Backbone(spec, layers=layers, device=device, comm=comm)
        self.directions = directions
        self._memory: dict[str, FrameFeatures] = {}
        self._folder = None if cache is None else Path(cache).expanduser()
        if self._folder is not None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise CommitteeError(
                    f"The folder {self._folder} for features cannot be made ({error.strerror}). Give another cache."
                ) from error

    def of(self, atoms: Atoms, *, counted: NDArray[np.bool_] | None = None) -> FrameFeatures:
        """Return the features of a structure, computed unless they are known.

        Args:
            atoms: the structure.
            counted: (n,) bool, the atoms along whose displacements derivatives are taken; all by default.

        Raises:
            UnknownElementError: the backbone does not know an element.
            EvaluationError: the backbone gives numbers that are not finite.
        """
        mask = np.ones(len(atoms), dtype=bool) if counted is None else np.asarray(counted, dtype=bool)
        key = self._key(atoms, mask)
        if key not in self._memory:
            found = self._stored(key)
            if found is None:
                found = self._computed(atoms, mask, key)
                self._store(key, found)
            self._memory[key] = found
        return self._memory[key]

    def _computed(self, atoms: Atoms, mask: NDArray[np.bool_], key: str) -> FrameFeatures:
        potential = self.backbone.potential
        potential.check_elements(atoms.symbols)
        base = potential.evaluate(atoms)
        # Random directions depend on the structure alone: the same frame gives the same rows in every process.
        directions = chosen_directions(mask, self.directions, seed=int(key[:8], 16))
        scalars, moved, strained = self.backbone.tangents(atoms, directions)
        return FrameFeatures(
            scalars=scalars,
            directions=directions,
            moved=moved,
            strained=strained,
            energy=base.energy,
            forces=base.forces,
            stress=base.stress,
        )

    def _key(self, atoms: Atoms, mask: NDArray[np.bool_]) -> str:
        """The name of a frame's features: structure, backbone and directions."""
        whole = hashlib.sha256(json.dumps([self.backbone.identity, self.directions], sort_keys=True).encode())
        for part in (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, mask):
            whole.update(np.ascontiguousarray(part).tobytes())
        return whole.hexdigest()[:32]

    def _stored(self, key: str) -> FrameFeatures | None:
        if self._folder is None or not (path := self._folder / f"{key}.npz").is_file():
            return None
        try:
            with np.load(path) as archive:
                values = {f.name: archive[f.name] for f in fields(FrameFeatures)}
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise CommitteeError(
                f"The features in {path} are damaged ({error}). Delete that file; they are made again."
            ) from error
        return FrameFeatures(**(values | {"energy": float(values["energy"])}))

    def _store(self, key: str, found: FrameFeatures) -> None:
        """Write a frame's features, whole or not at all."""
        if self._folder is None:
            return
        try:
            arrays: dict[str, Any] = {f.name: np.asarray(getattr(found, f.name)) for f in fields(FrameFeatures)}
            packed = io.BytesIO()
            np.savez(packed, **arrays)
            write_whole(self._folder / f"{key}.npz", packed.getvalue())
        except OSError as error:
            raise CommitteeError(
                f"Features cannot be written to {self._folder} ({error.strerror}). Give another cache."
            ) from error


def chosen_directions(mask: NDArray[np.bool_], most: int, *, seed: int) -> Array:
    """Return displacements (m, n, 3) of the atoms that count: all components, or `most` random ones with E[vvᵀ] = 1.

    The random ones are scaled so that Σ_v (F·v)² estimates |F|²: fewer rows weigh as much as all.
    """
    places = np.flatnonzero(np.repeat(mask, 3))
    if len(places) <= most:
        unit = np.zeros((len(places), 3 * len(mask)))
        unit[np.arange(len(places)), places] = 1.0
        return unit.reshape(len(places), len(mask), 3)
    drawn = np.zeros((most, 3 * len(mask)))
    drawn[:, places] = np.random.default_rng(seed).standard_normal((most, len(places))) / np.sqrt(most)
    return drawn.reshape(most, len(mask), 3)
