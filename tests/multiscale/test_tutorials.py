"""What the tutorials and the pages of the site say: scripts, cases, commands, numbers, messages."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from multiscale.config import AdhesionCase, FractureCase, load_case
from multiscale.summary import summary_lines
from multiscale.sweep.config import SweepCase

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SCRIPTS = re.compile(r"\n\n((?: {4}(?:from|import) .*\n)(?: {4}.*\n|\n)+)")
FIGURE = re.compile(r"^(?: {4})?([A-Za-z][^:\n]*): (-?[\d.]+(?:e-?\d+)?)(?: .*)?$", re.M)


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def script(name: str, number: int = 0) -> str:
    return textwrap.dedent(SCRIPTS.findall(page(name))[number])


def block(name: str, language: str, number: int = 0) -> str:
    return re.findall(rf"```{language}\n(.*?)```", page(name), re.S)[number]


def figures(text: str) -> dict[str, float]:
    return {name.strip(): float(value) for name, value in FIGURE.findall(text)}


def check_last_words(name: str, directory: Path) -> None:
    """Every line that the page shows of the run's last words is there, with its number to 0.1%."""
    shown = figures("\n".join(line for line in page(name).splitlines() if line.startswith("    ")))
    found = figures("\n".join(summary_lines(directory)))
    assert len(shown) > 5
    for quantity, value in shown.items():
        if quantity.startswith("closure"):
            assert abs(found[quantity]) < 1e-9, quantity  # rounding
        else:
            assert found[quantity] == pytest.approx(value, rel=1e-3), quantity


def test_the_cases_of_the_tutorials_are_cases(tmp_path):
    for name, kind in (("tutorial_adhesion", AdhesionCase), ("tutorial_fracture", FractureCase)):
        path = tmp_path / f"{name}.yaml"
        path.write_text(block(name, "yaml"))
        assert isinstance(load_case(path), kind)


def test_the_sweeps_of_the_tutorial_are_sweeps():
    from ruamel.yaml import YAML

    first, second = (SweepCase(**YAML(typ="safe").load(block("tutorial_sweeps", "yaml", i))) for i in (0, 1))
    assert first.design == "grid"
    assert second.samples == 32


def test_messages_of_the_errors_page_are_ours():
    """What a person searches the page for is what the program says."""
    sources = "\n".join(
        path.read_text(encoding="utf-8")
        for package in ("atomistic", "continuum", "coupling", "multiscale")
        for path in (ROOT / package).rglob("*.py")
    )
    messages = [
        quoted for bold in re.findall(r"^\*\*(.*?)\*\*", page("faq"), re.M) for quoted in re.findall(r"`(.+?)`", bold)
    ]
    ours = [message for message in messages if message != "undefined symbol"]  # the linker's
    assert len(ours) > 10
    assert [message for message in ours if message not in sources] == []


@pytest.fixture
def cluster(tmp_path):
    """The script of the page, and stand-ins for mpirun and scontrol that write down how they are called."""

    def write(path: Path, text: str) -> None:
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    tools = tmp_path / "bin"
    tools.mkdir()
    write(tools / "scontrol", 'echo "scontrol $*" >> calls')
    write(
        tools / "mpirun",
        """
        echo "mpirun $*" >> calls
        mkdir -p runs/joint && touch runs/joint/run.json
        for i in {1..100}; do
            if [ -e finish ]; then exit "$(cat finish)"; fi
            if [ -e runs/joint/EXIT ]; then rm runs/joint/EXIT; sleep 0.2; exit 75; fi
            sleep 0.05
        done""",
    )
    (tmp_path / "run.sh").write_text(block("tutorial_cluster", "bash"))
    environment = os.environ | {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "SLURM_NTASKS": "4",
        "SLURM_JOB_ID": "17",
    }

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(["bash", "run.sh", "joint.yaml"], cwd=tmp_path, env=environment)

    return tmp_path, start


