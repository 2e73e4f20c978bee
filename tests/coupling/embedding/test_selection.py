"""Selections of the quantum core: against counting by hand, through periods, and under atoms that swing."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule

from coupling.crack.bonds import bonds_across
from coupling.embedding.selection import Indices, Near, Score, Species, Within
from coupling.embedding.selection_structure import BondTip, Coordination, NearTip
from coupling.errors import SelectionError, TipError
from tests.coupling import cracked_crystals


def rows(selection, atoms, current=None):
    return np.flatnonzero(selection.select(atoms, current)).tolist()


def mask(count, *chosen):
    made = np.zeros(count, dtype=bool)
    made[list(chosen)] = True
    return made


def by_hand(atoms, point, radius, images=5):
    """Atoms with any image within the radius, by trying all of them."""
    shifts = [np.array(s) - images for s in np.ndindex(*(2 * images + 1,) * 3)]
    shifts = [s @ atoms.cell.array for s in shifts if not np.any(s[~atoms.pbc])]
    distance = [np.linalg.norm(atoms.positions + s - point, axis=1) for s in shifts]
    return np.flatnonzero(np.min(distance, axis=0) <= radius).tolist()


@pytest.fixture
def skewed():
    """A strongly tilted cell, atoms anywhere in it and outside."""
    rng = np.random.default_rng(3)
    cell = np.array([[8.0, 0.0, 0.0], [6.5, 7.0, 0.0], [-5.0, 3.0, 9.0]])
    return Atoms("Al60", positions=rng.uniform(-1.0, 2.0, (60, 3)) @ cell, cell=cell, pbc=True)


def test_indices_and_species_choose_what_they_name():
    atoms = molecule("CH3CH2OH")
    assert rows(Indices([4, 1]), atoms) == [1, 4]
    assert rows(Indices(2), atoms) == [2]
    assert rows(Species("O"), atoms) == [2]
    assert rows(Species(("C", "O")), atoms) == [0, 1, 2]
    assert rows(Species("N"), atoms) == []


@pytest.mark.parametrize("pbc", [(True, True, True), (True, False, True), (False, False, False)])
def test_near_counts_the_nearest_image(skewed, pbc):
    skewed.pbc = pbc
    for point in skewed.positions[:10] + 0.3:
        assert rows(Near(point, 3.1), skewed) == by_hand(skewed, point, 3.1)
    assert rows(Near(7, 3.1), skewed) == by_hand(skewed, skewed.positions[7], 3.1)


def test_an_atom_follows_itself_through_a_period():
    atoms = bulk("Al", cubic=True).repeat((4, 2, 2))
    around = Near(0, 3.0)
    before = around.select(atoms)
    atoms.wrap()
    atoms.positions -= 7.3
    atoms.wrap()
    assert before.sum() == 13
    assert np.array_equal(around.select(atoms), before)


@pytest.mark.parametrize("pbc", [(True, True, True), (True, False, True), (False, False, False)])
def test_within_grows_by_images(skewed, pbc):
    skewed.pbc = pbc
    seeds = [3, 50]
    expected = sorted({i for s in seeds for i in by_hand(skewed, skewed.positions[s], 2.7)})
    assert rows(Within(Indices(seeds), 2.7), skewed) == expected
    assert len(expected) > len(seeds)


def test_within_reaches_beyond_a_small_cell():
    atoms = bulk("Al", cubic=True)
    assert rows(Within(Indices(0), 2.9), atoms) == [0, 1, 2, 3]
    assert rows(Within(Indices(0), 2.8), atoms) == [0]


def test_an_oscillating_atom_does_not_flicker():
    """It swings by ±0.4 Å about the radius; the thresholds are 1 Å apart."""
    atoms = Atoms("Al2", positions=[[0, 0, 0], [5, 0, 0]])

    def changes(selection):
        current, count = None, -1
        for phase in np.linspace(0.0, 20.0 * np.pi, 400):
            atoms.positions[1, 0] = 5.0 + 0.4 * np.sin(phase)
            found = selection.select(atoms, current)
            count += current is None or not np.array_equal(found, current)
            current = found
        return count

    def uncertain(atoms):
        return 1.0 / (1.0 + np.linalg.norm(atoms.positions, axis=1))

    assert changes(Near(0, 5.0)) >= 19
    assert changes(Near(0, 5.0, leave=6.0)) == 0
    assert changes(NearTip((0.0, 0.0), 5.0, leave=6.0)) == 0
    assert changes(Within(Indices(0), 5.0, leave=6.0)) == 0
    assert changes(Score(uncertain, enter=1 / 6)) >= 19
    assert changes(Score(uncertain, enter=1 / 6, leave=1 / 7)) <= 1
    assert changes(Coordination(cutoff=5.0, fewer_than=1) | Indices(0)) >= 19
    assert changes(Coordination(cutoff=5.0, fewer_than=1, leave=2) | Indices(0)) <= 1
    assert changes(Coordination(cutoff=5.0, more_than=0, leave=-1) | Indices(0)) <= 1


def test_it_leaves_beyond_the_second_threshold_and_comes_back_at_the_first():
    atoms = Atoms("Al2", positions=[[0, 0, 0], [4, 0, 0]])
    around, current, seen = Near(0, 5.0, leave=6.0), None, []
    for x in (5.5, 5.0, 5.9, 6.0, 6.1, 5.5, 5.1, 4.9):
        atoms.positions[1, 0] = x
        current = around.select(atoms, current)
        seen.append(bool(current[1]))
    assert seen == [False, True, True, True, False, False, False, True]


@pytest.mark.parametrize(("join", "enter", "stay"), [("|", {0, 1, 6, 7, 8, 9}, {2, 5}), ("&", {4}, {2, 5})])
def test_joined_selections_share_their_memory(join, enter, stay):
    """Atoms on a line, chosen from both ends; all of 2 to 6 were in."""
    atoms = Atoms("Al10", positions=[[x, 0, 0] for x in range(10)])
    if join == "|":
        joined = Near((0, 0, 0), 1.0, leave=2.0) | Near((9, 0, 0), 3.0, leave=4.0)
    else:
        joined = Near((0, 0, 0), 4.0, leave=5.0) & Near((9, 0, 0), 5.0, leave=7.0)
    last = mask(10, 2, 4, 5) if join == "|" else mask(10, 1, 2, 5, 6)
    assert set(rows(joined, atoms)) == enter
    assert set(rows(joined, atoms, last)) == enter | stay
    now = joined.select(atoms, last)
    assert np.array_equal(joined.select(atoms, now), now)


@pytest.mark.parametrize("leave", [None, 3.5])
def test_choosing_twice_at_one_place_gives_the_same(skewed, leave):
    """Also where a selection with hysteresis is grown: its own members are read off the mask of the whole."""
    for inner in (
        Near(5, 3.0, leave=4.5),
        Near(5, 2.0, leave=6.0) | Indices([0]),
        Species("Al") & Near(5, 2.5, leave=5.0),
    ):
        grown = Within(inner, 2.5, leave=leave)
        once = grown.select(skewed)
        assert np.array_equal(grown.select(skewed, once), once)
        assert not once.all()


def test_a_grown_selection_keeps_members_between_the_thresholds():
    atoms = Atoms("Al4", positions=[[0, 0, 0], [2, 0, 0], [4, 0, 0], [9, 0, 0]])
    grown = Within(Near((0, 0, 0), 2.0, leave=3.0), 2.5)
    assert rows(grown, atoms) == [0, 1, 2]
    atoms.positions[1, 0] = 2.4
    assert rows(grown, atoms, mask(4, 0, 1, 2)) == [0, 1, 2]
    assert rows(grown, atoms) == [0, 1]


def test_coordination_finds_surfaces_and_only_them():
    slab = fcc111("Al", (3, 3, 6), vacuum=8.0)
    outside = np.abs(slab.positions[:, 2] - slab.positions[:, 2].mean()) > 0.45 * np.ptp(slab.positions[:, 2])
    for cutoff in (3.4, "nearest"):
        under = Coordination(cutoff=cutoff, fewer_than=12)
        assert np.array_equal(under.select(slab), outside)
        assert sorted(set(under.neighbours(slab).tolist())) == [9, 12]
    assert not Coordination(cutoff="nearest", more_than=12).select(slab).any()
    assert not Coordination(cutoff="nearest", fewer_than=8).select(bulk("Fe")).any()


def test_coordination_counts_images_and_the_shells_of_known_crystals():
    cases = [("Al", "fcc", 12), ("Fe", "bcc", 8), ("Si", "diamond", 4), ("Mg", "hcp", 12), ("Ti", "hcp", 12)]
    for symbol, _, count in cases:
        assert set(Coordination(cutoff="nearest", fewer_than=1).neighbours(bulk(symbol)).tolist()) == {count}, symbol


def test_covalent_coordination_differs_between_elements():
    atoms = molecule("CH3CH2OH")
    found = Coordination(fewer_than=1).neighbours(atoms)
    assert found.tolist() == [4, 4, 2, 1, 1, 1, 1, 1, 1]
    assert rows(Coordination(fewer_than=4) & Species(("C", "O")), atoms) == [2]


def test_the_tip_of_a_crack_is_followed():
    """Open bonds up to x: the selection moves with it, through the period along the front."""
    made = cracked_crystals.silicon()
    bonds = bonds_across(made.reference, made.thickness, made.length)
    atoms = Atoms("Si" * len(made.reference), positions=made.reference, cell=[0, 0, made.thickness], pbc=(0, 0, 1))
    around = NearTip(BondTip(bonds), 6.0)
    for x in (-6.0, 0.0, 6.0):
        opened = made.reference + np.outer((made.reference[:, 1] > 0) & (made.reference[:, 0] < x), [0.0, 1.5, 0.0])
        atoms.positions = opened
        chosen = around.select(atoms)
        tip = BondTip(bonds)(atoms)
        assert np.array_equal(chosen, np.hypot(opened[:, 0] - tip.x, opened[:, 1]) <= 6.0)
        assert chosen.sum() > 20
        assert abs(tip.x - x) < made.period
    atoms.positions = made.reference
    with pytest.raises(SelectionError, match="no bond across"):
        around.select(atoms)
    with pytest.raises(SelectionError, match="same atoms"):
        around.select(atoms[:10])
    with pytest.raises(TipError, match="above 1"):
        NearTip(BondTip(bonds, stretch=0.9), 5.0).select(atoms)


def test_a_front_and_a_point_differ_along_z():
    atoms = Atoms("Al3", positions=[[1, 0, 0], [1, 0, 5], [9, 0, 5]], cell=[10, 20, 10], pbc=(True, False, True))
    assert rows(NearTip((0.0, 0.0), 2.0), atoms) == [0, 1, 2]
    assert rows(NearTip((0.0, 0.0, 0.0), 2.0), atoms) == [0]
    assert rows(NearTip(lambda atoms: atoms.positions[2, :2], 1.0), atoms) == [2]
    atoms.cell[0, 2] = 3.0
    with pytest.raises(SelectionError, match="front along z"):
        NearTip((0.0, 0.0), 2.0).select(atoms)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Indices([]), "core is empty"),
        (lambda: Indices([1, 2, 1]), r"\[1\] more than once"),
        (lambda: Indices([-1]), "negative"),
        (lambda: Indices([True, False]), "whole numbers"),
        (lambda: Indices([0.5]), "whole numbers"),
        (lambda: Species("Hx"), "did you mean H"),
        (lambda: Species("al"), "did you mean Al"),
        (lambda: Species(()), "no element"),
        (lambda: Near((0, 0), 3.0), "3 finite coordinates"),
        (lambda: Near((0, 0, np.nan), 3.0), "finite"),
        (lambda: Near(0, -1.0), "positive length"),
        (lambda: Near(0, 3.0, leave=2.0), "leave at or beyond"),
        (lambda: NearTip("tip", 3.0), "2 or 3 finite"),
        (lambda: NearTip((0, 0), 3.0, leave=1.0), "leave at or beyond"),
        (lambda: Within([1, 2], 3.0), "no selection"),
        (lambda: Within(Indices(0), 3.0, leave=2.0), "leave at or beyond"),
        (lambda: Indices(0) | [1], "no selection"),
        (lambda: Indices(0) & 1, "no selection"),
        (lambda: Score(None, enter=1.0), "function"),
        (lambda: Score(len, enter=np.nan), "finite number"),
        (lambda: Score(len, enter=1.0, leave=2.0), "before they enter"),
        (lambda: Coordination(), "one of fewer_than and more_than"),
        (lambda: Coordination(fewer_than=3, more_than=5), "one of fewer_than and more_than"),
        (lambda: Coordination(fewer_than=3, leave=2), "before they enter"),
        (lambda: Coordination(more_than=3, leave=4), "before they enter"),
        (lambda: Coordination(cutoff="close", fewer_than=3), "'covalent'"),
        (lambda: Coordination(cutoff=-1.0, fewer_than=3), "positive length"),
        (lambda: Coordination(fewer_than=0), "fewer_than=1"),
    ],
)
def test_contradictory_selections_are_refused(make, message):
    with pytest.raises(SelectionError, match=message):
        make()


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Indices([1, 9]), "out of range: there are 3 atoms, from 0 to 2"),
        (Near(5, 2.0), "out of range"),
        (Score(lambda atoms: [1.0, np.nan, 2.0], enter=1.0), "no finite number for atoms 1"),
        (Score(lambda atoms: [1.0, 2.0], enter=1.0), r"shape \(2,\)"),
        (NearTip(lambda atoms: None, 2.0), "no place"),
        (Coordination(cutoff="nearest", fewer_than=3), "one element"),
    ],
)
def test_selections_that_do_not_fit_the_atoms_are_refused(selection, message):
    with pytest.raises(SelectionError, match=message):
        selection.select(Atoms("AlHO", positions=np.eye(3)))


def test_unknown_crystals_and_memories_are_refused():
    atoms = Atoms("Ga2", positions=[[0, 0, 0], [2.5, 0, 0]])
    with pytest.raises(SelectionError, match="reference crystal of Ga"):
        Coordination(cutoff="nearest", fewer_than=3).select(atoms)
    for wrong in ([True], [0, 1]):
        with pytest.raises(SelectionError, match="booleans"):
            Indices(0).select(atoms, wrong)
