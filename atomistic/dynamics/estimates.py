"""Means and trends of correlated time series, with confidence intervals; the drift of a total energy.

Neighbouring samples of a run resemble each other, so that the error of least squares, which takes them as independent, is
too small by a factor of several. Here the series is first averaged over blocks, which removes vibrations. The errors of the
block means are then taken as white noise and an Ornstein–Uhlenbeck process together (Uhlenbeck and Ornstein 1930),

    C_jk = s² [w δ_jk + (1 − w) c_|j−k|],    c_0 = 2 (κ − 1 + e^−κ)/κ²,    c_n = (2 cosh κ − 2) e^−κn/κ²,

with c the block averages of exp(−κ|t|), the block being the unit of time; κ → 0 is a random walk, that of a float32
potential's energy. Neither w nor κ is known: all pairs count, each with its restricted likelihood (Harville 1974,
Biometrika 61, 383) under a prior flat in w and log κ, and the interval is that of the mixture of Student distributions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from ase import units
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import toeplitz
from scipy.optimize import brentq
from scipy.stats import t as student

from atomistic.errors import DynamicsError

Array = NDArray[np.float64]

PS = 1000.0 * units.fs
#: Blocks: enough to tell φ, few enough that one block is longer than vibrations in any run worth measuring.
BLOCKS = 64
_LEAST = 16
#: Fractions of white noise that are weighed.
_WHITE = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 1.0)
#: Longest correlation time, in lengths of the series: a trend may stand in a random walk, a mean has no meaning there.
_LONGEST = {1: 0.25, 2: 10.0}


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number from a time series, in the unit of the series (a trend: per unit of its times).

    Attributes:
        value: the estimate.
        low, high: ends of its confidence interval.
        confidence: probability that the interval covers.
        blocks: blocks that the series was averaged over.
        correlation: between the errors of neighbouring blocks.
    """

    value: float
    low: float
    high: float
    confidence: float
    blocks: int
    correlation: float

    @property
    def half_width(self) -> float:
        """Half the length of the interval."""
        return 0.5 * (self.high - self.low)

    def covers(self, value: float) -> bool:
        """Whether the interval contains `value`."""
        return self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Trend of a total energy.

    Attributes:
        slope: meV per atom and ps.
        low, high: ends of its confidence interval, meV per atom and ps.
        confidence: probability that the interval covers.
        duration: length of the series, ps.
        scatter: standard deviation of the energy about its trend, meV per atom.
        correlation: of the errors of neighbouring blocks; near 1 the energy walks at random.
    """

    slope: float
    low: float
    high: float
    confidence: float
    duration: float
    scatter: float
    correlation: float

    def within(self, bound: float) -> bool:
        """Whether the whole interval lies in ±`bound` (meV per atom and ps): shown to be small, not just not seen."""
        return max(abs(self.low), abs(self.high)) <= bound

    def __str__(self) -> str:
        return f"{self.slope:+.4f} [{self.low:+.4f}, {self.high:+.4f}] meV per atom and ps"


def mean_estimate(values: ArrayLike, *, confidence: float = 0.95, blocks: int = BLOCKS) -> Estimate:
    """Return the mean of an equally spaced stationary series (n,) with its confidence interval.

    Raises:
        DynamicsError: fewer than 16 samples, or samples that are not finite.
    """
    y = _checked(values, confidence, blocks)
    return _generalised(np.ones((len(y), 1)), y, confidence)


def trend_estimate(times: ArrayLike, values: ArrayLike, *, confidence: float = 0.95, blocks: int = BLOCKS) -> Estimate:
    """Return the slope of a series (n,) over equally spaced times (n,) with its confidence interval.

    Raises:
        DynamicsError: as `mean_estimate`, or times that are not equally spaced and rising.
    """
    y = _checked(values, confidence, blocks)
    t = np.asarray(times, dtype=float)
    steps = np.diff(t)
    if t.shape != np.shape(values) or not np.all(steps > 0.0) or np.ptp(steps) > 1e-6 * steps.mean():
        raise DynamicsError(
            "A trend needs one time for each value, rising in equal steps; got times of shape "
            f"{t.shape} for values of shape {np.shape(values)}. Sample at a fixed interval."
        )
    x = _block_means(t, blocks)
    return _generalised(np.column_stack([x - x.mean(), np.ones(len(y))]), y, confidence)


def energy_drift(
    times: ArrayLike, energies: ArrayLike, *, atoms: int, confidence: float = 0.95, blocks: int = BLOCKS
) -> Drift:
    """Return the drift of a total energy.

    Args:
        times: (n,), equally spaced, ASE's unit of time (`dynamics.get_time()`).
        energies: (n,), potential and kinetic energy together, eV.
        atoms: number of atoms that it belongs to.
        confidence: of the interval.
        blocks: blocks to average over, at least 16.

    Raises:
        DynamicsError: fewer than 16 samples, unequal steps, or no atoms.
    """
    if atoms < 1:
        raise DynamicsError(f"A drift per atom needs at least one atom; got {atoms}.")
    t, e = np.asarray(times, dtype=float), np.asarray(energies, dtype=float)
    found = trend_estimate(t / PS, 1e3 * e / atoms, confidence=confidence, blocks=blocks)
    line = np.polynomial.polynomial.polyfit(t, e, 1)
    scatter = float(np.std(e - np.polynomial.polynomial.polyval(t, line)))
    return Drift(
        slope=found.value,
        low=found.low,
        high=found.high,
        confidence=confidence,
        duration=float(t[-1] - t[0]) / PS,
        scatter=1e3 * scatter / atoms,
        correlation=found.correlation,
    )


def _checked(values: ArrayLike, confidence: float, blocks: int) -> Array:
    """Return the block means of a series that can be used."""
    y = np.asarray(values, dtype=float)
    if y.ndim != 1 or len(y) < _LEAST or not np.all(np.isfinite(y)):
        raise DynamicsError(
            f"Expected a series of at least {_LEAST} finite samples, shape (n,); got shape {y.shape}. Sample more often."
        )
    if blocks < _LEAST:
        raise DynamicsError(f"At least {_LEAST} blocks are needed to tell how samples are correlated; got {blocks}.")
    if not 0.0 < confidence < 1.0:
        raise DynamicsError(f"A confidence lies between 0 and 1; got {confidence}.")
    return _block_means(y, blocks)


def _block_means(values: Array, blocks: int) -> Array:
    """Average over equal blocks; a remainder is left out at the beginning, where a run settles."""
    length = max(1, len(values) // blocks)
    count = min(blocks, len(values)) if length == 1 else len(values) // length
    return np.asarray(values[len(values) - count * length :].reshape(count, length).mean(axis=1))


def _generalised(design: Array, y: Array, confidence: float) -> Estimate:
    """Estimate the first coefficient of y = design·b + e by generalised least squares, weighing all covariances of e."""
    n, k = design.shape
    scale = float(np.abs(y - y.mean()).max()) or 1.0
    centre = float(y.mean()) if k == 1 else 0.0
    whitening, logarithms, neighbours = _covariances(n, _LONGEST[k])
    x, z = whitening @ design, whitening @ ((y - y.mean()) / scale)
    normal = np.swapaxes(x, 1, 2) @ x
    b = np.linalg.solve(normal, (np.swapaxes(x, 1, 2) @ z[..., None]))
    rest = np.sum((z - (x @ b)[..., 0]) ** 2, axis=1) + np.finfo(float).tiny
    likelihood = -0.5 * (logarithms + np.linalg.slogdet(normal)[1] + (n - k) * np.log(rest))
    weights = np.exp(likelihood - likelihood.max())
    weights /= weights.sum()
    slopes, errors = b[:, 0, 0], np.sqrt(rest / (n - k) * np.linalg.inv(normal)[:, 0, 0])
    low, high = (_quantile(q, slopes, errors, weights, n - k) for q in (0.5 - 0.5 * confidence, 0.5 + 0.5 * confidence))
    return Estimate(
        value=float(scale * (weights @ slopes) + centre),
        low=scale * low + centre,
        high=scale * high + centre,
        confidence=confidence,
        blocks=n,
        correlation=float(weights @ neighbours),
    )


@lru_cache(maxsize=8)
def _covariances(n: int, longest: float) -> tuple[Array, Array, Array]:
    """Return for all covariances weighed what makes errors white (m, n, n), log det (m,) and correlation at lag one (m,)."""
    rates = np.geomspace(1.0 / (longest * n), 4.0, 24)
    rows = np.array([w * np.eye(n)[0] + (1.0 - w) * _averaged(rate, n) for rate in rates for w in _WHITE])
    factors = np.linalg.cholesky(np.array([toeplitz(row) for row in rows]))
    logarithms = 2.0 * np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
    return np.linalg.inv(factors), logarithms, rows[:, 1] / rows[:, 0]


def _averaged(rate: float, n: int) -> Array:
    """Return the correlations c (n,) of the averages of exp(−rate·|t|) over unit blocks."""
    first = 2.0 * (rate + np.expm1(-rate)) / rate**2
    others = (2.0 * np.sinh(0.5 * rate) / rate) ** 2 * np.exp(-rate * np.arange(1, n))
    return np.concatenate([[first], others])


def _quantile(q: float, centres: Array, widths: Array, weights: Array, freedom: int) -> float:
    """Return a quantile of a weighted mixture of Student distributions."""

    def excess(value: float) -> float:
        return float(weights @ student.cdf((value - centres) / widths, freedom)) - q

    low = float(np.min(centres - 200.0 * widths))
    high = float(np.max(centres + 200.0 * widths))
    return float(brentq(excess, low, high, xtol=1e-12 * max(abs(low), abs(high)), rtol=1e-12))
