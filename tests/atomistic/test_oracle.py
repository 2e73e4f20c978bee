"""Quantum engines: retried, remembered, refused. Needs none installed."""

import json
import sys
import types

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator, InputError, SCFError, all_changes
from ase.calculators.emt import EMT
from ase.io import read
from ase.optimize import BFGS

from atomistic.errors import (
    EvaluationError,
    MissingEngineError,
    OracleCacheError,
    OracleError,
    OracleInputError,
    UnknownElementError,
)
from atomistic.oracle import available_engines, cache, gpaw, load_oracle, pyscf, tblite
from atomistic.oracle.base import Task
from atomistic.oracle.registry import _ENGINES
from atomistic.oracle.structure import make_task
from atomistic.oracle.worker import Worker
from tests.mpi import run_mpi


class Stubborn(Calculator):
    """EMT that converges only with enough patience, and counts its runs."""

    implemented_properties = ("energy", "free_energy", "forces", "stress")
    runs = 0

    def __init__(self, patience=1, needed=1, flaw=None, offset=0.0, drift=0.0):
        super().__init__()
        self.patience, self.needed, self.flaw, self.offset, self.drift = patience, needed, flaw, offset, drift

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        type(self).runs += 1
        if self.flaw == "input":
            raise InputError("this element is not for me")
        if self.patience < self.needed:
            raise SCFError(f"patience {self.patience} is not enough")
        real = EMT()
        real.calculate(self.atoms, ["energy", "forces", "stress"], all_changes)
        self.results = {name: real.results[name] for name in ("energy", "forces", "stress") if name in real.results}
        self.results["free_energy"] = self.results["energy"] - 0.01
        self.results["energy"] += self.offset + self.drift * type(self).runs
        if self.flaw == "nan":
            self.results["forces"] = np.full_like(self.results["forces"], np.nan)


@pytest.fixture(autouse=True)
def fakes(monkeypatch, tmp_path):
    """The module `fake_engines`, its counter at zero; failed structures land in a folder of their own."""
    module = types.ModuleType("fake_engines")
    Stubborn.runs = 0
    module.Stubborn = Stubborn
    monkeypatch.setitem(sys.modules, "fake_engines", module)
    monkeypatch.chdir(tmp_path)


def stubborn(**arguments):
    top = {key: arguments.pop(key) for key in ("retries", "retry", "energy", "electronic") if key in arguments}
    return {"calculator": "fake_engines:Stubborn", "arguments": arguments, **top}


@pytest.fixture
def crystal():
    atoms = bulk("Al", cubic=True)
    atoms.rattle(0.05, seed=1)
    return atoms


def test_gives_what_the_engine_gives_counted(crystal):
    potential = load_oracle(stubborn())
    result = potential.evaluate(crystal)
    crystal.calc = EMT()
    assert result.energy == pytest.approx(crystal.get_potential_energy(), abs=1e-12)
    np.testing.assert_allclose(result.forces, crystal.get_forces(), atol=1e-12)
    np.testing.assert_allclose(result.stress, crystal.get_stress(voigt=False), atol=1e-12)
    assert potential.counter.calls == 1
    assert potential.calculator.record.fresh == 1


def test_is_an_ordinary_ase_calculator(crystal):
    crystal.calc = load_oracle(stubborn()).calculator
    energy = crystal.get_potential_energy()
    assert crystal.get_potential_energy(force_consistent=True) == pytest.approx(energy - 0.01)
    runs = Stubborn.runs
    crystal.get_forces()
    assert Stubborn.runs == runs  # energy and forces come together
    crystal.get_stress()
    assert Stubborn.runs == runs + 1
    assert BFGS(crystal, logfile=None).run(fmax=0.02, steps=50)


def test_energy_may_be_the_one_whose_gradient_the_forces_are(crystal):
    plain, free = (load_oracle(stubborn(energy=kind)).evaluate(crystal).energy for kind in ("extrapolated", "free"))
    assert free == pytest.approx(plain - 0.01, abs=1e-12)


