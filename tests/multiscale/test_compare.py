"""Runs of any study side by side: what differs, on the terminal, as a table and as a page."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from PIL import Image
from synthetic import make_run

from multiscale.cli import main
from multiscale.compare import read_runs, side_by_side
from multiscale.compare_curves import COLOURS, curves_of, draw_curves
from multiscale.report import NotARunError
from multiscale.scalars import Scalar, headings, values_of
from multiscale.units import format_quantity


def changed(path, name, **changes):
    """Write keys of a JSON file anew."""
    data = json.loads((path / name).read_text())
    data.update(changes)
    (path / name).write_text(json.dumps(data))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run, the same again with other numbers, one of another case that failed, one of another study."""
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "first")
    for name in ("again", "softer", "other"):
        shutil.copytree(folder / "first", folder / name)
    results = json.loads((folder / "first" / "results.json").read_text())
    for quantity in results["quantities"]:
        quantity["value"] *= 1 + 1e-9
    (folder / "again" / "results.json").write_text(json.dumps(results))
    case = json.loads((folder / "first" / "run.json").read_text())["case"]
    case["specimen"]["length"] = "30000.0 angstrom"
    changed(folder / "softer", "run.json", case=case, status="failed", error="the load steps <did> not converge")
    (folder / "softer" / "results.json").unlink()
    other = {"study": "defect", "potential": "emt", "crystal": case["crystal"], "defect": {"type": "void"}}
    changed(folder / "other", "run.json", case=other)
    path = folder / "softer" / "separation.csv"
    path.write_text(re.sub(r"^0\.", "1.", path.read_text(), flags=re.M))
    return folder


def test_what_differs_and_what_agrees(runs):
    found = side_by_side([runs / "first", runs / "again", runs / "softer"])
    assert [run.label for run in found.runs] == ["first", "again", "softer"]
    assert [(row.name, row.values) for row in found.case] == [("specimen.length", ("2 µm", "2 µm", "3 µm"))]
    rows = {row.name: row for row in found.quantities}
    assert rows["peak traction"].values == (6.63, 6.63 * (1 + 1e-9), None)
    assert rows["peak traction"].largest == pytest.approx(1e-9, rel=1e-6)
    assert [row.name for row in found.ledger] == ["bulk", "cohesive"]
    assert {"wall time", "phase loading", "inside the potential", "ranks"} <= {row.name for row in found.effort}
    # The same case agrees to nine digits; of another case no agreement is expected.
    agreement, none = found.agreements
    assert agreement.digits == pytest.approx(9.0, abs=1e-3)
    assert none is None


def test_runs_of_two_studies_are_compared_in_what_they_share(runs, capsys):
    assert main(["compare", str(runs / "first"), str(runs / "other")]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^  study +adhesion +defect$", said, re.M)
    assert "The same in all runs: 6 of 6 results" in said
    assert "-o DIR writes a page" in said
    # What the second alone has is there too, however many runs there are.
    assert main(["compare", str(runs / "first"), str(runs / "other"), str(runs / "again")]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^  defect\.type +void$", said, re.M)
    assert re.search(r"^  specimen\.arm_height +200 nm +200 nm$", said, re.M)


def test_a_run_that_has_not_finished_is_said_to_go_on(runs, tmp_path, capsys):
    shutil.copytree(runs / "first", tmp_path / "stopped")
    changed(tmp_path / "stopped", "run.json", status="stopped")
    (tmp_path / "stopped" / "results.json").unlink()
    found = side_by_side([runs / "first", tmp_path / "stopped"])
    assert found.agreements == (None,)
    assert main(["compare", str(runs / "first"), str(tmp_path / "stopped"), "-o", str(tmp_path / "out")]) == 0
    words = f"stopped before its end. Go on with it: multiscale resume {tmp_path / 'stopped'}"
    said = capsys.readouterr().out
    assert words in said
    assert "not the same" not in said
    assert words in (tmp_path / "out" / "comparison.html").read_text()


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ("0.4369056352122535 eV/angstrom**3", "70 GPa"),
        ("0.031207545372303820 eV/angstrom**2", "0.5 J/m²"),
        ("2345.678 angstrom", "234.5678 nm"),
        ("300.0 kelvin", "300 K"),
        ("0.9 K_G", "0.9 K_G"),
        ("no angstrom", "no angstrom"),
        ("eam-al", "eam-al"),
    ],
)
def test_quantities_are_shown_as_people_write_them(held, said):
    assert format_quantity(held) == said


