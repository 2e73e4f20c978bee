"""A contract of accuracy: bounds in a file, which a potential keeps or does not."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from atomistic.errors import ValidationError, nearest
from atomistic.label_keys import ENERGY_UNITS, FORCE_UNITS, STRESS_UNITS, unit_factor
from atomistic.validation.metrics import QUANTITIES, STATISTICS, Metrics
from atomistic.validation.shifts import ShiftChoice

_PER_ATOM = {f"{unit}/atom": factor for unit, factor in ENERGY_UNITS.items() if "/" not in unit}
_UNITS = {"energy": _PER_ATOM, "forces": FORCE_UNITS, "force_vectors": FORCE_UNITS, "stress": STRESS_UNITS}
_EXAMPLES = {
    "energy": "10 meV/atom",
    "forces": "0.1 eV/angstrom",
    "force_vectors": "0.2 eV/angstrom",
    "stress": "0.5 GPa",
}
#: Bounds without a unit: whether the measured number must lie below or above, and what range makes sense.
_PLAIN: dict[str, tuple[Literal["<=", ">="], float, float]] = {
    "rank_correlation": (">=", -1.0, 1.0),
    "miscalibration_area": ("<=", 0.0, 0.5),
    "frames": (">=", 1.0, math.inf),
}
_ERRORS = tuple(f"{quantity}_{statistic}" for quantity in QUANTITIES for statistic in STATISTICS)
_PARTS = {"by_species": "species", "by_config_type": "config_type"}
_KEYS = (*_ERRORS, *_PLAIN, *_PARTS, "energy_shift")
_NUMBER = re.compile(r"^\s*(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(?P<unit>\S.*?)?\s*$")


@dataclass(frozen=True, kw_only=True)
class Bound:
    """One line of a contract.

    Attributes:
        name: of the metric.
        of, part: all frames, or one species or config_type.
        operator: which side is kept.
        limit: in ASE's units (`metrics.UNITS`).
        written, unit: the limit as it was written.
    """

    name: str
    of: Literal["all", "species", "config_type"] = "all"
    part: str = ""
    operator: Literal["<=", ">="] = "<="
    limit: float
    written: float
    unit: str = ""

    def as_written(self, value: float) -> float:
        """Return a measured number in the unit of the bound."""
        return value * self.written / self.limit if self.unit else value


@dataclass(frozen=True, kw_only=True)
class ContractRow:
    """One bound and what was measured; None where the data do not tell, which keeps no bound."""

    bound: Bound
    measured: float | None
    passed: bool
    remark: str = ""

    @property
    def line(self) -> str:
        """What to tell of it: "forces_rmse of surface 0.21 eV/angstrom, bound <= 0.1 eV/angstrom: broken"."""
        bound = self.bound
        part = f" of {bound.part}" if bound.part else ""
        shown = (
            "not measured" if self.measured is None else f"{bound.as_written(self.measured):.4g} {bound.unit}".rstrip()
        )
        limit = f"{bound.operator} {bound.written:.4g} {bound.unit}".rstrip()
        verdict = "kept" if self.passed else "broken"
        return f"{bound.name}{part} {shown}, bound {limit}: {verdict}{f' ({self.remark})' if self.remark else ''}"


@dataclass(frozen=True, kw_only=True)
class ContractResult:
    """Whether all bounds are kept, and each of them."""

    passed: bool
    rows: tuple[ContractRow, ...]

    @property
    def broken(self) -> tuple[ContractRow, ...]:
        """The bounds that are not kept."""
        return tuple(row for row in self.rows if not row.passed)


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Bounds on the errors of a potential.

    Attributes:
        bounds: all of them must hold.
        energy_shift: what may be added to the potential's energies before they are compared, for `validate`.
    """

    bounds: tuple[Bound, ...]
    energy_shift: ShiftChoice = field(default="none")

    @classmethod
    def read(cls, path: str | Path) -> Contract:
        """Read bounds from YAML or JSON.

        Raises:
            ValidationError: no such file, not YAML, or bounds that make no sense; says file and line.
        """
        path = Path(path)
        data = _read_yaml(path)
        try:
            return cls.from_mapping(data)
        except _PlacedError as error:
            raise ValidationError(f"{path}{_line(data, error.keys)}: {error}") from None

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Contract:
        """Make a contract of {"forces_rmse": "0.1 eV/angstrom", "by_species": {"H": {...}}, ...}.

        Raises:
            ValidationError: unknown names, missing units, limits that make no sense, or nothing bounded.
        """
        if not isinstance(data, Mapping):
            raise _PlacedError(f"a contract is a mapping such as forces_rmse: 0.1 eV/angstrom; got {data!r}")
        bounds: list[Bound] = []
        for key, value in data.items():
            if key in _PARTS:
                bounds += _part_bounds(str(key), value)
            elif key != "energy_shift":
                bounds.append(_bound(str(key), value, known=_KEYS, keys=(key,)))
        if not bounds:
            raise _PlacedError("the contract bounds nothing. Write, for example, forces_rmse: 0.1 eV/angstrom")
        return cls(bounds=tuple(bounds), energy_shift=_shift(data.get("energy_shift", "none")))

    def check(self, metrics: Metrics) -> ContractResult:
        """Hold the metrics against the bounds. A bound on what was not measured is broken, and so is any by a failed frame."""
        rows = [_checked(bound, metrics) for bound in self.bounds]
        if metrics.failed:
            bound = Bound(name="failed frames", limit=0.0, written=0.0)
            rows.append(ContractRow(bound=bound, measured=float(metrics.failed), passed=False))
        return ContractResult(passed=all(row.passed for row in rows), rows=tuple(rows))


