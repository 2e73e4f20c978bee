"""`multiscale validate-potential`: numbers, exit codes, files, mistakes."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from atomistic.errors import ValidationError
from atomistic.potentials import load_potential
from multiscale import cli
from multiscale.validation_cli import potential_of, shift_of
from multiscale.validation_plots import draw_doubt
from tests.mpi import run_mpi

ROOT = Path(__file__).parents[2]
DATA = ROOT / "examples" / "validation_al.extxyz"
CONTRACT = ROOT / "examples" / "contract_al.yaml"


def command(*arguments, output):
    return cli.main(["validate-potential", *map(str, arguments), "-o", str(output), "--quiet"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with EAM, which breaks the contract of the example."""
    directory = tmp_path_factory.mktemp("validation") / "run"
    code = command(DATA, "--potential", "eam-al", "--contract", CONTRACT, output=directory)
    return code, directory


def test_a_broken_contract_is_exit_code_1(finished):
    code, directory = finished
    assert code == 1
    contract = json.loads((directory / "results.json").read_text())["contract"]
    assert contract["passed"] is False
    assert {row["bound"] for row in contract["rows"] if row["kept"] == "NO"} == {"force_vectors_max", "forces_rmse"}


def test_the_numbers_are_those_of_ase(finished):
    """The same RMSE, without any of our reading or measuring."""
    calculator = load_potential("eam-al").calculator
    errors = {"forces": [], "stress": [], "energy": []}
    for atoms in read(DATA, ":"):
        atoms.calc = calculator
        errors["forces"].append(atoms.get_forces() - atoms.arrays["REF_forces"])
        voigt = np.asarray(atoms.info["REF_stress"]).reshape(3, 3)[(0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)]
        errors["stress"].append(atoms.get_stress() - voigt)
        errors["energy"].append((atoms.get_potential_energy() - atoms.info["REF_energy"]) / len(atoms))
    energies = np.array(errors["energy"])
    expected = {
        "energy": np.std(energies),  # one element: the shift takes out the mean
        "forces": np.sqrt(np.mean(np.concatenate(errors["forces"]) ** 2)),
        "stress": np.sqrt(np.mean(np.array(errors["stress"]) ** 2)),
    }
    lines = [line for line in (finished[1] / "metrics.csv").read_text().splitlines() if not line.startswith("#")]
    found = {row["quantity"]: float(row["rmse"]) for row in csv.DictReader(lines) if row["by"] == "all"}
    for quantity, value in expected.items():
        assert found[quantity] == pytest.approx(value, rel=1e-9), quantity
    shift = json.loads((finished[1] / "results.json").read_text())["validation"]["energy_shifts"]["Al"]
    assert shift == pytest.approx(-np.mean(energies), abs=1e-9)


def test_everything_is_written_and_made_again(finished):
    _, directory = finished
    for name in ("validation_parity.png", "validation_errors.png", "frames.csv", "validation.npz", "events.jsonl"):
        assert (directory / name).stat().st_size > 100
    frames = list(csv.DictReader((directory / "frames.csv").open()))
    assert len(frames) == 24
    assert {row["config_type"] for row in frames} == {"bulk", "strained", "surface", "opened"}
    (directory / "report.html").unlink()
    assert cli.main(["report", str(directory)]) == 0
    page = (directory / "report.html").read_text()
    for words in ("force_vectors_max", "REF_forces", "opened", "fitted by least squares", "bounds kept"):
        assert words in page


def test_a_contract_that_is_kept_is_exit_code_0(tmp_path, capsys):
    (tmp_path / "loose.yaml").write_text(
        "forces_rmse: 1 eV/angstrom\nenergy_shift: {Al: -0.39}\nenergy_rmse: 20 meV/atom\n"
    )
    assert command(DATA, "--potential", "eam-al", "--contract", tmp_path / "loose.yaml", output=tmp_path / "run") == 0
    printed = capsys.readouterr().out
    assert "contract passed" in printed
    assert "Al -0.3900 eV per atom" in printed
    assert "(as given)" in printed


