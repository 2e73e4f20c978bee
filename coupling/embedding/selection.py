"""Which atoms are the quantum core: by number, element, place, or any figure per atom; with hysteresis.

A selection knows two sets: the atoms that enter, E, and those that may stay, S ⊇ E. Of the atoms C chosen last it makes

    C' = E ∪ (S ∩ C),

so an atom that moves to and fro between the two thresholds changes nothing (a Schmitt trigger, Schmitt 1938), and choosing twice
at one place gives the same. A selection holds no memory: who was in is handed to it. `|` and `&` combine selections, and the
mask of the whole is the memory of every part. Selections by neighbours and by a crack's tip are in `selection_structure`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import ArrayLike, NDArray

from coupling.embedding.distances import distance_to_atoms, distance_to_point
from coupling.embedding.region import CoreSelection, Mask
from coupling.errors import SelectionError

Array = NDArray[np.float64]


class Selection(ABC):
    """Base of the selections of this module: hysteresis and combination by `|` and `&`."""

    def select(self, atoms: Atoms, current: ArrayLike | None = None) -> Mask:
        """Choose atoms.

        Args:
            atoms: the structure; n atoms.
            current: (n,) True for those chosen last; None at the first time.

        Returns:
            (n,) True for those chosen now. May be empty, which a `Region` refuses.

        Raises:
            SelectionError: the selection does not fit the atoms, or the mask of the last choice does not.
        """
        last = _mask(current, len(atoms))
        return self._chosen(atoms, last)

    @abstractmethod
    def _chosen(self, atoms: Atoms, current: Mask) -> Mask: ...

    def __or__(self, other: CoreSelection) -> Selection:
        return Union(self, other)

    def __and__(self, other: CoreSelection) -> Selection:
        return Intersection(self, other)


@dataclass(frozen=True, init=False)
class Indices(Selection):
    """Atoms by number, from 0.

    Attributes:
        rows: numbers of the atoms; a single one may be given bare.
    """

    rows: tuple[int, ...]

    def __init__(self, rows: int | Iterable[int]) -> None:
        given = np.atleast_1d(np.asarray(rows if np.ndim(rows) == 0 else list(rows)))  # type: ignore[arg-type]
        if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
            raise SelectionError(
                f"Indices({_short(rows)}): expected whole numbers; make them of a mask by numpy.flatnonzero(mask)"
            )
        if given.size == 0:
            raise SelectionError("Indices([]): the core is empty; give at least one atom")
        numbers, count = np.unique(given, return_counts=True)
        if numbers[0] < 0 or count.max() > 1:
            fault = "negative numbers" if numbers[0] < 0 else f"{numbers[count > 1].tolist()} more than once"
            raise SelectionError(f"Indices({_short(rows)}) has {fault}: expected different numbers from 0")
        object.__setattr__(self, "rows", tuple(int(i) for i in given))

    def _chosen(self, atoms: Atoms, current: Mask) -> Mask:
        beyond = [i for i in self.rows if i >= len(atoms)]
        if beyond:
            raise SelectionError(
                f"atoms {_short(beyond)} are out of range: there are {len(atoms)} atoms, from 0 to {len(atoms) - 1}"
            )
        chosen = np.zeros(len(atoms), dtype=bool)
        chosen[list(self.rows)] = True
        return chosen


@dataclass(frozen=True, init=False)
class Species(Selection):
    """All atoms of some elements.

    Attributes:
        symbols: chemical symbols; a single one may be given bare.
    """

    symbols: tuple[str, ...]

    def __init__(self, symbols: str | Iterable[str]) -> None:
        given = (symbols,) if isinstance(symbols, str) else tuple(symbols)
        for symbol in given or ("",):
            if symbol not in chemical_symbols[1:]:
                near = get_close_matches(str(symbol).capitalize(), chemical_symbols[1:], n=3, cutoff=0.5)
                hint = f"did you mean {' or '.join(near)}?" if near else "give chemical symbols such as 'H'"
                raise SelectionError(f"Species({symbols!r}): {symbol!r} is no element; {hint}")
        object.__setattr__(self, "symbols", given)

    def _chosen(self, atoms: Atoms, current: Mask) -> Mask:
        return np.isin(atoms.numbers, [atomic_numbers[s] for s in self.symbols])


@dataclass(frozen=True)
class Near(Selection):
    """Atoms within a radius of a point or of an atom, by the nearest periodic image.

    Attributes:
        point: (3,) Å, or the number of an atom, which is chosen itself.
        radius: within which atoms enter, Å.
        leave: beyond which they leave, Å; the radius by default (no hysteresis).
    """

    point: int | tuple[float, ...]
    radius: float
    _: KW_ONLY
    leave: float | None = None

    def __post_init__(self) -> None:
        check_radii("Near", self.radius, self.leave)
        if isinstance(self.point, int | np.integer):
            Indices(int(self.point))
            return
        object.__setattr__(self, "point", coordinates(self.point, (3,), "Near"))

    def _chosen(self, atoms: Atoms, current: Mask) -> Mask:
        if isinstance(self.point, int | np.integer):
            Indices(int(self.point)).select(atoms)
            place = atoms.positions[self.point]
        else:
            place = np.array(self.point)
        return by_distance(distance_to_point(atoms, place), self.radius, self.leave, current)


@dataclass(frozen=True)
class Score(Selection):
    """Atoms by any figure: a committee's uncertainty, a force, a strain.

    Attributes:
        function: atoms -> (n,) finite numbers.
        enter: at which atoms enter.
        leave: below which they leave; the same by default (no hysteresis).
    """

    function: Callable[[Atoms], ArrayLike]
    _: KW_ONLY
    enter: float
    leave: float | None = None

    def __post_init__(self) -> None:
        if not callable(self.function) or not np.isfinite(self.enter):
            raise SelectionError(f"Score(enter={self.enter!r}): expected a function of the atoms and a finite number")
        if self.leave is not None and not self.leave <= self.enter:
            raise SelectionError(f"Score(enter={self.enter}, leave={self.leave}): atoms would leave before they enter")

    def _chosen(self, atoms: Atoms, current: Mask) -> Mask:
        score = np.asarray(self.function(atoms), dtype=float)
        if score.shape != (len(atoms),) or not np.isfinite(score).all():
            wrong = np.flatnonzero(~np.isfinite(score)) if score.shape == (len(atoms),) else None
            fault = f"shape {score.shape}" if wrong is None else f"no finite number for atoms {_short(wrong.tolist())}"
            raise SelectionError(f"the score has {fault}: expected {len(atoms)} finite numbers, one an atom")
        keep = self.enter if self.leave is None else self.leave
        return (score >= self.enter) | (current & (score >= keep))


@dataclass(frozen=True)
class Within(Selection):
    """Another selection with all atoms around it.

    The last members of the inner selection are read off the mask of the whole: those with nobody from outside within the
    distance. (Growing that set gives the mask back, so that choosing twice at one place gives the same.)

    Attributes:
        inner: what is grown.
        distance: up to which atoms enter, Å.
        leave: beyond which they leave, Å; the distance by default (no hysteresis of its own).
    """

    inner: CoreSelection
    distance: float
    _: KW_ONLY
    leave: float | None = None

    def __post_init__(self) -> None:
        _check_parts("Within", self.inner)
        check_radii("Within", self.distance, self.leave)

    def _chosen(self, atoms: Atoms, current: Mask) -> Mask:
        members = current & (distance_to_atoms(atoms, ~current, reach=self.distance) > self.distance)
        inner = self.inner.select(atoms, members)
        found = distance_to_atoms(atoms, inner, reach=self.leave or self.distance)
        return by_distance(found, self.distance, self.leave, current)


@dataclass(frozen=True)
class Union(Selection):
    """Atoms that one selection or the other chooses; made by `|`."""

    first: CoreSelection
    second: CoreSelection

    def __post_init__(self) -> None:
        _check_parts("|", self.first, self.second)

    def _chosen(self, atoms: Atoms, current: Mask) -> Mask:
        return self.first.select(atoms, current) | self.second.select(atoms, current)


@dataclass(frozen=True)
class Intersection(Selection):
    """Atoms that both selections choose; made by `&`."""

    first: CoreSelection
    second: CoreSelection

    def __post_init__(self) -> None:
        _check_parts("&", self.first, self.second)

    def _chosen(self, atoms: Atoms, current: Mask) -> Mask:
        return self.first.select(atoms, current) & self.second.select(atoms, current)


def coordinates(given: Any, sizes: tuple[int, ...], what: str) -> tuple[float, ...]:
    """Coordinates (Å) as a tuple of one of the sizes.

    Raises:
        SelectionError: they are not.
    """
    try:
        found = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if found.ndim != 1 or len(found) not in sizes or not np.isfinite(found).all():
        wanted = " or ".join(str(size) for size in sizes)
        raise SelectionError(f"{what}: {given!r} is no place; expected {wanted} finite coordinates (Å)")
    return tuple(float(x) for x in found)


def check_radii(name: str, radius: float, leave: float | None) -> None:
    """Refuse lengths that are not positive, and atoms that would leave before they enter.

    Raises:
        SelectionError: such lengths.
    """
    if not (isinstance(radius, int | float) and np.isfinite(radius) and radius > 0.0):
        raise SelectionError(f"{name}: got {radius!r}; expected a positive length in Å")
    if leave is not None and not (isinstance(leave, int | float) and np.isfinite(leave) and leave >= radius):
        raise SelectionError(
            f"{name}: atoms enter within {radius} Å and would leave beyond {leave!r} Å; expected leave at or beyond that"
        )


def by_distance(distance: Array, radius: float, leave: float | None, current: Mask) -> Mask:
    """Mask (n,) of atoms within the radius, and of current ones within the other."""
    return np.asarray((distance <= radius) | (current & (distance <= (radius if leave is None else leave))))


def _mask(current: ArrayLike | None, count: int) -> Mask:
    if current is None:
        return np.zeros(count, dtype=bool)
    mask = np.asarray(current)
    if mask.shape != (count,) or mask.dtype != bool:
        raise SelectionError(
            f"the atoms chosen last are an array {mask.shape} of {mask.dtype}: expected booleans ({count},), one an atom"
        )
    return mask


def _check_parts(sign: str, *parts: Any) -> None:
    for part in parts:
        if not hasattr(part, "select"):
            raise SelectionError(
                f"{part!r} beside {sign} is no selection: expected Indices([...]), Near(...) or the like"
            )


def _short(numbers: Any) -> str:
    listed = list(np.atleast_1d(np.asarray(numbers, dtype=object)).ravel())
    return ", ".join(str(i) for i in listed[:8]) + (f" ... ({len(listed)} in all)" if len(listed) > 8 else "")
