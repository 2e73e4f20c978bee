"""Files, figures and report of the fracture study: from invented states on a real mesh, read back by other people's tools."""

import json
from dataclasses import replace
from types import SimpleNamespace

import ase.io
import numpy as np
import pandas as pd
import pint
import pytest
import pyvista
from fracture_synthetic import (
    BLEND,
    CORE,
    HEIGHT,
    PAD,
    ROW,
    THICKNESS,
    TRAP,
    case,
    character,
    kept,
    make_run,
    references,
    result,
)
from PIL import Image

from multiscale.cli import main
from multiscale.fracture_compare import compare_runs
from multiscale.fracture_data import read_fracture
from multiscale.fracture_plots import branches, draw_path, elastic_part, make_fracture_plots
from multiscale.plots import house_style
from multiscale.report import NotARunError, make_report
from multiscale.run import RunDirectory
from multiscale.studies import fracture_fields, fracture_files, fracture_plane
from multiscale.tables import read_table

FIGURES = {
    "crack_path.png",
    "crack_energy.png",
    "crack.png",
    "crack_body.png",
    "crack_plane.png",
    "crack_j.png",
    "crack_ledger.png",
    "interaction.png",
}
MPA = pint.Quantity(1.0, "eV/angstrom**2.5").to("MPa*m**0.5").magnitude
"""MPa√m of one eV/Å^2.5, by pint: independent of the constant that the files use."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("fracture") / "run")
    make_report(run.path)
    return run.path


@pytest.fixture(scope="module")
def known(finished):
    return result(finished)


def arrays(path):
    with np.load(path) as archive:
        return {key: archive[key] for key in archive.files}


def test_path_opens_in_pandas_with_units(finished, known):
    table = pd.read_csv(finished / "path.csv", comment="#")
    assert len(table) == len(known.points)
    loads = np.array([point.load for point in known.points])
    assert table["load [MPa*m^0.5]"].to_numpy() == pytest.approx(loads * MPA, rel=1e-12)
    assert table["K/K_G"].max() == pytest.approx(
        np.sqrt(1 + TRAP), rel=1e-3
    )  # ninety states: one lies that near the top
    assert table["tip by field [nm]"].iloc[-1] == pytest.approx(0.1 * known.points[-1].tip_field)
    # G of the mixture is K²/E* in mode I; 1 GPa·m = 1 J/m² · 1e9, MPa² m/GPa = 1e3 J/m².
    release = table["K [MPa*m^0.5]"] ** 2 / (known.references.modulus * 160.2176634) * 1e3
    assert table["G [J/m^2]"].to_numpy() == pytest.approx(release.to_numpy(), rel=1e-9)
    assert set(table["stable"]) == {0.0, 1.0}
    assert table["energy jump [eV]"].isna().all()
    # Trapezoids of the conjugate force over the load give the work; the states are some 0.005 MPa√m apart.
    work = np.trapezoid(table["conjugate [angstrom^2.5]"], loads)
    assert work == pytest.approx(table["work [eV]"].iloc[-1], rel=1e-3)


def test_openings_of_grips_are_lengths(known, tmp_path):
    run = RunDirectory(tmp_path / "run", case=case())
    points = [replace(known.points[0], load=12.5, leg="up"), replace(known.points[1], load=13.0, leg="down")]
    fracture_files.write_path(run, known.references, points, grips=True)
    table = pd.read_csv(run.file("path.csv"), comment="#")
    assert table["load [nm]"].tolist() == [1.25, 1.3]
    assert table["leg"].tolist() == [1, -1]
    assert "conjugate [eV/angstrom]" in table


def test_mixtures_name_their_modes(known, tmp_path):
    run = RunDirectory(tmp_path / "run", case=case())
    mixed = replace(known.references, direction=np.array([0.1, 1.0, 0.0]))
    fracture_files.write_path(run, mixed, known.points[:2], grips=False)
    table = pd.read_csv(run.file("path.csv"), comment="#")
    assert table["K_II [MPa*m^0.5]"].to_numpy() == pytest.approx(0.1 * table["K_I [MPa*m^0.5]"].to_numpy())


def test_atoms_open_in_ase_and_ovito(finished, known):
    frames = ase.io.read(finished / "atoms.extxyz", index=":")
    shown, states = known.pictures[0], kept(known)
    assert [frame.info["state"] for frame in frames] == ["first", "plus", "last"]
    for frame, point in zip(frames, states.values(), strict=True):
        assert set(frame.get_chemical_symbols()) == {"Si"}
        assert frame.pbc.tolist() == [False, False, True]
        assert frame.cell[2] == pytest.approx([0.0, 0.0, THICKNESS])
        # extxyz keeps eight decimals.
        assert frame.positions == pytest.approx(point.state.positions, abs=1e-7)
        assert frame.arrays["displacement"] == pytest.approx(point.state.positions - shown.reference, abs=1e-7)
        assert frame.arrays["beta"] == pytest.approx(shown.beta, abs=1e-7)
        assert frame.info["K_MPa_sqrt_m"] == pytest.approx(point.load * MPA)
        # All atoms lie in the box that OVITO draws from its origin.
        inside = (frame.positions - frame.info["Origin"])[:, :2] / np.diag(frame.cell)[:2]
        assert inside.min() > 0.0
        assert inside.max() < 1.0


def test_frames_come_in_the_order_of_the_path_and_once(known, tmp_path):
    run = RunDirectory(tmp_path / "run", case=case())
    for index, name in ((0, "0000"), (20, "0020"), (40, "last"), (20, "plus"), (3, "late")):
        fracture_fields.write_state(run, known.pictures[0], known.points[index], name=name)
    frames = ase.io.read(run.file("atoms.extxyz"), index=":")
    assert [frame.info["index"] for frame in frames] == [0, 3, 20, 40]
    assert [int(state["index"]) for state in read_fracture(run.path).states] == [0, 3, 20, 40]


def test_a_new_run_takes_away_the_states_of_the_old_one(known, tmp_path):
    run = RunDirectory(tmp_path / "run", case=case())
    fracture_fields.write_state(run, known.pictures[0], known.points[5], name="0005")
    again = RunDirectory(tmp_path / "run", case=case(), force=True)
    fracture_fields.begin_states(again)
    assert read_fracture(run.path).states == ()
    assert not run.file("atoms.extxyz").exists()


def test_elements_open_in_pyvista(finished, known):
    shown, point = known.pictures[0], kept(known)["plus"]
    grid = pyvista.read(finished / "states" / "plus.vtu")
    u = point.state.u[: shown.body.size]
    assert grid.n_cells == len(shown.body.cells)
    assert grid["displacement"][: shown.body.size] == pytest.approx(u, abs=1e-12)
    stress = grid["Cauchy stress [GPa]"].reshape(-1, 3, 3)
    # Linear elasticity knows no rotation: PFᵀ/det F is off by that (4° here) of a stress.
    assert stress == pytest.approx(np.swapaxes(stress, 1, 2), abs=0.1 * np.abs(stress).max())
    assert np.all(stress[grid["weight"] < 0.01] == 0.0)
    # Far from tip and zone the interpolated field has the analytic stress, to what elements a fifth of the distance wide allow.
    centre = grid.cell_centers().points[:, :2]
    radius = np.hypot(*(centre - [point.tip_field, 0.0]).T)
    here = (radius > 60.0) & (radius < 120.0) & (centre[:, 0] > 0.0)
    analytic = (
        known.references.field.stress(centre, [0.0, point.load, 0.0], tip=(point.tip_field, 0.0))[:, 1, 1] * 160.2176634
    )
    off = np.asarray(stress[here, 1, 1]) - analytic[here]
    assert here.sum() > 200
    assert np.sqrt(np.mean(off**2)) < 0.05 * analytic[here].mean()
    assert abs(off.mean()) < 0.01 * analytic[here].mean()


def test_mid_side_nodes_have_values_too(known, tmp_path):
    from continuum.body import Body

    shown = known.pictures[0]
    curved = Body(shown.body.mesh, material=shown.body.material, components=3, thickness=THICKNESS, degree=2)
    quadratic = replace(shown, body=curved)
    point = known.points[3]
    state = replace(point.state, u=np.zeros((curved.size, 3)))
    run = RunDirectory(tmp_path / "run", case=case())
    fracture_fields.write_state(run, quadratic, replace(point, state=state), name="zero")
    grid = pyvista.read(run.path / "states" / "zero.vtu")
    assert grid.n_points == curved.size
    assert np.all((grid["beta"] >= 0.0) & (grid["beta"] <= 1.0))
    assert np.abs(grid["Cauchy stress [GPa]"]).max() < 1e-9


def test_states_hold_bonds_and_the_period(finished, known):
    state, shown = arrays(finished / "states" / "plus.npz"), known.pictures[0]
    assert state["period"] == pytest.approx(0.1 * ROW)
    assert state["thickness"] == pytest.approx(0.1 * THICKNESS)
    # Diamond: every atom has four bonds; two of them lie upon each other as seen along the front, and both count.
    degree = np.bincount(state["bonds"].ravel(), minlength=len(shown.reference))
    inner = np.hypot(*shown.reference[:, :2].T) < CORE + BLEND
    assert set(degree[inner & (np.abs(shown.reference[:, 1]) < HEIGHT)]) == {4}
    across = state["crossing"]
    heights = shown.reference[state["bonds"][across], 1]
    assert np.all(heights[:, 0] * heights[:, 1] < 0.0)
    # One bond across the plane for each site of a row; broken ones lie behind the tip.
    assert across.sum() == pytest.approx(2 * (CORE + BLEND + PAD) / ROW, abs=2)
    broken = across & (state["stretch"] > 1.25)
    middle = state["reference"][state["bonds"]][:, :, 0].mean(axis=1)
    assert middle[broken].max() < middle[across & ~broken].min()
    assert np.abs(middle[broken].max() - state["tip_field"]) < 1.5 * state["period"]


def test_restart_arrays_are_exact(finished, known):
    state, point = arrays(finished / "states" / "last.npz"), known.points[-1]
    assert np.array_equal(state["u"], point.state.u)
    assert np.array_equal(state["positions"], point.state.positions)
    assert state["load"] == point.load


def test_stress_along_the_plane(finished, known):
    table = pd.read_csv(finished / "plane.csv", comment="#")
    point = kept(known)["plus"]
    distance = (table["x [nm]"] - table["tip [nm]"]).to_numpy()
    # MPa√m over √(2π nm) is MPa·√(1e9)/√(2π r), in GPa:
    exact = point.load * MPA * 1e-3 * np.sqrt(1e9) / np.sqrt(2 * np.pi * np.where(distance > 0, distance, np.nan))
    field = table["traction of crack field [GPa]"]
    assert field.dropna().to_numpy() == pytest.approx(exact[field.notna()], rel=1e-9)
    # Interpolated K-field: first-order elements and triangles resolve 1/√r beyond the zone to a few percent.
    elements = table["traction of elements [GPa]"].to_numpy()
    here = np.isfinite(elements) & (distance > 3.0) & (distance < 25.0)
    assert here.sum() > 10
    assert elements[here] == pytest.approx(exact[here], rel=0.03)
    born = table["traction of Cauchy-Born [GPa]"].to_numpy()
    here = np.isfinite(born) & (distance > 1.0)
    assert here.sum() > 3
    assert born[here] == pytest.approx(exact[here], rel=0.03)
    opening, law = table["opening of atoms [angstrom]"], table["traction of separation law [GPa]"]
    assert (opening.notna() == law.notna()).all()
    assert law.max() <= 22.0 * (1 + 1e-12)


def test_traction_on_the_plane_is_the_mean_of_both_sides(known):
    shown = known.pictures[0]
    middle = shown.body.mesh.points[shown.body.mesh.cells].mean(axis=1)
    stress = np.zeros((len(middle), 3, 3))
    stress[:, 0, 0], stress[:, 1, 1] = 7.0, np.where(middle[:, 1] > 0.0, 3.0, 1.0)
    x, traction = fracture_fields.plane_stress(shown, stress)
    assert np.all(np.diff(x) > 1e-6)
    assert traction == pytest.approx(2.0)
    # Whole elements only: none from the zone.
    assert np.abs(x).min() > CORE


def test_the_universal_law_has_the_potentials_peak_and_work():
    known = references()
    law = fracture_plane.universal_law(known)
    opening = np.linspace(0.0, 40.0, 40001)
    traction = law(opening)
    assert traction.max() == pytest.approx(known.peak, rel=1e-6)
    assert np.trapezoid(traction, opening) == pytest.approx(known.surfaces.rigid, rel=1e-6)
    assert fracture_plane.universal_law(replace(known, peak=float("nan"))) is None


def test_rings_and_the_account(finished, known):
    rings = pd.read_csv(finished / "rings.csv", comment="#")
    assert len(rings) == 18
    assert (rings["inner radius [nm]"] < rings["radius [nm]"]).all()
    assert (rings["J [J/m^2]"] / rings["G [J/m^2]"]).to_numpy() == pytest.approx(1.0, abs=0.01)
    ledger = pd.read_csv(finished / "ledger.csv", comment="#")
    parts = (ledger["atoms [eV]"] + ledger["bulk [eV]"]).to_numpy()
    assert parts == pytest.approx(ledger["total [eV]"].to_numpy())
    # The work is the energy, which the sum misses by a ten-thousandth on purpose.
    assert ledger["total [eV]"].iloc[-1] == pytest.approx(known.points[-1].state.work * (1 + 1e-4))


def test_references_are_in_units_that_people_use(finished, known):
    document = json.loads((finished / "references.json").read_text())
    quantities = {quantity["name"]: quantity for quantity in document["quantities"]}
    two_gamma = pint.Quantity(quantities["created surfaces"]["value"], "J/m**2")
    modulus = pint.Quantity(quantities["effective modulus"]["value"], "GPa")
    griffith = ((two_gamma * modulus) ** 0.5).to("MPa*m**0.5").magnitude
    assert quantities["Griffith toughness"]["value"] == pytest.approx(griffith, rel=1e-9)
    assert document["k_griffith"] == pytest.approx(griffith, rel=1e-9)
    assert [row["cut"] for row in document["cuts"]["rows"]] == ["shuffle", "glide"]
    assert document["cuts"]["rows"][0]["taken"] == "yes"


def test_words_before_a_run(known):
    text = "\n".join(fracture_files.reference_lines(case(), known.references))
    for words in ("shuffle", "<- taken", "2.7200 J/m²", "C22", "GPa", "MPa√m", "cohesive length", "mode I"):
        assert words in text
    mixed = case(load={"path": "follow"}).model_copy(
        update={"crack": case().crack.model_copy(update={"mode": SimpleNamespace(I=1.0, II=0.1, III=0.0)})}
    )
    assert "mode 1 I + 0.1 II" in "\n".join(fracture_files.reference_lines(mixed, known.references))
    counts = {"core": 100, "blend": 200, "pad": 90, "nodes": 4000, "elements": 7800}
    rows = fracture_files.prediction_rows(
        case(), character(), known.references, SimpleNamespace(width=9.0, pad=5.0), counts, 0.5, 120
    )
    labels = dict(rows)
    assert labels["atoms"] == "100 core, 200 blend, 90 pad"
    assert labels["blend and pad"] == "9 Å and 5 Å"
    assert "1 min" in labels["expected time"]


def test_results_name_what_the_summary_tells(finished):
    results = json.loads((finished / "results.json").read_text())
    quantities = {quantity["name"]: quantity for quantity in results["quantities"]}
    griffith = quantities["Griffith toughness"]["value"]
    assert quantities["advance toughness"]["value"] == pytest.approx(griffith * np.sqrt(1 + TRAP))
    assert quantities["healing toughness"]["value"] == pytest.approx(griffith * np.sqrt(1 - TRAP))
    assert quantities["trapping range"]["value"] == pytest.approx(np.sqrt((1 + TRAP) / (1 - TRAP)))
    assert quantities["J against K²/E*"]["value"] == pytest.approx(0.3, rel=0.01)  # invented: ±0.003 sin(index)
    assert quantities["largest force left"]["value"] == pytest.approx(3e-6)
    assert quantities["atoms"]["note"].split(", ")[0].endswith(" core")
    assert [row["term"] for row in results["ledger"]] == ["atoms", "bulk", "work of the load"]
    assert results["emission"] == []
    # Whatever has no value is null: strict JSON.
    trapping = json.loads((finished / "trapping.json").read_text())
    assert trapping["k_plus"][0] == pytest.approx(quantities["advance toughness"]["value"])


def test_a_run_without_trapping_or_energies(known, tmp_path):
    run = RunDirectory(tmp_path / "run", case=case())
    slipped = replace(
        known.points[4], emitted=6, emission="6 bonds slipped at 70.5°", recentred=True, energy_jump=-2e-4
    )
    short = replace(
        known, trapping=None, ledger=None, points=[*known.points[:4], slipped], warnings=["stopped at the blend"]
    )
    fracture_files.write_results(run, case(), short)
    results = json.loads(run.file("results.json").read_text())
    names = [quantity["name"] for quantity in results["quantities"]]
    assert "advance toughness" not in names
    jump = next(q for q in results["quantities"] if q["name"] == "energy jump of re-centring")
    assert jump["value"] == pytest.approx(2e-4)
    assert results["emission"][0]["slip"] == "6 bonds slipped at 70.5°"
    assert results["ledger"] == []
    assert "no common energy" in results["ledger_note"]
    assert results["warnings"] == ["stopped at the blend"]


def test_every_figure_is_drawn_and_opens(finished):
    for name in FIGURES:
        with Image.open(finished / name) as image:
            assert image.width > 1000
            colours = np.unique(np.asarray(image.convert("L")))
        assert len(colours) > 20  # not an empty page


def test_the_report_shows_a_crack(finished):
    text = (finished / "report.html").read_text(encoding="utf-8")
    for words in (
        "Fracture of Si(111)[11̅0] with sw-si",
        "Cuts of the plane",
        "Stress and J",
        "Barriers",
        "K<sub>+</sub>",
        "K₊/K₋",
        "shuffle",
        "MPa√m",
        "atoms.extxyz",
    ):
        assert words in text
    assert text.count("data:image/png;base64,") == len(FIGURES)


def test_an_unfinished_run_shows_what_there_is(known, tmp_path):
    run = RunDirectory(tmp_path / "run", case=case())
    fracture_files.write_references(run, case(), known.references)
    assert make_fracture_plots(run.path) == []
    text = make_report(run.path).read_text(encoding="utf-8")
    assert "Griffith toughness" in text
    fracture_files.write_path(run, known.references, known.points[:1], grips=False)
    assert {path.name for path in make_fracture_plots(run.path)} == {"crack_j.png"}
    # The tip has left the bonds that were looked at, and no field fits: the pictures stay finite.
    lost = replace(known.points[0], tip_bonds=float("inf"), tip_field=float("nan"))
    unknown = replace(lost, state=replace(lost.state, stable=None))
    fracture_files.write_path(run, known.references, [unknown, replace(unknown, index=1)], grips=False)
    fracture_fields.write_state(run, known.pictures[0], unknown, name="0000")
    assert {path.name for path in make_fracture_plots(run.path)} >= {"crack_path.png", "crack.png", "crack_body.png"}


def test_grips_show_their_opening_and_no_j_against_itself(known, tmp_path):
    run = RunDirectory(tmp_path / "run", case=case())
    gripped = case().model_copy(update={"body": SimpleNamespace(shape="thin strip")})
    fracture_files.write_references(run, gripped, known.references)
    fracture_files.write_path(run, known.references, known.points, grips=True)
    assert {path.name for path in make_fracture_plots(run.path)} == {"crack_path.png", "crack_energy.png"}
    with house_style():
        figure = draw_path(read_fracture(run.path))
    assert figure.axes[1].get_ylabel() == "opening (nm)"
    # A body without room for rings leaves no table behind.
    none = fracture_plane.rings_about(known.pictures[0], known.points[0], room=20.0)
    fracture_plane.write_rings(run, known.references, [none])
    assert not run.file("rings.csv").exists()


def test_stable_branches_are_solid_and_unstable_ones_dashed(finished):
    data = read_fracture(finished)
    pieces = list(branches(data.path))
    # From −0.2 to 2.22 periods the stability changes four times: three stable pieces, two unstable ones.
    assert [kind for _, kind in pieces] == ["stable", "unstable", "stable", "unstable", "stable"]
    for rows, kind in pieces:
        assert kind != "stable" or (data.path["stable"][rows] == 1.0).all()
    joined = np.concatenate([rows[:-1] for rows, _ in pieces])
    assert joined.tolist() == list(range(len(data.path["state"]) - 1))
    with house_style():
        figure = draw_path(data)
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) > 2]
    assert [line.get_linestyle() for line in lines] == ["-", "--", "-", "--", "-"]
    drawn = np.concatenate([np.asarray(line.get_ydata()) for line in lines])
    assert drawn.max() == data.path["k"].max()


def test_a_path_taken_up_again_at_its_start_is_not_joined(tmp_path):
    rows = [
        "state,leg,load,K,stable",
        "0,0,0.6,0.6,1",
        "1,0,0.65,0.65,1",
        "2,0,0.7,0.7,1",
        "3,-1,0.59,0.59,1",
        "4,-1,0.55,0.55,1",
    ]
    (tmp_path / "path.csv").write_text("\n".join(rows))
    assert [piece.tolist() for piece, _ in branches(read_table(tmp_path / "path.csv"))] == [[0, 1, 2], [3, 4]]
    # Down after up goes on from the peak.
    rows = [
        "state,leg,load,K,stable",
        "0,1,0.6,0.6,",
        "1,1,0.65,0.65,",
        "2,1,0.7,0.7,",
        "3,-1,0.65,0.65,",
        "4,-1,0.6,0.6,",
    ]
    (tmp_path / "path.csv").write_text("\n".join(rows))
    assert [kind for _, kind in branches(read_table(tmp_path / "path.csv"))] == ["unknown"]


def test_the_parabola_of_elastic_bodies_is_taken_out(finished):
    path = read_fracture(finished).path
    left = path["work"] - elastic_part(path)
    # Of 900 eV a few tenths are left, the barriers among them; the three stable branches cross at K_G.
    assert np.abs(path["work"]).max() > 500.0
    assert np.abs(left).max() < 1.0
    griffith = references().griffith * MPA
    stable = path["stable"] > 0
    crossings = []
    for period in range(3):
        branch = stable & (np.abs(path["tip by field"] / (0.1 * ROW) - period) < 0.3)
        crossings.append(np.interp(griffith, path["k"][branch], left[branch]))
    assert np.ptp(crossings) < 0.02 * np.ptp(left)


def test_runs_side_by_side(finished, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    run = json.loads((finished / "run.json").read_text())
    run["case"]["potential"] = {"name": "lammps"}
    (other / "run.json").write_text(json.dumps(run))
    results = json.loads((finished / "results.json").read_text())
    kept_quantities = [q for q in results["quantities"] if q["name"] not in ("healing toughness", "trapping range")]
    (other / "results.json").write_text(json.dumps({"quantities": kept_quantities}))
    found = compare_runs([finished, other, finished], tmp_path / "both")
    assert found.names[1] == "Si(111)[11̅0], lammps"
    assert found.names[0] == found.names[2] == "Si(111)[11̅0], sw-si (run)"
    table = pd.read_csv(tmp_path / "both" / "comparison.csv")
    assert table["K_+ [MPa*m^0.5]"].tolist() == pytest.approx([results["quantities"][0]["value"]] * 3)
    assert table["K_+/K_-"].isna().tolist() == [False, True, False]
    assert table["seconds"].notna().all()
    with Image.open(tmp_path / "both" / "comparison.png") as image:
        assert len(np.unique(np.asarray(image.convert("L")))) > 20


def test_what_cannot_be_compared_is_refused(finished, tmp_path):
    with pytest.raises(NotARunError, match="no runs to compare"):
        compare_runs([])
    with pytest.raises(NotARunError, match=r"run\.json is missing"):
        compare_runs([finished, tmp_path])
    (tmp_path / "run.json").write_text(json.dumps({"case": {"study": "adhesion"}}))
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(NotARunError, match="study 'adhesion'"):
        compare_runs([tmp_path])


def test_compare_on_the_command_line(finished, tmp_path, capsys):
    assert main(["compare", str(finished), str(finished), "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "K_G" in said
    assert "comparison.csv" in said
    assert main(["compare", str(tmp_path)]) == 2
    assert "run.json is missing" in capsys.readouterr().err
