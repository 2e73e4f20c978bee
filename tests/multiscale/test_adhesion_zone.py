"""The adhesion study with a zone of atoms: from case to files, the same on any number of ranks, and what it refuses."""

from __future__ import annotations

import json
import re
import typing
from pathlib import Path

import ase.io
import meshio
import numpy as np
import pytest
from pydantic import ValidationError

from coupling.errors import HandshakeConvergenceError, PartitionError
from multiscale.cli import main
from multiscale.config import AdhesionCase, BoxPatch, CaseError, DiscPatch, load_case
from multiscale.config.handshake import ZoneModel
from multiscale.config.zone import PatchModel
from multiscale.studies.adhesion import predict, run_adhesion
from multiscale.studies.adhesion_zone import AdhesionZoneResult
from multiscale.studies.patch import above
from multiscale.tables import read_table
from multiscale.units import EV_PER_A2_IN_J_PER_M2
from tests.mpi import run_mpi

CASE: dict[str, typing.Any] = {
    "potential": "eam-cu",
    "crystal": {"element": "Cu", "structure": "fcc"},
    "interface": {"plane": [1, 1, 1]},
    "specimen": {"shape": "block", "width": "12 nm", "height": "6 nm"},
    "zone": {
        "shape": "box",
        "size": ["1 nm", "1 nm"],
        "blend": "1 nm",
        "method": "bgfc",
        "solver": {"max_cutbacks": 0},
    },
    "loading": {"opening": {"to": "8 angstrom", "steps": 16}},
    "output": {"fields_every": 8},
}
BEAM = {"shape": "double cantilever beam", "length": "30 nm", "arm_height": "4 nm", "initial_crack": "9 nm"}


def zone(**changes: object) -> dict[str, object]:
    return CASE["zone"] | changes


def value(directory: Path, name: str) -> float:
    results = json.loads((directory / "results.json").read_text())
    return next(q["value"] for q in results["quantities"] if q["name"] == name)


@pytest.fixture(scope="module")
def parted(tmp_path_factory) -> AdhesionZoneResult:
    """A block pulled until its halves part."""
    result = run_adhesion(AdhesionCase(**CASE), directory=tmp_path_factory.mktemp("zone") / "run")
    assert isinstance(result, AdhesionZoneResult)
    return result


def test_the_whole_has_the_laws_work_of_separation(parted):
    law, whole = parted.interface.extraction.work, parted.work_of_separation
    assert parted.interface.curve.mode == "relaxed"
    assert whole == pytest.approx(law, rel=1e-3)
    assert whole == pytest.approx(parted.interface.work_relaxed, rel=1e-3)
    assert value(parted.directory, "work of separation of the whole") == pytest.approx(whole * EV_PER_A2_IN_J_PER_M2)


def test_the_account_closes(parted):
    ledger = parted.ledger
    assert [term.name for term in ledger.terms] == [
        "atoms", "bulk", "interface", "ghost force correction", "released in jumps"
    ]  # fmt: skip
    assert ledger.step_closure() < 1e-5
    assert ledger.run_closure() < 1e-3
    assert value(parted.directory, "closure of the run") == pytest.approx(ledger.run_closure())
    assert sum(step.jumped for step in parted.steps) == 1
    # Nothing but the two surfaces holds energy once the halves are apart.
    assert abs(ledger.column("bulk")[-1]) < 1e-2 * ledger.column("interface")[-1]


