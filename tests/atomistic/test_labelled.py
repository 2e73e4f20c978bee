"""Reference data are read as they were meant, by any of their names, and written to the last bit."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.db import connect
from ase.io import read, write

from atomistic.errors import LabelledDataError
from atomistic.label_keys import LabelOptions
from atomistic.labelled import LabelledFrame, checked_frame, read_frames, read_labelled, write_frames

GPA = 160.2176634  # GPa in 1 eV/Å³


def evaluated(seed=0):
    """A rattled crystal with EMT's results."""
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=seed)
    atoms.calc = EMT()
    atoms.get_forces()
    atoms.get_stress()
    return atoms


def frame(seed=0, **changes):
    atoms = evaluated(seed)
    labels = {
        "energy": atoms.get_potential_energy(),
        "forces": atoms.get_forces(),
        "stress": atoms.get_stress(voigt=False),
        "config_type": "bulk",
        "provenance": {"oracle": "emt", "why": 'a "quoted" \\ back, Å,\nnew line', "step": 3},
    }
    bare = atoms.copy()
    bare.calc = None
    return LabelledFrame(atoms=bare, **{**labels, **changes})


def text(path, header, rows=("Al 0 0 0", "Al 0 0 2.5")):
    path.write_text("\n".join([str(len(rows)), header, *rows, ""]))
    return path


def refusal(function, *arguments, **options):
    with pytest.raises(LabelledDataError) as caught:
        function(*arguments, **options)
    return str(caught.value)


def test_what_is_written_is_read_to_the_last_bit(tmp_path):
    surface = fcc111("Al", (1, 1, 3), vacuum=6.0)
    surface.info = {"temperature": 300.5, "a key": "two words", "list": np.arange(3)}
    frames = [
        frame(0),
        frame(1, counted=np.array([True, False, True, True]), config_type=""),
        LabelledFrame(atoms=surface, energy=-1.0 / 3.0),
        LabelledFrame(atoms=Atoms("H2", [[0, 0, 0], [0, 0, 0.74]]), forces=np.full((2, 3), 1e-17)),
    ]
    write_frames(tmp_path / "new" / "a.extxyz", frames)
    for given, found in zip(frames, read_frames(tmp_path / "new" / "a.extxyz"), strict=True):
        assert np.array_equal(given.atoms.positions, found.atoms.positions)
        assert np.array_equal(given.atoms.cell.array, found.atoms.cell.array)
        assert np.array_equal(given.atoms.pbc, found.atoms.pbc)
        assert given.energy == found.energy
        for name in ("forces", "stress", "counted"):
            one, other = getattr(given, name), getattr(found, name)
            assert (one is None) == (other is None)
            assert one is None or np.array_equal(one, other)
        assert given.config_type == found.config_type
        assert dict(given.provenance) == dict(found.provenance)
        assert found.atoms.calc is None
    kept = read_frames(tmp_path / "new" / "a.extxyz")[2].atoms
    assert kept.info["a key"] == "two words"
    assert np.array_equal(kept.arrays["tags"], surface.arrays["tags"])


def test_ase_reads_the_file_without_taking_labels_for_results(tmp_path):
    write_frames(tmp_path / "a.extxyz", [frame()])
    atoms = read(tmp_path / "a.extxyz")
    assert atoms.calc is None
    assert atoms.info["REF_energy"] == frame().energy
    assert json.loads(atoms.info["provenance"])["oracle"] == "emt"


def test_values_that_some_calculator_left_are_not_written_as_labels(tmp_path):
    given = frame(energy=None, stress=None)
    given.atoms.info["energy"] = -99.0
    given.atoms.arrays["dft_forces"] = np.ones((4, 3))
    write_frames(tmp_path / "a.extxyz", [given])
    found = read_frames(tmp_path / "a.extxyz")[0]
    assert found.energy is None
    assert np.array_equal(found.forces, given.forces)


@pytest.mark.parametrize("name", ["a.traj", "a.extxyz", "a.xyz", "a.db", "a.json"])
def test_results_of_ase_are_found_in_any_format(tmp_path, name):
    images = [evaluated(0), evaluated(1)]
    if name.endswith((".db", ".json")):
        with connect(tmp_path / name, serial=True) as database:
            for k, image in enumerate(images):
                database.write(image, config_type=f"group{k}")
    else:
        write(tmp_path / name, images)
    found = read_labelled(tmp_path / name)
    assert found.counts == {"energy": 2, "forces": 2, "stress": 2, "unlabelled": 0}
    # ASE's own extended XYZ has eight decimals.
    assert found.frames[1].energy == pytest.approx(images[1].get_potential_energy(), abs=1e-8)
    assert np.allclose(found.frames[1].forces, images[1].get_forces(), atol=1e-8)
    assert np.allclose(found.frames[1].stress, images[1].get_stress(voigt=False), atol=1e-8)
    if name.endswith((".db", ".json")):
        assert [f.config_type for f in found.frames] == ["group0", "group1"]


