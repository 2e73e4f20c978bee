"""The atomistic cell of a live law: its traction is its energy's derivative, in every direction."""

from pathlib import Path

import numpy as np
import pytest

from atomistic.crystal import relax_crystal
from atomistic.decohesion import rigid_separation
from atomistic.errors import UnknownElementError
from atomistic.potentials import load_potential
from coupling.cohesive import extract_law
from coupling.elasticity import LinearUniaxial
from coupling.errors import CouplingError
from coupling.live import Committee, InterfaceCell, LiveLaw
from examples import live_points_driver


@pytest.fixture(scope="module")
def aluminium():
    potential = load_potential("eam-al")
    return potential, relax_crystal(potential, symbols="Al", structure="fcc")


@pytest.fixture(scope="module")
def cell(aluminium):
    potential, crystal = aluminium
    return InterfaceCell(potential=potential, crystal=crystal, plane=(1, 1, 1), growth=(1, 1, -2), components=3)


@pytest.mark.parametrize("opening", [(0.2, 0.0, 0.0), (0.0, 0.5, 0.0), (0.3, -0.4, 0.25), (0.9, 1.1, -2.0)])
def test_traction_is_the_energys_derivative(cell, opening):
    opening, step = np.array(opening), 1e-4
    answer = cell(opening)
    for axis, unit in enumerate(np.eye(3)):
        slope = (cell(opening + step * unit).energy - cell(opening - step * unit).energy) / (2 * step)
        # The potential's own table has steps of some 1e-8 eV/Å² between its points.
        assert answer.traction[axis] == pytest.approx(slope, abs=2e-6)


def test_a_relaxed_cells_traction_is_its_energys_derivative(aluminium):
    potential, crystal = aluminium
    cell = InterfaceCell(
        potential=potential, crystal=crystal, plane=(1, 1, 1), n_planes=4, components=2, relaxation="relaxed", fmax=1e-6
    )
    opening, step = np.array([0.3, 0.2]), 1e-3
    answer = cell(opening)
    for axis, unit in enumerate(np.eye(2)):
        slope = (cell(opening + step * unit).energy - cell(opening - step * unit).energy) / (2 * step)
        assert answer.traction[axis] == pytest.approx(slope, abs=5e-6)
    assert answer.calls > 1
    rigid = InterfaceCell(potential=potential, crystal=crystal, plane=(1, 1, 1), n_planes=4, components=2)
    assert answer.energy < rigid(opening).energy


def test_it_opens_as_rigid_separation_does(aluminium, cell):
    potential, crystal = aluminium
    curve = rigid_separation(potential, crystal, plane=(1, 1, 1), openings=[0.0, 0.4, 1.2])
    rest = cell(np.zeros(3)).energy
    for opening, energy, traction in zip(curve.opening, curve.energy, curve.traction, strict=True):
        answer = cell(np.array([opening, 0.0, 0.0]))
        assert answer.energy - rest == pytest.approx(energy, abs=1e-12)
        assert answer.traction[0] == pytest.approx(traction, abs=1e-12)


def test_shears_are_those_of_the_laboratory(aluminium, cell):
    """Along [11-2] the plane slides into the stacking fault without climbing the hill of atop sites; the other way not."""
    _, crystal = aluminium
    partial = crystal.a / np.sqrt(6.0)
    barrier = [
        max(cell(np.array([0.0, sign * s * partial, 0.0])).energy for s in np.linspace(0, 1, 11)) for sign in (1, -1)
    ]
    fault = [cell(np.array([0.0, sign * partial, 0.0])).energy - cell(np.zeros(3)).energy for sign in (1, -1)]
    easy = int(np.argmin(fault))
    assert fault[1 - easy] > 10 * abs(fault[easy])
    assert barrier[easy] < barrier[1 - easy]
    # A lattice vector along x or z brings the crystal back.
    there = cell(np.array([0.0, 3 * partial, 0.0])).energy
    across = cell(np.array([0.0, 0.0, crystal.a / np.sqrt(2.0)])).energy
    assert there == pytest.approx(cell(np.zeros(3)).energy, abs=1e-10)
    assert across == pytest.approx(there, abs=1e-10)


