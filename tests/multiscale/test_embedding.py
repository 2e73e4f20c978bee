"""The embedding study: the block that all studies share, what it builds, and the error of forces against the buffer."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read, write
from mpi4py import MPI

from atomistic.potentials import load_potential
from coupling.embedding import ForceMixing, SubtractiveEmbedding
from coupling.errors import SelectionError
from multiscale import EmbeddingCase, load_case, run_embedding
from multiscale.cli import main
from multiscale.config import CaseError, CoreModel, EmbeddingModel
from multiscale.config.template import TEMPLATES
from multiscale.errors import StructureFileError
from multiscale.studies import launch
from multiscale.studies.embedding_build import build_embedding, build_selection
from multiscale.studies.embedding_measure import BufferRow, Convergence, ForceError
from multiscale.studies.embedding_system import build_structure
from tests.mpi import run_mpi

DOCS = Path(__file__).parents[2] / "docs" / "cases.md"
#: An atom at the origin; eam-al reaches 6.29 Å.
CORE = {"near": ["0 nm", "0 nm", "0 nm"], "radius": "2 angstrom"}
SMALL = {
    "potential": "eam-al",
    "structure": {
        "crystal": {"element": "Al", "structure": "fcc"},
        "repeat": [6, 6, 6],
        "vacancy": 1,
        "rattle": "0.1 angstrom",
    },
    "embedding": {"engine": "eam-al-zhou", "core": CORE},
    "converge": {"buffers": ["3 angstrom", "5 angstrom", "7 angstrom", "9 angstrom"], "displace": "0.1 angstrom"},
}
TEXT = """\
study: embedding
potential: eam-al
structure: {crystal: {element: Al, structure: fcc}, repeat: [4, 4, 4], rattle: 0.1 angstrom}
embedding:
  engine: eam-al-zhou
  core: {near: [0 nm, 0 nm, 0 nm], radius: 2 angstrom}
  links: none
converge:
  buffers: [2 angstrom, 4 angstrom]
"""


def case(**changes):
    merged = {key: dict(value) if isinstance(value, dict) else value for key, value in SMALL.items()}
    for key, below in changes.items():
        merged[key] = merged[key] | below if isinstance(below, dict) else below
    return EmbeddingCase(**merged)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_embedding(case(), directory=tmp_path_factory.mktemp("embedding") / "run", comm=MPI.COMM_SELF)


@pytest.fixture
def no_report(monkeypatch):
    """Without the pictures, which take longer than the study."""
    monkeypatch.setattr(launch, "make_report", lambda path: None)


@pytest.fixture(scope="module")
def potential():
    return load_potential("eam-al", comm=MPI.COMM_SELF)


def table_of(directory: Path) -> pd.DataFrame:
    return pd.read_csv(directory / "buffers.csv", comment="#")


def test_forces_are_those_of_the_calculators(run):
    """The errors of the table, against the ASE calculators of both schemes and the engine itself."""
    system, row = run.system, run.convergence.rows[1]
    right = system.oracle.evaluate(system.atoms).forces[system.core]
    pieces = system.pieces.with_buffer(row.buffer)
    subtractive = pieces.calculator()
    assert isinstance(subtractive, SubtractiveEmbedding)
    atoms = system.atoms.copy()
    atoms.calc = subtractive
    error = np.linalg.norm(atoms.get_forces()[system.core] - right, axis=1)
    assert row.difference.largest == pytest.approx(error.max(), rel=1e-9)
    assert row.difference.rms == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-9)
    assert row.energy == pytest.approx(atoms.get_potential_energy() - system.oracle.evaluate(atoms).energy, rel=1e-9)
    moved = system.displaced.copy()
    moved.calc = subtractive
    change = moved.get_potential_energy() - atoms.get_potential_energy()
    exact = system.oracle.evaluate(moved).energy - system.oracle.evaluate(system.atoms).energy
    assert row.change == pytest.approx(change - exact, abs=1e-9)
    # What does not cancel, as the calculator accounts for it.
    account = subtractive.account(system.atoms).regions[0].remainder
    assert row.remainder.core == pytest.approx(account.core, abs=1e-10)
    assert row.remainder.buffer == pytest.approx(account.buffer, abs=1e-9)


def test_force_mixing_is_measured_as_it_mixes(tmp_path, no_report):
    mixed = case(embedding={"scheme": "force mixing", "blend": "1 angstrom"}, converge={"displace": "0 angstrom"})
    found = run_embedding(mixed, directory=tmp_path / "run", comm=MPI.COMM_SELF)
    system, row = found.system, found.convergence.rows[0]
    calculator = system.pieces.with_buffer(row.buffer).calculator()
    assert isinstance(calculator, ForceMixing)
    atoms = system.atoms.copy()
    atoms.calc = calculator
    error = np.linalg.norm((atoms.get_forces() - system.oracle.evaluate(system.atoms).forces)[system.core], axis=1)
    assert row.difference.largest == pytest.approx(error.max(), rel=1e-9)
    assert row.change is None


def test_site_energies_cancel_exactly_beyond_the_cutoff(run):
    """An atom's energy by EAM knows its neighbours within the cutoff alone; its force, their neighbours too."""
    cutoff = run.system.potential.capabilities.cutoff
    for row in run.convergence.rows:
        if row.buffer > cutoff:
            assert row.remainder.largest_core < 1e-10
        else:
            assert row.remainder.largest_core > 1e-4
    errors = [row.difference.largest for row in run.convergence.rows]
    assert errors[-1] < 0.05 * errors[0]


