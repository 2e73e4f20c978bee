"""Energy along a path from the work of the forces, for schemes that mix forces and have no energy.

    E(s) − E(0) = −∫ F·dr

A path given by frames is a cubic spline through them, over the length of its chords, and so are the forces: of fourth order
in the distance of the frames. The same from every second frame tells the error: a rule of order p leaves a difference of
(2^p − 1) errors, and p = 2 is assumed (Richardson 1911), so that the estimate is on the safe side where the spline does better.

Around a closed path forces with an energy do no work. What force mixing does is its non-conservativity, the energy that a
run gains or loses in a turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.geometry import find_mic
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from coupling.errors import PathError

Array = NDArray[np.float64]

#: Gauss points that integrate the product of two cubics' pieces, F·r' of degree 5, exactly.
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(3)
#: Å; an atom that moves farther between two frames may have been wrapped into the cell.
_WRAPPED = 1.0


@dataclass(frozen=True, kw_only=True)
class PathEnergy:
    """Energy along a path, from ∫F·dr.

    Attributes:
        length: of the chords from the first frame (n,), Å in the space of all atoms.
        energy: above the first frame (n,), eV.
        error: estimated error of each (n,), eV.
        frames: the frames (n), those that were put between included.
    """

    length: Array
    energy: Array
    error: Array
    frames: tuple[Atoms, ...]

    @property
    def barrier(self) -> float:
        """Highest energy above the first frame, eV."""
        return float(self.energy.max())

    @property
    def change(self) -> float:
        """Energy of the last frame above the first, eV."""
        return float(self.energy[-1])


@dataclass(frozen=True, kw_only=True)
class LoopWork:
    """Work that forces do around a closed path.

    Attributes:
        work: ∮F·dr, eV: what the atoms gain in one turn.
        error: its estimated error, eV.
        length: of the path, Å in the space of all atoms.
    """

    work: float
    error: float
    length: float

    @property
    def conservative(self) -> bool:
        """Whether the work cannot be told from zero."""
        return abs(self.work) <= self.error


def path_energy(
    frames: Sequence[Atoms], *, calculator: Any = None, tolerance: float | None = None, rounds: int = 5
) -> PathEnergy:
    """Integrate the forces along frames.

    Args:
        frames: at least 3 of the same atoms and cell, close enough for a smooth path; with forces, or with a `calculator`.
        calculator: an ASE calculator that evaluates the frames anew.
        tolerance: eV. With a calculator, frames are put halfway between all until the estimated error is below it.
        rounds: how often at most.

    Raises:
        PathError: frames that make no path, that have no forces, or whose error stays above the tolerance.
    """
    path = _Path.of(frames, calculator)
    for _ in range(rounds if tolerance is not None else 0):
        if path.integrated(closed=False)[1].max() <= float(tolerance or 0.0):
            break
        path = path.halved()
    energy, error = path.integrated(closed=False)
    if tolerance is not None and error.max() > tolerance:
        raise PathError(
            f"The energy along {len(path.frames)} frames has an estimated error of {error.max():.3g} eV, above the tolerance of "
            f"{tolerance:.3g} eV. Give closer frames, more `rounds`, or a tolerance above the noise of the forces."
        )
    return PathEnergy(length=path.length, energy=energy, error=error, frames=path.frames)


def loop_work(frames: Sequence[Atoms], *, calculator: Any = None) -> LoopWork:
    """Integrate the forces around a closed path: the first frame follows upon the last.

    Args:
        frames: at least 6 of the same atoms and cell, the first not repeated at the end.
        calculator: as for `path_energy`.

    Raises:
        PathError: as `path_energy`.
    """
    if len(frames) < 6:
        raise PathError(f"A closed path needs at least 6 frames for an estimate of its error; got {len(frames)}.")
    path = _Path.of([*frames, frames[0]], calculator)
    gap = float(np.abs(path.places[-1] - path.places[0]).max())
    if gap > 1e-6:
        raise PathError(
            f"The path ends {gap:.3g} Å from where it began: it leads once around the periodic cell, or an atom jumps by more "
            "than half of it between two frames. Give closer frames of a path that closes inside the cell."
        )
    energy, error = path.integrated(closed=True)
    return LoopWork(work=-float(energy[-1]), error=float(error[-1]), length=float(path.length[-1]))


class PathEnergyObserver:
    """Adds up −∫F·dr while atoms move: attach it to ASE dynamics or an optimiser, at every step.

    Steps are added two by two with Simpson's rule, (4 T_h − T_2h)/3 from the trapezoidal sums over single and double steps;
    |T_h − T_2h|/3, the error of T_h, stands as the estimate.

    Args:
        atoms: those of the dynamics; their forces are asked for, which costs nothing after a step.

    Attributes:
        energies: above the first call, one a call, eV; the potential energy that the forces would have.
    """

    def __init__(self, atoms: Atoms) -> None:
        self.atoms = atoms
        self.energies: list[float] = []
        self._fine = self._coarse = 0.0
        self._states: list[tuple[Array, Array]] = []

    @property
    def energy(self) -> float:
        """Energy now above the first call, eV."""
        return self.energies[-1] if self.energies else 0.0

    @property
    def error(self) -> float:
        """Estimated error of it, eV."""
        return abs(self._fine - self._coarse) / 3.0

    def __call__(self) -> None:
        """Take in the atoms' places and forces."""
        self._states.append((self.atoms.get_positions(), self.atoms.get_forces(apply_constraint=False)))
        if len(self._states) == 1:
            self.energies.append(0.0)
            return
        last = self._trapezoid(-2, -1)
        if len(self._states) == 2:
            # An odd step: by the trapezoidal rule until its pair is complete.
            self.energies.append(self._simpson() + last)
            return
        self._fine += self._trapezoid(0, 1) + last
        self._coarse += self._trapezoid(0, 2)
        self.energies.append(self._simpson())
        self._states = self._states[2:]

    def _simpson(self) -> float:
        return (4.0 * self._fine - self._coarse) / 3.0

    def _trapezoid(self, first: int, second: int) -> float:
        (r0, f0), (r1, f1) = self._states[first], self._states[second]
        return -0.5 * float(np.sum((f0 + f1) * _moved(r0, r1, self.atoms)))


