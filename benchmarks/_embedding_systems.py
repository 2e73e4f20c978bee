"""The systems on which benchmarks/embedding.py and embedding_peers.py measure: structures, pairs of potentials, regions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.morse import MorsePotential
from ase.io import read

from atomistic.potentials import Potential, as_potential, load_potential
from coupling.embedding import ForceMixing, Links, Region, SubCell, SubtractiveEmbedding

SCANS = Path(__file__).parents[1] / "examples" / "embedding_barrier"
LATTICE = 4.05  # Å, aluminium
SILICON = 5.43  # Å


@dataclass(frozen=True, kw_only=True)
class System:
    """A structure, what makes its two potentials, and its quantum region.

    Attributes:
        name: for figures.
        atoms: the structure.
        ml: makes the potential of all atoms.
        qm: makes the potential that plays the quantum engine.
        region: of the active site.
        step: Å of finite differences.
        single: whether the potentials work in single precision.
    """

    name: str
    atoms: Atoms
    ml: Callable[[], Potential]
    qm: Callable[[], Potential]
    region: Region
    step: float = 1e-3
    single: bool = False

    def subtractive(self, **options: Any) -> SubtractiveEmbedding:
        """The calculator of the subtractive scheme; what force mixing blends over belongs to its buffer."""
        region = replace(self.region, blend=0.0, buffer=self.region.blend + self.region.buffer)
        return SubtractiveEmbedding(ml=self.ml(), qm=self.qm(), regions=region, **options)

    def mixing(self, **options: Any) -> ForceMixing:
        """The calculator of force mixing."""
        return ForceMixing(ml=self.ml(), qm=self.qm(), regions=self.region, **options)

    def twin(self) -> System:
        """The same system with the ML potential in the place of the quantum engine."""
        return replace(self, qm=self.ml)


def named(spec: str) -> Callable[[], Potential]:
    """What makes the potential of that name."""
    return lambda: load_potential(spec)


def morse(depth: float, length: float) -> Callable[[], Potential]:
    """What makes a pair potential without elements, smooth up to its cutoff: it takes caps as it takes any atom."""
    return lambda: as_potential(MorsePotential(epsilon=depth, r0=length, rho0=4.0, rcut1=2.5, rcut2=3.5))


def xtb(method: str) -> Callable[[], Potential]:
    """What makes an xTB calculator with its self-consistent field converged a hundred times tighter than by default."""

    def make() -> Potential:
        try:
            from tblite.ase import TBLite
        except ImportError:
            raise SystemExit(
                "the molecule is computed by tblite, which is not here: pip install 'tblite>=0.8'"
            ) from None
        return as_potential(TBLite(method=method, verbosity=0, accuracy=0.01))

    return make


def vacancy(symbol: str, structure: str, lattice: float, repeat: int | tuple[int, int, int], shake: float) -> Atoms:
    """A periodic crystal, one atom taken out of its middle, the others moved by random amounts of `shake` (Å, rms)."""
    atoms = bulk(symbol, structure, a=lattice, cubic=True).repeat(repeat)
    middle = int(np.argmin(np.linalg.norm(atoms.positions - 0.5 * np.asarray(atoms.cell).sum(axis=0), axis=1)))
    hole = atoms.positions[middle].copy()
    del atoms[middle]
    atoms.info["hole"] = hole
    atoms.rattle(shake, seed=3)
    return atoms


def beside(atoms: Atoms, radius: float) -> np.ndarray:
    """Indices of the atoms within `radius` (Å) of the vacancy."""
    return np.flatnonzero(np.linalg.norm(atoms.positions - atoms.info["hole"], axis=1) < radius)


def metal(*, repeat: int = 5, buffer: float = 5.0, blend: float = 2.0) -> System:
    """A vacancy in aluminium, two EAM potentials in double precision; the cluster is cut out without caps."""
    atoms = vacancy("Al", "fcc", LATTICE, repeat, 0.05)
    region = Region(core=beside(atoms, 3.3), buffer=buffer, blend=blend, vacuum=8.0)
    return System(name="metal", atoms=atoms, ml=named("eam-al-zhou"), qm=named("eam-nial"), region=region)


def metal_in_cell() -> System:
    """The same pair, the region a fully periodic sub-cell of 2×2×3 unit cells."""
    atoms = vacancy("Al", "fcc", LATTICE, (4, 4, 3), 0.05)
    cell = SubCell(np.diag([2 * LATTICE, 2 * LATTICE, 3 * LATTICE]))
    region = Region(core=beside(atoms, 3.3), cell=cell)
    return System(name="sub_cell", atoms=atoms, ml=named("eam-al-zhou"), qm=named("eam-nial"), region=region)


def metal_in_slab() -> System:
    """The same pair, a slab; the sub-cell is periodic in the slab's plane only."""
    atoms = vacancy("Al", "fcc", LATTICE, (4, 4, 4), 0.05)
    atoms.center(vacuum=7.0, axis=2)
    top = np.flatnonzero(atoms.positions[:, 2] > atoms.positions[:, 2].max() - 1.0)
    middle = 0.5 * np.diag(atoms.cell)[:2]
    core = top[np.argsort(np.linalg.norm(atoms.positions[top, :2] - middle, axis=1))[:3]]
    cell = SubCell(np.diag([2 * LATTICE, 2 * LATTICE, 2.2 * LATTICE]), periodic=(True, True, False))
    region = Region(core=core, cell=cell, vacuum=8.0)
    return System(name="slab_sub_cell", atoms=atoms, ml=named("eam-al-zhou"), qm=named("eam-nial"), region=region)


