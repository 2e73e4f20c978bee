"""What a path says of the lattice's hold on its crack: K₊, K₋, and the barrier between stable and unstable states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from multiscale.studies.fracture_state import CrackReferences, PathPoint, Trapping

Array = NDArray[np.float64]
#: Loads across the trapping range at which barriers are given.
_LOADS = 21
#: Folds nearer in load than this share of K_G to the neighbouring one are ripples of the solver's tolerance.
_RIPPLE = 1e-6
#: A crack that has grown by more than this share of a period has grown by one.
_WHOLE = 0.75
#: Points of a path's spline between two states at which its work is summed.
_GAUSS = np.polynomial.legendre.leggauss(4)


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """A continuation path as smooth functions of the distance s that the core has moved along it.

    Energies are told without ½ c load², c the compliance at the start: nearly all of them is that, and two states at one
    load have the same of it.

    Attributes:
        s: (n,) Å.
        load: over s, eV/Å^2.5 or Å.
        energy: Π = ∫ conjugate dload over s, eV.
        counted: sum of the energies counted once over s, eV; None where the potential tells none.
        folds: (f,) s of the turning points of the load, ascending; branch k lies between fold k − 1 and fold k.
        advance: (f + 1,) of the tip on each branch, periods.
    """

    s: Array
    load: CubicSpline
    energy: CubicSpline
    counted: CubicSpline | None
    folds: Array
    advance: Array

    def stable(self, branch: int) -> bool:
        """Whether the load rises along a branch."""
        low, high = self.ends(branch)
        return bool(self.load(high) > self.load(low))

    def ends(self, branch: int) -> tuple[float, float]:
        """Where a branch begins and ends."""
        every = [self.s[0], *self.folds, self.s[-1]]
        return float(every[branch]), float(every[branch + 1])

    def at(self, load: float, branch: int) -> float:
        """The place s on a branch that has this load; NaN if none has."""
        low, high = self.ends(branch)
        for end in (low, high):
            # A fold only touches its load: rounding may find no root there, or two.
            if abs(self.load(end) - load) < 1e-9 * abs(load):
                return end
        found = [x for x in self.load.solve(load, extrapolate=False) if low <= x <= high]
        return float(found[0]) if found else float("nan")

    def periods(self) -> list[tuple[int, int]]:
        """Stable branches (first, last) between which the crack has grown by a period; the last one opens the next pair."""
        stable = [branch for branch in range(len(self.folds) + 1) if self.stable(branch)]
        found: list[tuple[int, int]] = []
        start = stable[0] if stable else 0
        for branch in stable[1:]:
            if self.advance[branch] - self.advance[start] > _WHOLE:
                found.append((start, branch))
                start = branch
        return found


def trace(points: Sequence[PathPoint], core: NDArray[np.bool_]) -> Curve | None:
    """A followed path as a curve; None for fewer states than make one.

    Args:
        points: of one picture and one direction, in order.
        core: (atoms,) those that measure the distance.
    """
    if len(points) < 4:
        return None
    places = np.array([point.state.positions[core] for point in points])
    steps = np.sqrt(np.sum(np.diff(places, axis=0) ** 2, axis=(1, 2)) / max(int(core.sum()), 1))
    s = np.concatenate([[0.0], np.cumsum(np.maximum(steps, 1e-12))])
    loads = np.array([point.load for point in points])
    forces = np.array([point.state.conjugate for point in points])
    load, compliance = CubicSpline(s, loads), forces[0] / loads[0]
    energy = _work(s, load, CubicSpline(s, forces - compliance * loads))
    counted = None
    if all(point.state.terms for point in points):
        sums = np.array([sum(point.state.terms.values()) for point in points])
        counted = CubicSpline(s, sums - sums[0] - 0.5 * compliance * (loads**2 - loads[0] ** 2))
    folds = _folds(load, s)
    branch = np.searchsorted(folds, s)
    advances = np.array([point.advance for point in points])
    known = [np.median(advances[branch == k]) if (branch == k).any() else np.nan for k in range(len(folds) + 1)]
    return Curve(s=s, load=load, energy=CubicSpline(s, energy), counted=counted, folds=folds, advance=np.array(known))


def _work(s: Array, load: CubicSpline, conjugate: CubicSpline) -> Array:
    """∫ conjugate dload at each state, by Gauss's rule on the splines."""
    nodes, weights = _GAUSS
    half = 0.5 * np.diff(s)
    at = (s[:-1] + half)[:, None] + half[:, None] * nodes
    return np.concatenate([[0.0], np.cumsum((conjugate(at) * load(at, 1)) @ weights * half)])


def _folds(load: CubicSpline, s: Array) -> Array:
    """Where the load turns; pairs that turn back by less than rounding are left out."""
    found = [float(x) for x in load.derivative().roots(extrapolate=False) if s[0] < x < s[-1]]
    kept: list[float] = []
    for x in found:
        if kept and abs(load(x) - load(kept[-1])) < _RIPPLE * abs(load(x)):
            kept.pop()
        else:
            kept.append(x)
    return np.array(kept)


