"""Relaxed stacks: uniform below the crystal's strength, one open gap beyond, and energies that fit their tractions."""

import numpy as np
import pytest

from atomistic.builders import build_stack
from atomistic.decohesion import (
    relaxed_work_of_separation,
    rigid_separation,
    stack_separation,
    stretch_stack,
    uniaxial_response,
)
from atomistic.errors import InvalidCurveError


@pytest.mark.parametrize(("name", "plane"), [("Cu", (1, 1, 1)), ("Si", (1, 1, 1)), ("W", (1, 1, 0))], ids=str)
def test_stretched_stack_is_the_strained_crystal_until_it_breaks(crystals, name, plane):
    potential, crystal = crystals(name)
    height = build_stack(crystal, plane=plane, n_planes=8).height
    elongations = height * np.linspace(0.0, 0.6, 16)
    curve = stretch_stack(potential, crystal, plane=plane, elongations=elongations, n_planes=8)
    assert curve.stable.all()
    assert curve.breaks_at == pytest.approx(elongations[len(curve.elongation)])
    strains = curve.elongation / height
    response = uniaxial_response(potential, crystal, plane=plane, strains=strains)
    # A force of 1e-3 eV/Å on an area of 7 Å² and more is 1.4e-4 eV/Å³.
    np.testing.assert_allclose(curve.traction, response.stress, atol=3e-4)
    np.testing.assert_allclose(curve.energy, response.energy_density * height, atol=1e-4)


@pytest.mark.parametrize(("name", "plane"), [("Cu", (1, 1, 1)), ("W", (1, 1, 0)), ("Si", (1, 1, 1))], ids=str)
def test_branch_keeps_energy_and_traction_together(crystals, name, plane):
    potential, crystal = crystals(name)
    # Pairs on either side of the point where one gap takes over from uniform strain.
    step = 0.01
    openings = np.array([0.0, *(o + s for o in (0.1, 0.2, 1.4, 1.8, 2.4) for s in (0.0, step)), 8.0])
    curve = stack_separation(potential, crystal, plane=plane, openings=openings, n_planes=6, fmax=1e-6)
    assert curve.unsettled == ()
    assert curve.traction[0] == pytest.approx(0.0, abs=1e-6)
    first, second = slice(1, -1, 2), slice(2, -1, 2)
    moved = curve.elongation[second] - curve.elongation[first]
    work = moved * 0.5 * (curve.traction[first] + curve.traction[second])
    # dE = T dū, also where ū shrinks: the trapezoidal rule errs by T'' dū³/12, some 1e-7 here.
    np.testing.assert_allclose(curve.energy[second] - curve.energy[first], work, atol=3e-6)
    assert np.all(moved[:2] > 0.0)
    # It ends at two free, relaxed surfaces.
    relaxed = relaxed_work_of_separation(potential, crystal, plane=plane, n_planes=6, fmax=1e-6)
    assert curve.energy[-1] == pytest.approx(relaxed, abs=1e-7)


def test_stable_is_the_part_where_the_elongation_grows(crystals):
    potential, crystal = crystals("Cu")
    curve = stack_separation(potential, crystal, plane=(1, 1, 1), openings=np.linspace(0.0, 1.5, 31), n_planes=8)
    turn = int(np.argmax(curve.elongation))
    assert 5 < turn < 20
    assert curve.stable[: turn + 1].all()
    assert not curve.stable[turn + 1 :].any()
    # The same stack under prescribed elongation falls apart no later than that.
    path = np.linspace(0.0, 1.1 * curve.elongation[turn], 23)
    stretched = stretch_stack(potential, crystal, plane=(1, 1, 1), elongations=path, n_planes=8)
    assert stretched.breaks_at is not None
    assert 0.7 * curve.elongation[turn] < stretched.breaks_at < 1.05 * curve.elongation[turn]


def test_one_open_gap_pulls_like_the_rigid_one(crystals):
    # Far beyond the crystal's strength the halves are nearly unstrained, so the gap carries about what it carries rigidly.
    potential, crystal = crystals("Cu")
    openings = np.array([0.0, 1.8, 2.2, 2.6])
    relaxed = stack_separation(potential, crystal, plane=(1, 1, 1), openings=openings, n_planes=6)
    rigid = rigid_separation(potential, crystal, plane=(1, 1, 1), openings=openings, n_planes=6)
    assert relaxed.traction[1:] == pytest.approx(rigid.traction[1:], rel=0.3)


def test_elongation_counts_the_strain_of_every_gap(crystals):
    potential, crystal = crystals("Al")
    for n_planes in (6, 12):
        curve = stack_separation(potential, crystal, plane=(1, 1, 1), openings=[0.0, 0.1, 0.2], n_planes=n_planes)
        # Below the strength all gaps open alike.
        assert curve.elongation == pytest.approx(n_planes * curve.opening, abs=1e-3)


def test_mistakes(crystals):
    potential, crystal = crystals("Al")
    with pytest.raises(InvalidCurveError, match="elongations must ascend"):
        stretch_stack(potential, crystal, plane=(1, 1, 1), elongations=[0.0, -1.0], n_planes=6)
    with pytest.raises(InvalidCurveError, match="openings must ascend"):
        stack_separation(potential, crystal, plane=(1, 1, 1), openings=[0.5, 1.0], n_planes=6)
    with pytest.raises(InvalidCurveError, match="fmax"):
        stack_separation(potential, crystal, plane=(1, 1, 1), openings=[0.0, 1.0], n_planes=6, fmax=-1.0)
