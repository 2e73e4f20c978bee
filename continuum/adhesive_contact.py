"""Adhesive contact of a sphere or a cylinder with an elastic half space: closed forms from JKR to DMT.

Loads are positive where they press, approaches where the bodies come closer; a is the radius (half width) of contact, c
that of the zone in which surfaces attract each other. E* is the contact modulus, 1/E* = Σ(1 − ν²)/E, w the work of
adhesion, σ₀ the stress of Dugdale's law, which ends at the separation h₀ = w/σ₀. Faces slide freely, displacements are
small and the profile is the parabola r²/2R. Any consistent units; those of this project below.

Sphere: Hertz (1882); Johnson, Kendall and Roberts (1971), Proc. R. Soc. A 324, 301; Derjaguin, Muller and Toporov (1975),
J. Colloid Interface Sci. 53, 314, in Maugis's form; Maugis (1992), J. Colloid Interface Sci. 150, 243, eqs 6.16–6.19.
Not yet touching, by the same Dugdale law: Johnson and Greenwood (1997), J. Colloid Interface Sci. 192, 326.
Cylinder, per unit length: Barquins (1988), J. Adhesion 26, 1; Chaudhury et al. (1996), J. Appl. Phys. 80, 30; Baney and
Hui (1997), J. Adhesion Sci. Technol. 11, 393. A cylinder has no approach: it depends on the depth of the body by a logarithm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar

from continuum.errors import ContactError

Array = NDArray[np.float64]
#: Largest c/a that is looked at: beyond, the contact is a point.
_WIDEST = 1e8


def contact_modulus(*bodies: tuple[float, float]) -> float:
    """E* (eV/Å³) of one body (E, ν) on a rigid one, or of two bodies on each other.

    Raises:
        ContactError: where a modulus or Poisson's ratio is none.
    """
    for modulus, ratio in bodies:
        if not np.isfinite(modulus) or modulus <= 0.0 or not -1.0 < ratio < 1.0:
            raise ContactError(f"E = {modulus!r}, nu = {ratio!r}: expected E > 0 and -1 < nu < 1")
    if not bodies:
        raise ContactError("no body: expected (E, nu) of one or two")
    return float(1.0 / sum((1.0 - ratio**2) / modulus for modulus, ratio in bodies))


def indentation_modulus(stiffness: ArrayLike) -> float:
    """E* (eV/Å³) of a half space isotropic in its surface, normal y, from C (6, 6) in Voigt order xx, yy, zz, yz, xz, xy.

    E* = 2√{(C_xx C_yy − C_xy²)/C_xx / [1/C_yz + 2/(√(C_xx C_yy) + C_xy)]} (Elliott 1949; Hanson 1992, J. Appl. Mech. 59,
    S123); E/(1 − ν²) of an isotropic one.
    """
    c = np.asarray(stiffness, dtype=float)
    mean = np.sqrt(c[0, 0] * c[1, 1])
    shear = 1.0 / c[3, 3] + 2.0 / (mean + c[0, 1])
    return float(2.0 * np.sqrt((mean**2 - c[0, 1] ** 2) / c[0, 0] / shear))


@dataclass(frozen=True, kw_only=True)
class ContactCurve:
    """Equilibria of a contact, one a row, from touching (a = 0) upwards.

    Attributes:
        radius: a (n,), Å.
        zone: c (n,), Å; equal to a where attraction has no range.
        load: P (n,), eV/Å; of a cylinder per length, eV/Å².
        approach: δ (n,), Å; NaN for a cylinder.
    """

    radius: Array
    zone: Array
    load: Array
    approach: Array


@dataclass(frozen=True, kw_only=True)
class _Contact:
    """An indenter of radius R on a half space, with its adhesion.

    Attributes:
        radius: R, Å.
        modulus: E*, eV/Å³.
        work: w, eV/Å².
        strength: σ₀ of Dugdale's law, or the largest stress of another, eV/Å³.

    Raises:
        ContactError: where one of them is not positive.
    """

    radius: float
    modulus: float
    work: float
    strength: float

    def __post_init__(self) -> None:
        for name, unit in (("radius", "Å"), ("modulus", "eV/Å³"), ("work", "eV/Å²"), ("strength", "eV/Å³")):
            value = getattr(self, name)
            if not np.isfinite(value) or value <= 0.0:
                raise ContactError(f"{name} = {value!r}: expected a positive number in {unit}")

    @property
    def range(self) -> float:
        """h₀ = w/σ₀, Å."""
        return self.work / self.strength

    @property
    def tabor(self) -> float:
        """μ = (R w²/(E*² h₀³))^⅓ (Tabor 1977) with h₀ as the range of attraction."""
        return float((self.radius * self.work**2 / (self.modulus**2 * self.range**3)) ** (1 / 3))

    @property
    def maugis_lambda(self) -> float:
        """λ = 2σ₀ (R/(π w K²))^⅓ with K = 4E*/3 (Maugis 1992); 1.157 μ of the same σ₀ and h₀ = 0.97 z₀ (Lennard-Jones)."""
        k = 4.0 * self.modulus / 3.0
        return float(2.0 * self.strength * (self.radius / (np.pi * self.work * k**2)) ** (1 / 3))

    def zone_length(self, radius: float) -> float:
        """c − a, Å, of the Dugdale solution at a contact radius: what the finite elements must resolve."""
        return radius * (self.zone_ratio(radius) - 1.0)

    def zone_ratio(self, radius: float) -> float:
        """c/a at a contact radius a > 0: the root of the condition that the separation at c be h₀."""

        def excess(logarithm: float) -> float:
            return self._separation(radius, 1.0 + np.exp(logarithm)) - self.range

        return 1.0 + float(np.exp(brentq(excess, -60.0, np.log(_WIDEST * max(1.0, self.range / radius)), xtol=1e-13)))

    def _separation(self, radius: float, ratio: float) -> float:
        raise NotImplementedError

    def dugdale(self, radius: ArrayLike) -> ContactCurve:
        """Equilibria of Dugdale's law at contact radii a > 0 (n,), Å."""
        raise NotImplementedError

    def jkr(self, radius: ArrayLike) -> ContactCurve:
        """Equilibria of JKR at contact radii (n,), Å."""
        raise NotImplementedError

    @property
    def jkr_radius(self) -> float:
        """a at the least load of JKR, Å."""
        raise NotImplementedError

    @property
    def jkr_pull_off(self) -> float:
        """Pull-off force (positive) of JKR: eV/Å, of a cylinder per length."""
        return -float(self.jkr(self.jkr_radius).load[0])

    @property
    def pull_off(self) -> float:
        """Pull-off force (positive) of Dugdale's law: the least load over all contact radii."""
        return -float(self.dugdale(self.pull_off_radius).load[0])

    @property
    def pull_off_radius(self) -> float:
        """Contact radius at that load, Å; nearly zero in the DMT limit."""

        def load(logarithm: float) -> float:
            return float(self.dugdale(np.exp(logarithm)).load[0])

        # One valley between touching and twice the radius of JKR; on a grid first, then refined.
        grid = np.log(self.jkr_radius * np.geomspace(1e-4, 2.0, 41))
        best = int(np.argmin([load(x) for x in grid]))
        ends = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
        found = minimize_scalar(load, bounds=ends, method="bounded", options={"xatol": 1e-9})
        return float(np.exp(found.x))


