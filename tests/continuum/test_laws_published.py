"""Mixed-mode laws against what their papers state, and parameters that make no law."""

from itertools import pairwise

import numpy as np
import pytest
from law_cases import (
    PEAK,
    WORK,
    alfano_sacco,
    dugdale,
    gamma_surface,
    lennard_jones,
    ppr,
    travel,
    turon,
    van_den_bosch,
    xu_needleman,
)

from continuum.errors import LawError
from continuum.laws import (
    AlfanoSaccoLaw,
    DugdaleMaugisLaw,
    GammaSurfaceLaw,
    LennardJonesLaw,
    MixedBilinearLaw,
    ParkPaulinoRoeslerLaw,
    VanDenBoschLaw,
    XuNeedlemanLaw,
)


def leg(start, end, steps=1000):
    return np.linspace(start, end, steps + 1)[:, None, :]


def test_turon_onset_and_final_opening():
    law = turon(exponent=1.45)
    share = 0.4
    b = share**1.45
    first = np.sqrt(PEAK**2 * (1.0 - b) + (1.3 * PEAK) ** 2 * b)  # K = 1: onset openings are strengths
    last = 2.0 * (WORK + WORK * b) / first
    direction = np.array([np.sqrt(1.0 - share), np.sqrt(share)])
    assert law.onset(np.array([share]))[0] == pytest.approx(first, rel=1e-12)

    def size(opening):
        return np.linalg.norm(law.evaluate(opening * direction[None, :], law.fresh(1)).traction)

    assert size(0.999 * first) == pytest.approx(0.999 * first, rel=1e-9)
    assert size(1.001 * first) == pytest.approx(first * (last - 1.001 * first) / (last - first), rel=1e-6)
    assert size(0.999 * last) == pytest.approx(first * 0.001 * last / (last - first), rel=1e-6)
    assert size(1.001 * last) == 0.0


def test_power_criterion_has_the_quadratic_onset():
    law = turon("power", 2.0)
    for angle in (0.2, 0.8, 1.4):
        direction = np.array([[np.cos(angle), np.sin(angle)]])
        onset = law.onset(np.array([np.sin(angle) ** 2]))[0]
        force = law.evaluate(onset * direction, law.fresh(1)).traction[0]
        assert (force[0] / PEAK) ** 2 + (force[1] / (1.3 * PEAK)) ** 2 == pytest.approx(1.0, rel=1e-9)


def test_xu_needleman_peaks_and_total_work():
    law = xu_needleman(q=0.5, unloading="reversible")
    length, slide = law.opening_at_peak, law.shear_length
    assert np.e * PEAK * length == pytest.approx(WORK)
    assert np.sqrt(np.e / 2.0) * 0.8 * PEAK * slide == pytest.approx(0.5 * WORK)
    at_peak = law.evaluate(np.array([[0.0, slide / np.sqrt(2.0)]]), law.fresh(1))
    assert at_peak.traction[0, 1] == pytest.approx(0.8 * PEAK, rel=1e-9)
    assert at_peak.tangent[0, 1, 1] == pytest.approx(0.0, abs=1e-12)
    # Sliding first spends φ_t, opening then what is left of φ_n (van den Bosch et al. 2006).
    slid, apart = [0.0, 6.0 * slide], [30.0 * length, 6.0 * slide]
    first, second = travel(law, leg([0.0, 0.0], slid))[0], travel(law, leg(slid, apart))[0]
    assert first[0] == pytest.approx(0.5 * WORK, rel=2e-4)
    assert second[0] == pytest.approx(0.5 * WORK, rel=5e-4)


def test_van_den_bosch_opening_then_sliding():
    law, x = van_den_bosch(), np.array([0.5, 1.0, 3.0])
    opened = np.column_stack([x * law.opening_at_peak, np.zeros(3)])
    slid = opened + np.array([0.0, 6.0 * law.shear_length])
    share = np.linspace(0.0, 1.0, 1001)[:, None, None]
    work, answers = travel(law, np.concatenate([share * opened, opened + share[1:] * (slid - opened)]))
    # Opening spends φ_n [1 − (1 + x)e^{−x}], sliding at that opening φ_t (1 + x)e^{−x}, and nothing is left.
    left = (1.0 + x) * np.exp(-x)
    assert work == pytest.approx(WORK * (1.0 - left) + 2.0 * WORK * left, rel=1e-4)
    assert answers[-1].dissipated == pytest.approx(work, rel=1e-4)
    assert answers[-1].traction == pytest.approx(np.zeros((3, 2)), abs=1e-9 * PEAK)


