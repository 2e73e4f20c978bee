"""Weighted site energies of every kind of potential, and clusters that bind one to atoms."""

import functools
import re

import numpy as np
import pytest
from ase.build import bulk
from mpi4py import MPI

from atomistic.errors import AtomisticError, EvaluationError, UnknownElementError, WeightedEnergiesError
from atomistic.potentials import available_potentials, load_potential
from atomistic.site_energies import AtomCluster


@pytest.fixture(scope="module")
def potentials():
    """Return a function from a name to the potential, loaded once."""
    return functools.cache(load_potential)


def aluminium(seed=1):
    atoms = bulk("Al", cubic=True) * (2, 1, 1)
    atoms.rattle(0.1, seed=seed)
    return atoms


@pytest.mark.parametrize("name", ["sevennet-0", "sevennet-mf-0", "chgnet", "eam-al"])
def test_weights_of_one_give_the_forces(potentials, name):
    potential = potentials(name)
    atoms = aluminium()
    plain = potential.evaluate(atoms)
    energies = np.ravel(potential.calculator.results["energies"])
    before = potential.counter.calls, potential.counter.atoms
    weighted = potential.evaluate_weighted(atoms, np.ones(len(atoms)))
    assert (potential.counter.calls, potential.counter.atoms) == (before[0] + 1, before[1] + len(atoms))
    np.testing.assert_allclose(weighted.gradient, -plain.forces, atol=1e-6)
    np.testing.assert_allclose(weighted.site_energies, energies, atol=1e-6)
    assert weighted.energy == pytest.approx(plain.energy, abs=1e-5)  # the model's own sum is float32
    assert np.array_equal(weighted.gradient, potential.evaluate_weighted(atoms).gradient)


@pytest.mark.parametrize(("name", "tolerance"), [("sevennet-0", 5e-4), ("chgnet", 2e-3)])
def test_a_ramp_of_weights_against_finite_differences(potentials, name, tolerance):
    """float32 site energies of some 5 eV resolve 5e-7 eV: over a step of 0.01 Å that is 1e-4 eV/Å; CHGNet is rougher."""
    potential = potentials(name)
    atoms = aluminium()
    ramp = np.linspace(0.0, 1.0, len(atoms))
    result = potential.evaluate_weighted(atoms, ramp)
    assert result.energy == pytest.approx(ramp @ result.site_energies, rel=1e-12)
    assert np.abs(result.gradient + potential.evaluate(atoms).forces).max() > 0.01  # weights do something
    step = 0.01
    for atom, axis in ((0, 0), (3, 1), (7, 2)):
        energies = []
        for factor in (2, 1, -1, -2):
            moved = atoms.copy()
            moved.positions[atom, axis] += factor * step
            energies.append(potential.evaluate_weighted(moved, ramp).energy)
        slope = (8 * (energies[1] - energies[2]) - (energies[0] - energies[3])) / (12 * step)
        assert slope == pytest.approx(result.gradient[atom, axis], abs=tolerance)


def test_halves_add_up(potentials):
    """The gradient is linear in the weights: w and 1 − w together are minus the forces."""
    potential = potentials("sevennet-0")
    atoms = aluminium()
    w = np.random.default_rng(0).random(len(atoms))
    parts = [potential.evaluate_weighted(atoms, v) for v in (w, 1.0 - w)]
    forces = potential.evaluate(atoms).forces
    np.testing.assert_allclose(parts[0].gradient + parts[1].gradient, -forces, atol=1e-6)
    assert np.abs(parts[0].gradient.sum(axis=0)).max() < 1e-13  # edges pull both ends alike, in double


