"""Coupled equilibria: against all atoms, from one solver to another, on any number of ranks; and what is refused."""

import numpy as np
import pytest
from bodies import STRETCHED, aluminium, plane, solid, toy
from mpi import run_mpi

from coupling.errors import HandshakeConvergenceError, MethodError, PartitionError
from coupling.handshake import METHODS, HandshakeOptions, Schwarz, alternate, make_method, solve
from coupling.zones import Hexagon

TIGHT = HandshakeOptions(tolerance=1e-9)


@pytest.fixture(scope="module")
def vacancy():
    return toy(degree=2)


@pytest.fixture(scope="module")
def all_atoms():
    """The same body with atoms everywhere but on its rim: nodes are sites."""
    model = toy(zone=Hexagon(layers=23), width=0.0, pad=2.0, outer=32.0)
    return model, solve(model, method="clamped", options=TIGHT).u


def error(model, u, reference):
    """Relative error of the bonds' changes over the whole body, but for those of the vacancy."""
    whole, exact = reference
    lattice = whole.partition.lattice
    sites = whole.partition.indices[whole.present]
    sites = sites[np.abs(np.column_stack([sites, sites.sum(axis=1)])).max(axis=1) < 23]
    differences = []
    for body, field in ((model.body, u), (whole.body, exact)):
        here = body.interpolation(lattice.places(sites)) @ field
        bonds = [body.interpolation(lattice.places(sites + np.array(bond))) @ field - here for bond in ((1, 0), (0, 1))]
        near = (sites == (-1, 0)).all(axis=1) | (sites == (0, -1)).all(axis=1)
        differences.append(np.concatenate(bonds)[~np.tile(near, 2)])
    return np.linalg.norm(differences[0] - differences[1]) / np.linalg.norm(differences[1])


@pytest.mark.parametrize(("name", "bound"), [("bgfc", 0.004), ("bqcf", 0.003), ("schwarz", 0.003), ("bqce", 0.1)])
def test_methods_against_all_atoms(name, bound, vacancy, all_atoms):
    assert error(vacancy, solve(vacancy, method=name, options=TIGHT).u, all_atoms) < bound


def test_blended_energies_without_correction_are_worse(vacancy, all_atoms):
    plain, corrected = (
        error(vacancy, solve(vacancy, method=name, options=TIGHT).u, all_atoms) for name in ("bqce", "bgfc")
    )
    assert plain > 10 * corrected


@pytest.mark.parametrize("name", ["bgfc", "bqcf", "schwarz"])
def test_solvers_agree(name, vacancy):
    found = [
        solve(vacancy, method=name, options=HandshakeOptions(tolerance=1e-9, solver=solver))
        for solver in ("newton", "newton-krylov", "anderson")
    ]
    for other in found[1:]:
        assert np.abs(other.u - found[0].u).max() < 1e-8
    assert found[0].iterations <= 6
    assert found[2].calls <= 15


def test_turns_and_monolithic_schwarz_agree(vacancy):
    method, together = Schwarz(vacancy), solve(vacancy, method="schwarz", options=TIGHT)
    counts = {}
    for acceleration in ("plain", "aitken", "anderson"):
        solution, turns = alternate(method, acceleration=acceleration, options=HandshakeOptions(tolerance=1e-8))
        assert np.abs(method.nodal(solution.u) - together.u).max() < 1e-7
        counts[acceleration] = solution.iterations
        assert 0.0 < turns.gap < 1e-3
    assert counts["anderson"] <= counts["aitken"] < counts["plain"]
    assert together.calls < 20


def test_a_vacancy_in_space_relaxes_inward():
    model = solid(core=6.5, absent=[[0, 0, 0]])
    u = solve(model, method="bgfc").u
    places = model.body.nodes
    first = np.flatnonzero(np.abs(np.linalg.norm(places, axis=1) - aluminium()[1].a / np.sqrt(2)) < 0.01)
    assert len(first) == 12
    radial = np.einsum("ij,ij->i", u[first], places[first]) / np.linalg.norm(places[first], axis=1)
    assert radial == pytest.approx(radial.mean(), rel=0.03)  # the tetrahedra are not cubic
    assert -0.1 < radial.mean() < -0.01


