"""Interface cracks of two materials: Dundurs' parameters, published values, the anisotropic limit, a finite-element crack."""

import numpy as np
import pytest
from mpi4py import MPI

from continuum.bimaterial import anisotropic_bimaterial, bimaterial
from continuum.errors import FieldError, MaterialError
from continuum.laws import BilinearLaw
from continuum.materials import LinearElastic
from continuum.mesh import split_bodies
from continuum.solid import Solid
from continuum.solvers import follow
from continuum.stroh import crack_field
from continuum.supports import Displacement, Force

# (E, ν), any unit. Matched lateral strain under a pull along y: a plate of both stays homogeneous.
STIFF = (1.0, 0.3)
SOFT = (0.11 / 0.39, 0.1)


def isotropic(pair):
    return LinearElastic.isotropic(E=pair[0], nu=pair[1])


@pytest.mark.parametrize("pair", [STIFF, SOFT, (3.0, 0.45)])
def test_one_material_does_not_oscillate(pair):
    tip = bimaterial(upper=pair, lower=pair)
    assert (tip.alpha, tip.beta, tip.epsilon) == pytest.approx((0.0, 0.0, 0.0), abs=1e-15)
    assert tip.energy_release(2.0 + 1.0j) == pytest.approx(5.0 * (1.0 - pair[1] ** 2) / pair[0])
    assert tip.contact_zone(1.0 + 0.5j, length=1.0) == 0.0
    assert anisotropic_bimaterial(isotropic(pair), isotropic(pair)).epsilon < 1e-8


def test_incompressible_materials_do_not_oscillate():
    assert bimaterial(upper=(1.0, 0.4999999), lower=(9.0, 0.4999999)).epsilon == pytest.approx(0.0, abs=1e-6)


def test_swapping_the_materials_changes_the_sign():
    one, two = bimaterial(upper=STIFF, lower=SOFT), bimaterial(upper=SOFT, lower=STIFF)
    assert (one.alpha, one.beta, one.epsilon) == pytest.approx((-two.alpha, -two.beta, -two.epsilon))
    assert one.modulus == two.modulus
    # The picture in a mirror y -> -y: shear changes its sign, energies and contact zones do not.
    k = one.central_crack(normal=1.0, shear=0.4, half_length=3.0)
    mirrored = two.central_crack(normal=1.0, shear=-0.4, half_length=3.0)
    assert mirrored == pytest.approx(k.conjugate())
    assert two.energy_release(mirrored) == pytest.approx(one.energy_release(k))
    assert two.contact_zone(mirrored, length=6.0) == pytest.approx(one.contact_zone(k, length=6.0))


@pytest.mark.parametrize("ratio", [0.01, 0.3, 2.0, 50.0])
def test_published_relations(ratio):
    """ν = 1/3 on both sides: β = α/4 (Hutchinson and Suo 1992); α = (E'₁ − E'₂)/(E'₁ + E'₂)."""
    tip = bimaterial(upper=(ratio, 1.0 / 3.0), lower=(1.0, 1.0 / 3.0))
    assert tip.alpha == pytest.approx((ratio - 1.0) / (ratio + 1.0))
    assert tip.beta == pytest.approx(0.25 * tip.alpha)


def test_all_pairs_lie_in_the_parallelogram():
    """(α − 1)/4 ≤ β ≤ (α + 1)/4 for ν ≥ 0 (Schmauder and Meyer 1992), so |ε| ≤ ln 3/2π = 0.1748, reached on a rigid body."""
    random = np.random.default_rng(2)
    for one, two in random.uniform([0.01, 0.0], [10.0, 0.5], (300, 2, 2)):
        tip = bimaterial(upper=tuple(one), lower=tuple(two))
        assert 0.25 * (tip.alpha - 1.0) <= tip.beta <= 0.25 * (tip.alpha + 1.0)
        assert abs(tip.epsilon) < np.log(3.0) / (2.0 * np.pi)
    assert bimaterial(upper=(1.0, 0.0), lower=(1e9, 0.0)).epsilon == pytest.approx(0.1748, abs=1e-4)


