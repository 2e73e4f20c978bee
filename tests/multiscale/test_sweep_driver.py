"""The driver of sweeps: budget, retries, limits, stops; kills lose and repeat nothing. A script stands in for the cases."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from multiscale.errors import SweepBrokenError, SweepError
from multiscale.sweep.config import ClusterModel, RunModel
from multiscale.sweep.driver import Driver, case_text
from multiscale.sweep.ledger import CaseRow, Ledger, Parameter, PointValue
from multiscale.sweep.plan import Plan, package_version
from multiscale.sweep.process import CaseTask, ask_to_stop, is_running, process_of, run_case

STAND_IN = Path(__file__).parent / "sweep_stand_in.py"
PROGRAM = (sys.executable, "-S", "-E", str(STAND_IN))


def plan(*behaviours, ranks=(), **run):
    cases = tuple(
        CaseRow(
            hash=f"{number:016x}",
            number=number,
            directory=f"cases/{number:016x}",
            parameters={"p": PointValue(value=number, text=str(number))},
            data={"study": "stand-in", "behaviour": behaviour},
            ranks=dict(enumerate(ranks)).get(number, 1),
        )
        for number, behaviour in enumerate(behaviours)
    )
    return Plan(
        source=Path("sweep.yaml"),
        text="# planned\n",
        design="list",
        parameters=(Parameter(name="p", paths=("p",), unit=""),),
        cases=cases,
        merged=0,
        run=RunModel(**{"cores": 2, "retries": 0, **run}),
        cluster=ClusterModel(),
        version=package_version(),
    )


def drive(directory, planned=None, **changes):
    """Run a plan, or what the ledger holds; returns the summary and the rows."""
    with Driver(directory, program=PROGRAM) as driver:
        driver.go_on() if planned is None else driver.add(planned)
        driver.change(**changes)
        summary = driver.run()
        return summary, driver.ledger.rows()


def starts(directory, number=0):
    return (directory / f"cases/{number:016x}" / "starts.txt").read_text().split("\n")[:-1]


def test_every_case_runs_once_and_is_written_down(tmp_path):
    summary, rows = drive(tmp_path, plan(*[{"steps": 1}] * 5))
    assert (summary.counts, summary.stopped) == ({"DONE": 5}, False)
    assert [row.number for row in rows] == list(range(5))
    for row in rows:
        assert (row.status, row.attempts, row.exit_code, row.reason) == ("DONE", 1, 0, None)
        assert row.seconds >= 0.05
        assert row.started < row.finished
        assert starts(tmp_path, row.number) == ["run 0"]
    assert drive(tmp_path)[0].counts == {"DONE": 5}
    assert all(starts(tmp_path, number) == ["run 0"] for number in range(5))


def test_the_budget_of_cores_is_kept_and_the_widest_cases_come_first(tmp_path):
    begun = []
    with Driver(tmp_path, program=PROGRAM, tell=lambda kind, row: begun.append((kind, row.number))) as driver:
        driver.add(plan({"steps": 4}, {"steps": 4}, {"steps": 1}, {"steps": 1}, ranks=(1, 1, 3, 2), cores=3))
        driver.run()
        spans = [(a["started"], a["finished"], driver.ledger.row(a["hash"]).ranks) for a in driver.ledger.attempts()]
    assert [number for kind, number in begun if kind == "started"][:2] == [2, 3]
    for moment, _, _ in spans:
        assert sum(ranks for begin, end, ranks in spans if begin <= moment < end) <= 3


def test_a_case_that_never_fits_is_refused(tmp_path):
    with pytest.raises(SweepError, match="3 ranks never fits into 2 cores"):
        drive(tmp_path, plan({}, ranks=(3,)))


def test_failures_are_tried_again_as_often_as_asked_and_mistakes_never(tmp_path):
    summary, rows = drive(tmp_path, plan({"fails": 1}, {"fails": 9}, {"mistake": True}, retries=2))
    assert summary.counts == {"DONE": 1, "FAILED": 2}
    assert [row.attempts for row in rows] == [2, 3, 1]
    assert rows[1].reason == "no convergence, try 3"
    assert rows[2].reason == "case.yaml:1:1: a mistake"


def test_what_failed_is_tried_again_on_request_with_all_its_tries(tmp_path):
    drive(tmp_path, plan({"fails": 3}, retries=1))
    assert drive(tmp_path)[1][0].attempts == 2
    with Driver(tmp_path, program=PROGRAM) as driver:
        driver.go_on()
        assert driver.ledger.try_again(("FAILED",)) == 1
        assert driver.run().counts == {"DONE": 1}
    assert len(starts(tmp_path)) == 4


def test_a_killed_case_goes_on_where_it_was(tmp_path):
    _, rows = drive(tmp_path, plan({"killed": True, "steps": 2}, retries=1))
    assert (rows[0].status, starts(tmp_path)) == ("DONE", ["run 0", "resume 1"])
    with Ledger.read(tmp_path) as ledger:
        first = ledger.attempts()[0]
    assert (first["exit_code"], first["outcome"]) == (-signal.SIGKILL, "FAILED")
    assert "SIGKILL" in first["reason"]


def test_a_state_that_is_of_no_use_is_not_tried_twice(tmp_path):
    _, rows = drive(tmp_path, plan({"killed": True, "bad_state": True, "steps": 2}, retries=2))
    assert (rows[0].status, starts(tmp_path)) == ("DONE", ["run 0", "resume 1", "run 0"])


def test_a_case_that_stops_by_itself_goes_on_unless_it_gets_nowhere(tmp_path):
    _, rows = drive(tmp_path, plan({"stops": 2, "steps": 4}, {"stops": 99, "steps": 4, "keeps_nothing": True}))
    assert starts(tmp_path) == ["run 0", "resume 1", "resume 2"]
    assert (rows[1].status, rows[1].attempts) == ("FAILED", 1)
    assert "before it had kept anything new" in rows[1].reason


def test_a_time_limit_stops_a_case_which_can_go_on_with_a_longer_one(tmp_path):
    summary, rows = drive(tmp_path, plan({"steps": 30}, time_limit="0.8 s"))
    assert summary.counts == {"TIMEOUT": 1}
    assert rows[0].exit_code == 75
    assert "time limit of 0.8 s" in rows[0].reason
    with Driver(tmp_path, program=PROGRAM) as driver:
        driver.go_on()
        driver.change(time_limit="60 s")
        assert driver.ledger.try_again(("TIMEOUT",)) == 1
        assert driver.run().counts == {"DONE": 1}
    assert starts(tmp_path)[1].startswith("resume ")


def test_a_case_that_does_not_listen_is_killed_after_its_grace(tmp_path):
    summary, rows = drive(tmp_path, plan({"steps": 2000, "deaf": True}, time_limit="0.8 s", grace="0.1 s"))
    assert summary.counts == {"TIMEOUT": 1}
    assert rows[0].exit_code == -signal.SIGKILL


def test_two_drivers_do_not_work_on_one_sweep(tmp_path):
    with Driver(tmp_path), pytest.raises(SweepError, match=f"process {os.getpid()} on .* is at work"):
        Driver(tmp_path).__enter__()
    with Driver(tmp_path):
        pass


def test_a_full_disk_ends_the_sweep_with_a_message_and_its_cases_well(tmp_path, monkeypatch):
    begin = Ledger.begin

    def full(ledger, digest, **given):
        if digest.endswith("1"):
            raise sqlite3.OperationalError("database or disk is full")
        return begin(ledger, digest, **given)

    monkeypatch.setattr(Ledger, "begin", full)
    with pytest.raises(SweepBrokenError, match="cannot go on: database or disk is full"):
        drive(tmp_path, plan({"steps": 60}, {}))
    assert not is_running(tmp_path / "cases" / f"{0:016x}")
    monkeypatch.undo()
    summary, rows = drive(tmp_path)
    assert summary.counts == {"DONE": 2}
    assert [row.attempts for row in rows] == [2, 1]


def test_a_case_that_was_killed_before_its_report_gets_it_and_does_not_run_again(tmp_path):
    drive(tmp_path, plan({"no_report": True}))
    (tmp_path / "sweep.sqlite").unlink()
    _, rows = drive(tmp_path, plan({"no_report": True}))
    assert (rows[0].status, starts(tmp_path)) == ("DONE", ["run 0"])
    assert (tmp_path / rows[0].directory / "run" / "report.html").exists()


def test_a_lost_ledger_is_made_again_from_the_directories(tmp_path):
    planned = plan({"steps": 1}, {"fails": 1})
    drive(tmp_path, planned)
    (tmp_path / "sweep.sqlite").unlink()
    summary, rows = drive(tmp_path, planned)
    assert summary.counts == {"DONE": 2}
    assert [row.attempts for row in rows] == [0, 1]


def test_a_sweep_of_another_version_is_not_gone_on_with(tmp_path):
    with Driver(tmp_path) as driver:
        driver.add(plan({}))
        driver.ledger.plan((), {"package_version": "0.0.1"})
        with pytest.raises(SweepError, match=r"planned with version 0\.0\.1"):
            driver.go_on()


def test_cases_that_left_the_design_stay_and_are_not_run(tmp_path):
    drive(tmp_path, plan({}, {}))
    summary, rows = drive(tmp_path, plan({"steps": 1}))
    assert summary.counts == {"DONE": 1}
    assert [(row.number, row.planned) for row in rows] == [(0, True), (1, False)]


def test_a_case_file_reads_back_as_it_was_written(tmp_path):
    from multiscale.config.load import read_data

    data = {"a": "1e5", "b": [1, 2.5, None, True], "c d": {"x.y": "no", "ü": 'say "yes": #1'}, "e": 1e-7}
    (tmp_path / "case.yaml").write_text(case_text(data))
    assert read_data(tmp_path / "case.yaml")[0] == data


# A driver as a process of its own: it can be killed.
DRIVER = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_sweep_driver import drive, plan
behaviours = {behaviours!r}
summary, _ = drive(Path({directory!r}), plan(*behaviours))
sys.exit(75 if summary.stopped else 0)
"""


