"""A nearly homogeneous piece of a crystal completed to one period of a crystal, so that it has no surfaces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from scipy.spatial import cKDTree

from atomistic.errors import ExcerptError
from atomistic.surroundings import Array, Indices, surroundings

#: An atom belongs to a site within this share of the nearest neighbours' distance.
_SITE = 0.4
#: A vector is a period where this share of the atoms near the centre has a like atom there.
_SHARE = 0.8
#: Two atoms of a completed cell may be closer than any two of the body by this factor.
_CLOSEST = 0.85
#: A motif with more atoms than this is not looked for.
_LARGEST_MOTIF = 64
#: Lattice vectors among which those of a superlattice are sought.
_VECTORS = 100
_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class _Crystal:
    """The strained crystal around an atom.

    Attributes:
        basis: (3, 3) local periods as rows, Å: fitted to the atoms, so they carry the mean strain.
        motif: (m, 3) sites of one period relative to the centre's, Å.
        numbers: (m,) atomic numbers of these sites.
        distance: of nearest neighbours, Å.
    """

    basis: Array
    motif: Array
    numbers: Indices
    distance: float


def complete(
    atoms: Atoms, centre: int, *, core: float, buffer: float, mismatch: float
) -> tuple[Atoms, Indices, dict[str, Any]]:
    """Return one period of a crystal that holds the surroundings of an atom, at their own places.

    After Hodapp and Shapeev (Mach. Learn.: Sci. Technol. 1, 045005, 2020), who make small periodic configurations of parts of
    a large simulation, so that plane-wave codes can compute them and their energies count. Here the periods of the crystal are
    found from the atoms around the centre and fitted to them, so that they carry its mean strain; of all superlattices in
    which images are 2 core + buffer apart the one with the fewest sites is taken; each of its sites gets the atom that stands
    there in the body. Vacancies and foreign atoms stay what they are.

    That is sound while the cell's images stand where the body has atoms: within core + buffer of the centre they must, to
    `mismatch`. At a crack tip, a dislocation, a surface or an interface they don't, and the piece is refused; nothing is moved
    to make it fit.

    Args:
        atoms: the whole structure.
        centre: the atom in the middle.
        core, buffer: Å.
        mismatch: Å.

    Returns:
        the cell; the indices of its atoms in the body; and facts about it (`mismatch`: the largest met, Å; `vacancies`).

    Raises:
        ExcerptError: no crystal around the atom, or one that is not homogeneous enough.
    """
    mask = np.zeros(len(atoms), dtype=bool)
    mask[centre] = True
    reach, wanted = core + buffer, 2.0 * core + buffer
    # As far as the cell can stretch, and what its images are compared with.
    around = surroundings(atoms, mask, max(reach, wanted) + 6.0)
    numbers = atoms.numbers[around.indices]
    places = around.relative
    crystal = _crystal(places, numbers, reach)
    cell = _superlattice(crystal.basis, wanted)
    sites, kinds = _sites(crystal, cell)
    rows, vacancies = _assigned(places, numbers, sites, kinds, crystal)
    found = _mismatch(places, numbers, places[rows], numbers[rows], cell, reach)
    if not np.isfinite(found):
        raise ExcerptError(
            f"Within {reach:g} Å of atom {centre} a periodic cell would have an atom of another element, such as the image of an "
            "impurity. Use periodic 'keep', or a larger core, which makes the cell larger."
        )
    if found > mismatch:
        raise ExcerptError(
            f"Around atom {centre} the crystal is not homogeneous enough for a periodic cell: of the atoms within {reach:g} Å "
            f"one would lie {found:.2f} Å from where it is; allowed is {mismatch:g} Å. Use periodic 'keep', or a smaller buffer."
        )
    piece = Atoms(numbers=numbers[rows], positions=places[rows], cell=cell, pbc=True)
    if np.linalg.det(piece.cell) < 0.0:
        piece.set_cell(-piece.cell.array)
    _refuse_close(piece, places, centre)
    moments = atoms.get_initial_magnetic_moments()
    if moments.any():
        piece.set_initial_magnetic_moments(moments[around.indices[rows]])
    return piece, around.indices[rows], {"mismatch": round(found, 4), "vacancies": vacancies}


def _crystal(places: Array, numbers: Indices, reach: float) -> _Crystal:
    """Find the crystal around the centre, which is the first of `places`.

    Raises:
        ExcerptError: too few atoms, or no periods.
    """
    tree = cKDTree(places)
    near = np.flatnonzero(np.linalg.norm(places, axis=1) <= reach)
    if len(near) < 8:
        raise ExcerptError(
            f"Only {len(near)} atoms within {reach:g} Å of the centre: no crystal to be seen. Enlarge the buffer."
        )
    distance = float(np.median(tree.query(places[near], k=2)[0][:, 1]))
    tolerance = _SITE * distance
    periods = np.array(list(_periods(places, numbers, near, tree, tolerance)))
    basis = _basis(periods) if len(periods) >= 3 else None
    if basis is None:
        raise ExcerptError(
            "The atoms around the centre repeat along fewer than three directions: no crystal that a cell could be one period "
            "of. Use periodic 'keep'."
        )
    for _ in range(3):
        steps = np.rint(periods @ np.linalg.inv(basis))
        basis = np.linalg.lstsq(steps, periods, rcond=None)[0]
    motif, kinds = _motif(places[near], numbers[near], basis, tolerance)
    return _Crystal(basis=basis, motif=motif, numbers=kinds, distance=distance)


def _periods(places: Array, numbers: Indices, near: Indices, tree: cKDTree, tolerance: float) -> Iterator[Array]:
    """Yield vectors (3,) that lead from most atoms near the centre to a like one, averaged over them."""
    order = near[np.argsort(np.linalg.norm(places[near], axis=1), kind="stable")]
    inner = order[: max(8, len(near) // 3)]
    # From an atom of the commonest element: the centre may be a foreign one.
    common = np.bincount(numbers[inner]).argmax()
    like = order[numbers[order] == common]
    for candidate in like[1:]:
        vector = places[candidate] - places[like[0]]
        for _ in range(2):
            away, partner = tree.query(places[inner] + vector)
            same = (away <= tolerance) & (numbers[partner] == numbers[inner])
            if same.mean() < _SHARE:
                break
            vector = (places[partner] - places[inner])[same].mean(axis=0)
        else:
            yield vector


def _basis(periods: Array) -> Array | None:
    """The three shortest independent periods, which span the lattice; None where there are none."""
    found: list[Array] = []
    for vector in periods[np.argsort(np.linalg.norm(periods, axis=1), kind="stable")]:
        trial = np.array([*found, vector])
        unit = trial / np.linalg.norm(trial, axis=1)[:, None]
        if np.sqrt(abs(np.linalg.det(unit @ unit.T))) > 0.2:
            found.append(vector)
        if len(found) == 3:
            return np.array(found)
    return None


def _motif(places: Array, numbers: Indices, basis: Array, tolerance: float) -> tuple[Array, Indices]:
    """The sites of one period, each averaged over its atoms.

    Raises:
        ExcerptError: more kinds of sites than a crystal has.
    """
    inverse = np.linalg.inv(basis)
    members: list[list[Array]] = []
    kinds: list[list[int]] = []
    for row in np.argsort(np.linalg.norm(places, axis=1), kind="stable"):
        for sites, species in zip(members, kinds, strict=True):
            offset = places[row] - sites[0]
            rest = offset - np.rint(offset @ inverse) @ basis
            if np.linalg.norm(rest) <= tolerance:
                sites.append(sites[0] + rest)
                species.append(int(numbers[row]))
                break
        else:
            members.append([places[row]])
            kinds.append([int(numbers[row])])
    # A site of the crystal is there in most periods; an atom between sites is not.
    expected = max(len(sites) for sites in members)
    real = [k for k, sites in enumerate(members) if len(sites) >= 0.5 * expected]
    if len(real) > _LARGEST_MOTIF:
        raise ExcerptError(
            f"The atoms around the centre have {len(real)} kinds of sites: no crystal. Use periodic 'keep'."
        )
    return np.array([np.mean(members[k], axis=0) for k in real]), np.array(
        [np.bincount(kinds[k]).argmax() for k in real]
    )


def _superlattice(basis: Array, wanted: float) -> Array:
    """The superlattice (3, 3) with the fewest sites whose shortest vector is at least `wanted` (Å) long.

    Its vectors are sought among the shortest that are long enough: a lattice as dense as its shortest vector allows has several
    of about that length.
    """
    heights = 1.0 / np.linalg.norm(np.linalg.inv(basis), axis=0)
    grid = _grid(np.ceil(1.6 * wanted / heights).astype(int))
    # Of a vector and its opposite one will do.
    grid = grid[np.arange(len(grid)) > len(grid) // 2]
    lengths = np.linalg.norm(grid @ basis, axis=1)
    order = np.argsort(np.round(lengths, 6), kind="stable")
    short, steps = grid[order[lengths[order] < wanted - 1e-6]], grid[order[lengths[order] >= wanted - 1e-6]][:_VECTORS]
    vectors = steps @ basis
    apart = (
        np.minimum(*(np.linalg.norm(vectors[:, None] + sign * vectors, axis=2) for sign in (1, -1))) >= wanted - 1e-6
    )
    size = np.abs(np.cross(steps[:, None], steps) @ steps.T)
    count = np.arange(len(steps))
    ordered = (count[:, None, None] < count[:, None]) & (count[:, None] < count)
    triples = np.argwhere(ordered & (size > 0) & apart[:, :, None] & apart[:, None] & apart)
    edges = np.linalg.norm(vectors, axis=1)[triples].sum(axis=1)
    # Of those with as few sites the roundest, in an order that doesn't depend on rounding.
    triples = triples[np.lexsort((np.round(edges, 3), size[tuple(triples.T)]))]
    for first in range(0, len(triples), _AT_ONCE):
        some = steps[triples[first : first + _AT_ONCE]]
        shares = short @ np.linalg.inv(some)
        good = np.flatnonzero(~np.all(np.abs(shares - np.rint(shares)) < 1e-6, axis=2).any(axis=1))
        if len(good):
            found: Array = minkowski_reduce(some[good[0]] @ basis)[0]
            return found
    # Three multiples of the basis are always far enough apart, however many sites they have.
    return np.ceil(wanted / heights)[:, None] * basis


def _grid(counts: Indices) -> Indices:
    """All whole numbers (k, 3) from −counts to counts."""
    found: Indices = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in counts], indexing="ij"), -1).reshape(-1, 3)
    return found


def _sites(crystal: _Crystal, cell: Array) -> tuple[Array, Indices]:
    """The sites (k, 3) of one period of the superlattice, each in the image nearest to the centre, and their elements."""
    inverse = np.linalg.inv(crystal.basis)
    reach = float(np.linalg.norm(cell, axis=1).sum())
    counts = np.ceil(reach * np.linalg.norm(inverse, axis=0)).astype(int)
    grid = _grid(counts)
    to_cell = np.linalg.inv(np.rint(cell @ inverse))
    lattice = np.rint((grid @ to_cell - np.floor(grid @ to_cell + 1e-9)) * 10**6).astype(np.int64) % 10**6
    places, kinds = [], []
    for offset, number in zip(crystal.motif, crystal.numbers, strict=True):
        sites = grid @ crystal.basis + offset
        # Of images equally far the same one on every machine.
        order = np.lexsort((*np.round(sites.T, 4), np.round(np.linalg.norm(sites, axis=1), 4)))
        first = order[np.sort(np.unique(lattice[order], axis=0, return_index=True)[1])]
        places.append(sites[first])
        kinds.append(np.full(len(first), number))
    return np.concatenate(places), np.concatenate(kinds)


def _assigned(places: Array, numbers: Indices, sites: Array, kinds: Indices, crystal: _Crystal) -> tuple[Indices, int]:
    """Rows of the atoms on the sites, and how many sites are empty.

    Raises:
        ExcerptError: an atom on two sites, or too many empty ones.
    """
    away, rows = cKDTree(places).query(sites)
    filled = away <= _SITE * crystal.distance
    taken = rows[filled]
    empty = int((~filled).sum())
    if len(np.unique(taken)) < len(taken) or empty > 0.1 * len(sites):
        raise ExcerptError(
            f"Around the centre {empty} of {len(sites)} sites of the crystal are empty (a surface, a crack, a void), or atoms "
            "stand between sites: no period of a crystal. Use periodic 'keep'."
        )
    return taken, empty


def _mismatch(places: Array, numbers: Indices, own: Array, kinds: Indices, cell: Array, reach: float) -> float:
    """How far atoms within reach of the centre lie, at most, from the cell's atom or image there, Å.

    Infinity where there is none, or one of another element.
    """
    steps = _grid(np.array([2, 2, 2])) @ cell
    images = (own + steps[:, None]).reshape(-1, 3)
    seen = np.linalg.norm(images, axis=1) <= reach
    body = np.linalg.norm(places, axis=1) <= reach
    forth, partner = cKDTree(images).query(places[body])
    back, other = cKDTree(places).query(images[seen])
    whose = np.tile(kinds, len(steps))
    if np.any(whose[partner] != numbers[body]) or np.any(numbers[other] != whose[seen]):
        return float("inf")
    return float(max(forth.max(), back.max()))


def _refuse_close(piece: Atoms, places: Array, centre: int) -> None:
    """Refuse a seam at which atoms meet closer than they do anywhere in the body."""
    usual = float(cKDTree(places).query(places, k=2)[0][:, 1].min())
    every = surroundings(piece, np.arange(len(piece)) == 0, 2.0 * float(np.linalg.norm(piece.cell.array, axis=1).max()))
    found = float(cKDTree(every.relative).query(every.relative, k=2)[0][:, 1].min())
    if found < _CLOSEST * usual:
        raise ExcerptError(
            f"In a periodic cell around atom {centre} two atoms would be {found:.2f} Å apart, in the body nowhere less than "
            f"{usual:.2f} Å. Use periodic 'keep', or a smaller mismatch."
        )
