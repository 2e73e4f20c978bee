"""Does a law taken from atoms predict what atoms do? Stacks of crystal planes, pulled apart, say so.

A stack of N planes of period L = N·d is elastic crystal and one cohesive interface. Its curves of energy and stress
against elongation follow from the law and the crystal's elasticity; atoms compute them independently. With the elasticity
taken out of the law once, the two agree; with a law that still holds it, the elasticity counts twice and they do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

from atomistic.decohesion import StackCurve
from coupling.elasticity import UniaxialElasticity
from coupling.errors import InvalidCurveError

Array = NDArray[np.float64]
# Openings of one gap that follow each other by less (Å) are one place.
LEAST_GAIN = 1e-3


class LawTable(Protocol):
    """A law as arrays along its path: opening (n,) Å, potential (n,) eV/Å², traction (n,) eV/Å³."""

    @property
    def opening(self) -> Array:
        """δ (n,) Å."""

    @property
    def potential(self) -> Array:
        """ψ (n,) eV/Å²."""

    @property
    def traction(self) -> Array:
        """T (n,) eV/Å³."""


@dataclass(frozen=True, kw_only=True)
class GapCurve:
    """The separation curve of a single gap: opening (n,) Å, energy (n,) eV/Å², traction (n,) eV/Å³ or None."""

    opening: Array
    energy: Array
    traction: Array | None


@dataclass(frozen=True, kw_only=True)
class PathLaw:
    """A law along the path of a stack, which may turn back: opening (n,) Å, potential (n,) eV/Å², traction (n,) eV/Å³."""

    opening: Array
    potential: Array
    traction: Array


def law_of_stack(stack: StackCurve, elasticity: UniaxialElasticity | None, *, spacing: float) -> PathLaw:
    """A stack's equilibrium branch as a law: δ = ū − N d ε(T), ψ = E/A − N d w(ε(T)); as it is where no elasticity is given.

    Point by point, so it may fold; it serves to predict stacks. What finite elements need, a function of the opening,
    `reduce_to_gap` and `coupling.cohesive.extract_law` give.

    Args:
        stack: the equilibrium branch.
        elasticity: what is taken out; None for nothing.
        spacing: of the planes, d (Å).
    """
    traction = np.asarray(stack.traction, float)
    opening, potential = np.asarray(stack.elongation, float), np.asarray(stack.energy, float)
    if elasticity is not None:
        length = stack.n_planes * spacing
        opening = opening - length * elasticity.strain(traction)
        potential = potential - length * elasticity.energy_density(traction)
    return PathLaw(opening=opening, potential=potential, traction=traction)


@dataclass(frozen=True, kw_only=True)
class StackPath:
    """A stack's equilibrium path.

    Attributes:
        elongation: ū (n,) Å.
        energy: E/A (n,) eV/Å² above the perfect stack.
        stress: T (n,) eV/Å³.
    """

    elongation: Array
    energy: Array
    stress: Array

    def at(self, elongation: Array) -> tuple[Array, Array]:
        """Energy and stress at given elongations on the loading branch: from zero to where the elongation turns back.

        Between the points the energy is the cubic Hermite polynomial whose slope is the stress, and the stress a monotone
        cubic. NaN beyond the turning point, where under prescribed elongation the stack breaks.
        """
        turns = np.flatnonzero(np.diff(self.elongation) <= 0)
        last = int(turns[0]) + 1 if len(turns) else len(self.elongation)
        ubar, energy, stress = self.elongation[:last], self.energy[:last], self.stress[:last]
        inside = np.where(np.asarray(elongation) <= ubar[-1], elongation, np.nan)
        return CubicHermiteSpline(ubar, energy, stress)(inside), PchipInterpolator(ubar, stress)(inside)


def reduce_to_gap(stack: StackCurve, elasticity: UniaxialElasticity, *, spacing: float) -> tuple[Array, Array, Array]:
    """Take the elasticity of all gaps but one out of a stack's equilibrium branch.

        Δ = ū − (N−1) d ε(T),        φ = E/A − (N−1) d w(ε(T)).

    What remains is the separation curve of one gap, with the relaxation of the surfaces in it; `extract_law` takes the
    last gap's elasticity out with length = d. In two stages because the elongation of a stack turns back beyond the peak,
    where its other gaps unload, while the opening of one gap does not.

    Args:
        stack: the equilibrium branch, the part unstable under prescribed elongation included.
        elasticity: of the finite-element body.
        spacing: of the planes, d (Å).

    Returns:
        Opening Δ (Å), energy φ (eV/Å²) and traction T (eV/Å³) of the gap, each (n,).

    Raises:
        InvalidCurveError: the opening that remains ascends at fewer than two thirds of the points: this elasticity misses the
            stack's nonlinearity by more than one gap's opening.
    """
    length = (stack.n_planes - 1) * spacing
    traction = np.asarray(stack.traction, float)
    opening = np.asarray(stack.elongation, float) - length * elasticity.strain(traction)
    # Past the peak the gap may gain less than its neighbours lose; those few points go, the rest defines the curve.
    kept = opening > np.maximum.accumulate(np.concatenate([[-np.inf], opening[:-1]])) + LEAST_GAIN
    if np.sum(kept) < 2 * len(opening) / 3:
        raise InvalidCurveError(
            f"with the elasticity given, the opening taken from the stack of {stack.n_planes} planes folds back: "
            "use the potential's own uniaxial response (CauchyBornUniaxial), or fewer planes"
        )
    energy = np.asarray(stack.energy, float) - length * elasticity.energy_density(traction)
    return (opening - opening[0])[kept], (energy - energy[0])[kept], traction[kept]


def predict_stack(law: LawTable, elasticity: UniaxialElasticity, *, length: float) -> StackPath:
    """The path of a stack of elastic blocks with one cohesive interface.

        ū = L ε(T) + δ,        E/A = L w(ε(T)) + ψ(δ),        T = T(δ)

    with δ as the parameter, so the part that is unstable under prescribed ū is included (Nguyen and Ortiz 2002; Enrique
    and Van der Ven 2017 on its stability).

    Args:
        law: the law's table.
        elasticity: of the blocks.
        length: L, the period of the stack (Å).
    """
    stress = np.maximum(law.traction, 0.0)
    return StackPath(
        elongation=length * elasticity.strain(stress) + law.opening,
        energy=length * elasticity.energy_density(stress) + law.potential,
        stress=stress,
    )


@dataclass(frozen=True, kw_only=True)
class StackError:
    """How far a law's prediction of a stack is from the atoms.

    Attributes:
        law: which law.
        n_planes: of the stack.
        energy: the largest error of energy where both hold together, as a fraction of the work of separation.
        stress: the largest error of stress there, as a fraction of the peak traction.
        points: the number of elongations at which the atoms hold together.
        beyond: how many of them lie where the prediction has already broken.
    """

    law: str
    n_planes: int
    energy: float
    stress: float
    points: int
    beyond: int


def compare_stacks(
    laws: Mapping[str, tuple[LawTable, UniaxialElasticity]],
    references: Sequence[StackCurve],
    *,
    spacing: float,
    work: float,
    peak: float,
) -> list[StackError]:
    """Compare each law's predictions with stacks that atoms computed, on the range that is stable for the atoms.

    Args:
        laws: name -> the law and the elasticity of the blocks around it.
        references: stacks under prescribed elongation, all interior coordinates relaxed.
        spacing: of the planes, d (Å).
        work: of separation, to scale the energies' errors (eV/Å²).
        peak: traction, to scale the stresses' (eV/Å³).
    """
    rows = []
    for reference in references:
        stable = np.asarray(reference.stable, bool)
        elongation = np.asarray(reference.elongation, float)[stable]
        for name, (law, elasticity) in laws.items():
            path = predict_stack(law, elasticity, length=reference.n_planes * spacing)
            energy, stress = path.at(elongation)
            holds = ~np.isnan(energy)
            rows.append(
                StackError(
                    law=name,
                    n_planes=reference.n_planes,
                    energy=float(np.max(np.abs(energy - np.asarray(reference.energy)[stable])[holds]) / work),
                    stress=float(np.max(np.abs(stress - np.asarray(reference.traction)[stable])[holds]) / peak),
                    points=len(elongation),
                    beyond=int(np.sum(~holds)),
                )
            )
    return rows
