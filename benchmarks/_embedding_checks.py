"""Checks of an embedded system, each of which returns figures: identity, derivatives, net force, account, overhead, buffer."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from _embedding_systems import System
from ase import Atoms

from atomistic.potentials import Potential
from coupling.embedding import Region, cut_cluster
from coupling.embedding.account import site_energies
from coupling.embedding.base import Embedding


def answers(calculator: Embedding, atoms: Atoms) -> tuple[float, np.ndarray, np.ndarray | None]:
    """Energy (eV), forces and, where all directions are periodic, stress (Voigt, eV/Å³) of the subtractive scheme."""
    moved = atoms.copy()
    moved.calc = calculator
    stress = moved.get_stress() if moved.pbc.all() else None
    return moved.get_potential_energy(), moved.get_forces(), stress


def plain(potential: Potential, atoms: Atoms) -> tuple[float, np.ndarray, np.ndarray | None]:
    """The same of a potential alone."""
    found = potential.evaluate(atoms)
    stress = found.stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] if atoms.pbc.all() else None
    return found.energy, found.forces, stress


def difference(a: tuple, b: tuple) -> dict[str, float]:
    """Largest differences of two answers: of the energy per atom, the forces and the stress."""
    found = {
        "energy_ev_per_atom": abs(a[0] - b[0]) / len(a[1]),
        "force_ev_per_angstrom": float(np.abs(a[1] - b[1]).max()),
    }
    if a[2] is not None:
        found["stress_ev_per_angstrom3"] = float(np.abs(a[2] - b[2]).max())
    return found


def identity(system: System) -> dict[str, float]:
    """How far both schemes are from plain ML when the quantum engine is the ML potential (another instance of it)."""
    twin = system.twin()
    reference = plain(twin.ml(), twin.atoms)
    found = difference(answers(twin.subtractive(), twin.atoms), reference)
    mixed = twin.mixing().get_forces(twin.atoms)
    found["mixed_force_ev_per_angstrom"] = float(np.abs(mixed - reference[1]).max())
    return {f"identity_{system.name}_{key}": value for key, value in found.items()}


def noise(system: System) -> dict[str, float]:
    """What plain ML's own answers differ by when the atoms are renumbered and moved as a whole: the floor of its precision."""
    potential, atoms = system.ml(), system.atoms
    order = np.random.default_rng(2).permutation(len(atoms))
    moved = atoms[order]
    moved.translate([1.234, -0.567, 2.345])
    moved.wrap()
    reference = plain(potential, atoms)
    energy, forces, stress = plain(potential, moved)
    back = np.empty_like(forces)
    back[order] = forces
    found = difference((energy, back, stress), reference)
    found["net_force_ev_per_angstrom"] = float(np.abs(reference[1].sum(axis=0)).max())
    return {f"noise_plain_{system.name}_{key}": value for key, value in found.items()}


def watched(system: System, calculator: Embedding) -> np.ndarray:
    """Atoms whose forces are held against differences: of the core, of the buffer, both ends of cut bonds, and outside."""
    cluster = calculator.clusters[0]
    inside = cluster.indices[~cluster.core]
    outside = np.setdiff1d(np.arange(len(system.atoms)), cluster.indices)
    ends = [cluster.indices[cluster.caps.inner], cluster.caps.outer]
    chosen = [cluster.indices[cluster.core][:2], inside[:2], inside[-2:], outside[:1], outside[-1:], *ends]
    return np.unique(np.concatenate(chosen))


def derivative(energy: Callable[[float], float], step: float) -> float:
    """dE/dx at 0 by differences of fourth order."""
    near, far = energy(step) - energy(-step), energy(2 * step) - energy(-2 * step)
    return float((8.0 * near - far) / (12.0 * step))


def forces_from_energy(system: System) -> dict[str, float]:
    """Largest error of the subtractive scheme's forces, of the largest force, against differences of its energy."""
    calculator = system.subtractive()
    _, forces, _ = answers(calculator, system.atoms)
    moved = system.atoms.copy()
    moved.calc = calculator
    worst = 0.0
    for atom in watched(system, calculator):
        for axis in range(3):

            def energy(x: float, atom: int = atom, axis: int = axis) -> float:
                moved.positions = system.atoms.positions
                moved.positions[atom, axis] += x
                return moved.get_potential_energy()

            worst = max(worst, abs(forces[atom, axis] + derivative(energy, system.step)))
    return {f"force_error_relative_{system.name}": worst / float(np.abs(forces).max())}


