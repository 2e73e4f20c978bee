"""Both schemes against what must hold: identity, additivity, derivatives, balance, the account."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.mixing import SumCalculator
from ase.calculators.morse import MorsePotential
from ase.optimize import FIRE

from atomistic.potentials import Capabilities, Potential, as_potential, load_potential
from coupling.embedding import ForceMixing, Links, Near, Region, Species, SubCell, SubtractiveEmbedding
from coupling.errors import CapError, EmbeddingError
from tests.mpi import run_mpi


@pytest.fixture(scope="module")
def pair():
    """Two embedded-atom potentials of aluminium, in double precision: the second stands for the quantum engine."""
    return load_potential("eam-al"), load_potential("eam-al-zhou")


@pytest.fixture(scope="module")
def crystal():
    atoms = bulk("Al", cubic=True, a=4.05) * (4, 4, 4)
    atoms.rattle(0.05, seed=1)
    return atoms


def chain(count=8):
    """A bent chain of carbon with hydrogens: covalent bonds to cut."""
    rng = np.random.default_rng(3)
    carbon = np.stack([1.3 * np.arange(count), 0.75 * (np.arange(count) % 2), np.zeros(count)], axis=1)
    up, down = carbon + np.array([0.0, 0.3, 1.05]), carbon + np.array([0.0, 0.3, -1.05])
    places = np.concatenate([carbon, up, down]) + rng.normal(0.0, 0.02, (3 * count, 3))
    return Atoms(["C"] * count + ["H"] * (2 * count), positions=places)


def difference(atoms, atom, axis, step=1e-4):
    """−dE/dr by central differences, with the calculator of `atoms`."""
    energies = []
    for sign in (1.0, -1.0):
        moved = atoms.copy()
        moved.positions[atom, axis] += sign * step
        moved.calc = atoms.calc
        energies.append(moved.get_potential_energy())
    return -(energies[0] - energies[1]) / (2.0 * step)


def strained(atoms, axes, strain):
    deformation = np.eye(3)
    deformation[axes] += 0.5 * strain
    deformation[axes[::-1]] += 0.5 * strain
    moved = atoms.copy()
    moved.set_cell(moved.cell.array @ deformation, scale_atoms=True)
    moved.calc = atoms.calc
    return moved


REGIONS = {
    "cluster": Region(core=[70, 71], buffer=5.0),
    "sub-cell": Region(core=[70], cell=SubCell([8.1, 8.1, 8.1])),
    "slice": Region(core=[70], cell=SubCell([8.1, 8.1, 9.0], periodic=(True, True, False))),
}


@pytest.mark.parametrize("kind", REGIONS)
def test_the_same_engine_twice_is_plain_ml(pair, crystal, kind):
    ml, _ = pair
    plain = ml.evaluate(crystal)
    atoms = crystal.copy()
    atoms.calc = SubtractiveEmbedding(ml=ml, qm=load_potential("eam-al"), regions=REGIONS[kind])
    assert atoms.get_potential_energy() == pytest.approx(plain.energy, abs=1e-10)
    np.testing.assert_allclose(atoms.get_forces(), plain.forces, rtol=0, atol=1e-12)
    np.testing.assert_allclose(atoms.get_stress(voigt=False), plain.stress, rtol=0, atol=1e-14)
    atoms.calc = ForceMixing(ml=ml, qm=load_potential("eam-al"), regions=REGIONS[kind])
    np.testing.assert_allclose(atoms.get_forces(), plain.forces, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", REGIONS)
def test_forces_are_minus_the_gradient(pair, crystal, kind):
    ml, qm = pair
    atoms = crystal.copy()
    atoms.calc = scheme = SubtractiveEmbedding(ml=ml, qm=qm, regions=REGIONS[kind])
    forces = atoms.get_forces()
    assert np.abs(forces.sum(axis=0)).max() < 1e-10
    outermost = int(scheme.clusters[0].indices[-1])
    for atom in (70, outermost, 3):
        found = [difference(atoms, atom, axis) for axis in range(3)]
        np.testing.assert_allclose(forces[atom], found, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", REGIONS)
def test_stress_is_the_derivative_by_strain(pair, crystal, kind):
    ml, qm = pair
    atoms = crystal.copy()
    atoms.calc = SubtractiveEmbedding(ml=ml, qm=qm, regions=REGIONS[kind])
    stress, volume = atoms.get_stress(voigt=False), atoms.get_volume()
    plain = ml.evaluate(crystal).stress
    assert np.abs(stress - plain).max() > 1e-4  # the correction is there to be tested
    for axes in ((0, 0), (2, 2), (1, 2)):
        up, down = (strained(atoms, axes, sign * 1e-5).get_potential_energy() for sign in (1.0, -1.0))
        assert stress[axes] == pytest.approx((up - down) / (2e-5 * volume), rel=1e-5, abs=1e-8)


def test_systems_far_apart_add_up(pair):
    ml, qm = pair
    first, second = bulk("Al", cubic=True) * (2, 2, 2), bulk("Al", cubic=True) * (2, 2, 1)
    for part in (first, second):
        part.pbc = False
        part.rattle(0.1, seed=5)
    second.positions += [30.0, 0.0, 0.0]
    both = first + second
    both.set_cell([60.0, 30.0, 30.0])
    both.calc = SubtractiveEmbedding(ml=ml, qm=qm, regions=Region(core=list(range(len(first))), buffer=3.0))
    alone = [engine.evaluate(boxed(part)) for engine, part in ((qm, first), (ml, second))]
    assert both.get_potential_energy() == pytest.approx(sum(part.energy for part in alone), abs=1e-9)
    np.testing.assert_allclose(both.get_forces(), np.concatenate([part.forces for part in alone]), atol=1e-10)


def boxed(atoms):
    found = atoms.copy()
    found.set_cell([40.0] * 3)
    found.center()
    return found


def test_caps_pass_their_forces_on(pair):
    atoms = chain()
    atoms.calc = scheme = SubtractiveEmbedding(
        ml=LennardJones(epsilon=0.4, sigma=1.2, rc=4.0, smooth=True),
        qm=MorsePotential(epsilon=1.5, r0=1.3, rho0=4.0, rcut1=3.0, rcut2=4.0),
        regions=Region(core=[0, 1], buffer=0.0, links=Links()),
    )
    forces = atoms.get_forces()
    cluster = scheme.clusters[0]
    assert cluster.symbols == ("C", "C", "H", "H", "H", "H", "H")  # its four hydrogens joined, one bond was cut
    assert list(cluster.caps.outer) == [2]
    assert np.abs(forces.sum(axis=0)).max() < 1e-12
    for atom in (0, 1, 2, 9):
        found = [difference(atoms, atom, axis, 1e-5) for axis in range(3)]
        np.testing.assert_allclose(forces[atom], found, rtol=1e-5, atol=1e-7)
    places, _ = cluster.places(atoms)
    bond = places[-1] - places[1]
    outer = atoms.positions[2] - atoms.positions[1]
    np.testing.assert_allclose(np.cross(bond, outer), 0.0, atol=1e-12)
    assert np.linalg.norm(bond) / np.linalg.norm(outer) == pytest.approx((0.76 + 0.31) / (2 * 0.76))


def test_a_hydrogen_is_never_cut_off_and_bridges_join():
    """Atom 1 between atoms 0 and 2 would get two caps: it joins instead, with its hydrogens."""
    atoms = chain(5)
    region = Region(core=[0, 2], buffer=0.0, links=Links())
    scheme = SubtractiveEmbedding(ml=EMT(), qm=EMT(), regions=region)
    scheme.reselect(atoms)
    assert sorted(scheme.clusters[0].indices) == [0, 1, 2, 5, 6, 7, 10, 11, 12]
    assert list(scheme.clusters[0].caps.outer) == [3]


def test_wrapping_and_translation_change_nothing(pair, crystal):
    ml, qm = pair
    atoms = crystal.copy()
    atoms.calc = SubtractiveEmbedding(ml=ml, qm=qm, regions=REGIONS["cluster"])
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    atoms.positions += [5.3, -9.1, 21.7]
    atoms.wrap()
    assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-9)
    np.testing.assert_allclose(atoms.get_forces(), forces, atol=1e-11)


def test_mixing_fades_from_quantum_to_ml_and_leaves_no_net_force(pair, crystal):
    ml, qm = pair
    atoms = crystal.copy()
    atoms.calc = scheme = ForceMixing(ml=ml, qm=qm, regions=Region(core=[70], blend=2.0, buffer=3.0))
    mixed, plain = atoms.get_forces(), ml.evaluate(crystal).forces
    cluster = scheme.clusters[0]
    structure = cluster.structure(atoms)
    change = qm.evaluate(structure).forces - ml.evaluate(structure).forces
    weighted = cluster.weights[:, None] * change
    expected = plain.copy()
    expected[cluster.indices] += weighted - weighted.sum(axis=0) / len(cluster)
    np.testing.assert_allclose(mixed, expected, atol=1e-12)
    assert np.abs(mixed.sum(axis=0)).max() < 1e-12
    outside = np.setdiff1d(np.arange(len(atoms)), cluster.indices)
    np.testing.assert_array_equal(mixed[outside], plain[outside])
    assert cluster.weights[cluster.core].tolist() == [1.0]
    assert cluster.weights.min() == 0.0


def core_errors(ml, qm, crystal, buffers):
    """Errors of the core's force for each buffer, (buffers, 2): the difference mixed, and plain substitution."""
    full, found = qm.evaluate(crystal).forces[70], []
    for buffer in buffers:
        scheme = ForceMixing(ml=ml, qm=qm, regions=Region(core=[70], buffer=buffer))
        parts = scheme.evaluate_parts(crystal)
        mixed, substituted = scheme.mixed(parts, len(crystal))[70], parts.quantum[0].forces[0]
        found.append((np.linalg.norm(mixed - full), np.linalg.norm(substituted - full)))
    return np.array(found)


