"""The covalent bonds that the edge of a region cuts, the atoms that join it before they are cut, and caps on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from atomistic.errors import CapError
from atomistic.surroundings import Mask, Surroundings, surroundings

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

#: Elements whose bonds are directed enough for a cap: hydrogen, the non-metals and the semiconductors among the metalloids.
COVALENT = frozenset({"H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Ge", "As", "Se", "Br", "Te", "I"})
_COVALENT_NUMBERS = np.array(sorted(atomic_numbers[s] for s in COVALENT))


@dataclass(frozen=True, kw_only=True)
class Links:
    """Caps on the covalent bonds that the edge of a region cuts (Dapprich et al. 1999, the link atoms of ONIOM).

    A cap lies on the cut bond, r_cap = r_in + g (r_out − r_in), with one g for each pair of elements from their covalent
    radii (Cordero et al. 2008), g = (R_in + R_cap)/(R_in + R_out): it follows both ends linearly, so the chain rule is exact
    and the scheme stays conservative. Atoms outside that are bonded to two atoms of the region, and hydrogens bonded to one,
    join it first: no two caps crowd together and no bond to hydrogen is cut.

    Attributes:
        element: of the caps.
        tolerance: two atoms are bonded within this times the sum of their covalent radii.
    """

    element: str = "H"
    tolerance: float = 1.25

    def __post_init__(self) -> None:
        if self.element not in atomic_numbers or self.element == "X":
            raise CapError(f"A cap's element must be a chemical symbol such as H; got {self.element!r}.")
        if not (np.isfinite(self.tolerance) and 1.0 <= self.tolerance <= 2.0):
            raise CapError(
                f"The bonds' tolerance must lie between 1 and 2 times the covalent radii; got {self.tolerance!r}."
            )

    def ratio(self, inner: NDArray[np.int64], outer: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return g of bonds between atomic numbers `inner` and `outer`, both (m,)."""
        own = covalent_radii[inner]
        found: NDArray[np.float64] = (own + covalent_radii[atomic_numbers[self.element]]) / (
            own + covalent_radii[outer]
        )
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Caps:
    """Link atoms on the cut bonds, r_cap = r_in + g (r_out − r_in).

    Attributes:
        inner: (m,) row in the cluster of the bond's end inside.
        outer: (m,) index in the whole system of its end outside.
        relative: (m, 3) place of that end relative to the first core atom when the cluster was cut, Å.
        ratio: (m,) g.
        element: of the caps.
    """

    inner: Indices
    outer: Indices
    relative: Array
    ratio: Array
    element: str

    @staticmethod
    def none() -> Caps:
        """No cut bond is capped."""
        empty = np.zeros(0, dtype=np.int64)
        return Caps(inner=empty, outer=empty, relative=np.zeros((0, 3)), ratio=np.zeros(0), element="H")


def farthest_bond(atoms: Atoms, links: Links) -> float:
    """Return the length of the longest bond between elements of these atoms, Å."""
    return float(2.0 * links.tolerance * covalent_radii[atoms.numbers].max())


def closed_region(atoms: Atoms, core: Mask, reach: float, links: Links) -> tuple[Surroundings, Mask, Caps]:
    """Return the atoms around a core, which of them are within reach (Å) or had to join, and the caps on the bonds cut.

    Raises:
        CapError: a cut bond has a metal at one end.
    """
    bond, radius = farthest_bond(atoms, links), reach
    while True:
        radius += 2.0 * bond
        chosen = surroundings(atoms, core, radius)
        numbers = atoms.numbers[chosen.indices]
        taken = absorb(chosen, chosen.distance <= reach, numbers, links)
        # Atoms that join have bonds of their own: all of their partners must have been looked at.
        if chosen.distance[taken].max() <= radius - bond:
            return chosen, taken, cut_bonds(chosen, taken, numbers, links)


def absorb(around: Surroundings, inside: Mask, numbers: Indices, links: Links) -> Mask:
    """Return which atoms are inside after those have joined that must: hydrogens at the edge, and bridges between two atoms.

    Args:
        around: atoms within reach.
        inside: (k,) those of core and buffer.
        numbers: (k,) atomic numbers.
        links: what a bond is.

    Raises:
        CapError: a cut bond has a metal at one end.
    """
    first, second = _bonds(around.relative, numbers, links)
    found = inside.copy()
    while True:
        crossing = found[first] & ~found[second]
        _refuse_metals(around, numbers, first[crossing], second[crossing])
        partners = np.bincount(second[crossing], minlength=len(found))
        joins = (partners >= 2) | ((partners >= 1) & (numbers == 1))
        # The one bond of a hydrogen inside is not cut either.
        from_hydrogen = crossing & (numbers[first] == 1)
        joins[second[from_hydrogen]] = True
        if not joins.any():
            return found
        found |= joins


def cut_bonds(around: Surroundings, inside: Mask, numbers: Indices, links: Links) -> Caps:
    """Return caps on all bonds from inside to outside."""
    first, second = _bonds(around.relative, numbers, links)
    crossing = inside[first] & ~inside[second]
    # In an order that the atoms give, not the search: results kept on disk are found by it.
    order = np.lexsort((around.indices[second[crossing]], first[crossing]))
    first, second = first[crossing][order], second[crossing][order]
    row = np.cumsum(inside) - 1
    return Caps(
        inner=row[first],
        outer=around.indices[second],
        relative=around.relative[second],
        ratio=links.ratio(numbers[first], numbers[second]),
        element=links.element,
    )


def _refuse_metals(around: Surroundings, numbers: Indices, first: Indices, second: Indices) -> None:
    """Refuse to cut a bond with a metal by a cap."""
    covalent = np.isin(numbers, _COVALENT_NUMBERS)
    metallic = np.flatnonzero(~(covalent[first] & covalent[second]))
    if len(metallic) == 0:
        return
    a, b = first[metallic[0]], second[metallic[0]]
    raise CapError(
        f"A cap would sit on the bond between atom {around.indices[a]} ({chemical_symbols[numbers[a]]}) and atom "
        f"{around.indices[b]} ({chemical_symbols[numbers[b]]}), one of {len(metallic)} cut bonds with a metal: caps close "
        "covalent bonds only. Leave links out (none for metals), or move the edge of the region by another buffer."
    )


def _bonds(places: Array, numbers: Indices, links: Links) -> tuple[Indices, Indices]:
    """Return both directions of every bond as rows (b,), (b,)."""
    radii = covalent_radii[numbers]
    pairs = cKDTree(places).query_pairs(2.0 * links.tolerance * float(radii.max()), output_type="ndarray")
    lengths = np.linalg.norm(places[pairs[:, 0]] - places[pairs[:, 1]], axis=1)
    bonded = pairs[lengths <= links.tolerance * (radii[pairs[:, 0]] + radii[pairs[:, 1]])]
    return np.r_[bonded[:, 0], bonded[:, 1]], np.r_[bonded[:, 1], bonded[:, 0]]
