"""A potential that is taught while a study runs: who is asked, when, who is taught, and what has to hold afterwards."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from multiscale.config.base import CaseModel, KeyedError
from multiscale.config.embedding import Engine
from multiscale.units import Force, Length, NonNegativeLength


def check_data_file(value: Any) -> Any:
    """Refuse data files that are not there.

    Raises:
        ValueError: with the name of the file.
    """
    if not isinstance(value, str):
        raise ValueError(f"expected the name of a file, got {value!r}. Write, for example, frames.extxyz")
    if not os.path.isfile(value):
        raise ValueError(f"the file {value} does not exist. Write its path relative to the case file")
    return value


def check_contract(value: Any) -> Any:
    """A contract is a file or a mapping of bounds; which bounds there are is for ``atomistic.validation`` to say.

    Raises:
        ValueError: for anything else.
    """
    if value is None or (isinstance(value, dict) and value):
        return value
    if not isinstance(value, str):
        raise ValueError(
            f"expected a contract, got {value!r}. Write the name of a file, or bounds such as "
            '{forces_rmse: "0.1 eV/angstrom"}'
        )
    return check_data_file(value)


def one_file(value: Any) -> Any:
    """One file where several may stand, or none."""
    return [value] if isinstance(value, str) else value


DataFile = Annotated[str, BeforeValidator(check_data_file)]
DataFiles = Annotated[tuple[DataFile, ...], BeforeValidator(one_file)]


class StudentModel(CaseModel):
    """Who is taught: cheap heads on a frozen backbone, or a student of one's own."""

    backbone: str | None = Field(default=None, min_length=1, examples=["sevennet-0"])
    """SevenNet model that stays as it is under the heads; by default the case's potential"""
    layers: int = Field(default=2, ge=1)
    """of the backbone that the heads look at, counted from the first"""
    members: int = Field(default=4, ge=2)
    """heads of the committee"""
    directions: int = Field(default=96, ge=1)
    """force components of a frame that heads are fitted to, at most; of larger frames so many random directions"""
    seed: int = Field(default=0, ge=0)
    """of all that is drawn at random"""
    factory: str | None = Field(default=None, examples=["my_package.students:MyStudent"])
    """instead of heads: "module:function", called with the arguments, that returns a student"""
    arguments: dict[str, Any] = Field(default_factory=dict, examples=[{"force_noise": 0.02}])
    """of that function; without a factory further options of the heads, as ``atomistic.committee.HeadOptions`` names them"""

    @model_validator(mode="after")
    def _consistent(self) -> StudentModel:
        if self.factory is None:
            if twice := [name for name in ("members", "seed") if name in self.arguments]:
                raise KeyedError(f"{twice[0]} is a key of the student itself. Write it there", "arguments", twice[0])
            return self
        if ":" not in self.factory:
            raise KeyedError(f'{self.factory!r} names no function. Write "module:function"', "factory")
        heads = [name for name in ("backbone", "layers", "members", "directions") if name in self.model_fields_set]
        if heads:
            raise KeyedError(f"{heads[0]} belongs to heads, and a factory is given. Leave it out", heads[0])
        return self


class DataModel(CaseModel):
    """What the student knows before the run, and what it is examined on."""

    initial: DataFiles = Field(default=(), examples=["initial.extxyz"])
    """labelled frames to begin with: a file or several; extxyz or whatever ASE reads"""
    held_out: DataFiles = Field(default=(), examples=["held_out.extxyz"])
    """labelled frames that are never taught: they calibrate the doubt, and the contract is checked on them"""
    frames: int = Field(default=4, ge=0)
    """without initial: frames like the first one, or evenly along the run's load, displaced and strained at random, that the
    oracle labels before the run; they count towards the budget"""
    rattle: NonNegativeLength = Field(default="0.1 angstrom", validate_default=True, examples=["0.1 angstrom"])
    """standard deviation of these displacements"""


