"""By which names and in which units files keep energies, forces and stresses, and how they become ours (eV, eV/Å, eV/Å³)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

from atomistic.errors import LabelledDataError, nearest

Label = Literal["energy", "forces", "stress"]
StressOrder = Literal["voigt", "vasp"]

#: Names in the order in which they are taken, compared without regard to case. A name that says where the value comes from
#: goes before the plain one, which may be what some other calculator left behind.
KNOWN_KEYS: dict[str, tuple[str, ...]] = {
    "energy": ("ref_energy", "dft_energy", "qm_energy", "energy_dft", "energy_ref", "energy"),
    "forces": (
        *("ref_forces", "ref_force", "dft_forces", "dft_force", "qm_forces", "qm_force"),
        *("forces_dft", "forces_ref", "forces", "force"),
    ),
    "stress": ("ref_stress", "dft_stress", "qm_stress", "stress_dft", "stress_ref", "stress"),
    "virial": (
        *("ref_virial", "ref_virials", "dft_virial", "dft_virials", "qm_virial", "qm_virials"),
        *("virial", "virials"),
    ),
}

_HARTREE = 27.211386245988  # CODATA 2018, eV
_BOHR = 0.529177210903  # CODATA 2018, Å
_KCAL = 4.184e3 / (6.02214076e23 * 1.602176634e-19)  # kcal/mol in eV, exact constants of the SI of 2019
#: Units in eV.
ENERGY_UNITS = {
    "eV": 1.0,
    "meV": 1e-3,
    "Hartree": _HARTREE,
    "Ry": 0.5 * _HARTREE,
    "kcal/mol": _KCAL,
    "kJ/mol": _KCAL / 4.184,
}
#: Units in eV/Å.
FORCE_UNITS = {
    "eV/angstrom": 1.0,
    "meV/angstrom": 1e-3,
    "Hartree/bohr": _HARTREE / _BOHR,
    "Ry/bohr": 0.5 * _HARTREE / _BOHR,
    "kcal/mol/angstrom": _KCAL,
    "kJ/mol/angstrom": _KCAL / 4.184,
}
#: Units in eV/Å³ (1 eV/Å³ = 160.2176634 GPa, exact).
STRESS_UNITS = {
    "eV/angstrom^3": 1.0,
    "GPa": 1.0 / 160.2176634,
    "MPa": 1e-3 / 160.2176634,
    "kbar": 0.1 / 160.2176634,
    "bar": 1e-4 / 160.2176634,
    "Hartree/bohr^3": _HARTREE / _BOHR**3,
    "Ry/bohr^3": 0.5 * _HARTREE / _BOHR**3,
}
#: No structure that holds together is stressed more (eV/Å³; 3,200 GPa): larger numbers are in another unit.
LARGEST_STRESS = 20.0
#: Six numbers of a stress in words, and where Voigt's are among them.
_ORDERS: dict[str, tuple[str, list[int]]] = {
    "voigt": ("xx, yy, zz, yz, xz, xy", [0, 1, 2, 3, 4, 5]),
    "vasp": ("xx, yy, zz, xy, yz, zx", [0, 1, 2, 4, 5, 3]),
}


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """Where the labels are and in which units; by default found by their usual names, in ASE's units.

    Attributes:
        energy_key, forces_key, stress_key: names in the file; None for the first of `KNOWN_KEYS` that any frame has.
        virial_key: name of a virial (eV) instead of a stress, σ = −W/V, the convention of extended XYZ files.
        group_key: what holds the group that a frame belongs to.
        energy_unit, forces_unit, stress_unit: of `ENERGY_UNITS`, `FORCE_UNITS`, `STRESS_UNITS`.
        stress_positive: the sign of the stress in the file; VASP's own output ("in kB") is positive in compression.
        stress_order: of six numbers: "voigt" for xx, yy, zz, yz, xz, xy, as ASE has them; "vasp" for xx, yy, zz, xy, yz, zx, as
            VASP prints them. Nine numbers are a matrix; a stress that ASE's readers found is in ASE's order already.
        nan_is_missing: take labels with numbers that are not finite for labels that were not computed, instead of refusing.
    """

    energy_key: str | None = None
    forces_key: str | None = None
    stress_key: str | None = None
    virial_key: str | None = None
    group_key: str = "config_type"
    energy_unit: str = "eV"
    forces_unit: str = "eV/angstrom"
    stress_unit: str = "eV/angstrom^3"
    stress_positive: Literal["tension", "compression"] = "tension"
    stress_order: StressOrder = "voigt"
    nan_is_missing: bool = False

    def __post_init__(self) -> None:
        """Refuse unknown units and a stress asked for twice."""
        unit_factor(self.energy_unit, ENERGY_UNITS, "energy")
        unit_factor(self.forces_unit, FORCE_UNITS, "force")
        unit_factor(self.stress_unit, STRESS_UNITS, "stress")
        if self.stress_positive not in ("tension", "compression"):
            raise LabelledDataError(
                f"A stress is positive in tension or in compression; got {self.stress_positive!r}. ASE's convention is tension."
            )
        if self.stress_order not in _ORDERS:
            raise LabelledDataError(
                f"Six numbers of a stress are in the order voigt ({_ORDERS['voigt'][0]}) or vasp ({_ORDERS['vasp'][0]}); got "
                f"{self.stress_order!r}."
            )
        if self.stress_key and self.virial_key:
            raise LabelledDataError(
                f"Both a stress ({self.stress_key!r}) and a virial ({self.virial_key!r}) were asked for; name one of them."
            )


@dataclass(frozen=True, kw_only=True)
class ChosenKeys:
    """The names from which the labels of a file are taken, the same for all its frames; None where there is none."""

    energy: str | None
    forces: str | None
    stress: str | None
    virial: str | None


def unit_factor(unit: str, units: Mapping[str, float], what: str) -> float:
    """Return how many of ours one `unit` is; "A", "Å" and "Ang" stand for angstrom, letter case does not count.

    Raises:
        LabelledDataError: an unknown unit.
    """
    folded = {_folded(name): factor for name, factor in units.items()}
    factor = folded.get(_folded(unit))
    if factor is None:
        raise LabelledDataError(
            f"Unknown unit {unit!r} of {what}; expected one of {', '.join(units)}.{nearest(unit, units)}"
        )
    return factor


def _folded(unit: str) -> str:
    """Write a unit in one way."""
    text = unit.strip().replace(" ", "").replace("**", "^").replace("³", "^3").replace("Å", "angstrom")
    parts = [
        {"a": "angstrom", "ang": "angstrom", "a^3": "angstrom^3", "ang^3": "angstrom^3"}.get(p, p)
        for p in text.lower().split("/")
    ]
    return "/".join({"ha": "hartree", "rydberg": "ry"}.get(p, p) for p in parts)


def values_of(atoms: Atoms, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that a frame carries by name: its calculator's results, its arrays, its info, and `extra`.

    Where names meet, what the file says of the frame goes before what a calculator left. A calculator's stress is in ASE's
    order whatever the file's, and becomes a matrix.
    """
    results = dict(atoms.calc.results) if atoms.calc is not None else {}
    if "stress" in results and np.shape(results["stress"]) == (6,):
        results["stress"] = voigt_6_to_full_3x3_stress(results["stress"])
    arrays = {k: v for k, v in atoms.arrays.items() if k not in ("numbers", "positions")}
    return {**results, **arrays, **atoms.info, **extra}


