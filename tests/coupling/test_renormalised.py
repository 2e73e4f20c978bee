"""N planes in series: closed form, one plane's law, energy, peaks, the best of all states, and blocks of elements."""

from dataclasses import dataclass

import numpy as np
import pytest
from mpi4py import MPI
from scipy.optimize import minimize_scalar

from continuum.errors import LawError
from continuum.laws import NPlaneLaw
from continuum.materials import LinearElastic
from continuum.mesh import block
from continuum.solid import Solid
from continuum.solvers import SolverOptions, follow
from continuum.supports import Displacement
from coupling.cohesive import extract_law
from coupling.elasticity import LinearUniaxial
from coupling.errors import CouplingError
from coupling.renormalised import renormalise, series_path

WORK, LENGTH, SPACING = 0.0743, 0.55, 2.338  # eV/Å², Å, Å: about Al(111)
MODULUS = WORK / LENGTH**2 * SPACING / 0.82  # T'(0) = 0.82 C'/d
BODY = LinearUniaxial(MODULUS)


@dataclass(frozen=True)
class Curve:
    opening: np.ndarray
    energy: np.ndarray
    traction: np.ndarray


def uber():
    opening = np.concatenate([np.linspace(0, 3, 36, endpoint=False), np.linspace(3, 8, 14)])
    energy = WORK * (1 - (1 + opening / LENGTH) * np.exp(-opening / LENGTH))
    return Curve(opening, energy, WORK / LENGTH**2 * opening * np.exp(-opening / LENGTH))


@pytest.mark.parametrize("count", [1, 4, 64, 1000])
def test_closed_form(count):
    law = NPlaneLaw(fracture_energy=WORK, plane_stiffness=0.2, n_planes=count)
    surface = WORK / 2
    # Nguyen and Ortiz 2002.
    assert law.final_opening == pytest.approx(2 * np.sqrt(surface * count / 0.2))
    assert law.peak_traction == pytest.approx(2 * np.sqrt(0.2 * surface / count))
    opening = np.linspace(0, 2 * law.final_opening, 101)
    np.testing.assert_allclose(law.potential(opening), np.minimum(0.5 * 0.2 * opening**2 / count, WORK), rtol=1e-12)
    left = law.without_elasticity()
    assert left.peak_traction == law.peak_traction
    assert left.fracture_energy == WORK
    # ½σ_cδ_c = 2γ for the triangle that falls from σ_c as for the one that rises to it.
    assert left.final_opening == pytest.approx(law.final_opening)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("count", [1, 7, 30, 200, 3000])
def test_energy_is_that_of_one_plane(count, keep):
    found = renormalise(uber(), count, BODY, length=SPACING, keep_elasticity=keep)
    assert found.law().fracture_energy == pytest.approx(renormalise(uber(), 1, BODY, length=SPACING).work, rel=1e-12)
    assert abs(found.stretch - 1) < 0.03


def test_one_plane_is_the_law_of_one_plane():
    opening = np.linspace(0, 5, 101)
    one = renormalise(uber(), 1, BODY, length=SPACING).law()
    scalar = extract_law(uber(), BODY, length=SPACING).law()
    assert np.abs(one.traction(opening) - scalar.traction(opening)).max() < 1e-3 * scalar.peak_traction
    whole = renormalise(uber(), 1, BODY, length=SPACING, keep_elasticity=True).law()
    assert np.abs(whole.traction(uber().opening) - uber().traction).max() < 2e-3 * scalar.peak_traction


def test_peak_falls_as_the_root_of_the_planes():
    peaks = {n: renormalise(uber(), n, BODY, length=SPACING).peak_traction for n in (200, 800, 3200)}
    assert peaks[200] / peaks[800] == pytest.approx(2.0, rel=0.02)
    assert peaks[800] / peaks[3200] == pytest.approx(2.0, rel=0.01)
    closed = NPlaneLaw(fracture_energy=WORK, plane_stiffness=MODULUS / SPACING, n_planes=3200)
    assert peaks[3200] == pytest.approx(closed.peak_traction, rel=0.01)


