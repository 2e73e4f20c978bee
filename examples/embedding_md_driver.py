"""A self-interstitial in aluminium, moved by mixed forces at 600 K: a core that follows it, two adaptive thermostats.

python examples/embedding_md_driver.py

Writes interstitial.extxyz for OVITO: `region` is 2 in the core, 1 in blend and buffer, 0 elsewhere; `weight` is w. One
embedded-atom potential stands for the quantum engine here; `load_oracle("gpaw")`, or any other, takes its place.
"""

from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.io import write
from ase.md.velocitydistribution import thermalize_momenta

from atomistic.dynamics import AdaptiveLangevin
from atomistic.potentials import load_potential
from coupling.embedding import ForceMixing, Near, Region
from coupling.embedding.moving import MovingEmbedding

KELVIN, FRICTION = 600.0, 0.01 / units.fs


def main(directory: str = "runs/embedding_md", picoseconds: float = 3.0) -> dict[str, float]:
    """Run, print a table of ten lines and write the frames; return the mean temperatures of both groups, K."""
    path = Path(directory) / "interstitial.extxyz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    atoms = bulk("Al", cubic=True, a=4.05) * (5, 5, 5) + Atoms("Al", [[12.15, 10.2, 8.2]])  # in an octahedral hole
    region = Region(core=Near(len(atoms) - 1, 3.2, leave=3.8), blend=3.2, buffer=2.5)
    ml, ml_region = (load_potential("eam-al-mendelev") for _ in range(2))  # each keeps one structure's neighbours
    mixing = ForceMixing(ml=ml, qm=load_potential("eam-al-zhou"), ml_region=ml_region, regions=region)
    atoms.calc = embedding = MovingEmbedding(mixing)
    thermalize_momenta(atoms, temperature_K=2.0 * KELVIN, rng=np.random.default_rng(1))  # half goes into the springs
    atoms.get_forces()

    def groups() -> dict[str, np.ndarray]:
        seen = np.isin(np.arange(len(atoms)), embedding.clusters[0].indices)
        return {"core and buffer": seen, "rest": ~seen}

    dynamics = AdaptiveLangevin(atoms, 3.0 * units.fs, temperature_K=KELVIN, rng=2, friction=FRICTION, groups=groups())
    embedding.attach(dynamics, interval=10)
    dynamics.attach(lambda: dynamics.regroup(groups()), interval=10)
    temperatures: list[list[float]] = []
    dynamics.attach(lambda: temperatures.append(list(dynamics.temperatures.values())))
    every = max(1, round(picoseconds * 1e3 / 3.0 / 10))

    def show() -> None:
        cluster, (inside, outside) = embedding.clusters[0], np.mean(temperatures[-every:], axis=0)
        region, weight = np.zeros(len(atoms), dtype=int), np.zeros(len(atoms))
        region[cluster.indices], weight[cluster.indices] = 1 + cluster.core, cluster.weights
        frame = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True)
        frame.arrays |= {"region": region, "weight": weight}
        write(path, frame, append=True)
        time, heat = dynamics.get_time() / (1e3 * units.fs), -dynamics.heat.sum()
        print(
            f"{time:5.2f} {inside:13.0f} {outside:11.0f} {heat:15.2f} {cluster.core.sum():8d} {len(embedding.moves):8d}"
        )

    print(" ps   core+buffer (K)  rest (K)   heat out (eV)   core  changes")
    dynamics.attach(show, interval=every)
    dynamics.run(10 * every)
    return dict(zip(dynamics.names, np.mean(temperatures[3 * every :], axis=0).tolist(), strict=True))


if __name__ == "__main__":
    main()