def separate_driver(directory, *behaviours):
    code = DRIVER.format(tests=str(STAND_IN.parent), behaviours=behaviours, directory=str(directory))
    return subprocess.Popen([sys.executable, "-c", code], cwd=STAND_IN.parents[2], start_new_session=True)


def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_a_killed_driver_leaves_its_cases_to_the_next(tmp_path):
    driver = separate_driver(tmp_path, {"steps": 25}, {"steps": 1}, {"steps": 25})
    homes = [tmp_path / "cases" / f"{number:016x}" for number in range(3)]
    until(lambda: (homes[2] / "run" / "checkpoint" / "manifest.json").exists())
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    os.kill(process_of(homes[2]), signal.SIGKILL)
    assert is_running(homes[0])
    summary, rows = drive(tmp_path)
    assert summary.counts == {"DONE": 3}
    assert starts(tmp_path, 0) == ["run 0"], "the case that went on was waited for"
    assert starts(tmp_path, 1) == ["run 0"], "the finished case was not repeated"
    assert starts(tmp_path, 2)[1].startswith("resume "), "the killed case went on where it was"
    assert [row.attempts for row in rows] == [1, 1, 2]
    assert not any(is_running(home) for home in homes)


def test_a_driver_that_is_asked_to_stop_stops_its_cases_and_both_can_go_on(tmp_path):
    driver = separate_driver(tmp_path, {"steps": 200}, {"steps": 200}, {"steps": 1})
    homes = [tmp_path / "cases" / f"{number:016x}" for number in range(2)]
    until(lambda: all((home / "run" / "checkpoint" / "manifest.json").exists() for home in homes))
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(60) == 75
    with Ledger.read(tmp_path) as ledger:
        rows = ledger.rows()
    assert [row.status for row in rows] == ["PENDING"] * 3
    assert "goes on where it was" in rows[0].reason
    assert not any(is_running(home) for home in homes)
    for home in homes:
        state = home / "run" / "checkpoint" / "manifest.json"
        state.write_text(json.dumps({"step": 199}))
    assert drive(tmp_path)[0].counts == {"DONE": 3}
    assert starts(tmp_path)[1] == "resume 199"


