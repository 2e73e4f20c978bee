"""Fields for people: VTKHDF time series for ParaView and pyvista, plain arrays for pictures.

Everything is gathered to rank 0, which writes; specimens of this package fit there many times over.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from dolfinx import fem
from numpy.typing import NDArray

from continuum.assembly import strain
from continuum.errors import ContinuumError
from continuum.solid import Solid
from continuum.state import InterfaceState
from continuum.vtkhdf import append_vtkhdf, count_vtkhdf, cut_vtkhdf

Array = NDArray[np.float64]
# Exact in the SI of 2019, as at the border above this floor.
_EV_PER_CUBIC_ANGSTROM_IN_GPA = 160.2176634
# VTK's cell types and the order in which it goes round DOLFINx's tensor-product corners.
_VTK = {
    "triangle": (5, [0, 1, 2]),
    "quadrilateral": (9, [0, 1, 3, 2]),
    "tetrahedron": (10, [0, 1, 2, 3]),
    "hexahedron": (12, [0, 1, 3, 2, 4, 5, 7, 6]),
}
_VERTEX = 1


@dataclass(frozen=True, kw_only=True)
class FieldSnapshot:
    """The fields of a solid on rank 0 (empty arrays elsewhere).

    Attributes:
        points: (n, dim) corners of the cells, Å.
        cells: (m, k) corners, in VTK's order.
        triangles: (t, 3) cells cut into triangles for pictures (2D; empty in 3D).
        displacement: (n, dim) Å.
        stress: (m, 6) at the cells' centres, Voigt xx, yy, zz, yz, xz, xy, eV/Å³.
        von_mises: (m,) eV/Å³.
        triangle_von_mises: (t,) eV/Å³.
        energy_density: (m,) eV/Å³.
        body: (m,) index of the body.
    """

    points: Array
    cells: NDArray[np.int64]
    triangles: NDArray[np.int64]
    displacement: Array
    stress: Array
    von_mises: Array
    triangle_von_mises: Array
    energy_density: Array
    body: NDArray[np.int64]


def gather_fields(solid: Solid) -> FieldSnapshot:
    """Displacement and stress of the whole solid on rank 0; collective."""
    mesh, dim = solid.bodies.mesh, solid.dim
    owned = mesh.topology.index_map(mesh.topology.dim).size_local
    solid.u.x.scatter_forward()
    corners = mesh.geometry.dofmaps[0][:owned]
    at_corner = [d[0] for d in solid.space.element.basix_element.entity_dofs[0]]
    displacement = np.zeros((len(mesh.geometry.x), dim))
    displacement[corners] = solid.u.x.array.reshape(-1, dim)[solid.space.dofmap.list[:owned][:, at_corner]]
    engineering = _strain_at_centres(solid, owned)
    body = solid.bodies.body_of_cell[:owned].astype(np.int64)
    elastic = -solid.eigenstrain()[body]
    elastic[:, solid.columns] += engineering
    stress = np.einsum("cij,cj->ci", np.array([m.stiffness for m in solid.materials])[body], elastic)
    density = 0.5 * np.einsum("ci,ci->c", stress, elastic)
    parts = solid.comm.gather((mesh.geometry.x[:, :dim], corners, displacement, stress, density, body))
    kind = mesh.topology.cell_name()
    if parts is None:
        k = corners.shape[1]
        parts = [
            (
                np.zeros((0, dim)),
                np.zeros((0, k), int),
                np.zeros((0, dim)),
                np.zeros((0, 6)),
                np.zeros(0),
                np.zeros(0, int),
            )
        ]
    starts = np.cumsum([0, *[len(p[0]) for p in parts]])
    order = _VTK[kind][1]
    cells = np.concatenate([p[1] + s for p, s in zip(parts, starts, strict=False)])[:, order].astype(np.int64)
    whole = [np.concatenate([p[i] for p in parts]) for i in (0, 2, 3, 4, 5)]
    mises = von_mises(whole[2])
    triangles, repeats = cells if kind == "triangle" else np.zeros((0, 3), dtype=np.int64), 1
    if kind == "quadrilateral":
        triangles, repeats = np.concatenate([cells[:, [0, 1, 2]], cells[:, [0, 2, 3]]]), 2
    return FieldSnapshot(
        points=whole[0],
        cells=cells,
        triangles=triangles,
        displacement=whole[1],
        stress=whole[2],
        von_mises=mises,
        triangle_von_mises=np.tile(mises, repeats) if dim == 2 else np.zeros(0),
        energy_density=whole[3],
        body=whole[4],
    )


def von_mises(stress: Array) -> Array:
    """Equivalent stress (n,) of stresses (n, 6) in Voigt order."""
    xx, yy, zz, yz, xz, xy = stress.T
    shear = yz**2 + xz**2 + xy**2
    return np.sqrt(0.5 * ((xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2) + 3.0 * shear)


def _strain_at_centres(solid: Solid, owned: int) -> Array:
    """Engineering strain (cells, 3 or 6) at the centres of this rank's cells."""
    mesh = solid.bodies.mesh
    kind = mesh.topology.cell_name()
    simplex = kind in ("triangle", "tetrahedron")
    centre = np.full((1, mesh.topology.dim), 1.0 / (mesh.topology.dim + 1) if simplex else 0.5)
    expression = fem.Expression(strain(solid.u, solid.geometry), centre)
    values = expression.eval(mesh, np.arange(owned, dtype=np.int32))
    return np.asarray(values, dtype=float).reshape(owned, -1)


