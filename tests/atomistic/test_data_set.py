"""A data set is only ever added to, each frame whole or not there, and says who computed it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.io import read

from atomistic import whole_file
from atomistic.data_set import DataSet
from atomistic.errors import DataSetError, LabelledDataError
from atomistic.labelled import LabelledFrame


def frame(seed=0, energy=-3.0, oracle="emt", **labels):
    """A rattled crystal with made-up labels."""
    atoms = bulk("Al", cubic=True)
    atoms.rattle(0.1, seed=seed)
    random = np.random.default_rng(seed)
    given = {"forces": random.normal(size=(4, 3)), "stress": np.diag(random.normal(size=3)) * 1e-3} | labels
    provenance = {
        "oracle": oracle,
        "version": "1.0",
        "settings_hash": "abc",
        "run": "md",
        "step": seed,
        "reason": "0.3 eV/Å",
    }
    return LabelledFrame(atoms=atoms, energy=energy, config_type="hot", provenance=provenance, **given)


def test_frames_come_back_to_the_last_bit(tmp_path):
    given = [frame(0), frame(1, stress=None, counted=np.array([True, False, True, True])), frame(2, energy=None)]
    assert DataSet(tmp_path / "set").add(given[0]) == 1
    assert DataSet(tmp_path / "set").add(given[1:]) == 2
    found = DataSet(tmp_path / "set").frames()
    assert len(found) == 3
    for one, other in zip(given, found, strict=True):
        assert np.array_equal(one.atoms.positions, other.atoms.positions)
        assert one.atoms.calc is None
        assert np.array_equal(one.forces, other.forces)
        assert one.energy == other.energy
        assert (one.stress is None) == (other.stress is None)
        assert one.stress is None or np.array_equal(one.stress, other.stress)
        assert (one.counted is None) == (other.counted is None)
        assert one.counted is None or np.array_equal(one.counted, other.counted)
        assert dict(other.provenance) == one.provenance
        assert other.config_type == "hot"
    # Others read the file too, and don't take the labels for a calculator's.
    read_by_ase = read(tmp_path / "set" / "data.extxyz", ":")
    assert len(read_by_ase) == 3
    assert read_by_ase[0].info["REF_energy"] == -3.0
    assert read_by_ase[0].calc is None


def test_the_same_frame_again_changes_nothing_and_like_structures_with_unlike_labels_are_refused(tmp_path):
    frames = DataSet(tmp_path)
    assert frames.fingerprint == ""
    assert len(frames) == 0
    assert frames.frames() == []
    frames.add([frame(0), frame(1)])
    before = frames.fingerprint
    assert frames.add([frame(0), frame(1)]) == 0
    assert frames.fingerprint == before
    assert frames.find(frame(1).atoms).provenance["step"] == 1
    assert frames.find(frame(7).atoms) is None
    moved = frame(0).atoms
    moved.positions[2, 1] += 1e-5
    assert frames.find(moved) is None
    assert DataSet(tmp_path, match=1e-4).find(moved) is not None
    with pytest.raises(
        DataSetError, match=r"has this structure \(Al4\) already, with another energy.*largest difference 0.5"
    ):
        frames.add([frame(5), frame(0, energy=-2.5)])
    with pytest.raises(DataSetError, match=r"with another forces \(largest difference 0.1"):
        frames.add(replace(frame(0), forces=frame(0).forces + 0.1))
    with pytest.raises(DataSetError, match="counting other atoms"):
        frames.add(frame(0, counted=np.array([True, False, False, False])))
    frames.add(frame(3, stress=None))
    with pytest.raises(DataSetError, match="without stress"):
        frames.add(frame(3))
    assert len(frames) == 3, "one bad frame keeps the others of its addition out"
    # Two unlike answers in one addition are seen too.
    with pytest.raises(DataSetError, match="another energy"):
        frames.add([frame(8), frame(8, energy=-1.0)])


@pytest.mark.parametrize(
    ("bad", "error", "told"),
    [
        ([], DataSetError, "no frames to add"),
        (frame(energy=float("nan")), LabelledDataError, "energy of frame 0 of 1 .*not finite"),
        (frame(forces=np.full((4, 3), np.inf)), LabelledDataError, "forces of .*not finite"),
        (frame(forces=np.zeros((3, 3))), LabelledDataError, r"must have shape \(4, 3\); got \(3, 3\)"),
        (frame(stress=np.zeros(6)), LabelledDataError, r"must have shape \(3, 3\)"),
        (frame(stress=np.triu(np.ones((3, 3)))), DataSetError, "must be symmetric"),
        (frame(counted=np.zeros(4, dtype=bool)), DataSetError, "No atom of .* counts"),
        (frame(energy=None, forces=None, stress=None), DataSetError, "no label on"),
        (LabelledFrame(atoms=bulk("Al")[:0], energy=0.0), LabelledDataError, "no atoms"),
    ],
)
def test_what_nobody_can_learn_from_is_refused(tmp_path, bad, error, told):
    frames = DataSet(tmp_path / "set")
    with pytest.raises(error, match=told):
        frames.add(bad)
    assert len(frames) == 0


def test_the_file_is_as_before_or_complete_whenever_the_program_dies(tmp_path, monkeypatch):
    frames = DataSet(tmp_path / "set")
    frames.add(frame(0))
    before = frames.path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    for step in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(whole_file.os, step, full)
            with pytest.raises(DataSetError, match=r"No space left.*it is what it was before"):
                frames.add(frame(1))
        assert frames.path.read_bytes() == before
        assert {path.name for path in frames.folder.iterdir()} <= {"data.extxyz", ".lock"}, "nothing is left over"
    frames.add(frame(1))
    assert len(frames) == 2

    (tmp_path / "file").write_text("")
    with pytest.raises(DataSetError, match="is a file"):
        DataSet(tmp_path / "file")
    with pytest.raises(DataSetError, match=r"from 0 to 0.1 Å; got 2"):
        DataSet(tmp_path, match=2)


def test_several_that_add_at_once_lose_nothing(tmp_path):
    # The lock belongs to the opened file, so threads exclude each other as processes do.
    def add(first):
        return sum(DataSet(tmp_path).add(frame(seed)) for seed in range(first, first + 8))

    with ThreadPoolExecutor(3) as pool:
        added = list(pool.map(add, (0, 4, 8)))
    assert sum(added) == 16
    assert sorted(f.provenance["step"] for f in DataSet(tmp_path)) == list(range(16))


def test_sources_tell_unlike_oracles_apart(tmp_path):
    frames = DataSet(tmp_path)
    water = LabelledFrame(atoms=molecule("H2O"), energy=-14.0)
    frames.add([frame(0), frame(1), frame(2, oracle="gpaw"), water])
    assert [(s.oracle, s.settings_hash, s.frames) for s in frames.sources()] == [
        ("emt", "abc", 2), ("gpaw", "abc", 1), ("", "", 1),
    ]  # fmt: skip
