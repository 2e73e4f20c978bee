"""The active-learning study: from a case file to a taught potential, stopped and taken up again, loaded on the way."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import read
from ruamel.yaml import YAML

from atomistic.active_learning import RelaxationRun
from atomistic.labelled import LabelledFrame, read_frames, write_frames
from atomistic.potentials import as_potential, load_potential
from multiscale import ActiveLearningCase, AdhesionCase, load_case, run_active_learning
from multiscale.cli import main
from multiscale.config import CaseError, LearningModel
from multiscale.errors import LearningStoppedError
from multiscale.learning_plots import make_learning_plots
from multiscale.report import render
from multiscale.spread import members_of
from multiscale.studies import launch
from multiscale.studies.active_learning import warnings_of
from multiscale.studies.active_learning_run import along_load, build_run, build_start
from multiscale.studies.learning_build import STATE, first_frames, make_options, make_student
from tests.mpi import run_mpi
from tests.pair_student import Morse, PairStudent

ROOT = Path(__file__).parents[2]
MORSE = {"calculator": "tests.pair_student:Morse"}
RUN = {"type": "dynamics", "steps": 30, "temperature": "800 K", "timestep": "3 fs", "seed": 1}
STUDENT = {"factory": "tests.pair_student:PairStudent"}


@pytest.fixture(autouse=True)
def _no_pages(monkeypatch):
    monkeypatch.setattr(launch, "make_report", lambda path: path)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "held_out.extxyz"
    frames = []
    for seed in (100, 101):
        atoms = bulk("Al", cubic=True, a=4.0) * (2, 2, 1)
        atoms.rattle(0.1, seed=seed)
        found = as_potential(Morse()).evaluate(atoms)
        frames.append(LabelledFrame(atoms=atoms, energy=found.energy, forces=found.forces, stress=found.stress))
    write_frames(path, frames)
    return str(path)


def data_of(held_out, **changes):
    learning = {
        "oracle": MORSE,
        "threshold": "0.04 eV/angstrom",
        "student": STUDENT,
        "data": {"frames": 2, "rattle": "0.03 angstrom", "held_out": held_out},
    }
    return {
        "potential": "emt",
        "structure": {"crystal": {"element": "Al", "structure": "fcc"}, "repeat": [2, 2, 1]},
        "run": RUN,
        "learning": learning | changes,
    }


def case(held_out, **changes):
    return ActiveLearningCase(**data_of(held_out, **changes))


def results(directory):
    return json.loads((directory / "results.json").read_text())


def value(directory, name):
    return next(q["value"] for q in results(directory)["quantities"] if q["name"] == name)


@pytest.fixture(scope="module")
def done(tmp_path_factory, held_out):
    directory = tmp_path_factory.mktemp("learning") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "make_report", lambda path: path)
        result = run_active_learning(case(held_out), directory=directory)
    return directory, result


def test_the_run_ends_with_a_taught_potential(done):
    directory, result = done
    assert result.learning.stop == value(directory, "end of the learning") == "finished"
    calls = value(directory, "oracle calls")
    assert calls == result.learning.oracle_calls + 2 == result.oracle_calls > 2
    assert value(directory, "steps of the run") == 30
    before, after = (value(directory, f"held-out force error{end}") for end in (" before teaching", ", taught"))
    assert after < 0.2 * before
    assert result.potential_file == directory / "taught.npz"
    atoms = result.end
    taught = PairStudent().load(result.potential_file).evaluate(atoms).forces
    assert np.abs(taught - as_potential(Morse()).evaluate(atoms).forces).max() < 0.2
    frames = read_frames(directory / "initial.extxyz")
    assert [frame.provenance["reason"] for frame in frames] == ["taught before the run"] * 2
    assert all(frame.stress is not None for frame in frames)


def test_tables_events_and_picture_tell_every_check_and_call(done):
    directory, result = done
    lines = (directory / "doubt.csv").read_text().splitlines()
    assert len(lines) == 2 + len(result.learning.checks)
    calls = [int(line.split(",")[-1]) for line in lines[2:]]
    assert (
        sum(calls)
        == result.learning.labelled
        == sum(
            json.loads(line).get("what") == "labelled" for line in (directory / "events.jsonl").read_text().splitlines()
        )
    )
    rounds = (directory / "rounds.csv").read_text().splitlines()
    assert [int(line.split(",")[0]) for line in rounds[2:]] == list(range(-1, result.learning.rounds + 1))
    assert float(rounds[-1].split(",")[3]) == result.oracle_calls
    figures = {path.name: path for path in make_learning_plots(directory)}
    page = render(json.loads((directory / "run.json").read_text()), results(directory), figures)
    assert 'id="learning"' in page


def test_a_run_that_stopped_goes_on_to_the_same_end(done, held_out, tmp_path):
    directory, result = done
    with pytest.raises(LearningStoppedError) as stopped:
        run_active_learning(case(held_out, budget=3), directory=tmp_path / "run")
    small = stopped.value.result
    assert small.learning.stop == "budget"
    assert "all 3 calculations of the oracle are made, 2 of them for first frames" in str(stopped.value)
    assert "goes on from there" in " ".join(small.warnings)
    labels = (tmp_path / "run" / "initial.extxyz").read_bytes()
    again = run_active_learning(case(held_out), directory=tmp_path / "run", force=True)
    assert (tmp_path / "run" / "initial.extxyz").read_bytes() == labels
    assert again.oracle_calls == result.oracle_calls
    assert np.array_equal(again.end.positions, result.end.positions)
    data = f"{STATE}/data/data.extxyz"
    assert (tmp_path / "run" / data).read_bytes() == (directory / data).read_bytes()


def test_a_case_file_is_predicted_and_run(held_out, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yaml = YAML()
    data = {"study": "active-learning", **data_of(held_out, threshold="0.3 eV/angstrom")}
    data |= {"run": {"type": "relaxation"}, "structure": {**data["structure"], "rattle": "0.05 angstrom"}}
    yaml.dump(data, tmp_path / "case.yaml")
    assert main(["validate", "case.yaml"]) == 0
    assert "at most 40, 8%" in " ".join(capsys.readouterr().out.split())
    assert main(["run", "case.yaml", "-o", "run", "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "oracle calls: 2\n" in told  # those before the run were enough
    assert "warning" not in told
    rest = as_potential(Morse()).evaluate(read(tmp_path / "run" / "end.extxyz")).forces
    assert np.abs(rest).max() < 0.05


def written(tmp_path, held_out, run=None, **changes):
    path = tmp_path / "case.yaml"
    YAML().dump({"study": "active-learning", **data_of(held_out, **changes), "run": run or RUN}, path)
    return str(path)


def test_a_stop_is_an_exit_code_and_one_line(held_out, tmp_path, capsys, monkeypatch):
    reported = []
    monkeypatch.setattr(launch, "make_report", reported.append)
    path, directory = written(tmp_path, held_out, budget=2), tmp_path / "run"
    assert main(["run", path, "-o", str(directory), "--quiet"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert told[0].startswith(
        "error: the learning stopped before the run's end, at step 10 (trusted up to step 5): all 2 "
    )
    assert "Raise learning.budget" in told[0]
    assert "--force" in told[0]
    assert (directory / "taught.npz").is_file()
    assert value(directory, "end of the learning") == "budget"
    assert reported == [directory]
    # Below twenty steps calls against always asking are no percentage.
    assert "oracle calls against always asking" not in [q["name"] for q in results(directory)["quantities"]]
    assert main(["run", path, "-o", str(directory), "--quiet"]) == 2
    assert "or go on with its learning with --force" in capsys.readouterr().err


def test_a_contract_that_is_not_kept_is_a_failure(held_out, tmp_path):
    short = data_of(held_out, contract={"forces_rmse": "1e-6 eV/angstrom"}, threshold="9 eV/angstrom")
    with pytest.raises(LearningStoppedError, match="does not keep the contract") as stopped:
        run_active_learning(ActiveLearningCase(**short | {"run": RUN | {"steps": 1}}), directory=tmp_path / "run")
    assert stopped.value.result.learning.stop == "finished"


@pytest.mark.parametrize("command", ["validate", "run"])
def test_held_out_frames_of_other_elements_are_refused(command, tmp_path, capsys):
    atoms = bulk("Cu", cubic=True)
    write_frames(tmp_path / "copper.extxyz", [LabelledFrame(atoms=atoms, energy=0.0, forces=np.zeros((4, 3)))])
    where = [] if command == "validate" else ["-o", str(tmp_path / "run"), "--quiet"]
    assert main([command, written(tmp_path, str(tmp_path / "copper.extxyz")), *where]) == 2
    told = capsys.readouterr().err
    assert "learning.data.held_out" in told
    assert "have Cu, and what is taught has Al alone" in told


def test_an_oracle_that_is_the_backbone_is_warned_of():
    structure = {"crystal": {"element": "Al", "structure": "fcc"}}
    for oracle, warned in (("SevenNet-0", 1), ({"engine": "sevennet-0"}, 1), ("sevennet-l3i5", 0)):
        found = ActiveLearningCase(potential="sevennet-0", structure=structure, run=RUN, learning={"oracle": oracle})
        assert sum("own backbone" in text for text in warnings_of(found)) == warned


def test_a_perfect_crystal_is_no_start(held_out, tmp_path):
    easy = data_of(held_out, threshold="9 eV/angstrom") | {"run": {"type": "relaxation", "steps": 1}}
    result = run_active_learning(ActiveLearningCase(**easy), directory=tmp_path / "run")
    assert result.learning.checks[0].disagreement < 1e-5
    assert sum("Start from displaced atoms" in text for text in result.warnings) == 1


# The load


def start(**stack):
    model = case_structure(stack)
    return build_start(model, load_potential("emt"), comm=launch.MPI.COMM_SELF)


def case_structure(stack):
    learning = {"oracle": "emt", "student": STUDENT}
    structure = {
        "crystal": {"element": "Al", "structure": "fcc"},
        "repeat": [2, 1, 1],
        "stack": {"plane": [1, 1, 1]} | stack,
    }
    return ActiveLearningCase(
        potential="emt", structure=structure, run={"type": "relaxation"}, learning=learning
    ).structure


def driven(**changes):
    structure = {"crystal": {"element": "Al", "structure": "fcc"}, "stack": {"plane": [1, 1, 1], "planes": 6}}
    load = {"strain": {"xx": 0.03, "xy": 0.01}, "opening": "2 angstrom", "heat_to": "600 K"}
    run = {"type": "dynamics", "steps": 12, "temperature": "300 K", **load, **changes}
    model = ActiveLearningCase(
        potential="emt", structure=structure, run=run, learning={"oracle": "emt", "student": STUDENT}
    )
    atoms = build_start(model.structure, load_potential("emt"), comm=launch.MPI.COMM_SELF)
    made = build_run(model.run, atoms)
    made.adopt(load_potential("emt"))
    return atoms, made


def test_the_load_is_on_at_the_end():
    atoms, run = driven()
    while not run.finished:
        run.advance()
    strain = np.array([[0.03, 0.01, 0.0], [0.01, 0.0, 0.0], [0.0, 0.0, 0.0]])
    wanted = atoms.cell.array @ (np.eye(3) + strain)
    wanted[2, 2] += 2.0
    assert run.frame().atoms.cell.array == pytest.approx(wanted, abs=1e-9)
    assert run.frame().note["load"] == 1.0
    assert run.run.dynamics.temperature_K == pytest.approx(600.0, rel=0.05)


def test_a_driven_run_goes_on_with_the_same_bits():
    _, run = driven()
    for _ in range(5):
        run.advance()
    kept = run.snapshot()
    for _ in range(7):
        run.advance()
    _, other = driven()
    other.restore(kept)
    while not other.finished:
        other.advance()
    assert np.array_equal(other.frame().atoms.positions, run.frame().atoms.positions)
    assert np.array_equal(other.frame().atoms.cell.array, run.frame().atoms.cell.array)


def test_many_steps_are_loaded_in_a_hundred_increments():
    _, run = driven(steps=1000)
    shares = {run._share(step) for step in range(1001)}
    assert len(shares) == 101
    assert max(np.diff(sorted(shares))) == pytest.approx(0.01)


def test_a_stack_opens_between_its_period_and_the_next():
    closed, opened = start(), start(opening="3 angstrom")
    assert len(closed) == 12
    assert opened.positions == pytest.approx(closed.positions)
    assert opened.cell.array[2, 2] - closed.cell.array[2, 2] == pytest.approx(3.0)
    relaxed = build_run(case_run(opening="1 angstrom", strain={"zz": 0.1}), closed)
    assert isinstance(relaxed, RelaxationRun)
    assert relaxed.atoms.cell.array[2, 2] == pytest.approx(1.1 * closed.cell.array[2, 2] + 1.0)


def test_first_frames_lie_along_the_load():
    closed = start()
    model = case_run(type="dynamics", steps=10, temperature="300 K", opening="3 angstrom")
    heights = [atoms.cell.array[2, 2] - closed.cell.array[2, 2] for atoms in along_load(model, closed, count=4)]
    assert heights == pytest.approx([0.0, 1.0, 2.0, 3.0])
    frames = first_frames(along_load(model, closed, count=4), count=2, rattle=0.0, seed=0)
    assert frames[1].cell.array[2, 2] - frames[0].cell.array[2, 2] == pytest.approx(3.0, abs=1.0)
    again = first_frames([closed], count=3, rattle=0.1, seed=0)
    assert not np.allclose(again[0].positions, again[1].positions)
    more = first_frames([closed], count=4, rattle=0.1, seed=0)
    assert np.array_equal(more[2].positions, again[2].positions)


def case_run(**changes):
    structure = {"crystal": {"element": "Al", "structure": "fcc"}, "stack": {"plane": [1, 1, 1]}}
    return ActiveLearningCase(
        potential="emt",
        structure=structure,
        run={"type": "relaxation"} | changes,
        learning={"oracle": "emt", "student": STUDENT},
    ).run


# The case


@pytest.mark.parametrize(
    ("change", "key", "cause"),
    [
        ({"learning": {"oracle": "emt", "student": STUDENT | {"layers": 2}}}, "learning.student.layers", "belongs to heads"),
        ({"learning": {"oracle": "emt", "student": {"factory": "nowhere"}}}, "learning.student.factory", "names no function"),
        ({"learning": {"oracle": "emt", "student": STUDENT, "budget": 3}}, "learning.budget", "less than the 4 frames"),
        ({"learning": {"oracle": "emt", "student": STUDENT, "contract": {"forces_rmse": 1}}}, "learning.contract", "held-out"),
        ({"learning": {"oracle": "emt", "student": STUDENT, "ceiling": "0.1 eV/angstrom"}}, "learning.ceiling", "must exceed"),
        ({"learning": {"oracle": "emt", "student": STUDENT, "data": {"initial": "no.xyz"}}}, "learning.data.initial", "exist"),
        ({"learning": {"oracle": {"calculator": "x:Y", "settings": {}}, "settings": {"a": 1}}}, "learning.settings", "twice"),
        ({"run": {"type": "dynamics", "steps": 5, "temperature": "300 K", "opening": "1 nm"}}, "run.opening", "no gap to open"),
        ({"run": {"type": "dynamics", "steps": 5, "temperature": "300"}}, "run.temperature", "has no unit"),
        ({"potential": {"path": __file__}, "learning": {"oracle": "emt"}}, "potential", "heads stand on a SevenNet model"),
    ],
)  # fmt: skip
def test_mistakes_are_told_at_their_key(change, key, cause):
    good = {
        "potential": "emt",
        "structure": {"crystal": {"element": "Al", "structure": "fcc"}},
        "run": RUN,
        "learning": {"oracle": "emt", "student": STUDENT},
    }
    with pytest.raises(CaseError) as caught:
        ActiveLearningCase(**good | change)
    problem = caught.value.problems[0]
    assert problem.key == key
    assert cause in problem.cause


def test_what_the_loop_is_asked_for():
    model = LearningModel(oracle="emt", budget=10, threshold="0.5 eV/angstrom", patience=7, check_every=2)
    options = make_options(model, spent=4)
    assert (options.threshold, options.budget, options.patience, options.check_every) == (0.5, 6, 7, 2)
    with pytest.raises(ValueError, match="cannot be imported"):
        make_student(model.student.model_copy(update={"factory": "tests.pair_student:Nobody"}), potential="emt")


def test_a_student_that_knows_nothing_needs_something_to_learn_from(held_out, tmp_path):
    with pytest.raises(ValueError, match="nothing to learn from"):
        run_active_learning(case(held_out, data={"frames": 0}), directory=tmp_path / "run")


def test_the_example_is_a_case():
    found = load_case(ROOT / "examples" / "learning_si.yaml")
    frames = [frame for path in found.learning.data.held_out for frame in read_frames(path)]
    assert {frame.provenance["oracle"] for frame in frames} == {found.learning.oracle}
    assert {len(frame.atoms) for frame in frames} == {12}


@pytest.mark.slow
def test_heads_on_sevennet_are_taught_and_drive_other_studies(held_out, tmp_path):
    cheap = {"oracle": MORSE, "threshold": "5 eV/angstrom", "student": {"layers": 1, "arguments": {"cosines": 32}}}
    data = data_of(held_out) | {"potential": "sevennet-0", "run": RUN | {"steps": 2}}
    data["structure"] = {**data["structure"], "repeat": [1, 1, 1]}
    data["learning"] = cheap | {"data": {"frames": 3, "held_out": held_out}}
    result = run_active_learning(ActiveLearningCase(**data), directory=tmp_path / "run")
    assert result.learning.stop == "finished"
    assert result.learning.held_out[0] < result.before
    path = {"path": str(result.potential_file)}
    atoms = result.end
    mean = load_potential(path).evaluate(atoms)
    alone = [load_potential(path | {"member": k}).evaluate(atoms) for k in range(4)]
    assert np.mean([one.forces for one in alone], axis=0) == pytest.approx(mean.forces, abs=1e-5)
    study = AdhesionCase(
        potential=path,
        crystal={"element": "Al", "structure": "fcc"},
        interface={"plane": [1, 1, 1]},
        specimen={"shape": "block", "width": "4 nm", "height": "4 nm"},
        loading={"opening": {"to": "0.5 nm", "steps": 3}},
    )
    assert [member.case.potential["member"] for member in members_of(study)] == [0, 1, 2, 3]
    # Heads that were taught before begin where they were left.
    more = ActiveLearningCase(
        **data
        | {"potential": path, "learning": data["learning"] | {"student": cheap["student"] | {"backbone": "sevennet-0"}}}
    )
    again = run_active_learning(more, directory=tmp_path / "more")
    assert again.oracle_calls == 0
    assert again.learning.held_out == pytest.approx(result.learning.held_out, rel=1e-4)


@pytest.mark.slow
def test_two_ranks_end_with_the_same_bits(done, held_out, tmp_path):
    directory, _ = done
    (tmp_path / "case.yaml").write_text(json.dumps({"study": "active-learning", **data_of(held_out)}))
    run_mpi(
        2, ["-m", "multiscale", "run", str(tmp_path / "case.yaml"), "-o", str(tmp_path / "run"), "--quiet"], timeout=240
    )
    for name in (f"{STATE}/data/data.extxyz", "doubt.csv", "end.extxyz"):
        assert (tmp_path / "run" / name).read_bytes() == (directory / name).read_bytes(), name
