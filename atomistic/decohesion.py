"""Pulling a crystal apart along a lattice plane: rigid separation and works of separation.

Stacks whose atoms relax are in `atomistic.stacks`, strain of the perfect crystal is in `atomistic.uniaxial`; their functions
can be imported from here too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from mpi4py import MPI
from numpy.typing import ArrayLike, NDArray

from atomistic.builders import Stack, build_stack
from atomistic.crystal import Crystal
from atomistic.curves import SeparationCurve, StackCurve, UberFit, UniaxialResponse, fit_uber
from atomistic.errors import InvalidCurveError
from atomistic.potentials.base import Potential
from atomistic.pulling import checked_force, checked_path, energy_noise, full_opening, normal_moduli, traction_of
from atomistic.ranks import on_first_rank, spread
from atomistic.relaxation import minimise, springs
from atomistic.stacks import stack_separation, stretch_stack
from atomistic.uniaxial import uniaxial_response

__all__ = [
    "SeparationCurve",
    "StackCurve",
    "UberFit",
    "UniaxialResponse",
    "default_openings",
    "fit_uber",
    "relaxed_work_of_separation",
    "rigid_separation",
    "stack_separation",
    "stretch_stack",
    "thickness_convergence",
    "uniaxial_response",
]


def default_openings(*, to: float = 6.0, points: int = 24) -> NDArray[np.float64]:
    """Return openings from 0 to `to` (Å), dense where the traction lives.

    Three quarters lie evenly below half of the range; beyond 3 Å there is little but the noise of single precision.
    """
    if points < 4 or not to > 0.0:
        raise InvalidCurveError(f"Expected at least 4 openings up to a positive length; got {points} up to {to} Å.")
    dense = points * 3 // 4
    return np.concatenate(
        [np.linspace(0.0, to / 2.0, dense, endpoint=False), np.linspace(to / 2.0, to, points - dense)]
    )


def rigid_separation(
    potential: Potential,
    crystal: Crystal,
    *,
    plane: Sequence[int],
    openings: ArrayLike | None = None,
    n_planes: int = 10,
    cut: str | int = "widest",
    comm: MPI.Comm | None = None,
) -> SeparationCurve:
    """Pull a crystal apart along a plane with every atom fixed where it is in the perfect crystal.

    The cell is a periodic stack of planes with one cut in each period, half the atoms of a slab with two surfaces of the
    same thickness. Its third cell vector grows by the opening Δ along the normal. With L_z the period,

        φ(Δ) = [E(Δ) − E(0)]/A,      T = dφ/dΔ = (V σ_zz + Σ_i f_iz z_i)/(L_z A):

    the stress is the derivative by a strain that moves the atoms with the cell, and the second term takes that motion back.

    Args:
        potential: gives energies, forces and stresses.
        crystal: relaxed with the same potential.
        plane: Miller indices.
        openings: ascending from 0, Å; by default `default_openings()`.
        n_planes: in one period.
        cut: which gap to open, "widest", "narrowest" or its number.
        comm: ranks among which the openings are shared out; every rank gets the whole curve.

    Raises:
        InvalidPlaneError: no such plane.
        InvalidCurveError: openings that do not ascend from 0, or too few planes.
    """
    gaps = checked_path(default_openings() if openings is None else openings, name="openings")
    stack = build_stack(crystal, plane=plane, n_planes=n_planes, cut=cut)
    return rigid_curve(
        potential,
        stack,
        lambda opening: separated(potential, stack, opening),
        openings=gaps,
        far=full_opening(potential, stack, gaps[-1]),
        noise=energy_noise(potential, crystal, stack),
        comm=comm,
    )


def rigid_curve(
    potential: Potential,
    stack: Stack,
    at: Callable[[float], tuple[float, float]],
    *,
    openings: NDArray[np.float64],
    far: float,
    noise: float,
    comm: MPI.Comm | None,
) -> SeparationCurve:
    """Return the curve of a stack whose halves keep their shape, from what it does at each opening (collective).

    Args:
        potential: that `at` asks.
        stack: whose gap opens.
        at: energy per area (eV/Å²) and traction (eV/Å³) at an opening (Å).
        openings: (n,), ascending from 0, Å.
        far: opening at which the halves no longer feel each other, Å.
        noise: what the potential's precision leaves uncertain in an energy, eV/Å².
        comm: ranks among which the openings are shared out.
    """
    path = openings if far == openings[-1] else np.append(openings, far)
    energies, tractions = np.array(spread(list(path), at, potential=potential, comm=comm)).T
    energies = energies - energies[0]
    return SeparationCurve(
        opening=openings,
        energy=energies[: len(openings)],
        traction=tractions[: len(openings)],
        mode="rigid",
        n_planes=stack.n_planes,
        area=stack.area,
        spacing=stack.spacing,
        length=stack.cut_gap,
        work_of_separation=float(energies[-1]),
        plane=stack.plane,
        potential=potential.capabilities.name,
        noise=noise,
    )


def separated(potential: Potential, stack: Stack, opening: float) -> tuple[float, float]:
    """Return energy per area (eV/Å²) and traction (eV/Å³) of a stack opened rigidly by `opening` (Å)."""
    atoms = stack.opened(opening)
    result = potential.evaluate(atoms)
    return result.energy / stack.area, traction_of(result, atoms.positions, atoms.cell.array) / stack.area


def relaxed_work_of_separation(
    potential: Potential,
    crystal: Crystal,
    *,
    plane: Sequence[int],
    n_planes: int = 10,
    cut: str | int = "widest",
    fmax: float = 1e-3,
    comm: MPI.Comm | None = None,
) -> float:
    """Return the work of separation with both surfaces relaxed, eV/Å²: [E_slab − N e_crystal]/A.

    Args:
        potential: gives energies and forces.
        crystal: relaxed with the same potential.
        plane: Miller indices.
        n_planes: of the free slab.
        cut: which gap is opened.
        fmax: largest force left on an atom, eV/Å; the energy's error is of second order in it.
        comm: where given, its first rank computes and all get the number.

    Raises:
        RelaxationError: the surfaces do not come to rest.
    """
    checked_force(fmax)
    stack = build_stack(crystal, plane=plane, n_planes=n_planes, cut=cut)

    def compute() -> float:
        slab = stack.opened(full_opening(potential, stack, 0.0))
        model = springs(stack, moduli=normal_moduli(crystal, stack), crossing=False)
        relaxed = minimise(potential, slab, inverse_hessian=model, fmax=fmax)
        return (relaxed.energy - len(slab) * crystal.energy_per_atom) / stack.area

    return on_first_rank(compute, potential=potential, comm=comm)


def thickness_convergence(
    potential: Potential,
    crystal: Crystal,
    *,
    plane: Sequence[int],
    n_planes: Sequence[int] = (6, 10, 14),
    cut: str | int = "widest",
    comm: MPI.Comm | None = None,
) -> dict[int, float]:
    """Return the rigid work of separation (eV/Å²) for several numbers of planes.

    One evaluation each: the energy of the perfect crystal is known from its primitive cell.
    """
    stacks = [build_stack(crystal, plane=plane, n_planes=n, cut=cut) for n in n_planes]

    def work(stack: Stack) -> float:
        atoms = stack.opened(full_opening(potential, stack, 0.0))
        return (potential.evaluate(atoms).energy - len(atoms) * crystal.energy_per_atom) / stack.area

    works = spread(stacks, work, potential=potential, comm=comm)
    return {stack.n_planes: value for stack, value in zip(stacks, works, strict=True)}
