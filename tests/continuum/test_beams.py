"""Beam estimates against the published specimen of Alfano (2006) and against themselves."""

import numpy as np
import pytest

from continuum.beams import (
    DoubleCantileverEstimate,
    EndNotchedFlexureEstimate,
    MixedModeBendingEstimate,
    benzeggagh_kenane,
    cohesive_zone_length,
)
from continuum.errors import ContinuumError

# Alfano 2006: mm, N, MPa; per width of 20 mm. E' = E/(1−ν²), shear modulus E/2(1+ν).
ALFANO = DoubleCantileverEstimate(
    modulus=70e3 / (1 - 0.09),
    transverse_modulus=70e3 / (1 - 0.09),
    shear_modulus=70e3 / 2.6,
    fracture_energy=0.5,
    arm_height=1.5,
    initial_crack=30.0,
)


@pytest.mark.parametrize(("opening", "load"), [(4.0, 58.880), (8.0, 41.635), (12.0, 33.994)])
def test_envelope_of_alfano(opening, load):
    assert 20.0 * ALFANO.envelope(opening) == pytest.approx(load, abs=6e-4)


@pytest.mark.parametrize("corrected", [False, True])
def test_onset_lies_on_the_envelope(corrected):
    """At onset the initial crack's line P = 3ΔE'I/2a³ meets the envelope."""
    opening, load = ALFANO.onset(corrected=corrected)
    assert load == pytest.approx(float(ALFANO.envelope(opening)), rel=1e-12)
    assert ALFANO.crack_length(opening, corrected=corrected) == pytest.approx(30.0, rel=1e-12)
    assert ALFANO.crack_length(4 * opening, corrected=False) == pytest.approx(
        2 * np.sqrt(opening / ALFANO.onset(corrected=False)[0]) * 30.0, rel=1e-12
    )


def test_root_correction_of_an_isotropic_beam():
    """χ of Williams: Γ = 1.18·2(1+ν)/(1−ν²)= 3.371 for ν = 0.3, χ = 0.68."""
    gamma = 1.18 * 2.6 / 0.91
    assert ALFANO.root_correction == pytest.approx(
        np.sqrt(2.6 / 0.91 / 11 * (3 - 2 * (gamma / (1 + gamma)) ** 2)), rel=1e-12
    )
    assert 0.6 < ALFANO.root_correction < 0.75


def test_cohesive_zone_length():
    assert cohesive_zone_length(modulus=70e3, fracture_energy=0.5, peak_traction=30.0) == pytest.approx(38.89, abs=0.01)


# AS4/PEEK of Reeder and Crews (1990) as used by Camanho and Dávila (2002), NASA/TM-2002-211737: N, mm.
PEEK = {"modulus": 122.7e3, "transverse_modulus": 10.1e3, "shear_modulus": 5.5e3, "arm_height": 1.56}
TOUGHNESS = benzeggagh_kenane(mode_1=0.969, mode_2=1.719, exponent=2.284)


def notched(crack=39.3):
    return EndNotchedFlexureEstimate(**PEEK, initial_crack=crack, half_span=51.0, fracture_energy=1.719)


def mixed(lever, crack=34.1):
    return MixedModeBendingEstimate(**PEEK, initial_crack=crack, half_span=51.0, lever=lever, toughness=TOUGHNESS)


def doubled(crack=32.9):
    return DoubleCantileverEstimate(**PEEK, initial_crack=crack, fracture_energy=0.969)


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize(
    "beam", [doubled(), notched(), mixed(44.4), mixed(109.4)], ids=["dcb", "enf", "mmb", "mmb long"]
)
def test_release_is_the_derivative_of_the_compliance(beam, corrected):
    """G = ½P² dC/da (Irwin and Kies 1954) at the critical load is the toughness of that mode mix: any slip of a factor shows."""
    crack, step = 40.0, 1e-3
    rise = beam.compliance(crack + step, corrected=corrected) - beam.compliance(crack - step, corrected=corrected)
    release = 0.5 * beam.critical_load(crack, corrected=corrected) ** 2 * rise / (2 * step)
    if isinstance(beam, MixedModeBendingEstimate):
        expected = TOUGHNESS(beam.mode_mix(crack, corrected=corrected))
    else:
        expected = beam.fracture_energy
    assert release == pytest.approx(float(expected), rel=1e-8)


