"""The bridge: bulk elasticity is taken out once, and no energy with it."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.integrate import quad

from coupling.cohesive import extract_law
from coupling.elasticity import LinearUniaxial
from coupling.separation_fit import fit_separation
from coupling.stacks import predict_stack

WORK, LENGTH = 0.0743, 0.55  # eV/Å², Å: about Al(111)
SPACING = 2.338


@dataclass(frozen=True)
class Curve:
    opening: np.ndarray
    energy: np.ndarray
    traction: np.ndarray | None


def uber(points: int = 24, *, with_traction: bool = True) -> Curve:
    opening = np.concatenate([np.linspace(0, 3, points * 3 // 4, endpoint=False), np.linspace(3, 7, points // 4)])
    energy = WORK * (1 - (1 + opening / LENGTH) * np.exp(-opening / LENGTH))
    traction = WORK / LENGTH**2 * opening * np.exp(-opening / LENGTH)
    return Curve(opening, energy, traction if with_traction else None)


def modulus_for(ratio: float) -> LinearUniaxial:
    """The elasticity for which T'(0) = ratio · C'/d."""
    return LinearUniaxial(WORK / LENGTH**2 * SPACING / ratio)


@pytest.mark.parametrize("ratio", [0.5, 0.82, 1.0, 1.3])
@pytest.mark.parametrize("points", [16, 24, 48])
def test_the_laws_energy_is_the_curves_fitted_work(ratio, points):
    extraction = extract_law(uber(points), modulus_for(ratio), length=SPACING)
    law = extraction.law()
    nodes = extraction.opening
    # Gauss-Legendre with 4 points integrates the quartic pieces of T exactly: what remains is rounding.
    x, w = np.polynomial.legendre.leggauss(4)
    width = np.diff(nodes)[:, None]
    points_ = nodes[:-1, None] + width * (x + 1) / 2
    integral = np.sum(law.traction(points_.ravel()).reshape(points_.shape) * w * width / 2)
    assert integral == pytest.approx(extraction.fit.work, rel=1e-10)
    assert law.fracture_energy == pytest.approx(extraction.fit.work, rel=1e-12)


def test_fit_returns_the_curves_work_and_peak():
    fit = fit_separation(uber(24))
    # 5e-4: the fit ends where the traction is 2e-4 of its peak, and what lies beyond counts as misfit.
    assert fit.work == pytest.approx(WORK, rel=5e-4)
    assert fit.peak[1] == pytest.approx(WORK / (LENGTH * np.e), rel=1e-3)
    assert fit.energy_misfit < 5e-4
    assert fit.traction_misfit < 1e-3


def test_energies_alone_give_the_same_law():
    with_traction, without = fit_separation(uber(48)), fit_separation(uber(48, with_traction=False))
    assert without.traction_misfit is None
    assert without.peak[1] == pytest.approx(with_traction.peak[1], rel=5e-3)
    assert without.work == pytest.approx(with_traction.work, rel=1e-3)


def test_disagreement_between_energies_and_forces_is_reported():
    good = uber(24)
    wrong = Curve(good.opening, good.energy, 1.1 * good.traction)
    assert abs(fit_separation(good).energy_force_gap) < 1e-3
    assert fit_separation(wrong).energy_force_gap == pytest.approx(0.1, abs=2e-3)
    assert fit_separation(wrong).traction_misfit > 0.02


@pytest.mark.parametrize("ratio", [0.5, 0.82])
def test_correction_is_rices_relation(ratio):
    """δ = Δ − T d/C' and ψ = φ − T² d/2C' wherever neither cap nor envelope acts."""
    elasticity = modulus_for(ratio)
    extraction = extract_law(uber(), elasticity, length=SPACING)
    assert extraction.capped_to == 0.0
    fit = extraction.fit
    for gap in np.linspace(0.05, fit.end - 0.1, 9):
        traction = float(fit.traction(gap))
        delta = gap - traction * SPACING / elasticity.modulus
        law = extraction.law()
        assert float(law.traction(np.array([delta]))[0]) == pytest.approx(traction, rel=1e-5)
        assert float(law.potential(np.array([delta]))[0]) == pytest.approx(
            float(fit.energy(gap)) - traction**2 * SPACING / (2 * elasticity.modulus), rel=1e-5
        )


def test_initial_stiffness_after_correction():
    """T'(0) = 0.82 C'/d becomes 0.82/(1 − 0.82) = 4.56 C'/d."""
    elasticity = modulus_for(0.82)
    extraction = extract_law(uber(48), elasticity, length=SPACING)
    # 3%: UBER's slope at the origin has a large third derivative that 48 cubic pieces resolve so far.
    assert extraction.initial_stiffness_ratio == pytest.approx(0.82, rel=3e-3)
    assert extraction.stiffness[0] * SPACING / elasticity.modulus == pytest.approx(4.56, rel=0.03)


