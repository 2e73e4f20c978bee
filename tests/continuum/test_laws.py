"""Laws: energy, derivatives, frames, unloading and the second law."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from continuum.errors import LawError
from continuum.laws import BilinearLaw, ExponentialLaw, TabulatedLaw, TrapezoidalLaw, UberLaw

WORK, PEAK = 0.0743, 0.0624  # eV/Å² and eV/Å³: 1.19 J/m² and 10 GPa


def table(unloading="damaging"):
    law = UberLaw(work=WORK, length=WORK / (np.e * PEAK))
    nodes = np.concatenate([[0.0], np.geomspace(0.02, 8.0, 50)])
    psi, force, slope = law.curve(nodes)
    force[-1] = slope[-1] = 0.0
    return TabulatedLaw(opening=nodes, potential=psi, traction=force, stiffness=slope, unloading=unloading)


def laws(unloading="damaging"):
    return [
        ExponentialLaw(fracture_energy=WORK, peak_traction=PEAK, unloading=unloading),
        UberLaw(work=WORK, length=0.5, unloading=unloading),
        BilinearLaw(fracture_energy=WORK, peak_traction=PEAK, initial_stiffness=1.0, unloading=unloading, penalty=3.0),
        TrapezoidalLaw(
            fracture_energy=WORK, peak_traction=PEAK, initial_stiffness=1.0, plateau=0.6, unloading=unloading
        ),
        table(unloading),
    ]


@pytest.mark.parametrize("law", laws(), ids=lambda law: type(law).__name__)
def test_curve_is_one_potential(law):
    breaks = [law.opening_at_peak, law.final_opening] if not isinstance(law, TabulatedLaw) else law.nodes[1:-1]
    breaks = [*breaks, law.opening_at_peak + getattr(law, "plateau", 0.0)]
    end = 60.0 * law.opening_at_peak
    total = quad(lambda d: float(law.traction([d])[0]), 0.0, end, points=breaks, limit=400, epsabs=1e-14)[0]
    # Quadrature to 1e-12; the exponential tail beyond 60 δ₀ holds 1e-24 of the energy.
    assert total == pytest.approx(law.fracture_energy, rel=1e-9)
    assert law.traction([law.opening_at_peak])[0] == pytest.approx(law.peak_traction, rel=1e-5)
    assert law.potential([end])[0] == pytest.approx(law.fracture_energy, rel=1e-12)
    assert law.stiffness([0.0])[0] == pytest.approx(law.initial_stiffness, rel=1e-12)
    d, h = np.linspace(0.013, 3.0, 41), 1e-6
    # Central differences: error h² ψ'''' ~ 1e-11 and rounding 1e-16/h ~ 1e-10.
    assert (law.potential(d + h) - law.potential(d - h)) / (2 * h) == pytest.approx(law.traction(d), abs=2e-9)
    kinks = np.array([law.opening_at_peak, law.opening_at_peak + getattr(law, "plateau", 0.0), law.final_opening])
    smooth = np.abs(d[:, None] - kinks).min(axis=1) > 1e-3
    slope = (law.traction(d + h) - law.traction(d - h)) / (2 * h)
    assert slope[smooth] == pytest.approx(law.stiffness(d)[smooth], abs=2e-8)


def test_tabulated_law_reproduces_a_quintic_and_its_end():
    law = table()
    assert law.potential([99.0])[0] == law.fracture_energy
    assert law.traction([law.final_opening, 99.0]).tolist() == [0.0, 0.0]
    nodes = np.array([0.0, 0.7, 1.1, 2.0])
    psi = np.polynomial.Polynomial([0, 0, 0.4, -0.1, 0.02, -0.003])
    force = psi.deriv()(nodes)
    force[-1] = 0.0
    law = TabulatedLaw(
        opening=nodes, potential=psi(nodes), traction=force, stiffness=psi.deriv(2)(nodes), unloading="reversible"
    )
    inside = np.linspace(0.0, 1.1, 23)
    assert law.potential(inside) == pytest.approx(psi(inside), abs=1e-15)


def test_from_traction_integrates_its_own_curve():
    nodes = np.linspace(0.0, 6.0, 30)
    force = UberLaw(work=WORK, length=0.5).traction(nodes)
    force[-1] = 0.0
    law = TabulatedLaw.from_traction(nodes, force)
    assert law.fracture_energy == pytest.approx(WORK, rel=2e-3)  # interpolation of 30 points
    assert law.traction(nodes) == pytest.approx(force, abs=1e-15)


@pytest.mark.parametrize("law", laws() + laws("reversible"), ids=lambda law: f"{type(law).__name__}-{law.unloading}")
@pytest.mark.parametrize("dim", [2, 3])
def test_tangent_is_the_derivative_and_the_frame_does_not_matter(law, dim):
    rng = np.random.default_rng(3)
    jump = rng.normal(size=(60, dim))
    history = rng.uniform(0.0, 2.0, size=(60, 1))
    answer = law.evaluate(jump, history)
    h = 1e-7
    numeric = np.empty_like(answer.tangent)
    for k in range(dim):
        move = np.zeros(dim)
        move[k] = h
        numeric[:, :, k] = (
            law.evaluate(jump + move, history).traction - law.evaluate(jump - move, history).traction
        ) / (2 * h)
    assert numeric == pytest.approx(answer.tangent, abs=1e-6 * law.initial_stiffness)
    assert answer.traction == pytest.approx(answer.secant * jump, abs=1e-15)
    # Turning the tangential axes turns the tangential traction and leaves energies alone.
    turn = np.eye(dim)
    if dim == 3:
        c, s = np.cos(0.7), np.sin(0.7)
        turn[1:, 1:] = [[c, -s], [s, c]]
    else:
        turn[1, 1] = -1.0
    turned = law.evaluate(jump @ turn.T, history)
    assert turned.traction == pytest.approx(answer.traction @ turn.T, abs=1e-14)
    assert turned.dissipated + turned.stored == pytest.approx(answer.dissipated + answer.stored, abs=1e-15)


def test_traction_is_the_gradient_of_the_energy():
    for law in laws():
        jump, history = np.random.default_rng(5).normal(size=(40, 3)), np.full((40, 1), 0.3)

        def energy(j, law=law, history=history):
            a = law.evaluate(j, history)
            return a.stored + a.dissipated + a.contact

        h = 1e-6
        for k in range(3):
            move = h * np.eye(3)[k]
            slope = (energy(jump + move) - energy(jump - move)) / (2 * h)
            assert slope == pytest.approx(law.evaluate(jump, history).traction[:, k], abs=1e-8)


def test_load_unload_reload():
    for law in laws():
        largest, half = np.array([[0.8, 0.0]]), np.array([[0.4, 0.0]])
        up = law.evaluate(largest, np.zeros((1, 1)))
        down = law.evaluate(half, up.history_new)
        assert down.traction[0, 0] == pytest.approx(0.5 * up.traction[0, 0], rel=1e-14)
        again = law.evaluate(largest, down.history_new)
        assert again.traction[0, 0] == pytest.approx(up.traction[0, 0], rel=1e-14)
        assert down.dissipated[0] == up.dissipated[0] > 0.0
    for law in laws("reversible"):
        up = law.evaluate(np.array([[0.8, 0.0]]), np.zeros((1, 1)))
        down = law.evaluate(np.array([[0.4, 0.0]]), up.history_new)
        assert down.traction[0, 0] == pytest.approx(law.traction([0.4])[0], rel=1e-14)
        assert down.dissipated[0] == 0.0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-2.0, 3.0)] * 3), min_size=2, max_size=12), st.integers(0, 4))
def test_dissipation_never_falls_on_mixed_paths(path, which):
    law, history, spent = laws()[which], np.zeros((1, 1)), 0.0
    for point in path:
        answer = law.evaluate(np.array([point]), history)
        # A tabulated law may lose what its table lets it (2e-16 here); others nothing but rounding.
        assert answer.dissipated[0] >= spent - 1e-15 - getattr(law, "dissipation_defect", 0.0)
        spent, history = float(answer.dissipated[0]), answer.history_new


def test_contact_pushes_back_without_damage():
    law = BilinearLaw(fracture_energy=WORK, peak_traction=PEAK, initial_stiffness=1.0, penalty=7.0)
    answer = law.evaluate(np.array([[-0.1, 0.0]]), np.zeros((1, 1)))
    assert answer.traction[0, 0] == pytest.approx(-0.7)
    assert answer.contact[0] == pytest.approx(0.5 * 7.0 * 0.01)
    assert answer.history_new[0, 0] == 0.0


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ExponentialLaw(fracture_energy=-1.0, peak_traction=1.0), "fracture_energy = -1.0"),
        (lambda: ExponentialLaw(fracture_energy=1.0, peak_traction=float("nan")), "peak_traction = nan"),
        (lambda: ExponentialLaw(fracture_energy=1.0, peak_traction=1.0, unloading="plastic"), "'plastic'"),
        (lambda: BilinearLaw(fracture_energy=1.0, peak_traction=1.0, initial_stiffness=0.4), "raise it"),
        (
            lambda: TrapezoidalLaw(fracture_energy=1.0, peak_traction=1.0, initial_stiffness=10.0, plateau=1.0),
            "shorten it",
        ),
        (lambda: TabulatedLaw.from_traction([0.0, 1.0, 2.0], [0.0, 1.0, 0.1]), "exactly 0"),
        (lambda: TabulatedLaw.from_traction([0.0, 2.0, 1.0], [0.0, 1.0, 0.0]), "sort them"),
        (lambda: TabulatedLaw.from_traction([0.0, 1.0, 2.0, 3.0], [0.0, 0.3, 1.0, 0.0]), "reversible"),
    ],
)
def test_mistakes_are_named(build, words):
    with pytest.raises(LawError, match=words):
        build()
