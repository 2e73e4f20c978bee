"""What a crack sheds: planes of atoms that slipped past each other, found in the bonds between first neighbours.

An atom's bonds give the deformation gradient F_i around it; what a bond's two ends do beyond it is its jump

    s_ij = x_ij − ½(F_i + F_j) X_ij.

Strain and rotation leave none, up to |F − 1| = 0.35. Across a slip plane it is the Burgers vector of what has run along it:
the slip vector of Zimmerman et al. (2001, Phys. Rev. Lett. 87, 165507) without its elastic part. F_i must not take slipped
bonds for strain, so it is fitted with weights that fall to zero where a bond jumps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from coupling.crack.bonds import Bonds
from coupling.crack.tip import BROKEN
from coupling.errors import BondsError

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]
#: Jump over bond length from which a pair has slipped. Partial dislocations in fcc, the shortest there are, jump by 0.577.
SLIPPED = 0.4
#: A bond that jumps by less than the first part of its length has full say in F, by more than the second none. With weights
#: that fall from the start, four bonds of an atom would often end as three fitted exactly and one outlier.
_TRUSTED, _REJECTED = 0.25, 0.45
#: Number of fits; weight of "no strain" beside one bond.
_FITS, _RIDGE = 8, 1e-3
#: Jumps that differ by less than this part of one are the same slip.
_ALIKE = 0.35
#: Pairs whose middles lie less than the first part of a bond off a line and that cross it by more than the second belong to one
#: plane.
_PLANE, _CROSSED = 0.3, 0.2
#: Pairs from which on slip is a system of its own; at most so many groups of pairs are told apart.
_LEAST, _GROUPS = 2, 16
#: Mean jump over mean length of the jumps from which on the sides of a plane moved against each other; part of the largest jump
#: from which on a pair has jumped by the whole Burgers vector.
_TOGETHER, _WHOLE = 0.5, 0.85
#: Extent of a dislocation's core along its plane, in bonds, and gap between pairs that ends a plane. In diamond, pairs stand 1.4
#: apart and two may be missing where a slip plane meets the crack's.
_CORE, _GAP = 2.0, 4.5
#: Part of a jump along the plane's normal from which the plane has opened rather than slipped.
_OPENED = 0.5
_ANGLES = np.radians(np.arange(-89.0, 91.0))


@dataclass(frozen=True, kw_only=True, eq=False)
class SlipSystem:
    """One plane along which atoms jumped; its trace in the plane z = 0 is a line, as it contains the front.

    Attributes:
        angle: of the trace with x, degrees, above −90 and up to 90.
        burgers: (3,) how far the side with larger y moved against the other, Å (the side with smaller x if upright).
        opening: part of that normal to the plane, Å.
        pairs: number of bonds across the plane that jumped.
        near: (2,) end of the slipped part of the trace that is nearer to the crack's plane, Å, undeformed.
        far: (2,) the other end: where the leading dislocation stands, Å.
    """

    angle: float
    burgers: Array
    opening: float
    pairs: int
    near: Array
    far: Array

    @property
    def slip(self) -> float:
        """Length of the jump in the plane, Å."""
        return float(np.sqrt(max(float(self.burgers @ self.burgers) - self.opening**2, 0.0)))

    @property
    def opened(self) -> bool:
        """Whether the plane came apart, as where a crack branches, rather than slipped."""
        return abs(self.opening) > _OPENED * float(np.linalg.norm(self.burgers))

    @property
    def description(self) -> str:
        """One line for reports."""
        burgers = ", ".join(f"{value:.2f}" for value in self.burgers + 0.0)
        what = f"opening by {self.opening:.2f} Å" if self.opened else f"slip by {self.slip:.2f} Å"
        return (
            f"{what} on a plane at {self.angle:.1f}° to the crack's, jump ({burgers}) Å over {self.pairs} pairs "
            f"from ({self.near[0]:.1f}, {self.near[1]:.1f}) to ({self.far[0]:.1f}, {self.far[1]:.1f}) Å"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Emission:
    """All pairs of first neighbours that jumped.

    Attributes:
        pairs: (m, 2) atoms.
        jumps: (m, 3) of the second against the first, Å.
        slipped: (n,) of each atom, length of the mean jump of its pairs that jumped, Å; 0 without.
        systems: planes found in the pairs, that with most pairs first.
    """

    pairs: Integers
    jumps: Array
    slipped: Array
    systems: tuple[SlipSystem, ...]

    @property
    def found(self) -> bool:
        """Whether a plane slipped or opened."""
        return bool(self.systems)

    @property
    def stray(self) -> int:
        """Pairs that belong to no plane: single bonds that rearranged."""
        return len(self.pairs) - sum(system.pairs for system in self.systems)

    @property
    def description(self) -> str:
        """What slipped, in words; empty for nothing."""
        found = [system.description for system in self.systems]
        if self.stray:
            found.append(f"{self.stray} pair{'s' * (self.stray > 1)} of atoms rearranged without a common plane")
        return "; ".join(found)


def find_emission(
    positions: ArrayLike,
    bonds: Bonds,
    *,
    beyond: float = np.inf,
    select: ArrayLike | None = None,
    threshold: float = SLIPPED,
) -> Emission:
    """Find planes along which atoms jumped past each other, other than the crack's own.

    Left out are bonds across the crack's plane and bonds between two atoms of its faces, which may reconstruct.

    Args:
        positions: (n, 3) deformed atoms, Å, not wrapped along z.
        bonds: all of the undeformed crystal, from `first_neighbours`.
        beyond: x (Å) from which on bonds across the crack's plane are looked at too, for slip along that plane itself: a
            few spacings ahead of the tip by field. Never by default.
        select: (n,) mask of the atoms that are looked at, such as those of core and blend; all by default.
        threshold: jump over bond length from which a pair has slipped.

    Raises:
        BondsError: positions that are not finite.
    """
    places = np.asarray(positions, dtype=float)
    if places.ndim != 2 or places.shape[1:] != (3,) or not np.isfinite(places).all():
        raise BondsError(f"positions of shape {places.shape}: expected (n, 3) finite coordinates (Å)")
    jumps = jumps_of(places, bonds)
    jumped = np.linalg.norm(jumps, axis=1) > threshold * bonds.length
    rows = np.flatnonzero(jumped & _looked_at(places, bonds, beyond, select))
    found = bonds.where(rows)
    return Emission(
        pairs=np.column_stack([found.first, found.second]),
        jumps=jumps[rows],
        slipped=_per_atom(found, jumps[rows], len(places)),
        systems=_systems(found, jumps[rows]),
    )


def jumps_of(positions: Array, bonds: Bonds) -> Array:
    """Jump of each bond beyond the deformation gradients at its ends, (p, 3), Å, of atoms at (n, 3)."""
    deformed = bonds.deformed(positions)
    gradients = local_gradients(deformed, bonds, len(positions))
    return deformed - _mapped(0.5 * (gradients[bonds.first] + gradients[bonds.second]), bonds.vector)


def local_gradients(deformed: Array, bonds: Bonds, count: int) -> Array:
    """Fit a deformation gradient to the bonds of each atom, without those that jumped.

    Weighted least squares from F = 1 on, each fit with the weights of the one before; a little weight on F = 1 serves directions
    in which an atom has no bonds.

    Args:
        deformed: (p, 3) bonds, Å.
        bonds: undeformed.
        count: number n of atoms.

    Returns:
        (n, 3, 3).
    """
    # Each bond counts at both ends; lengths in bonds.
    first, undeformed, moved = bonds.first, bonds.vector / bonds.length, deformed / bonds.length
    squares = np.einsum("pi,pj->pij", undeformed, undeformed).reshape(-1, 9)
    excess = np.einsum("pi,pj->pij", moved - undeformed, undeformed).reshape(-1, 9)
    gradients = np.tile(np.eye(3), (count, 1, 1))
    for _ in range(_FITS):
        sums = np.zeros((2, count, 9))
        for end in (first, bonds.second):
            left = np.linalg.norm(moved - _mapped(gradients[end], undeformed), axis=1)
            weight = np.clip((_REJECTED - left) / (_REJECTED - _TRUSTED), 0.0, 1.0)[:, None]
            _scatter(sums[0], end, weight * squares)
            _scatter(sums[1], end, weight * excess)
        normal = sums[0].reshape(-1, 3, 3) + _RIDGE * np.eye(3)
        right = np.swapaxes(sums[1].reshape(-1, 3, 3), 1, 2)
        gradients = np.eye(3) + np.swapaxes(np.linalg.solve(normal, right), 1, 2)
    return gradients


def _scatter(target: Array, rows: Integers, values: Array) -> None:
    """Add values (p, c) to rows of a target (n, c)."""
    for column in range(values.shape[1]):
        target[:, column] += np.bincount(rows, weights=values[:, column], minlength=len(target))


def _mapped(gradients: Array, vectors: Array) -> Array:
    return np.asarray(np.einsum("pij,pj->pi", gradients, vectors))


def _looked_at(places: Array, bonds: Bonds, beyond: float, select: ArrayLike | None) -> Mask:
    """(p,) bonds neither across the crack's plane nor within its faces, among the atoms selected."""
    crossing = bonds.crossing()
    face = np.zeros(len(places), dtype=bool)
    parted = bonds.where(crossing & (bonds.stretch(places) > BROKEN) & (bonds.middle[:, 0] <= beyond))
    face[parted.first] = face[parted.second] = True
    wanted = np.ones(len(places), dtype=bool) if select is None else np.asarray(select, dtype=bool)
    inside = wanted[bonds.first] & wanted[bonds.second] & ~(face[bonds.first] & face[bonds.second])
    return np.asarray(inside & (~crossing | (bonds.middle[:, 0] > beyond)))


