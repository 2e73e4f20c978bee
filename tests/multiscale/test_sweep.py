"""Sweep files: fields by path, designs, units, names of cases, and mistakes told at their place in the file."""

import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiscale.cli import main
from multiscale.config import CaseError, load_case
from multiscale.sweep.config import ParameterModel, SweepCase
from multiscale.sweep.design import points_of
from multiscale.sweep.fields import FieldError, parse_path, path_text, with_fields
from multiscale.sweep.inputs import digest_of
from multiscale.sweep.ledger import CaseRow, Ledger
from multiscale.sweep.plan import read_plan
from multiscale.sweep.status import status_lines
from multiscale.sweep.values import at_share, limits, point_value, unit_of

DOCS = Path(__file__).parents[2] / "docs" / "sweeps.md"
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("sweep_*.yaml"))
CASE = """\
study: properties
potentials: emt
crystal: {element: Al, structure: fcc}
properties: [lattice]
"""


@pytest.fixture
def planned(tmp_path):
    """Plans a sweep of the case above from the text of its file."""
    (tmp_path / "case.yaml").write_text(CASE)

    def read(text):
        path = tmp_path / "sweep.yaml"
        path.write_text(text if "case:" in text else f"case: case.yaml\n{text}")
        return read_plan(path)

    return read


name = st.text(
    st.characters(blacklist_characters=".[]", blacklist_categories=("Cs", "Cc", "Z")), min_size=1, max_size=5
)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.tuples(name, st.lists(st.one_of(name, st.integers(0, 99)), max_size=4)))
def test_a_path_reads_back_as_it_is_written(keys):
    path = (keys[0], *keys[1])
    assert parse_path(path_text(path)) == path


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "[0]", "a[x]", "a[0", "a[0]b", "a.[0]", "a[-1]"])
def test_what_is_no_path_is_refused(text):
    with pytest.raises(FieldError, match="is not a path"):
        parse_path(text)


def test_fields_are_set_in_mappings_lists_and_sections_that_are_missing():
    data = {"a": {"b": 1}, "l": [{"x": 1}, {"x": 2}], "n": None}
    changed = with_fields(data, {("a", "b"): 2, ("l", 1, "x"): 3, ("new", "deep", "k"): 4, ("n", "k"): 5})
    assert changed == {"a": {"b": 2}, "l": [{"x": 1}, {"x": 3}], "new": {"deep": {"k": 4}}, "n": {"k": 5}}
    assert data == {"a": {"b": 1}, "l": [{"x": 1}, {"x": 2}], "n": None}
    for keys in (("l", 2, "x"), ("l", "x"), ("a", 0), ("a", "b", "c"), ("new", 0)):
        with pytest.raises(FieldError):
            with_fields(data, {keys: 1})


def test_a_grid_has_all_combinations_and_the_last_parameter_runs_fastest(planned):
    plan = planned(
        "parameters:\n  crystal.a: [4 angstrom, 0.41 nm]\n  s: {path: state.points, from: 9, to: 13, points: 3, integer: true}\n"
    )
    values = [(row.parameters["crystal.a"].value, row.parameters["s"].value) for row in plan.cases]
    assert values == [(pytest.approx(a), n) for a in (4.0, 4.1) for n in (9, 11, 13)]
    assert [(p.name, p.paths, p.unit) for p in plan.parameters] == [
        ("crystal.a", ("crystal.a",), "angstrom"),
        ("s", ("state.points",), ""),
    ]
    assert plan.cases[4].data["crystal"]["a"] == "0.41 nm"
    assert plan.cases[4].data["state"] == {"points": 11}


def test_one_parameter_sets_several_fields(planned):
    plan = planned("parameters:\n  n: {paths: [state.points, vacancy.starts], values: [5, 7]}\n")
    assert [(row.data["state"]["points"], row.data["vacancy"]["starts"]) for row in plan.cases] == [(5, 5), (7, 7)]


@pytest.mark.parametrize("design", ["latin-hypercube", "sobol"])
def test_samples_fill_their_ranges_and_come_again_by_their_seed(design):
    def drawn(seed):
        axes = {
            "a": {"from": "1 nm", "to": "100 nm", "scale": "log"},
            "b": {"from": 2, "to": 5, "integer": True},
            "c": list("xy"),
        }
        sweep = SweepCase(case={}, design=design, samples=32, seed=seed, parameters=axes)
        return points_of(sweep)

    points = drawn(3)
    assert points == drawn(3) != drawn(4)
    shares = sorted(math.log(float(p["a"].removesuffix(" nm"))) / math.log(100) for p in points)
    # One sample in each of 32 equal parts of the range: so are both designs made.
    assert [math.floor(share * 32) for share in shares] == list(range(32))
    assert {p["b"] for p in points} == {2, 3, 4, 5}
    assert [p["c"] for p in points].count("x") == 16


