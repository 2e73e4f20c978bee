"""The properties study from end to end: several potentials, references, committees, every file, and mistakes in a case."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mpi4py import MPI

from atomistic.errors import CrystalError
from atomistic.properties import Property
from multiscale import PropertiesCase, run_properties
from multiscale.cli import main
from multiscale.config import CaseError, load_case
from multiscale.config.properties import named_potentials
from multiscale.progress import Progress
from multiscale.studies import properties

ROOT = Path(__file__).parents[2]
SMALL = {
    "crystal": {"element": "Al", "structure": "fcc"},
    "vacancy": {"sizes": [2, 3]},
    "surfaces": {"planes": [[1, 1, 1]], "heights": ["6 angstrom", "10 angstrom"]},
    "faults": [
        {"plane": [1, 1, 1], "direction": [1, 1, -2], "points": 13},
        {"plane": [1, 1, 1], "points": 6, "relax": False},
    ],
}
REFERENCES = [
    {"name": "experiment", "values": {"a": "0.405 nm", "C11": "114.3 GPa", "stacking_fault(111)": "0.166 J/m^2"}},
    {"name": "PBE", "source": "two digits", "values": {"a": "4.04 angstrom", "vacancy": "650 meV"}},
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("properties") / "run"
    case = PropertiesCase(potentials=["eam-al", "eam-al-mendelev"], references=REFERENCES, **SMALL)
    return run_properties(case, directory=directory, comm=MPI.COMM_SELF)


def test_potentials_stand_side_by_side(run):
    table = pd.read_csv(run.directory / "properties.csv", comment="#").set_index("property")
    assert list(table.columns) == [
        "unit", "eam-al", "eam-al: convergence", "eam-al-mendelev", "eam-al-mendelev: convergence", "experiment", "PBE",
    ]  # fmt: skip
    assert table.loc["a", "eam-al"] == pytest.approx(run.value("eam-al", "a"), rel=1e-12)
    # Units cross once: eV/Å³ to GPa, eV/Å² to mJ/m² and J/m².
    assert table.loc["C11", "eam-al"] == pytest.approx(run.value("eam-al", "C11") * 160.2176634, rel=1e-12)
    assert table.loc["surface(111)", "unit"] == "J/m²"
    assert table.loc["vacancy_volume", "unit"] == "Ω"
    assert table.loc["stacking_fault(111)", "unit"] == "mJ/m²"
    assert table.loc["stacking_fault(111)", "experiment"] == pytest.approx(166.0, rel=1e-6)
    assert table.loc["a", "experiment"] == pytest.approx(4.05, rel=1e-12)
    assert table.loc["vacancy", "PBE"] == pytest.approx(0.65, rel=1e-12)
    assert np.isnan(table.loc["vacancy", "experiment"])
    # Mendelev et al. fitted the fault, Cai and Ye did not.
    assert table.loc["stacking_fault(111)", "eam-al-mendelev"] > 100.0 > table.loc["stacking_fault(111)", "eam-al"]
    assert not table.index.duplicated().any()


def test_differences_are_from_the_first_reference_that_has_the_value(run):
    rows = {
        row["symbol"]: row for row in json.loads((run.directory / "results.json").read_text())["properties"]["rows"]
    }
    a = run.value("eam-al", "a")
    assert rows["a"]["eam-al, difference (%)"] == pytest.approx(100.0 * (a / 4.05 - 1.0), abs=1e-4)
    assert rows["E_v"]["eam-al, difference (%)"] == pytest.approx(
        100.0 * (run.value("eam-al", "vacancy") / 0.65 - 1.0), rel=0.01
    )
    assert rows["E_coh"].get("eam-al, difference (%)") is None


def test_a_reference_without_a_computed_value_is_told():
    values = {"surface(210)": "1 J/m^2", "a": "4.05 angstrom", "C11": "114 GPa"}
    case = PropertiesCase(potentials=["eam-al"], references=[{"name": "PBE", "values": values}], **SMALL)
    keys = ("a", "vacancy", "surface(111)", "surface(100)")
    known = [
        properties.PropertySet(label="x", potential="x", properties=tuple(Property(key=k, value=1.0) for k in keys))
    ]
    assert properties.unused_references(case, known) == [
        "surface(210) of the reference PBE is left out: it was not computed. Computed were surface(111), surface(100)",
        f"C11 of the reference PBE is left out: it was not computed. Computed were {', '.join(keys)}",
    ]


def test_the_details_agree_with_the_table(run):
    cells = pd.read_csv(run.directory / "vacancy.csv")
    cells = cells[cells["potential"] == "eam-al"]
    assert list(cells["sites"]) == [32, 108]
    slope = cells["sites"].to_numpy() * cells["zero pressure [eV]"].to_numpy()
    assert (slope[1] - slope[0]) / (108 - 32) == pytest.approx(run.value("eam-al", "vacancy"), rel=1e-9)
    slabs = pd.read_csv(run.directory / "surfaces.csv")
    assert slabs["relaxed [J/m²]"].iloc[0] / 16.02176634 == pytest.approx(run.value("eam-al", "surface(111)"), rel=1e-3)
    lines = pd.read_csv(run.directory / "gamma_lines.csv")
    assert len(lines) == 2 * 13
    assert len(pd.read_csv(run.directory / "eos.csv")) == 2 * 11


def test_the_report_shows_everything(run):
    page = (run.directory / "report.html").read_text()
    for picture in ("properties", "eos", "vacancy", "gamma_lines", "gamma_surface"):
        assert (run.directory / f"{picture}.png").stat().st_size > 10_000
        assert f"{picture}.png" in page
    assert "Properties of Al with eam-al, eam-al-mendelev" in page
    assert 'href="#properties"' in page
    assert "<td>γ<sub>sf</sub>(111)</td>" in page
    assert "PBE: two digits." in page
    record = json.loads((run.directory / "run.json").read_text())
    assert set(record["potentials"]) == {"eam-al", "eam-al-mendelev"}
    assert record["potentials"]["eam-al"]["calls"] > 50


def test_a_committee_has_error_bars(tmp_path):
    case = PropertiesCase(
        potentials={"both": {"committee": ["eam-al", "eam-al-zhou"]}, "one": "eam-al"},
        properties=["elastic", "cohesion"],
        crystal=SMALL["crystal"],
        references=REFERENCES,
    )
    result = run_properties(case, directory=tmp_path / "run", comm=MPI.COMM_SELF)
    table = pd.read_csv(tmp_path / "run" / "properties.csv", comment="#").set_index("property")
    first, second = table.loc["C44", "both: member 0"], table.loc["C44", "both: member 1"]
    assert first == pytest.approx(table.loc["C44", "one"], rel=1e-9)
    assert table.loc["C44", "both: std"] == pytest.approx(abs(first - second) / np.sqrt(2.0), rel=1e-9)
    # The mean potential has a crystal of its own, between those of its members.
    low, high = sorted(m.get("a").value for m in result.members["both"])
    assert low < result.value("both", "a") < high
    rows = {r["symbol"]: r for r in json.loads((tmp_path / "run" / "results.json").read_text())["properties"]["rows"]}
    assert re.fullmatch(r"[\d.]+ ± [\d.]+", rows["C_44"]["both"])
    assert isinstance(rows["C_44"]["one"], float)
    alone = run_properties(case.model_copy(update={"spread": "none"}), directory=tmp_path / "mean", comm=MPI.COMM_SELF)
    assert alone.members == {}


def test_a_potential_without_the_crystal_leaves_the_others(tmp_path):
    """Aluminium in the diamond structure is unstable by one potential and holds by the other."""
    crystal = {"element": "Al", "structure": "diamond"}
    case = PropertiesCase(potentials=["eam-al", "eam-al-mendelev"], crystal=crystal, properties=["elastic"])
    result = run_properties(case, directory=tmp_path / "run", comm=MPI.COMM_SELF)
    assert [s.label for s in result.sets] == ["eam-al-mendelev"]
    assert result.warnings[0].startswith(
        "eam-al gives no properties of this crystal: The diamond crystal of Al is elastically unstable"
    )
    with pytest.raises(CrystalError, match="elastically unstable"):
        run_properties(
            case.model_copy(update={"potentials": {"eam-al": "eam-al"}}),
            directory=tmp_path / "none",
            comm=MPI.COMM_SELF,
        )


def test_one_potential_has_headlines(tmp_path, capsys):
    (tmp_path / "case.yaml").write_text(
        "study: properties\npotentials: eam-cu\ncrystal: {element: Cu, structure: fcc}\nproperties: [cohesion, elastic]\n"
    )
    assert main(["properties", str(tmp_path / "case.yaml"), "-o", str(tmp_path / "run"), "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"cohesive energy +eV +3\.54", printed)
    quantities = {q["symbol"]: q for q in json.loads((tmp_path / "run" / "results.json").read_text())["quantities"]}
    assert quantities["C_44"]["value"] == pytest.approx(76.2, abs=0.1)
    assert main(["validate", str(tmp_path / "case.yaml")]) == 0
    assert "lattice constant by eam-cu" in capsys.readouterr().out


def test_a_forecast_of_the_work():
    rows, warnings = properties.predict(PropertiesCase(potentials=["eam-al"], **SMALL), comm=MPI.COMM_SELF)
    told = dict(rows)
    assert told["largest cell by eam-al"] == "108 atoms"
    assert warnings == []


def test_names_of_potentials():
    lammps = {"name": "lammps", "pair_style": "eam/alloy", "files": ["a/Al_zhou.eam.alloy"], "elements": ["Al"]}
    assert list(named_potentials("eam-al")) == ["eam-al"]
    assert list(named_potentials(["eam-al", "eam-al", lammps, {"path": "runs/al/taught.npz"}])) == [
        "eam-al", "eam-al (2)", "Al_zhou.eam.alloy", "taught.npz",
    ]  # fmt: skip
    assert list(named_potentials({"committee": ["eam-al", "emt"]})) == ["committee of 2"]
    named = {"mine": "eam-al"}
    assert named_potentials(named) is named


CASE = """\
study: properties
potentials: [eam-al, sevennet-0]
crystal: {element: Al, structure: fcc}
surfaces: {planes: [[1, 1, 1]]}
faults: [{plane: [1, 1, 1], direction: [1, 1, -2]}]
free_atoms: {eam-al: {Al: 0 eV}}
references:
  - {name: PBE, values: {a: 4.04 angstrom}}
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("4.04 angstrom", "4.04", 8, ["has no unit"]),
        ("a: 4.04 angstrom", "C66: 4 GPa", 8, ["no property 'C66'", "C44"]),
        ("a: 4.04 angstrom", "surface: 4 GPa", 8, ["no property 'surface'", "surface(111)"]),
        ("a: 4.04 angstrom", "C11: 4 eV", 8, ["stress"]),
        ("{eam-al: {Al", "{eam-la: {Al", 6, ["'eam-la' is none of the potentials", "eam-al or sevennet-0"]),
        ("direction: [1, 1, -2]", "direction: [1, 1, 2]", 5, ["does not lie in the plane"]),
        ("planes: [[1, 1, 1]]", "planes: [[1, 0, -1, 0]]", 4, ["four indices, which only hcp has"]),
        ("{element: Al, structure: fcc}", "{symbols: [Ni, Al], structure: B2}", 6, ["energy of Ni is missing"]),
        ("potentials: [eam-al, sevennet-0]", "potentials: []", 2, ["at least 1"]),
        ("surfaces:", "propertes: [elastic]\nsurfaces:", 4, ["Did you mean \"properties\""]),
        ("surfaces:", "properties: [elastik]\nsurfaces:", 4, ["'elastik' is not one of", "\"elastic\""]),
        ("surfaces:", "vacancy: {sizes: [3, 2]}\nsurfaces:", 4, ["do not ascend"]),
    ],
)  # fmt: skip
def test_mistakes_are_told_at_their_place(tmp_path, old, new, line, words):
    path = tmp_path / "case.yaml"
    path.write_text(CASE)
    load_case(path)
    assert old in CASE
    path.write_text(CASE.replace(old, new))
    with pytest.raises(CaseError) as caught:
        load_case(path)
    text = str(caught.value)
    assert f"case.yaml:{line}:" in text
    for word in words:
        assert word in text


