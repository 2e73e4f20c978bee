"""The checks of benchmarks/embedding.py are green on the schemes and red where they are broken on purpose."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from _embedding_checks import account, forces_from_energy, identity, net_force, stress_from_energy
from _embedding_systems import molecule, silicon
from embedding import apart, defective


def test_energy_forces_and_stress_belong_together():
    system = silicon(repeat=3)
    assert identity(system)["identity_silicon_energy_ev_per_atom"] <= 1e-10
    assert forces_from_energy(system)["force_error_relative_silicon"] <= 1e-5
    assert stress_from_energy(system)["stress_error_relative_silicon"] <= 1e-5
    assert max(net_force(system).values()) <= 1e-10
    assert account(system)["ledger_open_ev_silicon"] <= 1e-9


def test_forces_go_through_the_caps():
    system = molecule(toy=True)
    assert len(system.subtractive().reselect(system.atoms)) == 1
    assert forces_from_energy(system)["force_error_relative_caps"] <= 1e-5
    assert max(net_force(system).values()) <= 1e-10


def test_parts_out_of_reach_add_up():
    assert all(value <= 1e-9 for value in apart().values())


@pytest.mark.parametrize(
    ("defect", "figure"),
    [
        ("drop_ml_of_cluster", lambda: identity(silicon())["identity_silicon_energy_ev_per_atom"]),
        ("drop_redistribution", lambda: net_force(silicon())["net_force_mixing_silicon"]),
        ("flip_cap_ratio", lambda: forces_from_energy(molecule(toy=True))["force_error_relative_caps"]),
    ],
)
def test_a_broken_scheme_is_seen(defect, figure):
    sound = figure()
    with defective(defect):
        assert figure() > max(1e-3, 1e5 * sound)
    assert figure() == pytest.approx(sound, abs=1e-9)
