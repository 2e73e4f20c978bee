"""What a sweep has found, gathered from its ledger and its run directories: table, pictures, page."""

import argparse
import html.parser
import json
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sweep_synthetic import LOAD, WORK, make_sweep, one_parameter

from multiscale.cli import main
from multiscale.errors import SweepError
from multiscale.sweep import collect
from multiscale.sweep.collect_plots import axis_of, write_pictures
from multiscale.sweep.collect_table import chosen_scalars, gather
from multiscale.sweep.ledger import Ledger, Parameter


def collected(directory, *options):
    parser = argparse.ArgumentParser()
    collect.add_options(parser)
    return list(collect.collect(directory, parser.parse_args(list(options))))


def plane(length, height):
    return {WORK: 1.0 + height / length, LOAD: height**1.5 / length}


def test_a_row_for_every_case_and_a_column_for_every_result(tmp_path):
    sweep = one_parameter(tmp_path / "sweep")
    said = collected(sweep, "--no-pictures")
    assert said[0] == "7 cases: 1 PENDING, 5 DONE, 1 FAILED"
    table = pd.read_csv(sweep / "collected" / "table.csv")
    assert table["length [nm]"].tolist() == [50.0, 100.0, 150.0, 200.0, 250.0, 300.0, 350.0]
    assert table["status"].tolist() == ["DONE"] * 5 + ["PENDING", "FAILED"]
    expected = 1.0 + 1e-3 * table["length [nm]"][:5]
    assert table["work of separation, rigid [J/m²]"][:5].tolist() == expected.tolist()
    assert table["work of separation, rigid [J/m²]"].isna().tolist() == [False] * 5 + [True] * 2
    assert table["interface"][0] == "(1 1 1)"
    assert table["calls"][:5].tolist() == [40] * 5
    assert table["time of the run itself [s]"][:5].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert table["reason"][6] == "the load steps did not converge <at all>"
    assert (sweep / table["directory"][0] / "results.json").is_file()
    assert not (sweep / "collected" / "parameters.png").exists()


def test_whole_numbers_stay_whole_and_the_times_are_named(tmp_path):
    sweep = make_sweep(tmp_path / "sweep", {"n": ("", [1, 2]), "x": ("nm", [1, 2.5])}, lambda n, x: {WORK: n * x})
    collected(sweep, "--no-pictures")
    head, first = (sweep / "collected" / "table.csv").read_text().splitlines()[:2]
    assert head.startswith("case,n,x [nm],status,")
    assert first.startswith("0,1,1.0,DONE,")
    page = (sweep / "collected" / "index.html").read_text()
    for name in ("time of the run itself", "time of its processes, all attempts"):
        assert name in head
        assert name in page


