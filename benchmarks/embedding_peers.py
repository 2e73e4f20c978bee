"""Beside ASE's ForceQMMM and SimpleQMMM: the same structures, engines, core and buffers, in one run.

python benchmarks/embedding_peers.py

Errors are those of the core's forces (rms over its atoms, eV/Å) against the quantum engine on everything. Buffers are given the
same way to all: atoms within a radius of a core atom (ForceQMMM: `buffer_width`; SimpleQMMM: its selection is all of C). Each
evaluation is timed at new places, the peers by turns; the shortest counts. ForceQMMM makes two evaluations where the others make
three, for it takes the quantum forces as they are. What a peer refuses is reported as it says it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from _embedding_checks import stress_from_energy
from _embedding_systems import LATTICE, System, foundation, metal
from _report import report
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.qmmm import ForceQMMM, SimpleQMMM

from coupling.embedding import Links, cut_cluster

VACUUM = 8.0
ROUNDS = 5


def mask_of(system: System) -> np.ndarray:
    """The core as flags."""
    mask = np.zeros(len(system.atoms), dtype=bool)
    mask[np.asarray(system.region.core)] = True
    return mask


def force_qmmm(system: System) -> Calculator:
    """ASE's buffered force mixing with its defaults, at our buffer and vacuum."""
    return ForceQMMM(
        system.atoms,
        mask_of(system),
        system.qm().calculator,
        system.ml().calculator,
        buffer_width=system.region.buffer,
        vacuum=VACUUM,
    )


def simple_qmmm(system: System) -> Calculator:
    """ASE's subtractive scheme; its quantum part is all of C, for it has no buffer. Each role gets an engine of its own."""
    chosen = np.sort(cut_cluster(system.atoms, system.region).indices)
    return SimpleQMMM(chosen, system.qm().calculator, system.ml().calculator, system.ml().calculator, vacuum=VACUUM)


MAKERS: dict[str, Callable[[System], Calculator]] = {
    "subtractive": lambda system: system.subtractive(ml_region=system.ml()),
    "mixing": lambda system: system.mixing(ml_region=system.ml()),
    "ase_force_qmmm": force_qmmm,
    "ase_simple_qmmm": simple_qmmm,
}

# The cut bonds of silicon closed by hydrogen: what neither peer has.
CAPPED: dict[str, Callable[[System], Calculator]] = {
    f"{name}_capped": lambda system, make=MAKERS[name]: make(
        replace(system, region=replace(system.region, links=Links()))
    )
    for name in ("subtractive", "mixing")
}


def with_buffer(system: System, buffer: float) -> System:
    """The system with a core that does not blend and another buffer."""
    return replace(system, region=replace(system.region, buffer=buffer, blend=0.0, vacuum=VACUUM))


def accuracy(system: System, buffers: list[float]) -> dict[str, float]:
    """Core-force errors of all at every buffer, and what each does to forces far from the core."""
    core = np.asarray(system.region.core)
    target, plain = (potential.evaluate(system.atoms).forces for potential in (system.qm(), system.ml()))

    def error(forces: np.ndarray) -> float:
        return float(np.sqrt(((forces[core] - target[core]) ** 2).sum(axis=1).mean()))

    found = {f"{system.name}_core_error_plain_ml": error(plain)}
    makers = MAKERS | (CAPPED if system.single else {})
    for buffer in buffers:
        sized = with_buffer(system, buffer)
        far = np.setdiff1d(np.arange(len(system.atoms)), cut_cluster(sized.atoms, sized.region).indices)
        for name, make in makers.items():
            forces = make(sized).get_forces(system.atoms.copy())
            found[f"{system.name}_core_error_{name}_buffer_{buffer:g}"] = error(forces)
            if buffer == buffers[-1]:
                found[f"{system.name}_net_force_{name}"] = float(np.abs(forces.sum(axis=0)).max())
                found[f"{system.name}_force_changed_outside_{name}"] = float(np.abs(forces - plain)[far].max())
    return found


