"""An impurity and quantum single points in the adhesion study: identities, files, refusals, and the shipped quantum results."""

import json
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pandas as pd
import pytest
from mpi4py import MPI

from atomistic.curves import SeparationCurve
from atomistic.oracle import load_oracle
from coupling.corrected_separation import rescale_separation
from coupling.errors import CouplingError
from multiscale import AdhesionCase, load_case, predict, run_adhesion
from multiscale.config import CaseError
from multiscale.impurity_plots import make_impurity_plots
from multiscale.progress import Progress
from multiscale.studies.impurity import study_impurity
from multiscale.studies.interface import characterise_interface
from multiscale.units import EV_PER_A2_IN_J_PER_M2
from tests.mpi import run_mpi

EXAMPLE = Path(__file__).parents[2] / "examples" / "adhesion_h_al.yaml"
RESULTS = EXAMPLE.parent / "adhesion_h_al_quantum"
STRONG = {"calculator": "tests.multiscale.strong_engine:Strong"}
CASE = {
    "potential": {"calculator": "ase.calculators.emt:EMT"},
    "crystal": {"element": "Al", "structure": "fcc"},
    "interface": {"plane": [1, 1, 1]},
    "impurity": {"element": "H", "site": "octahedral", "repeat": [1, 2]},
    "embedding": {
        "engine": STRONG,
        "mode": "single points",
        "core": {"species": "H"},
        "buffer": "6 angstrom",
    },
    "decohesion": {"mode": "rigid", "planes": 6, "relax": False, "opening": {"to": "6 angstrom", "points": 12}},
    "specimen": {"shape": "double cantilever beam", "length": "40 nm", "arm_height": "6 nm", "initial_crack": "9 nm"},
    "mesh": {"degree": 1, "elements_in_zone": 4},
    "loading": {"opening": {"to": "6 nm", "steps": 12}},
    "verification": {"stacks": [], "quantum_openings": ["1 angstrom"]},
}


def study(tmp_path, **changes):
    case = AdhesionCase(**{**CASE, **changes})
    interface = characterise_interface(case, comm=MPI.COMM_SELF, progress=Progress.silent())
    return study_impurity(case, interface, directory=tmp_path, comm=MPI.COMM_SELF, progress=Progress.silent())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("impurity") / "run"
    return run_adhesion(AdhesionCase(**CASE), directory=directory, comm=MPI.COMM_SELF)


def test_an_engine_stronger_by_a_factor_gives_works_larger_by_it(run):
    # All six planes are in the quantum cell: E = E_QM, and the corrected quantities scale exactly.
    for side in (run.impurity.clean, run.impurity.impure):
        assert side.quantum_work == pytest.approx(1.3 * side.work, rel=1e-9)
        assert side.corrected.work_of_separation == pytest.approx(side.quantum_work)
        assert side.extraction.work == pytest.approx(side.quantum_work, rel=0.02)
        ratio = side.quantum_work / side.curve.work_of_separation
        assert side.corrected.traction == pytest.approx(ratio * side.curve.traction)
    assert run.impurity.potency(quantum=True) == pytest.approx(1.3 * run.impurity.potency(quantum=False), rel=1e-9)
    for check in run.impurity.checks:
        assert check.point == pytest.approx(1.3 * check.potential, rel=1e-9)


def test_the_potency_is_the_difference_of_the_bindings(run):
    # Δg_int − Δg_surf, the reference in the bulk the same in both: Rice and Wang's identity.
    gap, surface = run.impurity.binding()
    assert gap - surface == pytest.approx(run.impurity.potency(quantum=False), abs=1e-6)


def test_quantum_equal_to_the_potential_changes_nothing(tmp_path):
    # Here the quantum cell is six of nine planes.
    case = {
        "embedding": CASE["embedding"] | {"engine": CASE["potential"]},
        "decohesion": CASE["decohesion"] | {"planes": 9},
        "verification": {"stacks": []},
    }
    interface, found = study(tmp_path, **case)
    assert [point.atoms for point in found.points] == [6, 6, 13, 13]
    assert [point.of for point in found.points] == [9, 9, 19, 19]
    for side in (found.clean, found.impure):
        assert side.quantum_work == pytest.approx(side.work, rel=1e-9)
    assert interface.extraction.work == pytest.approx(found.clean.quantum_work, rel=0.02)


def test_an_impurity_without_quantum_mechanics(tmp_path):
    interface, found = study(tmp_path, embedding=None, verification={"stacks": []})
    assert found.points == ()
    assert found.clean.corrected is None
    assert found.clean.extraction is interface.extraction
    assert found.impure.best_work == found.impure.work
    # Hydrogen in aluminium is bound more strongly to the surface than to any hole of the crystal.
    assert found.potency(quantum=False) > 0.3
    assert found.impure.curve.work_of_separation < 0.8 * found.clean.curve.work_of_separation


def test_results_are_found_again(run):
    _, again = study(run.directory)
    assert run.impurity.calculations == (6, 0)
    assert again.calculations == (0, 6)
    assert again.impure.quantum_work == pytest.approx(run.impurity.impure.quantum_work, rel=1e-12)


