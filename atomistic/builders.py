"""Periodic stacks of lattice planes with the gap where they will be pulled apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from atomistic.crystal import Crystal
from atomistic.errors import InvalidCurveError
from atomistic.orientation import plane_indices, plane_normal

#: Atoms whose heights differ by less (Å) lie in one plane.
_SAME_PLANE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A periodic stack of lattice planes in its own axes: z along the planes' normal, the cut gap between two periods.

    Attributes:
        atoms: the perfect crystal; the first two cell vectors lie in the plane, the third one may lean.
        plane: Miller indices.
        n_planes: planes in one period.
        plane_of_atom: (n,) number of the plane of each atom, from the bottom.
        gaps: (n_planes,) distances from each plane to the next, Å; the last one is the cut gap.
        area: of the cell in the plane, Å².
        rotation: (3, 3), rows are the stack's axes in the crystal's Cartesian axes.
    """

    atoms: Atoms
    plane: tuple[int, int, int]
    n_planes: int
    plane_of_atom: NDArray[np.int64]
    gaps: NDArray[np.float64]
    area: float
    rotation: NDArray[np.float64]

    @property
    def cut_gap(self) -> float:
        """Width of the gap that will be opened, Å."""
        return float(self.gaps[-1])

    @property
    def spacing(self) -> float:
        """Mean distance of neighbouring planes d, Å."""
        return float(self.gaps.mean())

    @property
    def height(self) -> float:
        """Period along the normal, Å."""
        return float(self.gaps.sum())

    def opened(self, opening: float) -> Atoms:
        """Return the stack with its cut gap wider by `opening` (Å) and every atom where it was."""
        atoms = self.atoms.copy()
        cell = atoms.cell.array.copy()
        cell[2, 2] += opening
        atoms.set_cell(cell, scale_atoms=False)
        return atoms

    def repeated(self, first: int, second: int) -> Stack:
        """Return the stack with its cell repeated along the two vectors of the plane."""
        copies = first * second
        return replace(
            self,
            atoms=self.atoms.repeat((first, second, 1)),
            plane_of_atom=np.tile(self.plane_of_atom, copies),
            area=copies * self.area,
        )


def build_stack(crystal: Crystal, *, plane: Sequence[int], n_planes: int, cut: str | int = "widest") -> Stack:
    """Stack lattice planes of a crystal, with the smallest cell in the plane.

    The lattice vectors are sorted by a unimodular transformation into two in the plane and one that leads to the next
    lattice plane, so every crystal and every plane is treated alike. A lattice plane may hold several planes of atoms
    (diamond (111): the narrow glide gaps and the wide shuffle gaps alternate); `cut` picks the gap.

    Args:
        crystal: relaxed.
        plane: Miller indices.
        n_planes: planes of atoms in one period; rounded up to whole lattice planes.
        cut: "widest", "narrowest", or the number of a gap as `plane_gaps` lists them.

    Raises:
        InvalidPlaneError: no such plane.
        InvalidCurveError: fewer than two planes, or no such gap.
    """
    if isinstance(n_planes, bool) or int(n_planes) != n_planes or n_planes < 2:
        raise InvalidCurveError(f"A stack needs a whole number of at least 2 planes; got {n_planes!r}.")
    miller = plane_indices(crystal, plane)
    repeat = _Repeat.of(crystal, miller)
    return _stacked(repeat, miller, math.ceil(n_planes / len(repeat.heights)), _first_plane(repeat, cut))


def lattice_period(crystal: Crystal, *, plane: Sequence[int], cut: str | int = "widest") -> Stack:
    """Return the smallest stack of a plane that repeats: one lattice period along the normal."""
    miller = plane_indices(crystal, plane)
    repeat = _Repeat.of(crystal, miller)
    return _stacked(repeat, miller, 1, _first_plane(repeat, cut))


def _stacked(repeat: _Repeat, miller: tuple[int, int, int], count: int, first: int) -> Stack:
    """Stack `count` lattice periods, from the plane `first` upwards."""
    order = [(first + k) % len(repeat.heights) for k in range(len(repeat.heights))]
    cell = np.array([*repeat.in_plane, count * repeat.step])
    cell[2, :2] -= np.rint(np.linalg.solve(cell[:2, :2].T, cell[2, :2])) @ cell[:2, :2]
    base = repeat.heights[first]
    positions, numbers, planes = [], [], []
    for period in range(count):
        for k, index in enumerate(order):
            lift = (1 if index < first else 0) + period
            for atom in repeat.members[index]:
                position = repeat.positions[atom] + lift * repeat.step
                position[:2] -= np.floor(np.linalg.solve(cell[:2, :2].T, position[:2]) + 1e-9) @ cell[:2, :2]
                position[2] -= base
                positions.append(position)
                numbers.append(repeat.numbers[atom])
                planes.append(period * len(order) + k)
    gaps = np.tile([repeat.gaps[index] for index in order], count)
    return Stack(
        atoms=Atoms(numbers=numbers, positions=positions, cell=cell, pbc=True),
        plane=miller,
        n_planes=count * len(order),
        plane_of_atom=np.array(planes),
        gaps=gaps,
        area=float(np.linalg.norm(np.cross(cell[0], cell[1]))),
        rotation=repeat.rotation,
    )


