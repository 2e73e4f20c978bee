"""Solid meshes: Freudenthal's tetrahedra in the zone, conforming and balanced around it."""

import numpy as np
import pytest

from continuum.errors import MeshError
from continuum.mesh import Growth, graded_mesh, obtuse_basis

FCC = 2.0 * np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
BCC = 1.5 * np.array([[-1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [1.0, 1.0, -1.0]])


def ball(radius, centre=(0.0, 0.0, 0.0)):
    return lambda x: np.linalg.norm(x - np.asarray(centre), axis=1) - radius


@pytest.mark.parametrize("basis", [np.eye(3), obtuse_basis(FCC), BCC, -FCC], ids=["sc", "fcc", "bcc", "left-handed"])
@pytest.mark.parametrize("low", [[-32, -32, -32], [-8, -40, -64]])
def test_conforming_and_lattice_fine(basis, low):
    radius = 5.0 * np.linalg.norm(basis[0])
    high = [32, 24, 64]
    mesh = graded_mesh(basis=basis, distance=ball(radius), domain=[low, high])
    facets, counts = mesh.facets()
    assert counts.max() == 2
    assert mesh.boundary[facets[counts == 1]].all()
    assert (mesh.volumes() > 0.0).all()
    cell = abs(np.linalg.det(basis))
    assert mesh.volumes().sum() == pytest.approx(cell * np.prod(np.subtract(high, low)), rel=1e-12)
    # Euler's number of a ball: no holes, no cells that touch where they should not.
    assert len(mesh.points) - len(mesh.edges()) + len(facets) - len(mesh.cells) == 1
    index = np.rint(mesh.points @ np.linalg.inv(basis)).astype(int)
    assert mesh.points == pytest.approx(index @ basis, abs=1e-9)
    grid = np.stack(np.meshgrid(*[np.arange(-8, 9)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    inside = np.all((grid >= low) & (grid <= high), axis=1) & (np.linalg.norm(grid @ basis, axis=1) <= radius)
    assert {tuple(i) for i in grid[inside].tolist()} <= {tuple(i) for i in index.tolist()}
    fine = (np.linalg.norm(mesh.points, axis=1) <= radius) & ~mesh.boundary
    assert set(np.bincount(mesh.cells.ravel(), minlength=len(mesh.points))[fine]) == {24}
    # Freudenthal's: every cell at a fine site is a path (0,0,0) -> (1,1,1), a sixth of a primitive cell.
    touching = fine[mesh.cells].any(axis=1)
    assert mesh.volumes()[touching] == pytest.approx(cell / 6.0, rel=1e-9)
    steps = index[mesh.cells[touching]]
    steps = steps - steps.min(axis=1, keepdims=True)
    assert set(map(tuple, np.sort(steps.sum(axis=2), axis=1).tolist())) == {(0, 1, 2, 3)}


def test_far_away_cells_grow_and_neighbours_differ_by_one_level():
    mesh = graded_mesh(
        basis=np.eye(3),
        distance=ball(4.0, (3.0, -5.0, 1.0)),
        domain=[[-128] * 3, [128] * 3],
        growth=Growth(largest=32.0),
    )
    assert len(mesh.points) < 8000
    size = np.cbrt(6.0 * mesh.volumes())
    assert size.max() == pytest.approx(32.0)
    # Leaves that touch differ by a factor two, and the centres of those with hanging nodes halve their edges.
    edges = mesh.edges()
    length = np.abs(mesh.points[edges[:, 0]] - mesh.points[edges[:, 1]]).max(axis=1)
    longest, shortest = np.zeros(len(mesh.points)), np.full(len(mesh.points), np.inf)
    for end in (0, 1):
        np.maximum.at(longest, edges[:, end], length)
        np.minimum.at(shortest, edges[:, end], length)
    assert (longest / shortest).max() <= 4.0
    assert mesh.quality().min() > 0.5


def test_a_thin_zone_is_not_missed_by_steep_growth():
    # A ball between lattice planes, far from every coarse cell's centre, in a mesh that coarsens as fast as it may.
    centre = np.array([5.1, 2.2, -3.3])
    for radius in (1.0, 2.5):
        mesh = graded_mesh(
            basis=np.eye(3),
            distance=ball(radius, centre),
            domain=[[-32] * 3, [32] * 3],
            growth=Growth(slope=1.0, radius=0.1),
        )
        fine = np.linalg.norm(mesh.points - centre, axis=1) <= radius
        grid = np.stack(np.meshgrid(*[np.arange(-10, 11)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        assert fine.sum() == (np.linalg.norm(grid - centre, axis=1) <= radius).sum() > 0
        assert set(np.bincount(mesh.cells.ravel(), minlength=len(mesh.points))[fine]) == {24}


def test_obtuse_bases():
    for basis in (FCC, BCC, np.eye(3), np.array([[1.0, 0.0, 0.0], [7.3, 1.0, 0.0], [-4.6, 9.2, 1.4]])):
        found = obtuse_basis(basis)
        base = np.concatenate([found, -found.sum(axis=0)[None]])
        assert np.triu(base @ base.T, 1).max() < 1e-9
        change = found @ np.linalg.inv(basis)
        assert change == pytest.approx(np.rint(change), abs=1e-9)
        assert abs(np.linalg.det(change)) == pytest.approx(1.0)
    # The cells of fcc are then the well-shaped ones.
    plain, best = (
        graded_mesh(basis=b, distance=ball(1e3), domain=[[0] * 3, [4] * 3]).quality() for b in (FCC, obtuse_basis(FCC))
    )
    assert plain.max() < 0.3
    assert best.min() > 0.75


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"domain": [[0, 0, 0], [8, 8, 0]]}, "lowest and highest lattice indices"),
        ({"domain": [[0, 0, 0], [8, 8, 8.5]]}, "lowest and highest lattice indices"),
        ({"interface": 1.0}, "expected a plane one"),
        ({"domain": [[0, 0, 0], [201, 201, 201]]}, "divisible by 1 only"),
    ],
)
def test_mistakes(change, message):
    with pytest.raises(MeshError, match=message):
        graded_mesh(**{"basis": np.eye(3), "distance": ball(2.0), "domain": [[0, 0, 0], [8, 8, 8]], **change})
