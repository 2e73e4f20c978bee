"""Effective volumes: every piece of the body once, in two dimensions and three, on matching and other meshes."""

from itertools import permutations, product

import numpy as np
import pytest
from scipy.spatial import Delaunay, cKDTree

from continuum.mesh.graded import graded_mesh
from coupling.blending import blend
from coupling.errors import DoubleCountingError
from coupling.volumes import (
    VolumeAudit,
    audit_facets,
    clipped_volumes,
    shared_facets,
    shared_volumes,
    site_shares,
    wigner_seitz,
)
from coupling.zones import Ball, Band, Disc, Hexagon

TRIANGULAR = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
OBLIQUE = np.array([[1.0, 0.0], [0.3, 1.1]])
DOMAIN = np.array([[-40.0, -35.0], [45.0, -35.0], [45.0, 40.0], [-40.0, 40.0]])
AREA = 85.0 * 75.0


def sites(basis, reach):
    index = np.array(list(product(range(-reach, reach + 1), repeat=len(basis))))
    return index, index @ basis


def freudenthal(reach):
    """Indices (n, 3) of a block of sites and its tetrahedra, six to a cell."""
    side = 2 * reach + 1
    index, _ = sites(np.eye(3, dtype=int), reach)
    corner = index[(index < reach).all(axis=1)]
    paths = np.array([np.cumsum(np.eye(3, dtype=int)[list(p)], axis=0) for p in permutations(range(3))])
    paths = np.concatenate([np.zeros((6, 1, 3), dtype=int), paths], axis=1)
    nodes = corner[:, None, None] + paths + reach
    return index, (nodes @ [side**2, side, 1]).reshape(-1, 4)


def graded(basis, zone, width, *, interface=None, seed=0):
    """A graded mesh, its table of sites, the sites about the zone and their weights."""
    mesh = graded_mesh(
        basis=basis, distance=lambda x: zone.distance(x) - width - 1.3, domain=DOMAIN, interface=interface
    )
    index, places = sites(basis, 30)
    near = zone.distance(places) < width + 4
    beta = blend("quintic", zone.distance(places[near]), width, indices=index[near])
    gap, node = cKDTree(mesh.points).query(places[near])
    table = np.full(len(mesh.points), -1)
    table[node[gap < 1e-6]] = np.flatnonzero(gap < 1e-6)
    return mesh, table, places[near], 1 - beta


@pytest.mark.parametrize("basis", [TRIANGULAR, OBLIQUE])
@pytest.mark.parametrize(
    "zone", [Disc(center=(0.3, 0.2), radius=5), Hexagon(layers=5), Band(points=((-8, 0), (6, 2)), half_width=2)]
)
def test_matching_mesh(basis, zone):
    mesh, table, _, weights = graded(basis, zone, 4.0)
    cell = np.linalg.det(basis)
    volumes = 2.9 * mesh.volumes()
    effective = shared_volumes(mesh.cells, volumes, table, weights, site_volume=2.9 * cell)
    audit = VolumeAudit.of(
        atomistic=2.9 * cell * weights.sum(), effective=effective, volumes=volumes, expected=2.9 * AREA
    )
    assert audit.check() is audit
    assert audit.relative_error < 1e-13
    # All of the core is the atoms': some elements vanish, and far ones are whole.
    assert audit.lowest == 0
    assert audit.highest == 1


def test_matching_mesh_of_tetrahedra():
    index, cells = freudenthal(6)
    basis = 2.0 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    zone = Ball(center=(0.3, 0, 0), radius=5)
    weights = 1 - blend("cubic", zone.distance(index @ basis), 5.0)
    volumes = np.full(len(cells), 16 / 6)
    shares = site_shares(cells, volumes, np.arange(len(index)), len(index))
    assert shares[(np.abs(index) < 6).all(axis=1)] == pytest.approx(16, rel=1e-13)
    effective = shared_volumes(cells, volumes, np.arange(len(index)), weights, site_volume=16.0)
    VolumeAudit.of(atomistic=16 * weights.sum(), effective=effective, volumes=volumes).check()
    assert effective.min() == 0


