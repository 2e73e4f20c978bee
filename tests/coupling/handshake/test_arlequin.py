"""Arlequin on meshes that do not match the lattice: audit, invariance, what H¹ coupling is for, and all atoms beside it."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
from bodies import REST, STRETCHED, TOY, aluminium, plane, toy

from atomistic.cauchy_born import cauchy_born
from atomistic.lattice import bulk_lattice, plane_lattice, triangular_lattice
from atomistic.lattice_potentials import ToyEAM
from atomistic.site_energies import AtomCluster
from coupling.errors import DoubleCountingError, MethodError, PartitionError
from coupling.handshake import (
    METHODS,
    UNMATCHED_METHODS,
    HandshakeOptions,
    checks,
    couple_arlequin,
    make_method,
    solve,
)
from coupling.handshake.arlequin import Arlequin, _multipliers
from coupling.volumes import clipped_volumes
from coupling.zones import Disc, Hexagon

TIGHT = HandshakeOptions(tolerance=1e-9)
SHEARED = np.array([[1.01, 0.005], [0.01, 0.99]])
ANGLES = np.arange(6) * np.pi / 3
HEXAGON = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


def unmatched(*, spacing=1.5, core=4.0, width=5.0, outer=24.0, absent=((0, 0),), far=STRETCHED, zone=None, **options):
    """The model lattice with elements of another spacing, off the lattice."""
    return couple_arlequin(
        lattice=triangular_lattice(),
        make_atoms=TOY.cluster,
        material=TOY.cauchy_born(),
        zone=zone or Disc(center=(0.0, 0.0), radius=core),
        domain=outer * HEXAGON,
        width=width,
        spacing=spacing,
        absent=absent or None,
        far_field=far,
        **{"pad": 2.0, "interaction": 1.0, "offset": (0.3, 0.2), **options},
    )


def metal(*, spacing=1.5, absent=None, far=None, width=9.0, size=50.0, **options):
    """EAM aluminium; the spacing in lattice spacings."""
    potential, crystal, orientation = aluminium()
    lattice = plane_lattice(crystal, orientation)
    return couple_arlequin(
        lattice=lattice,
        make_atoms=lambda sites: AtomCluster(potential, symbols="Al", thickness=lattice.thickness),
        material=cauchy_born(potential, crystal, orientation),
        zone=Disc(center=(0.0, 0.0), radius=11.0),
        domain=[(-size, -size), (size, -size), (size, size), (-size, size)],
        width=width,
        pad=13.0,
        spacing=spacing * float(np.linalg.norm(lattice.basis, axis=1).min()),
        offset=(0.7, 0.4),
        interaction=potential.capabilities.cutoff,
        absent=absent,
        far_field=far,
        **options,
    )


@pytest.fixture(scope="module")
def perfect():
    return unmatched(absent=())


@pytest.fixture(scope="module")
def perfect_metal():
    return metal(far=np.diag([1.01, 1.01, 1.0]))


@pytest.mark.parametrize("spacing", [0.8, 1.0, 1.7, 2.5, 4.0])
@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.31, 0.17)])
def test_no_energy_is_counted_twice_on_any_mesh(spacing, offset):
    model = unmatched(absent=(), spacing=spacing, offset=offset)
    assert model.partition.audit.relative_error < 1e-12
    assert model.partition.cell_weights.min() == 0.0
    for deformation in (STRETCHED, SHEARED @ STRETCHED):
        assert checks.energy_defect(make_method("arlequin", model), deformation) < 1e-12


def test_energy_and_audit_in_aluminium(perfect_metal):
    assert perfect_metal.partition.audit.relative_error < 1e-12
    deformation = np.array([[1.01, 0.005, 0.0], [0.01, 0.99, 0.0], [0.003, 0.002, 1.0]])
    assert checks.energy_defect(make_method("arlequin", perfect_metal), deformation) < 1e-12


@pytest.mark.parametrize("name", UNMATCHED_METHODS)
@pytest.mark.parametrize("body", ["perfect", "perfect_metal"])
def test_forces_derive_from_the_energy_and_add_up_to_nothing(name, body, request):
    method = make_method(name, request.getfixturevalue(body))
    u = 0.01 * np.random.default_rng(0).standard_normal(method.shape)
    assert checks.force_check(method, u, step=1e-3).relative < 1e-6  # a shorter one would measure rounding
    assert checks.total_force(method, u) < 1e-12


@pytest.mark.parametrize("body", ["perfect", "perfect_metal"])
def test_torques_add_up_to_nothing_where_the_constraint_holds(body, request):
    """Both linear fields are in both spaces, so that a rotation of what fulfils the constraint fulfils it."""
    method = make_method("arlequin", request.getfixturevalue(body))
    u = 0.02 * np.random.default_rng(1).standard_normal(method.shape)
    tie, rows = method.constraint, method.model.shape[0]
    assert checks.total_torque(method, u) > 1e-4
    u[:rows] -= tie.T @ sp.linalg.spsolve((tie @ tie.T).tocsc(), tie @ u[:rows])
    assert np.abs(tie @ u[:rows]).max() < 1e-12
    assert checks.total_torque(method, u) < 1e-10


def test_plain_arlequin_has_ghost_forces_and_the_corrected_one_none(perfect, perfect_metal):
    plain = checks.ghost_force(make_method("arlequin", perfect), STRETCHED)
    assert 0.01 < plain < 0.06  # eV/Å, after the multipliers have taken what they can
    assert 0.003 < checks.ghost_force(make_method("arlequin", perfect_metal), perfect_metal.far_field) < 0.008
    for model in (perfect, perfect_metal):
        corrected = make_method("arlequin-corrected", model)
        assert checks.ghost_force(corrected, model.far_field) < 1e-12
        found = solve(model, method="arlequin-corrected", options=TIGHT)
        assert np.abs(found.u).max() < 1e-12
    # Elsewhere they grow in proportion to the difference.
    method = make_method("arlequin-corrected", perfect)
    grown = [checks.ghost_force(method, np.diag([1.0, 1.0 + e]) @ STRETCHED) / e for e in (0.005, 0.01, 0.02)]
    assert max(grown) < 1.3 * min(grown) < 4.0


def test_ghost_forces_of_the_plain_method_vanish_with_the_stress_for_nearest_neighbours():
    model = unmatched(absent=(), far=REST)
    assert checks.ghost_force(make_method("arlequin", model), REST) < 1e-10


def inf_sup(model, length):
    """Smallest c(μ, v)/(‖μ‖ ‖v‖): multipliers in the norm of their product, displacements in H¹ over the overlap's width."""
    areas, width = model.point_areas, model.partition.width
    test = model.elements.of(_multipliers(model))
    tie = sp.hstack([test.times(f, areas, length) for f in (model.atoms_field, model.elements)]).toarray()
    own = len(model.own)
    tie[:, own:] *= -1.0
    norm = scipy.linalg.block_diag(*(f.times(f, areas, width).toarray() for f in (model.atoms_field, model.elements)))
    seen = norm.diagonal() > 0.0
    norm = norm[np.ix_(seen, seen)] + 1e-12 * norm.diagonal().mean() * np.eye(seen.sum())
    schur = tie[:, seen] @ np.linalg.solve(norm, tie[:, seen].T)
    scale = 1.0 / np.sqrt(np.diag(test.times(test, areas, length).toarray()))
    mass = test.times(test, areas, length).toarray() * np.outer(scale, scale)
    return np.sqrt(scipy.linalg.eigh(schur * np.outer(scale, scale), mass, eigvals_only=True)[0])