def test_the_specimen_on_either_law(run):
    # Beam theory: at the same crack the opening at onset goes as √W. 15%: load steps of 0.5 nm, and a process zone as long as
    # a tenth of the crack.
    ratio = np.sqrt(run.impurity.impure.extraction.work / run.impurity.clean.extraction.work)
    assert run.impure_path.stopped is None
    assert run.impure_path.onset.load / run.onset.load == pytest.approx(ratio, rel=0.15)


def test_files_are_read_back(run):
    results = json.loads((run.directory / "results.json").read_text())
    values = {q["name"]: q["value"] for q in results["quantities"]}
    study = run.impurity
    assert values["work of separation, clean"] == pytest.approx(study.clean.quantum_work * EV_PER_A2_IN_J_PER_M2)
    assert values["work of separation, with impurity"] == pytest.approx(
        study.impure.quantum_work * EV_PER_A2_IN_J_PER_M2
    )
    assert values["coverage"] == 0.5
    rows = results["quantum"]["rows"]
    assert len(rows) == 6
    for row in rows:
        assert row["E (eV)"] == pytest.approx(row["E_ML(all) (eV)"] + row["E_QM(C) (eV)"] - row["E_ML(C) (eV)"])
    assert len(results["quantum_checks"]["rows"]) == 2
    for name, side in (("clean", study.clean), ("impure", study.impure)):
        curve = pd.read_csv(run.directory / f"separation_{name}.csv", comment="#")
        assert curve["corrected energy [J/m^2]"].to_numpy() == pytest.approx(
            side.corrected.energy * EV_PER_A2_IN_J_PER_M2, abs=1e-6
        )
    path = pd.read_csv(run.directory / "load_opening_impure.csv", comment="#")
    assert len(path) == len(run.impure_path.steps) + 1
    states = ase.io.read(run.directory / "impurity.extxyz", ":")
    assert [atoms.info["state"] for atoms in states] == ["clean closed", "clean open", "impure closed", "impure open"]
    assert states[3].get_potential_energy() == pytest.approx(study.impure.open.energy)
    make_impurity_plots(run.directory)
    assert (run.directory / "impurity.png").stat().st_size > 20_000


def test_what_is_expected_says_what_it_leaves_out():
    _, warnings = predict(AdhesionCase(**CASE), comm=MPI.COMM_SELF)
    assert any("clean interface by the potential alone" in warning for warning in warnings)


def test_ranks_agree(run, tmp_path):
    script = """
import json, sys
from mpi4py import MPI
from multiscale import AdhesionCase
from multiscale.progress import Progress
from multiscale.studies.impurity import study_impurity
from multiscale.studies.interface import characterise_interface
from tests.multiscale.test_adhesion_impurity import CASE
case = AdhesionCase(**{**CASE, "verification": {"stacks": []}})
comm = MPI.COMM_WORLD
interface = characterise_interface(case, comm=comm, progress=Progress.silent())
from pathlib import Path
_, study = study_impurity(case, interface, directory=Path(sys.argv[1]), comm=comm, progress=Progress.silent())
works = comm.allgather([study.clean.quantum_work, study.impure.quantum_work, study.impure.extraction.peak_traction])
if comm.rank == 0:
    assert all(w == works[0] for w in works), works
    print(json.dumps(works[0]))
"""
    done = run_mpi(2, ["-c", script, str(tmp_path)], timeout=240)
    parallel = json.loads(done.stdout.strip().splitlines()[-1])
    sides = run.impurity.clean, run.impurity.impure
    serial = [*(side.quantum_work for side in sides), run.impurity.impure.extraction.peak_traction]
    assert parallel == pytest.approx(serial, rel=1e-6)


CURVE = SeparationCurve(
    opening=np.linspace(0, 6, 20),
    energy=0.07 * (1 - (1 + np.linspace(0, 6, 20) / 0.6) * np.exp(-np.linspace(0, 6, 20) / 0.6)),
    traction=0.07 / 0.6**2 * np.linspace(0, 6, 20) * np.exp(-np.linspace(0, 6, 20) / 0.6),
    mode="rigid",
    n_planes=6,
    area=7.0,
    spacing=2.3,
    length=2.3,
    work_of_separation=0.07,
    plane=(1, 1, 1),
    potential="uber",
    noise=1e-9,
)


@pytest.mark.parametrize("factor", [0.4, 1.0, 1.36])
def test_a_corrected_curve_ends_at_its_work_and_keeps_its_shape(factor):
    corrected = rescale_separation(CURVE, factor * 0.07)
    assert corrected.work_of_separation == pytest.approx(factor * 0.07)
    assert corrected.energy == pytest.approx(factor * CURVE.energy)
    # dφ/dΔ = T still: trapezoidal integral of the traction of either.
    areas = [np.trapezoid(c.traction, c.opening) / c.work_of_separation for c in (CURVE, corrected)]
    assert areas[0] == pytest.approx(areas[1])
    assert (np.argmax(corrected.traction), corrected.opening[-1]) == (np.argmax(CURVE.traction), CURVE.opening[-1])


