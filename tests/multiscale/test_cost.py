"""Costs: what a run records of its work, numbers fitted from it, and forecasts that give the recorded seconds back."""

import json

import pytest
from ase.build import bulk

from atomistic.potentials import load_potential
from continuum.tally import booked
from continuum.tally import tallies as solver_tallies
from multiscale import cli
from multiscale.config import load_case
from multiscale.cost.coefficients import Coefficient, Observation, coefficient_of, merged, observe, read_coefficients
from multiscale.cost.dry_run import doubled, learn
from multiscale.cost.forecast import CROWDING, forecast, forecast_stages
from multiscale.cost.machine import FOLDER, Machine, keep, this_machine
from multiscale.cost.meter import Meter
from multiscale.cost.outlines import BESIDE, survey_case
from multiscale.cost.records import read_run
from multiscale.cost.survey import Spent, Stage, Survey
from multiscale.errors import CostError
from multiscale.progress import Progress
from multiscale.studies import runner

BLOCK = """
study: adhesion
potential: {name: emt}
crystal: {element: Cu, structure: fcc}
interface: {plane: [1, 1, 1]}
decohesion: {mode: rigid, planes: 6, opening: {to: 6 angstrom, points: 10}}
specimen: {shape: block, width: 5 nm, height: 4 nm}
loading: {opening: {to: 1 nm, steps: 8}}
verification: {stacks: []}
"""


@pytest.fixture
def block(tmp_path):
    path = tmp_path / "block.yaml"
    path.write_text(BLOCK)
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path / "cost"))


def work(**phases):
    """A record of phases given as (seconds, calls, atoms, seconds inside the potential)."""
    entries = {}
    for name, (seconds, calls, atoms, inside) in phases.items():
        tally = {"calls": calls, "atoms": atoms, "seconds": 9 * inside, "cpu_seconds": inside}
        entries[name.replace("_", " ")] = {
            "seconds": 9 * seconds,
            "cpu_seconds": seconds,
            "potentials": {"emt": tally} if calls else {},
            "solvers": {},
            "peak_memory_bytes": 1,
        }
    return {"phases": entries, "cpu_seconds": 3.0 + sum(entry[0] for entry in phases.values()), "peak_memory_bytes": 1}


def test_a_meter_books_calls_and_solutions_to_the_outermost_phase():
    meter, heard = Meter(), []
    progress = Progress(enabled=False, listener=meter.listening(lambda kind, **fields: heard.append(kind)))
    potential = load_potential({"name": "emt"})
    before = solver_tallies()["solutions"].count
    for size in (1, 2):
        with progress.phase("outer"), progress.phase("inner"):
            potential.evaluate(bulk("Cu", cubic=True) * (size, 1, 1))
            with booked("solutions", unknowns=50, count=3):
                pass
    phases = meter.work()["phases"]
    assert list(phases) == ["outer"]
    assert phases["outer"]["potentials"]["emt"]["calls"] == 2
    assert phases["outer"]["potentials"]["emt"]["atoms"] == 12
    assert phases["outer"]["solvers"]["solutions"]["count"] == 6
    assert phases["outer"]["solvers"]["solutions"]["unknowns"] == 300
    assert solver_tallies()["solutions"].count == before + 6
    assert heard.count("phase_started") == 4


def test_seconds_are_those_of_the_processor_or_the_clock_whichever_are_fewer():
    waiting = {"seconds": 10.0, "cpu_seconds": 2.0, "potentials": {}, "solvers": {}}
    threads = {"seconds": 3.0, "cpu_seconds": 6.0, "potentials": {}, "solvers": {}}
    assert Spent.of(waiting).seconds == 2.0
    assert Spent.of(threads).seconds == 3.0


def test_a_coefficient_is_the_geometric_mean_and_own_runs_draw_it():
    found = coefficient_of([1.0, 4.0, 2.0])
    assert found.value == pytest.approx(2.0)
    assert found.spread == pytest.approx(2.0)
    both = merged({"a": found}, [Observation(key="a", value=8.0), Observation(key="b", value=3.0)])
    assert 2.0 < both["a"].value < 8.0
    assert both["a"].value == pytest.approx((2.0**3 * 8.0**4) ** (1 / 7))
    assert both["b"].value == pytest.approx(3.0)


