"""Case files: what is accepted, and that each mistake is told with its place, cause and fix."""

import pickle

import pytest
from pydantic import ValidationError
from synthetic import case

from multiscale.config import AdhesionCase, CaseError, CrystalModel, DoubleCantileverBeam, load_case
from multiscale.config.load import STUDIES, locate
from multiscale.config.template import TEMPLATES

CASE = """\
study: adhesion
potential: emt
crystal: {element: Al, structure: fcc}
interface: {plane: [1, 1, 1]}
decohesion:
  opening: {to: 6 angstrom, points: 24}
specimen:
  shape: double cantilever beam
  length: 2 um
  arm_height: 200 nm
  initial_crack: 600 nm
loading: {opening: {to: 60 nm, steps: 60}}
"""

MISTAKES = [
    # what is replaced, by what, line, column, key, cause, fix
    ("potential: emt", "potental: emt", 2, 1, "potental", "unknown key", 'mean "potential"?'),
    ("potential: emt\n", "", 1, 1, "potential", "missing", "potential: sevennet-0"),
    ("potential: emt", "potential: 5", 2, 1, "potential", "expected a potential, got 5", "{path: file}"),
    ("potential: emt", "potential: {calculator: EMT}", 2, 1, "potential", "names no class", "module:Class"),
    ("potential: emt", "potential: {path: a.pth}", 2, 1, "potential", "a.pth does not exist", "relative to the case"),
    ("potential: emt", "potential: {name: a, path: b}", 2, 1, "potential", "got name and path", "Write a name"),
    ("study: adhesion", "study: adhesoin", 1, 1, "study", "unknown study", 'mean "adhesion"?'),
    ("element: Al", "element: Alu", 3, 11, "crystal.element", "'Alu' is not an element", "Did you mean"),
    ("element: Al", "element: al", 3, 11, "crystal.element", "'al' is not an element", 'mean "Al"?'),
    ("element: Al, ", "", 3, 1, "crystal", "neither of element and symbols", "element: Al"),
    ("structure: fcc", "structure: fc", 3, 24, "crystal.structure", "'fc' is not one of", 'mean "fcc"?'),
    ("structure: fcc", "structure: rocksalt", 3, 1, "crystal", "rocksalt holds 2 elements", "symbols: [Na, Cl]"),
    ("structure: fcc", "structure: fcc, c: 5 angstrom", 3, 40, "crystal.c", "no lattice constant c", "Leave c out"),
    ("structure: fcc", "structure: fcc, a: 4.05", 3, 40, "crystal.a", "4.05 has no unit", '"4.05 nm"'),
    ("[1, 1, 1]", "[0, 0, 0]", 4, 13, "interface.plane", "all its indices are zero", "[1, 1, 1]"),
    ("[1, 1, 1]", "[1, 1]", 4, 13, "interface.plane", "has 2 indices", "3 Miller indices"),
    ("[1, 1, 1]", "[1, 1, 0.5]", 4, 27, "interface.plane[2]", "got 0.5", "integer"),
    ("[1, 1, 1]", "[0, 0, 0, 1]", 4, 13, "interface.plane", "which only hcp has", "three Miller"),
    ("[1, 1, 1]", "[1, 1, 1, 0]", 4, 13, "interface.plane", "must sum to zero", "[1, 1, -2, 0]"),
    ("[1, 1, 1]}", "[1, 1, 1], growth: [1, 0, 0]}", 4, 31, "interface.growth", "does not lie in the plane", "leave"),
    ("[1, 1, 1]}", "[1, 1, 1], cut: -1}", 4, 31, "interface.cut", "not the number of a gap", "widest"),
    ("to: 6 angstrom", "to: 6", 6, 13, "decohesion.opening.to", "6 has no unit", '"6 nm"'),
    ("points: 24", "points: 5", 6, 29, "decohesion.opening.points", "got 5", "greater than or equal to 6"),
    ("points: 24", "point: 24", 6, 29, "decohesion.opening.point", "unknown key", 'mean "points"?'),
    ("decohesion:\n", "decohesion:\n  file: no.csv\n", 6, 3, "decohesion.file", "no.csv does not exist", "relative"),
    ("double cantilever beam", "double cantilever", 8, 3, "specimen.shape", "'double cantilever' is not", "beam"),
    ("  shape: double cantilever beam\n", "", 7, 1, "specimen", "key 'shape' is missing", "imported"),
    ("length: 2 um", "length: 2 umm", 9, 3, "specimen.length", "unit 'umm'", 'mean "um"?'),
    ("arm_height: 200 nm", "arm_heigt: 200 nm", 10, 3, "specimen.arm_heigt", "unknown key", 'mean "arm_height"?'),
    ("arm_height: 200 nm", "arm_height: -2 nm", 10, 3, "specimen.arm_height", "greater than zero", "positive length"),
    ("arm_height: 200 nm", "arm_height: nan nm", 10, 3, "specimen.arm_height", "not a finite length", "200 nm"),
    ("arm_height: 200 nm", "arm_height: 2 GPa", 10, 3, "specimen.arm_height", "GPa is a stress", "200 nm"),
    ("  arm_height: 200 nm\n", "", 7, 1, "specimen.arm_height", "missing", "arm_height: 200 nm"),
    (
        "initial_crack: 600 nm",
        "initial_crack: 3 um",
        11,
        3,
        "specimen.initial_crack",
        "(3 µm) must be shorter",
        "Short",
    ),
    ("steps: 60", "steps: 0", 12, 32, "loading.opening.steps", "got 0", "greater than or equal to 1"),
    ("to: 60 nm", "to: 1 um", 12, 21, "loading.opening.to", "beyond the height of the specimen, 400 nm", "Lower"),
    ("loading: {", "mesh: fine\nloading: {", 12, 1, "mesh", "expected a mapping, got 'fine'", "degree"),
    ("loading: {", "mesh: {degree: 3}\nloading: {", 12, 8, "mesh.degree", "3 is not one of", "1 or 2"),
    ("loading: {", "mesh: {cell: hexahedron}\nloading: {", 12, 8, "mesh.cell", "plane strain", "triangle"),
    ("loading: {", "law: {stiffness_cap: 0.5}\nloading: {", 12, 7, "law.stiffness_cap", "got 0.5", "equal to 1"),
    ("loading: {", "law: {1: 2}\nloading: {", 12, 1, "law", "the key 1 is not text", "Write a name"),
    ("loading: {", "device: gpu\nloading: {", 12, 1, "device", "got 'gpu'", "cuda"),
]