def test_a_failed_calculation_is_retried_and_says_so(crystal, tmp_path):
    spec = stubborn(needed=3, retries=[{"patience": 2}, {"patience": 3}])
    potential = load_oracle(spec, cache=tmp_path / "cache")
    result = potential.evaluate(crystal)
    record = potential.calculator.record
    assert Stubborn.runs == 3
    assert (record.fresh, record.retried, len(record.retries)) == (1, 1, 2)
    assert "patience 2 is not enough" in record.retries[1]
    assert "as asked" in record.retries[0]
    assert record.last.attempts[0].startswith("as asked")
    assert not record.changed
    again = load_oracle(spec, cache=tmp_path / "cache").calculator
    crystal.calc = again
    assert crystal.get_potential_energy() == result.energy
    assert again.record.last.attempts == record.last.attempts


def test_no_retry_where_none_is_wanted(crystal):
    with pytest.raises(OracleError, match="in 1 attempt:"):
        load_oracle(stubborn(needed=2, retries=[{"patience": 2}], retry="none")).evaluate(crystal)
    assert Stubborn.runs == 1


def test_physics_changes_only_where_allowed_and_aloud(crystal, tmp_path):
    retries = [{"patience": 2, "changed": "electrons at 3000 K"}]
    with pytest.raises(OracleError):
        load_oracle(stubborn(needed=2, retries=retries), cache=tmp_path).evaluate(crystal)
    hot = load_oracle(stubborn(needed=2, retries=retries, retry="hot"), cache=tmp_path)
    with pytest.warns(UserWarning, match="3000 K"):
        hot.evaluate(crystal)
    assert hot.calculator.record.last.changed == "electrons at 3000 K"
    # The result is stored, but is not given to who did not allow it; who does is told again.
    with pytest.raises(OracleError):
        load_oracle(stubborn(needed=2, retries=retries), cache=tmp_path).evaluate(crystal)
    again = load_oracle(stubborn(needed=2, retries=retries, retry="hot"), cache=tmp_path)
    with pytest.warns(UserWarning, match="3000 K"):
        again.evaluate(crystal)
    assert (again.calculator.record.fresh, again.calculator.record.reused) == (0, 1)
    assert len(again.calculator.record.changed) == 1


def test_what_fails_altogether_is_saved(crystal, tmp_path):
    potential = load_oracle(stubborn(needed=9, retries=[{"patience": 2}]), cache=tmp_path / "cache")
    with pytest.raises(OracleError, match="retries") as caught:
        potential.evaluate(crystal)
    assert "2 attempts" in str(caught.value)
    (saved,) = (tmp_path / "cache" / "failed").glob("*.xyz")
    assert str(saved) in str(caught.value)
    np.testing.assert_allclose(read(saved).positions, crystal.positions, atol=1e-7)
    record = json.loads(saved.with_suffix(".json").read_text())
    assert record["identity"]["arguments"] == {"needed": 9}
    assert len(record["attempts"]) == 2
    assert potential.calculator.record.failed == 1
    with pytest.raises(OracleError):
        load_oracle(stubborn(needed=9)).evaluate(crystal)
    assert list((tmp_path / "oracle_failed").glob("*.xyz"))


def test_numbers_that_are_not_finite_are_a_failure(crystal):
    with pytest.raises(OracleError, match=r"not a finite number|forces not finite"):
        load_oracle(stubborn(flaw="nan")).evaluate(crystal)
    potential = load_oracle(stubborn(flaw="nan", retries=[{"flaw": None}]))
    assert np.isfinite(potential.evaluate(crystal).forces).all()


def test_refused_input_is_not_retried(crystal):
    with pytest.raises(OracleInputError, match="not for me"):
        load_oracle(stubborn(flaw="input", retries=[{"patience": 5}])).evaluate(crystal)
    assert Stubborn.runs == 1


def test_a_restart_repeats_nothing(crystal, tmp_path):
    positions = [crystal.positions + 0.01 * k for k in range(4)]

    def walk():
        potential = load_oracle(stubborn(), cache=tmp_path)
        for place in positions:
            crystal.positions = place
            yield potential.evaluate(crystal), potential.calculator.record

    first = [result for result, _ in walk()]
    runs = Stubborn.runs
    second = list(walk())
    assert Stubborn.runs == runs == 4
    assert second[-1][1].reused == 4
    assert second[-1][1].saved_seconds > 0.0
    for one, (other, _) in zip(first, second, strict=True):
        assert one.energy == other.energy  # to the last bit
        np.testing.assert_array_equal(one.forces, other.forces)
        np.testing.assert_array_equal(one.stress, other.stress)


