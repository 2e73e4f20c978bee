"""Slip is found with its plane and its Burgers vector, and nothing is found where a crystal only strains, opens or relaxes."""

from functools import cache

import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixAtoms
from ase.optimize import FIRE

from atomistic.columns import crack_columns
from atomistic.crystal import relax_crystal
from atomistic.orientation import orient
from atomistic.potentials import load_potential
from continuum.stroh import crack_field
from coupling.crack.bonds import first_neighbours
from coupling.crack.dislocations import find_emission, jumps_of, local_gradients
from coupling.errors import BondsError
from tests.coupling.cracked_crystals import KINDS, Williams, aluminium, axes, crystal, silicon, volterra

# Slip planes that contain the front, by the angle of their trace, and a Burgers vector in it: along the trace and along z.
# W: (1-10), ½[111] with respect to the laboratory axes; Al and Si: the {111} plane at −70.5°.
A_W, A_AL, A_SI = 3.165, 4.05, 5.431
STEEP = -np.degrees(np.arctan(8**0.5))
SLIP = {
    "tungsten": (45.0, A_W / 2**0.5, A_W / 2),
    "aluminium": (STEEP, A_AL / 6**0.5, 0.0),
    "silicon": (STEEP, 3**0.5 / 2 * A_SI / 2**0.5, 0.5 * A_SI / 2**0.5),
    "glide": (STEEP, A_SI / 6**0.5, 0.0),
}


@cache
def bonds(kind):
    made = crystal(kind)
    return first_neighbours(made.reference, made.thickness, made.length)


def loaded(kind, k):
    made = crystal(kind)
    return made.reference + Williams.of(made).displacement(made.reference[:, :2], made.k * np.asarray(k, dtype=float))


def burgers_of(kind, share=1.0):
    angle, along, up = SLIP[kind]
    return share * np.append(along * axes(angle)[0], up)


def between_planes(kind, near, angle=None):
    """The point nearest to a place, along the slip plane's normal, that lies midway in the widest gap between atomic planes."""
    normal = axes(SLIP[kind][0] if angle is None else angle)[1]
    heights = np.unique((crystal(kind).reference[:, :2] @ normal).round(3))
    gaps = np.diff(heights)
    # The corners of the cluster have gaps of their own: look at the middle of it.
    inner = np.abs(heights[:-1]) < 15.0
    wide = inner & (gaps > 0.9 * gaps[inner].max())
    middles = 0.5 * (heights[:-1] + heights[1:])[wide]
    target = np.asarray(near) @ normal
    return np.asarray(near) + (middles[np.argmin(np.abs(middles - target))] - target) * normal


def run_out(kind, distance, *, near, angle, burgers):
    """Displacement of a dislocation that has run along a plane from near the tip, and where it stands now."""
    made = crystal(kind)
    origin = between_planes(kind, near, angle)
    place = origin + distance * axes(angle)[0]
    now, start = (
        volterra(made.reference[:, :2], at=at, burgers=burgers, angle=angle, poisson=made.poisson)
        for at in (place, origin)
    )
    return now - start, place


def near_tip(kind):
    """A place ahead of the tip on the side to which the slip plane leads."""
    return (0.8, np.copysign(0.5, SLIP[kind][0]))


STRAINS = [
    np.diag([1.08, 1.08, 1.0]),
    np.diag([0.92, 1.08, 1.0]),
    np.eye(3) + 0.08 * np.array([[0, 1, 0], [1, 0, 0], [1, 1, 0]]),
    # Turned by 20 degrees: |F − 1| = 0.35 is no strain.
    np.array([[0.9397, -0.342, 0], [0.342, 0.9397, 0], [0, 0, 1]]) @ np.diag([0.95, 1.05, 1.0]),
]


@pytest.mark.parametrize("kind", KINDS)
def test_homogeneous_strain_and_rotation_are_silent_and_fully_elastic(kind):
    made = crystal(kind)
    for strain in STRAINS:
        deformed = made.reference @ strain.T
        found = find_emission(deformed, bonds(kind))
        assert not found.found
        assert len(found.pairs) == 0
        assert found.description == ""
        # What is left of a jump is the weight of "no strain" (1e-3 beside sums of 4/3 to 4) times |F − 1| ≤ 0.35, and
        # more at the corners, where atoms have one bond.
        assert np.linalg.norm(jumps_of(deformed, bonds(kind)), axis=1).max() < 1e-3 * made.length