def test_the_audit_is_written_before_the_loading(parted):
    events = [json.loads(line) for line in (parted.directory / "events.jsonl").read_text().splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds.index("audit") < kinds.index("step")
    lines = next(event for event in events if event["event"] == "audit")["lines"]
    assert "counted by atoms" in lines[1]
    interface = re.search(r"([\d.]+) Å counted by atoms \+ ([\d.]+) Å by the law = ([\d.]+) Å of 120 Å", lines[2])
    assert float(interface[1]) + float(interface[2]) == pytest.approx(120.0, abs=1e-3)
    assert value(parted.directory, "double counting") <= 1e-12


def test_tractions_pass_through_the_handshake(parted):
    table = read_table(parted.directory / "profiles.csv")
    pulled = parted.outputs[0]
    here = table["opening"] == table["opening"][0]
    x, traction, mean = table["x"][here], table["traction"][here], pulled.step.reaction / parted.area * 160.2176634
    peak = parted.interface.extraction.peak_traction * 160.2176634
    assert (np.diff(x) >= 0.0).all()
    assert x.min() < 0.2
    assert x.max() > 11.8
    assert mean > 0.55 * peak
    assert np.abs(traction - mean).max() <= 0.01 * peak
    assert value(parted.directory, "ghost traction") <= 1.0
    assert value(parted.directory, "jump of the traction in the handshake") <= 1.5
    weight = table["weight of atoms"][here]
    assert weight.max() == 1.0
    assert weight.min() == 0.0


def test_atoms_and_elements_lie_in_one_frame(parted):
    frames = ase.io.read(parted.directory / "zone.extxyz", index=":")
    bodies = sorted((parted.directory / "fields").glob("body_*.vtu"))
    assert len(frames) == len(bodies) == len(parted.outputs) == 2
    for atoms, path in zip(frames, bodies, strict=True):
        body = meshio.read(path)
        near = atoms.positions[atoms.arrays["role"] == 1]
        gap = np.linalg.norm(near[:, None, :2] - body.points[None, :, :2], axis=-1).min(axis=1)
        assert gap.max() < 1e-6
        assert body.cell_data["weight"][0].min() > 0.0
    last = frames[-1]
    half = 0.5 * float(parted.steps[-1].load)
    sides = np.sign(last.positions[:, 1])
    assert np.abs(last.positions[:, 1]).min() > half
    assert np.abs(last.arrays["displacement"][:, 1] - sides * half).max() < 0.3


def test_the_figures_are_drawn(parted):
    for name in ("path.png", "patch.png", "profiles.png", "ledger.png", "interaction.png", "separation.png"):
        assert (parted.directory / name).stat().st_size > 10_000, name
    page = (parted.directory / "report.html").read_text()
    assert "Handshake" in page
    assert "out of line" in page


def test_the_result_does_not_depend_on_the_ranks(tmp_path):
    case = CASE | {
        "zone": zone(method="bqcf"),
        "loading": {"opening": {"to": "5 angstrom", "steps": 2}},
        "decohesion": {"mode": "rigid", "relax": False, "opening": {"to": "4 angstrom", "points": 8}},
        "verification": {"stacks": []},
    }
    script = f"""
        from multiscale import AdhesionCase, run_adhesion
        run_adhesion(AdhesionCase(**{case!r}), directory={str(tmp_path)!r} + "/many")
    """
    run_mpi(2, script)
    run_adhesion(AdhesionCase(**case), directory=tmp_path / "one")
    for name in ("path.csv", "profiles.csv"):
        one, many = read_table(tmp_path / "one" / name), read_table(tmp_path / "many" / name)
        assert list(one.columns) == list(many.columns)
        for column, values in one.columns.items():
            assert many[column] == pytest.approx(values, rel=1e-8, abs=1e-10, nan_ok=True), column


@pytest.mark.parametrize("method", ["bqcf", "bgfc"])
def test_a_beam_with_atoms_ahead_of_its_crack(tmp_path, method):
    case = AdhesionCase(
        **CASE
        | {
            "specimen": BEAM,
            "mesh": {"degree": 1},
            "zone": zone(method=method, solver={"tolerance": "2e-5 eV/angstrom"}),
            "loading": {"opening": {"to": "1.2 nm", "steps": 4}},
        }
    )
    result = run_adhesion(case, directory=tmp_path / "run")
    assert isinstance(result, AdhesionZoneResult)
    partition, plan = result.model.partition, result.plan
    sites = partition.lattice.places(partition.indices)
    assert 90.0 < sites[:, 0].min() < 96.0
    assert (result.model.partition.facet_weights[result.model.body.interface.midpoints[:, 0] < 90.0] == 0.0).all()
    assert np.isnan(result.work_of_separation)
    assert result.ledger.step_closure() < 1e-4
    assert result.ledger.run_closure() < {"bgfc": 2e-3, "bqcf": 5e-3}[method]
    profile = result.outputs[-1].profile
    assert profile.traction[0, 0] > 3.0 * abs(profile.traction[-1, 0])
    assert result.outputs[-1].kink < 0.01 * result.interface.extraction.peak_traction
    table = read_table(tmp_path / "run" / "path.csv")
    assert table["load"][-1] > table["load"][1] > 0.0
    assert plan.facet == pytest.approx(2.2137, abs=1e-3)
    openings = result.model.body.interface.openings(result.steps[-1].u)[:, 0]
    at_grips = result.model.body.interface.places[:, 0] < 10.0
    assert openings[at_grips].mean() == pytest.approx(12.0, rel=0.1)
    upper = above(result.model.body)
    assert upper.sum() == pytest.approx(0.5 * len(upper), rel=0.05)


def test_without_an_equilibrium_the_state_is_written(tmp_path):
    solver = {"tolerance": "1e-9 eV/angstrom", "max_iterations": 2, "max_cutbacks": 0}
    case = AdhesionCase(**CASE | {"specimen": BEAM, "mesh": {"degree": 1}, "zone": zone(solver=solver)})
    with pytest.raises(HandshakeConvergenceError, match=r"bgfc: no equilibrium.*what was computed is written"):
        run_adhesion(case, directory=tmp_path / "run")
    assert (tmp_path / "run" / "zone.extxyz").is_file()
    assert (tmp_path / "run" / "fields" / "body_last.vtu").is_file()
    assert len(read_table(tmp_path / "run" / "path.csv")["opening"]) == 1
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"


def test_the_law_is_relaxed_only_where_its_curve_is_smooth():
    """Aluminium as Angelo and co-workers have it opens with a jump: the law is that of rigid separation then."""
    jumps = {"name": "lammps", "pair_style": "eam/alloy", "files": ["NiAlH_jea.eam.alloy"], "elements": ["Al"]}
    changes = {"potential": jumps, "crystal": {"element": "Al", "structure": "fcc"}, "law": {"unloading": "reversible"}}
    case = AdhesionCase(**CASE | changes)
    rows, _ = predict(case)
    assert any(label == "work of separation, rigid" for label, _ in rows)
    rows, _ = predict(AdhesionCase(**CASE))
    found = dict(rows)
    assert "work of separation, relaxed" in found
    assert re.match(r"\d+ core, \d+ blend, \d+ pad", found["atoms"])
    assert float(found["double counting"].split()[0]) < 1e-12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"zone": zone(method="bgf")}, r"zone\.method: 'bgf' is not one of the choices\. Did you mean \"bgfc\"\?"),
        ({"zone": zone(shape="disk")}, r"zone\.shape: 'disk' is not one of the choices\. Did you mean \"disc\"\?"),
        ({"zone": zone(blend="0 nm")}, r"zone\.blend: the method bgfc needs a blend wider than nothing"),
        (
            {"zone": zone(size=["13 nm", "1 nm"])},
            r"zone: the zone, .* does not fit between the end at 0 Å and the end at 12 nm",
        ),
        ({"zone": zone(at="1 nm")}, r"zone\.at: a zone about 1 nm .* does not lie between"),
        ({"specimen": BEAM, "zone": zone(at="10 nm")}, r"zone\.at: .* the crack at 9 nm"),
        (
            {"crystal": {"element": "Cu", "structure": "hcp"}},
            r"crystal\.structure: a zone of atoms needs .* fcc or bcc",
        ),
        ({"mesh": {"cell": "quadrilateral"}}, r"mesh\.cell: around a zone of atoms cells are triangles"),
        ({"mesh": {"growth": 1.5}}, r"mesh\.growth: with a zone of atoms growth means nothing: zone\.grading"),
        ({"solver": {"rtol": 1e-8}}, r"solver: with a zone of atoms zone\.solver counts"),
        (
            {"specimen": {"shape": "block", "width": "12 nm", "height": "6 nm", "thickness": "2 nm"}},
            r"specimen\.thickness: with a zone of atoms thickness means nothing",
        ),
    ],
)
def test_cases_that_make_no_sense_are_refused(changes, message):
    with pytest.raises((CaseError, ValidationError), match=message):
        AdhesionCase(**CASE | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"zone": zone(blend="3 angstrom")}, "a blend 3 Å wide for a potential whose sites reach"),
        ({"zone": zone(pad="2 angstrom")}, "a pad 2 Å wide for a potential whose sites reach"),
        ({"zone": zone(size=["1 nm", "5 nm"])}, "touches the boundary|lie outside the body"),
        ({"zone": zone(at="2 nm")}, "touches the boundary|lie outside the body|leaves the specimen"),
        (
            {"specimen": BEAM, "zone": zone(at="10.6 nm")},
            "the initial crack ends at .*: move the zone ahead of the crack by",
        ),
    ],
)
def test_zones_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(PartitionError, match=message):
        predict(AdhesionCase(**CASE | changes))


