"""The committee's spread: members run alone, statistics by hand, failures told, nothing repeated, pictures drawn."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from atomistic import potentials
from multiscale import AdhesionCase, run_adhesion, studies
from multiscale.cli import main
from multiscale.config import CaseError, FractureCase, load_case
from multiscale.report import render
from multiscale.spread import FOLDER, MARK, complete_spread, members_of, prediction
from multiscale.spread_plots import make_spread_plots, spread_band
from multiscale.spread_results import read_spread, spread_of
from multiscale.studies import launch
from multiscale.summary import summary_lines
from tests.mpi import run_mpi
from tests.multiscale import fracture_synthetic

MEMBERS = ["eam-al", "emt"]
BLOCK = {
    "crystal": {"element": "Al", "structure": "fcc"},
    "interface": {"plane": [1, 1, 1]},
    "decohesion": {"mode": "rigid", "opening": {"to": "6 angstrom", "points": 8}, "relax": False},
    "specimen": {"shape": "block", "width": "4 nm", "height": "4 nm"},
    "loading": {"opening": {"to": "0.5 nm", "steps": 3}},
    "verification": {"stacks": []},
    "output": {"fields_every": 0},
}


@pytest.fixture(autouse=True)
def _no_pages(monkeypatch):
    """Reports are drawn where a test looks at them: they take longer than these studies."""
    monkeypatch.setattr(launch, "make_report", lambda path: path)
    monkeypatch.setattr("multiscale.report.make_report", lambda path: path)


def block(potential, **changes):
    return AdhesionCase(potential=potential, **BLOCK, **changes)


def results(directory):
    return json.loads((directory / "results.json").read_text())


def values(directory):
    return {(q["name"], q["symbol"]): q["value"] for q in results(directory)["quantities"]}


def events(directory, kind):
    lines = [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == kind]


def test_members_that_only_doubt_take_no_part():
    three = ["eam-al", "emt", "eam-al-zhou"]
    assert [m.number for m in members_of(block({"committee": three, "voting": [0, 2]}))] == [0, 2]
    assert len(members_of(block({"committee": three}))) == 3
    assert members_of(block({"committee": three, "voting": [1]})) == ()  # one opinion has no spread


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    directory = tmp_path_factory.mktemp("spread") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "make_report", lambda path: path)
        run_adhesion(block({"committee": MEMBERS}), directory=directory)
    return directory


def quantity(name, value, unit="J/m²", symbol="W"):
    return {"name": name, "symbol": symbol, "value": value, "unit": unit, "note": ""}


def test_statistics_by_hand():
    whole = {"quantities": [quantity("work", 2.0), quantity("note", "yes"), quantity("time", 3.0, unit="s")]}
    members = [
        {"quantities": [quantity("work", 1.0), quantity("load", 5.0), quantity("time", 1.0, unit="s")]},
        {"quantities": [quantity("work", 4.0), quantity("note", "no"), quantity("time", 2.0, unit="s")]},
        None,
        {"quantities": [quantity("work", 1.0), quantity("load", None), quantity("rare", True)]},
    ]
    (work,) = spread_of(whole, members)
    assert (work.value, work.mean, work.low, work.high) == (2.0, 2.0, 1.0, 4.0)
    assert work.std == pytest.approx(np.sqrt(3.0))
    assert work.members == (1.0, 4.0, None, 1.0)
    assert work.count == 3


def test_results_of_one_name_are_told_apart_by_their_symbols():
    tables = [
        {"quantities": [quantity("constant", a, symbol="C11"), quantity("constant", b, symbol="C12")]}
        for a, b in ((1.0, 10.0), (3.0, 30.0))
    ]
    first, second = spread_of(tables[0], tables)
    assert (first.symbol, first.mean, second.symbol, second.mean) == ("C11", 2.0, "C12", 20.0)


def test_the_members_of_a_case_are_cases_of_their_own():
    case = block({"committee": MEMBERS})
    first, second = members_of(case)
    assert (first.name, second.name) == ("eam-al", "emt")
    assert second.case.potential == {"committee": MEMBERS, "member": 1}
    assert second.case.specimen == case.specimen
    assert (
        members_of(second.case)
        == members_of(block("emt"))
        == members_of(block({"committee": MEMBERS}, spread="none"))
        == ()
    )
    assert len(members_of(block({"committee": MEMBERS}, spread="none"), asked=True)) == 2


def test_every_result_gets_its_spread_from_the_members_alone(done, tmp_path):
    alone = tmp_path / "emt"
    run_adhesion(block("emt"), directory=alone)
    theirs = [values(done / FOLDER / str(number)) for number in range(2)]
    assert theirs[1] == pytest.approx({**values(alone), ("potential calls", ""): theirs[1][("potential calls", "")]})
    work = read_spread(done)["work of separation, rigid"]
    pair = [table[("work of separation, rigid", "W_sep")] for table in theirs]
    assert work.members == tuple(pair)
    assert work.mean == pytest.approx(np.mean(pair), rel=1e-14)
    assert work.std == pytest.approx(abs(pair[1] - pair[0]) / np.sqrt(2.0), rel=1e-12)
    assert min(pair) < work.value < max(pair)
    told = next(q for q in results(done)["quantities"] if q["name"] == "work of separation, rigid")
    assert told["std"] == work.std
    assert {"peak traction", "largest load", "elastic constant C12"} <= set(read_spread(done))
    assert f"work of separation, rigid: {work.value:.4g} ± {work.std:.2g} J/m²" in summary_lines(done)
    rows = (done / "spread.csv").read_text().splitlines()
    assert rows[1].startswith("result,symbol,unit,committee,mean,std,low,high,member 0: eam-al,member 1: emt")


def test_a_potential_with_all_energies_scaled_scales_the_spread(tmp_path):
    """Stillinger-Weber silicon with ε and 1.04 ε: every energy and stress scales, lengths and ratios do not."""
    source = next((Path(potentials.__file__).parent).rglob("Si_holland_marder.sw")).read_text()
    (tmp_path / "scaled.sw").write_text(source.replace(" 2.1683 ", " 2.255032 "))
    scaled = {"name": "lammps", "pair_style": "sw", "files": [str(tmp_path / "scaled.sw")], "elements": ["Si"]}
    case = AdhesionCase(
        potential={"committee": ["sw-si-brittle", scaled]},
        **BLOCK | {"crystal": {"element": "Si", "structure": "diamond"}},
    )
    run_adhesion(case, directory=tmp_path / "run")
    found = read_spread(tmp_path / "run")
    for name in (
        "work of separation, rigid",
        "peak traction",
        "largest load",
        "elastic constant C11",
        "cohesive energy",
    ):
        spread = found[name]
        assert spread.high == pytest.approx(1.04 * spread.low, rel=1e-5), name
        assert spread.value == pytest.approx(spread.mean, rel=1e-5), name
        assert spread.std == pytest.approx(0.04 / np.sqrt(2.0) * spread.low, rel=1e-3), name
    assert found["lattice constant"].std < 1e-5
    assert found["UBER length"].std < 1e-5


def test_pictures_and_page_show_it(done):
    figures = {path.name: path for path in make_spread_plots(done)}
    assert set(figures) == {"spread.png", "spread_curves.png"}
    page = render(json.loads((done / "run.json").read_text()), results(done), figures)
    assert 'id="spread-of-the-committee"' in page
    assert "± 0.25" in page  # the tile of the work of separation
    assert page.count("data:image/png") == 2


def test_a_finished_member_is_not_repeated_and_another_case_is(done, tmp_path):
    directory = tmp_path / "again"
    shutil.copytree(done, directory)
    case = block({"committee": MEMBERS})
    run_adhesion(case, directory=directory, force=True)
    assert [event["member"] for event in events(directory, "member_kept")] == [0, 1]
    assert results(directory)["spread"] == results(done)["spread"]
    (directory / FOLDER / "1" / MARK).unlink()  # as if it had been killed before its end
    run_adhesion(case, directory=directory, force=True)
    assert [event["member"] for event in events(directory, "member_kept")] == [0]
    assert results(directory)["spread"] == results(done)["spread"]
    longer = AdhesionCase(
        potential={"committee": MEMBERS}, **BLOCK | {"loading": {"opening": {"to": "0.5 nm", "steps": 4}}}
    )
    run_adhesion(longer, directory=directory, force=True)
    assert len(events(directory, "member_finished")) == 2


def test_a_member_that_fails_is_kept_out_and_told(done, tmp_path, monkeypatch):
    directory = tmp_path / "failing"
    shutil.copytree(done, directory)
    (directory / FOLDER / "1" / MARK).unlink()
    story = studies.runner

    def runner(case):
        if case.potential.get("member") == 1:
            raise RuntimeError("struck by lightning")
        return story(case)

    monkeypatch.setattr(studies, "runner", runner)
    complete_spread(directory, comm=launch.MPI.COMM_SELF)
    told = results(directory)
    assert told["spread"]["failed"] == {"1": told["spread"]["failed"]["1"]}
    assert "struck by lightning" in told["spread"]["failed"]["1"]
    assert told["spread"]["rows"] == []
    warnings = " ".join(told["warnings"])
    assert "member 1 (emt) of the committee failed and is kept out of the spread" in warnings
    assert "fewer than two members" in warnings
    (failed,) = events(directory, "member_failed")
    assert failed["member"] == 1
    # When it works the next time nothing is left of the failure.
    monkeypatch.setattr(studies, "runner", story)
    complete_spread(directory, comm=launch.MPI.COMM_SELF)
    assert results(directory)["spread"] == results(done)["spread"]
    assert "fewer" not in " ".join(results(directory)["warnings"])


def test_a_run_that_is_interrupted_among_its_members_is_completed(done, tmp_path, monkeypatch):
    story = studies.runner

    def runner(case):
        if case.potential["member"] == 1:
            raise KeyboardInterrupt
        return story(case)

    with monkeypatch.context() as patch:
        patch.setattr(studies, "runner", runner)
        with pytest.raises(KeyboardInterrupt):
            run_adhesion(block({"committee": MEMBERS}), directory=tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"
    complete_spread(tmp_path / "run", comm=launch.MPI.COMM_SELF)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"
    assert [event["member"] for event in events(tmp_path / "run", "member_kept")] == [0]
    assert results(tmp_path / "run")["spread"]["rows"] == results(done)["spread"]["rows"]


def test_members_are_added_to_a_run_without_them(done, tmp_path, capsys):
    directory = tmp_path / "mean"
    run_adhesion(block({"committee": MEMBERS}, spread="none"), directory=directory)
    assert "spread" not in results(directory)
    assert main(["spread", str(directory), "--quiet"]) == 0
    assert results(directory)["spread"]["rows"] == results(done)["spread"]["rows"]
    assert "± " in capsys.readouterr().out


def test_where_there_is_no_committee_it_is_said(tmp_path, capsys):
    run_adhesion(block("emt"), directory=tmp_path / "plain")
    assert main(["spread", str(tmp_path / "plain"), "--quiet"]) == 2
    assert "no committee" in capsys.readouterr().err
    assert main(["spread", str(tmp_path), "--quiet"]) == 2
    with pytest.raises(ValueError, match="holds no spread"):
        read_spread(tmp_path / "plain")


def test_the_prediction_counts_the_runs():
    rows, warnings = prediction(block({"committee": MEMBERS}))
    assert dict(rows)["runs"].startswith("3:")
    assert warnings == []
    crack = fracture_synthetic.case().model_dump(mode="json", exclude_unset=True)
    rows, warnings = prediction(FractureCase(**{**crack, "potential": {"committee": ["sw-si", "sw-si-brittle"]}}))
    assert "fracture runs 3 times" in warnings[0]
    assert prediction(block("emt")) == ([], [])


@pytest.mark.parametrize(
    ("given", "key", "cause"),
    [
        ({"committee": ["emt"]}, "potential.committee", "two members at least"),
        ({"committee": "emt"}, "potential.committee", "two members at least"),
        ({"committee": ["emt", 3]}, "potential.committee[1]", "expected a potential"),
        ({"committee": ["emt", {"calculator": "EMT"}]}, "potential.committee[1]", "names no class"),
        ({"committee": ["emt", "eam-al"], "voting": [2]}, "potential.voting", "names no members of 2"),
        ({"committee": ["emt", "eam-al"], "member": 2}, "potential.member", "no member 2"),
        ({"committee": ["emt", "eam-al"], "name": "emt"}, "potential", "exactly one of"),
    ],
)
def test_mistakes_in_a_committee_are_told_at_their_key(given, key, cause):
    with pytest.raises(CaseError) as caught:
        block(given)
    (problem,) = caught.value.problems
    assert problem.key == key
    assert cause in problem.cause


def test_files_of_members_are_found_beside_the_case(tmp_path):
    (tmp_path / "Al.eam.alloy").write_text("")
    text = json.dumps(
        BLOCK
        | {
            "study": "adhesion",
            "potential": {
                "committee": [
                    "emt",
                    {"name": "lammps", "pair_style": "eam/alloy", "files": ["Al.eam.alloy"], "elements": ["Al"]},
                ]
            },
        }
    )
    (tmp_path / "case.yaml").write_text(text)
    case = load_case(tmp_path / "case.yaml")
    assert case.potential["committee"][1]["files"] == [str(tmp_path / "Al.eam.alloy")]
    assert [member.name for member in members_of(case)] == ["emt", "Al.eam"]


def test_bands():
    x = np.array([0.0, 1.0, 2.0, 3.0])
    mean, std = spread_band(x, [(x, x), (x[:3], 3.0 * x[:3])])
    assert mean[:3] == pytest.approx(2.0 * x[:3])
    assert std[:3] == pytest.approx(np.sqrt(2.0) * x[:3])
    assert np.isnan(mean[3])
    assert spread_band(x, [(x, x), (x[::-1], x)]) is None


def test_a_crack_has_its_bars(tmp_path):
    run = fracture_synthetic.make_run(tmp_path / "run")
    for number, factor in enumerate((0.9, 1.1)):
        copy = run.path / FOLDER / str(number)
        shutil.copytree(run.path, copy, ignore=shutil.ignore_patterns(FOLDER))
        trapping = json.loads((copy / "trapping.json").read_text())
        trapping["k_plus"] = [factor * value for value in trapping["k_plus"]]
        (copy / "trapping.json").write_text(json.dumps(trapping))
    told = results(run.path)
    plus = quantity("advance toughness", 1.0, unit="MPa√m", symbol="K_+")
    tables = [{"quantities": [plus | {"value": factor}]} for factor in (0.9, 1.1)]
    rows = [row.__dict__ for row in spread_of({"quantities": [plus]}, tables)]
    told["spread"] = {"members": ["a", "b"], "failed": {}, "rows": rows}
    run.write_json("results.json", told)
    run.write_csv("spread.csv", {"result": ["advance toughness"]})
    assert {path.name for path in make_spread_plots(run.path)} == {"spread.png", "spread_curves.png"}


@pytest.mark.slow
def test_two_ranks_give_the_same_spread(done, tmp_path):
    case = {"study": "adhesion", "potential": {"committee": MEMBERS}, **BLOCK}
    (tmp_path / "case.yaml").write_text(json.dumps(case))
    run_mpi(
        2, ["-m", "multiscale", "run", str(tmp_path / "case.yaml"), "-o", str(tmp_path / "run"), "--quiet"], timeout=240
    )
    for name, spread in read_spread(done).items():
        assert read_spread(tmp_path / "run")[name].std == pytest.approx(spread.std, rel=1e-8, abs=1e-12)
