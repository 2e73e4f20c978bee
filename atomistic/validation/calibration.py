"""Whether a doubt says anything about the error: calibration of spreads, and the order in which doubt puts errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf
from scipy.stats import spearmanr

from atomistic.errors import ValidationError

#: Points of a calibration curve.
POINTS = 101


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How often errors fall within the intervals that Gaussian spreads promise.

    Attributes:
        area: between the curve and the diagonal, 0 (perfect) to 0.5.
        expected: (m,) shares that lie within the central interval of that probability, if the spreads are right.
        observed: (m,) shares that do. Below `expected`: overconfident, the spreads are too small.
        scale: what the spreads would have to be multiplied by to be as large as the errors, √⟨(error/spread)²⟩.
        count: number of errors.
    """

    area: float
    expected: NDArray[np.float64]
    observed: NDArray[np.float64]
    scale: float
    count: int


def calibration(errors: ArrayLike, spreads: ArrayLike) -> Calibration:
    """Compare errors with the standard deviations that were given for them.

    Each error's place in its own distribution is u = erf(|e| / (√2 σ)); with the right σ all u are uniform on [0, 1]. The
    observed share at p is the share of u ≤ p (Kuleshov, Fenner, Ermon, ICML 2018, eq. 8, central intervals); the area is
    ∫|observed − p| dp (Tran et al., Mach. Learn.: Sci. Technol. 1, 025006 (2020)), integrated exactly over its steps.

    Args:
        errors: any shape, signed or not, in any unit.
        spreads: standard deviations ≥ 0, the same shape and unit. Where both are zero the error counts as expected.

    Raises:
        ValidationError: no numbers, unlike shapes, negative spreads, or numbers that are not finite.
    """
    e, s = _pair(errors, spreads, "errors", "spreads")
    if np.any(s < 0.0):
        raise ValidationError(f"A spread is a standard deviation ≥ 0; got {s.min():.3g}.")
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(s > 0.0, np.abs(e) / s, np.where(e == 0.0, 0.0, np.inf))
    u = np.sort(erf(z / np.sqrt(2.0)))
    expected = np.linspace(0.0, 1.0, POINTS)
    observed = np.searchsorted(u, expected, side="right") / len(u)
    return Calibration(
        area=_area_under_steps(u),
        expected=expected,
        observed=observed,
        scale=float(np.sqrt(np.mean(z**2))),
        count=len(u),
    )


def _area_under_steps(u: NDArray[np.float64]) -> float:
    """Return ∫₀¹ |F(p) − p| dp for the empirical distribution F of sorted numbers in [0, 1]."""
    edges = np.concatenate([[0.0], u, [1.0]])
    level = np.arange(len(u) + 1) / len(u)
    a, b = edges[:-1], edges[1:]
    # On each step the integral of |level − p|: both sides of the crossing, which may lie outside the step.
    c = np.clip(level, a, b)
    return float(np.sum(np.abs((c - a) * (level - 0.5 * (a + c))) + np.abs((b - c) * (level - 0.5 * (c + b)))))


def rank_correlation(doubts: ArrayLike, errors: ArrayLike) -> float:
    """Return Spearman's rank correlation of doubts and sizes of errors; NaN where either never varies.

    Raises:
        ValidationError: no numbers, unlike shapes, or numbers that are not finite.
    """
    d, e = _pair(doubts, errors, "doubts", "errors")
    e = np.abs(e)
    if len(d) < 2 or np.ptp(d) == 0.0 or np.ptp(e) == 0.0:
        return float("nan")
    return float(spearmanr(d, e).statistic)


def threshold_catching(doubts: ArrayLike, errors: ArrayLike, *, error: float, share: float = 0.95) -> float:
    """Return the largest threshold of doubt that lies below the doubts of at least `share` of the errors above `error`.

    What to set as the trigger of a learning run, where errors beyond `error` should not pass unseen.

    Args:
        doubts: any shape.
        errors: the same shape; their sizes count.
        error: from which size an error matters.
        share: of such errors to be caught, in (0, 1].

    Raises:
        ValidationError: no error is so large, or arguments that make no sense.
    """
    d, e = _pair(doubts, errors, "doubts", "errors")
    if not 0.0 < share <= 1.0:
        raise ValidationError(f"The share of errors to catch lies in (0, 1]; got {share!r}.")
    large = np.sort(d[np.abs(e) > error])
    if not len(large):
        raise ValidationError(f"None of the {len(e)} errors exceeds {error!r}; the largest is {np.abs(e).max():.3g}.")
    missed = len(large) - int(np.ceil(share * len(large) - 1e-9))
    # Just below: a doubt triggers when it exceeds the threshold.
    return float(np.nextafter(large[missed], -np.inf))


def _pair(
    first: ArrayLike, second: ArrayLike, name: str, other: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two arrays flat, checked to belong together."""
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.size == 0:
        raise ValidationError(f"Expected as many {name} as {other}, at least one; got shapes {a.shape} and {b.shape}.")
    for values, what in ((a, name), (b, other)):
        if not np.all(np.isfinite(values)):
            raise ValidationError(
                f"The {what} hold {np.count_nonzero(~np.isfinite(values))} numbers that are not finite."
            )
    return a.ravel(), b.ravel()
