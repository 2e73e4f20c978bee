"""Closed forms of adhesive contact against their limits and published fits, and finite elements against the closed forms."""

import numpy as np
import pytest
from mpi4py import MPI
from scipy.integrate import quad

from continuum.adhesive_contact import CylinderContact, SphereContact, contact_modulus, indentation_modulus
from continuum.contact_bodies import build_contact, dugdale_law, plan_contact
from continuum.contact_path import ContactRun, reached, touching_opening
from continuum.errors import ContactError, MeshError
from continuum.laws import ExponentialLaw, FrictionlessLaw
from continuum.materials import LinearElastic
from continuum.mesh import half_space

R, E, W = 1000.0, 1.0, 0.05
K = 4.0 * E / 3.0
LAMBDAS = (0.1, 0.3, 1.0, 3.0, 10.0)


def contact(kind, parameter):
    strength = 0.5 * parameter * (np.pi * W * K**2 / R) ** (1 / 3)
    return kind(radius=R, modulus=E, work=W, strength=strength)


@pytest.mark.parametrize("parameter", LAMBDAS)
def test_maugis_parameter_and_tabor(parameter):
    """λ = 2(9/16π)^⅓ μ = 1.127 μ where the range of attraction is the same h₀."""
    sphere = contact(SphereContact, parameter)
    assert sphere.maugis_lambda == pytest.approx(parameter, rel=1e-12)
    assert sphere.maugis_lambda / sphere.tabor == pytest.approx(2.0 * (9.0 / (16.0 * np.pi)) ** (1 / 3), rel=1e-12)


@pytest.mark.parametrize("parameter", LAMBDAS)
def test_pull_off_of_a_sphere_against_the_published_fit(parameter):
    """Carpick, Ogletree and Salmeron (1999), J. Colloid Interface Sci. 211, 395: −7/4 + ¼(4.04λ^1.4 − 1)/(4.04λ^1.4 + 1)."""
    grown = 4.04 * parameter**1.4
    fit = 7.0 / 4.0 - 0.25 * (grown - 1.0) / (grown + 1.0)
    assert contact(SphereContact, parameter).pull_off / (np.pi * W * R) == pytest.approx(fit, rel=0.02)


@pytest.mark.parametrize("parameter", LAMBDAS)
def test_contact_radius_at_zero_load_against_the_published_fit(parameter):
    """The same: a₀/(πwR²/K)^⅓ = 1.54 + 0.279 (2.28λ^1.3 − 1)/(2.28λ^1.3 + 1)."""
    sphere, scale = contact(SphereContact, parameter), (np.pi * W * R**2 / K) ** (1 / 3)
    radius = np.linspace(1.0, 2.2, 400) * scale
    found = np.interp(0.0, sphere.dugdale(radius).load, radius) / scale
    grown = 2.28 * parameter**1.3
    assert found == pytest.approx(1.54 + 0.279 * (grown - 1.0) / (grown + 1.0), rel=0.015)


def test_limits_of_a_sphere():
    soft, stiff = contact(SphereContact, 30.0), contact(SphereContact, 1e-3)
    a = np.array([0.7, 1.0, 1.8]) * soft.jkr_radius
    assert soft.jkr_pull_off == pytest.approx(1.5 * np.pi * W * R, rel=1e-12)
    np.testing.assert_allclose(soft.dugdale(a).load, soft.jkr(a).load, rtol=3e-3, atol=3e-3 * soft.jkr_pull_off)
    np.testing.assert_allclose(soft.dugdale(a).approach, soft.jkr(a).approach, atol=3e-3 * a[0] ** 2 / R)
    assert stiff.pull_off == pytest.approx(stiff.dmt_pull_off, rel=2e-3)
    np.testing.assert_allclose(stiff.dugdale(a).load, stiff.dmt(a).load, rtol=3e-3, atol=5e-3 * stiff.dmt_pull_off)


@pytest.mark.parametrize("parameter", [0.1, 1.0, 5.0])
def test_branches_of_a_sphere_meet_where_it_touches(parameter):
    sphere = contact(SphereContact, parameter)
    apart, touching = sphere.apart(sphere.touching_zone), sphere.dugdale(1e-5 * sphere.touching_zone)
    for name in ("load", "approach", "zone"):
        assert getattr(apart, name)[0] == pytest.approx(getattr(touching, name)[0], rel=1e-4)


