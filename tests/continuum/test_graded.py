"""Plane meshes: the lattice itself in the zone, conforming and well-shaped everywhere, interfaces with doubled nodes."""

import numpy as np
import pytest

from continuum.errors import MeshError
from continuum.mesh import Growth, graded_mesh, triangulate

EQUILATERAL = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
FCC = np.array([[2.86, 0.0], [0.95, 2.34]])  # about {111} rows seen along <110>: at 68 degrees
SQUARE = 2.0 * np.eye(2)
BOX = np.array([[-60.0, -50.0], [70.0, -50.0], [70.0, 50.0], [-60.0, 50.0]])


def disc(radius):
    return lambda x: np.linalg.norm(x, axis=1) - radius


def hexagon(radius):
    angle = np.arange(6) * np.pi / 3
    return radius * np.column_stack([np.cos(angle), np.sin(angle)])


def check_conforming(mesh):
    """Every facet has one or two cells; those with one lie on the boundary or on the interface."""
    facets, counts = mesh.facets()
    assert counts.max() == 2
    alone = facets[counts == 1]
    on = mesh.boundary.copy()
    if mesh.interface is not None:
        on[mesh.interface.ravel()] = True
    assert on[alone].all()
    assert (mesh.volumes() > 0.0).all()


def cells_of(mesh, basis, origin=(0.0, 0.0)):
    """Each cell as the set of its corners' lattice indices, None where a corner is no site."""
    index = (mesh.points - origin) @ np.linalg.inv(basis)
    rounded = np.rint(index).astype(int)
    site = np.abs(index - rounded).max(axis=1) < 1e-9
    return rounded, site


@pytest.mark.parametrize("basis", [EQUILATERAL, FCC, SQUARE], ids=["equilateral", "fcc", "square"])
def test_the_zone_is_the_lattice(basis):
    radius, origin = 14.0, np.array([0.3, -0.2])
    mesh = graded_mesh(basis=basis, origin=origin, distance=disc(radius), domain=BOX)
    index, site = cells_of(mesh, basis, origin)
    grid = np.stack(np.meshgrid(np.arange(-40, 41), np.arange(-40, 41), indexing="ij"), axis=-1).reshape(-1, 2)
    wanted = grid[np.linalg.norm(origin + grid @ basis, axis=1) <= radius]
    found = {tuple(i) for i in index[site].tolist()}
    assert {tuple(i) for i in wanted.tolist()} <= found
    # Around each site of the zone the same six triangles, each as large as half a primitive cell.
    fine = site & (np.linalg.norm(mesh.points, axis=1) <= radius)
    around = {}
    for cell in mesh.cells:
        for corner in cell[fine[cell]]:
            around.setdefault(int(corner), set()).add(frozenset(map(tuple, (index[cell] - index[corner]).tolist())))
    patterns = {frozenset(p) for p in around.values()}
    assert len(patterns) == 1
    assert len(next(iter(patterns))) == 6
    touching = fine[mesh.cells].any(axis=1)
    assert mesh.volumes()[touching] == pytest.approx(0.5 * abs(np.linalg.det(basis)), rel=1e-9)
    check_conforming(mesh)
    assert mesh.volumes().sum() == pytest.approx(130.0 * 100.0, rel=1e-12)
    assert mesh.quality().min() > 0.35


def test_a_domain_of_thousands_of_layers_stays_small():
    mesh = graded_mesh(basis=EQUILATERAL, distance=disc(12.0), domain=hexagon(5000.0))
    assert len(mesh.points) < 2000
    assert mesh.volumes().sum() == pytest.approx(1.5 * np.sqrt(3.0) * 5000.0**2, rel=1e-12)
    assert mesh.quality().min() > 0.5
    check_conforming(mesh)
    assert mesh.boundary.sum() == (np.abs(np.linalg.norm(mesh.points, axis=1)) > 4000.0).sum()


def test_sizes_follow_the_growth():
    growth = Growth(radius=10.0, exponent=1.5, slope=0.3, largest=16.0)
    mesh = graded_mesh(basis=EQUILATERAL, distance=disc(10.0), domain=hexagon(300.0), growth=growth)
    away = np.linalg.norm(mesh.points[mesh.cells].mean(axis=1), axis=1)
    size = np.sqrt(mesh.volumes() / np.sqrt(3.0) * 4.0)
    middle = (away > 15.0) & (away < 250.0)
    ratio = size[middle] / growth.size(away[middle] - 10.0, spacing=1.0, radius=10.0)
    # Powers of two are within a factor √2 of the wanted size; cells between two levels a little more.
    assert np.percentile(ratio, [5, 95]) == pytest.approx([1.0, 1.0], abs=0.5)
    assert abs(np.log(ratio).mean()) < 0.15
    assert size[middle].max() < 1.2 * 16.0
    finer = graded_mesh(
        basis=EQUILATERAL,
        distance=disc(10.0),
        domain=hexagon(300.0),
        growth=Growth(radius=10.0, slope=0.15, largest=16.0),
    )
    assert len(finer.points) > 1.1 * len(mesh.points)


def test_growth_is_a_power_and_then_a_line():
    growth = Growth(exponent=2.0, slope=0.5)
    d = np.array([0.0, 5.0, 15.0, 25.0])
    # h = (1 + d/10)² has slope (1 + d/10)/5, which reaches 1/2 at d = 15, where h = 6.25.
    assert growth.size(d, spacing=1.0, radius=10.0) == pytest.approx([1.0, 2.25, 6.25, 11.25])
    assert growth.size(d, spacing=1.0, radius=1.0) == pytest.approx(1.0 + 0.5 * d)