def test_one_engine_on_both_sides_makes_no_error(tmp_path, no_report):
    found = run_embedding(case(embedding={"engine": "eam-al"}), directory=tmp_path / "run", comm=MPI.COMM_SELF)
    for row in found.convergence.rows:
        assert row.difference.largest < 1e-10
        assert abs(row.energy) < 1e-7
        assert abs(row.change) < 1e-8
    # Plain substitution keeps the error of the cluster's surface.
    assert found.convergence.rows[0].substitution.largest > 0.1
    assert found.recommended == 3.0
    assert any("nothing here needs a quantum region" in warning for warning in found.warnings)


def test_recommended_is_where_every_wider_buffer_is_within_the_tolerance():
    def convergence(*errors, judged=None):
        rows = [
            BufferRow(
                buffer=float(k), atoms=1, caps=0, difference=ForceError(largest=error, rms=error),
                substitution=ForceError(largest=2.0 * error, rms=error), energy=None, change=None, remainder=None,
                quantum_seconds=0.0, ml_seconds=0.0,
            )
            for k, error in enumerate(errors)
        ]  # fmt: skip
        return Convergence(
            rows=rows, judged=judged or len(rows), alone=rows[0].difference, alone_change=None, force=1.0, tolerance=0.05,
            whole_seconds=None,
        )  # fmt: skip

    assert convergence(0.3, 0.04, 0.1, 0.05, 0.01).recommended() == 3.0
    assert convergence(0.3, 0.04, 0.1, 0.05, 0.01).recommended("substitution") == 4.0
    assert convergence(0.3, 0.2, 0.1).recommended() is None
    # An error that is zero by definition recommends nothing.
    assert convergence(0.3, 0.2, 0.0, judged=2).recommended() is None
    assert convergence(0.3, np.nan, 0.01).recommended() == 2.0


def test_the_largest_buffer_as_reference_is_not_judged_by_itself(tmp_path, no_report):
    found = run_embedding(
        case(converge={"reference": "largest buffer"}), directory=tmp_path / "run", comm=MPI.COMM_SELF
    )
    assert found.convergence.rows[-1].difference.largest == 0.0
    assert found.convergence.judged == 3
    assert found.recommended in (None, 7.0)
    assert any("whose own error stays unknown" in warning for warning in found.warnings)
    # The engine was never asked for all atoms: four buffers, two structures.
    assert found.system.oracle.counter.calls == 8
    assert np.isnan(table_of(tmp_path / "run")["energy error [eV]"]).all()


