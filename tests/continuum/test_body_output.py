"""What a body writes is read back by meshio."""

import meshio
import numpy as np
import pytest
from hyperelastic_bodies import make, random

from continuum.body_output import write_body
from continuum.errors import BodyError


@pytest.mark.parametrize("kind", ["flat mixed", "plane P1", "solid mixed"])
def test_fields_on_disk(kind, tmp_path):
    body = make(kind)
    u = random(body)
    m, c = body.nodes.shape[1], body.components
    weights = np.arange(len(body.cells), dtype=float)
    path = write_body(
        tmp_path / "body.vtu",
        body,
        u,
        cell_data={"weight": weights, "stress": body.cell_stresses(u)},
        point_data={"number": np.arange(body.size, dtype=float)},
    )
    grid = meshio.read(path)
    position = np.zeros((body.size, 3))
    position[:, :c] = np.pad(body.nodes, ((0, 0), (0, c - m))) @ body.F0.T + u
    warped = grid.points + grid.point_data["displacement"]
    assert warped[: body.size] == pytest.approx(position, abs=1e-12)
    assert grid.point_data["number"][: body.size] == pytest.approx(np.arange(body.size))
    centres = {}
    for i, block in enumerate(grid.cells):
        places = grid.points[block.data[:, : m + 1], :m].mean(axis=1)
        for weight, place in zip(grid.cell_data["weight"][i], places, strict=True):
            centres[int(weight)] = place
        for k in range(m + 1, block.data.shape[1]):
            # VTK's mid-side nodes: 01, 12, 20, then 03, 13, 23.
            a, b = [(0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3)][k - m - 1]
            ends = grid.points[block.data[:, [a, b]]].mean(axis=1)
            assert grid.points[block.data[:, k]] == pytest.approx(ends, abs=1e-12)
    found = np.array([centres[i] for i in range(len(body.cells))])
    assert found == pytest.approx(body.mesh.points[body.cells].mean(axis=1), abs=1e-12)
    stress = np.concatenate(grid.cell_data["stress"]).reshape(-1, 3, 3)
    order = np.concatenate(grid.cell_data["weight"]).astype(int)
    assert stress[:, :c, :c] == pytest.approx(body.cell_stresses(u)[order])


def test_fields_that_do_not_fit(tmp_path):
    body = make("flat P1")
    u = random(body)
    for arguments in ({"cell_data": {"weight": np.ones(3)}}, {"point_data": {"number": np.ones(3)}}):
        with pytest.raises(BodyError, match="of 3 rows"):
            write_body(tmp_path / "body.vtu", body, u, **arguments)
    with pytest.raises(BodyError, match=r"ends in \.vtu"):
        write_body(tmp_path / "body.vtk", body, u)
