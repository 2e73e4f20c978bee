"""States in the measures of their lattice: the same model gets them back, another lattice gets them stretched."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from continuum.crack_bodies import Disc
from coupling.carried import CarriedState, bring_in, carry_away
from coupling.crack import intensity_load
from coupling.errors import PartitionError
from tests.coupling.test_crack import OPENING, ZONES, crystal

LARGER = 1.012


@cache
def model(scale=1.0):
    """A crack in silicon, two atoms to a site; scaled, the lattice of another potential in the same body."""
    known = crystal("sw-si-brittle")
    lattice = known.columns.lattice
    columns = replace(
        known.columns,
        lattice=replace(
            lattice,
            basis=scale * lattice.basis,
            lift=scale * lattice.lift,
            thickness=scale * lattice.thickness,
            origin=scale * lattice.origin,
        ),
        offsets=scale * known.columns.offsets,
    )
    return replace(known, columns=columns).couple(Disc(radius=120.0), ZONES["sw-si-brittle"])


def random_state(of, scale=0.01):
    return scale * np.random.default_rng(0).standard_normal(of.shape)


def test_the_same_model_gets_its_state_back():
    same = model()
    field = intensity_load(same, crystal("sw-si-brittle").field, OPENING).field
    u = field + random_state(same)
    kept = CarriedState.of_mapping(carry_away(same, u, field).to_mapping())
    assert bring_in(same, kept, field) == pytest.approx(u, abs=1e-12)
    # Faces of the crack lie at one place and move apart: neither is taken for the other.
    upper, lower = same.body.mesh.slit[:, 1].ravel(), same.body.mesh.slit[:, 0].ravel()
    assert np.abs(kept.own[upper] - kept.own[lower]).max() > 0.01


def test_another_lattice_has_the_sites_displacements_and_a_stretched_field():
    old, new = model(), model(LARGER)
    assert len(new.carriers) != 0
    u = random_state(old)
    found = bring_in(new, carry_away(old, u))
    mine = {
        tuple(index): node for index, node in zip(new.partition.indices, new.partition.node, strict=True) if node >= 0
    }
    shared = [(mine[tuple(i)], n) for i, n in zip(old.partition.indices[old.carriers], old.partition.node[old.carriers],
              strict=True) if tuple(i) in mine]  # fmt: skip
    assert len(shared) > 0.9 * len(old.carriers)
    nodes = np.array(shared)
    assert found[nodes[:, 0]] == pytest.approx(LARGER * u[nodes[:, 1]], abs=1e-12)
    # A homogeneous strain stays that strain, also where the meshes differ; the rim of the body is outside the hull.
    slope = np.array([[1e-3, 2e-3], [-5e-4, 1e-3], [0.0, 1e-3]])
    affine = np.zeros(old.shape)
    affine[: old.nodes] = old.body.nodes @ slope.T
    strained = bring_in(new, carry_away(old, affine))[: new.nodes]
    inside = np.linalg.norm(new.body.nodes, axis=1) < 60.0
    assert strained[inside] == pytest.approx(new.body.nodes[inside] @ slope.T, abs=1e-9)


def test_openings_are_not_stretched():
    old, new = model(), model(LARGER)
    found = bring_in(new, carry_away(old, np.ones(old.shape)), scale=False)
    assert found[: new.nodes] == pytest.approx(np.ones((new.nodes, 3)))


def test_what_cannot_be_carried_is_refused():
    kept = carry_away(model(), np.zeros(model().shape))
    incomplete = {name: value for name, value in kept.to_mapping().items() if name != "own"}
    with pytest.raises(PartitionError, match="lacks own"):
        CarriedState.of_mapping(incomplete)
    with pytest.raises(PartitionError, match="1 components for a body with 3"):
        bring_in(model(), replace(kept, own=kept.own[:, :1]))
    with pytest.raises(PartitionError, match="3 atoms a site for a crystal with 2"):
        bring_in(model(), replace(kept, inner=np.repeat(kept.inner, 2, axis=1)))
