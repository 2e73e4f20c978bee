"""Many lattice planes in series as one cohesive law: the closed form of Nguyen and Ortiz."""

import numpy as np

from continuum.laws.base import Array, EffectiveLaw, Unloading, positive
from continuum.laws.bilinear import BilinearLaw


class NPlaneLaw(EffectiveLaw):
    """ψ_N = min(½Kδ²/N, 2γ): N linear planes in series, one of which breaks (Nguyen and Ortiz 2002).

    J. Mech. Phys. Solids 50, 1727. All planes stretch until letting one of them part costs no more: at
    δ_c = 2√(γN/K), under the traction σ_c = 2√(Kγ/N), which then drops to zero. The fracture energy 2γ does not depend on N.

    The law *contains* the elasticity of N planes. It is for meshes that leave these planes out; where the elements hold
    them, use `without_elasticity`.

    Args:
        fracture_energy: 2γ, eV/Å².
        plane_stiffness: K of one plane, eV/Å⁴: C'/d where the crystal is linear.
        n_planes: N, at least 1; need not be whole.
        unloading: ``damaging`` (default) or ``reversible``.
        penalty: stiffness against interpenetration, eV/Å⁴; the initial stiffness K/N if None.

    Raises:
        LawError: where a parameter is not positive.
    """

    def __init__(
        self,
        *,
        fracture_energy: float,
        plane_stiffness: float,
        n_planes: float,
        unloading: Unloading = "damaging",
        penalty: float | None = None,
    ) -> None:
        self.fracture_energy = positive(fracture_energy, "fracture_energy", "an energy per area in eV/Å²")
        self.plane_stiffness = positive(plane_stiffness, "plane_stiffness", "a traction per length in eV/Å⁴")
        self.n_planes = positive(n_planes, "n_planes", "a number of planes")
        self.initial_stiffness = self.plane_stiffness / self.n_planes
        self.final_opening = self.opening_at_peak = float(np.sqrt(2.0 * self.fracture_energy / self.initial_stiffness))
        self.peak_traction = self.initial_stiffness * self.final_opening
        self._finish(unloading, penalty)

    def curve(self, opening: Array) -> tuple[Array, Array, Array]:
        """ψ, T and K at effective openings ≥ 0, each (n,)."""
        whole = opening < self.final_opening
        psi = np.where(whole, 0.5 * self.initial_stiffness * opening**2, self.fracture_energy)
        return psi, np.where(whole, self.initial_stiffness * opening, 0.0), np.where(whole, self.initial_stiffness, 0.0)

    def without_elasticity(self, *, stiffness_cap: float = 50.0) -> BilinearLaw:
        """The same law with the planes' elasticity left to the elements: σ_c at once, then linear softening to δ_c.

        The drop at constant δ_c becomes δ = δ_c − N T/K, whose area is ½σ_cδ_c = 2γ again.

        Args:
            stiffness_cap: of the rise to σ_c, in units of K/N.
        """
        return BilinearLaw(
            fracture_energy=self.fracture_energy,
            peak_traction=self.peak_traction,
            initial_stiffness=stiffness_cap * self.initial_stiffness,
            unloading=self.unloading,
        )
