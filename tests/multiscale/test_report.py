"""Figures and report, from a run directory alone."""

import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from synthetic import make_run

from multiscale.html_parts import format_number
from multiscale.plots import draw_load_opening, draw_separation, draw_specimen, draw_stacks, house_style, read_run
from multiscale.report import NotARunError, make_report

FIGURES = {"separation.png", "stacks.png", "load_opening.png", "specimen.png", "energy.png"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("runs") / "run")
    make_report(run.path)
    return run.path


class Page(HTMLParser):
    """Collects what matters of a page, and whether its tags are balanced."""

    def __init__(self, text):
        super().__init__()
        self.images, self.links, self.ids, self.text, self.open = [], [], set(), "", []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag == "img":
            self.images.append(found)
        if tag == "a":
            self.links.append(found["href"])
        if "id" in found:
            self.ids.add(found["id"])
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


def test_every_figure_is_drawn_and_opens(finished):
    for name in FIGURES:
        with Image.open(finished / name) as image:
            assert image.width > 1000
            colours = np.unique(np.asarray(image.convert("L")))
        assert len(colours) > 20  # not an empty page


def test_the_page_is_whole_offline_and_names_units(finished):
    text = (finished / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert len(page.images) == len(FIGURES)
    assert all(image["src"].startswith("data:image/png;base64,") and image["alt"] for image in page.images)
    assert "http" not in re.sub(r"base64,[^\"]*", "", text)
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids
    for words in (
        "Adhesion of Al(111) with emt",
        "finished",
        "J/m²",
        "GPa",
        "1.19",
        "length: 2 µm",
        "numpy",
        "loading",
    ):
        assert words in page.text
    assert all((finished / link).exists() for link in page.links if not link.startswith("#"))


def test_what_a_run_says_is_escaped(finished):
    text = (finished / "report.html").read_text(encoding="utf-8")
    assert "&lt;not markup&gt;" in text
    assert "<not markup>" not in text


def test_the_report_needs_only_the_directory(finished, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(finished, copy)
    for name in (*FIGURES, "report.html"):
        (copy / name).unlink()
    assert make_report(copy) == copy / "report.html"
    assert FIGURES.issubset(path.name for path in copy.iterdir())


def test_a_failed_run_reports_its_error_and_what_there_is(finished, tmp_path):
    record = json.loads((finished / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**record, "status": "failed", "error": "no equilibrium at 3 nm"}))
    shutil.copy(finished / "separation.csv", tmp_path)
    page = Page(make_report(tmp_path).read_text(encoding="utf-8"))
    assert "no equilibrium at 3 nm" in page.text
    assert "failed" in page.text
    assert len(page.images) == 1


def test_a_directory_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(NotARunError, match=r"holds no run\.json"):
        make_report(tmp_path)
    with pytest.raises(NotARunError, match="does not exist"):
        make_report(tmp_path / "nowhere")
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(NotARunError, match="not valid JSON"):
        make_report(tmp_path)


def test_figures_show_the_numbers_of_the_tables(finished):
    data = read_run(finished)
    with house_style():
        energy, traction = draw_separation(data).axes
        load, tip = draw_load_opening(data).axes
        grid = draw_stacks(data).axes
        specimen = draw_specimen(data).axes
    atoms = energy.lines[0]
    np.testing.assert_array_equal(atoms.get_ydata(), data.separation["energy [j/m^2]"])
    labels = [line.get_label() for line in traction.lines]
    law = traction.lines[labels.index("cohesive law, over δ = Δ − T d/C′")]
    np.testing.assert_array_equal(law.get_ydata(), data.law["traction [gpa]"])
    assert traction.get_ylabel() == "traction (GPa)"
    np.testing.assert_array_equal(load.lines[0].get_ydata(), data.path["load"])
    np.testing.assert_array_equal(tip.lines[0].get_ydata(), data.path["crack tip"])
    assert [axes.get_title(loc="left") for axes in grid[:2]] == ["14 planes", "20 planes"]
    assert len(grid[0].lines) == 3
    zoom = specimen[1]
    assert zoom.get_xlim()[0] < data.path["crack tip"][-1] < zoom.get_xlim()[1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.19, "1.19"), (-0.00012345, "−0.0001234"), (1.7e-7, "1.7 × 10⁻⁷"), (16020, "16\u202f020"), (None, "–"),
        ("(1 1 1)", "(1 1 1)"), (True, "True"), (3.2e12, "3.2 × 10¹²"),
    ],
)  # fmt: skip
def test_numbers_read_well(value, text):
    assert format_number(value) == text
