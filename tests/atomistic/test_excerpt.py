"""Pieces cut out of a large structure: what they hold, what counts, and how wrong the forces in their middle are."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.lattice.cubic import FaceCenteredCubic

from atomistic.caps import Links
from atomistic.data_set import DataSet
from atomistic.errors import AtomisticError, CapError, ExcerptError
from atomistic.oracle import Excerpt, is_cut, label
from atomistic.potentials import load_potential


@pytest.fixture(scope="module")
def aluminium():
    return load_potential("eam-al")


@pytest.fixture(scope="module")
def crystal(aluminium):
    """A strained, rattled crystal of 2,048 atoms and the forces on them."""
    atoms = bulk("Al", a=4.05, cubic=True).repeat(8)
    atoms.set_cell(atoms.cell.array * [1.02, 0.99, 1.0], scale_atoms=True)
    atoms.rattle(0.08, seed=3)
    return atoms, aluminium.evaluate(atoms).forces


@pytest.fixture(scope="module")
def cracked(aluminium):
    """A plane body, one period thick, with a slit; the forces, and the atom at the slit's end."""
    atoms = FaceCenteredCubic(
        "Al", directions=[[1, -1, 0], [1, 1, 1], [-1, -1, 2]], latticeconstant=4.05, size=(16, 8, 1)
    )
    atoms.rattle(0.03, seed=1)
    height = atoms.positions[:, 1].mean()
    atoms = atoms[~((abs(atoms.positions[:, 1] - height) < 2.5) & (atoms.positions[:, 0] < 22))]
    atoms.center(vacuum=8, axis=(0, 1))
    atoms.pbc = [False, False, True]
    tip = int(np.argmin(np.hypot(atoms.positions[:, 0] - 31.5, atoms.positions[:, 1] - atoms.positions[:, 1].mean())))
    return atoms, aluminium.evaluate(atoms).forces, tip


def facts(frame):
    return frame.provenance["excerpt"]


def errors(potential, frame, atoms, forces, centre, core):
    """Distances (eV/Å) between the forces on the core's atoms in the piece and in the body."""
    indices = np.array(facts(frame)["atoms"])
    inside = indices >= 0
    counted = inside.copy()
    counted[inside] = atoms.get_distances(centre, indices[inside], mic=True) <= core + 1e-6
    found = potential.evaluate(frame.atoms).forces
    return np.linalg.norm(found[counted] - forces[indices[counted]], axis=1)


def measured(potential, options, body, centres):
    """The r.m.s. error (eV/Å) around several atoms, and the mean number of atoms of a piece."""
    atoms, forces = body
    frames = [options.cut(atoms, centre) for centre in centres]
    found = [errors(potential, f, atoms, forces, c, options.core) for f, c in zip(frames, centres, strict=True)]
    return np.sqrt(np.mean(np.concatenate(found) ** 2)), np.mean([len(frame.atoms) for frame in frames])


CENTRES = (100, 999, 1234, 2000)


def test_a_cluster_holds_core_and_buffer_at_their_own_places(crystal, aluminium):
    atoms, _ = crystal
    centre = 1234
    frame = Excerpt(core=3.0, buffer=4.0, vacuum=5.0).cut(atoms, centre)
    indices = np.array(facts(frame)["atoms"])
    away = atoms.get_distances(centre, indices, mic=True)
    assert np.array_equal(frame.counted, away <= 3.0)
    assert len(np.unique(indices)) == len(indices)
    # All atoms within the buffer of a core atom are there, and no others.
    core = indices[frame.counted]
    near = np.min([atoms.get_distances(c, np.arange(len(atoms)), mic=True) for c in core], axis=0) <= 4.0
    assert set(np.flatnonzero(near)) == set(indices)
    own = frame.atoms.get_all_distances()
    assert np.allclose(own, atoms[indices].get_all_distances(mic=True), atol=1e-9)
    assert not frame.atoms.pbc.any()
    gaps = frame.atoms.positions.min(axis=0), frame.atoms.cell.lengths() - frame.atoms.positions.max(axis=0)
    assert np.allclose(gaps, 5.0)
    assert facts(frame) | {"atoms": []} == {
        "kind": "cluster", "cut": True, "caps": 0, "centre": centre, "of": 2048, "atoms": [],
    }  # fmt: skip
    assert frame.atoms.info == {"charge": 0, "spin": len(indices) % 2}, "13 electrons an atom"
    # Moved through the periodic boundary it is the same piece.
    moved = atoms.copy()
    moved.positions += atoms.positions[7] - atoms.positions[centre]
    moved.wrap()
    again = Excerpt(core=3.0, buffer=4.0).cut(moved, centre)
    assert facts(again)["atoms"] == facts(frame)["atoms"]
    assert np.allclose(again.atoms.get_all_distances(), own)