class FieldWriter:
    """Writes time series of a solid: ``bodies.vtkhdf`` and one ``NAME.vtkhdf`` for each interface.

    Bodies: displacement (Å), stress (GPa, Voigt xx yy zz yz xz xy), von Mises stress, energy density, body. Interfaces,
    at their quadrature points: opening (Å, normal first), traction (GPa), damage.

    Args:
        directory: made if needed.
        solid: whose fields are written.
        written: states of the series that an earlier writer has begun and this one goes on with; later ones are cut off. 0
            begins anew.

    Attributes:
        written: states in the series.

    Raises:
        ContinuumError: on all ranks, where the files cannot be read or written.
    """

    def __init__(self, directory: str | Path, solid: Solid, *, written: int = 0) -> None:
        self.directory, self.solid, self.written = Path(directory), solid, written

        def prepare() -> None:
            self.directory.mkdir(parents=True, exist_ok=True)
            # Files that somebody has taken away are begun again, all of them alike.
            self.written = min([written, *(count_vtkhdf(path) for path in self.paths())]) if written else 0
            for path in self.paths():
                cut_vtkhdf(path, self.written)

        self._on_root(prepare)
        self.written = solid.comm.bcast(self.written)

    def paths(self) -> list[Path]:
        """Files of the bodies and of each interface."""
        names = ["bodies", *(part.name.replace(" ", "_") for part in self.solid.interfaces.parts)]
        return [self.directory / f"{name}.vtkhdf" for name in names]

    def write(self, load: float) -> list[Path]:
        """Append the present state at a load (the series' time); paths of the files; collective.

        Raises:
            ContinuumError: on all ranks, where a file cannot be written.
        """
        solid, fields = self.solid, gather_fields(self.solid)
        states = [solid.interface_state(part.name) for part in solid.interfaces.parts]
        paths = self.paths()

        def append() -> None:
            _append_bodies(paths[0], fields, _VTK[solid.bodies.mesh.topology.cell_name()][0], load)
            for path, state in zip(paths[1:], states, strict=True):
                _append_interface(path, state, load)

        self._on_root(append)
        self.written += 1
        return paths

    def _on_root(self, act: Callable[[], None]) -> None:
        """Let rank 0 act on the files; all ranks hear of what goes wrong there."""
        failure = None
        if self.solid.comm.rank == 0:
            try:
                act()
            except (OSError, RuntimeError, KeyError) as error:
                failure = f"fields in {self.directory} cannot be written ({error}): free some space, or remove them"
        if failure := self.solid.comm.bcast(failure):
            raise ContinuumError(failure)


def _append_bodies(path: Path, fields: FieldSnapshot, kind: int, load: float) -> None:
    gpa = _EV_PER_CUBIC_ANGSTROM_IN_GPA
    cell_data = {
        "stress [GPa]": fields.stress * gpa,
        "von Mises [GPa]": fields.von_mises * gpa,
        "energy density [eV/angstrom^3]": fields.energy_density,
        "body": fields.body.astype(float),
    }
    point_data = {"displacement": _in_space(fields.displacement)}
    append_vtkhdf(path, _in_space(fields.points), fields.cells, kind, point_data, cell_data, load)


def _append_interface(path: Path, state: InterfaceState, load: float) -> None:
    point_data = {
        "opening [angstrom]": _in_space(state.opening),
        "traction [GPa]": _in_space(state.traction) * _EV_PER_CUBIC_ANGSTROM_IN_GPA,
        "damage": state.damage,
    }
    cells = np.arange(len(state.points))[:, None]
    append_vtkhdf(path, _in_space(state.points), cells, _VERTEX, point_data, {}, load)


def _in_space(values: Array) -> Array:
    """Vectors (n, 2) padded to (n, 3), as VTK wants them."""
    return np.pad(values, ((0, 0), (0, 3 - values.shape[1])))
