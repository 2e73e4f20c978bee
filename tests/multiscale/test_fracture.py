"""The fracture study on a crack of iron small enough for a test: its numbers, its files, its refusals."""

import dataclasses
import json

import ase.io
import meshio
import numpy as np
import pytest
from mpi4py import MPI

from atomistic.errors import UnknownCutError
from coupling.crack.recentre import carry
from coupling.errors import HandshakeConvergenceError, PartitionError
from multiscale.config import FractureCase
from multiscale.errors import CohesiveZoneError, CrackLoadError, PrecisionError, ValidityError
from multiscale.progress import Progress
from multiscale.studies import crack_states
from multiscale.studies.crack_path import Walk
from multiscale.studies.crack_references import check_fit, find_references, valid_intensity
from multiscale.studies.crack_system import build_crack, characterise_crack, check_precision, plan_crack
from multiscale.studies.fracture import predict, run_fracture
from multiscale.summary import summary_lines
from multiscale.tables import read_table
from multiscale.units import EV_PER_A25_IN_MPA_SQRT_M
from tests.mpi import run_mpi

# The (110)[1-10] crack of this potential cleaves; its own second derivatives make states cheap.
SETTINGS = {
    "potential": "eam-fe",
    "crystal": {"element": "Fe", "structure": "bcc"},
    "crack": {"plane": [1, 1, 0], "front": [1, -1, 0]},
    "zone": {"radius": "1.2 nm", "blend": "0.8 nm"},
    "body": {"shape": "disc", "radius": "100 nm"},
    "load": {"path": "follow", "start": "0.95 K_G"},
}
STEPS = {"load": {"path": "steps", "levels": ["1 K_G", "1.1 K_G", "1.35 K_G", "1 K_G", "0.9 K_G", "0.82 K_G"]}}
STRIP = {"shape": "thin strip", "length": "120 nm", "height": "40 nm", "crack": "60 nm"}


def steps(*levels):
    return {"load": {"path": "steps", "levels": list(levels)}}


def run(directory, **changes):
    return run_fracture(FractureCase(**SETTINGS | changes), directory=directory, comm=MPI.COMM_SELF)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run(tmp_path_factory.mktemp("crack") / "run")


@pytest.fixture(scope="module")
def parts():
    """Character, references and plan of the settings."""
    case = FractureCase(**SETTINGS)
    character = characterise_crack(case, comm=MPI.COMM_SELF, progress=Progress.silent())
    references = find_references(case, character, comm=MPI.COMM_SELF, progress=Progress.silent())
    return case, character, references, plan_crack(case, character)


def walk_of(parts, **changes):
    _case, character, references, plan = parts
    progress = Progress.silent()
    with progress.phase("path") as phase:
        return Walk(
            case=FractureCase(**SETTINGS | changes),
            character=character,
            references=references,
            plan=plan,
            comm=MPI.COMM_SELF,
            phase=phase,
        )


def quantity(directory, name):
    results = json.loads((directory / "results.json").read_text())
    return next(q["value"] for q in results["quantities"] if q["name"] == name)


def test_the_lattice_holds_the_crack_on_both_sides_of_griffith(finished):
    trapping, griffith = finished.trapping, finished.references.griffith
    assert 1.1 < trapping.k_plus / griffith < 1.25
    assert 0.8 < trapping.k_minus / griffith < 0.95
    # Griffith's criterion by the atoms themselves: one period of advance costs its surfaces. What is left is that the tip
    # has moved in a body of 100 nm, of the order of a period over its radius, and J's own nonlinearity of half a percent.
    assert trapping.maxwell == pytest.approx(griffith, rel=0.01)
    assert 0.05 < trapping.barrier < 0.3  # eV a period of 4 Å


def test_the_barrier_by_forces_and_by_energies_agree(finished):
    """Two independent sums; blended forces are no gradient, which costs some thousandths of a barrier."""
    assert finished.trapping.barrier_counted == pytest.approx(finished.trapping.barrier, rel=0.02)
    assert finished.ledger.step_closure() < 1e-3


