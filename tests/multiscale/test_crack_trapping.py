"""K₊, K₋ and barriers from paths whose answers are known in closed form."""

from types import SimpleNamespace

import numpy as np
import pytest

from multiscale.studies.crack_trapping import trace, trapping_of_path, trapping_of_steps

# A crack at x in a lattice of period P: Π(x, K) = ½CK² − (K²/E − 2γ)Wx + V(x), V = A sin(2πx/P)·P/2π, per width W.
E, TWO_GAMMA, WIDTH, PERIOD, HEIGHT, C = 0.9, 0.17, 3.8, 3.3, 0.05, 20.0
GRIFFITH = np.sqrt(E * TWO_GAMMA)
CORE = np.array([True, False])


def load_at(x):
    """K at which the crack rests at x: ∂Π/∂x = 0."""
    return np.sqrt(E * (TWO_GAMMA + HEIGHT * np.cos(2 * np.pi * x / PERIOD) / WIDTH))


def energy(x, load):
    grip = 0.5 * C * load**2 - (load**2 / E - TWO_GAMMA) * WIDTH * x
    return grip + HEIGHT * PERIOD / (2 * np.pi) * np.sin(2 * np.pi * x / PERIOD)


def path(places):
    """Points of a path through the crack's places x, with states whose only core atom moves with the tip."""
    points = []
    for index, x in enumerate(places):
        load = float(load_at(x))
        state = SimpleNamespace(
            positions=np.array([[x, 0.0, 0.0], [9.0, 9.0, 9.0]]),
            conjugate=C * load - 2 * load / E * WIDTH * x,
            terms={"atoms": energy(x, load) - 7.0, "bulk": 3.0},
        )
        points.append(
            SimpleNamespace(
                index=index, load=load, intensity=load, advance=np.floor(x / PERIOD + 0.5), state=state, leg="follow"
            )
        )
    return points


REFERENCES = SimpleNamespace(griffith=GRIFFITH)
PLUS = float(load_at(0.0))
MINUS = float(load_at(PERIOD / 2))


def test_folds_and_barriers_of_a_snaking_path():
    """One period and a bit with 60 states: the error of cubic splines is of fourth order, 1e-4 of everything is ample."""
    found = trapping_of_path(path(np.linspace(-1.6, 4.3, 60)), CORE, REFERENCES)
    assert found.plus == pytest.approx((PLUS, PLUS), rel=1e-5)
    assert found.minus == pytest.approx((MINUS,), rel=1e-5)
    assert found.ratio == pytest.approx(PLUS / MINUS, rel=1e-5)
    assert found.barrier_load == GRIFFITH
    # At K_G the linear part vanishes: the stable state is at x = −P/4, the unstable one at P/4.
    assert found.barrier == pytest.approx(energy(0.25 * PERIOD, GRIFFITH) - energy(-0.25 * PERIOD, GRIFFITH), rel=1e-4)
    assert found.barrier == pytest.approx(HEIGHT * PERIOD / np.pi, rel=1e-4)
    assert found.barrier_counted == pytest.approx(found.barrier, rel=1e-4)
    assert found.barriers[-1, 1] == pytest.approx(0.0, abs=1e-6)  # eV: no barrier at K₊
    assert found.barriers[0, 2] == pytest.approx(0.0, abs=1e-4)  # nor of healing at K₋, by which the path begins


def test_the_barriers_of_advance_and_healing_are_equal_at_griffith():
    found = trapping_of_path(path(np.linspace(-1.5, 3.2, 80)), CORE, REFERENCES)
    load, ahead, back = found.barriers.T
    difference = np.interp(GRIFFITH, load, ahead - back)
    assert difference == pytest.approx(0.0, abs=2e-3 * found.barrier)
    assert found.maxwell == pytest.approx(GRIFFITH, rel=1e-4)
    # Beyond K_G an advance costs less than healing.
    assert np.nanmax((ahead - back)[load > 1.01 * GRIFFITH]) < 0.0


def test_a_forgotten_sign_would_show():
    points = path(np.linspace(-1.6, 4.3, 60))
    for point in points:
        point.state.conjugate *= -1.0
    assert trapping_of_path(points, CORE, REFERENCES).barrier < 0.0


def test_a_state_half_way_belongs_to_the_period():
    """Two barriers a period, the second one lower: K₊ is the higher load, and the barrier leads over both."""
    places = np.linspace(0.1, 4.0, 160)
    points = path(places)
    for point, x in zip(points, places, strict=True):
        # V gets a second harmonic, so that the load turns four times a period.
        slope = HEIGHT * np.cos(2 * np.pi * x / PERIOD) - 0.08 * np.cos(4 * np.pi * x / PERIOD)
        load = np.sqrt(E * (TWO_GAMMA + slope / WIDTH))
        point.load = point.intensity = float(load)
        point.state.conjugate = C * load - 2 * load / E * WIDTH * x
        point.state.terms = {}
        point.advance = np.floor(x / PERIOD + 0.25)
    found = trapping_of_path(points, CORE, REFERENCES)
    loads = np.array([point.load for point in points])
    middle = loads[(places > 0.0) & (places < PERIOD)]
    assert len(found.plus) == 1
    assert found.plus[0] == pytest.approx(middle.max(), rel=1e-4)
    assert found.minus[0] == pytest.approx(middle.min(), rel=1e-4)
    assert np.isnan(found.barrier_counted)


def test_a_short_path_has_no_trapping():
    assert trapping_of_path(path([0.0, 0.1, 0.2]), CORE, REFERENCES) is None
    rising = trapping_of_path(path(np.linspace(-1.4, -0.2, 20)), CORE, REFERENCES)
    assert rising.plus == ()
    assert np.isnan(rising.k_plus)
    assert np.isnan(rising.barrier)
    assert trace(path([0.0, 0.1]), CORE) is None


def test_steps_bracket_what_happens_between_two_loads():
    loads = [0.9, 1.0, 1.1, 1.2, 1.1, 1.0, 0.9]
    advance = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0]
    points = [SimpleNamespace(intensity=k, advance=a) for k, a in zip(loads, advance, strict=True)]
    found = trapping_of_steps(points)
    assert found.plus == pytest.approx((1.15,))
    assert found.plus_error == pytest.approx((0.05,))
    assert found.minus == pytest.approx((0.95,))
    standing = trapping_of_steps(points[:3])
    assert standing.plus == ()
    assert standing.minus == ()