def test_parquet_holds_the_same_with_units(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    sweep = one_parameter(tmp_path / "sweep")
    collected(sweep, "--no-pictures", "--parquet")
    table = parquet.read_table(sweep / "collected" / "table.parquet")
    text = pd.read_csv(sweep / "collected" / "table.csv", float_precision="round_trip")
    assert table.column_names == text.columns.tolist()
    assert table.field("largest load [N/m]").metadata == {b"unit": b"N/m"}
    assert np.array_equal(table["largest load [N/m]"].to_pandas(), text["largest load [N/m]"], equal_nan=True)


def test_without_pyarrow_the_line_that_installs_it_is_told(tmp_path, monkeypatch):
    sweep = one_parameter(tmp_path / "sweep")
    monkeypatch.setattr("multiscale.sweep.collect_table.importlib.util.find_spec", lambda name: None)
    assert any('pip install "multiscale-mlip[parquet]"' in line for line in collected(sweep, "--no-pictures"))
    with pytest.raises(SweepError, match="pip install"):
        collected(sweep, "--no-pictures", "--parquet")


def test_results_that_vary_are_chosen_and_others_by_name(tmp_path):
    sweep = gather(one_parameter(tmp_path / "sweep"))
    assert [scalar.symbol for scalar in chosen_scalars(sweep, None)] == ["W_sep", "P_max"]
    for name in ("P_max", "largest load", "largest", "load"):
        assert [scalar.symbol for scalar in chosen_scalars(sweep, [name])] == ["P_max"]
    assert [scalar.name for scalar in chosen_scalars(sweep, ["potential calls"])] == ["potential calls"]
    with pytest.raises(SweepError, match=r"no run has a result 'larget load'\. Did you mean .largest load."):
        chosen_scalars(sweep, ["larget load"])


GRID = {"length": ("nm", [50.0, 100.0, 200.0]), "height": ("nm", [10.0, 20.0])}
POINTS = [{"length": 50.0 + 7 * k, "height": 10.0 + k % 5, "kind": "abc"[k % 3]} for k in range(12)]
SHAPES = {
    "one": (dict(list(GRID.items())[:1]), None, lambda length: plane(length, 10.0), ["parameters.png"]),
    "category": ({"kind": (None, ["a", "b", "c"])}, None, lambda kind: plane(50.0, ord(kind)), ["parameters.png"]),
    "grid": (GRID, None, plane, ["parameters.png"]),
    "points": (
        {"length": ("nm", []), "height": ("nm", [])},
        [{"length": 50.0 + k, "height": 10.0 + k % 7 + 0.1 * k} for k in range(9)],
        plane,
        ["parameters.png"],
    ),
    "many": (
        {"length": ("nm", []), "height": ("nm", []), "kind": (None, [])},
        POINTS,
        lambda length, height, kind: plane(length, height + ord(kind)),
        ["parameters.png", "parallel.png"],
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_pictures_for_every_number_of_parameters(tmp_path, shape):
    parameters, points, results, names = SHAPES[shape]
    broken = {"done": 0}

    def fails(**_):
        broken["done"] += 1
        return "FAILED" if broken["done"] == 2 else None

    directory = make_sweep(tmp_path / "sweep", parameters, results, points=points, failed=fails)
    sweep = gather(directory)
    written = write_pictures(sweep, chosen_scalars(sweep, None), tmp_path)
    assert [path.name for path in written] == names
    for path in written:
        with Image.open(path) as image:
            colours = np.asarray(image.convert("RGB")).reshape(-1, 3)
        red = np.abs(colours.astype(int) - (0xC8, 0x44, 0x3A)).max(axis=1) < 12
        assert red.sum() > 20, "the failed case is marked"


def test_nothing_to_draw_is_no_picture(tmp_path):
    directory = make_sweep(tmp_path / "sweep", {"length": ("nm", [1.0, 2.0])}, dict, failed=lambda **_: "PENDING")
    (tmp_path / "parameters.png").write_text("of an earlier time")
    sweep = gather(directory)
    assert write_pictures(sweep, chosen_scalars(sweep, None), tmp_path) == []
    assert not (tmp_path / "parameters.png").exists()


@pytest.mark.parametrize(
    ("values", "log"),
    [
        ([1.0, 10.0, 100.0], True),
        ([1e-4, 3e-4, 1e-3, 3e-3], True),
        ([0.0, 1.0, 10.0], False),
        ([50.0, 100.0, 150.0, 600.0], False),
    ],
)
def test_values_in_equal_ratios_have_a_logarithmic_axis(tmp_path, values, log):
    directory = make_sweep(tmp_path / "sweep", {"length": ("nm", values)}, lambda length: {WORK: length})
    sweep = gather(directory)
    assert axis_of(sweep, sweep.parameters[0]).log is log
    assert axis_of(sweep, Parameter(name="length", paths=(), unit=None)).words == tuple(map(str, values))


class Reader(html.parser.HTMLParser):
    """Links, rows and open elements of a page."""

    def __init__(self):
        super().__init__()
        self.links, self.rows, self.open = [], 0, []

    def handle_starttag(self, tag, attributes):
        self.links += [
            value for name, value in attributes if name in ("href", "src") and not value.startswith(("#", "data:"))
        ]
        self.rows += tag == "tr"
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_links_every_run(tmp_path):
    directory = make_sweep(
        tmp_path / "a sweep", GRID, plane, failed=lambda **p: "FAILED" if p["length"] == 200.0 else None
    )
    picture = directory / "cases" / f"{0:016x}" / "run" / "load_opening.png"
    Image.new("RGB", (900, 600), "white").save(picture)
    said = collected(directory)
    page = directory / "collected" / "index.html"
    assert said[-1] == f"Page: {page}"
    reader = Reader()
    reader.feed(page.read_text())
    assert reader.open == []
    assert {unquote(link) for link in reader.links} == {
        *(f"../cases/{number:016x}/run/report.html" for number in range(4)),
        f"thumbnails/{0:016x}.png",
        "table.csv",
        "../sweep.yaml",
    }
    text = page.read_text()
    assert "the load steps did not converge &lt;at all&gt;" in text
    assert "float32 &lt;noise&gt; (4 of 6 runs)" in text
    with Image.open(directory / "collected" / "thumbnails" / f"{0:016x}.png") as image:
        assert max(image.size) == 150
    # A picture that is gone leaves no thumbnail behind; one cut by a kill is passed over.
    picture.write_bytes(picture.read_bytes()[:40])
    collected(directory, "--no-pictures")
    picture.unlink()
    collected(directory, "--no-pictures")
    assert list((directory / "collected" / "thumbnails").iterdir()) == []


def test_cases_that_left_the_sweep_file_are_left_out(tmp_path):
    directory = one_parameter(tmp_path / "sweep")
    with Ledger.open(directory) as ledger:
        ledger.plan(ledger.rows()[:3], {"parameters": json.dumps([{"name": "length", "paths": ["l"], "unit": "nm"}])})
    said = collected(directory, "--no-pictures")
    assert said[:2] == ["3 cases: 3 DONE", "2 finished cases of earlier sweep files are left out; --all takes them in"]
    assert collected(directory, "--no-pictures", "--all")[0] == "7 cases: 1 PENDING, 5 DONE, 1 FAILED"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--quantity", "P_maks"], "Did you mean"),
        (["--log", "lenght"], 'Did you mean "length"?'),
    ],
)
def test_mistakes_are_told(tmp_path, capsys, options, message):
    directory = one_parameter(tmp_path / "sweep")
    assert main(["sweep", "collect", str(directory), *options]) == 2
    assert message in capsys.readouterr().err
    assert main(["sweep", "collect", str(tmp_path)]) == 2
    assert "holds no sweep" in capsys.readouterr().err
