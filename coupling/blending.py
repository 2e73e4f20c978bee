"""Blending functions: β = 0 where the atoms count, 1 where the continuum does, and in between as smooth as can be.

What a blend costs is its curvature: the ghost forces of energy blending and the consistency error of force blending are
bounded by ‖∇²β‖ (Li, Ortner, Shapeev and Van Koten 2016, Numer. Math. 134, 275).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse import linalg

from coupling.errors import ZoneError

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
BlendKind = Literal["cubic", "quintic", "linear", "sharp", "minimal-curvature"]
# Sites lie on the edge of a blend to rounding; nothing physical is as small as this share of its width.
_EDGE = 1e-9


def profile(kind: str, s: ArrayLike) -> Array:
    """β(s): 0 up to s = 0, 1 from s = 1.

    cubic 3s² − 2s³ (continuous slope), quintic 6s⁵ − 15s⁴ + 10s³ (continuous curvature), linear s, sharp 1 for s > 0.

    Raises:
        ZoneError: another kind, or a NaN.
    """
    given = np.asarray(s, dtype=float)
    if np.isnan(given).any():
        raise ZoneError(
            f"{int(np.isnan(given).sum())} of {given.size} arguments of a blend are NaN: expected distance/width"
        )
    t = np.clip(given, 0.0, 1.0)
    if kind == "cubic":
        return t**2 * (3 - 2 * t)
    if kind == "quintic":
        return t**3 * (10 + t * (6 * t - 15))
    if kind == "linear":
        return t
    if kind == "sharp":
        return (t > _EDGE).astype(float)
    raise ZoneError(f"blend {kind!r}: expected one of {', '.join(get_args(BlendKind))}")


def blend(
    kind: str,
    distance: ArrayLike,
    width: float,
    *,
    indices: ArrayLike | None = None,
    directions: ArrayLike | None = None,
    beyond: float | None = 1.0,
) -> Array:
    """β of sites from their distances to the core.

    Args:
        kind: one of `BlendKind`; "sharp" is 0 on the core and its edge, 1 beyond, whatever the width.
        distance: (n,) signed distance to the core (Å), negative inside.
        width: over which β rises from 0 to 1 (Å); 0 makes every kind sharp.
        indices: (n, m) lattice sites, for "minimal-curvature".
        directions: see `minimal_curvature`.
        beyond: see `minimal_curvature`.

    Returns:
        β (n,).

    Raises:
        ZoneError: a negative width, a NaN, or "minimal-curvature" without the sites.
    """
    d: Array = np.asarray(distance, dtype=float)
    if not (np.isfinite(width) and width >= 0):
        raise ZoneError(f"width of a {kind} blend = {width!r} Å: expected a finite length of zero or more")
    if kind not in get_args(BlendKind):
        raise ZoneError(f"blend {kind!r}: expected one of {', '.join(get_args(BlendKind))}")
    if kind == "sharp" or width == 0:
        return profile("sharp", d)
    if kind != "minimal-curvature":
        return profile(kind, d / width)
    if indices is None:
        raise ZoneError("a 'minimal-curvature' blend lives on lattice sites: give their indices (n, m)")
    if np.isnan(d).any():
        raise ZoneError(f"{int(np.isnan(d).sum())} of {d.size} distances of a blend are NaN")
    edge = _EDGE * width
    return minimal_curvature(indices, d <= edge, d >= width - edge, directions=directions, beyond=beyond)


def minimal_curvature(
    indices: ArrayLike,
    fixed_zero: ArrayLike,
    fixed_one: ArrayLike,
    *,
    directions: ArrayLike | None = None,
    beyond: float | None = 1.0,
) -> Array:
    """β on lattice sites that minimises Σ_i Σ_d [β(i + d) − 2β(i) + β(i − d)]², 0 and 1 where it is fixed.

    The discrete form of min ∫|∇²β|² (Luskin, Ortner and Van Koten 2013, Comput. Methods Appl. Mech. Engrg. 253, 160). One
    sparse least-squares problem, solved by its normal equations, whose condition grows with the fourth power of the number
    of layers only: rounding stays below 1e-9. Nothing makes the minimiser stay between 0 and 1 where the fixed sites have
    sharp corners; it is cut to [0, 1], and refused where more than 0.05 would be cut.

    Args:
        indices: (n, m) integer indices of the sites, each once.
        fixed_zero: (n,) where β = 0.
        fixed_one: (n,) where β = 1.
        directions: (k, m) lattice vectors of the differences; the primitive vectors and their pairwise differences if
            None (with a 60° basis: all nearest neighbours of the triangular and the fcc lattice).
        beyond: β of sites that are not listed; None leaves out the differences that need them (a free edge).

    Returns:
        β (n,), exactly 0 and 1 at the fixed sites.

    Raises:
        ZoneError: shapes that do not fit, sites listed or fixed twice, no fixed site of a kind, or a β far outside [0, 1].
    """
    sites, zero, one, steps = _checked(indices, fixed_zero, fixed_one, directions)
    if not zero.any() or (beyond is None and not one.any()):
        raise ZoneError(
            f"{int(zero.sum())} sites are fixed to 0, {int(one.sum())} to 1: a blend needs both, check the width"
        )
    free = ~(zero | one)
    if not free.any():
        return one.astype(float)
    numbers, lower = _numbering(sites)
    # Differences that involve a free site: those centred on it or one step away along the difference's own direction.
    blocks, constants = [], []
    unknown = np.cumsum(free) - 1
    fixed = np.append(one.astype(float), np.nan if beyond is None else beyond)
    for step in steps:
        centres = np.unique(np.concatenate([sites[free] + k * step for k in (-1, 0, 1)]), axis=0)
        stencil = np.stack([_look_up(numbers, lower, centres + k * step) for k in (-1, 0, 1)], axis=1)
        inside = stencil >= 0
        if beyond is None:
            stencil, inside = stencil[inside.all(axis=1)], inside[inside.all(axis=1)]
        is_free = inside & free[stencil]
        weight = np.broadcast_to([1.0, -2.0, 1.0], stencil.shape)
        rows = np.broadcast_to(np.arange(len(stencil))[:, None], stencil.shape)
        shape = (len(stencil), int(free.sum()))
        blocks.append(sparse.csr_matrix((weight[is_free], (rows[is_free], unknown[stencil[is_free]])), shape=shape))
        # A site that is not listed has number −1 and takes the last value.
        constants.append(np.where(is_free, 0.0, weight * fixed[stencil]).sum(axis=1))
    differences, constant = sparse.vstack(blocks).tocsc(), np.concatenate(constants)
    try:
        solution = linalg.splu((differences.T @ differences).tocsc()).solve(-(differences.T @ constant))
    except RuntimeError as error:
        raise ZoneError(
            f"{int(free.sum())} sites of a minimal-curvature blend are not tied to fixed ones by the differences along "
            f"{steps.tolist()}: list the sites about them too, or give more directions"
        ) from error
    cut = float(np.max(np.maximum(-solution, solution - 1)))
    if not cut <= 0.05:
        raise ZoneError(
            f"a minimal-curvature blend leaves [0, 1] by {cut:.3g}: the core has corners too sharp or pieces too close for "
            "this width; use the cubic or quintic blend, or a rounder core"
        )
    beta = one.astype(float)
    beta[free] = np.clip(solution, 0.0, 1.0)
    return beta


def _checked(
    indices: ArrayLike, fixed_zero: ArrayLike, fixed_one: ArrayLike, directions: ArrayLike | None
) -> tuple[Integers, NDArray[np.bool_], NDArray[np.bool_], Integers]:
    sites = np.asarray(indices)
    if sites.ndim != 2 or not np.issubdtype(sites.dtype, np.integer):
        raise ZoneError(f"indices of a blend: shape {sites.shape}, {sites.dtype}: expected (n, m) integers")
    zero, one = np.asarray(fixed_zero, dtype=bool), np.asarray(fixed_one, dtype=bool)
    if zero.shape != (len(sites),) or one.shape != (len(sites),):
        raise ZoneError(f"fixed sites of shapes {zero.shape} and {one.shape}: expected ({len(sites)},) for each")
    if (zero & one).any():
        raise ZoneError(f"{int((zero & one).sum())} sites of a blend are fixed to 0 and to 1 at once")
    m = sites.shape[1]
    if directions is None:
        unit = np.eye(m, dtype=np.int64)
        steps = np.array([*unit, *(unit[i] - unit[j] for i in range(m) for j in range(i + 1, m))])
    else:
        steps = np.asarray(directions)
    if (
        steps.ndim != 2
        or steps.shape[1] != m
        or not np.issubdtype(steps.dtype, np.integer)
        or not steps.any(axis=1).all()
    ):
        raise ZoneError(f"directions of a blend = {steps.tolist()}: expected (k, {m}) integers, none of them zero")
    if len(np.unique(sites, axis=0)) != len(sites):
        raise ZoneError(f"{len(sites) - len(np.unique(sites, axis=0))} sites of a blend are listed twice")
    return sites.astype(np.int64), zero, one, steps.astype(np.int64)


def _numbering(sites: Integers) -> tuple[Integers, Integers]:
    """A table over the box of indices that holds each site's number, −1 elsewhere, and the box's lower corner."""
    lower = sites.min(axis=0)
    table = np.full(sites.max(axis=0) - lower + 1, -1, dtype=np.int64)
    table[tuple((sites - lower).T)] = np.arange(len(sites))
    return table, lower


def _look_up(table: Integers, lower: Integers, sites: Integers) -> Integers:
    """Numbers (n,) of sites (n, m), −1 for those that are not listed."""
    offset = sites - lower
    known = np.all((offset >= 0) & (offset < table.shape), axis=1)
    found = np.full(len(sites), -1, dtype=np.int64)
    found[known] = table[tuple(offset[known].T)]
    return found