def test_notched_flexure_as_published():
    """Without corrections: Δ = P(2L³ + 3a³)/(96EI) and G_II = 9P²a²/(16Eh³) per width."""
    beam, load = notched(), 17.0
    inertia = 1.56**3 / 12
    assert load * beam.compliance(40.0, corrected=False) == pytest.approx(
        load * (2 * 51.0**3 + 3 * 40.0**3) / (96 * 122.7e3 * inertia), rel=1e-12
    )
    load = beam.critical_load(40.0, corrected=False)
    assert 9 * load**2 * 40.0**2 / (16 * 122.7e3 * 1.56**3) == pytest.approx(1.719, rel=1e-12)
    assert beam.crack_length(beam.critical_load(41.0)) == pytest.approx(41.0, rel=1e-12)


@pytest.mark.parametrize("corrected", [False, True])
def test_notched_flexure_snaps_back_below_its_stable_length(corrected):
    """The deflection of an advancing crack has its minimum at the stable length: L/∛3 without corrections."""
    beam = notched()
    stable = beam.stable_crack(corrected=corrected)
    if not corrected:
        assert stable == pytest.approx(51.0 / 3 ** (1 / 3), rel=1e-12)
    cracks = stable + np.array([-1.0, -1e-3, 0.0, 1e-3, 1.0])
    deflection = beam.propagation(cracks, corrected=corrected).displacement
    assert (np.diff(deflection)[:2] < 0).all()
    assert (np.diff(deflection)[2:] > 0).all()
    assert notched(stable - 2.0).snaps_back
    assert not notched(39.3).snaps_back


@pytest.mark.parametrize("corrected", [False, True])
def test_shortest_lever_bends_in_mode_two(corrected):
    """At c = L/3 mid-span bears 4P/3 and the arms' ends nothing apart: the notched specimen."""
    beam, pure = mixed(51.0 / 3), notched(34.1)
    assert beam.opening_share == pytest.approx(0.0, abs=1e-15)
    assert beam.mode_mix(40.0, corrected=corrected) == pytest.approx(1.0, rel=1e-12)
    assert beam.critical_load(40.0, corrected=corrected) * 4 / 3 == pytest.approx(
        pure.critical_load(40.0, corrected=corrected), rel=1e-12
    )
    assert beam.compliance(40.0, corrected=corrected) == pytest.approx(
        16 / 9 * pure.compliance(40.0, corrected=corrected), rel=1e-12
    )


def test_lever_against_the_published_ratio():
    """G_I/G_II = (4/3)[(3c − L)/(c + L)]² (Reeder and Crews 1990), 12 for a long lever; its end and bending shares balance."""
    for lever in (30.0, 44.4, 109.4):
        beam = mixed(lever)
        mix = float(beam.mode_mix(34.1, corrected=False))
        assert (1 - mix) / mix == pytest.approx(4 / 3 * ((3 * lever - 51.0) / (lever + 51.0)) ** 2, rel=1e-12)
        # Half the difference of the forces on the two arms' ends: c/L up on the upper, (L − c)/2L up on the lower.
        assert beam.opening_share == pytest.approx(0.5 * (beam.end_share - (51.0 - lever) / 102.0), rel=1e-12)
    assert mixed(1e9).mode_mix(34.1, corrected=False) == pytest.approx(1 / 13, rel=1e-6)


def test_double_cantilever_propagation_is_its_envelope():
    branch = doubled().propagation(np.array([33.0, 40.0, 60.0]))
    np.testing.assert_allclose(branch.load, doubled().envelope(branch.displacement), rtol=1e-12)


@pytest.mark.parametrize("make", [lambda: notched(51.0), lambda: mixed(44.4, crack=60.0), lambda: mixed(16.0)])
def test_refuses_what_the_formulas_do_not_cover(make):
    with pytest.raises(ContinuumError, match="expected"):
        make()