@pytest.mark.parametrize(
    ("match", "shift", "reused"), [(1e-6, 5e-7, 1), (1e-6, 5e-6, 0), (0.01, 5e-3, 1), (0.0, 1e-12, 0)]
)
def test_structures_match_within_a_distance(crystal, tmp_path, match, shift, reused):
    load_oracle(stubborn(), cache=tmp_path).evaluate(crystal)
    potential = load_oracle(stubborn(), cache=tmp_path, match=match)
    crystal.positions[2, 1] += shift
    potential.evaluate(crystal)
    assert potential.calculator.record.reused == reused


def test_the_nearest_of_several_matches_is_taken(crystal, tmp_path):
    far, near = crystal.copy(), crystal.copy()
    far.positions[0, 0] += 0.004
    near.positions[0, 0] += 0.001
    energies = [load_oracle(stubborn(), cache=tmp_path).evaluate(atoms).energy for atoms in (far, near)]
    potential = load_oracle(stubborn(), cache=tmp_path, match=0.01)
    assert potential.evaluate(crystal).energy == energies[1]
    assert potential.calculator.record.farthest == pytest.approx(0.001)


@pytest.mark.parametrize(
    "change",
    [
        lambda atoms: atoms.set_cell(atoms.cell * 1.001),
        lambda atoms: atoms.set_pbc([True, True, False]),
        lambda atoms: atoms.info.update(charge=1.0),
        lambda atoms: atoms.info.update(spin=2),
        lambda atoms: atoms.set_atomic_numbers([13, 13, 13, 29]),
    ],
)
def test_another_structure_is_not_found(crystal, tmp_path, change):
    load_oracle(stubborn(), cache=tmp_path).evaluate(crystal)
    change(crystal)
    potential = load_oracle(stubborn(), cache=tmp_path)
    crystal.calc = potential.calculator
    crystal.get_potential_energy()
    assert potential.calculator.record.reused == 0


def test_other_settings_are_not_found_but_retries_make_no_difference(crystal, tmp_path):
    load_oracle(stubborn(), cache=tmp_path).evaluate(crystal)
    other = load_oracle(stubborn(offset=1.0), cache=tmp_path)
    other.evaluate(crystal)
    same = load_oracle(stubborn(retries=[{"patience": 4}]), cache=tmp_path)
    same.evaluate(crystal)
    assert other.calculator.record.reused == 0
    assert same.calculator.record.reused == 1


def test_charge_in_info_is_a_change(crystal):
    crystal.calc = load_oracle(stubborn()).calculator
    crystal.get_potential_energy()
    crystal.info["charge"] = 1.0
    crystal.get_potential_energy()
    assert Stubborn.runs == 3 - 1


def test_a_stored_result_without_stress_is_completed(crystal, tmp_path):
    crystal.calc = load_oracle(stubborn(drift=1e-6), cache=tmp_path).calculator
    energy, forces = crystal.get_potential_energy(), crystal.get_forces()
    potential = load_oracle(stubborn(drift=1e-6), cache=tmp_path)
    result = potential.evaluate(crystal)
    assert potential.calculator.record.completed == 1
    assert result.energy == energy
    np.testing.assert_array_equal(result.forces, forces)
    last = load_oracle(stubborn(drift=1e-6), cache=tmp_path)
    np.testing.assert_array_equal(last.evaluate(crystal).stress, result.stress)
    assert last.calculator.record.reused == 1


def test_people_can_read_the_cache(crystal, tmp_path):
    result = load_oracle(stubborn(), cache=tmp_path).evaluate(crystal)
    (bucket,) = (folder for folder in tmp_path.iterdir() if folder.is_dir() and folder.name != "logs")
    assert bucket.name.startswith("Stubborn-Al4-")
    header = json.loads((bucket / "bucket.json").read_text())
    assert header["symbols"] == ["Al"] * 4
    (structure,) = (read(path) for path in bucket.glob("*.xyz"))
    assert structure.get_potential_energy() == pytest.approx(result.energy)
    np.testing.assert_allclose(structure.get_forces(), result.forces, atol=1e-7)
    (entry,) = (json.loads(path.read_text()) for path in bucket.glob("*.json") if path.name != "bucket.json")
    assert entry["engine"] == "fake_engines:Stubborn"
    assert entry["energy"] == result.energy


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: text.replace('"energy": ', '"energy": 1'),
        lambda text: text.replace('"format": 1', '"format": 99'),
    ],
)
def test_damaged_files_are_named_not_used(crystal, tmp_path, damage):
    load_oracle(stubborn(), cache=tmp_path).evaluate(crystal)
    (path,) = (p for p in tmp_path.glob("Stubborn*/*.json") if p.name != "bucket.json")
    path.write_text(damage(path.read_text()))
    with pytest.raises(OracleCacheError, match=path.name):
        load_oracle(stubborn(), cache=tmp_path).evaluate(crystal)
    path.unlink()
    assert load_oracle(stubborn(), cache=tmp_path).evaluate(crystal).energy


