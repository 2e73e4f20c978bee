"""A student that costs nothing: pair potentials by least squares, a committee of them by bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list

from atomistic.committee import Committee, committee_potential
from atomistic.labelled import LabelledFrame
from atomistic.potentials import Potential


class PairPotential(Calculator):
    """E = N e₀ + ½ Σ_ij Σ_k w_k g_k(r_ij), g_k Gaussians that a cosine takes to zero at the cutoff; one species."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012

    def __init__(self, weights: np.ndarray, *, cutoff: float) -> None:
        super().__init__()
        self.weights, self.cutoff = np.asarray(weights), cutoff

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        w = self.weights

        def pairs(distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            value, derivative = radial(distance, len(w) - 1, self.cutoff)
            return value @ w[1:], derivative @ w[1:]

        self.results = results(self.atoms, self.cutoff, pairs)
        self.results["energy"] += len(self.atoms) * float(w[0])


class Morse(Calculator):
    """D [e^(−2a(r − r₀)) − 2 e^(−a(r − r₀))] of each pair, taken to zero by a cosine: an oracle that pairs can learn."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012
    well, stiffness, bond, cutoff = 0.3, 1.5, 2.85, 4.5

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)

        def pairs(distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            x = np.exp(-self.stiffness * (distance - self.bond))
            value, derivative = self.well * (x**2 - 2.0 * x), 2.0 * self.well * self.stiffness * (x - x**2)
            taper, slope = cosine(distance, self.cutoff)
            return value * taper, derivative * taper + value * slope

        self.results = results(self.atoms, self.cutoff, pairs)


def results(atoms: Atoms, cutoff: float, pairs: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]) -> dict:
    """Energy, forces and stress of Σ over pairs of a function of their distance."""
    i, distance, vector = neighbours(atoms, cutoff)
    value, derivative = pairs(distance)
    pull = (derivative / distance)[:, None] * vector
    forces = [np.bincount(i, weights=pull[:, c], minlength=len(atoms)) for c in range(3)]
    found = {"energy": 0.5 * float(np.sum(value)), "forces": np.transpose(forces)}
    if atoms.cell.rank == 3:
        stress = 0.5 * vector.T @ pull / atoms.get_volume()
        found["stress"] = stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    return found


def neighbours(atoms: Atoms, cutoff: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Atom, distance and vector of every pair; quicker than ASE's lists for a handful of atoms."""
    if len(atoms) > 100 or (atoms.pbc.any() and not atoms.pbc.all()):
        i, distance, vector = neighbor_list("idD", atoms, cutoff)
        return i, distance, vector
    apart = atoms.positions[None] - atoms.positions[:, None]
    shifts = np.zeros((1, 3))
    if atoms.pbc.all():
        inverse = np.linalg.inv(atoms.cell.array)
        apart = apart - np.round(apart @ inverse) @ atoms.cell.array
        reach = np.ceil(cutoff * np.linalg.norm(inverse, axis=0) + 0.5).astype(int)
        shifts = np.array(list(product(*(range(-n, n + 1) for n in reach)))) @ atoms.cell.array
    every = apart[:, :, None] + shifts
    square = np.einsum("ijsc,ijsc->ijs", every, every)
    i, j, shift = np.nonzero((square < cutoff**2) & (square > 1e-6))
    return i, np.sqrt(square[i, j, shift]), every[i, j, shift]


def cosine(distance: np.ndarray, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """A taper from one to zero, and its derivative."""
    angle = np.pi * distance / cutoff
    return 0.5 + 0.5 * np.cos(angle), -0.5 * np.pi / cutoff * np.sin(angle)


def radial(distance: np.ndarray, count: int, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """g_k(r) and its derivative, (pairs, count) each."""
    centres = np.linspace(2.0, cutoff, count)
    width = centres[1] - centres[0]
    x = (distance[:, None] - centres) / width
    gauss = np.exp(-0.5 * x**2)
    taper, slope = cosine(distance[:, None], cutoff)
    return gauss * taper, gauss * (slope - x / width * taper)


def rows(atoms: Atoms, count: int, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """What the weights are multiplied with: energy (1 + count,), forces (n, 3, 1 + count)."""
    i, distance, vector = neighbours(atoms, cutoff)
    value, derivative = radial(distance, count, cutoff)
    forces = np.zeros((len(atoms), 3, 1 + count))
    np.add.at(forces[:, :, 1:], i, derivative[:, None, :] * (vector / distance[:, None])[:, :, None])
    return np.concatenate([[len(atoms)], 0.5 * value.sum(axis=0)]), forces


class PairStudent:
    """Committees of pair potentials: each member has its own functions and its own draw of the frames."""

    suffix = ".npz"

    def __init__(self, *, members: int = 3, functions: int = 10, cutoff: float = 4.5, seed: int = 0) -> None:
        self.members, self.functions, self.cutoff, self.seed = members, functions, cutoff, seed

    def train(self, frames: Sequence[LabelledFrame], *, held_out: Sequence[LabelledFrame] = ()) -> Potential:
        return self._potential([self._weights(frames, member) for member in range(self.members)])

    def save(self, potential: Potential, path: Path) -> None:
        with path.open("wb") as stream:
            np.savez(stream, *[pair.weights for pair in potential.calculator.pairs])

    def load(self, path: Path) -> Potential:
        with np.load(path) as file:
            return self._potential([file[f"arr_{member}"] for member in range(self.members)])

    def _potential(self, weights: list[np.ndarray]) -> Potential:
        pairs = [PairPotential(w, cutoff=self.cutoff) for w in weights]
        potential = committee_potential(Committee(pairs))
        potential.calculator.pairs = pairs
        return potential

    def _weights(self, frames: Sequence[LabelledFrame], member: int) -> np.ndarray:
        """Least squares of force components and energies per atom."""
        count = self.functions + 2 * member
        drawn = np.random.default_rng([self.seed, member]).poisson(1.0, len(frames)) + 0.05
        normal, right = 1e-6 * np.eye(1 + count), np.zeros(1 + count)
        for weight, frame in zip(drawn, frames, strict=True):
            energy, forces = rows(frame.atoms, count, self.cutoff)
            if frame.energy is not None:
                row = energy / len(frame.atoms)
                normal += weight * np.outer(row, row)
                right += weight * row * frame.energy / len(frame.atoms)
            if frame.forces is not None:
                counted = np.ones(len(frame.atoms), dtype=bool) if frame.counted is None else frame.counted
                block = forces[counted].reshape(-1, 1 + count)
                normal += weight * block.T @ block
                right += weight * block.T @ frame.forces[counted].ravel()
        return np.linalg.solve(normal, right)
