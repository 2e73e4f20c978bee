"""Strong and weak scaling over the ranks at hand, and what overlapping atoms with finite elements could gain.

Finite elements: a beam's reference matrix, distributed, factorised and solved with. Potential: cells of SevenNet-0 that ranks
share, and one large EAM structure that LAMMPS spreads. Coupled: the equilibrium of a void in a body, SNAP and EAM, as
`multiscale run` does it. Strong: the same work on more ranks; weak: as much work for each. Efficiency is 1 where nothing is lost.

Overlap: forces of atoms (P seconds) and all else (F seconds) of an equilibrium. On communicators of their own both could be
computed at once, which saves min(P, F) of P + F at most; ranks that share the potential save P/2 where its engine can.

    python benchmarks/scaling.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _report import report

RANKS = (1, 2)
REPEATS = 3
# Length of the beams' finely meshed path (Å) and the facets on it, some 40,000 unknowns; cells and their atoms; atoms that
# LAMMPS spreads.
PATH, FACET = 6000.0, 6.0
CELLS, LARGE = 8, 14
# Solutions with one factor, as a load step makes them.
SOLUTIONS = 50
VOID = """
study: defect
potential: {potential}
crystal: {{element: {element}, structure: fcc}}
body: {{plane: [1, 1, 1], size: [{size} nm, {size} nm]}}
defect: {{type: void, radius: {radius} nm}}
strain: {{xx: 0.01}}
zone: {{shape: around, margin: {margin} nm, blend: 0.6 nm, pad: 0.6 nm}}
method: bqcf
material: {{type: linear}}
solver: {{tolerance: {tolerance} eV/angstrom}}
"""
VOIDS = {
    "eam": {"potential": "eam-al", "element": "Al", "size": 30, "radius": 0.6, "margin": 1.2, "tolerance": 1e-3},
    "snap": {"potential": "snap-ni", "element": "Ni", "size": 16, "radius": 0.4, "margin": 0.8, "tolerance": 1e-3},
    "sevennet": {
        "potential": "sevennet-0",
        "element": "Al",
        "size": 10,
        "radius": 0.3,
        "margin": 0.3,
        "tolerance": 1e-2,
    },
}


def main() -> int:
    """Measure on every number of ranks and put it together."""
    times = {ranks: launched(ranks) for ranks in RANKS}
    figures: dict[str, float | int | str] = {}
    for name in ("fe", "cells", "lammps"):
        one, two = times[1], times[2]
        strong, weak = two[f"{name}_strong"], two[f"{name}_weak"]
        figures |= {
            f"{name}_seconds": round(one[f"{name}_strong"], 3),
            f"{name}_two_ranks_seconds": round(strong, 3),
            f"{name}_strong_efficiency": round(one[f"{name}_strong"] / (2.0 * strong), 3),
            f"{name}_weak_efficiency": round(one[f"{name}_weak"] / weak, 3),
        }
    alone, both = times[1]["beside"], times[2]["beside"]
    figures["two_processes_slow_each_other_percent"] = round(100.0 * (both / alone - 1.0), 1)
    for name in VOIDS:
        potential, rest = coupled(name, 1)
        figures[f"{name}_potential_seconds"] = round(potential, 3)
        figures[f"{name}_rest_seconds"] = round(rest, 3)
        figures[f"{name}_overlap_saves_at_most_percent"] = round(100.0 * min(potential, rest) / (potential + rest), 1)
        if name != "sevennet":
            shared, left = coupled(name, 2)
            figures[f"{name}_two_ranks_efficiency"] = round((potential + rest) / (2.0 * (shared + left)), 3)
            figures[f"{name}_two_ranks_time_percent"] = round(100.0 * (shared + left) / (potential + rest), 1)
    # Cells know nothing of each other: what is missing from 1 is what two processes of one machine cost each other.
    return report("scaling", figures, {"cells_strong_efficiency": (">=", 0.8), "cells_weak_efficiency": (">=", 0.8)})


def launched(ranks: int) -> dict[str, float]:
    """The seconds of all parts on so many ranks."""
    command = ["-n", str(ranks), sys.executable, __file__, "--worker"]
    done = subprocess.run(
        [mpirun(), *command], env=one_thread(), capture_output=True, text=True, check=True, timeout=400
    )
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def mpirun() -> str:
    """The launcher beside the interpreter, or that of the path."""
    beside = Path(sys.executable).parent / "mpirun"
    return str(beside) if beside.exists() else "mpirun"


def one_thread() -> dict[str, str]:
    """The environment with one thread a rank."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def coupled(name: str, ranks: int) -> tuple[float, float]:
    """Seconds inside the potential and beside it of a void's equilibrium, on the first rank."""
    with tempfile.TemporaryDirectory() as folder:
        case, directory = Path(folder) / "void.yaml", Path(folder) / "run"
        case.write_text(VOID.format(**VOIDS[name]))
        command = [
            mpirun(),
            "-n",
            str(ranks),
            sys.executable,
            "-m",
            "multiscale",
            "run",
            str(case),
            "-o",
            str(directory),
        ]
        subprocess.run([*command, "--quiet"], env=one_thread(), check=True, capture_output=True, timeout=400)
        phase = json.loads((directory / "run.json").read_text())["work"][0]["phases"]["equilibrium"]
    inside = sum(tally["seconds"] for tally in phase["potentials"].values())
    return inside, phase["seconds"] - inside


