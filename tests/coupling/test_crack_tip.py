"""Bonds across a crack's plane, and its tip by bonds and by field, on states whose tip is known."""

from functools import cache

import numpy as np
import pytest

from continuum.stroh import crack_field
from coupling.crack.bonds import bonds_across, first_neighbours
from coupling.crack.tip import advance, ring, shifted_difference, tip_by_bonds, tip_by_field
from coupling.errors import BondsError, TipError
from tests.coupling.cracked_crystals import KINDS, Williams, aluminium, crystal, silicon, tungsten


@cache
def across(kind):
    made = crystal(kind)
    return bonds_across(made.reference, made.thickness, made.length)


def displaced(made, tip, k=(0.0, 1.0, 0.0)):
    """The K-field (n, 3), Å, of a tip at x, intensities in units of Griffith's K."""
    return Williams.of(made).displacement(made.reference[:, :2], made.k * np.asarray(k), tip=(tip, 0.0))


def fitted(made, displacement, **options):
    select = ring(made.reference, 10.0, 24.0)
    k = np.array([0.0, made.k, 0.0])
    return tip_by_field(made.reference, displacement, Williams.of(made), k, select, **options)


# Bonds of the bulk and bonds across the plane per site of the surface: bcc (100) 4 of 8, fcc (111) 3 of 12, diamond shuffle 1,
# glide 3 of 4.
@pytest.mark.parametrize(
    ("kind", "coordination", "per_site"), [("tungsten", 8, 4), ("aluminium", 12, 3), ("silicon", 4, 1), ("glide", 4, 3)]
)
def test_every_bond_is_found_once(kind, coordination, per_site):
    made = crystal(kind)
    found = first_neighbours(made.reference, made.thickness, made.length)
    inside = np.abs(made.reference[:, :2]).max(axis=1) < 25.0
    count = np.bincount(np.concatenate([found.first, found.second]), minlength=len(made.reference))
    # In Al two of the twelve neighbours are an atom's own images along the front: they never break.
    assert (count[inside] == coordination - (2 if kind == "aluminium" else 0)).all()
    assert (found.first < found.second).all()
    np.testing.assert_allclose(np.linalg.norm(found.vector, axis=1), made.length, rtol=1e-9)
    np.testing.assert_allclose(found.deformed(made.reference), found.vector, atol=1e-9)
    # Sites of a face stand one period apart along x and, seen along z, one thickness.
    middle = across(kind).middle[:, 0]
    assert ((middle > -20.0) & (middle < -20.0 + 10 * made.period - 1e-6)).sum() == 10 * per_site


@pytest.mark.parametrize("kind", KINDS)
def test_bonds_across_join_both_sides_and_count_with_the_periods(kind):
    made, found = crystal(kind), across(kind)
    y = made.reference[:, 1]
    assert (y[found.first] * y[found.second] < 0.0).all()
    if kind != "glide":
        twice = {"tungsten": tungsten, "aluminium": aluminium, "silicon": silicon}[kind](periods=3)
        assert len(bonds_across(twice.reference, twice.thickness, twice.length)) == 3 * len(found)


