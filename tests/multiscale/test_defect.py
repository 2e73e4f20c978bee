"""The defect study on a void small enough for a test: its numbers, its files, its refusals."""

import json
from dataclasses import replace

import ase.io
import meshio
import numpy as np
import pytest
from mpi4py import MPI

from atomistic.errors import CauchyBornError
from coupling.errors import (
    DefectError,
    ForeignElementError,
    HandshakeConvergenceError,
    MethodError,
    PartitionError,
    StrainError,
    TooManyAtomsError,
)
from coupling.handshake import METHODS, HandshakeOptions, find_equilibrium, make_method
from multiscale.config import CaseError, DefectCase
from multiscale.progress import Progress
from multiscale.run import RunDirectory, RunExistsError
from multiscale.studies import all_atoms
from multiscale.studies.coupled_zone import atom_maker, characterise_crystal, plan_zone
from multiscale.studies.defect import account, predict, run_defect
from multiscale.summary import summary_lines
from multiscale.tables import read_table
from tests.mpi import run_mpi

SETTINGS = {
    "potential": "eam-al",
    "crystal": {"element": "Al", "structure": "fcc"},
    "body": {"plane": [1, 1, 1], "size": ["16 nm", "16 nm"]},
    "defect": {"type": "void", "radius": "0.5 nm"},
    "strain": {"xx": 0.01},
    "zone": {"shape": "around", "margin": "0.8 nm"},
}
DIPOLE = {
    "defect": {"type": "dipole", "separation": "2.5 nm"},
    "zone": {"shape": "around", "margin": "1.2 nm", "blend": "1 nm"},
    "strain": {},
}


def run(directory, **changes):
    return run_defect(DefectCase(**SETTINGS | changes), directory=directory, comm=MPI.COMM_SELF)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run(tmp_path_factory.mktemp("void") / "run", compare={"all_atoms": True})


def quantity(directory, name):
    results = json.loads((directory / "results.json").read_text())
    return next(q["value"] for q in results["quantities"] if q["name"] == name)


def test_it_agrees_with_all_atoms(finished):
    comparison = finished.comparison
    assert comparison.atoms > 7 * sum(finished.model.partition.counts.values())
    assert comparison.strain < 0.01
    assert finished.energy == pytest.approx(comparison.energy, abs=1e-3)
    assert 1.0 < finished.energy < 10.0  # eV a period: the surface of a hole of 1 nm
    assert comparison.largest_displacement < 2e-3
    assert comparison.solution.residual <= 1e-4


def test_nothing_is_counted_twice_and_the_energy_is_accounted_for(finished):
    assert finished.model.partition.audit.relative_error < 1e-12
    assert finished.ledger.step_closure() < 1e-6
    assert finished.ledger.total[-1] < -0.01  # eV: relaxation sets energy free
    assert quantity(finished.directory, "double counting") < 1e-12


def test_the_account_notices_a_force_that_is_missing(finished):
    """Without part of the forces their work no longer gives the energy's change."""
    method = make_method("bgfc", finished.model)

    class Lossy:
        def evaluate(self, u):
            balance = method.evaluate(u)
            object.__setattr__(balance, "residual", balance.residual - balance.parts["bulk"])
            return balance

    ledger = account(Lossy(), finished.start, finished.solution, points=6)
    assert ledger.step_closure() > 3e-2


def test_all_atoms_know_nothing_of_the_continuum(finished):
    """Missing atoms are priced by the potential: at 1% of strain a linear continuum has another energy."""
    character = finished.character
    atom = all_atoms.site_energy(character, finished.plan.far_field, comm=MPI.COMM_SELF)
    continuum = character.material.energy(finished.plan.far_field[None])[0] * character.lattice.site_volume
    assert atom == pytest.approx(continuum, abs=1e-6)
    blind = replace(character, material=None)
    energy = all_atoms.defect_energy(finished.model, finished.solution, blind, comm=MPI.COMM_SELF)
    assert energy == pytest.approx(finished.energy, abs=1e-9)


@pytest.mark.parametrize("strain", [{"zz": 0.01}, {"xz": 0.01, "yz": -0.004, "xx": 0.005}])
def test_a_strain_along_the_front_stretches_the_period(finished, strain):
    """An atom in the middle of a perfect cluster has the energy of the strained crystal, and no force."""
    case = DefectCase(**SETTINGS | {"strain": strain})
    character, plan = finished.character, plan_zone(case, finished.character)
    lattice = character.lattice
    indices = lattice.offsets_within(25.0)
    atoms = replace(atom_maker(case, character, plan, MPI.COMM_SELF), perfect=True)(indices)
    places = lattice.positions(indices) @ plan.far_field.T
    middle = int(np.argmin(np.linalg.norm(places[:, :2], axis=1)))
    assert np.abs(atoms.energy_and_gradient(places)[1][middle]).max() < 1e-10
    expected = all_atoms.site_energy(character, plan.far_field, comm=MPI.COMM_SELF)
    assert atoms.site_energies(places)[middle] == pytest.approx(expected, abs=1e-9)


