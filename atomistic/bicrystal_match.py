"""Coincidence cells of two plane lattices: superlattices of both that differ by a small strain.

All superlattices of the lower lattice up to an area are listed as Hermite normal forms and reduced to their shortest vectors
(Zur and McGill 1984, J. Appl. Phys. 55, 378). The upper lattice's points nearest to these vectors span its superlattice: with
the relative orientation given, no pairs need comparing. Where the orientation is free, orientations a fraction of a degree
apart are tried one after the other.

Vectors are rows throughout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomistic.errors import BicrystalError

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

#: A superlattice found at a given orientation may be turned from it by so much (1°).
_LARGEST_TURN = math.radians(1.0)
#: Strains beyond this are no matches, not even bad ones to tell of.
_LARGEST_STRAIN = 0.15
#: Step of the orientations that are tried: the nearest points of a lattice stay the same ones.
_ANGLE_STEP = math.radians(0.25)
#: Strains, areas (Å²) and angles (radians) that differ by less are the same.
_SAME_STRAIN, _SAME_AREA, _SAME_ANGLE = 1e-7, 1e-6, 1e-6


@dataclass(frozen=True, kw_only=True)
class LatticeMatch:
    """A superlattice of each of two plane lattices, equal but for a strain.

    Attributes:
        lower: (2, 2) integers, rows are the cell's vectors in the lower lattice's.
        upper: (2, 2) integers, the same cell in the upper lattice's vectors.
        stretch: (2, 2), symmetric: turns vectors of the lower superlattice into those of the upper one.
        twist: by which the upper lattice is turned about the normal, counter-clockwise seen from above, radians.
        area: of the lower superlattice, Å².
        strain: largest principal logarithmic strain between the two.
    """

    lower: Integers
    upper: Integers
    stretch: Array
    twist: float
    area: float
    strain: float

    @property
    def cells(self) -> tuple[int, int]:
        """How many cells of the lower and of the upper lattice meet."""
        return round(float(np.linalg.det(self.lower))), round(float(np.linalg.det(self.upper)))


def find_matches(
    lower: ArrayLike, upper: ArrayLike, *, max_area: float, free: bool = False
) -> tuple[LatticeMatch, ...]:
    """Return the coincidence cells of two plane lattices from the smallest on, each less strained than all smaller ones.

    Args:
        lower: (2, 2), rows are lattice vectors, Å, right-handed.
        upper: the same of the other lattice, in the same axes.
        max_area: of a cell, Å².
        free: whether the upper lattice may be turned about the normal; else its orientation is kept within 1°.

    Raises:
        BicrystalError: lattices without area, or a largest area that is not positive.
    """
    first, second = _checked(lower, "lower"), _checked(upper, "upper")
    if not (np.isfinite(max_area) and max_area > 0.0):
        raise BicrystalError(f"The largest area of a coincidence cell must be positive, in Å²; got {max_area!r}.")
    cells = _reduced(_superlattices(int(max_area / np.linalg.det(first) + 1e-9)) @ first)
    inverses = np.linalg.inv(cells)
    found = np.vstack([_fits(cells, inverses, second, angle) for angle in (_angles(first, second) if free else [0.0])])
    matches: list[LatticeMatch] = []
    for strain, twist, angle, number in found[_by_merit(cells, found)]:
        if not matches or strain < matches[-1].strain - _SAME_STRAIN:
            matches.append(_match(cells[int(number)], first, second, strain=strain, twist=twist, angle=angle))
    return tuple(matches)


def choose_match(matches: tuple[LatticeMatch, ...], *, max_strain: float, max_area: float) -> LatticeMatch:
    """Return the smallest cell within a strain.

    Args:
        matches: of `find_matches`.
        max_strain: between the two crystals.
        max_area: that was searched, Å², for the message.

    Raises:
        BicrystalError: there is none; the message tells the nearest one.
    """
    if not (np.isfinite(max_strain) and max_strain >= 0.0):
        raise BicrystalError(f"The largest strain of a match must be a number from 0 on; got {max_strain!r}.")
    fitting = next((m for m in matches if m.strain <= max_strain + _SAME_STRAIN), None)
    if fitting is not None:
        return fitting
    wanted = f"The two crystals have no common cell of at most {max_area:.4g} Å² within a strain of {max_strain:.3%}"
    if not matches:
        raise BicrystalError(f"{wanted}, nor within {_LARGEST_STRAIN:.0%}. Allow a larger area.")
    near = matches[-1]
    n, m = near.cells
    raise BicrystalError(
        f"{wanted}. The nearest, {n} cells of the lower lattice to {m} of the upper one over {near.area:.4g} Å², needs "
        f"{near.strain:.3%}. Allow that strain, a larger area, or a free orientation."
    )


def displacement_lattice(match: LatticeMatch, cell: Array) -> Array:
    """Return the shifts of the upper crystal that repeat the interface's pattern, (2, 2) rows, Å.

    They are all sums of vectors of both lattices, strained to fit: the DSC lattice of Bollmann (1970). Rigid shifts that
    differ by one of them have the same energy.

    Args:
        match: of the two lattices.
        cell: (2, 2), the common cell, Å.
    """
    n, m = match.cells
    both = np.vstack([m * _adjugate(match.lower), n * _adjugate(match.upper)])
    basis: Array = _reduced((_hermite(both) / (n * m) @ cell)[None])[0]
    return basis


def _checked(lattice: ArrayLike, name: str) -> Array:
    """Return a lattice as an array, having checked that its vectors span an area in the right-handed sense."""
    rows = np.asarray(lattice, dtype=float)
    if rows.shape != (2, 2) or not np.all(np.isfinite(rows)) or not np.linalg.det(rows) > _SAME_AREA:
        raise BicrystalError(
            f"The {name} lattice must be two right-handed vectors in the plane, (2, 2), Å; got {rows.tolist()}."
        )
    return rows


def _superlattices(largest: int) -> Array:
    """Return the Hermite normal forms [[a, b], [0, d]], 0 ≤ b < d, of all superlattices up to an index, (n, 2, 2)."""
    forms = [
        [[a, b], [0, index // a]]
        for index in range(1, largest + 1)
        for a in range(1, index + 1)
        if index % a == 0
        for b in range(index // a)
    ]
    return np.array(forms, dtype=float).reshape(-1, 2, 2)


def _reduced(lattices: Array) -> Array:
    """Return the two shortest vectors of each lattice (n, 2, 2), right-handed (Gauss)."""
    first, second = lattices[:, 0].copy(), lattices[:, 1].copy()
    for _ in range(64):
        longer = (first**2).sum(axis=1) > (second**2).sum(axis=1) + 1e-9
        first[longer], second[longer] = second[longer], first[longer].copy()
        ratio = (first * second).sum(axis=1) / (first**2).sum(axis=1)
        # Half turns are ties: stopping at them keeps the loop finite.
        turns = np.where(np.abs(ratio) > 0.5 + 1e-9, np.rint(ratio), 0.0)
        if not turns.any():
            break
        second = second - turns[:, None] * first
    second[first[:, 0] * second[:, 1] < first[:, 1] * second[:, 0]] *= -1.0
    return np.stack([first, second], axis=1)


def _fits(cells: Array, inverses: Array, upper: Array, angle: float) -> Array:
    """Fit the points of the upper lattice, turned by an angle, that lie nearest to the vectors of cells (n, 2, 2).

    Returns:
        Strain, twist, angle and the cell's number of each fit, (m, 4).
    """
    turned = upper @ _rotation(angle).T
    points = np.rint(cells.reshape(-1, 2) @ np.linalg.inv(turned)) @ turned
    deformation = np.swapaxes(inverses @ points.reshape(cells.shape), 1, 2)
    # The polar decomposition in closed form.
    (a, b), (c, d) = deformation[:, 0].T, deformation[:, 1].T
    mean, spread = 0.5 * np.hypot(a + d, c - b), 0.5 * np.hypot(a - d, c + b)
    turn = np.arctan2(c - b, a + d)
    with np.errstate(divide="ignore", invalid="ignore"):
        strain = np.maximum(np.abs(np.log(mean + spread)), np.abs(np.log(mean - spread)))
    kept = np.flatnonzero((mean > spread) & (np.abs(turn) <= _LARGEST_TURN) & (strain <= _LARGEST_STRAIN))
    return np.column_stack([strain[kept], angle - turn[kept], np.full(len(kept), angle), kept])


def _by_merit(cells: Array, found: Array) -> NDArray[np.int64]:
    """Return the order of fits (n, 4) by area, then strain, then twist, turning left before right."""
    areas = np.linalg.det(cells)[found[:, 3].astype(int)]
    keys = [
        np.rint(column / same)
        for column, same in ((areas, _SAME_AREA), (found[:, 0], _SAME_STRAIN), (np.abs(found[:, 1]), _SAME_ANGLE))
    ]
    return np.lexsort([found[:, 1] < -_SAME_ANGLE, *keys[::-1]])


def _match(cell: Array, lower: Array, upper: Array, *, strain: float, twist: float, angle: float) -> LatticeMatch:
    """Build the match of a cell that fits."""
    turned = upper @ _rotation(angle).T
    points = np.rint(cell @ np.linalg.inv(turned))
    stretch = _rotation(twist - angle) @ np.linalg.solve(cell, points @ turned).T
    return LatticeMatch(
        lower=np.rint(cell @ np.linalg.inv(lower)).astype(np.int64),
        upper=points.astype(np.int64),
        stretch=0.5 * (stretch + stretch.T),
        twist=float(twist) if abs(twist) > _SAME_ANGLE else 0.0,
        area=float(np.linalg.det(cell)),
        strain=float(strain),
    )


def _rotation(angle: float) -> Array:
    """Return the rotation of column vectors by an angle."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s], [s, c]])