def test_labels_in_the_data_of_a_database(tmp_path):
    with connect(tmp_path / "a.db", serial=True) as database:
        bare = evaluated()
        bare.calc = None
        database.write(bare, key_value_pairs={"dft_energy": -7.5}, data={"dft_forces": np.full((4, 3), 0.25)})
    found = read_frames(tmp_path / "a.db")[0]
    assert found.energy == -7.5
    assert np.all(found.forces == 0.25)


def test_names_that_tell_the_source_go_first_and_kinds_are_never_mixed(tmp_path):
    atoms = [evaluated(0), evaluated(1)]
    atoms[0].info["dft_energy"] = -1.0
    write(tmp_path / "a.extxyz", atoms)
    found = read_labelled(tmp_path / "a.extxyz")
    assert found.keys.energy == "dft_energy"
    assert found.frames[0].energy == -1.0
    assert found.frames[1].energy is None  # not the plain energy, which may be of another theory
    asked = read_labelled(tmp_path / "a.extxyz", options=LabelOptions(energy_key="energy"))
    assert asked.counts["energy"] == 2
    assert "Did you mean 'dft_energy'?" in refusal(
        read_frames, tmp_path / "a.extxyz", options=LabelOptions(energy_key="dft_energie")
    )


def test_stress_of_vasp_and_virials(tmp_path):
    cell = 'Lattice="4 0 0 0 4 0 0 0 5" pbc="T T T" '
    tensor = np.array([[1.0, 0.1, 0.2], [0.1, 2.0, 0.3], [0.2, 0.3, 3.0]])  # GPa, positive in tension
    kbar = -10.0 * tensor
    voigt = " ".join(str(kbar[i, j]) for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)))
    path = text(tmp_path / "vasp.xyz", f'{cell}Properties=species:S:1:pos:R:3 dft_stress="{voigt}"')
    options = LabelOptions(stress_unit="kBar", stress_positive="compression")
    assert np.allclose(read_frames(path, options=options)[0].stress * GPA, tensor, atol=1e-12)
    assert "unit of the stress" in refusal(read_frames, path)
    virial = " ".join(map(str, (-80.0 / GPA * tensor).ravel()))  # W = −V σ, V = 80 Å³
    path = text(tmp_path / "virial.xyz", f'{cell}Properties=species:S:1:pos:R:3 virial="{virial}"')
    found = read_labelled(path)
    assert found.keys.virial == "virial"
    assert np.allclose(found.frames[0].stress * GPA, tensor, atol=1e-12)


def test_six_numbers_of_a_stress_in_the_order_of_vasp(tmp_path):
    """`in kB` of OUTCAR is XX YY ZZ XY YZ ZX; a matrix and what ASE found are not touched."""
    cell = 'Lattice="4 0 0 0 4 0 0 0 5" pbc="T T T" Properties=species:S:1:pos:R:3'
    tensor = np.array([[1.0, 0.1, 0.2], [0.1, 2.0, 0.3], [0.2, 0.3, 3.0]])  # GPa, positive in tension
    vasp = LabelOptions(stress_unit="kbar", stress_positive="compression", stress_order="vasp")
    voigt = replace(vasp, stress_order="voigt")
    six = " ".join(str(-10.0 * tensor[i, j]) for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0)))
    nine = " ".join(map(str, (-10.0 * tensor).ravel()))
    for name, values in (("dft_stress", six), ("dft_stress", nine), ("stress", nine)):
        path = text(tmp_path / "a.xyz", f'{cell} {name}="{values}"')
        assert np.allclose(read_frames(path, options=vasp)[0].stress * GPA, tensor, atol=1e-12)
    shuffled = read_frames(text(tmp_path / "a.xyz", f'{cell} dft_stress="{six}"'), options=voigt)[0].stress * GPA
    assert np.allclose(shuffled[[1, 0, 0], [2, 2, 1]], [0.1, 0.3, 0.2], atol=1e-12)
    assert "got 'outcar'" in refusal(LabelOptions, stress_order="outcar")


def test_one_of_stress_and_virial_is_taken(tmp_path):
    header = 'Lattice="4 0 0 0 4 0 0 0 5" pbc="T T T" Properties=species:S:1:pos:R:3 stress="0.1 0 0 0 0.1 0 0 0 0.1"'
    plain = read_labelled(text(tmp_path / "a.xyz", f'{header} virial="16 0 0 0 16 0 0 0 16"'))
    assert (plain.keys.stress, plain.keys.virial) == ("stress", None)
    assert np.allclose(plain.frames[0].stress, 0.1 * np.eye(3))
    # A virial that names its source goes before a stress that does not.
    named = read_labelled(text(tmp_path / "b.xyz", f'{header} dft_virial="16 0 0 0 16 0 0 0 16"'))
    assert (named.keys.stress, named.keys.virial) == (None, "dft_virial")
    assert np.allclose(named.frames[0].stress, -0.2 * np.eye(3))
    asked = LabelOptions(stress_key="stress")
    assert read_labelled(tmp_path / "b.xyz", options=asked).keys.virial is None
    assert "name one of them" in refusal(LabelOptions, stress_key="stress", virial_key="virial")


