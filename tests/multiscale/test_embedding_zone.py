"""Quantum regions and impurities in zones: the plain answer where the engine is the potential, files, refusals."""

from __future__ import annotations

import json
import typing
from pathlib import Path

import ase.io
import numpy as np
import pytest
from mpi4py import MPI

from coupling.embedding.sites import QUANTUM, TAKEN_OUT
from coupling.errors import EmbeddingError
from multiscale.config import AdhesionCase, CaseError, DefectCase, FractureCase
from multiscale.errors import PrecisionError
from multiscale.progress import Progress
from multiscale.studies.adhesion import run_adhesion
from multiscale.studies.coupled_zone import build_model, characterise_crystal, plan_zone
from multiscale.studies.defect import predict as predict_defect
from multiscale.studies.defect import run_defect
from multiscale.studies.embedded_cases import embed_defect
from multiscale.studies.fracture import run_fracture
from tests.mpi import run_mpi

Settings = dict[str, typing.Any]
HYDROGEN = {"name": "lammps", "pair_style": "eam/alloy", "files": ["NiAlH_jea.eam.alloy"], "elements": ["Al", "H"]}
VOID: Settings = {
    "potential": "eam-al",
    "crystal": {"element": "Al", "structure": "fcc"},
    "body": {"plane": [1, 1, 1], "size": ["12 nm", "12 nm"]},
    "defect": {"type": "void", "radius": "3 angstrom"},
    "strain": {"xx": 0.01},
    "zone": {"shape": "around", "margin": "9 angstrom", "blend": "8 angstrom"},
    "solver": {"tolerance": "1e-8 eV/angstrom"},
}
REGION: Settings = {
    "engine": "eam-al",
    "core": {"near": ["0 nm", "0 nm", "0 nm"], "radius": "4.8 angstrom"},
    "cell": {"along": 4, "planes": 6},
}
CRACK: Settings = {
    "potential": "eam-fe",
    "crystal": {"element": "Fe", "structure": "bcc"},
    "crack": {"plane": [1, 1, 0], "front": [1, -1, 0]},
    "zone": {"radius": "1.2 nm", "blend": "0.8 nm"},
    "body": {"shape": "disc", "radius": "40 nm"},
    "load": {"path": "steps", "levels": ["0.95 K_G", "1.0 K_G"]},
    "output": {"states_every": 0},
}
TIP: Settings = {"engine": "eam-fe", "core": {"near_tip": "3 angstrom"}, "cell": {"along": 3, "planes": 4}}
JOINT: Settings = {
    "potential": HYDROGEN,
    "crystal": {"element": "Al", "structure": "fcc"},
    "interface": {"plane": [1, 1, 1]},
    "decohesion": {"mode": "rigid"},
    "law": {"unloading": "reversible"},
    "specimen": {"shape": "block", "width": "9 nm", "height": "6 nm"},
    "mesh": {"degree": 1},
    "zone": {"shape": "box", "size": ["2.6 nm", "2 nm"], "blend": "0.8 nm", "pad": "1.1 nm"},
    "impurity": {"element": "H"},
    "loading": {"opening": {"to": "1 angstrom", "steps": 2}},
    "verification": {"stacks": []},
}
CELL: Settings = {"core": {"species": "H", "around": "2.5 angstrom"}, "cell": {"along": 2, "planes": 6}}


def results(directory: Path) -> Settings:
    return json.loads((directory / "results.json").read_text())


def value(directory: Path, name: str) -> float:
    return next(q["value"] for q in results(directory)["quantities"] if q["name"] == name)


@pytest.fixture(scope="module")
def void(tmp_path_factory):
    """The same void by the potential alone, and with the potential as its own engine."""
    path = tmp_path_factory.mktemp("void")
    plain = run_defect(DefectCase(**VOID), directory=path / "plain")
    return plain, run_defect(DefectCase(**VOID, embedding=REGION), directory=path / "embedded")


