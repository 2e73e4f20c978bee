"""Bodies, interfaces and supports as one residual: K u + Bᵀ w T(B u) = reactions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import ufl
from dolfinx import fem
from dolfinx.fem import petsc as fem_petsc
from numpy.typing import NDArray
from petsc4py import PETSc

from continuum.errors import SupportError
from continuum.interface import InterfaceSet, build_interface
from continuum.laws import CohesiveLaw, LawResponse
from continuum.materials import LinearElastic
from continuum.mesh import BodyMesh
from continuum.supports import Displacement, Prescribed, prescribe

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Energies:
    """Energies of a state in eV (2D: of the given thickness).

    Attributes:
        bulk: ½∫ε:C:ε.
        interface_stored: recoverable part of ∫ψ.
        dissipated: spent by the interfaces, from their history.
        contact: of the compressive penalty.
    """

    bulk: float
    interface_stored: float
    dissipated: float
    contact: float

    @property
    def total(self) -> float:
        """Sum of all four, eV."""
        return self.bulk + self.interface_stored + self.dissipated + self.contact


@dataclass(frozen=True, kw_only=True)
class InterfaceState:
    """One interface at its quadrature points, sorted by place; the same on every rank.

    Attributes:
        points: (n, dim) Å.
        opening: (n, dim) jump, normal first, Å.
        traction: (n, dim) normal first, eV/Å³.
        damage: (n,) share of the fracture energy that has been called on; 1 on the initial crack.
        weights: (n,) Å^(dim−1).
    """

    points: Array
    opening: Array
    traction: Array
    damage: Array
    weights: Array


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All that is needed to go back to a state: displacement of this rank, history, load."""

    displacement: Array
    history: Array
    load: float


def strain(u: ufl.core.expr.Expr) -> ufl.core.expr.Expr:
    """Engineering strain in Voigt order: xx, yy, xy (2D) or xx, yy, zz, yz, xz, xy (3D)."""
    e = ufl.sym(ufl.grad(u))
    if len(u) == 2:
        return ufl.as_vector([e[0, 0], e[1, 1], 2 * e[0, 1]])
    return ufl.as_vector([e[0, 0], e[1, 1], e[2, 2], 2 * e[1, 2], 2 * e[0, 2], 2 * e[0, 1]])