@settings(max_examples=60, deadline=None, derandomize=True)
@given(low=st.floats(1e-3, 1e3), factor=st.floats(1.001, 1e4), share=st.floats(0, 1), log=st.booleans())
def test_values_stay_within_their_range(low, factor, share, log):
    scale = "log" if log else "linear"
    bounds = limits(low, low * factor, scale=scale, integer=False)
    value = at_share(share, bounds, scale=scale, integer=False)
    assert low * (1 - 1e-8) <= value <= low * factor * (1 + 1e-8)


def test_units_of_values():
    assert unit_of(["200 nm", "0.2 um"]) == "nm"
    assert point_value("0.2 um", "nm").value == pytest.approx(200.0)
    assert unit_of(["0.9 K_G", "1.1 K_G"]) == "K_G"
    assert unit_of([1, 2.5]) == ""
    assert (
        unit_of(["200 nm", "1 GPa"])
        is unit_of(["emt", "eam-al"])
        is unit_of([1, "x"])
        is unit_of([True, False])
        is None
    )
    assert point_value({"calculator": "a:B"}, None).value == "a:B"
    assert point_value([1, 1, 1], None).text == "[1, 1, 1]"


def test_a_case_has_one_name_whatever_unit_its_values_are_written_in(planned):
    plan = planned("parameters:\n  crystal.a: [4 angstrom, 0.4 nm, 400 pm, 4.1 angstrom]\n")
    assert (len(plan.cases), plan.merged) == (2, 2)
    again = planned("design: list\npoints: [{crystal.a: 400 pm, state.points: 11}]\n")
    assert again.cases[0].hash == plan.cases[0].hash, "11 points are the default"


def test_the_name_changes_with_the_version_and_with_what_is_in_a_model_file_and_not_with_its_place():
    case = {"potential": {"path": "/a/model.pth"}, "x": 1.0}
    moved = {"potential": {"path": "/b/model.pth"}, "x": 1.0}
    first = digest_of(case, {"/a/model.pth": "00"}, "1")
    assert first == digest_of(moved, {"/b/model.pth": "00"}, "1")
    assert first != digest_of(case, {"/a/model.pth": "01"}, "1")
    assert first != digest_of(case, {"/a/model.pth": "00"}, "2")
    assert re.fullmatch("[0-9a-f]{16}", first)


def test_model_files_of_names_and_input_files_are_hashed(planned, tmp_path):
    import hashlib

    table = tmp_path / "Al.eam.alloy"
    table.write_text("parameters")
    spec = "{name: lammps, pair_style: eam/alloy, files: [Al.eam.alloy], elements: [Al]}"
    plan = planned(f"parameters:\n  potentials: {{values: [eam-al, {spec}, emt], labels: [named, own, none]}}\n")
    named, own, none = (row.inputs for row in plan.cases)
    assert [Path(path).suffix for path in named] == [".alloy"]
    assert own == {str(table): hashlib.sha256(b"parameters").hexdigest()}
    assert none == {}
    assert [row.parameters["potentials"].value for row in plan.cases] == ["named", "own", "none"]