def test_h1_coupling_is_stable_on_every_mesh_and_l2_is_not():
    models = [unmatched(spacing=spacing) for spacing in (3.0, 2.0, 1.0)]
    h1 = [inf_sup(model, model.length) for model in models]
    l2 = [inf_sup(model, 0.0) for model in models]
    assert min(h1) > 0.15
    assert max(h1) < 1.5 * min(h1)
    assert l2[0] > 1.2 * l2[1] > 2.0 * l2[2]
    assert l2[2] < 0.02


def all_atoms(outer=24):
    model = toy(zone=Hexagon(layers=outer - 1), width=0.0, outer=outer + 8.0)
    return model, solve(model, method="clamped", options=TIGHT).u


@pytest.fixture(scope="module")
def reference():
    return all_atoms()


def error(model, u, reference, outer=24):
    """Relative error of the bonds' changes, but for those of the vacancy: own atoms first, elements beyond."""
    whole, exact = reference
    lattice = whole.partition.lattice
    sites = whole.partition.indices[whole.present]
    sites = sites[np.abs(np.column_stack([sites, sites.sum(axis=1)])).max(axis=1) < outer - 1]
    own = {tuple(index): row for row, index in enumerate(model.partition.indices[model.own].tolist())}
    atoms, nodes = model.fields(u)

    def ours(where):
        found = model.body.interpolation(lattice.places(where)) @ nodes
        rows = np.array([own.get(tuple(index), -1) for index in where.tolist()])
        return np.where(rows[:, None] >= 0, atoms[rows], found)

    def theirs(where):
        return whole.body.interpolation(lattice.places(where)) @ exact

    near = np.concatenate([(sites == -np.array(bond)).all(axis=1) for bond in ((1, 0), (0, 1))])
    mine, right = (
        np.concatenate([f(sites + np.array(bond)) - f(sites) for bond in ((1, 0), (0, 1))])[~near]
        for f in (ours, theirs)
    )
    return np.linalg.norm(mine - right) / np.linalg.norm(right)


@pytest.mark.parametrize(("spacing", "bound"), [(1.0, 0.015), (1.5, 0.025), (2.5, 0.04), (4.0, 0.085)])
def test_against_all_atoms(spacing, bound, reference):
    model = unmatched(spacing=spacing)
    found = solve(model, method="arlequin-corrected", options=TIGHT)
    assert found.calls <= 15
    assert found.balance.terms["constraint"] == pytest.approx(0.0, abs=1e-12)
    assert error(model, found.u, reference) < bound


