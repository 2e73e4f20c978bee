"""Graded lines and rows: small cells along the crack's path, large ones away from it."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def graded_line(
    length: float, tip: float, fine: tuple[float, float], size: float, growth: float, coarse: float
) -> Array:
    """Rising points from 0 to `length` with spacing `size` in the interval `fine`, growing away from it.

    The tip of the initial crack is one of the points.

    Args:
        length, tip, size, coarse: Å; `coarse` bounds the spacing.
        fine: ends of the fine interval, holding the tip.
        growth: ratio of neighbouring spacings outside it.

    Returns:
        (n,) Å.
    """
    before = np.linspace(fine[0], tip, int(np.ceil((tip - fine[0]) / size - 1e-9)) + 1)
    after = np.linspace(tip, fine[1], int(np.ceil((fine[1] - tip) / size - 1e-9)) + 1)
    left = fine[0] - _growing(fine[0], size, growth, coarse)[:0:-1]
    right = fine[1] + _growing(length - fine[1], size, growth, coarse)[1:]
    line = np.concatenate([left, before, after[1:], right])
    line[0], line[-1] = 0.0, length
    return line


def graded_rows(height: float, size: float, growth: float, coarse: float) -> Array:
    """Heights of rows from 0 to `height`, the first `size` thick and each thicker than the last by `growth`."""
    return _growing(height, size / growth, growth, coarse)


def _growing(length: float, size: float, growth: float, coarse: float) -> Array:
    """Points from 0 to `length` whose spacings grow geometrically from `size`·`growth` up to `coarse`."""
    if length <= 0.0:
        return np.zeros(1)
    steps, total, step = [], 0.0, size
    while total < length:
        step = min(step * growth, coarse)
        steps.append(step)
        total += step
    if len(steps) > 1 and total - length > 0.5 * steps[-1]:
        total -= steps.pop()
    points = np.concatenate([[0.0], np.cumsum(steps)]) * (length / total)
    points[-1] = length
    return points


def coarsen(row: Array, spacing: float) -> Array:
    """The points of a row that are kept so that spacings reach, but do not exceed, `spacing` (wider ones stay)."""
    kept = [row[0]]
    for here, after in pairwise(row[1:]):
        if after - kept[-1] > spacing:
            kept.append(here)
    return np.array([*kept, row[-1]])


def cells_between_rows(below: Array, above: Array, first: int, second: int) -> NDArray[np.int64]:
    """Triangles of the strip between two rows with common ends, zipped by the shorter diagonal.

    Args:
        below, above: (n,), (m,) x of each row, rising.
        first, second: number of each row's first point.

    Returns:
        (n + m − 2, 3) corners.
    """
    cells = []
    i = j = 0
    while i < len(below) - 1 or j < len(above) - 1:
        forward = np.inf if i == len(below) - 1 else abs(below[i + 1] - above[j])
        upward = np.inf if j == len(above) - 1 else abs(above[j + 1] - below[i])
        if forward <= upward:
            cells.append((first + i, first + i + 1, second + j))
            i += 1
        else:
            cells.append((first + i, second + j + 1, second + j))
            j += 1
    return np.array(cells, dtype=np.int64)
