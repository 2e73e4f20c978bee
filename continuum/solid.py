"""Bodies, interfaces, supports and loads as one residual: K u + Bᵀ w T(B u + g) − f = reactions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from dolfinx import fem
from numpy.typing import NDArray
from petsc4py import PETSc

from continuum.assembly import COLUMNS, Assembler, Geometry
from continuum.errors import SupportError
from continuum.interface import InterfaceSet, build_interface
from continuum.laws import CohesiveLaw, LawResponse
from continuum.materials import Eigenstrain, LinearElastic
from continuum.mesh import BodyMesh
from continuum.state import Energies, InterfaceState, Snapshot
from continuum.supports import Displacement, Force, Prescribed, prescribe

Array = NDArray[np.float64]


class Solid:
    """Linear elastic bodies joined by cohesive interfaces.

    Equilibrium is the stationarity of Π(u) = ½∫(ε − ε*):C:(ε − ε*) + ∫_Γ ψ(⟦u⟧ + g) − λ f·u, with displacements
    prescribed in proportion to the one load parameter λ. K is assembled once; the state is the displacement and the
    committed history of the interfaces.

    Args:
        bodies: the mesh.
        materials: one for each body's name.
        interfaces: one law for each interface's name.
        degree: of the displacement, 1 or 2.
        thickness: Å, in the plane (plane strain).
        supports: prescribed displacements.
        forces: dead loads.
        eigenstrains: stress-free strains by the body's name.
        gaps: initial gap g of an interface by its name: places (n, dim) Å -> (n,) Å, added to the normal jump. The profile of an
            indenter over a flat mesh, for example.
        geometry: in 2D ``plane`` (strain) or ``axisymmetric``: x is the radius, y the axis; energies and forces are then those of
            the whole ring.

    Raises:
        SupportError: where a name does not exist, one is missing, or the solid could move freely.
        MaterialError: where a tensor cannot be used in plane strain or axial symmetry.
    """

    #: Whether stiffness and jump operator are constant, so that a factor and a condensed zone serve many states.
    linear = True

    def __init__(
        self,
        bodies: BodyMesh,
        *,
        materials: Mapping[str, LinearElastic],
        interfaces: Mapping[str, CohesiveLaw],
        degree: int = 2,
        thickness: float = 1.0,
        supports: Sequence[Displacement],
        forces: Sequence[Force] = (),
        eigenstrains: Mapping[str, Eigenstrain] | None = None,
        gaps: Mapping[str, Callable[[Array], Array]] | None = None,
        geometry: Literal["plane", "axisymmetric"] = "plane",
    ) -> None:
        _check_names("materials", materials, bodies.bodies)
        _check_names("interfaces", interfaces, tuple(bodies.interfaces))
        for what, given, kind in (
            ("materials", materials, LinearElastic),
            ("interfaces", interfaces, CohesiveLaw),
            ("eigenstrains", eigenstrains or {}, Eigenstrain),
        ):
            _check_kinds(what, given, kind)
        if degree not in (1, 2) or not np.isfinite(thickness) or thickness <= 0.0:
            raise SupportError(f"degree = {degree!r}, thickness = {thickness!r}: expected degree 1 or 2, thickness > 0")
        self.bodies, self.comm = bodies, bodies.mesh.comm
        self.dim = bodies.mesh.geometry.dim
        if geometry not in ("plane", "axisymmetric") or (geometry == "axisymmetric" and self.dim == 3):
            raise SupportError(f"geometry = {geometry!r} in {self.dim}D: expected plane or axisymmetric, of a 2D mesh")
        self.geometry: Geometry = "space" if self.dim == 3 else geometry
        self.thickness = thickness if self.geometry == "plane" else 1.0
        self.materials = [materials[b] for b in bodies.bodies]
        self.space = fem.functionspace(bodies.mesh, ("Lagrange", degree, (self.dim,)))
        self.prescribed: Prescribed = prescribe(
            bodies, self.space, supports, set(bodies.interfaces), axisymmetric=self.geometry == "axisymmetric"
        )
        self.u = fem.Function(self.space, name="displacement")
        assembler = Assembler(bodies, self.materials, self.space, self.geometry, self.thickness)
        self.bulk = assembler.stiffness()
        self.dead_load = assembler.forces(forces)
        strains = dict(eigenstrains or {})
        _known_names("eigenstrains", strains, bodies.bodies)
        self._eigen = [assembler.eigen(strains, with_load=bound) for bound in (False, True)]
        self._volumes = assembler.volumes() if strains else np.zeros(len(self.materials))
        self.interfaces = InterfaceSet(
            [
                build_interface(
                    bodies, n, law, self.space, thickness=self.thickness, axisymmetric=self.geometry == "axisymmetric"
                )
                for n, law in interfaces.items()
            ],
            self.dim,
        )
        self._gap = self._gaps(gaps or {})
        self._place_pairs()
        self.load = 0.0
        self.history = self.interfaces.fresh()

    @property
    def n_dofs(self) -> int:
        """Number of unknowns of the displacement, prescribed ones included."""
        return self.space.dofmap.index_map.size_global * self.dim

    def _gaps(self, gaps: Mapping[str, Callable[[Array], Array]]) -> Array:
        """Initial gaps at all quadrature points as jumps (points, dim), Å."""
        _known_names("gaps", gaps, tuple(p.name for p in self.interfaces.parts))
        found = np.zeros((self.interfaces.points, self.dim))
        for part, where in zip(self.interfaces.parts, self.interfaces.slices, strict=True):
            if part.name in gaps:
                values = np.asarray(gaps[part.name](part.places.reshape(-1, self.dim)), dtype=float)
                if values.shape != (part.weights.size,) or not np.isfinite(values).all():
                    raise SupportError(
                        f"gap of interface {part.name!r}: shape {values.shape}; expected {part.weights.size} finite "
                        "numbers, one for each place"
                    )
                found[where, 0] = values
        return found

    @property
    def columns(self) -> list[int]:
        """Which of the six Voigt components this geometry strains, in the order of `continuum.assembly.strain`."""
        return COLUMNS[self.geometry]

    def eigenstrain(self) -> Array:
        """Stress-free strain of each body at the present load, (bodies, 6)."""
        return self._eigen[0].strain + self.load * self._eigen[1].strain

    def external_force(self) -> Array:
        """Dead loads and forces of stress-free strains at the present load, this rank's owned dofs, eV/Å."""
        return self._eigen[0].force + self.load * (self._eigen[1].force + self.dead_load)

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
        """Local jumps at all quadrature points, initial gaps included, (points, dim) Å; collective."""
        return self.interfaces.jumps(self.nodal_jumps(self.owned())) + self._gap

    def jump_change(self, direction: Array) -> Array:
        """Change of the local jumps (points, dim) for owned values `direction`; collective."""
        return self.interfaces.jumps(self.nodal_jumps(direction))

    def tangent_matrix(self) -> Any:
        """The tangent stiffness, to be factorised again and again (see `continuum.newton.Tangent`)."""
        # Imported here: the matrix is built on solids.
        from continuum.linear import WholeTangent

        return WholeTangent(self)

    def respond(self) -> LawResponse:
        """The laws at the present displacement; collective."""
        return self.interfaces.evaluate(self.jumps(), self.history)

    def internal_force(self, traction: Array | None = None) -> PETSc.Vec:
        """K u + Bᵀ w T − external as a PETSc vector; entries of prescribed dofs are the reactions (collective)."""
        force = self.bulk.createVecLeft()
        self.bulk.mult(self.u.x.petsc_vec, force)
        values: Any = force.array
        values -= self.external_force()
        if self.interfaces.points:
            traction = self.respond().traction if traction is None else traction
            self.add_nodal_forces(values, self.interfaces.forces(traction))
        return force

    def push(self, direction: Array, answer: LawResponse) -> Array:
        """Derivative of the internal force along owned values `direction`, owned dofs, eV/Å² each Å; collective."""
        along, force = self.bulk.createVecRight(), self.bulk.createVecLeft()
        along.array[:] = direction
        self.bulk.mult(along, force)
        values = np.array(force.array, dtype=float)
        if self.interfaces.points:
            traction = np.einsum("pij,pj->pi", answer.tangent, self.jump_change(direction))
            self.add_nodal_forces(values, self.interfaces.forces(traction))
        return values

    def drive(self) -> Array:
        """Displacement of the supports per unit of the load parameter, this rank's owned values, Å."""
        found, mine = np.zeros(len(self.owned())), self.prescribed.owned
        found[self.prescribed.dofs[mine]] = self.prescribed.factors[mine]
        return found

    def load_derivative(self, answer: LawResponse) -> Array:
        """Derivative of the unbalanced force by the load parameter, interior held, owned dofs; collective."""
        return self.push(self.drive(), answer) - self._eigen[1].force - self.dead_load

    def hold(self, force: Array) -> Array:
        """Owned values with those of prescribed dofs set to zero (in place)."""
        force[self.prescribed.dofs[self.prescribed.owned]] = 0.0
        return force

    def commit(self) -> None:
        """Take the present opening into the history; collective."""
        if self.interfaces.points:
            self.history = self.respond().history_new

    def snapshot(self) -> Snapshot:
        """The present state."""
        return Snapshot(
            displacement=np.array(self.u.x.array, dtype=float),
            history=self.history.copy(),
            pressure=self.interfaces.pressure.copy(),
            load=self.load,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a state."""
        self.u.x.array[:] = snapshot.displacement
        self.history, self.load = snapshot.history.copy(), snapshot.load
        self.interfaces.pressure = snapshot.pressure.copy()

    def energies(self) -> Energies:
        """Energies of the present state; the dissipation is that of the interfaces' history (collective)."""
        pulled: Any = self.bulk.createVecLeft()
        self.bulk.mult(self.u.x.petsc_vec, pulled)
        u = self.owned()
        fixed, bound = self._eigen
        free = fixed.force + self.load * bound.force
        products = np.array([0.5 * pulled.array @ u - free @ u, -self.load * (self.dead_load @ u)])
        bulk, loads = (float(p) for p in self.comm.allreduce(products))
        strains = self.eigenstrain()
        bulk += 0.5 * float(self._volumes @ [e @ m.stiffness @ e for e, m in zip(strains, self.materials, strict=True)])
        if not self.interfaces.points:
            return Energies(bulk=bulk, interface_stored=0.0, dissipated=0.0, contact=0.0, loads=loads)
        answer, w = self.respond(), self.interfaces.weights
        return Energies(
            bulk=bulk,
            interface_stored=float(w @ answer.stored),
            dissipated=float(w @ answer.dissipated),
            contact=float(w @ answer.contact),
            loads=loads,
        )

    def reaction(self) -> float:
        """∂Π/∂λ, the force conjugate to the load parameter: dW = P dλ; eV/Å (collective).

        For prescribed displacements alone Σ factor·reaction; for dead loads alone −f·u.
        """
        force: Any = self.internal_force().array
        bound, u = self._eigen[1], self.owned()
        local = float(force @ self.drive() - (bound.force + self.dead_load) @ u)
        pairs = zip(bound.strain, self.eigenstrain(), self.materials, strict=True)
        own = float(self._volumes @ [b @ m.stiffness @ e for b, e, m in pairs])
        return float(self.comm.allreduce(local)) + own

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


def _check_kinds(what: str, given: Mapping[str, object], kind: type) -> None:
    for name, one in given.items():
        if not isinstance(one, kind):
            shown = one.__name__ if isinstance(one, type) else repr(one)
            raise SupportError(f"{what}[{name!r}] = {shown}: expected an instance of {kind.__module__}.{kind.__name__}")


def _check_names(what: str, given: Mapping[str, object], expected: Sequence[str]) -> None:
    if set(given) != set(expected):
        raise SupportError(f"{what} for {sorted(given)}: expected one for each of {sorted(expected)}")


def _known_names(what: str, given: Mapping[str, object], table: Sequence[str]) -> None:
    if not set(given) <= set(table):
        raise SupportError(f"{what} for {sorted(given)}: expected names among {sorted(table)}")
