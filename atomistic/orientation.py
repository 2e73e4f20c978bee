"""Planes and directions by Miller indices, and the laboratory axes that they set up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atomistic.elasticity import rotate_stiffness
from atomistic.errors import InvalidPlaneError

if TYPE_CHECKING:
    from atomistic.crystal import Crystal

#: Largest index of the directions that are tried as crack front, and of the growth direction that follows.
_FRONT_INDEX, _GROWTH_INDEX = 3, 40
#: Couplings smaller than this part of the largest constant are rounding.
_DECOUPLED = 1e-9


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """A crystal in laboratory axes: x crack growth, y plane normal, z crack front.

    Attributes:
        plane: Miller indices (h, k, l) of the plane, three even where four were given.
        growth: indices [u, v, w] of the direction of x.
        front: indices [u, v, w] of the direction of z; None where it is no lattice direction of low index.
        rotation: (3, 3), rows are the laboratory axes in the crystal's Cartesian axes.
        stiffness: (6, 6), Voigt, eV/Å³, in the laboratory axes.
        decoupled: whether z = 0 is a mirror plane of the stiffness, so that plane strain moves nothing out of the plane.
    """

    plane: tuple[int, int, int]
    growth: tuple[int, int, int]
    front: tuple[int, int, int] | None
    rotation: NDArray[np.float64]
    stiffness: NDArray[np.float64]
    decoupled: bool

    def rotate(self, stiffness: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a (6, 6) stiffness, given in the crystal's axes, in the laboratory axes."""
        return rotate_stiffness(stiffness, self.rotation)


def orient(
    crystal: Crystal, *, plane: Sequence[int], growth: Sequence[int] | None = None, front: Sequence[int] | None = None
) -> Orientation:
    """Set up the laboratory axes of a plane: x along the growth of a crack, y its normal, z its front.

    The axes are right-handed, x = y × z, so that one of growth and front is enough. Without either, the front is the lattice
    direction of lowest indices in the plane whose normal plane mirrors the elastic constants: plane strain then decouples
    from out-of-plane shear. Where no such direction exists, the lowest one is taken and `decoupled` is False.

    Args:
        crystal: whose conventional cell the indices refer to.
        plane: (h, k, l), or (h, k, i, l) with i = −(h + k) for hcp.
        growth: [u, v, w], or [u, v, t, w] with t = −(u + v) for hcp, in the plane.
        front: the same for z.

    Raises:
        InvalidPlaneError: indices that name no plane or direction, a direction out of the plane, a front at whose right
            angle there is no direction of low index, or a growth that is not the one which the front requires.
    """
    cell = np.asarray(crystal.conventional.cell.array)
    miller = plane_indices(crystal, plane)
    normal = plane_normal(crystal, miller)
    if front is not None:
        along, z = _unit_in_plane(crystal, miller, front, what="front")
        x = np.cross(normal, z)
        advance = lowest_indices(x, cell)
        _check_front(crystal, miller, front=along, growth=growth, needed=advance)
        assert advance is not None
        return _oriented(crystal, miller, advance, along, x, normal)
    if growth is not None:
        direction, x = _unit_in_plane(crystal, miller, growth, what="growth")
        return _oriented(crystal, miller, direction, lowest_indices(np.cross(x, normal), cell), x, normal)
    fallback = None
    # Among equally short directions, [1-10] is read more easily than [01-1].
    by_length = sorted(_in_plane(miller), key=lambda i: (round(float(np.linalg.norm(i @ cell)), 6), *np.abs(i[::-1])))
    for candidate in by_length:
        axis = np.array(candidate) @ cell
        z = axis / np.linalg.norm(axis)
        x = np.cross(normal, z)
        indices = lowest_indices(x, cell)
        if indices is None:
            continue
        found = _oriented(crystal, miller, indices, candidate, x, normal)
        if found.decoupled:
            return found
        fallback = fallback or found
    if fallback is None:
        raise InvalidPlaneError(
            f"The plane {tuple(plane)} has no growth direction of low index; give one: growth: [u, v, w]."
        )
    return fallback


