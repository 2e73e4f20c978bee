"""docs/cases.md keeps up with the models; scripts, cases and links of the other pages work."""

import re
import textwrap
import typing
from pathlib import Path

import pytest
from pydantic import BaseModel

from multiscale.config import (
    ActiveLearningCase,
    AdhesionCase,
    AroundModel,
    BandModel,
    Block,
    BoxModel,
    CantileverBody,
    CentreCrackBody,
    CrackBodyModel,
    DefectCase,
    DipoleModel,
    DiscBody,
    DiscModel,
    DoubleCantileverBeam,
    DynamicsModel,
    EdgeCrackBody,
    EmbeddingCase,
    FollowModel,
    FractureCase,
    ImportedSpecimen,
    InclusionModel,
    PropertiesCase,
    RelaxationModel,
    StepsModel,
    StripBody,
    VacancyModel,
    VoidModel,
    load_case,
)
from multiscale.config.base import _models
from multiscale.config.handshake import ZoneModel
from multiscale.plots import make_plots

DOCS = Path(__file__).parents[2] / "docs" / "cases.md"


def keys(model: type[BaseModel], above: str = "") -> typing.Iterator[str]:
    for name, field in model.model_fields.items():
        below = _models(field.annotation)
        if len(below) == 1:
            yield from keys(below[0], f"{above}{name}.")
        else:
            yield above + name


def between(start: str, end: str) -> list[str]:
    return DOCS.read_text(encoding="utf-8").split(start)[1].split(end)[0].splitlines()


@pytest.mark.parametrize(
    ("case", "start", "end"),
    [
        (AdhesionCase, "## Keys of the adhesion study", "### Potentials"),
        (DefectCase, "## Keys of the defect study", "### Defects"),
        (FractureCase, "## Keys of the fracture study", "### Cracked bodies"),
        (EmbeddingCase, "## Keys of the embedding study", "### Cores"),
        (PropertiesCase, "## Keys of the properties study", "### γ-surfaces and references"),
        (ActiveLearningCase, "## Keys of the active-learning study", "### Runs that learn"),
    ],
)
def test_every_key_is_documented_and_no_other(case, start, end):
    cells = [row.split("|")[1] for row in between(start, end) if row.startswith("|")]
    documented = {key for cell in cells for key in re.findall(r"`([A-Za-z_.]+)`", cell)}
    assert documented == set(keys(case))


@pytest.mark.parametrize(
    ("model", "start", "end"),
    [
        *((model, "### Specimens", "A support") for model in (DoubleCantileverBeam, Block, ImportedSpecimen)),
        *((model, "### Runs that learn", "## Mistakes") for model in (DynamicsModel, RelaxationModel)),
        *((model, "### Defects", "### Zones") for model in (VacancyModel, VoidModel, DipoleModel, InclusionModel)),
        *((model, "### Zones", "## Mistakes") for model in (AroundModel, DiscModel, BoxModel, BandModel)),
        *(
            (model, "### Cracked bodies", "### Loads on a crack")
            for model in (DiscBody, EdgeCrackBody, CentreCrackBody, CantileverBody, StripBody)
        ),
        *((model, "### Loads on a crack", "## Mistakes") for model in (FollowModel, StepsModel)),
    ],
)
def test_every_key_of_each_kind_is_documented(model, start, end):
    tag = next(name for name in ("shape", "type", "path") if name in model.model_fields)
    name = typing.get_args(model.model_fields[tag].annotation)[0]
    row = next(row for row in between(start, end) if row.startswith(f"| `{name}`"))
    shared = {key for kind in (ZoneModel, CrackBodyModel) if issubclass(model, kind) for key in kind.model_fields}
    assert set(re.findall(r"`([a-z_]+)`", row.split("|")[2])) == set(model.model_fields) - {tag} - shared


def test_the_examples_work(tmp_path):
    text = DOCS.read_text(encoding="utf-8")
    path = tmp_path / "case.yaml"
    path.write_text(re.search(r"```yaml\n(study.*?)```", text, re.S)[1])
    loaded = load_case(path)
    names: dict = {}
    python = re.search(r"```python\n(.*?)```", text, re.S)[1].replace("case.yaml", str(path))
    exec(python, names)
    assert names["case"] == loaded
    path.write_text(re.search(r"```yaml\n(study: defect.*?)```", text, re.S)[1])
    assert isinstance(load_case(path), DefectCase)
    path.write_text(re.search(r"```yaml\n(study: fracture.*?)```", text, re.S)[1])
    assert isinstance(load_case(path), FractureCase)