def plane_gaps(crystal: Crystal, plane: Sequence[int]) -> NDArray[np.float64]:
    """Return the distances between successive planes of atoms in one lattice period, Å."""
    return _Repeat.of(crystal, plane_indices(crystal, plane)).gaps


def plane_heights(crystal: Crystal, plane: Sequence[int]) -> NDArray[np.float64]:
    """Return the heights of the planes of atoms over the crystal's origin in one lattice period, ascending, Å."""
    return _Repeat.of(crystal, plane_indices(crystal, plane)).heights


def gap_spacing(crystal: Crystal, *, plane: Sequence[int], cut: str | int = "widest") -> float:
    """Return the width of the gap that `cut` picks, Å."""
    repeat = _Repeat.of(crystal, plane_indices(crystal, plane))
    return float(repeat.gaps[_first_plane(repeat, cut) - 1])


@dataclass(frozen=True, kw_only=True)
class _Repeat:
    """One lattice period along a normal, in the stack's axes: lattice vectors, atoms, and the planes that they form."""

    in_plane: NDArray[np.float64]
    step: NDArray[np.float64]
    positions: NDArray[np.float64]
    numbers: NDArray[np.int64]
    heights: NDArray[np.float64]
    members: list[list[int]]
    gaps: NDArray[np.float64]
    rotation: NDArray[np.float64]

    @classmethod
    def of(cls, crystal: Crystal, miller: tuple[int, int, int]) -> _Repeat:
        """Sort lattice vectors and atoms of a crystal along the normal of a plane."""
        lattice = crystal.atoms.cell.array
        normal = plane_normal(crystal, miller)
        along = np.asarray(crystal.conventional.cell.reciprocal().array).T @ np.array(miller) @ lattice.T
        first, second, step = (v @ lattice for v in _plane_basis(_whole(along)))
        first, second = _reduced(first, second)
        if np.cross(first, second) @ normal < 0.0:
            second = -second
        x = first / np.linalg.norm(first)
        rotation = np.array([x, np.cross(normal, x), normal])
        step = step @ rotation.T
        period = float(step[2])
        positions = crystal.atoms.positions @ rotation.T
        lifts = np.floor(positions[:, 2] / period + _SAME_PLANE / period)
        positions = positions - lifts[:, None] * step
        heights: list[float] = []
        members: list[list[int]] = []
        for atom in np.argsort(positions[:, 2], kind="stable"):
            if heights and positions[atom, 2] - heights[-1] < _SAME_PLANE:
                members[-1].append(int(atom))
            else:
                heights.append(float(positions[atom, 2]))
                members.append([int(atom)])
        return cls(
            in_plane=np.array([first, second]) @ rotation.T,
            step=step,
            positions=positions,
            numbers=crystal.atoms.numbers,
            heights=np.array(heights),
            members=members,
            gaps=np.diff([*heights, heights[0] + period]),
            rotation=rotation,
        )


def _first_plane(repeat: _Repeat, cut: str | int) -> int:
    """Return the plane right above the gap that `cut` picks; ties go to the lowest gap."""
    count = len(repeat.gaps)
    rounded = np.round(repeat.gaps, 6)
    if cut == "widest":
        gap = int(np.argmax(rounded))
    elif cut == "narrowest":
        gap = int(np.argmin(rounded))
    elif isinstance(cut, int) and not isinstance(cut, bool) and 0 <= cut < count:
        gap = cut
    else:
        widths = ", ".join(f"{i}: {g:.3f} Å" for i, g in enumerate(repeat.gaps))
        raise InvalidCurveError(
            f"There is no cut {cut!r}; expected 'widest', 'narrowest' or the number of a gap ({widths})."
        )
    return (gap + 1) % count


def _whole(values: NDArray[np.float64]) -> list[int]:
    """Return the smallest integers in the ratio of `values`, which are multiples of 1/2, 1/3, 1/4 or 1/6."""
    integers = [int(i) for i in np.rint(12.0 * values)]
    divisor = math.gcd(*integers)
    return [i // divisor for i in integers]


def _plane_basis(p: list[int]) -> NDArray[np.int64]:
    """Return unimodular rows m1, m2, m3 with p·m1 = p·m2 = 0 and p·m3 = 1, for coprime p (extended Euclid twice)."""
    if p[0] == 0 and p[1] == 0:
        return np.array([[1, 0, 0], [0, 1, 0], [0, 0, p[2]]])
    g, x, y = _euclid(p[0], p[1])
    _, s, t = _euclid(g, p[2])
    return np.array([[p[1] // g, -p[0] // g, 0], [x * p[2], y * p[2], -g], [s * x, s * y, t]])


def _euclid(a: int, b: int) -> tuple[int, int, int]:
    """Return (g, x, y) with a x + b y = g = gcd(a, b) > 0."""
    if b == 0:
        return abs(a), (1 if a >= 0 else -1), 0
    g, x, y = _euclid(b, a % b)
    return g, y, x - (a // b) * y


def _reduced(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the two shortest vectors of a plane lattice (Gauss)."""
    while True:
        if first @ first > second @ second + 1e-9:
            first, second = second, first
        turns = np.rint(first @ second / (first @ first))
        # Half turns are ties: stopping at them keeps the loop finite.
        if turns == 0 or abs(abs(first @ second / (first @ first)) - 0.5) < 1e-9:
            return first, second
        second = second - turns * first
