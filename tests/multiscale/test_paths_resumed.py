"""Contact, snap-back and live laws, stopped on the way and resumed: what a run leaves is what it would have left, to the bit."""

import json
import os
import signal

import h5py
import numpy as np
import pytest
from mpi4py import MPI

from multiscale import AdhesionCase, ContactCase, run_adhesion, run_contact
from multiscale.errors import StoppedError
from multiscale.resume import resume_run
from multiscale.run import RunDirectory
from multiscale.studies import launch
from multiscale.survival import RunOptions, run_options

CONTACT = ContactCase(
    indenter={"shape": "sphere", "radius": "100 nm"},
    material={"E": "70 GPa", "nu": 0.3},
    law={"type": "dugdale", "work": "0.5 J/m^2", "strength": "3 GPa"},
    path={"contact": "9 nm", "steps": 8},
    mesh={"facets_in_zone": 4},
)
BLOCK = {
    "potential": "eam-al-zhou",
    "crystal": {"element": "Al", "structure": "fcc"},
    "interface": {"plane": [1, 1, 1]},
    "decohesion": {"relax": False},
    "verification": {"stacks": []},
}
LIVE = AdhesionCase(
    **BLOCK,
    specimen={"shape": "block", "width": "2 nm", "height": "1 nm"},
    loading={"opening": {"to": "4 angstrom", "steps": 12}},
    law={"type": "live"},
    output={"fields_every": 3},
)
SNAP = AdhesionCase(
    **BLOCK,
    specimen={"shape": "block", "width": "2 nm", "height": "20 nm"},
    loading={"opening": {"to": "2 nm", "steps": 6}},
    solver={"snap_back": "follow"},
    output={"fields_every": 25},
)


class Killed(BaseException):
    """The process was gone at once."""


def events(folder):
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def left(folder):
    """All that a run leaves, but for its times."""
    found = {path.name: path.read_text() for path in sorted(folder.glob("*.csv"))}
    found["results.json"] = (folder / "results.json").read_text()
    found["steps"] = [
        {k: v for k, v in e.items() if k not in ("time", "elapsed", "seconds")}
        for e in events(folder)
        if e["event"] in ("state", "step")
    ]
    for path in sorted(folder.glob("fields/*.vtkhdf")):
        with h5py.File(path) as file:
            found[path.name] = {}
            file.visititems(
                lambda name, one, into=found[path.name]: into.update(
                    {name: one[()].tobytes() if isinstance(one, h5py.Dataset) else None}
                )
            )
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            found[path.name] = {name: file[name].tobytes() for name in file.files}
    return found


@pytest.mark.parametrize(
    ("case", "stops"), [(CONTACT, (3, 21)), (LIVE, (0, 2, 9)), (SNAP, (60,))], ids=["contact", "live", "snap"]
)
def test_a_run_that_is_stopped_again_and_again_leaves_the_same(case, stops, tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "make_report", lambda path: None)
    run = run_contact if isinstance(case, ContactCase) else run_adhesion
    with run_options(RunOptions(save="never")):
        run(case, directory=tmp_path / "whole", comm=MPI.COMM_SELF)
    whole, calm = left(tmp_path / "whole"), RunDirectory.event
    assert len(whole["steps"]) > max(stops) + 1

    def stopping(self, kind, **fields):
        before = len([e for e in events(self.path) if e["event"] == kind]) if self.file("events.jsonl").exists() else 0
        if kind in ("state", "step") and 0 in stops and not killed:
            # Cells were asked and written, and no state was kept yet.
            killed.append(before)
            raise Killed
        calm(self, kind, **fields)
        if kind in ("state", "step") and before + 1 in stops:
            os.kill(os.getpid(), signal.SIGUSR1)

    killed: list[int] = []
    monkeypatch.setattr(RunDirectory, "event", stopping)
    folder = tmp_path / "stopped"
    with pytest.raises((StoppedError, Killed)):
        run(case, directory=folder, comm=MPI.COMM_SELF)
    for _ in stops[1:]:
        with pytest.raises(StoppedError, match="SIGUSR1"):
            resume_run(folder, comm=MPI.COMM_SELF)
        assert json.loads((folder / "run.json").read_text())["status"] == "stopped"
    # What a kill leaves that came after the last state was kept.
    with (folder / "events.jsonl").open("a") as stream:
        stream.write('{"event": "step", "load": 1e9}\n')
    if (folder / "cells.csv").exists():
        (folder / "cells.csv").write_text((tmp_path / "whole" / "cells.csv").read_text())
    monkeypatch.setattr(RunDirectory, "event", calm)
    assert resume_run(folder, comm=MPI.COMM_SELF)
    again = left(folder)
    assert again.keys() == whole.keys()
    for name, content in whole.items():
        assert again[name] == content, name
    assert not (folder / "checkpoint").exists()