def test_the_error_of_the_core_falls_with_the_buffer(crystal, aluminium):
    """EAM aluminium (6.3 Å, twice that with the densities of neighbours): docs/engines.md has the table."""
    found = [measured(aluminium, Excerpt(core=3.0, buffer=b), crystal, CENTRES)[0] for b in (3.0, 5.0, 7.0, 9.0)]
    assert np.all(np.array(found) < [0.5, 0.2, 4e-3, 4e-5]), found
    assert np.all(np.diff(np.log(found)) < np.log(0.6)), found
    assert found[0] > 0.05, "without a buffer's reach the error is as large as the forces: the measurement sees it"


def test_a_completed_cell_is_better_with_fewer_atoms_and_all_of_it_counts(crystal, aluminium):
    atoms, _ = crystal
    cluster, many = measured(aluminium, Excerpt(core=3.0, buffer=4.0), crystal, CENTRES)
    cell, few = measured(aluminium, Excerpt(core=3.0, buffer=4.0, periodic="complete"), crystal, CENTRES)
    assert few < many
    assert cell < 0.7 * cluster
    frame = Excerpt(core=3.0, buffer=4.0, periodic="complete").cut(atoms, 1234)
    assert frame.counted is None
    assert not is_cut(frame)
    assert frame.atoms.pbc.all()
    assert facts(frame)["kind"] == "cell"
    assert facts(frame)["mismatch"] < 0.5
    assert facts(frame)["vacancies"] == 0
    # Its volume per atom is that of the body, and so, nearly, are energy and stress.
    assert frame.atoms.get_volume() / len(frame.atoms) == pytest.approx(atoms.get_volume() / len(atoms), rel=0.02)
    labelled, whole = label(aluminium, frame, run="md", step=3), aluminium.evaluate(atoms)
    assert labelled.energy / len(frame.atoms) == pytest.approx(whole.energy / len(atoms), abs=0.05)
    assert np.abs(labelled.stress - whole.stress).max() < 0.01
    assert labelled.provenance["run"] == "md"
    assert labelled.provenance["oracle"] == "eam-al"