def silicon(*, repeat: int = 3, buffer: float = 4.0) -> System:
    """A vacancy in silicon by Stillinger–Weber and Tersoff, both in double precision and far apart in their forces."""
    atoms = vacancy("Si", "diamond", SILICON, repeat, 0.05)
    region = Region(core=beside(atoms, 2.7), buffer=buffer, blend=1.0, vacuum=8.0)
    return System(name="silicon", atoms=atoms, ml=named("sw-si"), qm=named("tersoff-si"), region=region)


def molecule(*, toy: bool, buffer: float = 2.5) -> System:
    """A molecule of 33 atoms cut across two C–C bonds, by GFN1-xTB and GFN2-xTB, or by two Morse potentials."""
    frames = read(SCANS / "pulled.extxyz", index=":")
    atoms = frames[2]
    atoms.info.clear()
    atoms.rattle(0.02, seed=5)
    region = Region(core=np.arange(7), buffer=buffer, blend=1.0, links=Links(), vacuum=8.0)
    if toy:
        return System(name="caps", atoms=atoms, ml=morse(0.8, 1.6), qm=morse(1.1, 1.5), region=region)
    ml, qm = xtb("GFN1-xTB"), xtb("GFN2-xTB")
    return System(name="caps_xtb", atoms=atoms, ml=ml, qm=qm, region=region, step=5e-3)


def foundation(*, repeat: int = 3, structure: str = "fcc") -> System:
    """A vacancy in aluminium (107 atoms) or silicon (215) by SevenNet-0 and SevenNet-l3i5, both in single precision."""
    if structure == "fcc":
        atoms = vacancy("Al", "fcc", LATTICE, repeat, 0.05)
        core, buffer = beside(atoms, 3.3)[:2], 3.0
    else:
        atoms = vacancy("Si", "diamond", SILICON, repeat, 0.05)
        core, buffer = beside(atoms, 2.7), 4.5
    region = Region(core=core, buffer=buffer, blend=1.0)
    ml, qm = named("sevennet-0"), named("sevennet-l3i5")
    return System(name="sevennet", atoms=atoms, ml=ml, qm=qm, region=region, single=True)
