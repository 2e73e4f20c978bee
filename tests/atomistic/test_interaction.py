"""Measured force constants against analytic Hessians and elastic constants, and the ranges read from them."""

import numpy as np
import pytest
from scipy.sparse.linalg import eigsh

from atomistic.crystal import relax_crystal
from atomistic.elasticity import VOIGT
from atomistic.errors import InteractionError
from atomistic.interaction import measure_interaction
from atomistic.lattice import SiteTable, bulk_lattice, plane_lattice, triangular_lattice
from atomistic.lattice_potentials import ToyEAM
from atomistic.orientation import orient
from atomistic.potentials import load_potential
from atomistic.site_energies import AtomCluster


def acoustic(stiffness, direction):
    """Γ_ik = C_ijkl q_j q_l of a unit direction, from a Voigt matrix."""
    place = {pair: k for k, (p, q) in enumerate(VOIGT) for pair in ((p, q), (q, p))}
    q = np.zeros(3)
    q[: len(direction)] = direction
    q /= np.linalg.norm(q)
    return np.array(
        [
            [
                sum(stiffness[place[i, j], place[k, n]] * q[j] * q[n] for j in range(3) for n in range(3))
                for k in range(3)
            ]
            for i in range(3)
        ]
    )


@pytest.fixture(scope="module")
def aluminium(crystals):
    potential, crystal = crystals("Al")
    orientation = orient(crystal, plane=(1, 1, 1))
    lattice = plane_lattice(crystal, orientation)
    return potential, crystal, orientation, lattice, measure_interaction(potential, lattice)


def test_long_waves_are_elastic_waves(aluminium):
    _, _, orientation, _, interaction = aluminium
    for direction in ([1, 0], [0, 1], [1, 1], [2, -1]):
        expected = acoustic(orientation.stiffness, direction)
        # Central differences over 0.01 Å.
        np.testing.assert_allclose(
            interaction.force_constants.acoustic(direction), expected, atol=5e-4 * np.abs(expected).max()
        )


@pytest.mark.parametrize(("name", "radius"), [("Al", None), ("W", 11.0)])
def test_long_waves_in_space(crystals, name, radius):
    potential, crystal = crystals(name)
    interaction = measure_interaction(potential, bulk_lattice(crystal), radius=radius)
    for direction in ([1, 0, 0], [1, 1, 0], [1, 2, 3]):
        expected = acoustic(crystal.stiffness, direction)
        np.testing.assert_allclose(
            interaction.force_constants.acoustic(direction), expected, atol=1e-3 * np.abs(expected).max()
        )


def test_symmetries_of_force_constants(aluminium):
    constants = aluminium[4].force_constants
    assert not constants.offsets[0].any()
    np.testing.assert_allclose(constants.blocks, np.swapaxes(constants.blocks, 1, 2), atol=1e-15)
    table = SiteTable(constants.offsets)
    np.testing.assert_allclose(constants.blocks, constants.blocks[table.find(-constants.offsets)], atol=1e-12)
    np.testing.assert_allclose(constants.blocks.sum(axis=0), 0.0, atol=1e-13)
    assert aluminium[4].noise < 1e-10
    assert aluminium[4].evaluations == 6


def test_reach_of_an_embedded_atom_potential(aluminium):
    potential, *_, interaction = aluminium
    cutoff = potential.capabilities.cutoff
    # A site's energy sees its neighbours, a force the neighbours of neighbours as well: exactly nothing beyond.
    assert np.all(interaction.site_decay[interaction.distances > cutoff + 0.1] == 0.0)
    assert interaction.site_decay[interaction.distances < 5.0].min() > 1e-4
    assert interaction.decay[interaction.distances > 2.0 * cutoff].max(initial=0.0) < 1e-11
    weak = interaction.range_for(force=1e-3)
    strong = interaction.range_for(force=1e-5)
    assert 4.0 < weak < strong < 2.0 * cutoff
    beyond = interaction.distances > strong
    assert np.all(interaction.decay[beyond] * 0.1 <= 1e-5)
    assert interaction.range_for(force=1e-5, sites=True) < cutoff
    reach = interaction.range_for(fraction=1e-3)
    assert interaction.cut_off_part(reach) <= 1e-3 < interaction.cut_off_part(reach - 0.01)
    assert interaction.cut_off_part(0.0) == 1.0