def test_local_gradients_are_those_of_a_homogeneous_strain():
    made = crystal("tungsten")
    strain = STRAINS[2]
    inside = np.abs(made.reference[:, :2]).max(axis=1) < 25.0
    found = local_gradients(
        bonds("tungsten").deformed(made.reference @ strain.T), bonds("tungsten"), len(made.reference)
    )
    # Ridge 1e-3 against Σ X Xᵀ = 8/3 in bcc: 4e-4 of F − 1.
    np.testing.assert_allclose(found[inside], np.broadcast_to(strain, found[inside].shape), atol=5e-4 * 0.11)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [(0, 1, 0), (0, 1.5, 0), (1, 0, 0), (-1, 0, 0), (0, 0, 1), (0.7, 1.0, 0.5)])
def test_cracks_under_load_are_silent(kind, k):
    """Sharp K-fields up to 1.5 K_G, whose strains at the tip exceed those of any relaxed crack, in every mode."""
    assert len(find_emission(loaded(kind, k), bonds(kind)).pairs) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_open_faces_relaxed_surfaces_and_warm_atoms_are_silent(kind):
    made = crystal(kind)
    x, y = made.reference[:, 0], made.reference[:, 1]
    gaping = made.reference + np.outer(np.where(x < 3.0, 2.0 * np.sign(y), 0.0) * (x < 3.0), [0, 1, 0])
    # Faces drawn inward by 12% of a bond, as strongly as those of open metal surfaces, decaying within a plane or two.
    inward = -0.12 * made.length * np.sign(y) * np.exp(-np.abs(y) / 2.0) * (x < 0.0)
    warm = np.random.default_rng(1).normal(size=made.reference.shape) * 0.08
    relaxed = loaded(kind, (0, 1, 0)) + np.outer(inward, [0, 1, 0])
    # The gap ends abruptly at x = 3: that shears the bonds there by whole lengths; those are not looked at.
    away = np.abs(x - 3.0) > 1.5 * made.length
    assert len(find_emission(gaping, bonds(kind), select=away).pairs) == 0
    assert len(find_emission(relaxed, bonds(kind)).pairs) == 0
    assert len(find_emission(relaxed + warm, bonds(kind)).pairs) == 0


def test_faces_may_reconstruct_without_being_taken_for_slip():
    """Columns of the upper face pair up: half a bond between neighbours, a quarter against the plane below."""
    made = crystal("aluminium")
    state = loaded("aluminium", (0, 1, 0))
    lowest = made.reference[made.reference[:, 1] > 0.0, 1].min()

    def paired(height):
        row = np.flatnonzero((np.abs(made.reference[:, 1] - height) < 0.1) & (made.reference[:, 0] < -8.0))
        column = np.rint((made.reference[row, 0] - made.reference[row, 0].min()) / made.period).astype(int)
        moved = state.copy()
        moved[row, 0] += 0.25 * made.length * np.where(column % 2 == 0, 1.0, -1.0)
        return moved

    assert not find_emission(paired(lowest), bonds("aluminium")).found
    # The same one plane deeper is none of the faces' business.
    spacing = A_AL / 3**0.5
    assert find_emission(paired(lowest + spacing), bonds("aluminium")).found