@pytest.mark.parametrize("ratio", [1.0, 1.3])
def test_folded_curve_becomes_a_monotone_law_within_the_cap(ratio):
    elasticity = modulus_for(ratio)
    extraction = extract_law(uber(48), elasticity, length=SPACING, stiffness_cap=50)
    assert np.all(np.diff(extraction.opening) > 0)
    secant = np.diff(extraction.traction) / np.diff(extraction.opening)
    assert secant.max() <= extraction.stiffness_cap * (1 + 1e-9)
    assert extraction.stretch == pytest.approx(1 / (1 - extraction.envelope_defect), rel=1e-12)
    if ratio > 1:
        assert extraction.capped_to > 0
        assert 0 < extraction.envelope_defect < 0.01


def test_stack_of_the_law_is_the_chain_that_it_came_from():
    """N gaps that are all linear but one: the corrected law returns the chain's own curve, the uncorrected one does not.

    The exact chain: N − 1 linear gaps of stiffness C'/d in series with the gap of the curve itself.
    """
    elasticity, planes = modulus_for(0.82), 14
    curve = uber(48)
    law = extract_law(curve, elasticity, length=SPACING)
    bare = extract_law(curve, elasticity, length=0.0)
    gap = np.linspace(0.02, 0.5, 25)
    traction = WORK / LENGTH**2 * gap * np.exp(-gap / LENGTH)
    chain = (planes - 1) * SPACING * traction / elasticity.modulus + gap
    energy = (planes - 1) * SPACING * traction**2 / (2 * elasticity.modulus) + WORK * (
        1 - (1 + gap / LENGTH) * np.exp(-gap / LENGTH)
    )
    predicted_energy, predicted_stress = predict_stack(law, elasticity, length=planes * SPACING).at(chain)
    assert np.max(np.abs(predicted_energy - energy)) < 1e-3 * WORK
    assert np.max(np.abs(predicted_stress - traction)) < 2e-3 * traction.max()
    _, wrong = predict_stack(bare, elasticity, length=planes * SPACING).at(chain)
    assert np.nanmax(np.abs(wrong - traction)) > 0.02 * traction.max()


def test_mode_one_law_derives_from_its_potential():
    law = extract_law(uber(), modulus_for(0.82), length=SPACING).law()
    for opening in (0.05, 0.3, 1.0, 2.5):
        integral, _ = quad(lambda x: float(law.traction(np.array([x]))[0]), 0, opening, epsabs=1e-13, limit=400)
        assert float(law.potential(np.array([opening]))[0]) == pytest.approx(integral, rel=1e-7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: Curve(c.opening[:4], c.energy[:4], c.traction[:4]), "at least six points"),
        (lambda c: Curve(c.opening + 0.1, c.energy, c.traction), "start at 0"),
        (lambda c: Curve(c.opening[::-1], c.energy, c.traction), "ascend"),
        (lambda c: Curve(c.opening, np.where(c.opening > 2, np.nan, c.energy), c.traction), "not finite"),
        (lambda c: Curve(c.opening, -c.energy, c.traction), "must be positive"),
        (lambda c: Curve(c.opening[:8], c.energy[:8], c.traction[:8]), "larger openings"),
    ],
)
def test_unusable_curves_say_why(change, message):
    with pytest.raises(ValueError, match=message):
        fit_separation(change(uber()))


@pytest.mark.parametrize("options", [{"length": -1.0}, {"length": SPACING, "stiffness_cap": 0.5}])
def test_unusable_options_say_why(options):
    with pytest.raises(ValueError, match=r"must be|give at least"):
        extract_law(uber(), modulus_for(0.8), **options)
