"""Energies from ∫F·dr: right to fourth order where there is an energy, and the work per turn where there is none."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.constraints import FixAtoms
from ase.io import read, write
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet

from atomistic.potentials import load_potential
from coupling.embedding import ForceMixing, Region, SubtractiveEmbedding
from coupling.embedding.path_energy import PathEnergyObserver, loop_work, path_energy
from coupling.errors import PathError

CURL = 0.3  # eV/Å²


class Turning(Calculator):
    """A well with a force that turns around it: no energy."""

    implemented_properties = ("forces",)

    def calculate(self, atoms=None, properties=("forces",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        forces = -1.5 * atoms.positions
        forces[:, :2] += CURL * np.column_stack([-atoms.positions[:, 1], atoms.positions[:, 0]])
        self.results = {"forces": forces}


@pytest.fixture(scope="module")
def potential():
    return load_potential("eam-al-zhou")


def crystal():
    return bulk("Al", cubic=True, a=4.05) * (3, 3, 3)


def along(atoms, s, *, reach=0.6):
    """A frame on a curved path: one atom goes, its neighbours turn aside."""
    frame = atoms.copy()
    push = np.random.default_rng(4).normal(0.0, 0.08, frame.positions.shape)
    frame.positions += np.sin(0.5 * np.pi * s) * push
    frame.positions[0] += reach * np.array([s, s**2, 0.3 * np.sin(3.0 * s)])
    return frame


def with_forces(frames, calculator):
    for frame in frames:
        frame.calc = calculator
        frame.calc.reset()
        frame.get_forces()
    return frames


def test_energy_of_a_conservative_potential(potential):
    errors = []
    for count in (9, 17, 33):
        frames = [along(crystal(), s) for s in np.linspace(0.0, 1.0, count)]
        found = path_energy(frames, calculator=potential.calculator)
        exact = np.array([potential.evaluate(frame).energy for frame in frames])
        deviation = np.abs(found.energy - (exact - exact[0]))
        assert np.all(deviation <= found.error + 1e-6)
        assert found.change == found.energy[-1]
        assert found.barrier >= found.change
        errors.append(deviation.max())
    assert exact.max() - exact[0] > 1.0  # eV
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all(orders > 3.0)
    assert errors[-1] < 1e-4


def test_unevenly_spaced_frames_and_an_odd_number_of_intervals(potential):
    s = np.linspace(0.0, 1.0, 24) ** 1.5
    frames = [along(crystal(), x) for x in s]
    found = path_energy(frames, calculator=potential.calculator)
    exact = potential.evaluate(frames[-1]).energy - potential.evaluate(frames[0]).energy
    assert found.change == pytest.approx(exact, abs=1e-3)


def test_frames_put_between_until_the_error_is_small(potential):
    frames = [along(crystal(), s) for s in np.linspace(0.0, 1.0, 5)]
    rough = path_energy(frames, calculator=potential.calculator)
    found = path_energy(frames, calculator=potential.calculator, tolerance=2e-4)
    exact = potential.evaluate(frames[-1]).energy - potential.evaluate(frames[0]).energy
    assert rough.error.max() > 2e-4
    assert found.error.max() <= 2e-4
    assert abs(found.change - exact) < 2e-4
    assert len(found.frames) > 5
    with pytest.raises(PathError, match="above the tolerance"):
        path_energy(frames, calculator=potential.calculator, tolerance=1e-9, rounds=1)


def test_frames_from_a_file_wrapped_into_the_cell(potential, tmp_path):
    atoms = crystal()
    atoms.positions += 0.1  # the first atom leaves the cell on its way along −x
    frames = [along(atoms, s, reach=-0.6) for s in np.linspace(0.0, 1.0, 17)]
    whole = path_energy(frames, calculator=potential.calculator)
    for frame in frames:
        frame.wrap()
    assert np.ptp([frame.positions[0, 0] for frame in frames]) > 6.0
    for frame in frames:
        write(tmp_path / "path.extxyz", with_forces([frame], potential.calculator), append=True)
    found = path_energy(read(tmp_path / "path.extxyz", ":"))
    assert np.allclose(found.energy, whole.energy, atol=1e-6)


def test_the_work_on_fixed_atoms_counts(potential):
    """A fixed atom that is moved by hand along a path: its force is what the energy is about."""
    frames = [along(crystal(), s) for s in np.linspace(0.0, 1.0, 9)]
    free = path_energy(frames, calculator=potential.calculator)
    for frame in frames:
        frame.set_constraint(FixAtoms([0]))
    assert np.array_equal(path_energy(frames, calculator=potential.calculator).energy, free.energy)


def circle(radius, count):
    angles = 2.0 * np.pi * np.arange(count) / count
    return [Atoms("H", [radius * np.array([np.cos(a), np.sin(a), 0.2 * np.sin(2 * a)])]) for a in angles]


def test_work_around_a_loop():
    """∮F·dr = 2 c π r² for F = c (−y, x)."""
    for count, error in ((8, 0.02), (16, 1e-3), (32, 1e-4)):
        found = loop_work(circle(0.7, count), calculator=Turning())
        assert found.work == pytest.approx(2.0 * CURL * np.pi * 0.49, rel=error)
        assert abs(found.work - 2.0 * CURL * np.pi * 0.49) <= found.error
        assert not found.conservative
    backwards = loop_work(circle(0.7, 32)[::-1], calculator=Turning())
    assert backwards.work == pytest.approx(-found.work, rel=1e-6)


def loop(atoms, count, radius=0.35):
    """One atom goes around a circle, the neighbours follow with another phase."""
    frames = []
    for angle in 2.0 * np.pi * np.arange(count) / count:
        frame = atoms.copy()
        frame.positions[0] += radius * np.array([np.cos(angle), np.sin(angle), 0.0])
        frame.positions[1:20] += 0.3 * radius * np.array([np.sin(angle), 0.0, np.cos(2.0 * angle)])
        frames.append(frame)
    return frames


def test_the_work_of_force_mixing_around_a_loop(potential):
    """Mixed forces do work in a turn; subtracted energies and plain ML do none."""
    frames = loop(crystal(), 32)
    quantum = load_potential("eam-al")
    region = Region(core=[0], buffer=4.0)
    mixed = loop_work(frames, calculator=ForceMixing(ml=potential, qm=quantum, regions=region))
    subtracted = loop_work(frames, calculator=SubtractiveEmbedding(ml=potential, qm=quantum, regions=region))
    plain = loop_work(frames, calculator=potential.calculator)
    same = loop_work(frames, calculator=ForceMixing(ml=potential, qm=potential, regions=region))
    assert abs(mixed.work) > 0.05
    assert not mixed.conservative
    assert mixed.error < 0.1 * abs(mixed.work)
    # The energy of eam-al has a step at its cutoff, and each pair that crosses it leaves that much behind.
    assert abs(subtracted.work) < 0.1 * abs(mixed.work)
    for found in (plain, same):
        assert abs(found.work) < 1e-5


def test_along_a_run(potential):
    """Simpson's rule along the steps of a run gives back the potential energy, of fourth order in the step."""
    errors = []
    for step in (4.0, 2.0):
        atoms = crystal()
        atoms.calc = potential.calculator
        thermalize_momenta(atoms, temperature_K=600.0, rng=np.random.default_rng(3))
        observer, energies = PathEnergyObserver(atoms), []
        assert observer.energy == 0.0
        dynamics = VelocityVerlet(atoms, step * units.fs)
        dynamics.attach(observer)
        dynamics.attach(lambda a=atoms, e=energies: e.append(a.get_potential_energy()))
        dynamics.run(round(400 / step))
        change = np.array(energies) - energies[0]
        assert len(observer.energies) == len(change)
        deviation = np.abs(observer.energies - change)
        assert deviation.max() < 2e-3 * np.ptp(change)
        assert observer.energy == pytest.approx(change[-1], abs=observer.error + 1e-4)
        errors.append(deviation[::2].max())
    assert errors[0] / errors[1] > 6.0


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (lambda: circle(1.0, 8)[:2], "at least 3"),
        (lambda: circle(1.0, 8), "no forces"),
        (lambda: [*with_forces(circle(1.0, 4), Turning()), Atoms("O")], "other atoms"),
        (lambda: [circle(1.0, 4)[0]] * 3, "no forces"),
    ],
)
def test_frames_that_make_no_path(frames, words):
    with pytest.raises(PathError, match=words):
        path_energy(frames())


def test_other_refusals():
    with pytest.raises(PathError, match="are the same"):
        path_energy([circle(1.0, 4)[0]] * 3, calculator=Turning())
    with pytest.raises(PathError, match="at least 6"):
        loop_work(circle(1.0, 4), calculator=Turning())
    frames = circle(1.0, 6)
    for frame in frames:
        frame.calc = Turning()
    with pytest.raises(PathError, match="needs a calculator"):
        path_energy(frames, tolerance=1e-9)
    around = [Atoms("H", [[x, 0.0, 0.0]], cell=[4.0] * 3, pbc=True) for x in np.arange(8) * 0.5]
    with pytest.raises(PathError, match="around the periodic cell"):
        loop_work(around, calculator=Turning())
