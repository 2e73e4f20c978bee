"""Where a γ-surface is flat: the lowest saddle and the lowest minimum beside the perfect crystal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: Points of the finer grid from which flat places are sought, along each vector.
_STARTS = 36
_STEPS = 30


@dataclass(frozen=True, kw_only=True)
class StackingFault:
    """A shift at which a γ-surface is flat.

    Attributes:
        shift: (2,) Å in the laboratory's (x, z).
        energy: eV/Å².
        opening: Å, how far the halves have moved apart (0 where nothing relaxes).
        residual: length of the in-plane traction left, eV/Å³.
    """

    shift: Array
    energy: float
    opening: float
    residual: float


@dataclass(frozen=True, kw_only=True)
class FlatPlace:
    """A place where the interpolated surface is flat: shift (2,) Å and second derivatives (2, 2) eV/Å⁴."""

    shift: Array
    curvature: Array


def critical_points(energy: Array, lattice: Array, *, floor: float) -> tuple[FlatPlace | None, FlatPlace | None]:
    """Return the lowest saddle and the lowest minimum but the perfect crystal of a periodic surface.

    The surface is the trigonometric polynomial through the grid; its flat places are found by Newton's method from
    a finer grid.

    Args:
        energy: (n1, n2) eV/Å², 0 for the perfect crystal at [0, 0].
        lattice: (2, 2) Å, rows are the vectors of the cell.
        floor: energies below it are the perfect crystal's, eV/Å².
    """
    wave = _waves(energy.shape, lattice)
    weights = np.fft.fft2(energy).ravel() / energy.size
    start = np.stack(np.meshgrid(*(np.arange(_STARTS) / _STARTS,) * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    places = start @ lattice
    reach = 0.05 * np.sqrt(abs(np.linalg.det(lattice)))
    for _ in range(_STEPS):
        _, slope, curvature = _surface(places, wave, weights)
        regular = np.abs(np.linalg.det(curvature)) > 1e-12 * np.abs(curvature).max() ** 2
        step = np.zeros_like(places)
        step[regular] = -np.linalg.solve(curvature[regular], slope[regular][..., None])[..., 0]
        step *= np.minimum(1.0, reach / np.maximum(np.linalg.norm(step, axis=1), 1e-300))[:, None]
        places = places + step
    values, slope, curvature = _surface(places, wave, weights)
    steepest = np.abs(_surface(start @ lattice, wave, weights)[1]).max()
    flat = (np.linalg.norm(slope, axis=1) < 1e-8 * steepest) & (values > max(floor, 1e-4 * energy.max()))
    signs = np.linalg.eigvalsh(curvature)
    minima, saddles = flat & (signs[:, 0] > 0.0), flat & (signs[:, 0] < 0.0) & (signs[:, 1] > 0.0)
    return _lowest(saddles, values, places, curvature, lattice), _lowest(minima, values, places, curvature, lattice)


def settle(at: Callable[[Array], tuple[float, Array, float]], guess: FlatPlace) -> StackingFault:
    """Move from a flat place of the interpolated surface to one of the surface itself, by Newton's method.

    Args:
        at: gives energy (eV/Å²), in-plane traction (2,) (eV/Å³) and opening (Å) at a shift (2,) Å.
        guess: where to start, and the curvature to go by.
    """
    shift, best = guess.shift, None
    for _ in range(6):
        energy, traction, opening = at(shift)
        left = float(np.linalg.norm(traction))
        if best is not None and left >= best.residual:
            break
        best = StackingFault(shift=shift, energy=float(energy), opening=float(opening), residual=left)
        shift = shift - np.linalg.solve(guess.curvature, traction)
    assert best is not None
    return best


def _lowest(
    which: NDArray[np.bool_], values: Array, places: Array, curvature: Array, lattice: Array
) -> FlatPlace | None:
    """Return the lowest of the marked places, brought as close to the origin as the lattice allows."""
    if not which.any():
        return None
    index = np.flatnonzero(which)
    low = index[values[index] < values[index].min() * (1.0 + 1e-6)]
    images = np.array([[i, j] for i in (-1, 0, 1) for j in (-1, 0, 1)]) @ lattice
    fraction = places[low] @ np.linalg.inv(lattice)
    candidates = ((fraction - np.floor(fraction)) @ lattice)[:, None, :] + images[None]
    length = np.round(np.linalg.norm(candidates, axis=-1), 3)
    # Of several that symmetry relates, the nearest one, then the one farthest along +x.
    order = np.lexsort([-candidates[..., 1].ravel(), -candidates[..., 0].round(3).ravel(), length.ravel()])
    chosen = int(order[0])
    return FlatPlace(shift=candidates.reshape(-1, 2)[chosen], curvature=curvature[low[chosen // len(images)]])


def _waves(shape: tuple[int, ...], lattice: Array) -> Array:
    """Return the wave vectors (n1·n2, 2), 1/Å, of a grid over the cell."""
    order = np.stack(np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in shape), indexing="ij"), axis=-1).reshape(-1, 2)
    return 2.0 * np.pi * order @ np.linalg.inv(lattice).T


def _surface(places: Array, wave: Array, weights: NDArray[np.complex128]) -> tuple[Array, Array, Array]:
    """Return value (n,), gradient (n, 2) and second derivatives (n, 2, 2) of a trigonometric polynomial."""
    terms = np.exp(1j * places @ wave.T) * weights
    value = terms.sum(axis=1).real
    gradient = (1j * terms @ wave).real
    curvature = -np.einsum("nk,ki,kj->nij", terms, wave, wave).real
    return value, gradient, curvature
