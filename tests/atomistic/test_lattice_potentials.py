"""Fixed-neighbour potentials: the published check energy, derivatives, and the Cauchy–Born density of the same functions."""

import re

import numpy as np
import pytest
from scipy.sparse.linalg import spsolve

from atomistic.errors import AtomisticError, EvaluationError, WeightedEnergiesError
from atomistic.lattice_potentials import TRIANGULAR, LatticeMorse, ToyEAM
from atomistic.radial import half_list, lattice_vectors_within

#: The stretch that the benchmark was published with; it lies 6e-9 off the potential's own equilibrium.
PUBLISHED_STRETCH = 0.983804672
SHEARED = np.array([[1.0, 0.02], [0.0, 1.03]])
FCC = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]) / np.sqrt(2.0)


def hexagon(layers):
    """Sites of a hexagon of `layers` layers around a vacancy at the origin, and the layer of each."""
    axis = np.arange(-layers, layers + 1)
    sites = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    layer = np.abs(np.column_stack([sites, sites.sum(axis=1)])).max(axis=1)
    keep = (layer <= layers) & (layer > 0)
    return sites[keep], layer[keep]


def clamped_minimum(stretch):
    """The vacancy's energy with nine layers of which the outer two are held: Newton's method from the homogeneous state."""
    sites, layer = hexagon(9)
    cluster = ToyEAM().cluster(sites)
    y = sites @ TRIANGULAR @ (stretch * SHEARED).T
    free = np.repeat(layer <= 7, 2)
    for _ in range(6):
        _, gradient = cluster.energy_and_gradient(y)
        stiffness = cluster.hessian(y)[free][:, free]
        y.reshape(-1)[free] -= spsolve(stiffness.tocsc(), gradient.reshape(-1)[free])
    energy, gradient = cluster.energy_and_gradient(y)
    assert len(sites) == 270
    assert np.abs(gradient.reshape(-1)[free]).max() < 1e-12
    assert cluster.counter.calls == 7
    return energy, cluster.site_energies(y).sum()


def test_published_check_energy():
    """The six decimals that are printed, at the stretch that they were computed with."""
    energy, total = clamped_minimum(PUBLISHED_STRETCH)
    assert energy == pytest.approx(-699.365048, abs=5e-7)
    assert total == pytest.approx(energy, abs=1e-10)
    assert clamped_minimum(ToyEAM().equilibrium_stretch())[0] == pytest.approx(-699.3650506055, abs=1e-9)


def test_equilibrium_stretch():
    toy = ToyEAM()
    stretch = toy.equilibrium_stretch()
    assert stretch == pytest.approx(0.9838046664362, abs=1e-12)
    assert stretch == pytest.approx(PUBLISHED_STRETCH, abs=1e-8)
    assert np.abs(toy.cauchy_born().stress(stretch * np.eye(2)[None])).max() < 1e-13
    assert LatticeMorse().equilibrium_stretch() == pytest.approx(1.0, abs=1e-12)


CLUSTERS = [
    (ToyEAM(), TRIANGULAR, "triangular"),
    (LatticeMorse(reach=1.8), TRIANGULAR, "second neighbours"),
    (LatticeMorse(basis=FCC, reach=1.5), FCC, "fcc"),
]


@pytest.mark.parametrize(("potential", "basis", "_name"), CLUSTERS, ids=[c[2] for c in CLUSTERS])
def test_gradient_and_hessian_are_derivatives(potential, basis, _name):
    rng = np.random.default_rng(0)
    m = len(basis)
    sites = np.stack(np.meshgrid(*[np.arange(4)] * m, indexing="ij"), axis=-1).reshape(-1, m)
    sites = rng.permutation(np.delete(sites, 6, axis=0))  # a vacancy, and no particular order
    cluster = potential.cluster(sites)
    y = sites @ basis + 0.03 * rng.normal(size=(len(sites), m))
    w = rng.random(len(sites))
    w[:3] = 0.0
    energy, gradient = cluster.energy_and_gradient(y, w)
    assert energy == pytest.approx(w @ cluster.site_energies(y), rel=1e-13)
    assert np.abs(gradient.sum(axis=0)).max() < 1e-12
    hessian = cluster.hessian(y, w)
    assert abs(hessian - hessian.T).max() < 1e-12
    step = 1e-5
    for k in range(0, y.size, 5):
        sides = []
        for sign in (1, -1):
            moved = y.copy()
            moved.reshape(-1)[k] += sign * step
            sides.append(cluster.energy_and_gradient(moved, w))
        # Truncation is step² times third (fourth) derivatives, some 1e3 (1e4).
        assert (sides[0][0] - sides[1][0]) / (2 * step) == pytest.approx(gradient.reshape(-1)[k], abs=1e-6)
        column = (sides[0][1] - sides[1][1]).reshape(-1) / (2 * step)
        np.testing.assert_allclose(hessian[:, [k]].toarray()[:, 0], column, atol=2e-6)