def test_heights_may_be_wrapped_in_any_way():
    made = crystal("aluminium")
    moved = made.reference + np.outer(
        np.random.default_rng(0).integers(-2, 3, len(made.reference)), [0, 0, made.thickness]
    )
    found = bonds_across(moved, made.thickness, made.length)
    assert len(found) == len(across("aluminium"))
    np.testing.assert_allclose(np.linalg.norm(found.deformed(moved), axis=1), made.length, rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_bonds_and_field_find_the_tip_and_follow_it_by_exactly_one_period(kind):
    made = crystal(kind)
    for start in (-6.1, 0.3, 5.4):
        states = [displaced(made, start + n * made.period) for n in (0, 1, 2)]
        bonds = [tip_by_bonds(made.reference + u, across(kind)) for u in states]
        fits = [fitted(made, u) for u in states]
        # The field is exact: the fit ends where the search was told to, 1e-8 Å.
        for n, fit in enumerate(fits):
            assert fit.x == pytest.approx(start + n * made.period, abs=1e-7)
            assert fit.scale == pytest.approx(1.0, abs=1e-8)
            assert fit.relative < 1e-8
        # A bond breaks where the opening reaches a quarter of its length, within a period of the field's tip.
        assert abs(bonds[0].x - start) < made.period
        for n in (1, 2):
            assert advance(bonds[0], bonds[n], period=made.period) == pytest.approx(n, abs=1e-9)
            assert advance(fits[0], fits[n], period=made.period) == pytest.approx(n, abs=1e-7)
        for found in bonds:
            assert found.exceptions == found.slid == 0
            assert found.broken + found.whole == len(across(kind))
            assert found.inside
            # The tip stands in a gap between columns of bonds, of which a period holds at most two.
            assert made.period / 2.001 < found.resolution < made.period * 1.001


def test_the_tip_of_bonds_is_midway_and_counts_what_is_out_of_order():
    made, bonds = crystal("silicon"), across("silicon")
    x = np.sort(bonds.middle[:, 0])
    state = made.reference.copy()
    upper = made.reference[:, 1] > 0.0
    state[upper & (made.reference[:, 0] < x[8] + 0.1)] += [0.0, 1.0, 0.0]
    found = tip_by_bonds(state, bonds)
    assert found.x == pytest.approx(0.5 * (x[8] + x[9]), abs=1e-9)
    assert (found.broken, found.whole, found.exceptions) == (9, len(bonds) - 9, 0)
    # One bond bridges the crack, another is broken ahead: the tip stays, and both are told.
    for column, shift in ((3, [0.0, -1.0, 0.0]), (12, [0.0, 1.0, 0.0])):
        state[upper & (np.abs(made.reference[:, 0] - x[column]) < 0.1)] += shift
    marred = tip_by_bonds(state, bonds)
    assert marred.x == found.x
    assert marred.exceptions == 2
    assert marred.broken == found.broken


def test_an_unbroken_and_a_fully_broken_crystal_have_no_tip_inside():
    made, bonds = crystal("tungsten"), across("tungsten")
    whole = tip_by_bonds(made.reference, bonds)
    assert (whole.x, whole.inside, whole.broken) == (-np.inf, False, 0)
    open_ = made.reference + np.outer(made.reference[:, 1] > 0.0, [0.0, 2.0, 0.0])
    gone = tip_by_bonds(open_, bonds)
    assert (gone.x, gone.inside, gone.whole) == (np.inf, False, 0)


def test_the_length_at_which_bonds_break_is_an_option():
    made, bonds = crystal("silicon"), across("silicon")
    # The upper half rises by 0.2 of a bond: shuffle bonds stand upright.
    state = made.reference + np.outer(made.reference[:, 1] > 0.0, [0.0, 0.2 * made.length, 0.0])
    np.testing.assert_allclose(bonds.stretch(state), 1.2, rtol=1e-9)
    assert tip_by_bonds(state, bonds).broken == 0
    assert tip_by_bonds(state, bonds, stretch=1.19).whole == 0
    with pytest.raises(TipError, match="above 1"):
        tip_by_bonds(state, bonds, stretch=1.0)


def test_sliding_is_told_from_opening():
    made, bonds = crystal("aluminium"), across("aluminium")
    slid = made.reference + np.outer(made.reference[:, 1] > 0.0, [1.0 * made.length, 0.0, 0.0])
    found = tip_by_bonds(slid, bonds)
    assert found.broken > 0
    assert found.slid == found.broken
    parted = tip_by_bonds(slid + np.outer(made.reference[:, 1] > 0.0, [0.0, 1.0, 0.0]), bonds)
    assert parted.slid == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_fit_sees_through_what_a_finite_body_adds(kind):
    """Translation, rotation and, if asked for, uniform strain (the T-stress among it) on top of the field."""
    made = crystal(kind)
    x, y = made.reference[:, 0], made.reference[:, 1]
    rigid = np.column_stack([0.3 - 0.02 * y, -0.1 + 0.02 * x, 0.2 + 0 * x])
    strained = rigid + np.column_stack([0.01 * x, -0.003 * y, 0.004 * x])
    field = 1.3 * displaced(made, 1.7)
    found = fitted(made, field + rigid)
    assert (found.x, found.scale) == pytest.approx((1.7, 1.3), abs=1e-6)
    found = fitted(made, field + strained, background="linear")
    assert (found.x, found.scale) == pytest.approx((1.7, 1.3), abs=1e-6)
    # Without the background the same state is no exact field: the residual tells.
    assert fitted(made, field + strained).residual > 0.01
    assert fitted(made, field + rigid, background="none").residual > 0.1


def test_noise_moves_the_fit_as_least_squares_say():
    made = crystal("tungsten")
    rng = np.random.default_rng(5)
    noise = 0.05
    found = [fitted(made, displaced(made, 0.3) + noise * rng.normal(size=made.reference.shape)) for _ in range(8)]
    # ∂U/∂x is about K/(2μ√(2πr)): 0.06 at r = 17 Å, over 400 atoms: σ_x = 0.05/(0.06 √400) = 0.04 Å; the background and the
    # scale take some of it: within a factor of two.
    assert abs(np.mean([fit.x for fit in found]) - 0.3) < 0.1
    assert np.std([fit.x for fit in found]) < 0.1
    # Three components a atom.
    assert np.mean([fit.residual for fit in found]) == pytest.approx(noise * 3**0.5, rel=0.03)


@pytest.mark.parametrize("k", [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.4, 1.0, -0.3)])
def test_all_modes_and_the_general_field_are_fitted(k):
    """Stroh's field of an isotropic medium in place of the textbook's: the same displacements, the same tip."""
    made = crystal("tungsten")
    shear, poisson = made.shear, made.poisson
    first = 2.0 * shear * poisson / (1.0 - 2.0 * poisson)
    stiffness = np.diag([2.0 * shear] * 3 + [shear] * 3)
    stiffness[:3, :3] += first
    field, select = crack_field(stiffness), ring(made.reference, 10.0, 24.0)
    moved = displaced(made, 2.2, k)
    found = tip_by_field(made.reference, moved, field, made.k * np.asarray(k), select)
    assert (found.x, found.scale) == pytest.approx((2.2, 1.0), abs=1e-6)