def test_a_step_that_the_material_refuses_is_shortened(finished):
    """Elements that bear little: the search goes on with shorter steps, and ends without an equilibrium, not as a mistake."""
    method = make_method("bgfc", finished.model)

    class Brittle:
        def __init__(self, bears):
            self.bears, self.refused = bears, 0

        def __getattr__(self, name):
            return getattr(method, name)

        def evaluate(self, u):
            if np.abs(u).max() > self.bears:
                self.refused += 1
                raise CauchyBornError("too much")
            return method.evaluate(u)

    largest = np.abs(finished.solution.u).max()
    for solver in ("anderson", "lbfgs"):
        brittle = Brittle(0.5 * largest)
        with pytest.raises(HandshakeConvergenceError, match="beyond what their material takes"):
            find_equilibrium(brittle, start=finished.start, options=HandshakeOptions(solver=solver))
        assert brittle.refused > 6


def test_held_atoms_must_stand_where_elements_are_held(finished, monkeypatch):
    """The comparison sees a boundary that lies half a row elsewhere: the alignment is not decoration."""
    corners = finished.plan.corners
    inset = np.abs(all_atoms._inset(finished.character.lattice, corners)).max(axis=0)
    length = np.linalg.norm(finished.character.lattice.row @ finished.character.lattice.basis)
    # Rows of fcc (111) seen along [1-10] begin at thirds of the spacing: the middle one shall be held on the boundary.
    assert inset[0] == pytest.approx(length / 3, rel=1e-4)
    assert inset[1] == 0.0
    rows = corners[2] / [length, finished.character.lattice.row_spacing]
    np.testing.assert_allclose(rows, np.rint(rows), atol=1e-9)


def test_atoms_and_body_overlay_in_one_frame(finished):
    atoms = ase.io.read(finished.directory / "zone.extxyz")
    body = meshio.read(finished.directory / "body.vtu")
    counts = finished.model.partition.counts
    assert [int((atoms.arrays["role"] == k).sum()) for k in range(3)] == list(counts.values())
    weighted = atoms.arrays["role"] < 2
    assert (atoms.arrays["beta"][weighted] < 1.0).all()
    for place in atoms.positions[weighted][::17]:
        # Each atom of core and blend lies upon the node that shares its displacement.
        gap = np.linalg.norm(body.points[:, :2] - place[:2], axis=1).min()
        assert gap < 1e-6
    assert atoms.pbc.tolist() == [False, False, True]
    assert atoms.cell[2, 2] == pytest.approx(finished.character.lattice.thickness)
    stress = body.cell_data["von Mises stress [GPa]"][0]
    far = body.cell_data["strain"][0] < 1e-4
    # Far away: the applied 1%, in plane strain, of about C11 - C12, in the axes of the body.
    assert 0.2 < np.median(stress[far]) < 1.0
    weight = body.cell_data["weight"][0]
    assert weight.min() == 0.0
    assert weight.max() == 1.0


