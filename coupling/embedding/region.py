"""A quantum region as a person describes it: its core, what surrounds it, how its edge is closed, its charge and spin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from atomistic.caps import Links
from coupling.errors import EmbeddingError

Mask = NDArray[np.bool_]


class CoreSelection(Protocol):
    """Tells which atoms are quantum, given which are so far."""

    def select(self, atoms: Atoms, current: Mask | None = None) -> Mask:
        """Return a mask (n,) of the core's atoms."""
        ...


class SubCell:
    """A periodic cell that the region is cut to, for metals: no bond is broken along its lattice directions.

    Along a lattice direction the region is one period of the environment; along the others (`periodic` False) it is a slice
    as thick as the vector, with vacuum on both sides. The vectors follow the strain of the whole cell.

    Args:
        vectors: (3, 3), rows, Å: periods of the environment, and the slice's thickness.
        periodic: (3,) which of them are periods.
        trusted: the vectors are the lattice's own, however little a defect in the cell looks like what is beside it.

    Raises:
        EmbeddingError: vectors that span no volume.
    """

    def __init__(
        self, vectors: ArrayLike, *, periodic: Sequence[bool] = (True, True, True), trusted: bool = False
    ) -> None:
        found = np.array(vectors, dtype=float)
        found = np.diag(found) if found.shape == (3,) else found
        if found.shape != (3, 3) or not np.isfinite(found).all() or abs(np.linalg.det(found)) < 1e-9:
            raise EmbeddingError(
                f"A sub-cell needs three independent vectors as rows, (3, 3), or three lengths, in Å; got {vectors!r}."
            )
        flags = np.asarray(periodic, dtype=bool)
        if flags.shape != (3,) or not flags.any():
            raise EmbeddingError(
                f"A sub-cell is periodic in at least one of its three directions; got {periodic!r}. Leave the cell out for a "
                "cluster in vacuum."
            )
        self.vectors = found
        self.periodic = flags
        self.trusted = trusted


@dataclass(frozen=True, kw_only=True)
class Region:
    """What is treated quantum-mechanically, and what the quantum engine sees around it.

    Attributes:
        core: the atoms that count as quantum (A): a selection, or their indices.
        buffer: Å around core and blend that the engine sees as well; C is all of them. Unused with a `cell`, which is C.
        blend: Å around the core over which force mixing fades from quantum to ML.
        links: caps on cut bonds; None leaves them open, as is right for metals.
        cell: a periodic sub-cell instead of a cluster in vacuum.
        vacuum: Å between a cluster's atoms and its box.
        charge: of C, elementary charges.
        spin: number of unpaired electrons of C.
        name: for ledgers and messages.

    Raises:
        EmbeddingError: a length or a count that is none.
    """

    core: CoreSelection | Sequence[int] | NDArray[np.int64]
    buffer: float = 6.0
    blend: float = 0.0
    links: Links | None = None
    cell: SubCell | None = None
    vacuum: float = 6.0
    charge: int = 0
    spin: int = 0
    name: str = "active site"

    def __post_init__(self) -> None:
        for key in ("buffer", "blend", "vacuum"):
            value = getattr(self, key)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and np.isfinite(value) and value >= 0.0):
                raise EmbeddingError(
                    f"The {key} of the region {self.name!r} must be a length in Å, 0 or more; got {value!r}."
                )
        if self.links is not None and not isinstance(self.links, Links):
            raise EmbeddingError(f"links is Links(...) for caps, or None for none; got {self.links!r}.")
        if self.cell is not None and not isinstance(self.cell, SubCell):
            raise EmbeddingError(f"cell is a SubCell(vectors, periodic=...), or None for a cluster; got {self.cell!r}.")
        if self.spin != int(self.spin) or self.spin < 0:
            raise EmbeddingError(f"spin is the number of unpaired electrons, 0, 1, 2 ...; got {self.spin!r}.")
        if self.charge != int(self.charge):
            raise EmbeddingError(f"charge is a whole number of elementary charges; got {self.charge!r}.")
        if self.cell is not None and self.links is not None and self.cell.periodic.all():
            raise EmbeddingError("A sub-cell periodic in all directions cuts no bond: leave links out.")

    def choose(self, atoms: Atoms, current: Mask | None = None) -> Mask:
        """Return which atoms are core, (n,).

        Raises:
            EmbeddingError: none, or an index that is no atom.
        """
        if hasattr(self.core, "select"):
            mask = np.asarray(self.core.select(atoms, current), dtype=bool)
        else:
            mask = _mask_of_indices(np.asarray(self.core), len(atoms), self.name)
        if mask.shape != (len(atoms),):
            raise EmbeddingError(
                f"The selection of the core gave shape {mask.shape} for {len(atoms)} atoms: one flag each."
            )
        if not mask.any():
            raise EmbeddingError(
                f"The core of the region {self.name!r} is empty: none of the {len(atoms)} atoms ({atoms.symbols}) fits its "
                "selection. Check species, places and radii; of a score or a doubt, whether any "
                "atom reaches the threshold now: where none does, no quantum region is needed."
            )
        return mask


def _mask_of_indices(indices: NDArray[np.int64], count: int, name: str) -> Mask:
    """Return indices as a mask."""
    if indices.dtype == bool and indices.shape == (count,):
        return indices.astype(bool)
    mask = np.zeros(count, dtype=bool)
    if indices.size == 0:
        return mask
    if indices.ndim != 1 or not np.issubdtype(indices.dtype, np.integer):
        raise EmbeddingError(f"The core of {name!r} is a list of indices of atoms, or a selection; got {indices!r}.")
    if indices.min() < 0 or indices.max() >= count:
        bad = int(indices[(indices < 0) | (indices >= count)][0])
        raise EmbeddingError(f"The core of {name!r} names atom {bad}; there are atoms 0 to {count - 1}.")
    mask[indices] = True
    if mask.sum() != len(indices):
        raise EmbeddingError(f"The core of {name!r} names an atom twice: {indices.tolist()}.")
    return mask