def test_supercell_is_large_enough(aluminium):
    # With images at least two radii away the force constants do not depend on how much farther they are.
    potential, _, _, lattice, interaction = aluminium
    larger = measure_interaction(potential, lattice, radius=17.0)
    count = len(interaction.force_constants.blocks)
    np.testing.assert_array_equal(larger.force_constants.offsets[:count], interaction.force_constants.offsets)
    np.testing.assert_allclose(larger.force_constants.blocks[:count], interaction.force_constants.blocks, atol=1e-9)


def test_matrix_is_the_hessian_of_the_crystal(aluminium):
    potential, _, _, lattice, interaction = aluminium
    # Deep inside a disc, rows of the analytic Hessian are those of the infinite crystal.
    indices = lattice.indices_within(lambda x: np.hypot(*x.T) < 22.0, [-22, -22], [22, 22])
    cluster = AtomCluster(potential, symbols="Al", thickness=lattice.thickness)
    hessian = cluster.hessian(lattice.positions(indices)).tocsr()
    matrix = interaction.force_constants.matrix(indices)
    middle = np.flatnonzero(np.hypot(*lattice.places(indices).T) < 6.0)
    rows = (3 * middle[:, None] + np.arange(3)).ravel()
    difference = np.abs((hessian - matrix)[rows].toarray()).max()
    # Central differences; the analytic second derivatives of cubic pieces jump at the points of the tables.
    assert difference < 1e-3 * np.abs(interaction.force_constants.blocks[0]).max()


def test_matrix_of_a_finite_set(aluminium):
    *_, lattice, interaction = aluminium
    constants = interaction.force_constants
    indices = lattice.indices_within(lambda x: np.hypot(*x.T) < 15.0, [-15, -15], [15, 15])
    count = len(indices)
    weights = np.random.default_rng(0).uniform(0.0, 1.0, count)
    fixed, free = constants.matrix(indices), constants.matrix(indices, absent="free")
    weighted = constants.matrix(indices, weights=weights, absent="free")
    shift = np.tile([0.3, -0.2, 0.7], count)
    for matrix in (fixed, free, weighted):
        assert np.abs(matrix - matrix.T).max() < 1e-14
    np.testing.assert_allclose(free @ shift, 0.0, atol=1e-12)
    np.testing.assert_allclose(weighted @ shift, 0.0, atol=1e-12)
    assert eigsh(fixed, k=1, sigma=0.0, return_eigenvectors=False)[0] > 0.01
    # The energy that the docstring states, by its own double sum.
    u = np.random.default_rng(1).normal(size=(count, 3))
    table, energy = SiteTable(indices), 0.0
    for offset, block in zip(constants.offsets, constants.blocks, strict=True):
        other = table.find(indices + offset)
        here = np.flatnonzero(other >= 0)
        change = u[here] - u[other[here]]
        bond = 0.5 * (weights[here] + weights[other[here]])
        energy -= 0.25 * np.einsum("n,ni,ij,nj->", bond, change, block, change)
    assert 0.5 * u.ravel() @ (weighted @ u.ravel()) == pytest.approx(energy, rel=1e-12)
    # The order of the sites is the user's.
    mixed = np.random.default_rng(2).permutation(count)
    unknowns = (3 * mixed[:, None] + np.arange(3)).ravel()
    assert abs(constants.matrix(indices[mixed]) - fixed[unknowns][:, unknowns]).max() < 1e-12


