"""The runs of benchmarks/embedding_nve.py: a crystal with a vacancy, a core around it, and four ways to move it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.geometry import find_mic
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.md.verlet import VelocityVerlet
from numpy.typing import NDArray

from atomistic.dynamics import AdaptiveLangevin, ShadowEnergy
from atomistic.potentials import load_potential
from coupling.embedding import ForceMixing, Region, SubtractiveEmbedding

Array = NDArray[np.float64]

KELVIN = 300.0
#: 10/ps for runs of some ten ps: the groups' temperatures are then renewed often enough to be averaged.
FRICTION = 0.01 / units.fs


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A system and two potentials for it; lengths in Å, time step in fs."""

    name: str
    ml: str
    qm: str
    element: str
    lattice: float
    repeats: int
    core: float
    blend: float
    buffer: float
    timestep: float
    picoseconds: float
    settle: float
    runs: tuple[str, ...]


# eam-al-mendelev and eam-al-zhou go smoothly to zero at their cutoffs (eam-al's energy has a step there, which would be
# measured in place of the scheme).
EAM = Pair(
    name="eam",
    ml="eam-al-mendelev",
    qm="eam-al-zhou",
    element="Al",
    lattice=4.05,
    repeats=5,
    core=3.2,
    blend=2.9,
    buffer=3.0,
    timestep=4.0,
    picoseconds=20.0,
    settle=2.0,
    runs=("plain", "subtractive", "mixing", "adaptive", "broken"),
)
SEVENNET = Pair(
    name="sevennet",
    ml="sevennet-0",
    qm="sevennet-l3i5",
    element="Cu",
    lattice=3.63,
    repeats=2,
    core=0.1,
    blend=0.0,
    buffer=2.9,
    timestep=5.0,
    picoseconds=2.0,
    settle=0.3,
    runs=("plain", "subtractive", "mixing", "adaptive"),
)
PAIRS = {pair.name: pair for pair in (EAM, SEVENNET)}


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What a run leaves: time (n,), ps; energy and the energy that the steps keep (n,), eV, of the forces' own scheme, or of the
    subtractive one less the heat where forces are mixed; temperatures of core with blend and of all others (n,), K; heat
    given by the thermostat (n,), eV; χ of core and buffer (n,), ASE's inverse unit of time."""

    pair: str
    run: str
    atoms: int
    inside: int
    cluster: int
    time: Array
    energy: Array
    kept: Array
    hot: Array
    rest: Array
    heat: Array
    chi: Array
    seconds: float


class WithoutBuffer(SubtractiveEmbedding):
    """Broken on purpose: the energies' derivatives by the buffer's places are left out."""

    def _correction(self, parts: Any, k: int, count: int) -> Array:
        found = super()._correction(parts, k, count)
        found[~self._mask(k, count)] = 0.0
        return found


def system(pair: Pair) -> tuple[Atoms, NDArray[np.int64]]:
    """The crystal without one atom, warm, and the core's indices: around the vacancy, or one atom."""
    atoms = bulk(pair.element, cubic=True, a=pair.lattice) * ([pair.repeats] * 3)
    hole = len(atoms) // 2
    place = atoms.positions[hole].copy()
    if pair.core > 1.0:
        del atoms[hole]
    distance = find_mic(atoms.positions - place, atoms.cell, atoms.pbc)[1]
    # Half of it goes into the potential energy of a crystal at rest.
    thermalize_momenta(atoms, temperature_K=2.0 * KELVIN, rng=np.random.default_rng(20))
    Stationary(atoms)
    return atoms, np.flatnonzero(distance < pair.core)


def run(pair_name: str, kind: str, picoseconds: float | None = None) -> Trace:
    """Run one kind: plain ML, subtractive, force mixing (all NVE), force mixing with the adaptive thermostat, or broken."""
    pair = PAIRS[pair_name]
    atoms, core = system(pair)
    ml, again, qm = load_potential(pair.ml), load_potential(pair.ml), load_potential(pair.qm)
    engines = {"ml": ml, "ml_region": again, "qm": qm}
    whole = Region(core=core, buffer=pair.buffer + pair.blend)
    subtractive = SubtractiveEmbedding(regions=whole, **engines)
    mixing = ForceMixing(regions=Region(core=core, buffer=pair.buffer, blend=pair.blend), **engines)
    for scheme in (subtractive, mixing):
        scheme.reselect(atoms)
    cluster = mixing.clusters[0]
    inside = np.zeros(len(atoms), dtype=bool)
    inside[cluster.indices[cluster.weights > 0.0]] = True
    seen = np.zeros(len(atoms), dtype=bool)
    seen[cluster.indices] = True
    atoms.calc = {
        "plain": ml.calculator,
        "subtractive": subtractive,
        "broken": WithoutBuffer(regions=whole, **engines),
    }.get(kind, mixing)
    step = pair.timestep * units.fs
    dynamics: Any = VelocityVerlet(atoms, step)
    if kind == "adaptive":
        groups = {"core and buffer": seen, "rest": ~seen}
        dynamics = AdaptiveLangevin(atoms, step, temperature_K=KELVIN, rng=21, friction=FRICTION, groups=groups)
    kept = ShadowEnergy(atoms, step)
    rows: list[list[float]] = []

    def note() -> None:
        twice = (atoms.get_momenta() ** 2).sum(axis=1) / atoms.get_masses()
        temperatures = [twice[part].mean() / (3.0 * units.kB) for part in (inside, ~inside)]
        thermostat = [dynamics.heat.sum(), dynamics.adaptive_friction[0]] if kind == "adaptive" else [0.0, 0.0]
        energy = 0.0
        if atoms.calc is mixing:
            # The engines remember this place: the energy costs nothing more.
            other = atoms.copy()
            other.calc = subtractive
            energy = float(other.get_potential_energy()) + 0.5 * twice.sum()
        else:
            kept()
        rows.append([dynamics.get_time() / (1e3 * units.fs), energy, *temperatures, *thermostat])

    begun = time.perf_counter()
    dynamics.attach(note)
    dynamics.run(round((picoseconds or pair.picoseconds) * 1e3 / pair.timestep))
    columns = np.array(rows).T[:, 1:-1]
    return Trace(
        pair=pair.name,
        run=kind,
        atoms=len(atoms),
        inside=int(inside.sum()),
        cluster=len(cluster),
        time=columns[0],
        energy=columns[1] if atoms.calc is mixing else kept.plain,
        kept=columns[1] - columns[4] if atoms.calc is mixing else kept.energies,
        hot=columns[2],
        rest=columns[3],
        heat=columns[4],
        chi=columns[5],
        seconds=time.perf_counter() - begun,
    )