@pytest.mark.parametrize("count", [2, 12, 40])
def test_path_is_the_least_energy(count):
    """At prescribed elongations no state of gap and springs costs less, found by brute force on the exact curve."""
    path = series_path(uber(), count, BODY, length=SPACING)
    spring = MODULUS / ((count - 1) * SPACING)
    forward = np.concatenate([[True], np.diff(path.opening) > 1e-12])
    ubar = np.linspace(0.2, 0.95 * path.opening[-1], 15)
    found = np.interp(ubar, path.opening[forward], path.energy[forward])
    gaps = np.linspace(0, 8, 4001)
    for elongation, energy in zip(ubar, found, strict=True):

        def cost(gap, elongation=elongation):
            return WORK * (1 - (1 + gap / LENGTH) * np.exp(-gap / LENGTH)) + 0.5 * spring * (elongation - gap) ** 2

        start = gaps[np.argmin(cost(gaps))]
        least = minimize_scalar(cost, bounds=(max(start - 0.01, 0), start + 0.01), method="bounded").fun
        assert energy == pytest.approx(least, rel=2e-3, abs=1e-4 * WORK)


def test_softening_is_no_steeper_than_the_planes():
    found = renormalise(uber(), 60, BODY, length=SPACING)
    fall = np.diff(found.traction) / np.diff(found.opening)
    # The first step down is shorter: the capped rise before it has taken some of its way.
    assert np.sort(fall)[1] >= -1.01 * MODULUS / (60 * SPACING)
    assert fall.min() > -5.0 * MODULUS / (60 * SPACING)
    assert found.path.transition is not None
    assert series_path(uber(), 2, BODY, length=SPACING).transition is None


def test_block_with_its_planes_in_the_elements():
    """A block N planes high with the corrected law, and a rigid one with the law that holds them: one curve, and no jump."""
    count = 40
    metal = LinearElastic(np.diag([1.0, MODULUS, 1.0, 0.3, 0.3, 0.3]))
    mesh = block(MPI.COMM_SELF, size=[10.0, count * SPACING], divisions=[2, 3], cell="quadrilateral")
    found = renormalise(uber(), count, BODY, length=SPACING)
    path = found.path
    place, high, low = path.transition
    supports = [Displacement(group="bottom", component="y"), Displacement(group="top", component="y", factor=1.0)]
    supports += [Displacement(group=g, component="x") for g in ("left", "right")]
    solid = Solid(
        mesh,
        materials=dict.fromkeys(mesh.bodies, metal),
        interfaces={name: found.law() for name in mesh.interfaces},
        supports=supports,
    )
    loads = np.array([0.3, 0.6, 0.9, 0.98, 1.06, 1.3]) * place
    steps = follow(solid, loads, options=SolverOptions(rtol=1e-9))
    measured = np.array([s.reaction for s in steps]) / 10.0
    forward = np.concatenate([[True], np.diff(path.opening) > 1e-12])
    wanted = np.interp(loads[:4], path.opening[forward], path.traction[forward])
    # The capped rise (a fiftieth of the planes' compliance) is what the law adds while the planes stretch.
    assert measured[:4] == pytest.approx(wanted, rel=0.025)
    assert (measured[4:] < low + 0.05 * high).all()
    assert sum(s.work for s in steps) >= 0.97 * WORK


@pytest.mark.parametrize("options", [{"n_planes": 0}, {"n_planes": 2.5}, {"length": 0.0}, {"stiffness_cap": 1.0}])
def test_mistakes_are_named(options):
    given = {"n_planes": 3, "length": SPACING} | options
    with pytest.raises(CouplingError, match="expected"):
        renormalise(uber(), given.pop("n_planes"), BODY, **given)
    with pytest.raises(LawError, match="n_planes"):
        NPlaneLaw(fracture_energy=WORK, plane_stiffness=0.2, n_planes=0)