def test_a_whole_lattice_in_a_hexagon():
    # Sides along lattice rows: the boundary's nodes are sites too, 3K(K + 1) + 1 of them in all.
    mesh = graded_mesh(basis=EQUILATERAL, distance=disc(1e3), domain=hexagon(9.0))
    _, site = cells_of(mesh, EQUILATERAL)
    assert site.all()
    assert len(mesh.points) == 3 * 9 * 10 + 1
    assert mesh.boundary.sum() == 6 * 9
    assert mesh.quality() == pytest.approx(1.0)


@pytest.mark.parametrize("basis", [EQUILATERAL, FCC], ids=["equilateral", "fcc"])
def test_interface_rows_own_their_half_strip(basis):
    row = basis[1, 1]
    y = 0.5 * row
    mesh = graded_mesh(basis=basis, distance=disc(18.0), domain=BOX, interface=y)
    check_conforming(mesh)
    assert mesh.volumes().sum() == pytest.approx(130.0 * 100.0, rel=1e-12)
    below, above = mesh.interface[:, 0], mesh.interface[:, 1]
    assert np.array_equal(mesh.points[below], mesh.points[above])
    assert mesh.points[below][..., 1] == pytest.approx(y)
    assert not set(below.ravel()) & set(above.ravel())
    left, right = mesh.points[below][:, 0, 0], mesh.points[below][:, 1, 0]
    assert (right > left).all()
    assert left[1:] == pytest.approx(right[:-1])
    # No cell has corners on both sides.
    upper = np.zeros(len(mesh.points), dtype=bool)
    upper[above.ravel()] = True
    upper |= mesh.points[:, 1] > y + 1e-6
    assert set(upper[mesh.cells].sum(axis=1)) == {0, 3}
    # Cells shared out evenly among their corners that are sites: each fine site has its own area, half strips included.
    on_line = np.abs(mesh.points[:, 1] - y) < 1e-9
    _, site = cells_of(mesh, basis)
    site &= ~on_line
    counts = site[mesh.cells].sum(axis=1)
    share = np.where(site[mesh.cells], (mesh.volumes() / np.maximum(counts, 1))[:, None], 0.0)
    area = np.bincount(mesh.cells.ravel(), share.ravel(), minlength=len(mesh.points))
    near = site & (np.linalg.norm(mesh.points, axis=1) < 15.0)
    next_to = near & (np.abs(mesh.points[:, 1] - y) < 0.6 * row)
    assert next_to.sum() > 15
    assert area[near] == pytest.approx(abs(np.linalg.det(basis)), rel=1e-9)
    fine = np.linalg.norm(0.5 * (mesh.points[below][:, 0] + mesh.points[below][:, 1]), axis=1) < 15.0
    assert (right - left)[fine] == pytest.approx(basis[0, 0])
    assert len(left) < 0.75 * 130.0 / basis[0, 0]
    # Where short vectors between both rows cross it, to the right or to the left of their middle.
    nodes = 2.0 * left[fine] / basis[0, 0] - basis[1, 0] / basis[0, 0]
    assert nodes == pytest.approx(np.rint(nodes), abs=1e-9)
    # The ends of the line are on the boundary; its inside is not.
    assert mesh.boundary[below[[0, -1], [0, 1]]].all()
    assert not mesh.boundary[below[1:, 0]].any()


def test_a_band_along_the_interface_of_a_wide_body():
    row = FCC[1, 1]
    mesh = graded_mesh(
        basis=FCC, distance=lambda x: np.abs(x[:, 1]) - 12.0, domain=BOX, interface=-0.5 * row, growth=Growth(slope=0.4)
    )
    check_conforming(mesh)
    lengths = np.diff(mesh.points[mesh.interface[:, 0]][..., 0], axis=1)
    assert lengths[1:-1] == pytest.approx(FCC[0, 0])


def test_meshes_that_do_not_match_the_lattice():
    other = graded_mesh(basis=1.3 * EQUILATERAL, origin=[0.4, 0.1], distance=disc(8.0), domain=hexagon(40.0))
    check_conforming(other)
    _, site = cells_of(other, EQUILATERAL)
    assert site.mean() < 0.1


def test_triangulation_of_a_square_lattice_is_the_same_everywhere():
    points = np.stack(np.meshgrid(np.arange(6.0), np.arange(5.0), indexing="ij"), axis=-1).reshape(-1, 2)
    cells = triangulate(points, np.eye(2))
    assert len(cells) == 2 * 5 * 4
    steps = points[cells] - points[cells].min(axis=1, keepdims=True)
    patterns = {tuple(sorted(map(tuple, s.tolist()))) for s in steps}
    assert len(patterns) == 2
    assert np.array_equal(cells, triangulate(points, np.eye(2)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"basis": np.ones((2, 2))}, "expected 2 or 3 independent lattice vectors"),
        ({"domain": BOX[::-1]}, "counter-clockwise"),
        ({"origin": [0.0]}, "expected 2 coordinates"),
        ({"interface": 0.0}, "expected midway, "),
        ({"interface": 60.3 * FCC[1, 1] + 0.2 * FCC[1, 1]}, "inside the domain"),
        ({"basis": FCC @ np.array([[0.8, 0.6], [-0.6, 0.8]]), "interface": 0.0}, "turn the crystal"),
    ],
)
def test_mistakes(change, message):
    given = {"basis": FCC, "distance": disc(10.0), "domain": BOX, **change}
    with pytest.raises(MeshError, match=message):
        graded_mesh(**given)


@pytest.mark.parametrize("change", [{"radius": 0.0}, {"exponent": 0.5}, {"slope": 2.0}, {"largest": -1.0}])
def test_growth_mistakes(change):
    with pytest.raises(MeshError, match=next(iter(change))):
        Growth(**change)


def test_nodes_in_one_place():
    with pytest.raises(MeshError, match="1 of 5 points in no triangle"):
        triangulate(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 1.0]]))
