"""Interfaces and cracks that teach their potential: what a lesson changes, what it carries over, how a killed one goes on."""

import json
import re
from dataclasses import asdict

import numpy as np
import pytest
from ase.build import bulk
from mpi4py import MPI

from atomistic.active_learning import BrokenRunError, labelling
from atomistic.labelled import LabelledFrame, write_frames
from multiscale.config import AdhesionCase, CaseError, FractureCase
from multiscale.config.learning_coupled import learning_rows
from multiscale.errors import LearningStoppedError, StudyError
from multiscale.run import RunDirectory
from multiscale.studies import launch
from multiscale.studies.adhesion import run_adhesion
from multiscale.studies.fracture import run_fracture
from multiscale.studies.learning_checks import coupled_prediction
from multiscale.studies.learning_crack import CrackRun
from multiscale.studies.learning_effect import Effect, effect_warnings, read_results, warn_of_effect
from multiscale.studies.learning_run import RunsInRow
from multiscale.studies.learning_separation import SeparationRun
from multiscale.studies.learning_zone import ZoneRun
from multiscale.summary import summary_lines
from tests.mpi import run_mpi
from tests.multiscale.taught_pairs import TRUTH, pair_potential

LEARNING = {
    "oracle": {"calculator": "tests.multiscale.taught_pairs:oracle", "arguments": {"base": "eam-al"}},
    "threshold": "0.003 eV/angstrom",
    "budget": 12,
    "data": {"frames": 2, "rattle": "0.01 angstrom"},
    "student": {"factory": "tests.multiscale.taught_pairs:PairStudent", "arguments": {"base": "eam-al"}},
}
ADHESION = {
    "potential": "eam-al",
    "crystal": {"element": "Al", "structure": "fcc"},
    "interface": {"plane": [1, 1, 1]},
    "decohesion": {"planes": 6, "mode": "rigid", "opening": {"points": 8}},
    "specimen": {"shape": "block", "width": "6 nm", "height": "4 nm"},
    "mesh": {"elements_in_zone": 2},
    "verification": {"stacks": []},
    "loading": {"opening": {"to": "1 angstrom", "steps": 1}},
}
IRON = {"oracle": LEARNING["oracle"] | {"arguments": {"base": "eam-fe"}}, "threshold": "0.01 eV/angstrom"} | {
    "student": LEARNING["student"] | {"arguments": {"base": "eam-fe"}}
}
FRACTURE = {
    "potential": "eam-fe",
    "crystal": {"element": "Fe", "structure": "bcc"},
    "crack": {"plane": [1, 1, 0], "front": [1, -1, 0]},
    "zone": {"radius": "1.2 nm", "blend": "0.8 nm"},
    "body": {"shape": "disc", "radius": "20 nm"},
    "load": {"path": "steps", "levels": ["0.95 K_G", "1.05 K_G", "1.15 K_G", "1.25 K_G"], "advance": 1},
    "material": {"type": "linear"},
    "solver": {"tolerance": "1e-3 eV/angstrom"},
}


def adhesion(directory, force=False, **learning):
    case = AdhesionCase(**ADHESION, learning=LEARNING | learning)
    return run_adhesion(case, directory=directory, comm=MPI.COMM_SELF, force=force)


def effects(directory):
    results = json.loads((directory / "results.json").read_text())
    return {effect["symbol"]: effect for effect in results["learning_effect"]["effects"]}


