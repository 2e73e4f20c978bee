"""Cracks on the interface of two materials: oscillation index, complex stress intensity, energy release, contact zone.

Tractions ahead of a tip on the interface oscillate (Williams 1959, Bull. Seismol. Soc. Am. 49, 199). In the notation of Rice
(1988), J. Appl. Mech. 55, 98, with material 1 above (y > 0) and 2 below, at a distance r from the tip

    σ_yy + iσ_xy = K r^{iε}/√(2πr),
    δ_y + iδ_x = 8K r^{iε} √(r/2π) / [(1 + 2iε) cosh(πε) E*],      1/E* = ½(1/E'₁ + 1/E'₂),
    G = |K|² / (E* cosh²(πε)) = (1 − β²)|K|²/E*,

and a mode is the phase of K L^{iε}, for a length L that has to be said.

Anisotropic materials: with the surface impedances' inverses H = M₁⁻¹ + conj(M₂⁻¹), W = Re H and D = Im H, tractions go as
r^{−½ ± iε}, with ε from the eigenvalues of W⁻¹D (Ting 1986, Int. J. Solids Struct. 22, 965; Suo 1990, Proc. R. Soc. A 427, 331):

    β = [−½ tr (W⁻¹D)²]^½,      ε = (1/2π) ln((1 + β)/(1 − β))                                        (magnitude; sign apart).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from continuum.errors import FieldError, MaterialError
from continuum.materials import LinearElastic
from continuum.stroh import crack_field

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class BimaterialInterface:
    """Crack-tip parameters of an interface between two isotropic materials, plane strain.

    Attributes:
        alpha, beta: Dundurs' parameters (1969); positive α: the upper material is the stiffer one.
        epsilon: oscillation index ε = ln[(1 − β)/(1 + β)]/2π.
        modulus: E*, eV/Å³.
    """

    alpha: float
    beta: float
    epsilon: float
    modulus: float

    def energy_release(self, k: complex) -> float:
        """G (eV/Å²) of K (eV/Å^2.5 · Å^−iε)."""
        return float((1.0 - self.beta**2) * abs(_complex(k)) ** 2 / self.modulus)

    def stress_intensity(self, energy: float, *, phase: float = 0.0, length: float = 1.0) -> complex:
        """K whose energy release is `energy` (eV/Å²) and for which K L^{iε} has the phase ψ (radians) at L = `length` (Å).

        Raises:
            FieldError: a negative energy, a length of zero or less.
        """
        if not np.isfinite(energy) or energy < 0.0:
            raise FieldError(f"energy release rate {energy!r}: expected a finite number of eV/Å², zero or more")
        size = np.sqrt(energy * self.modulus / (1.0 - self.beta**2))
        return complex(size * np.exp(1j * phase) * _length(length) ** (-1j * self.epsilon))

    def phase(self, k: complex, *, length: float) -> float:
        """Phase ψ of K L^{iε} (radians): tan ψ = σ_xy/σ_yy of the singular field at the distance L (Å) ahead of the tip."""
        return float(np.angle(_complex(k) * _length(length) ** (1j * self.epsilon)))

    def classical(self, k: complex, *, length: float) -> tuple[float, float]:
        """(K_I, K_II) = K L^{iε}, eV/Å^2.5: the stress intensities as they would be read at the distance L (Å)."""
        turned = _complex(k) * _length(length) ** (1j * self.epsilon)
        return float(turned.real), float(turned.imag)

    def traction(self, k: complex, distance: ArrayLike) -> Array:
        """σ_yy and σ_xy (n, 2), eV/Å³, at distances (n,) Å ahead of the tip."""
        r = _distances(distance)
        value = _complex(k) * r ** (1j * self.epsilon) / np.sqrt(2.0 * np.pi * r)
        return np.column_stack([value.real, value.imag])

    def opening(self, k: complex, distance: ArrayLike) -> Array:
        """δ_y and δ_x (n, 2), Å: displacement of the upper face less that of the lower, at distances (n,) Å behind the tip."""
        r, e = _distances(distance), self.epsilon
        value = 8.0 * _complex(k) * r ** (1j * e) * np.sqrt(r / (2.0 * np.pi))
        value = value / ((1.0 + 2j * e) * np.cosh(np.pi * e) * self.modulus)
        return np.column_stack([value.real, value.imag])

    def from_opening(self, opening: ArrayLike, distance: ArrayLike) -> NDArray[np.complex128]:
        """K (n,) from δ_y and δ_x (n, 2) Å at distances (n,) Å behind a tip: `opening` the other way round."""
        jumps = np.asarray(opening, dtype=float)
        r, e = _distances(distance), self.epsilon
        if jumps.shape != (len(r), 2):
            raise FieldError(f"openings of shape {jumps.shape}: expected ({len(r)}, 2), δ_y and δ_x")
        scale = (1.0 + 2j * e) * np.cosh(np.pi * e) * self.modulus / 8.0
        return np.asarray((jumps[:, 0] + 1j * jumps[:, 1]) * scale * np.sqrt(2.0 * np.pi / r) * r ** (-1j * e))

    def contact_zone(self, k: complex, *, length: float) -> float:
        """Size (Å) of the zone behind the tip in which the faces of this field would overlap, at most `length`.

        The largest r ≤ L at which δ_y vanishes: arg K + ε ln r − arctan 2ε = ±π/2 (Rice 1988). Where it is far
        below the lengths of the process (a cohesive zone, atoms), the oscillation has no part in it, and K as it stands says all.
        Zero where ε is.

        Args:
            k: stress intensity.
            length: Å, of the crack or the region in which the singular field rules.
        """
        e = self.epsilon
        if e == 0.0:
            return 0.0
        # Phase of the opening at r = L; going towards the tip it turns by ε per unit of −ln r.
        start = float(np.angle(_complex(k) * _length(length) ** (1j * e) / (1.0 + 2j * e)))
        if abs(start) >= 0.5 * np.pi:
            return float(length)
        turn = (start + 0.5 * np.pi) if e > 0.0 else (0.5 * np.pi - start)
        return float(length * np.exp(-turn / abs(e)))

    def central_crack(self, *, normal: float, shear: float, half_length: float) -> complex:
        """K at the right tip of a crack of 2a in an infinite bimaterial under remote σ_yy and σ_xy.

        K = (σ_yy + iσ_xy)(1 + 2iε) √(πa) (2a)^{−iε} (Rice and Sih 1965, J. Appl. Mech. 32, 418).
        """
        a, e = _length(half_length), self.epsilon
        return complex((normal + 1j * shear) * (1.0 + 2j * e) * np.sqrt(np.pi * a) * (2.0 * a) ** (-1j * e))


def bimaterial(*, upper: tuple[float, float], lower: tuple[float, float]) -> BimaterialInterface:
    """Parameters of two isotropic materials in plane strain.

    With Γ = μ₁/μ₂ and κ = 3 − 4ν (Dundurs 1969): α = [Γ(κ₂+1) − (κ₁+1)]/[Γ(κ₂+1) + (κ₁+1)],
    β = [Γ(κ₂−1) − (κ₁−1)]/[Γ(κ₂+1) + (κ₁+1)].

    Args:
        upper, lower: (E in eV/Å³, ν) of material 1 (y > 0) and 2.

    Raises:
        MaterialError: E not positive or ν outside (−1, ½).
    """
    moduli, kappas, strains = [], [], []
    for name, (young, poisson) in (("upper", upper), ("lower", lower)):
        if not np.isfinite(young) or young <= 0.0 or not -1.0 < poisson < 0.5:
            raise MaterialError(f"{name} = ({young!r}, {poisson!r}): expected E > 0 and -1 < ν < 0.5")
        moduli.append(young / (2.0 * (1.0 + poisson)))
        kappas.append(3.0 - 4.0 * poisson)
        strains.append(young / (1.0 - poisson**2))
    ratio, below = moduli[0] / moduli[1], kappas[0] + 1.0
    total = ratio * (kappas[1] + 1.0) + below
    alpha = (ratio * (kappas[1] + 1.0) - below) / total
    beta = (ratio * (kappas[1] - 1.0) - (kappas[0] - 1.0)) / total
    return BimaterialInterface(
        alpha=alpha,
        beta=beta,
        epsilon=float(np.log((1.0 - beta) / (1.0 + beta)) / (2.0 * np.pi)),
        modulus=2.0 / (1.0 / strains[0] + 1.0 / strains[1]),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class AnisotropicInterface:
    """Crack-tip parameters of an interface between two materials of any anisotropy.

    Attributes:
        H: (3, 3) Hermitian, Å³/eV; rows x, y, z.
        beta: generalised Dundurs parameter, ≥ 0.
        epsilon: magnitude of the oscillation index.
    """

    H: NDArray[np.complex128]
    beta: float
    epsilon: float

    def energy_release(self, tractions: ArrayLike) -> float:
        """G (eV/Å²) of the stress intensities k = (K_II, K_I, K_III) as read where the oscillation has phase zero.

        G = ¼ k·(W + D W⁻¹ D)k with W = Re H, D = Im H (Wu 1990, J. Appl. Mech. 57, 882): for one material the ½kᵀL⁻¹k of
        Barnett and Asaro (1972).
        """
        k = np.asarray(tractions, dtype=float)
        if k.shape != (3,) or not np.isfinite(k).all():
            raise FieldError(f"k of shape {k.shape}: expected (K_II, K_I, K_III), three finite numbers")
        w, d = self.H.real, self.H.imag
        return float(0.25 * k @ (w + d @ np.linalg.solve(w, d)) @ k)


def anisotropic_bimaterial(upper: LinearElastic, lower: LinearElastic) -> AnisotropicInterface:
    """Parameters of two materials of any anisotropy, in the laboratory axes (x along the crack, y the interface's normal).

    Args:
        upper: material 1, y > 0.
        lower: material 2.

    Raises:
        MaterialError: as `continuum.stroh.crack_field`.
    """
    parts = []
    for material in (upper, lower):
        field = crack_field(material.stiffness)
        # i A B⁻¹ does not depend on the basis: the inverse of the surface impedance, Hermitian.
        inverse = 1j * field.A @ np.linalg.inv(field.B)
        parts.append(0.5 * (inverse + inverse.conj().T))
    h = parts[0] + parts[1].conj()
    turned = np.linalg.solve(h.real, h.imag)
    beta = float(np.sqrt(max(-0.5 * np.trace(turned @ turned), 0.0)))
    return AnisotropicInterface(H=h, beta=beta, epsilon=float(np.log((1.0 + beta) / (1.0 - beta)) / (2.0 * np.pi)))


def _complex(k: complex) -> complex:
    value = complex(k)
    if not np.isfinite(value):
        raise FieldError(f"K = {k!r}: expected a finite complex number, K_I + i K_II")
    return value


def _length(length: float) -> float:
    value = float(length)
    if not np.isfinite(value) or value <= 0.0:
        raise FieldError(f"length = {length!r}: expected a finite length in Å above zero")
    return value


def _distances(distance: ArrayLike) -> Array:
    r = np.atleast_1d(np.asarray(distance, dtype=float))
    if not np.isfinite(r).all() or (r <= 0.0).any():
        raise FieldError("distances: expected finite lengths in Å above zero")
    return r
