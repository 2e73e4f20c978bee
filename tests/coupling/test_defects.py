"""Defects on the lattice: which atoms are missing, and the field from which a dipole starts."""

import numpy as np
import pytest

from atomistic.crystal import orient, relax_crystal
from atomistic.lattice import bulk_lattice, plane_lattice
from atomistic.potentials import load_potential
from coupling.defects import Inclusion, ScrewDipole, Void, check_extent, fading, nearest_site, screw_dipole, vacancy
from coupling.errors import DefectError
from coupling.zones import Band, Disc


@pytest.fixture(scope="module")
def aluminium():
    return relax_crystal(load_potential("eam-al"), symbols="Al", structure="fcc")


@pytest.fixture(scope="module")
def lattice(aluminium):
    return plane_lattice(aluminium, orient(aluminium, plane=(1, 1, 1), growth=(1, 1, -2)))


def around(center, radius, count=4001):
    angle = np.linspace(-np.pi, np.pi, count)
    return np.asarray(center) + radius * np.column_stack([np.cos(angle), np.sin(angle)])


def jump_free_circuit(values, period):
    """Sum of the differences along a circuit, without the jumps by a whole period at the cut."""
    steps = np.diff(values)
    return float(np.sum(steps - period * np.rint(steps / period)))


def test_a_dipole_has_burgers_vectors_of_opposite_sign(lattice):
    dipole = screw_dipole(lattice, center=(0.0, 0.0), separation=30.0)
    b = dipole.burgers
    assert b == pytest.approx(lattice.thickness)
    for end, sign in ((dipole.upper, 1.0), (dipole.lower, -1.0)):
        circuit = dipole.displacement(around(end, 6.0))[:, 2]
        assert jump_free_circuit(circuit, b) == pytest.approx(sign * b, rel=1e-12)
    both = dipole.displacement(around((0.0, 0.0), 40.0))[:, 2]
    assert np.abs(np.diff(both)).max() < 0.01 * b  # no cut reaches beyond the dipole
    assert both[0] == pytest.approx(both[-1], abs=1e-12)


def test_the_cut_is_a_lattice_vector_wide_and_lies_between_the_two(lattice):
    dipole = ScrewDipole(upper=(0.0, 15.0), lower=(0.0, -15.0), burgers=lattice.thickness)
    beside = np.array([[-1e-9, 3.0], [1e-9, 3.0], [-1e-9, 20.0], [1e-9, 20.0]])
    left, right, left_above, right_above = dipole.displacement(beside)[:, 2]
    assert abs(left - right) == pytest.approx(lattice.thickness, rel=1e-9)
    assert left_above == pytest.approx(right_above, abs=1e-8)


def test_dislocations_lie_between_atoms(lattice):
    dipole = screw_dipole(lattice, center=(0.3, 0.1), separation=31.0)
    for end in (dipole.upper, dipole.lower):
        nearest = np.linalg.norm(nearest_site(lattice, end) - np.array(end))
        assert 1.2 < nearest < 1.8  # the middle of a triangle of columns, 1.43 Å from each in the ideal case
    assert dipole.upper[1] - dipole.lower[1] == pytest.approx(31.0, abs=2.0)


def test_a_front_without_burgers_vector_is_refused(aluminium):
    other = plane_lattice(aluminium, orient(aluminium, plane=(1, 0, 0)))
    with pytest.raises(DefectError, match=r"4\.050 Å, is no Burgers vector: the shortest one has 2\.864 Å"):
        screw_dipole(other, center=(0.0, 0.0), separation=30.0)
    with pytest.raises(DefectError, match="need a plane lattice"):
        screw_dipole(bulk_lattice(aluminium), center=(0.0, 0.0, 0.0), separation=30.0)


def test_dislocations_in_the_same_place_are_refused(lattice):
    with pytest.raises(DefectError, match="same place"):
        screw_dipole(lattice, center=lattice.basis.sum(axis=0) / 3.0, separation=0.3)


def test_voids_vacancies_and_inclusions_take_the_right_sites(lattice):
    sites = lattice.places(lattice.indices_within(None, [-20.0, -20.0], [20.0, 20.0]))
    void = Void(center=(0.0, 0.0), radius=8.0, components=3)
    density = np.pi * 8.0**2 / (lattice.site_volume / lattice.thickness)
    assert void.absent(sites).sum() == pytest.approx(density, abs=3)
    assert not void.foreign(sites).any()
    one = vacancy(lattice, center=(0.4, 0.3))
    assert one.absent(sites).sum() == 1
    other = Inclusion(center=(0.0, 0.0), radius=8.0, components=3)
    np.testing.assert_array_equal(other.foreign(sites), void.absent(sites))
    assert not other.absent(sites).any()


def test_a_core_must_hold_the_defect():
    void = Void(center=(0.0, 0.0), radius=8.0, components=3)
    check_extent(void, Disc(center=(0.0, 0.0), radius=8.1))
    with pytest.raises(DefectError, match=r"ends 3\.00 Å short"):
        check_extent(void, Disc(center=(3.0, 0.0), radius=8.0))
    ball = Void(center=(0.0, 0.0, 0.0), radius=8.0, components=3)
    with pytest.raises(DefectError, match=r"ends 1\.00 Å short"):
        check_extent(ball, Disc(center=(0.0, 0.0, 1.0), radius=8.0))


def test_a_start_fades_before_the_boundary_and_is_whole_near_the_zone():
    zone = Band(points=((0.0, -10.0), (0.0, 10.0)), half_width=10.0)
    window = fading(zone, clear=60.0)
    x = np.column_stack([np.linspace(0.0, 80.0, 801), np.zeros(801)])
    values = window(x)
    assert (values[x[:, 0] <= 40.0] == 1.0).all()
    assert (values[x[:, 0] >= 70.0] == 0.0).all()
    assert (np.diff(values) <= 0.0).all()
