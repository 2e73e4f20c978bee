"""The curve through the openings that a cell was asked for, its error estimate, and what to ask next.

Nodes carry φ and T. The second derivative at a node is that of the polynomial through φ and T of the node and its two
neighbours (degree 5, error O(h⁴)); between nodes φ is the quintic with φ, T and T' at both ends, twice continuously
differentiable. The estimate of an interval is the largest difference between its T and the polynomial through the
tractions of four nodes alone. That is of lower order, so that it stands above the quintic's own error; and it holds energies and
tractions against each other: what no node's traction has seen, a bump of the traction between two nodes, shows as ∫T
that is not Δφ. (Only a bump of the energy itself, whose traction integrates to nothing between two nodes, hides.)

Beyond the last node the energy that is left, R = W − φ, is spent by T = (T₀ + bx) e^(−x/l) with b and l such that T, T' and
the energy meet: the universal binding curve (Rose, Smith and Ferrante 1983) carried on. No state rests on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BPoly, CubicHermiteSpline, KroghInterpolator

Array = NDArray[np.float64]
#: Places of an interval at which the estimate is taken, and samples of a piece of the law's table.
_INSIDE = np.linspace(0.0, 1.0, 11)[1:-1]
SAMPLES_PER_PIECE = 16
_TAIL_SAMPLES = 96


@dataclass(frozen=True, kw_only=True)
class OpeningCurve:
    """φ(Δ) through nodes from 0 to the largest evaluated opening, and its continuation to complete separation.

    Attributes:
        opening: (n,) Å, from 0.
        energy: φ (n,) eV/Å².
        traction: T (n,) eV/Å³.
        slope: T' (n,) eV/Å⁴ at the nodes.
        estimate: (n − 1,) eV/Å³, error of T in each interval; infinite where fewer than three nodes are known.
        work: W, eV/Å².
        end: opening of complete separation, Å.
    """

    opening: Array
    energy: Array
    traction: Array
    slope: Array
    estimate: Array
    work: float
    end: float

    @classmethod
    def through(
        cls, opening: Array, energy: Array, traction: Array, *, first_slope: float, work: float, end: float
    ) -> OpeningCurve:
        """The curve of nodes (n,); `first_slope` (eV/Å⁴) is T'(0) as long as only one node is known."""
        slope = _slopes(opening, energy, traction) if len(opening) > 1 else np.array([first_slope])
        if opening[-1] >= end:
            slope[-1] = 0.0
        estimate = np.full(len(opening) - 1, np.inf)
        if len(opening) > 2:
            places = opening[:-1, None] + np.diff(opening)[:, None] * _INSIDE
            smooth = _quintic(opening, energy, traction, slope).derivative()(places)
            estimate = np.abs(smooth - _by_tractions(opening, traction, places)).max(axis=1)
        return cls(
            opening=opening, energy=energy, traction=traction, slope=slope, estimate=estimate, work=work, end=end
        )

    @property
    def frontier(self) -> float:
        """Largest opening that the nodes reach, Å."""
        return float(self.opening[-1])

    def samples(self) -> tuple[Array, Array, Array, Array]:
        """Δ, φ, T and T' at close samples from 0 to complete separation, the nodes among them."""
        columns = []
        if len(self.opening) > 1:
            unit = np.arange(SAMPLES_PER_PIECE) / SAMPLES_PER_PIECE
            places = (self.opening[:-1, None] + np.diff(self.opening)[:, None] * unit).ravel()
            smooth = _quintic(self.opening, self.energy, self.traction, self.slope)
            inside = [smooth(places), smooth.derivative()(places), smooth.derivative(2)(places)]
            # At the nodes the data themselves, rounding apart.
            for column, values in zip(inside, (self.energy, self.traction, self.slope), strict=True):
                column[::SAMPLES_PER_PIECE] = values[:-1]
            columns.append(np.array([places, *inside]))
        if self.frontier < self.end:
            columns.append(self._continuation())
        columns.append(np.array([[self.end], [self.work], [0.0], [0.0]]))
        gap, energy, traction, slope = np.concatenate(columns, axis=1)
        return gap, energy, traction, slope

    def at(self, opening: float) -> tuple[float, float]:
        """φ and T at an opening, Å."""
        inside = opening <= self.frontier and len(self.opening) > 1
        smooth = _quintic(*((self.opening, self.energy, self.traction, self.slope) if inside else self.samples()))
        return float(smooth(opening)), float(smooth.derivative()(opening))

    def _continuation(self) -> Array:
        """Samples (4, k) from the frontier towards complete separation."""
        start, force, slope = self.frontier, float(self.traction[-1]), float(self.slope[-1])
        rest, span = self.work - float(self.energy[-1]), self.end - self.frontier
        inside = force**2 + slope * rest
        if rest <= 0.0 or force < 0.0 or (force == 0.0 and slope <= 0.0):
            ends = np.array([start, self.end])
            smooth = CubicHermiteSpline(ends, [self.work - rest, self.work], [force, 0.0])
            x = np.linspace(0.0, span, _TAIL_SAMPLES, endpoint=False)
            return np.array([start + x, smooth(start + x), smooth(start + x, 1), smooth(start + x, 2)])
        # K l² + 2 T l = R; where the curve falls too steeply for it, a bare exponential, T l = R.
        length = rest / (force + np.sqrt(inside)) if inside > 0.0 else rest / force
        bend = slope + force / length if inside > 0.0 else 0.0
        x = np.linspace(0.0, min(span, 14.0 * length), _TAIL_SAMPLES, endpoint=False)
        fall = np.exp(-x / length)
        pull = (force + bend * x) * fall
        left = fall * (force * length + bend * length * (x + length))
        return np.array([start + x, self.work - left, pull, bend * fall - pull / length])


def _quintic(opening: Array, energy: Array, traction: Array, slope: Array) -> BPoly:
    """φ with φ, T and T' at all nodes."""
    return BPoly.from_derivatives(opening, np.column_stack([energy, traction, slope]))


def _by_tractions(opening: Array, traction: Array, places: Array) -> Array:
    """T at places (intervals, k) from the polynomial through the tractions of the (up to) four nodes around each interval."""
    count = len(opening)
    width = min(4, count)
    values = np.empty_like(places)
    for i, x in enumerate(places):
        first = int(np.clip(i - 1, 0, count - width))
        values[i] = KroghInterpolator(opening[first : first + width], traction[first : first + width])(x)
    return values


def _slopes(opening: Array, energy: Array, traction: Array) -> Array:
    """T' (n,) at nodes, from the polynomial through φ and T of each and its two neighbours (one-sided at the ends)."""
    count = len(opening)
    width = min(3, count)
    slopes = np.empty(count)
    for i in range(count):
        first = int(np.clip(i - 1, 0, count - width))
        stencil = slice(first, first + width)
        scale = np.ptp(opening[stencil])
        u = (opening[stencil] - opening[i]) / scale
        powers = np.arange(2 * width)
        values = u[:, None] ** powers
        rates = powers * u[:, None] ** np.maximum(powers - 1, 0)
        data = np.concatenate([energy[stencil] - energy[i], scale * traction[stencil]])
        slopes[i] = 2.0 * np.linalg.solve(np.vstack([values, rates]), data)[2] / scale**2
    return slopes