def test_the_slurm_script_asks_the_run_to_stop_and_queues_itself_again(cluster):
    directory, start = cluster
    first = start()
    while not (directory / "runs/joint/run.json").exists():
        time.sleep(0.02)
    time.sleep(0.2)  # past the assignments before `wait`
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=10) == 75
    (directory / "finish").write_text("0")
    assert start().wait(timeout=10) == 0
    assert (directory / "calls").read_text().splitlines() == [
        "mpirun -n 4 multiscale run joint.yaml -o runs/joint",
        "scontrol requeue 17",
        "mpirun -n 4 multiscale resume runs/joint",
    ]


def test_the_slurm_script_does_not_repeat_a_failure(cluster):
    directory, start = cluster
    (directory / "finish").write_text("1")
    assert start().wait(timeout=10) == 1
    assert "scontrol" not in (directory / "calls").read_text()


@pytest.mark.tutorial
def test_the_adhesion_tutorial(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "joint.yaml"
    path.write_text(block("tutorial_adhesion", "yaml"))
    names: dict = {}
    exec(script("tutorial_scripts"), names)  # the same case, from Python
    assert names["case"] == load_case(path)
    check_last_words("tutorial_adhesion", Path("runs/joint"))
    exec(script("tutorial_adhesion"), names)
    assert names["peak"]["opening [nm]"] == 14.0
    work = json.loads(Path("runs/joint/results.json").read_text())["quantities"]
    separation = next(row["value"] for row in work if row["name"] == "work of separation, rigid")
    assert names["spent"] == pytest.approx(separation, rel=0.02)  # and what the zone ahead has spent
    assert len(capsys.readouterr().out.splitlines()) >= 3


@pytest.mark.tutorial
def test_the_fracture_tutorial(tmp_path, monkeypatch, capsys):
    from multiscale.cli import main

    monkeypatch.chdir(tmp_path)
    Path("crack.yaml").write_text(block("tutorial_fracture", "yaml"))
    assert main(["run", "crack.yaml", "-o", "runs/crack", "--quiet"]) == 0
    check_last_words("tutorial_fracture", Path("runs/crack"))
    names: dict = {}
    exec(script("tutorial_fracture"), names)
    assert names["path"]["K/K_G"].max() == pytest.approx(1.18, abs=0.01)
    assert names["path"]["K/K_G"].min() == pytest.approx(0.87, abs=0.01)
    capsys.readouterr()


@pytest.mark.tutorial
def test_the_parts_by_themselves(capsys):
    names: dict = {}
    exec(script("tutorial_scripts", 1), names)
    printed = capsys.readouterr().out
    shown = [line.strip() for line in page("tutorial_scripts").splitlines() if line.startswith("    400 Å:")]
    assert printed.splitlines()[0] == shown[0]
    assert names["loads"][500.0] / names["loads"][400.0] == pytest.approx(1.31, abs=0.005)


@pytest.mark.tutorial
def test_the_sweep_tutorial(tmp_path):
    (tmp_path / "joint.yaml").write_text(block("tutorial_adhesion", "yaml"))
    (tmp_path / "cracks.yaml").write_text(block("tutorial_sweeps", "yaml"))
    command = [sys.executable, "-m", "multiscale", "sweep", "cracks.yaml", "-o", "runs/cracks", "--quiet"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=240)
    table = re.findall(r"^\| (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", page("tutorial_sweeps"), re.M)
    found = {}
    for run in (tmp_path / "runs/cracks").rglob("results.json"):
        case = AdhesionCase(**json.loads((run.parent / "run.json").read_text())["case"])
        rows = {row["name"]: row for row in json.loads(run.read_text())["quantities"]}
        found[round(case.specimen.initial_crack / 10, 6)] = rows  # nm
    assert sorted(found) == [float(row[0]) for row in table]
    for crack, load, _, advance in table:
        assert found[float(crack)]["largest load"]["value"] == pytest.approx(float(load), rel=1e-3)
        assert found[float(crack)]["crack advance"]["value"] == pytest.approx(float(advance), abs=0.05)
    before = time.perf_counter()
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    assert time.perf_counter() - before < 30.0  # nothing is repeated
