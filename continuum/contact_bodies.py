"""An indenter above an elastic half space that attracts it, in finite elements, with any reversible law.

The indenter is rigid and moves along the axis; its profile is the gap of the interface (an elastic one of the same or another
material enters through the contact modulus, which is exact for faces that slide freely). The half space is a quadrant whose far
boundary is fixed, which changes the contact itself by (a/size)³ only.
"""

from dataclasses import dataclass, replace

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from continuum.adhesive_contact import CylinderContact, SphereContact
from continuum.errors import ContactError
from continuum.laws import CohesiveLaw, FrictionlessLaw, TabulatedLaw
from continuum.materials import LinearElastic
from continuum.mesh import half_space
from continuum.solid import Solid
from continuum.supports import Displacement

Array = NDArray[np.float64]
Contact = SphereContact | CylinderContact
#: Dugdale's rectangle: its rise and its fall take these shares of h₀. A steeper fall traps the zone's end between points: with
#: 0.04 and six facets in the zone the pull-off force of λ = 3 was 1% too high, with 0.2 0.15%.
_RISE, _FALL = 0.01, 0.2
#: Stiffness of the faces in contact in units of E* over the contact radius of JKR: they yield by a thousandth of the approach.
_HARDNESS = 1000.0
#: The indenter is this many times stiffer than the half space; its layer is one facet thick. Stiffer still, the rounding of its
#: own rigid motion would outweigh the last bit of attraction.
_RIGID = 100.0
#: Openings beyond this many ranges w/σ₀ do not count.
_TAIL = 12.0
#: Facets that a mesh may have along the contact.
MOST_FACETS = 6000


@dataclass(frozen=True, kw_only=True)
class ContactPlan:
    """Sizes of a mesh.

    Attributes:
        largest: contact radius up to which the path may go, Å.
        zone: length of the attracting zone beside the contact at pull-off (of the equivalent Dugdale law), Å.
        facet: along the contact, Å.
        fine_to: end of the fine facets, Å.
        reach: of the indenter, Å.
        size: of the half space, Å.
    """

    largest: float
    zone: float
    facet: float
    fine_to: float
    reach: float
    size: float

    @property
    def facets(self) -> int:
        """Facets along the contact."""
        return int(np.ceil(self.fine_to / self.facet))


def plan_contact(
    contact: Contact,
    *,
    largest: float | None = None,
    tail: float | None = None,
    facets_in_zone: float = 8.0,
    size: float = 20.0,
) -> ContactPlan:
    """A mesh that resolves the attracting zone at pull-off.

    Args:
        contact: what is pressed onto what; its Dugdale solution is the estimate for other laws.
        largest: contact radius up to which the path may go, Å; 2 times that of JKR at pull-off if None, of a cylinder 2.7 times:
            nearly as under a dead load, it jumps to 16^⅓ times.
        tail: opening up to which the law attracts, Å; w/σ₀ if None. At most 12 w/σ₀ count: of a Lennard-Jones law a hundredth of
            the pull-off force comes from beyond.
        facets_in_zone: facets within the zone c − a at pull-off, but never longer than that share of the contact radius.
        size: of the half space, in units of the indenter's reach.

    Raises:
        ContactError: where the mesh would have too many facets.
    """
    if largest is None:
        largest = (2.0 if isinstance(contact, SphereContact) else 2.7) * contact.jkr_radius
    least = 0.2 * contact.jkr_radius
    zone = contact.zone_length(max(contact.pull_off_radius, least))
    widest = max(float(contact.dugdale(a).zone[0]) for a in (largest, 1e-3 * contact.jkr_radius))
    facet = min(zone, least) / facets_in_zone
    fine_to = 1.1 * widest
    tail = min(contact.range if tail is None else tail, _TAIL * contact.range)
    tailed = 1.1 * float(np.sqrt(largest**2 + 2.0 * contact.radius * tail))
    plan = ContactPlan(
        largest=largest, zone=zone, facet=facet, fine_to=fine_to, reach=max(1.3 * fine_to, tailed), size=0.0
    )
    if plan.facets > MOST_FACETS:
        raise ContactError(
            f"{plan.facets} facets along the contact (zone {zone:.3g} Å, contact {largest:.3g} Å): expected at most "
            f"{MOST_FACETS}; take fewer facets in the zone or a smaller contact radius, or JKR, which holds here"
        )
    return replace(plan, size=size * plan.reach)


def dugdale_law(contact: Contact) -> TabulatedLaw:
    """Dugdale's rectangle of height σ₀ and area w, with short flanks; reversible.

    The faces touch within the rising flank, whose stiffness is also that against interpenetration.
    """
    stiffness = max(contact.strength / (_RISE * contact.range), hardness(contact))
    rise, fall = contact.strength / stiffness, _FALL * contact.range
    end = contact.range + 0.5 * (rise + fall)
    pulls = np.array([0.0, 1.0, 1.0, 0.0]) * contact.strength
    for _ in range(3):
        # Rounded flanks hold a little more or less than straight ones: the plateau gives or takes it.
        end += (contact.work - _trapezium(rise, fall, end, pulls, stiffness).fracture_energy) / contact.strength
    return _trapezium(rise, fall, end, pulls, stiffness)


def _trapezium(rise: float, fall: float, end: float, pulls: Array, stiffness: float) -> TabulatedLaw:
    nodes = np.array([0.0, rise, end - fall, end])
    return TabulatedLaw.from_traction(nodes, pulls, unloading="reversible", penalty=stiffness)


def hardness(contact: Contact) -> float:
    """Stiffness (eV/Å⁴) against interpenetration beside which the half space is soft."""
    return _HARDNESS * contact.modulus / contact.jkr_radius


def build_contact(
    contact: Contact,
    law: CohesiveLaw,
    material: LinearElastic,
    plan: ContactPlan,
    *,
    comm: MPI.Comm = MPI.COMM_SELF,
    degree: int = 2,
) -> Solid:
    """The half space under its indenter, before they attract each other. The load parameter is the indenter's displacement.

    Args:
        contact: gives the radius; its modulus is not used.
        law: of the interface, reversible; sliding is free whatever it says.
        material: of the half space, axes x (outwards), y (its normal), z; isotropic in the surface under a sphere.
        plan: sizes.
        comm: ranks that share the mesh.
        degree: of the displacement.

    Raises:
        ContactError: where the law is not reversible.
    """
    if law.unloading != "reversible":
        raise ContactError(
            f"unloading = {law.unloading!r}: expected 'reversible': adhesion comes back when surfaces do"
        )
    mesh = half_space(
        comm, size=plan.size, reach=plan.reach, fine_size=plan.facet, fine_to=min(plan.fine_to, plan.reach)
    )
    stiff = LinearElastic.isotropic(E=_RIGID * material.uniaxial_modulus, nu=0.0)
    radius = contact.radius
    return Solid(
        mesh,
        materials={"half space": material, "indenter": stiff},
        interfaces={"contact": FrictionlessLaw(law)},
        degree=degree,
        supports=[
            Displacement(group="axis", component="x"),
            Displacement(group="far", component="x"),
            Displacement(group="far", component="y"),
            Displacement(group="top", component="x"),
            Displacement(group="top", component="y", factor=-1.0),
        ],
        gaps={"contact": lambda places: places[:, 0] ** 2 / (2.0 * radius)},
        geometry="axisymmetric" if isinstance(contact, SphereContact) else "plane",
    )