class _Path:
    """Frames laid out without wrapping, with their forces."""

    def __init__(self, frames: tuple[Atoms, ...], forces: Array, calculator: Any) -> None:
        self.frames, self.forces, self.calculator = frames, forces, calculator
        steps = [_moved(a.positions, b.positions, a) for a, b in pairwise(frames)]
        chords = np.array([np.linalg.norm(step) for step in steps])
        if not np.all(chords > 0.0):
            raise PathError(
                f"Frames {int(np.argmin(chords))} and {int(np.argmin(chords)) + 1} are the same. Leave one of them out."
            )
        self.places = frames[0].positions + np.concatenate([np.zeros((1, *steps[0].shape)), np.cumsum(steps, axis=0)])
        self.length = np.concatenate([[0.0], np.cumsum(chords)])

    @classmethod
    def of(cls, frames: Sequence[Atoms], calculator: Any) -> _Path:
        """Check frames and collect their forces."""
        if len(frames) < 3:
            raise PathError(f"A path needs at least 3 frames, for an estimate of its error; got {len(frames)}.")
        first = frames[0]
        for i, frame in enumerate(frames):
            if not np.array_equal(frame.numbers, first.numbers) or not np.allclose(frame.cell, first.cell, atol=1e-9):
                raise PathError(
                    f"Frame {i} ({frame.symbols}) has other atoms or another cell than the first ({first.symbols}): ∫F·dr "
                    "knows no work of a cell. Keep the cell and the order of the atoms."
                )
        return cls(tuple(frames), np.array([_forces(frame, calculator) for frame in frames]), calculator)

    def integrated(self, *, closed: bool) -> tuple[Array, Array]:
        """Return energy and error at each frame (n,), eV."""
        rows = np.arange(len(self.frames))
        # The last frame stays among every second one, also where the number of intervals is odd.
        every_second = np.unique(np.append(rows[::2], rows[-1]))
        fine, coarse = self._work(rows, closed=closed), self._work(every_second, closed=closed)
        error = np.abs(fine[every_second] - coarse) / 3.0
        return fine, np.interp(self.length, self.length[every_second], error)

    def halved(self) -> _Path:
        """Return the path with a frame put halfway between each two."""
        if self.calculator is None:
            raise PathError("A tolerance needs a calculator that evaluates frames put between those given.")
        path = self._spline(self.places, np.arange(len(self.frames)), closed=False)
        middle = path(0.5 * (self.length[1:] + self.length[:-1]))
        frames, forces = [self.frames[0]], [self.forces[0]]
        for places, frame, force in zip(middle, self.frames[1:], self.forces[1:], strict=True):
            between = self.frames[0].copy()
            between.positions = places
            frames += [between, frame]
            forces += [_forces(between, self.calculator), force]
        return _Path(tuple(frames), np.array(forces), self.calculator)

    def _work(self, rows: NDArray[np.int64], *, closed: bool) -> Array:
        """Return −∫F·dr from the first of these frames to each."""
        s = self.length[rows]
        slope = self._spline(self.places, rows, closed=closed).derivative()
        force = self._spline(self.forces, rows, closed=closed)
        half = 0.5 * np.diff(s)
        work = sum(
            weight * half * np.einsum("sij,sij->s", force(at), slope(at))
            for weight, at in ((w, s[:-1] + half * (1.0 + p)) for p, w in zip(_POINTS, _WEIGHTS, strict=True))
        )
        return np.concatenate([[0.0], -np.cumsum(work)])

    def _spline(self, values: Array, rows: NDArray[np.int64], *, closed: bool) -> CubicSpline:
        chosen = values[rows].copy()
        if closed:
            chosen[-1] = chosen[0]
        return CubicSpline(self.length[rows], chosen, bc_type="periodic" if closed else "not-a-knot")


def _moved(start: Array, end: Array, atoms: Atoms) -> Array:
    """Return how far atoms moved (n, 3), Å, across the cell's faces too."""
    step = end - start
    if atoms.pbc.any() and np.abs(step).max() > _WRAPPED:
        step = find_mic(step, atoms.cell, atoms.pbc)[0]
    return step


def _forces(frame: Atoms, calculator: Any) -> Array:
    """Return the forces on a frame (n, 3), eV/Å, those on fixed atoms as well."""
    if calculator is not None:
        frame = frame.copy()
        frame.calc = calculator
    if frame.calc is None:
        raise PathError("A frame has no forces. Give a calculator, or frames read with their results (extxyz, traj).")
    try:
        return np.array(frame.get_forces(apply_constraint=False), dtype=float)
    except (PropertyNotImplementedError, NotImplementedError) as error:
        raise PathError(f"A frame's calculator {frame.calc!r} has no forces of it ({error}).") from error