@pytest.mark.parametrize(("first", "second"), [(1.0, 2.0), (2.0, 1.0), (1.0, 1.0)])
def test_ppr_boundary_conditions(first, second):
    law = ppr(first, second)
    ends = np.array([[law.final_opening, 0.0], [0.0, law.final_sliding], [2.0 * law.final_opening, 0.0]])
    assert law.evaluate(ends, law.fresh(3)).traction == pytest.approx(np.zeros((3, 2)), abs=1e-9 * PEAK)
    peaks = np.array([[law.opening_at_peak, 0.0], [0.0, law.sliding_at_peak]])
    at_peak = law.evaluate(peaks, law.fresh(2))
    assert at_peak.traction.diagonal() == pytest.approx([PEAK, 1.3 * PEAK], rel=1e-9)
    assert at_peak.tangent[[0, 1], [0, 1], [0, 1]] == pytest.approx([0.0, 0.0], abs=1e-9 * law.initial_stiffness)
    if second > first:
        # Sliding by δ̄_t, where Γ_t g_t + ⟨φ_t − φ_n⟩ = 0, ends the normal traction.
        beta, n = law.shear_exponents
        y = np.linspace(0.0, 1.0, 200001)
        conjugate = y[np.argmin(np.abs((1.0 - y) ** beta * (1.0 + beta * y / n) ** n - (1.0 - first / second)))]
        for factor, holds in ((0.98, True), (1.02, False)):
            point = np.array([[law.opening_at_peak, factor * conjugate * law.final_sliding]])
            assert (law.evaluate(point, law.fresh(1)).traction[0, 0] > 0.0) == holds


def test_ppr_softens_in_a_straight_line_at_shape_two():
    law = ParkPaulinoRoeslerLaw(
        fracture_energy=WORK,
        shear_fracture_energy=WORK,
        peak_traction=PEAK,
        shear_peak=PEAK,
        shape=2.0,
        shear_shape=2.0,
        slope=1e-4,
        shear_slope=1e-4,
    )
    assert law.final_opening == pytest.approx(2.0 * WORK / PEAK, rel=1e-3)
    openings = law.final_opening * np.array([0.25, 0.5, 0.75])
    assert law.traction(openings) == pytest.approx(PEAK * np.array([0.75, 0.5, 0.25]), rel=2e-3)


def test_dugdale_is_constant_up_to_its_cut_off():
    law = dugdale()
    h, s = WORK / PEAK, law.smoothing
    assert law.traction(np.linspace(s * h, h, 50)) == pytest.approx(np.full(50, PEAK), rel=1e-9)
    assert law.traction([(1.0 + 0.5 * s) * h])[0] == pytest.approx(0.5 * PEAK, rel=1e-9)
    assert law.traction([(1.0 + s) * h, 3.0 * h]) == pytest.approx([0.0, 0.0], abs=1e-15)
    assert law.evaluate(np.array([[0.3, 5.0, -2.0]]), law.fresh(1)).traction[0, 1:].tolist() == [0.0, 0.0]


def test_lennard_jones_peak_wall_and_pole():
    law = lennard_jones()
    assert law.peak_traction == pytest.approx(16.0 * WORK / (9.0 * np.sqrt(3.0) * 2.5), rel=1e-12)  # Greenwood 1997
    assert law.opening_at_peak == pytest.approx(2.5 * (3.0 ** (1.0 / 6.0) - 1.0), rel=1e-12)
    z = np.array([2.2, 2.5, 3.0, 6.0])
    wall = lennard_jones((4.0, 10.0))
    s = 2.5 / z
    assert wall.potential(z - 2.5) == pytest.approx(WORK * (1.0 - 1.5 * s**3 + 0.5 * s**9), abs=1e-15)
    # A straight line beyond `closest`: no pole on the way to any opening.
    pressed = law.traction([-0.6, -1.0, -1.4, -9.0])
    assert np.isfinite(pressed).all()
    assert (np.diff(pressed) < 0.0).all()
    assert pressed[0] - pressed[1] == pytest.approx(pressed[1] - pressed[2], rel=1e-9)


