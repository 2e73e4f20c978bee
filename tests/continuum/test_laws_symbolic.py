"""Derivatives taken by UFL: laws written by hand beside them, and expressions beside numpy."""

import numpy as np
import pytest
import ufl
from scipy import special

from continuum.errors import LawError
from continuum.laws import BilinearLaw, ExponentialLaw, PotentialLaw, TrapezoidalLaw, UberLaw
from continuum.laws.symbolic import Compiled, JumpSymbol, length

WORK, PEAK = 0.0743, 0.0624


def exponential(law, d):
    x = d / law.opening_at_peak
    return WORK * (1.0 - (1.0 + x) * ufl.exp(-x))


def bilinear(law, d):
    left = ufl.max_value(law.final_opening - d, 0.0)
    slope = law.peak_traction / (law.final_opening - law.opening_at_peak)
    return ufl.conditional(
        ufl.le(d, law.opening_at_peak), 0.5 * law.initial_stiffness * d**2, WORK - 0.5 * slope * left**2
    )


def trapezoidal(law, d):
    end = law.opening_at_peak + law.plateau
    slope = law.peak_traction / (law.final_opening - end)
    flat = law.peak_traction * (d - 0.5 * law.opening_at_peak)
    falling = WORK - 0.5 * slope * ufl.max_value(law.final_opening - d, 0.0) ** 2
    later = ufl.conditional(ufl.le(d, end), flat, falling)
    return ufl.conditional(ufl.le(d, law.opening_at_peak), 0.5 * law.initial_stiffness * d**2, later)


TWINS = [
    (ExponentialLaw(fracture_energy=WORK, peak_traction=PEAK), exponential),
    (UberLaw(work=WORK, length=0.5), exponential),
    (BilinearLaw(fracture_energy=WORK, peak_traction=PEAK, initial_stiffness=1.0), bilinear),
    (TrapezoidalLaw(fracture_energy=WORK, peak_traction=PEAK, initial_stiffness=1.0, plateau=0.6), trapezoidal),
]


@pytest.mark.parametrize(("law", "density"), TWINS, ids=lambda item: type(item).__name__)
@pytest.mark.parametrize("dim", [2, 3])
def test_effective_laws_are_their_expressions(law, density, dim):
    symbol = JumpSymbol(dim)
    effective = length(symbol.components, 1e-12)
    psi = density(law, effective)
    force = symbol.gradient(psi)
    compiled = Compiled([psi, *force, *(k for part in force for k in symbol.gradient(part))], symbol)
    opening = np.random.default_rng(2).uniform(0.01, 1.2, size=(200, dim))
    values = compiled(opening)
    answer = law.evaluate(opening, law.fresh(200))
    assert values[:, 0] == pytest.approx(answer.stored + answer.dissipated, abs=1e-15)
    assert values[:, 1 : 1 + dim] == pytest.approx(answer.traction, abs=1e-14)
    assert values[:, 1 + dim :].reshape(-1, dim, dim) == pytest.approx(answer.tangent, abs=1e-12)


def test_expressions_are_those_of_numpy():
    symbol = JumpSymbol(2)
    x, y = symbol.vector
    expressions = [
        ufl.sin(x) * ufl.cos(y) + ufl.tan(x / 3.0),
        ufl.ln(1.0 + x**2) ** 1.5 / ufl.sqrt(1.0 + y**2),
        ufl.atan(x) + ufl.asin(x / 9.0) - ufl.acos(y / 9.0) + ufl.atan2(x, y),
        ufl.sinh(x) + ufl.cosh(y) + ufl.tanh(x * y) + ufl.erf(x),
        ufl.min_value(abs(x), y) + ufl.max_value(x, 0.3) + ufl.sign(x) * y,
        ufl.conditional(ufl.And(ufl.gt(x, 0), ufl.Not(ufl.ge(y, 1))), x, ufl.conditional(ufl.ne(x, y), y, 0)),
        ufl.dot(symbol.vector, ufl.as_vector([y, 2.0])) + ufl.tr(ufl.outer(symbol.vector, symbol.vector)),
        ufl.as_ufl(3),
    ]
    opening = np.random.default_rng(0).normal(size=(5000, 2))  # more than two blocks
    a, b = opening.T
    expected = [
        np.sin(a) * np.cos(b) + np.tan(a / 3.0),
        np.log(1.0 + a**2) ** 1.5 / np.sqrt(1.0 + b**2),
        np.arctan(a) + np.arcsin(a / 9.0) - np.arccos(b / 9.0) + np.arctan2(a, b),
        np.sinh(a) + np.cosh(b) + np.tanh(a * b) + special.erf(a),
        np.minimum(np.abs(a), b) + np.maximum(a, 0.3) + np.sign(a) * b,
        np.where((a > 0) & ~(b >= 1), a, b),
        a * b + 2.0 * b + a**2 + b**2,
        np.full(5000, 3.0),
    ]
    assert Compiled(expressions, symbol)(opening) == pytest.approx(np.column_stack(expected), rel=1e-13, abs=1e-13)
    slopes = Compiled([s for e in expressions for s in symbol.gradient(e)], symbol)(opening).reshape(5000, -1, 2)
    h, plain = 1e-6, Compiled(expressions, symbol)
    for k in range(2):
        move = h * np.eye(2)[k]
        numeric = (plain(opening + move) - plain(opening - move)) / (2.0 * h)
        close = np.abs(numeric - slopes[:, :, k]) < 1e-6 * (1.0 + np.abs(slopes[:, :, k]))
        assert close.mean() > 0.999  # a kink within 1e-6 of a point is rare


def test_what_cannot_be_evaluated_is_refused():
    symbol = JumpSymbol(2)
    with pytest.raises(LawError, match="BesselJ"):
        Compiled([ufl.bessel_J(1, symbol.components[0])], symbol)
    with pytest.raises(LawError, match="in a density"):
        Compiled([JumpSymbol(2).components[0]], symbol)


class Spring(PotentialLaw):
    """½ k δ·δ: a law of a few lines."""

    def __init__(self, stiffness):
        self.initial_stiffness = stiffness
        self.fracture_energy = self.shear_fracture_energy = self.peak_traction = 1.0
        self.opening_at_peak = self.final_opening = 1.0
        self._finish("reversible", None)

    def density(self, opening):
        return 0.5 * self.initial_stiffness * ufl.dot(opening, opening)


def test_a_law_of_ones_own():
    law = Spring(3.0)
    jump = np.array([[0.5, -0.2, 0.1], [-0.5, 0.4, 0.0]])
    answer = law.evaluate(jump, law.fresh(2))
    assert answer.traction == pytest.approx(3.0 * jump)
    assert answer.tangent == pytest.approx(np.broadcast_to(3.0 * np.eye(3), (2, 3, 3)))
    assert answer.stored + answer.contact == pytest.approx(1.5 * (jump**2).sum(axis=1))
