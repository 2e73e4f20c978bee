"""Direct solves: right answers, new values in an old pattern, singular matrices named."""

import numpy as np
import pytest
from hyperelastic_bodies import make, random

from continuum.errors import FactorError
from continuum.factorise import Factor


def test_factor():
    body = make("flat P1")
    matrix = body.stiffness(np.zeros((body.size, 2)))
    free = np.repeat(~body.boundary[:, None], 2, axis=1)
    right = random(body, 1.0)
    dense = matrix.toarray()[np.ix_(free.ravel(), free.ravel())]
    wanted = np.zeros((body.size, 2))
    wanted[free] = np.linalg.solve(dense, right[free])
    for symmetric in (False, True):
        factor = Factor(matrix, free, symmetric=symmetric)
        assert factor.solve(right) == pytest.approx(wanted, abs=1e-12)
        many = factor.solve(np.column_stack([right.ravel(), 2.0 * right.ravel(), 0.0 * right.ravel()]))
        assert many == pytest.approx(np.outer(wanted.ravel(), [1.0, 2.0, 0.0]), abs=1e-11)
        factor.update(3.0 * matrix)
        assert factor.solve(right) == pytest.approx(wanted / 3.0, abs=1e-12)
        factor.update(matrix + 1e-3 * (matrix @ matrix))  # another pattern
        assert abs(factor.solve(right) - wanted).max() > 1e-6
    assert factor.negative_pivots == 0
    assert Factor(-matrix, free, symmetric=True).negative_pivots == free.sum()


@pytest.mark.parametrize("symmetric", [False, True])
def test_singular_matrices_are_named(symmetric):
    body = make("flat P1", scale=0.0)
    u = np.zeros((body.size, 2))
    matrix = body.stiffness(u)
    with pytest.raises(FactorError, match=r"singular.*expected enough prescribed displacements"):
        Factor(matrix, symmetric=symmetric)  # nothing holds the body
    with pytest.raises(FactorError, match="singular"):
        Factor(body.stiffness(u, np.zeros(len(body.cells))), np.repeat(~body.boundary, 2), symmetric=symmetric)
    broken = matrix.copy()
    broken.data[5] = np.nan
    with pytest.raises(FactorError, match="infinite or undefined"):
        Factor(broken, symmetric=symmetric)
    with pytest.raises(FactorError, match="no free unknowns"):
        Factor(matrix, np.zeros(2 * body.size, dtype=bool))
    with pytest.raises(FactorError, match="expected n × n"):
        Factor(matrix, np.ones(3, dtype=bool))
