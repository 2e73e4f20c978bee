"""Beam estimates of split beams in mode I, mode II and mixed mode, for planning a run and for holding its result against.

Per unit width of the specimen. Two arms of height h, I = h³/12, joined but for a crack of length a from one end; moduli are
those of plane strain, E' along the arms. Beams that share a load clamp each other softly at the crack's tip: a is
lengthened there by χh in mode I and 0.42 χh in mode II (Williams 1989, J. Strain Anal. 24, 207; Wang and Williams 1992,
Compos. Sci. Technol. 43, 251).

Double cantilever beam (DCB), arms opened by Δ at their ends:

    Δ = 2Pã³/(3E'I),    G_I = P²ã²/(E'I),    ã = a + χh,

hence at G = G_c an onset at Δ_0 = (2ã²/3)√(G_c/E'I) and, with a eliminated, the envelope P = √(2/3Δ)(E'I)^{1/4}G_c^{3/4}
(Alfano 2006, Compos. Sci. Technol. 66, 723).

End-notched flexure (ENF), three-point bending over a span 2L, cracked from the support at x = 0, deflected by Δ at mid-span:

    Δ = P[(2L³ + 3ã³)/(96E'I) + 3L/(10 μh)],    G_II = 3P²ã²/(64E'I) = 9P²ã²/(16E'h³),    ã = a + 0.42 χh

(Russell and Street 1982; the last term of Δ is Timoshenko's shear of the span, μ the shear modulus; Carlsson, Gillespie and
Pipes 1986, J. Compos. Mater. 20, 594). It holds for a ≤ L. As the crack grows under G_c the deflection falls while
ã < L/∛3 = 0.69 L (a little more with the shear): the response snaps back.

Mixed-mode bending (MMB, Reeder and Crews 1990, AIAA J. 28, 1270): a lever, loaded by P at a distance c from mid-span, pulls
the upper arm's end up with Pc/L and pushes mid-span down with P(c + L)/L, so that

    P_I = P(3c − L)/(4L),    P_II = P(c + L)/L,    Δ = Δ_I P_I/P + Δ_II P_II/P,

with Δ_I of P_I as in the DCB and Δ_II of P_II as in the ENF specimen, Δ the displacement of the lever's load (by Clapeyron). At
c = L/3 the arms only just touch (mode II). As c → ∞, P_I/P_II → 3/4 and G_I/G_II → 12: a long lever never gets to mode I
alone, which is the DCB's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from continuum.errors import ContinuumError

Array = NDArray[np.float64]


class Branch(NamedTuple):
    """A load–displacement curve, one entry a crack length: displacement (Å) and load per width (eV/Å²), each (n,)."""

    displacement: Array
    load: Array


@dataclass(frozen=True, kw_only=True)
class SplitBeam:
    """A beam split along its middle. Any consistent units; those of this project below.

    Attributes:
        modulus: E' along the arms in plane strain (eV/Å³).
        transverse_modulus: E' across the arms in plane strain (eV/Å³).
        shear_modulus: μ in the plane (eV/Å³).
        arm_height: h (Å).
        initial_crack: a0 (Å).
    """

    modulus: float
    transverse_modulus: float
    shear_modulus: float
    arm_height: float
    initial_crack: float

    @property
    def bending_stiffness(self) -> float:
        """E'I per unit width (eV)."""
        return self.modulus * self.arm_height**3 / 12

    @property
    def root_correction(self) -> float:
        """χ of Williams (1989): √{E1/(11 μ) [3 − 2(Γ/(1+Γ))²]}, Γ = 1.18 √(E1 E2)/μ."""
        ratio = 1.18 * np.sqrt(self.modulus * self.transverse_modulus) / self.shear_modulus
        return float(np.sqrt(self.modulus / (11 * self.shear_modulus) * (3 - 2 * (ratio / (1 + ratio)) ** 2)))

    def opening_crack(self, crack: ArrayLike, *, corrected: bool = True) -> Array:
        """ã = a + χh (Å), the length of the arms in mode I."""
        return np.asarray(crack, dtype=float) + (self.root_correction * self.arm_height if corrected else 0.0)

    def sliding_crack(self, crack: ArrayLike, *, corrected: bool = True) -> Array:
        """ã = a + 0.42 χh (Å), the length of the arms in mode II."""
        return np.asarray(crack, dtype=float) + (0.42 * self.root_correction * self.arm_height if corrected else 0.0)