def test_doubt_of_a_committee_is_in_the_report(tmp_path, capsys):
    committee = "{committee: [eam-al, eam-al-zhou, emt], voting: [0, 1]}"
    assert command(DATA, "--potential", committee, "--frames", "::3", output=tmp_path / "run") == 0
    assert "doubt against error: rank correlation" in capsys.readouterr().out
    assert (tmp_path / "run" / "validation_doubt.png").stat().st_size > 1000
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert 0.0 < results["validation"]["doubt"]["area"] < 0.5
    assert 'id="doubt"' in (tmp_path / "run" / "report.html").read_text()


def test_a_committee_without_spread_is_drawn_and_told(tmp_path):
    """Members that agree leave no factor, which results.json has as null; the figure says so."""
    random = np.random.default_rng(0)
    data = {
        "forces_reference": random.normal(size=(5, 3)),
        "forces_predicted": random.normal(size=(5, 3)),
        "forces_group": np.array(["(none)"] * 5),
        "doubts": np.zeros(5),
        "calibration_expected": np.linspace(0.0, 1.0, 11),
        "calibration_observed": np.zeros(11),
    }
    doubt = {"area": 0.5, "scale": None, "unspread": 5, "rank_correlation": None}
    figure = draw_doubt(data, doubt)
    assert any("zero spread on 5 atoms" in text.get_text() for text in figure.axes[1].texts)
    figure.savefig(tmp_path / "doubt.png", dpi=20)


def test_frames_are_found_again_in_their_files(tmp_path, capsys):
    """Two files, a selection and labels without a value: numbers are those in the files."""
    header = 'Lattice="9 0 0 0 9 0 0 0 9" pbc="T T T" Properties=species:S:1:pos:R:3:REF_forces:R:3 REF_energy=0'
    for name, values in (("a.xyz", (0, 0, 0)), ("b.xyz", (0, 9, "nan"))):
        (tmp_path / name).write_text("".join(f"1\n{header}\nAl 0 0 0 {value} 0 0\n" for value in values))
    files = tmp_path / "a.xyz", tmp_path / "b.xyz"
    options = "--potential", "emt", "--frames", "1:3"
    assert command(*files, *options, output=tmp_path / "wrong") == 2
    complained = capsys.readouterr().err
    assert f"forces of frame 2 of {files[1]}" in complained
    assert "--nan-is-missing" in complained
    assert "nan_is_missing" not in complained
    assert command(*files, *options, "--nan-is-missing", output=tmp_path / "run") == 0
    printed = capsys.readouterr().out
    assert f"largest in frame 1 of {files[1]}, atom 0" in printed
    assert "1 of 4 frames have no forces" in printed
    rows = list(csv.DictReader((tmp_path / "run" / "frames.csv").open()))
    assert [(row["file"], row["frame"]) for row in rows] == [(str(f), str(k)) for f in files for k in (1, 2)]
    worst = json.loads((tmp_path / "run" / "results.json").read_text())["validation"]["rows"][1]
    assert (worst["worst_file"], worst["worst_frame"]) == (str(files[1]), 1)


