"""A free slab whose upper half is shifted, its atoms relaxed along the normal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from atomistic.builders import Stack, build_stack
from atomistic.crystal import Crystal
from atomistic.potentials.base import Capabilities, Evaluation, Potential
from atomistic.pulling import checked_force, full_opening, normal_moduli
from atomistic.relaxation import minimise, springs

Array = NDArray[np.float64]
#: A gap that is wider by less (Å) is as wide.
_WIDER = 1e-3


@dataclass(frozen=True)
class _AlongNormal:
    """A potential that shows forces along z alone, so that relaxation leaves the plane as it is."""

    potential: Potential

    @property
    def capabilities(self) -> Capabilities:
        """Those of the potential."""
        return self.potential.capabilities

    def evaluate(self, atoms: Atoms) -> Evaluation:
        """Energy and forces along z."""
        result = self.potential.evaluate(atoms)
        return replace(result, forces=result.forces * np.array([0.0, 0.0, 1.0]))


class SlabShear:
    """A free slab of twice the stack's planes; its upper half can be shifted in the plane.

    Where the sheared gap is narrower than the next one, as the glide set's, the outermost planes are left out: they would hang by
    fewer bonds than any surface's.

    Args:
        potential: gives energies and forces.
        crystal: that the stack was built from.
        stack: one half of the slab; its cut gap is the one that is sheared.
        fmax: largest force left along the normal, eV/Å.

    Raises:
        InvalidCurveError: fmax is not positive.
    """

    def __init__(self, potential: Potential, crystal: Crystal, stack: Stack, *, fmax: float, cut: str | int) -> None:
        checked_force(fmax)
        self.potential, self.fmax = potential, fmax
        whole = build_stack(crystal, plane=stack.plane, n_planes=2 * stack.n_planes, cut=cut)
        number = whole.plane_of_atom
        first = int(whole.gaps[0] > whole.cut_gap + _WIDER)
        last = whole.n_planes - 1 - int(whole.gaps[-2] > whole.cut_gap + _WIDER)
        kept = np.flatnonzero((number >= first) & (number <= last))
        number = number[kept]
        self.slab = whole.opened(full_opening(potential, whole, 0.0))[kept]
        self.upper = number >= stack.n_planes
        self.faces = [np.flatnonzero(number == stack.n_planes - k) for k in (0, 1)]
        self.area = stack.area
        inverse = springs(whole, moduli=normal_moduli(crystal, whole), crossing=False)
        inverse[np.arange(len(inverse)) % 3 != 2] = 0.0
        entries = (3 * kept[:, None] + np.arange(3)).ravel()
        self._inverse = inverse[np.ix_(entries, entries)]

    def at(self, shift: Sequence[float] | Array) -> Array:
        """Return energy/area (eV/Å²), tractions along the in-plane axes and the normal (eV/Å³), width of the gap (Å).

        Args:
            shift: (2,) Å of the upper half, in the stack's axes.
        """
        start = self.slab.copy()
        start.positions[self.upper, :2] += np.asarray(shift)
        relaxed = minimise(_AlongNormal(self.potential), start, inverse_hessian=self._inverse, fmax=self.fmax)
        forces = self.potential.evaluate(relaxed.atoms).forces
        pull = -forces[self.upper].sum(axis=0) / self.area
        heights = relaxed.atoms.positions[:, 2]
        gap = heights[self.faces[0]].mean() - heights[self.faces[1]].mean()
        return np.array([relaxed.energy / self.area, *pull, gap])
