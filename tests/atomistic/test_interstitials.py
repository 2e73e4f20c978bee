"""Holes of crystals against their geometry, and what finds them anywhere else."""

from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from hypothesis import given, settings
from hypothesis import strategies as st

from atomistic.errors import InterstitialError
from atomistic.interstitials import find_interstitials


def count(atoms, **options):
    """Kinds and radii, per atom."""
    holes = find_interstitials(atoms, **options)
    return Counter((hole.kind, round(hole.radius, 9)) for hole in holes)


# Radii in lattice constants: fcc a/2 and √3a/4; bcc a/2 (two atoms, four at a/√2) and √5a/4; diamond √3a/4 and √11a/8.
@pytest.mark.parametrize(
    ("structure", "holes"),
    [
        ("fcc", {("octahedral", 0.5): 4, ("tetrahedral", np.sqrt(3) / 4): 8}),
        ("bcc", {("octahedral", 0.5): 6, ("tetrahedral", np.sqrt(5) / 4): 12}),
        ("diamond", {("tetrahedral", np.sqrt(3) / 4): 8, ("other", np.sqrt(11) / 8): 16}),
    ],
)
def test_holes_of_cubic_crystals(structure, holes):
    atoms = bulk("Al" if structure != "diamond" else "Si", structure, a=4.0, cubic=True)
    assert count(atoms) == {(kind, round(4.0 * radius, 9)): number for (kind, radius), number in holes.items()}


def test_holes_of_an_ideal_hexagonal_crystal():
    a = 3.0
    atoms = bulk("Mg", "hcp", a=a, c=a * np.sqrt(8 / 3))
    assert count(atoms) == {
        ("octahedral", round(a / np.sqrt(2), 9)): 2,
        ("tetrahedral", round(a * np.sqrt(3 / 8), 9)): 4,
    }


def test_the_octahedral_hole_of_bcc_has_two_near_and_four_far_neighbours():
    atoms = bulk("Fe", "bcc", a=2.87, cubic=True) * 3
    hole = find_interstitials(atoms, near=[2.87, 2.87, 1.435], kind="octahedral")[0]
    assert hole.position == pytest.approx([2.87, 2.87, 1.435])
    distances = np.sort(np.linalg.norm(atoms.positions[list(hole.neighbours)] - hole.position, axis=1))
    assert distances == pytest.approx([1.435] * 2 + [2.87 / np.sqrt(2)] * 4)


def test_places_are_sorted_by_distance_across_the_cell():
    atoms = bulk("Al", cubic=True, a=4.0) * 2
    holes = find_interstitials(atoms, near=[7.9, 0.1, 0.1], kind="octahedral")
    offsets = [float(np.linalg.norm((hole.position - [7.9, 0.1, 0.1] + 4.0) % 8.0 - 4.0)) for hole in holes]
    assert len(holes) == 32
    assert offsets == sorted(offsets)
    near = find_interstitials(atoms, near=[7.9, 0.1, 0.1], kind="octahedral", within=3.0)
    assert len(near) == sum(offset <= 3.0 for offset in offsets)
    assert [hole.position.tolist() for hole in near] == [hole.position.tolist() for hole in holes[: len(near)]]


@settings(max_examples=15, deadline=None)
@given(shift=st.lists(st.floats(-20, 20), min_size=3, max_size=3), turn=st.floats(0, 360), seed=st.integers(0, 99))
def test_moved_turned_and_shuffled_crystals_have_the_same_holes(shift, turn, seed):
    atoms = bulk("Cu", "fcc", a=3.6) * 2
    before = count(atoms)
    atoms.rotate(turn, "x", rotate_cell=True)
    atoms.positions += shift
    atoms.wrap()
    atoms = atoms[np.random.default_rng(seed).permutation(len(atoms))]
    after = find_interstitials(atoms)
    assert Counter(kind for kind, _ in before.elements()) == Counter(hole.kind for hole in after)
    assert max(hole.radius for hole in after) == pytest.approx(1.8)


@pytest.mark.parametrize("structure", ["fcc", "hcp"])
def test_thermal_displacements_keep_every_hole(structure):
    atoms = bulk("Mg", structure, a=4.5 if structure == "fcc" else 3.2, cubic=structure == "fcc") * (2, 2, 2)
    perfect = Counter(hole.kind for hole in find_interstitials(atoms))
    atoms.rattle(0.06, seed=3)
    assert Counter(hole.kind for hole in find_interstitials(atoms)) == perfect


def test_a_vacancy_is_the_largest_hole():
    atoms = bulk("Al", cubic=True, a=4.0) * 3
    place = atoms.positions[40].copy()
    del atoms[40]
    hole = find_interstitials(atoms, near=place, kind="largest", within=3.0)[0]
    assert hole.position == pytest.approx(place, abs=1e-9)
    assert hole.radius == pytest.approx(4.0 / np.sqrt(2))
    assert len(hole.neighbours) == 12


def test_vacuum_is_no_hole():
    slab = fcc111("Al", (2, 2, 4), a=4.05, vacuum=10.0)
    holes = find_interstitials(slab, kind="octahedral")
    low, high = slab.positions[:, 2].min(), slab.positions[:, 2].max()
    assert len(holes) == 12
    assert all(low < hole.position[2] < high for hole in holes)


def test_positions_with_a_cell_are_atoms():
    atoms = bulk("Al", cubic=True)
    from_atoms = find_interstitials(atoms)
    from_positions = find_interstitials(atoms.positions, cell=atoms.cell.array, pbc=True)
    assert [hole.kind for hole in from_atoms] == [hole.kind for hole in from_positions]
    # Without a cell the fourteen atoms of a cube and its faces hold one octahedron.
    cube = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    faces = 0.5 + 0.5 * np.vstack([np.eye(3), -np.eye(3)])
    holes = find_interstitials(np.vstack([cube, faces]) * 4.0, kind="octahedral")
    assert len(holes) == 1
    assert holes[0].position == pytest.approx([2, 2, 2])


def test_bad_questions_are_refused():
    atoms = bulk("Al", cubic=True)
    with pytest.raises(InterstitialError, match="near"):
        find_interstitials(atoms, within=3.0)
    with pytest.raises(InterstitialError, match="finite positions"):
        find_interstitials(np.full((5, 3), np.nan))
    with pytest.raises(InterstitialError, match="four atoms"):
        find_interstitials(np.zeros((3, 3)))
    with pytest.raises(InterstitialError, match="one plane"):
        find_interstitials(Atoms("Al4", positions=[[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]]))
    with pytest.raises(InterstitialError, match="periodic"):
        find_interstitials(atoms.positions, pbc=True)
    with pytest.raises(InterstitialError, match="largest_radius"):
        find_interstitials(atoms, largest_radius=0.0)