@pytest.mark.parametrize("name", ["snap-ni", "sw-si", "emt"])
def test_forces_only_potentials_refuse_weights(potentials, name):
    symbol = {"snap-ni": "Ni", "sw-si": "Si", "emt": "Al"}[name]
    potential = potentials(name)
    atoms = bulk(symbol, cubic=True)
    atoms.rattle(0.05, seed=0)
    words = f"{name} gives forces only, and energies of sites cannot be weighted with it; use bqcf or schwarz, or a potential"
    with pytest.raises(WeightedEnergiesError, match=re.escape(words)):
        potential.evaluate_weighted(atoms)
    cluster = AtomCluster(potential, symbols=symbol, cell=atoms.cell.array)
    assert not cluster.weighted
    assert not hasattr(cluster, "hessian")
    with pytest.raises(WeightedEnergiesError, match=re.escape(words)):
        cluster.energy_and_gradient(atoms.positions, np.ones(len(atoms)))
    energy, gradient = cluster.energy_and_gradient(atoms.positions)
    result = potential.evaluate(atoms)
    assert energy == pytest.approx(result.energy, rel=1e-13)  # LAMMPS sums in the order of its own list
    np.testing.assert_allclose(gradient, -result.forces, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "tolerance"), [("eam-al", 1e-12), ("snap-ni", 1e-10), ("sevennet-0", 1e-6), ("chgnet", 1e-4)]
)
def test_plane_bodies_end_freely_across(potentials, name, tolerance):
    """Images along z only: the same as a cell whose lateral images are 30 Å away. CHGNet rounds places by the cell's size."""
    potential = potentials(name)
    symbol = sorted(potential.capabilities.elements)[0] if name == "snap-ni" else "Al"
    atoms = aluminium()
    atoms.symbols[:] = symbol
    wide = atoms.copy()
    wide.set_cell(np.diag([40.0, 40.0, 4.05]))
    cluster = AtomCluster(potential, symbols=symbol, thickness=4.05)
    for _ in range(2):
        energy, gradient = cluster.energy_and_gradient(wide.positions)
        expected = potential.evaluate(wide)
        assert energy == pytest.approx(expected.energy, abs=max(1e-5, tolerance) if tolerance > 1e-9 else 1e-10)
        np.testing.assert_allclose(gradient, -expected.forces, atol=tolerance)
        wide.positions[3, 0] += 9.0  # one atom leaves: the room grows with the body
    assert cluster.precision == potential.capabilities.precision


def test_clusters_count_with_their_potential():
    potential = load_potential("eam-al")
    cluster = AtomCluster(potential, symbols=["Al"] * 8, cell=aluminium().cell.array)
    started = potential.counter.calls
    y = aluminium().positions
    cluster.energy_and_gradient(y)
    cluster.site_energies(y)
    assert cluster.counter is potential.counter
    assert potential.counter.calls == started + 2
    assert cluster.site_energies(y).sum() == pytest.approx(cluster.energy_and_gradient(y)[0], rel=1e-13)
    assert cluster.weighted
    assert cluster.hessian(y).shape == (24, 24)


@pytest.mark.parametrize("name", ["chgnet", "eam-al", "emt", "tersoff-si"])
def test_answers_depend_on_nothing_that_was_asked_before(name):
    """To the last bit: a run that is resumed asks an engine that was just loaded, the one before had come a long way."""
    symbol, count = ("Si", 2) if name == "tersoff-si" else ("Al", 2)
    cell = bulk(symbol, cubic=True) * (count, count, 1)
    walked = AtomCluster(load_potential(name), symbols=symbol, thickness=cell.cell[2, 2])
    rng, places = np.random.default_rng(0), cell.positions
    for step in range(4):
        # Within the skin of every list, then beyond the room that was left around the atoms.
        places = places * [1.0 + 0.1 * step, 1.0, 1.0] + 0.03 * rng.standard_normal(places.shape)
        before = walked.energy_and_gradient(places)
        curvature = walked.hessian(places) if hasattr(walked, "hessian") else None
    fresh = AtomCluster(load_potential(name), symbols=symbol, thickness=cell.cell[2, 2])
    energy, gradient = fresh.energy_and_gradient(places)
    assert energy == before[0]
    assert np.array_equal(gradient, before[1])
    if curvature is not None:
        assert (fresh.hessian(places) != curvature).nnz == 0


