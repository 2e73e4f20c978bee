"""Mixed-mode laws: energies in each mode, tangents, frames, energy balance and the second law."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from law_cases import (
    WORK,
    alfano_sacco,
    damaging,
    energy_spent,
    gamma_surface,
    named,
    reversible,
    travel,
    turon,
    winding,
)

from continuum.errors import LawError
from continuum.laws import GammaSurfaceLaw, LennardJonesLaw, MixedBilinearLaw, PotentialLaw

EVERY = damaging() + reversible()


def far(law):
    """An opening (Å) from which on nothing is left: 10⁻⁶ for exponential tails."""
    sizes = (law.final_opening, getattr(law, "final_sliding", 0.0), 5.0 * getattr(law, "shear_length", 0.0))
    return 2.5 * max(sizes)


@pytest.mark.parametrize("law", EVERY, ids=named)
def test_fracture_energies(law):
    end = 1e5 if isinstance(law, LennardJonesLaw) else far(law)
    # Kinks inside a panel cost up to 1e-6; the pull of half spaces beyond 1e5 Å holds (z₀/z)² ~ 1e-9 of the energy.
    assert energy_spent(law, [1.0, 0.0, 0.0], end) == pytest.approx(law.fracture_energy, rel=3e-6)
    sliding = law.periods[0] if isinstance(law, GammaSurfaceLaw) else far(law)
    shear = energy_spent(law, [0.0, 1.0, 0.0], sliding)
    assert shear == pytest.approx(law.shear_fracture_energy, rel=3e-6, abs=1e-6 * WORK)
    assert law.traction([law.opening_at_peak])[0] == pytest.approx(law.peak_traction, rel=1e-9)
    assert law.traction(np.linspace(0.0, law.final_opening, 999)).max() <= law.peak_traction * (1.0 + 1e-9)
    assert law.stiffness([0.0])[0] == pytest.approx(law.initial_stiffness, rel=1e-9)
    assert law.traction([law.final_opening])[0] < 0.02 * law.peak_traction
    if hasattr(law, "shear_peak"):
        along = np.zeros((4001, 2))
        along[:, 1] = np.linspace(0.0, far(law), 4001)
        peak = law.evaluate(along, law.fresh(4001)).traction[:, 1].max()
        assert peak == pytest.approx(law.shear_peak, rel=5e-3)  # 4001 points do not meet the top of a kink


@pytest.mark.parametrize(("criterion", "exponent"), [("benzeggagh-kenane", 1.45), ("power", 1.0), ("power", 2.0)])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_criteria_give_the_energy_of_the_mixed_mode(criterion, exponent, share):
    law = turon(criterion, exponent)
    first, second = WORK, 2.0 * WORK
    if criterion == "power":
        expected = (((1.0 - share) / first) ** exponent + (share / second) ** exponent) ** (-1.0 / exponent)
    else:
        expected = first + (second - first) * share**exponent
    spent = energy_spent(law, [np.sqrt(1.0 - share), 0.6 * np.sqrt(share), 0.8 * np.sqrt(share)], 8.0)
    assert spent == pytest.approx(expected, rel=3e-6)
    assert law.mixed_energy(np.array([share]))[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("law", EVERY, ids=named)
@pytest.mark.parametrize("dim", [2, 3])
def test_tangent_is_the_derivative(law, dim):
    rng = np.random.default_rng(3)
    history = law.fresh(300)
    for _ in range(2):
        history = law.evaluate(rng.normal(size=(300, dim)) * 0.5, history).history_new
    jump, h = rng.normal(size=(300, dim)) * 0.7, 1e-6
    answer = law.evaluate(jump, history)
    ahead, behind = np.empty_like(answer.tangent), np.empty_like(answer.tangent)
    for k in range(dim):
        move = h * np.eye(dim)[k]
        ahead[:, :, k] = (law.evaluate(jump + move, history).traction - answer.traction) / h
        behind[:, :, k] = (answer.traction - law.evaluate(jump - move, history).traction) / h
    # Where the two sides differ there is a kink (onset, contact, stick and slip, end): no derivative to compare with.
    smooth = np.abs(ahead - behind).max(axis=(1, 2)) < 1e-4 * law.initial_stiffness
    assert smooth.mean() > 0.95
    assert 0.5 * (ahead + behind)[smooth] == pytest.approx(answer.tangent[smooth], abs=2e-7 * law.initial_stiffness)
    if law.symmetric:
        assert answer.tangent == pytest.approx(answer.tangent.transpose(0, 2, 1), abs=1e-14)
    assert (answer.secant >= 0.0).all()


@pytest.mark.parametrize("law", [law for law in EVERY if not isinstance(law, GammaSurfaceLaw)], ids=named)
def test_the_frame_does_not_matter(law):
    rng, (c, s) = np.random.default_rng(4), (np.cos(0.7), np.sin(0.7))
    turn = np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
    path = 0.6 * rng.normal(size=(4, 50, 3))
    straight, turned = travel(law, path)[1], travel(law, path @ turn.T)[1]
    for a, b in zip(straight, turned, strict=True):
        assert b.traction == pytest.approx(a.traction @ turn.T, abs=1e-12)
        assert b.tangent == pytest.approx(turn @ a.tangent @ turn.T, abs=1e-8)
        assert b.stored + b.dissipated == pytest.approx(a.stored + a.dissipated, abs=1e-12)
    # One tangent is two tangents of which one is zero.
    plane = path[..., :2]
    flat = travel(law, plane)[1][-1]
    solid = travel(law, np.concatenate([plane, np.zeros((4, 50, 1))], axis=2))[1][-1]
    assert flat.traction == pytest.approx(solid.traction[:, :2], abs=1e-13)
    assert flat.dissipated == pytest.approx(solid.dissipated, abs=1e-13)


@pytest.mark.parametrize("law", EVERY, ids=named)
def test_energy_is_balanced_along_paths(law):
    work, answers = travel(law, winding(20, 3, 800, size=0.35))
    first, last = answers[0], answers[-1]
    kept = [a.stored + a.dissipated + a.contact for a in (first, last)]
    # The trapezoidal rule's work: second order in the step, first order where slip begins or ends within a step.
    assert kept[1] - kept[0] == pytest.approx(work, abs=(1e-2 if hasattr(law, "friction") else 2e-3) * WORK)
    spent = np.array([a.dissipated for a in answers])
    assert (np.diff(spent, axis=0) >= 0.0).all()
    assert (spent.max() == 0.0) == (law.unloading == "reversible")


@pytest.mark.parametrize("law", reversible(), ids=named)
@pytest.mark.parametrize("dim", [2, 3])
def test_reversible_laws_are_gradients_and_closed_paths_cost_nothing(law, dim):
    jump = np.random.default_rng(5).normal(size=(200, dim)) * 0.6
    history, h = law.fresh(200), 1e-5

    def energy(j):
        answer = law.evaluate(j, history)
        return answer.stored + answer.contact

    for k in range(dim):
        move = h * np.eye(dim)[k]
        slope = (energy(jump + move) - energy(jump - move)) / (2.0 * h)
        assert slope == pytest.approx(law.evaluate(jump, history).traction[:, k], abs=1e-8)
    work = travel(law, winding(20, dim, 800, size=0.35))[0]
    assert work == pytest.approx(np.zeros(20), abs=1e-3 * WORK)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-2.0, 3.0)] * 3), min_size=2, max_size=12), st.integers(0, len(damaging()) - 1))
def test_dissipation_never_falls_on_mixed_paths(path, which):
    law = EVERY[which]
    history, spent = law.fresh(1), 0.0
    for point in path:
        answer = law.evaluate(np.array([point]), history)
        assert np.isfinite(answer.tangent).all()
        assert np.isfinite(answer.traction).all()
        assert answer.dissipated[0] >= spent
        assert answer.stored[0] >= 0.0
        assert 0.0 <= answer.damage[0] <= 1.0
        spent, history = float(answer.dissipated[0]), answer.history_new


@pytest.mark.parametrize("law", damaging(), ids=named)
def test_long_steps_spend_what_short_ones_do(law):
    path = np.array([1.0, 0.5, -0.3]) * np.linspace(0.0, 1.5, 301)[:, None, None]
    fine, coarse = travel(law, path)[1][-1], travel(law, path[::30])[1][-1]
    assert coarse.traction == pytest.approx(fine.traction, abs=1e-12)
    assert coarse.dissipated == pytest.approx(fine.dissipated, rel=0.02)
    assert coarse.damage == pytest.approx(fine.damage, rel=0.02)


@pytest.mark.parametrize("law", damaging(), ids=named)
def test_unloading_goes_to_the_origin(law):
    opened = np.array([[0.4, 0.3, 0.1]])
    up = law.evaluate(opened, law.fresh(1))
    down = law.evaluate(0.5 * opened, up.history_new)
    assert down.traction == pytest.approx(0.5 * up.traction, rel=1e-12)
    assert down.dissipated[0] == up.dissipated[0] > 0.0
    closed = law.evaluate(np.zeros((1, 3)), down.history_new)
    assert closed.stored[0] == 0.0
    again = law.evaluate(opened, closed.history_new)
    assert again.traction == pytest.approx(up.traction, rel=1e-12)
    assert again.dissipated[0] == pytest.approx(up.dissipated[0], rel=1e-12)


@pytest.mark.parametrize("law", EVERY, ids=named)
def test_pressure_alone_does_no_harm(law):
    answer = law.evaluate(np.array([[-0.1, 0.0]]), law.fresh(1))
    assert answer.traction[0, 0] < 0.0
    assert answer.dissipated[0] == answer.damage[0] == 0.0
    if not law.own_repulsion:
        assert answer.traction[0, 0] == pytest.approx(-0.1 * law.penalty, rel=1e-12)
        assert answer.contact[0] == pytest.approx(0.005 * law.penalty, rel=1e-12)
    # The traction is continuous where the faces meet, sliding or not.
    for slid in (0.0, 0.3):
        apart, pressed = (law.evaluate(np.array([[d, slid]]), law.fresh(1)).traction for d in (1e-9, -1e-9))
        assert apart == pytest.approx(pressed, abs=1e-7 * law.initial_stiffness)


def test_history_columns_and_flags():
    for law in EVERY:
        assert law.fresh(3).shape == (3, law.history_size)
        assert law.variational == law.symmetric == (law.unloading == "reversible")
    assert gamma_surface().unloading == "reversible"
    assert alfano_sacco().unloading == "damaging"
    assert sum(isinstance(law, PotentialLaw) for law in EVERY) == 11


def test_mixed_bilinear_takes_and_refuses_the_right_stiffness():
    # K > N²/(2G_I) and K > S²/(2G_II), whatever the units: 4.5e-3 and 8e-3 here.
    given = {"fracture_energy": 1e-3, "shear_fracture_energy": 1e-3, "peak_traction": 3e-3, "shear_peak": 4e-3}
    law = MixedBilinearLaw(**given, initial_stiffness=0.05)
    # One step from nothing to broken: what a step spends is integrated along it.
    assert law.potential([1.0])[0] == pytest.approx(1e-3, rel=1e-4)
    with pytest.raises(LawError, match=r"more than 0\.008"):
        MixedBilinearLaw(**given, initial_stiffness=0.006)