def test_an_engine_that_is_the_potential_gives_the_plain_state(void):
    plain, embedded = void
    np.testing.assert_allclose(embedded.solution.u, plain.solution.u, atol=1e-13)
    assert embedded.solution.balance.energy == pytest.approx(plain.solution.balance.energy, abs=1e-9)
    assert embedded.ledger.total[-1] == pytest.approx(plain.ledger.total[-1], abs=1e-12)
    assert embedded.solution.iterations == plain.solution.iterations


def test_the_account_names_the_quantum_terms_and_closes(void):
    plain, embedded = void
    names = [term.name for term in embedded.ledger.terms]
    assert names == ["atoms", QUANTUM, TAKEN_OUT, "bulk", "interface", "ghost force correction"]
    assert [term.name for term in plain.ledger.terms] == [n for n in names if n not in (QUANTUM, TAKEN_OUT)]
    columns = {name: float(embedded.ledger.column(name)[-1]) for name in names}
    assert columns[QUANTUM] == pytest.approx(-columns[TAKEN_OUT], abs=1e-12)
    assert abs(columns[QUANTUM]) > 1e-3
    assert embedded.ledger.step_closure() < 1e-6
    # Where an engine with another zero is in the loop, no formation energy is told.
    assert np.isfinite(plain.energy)
    assert np.isnan(embedded.energy)


def test_what_is_written(void):
    embedded = void[1]
    frames = ase.io.read(embedded.directory / "embedding.extxyz", index=":")
    assert [frame.info["state"] for frame in frames] == ["start", "equilibrium"]
    region = frames[-1].arrays["region"]
    inside = ase.io.read(embedded.directory / "quantum_region.extxyz", index="-1")
    assert set(region) == {"core", "buffer", "environment"}
    assert (region != "environment").sum() == len(inside) == value(embedded.directory, "quantum region")
    assert (region == "core").sum() == (inside.arrays["region"] == "core").sum()
    table = results(embedded.directory)["quantum"]
    assert [row["state"] for row in table["rows"]] == ["start", "equilibrium"]
    assert table["rows"][0]["difference [eV]"] == 0.0
    assert len((embedded.directory / "quantum.csv").read_text().splitlines()) >= 3
    assert "Quantum region" in (embedded.directory / "report.html").read_text()
    assert value(embedded.directory, "change of E_QM(C) − E_ML(C)") == 0.0


def test_another_engine_changes_the_state_and_single_points_do_not(void, tmp_path):
    other = REGION | {"engine": "eam-al-zhou"}
    looped = run_defect(DefectCase(**VOID, embedding=other), directory=tmp_path / "loop")
    pointed = run_defect(DefectCase(**VOID, embedding=other | {"mode": "single points"}), directory=tmp_path / "points")
    plain = void[0]
    assert np.abs(looped.solution.u - plain.solution.u).max() > 1e-3
    # Zhou's tables jump at their cutoff.
    assert looped.ledger.step_closure() < 1e-3
    np.testing.assert_array_equal(pointed.solution.u, plain.solution.u)
    first, last = pointed.quantum.points
    corrected = value(tmp_path / "points", "energy set free by relaxation, corrected")
    assert corrected == pytest.approx(-plain.ledger.total[-1] - (last.difference - first.difference), abs=1e-12)
    # The looped state is the least of the joint energy, the potential's own is not.
    assert -looped.ledger.total[-1] > corrected


def test_a_crack_whose_engine_is_the_potential(tmp_path):
    plain = run_fracture(FractureCase(**CRACK), directory=tmp_path / "plain")
    embedded = run_fracture(FractureCase(**CRACK, embedding=TIP), directory=tmp_path / "embedded")
    for first, second in zip(plain.points, embedded.points, strict=True):
        np.testing.assert_allclose(second.state.u, first.state.u, atol=1e-12)
        assert second.j == pytest.approx(first.j, rel=1e-10)
    zone = embedded.quantum.states[0].zone
    places = embedded.quantum.states[0].zone.atoms.positions
    near = np.linalg.norm(places[:, :2], axis=1) < 3.0
    np.testing.assert_array_equal(np.flatnonzero(near), zone.region.core_rows)
    assert {QUANTUM, TAKEN_OUT} <= {term.name for term in embedded.ledger.terms}
    assert embedded.ledger.run_closure() == pytest.approx(plain.ledger.run_closure(), abs=1e-8)


