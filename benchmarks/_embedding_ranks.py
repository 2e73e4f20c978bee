"""Quantum and ML evaluations side by side on two ranks: the wall time of both beside that of the longer one.

mpirun -n 2 python benchmarks/_embedding_ranks.py      (benchmarks/embedding.py does that; prints one JSON object)

The two are of like cost: SevenNet-0 on the whole and on C, SevenNet-l3i5 on C as the quantum engine. Every turn measures, at the
same places: the ML evaluations while the other rank rests, then the quantum one likewise; both at once, each on a rank of its
own, without our code; and the embedded system. The shortest of each over the turns counts: other work on the machine only adds.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

import numpy as np
import torch
from _embedding_systems import LATTICE, vacancy
from mpi4py import MPI

from atomistic.potentials import load_potential
from coupling.embedding import Region, SubCell, SubtractiveEmbedding

TURNS = int(os.environ.get("EMBEDDING_TURNS", "10"))


def seconds(comm: MPI.Comm, work: Callable[[], object], *, here: bool) -> float:
    """Wall time until the last rank is done with `work`, which those with `here` do."""
    comm.Barrier()
    began = time.perf_counter()
    if here:
        work()
    return float(comm.allreduce(time.perf_counter() - began, op=MPI.MAX))


def resting(comm: MPI.Comm, work: Callable[[], object], *, rank: int) -> float:
    """Wall time of `work` on one rank while the others sleep: waiting in a barrier would keep their cores busy."""
    comm.Barrier()
    if comm.rank == rank:
        began = time.perf_counter()
        work()
        spent = time.perf_counter() - began
        for other in range(comm.size):
            if other != rank:
                comm.send(spent, dest=other)
        return spent
    while not comm.iprobe(source=rank):
        time.sleep(0.002)
    return float(comm.recv(source=rank))


def main() -> None:
    """Measure on the ranks of the world and print."""
    comm = MPI.COMM_WORLD
    torch.set_num_threads(1)
    atoms = vacancy("Al", "fcc", LATTICE, (3, 3, 2), 0.05)
    ml, qm = load_potential("sevennet-0"), load_potential("sevennet-l3i5")
    region = Region(core=[0], cell=SubCell(np.diag([2 * LATTICE, 3 * LATTICE, 2 * LATTICE])))
    calculator = SubtractiveEmbedding(ml=ml, qm=qm, regions=region, comm=comm)
    start, random = atoms.positions.copy(), np.random.default_rng(6)
    calculator.get_forces(atoms)
    calculator.get_forces(atoms)
    cluster = calculator.clusters[0]

    def by_ml() -> None:
        ml.evaluate(atoms, stress=False)
        ml.evaluate(cluster.structure(atoms), stress=False)

    def by_qm() -> None:
        qm.evaluate(cluster.structure(atoms), stress=False)

    found: dict[str, list[float]] = {"ml_alone": [], "quantum_alone": [], "both_bare": [], "embedded": []}
    for turn in range(TURNS):
        # Each way finds new places, for engines remember what they have computed.
        for name in list(found)[:: 1 if turn % 2 else -1]:
            atoms.positions = start + 1e-3 * random.standard_normal(start.shape)
            if name == "ml_alone":
                spent = resting(comm, by_ml, rank=0)
            elif name == "quantum_alone":
                spent = resting(comm, by_qm, rank=1)
            elif name == "both_bare":
                spent = seconds(comm, by_ml if comm.rank == 0 else by_qm, here=comm.rank < 2)
            else:
                spent = seconds(comm, lambda: calculator.get_forces(atoms), here=True)
            found[name].append(spent)
    if comm.rank == 0:
        shortest = {f"seconds_{name}": min(times) for name, times in found.items()}
        longer = max(shortest["seconds_ml_alone"], shortest["seconds_quantum_alone"])
        shortest["side_by_side_of_longer_alone"] = shortest["seconds_embedded"] / longer
        shortest["side_by_side_of_bare_calls_at_once"] = shortest["seconds_embedded"] / shortest["seconds_both_bare"]
        shortest["side_by_side_of_sum"] = shortest["seconds_embedded"] / (
            shortest["seconds_ml_alone"] + shortest["seconds_quantum_alone"]
        )
        print(json.dumps({"atoms": len(atoms), "cluster_atoms": len(cluster), **shortest}), flush=True)


if __name__ == "__main__":
    main()