def choose_keys(frames: Iterable[Mapping[str, Any]], options: LabelOptions, where: str) -> ChosenKeys:
    """Choose the names of the labels once for all frames, so that values of two kinds are never mixed.

    Raises:
        LabelledDataError: a name asked for that no frame has.
    """
    names: dict[str, int] = {}
    for values in frames:
        for name in values:
            names[name] = names.get(name, 0) + 1
    chosen: dict[str, str | None] = {}
    for label in ("energy", "forces", "stress", "virial"):
        asked = getattr(options, f"{label}_key")
        if asked is not None and asked not in names:
            raise LabelledDataError(
                f"No frame of {where} has {asked!r}, which was given as the name of the {label}; they have "
                f"{', '.join(sorted(names)) or 'nothing but places'}.{nearest(asked, names)}"
            )
        chosen[label] = asked or _first(names, KNOWN_KEYS[label])
    if options.stress_key is None and chosen["virial"] is not None and (options.virial_key or _says_more(chosen)):
        chosen["stress"] = None
    elif chosen["stress"] is not None:
        chosen["virial"] = None
    return ChosenKeys(**chosen)


def _says_more(chosen: Mapping[str, str | None]) -> bool:
    """Whether the virial is to be taken: there is no stress, or only a plain one beside a virial that names its source."""
    stress, virial = chosen["stress"], chosen["virial"] or ""
    return stress is None or (stress.lower() == "stress" and not virial.lower().startswith("virial"))


