"""Effective volumes: what the weighted site energies leave of every finite element, and the proof that it adds up.

    v_T = |T| − Σ_i (1 − β_i) |share of site i in T|,        Σ_i (1 − β_i) Ω₀ + Σ_T v_T = |Ω|.

Any rule by which each weighted site's shares add up to Ω₀ makes the second line an identity (Van Koten and Luskin 2011,
SIAM J. Numer. Anal. 49, 2182; Ortner and Zhang 2014). Two rules are here: on a mesh whose vertices are the lattice sites an
element is shared equally among them; on any other mesh the site's own Wigner–Seitz cell is cut by the elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coupling.clipping import areas, clip, convex_polygon, meeting_pairs, wigner_seitz
from coupling.errors import DoubleCountingError

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class VolumeAudit:
    """Whether atoms and elements together count every piece of the body once.

    Attributes:
        atomistic: Σ(1 − β_i)Ω₀.
        continuum: Σ v_T.
        expected: |Ω|, from the elements' own volumes or from the body's outline.
        relative_error: |atomistic + continuum − expected| / expected.
        lowest: min v_T/|T|; below zero an element would be counted negatively.
        lowest_element: where.
        highest: max v_T/|T|; above one it would be counted more than once.
        unit: of the volumes.
    """

    atomistic: float
    continuum: float
    expected: float
    relative_error: float
    lowest: float
    lowest_element: int
    highest: float
    unit: str = "Å³"

    @classmethod
    def of(
        cls,
        *,
        atomistic: float,
        effective: ArrayLike,
        volumes: ArrayLike,
        expected: float | None = None,
        unit: str = "Å³",
    ) -> Self:
        """Add up.

        Args:
            atomistic: Σ(1 − β_i)Ω₀.
            effective: v_T (k,).
            volumes: |T| (k,).
            expected: |Ω|; the sum of the elements' volumes if None.
            unit: of them all.
        """
        v, whole = _volumes(effective, None), _volumes(volumes, None)
        if v.shape != whole.shape or not len(v):
            raise DoubleCountingError(
                f"{v.shape} effective volumes for elements of shape {whole.shape}: expected one each"
            )
        total = float(whole.sum()) if expected is None else float(expected)
        ratio = v / whole
        return cls(
            atomistic=float(atomistic),
            continuum=float(v.sum()),
            expected=total,
            relative_error=abs(float(atomistic) + float(v.sum()) - total) / total,
            lowest=float(ratio.min()),
            lowest_element=int(ratio.argmin()),
            highest=float(ratio.max()),
            unit=unit,
        )

    def check(self, bound: float = 1e-12) -> Self:
        """Return the audit if it holds: the sum to `bound` relative, every element between 0 and its whole volume.

        Raises:
            DoubleCountingError: with the figures.
        """
        # Written so that a NaN fails.
        if not self.relative_error <= bound:
            side = "more than once" if self.atomistic + self.continuum > self.expected else "not at all"
            raise DoubleCountingError(
                f"double counting: {self}; the bound is {bound:.1e}. Some of the body is counted {side}: every site with a "
                "weight must be a vertex of lattice-fine elements only; keep the mesh fine one spacing beyond the blend"
            )
        if not (self.lowest >= -bound and self.highest <= 1 + bound):
            raise DoubleCountingError(
                f"effective volumes from {self.lowest:.6g} (element {self.lowest_element}) to {self.highest:.6g} of the "
                "element: expected 0 to 1; site weights must lie between 0 and 1 and shares within their elements"
            )
        return self

    def __str__(self) -> str:
        return (
            f"atoms {self.atomistic:.9g} {self.unit} + elements {self.continuum:.9g} {self.unit} = "
            f"{self.atomistic + self.continuum:.12g} {self.unit} of {self.expected:.12g} {self.unit}, relative error "
            f"{self.relative_error:.1e}"
        )


def shared_volumes(
    cells: ArrayLike,
    volumes: ArrayLike,
    site_of_node: ArrayLike,
    weights: ArrayLike,
    *,
    site_volume: float | None = None,
) -> Array:
    """Effective volumes on a mesh whose fine part has the lattice sites as vertices.

    v_T = |T|·(1 − mean of w over the element's vertices that are sites); elements without such vertices stay whole. In a
    translation-invariant triangulation of the lattice the shares of a site add up to Ω₀; so they do in rows beside an
    interface line whose half strip belongs to that row, as the line's own nodes are no sites.

    Args:
        cells: (k, m + 1) vertices.
        volumes: |T| (k,), times the thickness in 2D.
        site_of_node: (nodes,) site at each node, −1 where there is none.
        weights: w = 1 − β (sites,).
        site_volume: Ω₀; given, each weighted site's own shares are compared with it.

    Returns:
        v_T (k,).

    Raises:
        DoubleCountingError: weights outside [0, 1], volumes that are not positive, indices that do not exist, or a site
            whose shares are not Ω₀ to 1e-9.
    """
    cells, whole = np.asarray(cells), _volumes(volumes, len(np.asarray(cells)))
    sites, w = _sites(cells, site_of_node), _weights(weights)
    if sites.max(initial=-1) >= len(w):
        raise DoubleCountingError(
            f"site {int(sites.max())} stands at a node, and there are {len(w)} weights: one a site"
        )
    count = (sites >= 0).sum(axis=1)
    mean = np.where(sites >= 0, w[sites], 0.0).sum(axis=1) / np.maximum(count, 1)
    if site_volume is not None:
        shares = site_shares(cells, whole, site_of_node, len(w))
        _check_shares(
            shares, w, site_volume, "of lattice-fine elements: keep the mesh fine one spacing beyond the blend"
        )
    return whole * (1.0 - mean)


def site_shares(cells: ArrayLike, volumes: ArrayLike, site_of_node: ArrayLike, n_sites: int) -> Array:
    """Volume (n_sites,) that each site gets where elements are shared equally among their vertices that are sites."""
    cells, whole = np.asarray(cells), _volumes(volumes, len(np.asarray(cells)))
    sites = _sites(cells, site_of_node)
    at_site = sites >= 0
    each = np.broadcast_to((whole / np.maximum(at_site.sum(axis=1), 1))[:, None], sites.shape)
    return np.bincount(sites[at_site], weights=each[at_site], minlength=n_sites)


def clipped_volumes(
    points: ArrayLike,
    cells: ArrayLike,
    places: ArrayLike,
    weights: ArrayLike,
    *,
    basis: ArrayLike,
    thickness: float = 1.0,
    tile: ArrayLike | None = None,
) -> Array:
    """Effective volumes on any mesh of triangles: |T| − Σ w_i |Vor_i ∩ T|, the sites' cells cut exactly.

    Sutherland and Hodgman's clipping, all pairs of a site's cell and a triangle at once.

    Args:
        points: (n, 2) vertices, Å.
        cells: (k, 3).
        places: (s, 2) lattice sites, Å.
        weights: w = 1 − β (s,).
        basis: (2, 2) primitive vectors of the lattice, rows.
        thickness: Å.
        tile: (v, 2) corners, relative to the site, of another convex cell that tiles the plane, such as the rectangle of
            one repeat by one row, which never crosses a line midway between rows; the Wigner–Seitz cell if None.

    Returns:
        v_T (k,), times the thickness.

    Raises:
        DoubleCountingError: weights outside [0, 1], a tile that is not as large as the lattice's cell, or a weighted site
            whose tile the mesh does not cover.
    """
    x, cells = np.asarray(points, dtype=float), np.asarray(cells)
    sites, w = np.asarray(places, dtype=float), _weights(weights)
    if x.ndim != 2 or x.shape[1] != 2 or cells.ndim != 2 or cells.shape[1] != 3 or sites.shape != (len(w), 2):
        raise DoubleCountingError(
            f"points {x.shape}, cells {cells.shape}, places {sites.shape}, weights {w.shape}: expected (n, 2), (k, 3), "
            "(s, 2), (s,); cells are cut in two dimensions only"
        )
    corners = x[cells]
    turned = areas(corners) < 0
    corners[turned] = corners[turned, ::-1]
    whole = areas(corners)
    shape = wigner_seitz(basis) if tile is None else convex_polygon(tile)
    area = abs(float(np.linalg.det(np.asarray(basis, dtype=float))))
    if abs(areas(shape[None])[0] - area) > 1e-9 * area:
        raise DoubleCountingError(f"a tile of {areas(shape[None])[0]:.9g} Å²: expected the lattice's {area:.9g} Å²")
    heavy = np.flatnonzero(w > 0)
    site, cell = meeting_pairs(sites[heavy], corners, shape)
    # Relative to the site, so that rounding is of the cell's size and not of the body's.
    pieces = np.broadcast_to(shape, (len(site), *shape.shape))
    triangles = corners[cell] - sites[heavy][site][:, None]
    for k in range(3):
        pieces = clip(pieces, triangles[:, k], triangles[:, (k + 1) % 3])
    shared = areas(pieces)
    shares = np.bincount(site, weights=shared, minlength=len(heavy))
    _check_shares(shares, w[heavy], area, "within the mesh: enlarge the body or make the zone smaller")
    taken = np.bincount(cell, weights=w[heavy][site] * shared, minlength=len(cells))
    return thickness * (whole - taken)


def shared_facets(facets: ArrayLike, cells: ArrayLike, shares: ArrayLike) -> Array:
    """Weights β_f of an interface's facets: the mean of the elements that lie on them from below and from above.

    So the interface's energy has the same weight as the bulk beside it, and none where that has none. In the lattice-fine part
    each site of the rows beside the line owns one facet: ½ Σ_rows Σ_i w_i p + Σ_f β_f |f| = length of the line.

    Args:
        facets: (f, 2, 2) facet, side (lower, upper), ends: nodes.
        cells: (k, 3) vertices.
        shares: v_T/|T| (k,).

    Returns:
        β_f (f,).

    Raises:
        DoubleCountingError: a facet without its two elements.
    """
    line, corners, ratio = np.asarray(facets), np.asarray(cells), np.asarray(shares, dtype=float)
    count = int(corners.max()) + 1
    sides = np.concatenate([np.sort(corners[:, pair], axis=1) for pair in ([0, 1], [1, 2], [2, 0])]) @ [count, 1]
    order = np.argsort(sides)
    wanted = np.sort(line, axis=2) @ np.array([count, 1])
    at = np.minimum(np.searchsorted(sides[order], wanted), len(sides) - 1)
    if not np.array_equal(sides[order][at], wanted):
        raise DoubleCountingError(
            "an interface whose facets are not sides of elements: expected the mesh's own interface"
        )
    return np.clip(ratio[order[at] % len(corners)].mean(axis=1), 0.0, 1.0)


def audit_facets(
    beta: ArrayLike,
    facets: ArrayLike,
    cells: ArrayLike,
    site_of_node: ArrayLike,
    weights: ArrayLike,
    *,
    points: ArrayLike,
    expected: float | None = None,
) -> VolumeAudit:
    """Audit an interface's weights β_f (f,) as lengths: ½ Σ_rows Σ_i w_i p + Σ_f β_f |f| against the line's."""
    ends, rows = _rows(facets, cells, site_of_node, weights, points)
    length = ends[:, 1] - ends[:, 0]
    atomistic = 0.5 * sum(float(w.sum()) * spacing for _, w, spacing in rows)
    effective = np.asarray(beta, dtype=float) * length
    return VolumeAudit.of(atomistic=atomistic, effective=effective, volumes=length, expected=expected, unit="Å")


def _rows(
    facets: ArrayLike, cells: ArrayLike, site_of_node: ArrayLike, weights: ArrayLike, points: ArrayLike
) -> tuple[Array, list[tuple[Array, Array, float]]]:
    """Ends (f, 2) of the facets along the line, and of each side's row: places along it, weights, spacing."""
    line, cells = np.asarray(facets), np.asarray(cells)
    x, w, sites = np.asarray(points, dtype=float), _weights(weights), np.asarray(site_of_node)
    middle = x[line[:, 0]]
    direction = middle[0, 1] - middle[0, 0]
    direction = direction / np.linalg.norm(direction)
    ends = np.sort(middle @ direction, axis=1)
    rows = []
    for side in (0, 1):
        beside = cells[np.isin(cells, line[:, side]).any(axis=1)]
        nodes = np.unique(beside[sites[beside] >= 0])
        offset = x[nodes] - middle[0, 0]
        height = np.abs(offset[:, 0] * direction[1] - offset[:, 1] * direction[0])
        # Coarse elements reach from the line to rows behind the first one.
        nodes = nodes[height < height.min(initial=np.inf) * (1 + 1e-6)]
        along = x[nodes] @ direction
        order = np.argsort(along)
        along, row = along[order], w[sites[nodes[order]]]
        if not row.any():
            rows.append((along[:0], row[:0], 0.0))
            continue
        spacing = float(np.diff(along).min(initial=np.inf))
        if not 0 < spacing < np.inf:
            raise DoubleCountingError(
                f"{len(along)} sites own pieces of an interface on side {side}, {spacing:.3g} Å apart: expected one row"
            )
        rows.append((along, row, spacing))
    return ends, rows


def _check_shares(shares: Array, weights: Array, expected: float, hint: str) -> None:
    wrong = np.flatnonzero((weights > 0) & (np.abs(shares - expected) > 1e-9 * expected))
    if len(wrong):
        raise DoubleCountingError(
            f"{len(wrong)} weighted sites do not own their volume of {expected:.9g}: site {wrong[0]} owns "
            f"{shares[wrong[0]]:.9g}. A site with a weight must lie {hint}"
        )


def _volumes(volumes: ArrayLike, count: int | None) -> Array:
    found = np.asarray(volumes, dtype=float)
    if found.ndim != 1 or (count is not None and (len(found) != count or not (found > 0).all())):
        raise DoubleCountingError(
            f"volumes of shape {found.shape}: expected one above zero for each of {count} elements"
        )
    return found


def _weights(weights: ArrayLike) -> Array:
    found = np.asarray(weights, dtype=float)
    if found.ndim != 1 or not ((found >= 0) & (found <= 1)).all():
        raise DoubleCountingError(f"weights of sites, shape {found.shape}: expected (sites,) numbers between 0 and 1")
    return found


def _sites(cells: Integers, site_of_node: ArrayLike) -> Integers:
    """Sites (k, m + 1) at the vertices, −1 for none."""
    table = np.asarray(site_of_node)
    if cells.ndim != 2 or (cells.size and not 0 <= cells.min() <= cells.max() < len(table)):
        raise DoubleCountingError(f"cells of shape {cells.shape} name nodes that the table of {len(table)} sites lacks")
    found = table[cells]
    at_site = np.sort(table[table >= 0])
    if (np.diff(at_site) == 0).any():
        raise DoubleCountingError("one site stands at two nodes: its volume would be shared twice")
    return found