def test_a_period_of_advance_shifts_all_fields_by_a_period(finished):
    assert finished.trapping.shift_error < 0.01  # Å, in the whole core, displacements there reach 2 Å
    last = finished.points[-1]
    assert last.advance == pytest.approx(1.0)
    first = finished.points[0]
    # Both ways to find the tip see the same advance.
    assert last.tip_field - first.tip_field == pytest.approx(finished.character.period, rel=0.3)


def test_j_is_what_the_load_releases(finished):
    ratios = [point.j / point.release for point in finished.points]
    assert max(abs(ratio - 1.0) for ratio in ratios) < 0.01


def test_no_dislocation_is_seen_where_none_is(finished):
    assert all(not point.emission for point in finished.points)
    assert finished.warnings == []


def test_files_hold_the_path(finished):
    folder, griffith = finished.directory, finished.references.griffith
    table = read_table(folder / "path.csv")
    assert len(table["state"]) == len(finished.points)
    assert table["k/k_g"].max() * griffith <= finished.trapping.k_plus * (1 + 1e-6)
    trapping = json.loads((folder / "trapping.json").read_text())
    assert trapping["k_plus"][0] == pytest.approx(finished.trapping.k_plus * EV_PER_A25_IN_MPA_SQRT_M)
    assert quantity(folder, "Griffith toughness") == pytest.approx(griffith * EV_PER_A25_IN_MPA_SQRT_M)
    frames = ase.io.read(folder / "atoms.extxyz", index=":")
    counts = np.bincount(frames[0].arrays["role"], minlength=3)
    assert counts.sum() == len(finished.pictures[0].role)
    assert counts.min() > 50
    body = meshio.read(folder / "states" / "last.vtu")
    assert "weight" in body.cell_data
    for name in ("plane.csv", "rings.csv", "ledger.csv", "references.json", "report.html"):
        assert (folder / name).stat().st_size > 200
    lines = summary_lines(folder)
    assert any(line.startswith("advance toughness: 1.") for line in lines)
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "finished"


def test_loads_one_by_one_bracket_the_same_toughness(finished, tmp_path):
    """Up until the crack gives way, and down until it closes: two runs, because atoms that gave way may end anywhere."""
    up = run(tmp_path / "up", **steps("1 K_G", "1.1 K_G", "1 K_G", "1.12 K_G", "1.22 K_G"))
    assert up.trapping.k_plus == pytest.approx(finished.trapping.k_plus, abs=up.trapping.plus_error[0])
    # The equilibrium at one load is the same on the way up and down, to what the tolerance of 1e-6 eV/Å leaves.
    first, back = up.points[0].state, up.points[2].state
    assert first.load == back.load
    assert np.abs(first.positions - back.positions).max() < 1e-5
    down = run(tmp_path / "down", **steps("1 K_G", "0.92 K_G", "0.82 K_G"))
    assert down.trapping.k_minus == pytest.approx(finished.trapping.k_minus, abs=down.trapping.minus_error[0])


def test_grips_open_a_strip_at_the_same_intensity(finished, tmp_path):
    load = {"path": "steps", "levels": ["1 K_G", "1.05 K_G"]}
    done = run(tmp_path / "strip", body=STRIP, load=load)
    assert done.points[0].load > 1.0  # Å
    # By J, in a strip 40 nm high: what is linear in the case is nonlinear in the body, by some percent.
    assert done.points[0].intensity == pytest.approx(done.references.griffith, rel=0.05)
    nearest = min(
        finished.points, key=lambda p: abs(p.intensity - done.points[0].intensity) + (0 if p.state.stable else 9)
    )
    across = done.points[0].broken, nearest.broken
    assert abs(across[0] - across[1]) <= 2


def test_the_zone_moves_along_without_a_jump(parts):
    """Carried over by two periods, the state is found again: same tip, same field, energy but for its hundredth of a period."""
    _, character, references, _ = parts
    walk = walk_of(parts)
    walk.begin()
    point = walk.record(walk.stage.solver.at_load(references.griffith), "up")
    walk.plan = dataclasses.replace(walk.plan, center=(2.0 * character.period, 0.0))
    moved = walk.recentre(point)
    assert moved.recentred
    assert moved.picture == 1
    assert walk.stage.observer.center[0] == pytest.approx(2.0 * character.period)
    assert moved.tip_bonds == pytest.approx(point.tip_bonds, abs=1e-9)
    period = references.two_gamma * character.period * character.columns.lattice.thickness
    assert abs(moved.energy_jump) < 0.01 * period
    assert moved.j == pytest.approx(point.j, rel=2e-3)