@pytest.mark.parametrize("pair", [(STIFF, SOFT), (SOFT, STIFF), ((70.0, 0.2), (3.0, 0.35))])
def test_isotropic_limit_of_the_anisotropic_formulas(pair):
    one, general = bimaterial(upper=pair[0], lower=pair[1]), anisotropic_bimaterial(*map(isotropic, pair))
    assert general.beta == pytest.approx(abs(one.beta), rel=1e-10)
    assert general.epsilon == pytest.approx(abs(one.epsilon), rel=1e-10)
    # (K_II, K_I) as tractions of an oscillating field of phase zero.
    assert general.energy_release((0.3, 1.2, 0.0)) == pytest.approx(one.energy_release(1.2 + 0.3j), rel=1e-10)


def test_one_crystal_gives_its_own_energy_release():
    cubic = np.zeros((6, 6))
    cubic[:3, :3] = 0.4
    cubic[np.arange(6), np.arange(6)] = [1.1, 1.1, 1.1, 0.5, 0.5, 0.5]
    crystal = LinearElastic(cubic)
    tip = anisotropic_bimaterial(crystal, crystal)
    k = (0.2, 1.0, 0.4)
    assert tip.energy_release(k) == pytest.approx(crack_field(cubic).energy_release(k), rel=1e-12)


def test_anisotropic_swap_and_turn():
    """ε does not change where both crystals are turned about the interface's normal, or change places."""
    cubic = np.zeros((6, 6))
    cubic[:3, :3] = 0.4
    cubic[np.arange(6), np.arange(6)] = [1.1, 1.1, 1.1, 0.5, 0.5, 0.5]
    one, two = LinearElastic(cubic), LinearElastic(3.0 * np.array(isotropic(SOFT).stiffness))
    tip = anisotropic_bimaterial(one, two)
    assert tip.epsilon > 1e-3
    assert anisotropic_bimaterial(two, one).epsilon == pytest.approx(tip.epsilon, rel=1e-9)
    # A quarter turn about y: x <-> z.
    swap = [2, 1, 0, 5, 4, 3]
    turned = LinearElastic(one.stiffness[np.ix_(swap, swap)]), LinearElastic(two.stiffness[np.ix_(swap, swap)])
    assert anisotropic_bimaterial(*turned).epsilon == pytest.approx(tip.epsilon, rel=1e-9)


def test_fields_fit_together():
    """Irwin's closure of traction and opening gives G; K is read back from the opening; the reference length turns its phase."""
    tip = bimaterial(upper=STIFF, lower=SOFT)
    k, size = tip.stress_intensity(0.7, phase=0.4, length=5.0), 1e-3
    assert tip.energy_release(k) == pytest.approx(0.7)
    assert tip.phase(k, length=5.0) == pytest.approx(0.4)
    assert tip.phase(k, length=50.0) == pytest.approx(0.4 + tip.epsilon * np.log(10.0))
    # ∫₀^Δ T(r)·δ(Δ − r) dr / 2Δ with r = Δ sin²θ, which takes the roots out.
    theta, weight = np.polynomial.legendre.leggauss(400)
    theta, weight = 0.25 * np.pi * (theta + 1.0), 0.25 * np.pi * weight
    r = size * np.sin(theta) ** 2
    product = (tip.traction(k, r) * tip.opening(k, size - r)).sum(axis=1)
    closure = float((weight * product * 2.0 * size * np.sin(theta) * np.cos(theta)).sum()) / (2.0 * size)
    assert closure == pytest.approx(0.7, rel=1e-3)
    assert tip.from_opening(tip.opening(k, [0.1, 2.0]), [0.1, 2.0]) == pytest.approx([k, k])
    assert np.hypot(*tip.classical(k, length=3.0)) == pytest.approx(abs(k))


