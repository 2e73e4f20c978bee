"""Selections by what surrounds an atom: the number of its neighbours, or a crack's tip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii, reference_states
from numpy.typing import ArrayLike, NDArray

from atomistic.pair_list import PairList
from coupling.crack.bonds import Bonds
from coupling.crack.tip import BROKEN, TipPosition, tip_by_bonds
from coupling.embedding.distances import distance_to_front, distance_to_point
from coupling.embedding.selection import Array, Mask, Selection, by_distance, check_radii, coordinates
from coupling.errors import SelectionError

#: A place: (2,) of a line along z, (3,) of a point, Å, or what `tip_by_bonds` gives (a line at y = 0).
Place = TipPosition | ArrayLike
#: Halfway between the shells of first and second neighbours, in first-neighbour distances, by crystal structure.
_MIDWAY = {
    "fcc": 0.5 * (1.0 + 2.0**0.5),
    "hcp": 0.5 * (1.0 + 2.0**0.5),
    "bcc": 0.5 * (1.0 + (4.0 / 3.0) ** 0.5),
    "diamond": 0.5 * (1.0 + (8.0 / 3.0) ** 0.5),
}
#: First-neighbour distance over lattice constant; of hcp that in the basal plane, the other one differing by a percent or two.
_NEAREST = {"fcc": 0.5**0.5, "hcp": 1.0, "bcc": 0.75**0.5, "diamond": 0.1875**0.5}
#: Two atoms are bonded up to this times the sum of their covalent radii (Cordero et al. 2008).
BONDED = 1.25


@dataclass(frozen=True)
class NearTip(Selection):
    """Atoms within a radius of a crack's tip, wherever it is now.

    Attributes:
        tip: called with the atoms, or a fixed place. (2,) is a front along z, (3,) a point, Å; the finder's `TipPosition` is
            a front at y = 0. `BondTip` makes the project's own finder of it.
        radius: within which atoms enter, Å.
        leave: beyond which they leave, Å; the radius by default (no hysteresis).
    """

    tip: Callable[[Atoms], Place] | tuple[float, ...]
    radius: float
    _: KW_ONLY
    leave: float | None = None

    def __post_init__(self) -> None:
        check_radii("NearTip", self.radius, self.leave)
        if not callable(self.tip):
            object.__setattr__(self, "tip", coordinates(self.tip, (2, 3), "NearTip"))

    def _chosen(self, atoms: Atoms, current: Mask) -> Mask:
        found: Any = self.tip(atoms) if callable(self.tip) else self.tip
        if isinstance(found, TipPosition):
            if not found.inside:
                which = "no" if found.x < 0.0 else "every"
                raise SelectionError(
                    f"NearTip: {which} bond across the crack's plane is broken, so that there is no tip between"
                )
            found = (found.x, 0.0)
        place = np.array(coordinates(found, (2, 3), "the tip of NearTip"))
        distance = distance_to_point(atoms, place) if len(place) == 3 else distance_to_front(atoms, place)
        return by_distance(distance, self.radius, self.leave, current)


@dataclass(frozen=True, eq=False)
class BondTip:
    """The crack's tip between broken and whole bonds (`coupling.crack.tip`), for `NearTip`.

    Attributes:
        bonds: across the crack's plane y = 0, from `coupling.crack.bonds.bonds_across` of the undeformed crystal.
        stretch: length over undeformed length from which a bond is broken.
        rows: numbers of the atoms that the bonds count, in their order; all atoms by default.
    """

    bonds: Bonds
    _: KW_ONLY
    stretch: float = BROKEN
    rows: tuple[int, ...] | None = None

    def __call__(self, atoms: Atoms) -> TipPosition:
        """Find the tip; positions must not have been wrapped along z.

        Raises:
            SelectionError: fewer atoms than the bonds join.
            TipError: positions that are not finite.
        """
        places = atoms.positions if self.rows is None else atoms.positions[list(self.rows)]
        last = int(max(self.bonds.first.max(), self.bonds.second.max()))
        if last >= len(places):
            raise SelectionError(
                f"the bonds across the crack join {last + 1} atoms or more; got {len(places)}: give the same atoms in one order"
            )
        return tip_by_bonds(places, self.bonds, stretch=self.stretch)


@dataclass(frozen=True, kw_only=True)
class Coordination(Selection):
    """Atoms with too few or too many neighbours: surfaces, dangling bonds, dislocation cores, a crowded site.

    Attributes:
        cutoff: two atoms are neighbours up to this distance, Å; "covalent": up to `tolerance` times the sum of their covalent
            radii; "nearest": up to halfway between the first and second shells of the element's own crystal (one element
            only; a bcc crystal's shells lie so near that heat mixes them: give a number beyond the second there).
        fewer_than: atoms with fewer neighbours enter.
        more_than: atoms with more neighbours enter. Give one of the two; join two selections by `|` for both.
        leave: number of neighbours from which (fewer_than), or down to which (more_than), atoms leave; the number at which
            they enter by default (no hysteresis). One farther makes a single neighbour at the cutoff harmless.
        tolerance: of "covalent".
    """

    cutoff: float | Literal["covalent", "nearest"] = "covalent"
    fewer_than: int | None = None
    more_than: int | None = None
    leave: int | None = None
    tolerance: float = BONDED

    def __post_init__(self) -> None:
        number = isinstance(self.cutoff, int | float) and np.isfinite(self.cutoff) and self.cutoff > 0.0
        if not (number or self.cutoff in ("covalent", "nearest")) or not self.tolerance > 0.0:
            raise SelectionError(
                f"Coordination(cutoff={self.cutoff!r}, tolerance={self.tolerance!r}): expected a positive length (Å), 'covalent' "
                "or 'nearest', and a positive tolerance"
            )
        if (self.fewer_than is None) == (self.more_than is None):
            raise SelectionError(f"{self!r}: give one of fewer_than and more_than; join two selections by | for both")
        few, more, leave = self.fewer_than, self.more_than, self.leave
        if (few is not None and few < 1) or (more is not None and more < 0):
            raise SelectionError(f"{self!r}: expected fewer_than=1 or more, or more_than=0 or more")
        if leave is not None and ((few is not None and leave < few) or (more is not None and leave > more)):
            raise SelectionError(f"{self!r}: atoms would leave before they enter")

    def _chosen(self, atoms: Atoms, current: Mask) -> Mask:
        count = self.neighbours(atoms)
        enter = self.more_than if self.fewer_than is None else self.fewer_than
        keep = enter if self.leave is None else self.leave
        assert enter is not None
        assert keep is not None
        # The sign turns "fewer than" into "more than".
        sign = 1 if self.fewer_than is None else -1
        return np.asarray((sign * count > sign * enter) | (current & (sign * count > sign * keep)))

    def neighbours(self, atoms: Atoms) -> NDArray[np.int64]:
        """Number (n,) of each atom's neighbours; images of the same atom count."""
        each = self._cutoffs(atoms)
        pairs = PairList(cutoff=2.0 * float(each.max(initial=0.0)), skin=0.0, cell=atoms.cell.array, periodic=atoms.pbc)
        pairs.update(atoms.positions)
        first, second = pairs.first, pairs.second
        vector = atoms.positions[second] - atoms.positions[first] + (0.0 if pairs.shift is None else pairs.shift)
        near = np.linalg.norm(vector, axis=1) <= each[first] + each[second]
        ends = np.concatenate([first[near], second[near]])
        return np.bincount(ends, minlength=len(atoms)).astype(np.int64)

    def _cutoffs(self, atoms: Atoms) -> Array:
        """(n,) Å: two atoms are neighbours up to the sum of theirs."""
        if self.cutoff == "covalent":
            return np.asarray(self.tolerance * covalent_radii[atoms.numbers])
        if self.cutoff == "nearest":
            return np.full(len(atoms), 0.5 * nearest_shell(atoms))
        return np.full(len(atoms), 0.5 * float(self.cutoff))


def nearest_shell(atoms: Atoms) -> float:
    """Length (Å) halfway between the shells of first and second neighbours in the crystal of the only element.

    Raises:
        SelectionError: several elements, or one whose crystal is none of fcc, hcp, bcc, diamond.
    """
    elements = sorted(set(atoms.numbers.tolist()))
    if len(elements) != 1:
        raise SelectionError(
            f"Coordination(cutoff='nearest') needs one element; {atoms.symbols} has {len(elements)}: give a length or 'covalent'"
        )
    state = reference_states[elements[0]] or {}
    structure = str(state.get("symmetry"))
    if structure not in _MIDWAY or "a" not in state:
        raise SelectionError(
            f"Coordination(cutoff='nearest'): the reference crystal of {chemical_symbols[elements[0]]} is {structure}, none of "
            f"{', '.join(_MIDWAY)}: give a length or 'covalent'"
        )
    return _MIDWAY[structure] * _NEAREST[structure] * float(state["a"])
