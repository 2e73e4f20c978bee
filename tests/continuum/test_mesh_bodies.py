"""Bodies in space: round inclusions, lines where three bodies meet, interfaces of two laws, files with named facets."""

import meshio
import numpy as np
import pytest
from joined_bodies import EDGE, pulled, spring, triple_line, with_inclusion
from mpi4py import MPI
from specimens import LAW, METAL

from continuum.errors import MeshError
from continuum.laws import ExponentialLaw
from continuum.mesh import CELLS, read_mesh, round_inclusion, split_bodies
from continuum.mesh.bodies import match_rows
from continuum.mesh.builtin import grid, on_plane
from continuum.solvers import SolverOptions, follow

COMM = MPI.COMM_WORLD
TIGHT = SolverOptions(rtol=1e-12)
YOUNG = 0.6
KINDS = ["triangle", "quadrilateral", "tetrahedron", "hexahedron"]


def test_rows_are_found():
    table = np.array([[3, 1], [0, 2], [3, 0]])
    rows = np.array([[3, 0], [1, 3], [0, 2], [3, 0]])
    assert match_rows(rows, table).tolist() == [2, -1, 1, 2]
    assert match_rows(rows[:0], table).tolist() == []
    assert match_rows(rows, table[:0]).tolist() == [-1] * 4


@pytest.mark.parametrize("cell", KINDS)
def test_interface_of_an_inclusion_is_round(cell):
    """Normals point outwards and close; area and volume converge with the square of the facets' length."""
    dim = CELLS[cell]
    area, volume = (6.0 * np.pi, 9.0 * np.pi) if dim == 2 else (36.0 * np.pi, 36.0 * np.pi)
    errors = []
    for facet_size in (1.2, 0.6):
        part = with_inclusion(cell, facet_size=facet_size).interfaces.parts[0]
        normal, centre = part.frames[:, :, 0], np.full(dim, EDGE / 2)
        out = part.places - centre
        assert np.einsum("fqi,fqi->fq", normal, out).min() > 0.9 * 3.0
        assert np.einsum("fq,fqi->i", part.weights, normal) == pytest.approx(np.zeros(dim), abs=1e-10)
        # The divergence theorem: ∮x·n = dim · volume.
        enclosed = np.einsum("fq,fqi,fqi->", part.weights, normal, out) / dim
        errors.append([1.0 - part.weights.sum() / area, 1.0 - enclosed / volume])
    assert (np.array(errors) > 0.0).all()
    # 8 and 16 facets to a great circle in space (quarter circles of 4 and 8 edges): the square gives 0.25.
    assert np.divide(errors[1], errors[0]) == pytest.approx([0.25, 0.25], abs=0.05)
    assert max(errors[1]) < 0.03


@pytest.mark.parametrize(("cell", "degree"), [("triangle", 2), ("hexahedron", 1), ("tetrahedron", 1)])
def test_inclusion_that_is_held_fast_is_not_there(cell, degree):
    """The same material inside and a stiff interface: uniaxial stress, up to the spring's own compliance."""
    solid = with_inclusion(cell, degree=degree, law=spring(1e4))
    step = follow(solid, [0.1])[0]
    face = EDGE ** (solid.dim - 1)
    young = METAL.plane_strain_modulus if solid.dim == 2 else YOUNG
    assert step.reaction == pytest.approx(face * young * 0.1 / EDGE, rel=1e-4)
    state = solid.interface_state("interface")
    # The normal traction is nᵀσn of that uniform stress, but for the corners between straight facets.
    part = solid.interfaces.parts[0]
    normal = part.frames[:, :, 0].reshape(-1, solid.dim)
    stress = np.zeros((solid.dim, solid.dim))
    stress[1, 1] = young * 0.1 / EDGE
    order = np.lexsort(np.round(part.places.reshape(-1, solid.dim), 6).T[::-1])
    expected = np.einsum("pi,ij,pj->p", normal, stress, normal)[order]
    mean = state.weights @ state.traction[:, 0] / state.weights.sum()
    assert mean == pytest.approx(state.weights @ expected / state.weights.sum(), rel=0.04)