def test_a_state_is_carried_to_the_same_model_unchanged(parts):
    _, character, references, plan = parts
    model = build_crack(character, plan, MPI.COMM_SELF)
    u = references.griffith * np.random.default_rng(1).normal(size=model.shape)
    carried = carry(model, u, model)
    sites = model.partition.node[model.carriers]
    np.testing.assert_allclose(carried[sites], u[sites], atol=1e-9)
    other = build_crack(character, plan, MPI.COMM_SELF)
    shifted = dataclasses.replace(other.partition.lattice, origin=other.partition.lattice.origin + 0.1)
    with pytest.raises(PartitionError, match="same lattice"):
        carry(dataclasses.replace(other, partition=dataclasses.replace(other.partition, lattice=shifted)), u, model)


def test_the_path_ends_at_the_handshake_unless_the_zone_may_move(parts):
    point = dataclasses.replace(fake_point(parts), tip_bonds=9.5, intensity=0.5)
    walk = walk_of(parts)
    walk.begin()
    assert walk.must_end(point)
    assert "the tip came within" in walk.reason
    assert "load.recentre: true" in walk.reason
    walk = walk_of(parts, load={"path": "follow", "recentre": True})
    walk.begin()
    assert not walk.must_end(point)
    assert walk.at_edge(point)


def test_the_path_ends_where_the_body_means_nothing_and_where_calls_run_out(parts):
    case, character, references, plan = parts
    walk = walk_of(parts, solver={"max_calls": 1})
    walk.begin()
    limit = valid_intensity(case, character, plan, references)
    assert walk.must_end(dataclasses.replace(fake_point(parts), intensity=1.01 * limit))
    assert "leave what their material describes" in walk.reason
    walk.stage.solver.method.evaluate(np.zeros(walk.stage.solver.model.shape))
    assert walk.must_end(fake_point(parts))
    assert "raise solver.max_calls" in walk.reason


def fake_point(parts):
    from multiscale.studies.fracture_state import PathPoint

    values = {field.name: 0.0 for field in dataclasses.fields(PathPoint)}
    return PathPoint(**values | {"intensity": parts[2].griffith})


def test_a_path_that_breaks_off_leaves_what_was_found(tmp_path, monkeypatch):
    def broken(solver, first, *, sign, **state):
        yield first
        raise HandshakeConvergenceError("the atoms went wild", solution=(first.u, first.load))

    monkeypatch.setattr(crack_states, "follow", broken)
    with pytest.raises(
        HandshakeConvergenceError, match=r"went wild\. What was found until then is in the run directory"
    ):
        run(tmp_path / "run")
    folder = tmp_path / "run"
    assert len(read_table(folder / "path.csv")["state"]) == 1
    assert "no further equilibrium" in json.loads((folder / "results.json").read_text())["warnings"][0]
    assert (folder / "report.html").exists()
    assert json.loads((folder / "run.json").read_text())["status"] == "failed"


REFUSALS = [
    ({"crack": SETTINGS["crack"] | {"cut": "shuffle"}}, UnknownCutError, "has no cut 'shuffle'"),
    (
        {"zone": {"radius": "2 angstrom"}},
        CohesiveZoneError,
        r"cohesive zone of this crack, about .*\(π/8\) E\* 2γ/σ² = ",
    ),
    ({"load": {"path": "follow", "start": "9 K_G"}}, ValidityError, r"the largest load, .* beyond the 20 %"),
    (
        {"material": {"type": "linear", "largest_strain": 0.01}},
        ValidityError,
        r"K_G, .* beyond the 1 %.*Write at least",
    ),
    ({"zone": {"radius": "1.2 nm", "blend": "3 angstrom"}}, PartitionError, "make it at least that"),
    ({"body": {"shape": "disc", "radius": "2.2 nm"}}, PartitionError, "lie outside the body"),
]