def worker() -> None:
    """All parts on the ranks of this launch; rank 0 prints seconds."""
    from mpi4py import MPI

    from multiscale.cost.machine import probe

    comm = MPI.COMM_WORLD
    found = {"beside": best(comm, probe)}
    for name, part in (("fe", elements), ("cells", cells), ("lammps", spread_structure)):
        for kind, size in (("strong", 1), ("weak", comm.size)):
            found[f"{name}_{kind}"] = best(comm, part(comm, size))
    if comm.rank == 0:
        print(json.dumps(found))


def best(comm: Any, work: Callable[[], object]) -> float:
    """The least wall seconds of some repeats, of the slowest rank."""
    from mpi4py import MPI

    took = []
    for _ in range(REPEATS):
        comm.Barrier()
        began = MPI.Wtime()
        work()
        comm.Barrier()
        took.append(MPI.Wtime() - began)
    return float(comm.allreduce(min(took), op=MPI.MAX))


def elements(comm: Any, size: int) -> Callable[[], object]:
    """Factorise a beam's matrix, `size` times as long a path, and solve with it as often as a load step does."""
    import numpy as np

    from continuum.laws import BilinearLaw
    from continuum.linear import ReferenceMatrix
    from continuum.materials import LinearElastic
    from continuum.mesh import double_cantilever_beam
    from continuum.solid import Solid
    from continuum.supports import Displacement

    path = PATH * size
    bodies = double_cantilever_beam(
        comm,
        length=2.0 * path,
        arm_height=800.0,
        initial_crack=1000.0,
        fine_size=FACET,
        fine_from=900.0,
        fine_to=900.0 + path,
    )
    law = BilinearLaw(fracture_energy=0.06, peak_traction=0.03, initial_stiffness=0.3)
    supports = [Displacement(group="upper grip", component="y", factor=0.5)]
    supports += [Displacement(group="lower grip", component="y", factor=-0.5)]
    supports += [Displacement(group="right", component=component) for component in "xy"]
    solid = Solid(
        bodies,
        materials=dict.fromkeys(bodies.bodies, LinearElastic.isotropic(E=0.44, nu=0.3)),
        interfaces=dict.fromkeys(bodies.interfaces, law),
        degree=2,
        thickness=1.0,
        supports=supports,
    )
    matrix = ReferenceMatrix(solid)
    begin, end = solid.bulk.getOwnershipRange()
    owned = end - begin
    tangent = np.broadcast_to(0.3 * np.eye(2), (solid.interfaces.points, 2, 2)).copy()

    def solve() -> None:
        matrix.factorise(tangent)
        right = np.ones(owned)
        for _ in range(SOLUTIONS):
            matrix.solve(right)

    return solve


def cells(comm: Any, size: int) -> Callable[[], object]:
    """Cells of 32 atoms by SevenNet-0, one after the other on each rank."""
    from ase.build import bulk

    from atomistic.potentials import load_potential
    from atomistic.ranks import spread
    from multiscale.studies.interface import one_torch_thread

    potential = load_potential("sevennet-0")
    one_torch_thread()
    structures = []
    for seed in range(CELLS * size):
        atoms = bulk("Al", cubic=True) * (2, 2, 2)
        atoms.rattle(0.02, seed=seed)
        structures.append(atoms)

    def energy(atoms: Any) -> float:
        potential.calculator.reset()
        return potential.evaluate(atoms).energy

    energy(structures[0])
    return lambda: spread(structures, energy, potential=potential, comm=comm)


def spread_structure(comm: Any, size: int) -> Callable[[], object]:
    """One structure of thousands of atoms, `size` times as many, that LAMMPS spreads over the ranks."""
    from ase.build import bulk

    from atomistic.potentials import load_potential

    potential = load_potential("eam-al-mendelev", comm=comm)
    atoms = bulk("Al", cubic=True) * (LARGE * size, LARGE, LARGE)
    atoms.rattle(0.02, seed=1)

    def evaluate() -> None:
        for _ in range(5):
            potential.calculator.reset()
            potential.evaluate(atoms)

    evaluate()
    return evaluate


if __name__ == "__main__":
    if "--worker" in sys.argv:
        worker()
    else:
        raise SystemExit(main())
