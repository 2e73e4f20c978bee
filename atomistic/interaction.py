"""How far the atoms of a potential feel each other: force constants of the lattice, their decay, and what a cut-off leaves out.

A potential with many-body terms or message passing reaches much farther than its cutoff says, but ever more weakly. Pads and
blends are sized by what is measured here.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import bsr_matrix, csr_matrix

from atomistic.errors import InteractionError
from atomistic.lattice import Lattice, SiteTable
from atomistic.potentials.base import Potential
from atomistic.ranks import spread

Array = NDArray[np.float64]

#: Displacement (Å) of the central differences: their truncation against the noise of the forces.
_DISPLACEMENTS = {"float64": 0.01, "float32": 0.05}
#: Å; where the cutoff of the potential does not ask for more.
_RADIUS = 12.0


class LatticeModel(Protocol):
    """A potential between fixed neighbours on a lattice, with analytic second derivatives."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def basis(self) -> Array: ...  # noqa: D102

    @property
    def reach(self) -> float: ...  # noqa: D102

    def cluster(self, lattice_indices: ArrayLike, /) -> Any:
        """Bind the potential to sites; the result has `hessian(positions, weights)`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ForceConstants:
    """Second derivatives of the energy of a perfect lattice, Φ(R) = ∂²E/∂u_0 ∂u_R.

    Symmetric, the same for R and −R (inversion) and with Σ_R Φ(R) = 0 (translation), all to rounding. For a plane body
    a site is a column of atoms that move together, and the energy is that of one thickness.

    Attributes:
        lattice: whose sites they link.
        offsets: (k, m), lattice indices of R, nearest first; the first one is zero.
        blocks: (k, c, c), Φ(R), eV/Å².
    """

    lattice: Lattice
    offsets: NDArray[np.int64]
    blocks: Array

    def matrix(self, indices: ArrayLike, *, weights: ArrayLike | None = None, absent: str = "fixed") -> csr_matrix:
        """Return the stiffness of a set of sites, (n·c, n·c), eV/Å²: the Hessian of

            E = −¼ Σ_i Σ_R w_iR (u_i − u_{i+R})ᵀ Φ(R) (u_i − u_{i+R}),   w_iR = (w_i + w_{i+R})/2.

        Args:
            indices: (n, m), each site once; site i, component k is unknown i·c + k.
            weights: (n,), of the sites; one by default.
            absent: sites not given are held "fixed" (and have the weight of the site that feels them), or are "free": there
                are no atoms.

        Raises:
            InteractionError: weights that do not fit, or another word than these.
        """
        table = SiteTable(indices)
        count, c = len(table.sites), self.lattice.components
        w = np.ones(count) if weights is None else np.asarray(weights, dtype=float)
        if w.shape != (count,) or not np.all(np.isfinite(w)):
            raise InteractionError(f"Expected one finite weight for each of {count} sites; got shape {w.shape}.")
        if absent not in ("fixed", "free"):
            raise InteractionError(f"Absent sites are either 'fixed' or 'free'; got {absent!r}.")
        # In lexicographic order of the offsets the columns of a row ascend, where the sites are in that order too.
        order = np.lexsort(self.offsets.T[::-1])
        columns = np.empty((count, len(order)), dtype=np.int64)
        data = np.empty((count, len(order), c, c))
        diagonal = np.zeros((count, c, c))
        for slot, k in enumerate(order):
            other = table.find(table.sites + self.offsets[k])
            columns[:, slot] = other
            if k == 0:
                continue
            bond = np.where(other >= 0, 0.5 * (w + w[other]), w if absent == "fixed" else 0.0)
            np.multiply(bond[:, None, None], self.blocks[k], out=data[:, slot])
            diagonal -= data[:, slot]
        data[:, int(np.flatnonzero(order == 0)[0])] = diagonal
        present = columns >= 0
        starts = np.concatenate([[0], np.cumsum(present.sum(axis=1))])
        matrix = bsr_matrix((data[present], columns[present], starts), shape=(count * c, count * c)).tocsr()
        matrix.sort_indices()
        return matrix

    def acoustic(self, direction: ArrayLike) -> Array:
        """Return the acoustic tensor Γ_ik = C_ijkl q_j q_l of a unit direction q (m,), (c, c), eV/Å³.

        Γ = −(1/2Ω) Σ_R Φ(R) (q·R)²: the limit of long waves (Born and Huang 1954), for a lattice at rest.
        """
        q = np.asarray(direction, dtype=float) / np.linalg.norm(direction)
        along = (self.offsets @ self.lattice.basis) @ q
        tensor: Array = -0.5 * np.einsum("k,kij->ij", along**2, self.blocks) / self.lattice.site_volume
        return tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Interaction:
    """What one site of a perfect lattice feels of the others, against their distance.

    Attributes:
        potential: its name.
        force_constants: of the sites within `radius`.
        distances: (s,), of the shells of sites, Å in the mesh, ascending, without the site itself; the last ones, beyond
            `radius`, are the corners of the supercell.
        decay: (s,), largest force on a site of the shell per displacement of the site in the middle, eV/Å².
        shell_sums: (s,), the sum of those forces over the sites of the shell, eV/Å².
        site_decay: (s,), the same as `decay` for the energy of the middle site alone, |∂²V_0/∂u_0∂u_R|; None where the
            potential gives no site energies.
        radius: up to which shells are complete, Å.
        displacement: of the differences, Å; 0 for analytic derivatives.
        evaluations: of the potential.
        noise: norm of Σ_R Φ(R) as measured, before it was set to zero, eV/Å².
    """

    potential: str
    force_constants: ForceConstants
    distances: Array
    decay: Array
    shell_sums: Array
    site_decay: Array | None
    radius: float
    displacement: float
    evaluations: int
    noise: float

    def cut_off_part(self, radius: float) -> float:
        """Return the part of the interaction from beyond a distance: Σ_{|R|>r} ‖Φ(R)‖ / Σ_{R≠0} ‖Φ(R)‖.

        Shells beyond `self.radius` count as far as the supercell holds them.
        """
        if not radius >= 0.0:
            raise InteractionError(f"The radius must be a distance in Å; got {radius!r}.")
        beyond = self.distances > radius + 1e-6
        return float(self.shell_sums[beyond].sum() / self.shell_sums.sum())

    def range_for(
        self,
        *,
        fraction: float | None = None,
        force: float | None = None,
        displacement: float = 0.1,
        sites: bool = False,
    ) -> float:
        """Return the distance (Å) that leaves out no more than a bound: of the shells, the last one that is needed.

        Args:
            fraction: largest part of the interaction beyond (`cut_off_part`); or
            force: largest force (eV/Å) on a site beyond, while the middle one is displaced.
            displacement: of that site, Å.
            sites: for `force`, how far the energy of the middle site alone reaches: what weighted energies need around
                every site that has weight. Forces need the whole.

        Raises:
            InteractionError: not exactly one bound, or one that is not met within the measured radius.
        """
        if (fraction is None) == (force is None):
            raise InteractionError("Give one bound: either fraction= (of the interaction) or force= (eV/Å).")
        bound = fraction if fraction is not None else force
        assert bound is not None
        if not bound > 0.0 or not displacement > 0.0:
            raise InteractionError(f"Bounds and displacements are positive; got {bound!r} and {displacement!r}.")
        if fraction is not None:
            left = 1.0 - np.cumsum(self.shell_sums) / self.shell_sums.sum()
            needed = np.concatenate([[True], left > fraction])[:-1]
        else:
            values = self.site_decay if sites else self.decay
            if values is None:
                raise InteractionError(f"{self.potential!r} gives no site energies, so their reach was not measured.")
            needed = values * displacement > bound
        reach = float(self.distances[needed].max(initial=0.0))
        if reach > self.radius + 1e-6:
            raise InteractionError(
                f"The interaction of {self.potential!r} beyond {self.radius:.1f} Å is still above the bound {bound:g}; "
                f"measure it with a larger radius than {self.radius:.1f} Å, or allow more."
            )
        return reach


def measure_interaction(
    potential: Potential | LatticeModel,
    lattice: Lattice,
    *,
    radius: float | None = None,
    displacement: float | None = None,
    deformation: ArrayLike | None = None,
    comm: MPI.Comm | None = None,
) -> Interaction:
    """Displace one site of a perfect lattice and read the forces on all others.

    Inversion about the site makes one evaluation a central difference: f_R(−u) = −f_{−R}(u), so that

        Φ(R) = −[f_R(u) + f_{−R}(u)] / 2u,

    and each direction costs one evaluation (two where the potential gives weighted site energies: the second has all weight
    on the displaced site). The supercell is large enough that the sites within the radius are nearer to the displaced
    site than to any of its images. A column of a plane body moves as a whole.

    Args:
        potential: drives the atoms; or a potential with fixed neighbours on the same lattice, whose Hessian is used.
        lattice: the sites.
        radius: up to which force constants are kept, Å; by default twice the potential's cutoff, at least 12 Å (with fixed
            neighbours: twice their reach).
        displacement: of the site, Å; by default 0.01, or 0.05 in single precision.
        deformation: (c, c), F0 of the lattice; none by default.
        comm: ranks among which the directions are shared out.

    Raises:
        InteractionError: a radius or displacement that is not positive, a lattice without element, or one that does not fit.
    """
    c = lattice.components
    gradient = np.eye(c) if deformation is None else np.asarray(deformation, dtype=float)
    if gradient.shape != (c, c) or not np.linalg.det(gradient) > 0.0:
        raise InteractionError(
            f"The deformation must be a ({c}, {c}) matrix of positive determinant; got {deformation!r}."
        )
    for name, value in (("radius", radius), ("displacement", displacement)):
        if value is not None and not (np.isfinite(value) and value > 0.0):
            raise InteractionError(f"The {name} must be a positive length in Å; got {value!r}.")
    if not isinstance(potential, Potential):
        return _from_hessian(potential, lattice, gradient, 2.0 * potential.reach if radius is None else radius)
    if lattice.symbol is None or c != 3:
        raise InteractionError(
            f"{potential.capabilities.name!r} drives atoms in three dimensions; the lattice has {c} components and the "
            f"element {lattice.symbol}. Take plane_lattice or bulk_lattice of a crystal."
        )
    if radius is None:
        radius = max(_RADIUS, 2.0 * (potential.capabilities.cutoff or 0.0))
    step = _DISPLACEMENTS[potential.capabilities.precision] if displacement is None else float(displacement)
    counts = _supercell_counts(lattice, radius)
    offsets, mirror = _offsets(lattice, counts)
    perfect = lattice.supercell(counts)
    perfect.set_cell(perfect.cell.array @ gradient.T, scale_atoms=True)
    weighted = potential.site_model is not None
    only_middle = np.zeros(len(perfect))
    only_middle[0] = 1.0

    def along(direction: int) -> tuple[Array, Array | None, int]:
        before = potential.counter.calls
        moved: Atoms = perfect.copy()
        moved.positions[0, direction] += step
        gradient_all = -potential.evaluate(moved).forces
        gradient_site = potential.evaluate_weighted(moved, only_middle).gradient if weighted else None
        return gradient_all, gradient_site, potential.counter.calls - before

    results = spread(range(3), along, potential=potential, comm=comm)
    # Component k of site R against direction j of the displaced site.
    blocks = np.stack([all_sites + all_sites[mirror] for all_sites, _, _ in results], axis=2) / (2.0 * step)
    alone = [middle + middle[mirror] for _, middle, _ in results if middle is not None]
    return _collected(
        lattice,
        offsets,
        blocks,
        np.stack(alone, axis=2) / (2.0 * step) if alone else None,
        potential=potential.capabilities.name,
        radius=radius,
        displacement=step,
        evaluations=sum(calls for _, _, calls in results),
    )


def _from_hessian(potential: LatticeModel, lattice: Lattice, deformation: Array, radius: float) -> Interaction:
    """Read the force constants from the analytic Hessian of a patch that holds everything the middle site feels."""
    if potential.basis.shape != lattice.basis.shape or not np.allclose(potential.basis, lattice.basis, rtol=1e-9):
        raise InteractionError(
            f"{potential.name!r} has its neighbours fixed on the lattice {potential.basis.tolist()}; the sites given lie on "
            f"{lattice.basis.tolist()}. Take both from one lattice."
        )
    offsets = lattice.offsets_within(radius + 2.0 * potential.reach)
    cluster = potential.cluster(offsets)
    positions = lattice.positions(offsets) @ deformation.T
    only_middle = np.zeros(len(offsets))
    only_middle[0] = 1.0
    c = lattice.components
    parts = []
    for weights in (None, only_middle):
        columns = cluster.hessian(positions, weights)[:, :c].toarray().reshape(-1, c, c)
        parts.append(columns[np.linalg.norm(offsets @ lattice.basis, axis=1) <= radius + 1e-6])
    return _collected(
        lattice,
        lattice.offsets_within(radius),
        *parts,
        potential=potential.name,
        radius=radius,
        displacement=0.0,
        evaluations=2,
    )


def _collected(
    lattice: Lattice,
    offsets: NDArray[np.int64],
    blocks: Array,
    site: Array | None,
    *,
    potential: str,
    radius: float,
    displacement: float,
    evaluations: int,
) -> Interaction:
    """Sort measured blocks (s, c, c) into shells and make the force constants of those within the radius exact."""
    blocks = 0.5 * (blocks + np.swapaxes(blocks, 1, 2))
    reach = np.round(np.linalg.norm(offsets @ lattice.basis, axis=1), 6)
    order = np.lexsort((*offsets.T[::-1], reach))
    offsets, blocks, reach = offsets[order], blocks[order], reach[order]
    norms = np.linalg.norm(blocks, ord=2, axis=(1, 2))
    distances, shell = np.unique(reach[1:], return_inverse=True)
    alone = None
    if site is not None:
        alone = np.zeros(len(distances))
        np.maximum.at(alone, shell, np.linalg.norm(site[order], ord=2, axis=(1, 2))[1:])
    decay = np.zeros(len(distances))
    np.maximum.at(decay, shell, norms[1:])
    kept = reach <= radius + 1e-6
    exact = blocks[kept].copy()
    exact[0] = -exact[1:].sum(axis=0)
    return Interaction(
        potential=potential,
        force_constants=ForceConstants(lattice=lattice, offsets=offsets[kept], blocks=exact),
        distances=distances,
        decay=decay,
        shell_sums=np.bincount(shell, norms[1:], minlength=len(distances)),
        site_decay=alone,
        radius=float(radius),
        displacement=displacement,
        evaluations=evaluations,
        noise=float(np.linalg.norm(blocks.sum(axis=0), ord=2)),
    )


def _supercell_counts(lattice: Lattice, radius: float) -> list[int]:
    """Return how many sites along each primitive vector keep all images of a site at least two radii apart."""
    counts = np.ceil(2.0 * radius / np.linalg.norm(lattice.basis, axis=1) - 1e-9).astype(int)
    counts = np.maximum(counts, 2)
    turns = np.array([t for t in itertools.product((-1, 0, 1), repeat=lattice.dimension) if any(t)])
    while np.linalg.norm((turns * counts) @ lattice.basis, axis=1).min() < 2.0 * radius - 1e-9:
        counts += 1
    return [int(n) for n in counts]


def _offsets(lattice: Lattice, counts: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each site of a supercell its offset (s, m) from the nearest image of site 0, and the site opposite to it."""
    indices = np.array(list(itertools.product(*(range(n) for n in counts))))
    opposite = np.ravel_multi_index(tuple((-indices % counts).T), tuple(counts))
    turns = np.array(list(itertools.product((-1, 0, 1), repeat=lattice.dimension)))
    images = indices[:, None, :] + turns * np.array(counts)
    nearest = np.round(np.linalg.norm(images @ lattice.basis, axis=2), 6).argmin(axis=1)
    return images[np.arange(len(indices)), nearest], opposite
