"""Adhesion cases whose interface asks atoms, and those whose load snaps back."""

import json

import numpy as np
import pandas as pd
import pytest

from multiscale import AdhesionCase, run_adhesion
from multiscale.config import CaseError


def case(height="1 nm", **changes):
    keys = {
        "potential": "eam-al-zhou",
        "crystal": {"element": "Al", "structure": "fcc"},
        "interface": {"plane": [1, 1, 1]},
        "decohesion": {"relax": False},
        "specimen": {"shape": "block", "width": "2 nm", "height": height},
        "loading": {"opening": {"to": "4 angstrom", "steps": 16}},
        "verification": {"stacks": []},
    }
    return AdhesionCase(**(keys | changes))


def test_a_live_law_gives_the_curve_of_the_table_and_says_what_it_cost(tmp_path):
    loads = {}
    for law in ("live", "tabulated"):
        result = run_adhesion(case(law={"type": law}), directory=tmp_path / law)
        loads[law] = pd.read_csv(tmp_path / law / "load_opening.csv")["load [N/m]"].to_numpy()
    # The tolerance of the live law, 2% of the peak, and the fit of the table, some tenths of a percent.
    assert np.abs(loads["live"] - loads["tabulated"]).max() < 0.02 * loads["tabulated"].max()
    rows = {row["name"]: row for row in json.loads((tmp_path / "live" / "results.json").read_text())["quantities"]}
    assert 5 <= rows["cells evaluated by the live law"]["value"] <= 60
    # This potential ends its forces with a kink near 2.5 Å: where the estimate stays above the tolerance the run says so.
    told = "could not bring its estimated error" in (tmp_path / "live" / "results.json").read_text()
    assert told == (rows["estimated error of its traction"]["value"] > 2.0)
    assert "cells evaluated by the live law" not in (tmp_path / "tabulated" / "results.json").read_text()
    assert (tmp_path / "live" / "cells.csv").exists()
    assert result.live is None


def test_a_tall_block_is_followed_through_its_snap_back(tmp_path):
    # 20 nm of aluminium hold far more than 2γ: the opening goes back by a nanometre while the plane parts.
    tall = case("20 nm", loading={"opening": {"to": "2 nm", "steps": 10}}, solver={"snap_back": "follow"})
    result = run_adhesion(tall, directory=tmp_path / "snap")
    openings = np.array([step.load for step in result.steps])
    assert openings[-1] == pytest.approx(20.0)
    assert np.maximum.accumulate(openings).max() - openings[np.argmax(openings > 13.0) :].min() > 5.0
    assert result.ledger.run_closure() < 0.01
    assert result.steps[-1].energies.dissipated / (20.0 * 10.0) == pytest.approx(
        result.interface.extraction.work, rel=1e-6
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"solver": {"snap_back": "follow"}},
        {"decohesion": {"mode": "relaxed"}},
        {
            "interface": {
                "plane": [1, 1, 1],
                "second": {"crystal": {"element": "Cu", "structure": "fcc"}, "plane": [1, 1, 1]},
            }
        },
    ],
)
def test_a_live_law_refuses_what_it_cannot_do(changes):
    with pytest.raises((CaseError, ValueError), match="live law"):
        case(law={"type": "live"}, **changes)
