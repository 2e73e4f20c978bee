"""Crystals that several tests share: relaxing one costs some twenty evaluations."""

import pytest

from atomistic.crystal import relax_crystal
from atomistic.potentials import load_potential

_CRYSTALS = {
    "Cu": ("eam-cu", "Cu", "fcc"),
    "Al": ("eam-al", "Al", "fcc"),
    "W": ("eam-w", "W", "bcc"),
    "Mg": ("eam-mg", "Mg", "hcp"),
    "Si": ("sw-si", "Si", "diamond"),
    "NiAl": ("eam-nial", ("Ni", "Al"), "B2"),
    "SiC": ("tersoff-sic", ("Si", "C"), "zincblende"),
}


@pytest.fixture(scope="session")
def crystals():
    """Return a function from a name to (potential, crystal), each made once."""
    made = {}

    def get(name):
        if name not in made:
            spec, symbols, structure = _CRYSTALS[name]
            potential = load_potential(spec)
            made[name] = potential, relax_crystal(potential, symbols=symbols, structure=structure)
        return made[name]

    return get