@pytest.fixture
def write(tmp_path):
    def write(text, name="case.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize(("old", "new", "line", "column", "key", "cause", "fix"), MISTAKES)
def test_each_mistake_has_its_place_cause_and_fix(write, old, new, line, column, key, cause, fix):
    assert CASE.count(old) >= 1
    path = write(CASE.replace(old, new, 1))
    with pytest.raises(CaseError) as caught:
        load_case(path)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column, problem.key) == (line, column, key)
    assert cause in problem.cause
    assert fix in problem.fix
    assert str(problem).startswith(f"{path}:{line}:{column}: {key}: ")


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", ":1:1", ["the file is empty", "multiscale init"]),
        ("# only a comment\n", ":1:1", ["expected a mapping", "nothing"]),
        ("- a\n- b\n", ":1:1", ["expected a mapping", "a list"]),
        ("hello\n", ":1:1", ["expected a mapping", "'hello'"]),
        ("study: adhesion\nstudy: adhesion\n", ":2:1", ["duplicate key 'study'", "Keep one"]),
        ("study: adhesion\ncrystal: {element: Al\n", ":3:1", ["not valid YAML", "brackets"]),
        ("study: adhesion\n\tcrystal: 5\n", ":2:1", ["not valid YAML", "spaces, not tabs"]),
        ("study: a: b\n", ":1:9", ["not valid YAML", "colon"]),
        ("study: &a [*a]\n", ":1:12", ["alias *a stands within what it repeats"]),
        ("? [1, 2]\n: 3\nstudy: adhesion\n", ":1:3", ["not text"]),
        ("crystal: {}\n", ":1:1", ["'study' is missing", "adhesion"]),
        ("stduy: adhesion\n", ":1:1", ["'study' is missing", "stduy"]),
        (b"\x89PNG\r\n\x1a\n\x00\xff", ":1:1", ["not a text file in UTF-8"]),
        ("study: adhesion\nlaw: &a {b: *a, c: &c [*c]}\n", ":2:13", ["stands within"]),
        (b"study: \x00\n", ":1:8", ["not valid YAML", "U+0000"]),
    ],
)
def test_a_file_that_is_no_case_gets_one_clear_message(write, text, place, words):
    path = write(text)
    with pytest.raises(CaseError) as caught:
        load_case(path)
    assert len(caught.value.problems) == 1
    assert str(caught.value).startswith(f"{path}{place}: ")
    for word in words:
        assert word in str(caught.value)


