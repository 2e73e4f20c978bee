"""From a specification, as a person writes it, to an engine in front of which stands an ASE calculator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from mpi4py import MPI

from atomistic.errors import MissingEngineError, OracleInputError, UnknownPotentialError, nearest
from atomistic.oracle import gpaw, pyscf, tblite
from atomistic.oracle.base import Engine
from atomistic.oracle.cache import ResultCache
from atomistic.oracle.calculator import OracleCalculator
from atomistic.oracle.foreign import CalculatorEngine, CalculatorSpec, PotentialEngine
from atomistic.oracle.retry import MODES
from atomistic.oracle.settings import one_of
from atomistic.potentials import available_potentials
from atomistic.potentials.base import Potential


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """A quantum engine: its name, what it computes, whether it is installed, how to install it, its licence."""

    name: str
    title: str
    treats: str
    installed: bool
    install: str
    licence: str


_ENGINES: dict[str, tuple[Any, Callable[[Any], Engine], str]] = {
    "tblite": (tblite, tblite.TBLiteEngine, "tblite"),
    "pyscf": (pyscf, pyscf.PySCFEngine, "PySCF"),
    "gpaw": (gpaw, gpaw.GPAWEngine, gpaw.WHY),
}
_SHORTCUTS: dict[str, dict[str, Any]] = {
    "gfn1": {"engine": "tblite", "settings": {"method": "GFN1-xTB"}},
    "gfn2": {"engine": "tblite", "settings": {"method": "GFN2-xTB"}},
    "gpaw-metal": {"engine": "gpaw", "settings": dict(gpaw.METAL)},
    **{name: {"engine": name} for name in _ENGINES},
}
#: Keys for what stands in front of the engine, the same for all engines.
_FRONT = ("retry", "energy")
_CALCULATOR = tuple(f.name for f in fields(CalculatorSpec))


def available_engines() -> list[EngineInfo]:
    """List the quantum engines, without importing any."""
    return [
        EngineInfo(
            name="tblite", title="tblite", treats="GFN2-xTB of molecules, GFN1-xTB of crystals",
            installed=tblite.installed(), install=tblite.INSTALL, licence="LGPL-3.0-or-later",
        ),
        EngineInfo(
            name="pyscf", title="PySCF", treats="Hartree-Fock and DFT of molecules, Gaussian basis",
            installed=pyscf.installed(), install=pyscf.INSTALL, licence="Apache-2.0",
        ),
        EngineInfo(
            name="gpaw", title="GPAW", treats="DFT of crystals, surfaces and molecules, plane waves",
            installed=gpaw.installed(), install=gpaw.INSTALL, licence="GPL-3.0-or-later",
        ),
    ]  # fmt: skip


def load_oracle(
    spec: str | Mapping[str, Any] | Path,
    *,
    cache: str | Path | None = None,
    match: float = 1e-6,
    budget: int | None = None,
    comm: MPI.Comm | None = None,
) -> Potential:
    """Turn a specification into a counted ASE calculator for quantum mechanics.

    Charge (e) and unpaired electrons are read from `atoms.info["charge"]` and `atoms.info["spin"]`.

    Args:
        spec: "tblite", "gfn2", "gfn1", "pyscf", "gpaw", "gpaw-metal" (with settings for metals); or a mapping, one of:
            {engine: gpaw, settings: {...}} (docs/engines.md lists the settings);
            {calculator: "package.module:Class", arguments: {...}, retries: [{...}], electronic: true} for any ASE calculator;
            or whatever `load_potential` takes, a potential standing in for quantum mechanics.
            In all of them `retry: none|safe|hot` (how far a failed calculation is retried; "hot" may raise the electronic
            temperature, and says so) and `energy: extrapolated|free`.
        cache: folder of results; what is there is not computed again, and needs no engine installed.
        match: how far cell vectors and positions may lie from a stored result's (Å).
        budget: fresh calculations that may be made, failed ones included; one more raises OracleBudgetError. What is in the cache
            is free. None: as many as are asked for.
        comm: ranks that call together: the first looks up or computes, all get the same bits. By default every rank for itself.

    Raises:
        OracleInputError: unknown engine, setting or key, with the nearest name; a value that makes no sense.
        MissingEngineError: the engine is not installed (without a cache; with one, when it is first needed).
        OracleCacheError: the cache's folder cannot be made.
        UnknownPotentialError, ModelFileError: as `load_potential` raises them.
    """
    comm = MPI.COMM_SELF if comm is None else comm
    given = _as_mapping(spec)
    front = {key: given.pop(key) for key in _FRONT if key in given}
    one_of("retry", front.get("retry", "safe"), MODES)
    stored = None if cache is None else ResultCache(Path(cache), match=match)
    engine = _engine(given, deferred=stored is not None)
    calculator = OracleCalculator(engine, cache=stored, budget=budget, comm=comm, **front)
    capabilities = replace(engine.capabilities, energies_per_atom=False, parallel=comm.size > 1)
    site_model = None
    if isinstance(engine, PotentialEngine) and capabilities.weighted_site_energies and stored is None:
        site_model = engine.potential.site_model
    capabilities = replace(capabilities, weighted_site_energies=site_model is not None)
    return Potential(calculator=calculator, capabilities=capabilities, comm=comm, site_model=site_model)


def _as_mapping(spec: Any) -> dict[str, Any]:
    """The specification as a mapping that may be taken apart."""
    if isinstance(spec, Path):
        return {"path": str(spec)}
    if isinstance(spec, str):
        key = spec.strip().lower()
        return dict(_SHORTCUTS.get(key, {"name": spec}))
    if isinstance(spec, Mapping):
        given = dict(spec)
        short = _SHORTCUTS.get(str(given.get("engine", "")).strip().lower(), {})
        if "settings" in short:
            given |= {"engine": short["engine"], "settings": short["settings"] | dict(given.get("settings") or {})}
        return given
    raise OracleInputError(f"An engine is a name or a mapping; got {type(spec).__name__} {spec!r}.")


def _engine(given: dict[str, Any], *, deferred: bool) -> Engine:
    """The engine of a specification; `deferred` where it need not be installed yet."""
    if "engine" in given:
        return _quantum(given, deferred=deferred)
    if "calculator" in given:
        _known_keys(given, _CALCULATOR)
        return CalculatorEngine(CalculatorSpec(**given), deferred=deferred)
    try:
        return PotentialEngine(given["name"] if set(given) == {"name"} else given, deferred=deferred)
    except UnknownPotentialError as error:
        if set(given) == {"name"}:
            names = [*_SHORTCUTS, *(info.name for info in available_potentials())]
            name = str(given["name"])
            raise OracleInputError(
                f"Unknown engine {name!r}.{nearest(name, names)} Engines are {', '.join(_SHORTCUTS)}; any potential "
                "(`multiscale potentials` lists them) or ASE calculator ({calculator: 'module:Class'}) may stand in for one."
            ) from error
        raise


def _quantum(given: dict[str, Any], *, deferred: bool) -> Engine:
    """One of our own engines."""
    name = str(given["engine"]).strip().lower()
    if name not in _ENGINES:
        raise OracleInputError(
            f"Unknown engine {given['engine']!r}.{nearest(name, _SHORTCUTS)} Engines are {', '.join(_SHORTCUTS)}; an ASE "
            "calculator is given as {calculator: 'module:Class'}."
        )
    _known_keys(given, ("engine", "settings"))
    module, make, title = _ENGINES[name]
    engine = make(given.get("settings"))
    if not deferred and not module.installed():
        raise MissingEngineError(title, module.INSTALL)
    return engine


def _known_keys(given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    valid = (*known, *_FRONT)
    for key in given:
        if key not in valid:
            raise OracleInputError(
                f"Unknown key {key!r} of an engine; expected {', '.join(valid)}.{nearest(str(key), valid)}"
            )