def _per_atom(found: Bonds, jumps: Array, count: int) -> Array:
    """(n,) length of the mean jump of each atom's pairs, away from the atom, Å."""
    total, number = np.zeros((count, 3)), np.zeros(count)
    for end, sign in ((found.first, 1.0), (found.second, -1.0)):
        _scatter(total, end, sign * jumps)
        number += np.bincount(end, minlength=count)
    return np.asarray(np.linalg.norm(total, axis=1) / np.maximum(number, 1.0))


def _systems(found: Bonds, jumps: Array) -> tuple[SlipSystem, ...]:
    """Tell planes apart: again and again, the commonest jump among the pairs left, and the line that holds most of them.

    In a dislocation's core jumps fall to zero: pairs in the line of a larger plane that jumped along with it are its own.
    """
    left = np.arange(len(found))
    groups: list[Integers] = []
    while len(left) and len(groups) < _GROUPS:
        alike = left[_commonest(jumps[left])]
        crossing = alike[_fullest_line(found.where(alike))]
        # Bonds along the front cross no line.
        if len(crossing):
            groups.append(crossing)
        left = np.setdiff1d(left, crossing if len(crossing) else alike)
    planes: list[tuple[SlipSystem, Integers]] = []
    for rows in sorted(groups, key=len, reverse=True):
        group = found.where(rows)
        host = next((n for n, (plane, _) in enumerate(planes) if _is_core_of(plane, group, jumps[rows])), None)
        if host is not None:
            everything = np.concatenate([planes[host][1], rows])
            planes[host] = _system(found.where(everything), jumps[everything]) or planes[host][0], everything
        elif len(rows) >= _LEAST and (plane := _system(group, jumps[rows])) is not None:
            planes.append((plane, rows))
    return tuple(sorted((plane for plane, _ in planes), key=lambda plane: -plane.pairs))


