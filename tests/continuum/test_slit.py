"""Meshes with a slit: joined ahead of the tip, two free faces behind it, and what finite elements make of them."""

import meshio
import numpy as np
import pytest
from cracked_bodies import LATTICE, MODULUS, ORIGIN, SPACING, YOUNG, cracked, cut_mesh, pull
from hyperelastic_bodies import make

from continuum.body_output import write_body
from continuum.crack_bodies import CentreCrack, Disc, EdgeCrack
from continuum.errors import MeshError
from continuum.mesh import graded_mesh, node_sides, open_slit

DISC = Disc(radius=300.0)


def nowhere(x):
    return np.zeros(len(x), dtype=bool)


def whole_line(x):
    return np.ones(len(x), dtype=bool)


def interface_mesh(radius=8.0):
    return graded_mesh(
        basis=LATTICE,
        origin=ORIGIN,
        distance=lambda x: np.linalg.norm(x, axis=1) - radius,
        domain=DISC.corners,
        interface=0.0,
    )


def test_the_faces_meet_at_the_tip_and_gape_at_the_mouth():
    mesh = cut_mesh(DISC)
    assert mesh.interface is None
    facets, counts = mesh.facets()
    assert counts.max() == 2
    alone = {tuple(f) for f in facets[counts == 1].tolist()}
    faces = {tuple(f) for f in np.sort(mesh.slit.reshape(-1, 2), axis=1).tolist()}
    assert faces <= alone  # the slit's facets have one cell each
    assert all(mesh.boundary[list(f)].all() for f in alone - faces)  # and so have only those of the outer boundary
    # Facing ends lie in one place; they are one node at the tip alone.
    lower, upper = mesh.slit[:, 0], mesh.slit[:, 1]
    assert np.array_equal(mesh.points[lower], mesh.points[upper])
    same = lower == upper
    assert same.sum() == 1
    assert same[-1, 1]
    # The line's nodes lie midway between facing sites, and here one of them at the origin.
    assert mesh.points[lower[-1, 1]] == pytest.approx([0.0, 0.0], abs=1e-12)
    assert (mesh.points[lower].mean(axis=1)[:, 0] < 0.0).all()
    assert mesh.boundary[[lower[0, 0], upper[0, 0]]].all()
    assert not mesh.boundary[np.setdiff1d(mesh.slit, [lower[0, 0], upper[0, 0]])].any()
    on_line = np.flatnonzero(np.abs(mesh.points[:, 1]) < 1e-9)
    assert np.array_equal(mesh.seam, on_line)


def test_nothing_is_lost_by_joining():
    before = interface_mesh()
    mesh = open_slit(before, open=nowhere)
    facets = len(before.interface)
    assert len(mesh.points) == len(before.points) - facets - 1
    assert len(mesh.slit) == 0
    assert len(mesh.seam) == facets + 1
    assert np.array_equal(mesh.points[mesh.cells], before.points[before.cells])
    assert not mesh.boundary[mesh.seam[1:-1]].any()
    assert mesh.boundary[mesh.seam[[0, -1]]].all()
    # Two bodies that nothing ties: the mesh as it was.
    apart = open_slit(before, open=whole_line)
    assert np.array_equal(apart.slit, before.interface)
    assert np.array_equal(apart.points, before.points)
    assert apart.interface is None


@pytest.mark.parametrize("degree", [1, 2])
def test_patch_test_of_a_joined_line(degree):
    """An affine displacement leaves no force inside: the line is as good as not there."""
    body, side = cracked(DISC, degree=degree, is_open=nowhere)
    u = body.nodes @ np.array([[0.01, 0.02, -0.01], [0.003, -0.01, 0.02]])
    force = body.gradient(u)[~body.boundary]
    # Rounding of stress times area, where the largest elements are 100 Å across.
    assert abs(force).max() < 1e-12 * MODULUS * body.volumes.max()
    assert np.array_equal(side == 0, np.abs(body.nodes[:, 1]) < 1e-9)
    assert np.ptp(body.cell_stresses(u), axis=0).max() < 1e-12


@pytest.mark.parametrize("degree", [1, 2])
def test_a_crack_does_not_feel_tension_along_itself(degree):
    """σ_yy = σ_xy = σ_yz = 0 on the faces: the uniform state is in equilibrium with them free."""
    body, _ = cracked(DISC, degree=degree)
    across = -0.3 / (1.0 - 0.3)  # ν/(1 − ν) of plane strain
    u = 0.01 * body.nodes @ np.array([[1.0, 0.0, 0.0], [0.0, across, 0.0]])
    assert abs(body.gradient(u)[~body.boundary]).max() < 1e-12 * MODULUS * body.volumes.max()
    stress = body.cell_stresses(u)
    # E/(1 − ν²): plane strain.
    assert stress[:, 0, 0] == pytest.approx(0.01 * YOUNG / (1.0 - 0.09), rel=1e-9)


