"""A foreign atom in a gap: where it is put, that its states are at rest, and that energies and tractions belong together."""

import numpy as np
import pytest

from atomistic.around_gap import planes_around_gap
from atomistic.builders import build_stack
from atomistic.crystal import relax_crystal
from atomistic.decohesion import rigid_separation
from atomistic.errors import InterstitialError, InvalidCurveError
from atomistic.impurity import build_impure_stack
from atomistic.impurity_energies import dilute_energy
from atomistic.impurity_states import (
    AtRest,
    apart,
    impure_separation,
    opened,
    relax_closed,
    relax_open,
    rigid_state,
)
from atomistic.potentials import load_potential

PLANE = (1, 1, 1)


@pytest.fixture(scope="module")
def host():
    """Aluminium of effective medium theory: double precision, knows H, fast."""
    potential = load_potential({"calculator": "ase.calculators.emt:EMT"})
    return potential, relax_crystal(potential, symbols="Al", structure="fcc")


@pytest.fixture(scope="module")
def closed(host):
    potential, crystal = host
    stack = build_impure_stack(crystal, plane=PLANE, n_planes=6, element="H", repeat=(1, 2))
    return stack, relax_closed(potential, crystal, stack, fmax=1e-5)


@pytest.mark.parametrize(
    ("site", "radius", "height"),
    [("octahedral", 0.5, 0.5), ("tetrahedral", np.sqrt(3) / 4, 0.25), ("largest", 0.5, 0.5)],
)
def test_the_atom_lies_in_a_hole_of_the_gap(host, site, radius, height):
    _, crystal = host
    stack = build_impure_stack(crystal, plane=PLANE, n_planes=6, element="H", site=site, repeat=(2, 2))
    distances = stack.atoms.get_distances(stack.row, range(stack.row), mic=True)
    assert distances.min() == pytest.approx(radius * crystal.a)
    assert stack.radius == pytest.approx(radius * crystal.a)
    top = stack.stack.atoms.positions[:, 2].max()
    share = (stack.atoms.positions[-1, 2] - top) / stack.stack.cut_gap
    assert min(share, 1 - share) == pytest.approx(height, abs=1e-6)
    assert stack.coverage == 0.25
    assert stack.stack.area == pytest.approx(4 * np.sqrt(3) / 4 * crystal.a**2)


def test_a_substitutional_atom_takes_a_place_beside_the_gap(host):
    _, crystal = host
    stack = build_impure_stack(crystal, plane=PLANE, n_planes=6, element="Cu", site="substitutional", repeat=(1, 2))
    assert len(stack.atoms) == 12
    assert stack.atoms.symbols[stack.row] == "Cu"
    assert stack.coverage == 0.5
    assert stack.faces == ("lower",)
    perfect = build_stack(crystal, plane=PLANE, n_planes=6).repeated(1, 2)
    assert np.sort(stack.atoms.positions[:, 2]) == pytest.approx(np.sort(perfect.atoms.positions[:, 2]))


def test_a_repeated_stack_is_the_same_crystal(host):
    potential, crystal = host
    stack = build_stack(crystal, plane=PLANE, n_planes=6)
    many = stack.repeated(3, 2)
    assert len(many.atoms) == 36
    assert many.area == pytest.approx(6 * stack.area)
    assert potential.evaluate(many.atoms).energy == pytest.approx(6 * potential.evaluate(stack.atoms).energy)
    heights = [many.atoms.positions[many.plane_of_atom == k, 2] for k in range(6)]
    assert all(np.ptp(h) < 1e-9 for h in heights)


def test_the_closed_stack_is_at_rest_in_all_that_is_free(host, closed):
    potential, crystal = host
    stack, state = closed
    result = potential.evaluate(state.atoms)
    assert np.linalg.norm(result.forces, axis=1).max() < 2e-5
    assert abs(result.stress[2, 2]) * state.atoms.get_volume() / state.atoms.cell[2, 2] < 2e-5
    assert state.energy == pytest.approx(result.energy)
    assert state.opening == pytest.approx(state.atoms.cell[2, 2] - stack.stack.height)
    assert state.opening > 0.0
    assert state.atoms.cell.array[:2] == pytest.approx(stack.stack.atoms.cell.array[:2])
    assert state.energy < potential.evaluate(stack.atoms).energy
    assert crystal.potential


def test_a_pure_stack_stays_as_it_is(host):
    potential, crystal = host
    stack = build_stack(crystal, plane=PLANE, n_planes=6)
    state = relax_closed(potential, crystal, stack)
    assert state.opening == pytest.approx(0.0, abs=1e-4)
    assert state.energy == pytest.approx(6 * crystal.energy_per_atom, abs=1e-6)