def _unit_in_plane(
    crystal: Crystal, miller: tuple[int, int, int], given: Sequence[int], *, what: str
) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Return the indices of a direction that must lie in a plane, and the unit vector (3,) along it."""
    direction = _direction_indices(crystal, given)
    product = int(np.dot(miller, direction))
    if product != 0:
        raise InvalidPlaneError(
            f"The {what} direction {list(given)} does not lie in the plane {miller}: their product is {product}, expected 0. "
            f"For example {list(_in_plane(miller)[0])} does."
        )
    axis = np.array(direction) @ np.asarray(crystal.conventional.cell.array)
    return direction, axis / np.linalg.norm(axis)


def _check_front(
    crystal: Crystal,
    miller: tuple[int, int, int],
    *,
    front: tuple[int, int, int],
    growth: Sequence[int] | None,
    needed: tuple[int, int, int] | None,
) -> None:
    """Raise unless a front has a growth direction of low index, and the growth that was given with it is that one."""
    if needed is None:
        raise InvalidPlaneError(
            f"No direction of low index lies in the plane {miller} at right angles to the front {list(front)}. Choose another "
            "front, or give the growth direction instead."
        )
    if growth is not None and _direction_indices(crystal, growth) != needed:
        raise InvalidPlaneError(
            f"A crack on the plane {miller} with the front {list(front)} grows along {list(needed)} (plane × front); got the "
            f"growth {list(growth)}. Leave one of the two out."
        )


def plane_indices(crystal: Crystal, plane: Sequence[int]) -> tuple[int, int, int]:
    """Check Miller indices of a plane and return three of them, without a common divisor.

    Raises:
        InvalidPlaneError: not three (or four, hcp) integers, all zero, or i ≠ −(h + k).
    """
    h, k, *rest = _integers(crystal, plane, what="plane", form="(h, k, i, l)")
    return _coprime((h, k, rest[-1]))


def plane_normal(crystal: Crystal, miller: Sequence[int]) -> NDArray[np.float64]:
    """Return the unit normal of a plane, (3,), in the crystal's Cartesian axes."""
    normal = np.asarray(crystal.conventional.cell.reciprocal().array).T @ np.asarray(miller, dtype=float)
    return normal / np.linalg.norm(normal)


def lowest_indices(vector: NDArray[np.float64], cell: NDArray[np.float64]) -> tuple[int, int, int] | None:
    """Return the smallest integers [u, v, w] along a Cartesian direction, or None beyond an index of 40."""
    fractional = np.linalg.solve(cell.T, vector)
    largest = np.abs(fractional).max()
    for top in range(1, _GROWTH_INDEX + 1):
        scaled = fractional * (top / largest)
        rounded = np.rint(scaled)
        if np.abs(scaled - rounded).max() < 1e-6 * top:
            return _coprime(tuple(int(i) for i in rounded))
    return None


def _oriented(
    crystal: Crystal,
    miller: tuple[int, int, int],
    growth: tuple[int, int, int],
    front: tuple[int, int, int] | None,
    x: NDArray[np.float64],
    normal: NDArray[np.float64],
) -> Orientation:
    """Collect an orientation from its first two axes."""
    rotation = np.array([x, normal, np.cross(x, normal)])
    stiffness = rotate_stiffness(crystal.stiffness, rotation)
    coupling = np.abs(stiffness[np.ix_([0, 1, 2, 5], [3, 4])]).max()
    return Orientation(
        plane=miller,
        growth=growth,
        front=front,
        rotation=rotation,
        stiffness=stiffness,
        decoupled=bool(coupling < _DECOUPLED * np.abs(stiffness).max()),
    )


def _in_plane(miller: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return the directions of low index in a plane, one of each pair ±[uvw]."""
    top = max(_FRONT_INDEX, *(abs(i) for i in miller))
    found = []
    for u, v, w in itertools.product(range(-top, top + 1), repeat=3):
        first = u or v or w
        if first > 0 and np.dot(miller, (u, v, w)) == 0 and math.gcd(u, v, w) == 1:
            found.append((u, v, w))
    return found


def _direction_indices(crystal: Crystal, direction: Sequence[int]) -> tuple[int, int, int]:
    """Check the indices of a direction and return three of them: [u, v, t, w] = [2u + v, u + 2v, w] of three."""
    indices = _integers(crystal, direction, what="direction", form="[u, v, t, w]")
    if len(indices) == 4:
        u, v, _, w = indices
        return _coprime((2 * u + v, u + 2 * v, w))
    return _coprime((indices[0], indices[1], indices[2]))


def _integers(crystal: Crystal, indices: Sequence[int], *, what: str, form: str) -> tuple[int, ...]:
    """Return the indices as integers, having checked their number, their sum and that they are not all zero."""
    values = tuple(indices)
    shown = list(values)
    hexagonal = crystal.structure == "hcp"
    if not all(isinstance(v, int | float | np.integer | np.floating) and float(v).is_integer() for v in values):
        raise InvalidPlaneError(f"The {what} {shown} must have integer Miller indices.")
    whole = tuple(int(v) for v in values)
    if len(whole) not in ((3, 4) if hexagonal else (3,)):
        expected = f"three integers, or four {form}" if hexagonal else "three integers"
        raise InvalidPlaneError(
            f"The {what} {shown} of a {crystal.structure} crystal must have {expected}; got {len(whole)}."
        )
    if not any(whole):
        raise InvalidPlaneError(f"The {what} {shown} does not exist: its indices are all zero.")
    if len(whole) == 4 and whole[0] + whole[1] + whole[2] != 0:
        raise InvalidPlaneError(
            f"The {what} {shown} does not exist: of four indices {form} the third is minus the sum of the first two, "
            f"here {-(whole[0] + whole[1])}."
        )
    return whole


def _coprime(indices: Sequence[int]) -> tuple[int, int, int]:
    """Divide three integers by their greatest common divisor."""
    divisor = math.gcd(*indices)
    h, k, l = (i // divisor for i in indices)  # noqa: E741 - the field's own letters
    return h, k, l
