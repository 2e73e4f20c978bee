"""What the handshake costs beside the potential: SevenNet-0 in a patch of an Al(111) interface, as in the example.

The example's specimen is opened in its first load steps. Everything that is no call of the potential counts as the framework:
places of atoms from the finite elements and forces back, blending, elements and law, factorisation, acceleration, ledger, files.
A bare call is the potential's evaluation of the same atoms through ASE, without weights.

    python benchmarks/handshake_cost.py
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _report import report
from ase import Atoms

from multiscale import AdhesionCase, load_case, run_adhesion
from multiscale.progress import Progress
from multiscale.studies.adhesion_zone import AdhesionZoneResult

EXAMPLE = Path(__file__).parents[1] / "examples" / "adhesion_zone_sevennet.yaml"
STEPS = 2
BARE = 3


def bare_seconds(result: AdhesionZoneResult) -> float:
    """Median wall time of a plain evaluation of the zone's atoms, as they lie at the end."""
    model, potential = result.model, result.interface.potential
    lattice, places = model.partition.lattice, model.places(result.steps[-1].u)
    cell = np.diag([*np.ptp(places[:, :2], axis=0) + 20.0, lattice.thickness])
    atoms = Atoms([str(lattice.symbol)] * len(places), positions=places, cell=cell, pbc=[False, False, True])
    found, random = [], np.random.default_rng(1)
    for _ in range(BARE):
        # Moved a little, for ASE remembers what it has computed.
        atoms.positions = places + 1e-4 * random.standard_normal(places.shape)
        begun = time.perf_counter()
        potential.evaluate(atoms)
        found.append(time.perf_counter() - begun)
    return float(np.median(found))


def main() -> int:
    """Open the specimen and report."""
    case = load_case(EXAMPLE)
    assert isinstance(case, AdhesionCase)
    opening = case.loading.opening
    shorter = opening.model_copy(update={"to": opening.to * STEPS / opening.steps, "steps": STEPS})
    case = case.model_copy(update={"loading": case.loading.model_copy(update={"opening": shorter})})
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        result = run_adhesion(case, directory=Path(folder) / "run", progress=Progress.silent())
    whole = time.perf_counter() - begun
    assert isinstance(result, AdhesionZoneResult)
    wall, inside = result.seconds
    bare = bare_seconds(result)
    counts = result.model.partition.counts
    figures = {
        "framework_share_of_wall_percent": 100.0 * (wall - inside) / wall,
        "framework_seconds_per_call": (wall - inside) / result.calls,
        "potential_seconds_per_call": inside / result.calls,
        "bare_call_seconds": bare,
        "calls": result.calls,
        "seconds_loading": wall,
        "seconds_whole_run": whole,
        "atoms": sum(counts.values()),
        "nodes": len(result.model.body.nodes),
    }
    bounds = {"framework_share_of_wall_percent": ("<=", 10.0), "framework_seconds_per_call": ("<=", 0.2)}
    return report("handshake_cost", figures, bounds)


if __name__ == "__main__":
    sys.exit(main())
