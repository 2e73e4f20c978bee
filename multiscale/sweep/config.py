"""What a sweep file says: a case, what varies in it, and how its cases are run."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from multiscale.config.base import CaseError, CaseModel, KeyedError, either, nearest, problems_of
from multiscale.config.yaml_text import Keys
from multiscale.sweep.fields import FieldError, parse_path
from multiscale.sweep.values import RangeError, limits
from multiscale.units import WALL_TIME, Quantity

DesignName = Literal["grid", "list", "latin-hypercube", "sobol"]
ExecutorName = Literal["local", "slurm", "flux", "executorlib-local"]
Seconds = Annotated[float, Quantity(kind=WALL_TIME, sign="positive")]
LARGEST_SWEEP = 100_000
"""Cases; a grid of more was not meant."""
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,:=+-]*")
"""What goes into a line of a submission script as it is."""


def _word(value: Any) -> Any:
    if isinstance(value, str) and not _WORD.fullmatch(value):
        raise ValueError(f"{value!r} is no name of the queue's. Write letters, digits and .,:=+-_ without spaces")
    return value


Word = Annotated[str, BeforeValidator(_word)]


def _parameter(value: Any) -> Any:
    """A list alone stands for its values."""
    if isinstance(value, list):
        return {"values": value}
    if value is None or isinstance(value, str | int | float):
        shown = "nothing" if value is None else value
        raise ValueError(f"{shown} alone varies nothing. Write [first, second, ...], or {{from: 50 GPa, to: 100 GPa}}")
    return value


class ParameterModel(CaseModel):
    """A parameter: the fields that it sets, and its values or their range."""

    path: str | None = Field(default=None, examples=["specimen.length"])
    """the field that it sets; by default its name is the path"""
    paths: tuple[str, ...] | None = Field(default=None, min_length=1, examples=[["faults[0].points", "state.points"]])
    """several fields that are given the same value"""
    values: tuple[Any, ...] | None = Field(default=None, min_length=1)
    """the values, as they would stand in the case; any kind"""
    labels: tuple[str, ...] | None = None
    """short words for values that are long, in tables and plots"""
    start: str | float | None = Field(default=None, alias="from", examples=["50 GPa"])
    """least value of a range"""
    to: str | float | None = Field(default=None, examples=["100 GPa"])
    """largest value of a range"""
    points: Annotated[int, Field(ge=2, le=LARGEST_SWEEP)] | None = None
    """number of values that a grid takes from the range"""
    scale: Literal["linear", "log"] = "linear"
    """how values lie in the range"""
    integer: bool = False
    """whole numbers only"""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.path is not None and self.paths is not None:
            raise KeyedError("both path and paths are given. Keep one", "paths")
        for keys, text in self._paths():
            try:
                parse_path(text)
            except FieldError as error:
                raise KeyedError(str(error), *keys) from None
        ranged = self.start is not None or self.to is not None
        if (self.values is None) == (not ranged):
            given = "both values and a range" if ranged else "neither values nor a range"
            raise ValueError(f"{given} given. Write [first, second, ...], or {{from: 50 GPa, to: 100 GPa}}")
        if ranged:
            self._check_range()
        else:
            self._check_values()
        return self

    def _paths(self) -> list[tuple[Keys, str]]:
        if self.path is not None:
            return [(("path",), self.path)]
        return [(("paths", number), text) for number, text in enumerate(self.paths or ())]

    def _check_range(self) -> None:
        for key, given in (("from", self.start), ("to", self.to)):
            if given is None:
                raise KeyedError(f"a range needs from and to; {key} is missing. Write {key}: 100 GPa")
        if self.labels is not None:
            raise KeyedError("labels are for values that are listed. Leave them out", "labels")
        try:
            limits(self.start, self.to, scale=self.scale, integer=self.integer)
        except RangeError as error:
            raise KeyedError(str(error), error.key) from None

    def _check_values(self) -> None:
        for key in ("points", "scale", "integer"):
            if key in self.model_fields_set:
                raise KeyedError(f"{key} is for a range, and here the values are listed. Leave it out", key)
        if self.labels is not None and len(self.labels) != len(self.values or ()):
            raise KeyedError(
                f"{len(self.labels)} labels for {len(self.values or ())} values. Write one for each", "labels"
            )
        if self.labels is not None and len(set(self.labels)) < len(self.labels):
            raise KeyedError("two values have one label. Give each its own", "labels")


class RunModel(CaseModel):
    """How the cases are run."""

    executor: ExecutorName = "local"
    """where: local processes, or the queue of a cluster (slurm, flux); executorlib-local tries the queue's way on one machine"""
    cores: Annotated[int, Field(ge=1)] | None = None
    """cores that all cases together may use; by default those of this machine, in a queue no limit"""
    ranks: Annotated[int, Field(ge=1, le=100_000)] = 1
    """MPI ranks of a case"""
    retries: Annotated[int, Field(ge=0, le=100)] = 1
    """how often a case that fails is tried again; one with a mistake in it never"""
    time_limit: Seconds | None = None
    """of a case: then it is stopped, keeps its state and counts as TIMEOUT"""
    grace: Seconds = Field(default=120.0, examples=["2 min"])
    """what a case that is asked to stop gets to finish its step before it is killed"""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.cores is not None and self.ranks > self.cores:
            raise KeyedError(
                f"a case of {self.ranks} ranks never fits into cores: {self.cores}. Raise cores or lower ranks", "ranks"
            )
        return self

    def changed(self, **settings: Any) -> RunModel:
        """The same with other settings, such as ``cores=4``; None leaves one as it is.

        Raises:
            CaseError: one that does not fit.
        """
        data = self.model_dump(mode="json") | {name: value for name, value in settings.items() if value is not None}
        try:
            return RunModel(**data)
        except ValidationError as error:
            raise CaseError(problems_of(error, data, RunModel)) from None