def test_toy_lattice():
    potential, lattice = ToyEAM(), triangular_lattice()
    stretch = potential.equilibrium_stretch() * np.eye(2)
    interaction = measure_interaction(potential, lattice, deformation=stretch)
    tangent = potential.cauchy_born().tangent(stretch[None])[0]
    for direction in (np.array([1.0, 0.0]), np.array([0.6, 0.8])):
        expected = np.einsum("ijkl,j,l->ik", tangent, direction, direction)
        np.testing.assert_allclose(interaction.force_constants.acoustic(direction), expected, rtol=1e-10, atol=1e-12)
    # Fixed nearest neighbours: forces reach to 2, energies to 1.
    assert interaction.range_for(force=1e-9) == pytest.approx(2.0)
    assert interaction.range_for(force=1e-9, sites=True) == pytest.approx(1.0)
    indices = lattice.indices_within(lambda x: np.hypot(*x.T) < 8.5, [-9, -9], [9, 9])
    matrix = interaction.force_constants.matrix(indices)
    hessian = potential.cluster(indices).hessian(lattice.positions(indices) @ stretch.T)
    middle = np.flatnonzero(np.hypot(*lattice.places(indices).T) < 6.0)
    rows = (2 * middle[:, None] + np.arange(2)).ravel()
    assert abs((hessian - matrix)[rows]).max() < 1e-11


def test_forces_only(crystals):
    potential = load_potential("snap-ni")
    crystal = relax_crystal(potential, symbols="Ni", structure="fcc")
    lattice = plane_lattice(crystal, orient(crystal, plane=(1, 1, 1)))
    interaction = measure_interaction(potential, lattice, radius=8.5)
    assert interaction.site_decay is None
    assert interaction.evaluations == 3
    assert interaction.range_for(force=1e-6) <= 2.0 * potential.capabilities.cutoff
    with pytest.raises(InteractionError, match="gives no site energies"):
        interaction.range_for(force=1e-6, sites=True)


@pytest.mark.slow
def test_foundation_model_decays_slowly():
    # One column of aluminium displaced by 0.11 Å. A single atom leaves 8e-4 eV/Å at 8 Å and 3e-4 at 11 Å; a column, of
    # which every atom moves, more.
    potential = load_potential("sevennet-0")
    crystal = relax_crystal(potential, symbols="Al", structure="fcc")
    lattice = plane_lattice(crystal, orient(crystal, plane=(1, 1, 1)))
    interaction = measure_interaction(potential, lattice, displacement=0.11)
    force = {r: 0.11 * interaction.decay[interaction.distances >= r].max() for r in (8.0, 11.0)}
    assert force[8.0] == pytest.approx(2.2e-3, rel=0.1)
    assert force[11.0] == pytest.approx(6.8e-4, rel=0.1)
    assert interaction.noise < 1e-5
    assert interaction.cut_off_part(8.0) == pytest.approx(0.045, rel=0.1)
    with pytest.raises(InteractionError, match=r"beyond 12\.0 Å is still above the bound 0\.0001"):
        interaction.range_for(force=1e-4, displacement=0.11)


def test_bad_requests_are_refused(aluminium):
    potential, _, _, lattice, interaction = aluminium
    with pytest.raises(InteractionError, match="one bound"):
        interaction.range_for()
    with pytest.raises(InteractionError, match="one bound"):
        interaction.range_for(fraction=0.1, force=0.1)
    with pytest.raises(InteractionError, match="positive"):
        interaction.range_for(force=-1.0)
    with pytest.raises(InteractionError, match="radius must be a positive length"):
        measure_interaction(potential, lattice, radius=0.0)
    with pytest.raises(InteractionError, match="positive determinant"):
        measure_interaction(potential, lattice, deformation=-np.eye(3))
    with pytest.raises(InteractionError, match="three dimensions"):
        measure_interaction(potential, triangular_lattice())
    with pytest.raises(InteractionError, match="from one lattice"):
        measure_interaction(ToyEAM(), triangular_lattice(spacing=2.0))
    with pytest.raises(InteractionError, match="'fixed' or 'free'"):
        interaction.force_constants.matrix([[0, 0]], absent="gone")
    with pytest.raises(InteractionError, match="one finite weight"):
        interaction.force_constants.matrix([[0, 0]], weights=[1.0, 2.0])