def error(effect, when):
    return abs(effect[when] / effect["oracle"] - 1.0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("learning") / "run"
    adhesion(directory)
    return directory


def test_a_lesson_brings_the_law_to_the_oracles(finished):
    found = effects(finished)
    for symbol, least in (("W_sep", 0.03), ("W_rel", 0.03), ("σ_max", 0.03), ("a", 0.005)):
        assert error(found[symbol], "before") > least, symbol
        assert error(found[symbol], "after") < 0.01 * error(found[symbol], "before"), symbol
    results = json.loads((finished / "results.json").read_text())
    own = next(q["value"] for q in results["quantities"] if q["symbol"] == "W_sep")
    assert own == found["W_sep"]["after"]
    assert results["learning"]["stop"] == "finished"
    # Two frames before the run, and each doubt of the way: fewer than the twelve states.
    assert 2 < results["learning"]["oracle_calls"] < 9


def test_the_report_and_the_files_tell_it(finished):
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert "learning_effect.png" in page
    assert "error after" in page
    for name in (
        "learning_effect.csv",
        "learning_effect.png",
        "doubt.csv",
        "taught.json",
        "before/report.html",
        "oracle/law.csv",
    ):
        assert (finished / name).is_file(), name
    rows = (finished / "learning_effect.csv").read_text(encoding="utf-8").splitlines()
    assert rows[1].startswith("name,symbol,unit,before,after,oracle")


def test_the_last_words_are_before_after_and_the_oracles(finished):
    lines = [line for line in summary_lines(finished) if "by the oracle" in line]
    assert any(
        re.match(r"work of separation.*: \S+ J/m² before learning, \S+ J/m² after, \S+ J/m² by", line) for line in lines
    )
    assert any(line.startswith("peak traction: ") for line in lines)


def effect(after, std=None, before=1.193, oracle=1.673):
    row = {"name": "work of separation", "symbol": "W_sep", "unit": "J/m²"}
    return Effect(**row, before=before, after=after, oracle=oracle, std=std)


def test_what_learning_did_not_mend_is_warned_of(tmp_path):
    (both,) = effect_warnings(effect(1.182, 0.022))
    assert both.startswith("work of separation (W_sep): 1.182 ± 0.022 J/m² after learning, 1.673 J/m² by the oracle; ")
    assert "3 standard deviations" in both
    assert "before learning it was 1.193" in both
    (grown,) = effect_warnings(effect(1.182))
    assert "deviations" not in grown
    assert effect_warnings(effect(1.6, 0.03)) == effect_warnings(effect(1.19295)) == effect_warnings(effect(1.6)) == []
    assert effect_warnings(effect(1.67301, 1e-9)) == effect_warnings(effect(1.182, 0.022, oracle=None)) == []
    # In a run's results, with its spread, once.
    run = RunDirectory(tmp_path / "run", comm=MPI.COMM_SELF)
    row = {"name": "work of separation", "symbol": "W_sep", "unit": "J/m²", "value": 1.182, "std": 0.022}
    told = {"learning_effect": {"effects": [asdict(effect(1.182))]}, "spread": {"rows": [row]}, "warnings": ["other"]}
    run.write_json("results.json", told)
    for _ in range(2):
        warn_of_effect(run)
    assert read_results(run.path)["warnings"] == ["other", both]
    assert "1.193 J/m² before learning, 1.182 ± 0.022 J/m² after, 1.673" in summary_lines(run.path)[-1]


def test_data_of_other_elements_and_an_idle_oracle_are_told_before(tmp_path):
    copper = LabelledFrame(atoms=bulk("Cu"), energy=0.0, forces=np.zeros((1, 3)))
    write_frames(tmp_path / "copper.extxyz", [copper])
    data = LEARNING["data"] | {"held_out": str(tmp_path / "copper.extxyz")}
    with pytest.raises(StudyError, match="have Cu") as caught:
        coupled_prediction(AdhesionCase(**ADHESION, learning=LEARNING | {"data": data}))
    assert caught.value.case_keys == ("learning", "data", "held_out")
    idle = AdhesionCase(**ADHESION | {"potential": "sevennet-0"}, learning={"oracle": "sevennet-0"})
    assert ["own backbone" in text for text in coupled_prediction(idle)] == [True]


@pytest.mark.slow
def test_a_lesson_stopped_and_killed_goes_on_with_the_same_bits(finished, tmp_path, monkeypatch):
    label, asked = labelling.label, []

    def killed(*given, **options):
        asked.append(given)
        if len(asked) == 1:
            raise KeyboardInterrupt
        return label(*given, **options)

    monkeypatch.setattr(launch, "make_report", lambda directory: directory)
    monkeypatch.setattr(labelling, "label", killed)
    alone = {"before": False, "compare": "none"}
    with pytest.raises(LearningStoppedError, match="budget") as stopped:
        adhesion(tmp_path / "run", **alone, budget=2)
    assert stopped.value.result.interface is not None
    assert not asked
    warnings = json.loads((tmp_path / "run" / "results.json").read_text())["warnings"]
    assert any("stopped before the run's end" in text for text in warnings), warnings
    with pytest.raises(KeyboardInterrupt):
        adhesion(tmp_path / "run", force=True, **alone)
    adhesion(tmp_path / "run", force=True, **alone)
    for name in ("taught.json", "learning/data/data.extxyz"):
        assert (tmp_path / "run" / name).read_bytes() == (finished / name).read_bytes()
    found = effects(tmp_path / "run")
    assert found["W_sep"]["before"] is None
    assert found["W_sep"]["after"] == effects(finished)["W_sep"]["after"]


@pytest.mark.slow
def test_two_ranks_teach_the_same(finished, tmp_path):
    case = ADHESION | {"learning": LEARNING}
    script = f"""
        from multiscale import AdhesionCase, run_adhesion
        run_adhesion(AdhesionCase(**{case!r}), directory={str(tmp_path / "many")!r})
    """
    run_mpi(2, script, timeout=300.0)
    assert (tmp_path / "many" / "taught.json").read_bytes() == (finished / "taught.json").read_bytes()
    one, many = (
        {symbol: effect["after"] for symbol, effect in effects(directory).items()}
        for directory in (finished, tmp_path / "many")
    )
    assert many == pytest.approx(one, rel=1e-8)


def test_openings_are_resumed_at_the_same_length_on_the_new_crystal():
    case = AdhesionCase(**ADHESION)
    run = SeparationRun(case, pair_potential("eam-al", (0, 0, 0)), comm=MPI.COMM_SELF)
    assert [state.kind for state in run.states] == ["opening", *["strain"] * 3, *["opening"] * 7, "relaxed"]
    for _ in range(6):
        run.advance()
    kept, before = run.snapshot(), run.frame()
    run.advance()
    run.restore(kept)
    run.adopt(pair_potential("eam-al", TRUTH))
    after = run.frame()
    assert run.step == 6
    assert after.note == before.note
    gaps = [frame.atoms.cell[2, 2] - np.ptp(frame.atoms.positions[:, 2]) for frame in (before, after)]
    stretch = after.atoms.cell[0, 0] / before.atoms.cell[0, 0]
    assert stretch == pytest.approx(1.007, abs=1e-3)
    opening = before.note["value"]
    assert gaps[1] - opening == pytest.approx(stretch * (gaps[0] - opening), rel=1e-6)
    while not run.finished:
        run.advance()
    assert run.frame().note["state"] == "relaxed"


class Counted:
    """A run of two steps."""

    def __init__(self, name):
        self.name, self.step, self.potential = name, 0, None

    finished = property(lambda self: self.step >= 2)

    def advance(self):
        self.step += 1

    def frame(self):
        return self.name, self.step

    def snapshot(self):
        return {"step": self.step}

    def restore(self, snapshot):
        self.step = snapshot["step"]

    def adopt(self, potential):
        self.potential = potential


def test_runs_in_a_row_are_one():
    row = RunsInRow([Counted("a"), Counted("b")])
    seen, kept = [], None
    while not row.finished:
        row.advance()
        seen.append((*row.frame(), row.step))
        kept = row.snapshot() if row.step == 1 else kept
    assert seen == [("a", 1, 1), ("a", 2, 2), ("b", 1, 3), ("b", 2, 4)]
    row.restore(kept)
    assert (row.step, row.finished, row.frame()) == (1, False, ("a", 1))
    row.adopt("taught")
    assert [run.potential for run in row.runs] == ["taught", "taught"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"impurity": {"element": "H"}}, "impurity and learning are both given"),
        ({"interface": {"plane": [1, 1, 1], "second": {"crystal": ADHESION["crystal"], "plane": [1, 1, 1]}}},
         "learning looks at one crystal"),
        ({"potential": {"calculator": "a:B"}, "learning": {"oracle": "gpaw"}}, "heads stand on a SevenNet model"),
    ],
)  # fmt: skip
def test_what_cannot_learn_is_refused(change, message):
    with pytest.raises(CaseError, match=re.escape(message)):
        AdhesionCase(**ADHESION | {"learning": LEARNING} | change)


