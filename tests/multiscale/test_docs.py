"""docs/cases.md keeps up with the models."""

import re
import typing
from pathlib import Path

import pytest
from pydantic import BaseModel

from multiscale.config import AdhesionCase, Block, DoubleCantileverBeam, ImportedSpecimen, load_case
from multiscale.config.base import _models
from multiscale.plots import make_plots

DOCS = Path(__file__).parents[2] / "docs" / "cases.md"


def keys(model: type[BaseModel], above: str = "") -> typing.Iterator[str]:
    for name, field in model.model_fields.items():
        below = _models(field.annotation)
        if len(below) == 1:
            yield from keys(below[0], f"{above}{name}.")
        else:
            yield above + name


def test_every_key_is_documented_and_no_other():
    table = DOCS.read_text(encoding="utf-8").split("## Keys")[1].split("### Potentials")[0]
    documented = {
        key
        for row in table.splitlines()
        for key in re.findall(r"`([a-z_.]+)`", row.split("|")[1] if "|" in row else "")
    }
    assert documented == set(keys(AdhesionCase))


@pytest.mark.parametrize("model", [DoubleCantileverBeam, Block, ImportedSpecimen])
def test_every_key_of_each_specimen_is_documented(model):
    table = DOCS.read_text(encoding="utf-8").split("### Specimens")[1].split("A support")[0]
    row = next(
        row for row in table.splitlines() if f"| `{typing.get_args(model.model_fields['shape'].annotation)[0]}`" in row
    )
    assert set(re.findall(r"`([a-z_]+)`", row.split("|")[2])) == set(model.model_fields) - {"shape"}


def test_the_examples_work(tmp_path):
    text = DOCS.read_text(encoding="utf-8")
    path = tmp_path / "case.yaml"
    path.write_text(re.search(r"```yaml\n(study.*?)```", text, re.S)[1])
    loaded = load_case(path)
    names: dict = {}
    python = re.search(r"```python\n(.*?)```", text, re.S)[1].replace("case.yaml", str(path))
    exec(python, names)
    assert names["case"] == loaded


def test_plots_of_nothing_are_none(tmp_path):
    assert make_plots(tmp_path) == []