def test_a_missing_file_suggests_its_neighbour(write):
    path = write(CASE)
    with pytest.raises(CaseError, match=r"no such file. Did you mean .*case.yaml"):
        load_case(path.with_name("cse.yaml"))
    with pytest.raises(CaseError, match="this is a directory"):
        load_case(path.parent)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(write):
    path = write(CASE.replace("Al", "Xx").replace("2 um", "2").replace("steps: 60", "steps: none"))
    with pytest.raises(CaseError) as caught:
        load_case(path)
    assert [problem.line for problem in caught.value.problems] == [3, 9, 12]


def test_a_good_case_holds_angstrom_and_survives_json(write):
    loaded = load_case(write(CASE))
    assert loaded == case()
    beam = loaded.specimen
    assert isinstance(beam, DoubleCantileverBeam)
    assert (beam.length, beam.arm_height, beam.initial_crack) == (20000.0, 2000.0, 6000.0)
    assert loaded.loading.opening.to == pytest.approx(600.0, rel=1e-14)
    assert loaded.crystal.species == ("Al",)
    assert AdhesionCase(**loaded.model_dump(mode="json")) == loaded
    assert pickle.loads(pickle.dumps(loaded)) == loaded


def test_files_are_found_beside_the_case_file(write, monkeypatch, tmp_path):
    write("opening [angstrom],energy [J/m^2]\n0,0\n", "curve.csv")
    path = write(CASE.replace("opening: {to: 6 angstrom, points: 24}", "file: curve.csv"))
    monkeypatch.chdir("/")
    assert load_case(path).decohesion.file == tmp_path / "curve.csv"
    both = write(CASE.replace("decohesion:\n", "decohesion:\n  file: curve.csv\n"))
    with pytest.raises(CaseError, match=r"6:3: decohesion\.file: file and opening exclude each other"):
        load_case(both)


def test_a_driver_meets_the_same_mistakes_as_a_file():
    good = case().model_dump(mode="json")
    with pytest.raises(CaseError) as caught:
        AdhesionCase(**{**good, "crystal": {"element": "Alu", "structure": "fcc"}, "mesch": {}})
    assert {problem.key for problem in caught.value.problems} == {"crystal.element", "mesch"}
    assert 'Did you mean "mesh"?' in str(caught.value)
    with pytest.raises(ValidationError, match="fcc holds 1 element"):
        CrystalModel(symbols=("Na", "Cl"), structure="fcc")


def test_cases_are_frozen_and_errors_travel_between_ranks():
    with pytest.raises(ValidationError):
        case().device = "cuda"
    with pytest.raises(CaseError) as caught:
        AdhesionCase(study="adhesion")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_compounds_hcp_and_other_specimens_are_cases_too(write):
    text = CASE.replace("{element: Al, structure: fcc}", "{element: Mg, structure: hcp, c: 5.2 angstrom}")
    assert load_case(write(text.replace("[1, 1, 1]", "[0, 0, 0, 1]"))).crystal.c == 5.2
    text = CASE.replace("{element: Al, structure: fcc}", "{symbols: [Ni, Al], structure: CsCl}")
    assert load_case(write(text)).crystal.structure == "B2"
    good = case().model_dump(mode="json")
    block = AdhesionCase(**{**good, "specimen": {"shape": "block", "width": "20 nm", "height": "70 nm"}})
    assert block.specimen.height == pytest.approx(700.0)


@pytest.mark.parametrize(
    ("study", "sections"),
    [
        ("active-learning", ()),
        ("adhesion", ("law", "decohesion", "mesh", "solver", "verification", "output")),
        ("contact", ("decohesion", "path", "mesh")),
        ("defect", ("material", "compare", "solver", "output")),
        ("embedding", ()),
        ("fracture", ("material", "solver", "output")),
    ],
)
def test_the_commented_case_files_are_valid_and_name_the_defaults(write, study, sections):
    loaded = load_case(write(TEMPLATES[study]))
    for section in sections:
        assert getattr(loaded, section) == type(getattr(loaded, section))()
    assert set(TEMPLATES) == set(STUDIES)


DEFECT = """\
study: defect
potential: eam-al
crystal: {element: Al, structure: fcc}
body: {plane: [1, 1, 1], size: [40 nm, 40 nm]}
defect: {type: void, radius: 0.8 nm}
strain: {xx: 0.01}
zone: {shape: around, margin: 1.2 nm}
method: bgfc
"""