class Solid:
    """Linear elastic bodies joined by cohesive interfaces.

    Equilibrium is the stationarity of Π(u) = ½uᵀKu + ∫_Γ ψ(⟦u⟧), with displacements prescribed in proportion to one
    load parameter. K is assembled once; the state is the displacement and the committed history of the interfaces.

    Args:
        bodies: the mesh.
        materials: one for each body's name.
        interfaces: one law for each interface's name.
        degree: of the displacement, 1 or 2.
        thickness: Å, in 2D (plane strain).
        supports: prescribed displacements.

    Raises:
        SupportError: where a name does not exist, one is missing, or the solid could move freely.
        MaterialError: where a tensor cannot be used in plane strain.
    """

    def __init__(
        self,
        bodies: BodyMesh,
        *,
        materials: Mapping[str, LinearElastic],
        interfaces: Mapping[str, CohesiveLaw],
        degree: int = 2,
        thickness: float = 1.0,
        supports: Sequence[Displacement],
    ) -> None:
        _check_names("materials", materials, bodies.bodies)
        _check_names("interfaces", interfaces, tuple(bodies.interfaces))
        if degree not in (1, 2) or not np.isfinite(thickness) or thickness <= 0.0:
            raise SupportError(f"degree = {degree!r}, thickness = {thickness!r}: expected degree 1 or 2, thickness > 0")
        self.bodies, self.comm = bodies, bodies.mesh.comm
        self.dim = bodies.mesh.geometry.dim
        self.thickness = thickness if self.dim == 2 else 1.0
        self.materials = [materials[b] for b in bodies.bodies]
        self.stiffness_of = [
            materials[b].plane_strain_stiffness if self.dim == 2 else materials[b].stiffness for b in bodies.bodies
        ]
        self.space = fem.functionspace(bodies.mesh, ("Lagrange", degree, (self.dim,)))
        self.prescribed: Prescribed = prescribe(bodies, self.space, supports, set(bodies.interfaces))
        self.u = fem.Function(self.space, name="displacement")
        self.bulk = self._assemble()
        self.interfaces = InterfaceSet(
            [build_interface(bodies, n, law, self.space, thickness=thickness) for n, law in interfaces.items()],
            self.dim,
        )
        self._place_pairs()
        self.load = 0.0
        self.history = self.interfaces.fresh()

    @property
    def n_dofs(self) -> int:
        """Number of unknowns of the displacement, prescribed ones included."""
        return self.space.dofmap.index_map.size_global * self.dim

    def _assemble(self) -> PETSc.Mat:
        """The bulk's stiffness, no support applied."""
        mesh = self.bodies.mesh
        owned = mesh.topology.index_map(mesh.topology.dim).size_local
        u, v = ufl.TrialFunction(self.space), ufl.TestFunction(self.space)
        subdomains = [(i, np.flatnonzero(self.bodies.body_of_cell[:owned] == i)) for i in range(len(self.stiffness_of))]
        dx = ufl.Measure("dx", domain=mesh, subdomain_data=subdomains)
        terms = []
        for i, matrix in enumerate(self.stiffness_of):
            c = fem.Constant(mesh, self.thickness * matrix)
            terms.append(ufl.inner(ufl.dot(c, strain(u)), strain(v)) * dx(i))
        matrix = fem_petsc.assemble_matrix(fem.form(sum(terms[1:], terms[0])))
        matrix.assemble()
        return matrix

    def _place_pairs(self) -> None:
        """Where this rank's own nodes stand among the interface pairs (node by node, side by side)."""
        start, stop = (int(n) for n in self.space.dofmap.index_map.local_range)
        nodes = self.interfaces.nodes.ravel()
        self._slots = np.flatnonzero((nodes >= start) & (nodes < stop))
        self._slot_dofs = ((nodes[self._slots] - start)[:, None] * self.dim + np.arange(self.dim)).ravel()

    def nodal_jumps(self, owned: Array) -> Array:
        """u₂ − u₁ of all pairs, (pairs, dim, ...), from this rank's owned values (dofs, ...); collective."""
        extra = owned.shape[1:]
        buffer = np.zeros((self.interfaces.nodes.size, self.dim, *extra))
        buffer[self._slots] = owned[self._slot_dofs].reshape(-1, self.dim, *extra)
        if self.comm.size > 1:
            total = np.empty_like(buffer)
            self.comm.Allreduce(buffer, total)
            buffer = total
        sides = buffer.reshape(-1, 2, self.dim, *extra)
        return sides[:, 1] - sides[:, 0]

    def add_nodal_forces(self, target: Array, forces: Array) -> None:
        """Add Gᵀ f to this rank's owned values: +f on side 2, −f on side 1; forces (pairs, dim, ...)."""
        signed = np.stack([-forces, forces], axis=1)
        signed = signed.reshape(-1, *forces.shape[1:])[self._slots]
        np.add.at(target, self._slot_dofs, signed.reshape(-1, *forces.shape[2:]))

    def owned(self) -> Array:
        """This rank's owned displacement values (a view)."""
        array: Array = self.u.x.array  # type: ignore[assignment]
        return array[: self.space.dofmap.index_map.size_local * self.dim]

    def set_load(self, load: float) -> None:
        """Prescribe the displacements of a load; the interior stays where it is."""
        self.load = load
        self.u.x.array[self.prescribed.dofs] = load * self.prescribed.factors

    def jumps(self) -> Array:
        """Local jumps at all quadrature points, (points, dim) Å; collective."""
        return self.interfaces.jumps(self.nodal_jumps(self.owned()))

    def respond(self) -> LawResponse:
        """The laws at the present displacement; collective."""
        return self.interfaces.evaluate(self.jumps(), self.history)

    def internal_force(self, traction: Array | None = None) -> PETSc.Vec:
        """K u + Bᵀ w T as a PETSc vector; entries of prescribed dofs are the reactions (collective)."""
        force = self.bulk.createVecLeft()
        self.bulk.mult(self.u.x.petsc_vec, force)
        if self.interfaces.points:
            traction = self.respond().traction if traction is None else traction
            values: Any = force.array
            self.add_nodal_forces(values, self.interfaces.forces(traction))
        return force

    def commit(self) -> None:
        """Take the present opening into the history; collective."""
        if self.interfaces.points:
            self.history = self.respond().history_new

    def snapshot(self) -> Snapshot:
        """The present state."""
        return Snapshot(displacement=np.array(self.u.x.array, dtype=float), history=self.history.copy(), load=self.load)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a state."""
        self.u.x.array[:] = snapshot.displacement
        self.history, self.load = snapshot.history.copy(), snapshot.load

    def energies(self) -> Energies:
        """Energies of the present state; the dissipation is that of the interfaces' history (collective)."""
        work = self.bulk.createVecLeft()
        self.bulk.mult(self.u.x.petsc_vec, work)
        bulk = 0.5 * float(np.real(work.dot(self.u.x.petsc_vec)))
        if not self.interfaces.points:
            return Energies(bulk=bulk, interface_stored=0.0, dissipated=0.0, contact=0.0)
        answer, w = self.respond(), self.interfaces.weights
        return Energies(
            bulk=bulk,
            interface_stored=float(w @ answer.stored),
            dissipated=float(w @ answer.dissipated),
            contact=float(w @ answer.contact),
        )

    def reaction(self) -> float:
        """P = Σ factor·f over prescribed dofs, conjugate to the load parameter: dW = P dλ; eV/Å (collective)."""
        force, mine = self.internal_force(), self.prescribed.owned
        local = float(force.array[self.prescribed.dofs[mine]] @ self.prescribed.factors[mine])
        return float(self.comm.allreduce(local))

    def interface_state(self, name: str) -> InterfaceState:
        """Openings, tractions and damage along one interface; collective, the same on every rank."""
        index = [p.name for p in self.interfaces.parts].index(name)
        part, where = self.interfaces.parts[index], self.interfaces.slices[index]
        jump, answer = self.jumps(), self.respond()
        places = part.places.reshape(-1, self.dim)
        order = np.lexsort(np.round(places, 6).T[::-1])
        return InterfaceState(
            points=places[order],
            opening=jump[where][order],
            traction=answer.traction[where][order],
            damage=answer.damage[where][order],
            weights=part.weights.ravel()[order],
        )

    def crack_tip(self, name: str, *, level: float = 0.95) -> float:
        """x (Å) up to which an interface is broken: where ψ(κ)/G_c, linear between points, first falls below `level`.

        Meant for cracks that grow along +x; in 3D the least advanced point of the front. The left end of the
        interface where nothing is broken.
        """
        state = self.interface_state(name)
        x, damage = state.points[:, 0], state.damage
        intact = np.flatnonzero(damage < level)
        if not len(intact):
            return float(x.max())
        i = intact[np.argmin(x[intact])]
        behind = np.flatnonzero((damage >= level) & (x < x[i]))
        if not len(behind):
            return float(x.min()) if x[i] <= x.min() else float(x[i])
        j = behind[np.argmax(x[behind])]
        if self.interfaces_cracked_at(name, x[j]):
            return float(x[j])
        return float(x[j] + (x[i] - x[j]) * (damage[j] - level) / (damage[j] - damage[i]))

    def interfaces_cracked_at(self, name: str, x: float) -> bool:
        """Whether the initial crack of an interface holds the quadrature points at x."""
        part = next(p for p in self.interfaces.parts if p.name == name)
        at = np.abs(part.places[..., 0] - x) < 1e-9 * max(1.0, abs(x))
        return bool((at & part.cracked[:, None]).any())

    def rotation(self, group: str) -> float:
        """Mean rotation (radians, counter-clockwise) of a group of facets: least-squares fit of the face (2D, collective)."""
        facets = _known("group", group, self.bodies.groups)
        dofs = fem.locate_dofs_topological(self.space, self.bodies.mesh.topology.dim - 1, facets)
        dofs = dofs[dofs < self.space.dofmap.index_map.size_local]
        x = self.space.tabulate_dof_coordinates()[dofs, :2]
        u = self.u.x.array.reshape(-1, self.dim)[dofs, :2]
        n = max(self.comm.allreduce(len(dofs)), 1)
        centre = self.comm.allreduce(np.concatenate([x.sum(axis=0), u.sum(axis=0)])) / n
        x, u = x - centre[:2], u - centre[2:]
        turn = np.array([(x[:, 0] * u[:, 1] - x[:, 1] * u[:, 0]).sum(), (x**2).sum()])
        turn = self.comm.allreduce(turn)
        return float(turn[0] / turn[1])


def _known[T](kind: str, name: str, table: Mapping[str, T]) -> T:
    if name not in table:
        raise SupportError(f"{kind} {name!r}: expected one of {sorted(table)}")
    return table[name]


def _check_names(what: str, given: Mapping[str, object], expected: Sequence[str]) -> None:
    if set(given) != set(expected):
        raise SupportError(f"{what} for {sorted(given)}: expected one for each of {sorted(expected)}")