def test_contact_zone():
    tip = bimaterial(upper=STIFF, lower=SOFT)
    k = tip.central_crack(normal=1.0, shear=-0.5, half_length=1.0)
    zone = tip.contact_zone(k, length=2.0)
    # At its edge the faces touch, beyond they do not.
    assert tip.opening(k, zone)[0, 0] == pytest.approx(0.0, abs=1e-10 * np.abs(tip.opening(k, zone)).max())
    assert (tip.opening(k, np.geomspace(1.001 * zone, 2.0, 50))[:, 0] > 0.0).all()
    # Pulled, it is too small to matter; sheared one way it is large.
    assert tip.contact_zone(tip.central_crack(normal=1.0, shear=0.0, half_length=1.0), length=2.0) < 1e-6
    other = [tip.contact_zone(tip.central_crack(normal=0.3, shear=t, half_length=1.0), length=2.0) for t in (1.0, -1.0)]
    assert max(other) > 0.05
    assert min(other) < 1e-12


def test_central_crack_by_finite_elements():
    """Half a plate 40 a wide, graded to 0.002 a at the tip: K from the opening over a wide range, G from it."""
    a, width = 1.0, 20.0
    steps = [0.002]
    while sum(steps) < width:
        steps.append(1.35 * steps[-1])
    ray = np.concatenate([[0.0], np.cumsum(steps)])
    out = ray * (width - a) / ray[-1]
    n = int(np.searchsorted(ray, a))
    line = np.concatenate([a - a * ray[n:0:-1] / ray[n], a + out])
    up = ray * width / ray[-1]
    heights = np.concatenate([-up[:0:-1], up])
    x, y = np.meshgrid(line, heights)
    m = len(line)
    corner = (np.arange(len(heights) - 1)[:, None] * m + np.arange(m - 1)).ravel()
    mesh = split_bodies(
        MPI.COMM_WORLD,
        points=np.column_stack([x.ravel(), y.ravel()]),
        cells=corner[:, None] + np.array([0, 1, m, m + 1]),
        cell="quadrilateral",
        body_of_cell=(y.ravel()[corner] >= 0.0).astype(np.int64),
        bodies=["lower", "upper"],
        interfaces={"interface": ("lower", "upper")},
        groups={
            "left": lambda p: p[:, 0] < 1e-9,
            "bottom": lambda p: p[:, 1] < -width + 1e-9,
            "top": lambda p: p[:, 1] > width - 1e-9,
        },
        cracked=lambda p: p[:, 0] < a,
    )
    stress = 1e-3
    solid = Solid(
        mesh,
        materials={"upper": isotropic(STIFF), "lower": isotropic(SOFT)},
        interfaces={"interface": BilinearLaw(fracture_energy=1e6, peak_traction=1e6, initial_stiffness=1e6)},
        supports=[Displacement(group="left", component="x"), Displacement(group="bottom", component="y")],
        forces=[Force(group="top", component="y", total=stress * width)],
    )
    follow(solid, [1.0])
    state = solid.interface_state("interface")
    r = a - state.points[:, 0]
    near = (r > 0.02) & (r < 0.5)
    tip = bimaterial(upper=STIFF, lower=SOFT)
    # The sheet's own factor: ((a + x)/2a)^(½ − iε) over the leading term; the local frame's tangent is x.
    r, opening = r[near], state.opening[near]
    found = tip.from_opening(np.column_stack([opening[:, 0], opening[:, 1]]), r) * (1.0 - r / (2 * a)) ** (
        -0.5 + 1j * tip.epsilon
    )
    exact = tip.central_crack(normal=stress, shear=0.0, half_length=a)
    assert np.abs(found / exact - 1.0).max() < 0.02
    assert found.mean() == pytest.approx(exact, rel=0.01)
    assert abs(exact.imag) > 0.05 * abs(exact)


def test_mistakes_are_named():
    with pytest.raises(MaterialError, match="lower"):
        bimaterial(upper=STIFF, lower=(1.0, 0.5))
    tip = bimaterial(upper=STIFF, lower=SOFT)
    with pytest.raises(FieldError, match="above zero"):
        tip.opening(1.0, [0.0])
    with pytest.raises(FieldError, match="length = 0"):
        tip.phase(1.0, length=0)
    with pytest.raises(FieldError, match="expected a finite number"):
        tip.stress_intensity(-1.0)