def test_what_is_expected_is_told():
    rows = dict(learning_rows(AdhesionCase(**ADHESION, learning=LEARNING | {"compare": "whole"})))
    assert rows["learning"] == "up to 12 calculations of the oracle"
    assert rows["study"] == "told twice, before and after learning, and by the oracle"
    assert learning_rows(AdhesionCase(**ADHESION)) == []


def crack_run(weights=(0, 0, 0), **changes):
    return CrackRun(FractureCase(**FRACTURE | changes), pair_potential("eam-fe", weights), comm=MPI.COMM_SELF)


@pytest.mark.slow
def test_a_crack_goes_on_at_the_same_share_of_the_new_griffith():
    run = crack_run()
    assert run.frame().config_type == "crystal"
    run.advance()
    run.advance()
    kept = run.snapshot()
    run.advance()
    here = run.frame()
    assert here.note["share_of_griffith"] == pytest.approx(1.15)
    assert 0 < here.judged.sum() < len(here.atoms)
    # Another run, restored: the same bits.
    other = crack_run()
    other.restore(kept)
    assert np.array_equal(other.frame().atoms.positions, run_frame(run, kept).atoms.positions)
    other.advance()
    assert np.array_equal(other.frame().atoms.positions, here.atoms.positions)
    # Taught: another lattice and another K_G, the same share of it, and no restart.
    griffith = run._built.references.griffith
    run.restore(kept)
    run.adopt(pair_potential("eam-fe", TRUTH))
    run.advance()
    assert run.restarts == 0
    assert run.frame().note["share_of_griffith"] == pytest.approx(1.15)
    assert abs(run._built.references.griffith / griffith - 1.0) > 0.002