MISTAKES = {
    "parameters:\n  crystal.aa: [4 angstrom]\n": "sweep.yaml:3:3: crystal.aa: unknown key 'aa'. Did you mean \"a\"?",
    "parameters:\n  crystall.a: [4 angstrom]\n": "sweep.yaml:3:3: crystall: unknown key 'crystall'. Did you mean \"crystal\"?",
    "parameters:\n  crystal.a: [4 angstrom, 4.1]\n": "sweep.yaml:3:27: crystal.a: 4.1 has no unit.",
    "parameters:\n  crystal.a: {from: 4 angstrom, to: 5 GPa, points: 3}\n": "sweep.yaml:3:33: parameters.crystal.a.to: '5 GPa'",
    "parameters:\n  crystal.a: {from: 5 GPa, to: 4 nm}\n": "sweep.yaml:3:15: parameters.crystal.a.from: '5 GPa' is not",
    "parameters:\n  crystal.a: []\n": "sweep.yaml:3:3: parameters.crystal.a: this is empty. Give at least 1 item.",
    "parameters:\n  crystal.a: {from: 4 nm, to: 3 nm, points: 3}\n": "sweep.yaml:3:27: parameters.crystal.a.to: the range ends",
    "parameters:\n  crystal.a: {from: 4 nm, too: 3 nm}\n": "sweep.yaml:3:27: parameters.crystal.a.too: unknown key 'too'",
    "parameters:\n  crystal.a: {from: 4 nm, to: 5 nm}\n": "sweep.yaml:3:3: parameters.crystal.a: a grid needs the number",
    "parameters:\n  crystal.a: 4 nm\n": "sweep.yaml:3:3: parameters.crystal.a: 4 nm alone varies nothing",
    "parameters:\n  crystal.a: {values: [4 nm], labels: [a, b]}\n": "sweep.yaml:3:31: parameters.crystal.a.labels: 2 labels",
    "parameters:\n  a: {path: crystal..a, values: [4 nm]}\n": "sweep.yaml:3:7: parameters.a.path: 'crystal..a' is not a path",
    "parameters:\n  properties[3]: [lattice]\n": "sweep.yaml:3:3: properties has 1 item, counted from 0; there is no [3]",
    "parameters:\n  potentials: [emt, eam-all]\n": "sweep.yaml:3:21: potentials.eam-all: unknown potential 'eam-all'.",
    "parameters:\n  crystal: [{element: Al}]\n  crystal.a: [4 nm]\n": "sweep.yaml:4:3: parameters.crystal.a: crystal.a and",
    "parametres:\n  crystal.a: [4 nm]\n": "sweep.yaml:2:1: parametres: unknown key 'parametres'. Did you mean \"parameters\"?",
    "case: cass.yaml\nparameters: {a: [1]}\n": 'sweep.yaml:1:1: case: there is no case file .*Did you mean "case.yaml"?',
    "case: {study: propertys}\nparameters: {a: [1]}\n": "sweep.yaml:1:8: study: unknown study 'propertys'. Did you mean",
    "study: properties\npotentials: emt # case: none\n": "sweep.yaml:1:1: study: this is a case, not a sweep.",
    "design: latin\n": "sweep.yaml:2:1: design: 'latin' is not one of the choices. Did you mean \"latin-hypercube\"?",
    "design: sobol\nsamples: 10\nparameters: {state.strain: {from: 0.02, to: 0.04}}\n": "sweep.yaml:3:1: samples: .*8 or 16",
    "design: list\npoints: [{crystal.a: 4 nm}, {crystal.b: 4 nm}]\n": 'sweep.yaml:3:30: points.1..crystal.b: .*mean "crystal.a"',
    "parameters: {state.points: [5]}\nrun: {time_limit: 20}\n": "sweep.yaml:3:7: run.time_limit: 20 has no unit.",
    "parameters: {state.points: [5]}\nrun: {cores: 1, ranks: 2}\n": "sweep.yaml:3:17: run.ranks: a case of 2 ranks never fits",
    "parameters: {state.points: [5]}\nrun: {executor: slrum}\n": "sweep.yaml:3:7: run.executor: 'slrum' .*slurm",
    "hello case:": "sweep.yaml:1:",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_told_at_its_place(planned, text):
    with pytest.raises(CaseError) as caught:
        planned(text)
    assert re.search(
        re.escape(MISTAKES[text]).replace(r"\.\*", ".*").replace(r"points\.1\.\.", "points.1.."), str(caught.value)
    )


def test_a_mistake_of_some_combinations_says_which(planned):
    with pytest.raises(CaseError) as caught:
        planned("parameters:\n  crystal.structure: [fcc, rocksalt]\n  state.points: [5, 7]\n")
    (problem,) = caught.value.problems
    assert problem.file.endswith("case.yaml")
    assert "in 2 of 4 cases, such as crystal.structure = rocksalt, state.points = 5" in problem.cause


def test_a_mistake_in_the_varied_case_is_told_in_its_own_file(tmp_path):
    (tmp_path / "case.yaml").write_text(CASE.replace("element", "elment"))
    (tmp_path / "sweep.yaml").write_text("case: case.yaml\nparameters: {state.points: [5, 7]}\n")
    with pytest.raises(CaseError, match=r"case\.yaml:3:11: crystal\.elment: unknown key"):
        read_plan(tmp_path / "sweep.yaml")


def test_a_sweep_is_not_run_as_a_case(tmp_path):
    (tmp_path / "sweep.yaml").write_text("case: case.yaml\nparameters: {state.points: [5, 7]}\n")
    with pytest.raises(CaseError, match=r"sweep\.yaml:1:1: this is a sweep, not a case\. Write multiscale sweep "):
        load_case(tmp_path / "sweep.yaml")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_the_examples_can_be_planned(path):
    assert len(read_plan(path).cases) >= 2


def test_every_key_is_documented_and_no_other():
    from multiscale.sweep.config import ClusterModel, RunModel

    rows = DOCS.read_text(encoding="utf-8").split("## Keys")[1].split("\n## ")[0].splitlines()
    documented = {
        key for row in rows if row.startswith("| `") for key in re.findall(r"`([A-Za-z_.]+)`", row.split("|")[1])
    }
    top = {name for name in SweepCase.model_fields if name not in ("run", "cluster", "parameters")}
    nested = {f"parameters.NAME.{field.alias or name}" for name, field in ParameterModel.model_fields.items()}
    nested |= {f"run.{name}" for name in RunModel.model_fields} | {
        f"cluster.{name}" for name in ClusterModel.model_fields
    }
    assert documented == top | nested


def test_from_a_file_to_results_and_status_on_the_command_line(tmp_path, capsys):
    (tmp_path / "case.yaml").write_text(CASE)
    sweep, directory = tmp_path / "sweep.yaml", tmp_path / "out"
    sweep.write_text(
        "case: case.yaml\nparameters:\n  crystal.a: [3.9 angstrom, 4.1 angstrom]\nrun: {cores: 2, retries: 0}\n"
    )
    assert main(["sweep", str(sweep), "--dry-run"]) == 0
    assert capsys.readouterr().out.count("crystal.a = ") == 2
    assert not directory.exists()
    assert main(["sweep", str(sweep), "-o", str(directory)]) == 0
    assert "2 DONE" in capsys.readouterr().out
    with Ledger.read(directory) as ledger:
        rows = ledger.rows()
        found = [json.loads((ledger.run_directory(row) / "results.json").read_text()) for row in rows]
    assert [q["value"] for q in found[0]["quantities"][:1]] == [
        pytest.approx(q["value"]) for q in found[1]["quantities"][:1]
    ]
    assert main(["sweep", "resume", str(directory)]) == 0
    assert all(row.attempts == 1 for row in rows)
    assert main(["sweep", "status", str(directory)]) == 0
    assert "2 DONE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["status"], "needs the directory of a sweep"),
        (["status", "{}"], "holds no sweep"),
        (["resume", "{}"], "holds no sweep"),
        (["statis", "{}"], "Did you mean `multiscale sweep status"),
        (["{}/none.yaml"], "no such file"),
        (["status", "{}", "--cores", "0"], "leaves nothing to run on"),
        (["{}/none.yaml", "--time-limit", "0 s"], "--time-limit: '0 s' must be greater than zero"),
        (["resume", "{}", "--time-limit", "5"], "--time-limit: 5 has no unit"),
    ],
)
def test_mistakes_on_the_command_line(tmp_path, capsys, words, told):
    assert main(["sweep", *(word.format(tmp_path) for word in words)]) == 2
    assert told in capsys.readouterr().err