def test_asking_twice_kills_a_case_that_does_not_listen(tmp_path):
    driver = separate_driver(tmp_path, {"steps": 2000, "deaf": True})
    home = tmp_path / "cases" / f"{0:016x}"
    until(lambda: (home / "run" / "checkpoint" / "manifest.json").exists())
    driver.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert driver.poll() is None
    driver.send_signal(signal.SIGINT)
    assert driver.wait(60) == 75
    with Ledger.read(tmp_path) as ledger:
        (row,) = ledger.rows()
    assert (row.status, row.exit_code) == ("PENDING", -signal.SIGKILL)
    assert not is_running(home)


def test_a_stranger_with_the_process_number_of_a_case_is_left_alone(tmp_path):
    (tmp_path / "lock").touch()
    (tmp_path / "process.json").write_text(json.dumps({"pid": os.getpid()}))
    assert process_of(tmp_path) is None
    assert not ask_to_stop(tmp_path)


def test_a_case_that_runs_already_is_waited_for_not_started(tmp_path):
    (tmp_path / "case.yaml").write_text(case_text({"behaviour": {"steps": 6}}))
    code = "from multiscale.sweep.process import CaseTask, run_case\n"
    code += f"run_case(CaseTask(directory={str(tmp_path)!r}, program={PROGRAM!r}))"
    other = subprocess.Popen([sys.executable, "-c", code], cwd=STAND_IN.parents[2])
    until(lambda: is_running(tmp_path) and (tmp_path / "starts.txt").exists())
    outcome = run_case(CaseTask(directory=str(tmp_path), program=PROGRAM))
    other.wait()
    assert (outcome.status, outcome.action) == ("DONE", None)
    assert (tmp_path / "starts.txt").read_text() == "run 0\n"