class _PlacedError(ValidationError):
    """A mistake in a contract, and the keys that lead to it."""

    def __init__(self, text: str, keys: tuple[Any, ...] = ()) -> None:
        self.keys = keys
        super().__init__(text)


def _part_bounds(key: str, value: Any) -> Iterator[Bound]:
    """Read the bounds of species or groups."""
    if not isinstance(value, Mapping) or not value:
        raise _PlacedError(
            f"{key} holds bounds by name, such as surface: {{forces_rmse: 0.1 eV/angstrom}}; got {value!r}", (key,)
        )
    known = tuple(name for name in _ERRORS if key != "by_species" or name.startswith("force"))
    for part, bounds in value.items():
        if not isinstance(bounds, Mapping) or not bounds:
            raise _PlacedError(
                f"{key}: {part} holds bounds, such as forces_rmse: 0.1 eV/angstrom; got {bounds!r}", (key, part)
            )
        for name, limit in bounds.items():
            yield _bound(str(name), limit, known=known, keys=(key, part, name), of=_PARTS[key], part=str(part))


def _bound(
    name: str, value: Any, *, known: tuple[str, ...], keys: tuple[Any, ...], of: Any = "all", part: str = ""
) -> Bound:
    """Read one bound."""
    if name not in known:
        hint = nearest(name, known) or f" Names are {', '.join(known)}."
        raise _PlacedError(f"there is no metric {name!r} to bound{' here' if part else ''}.{hint}", keys)
    operator: Literal["<=", ">="] = "<="
    factor, unit = 1.0, ""
    if name in _PLAIN:
        operator, low, high = _PLAIN[name]
        written = _plain(name, value, keys)
        if not low <= written <= high:
            raise _PlacedError(f"{name} lies in [{low:g}, {high:g}]; got {value}", keys)
    else:
        written, unit, factor = (
            (_plain(name, value, keys), "", 1.0) if name.endswith("_relative") else _with_unit(name, value, keys)
        )
        if not written > 0.0:
            raise _PlacedError(f"the bound of {name} must be greater than zero; got {value}", keys)
    return Bound(name=name, of=of, part=part, operator=operator, limit=written * factor, written=written, unit=unit)