def stress_from_energy(system: System) -> dict[str, float]:
    """Largest error of the stress, of its largest component, against differences of the energy by strain."""
    calculator = system.subtractive()
    _, _, stress = answers(calculator, system.atoms)
    assert stress is not None
    moved, volume, cell = system.atoms.copy(), system.atoms.get_volume(), np.asarray(system.atoms.cell)
    moved.calc = calculator
    worst = 0.0
    for k, (i, j) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):

        def energy(x: float, i: int = i, j: int = j) -> float:
            strain = np.eye(3)
            strain[i, j] += 0.5 * x
            strain[j, i] += 0.5 * x
            moved.set_cell(cell @ strain)
            moved.positions = system.atoms.positions @ strain
            return moved.get_potential_energy()

        worst = max(worst, abs(stress[k] - derivative(energy, 1e-4) / volume))
    return {f"stress_error_relative_{system.name}": worst / float(np.abs(stress).max())}


def net_force(system: System) -> dict[str, float]:
    """|ΣF| of both schemes, largest component, eV/Å."""
    found = {}
    for scheme, calculator in (("subtractive", system.subtractive()), ("mixing", system.mixing())):
        forces = calculator.get_forces(system.atoms.copy())
        found[f"net_force_{scheme}_{system.name}"] = float(np.abs(forces.sum(axis=0)).max())
    return found


def account(system: System) -> dict[str, float]:
    """Whether the terms that the ledger names add up: to the energy; the site energies' remainder to theirs."""
    calculator = system.subtractive()
    atoms = system.atoms.copy()
    energy = calculator.get_potential_energy(atoms)
    found = calculator.account(atoms)
    rows = found.rows()
    named = {term.name for term in found.terms()}
    figures = {
        f"ledger_open_ev_{system.name}": abs(sum(weight * value for _, _, weight, value in rows) - energy),
        f"ledger_terms_{system.name}": len(named),
    }
    rest = found.regions[0].remainder
    if rest is not None:
        cluster, model = calculator.clusters[0], calculator.ml
        sites = site_energies(model, atoms)
        assert sites is not None
        outside = np.setdiff1d(np.arange(len(atoms)), cluster.indices)
        by_sites = float(sites[outside].sum()) + found.regions[0].quantum + rest.total
        figures |= {
            f"ledger_sites_open_ev_{system.name}": abs(by_sites - energy),
            f"remainder_core_ev_{system.name}": rest.core,
            f"remainder_buffer_ev_{system.name}": rest.buffer,
        }
    return figures


def overhead(system: System, *, calls: int) -> dict[str, float]:
    """Time of an evaluation that is spent outside the engines: share of the whole (%) and milliseconds, for both schemes."""
    found = {}
    for scheme, calculator in (("subtractive", system.subtractive()), ("mixing", system.mixing())):
        atoms, random = system.atoms.copy(), np.random.default_rng(4)
        calculator.get_forces(atoms)
        shares, spent = [], []
        for _ in range(calls):
            atoms.positions = system.atoms.positions + 1e-3 * random.standard_normal((len(atoms), 3))
            before = calculator.ml.counter.seconds + calculator.qm.counter.seconds
            began = time.perf_counter()
            calculator.get_forces(atoms)
            wall = time.perf_counter() - began
            inside = calculator.ml.counter.seconds + calculator.qm.counter.seconds - before
            shares.append(100.0 * (wall - inside) / wall)
            spent.append(1e3 * (wall - inside))
        found[f"overhead_percent_{scheme}_{system.name}"] = float(np.median(shares))
        found[f"overhead_milliseconds_{scheme}_{system.name}"] = float(np.median(spent))
    return found


def buffer_curve(system: System, buffers: list[float]) -> dict[str, np.ndarray]:
    """Error of the core's forces (rms over its atoms, eV/Å) against the quantum engine on the whole, by buffer radius.

    `difference` mixes F_QM(C) − F_ML(C) into ML's forces, `substitution` takes F_QM(C) itself, `ml` is plain ML.
    """
    ml, qm = system.ml(), system.qm()
    core = np.asarray(system.region.core)
    target = qm.evaluate(system.atoms).forces[core]
    whole = ml.evaluate(system.atoms).forces[core]

    def error(forces: np.ndarray) -> float:
        return float(np.sqrt(((forces - target) ** 2).sum(axis=1).mean()))

    difference_form, substitution, sizes = [], [], []
    for buffer in buffers:
        region = Region(core=core, buffer=buffer, links=system.region.links, vacuum=system.region.vacuum)
        cluster = cut_cluster(system.atoms, region)
        structure, own = cluster.structure(system.atoms), np.flatnonzero(cluster.core)
        order = np.argsort(cluster.indices[own])[np.argsort(np.argsort(core))]
        quantum, alone = (potential.evaluate(structure).forces[own][order] for potential in (qm, ml))
        difference_form.append(error(whole + quantum - alone))
        substitution.append(error(quantum))
        sizes.append(len(structure))
    return {
        "buffer": np.array(buffers),
        "difference": np.array(difference_form),
        "substitution": np.array(substitution),
        "atoms": np.array(sizes),
        "ml": np.full(len(buffers), error(whole)),
    }
