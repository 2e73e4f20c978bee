"""From a crystal with a cut to a cracked, coupled body: the mesh with its slit, the zone around the tip, the unit load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from atomistic.columns import Columns
from atomistic.inner_shifts import InnerShifts
from atomistic.lattice import Lattice
from continuum.body import Body, Hyperelastic
from continuum.factorise import Factor
from continuum.mesh.graded import graded_mesh
from continuum.mesh.growth import Growth
from continuum.mesh.simplex import SimplexMesh
from continuum.mesh.slit import node_sides, open_slit
from continuum.stroh import CrackField
from coupling.crack.model import CrackModel
from coupling.errors import PartitionError
from coupling.handshake.build import reach_of
from coupling.handshake.model import AtomsFactory
from coupling.partition import make_partition
from coupling.zones import Disc

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: Elements grow from the lattice's size by this much per length; finer than for point defects, the field is a root.
CRACK_GROWTH = Growth(exponent=1.5, slope=0.25)
#: What a mirror at y = 0 does to places, and how far from itself (in lattice vectors, in sizes of the body) it may leave them.
_FLIP = np.array([1.0, -1.0])
_SAME = 1e-9


class OuterShape(Protocol):
    """The body around the tip, which lies at the origin, and what holds it."""

    @property
    def corners(self) -> Array:
        """(k, 2) of a convex polygon, counter-clockwise, Å."""

    def is_open(self, x: Array) -> Mask:
        """(n,) where the line y = 0 is cut."""

    def held(self, nodes: Array, side: Array) -> Mask:
        """(nodes, 3) prescribed components; `side` is ±1 above and below the line."""

    def grips(self, nodes: Array, side: Array) -> Array:
        """(nodes, 3) displacement of the supports at unit load."""


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitLoad:
    """The displacement at load one.

    Attributes:
        field: (rows, 3) of all unknowns: prescribed at the supports, an elastic guess elsewhere, Å per unit load.
        intensity: K of unit load where the field is a K-field, eV/Å^2.5 per unit; else None.
        mode: (3,) K_II, K_I, K_III of the field per unit load; None in a specimen.
    """

    field: Array
    intensity: float | None
    mode: Array | None


def couple_crack(
    *,
    columns: Columns,
    shifts: InnerShifts,
    make_atoms: AtomsFactory,
    material: Hyperelastic,
    outer: OuterShape,
    radius: float,
    width: float,
    pad: float,
    center: tuple[float, float] = (0.0, 0.0),
    tip: float = 0.0,
    blend: str = "quintic",
    degree: int = 2,
    growth: Growth | None = None,
) -> CrackModel:
    """Embed atoms around the tip of a crack in an elastic body of the same crystal.

    Args:
        columns: the crystal with its cut at y = 0.
        shifts: its inner displacements under strain.
        make_atoms: gives the energies of the atoms at lattice indices, motif by motif.
        material: Cauchy–Born, of the same potential.
        outer: the body and its supports.
        radius: of the core, Å.
        width: of the blend, Å.
        pad: of the atoms that complete neighbourhoods, Å.
        center: of the core, Å.
        tip: x up to which the slit's faces are apart at the start, Å.
        blend: blending function.
        degree: of the elements outside the lattice-fine part.
        growth: of the elements; finer than for point defects by default.

    Raises:
        PartitionError: a zone that does not fit the body or the potential.
        DoubleCountingError: the audit of the volumes fails.
    """
    lattice = columns.lattice
    interaction = reach_of(make_atoms, lattice)
    for name, value in (("blend", width), ("pad", pad)):
        if value < interaction * (1.0 - 1e-9):
            raise PartitionError(
                f"a {name} {value:.3g} Å wide for a potential whose atoms reach {interaction:.3g} Å: make it at least that"
            )
    zone = Disc(center=center, radius=radius)
    mesh = graded_mesh(
        basis=lattice.basis,
        origin=lattice.origin,
        distance=lambda x: zone.distance(x) - width,
        domain=outer.corners,
        growth=growth or CRACK_GROWTH,
        interface=0.0,
    )
    if _has_mirror(lattice, np.asarray(outer.corners)):
        mesh = _mirrored(mesh)
    # In the core atoms alone hold the faces together: the slit runs to its end, wherever the tip goes.
    spacing = float(np.linalg.norm(lattice.row @ lattice.basis))
    end = center[0] + radius - spacing
    mesh = open_slit(mesh, open=lambda x: outer.is_open(x) | ((x > 0.0) & (x < max(end, tip))))
    body = Body(
        mesh,
        material=material,
        components=3,
        thickness=lattice.thickness,
        degree=degree,
        linear=(zone.distance(mesh.points)[mesh.cells] <= width + 1e-6).any(axis=1) if degree > 1 else None,
    )
    # One repeat by one row never crosses the crack's line, wherever the mesh's nodes on that lie.
    tile = 0.5 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.array([spacing, lattice.row_spacing])
    partition = make_partition(lattice, body, zone=zone, width=width, pad=pad, kind=blend, tile=tile)
    assert mesh.slit is not None
    middle = mesh.points[mesh.slit[:, 0], 0].mean(axis=1)
    return CrackModel(
        body=body,
        partition=partition,
        make_atoms=make_atoms,
        far_field=np.eye(3),
        held=outer.held(body.nodes, node_sides(mesh, body.ends)),
        columns=columns,
        shifts=shifts,
        bonded=(middle > tip) & ~outer.is_open(middle),
    )


def _has_mirror(lattice: Lattice, corners: Array) -> bool:
    """Whether lattice and body look the same from below the crack's plane as from above."""
    inverse, centred = np.linalg.inv(lattice.basis), corners - corners.mean(axis=0)
    found = np.vstack([lattice.basis * _FLIP, lattice.origin * _FLIP - lattice.origin]) @ inverse
    ordered = [places[np.lexsort(np.round(places, 6).T)] for places in (corners, corners * _FLIP)]
    return bool(
        np.abs(found - np.rint(found)).max() < _SAME
        and np.abs(ordered[0] - ordered[1]).max() < _SAME * np.abs(centred).max()
    )


