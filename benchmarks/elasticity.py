"""Elastic constants from stresses against second differences of the energy, and a rotated tensor against a rotated crystal.

Every crystal's tensor is computed by the package from stresses (with the inner relaxation taken out by linear algebra) and here
from energies alone: fourth-order second differences, with the basis relaxed by conjugate gradients on the energy's own gradient.
The largest deviation of any of the 21 constants, over the largest constant, is bounded.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from _report import report
from ase import Atoms
from numpy.typing import NDArray
from scipy.optimize import minimize

from atomistic.crystal import Crystal, elastic_tensor, relax_crystal, rotate_stiffness
from atomistic.elasticity import VOIGT
from atomistic.potentials import Potential, load_potential

CRYSTALS = {
    "emt_al_fcc": ("emt", "Al", "fcc"),
    "emt_cu_fcc": ("emt", "Cu", "fcc"),
    "emt_ni_fcc": ("emt", "Ni", "fcc"),
    "eam_cu_fcc": ("eam-cu", "Cu", "fcc"),
    "eam_ni_fcc": ("eam-ni", "Ni", "fcc"),
    "eam_fe_bcc": ("eam-fe", "Fe", "bcc"),
    "eam_w_bcc": ("eam-w", "W", "bcc"),
    "eam_mg_hcp": ("eam-mg", "Mg", "hcp"),
    "sw_si_diamond": ("sw-si", "Si", "diamond"),
    "eam_nial_b2": ("eam-nial", ("Ni", "Al"), "B2"),
}
STEP = 0.004


def relaxed_energy(potential: Potential, crystal: Crystal, strain: NDArray[np.float64]) -> float:
    """Energy (eV) of the primitive cell under a Voigt strain, its basis relaxed."""
    tensor = np.zeros((3, 3))
    for value, (p, q) in zip(strain, VOIGT, strict=True):
        tensor[p, q] += 0.5 * value
        tensor[q, p] += 0.5 * value
    atoms = crystal.atoms.copy()
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + tensor), scale_atoms=True)
    if len(atoms) == 1:
        return potential.evaluate(atoms).energy
    start = atoms.positions.copy()

    def energy(moved: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        trial: Atoms = atoms.copy()
        trial.positions[1:] = start[1:] + moved.reshape(-1, 3)
        result = potential.evaluate(trial)
        return result.energy, -result.forces[1:].ravel()

    return float(minimize(energy, np.zeros(3 * len(atoms) - 3), jac=True, method="CG", options={"gtol": 1e-7}).fun)


def tensor_from_energies(potential: Potential, crystal: Crystal) -> NDArray[np.float64]:
    """Elastic constants (6, 6), eV/Å³, from energies: C_ii along single strains, C_ij from e(i + j) − e(i − j)."""

    def second(direction: NDArray[np.float64]) -> float:
        # Fourth order: (−1, 16, −30, 16, −1)/12.
        e = {k: relaxed_energy(potential, crystal, k * STEP * direction) for k in (-2, -1, 0, 1, 2)}
        return (16 * (e[1] + e[-1]) - e[2] - e[-2] - 30 * e[0]) / (12 * STEP**2)

    unit = np.eye(6)
    constants = np.diag([second(unit[i]) for i in range(6)])
    for i in range(6):
        for j in range(i):
            constants[i, j] = constants[j, i] = (second(unit[i] + unit[j]) - second(unit[i] - unit[j])) / 4
    return constants / crystal.atoms.get_volume()


def rotation_error(potential: Potential, crystal: Crystal) -> float:
    """Deviation of the rotated tensor from the tensor of the rotated crystal, in percent of the largest constant."""
    rotation, _ = np.linalg.qr(np.random.default_rng(7).normal(size=(3, 3)))
    rotation *= np.linalg.det(rotation)
    atoms = crystal.atoms.copy()
    atoms.set_cell(atoms.cell.array @ rotation.T, scale_atoms=True)
    explicit = elastic_tensor(potential, atoms, strain=2e-4)
    turned = rotate_stiffness(elastic_tensor(potential, crystal.atoms, strain=2e-4), rotation)
    return 100 * float(np.abs(explicit - turned).max() / np.abs(turned).max())


def main() -> int:
    """Measure every crystal and report."""
    figures: dict[str, float | int | str] = {}
    bounds: dict[str, tuple[str, float]] = {}
    start = time.perf_counter()
    for name, (spec, symbols, structure) in CRYSTALS.items():
        potential = load_potential(spec)
        crystal = relax_crystal(potential, symbols=symbols, structure=structure)
        independent = tensor_from_energies(potential, crystal)
        error = np.abs(crystal.stiffness - independent).max() / np.abs(independent).max()
        figures[f"{name}_error_percent"] = 100 * float(error)
        figures[f"{name}_rotation_error_percent"] = rotation_error(potential, crystal)
        bounds[f"{name}_error_percent"] = ("<=", 0.1)
        bounds[f"{name}_rotation_error_percent"] = ("<=", 0.1)
    figures["seconds"] = time.perf_counter() - start
    return report("elasticity", figures, bounds)


if __name__ == "__main__":
    sys.exit(main())
