"""What is seen of a crack's state: its tip by bonds and by field, J in the elements, what slipped."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from atomistic.cleavage import bonds as crystal_bonds
from continuum.crack_bodies import CrackBody
from continuum.errors import BodyError
from continuum.j_integral import JIntegral
from coupling.crack.bonds import Bonds, first_neighbours
from coupling.crack.dislocations import find_emission
from coupling.crack.model import CrackModel
from coupling.crack.state import CrackState
from coupling.crack.tip import TipPosition, ring, tip_by_bonds, tip_by_field
from coupling.errors import TipError
from multiscale.studies.crack_system import CrackCharacter, CrackPlan
from multiscale.studies.fracture_state import CrackPicture, CrackReferences, Leg, PathPoint

Array = NDArray[np.float64]
#: Stretch from which a bond is broken: in the covalent and metallic crystals looked at, bonds are 1.2 to 1.3 times their length
#: where they give way, and longer than 1.5 times once they have.
BROKEN_STRETCH = 1.4
#: Rings of the J integral and of the fitted field: from this part of the way out on, in radii of core and blend.
_J_INNER, _J_OUTER = 1.3, 3.0
#: The J integral stays within this part of the way to the nearest side.
J_ROOM = 0.8
#: The field is fitted to atoms beyond this part of the core's radius.
_FIT_INNER = 0.6
#: The field's range of validity ends this many periods ahead of where bonds across the plane count as slipped.
_AHEAD = 3.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Observer:
    """Looks at the states of one model.

    Attributes:
        model: the cracked body.
        character: of the crystal.
        references: of the crack.
        plan: of zone and body.
        center: (2,) of the core, Å.
        number: of the picture that belongs to the model.
        gripped: whether the load is an opening.
    """

    model: CrackModel
    character: CrackCharacter
    references: CrackReferences
    plan: CrackPlan
    center: tuple[float, float]
    number: int
    gripped: bool

    @cached_property
    def picture(self) -> CrackPicture:
        """What the files need of the model."""
        model, partition = self.model, self.model.partition
        role = np.where(partition.beta == 0.0, 0, np.where(partition.weighted, 1, 2))
        return CrackPicture(
            reference=model.reference,
            symbols=tuple(model.columns.chemical_symbols(len(partition.indices))),
            beta=model.atom_beta,
            role=role[model.site_of_atom],
            site=model.site_of_atom,
            thickness=partition.lattice.thickness,
            body=model.body,
            node_beta=partition.node_beta[: len(model.body.mesh.points)],
            cell_weights=partition.cell_weights,
            center=self.center,
            radius=self.plan.radius,
            width=self.plan.width,
        )

    @cached_property
    def bond_length(self) -> float:
        """Distance of nearest neighbours, Å."""
        _, vectors = crystal_bonds(self.character.crystal, self.character.orientation)
        return float(np.linalg.norm(vectors, axis=1).min())

    @cached_property
    def bonds(self) -> Bonds:
        """All bonds between first neighbours of the undeformed atoms."""
        return first_neighbours(self.model.reference, self.model.partition.lattice.thickness, self.bond_length)

    @cached_property
    def own(self) -> NDArray[np.bool_]:
        """(atoms,) those of core and blend."""
        return np.asarray(self.model.partition.weighted[self.model.site_of_atom])

    @cached_property
    def across(self) -> Bonds:
        """Bonds across the crack's plane between atoms of core and blend."""
        own = self.own
        return self.bonds.where(self.bonds.crossing() & own[self.bonds.first] & own[self.bonds.second])

    def tip(self, state: CrackState) -> TipPosition:
        """The tip between broken and whole bonds."""
        return tip_by_bonds(state.positions, self.across, stretch=BROKEN_STRETCH)

    def release(self, state: CrackState) -> tuple[float, float, float]:
        """K of the mixture (eV/Å^2.5), G and J (eV/Å²) of a state."""
        j = float("nan") if self.j_integral is None else self.j_integral.value(state.u[: self.model.nodes])
        if self.gripped:
            return self.references.intensity(j), j, j
        return state.load, self.references.release(state.load), j

    @cached_property
    def j_integral(self) -> JIntegral | None:
        """J in a ring of whole elements about the zone; None where the body has no room for one."""
        reach = self.plan.radius + self.plan.width
        inner = _J_INNER * reach + abs(self.center[0])
        outer = min(_J_OUTER * inner, J_ROOM * clear_radius(self.plan.outer, self.center))
        try:
            return JIntegral(
                self.model.body, tip=self.center, inner=inner, outer=outer, weights=self.model.partition.cell_weights
            )
        except BodyError:
            return None

    def fit(self, state: CrackState, intensity: float, near: float) -> tuple[float, float, float]:
        """Tip (Å) by the crack field that fits the atoms, fitted over applied K, and what is left (Å); NaN without a fit."""
        reference = self.model.reference
        reach = self.plan.radius + self.plan.width
        select = self.own & ring(reference, _FIT_INNER * self.plan.radius, reach, center=(near, 0.0))
        try:
            found = tip_by_field(
                reference,
                state.positions - reference,
                self.references.field,
                intensity * self.references.direction,
                select,
                within=(near - self.plan.radius, near + self.plan.radius),
            )
        except TipError:
            return (float("nan"),) * 3
        return found.x, found.scale, found.residual

    def point(self, state: CrackState, *, index: int, leg: Leg, since: float, jump: float | None = None) -> PathPoint:
        """Everything that is seen of a state.

        Args:
            state: to look at.
            index: on the path.
            leg: that it belongs to.
            since: where the tip was at the start, Å.
            jump: what moving the zone to this model changed, eV; None where it was not moved.
        """
        tip = self.tip(state)
        intensity, release, j = self.release(state)
        near = tip.x if tip.inside else self.center[0]
        x, scale, residual = self.fit(state, intensity, near)
        beyond = near + _AHEAD * self.character.period
        emission = find_emission(state.positions, self.bonds, beyond=beyond, select=self.own)
        return PathPoint(
            index=index,
            leg=leg,
            load=state.load,
            intensity=intensity,
            release=release,
            j=j,
            tip_bonds=tip.x,
            tip_field=x,
            field_scale=scale,
            field_residual=residual,
            broken=tip.broken,
            advance=(tip.x - since) / self.character.period,
            emitted=len(emission.pairs),
            emission=emission.description,
            recentred=jump is not None,
            energy_jump=float("nan") if jump is None else jump,
            picture=self.number,
            state=state,
        )

    def room(self, tip: float) -> float:
        """From a tip to the nearer edge of the core along the crack, Å."""
        return self.plan.radius - abs(tip - self.center[0])


def clear_radius(outer: CrackBody, center: tuple[float, float]) -> float:
    """Distance from a place to the nearest side of a body, or to the far tip of a crack with two, Å."""
    corners = np.asarray(outer.corners)
    edges = np.roll(corners, -1, axis=0) - corners
    normals = np.column_stack([edges[:, 1], -edges[:, 0]]) / np.linalg.norm(edges, axis=1)[:, None]
    sides = float(np.einsum("ij,ij->i", corners - np.asarray(center), normals).min())
    x = np.linspace(-2.0 * sides, 0.0, 4001)
    closed = x[~np.asarray(outer.is_open(x - 1e-9))]
    behind = center[0] - float(closed.max(initial=-np.inf))
    return min(sides, behind)
