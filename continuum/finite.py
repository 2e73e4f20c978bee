"""Solids under finite rotations: St. Venant–Kirchhoff bodies, interfaces in the frame of their deformed mid-surface.

Π(u) = ∫½E:C:E + ∫_Γ ψ(j + g) − λ f·u with Green's strain E = ½(FᵀF − 1) and local jumps j = R(ū)⟦u⟧ (finite_frames.py);
all integrals are over the undeformed solid. Rotations may be of any size; strains should stay small where they matter, for
St. Venant and Kirchhoff's energy softens in strong compression.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import basix
import numpy as np
import ufl
from dolfinx import fem, la
from dolfinx.fem import petsc as fem_petsc
from numpy.typing import NDArray
from petsc4py import PETSc

from continuum.finite_frames import LocalJump, local_jump
from continuum.finite_tangent import FiniteTangent
from continuum.laws import CohesiveLaw, LawResponse
from continuum.materials import LinearElastic
from continuum.mesh import BodyMesh
from continuum.solid import Energies, Solid
from continuum.supports import Displacement, Force

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
_FACETS = {2: "interval", 3: "triangle", 6: "triangle", 4: "quadrilateral", 9: "quadrilateral"}


class FiniteSolid(Solid):
    """Bodies and interfaces that may turn by any angle; serves the same solvers as `Solid`.

    `bulk` stays the stiffness at rest; residual and tangent are assembled at the present displacement. Dead loads keep
    their direction. Tractions of the interfaces are per undeformed area, in the frame that turns with the interface.

    Args:
        bodies, materials, interfaces, degree, thickness, supports, forces, gaps: as of `Solid`; the stiffness relates the
            second Piola–Kirchhoff stress to Green's strain.

    Raises:
        SupportError: as `Solid`.
        MaterialError: as `Solid`.
    """

    linear = False

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
        gaps: Mapping[str, Callable[[Array], Array]] | None = None,
    ) -> None:
        super().__init__(
            bodies,
            materials=materials,
            interfaces=interfaces,
            degree=degree,
            thickness=thickness,
            supports=supports,
            forces=forces,
            gaps=gaps,
        )
        self._compile(degree)
        if self.interfaces.points:
            self._place_mid_surface(degree)

    def _compile(self, degree: int) -> None:
        """Energy, residual and tangent of the bodies as forms, compiled once."""
        mesh, dim = self.bodies.mesh, self.dim
        # Exact for the linear problem; the stress of a bent quadratic cell is integrated as its strain energy was.
        dx = ufl.Measure("dx", domain=mesh, metadata={"quadrature_degree": 2 * degree})
        gradient = ufl.grad(self.u)
        # Not FᵀF − 1: small strains would drown in its rounding.
        green = 0.5 * (gradient + gradient.T + gradient.T * gradient)
        pairs = [(0, 0), (1, 1), (0, 1)] if dim == 2 else [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
        strain = ufl.as_vector([green[i, j] if i == j else 2 * green[i, j] for i, j in pairs])
        energy = 0.5 * ufl.inner(ufl.dot(self._stiffness(), strain), strain) * dx
        residual = ufl.derivative(energy, self.u, ufl.TestFunction(self.space))
        self._energy, self._residual = fem.form(energy), fem.form(residual)
        self._tangent_form = fem.form(ufl.derivative(residual, self.u, ufl.TrialFunction(self.space)))
        self._tangent: PETSc.Mat = fem_petsc.create_matrix(self._tangent_form)

    def _stiffness(self) -> fem.Function:
        """C times the thickness, constant in each cell: one kernel serves all bodies."""
        tables = [m.plane_strain_stiffness if self.dim == 2 else m.stiffness for m in self.materials]
        per_cell = self.thickness * np.array(tables)[self.bodies.body_of_cell]
        found = fem.Function(fem.functionspace(self.bodies.mesh, ("DG", 0, per_cell.shape[1:])))
        found.x.array[:] = per_cell.ravel()
        return found

    def _place_mid_surface(self, degree: int) -> None:
        """Coefficients of d and t in the displacements of both faces' nodes, and t at rest."""
        interfaces = self.interfaces
        shape, frames = interfaces.parts[0].shape, np.concatenate([p.frames for p in interfaces.parts])
        facets, points, dim, _ = frames.shape
        nodes = shape.shape[1]
        kind = basix.CellType[_FACETS[nodes] if dim == 3 else "interval"]
        element = basix.create_element(basix.ElementFamily.P, kind, degree, basix.LagrangeVariant.gll_warped)
        # Lagrange functions reproduce the reference coordinates: these are the quadrature points that the parts were built with.
        table = np.asarray(element.tabulate(1, shape @ np.asarray(element.points)))[1:, ..., 0]
        places = self.space.tabulate_dof_coordinates()[: len(self.owned()) // dim, :dim]
        at = self._sides(np.ascontiguousarray(places).ravel())[interfaces.facet_pairs, 0]
        edges = np.einsum("kqa,fac->fqkc", table, at)
        share = np.einsum("fqtc,fqck->fqtk", frames[:, :, 1:], np.linalg.pinv(edges))
        slopes = np.einsum("fqtk,kqa->fqta", share, table)
        self._reach = np.zeros((facets, points, dim, 2, nodes))
        self._reach[:, :, 0, 0], self._reach[:, :, 0, 1] = -shape, shape
        self._reach[:, :, 1:, 0] = self._reach[:, :, 1:, 1] = 0.5 * slopes
        self._rest = frames[:, :, 1:]
        self._area = interfaces.weights.reshape(facets, points)

    def _sides(self, owned: Array) -> Array:
        """Values of both nodes of all pairs, (pairs, 2, dim), from this rank's owned values (dofs,); collective."""
        buffer = np.zeros((self.interfaces.nodes.size, self.dim))
        buffer[self._slots] = owned[self._slot_dofs].reshape(-1, self.dim)
        if self.comm.size > 1:
            total = np.empty_like(buffer)
            self.comm.Allreduce(buffer, total)
            buffer = total
        return buffer.reshape(-1, 2, self.dim)

    def _moved(self, sides: Array) -> Array:
        """d and t less its rest, (facets, points, dim, dim), of displacements (pairs, 2, dim)."""
        at = np.swapaxes(sides[self.interfaces.facet_pairs], 1, 2)
        return np.einsum("fqksa,fsac->fqkc", self._reach, at, optimize=True)

    def local(self) -> LocalJump:
        """Local jumps at all quadrature points with their derivatives, gaps not included; collective."""
        moved = self._moved(self._sides(self.owned()))
        dim = self.dim
        return local_jump(moved[:, :, 0].reshape(-1, dim), (moved[:, :, 1:] + self._rest).reshape(-1, dim - 1, dim))

    def jumps(self) -> Array:
        """Local jumps in the turned frames, initial gaps included, (points, dim) Å; collective."""
        return self.local().jump + self._gap if self.interfaces.points else np.zeros((0, self.dim))

    def bulk_tangent(self) -> PETSc.Mat:
        """Derivative of the bodies' internal force at the present displacement, no support applied (collective)."""
        self.u.x.scatter_forward()
        self._tangent.zeroEntries()
        fem_petsc.assemble_matrix(self._tangent, self._tangent_form)  # type: ignore[arg-type]
        self._tangent.assemble()
        return self._tangent

    def interface_forces(self, local: LocalJump, traction: Array) -> Array:
        """Nodal forces of tractions (points, dim): (facets, 2, nodes, dim), eV/Å; in balance facet by facet."""
        pulled = np.einsum("pi,piz->pz", traction, local.jacobian).reshape(*self._area.shape, self.dim, self.dim)
        return np.einsum("fq,fqksa,fqkc->fsac", self._area, self._reach, pulled, optimize=True)

    def interface_stiffness(self, local: LocalJump, tangent: Array, traction: Array | None) -> Array:
        """Derivative of the nodal forces, (facets, 2, nodes, dim, 2, nodes, dim), eV/Å².

        Args:
            local: jumps with their derivatives.
            tangent: of the laws, (points, dim, dim).
            traction: (points, dim); None leaves the term of the frames' turning out.
        """
        inner = np.einsum("pix,pij,pjy->pxy", local.jacobian, tangent, local.jacobian, optimize=True)
        if traction is not None:
            inner += local.bending(traction)
        facets, points, dim, _, nodes = self._reach.shape
        inner *= self._area.reshape(-1, 1, 1)
        inner = inner.reshape(facets, points, dim, dim, dim, dim)
        reach = self._reach.reshape(facets, points, dim, 2 * nodes)
        found = np.einsum("fqkn,fqkclx,fqlm->fncmx", reach, inner, reach, optimize=True)
        return found.reshape(facets, 2, nodes, dim, 2, nodes, dim)

    def _add_facet_forces(self, target: Array, forces: Array) -> None:
        """Add nodal forces (facets, 2, nodes, dim) to this rank's owned values."""
        total = np.zeros((self.interfaces.pairs, 2, self.dim))
        np.add.at(total, self.interfaces.facet_pairs, np.swapaxes(forces, 1, 2))
        np.add.at(target, self._slot_dofs, total.reshape(-1, self.dim)[self._slots].ravel())

    def internal_force(self, traction: Array | None = None) -> PETSc.Vec:
        """Internal less external forces as a PETSc vector; entries of prescribed dofs are the reactions (collective)."""
        self.u.x.scatter_forward()
        assembled = fem.assemble_vector(self._residual)
        assembled.scatter_reverse(la.InsertMode.add)
        force = self.bulk.createVecLeft()
        values: Any = force.array
        values[:] = assembled.array[: len(values)] - self.external_force()
        if self.interfaces.points:
            local = self.local()
            if traction is None:
                traction = self.interfaces.evaluate(local.jump + self._gap, self.history).traction
            self._add_facet_forces(values, self.interface_forces(local, traction))
        return force

    def push(self, direction: Array, answer: LawResponse) -> Array:
        """Derivative of the internal force along owned values `direction`, owned dofs, eV/Å² each Å; collective."""
        along, force = self.bulk.createVecRight(), self.bulk.createVecLeft()
        along.array[:] = direction
        self.bulk_tangent().mult(along, force)
        values = np.array(force.array, dtype=float)
        if self.interfaces.points:
            local, moved = self.local(), self._moved(self._sides(direction))
            change = moved.reshape(-1, self.dim**2)
            traction = np.einsum("pij,pjz,pz->pi", answer.tangent, local.jacobian, change, optimize=True)
            forces = self.interface_forces(local, traction)
            turned = np.einsum("pxy,py->px", local.bending(answer.traction), change).reshape(moved.shape)
            forces += np.einsum("fq,fqksa,fqkc->fsac", self._area, self._reach, turned, optimize=True)
            self._add_facet_forces(values, forces)
        return values

    def jump_change(self, owned: Array) -> Array:
        """Change of the local jumps (points, dim) for a small change of the displacement, owned values; collective."""
        change = self._moved(self._sides(owned)).reshape(-1, self.dim**2)
        return np.einsum("piz,pz->pi", self.local().jacobian, change)

    def tangent_matrix(self) -> FiniteTangent:
        """The tangent, assembled and factorised on demand; collective."""
        return FiniteTangent(self)

    def energies(self) -> Energies:
        """Energies of the present state; the dissipation is that of the interfaces' history (collective)."""
        self.u.x.scatter_forward()
        local = [float(np.real(fem.assemble_scalar(self._energy))), -self.load * float(self.dead_load @ self.owned())]
        bulk, loads = (float(p) for p in self.comm.allreduce(np.array(local)))
        if not self.interfaces.points:
            return Energies(bulk=bulk, interface_stored=0.0, dissipated=0.0, contact=0.0, loads=loads)
        answer, w = self.respond(), self.interfaces.weights
        parts = [float(w @ part) for part in (answer.stored, answer.dissipated, answer.contact)]
        return Energies(bulk=bulk, interface_stored=parts[0], dissipated=parts[1], contact=parts[2], loads=loads)
