"""The same body by atoms alone, from the same start and by the same potential, and how far the coupled answer is from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from mpi4py import MPI
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, cg
from scipy.spatial import ConvexHull

from atomistic.cauchy_born import LinearCauchyBorn
from atomistic.elasticity import rotate_stiffness
from atomistic.lattice import Lattice
from atomistic.ranks import on_first_rank
from coupling.errors import TooManyAtomsError
from coupling.handshake import CoupledModel, HandshakeOptions, HandshakeSolution, couple, find_equilibrium
from coupling.handshake.clamped import Clamped
from coupling.zones import Custom
from multiscale.config import DefectCase
from multiscale.progress import Phase
from multiscale.studies.coupled_zone import CrystalCharacter, ZonePlan, atom_maker, spacing

Array = NDArray[np.float64]
#: Sites this part of a spacing from the boundary lie on it, and are held.
_ON = 1e-6
#: Rings, in lattice spacings, in which the error is summed against the distance from the core.
_RING = 1.0
#: Rows over which the ends of rows are averaged.
_ROWS = 60


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """A coupled answer beside that of all atoms.

    D is the gradient of the linear interpolation of displacements on the lattice's own triangles (tetrahedra), without those
    that touch a missing atom; ‖·‖ the L² norm over the body.

    Attributes:
        atoms: free ones in the whole body.
        solution: of all atoms.
        strain: ‖D(u − u_ref)‖ / ‖D(u_ref − u_start)‖.
        largest_displacement: largest |u − u_ref| at a site of the body, Å.
        points: (n, m) sites, Å.
        cells: (k, m + 1).
        cell_error: (k,) |D(u − u_ref)|; NaN in cells that were left out.
        distance: (r,) from the core's edge, Å: middles of rings.
        profile: (r,) root mean square of |D(u − u_ref)| in each ring.
        energy: of the defect by all atoms, eV; None where missing atoms make none known.
    """

    atoms: int
    solution: HandshakeSolution
    strain: float
    largest_displacement: float
    points: Array
    cells: NDArray[np.int64]
    cell_error: Array
    distance: Array
    profile: Array
    energy: float


class _SolidRest(Clamped):
    """Clamped atoms in a solid body, whose stiffness takes too long to factorise."""

    @cached_property
    def _iterative(self) -> _ConjugateGradients:
        return _ConjugateGradients(self.model.elastic_stiffness(np.zeros(self.shape)), self.free)

    def preconditioner(self, u: Array) -> Any:
        """The elastic stiffness, inverted by conjugate gradients."""
        return self._iterative


class _ConjugateGradients:
    """Solves with a positive definite matrix (n·c, n·c) on the free unknowns (n, c), others zero, to a part in a thousand."""

    def __init__(self, matrix: sp.csr_matrix, free: NDArray[np.bool_]) -> None:
        self._free = free
        keep = np.flatnonzero(free.ravel())
        self._matrix = matrix[keep][:, keep].tocsr()
        self._scale = 1.0 / self._matrix.diagonal()

    def solve(self, right: Array) -> Array:
        """Return the solution, shaped like `right`."""
        diagonal = LinearOperator(self._matrix.shape, matvec=lambda v: self._scale * v, dtype=float)
        found, _ = cg(self._matrix, right[self._free], rtol=1e-3, maxiter=2000, M=diagonal)
        solution = np.zeros_like(right)
        solution[self._free] = found
        return solution


def count_atoms(character: CrystalCharacter, plan: ZonePlan) -> int:
    """Sites of the whole body, about."""
    lattice = character.lattice
    thickness = lattice.thickness if lattice.dimension == 2 else 1.0
    return round(float(ConvexHull(plan.corners).volume) * thickness / lattice.site_volume)


def refuse_too_many(case: DefectCase, character: CrystalCharacter, plan: ZonePlan) -> None:
    """Refuse a comparison beyond the case's bound before anything is computed.

    Raises:
        TooManyAtomsError: with the number of atoms.
    """
    count = count_atoms(character, plan)
    if case.compare.all_atoms and count > case.compare.largest:
        raise TooManyAtomsError(
            f"the body holds about {count} atoms, and a comparison is allowed up to {case.compare.largest}: make the body "
            "smaller, raise compare.largest, or leave the comparison out"
        )


def all_atoms_model(case: DefectCase, character: CrystalCharacter, plan: ZonePlan, comm: MPI.Comm) -> CoupledModel:
    """The body as atoms that are held on and beyond its boundary: clamped atoms in a zone as large as the body.

    Elements serve as preconditioner only, so linear ones do.
    """
    lattice, step = character.lattice, spacing(character.lattice)
    faces = ConvexHull(plan.corners - _inset(character.lattice, plan.corners)).equations
    pad = max(plan.pad, character.force_range)
    reach = pad + 2.0 * step
    lower, upper = plan.corners.min(axis=0) - 3.0 * reach, plan.corners.max(axis=0) + 3.0 * reach
    body = Custom(
        function=lambda places: (places @ faces[:, :-1].T + faces[:, -1]).max(axis=1) + _ON * step,
        lower=tuple(lower),
        upper=tuple(upper),
    )
    if lattice.dimension == 2:
        domain = plan.domain + reach * np.sign(plan.domain)
    else:
        layers = np.ceil(reach * np.linalg.norm(np.linalg.inv(lattice.basis), axis=0)).astype(np.int64)
        domain = plan.domain + np.array([-layers, layers])
    stiffness = character.crystal.stiffness
    if character.orientation is not None:
        stiffness = rotate_stiffness(stiffness, character.orientation.rotation)
    return couple(
        lattice=lattice,
        make_atoms=atom_maker(case, character, plan, comm),
        material=LinearCauchyBorn(stiffness),
        zone=body,
        domain=domain,
        width=0.0,
        pad=pad,
        interaction=character.site_range,
        absent=plan.defect.absent,
        far_field=plan.far_field,
    )


def _inset(lattice: Lattice, corners: Array) -> Array:
    """How far the outermost free atoms must stay inside the corners (k, m) of the body, Å.

    Held atoms stand where u = 0, as elements do on the boundary. Rows of a plane lattice end at different x: their first held
    atoms shall lie on the boundary in the mean.
    """
    if lattice.dimension == 3:
        return np.zeros_like(corners)
    length = float(np.linalg.norm(lattice.row @ lattice.basis))
    sites = lattice.places(lattice.indices_within(None, [0.0, 0.0], [length, _ROWS * lattice.row_spacing]))
    # Where each row's sites begin, between 0 and the spacing along the row.
    begins = np.mod(sites[:, 0] + _ON * length, length) - _ON * length
    shifts = np.concatenate([[0.0], np.unique(np.round(length - begins, 9)) + 2.0 * _ON * length])
    means = [float(np.mean(np.mod(begins + s, length) - s)) for s in shifts]
    best = shifts[int(np.argmin(np.abs(means)))]
    return np.sign(corners) * np.array([best, 0.0])


def compare(
    case: DefectCase,
    character: CrystalCharacter,
    plan: ZonePlan,
    coupled: CoupledModel,
    found: HandshakeSolution,
    *,
    comm: MPI.Comm,
    phase: Phase,
) -> Comparison:
    """Relax all atoms of the body and measure the coupled answer against them (collective).

    Raises:
        HandshakeConvergenceError: the atoms did not come to rest.
    """
    whole = all_atoms_model(case, character, plan, comm)
    start = plan.start(whole.body.nodes)
    solver = case.solver
    options = HandshakeOptions(
        tolerance=solver.tolerance,
        solver=solver.type,
        max_iterations=solver.max_iterations,
        max_calls=solver.max_calls,
        depth=solver.depth,
        largest_step=solver.largest_step,
    )
    method = Clamped(whole) if character.lattice.dimension == 2 else _SolidRest(whole)
    reference = find_equilibrium(
        method,
        start=start,
        options=options,
        report=lambda iteration, force: phase.describe(f"iteration {iteration}, largest force {force:.2e} eV/Å"),
    )
    nodes, cells = whole.body.nodes, whole.body.cells
    faces = ConvexHull(plan.corners).equations
    inside = (nodes @ faces[:, :-1].T + faces[:, -1]).max(axis=1) <= _ON * spacing(character.lattice)
    gone = whole.partition.node[whole.partition.absent]
    u = np.zeros_like(reference.u)
    u[inside] = coupled.body.interpolation(nodes[inside]) @ found.u
    counted = inside.copy()
    counted[gone] = False
    kept = counted[cells].all(axis=1)

    def strain(displacement: Array) -> Array:
        gradients = (whole.body.operator @ displacement).reshape(len(cells), -1)
        return np.where(kept[whole.body.cell_of_point], np.linalg.norm(gradients, axis=1), np.nan)

    volumes = whole.body.point_volumes
    error, scale = strain(u - reference.u), strain(reference.u - start)
    size = float(np.sqrt(np.nansum(volumes * scale**2)))
    away = np.zeros(len(nodes))
    away[counted] = np.linalg.norm(u - reference.u, axis=1)[counted]
    middle = plan.zone.distance(nodes[cells].mean(axis=1))
    ring = np.floor(middle / (_RING * spacing(character.lattice))).astype(np.int64)
    ring -= ring.min()
    total = np.bincount(ring[kept], (volumes * error**2)[kept], minlength=ring.max() + 1)
    area = np.bincount(ring[kept], volumes[kept], minlength=ring.max() + 1)
    some = area > 0.0
    first = np.floor(middle.min() / (_RING * spacing(character.lattice)))
    edges = (first + np.arange(len(area)) + 0.5) * _RING * spacing(character.lattice)
    return Comparison(
        atoms=int(whole.partition.counts["core"]),
        solution=reference,
        strain=float(np.sqrt(np.nansum(volumes * error**2))) / max(size, np.finfo(float).tiny),
        largest_displacement=float(away.max()),
        points=nodes,
        cells=cells,
        cell_error=error,
        distance=edges[some],
        profile=np.sqrt(total[some] / area[some]),
        energy=defect_energy(whole, reference, character, comm=comm),
    )


def defect_energy(
    model: CoupledModel, found: HandshakeSolution, character: CrystalCharacter, *, comm: MPI.Comm
) -> float:
    """Energy of the body with its defect less that of the perfect crystal of as many atoms, both under F₀, eV (collective).

    For missing atoms this is the formation energy, the atoms taken to the perfect crystal under F₀, where each has the energy
    that the potential gives it: the continuum has no part in the price.

    Only methods with an energy have one; of others NaN.
    """
    if found.balance.energy is None:
        return float("nan")
    partition, still = model.partition, np.zeros(model.shape)
    weights = None if found.balance.parts.get("bulk") is None else partition.weights
    perfect, _ = model.perfect(still, weights)
    if weights is not None:
        perfect += model.continuum(still, partition.cell_weights, partition.facet_weights).bulk
    missing = int(partition.absent.sum())
    if missing:
        perfect -= missing * site_energy(character, model.far_field, comm=comm)
    return found.balance.energy - perfect


def site_energy(character: CrystalCharacter, far_field: Array, *, comm: MPI.Comm) -> float:
    """Energy of an atom of the perfect crystal under F₀ by the potential, eV (collective)."""
    atoms = character.lattice.supercell([1] * character.lattice.dimension)
    atoms.set_cell(atoms.cell.array @ far_field.T, scale_atoms=True)
    return on_first_rank(
        lambda: character.potential.evaluate(atoms).energy / len(atoms), potential=character.potential, comm=comm
    )