def test_a_wider_overlap_is_better_and_no_correction_much_worse(reference):
    errors = []
    for width in (3.0, 5.0, 9.0):
        model = unmatched(width=width)
        errors.append(error(model, solve(model, method="arlequin-corrected", options=TIGHT).u, reference))
    assert errors[0] > 1.3 * errors[1] > 1.5 * errors[2]
    model = unmatched(width=9.0)
    assert error(model, solve(model, method="arlequin", options=TIGHT).u, reference) > 10 * errors[2]


def test_newton_and_anderson_agree_and_a_start_is_taken():
    model = unmatched(spacing=2.0, degree=2)
    found = [
        solve(model, method="arlequin-corrected", options=HandshakeOptions(tolerance=1e-10, solver=solver))
        for solver in ("newton", "anderson")
    ]
    assert np.abs(found[0].u - found[1].u).max() < 1e-8
    assert found[0].iterations <= 5
    assert found[0].u.shape == model.shape
    again = solve(model, method="arlequin-corrected", start=found[0].u, options=HandshakeOptions(tolerance=1e-4))
    assert again.iterations <= 4
    plain = make_method("arlequin", model)
    assert plain.preconditioner(plain.stacked(found[0].u)).negative_pivots == 2 * plain.constraint.shape[0]


def test_a_void_in_aluminium_as_on_a_matching_mesh():
    void, far = (lambda x: np.hypot(*x.T) < 4.0), np.diag([1.01, 1.01, 1.0])
    model = metal(absent=void, far=far)
    found = solve(model, method="arlequin-corrected", options=HandshakeOptions(tolerance=1e-5))
    assert found.calls <= 20
    matching = plane(core=11.0, width=9.0, pad=13.0, size=50.0, absent=void, far=far)
    u = solve(matching, method="bgfc", options=HandshakeOptions(tolerance=1e-5)).u
    atoms = matching.body.interpolation(model.row_places[: len(model.own)]) @ u
    core = model.partition.beta[model.own] == 0.0
    difference = found.u[: len(model.own)][core] - atoms[core]
    assert np.linalg.norm(difference) < 0.05 * np.linalg.norm(atoms[core])


def test_methods_refuse_the_other_kind_of_model():
    model, matching = unmatched(), toy()
    for name in METHODS:
        with pytest.raises(MethodError, match=r"couple\(\.\.\.\), or use one of arlequin"):
            make_method(name, model)
    for name in UNMATCHED_METHODS:
        with pytest.raises(MethodError, match=r"couple_arlequin\(\.\.\.\)"):
            solve(matching, method=name)


def test_a_potential_of_forces_only_is_refused():
    class ForcesOnly:
        weighted, name = False, "forces"

    model = replace(unmatched(), make_atoms=lambda sites: ForcesOnly())
    with pytest.raises(MethodError, match="gives forces only"):
        make_method("arlequin", model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 2.0, "spacing": 3.0}, "at least 3 Å wide"),
        ({"width": 5.0, "interaction": 6.0}, "at least 6 Å wide"),
        ({"outer": 10.5}, "atoms lie outside the body"),
        ({"absent": ((6, 0),)}, "outside the core"),
        ({"absent": ((40, 0),)}, "no such sites"),
        ({"spacing": 0.0}, "spacing"),
        ({"length": -1.0}, "length"),
    ],
)
def test_bad_set_ups_are_refused(options, message):
    with pytest.raises(PartitionError, match=message):
        unmatched(**options)


def test_a_vacancy_at_the_overlap_and_a_solid_are_refused():
    with pytest.raises(PartitionError, match="enlarge the core"):
        unmatched(absent=((4, 0),))
    _, crystal, _ = aluminium()
    with pytest.raises(PartitionError, match="in the plane only"):
        couple_arlequin(
            lattice=bulk_lattice(crystal),
            make_atoms=TOY.cluster,
            material=ToyEAM().cauchy_born(),
            zone=Disc(center=(0.0, 0.0, 0.0), radius=5.0),
            domain=[[-9] * 3, [9] * 3],
            width=5.0,
            pad=5.0,
            spacing=5.0,
        )


def test_breaking_a_weight_or_a_sign_shows(perfect):
    partition = perfect.partition
    dropped = partition.cell_weights.copy()
    dropped[np.argmax((dropped > 0.3) & (dropped < 0.7))] = 0.0
    broken = replace(perfect, partition=replace(partition, cell_weights=dropped))
    assert checks.energy_defect(make_method("arlequin", broken), SHEARED @ STRETCHED) > 1e-5
    body, places = perfect.body, partition.lattice.places(partition.indices)
    with pytest.raises(DoubleCountingError):
        clipped_volumes(body.mesh.points, body.cells, places, 1.5 * partition.weights, basis=partition.lattice.basis)

    class Flipped(Arlequin):
        @property
        def constraint(self):
            right = make_method("arlequin", self.model).constraint
            signs = np.where(np.arange(right.shape[1]) < len(self.model.own), 1.0, -1.0)
            return right @ sp.diags(signs)

    u = 0.01 * np.random.default_rng(0).standard_normal(make_method("arlequin", perfect).shape)
    assert checks.total_force(Flipped(perfect), u) > 1e-3