def test_the_error_of_the_core_falls_with_the_buffer(crystal):
    found = core_errors(load_potential("emt"), load_potential("eam-al"), crystal, (3.0, 4.5, 6.0))[:, 0]
    assert found[1] < found[0]
    assert found[2] < 0.05 * found[0]


def test_what_the_surface_does_alike_to_both_cancels(crystal):
    """An engine that is the ML potential and a weak pair interaction: only the weak part feels the cut."""
    ml = load_potential("eam-al")
    weak = LennardJones(epsilon=0.002, sigma=2.5, rc=6.0, smooth=True)
    qm = as_potential(SumCalculator([load_potential("eam-al").calculator, weak]))
    ours, theirs = core_errors(ml, qm, crystal, (3.0, 4.5)).T
    assert np.all(ours < 0.05 * theirs)


def test_the_account_names_every_term_and_adds_up(pair, crystal):
    ml, qm = pair
    atoms = crystal.copy()
    atoms.calc = scheme = SubtractiveEmbedding(ml=ml, qm=qm, regions=REGIONS["cluster"])
    account = scheme.account(atoms)
    assert sum(weight * energy for _, _, weight, energy in account.rows()) == pytest.approx(
        atoms.get_potential_energy(), abs=1e-9
    )
    assert [row[0] for row in account.rows()][:3] == ["E_ML(all)", "E_QM(C)", "E_ML(C)"]
    assert len(account.terms()) == len(account.rows())
    region = account.regions[0]
    # Σ outside ε(all) + E_QM(C) + R is the same total, by the site energies.
    sites = ml.evaluate_weighted(crystal).site_energies
    outside = np.setdiff1d(np.arange(len(atoms)), scheme.clusters[0].indices)
    assert sites[outside].sum() + region.quantum + region.remainder.total == pytest.approx(account.total, abs=1e-8)