class SphereContact(_Contact):
    """A sphere, or two of 1/R = 1/R₁ + 1/R₂."""

    @property
    def _k(self) -> float:
        return 4.0 * self.modulus / 3.0

    def hertz(self, radius: ArrayLike) -> ContactCurve:
        """P = 4E*a³/3R, δ = a²/R."""
        a = np.atleast_1d(np.asarray(radius, dtype=float))
        return ContactCurve(radius=a, zone=a, load=self._k * a**3 / self.radius, approach=a**2 / self.radius)

    def jkr(self, radius: ArrayLike) -> ContactCurve:
        """P = 4E*a³/3R − √(8πwE*a³), δ = a²/R − √(2πwa/E*) (Johnson, Kendall and Roberts 1971)."""
        a = np.atleast_1d(np.asarray(radius, dtype=float))
        load = self._k * a**3 / self.radius - np.sqrt(8.0 * np.pi * self.work * self.modulus * a**3)
        approach = a**2 / self.radius - np.sqrt(2.0 * np.pi * self.work * a / self.modulus)
        return ContactCurve(radius=a, zone=a, load=load, approach=approach)

    def dmt(self, radius: ArrayLike) -> ContactCurve:
        """Hertz's contact with the load lowered by 2πwR (Maugis's form of DMT)."""
        hertz = self.hertz(radius)
        load = hertz.load - self.dmt_pull_off
        return ContactCurve(radius=hertz.radius, zone=hertz.radius, load=load, approach=hertz.approach)

    @property
    def dmt_pull_off(self) -> float:
        """2πwR, eV/Å."""
        return 2.0 * np.pi * self.work * self.radius

    @property
    def jkr_radius(self) -> float:
        """(9πwR²/8E*)^⅓, Å."""
        return float((9.0 * np.pi * self.work * self.radius**2 / (8.0 * self.modulus)) ** (1 / 3))

    def _separation(self, radius: float, ratio: float) -> float:
        """Separation at c (Maugis 1992, eq. 6.16 times h₀)."""
        root, angle = _root(ratio), _arcsec(ratio)
        shape = radius**2 / (np.pi * self.radius) * (root + (ratio**2 - 2.0) * angle)
        return float(shape + 4.0 * self.strength * radius / (np.pi * self.modulus) * (root * angle - ratio + 1.0))

    def dugdale(self, radius: ArrayLike) -> ContactCurve:
        """Equilibria of Dugdale's law at contact radii a > 0 (n,), Å (Maugis 1992, eqs 6.16–6.19)."""
        a = np.atleast_1d(np.asarray(radius, dtype=float))
        m = np.array([self.zone_ratio(float(value)) for value in a])
        pulled = 2.0 * self.strength * a**2 * (_root(m) + m**2 * _arcsec(m))
        sunk = 2.0 * self.strength * a * _root(m) / self.modulus
        return ContactCurve(
            radius=a,
            zone=m * a,
            load=self._k * a**3 / self.radius - pulled,
            approach=a**2 / self.radius - sunk,
        )

    def apart(self, zone: ArrayLike) -> ContactCurve:
        """Equilibria of Dugdale's law before touching, by the radius c of the attracting zone (n,), Å.

        P = −πc²σ₀, −δ = h₀ − c²/2R + 4σ₀c/πE* (Johnson and Greenwood 1997); c goes up to `touching_zone`.
        """
        c = np.atleast_1d(np.asarray(zone, dtype=float))
        lift = 4.0 * self.strength * c / (np.pi * self.modulus)
        approach = -(self.range - c**2 / (2.0 * self.radius) + lift)
        return ContactCurve(radius=np.zeros_like(c), zone=c, load=-np.pi * c**2 * self.strength, approach=approach)

    @property
    def touching_zone(self) -> float:
        """c where the surfaces just touch, Å: c²/2R + (2 − 4/π) σ₀c/E* = h₀, the limit a → 0 of both branches."""
        linear = 4.0 * self.strength * (0.5 * np.pi - 1.0) / (np.pi * self.modulus)
        return float(self.radius * (-linear + np.sqrt(linear**2 + 2.0 * self.range / self.radius)))


