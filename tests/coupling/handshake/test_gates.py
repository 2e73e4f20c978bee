"""What every method must pass, or must fail, on a perfect crystal."""

from dataclasses import replace

import numpy as np
import pytest
from bodies import REST, plane, solid, toy

from coupling.errors import DoubleCountingError
from coupling.handshake import Bgfc, Bqce, checks, make_method
from coupling.volumes import VolumeAudit

CONSISTENT = ("bqcf", "schwarz")
SHEAR = np.array([[1.01, 0.02], [-0.01, 0.985]])


@pytest.fixture(scope="module")
def flat():
    return toy(absent=(), far=REST)


@pytest.fixture(scope="module")
def sharp():
    return toy(absent=(), far=REST, width=0.0)


@pytest.fixture(scope="module")
def metal():
    return plane()


@pytest.mark.parametrize("name", CONSISTENT)
@pytest.mark.parametrize("degree", [1, 2])
def test_blended_forces_and_schwarz_pass_the_patch_test(name, degree):
    method = make_method(name, toy(absent=(), far=REST, degree=degree))
    for strain in ([[0.02, 0], [0, 0]], [[0, 0.02], [0, 0]], [[-0.02, 0], [0, 0.02]]):
        assert checks.ghost_force(method, (np.eye(2) + strain) @ REST) < 1e-12


@pytest.mark.parametrize("name", CONSISTENT)
def test_patch_test_in_aluminium(name, metal):
    method = make_method(name, metal)
    for deformation in (np.diag([1.02, 0.98, 1.0]), [[1, 0.02, 0], [0, 1, 0], [0.01, 0.02, 1]]):
        assert checks.ghost_force(method, deformation) < 1e-12


def test_patch_test_in_space():
    model = solid()
    for name in CONSISTENT:
        assert checks.ghost_force(make_method(name, model), [[1.02, 0.01, 0], [0, 0.99, 0.01], [0.01, 0, 1]]) < 1e-12
    assert checks.ghost_force(Bgfc(model), np.eye(3)) < 1e-12
    assert checks.energy_defect(Bqce(model), np.diag([1.01, 1.0, 0.99])) < 1e-12
    assert checks.total_torque(Bqce(model), 0.01 * np.random.default_rng(0).standard_normal(model.shape)) < 1e-11


def test_ghost_force_correction_is_exact_at_the_predictor_and_linear_beyond(metal):
    method = Bgfc(metal)
    assert checks.ghost_force(method, np.eye(3)) < 1e-12
    slopes = [checks.ghost_force(method, np.diag([1, 1 + s, 1])) / s for s in (0.005, 0.01, 0.02)]
    assert max(slopes) / min(slopes) < 1.3
    # Elsewhere it is exact for another predictor.
    stretched = checks.homogeneous(method, np.diag([1, 1.02, 1]))
    assert checks.ghost_force(Bgfc(metal, predictor=stretched), np.diag([1, 1.02, 1])) < 1e-12


def test_plain_energies_fail_the_patch_test(metal):
    assert 1e-3 < checks.ghost_force(Bqce(metal), np.eye(3)) < 0.1
    quasicontinuum = make_method("qce", plane(width=0.0))
    assert checks.ghost_force(quasicontinuum, np.eye(3)) > 2 * checks.ghost_force(Bqce(metal), np.eye(3))


@pytest.mark.parametrize("name", ["bqce", "bgfc"])
def test_forces_derive_from_the_energy(name, metal):
    method = make_method(name, metal)
    u = 0.01 * np.random.default_rng(1).standard_normal(method.shape)
    assert checks.force_check(method, u).relative < 1e-6
    assert checks.total_force(method, u) < 1e-11


def test_energy_does_not_feel_rotations(flat):
    u = 0.01 * np.random.default_rng(2).standard_normal(flat.shape)
    assert checks.total_torque(Bqce(flat), u) < 1e-11


def test_energy_of_a_homogeneous_body_wherever_the_zone_lies():
    rng = np.random.default_rng(3)
    for _ in range(3):
        model = toy(absent=(), far=REST, center=tuple(rng.uniform(-1, 1, 2)))
        deformation = (np.eye(2) + rng.uniform(-0.02, 0.02, (2, 2))) @ REST
        assert checks.energy_defect(Bqce(model), deformation) < 1e-12


def test_a_dropped_weight_turns_the_audit_and_the_energy_red(flat):
    weights = flat.partition.cell_weights.copy()
    weights[np.argmax(weights > 0.5)] = 0.0
    broken = replace(flat, partition=replace(flat.partition, cell_weights=weights))
    assert checks.energy_defect(Bqce(broken), REST) > 1e-5
    audit = VolumeAudit.of(
        atomistic=flat.partition.audit.atomistic, effective=weights * flat.body.volumes, volumes=flat.body.volumes
    )
    with pytest.raises(DoubleCountingError, match="not at all"):
        audit.check()


def test_a_flipped_sign_turns_the_correction_red(metal):
    class Flipped(Bgfc):
        @property
        def ghost_forces(self):
            return -Bgfc.ghost_forces.func(self)

    assert checks.ghost_force(Flipped(metal), np.eye(3)) > 1e-3


def test_sharp_methods_want_no_blend(flat, sharp):
    for name in ("qce", "clamped"):
        with pytest.raises(ValueError, match="has no blend"):
            make_method(name, flat)
        assert make_method(name, sharp).name == name
