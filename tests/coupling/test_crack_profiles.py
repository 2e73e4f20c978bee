"""Opening and traction along a crack's plane against fields in closed form."""

import numpy as np
import pytest

from continuum.laws.exponential import ExponentialLaw
from continuum.stroh import crack_field
from coupling.crack.profiles import (
    PlaneProfile,
    opening_of_sites,
    traction_difference,
    traction_of_field,
    traction_of_law,
    traction_of_triangles,
)
from coupling.errors import ProfileError
from tests.coupling.cracked_crystals import Williams, aluminium, tungsten

SHEAR, POISSON = 1.0, 0.28
STIFFNESS = np.diag([2.0 * SHEAR] * 3 + [SHEAR] * 3) + np.pad(
    np.full((3, 3), 2.0 * SHEAR * POISSON / (1.0 - 2.0 * POISSON)), (0, 3)
)
K = np.array([0.2, 1.0, -0.3])


def small_strain_stress(deformation):
    """Isotropic C : (F − 1), for small F − 1."""
    strain = 0.5 * (deformation + np.swapaxes(deformation, 1, 2)) - np.eye(3)
    lame = 2.0 * SHEAR * POISSON / (1.0 - 2.0 * POISSON)
    return 2.0 * SHEAR * strain + lame * np.trace(strain, axis1=1, axis2=2)[:, None, None] * np.eye(3)


@pytest.fixture(scope="module")
def sites():
    """Sites of bcc (100), which face the middle between two of the other row."""
    return tungsten(half=60.0).reference[:, :2]


@pytest.fixture(scope="module")
def field():
    return Williams(shear=SHEAR, poisson=POISSON)


def test_the_traction_of_the_field_is_that_of_strohs_stress():
    x = np.linspace(-5.0, 30.0, 36) + 0.25
    profile = traction_of_field(x, K, tip=1.5)
    ahead = x > 1.5
    places = np.column_stack([x, np.zeros_like(x)])
    exact = crack_field(STIFFNESS).stress(places[ahead], K, tip=(1.5, 0.0))[:, :, 1]
    # Both are closed forms: rounding.
    np.testing.assert_allclose(profile.traction[ahead], exact, atol=1e-12)
    assert (profile.traction[~ahead] == 0.0).all()
    with pytest.raises(ProfileError, match="singular"):
        traction_of_field([0.0, 1.0], K)


def test_the_opening_of_sites_is_that_of_the_field(sites, field):
    small = 1e-2 * K
    profile = opening_of_sites(sites, field.displacement(sites, small))
    h = 3.165 / 2
    behind = (profile.x < -20.0) & (profile.x > -50.0)
    x = profile.x[behind]
    exact = field.displacement(np.column_stack([x, np.full_like(x, 0.5 * h)]), small)
    exact -= field.displacement(np.column_stack([x, np.full_like(x, -0.5 * h)]), small)
    # Where a row has no site, its displacement is linear between two that are a = 3.2 Å apart: u'' a²/8, 2a²/(64 r²) of the
    # opening, 8e-4 at r = 20 Å.
    np.testing.assert_allclose(profile.opening[behind], exact, rtol=8e-4)
    # On the faces themselves: Δ_y = 4(1 − ν) K/μ √(r/2π), but for the strain of one spacing at r ≫ h.
    faces = 4.0 * (1.0 - POISSON) * small[1] / SHEAR * np.sqrt(-x / (2.0 * np.pi))
    np.testing.assert_allclose(profile.opening[behind, 1], faces, rtol=0.5 * h / 20.0)
    assert np.allclose(np.diff(profile.x), 3.165 / 2)


def test_facing_sites_need_no_interpolation():
    x = np.arange(-5.0, 6.0)
    places = np.concatenate([np.column_stack([x, 0 * x + y]) for y in (-1.5, -0.5, 0.5, 1.5)])
    moved = np.zeros((len(places), 3))
    upper = places[:, 1] == 0.5
    moved[upper] = np.column_stack([np.sin(x), np.cos(x), x])
    moved[places[:, 1] == 1.5] = 100.0
    moved[places[:, 1] == -0.5, 1] = -2.0
    profile = opening_of_sites(places, moved)
    np.testing.assert_array_equal(profile.x, x)
    np.testing.assert_allclose(profile.opening, np.column_stack([np.sin(x), np.cos(x) + 2.0, x]), atol=1e-15)


@pytest.mark.parametrize("make", [tungsten, aluminium])
def test_triangles_carry_a_homogeneous_strain_exactly(make):
    places = make(half=25.0).reference[:, :2]
    gradient = 1e-3 * np.array([[1.0, 2.0], [-0.5, 3.0], [0.7, -1.1]])
    profile = traction_of_triangles(places, places @ gradient.T + [0.1, 0.2, 0.3], small_strain_stress)
    deformation = np.eye(3)
    deformation[:, :2] += gradient
    expected = small_strain_stress(deformation[None])[0, :, 1]
    np.testing.assert_allclose(profile.traction, np.broadcast_to(expected, profile.traction.shape), atol=1e-14)
    # The strip between rows of m and n sites has m + n − 2 triangles, one more than it has pairs of neighbours.
    low, high = (np.abs(places[:, 1] - side * np.abs(places[:, 1]).min()) < 0.01 for side in (-1, 1))
    assert len(profile.x) == low.sum() + high.sum() - 3
    assert (np.diff(profile.x) >= 0.0).all()