@pytest.fixture(scope="module")
def joint(tmp_path_factory):
    """Hydrogen on an interface, its cell by another potential in single points."""
    path = tmp_path_factory.mktemp("joint")
    block = CELL | {"engine": "emt", "mode": "single points", "cache": str(path / "cache")}
    return run_adhesion(AdhesionCase(**JOINT, embedding=block), directory=path / "run"), block, path


def test_hydrogen_on_an_interface(joint):
    found = joint[0]
    count = len(found.quantum.states[0].places) - 1
    places = [state.places for state in found.quantum.states]
    assert [p.label for p in found.quantum.points] == ["opening 0 Å", "opening 1 Å"]
    assert abs(places[0][count, 1]) < 0.5
    sites = found.quantum.states[-1].zone.sites
    force = sites.base.energy_and_gradient(places[-1])[1][count]
    assert np.abs(force).max() < 1e-4
    assert any("a row of H atoms" in warning for warning in found.warnings)
    frames = ase.io.read(found.directory / "embedding.extxyz", index=":")
    assert len(frames) == 3
    assert frames[0].symbols[-1] == "H"
    assert frames[0].arrays["impurity"].sum() == 1


def test_the_cells_work_of_separation(joint):
    found = joint[0]
    first, last = found.quantum.points
    cell = found.quantum.states[0].zone.region.region.cell.vectors
    area = np.linalg.norm(np.cross(cell[0], cell[2]))
    assert value(found.directory, "work of the quantum cell, potential") == pytest.approx(
        (last.ml - first.ml) / area * 16.0217663, rel=1e-6
    )
    assert value(found.directory, "work of the quantum cell, engine") == pytest.approx(
        (last.quantum - first.quantum) / area * 16.0217663, rel=1e-6
    )


def test_a_second_run_computes_no_quantum_point_again(joint):
    _, block, path = joint
    again = run_adhesion(AdhesionCase(**JOINT, embedding=block), directory=path / "again")
    record = again.quantum.states[0].zone.region.qm.calculator.record
    assert (record.fresh, record.reused) == (0, 2)
    assert again.quantum.points == joint[0].quantum.points


def model_of(case: DefectCase):
    character = characterise_crystal(case, comm=MPI.COMM_SELF, progress=Progress.silent())
    plan = plan_zone(case, character)
    return embed_defect(case, character, plan, build_model(case, character, plan, MPI.COMM_SELF), MPI.COMM_SELF)


def test_a_substitutional_impurity_is_another_element_on_a_site():
    settings = VOID | {
        "potential": "eam-nial",
        "impurity": {"element": "Ni", "site": "substitutional", "at": ["6 angstrom", "0 nm"]},
    }
    zone = model_of(DefectCase(**settings))
    assert (zone.atoms.symbols == "Ni").sum() == 1
    row = int(np.flatnonzero(zone.atoms.symbols == "Ni")[0])
    assert np.linalg.norm(zone.atoms.positions[row, :2] - [6.0, 0.0]) < 2.0
    y = zone.model.places(np.zeros(zone.model.shape))
    pure = model_of(DefectCase(**VOID | {"potential": "eam-nial"}))
    assert zone.model.atoms.energy_and_gradient(y)[0] < pure.model.atoms.energy_and_gradient(y)[0]
    # The ghost forces stay those of the perfect crystal.
    np.testing.assert_array_equal(zone.model.perfect(0 * zone.model.body.nodes @ np.zeros((2, 3)), None)[1],
                                  pure.model.perfect(0 * pure.model.body.nodes @ np.zeros((2, 3)), None)[1])  # fmt: skip


