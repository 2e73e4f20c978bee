"""Opening and traction along the plane of a crack: from the sites, the crack's field, a separation law, the elements.

All are on the undeformed plane y = 0 with normal (0, 1, 0), components in laboratory axes: shear II, normal I, shear III.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import Delaunay

from coupling.errors import ProfileError

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Heights that differ by less than this part of the plane lattice's spacing belong to one row.
_ROW = 1e-3
#: Triangles flatter than this part of a row's base times height are rounding: three sites of one row.
_FLAT = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class PlaneProfile:
    """What one description says of the crack's plane.

    Attributes:
        name: of the description, for legends.
        x: (n,) Å, rising.
        opening: (n, 3) upper against lower side, Å; None where the description has none.
        traction: (n, 3) on the upper side's cut, nominal: force per undeformed area, eV/Å³; None where there is none.
    """

    name: str
    x: Array
    opening: Array | None = None
    traction: Array | None = None

    def __post_init__(self) -> None:
        shape = (len(self.x), 3)
        if np.any(np.diff(self.x) < 0.0):
            raise ProfileError(f"the places of the profile {self.name!r} must rise")
        for name, values in (("opening", self.opening), ("traction", self.traction)):
            if values is not None and values.shape != shape:
                raise ProfileError(
                    f"{name} of the profile {self.name!r} has the shape {values.shape}: expected {shape}"
                )

    def traction_at(self, x: ArrayLike) -> Array:
        """Traction (m, 3) at places (m,), eV/Å³, linear between those known and NaN beyond them.

        Raises:
            ProfileError: a profile without tractions.
        """
        if self.traction is None:
            raise ProfileError(f"the profile {self.name!r} has no tractions")
        places = np.asarray(x, dtype=float)
        columns = [np.interp(places, self.x, column, left=np.nan, right=np.nan) for column in self.traction.T]
        return np.column_stack(columns)


def traction_difference(profile: PlaneProfile, other: PlaneProfile, *, within: tuple[float, float]) -> float:
    """Root mean square difference of two tractions over that of the second, at the places of the first within a range.

    Raises:
        ProfileError: no place in the range where both have a traction that is not zero.
    """
    rows = (profile.x >= within[0]) & (profile.x <= within[1])
    first, second = profile.traction_at(profile.x[rows]), other.traction_at(profile.x[rows])
    known = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    size = float(np.linalg.norm(second[known]))
    if size == 0.0:
        raise ProfileError(
            f"the profiles {profile.name!r} and {other.name!r} share no place from {within[0]:.4g} to {within[1]:.4g} Å with a "
            "traction: widen the range"
        )
    return float(np.linalg.norm(first[known] - second[known])) / size


def opening_of_sites(sites: ArrayLike, displacement: ArrayLike, *, name: str = "atoms") -> PlaneProfile:
    """Opening Δ(x) = u(x, +h/2) − u(x, −h/2) of the two rows of sites that face each other across y = 0.

    Where the rows' sites do not face each other, each row's displacement is taken as linear between its sites. Ahead of
    the tip the opening holds the elastic strain of the one plane spacing h between the rows.

    Args:
        sites: (n, 2) undeformed, Å.
        displacement: (n, 3) of the sites, Å.

    Raises:
        ProfileError: no row on one side, or rows without a common range.
    """
    places, moved = _checked(sites, displacement)
    lower, upper = (_row(places, side) for side in (-1.0, 1.0))
    x = np.unique(np.concatenate([places[lower, 0], places[upper, 0]]).round(9))
    start = max(places[lower, 0].min(), places[upper, 0].min())
    stop = min(places[lower, 0].max(), places[upper, 0].max())
    x = x[(x >= start - 1e-9) & (x <= stop + 1e-9)]
    if not len(x):
        raise ProfileError("the rows beside y = 0 have no range of x in common: give sites of both sides")
    above, below = (
        np.column_stack([np.interp(x, places[row, 0], column) for column in moved[row].T]) for row in (upper, lower)
    )
    return PlaneProfile(name=name, x=x, opening=above - below)


def traction_of_field(x: ArrayLike, k: ArrayLike, *, tip: float = 0.0, name: str = "crack field") -> PlaneProfile:
    """Traction of the crack's asymptotic field on its plane: k_i/√(2π(x − tip)) ahead, zero behind, in any medium.

    Args:
        x: (n,) Å, rising.
        k: (3,) K_II, K_I, K_III, eV/Å^2.5.
        tip: where the field is singular, Å.

    Raises:
        ProfileError: a place at the tip.
    """
    places = np.asarray(x, dtype=float)
    ahead = places - tip
    if np.any(ahead == 0.0):
        raise ProfileError(f"the field is singular at its tip, x = {tip:.6g} Å: give places beside it")
    size = np.where(ahead > 0.0, 1.0 / np.sqrt(2.0 * np.pi * np.abs(ahead)), 0.0)
    return PlaneProfile(name=name, x=places, traction=size[:, None] * np.asarray(k, dtype=float))


def traction_of_law(
    profile: PlaneProfile, law: Callable[[Array], ArrayLike], *, name: str = "separation law"
) -> PlaneProfile:
    """Traction that a separation law answers to the opening of a profile.

    In mixed mode T_i = T(δ) Δ_i/δ with the effective opening δ = √(⟨Δ_y⟩² + Δ_x² + Δ_z²) (Ortiz and Pandolfi 1999), as cohesive
    interfaces have it. A negative Δ_y is contact, of which a separation law says nothing: its normal traction is NaN.

    Args:
        profile: with an opening, Å.
        law: of effective openings δ ≥ 0, (n,) Å, the traction T, (n,) eV/Å³: `CohesiveLaw.traction`.

    Raises:
        ProfileError: a profile without openings.
    """
    if profile.opening is None:
        raise ProfileError(f"the profile {profile.name!r} has no opening that a law could answer")
    normal = np.maximum(profile.opening[:, 1], 0.0)
    effective = np.linalg.norm(np.column_stack([profile.opening[:, 0], normal, profile.opening[:, 2]]), axis=1)
    size = np.asarray(law(effective), dtype=float)
    traction = (size / np.where(effective > 0.0, effective, 1.0))[:, None] * profile.opening
    traction[profile.opening[:, 1] < 0.0, 1] = np.nan
    return PlaneProfile(name=name, x=profile.x, opening=profile.opening, traction=traction)


def traction_of_triangles(
    sites: ArrayLike,
    displacement: ArrayLike,
    stress: Callable[[Array], ArrayLike],
    *,
    ahead_of: float = -np.inf,
    name: str = "Cauchy-Born",
) -> PlaneProfile:
    """Traction P(F) (0, 1, 0) of the crystal as a continuum in the lattice's triangles between the rows beside y = 0.

    Those with their base in the upper row and those with it in the lower row alternate; the mean of two neighbours is that on
    the plane to second order in the rows' distance, each one only to first order. Behind the tip these triangles hold the
    opening and their F is no strain: leave them out by `ahead_of`.

    Args:
        sites: (n, 2) undeformed, Å.
        displacement: (n, 3) of the sites, Å.
        stress: first Piola stress P (t, 3, 3), eV/Å³, of deformation gradients F (t, 3, 3).
        ahead_of: only triangles all of whose corners lie beyond this x, Å.

    Raises:
        ProfileError: fewer than two triangles are left.
    """
    places, moved = _checked(sites, displacement)
    cells = _strip(places)
    cells = cells[(places[cells, 0] > ahead_of).all(axis=1)]
    if len(cells) < 2:
        raise ProfileError(
            f"no two triangles of sites lie beyond x = {ahead_of:.4g} Å: the tip has left the sites given"
        )
    middle = places[cells, 0].mean(axis=1)
    cells, middle = cells[np.argsort(middle, kind="stable")], np.sort(middle)
    edges = places[cells[:, 1:]] - places[cells[:, :1]]
    jumps = moved[cells[:, 1:]] - moved[cells[:, :1]]
    # Edges (rows) E and their displacements D: ∇u = (E⁻¹ D)ᵀ.
    gradients = np.tile(np.eye(3), (len(cells), 1, 1))
    gradients[:, :, :2] += np.swapaxes(np.linalg.solve(edges, jumps), 1, 2)
    traction = np.asarray(stress(gradients), dtype=float)[:, :, 1]
    return PlaneProfile(name=name, x=0.5 * (middle[1:] + middle[:-1]), traction=0.5 * (traction[1:] + traction[:-1]))


def _checked(sites: ArrayLike, displacement: ArrayLike) -> tuple[Array, Array]:
    places, moved = np.asarray(sites, dtype=float), np.asarray(displacement, dtype=float)
    if places.ndim != 2 or places.shape[1:] != (2,) or moved.shape != (len(places), 3):
        raise ProfileError(
            f"sites of shape {places.shape} with displacements {moved.shape}: expected (n, 2) and (n, 3), Å"
        )
    if not (np.isfinite(places).all() and np.isfinite(moved).all()):
        raise ProfileError("sites and displacements must be finite")
    return places, moved


def _row(places: Array, side: float) -> Integers:
    """Sites of the row nearest to y = 0 on a side, from left to right."""
    heights = side * places[:, 1]
    beyond = heights > 0.0
    if not beyond.any():
        raise ProfileError(f"no site lies {'above' if side > 0.0 else 'below'} the crack's plane y = 0")
    nearest = heights[beyond].min()
    found = np.flatnonzero(beyond & (heights < nearest * (1.0 + _ROW)))
    return found[np.argsort(places[found, 0], kind="stable")]


def _strip(places: Array) -> Integers:
    """Triangles (t, 3) of sites between the two rows beside y = 0."""
    rows = np.concatenate([_row(places, -1.0), _row(places, 1.0)])
    if len(rows) < 3:
        raise ProfileError("three sites beside y = 0 are needed for a triangle")
    cells = rows[Delaunay(places[rows]).simplices]
    edges = places[cells[:, 1:]] - places[cells[:, :1]]
    flat = np.abs(np.linalg.det(edges)) < _FLAT * np.ptp(places[rows], axis=0).prod()
    return np.asarray(cells[~flat], dtype=np.int64)