@dataclass(frozen=True, kw_only=True)
class DoubleCantileverEstimate(SplitBeam):
    """What beam theory expects of a double cantilever beam.

    Attributes:
        fracture_energy: G_c (eV/Å²).
    """

    fracture_energy: float

    def compliance(self, crack: ArrayLike, *, corrected: bool = True) -> Array:
        """Δ/P per width (Å³/eV) at crack lengths a (Å)."""
        return 2 * self.opening_crack(crack, corrected=corrected) ** 3 / (3 * self.bending_stiffness)

    def critical_load(self, crack: ArrayLike, *, corrected: bool = True) -> Array:
        """P per width (eV/Å²) at which G = G_c at crack lengths a (Å)."""
        length = self.opening_crack(crack, corrected=corrected)
        return np.asarray(np.sqrt(self.fracture_energy * self.bending_stiffness) / length)

    def onset(self, *, corrected: bool = True) -> tuple[float, float]:
        """Opening Δ_0 (Å) and load per width (eV/Å²) at which the initial crack advances."""
        load = float(self.critical_load(self.initial_crack, corrected=corrected))
        return load * float(self.compliance(self.initial_crack, corrected=corrected)), load

    def propagation(self, crack: ArrayLike, *, corrected: bool = True) -> Branch:
        """The curve of a crack that advances through the lengths a (n,) Å."""
        load = self.critical_load(crack, corrected=corrected)
        return Branch(displacement=load * self.compliance(crack, corrected=corrected), load=load)

    def envelope(self, opening: ArrayLike) -> Array:
        """Load per width (eV/Å²) of an advancing crack at openings Δ (Å): the same with and without χ."""
        return (
            np.sqrt(2 / (3 * np.asarray(opening, dtype=float)))
            * self.bending_stiffness**0.25
            * self.fracture_energy**0.75
        )

    def crack_length(self, opening: float, *, corrected: bool = True) -> float:
        """Length a (Å) of the crack at an opening Δ (Å), not less than the initial one."""
        length = np.sqrt(1.5 * opening / np.sqrt(self.fracture_energy / self.bending_stiffness))
        shift = self.root_correction * self.arm_height if corrected else 0.0
        return float(max(length - shift, self.initial_crack))


@dataclass(frozen=True, kw_only=True)
class _Flexure(SplitBeam):
    """A split beam bent over a span.

    Attributes:
        half_span: L (Å).
    """

    half_span: float

    def __post_init__(self) -> None:
        if not 0.0 < self.initial_crack < self.half_span:
            raise ContinuumError(
                f"initial_crack = {self.initial_crack:g}, half_span = {self.half_span:g}: expected a crack shorter than the "
                "half span, for which these formulas hold"
            )

    def _bending_compliance(self, crack: ArrayLike, corrected: bool) -> Array:
        """Δ_II/P_II per width (Å³/eV)."""
        length = self.sliding_crack(crack, corrected=corrected)
        bending = (2 * self.half_span**3 + 3 * length**3) / (96 * self.bending_stiffness)
        return bending + (3 * self.half_span / (10 * self.shear_modulus * self.arm_height) if corrected else 0.0)

    def _sliding_release(self, crack: ArrayLike, corrected: bool) -> Array:
        """G_II/P_II² of loads per width (Å²/eV)."""
        return 3 * self.sliding_crack(crack, corrected=corrected) ** 2 / (64 * self.bending_stiffness)


@dataclass(frozen=True, kw_only=True)
class EndNotchedFlexureEstimate(_Flexure):
    """What beam theory expects of an end-notched flexure specimen (mode II).

    Attributes:
        fracture_energy: G_IIc (eV/Å²).

    Raises:
        ContinuumError: where the crack reaches mid-span.
    """

    fracture_energy: float

    def compliance(self, crack: ArrayLike, *, corrected: bool = True) -> Array:
        """Δ/P per width (Å³/eV) at crack lengths a (Å)."""
        return self._bending_compliance(crack, corrected)

    def critical_load(self, crack: ArrayLike, *, corrected: bool = True) -> Array:
        """P per width (eV/Å²) at which G_II = G_IIc at crack lengths a (Å)."""
        return np.sqrt(self.fracture_energy / self._sliding_release(crack, corrected))

    def propagation(self, crack: ArrayLike, *, corrected: bool = True) -> Branch:
        """The curve of a crack that advances through the lengths a (n,) Å, snap-back included."""
        load = self.critical_load(crack, corrected=corrected)
        return Branch(displacement=load * self.compliance(crack, corrected=corrected), load=load)

    def crack_length(self, load: ArrayLike, *, corrected: bool = True) -> Array:
        """Length a (Å) of a crack that advances under loads per width P (eV/Å²)."""
        length = np.sqrt(64 * self.bending_stiffness * self.fracture_energy / 3) / np.asarray(load, dtype=float)
        return length - (self.sliding_crack(0.0) if corrected else 0.0)

    def stable_crack(self, *, corrected: bool = True) -> float:
        """Length a (Å) from which an advance takes more deflection: dΔ/da = 0, 0.69 L without corrections.

        P falls as 1/ã, so that Δ ∝ C/ã has its least value where 6ã³ = 96 E'I C(ã) − 3ã³.
        """
        rest = 96 * self.bending_stiffness * self._bending_compliance(0.0, corrected)
        rest -= 3 * self.sliding_crack(0.0, corrected=corrected) ** 3
        return float((rest / 6) ** (1 / 3) - self.sliding_crack(0.0, corrected=corrected))

    @property
    def snaps_back(self) -> bool:
        """Whether the initial crack's advance snaps back under a prescribed deflection."""
        return self.initial_crack < self.stable_crack()


