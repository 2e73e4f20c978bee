"""Does a law taken from atoms predict what atoms do? Stacks of crystal planes, pulled apart, say so.

A stack of N planes of period L = N·d is two elastic blocks and one cohesive interface. Its curves of energy and stress
against elongation follow from the law and the blocks' elasticity; atoms compute them independently. With the bulk's
elasticity taken out once the two agree; with a law that still holds it, the elasticity counts twice and they do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atomistic.decohesion import StackCurve
from coupling.cohesive import CohesiveExtraction
from coupling.elasticity import UniaxialElasticity


@dataclass(frozen=True, kw_only=True)
class StackPath:
    """A stack's equilibrium path.

    Attributes:
        elongation: ū (n,) Å.
        energy: E/A (n,) eV/Å² above the perfect stack.
        stress: T (n,) eV/Å³.
    """

    elongation: NDArray[np.float64]
    energy: NDArray[np.float64]
    stress: NDArray[np.float64]

    def at(self, elongation: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Energy and stress at given elongations on the loading branch: from zero to where the elongation turns back.

        NaN beyond that point, where under prescribed elongation the stack breaks.
        """
        turns = np.flatnonzero(np.diff(self.elongation) <= 0)
        last = int(turns[0]) + 1 if len(turns) else len(self.elongation)
        loading = slice(0, last)
        return (
            np.interp(elongation, self.elongation[loading], self.energy[loading], right=np.nan),
            np.interp(elongation, self.elongation[loading], self.stress[loading], right=np.nan),
        )


def predict_stack(extraction: CohesiveExtraction, elasticity: UniaxialElasticity, *, length: float) -> StackPath:
    """The path of a stack of elastic blocks with one cohesive interface.

        ū = L ε(T) + δ,        E/A = L w(ε(T)) + ψ(δ),        T = T(δ)

    with δ as the parameter, so the part that is unstable under prescribed ū is included (Nguyen and Ortiz 2002; Enrique
    and Van der Ven 2017 on its stability).

    Args:
        extraction: the law.
        elasticity: of the blocks.
        length: L, the period of the stack (Å).
    """
    stress = np.maximum(extraction.traction, 0.0)
    return StackPath(
        elongation=length * elasticity.strain(stress) + extraction.opening,
        energy=length * elasticity.energy_density(stress) + extraction.potential,
        stress=stress,
    )


@dataclass(frozen=True, kw_only=True)
class StackError:
    """How far a law's prediction of a stack is from the atoms.

    Attributes:
        law: which law.
        n_planes: of the stack.
        energy: the largest error of energy on the stable range, as a fraction of the work of separation.
        stress: the largest error of stress, as a fraction of the peak traction.
        points: the number of elongations compared.
        beyond: elongations of the atoms' stable range at which the prediction has already broken; their errors count as
            the whole of what the atoms still carry.
    """

    law: str
    n_planes: int
    energy: float
    stress: float
    points: int
    beyond: int


def compare_stacks(
    laws: Mapping[str, tuple[CohesiveExtraction, UniaxialElasticity]],
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
        elongation = np.asarray(reference.elongation)[stable]
        for name, (extraction, elasticity) in laws.items():
            path = predict_stack(extraction, elasticity, length=reference.n_planes * spacing)
            energy, stress = path.at(elongation)
            beyond = np.isnan(energy)
            energy, stress = np.where(beyond, extraction.work, energy), np.where(beyond, 0.0, stress)
            rows.append(
                StackError(
                    law=name,
                    n_planes=reference.n_planes,
                    energy=float(np.max(np.abs(energy - np.asarray(reference.energy)[stable])) / work),
                    stress=float(np.max(np.abs(stress - np.asarray(reference.traction)[stable])) / peak),
                    points=len(elongation),
                    beyond=int(beyond.sum()),
                )
            )
    return rows