def run_frame(run, kept):
    run.restore(kept)
    return run.frame()


@pytest.mark.slow
def test_the_state_carried_over_is_nearer_than_the_elastic_field():
    from multiscale.studies.learning_crack import _guess

    run, taught = crack_run(), crack_run(TRUTH)
    run.advance()
    walk = taught._new_walk()
    stage, load = walk.begin(), 0.95 * walk.references.griffith
    method, free = stage.solver.method, stage.solver.method.free
    left = [
        np.linalg.norm(method.evaluate(u).residual[free])
        for u in (_guess(stage, load, run.snapshot()), stage.solver.start(load))
    ]
    assert left[0] < 0.5 * left[1]


@pytest.mark.slow
def test_a_crack_without_equilibrium_is_a_broken_run():
    run = crack_run(load={"path": "steps", "levels": ["1.9 K_G"]}, zone={"radius": "1.2 nm", "blend": "0.8 nm"})
    with pytest.raises(BrokenRunError):
        run.advance()
    assert run.step == 0


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_crack_learns_and_its_toughness_becomes_the_oracles(tmp_path):
    learning = LEARNING | IRON | {"compare": "whole", "excerpt": {}}
    levels = {"path": "steps", "levels": ["0.95 K_G", "1.15 K_G", "1.3 K_G"], "advance": 1}
    case = FractureCase(**FRACTURE | {"load": levels}, learning=learning)
    run_fracture(case, directory=tmp_path / "run", comm=MPI.COMM_SELF)
    found = effects(tmp_path / "run")
    for symbol in ("2γ", "K_G", "K_+"):
        assert error(found[symbol], "after") < 0.1 * error(found[symbol], "before"), symbol
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["learning"]["oracle_calls"] <= 12
    assert (tmp_path / "run" / "learning_effect.png").is_file()


@pytest.mark.slow
def test_a_specimen_goes_on_at_the_same_opening():
    block = {"shape": "block", "width": "9 nm", "height": "5 nm"}
    zone = {"shape": "box", "size": ["1 nm", "1 nm"], "blend": "0.8 nm", "material": {"type": "linear"}}
    case = AdhesionCase(
        **{key: value for key, value in ADHESION.items() if key != "mesh"}
        | {"specimen": block, "zone": zone, "loading": {"opening": {"to": "0.9 angstrom", "steps": 3}}}
    )
    run = ZoneRun(case, pair_potential("eam-al", (0, 0, 0)), comm=MPI.COMM_SELF)
    run.advance()
    kept = run.snapshot()
    run.advance()
    here = run.frame()
    assert here.note["opening"] == pytest.approx(0.6)
    other = ZoneRun(case, pair_potential("eam-al", (0, 0, 0)), comm=MPI.COMM_SELF)
    other.restore(kept)
    other.advance()
    assert np.array_equal(other.frame().atoms.positions, here.atoms.positions)
    run.adopt(pair_potential("eam-al", TRUTH))
    run.advance()
    assert (run.restarts, run.finished) == (0, True)
    assert run.frame().note["opening"] == pytest.approx(0.9)
