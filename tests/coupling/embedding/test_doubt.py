"""Cores chosen by a committee's doubt."""

import numpy as np
import pytest
from ase.build import bulk

from atomistic.committee import committee_of
from atomistic.potentials import load_potential
from coupling.embedding import Doubt, Region, SubtractiveEmbedding
from coupling.errors import EmbeddingError, SelectionError

COMMITTEE = {"committee": ["eam-al", "eam-al-zhou"], "voting": [0]}


EDGE = 5 * 4.05
HOLE = (bulk("Al", cubic=True, a=4.05) * 5).positions[250]


@pytest.fixture
def vacancy():
    """A vacancy in 499 aluminium atoms, nearly at rest: the committee doubts at its rim alone."""
    atoms = bulk("Al", cubic=True, a=4.05) * 5
    del atoms[250]
    atoms.rattle(0.01, seed=1)
    return atoms


def test_the_core_is_where_members_disagree(vacancy):
    ml = load_potential(COMMITTEE)
    doubt = committee_of(ml).disagreement(vacancy).per_atom
    threshold = float(np.sort(doubt)[-12])  # the twelve neighbours of the hole
    core = Doubt(ml, enter=threshold, leave=0.9 * threshold).select(vacancy)
    away = np.linalg.norm((vacancy.positions - HOLE + EDGE / 2) % EDGE - EDGE / 2, axis=1)
    assert core.sum() == 12
    assert np.all(away[core] < 3.2)


def test_hysteresis_keeps_what_is_in(vacancy):
    ml = load_potential(COMMITTEE)
    doubt = committee_of(ml).disagreement(vacancy).per_atom
    order = np.argsort(-doubt)
    enter, leave = doubt[order[3]], doubt[order[9]]
    selection = Doubt(ml, enter=float(enter), leave=float(leave))
    assert selection.select(vacancy).sum() == 4
    inside = np.zeros(len(vacancy), dtype=bool)
    inside[order[:20]] = True
    assert selection.select(vacancy, inside).sum() == 10


def test_quantum_mechanics_goes_where_the_potential_doubts():
    atoms = bulk("Al", cubic=True, a=4.05) * 7
    del atoms[686]
    atoms.rattle(0.01, seed=1)
    ml, qm = load_potential(COMMITTEE), load_potential("eam-al-zhou")
    doubt = committee_of(ml).disagreement(atoms)
    atoms.calc = SubtractiveEmbedding(
        ml=ml, qm=qm, regions=Region(core=Doubt(ml, enter=0.7 * doubt.largest), buffer=7.0)
    )
    forces = atoms.get_forces()
    core = atoms.calc.clusters[0].indices[atoms.calc.clusters[0].core]
    assert doubt.atom in core
    assert len(core) == 12
    truth, plain = (load_potential(name).evaluate(atoms).forces for name in ("eam-al-zhou", "eam-al"))
    error, before = (np.sqrt(np.mean((f[core] - truth[core]) ** 2)) for f in (forces, plain))
    assert error < 0.3 * before  # 0.024 of 0.109 eV/Å: what the buffer of 7 Å leaves


def test_doubt_needs_a_committee():
    with pytest.raises(SelectionError, match="a single potential has none"):
        Doubt(load_potential("emt"), enter=0.1)
    committee = load_potential(COMMITTEE)
    for enter in (np.nan, 0.0, "0.2 eV/angstrom"):
        with pytest.raises(SelectionError, match="positive disagreement"):
            Doubt(committee, enter=enter)
    with pytest.raises(SelectionError, match="leave before they enter"):
        Doubt(committee, enter=0.1, leave=0.2)


def test_where_nobody_doubts_no_core_is_needed(vacancy):
    vacancy.calc = SubtractiveEmbedding(
        ml=load_potential(COMMITTEE),
        qm=load_potential("eam-al-zhou"),
        regions=Region(core=Doubt(load_potential(COMMITTEE), enter=50.0), buffer=5.0),
    )
    with pytest.raises(EmbeddingError, match="no quantum region is needed"):
        vacancy.get_forces()