@pytest.mark.parametrize("work", [0.0, -0.01, float("nan")])
def test_an_interface_that_nothing_holds_is_refused(work):
    with pytest.raises(CouplingError, match="comes apart by itself"):
        rescale_separation(CURVE, work)
    with pytest.raises(CouplingError, match="curve's own"):
        rescale_separation(replace(CURVE, work_of_separation=work), 0.07)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embedding": CASE["embedding"] | {"mode": "in the loop"}}, "mode: single points"),
        ({"embedding": CASE["embedding"] | {"links": "hydrogen"}}, "links: none"),
        ({"embedding": CASE["embedding"] | {"spin": 1}}, "no spin"),
        ({"impurity": CASE["impurity"] | {"at": ["1 nm", "0 nm"]}}, "a stack is the same everywhere"),
        ({"impurity": {"element": "Al", "site": "substitutional"}}, "is no impurity"),
        ({"decohesion": {"mode": "relaxed"}}, "rigid curve"),
        ({"law": {"type": "live"}, "embedding": None, "verification": {}}, "rigid curve"),
        ({"embedding": None}, "no quantum calculations"),
        ({"verification": {"quantum_openings": ["1 angstrom", "2 angstrom"]}}, "8 quantum calculations"),
        ({"impurity": {"element": "Hx"}}, "not an element"),
        ({"impurity": CASE["impurity"] | {"repeat": [0, 1]}}, "greater than or equal to 1|at least 1"),
    ],
)
def test_what_a_stack_cannot_have_is_refused(changes, message):
    changes = {key: value for key, value in {**CASE, **changes}.items() if value is not None}
    if "law" in changes:
        changes.pop("embedding", None)
    with pytest.raises(CaseError, match=message):
        AdhesionCase(**changes)


def test_a_quantum_cell_of_too_many_atoms_is_refused(tmp_path):
    with pytest.raises(CouplingError, match="holds 48 atoms"):
        study(tmp_path, impurity=CASE["impurity"] | {"repeat": [2, 4]}, verification={"stacks": []})


@pytest.fixture(scope="module")
def shipped():
    """The structures with shipped results, by atoms and the length of their cell."""
    found = [ase.io.read(path) for path in sorted(RESULTS.glob("*/*.xyz"))]
    return {
        (name, state): atoms
        for name, count in (("clean", 6), ("H", 25))
        for state, atoms in zip(
            ("closed", "part", "open"),
            sorted((a for a in found if len(a) == count), key=lambda a: a.cell[2, 2]),
            strict=True,
        )
    }


def test_shipped_quantum_results_need_no_engine(shipped, monkeypatch):
    case = load_case(EXAMPLE)
    monkeypatch.setattr("atomistic.oracle.gpaw.installed", lambda: False)
    engine = load_oracle(case.embedding.oracle, cache=Path(case.embedding.cache), match=case.embedding.match)
    energies = {}
    for key, atoms in shipped.items():
        moved = atoms.copy()
        moved.calc = None
        # What another machine's float32 makes of the same relaxed state.
        moved.positions += np.random.default_rng(1).uniform(-0.01, 0.01, moved.positions.shape)
        energies[key] = engine.evaluate(moved, stress=False).energy
    assert engine.calculator.record.fresh == 0
    areas = {
        name: np.linalg.norm(np.cross(*shipped[name, "closed"].cell.array[:2])) / EV_PER_A2_IN_J_PER_M2
        for name in ("clean", "H")
    }
    works = {name: (energies[name, "open"] - energies[name, "closed"]) / areas[name] for name in areas}
    # Twice PBE's surface energy of Al(111): 2 × 0.77 (Tran et al. 2016, Sci. Data 3, 160080) to 2 × 0.82 J/m².
    assert 1.50 < works["clean"] < 1.66
    assert works["H"] == pytest.approx(1.209, abs=0.002)


@pytest.mark.slow
def test_the_example(tmp_path):
    case = load_case(EXAMPLE)
    run = run_adhesion(case, directory=tmp_path / "run", comm=MPI.COMM_SELF)
    study = run.impurity
    assert study.calculations == (0, 6)
    joules = EV_PER_A2_IN_J_PER_M2
    assert study.clean.work * joules == pytest.approx(1.185, abs=0.01)
    assert study.impure.work * joules == pytest.approx(0.840, abs=0.01)
    assert study.clean.quantum_work * joules == pytest.approx(1.610, abs=0.02)
    assert study.impure.quantum_work * joules == pytest.approx(1.205, abs=0.02)
    # Beam theory: the largest load goes as √W; load steps of 2 nm, 3% of the onset.
    largest = [max(step.reaction for step in steps) for steps in (run.steps, run.impure_path.steps)]
    assert largest[1] / largest[0] == pytest.approx(np.sqrt(1.205 / 1.610), rel=0.03)
