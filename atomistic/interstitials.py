"""Holes between the atoms of any structure: where a foreign atom fits in a crystal, a boundary, an interface or a crack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Literal, cast

import numpy as np
from ase import Atoms
from ase.cell import Cell
from ase.geometry import find_mic
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay, QhullError, cKDTree

from atomistic.errors import InterstitialError

Array = NDArray[np.float64]
Kind = Literal["octahedral", "tetrahedral", "other"]
Wanted = Literal["octahedral", "tetrahedral", "largest", "any"]

#: The three axes of an octahedral hole are right angles to within this (degrees); so are its pairs of atoms straight.
_SQUARE = 20.0
#: Angles between the four neighbours of a tetrahedral hole: 109.5° to within this; bcc's are 101.5° and 126.9°.
_TETRAHEDRAL = 25.0
#: Neighbours of one hole: distances equal to within this share of the shortest one.
_EQUAL = 0.1
#: Centres closer than this (Å) are one hole: the tetrahedra that a slightly distorted octahedron is cut into.
_SAME = 0.5
#: Those closer than this (Å) differ by rounding alone.
_ROUNDING = 1e-3
#: Tetrahedra flatter than this (volume over the cube of the longest edge) have no centre that means anything.
_FLAT = 1e-4
#: Corner of the window over the periodic cell, in fractions: off every place that symmetry distinguishes.
_CORNER = np.array([-0.01372, -0.01718, -0.01147])


@dataclass(frozen=True, kw_only=True)
class Interstitial:
    """One hole.

    Attributes:
        position: (3,), Å, inside the cell along its periodic directions.
        radius: distance to the nearest atom, Å.
        kind: octahedral (six neighbours in three perpendicular pairs; in bcc two near and four farther ones), tetrahedral
            (four neighbours, equal), or other.
        neighbours: rows of the atoms around it: six, four, or those within 1.1 radii.
    """

    position: Array
    radius: float
    kind: Kind
    neighbours: tuple[int, ...]


def find_interstitials(
    structure: Atoms | ArrayLike,
    *,
    near: ArrayLike | None = None,
    kind: Wanted = "any",
    within: float | None = None,
    largest_radius: float = 4.0,
    cell: ArrayLike | None = None,
    pbc: bool | Sequence[bool] = False,
) -> tuple[Interstitial, ...]:
    """Find the holes between atoms, sorted by their distance from a place.

    A hole is the centre of an empty sphere that touches four atoms or more: the circumcentre of a tetrahedron of Delaunay's
    triangulation of the atoms and their periodic images (a vertex of Voronoi's; as in Alinaghian et al. 1993, Phil. Mag. B 69,
    889). Where four tetrahedra share an edge, the middle of their six corners is tried too: the octahedral holes of bcc are
    no such centres, but saddles between two of them.

    Args:
        structure: atoms, or positions (n, 3), Å.
        near: (3,), Å; without it the largest holes come first.
        kind: octahedral or tetrahedral ones, the largest ones (to a tenth of their radius), or any.
        within: distance from `near` up to which holes count, Å; asked of a large structure, only its surroundings are looked at.
        largest_radius: wider spheres (Å) lie in voids, cracks and vacuum, and are left out.
        cell: (3, 3), Å; of positions given without atoms.
        pbc: periodic directions; of positions given without atoms.

    Returns:
        The holes; none where there are none of that kind.

    Raises:
        InterstitialError: fewer than four atoms, positions that are not finite, `within` without `near`, a periodic direction
            without a cell vector.
    """
    positions, box, periodic = _checked(structure, near, within, largest_radius, cell, pbc)
    place = None if near is None else np.asarray(near, dtype=float)
    points, rows = _with_images(positions, box, periodic, place, within, largest_radius)
    if len(points) < 4:
        return ()
    try:
        simplices = Delaunay(points).simplices
    except QhullError as error:
        raise InterstitialError(
            "all atoms lie in one plane: there are no holes between them. Give atoms in space."
        ) from error
    centres = np.concatenate([_circumcentres(points[simplices]), _middles(points, simplices)])
    tree = cKDTree(points)
    radii = tree.query(centres)[0]
    centres = centres[radii <= largest_radius]
    if periodic.any():
        fractions = np.linalg.solve(box.T, centres.T).T - _CORNER
        rim = 2.0 * _SAME / np.linalg.norm(box, axis=1)
        inside = (fractions > -rim) & (fractions < 1.0 + rim) | ~periodic
        centres = centres[inside.all(axis=1)]
    found = _classified(centres, tree, rows)
    kept = [hole for hole in found if _at_home(hole.position, box, periodic)]
    wrapped = [_wrapped(hole, box, periodic) for hole in kept]
    return _selected(wrapped, place, kind, within, box, periodic)


def _checked(
    structure: Atoms | ArrayLike,
    near: ArrayLike | None,
    within: float | None,
    largest_radius: float,
    cell: ArrayLike | None,
    pbc: bool | Sequence[bool],
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Positions, a whole cell and the periodic directions of what was given."""
    if isinstance(structure, Atoms):
        positions, vectors, periodic = structure.positions.copy(), structure.cell.array, structure.pbc.copy()
    else:
        positions = np.asarray(structure, dtype=float)
        vectors = np.zeros((3, 3)) if cell is None else np.array(cell, dtype=float)
        periodic = np.broadcast_to(np.asarray(pbc, dtype=bool), 3).copy()
    if positions.ndim != 2 or positions.shape[1:] != (3,) or len(positions) < 1 or not np.isfinite(positions).all():
        raise InterstitialError(f"Expected finite positions (n, 3); got an array of shape {positions.shape}.")
    if len(positions) < 4 and not periodic.any():
        raise InterstitialError(
            f"Holes lie between at least four atoms; got {len(positions)}. Give more, or a periodic cell."
        )
    if periodic.any() and not np.linalg.norm(vectors, axis=1)[periodic].all():
        raise InterstitialError(f"The directions {periodic.tolist()} are periodic, but the cell is {vectors.tolist()}.")
    if within is not None and (near is None or not within > 0.0):
        raise InterstitialError(f"within = {within} Å is a positive distance from a place: give near = (x, y, z) too.")
    if near is not None and (np.shape(near) != (3,) or not np.isfinite(np.asarray(near, dtype=float)).all()):
        raise InterstitialError(f"near is a place (x, y, z) in Å; got {near!r}.")
    if not largest_radius > 0.0:
        raise InterstitialError(f"largest_radius must be a positive distance in Å; got {largest_radius!r}.")
    return positions, np.asarray(Cell(vectors).complete(), dtype=float), periodic