def test_boundary_of_a_quadratic_body_leaves_the_faces_free():
    body, side = cracked(DISC)
    held = DISC.held(body.nodes, side)[:, 0]
    assert np.array_equal(body.boundary, held)
    on_faces = (np.abs(body.nodes[:, 1]) < 1e-9) & (side != 0)
    assert on_faces.sum() > 20
    assert (body.boundary & on_faces).sum() == 2  # the two nodes of the mouth
    # Mid-side nodes of the faces are two each, too.
    middle = np.arange(body.size) >= len(body.mesh.points)
    below = body.nodes[on_faces & middle & (side < 0)]
    above = body.nodes[on_faces & middle & (side > 0)]
    assert len(below) > 5
    assert np.array_equal(np.sort(below[:, 0]), np.sort(above[:, 0]))


def test_sides():
    body, side = cracked(DISC)
    off = np.abs(body.nodes[:, 1]) > 1e-9
    assert np.array_equal(side[off], np.sign(body.nodes[off, 1]))
    ahead = ~off & (body.nodes[:, 0] > 0.5 * SPACING)
    assert not side[ahead].any()
    assert (side[body.mesh.slit[:-1, 0]] == -1).all()
    assert (side[body.mesh.slit[:-1, 1]] == 1).all()
    # An interface has two sides all along.
    whole = interface_mesh()
    assert (node_sides(whole)[whole.interface[:, 1]] == 1).all()
    assert (node_sides(whole)[whole.interface[:, 0]] == -1).all()


def test_opening_of_a_central_crack():
    """An ellipse 4σa/E' · V wide (Tada, Paris and Irwin 2000, section 2.1: V to 0.6%); 1.5% for the shape's finite width."""
    shape = CentreCrack(width=2000.0, height=4000.0, crack=200.0)
    body, u, held = pull(shape, slope=0.25)
    reaction = np.where(held, body.gradient(u), 0.0)
    stress = reaction[body.nodes[:, 1] > 0.0, 1].sum() / (body.thickness * shape.width)
    share = 0.2
    factor = -0.071 - 0.535 * share + 0.169 * share**2 + 0.02 * share**3 - 1.071 / share * np.log(1.0 - share)
    lower, upper = body.mesh.slit[:, 0, 0], body.mesh.slit[:, 1, 0]
    along = (body.mesh.points[lower, 0] + shape.crack) / shape.crack
    inside = np.abs(along) < 0.9
    ellipse = 4.0 * stress * shape.crack / MODULUS * factor * np.sqrt(1.0 - along[inside] ** 2)
    opening = (u[upper] - u[lower])[inside]
    assert opening[:, 1] == pytest.approx(ellipse, rel=0.015)
    assert abs(opening[:, [0, 2]]).max() < 1e-3 * ellipse.max()  # the mesh is no mirror image of itself


def test_a_micrometre_in_a_few_thousand_nodes():
    """From 2.5 Å at the tip to a disc of radius 1 µm, quadratic outside the lattice-fine part."""
    shape = Disc(radius=1.0e4)
    body, _ = cracked(shape, slope=0.5, radius=20.0)
    assert body.size < 3500
    angle = 2.0 * np.pi / shape.sides
    assert body.volumes.sum() == pytest.approx(0.5 * shape.sides * np.sin(angle) * 1e8 * body.thickness, rel=1e-12)
    # Coarse triangles between the line and the lattice's rows are the worst.
    assert body.mesh.quality().min() > 0.2


def test_file_of_a_slit_body(tmp_path):
    """Both faces have points of their own, and the file's displacements gape."""
    body, side = cracked(DISC)
    u = 0.5 * side[:, None] * np.array([0.0, 1.0, 0.0])
    read = meshio.read(write_body(tmp_path / "slit.vtu", body, u))
    assert np.array_equal(read.points[: body.size, :2], body.nodes)
    assert sum(len(block.data) for block in read.cells) == len(body.cells)
    given = read.point_data["displacement"][: body.size]
    assert np.array_equal(given, u)
    places = np.flatnonzero((np.abs(body.nodes[:, 1]) < 1e-9) & (side > 0))
    assert given[places, 1] == pytest.approx(0.5)


def test_refusals():
    with pytest.raises(MeshError, match="without an interface"):
        open_slit(cut_mesh(DISC), open=whole_line)
    with pytest.raises(MeshError, match="a boolean for each"):
        open_slit(interface_mesh(), open=lambda x: np.ones(3, dtype=bool))
    with pytest.raises(MeshError, match="single facet"):
        open_slit(interface_mesh(), open=lambda x: np.abs(x - x[len(x) // 2]) < 1e-6)
    with pytest.raises(MeshError, match="without a slit"):
        node_sides(make("flat P1").mesh)


def test_one_facet_opens_at_the_edge():
    """Its node on the outer boundary is doubled."""
    edge = EdgeCrack(width=200.0, height=200.0, crack=100.0)
    mesh = cut_mesh(edge, is_open=lambda x: x == x.min())
    assert len(mesh.slit) == 1
    assert mesh.slit[0, 0, 0] != mesh.slit[0, 1, 0]
    assert mesh.slit[0, 0, 1] == mesh.slit[0, 1, 1]
