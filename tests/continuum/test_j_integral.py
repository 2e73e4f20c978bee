"""The J integral against crack fields, the energy of the same elements, and bodies whose energy release is known exactly."""

from dataclasses import replace

import numpy as np
import pytest
from cracked_bodies import crack_field, cracked, energy_release, pull
from hyperelastic_bodies import make
from kirchhoff import Kirchhoff

from continuum.body import Body
from continuum.crack_bodies import CentreCrack, Disc, ThinStrip
from continuum.errors import BodyError
from continuum.j_integral import JIntegral

DISC = Disc(radius=300.0)
RADII = [20.0, 40.0, 80.0, 160.0, 280.0]


@pytest.fixture(scope="module")
def disc():
    return cracked(DISC, slope=0.25)


@pytest.mark.parametrize("k", [(0.2, 0.0, 0.0), (0.0, 0.2, 0.0), (0.0, 0.0, -0.2), (0.2, -0.1, 0.15)])
def test_crack_field(disc, k):
    """The nodal values of the exact field give its energy release.

    Quadratic elements a quarter as large as their distance from the tip interpolate the gradients of √r to about 0.5%, and
    their energy to the square of that, 3e-5 (1e-5 measured); single rings have fewer elements to average over.
    """
    body, side = disc
    u = crack_field(body.nodes, k, side)
    assert JIntegral(body, inner=40.0, outer=280.0).value(u) == pytest.approx(energy_release(k), rel=5e-5)
    rings = JIntegral(body, inner=40.0, outer=280.0).rings(u, RADII)
    assert len(rings) == 4
    assert rings == pytest.approx(energy_release(k), rel=1e-4)


def test_linear_elements_are_near():
    """Elements a tenth as large as their distance: gradients to 5%, J to the square of that (0.3% measured)."""
    body, side = cracked(DISC, slope=0.1, degree=1)
    u = crack_field(body.nodes, (0.2, 0.0, 0.0), side)
    assert JIntegral(body, inner=40.0, outer=280.0).value(u) == pytest.approx(energy_release((0.2, 0, 0)), rel=5e-3)


def test_no_crack_no_release():
    """A uniform state of a joined body: W and P are constant and q comes back to zero, so J is rounding."""
    body, _ = cracked(DISC, is_open=lambda x: np.zeros(len(x), dtype=bool), material=Kirchhoff())
    u = body.nodes @ np.array([[0.01, 0.02, -0.01], [0.003, 0.04, 0.02]])
    density = body.material.energy(body.gradients(u)[:1])[0]
    assert abs(JIntegral(body, inner=40.0, outer=200.0).value(u)) < 1e-12 * density * 200.0


def test_left_tip_pulls_to_the_left():
    """J is the force along +x: equal and opposite at the two tips of a central crack; their mirror meshes differ a little."""
    shape = CentreCrack(width=1000.0, height=2000.0, crack=200.0)
    body, u, _ = pull(shape, slope=0.25)
    right, left = (JIntegral(body, tip=tip, inner=20.0, outer=100.0).value(u) for tip in shape.tips)
    assert right > 0.0
    # The slit ends at nodes of the mesh, up to half a spacing from its tips: 0.6% of the crack's length.
    assert left == pytest.approx(-right, rel=0.01)


def test_it_is_the_derivative_of_the_elements_energy():
    """Pushing the mesh by q along x at fixed nodal displacements: −dE/da, exactly, in a nonlinear body at finite strain."""
    body, side = cracked(DISC, material=Kirchhoff(), degree=2)
    rng = np.random.default_rng(1)
    u = crack_field(body.nodes, (0.3, 0.1, 0.2), side) + 0.05 * rng.normal(size=(body.size, 3))
    integral = JIntegral(body, inner=30.0, outer=150.0)
    points = body.mesh.points
    q = np.clip((150.0 - np.linalg.norm(points, axis=1)) / 120.0, 0.0, 1.0)
    linear = np.zeros(len(body.cells), dtype=bool)
    linear[body.groups[0].cells] = True

    def energy(step):
        moved = replace(body.mesh, points=points + step * q[:, None] * np.array([1.0, 0.0]))
        return Body(moved, material=Kirchhoff(), components=3, thickness=3.0, degree=2, linear=linear).energy(u)

    step = 1e-4  # central differences: 1e-8 of second order, 1e-8 of rounding
    assert integral.value(u) == pytest.approx(-(energy(step) - energy(-step)) / (2.0 * step * 3.0), rel=1e-6)


def test_nonlinear_strip():
    """A long strip between clamps releases the energy W of uniform strain, times its height, also at 5% strain.

    The strip is whole over two heights ahead of the tip: its end counts for 0.5% (0.3% measured at small strain).
    """
    shape = ThinStrip(length=1400.0, height=300.0, crack=700.0)
    material = Kirchhoff(lame=0.6, shear=0.4)
    load = 0.05 * shape.height
    body, u, held = pull(shape, load, material=material, steps=8)
    assert abs(body.gradient(u)[~held]).max() < 1e-9
    released = material.energy(np.diag([1.0, 1.05, 1.0])[None])[0] * shape.height
    found = JIntegral(body, inner=20.0, outer=140.0)
    assert found.value(u) == pytest.approx(released, rel=5e-3)
    # Large rotations and strains near the tip: the rings still agree, now that the field is that of the elements.
    assert found.rings(u, [30.0, 60.0, 140.0]) == pytest.approx(found.value(u), rel=2e-3)


def test_refusals(disc):
    body, _ = disc
    with pytest.raises(BodyError, match="solid body"):
        JIntegral(make("solid P1"), inner=1.0, outer=2.0)
    with pytest.raises(BodyError, match="inner < outer"):
        JIntegral(body, inner=50.0, outer=40.0)
    with pytest.raises(BodyError, match="reaches the boundary"):
        JIntegral(body, inner=50.0, outer=400.0)
    with pytest.raises(BodyError, match="no element"):
        JIntegral(body, tip=(0.0, 0.1), inner=0.001, outer=0.002)
    weights = np.ones(len(body.cells))
    weights[JIntegral(body, inner=50.0, outer=100.0).cells[0]] = 0.5
    with pytest.raises(BodyError, match=r"weight 0\.5"):
        JIntegral(body, inner=50.0, outer=100.0, weights=weights)
    assert JIntegral(body, inner=150.0, outer=250.0, weights=weights).cells.size