def test_two_calculators_see_each_others_results(crystal, tmp_path):
    one, two = (load_oracle(stubborn(), cache=tmp_path) for _ in range(2))
    two.evaluate(crystal)
    moved = crystal.copy()
    moved.positions[0] += 0.1
    one.evaluate(moved)
    two.evaluate(moved)
    assert two.calculator.record.reused == 1


def test_a_folder_that_cannot_be_used_is_refused_before_anything_runs(crystal, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OracleCacheError, match="cannot be made"):
        load_oracle(stubborn(), cache=tmp_path / "file" / "cache")
    potential = load_oracle(stubborn(), cache=tmp_path / "cache")
    (tmp_path / "cache" / "logs").write_text("in the way")
    with pytest.raises(OracleCacheError, match="cannot be stored"):
        potential.evaluate(crystal)
    assert Stubborn.runs == 0


def test_stored_results_need_no_engine(crystal, tmp_path, monkeypatch):
    """What examples ship is found without the engine; what is not there names the line that installs it."""
    spec = {"engine": "gpaw", "settings": {"ecut": 250, "kpts": [2, 2, 2]}}
    engine = gpaw.GPAWEngine(spec["settings"])
    monkeypatch.setattr(gpaw, "installed", lambda: True)
    monkeypatch.setattr(engine._worker, "ask", lambda request: ("done", answer(request)))
    monkeypatch.setitem(_ENGINES, "gpaw", (gpaw, lambda settings: engine, "GPAW"))

    def answer(request):
        n = len(request["numbers"])
        return {
            "energy": -1.5,
            "free_energy": -1.6,
            "forces": np.zeros((n, 3)),
            "stress": np.zeros(6),
            "engine": "gpaw 1",
        }

    load_oracle(spec, cache=tmp_path).evaluate(crystal)
    monkeypatch.undo()
    monkeypatch.setattr(gpaw, "installed", lambda: False)
    for name in [n for n in sys.modules if n == "gpaw" or n.startswith("gpaw.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "gpaw", None)
    spec["settings"]["ecut"] = 250.0  # the same number
    spec["settings"]["max_iterations"] = 77  # the way there is no part of the answer
    potential = load_oracle(spec, cache=tmp_path)
    assert potential.evaluate(crystal).energy == -1.5
    crystal.positions[0, 0] += 0.1
    with pytest.raises(MissingEngineError, match=r"holds no result for Al4.*libxc-dev libopenblas-dev"):
        potential.evaluate(crystal)
    with pytest.raises(MissingEngineError, match=r"multiscale-mlip\[gpaw\]"):
        load_oracle(spec)


def test_any_potential_stands_in(crystal, tmp_path):
    potential = load_oracle("eam-al", cache=tmp_path)
    assert not potential.capabilities.electronic
    crystal.info["spin"] = 1  # means nothing to it
    first = potential.evaluate(crystal)
    assert load_oracle({"name": "eam-al"}, cache=tmp_path).evaluate(crystal).energy == first.energy
    assert load_oracle("eam-al", cache=tmp_path).calculator.record.fresh == 0


def test_a_calculator_is_told_of_charge_where_it_can_be(crystal):
    crystal.info["charge"] = 2.0
    with pytest.raises(OracleInputError, match="charge_argument"):
        load_oracle(stubborn(electronic=True)).evaluate(crystal)
    spec = stubborn(electronic=True) | {"charge_argument": "offset"}
    told = load_oracle(spec).evaluate(crystal).energy
    crystal.info["charge"] = 0.0
    assert told == pytest.approx(load_oracle(spec).evaluate(crystal).energy + 2.0)


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({}, "spin 0|0 unpaired"),
        ({"spin": 2}, "2 unpaired"),
        ({"charge": 0.5, "spin": 1}, "whole number"),
        ({"charge": 9.0, "spin": 1}, "too few"),
        ({"spin": -1}, "unpaired electrons, 0, 1"),
        ({"spin": 0.5}, "unpaired electrons, 0, 1"),
        ({"charge": "plus"}, "must be a number"),
        ({"charge": float("nan")}, "must be a number"),
    ],
)
def test_electrons_that_cannot_be_paired_are_refused_before_anything_runs(info, said, monkeypatch):
    monkeypatch.setattr(tblite, "installed", lambda: True)
    radical = molecule("OH")
    radical.info.update(info)
    potential = load_oracle("gfn2")
    assert potential.capabilities.electronic
    with pytest.raises(OracleInputError, match=said):
        potential.evaluate(radical)
    assert potential.calculator.record.seconds == 0.0


