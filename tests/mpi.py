"""Run a script under mpirun, with a time limit that ends all of its ranks."""

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run_mpi(
    ranks: int,
    script: str | Path | Sequence[str],
    *,
    timeout: float = 120.0,
    check: bool = True,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run Python on several ranks, one thread each.

    Args:
        ranks: how many.
        script: Python source, a path to a script, or a list of arguments for the interpreter.
        timeout: seconds; the ranks are ended and TimeoutExpired raised beyond it.
        check: fail the test where the exit status is not 0, showing what was printed.
        cwd: working directory; the repository's root if None.

    Returns:
        The finished process, with stdout and stderr as text.
    """
    if isinstance(script, Path):
        arguments = [str(script)]
    elif isinstance(script, str):
        arguments = ["-c", textwrap.dedent(script)]
    else:
        arguments = list(script)
    # mpirun comes with PyPI's mpich into the environment's bin; elsewhere (conda, Debian) from PATH.
    beside = Path(sys.executable).parent / "mpirun"
    launcher = str(beside) if beside.exists() else shutil.which("mpirun")
    assert launcher, "mpirun not found: install mpich in this environment"
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    done = subprocess.run(
        [launcher, "-n", str(ranks), sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | threads | {"PYTHONPATH": path},
        cwd=cwd or ROOT,
        check=False,
    )
    if check:
        assert done.returncode == 0, (
            f"exit {done.returncode} on {ranks} ranks\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        )
    return done