def test_the_core_cancels_where_the_buffer_is_as_wide_as_the_potential_reaches(pair, crystal):
    ml, qm = pair
    reach = ml.capabilities.cutoff
    rest = {}
    for buffer in (3.0, reach + 0.1):
        scheme = SubtractiveEmbedding(ml=ml, qm=qm, regions=Region(core=[70], buffer=buffer))
        rest[buffer] = scheme.account(crystal).regions[0].remainder
    wide, narrow = rest[reach + 0.1], rest[3.0]
    assert abs(wide.core) < 1e-10
    assert abs(narrow.core) > 1e-2
    assert abs(wide.buffer) > 1.0


def test_two_regions_count_once_each(pair, crystal):
    ml, qm = pair
    regions = [Region(core=[70], buffer=3.0, name="left"), Region(core=[200], buffer=3.0, name="right")]
    both = SubtractiveEmbedding(ml=ml, qm=qm, regions=regions).account(crystal).total
    single = [SubtractiveEmbedding(ml=ml, qm=qm, regions=region).account(crystal).total for region in regions]
    assert both - ml.evaluate(crystal).energy == pytest.approx(sum(single) - 2 * ml.evaluate(crystal).energy, abs=1e-8)
    with pytest.raises(EmbeddingError, match=r"Atom 70 \(Al\) is core of the regions 'left' and 'right'"):
        SubtractiveEmbedding(
            ml=ml, qm=qm, regions=[regions[0], Region(core=[70, 71], buffer=3.0, name="right")]
        ).reselect(crystal)


