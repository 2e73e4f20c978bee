"""What a fracture run knows: references of the crack, states on its path, and what the path says of trapping."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from multiscale.studies.embedded_files import EmbeddedRecord

if TYPE_CHECKING:
    from atomistic.cleavage import CreatedSurfaces, Cut
    from atomistic.curves import SeparationCurve
    from continuum.body import Body
    from continuum.stroh import CrackField
    from coupling.crack.state import CrackState
    from coupling.ledger import EnergyLedger
    from multiscale.studies.crack_system import CrackCharacter, CrackPlan

Array = NDArray[np.float64]
Leg = Literal["up", "down", "follow"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CrackReferences:
    """What one potential says of a crack before any crack is made.

    Attributes:
        cut: which planes of atoms part.
        cuts: all that the plane offers, in order of energy.
        surfaces: the two that the crack makes.
        stiffness: (6, 6) Voigt, laboratory axes, eV/Å³: of the crystal by its atoms.
        field: asymptotic field of a sharp crack in it.
        direction: (3,) stress intensities per unit of load in Stroh's order (II, I, III): the mixture of modes.
        griffith: K_G, at which the mixture releases the energy of the surfaces, eV/Å^2.5.
        peak: largest traction of the rigid separation law, eV/Å³; NaN where it is not known.
        cohesive_length: (π/8) E* 2γ/peak² (Dugdale 1960, Rice 1968), Å; NaN where it is not known.
        calls: of the potential for all this.
        separation: the law itself, halves kept rigid; None where it was not computed.
    """

    cut: Cut
    cuts: tuple[Cut, ...]
    surfaces: CreatedSurfaces
    stiffness: Array
    field: CrackField
    direction: Array
    griffith: float
    peak: float
    cohesive_length: float
    calls: int
    separation: SeparationCurve | None = None

    def traction(self, opening: Array) -> Array:
        """Traction (n,) eV/Å³ of the separation law at openings (n,) Å: zero beyond those that were computed."""
        assert self.separation is not None
        law = PchipInterpolator(self.separation.opening, self.separation.traction, extrapolate=False)
        return np.nan_to_num(law(opening))

    @property
    def two_gamma(self) -> float:
        """Energy of both created surfaces, relaxed, eV/Å²."""
        return self.surfaces.relaxed

    @property
    def modulus(self) -> float:
        """E*, eV/Å³: G = K_I²/E* in mode I."""
        return self.field.effective_modulus

    def release(self, load: float) -> float:
        """Energy release G = ½ kᵀ L⁻¹ k of k = load × direction, eV/Å²."""
        return self.field.energy_release(load * self.direction)

    def intensity(self, release: float) -> float:
        """Load of the mixture that releases G (eV/Å²), eV/Å^2.5; NaN for a negative one."""
        return float(np.sqrt(release / self.release(1.0))) if release >= 0.0 else float("nan")


@dataclass(frozen=True, kw_only=True, eq=False)
class CrackPicture:
    """What stays the same from state to state until the zone is re-centred.

    Attributes:
        reference: (a, 3) undeformed atoms, Å.
        symbols: (a,) elements.
        beta: (a,) 0 atoms alone, 1 continuum.
        role: (a,) 0 core, 1 blend, 2 pad.
        site: (a,) site of each atom.
        thickness: period along the front, Å.
        body: the finite elements, with the crack's faces as a slit.
        node_beta: (vertices,) β at the vertices of the mesh.
        cell_weights: (cells,) share of its volume that each element keeps.
        center: (2,) of the zone, Å.
        radius: of the core, Å.
        width: of the blend, Å.
    """

    reference: Array
    symbols: tuple[str, ...]
    beta: Array
    role: NDArray[np.int64]
    site: NDArray[np.int64]
    thickness: float
    body: Body
    node_beta: Array
    cell_weights: Array
    center: tuple[float, float]
    radius: float
    width: float


@dataclass(frozen=True, kw_only=True, eq=False)
class PathPoint:
    """One state on the path.

    Attributes:
        index: from 0, in the order of the path.
        leg: up, down or follow.
        load: of the unit load: K of the mixture, eV/Å^2.5; grips: their opening, Å.
        intensity: K of the mixture that acts on the tip, eV/Å^2.5: the load of a disc; of grips from J.
        release: G = ½ kᵀ L⁻¹ k of it, eV/Å²; of grips J itself.
        j: J-integral in the elements, eV/Å²; NaN where no ring fits.
        tip_bonds: x of the tip between the last broken and the first whole bond, Å.
        tip_field: x of the tip by the fit of the crack field, Å; NaN where it does not fit.
        field_scale: fitted K over applied K.
        field_residual: root mean square of what the fit leaves, Å.
        broken: bonds across the plane.
        advance: periods of the lattice since the start, by bonds.
        emitted: pairs of atoms that slipped.
        emission: what slipped, in words; empty for nothing.
        recentred: whether the zone was moved before this state.
        energy_jump: what that changed, eV; NaN without.
        picture: number of the picture that it belongs to.
        state: the state itself.
    """

    index: int
    leg: Leg
    load: float
    intensity: float
    release: float
    j: float
    tip_bonds: float
    tip_field: float
    field_scale: float
    field_residual: float
    broken: int
    advance: float
    emitted: int
    emission: str
    recentred: bool
    energy_jump: float
    picture: int
    state: CrackState


@dataclass(frozen=True, kw_only=True, eq=False)
class Trapping:
    """What a path says of the lattice's hold on the crack.

    Attributes:
        plus: loads at which the crack advances, one a period passed, eV/Å^2.5.
        minus: loads at which it heals, eV/Å^2.5.
        plus_error: half the bracket in which each lies; 0 at the folds of a continuation.
        minus_error: the same.
        barrier: energy between stable and unstable state at `barrier_load`, eV per thickness; NaN where no unstable one is known.
        barrier_load: K_G, or the middle of the range where it lies outside, eV/Å^2.5.
        barriers: (n, 3) load (eV/Å^2.5), barrier of an advance and of healing (eV per thickness) across the range.
        barrier_from: what the energies come from.
        shift_error: of all displacements from those of the state one period earlier, moved by one period, Å; NaN where the
            path is too short.
        maxwell: load at which the states on both sides of the barrier have the same energy, Griffith's criterion by the atoms
            themselves, eV/Å^2.5; NaN where no path leads from one to the other.
        barrier_counted: the same barrier by energies counted once, an independent sum, eV; NaN where the potential tells none.
    """

    plus: tuple[float, ...]
    minus: tuple[float, ...]
    plus_error: tuple[float, ...]
    minus_error: tuple[float, ...]
    barrier: float
    barrier_load: float
    barriers: Array
    barrier_from: Literal["energies", "work of the forces"]
    shift_error: float
    maxwell: float = float("nan")
    barrier_counted: float = float("nan")

    @property
    def k_plus(self) -> float:
        """K₊ of the first period passed, eV/Å^2.5; NaN if none was."""
        return self.plus[0] if self.plus else float("nan")

    @property
    def k_minus(self) -> float:
        """K₋ of the first period healed or passed, eV/Å^2.5; NaN if none was."""
        return self.minus[0] if self.minus else float("nan")

    @property
    def ratio(self) -> float:
        """K₊/K₋: 1 without trapping."""
        return self.k_plus / self.k_minus


@dataclass(frozen=True, kw_only=True, eq=False)
class FractureResult:
    """What a run leaves in memory; the rest is in its directory.

    Attributes:
        directory: of the run.
        character: what the potential says of the crystal.
        references: of the crack.
        plan: of zone and body.
        pictures: of the model, one more each time that the zone is re-centred.
        points: states along the path.
        trapping: what they say.
        ledger: energies along the path, as changes from its start; None for methods without an energy.
        warnings: what a reader of the results should know.
        quantum: states by the quantum engine, where there is one.
    """

    directory: Path
    character: CrackCharacter
    references: CrackReferences
    plan: CrackPlan
    pictures: list[CrackPicture] = field(default_factory=list)
    points: list[PathPoint] = field(default_factory=list)
    trapping: Trapping | None = None
    ledger: EnergyLedger | None = None
    warnings: list[str] = field(default_factory=list)
    quantum: EmbeddedRecord = field(default_factory=lambda: EmbeddedRecord(embedding=None))