def benzeggagh_kenane(*, mode_1: float, mode_2: float, exponent: float) -> Callable[[ArrayLike], Array]:
    """G_c(B) = G_Ic + (G_IIc − G_Ic) B^η, B = G_II/(G_I + G_II) (Benzeggagh and Kenane 1996, Compos. Sci. Technol. 56, 439)."""
    return lambda mix: mode_1 + (mode_2 - mode_1) * np.asarray(mix, dtype=float) ** exponent


@dataclass(frozen=True, kw_only=True)
class MixedModeBendingEstimate(_Flexure):
    """What beam theory expects of a mixed-mode bending specimen.

    Attributes:
        lever: c (Å), from mid-span to the load; at least L/3, below which the arms would press on each other.
        toughness: G_c (eV/Å²) of the share B = G_II/(G_I + G_II), such as `benzeggagh_kenane`.

    Raises:
        ContinuumError: where the lever is too short or the crack reaches mid-span.
    """

    lever: float
    toughness: Callable[[ArrayLike], Array]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.lever >= self.half_span / 3 * (1 - 1e-12):
            raise ContinuumError(
                f"lever = {self.lever:g}: expected at least a third of half_span = {self.half_span:g}, where mode I vanishes"
            )

    @property
    def opening_share(self) -> float:
        """P_I/P = (3c − L)/(4L)."""
        return (3 * self.lever - self.half_span) / (4 * self.half_span)

    @property
    def bending_share(self) -> float:
        """P_II/P = (c + L)/L."""
        return (self.lever + self.half_span) / self.half_span

    @property
    def end_share(self) -> float:
        """Force on the upper arm's end over P: c/L."""
        return self.lever / self.half_span

    def compliance(self, crack: ArrayLike, *, corrected: bool = True) -> Array:
        """Displacement of the load along the lever over P per width (Å³/eV) at crack lengths a (Å)."""
        opening = 2 * self.opening_crack(crack, corrected=corrected) ** 3 / (3 * self.bending_stiffness)
        return self.opening_share**2 * opening + self.bending_share**2 * self._bending_compliance(crack, corrected)

    def _releases(self, crack: ArrayLike, corrected: bool) -> tuple[Array, Array]:
        """G_I/P² and G_II/P² of loads per width (Å²/eV)."""
        first = self.opening_share**2 * self.opening_crack(crack, corrected=corrected) ** 2 / self.bending_stiffness
        return first, self.bending_share**2 * self._sliding_release(crack, corrected)

    def mode_mix(self, crack: ArrayLike, *, corrected: bool = True) -> Array:
        """B = G_II/(G_I + G_II) at crack lengths a (Å)."""
        first, second = self._releases(crack, corrected)
        return second / (first + second)

    def critical_load(self, crack: ArrayLike, *, corrected: bool = True) -> Array:
        """P per width (eV/Å²) at which G = G_c(B) at crack lengths a (Å)."""
        first, second = self._releases(crack, corrected)
        return np.sqrt(self.toughness(second / (first + second)) / (first + second))

    def propagation(self, crack: ArrayLike, *, corrected: bool = True) -> Branch:
        """The curve of a crack that advances through the lengths a (n,) Å."""
        load = self.critical_load(crack, corrected=corrected)
        return Branch(displacement=load * self.compliance(crack, corrected=corrected), load=load)


def cohesive_zone_length(*, modulus: float, fracture_energy: float, peak_traction: float) -> float:
    """l_cz = E'G_c/σ² (Å), the scale that the mesh must resolve (Hillerborg 1976; prefactors 0.2 to 1 in the literature)."""
    return modulus * fracture_energy / peak_traction**2