def test_settings_that_do_not_fit_are_refused_before_anything_runs(tmp_path, capsys):
    (tmp_path / "case.yaml").write_text(CASE)
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text("case: case.yaml\nparameters: {state.points: [5, 7]}\nrun: {cores: 2, ranks: 2}\n")
    assert main(["sweep", str(sweep), "--dry-run", "--cores", "1"]) == 2
    assert "a case of 2 ranks never fits into cores: 1" in capsys.readouterr().err


def test_a_ledger_that_is_gone_is_told_and_how_it_comes_back(tmp_path, capsys):
    directory = tmp_path / "my sweep"
    (directory / "cases").mkdir(parents=True)
    assert main(["sweep", "status", str(directory)]) == 2
    told = capsys.readouterr().err
    assert "is gone. Start the sweep again by its sweep file" in told
    assert f"-o '{directory}'" in told


def test_a_sweep_is_not_started_in_the_directory_of_a_run(tmp_path, capsys):
    (tmp_path / "case.yaml").write_text(CASE)
    (tmp_path / "sweep.yaml").write_text("case: case.yaml\nparameters: {state.points: [5, 7]}\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    assert main(["sweep", str(tmp_path / "sweep.yaml"), "-o", str(tmp_path / "run")]) == 2
    assert f"{tmp_path / 'run' / 'run.json'} is there" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    ("ranks", "cores", "told"),
    [
        (1, "2", "10 s a case so far, all its attempts; about 20 s left with 2 cases at once on 2 cores"),
        (2, "2", "about 30 s left with 1 case at once on 2 cores"),
        (1, "inf", "about 30 s left if one ran after another; no limit of cores is known"),
    ],
)
def test_the_time_left_is_shared_by_the_cores(tmp_path, ranks, cores, told):
    with Ledger.open(tmp_path) as ledger:
        rows = [
            CaseRow(hash=str(n), number=n, directory=f"cases/{n}", parameters={}, data={}, ranks=ranks)
            for n in range(4)
        ]
        ledger.plan(rows, {"source": "sweep.yaml"})
        ledger.begin("0", started="2026-01-01T00:00:00+00:00", host="here")
        ledger.end("0", status="DONE", outcome="DONE", reason=None, facts={"seconds": 10.0})
        ledger.note("cores", cores)
    assert told in status_lines(tmp_path)[-1]