def test_tables_figures_and_page(finished):
    convergence = read_table(finished.directory / "convergence.csv")
    assert convergence["largest force"][-1] <= 1e-4
    decay = read_table(finished.directory / "interaction.csv")["force constant"]
    assert decay[0] > 1.0 > 1e-6 > decay[-1]
    profile = read_table(finished.directory / "error.csv")
    assert profile["distance from the core"][0] < 0.0
    for name in ("zone.png", "convergence.png", "error.png", "interaction.png", "report.html"):
        assert (finished.directory / name).stat().st_size > 10_000
    page = (finished.directory / "report.html").read_text()
    assert "Defect: void in Al with eam-al" in page
    record = json.loads((finished.directory / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["potential"]["calls"] > 20


def test_forces_alone_agree_with_the_energy(finished, tmp_path):
    by_forces = run(tmp_path / "bqcf", method="bqcf")
    by_turns = run(tmp_path / "schwarz", method="schwarz", solver={"turns": "anderson"})
    assert by_forces.ledger is None
    assert np.isnan(by_forces.energy)

    def core(result):
        model = result.model
        return (model.to_atoms @ result.solution.u)[model.partition.beta[model.present] == 0.0]

    scale = np.abs(core(finished)).max()
    for other in (by_forces, by_turns):
        assert np.abs(core(other) - core(finished)).max() < 0.03 * scale


def test_controls_are_worse_and_say_so(tmp_path):
    errors = {}
    for method in ("bgfc", "clamped"):
        zone = {"shape": "around", "margin": "0.8 nm"}
        done = run(tmp_path / method, method=method, zone=zone, compare={"all_atoms": True})
        errors[method] = done.comparison.strain
    assert errors["clamped"] > 10 * errors["bgfc"]
    assert any("clamped atoms feel no elastic" in warning for warning in done.warnings)


def test_a_dipole_of_screws(tmp_path):
    done = run(tmp_path / "dipole", **DIPOLE, compare={"all_atoms": True}, output={"closure_points": 0})
    assert done.comparison.strain < 0.03
    assert done.energy == pytest.approx(done.comparison.energy, abs=2e-3)
    # Both are where they began: round the upper one heights of atoms add up to one Burgers vector, round both to none.
    model, dipole = done.model, done.plan.defect
    places = model.partition.lattice.places(model.partition.indices[model.present])
    height = (model.to_atoms @ done.solution.u)[:, 2]
    both = 0.5 * (np.array(dipole.upper) + dipole.lower)
    for middle, low, high, expected in ((np.array(dipole.upper), 7.0, 10.0, dipole.burgers), (both, 19.0, 22.0, 0.0)):
        out = places - middle
        ring = np.flatnonzero((np.linalg.norm(out, axis=1) > low) & (np.linalg.norm(out, axis=1) < high))
        order = ring[np.argsort(np.arctan2(out[ring, 1], out[ring, 0]))]
        steps = np.diff(height[np.append(order, order[0])])
        steps -= dipole.burgers * np.rint(steps / dipole.burgers)
        assert abs(steps.sum()) == pytest.approx(expected, abs=1e-9)


def test_an_inclusion_needs_both_elements_and_pulls_the_crystal_in(tmp_path):
    alloy = {"name": "lammps", "pair_style": "eam/alloy", "files": ["AlCu.eam.alloy"], "elements": ["Al", "Cu"]}
    inclusion = {"type": "inclusion", "element": "Cu", "radius": "0.4 nm"}
    done = run(tmp_path / "inclusion", potential=alloy, defect=inclusion, strain={})
    atoms = ase.io.read(done.directory / "zone.extxyz")
    copper = atoms.symbols == "Cu"
    assert copper.sum() == 7
    # Copper is smaller: atoms at the core's edge move inward, and the ghost force correction leaves that in place.
    sites = done.model.partition.indices[done.model.present]
    outward = done.model.partition.lattice.places(sites)
    moved = (done.model.to_atoms @ done.solution.u)[:, :2]
    ring = (np.linalg.norm(outward, axis=1) > 4.5) & (np.linalg.norm(outward, axis=1) < 9.0)
    radial = np.sum(moved * outward, axis=1)[ring] / np.linalg.norm(outward, axis=1)[ring]
    assert radial.mean() < -0.05


def test_a_solid_body(tmp_path):
    body = {"dimension": 3, "size": ["4 nm", "4 nm", "4 nm"], "elements": "linear"}
    zone = {"shape": "around", "margin": "0.35 nm", "blend": "0.65 nm"}
    done = run(tmp_path / "solid", body=body, defect={"type": "vacancy"}, zone=zone, strain={})
    assert done.model.partition.counts["core"] == 12  # the neighbours of the missing atom
    assert done.energy == pytest.approx(
        0.66, abs=0.15
    )  # eV, the potential's vacancy, a little stiffened by the boundary
    assert (done.directory / "zone.png").stat().st_size > 10_000


REFUSALS = [
    ({"body": {"size": ["5 nm", "5 nm"]}}, PartitionError, "touches the boundary"),
    ({"zone": {"shape": "around", "margin": "0.8 nm", "blend": "3 angstrom"}}, PartitionError, "reach 6.24 Å"),
    ({"zone": {"shape": "around", "margin": "0.8 nm", "pad": "7 nm"}}, PartitionError, "pad atoms lie outside"),
    ({"zone": {"shape": "disc", "radius": "0.4 nm"}}, DefectError, "ends 1.00 Å short"),
    (
        {"defect": {"type": "void", "radius": "0.2 angstrom", "center": ["0.7 angstrom", "0.8 angstrom"]}},
        DefectError,
        "no atom",
    ),
    (
        {"defect": {"type": "inclusion", "element": "Cu", "radius": "0.4 nm"}},
        ForeignElementError,
        "no parameters for Cu",
    ),
    ({"strain": {"xx": 0.2, "yy": 0.2, "zz": 0.2}}, StrainError, "unstable under this strain"),
    ({"compare": {"all_atoms": True, "largest": 1000}}, TooManyAtomsError, "raise compare.largest"),
]


@pytest.mark.parametrize(("changes", "error", "words"), REFUSALS)
def test_set_ups_that_cannot_be_are_refused(tmp_path, changes, error, words):
    with pytest.raises(error, match=words):
        run(tmp_path / "run", **changes)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["status"] == "failed"
    assert record["mistake"]  # so that the mended case may use the directory
    RunDirectory(tmp_path / "run")


IMPOSSIBLE = [
    ({"solver": {"turns": "aitken"}}, "only the method schwarz takes turns"),
    ({"solver": {"tolerance": "1e-30 eV/angstrom"}}, "lost in rounding"),
    ({"body": {"size": ["20 m", "20 m"]}}, "too large to be meshed"),
    ({"strain": {"xx": float("nan")}}, "finite number"),
    ({"method": "arlequin"}, "couple_arlequin"),
    ({"zone": {"shape": "band", "points": [["0 nm", "0 nm"]] * 2, "half_width": "1 nm"}}, "the same"),
]


@pytest.mark.parametrize(("changes", "words"), IMPOSSIBLE)
def test_cases_that_mean_nothing_are_refused(changes, words):
    with pytest.raises(CaseError, match=words):
        DefectCase(**SETTINGS | changes)


def test_the_terminal_gets_warnings_and_the_numbers(finished, tmp_path):
    lines = summary_lines(finished.directory)
    assert len(lines) <= 6
    assert f"formation energy: {finished.energy:.4g} eV" in lines
    assert any(line.startswith("error against all atoms: 0.") for line in lines)
    results = {"warnings": ["beware"], "quantities": []}
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert summary_lines(tmp_path) == ["warning: beware"]
    assert summary_lines(tmp_path / "nowhere") == []


def test_an_interrupted_run_says_so(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.fail(KeyboardInterrupt())
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["status"] == "interrupted"
    assert not record["mistake"]


def test_a_potential_without_site_energies_is_told_what_would_do(tmp_path):
    nickel = {"potential": "snap-ni", "crystal": {"element": "Ni", "structure": "fcc"}}
    with pytest.raises(MethodError, match="gives forces only: use bqcf or schwarz"):
        run(tmp_path / "run", **nickel)


def test_a_search_that_fails_leaves_its_state_and_says_where(tmp_path):
    with pytest.raises(HandshakeConvergenceError, match=r"no equilibrium.*last state is in .*whole"):
        run(tmp_path / "whole", solver={"max_calls": 3})
    assert (tmp_path / "whole" / "zone.extxyz").exists()
    assert (tmp_path / "whole" / "body.vtu").exists()
    assert (tmp_path / "whole" / "report.html").exists()
    with pytest.raises(RunExistsError, match="did not come to its end"):
        RunDirectory(tmp_path / "whole")
    with pytest.raises(HandshakeConvergenceError, match=r"atoms' sub-problem"):
        run(tmp_path / "turns", method="schwarz", solver={"turns": "plain", "max_calls": 3})
    assert len(ase.io.read(tmp_path / "turns" / "zone.extxyz")) > 100


def test_the_prediction_counts_what_will_be_computed():
    rows, warnings = predict(DefectCase(**SETTINGS), comm=MPI.COMM_SELF)
    told = dict(rows)
    assert "missing" in told["atoms"]
    assert told["whole body"].endswith("atoms")
    assert "evaluations" in told["expected time"]
    assert warnings == []


def test_every_method_of_the_coupling_can_be_asked_for():
    asked = set(DefectCase.model_fields["method"].annotation.__args__)
    assert asked <= set(METHODS)


def test_the_pad_follows_the_method():
    widths = {}
    for method in ("bgfc", "bqcf"):
        case = DefectCase(**SETTINGS | {"method": method})
        character = characterise_crystal(case, comm=MPI.COMM_SELF, progress=Progress.silent())
        widths[method] = plan_zone(case, character).pad
    # Weighted energies need what a site sees, forces what the neighbours of a site see.
    assert widths["bqcf"] > widths["bgfc"] + 1.0


RANKS = """
import json, sys
import numpy as np
from mpi4py import MPI
from multiscale.config import DefectCase
from multiscale.studies.defect import run_defect
result = run_defect(DefectCase(**json.loads(sys.argv[1])), directory=sys.argv[2], comm=MPI.COMM_WORLD)
np.save(f"{sys.argv[2]}/u{MPI.COMM_WORLD.rank}.npy", result.solution.u)
"""


@pytest.mark.parametrize("ranks", [2, 3])
def test_any_number_of_ranks_gives_the_same_state(finished, tmp_path, ranks):
    settings = SETTINGS | {"output": {"closure_points": 0}}
    run_mpi(ranks, ["-c", RANKS, json.dumps(settings), str(tmp_path / "run")], timeout=150)
    for rank in range(ranks):
        found = np.load(tmp_path / "run" / f"u{rank}.npy")
        np.testing.assert_allclose(found, finished.solution.u, rtol=0, atol=1e-8)
