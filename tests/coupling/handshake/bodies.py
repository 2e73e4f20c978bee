"""Small coupled bodies that the tests of the handshake share."""

from functools import cache

import numpy as np

from atomistic.cauchy_born import cauchy_born
from atomistic.crystal import relax_crystal
from atomistic.lattice import bulk_lattice, plane_lattice, triangular_lattice
from atomistic.lattice_potentials import ToyEAM
from atomistic.orientation import orient
from atomistic.potentials import load_potential
from atomistic.site_energies import AtomCluster
from coupling.handshake import couple
from coupling.zones import Disc

TOY = ToyEAM()
REST = TOY.equilibrium_stretch() * np.eye(2)
STRETCHED = np.array([[1.0, 0.02], [0.0, 1.03]]) @ REST


def toy(
    *,
    core=4.0,
    width=4.0,
    outer=24.0,
    degree=1,
    absent=((0, 0),),
    far=STRETCHED,
    center=(0.0, 0.0),
    zone=None,
    **options,
):
    """The triangular model lattice, by default with a vacancy under the load of the published benchmark."""
    angles = np.arange(6) * np.pi / 3
    return couple(
        lattice=triangular_lattice(),
        make_atoms=TOY.cluster,
        material=TOY.cauchy_born(),
        zone=zone or Disc(center=center, radius=core),
        domain=outer * np.stack([np.cos(angles), np.sin(angles)], axis=1),
        width=width,
        absent=absent or None,
        far_field=far,
        degree=degree,
        **{"pad": 2.0, "interaction": 1.0, **options},
    )


@cache
def aluminium():
    """EAM aluminium: potential, crystal, orientation with y = (111), z = [1-10]."""
    potential = load_potential("eam-al")
    crystal = relax_crystal(potential, symbols="Al", structure="fcc")
    return potential, crystal, orient(crystal, plane=(1, 1, 1))


def plane(*, core=8.0, width=8.0, pad=13.5, size=60.0, absent=None, far=None, center=(0.0, 0.0), **options):
    """Aluminium, periodic along [1-10]."""
    potential, crystal, orientation = aluminium()
    lattice = plane_lattice(crystal, orientation)
    return couple(
        lattice=lattice,
        make_atoms=lambda sites: AtomCluster(potential, symbols="Al", thickness=lattice.thickness),
        material=cauchy_born(potential, crystal, orientation),
        zone=Disc(center=center, radius=core),
        domain=[(-size, -size), (size, -size), (size, size), (-size, size)],
        width=width,
        pad=pad,
        interaction=potential.capabilities.cutoff,
        absent=absent,
        far_field=far,
        **options,
    )


def solid(*, core=4.0, width=7.0, pad=13.5, cells=16, absent=None):
    """Aluminium in three dimensions."""
    potential, crystal, _ = aluminium()
    return couple(
        lattice=bulk_lattice(crystal),
        make_atoms=lambda sites: AtomCluster(potential, symbols="Al"),
        material=cauchy_born(potential, crystal),
        zone=Disc(center=(0.0, 0.0, 0.0), radius=core),
        domain=[[-cells] * 3, [cells] * 3],
        width=width,
        pad=pad,
        interaction=potential.capabilities.cutoff,
        absent=absent,
    )