def test_a_compound_says_where_its_atom_goes():
    case = {"potentials": "eam-nial", "crystal": {"symbols": ["Ni", "Al"], "structure": "B2"}}
    with pytest.raises(CaseError, match="a vacancy in NiAl is of one of its elements"):
        PropertiesCase(**case)
    with pytest.raises(CaseError, match="chemical potential of Ni by eam-nial"):
        PropertiesCase(**case, vacancy={"species": "Ni"})
    with pytest.raises(CaseError, match="no Cu in the crystal"):
        PropertiesCase(**case, vacancy={"species": "Cu"})
    PropertiesCase(**case, vacancy={"species": "Ni", "chemical_potential": {"eam-nial": "-4.45 eV"}})
    PropertiesCase(**case, properties=["elastic"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("potentials: [eam-al, eam-la]", "case.yaml:2:1: potentials: Unknown potential 'eam-la'"),
        ("potentials: {first: eam-al, second: sw-si}", "no parameters for Al"),
    ],
)
def test_a_wrong_potential_is_a_mistake(tmp_path, capsys, text, words):
    (tmp_path / "case.yaml").write_text(f"study: properties\n{text}\ncrystal: {{element: Al, structure: fcc}}\n")
    assert main(["run", str(tmp_path / "case.yaml"), "-o", str(tmp_path / "run"), "--quiet"]) == 2
    assert words in capsys.readouterr().err


