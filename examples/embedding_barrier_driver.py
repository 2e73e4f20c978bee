"""A proton hops from oxygen to oxygen in a molecule whose ends are pulled: the barrier by quantum mechanics, an MLIP, and both.

python examples/embedding_barrier_driver.py [POTENTIAL [PICTURE]]

The enol of undecane-5,7-dione, 33 atoms. Quantum engine: GFN2-xTB. Core: the ring of the hopping proton, 7 atoms; a chain of
n CH2 groups on either side is buffer, the next C–C bond is cut and capped by hydrogen; MLIP: everything. Geometries (relaxed by
GFN2-xTB for every place of the proton) and quantum results are shipped, so tblite is needed only for other ones.
"""

import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read

from atomistic.oracle import load_oracle
from atomistic.potentials import Potential, load_potential
from coupling.embedding import Links, Region, SubtractiveEmbedding

DATA = Path(__file__).parent / "embedding_barrier"
ENGINE = {"engine": "tblite", "settings": {"method": "GFN2-xTB", "accuracy": 0.01}}
CORE = range(7)
BUFFERS = {0: 1.0, 1: 2.0, 2: 3.5, 3: 5.0}  # CH2 groups in the buffer of either side, and its radius (Å)
SCANS = {"free": "free", "pulled": "ends pulled 1 Å apart"}


def geometries(name: str, every: int = 1) -> list[Atoms]:
    """The shipped scan, in a box, for there are MLIPs that want one; every n-th geometry, the middle one among them."""
    frames = read(DATA / f"{name}.extxyz", index=":")
    kept = frames[len(frames) // 2 % every :: every]
    for atoms in kept:
        atoms.center(vacuum=8.0)
    return kept


def profiles(ml: Potential, quantum: Potential, frames: list[Atoms], groups: list[int]) -> dict[str, np.ndarray]:
    """Energy along the scan (eV): the quantum engine on all, MLIP on all, and for each cut the embedded and the bare cluster."""
    found = {"quantum": energies(quantum, frames), "mlip": energies(ml, frames)}
    for n in groups:
        region = Region(core=list(CORE), buffer=BUFFERS[n], links=Links())
        calculator = SubtractiveEmbedding(ml=ml, qm=quantum, regions=region)
        found[f"embedded {n}"] = np.array([calculator.get_potential_energy(atoms) for atoms in frames])
        clusters = [calculator.clusters[0].structure(atoms) for atoms in frames]
        found[f"cluster {n}"] = energies(quantum, clusters)
    return found


def energies(potential: Potential, frames: list[Atoms]) -> np.ndarray:
    """Energies (eV) of geometries."""
    return np.array([potential.evaluate(atoms, stress=False).energy for atoms in frames])


def barrier(profile: np.ndarray) -> float:
    """Height (eV) of the middle of a scan, where the proton is half-way, above the lowest point before it."""
    return float(above_reactant(profile)[len(profile) // 2])


def above_reactant(profile: np.ndarray) -> np.ndarray:
    """A profile (eV) from the lowest point before its middle."""
    return profile - profile[: len(profile) // 2].min()


def largest_error(profile: np.ndarray, exact: np.ndarray) -> float:
    """Largest difference (eV) of two profiles, each from its own lowest point before the middle."""
    return float(np.abs(above_reactant(profile) - above_reactant(exact)).max())


def main(
    potential: str = "chgnet", picture: str | None = None, *, every: int = 1, groups: tuple[int, ...] = tuple(BUFFERS)
) -> dict[str, dict[str, float]]:
    """Print the barriers (eV) of both scans by every description, draw the profiles, and return the barriers."""
    ml, quantum = load_potential(potential), load_oracle(ENGINE, cache=DATA / "oracle")
    scans = {name: profiles(ml, quantum, geometries(name, every), list(groups)) for name in SCANS}
    barriers = {name: {key: barrier(profile) for key, profile in found.items()} for name, found in scans.items()}
    print(f"barrier, eV ({potential})   {'free':>8} {'pulled':>8} {'change':>8}")
    for key in barriers["free"]:
        free, pulled = barriers["free"][key], barriers["pulled"][key]
        print(f"{key:24} {free:10.3f} {pulled:8.3f} {pulled - free:8.3f}")
    if picture:
        draw(picture, potential, scans, list(groups))
    return barriers


def draw(path: str, potential: str, scans: dict[str, dict[str, np.ndarray]], groups: list[int]) -> None:
    """Profiles of both scans, and the barriers' errors against the place of the cut."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(13.5, 4.2), layout="constrained")
    shown = {
        "quantum": ("quantum on all", "-", 2.2),
        "mlip": (f"{potential} on all", "-", 1.5),
        "embedded 2": ("quantum in " + potential, "o", 1.5),
        "cluster 2": ("quantum, cluster alone", "--", 1.2),
    }
    colours = {"quantum": "k", "mlip": "#c1440e", "embedded 2": "#1f5fa8", "cluster 2": "#7a7a7a"}
    for panel, (name, found) in zip(axes, scans.items(), strict=False):
        shifts = [atoms.info["shift"] for atoms in geometries(name)]
        for key, (label, style, width) in shown.items():
            profile = above_reactant(found[key])
            panel.plot(shifts, 1e3 * profile, style, lw=width, color=colours[key], label=label)
        panel.set(xlabel="r(O–H) − r(H···O) (Å)", ylabel="energy (meV)", title=SCANS[name])
    axes[0].legend(frameon=False, fontsize=8)
    top = max(panel.get_ylim()[1] for panel in axes[:2])
    for panel in axes[:2]:
        panel.set_ylim(-0.1 * top, top)
    for name, style in (("free", "--"), ("pulled", "-")):
        exact = scans[name]["quantum"]
        for kind, colour, label in (("embedded", "#1f5fa8", "embedded"), ("cluster", "#7a7a7a", "cluster alone")):
            errors = [1e3 * largest_error(scans[name][f"{kind} {n}"], exact) for n in groups]
            axes[2].semilogy(groups, errors, style, marker="o", ms=4, color=colour, label=f"{label}, {name}")
        plain = 1e3 * largest_error(scans[name]["mlip"], exact)
        axes[2].axhline(plain, ls=style, lw=1.0, color="#c1440e", label=f"{potential}, {name}")
    axes[2].set(xlabel="CH$_2$ groups in the buffer", ylabel="largest error along the scan (meV)", xticks=groups)
    axes[2].legend(frameon=False, fontsize=8, handlelength=3.5)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main(*sys.argv[1:3])
