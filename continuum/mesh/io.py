"""Meshes from files: gmsh's .msh and whatever else meshio reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import meshio
import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from continuum.errors import MeshError
from continuum.mesh.bodies import CELLS, BodyMesh, Predicate, boundary_facets, match_rows, split_bodies

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
_NAMES = {"triangle": "triangle", "quad": "quadrilateral", "tetra": "tetrahedron", "hexahedron": "hexahedron"}
_QUADRATIC = ("triangle6", "quad8", "quad9", "tetra10", "hexahedron20", "hexahedron27")
_FACETS = {"triangle": ("line",), "quad": ("line",), "tetra": ("triangle",), "hexahedron": ("quad",)}
# meshio goes round quadrilaterals, DOLFINx numbers them as a tensor product.
_ORDER = {"quad": [0, 1, 3, 2], "hexahedron": [0, 1, 3, 2, 4, 5, 7, 6]}


def read_mesh(
    path: str | Path,
    comm: MPI.Comm,
    *,
    bodies: Mapping[str, str | int | Sequence[str | int]] | Sequence[str],
    interfaces: Mapping[str, tuple[str, str]] | None = None,
    cracked: Mapping[str, Predicate] | Predicate | None = None,
    length_unit: float = 1.0,
    tags: str = "gmsh:physical",
) -> BodyMesh:
    """Read a conforming mesh of first-order cells and double its nodes where bodies meet (collective).

    Named physical groups of facets on the outer boundary become groups of the mesh. Those of facets between bodies become
    interfaces (or parts of one, with a law of their own): all of them where `interfaces` is None, else the ones that it names.

    Args:
        path: file; rank 0 reads it.
        comm: communicator.
        bodies: body -> physical group(s) of cells, by name or number; a list of names where both are called the same.
        interfaces: name -> (first, second) body; None: wherever two bodies touch, see `split_bodies`.
        cracked: predicate on midpoints (Å) of facets that are broken from the start, one for all interfaces or by name.
        length_unit: Å for one unit of the file (10 for a file in nm).
        tags: cell data that holds the group's number.

    Raises:
        MeshError: on all ranks, where the file cannot be read or does not hold what is named.
    """
    found: tuple | str | None = None
    if comm.rank == 0:
        try:
            found = _read(Path(path), bodies, length_unit, tags)
        except MeshError as error:
            found = str(error)
    found = comm.bcast(found)
    if isinstance(found, str):
        raise MeshError(found)
    assert found is not None
    points, cells, kind, body_of_cell, names, groups, inner = found
    return split_bodies(
        comm,
        points=points,
        cells=cells,
        cell=kind,
        body_of_cell=body_of_cell,
        bodies=names,
        interfaces=interfaces,
        groups=groups,
        parts={name: facets for name, facets in inner.items() if interfaces is None or name in interfaces},
        cracked=cracked,
    )


def _read(path: Path, bodies: Mapping | Sequence[str], length_unit: float, tags: str) -> tuple:
    """Arrays for split_bodies, from rank 0."""
    if not np.isfinite(length_unit) or length_unit <= 0.0:
        raise MeshError(f"length_unit = {length_unit!r}: expected the length of the file's unit in Å, above zero")
    if not path.is_file():
        raise MeshError(f"mesh file {path}: not found; expected a file that meshio reads, such as gmsh's .msh")
    try:
        mesh = meshio.read(path)
    except (meshio.ReadError, KeyError, ValueError, OSError, SystemExit) as error:
        raise MeshError(f"mesh file {path}: meshio cannot read it ({error}); save it as .msh (4.1) or .vtu") from error
    if tags not in mesh.cell_data:
        raise MeshError(
            f"mesh file {path}: no cell data {tags!r}, only {sorted(mesh.cell_data)}; define physical groups"
        )
    kinds = [k for k in _NAMES if k in mesh.cells_dict]
    if curved := [k for k in mesh.cells_dict if k.startswith(_QUADRATIC)]:
        raise MeshError(
            f"mesh file {path}: second-order cells {', '.join(curved)}; expected first-order ones, since bodies have straight "
            "facets (degree 2 of the displacement is an option of Solid): mesh with `gmsh -order 1` or Mesh.ElementOrder = 1"
        )
    volumes = [k for k in kinds if k in ("tetra", "hexahedron")] or [k for k in kinds if k in ("triangle", "quad")]
    if len(volumes) != 1:
        held = sorted(mesh.cells_dict)
        raise MeshError(f"mesh file {path}: cells {held}; expected first-order cells of one kind: {', '.join(_NAMES)}")
    kind = volumes[0]
    cells, numbers = mesh.cells_dict[kind], mesh.get_cell_data(tags, kind)
    table = bodies if isinstance(bodies, Mapping) else {name: name for name in bodies}
    body_of_cell = np.full(len(cells), -1)
    for index, (name, wanted) in enumerate(table.items()):
        for one in [wanted] if isinstance(wanted, str | int) else wanted:
            mine = numbers == _number(path, mesh, name, one)
            if not mine.any():
                raise MeshError(f"body {name!r}: no {kind} cell of {path} has the physical group {one!r}")
            body_of_cell[mine] = index
    keep = body_of_cell >= 0
    cells = cells[keep][:, _ORDER.get(kind, slice(None))].astype(np.int64)
    dim = 3 if kind in ("tetra", "hexahedron") else 2
    points = np.asarray(mesh.points, dtype=float)
    if dim == 2 and points.shape[1] == 3 and np.ptp(points[np.unique(cells), 2]) > 0.0:
        raise MeshError(
            f"mesh file {path}: {kind}s that leave the plane z = const; expected a plane mesh or solid cells"
        )
    return (
        points[:, :dim] * length_unit,
        cells,
        _NAMES[kind],
        body_of_cell[keep],
        list(table),
        *_groups(mesh, kind, cells, body_of_cell[keep], tags),
    )


def _groups(
    mesh: meshio.Mesh, kind: str, cells: Integers, body_of_cell: Integers, tags: str
) -> tuple[dict[str, Integers], dict[str, Integers]]:
    """Named groups of facets on the outer boundary of the cells that are used, and of those between bodies."""
    outer, inner = boundary_facets(cells, _NAMES[kind], body_of_cell)
    groups: dict[str, Integers] = {}
    between: dict[str, Integers] = {}
    for facet in _FACETS[kind]:
        if facet not in mesh.cells_dict:
            continue
        facets, numbers = np.sort(mesh.cells_dict[facet], axis=1), mesh.get_cell_data(tags, facet)
        for name, (number, dimension) in mesh.field_data.items():
            named = facets[numbers == number] if dimension == CELLS[_NAMES[kind]] - 1 else facets[:0]
            for table, found in ((outer, groups), (inner, between)):
                mine = named[match_rows(named, table) >= 0]
                if len(mine):
                    found[name] = mine.astype(np.int64)
    return groups, between


def _number(path: Path, mesh: meshio.Mesh, body: str, group: str | int) -> int:
    if isinstance(group, int):
        return group
    if group not in mesh.field_data:
        raise MeshError(
            f"body {body!r}: {path} has no physical group {group!r}; expected one of {sorted(mesh.field_data)}"
        )
    return int(mesh.field_data[group][0])
