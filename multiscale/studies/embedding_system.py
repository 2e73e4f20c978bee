"""What an embedding case describes: its atoms, the potential, the engine, and the quantum region at every buffer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read
from mpi4py import MPI

from atomistic.crystal import Crystal, relax_crystal
from atomistic.potentials import Potential, load_potential
from coupling.embedding import Cluster
from multiscale.config import CrystalModel, EmbeddingCase, StructureModel
from multiscale.errors import StructureFileError
from multiscale.progress import Progress
from multiscale.studies.embedding_build import EmbeddingPieces, build_embedding
from multiscale.studies.interface import one_torch_thread
from multiscale.units import format_length


@dataclass(frozen=True, kw_only=True)
class EmbeddingSystem:
    """What is compared.

    Attributes:
        atoms: the whole system.
        displaced: the same with the core displaced, for the change of the energy; None where that is not asked for.
        pieces: potential, engine and region.
        buffers: Å, rising.
        clusters: core, buffer and caps at each of them.
    """

    atoms: Atoms
    displaced: Atoms | None
    pieces: EmbeddingPieces
    buffers: tuple[float, ...]
    clusters: tuple[Cluster, ...]

    @property
    def potential(self) -> Potential:
        """For the whole (ML)."""
        return self.pieces.potential

    @property
    def oracle(self) -> Potential:
        """For the quantum region (QM)."""
        return self.pieces.oracle

    @property
    def core(self) -> np.ndarray:
        """Numbers of the core's atoms, rising."""
        cluster = self.clusters[0]
        return np.sort(cluster.indices[cluster.core])


def describe_system(
    case: EmbeddingCase, *, comm: MPI.Comm, progress: Progress, cache: Path | None = None
) -> EmbeddingSystem:
    """Load both engines, build the structure and cut the quantum region at every buffer (collective).

    Args:
        case: what is asked for.
        comm: the ranks; each holds everything and evaluates alone.
        progress: shown.
        cache: directory of finished quantum calculations where the case names none.

    Raises:
        ValueError: with its cause, for what the potential, the engine or the region cannot do.
    """
    with progress.phase("engines"):
        potential = load_potential(case.potential, comm=MPI.COMM_SELF, device=case.device)
        pieces = build_embedding(case.embedding, potential, cache=cache)
        one_torch_thread()
    with progress.phase("structure"):
        atoms = build_structure(case.structure, potential, comm=comm)
        potential.check_elements(atoms.symbols)
        buffers = case.converge.wanted
        clusters = tuple(_cut(pieces, atoms, buffer) for buffer in buffers)
    core = clusters[0].indices[clusters[0].core]
    displaced = _displaced(atoms, np.sort(core), case.converge.displace, case.structure.seed)
    return EmbeddingSystem(atoms=atoms, displaced=displaced, pieces=pieces, buffers=buffers, clusters=clusters)


def _cut(pieces: EmbeddingPieces, atoms: Atoms, buffer: float) -> Cluster:
    """Return the region at one buffer, with every check that its calculator makes."""
    calculator = pieces.with_buffer(buffer).calculator()
    calculator.reselect(atoms)
    return calculator.clusters[0]


def _displaced(atoms: Atoms, core: np.ndarray, scale: float, seed: int) -> Atoms | None:
    """Return a copy whose core atoms are displaced at random by `scale` (Å, standard deviation of a component)."""
    if scale == 0.0:
        return None
    found = atoms.copy()
    # Another stream than that of the rattle, or the core would be displaced twice in the same direction.
    found.positions[core] += np.random.default_rng((seed, 1)).normal(scale=scale, size=(len(core), 3))
    return found


