"""Meshes: grading, imported files, mistakes."""

import meshio
import numpy as np
import pytest
from mpi4py import MPI
from specimens import LAW, METAL

from continuum.errors import MeshError
from continuum.laws import ExponentialLaw
from continuum.mesh import double_cantilever_beam, read_mesh, split_bodies
from continuum.mesh.grading import cells_between_rows, coarsen, graded_line
from continuum.solid import Solid
from continuum.solvers import SolverOptions, follow
from continuum.supports import Displacement

COMM = MPI.COMM_WORLD


def test_graded_line_is_fine_where_asked():
    line = graded_line(1000.0, 300.0, (290.0, 400.0), 2.0, 1.3, 50.0)
    gaps, middle = np.diff(line), 0.5 * (line[1:] + line[:-1])
    inside = (middle > 290.0) & (middle < 400.0)
    assert line[0] == 0.0
    assert line[-1] == 1000.0
    assert 300.0 in line
    assert gaps[inside] == pytest.approx(2.0, rel=1e-9)
    assert (gaps > 0.0).all()
    assert gaps.max() < 75.0
    assert (gaps[1:] / gaps[:-1]).max() < 1.3 * 1.25


def test_strip_between_rows_fills_its_area():
    below = np.linspace(0.0, 10.0, 41)
    above = coarsen(below, 1.1)
    assert set(above) <= set(below)
    cells = cells_between_rows(below, above, 0, len(below))
    points = np.concatenate([np.column_stack([below, 0 * below]), np.column_stack([above, 0 * above + 1.0])])
    a, b, c = (points[cells[:, i]] for i in range(3))
    area = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    assert (area > 0.0).all()
    assert area.sum() == pytest.approx(10.0, rel=1e-12)


def test_micrometre_beam_is_small():
    body = double_cantilever_beam(COMM, length=2e4, arm_height=2e3, initial_crack=6e3, fine_size=3.0, fine_to=8e3)
    assert body.mesh.topology.index_map(2).size_global < 20_000
    sides = body.interfaces["interface"]
    assert len(sides.side_1) == len(sides.side_2) > 660


def write_msh(path, kind):
    """Two squares (or cubes) of 1 nm, one above the other, with named physical groups."""
    n = 3
    x = np.linspace(0.0, 1.0, n)
    if kind == "quad":
        grid = np.array([[a, b, 0.0] for b in np.linspace(0.0, 2.0, 2 * n - 1) for a in x])
        cells = np.array(
            [[j * n + i, j * n + i + 1, (j + 1) * n + i + 1, (j + 1) * n + i] for j in range(4) for i in range(2)]
        )
        low = [[i, i + 1] for i in range(2)]
        high = [[4 * n + i, 4 * n + i + 1] for i in range(2)]
        side = [[j * n, (j + 1) * n] for j in range(4)]
        body = np.repeat([1, 2], 4)
        facets = ("line", np.array(low + high + side), np.array([3] * 2 + [4] * 2 + [5] * 4))
        fields = {"below": [1, 2], "above": [2, 2], "floor": [3, 1], "lid": [4, 1], "wall": [5, 1]}
    else:
        levels = np.linspace(0.0, 2.0, 3)
        grid = np.array([[a, b, c] for c in (0.0, 1.0) for b in levels for a in (0.0, 1.0)])
        cells = np.array([[0, 1, 3, 2, 6, 7, 9, 8], [2, 3, 5, 4, 8, 9, 11, 10]])
        body = np.array([1, 2])
        facets = ("quad", np.array([[0, 1, 7, 6], [4, 5, 11, 10], [0, 2, 8, 6], [2, 4, 10, 8]]), np.array([3, 4, 5, 5]))
        fields = {"below": [1, 3], "above": [2, 3], "floor": [3, 2], "lid": [4, 2], "wall": [5, 2]}
    mesh = meshio.Mesh(
        grid,
        [(kind, cells), (facets[0], facets[1])],
        cell_data={"gmsh:physical": [body, facets[2]], "gmsh:geometrical": [body, facets[2]]},
        field_data={k: np.array(v) for k, v in fields.items()},
    )
    meshio.write(path, mesh, file_format="gmsh22", binary=False)


@pytest.mark.parametrize("kind", ["quad", "hexahedron"])
def test_imported_mesh_opens_as_the_law_says(kind, tmp_path):
    path = tmp_path / "two.msh"
    write_msh(path, kind)
    bodies = read_mesh(
        path, COMM, bodies={"lower": "below", "upper": 2}, interfaces={"joint": ("lower", "upper")}, length_unit=10.0
    )
    law = ExponentialLaw(**LAW)
    dim = bodies.mesh.geometry.dim
    held = [Displacement(group=g, component=c) for g in ("floor", "lid") for c in ("x", "z")[: dim - 1]]
    solid = Solid(
        bodies,
        materials=dict.fromkeys(bodies.bodies, METAL),
        interfaces={"joint": law},
        supports=[
            *held,
            Displacement(group="floor", component="y"),
            Displacement(group="lid", component="y", factor=1.0),
        ],
    )
    step = follow(solid, [3.0], options=SolverOptions(rtol=1e-11))[0]
    state = solid.interface_state("joint")
    assert state.weights.sum() == pytest.approx(10.0 ** (dim - 1), rel=1e-12)
    assert step.reaction == pytest.approx(state.weights @ state.traction[:, 0], rel=1e-8)


def test_mistakes_in_files_are_named(tmp_path):
    path = tmp_path / "two.msh"
    write_msh(path, "quad")
    with pytest.raises(MeshError, match=r"gone\.msh: not found"):
        read_mesh(tmp_path / "gone.msh", COMM, bodies=["below"])
    with pytest.raises(MeshError, match=r"'belo'.*expected one of"):
        read_mesh(path, COMM, bodies=["belo"])
    with pytest.raises(MeshError, match="touch but no interface"):
        read_mesh(path, COMM, bodies=["below", "above"], interfaces={})
    assert list(read_mesh(path, COMM, bodies=["below", "above"]).interfaces) == ["interface"]
    with pytest.raises(MeshError, match=r"length_unit = 0"):
        read_mesh(path, COMM, bodies=["below"], length_unit=0)
    (tmp_path / "bad.msh").write_bytes(b"\x00\x01 no mesh")
    with pytest.raises(MeshError, match=r"bad\.msh"):
        read_mesh(tmp_path / "bad.msh", COMM, bodies=["below"])


def test_three_cells_at_a_facet_are_refused():
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.5, 0.9]])
    cells = np.array([[0, 1, 2], [1, 2, 3], [1, 2, 4]])
    with pytest.raises(MeshError, match="more than two cells"):
        split_bodies(
            COMM, points=points, cells=cells, cell="triangle", body_of_cell=np.zeros(3, dtype=int), bodies=["one"]
        )