def test_the_traction_is_the_column_of_the_piola_stress_that_belongs_to_the_normal(sites):
    """P_iY is the force along i per area with the undeformed normal y; P is not symmetric."""

    def stress(deformation):
        assert deformation.shape[1:] == (3, 3)
        np.testing.assert_array_equal(deformation, np.broadcast_to(np.eye(3), deformation.shape))
        return np.tile(np.arange(9.0).reshape(3, 3), (len(deformation), 1, 1))

    profile = traction_of_triangles(sites, np.zeros((len(sites), 3)), stress)
    np.testing.assert_array_equal(profile.traction, np.tile([1.0, 4.0, 7.0], (len(profile.x), 1)))


def test_triangles_of_a_k_field_have_its_traction(sites, field):
    small = 1e-3 * K
    profile = traction_of_triangles(sites, field.displacement(sites, small), small_strain_stress, ahead_of=0.0)
    exact = traction_of_field(profile.x, small)
    errors = [traction_difference(profile, exact, within=far) for far in ((8.0, 12.0), (16.0, 24.0), (32.0, 48.0))]
    # Second order in h/r: a quarter at twice the distance; 0.6% where r is six spacings h = 1.6 Å.
    assert errors[0] < 0.008
    assert errors[1] == pytest.approx(errors[0] / 4.0, rel=0.15)
    assert errors[2] == pytest.approx(errors[1] / 4.0, rel=0.15)
    # The sign of each mode is its own.
    assert (np.sign(profile.traction_at([20.0])[0]) == np.sign(K)).all()
    assert profile.x.min() > 0.0


def test_a_law_answers_the_opening_in_mixed_mode():
    law = ExponentialLaw(fracture_energy=0.2, peak_traction=0.1)
    opening = np.array([[0.0, 0.0, 0.0], [0.0, 0.7, 0.0], [0.3, 0.4, 0.0], [0.0, 0.6, -0.8], [0.2, -0.1, 0.0]])
    known = PlaneProfile(name="atoms", x=np.arange(5.0), opening=opening)
    answered = traction_of_law(known, law.traction)
    assert answered.traction[1, 1] == pytest.approx(float(law.traction([0.7])[0]))
    # The same as the interface of finite elements has it: normal component first there.
    jump = opening[:4, [1, 0, 2]]
    reference = law.evaluate(jump, np.zeros((4, 1))).traction[:, [1, 0, 2]]
    np.testing.assert_allclose(answered.traction[:4], reference, atol=1e-15)
    # Faces in contact: the law knows the shear, not the normal traction.
    assert np.isnan(answered.traction[4, 1])
    assert answered.traction[4, 0] == pytest.approx(float(law.traction([0.2])[0]))
    with pytest.raises(ProfileError, match="no opening"):
        traction_of_law(traction_of_field([1.0], K), law.traction)


def test_profiles_are_compared_where_both_are_known():
    x = np.linspace(1.0, 10.0, 10)
    first = traction_of_field(x, K)
    double = PlaneProfile(name="double", x=x[2:], traction=2.0 * first.traction[2:])
    assert traction_difference(double, first, within=(0.0, 20.0)) == pytest.approx(1.0)
    assert traction_difference(first, double, within=(0.0, 20.0)) == pytest.approx(0.5)
    assert np.isnan(double.traction_at([1.5])).all()
    with pytest.raises(ProfileError, match="share no place"):
        traction_difference(double, first, within=(20.0, 30.0))
    with pytest.raises(ProfileError, match="has no tractions"):
        PlaneProfile(name="empty", x=x).traction_at(x)


def test_what_is_no_profile_is_refused(sites):
    with pytest.raises(ProfileError, match=r"expected \(n, 2\) and \(n, 3\)"):
        opening_of_sites(sites, np.zeros((3, 3)))
    with pytest.raises(ProfileError, match="finite"):
        opening_of_sites(sites, np.full((len(sites), 3), np.nan))
    above = sites[sites[:, 1] > 0.0]
    with pytest.raises(ProfileError, match="no site lies below"):
        opening_of_sites(above, np.zeros((len(above), 3)))
    with pytest.raises(ProfileError, match="no two triangles of sites lie beyond"):
        traction_of_triangles(sites, np.zeros((len(sites), 3)), small_strain_stress, ahead_of=1e3)
    with pytest.raises(ProfileError, match="must rise"):
        PlaneProfile(name="backward", x=np.array([1.0, 0.0]))
    with pytest.raises(ProfileError, match=r"opening of the profile 'short' has the shape \(1, 3\)"):
        PlaneProfile(name="short", x=np.arange(2.0), opening=np.zeros((1, 3)))