def test_what_a_run_leaves(run):
    table = table_of(run.directory)
    assert list(table["buffer [angstrom]"]) == [3.0, 5.0, 7.0, 9.0]
    assert table["difference largest [eV/angstrom]"].to_numpy() == pytest.approx(
        [row.difference.largest for row in run.convergence.rows], rel=1e-15
    )
    results = json.loads((run.directory / "results.json").read_text())
    assert results["embedding"]["recommended"] == run.recommended
    assert len(results["embedding"]["rows"]) == 4
    record = json.loads((run.directory / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["engine"]["fresh"] == 10
    page = (run.directory / "report.html").read_text()
    assert page.count("data:image/png;base64") == 1
    assert "Embedding of eam-al-zhou in Al with eam-al" in page
    assert "plain substitution" in page
    # With 3 Å the embedding does more harm than good.
    assert run.convergence.rows[0].difference.largest > run.convergence.alone.largest
    assert "less than the difference form with a buffer of" in page
    atoms = read(run.directory / "structure.extxyz")
    assert atoms.arrays["core"].sum() == 1
    assert (atoms.arrays["in_buffer"] == 3.0).sum() == run.convergence.rows[0].atoms - 1
    assert len(atoms) == 863


def test_a_repeated_run_repeats_no_quantum_calculation(run, tmp_path, no_report):
    kept = case(embedding={"cache": str(run.directory / "quantum")})
    again = run_embedding(kept, directory=tmp_path / "again", comm=MPI.COMM_SELF)
    record = json.loads((tmp_path / "again" / "run.json").read_text())
    assert (record["engine"]["fresh"], record["engine"]["reused"]) == (0, 10)
    assert again.convergence.rows[1].difference == run.convergence.rows[1].difference
    # Seconds are those of the calculation, not of finding it.
    assert again.convergence.rows[1].quantum_seconds == pytest.approx(run.convergence.rows[1].quantum_seconds, rel=0.5)


def test_ranks_agree_to_the_last_bit(run, tmp_path):
    path = tmp_path / "case.json"
    path.write_text(run_case_json())
    run_mpi(
        2,
        f"""
        import json
        from mpi4py import MPI
        from multiscale import EmbeddingCase, run_embedding
        case = EmbeddingCase(**json.loads(open({str(path)!r}).read()))
        run_embedding(case, directory={str(tmp_path / "run")!r}, comm=MPI.COMM_WORLD)
        """,
        timeout=100,
    )
    one, two = table_of(run.directory), table_of(tmp_path / "run")
    timed = ["quantum [s]", "potential [s]"]
    pd.testing.assert_frame_equal(one.drop(columns=timed), two.drop(columns=timed), check_exact=True)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["engine"]["fresh"] == 10


def run_case_json() -> str:
    return json.dumps(case().model_dump(mode="json", exclude_unset=True))


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("links: none", "links: nne", "7:3", 'embedding.links: \'nne\' is not one of the choices. Did you mean "none"?'),
        ("links: none", "link: none", "7:3", "embedding.link: unknown key 'link'. Did you mean \"links\"?"),
        ("radius: 2 angstrom", "radius: 2", "6:36", 'embedding.core.radius: 2 has no unit'),
        ("near: [0 nm, 0 nm, 0 nm], radius", "radius", "6:3", "embedding.core: the core is empty"),
        (", radius: 2 angstrom", "", "6:10", "embedding.core.near: near needs radius"),
        ("{near: [0 nm, 0 nm, 0 nm], radius: 2 angstrom}", "{near_tip: 1 nm}", "6:3", "there is no crack here"),
        ("{near: [0 nm, 0 nm, 0 nm], radius: 2 angstrom}", "[{species: Alu}]", "6:11", "embedding.core[0].species: 'Alu'"),
        ("  links: none", "  buffer: 4 angstrom", "7:3", "the buffer is what this study looks for"),
        ("links: none", "blend: 1 angstrom", "7:3", "the subtractive scheme has no blend"),
        ("[2 angstrom, 4 angstrom]", "[4 angstrom, 2 angstrom]", "9:3", "the buffers must grow"),
        ("buffers: [2 angstrom, 4 angstrom]", "first: 2 angstrom", "8:1", "missing: last, step"),
        ("crystal: {element: Al, structure: fcc}", "file: nowhere.xyz", "3:13", "nowhere.xyz does not exist"),
        ("engine: eam-al-zhou", "engine: {engin: gpaw}", "5:3", "an engine needs exactly one of engine, name"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(tmp_path, old, new, place, words):
    path = tmp_path / "case.yaml"
    assert old in TEXT
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(CaseError) as caught:
        load_case(path)
    line = next(line for line in str(caught.value).splitlines() if words in line)
    assert line.startswith(f"{path}:{place}: ")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("engine: eam-al-zhou", "engine: eam-al-zou", ":5:3: embedding.engine: "),
        ("radius: 2 angstrom", "radius: 2e-3 angstrom", ":4:1: embedding: "),
        ("links: none", "links: hydrogen", ":7:3: embedding.links: "),
        ("repeat: [4, 4, 4]", "repeat: [4, 4, 4], vacancy: 300", ":3:1: structure: the vacancy is at site 300"),
        ("4 angstrom]", "14 angstrom]", "in two images"),
    ],
)
def test_what_only_the_physics_finds_points_into_the_case_too(tmp_path, capsys, old, new, words):
    path = tmp_path / "case.yaml"
    text = TEXT.replace("rattle: 0.1 angstrom", "rattle: 0.1 angstrom, vacancy: 0") if "2e-3" in new else TEXT
    path.write_text(text.replace(old, new))
    assert main(["validate", str(path)]) == 2
    assert words in capsys.readouterr().err


def test_the_command_converges_and_refuses_other_studies(tmp_path, capsys):
    path = tmp_path / "case.yaml"
    path.write_text(TEXT)
    assert main(["validate", str(path)]) == 0
    assert "calls of eam-al-zhou" in capsys.readouterr().out
    assert main(["embedding", "converge", str(path), "-o", str(tmp_path / "run"), "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "error of the potential alone" in printed
    assert "no buffer up to 4 Å keeps the error" in printed
    assert main(["report", str(tmp_path / "run")]) == 0
    other = tmp_path / "contact.yaml"
    other.write_text(TEMPLATES["contact"])
    assert main(["embedding", "converge", str(other)]) == 2
    message = capsys.readouterr().err
    assert re.search(r"contact.yaml:\d+:1: study: this command needs a case of the study embedding", message)


def test_structures_from_files_and_crystals(tmp_path, potential):
    def built(**keys):
        model = case(structure={"vacancy": None, "rattle": "0 angstrom"} | keys).structure
        return build_structure(model, potential, comm=MPI.COMM_SELF)

    whole = built()
    assert len(whole) == 864
    assert len(built(vacancy=5)) == 863
    np.testing.assert_allclose(built(vacancy=5).positions, np.delete(whole.positions, 5, axis=0))
    assert str(built(impurity={"element": "Cu", "index": 3}).symbols[3]) == "Cu"
    displaced = built(rattle="0.1 angstrom").positions - whole.positions
    assert displaced.std() == pytest.approx(0.1, rel=0.05)
    write(tmp_path / "two.xyz", [bulk("Cu"), bulk("Al", cubic=True)])
    from_file = {"file": str(tmp_path / "two.xyz"), "rattle": "0 angstrom"}

    def read_back(**keys):
        model = EmbeddingCase(**(SMALL | {"structure": from_file | keys})).structure
        return build_structure(model, potential, comm=MPI.COMM_SELF)

    assert str(read_back().symbols) == "Al4"
    assert str(read_back(frame=0).symbols) == "Cu"
    with pytest.raises(StructureFileError, match="no structure number 7"):
        read_back(frame=7)
    (tmp_path / "two.xyz").write_text("not a structure\n")
    with pytest.raises(StructureFileError, match="cannot be read by ASE"):
        read_back()


def test_cores_choose_what_they_say():
    atoms = Atoms("HOCCH", positions=[[0, 0, 0], [1, 0, 0], [2.4, 0, 0], [3.9, 0, 0], [5, 0, 0]], cell=[20] * 3)
    atoms.set_array("doubt", np.array([0.0, 0.3, 0.1, 0.0, 0.2]))

    def chosen(*cores, tip=None):
        models = tuple(CoreModel(**core) for core in cores)
        return np.flatnonzero(build_selection(models, tip=tip).select(atoms, None)).tolist()

    assert chosen({"indices": [1, 3]}) == [1, 3]
    assert chosen({"species": "C"}) == [2, 3]
    assert chosen({"species": ["H", "O"]}) == [0, 1, 4]
    assert chosen({"species": "O", "around": "1.2 angstrom"}) == [0, 1]
    assert chosen({"near": ["0 nm", "0 nm", "0 nm"], "radius": "2.5 angstrom"}) == [0, 1, 2]
    # Keys of one choice must all hold; of several choices one suffices.
    assert chosen({"near": ["0 nm", "0 nm", "0 nm"], "radius": "2.5 angstrom", "species": "C"}) == [2]
    assert chosen({"species": "O"}, {"indices": 4}) == [1, 4]
    assert chosen({"coordination": {"fewer_than": 2, "within": "1.6 angstrom"}}) == [0, 4]
    assert chosen({"score": {"array": "doubt", "above": 0.2}}) == [1, 4]
    assert chosen({"near_tip": "1.5 angstrom"}, tip=lambda _: np.array([5.0, 0.0])) == [3, 4]
    with pytest.raises(SelectionError, match="needs a crack"):
        chosen({"near_tip": "1.5 angstrom"})
    with pytest.raises(SelectionError, match="carry no array 'uncertainty'"):
        chosen({"score": {"array": "uncertainty", "above": 0.2}})


def test_the_block_describes_region_and_calculator(potential):
    model = EmbeddingModel(
        engine="eam-al-zhou",
        scheme="force mixing",
        core={"indices": 3},
        buffer="4 angstrom",
        blend="2 angstrom",
        charge=-1,
        spin=1,
        cell={"vectors": ["8.1 angstrom", "8.1 angstrom", "12 angstrom"], "periodic": [True, True, False]},
    )
    pieces = build_embedding(model, potential)
    region = pieces.region
    assert (region.buffer, region.blend, region.charge, region.spin, region.links) == (4.0, 2.0, -1, 1, None)
    np.testing.assert_allclose(region.cell.vectors, np.diag([8.1, 8.1, 12.0]))
    assert list(region.cell.periodic) == [True, True, False]
    assert isinstance(pieces.calculator(), ForceMixing)
    assert pieces.with_buffer(5.0).region == replace(region, buffer=5.0)
    assert EmbeddingModel(engine="tblite", settings={"method": "GFN1-xTB"}, core={"indices": 0}).oracle == {
        "engine": "tblite",
        "settings": {"method": "GFN1-xTB"},
    }


def test_every_key_of_a_core_is_documented():
    section = DOCS.read_text(encoding="utf-8").split("### Cores")[1].split("\n## ")[0]
    cells = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    assert {key for cell in cells for key in re.findall(r"`([a-z_]+)`", cell)} == set(CoreModel.model_fields)
    for name in ("coordination", "score", "doubt"):
        row = next(row for row in section.splitlines() if row.startswith(f"| `{name}`"))
        below = CoreModel.model_fields[name].annotation.__args__[0]
        assert set(re.findall(r"`([a-z_]+)`", row.split("|")[2])) == set(below.model_fields)
