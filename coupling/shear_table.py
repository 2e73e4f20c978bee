"""A fine, even table of energies of separation and slip, from the coarse one with tractions that atoms give."""

from __future__ import annotations

import itertools
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

from coupling.errors import InvalidCurveError

Array = NDArray[np.float64]
# Waves beyond the grid's own that make the slopes fit, and how strongly short ones are avoided.
_ALIASES, _SMOOTHNESS = (-2, -1, 0, 1, 2), 4
# Openings (Å) down to which the table is continued.
LOWEST = -1.0
# The traction at the last opening may be this part of the peak; the table ends there with none.
_LEFT = 0.05


class ShearTable(Protocol):
    """What is read of a separation over all slips: see `atomistic.shear.ShearOpening`."""

    @property
    def openings(self) -> Array:
        """(m,) Å, ascending through 0."""

    @property
    def lattice(self) -> Array:
        """(2, 2) Å, rows in (x, z)."""

    @property
    def energy(self) -> Array:
        """(m, n1, n2) eV/Å²."""

    @property
    def traction(self) -> Array:
        """(m, n1, n2, 3) eV/Å³, normal, x, z."""

    @property
    def work_of_separation(self) -> float:
        """eV/Å²."""


def refine(table: ShearTable, *, factor: int, step: float) -> tuple[Array, Array, Array, Array]:
    """Return even openings (k,), φ, T_n and ∂T_n/∂Δ_n (k, factor·n1, factor·n2).

    Over the slips φ is the smoothest trigonometric polynomial that has the energies *and* the shear tractions of all grid
    points. Along the opening it is, for each slip, the quintic spline with two continuous third derivatives through energies
    and normal tractions. At the last opening the energy is the work of separation and the traction zero. Below the first one
    only openings down to it are returned.

    Raises:
        InvalidCurveError: a traction that has not died out at the last opening.
    """
    pull = table.traction[..., 0]
    if np.abs(pull[-1]).max() > _LEFT * pull[:, 0, 0].max():
        raise InvalidCurveError(
            f"the normal traction at the largest opening, {table.openings[-1]:.2f} Å, is still "
            f"{np.abs(pull[-1]).max() / pull[:, 0, 0].max():.0%} of its peak: extend the table to larger openings"
        )
    levels = zip(table.energy, table.traction[..., 1:], strict=True)
    energy = np.array([_through_slopes(e, t, table.lattice, factor) for e, t in levels])
    normal = np.array([_padded(t, factor) for t in pull])
    energy[-1], normal[-1] = table.work_of_separation, 0.0
    first = np.ceil(table.openings[0] / step - 1e-9)
    openings = step * np.arange(first, np.floor(table.openings[-1] / step + 1e-9) + 1)
    values = _along_opening(table.openings, energy, normal, openings)
    values[0][-1], values[1][-1], values[2][-1] = table.work_of_separation, 0.0, 0.0
    return openings, values[0], values[1], values[2]


def _through_slopes(energy: Array, shear: Array, lattice: Array, factor: int) -> Array:
    """Values on a `factor` times finer grid of the smoothest periodic function with given values and slopes.

    The waves q + n m that a grid of n points cannot tell from q share three data: value and two slopes. Of all their
    amplitudes that give those, the ones with the least Σ (1 + |k|²)^p |c|² are taken.
    """
    size = np.array(energy.shape)
    along = np.einsum("...i,ai->...a", shear, lattice) / (2.0 * np.pi)  # derivatives by the phases of the two vectors
    data = np.stack([np.fft.fft2(f) / energy.size for f in (energy, along[..., 0], along[..., 1])], axis=-1)
    waves = np.stack(np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in size), indexing="ij"), axis=-1)
    alias = np.array(list(itertools.product(_ALIASES, _ALIASES))) * size
    k = waves[:, :, None, :] + alias
    metric = np.linalg.inv(lattice @ lattice.T)
    metric /= np.trace(metric) / 2.0
    cost = (1.0 + np.einsum("...i,ij,...j->...", k, metric, k)) ** _SMOOTHNESS
    rows = np.stack([np.ones_like(k[..., 0]) + 0j, 1j * k[..., 0], 1j * k[..., 1]], axis=-2)
    back = np.swapaxes(rows.conj(), -1, -2) / cost[..., None]
    amplitudes = (back @ np.linalg.solve(rows @ back, data[..., None]))[..., 0]
    fine = factor * size
    spectrum = np.zeros(tuple(fine), dtype=complex)
    where = np.rint(k).astype(np.int64) % fine
    np.add.at(spectrum, (where[..., 0], where[..., 1]), amplitudes)
    return np.fft.ifft2(spectrum).real * spectrum.size