def test_inclusion_that_does_not_fit():
    with pytest.raises(MeshError, match="inside a box"):
        round_inclusion(COMM, size=[10.0, 10.0], radius=5.0, facet_size=1.0)
    with pytest.raises(MeshError, match=r"facet_size = 0.*0 < facet_size <= radius"):
        round_inclusion(COMM, size=[10.0, 10.0], radius=3.0, facet_size=0.0)
    with pytest.raises(MeshError, match="3 finite lengths"):
        round_inclusion(COMM, size=[10.0, 10.0], radius=3.0, facet_size=1.0, cell="hexahedron")


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("cell", KINDS)
def test_three_bodies_meet_at_a_line(cell, degree):
    """Each pair of nodes belongs to the two bodies of its interface; uniform traction passes through the line."""
    bodies = triple_line(cell)
    assert set(bodies.interfaces) == {"base-west", "base-east", "west-east"}
    solid = pulled(bodies, degree=degree)
    body_of_node = np.full(solid.space.dofmap.index_map.size_local, -1)
    for body in range(3):
        body_of_node[solid.space.dofmap.list[bodies.body_of_cell == body].ravel()] = body
    for part in solid.interfaces.parts:
        names = [bodies.bodies.index(n) for n in part.name.split("-")]
        assert (body_of_node[part.nodes_1] == names[0]).all()
        assert (body_of_node[part.nodes_2] == names[1]).all()
    # Along the line itself three nodes share each place.
    where = solid.space.tabulate_dof_coordinates()[:, : solid.dim]
    line = np.flatnonzero(np.abs(where[:, :2] - EDGE / 2).max(axis=1) < 1e-9)
    along = {1: 1, 2: 1} if solid.dim == 2 else {1: 5, 2: 9}
    assert len(line) == 3 * along[degree]

    law = ExponentialLaw(**LAW)
    young = METAL.plane_strain_modulus if solid.dim == 2 else YOUNG

    def check(step):
        for name in ("base-west", "base-east"):
            state = solid.interface_state(name)
            assert np.ptp(state.opening[:, 0]) < 1e-10
            bulk = young * (step.load - state.opening[:, 0]) / EDGE
            assert state.traction[:, 0] == pytest.approx(bulk, abs=1e-9 * law.peak_traction)
            assert np.abs(state.traction[:, 1:]).max() < 1e-10
        assert np.abs(solid.interface_state("west-east").opening).max() < 1e-9

    steps = follow(solid, [0.3, 1.5], options=TIGHT, on_step=check)
    assert all(abs(s.closure) < 1e-9 * abs(s.energies.total) for s in steps)


def halves(cell, **options):
    dim = CELLS[cell]
    points, cells = grid([np.linspace(0.0, EDGE, 5)] * dim, cell)
    body = (points[cells].mean(axis=1)[:, 1] > EDGE / 2).astype(int)
    faces = {"left": 0, "right": 0, "bottom": 1, "top": 1, "back": 2, "front": 2}
    ends = {"left": 0.0, "bottom": 0.0, "back": 0.0}
    return split_bodies(
        COMM,
        points=points,
        cells=cells,
        cell=cell,
        body_of_cell=body,
        bodies=["lower", "upper"],
        groups={name: on_plane(axis, ends.get(name, EDGE)) for name, axis in faces.items() if axis < dim},
        **options,
    )


@pytest.mark.parametrize("cell", ["quadrilateral", "tetrahedron"])
def test_an_interface_with_a_weak_part(cell):
    bodies = halves(cell, parts={"weak": lambda m: m[:, 0] < EDGE / 2})
    assert list(bodies.interfaces) == ["weak", "interface"]
    strong = ExponentialLaw(**LAW)
    weak = ExponentialLaw(fracture_energy=0.5 * LAW["fracture_energy"], peak_traction=0.5 * LAW["peak_traction"])
    solid = pulled(bodies, law={"weak": weak, "interface": strong})
    step = follow(solid, [0.3], options=TIGHT)[0]
    states = [solid.interface_state(n) for n in ("weak", "interface")]
    areas = [s.weights.sum() for s in states]
    assert areas == pytest.approx([EDGE ** (solid.dim - 1) / 2] * 2, rel=1e-12)
    assert states[0].points[:, 0].max() < EDGE / 2 < states[1].points[:, 0].min()
    assert step.reaction == pytest.approx(sum(s.weights @ s.traction[:, 0] for s in states), rel=1e-9)
    assert states[0].damage.mean() > 1.5 * states[1].damage.mean()
    # The same with the interfaces named, the normal the other way round.
    named = halves(
        cell,
        parts={"weak": lambda m: m[:, 0] < EDGE / 2},
        interfaces={"weak": ("upper", "lower"), "rest": ("lower", "upper")},
    )
    other = pulled(named, law={"weak": weak, "rest": strong})
    assert follow(other, [0.3], options=TIGHT)[0].reaction == pytest.approx(step.reaction, rel=1e-9)
    assert other.interfaces.parts[0].frames[0, 0, 0, 1] == pytest.approx(-1.0)