def test_cases_of_the_pages_and_the_example_load(tmp_path):
    path = tmp_path / "case.yaml"
    for page in ("properties.md", "cases.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        path.write_text(re.search(r"```yaml\n(study: properties.*?)```", text, re.S)[1])
        assert isinstance(load_case(path), PropertiesCase)
    assert len(load_case(ROOT / "examples" / "properties_al.yaml").references) == 2


def test_the_script_of_the_page_works(capsys):
    text = (ROOT / "docs" / "properties.md").read_text(encoding="utf-8")
    exec(re.search(r"```python\n(.*?)```", text, re.S)[1], {})
    assert "stacking_fault(111)" in capsys.readouterr().out


def test_a_case_reads_back_what_it_writes():
    case = PropertiesCase(potentials=["eam-al"], references=REFERENCES, **SMALL)
    assert PropertiesCase(**case.model_dump(mode="json")) == case
    assert Progress.silent().seconds == {}


@pytest.mark.slow
def test_aluminium_by_sevennet(tmp_path):
    """The example's foundation model: half of the adhesion study's work of separation, and what the page's table says."""
    case = PropertiesCase(
        potentials="sevennet-0",
        crystal=SMALL["crystal"],
        vacancy={"sizes": [2, 3]},
        surfaces={"planes": [[1, 1, 1]]},
    )
    result = run_properties(case, directory=tmp_path / "run", comm=MPI.COMM_SELF)
    found = {key: result.value("sevennet-0", key) for key in ("a", "vacancy", "surface_unrelaxed(111)")}
    assert found["a"] == pytest.approx(4.038, abs=1e-3)
    assert found["vacancy"] == pytest.approx(0.595, abs=3e-3)
    assert 2.0 * found["surface_unrelaxed(111)"] * 16.02176634 == pytest.approx(1.193, abs=2e-3)
    assert any("free atoms" in warning for warning in result.warnings)