def _mirrored(mesh: SimplexMesh) -> SimplexMesh:
    """The mesh below the crack's plane and its image above: what has a mirror keeps it to rounding."""
    assert mesh.interface is not None
    count = int(mesh.interface[0, 1, 0] - mesh.interface[0, 0, 0])
    below, cells = mesh.points[:count], mesh.cells[mesh.cells[:, 0] < count]
    line = mesh.interface[:, 0]
    return SimplexMesh(
        points=np.concatenate([below, below * _FLIP + 0.0]),
        cells=np.concatenate([cells, cells[:, ::-1] + count]),
        boundary=np.tile(mesh.boundary[:count], 2),
        interface=np.stack([line, line + count], axis=1),
    )


def with_inner(model: CrackModel, nodal: Array) -> Array:
    """All unknowns (rows, 3) of the nodes' (nodes, 3): inner displacements as the crystal takes them, to first order."""
    q = model.atoms_per_site
    u = np.zeros(model.shape)
    u[: model.nodes] = nodal
    if q == 1:
        return u
    gradient = model.carrier_gradients(nodal)
    strain = 0.5 * (gradient + np.swapaxes(gradient, 1, 2))
    found = np.einsum("nij,kj->nki", gradient, model.columns.offsets) + model.linear_shifts(strain)
    u[model.nodes :] = found[:, : q - 1].reshape(-1, 3)
    return u


def intensity_load(model: CrackModel, field: CrackField, mode: Array, *, tip: float = 0.0) -> UnitLoad:
    """The K-field of a mixture of modes as the load of a disc: unit load is K = 1 eV/Å^2.5.

    Args:
        model: the cracked body.
        field: of its elastic medium.
        mode: (3,) K_II, K_I, K_III of unit load.
        tip: x of the field's origin, Å.
    """
    k = np.asarray(mode, dtype=float)
    nodal = field.displacement(model.body.nodes, k, tip=(tip, 0.0), side=node_sides(model.body.mesh, model.body.ends))
    return UnitLoad(field=with_inner(model, nodal), intensity=float(np.linalg.norm(k)), mode=k)


def grip_load(model: CrackModel, outer: OuterShape) -> UnitLoad:
    """The linear elastic answer of a specimen to unit displacement of its grips."""
    prescribed = np.where(model.held, outer.grips(model.body.nodes, node_sides(model.body.mesh, model.body.ends)), 0.0)
    stiffness = model.elastic_stiffness(np.zeros(0))
    free = model.moving[: model.nodes]
    answer = Factor(stiffness, free, symmetric=True).solve(-(stiffness @ prescribed.ravel()).reshape(-1, 3))
    return UnitLoad(field=with_inner(model, prescribed + answer), intensity=None, mode=None)