class CylinderContact(_Contact):
    """A long cylinder in plane strain; loads are per length."""

    def hertz(self, radius: ArrayLike) -> ContactCurve:
        """P = πE*a²/4R."""
        a = np.atleast_1d(np.asarray(radius, dtype=float))
        load = np.pi * self.modulus * a**2 / (4.0 * self.radius)
        return ContactCurve(radius=a, zone=a, load=load, approach=np.full_like(a, np.nan))

    def jkr(self, radius: ArrayLike) -> ContactCurve:
        """P = πE*a²/4R − √(2πE*wa) (Barquins 1988; Chaudhury et al. 1996)."""
        hertz = self.hertz(radius)
        load = hertz.load - np.sqrt(2.0 * np.pi * self.modulus * self.work * hertz.radius)
        return ContactCurve(radius=hertz.radius, zone=hertz.radius, load=load, approach=hertz.approach)

    @property
    def jkr_radius(self) -> float:
        """(2wR²/πE*)^⅓, Å; there −P = 3(πE*w²R/16)^⅓."""
        return float((2.0 * self.work * self.radius**2 / (np.pi * self.modulus)) ** (1 / 3))

    def _separation(self, radius: float, ratio: float) -> float:
        """Separation at c (Baney and Hui 1997): of Hertz's pressure and of the zone's stress, K = 0 at a.

        (a²/2R)[m√(m² − 1) − arcosh m] + (4σ₀a/πE*)[√(m² − 1) arcosh m − m ln m]
        """
        root, arc = float(_root(ratio)), float(np.arccosh(ratio))
        shape = radius**2 / (2.0 * self.radius) * (ratio * root - arc)
        zone = 4.0 * self.strength * radius / (np.pi * self.modulus) * (root * arc - ratio * np.log(ratio))
        return shape + zone

    def dugdale(self, radius: ArrayLike) -> ContactCurve:
        """P = πE*a²/4R − 2σ₀√(c² − a²) at contact radii a > 0 (n,), Å (Baney and Hui 1997)."""
        hertz = self.hertz(radius)
        m = np.array([self.zone_ratio(float(value)) for value in hertz.radius])
        load = hertz.load - 2.0 * self.strength * hertz.radius * _root(m)
        return ContactCurve(radius=hertz.radius, zone=m * hertz.radius, load=load, approach=hertz.approach)


def _root(ratio: ArrayLike) -> Array:
    """√(m² − 1), accurate for m close to 1."""
    m = np.asarray(ratio, dtype=float)
    return np.sqrt((m - 1.0) * (m + 1.0))


def _arcsec(ratio: ArrayLike) -> Array:
    """arccos(1/m), accurate for m close to 1."""
    return np.arctan(_root(ratio))
