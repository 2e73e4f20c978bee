"""Names in a case: what becomes a file stays in the run directory, what is shown is text, what runs is named as such."""

import os
import sys
from pathlib import Path

import pytest
from ase.build import bulk

from atomistic.errors import UnknownPotentialError
from atomistic.oracle.base import Task
from atomistic.oracle.cache import BUCKET, word_of
from atomistic.oracle.retry import save_failure
from atomistic.potentials import load_potential
from multiscale.cli import main
from multiscale.config import CaseError, load_case
from multiscale.config.caches import make_caches
from multiscale.spread import members_of
from multiscale.studies import runner
from multiscale.sweep.plan import read_plan

ODD = """\
study: properties
potentials:
  "../../outside": emt
  "/tmp/outside": {calculator: "ase.calculators.emt:EMT", arguments: {}}
  "$\\\\frac{$<script>alert(1)</script> [/red]": emt
crystal: {element: Al, structure: fcc}
properties: [lattice, state]
state: {points: 5}
references:
  - {name: "../$_{$", source: "<img src=x onerror=alert(1)>", values: {a: 4.04 angstrom}}
"""
EMBEDDING = """\
study: embedding
potential: emt
structure: {crystal: {element: Al, structure: fcc}}
embedding: {engine: emt, core: {indices: [0]}, cache: CACHE}
converge: {buffers: [2 angstrom, 4 angstrom, 6 angstrom]}
"""


def below(folder: Path) -> set[str]:
    return {
        os.path.relpath(Path(at) / name, folder)
        for at, folders, files in os.walk(folder)
        for name in [*folders, *files]
    }


