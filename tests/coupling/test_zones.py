"""Shapes of zones: distances known in closed form, and bad shapes refused."""

import numpy as np
import pytest

from coupling.errors import ZoneError
from coupling.zones import Ball, Band, Box, Custom, Disc, Hexagon, Union, clearance

SQUARE = [(-10.0, -10.0), (10.0, -10.0), (10.0, 10.0), (-10.0, 10.0)]
CUBE = [(x, y, z) for x in (-5.0, 5.0) for y in (-6.0, 6.0) for z in (-7.0, 7.0)]


def test_distances():
    assert Disc(center=(1, 2), radius=5).distance([[4, 6], [1, 2], [1, 10]]) == pytest.approx([0, -5, 3])
    assert Ball(center=(0, 0, 1), radius=1).distance([[2, 3, 7]]) == pytest.approx([6])
    box = Box(lower=(0, 0), upper=(4, 2))
    assert box.distance([[2, 1], [7, 6], [2, 5], [3.5, 1]]) == pytest.approx([-1, 5, 3, -0.5])
    band = Band(points=((0, 0), (10, 0), (10, 5)), half_width=1)
    assert band.distance([[5, 3], [13, 9], [8, 3], [-3, 4]]) == pytest.approx([2, 4, 1, 4])
    union = Union(zones=(box, Disc(center=(10, 0), radius=1)))
    assert union.distance([[7, 0], [9.5, 0]]) == pytest.approx([2, -0.5])
    custom = Custom(function=lambda x: np.abs(x).sum(axis=1) - 3, lower=(-3, -3), upper=(3, 3))
    assert custom.distance([[2, 2], [0, 1]]) == pytest.approx([1, -2])


def test_hexagonal_layers_are_those_of_the_lattice():
    i, j = (a.ravel() for a in np.meshgrid(np.arange(-6, 7), np.arange(-6, 7)))
    layer = np.max(np.abs([i, j, i + j]), axis=0)
    places = 2.5 * np.column_stack([i + j / 2, np.sqrt(0.75) * j]) + (3.0, 1.0)
    zone = Hexagon(layers=4, spacing=2.5, center=(3.0, 1.0))
    assert zone.distance(places) == pytest.approx(2.5 * (layer - 4), abs=1e-13)
    # 1 + 3·4·5 sites within four layers.
    assert np.sum(zone.distance(places) < 1e-9) == 61


@pytest.mark.parametrize(
    "zone",
    [
        Disc(center=(1, 2), radius=3),
        Hexagon(layers=3, spacing=1.5),
        Box(lower=(-1, 0, 2), upper=(1, 3, 4)),
        Band(points=((0, 0), (3, 1)), half_width=0.5),
        Union(zones=(Disc(center=(4, 0), radius=1), Box(lower=(-1, -1), upper=(0, 0)))),
    ],
)
def test_bounds_hold_the_grown_zone_and_anchors_lie_in_it(zone):
    lower, upper = zone.bounds(1.2)
    places = np.random.default_rng(0).uniform(-12, 12, (20000, zone.dimension))
    inside = places[zone.distance(places) <= 1.2]
    assert len(inside) > 20
    assert (inside >= lower).all()
    assert (inside <= upper).all()
    assert (zone.distance(zone.anchors()) <= 0).all()


def test_clearance():
    disc = Disc(center=(4, 1), radius=2)
    # The right side is at x = 10: 6 from the center.
    assert clearance(disc, SQUARE, growth=3) == pytest.approx(1, abs=1e-9)
    assert clearance(disc, SQUARE, growth=5) == pytest.approx(-1, abs=1e-9)
    assert clearance(Box(lower=(-1, -1, -1), upper=(1.3, 1, 1)), CUBE) == pytest.approx(3.7, abs=1e-9)
    assert clearance(Ball(center=(0.3, 0.4, 0.1), radius=2), CUBE) == pytest.approx(2.7, abs=1e-6)
    # Nowhere near the boundary, but outside.
    assert clearance(Disc(center=(40, 0), radius=2), SQUARE) == -np.inf
    both = Union(zones=(disc, Disc(center=(40, 0), radius=2)))
    assert clearance(both, SQUARE) == -np.inf
    triangle = [(0, 0), (8, 0), (0, 6)]
    assert clearance(Disc(center=(2, 2), radius=1.9), triangle) == pytest.approx(2 - 1.9, abs=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Disc(center=(0, 0), radius=-1), "radius of a Disc = -1"),
        (lambda: Disc(center=(0, np.nan), radius=1), "finite coordinates"),
        (lambda: Disc(center=(0, 0, 0, 0), radius=1), "2 or 3 finite"),
        (lambda: Hexagon(layers=np.nan), "layers of a Hexagon"),
        (lambda: Hexagon(layers=2, spacing=0), "above zero"),
        (lambda: Box(lower=(0, 3), upper=(1, 2)), "no coordinate of lower"),
        (lambda: Box(lower=(0, 3), upper=(1, 4, 5)), "2 finite coordinates"),
        (lambda: Band(points=((0, 0),), half_width=1), "1 point"),
        (lambda: Band(points=((0, 0), (1, 1, 1)), half_width=1), "2 finite coordinates"),
        (lambda: Union(zones=()), "one or more"),
        (lambda: Union(zones=(Disc(center=(0, 0), radius=1), Ball(center=(0, 0, 0), radius=1))), r"\[2, 3\]"),
        (lambda: Custom(function=lambda x: x[:, 0] + 9, lower=(0, 0), upper=(1, 1)), "positive at all"),
        (lambda: Custom(function=lambda x: x, lower=(0, 0), upper=(1, 1)), "returned shape"),
        (lambda: Disc(center=(0, 0), radius=1).distance([[0, 0, 0]]), r"expected \(n, 2\)"),
        (lambda: Disc(center=(0, 0), radius=1).distance([[0, np.nan]]), "1 of their numbers not finite"),
        (lambda: clearance(Disc(center=(0, 0), radius=1), [(0, 0), (1, 1), (2, 2)]), "span no body"),
        (lambda: clearance(Disc(center=(0, 0), radius=1), CUBE), r"expected \(k, 2\)"),
    ],
)
def test_bad_shapes_are_refused(make, message):
    with pytest.raises(ZoneError, match=message):
        make()