@pytest.mark.parametrize("kind", [SphereContact, CylinderContact])
def test_jkr_releases_the_work_of_adhesion(kind):
    """What JKR's load lacks of Hertz's pulls as a flat punch does; at its edge G = K²/2E* = w."""
    what = contact(kind, 1.0)
    a = np.array([0.5, 1.0, 2.0]) * what.jkr_radius
    excess = what.hertz(a).load - what.jkr(a).load
    # Stress intensity of a flat punch pulled by P': round P'/(2a√(πa)), long P'/√(πa).
    intensity = excess / (2.0 * a * np.sqrt(np.pi * a)) if kind is SphereContact else excess / np.sqrt(np.pi * a)
    np.testing.assert_allclose(intensity**2 / (2.0 * E), W, rtol=1e-12)


def test_limits_of_a_cylinder():
    narrow, wide = contact(CylinderContact, 30.0), contact(CylinderContact, 1e-3)
    a = np.array([0.7, 1.0, 1.8]) * narrow.jkr_radius
    assert narrow.jkr_pull_off == pytest.approx(3.0 * (np.pi * E * W**2 * R / 16.0) ** (1 / 3), rel=1e-12)
    np.testing.assert_allclose(narrow.dugdale(a).load, narrow.jkr(a).load, atol=2e-3 * narrow.jkr_pull_off)
    # Without elasticity the zone reaches to where the parabola is h₀ high: P = 2σ₀√(2Rh₀) (Bradley's way of counting).
    assert wide.pull_off == pytest.approx(2.0 * wide.strength * np.sqrt(2.0 * R * wide.range), rel=0.01)


@pytest.mark.parametrize("parameter", [0.3, 1.0, 3.0])
def test_separation_at_the_end_of_a_cylinders_zone_by_quadrature(parameter):
    """Baney and Hui's condition from the slope (2σ₀/πE*) ln((S + t)/(S − t)) + √(x² − a²)/R, t² = x² − a², integrated."""
    cylinder = contact(CylinderContact, parameter)
    a = cylinder.jkr_radius
    c = float(cylinder.dugdale(a).zone[0])
    end = np.sqrt(c**2 - a**2)

    def slope(x):
        t = np.sqrt(x**2 - a**2)
        return t / R + 2.0 * cylinder.strength / (np.pi * E) * np.log((end + t) / (end - t))

    assert quad(slope, a, c, limit=200)[0] == pytest.approx(cylinder.range, rel=1e-6)


def test_moduli():
    half_space_stiffness = LinearElastic.isotropic(E=2.0, nu=0.3).stiffness
    assert indentation_modulus(half_space_stiffness) == pytest.approx(2.0 / 0.91, rel=1e-12)
    assert contact_modulus((2.0, 0.3), (2.0, 0.3)) == pytest.approx(1.0 / 0.91, rel=1e-12)
    with pytest.raises(ContactError, match="expected E > 0"):
        contact_modulus((-1.0, 0.3))


@pytest.mark.parametrize("name", ["radius", "modulus", "work", "strength"])
def test_contacts_that_are_none(name):
    good = {"radius": R, "modulus": E, "work": W, "strength": 0.1}
    with pytest.raises(ContactError, match=f"{name} = -1"):
        SphereContact(**(good | {name: -1.0}))


def test_the_half_space_has_its_parts():
    mesh = half_space(MPI.COMM_SELF, size=400.0, reach=20.0, fine_size=0.5, fine_to=12.0)
    x = mesh.mesh.geometry.x
    assert x[:, 1].min() == pytest.approx(-400.0)
    assert x[:, 1].max() == pytest.approx(0.5)
    along = np.unique(np.round(x[np.abs(x[:, 1]) < 1e-12, 0], 9))
    steps = np.diff(along)
    assert steps[along[:-1] < 11.9].max() <= 0.5 + 1e-9
    # Neighbours along the surface differ by the growth and the rounding to whole cells.
    assert (steps[1:] / steps[:-1]).max() < 1.7
    assert len(mesh.interfaces["contact"].side_1) == np.sum(along < 20.0 - 1e-9)
    with pytest.raises(MeshError, match="expected 0 <= fine_from"):
        half_space(MPI.COMM_SELF, size=10.0, reach=20.0, fine_size=0.5)
    with pytest.raises(MeshError, match="fine_size"):
        half_space(MPI.COMM_SELF, size=100.0, reach=20.0, fine_size=-0.5)


