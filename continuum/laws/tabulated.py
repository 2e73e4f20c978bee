"""A law given by a table: how curves taken from atoms enter the finite elements."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator

from continuum.errors import LawError
from continuum.laws.base import Array, EffectiveLaw, Unloading

# Quintic Hermite basis on [0, 1]: columns are the coefficients of 1, s, ..., s⁵ for the end values
# ψ₀, hT₀, h²K₀, ψ₁, hT₁, h²K₁ (h is the width of the interval).
_HERMITE = np.array(
    [
        [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.5, 0.0, 0.0, 0.0],
        [-10.0, -6.0, -1.5, 10.0, -4.0, 0.5],
        [15.0, 8.0, 1.5, -15.0, 7.0, -1.0],
        [-6.0, -3.0, -0.5, 6.0, -3.0, 0.5],
    ]
)
# Negative dissipation that a damaging table may show, as a share of the fracture energy, before it is refused.
_DEFECT = 1e-3


class TabulatedLaw(EffectiveLaw):
    """Quintic Hermite interpolation of ψ, so that T = ψ' and ∫T dδ = ψ_end hold to rounding.

    Between two nodes ψ is the quintic polynomial that meets ψ, T and K at both; it is twice continuously
    differentiable. Beyond the last node the traction is zero.

    Args:
        opening: (n,) Å, rising from 0; the nodes need not be evenly spaced.
        potential: (n,) eV/Å², ψ at the nodes, 0 at the first.
        traction: (n,) eV/Å³, T at the nodes, 0 at the first and the last.
        stiffness: (n,) eV/Å⁴, K at the nodes; positive at the first.
        unloading: ``damaging`` (default) or ``reversible``.
        penalty: stiffness against interpenetration, eV/Å⁴; the initial stiffness if None.

    Attributes:
        dissipation_defect: largest fall of ψ − ½Tδ along the table, eV/Å²: energy that secant unloading would
            create where T/δ rises with δ (noise). Refused for damaging laws above 10⁻³ of the fracture energy.

    Raises:
        LawError: where the table is no law.
    """

    def __init__(
        self,
        *,
        opening: ArrayLike,
        potential: ArrayLike,
        traction: ArrayLike,
        stiffness: ArrayLike,
        unloading: Unloading = "damaging",
        penalty: float | None = None,
    ) -> None:
        nodes, psi, force, slope = (np.asarray(a, dtype=float) for a in (opening, potential, traction, stiffness))
        _check_table(nodes, psi, force, slope)
        self.nodes = nodes
        width = np.diff(nodes)
        ends = np.stack(
            [psi[:-1], width * force[:-1], width**2 * slope[:-1], psi[1:], width * force[1:], width**2 * slope[1:]]
        )
        self._coefficients = np.ascontiguousarray((_HERMITE @ ends).T)
        self._width = width
        self.fracture_energy = float(psi[-1])
        self.initial_stiffness = float(slope[0])
        self.final_opening = float(nodes[-1])
        fine = (nodes[:-1, None] + width[:, None] * np.linspace(0.0, 1.0, 33)[None, :]).ravel()
        values, pulls, _ = self.curve(fine)
        peak = int(np.argmax(pulls))
        self.peak_traction, self.opening_at_peak = float(pulls[peak]), float(fine[peak])
        spent = values - 0.5 * pulls * fine
        self.dissipation_defect = float(np.max(np.maximum.accumulate(spent) - spent))
        if unloading == "damaging" and self.dissipation_defect > _DEFECT * self.fracture_energy:
            raise LawError(
                f"unloading = 'damaging': traction/opening rises along this table, so that unloading to the origin "
                f"would create {self.dissipation_defect:.3g} eV/Å² ({self.dissipation_defect / psi[-1]:.2%} of the "
                f"fracture energy); expected at most {_DEFECT:.1%}: smooth the curve or take unloading = 'reversible'"
            )
        self._finish(unloading, penalty)

    @classmethod
    def from_traction(
        cls,
        opening: ArrayLike,
        traction: ArrayLike,
        *,
        unloading: Unloading = "damaging",
        penalty: float | None = None,
    ) -> Self:
        """Law through tractions (n,) at openings (n,): monotone cubic T (Fritsch and Carlson 1980), ψ its integral."""
        nodes, force = np.asarray(opening, dtype=float), np.asarray(traction, dtype=float)
        _check_table(nodes, np.linspace(0.0, 1.0, len(nodes)), force, np.ones_like(force))
        spline = PchipInterpolator(nodes, force)
        return cls(
            opening=nodes,
            potential=spline.antiderivative()(nodes),
            traction=force,
            stiffness=spline.derivative()(nodes),
            unloading=unloading,
            penalty=penalty,
        )

    def curve(self, opening: Array) -> tuple[Array, Array, Array]:
        """ψ, T and K at effective openings ≥ 0, each (n,)."""
        index = np.clip(np.searchsorted(self.nodes, opening, side="right") - 1, 0, len(self._width) - 1)
        beyond = opening >= self.nodes[-1]
        width = self._width[index]
        s = np.where(beyond, 1.0, (opening - self.nodes[index]) / width)
        c = np.moveaxis(self._coefficients[index], -1, 0)
        psi = c[0] + s * (c[1] + s * (c[2] + s * (c[3] + s * (c[4] + s * c[5]))))
        force = (c[1] + s * (2 * c[2] + s * (3 * c[3] + s * (4 * c[4] + s * 5 * c[5])))) / width
        slope = (2 * c[2] + s * (6 * c[3] + s * (12 * c[4] + s * 20 * c[5]))) / width**2
        return (
            np.where(beyond, self.fracture_energy, psi),
            np.where(beyond, 0.0, force),
            np.where(beyond, 0.0, slope),
        )


def _check_table(nodes: Array, psi: Array, force: Array, slope: Array) -> None:
    """Raise LawError unless the four columns make a law."""
    shapes = {nodes.shape, psi.shape, force.shape, slope.shape}
    if len(shapes) != 1 or nodes.ndim != 1 or len(nodes) < 3:
        raise LawError(f"table of shapes {sorted(shapes)}: expected columns of one common length, at least 3")
    if not all(np.isfinite(a).all() for a in (nodes, psi, force, slope)):
        raise LawError("table with NaN or infinite entries: expected finite numbers; check the curve it came from")
    if nodes[0] != 0.0 or (np.diff(nodes) <= 0.0).any():
        raise LawError(f"openings {nodes[:3]}...: expected to rise from exactly 0: sort them and start at 0")
    if psi[0] != 0.0 or force[0] != 0.0:
        raise LawError(f"potential {psi[0]:g} and traction {force[0]:g} at zero opening: expected 0 and 0; shift them")
    if force[-1] != 0.0:
        raise LawError(f"traction {force[-1]:g} at the last opening: expected exactly 0; add a node where it is zero")
    if psi[-1] <= 0.0 or slope[0] <= 0.0:
        raise LawError(
            f"fracture energy {psi[-1]:g} and initial stiffness {slope[0]:g}: expected both positive; "
            "is the sign of the traction right?"
        )