class ExcerptModel(CaseModel):
    """The small piece around the doubted atom that the oracle computes in place of the whole."""

    core: Length = Field(default="4 angstrom", validate_default=True, examples=["4 angstrom"])
    """atoms up to this distance from the doubted one count: their forces are taught"""
    buffer: Length = Field(default="5 angstrom", validate_default=True, examples=["5 angstrom"])
    """atoms up to this distance from the core surround them, and their forces are not"""
    vacuum: NonNegativeLength = Field(default="5 angstrom", validate_default=True, examples=["5 angstrom"])
    """empty space on each side of the piece, where it does not repeat"""
    passivate: Literal["none", "hydrogen"] = "none"
    """what ends cut covalent bonds"""
    periodic: Literal["keep", "none", "complete", "auto"] = "keep"
    """keep: directions whose period the piece spans repeat; none: a cluster in vacuum; complete: the piece of a nearly
    homogeneous crystal becomes one period of it, without surfaces; auto: complete where that fits, else keep"""
    mismatch: NonNegativeLength = Field(default="0.5 angstrom", validate_default=True, examples=["0.5 angstrom"])
    """how far atoms may lie, in a completed cell, from where the whole has them"""


class LearningModel(CaseModel):
    """Learning on the fly: where the committee doubts, the run waits, the oracle is asked, the student taught."""

    oracle: Engine = Field(examples=["gpaw"])
    """who knows: a name or a mapping as for embedding.engine; another potential may stand in for quantum mechanics"""
    settings: dict[str, Any] = Field(default_factory=dict, examples=[{"kpts": 4.0}])
    """of the oracle, as it names them itself"""
    threshold: Force = Field(default="0.2 eV/angstrom", validate_default=True, examples=["0.2 eV/angstrom"])
    """largest difference between two members' forces on a judged atom that is still trusted"""
    check_every: int = Field(default=5, ge=1)
    """steps between two looks at the committee"""
    budget: int = Field(default=40, ge=0)
    """oracle calls of the whole run, those for the first frames included"""
    patience: int = Field(default=3, ge=1)
    """lessons in a row without progress after which the run stops"""
    improvement: float = Field(default=0.01, ge=0.0, lt=1.0, allow_inf_nan=False)
    """relative fall that counts as progress: of the held-out force error or of the doubt that had asked"""
    frames_per_trigger: int = Field(default=1, ge=1)
    """structures that the oracle labels each time; more than one are chosen to differ"""
    neighbours: int = Field(default=2, ge=0)
    """other frames or places that are tried where the oracle fails"""
    ceiling: Force | None = Field(default=None, examples=["5 eV/angstrom"])
    """doubt beyond which a structure is held to be unphysical, and an earlier one is labelled instead"""
    cache: str | None = Field(default=None, min_length=1, examples=["quantum"])
    """directory of finished oracle calculations, kept between runs; by default in the run directory"""
    student: StudentModel = Field(default_factory=StudentModel)
    """who is taught"""
    data: DataModel = Field(default_factory=DataModel)
    """what it starts from"""
    excerpt: ExcerptModel | None = None
    """ask the oracle for a small piece around the doubted atom; by default for the whole structure"""
    contract: Annotated[str | dict[str, Any] | None, BeforeValidator(check_contract)] = None
    """bounds on the errors on held-out frames, a file or a mapping: checked after every lesson"""
    contract_stops: Literal["lost", "failed"] = "lost"
    """what ends the run: a lesson that breaks a contract kept before, or any potential that breaks it"""

    @model_validator(mode="after")
    def _consistent(self) -> LearningModel:
        if self.settings and isinstance(self.oracle, dict) and "settings" in self.oracle:
            raise KeyedError("settings are given twice, here and inside oracle. Keep one of the two", "settings")
        if self.settings and isinstance(self.oracle, dict) and "engine" not in self.oracle:
            raise KeyedError(
                "settings belong to an oracle given by its name. Write them inside oracle, as arguments of its calculator or "
                "keys of its potential",
                "settings",
            )
        if self.contract is not None and not self.data.held_out:
            raise KeyedError(
                "a contract is checked on held-out frames, and there are none. Write data: {held_out: FILE}, or leave it out",
                "contract",
            )
        if self.ceiling is not None and self.ceiling <= self.threshold:
            raise KeyedError("ceiling must exceed threshold, or nothing is ever taught. Raise it", "ceiling")
        if not self.data.initial and self.budget < self.data.frames:
            raise KeyedError(
                f"a budget of {self.budget} calls is less than the {self.data.frames} frames that the oracle labels before "
                "the run. Raise it, lower data.frames, or give data.initial",
                "budget",
            )
        return self

    @property
    def oracle_spec(self) -> str | dict[str, Any]:
        """The oracle with its settings, as ``atomistic.oracle.load_oracle`` takes it."""
        if not self.settings:
            return self.oracle
        if isinstance(self.oracle, dict):
            return {**self.oracle, "settings": self.settings}
        return {"engine": self.oracle, "settings": self.settings}