def test_plots_of_nothing_are_none(tmp_path):
    assert make_plots(tmp_path) == []


def script(page: str) -> str:
    """The first indented block of a page."""
    text = (DOCS.parent / page).read_text(encoding="utf-8")
    return textwrap.dedent(re.search(r"\n\n((?: {4}(?:from|import) .*\n)(?: {4}.*\n|\n)+)", text)[1])


def test_the_script_of_the_cracks_page_works(capsys):
    names: dict = {}
    exec(script("cracks.md"), names)
    loads = names["loads"]
    assert loads.min() < 1.0 < loads.max()
    # The path ends on the stable branch that belongs to the next period, where the tip by bonds is one whole column on.
    assert names["path"][-1].stable
    before, after = names["tips"]
    assert names["advance"](before, after, period=names["period"]) == pytest.approx(1.0, abs=1e-9)
    # The bound of the fracture study, for a disc of 50 nm only.
    assert names["j"] == pytest.approx(names["field"].energy_release((0, names["first"].load, 0)), rel=0.01)
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_the_script_of_the_handshake_page_works(capsys):
    names: dict = {}
    exec(script("handshake.md"), names)
    assert names["solution"].residual < 1e-4  # eV/Å, the default tolerance of `solve`
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_the_case_of_the_cracks_page_is_one(tmp_path):
    path = tmp_path / "case.yaml"
    text = (DOCS.parent / "cracks.md").read_text(encoding="utf-8")
    path.write_text(re.search(r"```yaml\n(study: fracture.*?)```", text, re.S)[1])
    assert isinstance(load_case(path), FractureCase)


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.parent.glob("*.md")))
def test_links_and_pictures_are_there(page):
    text = (DOCS.parent / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (DOCS.parent / target).exists(), target


def test_the_script_of_the_interfaces_page_works(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(script("interfaces.md"), names)
    assert names["back"] < 0.0
    assert names["steps"][-1].energies.dissipated == pytest.approx(0.743, rel=1e-6)
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    "page",
    [
        "bimaterial.md",
        "committees.md",
        "embedding_interface.md",
        "embedding_molecules.md",
        "finite_rotations.md",
        "fragmentation.md",
        "laws.md",
        "live_points.md",
        "mixed_mode.md",
        "validation.md",
    ],
)
def test_the_scripts_of_the_other_pages_run(page):
    exec(script(page), {})


def test_the_script_of_the_survival_page_stops_and_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(script("survival.md"), {})
    assert "stopped by its time limit" in capsys.readouterr().out


def test_the_script_of_the_excerpts_page_works(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(script("excerpts.md"), names)
    cluster, cell = names["data"].frames()
    assert cluster.energy is None
    assert cell.energy is not None
    assert len(cell.atoms) < len(cluster.atoms)
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_the_script_of_the_embedding_core_page_works(capsys):
    names: dict = {}
    exec(script("embedding_core.md"), names)
    moves = names["moving"].moves
    assert len(moves) >= 2
    assert all(0.05 < move.largest_jump <= 0.1 * (1 + 1e-9) for move in moves)
    ranges = [max(energies) - min(energies) for energies in (names["raw"], names["kept"])]
    assert ranges[0] > 30 * ranges[1]
    assert len(capsys.readouterr().out.splitlines()) == len(moves) + 1


def test_the_script_of_the_embedding_dynamics_page_works(capsys):
    names: dict = {}
    exec(script("embedding_dynamics.md"), names)
    assert names["drift"].within(1.0)  # meV per atom and ps; a run of 0.2 ps cannot tell less
    # Two potentials as different as these do work around a loop.
    assert not names["turn"].conservative
    assert names["energy"].error < 0.1
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.slow
def test_the_script_of_the_active_learning_page_works(capsys):
    names: dict = {}
    exec(script("active_learning.md"), names)
    result = names["result"]
    assert result.stop == "finished"
    assert 0 < result.share < 0.3
    assert len(capsys.readouterr().out.splitlines()) == 2 + 2 * result.triggers
