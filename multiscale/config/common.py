"""What the cases of all studies share: the potential, and mistakes told the same way in a file and in a driver."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from multiscale.config.base import CaseError, CaseModel, problems_of
from multiscale.config.crystal import CrystalModel

POTENTIAL_FORMS = 'Write a name such as sevennet-0, {name: lammps, ...}, {calculator: "module:Class"} or {path: file}'


def check_potential(value: Any) -> Any:
    """Check the form of a potential's specification; whether it exists is for ``atomistic.potentials`` to say.

    Raises:
        ValueError: if it is neither a name nor a mapping with one of name, calculator or path.
    """
    if isinstance(value, str) and value.strip():
        return value.strip()
    if not isinstance(value, dict) or not value:
        raise ValueError(f"expected a potential, got {value!r}. {POTENTIAL_FORMS}")
    heads = [key for key in ("name", "calculator", "path") if key in value]
    if len(heads) != 1:
        given = " and ".join(heads) if heads else ", ".join(map(str, value))
        raise ValueError(f"a potential needs exactly one of name, calculator and path, got {given}. {POTENTIAL_FORMS}")
    if not isinstance(value[heads[0]], str):
        raise ValueError(f"{heads[0]} must be text, got {value[heads[0]]!r}. {POTENTIAL_FORMS}")
    if heads[0] == "calculator" and ":" not in value["calculator"]:
        raise ValueError(
            f"calculator {value['calculator']!r} names no class. "
            'Write "module:Class", for example "ase.calculators.emt:EMT"'
        )
    if heads[0] == "path" and not Path(value["path"]).is_file():
        raise ValueError(f"model file {value['path']} does not exist. Write its path relative to the case file")
    return value


class CheckedCase(CaseModel):
    """A case of any study."""

    study: str
    """kind of study"""

    def __init__(self, **data: Any) -> None:
        """Check everything; a driver gets the same messages as a case file does.

        Raises:
            CaseError: with every mistake found.
        """
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise CaseError(problems_of(error, data, type(self))) from None


PotentialSpec = Annotated[str | dict[str, Any], BeforeValidator(check_potential)]
Device = Annotated[str, Field(pattern=r"^(cpu|cuda(:[0-9]+)?)$")]


class StudyCase(CheckedCase):
    """Where most studies begin: a potential and a crystal."""

    potential: PotentialSpec = Field(examples=["sevennet-0"])
    """the interatomic potential: a name, or {name: lammps, ...}, {calculator: "module:Class"}, {path: file}"""
    device: Device = "cpu"
    """where the potential runs: cpu, cuda or cuda:N"""
    crystal: CrystalModel = Field(examples=[{"element": "Al", "structure": "fcc"}])
    """the perfect crystal"""
