"""A law for faces that slide freely: only the normal opening counts."""

from dataclasses import replace

import numpy as np

from continuum.laws.base import Array, CohesiveLaw, LawResponse


class FrictionlessLaw(CohesiveLaw):
    """The normal opening's answer of another law; sliding meets no resistance and spends nothing.

    What theories of adhesive contact assume (Johnson, Kendall and Roberts 1971; Maugis 1992).

    Args:
        law: answers normal openings.
    """

    def __init__(self, law: CohesiveLaw) -> None:
        self.law = law
        self.variational, self.symmetric, self.history_size = law.variational, law.symmetric, law.history_size
        self.own_repulsion, self.shear_fracture_energy = law.own_repulsion, 0.0
        for name in ("fracture_energy", "peak_traction", "opening_at_peak", "initial_stiffness", "final_opening"):
            setattr(self, name, getattr(law, name))
        self._finish(law.unloading, law.penalty)

    def fresh(self, count: int) -> Array:
        """The history (count, h) of points that were never opened."""
        return self.law.fresh(count)

    def evaluate(self, jump: Array, history: Array) -> LawResponse:
        """Traction, tangent and energies for jumps (n, dim), normal first; the tangential components are left alone."""
        normal = np.zeros_like(jump)
        normal[:, 0] = jump[:, 0]
        answer = self.law.evaluate(normal, history)
        tangent = np.zeros_like(answer.tangent)
        tangent[:, 0, 0] = answer.tangent[:, 0, 0]
        traction, secant = np.zeros_like(jump), np.zeros_like(jump)
        traction[:, 0], secant[:, 0] = answer.traction[:, 0], answer.secant[:, 0]
        return replace(answer, tangent=tangent, traction=traction, secant=secant)