def test_of_curves_that_are_the_same_both_are_seen(runs):
    both = read_runs([runs / "first", runs / "first"])
    figure = draw_curves(both)
    figure.canvas.draw()
    image = np.asarray(figure.canvas.buffer_rgba())[::-1, :, :3].astype(int)
    # The legend is left out: it stands below the panels.
    panel = figure.axes[0].get_window_extent()
    image = image[int(panel.y0) : int(panel.y1), int(panel.x0) : int(panel.x1)]
    for colour in COLOURS[:2]:
        assert (np.abs(image - 255 * np.array(to_rgb(colour))).max(axis=2) < 3).sum() > 50


def test_the_page_the_table_and_the_pictures(runs, tmp_path, capsys):
    folder = tmp_path / "out"
    names = [str(runs / name) for name in ("first", "again", "softer", "other")]
    assert main(["compare", *names, "-o", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "again against first, the same case: agree to 9.0 digits" in said
    table = pd.read_csv(folder / "comparison.csv")
    assert table["run"].tolist() == ["first", "again", "softer", "other"]
    assert table["status"].tolist() == ["finished", "finished", "failed", "finished"]
    assert table["peak traction [GPa]"].isna().tolist() == [False, False, True, False]
    page = (folder / "comparison.html").read_text()
    links = re.findall(r'<td><a href="([^"]+)"', page)
    assert [(folder / link).resolve() for link in links] == [
        runs / name for name in ("first", "again", "softer", "other")
    ]
    assert "the load steps &lt;did&gt; not converge" in page
    assert "specimen.length" in page
    assert page.count("data:image/png;base64") == 1
    with Image.open(folder / "curves.png") as image:
        assert len(np.unique(np.asarray(image.convert("L")))) > 20


def test_curves_that_two_runs_have(runs):
    drawn = curves_of(read_runs([runs / "first", runs / "softer"]))
    assert [one.curve.title for one in drawn] == [
        "Energy of separation",
        "Traction",
        "Load over opening",
        "Cohesive law",
        "Crack tip",
    ]
    first, second = drawn[0].points
    assert not np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_several_of_one_name_are_told_apart():
    scalars = [
        Scalar(name="elastic constant", symbol="C11", unit="GPa"),
        Scalar(name="elastic constant", symbol="C12", unit="GPa"),
        Scalar(name="lattice constant", symbol="a", unit="Å"),
        Scalar(name="lattice constant", symbol="a", unit="Å", place=1),
        Scalar(name="load", symbol="P", unit="N/m"),
        Scalar(name="load", symbol="P", unit="nN"),
    ]
    assert list(headings(scalars).values()) == [
        "elastic constant C11 [GPa]",
        "elastic constant C12 [GPa]",
        "lattice constant [Å]",
        "lattice constant (2) [Å]",
        "load [N/m]",
        "load [nN]",
    ]
    assert len(set(headings(scalars, units=False).values())) == len(scalars)


def test_properties_are_quantities_of_each_potential():
    row = {"property": "C11", "symbol": "C_11", "unit": "GPa", "a": 90.0, "b": "112.7 ± 6.9", "b, difference (%)": -1.0}
    found = {scalar.name: value for scalar, value in values_of({"properties": {"rows": [row]}}).items()}
    assert found == {"C11, a": 90.0, "C11, b": 112.7}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["first"], "nothing to compare with one run"),
        (["first", "nowhere"], "nowhere does not exist"),
        (["first", "."], r"run\.json is missing"),
    ],
)
def test_what_cannot_be_compared_is_refused(runs, names, message):
    with pytest.raises(NotARunError, match=message):
        side_by_side([runs / name for name in names])


def test_a_file_in_the_way_is_told(runs, tmp_path, capsys):
    (tmp_path / "out").write_text("")
    assert main(["compare", str(runs / "first"), str(runs / "again"), "-o", str(tmp_path / "out")]) == 2
    assert "is a file" in capsys.readouterr().err