def electronic(name="quantum"):
    """An engine that says it has electrons."""
    return Potential(
        calculator=EMT(), capabilities=Capabilities(name=name, elements=None, electronic=True), comm=EMT_COMM
    )


EMT_COMM = load_potential("emt").comm


def test_odd_electrons_without_spin_are_refused():
    atoms = chain(4)
    region = Region(core=[0], buffer=0.0, links=Links())  # CH2 and one cap: 9 electrons
    with pytest.raises(EmbeddingError, match=r"has 9 electrons, which cannot leave 0 unpaired. Give spin = 1"):
        SubtractiveEmbedding(ml=EMT(), qm=electronic(), regions=region).reselect(atoms)
    for spin, charge in ((1, 0), (0, 1)):
        region = Region(core=[0], buffer=0.0, links=Links(), spin=spin, charge=charge)
        scheme = SubtractiveEmbedding(ml=EMT(), qm=electronic(), regions=region)
        scheme.reselect(atoms)
        structure = scheme.clusters[0].structure(atoms)
        assert (structure.info["charge"], structure.info["spin"]) == (charge, spin)
        assert structure.get_initial_magnetic_moments().sum() == pytest.approx(spin)
        assert structure.get_initial_charges().sum() == pytest.approx(charge)
    SubtractiveEmbedding(ml=EMT(), qm=EMT(), regions=Region(core=[0], buffer=0.0, links=Links())).reselect(atoms)


def test_a_cap_on_a_metal_is_refused(crystal):
    with pytest.raises(CapError, match=r"one of \d+ cut bonds with a metal: caps close covalent bonds only"):
        SubtractiveEmbedding(ml=EMT(), qm=EMT(), regions=Region(core=[70], buffer=3.0, links=Links())).reselect(crystal)