def test_parts_that_do_not_fit():
    with pytest.raises(MeshError, match=r"'weak'.*between two bodies"):
        halves("quadrilateral", parts={"weak": lambda m: m[:, 0] < -1.0})
    with pytest.raises(MeshError, match=r"'weaker'.*no other part"):
        halves("quadrilateral", parts={"weak": lambda m: m[:, 0] < 5.0, "weaker": lambda m: m[:, 0] < 2.5})
    with pytest.raises(MeshError, match="touch but no interface names them"):
        halves("quadrilateral", parts={"weak": lambda m: m[:, 0] < 5.0}, interfaces={"weak": ("lower", "upper")})
    with pytest.raises(MeshError, match="share no facet that is left"):
        halves("quadrilateral", interfaces={"a": ("lower", "upper"), "b": ("lower", "upper")})


def write_gmsh(path, dim, order=1):
    """Two boxes one on the other by gmsh itself, the interface's left half a physical group called weak."""
    gmsh = pytest.importorskip("gmsh")
    gmsh.initialize()
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.option.setNumber("Mesh.MeshSizeMax", 0.4)
        occ, model = gmsh.model.occ, gmsh.model
        if dim == 2:
            boxes = [(2, occ.addRectangle(x, y, 0.0, 0.5, 1.0)) for y in (0.0, 1.0) for x in (0.0, 0.5)]
        else:
            boxes = [(3, occ.addBox(x, y, 0.0, 0.5, 1.0, 0.5)) for y in (0.0, 1.0) for x in (0.0, 0.5)]
        occ.fragment(boxes[:1], boxes[1:])
        occ.synchronize()
        places = {e: occ.getCenterOfMass(*e) for e in model.getEntities(dim) + model.getEntities(dim - 1)}
        below = [t for (d, t), c in places.items() if d == dim and c[1] < 1.0]
        above = [t for (d, t), c in places.items() if d == dim and c[1] > 1.0]
        model.addPhysicalGroup(dim, below, name="lower")
        model.addPhysicalGroup(dim, above, name="upper")
        faces = {
            "bottom": lambda c: c[1] < 1e-6,
            "top": lambda c: c[1] > 2.0 - 1e-6,
            "weak": lambda c: abs(c[1] - 1.0) < 1e-6 and c[0] < 0.5,
        }
        for name, rule in faces.items():
            tags = [t for (d, t), c in places.items() if d == dim - 1 and rule(c)]
            model.addPhysicalGroup(dim - 1, tags, name=name)
        model.mesh.generate(dim)
        model.mesh.setOrder(order)
        gmsh.write(str(path))
    finally:
        gmsh.finalize()


@pytest.mark.parametrize("dim", [2, 3])
def test_gmsh_names_a_part_of_the_interface(dim, tmp_path):
    path = tmp_path / "boxes.msh"
    write_gmsh(path, dim)
    bodies = read_mesh(path, COMM, bodies=["lower", "upper"], length_unit=10.0)
    assert list(bodies.interfaces) == ["weak", "interface"]
    assert set(bodies.groups) == {"bottom", "top"}
    solid = pulled(bodies, sideways=0.0)
    area = [p.weights.sum() for p in solid.interfaces.parts]
    assert area == pytest.approx([5.0 if dim == 2 else 25.0] * 2, rel=1e-9)
    step = follow(solid, [0.4], options=TIGHT)[0]
    assert abs(step.closure) < 1e-9 * step.energies.total
    # Named interfaces take only the groups that they name.
    whole = read_mesh(path, COMM, bodies=["lower", "upper"], interfaces={"joint": ("lower", "upper")})
    assert list(whole.interfaces) == ["joint"]
    assert len(whole.interfaces["joint"].side_1) == sum(len(i.side_1) for i in bodies.interfaces.values())


def test_second_order_cells_are_refused(tmp_path):
    path = tmp_path / "curved.msh"
    write_gmsh(path, 2, order=2)
    with pytest.raises(MeshError, match=r"triangle6.*gmsh -order 1"):
        read_mesh(path, COMM, bodies=["lower", "upper"])
    cells = [("tetra10", np.arange(10)[None])]
    mesh = meshio.Mesh(
        np.random.default_rng(0).normal(size=(10, 3)), cells, cell_data={"gmsh:physical": [np.array([1])]}
    )
    meshio.write(tmp_path / "one.vtu", mesh)
    with pytest.raises(MeshError, match="tetra10"):
        read_mesh(tmp_path / "one.vtu", COMM, bodies={"one": 1})