def test_a_homogeneous_crystal_completes_exactly(aluminium):
    """No error at all where the crystal is homogeneous, whatever its structure; images no closer than asked for."""
    for name, structure, a, few in (
        ("Al", "fcc", 4.05, 27),
        ("W", "bcc", 3.165, 27),
        ("Mg", "hcp", 3.2, 24),
        ("Si", "diamond", 5.43, 26),
    ):
        crystal = bulk(name, structure, a=a)
        body = crystal.repeat(8)
        strain = np.array([[1.02, 0.01, 0.0], [0.0, 0.97, 0.02], [0.01, 0.0, 1.01]])
        body.set_cell(body.cell.array @ strain, scale_atoms=True)
        frame = Excerpt(core=2.0, buffer=4.0, periodic="complete", mismatch=1e-6).cut(body, len(body) // 2)
        cell = frame.atoms
        assert cell.get_volume() / len(cell) == pytest.approx(body.get_volume() / len(body), rel=1e-9)
        steps = np.array(np.meshgrid(*[range(-3, 4)] * 3)).reshape(3, -1).T
        lengths = np.linalg.norm(steps[np.abs(steps).sum(axis=1) > 0] @ cell.cell.array, axis=1)
        assert lengths.min() >= 8.0 - 1e-6
        # As few sites as an enumeration of all superlattices finds.
        assert len(cell) == few
        assert np.linalg.det(cell.cell) > 0.0
        if name == "Al":
            assert np.abs(aluminium.evaluate(cell).forces).max() < 1e-10


def test_a_vacancy_stays_and_what_is_no_crystal_is_refused(crystal, cracked):
    atoms = bulk("Al", cubic=True).repeat(6)
    del atoms[430]
    atoms.rattle(0.05, seed=0)
    frame = Excerpt(core=3.0, buffer=4.0, periodic="complete").cut(atoms, 430)
    assert facts(frame)["vacancies"] == 1

    complete, auto = Excerpt(core=3.0, buffer=3.0, periodic="complete"), Excerpt(core=3.0, buffer=3.0, periodic="auto")
    body, _, tip = cracked
    with pytest.raises(ExcerptError, match=r"7 of 36 sites of the crystal are empty \(a surface, a crack, a void\)"):
        complete.cut(body, tip)
    assert facts(auto.cut(body, tip))["kind"] == "column"
    with_interstitial = bulk("Al", cubic=True).repeat(6)
    with_interstitial.append("Al")
    with_interstitial.positions[-1] = with_interstitial.positions[430] + [2.025, 0.0, 0.0]
    with pytest.raises(ExcerptError, match=r"not homogeneous enough .* one would lie 2.02 Å from where it is"):
        complete.cut(with_interstitial, 430)
    with pytest.raises(ExcerptError, match=r"allowed is 0.01 Å"):
        replace(complete, mismatch=0.01).cut(crystal[0], 5)
    with pytest.raises(ExcerptError, match="Only 3 atoms"):
        complete.cut(molecule("H2O"), 0)
    random = Atoms("Al200", positions=np.random.default_rng(0).uniform(0, 15, (200, 3)), cell=[15] * 3, pbc=True)
    with pytest.raises(ExcerptError, match="Use periodic 'keep'"):
        Excerpt(core=2.0, buffer=4.0, periodic="complete").cut(random, 0)


def test_a_foreign_atom_is_completed_once_and_its_image_never_seen():
    atoms = bulk("Al", a=4.05, cubic=True).repeat(6)
    atoms.numbers[430] = 29
    atoms.set_initial_magnetic_moments(np.where(atoms.numbers == 29, 0.5, 0.0))
    atoms.rattle(0.05, seed=2)
    complete = Excerpt(core=3.0, buffer=4.0, periodic="complete")
    piece = complete.cut(atoms, 430).atoms
    assert piece.get_chemical_formula() == "Al50Cu"
    assert np.array_equal(piece.get_initial_magnetic_moments(), np.where(piece.numbers == 29, 0.5, 0.0))
    beside = int(np.argsort(atoms.get_distances(430, np.arange(len(atoms)), mic=True))[30])
    with pytest.raises(ExcerptError, match="an atom of another element, such as the image of an impurity"):
        complete.cut(atoms, beside)


def test_a_plane_body_keeps_its_period_and_its_energy_does_not_count(cracked, aluminium):
    atoms, forces, tip = cracked
    period = atoms.cell.lengths()[2]
    found = []
    for buffer in (3.0, 5.0, 7.0):
        frame = Excerpt(core=4.0, buffer=buffer).cut(atoms, tip)
        assert facts(frame)["kind"] == "column"
        assert frame.atoms.pbc.all()
        assert frame.atoms.cell.lengths()[2] == pytest.approx(period)
        assert frame.atoms.cell.angles() == pytest.approx([90] * 3)
        # Across the body: all atoms, whatever their height, count up to the core's radius.
        across = np.hypot(*(atoms.positions - atoms.positions[tip])[:, :2].T)
        assert frame.counted.sum() == (across <= 4.0).sum()
        labelled = label(aluminium, frame)
        indices = np.array(facts(frame)["atoms"])
        found.append(np.linalg.norm((labelled.forces - forces[indices])[frame.counted], axis=1).max())
        assert labelled.energy is None
        assert labelled.stress is None
        assert labelled.provenance["piece_energy"] == pytest.approx(aluminium.evaluate(frame.atoms).energy)
    assert np.all(np.array(found) < [0.5, 0.05, 3e-3]), found


def test_what_is_not_cut_counts_as_a_whole(aluminium, tmp_path):
    small = fcc111("Al", (2, 2, 4), vacuum=10)
    small.pbc = True
    frame = Excerpt(core=3.0, buffer=4.5).cut(small, 4)
    assert facts(frame)["kind"] == "whole"
    assert frame.counted is None
    assert np.array_equal(frame.atoms.positions, small.positions)
    assert np.array_equal(frame.atoms.cell, small.cell)
    labelled = label(aluminium, frame, reason="0.4 eV/Å")
    assert labelled.energy == pytest.approx(aluminium.evaluate(small).energy)
    assert labelled.stress is not None
    # A thicker slab is cut below, and only there.
    cut = Excerpt(core=3.0, buffer=3.5).cut(small, 0)
    assert facts(cut)["kind"] == "slab"
    assert is_cut(cut)
    assert len(cut.atoms) == 12
    # Of two molecules far apart one is a whole.
    two = molecule("H2O")
    other = molecule("H2O")
    other.positions += 30.0
    two += other
    alone = Excerpt(core=2.0, buffer=2.0).cut(two, 0)
    assert len(alone.atoms) == 3
    assert alone.counted is None
    assert not is_cut(alone)
    # What was labelled goes into a data set and comes back with its origin.
    DataSet(tmp_path).add([labelled, label(aluminium, cut)])
    back = DataSet(tmp_path).frames()
    assert [is_cut(f) for f in back] == [False, True]
    assert back[0].provenance["reason"] == "0.4 eV/Å"
    assert back[1].energy is None
    assert json.dumps(dict(back[1].provenance))


def test_caps_close_covalent_bonds_across_periods_too():
    atoms = bulk("Si", a=5.43, cubic=True).repeat(4)
    frame = Excerpt(core=2.5, buffer=3.0, passivate=Links()).cut(atoms, 200)
    assert frame.counted.sum() == 5
    assert not frame.counted[frame.atoms.numbers == 1].any()
    silicon = np.flatnonzero(frame.atoms.numbers == 14)
    assert facts(frame)["caps"] == (frame.atoms.numbers == 1).sum() == facts(frame)["atoms"].count(-1)
    bonds = frame.atoms.get_all_distances()
    assert np.all(((bonds[silicon] < 2.6) & (bonds[silicon] > 0.0)).sum(axis=1) == 4), "every atom has its four bonds"
    assert bonds[silicon][:, frame.atoms.numbers == 1].min() == pytest.approx(2.351 * 1.42 / 2.22, abs=0.01)
    # A plane body: one period along z, whose bonds across the boundary are not cut.
    plane = bulk("Si", a=5.43, cubic=True).repeat((6, 6, 1))
    plane.center(vacuum=10.0, axis=(0, 1))
    plane.pbc = [False, False, True]
    middle = int(np.argmin(np.linalg.norm(plane.positions - plane.cell.array.sum(axis=0) / 2, axis=1)))
    column = Excerpt(core=2.5, buffer=3.0, passivate=Links()).cut(plane, middle)
    silicon = np.flatnonzero(column.atoms.numbers == 14)
    bonds = column.atoms.get_all_distances(mic=True)
    assert np.all(((bonds[silicon] < 2.6) & (bonds[silicon] > 0.0)).sum(axis=1) == 4)
    assert column.atoms.cell.lengths()[2] == pytest.approx(5.43)
    with pytest.raises(CapError, match="caps close covalent bonds only"):
        Excerpt(core=2.5, buffer=3.0, passivate=Links()).cut(bulk("Al", cubic=True).repeat(5), 0)


@pytest.mark.slow
def test_forces_of_silicon_in_capped_and_completed_pieces():
    """SevenNet-0, 512 atoms: docs/engines.md has the table. Caps help less than a cell without surfaces does."""
    potential = load_potential("sevennet-0")
    atoms = bulk("Si", a=5.46, cubic=True).repeat(4)
    atoms.rattle(0.06, seed=3)
    body = atoms, potential.evaluate(atoms).forces
    found = {
        name: [measured(potential, Excerpt(core=2.6, buffer=b, **options), body, (300,)) for b in (4.0, 6.0)]
        for name, options in (("open", {}), ("capped", {"passivate": Links()}), ("cell", {"periodic": "complete"}))
    }
    error = {name: [rms for rms, _ in pair] for name, pair in found.items()}
    assert error["capped"][0] < 0.8 * error["open"][0]
    assert error["capped"][1] < 0.8 * error["open"][1]
    assert error["capped"][1] < 0.7 * error["capped"][0]
    assert error["cell"][0] < 0.3 * error["capped"][0]
    assert found["cell"][0][1] < found["open"][0][1]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"core": -1.0}, "The core of an excerpt must be a length in Å"),
        ({"buffer": float("nan")}, "The buffer of an excerpt"),
        ({"vacuum": "5"}, "The vacuum of an excerpt"),
        ({"periodic": "compete"}, "Did you mean 'complete'"),
        ({"passivate": "H"}, r"passivate is Links\(...\) for caps, or None"),
    ],
)
def test_settings_that_make_no_sense(given, told):
    with pytest.raises(AtomisticError, match=told):
        Excerpt(**given)


def test_centres_and_places_that_make_no_sense():
    atoms = bulk("Al", cubic=True)
    for centre in (4, -1, 1.5, True):
        with pytest.raises(ExcerptError, match="an atom, 0 to 3; got"):
            Excerpt().cut(atoms, centre)
    atoms.positions[1, 2] = np.nan
    with pytest.raises(ExcerptError, match="not finite"):
        Excerpt().cut(atoms, 0)
