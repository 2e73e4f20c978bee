"""The strain energy of any potential as a polynomial of strain, fitted to a few evaluations of the unit cell."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from mpi4py import MPI

from atomistic.cauchy_born.base import (
    Array,
    checked_deformation,
    first_piola,
    first_tangent,
    from_voigt,
    green_lagrange,
    strain_rotation,
    stretch_of,
)
from atomistic.cauchy_born.polynomials import Monomials, invariants
from atomistic.cauchy_born.unit_cell import StrainedState, UnitCell
from atomistic.crystal import Crystal
from atomistic.elasticity import VOIGT
from atomistic.errors import CauchyBornError
from atomistic.orientation import Orientation
from atomistic.potentials.base import Potential
from atomistic.ranks import spread
from atomistic.structures import find_structure, point_group

#: States that the fit never sees: within the range, and at the distance up to which results are still accepted.
_HELD_OUT, _BEYOND = 12, 4
#: A result strained up to this many ranges is accepted with a warning, and refused beyond.
ACCEPTED = 1.5
#: Equations (an energy and six stresses for each state) for each unknown; the residual then averages noise out.
_REDUNDANCY = 6
#: The states' largest principal strains over the range: most of them near its edge, where higher orders show.
_RADII = (1.0, 0.9, 0.7, 0.4, 0.2)


@dataclass(frozen=True, kw_only=True, eq=False)
class ExpandedCauchyBorn:
    """W(F) as a polynomial of the Green–Lagrange strain E = (FᵀF − I)/2 about the crystal's own lattice constant.

    Depends on F through FᵀF only, so it is frame indifferent; has the crystal's symmetry exactly; S = ∂W/∂E and ∂S/∂E are
    its derivatives. It can be evaluated at any F and stays smooth and finite, so that iterations may overshoot, but means
    something only within its range: see `check_range`.

    Attributes:
        potential: the name of the potential.
        order: highest power of strain.
        largest_strain: the range: largest magnitude of a principal Green–Lagrange strain in the fit.
        coefficients: (K + 1,), of the monomials of strain in the crystal's axes (`Monomials`), eV/Å³.
        rest_energy: W(I), eV/Å³.
        rotation: (3, 3), rows are the axes of F in the crystal's.
        evaluations: of the unit cell, all in all.
        misfit: largest error of a component of S over held-out states within the range, eV/Å³.
        rms_misfit: the root mean square of those errors, eV/Å³.
        misfit_beyond: largest error of a component of S at 1.5 times the range, eV/Å³.
        residual_stress: (6,), S of the potential's own unit cell at F = I, Voigt, eV/Å³; zero for a relaxed crystal.
        stiffness_mismatch: largest difference between the second-order constants and `Crystal.stiffness`, over the largest
            constant.
    """

    potential: str
    order: int
    largest_strain: float
    coefficients: Array
    rest_energy: float
    rotation: Array
    evaluations: int
    misfit: float
    rms_misfit: float
    misfit_beyond: float
    residual_stress: Array
    stiffness_mismatch: float

    def energy(self, deformation: Array) -> Array:
        """Return W(F), (n,), eV/Å³."""
        strain = self._strain(deformation)
        return self.rest_energy + self._monomials.evaluate(strain, self.coefficients, order=self.order)

    def stress(self, deformation: Array) -> Array:
        """Return P(F) = F S, (n, 3, 3), eV/Å³."""
        strain = self._strain(deformation)
        return first_piola(np.asarray(deformation, dtype=float), self._second(strain))

    def tangent(self, deformation: Array) -> Array:
        """Return ∂P/∂F, (n, 3, 3, 3, 3), eV/Å³."""
        strain = self._strain(deformation)
        moduli = self._monomials.evaluate(strain, self._moduli_coefficients, order=self.order - 2)
        return first_tangent(np.asarray(deformation, dtype=float), self._second(strain), moduli)

    @property
    def stiffness(self) -> Array:
        """Second-order constants at E = 0, (6, 6), Voigt, eV/Å³, in the axes of F."""
        return np.array(self._moduli_coefficients[0])

    def strain_over_range(self, deformation: Array) -> Array:
        """Return the largest principal |E| of each point over the range, (n,): above one the polynomial extrapolates."""
        strain = green_lagrange(checked_deformation(deformation)) * np.array([1, 1, 1, 0.5, 0.5, 0.5])
        return np.abs(np.linalg.eigvalsh(from_voigt(strain))).max(axis=1) / self.largest_strain

    def check_range(self, deformation: Array, *, weights: Array | None = None) -> float:
        """Return the largest strain over the range among the points that carry weight; call it with a converged state.

        Up to the range the held-out misfit holds. Up to 1.5 times the range a warning states the misfit measured there.
        Beyond that the result is refused.

        Args:
            deformation: F, (n, 3, 3).
            weights: (n,), of the points in the energy; those without weight may be strained as they like.

        Raises:
            CauchyBornError: a strain beyond 1.5 times the range.
        """
        strains = self.strain_over_range(deformation)
        if weights is not None:
            strains = np.where(np.asarray(weights) > 0.0, strains, 0.0)
        largest = float(strains.max(initial=0.0))
        many = f"{int(np.sum(strains > 1.0))} of {len(strains)} points"
        if largest > ACCEPTED:
            raise CauchyBornError(
                f"The continuum is strained by {100 * largest * self.largest_strain:.1f}%; its strain energy was fitted up "
                f"to {100 * self.largest_strain:.1f}% and is accepted up to {ACCEPTED} times that ({many} are beyond the "
                f"fit). Make the atomistic zone larger, fit with largest_strain={largest * self.largest_strain:.3f}, or "
                "take a potential with an exact Cauchy–Born energy."
            )
        if largest > 1.0:
            warnings.warn(
                f"{many} of the continuum are strained beyond the {100 * self.largest_strain:.1f}% of the fit, the farthest "
                f"by {100 * largest * self.largest_strain:.1f}%: stresses there may be off by {self.misfit_beyond:.1e} eV/Å³.",
                stacklevel=2,
            )
        return largest

    @cached_property
    def _monomials(self) -> Monomials:
        return Monomials(order=self.order)

    @cached_property
    def _turn(self) -> Array:
        """Turns Voigt strains from the axes of F into the crystal's."""
        return strain_rotation(self.rotation.T)

    @cached_property
    def _stress_coefficients(self) -> Array:
        """Of S in the axes of F, (count, 6)."""
        first = self._monomials.derivative(self.coefficients)
        return first[: self._monomials.count(self.order - 1)] @ self._turn

    @cached_property
    def _moduli_coefficients(self) -> Array:
        """Of ∂S/∂E in the axes of F, (count, 6, 6)."""
        second = self._monomials.derivative(self._monomials.derivative(self.coefficients))
        second = second[: self._monomials.count(self.order - 2)]
        return np.asarray(self._turn.T @ second @ self._turn)

    def _strain(self, deformation: Array) -> Array:
        """Return E in the crystal's axes, (n, 6)."""
        return green_lagrange(checked_deformation(deformation)) @ self._turn.T

    def _second(self, strain: Array) -> Array:
        """Return S in the axes of F, (n, 6), from E in the crystal's."""
        return self._monomials.evaluate(strain, self._stress_coefficients, order=self.order - 1)