def test_a_forecast_gives_back_the_run_that_its_coefficients_were_observed_in():
    stages = [
        Stage(phase="crystal", quantity="measured", seconds=0.5),
        Stage(phase="check", quantity="calls", key="c", driver=4.0, atoms=10.0, seconds=0.2, base=20.0),
        Stage(phase="loading", quantity="calls", key="l", driver=6.0, atoms=100.0, seconds=0.1),
        Stage(phase="loading", quantity="rest", key="r", driver=500.0),
        Stage(phase="path", quantity="beside", key="p", driver=7.0),
        Stage(phase="solve", quantity="seconds", key="s", driver=30.0),
        Stage(phase=BESIDE, quantity="seconds", key="i"),
    ]
    # 22 calls of ten atoms, two of which were measured; 40 calls of a hundred.
    recorded = work(
        crystal=(0.5, 0, 0, 0.0),
        check=(4.0, 22, 220, 4.0),
        loading=(10.0, 40, 4000, 4.0),
        path=(2.0, 5, 5, 0.5),
        solve=(6.0, 0, 0, 0),
    )
    for speed in (1.0, 2.5):
        found = merged({}, observe(stages, recorded, speed=speed))
        told = {}
        for stage in forecast_stages(stages, found, speed=speed):
            told[stage.phase] = told.get(stage.phase, 0.0) + stage.seconds
        assert told == pytest.approx(
            {"crystal": 0.5, "check": 4.0, "loading": 10.0, "path": 1.5, "solve": 6.0, BESIDE: 3.0}
        )
        # A machine twice as fast takes half of what is not calls, whose time is measured on it.
        faster = {stage.phase: stage.seconds for stage in forecast_stages(stages, found, speed=2 * speed)}
        assert faster["solve"] == pytest.approx(3.0)
        assert faster["check"] == pytest.approx(4.0)


def test_calls_end_at_the_solvers_bound():
    stage = Stage(phase="path", quantity="calls", key="c", driver=100.0, atoms=1.0, seconds=1.0, most=30.0)
    told = forecast_stages([stage], {"c": Coefficient(value=2.0, spread=1.1, weight=3)}, speed=1.0)
    assert told[0].calls == told[0].seconds == 30.0


@pytest.mark.parametrize(("pieces", "best"), [(1, 1), (8, 4), (2, 2)])
def test_ranks_share_whole_pieces_and_as_many_are_recommended_as_pay(pieces, best):
    survey = Survey(stages=[Stage(phase="cells", quantity="measured", seconds=24.0, pieces=pieces)])
    survey.memory, survey.unknowns, survey.kind = 1000, 40_000, "adhesion"
    usual = {
        CROWDING: Coefficient(value=0.05, spread=1.05, weight=1),
        "memory.adhesion": Coefficient(value=0.02, spread=1.1, weight=3),
    }
    found = forecast(survey, usual, speed=1.0, ranks=[1, 2, 4], memory=10**9)
    for ranks in (1, 2, 4):
        rounds = -(-pieces // ranks)
        assert found.on(ranks).seconds == pytest.approx(24.0 * rounds / pieces * (1 + 0.05 * (ranks - 1)))
        assert found.on(ranks).memory == 2000
    assert found.recommended == best
    # Where the memory of one rank is all there is, one is recommended.
    assert forecast(survey, usual, speed=1.0, ranks=[1, 2, 4], memory=2500).recommended == 1


def test_ranks_are_doubled_up_to_the_most():
    assert doubled(1) == [1]
    assert doubled(6) == [1, 2, 4, 6]


def test_a_run_records_its_work_and_the_next_forecast_learns_from_it(block, tmp_path):
    case = load_case(block)
    runner(case)(case, directory=tmp_path / "runs" / "block")
    record = read_run(tmp_path / "runs" / "block")
    loading, separation = (record.work["phases"][name] for name in ("loading", "separation"))
    assert loading["solvers"]["factorisations"]["count"] >= 1
    assert separation["potentials"]["emt"]["calls"] == 10
    machine = learn(Machine(name="here", cores=2, probe_seconds=1.0, observations={}), [tmp_path / "runs"], speed=1.0)
    told = {o.key: o.value for o in machine.observations[record.key]}
    survey = survey_case(case)
    driver = next(stage.driver for stage in survey.stages if stage.phase == "loading")
    assert told["adhesion.followed.2d"] == pytest.approx(Spent.of(loading).seconds / driver)
    # The survey's own stages are those that the run will repeat; each that is open has a usual number.
    usual, _ = read_coefficients()
    assert {stage.key for stage in survey.stages if stage.key} <= set(usual)
    assert {"potential", "crystal", "separation", "specimen"} <= {s.phase for s in survey.stages if not s.key}
    keep(machine)
    assert this_machine() == machine


def test_a_dry_run_tells_time_and_memory_and_writes_nothing(block, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", str(block), "--dry-run", "--json", "-n", "2"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [layout["ranks"] for layout in told["layouts"]] == [1, 2]
    one = told["layouts"][0]
    assert 0.0 < one["low"] < one["seconds"] < one["high"]
    assert one["memory"] >= told["survey"]["memory"] > 10**7
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "said"), [(["-n", "0"], "expected a number of ranks from 1"), (["--records", "."], "no finished run")]
)
def test_mistakes_of_a_dry_run_are_told(block, tmp_path, capsys, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", str(block), "--dry-run", *options]) == 2
    assert said in capsys.readouterr().err
    assert issubclass(CostError, ValueError)