def build_structure(model: StructureModel, potential: Potential, *, comm: MPI.Comm) -> Atoms:
    """Return the atoms that a case asks for, without calculator and constraints (collective).

    Raises:
        StructureFileError: a file that ASE cannot read.
        CrystalError: no such crystal with this potential.
        StudyError: a site that the crystal does not have.
    """
    if model.crystal is None:
        return rattled(_read(model), model)
    crystal = guessed_crystal(model.crystal, potential, comm)
    return rattled(with_defects(crystal.conventional.repeat(model.repeat), model), model)


def rattled(atoms: Atoms, model: StructureModel) -> Atoms:
    """Return the atoms displaced at random as the case asks, without calculator and constraints."""
    atoms.calc = None
    atoms.set_constraint()
    if model.rattle:
        noise = np.random.default_rng(model.seed).normal(scale=model.rattle, size=(len(atoms), 3))
        atoms.positions += noise
    return atoms


def _read(model: StructureModel) -> Atoms:
    assert model.file is not None
    try:
        found = read(model.file, index=model.frame, parallel=False)
    except (IndexError, StopIteration):
        raise StructureFileError(
            f"{model.file} holds no structure number {model.frame}. Count its structures from 0, or leave frame out for the last"
        ) from None
    except Exception as error:  # ASE's readers raise whatever their parsing meets
        raise StructureFileError(
            f"{model.file} cannot be read by ASE ({type(error).__name__}: {error}). Give a structure in one of its formats, for "
            "example extxyz, with the ending that belongs to it"
        ) from error
    if not isinstance(found, Atoms) or len(found) == 0:
        raise StructureFileError(f"{model.file} holds no atoms. Give a structure with atoms")
    return found


def guessed_crystal(guess: CrystalModel, potential: Potential, comm: MPI.Comm) -> Crystal:
    """Return the relaxed crystal that a case guesses (collective)."""
    return relax_crystal(potential, symbols=guess.species, structure=guess.structure, a=guess.a, c=guess.c, comm=comm)


def with_defects(atoms: Atoms, model: StructureModel) -> Atoms:
    """Return the atoms, changed in place, with the vacancy and the impurity of a case.

    Raises:
        StructureFileError: a site that there is not.
    """
    count = len(atoms)
    impurity = None if model.impurity is None else model.impurity.index
    for key, site in (("vacancy", model.vacancy), ("impurity", impurity)):
        if site is not None and site >= count:
            raise StructureFileError(
                f"the {key} is at site {site}, and the crystal has {count} sites, numbered from 0. Choose one of them, or repeat "
                "the crystal more often"
            )
    if model.impurity is not None:
        atoms.symbols[model.impurity.index] = model.impurity.element
    if model.vacancy is not None:
        del atoms[model.vacancy]
    return atoms


def prediction_rows(system: EmbeddingSystem, case: EmbeddingCase) -> list[tuple[str, str]]:
    """What `validate` prints."""
    atoms, clusters = system.atoms, system.clusters
    whole = case.converge.reference == "whole system"
    states = 1 if system.displaced is None else 2
    smallest, largest = clusters[0], clusters[-1]
    rows = [
        ("atoms", f"{len(atoms)} {atoms.symbols.formula.format('reduce')}" if len(atoms) < 40 else str(len(atoms))),
        ("core", f"{len(system.core)} atoms ({atoms[system.core].symbols})"),
        ("buffers", f"{len(clusters)}, from {format_length(system.buffers[0])} to {format_length(system.buffers[-1])}"),
        ("atoms in core and buffer", f"{len(smallest)} to {len(largest)}"),
    ]
    if case.embedding.links != "none":
        rows.append(("caps", f"{len(smallest.caps.inner)} to {len(largest.caps.inner)}"))
    calls = states * (len(clusters) + whole)
    sizes = sum(len(c) + len(c.caps.inner) for c in clusters) + whole * len(atoms)
    rows.append((f"calls of {system.oracle.capabilities.name}", f"{calls}, of {states * sizes} atoms altogether"))
    rows.append((f"calls of {system.potential.capabilities.name}", f"{states * (len(clusters) + 1)}"))
    return rows
