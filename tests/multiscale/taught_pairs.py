"""A student and an oracle that cost nothing: an embedded-atom potential and pair terms, linear in what is taught."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from mpi4py import MPI

from atomistic.labelled import LabelledFrame
from atomistic.pair_list import PairList
from atomistic.potentials import Potential, load_potential
from atomistic.potentials.base import Capabilities

#: Cosine bumps, centres and half width in Å, smooth to the third derivative. Crystals of aluminium and iron at rest have no
#: neighbours under the last one: it is met where planes part.
CENTRES, HALF = (2.55, 3.0, 3.45), 0.45
REACH = CENTRES[-1] + HALF
#: What the oracle adds to the base, eV for each pair.
TRUTH = (0.003, -0.006, -0.03)


def bump(r: np.ndarray, centre: float) -> tuple[np.ndarray, np.ndarray]:
    """cos⁴ about a centre and its derivative."""
    phase = 0.5 * np.pi * (r - centre) / HALF
    inside = np.abs(r - centre) < HALF
    c, s = np.cos(phase), np.sin(phase)
    return np.where(inside, c**4, 0.0), np.where(inside, -4.0 * c**3 * s * 0.5 * np.pi / HALF, 0.0)


def pair_terms(atoms: Atoms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energies per atom (k, n), forces (k, n, 3) and virials (k, 3, 3) of each bump with weight one."""
    pairs = PairList(cutoff=REACH, skin=0.0, cell=atoms.cell.array, periodic=atoms.pbc)
    pairs.update(atoms.positions)
    first, second = pairs.first, pairs.second
    vectors = atoms.positions[second] - atoms.positions[first] + (0.0 if pairs.shift is None else pairs.shift)
    r = np.linalg.norm(vectors, axis=1)
    count, energies, forces, virials = len(atoms), [], [], []
    for centre in CENTRES:
        value, slope = bump(r, centre)
        energies.append(
            0.5 * (np.bincount(first, value, minlength=count) + np.bincount(second, value, minlength=count))
        )
        push = (slope / r)[:, None] * vectors
        on = [np.bincount(first, push[:, k], count) - np.bincount(second, push[:, k], count) for k in range(3)]
        forces.append(np.stack(on, axis=1))
        virials.append(push.T @ vectors)
    return np.array(energies), np.array(forces), np.array(virials)


class PairTaught(Calculator):
    """A base potential and weighted bumps."""

    implemented_properties = ("energy", "energies", "forces", "stress")

    def __init__(self, base: str, weights: Sequence[float]) -> None:
        super().__init__()
        self.base, self.weights = load_potential(base), np.asarray(weights, dtype=float)

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        periodic = bool(self.atoms.pbc.all())
        bare = self.base.evaluate(self.atoms, stress=periodic)
        energies, forces, virials = pair_terms(self.atoms)
        energy = bare.energy + float(self.weights @ energies.sum(axis=1))
        self.results = {"energy": energy, "forces": bare.forces + np.tensordot(self.weights, forces, 1)}
        stress = bare.stress
        if periodic:
            stress = stress + np.tensordot(self.weights, virials, 1) / self.atoms.get_volume()
        self.results["stress"] = stress[(0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)]


def pair_potential(base: str, weights: Sequence[float]) -> Potential:
    """One such potential, counted."""
    known = load_potential(base).capabilities
    capabilities = Capabilities(
        name=f"{base} and pairs",
        elements=known.elements,
        cutoff=max(known.cutoff or 0.0, REACH),
        energies_per_atom=False,
    )
    return Potential(calculator=PairTaught(base, weights), capabilities=capabilities, comm=MPI.COMM_SELF)


def oracle(base: str = "eam-fe") -> PairTaught:
    """The oracle as a calculator: the base with the bumps of the truth."""
    return PairTaught(base, TRUTH)


class PairStudent:
    """Fits the bumps' weights to energies and forces by least squares.

    Members differ in the rows that they leave out, and in what they believe of a bump that no frame has shown them.
    """

    suffix = ".json"

    def __init__(self, base: str = "eam-fe", members: int = 3, ridge: float = 1e-4) -> None:
        self.base, self.members, self.ridge = base, members, ridge

    def train(self, frames: Sequence[LabelledFrame], *, held_out: Sequence[LabelledFrame] = ()) -> Potential:
        bare = load_potential(self.base)
        rows, wanted = [], []
        for frame in frames:
            found, (energies, forces, _) = bare.evaluate(frame.atoms, stress=False), pair_terms(frame.atoms)
            if frame.energy is not None:
                rows.append(energies.sum(axis=1)[None] / len(frame.atoms))
                wanted.append([(frame.energy - found.energy) / len(frame.atoms)])
            counted = np.ones(len(frame.atoms), dtype=bool) if frame.counted is None else frame.counted
            rows.append(forces[:, counted].reshape(len(CENTRES), -1).T)
            wanted.append((frame.forces - found.forces)[counted].ravel())
        a, y = np.concatenate(rows), np.concatenate(wanted)
        weights = []
        for member in range(self.members):
            kept = np.arange(len(y)) % self.members != member
            belief = 0.03 * np.random.default_rng(member).standard_normal(len(CENTRES))
            normal = a[kept].T @ a[kept] + self.ridge * np.eye(len(CENTRES))
            weights.append(np.linalg.solve(normal, a[kept].T @ y[kept] + self.ridge * belief).tolist())
        return self.made(weights)

    def made(self, weights: Sequence[Sequence[float]]) -> Potential:
        from atomistic.committee import Committee

        members = [pair_potential(self.base, each) for each in weights]
        committee = Committee(members)
        return Potential(calculator=committee, capabilities=members[0].capabilities, comm=MPI.COMM_SELF)

    def save(self, potential: Potential, path: Path) -> None:
        members = potential.calculator
        weights = [members.member(k).calculator.weights.tolist() for k in range(members.size)]
        Path(path).write_text(json.dumps(weights))

    def load(self, path: Path) -> Potential:
        return self.made(json.loads(Path(path).read_text()))