@pytest.mark.parametrize("core", [range(40, 60), Near((8.0, 8.0, 8.0), 5.0), Species("Al")])
def test_the_core_is_in_c_whatever_the_buffer(pair, crystal, core):
    """Rounding must not put a core atom beside its own place."""
    part = crystal[:60] if isinstance(core, Species) else crystal
    part = part.copy()
    part.pbc = not isinstance(core, Species)
    scheme = SubtractiveEmbedding(ml=pair[0], qm=pair[1], regions=Region(core=core, buffer=0.0))
    (change,) = scheme.reselect(part)
    assert change.core == change.cluster == len(scheme.clusters[0]) >= 20
    assert scheme.clusters[0].core.all()


@pytest.mark.parametrize("scheme", [SubtractiveEmbedding, ForceMixing])
def test_atoms_that_are_nowhere_are_noticed_outside_c_too(pair, crystal, scheme):
    atoms = crystal.copy()
    atoms.calc = calculator = scheme(ml=pair[0], qm=pair[1], regions=Region(core=[70], buffer=3.0))
    atoms.get_forces()
    far = int(np.setdiff1d(np.arange(len(atoms)), calculator.clusters[0].indices)[0])
    atoms.positions[far, 1] = np.nan
    with pytest.raises(EmbeddingError, match=rf"Atom {far} \(Al\) has no finite place"):
        atoms.get_forces()


def test_images_of_one_path_share_the_c_of_their_reference(pair, crystal):
    ml, qm = pair
    moved = crystal.copy()
    moved.positions += [1.9, 0.4, 0.0]  # other atoms come near the point
    region = Region(core=Near((8.1, 8.1, 8.1), 3.0), buffer=3.0)

    def calculator(reference):
        return SubtractiveEmbedding(ml=ml, qm=qm, regions=region, reference=reference)

    first, second, own = calculator(crystal), calculator(crystal), calculator(None)
    before = first.get_potential_energy(crystal)
    energy = second.get_potential_energy(moved)
    assert set(second.clusters[0].indices) == set(first.clusters[0].indices)
    assert energy == pytest.approx(before, abs=1e-9)
    own.reselect(moved)
    assert set(own.clusters[0].indices) != set(first.clusters[0].indices)
    with pytest.raises(EmbeddingError, match="expected the same atoms"):
        calculator(crystal[:10]).get_potential_energy(moved)


def test_mixed_forces_relax_and_say_that_they_have_no_energy(pair, crystal):
    atoms = crystal.copy()
    atoms.calc = ForceMixing(ml=pair[0], qm=pair[1], regions=Region(core=[70], buffer=3.0))
    assert FIRE(atoms, logfile=None).run(fmax=0.05, steps=300)
    assert np.linalg.norm(atoms.get_forces(), axis=1).max() < 0.05
    assert np.isnan(atoms.get_potential_energy())
    with pytest.raises(PropertyNotImplementedError, match="take SubtractiveEmbedding"):
        atoms.get_stress()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"core": []}, "is empty"),
        ({"core": [256]}, "names atom 256; there are atoms 0 to 255"),
        ({"core": [3, 3]}, "names an atom twice"),
        ({"core": [0.5]}, "a list of indices"),
        ({"core": [70], "buffer": 9.0}, "reach round the periodic cell"),
        ({"core": [70], "cell": SubCell([7.0, 7.0, 7.0])}, "does not repeat what is around it"),
        ({"core": [70], "cell": SubCell([9.0, 8.1, 8.1])}, "does not repeat what is around it"),
        ({"core": [70], "cell": SubCell([24.3, 24.3, 24.3])}, "twice, in two images"),
        ({"core": [0, 70], "cell": SubCell([4.05, 4.05, 4.05])}, "does not fit into its periodic sub-cell"),
    ],
)
def test_regions_that_cannot_be(pair, crystal, options, message):
    ml, qm = pair
    with pytest.raises(EmbeddingError, match=message):
        SubtractiveEmbedding(ml=ml, qm=qm, regions=Region(**options)).reselect(crystal)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"buffer": -1.0}, "buffer"),
        ({"buffer": float("nan")}, "buffer"),
        ({"buffer": "6 angstrom"}, "buffer"),
        ({"buffer": True}, "buffer"),
        ({"links": True}, "links is Links"),
        ({"cell": [8.1, 8.1, 8.1]}, "cell is a SubCell"),
        ({"spin": -1}, "unpaired"),
        ({"spin": 0.5}, "unpaired"),
        ({"charge": 0.5}, "whole number"),
        ({"links": Links(), "cell": SubCell([4.0, 4.0, 4.0])}, "leave links out"),
    ],
)
def test_descriptions_that_mean_nothing(options, message):
    with pytest.raises(EmbeddingError, match=message):
        Region(core=[0], **options)