@pytest.mark.parametrize("kind", KINDS)
def test_rigid_slip_is_found_exactly(kind):
    """Half of the crystal slides over the other half: each bond across the plane jumps by b, no other one does."""
    made = crystal(kind)
    normal = axes(SLIP[kind][0])[1]
    origin = between_planes(kind, near_tip(kind))
    upper = (made.reference[:, :2] - origin) @ normal > 0.0
    deformed = made.reference + np.outer(upper, burgers_of(kind))
    found = find_emission(deformed, bonds(kind))
    all_bonds = bonds(kind)
    expected = (upper[all_bonds.first] != upper[all_bonds.second]) & ~all_bonds.crossing()
    assert len(found.pairs) == expected.sum()
    assert found.stray == 0
    assert len(found.systems) == 1
    system = found.systems[0]
    assert system.pairs == expected.sum()
    # Middles of the bonds lie on the plane, or evenly about it: the angle is that of the crystal.
    assert system.angle == pytest.approx(SLIP[kind][0], abs=0.5)
    np.testing.assert_allclose(system.burgers, burgers_of(kind), atol=2e-3)
    assert abs(system.opening) < 0.02
    assert not system.opened
    assert system.slip == pytest.approx(np.linalg.norm(burgers_of(kind)), abs=2e-3)
    beside = np.unique(found.pairs)
    np.testing.assert_allclose(found.slipped[beside], system.slip, rtol=2e-3)
    assert (np.delete(found.slipped, beside) == 0.0).all()
    # Slid in the other direction, or seen from the other half, it is the same slip with the other sign.
    back = find_emission(made.reference - np.outer(~upper, burgers_of(kind)), all_bonds).systems[0]
    np.testing.assert_allclose(back.burgers, system.burgers, atol=2e-3)
    reverse = find_emission(made.reference - np.outer(upper, burgers_of(kind)), all_bonds).systems[0]
    np.testing.assert_allclose(reverse.burgers, -system.burgers, atol=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_an_emitted_dislocation_is_found_in_the_field_of_the_crack(kind):
    """Volterra's field of a dislocation 15 Å from the tip on top of the K-field."""
    moved, place = run_out(kind, 15.0, near=near_tip(kind), angle=SLIP[kind][0], burgers=burgers_of(kind))
    found = find_emission(loaded(kind, (0, 0.8, 0)) + moved, bonds(kind))
    assert len(found.systems) == 1
    system = found.systems[0]
    assert system.angle == pytest.approx(SLIP[kind][0], abs=1.0)
    b = burgers_of(kind)
    # 15 Å are a few core widths: the jump between the planes beside the cut is b less what both cores spread, and what is
    # taken for elastic.
    assert np.linalg.norm(system.burgers - b) < 0.1 * np.linalg.norm(b)
    # The last pair that jumped stands within a core of the dislocation.
    assert np.linalg.norm(system.far - place) < 2.0 * crystal(kind).length
    assert "slip by" in found.description
    assert f"{system.angle:.1f}°" in found.description


@pytest.mark.parametrize("kind", KINDS)
def test_the_pairs_of_a_core_belong_to_its_plane(kind):
    """Wherever the dislocation stands in the lattice, also where some pairs have jumped by half of b only."""
    counts = []
    for distance in np.arange(12.0, 17.0, 0.7):
        moved, place = run_out(kind, distance, near=near_tip(kind), angle=SLIP[kind][0], burgers=burgers_of(kind))
        found = find_emission(crystal(kind).reference + moved, bonds(kind))
        assert len(found.systems) == 1
        assert found.stray == 0
        assert np.linalg.norm(found.systems[0].far - place) < 2.0 * crystal(kind).length
        counts.append(found.systems[0].pairs)
    assert (np.diff(counts) >= 0).all()
    assert counts[-1] > counts[0]


def test_two_planes_are_told_apart():
    b = burgers_of("tungsten")
    up, _ = run_out("tungsten", 15.0, near=(0.8, 0.5), angle=45.0, burgers=b)
    down, _ = run_out("tungsten", 15.0, near=(0.8, -0.5), angle=-45.0, burgers=b * [1.0, -1.0, 1.0])
    found = find_emission(loaded("tungsten", (0, 0.8, 0)) + up + down, bonds("tungsten"))
    assert sorted(round(system.angle) for system in found.systems) == [-45, 45]
    for system in found.systems:
        np.testing.assert_allclose(np.abs(system.burgers), np.abs(b), atol=0.15)
        assert np.sign(system.burgers[1]) == np.sign(system.angle)


def test_two_planes_with_a_burgers_vector_along_the_front_are_told_apart():
    """Nothing in the jump tells the planes of two screws: only where the pairs lie does."""
    along = np.array([0.0, 0.0, A_W / 2 * 3**0.5])
    up, _ = run_out("tungsten", 16.0, near=(0.8, 0.5), angle=45.0, burgers=along)
    down, _ = run_out("tungsten", 16.0, near=(0.8, -0.5), angle=-45.0, burgers=along)
    found = find_emission(crystal("tungsten").reference + up + down, bonds("tungsten"))
    assert sorted(round(system.angle) for system in found.systems[:2]) == [-45, 45]
    assert sum(system.pairs for system in found.systems[:2]) >= 0.9 * len(found.pairs)


def test_slip_along_the_cracks_own_plane_needs_to_be_asked_for():
    """In fcc (111) under shear the crack's plane is the slip plane."""
    made = crystal("aluminium")
    partial = np.array([-A_AL / 6**0.5, 0.0, 0.0])
    moved = volterra(made.reference[:, :2], at=(14.0, 0.0), burgers=partial, angle=0.0, poisson=made.poisson)
    # The crack itself ends at 0: the slip runs from there to 14 Å.
    moved -= volterra(made.reference[:, :2], at=(0.0, 0.0), burgers=partial, angle=0.0, poisson=made.poisson)
    state = made.reference + moved
    assert not find_emission(state, bonds("aluminium")).found
    system = find_emission(state, bonds("aluminium"), beyond=0.0).systems[0]
    assert system.angle == pytest.approx(0.0, abs=0.5)
    np.testing.assert_allclose(system.burgers, partial, atol=0.1)
    assert 9.0 < system.far[0] < 15.0


def test_a_branch_is_not_called_slip():
    made = crystal("tungsten")
    along, normal = axes(45.0)
    origin = between_planes("tungsten", (0.8, 0.5))
    relative = made.reference[:, :2] - origin
    branch = (relative @ normal > 0.0) & (relative @ along > 0.0)
    state = made.reference + 0.8 * made.length * np.outer(branch, np.append(normal, 0.0))
    looked_at = np.ones(len(state), dtype=bool)
    looked_at[(np.abs(relative @ along) < 2.0 * made.length) & (relative @ normal > 0.0)] = (
        False  # where the wedge starts
    )
    system = find_emission(state, bonds("tungsten"), select=looked_at).systems[0]
    assert system.opened
    assert system.opening == pytest.approx(0.8 * made.length, rel=1e-2)
    assert "opening by" in system.description


def test_bonds_that_rearrange_without_a_plane_are_reported_too():
    made, all_bonds = crystal("silicon"), bonds("silicon")
    # One bond of the surface of the cluster turns over: its atom has no other bond.
    count = np.bincount(np.concatenate([all_bonds.first, all_bonds.second]), minlength=len(made.reference))
    loose = int(np.flatnonzero(count == 1)[0])
    state = made.reference.copy()
    state[loose] += 0.9 * made.length * np.array([0.0, 0.0, 1.0])
    found = find_emission(state, all_bonds)
    assert len(found.pairs) == found.stray == 1
    assert not found.found
    assert found.description == "1 pair of atoms rearranged without a common plane"


@pytest.mark.parametrize("far", [9.0, 3.5])
def test_pairs_far_apart_are_no_common_plane(far):
    """Slips 40 Å apart on one line, in the same direction, are two events, also where one of them is a core and no more."""
    b, state = burgers_of("tungsten"), crystal("tungsten").reference.copy()
    for place, distance in (((-14.0, -15.0), 9.0), ((14.0, 13.0), far)):
        state += run_out("tungsten", distance, near=place, angle=45.0, burgers=b)[0]
    found = find_emission(state, bonds("tungsten"))
    assert len(found.systems) == 2
    for system in found.systems:
        assert np.linalg.norm(system.far - system.near) < 10.0


def test_another_burgers_vector_on_the_same_plane_is_another_system():
    """½[111] to 9 Å, and right ahead of it ½[-1-11], as short as a core."""
    b = burgers_of("tungsten")
    first, place = run_out("tungsten", 9.0, near=(-3.0, -4.0), angle=45.0, burgers=b)
    second, _ = run_out("tungsten", 4.0, near=place, angle=45.0, burgers=b * [-1.0, -1.0, 1.0])
    found = find_emission(crystal("tungsten").reference + first + second, bonds("tungsten"))
    one, two = found.systems
    assert one.burgers @ b > 0.0
    assert two.burgers @ (b * [-1.0, -1.0, 1.0]) > 0.0
    assert abs(two.burgers[2]) > 0.5
    assert np.sign(one.burgers[0] * one.burgers[2]) == 1.0
    assert np.sign(two.burgers[0] * two.burgers[2]) == -1.0


def test_a_column_that_left_its_place_slipped_on_both_of_its_sides():
    """Not along a plane that bonds lie in, but between two that they cross, with opposite jumps."""
    made, all_bonds = crystal("tungsten"), bonds("tungsten")
    state = made.reference.copy()
    state[np.argmin(np.hypot(*(made.reference[:, :2] - [10.0, 10.0]).T)), 2] += 0.5 * made.length
    one, two = find_emission(state, all_bonds).systems
    assert one.pairs == two.pairs == 4
    assert one.angle == two.angle
    assert round(abs(one.angle)) in (0, 90)
    np.testing.assert_allclose(one.burgers, -two.burgers, atol=1e-9)


def test_columns_that_left_their_places_against_each_other_are_no_plane():
    """All bonds around two neighbours jump, in both directions on each side of them: no side slipped against another."""
    made, all_bonds = crystal("tungsten"), bonds("tungsten")
    first = np.argmin(np.hypot(*(made.reference[:, :2] - [10.0, 10.0]).T))
    second = np.argmin(np.linalg.norm(made.reference - made.reference[first] - made.step, axis=1))
    state = made.reference.copy()
    state[first, 2] += 0.5 * made.length
    state[second, 2] -= 0.5 * made.length
    found = find_emission(state, all_bonds)
    assert len(found.pairs) == 16
    assert found.systems == ()
    assert found.stray == 16


def test_bonds_along_the_front_have_no_plane():
    """With two periods, neighbours along the front that move apart cross no line in the plane."""
    made = aluminium(half=12.0, periods=2)
    all_bonds = first_neighbours(made.reference, made.thickness, made.length)
    state = made.reference.copy()
    upper = np.flatnonzero(made.reference[:, 2] > 0.45 * made.thickness)
    state[upper, 2] += 0.6 * made.length
    along = np.abs(all_bonds.vector[:, 2]) > 0.9 * made.length
    found = find_emission(state, all_bonds.where(along))
    assert len(found.pairs) > 0
    assert not found.found


def test_the_answer_does_not_depend_on_the_number_of_periods_or_the_order_of_atoms():
    one, two = silicon(half=20.0), silicon(half=20.0, periods=2)
    angle, (along, normal) = STEEP, axes(STEEP)
    origin = between_planes("silicon", (2.0, -1.0))
    results = []
    rng = np.random.default_rng(3)
    for made in (one, two):
        reference = rng.permutation(made.reference)
        state = reference + np.outer((reference[:, :2] - origin) @ normal > 0.0, burgers_of("silicon"))
        found = find_emission(state, first_neighbours(reference, made.thickness, made.length))
        results.append(found.systems[0])
    assert results[1].pairs == 2 * results[0].pairs
    assert results[0].angle == pytest.approx(angle, abs=0.5)
    np.testing.assert_allclose(results[0].burgers, results[1].burgers, atol=1e-9)
    assert abs(along @ results[0].far - along @ results[1].far) < 1e-9


def test_a_relaxed_crack_in_aluminium_sheds_a_partial():
    """Atoms of an EAM potential around a tip under load, relaxed: a Shockley partial, b = a/√6, slips on the steep {111}."""
    potential = load_potential("eam-al")
    bulk = relax_crystal(potential, symbols="Al", structure="fcc")
    orientation = orient(bulk, plane=(1, 1, 1), growth=(1, 1, -2))
    columns, field = crack_columns(bulk, orientation), crack_field(orientation.stiffness)
    radius, lattice = 45.0, columns.lattice
    indices = lattice.indices_within(lambda x: np.hypot(*x.T) < radius, [-radius] * 2, [radius] * 2)
    reference, edge = columns.positions(indices).reshape(-1, 3), bulk.a / 2**0.5
    # About 1.1 K_G, from 2γ = 0.115 eV/Å² of the (111) surfaces: how near exactly is of no consequence here.
    k = [0.0, 1.1 * field.stress_intensity(0.115), 0.0]
    atoms = Atoms(
        columns.chemical_symbols(len(indices)),
        positions=reference + field.displacement(reference[:, :2], k),
        cell=[4.0 * radius, 4.0 * radius, lattice.thickness],
        pbc=[False, False, True],
    )
    rim = np.hypot(*reference[:, :2].T) > radius - 12.0
    atoms.set_constraint(FixAtoms(mask=rim))
    atoms.calc = potential.calculator
    FIRE(atoms, logfile=None).run(fmax=0.01, steps=600)
    all_bonds = first_neighbours(reference, lattice.thickness, edge)
    (system,) = find_emission(atoms.positions, all_bonds, select=~rim).systems
    assert system.angle == pytest.approx(STEEP, abs=1.0)
    # The fault behind a partial is sheared by the load, too: a tenth more than b.
    assert system.slip == pytest.approx(bulk.a / 6**0.5, rel=0.12)
    assert abs(system.burgers[2]) < 0.02
    assert np.linalg.norm(system.far - system.near) > 15.0


def test_positions_must_be_finite():
    state = crystal("silicon").reference.copy()
    state[3] = np.nan
    with pytest.raises(BondsError, match="finite"):
        find_emission(state, bonds("silicon"))
