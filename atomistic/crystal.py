"""A crystal as its potential sees it: lattice constants, cohesive energy and elastic constants at rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.elasticity import elastic_tensor, raw_elastic_tensor, rotate_stiffness, symmetrised, uniaxial_modulus
from atomistic.errors import CrystalError
from atomistic.orientation import Orientation, orient
from atomistic.potentials.base import Potential
from atomistic.ranks import on_first_rank
from atomistic.structures import (
    Structure,
    conventional_cell,
    covalent_distance,
    find_structure,
    guess_distance,
    point_group,
    primitive_cell,
)

#: Largest change of a logarithmic lattice constant in one step of the search.
_MAX_STEP = 0.08
#: Converged where the next step would be smaller than this.
_STEP_TOLERANCE = {"float64": 1e-9, "float32": 2e-6}
#: Softer than this (eV/Å³ per unit of logarithmic strain) is no crystal but atoms out of each other's reach.
_SOFTEST = 0.02
#: Nearest-neighbour distances, in sums of covalent radii, between which crystals are looked for.
_SHORTEST, _LONGEST = 0.65, 1.6


@dataclass(frozen=True, kw_only=True)
class Crystal:
    """A crystal at zero stress.

    Attributes:
        structure: fcc, bcc, hcp, diamond, rocksalt, cesiumchloride or zincblende.
        symbols: its elements.
        potential: the name of the potential.
        atoms: the primitive cell, no calculator attached.
        conventional: the cell that Miller indices refer to, in the same axes.
        a: lattice constant, Å.
        c: second lattice constant (hcp), Å.
        energy_per_atom: eV.
        cohesive_energy: energy of the free atoms less that of the crystal, eV per atom, positive; None where the potential
            cannot evaluate a free atom. Foundation models saw hardly any: theirs is an extrapolation.
        stiffness: (6, 6), Voigt xx, yy, zz, yz, xz, xy, eV/Å³, in the crystal's Cartesian axes (the cube's edges; hcp: x
            along the first edge, z along c). Has the symmetry of the crystal exactly.
        symmetry_defect: largest change that this symmetry made to the computed constants, over the largest of them.
    """

    structure: str
    symbols: tuple[str, ...]
    potential: str
    atoms: Atoms
    conventional: Atoms
    a: float
    c: float | None
    energy_per_atom: float
    cohesive_energy: float | None
    stiffness: NDArray[np.float64]
    symmetry_defect: float


def relax_crystal(
    potential: Potential,
    *,
    symbols: Sequence[str] | str,
    structure: str,
    a: float | None = None,
    c: float | None = None,
    comm: MPI.Comm | None = None,
) -> Crystal:
    """Find the lattice constants where the stress vanishes, then the energies and the elastic constants.

    Root finding on the stress, which is first order in the strain where the energy is second, so a few evaluations of
    the primitive cell give the lattice constant to the noise of the potential. All structures here fix their atoms' fractional
    coordinates by symmetry.

    Args:
        potential: gives energies, forces and stresses.
        symbols: the elements, one or two; a single symbol may be given as text.
        structure: fcc, bcc, hcp, diamond, rocksalt, cesiumchloride (B2) or zincblende.
        a: first guess of the lattice constant, Å; a bad one is found out and replaced by a wide search.
        c: the same for hcp's second.
        comm: where given, its first rank computes and all of them get the same numbers.

    Raises:
        CrystalError: unknown structure, wrong number of elements, or no stable crystal of that structure.
        UnknownElementError: the potential does not know an element.
    """
    symbols = (symbols,) if isinstance(symbols, str) else tuple(symbols)
    kind = find_structure(structure, symbols)
    for name, guess in (("a", a), ("c", c)):
        if guess is not None and not (np.isfinite(guess) and guess > 0.0):
            raise CrystalError(f"The guess of {name} must be a positive length in Å; got {guess!r}.")
    if c is not None and not kind.hexagonal:
        raise CrystalError(f"The structure {kind.name} has no second lattice constant; leave out c = {c!r}.")
    potential.check_elements(symbols)
    start = kind.a_over_distance * guess_distance(symbols) if a is None else a
    ratio = c / start if c is not None and kind.hexagonal else np.sqrt(8.0 / 3.0)

    def compute() -> Crystal:
        return _measured(potential, kind, symbols, *_relax_lattice(potential, kind, symbols, start, ratio))

    return on_first_rank(compute, potential=potential, comm=comm)


def _relax_lattice(
    potential: Potential, kind: Structure, symbols: tuple[str, ...], start: float, ratio: float
) -> tuple[float, float | None]:
    """Return a and c at zero stress."""

    def build(logs: NDArray[np.float64]) -> Atoms:
        first = float(np.exp(logs[0]))
        second = first * ratio if len(logs) == 1 else float(np.exp(logs[1]))
        return primitive_cell(kind, symbols, first, second if kind.hexagonal else None)

    def isotropic(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([np.trace(potential.evaluate(build(logs)).stress)])

    def uniaxial(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        stress = potential.evaluate(build(logs)).stress
        return np.array([stress[0, 0] + stress[1, 1], stress[2, 2]])

    tolerance = _STEP_TOLERANCE[potential.capabilities.precision]
    shortest, longest = np.log(kind.a_over_distance * covalent_distance(symbols) * np.array([_SHORTEST, _LONGEST]))
    inside = float(np.clip(np.log(start), shortest, longest))
    margin = (shortest - 0.01, longest + 0.01)
    # Hexagonal crystals only need a rough first size: both lattice constants are found together afterwards.
    rough = 1e-3 if kind.hexagonal else tolerance
    root = _root(isotropic, np.array([inside]), tolerance=rough, within=margin)
    if root is None:
        seed = _scan(potential, build, shortest, longest)
        root = _root(isotropic, np.array([seed]), tolerance=rough, within=margin) if seed is not None else None
    if root is not None and kind.hexagonal:
        root = _root(uniaxial, np.array([root[0], root[0] + np.log(ratio)]), tolerance=tolerance, within=margin)
    if root is None:
        raise CrystalError(
            f"The potential {potential.capabilities.name!r} has no {kind.name} crystal of {'-'.join(symbols)} at zero stress "
            f"with a between {np.exp(shortest):.2f} and {np.exp(longest):.2f} Å. Choose another structure or potential."
        )
    return float(np.exp(root[0])), float(np.exp(root[1])) if kind.hexagonal else None


def _root(
    stress: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    logs: NDArray[np.float64],
    *,
    tolerance: float,
    within: tuple[float, float],
) -> NDArray[np.float64] | None:
    """Return the logarithmic lattice constants where the stress vanishes and the crystal is stiff, or None.

    Newton's method whose derivative starts from one difference in each direction and follows Broyden (1965); steps are
    limited, and go
    against the stress where the derivative has the wrong sign (beyond the inflection of the energy).
    """
    value = stress(logs)
    size = len(logs)
    jacobian = np.empty((size, size))
    for k in range(size):
        step = np.zeros(size)
        step[k] = -0.005 * (np.sign(value[k]) or 1.0)
        jacobian[:, k] = (stress(logs + step) - value) / step[k]
    for _ in range(40):
        stiff = np.linalg.eigvals(jacobian).real.min() > _SOFTEST
        step = -np.linalg.solve(jacobian, value) if stiff else -_MAX_STEP * np.sign(value)
        step *= min(1.0, _MAX_STEP / max(np.abs(step).max(), 1e-300))
        if stiff and np.abs(step).max() < tolerance:
            return logs + step
        logs = logs + step
        # Leaving the range also means cells so small that every atom has thousands of neighbours.
        if not step.any() or not within[0] < logs[0] < within[1]:
            return None
        new = stress(logs)
        jacobian += np.outer(new - value - jacobian @ step, step) / (step @ step)
        value = new
    return None


def _scan(
    potential: Potential, build: Callable[[NDArray[np.float64]], Atoms], shortest: float, longest: float
) -> float | None:
    """Return the logarithmic lattice constant of the lowest energy well inside a wide range, or None without one."""
    logs = np.linspace(shortest, longest, 31)
    energies = np.array([potential.evaluate(build(np.array([x]))).energy for x in logs])
    wells = [i for i in range(1, 30) if energies[i] < energies[i - 1] and energies[i] < energies[i + 1]]
    return float(logs[min(wells, key=lambda i: energies[i])]) if wells else None


def _measured(potential: Potential, kind: Structure, symbols: tuple[str, ...], a: float, c: float | None) -> Crystal:
    """Measure energies and elastic constants of the relaxed crystal."""
    atoms = primitive_cell(kind, symbols, a, c)
    energy = potential.evaluate(atoms).energy
    raw = raw_elastic_tensor(potential, atoms)
    stiffness = symmetrised(raw, point_group(kind))
    if np.linalg.eigvalsh(stiffness).min() <= 0.0:
        raise CrystalError(
            f"The {kind.name} crystal of {'-'.join(symbols)} is elastically unstable in {potential.capabilities.name!r}: its "
            "stiffness is not positive definite. Choose the structure that the potential prefers."
        )
    free = [potential.isolated_energy(symbol) for symbol in atoms.symbols]
    known = [e for e in free if e is not None]
    cohesive = (sum(known) - energy) / len(atoms) if len(known) == len(free) else None
    return Crystal(
        structure=kind.name,
        symbols=symbols,
        potential=potential.capabilities.name,
        atoms=atoms,
        conventional=conventional_cell(kind, symbols, a, c),
        a=a,
        c=c,
        energy_per_atom=energy / len(atoms),
        cohesive_energy=cohesive,
        stiffness=stiffness,
        symmetry_defect=float(np.abs(raw - stiffness).max() / np.abs(stiffness).max()),
    )


__all__ = [
    "Crystal",
    "Orientation",
    "elastic_tensor",
    "orient",
    "relax_crystal",
    "rotate_stiffness",
    "uniaxial_modulus",
]
