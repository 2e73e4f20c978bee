"""Cases of cracks: what is accepted, and that each mistake is told with its place, cause and fix."""

import pickle

import pytest

from multiscale.config import CaseError, FollowModel, FractureCase, StepsModel, load_case
from multiscale.units import Level, UnitError, parse_level

CRACK = """\
study: fracture
potential: sw-si
crystal: {element: Si, structure: diamond}
crack: {plane: [1, 1, 1], front: [1, -1, 0], mode: I}
zone: {radius: 1.2 nm}
body: {shape: disc, radius: 50 nm}
load: {path: follow, start: 0.9 K_G}
"""
STEPS, GRIPS = "path: steps, ", "shape: thin strip, length: 90 nm, crack: 40 nm, height: 30 nm"

MISTAKES = [
    # what is replaced, by what, line, column, key, cause, fix
    ("[1, 1, 1]", "[1, 1, 0.5]", 4, 9, "crack.plane", "is not a lattice plane", "Write [2, 2, 1]"),
    ("[1, 1, 1]", "[1, 1, 1.618]", 4, 9, "crack.plane", "is not a lattice plane", "whole numbers of low index"),
    ("[1, 1, 1]", "[0, 0, 0]", 4, 9, "crack.plane", "all its indices are zero", "[1, 1, 1]"),
    ("[1, 1, 1]", "[1, 1, one]", 4, 23, "crack.plane[2]", "got 'one'", "integer"),
    ("[1, 1, 1]", "[1, 1, .nan]", 4, 9, "crack.plane", "is not a lattice plane", "whole numbers"),
    ("[1, 1, 1], front: [1, -1, 0]", "[1, 1, -2, 1]", 4, 9, "crack.plane", "which only hcp has", "three Miller"),
    ("[1, -1, 0]", "[1, 0, 0]", 4, 27, "crack.front", "does not lie in the plane", "Choose a direction in"),
    ("[1, -1, 0]", "[1, -1]", 4, 27, "crack.front", "has 2 indices", "3 Miller indices"),
    ("mode: I", "growth: [1, 0, -1]", 4, 46, "crack.growth", "not at right angles", "Leave one of them out"),
    ("mode: I", "mode: IV", 4, 46, "crack.mode", "'IV' is no mode", "I, II or III"),
    ("mode: I", "mode: {I: 0}", 4, 46, "crack.mode", "no mode loads nothing", "Write I"),
    ("mode: I", "mode: {I: -1}", 4, 53, "crack.mode.I", "got -1", "greater than or equal to 0"),
    ("mode: I", "mode: {II: .nan}", 4, 53, "crack.mode.II", "got nan", "finite"),
    ("mode: I", "periods: 0", 4, 46, "crack.periods", "got 0", "equal to 1"),
    ("element: Si", "element: Sj", 3, 11, "crystal.element", "'Sj' is not an element", "Did you mean"),
    ("radius: 1.2 nm", "radius: 1.2", 5, 8, "zone.radius", "1.2 has no unit", '"1.2 nm"'),
    ("radius: 1.2 nm", "radius: nan nm", 5, 8, "zone.radius", "not a finite length", "nm"),
    ("radius: 1.2 nm", "radius: 2 nm, blend: 0 nm", 5, 22, "zone.blend", "wider than nothing", "Leave blend out"),
    ("radius: 1.2 nm", "radius: 60 nm", 5, 8, "zone.radius", "the rim of the disc is 50 nm", "the body larger"),
    ("shape: disc", "shape: disk", 6, 8, "body.shape", "'disk' is not one of", 'mean "disc"?'),
    ("radius: 50 nm", "radius: 5 m", 6, 21, "body.radius", "too large to be meshed", "at most"),
    (
        "shape: disc, radius: 50 nm",
        "shape: edge crack, width: 20 nm, height: 40 nm, crack: 20 nm",
        6,
        56,
        "body.crack",
        "must be shorter than width",
        "enlarge",
    ),
    (
        "shape: disc, radius: 50 nm",
        "shape: centre crack, width: 60 nm, height: 40 nm, crack: 40 nm",
        6,
        58,
        "body.crack",
        "shorter than half the width",
        "Shorten",
    ),
    ("0.9 K_G", "0.9", 7, 22, "load.start", "0.9 has no unit", '"0.9 K_G"'),
    ("0.9 K_G", "1 GPa", 7, 22, "load.start", "GPa is a stress", "0.6 MPa*m^0.5"),
    ("0.9 K_G", "nan K_G", 7, 22, "load.start", "must be finite", "0.9 K_G"),
    ("0.9 K_G", "-0.9 K_G", 7, 22, "load.start", "not negative", "0.9 K_G"),
    ("0.9 K_G", "2 nm", 7, 22, "load.start", "a disc has no grips", "take another shape"),
    ("path: follow, ", "", 7, 1, "load", "the key 'path' is missing", "follow or steps"),
    ("path: follow, start: 0.9 K_G", "path: steps", 7, 1, "load", "missing: start, peak, step", "levels"),
    ("path: follow, start: 0.9 K_G", STEPS + "levels: []", 7, 21, "load.levels", "no load", "[0.9 K_G"),
    ("path: follow, start: 0.9 K_G", STEPS + "levels: [0.9]", 7, 30, "load.levels[0]", "no unit", "0.9 K_G"),
    ("path: follow, start: 0.9 K_G", STEPS + "levels: [1 nm]", 7, 21, "load.levels", "a disc has no grips", "K_G"),
    (
        "path: follow, start: 0.9 K_G",
        STEPS + "levels: [1 K_G], peak: 1 K_G",
        7,
        21,
        "load.levels",
        "levels and peak exclude",
        "Leave one",
    ),
    (
        "path: follow, start: 0.9 K_G",
        STEPS + "start: 0.9 K_G, peak: 1 MPa√m, step: 0.1 K_G",
        7,
        37,
        "load.peak",
        "start is given as a share of K_G and peak as a stress intensity",
        "one unit",
    ),
    (
        "path: follow, start: 0.9 K_G",
        STEPS + "start: 0.9 K_G, peak: 0.8 K_G, step: 0.1 K_G",
        7,
        37,
        "load.peak",
        "below the start",
        "Exchange",
    ),
    (
        "path: follow, start: 0.9 K_G",
        STEPS + "start: 0.9 K_G, peak: 1 K_G, step: 0 K_G",
        7,
        50,
        "load.step",
        "steps of nothing",
        "0.05 K_G",
    ),
]


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "case.yaml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(("old", "new", "line", "column", "key", "cause", "fix"), MISTAKES)
def test_each_mistake_has_its_place_cause_and_fix(write, old, new, line, column, key, cause, fix):
    assert CRACK.count(old) == 1
    with pytest.raises(CaseError) as caught:
        load_case(write(CRACK.replace(old, new)))
    (problem,) = caught.value.problems
    assert (problem.line, problem.column, problem.key) == (line, column, key)
    assert cause in str(problem)
    assert fix in str(problem)


