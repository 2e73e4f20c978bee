"""From a lattice, a potential and a zone to a coupled model: the mesh, the weights, the supports, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomistic.lattice import Lattice
from continuum.body import Body, Hyperelastic
from continuum.laws import CohesiveLaw
from continuum.mesh.graded import graded_mesh
from continuum.mesh.growth import Growth
from continuum.mesh.simplex import SimplexMesh
from coupling.errors import PartitionError
from coupling.handshake.model import AtomsFactory, CoupledModel
from coupling.partition import Partition, make_partition
from coupling.zones import Zone

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def couple(
    *,
    lattice: Lattice,
    make_atoms: AtomsFactory,
    material: Hyperelastic,
    zone: Zone,
    domain: ArrayLike,
    width: float,
    pad: float,
    interaction: float | None = None,
    blend: str = "quintic",
    beta: Callable[[NDArray[np.int64], Array], Array] | None = None,
    absent: Callable[[Array], Mask] | ArrayLike | None = None,
    far_field: ArrayLike | None = None,
    degree: int = 1,
    growth: Growth | None = None,
    mesh: SimplexMesh | None = None,
    interface: float | None = None,
    law: CohesiveLaw | None = None,
    held: Callable[[Array], Mask] | None = None,
    make_perfect: AtomsFactory | None = None,
) -> CoupledModel:
    """Embed a zone of atoms in a finite-element body of the same crystal.

    Args:
        lattice: the perfect reference lattice.
        make_atoms: gives the energies of the atoms at lattice indices.
        material: Cauchy–Born or linear, of the same potential.
        zone: the core, where everything is atomistic.
        domain: (k, 2) corners of the body, counter-clockwise; in 3D two opposite corners in lattice indices.
        width: of the blend around the core, Å; 0 for methods without a blend.
        pad: of the atoms beyond the blend that complete neighbourhoods, Å.
        interaction: distance up to which one site's energy feels another atom, Å: the least width of a blend. By
            default what the atoms say of their potential: its cutoff.
        blend: blending function by name; `beta` replaces it by a function of (indices, distance).
        absent: places without an atom (predicate), or their lattice indices.
        far_field: (c, c) homogeneous deformation F₀ applied far away; by default none.
        degree: 1 or 2, of the finite elements outside the lattice-fine part.
        growth: of the elements away from the blend; ignored with a `mesh` of one's own.
        mesh: lattice-fine where β < 1.
        interface: height y of a cohesive interface (2D), with its `law`.
        held: (nodes, m) places -> (nodes, c) prescribed components; by default the whole boundary.
        make_perfect: the same as `make_atoms` for the perfect crystal, where the defect has foreign atoms.

    Raises:
        PartitionError: the zone, the blend or the pad does not fit the body, the mesh or the potential.
        DoubleCountingError: the audit of the volumes fails.
    """
    spacing = float(np.linalg.norm(lattice.basis, axis=1).min())
    interaction = reach_of(make_atoms, lattice) if interaction is None else interaction
    if 0.0 < width < interaction * (1.0 - 1e-9):
        raise PartitionError(
            f"a blend {width:.3g} Å wide for a potential whose sites reach {interaction:.3g} Å: each site would see across "
            f"the whole blend; make it at least {interaction:.3g} Å wide, about as wide as the core is best"
        )
    if pad < interaction * (1.0 - 1e-9):
        raise PartitionError(
            f"a pad {pad:.3g} Å wide for a potential whose sites reach {interaction:.3g} Å: the outermost weighted sites would "
            f"lack neighbours; make it at least {interaction:.3g} Å wide, and twice that for methods that use forces"
        )
    if mesh is None:
        # The mesher wants lengths; a distance in layers of the lattice grows faster.
        steepness = getattr(zone, "steepness", 1.0)
        mesh = graded_mesh(
            basis=lattice.basis,
            origin=lattice.origin,
            distance=lambda x: (zone.distance(x) - width) / steepness,
            domain=domain,
            growth=growth,
            interface=interface,
        )
    components = lattice.components
    gradient = np.eye(components) if far_field is None else np.asarray(far_field, dtype=float)
    if gradient.shape != (components, components) or not np.linalg.det(gradient) > 0.0:
        raise PartitionError(
            f"far_field of shape {gradient.shape}: expected a ({components}, {components}) deformation gradient with a positive "
            "determinant"
        )
    linear = None
    if degree > 1:
        linear = (zone.distance(mesh.points)[mesh.cells] <= width + 1e-9 * spacing).any(axis=1)
    body = Body(
        mesh,
        material=material,
        components=components,
        thickness=lattice.thickness if lattice.dimension == 2 else 1.0,
        degree=degree,
        linear=linear,
        F0=gradient,
        law=law,
    )
    partition = make_partition(lattice, body, zone=zone, width=width, pad=pad, kind=blend, absent=absent, beta=beta)
    fixed = np.repeat(body.boundary[:, None], components, axis=1) if held is None else np.asarray(held(body.nodes))
    if fixed.shape != (len(body.nodes), components):
        raise PartitionError(f"held gave shape {fixed.shape}: expected one flag a node and component")
    return CoupledModel(
        body=body, partition=partition, make_atoms=make_atoms, far_field=gradient, held=fixed, make_perfect=make_perfect
    )


def reach_of(make_atoms: AtomsFactory, lattice: Lattice) -> float:
    """Distance (Å) up to which a site's energy feels another atom, as what drives the atoms says; 0 where it does not."""
    return float(getattr(make_atoms(np.zeros((1, lattice.dimension), dtype=np.int64)), "reach", None) or 0.0)


def audit_lines(partition: Partition) -> list[str]:
    """The double-counting audit as it is printed before a run."""
    counts, audit = partition.counts, partition.audit
    return [
        f"atoms: {counts['core']} core, {counts['blend']} blend, {counts['pad']} pad"
        + (f"; {int(partition.absent.sum())} missing" if partition.absent.any() else ""),
        f"volume: {audit.atomistic:.6g} counted by atoms + {audit.continuum:.6g} by elements = {audit.expected:.6g} Å³ "
        f"(relative difference {audit.relative_error:.1e})",
    ]