class ClusterModel(CaseModel):
    """What the queue of a cluster is told."""

    partition: Word | None = None
    """partition or queue"""
    account: Word | None = None
    """who pays"""
    memory: Annotated[int, Field(ge=1)] | None = None
    """GB of a job"""
    wall_time: Seconds | None = None
    """of a job; the case stops well before it and goes on in the next one"""
    options: tuple[str, ...] = ()
    """further options of sbatch, such as --constraint=avx512"""
    setup: tuple[str, ...] = ()
    """lines of shell before the case, such as module load mpich"""

    @model_validator(mode="after")
    def _plain(self) -> Self:
        for number, option in enumerate(self.options):
            if not option.startswith("-") or "\n" in option:
                raise KeyedError(
                    f"{option!r} is no option of sbatch. Write, for example, --constraint=avx512", "options", number
                )
        return self


class SweepCase(CaseModel):
    """A sweep."""

    case: str | dict[str, Any] = Field(examples=["adhesion.yaml"])
    """the case that is varied: a file, relative to the sweep file, or its keys"""
    design: DesignName = "grid"
    """which cases: all combinations (grid), those in points (list), or samples of the ranges"""
    parameters: dict[str, Annotated[ParameterModel, BeforeValidator(_parameter)]] = Field(default_factory=dict)
    """what varies, by name; a name without a path of its own is the path of a field"""
    points: tuple[dict[str, Any], ...] | None = Field(default=None, min_length=1)
    """of a list: for each case the values by parameter or path"""
    samples: Annotated[int, Field(ge=1, le=LARGEST_SWEEP)] | None = None
    """how many cases a Latin hypercube or a Sobol sequence takes"""
    seed: Annotated[int, Field(ge=0)] = 0
    """of the samples; the same seed gives the same cases"""
    run: RunModel = RunModel()
    """how the cases are run"""
    cluster: ClusterModel = ClusterModel()
    """what the queue of a cluster is told"""

    def __init__(self, **data: Any) -> None:
        """Check everything but the cases themselves.

        Raises:
            CaseError: with every mistake found.
        """
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise CaseError(problems_of(error, data, type(self))) from None

    @property
    def fields(self) -> dict[str, tuple[Keys, ...]]:
        """The fields that each parameter sets, in the order of the file; of a list those in its points too."""
        named = {}
        for name, parameter in self.parameters.items():
            texts = parameter.paths or (parameter.path or name,)
            named[name] = tuple(parse_path(text) for text in texts)
        for point in self.points or ():
            for name in point:
                named.setdefault(name, (parse_path(name),))
        return named

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, parameter in self.parameters.items():
            if parameter.path is None and parameter.paths is None:
                _check_path(name, "parameters", name)
        if self.design == "list":
            self._check_list()
        else:
            self._check_generated()
        owner: dict[Keys, str] = {}
        for name, fields in self.fields.items():
            for keys in fields:
                clash = next((other for known, other in owner.items() if _overlap(known, keys) and other != name), None)
                if clash is not None:
                    raise KeyedError(f"{name} and {clash} set the same field. Keep one of them", "parameters", name)
                owner[keys] = name
        return self

    def _check_list(self) -> None:
        if self.points is None:
            raise KeyedError("a list needs points. Write points: [{specimen.length: 1 um}, {specimen.length: 2 um}]")
        if self.samples is not None:
            raise KeyedError("samples are for a Latin hypercube or a Sobol sequence. Leave them out", "samples")
        first = list(self.points[0])
        if not first:
            raise KeyedError("a point without values varies nothing. Write {specimen.length: 1 um}", "points", 0)
        for number, point in enumerate(self.points):
            for name in point:
                if name not in self.parameters:
                    _check_path(name, "points", number, name)
            if strange := [name for name in point if name not in first]:
                near = nearest(strange[0], first)
                hint = f'. Did you mean "{near}"?' if near else ". Give the same names in all points"
                raise KeyedError(f"{strange[0]} is not in the first point{hint}", "points", number, strange[0])
            if lacking := [name for name in first if name not in point]:
                raise KeyedError(
                    f"{lacking[0]} is missing here and given in the first point. Give it in all", "points", number
                )
        for name, parameter in self.parameters.items():
            if name not in first:
                raise KeyedError(
                    f"no point gives {name}. Give it in all points, or leave it out here", "parameters", name
                )
            if parameter.values is not None or parameter.start is not None:
                raise KeyedError(
                    "in a list the points hold the values. Keep only path or paths here", "parameters", name
                )

    def _check_generated(self) -> None:
        if self.points is not None:
            raise KeyedError(f"points are for a list, and the design is {self.design}. Write design: list", "points")
        if not self.parameters:
            raise KeyedError("there are no parameters. Write parameters: {specimen.length: [1 um, 2 um]}")
        if self.design == "grid":
            self._check_grid()
            return
        if self.samples is None:
            raise KeyedError(f"the design {self.design} needs the number of samples. Write samples: 32")
        if self.design == "sobol" and self.samples & (self.samples - 1):
            powers = [2 ** math.floor(math.log2(self.samples)), 2 ** math.ceil(math.log2(self.samples))]
            raise KeyedError(
                f"a Sobol sequence is balanced for powers of two only, not {self.samples}. Write samples: {either(powers)}",
                "samples",
            )
        for name, parameter in self.parameters.items():
            if parameter.points is not None:
                message = f"points are for a grid; {self.design} takes samples. Leave them out"
                raise KeyedError(message, "parameters", name, "points")

    def _check_grid(self) -> None:
        if self.samples is not None:
            raise KeyedError("samples are for a Latin hypercube or a Sobol sequence. Leave them out", "samples")
        for name, parameter in self.parameters.items():
            if parameter.start is not None and parameter.points is None:
                raise KeyedError("a grid needs the number of points of a range. Write points: 5", "parameters", name)
        count = math.prod(len(p.values) if p.values is not None else p.points or 1 for p in self.parameters.values())
        if count > LARGEST_SWEEP:
            raise KeyedError(
                f"the grid has {count} cases, more than {LARGEST_SWEEP}. Take fewer points, or design: sobol with samples",
                "parameters",
            )


def _check_path(text: str, *keys: str | int) -> None:
    try:
        parse_path(text)
    except FieldError as error:
        raise KeyedError(str(error), *keys) from None


def _overlap(one: Keys, other: Keys) -> bool:
    """Whether one of two fields is the other or lies within it."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]
