"""The ledger: closure is measured, and an energy that leaves the account is seen."""

import itertools

import numpy as np
import pytest

from coupling.ledger import EnergyLedger, Term


def spring_and_slider(steps: int, *, leak: float = 0.0) -> EnergyLedger:
    """A nonlinear spring P = u³ in a slider that dissipates at a constant force of 1, followed to u = 2."""
    ledger = EnergyLedger([Term(name="spring", domain="line"), Term(name="dissipated", domain="slider")])
    path = np.linspace(0, 2, steps + 1)
    for before, after in itertools.pairwise(path):
        increment = 0.5 * (before**3 + after**3 + 2) * (after - before)
        ledger.record(
            load=after, work_increment=increment, step_defect=leak, spring=after**4 / 4, dissipated=after * (1 - leak)
        )
    return ledger


def test_run_closure_falls_with_the_square_of_the_step():
    coarse, fine = spring_and_slider(20).run_closure(), spring_and_slider(40).run_closure()
    assert coarse / fine == pytest.approx(4, rel=5e-3)


def test_lost_energy_is_seen():
    assert spring_and_slider(400).run_closure() < 1e-5
    assert spring_and_slider(400, leak=0.01).run_closure() > 1e-3
    assert spring_and_slider(10, leak=0.01).step_closure() == pytest.approx(0.01 / spring_and_slider(10).work[-1])


def test_weights_enter_the_total():
    ledger = EnergyLedger([Term(name="a", domain="x", weight=0.25), Term(name="b", domain="y")])
    ledger.record(load=1.0, work_increment=3.0, step_defect=0.0, a=4.0, b=2.0)
    assert ledger.total[-1] == 3.0
    assert ledger.run_closure() == 0.0
    assert ledger.column("b")[-1] == 2.0


def test_mistakes():
    with pytest.raises(ValueError, match="share a name"):
        EnergyLedger([Term(name="a", domain="x"), Term(name="a", domain="y")])
    ledger = EnergyLedger([Term(name="a", domain="x")])
    with pytest.raises(ValueError, match="enter each term once"):
        ledger.record(load=1.0, work_increment=0.0, step_defect=0.0, b=1.0)
    with pytest.raises(ValueError, match="not finite"):
        ledger.record(load=1.0, work_increment=0.0, step_defect=0.0, a=float("nan"))
