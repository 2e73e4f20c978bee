"""Surface energies from slabs of several thicknesses, with the crystal's energy taken from the slabs themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.builders import build_stack, lattice_period
from atomistic.crystal import Crystal
from atomistic.decohesion import relaxed_work_of_separation, thickness_convergence
from atomistic.errors import PropertyError
from atomistic.potentials.base import Potential
from atomistic.ranks import spread

Array = NDArray[np.float64]
#: Heights of the slabs where nobody says otherwise, Å.
HEIGHTS = (16.0, 24.0, 32.0)


@dataclass(frozen=True, kw_only=True)
class ThicknessFit:
    """A line through the energies of slabs over their number of atoms.

    Attributes:
        energy: γ = intercept/2A, eV/Å².
        drift: slope less the energy per atom of the crystal, eV.
        uncertainty: the larger of what γ changes by with the thinnest slab left out and with the crystal's own energy per atom in
            the place of the slope, eV/Å².
        work: (n,) [E_slab − N e_crystal]/A = 2γ by each slab alone, eV/Å².
    """

    energy: float
    drift: float
    uncertainty: float
    work: Array


@dataclass(frozen=True, kw_only=True)
class SurfaceEnergy:
    """What a surface of a crystal costs: the mean of the two faces of a slab, which may differ in a compound.

    Attributes:
        plane: Miller indices.
        planes: (n,) planes of atoms in each slab.
        atoms: (n,) atoms in each slab.
        area: of the smallest cell in the plane, Å².
        unrelaxed: every atom where it is in the crystal.
        relaxed: the atoms at rest in the smallest cell of the plane (1 × 1): surfaces that would reconstruct in a larger one do
            not. None where it was not asked for.
        potential: its name.
    """

    plane: tuple[int, ...]
    planes: tuple[int, ...]
    atoms: tuple[int, ...]
    area: float
    unrelaxed: ThicknessFit
    relaxed: ThicknessFit | None
    potential: str


def surface_energy(
    potential: Potential,
    crystal: Crystal,
    *,
    plane: Sequence[int],
    planes: Sequence[int] | None = None,
    cut: str | int = "widest",
    relax: bool = True,
    fmax: float = 1e-3,
    comm: MPI.Comm | None = None,
) -> SurfaceEnergy:
    """Return the energy of a surface by slabs of several thicknesses.

    E_slab(N) = 2γA + N e: intercept and slope of one line give γ with the energy per atom that the slabs have themselves. An
    energy of the crystal from elsewhere, off by δ, makes γ diverge as N δ/2A (Boettger 1994, Phys. Rev. B 49, 16798; Fiorentini
    and Methfessel 1996, J. Phys.: Condens. Matter 8, 6525); the difference of the two tells how well they agree.

    Args:
        potential: gives energies and, where relaxed, forces.
        crystal: relaxed with the same potential.
        plane: Miller indices.
        planes: of atoms in each slab, ascending; rounded up to whole lattice planes. By default `slab_planes`.
        cut: which gap becomes the surface, as of `build_stack`.
        relax: whether to relax the atoms too.
        fmax: largest force left on an atom, eV/Å.
        comm: ranks among which the slabs are shared out.

    Raises:
        InvalidPlaneError: no such plane.
        PropertyError: fewer than two different thicknesses.
        RelaxationError: a surface does not come to rest.
    """
    wanted = slab_planes(crystal, plane=plane) if planes is None else tuple(planes)
    stacks = {}
    for count in wanted:
        stack = build_stack(crystal, plane=plane, n_planes=count, cut=cut)
        stacks[stack.n_planes] = stack
    if len(stacks) < 2:
        raise PropertyError(
            f"A surface energy needs slabs of at least two thicknesses; {list(wanted)} planes of {tuple(plane)} give "
            f"{list(stacks)}. Take thicker ones too."
        )
    counts = sorted(stacks)
    atoms = np.array([len(stacks[n].atoms) for n in counts])
    area = stacks[counts[0]].area
    rigid = thickness_convergence(potential, crystal, plane=plane, n_planes=counts, cut=cut, comm=comm)
    relaxed = None
    if relax:

        def rested(count: int) -> float:
            return relaxed_work_of_separation(potential, crystal, plane=plane, n_planes=count, cut=cut, fmax=fmax)

        relaxed = fit_thickness(atoms, np.array(spread(counts, rested, potential=potential, comm=comm)), area=area)
    return SurfaceEnergy(
        plane=stacks[counts[0]].plane,
        planes=tuple(counts),
        atoms=tuple(int(n) for n in atoms),
        area=area,
        unrelaxed=fit_thickness(atoms, np.array([rigid[n] for n in counts]), area=area),
        relaxed=relaxed,
        potential=potential.capabilities.name,
    )


def slab_planes(crystal: Crystal, *, plane: Sequence[int], heights: Sequence[float] = HEIGHTS) -> tuple[int, ...]:
    """Return how many planes of atoms make slabs at least so high (Å), in whole lattice planes."""
    period = lattice_period(crystal, plane=plane)
    counts = {max(2, math.ceil(height / period.height) * period.n_planes) for height in heights}
    return tuple(sorted(counts))


def fit_thickness(atoms: NDArray[np.int64], work: Array, *, area: float) -> ThicknessFit:
    """Fit the works of separation (n,), eV/Å², of slabs of so many atoms (n,) by 2γ + N δ/A, with δ the slope's drift.

    This is the line through the energies of the slabs themselves, written about the energy of the crystal, where no digits are
    lost.
    """
    slope, intercept = np.polyfit(atoms, work, 1)
    energy = 0.5 * float(intercept)
    changes = [abs(energy - 0.5 * float(work[-1]))]
    if len(atoms) > 2:
        changes.append(abs(energy - 0.5 * float(np.polyfit(atoms[1:], work[1:], 1)[1])))
    return ThicknessFit(energy=energy, drift=float(slope * area), uncertainty=max(changes), work=work)