def test_both_faces_of_an_octahedral_hole_are_equivalent(host, closed):
    potential, crystal = host
    stack, state = closed
    far = apart(potential, stack.stack)
    energies = [potential.evaluate(opened(state.atoms, far, lift=lift)).energy for lift in ([], [stack.row])]
    assert energies[0] == pytest.approx(energies[1], abs=1e-6)
    found = relax_open(potential, crystal, stack, closed=state)
    assert found.face == "lower"
    assert found.energy < min(energies)
    assert np.linalg.norm(potential.evaluate(found.atoms).forces, axis=1).max() < 1.1e-3


def test_the_traction_is_the_slope_of_the_energy(host, closed):
    potential, crystal = host
    stack, state = closed
    middle, step = 0.8, 1e-3
    openings = [0.0, middle - step, middle, middle + step, 12.0]
    curve = impure_separation(potential, crystal, stack, state, openings=openings, fmax=1e-6)
    slope = (curve.energy[3] - curve.energy[1]) / (2 * step)
    assert curve.traction[2] == pytest.approx(slope, rel=1e-5)
    assert curve.traction[0] == pytest.approx(0.0, abs=1e-5)
    assert curve.traction[-1] == pytest.approx(0.0, abs=1e-9)
    assert curve.work_of_separation == pytest.approx(curve.energy[-1])
    at = rigid_state(potential, stack, state, middle, fmax=1e-6)
    assert (at.energy - state.energy) / stack.stack.area == pytest.approx(curve.energy[2])
    assert at.atoms.positions[:-1] == pytest.approx(state.atoms.positions[:-1])


def test_without_the_atom_the_curve_is_that_of_rigid_separation(host):
    potential, crystal = host
    stack = build_stack(crystal, plane=PLANE, n_planes=6)
    perfect = AtRest(atoms=stack.atoms, energy=6 * crystal.energy_per_atom, opening=0.0)
    curve = rigid_separation(potential, crystal, plane=PLANE, n_planes=6, openings=[0.0, 0.7, 1.4])
    state = rigid_state(potential, stack, perfect, 0.7)
    assert (state.energy - perfect.energy) / stack.area == pytest.approx(curve.energy[1], abs=1e-9)


def test_a_dilute_atom_of_the_host_costs_what_its_crystal_does(host):
    potential, crystal = host
    energy = dilute_energy(potential, crystal, element="Al", site="substitutional")
    assert energy == pytest.approx(crystal.energy_per_atom, abs=1e-5)
    octahedral = dilute_energy(potential, crystal, element="H", site="octahedral")
    assert octahedral != pytest.approx(dilute_energy(potential, crystal, element="H", site="tetrahedral"), abs=1e-3)


def test_planes_out_of_the_middle_leave_the_perfect_crystal(host):
    potential, crystal = host
    stack = build_stack(crystal, plane=PLANE, n_planes=11).repeated(1, 2)
    cell, rows = planes_around_gap(stack.atoms, stack, 6)
    assert len(cell) == len(rows) == 12
    assert potential.evaluate(cell).energy == pytest.approx(12 * crystal.energy_per_atom, abs=1e-9)
    assert np.abs(potential.evaluate(cell).forces).max() < 1e-9
    assert set(stack.plane_of_atom[rows]) == {0, 1, 2, 8, 9, 10}


def test_the_gap_of_the_small_cell_is_that_of_the_stack(host, closed):
    potential, crystal = host
    tall = build_impure_stack(crystal, plane=PLANE, n_planes=9, element="H", repeat=(1, 2))
    state = relax_closed(potential, crystal, tall)
    moved = opened(state.atoms, 3.0)
    cell, rows = planes_around_gap(moved, tall.stack, 6)
    assert cell.symbols[-1] == "H"
    assert rows[-1] == tall.row
    distances = cell.get_distances(len(cell) - 1, range(len(cell) - 1), mic=True)
    whole = moved.get_distances(tall.row, rows[:-1], mic=True)
    assert np.sort(distances)[:3] == pytest.approx(np.sort(whole)[:3])
    # Opening the small cell costs what opening the tall one does: its range is shorter than three planes on either side.
    small, _ = planes_around_gap(state.atoms, tall.stack, 6)
    cost = potential.evaluate(cell).energy - potential.evaluate(small).energy
    assert cost == pytest.approx(potential.evaluate(moved).energy - potential.evaluate(state.atoms).energy, abs=0.02)
    assert closed[0].row == 12


def test_bad_requests_are_refused(host, crystals):
    _, crystal = host
    options = {"plane": PLANE, "n_planes": 6, "element": "H"}
    with pytest.raises(InterstitialError, match="chemical symbol"):
        build_impure_stack(crystal, **{**options, "element": "Hy"})
    with pytest.raises(InterstitialError, match="repeat"):
        build_impure_stack(crystal, **options, repeat=(0, 1))
    _, silicon = crystals("Si")
    with pytest.raises(InterstitialError, match="no octahedral hole"):
        build_impure_stack(silicon, **options)
    stack = build_stack(crystal, plane=PLANE, n_planes=6)
    with pytest.raises(InvalidCurveError, match="plane on either side"):
        planes_around_gap(stack.atoms, stack, 1)
