"""Accelerated fixed points: exact where theory says so, faster elsewhere, and a way back when they diverge."""

import numpy as np
import pytest

from coupling.acceleration import Acceleration, Aitken, Anderson, Relaxation
from coupling.errors import CouplingError


def iterate(function, start, method: Acceleration, *, tolerance=1e-10, limit=400):
    """Iterations until ‖f(x) − x‖ ≤ tolerance, and where."""
    x = np.array(start, dtype=float)
    for k in range(limit):
        image = function(x)
        if np.linalg.norm(image - x) <= tolerance:
            return k, x
        x = method.next(x, image)
    return limit, x


def linear(n=9, seed=0):
    """A map with eigenvalues from −3 to 0.97: plain iteration diverges."""
    rng = np.random.default_rng(seed)
    q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    matrix = q @ np.diag(np.linspace(-3, 0.97, n)) @ q.T
    shift = rng.standard_normal(n)
    return lambda x: matrix @ x + shift, np.linalg.solve(np.eye(n) - matrix, shift)


def bratu(x):
    """K⁻¹ (3 exp x) of −x'' = 3 exp x on (0, 1), fixed ends, 40 points; contracts slowly."""
    n = len(x)
    k = (2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)) * (n + 1) ** 2
    return np.linalg.solve(k, 3 * np.exp(x))


@pytest.mark.parametrize("n", [1, 4, 9])
def test_anderson_ends_a_linear_problem_after_n_plus_one_steps(n):
    function, solution = linear(n)
    steps, x = iterate(function, np.zeros(n), Anderson(depth=n), tolerance=1e-11)
    assert steps == n + 1
    assert x == pytest.approx(solution, abs=1e-10)


def test_aitken_is_exact_for_one_unknown_and_follows_its_formula():
    assert iterate(lambda x: 5.0 - 3.0 * x, [0.0], Aitken(damping=0.3))[0] == 2
    method, rng = Aitken(damping=0.3), np.random.default_rng(1)
    x, residual = rng.standard_normal((2, 3, 2)), rng.standard_normal((2, 3, 2))
    assert method.next(x[0], x[0] + residual[0]) == pytest.approx(x[0] + 0.3 * residual[0])
    change = residual[1] - residual[0]
    factor = -0.3 * np.sum(residual[0] * change) / np.sum(change**2)
    assert method.next(x[1], x[1] + residual[1]) == pytest.approx(x[1] + factor * residual[1])


def test_iterations_on_a_nonlinear_problem():
    methods = {"plain": Relaxation(), "aitken": Aitken(), "anderson": Anderson(depth=4)}
    steps = {name: iterate(bratu, np.zeros(40), method)[0] for name, method in methods.items()}
    # Measured 36, 12 and 7.
    assert steps["anderson"] < steps["aitken"] < 0.5 * steps["plain"] < 25
    answers = [iterate(bratu, np.zeros(40), method, tolerance=1e-12)[1] for method in (Relaxation(), Anderson())]
    assert answers[1] == pytest.approx(answers[0], abs=1e-11)


def test_shapes_are_kept_and_inputs_left_alone():
    x, image = np.zeros((5, 3)), np.ones((5, 3))
    assert Anderson(damping=0.5).next(x, image) == pytest.approx(np.full((5, 3), 0.5))
    assert (x == 0).all()
    assert (image == 1).all()


def test_dependent_columns_are_dropped():
    method = Anderson(depth=5)
    direction = np.array([1.0, 2.0, 0.0])
    for k in range(4):
        # Residuals along one line: every further column depends on the newest.
        x = method.next(k * direction, k * direction + (5.0 - k) * direction)
        assert np.isfinite(x).all()
    assert method.columns == 1
    # The same pair again brings a column of zero length.
    method.next(3 * direction, 5 * direction)
    assert method.columns == 1


def test_noise_is_held_by_the_regularisation():
    """Residuals with noise of 1e-5: the regularised method stays near the solution."""
    rng = np.random.default_rng(2)

    def noisy(x):
        return bratu(x) + 1e-5 * rng.standard_normal(len(x))

    method, x = Anderson(depth=6, regularisation=1e-3), np.zeros(40)
    for _ in range(40):
        x = method.next(x, noisy(x))
    assert np.linalg.norm(bratu(x) - x) < 2e-3


def test_growth_returns_to_the_best_iterate():
    method = Relaxation(growth=5.0)
    assert method.next([1.0], [1.5]) == pytest.approx([1.5])
    # The residual is 100 times the best: back to 1.0 with half the step, then half of that.
    assert method.next([9.0], [59.0]) == pytest.approx([1.25])
    assert method.next([9.0], [59.0]) == pytest.approx([1.125])
    assert method.restarts == 2
    function, solution = linear(4)
    steps, x = iterate(function, np.zeros(4), Anderson(depth=2, growth=2.0), tolerance=1e-9)
    assert steps < 400
    assert x == pytest.approx(solution, abs=1e-6)


def test_standstill_is_told_and_forgets():
    method = Anderson(patience=3)
    for k in range(3):
        method.next([0.0, k], [1.0 + k, k])
        assert not method.stagnated
    x = method.next([0.0, 3.0], [4.0, 3.0])
    assert method.stagnated
    assert method.restarts == 1
    assert x.tolist() == [4.0, 3.0]
    method.next([0.0, 0.0], [0.5, 0.0])
    assert not method.stagnated
    method.restart()
    assert method.columns == 0
    assert method.residuals == pytest.approx([1, 2, 3, 4, 0.5])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Anderson(depth=0),
        lambda: Anderson(filter=1.0),
        lambda: Aitken(smallest=0.0),
        lambda: Relaxation(damping=0.0),
        lambda: Relaxation(growth=1.0),
        lambda: Anderson().next([1.0], [np.nan]),
        lambda: Anderson().next([1.0], [1.0, 2.0]),
    ],
)
def test_mistakes(make):
    with pytest.raises(CouplingError, match="expected"):
        make()
