"""The run directory: complete, strict, whole files, and read back by what a user reads it with."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
from synthetic import case, make_run

from multiscale.config import AdhesionCase
from multiscale.run import RunDirectory, RunExistsError, describe_potential, strict_json
from multiscale.tables import TableError, read_table


def strict_loads(text):
    def refuse(name):
        raise ValueError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_run_json_tells_where_a_result_comes_from(tmp_path):
    run = make_run(tmp_path / "run")
    record = strict_loads(run.file("run.json").read_text())
    assert record["status"] == "finished"
    assert AdhesionCase(**record["case"]) == case()
    assert record["packages"]["numpy"] == np.__version__
    assert record["mpi"]["ranks"] == 1
    assert record["potential"]["calls"] == 61
    assert list(record["phases"]) == ["potential", "crystal", "separation", "loading", "report"]
    assert 1e7 < record["peak_memory_bytes_by_rank"][0] < 1e11
    assert record["host"]["cores"] >= 1
    assert record["command"]


def test_it_refuses_to_mix_two_runs_unless_told(tmp_path):
    make_run(tmp_path / "run")
    with pytest.raises(RunExistsError, match=r"not empty.*--force"):
        RunDirectory(tmp_path / "run")
    again = RunDirectory(tmp_path / "run", force=True)
    assert len(again.file("events.jsonl").read_text().splitlines()) == 1
    assert not again.file("results.json").exists()
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunExistsError, match="is a file"):
        RunDirectory(tmp_path / "file")
    with pytest.raises(RunExistsError, match="cannot be made"):
        RunDirectory(tmp_path / "file" / "below")


def test_events_are_strict_json_lines_written_at_once(tmp_path):
    run = RunDirectory(tmp_path)
    run.event("step", load=np.float64(3.5), residual=float("nan"), where=Path("a"), seconds=2.0)
    first, second = (strict_loads(line) for line in run.file("events.jsonl").read_text().splitlines())
    assert first["event"] == "run_started"
    assert (second["load"], second["residual"], second["where"], second["seconds"]) == (3.5, None, "a", 2.0)
    assert second["elapsed"] >= 0


def test_tables_read_back_to_the_last_bit_by_pandas_and_by_us(tmp_path):
    run = RunDirectory(tmp_path)
    values = np.array([0.1, np.nan, 1 / 3])
    columns = {
        "opening": [1.0, 2.0, 3.0],
        "energy [eV]": values,
        "energy [J]": values * 2,
        "stable": [True, False, True],
    }
    run.write_csv("t.csv", columns, units={"opening": "nm"}, comment="made by a test\nin two lines")
    frame = pandas.read_csv(run.file("t.csv"), comment="#")
    assert list(frame.columns) == ["opening [nm]", "energy [eV]", "energy [J]", "stable"]
    np.testing.assert_array_equal(frame["energy [eV]"], values)
    table = read_table(run.file("t.csv"))
    np.testing.assert_array_equal(table["energy"], values)
    np.testing.assert_array_equal(table["energy [j]"], values * 2)
    np.testing.assert_array_equal(table["stable"], [1, 0, 1])
    assert table.units["opening"] == "nm"
    assert table.get("absent", "opening") is table["opening"]
    assert table.get("absent") is None


def test_a_table_that_makes_no_sense_is_refused(tmp_path):
    run = RunDirectory(tmp_path)
    with pytest.raises(ValueError, match="one length"):
        run.write_csv("t.csv", {"a": [1, 2], "b": [1]})
    with pytest.raises(ValueError, match="no columns"):
        run.write_csv("t.csv", {"a": [1, 2]}, units={"b": "nm"})
    assert not run.file("t.csv").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no table"),
        ("a,b\n", "holds no table"),
        ("a,b\n1,2\n3\n", ":3: 1 cells under 2 headings"),
        ("a,b\n1,x\n", ":2: 'x' is not a number"),
    ],
)
def test_a_broken_table_is_told_with_its_line(tmp_path, text, words):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(TableError, match=words):
        read_table(path)


def test_other_peoples_headers_are_read(tmp_path):
    path = tmp_path / "dft.csv"
    path.write_text("# from a paper\nOpening (nm), Energy (J/m^2)\n0,0\n0.1,0.2\n")
    table = read_table(path)
    assert table.units == {"opening": "nm", "opening [nm]": "nm", "energy": "J/m^2", "energy [j/m^2]": "J/m^2"}


def test_strict_json_takes_what_science_throws_at_it():
    @dataclass
    class Point:
        x: float
        names: frozenset

    data = {"a": np.arange(2), "b": float("inf"), "c": Point(1.0, frozenset("ba")), 3: np.bool_(True), "case": case()}
    read = strict_loads(strict_json(data))
    assert read["a"] == [0, 1]
    assert read["b"] is None
    assert read["c"] == {"x": 1.0, "names": ["a", "b"]}
    assert read["3"] is True
    assert read["case"]["specimen"]["length"] == "20000.0 angstrom"


def test_fields_are_written_in_nanometres_and_gigapascal(tmp_path):
    run = RunDirectory(tmp_path)
    one = np.array([[10.0, 20.0]])
    run.write_fields(
        SimpleNamespace(points=one, triangles=[[0, 0, 0]], displacement=one, triangle_von_mises=np.array([1.0]))
    )
    with np.load(run.file("fields_last.npz")) as fields:
        np.testing.assert_allclose(fields["points"], [[1.0, 2.0]], rtol=1e-15)
        assert fields["von_mises"][0] == pytest.approx(160.2176634, rel=1e-15)


def test_other_ranks_write_nothing(tmp_path):
    other = SimpleNamespace(rank=1, size=2, bcast=lambda value, root: None, gather=lambda value, root: None)
    run = RunDirectory(tmp_path / "run", comm=other)
    run.event("step")
    run.write_json("a.json", {})
    run.finish("finished")
    assert not (tmp_path / "run").exists()


def test_a_potential_is_described_by_capabilities_and_counter():
    @dataclass
    class Capabilities:
        name: str = "emt"
        model_sha256: str | None = None

    @dataclass
    class Counter:
        calls: int = 3

    potential = SimpleNamespace(capabilities=Capabilities(), counter=Counter())
    assert describe_potential(potential) == {"name": "emt", "model_sha256": None, "calls": 3}
