"""From a sweep file to its cases, every one of them checked before the first one runs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from multiscale.config.base import CaseError, CaseProblem, either, nearest
from multiscale.config.caches import cache_problems
from multiscale.config.common import CheckedCase
from multiscale.config.load import STUDIES, read_data, resolve_files
from multiscale.config.yaml_text import Keys, Places
from multiscale.sweep.config import ClusterModel, RunModel, SweepCase
from multiscale.sweep.design import Point, points_of
from multiscale.sweep.fields import FieldError, parse_path, path_text, with_fields
from multiscale.sweep.inputs import Inputs, digest_of
from multiscale.sweep.ledger import CaseRow, Parameter
from multiscale.sweep.values import in_unit, point_value, quantity, unit_of

MOST_PROBLEMS = 20
"""Mistakes that are told at once."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a sweep is to do.

    Attributes:
        source: the sweep file.
        text: what stands in it.
        design: its name.
        parameters: what varies.
        cases: all of them PENDING, each once.
        merged: points that stand for a case that another point stands for too.
        run: how they are run.
        cluster: what a queue is told.
        version: of the package.
    """

    source: Path
    text: str
    design: str
    parameters: tuple[Parameter, ...]
    cases: tuple[CaseRow, ...]
    merged: int
    run: RunModel
    cluster: ClusterModel
    version: str

    @property
    def settings(self) -> dict[str, str]:
        """What the ledger keeps of it besides the cases."""
        listed = [{"name": p.name, "paths": p.paths, "unit": p.unit} for p in self.parameters]
        return {
            "package_version": self.version,
            "source": str(self.source.absolute()),
            "design": self.design,
            "parameters": json.dumps(listed),
            "run": self.run.model_dump_json(),
            "cluster": self.cluster.model_dump_json(),
        }


def package_version() -> str:
    """The version of this package."""
    try:
        return metadata.version("multiscale-mlip")
    except metadata.PackageNotFoundError:
        return "unknown"


def read_plan(path: str | Path) -> Plan:
    """Read a sweep file, make its cases and check each of them.

    Raises:
        CaseError: with the mistakes found, in the sweep file or in the case that it varies.
    """
    path = Path(path)
    data, places = read_data(path)
    if "study" in data and "case" not in data:
        line, column = places[("study",)]
        problem = CaseProblem(
            path=("study",),
            cause="this is a case, not a sweep",
            fix=f"`multiscale run {shlex.quote(str(path))}` runs it; a sweep has the keys case and parameters",
        )
        raise CaseError([problem.at(file=str(path), line=line, column=column)])
    try:
        sweep = SweepCase(**data)
    except CaseError as error:
        found = [_end_to_blame(problem, data, path, places) for problem in error.problems]
        raise _told([_placed(problem, path, places, ()) for problem in found]) from None
    base = _base_case(sweep.case, path, places)
    return _Planner(sweep, base, path, places).plan()


@dataclass(frozen=True, kw_only=True)
class _Base:
    """The case that is varied: its data, the file that it stands in, the places in that file, and the keys above it there."""

    data: dict[str, Any]
    file: Path
    places: Places
    above: Keys


def _base_case(case: str | dict[str, Any], path: Path, places: Places) -> _Base:
    if isinstance(case, dict):
        base = _Base(data=dict(case), file=path, places=places, above=("case",))
    else:
        file = path.parent / case
        if not file.is_file():
            folder = file.parent if file.parent.is_dir() else path.parent
            near = nearest(file.name, [other.name for other in folder.glob("*.yaml")])
            hint = f'Did you mean "{near}"?' if near else "Write its path relative to the sweep file"
            problem = CaseProblem(path=("case",), cause=f"there is no case file {file}", fix=hint)
            raise _told([_placed(problem, path, places, ())])
        data, there = read_data(file)
        base = _Base(data=data, file=file, places=there, above=())
    resolve_files(base.data, base.file.parent)
    return base


def _end_to_blame(problem: CaseProblem, data: Mapping[str, Any], path: Path, places: Places) -> CaseProblem:
    """Of a range from one unit to another, which do not go together, the end that its field refuses; else the problem itself."""
    if len(problem.path) != 3 or problem.path[0] != "parameters" or problem.path[2] != "to":
        return problem
    name, given = str(problem.path[1]), data["parameters"][problem.path[1]]
    ends = [quantity(given.get(key)) for key in ("from", "to")]
    if ends[0] is None or ends[1] is None or in_unit(*ends[1], ends[0][1]) is not None:
        return problem
    if not isinstance(data.get("case"), str | dict):
        return problem
    field = (given.get("paths") or [given.get("path") or name])[0]
    try:
        base, keys = _base_case(data["case"], path, places), parse_path(field)
        refused = {key: _refusal(with_fields(base.data, {keys: given[key]}), keys) for key in ("from", "to")}
    except (CaseError, FieldError):  # told where the cases are made
        return problem
    found = [(key, refusal) for key, refusal in refused.items() if refusal is not None]
    if len(found) != 1:
        return problem
    key, refusal = found[0]
    return replace(refusal, path=("parameters", name, key))


def _refusal(data: dict[str, Any], keys: Keys) -> CaseProblem | None:
    """What a case says against the value of one of its fields."""
    try:
        _model_of(data)(**data)
    except CaseError as error:
        return next((problem for problem in error.problems if problem.path[: len(keys)] == keys), None)
    return None


def _placed(problem: CaseProblem, file: Path, places: Places, above: Keys) -> CaseProblem:
    """The problem at its key in a file, or at the closest key above it."""
    known = (*above, *problem.path)
    while known and known not in places:
        known = known[:-1]
    line, column = places.get(known, (1, 1))
    return problem.at(file=str(file), line=line, column=column)


def _told(problems: Sequence[CaseProblem]) -> CaseError:
    """An error with the first of many problems, in the order of their files and lines."""
    once = {str(problem): problem for problem in problems}.values()
    ordered = sorted(once, key=lambda p: (p.file or "", p.line or 0, p.column or 0))
    if len(ordered) > MOST_PROBLEMS:
        left = len(ordered) - MOST_PROBLEMS
        ordered = [
            *ordered[:MOST_PROBLEMS],
            CaseProblem(path=(), cause=f"and {left} mistakes more", fix="Mend these first"),
        ]
    return CaseError(ordered)


class _Planner:
    """Makes the cases of a sweep and collects what is wrong with them."""

    def __init__(self, sweep: SweepCase, base: _Base, path: Path, places: Places):
        self._sweep, self._base, self._path, self._places = sweep, base, path, places
        self._fields = sweep.fields
        self._inputs = Inputs()
        self._found: dict[CaseProblem, list[int]] = {}
        self._points = points_of(sweep)

    def plan(self) -> Plan:
        version = package_version()
        parameters = self._parameters()
        cases: dict[str, CaseRow] = {}
        for number, point in enumerate(self._points):
            row = self._row(number, point, parameters, version)
            if row is not None:
                cases.setdefault(row.hash, row)
        if self._found:
            raise _told([self._in_words(problem, numbers) for problem, numbers in self._found.items()])
        return Plan(
            source=self._path,
            text=self._path.read_text(encoding="utf-8-sig"),
            design=self._sweep.design,
            parameters=parameters,
            cases=tuple(cases.values()),
            merged=len(self._points) - len(cases),
            run=self._sweep.run,
            cluster=self._sweep.cluster,
            version=version,
        )

    def _parameters(self) -> tuple[Parameter, ...]:
        found = []
        for name, fields in self._fields.items():
            labelled = name in self._sweep.parameters and self._sweep.parameters[name].labels is not None
            unit = None if labelled else unit_of([point[name] for point in self._points])
            found.append(Parameter(name=name, paths=tuple(path_text(keys) for keys in fields), unit=unit))
        return tuple(found)

    def _row(self, number: int, point: Point, parameters: Sequence[Parameter], version: str) -> CaseRow | None:
        """The case of a point, None where it has mistakes, which are noted."""
        data = self._data(number, point)
        case = None if data is None else self._checked(number, point, data)
        if data is None or case is None:
            return None
        resolved = case.model_dump(mode="json")
        inputs = self._inputs.of(resolved)
        digest = digest_of(resolved, inputs, version)
        values = {p.name: point_value(point[p.name], p.unit, self._label(p.name, point[p.name])) for p in parameters}
        return CaseRow(
            hash=digest,
            number=number,
            directory=f"cases/{digest}",
            parameters=values,
            data=data,
            inputs=inputs,
            ranks=self._sweep.run.ranks,
        )

    def _label(self, name: str, value: Any) -> str | None:
        parameter = self._sweep.parameters.get(name)
        if parameter is None or parameter.labels is None or parameter.values is None:
            return None
        return parameter.labels[parameter.values.index(value)]

    def _data(self, number: int, point: Point) -> dict[str, Any] | None:
        """The case's data with the values of a point."""
        data: dict[str, Any] = self._base.data
        for name, value in point.items():
            try:
                data = with_fields(data, dict.fromkeys(self._fields[name], value))
            except FieldError as error:
                cause, _, fix = str(error).partition(". ")
                self._note(number, CaseProblem(path=(), cause=cause, fix=fix), self._path_place(name, number))
                return None
        resolve_files(data, self._path.parent)
        return data

    def _checked(self, number: int, point: Point, data: dict[str, Any]) -> CheckedCase | None:
        """The case, None where it has mistakes."""
        try:
            case = _model_of(data)(**data)
            folders = (self._path.parent, self._base.file.parent)
            problems: Sequence[CaseProblem] = [*cache_problems(data, *folders), *self._inputs.missing(case)]
        except CaseError as error:
            case, problems = None, error.problems
        for problem in problems:
            self._note(number, problem, self._blamed(problem, number, point))
        return None if problems else case

    def _note(self, number: int, problem: CaseProblem, place: tuple[Keys, bool]) -> None:
        """Keep a mistake at its place: in the sweep file under some keys, or in the base case."""
        keys, in_sweep = place
        if in_sweep:
            found = _placed(replace(problem, path=keys), self._path, self._places, ())
            # Said by the field of the case: the key of the sweep file is where the place points.
            found = replace(found, path=problem.path)
        else:
            found = _placed(problem, self._base.file, self._base.places, self._base.above)
        self._found.setdefault(found, []).append(number)

    def _blamed(self, problem: CaseProblem, number: int, point: Point) -> tuple[Keys, bool]:
        """Where a mistake at a field of the case was written: by a parameter that sets it or a part of it, else in the case."""
        path = problem.path
        for name in point:
            for keys in self._fields[name]:
                if keys[: len(path)] == path and problem.cause.startswith("unknown key"):
                    return self._path_place(name, number)
                made = keys[: len(path)] == path and (*self._base.above, *path) not in self._base.places
                if made or path[: len(keys)] == keys:
                    return self._place(name, number)
        return path, False

    def _path_place(self, name: str, number: int) -> tuple[Keys, bool]:
        """The keys in the sweep file that name the fields of a parameter."""
        if name not in self._sweep.parameters:
            return ("points", number, name), True
        explicit = [("parameters", name, key) for key in ("path", "paths")]
        return next((keys for keys in explicit if keys in self._places), ("parameters", name)), True

    def _place(self, name: str, number: int) -> tuple[Keys, bool]:
        """The keys in the sweep file that hold a parameter's value in a case."""
        if self._sweep.design == "list":
            return ("points", number, name), True
        parameter = self._sweep.parameters[name]
        if parameter.values is not None:
            index = parameter.values.index(self._points[number][name])
            short = ("parameters", name, index)
            return (short if short in self._places else ("parameters", name, "values", index)), True
        return ("parameters", name), True

    def _in_words(self, problem: CaseProblem, numbers: Sequence[int]) -> CaseProblem:
        """A mistake that only some cases have says which."""
        total = len(self._points)
        if len(numbers) == total or len(self._fields) == 1:
            return problem
        first = self._points[numbers[0]]
        shown = ", ".join(f"{name} = {point_value(value, None).text}" for name, value in first.items())
        return replace(problem, cause=f"{problem.cause} (in {len(numbers)} of {total} cases, such as {shown})")


def _model_of(data: Mapping[str, Any]) -> type[CheckedCase]:
    """The model of the study that a case names."""
    study = data.get("study")
    if isinstance(study, str) and study in STUDIES:
        return STUDIES[study]
    near = nearest(study, list(STUDIES)) if study is not None else None
    cause = "the key 'study' is missing" if study is None else f"unknown study {study!r}"
    fix = f'Did you mean "{near}"?' if near else f"Write study: {either(list(STUDIES))}"
    raise CaseError([CaseProblem(path=("study",), cause=cause, fix=fix)])