@pytest.mark.parametrize(("changes", "error", "words"), REFUSALS)
def test_set_ups_that_cannot_be_are_refused(tmp_path, changes, error, words):
    with pytest.raises(error, match=words):
        run(tmp_path / "run", **changes)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["status"] == "failed"
    assert record["mistake"]


def test_shares_of_griffith_need_room_for_j(tmp_path):
    tight = {"shape": "thin strip", "length": "12 nm", "height": "6 nm", "crack": "6 nm"}
    with pytest.raises(CrackLoadError, match="Write the load as an opening"):
        run(tmp_path / "run", body=tight, load={"path": "steps", "levels": ["1 K_G"]})


def test_single_precision_takes_steps_only(parts):
    _, character, _, _ = parts

    class Coarse:
        capabilities = dataclasses.replace(character.potential.capabilities, precision="float32")

    with pytest.raises(PrecisionError, match=r"continuation needs differences.*path: steps"):
        check_precision(FractureCase(**SETTINGS), Coarse())
    with pytest.raises(PrecisionError, match=r"solver\.type: fall"):
        check_precision(FractureCase(**SETTINGS | steps("1 K_G") | {"solver": {"type": "newton"}}), Coarse())
    check_precision(FractureCase(**SETTINGS | steps("1 K_G")), Coarse())


def test_references_do_not_depend_on_the_zone(parts):
    """K_G = √(2γE*), and for a mixture what releases the same energy."""
    case, character, references, plan = parts
    assert references.griffith**2 == pytest.approx(references.two_gamma * references.modulus, rel=1e-12)
    assert references.release(references.griffith) == pytest.approx(references.two_gamma, rel=1e-12)
    assert references.intensity(references.two_gamma) == pytest.approx(references.griffith, rel=1e-12)
    assert 0.0 < references.cohesive_length < 12.0
    # The law's peak is that of its samples, and it holds nothing at a far opening.
    assert references.traction(np.array([0.7]))[0] == pytest.approx(references.peak, rel=0.2)
    assert references.traction(np.array([50.0]))[0] == 0.0
    check_fit(case, character, plan, references)
    mixed = FractureCase(**SETTINGS | {"crack": SETTINGS["crack"] | {"mode": {"I": 1.0, "II": 0.5}}})
    other = find_references(mixed, character, comm=MPI.COMM_SELF, progress=Progress.silent())
    assert other.griffith < references.griffith
    assert other.release(other.griffith) == pytest.approx(references.two_gamma, rel=1e-12)


def test_the_prediction_names_the_toughness():
    rows, warnings = predict(FractureCase(**SETTINGS), comm=MPI.COMM_SELF)
    told = dict(rows)
    assert "0.92" in told["Griffith toughness"]
    assert "core" in told["atoms"]
    assert warnings == []


RANKS = """
import json, sys
import numpy as np
from mpi4py import MPI
from multiscale.config import FractureCase
from multiscale.studies.fracture import run_fracture
result = run_fracture(FractureCase(**json.loads(sys.argv[1])), directory=sys.argv[2], comm=MPI.COMM_WORLD)
np.save(f"{sys.argv[2]}/u{MPI.COMM_WORLD.rank}.npy", result.points[-1].state.u)
"""


def test_any_number_of_ranks_gives_the_same_state(tmp_path):
    settings = SETTINGS | {"load": {"path": "steps", "levels": ["1 K_G", "1.1 K_G"]}}
    alone = run_fracture(FractureCase(**settings), directory=tmp_path / "alone", comm=MPI.COMM_SELF)
    for ranks in (2, 3):
        run_mpi(ranks, ["-c", RANKS, json.dumps(settings), str(tmp_path / f"run{ranks}")], timeout=150)
        for rank in range(ranks):
            found = np.load(tmp_path / f"run{ranks}" / f"u{rank}.npy")
            np.testing.assert_allclose(found, alone.points[-1].state.u, rtol=0, atol=1e-8)