def test_dugdales_law_keeps_its_work_and_touches_within_its_flank():
    what = contact(SphereContact, 1.0)
    law = dugdale_law(what)
    assert law.fracture_energy == pytest.approx(W, rel=1e-9)
    assert law.peak_traction == pytest.approx(what.strength, rel=1e-9)
    assert touching_opening(law) == pytest.approx(law.nodes[1], rel=0.01)
    assert law.nodes[1] <= 0.01 * what.range
    # Halfway down the second flank the zone ends.
    assert float(law.traction(what.range)) == pytest.approx(0.5 * what.strength, rel=0.1)


def test_sliding_is_free():
    law = FrictionlessLaw(ExponentialLaw(fracture_energy=1.0, peak_traction=1.0, unloading="reversible"))
    jump = np.array([[0.2, 0.7], [-0.1, 0.3], [0.2, 0.0]])
    answer = law.evaluate(jump, law.fresh(3))
    assert np.all(answer.traction[:, 1] == 0.0)
    assert answer.traction[0, 0] == answer.traction[2, 0] > 0.0
    assert np.all(answer.tangent[:, 1, :] == 0.0)
    assert np.all(answer.tangent[:, :, 1] == 0.0)
    np.testing.assert_allclose(answer.secant * jump, answer.traction)


def test_where_an_opening_passes_a_level():
    x = np.array([1.0, 2.0, 3.0])
    assert reached(x, np.array([0.0, 1.0, 3.0]), 2.0) == pytest.approx(2.5)
    assert reached(x, np.array([3.0, 4.0, 5.0]), 2.0) == 0.0
    assert reached(x, np.array([0.0, 0.1, 0.2]), 2.0) == 3.0


@pytest.fixture(scope="module", params=[(SphereContact, 0.7), (CylinderContact, 0.7)], ids=["sphere", "cylinder"])
def followed(request):
    kind, parameter = request.param
    what = contact(kind, parameter)
    plan = plan_contact(what, largest=1.4 * what.jkr_radius, facets_in_zone=10.0)
    material = LinearElastic.isotropic(E=E * 0.91, nu=0.3)
    return what, ContactRun(what, build_contact(what, dugdale_law(what), material, plan), plan, steps=12).follow()


def test_finite_elements_pull_off_as_the_closed_form(followed):
    what, path = followed
    assert -path.pull_off.load == pytest.approx(what.pull_off, rel=0.01)
    # Not that of JKR, nor of DMT: the law's range matters here.
    assert abs(what.pull_off / what.jkr_pull_off - 1.0) > 0.02


def test_finite_elements_follow_the_closed_form(followed):
    what, path = followed
    touching = [s for s in path.states if s.radius > what.jkr_radius]
    assert len(touching) > 5
    for state in touching:
        exact = what.dugdale(state.radius)
        assert state.load == pytest.approx(exact.load[0], abs=0.02 * what.pull_off)
        assert state.zone == pytest.approx(exact.zone[0], rel=0.01)
        if isinstance(what, SphereContact):
            assert state.approach == pytest.approx(exact.approach[0], abs=0.01 * what.jkr_radius**2 / R)


def test_the_way_back_is_the_way_in_but_for_jumps(followed):
    what, path = followed
    assert path.states[-1].load == pytest.approx(0.0, abs=1e-3 * what.pull_off)
    # Reversible: what the load gives is stored, or lost in a jump; the trapezoidal rule does not invent energy.
    assert path.lost > -0.01 * what.work * what.jkr_radius ** (2 if isinstance(what, SphereContact) else 1)
    assert {"pressed", "pull-off"} <= set(path.profiles) == set(path.snapshots)


def test_laws_and_meshes_that_do_not_fit():
    what = contact(SphereContact, 1.0)
    plan = plan_contact(what)
    law = ExponentialLaw(fracture_energy=W, peak_traction=what.strength)
    with pytest.raises(ContactError, match="reversible"):
        build_contact(what, law, LinearElastic.isotropic(E=1.0, nu=0.3), plan)
    with pytest.raises(ContactError, match="facets along the contact"):
        plan_contact(contact(SphereContact, 60.0))