def _commonest(jumps: Array) -> Integers:
    """Rows of the jumps that resemble, up to their sign, the one which most others resemble."""
    radius = _ALIKE * float(np.median(np.linalg.norm(jumps, axis=1)))
    tree = cKDTree(np.concatenate([jumps, -jumps]))
    seed = int(np.argmax(tree.query_ball_point(jumps, radius, return_length=True)))
    return np.unique(np.asarray(tree.query_ball_point(jumps[seed], radius), dtype=np.int64) % len(jumps))


def _fullest_line(found: Bonds) -> Integers:
    """Rows of the bonds that cross one line, without gaps along it: that line which most of them cross at their middles.

    Middles count by 1 − (d/half)² of their distance d (Torr and Zisserman 2000), so that of lines with equally many bonds the one
    that runs through their middles wins. Lines are tried at every degree, a fifth of `half` apart.
    """
    half = _PLANE * found.length
    best, rows, along = -1.0, np.zeros(0, dtype=np.int64), np.array([1.0, 0.0])
    for angle in _ANGLES:
        tangent, normal = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        crossed = np.flatnonzero(np.abs(found.vector[:, :2] @ normal) > _CROSSED * found.length)
        if not len(crossed):
            continue
        height = found.middle[crossed] @ normal
        tried = np.arange(height.min(), height.max() + 0.2 * half, 0.2 * half)
        counts = np.clip(1.0 - np.square((height - tried[:, None]) / half), 0.0, None).sum(axis=1)
        top = int(np.argmax(counts))
        if counts[top] > best:
            best, rows, along = float(counts[top]), crossed[np.abs(height - tried[top]) < half], tangent
    reach = found.middle[rows] @ along
    order = np.argsort(reach, kind="stable")
    runs = np.split(rows[order], np.flatnonzero(np.diff(reach[order]) > _GAP * found.length) + 1)
    return max(runs, key=len)


