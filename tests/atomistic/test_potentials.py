"""Loading potentials: what they give, what they count, and what a mistake is answered with."""

import re
import sys
import types

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import Calculator

from atomistic.errors import (
    DeviceError,
    EvaluationError,
    MissingEngineError,
    ModelFileError,
    UnknownElementError,
    UnknownPotentialError,
)
from atomistic.potentials import available_potentials, load_potential, sevennet
from tests.mpi import run_mpi

CLASSICAL = [("emt", "Al"), ("eam-al", "Al"), ("snap-ni", "Ni"), ("snap-w", "W"), ("sw-si", "Si"), ("eam-mg", "Mg")]


def distorted(symbol, *, seed=0):
    """A small triclinic cell without symmetry."""
    rng = np.random.default_rng(seed)
    atoms = bulk(symbol) * (2, 2, 1)
    atoms.rattle(0.05, seed=seed)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.02 * rng.normal(size=(3, 3))), scale_atoms=True)
    return atoms


@pytest.mark.parametrize(("name", "symbol"), CLASSICAL)
def test_forces_and_stress_are_derivatives_of_the_energy(name, symbol):
    potential = load_potential(name)
    atoms = distorted(symbol)
    result = potential.evaluate(atoms)
    step = 1e-4
    for atom, axis in ((0, 0), (2, 1), (3, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            energies.append(potential.evaluate(moved).energy)
        # Truncation is of order step² times third derivatives (100 eV/Å³ at most); tables have kinks of 1e-7.
        assert -(energies[0] - energies[1]) / (2 * step) == pytest.approx(result.forces[atom, axis], abs=1e-6)
    for p, q in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
        energies = []
        for sign in (1, -1):
            deformation = np.eye(3)
            deformation[p, q] += 0.5 * sign * step
            deformation[q, p] += 0.5 * sign * step
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
            energies.append(potential.evaluate(strained).energy)
        stress = (energies[0] - energies[1]) / (2 * step * atoms.get_volume())
        assert stress == pytest.approx(result.stress[p, q], abs=1e-6)


def test_lammps_keeps_energies_of_left_handed_and_wrapped_cells():
    potential = load_potential("eam-al")
    atoms = distorted("Al")
    energy = potential.evaluate(atoms).energy
    swapped = atoms.copy()
    swapped.set_cell(atoms.cell.array[[1, 0, 2]], scale_atoms=False)
    swapped.positions[1] += 3 * swapped.cell.array[0] - 2 * swapped.cell.array[2]
    result = potential.evaluate(swapped)
    assert result.energy == pytest.approx(energy, abs=1e-10)
    np.testing.assert_allclose(result.forces, load_potential("eam-al").evaluate(atoms).forces, atol=1e-10)


def test_energies_per_atom_add_up():
    for name in ("eam-al", "emt"):
        potential = load_potential(name)
        result = potential.evaluate(distorted("Al"))
        assert potential.calculator.results["energies"].sum() == pytest.approx(result.energy, abs=1e-10)


def test_counter_counts_evaluations_and_not_what_is_remembered():
    potential = load_potential("emt")
    atoms = distorted("Al")
    potential.evaluate(atoms)
    potential.evaluate(atoms)
    atoms.calc = potential.calculator
    atoms.get_forces()
    atoms.get_potential_energy()
    assert (potential.counter.calls, potential.counter.atoms) == (1, len(atoms))
    atoms.positions[0, 0] += 0.01
    atoms.get_forces()
    assert potential.counter.calls == 2
    assert potential.counter.seconds > 0.0


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_lammps_gives_the_same_on_any_number_of_ranks(ranks):
    script = """
        import numpy as np
        from ase.build import bulk
        from mpi4py import MPI
        from atomistic.potentials import load_potential

        comm = MPI.COMM_WORLD
        for name, symbol in (("eam-al", "Al"), ("snap-ni", "Ni")):
            shared, alone = load_potential(name, comm=comm), load_potential(name)
            atoms = bulk(symbol, cubic=True) * (3, 3, 2)
            rng = np.random.default_rng(1)
            for k in range(4):
                atoms.positions += 0.05 * rng.normal(size=atoms.positions.shape)
                atoms.positions[5] += 2 * atoms.cell[0]
                if k == 2:
                    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.05 * rng.normal(size=(3, 3))), scale_atoms=True)
                if k == 3:
                    atoms = atoms[rng.permutation(len(atoms))[:-2]]
                a, b = shared.evaluate(atoms), alone.evaluate(atoms)
                assert abs(a.energy - b.energy) <= 1e-10 * abs(b.energy)
                assert np.abs(a.forces - b.forces).max() <= 1e-10 * np.abs(b.forces).max()
                assert np.abs(a.stress - b.stress).max() <= 1e-10
    """
    run_mpi(ranks, script, timeout=60)


MISTAKES = [
    ("sevenet-0", UnknownPotentialError, "Did you mean 'sevennet-0'"),
    (3, UnknownPotentialError, "a name or a mapping"),
    ({"nam": "emt"}, UnknownPotentialError, "name, calculator, path or committee"),
    ({"name": "lammps", "pair_stile": "snap"}, UnknownPotentialError, "Did you mean 'pair_style'"),
    ({"name": "lammps", "files": []}, UnknownPotentialError, "needs pair_style and elements"),
    ({"name": "lammps", "pair_style": "sw", "files": "Si.sw", "elements": ["Si"]}, UnknownPotentialError, "must be a list"),
    ({"name": "lammps", "pair_style": "sw", "files": ["no.sw"], "elements": ["Si"]}, ModelFileError, "no potential file 'no.sw'"),
    ({"name": "lammps", "pair_style": "swx", "files": [], "elements": ["Si"]}, UnknownPotentialError, "pair style 'swx'"),
    ({"name": "lammps", "pair_style": "sw", "files": [], "elements": ["Qq"]}, UnknownPotentialError, "chemical symbols"),
    ({"calculator": "ase.calculators.emt"}, UnknownPotentialError, "package.module:Class"),
    ({"calculator": "ase.calculators.emt:No"}, UnknownPotentialError, "has no class 'No'"),
    ({"calculator": "ase.calculators.nothing:No"}, UnknownPotentialError, "no module"),
    ({"calculator": "nosuchpackage.a:No"}, MissingEngineError, "pip install nosuchpackage"),
    ({"calculator": "os:getcwd"}, UnknownPotentialError, "no ASE calculator"),
    ({"calculator": "atomistic.potentials.lammps_calculator:Box"}, UnknownPotentialError, "refused its arguments"),
    ({"path": "no.pth"}, ModelFileError, "no model file 'no.pth'"),
    ({"path": "pyproject.toml"}, ModelFileError, "no model file that SevenNet, MACE, NequIP or a training"),
    ({"path": "pyproject.toml", "family": "mce"}, UnknownPotentialError, "Did you mean 'mace'"),
    ({"path": "pyproject.toml", "family": "mace"}, MissingEngineError, "pip install mace-torch"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "error", "words"), MISTAKES, ids=[str(m[0])[:50] for m in MISTAKES])
def test_mistakes_are_answered(spec, error, words):
    with pytest.raises(error, match=re.escape(words)):
        load_potential(spec)


def test_devices_that_are_not_there():
    with pytest.raises(DeviceError, match="'emt' runs on cpu"):
        load_potential("emt", device="cuda")
    with pytest.raises(DeviceError, match="got device 'gpu'"):
        load_potential("sevennet-0", device="gpu")


def test_missing_engine_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(sevennet.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingEngineError, match=re.escape('pip install "multiscale-mlip[sevennet]"')):
        load_potential("sevennet-0")


def test_elements_that_the_potential_does_not_know():
    with pytest.raises(UnknownElementError, match="no parameters for Fe"):
        load_potential("emt").check_elements(["Al", "Fe"])
    with pytest.raises(UnknownElementError, match="Cu"):
        load_potential("eam-al").evaluate(bulk("Cu"))


def test_numbers_that_are_none_are_refused(monkeypatch):
    class Broken(Calculator):
        implemented_properties = ("energy", "forces", "stress")

        def calculate(self, atoms=None, properties=(), system_changes=()):
            super().calculate(atoms, properties, system_changes)
            self.results = {"energy": np.nan, "forces": np.zeros((len(atoms), 3)), "stress": np.zeros(6)}

    module = types.ModuleType("broken_calculator")
    module.Broken = Broken
    monkeypatch.setitem(sys.modules, "broken_calculator", module)
    potential = load_potential({"calculator": "broken_calculator:Broken"})
    with pytest.raises(EvaluationError, match=r"energy that is not a finite number.*shortest distance"):
        potential.evaluate(bulk("Al") * (2, 1, 1))


def test_list_of_potentials_needs_no_weights():
    listed = {info.name: info for info in available_potentials()}
    assert {"sevennet-0", "sevennet-l3i5", "chgnet", "emt", "snap-ni", "eam-al", "sw-si"} <= set(listed)
    assert "Al" in listed["sevennet-0"].capabilities.elements
    assert "Po" not in listed["sevennet-0"].capabilities.elements
    assert listed["sevennet-0"].capabilities.precision == "float32"
    assert listed["eam-al"].capabilities.parallel
    assert all(info.capabilities.reference for info in listed.values())


def test_sevennet_by_name_and_by_path():
    named = load_potential("sevennet-0-22may2024")
    by_path = load_potential({"path": named.capabilities.model_file})
    assert named.capabilities.model_sha256 == by_path.capabilities.model_sha256
    assert named.capabilities.elements == by_path.capabilities.elements
    assert len(named.capabilities.elements) == 89
    atoms = distorted("Al")
    assert named.evaluate(atoms).energy == pytest.approx(by_path.evaluate(atoms).energy, abs=1e-5)


def test_chgnet_gives_stress_in_the_units_of_its_energy():
    potential = load_potential("chgnet")
    atoms = bulk("Cu", a=3.5)
    assert potential.calculator.results == {}
    result = potential.evaluate(atoms)
    energies = [potential.evaluate(bulk("Cu", a=3.5 * s)).energy for s in (1.01, 0.99)]
    # A strain of 1% keeps rounding (1e-6 eV) at 1e-3 of the stress; the model's own roughness is a few per cent.
    pressure = (energies[0] - energies[1]) / (0.02 * atoms.get_volume())
    assert np.trace(result.stress) == pytest.approx(pressure, rel=0.05)