def _padded(values: Array, factor: int) -> Array:
    """Trigonometric interpolation of (n1, n2) on a finer grid."""
    spectrum = np.zeros(tuple(factor * n for n in values.shape), dtype=complex)
    where = np.ix_(*(np.fft.fftfreq(n, 1 / n).astype(int) % (factor * n) for n in values.shape))
    spectrum[where] = np.fft.fft2(values) / values.size
    return np.fft.ifft2(spectrum).real * spectrum.size


def _along_opening(nodes: Array, energy: Array, slope: Array, at: Array) -> list[Array]:
    """Value, first and second derivative at openings `at` of the quintic spline with double knots through values and slopes.

    Two conditions are left: no curvature at the last node, and one polynomial on the first two intervals' fourth derivative.
    """
    knots = np.concatenate([[nodes[0]] * 6, np.repeat(nodes[1:-1], 2), [nodes[-1]] * 6])
    count = len(knots) - 6
    basis = BSpline(knots, np.eye(count), 5)
    jump = basis.derivative(4)(nodes[1] + 1e-9) - basis.derivative(4)(nodes[1] - 1e-9)
    matrix = np.vstack([basis(nodes), basis.derivative()(nodes), jump[None], basis.derivative(2)(nodes[-1:])])
    flat = energy.reshape(len(nodes), -1)
    right = np.vstack([flat, slope.reshape(len(nodes), -1), np.zeros((2, flat.shape[1]))])
    scale = np.abs(matrix).max(axis=1, keepdims=True)
    spline = BSpline(knots, np.linalg.solve(matrix / scale, right / scale), 5)
    return [spline(at, order).reshape(len(at), *energy.shape[1:]) for order in (0, 1, 2)]


def limit_repulsion(
    openings: Array, energy: Array, traction: Array, stiffness: Array, *, most: float
) -> tuple[Array, Array]:
    """Continue a table to strong compression with a stiffness of at most `most`, slip by slip.

    From the first opening downwards at which the halves press and are stiffer than that, the normal traction goes on with
    slope `most`: what bodies of that stiffness and a stiffer contact between them can represent.

    Args:
        openings: (k,) Å, evenly spaced.
        energy, traction, stiffness: (k, n1, n2) φ, T_n and its slope.
        most: eV/Å⁴.

    Returns:
        Openings from `LOWEST` on and energies on them.
    """
    step = openings[1] - openings[0]
    added = round((openings[0] - LOWEST) / step)
    energy = np.concatenate([np.zeros((added, *energy.shape[1:])), energy])
    traction = np.concatenate([np.zeros_like(energy[:added]), traction])
    stiffness = np.concatenate([np.full_like(energy[:added], most), stiffness])
    level = np.arange(len(energy))[:, None, None]
    below = level < traction.argmax(axis=0)
    stiff = below & (traction < 0.0) & (stiffness > most)
    highest = np.where(stiff.any(axis=0), len(energy) - 1 - np.argmax(stiff[::-1], axis=0), -1)
    changed = (level <= highest) | (level < added)
    slope = np.where(changed, most, stiffness)
    for k in range(len(energy) - 2, -1, -1):
        pull = traction[k + 1] - 0.5 * step * (slope[k] + slope[k + 1])
        work = 0.5 * step * (pull + traction[k + 1]) - step**2 / 12.0 * (slope[k + 1] - slope[k])
        traction[k] = np.where(changed[k], pull, traction[k])
        energy[k] = np.where(changed[k], energy[k + 1] - work, energy[k])
    return step * (np.arange(len(energy)) - added) + openings[0], energy