def test_small_openings_have_the_crystals_stiffness_of_many_planes(aluminium):
    """Relaxed, a short elongation of the perfect crystal strains it evenly: T = Q Δ/L."""
    potential, crystal = aluminium
    cell = InterfaceCell(
        potential=potential, crystal=crystal, plane=(1, 1, 1), n_planes=3, components=2, relaxation="relaxed", fmax=1e-7
    )
    opening = np.array([2e-3, 1e-3])
    odd = 0.5 * (cell(opening).traction - cell(-opening).traction)
    assert np.allclose(odd, cell.stiffness @ opening / cell.length, rtol=5e-3)


def test_the_live_law_is_the_tabulated_one(aluminium):
    potential, crystal = aluminium
    cell = InterfaceCell(potential=potential, crystal=crystal, plane=(1, 1, 1))
    law = LiveLaw(cell)
    law.prepare(np.linspace(0, 4, 60))
    curve = rigid_separation(potential, crystal, plane=(1, 1, 1), openings=np.linspace(0, 6, 61))
    table = extract_law(curve, LinearUniaxial(cell.stiffness[0, 0]), length=cell.length).law()
    places = np.linspace(0.02, 4, 200)
    assert np.abs(law.potential(places) - table.potential(places)).max() < 5e-3 * table.fracture_energy
    apart = np.abs(law.traction(places) - table.traction(places))
    assert apart[places > 0.25].max() < 0.02 * table.peak_traction
    # At first both rise as steeply as the cap allows: there the openings agree, not the tractions.
    steep = places < 0.1
    assert (apart / law.stiffness(places))[steep].max() < 0.01  # Å
    assert law.record().calls == law.record().evaluations <= 25


def test_a_committees_spread_is_the_uncertainty(aluminium):
    potential, crystal = aluminium
    one = InterfaceCell(potential=potential, crystal=crystal, plane=(1, 1, 1))
    other = InterfaceCell(potential=potential, crystal=crystal, plane=(1, 1, 1), n_planes=4)
    copper = load_potential("eam-cu")
    third = InterfaceCell(
        potential=copper, crystal=relax_crystal(copper, symbols="Cu", structure="fcc"), plane=(1, 1, 1)
    )
    answer = Committee([one, third])(np.array([0.6]))
    expected = abs(one(np.array([0.6])).traction[0] - third(np.array([0.6])).traction[0]) / np.sqrt(2)
    assert answer.spread[0] == pytest.approx(expected, rel=1e-12)
    assert answer.traction[0] == one(np.array([0.6])).traction[0]
    law = LiveLaw(Committee([one, third]), tolerance=0.05)
    law.prepare([0.6])
    assert law.uncertainty([law.opening_of(0.6)])[0] >= 0.9 * expected
    alike = LiveLaw(Committee([one, other]), tolerance=0.05)
    alike.prepare([0.6])
    assert alike.uncertainty([0.5])[0] < 0.1 * expected
    with pytest.raises(CouplingError, match="at least two"):
        Committee([one])


def test_mistakes_are_named(aluminium):
    potential, crystal = aluminium
    copper = load_potential("eam-cu")
    with pytest.raises(CouplingError, match="relax it with that one"):
        InterfaceCell(potential=copper, crystal=crystal, plane=(1, 1, 1))
    with pytest.raises(CouplingError, match="components = 4"):
        InterfaceCell(potential=potential, crystal=crystal, plane=(1, 1, 1), components=4)
    alien = type(crystal)(**{**vars(crystal), "symbols": ("Xe",)})
    with pytest.raises(UnknownElementError, match="Xe"):
        InterfaceCell(potential=potential, crystal=alien, plane=(1, 1, 1))


def test_the_example(tmp_path):
    first = live_points_driver.main(str(tmp_path / "nodes.csv")).records["interface"]
    again = live_points_driver.main(str(tmp_path / "nodes.csv")).records["interface"]
    assert first.saved > 20
    # With all nodes known from the start the estimates differ a little from those of their time.
    assert again.evaluations <= 5
    assert again.from_cache == first.evaluations
    assert len(Path(live_points_driver.__file__).read_text().splitlines()) <= 40
