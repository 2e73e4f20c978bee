"""Paths that are left after a step and gone on with from what was kept: the same steps, to the last bit."""

from dataclasses import replace

import numpy as np
import pytest
from mpi import run_mpi
from test_path import CRITICAL, PEAK, WIDTH, bar
from test_path import WORK as TOUGHNESS

from continuum.laws import ExponentialLaw
from continuum.path import PathOptions, trace
from multiscale.codec import decode, encode

REVERSIBLE = ExponentialLaw(fracture_energy=TOUGHNESS, peak_traction=PEAK, unloading="reversible")
ROUGH = {"resolution": 0.1}
WALKS = {
    "snap-back": (lambda: bar(2.5 * CRITICAL), {"to": 7.5, "step": 1.0, "options": PathOptions(**ROUGH)}),
    "jump": (lambda: bar(2.5 * CRITICAL), {"to": 9.0, "step": 0.6, "options": PathOptions(snap="jump")}),
    "dead load": (
        lambda: bar(20.0, pulled=False),
        {"to": 2.0 * PEAK * WIDTH, "step": 0.2, "options": PathOptions(**ROUGH)},
    ),
    "viscous": (
        lambda: bar(0.5 * CRITICAL),
        {"to": 4.0, "step": 0.4, "options": PathOptions(viscosity=2e-3, max_viscous_share=0.5)},
    ),
    "reversible": (
        lambda: bar(80.0, law=REVERSIBLE),
        {"to": 12.0, "step": 1.5, "options": PathOptions(resolution=0.2)},
    ),
}


def untimed(steps):
    return [replace(s, seconds=0.0) for s in steps]


@pytest.mark.parametrize("name", WALKS)
def test_a_path_goes_on_from_any_step_to_the_last_bit(name):
    build, how = WALKS[name]
    whole, states = build(), []
    steps = trace(whole, **how, keep=lambda state: states.append(encode(state())))
    bare = build()
    # Taking states changes nothing.
    assert untimed(trace(bare, **how)) == untimed(steps)
    assert len(states) == len(steps) > 8
    for taken in {1, 2, *range(3, len(states), 4), len(states) - 1}:
        solid, told = build(), []
        # Wherever it stands.
        solid.set_load(0.95 * how["to"])
        again = trace(solid, **how, state=decode(states[taken - 1]), on_step=told.append)
        assert untimed(again) == untimed(steps)
        # Steps that were told before are not told again.
        assert untimed(told) == untimed(steps[taken:])
        np.testing.assert_array_equal(solid.u.x.array, whole.u.x.array)
        np.testing.assert_array_equal(solid.history, whole.history)
        assert solid.load == whole.load


def test_a_path_that_was_ended_stays_so():
    build, how = WALKS["snap-back"]
    states = []
    steps = trace(
        build(), **how, on_step=lambda s: s.control == "dissipation", keep=lambda state: states.append(state())
    )
    assert untimed(trace(build(), **how, state=states[-1])) == untimed(steps)
    # What was kept before is a state of its own: it did not move with the walk.
    assert [len(s["steps"]) for s in states] == [*range(1, len(steps) + 1)]


SCRIPT = """
    import sys
    sys.path[:0] = ["tests/continuum", "tests"]
    import numpy as np
    from test_path_state import WALKS
    from continuum.path import trace
    from multiscale.codec import decode, encode
    from pathlib import Path
    build, how = WALKS["snap-back"]
    solid, kept = build(), []
    begun = decode(Path(r"{folder}/one").read_bytes())
    on = [s.load for s in trace(solid, **how, state=begun)]
    steps = trace(build(), **how, keep=lambda state: kept.append(state()))
    if solid.comm.rank == 0:
        Path(r"{folder}/many").write_bytes(encode([kept[len(kept) // 2], on, [s.load for s in steps]]))
"""


def test_a_path_goes_on_with_more_and_with_fewer_ranks(tmp_path):
    build, how = WALKS["snap-back"]
    states = []
    steps = trace(build(), **how, keep=lambda state: states.append(state()))
    loads = [s.load for s in steps]
    (tmp_path / "one").write_bytes(encode(states[len(states) // 2]))
    run_mpi(2, SCRIPT.format(folder=tmp_path), timeout=120)
    kept, on, whole = decode((tmp_path / "many").read_bytes())
    assert on == pytest.approx(loads, abs=1e-8)
    assert whole == pytest.approx(loads, abs=1e-8)
    back = trace(build(), **how, state=kept)
    assert [s.load for s in back] == pytest.approx(loads, abs=1e-8)