def test_the_suggested_spin_and_charge_are_accepted():
    engine = tblite.TBLiteEngine()
    radical = molecule("OH")
    for info in ({"spin": 1}, {"charge": -1.0}, {"charge": np.array([1.0]), "spin": np.int64(2)}):
        radical.info = dict(info)
        assert isinstance(make_task(radical, engine, stress=False), Task)
    odd = bulk("Al")  # 13 electrons in a periodic cell: the smearing shares them out
    assert make_task(odd, engine, stress=False).spin == 0


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda a: a.positions.__setitem__((1, 2), np.nan), OracleInputError, "atom 1"),
        (lambda a: a.set_cell([np.inf, 5, 5]), OracleInputError, "cell"),
        (lambda a: a.set_pbc(True), OracleInputError, "no cell vector"),
        (lambda a: a.set_atomic_numbers([103, 1, 1]), UnknownElementError, "Lr"),
        (lambda a: a.set_atomic_numbers([0, 1, 1]), OracleInputError, "without an element"),
        (lambda a: a.positions.__setitem__(1, a.positions[2]), OracleInputError, "apart"),
        (lambda a: a.__delitem__([0, 1, 2]), OracleInputError, "no atoms"),
        (lambda a: (a.set_cell([9, 9, 9]), a.set_pbc([1, 1, 0])), OracleInputError, "all three"),
    ],
)
def test_structures_that_make_no_sense_are_refused(change, error, said, monkeypatch):
    monkeypatch.setattr(tblite, "installed", lambda: True)
    water = molecule("H2O")
    change(water)
    potential = load_oracle("tblite")
    water.calc = potential.calculator
    with pytest.raises(error, match=said):
        water.get_potential_energy()


@pytest.mark.parametrize("shift", [0.0, 1.0, -1.0])
def test_atoms_on_top_of_each_other_are_refused_across_the_boundary_too(crystal, shift):
    assert load_oracle(stubborn()).evaluate(crystal)
    crystal.positions[1] = crystal.positions[0] + shift * (crystal.cell[0] + crystal.cell[2]) + [0.0, 0.05, 0.0]
    with pytest.raises(OracleInputError, match=r"Atoms 0 and 1 .* 0.050 Å apart"):
        load_oracle(stubborn()).evaluate(crystal)
    crystal.pbc = False
    if shift:
        assert load_oracle(stubborn()).evaluate(crystal)
    crystal.pbc = True
    crystal.cell[2] = crystal.cell[1]
    with pytest.raises(OracleInputError, match="in a plane"):
        load_oracle(stubborn()).evaluate(crystal)


