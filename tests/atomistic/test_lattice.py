"""Lattices of sites against the crystals they stand for: neighbour shells, volumes, rows and boxes."""

import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from atomistic.errors import LatticeError
from atomistic.lattice import Lattice, bulk_lattice, plane_lattice, triangular_lattice
from atomistic.orientation import orient

ORIENTATIONS = [
    ("Al", (1, 1, 1), None),
    ("Al", (1, 1, 1), (1, -1, 0)),
    ("Al", (0, 0, 1), (1, 0, 0)),
    ("Al", (0, 0, 1), (1, 1, 0)),
    ("Al", (1, 1, 0), None),
    ("Al", (1, 1, 2), (1, 1, -1)),
    ("Al", (3, 1, 1), None),
    ("W", (1, 1, 0), None),
    ("W", (0, 0, 1), (1, 0, 0)),
    ("W", (1, 1, 2), (1, 1, -1)),
]


def shells(atoms, reach):
    """Distances from the first atom to the others around it, sorted."""
    first, distance = neighbor_list("id", atoms, reach)
    return np.sort(distance[first == 0])


@pytest.mark.parametrize(("name", "plane", "growth"), ORIENTATIONS)
def test_plane_lattice_is_the_crystal(crystals, name, plane, growth):
    _, crystal = crystals(name)
    orientation = orient(crystal, plane=plane, growth=growth)
    lattice = plane_lattice(crystal, orientation)
    cube = crystal.conventional
    assert lattice.site_volume == pytest.approx(crystal.atoms.get_volume(), rel=1e-12)
    supercell = lattice.supercell([3, 4])
    # Every pair vector up to 2.1 lattice constants, turned to the laboratory, and not only its length.
    reach = 2.1 * crystal.a
    first, vectors = neighbor_list("iD", supercell, reach)
    here = vectors[first == 5]
    first, vectors = neighbor_list("iD", cube, reach)
    there = vectors[first == 0] @ orientation.rotation.T
    assert len(here) == len(there)
    nearest = np.linalg.norm(here[:, None] - there[None], axis=2).min(axis=1)
    assert nearest.max() < 1e-9
    # The thickness is the shortest lattice vector along z.
    along = there[(np.hypot(there[:, 0], there[:, 1]) < 1e-6) & (there[:, 2] > 0)]
    if len(along):
        assert lattice.thickness == pytest.approx(along[:, 2].min(), abs=1e-9)
    first, second = lattice.basis
    cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    assert -1e-9 <= cosine <= 0.5 + 1e-9
    # Rows along y: sites stand at multiples of the spacing and fill all of them.
    heights = lattice.places(lattice.indices_within(None, [-10, -10], [10, 10]))[:, 1]
    steps = np.unique(np.round(heights / lattice.row_spacing, 6))
    np.testing.assert_allclose(np.diff(steps), 1.0, atol=1e-5)
    np.testing.assert_allclose(lattice.row @ lattice.basis[:, 1], 0.0, atol=1e-9)


def test_aluminium_111_with_front_110(crystals):
    # (111) planes lie a/√3 apart; seen along [1-10] columns stand a√6/4 apart on them, their atoms a/√2.
    _, crystal = crystals("Al")
    lattice = plane_lattice(crystal, orient(crystal, plane=(1, 1, 1)))
    a = crystal.a
    assert lattice.thickness == pytest.approx(a / np.sqrt(2.0), rel=1e-12)
    assert lattice.row_spacing == pytest.approx(a / np.sqrt(3.0), rel=1e-12)
    assert np.linalg.norm(lattice.row @ lattice.basis) == pytest.approx(a * np.sqrt(6.0) / 4.0, rel=1e-12)
    # Every other column stands half an atom higher.
    assert lattice.row @ lattice.lift % lattice.thickness == pytest.approx(lattice.thickness / 2.0, rel=1e-9)


@pytest.mark.parametrize("name", ["Al", "W"])
def test_bulk_lattice_is_the_crystal(crystals, name):
    _, crystal = crystals(name)
    lattice = bulk_lattice(crystal, origin=[0.3, 0.2, 0.1])
    assert (lattice.dimension, lattice.components, lattice.thickness) == (3, 3, 1.0)
    assert lattice.site_volume == pytest.approx(crystal.atoms.get_volume(), rel=1e-12)
    np.testing.assert_allclose(shells(lattice.supercell([4, 4, 4]), 7.0), shells(crystal.conventional, 7.0), atol=1e-9)
    indices = lattice.indices_within(lambda x: np.linalg.norm(x, axis=1) <= 6.0, [-6] * 3, [6] * 3)
    distance, _ = np.unique(np.round(np.linalg.norm(lattice.places(indices), axis=1), 6), return_counts=True)
    assert distance.max() <= 6.0
    offsets = lattice.offsets_within(6.0)
    reach = np.linalg.norm(offsets @ lattice.basis, axis=1)
    np.testing.assert_allclose(reach, [0.0, *shells(crystal.conventional, 6.0)], atol=1e-6)
    assert not np.any(offsets[0])


def test_boxes_hold_their_sites():
    lattice = triangular_lattice(spacing=2.0)
    everything = lattice.indices_within(None, [-6.0, 0.0], [6.0, 2.0 * np.sqrt(3.0)])
    # Seven sites on the even rows at y = 0 and 2√3, six between; those on the faces belong to the box.
    assert len(everything) == 7 + 6 + 7
    assert [tuple(i) for i in everything] == sorted(map(tuple, everything))
    disc = lattice.indices_within(lambda x: np.hypot(*x.T) < 2.1, [-3, -3], [3, 3])
    assert len(disc) == 7
    assert lattice.row_spacing == pytest.approx(np.sqrt(3.0))
    assert lattice.site_volume == pytest.approx(2.0 * np.sqrt(3.0))
    assert len(lattice.offsets_within(2.0)) == 7


def test_heights_lie_within_the_thickness(crystals):
    _, crystal = crystals("W")
    lattice = plane_lattice(crystal, orient(crystal, plane=(1, 1, 2), growth=(1, 1, -1)))
    heights = lattice.positions(lattice.indices_within(None, [-60, -60], [60, 60]))[:, 2]
    assert heights.min() > -1e-6
    assert heights.max() < lattice.thickness - 1e-3
    atoms = lattice.atoms([[0, 0], [1, 0]])
    assert list(atoms.pbc) == [False, False, True]
    assert atoms.cell.lengths()[2] == lattice.thickness
    assert len(lattice.supercell([2, 3], thicknesses=2)) == 12


def test_bad_requests_are_refused(crystals):
    for name in ("Si", "Mg", "NiAl"):
        _, crystal = crystals(name)
        with pytest.raises(LatticeError, match="2 atoms in its primitive cell"):
            bulk_lattice(crystal)
        with pytest.raises(LatticeError, match="fcc or bcc"):
            plane_lattice(crystal, orient(crystal, plane=(0, 0, 1), growth=(1, 0, 0)))
    lattice = triangular_lattice()
    with pytest.raises(LatticeError, match="corners of 2"):
        lattice.indices_within(None, [0, 0, 0], [1, 1, 1])
    with pytest.raises(LatticeError, match="2 positive counts"):
        lattice.supercell([1, 0])
    with pytest.raises(LatticeError, match="right-handed"):
        Lattice(
            basis=np.array([[0.0, 1.0], [1.0, 0.0]]), lift=np.zeros(2), thickness=1.0, components=2, symbol=None,
            origin=np.zeros(2),
        )  # fmt: skip