def trapping_of_path(
    points: Sequence[PathPoint], core: NDArray[np.bool_], references: CrackReferences
) -> Trapping | None:
    """K₊, K₋ and barriers of a followed path.

    Between two folds of the load the path is a branch: stable where the load rises on the way forward, unstable where it falls.
    K₊ is the highest load on the way from one stable branch to that one period on, K₋ the lowest. With Π the energy of the
    body at a prescribed motion of its supports, dΠ/dload = conjugate along the path, so that

        ΔE(load) = Π(highest unstable state) − Π(stable) = ∫ conjugate dload

    from one branch over the folds to the other, at one load.

    Args:
        points: in the order in which the crack grows, all of one picture.
        core: (atoms,) those that measure the way.
        references: of the crack.
    """
    curve = trace(points, core)
    if curve is None:
        return None
    intensity = _to_intensity(points)
    plus, minus = [], []
    periods = curve.periods()
    for first, last in periods:
        loads = [intensity(float(curve.load(s))) for s in curve.folds[first:last]]
        plus.append(max(loads))
        minus.append(min(loads))
    left = periods[-1][1] if periods else 0
    if left < len(curve.folds) and curve.stable(left):
        # The crack gave way once more, and the path ended before it stood again.
        plus.append(intensity(float(curve.load(curve.folds[left]))))
    span = periods[0] if periods else None
    barriers, at, height, counted = _barriers(curve, span, references, intensity)
    return Trapping(
        plus=tuple(plus),
        minus=tuple(minus),
        plus_error=(0.0,) * len(plus),
        minus_error=(0.0,) * len(minus),
        barrier=height,
        barrier_load=at,
        barriers=barriers,
        barrier_from="work of the forces",
        shift_error=float("nan"),
        maxwell=_maxwell(barriers),
        barrier_counted=counted,
    )


def _maxwell(barriers: Array) -> float:
    """Load at which an advance and healing face the same barrier; NaN where they never do."""
    known = barriers[np.isfinite(barriers).all(axis=1)]
    excess = known[:, 1] - known[:, 2]
    if len(known) < 2 or not excess.min() < 0.0 < excess.max():
        return float("nan")
    # An advance gets easier with the load.
    return float(np.interp(0.0, -excess, known[:, 0]))


def _to_intensity(points: Sequence[PathPoint]) -> Callable[[float], float]:
    """From load to K: the load of a disc is K; of grips K grows with it along the path."""
    loads = np.array([point.load for point in points])
    values = np.array([point.intensity for point in points])
    if np.allclose(loads, values):
        return lambda load: load
    slope = values / loads
    return lambda load: float(load * np.interp(load, np.sort(loads), slope[np.argsort(loads)]))


def _barriers(
    curve: Curve,
    span: tuple[int, int] | None,
    references: CrackReferences,
    intensity: Callable[[float], float],
) -> tuple[Array, float, float, float]:
    """Barriers between two stable branches.

    Returns:
        (n, 3) intensities with the barriers of an advance and of healing, the intensity nearest to K_G, the barrier there by
        the work of the forces and by the energies.
    """
    nothing = float("nan")
    if span is None:
        return np.zeros((0, 3)), nothing, nothing, nothing
    ends = [[float(curve.load(s)) for s in curve.ends(branch)] for branch in range(span[0], span[1] + 1)]
    # From the lowest to the highest load on the way: beyond the stable branches' ends barriers are not known.
    between = [load for pair in ends[1:-1] for load in pair]
    low, high = max(min(between), min(ends[0])), max(between)
    loads = np.linspace(low, high, _LOADS)
    strengths = np.array([intensity(load) for load in loads])
    heights = np.array([_barrier(curve, curve.energy, load, span) for load in loads])
    griffith = references.griffith
    at = griffith if strengths[0] <= griffith <= strengths[-1] else float(strengths.mean())
    load = float(np.interp(at, strengths, loads))
    counted = nothing if curve.counted is None else _barrier(curve, curve.counted, load, span)[0]
    return np.column_stack([strengths, heights]), at, _barrier(curve, curve.energy, load, span)[0], counted


def _barrier(curve: Curve, energy: CubicSpline, load: float, span: tuple[int, int]) -> tuple[float, float]:
    """Barriers of an advance and of healing at a load between two stable branches, eV: to the highest state between them."""
    places = [curve.at(load, branch) for branch in range(span[0], span[1] + 1)]
    heights = [float(energy(place)) if np.isfinite(place) else float("nan") for place in places]
    between = [height for height in heights[1:-1] if np.isfinite(height)]
    top = max(between) if between else float("nan")
    return top - heights[0], top - heights[-1]


def trapping_of_steps(points: Sequence[PathPoint], runs: Sequence[tuple[float, float]] = ()) -> Trapping:
    """K₊ and K₋ of loads taken one by one: between the last load at which the tip stood and the first at which it had moved.

    Args:
        points: in the order of the path.
        runs: intensities before and at loads at which the crack did not stand at all: it ran where they rise, else it closed.
    """
    plus: list[tuple[float, float]] = []
    minus: list[tuple[float, float]] = []
    for before, after in pairwise(points):
        moved = after.advance - before.advance
        bracket = (0.5 * (before.intensity + after.intensity), 0.5 * abs(after.intensity - before.intensity))
        if moved > 0.5 / _finest(points):
            plus.append(bracket)
        elif moved < -0.5 / _finest(points):
            minus.append(bracket)
    for first, last in runs:
        (plus if last > first else minus).append((0.5 * (first + last), 0.5 * abs(last - first)))
    return Trapping(
        plus=tuple(load for load, _ in plus),
        minus=tuple(load for load, _ in minus),
        plus_error=tuple(error for _, error in plus),
        minus_error=tuple(error for _, error in minus),
        barrier=float("nan"),
        barrier_load=float("nan"),
        barriers=np.zeros((0, 3)),
        barrier_from="work of the forces",
        shift_error=float("nan"),
    )


def _finest(points: Sequence[PathPoint]) -> float:
    """Steps of the tip in one period."""
    steps = np.abs(np.diff([point.advance for point in points]))
    steps = steps[steps > 1e-3]
    return float(max(1.0, 1.0 / steps.min())) if len(steps) else 1.0