def test_pyscf_refuses_crystals(monkeypatch):
    monkeypatch.setattr(pyscf, "installed", lambda: True)
    with pytest.raises(OracleInputError, match="molecules"):
        load_oracle("pyscf").evaluate(bulk("Si"))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("gpwa", "gpaw"),
        ({"engine": "tblit"}, "tblite"),
        ({"engine": "gpaw", "settings": {"cutoff": 300}}, "ecut"),
        ({"engine": "gpaw", "settings": {"kpt": [1, 1, 1]}}, "kpts"),
        ({"engine": "gpaw", "setings": {}}, "settings"),
        ({"engine": "gpaw", "settings": {"ecut": -300}}, "ecut must be a positive"),
        ({"engine": "gpaw", "settings": {"kpts": [2, 2]}}, "three whole numbers"),
        ({"engine": "gpaw", "settings": {"smearing": "fermi"}}, "fermi-dirac"),
        ({"engine": "gpaw", "settings": {"extra": {"setups": print}}}, "recognised"),
        ({"engine": "gpaw", "settings": [1]}, "mapping"),
        ({"engine": "tblite", "settings": {"method": "GFN3"}}, "gfn"),
        ({"engine": "pyscf", "settings": {"restricted": "maybe"}}, "auto"),
        ({"engine": "gfn2", "retry": "warm"}, "hot"),
        ({"engine": "gfn2", "energy": "fre"}, "free"),
        ({"calculator": "ase.calculators.emt:EMT", "argument": {}}, "arguments"),
        ({"calculator": "ase.calculators.emt:EMT", "retries": [3]}, "retries"),
        (3, "name or a mapping"),
    ],
)
def test_specifications_that_make_no_sense_are_answered_with_the_nearest(spec, said, monkeypatch):
    for module in (tblite, pyscf, gpaw):
        monkeypatch.setattr(module, "installed", lambda: True)
    with pytest.raises(OracleInputError, match=said):
        load_oracle(spec)


@pytest.mark.parametrize("match", [-1.0, 5.0, float("nan"), "near", True])
def test_match_is_a_distance(match, tmp_path):
    with pytest.raises(OracleInputError, match="match"):
        load_oracle("eam-al", cache=tmp_path, match=match)


@pytest.mark.parametrize(("name", "line"), [("tblite", r"\[tblite\]"), ("pyscf", r"\[pyscf\]"), ("gpaw", "libxc-dev")])
def test_a_missing_engine_names_the_line_that_installs_it(name, line, monkeypatch, tmp_path):
    monkeypatch.setattr(_ENGINES[name][0], "installed", lambda: False)
    with pytest.raises(MissingEngineError, match=line):
        load_oracle(name)
    assert load_oracle(name, cache=tmp_path)  # nothing asked of it yet
    info = {info.name: info for info in available_engines()}[name]
    assert not info.installed


def test_ladders_end_in_changed_physics_only():
    """Every rung but the last of an engine with a temperature converges to the same answer."""
    task = Task(atoms=bulk("Al"), charge=0.0, spin=0)
    for engine in (tblite.TBLiteEngine(), gpaw.GPAWEngine()):
        rungs = engine.rungs(task)
        assert [bool(rung.changed) for rung in rungs] == [False] * (len(rungs) - 1) + [True]
    assert not any(rung.changed for rung in pyscf.PySCFEngine().rungs(task))


def test_gpaw_moments_grid_and_box():
    engine = gpaw.GPAWEngine({"magmoms": {"Ni": 0.7}})
    nickel = Task(atoms=bulk("Ni", cubic=True), charge=0.0, spin=0)
    np.testing.assert_allclose(engine._moments(nickel), 0.7)
    assert "fixmagmom" not in engine.parameters(nickel, engine.rungs(nickel)[0])["occupations"]
    oxygen = Task(atoms=molecule("O2"), charge=0.0, spin=2)
    assert engine._moments(oxygen).sum() == 2.0
    parameters = engine.parameters(oxygen, engine.rungs(oxygen)[0])
    assert parameters["occupations"] == {"name": "fermi-dirac", "width": 0.0, "fixmagmom": True}
    assert parameters["kpts"]["size"] == [1, 1, 1]
    boxed = engine.boxed(oxygen)
    assert (boxed.cell.lengths() >= 12.0).all()
    assert (boxed.positions - 6.0 >= -1e-9).all()
    slab = bulk("Al", cubic=True)
    slab.pbc = [True, True, False]
    # 3.5 points per Å⁻¹ of 2π/4.05 Å: 5.4, so 6; one along the open direction.
    assert engine.grid(Task(atoms=slab, charge=0.0, spin=0)) == [6, 6, 1]
    hydroxyl = Task(atoms=molecule("OH"), charge=0.0, spin=1)
    np.testing.assert_allclose(engine._moments(hydroxyl), [1.0, 0.0])