def test_gamma_surface_is_that_of_sun_beltz_and_rice():
    law, p = gamma_surface(dilation=0.1), 0.1
    w, q, b, l = WORK, 0.3, 2.8, 0.5  # noqa: E741
    x, y = np.meshgrid([0.0, 0.4, 1.5], [0.3, 1.4, 2.0, 3.5])
    jump = np.column_stack([l * x.ravel(), y.ravel()])
    theta, s = x.ravel(), np.sin(np.pi * y.ravel() / b) ** 2
    across = (q - p) / (1.0 - p)
    normal = (w / l) * ((1.0 - across * s) * theta - s * p * (1.0 - q) / (1.0 - p)) * np.exp(-theta)
    amplitude = np.pi * w / b * (q - q * (1.0 - np.exp(-theta)) + across * theta * np.exp(-theta))
    shear = amplitude * np.sin(2.0 * np.pi * y.ravel() / b)
    found = law.evaluate(jump, law.fresh(len(jump))).traction
    assert found == pytest.approx(np.column_stack([normal, shear]), abs=1e-14)
    # Halfway through the slip no normal traction acts at the opening p l; a period later all is as before.
    halfway = law.evaluate(np.array([[p * l, b / 2.0]]), law.fresh(1)).traction
    assert halfway == pytest.approx(np.zeros((1, 2)), abs=1e-14)
    moved = law.evaluate(np.array([[0.2, 0.3 + b, 0.4 - 4.9]]), law.fresh(1))
    same = law.evaluate(np.array([[0.2, 0.3, 0.4]]), law.fresh(1))
    assert moved.traction == pytest.approx(same.traction, abs=1e-14)
    assert moved.stored == pytest.approx(same.stored, abs=1e-15)


def test_alfano_sacco_friction_loop():
    law = alfano_sacco(friction=0.4)
    pressed, amplitude = -0.05, 3.0
    pressure = law.penalty * 0.05
    broken = travel(law, np.concatenate([leg([0.0, 0.0], [6.0, 0.0]), leg([6.0, 0.0], [pressed, 0.0])[1:]]))[1][-1]
    assert broken.dissipated[0] == pytest.approx(WORK, rel=1e-6)
    history = law.evaluate(np.array([[pressed, amplitude]]), broken.history_new).history_new
    start = law.evaluate(np.array([[pressed, amplitude]]), history)
    assert start.traction[0, 1] == pytest.approx(0.4 * pressure, rel=1e-12)
    spent, work, before = start.dissipated[0], 0.0, start
    turns = np.concatenate([np.linspace(amplitude, -amplitude, 401), np.linspace(-amplitude, amplitude, 401)[1:]])
    for a, b in pairwise(turns):
        after = law.evaluate(np.array([[pressed, b]]), before.history_new)
        work += 0.5 * (before.traction[0, 1] + after.traction[0, 1]) * (b - a)
        before = after
    # Each way the slip is the travel less the elastic part on both sides of the turn.
    slip = 2.0 * (2.0 * amplitude - 2.0 * 0.4 * pressure / law.shear_stiffness)
    assert before.dissipated[0] - spent == pytest.approx(0.4 * pressure * slip, rel=1e-9)
    assert work == pytest.approx(0.4 * pressure * slip, rel=2e-3)
    assert before.history_new[0, 4] == pytest.approx(before.dissipated[0] - broken.dissipated[0], rel=1e-9)


