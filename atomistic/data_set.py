"""Labelled structures kept in a folder: only ever added to, each whole or not there, each with where it comes from."""

from __future__ import annotations

import fcntl
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from atomistic.errors import DataSetError
from atomistic.labelled import LabelledFrame, checked_frame, frame_text, read_frames
from atomistic.whole_file import write_whole

FILE = "data.extxyz"
#: Answers for one structure agree within these: eV per atom, eV/Å, eV/Å³ (engines in single precision give no more).
_SAME_ENERGY, _SAME_FORCE, _SAME_STRESS = 1e-5, 1e-4, 1e-6


@dataclass(frozen=True, kw_only=True)
class Source:
    """Who computed how many frames of a data set.

    Attributes:
        oracle: name; empty where the frames don't say.
        version: of the engine.
        settings_hash: of its settings: energies of unlike settings are on unlike scales.
        frames: how many.
    """

    oracle: str
    version: str
    settings_hash: str
    frames: int


class DataSet:
    """Labelled structures in the file `data.extxyz` of a folder.

    Frames are never changed and never removed. Whoever kills the program finds the file as it was before an addition or after
    it, and adding the same frames once more changes nothing: a run that does not know whether it had added a frame adds it.
    What `frames` returns has always been read from the file, so what is trained on it doesn't depend on interruptions.

    Adding is for one process (of an MPI run: one rank); several processes that add wait for each other.

    Args:
        folder: made when first added to.
        match: structures whose cell vectors and positions differ by no more than this (Å) in any component, atoms in the same
            order, are the same.

    Raises:
        DataSetError: a match that is no distance, or a folder that is a file.
    """

    def __init__(self, folder: str | Path, *, match: float = 1e-6) -> None:
        if isinstance(match, bool) or not isinstance(match, int | float) or not 0.0 <= match <= 0.1:
            raise DataSetError(
                f"match is the distance within which two structures are the same, from 0 to 0.1 Å; got {match!r}."
            )
        self.folder = Path(folder).expanduser()
        self.match = float(match)
        if self.folder.exists() and not self.folder.is_dir():
            raise DataSetError(f"A data set is a folder; {self.folder} is a file. Give another name.")
        self._read: tuple[str, list[LabelledFrame]] = ("", [])

    @property
    def path(self) -> Path:
        """The file with all frames."""
        return self.folder / FILE

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the file, empty where there is none: which data a potential was trained on."""
        try:
            return hashlib.sha256(self.path.read_bytes()).hexdigest()
        except FileNotFoundError:
            return ""

    def frames(self) -> list[LabelledFrame]:
        """Return all frames in the order in which they were added, as the file has them; an empty list where none were.

        Raises:
            AtomisticError: the file cannot be read.
        """
        found = self.fingerprint
        if found != self._read[0]:
            self._read = (found, read_frames(self.path) if found else [])
        return list(self._read[1])

    def __len__(self) -> int:
        return len(self.frames())

    def __iter__(self) -> Iterator[LabelledFrame]:
        return iter(self.frames())

    def find(self, atoms: Atoms) -> LabelledFrame | None:
        """Return the frame of a structure, or None."""
        return _like(self.frames(), atoms, self.match)

    def add(self, frames: LabelledFrame | Iterable[LabelledFrame]) -> int:
        """Add frames, all or none, and return how many of them are new.

        A frame whose structure is there with the same answers is passed over.

        Args:
            frames: one or several.

        Raises:
            LabelledDataError: a frame without atoms; labels that are not finite or of the wrong shape.
            DataSetError: nothing to add; a frame without labels; a structure that is there with other answers, or with fewer;
                a folder that cannot be written.
        """
        given = [frames] if isinstance(frames, LabelledFrame) else list(frames)
        if wrong := {type(frame).__name__ for frame in given if not isinstance(frame, LabelledFrame)}:
            raise DataSetError(
                f"Expected LabelledFrame; got {', '.join(sorted(wrong))}. atomistic.oracle.labels.label makes one of a structure "
                "and an oracle, atomistic.labelled.read_frames of a file."
            )
        if not given:
            raise DataSetError(f"There are no frames to add to {self.folder}. Give at least one labelled structure.")
        for number, frame in enumerate(given):
            check_frame(frame, f"frame {number} of {len(given)} for {self.folder}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with _alone(self.folder):
                known = self.frames()
                new: list[LabelledFrame] = []
                for frame in given:
                    there = _like([*known, *new], frame.atoms, self.match)
                    if there is None:
                        new.append(frame)
                    else:
                        _same_answers(there, frame, self.folder)
                if new:
                    self._append(new)
        except OSError as error:
            raise DataSetError(
                f"The data set {self.folder} cannot be written ({error.strerror or error}); it is what it was before. Give a "
                "folder that can be written and has room."
            ) from error
        return len(new)

    def _append(self, new: list[LabelledFrame]) -> None:
        """Put the new frames behind the old ones in a copy of the file that then takes its place."""
        old = self.path.read_bytes() if self.path.exists() else b""
        write_whole(self.path, old + "".join(map(frame_text, new)).encode())

    def sources(self) -> tuple[Source, ...]:
        """Return who computed the frames, in the order in which they came; more than one where energies may not compare."""
        count = Counter(
            tuple(str(frame.provenance.get(key, "")) for key in ("oracle", "version", "settings_hash"))
            for frame in self
        )
        return tuple(
            Source(oracle=oracle, version=version, settings_hash=settings, frames=frames)
            for (oracle, version, settings), frames in count.items()
        )


def check_frame(frame: LabelledFrame, where: str) -> None:
    """Refuse a frame that nobody can learn from.

    Args:
        frame: structure and labels.
        where: which one it is, for the message.

    Raises:
        LabelledDataError: no atoms, or labels that are not finite or of the wrong shape.
        DataSetError: no labels, a stress that is not symmetric, no atom that counts.
    """
    checked_frame(frame, where)
    title = f"{where} ({frame.atoms.get_chemical_formula()})"
    if not frame.labelled:
        raise DataSetError(
            f"There is no label on {title}: expected an energy, forces or a stress. Let an oracle compute it."
        )
    if frame.stress is not None and not np.allclose(frame.stress, np.transpose(frame.stress), atol=1e-9):
        raise DataSetError(f"The stress of {title} must be symmetric; got {np.asarray(frame.stress).tolist()}.")
    if frame.counted is not None and not np.any(frame.counted):
        raise DataSetError(f"No atom of {title} counts. Mark at least one in `counted`, or give None for all.")


def _like(frames: list[LabelledFrame], atoms: Atoms, match: float) -> LabelledFrame | None:
    """The first frame with this structure."""
    for frame in frames:
        other = frame.atoms
        if (
            len(other) == len(atoms)
            and np.array_equal(other.numbers, atoms.numbers)
            and np.array_equal(other.pbc, atoms.pbc)
            and np.abs(other.cell.array - atoms.cell.array).max() <= match
            and np.abs(other.positions - atoms.positions).max() <= match
        ):
            return frame
    return None


def _same_answers(old: LabelledFrame, new: LabelledFrame, folder: Path) -> None:
    """Refuse a structure that is there with other answers, or with fewer."""
    scales = {"energy": _SAME_ENERGY * len(new.atoms), "forces": _SAME_FORCE, "stress": _SAME_STRESS}
    if new.counted is not None and not np.array_equal(new.counted, _counted(old)):
        raise _conflict(new, folder, "counting other atoms")
    for name, scale in scales.items():
        given, stored = getattr(new, name), getattr(old, name)
        if given is None:
            continue
        if stored is None:
            raise _conflict(new, folder, f"without {name}")
        away = float(np.abs(np.asarray(given) - stored).max())
        if away > scale:
            raise _conflict(new, folder, f"with another {name} (largest difference {away:.3g}, allowed {scale:.3g})")


def _counted(frame: LabelledFrame) -> np.ndarray:
    return np.ones(len(frame.atoms), dtype=bool) if frame.counted is None else np.asarray(frame.counted)


def _conflict(frame: LabelledFrame, folder: Path, how: str) -> DataSetError:
    who = frame.provenance.get("oracle", "unknown")
    return DataSetError(
        f"The data set {folder} has this structure ({frame.atoms.get_chemical_formula()}) already, {how}; the new labels are "
        f"by {who!r}. Frames are never changed: give labels of another oracle or other settings a data set of their own."
    )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system lets go of it when a process dies."""
    with (folder / ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