def test_a_blend_belongs_to_force_mixing(pair):
    with pytest.raises(EmbeddingError, match="take ForceMixing"):
        SubtractiveEmbedding(ml=pair[0], qm=pair[1], regions=Region(core=[0], blend=1.0))


SIDE_BY_SIDE = """
    import json
    import numpy as np
    from ase.build import bulk
    from mpi4py import MPI
    from atomistic.potentials import load_potential
    from coupling.embedding import ForceMixing, Region, SubtractiveEmbedding

    comm = MPI.COMM_WORLD
    atoms = bulk("Al", cubic=True, a=4.05) * (4, 4, 4)
    atoms.rattle(0.05, seed=1)
    ml, qm = load_potential("eam-al"), load_potential("eam-al-zhou")
    scheme = SubtractiveEmbedding(ml=ml, qm=qm, regions=Region(core=[70], buffer=5.0), comm=comm)
    atoms.calc = scheme
    energies = []
    for _ in range(3):
        energies.append(atoms.get_potential_energy())
        atoms.positions[70] += 0.05 + 1e-9 * comm.rank  # the first rank's places count
    calls = comm.gather((ml.counter.calls, qm.counter.calls))
    if comm.rank == 0:
        print(json.dumps({"energies": energies, "calls": calls}))
"""


def test_evaluations_run_side_by_side_with_the_same_bits():
    alone, two, three = (json.loads(run_mpi(ranks, SIDE_BY_SIDE).stdout) for ranks in (1, 2, 3))
    # A list of neighbours kept from the step before sums in another order than a new one.
    np.testing.assert_allclose(two["energies"], alone["energies"], rtol=1e-14)
    np.testing.assert_allclose(three["energies"], alone["energies"], rtol=1e-14)
    assert alone["calls"] == [[6, 3]]
    assert np.sum(two["calls"], axis=0).tolist() == [6, 3]
    assert max(sum(calls) for calls in two["calls"]) <= 6
    assert [sum(calls) for calls in three["calls"]] == [3, 3, 3]


def test_one_rank_failing_ends_all():
    script = SIDE_BY_SIDE.replace('load_potential("eam-al-zhou")', 'load_potential("eam-cu")')
    done = run_mpi(2, script, check=False)
    assert done.returncode != 0
    assert "has no parameters for Al" in done.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("region = Region(core=[70] if comm.rank == 0 else [9999], buffer=5.0)", None),
        ("atoms.positions[3] += 0.1 * comm.rank", "Rank 1 evaluates atoms at other places than rank 0"),
        ("atoms.positions[3] += np.nan if comm.rank else 0.0", "Rank 1 evaluates atoms at other places than rank 0"),
        ("region = Region(core=[9999] if comm.rank == 0 else [70], buffer=5.0)", "names atom 9999"),
    ],
)
def test_ranks_that_disagree_end_together(change, said):
    script = SIDE_BY_SIDE.replace(
        "    scheme =", f"    region = Region(core=[70], buffer=5.0)\n    {change}\n    scheme ="
    )
    script = script.replace("regions=Region(core=[70], buffer=5.0)", "regions=region")
    done = run_mpi(2, script, check=False, timeout=60)
    if said is None:
        # The first rank chooses.
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode != 0
        assert said in done.stderr