def test_a_fit_that_means_nothing_is_refused():
    made = crystal("tungsten")
    with pytest.raises(TipError, match="no crack field"):
        fitted(made, np.full_like(made.reference, 0.3))
    with pytest.raises(TipError, match=r"an end, 2\.00 Å"):
        fitted(made, displaced(made, 4.0), within=(-2.0, 2.0))
    with pytest.raises(TipError, match="expected one of none, rigid, linear"):
        fitted(made, displaced(made, 0.0), background="quadratic")
    with pytest.raises(TipError, match="too few"):
        tip_by_field(
            made.reference, displaced(made, 0.0), Williams.of(made), [0, 1, 0], np.arange(len(made.reference)) < 3
        )


@pytest.mark.parametrize("kind", KINDS)
def test_an_advance_by_one_period_shifts_the_field(kind):
    made = crystal(kind)
    states = [displaced(made, tip) for tip in (0.3, 0.3 + made.period, 0.3 + 1.1 * made.period)]
    select = ring(made.reference, 0.0, 20.0)
    options = {"vector": made.step, "thickness": made.thickness, "select": select}
    same = shifted_difference(made.reference, *states[:2], **options)
    assert len(same) == select.sum()
    assert np.abs(same).max() < 1e-12
    other = shifted_difference(made.reference, states[0], states[2], **options)
    assert np.abs(other).max() > 0.02
    back = shifted_difference(made.reference, states[1], states[0], **{**options, "vector": -made.step})
    assert np.abs(back).max() < 1e-12
    with pytest.raises(TipError, match="give a vector of the lattice"):
        shifted_difference(made.reference, *states[:2], vector=[0.4 * made.period, 0.0, 0.0], thickness=made.thickness)


def test_wrong_crystals_are_refused():
    made = crystal("tungsten")
    with pytest.raises(BondsError, match="no two atoms"):
        first_neighbours(made.reference, made.thickness, 1.5)
    with pytest.raises(BondsError, match="expected the undeformed crystal"):
        first_neighbours(made.reference, made.thickness, 3.165)
    with pytest.raises(BondsError, match="lie on the crack's plane"):
        bonds_across(made.reference - [0.0, made.reference[0, 1], 0.0], made.thickness, made.length)
    with pytest.raises(BondsError, match="no bond crosses"):
        bonds_across(made.reference + np.array([0.0, 100.0, 0.0]), made.thickness, made.length)
    with pytest.raises(BondsError, match=r"expected \(n, 3\)"):
        first_neighbours(made.reference[:, :2], made.thickness, made.length)
    with pytest.raises(BondsError, match="thickness = -1"):
        first_neighbours(made.reference, -1.0, made.length)
