"""What bodies and dead loads contribute to a solid's equations, assembled once: stiffness, stress-free strains, forces.

Plane strain, axial symmetry and space differ in three things only: which strains there are, which constants of the
material they meet, and the weight of a place (the thickness, 2πr, or one).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import ufl
from dolfinx import fem, la
from dolfinx import mesh as dmesh
from dolfinx.fem import petsc as fem_petsc
from numpy.typing import NDArray
from petsc4py import PETSc

from continuum.errors import SupportError
from continuum.materials import Eigenstrain, LinearElastic
from continuum.mesh import BodyMesh
from continuum.supports import Force, axis_of

Array = NDArray[np.float64]
Geometry = Literal["plane", "axisymmetric", "space"]
#: Which of xx, yy, zz, yz, xz, xy each geometry strains. Axisymmetric: x is the radius, y the axis, z goes round it.
COLUMNS: Mapping[str, list[int]] = {
    "plane": [0, 1, 5],
    "axisymmetric": [0, 1, 2, 5],
    "space": [0, 1, 2, 3, 4, 5],
}


def strain(u: ufl.core.expr.Expr, geometry: Geometry | None = None) -> ufl.core.expr.Expr:
    """Engineering strain in Voigt order, the components that a geometry has (see COLUMNS).

    Args:
        u: displacement.
        geometry: plane or space by the number of components if None.
    """
    e = ufl.sym(ufl.grad(u))
    if geometry == "axisymmetric":
        x = ufl.SpatialCoordinate(ufl.domain.extract_unique_domain(u))
        return ufl.as_vector([e[0, 0], e[1, 1], u[0] / x[0], 2 * e[0, 1]])
    if len(u) == 2:
        return ufl.as_vector([e[0, 0], e[1, 1], 2 * e[0, 1]])
    return ufl.as_vector([e[0, 0], e[1, 1], e[2, 2], 2 * e[1, 2], 2 * e[0, 2], 2 * e[0, 1]])


@dataclass(frozen=True, kw_only=True)
class EigenLoad:
    """Stress-free strains ε* of all bodies; their energy is −u·force + ½∫ε*:C:ε*.

    Attributes:
        force: ∫Bᵀ C ε*, owned dofs of this rank, eV/Å.
        strain: (bodies, 6).
    """

    force: Array
    strain: Array


class Assembler:
    """Assembles over the bodies of a mesh in one geometry (collective).

    Args:
        bodies: the mesh.
        materials: one for each body, in their order.
        space: of the displacement.
        geometry: plane, axisymmetric or space.
        thickness: Å, of a plane.

    Raises:
        MaterialError: where a tensor cannot be used in this geometry.
    """

    def __init__(
        self,
        bodies: BodyMesh,
        materials: Sequence[LinearElastic],
        space: fem.FunctionSpace,
        geometry: Geometry,
        thickness: float,
    ) -> None:
        self.bodies, self.materials, self.space, self.geometry = bodies, materials, space, geometry
        mesh, columns = bodies.mesh, COLUMNS[geometry]
        if geometry == "plane":
            self.stiffness_of = [m.plane_strain_stiffness for m in materials]
        elif geometry == "axisymmetric":
            self.stiffness_of = [m.axisymmetric_stiffness for m in materials]
        else:
            self.stiffness_of = [m.stiffness[np.ix_(columns, columns)] for m in materials]
        self._weight: Any = 1.0
        if geometry == "plane":
            self._weight = fem.Constant(mesh, thickness)
        elif geometry == "axisymmetric":
            self._weight = 2.0 * np.pi * ufl.SpatialCoordinate(mesh)[0]
        owned = mesh.topology.index_map(mesh.topology.dim).size_local
        cells = [(i, np.flatnonzero(bodies.body_of_cell[:owned] == i)) for i in range(len(materials))]
        self._dx = ufl.Measure("dx", domain=mesh, subdomain_data=cells)

    def stiffness(self) -> PETSc.Mat:
        """∫Bᵀ C B of all bodies, no support applied."""
        u, v = ufl.TrialFunction(self.space), ufl.TestFunction(self.space)
        terms = []
        for i, matrix in enumerate(self.stiffness_of):
            c = fem.Constant(self.bodies.mesh, matrix)
            stress = ufl.dot(c, strain(u, self.geometry))
            terms.append(self._weight * ufl.inner(stress, strain(v, self.geometry)) * self._dx(i))
        matrix = fem_petsc.assemble_matrix(fem.form(sum(terms[1:], terms[0])))
        matrix.assemble()
        return matrix

    def volumes(self) -> Array:
        """Volume of each body, Å³."""
        mesh = self.bodies.mesh
        one = fem.Constant(mesh, 1.0)
        local = [fem.assemble_scalar(fem.form(one * self._weight * self._dx(i))) for i in range(len(self.materials))]
        return np.asarray(mesh.comm.allreduce(np.array(local, dtype=float)))

    def eigen(self, strains: Mapping[str, Eigenstrain], *, with_load: bool) -> EigenLoad:
        """The stress-free strains that go with the load parameter, or those that do not."""
        table = np.zeros((len(self.materials), 6))
        for i, name in enumerate(self.bodies.bodies):
            if name in strains and strains[name].with_load == with_load:
                table[i] = strains[name].strain
        if not table.any():
            return EigenLoad(force=np.zeros(self._owned), strain=table)
        v, terms = ufl.TestFunction(self.space), []
        for i, material in enumerate(self.materials):
            stress = fem.Constant(self.bodies.mesh, (material.stiffness @ table[i])[COLUMNS[self.geometry]])
            terms.append(self._weight * ufl.inner(stress, strain(v, self.geometry)) * self._dx(i))
        return EigenLoad(force=self._vector(sum(terms[1:], terms[0])), strain=table)

    def forces(self, forces: Sequence[Force]) -> Array:
        """Nodal forces of the dead loads per unit of the load parameter, owned dofs of this rank, eV/Å.

        Raises:
            SupportError: where a group or component does not exist.
        """
        total = np.zeros(self._owned)
        mesh = self.bodies.mesh
        for force in forces:
            component = axis_of(force.component, mesh.geometry.dim)
            if not np.isfinite(force.total):
                raise SupportError(f"total = {force.total!r} of group {force.group!r}: expected a finite force in eV/Å")
            if force.group not in self.bodies.groups:
                raise SupportError(f"force on group {force.group!r}: expected one of {sorted(self.bodies.groups)}")
            facets = np.sort(self.bodies.groups[force.group])
            tags = dmesh.meshtags(mesh, mesh.topology.dim - 1, facets, np.ones(len(facets), dtype=np.int32))
            ds = ufl.Measure("ds", domain=mesh, subdomain_data=tags)
            one, v = fem.Constant(mesh, 1.0), ufl.TestFunction(self.space)
            area = mesh.comm.allreduce(fem.assemble_scalar(fem.form(one * self._weight * ds(1))))
            share = fem.Constant(mesh, force.total / float(np.real(area)))
            total += self._vector(share * self._weight * v[component] * ds(1))
        return total

    @property
    def _owned(self) -> int:
        return self.space.dofmap.index_map.size_local * self.bodies.mesh.geometry.dim

    def _vector(self, form: Any) -> Array:
        vector = fem.assemble_vector(fem.form(form))
        vector.scatter_reverse(la.InsertMode.add)
        return np.array(vector.array[: self._owned], dtype=float)