@pytest.mark.parametrize("basis", [TRIANGULAR, OBLIQUE])
def test_any_mesh_is_cut_exactly(basis):
    rng = np.random.default_rng(5)
    # Small and large triangles at once: nodes crowd towards the middle.
    points = np.concatenate([DOMAIN, rng.normal(size=(300, 2)) * 6, rng.uniform(-34, 39, (60, 2))])
    cells = Delaunay(points).simplices
    zone = Disc(center=(0.37, 0.21), radius=6)
    _, places = sites(basis, 25)
    weights = 1 - blend("quintic", zone.distance(places), 5.0)
    effective = clipped_volumes(points, cells, places, weights, basis=basis, thickness=2.0)
    edges = points[cells][:, 1:] - points[cells][:, :1]
    volumes = np.abs(np.linalg.det(edges))  # ½ · thickness 2
    atomistic = 2 * abs(np.linalg.det(basis)) * weights.sum()
    audit = VolumeAudit.of(atomistic=atomistic, effective=effective, volumes=volumes, expected=2 * AREA).check()
    assert audit.relative_error < 1e-13
    # One element against points thrown into it; 4e5 of them know a mean to about 1e-3.
    cell = np.argmin(np.abs(effective / volumes - 0.5))
    share = rng.dirichlet([1, 1, 1], 400_000)
    _, nearest = cKDTree(places).query(share @ points[cells[cell]])
    assert 1 - weights[nearest].mean() == pytest.approx(effective[cell] / volumes[cell], abs=2e-3)


def test_far_from_the_origin_nothing_is_lost():
    far = np.array([3e5, -2e5])
    points = np.array([(-9.0, -8.0), (9.0, -8.0), (0.0, 12.0), (0.2, 0.1)]) + far
    cells = Delaunay(points - far).simplices
    index, places = sites(TRIANGULAR, 4)
    weights = np.where(np.abs(index).max(axis=1) <= 1, 0.7, 0.0)
    effective = clipped_volumes(points, cells, places + far, weights, basis=TRIANGULAR)
    near = clipped_volumes(points - far, cells, places, weights, basis=TRIANGULAR)
    # Coordinates of 3e5 Å are known to 6e-11 Å; times an element's side of some 20 Å.
    assert effective == pytest.approx(near, abs=3e-9)


def test_wigner_seitz_cells():
    hexagon = wigner_seitz(TRIANGULAR)
    assert len(hexagon) == 6
    assert np.linalg.norm(hexagon, axis=1) == pytest.approx(1 / np.sqrt(3))
    square = wigner_seitz([[3.0, 2.0], [1.0, 1.0]])  # a skew basis of the unit square lattice
    assert np.abs(np.unique(np.round(square, 12), axis=0)) == pytest.approx(0.5)


@pytest.mark.parametrize("basis", [TRIANGULAR, OBLIQUE])
@pytest.mark.parametrize(
    "zone", [Disc(center=(0.4, 0.3), radius=5), Band(points=((-6, 0.5), (5, 0.5)), half_width=1.2)]
)
def test_interface(basis, zone):
    middle = basis[1, 1] / 2
    mesh, table, places, weights = graded(basis, zone, 4.0, interface=middle)
    cell = np.linalg.det(basis)
    effective = shared_volumes(mesh.cells, mesh.volumes(), table, weights, site_volume=cell)
    volumes = mesh.volumes()
    VolumeAudit.of(atomistic=cell * weights.sum(), effective=effective, volumes=volumes, expected=AREA).check()
    given = (mesh.interface, mesh.cells, table, weights)
    beta = shared_facets(mesh.interface, mesh.cells, effective / volumes)
    audit = audit_facets(beta, *given, points=mesh.points, expected=85.0).check()
    assert audit.relative_error < 1e-14
    # The two rows beside the line, whatever the mesh.
    rows = np.abs(np.abs(places[:, 1] - middle) - middle) < 1e-6
    assert audit.atomistic == pytest.approx(0.5 * weights[rows].sum(), rel=1e-13)
    # A facet weighs nothing where no element beside it does, and everything where all of both do.
    for facet, share in zip(mesh.interface, beta, strict=True):
        beside = [np.flatnonzero(np.isin(mesh.cells, side).sum(axis=1) == 2)[0] for side in facet]
        assert share == pytest.approx((effective / volumes)[beside].mean(), abs=1e-12)
    # A tile that never crosses the line serves where cells are cut.
    corner = np.array([0.5, middle])
    tile = corner * [[-1, -1], [1, -1], [1, 1], [-1, 1]]
    cut = clipped_volumes(mesh.points, mesh.cells, places, weights, basis=basis, tile=tile)
    VolumeAudit.of(atomistic=cell * weights.sum(), effective=cut, volumes=volumes, expected=AREA).check()
    upper = mesh.points[mesh.cells].mean(axis=1)[:, 1] > middle
    above = places[:, 1] > middle
    assert cut[upper].sum() + cell * weights[above].sum() == pytest.approx(85 * (40 - middle), rel=1e-12)


