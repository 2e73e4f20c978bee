"""Second derivatives by differences of forces, many columns in one evaluation."""

import numpy as np
import pytest

from atomistic.columns import crack_columns
from atomistic.crystal import orient, relax_crystal
from atomistic.hessian import colours, difference_hessian
from atomistic.potentials import load_potential
from atomistic.site_energies import AtomCluster


class Springs:
    """Chains of the nearest sites within a range, two atoms to a site: forces that are linear in the positions."""

    reach = 2.5

    def __init__(self, side):
        grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), axis=-1).reshape(-1, 2)
        self.places = grid.astype(float)
        self.site = np.repeat(np.arange(len(grid)), 2)
        self.rest = np.column_stack([self.places[self.site], np.tile([0.0, 0.4], len(grid))])
        apart = np.linalg.norm(self.places[self.site][:, None] - self.places[self.site], axis=2)
        stiffness = np.random.default_rng(5).random((6, 6))
        blocks = np.where(apart < self.reach, np.exp(-apart), 0.0)
        self.matrix = np.kron(blocks, (stiffness + stiffness.T)[:3, :3])
        self.calls = 0

    def gradient(self, y):
        self.calls += 1
        return (self.matrix @ (y - self.rest).ravel()).reshape(-1, 3)


def test_colours_keep_their_distance():
    places = np.random.default_rng(2).random((300, 2)) * 20.0
    found = colours(places, 3.0)
    for shade in range(found.max() + 1):
        same = places[found == shade]
        gaps = np.linalg.norm(same[:, None] - same, axis=2) + 1e9 * np.eye(len(same))
        assert gaps.min() > 3.0


@pytest.mark.parametrize("side", [6, 12])
def test_linear_forces_give_their_matrix(side):
    """To rounding: 1e-16 of the positions over a step of 1e-4 Å. Twice the side does not take twice the evaluations."""
    springs = Springs(side)
    start = springs.rest + 0.1 * np.random.default_rng(0).standard_normal(springs.rest.shape)
    found, calls = difference_hessian(
        springs.gradient, start, places=springs.places, site=springs.site, reach=springs.reach
    )
    np.testing.assert_allclose(found.toarray(), springs.matrix, atol=1e-9)
    assert calls == springs.calls
    assert calls <= 1 + 6 * 36  # 36 sites of a square lattice are all that is closer to one than twice the range


def test_columns_of_some_sites():
    springs = Springs(8)
    start = springs.rest.copy()
    found, calls = difference_hessian(
        springs.gradient,
        start,
        places=springs.places,
        site=springs.site,
        reach=springs.reach,
        sites=np.array([10, 11, 60]),
        at_rest=springs.gradient(start),
    )
    mine = np.isin(springs.site, [10, 11, 60]).repeat(3)
    np.testing.assert_allclose(found.toarray()[:, mine], springs.matrix[:, mine], atol=1e-9)
    assert not found.toarray()[:, ~mine].any()
    assert calls == 12  # 10 and 11 are neighbours: two colours of two atoms with three components


def test_differences_agree_with_the_analytic_hessian_of_an_eam_potential():
    """One-sided differences over 1e-4 Å: off by that times third derivatives of about 50 eV/Å³."""
    potential = load_potential("eam-fe")
    crystal = relax_crystal(potential, symbols="Fe", structure="bcc")
    columns = crack_columns(crystal, orient(crystal, plane=(1, 1, 0), front=(1, -1, 0)), periods=2)
    indices = columns.lattice.indices_within(lambda x: np.linalg.norm(x, axis=1) - 7.0, [-8.0, -8.0], [8.0, 8.0])
    rest = columns.positions(indices).reshape(-1, 3)
    y = rest + 0.05 * np.random.default_rng(3).standard_normal(rest.shape)
    cluster = AtomCluster(
        potential, symbols=columns.chemical_symbols(len(indices)), thickness=columns.lattice.thickness
    )
    exact = cluster.hessian(y).toarray()
    found, _ = difference_hessian(
        lambda y: cluster.energy_and_gradient(y)[1],
        y,
        places=columns.lattice.places(indices),
        site=np.repeat(np.arange(len(indices)), columns.atoms_per_site),
        # Through the densities of its neighbours an atom feels others at twice the cutoff.
        reach=2.0 * potential.capabilities.cutoff + 0.5,
    )
    assert np.abs(exact).max() > 5.0
    np.testing.assert_allclose(found.toarray(), exact, atol=5e-3)
