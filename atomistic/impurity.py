"""A foreign atom in the gap between two lattice planes, or in place of an atom beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from atomistic.builders import Stack, build_stack
from atomistic.crystal import Crystal
from atomistic.errors import InterstitialError
from atomistic.interstitials import find_interstitials

Site = Literal["octahedral", "tetrahedral", "substitutional", "largest"]
Face = Literal["lower", "upper"]

#: A hole belongs to the gap where it lies between the planes that part, to this share of the gap.
_IN_GAP = 0.51


@dataclass(frozen=True, kw_only=True)
class ImpureStack:
    """A periodic stack of lattice planes with a foreign atom in the gap that opens, or in place of an atom beside it.

    Attributes:
        stack: of the host alone, its cell repeated in the plane; the gap is between the last plane and the next period.
        atoms: with the foreign atom, the last one; before anything is relaxed.
        element: its chemical symbol.
        site: octahedral, tetrahedral, substitutional or largest.
        radius: of the hole, distance to its nearest atom, Å; of a substitutional atom that of its neighbours.
    """

    stack: Stack
    atoms: Atoms
    element: str
    site: Site
    radius: float

    @property
    def row(self) -> int:
        """Number of the foreign atom."""
        return len(self.atoms) - 1

    @property
    def coverage(self) -> float:
        """Foreign atoms per atom of the plane that they stand over."""
        hosts = int((self.stack.plane_of_atom == self.stack.n_planes - 1).sum())
        return 1.0 / (hosts + (self.site == "substitutional"))

    @property
    def faces(self) -> tuple[Face, ...]:
        """Sides on which it may stay: a substitutional atom belongs to its own."""
        return ("lower",) if self.site == "substitutional" else ("lower", "upper")


def build_impure_stack(
    crystal: Crystal,
    *,
    plane: Sequence[int],
    n_planes: int,
    element: str,
    site: Site = "octahedral",
    repeat: tuple[int, int] = (1, 1),
    cut: str | int = "widest",
) -> ImpureStack:
    """Put a foreign atom into the gap of a stack of perfect planes.

    Args:
        crystal: the host, relaxed.
        plane: Miller indices.
        n_planes: in one period.
        element: chemical symbol of the foreign atom.
        site: the hole it takes, the one nearest to the middle of the gap; or the place of an atom beside it.
        repeat: cells of the plane that share it.
        cut: which gap.

    Raises:
        InterstitialError: no such element, no such hole in this gap, a cell that is not repeated a whole number of times.
        InvalidPlaneError: no such plane.
    """
    if element not in atomic_numbers:
        raise InterstitialError(f"{element!r} is no chemical symbol. Write, for example, H.")
    if len(repeat) != 2 or any(int(n) != n or n < 1 for n in repeat):
        raise InterstitialError(f"repeat is two whole numbers of cells of the plane, at least 1; got {repeat!r}.")
    stack = build_stack(crystal, plane=plane, n_planes=n_planes, cut=cut).repeated(*repeat)
    atoms = stack.atoms.copy()
    top = atoms.positions[stack.plane_of_atom == stack.n_planes - 1]
    height = float(top[:, 2].mean())
    if site == "substitutional":
        own = int(np.flatnonzero(stack.plane_of_atom == stack.n_planes - 1)[0])
        radius = float(np.sort(atoms.get_distances(own, range(len(atoms)), mic=True))[1])
        position = atoms.positions[own].copy()
        del atoms[own]
        kept = np.arange(len(stack.atoms)) != own
        stack = replace(stack, atoms=atoms.copy(), plane_of_atom=stack.plane_of_atom[kept])
    else:
        middle = height + 0.5 * stack.cut_gap
        holes = find_interstitials(atoms, near=[*top[0, :2], middle], kind=site)
        above = [(hole, _above(hole.position[2] - height, atoms.cell.array[2, 2])) for hole in holes]
        inside = [(h, lift) for h, lift in above if abs(lift / stack.cut_gap - 0.5) < _IN_GAP]
        if not inside:
            kinds = ", ".join(sorted({hole.kind for hole in find_interstitials(atoms)})) or "no"
            raise InterstitialError(
                f"There is no {site} hole in the gap of {stack.cut_gap:.2f} Å between planes {stack.plane} of the crystal, which "
                f"has {kinds} holes. Write another site, for example largest, or another plane or cut."
            )
        hole, lift = min(inside, key=lambda pair: abs(round(pair[1] / stack.cut_gap - 0.5, 6)))
        turns = round((hole.position[2] - height - lift) / atoms.cell.array[2, 2])
        position, radius = hole.position - turns * atoms.cell.array[2], hole.radius
    atoms.append(element)
    atoms.positions[-1] = position
    return ImpureStack(stack=stack, atoms=atoms, element=element, site=site, radius=radius)


def _above(height: float, period: float) -> float:
    """A height over the last plane, brought into the period that holds the gap."""
    return (height + 0.25 * period) % period - 0.25 * period
