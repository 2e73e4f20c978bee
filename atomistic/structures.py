"""The crystal structures that the builders know: cells, symmetry and a first guess of their size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, chemical_symbols, covalent_radii, reference_states
from numpy.typing import NDArray

from atomistic.elasticity import rotation_group
from atomistic.errors import CrystalError, nearest

_IDEAL = np.sqrt(8.0 / 3.0)


@dataclass(frozen=True, kw_only=True)
class Structure:
    """A structure: its name, how many elements it takes, and a over the nearest-neighbour distance."""

    name: str
    species: int
    a_over_distance: float
    hexagonal: bool = False


STRUCTURES: dict[str, Structure] = {
    s.name: s
    for s in (
        Structure(name="fcc", species=1, a_over_distance=np.sqrt(2.0)),
        Structure(name="bcc", species=1, a_over_distance=2.0 / np.sqrt(3.0)),
        Structure(name="hcp", species=1, a_over_distance=1.0, hexagonal=True),
        Structure(name="diamond", species=1, a_over_distance=4.0 / np.sqrt(3.0)),
        Structure(name="rocksalt", species=2, a_over_distance=2.0),
        Structure(name="cesiumchloride", species=2, a_over_distance=2.0 / np.sqrt(3.0)),
        Structure(name="zincblende", species=2, a_over_distance=4.0 / np.sqrt(3.0)),
    )
}
ALIASES = {"b2": "cesiumchloride", "cscl": "cesiumchloride", "b1": "rocksalt", "nacl": "rocksalt", "a4": "diamond",
           "a1": "fcc", "a2": "bcc", "a3": "hcp", "b3": "zincblende"}  # fmt: skip


def find_structure(name: str, symbols: Sequence[str]) -> Structure:
    """Return the structure of that name, having checked the symbols against it.

    Raises:
        CrystalError: an unknown structure or element, or the wrong number of elements.
    """
    key = ALIASES.get(name.lower(), name.lower())
    if key not in STRUCTURES:
        valid = [*STRUCTURES, "B2"]
        raise CrystalError(f"Unknown crystal structure {name!r}; expected {', '.join(valid)}.{nearest(name, valid)}")
    structure = STRUCTURES[key]
    unreal = [s for s in symbols if s not in atomic_numbers or s == "X"]
    if unreal:
        raise CrystalError(
            f"{', '.join(map(repr, unreal))}: no such element.{nearest(unreal[0], map(str.lower, chemical_symbols))}"
        )
    if len(symbols) != structure.species:
        raise CrystalError(
            f"The structure {structure.name} takes {structure.species} element(s); got {len(symbols)}: {list(symbols)}."
        )
    return structure


def primitive_cell(structure: Structure, symbols: Sequence[str], a: float, c: float | None = None) -> Atoms:
    """Return the primitive cell with the lattice constants a (and c, hcp), Å, in the crystal's own Cartesian axes."""
    name = "".join(symbols)
    if structure.hexagonal:
        return bulk(name, "hcp", a=a, c=a * _IDEAL if c is None else c)
    return bulk(name, structure.name, a=a)


def conventional_cell(structure: Structure, symbols: Sequence[str], a: float, c: float | None = None) -> Atoms:
    """Return the cell whose edges the Miller indices refer to: the cube, or the hexagonal cell."""
    if structure.hexagonal:
        return primitive_cell(structure, symbols, a, c)
    return bulk("".join(symbols), structure.name, a=a, cubic=True)


def point_group(structure: Structure) -> list[NDArray[np.float64]]:
    """Return the rotations of the structure's Laue class, which its elastic constants must share."""
    if structure.hexagonal:
        cosine, sine = 0.5, np.sqrt(3.0) / 2.0
        return rotation_group([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], np.diag([1.0, -1.0, -1.0]))
    return rotation_group([[0, -1, 0], [1, 0, 0], [0, 0, 1]], [[0, 0, 1], [1, 0, 0], [0, 1, 0]])


def covalent_distance(symbols: Sequence[str]) -> float:
    """Return the sum of the covalent radii (Cordero 2008) of the two elements that touch, Å."""
    first, last = symbols[0], symbols[-1]
    return float(covalent_radii[atomic_numbers[first]] + covalent_radii[atomic_numbers[last]])


def guess_distance(symbols: Sequence[str]) -> float:
    """Return a first guess of the nearest-neighbour distance, Å: from the element's own crystal, else covalent radii."""
    if len(symbols) == 1:
        state = reference_states[atomic_numbers[symbols[0]]]
        if state is not None and state.get("symmetry") in STRUCTURES and "a" in state:
            return float(str(state["a"])) / STRUCTURES[str(state["symmetry"])].a_over_distance
    return covalent_distance(symbols)
