"""From the embedding block of a case to its quantum engine, its region and its calculator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_, or_
from pathlib import Path

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.oracle import load_oracle
from atomistic.potentials import Potential
from coupling.crack.tip import TipPosition
from coupling.embedding import ForceMixing, Links, Region, SubCell, SubtractiveEmbedding
from coupling.embedding.selection import Indices, Near, Score, Selection, Species, Within
from coupling.embedding.selection_doubt import Doubt
from coupling.embedding.selection_structure import Coordination, NearTip
from coupling.errors import SelectionError
from multiscale.config.embedding import CoordinationModel, CoreModel, EmbeddingModel, ScoreModel
from multiscale.failures import caused_by

FindTip = Callable[[Atoms], TipPosition | NDArray[np.float64]]
"""Where the crack's tip is: (2,) of a front along z, (3,) of a point, Å, or what `tip_by_bonds` gives."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingPieces:
    """What the block of a case describes.

    Attributes:
        model: the block.
        potential: for the whole (ML).
        oracle: the quantum engine behind its cache (QM).
        region: the core and what surrounds it.
        comm: ranks that share the calls of the calculator; None for the calling rank alone.
    """

    model: EmbeddingModel
    potential: Potential
    oracle: Potential
    region: Region
    comm: MPI.Comm | None

    def calculator(self) -> SubtractiveEmbedding | ForceMixing:
        """A new calculator of the scheme asked for."""
        scheme = SubtractiveEmbedding if self.model.scheme == "subtractive" else ForceMixing
        return scheme(ml=self.potential, qm=self.oracle, regions=self.region, comm=self.comm)

    def with_buffer(self, buffer: float) -> EmbeddingPieces:
        """The same with another buffer, Å."""
        return replace(self, region=replace(self.region, buffer=buffer))


def build_embedding(
    model: EmbeddingModel,
    potential: Potential,
    *,
    comm: MPI.Comm | None = None,
    cache: Path | None = None,
    tip: FindTip | None = None,
    oracle: Potential | None = None,
) -> EmbeddingPieces:
    """Load the engine and describe the region.

    Args:
        model: the block of the case.
        potential: for the whole.
        comm: ranks that take part in the engine's calls.
        cache: directory of finished quantum calculations where the block names none; None keeps none.
        tip: finds the crack's tip in the atoms; needed by cores near it.
        oracle: a loaded engine, to be used instead of another one.

    Raises:
        SelectionError: a core near a tip where there is none.
        OracleInputError: no such engine, or settings that it does not know.
        MissingEngineError: the engine is not installed.
    """
    region = build_region(model, tip=tip, potential=potential)
    if oracle is None:
        oracle = load_engine(model, cache=cache, comm=comm)
    return EmbeddingPieces(model=model, potential=potential, oracle=oracle, region=region, comm=comm)


def load_engine(model: EmbeddingModel, *, cache: Path | None = None, comm: MPI.Comm | None = None) -> Potential:
    """Load the quantum engine of a block; `cache` is used where the block names no directory of its own."""
    directory = Path(model.cache) if model.cache is not None else cache
    with caused_by("embedding", "engine"):
        return load_oracle(model.oracle, cache=directory, match=model.match, comm=comm)


def build_region(model: EmbeddingModel, *, tip: FindTip | None = None, potential: Potential | None = None) -> Region:
    """Return the region of a block; see `build_embedding`."""
    cell = None if model.cell is None else SubCell(model.cell.vectors, periodic=model.cell.periodic)
    return Region(
        core=build_selection(model.core, tip=tip, potential=potential),
        buffer=model.buffer,
        blend=model.blend,
        links=Links() if model.links == "hydrogen" else None,
        cell=cell,
        vacuum=model.vacuum,
        charge=model.charge,
        spin=model.spin,
    )


def build_selection(
    core: tuple[CoreModel, ...], *, tip: FindTip | None = None, potential: Potential | None = None
) -> Selection:
    """Return the selection of a core: atoms that meet one of the choices; `potential` is whose doubt may choose."""
    return reduce(or_, [_choice(choice, tip, potential) for choice in core])


def _choice(core: CoreModel, tip: FindTip | None, potential: Potential | None) -> Selection:
    """Atoms that meet every key of one choice, and those around them."""
    met: list[Selection] = []
    if core.indices is not None:
        met.append(Indices(core.indices))
    if core.species is not None:
        met.append(Species(core.species))
    if core.near is not None and core.radius is not None:
        met.append(Near(core.near, core.radius, leave=core.leave))
    if core.near_tip is not None:
        if tip is None:
            raise SelectionError(
                f"a core within {core.near_tip:g} Å of a crack's tip needs a crack, and this study has none. Choose the core by "
                "near, species or indices"
            )
        met.append(NearTip(tip, core.near_tip, leave=core.leave))
    if core.coordination is not None:
        met.append(_coordination(core.coordination))
    if core.score is not None:
        met.append(_score(core.score))
    if core.doubt is not None:
        met.append(Doubt(potential, enter=core.doubt.above, leave=core.doubt.leave))
    chosen = reduce(and_, met)
    return chosen if core.around is None else Within(chosen, core.around)


def _coordination(model: CoordinationModel) -> Selection:
    return Coordination(
        cutoff="covalent" if model.within is None else model.within,
        fewer_than=model.fewer_than,
        more_than=model.more_than,
        leave=model.leave,
    )


def _score(model: ScoreModel) -> Selection:
    def read(atoms: Atoms) -> NDArray[np.float64]:
        if model.array not in atoms.arrays:
            raise SelectionError(
                f"the atoms carry no array {model.array!r} to choose the core by; they carry {', '.join(sorted(atoms.arrays))}. "
                "Name one of them, or choose the core otherwise"
            )
        found: NDArray[np.float64] = atoms.arrays[model.array]
        return found

    return Score(read, enter=model.above, leave=model.leave)
