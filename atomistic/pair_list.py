"""Pairs of atoms closer than a cutoff, with explicit periodic images, kept until atoms have moved by half a skin."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from atomistic.errors import AtomisticError, EvaluationError

#: More atoms and images than this within reach of each other mean a collapsed structure (or a cell in the wrong unit).
_MOST_PAIRS = 200_000_000


class PairList:
    """A Verlet list (Verlet 1967): each pair once, all pairs up to cutoff + skin at the time it was made.

    The separation of pair k is positions[second[k]] − positions[first[k]] + shift[k]. An atom may be paired with its own
    image; of the two images ±n one is kept.

    Args:
        cutoff: Å.
        skin: Å beyond the cutoff; the list stays valid until an atom has moved by half of it.
        cell: (3, 3), rows are the cell's vectors; only those of periodic directions are read.
        periodic: (3,) which of them are periods.
        share: (rank, size): the list holds this rank's share of the pairs.
    """

    def __init__(
        self,
        *,
        cutoff: float,
        skin: float,
        cell: ArrayLike | None = None,
        periodic: ArrayLike = (False, False, False),
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.cutoff, self.skin, self.share = float(cutoff), float(skin), share
        wanted = np.asarray(periodic, dtype=bool)
        vectors = np.zeros((3, 3)) if cell is None else np.asarray(cell, dtype=float)
        if vectors.shape != (3, 3) or wanted.shape != (3,):
            raise AtomisticError(f"Expected a cell (3, 3) and periodic (3,); got {vectors.shape} and {wanted.shape}.")
        self.periods = vectors[wanted]
        if len(self.periods) and np.linalg.matrix_rank(self.periods) < len(self.periods):
            raise AtomisticError(f"The cell's periodic vectors {self.periods.tolist()} must be independent (Å).")
        self.first = self.second = np.zeros(0, dtype=np.intp)
        self.shift: NDArray[np.float64] | None = None
        self.builds = 0
        self._made_at = np.full((0, 3), np.nan)

    def update(self, positions: NDArray[np.float64]) -> bool:
        """Make the list anew if an atom may have come within the cutoff of one it is not paired with; tell whether."""
        if positions.shape == self._made_at.shape:
            moved = positions - self._made_at
            if float(np.einsum("ij,ij->i", moved, moved).max(initial=0.0)) <= (0.5 * self.skin) ** 2:
                return False
        if not np.all(np.isfinite(positions)):
            raise EvaluationError("Positions of atoms are not finite numbers.")
        self._build(positions)
        self._made_at = positions.copy()
        self.builds += 1
        return True

    def _build(self, positions: NDArray[np.float64]) -> None:
        """Find all pairs with a tree; images within reach of the atoms are extra points of it."""
        reach = self.cutoff + self.skin
        rank, size = self.share
        count = len(positions)
        begin, end = count * rank // size, count * (rank + 1) // size
        images, image_of, shifts = self._images(positions, reach)
        tree = cKDTree(np.concatenate([positions, images]))
        own = cKDTree(positions[begin:end]) if end > begin else None
        if own is None:
            self.first = self.second = np.zeros(0, dtype=np.intp)
            self.shift = np.zeros((0, 3)) if len(self.periods) else None
            return
        if own.count_neighbors(tree, reach) > _MOST_PAIRS:
            raise EvaluationError(f"{count} atoms have more than {_MOST_PAIRS} pairs within {reach} Å: check the cell.")
        # Pairs of an atom with another one appear from both ends: the end with the lower number keeps them.
        found = own.sparse_distance_matrix(tree, reach, output_type="ndarray")
        i, k = found["i"].astype(np.intp) + begin, found["j"].astype(np.intp)
        keep = (k > i) | (k >= count)
        i, k = i[keep], k[keep]
        order = np.lexsort((k, i))
        i, k = i[order], k[order]
        self.first, self.second = i, np.concatenate([np.arange(count), image_of])[k]
        self.shift = np.concatenate([np.zeros((count, 3)), shifts])[k] if len(self.periods) else None

    def _images(
        self, positions: NDArray[np.float64], reach: float
    ) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]:
        """Return positions, atoms and shifts of the images near the atoms, for one of each pair of shifts ±n."""
        none = np.zeros((0, 3)), np.zeros(0, dtype=np.intp), np.zeros((0, 3))
        if len(self.periods) == 0 or len(positions) == 0:
            return none
        reciprocal = np.linalg.pinv(self.periods)  # (3, p)
        along = positions @ reciprocal
        bound = np.floor(np.ptp(along, axis=0) + reach * np.linalg.norm(reciprocal, axis=0)).astype(int)
        axes = [np.arange(-b, b + 1) for b in bound]
        multiples = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(self.periods))
        multiples = multiples[len(multiples) // 2 + 1 :]  # in this order n and −n are mirrored about the middle, zero
        lower, upper = positions.min(axis=0) - reach, positions.max(axis=0) + reach
        shifts = multiples @ self.periods
        near = [np.flatnonzero(np.all((positions >= lower - s) & (positions <= upper - s), axis=1)) for s in shifts]
        image_of = np.concatenate([*near, np.zeros(0, dtype=np.intp)])
        by_image = np.repeat(shifts, [len(n) for n in near], axis=0)
        return positions[image_of] + by_image, image_of, by_image
