"""Properties of a crystal by a potential: lattice, equation of state, elasticity, vacancies, surfaces, stacking faults."""

from atomistic.properties.base import (
    KINDS,
    OF_PLANES,
    PARTS,
    FaultRequest,
    Property,
    PropertyRequest,
    PropertySet,
    kind_of,
    plane_name,
    spread_of_members,
)
from atomistic.properties.elastic import bulk_modulus, elastic_constants, shear_modulus, zener_ratio
from atomistic.properties.equation_of_state import EquationOfState, equation_of_state, fit_birch_murnaghan
from atomistic.properties.faults import GammaLine, LineFault, gamma_line
from atomistic.properties.suite import measure_properties, resolved
from atomistic.properties.surfaces import SurfaceEnergy, ThicknessFit, fit_thickness, slab_planes, surface_energy
from atomistic.properties.vacancies import VacancyCell, VacancyFormation, supercell, vacancy_formation, vacancy_sizes

__all__ = [
    "KINDS",
    "OF_PLANES",
    "PARTS",
    "EquationOfState",
    "FaultRequest",
    "GammaLine",
    "LineFault",
    "Property",
    "PropertyRequest",
    "PropertySet",
    "SurfaceEnergy",
    "ThicknessFit",
    "VacancyCell",
    "VacancyFormation",
    "bulk_modulus",
    "elastic_constants",
    "equation_of_state",
    "fit_birch_murnaghan",
    "fit_thickness",
    "gamma_line",
    "kind_of",
    "measure_properties",
    "plane_name",
    "resolved",
    "shear_modulus",
    "slab_planes",
    "spread_of_members",
    "supercell",
    "surface_energy",
    "vacancy_formation",
    "vacancy_sizes",
    "zener_ratio",
]
