"""Committees: exact disagreement and its bounds, heads on a backbone, training in closed form."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from atomistic.committee import (
    Committee,
    HeadFeatures,
    HeadOptions,
    committee_of,
    committee_potential,
    disagreement,
    disagreement_bounds,
    exceeds,
    force_spread,
    train_heads,
    training_record,
)
from atomistic.committee.features import chosen_directions
from atomistic.committee.random_features import make_feature_map
from atomistic.committee.ridge import Rows, fit_ridge, refit
from atomistic.errors import CommitteeError, ModelFileError, UnknownElementError, UnknownPotentialError
from atomistic.labelled import LabelledFrame
from atomistic.potentials import load_potential
from tests.mpi import run_mpi


def forces(rng, members, atoms=7):
    return rng.standard_normal((members, atoms, 3)) * rng.uniform(0.01, 1.0, (1, atoms, 1))


@pytest.mark.parametrize("members", [2, 3, 4, 7])
def test_disagreement_is_the_largest_pair_and_within_its_bounds(members):
    f = forces(np.random.default_rng(members), members)
    found = disagreement(f)
    pairs = np.linalg.norm(f[:, None] - f[None], axis=-1)  # (K, K, n), all of them
    np.testing.assert_allclose(found.per_atom, pairs.max(axis=(0, 1)), rtol=1e-14)
    k, m = found.pair
    assert found.largest == pytest.approx(pairs[k, m, found.atom], rel=1e-14) == pairs.max()
    lower, upper = disagreement_bounds(force_spread(f), members)
    assert np.all(lower <= found.per_atom * (1 + 1e-12))
    assert np.all(found.per_atom <= upper * (1 + 1e-12))


def test_the_bounds_are_attained():
    # One pair alone apart touches the upper bound; two equal camps far apart touch neither but K = 2 touches both.
    apart = np.zeros((5, 1, 3))
    apart[0, 0, 0], apart[1, 0, 0] = 1.0, -1.0
    assert disagreement(apart).largest == pytest.approx(disagreement_bounds(force_spread(apart), 5)[1][0], rel=1e-14)
    two = apart[:2]
    lower, upper = disagreement_bounds(force_spread(two), 2)
    assert lower[0] == pytest.approx(2.0, rel=1e-14) == upper[0]
    # Corners of a regular triangle: all pairs equal, the lower bound.
    triangle = np.array([[[np.cos(t), np.sin(t), 0.0]] for t in 2 * np.pi * np.arange(3) / 3])
    assert disagreement(triangle).largest == pytest.approx(
        disagreement_bounds(force_spread(triangle), 3)[0][0], rel=1e-12
    )


def test_the_cheap_test_never_differs_from_the_exact_one():
    rng = np.random.default_rng(0)
    spared = 0
    for _ in range(300):
        f = forces(rng, 4)
        threshold = rng.uniform(0.2, 4.0)
        mask = rng.random(7) < 0.5
        mask[0] = True
        above, compared = exceeds(f, threshold, judged=mask)
        assert above == (disagreement(f, judged=mask).largest > threshold)
        spared += not compared
    assert spared > 150  # and mostly does without comparing pairs


def test_forces_that_make_no_committee_are_refused():
    with pytest.raises(CommitteeError, match="at least two members"):
        disagreement(np.zeros((1, 3, 3)))
    bad = np.zeros((2, 3, 3))
    bad[1, 2, 0] = np.nan
    with pytest.raises(CommitteeError, match="Member 1 gives a force on atom 2"):
        disagreement(bad)
    with pytest.raises(CommitteeError, match="mask of 3"):
        disagreement(np.zeros((2, 3, 3)), judged=np.zeros(3, dtype=bool))


def rattled(element="Al", seed=0, **options):
    atoms = bulk(element, cubic=True, **options)
    atoms.rattle(0.1, seed=seed)
    return atoms


def test_any_calculators_make_a_committee():
    atoms = rattled()
    emt, eam = EMT(), load_potential("eam-al")
    committee = Committee([emt, eam])
    atoms.calc = committee
    one, two = load_potential("emt").evaluate(atoms), load_potential("eam-al").evaluate(atoms)
    assert atoms.get_potential_energy() == pytest.approx(0.5 * (one.energy + two.energy), rel=1e-12)
    np.testing.assert_allclose(atoms.get_forces(), 0.5 * (one.forces + two.forces), atol=1e-12)
    np.testing.assert_allclose(
        committee.disagreement(atoms).per_atom, np.linalg.norm(one.forces - two.forces, axis=1), atol=1e-12
    )
    committee.calculate(atoms, ["energy_std", "forces_std"])
    assert committee.results["energy_std"] == pytest.approx(abs(one.energy - two.energy) / np.sqrt(2.0), rel=1e-12)
    np.testing.assert_allclose(np.sqrt(2) * committee.results["forces_std"], committee.disagreement(atoms).per_atom)
    np.testing.assert_allclose(committee.member(1).evaluate(atoms).forces, two.forces)


def test_members_that_do_not_vote_doubt_only():
    atoms = rattled()
    potential = load_potential({"committee": ["eam-al", "emt"], "voting": [0]})
    alone = load_potential("eam-al").evaluate(atoms)
    assert potential.evaluate(atoms).energy == pytest.approx(alone.energy, rel=1e-12)
    committee = committee_of(potential)
    silent = committee.sources[1].potential.counter
    assert silent.calls == 0  # not evaluated until doubt is asked for
    assert committee.disagreement(atoms).largest > 0.01
    assert silent.calls == 1
    assert potential.capabilities.members == 2
    assert potential.capabilities.elements == {"Al"}


def test_committees_of_potentials_have_sites_where_all_have():
    atoms = rattled()
    both = load_potential({"committee": ["eam-al", "eam-al-zhou"]})
    weights = np.linspace(0.0, 1.0, len(atoms))
    parts = [load_potential(name).evaluate_weighted(atoms, weights) for name in ("eam-al", "eam-al-zhou")]
    found = both.evaluate_weighted(atoms, weights)
    np.testing.assert_allclose(found.gradient, np.mean([p.gradient for p in parts], axis=0), atol=1e-13)
    assert not load_potential({"committee": ["eam-al", "emt"]}).capabilities.weighted_site_energies


def test_members_that_could_share_an_evaluation_do_not_wait_for_each_other():
    run_mpi(
        2,
        """
        from ase.build import bulk
        from mpi4py import MPI
        from atomistic.potentials import load_potential

        atoms = bulk("Si", cubic=True)
        atoms.rattle(0.1, seed=0)
        potential = load_potential({"committee": ["sw-si", "tersoff-si"]}, comm=MPI.COMM_WORLD)
        energies = MPI.COMM_WORLD.allgather(potential.evaluate(atoms).energy if MPI.COMM_WORLD.rank == 0 else None)
        assert energies[0] < -30.0  # rank 0 alone asked, and had its answer
        """,
        timeout=60,
    )


def test_committees_that_cannot_be_are_refused():
    with pytest.raises(CommitteeError, match="share no element"):
        load_potential({"committee": ["eam-al", "eam-cu"]})
    with pytest.raises(CommitteeError, match="at least two"):
        Committee([EMT()])
    twice = load_potential("emt")
    with pytest.raises(CommitteeError, match="member twice"):
        Committee([twice, twice])
    for voting in ([2], [0, 0], "0", []):
        with pytest.raises(CommitteeError, match="voting names"):
            load_potential({"committee": ["eam-al", "emt"], "voting": voting})
    with pytest.raises(CommitteeError, match="Members 0 and 2 are both 'emt'"):
        load_potential({"committee": ["emt", "eam-al", "emt"]})
    with pytest.raises(UnknownPotentialError, match="list of potentials"):
        load_potential({"committee": "eam-al"})
    with pytest.raises(UnknownPotentialError, match="Unknown key 'votes'"):
        load_potential({"committee": ["eam-al", "emt"], "votes": [0]})
    with pytest.raises(UnknownElementError):
        load_potential({"committee": ["eam-al", "emt"]}).evaluate(bulk("Cu", cubic=True))
    with pytest.raises(CommitteeError, match="Only heads"):
        Committee([EMT(), LennardJones()]).save("nowhere.npz")
    with pytest.raises(CommitteeError, match="no member 2"):
        Committee([EMT(), LennardJones()]).member(2)


def test_random_directions_keep_the_size_of_forces_on_average():
    rng = np.random.default_rng(0)
    mask = np.array([True, False, True, True, True, True])
    f = rng.standard_normal((6, 3)) * mask[:, None]
    sums = [np.sum(np.einsum("mni,ni->m", chosen_directions(mask, 4, seed=seed), f) ** 2) for seed in range(4000)]
    assert np.mean(sums) == pytest.approx(np.sum(f**2), rel=0.05)  # ± 1 % is their standard error
    every = chosen_directions(mask, 15, seed=0)
    assert every.shape == (15, 6, 3)
    np.testing.assert_array_equal(np.einsum("mni,ni->m", every, f), f[mask].ravel())


def test_feature_map_tangents_match_differences():
    rng = np.random.default_rng(1)
    chosen = make_feature_map(
        rng.standard_normal((40, 6)).astype(np.float32), components=5, cosines=11, length=2.0, rng=rng
    )
    h = rng.standard_normal((3, 6)).astype(np.float32)
    change = rng.standard_normal((2, 3, 6)).astype(np.float32)
    step = 1e-3
    exact = chosen.summed_tangents(h, change)
    for m in range(2):
        up, down = (chosen.of(h.astype(float) + s * step * change[m]).sum(axis=0) for s in (1, -1))
        np.testing.assert_allclose(exact[m], (up - down) / (2 * step), atol=1e-6)


def test_ridge_finds_a_linear_law_and_says_how_much_noise_there_was():
    rng = np.random.default_rng(2)
    truth = rng.standard_normal(6)
    frames = []
    for _ in range(30):
        matrix = rng.standard_normal((9, 6))
        frames.append(Rows(matrix=matrix, target=matrix @ truth + 0.1 * rng.standard_normal(9)))
    fit = fit_ridge(frames)
    np.testing.assert_allclose(fit.weights, truth, atol=0.03)
    assert fit.noise == pytest.approx(0.1, rel=0.1)
    whole = refit(frames, penalty=fit.penalty, shares=np.ones(30), kept=np.ones(6, dtype=bool))
    np.testing.assert_allclose(whole, fit.weights, rtol=1e-9)
    with pytest.raises(CommitteeError, match="at least two labelled frames"):
        fit_ridge(frames[:1])


# Heads: SevenNet-0 taught what the embedded-atom potential says of aluminium; the two differ by far more than heads leave.


def frames_of(seeds, oracle, *, stretch=0.0):
    frames = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        atoms = bulk("Al", cubic=True, a=4.05)
        atoms.set_cell(
            atoms.cell.array @ (np.eye(3) + rng.uniform(-0.02, 0.02, (3, 3)) + stretch * np.eye(3)), scale_atoms=True
        )
        atoms.positions += rng.normal(scale=0.08, size=(4, 3))
        found = oracle.evaluate(atoms)
        frames.append(LabelledFrame(atoms=atoms, energy=found.energy, forces=found.forces, stress=found.stress))
    return frames


@pytest.fixture(scope="module")
def data():
    oracle = load_potential("eam-al")
    return frames_of(range(12), oracle), frames_of(range(100, 104), oracle)


@pytest.fixture(scope="module")
def features():
    return HeadFeatures("sevennet-0", layers=1)


@pytest.fixture(scope="module")
def taught(data, features):
    return train_heads(data[0], features, held_out=data[1], options=HeadOptions(members=3))


def rms_error(potential, frames):
    return np.sqrt(np.mean([(potential.evaluate(f.atoms).forces - f.forces) ** 2 for f in frames]))


def test_heads_learn(taught, data, features):
    before = rms_error(features.backbone.potential, data[1])
    after = rms_error(taught, data[1])
    assert after < before / 3.0
    told = training_record(taught)["held_out"]
    assert told["force_rmse_before"] == pytest.approx(before, rel=1e-4)
    assert told["force_rmse"] == pytest.approx(after, rel=1e-3)
    atoms = data[1][0].atoms
    assert taught.evaluate(atoms).energy == pytest.approx(data[1][0].energy, abs=0.02 * len(atoms))


def test_forces_and_stress_of_heads_are_the_energy_s_gradient(taught, data):
    atoms = data[0][0].atoms.copy()
    found = taught.evaluate(atoms)
    step = 0.01

    def energy(change):
        moved = atoms.copy()
        change(moved)
        return taught.evaluate(moved).energy

    def shift(by):
        return lambda moved: moved.positions.__setitem__((2, 1), moved.positions[2, 1] + by)

    slope = -(energy(shift(step)) - energy(shift(-step))) / (2 * step)
    assert found.forces[2, 1] == pytest.approx(slope, abs=2e-3)  # differences of single-precision energies
    shear = np.zeros((3, 3))
    shear[0, 1] = shear[1, 0] = 0.5 * step

    def strain(sign):
        return lambda moved: moved.set_cell(moved.cell.array @ (np.eye(3) + sign * shear), scale_atoms=True)

    slope = (energy(strain(1)) - energy(strain(-1))) / (2 * step) / atoms.get_volume()
    assert found.stress[0, 1] == pytest.approx(slope, abs=1e-4)
    np.testing.assert_allclose(found.forces.sum(axis=0), 0.0, atol=1e-10)


def test_members_add_up_and_stand_alone(taught, data):
    atoms = data[1][1].atoms
    committee = committee_of(taught)
    members = committee.evaluate_members(atoms)
    mean = taught.evaluate(atoms)
    np.testing.assert_allclose(members.forces.mean(axis=0), mean.forces, atol=1e-12)
    assert members.energies.mean() == pytest.approx(mean.energy, rel=1e-12)
    alone = committee.member(1).evaluate(atoms)
    np.testing.assert_allclose(alone.forces, members.forces[1], atol=2e-5)
    np.testing.assert_allclose(alone.stress, members.stresses[1], atol=1e-6)
    assert disagreement(members.forces).largest == pytest.approx(committee.disagreement(atoms).largest, abs=1e-9)


def test_disagreement_costs_no_evaluation_of_the_model(taught, data):
    atoms = data[1][2].atoms.copy()
    atoms.rattle(0.01, seed=7)
    before = taught.counter.calls
    committee = committee_of(taught)
    fresh = committee.disagreement(atoms).per_atom
    assert taught.counter.calls == before
    taught.evaluate(atoms)
    np.testing.assert_allclose(
        committee.disagreement(atoms).per_atom, fresh, atol=1e-9
    )  # what calculate left, used again


def test_site_energies_of_heads_drive_zones(taught, data):
    atoms = data[1][0].atoms
    whole = taught.evaluate_weighted(atoms)
    plain = taught.evaluate(atoms)
    assert whole.energy == pytest.approx(plain.energy, rel=1e-12)
    np.testing.assert_allclose(whole.gradient, -plain.forces, atol=1e-12)
    weights = np.array([1.0, 0.5, 0.0, 0.25])
    step, direction = 0.01, np.random.default_rng(0).standard_normal((4, 3))
    energies = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions += sign * step * direction
        energies.append(weights @ taught.evaluate_weighted(moved).site_energies)
    slope = (energies[0] - energies[1]) / (2 * step)
    assert np.sum(taught.evaluate_weighted(atoms, weights).gradient * direction) == pytest.approx(slope, abs=5e-3)


def test_doubt_and_novelty_grow_away_from_the_data(taught, data):
    committee = committee_of(taught)
    known = [f.atoms for f in data[0]]
    far = [f.atoms for f in frames_of(range(4), load_potential("eam-al"), stretch=0.12)]
    assert np.median([committee.disagreement(a).largest for a in far]) > 1.5 * np.median(
        [committee.disagreement(a).largest for a in known]
    )
    assert max(committee.novelty(a).max() for a in known) == pytest.approx(1.0, abs=0.01)
    assert min(committee.novelty(a).max() for a in far) > 1.5


def test_training_repeats_itself_and_heads_are_read_back(taught, data, features, tmp_path):
    again = train_heads(data[0], features, held_out=data[1], options=HeadOptions(members=3))
    first, second = tmp_path / "one.npz", tmp_path / "two.npz"
    committee_of(taught).save(first)
    committee_of(again).save(second)
    assert first.read_bytes() == second.read_bytes()
    loaded = load_potential({"path": str(first)})
    atoms = data[1][0].atoms
    np.testing.assert_array_equal(loaded.evaluate(atoms).forces, taught.evaluate(atoms).forces)
    assert loaded.capabilities.model_file == first
    first.write_bytes(first.read_bytes()[:-200])
    with pytest.raises(ModelFileError):
        load_potential({"path": str(first), "family": "heads"})


def test_a_mix_of_heads_and_a_foreign_member(taught, data):
    atoms = data[1][0].atoms
    mixed = committee_potential(Committee([taught, load_potential("eam-al-zhou")], voting=[0]))
    committee = committee_of(mixed)
    assert committee.size == 4
    np.testing.assert_allclose(mixed.evaluate(atoms).forces, taught.evaluate(atoms).forces, atol=1e-12)
    heads_alone = committee_of(taught).disagreement(atoms).per_atom
    assert np.all(committee.disagreement(atoms).per_atom >= heads_alone - 1e-6)


def test_features_are_kept_between_processes(data, tmp_path):
    atoms = data[0][0].atoms
    one = HeadFeatures("sevennet-0", layers=1, cache=tmp_path)
    found = one.of(atoms)
    other = HeadFeatures("sevennet-0", layers=1, cache=tmp_path)
    calls = other.backbone.potential.counter.calls
    np.testing.assert_array_equal(other.of(atoms).moved, found.moved)
    assert other.backbone.potential.counter.calls == calls
    stored = next(tmp_path.glob("*.npz"))
    stored.write_bytes(b"no archive")
    with pytest.raises(CommitteeError, match="damaged"):
        HeadFeatures("sevennet-0", layers=1, cache=tmp_path).of(atoms)


def test_data_that_teach_nothing_are_refused(data, features, taught):
    with pytest.raises(CommitteeError, match="no labelled frames"):
        train_heads([], features)
    atoms = data[0][0].atoms
    with pytest.raises(CommitteeError, match="expected LabelledFrame"):
        train_heads([bulk("Al")] * 2, features)
    with pytest.raises(ModelFileError, match=r"saved as \.npz"):
        committee_of(taught).save("heads.txt")
    with pytest.raises(CommitteeError, match="has no label"):
        train_heads([LabelledFrame(atoms=atoms)] * 2, features)
    with pytest.raises(CommitteeError, match="energy that is not a finite number"):
        train_heads([LabelledFrame(atoms=atoms, energy=np.nan)] * 2, features)
    with pytest.raises(CommitteeError, match="at least two labelled frames"):
        train_heads(data[0][:1], features)
    copper = LabelledFrame(atoms=bulk("Cu", cubic=True), forces=np.zeros((4, 3)))
    with pytest.raises(CommitteeError, match="Held-out frame 0 holds Cu"):
        train_heads(data[0], features, held_out=[copper])
    with pytest.raises(UnknownElementError, match="it knows Al"):
        committee_of(taught).disagreement(copper.atoms)
    with pytest.raises(CommitteeError, match="Heads need the layers of a SevenNet model"):
        HeadFeatures("eam-al")
    with pytest.raises(CommitteeError, match="has 5 layers"):
        HeadFeatures("sevennet-0", layers=6)
    with pytest.raises(CommitteeError, match="members is a whole number"):
        HeadOptions(members=1)


def test_frames_with_some_labels_missing_still_teach(data, features):
    forces_only = [LabelledFrame(atoms=f.atoms, forces=f.forces) for f in data[0]]
    potential = train_heads(forces_only, features, held_out=data[1])
    assert rms_error(potential, data[1]) < rms_error(features.backbone.potential, data[1]) / 2.0
    part = np.array([True, True, False, False])
    counted = [
        LabelledFrame(atoms=f.atoms, forces=np.where(part[:, None], f.forces, 1e3), counted=part) for f in data[0]
    ]
    potential = train_heads(counted, features)  # what does not count may be anything
    assert rms_error(potential, data[1]) < rms_error(features.backbone.potential, data[1])