def test_labels_of_a_case_become_no_files_and_are_shown_as_text(tmp_path):
    home = tmp_path / "a" / "b"
    home.mkdir(parents=True)
    (home / "case.yaml").write_text(ODD)
    case = load_case(home / "case.yaml")
    runner(case)(case, directory=home / "run")
    assert {name for name in below(tmp_path) if not name.startswith("a/b/run/")} == {
        "a",
        "a/b",
        "a/b/case.yaml",
        "a/b/run",
    }
    assert not Path("/tmp/outside").exists()
    assert all(name.isascii() and not {"$", "<", ".."} & set(name) for name in below(home / "run"))
    page = (home / "run" / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert {"properties.png", "eos.png"} <= below(home / "run")


def test_members_of_a_committee_run_in_folders_by_number(tmp_path):
    odd = {"name": "lammps", "pair_style": "eam/alloy", "files": ["../../Al_zhou.eam.alloy"], "elements": ["Al"]}
    path = tmp_path / "case.yaml"
    path.write_text(
        EMBEDDING.replace("potential: emt", f"potential: {{committee: [emt, {odd}]}}").replace(", cache: CACHE", "")
    )
    assert [member.folder for member in members_of(load_case(path))] == ["members/0", "members/1"]


def test_results_of_an_engine_are_filed_under_a_plain_word(tmp_path):
    class Engine:
        name = "../../x:Y\n"

        def identity(self, task):
            return {}

    assert word_of(Engine.name) == ".._.._x_Y_"
    written = save_failure(Engine(), Task(atoms=bulk("Al"), charge=0, spin=0), ["as asked: no"], tmp_path / "failed")
    assert written.parent == tmp_path / "failed"
    assert len(below(tmp_path)) == 3


@pytest.mark.parametrize(
    ("cache", "fine"),
    [
        ("quantum", True),
        ("deep/er/quantum", True),
        (".", True),
        ("../beside", False),
        ("../../../../../../etc", False),
        ("/etc", False),
        ("/proc/self", False),
        ("link", False),
        ("../empty", True),
        ("../results", True),
        ("../foreign", False),
        ("file", True),  # in the case's own folder: that it is a file is told when it is used
    ],
)
def test_a_cache_lies_beside_its_case_or_is_one_already(tmp_path, cache, fine):
    home = tmp_path / "home"
    home.mkdir()
    (home / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "results" / "gpaw-Al4-0123").mkdir(parents=True)
    (tmp_path / "results" / "gpaw-Al4-0123" / BUCKET).write_text("{}")
    (tmp_path / "foreign" / ".ssh").mkdir(parents=True)
    (tmp_path / "foreign" / "thesis.tex").write_text("")
    (home / "link").symlink_to("../foreign")
    (home / "case.yaml").write_text(EMBEDDING.replace("CACHE", cache))
    before = below(tmp_path)
    if fine:
        assert load_case(home / "case.yaml").embedding.cache
    else:
        with pytest.raises(
            CaseError, match=r"case.yaml:4:\d+: embedding.cache: .* lies outside .* folder beside the case"
        ):
            load_case(home / "case.yaml")
    assert below(tmp_path) == before


def test_caches_are_made_before_a_case_is_written_elsewhere(tmp_path):
    make_caches({"study": "embedding", "embedding": {"cache": str(tmp_path / "quantum")}, "learning": {"cache": 5}})
    assert (tmp_path / "quantum").is_dir()
    make_caches({"embedding": {"cache": "/proc/x"}})  # told when the case runs


def test_nothing_is_imported_where_a_case_is_read(tmp_path, monkeypatch):
    (tmp_path / "trap.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "case.yaml"
    path.write_text(EMBEDDING.replace(", cache: CACHE", "").replace("emt", '{calculator: "trap:Trap"}'))
    load_case(path)
    assert "trap" not in sys.modules


@pytest.mark.parametrize(
    ("style", "lines"),
    [
        ("python 5.0", ['* * "trap.Trap" Al']),
        ("mliap model mliappy trap.pkl descriptor sna x", ["* * Al"]),
        ("mliap unified trap.pkl", ["* * Al"]),
    ],
)
def test_potentials_of_lammps_run_no_python(style, lines):
    spec = {
        "name": "lammps",
        "pair_style": style,
        "pair_coeff": lines,
        "files": ["Al_zhou.eam.alloy"],
        "elements": ["Al"],
    }
    with pytest.raises(UnknownPotentialError, match="runs Python code of a file"):
        load_potential(spec)


@pytest.mark.parametrize(
    "text", ["eam/alloy\nshell touch trapped", 'eam/alloy """\nshell touch trapped\n"""', "eam/alloy & shell x"]
)
def test_a_pair_style_is_one_command_of_lammps(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownPotentialError, match="LAMMPS refused"):
        load_potential({"name": "lammps", "pair_style": text, "files": ["Al_zhou.eam.alloy"], "elements": ["Al"]})
    assert below(tmp_path) == set()


def test_the_name_of_a_case_file_leads_nowhere_else(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "case").write_text("")  # in the way, so that nothing is computed
    (tmp_path / "...yaml").write_text(ODD)
    assert main(["run", "...yaml", "--quiet"]) == 2
    assert f"{tmp_path / 'runs' / 'case'} is a file" in capsys.readouterr().err
    assert below(tmp_path) == {"...yaml", "runs", "runs/case"}


@pytest.mark.parametrize(("cache", "fine"), [("quantum", True), ("../elsewhere", False)])
def test_the_cases_of_a_sweep_keep_to_its_folder(tmp_path, cache, fine):
    home = tmp_path / "home"
    home.mkdir()
    (home / "case.yaml").write_text(EMBEDDING.replace("CACHE", cache))
    (home / "sweep.yaml").write_text("case: case.yaml\nparameters: {structure.rattle: [0.1 angstrom, 0.2 angstrom]}\n")
    if fine:
        cases = read_plan(home / "sweep.yaml").cases
        assert {row.data["embedding"]["cache"] for row in cases} == {str(home / "quantum")}
    else:
        with pytest.raises(ValueError, match=r"embedding.cache: .* lies outside"):
            read_plan(home / "sweep.yaml")
    assert below(tmp_path) == {"home", "home/case.yaml", "home/sweep.yaml"}
