"""Blending functions: end values, smoothness, and the minimiser of the curvature against its own definition."""

import numpy as np
import pytest

from coupling.blending import blend, minimal_curvature, profile
from coupling.errors import ZoneError
from coupling.zones import Disc, Hexagon

BASIS = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
DIRECTIONS = np.array([[1, 0], [0, 1], [1, -1]])


def sites(reach: int) -> np.ndarray:
    grid = np.meshgrid(np.arange(-reach, reach + 1), np.arange(-reach, reach + 1), indexing="ij")
    return np.stack(grid, axis=-1).reshape(-1, 2)


def curvature(table: np.ndarray) -> float:
    """Sum of squared second differences along three directions of β on a square table of indices."""
    i, j = (slice(1, -1),) * 2
    parts = [
        table[2:, j] - 2 * table[i, j] + table[:-2, j],
        table[i, 2:] - 2 * table[i, j] + table[i, :-2],
        table[2:, :-2] - 2 * table[i, j] + table[:-2, 2:],
    ]
    return sum(float((p**2).sum()) for p in parts)


@pytest.mark.parametrize(("kind", "order"), [("linear", 0), ("cubic", 1), ("quintic", 2)])
def test_profiles(kind, order):
    s = np.linspace(-0.5, 1.5, 4001)
    beta = profile(kind, s)
    assert (beta[s <= 0] == 0).all()
    assert (beta[s >= 1] == 1).all()
    assert (np.diff(beta) >= 0).all()
    assert profile(kind, 0.5) == pytest.approx(0.5, abs=1e-15)
    assert profile(kind, 0.3) + profile(kind, 0.7) == pytest.approx(1, abs=1e-15)
    # β starts with s^(order + 1): its first `order` derivatives vanish at both ends.
    slope = np.log(profile(kind, 2e-4) / profile(kind, 1e-4)) / np.log(2)
    assert slope == pytest.approx(order + 1, abs=1e-3)


def test_sharp_and_width():
    assert blend("sharp", [-1.0, 0.0, 1e-12, 0.1], 0.0).tolist() == [0, 0, 0, 1]
    assert blend("quintic", [-1.0, 0.0, 0.1], 0.0).tolist() == [0, 0, 1]
    assert blend("cubic", [2.0], 8.0) == pytest.approx([3 / 16 - 2 / 64])


@pytest.mark.parametrize("zone", [Hexagon(layers=4), Disc(center=(0, 0), radius=4)])
def test_minimal_curvature_has_the_least_curvature(zone):
    index = sites(11)
    distance = zone.distance(index @ BASIS)
    beta = blend("minimal-curvature", distance, 4.0, indices=index)
    assert (beta[distance <= 0] == 0).all()
    assert (beta[distance >= 4] == 1).all()
    free = (distance > 1e-9) & (distance < 4 - 1e-9)
    least = curvature(beta.reshape(23, 23))
    assert least < curvature(blend("cubic", distance, 4.0).reshape(23, 23))
    rng = np.random.default_rng(3)
    for size in (1e-3, 1e-5):
        # A minimum of a quadratic: the change is the square of the step's curvature, exactly, with no linear term.
        step = size * rng.standard_normal(len(beta)) * free
        change = curvature((beta + step).reshape(23, 23)) - least
        assert change == pytest.approx(curvature(step.reshape(23, 23)), rel=1e-6, abs=1e-13)
    # Sites beyond the list are continuum: a list cut off at the blend gives the same.
    near = distance < 4
    cut = blend("minimal-curvature", distance[near], 4.0, indices=index[near])
    assert cut == pytest.approx(beta[near], abs=1e-12)


def test_minimal_curvature_tends_to_the_biharmonic_annulus():
    """In the limit β solves Δ²β = 0 with β = 0, 1 and β' = 0 at both radii: a + b ln r + c r² + d r² ln r."""

    def terms(r):
        return np.stack([np.ones_like(r), np.log(r), r**2, r**2 * np.log(r)], axis=-1)

    def slopes(r):
        return np.stack([0 * r, 1 / r, 2 * r, 2 * r * np.log(r) + r], axis=-1)

    ends = np.array([1.0, 2.0])
    coefficients = np.linalg.solve(np.concatenate([terms(ends), slopes(ends)]), [0, 1, 0, 0])
    errors = []
    for radius in (10, 40):
        index = sites(int(2.4 * radius))
        r = np.linalg.norm(index @ BASIS, axis=1)
        near = r < 2 * radius + 3
        beta = blend("minimal-curvature", r[near] - radius, float(radius), indices=index[near])
        between = (r[near] > radius) & (r[near] < 2 * radius)
        errors.append(np.abs(beta[between] - terms(r[near][between] / radius) @ coefficients).max())
    # First order in 1/R: the edge lies between sites. Measured 0.051 and 0.012.
    assert errors[1] < 0.015
    assert errors[1] < 0.35 * errors[0]


def test_minimal_curvature_in_one_direction_is_the_cubic_spline():
    """On a row of sites the minimiser of squared second differences is known: the clamped natural cubic in the limit."""
    n = 200
    index = np.arange(-3, n + 4)[:, None]
    beta = minimal_curvature(index, index[:, 0] <= 0, index[:, 0] >= n)
    s = np.clip(index[:, 0] / n, 0, 1)
    assert beta == pytest.approx(3 * s**2 - 2 * s**3, abs=2 / n)
    fourth = np.diff(beta, 4)[2:-2]
    inner = slice(3, -3)
    assert np.abs(fourth[inner]).max() < 1e-12


def test_free_edges():
    """With `beyond` None a row needs no sites past its end, and without curvature penalty there it stays straight."""
    index = np.arange(0, 11)[:, None]
    zero, one = index[:, 0] == 0, index[:, 0] == 10
    assert minimal_curvature(index, zero, one, beyond=None) == pytest.approx(index[:, 0] / 10, abs=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: blend("cubic", [0.0], -1.0), "width of a cubic"),
        (lambda: blend("cubic", [np.nan], 1.0), "are NaN"),
        (lambda: blend("qubic", [0.0], 1.0), "expected one of cubic, quintic"),
        (lambda: profile("qubic", 0.0), "expected one of cubic, quintic"),
        (lambda: blend("minimal-curvature", [0.0], 1.0), "give their indices"),
        (lambda: blend("minimal-curvature", [np.nan], 1.0, indices=[[0, 0]]), "NaN"),
        (lambda: minimal_curvature([[0.5, 0]], [True], [False]), "integers"),
        (lambda: minimal_curvature([[0, 0]], [True, True], [False]), r"expected \(1,\)"),
        (lambda: minimal_curvature([[0, 0]], [True], [True]), "0 and to 1 at once"),
        (lambda: minimal_curvature([[0, 0], [0, 0]], [True, False], [False, True]), "listed twice"),
        (lambda: minimal_curvature([[0, 0]], [False], [True]), "needs both"),
        (lambda: minimal_curvature([[0, 0]], [True], [False], directions=[[0, 0]]), "none of them zero"),
        (lambda: minimal_curvature([[0], [5], [9]], [1, 0, 0], [0, 0, 1], beyond=None), "not tied to fixed ones"),
    ],
)
def test_bad_blends_are_refused(make, message):
    with pytest.raises(ZoneError, match=message):
        make()
