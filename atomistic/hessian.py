"""Second derivatives of a plane body's atoms by differences of forces, many atoms in one evaluation.

Atoms farther apart than twice the range of the forces answer to displacements apart from each other, so that all of one
colour are displaced together (Curtis, Powell and Reid 1974): the number of evaluations does not grow with the body.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Displacement of the difference, Å: the error of one-sided differences is this times the third derivatives.
_STEP = 1e-4


def colours(places: Array, distance: float) -> Integers:
    """Return a colour (n,) for each place (n, m) such that places of one colour are farther apart than a distance."""
    neighbours = cKDTree(places).query_ball_point(places, distance)
    found = np.full(len(places), -1, dtype=np.int64)
    for i, near in enumerate(neighbours):
        taken = np.unique(found[near])
        taken = taken[taken >= 0]
        gaps = np.flatnonzero(taken != np.arange(len(taken)))
        found[i] = gaps[0] if len(gaps) else len(taken)
    return found


def difference_hessian(
    gradient: Callable[[Array], Array],
    positions: Array,
    *,
    places: Array,
    site: Integers,
    reach: float,
    sites: Integers | None = None,
    at_rest: Array | None = None,
) -> tuple[sp.csr_matrix, int]:
    """Return d²E/dy² of atoms, all of its columns or those of some sites, and how many evaluations it took.

    Args:
        gradient: dE/dy (n, 3), eV/Å, of positions (n, 3).
        positions: where the derivatives are taken, Å.
        places: (s, 2) of the sites, Å.
        site: (n,) of each atom; the atoms of a site stand together.
        reach: range of the forces across the body, Å.
        sites: (k,) whose atoms' columns are wanted; None: all.
        at_rest: dE/dy at `positions`, where it is known.
    """
    wanted = np.arange(len(places)) if sites is None else sites
    per_site = len(positions) // len(places)
    colour = colours(places[wanted], 2.0 * reach)
    start = gradient(positions) if at_rest is None else at_rest
    rows, columns, values, calls = [], [], [], int(at_rest is None)
    for shade in range(int(colour.max(initial=-1)) + 1):
        chosen = wanted[colour == shade]
        gap, nearest = cKDTree(places[chosen]).query(places)
        answering = np.flatnonzero(gap[site] <= reach)
        source = chosen[nearest[site[answering]]]
        for k in range(per_site):
            for c in range(3):
                moved = positions.copy()
                moved[chosen * per_site + k, c] += _STEP
                change = (gradient(moved) - start)[answering] / _STEP
                calls += 1
                rows.append((answering[:, None] * 3 + np.arange(3)).ravel())
                columns.append(np.repeat((source * per_site + k) * 3 + c, 3))
                values.append(change.ravel())
    size = 3 * len(positions)
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sp.csr_matrix(entries, shape=(size, size)), calls
