"""Columns of atoms along a crack front against the crystals they stand for."""

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

from atomistic.cleavage import Cut, find_cuts
from atomistic.columns import crack_columns
from atomistic.errors import InvalidPlaneError, LatticeError
from atomistic.lattice import plane_lattice
from atomistic.orientation import orient

# Crystal, plane, front.
CASES = [
    ("Si", (1, 1, 1), (1, -1, 0)),
    ("Si", (1, 1, 1), (1, 1, -2)),
    ("Si", (1, 1, 0), (1, -1, 0)),
    ("Si", (1, 1, 0), (0, 0, 1)),
    ("Si", (1, 0, 0), (0, 1, 1)),
    ("Si", (1, 1, 2), (1, -1, 0)),
    ("Si", (3, 1, 1), (0, 1, -1)),
    ("SiC", (1, 1, 1), (1, -1, 0)),
    ("NiAl", (1, 1, 0), (0, 0, 1)),
    ("NiAl", (1, 0, 0), (0, 0, 1)),
    ("Mg", (0, 0, 1), (1, 0, 0)),
    ("Al", (1, 1, 1), (1, -1, 0)),
    ("Al", (1, 1, 2), (1, -1, 0)),
    ("W", (1, 0, 0), (0, 0, 1)),
    ("W", (1, 1, 0), (1, -1, 0)),
    ("W", (1, 1, 0), (0, 0, 1)),
]


def block(columns, counts=(5, 4)):
    """Periodic block of columns with counts sites along the lattice's vectors."""
    indices = np.stack(np.meshgrid(*(np.arange(n) for n in counts), indexing="ij"), axis=-1).reshape(-1, 2)
    cell = columns.lattice.vectors
    cell[:2] *= np.array(counts)[:, None]
    positions = columns.positions(indices).reshape(-1, 3)
    return Atoms(columns.chemical_symbols(len(indices)), positions=positions, cell=cell, pbc=True)


def around(columns):
    """Atoms (n, 3) of sites within 25 Å along x and 12 Å along y."""
    return columns.positions(columns.lattice.indices_within(None, [-25.0, -12.0], [25.0, 12.0])).reshape(-1, 3)


@pytest.mark.parametrize(("name", "plane", "front"), CASES, ids=str)
@pytest.mark.parametrize("periods", [1, 3])
def test_columns_are_the_crystal(crystals, name, plane, front, periods):
    potential, crystal = crystals(name)
    orientation = orient(crystal, plane=plane, front=front)
    for cut in find_cuts(crystal, orientation):
        columns = crack_columns(crystal, orientation, cut=cut, periods=periods, tip_at=0.3)
        assert columns.atoms_per_site == len(columns.symbols) == len(crystal.atoms) * periods
        assert columns.lattice.site_volume == pytest.approx(periods * crystal.atoms.get_volume(), rel=1e-12)
        assert columns.periods == periods
        atoms = block(columns)
        result = potential.evaluate(atoms)
        # Rounding only: the energy per atom of the crystal, no forces, no stress.
        assert result.energy / len(atoms) == pytest.approx(crystal.energy_per_atom, abs=1e-9)
        assert np.abs(result.forces).max() < 1e-9
        assert_same_neighbours(atoms, columns, crystal, orientation)


def assert_same_neighbours(atoms, columns, crystal, orientation):
    """Compare every neighbour vector up to 1.6 lattice constants, and the elements at its ends, with the crystal's."""
    reach = 1.6 * crystal.a
    i, j, vectors = neighbor_list("ijD", atoms, reach)
    k, n, known = neighbor_list("ijD", crystal.atoms, reach)
    known = known @ orientation.rotation.T
    for motif in range(columns.atoms_per_site):
        here, there = i == motif, k == motif % len(crystal.atoms)
        assert here.sum() == there.sum()
        distance = np.linalg.norm(vectors[here][:, None] - known[there][None], axis=2)
        assert distance.min(axis=1).max() < 1e-9
        partners = crystal.atoms.numbers[n[there]][distance.argmin(axis=1)]
        np.testing.assert_array_equal(atoms.numbers[j[here]], partners)


