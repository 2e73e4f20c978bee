"""The contact study from end to end on a small sphere, its case, and every file that it leaves."""

import json
import re
import typing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mpi4py import MPI
from pydantic import BaseModel

from continuum.materials import LinearElastic
from examples import contact_sweep
from multiscale import ContactCase, run_contact
from multiscale.cli import main
from multiscale.config import CaseError, load_case
from multiscale.config.base import _models
from multiscale.config.template import TEMPLATES
from multiscale.progress import Progress
from multiscale.studies import contact
from multiscale.studies.contact_system import describe_contact, turned_about_normal

DOCS = Path(__file__).parents[2] / "docs" / "contact.md"
# λ = 0.36: between DMT and JKR.
SMALL = {
    "indenter": {"shape": "sphere", "radius": "100 nm"},
    "material": {"E": "70 GPa", "nu": 0.3},
    "law": {"type": "dugdale", "work": "0.5 J/m^2", "strength": "1 GPa"},
    "path": {"contact": "8 nm", "steps": 10},
    "mesh": {"facets_in_zone": 6},
}
CRYSTAL = {
    "potential": "eam-al",
    "crystal": {"element": "Al", "structure": "fcc"},
    "interface": {"plane": [1, 1, 1]},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("contact") / "run"
    return run_contact(ContactCase(**SMALL), directory=directory, comm=MPI.COMM_SELF)


def quantities(directory: Path) -> dict[str, float]:
    results = json.loads((directory / "results.json").read_text())
    return {q["name"]: q["value"] for q in results["quantities"]}


def test_the_sphere_lets_go_as_maugis_says(run):
    found = quantities(run.directory)
    assert found["pull-off force against Dugdale"] == pytest.approx(0.0, abs=1.0)
    # Neither limit would do: JKR is 19% below, DMT 11% above.
    assert found["pull-off force, JKR"] < 0.9 * found["pull-off force"]
    assert found["pull-off force"] < 0.95 * found["pull-off force, DMT"]
    assert found["Maugis parameter"] == pytest.approx(0.3645, abs=1e-4)
    # 2πwR with w = 0.5 J/m² and R = 100 nm.
    assert found["pull-off force, DMT"] == pytest.approx(2.0 * np.pi * 0.5 * 100.0, rel=1e-6)


def test_tables_open_in_pandas_and_agree(run):
    table = pd.read_csv(run.directory / "contact.csv", comment="#")
    assert -table["load [nN]"].min() == pytest.approx(quantities(run.directory)["pull-off force"], rel=1e-9)
    assert table["load [nN]"].iloc[-1] == pytest.approx(0.0, abs=0.1)
    theory = pd.read_csv(run.directory / "theory.csv")
    back = table[(table["retracting"] == 1) & (table["contact radius [nm]"] > 4.0)]
    assert len(back) > 2
    exact = np.interp(back["contact radius [nm]"], theory["contact radius [nm]"], theory["load dugdale [nN]"])
    np.testing.assert_allclose(back["load [nN]"], exact, atol=0.02 * 280.0)
    profiles = pd.read_csv(run.directory / "contact_profiles.csv")
    # The zone pulls with the law's strength and no more.
    assert profiles["traction pull-off [GPa]"].max() == pytest.approx(1.0, abs=1e-6)
    assert profiles["traction pressed [GPa]"].min() < -1.0


def test_pressure_carries_the_load(run):
    """∫p dA over the surface is the load that the indenter feels."""
    profiles = pd.read_csv(run.directory / "contact_profiles.csv")
    x, pull = profiles["x [nm]"], profiles["traction pressed [GPa]"]
    pressed = pd.read_csv(run.directory / "contact.csv", comment="#").query("retracting == 0")["load [nN]"].iloc[-1]
    assert -np.trapezoid(2.0 * np.pi * x * pull, x) == pytest.approx(pressed, rel=0.02)


def test_report_provenance_and_pictures(run):
    page = (run.directory / "report.html").read_text()
    assert page.count("data:image/png;base64") == 3
    record = json.loads((run.directory / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["case"]["indenter"]["radius"] == "1000.0 angstrom"
    assert (run.directory / "fields" / "bodies.vtkhdf").is_file()
    events = [json.loads(line)["event"] for line in (run.directory / "events.jsonl").read_text().splitlines()]
    assert events.count("state") >= 20


def test_validate_prints_what_to_expect(tmp_path, capsys):
    path = tmp_path / "contact.yaml"
    path.write_text(TEMPLATES["contact"])
    assert isinstance(load_case(path), ContactCase)
    assert main(["validate", str(path)]) == 0
    printed = capsys.readouterr().out
    for word in ("Tabor parameter", "Maugis parameter", "pull-off force, JKR", "pull-off force, DMT", "facets along"):
        assert word in printed


def test_an_elastic_indenter_halves_the_contact_modulus():
    rigid, elastic = (
        describe_contact(
            ContactCase(**(SMALL | {"indenter": SMALL["indenter"] | {"elastic": flag}})),
            comm=MPI.COMM_SELF,
            progress=Progress.silent(),
        )
        for flag in (False, True)
    )
    assert elastic.contact.modulus == pytest.approx(0.5 * rigid.contact.modulus, rel=1e-12)
    np.testing.assert_allclose(elastic.material.stiffness, 0.5 * rigid.material.stiffness)


def test_a_crystal_gives_half_space_and_law():
    case = ContactCase(**CRYSTAL, indenter={"shape": "sphere", "radius": "20 nm"}, law={"type": "atoms"})
    rows, warnings = contact.predict(case, comm=MPI.COMM_SELF)
    shown = dict(rows)
    assert 1.0 < float(shown["work of adhesion"].split()[0]) < 2.0
    assert 60.0 < float(shown["contact modulus"].split()[0]) < 120.0
    assert any("turns about the normal" in text for text in warnings)
    cylinder = ContactCase(**CRYSTAL, indenter={"shape": "cylinder", "radius": "20 nm"}, law={"type": "dugdale"})
    system = describe_contact(cylinder, comm=MPI.COMM_SELF, progress=Progress.silent())
    assert system.contact.modulus == system.material.crack_modulus
    assert system.law.peak_traction == pytest.approx(system.interface.extraction.peak_traction)


def test_an_average_over_turns_is_transversely_isotropic():
    c11, c12, c44 = 1.0, 0.6, 0.5
    cubic = np.zeros((6, 6))
    cubic[:3, :3] = c12
    cubic[np.arange(6), np.arange(6)] = [c11] * 3 + [c44] * 3
    mean, spread = turned_about_normal(LinearElastic(cubic))
    c = mean.stiffness
    assert c[0, 0] == pytest.approx(c[2, 2])
    assert c[4, 4] == pytest.approx(0.5 * (c[0, 0] - c[0, 2]))
    assert c[1, 1] == pytest.approx(c11)
    assert spread > 0.05
    assert turned_about_normal(LinearElastic.isotropic(E=1.0, nu=0.3))[1] < 1e-12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"material": None}, "neither of material and potential"),
        (CRYSTAL, "both of material and potential"),
        ({"crystal": CRYSTAL["crystal"]}, "crystal belongs to a potential"),
        ({"law": {"type": "dugdale", "work": "0.5 J/m^2"}}, "needs its strength"),
        ({"law": {"type": "atoms"}}, "needs a potential"),
        ({"law": {"type": "atoms", "work": "1 J/m^2"}}, "has its own work"),
        ({"law": {"type": "dugdal"}}, "Did you mean"),
        ({"indenter": {"shape": "cone", "radius": "1 nm"}}, "Choose sphere or cylinder"),
        ({"indenter": {"shape": "sphere", "radius": "-1 nm"}}, "greater than zero"),
        ({"material": {"E": "70 GPa", "nu": 0.5}}, "less than 0.5"),
        ({"path": {"steps": 2}}, "greater than or equal to 8"),
    ],
)
def test_mistakes_are_named(changes, message):
    with pytest.raises(CaseError, match=re.escape(message)):
        ContactCase(**{key: value for key, value in (SMALL | changes).items() if value is not None})


