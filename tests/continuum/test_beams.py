"""Beam estimates against the published specimen of Alfano (2006) and against themselves."""

import numpy as np
import pytest

from continuum.beams import DoubleCantileverEstimate, cohesive_zone_length

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