def test_audits_see_mutations():
    mesh, table, _, weights = graded(TRIANGULAR, Disc(center=(0, 0), radius=5), 4.0)
    volumes, cell = mesh.volumes(), np.sqrt(0.75)
    effective = shared_volumes(mesh.cells, volumes, table, weights)
    dropped = weights.copy()
    dropped[np.argmax(weights)] = 0.0
    with pytest.raises(DoubleCountingError, match="not at all"):
        VolumeAudit.of(atomistic=cell * dropped.sum(), effective=effective, volumes=volumes).check()
    with pytest.raises(DoubleCountingError, match="more than once"):
        VolumeAudit.of(atomistic=cell * weights.sum(), effective=volumes, volumes=volumes).check()
    # A sign flipped in one element, the sum kept.
    wrong = effective.copy()
    a, b = np.argsort(effective)[-2:]
    wrong[a], wrong[b] = -wrong[a], wrong[b] + 2 * wrong[a]
    with pytest.raises(DoubleCountingError, match=f"element {a}"):
        VolumeAudit.of(atomistic=cell * weights.sum(), effective=wrong, volumes=volumes).check()
    with pytest.raises(DoubleCountingError, match="double counting"):
        VolumeAudit.of(atomistic=np.nan, effective=effective, volumes=volumes).check()
    # The mesh is too coarse for a wider blend: shares no longer are the sites' own volumes.
    with pytest.raises(DoubleCountingError, match="do not own their volume"):
        shared_volumes(mesh.cells, volumes, table, np.ones(len(weights)), site_volume=cell)
    # A zone that sticks out of the mesh.
    with pytest.raises(DoubleCountingError, match="within the mesh"):
        clipped_volumes(mesh.points, mesh.cells, [[45.0, 0.0]], [1.0], basis=TRIANGULAR)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: shared_volumes([[0, 1, 2]], [1.0], [0, 1, 1], [1.0, 1.0]), "two nodes"),
        (lambda: shared_volumes([[0, 1, 3]], [1.0], [0, 1, -1], [1.0, 1.0]), "name nodes"),
        (lambda: shared_volumes([[0, 1, 2]], [1.0], [0, 2, -1], [1.0, 1.0]), "there are 2 weights"),
        (lambda: shared_volumes([[0, 1, 2]], [0.0], [0, 1, -1], [1.0, 1.0]), "above zero"),
        (lambda: shared_volumes([[0, 1, 2]], [1.0], [0, 1, -1], [1.0, 1.1]), "between 0 and 1"),
        (lambda: shared_volumes([[0, 1, 2]], [1.0], [0, 1, -1], [1.0, np.nan]), "between 0 and 1"),
        (lambda: wigner_seitz([[1, 0], [2, 0]]), "independent"),
        (
            lambda: clipped_volumes(np.eye(3), [[0, 1, 2]], np.zeros((1, 2)), [1.0], basis=np.eye(2)),
            "two dimensions only",
        ),
        (
            lambda: clipped_volumes(
                DOMAIN, [[0, 1, 2]], np.zeros((1, 2)), [1.0], basis=np.eye(2), tile=[[0, 0], [1, 0], [0, 1]]
            ),
            "a tile of 0.5",
        ),
    ],
)
def test_mistakes(make, message):
    with pytest.raises(DoubleCountingError, match=message):
        make()