def _angles(lower: Array, upper: Array) -> Array:
    """Return the orientations to try. Turning a lattice by its own symmetry changes nothing, so small angles stand for all."""
    period = 2.0 * math.pi / math.lcm(_symmetry(lower), _symmetry(upper))
    return np.linspace(-0.5, 0.5, math.ceil(period / _ANGLE_STEP) + 1) * period


def _symmetry(lattice: Array) -> int:
    """Return the order of a plane lattice's rotations: 6 hexagonal, 4 square, else 2."""
    first, second = _reduced(lattice[None])[0]
    if abs(np.linalg.norm(second) / np.linalg.norm(first) - 1.0) > 1e-6:
        return 2
    cosine = abs(float(first @ second) / float(first @ first))
    return 6 if abs(cosine - 0.5) < 1e-6 else 4 if cosine < 1e-6 else 2


def _adjugate(matrix: Integers) -> Integers:
    """Return det(M) M⁻¹ of a (2, 2) integer matrix."""
    return np.array([[matrix[1, 1], -matrix[0, 1]], [-matrix[1, 0], matrix[0, 0]]])


def _hermite(rows: Integers) -> Integers:
    """Return a basis (2, 2) of the integer lattice that rows (n, 2) span (Euclid on the first column, then on the second)."""
    left = [[int(x), int(y)] for x, y in rows]
    while sum(1 for row in left if row[0]) > 1:
        pivot = min((row for row in left if row[0]), key=lambda row: abs(row[0]))
        for row in left:
            if row is not pivot:
                turns = row[0] // pivot[0]
                row[0], row[1] = row[0] - turns * pivot[0], row[1] - turns * pivot[1]
    head = next(row for row in left if row[0])
    rest = math.gcd(*(row[1] for row in left if row is not head))
    return np.array([head, [0, rest]])
