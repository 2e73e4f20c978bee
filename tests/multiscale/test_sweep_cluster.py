"""Sweeps by a cluster's queue: executorlib on one machine, and the jobs that SLURM would get, run by a stand-in for sbatch."""

import os
import stat
import sys
from pathlib import Path

import pytest
from test_sweep_driver import PROGRAM, plan, starts, until

from multiscale.errors import SweepError
from multiscale.sweep import executors
from multiscale.sweep.config import ClusterModel
from multiscale.sweep.driver import Driver
from multiscale.sweep.executors import LocalExecutor, make_executor, submission
from multiscale.sweep.process import process_of

SBATCH = """#!/bin/bash
# sbatch --parsable SCRIPT: runs it, as a node would, and names the job.
cp "$2" "{folder}/script-$(date +%s%N)"
cd "$(sed -n 's/^#SBATCH --chdir=//p' "$2")"
bash "$2" > job.txt 2>&1 &
touch "{folder}/job-$!"
echo $!
"""
SQUEUE = """#!/bin/bash
for job in "{folder}"/job-*; do
    number="${{job##*-}}"
    grep -qs "^State:.[^Z]" "/proc/$number/status" && echo "$number|user|R|name|/"
done
true
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A folder with stand-ins for the commands of SLURM, first on the path; scripts that were submitted lie there."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("squeue", SQUEUE), ("scancel", SQUEUE)):
        path = folder / name
        path.write_text(text.format(folder=folder))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(executors, "REFRESH", 0.05)
    return folder


def test_executorlib_runs_cases_on_one_machine(tmp_path):
    with Driver(tmp_path, program=PROGRAM) as driver:
        driver.add(plan({"steps": 1}, {"fails": 9}, executor="executorlib-local"))
        summary = driver.run()
        rows = driver.ledger.rows()
    assert summary.counts == {"DONE": 1, "FAILED": 1}
    assert (rows[0].exit_code, rows[1].reason) == (0, "no convergence, try 1")


def test_slurm_gets_one_job_a_case_and_a_stopped_one_goes_on_in_the_next(tmp_path, slurm):
    cluster = ClusterModel(partition="short", account="proj-1", memory=4, wall_time="2 h", setup=["echo ready {here}"])
    with Driver(tmp_path, program=PROGRAM) as driver:
        planned = plan({"steps": 3}, {"stops": 1, "steps": 2}, executor="slurm", cores=None)
        driver.add(planned.__class__(**{**vars(planned), "cluster": cluster}))
        summary = driver.run()
        reasons = [row.reason for row in driver.ledger.rows()]
    assert summary.counts == {"DONE": 2}, reasons
    assert starts(tmp_path, 1) == ["run 0", "resume 1"]
    scripts = [path.read_text() for path in sorted(slurm.glob("script-*"))]
    assert len(scripts) == 3
    lines = scripts[0].splitlines()
    assert lines[0] == "#!/bin/bash"
    home = tmp_path / "cases" / f"{0:016x}"
    for wanted in (
        *("--ntasks=1", "--partition=short", "--account=proj-1", "--mem=4G", "--time=120", "--signal=B:TERM@120"),
        *(f"--job-name=sweep-{0:016x}", f"--chdir={home / 'job'}"),
    ):
        assert f"#SBATCH {wanted}" in lines
    assert lines[-2] == "echo ready {here}"
    assert lines[-1].startswith(f"exec {sys.executable} ")
    assert (home / "job" / "job.txt").read_text() == "ready {here}\n"


def test_a_warning_of_the_queue_reaches_the_case(tmp_path, slurm):
    with Driver(tmp_path, program=PROGRAM) as driver:
        driver.add(plan({"steps": 100}, executor="slurm"))
        home = tmp_path / "cases" / f"{0:016x}"
        told = []

        def warn(kind, row):
            """Stands in for the queue, which signals the job's first process: the worker that started the case."""
            if kind == "started" and not told:
                until(lambda: (home / "run" / "checkpoint" / "manifest.json").exists())
                worker = int(Path(f"/proc/{process_of(home)}/stat").read_text().rpartition(")")[2].split()[1])
                told.append(worker)
                os.kill(worker, 15)
                state = home / "run" / "checkpoint" / "manifest.json"
                until(lambda: process_of(home) is None)
                state.write_text('{"step": 99}')

        driver._tell = warn
        summary = driver.run()
    assert summary.counts == {"DONE": 1}
    assert starts(tmp_path) == ["run 0", "resume 99"]


def test_the_script_asks_for_the_ranks_and_takes_options_as_they_are(tmp_path):
    row = plan({}, ranks=(8,), cores=8).cases[0]
    text = submission(row, executor="slurm", cluster=ClusterModel(options=["--constraint={a}"]))
    assert "#SBATCH --ntasks={{cores}}" in text
    assert "#SBATCH {% raw %}--constraint={a}{% endraw %}" in text
    told = executors.resources(row, 3, run=plan(executor="slurm").run, cluster=ClusterModel(), directory=tmp_path)
    assert (told["cores"], told["threads_per_core"], told["cache_key"]) == (1, 8, f"{0:016x}-3")
    flux = submission(row, executor="flux", cluster=ClusterModel(partition="batch"))
    assert "# flux: --nslots={{cores}}" in flux
    assert "# flux: --queue=batch" in flux


def test_what_would_break_out_of_a_script_is_refused():
    with pytest.raises(ValueError, match="no name of the queue's"):
        ClusterModel(partition="short\nrm -rf /")
    with pytest.raises(ValueError, match="no option of sbatch"):
        ClusterModel(options=["constraint"])


def test_a_missing_engine_is_told_with_the_line_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "executorlib", None)
    with pytest.raises(SweepError, match=r'pip install "multiscale-mlip\[cluster\]"'):
        make_executor(plan(executor="slurm").run, tmp_path)
    assert isinstance(make_executor(plan().run, tmp_path), LocalExecutor)
