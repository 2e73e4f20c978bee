"""docs/cases.md keeps up with the models."""

import re
import typing
from pathlib import Path

import pytest
from pydantic import BaseModel

from multiscale.config import (
    AdhesionCase,
    AroundModel,
    BandModel,
    Block,
    BoxModel,
    DefectCase,
    DipoleModel,
    DiscModel,
    DoubleCantileverBeam,
    ImportedSpecimen,
    InclusionModel,
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
        *((model, "### Defects", "### Zones") for model in (VacancyModel, VoidModel, DipoleModel, InclusionModel)),
        *((model, "### Zones", "## Mistakes") for model in (AroundModel, DiscModel, BoxModel, BandModel)),
    ],
)
def test_every_key_of_each_kind_is_documented(model, start, end):
    tag = "shape" if "shape" in model.model_fields else "type"
    name = typing.get_args(model.model_fields[tag].annotation)[0]
    row = next(row for row in between(start, end) if row.startswith(f"| `{name}`"))
    shared = set(ZoneModel.model_fields) if issubclass(model, ZoneModel) else set()
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


def test_plots_of_nothing_are_none(tmp_path):
    assert make_plots(tmp_path) == []