def test_a_narrow_cell_is_warned_of():
    narrow = REGION | {"cell": {"along": 4, "planes": 5}}
    _, warnings = predict_defect(DefectCase(**VOID, embedding=narrow))
    assert any("its surfaces are part of what it says" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("case", "changes", "message"),
    [
        (VOID, {"embedding": REGION | {"scheme": "force mixing"}}, "bgfc minimises one"),
        (VOID, {"embedding": REGION | {"core": {"near_tip": "3 angstrom"}}}, "this study has none"),
        (VOID, {"embedding": REGION | {"states": [0, 1]}}, "in the loop every state is computed"),
        (VOID, {"embedding": REGION | {"mode": "single points", "states": list(range(7))}}, "more than the 6"),
        (VOID, {"embedding": REGION, "compare": {"all_atoms": True}}, "comparison with all atoms knows"),
        (VOID, {"impurity": {"element": "Al", "site": "substitutional"}}, "Al in place of Al is no impurity"),
        (VOID, {"impurity": {"element": "H", "at": ["0 nm", "0 nm", "0 nm"]}}, "for a body of dimension 2"),
        (
            VOID,
            {"embedding": REGION, "body": {"dimension": 3, "size": ["9 nm", "9 nm", "9 nm"]}},
            "belongs to a plane body",
        ),
        (
            CRACK,
            {"impurity": {"element": "H"}, "load": CRACK["load"] | {"recentre": True}},
            "leaves its impurity behind",
        ),
        (CRACK, {"embedding": TIP | {"scheme": "force mixing", "mode": "single points"}}, "mixed forces don't have"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(case, changes, message):
    kind = DefectCase if case is VOID else FractureCase
    with pytest.raises(CaseError, match=message):
        kind(**{**case, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embedding": REGION | {"largest": 10}}, "more than the 10 allowed"),
        ({"embedding": REGION | {"cell": {"along": 8, "planes": 12}}}, r"Enlarge the core of the zone by"),
        ({"embedding": REGION | {"cell": "none"}}, r"Take a periodic quantum cell"),
        ({"potential": HYDROGEN, "impurity": {"element": "H", "at": ["9 angstrom", "0 nm"]}}, "interstitial atom lies"),
    ],
)
def test_regions_and_impurities_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(EmbeddingError, match=message):
        model_of(DefectCase(**VOID | changes))


@pytest.mark.slow
def test_continuation_with_an_engine_of_single_precision_is_refused(tmp_path):
    case = CRACK | {"load": {"path": "follow"}, "embedding": TIP | {"engine": "sevennet-0"}}
    with pytest.raises(PrecisionError, match=r"sevennet-0.* single precision"):
        run_fracture(FractureCase(**case), directory=tmp_path / "run")


PARALLEL = """
import sys
from mpi4py import MPI
from multiscale.config import DefectCase
from multiscale.studies.defect import run_defect
from tests.multiscale.test_embedding_zone import REGION, VOID

found = run_defect(DefectCase(**VOID, embedding=REGION | {{"engine": "emt"}}), directory={path!r}, comm=MPI.COMM_WORLD)
"""


@pytest.mark.slow
def test_the_same_state_on_two_ranks(tmp_path):
    for ranks in (1, 2):
        run_mpi(ranks, PARALLEL.format(path=str(tmp_path / str(ranks))))
    first, second = (ase.io.read(tmp_path / ranks / "embedding.extxyz", index="-1") for ranks in ("1", "2"))
    np.testing.assert_allclose(first.positions, second.positions, atol=1e-8)
    assert list(first.arrays["region"]) == list(second.arrays["region"])
    tables = (results(tmp_path / ranks)["quantum"]["rows"] for ranks in ("1", "2"))
    for one, other in zip(*tables, strict=True):
        assert other["difference [eV]"] == pytest.approx(one["difference [eV]"], abs=1e-9)