def _plain(name: str, value: Any, keys: tuple[Any, ...]) -> float:
    """Read a number without a unit; a per cent sign divides by a hundred."""
    text = str(value).strip()
    try:
        number = float(text.removesuffix("%")) * (0.01 if text.endswith("%") else 1.0)
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise _PlacedError(f"the bound of {name} is a plain number; got {value!r}", keys)
    return number


def _with_unit(name: str, value: Any, keys: tuple[Any, ...]) -> tuple[float, str, float]:
    """Read a number, its unit, and how many of ours that is."""
    quantity = name.rpartition("_")[0]
    example = _EXAMPLES[quantity]
    found = _NUMBER.match(str(value))
    if isinstance(value, bool) or found is None:
        raise _PlacedError(f"the bound of {name} is a number with a unit, such as {example}; got {value!r}", keys)
    if not found["unit"]:
        raise _PlacedError(f"{found['number']} has no unit. Write {name}: {example}", keys)
    if quantity == "energy" and not found["unit"].replace(" ", "").endswith("/atom"):
        raise _PlacedError(f"energies are bounded per atom; got {value!r}. Write {name}: {example}", keys)
    try:
        return float(found["number"]), found["unit"], unit_factor(found["unit"], _UNITS[quantity], quantity)
    except ValueError as error:
        raise _PlacedError(str(error), keys) from None


def _shift(value: Any) -> ShiftChoice:
    """Read the energy shift: none, species, or eV per atom by species."""
    if isinstance(value, Mapping):
        if not value or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in value.values()):
            raise _PlacedError(
                f"energy_shift by species holds numbers in eV per atom, such as {{Al: 1.23}}; got {dict(value)!r}",
                ("energy_shift",),
            )
        return {str(k): float(v) for k, v in value.items()}
    if value is None or value == "none":
        return "none"
    if value == "species":
        return "species"
    raise _PlacedError(
        f"energy_shift is none, species, or a mapping such as {{Al: 1.23}}; got {value!r}", ("energy_shift",)
    )


def _checked(bound: Bound, metrics: Metrics) -> ContractRow:
    """Hold one bound."""
    part = {} if bound.of == "all" else {bound.of: bound.part}
    measured = metrics.value(bound.name, **part)
    if measured is None or math.isnan(measured):
        return ContractRow(bound=bound, measured=None, passed=False, remark=_why_not(bound, metrics))
    passed = measured <= bound.limit if bound.operator == "<=" else measured >= bound.limit
    return ContractRow(bound=bound, measured=measured, passed=passed)


def _why_not(bound: Bound, metrics: Metrics) -> str:
    """Say why the data do not tell."""
    if bound.name in ("rank_correlation", "miscalibration_area"):
        return "the potential is no committee, or there are too few forces"
    if bound.part and bound.part not in metrics.groups(bound.of):
        known = metrics.groups(bound.of)
        return f"the data have {', '.join(known) or 'none at all'}.{nearest(bound.part, known)}"
    return f"the data have no {bound.name.rpartition('_')[0].replace('force_vectors', 'forces')}"


def _read_yaml(path: Path) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        data = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        folder = path.parent
        siblings = (
            {p.name.lower(): p for p in folder.iterdir() if p.suffix in (".yaml", ".yml", ".json")}
            if folder.is_dir()
            else {}
        )
        raise ValidationError(f"There is no contract {path}.{nearest(path.name, siblings)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationError(f"The contract {path} cannot be read ({error}).") from None
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        place = f":{mark.line + 1}" if mark is not None else ""
        raise ValidationError(f"{path}{place}: not valid YAML ({getattr(error, 'problem', None) or error}).") from None
    if data is None:
        raise ValidationError(f"The contract {path} is empty. Write, for example, forces_rmse: 0.1 eV/angstrom")
    return data


def _line(data: Any, keys: tuple[Any, ...]) -> str:
    """Return ":12" for the line of the innermost key, as far as it is known."""
    line: int | None = None
    for key in keys:
        try:
            line = int(data.lc.key(key)[0]) + 1
            data = data[key]
        except (AttributeError, KeyError, TypeError):
            break
    return "" if line is None else f":{line}"