def _with_images(
    positions: Array,
    box: Array,
    periodic: NDArray[np.bool_],
    place: Array | None,
    within: float | None,
    largest: float,
) -> tuple[Array, NDArray[np.int64]]:
    """The atoms and their images that decide which spheres are empty, and the row of the atom of each."""
    rows = np.arange(len(positions))
    # A sphere of the largest radius, and the second shell of neighbours that decides its kind.
    margin = 2.0 * largest + 2.0 * _SAME
    if periodic.any():
        fractions = np.linalg.solve(box.T, positions.T).T
        whole = np.where(periodic, np.floor(fractions - _CORNER), 0.0)
        base = positions - whole @ box
        fractions = fractions - whole - _CORNER
        # Fractions per Å along the normals of the cell's faces.
        reach = margin * np.linalg.norm(np.linalg.inv(box), axis=0)
        counts = np.where(periodic, np.ceil(reach), 0).astype(int)
        points, owners = [], []
        for image in product(*(range(-n, n + 1) for n in counts)):
            seen = ((fractions + image > -reach) & (fractions + image < 1.0 + reach) | ~periodic).all(axis=1)
            points.append(base[seen] + np.array(image) @ box)
            owners.append(rows[seen])
        positions, rows = np.concatenate(points), np.concatenate(owners)
    if place is None or within is None:
        return positions, rows
    span = within + margin
    # The place may lie in any image of the cell: keep what is near one of them.
    offsets = find_mic(positions - place, box, pbc=periodic)[1]
    return positions[offsets < span], rows[offsets < span]


def _circumcentres(corners: Array) -> Array:
    """Centres (m, 3) of the spheres through the corners (m, 4, 3) of tetrahedra that are not flat."""
    edges = corners[:, 1:] - corners[:, :1]
    longest = np.linalg.norm(edges, axis=2).max(axis=1)
    edges, origin = (a[np.abs(np.linalg.det(edges)) > 6.0 * _FLAT * longest**3] for a in (edges, corners[:, 0]))
    if not len(edges):
        return np.empty((0, 3))
    squares = 0.5 * (edges**2).sum(axis=2)
    return cast(Array, origin + np.linalg.solve(edges, squares[:, :, None])[:, :, 0])


def _middles(points: Array, simplices: NDArray[np.int32]) -> Array:
    """Means (m, 3) of the six corners of every four tetrahedra that share an edge."""
    around: dict[tuple[int, int], list[int]] = {}
    for number, simplex in enumerate(np.sort(simplices, axis=1).tolist()):
        for edge in combinations(simplex, 2):
            around.setdefault(edge, []).append(number)
    means = []
    for members in (m for m in around.values() if len(m) == 4):
        corners = np.unique(simplices[members])
        if len(corners) == 6:
            means.append(points[corners].mean(axis=0))
    return np.array(means).reshape(-1, 3)


def _classified(centres: Array, tree: cKDTree, rows: NDArray[np.int64]) -> list[Interstitial]:
    """Tell the kind of each centre and make one hole of those that coincide."""
    candidates = [hole for hole in (_kind_at(c, tree, rows) for c in _merged(centres, _ROUNDING)) if hole is not None]
    holes: list[Interstitial] = []
    for kind in ("octahedral", "tetrahedral", "other"):
        positions = np.array([hole.position for hole in candidates if hole.kind == kind]).reshape(-1, 3)
        taken = cKDTree(np.array([hole.position for hole in holes]).reshape(-1, 3))
        merged = [_kind_at(position, tree, rows) for position in _merged(positions, _SAME)]
        holes += [
            hole for hole in merged if hole is not None and not (taken.n and taken.query(hole.position)[0] <= _SAME)
        ]
    return holes