def test_units_of_other_programs(tmp_path):
    header = "Properties=species:S:1:pos:R:3:forces:R:3 energy=-2"
    path = text(tmp_path / "a.xyz", header, ["Al 0 0 0 0 0 1", "Al 0 0 2.5 0 0 -1"])
    found = read_frames(path, options=LabelOptions(energy_unit="Hartree", forces_unit="Ha/bohr"))[0]
    assert found.energy == pytest.approx(-54.42277249, abs=1e-7)  # CODATA 2018
    assert found.forces[0, 2] == pytest.approx(51.4220675, abs=1e-6)
    assert "kcal/mol" in refusal(LabelOptions, energy_unit="joules")


def test_labels_that_are_not_numbers_are_named_and_lost_only_on_request(tmp_path):
    header = 'Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3:REF_forces:R:3 REF_energy=-1'
    path = text(tmp_path / "a.xyz", header, ["Al 0 0 0 0 0 1", "Al 0 0 2.5 0 nan -1"])
    message = refusal(read_frames, path)
    assert "forces of frame 0" in message
    assert "nan at [1, 1]" in message
    found = read_frames(path, options=LabelOptions(nan_is_missing=True))[0]
    assert found.forces is None
    assert found.energy == -1.0


def test_shapes_that_do_not_fit():
    good = frame()
    assert checked_frame(good, "x") is good
    assert "shape (4, 3); got (3, 3)" in refusal(checked_frame, replace(good, forces=np.zeros((3, 3))), "frame 7")
    assert "shape (3, 3); got (6,)" in refusal(checked_frame, replace(good, stress=np.zeros(6)), "frame 7")
    assert "counted" in refusal(checked_frame, replace(good, counted=np.ones(3, bool)), "frame 7")
    assert "no atoms" in refusal(checked_frame, LabelledFrame(atoms=Atoms()), "frame 7")


def test_files_that_are_not_what_they_should_be(tmp_path):
    write_frames(tmp_path / "data.extxyz", [frame()])
    assert f"Did you mean {tmp_path / 'data.extxyz'}?" in refusal(read_frames, tmp_path / "date.extxyz")
    assert "no folder" in refusal(read_frames, tmp_path / "nowhere" / "a.xyz")
    assert "is a folder" in refusal(read_frames, tmp_path)
    (tmp_path / "empty.xyz").touch()
    assert "is empty" in refusal(read_frames, tmp_path / "empty.xyz")
    (tmp_path / "short.xyz").write_text("3\n\nAl 0 0 0\n")
    assert "expected 3" in refusal(read_frames, tmp_path / "short.xyz")
    (tmp_path / "a.nonsense").write_text("hello")
    assert "cannot be read" in refusal(read_frames, tmp_path / "a.nonsense")
    bare = text(tmp_path / "bare.xyz", "Properties=species:S:1:pos:R:3 E0=-3")
    assert "E0" in refusal(read_frames, bare)
    assert len(read_frames(bare, unlabelled=True)) == 1
    assert "no structures" in refusal(read_frames, tmp_path / "data.extxyz", index="5:")
    assert "got 'all'" in refusal(read_frames, tmp_path / "data.extxyz", index="all")


@pytest.mark.parametrize(
    ("index", "numbers"),
    [
        (":", [0, 1, 2, 3, 4]),
        ("1:3", [1, 2]),
        ("1::2", [1, 3]),
        ("-2:", [3, 4]),
        (":-3:-1", [4, 3]),
        ("3", [3]),
        ("-1", [4]),
    ],
)
def test_some_of_the_frames_with_their_numbers_in_the_file(tmp_path, index, numbers):
    write_frames(tmp_path / "a.extxyz", [frame(k, energy=float(k)) for k in range(5)])
    with connect(tmp_path / "a.db", serial=True) as database:
        for k in range(5):
            database.write(evaluated(k))
    found = read_labelled(tmp_path / "a.extxyz", index=index)
    assert found.numbers == numbers
    assert [f.energy for f in found.frames] == numbers
    found = read_labelled(tmp_path / "a.db", index=index)
    assert found.numbers == numbers
    assert [f.energy for f in found.frames] == [evaluated(k).get_potential_energy() for k in numbers]


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    write_frames(tmp_path / "a.extxyz", [frame()])
    before = (tmp_path / "a.extxyz").read_bytes()
    message = refusal(write_frames, tmp_path / "a.extxyz", [frame(), frame(energy=float("nan"))])
    assert "energy of frame 1" in message
    assert (tmp_path / "a.extxyz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.extxyz"]
