"""Any ASE calculator, given by the path of its class."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ase.calculators.calculator import BaseCalculator, Calculator, PropertyNotImplementedError
from mpi4py import MPI

from atomistic.errors import AtomisticError, EvaluationError, MissingEngineError, UnknownPotentialError
from atomistic.potentials.base import Capabilities, Potential

EMT = "ase.calculators.emt:EMT"
#: Elements with parameters in ASE's effective-medium theory; H, C, N and O there are toys for tests of adsorption.
EMT_ELEMENTS = frozenset({"Al", "Cu", "Ag", "Au", "Ni", "Pd", "Pt", "H", "C", "N", "O"})
EMT_REFERENCE = "K. W. Jacobsen, P. Stoltze, J. K. Nørskov, Surf. Sci. 366, 394 (1996)"


def capabilities_of_emt() -> Capabilities:
    """Return what ASE's effective-medium theory can do."""
    # Al, Ag and Au have its largest atoms: halfway from third to fourth neighbours, and ASE's 0.5 Å of taper beyond.
    return Capabilities(name="emt", elements=EMT_ELEMENTS, energies_per_atom=True, cutoff=5.9, reference=EMT_REFERENCE)


def load_emt() -> Potential:
    """Load ASE's effective-medium theory: quick, double precision, fcc metals only; for tests and first steps."""
    from ase.calculators import emt

    return Potential(calculator=emt.EMT(), capabilities=capabilities_of_emt(), comm=MPI.COMM_SELF)


def load_imported(path: str, *, arguments: Mapping[str, Any] | None, elements: Iterable[str] | None) -> Potential:
    """Import `package.module:Class`, call it with `arguments`, and wrap the ASE calculator that it gives.

    Raises:
        MissingEngineError: the module's package is not installed.
        UnknownPotentialError: the path, the class or its arguments are not what they should be.
    """
    if path == EMT and not arguments and elements is None:
        return load_emt()
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise UnknownPotentialError(f"The calculator {path!r} is no import path; expected 'package.module:Class'.")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        package = (error.name or module_name).split(".")[0]
        if importlib.util.find_spec(module_name.split(".")[0]) is not None and error.name in (module_name, None):
            raise UnknownPotentialError(f"There is no module {module_name!r} (calculator {path!r}).") from error
        raise MissingEngineError(f"The package {package!r} (calculator {path!r})", f"pip install {package}") from error
    factory = getattr(module, attribute, None)
    if not callable(factory):
        raise UnknownPotentialError(f"The module {module_name!r} has no class {attribute!r} (calculator {path!r}).")
    try:
        calculator = factory(**dict(arguments or {}))
    except TypeError as error:
        signature = _signature(factory)
        raise UnknownPotentialError(
            f"{path} refused its arguments: {error}. It takes {attribute}{signature}."
        ) from error
    except Exception as error:
        raise UnknownPotentialError(f"{path} could not be made: {type(error).__name__}: {error}.") from error
    if not isinstance(calculator, Calculator):
        raise UnknownPotentialError(f"{path} gave a {type(calculator).__name__}, which is no ASE calculator.")
    known = set(calculator.implemented_properties)
    calculator.calculate = _named(calculator.calculate, path)  # type: ignore[method-assign]
    return Potential(
        calculator=calculator,
        capabilities=Capabilities(
            name=path,
            elements=frozenset(elements) if elements is not None else (EMT_ELEMENTS if path == EMT else None),
            stress="stress" in known,
            energies_per_atom="energies" in known,
            reference=EMT_REFERENCE if path == EMT else "",
        ),
        comm=MPI.COMM_SELF,
    )


def as_potential(calculator: Any) -> Potential:
    """Return a potential unchanged, and any ASE calculator as a counted one.

    Raises:
        UnknownPotentialError: neither the one nor the other.
    """
    if isinstance(calculator, Potential):
        return calculator
    if not isinstance(calculator, BaseCalculator):
        raise UnknownPotentialError(
            f"Expected an ASE calculator or a potential; got {type(calculator).__name__} {calculator!r}. Names go through "
            "load_potential (atomistic.potentials) or load_oracle (atomistic.oracle)."
        )
    known = set(calculator.implemented_properties)
    return Potential(
        calculator=calculator,
        capabilities=Capabilities(
            name=type(calculator).__name__,
            elements=None,
            stress="stress" in known,
            energies_per_atom="energies" in known,
        ),
        comm=MPI.COMM_SELF,
    )


def _named(calculate: Callable[..., None], path: str) -> Callable[..., None]:
    """Let errors of a foreign calculator say whose they are."""

    def named(*arguments: Any, **options: Any) -> None:
        try:
            calculate(*arguments, **options)
        except (NotImplementedError, PropertyNotImplementedError, AtomisticError, EvaluationError, MemoryError):
            raise
        except Exception as error:
            raise EvaluationError(f"The calculator {path!r} failed: {type(error).__name__}: {error}") from error

    return named


def _signature(factory: Any) -> str:
    """Return the call signature for a message; some built-in classes have none."""
    try:
        return str(inspect.signature(factory))
    except ValueError:
        return "(...)"