DEFECT_MISTAKES = [
    ("type: void", "type: viod", 5, 10, "defect.type", "'viod' is not one of", 'mean "void"?'),
    ("type: void, ", "", 5, 1, "defect", "the key 'type' is missing", "vacancy, void, dipole or inclusion"),
    ("type: void, radius: 0.8 nm", "type: void", 5, 1, "defect.radius", "missing", "radius: 0.8 nm"),
    (
        "type: void, radius: 0.8 nm",
        "type: dipole, character: edge, separation: 3 nm",
        5,
        24,
        "defect.character",
        "dipoles of edge dislocations are not built",
        "character: screw",
    ),
    ("type: void, radius: 0.8 nm", "type: dipole, separation: 50 nm", 5, 24, "defect.separation", "height", "together"),
    ("type: void, rad", "type: inclusion, element: Al, rad", 5, 27, "defect.element", "is no defect", "another"),
    ("0.8 nm}", "0.8 nm, center: [0 nm]}", 5, 38, "defect.center", "has 1 coordinates", "Write 2"),
    ("structure: fcc", "structure: hcp", 3, 24, "crystal.structure", "fcc or bcc, not hcp", "another crystal"),
    ("[40 nm, 40 nm]", "[40 nm]", 4, 26, "body.size", "1 lengths for a body of dimension 2", "30 nm"),
    ("[1, 1, 1]", "[1, 1, 1, 1]", 4, 8, "body.plane", "must sum to zero", "[1, 1, -2, 1]"),
    ("[1, 1, 1]", "[1, 1, -2, 1]", 4, 8, "body.plane", "four indices", "three"),
    ("plane: [1, 1, 1]", "growth: [1, 1, -2]", 4, 8, "body.growth", "needs its plane", "plane too"),
    ("[1, 1, 1]", "[1, 1, 1], growth: [1, 1, 1]", 4, 26, "body.growth", "does not lie in the plane", "leave"),
    ("[1, 1, 1]", "[1, 1, 1], dimension: 3", 4, 40, "body.size", "2 lengths for a body of dimension 3", "10 nm"),
    ("size: [40 nm, 40 nm]", "dimension: 3, size: [4 nm, 4 nm, 4 nm]", 4, 8, "body.plane", "means nothing", "Leave"),
    ("xx: 0.01", "xx: 1%", 6, 10, "strain.xx", "got '1%'", "number"),
    ("xx: 0.01", "xx: 0.3", 6, 10, "strain.xx", "got 0.3", "less than or equal to 0.2"),
    ("shape: around", "shape: round", 7, 8, "zone.shape", "'round' is not one of", 'mean "around"?'),
    ("margin: 1.2 nm", "margin: 12", 7, 23, "zone.margin", "12 has no unit", '"12 nm"'),
    ("margin: 1.2 nm", "margin: 1.2 nm, blend: 0 nm", 7, 39, "zone.blend", "needs a blend", "Leave blend out"),
    ("shape: around, margin", "shape: disc, center: [0 nm], radius", 7, 21, "zone.center", "1 entries", "Write 2"),
    (
        "around, margin: 1.2 nm",
        "band, points: [[0 nm], [1 nm]], half_width: 1 nm",
        7,
        30,
        "zone.points[0]",
        "1 coord",
        "2",
    ),
    ("method: bgfc", "method: shwarz", 8, 1, "method", "'shwarz' is not", 'mean "schwarz"?'),
    ("1.2 nm}\nmethod: bgfc", "1.2 nm, blend: 1 nm}\nmethod: qce", 7, 39, "zone.blend", "has no blend", "bgfc"),
    ("method: bgfc", "solver: {tolerance: 1 eV}", 8, 10, "solver.tolerance", "eV is an energy", "eV/angstrom"),
]


@pytest.mark.parametrize(("old", "new", "line", "column", "key", "cause", "fix"), DEFECT_MISTAKES)
def test_each_mistake_in_a_defect_has_its_place_cause_and_fix(write, old, new, line, column, key, cause, fix):
    assert DEFECT.count(old) == 1
    path = write(DEFECT.replace(old, new))
    with pytest.raises(CaseError) as caught:
        load_case(path)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column, problem.key) == (line, column, key)
    assert cause in str(problem)
    assert fix in str(problem)


def test_a_good_defect_survives_json(write):
    loaded = load_case(write(DEFECT))
    assert loaded.zone.margin == pytest.approx(12.0)
    assert loaded.solver.tolerance == 1e-4
    assert type(loaded)(**loaded.model_dump(mode="json")) == loaded
    assert pickle.loads(pickle.dumps(loaded)) == loaded


def test_a_key_is_located_or_the_closest_above_it(write):
    path = write(CASE)
    assert locate(path, ("interface", "plane")) == (("interface", "plane"), 4, 13)
    assert locate(path, ("crystal", "symbols")) == (("crystal",), 3, 1)
