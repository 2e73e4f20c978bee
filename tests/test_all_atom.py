"""Atoms in a finite-element body against all atoms, small: the measure of errors, both sides, and the ways to solve."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from all_atom_lammps import minimise
from all_atom_problem import RIM, Body, Coupled, aluminium, coupled, coupled_model, make_body, polished
from iterations import by_turns, together

from coupling.errors import MethodError
from coupling.handshake import HandshakeOptions, solve
from coupling.handshake.model import CoupledModel


@pytest.fixture(scope="module")
def body() -> Body:
    return make_body("void", 3500)


@pytest.fixture(scope="module")
def both(body: Body) -> Coupled:
    return coupled(body, method="bqcf", tolerance=1e-5)


@pytest.fixture(scope="module")
def exact(body: Body, both: Coupled) -> np.ndarray:
    u, left, count = polished(body, both.u)
    assert left <= 1e-8
    assert count < 30  # without the preconditioner: hundreds
    return u


@pytest.fixture(scope="module")
def model(body: Body) -> CoupledModel:
    return coupled_model(body, pad=13.5)


def test_triangles_fill_the_body(body: Body) -> None:
    corners = body.places[body.triangles]
    areas = 0.5 * np.linalg.det(corners[:, 1:] - corners[:, :1])
    np.testing.assert_allclose(areas, 0.5 * body.lattice.site_volume / body.lattice.thickness, rtol=1e-12)
    # None touches a missing atom: the smallest distance of a corner is that of an atom outside the void.
    assert np.linalg.norm(corners, axis=2).min() > 10.0
    assert len(body.triangles) < 2 * len(body.indices)
    assert len(body.triangles) > 1.8 * len(body.indices)


def test_measure_of_errors(body: Body) -> None:
    slope = np.array([[0.3, -0.2], [0.5, 0.1], [-0.4, 0.7]])
    linear = body.places @ slope.T
    np.testing.assert_allclose(
        body.gradients(linear), np.broadcast_to(slope.T, (len(body.triangles), 2, 3)), atol=1e-12
    )
    assert body.strain_error(1.01 * linear, linear) == pytest.approx(0.01, rel=1e-9)
    # A rigid shift is no error; the start itself is wrong by all of it.
    assert body.strain_error(linear + 1.0, linear) == pytest.approx(0.0, abs=1e-12)
    assert body.strain_error(body.start, linear) == pytest.approx(1.0)


def test_rim_hides_the_end_of_the_body(body: Body) -> None:
    perfect = Body(body.problem, body.lattice, body.atoms)
    perfect.__dict__["indices"] = body.lattice.indices_within(None, -body.half - RIM, body.half + RIM)
    force = aluminium().cluster().energy_and_gradient(perfect.reference)[1]
    assert np.abs(force[~perfect.clamped]).max() < 1e-10
    assert np.abs(force[perfect.clamped]).max() > 0.1


def test_coupled_solution_is_that_of_all_atoms(body: Body, both: Coupled, exact: np.ndarray) -> None:
    assert body.strain_error(both.u, exact) < 0.02  # 1% and less in larger bodies
    assert np.array_equal(both.u[body.clamped], body.start[body.clamped])
    # Forces within the core are those of all atoms but for what the rest is off by.
    assert both.atom_evaluations == both.solution.calls * len(both.model.present)
    # No relaxation outside the zone would be far worse.
    frozen = np.where((np.hypot(*body.places.T) < 32.0)[:, None], both.u, body.start)
    assert body.strain_error(frozen, exact) > 5.0 * body.strain_error(both.u, exact)


def test_lammps_finds_the_same(body: Body, exact: np.ndarray) -> None:
    found = minimise(
        body.reference, body.start, body.clamped, body.lattice.thickness, minimiser="cg-forcezero", tolerance=1e-5
    )
    assert found.force <= 1e-5
    assert found.evaluations > 50
    assert body.strain_error(found.u, exact) < 2e-3
    assert np.array_equal(found.u[body.clamped], body.start[body.clamped]) or np.abs(found.u[body.clamped]).max() < 1e-9


def test_ways_to_solve(model: CoupledModel) -> None:
    plain, aitken = (by_turns(model, name) for name in ("plain", "aitken"))
    at_once = together(model, "schwarz", "anderson")
    assert aitken.iterations < plain.iterations
    assert at_once.calls < aitken.calls
    assert np.abs(plain.u - at_once.u).max() < 1e-3
    assert np.abs(aitken.u - at_once.u).max() < 1e-3
    assert at_once.solution.residual <= 1e-4


def test_lbfgs_where_dislocations_glide() -> None:
    """The same state as Newton's method where both reach it, and where halves glide half the calls of Anderson's."""
    body = make_body("dipole", 7000)
    model = coupled_model(body, pad=13.5)
    start = body.problem.defect.displacement(model.body.nodes)
    found = solve(model, method="bqcf", start=start, options=HandshakeOptions(tolerance=1e-5, solver="lbfgs"))
    assert found.residual <= 1e-5
    assert found.calls < 90
    again = solve(model, method="bqcf", start=found.u, options=HandshakeOptions(tolerance=1e-8, solver="newton"))
    assert np.abs(again.u - found.u).max() < 1e-2
    with pytest.raises(MethodError, match="two"):
        together(model, "schwarz", "lbfgs")


def test_halves_of_dislocations_add_up() -> None:
    """Around each split dislocation u_z rises by one period, around both by nothing."""
    dipole = make_body("dipole", 3500).problem.defect
    angle = np.linspace(0.0, 2.0 * np.pi, 4001)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    for center, radius, expected in ((dipole.upper, 10.0, 1.0), (dipole.lower, 10.0, -1.0), ((0.0, 0.0), 60.0, 0.0)):
        u = dipole.displacement(np.asarray(center) + radius * circle)[:, 2]
        steps = np.diff(u)
        # The cut is a jump by one period, as long as the sum of all small steps, and no dislocation.
        small = steps[np.abs(steps) < 0.5 * dipole.burgers].sum()
        assert small == pytest.approx(expected * dipole.burgers, abs=0.02)
