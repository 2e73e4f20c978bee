"""What a foreign atom costs far inside the crystal: where interfaces and surfaces are compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from mpi4py import MPI

from atomistic.crystal import Crystal
from atomistic.errors import InterstitialError
from atomistic.impurity import Site
from atomistic.impurity_states import HOLE_STIFFNESS, block_inverse
from atomistic.interstitials import find_interstitials
from atomistic.potentials.base import Potential
from atomistic.pulling import checked_force
from atomistic.ranks import on_first_rank
from atomistic.relaxation import minimise

#: Stiffness (eV/Å²) of a host atom where the relaxation of a supercell starts.
_HOST = 8.0


def dilute_energy(
    potential: Potential,
    crystal: Crystal,
    *,
    element: str,
    site: Site = "octahedral",
    repeat: Sequence[int] = (2, 2, 2),
    fmax: float = 1e-3,
    comm: MPI.Comm | None = None,
) -> float:
    """Return what one foreign atom changes of the energy of a large crystal, eV: E(host with it) − E(host).

    A periodic supercell at the lattice constant of the pure host, its atoms at rest. Substitutional: the atom replaced is
    taken as gone into the crystal, at the host's energy per atom. No energy of the element by itself is in it: differences
    between places are what means something.

    Args:
        potential: gives energies and forces.
        crystal: the host, relaxed with the same potential.
        element: chemical symbol of the foreign atom.
        site: the hole it takes, or the place of an atom.
        repeat: conventional cells in the supercell.
        fmax: largest force left on an atom, eV/Å.
        comm: where given, its first rank computes and all get the number.

    Raises:
        InterstitialError: no such hole in this crystal.
        RelaxationError: the atoms do not come to rest.
    """
    checked_force(fmax)
    atoms = make_supercell(crystal.conventional, np.diag([int(n) for n in repeat]))
    hosts = len(atoms)
    if site == "substitutional":
        del atoms[0]
        position, hosts = crystal.conventional.positions[0], hosts - 1
    else:
        holes = find_interstitials(atoms, near=atoms.positions[0], kind=site)
        if not holes:
            raise InterstitialError(f"There is no {site} hole in {crystal.structure} {'-'.join(crystal.symbols)}.")
        position = holes[0].position
    whole = atoms + Atoms(element, positions=[position])

    def compute() -> float:
        inverse = block_inverse(np.eye(3 * len(atoms)) / _HOST, np.eye(3) / HOLE_STIFFNESS)
        return minimise(potential, whole, inverse_hessian=inverse, fmax=fmax).energy - hosts * crystal.energy_per_atom

    return on_first_rank(compute, potential=potential, comm=comm)