def _merged(positions: Array, distance: float) -> Array:
    """Means (m, 3) of the positions that lie together: linked to each other by less than a distance."""
    if len(positions) < 2:
        return positions
    pairs = cKDTree(positions).query_pairs(distance, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(positions),) * 2)
    count, labels = connected_components(links, directed=False)
    sums = np.stack([np.bincount(labels, weights=column, minlength=count) for column in positions.T], axis=1)
    return cast(Array, sums / np.bincount(labels, minlength=count)[:, None])


def _kind_at(centre: Array, tree: cKDTree, rows: NDArray[np.int64]) -> Interstitial | None:
    """The hole at a place, None where the six nearest atoms make none (an edge's middle that is no octahedron)."""
    count = min(6, len(rows))
    distances, members = tree.query(centre, k=count)
    vectors = tree.data[members] - centre
    if count == 6 and _octahedral(vectors):
        middle = tree.data[members].mean(axis=0)
        radius = float(np.linalg.norm(tree.data[members] - middle, axis=1).min())
        return Interstitial(position=middle, radius=radius, kind="octahedral", neighbours=_named(rows[members]))
    if (distances < (1.0 + _EQUAL) * distances[0]).sum() < 4:
        return None
    alone = count == 4 or distances[4] > (1.0 + 0.5 * _EQUAL) * distances[3]
    tetrahedral = alone and _tetrahedral(vectors[:4])
    near = members[:4] if tetrahedral else np.array(tree.query_ball_point(centre, (1.0 + _EQUAL) * distances[0]))
    return Interstitial(
        position=np.asarray(centre),
        radius=float(distances[0]),
        kind="tetrahedral" if tetrahedral else "other",
        neighbours=_named(rows[near]),
    )


def _cosines(vectors: Array) -> Array:
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return cast(Array, (units @ units.T)[np.triu_indices(len(units), 1)])


def _octahedral(vectors: Array) -> bool:
    """Whether six vectors are three straight pairs at right angles."""
    angles = np.degrees(np.arccos(np.clip(_cosines(vectors), -1.0, 1.0)))
    straight, right = angles > 180.0 - _SQUARE, np.abs(angles - 90.0) < _SQUARE
    lengths = np.linalg.norm(vectors, axis=1)
    # The atoms of a pair lie equally far: else the place is beside an octahedron's middle.
    return bool(straight.sum() == 3 and right.sum() == 12 and lengths[-1] < 1.6 * lengths[0])


def _tetrahedral(vectors: Array) -> bool:
    angles = np.degrees(np.arccos(np.clip(_cosines(vectors), -1.0, 1.0)))
    return bool((np.abs(angles - 109.4712) < _TETRAHEDRAL).all())


def _named(rows: NDArray[np.int64]) -> tuple[int, ...]:
    """Rows in ascending order; an atom that surrounds a hole with several of its images is named once."""
    return tuple(sorted(Counter(int(r) for r in rows)))


def _at_home(position: Array, box: Array, periodic: NDArray[np.bool_]) -> bool:
    """Whether a place lies in the window over the cell."""
    fraction = np.linalg.solve(box.T, position) - _CORNER
    return bool(((fraction >= 0.0) & (fraction < 1.0) | ~periodic).all())


def _wrapped(hole: Interstitial, box: Array, periodic: NDArray[np.bool_]) -> Interstitial:
    """The hole inside the cell itself; places on its faces within rounding count as 0."""
    fraction = np.linalg.solve(box.T, hole.position)
    turned = np.where(periodic, fraction - np.floor(fraction + 1e-9), fraction)
    return Interstitial(position=turned @ box, radius=hole.radius, kind=hole.kind, neighbours=hole.neighbours)


def _selected(
    holes: list[Interstitial],
    place: Array | None,
    kind: Wanted,
    within: float | None,
    box: Array,
    periodic: NDArray[np.bool_],
) -> tuple[Interstitial, ...]:
    """Those of the kind that is wanted, in their order."""
    if place is None:
        ordered = sorted(holes, key=lambda hole: (-round(hole.radius, 6), *hole.position.round(6)))
    else:
        offsets = [find_mic((h.position - place)[None], box, pbc=periodic)[1][0] for h in holes]
        pairs = sorted(
            zip(offsets, holes, strict=True),
            key=lambda p: (round(p[0], 6), -round(p[1].radius, 6), *p[1].position.round(6)),
        )
        ordered = [hole for offset, hole in pairs if within is None or offset <= within]
    if kind in ("octahedral", "tetrahedral"):
        return tuple(hole for hole in ordered if hole.kind == kind)
    if kind == "largest":
        top = max((hole.radius for hole in ordered), default=0.0)
        return tuple(hole for hole in ordered if hole.radius > (1.0 - _EQUAL) * top)
    return tuple(ordered)
