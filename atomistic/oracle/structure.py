"""Charge and spin of a structure, and what is refused before an engine runs."""

from __future__ import annotations

import numbers as abstract_numbers
from collections.abc import Iterator
from typing import Any

import numpy as np
from ase import Atoms
from scipy.spatial import cKDTree

from atomistic.errors import OracleInputError, UnknownElementError
from atomistic.oracle.base import Engine, Task

#: Nuclei closer than this (Å) are a mistake in the structure.
CLOSEST = 0.1


def make_task(atoms: Atoms, engine: Engine, *, stress: bool) -> Task:
    """Return the task of a structure after checking it.

    Args:
        atoms: the structure; `atoms.info["charge"]` (e) and `atoms.info["spin"]` (unpaired electrons) are read, 0 if absent.
        engine: who will compute it.
        stress: whether the stress is wanted.

    Raises:
        OracleInputError: no atoms, positions or cell that are not finite, charge or spin that make no sense, a molecule
            whose electrons cannot be paired as its spin says, or what the engine itself refuses.
        UnknownElementError: the engine has no parameters for an element.
    """
    _finite(atoms)
    _known_elements(atoms, engine)
    charge, spin = electrons_of(atoms)
    bare = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    moments = atoms.get_initial_magnetic_moments()
    if moments.any():
        bare.set_initial_magnetic_moments(moments)
    bare.info.update(charge=charge, spin=spin)
    task = Task(atoms=bare, charge=charge, spin=spin, stress=stress)
    if engine.capabilities.electronic and not task.periodic:
        check_pairing(task)
    engine.check(task)
    return task


def electrons_of(atoms: Atoms) -> tuple[float, int]:
    """Return charge (e) and unpaired electrons from `atoms.info`, 0 where absent.

    Raises:
        OracleInputError: they are no numbers, or the spin is negative or no whole number.
    """
    charge = _number(atoms.info.get("charge", 0.0), "charge")
    spin = _number(atoms.info.get("spin", 0), "spin")
    if spin < 0 or spin != round(spin):
        raise OracleInputError(
            f"atoms.info['spin'] is the number of unpaired electrons, 0, 1, 2 ...; got {spin:g}. A doublet has 1, a triplet 2."
        )
    return charge, int(spin)


def check_pairing(task: Task) -> None:
    """Refuse a molecule whose electrons cannot be paired as its spin says.

    Raises:
        OracleInputError: a fraction of an electron, too few electrons, or a parity that does not fit the spin.
    """
    atoms, charge, spin = task.atoms, task.charge, task.spin
    formula = atoms.get_chemical_formula()
    if abs(charge - round(charge)) > 1e-9:
        raise OracleInputError(
            f"A molecule has a whole number of electrons; atoms.info['charge'] is {charge:g} for {formula}."
        )
    electrons = int(atoms.numbers.sum()) - round(charge)
    if electrons < max(spin, 1):
        raise OracleInputError(
            f"{formula} with charge {charge:g} has {electrons} electrons, too few for {spin} unpaired ones. Check "
            "atoms.info['charge'] and atoms.info['spin']."
        )
    if (electrons - spin) % 2:
        word = "odd" if electrons % 2 else "even"
        raise OracleInputError(
            f"{formula} with charge {charge:g} has {electrons} electrons: an {word} number cannot leave {spin} unpaired. Give "
            f"atoms.info['spin'] (of a quantum region: spin) as {spin + 1}{f' or {spin - 1}' if spin else ''}, or another "
            "charge; a region cut through covalent bonds may lack its link atoms."
        )


def _finite(atoms: Atoms) -> None:
    if len(atoms) == 0:
        raise OracleInputError("There are no atoms to compute.")
    bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(bad):
        raise OracleInputError(
            f"Positions must be finite numbers (Å); atom {bad[0]} ({atoms.symbols[bad[0]]}) is at {atoms.positions[bad[0]]}."
        )
    if not np.isfinite(atoms.cell.array).all():
        raise OracleInputError(f"The cell must be finite numbers (Å); got {atoms.cell.array.tolist()}.")
    if (atoms.numbers < 1).any():
        raise OracleInputError("The structure holds atoms without an element (number 0, 'X'); remove or name them.")
    empty = [axis for axis in range(3) if atoms.pbc[axis] and not atoms.cell[axis].any()]
    if empty:
        raise OracleInputError(f"The structure is periodic along {'abc'[empty[0]]} but has no cell vector there.")
    for one, other, apart in _clashes(atoms):
        raise OracleInputError(
            f"Atoms {one} and {other} ({atoms.symbols[one]}, {atoms.symbols[other]}) are {apart:.3f} Å apart; "
            "the shortest of all bonds has 0.74 Å."
        )


def _clashes(atoms: Atoms) -> Iterator[tuple[int, int, float]]:
    """Pairs closer than CLOSEST, across periodic boundaries too; a tree, for ASE's neighbour list costs milliseconds."""
    cell = atoms.cell.complete().array if atoms.pbc.any() else np.eye(3)
    try:
        inverse = np.linalg.inv(cell)
    except np.linalg.LinAlgError as error:
        raise OracleInputError(f"The cell's vectors lie in a plane: {atoms.cell.array.tolist()}.") from error
    places = atoms.positions @ inverse
    places[:, atoms.pbc] %= 1.0
    places[:, atoms.pbc] %= 1.0  # -1e-17 % 1.0 is 1.0, which is outside the box
    tree = cKDTree(places, boxsize=np.where(atoms.pbc, 1.0, 0.0))
    for one, other in tree.query_pairs(CLOSEST * np.linalg.norm(inverse, ord=2)):
        apart = places[one] - places[other]
        apart[atoms.pbc] -= np.round(apart[atoms.pbc])
        distance = float(np.linalg.norm(apart @ cell))
        if distance < CLOSEST:
            yield one, other, distance


def _known_elements(atoms: Atoms, engine: Engine) -> None:
    known = engine.capabilities.elements
    unknown = sorted(set(atoms.symbols) - known) if known is not None else []
    if unknown:
        raise UnknownElementError(
            f"{engine.name} has no parameters for {', '.join(unknown)}. Choose another engine or other elements."
        )


def _number(value: Any, name: str) -> float:
    """Return a charge or spin as a number; arrays of one and numpy numbers, as files give them, are fine."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, abstract_numbers.Real) or not np.isfinite(float(value)):
        raise OracleInputError(f"atoms.info[{name!r}] must be a number; got {value!r}.")
    return float(value)