def _system(found: Bonds, jumps: Array) -> SlipSystem | None:
    """Describe one plane by its bonds and their jumps; None where its sides did not move against each other.

    An atom that left its place pulls at bonds on both of its sides: their jumps cancel. The Burgers vector is that of the bonds
    that jumped most: those in a core have not yet jumped by all of it.
    """
    along = _trace(found)
    normal = np.array([-along[1], along[0]])
    moved = np.where(found.vector[:, :2] @ normal >= 0.0, 1.0, -1.0)[:, None] * jumps
    mean = moved.mean(axis=0)
    if np.linalg.norm(mean) < _TOGETHER * np.linalg.norm(jumps, axis=1).mean():
        return None
    share = moved @ mean
    burgers = moved[share > _WHOLE * share.max()].mean(axis=0)
    middle = found.middle.mean(axis=0)
    reach = (found.middle - middle) @ along
    ends = middle + np.array([[reach.min()], [reach.max()]]) * along
    near, far = sorted(ends, key=lambda end: (round(abs(float(end[1])), 6), float(end[0])))
    return SlipSystem(
        angle=float(np.degrees(np.arctan2(along[1], along[0]))),
        burgers=burgers,
        opening=float(burgers[:2] @ normal),
        pairs=len(found),
        near=near,
        far=far,
    )


def _trace(found: Bonds) -> Array:
    """Unit vector (2,) along a plane's trace, to the right or straight up."""
    extent, axes = np.linalg.svd(found.middle - found.middle.mean(axis=0), full_matrices=False)[1:]
    along = axes[0]
    if extent[0] < 0.5 * found.length:
        # All in one place: the bonds across a plane of the crystal stand about its normal.
        normal = np.linalg.eigh(found.vector[:, :2].T @ found.vector[:, :2])[1][:, 1]
        along = np.array([normal[1], -normal[0]])
    return -along if along[0] < -1e-9 or (abs(along[0]) <= 1e-9 and along[1] < 0.0) else along


def _is_core_of(plane: SlipSystem, found: Bonds, jumps: Array) -> bool:
    """Whether bonds are those of a core of a plane: few, in its line, near it, and jumped in its direction within 60 degrees."""
    along, normal = _axes(plane)
    offset, reach = (found.middle - plane.near) @ normal, (found.middle - plane.near) @ along
    ends = np.sort([0.0, float((plane.far - plane.near) @ along)]) + _CORE * found.length * np.array([-1.0, 1.0])
    in_line = np.abs(offset).max() < _PLANE * found.length
    close = reach.min() > ends[0] and reach.max() < ends[1] and np.ptp(reach) < _CORE * found.length
    sign = np.where(found.vector[:, :2] @ normal >= 0.0, 1.0, -1.0)
    mean = (sign[:, None] * jumps).mean(axis=0)
    with_it = float(mean @ plane.burgers) > 0.5 * float(np.linalg.norm(mean) * np.linalg.norm(plane.burgers))
    return bool(in_line and close and with_it)


def _axes(plane: SlipSystem) -> tuple[Array, Array]:
    """Unit vectors (2,) along the trace of a plane and normal to it."""
    angle = np.radians(plane.angle)
    return np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