def test_the_same_on_one_two_and_three_ranks():
    script = """
    import sys; sys.path.insert(0, "tests/coupling/handshake")
    import numpy as np
    from mpi4py import MPI
    from bodies import plane
    from coupling.handshake import HandshakeOptions, solve
    model = plane(absent=[[0, 0]], far=np.diag([1.0, 1.01, 1.0]))
    for name in ("bgfc", "bqcf"):
        u = solve(model, method=name, options=HandshakeOptions(tolerance=1e-9)).u
        assert np.ptp(MPI.COMM_WORLD.allgather(float(np.sum(u**2)))) == 0.0
        if MPI.COMM_WORLD.rank == 0:
            print("norm", repr(float(np.linalg.norm(u))))
    """
    printed = [
        [float(line.split()[1]) for line in run_mpi(n, script).stdout.splitlines() if "norm" in line] for n in (1, 2, 3)
    ]
    assert len(printed[0]) == 2
    assert printed[1] == pytest.approx(printed[0], rel=1e-8)
    assert printed[2] == pytest.approx(printed[0], rel=1e-8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"core": 20.0}, "touches the boundary|outside the body"),
        ({"width": 0.5}, "make it at least"),
        ({"outer": 9.0}, "outside the body|touches"),
        ({"absent": ((6, 0),)}, "outside the core"),
        ({"absent": ((90, 0),)}, "no such sites"),
        ({"pad": np.nan}, "expected a finite length"),
        ({"far": -np.eye(2)[::-1]}, "positive determinant|determinant"),
    ],
)
def test_set_ups_that_are_refused(options, message):
    with pytest.raises(PartitionError, match=message):
        toy(**options)


def test_a_mesh_too_coarse_in_the_blend_is_refused():
    coarse = toy(core=3.0, width=2.0).body.mesh
    with pytest.raises(PartitionError, match="too coarse in the blend"):
        toy(core=5.0, width=4.0, mesh=coarse)


def test_methods_and_solvers_that_do_not_exist(vacancy):
    with pytest.raises(MethodError, match="bgfc, bqcf"):
        make_method("fancy", vacancy)
    with pytest.raises(MethodError, match="newton-krylov"):
        HandshakeOptions(solver="magic")
    with pytest.raises(MethodError, match="positive force"):
        HandshakeOptions(tolerance=-1.0)
    with pytest.raises(MethodError, match="finite displacements"):
        solve(vacancy, start=np.full(vacancy.shape, np.nan))


def test_an_energy_method_of_a_potential_without_site_energies_says_what_to_use(vacancy):
    class ForcesOnly:
        weighted, name = False, "snap-ni"

    model = toy()
    model.__dict__["atoms"] = ForcesOnly()
    for name in ("bgfc", "bqce"):
        with pytest.raises(MethodError, match=r"snap-ni.*bqcf or schwarz"):
            make_method(name, model)


def test_a_failed_search_keeps_its_state(vacancy):
    with pytest.raises(HandshakeConvergenceError, match="after 4 potential calls") as caught:
        solve(vacancy, method="bqcf", options=HandshakeOptions(tolerance=1e-9, max_iterations=3))
    assert caught.value.solution.u.shape == vacancy.shape
    assert caught.value.solution.residual > 1e-9


def test_wider_pads_change_nothing_beyond_the_cutoff():
    found = [solve(plane(absent=[[0, 0]], pad=pad), method="bgfc", options=TIGHT).u for pad in (6.8, 9.0)]
    assert np.abs(found[0] - found[1]).max() < 1e-9


def test_every_method_is_in_the_table():
    assert set(METHODS) >= {"bgfc", "bqcf", "schwarz", "bqce", "qce", "clamped"}
    assert STRETCHED.shape == (2, 2)