def expand_cauchy_born(
    potential: Potential,
    crystal: Crystal,
    orientation: Orientation | None = None,
    *,
    order: int = 4,
    largest_strain: float = 0.03,
    largest_misfit: float = 0.02,
    fmax: float | None = None,
    comm: MPI.Comm | None = None,
) -> ExpandedCauchyBorn:
    """Fit W(E) to energies and stresses of the strained unit cell, inner shifts relaxed.

    The unknowns are the polynomials that have the symmetry of the crystal's Laue class (cubic, fourth order: 21 instead of
    209), so some 20 states suffice; W(I) is exact. Least squares over S and W − W(I) divided by the largest strain, which
    have the same unit and the same size of error.

    Args:
        potential: gives energies, forces and stresses.
        crystal: relaxed with the same potential.
        orientation: the axes of F; None for the crystal's own.
        order: highest power of strain, at least 2.
        largest_strain: largest magnitude of a principal Green–Lagrange strain.
        largest_misfit: of held-out stresses, over the largest of them; more is refused.
        fmax: largest force left on an atom of the basis, eV/Å.
        comm: ranks among which the states are shared out.

    Raises:
        CauchyBornError: an order or range that cannot be fitted, or a misfit above `largest_misfit`.
    """
    if isinstance(order, bool) or not isinstance(order, int) or not 2 <= order <= 6:
        raise CauchyBornError(f"The order of the expansion must be a whole number from 2 to 6; got {order!r}.")
    if not 1e-3 <= largest_strain <= 0.2:
        raise CauchyBornError(f"The largest strain must lie between 0.001 and 0.2; got {largest_strain!r}.")
    if not largest_misfit > 0.0:
        raise CauchyBornError(f"The largest misfit must be a positive part of the stress; got {largest_misfit!r}.")
    monomials = Monomials(order=order)
    shapes = invariants(monomials, point_group(find_structure(crystal.structure, crystal.symbols)))
    fitted = max(12, math.ceil(_REDUNDANCY * shapes.shape[1] / 7))
    radii = np.concatenate(
        [np.zeros(1), np.resize(_RADII, fitted), np.linspace(0.3, 1.0, _HELD_OUT), np.full(_BEYOND, ACCEPTED)]
    )
    strains = largest_strain * radii[:, None] * _directions(len(radii))
    cell = UnitCell(potential, crystal, fmax=fmax)
    preparation = cell.prepare()
    states: list[StrainedState] = spread(
        list(strains), lambda strain: cell.at(stretch_of(strain)), potential=potential, comm=comm
    )
    energies = np.array([state.energy for state in states])
    stresses = np.array([state.stress for state in states])
    gradients = monomials.derivative(shapes)
    lower = monomials.values(strains, order - 1)
    energy_rows = monomials.values(strains, order) @ shapes
    stress_rows = np.einsum("nk,kuv->nvu", lower, gradients[: lower.shape[1]])
    # The linear terms are the stress at rest itself: fitted, they would put errors of higher orders on the body at rest.
    first = monomials.degrees[np.abs(shapes[1:]).argmax(axis=0)] == 1
    unknowns = np.zeros(shapes.shape[1])
    unknowns[first] = np.linalg.lstsq(stress_rows[0][:, first], stresses[0], rcond=None)[0]
    inside = slice(1, 1 + fitted)
    # Relative errors: small strains, of which most of a body consists, count like large ones.
    weights = 1.0 / radii[inside]
    rows = np.concatenate(
        [
            (energy_rows[inside] * (weights / largest_strain)[:, None]),
            (stress_rows[inside] * weights[:, None, None]).reshape(-1, len(unknowns)),
        ]
    )
    known = np.concatenate(
        [energies[inside] * (weights / largest_strain), (stresses[inside] * weights[:, None]).ravel()]
    )
    known -= rows @ unknowns
    # One power of strain makes columns of different degree as different as 1e-6: scaled, they are well conditioned.
    rows = rows[:, ~first]
    sizes = np.linalg.norm(rows, axis=0)
    unknowns[~first] = np.linalg.lstsq(rows / sizes, known, rcond=None)[0] / sizes
    errors = np.abs(stress_rows @ unknowns - stresses)
    held_out, beyond = errors[1 + fitted : -_BEYOND], errors[-_BEYOND:]
    largest = float(np.abs(stresses[1 + fitted : -_BEYOND]).max())
    if held_out.max() > largest_misfit * largest:
        raise CauchyBornError(
            f"A polynomial of order {order} misses the stress of {potential.capabilities.name!r} by {held_out.max():.1e} "
            f"eV/Å³ up to strains of {100 * largest_strain:.1f}%, where stresses reach {largest:.1e} eV/Å³; at most "
            f"{100 * largest_misfit:g}% is accepted. Take a smaller largest_strain or a higher order."
        )
    expanded = ExpandedCauchyBorn(
        potential=potential.capabilities.name,
        order=order,
        largest_strain=float(largest_strain),
        coefficients=shapes @ unknowns,
        rest_energy=cell.rest_energy,
        rotation=np.eye(3) if orientation is None else np.array(orientation.rotation),
        evaluations=preparation + sum(state.calls for state in states),
        misfit=float(held_out.max()),
        rms_misfit=float(np.sqrt(np.mean(held_out**2))),
        misfit_beyond=float(beyond.max()),
        residual_stress=stresses[0] @ strain_rotation(np.eye(3) if orientation is None else orientation.rotation.T),
        stiffness_mismatch=0.0,
    )
    expected = crystal.stiffness if orientation is None else orientation.stiffness
    mismatch = float(np.abs(expanded.stiffness - expected).max() / np.abs(expected).max())
    return replace(expanded, stiffness_mismatch=mismatch)


def _directions(count: int) -> Array:
    """Return strains in Voigt order (count, 6) whose largest principal magnitude is one, always the same ones."""
    random = np.random.default_rng(20240229)
    principal = random.uniform(-1.0, 1.0, size=(count, 3))
    principal /= np.abs(principal).max(axis=1, keepdims=True)
    axes = np.linalg.qr(random.normal(size=(count, 3, 3)))[0]
    tensors = np.einsum("nip,np,njp->nij", axes, principal, axes)
    return np.stack([tensors[:, p, q] * (1.0 if p == q else 2.0) for p, q in VOIGT], axis=1)
