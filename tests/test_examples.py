"""The examples run and give the numbers that they promise, on a joint small enough for a test."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from examples import adhesion_driver

ROOT = Path(__file__).parents[1]
# SevenNet-0's own interface, as in the examples, on a beam a tenth as long.
SMALL = {
    "specimen": {
        "shape": "double cantilever beam",
        "length": "150 nm",
        "arm_height": "20 nm",
        "initial_crack": "60 nm",
    },
    "loading": {"opening": {"to": "24 nm", "steps": 12}},
    "verification": {"stacks": []},
}
WORK, PEAK = 1.193, 8.97  # J/m², GPa of SevenNet-0's Al(111), from benchmarks/main_job.py


def value(directory: Path, name: str) -> float:
    results = json.loads((directory / "results.json").read_text())
    return next(q["value"] for q in results["quantities"] if q["name"] == name)


def test_the_driver(tmp_path, capsys):
    adhesion_driver.main(str(tmp_path / "run"), **SMALL)
    printed = capsys.readouterr().out
    assert float(re.search(r"work of separation ([\d.]+)", printed)[1]) == pytest.approx(WORK, abs=2e-3)
    assert float(re.search(r"peak ([\d.]+)", printed)[1]) == pytest.approx(PEAK, abs=0.02)
    assert float(re.search(r"crack advance ([\d.]+) nm", printed)[1]) > 5.0


def test_the_driver_is_short():
    assert len((ROOT / "examples" / "adhesion_driver.py").read_text().splitlines()) <= 40


def test_the_case_file(tmp_path):
    yaml = YAML()
    case = yaml.load(ROOT / "examples" / "adhesion.yaml")
    yaml.dump(case | SMALL, tmp_path / "small.yaml")
    command = [sys.executable, "-m", "multiscale", "run", "small.yaml", "-o", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert value(tmp_path / "run", "work of separation, rigid") == pytest.approx(WORK, abs=2e-3)
    assert value(tmp_path / "run", "energy dissipated per new surface") == pytest.approx(WORK, rel=0.02)
    assert (tmp_path / "run" / "report.html").stat().st_size > 100_000


@pytest.mark.slow
def test_the_main_job_debonds(tmp_path):
    """The example as shipped: the crack runs at least 100 nm and the ledger closes to 1e-3."""
    command = [
        sys.executable,
        "-m",
        "multiscale",
        "run",
        str(ROOT / "examples" / "adhesion.yaml"),
        "-o",
        str(tmp_path / "run"),
    ]
    subprocess.run(command, check=True, timeout=280, capture_output=True)
    assert value(tmp_path / "run", "crack advance") >= 100.0
    assert value(tmp_path / "run", "closure of the run") <= 1e-3
    assert value(tmp_path / "run", "closure of a step") <= 1e-8