def test_grips_pull_in_mode_one_only(write):
    text = CRACK.replace("shape: disc, radius: 50 nm", GRIPS)
    assert load_case(write(text.replace("0.9 K_G", "2 nm"))).load.start == Level(value=20.0, of="length")
    with pytest.raises(CaseError, match=r"4:46: crack\.mode: grips open the crack in mode I.*shape: disc"):
        load_case(write(text.replace("mode: I", "mode: II")))


def test_a_good_case_survives_json(write):
    loaded = load_case(write(CRACK))
    assert isinstance(loaded, FractureCase)
    assert isinstance(loaded.load, FollowModel)
    assert loaded.crack.mode.stroh == (0.0, 1.0, 0.0)
    assert loaded.zone.radius == pytest.approx(12.0)
    assert FractureCase(**loaded.model_dump(mode="json")) == loaded
    assert pickle.loads(pickle.dumps(loaded)) == loaded
    settings = loaded.model_dump(mode="json") | {"load": {"path": "steps", "levels": ["0.6 MPa√m", "1.1 K_G"]}}
    stepped = FractureCase(**settings)
    assert FractureCase(**stepped.model_dump(mode="json")) == stepped


def test_a_ramp_goes_up_to_its_peak_and_down_to_its_end():
    ramp = StepsModel(path="steps", start="0.9 K_G", peak="1.15 K_G", end="0.8 K_G", step="0.1 K_G")
    assert [level.value for level in ramp.wanted] == [0.9, 1.0, 1.1, 1.15, 1.05, 0.95, 0.85, 0.8]
    assert {level.of for level in ramp.wanted} == {"K_G"}
    assert [level.value for level in StepsModel(path="steps", start="1 K_G", peak="1 K_G", step="1 K_G").wanted] == [1]
    listed = StepsModel(path="steps", levels=["0.9 K_G", "1.1 K_G", "1 K_G"])
    assert [level.value for level in listed.wanted] == [0.9, 1.1, 1.0]


@pytest.mark.parametrize(
    ("text", "value", "of"),
    [
        ("0.9 K_G", 0.9, "K_G"),
        ("1.05*KG", 1.05, "K_G"),
        ("90 % K_G", 0.9, "K_G"),
        ("1.602176634 MPa√m", 1.0, "stress intensity"),
        ("1.602176634 MPa*m^0.5", 1.0, "stress intensity"),
        ("1602.176634 kPa·√m", 1.0, "stress intensity"),
        ("1.602176634 MPa*sqrt(m)", 1.0, "stress intensity"),
        ("1 eV/angstrom^2.5", 1.0, "stress intensity"),
        ("2 nm", 20.0, "length"),
    ],
)
def test_levels_are_shares_intensities_or_openings(text, value, of):
    level = parse_level(text)
    assert (level.value, level.of) == (pytest.approx(value, rel=1e-12), of)  # a handful of roundings
    assert parse_level(str(level)) == level


@pytest.mark.parametrize("text", ["K_G", "x K_G", "-1 K_G", "inf K_G", "0.6 MPa", "-1 nm", 0.9, None, True, [1], ""])
def test_other_levels_are_refused(text):
    with pytest.raises(UnitError):
        parse_level(text)