def test_a_crystal_needs_its_surface():
    with pytest.raises(CaseError, match="a potential needs interface too"):
        ContactCase(
            **{key: CRYSTAL[key] for key in ("potential", "crystal")},
            indenter=SMALL["indenter"],
            law={"type": "atoms"},
        )


def test_the_sweep_goes_from_dmt_to_jkr(tmp_path, capsys):
    contact_sweep.main(str(tmp_path), strengths=("0.3 GPa", "1.5 GPa"), steps=8)
    ratios = [float(text) for text in re.findall(r"pull-off/πwR ([\d.]+)", capsys.readouterr().out)]
    assert 1.6 < ratios[1] < 1.75 < 1.8 < ratios[0] < 2.0
    assert len((Path(__file__).parents[2] / "examples" / "contact_sweep.py").read_text().splitlines()) <= 40


@pytest.mark.parametrize("name", ["contact_sphere.yaml", "contact_atoms_al.yaml"])
def test_the_examples_are_cases(name):
    assert isinstance(load_case(Path(__file__).parents[2] / "examples" / name), ContactCase)


def keys(model: type[BaseModel], above: str = "") -> typing.Iterator[str]:
    for name, field in model.model_fields.items():
        below = _models(field.annotation)
        if len(below) == 1 and name not in ("crystal", "interface", "decohesion"):
            yield from keys(below[0], f"{above}{name}.")
        else:
            yield above + name


def test_every_key_is_documented_and_no_other():
    rows = DOCS.read_text(encoding="utf-8").split("## Keys")[1].split("\n## ")[0].splitlines()
    cells = [row.split("|")[1] for row in rows if row.startswith("|")]
    assert {key for cell in cells for key in re.findall(r"`([A-Za-z_.]+)`", cell)} == set(keys(ContactCase))


def test_the_script_of_the_page_works(capsys):
    text = DOCS.read_text(encoding="utf-8")
    names: dict = {}
    exec(re.search(r"```python\n(.*?)```", text, re.S)[1], names)
    assert names["path"].pull_off.load == pytest.approx(-names["contact"].pull_off, rel=0.02)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_the_case_of_the_page_is_one(tmp_path):
    path = tmp_path / "case.yaml"
    path.write_text(re.search(r"```yaml\n(study: contact.*?)```", DOCS.read_text(encoding="utf-8"), re.S)[1])
    assert isinstance(load_case(path), ContactCase)
