"""Miller indices, laboratory axes and stacks of planes."""

import numpy as np
import pytest

from atomistic.builders import build_stack, gap_spacing, plane_gaps
from atomistic.crystal import orient, uniaxial_modulus
from atomistic.errors import InvalidCurveError, InvalidPlaneError

PLANES = {
    "Al": [(1, 1, 1), (1, 0, 0), (1, 1, 0), (3, 1, 0), (1, 2, 3), (-2, 1, 1), (2, 2, 2)],
    "W": [(1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 1, 1)],
    "Mg": [(0, 0, 0, 1), (1, 0, -1, 0), (1, 0, -1, 1), (1, 1, -2, 0), (1, 1, -2, 2), (2, -1, -1, 3)],
    "Si": [(1, 1, 1), (1, 0, 0), (1, 1, 0), (3, 1, 1)],
    "NiAl": [(1, 0, 0), (1, 1, 0), (1, 1, 1)],
    "SiC": [(1, 1, 1), (1, 1, 0), (1, 0, 0)],
}
CASES = [(name, plane) for name, planes in PLANES.items() for plane in planes]


@pytest.mark.parametrize(("name", "plane"), CASES, ids=str)
def test_stack_is_the_perfect_crystal(crystals, name, plane):
    potential, crystal = crystals(name)
    stack = build_stack(crystal, plane=plane, n_planes=6)
    result = potential.evaluate(stack.atoms)
    assert result.energy == pytest.approx(len(stack.atoms) * crystal.energy_per_atom, abs=1e-9)
    assert np.abs(result.forces).max() < 1e-9
    assert np.abs(result.stress).max() < 1e-9
    assert stack.area * stack.height == pytest.approx(stack.atoms.get_volume())
    assert len(stack.gaps) == stack.n_planes >= 6
    assert gap_spacing(crystal, plane=plane) == pytest.approx(stack.cut_gap)
    assert stack.cut_gap == pytest.approx(plane_gaps(crystal, plane).max())
    heights = stack.atoms.positions[:, 2]
    assert stack.height - np.ptp(heights) == pytest.approx(stack.cut_gap, abs=1e-6)


def test_known_spacings(crystals):
    _, al = crystals("Al")
    assert build_stack(al, plane=(1, 1, 1), n_planes=6).spacing == pytest.approx(al.a / np.sqrt(3))
    assert build_stack(al, plane=(1, 1, 1), n_planes=6).area == pytest.approx(al.a**2 * np.sqrt(3) / 4)
    _, si = crystals("Si")
    shuffle, glide = si.a * np.sqrt(3) / 4, si.a * np.sqrt(3) / 12
    assert sorted(plane_gaps(si, (1, 1, 1))) == pytest.approx([glide, shuffle])
    assert build_stack(si, plane=(1, 1, 1), n_planes=6, cut="narrowest").cut_gap == pytest.approx(glide)
    assert build_stack(si, plane=(1, 1, 1), n_planes=6, cut=0).cut_gap == pytest.approx(plane_gaps(si, (1, 1, 1))[0])
    assert build_stack(si, plane=(1, 1, 1), n_planes=5).n_planes == 6


def test_axes_of_the_close_packed_plane(crystals):
    _, al = crystals("Al")
    found = orient(al, plane=(1, 1, 1))
    assert (found.growth, found.front) == ((1, 1, -2), (1, -1, 0))
    assert found.decoupled
    # C_ijkl n_i n_j n_k n_l of a cubic crystal for n = [111]/√3.
    c11, c12, c44 = (al.stiffness[i, j] for i, j in ((0, 0), (0, 1), (3, 3)))
    assert uniaxial_modulus(found.stiffness) == pytest.approx((c11 + 2 * c12 + 4 * c44) / 3)
    given = orient(al, plane=(1, 1, 1), growth=(-1, 1, 0))
    assert given.growth == (-1, 1, 0)
    assert not given.decoupled


@pytest.mark.parametrize(("name", "plane"), CASES, ids=str)
def test_axes_are_right_handed_and_lie_as_said(crystals, name, plane):
    _, crystal = crystals(name)
    found = orient(crystal, plane=plane)
    np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)
    cell = crystal.conventional.cell.array
    for axis, indices in ((0, found.growth), (2, found.front)):
        direction = np.array(indices) @ cell
        np.testing.assert_allclose(direction / np.linalg.norm(direction), found.rotation[axis], atol=1e-6)
    coupling = np.abs(found.stiffness[np.ix_([0, 1, 2, 5], [3, 4])]).max()
    assert found.decoupled == bool(coupling < 1e-8)
    assert found.decoupled == (plane != (1, 2, 3))


@pytest.mark.parametrize(
    ("name", "plane", "growth", "words"),
    [
        ("Al", (0, 0, 0), None, "all zero"),
        ("Al", (1, 0.5, 0), None, "integer"),
        ("Al", ("a", 1, 1), None, "integer"),
        ("Al", (1, 1), None, "three integers; got 2"),
        ("Al", (1, 0, -1, 0), None, "three integers; got 4"),
        ("Mg", (1, 0, 1, 0), None, "third is minus the sum"),
        ("Al", (1, 1, 1), (1, 1, 1), "does not lie in the plane"),
        ("Al", (1, 1, 1), (0, 0, 0), "all zero"),
    ],
)
def test_planes_that_do_not_exist(crystals, name, plane, growth, words):
    with pytest.raises(InvalidPlaneError, match=words):
        orient(crystals(name)[1], plane=plane, growth=growth)


@pytest.mark.parametrize(
    "change", [{"n_planes": 1}, {"n_planes": 6.5}, {"n_planes": 6, "cut": "middle"}, {"n_planes": 6, "cut": 2}]
)
def test_stacks_that_do_not_exist(crystals, change):
    with pytest.raises(InvalidCurveError):
        build_stack(crystals("Al")[1], plane=(1, 1, 1), **change)