def test_pair_energies_against_all_pairs():
    morse = LatticeMorse(basis=FCC, reach=1.5)
    sites = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    far = np.linalg.norm((sites[:, None] - sites[None]) @ FCC, axis=2)
    y = 1.01 * sites @ FCC
    r = np.linalg.norm(y[:, None] - y[None], axis=2)
    linked = (far > 0.1) & (far < 1.5)
    expected = 0.5 * morse.pair(r[linked])[0].sum()
    assert morse.cluster(sites).energy_and_gradient(y)[0] == pytest.approx(expected, rel=1e-13)
    assert len(morse.neighbours) == 18


def test_cauchy_born_is_the_energy_of_a_bulk_site():
    rng = np.random.default_rng(1)
    deformations = np.eye(2) + 0.05 * rng.normal(size=(6, 2, 2))
    for potential in (ToyEAM(), LatticeMorse(reach=1.8)):
        material = potential.cauchy_born()
        assert material.site_volume == pytest.approx(np.sqrt(0.75), rel=1e-15)
        sites, _ = hexagon(6)
        centre = np.argmax((sites == [3, 0]).all(axis=1))
        cluster = potential.cluster(sites)
        for deformation, density in zip(deformations, material.energy(deformations), strict=True):
            energies = cluster.site_energies(sites @ TRIANGULAR @ deformation.T)
            assert density * material.site_volume == pytest.approx(energies[centre], rel=1e-13)
        stress, tangent = material.stress(deformations), material.tangent(deformations)
        step = 1e-5
        for i in range(2):
            for j in range(2):
                change = np.zeros((2, 2))
                change[i, j] = step
                slope = (material.energy(deformations + change) - material.energy(deformations - change)) / (2 * step)
                np.testing.assert_allclose(stress[:, i, j], slope, atol=1e-7)
                slope = (material.stress(deformations + change) - material.stress(deformations - change)) / (2 * step)
                np.testing.assert_allclose(tangent[:, :, :, i, j], slope, atol=2e-6)


def test_homogeneous_crystal_has_no_forces_inside():
    sites, layer = hexagon(7)
    cluster = ToyEAM().cluster(np.concatenate([sites, [[0, 0]]]))
    y = np.concatenate([sites, [[0, 0]]]) @ TRIANGULAR @ SHEARED.T
    gradient = cluster.energy_and_gradient(y)[1]
    assert np.abs(gradient[:-1][layer <= 5]).max() < 1e-13
    assert np.abs(gradient[:-1][layer == 7]).max() > 0.01


MISTAKES = [
    (lambda toy: toy.cluster([[0, 0], [0, 0]]), AtomisticError, "[0, 0] is there twice"),
    (lambda toy: toy.cluster([[0.0, 1.0]]), AtomisticError, "are integers"),
    (lambda toy: toy.cluster([[0, 1, 2]]), AtomisticError, "Expected lattice indices (n, m)"),
    (lambda toy: toy.cluster([[0, 1]], neighbours=[[1, 0]]), AtomisticError, "its opposite too"),
    (lambda toy: toy.cluster([[0, 1]]).energy_and_gradient(np.zeros((2, 2))), AtomisticError, "positions of 1 sites"),
    (lambda toy: toy.cluster([[0, 1]]).energy_and_gradient(np.zeros((1, 2)), [1.0, 2.0]), WeightedEnergiesError, "(1,)"),
    (lambda toy: toy.cluster([[0, 1]]).energy_and_gradient(np.zeros((1, 2)), [np.nan]), WeightedEnergiesError, "finite"),
    (lambda toy: toy.cluster([[0, 0], [0, 1]]).energy_and_gradient(np.zeros((2, 2))), EvaluationError, "sit on each other"),
    (lambda toy: toy.cauchy_born().energy(np.eye(2)), AtomisticError, "One gradient F is F[None]"),
    (lambda toy: LatticeMorse(length=2.0).equilibrium_stretch(), AtomisticError, "no equilibrium"),
]  # fmt: skip


@pytest.mark.parametrize(("act", "error", "words"), MISTAKES, ids=[m[2] for m in MISTAKES])
@pytest.mark.filterwarnings("ignore:invalid value", "ignore:divide by zero")
def test_mistakes_are_answered(act, error, words):
    with pytest.raises(error, match=re.escape(words)):
        act(ToyEAM())


def test_lattice_vectors():
    assert len(lattice_vectors_within(TRIANGULAR, 1.1)) == 6
    assert len(lattice_vectors_within(FCC, 1.1)) == 12
    half = half_list(lattice_vectors_within(FCC, 2.05))
    assert 2 * len(half) == 12 + 6 + 24 + 12
    # A skewed basis of the same lattice must not lose any.
    assert len(lattice_vectors_within(np.array([[1, 0, 0], [3, 1, 0], [-2, 4, 1]]) @ FCC, 2.05)) == 54
