"""Bodies: patch test, derivatives against finite differences, orders of convergence, weights, transfer."""

import numpy as np
import pytest
from hyperelastic_bodies import BOX, EQUILATERAL, KINDS, LAW, make, random
from kirchhoff import Kirchhoff

from continuum.body import Body
from continuum.errors import BodyError, ContinuumError
from continuum.factorise import Factor
from continuum.mesh import Growth, SimplexMesh, graded_mesh
from tests.mpi import run_mpi


@pytest.mark.parametrize("kind", KINDS)
def test_homogeneous_deformation(kind):
    body = make(kind)
    m, c = body.nodes.shape[1], body.components
    shape = 0.02 * np.random.default_rng(7).normal(size=(c, m))
    u = body.nodes @ shape.T
    gradient = body.F0.copy()
    gradient[:, :m] += shape
    volume = 29.0 * 24.0 * 2.86 if m == 2 else 2.0 * 16**3
    assert body.volumes.sum() == pytest.approx(volume, rel=1e-12)
    assert body.point_volumes.sum() == pytest.approx(volume, rel=1e-12)
    assert body.gradients(u) == pytest.approx(np.broadcast_to(gradient, (len(body.cell_of_point), c, c)), abs=1e-12)
    density = body.material.energy(gradient[None])[0]
    assert body.energy(u) == pytest.approx(volume * density, rel=1e-12)
    assert body.cell_energies(u) == pytest.approx(body.volumes * density, rel=1e-9)
    stress = body.material.stress(gradient[None])[0]
    assert body.cell_stresses(u) == pytest.approx(np.broadcast_to(stress, (len(body.cells), c, c)), abs=1e-12)
    force = body.gradient(u)
    assert abs(force[~body.boundary]).max() < 1e-12
    assert abs(force[body.boundary]).max() > 1e-3
    # ΔE of the whole body from the forces on its boundary: ∂E/∂u · (S X) = V P : S.
    assert (force * u).sum() == pytest.approx(volume * (stress[:, :m] * shape).sum(), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives(kind):
    body = make(kind)
    u, v = random(body), random(body, 1.0, seed=1)
    weights = np.random.default_rng(2).random(len(body.cells))
    step = 1e-5
    ahead, behind = u + step * v, u - step * v
    slope = (body.energy(ahead, weights) - body.energy(behind, weights)) / (2.0 * step)
    force = body.gradient(u, weights)
    assert (force * v).sum() == pytest.approx(slope, rel=1e-6)
    assert abs(force.sum(axis=0)).max() < 1e-10
    change = (body.gradient(ahead, weights) - body.gradient(behind, weights)) / (2.0 * step)
    matrix = body.stiffness(u, weights)
    assert abs(matrix @ v.ravel() - change.ravel()).max() < 1e-7 * abs(change).max()
    assert abs(matrix - matrix.T).max() < 1e-12 * abs(matrix).max()


def test_rotation_leaves_energy_and_total_torque():
    body = make("flat mixed")
    u = random(body)
    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    place = body.nodes @ body.F0.T + u
    force = body.gradient(u)
    turned = place @ turn.T - body.nodes @ body.F0.T
    assert body.energy(turned) == pytest.approx(body.energy(u), rel=1e-12)
    assert body.gradient(turned) == pytest.approx(force @ turn.T, abs=1e-11)
    assert abs((place[:, 0] * force[:, 1] - place[:, 1] * force[:, 0]).sum()) < 1e-10


def test_weights_and_cells_that_do_not_count():
    body = make("flat mixed")
    u = random(body)
    weights = np.random.default_rng(5).random(len(body.cells))
    weights[::3] = 0.0
    energy = body.energy(u, weights)
    assert body.material.seen == (weights[body.cell_of_point] > 0.0).sum()
    assert energy == pytest.approx(weights @ body.cell_energies(u), rel=1e-12)
    # A core torn apart, where no material could be evaluated, is not looked at.
    core = np.linalg.norm(body.nodes[body.cells].mean(axis=1), axis=1) < 2.0
    weights = np.where(core, 0.0, 1.0)
    inner = np.setdiff1d(body.cells[core], body.cells[~core])
    u[inner] = np.nan
    assert np.isfinite(body.energy(u, weights))
    assert np.isfinite(body.stiffness(u, weights).data).all()
    assert np.all(body.gradient(u, weights)[inner] == 0.0)


def test_mid_side_nodes_stand_for_nothing_in_linear_cells():
    body = make("plane mixed")
    flat = np.linalg.norm(body.mesh.points[body.cells].mean(axis=1), axis=1) < 4.0
    assert 0 < flat.sum() < len(flat)
    assert np.array_equal(body.nodes[: len(body.mesh.points)], body.mesh.points)
    assert body.nodes[len(body.mesh.points) :] == pytest.approx(body.mesh.points[body.ends].mean(axis=1))
    edges = {tuple(sorted((int(c[i]), int(c[j])))) for c in body.cells[flat] for i, j in ((0, 1), (0, 2), (1, 2))}
    assert not edges & set(map(tuple, body.ends.tolist()))
    assert len(body.ends) + len(edges) == len(body.mesh.edges())
    # All flags on: the linear body again.
    u = random(make("plane P1"))
    whole = Body(
        body.mesh,
        material=Kirchhoff(),
        components=3,
        thickness=2.86,
        degree=2,
        linear=np.ones(len(flat), bool),
        F0=body.F0,
    )
    assert whole.energy(u) == pytest.approx(make("plane P1").energy(u), rel=1e-14)
    # Displacements are continuous: an edge between both kinds of cells is straight.
    field = random(body, 1.0)
    middle = body.mesh.points[np.array(sorted(edges))].mean(axis=1)
    ends = field[np.array(sorted(edges))].mean(axis=1)
    for shift in (1e-7, -1e-7):
        assert body.interpolation(middle + shift) @ field == pytest.approx(ends, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_interpolation(kind):
    body = make(kind)
    m = body.nodes.shape[1]
    rng = np.random.default_rng(4)
    places = (
        rng.dirichlet(np.ones(m + 1), 300)[:, :, None]
        * body.mesh.points[body.cells[rng.integers(len(body.cells), size=300)]]
    )
    places = places.sum(axis=1)
    operator = body.interpolation(places)
    assert operator @ np.ones(body.size) == pytest.approx(1.0, abs=1e-13)
    assert operator @ body.nodes == pytest.approx(places, abs=1e-11)
    if kind.endswith("P2"):
        quadratic = rng.normal(size=(m, m))
        square = np.einsum("ni,ij,nj->n", body.nodes, quadratic, body.nodes)
        assert operator @ square == pytest.approx(np.einsum("ni,ij,nj->n", places, quadratic, places), abs=1e-9)
    # At the nodes, boundary included: the node itself and nothing else.
    at_nodes = body.interpolation(body.nodes)
    assert abs(at_nodes - np.eye(body.size)).max() < 1e-9 if body.size < 3000 else at_nodes.nnz < 1.1 * body.size
    cell, shares = body.locate(places)
    assert np.einsum("pv,pvm->pm", shares, body.mesh.points[body.cells[cell]]) == pytest.approx(places, abs=1e-11)
    with pytest.raises(ContinuumError, match="outside"):
        body.interpolation(places + 1e3)
    function = body.function(random(body))
    assert len(function.x.array) >= body.size * body.components


def test_orders_of_convergence():
    """A manufactured nonlinear solution: gradients converge with h for linear and h² for quadratic elements."""
    material = Kirchhoff()

    def exact(x):
        return 0.3 * np.stack(
            [np.sin(0.35 * x[:, 0]) * np.cos(0.3 * x[:, 1]), 0.5 * np.cos(0.25 * x[:, 0] + 0.4 * x[:, 1])], axis=1
        )

    def slope(x):
        s = np.empty((len(x), 2, 2))
        for j in range(2):
            e = 1e-5 * np.eye(2)[j]
            s[:, :, j] = (exact(x + e) - exact(x - e)) / 2e-5
        return s

    def load(x):
        # ∇·P by differences.
        total = np.zeros((len(x), 2))
        for j in range(2):
            e = 1e-4 * np.eye(2)[j]
            p = [material.stress(np.eye(2) + slope(x + s * e))[:, :, j] for s in (1.0, -1.0)]
            total += (p[0] - p[1]) / 2e-4
        return total

    errors = {1: [], 2: []}
    sizes = [2.0, 1.0, 0.5]
    for h in sizes:
        for degree in (1, 2):
            mesh = graded_mesh(
                basis=h * EQUILATERAL, distance=lambda x: -np.ones(len(x)), domain=[[0, 0], [8, 0], [8, 6], [0, 6]]
            )
            body = Body(mesh, material=material, components=2, degree=degree)
            places = body.mesh.points[body.cells]
            # The dead load ∫ b·N with three points a cell.
            corner = np.full((3, 3), 1.0 / 6.0) + 0.5 * np.eye(3)
            points = np.einsum("qv,kvm->kqm", corner, places).reshape(-1, 2)
            weights = np.repeat(body.volumes / 3.0, 3)
            force = -body.interpolation(points).T @ (weights[:, None] * load(points))
            u = exact(body.nodes)
            free = np.repeat(~body.boundary, 2)
            for _ in range(12):
                residual = body.gradient(u) - force
                u = u - Factor(body.stiffness(u), free, symmetric=True).solve(residual)
                if abs(residual[~body.boundary]).max() < 1e-12:
                    break
            assert abs((body.gradient(u) - force)[~body.boundary]).max() < 1e-10
            fine = body.gradients(u) - np.eye(2)
            if degree == 1:
                # At three points a cell: the gradient is constant there, the solution's is not.
                at, fine, volumes = points, np.repeat(fine, 3, axis=0), weights
            else:
                at, volumes = _points(body), body.point_volumes
            errors[degree].append(np.sqrt(volumes @ ((fine - slope(at)) ** 2).sum(axis=(1, 2))))
    # Over both halvings; meshes with sides that lattice rows do not follow are not nested.
    rates = {d: 0.5 * np.log2(e[0] / e[-1]) for d, e in errors.items()}
    assert rates[1] == pytest.approx(1.0, abs=0.1)
    assert rates[2] == pytest.approx(2.0, abs=0.15)
    assert errors[2][-1] < 0.03 * errors[1][-1]


def _points(body):
    """Places of the quadrature points of quadratic elements: ∇(x²/2) = x, exactly."""
    square = 0.5 * body.nodes**2
    found = (body.operator @ square).reshape(-1, 2, 2)
    return np.stack([found[:, 0, 0], found[:, 1, 1]], axis=1)


def test_mistakes():
    body = make("flat P1")
    plain = {"material": Kirchhoff(), "components": 2}
    for change, message in (
        ({"degree": 3}, "degree = 3"),
        ({"components": 4}, "components = 4"),
        ({"thickness": -1.0}, "thickness = -1.0"),
        ({"F0": np.diag([1.0, -1.0])}, "positive determinant"),
        ({"linear": np.ones(3, dtype=bool), "degree": 2}, "one flag for each"),
        ({"law": LAW}, "a law but a mesh without interface"),
    ):
        with pytest.raises(BodyError, match=message):
            Body(body.mesh, **{**plain, **change})
    flipped = SimplexMesh(points=body.mesh.points, cells=body.cells[:, ::-1], boundary=body.mesh.boundary)
    with pytest.raises(BodyError, match="positively oriented"):
        Body(flipped, **plain)
    with pytest.raises(BodyError, match="displacements of shape"):
        body.energy(np.zeros((3, 2)))
    with pytest.raises(BodyError, match="weights of shape"):
        body.energy(np.zeros((body.size, 2)), np.ones(3))
    held = graded_mesh(basis=EQUILATERAL, distance=lambda x: x[:, 0], domain=BOX, interface=0.5 * EQUILATERAL[1, 1])
    with pytest.raises(BodyError, match="an interface in the mesh but no law"):
        Body(held, **plain)


def test_quadratic_bodies_are_far_better_than_linear_ones_outside_a_fine_zone():
    """The use they are made for: the same coarse mesh around a zone, a decaying field, three times the nodes."""
    mesh = graded_mesh(
        basis=EQUILATERAL,
        distance=lambda x: np.linalg.norm(x, axis=1) - 4.0,
        domain=4.0 * BOX,
        growth=Growth(slope=0.4),
    )
    radius = np.linalg.norm(mesh.points[mesh.cells].mean(axis=1), axis=1)

    def field(x):
        r = np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 3.0)
        return x / r**2

    rng = np.random.default_rng(0)
    places = rng.uniform(-40.0, 40.0, (4000, 2))
    places = places[np.linalg.norm(places, axis=1) > 8.0]
    error = []
    for degree in (1, 2):
        body = Body(mesh, material=Kirchhoff(), components=2, degree=degree, linear=radius < 4.0)
        error.append(np.abs(body.interpolation(places) @ field(body.nodes) - field(places)).mean())
    assert error[1] < 0.2 * error[0]


def test_a_body_is_the_same_to_the_last_bit_on_every_rank():
    script = """
    import sys
    sys.path.insert(0, "tests/continuum")
    from hyperelastic_bodies import make, random
    from mpi4py import MPI
    from continuum.factorise import Factor
    import numpy as np
    body = make("plane mixed")
    u = random(body)
    step = Factor(body.stiffness(u), np.repeat(~body.boundary, 3), symmetric=True).solve(body.gradient(u))
    seen = MPI.COMM_WORLD.gather((body.energy(u), step.tobytes()))
    if seen is not None:
        assert len(set(seen)) == 1
        print(float(body.energy(u)).hex(), float(abs(step).sum()).hex())
    """
    one, two = (run_mpi(n, script, timeout=60).stdout.splitlines()[-1] for n in (1, 2))
    assert one == two
