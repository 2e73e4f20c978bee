"""What is pressed onto what: half space, law and mesh of a contact case, from given numbers or from a potential."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from mpi4py import MPI

from atomistic.elasticity import rotate_stiffness
from continuum.adhesive_contact import CylinderContact, SphereContact, indentation_modulus
from continuum.contact_bodies import Contact, ContactPlan, dugdale_law, hardness, plan_contact
from continuum.laws import CohesiveLaw, ExponentialLaw, LennardJonesLaw
from continuum.materials import LinearElastic
from multiscale.config import AdhesionCase, ContactCase
from multiscale.progress import Progress
from multiscale.studies.interface import InterfaceCharacter, characterise_interface

#: z₀σ_max/w of the law with exponents 3 and 9: (8/3)(3^−½ − 3^−3/2).
_LENNARD_JONES = 16.0 / (9.0 * np.sqrt(3.0))
#: Turns about the normal over which a stiffness is averaged: enough for its fourth harmonic.
_TURNS = 8


@dataclass(frozen=True, kw_only=True)
class ContactSystem:
    """All that a contact case is made of.

    Attributes:
        contact: radius, contact modulus, work of adhesion and strength.
        law: of the interface.
        material: of the half space as the finite elements hold it: under an indenter of the same material of half its
            stiffness, which gives the contact modulus of both.
        plan: of the mesh.
        interface: what the atoms said; None without a potential.
        spread: of a crystal under a sphere the largest change of its stiffness by turning it about the normal, relative: what
            the average over all turns leaves out; else 0.
    """

    contact: Contact
    law: CohesiveLaw
    material: LinearElastic
    plan: ContactPlan
    interface: InterfaceCharacter | None
    spread: float


def describe_contact(case: ContactCase, *, comm: MPI.Comm, progress: Progress) -> ContactSystem:
    """From a case to what the finite elements need (collective).

    Raises:
        ValueError: with the cause, for what the potential, the crystal or the mesh cannot do.
    """
    interface, spread = None, 0.0
    if case.material is not None:
        material = LinearElastic.isotropic(E=case.material.E, nu=case.material.nu)
    else:
        interface = characterise_interface(atomic_case(case), comm=comm, progress=progress)
        material = interface.material
        if case.indenter.shape == "sphere":
            material, spread = turned_about_normal(material)
    if case.indenter.elastic:
        material = LinearElastic(0.5 * material.stiffness)
    sphere = case.indenter.shape == "sphere"
    work, strength = case.law.work, case.law.strength
    if interface is not None:
        work = interface.extraction.work if work is None else work
        strength = interface.extraction.peak_traction if strength is None else strength
    assert work is not None
    assert strength is not None
    contact = (SphereContact if sphere else CylinderContact)(
        radius=case.indenter.radius,
        modulus=indentation_modulus(material.stiffness) if sphere else material.crack_modulus,
        work=work,
        strength=strength,
    )
    law = make_law(case, contact, interface)
    plan = plan_contact(
        contact,
        largest=case.path.contact,
        tail=law.final_opening,
        facets_in_zone=case.mesh.facets_in_zone,
        size=case.mesh.size,
    )
    return ContactSystem(
        contact=contact,
        law=law,
        material=material,
        plan=plan,
        interface=interface,
        spread=spread,
    )


def atomic_case(case: ContactCase) -> AdhesionCase:
    """The adhesion case whose interface this contact's surfaces are; its specimen is never built."""
    data: dict[str, Any] = {
        "potential": case.potential,
        "device": case.device,
        "crystal": case.crystal,
        "interface": case.interface,
        "decohesion": case.decohesion.model_copy(update={"relax": False}),
        "law": {"unloading": "reversible"},
        "specimen": {"shape": "block", "width": "100 nm", "height": "100 nm"},
        "loading": {"opening": {"to": "1 nm", "steps": 1}},
        "verification": {"stacks": []},
    }
    return AdhesionCase(**data)


def make_law(case: ContactCase, contact: Contact, interface: InterfaceCharacter | None) -> CohesiveLaw:
    """The law of the interface; all are reversible."""
    match case.law.type:
        case "dugdale":
            return dugdale_law(contact)
        case "lennard-jones":
            return LennardJonesLaw(work=contact.work, distance=_LENNARD_JONES * contact.range)
        case "exponential":
            stiffness = np.e**2 * contact.strength**2 / contact.work
            return ExponentialLaw(
                fracture_energy=contact.work,
                peak_traction=contact.strength,
                unloading="reversible",
                penalty=max(stiffness, hardness(contact)),
            )
        case "atoms":
            assert interface is not None
            return interface.extraction.law(unloading="reversible")


def turned_about_normal(material: LinearElastic) -> tuple[LinearElastic, float]:
    """The mean of a stiffness over all turns about y, and the largest deviation from it, relative to its largest constant."""
    turned = []
    for angle in np.arange(_TURNS) * 2.0 * np.pi / _TURNS:
        c, s = np.cos(angle), np.sin(angle)
        turned.append(rotate_stiffness(material.stiffness, [[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]]))
    mean = np.mean(turned, axis=0)
    return LinearElastic(mean), float(np.abs(np.array(turned) - mean).max() / np.abs(mean).max())