def test_a_process_that_dies_says_its_last_words(tmp_path):
    script = tmp_path / "dies.py"
    script.write_text("raise SystemExit('no licence')")
    with pytest.raises(EvaluationError, match="no licence"):
        Worker(script, cores=1, title="the engine").ask("anything")
    script.write_text(
        "import socket, sys\nfrom multiprocessing.connection import Connection\n"
        "line = socket.socket(socket.AF_UNIX); line.connect(sys.argv[1]); c = Connection(line.detach())\n"
        "c.send(c.recv() * 2); c.recv(); raise SystemExit('killed')"
    )
    worker = Worker(script, cores=1, title="the engine")
    assert worker.ask(21) == 42
    with pytest.raises(EvaluationError, match="killed"):
        worker.ask(1)
    assert worker.ask(2) == 4  # started anew
    worker.close()
    with pytest.raises(OracleInputError, match="cores"):
        Worker(script, cores=100_000, title="the engine").ask(1)


def test_a_long_run_reads_each_file_once(crystal, tmp_path, monkeypatch):
    read_files = []
    monkeypatch.setattr(
        cache, "read_result", lambda path, real=cache.read_result: read_files.append(path) or real(path)
    )
    potential = load_oracle(stubborn(), cache=tmp_path)
    for _ in range(6):
        crystal.positions[0, 0] += 0.01
        potential.evaluate(crystal)
    assert len(read_files) == 5  # what was stored is read back once, when next looked for


def test_another_process_does_not_believe_to_be_a_rank(tmp_path, monkeypatch):
    """A launcher's variables would make GPAW refuse to start, or wait for ranks that are not there."""
    for name in ("PMI_RANK", "PMI_SIZE", "PMIX_RANK", "OMPI_COMM_WORLD_SIZE", "I_MPI_MPIRUN"):
        monkeypatch.setenv(name, "2")
    script = tmp_path / "tells.py"
    script.write_text(
        "import os, socket, sys\nfrom multiprocessing.connection import Connection\n"
        "line = socket.socket(socket.AF_UNIX); line.connect(sys.argv[1]); c = Connection(line.detach())\n"
        "c.recv(); c.send(dict(os.environ))"
    )
    seen = Worker(script, cores=1, title="the engine").ask("environment")
    assert "PATH" in seen
    assert not [name for name in seen if name.startswith(("PMI", "OMPI", "I_MPI"))]


def test_ranks_share_results_and_mistakes():
    script = """
        import tempfile, warnings
        from pathlib import Path
        from mpi4py import MPI
        from ase.build import bulk, molecule
        from atomistic.oracle import load_oracle
        comm = MPI.COMM_WORLD
        folder = Path(comm.bcast(tempfile.mkdtemp() if comm.rank == 0 else None))
        atoms = bulk("Al", cubic=True); atoms.rattle(0.05, seed=1)
        # Each for itself, at once into the same cache, many times.
        for k in range(20):
            atoms.positions[0, 0] += 0.01
            mine = load_oracle("eam-al", cache=folder / "own").evaluate(atoms).energy
            assert len(set(comm.allgather(mine))) == 1
        # Together: the first rank alone computes.
        together = load_oracle("eam-al", cache=folder / "shared", comm=comm)
        assert together.comm.size == 2
        assert len(set(comm.allgather(together.evaluate(atoms).energy))) == 1
        assert together.calculator.record.fresh == 1
        # On one rank only.
        if comm.rank == 1:
            load_oracle("eam-al", cache=folder / "one").evaluate(atoms)
        # Mistakes reach all ranks.
        try:
            load_oracle({"engine": "gfn2"}, cache=folder, comm=comm).evaluate(molecule("OH"))
        except ValueError as error:
            assert "unpaired" in str(error)
        else:
            raise SystemExit("not refused")
        print("fine", flush=True)
    """
    assert run_mpi(2, script, timeout=60).stdout.count("fine") == 2


def test_what_was_asked_before_does_not_show_in_an_answer():
    one, other = bulk("Al", cubic=True) * 2, bulk("Al", cubic=True) * 2
    one.rattle(0.1, seed=0)
    other.rattle(0.1, seed=1)
    alone = load_oracle("eam-al").evaluate(other).forces
    oracle = load_oracle("eam-al")
    oracle.evaluate(one)
    np.testing.assert_array_equal(oracle.evaluate(other).forces, alone)
