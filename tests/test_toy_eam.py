"""The vacancy benchmark, small: its measure, its reference, and the published figures it must reproduce."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from toy_eam import CLAMPED, NODES, PUBLISHED, SIZES, member, radius_of, solved
from toy_eam_error import measure
from toy_eam_problem import FAR_FIELD, LATTICE, TOY, Rings, layer, sites_within, vacancy, whole_lattice
from toy_eam_reference import FarField, Reference, extrapolated, lattice_square

from coupling.handshake import solve


@pytest.fixture(scope="module")
def reference() -> Reference:
    """All atoms, 30, 60 and 120 layers."""
    return extrapolated((30, 60, 120), inner=14)


def table_of(indices: np.ndarray, values: np.ndarray) -> np.ndarray:
    n = int(np.abs(indices).max())
    table = np.full((2 * n + 1, 2 * n + 1, 2), np.nan)
    table[tuple((indices + n).T)] = values
    return table


def test_strain_norm_of_a_linear_field() -> None:
    slope = np.array([[0.3, -0.2], [0.5, 0.1]])
    indices = sites_within(7)
    found = lattice_square(table_of(indices, LATTICE.places(indices) @ slope.T))
    # 6·7² triangles less the six of the vacancy; a transposed gradient would change the off-diagonal parts.
    assert found == pytest.approx(np.sum(slope**2) * (6 * 49 - 6) * np.sqrt(3) / 4, rel=1e-13)


def test_reference(reference: Reference) -> None:
    assert np.sqrt(reference.square) == pytest.approx(0.0548307, rel=2e-5)
    assert reference.figures["truncation_order"] == pytest.approx(2.0, abs=0.1)
    # In equilibrium, where the extrapolated field and the far field meet, too.
    indices = sites_within(40)
    indices = indices[indices.any(axis=1)]
    places = LATTICE.places(indices) @ FAR_FIELD.T + reference.displacement(indices)
    force = np.abs(TOY.cluster(indices).energy_and_gradient(places)[1]).max(axis=1)
    layers = layer(indices)
    assert force[layers < 13].max() < 1e-7
    assert force[(layers >= 13) & (layers < 38)].max() < 1e-3


def test_far_field_is_in_equilibrium_and_its_norm_is_that_of_the_lattice(reference: Reference) -> None:
    far = FarField(reference.far.coefficients[:4], (-1,))
    places = np.array([[23.0, 4.0], [-7.0, 31.0]])
    tangent, h = TOY.cauchy_born().tangent(FAR_FIELD[None])[0], 1e-3
    second = np.stack(
        [(far.gradient(places + h * e) - far.gradient(places - h * e)) / (2 * h) for e in np.eye(2)], axis=-1
    )
    divergence = np.einsum("ijkl,nklj->ni", tangent, second)
    assert np.abs(divergence).max() < 1e-6 * np.abs(tangent).max() * np.abs(second).max()
    inner, outer = (reference.on_table(n) for n in (40, 80))
    assert lattice_square(outer) - lattice_square(inner) == pytest.approx(
        reference.far.square_beyond(40) - reference.far.square_beyond(80), rel=2e-3
    )


def test_published_meshes_node_for_node() -> None:
    for k, size in enumerate(SIZES):
        assert len(Rings(fine=2 * size, radius=size**2 + 10).nodes()[0]) - 1 == NODES["blended"][k]
        assert len(Rings(fine=size + 1, radius=size**2 + 10).nodes()[0]) - 1 == NODES["qce"][k]


@pytest.mark.parametrize("k", [0, 1])
@pytest.mark.parametrize("method", ["clamped", "qce", "bqce", "bgfc", "bqcf"])
def test_published_errors(reference: Reference, method: str, k: int) -> None:
    size = SIZES[k]
    if method == "clamped":
        layers = (9, 17)[k]
        model, wanted = vacancy(whole_lattice(layers), core=layers - 2), CLAMPED[layers][0]
    elif method == "qce":
        model, wanted = vacancy(Rings(fine=size + 1, radius=size**2 + 10).mesh(), core=size), PUBLISHED["qce"][k]
    else:
        mesh = Rings(fine=2 * size, radius=size**2 + 10).mesh()
        model, wanted = vacancy(mesh, core=size - 1, width=size), PUBLISHED[method][k]
    assert solved(model, method, reference)[0] == pytest.approx(wanted, rel=0.015)


def test_quadratic_elements_beat_linear_ones_and_the_measure_does_not_depend_on_its_border(
    reference: Reference,
) -> None:
    errors, nodes = {}, {}
    for degree, fine in ((1, 16), (2, 8), (2, 12)):
        model = member(degree, fine, core=fine // 2)
        u = solve(model, method="bqcf").u
        errors[degree, fine] = measure(model.body, u, reference, summed=48).total
        nodes[degree, fine] = len(model.body.nodes)
        assert 1.384 / radius_of(degree, fine) < 0.2 * errors[degree, fine]
    assert measure(model.body, u, reference, summed=96).total == pytest.approx(errors[2, 12], rel=5e-3)
    assert nodes[2, 12] < nodes[1, 16]
    assert errors[2, 12] < 0.55 * errors[1, 16]
    order = np.log(errors[2, 8] / errors[2, 12]) / np.log(nodes[2, 8] / nodes[2, 12])
    assert order < -1.35
