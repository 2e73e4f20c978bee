"""Where a crack's tip is: by the bonds that are broken, and by the crack field that fits the atoms around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.spatial import cKDTree

from coupling.crack.bonds import Bonds
from coupling.errors import TipError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Background = Literal["none", "rigid", "linear"]
#: A bond longer than this times its undeformed length is broken.
BROKEN = 1.25
#: Bonds whose middles differ in x by less than this part of a bond stand in one column.
_COLUMN = 0.02
#: Places of the tip that are tried before the best one is refined, and what the refinement resolves, Å.
_TRIALS, _RESOLVED = 61, 1e-8
#: A background with less than this part of a displacement left over holds no crack field to fit.
_NO_SIGNAL = 1e-10
#: Atoms closer to a counterpart than this part of the vector between them are counterparts.
_SAME = 1e-3


class AsymptoticField(Protocol):
    """The field around the tip of a sharp crack."""

    def displacement(self, places: Array, k: Array, /, *, tip: tuple[float, float]) -> Array:
        """Displacement (n, 3), Å, at places (n, 2) for intensities k (3,) of a tip at a place."""
        ...


@dataclass(frozen=True, kw_only=True)
class TipPosition:
    """The tip by broken bonds.

    Attributes:
        x: Å, midway between the last broken and the first whole bond; −inf where no bond is broken, inf where all are.
        broken: number of bonds longer than allowed.
        whole: number of the others.
        slid: of the broken ones, those whose atoms slid past each other without parting along y: bonds of a closed crack in
            shear, or of a plane that has slipped; they need not be broken for good.
        exceptions: whole bonds behind the tip and broken ones ahead of it; 0 for a clean crack.
        resolution: distance of the two columns of bonds beside the tip, Å.
    """

    x: float
    broken: int
    whole: int
    slid: int
    exceptions: int
    resolution: float

    @property
    def inside(self) -> bool:
        """Whether the tip lies among the bonds that were looked at."""
        return bool(np.isfinite(self.x))


@dataclass(frozen=True, kw_only=True)
class TipFit:
    """The tip by the crack field that fits the atoms best.

    Attributes:
        x: of the tip, Å.
        scale: intensity over the one that was given.
        residual: root mean square of the displacement that is left, Å.
        relative: that over the root mean square of the displacement fitted, background taken from both.
    """

    x: float
    scale: float
    residual: float
    relative: float


class _HasPlace(Protocol):
    @property
    def x(self) -> float: ...


def tip_by_bonds(positions: ArrayLike, bonds: Bonds, *, stretch: float = BROKEN) -> TipPosition:
    """Place the tip between broken bonds, to its left, and whole ones.

    Of all places between two columns of bonds the one is taken that leaves the fewest bonds on the wrong side, of equal ones the
    leftmost. A clean crack leaves none.

    Args:
        positions: (n, 3) deformed atoms, Å, not wrapped along z.
        bonds: across the crack's plane, from `bonds_across`.
        stretch: length over undeformed length from which a bond is broken.

    Raises:
        TipError: positions that are not finite, or a stretch of 1 or less.
    """
    places = np.asarray(positions, dtype=float)
    if not np.isfinite(places).all() or not stretch > 1.0:
        raise TipError(f"expected finite positions and a stretch above 1; got the stretch {stretch!r}")
    broken = bonds.stretch(places) > stretch
    parted = np.abs(bonds.deformed(places)[:, 1]) - np.abs(bonds.vector[:, 1])
    column, x = _columns(bonds)
    gone = np.bincount(column, weights=broken, minlength=len(x))
    kept = np.bincount(column, minlength=len(x)) - gone
    # wrong[m]: bonds on the wrong side of a tip with m columns to its left.
    wrong = np.concatenate([[0.0], np.cumsum(kept)]) + np.concatenate([np.cumsum(gone[::-1])[::-1], [0.0]])
    behind = int(np.argmin(wrong))
    at_end = behind in (0, len(x))
    return TipPosition(
        x=(np.inf if behind else -np.inf) if at_end else float(0.5 * (x[behind - 1] + x[behind])),
        broken=int(broken.sum()),
        whole=int((~broken).sum()),
        slid=int((broken & (parted < (stretch - 1.0) * bonds.length)).sum()),
        exceptions=int(wrong[behind]),
        resolution=np.inf if at_end else float(x[behind] - x[behind - 1]),
    )


def tip_by_field(
    reference: ArrayLike,
    displacement: ArrayLike,
    field: AsymptoticField,
    k: ArrayLike,
    select: ArrayLike,
    *,
    within: tuple[float, float] | None = None,
    background: Background = "rigid",
) -> TipFit:
    """Fit place and intensity of a crack field to the displacements of atoms by least squares.

    Minimises Σ|u_i − s U(X_i − x e_x) − b(X_i)|² over the place x, the factor s and a smooth background b. For a given x the
    others are linear, so that a search along one line is left (variable projection, Golub and Pereyra 1973). The background
    is what a finite body adds to the singular field around a tip that has moved away from its nominal place.

    The elastic tip that is found lies in the zone where bonds yield, ahead of the last broken bond: in metals by as much as a
    period, and the nearer the ring, the farther ahead (Fe (100) at K_G: 1.6 Å beyond the notch for atoms at 8 to 20 Å, 0.6 Å for
    those at 20 to 40 Å). Take rings as wide as there are places; nodes of the elements' mesh serve as well as atoms.

    Args:
        reference: (n, 3) or (n, 2) undeformed atoms, Å.
        displacement: (n, 3) Å.
        field: of the medium.
        k: (3,) K_II, K_I, K_III at scale 1, eV/Å^2.5.
        select: (n,) atoms to be fitted: a ring around the tip, out of its core; see `ring`.
        within: range of x to be searched, Å; that of the selected atoms by default.
        background: none; rigid (translation, rotation about z); linear (translation and any displacement gradient).

    Raises:
        TipError: too few atoms, nothing to fit, or the best place lies at an end of the range.
    """
    mask = np.asarray(select)
    places, moved = np.asarray(reference, dtype=float)[mask, :2], np.asarray(displacement, dtype=float)[mask]
    modes = _background(places, background)
    if len(places) < 4 + modes.shape[1]:
        raise TipError(
            f"{len(places)} atoms are too few for a fit with a background {background!r}: widen the selection"
        )
    target = _without(modes, moved.ravel())
    size = float(target @ target)
    if not size > (_NO_SIGNAL**2) * float(moved.ravel() @ moved.ravel()) or size == 0.0:
        raise TipError("the selected atoms have not moved but for the background: there is no crack field to fit")
    low, high = within or (float(places[:, 0].min()), float(places[:, 0].max()))

    def fit(x: float) -> tuple[float, float]:
        shape = _without(modes, field.displacement(places, np.asarray(k, dtype=float), tip=(float(x), 0.0)).ravel())
        scale = float(shape @ target) / float(shape @ shape)
        left = target - scale * shape
        return float(left @ left), scale

    trials = np.linspace(low, high, _TRIALS)
    best = int(np.argmin([fit(x)[0] for x in trials]))
    if best in (0, _TRIALS - 1):
        raise TipError(
            f"the best place for the tip lies at an end, {trials[best]:.2f} Å, of the range from {low:.2f} to {high:.2f} Å: "
            "the crack has left it, or the displacements are no crack field"
        )
    found = minimize_scalar(
        lambda x: fit(x)[0], bounds=(trials[best - 1], trials[best + 1]), method="bounded", options={"xatol": _RESOLVED}
    )
    cost, scale = fit(found.x)
    return TipFit(
        x=float(found.x),
        scale=scale,
        residual=float(np.sqrt(cost / len(places))),
        relative=float(np.sqrt(cost / size)),
    )


def ring(reference: ArrayLike, inner: float, outer: float, *, center: tuple[float, float] = (0.0, 0.0)) -> Mask:
    """Mask (n,) of the atoms between two distances (Å) from a place."""
    distance = np.linalg.norm(np.asarray(reference, dtype=float)[:, :2] - np.asarray(center), axis=1)
    return np.asarray((distance >= inner) & (distance <= outer))


def advance(since: _HasPlace, now: _HasPlace, *, period: float) -> float:
    """Periods of the lattice along x by which a tip has moved; each may be a TipPosition or a TipFit."""
    return (now.x - since.x) / period


def shifted_difference(
    reference: ArrayLike,
    before: ArrayLike,
    after: ArrayLike,
    *,
    vector: ArrayLike,
    thickness: float,
    select: ArrayLike | None = None,
) -> Array:
    """Compare two displacement fields of which the second should be the first, moved by a vector of the lattice.

    Args:
        reference: (n, 3) undeformed atoms, Å.
        before: (n, 3) displacements, Å.
        after: (n, 3) displacements with the tip farther by the vector, Å.
        vector: (3,) of the lattice, Å: whole periods along x, none along y, and the change of height that goes with it.
        thickness: period along z, Å.
        select: (n,) the atoms of `before` that are compared; all by default.

    Returns:
        (m, 3), Å: after(X + vector) − before(X) at the atoms that have a counterpart.

    Raises:
        TipError: no atom has one.
    """
    places, moved = np.asarray(reference, dtype=float), np.asarray(vector, dtype=float)
    first, second = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    rows = np.arange(len(places)) if select is None else np.arange(len(places))[np.asarray(select)]
    distance, found = cKDTree(_on_circle(places, thickness)).query(_on_circle(places[rows] + moved, thickness))
    near = distance < _SAME * float(np.linalg.norm(moved))
    if not near.any():
        raise TipError(f"no atom has another one {moved.round(4).tolist()} Å beside it: give a vector of the lattice")
    return np.asarray(second[found[near]] - first[rows[near]])


def _on_circle(places: Array, thickness: float) -> Array:
    """(n, 4) points that are the same for all images along z: the height as a place on a circle."""
    turn = 2.0 * np.pi / thickness * places[:, 2]
    radius = thickness / (2.0 * np.pi)
    return np.column_stack([places[:, :2], radius * np.cos(turn), radius * np.sin(turn)])


def _columns(bonds: Bonds) -> tuple[NDArray[np.int64], Array]:
    """Column (p,) of each bond, from left to right, and the places (c,) of the columns, Å."""
    order = np.argsort(bonds.middle[:, 0], kind="stable")
    x = bonds.middle[order, 0]
    fresh = np.concatenate([[False], np.diff(x) > _COLUMN * bonds.length])
    column = np.empty(len(x), dtype=np.int64)
    column[order] = np.cumsum(fresh)
    return column, x[np.concatenate([[True], fresh[1:]])]


def _background(places: Array, kind: Background) -> Array:
    """Orthonormal displacements (3 n, m) of a smooth background."""
    if kind not in get_args(Background):
        raise TipError(f"background {kind!r}: expected one of {', '.join(get_args(Background))}")
    n = len(places)
    if kind == "none":
        return np.zeros((3 * n, 0))
    shapes = [np.ones(n)] if kind == "rigid" else [np.ones(n), places[:, 0], places[:, 1]]
    modes = np.einsum("an,ij->niaj", np.array(shapes), np.eye(3)).reshape(3 * n, -1)
    if kind == "rigid":
        turned = np.column_stack([-places[:, 1], places[:, 0], np.zeros(n)])
        modes = np.column_stack([modes, turned.ravel()])
    return np.asarray(np.linalg.qr(modes)[0])


def _without(modes: Array, vector: Array) -> Array:
    return vector - modes @ (modes.T @ vector)