def times(system: System, buffer: float, *, rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds of one evaluation of forces, at places that are new to the engines."""
    sized, random = with_buffer(system, buffer), np.random.default_rng(7)
    calculators = {name: make(sized) for name, make in MAKERS.items()}
    spent: dict[str, list[float]] = {name: [] for name in calculators}
    for turn in range(rounds + 1):
        for name in list(calculators)[:: 1 if turn % 2 else -1]:
            atoms = system.atoms.copy()
            atoms.positions += 1e-3 * random.standard_normal(atoms.positions.shape)
            began = time.perf_counter()
            calculators[name].get_forces(atoms)
            if turn:
                spent[name].append(time.perf_counter() - began)
    found = {f"{system.name}_seconds_{name}_buffer_{buffer:g}": min(values) for name, values in spent.items()}
    prefix, ending = f"{system.name}_seconds", f"buffer_{buffer:g}"
    for ours, theirs in (("mixing", "ase_force_qmmm"), ("subtractive", "ase_simple_qmmm")):
        ratio = found[f"{prefix}_{ours}_{ending}"] / found[f"{prefix}_{theirs}_{ending}"]
        found[f"{system.name}_time_{ours}_of_{theirs}"] = ratio
    return found


def attempt(work: Callable[[], object]) -> str:
    """What came of it: "yes", or the error's own words."""
    try:
        work()
    except Exception as error:
        words = " ".join(str(error).split())
        return f"{type(error).__name__}: {words}"[:110]
    return "yes"


def periodic_energy_and_stress(system: System) -> dict[str, float | str]:
    """Stress and energy in a periodic cell: ours against finite differences, and what the peers say."""
    found: dict[str, float | str] = {}
    for name, make in MAKERS.items():
        calculator = make(system)
        found[f"stress_from_{name}"] = attempt(lambda c=calculator: c.get_stress(system.atoms.copy()))
    moved = system.atoms.copy()
    moved.positions[system.region.core[0]] += [0.05, 0.0, 0.0]
    for name in ("ase_force_qmmm", "ase_simple_qmmm", "subtractive"):
        calculator = MAKERS[name](system)
        before = calculator.get_potential_energy(system.atoms.copy())
        found[f"energy_change_ev_{name}"] = calculator.get_potential_energy(moved) - before
    found["stress_error_relative_subtractive"] = stress_from_energy(system)[f"stress_error_relative_{system.name}"]
    return found


def across_the_boundary(system: System) -> dict[str, float]:
    """The same system moved so that the core lies across the cell's edge: what may not change, changes by this much."""
    moved = system.atoms.copy()
    moved.translate(-moved.positions[system.region.core[0]] + 0.5)
    moved.wrap()
    other = replace(system, atoms=moved)
    found = {}
    for name, make in MAKERS.items():
        before = make(system).get_forces(system.atoms.copy())
        after = make(other).get_forces(moved.copy())
        found[f"moved_across_edge_force_change_{name}"] = float(np.abs(after - before).max())
    return found


def triclinic() -> dict[str, float | str]:
    """The primitive cell of aluminium repeated: who works there, and our error against finite differences."""
    atoms = bulk("Al", "fcc", a=LATTICE).repeat(8)
    middle = int(np.argmin(np.linalg.norm(atoms.positions - 0.5 * np.asarray(atoms.cell).sum(axis=0), axis=1)))
    atoms.rattle(0.05, seed=3)
    base = metal()
    region = replace(base.region, core=np.array([middle]), buffer=5.0, blend=0.0)
    system = replace(base, name="triclinic", atoms=atoms, region=region)
    found: dict[str, float | str] = {}
    target = system.qm().evaluate(atoms).forces[middle]
    for name, make in MAKERS.items():
        said = attempt(lambda make=make: make(system).get_forces(atoms.copy()))
        found[f"triclinic_{name}"] = said
        if said == "yes":
            error = np.linalg.norm(make(system).get_forces(atoms.copy())[middle] - target)
            found[f"triclinic_core_error_{name}"] = float(error)
    return found | stress_from_energy(system)


def an_atom_walks_in(system: System) -> dict[str, float]:
    """An atom from afar is put where the vacancy was: does the scheme see it as quantum surroundings? Core-force errors."""
    core, atoms = np.asarray(system.region.core), system.atoms
    hole = atoms.info["hole"]
    far = int(np.argmax(np.linalg.norm(atoms.positions - hole, axis=1)))
    walked = atoms.copy()
    walked.positions[far] = hole
    target = system.qm().evaluate(walked).forces[core]
    ours, theirs = system.mixing(), force_qmmm(system)
    ours.get_forces(atoms.copy())
    theirs.get_forces(atoms.copy())
    ours.reselect(walked)
    return {
        f"walked_in_core_error_{name}": float(
            np.sqrt(((calculator.get_forces(walked.copy())[core] - target) ** 2).sum(axis=1).mean())
        )
        for name, calculator in (("mixing_reselected", ours), ("ase_force_qmmm", theirs))
    }


def main() -> int:
    """Measure and report."""
    torch.set_num_threads(1)
    double = metal(repeat=7, blend=0.0)
    swapped = replace(double, name="metal_swapped", ml=double.qm, qm=double.ml)
    silicon = foundation(structure="diamond")
    single = replace(silicon, region=replace(silicon.region, core=np.asarray(silicon.region.core)[:1]))
    figures: dict[str, float | str] = {}
    figures |= accuracy(double, [3.0, 5.0, 7.0, 9.0]) | accuracy(swapped, [3.0, 5.0, 7.0, 9.0])
    figures |= accuracy(single, [4.0, 6.0])
    figures |= times(double, 7.0) | times(single, 6.0, rounds=2)
    sized = with_buffer(metal(blend=0.0), 5.0)
    figures |= periodic_energy_and_stress(sized) | across_the_boundary(sized) | an_atom_walks_in(sized) | triclinic()
    bounds = {
        "stress_error_relative_subtractive": ("<=", 1e-5),
        "stress_error_relative_triclinic": ("<=", 1e-5),
        "moved_across_edge_force_change_subtractive": ("<=", 1e-9),
        "moved_across_edge_force_change_mixing": ("<=", 1e-9),
        "metal_force_changed_outside_mixing": ("<=", 1e-12),
        "sevennet_time_mixing_of_ase_force_qmmm": ("<=", 2.0),
        "sevennet_time_subtractive_of_ase_simple_qmmm": ("<=", 1.15),
    }
    return report("embedding_peers", figures, bounds)


if __name__ == "__main__":
    sys.exit(main())
