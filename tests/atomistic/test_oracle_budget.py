"""What an oracle may spend, what it tells of where its answers come from, and its settings for metals."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111

from atomistic.errors import OracleBudgetError, OracleError, OracleInputError, UnknownElementError
from atomistic.labelled import LabelledFrame
from atomistic.oracle import OracleCalculator, label, load_oracle, provenance_of
from atomistic.oracle.base import Outcome
from atomistic.oracle.gpaw import METAL, GPAWEngine
from atomistic.oracle.structure import make_task
from atomistic.potentials import load_potential
from tests.mpi import run_mpi

EMT = {"calculator": "ase.calculators.emt:EMT"}


def crystals(count):
    found = []
    for seed in range(count):
        atoms = bulk("Al", cubic=True)
        atoms.rattle(0.05, seed=seed)
        found.append(atoms)
    return found


def test_a_budget_counts_what_is_computed_and_not_what_is_found(tmp_path):
    first, second, third = crystals(3)
    oracle = load_oracle(EMT, cache=tmp_path / "kept", budget=2)
    for atoms in (first, second, first, second):
        oracle.evaluate(atoms)
    assert oracle.calculator.record.spent == 2
    told = r"The oracle EMT has made 2 of 2 calculations .* Al4 .*would be another\. Results so far are in"
    with pytest.raises(OracleBudgetError, match=told):
        oracle.evaluate(third)
    assert oracle.evaluate(first).energy == pytest.approx(load_oracle(EMT).evaluate(first).energy), (
        "it goes on answering"
    )
    # What was paid for before is free; nothing is left of the budget where it is zero.
    again = load_oracle(EMT, cache=tmp_path / "kept", budget=0)
    again.evaluate(second)
    with pytest.raises(OracleBudgetError, match="0 of 0"):
        again.evaluate(third)
    assert issubclass(OracleBudgetError, OracleError)
    for wrong in (-1, 1.5, True, "5"):
        with pytest.raises(OracleInputError, match="budget must be a whole number ≥ 0"):
            load_oracle(EMT, budget=wrong)


def test_a_failed_calculation_is_paid_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    oracle = load_oracle(
        {"calculator": "ase.calculators.lj:LennardJones", "arguments": {"epsilon": float("nan")}}, budget=1
    )
    with pytest.raises(OracleError, match="not a finite number"):
        oracle.evaluate(crystals(1)[0])
    with pytest.raises(OracleBudgetError, match="1 of 1"):
        oracle.evaluate(crystals(1)[0])


def test_ranks_run_out_of_budget_together():
    run_mpi(
        2,
        """
        from ase.build import bulk
        from mpi4py import MPI
        from atomistic.errors import OracleBudgetError
        from atomistic.oracle import load_oracle
        oracle = load_oracle({"calculator": "ase.calculators.emt:EMT"}, budget=1, comm=MPI.COMM_WORLD)
        atoms = bulk("Al", cubic=True)
        oracle.evaluate(atoms)
        assert oracle.calculator.provenance()["settings_hash"]
        atoms.rattle(0.1)
        try:
            oracle.evaluate(atoms)
        except OracleBudgetError:
            pass
        else:
            raise SystemExit("no budget error")
        """,
        timeout=60,
    )


def test_provenance_says_who_and_how_and_nothing_of_when(tmp_path):
    atoms = crystals(1)[0]
    oracle = load_oracle(EMT | {"arguments": {"fixed_cutoff": True}}, cache=tmp_path, match=1e-3)
    with pytest.raises(OracleInputError, match="has computed nothing yet"):
        provenance_of(oracle)
    oracle.evaluate(atoms)
    first = provenance_of(oracle)
    assert first["oracle"] == "EMT"
    assert first["energy"] == "extrapolated"
    assert first["settings"]["arguments"] == {"fixed_cutoff": True}
    assert json.loads(json.dumps(first)) == first
    # Found again it is the same answer; from a structure beside it, that is said.
    assert provenance_of(oracle) == first
    again = load_oracle(EMT | {"arguments": {"fixed_cutoff": True}}, cache=tmp_path, match=1e-3)
    again.evaluate(atoms)
    assert provenance_of(again) == first
    atoms.positions[0, 0] += 5e-4
    again.evaluate(atoms)
    assert provenance_of(again) == first | {"away": pytest.approx(5e-4)}
    # Other settings, and another kind of energy, are other hashes.
    hashes = {first["settings_hash"]}
    for spec in (EMT, EMT | {"energy": "free"}):
        other = load_oracle(spec)
        other.evaluate(atoms)
        hashes.add(provenance_of(other)["settings_hash"])
    assert len(hashes) == 3


def test_magnetic_moments_to_start_from_are_no_other_settings(tmp_path, monkeypatch):
    def compute(engine, task, rung, *, log=None):
        return Outcome(energy=-1.0, free_energy=-1.0, forces=np.zeros((len(task.atoms), 3)), engine="gpaw 26.7")

    monkeypatch.setattr(GPAWEngine, "compute", compute)
    oracle = load_oracle("gpaw-metal", cache=tmp_path)
    found = []
    for moment in (0.0, 0.7):
        atoms = bulk("Ni")
        atoms.set_initial_magnetic_moments([moment])
        oracle.evaluate(atoms, stress=False)
        found.append(provenance_of(oracle))
    assert found[1]["settings"]["initial_magmoms"] == [0.7]
    assert "initial_magmoms" not in found[0]["settings"]
    assert found[0]["settings_hash"] == found[1]["settings_hash"]
    assert found[0]["version"] == "gpaw 26.7"


def test_labels_carry_the_origin_of_frame_and_answer():
    atoms = crystals(1)[0]
    frame = LabelledFrame(atoms=atoms, config_type="hot", provenance={"source": "md"})
    oracle = load_oracle("eam-al")
    found = label(oracle, frame, run="runs/7", step=40, reason="disagreement 0.3 eV/Å")
    truth = load_potential("eam-al").evaluate(atoms)
    assert found.energy == truth.energy
    assert np.array_equal(found.forces, truth.forces)
    assert np.allclose(found.stress, truth.stress)
    assert found.config_type == "hot"
    assert {"source", "run", "step", "reason", "oracle", "settings_hash", "version"} <= set(found.provenance)
    assert label(oracle, frame, stress=False).stress is None
    plain = label(load_potential("eam-al"), frame)
    assert plain.provenance["oracle"] == "eam-al"
    assert plain.provenance["model_sha256"]
    molecule = LabelledFrame(atoms=Atoms("Al2", positions=[[0, 0, 0], [0, 0, 2.7]]))
    assert label(oracle, molecule).stress is None
    with pytest.raises(UnknownElementError, match="no parameters for Cu"):
        label(oracle, LabelledFrame(atoms=bulk("Cu")))


def test_the_preset_for_metals_sees_vacuum():
    engine = GPAWEngine(dict(METAL))
    cell = bulk("Al", a=4.05, cubic=True)
    slab = fcc111("Al", (1, 1, 4), a=4.05, vacuum=6.0)
    slab.pbc = True
    assert engine.grid(make_task(cell, engine, stress=False)) == [8, 8, 8]
    # One point along the vacuum, whichever vector it lies along and however the atoms are wrapped.
    assert engine.grid(make_task(slab, engine, stress=False)) == [13, 13, 1]
    slab.positions[:, 2] += 9.0
    slab.wrap()
    assert engine.grid(make_task(slab, engine, stress=False)) == [13, 13, 1]
    assert GPAWEngine({"kpts": 5.0}).grid(make_task(slab, engine, stress=False)) == [13, 13, 2]
    parameters = engine.parameters(
        make_task(cell, engine, stress=False), engine.rungs(make_task(cell, engine, stress=False))[0]
    )
    assert parameters["mode"] == {"name": "pw", "ecut": 350.0}
    assert parameters["occupations"] == {"name": "fermi-dirac", "width": 0.1}


def test_presets_take_settings_on_top(tmp_path):
    oracle = load_oracle({"engine": "gpaw-metal", "settings": {"ecut": 300.0}}, cache=tmp_path)
    assert isinstance(oracle.calculator, OracleCalculator)
    assert oracle.calculator.engine.settings.ecut == 300.0
    assert oracle.calculator.engine.settings.gap == 6.0
    assert load_oracle("gpaw-metal", cache=tmp_path).calculator.engine.settings.ecut == 350.0
    assert (
        load_oracle(
            {"engine": "gfn2", "settings": {"accuracy": 0.1}}, cache=tmp_path
        ).calculator.engine.settings.accuracy
        == 0.1
    )
    with pytest.raises(OracleInputError, match="gap must be a positive number"):
        load_oracle({"engine": "gpaw", "settings": {"gap": -1.0}}, cache=tmp_path)
