"""The core where the potential doubts itself: atoms on whose forces the members of a committee disagree."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
from ase import Atoms

from atomistic.committee import Committee, committee_of
from coupling.embedding.selection import Mask, Score, Selection
from coupling.errors import SelectionError


@dataclass(frozen=True)
class Doubt(Selection):
    """Atoms whose forces the members of a committee disagree on by more than a threshold.

    For heads on the machine-learned potential of the embedding itself, choosing costs passes back through its early layers only.

    Attributes:
        potential: a committee, or a potential that is one.
        enter: largest |F_k,i − F_l,i| over pairs of members at which an atom enters, eV/Å.
        leave: below which it leaves; the same by default (no hysteresis).
    """

    potential: Any
    _: KW_ONLY
    enter: float
    leave: float | None = None
    _score: Score = field(init=False, repr=False)

    def __post_init__(self) -> None:
        committee = committee_of(self.potential)
        if committee is None:
            raise SelectionError(
                f"Doubt(enter={self.enter!r}): a single potential has none; give a committee (atomistic.committee), as in "
                "load_potential({'committee': [...]}) or the heads that training has saved"
            )
        for name, value in (("enter", self.enter), ("leave", self.enter if self.leave is None else self.leave)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 < value < np.inf:
                raise SelectionError(f"Doubt({name}={value!r}): expected a positive disagreement, a number in eV/Å")
        if self.leave is not None and self.leave > self.enter:
            raise SelectionError(f"Doubt(enter={self.enter}, leave={self.leave}): atoms would leave before they enter")
        object.__setattr__(self, "_score", Score(_disagreement(committee), enter=self.enter, leave=self.leave))

    def _chosen(self, atoms: Atoms, current: Mask) -> Mask:
        return self._score.select(atoms, current)


def _disagreement(committee: Committee) -> Any:
    return lambda atoms: committee.disagreement(atoms).per_atom