@pytest.mark.parametrize(("name", "plane", "front"), CASES, ids=str)
def test_cut_lies_at_zero(crystals, name, plane, front):
    _, crystal = crystals(name)
    orientation = orient(crystal, plane=plane, front=front)
    for cut in find_cuts(crystal, orientation):
        columns = crack_columns(crystal, orientation, cut=cut)
        spacing = columns.lattice.row_spacing
        rows = (
            columns.lattice.places(columns.lattice.indices_within(None, [-20.0, -10.0], [20.0, 10.0]))[:, 1] / spacing
        )
        np.testing.assert_allclose(rows - np.floor(rows), 0.5, atol=1e-9)
        assert np.abs(columns.offsets[:, 1]).max() < 0.5 * spacing
        np.testing.assert_allclose(columns.offsets[:, [0, 2]].mean(axis=0), 0.0, atol=1e-12)
        heights = around(columns)[:, 1]
        above, below = heights[heights > 0.0].min(), heights[heights < 0.0].max()
        assert (above, -below) == pytest.approx((0.5 * cut.gap, 0.5 * cut.gap), abs=1e-9)


def crossing_middles(columns, length):
    """Places x of the middles of bonds (shorter than `length`, Å) across the cut, within two row periods."""
    atoms = around(columns)
    above, below = atoms[atoms[:, 1] > 0.0], atoms[atoms[:, 1] < 0.0]
    vectors = above[:, None] - below[None]
    vectors[..., 2] -= columns.period * np.rint(vectors[..., 2] / columns.period)
    i, j = np.nonzero(np.linalg.norm(vectors, axis=2) < length)
    middles = 0.5 * (above[i, 0] + below[j, 0])
    row = columns.lattice.row @ columns.lattice.basis[:, 0]
    return np.unique(np.round(middles[np.abs(middles) < 2.0 * row], 6)), row


@pytest.mark.parametrize("growth", [(1, 1, -2), (-1, -1, 2)])
def test_tip_of_silicon_lies_between_bonds(crystals, growth):
    # One upright bond across the shuffle cut in each row period: the tip x = 0 is midway between two of them. Across
    # the glide cut bonds stand half a period apart.
    _, crystal = crystals("Si")
    orientation = orient(crystal, plane=(1, 1, 1), growth=growth)
    shuffle, glide = find_cuts(crystal, orientation)
    middles, row = crossing_middles(crack_columns(crystal, orientation, cut=shuffle), 2.5)
    np.testing.assert_allclose(middles, row * np.array([-1.5, -0.5, 0.5, 1.5]), atol=1e-5)
    middles, _ = crossing_middles(crack_columns(crystal, orientation, cut=glide), 2.5)
    np.testing.assert_allclose(middles, row * np.arange(-1.75, 2.0, 0.5), atol=1e-5)
    # A tip moved forward by a quarter of a period has the bonds a quarter further back.
    moved, _ = crossing_middles(crack_columns(crystal, orientation, cut=shuffle, tip_at=0.25), 2.5)
    np.testing.assert_allclose(moved, row * np.array([-1.75, -0.75, 0.25, 1.25]), atol=1e-5)


@pytest.mark.parametrize(("name", "plane", "front"), CASES, ids=str)
def test_tip_lies_in_the_widest_interval(crystals, name, plane, front):
    _, crystal = crystals(name)
    orientation = orient(crystal, plane=plane, front=front)
    nearest = neighbor_list("d", crystal.atoms, 4.0).min()
    for cut in find_cuts(crystal, orientation):
        middles, row = crossing_middles(crack_columns(crystal, orientation, cut=cut), 1.1 * nearest)
        behind, ahead = middles[middles < 0.0].max(), middles[middles > 0.0].min()
        assert behind == pytest.approx(-ahead, abs=1e-5)
        assert ahead - behind == pytest.approx(np.diff(middles).max(), abs=1e-5)
        assert ahead - behind <= row + 1e-6