def test_a_refusal_names_the_place_in_the_file(tmp_path, capsys):
    path = tmp_path / "case.yaml"
    path.write_text(
        "study: adhesion\npotential: emt\ncrystal: {element: Cu, structure: fcc}\ninterface: {plane: [1, 1, 1]}\n"
        "specimen: {shape: block, width: 12 nm, height: 8 nm}\nloading: {opening: {to: 2 angstrom, steps: 1}}\n"
        "verification: {stacks: []}\nzone:\n  shape: disc\n  radius: 5 angstrom\n  method: bgfc\n"
    )
    assert isinstance(load_case(path).zone, DiscPatch)
    assert main(["validate", str(path)]) == 2
    told = capsys.readouterr().err
    assert f"{path}:11:3: zone.method: the method 'bgfc' weighs the energies of sites" in told
    assert "use bqcf or schwarz" in told


def test_every_key_of_a_zone_is_documented():
    text = (Path(__file__).parents[2] / "docs" / "cases.md").read_text(encoding="utf-8")
    section = text.split("### A zone of atoms at the interface")[1].split("### A curve of your own")[0]
    told = {key for row in section.splitlines() if row.startswith("|") for key in re.findall(r"`([a-z_]+)`", row)}
    assert set(PatchModel.model_fields) | {"size", "radius"} <= told
    for model in (BoxPatch, DiscPatch):
        own = set(model.model_fields) - set(PatchModel.model_fields) - {"shape"}
        row = next(
            row
            for row in section.splitlines()
            if f"| `{typing.get_args(model.model_fields['shape'].annotation)[0]}`" in row
        )
        assert own == set(re.findall(r"`([a-z_]+)`", row.split("|")[2]))
    assert set(ZoneModel.model_fields) < set(PatchModel.model_fields)
