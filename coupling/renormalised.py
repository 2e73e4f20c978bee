"""One cohesive law for N lattice planes, from the curve that atoms give for one (Nguyen and Ortiz 2002).

N planes that are pulled apart by δ̄ take the least energy: all stretch, until it costs no more to let one of them part and
the others spring back. J. Mech. Phys. Solids 50, 1727, has linear planes (`continuum.laws.NPlaneLaw`); here one gap follows
the atoms' curve φ(Δ) and the N − 1 others are linear, as the body is,

    ψ_N(δ̄) = min over Δ { φ(Δ) + ½ C'/((N − 1) d) (δ̄ − Δ)² }.

The energy of fracture is that of one plane. The traction at which it parts falls as N^(−½), and the opening over which it works
grows as N^½, so that elements as long as the N planes are high resolve it.

The curve contains the elasticity of N planes. Finite elements that reach up to the interface hold it already, so it is taken out
as for one plane (`coupling.cohesive`): δ = δ̄ − N d T/C', ψ = ψ_N − N d T²/(2C'). What is left is the law of one plane with
its softening cut along the steepest line that N planes of the body can follow, of slope −C'/(N d).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from continuum.laws import TabulatedLaw
from coupling.cohesive import falling_secant, monotone_envelope
from coupling.elasticity import LinearUniaxial
from coupling.errors import CouplingError
from coupling.separation_fit import Separation, fit_separation

Array = NDArray[np.float64]
_STRETCHING, _DROPPING, _PARTING = 481, 60, 961


@dataclass(frozen=True, kw_only=True)
class SeriesPath:
    """The lower envelope of N planes in series, along its way: stretching, dropping, parting.

    Attributes:
        opening: δ̄ (n,) Å; constant while the traction drops.
        traction: T (n,) eV/Å³.
        energy: ψ_N (n,) eV/Å².
        transition: (opening, traction before, traction after) where one plane parts; None where it parts without a jump.
    """

    opening: Array
    traction: Array
    energy: Array
    transition: tuple[float, float, float] | None


@dataclass(frozen=True, kw_only=True)
class Renormalisation:
    """A cohesive law of N planes, and what was done to get it.

    Attributes:
        opening: (n,) Å, from 0.
        traction: (n,) eV/Å³.
        n_planes: N.
        length: N d of crystal whose elasticity the curve held, Å.
        keeps_elasticity: whether the law still holds it.
        work: of separation, eV/Å²; the law's fracture energy.
        path: the lower envelope.
        stretch: factor on the opening that returns what cap and envelopes cut off.
    """

    opening: Array
    traction: Array
    n_planes: int
    length: float
    keeps_elasticity: bool
    work: float
    path: SeriesPath
    stretch: float

    @property
    def peak_traction(self) -> float:
        """The largest traction, eV/Å³."""
        return float(self.traction.max())

    def law(
        self, *, unloading: Literal["reversible", "damaging"] = "damaging", penalty: float | None = None
    ) -> TabulatedLaw:
        """The law that an interface of the finite-element model carries; see `TabulatedLaw` for the options."""
        return TabulatedLaw.from_traction(self.opening, self.traction, unloading=unloading, penalty=penalty)


def series_path(curve: Separation, n_planes: int, elasticity: LinearUniaxial, *, length: float) -> SeriesPath:
    """Return the lower envelope of N planes in series.

    Args:
        curve: openings (Å), energies (eV/Å²) and tractions (eV/Å³) of the gap that parts.
        n_planes: N ≥ 1.
        elasticity: of the others.
        length: the gap d of one plane, Å.

    Raises:
        CouplingError: N < 1.
        InvalidCurveError: a curve that cannot be fitted.
    """
    if isinstance(n_planes, bool) or int(n_planes) != n_planes or n_planes < 1:
        raise CouplingError(f"n_planes = {n_planes!r}: expected a whole number of at least 1 plane in series")
    fit = fit_separation(curve)
    top, strength = fit.peak
    parting = top + (fit.end - top) * np.linspace(0.0, 1.0, _PARTING) ** 1.5
    gap = np.concatenate([top * np.linspace(0.0, 1.0, _STRETCHING)[:-1] ** 2, parting])
    pull, energy = np.clip(fit.traction(gap), 0.0, strength), np.asarray(fit.energy(gap))
    pull[-1], energy[-1] = 0.0, fit.work
    if n_planes == 1:
        return SeriesPath(opening=gap, traction=pull, energy=energy, transition=None)
    spring = elasticity.modulus / ((n_planes - 1) * length)
    # Many planes let one of them fly apart beyond the reach of its forces.
    apart = fit.end + np.linspace(0.0, 1.1 * np.sqrt(2.0 * fit.work / spring), _PARTING)[1:]
    gap, pull = np.append(gap, apart), np.append(pull, np.zeros_like(apart))
    energy = np.append(energy, np.full_like(apart, fit.work))
    # φ(Δ) + ½k(δ̄ − Δ)² is least where φ + ½kΔ² touches its convex hull; the others lie in drops of the traction.
    kept = _touching(gap, energy + 0.5 * spring * gap**2)
    opening, force = gap[kept] + pull[kept] / spring, pull[kept]
    total = energy[kept] + 0.5 * force**2 / spring
    rows = np.column_stack([opening, force, total])
    columns, widest = [rows[:1]], (0.0, 0)
    for k in range(1, len(rows)):
        if force[k - 1] - force[k] > 0.02 * strength and kept[k] > kept[k - 1] + 1:
            drop = np.linspace(force[k - 1], force[k], _DROPPING)[1:-1]
            # A point right before the corner keeps a monotone interpolation from rounding it.
            columns.insert(-1, 1e-3 * rows[k - 2 : k - 1] + (1.0 - 1e-3) * rows[k - 1 : k])
            columns.append(np.column_stack([np.full_like(drop, opening[k]), drop, np.full_like(drop, total[k])]))
            widest = max(widest, (float(force[k - 1] - force[k]), k - 1))
        columns.append(rows[k : k + 1])
    path = np.concatenate(columns)
    path = path[: np.flatnonzero(path[:, 1] > 0.0)[-1] + 2]
    at = widest[1]
    transition = (float(opening[at]), float(force[at]), float(force[at + 1])) if widest[0] > 0.0 else None
    return SeriesPath(opening=path[:, 0], traction=path[:, 1], energy=path[:, 2], transition=transition)


def _touching(x: Array, y: Array) -> list[int]:
    """Indices of the points on the lower convex hull of a curve, x ascending (Andrew 1979)."""
    hull: list[int] = []
    for i in range(len(x)):
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            if (y[b] - y[a]) * (x[i] - x[a]) <= (y[i] - y[a]) * (x[b] - x[a]):
                break
            hull.pop()
        hull.append(i)
    return hull


def renormalise(
    curve: Separation,
    n_planes: int,
    elasticity: LinearUniaxial,
    *,
    length: float,
    keep_elasticity: bool = False,
    stiffness_cap: float = 50.0,
) -> Renormalisation:
    """Make one law of N planes.

    Args:
        curve: openings (Å), energies (eV/Å²) and tractions (eV/Å³) of one gap, pulled apart rigidly.
        n_planes: N; some eight elements of the interface should be as long as N planes are high.
        elasticity: of the finite-element body along the interface's normal.
        length: the gap d of one plane, Å.
        keep_elasticity: True for meshes that leave the N planes out.
        stiffness_cap: largest slope, up or down, in units of C'/(N d).

    Raises:
        CouplingError: N < 1, a gap that is not positive, or a cap of 1 or less.
        InvalidCurveError: a curve that cannot be fitted.
    """
    if not length > 0.0 or not stiffness_cap > 1.0:
        raise CouplingError(
            f"length = {length!r}, stiffness_cap = {stiffness_cap!r}: expected a gap > 0 Å and a cap > 1"
        )
    path = series_path(curve, n_planes, elasticity, length=length)
    whole = n_planes * length
    opening = path.opening if keep_elasticity else path.opening - whole * elasticity.strain(path.traction)
    monotone = monotone_envelope(opening, path.traction, stiffness_cap * elasticity.modulus / whole)
    kept = np.concatenate([[True], np.diff(monotone) > 1e-9 * monotone[-1]])
    traction, _ = falling_secant(monotone[kept], path.traction[kept])
    traction[[0, -1]] = 0.0
    work = float(path.energy[-1])
    found = TabulatedLaw.from_traction(monotone[kept], traction, unloading="reversible").fracture_energy
    return Renormalisation(
        opening=monotone[kept] * (work / found),
        traction=traction,
        n_planes=n_planes,
        length=whole,
        keeps_elasticity=keep_elasticity,
        work=work,
        path=path,
        stretch=work / found,
    )