def test_a_motif_holds_neighbours(crystals):
    # Between shuffle cuts the two atoms of a site are bonded; so are those between glide cuts, upright.
    _, crystal = crystals("Si")
    orientation = orient(crystal, plane=(1, 1, 1))
    bond = crystal.a * np.sqrt(3.0) / 4.0
    for cut, height in zip(find_cuts(crystal, orientation), (bond / 3.0, bond), strict=True):
        offsets = crack_columns(crystal, orientation, cut=cut).offsets
        assert np.linalg.norm(offsets[1] - offsets[0]) == pytest.approx(bond)
        assert abs(offsets[1, 1] - offsets[0, 1]) == pytest.approx(height)


def test_single_atoms_are_their_sites(crystals):
    _, crystal = crystals("Al")
    orientation = orient(crystal, plane=(1, 1, 1))
    columns = crack_columns(crystal, orientation)
    plain = plane_lattice(crystal, orientation, origin=columns.lattice.origin)
    np.testing.assert_array_equal(columns.offsets, np.zeros((1, 3)))
    np.testing.assert_array_equal(columns.lattice.basis, plain.basis)
    np.testing.assert_array_equal(columns.positions([[3, -2]])[:, 0], plain.positions([[3, -2]]))
    assert columns.chemical_symbols(3) == ["Al"] * 3
    double = crack_columns(crystal, orientation, periods=2)
    np.testing.assert_allclose(double.offsets, [[0, 0, 0], [0, 0, columns.period]], atol=1e-12)


def test_elements_follow_their_atoms(crystals):
    _, crystal = crystals("SiC")
    columns = crack_columns(crystal, orient(crystal, plane=(1, 1, 1)), periods=2)
    assert columns.symbols == ("Si", "C", "Si", "C")
    assert columns.chemical_symbols(2) == ["Si", "C", "Si", "C"] * 2


def test_bad_requests_are_refused(crystals):
    _, crystal = crystals("Si")
    orientation = orient(crystal, plane=(1, 1, 1))
    for periods in (0, 1.5, True):
        with pytest.raises(LatticeError, match="whole number of periods"):
            crack_columns(crystal, orientation, periods=periods)
    for share in (-0.1, 1.0, np.nan):
        with pytest.raises(LatticeError, match="share of the row period"):
            crack_columns(crystal, orientation, tip_at=share)
    through = Cut(name="wrong", height=0.0, gap=1.0, broken_bonds=1, bond_density=1.0)
    with pytest.raises(LatticeError, match="passes through atoms"):
        crack_columns(crystal, orientation, cut=through)


def test_front_sets_the_growth(crystals):
    _, crystal = crystals("Si")
    by_front = orient(crystal, plane=(1, 1, 1), front=(1, -1, 0))
    by_growth = orient(crystal, plane=(1, 1, 1), growth=(1, 1, -2))
    assert (by_front.growth, by_front.front) == (by_growth.growth, by_growth.front) == ((1, 1, -2), (1, -1, 0))
    np.testing.assert_allclose(by_front.rotation, by_growth.rotation, atol=1e-15)
    assert np.linalg.det(by_front.rotation) == pytest.approx(1.0)
    both = orient(crystal, plane=(1, 1, 1), growth=(2, 2, -4), front=(1, -1, 0))
    assert both.growth == (1, 1, -2)
    # The opposite front turns the growth round.
    assert orient(crystal, plane=(1, 1, 1), front=(-1, 1, 0)).growth == (-1, -1, 2)
    _, hexagonal = crystals("Mg")
    basal = orient(hexagonal, plane=(0, 0, 0, 1), front=(2, -1, -1, 0))
    assert basal.front == (1, 0, 0)
    assert basal.growth == (1, 2, 0)


def test_bad_fronts_are_refused(crystals):
    _, crystal = crystals("Si")
    with pytest.raises(InvalidPlaneError, match=r"front direction \[1, 1, 0\] does not lie in the plane"):
        orient(crystal, plane=(1, 1, 1), front=(1, 1, 0))
    with pytest.raises(InvalidPlaneError, match=r"grows along \[1, 1, -2\]"):
        orient(crystal, plane=(1, 1, 1), growth=(-1, -1, 2), front=(1, -1, 0))
    with pytest.raises(InvalidPlaneError, match="No direction of low index"):
        orient(crystal, plane=(1, 1, 1), front=(17, 19, -36))
