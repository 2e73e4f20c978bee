"""Runs over live laws that are left after a step and gone on with: the same steps, cells and records, to the last bit."""

from dataclasses import replace

import numpy as np
import pytest
from mpi4py import MPI

from continuum.path import PathOptions
from coupling.live import LiveCoupledLaw, LiveLaw, follow_live, trace_live
from multiscale.codec import decode, encode
from tests.coupling.live_cells import LENGTH, SPACING, WORK, FormulaCell, block_with
from tests.coupling.test_live_coupled import FormulaCell as CoupledCell
from tests.coupling.test_live_coupled import sheared
from tests.mpi import run_mpi

LOADS = np.linspace(0.2, 2.4, 8)


def cell_of():
    return FormulaCell(stiffness=np.array([[WORK / LENGTH**2 * SPACING / 0.75]]), bump=(0.001, 1.03, 0.02))


def opened(folder, *, height=6.0, comm=MPI.COMM_SELF, law_comm=None, tolerance=0.02):
    law = LiveLaw(cell_of(), tolerance=tolerance, cache=folder / "cells.csv", comm=law_comm)
    return block_with(law, comm=comm, height=height), law


def slid(folder):
    law = LiveCoupledLaw(CoupledCell(), cache=folder / "cells.csv", tolerance=0.05)
    return sheared(law), law


def traced(solid, **how):
    return trace_live(solid, to=6.0, step=3.0, options=PathOptions(resolution=0.5), **how)


WALKS = {
    "opened": (opened, lambda solid, **how: follow_live(solid, LOADS, **how)),
    "one by one": (opened, lambda solid, **how: follow_live(solid, LOADS, ahead=0.0, **how)),
    "slid": (slid, lambda solid, **how: follow_live(solid, np.linspace(0.1, 1.2, 6), **how)),
    "traced": (lambda folder: opened(folder, height=40.0, tolerance=0.1), traced),
}


def told(run):
    """All of a run but its times, to the last bit; NaN is NaN."""
    return repr(replace(run, steps=[replace(s, seconds=0.0) for s in run.steps]))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "traced" else ()) for name in WALKS]
)
def test_a_run_goes_on_from_any_step_to_the_last_bit(name, tmp_path):
    build, walk = WALKS[name]
    folders = [tmp_path / n for n in ("bare", "whole", "again")]
    for folder in folders:
        folder.mkdir()
    bare = walk(build(folders[0])[0])
    states, (solid, law) = [], build(folders[1])
    whole = walk(solid, keep=lambda state: states.append(encode(state())))
    # Taking states changes nothing.
    assert told(whole) == told(bare)
    assert len(states) >= len(whole.steps) >= 4
    cells = (folders[1] / "cells.csv").read_text()
    for kept in states[:: len(states) // 3]:
        other, fresh = build(folders[2])
        # The cache is that of a run which came further before it was killed.
        (folders[2] / "cells.csv").write_text(cells)
        assert told(walk(other, state=decode(kept))) == told(whole)
        np.testing.assert_array_equal(other.u.x.array, solid.u.x.array)
        np.testing.assert_array_equal(other.history, solid.history)
        assert repr(fresh.record()) == repr(law.record())
        assert (folders[2] / "cells.csv").read_text() == cells
        (folders[2] / "cells.csv").unlink()


def test_only_cells_that_were_not_known_are_asked_again(tmp_path):
    states, (solid, law) = [], opened(tmp_path)
    follow_live(solid, LOADS, keep=lambda state: states.append(state()))
    known = len(states[4]["laws"]["interface"]["nodes"]["keys"])
    (tmp_path / "cells.csv").unlink()
    other, fresh = opened(tmp_path)
    follow_live(other, LOADS, state=states[4])
    # Rest and separation, which each law asks when it is made.
    assert len(fresh.cell.asked) == 2 + len(law.cell.asked) - known
    assert 2 < known < len(law.cell.asked)


SCRIPT = """
    from pathlib import Path
    from mpi4py import MPI
    from coupling.live import follow_live
    from multiscale.codec import decode, encode
    from tests.coupling.test_live_state import LOADS, opened
    folder, comm = Path(r"{folder}"), MPI.COMM_WORLD
    for place, own in (("whole", MPI.COMM_SELF), ("shared", comm)):
        solid, law = opened(folder / place, comm=own, law_comm=comm)
        kept = []
        run = follow_live(solid, LOADS, keep=lambda state: kept.append(state()))
        solid, other = opened(folder / place, comm=own, law_comm=comm)
        on = follow_live(solid, LOADS, state=decode((folder / "one").read_bytes()))
        told = [[[s.reaction for s in r.steps] for r in (on, run)], [law.record(), other.record()]]
        if comm.rank == 0:
            (folder / place / "told").write_bytes(encode([kept[len(kept) // 2], *told]))
        comm.Barrier()
"""


@pytest.mark.slow
def test_a_run_goes_on_with_more_and_with_fewer_ranks(tmp_path):
    for name in ("here", "whole", "shared"):
        (tmp_path / name).mkdir()
    states, (solid, law) = [], opened(tmp_path / "here")
    run = follow_live(solid, LOADS, keep=lambda state: states.append(state()))
    reactions, cells = [s.reaction for s in run.steps], law.record().evaluations
    (tmp_path / "one").write_bytes(encode(states[len(states) // 2]))
    run_mpi(2, SCRIPT.format(folder=tmp_path), timeout=120)
    for name in ("whole", "shared"):
        kept, curves, records = decode((tmp_path / name / "told").read_bytes())
        solid, law = opened(tmp_path / "here")
        back = follow_live(solid, LOADS, state=kept)
        for found in (*curves, [s.reaction for s in back.steps]):
            assert found == pytest.approx(reactions, abs=1e-8)
        assert {r.evaluations for r in [*records, law.record()]} == {cells}