def test_errors_name_the_flags_and_vasps_numbers_are_read(tmp_path, capsys):
    cell = 'Lattice="4.05 0 0 0 4.05 0 0 0 4.05" pbc="T T T" Properties=species:S:1:pos:R:3'
    (tmp_path / "a.xyz").write_text(f'1\n{cell} dft_stress="-10 -20 -30000 -4 -5 -6"\nAl 0 0 0\n')
    assert command(tmp_path / "a.xyz", "--potential", "emt", output=tmp_path / "wrong") == 2
    complained = capsys.readouterr().err
    assert "Give --stress-unit kbar or GPa, and --stress-positive" in complained
    assert "--vasp-stress" in complained
    assert command(tmp_path / "a.xyz", "--potential", "emt", "--vasp-stress", output=tmp_path / "run") == 0
    with np.load(tmp_path / "run" / "validation.npz") as found:
        assert found["stress_reference"][0] * 1602.176634 == pytest.approx([10, 20, 30000, 5, 6, 4])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((DATA.with_name("validation_cu.extxyz"),), "Did you mean"),
        ((DATA, "--contract", "nowhere.yaml"), "There is no contract nowhere.yaml"),
        ((DATA, "--energy-shift", "Al"), "--energy-shift is none, species, or numbers"),
        ((DATA, "--energy-key", "energie"), "Did you mean 'REF_energy'?"),
        ((DATA, "--stress-unit", "kilobar"), "Unknown unit 'kilobar' of stress"),
        ((DATA, "--frames", "30:"), "no structures in '30:'"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(tmp_path, capsys, arguments, told):
    assert command(*arguments, "--potential", "eam-al", output=tmp_path / "run") == 2
    complained = capsys.readouterr().err
    assert told in complained
    assert len(complained.splitlines()) == 1
    assert "Traceback" not in complained


def test_elements_that_the_potential_lacks(tmp_path, capsys):
    assert command(DATA, "--potential", "snap-w", output=tmp_path / "run") == 2
    complained = capsys.readouterr().err
    assert "no parameters for Al" in complained
    assert "24 of 24 frames have them, first frame 0" in complained
    assert "Traceback" not in complained


def test_forms_of_potentials_and_shifts(tmp_path):
    assert potential_of("eam-al") == "eam-al"
    assert potential_of("{committee: [eam-al, emt]}") == {"committee": ["eam-al", "emt"]}
    assert potential_of("models/mine.pth") == {"path": "models/mine.pth"}
    (tmp_path / "case.yaml").write_text("study: adhesion\npotential: {path: a.pth}\ncrystal: {element: Al}\n")
    assert potential_of(str(tmp_path / "case.yaml")) == {"path": "a.pth"}
    (tmp_path / "potential.yaml").write_text("calculator: ase.calculators.emt:EMT\n")
    assert potential_of(str(tmp_path / "potential.yaml")) == {"calculator": "ase.calculators.emt:EMT"}
    (tmp_path / "none.yaml").write_text("study: adhesion\n")
    for text in (str(tmp_path / "none.yaml"), str(tmp_path / "absent.yaml"), "{a: ["):
        with pytest.raises(ValidationError, match="--potential"):
            potential_of(text)
    assert shift_of(None) is None
    assert shift_of("Al=1.5, Cu=-2") == {"Al": 1.5, "Cu": -2.0}


@pytest.mark.slow
def test_two_ranks_write_what_one_does_and_complain_once(finished, tmp_path):
    arguments = ["-m", "multiscale", "validate-potential", "--potential", "eam-al", "--quiet"]
    done = run_mpi(2, [*arguments, str(DATA), "--contract", str(CONTRACT), "-o", str(tmp_path / "run")], check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout.count("contract FAILED") == 1
    # LAMMPS sums in another order after other frames.
    with np.load(finished[1] / "validation.npz") as one, np.load(tmp_path / "run" / "validation.npz") as two:
        assert np.allclose(one["forces_predicted"], two["forces_predicted"], atol=1e-12)
        assert np.array_equal(one["forces_frame"], two["forces_frame"])
    wrong = run_mpi(2, [*arguments, "nowhere.xyz", "-o", str(tmp_path / "wrong")], check=False)
    assert wrong.returncode == 2
    assert wrong.stderr.count("There is no file nowhere.xyz") == 1


def test_help_says_what_it_does():
    done = subprocess.run(
        [sys.executable, "-m", "multiscale", "validate-potential", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "--contract FILE" in done.stdout


@pytest.mark.slow
def test_sevennet_keeps_the_contract_of_the_example(tmp_path):
    assert command(DATA, "--potential", "sevennet-0", "--contract", CONTRACT, output=tmp_path / "run") == 0
    quantities = json.loads((tmp_path / "run" / "results.json").read_text())["quantities"]
    rmse = next(q["value"] for q in quantities if q["name"] == "RMSE of force components")
    assert rmse == pytest.approx(0.0322, abs=2e-4)  # eV/Å, as docs/validation.md says
