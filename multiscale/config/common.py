"""What the cases of all studies share: the potential, and mistakes told the same way in a file and in a driver."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from multiscale.config.base import CaseError, CaseModel, KeyedError, problems_of
from multiscale.config.crystal import CrystalModel

POTENTIAL_FORMS = (
    'Write a name such as sevennet-0, {name: lammps, ...}, {calculator: "module:Class"}, {path: file} or '
    "{committee: [...]}"
)
HEADS = ("name", "calculator", "path", "committee")


def check_potential(value: Any) -> Any:
    """Check the form of a potential's specification; whether it exists is for ``atomistic.potentials`` to say.

    Raises:
        ValueError: if it is neither a name nor a mapping with one of name, calculator, path or committee.
    """
    if isinstance(value, str) and value.strip():
        return value.strip()
    if not isinstance(value, dict) or not value:
        raise ValueError(f"expected a potential, got {value!r}. {POTENTIAL_FORMS}")
    heads = [key for key in HEADS if key in value]
    if len(heads) != 1:
        given = " and ".join(heads) if heads else ", ".join(map(str, value))
        raise ValueError(
            f"a potential needs exactly one of name, calculator, path and committee, got {given}. {POTENTIAL_FORMS}"
        )
    if heads[0] == "committee":
        return check_committee(value)
    if not isinstance(value[heads[0]], str):
        raise ValueError(f"{heads[0]} must be text, got {value[heads[0]]!r}. {POTENTIAL_FORMS}")
    if heads[0] == "calculator" and ":" not in value["calculator"]:
        raise ValueError(
            f"calculator {value['calculator']!r} names no class. "
            'Write "module:Class", for example "ase.calculators.emt:EMT"'
        )
    if heads[0] == "path" and not os.path.isfile(value["path"]):
        raise ValueError(f"model file {value['path']} does not exist. Write its path relative to the case file")
    return value


def check_committee(value: dict[str, Any]) -> dict[str, Any]:
    """Check a committee's specification, its members' too.

    Raises:
        ValueError: if there are not two members at least, or ``voting`` or ``member`` names one that is not there.
    """
    members = value["committee"]
    if not isinstance(members, list | tuple) or len(members) < 2:
        raise KeyedError(
            f"a committee needs two members at least, got {members!r}. Write [eam-al, eam-al-zhou]", "committee"
        )
    checked: list[Any] = []
    for number, member in enumerate(members):
        try:
            checked.append(check_potential(member))
        except ValueError as error:
            raise KeyedError(str(error), "committee", number, *getattr(error, "path", ())) from None
    voting = value.get("voting")
    if voting is not None and (
        not isinstance(voting, list | tuple) or not voting or any(not _is_one_of(m, len(members)) for m in voting)
    ):
        raise KeyedError(
            f"voting {voting!r} names no members of {len(members)}. Write their numbers, counted from 0", "voting"
        )
    # Members that are committees themselves bring several: how many, loading tells.
    several = any(isinstance(member, dict) and not {"path", "committee"}.isdisjoint(member) for member in checked)
    if "member" in value and not several and not _is_one_of(value["member"], len(members)):
        raise KeyedError(f"there is no member {value['member']!r} among {len(members)}. Count them from 0", "member")
    return {**value, "committee": checked}


def _is_one_of(number: Any, count: int) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < count


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
SpreadChoice = Literal["members", "none"]


class StudyCase(CheckedCase):
    """Where most studies begin: a potential and a crystal."""

    potential: PotentialSpec = Field(examples=["sevennet-0"])
    """the potential: a name, or {name: lammps, ...}, {calculator: "module:Class"}, {path: file}, {committee: [...]}"""
    device: Device = "cpu"
    """where the potential runs: cpu, cuda or cuda:N"""
    spread: SpreadChoice = "members"
    """where the potential is a committee: members runs the study with each of them too and reports the spread; none does not"""
    crystal: CrystalModel = Field(examples=[{"element": "Al", "structure": "fcc"}])
    """the perfect crystal"""