def _first(names: Mapping[str, int], known: tuple[str, ...]) -> str | None:
    """Return the name that comes first in `known`; of several spellings the most frequent one."""
    for wanted in known:
        spelled = [name for name in names if name.lower() == wanted]
        if spelled:
            return max(spelled, key=lambda name: names[name])
    return None


def as_number(value: Any, what: str) -> float:
    """Return a label as one number.

    Raises:
        LabelledDataError: it is none.
    """
    array = _as_floats(value, what)
    if array.size != 1:
        raise LabelledDataError(f"{what} must be one number; got shape {array.shape}.")
    return float(array.reshape(()))


def as_vectors(value: Any, count: int, what: str) -> NDArray[np.float64]:
    """Return a label as (count, 3) numbers.

    Raises:
        LabelledDataError: it has another shape.
    """
    array = _as_floats(value, what)
    if array.size != 3 * count or array.ndim not in (1, 2):
        raise LabelledDataError(
            f"{what} must be {count} rows of three numbers, one for each atom; got shape {array.shape}."
        )
    return array.reshape(count, 3)


def stress_of(
    atoms: Atoms, values: Mapping[str, Any], keys: ChosenKeys, options: LabelOptions, where: str
) -> NDArray[np.float64] | None:
    """Return the stress of a frame in eV/Å³, (3, 3), positive in tension, from a stress or a virial; None where it has neither.

    Raises:
        LabelledDataError: it has another shape or unit, or a virial has no volume.
    """
    given = values.get(keys.stress or keys.virial or "")
    if given is None:
        return None
    what = f"The {'stress' if keys.stress else 'virial'} of {where}"
    tensor = as_tensor(given, what, order=options.stress_order if keys.stress else "voigt")
    if keys.virial:
        if atoms.cell.rank < 3:
            raise LabelledDataError(f"{what} needs a cell with a volume to become a stress, and the frame has none.")
        return -tensor * unit_factor(options.energy_unit, ENERGY_UNITS, "energy") / atoms.get_volume()
    sign = 1.0 if options.stress_positive == "tension" else -1.0
    stress = sign * tensor * unit_factor(options.stress_unit, STRESS_UNITS, "stress")
    if np.all(np.isfinite(stress)) and np.abs(stress).max() > LARGEST_STRESS:
        raise LabelledDataError(
            f"{what} reaches {np.abs(stress).max():.3g} eV/Å³ = {np.abs(stress).max() * 160.2176634:.3g} GPa, more than any "
            "solid bears: it is in another unit. Give the unit of the stress (kbar or GPa), and its sign: VASP's is positive in "
            "compression."
        )
    return stress


def as_tensor(value: Any, what: str, *, order: StressOrder = "voigt") -> NDArray[np.float64]:
    """Return a label of 6 numbers (in the order of `LabelOptions.stress_order`) or 9 as a symmetric (3, 3) array.

    Raises:
        LabelledDataError: it has another shape, or its two halves differ by more than a hundredth of the largest number.
    """
    array = _as_floats(value, what)
    if array.shape == (6,):
        return np.asarray(voigt_6_to_full_3x3_stress(array[_ORDERS[order][1]]), dtype=float)
    if array.size != 9:
        raise LabelledDataError(
            f"{what} must be 6 numbers ({_ORDERS[order][0]}) or a 3 × 3 matrix; got shape {array.shape}."
        )
    full = array.reshape(3, 3)
    if np.all(np.isfinite(full)) and np.abs(full - full.T).max() > 1e-2 * np.abs(full).max():
        raise LabelledDataError(f"{what} must be symmetric; got {full.round(6).tolist()}.")
    return np.asarray(0.5 * (full + full.T))


def _as_floats(value: Any, what: str) -> NDArray[np.float64]:
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise LabelledDataError(f"{what} must be numbers; got {str(value)[:60]!r}.") from None
