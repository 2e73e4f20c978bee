"""From a separation over all slips to a coupled law, with the elasticity of the parting planes taken out of every component.

Two halves of a crystal, separated by Δ = (opening, two slips), strain the gap between them. Finite elements that meet at
the interface hold that elasticity already: per area and traction, S = d·Q⁻¹ with Q_jl = C_jnln of the interface's normal n
and d the gap. Rice's relation (1992, J. Mech. Phys. Solids 40, 239) in three components,

    δ = Δ − S T,    ψ(δ) = φ(Δ) − ½ T·S T,

keeps T = dψ/dδ and the work of separation, which T = 0 at the end makes the same along any path. It folds where the
crystal's second derivatives K = ∇²φ exceed S⁻¹ in any direction: a share of S must then stay in the law.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomistic.orientation import Orientation
from continuum.laws.coupled import CoupledTableLaw
from coupling.errors import CouplingError
from coupling.shear_table import ShearTable, limit_repulsion, refine

Array = NDArray[np.float64]
#: Voigt indices of yy, xy, yz: tractions on a plane normal to y, in the order normal, x, z.
_ON_PLANE = np.array([1, 5, 3])
#: Openings (Å) beyond which no crystal stiffens any more, and points along the slip cell at which stiffness is examined.
_STIFF_BELOW, _ALONG_CELL = 2.5, 48


class CrystalTable(ShearTable, Protocol):
    """A separation over all slips with what the extraction needs besides: see `atomistic.shear.ShearOpening`."""

    @property
    def length(self) -> float:
        """Å of crystal whose elasticity the table contains."""

    @property
    def orientation(self) -> Orientation:
        """The laboratory axes."""


@dataclass(frozen=True, kw_only=True)
class CoupledExtraction:
    """A coupled law taken from atoms, as a table, and what was done to get it. Components: normal, x, z.

    Attributes:
        opening: (k,) Å, even steps.
        potential: (k, n1, n2) φ, eV/Å², before the compliance is taken out; 0 at no separation.
        lattice: (2, 2) Å, rows in (x, z).
        dimension: 2 or 3, the number of components for which the compliance was chosen.
        work: work of separation, eV/Å².
        plane_compliance: (3, 3) S = d·Q⁻¹ of the bodies' material, Å⁴/eV.
        compliance: (3, 3) what is taken out, Å⁴/eV.
        share: of the compliance against opening and against slip that is taken out; 1 and 1 for all of it.
        steepest: (2,) largest K S over all pulled states for opening alone and slip alone; above 1 the relation folds.
        folded: part of the states examined (not pressed) at which the relation folds with these shares.
        crystal_stiffness: (3, 3) K of the closed plane, eV/Å⁴.
        repulsion_limited: largest change of φ by the limit on the stiffness under pressure, over `work`, at openings ≥ 0.
    """

    opening: Array
    potential: Array
    lattice: Array
    dimension: int
    work: float
    plane_compliance: Array
    compliance: Array
    share: tuple[float, float]
    steepest: tuple[float, float]
    folded: float
    crystal_stiffness: Array
    repulsion_limited: float

    @property
    def left_compliance(self) -> Array:
        """Compliance (3, 3) of the closed law, K⁻¹ − S′, Å⁴/eV."""
        return np.asarray(np.linalg.inv(self.crystal_stiffness) - self.compliance)

    def law(self) -> CoupledTableLaw:
        """The law that an interface of the finite-element model carries, its normal along +y."""
        return CoupledTableLaw(
            opening=self.opening,
            potential=self.potential,
            lattice=self.lattice,
            compliance=self.compliance,
            dimension=self.dimension,
        )

    def bare_law(self) -> CoupledTableLaw:
        """The same law with nothing taken out: for rigid bodies."""
        return CoupledTableLaw(opening=self.opening, potential=self.potential, lattice=self.lattice)


def plane_compliance(stiffness: ArrayLike, length: float) -> Array:
    """S = d·Q⁻¹ (3, 3), Å⁴/eV, of a gap d (Å) of a material with stiffness (6, 6) eV/Å³, for a plane normal to y."""
    acoustic = np.asarray(stiffness, dtype=float)[np.ix_(_ON_PLANE, _ON_PLANE)]
    return np.asarray(length * np.linalg.inv(acoustic))


def extract_coupled_law(
    table: CrystalTable,
    *,
    stiffness: ArrayLike | None = None,
    length: float | None = None,
    dimension: Literal[2, 3] = 2,
    folds: Literal["avoid", "accept"] = "avoid",
    stiffness_cap: float = 50.0,
    factor: int = 6,
    step: float = 0.05,
) -> CoupledExtraction:
    """Make a coupled law of a crystal's separation over all slips.

    Where S⁻¹ − K is not positive definite the relation folds: for rigid slip K S reaches 1 already when closed, because
    neighbouring planes alone carry it, and more where a slipped plane is pushed at right angles to the easy way. With
    folds="avoid" the shares of S that are taken out against opening and slip are the largest for which the law is nowhere
    stiffer than `stiffness_cap` gaps of the bodies, at any state that is not pressed. With "accept" they are the largest for
    which that holds when closed and in plain opening; at states that fold the traction then jumps. Pressed states go on
    with the bodies' own stiffness.

    Args:
        table: see `atomistic.shear.shear_opening`.
        stiffness: (6, 6) of the bodies, eV/Å³, in the laboratory axes; the crystal's own if None.
        length: Å of the bodies' material to take out; the table's gap if None, 0 for nothing.
        dimension: 2 takes the fold into account along z = 0 only, where a plane model is.
        folds: whether states at which the relation folds are avoided, by taking out less, or accepted.
        stiffness_cap: in units of S⁻¹.
        factor: by how much the grid of slips is refined.
        step: between the openings of the law's table, Å.

    Raises:
        CouplingError: a negative length, a cap of 1 or less, or a plane model of a crystal that slips out of it.
        InvalidCurveError: a table that ends before its traction has died out.
    """
    length = table.length if length is None else float(length)
    if not length >= 0.0 or not stiffness_cap > 1.0 or dimension not in (2, 3):
        raise CouplingError(
            f"length = {length!r}, stiffness_cap = {stiffness_cap!r}, dimension = {dimension!r}: expected a length ≥ 0 Å, "
            "a cap above 1, and 2 or 3"
        )
    if dimension == 2 and not table.orientation.decoupled:
        raise CouplingError(
            f"the plane {table.orientation.plane} grown along {table.orientation.growth} is no mirror image of itself along z: "
            "a plane model would slip out of its plane; choose another growth direction or dimension=3"
        )
    own = plane_compliance(table.orientation.stiffness if stiffness is None else stiffness, length or table.length)
    most = 1.0 - 1.0 / stiffness_cap
    openings, energy, traction, slope = refine(table, factor=factor, step=step)
    pressed = limit_repulsion(openings, energy, traction, slope, most=most / own[0, 0])
    closed = int(np.argmin(np.abs(pressed[0])))
    changed = np.abs(pressed[1][-len(openings) :] - energy)[openings > -0.5 * step].max()
    potential = pressed[1] - pressed[1][closed, 0, 0]
    nodes = pressed[0] - _rest(CoupledTableLaw(opening=pressed[0], potential=potential, lattice=table.lattice))
    bare = CoupledTableLaw(opening=nodes, potential=potential, lattice=table.lattice)
    root = np.linalg.cholesky(own)
    scaled, plain = _scaled_curvatures(bare, root, dimension)
    share = _shares(scaled if folds == "avoid" else scaled[plain], most) if length else (0.0, 0.0)
    widths = np.diag([share[0], share[1], share[1]])
    taken = root @ widths @ root.T
    half = np.sqrt(widths[:dimension, :dimension])
    largest = np.linalg.eigvalsh(half @ scaled @ half)[:, -1]
    return CoupledExtraction(
        opening=nodes,
        potential=potential,
        lattice=np.asarray(table.lattice),
        dimension=dimension,
        work=float(potential[-1, 0, 0]),
        plane_compliance=own if length else np.zeros((3, 3)),
        compliance=taken,
        share=share,
        steepest=(float(scaled[:, 0, 0].max()), float(np.linalg.eigvalsh(scaled[:, 1:, 1:]).max())),
        folded=float(np.mean(largest >= 1.0)),
        crystal_stiffness=bare.table(np.zeros((1, 3)))[2][0],
        repulsion_limited=float(changed / potential[-1, 0, 0]),
    )


def _rest(law: CoupledTableLaw) -> float:
    """Opening (Å) at which the closed table is without traction: its spline misses 0 by some 1e-5 Å."""
    opening = np.zeros((1, 3))
    for _ in range(5):
        _, force, stiffness = law.table(opening)
        opening[0, 0] -= force[0, 0] / stiffness[0, 0, 0]
    return float(opening[0, 0])


def _scaled_curvatures(law: CoupledTableLaw, root: Array, dimension: int) -> tuple[Array, NDArray[np.bool_]]:
    """LᵀKL (n, dim, dim) with S = L Lᵀ at states that are not pressed, 1 being the bodies' own stiffness; which do not slip."""
    levels = np.arange(0.0, min(law.end, _STIFF_BELOW), law.step / (2 if dimension == 2 else 1))
    if dimension == 3:
        fractions = np.arange(_ALONG_CELL) / _ALONG_CELL
        axes = np.meshgrid(levels, fractions, fractions, indexing="ij")
        slips = np.stack([axes[1].ravel(), axes[2].ravel()], axis=-1) @ law.lattice
    else:
        # Along x the table need not repeat within one cell.
        count = int(4.0 * np.linalg.norm(law.lattice, axis=1).sum() / law.step)
        axes = np.meshgrid(levels, 0.5 * law.step * np.arange(-count, count + 1), indexing="ij")
        slips = axes[1].reshape(-1, 1)
    _, force, curvature = law.table(np.column_stack([axes[0].ravel(), slips]))
    pulled = force[:, 0] >= -1e-4 * law.peak_traction
    inner = root[:dimension, :dimension]
    scaled = np.asarray(inner.T @ curvature[pulled] @ inner)
    return scaled, np.abs(slips[pulled]).max(axis=1) < 1e-9


def _shares(scaled: Array, most: float) -> tuple[float, float]:
    """Shares (opening, slip) with D^½(LᵀKL)D^½ ≤ `most` at all states; that of the opening as large as may be.

    With the share of the opening fixed, Schur's complement gives the largest one of the slips in closed form.
    """
    normal, across, slip = scaled[:, 0, 0], scaled[:, 0, 1:], scaled[:, 1:, 1:]
    best = (0.0, 0.0)
    largest = min(1.0, most / max(float(normal.max()), 1e-12))
    for first in largest * np.linspace(1.0, 0.9, 21):
        room = most / first - normal
        usable = room > 1e-9
        if np.abs(across[~usable]).max(initial=0.0) > 1e-6:
            continue
        pull = np.einsum("ni,nj->nij", across[usable], across[usable]) / room[usable, None, None]
        second = min(1.0, most / float(np.linalg.eigvalsh(slip[usable] + pull).max()))
        if first**4 * second > best[0] ** 4 * best[1]:
            best = (float(first), float(second))
    return best
