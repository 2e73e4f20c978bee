"""Elastic constants of a crystal by the names that tables give them, and the moduli that follow."""

from __future__ import annotations

import numpy as np

from atomistic.crystal import Crystal

#: Independent constants: cubic, and hexagonal.
_CUBIC = {"C11": (0, 0), "C12": (0, 1), "C44": (3, 3)}
_HEXAGONAL = {"C11": (0, 0), "C12": (0, 1), "C13": (0, 2), "C33": (2, 2), "C44": (3, 3)}


def elastic_constants(crystal: Crystal) -> dict[str, float]:
    """Return the independent elastic constants of a crystal by name, eV/Å³."""
    names = _HEXAGONAL if crystal.structure == "hcp" else _CUBIC
    return {name: float(crystal.stiffness[place]) for name, place in names.items()}


def bulk_modulus(crystal: Crystal) -> float:
    """Return the resistance to pressure, 1/Σ_ij S_ij over the first three (Reuss), eV/Å³."""
    return float(1.0 / np.linalg.inv(crystal.stiffness)[:3, :3].sum())


def shear_modulus(crystal: Crystal) -> float:
    """Return the shear modulus of a polycrystal, the mean of Voigt's and Reuss's (Hill 1952), eV/Å³."""
    c, s = crystal.stiffness, np.linalg.inv(crystal.stiffness)
    voigt = (np.trace(c[:3, :3]) - (c[0, 1] + c[0, 2] + c[1, 2]) + 3.0 * np.trace(c[3:, 3:])) / 15.0
    reuss = 15.0 / (4.0 * np.trace(s[:3, :3]) - 4.0 * (s[0, 1] + s[0, 2] + s[1, 2]) + 3.0 * np.trace(s[3:, 3:]))
    return float(0.5 * (voigt + reuss))


def zener_ratio(crystal: Crystal) -> float | None:
    """Return 2 C44/(C11 − C12) of a cubic crystal, 1 where it is isotropic; None of a hexagonal one."""
    if crystal.structure == "hcp":
        return None
    c = elastic_constants(crystal)
    return 2.0 * c["C44"] / (c["C11"] - c["C12"])