def test_alfano_sacco_shear_under_pressure():
    law = alfano_sacco(friction=0.4)
    pressure = law.penalty * 0.05
    path = np.concatenate([leg([0.0, 0.0], [-0.05, 0.0], 1), leg([-0.05, 0.0], [-0.05, 6.0], 2000)[1:]])
    work, answers = travel(law, path)
    last = answers[-1]
    assert last.traction[0, 1] == pytest.approx(0.4 * pressure, rel=1e-12)
    assert last.damage[0] == 1.0
    # G_II and friction on the share that is broken: ∫ D μ p dδ with D from the bilinear law without friction.
    sliding = path[:, 0, 1]
    intact = law.shear_stiffness * sliding
    free = alfano_sacco(friction=0.0)
    damage = np.zeros(len(sliding))
    answer = free.evaluate(np.column_stack([np.zeros_like(sliding), sliding]), free.fresh(len(sliding)))
    damage[1:] = 1.0 - answer.traction[1:, 1] / np.maximum(intact[1:], 1e-12)
    damage[sliding <= 0.0] = 0.0
    expected = 2.0 * WORK + np.trapezoid(damage * 0.4 * pressure, sliding)
    assert work[0] - last.contact[0] == pytest.approx(expected, rel=1e-3)
    assert last.stored[0] == pytest.approx((0.4 * pressure) ** 2 / (2.0 * law.shear_stiffness), rel=1e-9)


GIVEN = {"fracture_energy": 1.0, "shear_fracture_energy": 2.0, "peak_traction": 1.0, "shear_peak": 1.0}


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: MixedBilinearLaw(**GIVEN, initial_stiffness=0.4), "raise it"),
        (lambda: MixedBilinearLaw(**GIVEN, initial_stiffness=9.0, exponent=0.5), "at least 1"),
        (lambda: MixedBilinearLaw(**GIVEN, initial_stiffness=9.0, criterion="linear"), "'benzeggagh-kenane' or"),
        (lambda: XuNeedlemanLaw(fracture_energy=1.0, peak_traction=1.0, q=0.5, r=1.0), "pole"),
        (lambda: XuNeedlemanLaw(fracture_energy=1.0, peak_traction=1.0, q=0.5, r=0.2), "take those"),
        (lambda: XuNeedlemanLaw(fracture_energy=1.0, peak_traction=1.0, q=-1.0), "q = -1.0"),
        (lambda: VanDenBoschLaw(**(GIVEN | {"shear_peak": 0.0})), "shear_peak = 0.0"),
        (lambda: ParkPaulinoRoeslerLaw(**GIVEN, shape=1.0), "shape = 1.0"),
        (lambda: ParkPaulinoRoeslerLaw(**GIVEN, slope=0.7), "slope = 0.7"),
        (lambda: ParkPaulinoRoeslerLaw(**GIVEN, slope=0.5), "rise before it falls"),
        (lambda: ParkPaulinoRoeslerLaw(**GIVEN, unloading="reversible"), "equal energies"),
        (lambda: DugdaleMaugisLaw(work=1.0, peak_traction=1.0, smoothing=0.6), "less than 0.5"),
        (lambda: LennardJonesLaw(work=1.0, distance=2.0, exponents=(9.0, 3.0)), "1 < m < n"),
        (lambda: LennardJonesLaw(work=1.0, distance=2.0, closest=1.0), "less than 1"),
        (lambda: GammaSurfaceLaw(work=1.0, length=1.0, unstable_energies=[0.1], periods=[]), "one of each"),
        (lambda: GammaSurfaceLaw(work=1.0, length=1.0, unstable_energies=[0.1], periods=[1.0], dilation=1.0), "share"),
        (
            lambda: GammaSurfaceLaw(work=1.0, length=1.0, unstable_energies=[0.1], periods=[1.0]).evaluate(
                np.zeros((1, 3)), np.zeros((1, 1))
            ),
            "2 tangents",
        ),
        (lambda: AlfanoSaccoLaw(**GIVEN, initial_stiffness=9.0, friction=-0.1), "Coulomb"),
        (lambda: AlfanoSaccoLaw(**GIVEN, initial_stiffness=0.4, friction=0.1), "raise it"),
    ],
)
def test_mistakes_are_named(build, words):
    with pytest.raises(LawError, match=words):
        build()