def test_second_derivatives_do_not_tell_when_the_list_was_made(potentials):
    cell = bulk("Al", cubic=True) * (4, 4, 1)
    walked, fresh = (AtomCluster(potentials("eam-al"), symbols="Al", thickness=4.05) for _ in range(2))
    rng, places = np.random.default_rng(0), cell.positions
    for _ in range(8):
        places = places + 0.02 * rng.standard_normal(places.shape)
        found = walked.hessian(places)
    assert np.array_equal(fresh.hessian(places).data, found.data)
    assert np.array_equal(fresh.energy_and_gradient(places)[1], walked.energy_and_gradient(places)[1])


def test_a_cluster_goes_on_from_a_state_without_asking_more():
    """EMT keeps its last answer, which is then no evaluation: in another process neither."""
    cell = bulk("Al", cubic=True) * (2, 2, 1)
    one = AtomCluster(load_potential("emt"), symbols="Al", thickness=4.05)
    first = one.energy_and_gradient(cell.positions)
    state = one.state()
    other = AtomCluster(load_potential("emt"), symbols="Al", thickness=4.05)
    other.go_on(state)
    assert other.energy_and_gradient(cell.positions)[0] == first[0]
    assert one.energy_and_gradient(cell.positions)[0] == first[0]
    assert other.counter == one.counter
    assert other.counter.calls == 1
    one.potential.calculator.reset()
    assert one.state()["known"] is None


def test_list_of_potentials_says_who_takes_weights():
    able = {info.name: info.capabilities.weighted_site_energies for info in available_potentials()}
    assert all(able[name] for name in ("eam-al", "eam-nial", "sevennet-0", "sevennet-l3i5", "chgnet"))
    assert not any(able[name] for name in ("snap-ni", "snap-w", "sw-si", "tersoff-sic", "emt"))
    assert load_potential("eam-cu").capabilities.weighted_site_energies
    assert not load_potential("sw-si").capabilities.weighted_site_energies


MISTAKES = [
    ({"symbols": "Al", "thickness": 4.0, "cell": np.eye(3)}, AtomisticError, "either a thickness"),
    ({"symbols": "Al", "thickness": -4.0}, AtomisticError, "positive length"),
    ({"symbols": "Al", "cell": np.zeros((3, 3))}, AtomisticError, "three independent vectors"),
    ({"symbols": "Cu"}, UnknownElementError, "no parameters for Cu"),
]


@pytest.mark.parametrize(("options", "error", "words"), MISTAKES, ids=[m[2] for m in MISTAKES])
def test_mistakes_in_bodies(potentials, options, error, words):
    with pytest.raises(error, match=words):
        AtomCluster(potentials("eam-al"), **options)


@pytest.mark.filterwarnings("ignore:invalid value", "ignore:divide by zero")
def test_mistakes_in_calls(potentials):
    potential = potentials("eam-al")
    cluster = AtomCluster(potential, symbols=["Al"] * 8, comm=MPI.COMM_SELF)
    y = aluminium().positions
    with pytest.raises(AtomisticError, match=re.escape("Expected positions of 8 atoms, (8, 3)")):
        cluster.energy_and_gradient(y[:7])
    with pytest.raises(WeightedEnergiesError, match=re.escape("shape (8,); got shape (7,)")):
        cluster.energy_and_gradient(y, np.ones(7))
    with pytest.raises(WeightedEnergiesError, match="site 2 has nan"):
        cluster.energy_and_gradient(y, np.where(np.arange(8) == 2, np.nan, 1.0))
    with pytest.raises(EvaluationError, match="Atom 4 has no finite position"):
        cluster.energy_and_gradient(np.where(np.arange(8)[:, None] == 4, np.inf, y))
    with pytest.raises(EvaluationError, match="sit on each other"):
        cluster.energy_and_gradient(np.zeros((8, 3)))
    with pytest.raises(UnknownElementError, match="Cu"):
        potential.evaluate_weighted(bulk("Cu"))
