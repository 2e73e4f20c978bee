"""Zones of atoms and cracks, killed on the way and resumed: what a run leaves is what it would have left, to the last bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

from multiscale import AdhesionCase, FractureCase, studies
from multiscale.checkpoint import Checkpoints
from multiscale.resume import resume_run
from multiscale.studies import launch
from multiscale.survival import RunOptions, run_options

ZONE = AdhesionCase(
    potential="eam-cu",
    crystal={"element": "Cu", "structure": "fcc"},
    interface={"plane": [1, 1, 1]},
    decohesion={"mode": "rigid", "opening": {"points": 12}, "relax": False},
    verification={"stacks": []},
    specimen={"shape": "block", "width": "8 nm", "height": "5 nm"},
    zone={
        "shape": "box",
        "size": ["0.8 nm", "0.8 nm"],
        "blend": "0.8 nm",
        "method": "bqcf",
        "solver": {"max_cutbacks": 0},
    },
    loading={"opening": {"to": "6 angstrom", "steps": 4}},
    output={"fields_every": 1},
)
SILICON = {
    "potential": "sw-si-brittle",
    "crystal": {"element": "Si", "structure": "diamond"},
    "crack": {"plane": [1, 1, 1], "front": [1, -1, 0]},
    "zone": {"radius": "0.9 nm", "blend": "0.6 nm"},
    "body": {"shape": "disc", "radius": "20 nm"},
    "output": {"states_every": 2},
}
CRACK = FractureCase(**SILICON, load={"path": "follow", "start": "0.95 K_G", "max_states": 5})
STEPS = FractureCase(**SILICON, load={"path": "steps", "levels": ["1 K_G", "1.1 K_G", "0.9 K_G"]})


class Killed(BaseException):
    """The process was gone at once."""


def left(folder: Path) -> dict[str, object]:
    """All that a run leaves, but for its times."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix in (".csv", ".extxyz", ".vtu"):
            found[name] = path.read_text()
        elif path.suffix == ".npz":
            with np.load(path) as file:
                found[name] = {key: file[key].tobytes() for key in file.files}
    if "path.csv" in found:
        found["path.csv"] = [line.rpartition(",")[0] for line in str(found["path.csv"]).splitlines()]
    results = json.loads((folder / "results.json").read_text())
    for quantity in results["quantities"]:
        if quantity["unit"] == "s" or "inside" in quantity["note"]:
            quantity |= {"note": "", "value": None if quantity["unit"] == "s" else quantity["value"]}
    found["results.json"] = results
    return found


def killing(monkeypatch, *steps: int) -> None:
    """Let the process die right after these commits, one after the other."""
    wanted, commit = list(steps), Checkpoints.commit

    def dying(self, name, step, state):
        commit(self, name, step, state)
        if wanted and step == wanted[0]:
            wanted.pop(0)
            raise Killed

    monkeypatch.setattr(Checkpoints, "commit", dying)


@pytest.mark.parametrize(
    ("case", "steps"),
    [
        (ZONE, (3,)),
        (CRACK, (3,)),
        pytest.param(STEPS, (1, 2), marks=pytest.mark.slow),
    ],
    ids=["zone", "crack", "steps"],
)
def test_a_killed_run_leaves_the_same(case, steps, tmp_path, monkeypatch):
    """Equilibria, account, files, calls of the potential; the crack's tangent is made of differences taken on the way."""
    monkeypatch.setattr(launch, "make_report", lambda path: None)
    run = studies.runner(case)
    with run_options(RunOptions(save="never")):
        run(case, directory=tmp_path / "whole", comm=MPI.COMM_SELF)
    killing(monkeypatch, *steps)
    folder, every = tmp_path / "killed", RunOptions(save="every")
    with run_options(every), pytest.raises(Killed):
        run(case, directory=folder, comm=MPI.COMM_SELF)
    for _ in steps[1:]:
        with pytest.raises(Killed):
            resume_run(folder, comm=MPI.COMM_SELF, options=every)
    assert resume_run(folder, comm=MPI.COMM_SELF, options=every)
    whole, again = left(tmp_path / "whole"), left(folder)
    assert again.keys() == whole.keys()
    for name, content in whole.items():
        assert again[name] == content, name
