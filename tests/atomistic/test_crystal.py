"""Crystals at rest against published constants, and elastic tensors against second derivatives of the energy."""

import numpy as np
import pytest
from ase.units import GPa

from atomistic.crystal import elastic_tensor, relax_crystal, rotate_stiffness
from atomistic.elasticity import VOIGT, rotation_group, strained, symmetrised
from atomistic.errors import AtomisticError, CrystalError, UnknownElementError
from atomistic.potentials import load_potential

#: a (Å), cohesive energy (eV), C11, C12, C44 (GPa) as published for these very potentials: Mishin et al. 2001;
#: Balamane, Halicioglu and Tiller 1992 for Stillinger and Weber's silicon; Mendelev et al. 2003 (its potential 2).
PUBLISHED = {
    ("eam-cu", "Cu", "fcc"): (3.615, 3.54, 169.9, 122.6, 76.2),
    ("sw-si", "Si", "diamond"): (5.431, 4.336, 151.4, 76.4, 56.4),
    ("eam-fe", "Fe", "bcc"): (2.855, 4.122, 243.4, 145.0, 116.0),
}


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda c: c[0])
def test_published_constants(case):
    name, symbol, structure = case
    crystal = relax_crystal(load_potential(name), symbols=symbol, structure=structure)
    a, cohesive, *constants = PUBLISHED[case]
    # Published to three or four digits.
    assert crystal.a == pytest.approx(a, abs=1e-3)
    assert crystal.cohesive_energy == pytest.approx(cohesive, abs=2e-3)
    measured = [crystal.stiffness[i, j] / GPa for i, j in ((0, 0), (0, 1), (3, 3))]
    assert measured == pytest.approx(constants, abs=0.15)


def test_few_evaluations_relax_a_crystal():
    # Two of them start the search, twelve make the tensor, two the energies: Newton's method has four left, and takes more
    # without an updated derivative.
    potential = load_potential("emt")
    relax_crystal(potential, symbols="Al", structure="fcc")
    assert potential.counter.calls <= 20


def test_emt_copper():
    crystal = relax_crystal(load_potential("emt"), symbols="Cu", structure="fcc")
    assert crystal.a == pytest.approx(3.5898, abs=1e-3)
    # Double precision: only the truncation of the central differences breaks the symmetry, and for cubes not even that.
    assert crystal.symmetry_defect < 1e-9


@pytest.mark.parametrize("name", ["Al", "W", "Mg", "Si", "NiAl", "SiC"])
def test_no_stress_is_left(crystals, name):
    potential, crystal = crystals(name)
    assert np.abs(potential.evaluate(crystal.atoms).stress).max() < 1e-9
    assert len(crystal.conventional) * crystal.energy_per_atom == pytest.approx(
        potential.evaluate(crystal.conventional).energy, abs=1e-9
    )


@pytest.mark.parametrize("guess", [1.0, 3.0, 5.5, 100.0])
def test_bad_guesses_end_at_the_same_crystal(guess):
    crystal = relax_crystal(load_potential("emt"), symbols="Al", structure="fcc", a=guess)
    assert crystal.a == pytest.approx(3.994274, abs=1e-6)


@pytest.mark.parametrize("name", ["Al", "Si"])
def test_tensor_is_the_second_derivative_of_the_relaxed_energy(crystals, name):
    potential, crystal = crystals(name)
    step, volume = 2e-3, crystal.atoms.get_volume()

    def energy(strain, p, q):
        atoms = strained(crystal.atoms, strain, p, q)
        for _ in range(60 if len(atoms) > 1 else 0):  # plain descent: slow, and nothing shared with the code under test
            atoms.positions += 0.03 * potential.evaluate(atoms).forces
        return potential.evaluate(atoms).energy

    for k in (0, 3):
        second = (energy(step, *VOIGT[k]) + energy(-step, *VOIGT[k]) - 2 * energy(0.0, *VOIGT[k])) / step**2 / volume
        assert crystal.stiffness[k, k] == pytest.approx(second, rel=1e-3)


def test_tensor_of_a_rotated_crystal_is_the_rotated_tensor(crystals):
    potential, crystal = crystals("Mg")
    rotation, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    rotation *= np.linalg.det(rotation)
    atoms = crystal.atoms.copy()
    atoms.set_cell(atoms.cell.array @ rotation.T, scale_atoms=True)
    turned = elastic_tensor(potential, atoms)
    # Central differences with a strain of 1e-3 leave about 1e-4 of the constants.
    assert np.abs(turned - rotate_stiffness(crystal.stiffness, rotation)).max() < 1e-3 * crystal.stiffness.max()


def test_rotation_of_a_stiffness():
    rng = np.random.default_rng(0)
    stiffness = rng.normal(size=(6, 6))
    stiffness = stiffness + stiffness.T
    first, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    second, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    twice = rotate_stiffness(rotate_stiffness(stiffness, first), second)
    np.testing.assert_allclose(twice, rotate_stiffness(stiffness, second @ first), atol=1e-12)
    # Energy of a strain does not know of axes.
    strain = rng.normal(size=(3, 3))
    strain = strain + strain.T

    def energy(matrix, tensor):
        voigt = np.array([tensor[p, q] * (1 if p == q else 2) for p, q in VOIGT])
        return voigt @ matrix @ voigt

    turned = first @ strain @ first.T
    assert energy(rotate_stiffness(stiffness, first), turned) == pytest.approx(energy(stiffness, strain))
    with pytest.raises(AtomisticError, match="orthonormal"):
        rotate_stiffness(stiffness, 2 * np.eye(3))


def test_symmetrising_leaves_what_is_symmetric(crystals):
    group = rotation_group([[0, -1, 0], [1, 0, 0], [0, 0, 1]], [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    assert len(group) == 24
    _, crystal = crystals("Cu")
    np.testing.assert_allclose(symmetrised(crystal.stiffness, group), crystal.stiffness, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"symbols": "Al", "structure": "fccc"}, CrystalError, "Did you mean 'fcc'"),
        ({"symbols": "Alu", "structure": "fcc"}, CrystalError, "no such element"),
        ({"symbols": ("Al", "Cu"), "structure": "fcc"}, CrystalError, "takes 1 element"),
        ({"symbols": "Al", "structure": "rocksalt"}, CrystalError, "takes 2 element"),
        ({"symbols": "Al", "structure": "fcc", "a": -4.0}, CrystalError, "positive length"),
        ({"symbols": "Al", "structure": "fcc", "c": 4.0}, CrystalError, "no second lattice constant"),
        ({"symbols": "Fe", "structure": "bcc"}, UnknownElementError, "no parameters for Fe"),
        ({"symbols": "Cu", "structure": "diamond"}, CrystalError, "diamond crystal of Cu"),
    ],
)
def test_mistakes(arguments, error, words):
    with pytest.raises(error, match=words):
        relax_crystal(load_potential("emt"), **arguments)
