"""The interface of a body: derivatives, weights, history, equilibrium with the bulk."""

import numpy as np
import pytest
from hyperelastic_bodies import LAW, make, random

from continuum.factorise import Factor
from continuum.laws import UberLaw


@pytest.mark.parametrize("kind", ["flat P1", "flat P2", "plane P1", "plane mixed"])
def test_interface_derivatives(kind):
    body = make(kind, law=LAW)
    joint = body.interface
    assert joint.lengths.sum() == pytest.approx(29.0)
    assert joint.areas.sum() == pytest.approx(29.0 * 2.86)
    u, v = random(body, 0.3), random(body, 1.0, seed=1)
    weights = np.random.default_rng(2).random(len(joint.lengths))
    history = joint.history()
    step = 1e-6
    ahead, behind = u + step * v, u - step * v
    slope = (joint.energy(ahead, history, weights) - joint.energy(behind, history, weights)) / (2.0 * step)
    force = joint.gradient(u, history, weights)
    assert (force * v).sum() == pytest.approx(slope, rel=1e-6)
    assert abs(force.sum(axis=0)).max() < 1e-12
    # A jump keeps its sign within the step (contact is not smooth), so the tangent is the difference quotient.
    wide = u + 2.0 * (body.nodes[:, 1:] > 0.44) * np.eye(body.components)[1]
    change = (joint.gradient(wide + step * v, history, weights) - joint.gradient(wide - step * v, history, weights)) / (
        2 * step
    )
    matrix = joint.stiffness(wide, history, weights)
    assert abs(matrix @ v.ravel() - change.ravel()).max() < 1e-6 * abs(change).max()
    assert joint.energy(u, history, weights) == pytest.approx(weights @ joint.facet_energies(u, history), rel=1e-12)


@pytest.mark.parametrize("kind", ["flat P1", "plane P2"])
def test_two_blocks_pulled_apart(kind):
    """Rigid blocks apart by (sliding, opening, out of plane): the law's energy and traction on the whole area, no more."""
    body = make(kind, law=LAW, scale=0.0)
    joint, c = body.interface, body.components
    apart = np.array([0.2, 0.5, 0.1])[:c]
    upper = np.zeros(body.size, dtype=bool)
    upper[body.mesh.interface[:, 1].ravel()] = True
    middle = np.arange(len(body.mesh.points), body.size)
    upper[middle] = upper[body.ends].all(axis=1)
    upper |= body.nodes[:, 1] > body.mesh.points[body.mesh.interface[0, 0, 0], 1] + 1e-9
    u = upper[:, None] * apart
    opening = np.linalg.norm(apart)
    area = 29.0 * 2.86
    assert body.energy(u) == pytest.approx(0.0, abs=1e-20)
    assert joint.openings(u) == pytest.approx(np.broadcast_to(apart[[1, 0, 2][:c]], (joint.size, c)), abs=1e-13)
    assert joint.energy(u) == pytest.approx(area * LAW.potential(opening), rel=1e-12)
    force = joint.gradient(u)[upper].sum(axis=0)
    assert force == pytest.approx(area * LAW.traction(opening) * apart / opening, rel=1e-10)
    profile = joint.profile(u)
    assert (np.diff(profile.x) > 0.0).all()
    assert profile.traction[:, 0] == pytest.approx(LAW.traction(opening) * apart[1] / opening)
    assert profile.damage == pytest.approx(LAW.potential(opening) / 0.4)
    # One half of the line switched off: half the energy.
    weights = (joint.midpoints[:, 0] > 0.0).astype(float)
    share = joint.lengths @ weights / 29.0
    assert joint.energy(u, None, weights) == pytest.approx(share * area * LAW.potential(opening), rel=1e-12)


def test_a_damaging_law_remembers():
    law = UberLaw(work=0.4, length=0.6)
    body = make("flat P1", law=law, scale=0.0)
    joint = body.interface
    line = body.mesh.points[body.mesh.interface[0, 0, 0], 1]
    upper = body.nodes[:, 1] > line + 1e-9
    upper[body.mesh.interface[:, 1].ravel()] = True
    up = upper[:, None] * np.array([0.0, 1.0])
    history = joint.respond(2.0 * up, joint.history()).history_new
    assert history == pytest.approx(2.0)
    half = joint.respond(1.0 * up, history)
    assert half.traction[:, 0] == pytest.approx(0.5 * law.traction(2.0))
    assert joint.energy(2.0 * up, history) == pytest.approx(29.0 * 2.86 * law.potential(2.0), rel=1e-12)


def test_equilibrium_of_a_pulled_joint():
    """Newton on bulk and interface together: a thin adhesive layer carries the same traction as the blocks."""
    body = make("plane P2", law=LAW, scale=0.0)
    joint, c = body.interface, body.components
    top, bottom = body.nodes[:, 1] > 12.0 - 1e-9, body.nodes[:, 1] < -12.0 + 1e-9
    fixed = np.zeros((body.size, c), dtype=bool)
    fixed[top | bottom, 1] = True
    fixed[:, [0, 2]] = True  # uniaxial strain
    u = np.zeros((body.size, c))
    u[top, 1] = 0.3
    for _ in range(20):
        force = body.gradient(u) + joint.gradient(u)
        if abs(force[~fixed]).max() < 1e-13:
            break
        u -= Factor(body.stiffness(u) + joint.stiffness(u), ~fixed, symmetric=True).solve(force)
    profile = joint.profile(u)
    assert np.ptp(profile.opening[:, 0]) < 1e-10
    stress = body.cell_stresses(u)[:, 1, 1]
    assert stress == pytest.approx(profile.traction[0, 0], rel=1e-9)
    assert force[top, 1].sum() == pytest.approx(29.0 * 2.86 * profile.traction[0, 0], rel=1e-9)
    strain = (0.3 - profile.opening[0, 0]) / 24.0
    assert stress[0] == pytest.approx(body.material.stress(np.diag([1.0, 1.0 + strain, 1.0])[None])[0, 1, 1], rel=1e-9)
