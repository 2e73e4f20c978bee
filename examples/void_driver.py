"""A void in aluminium from Python: how the error against all atoms falls with the zone, and with quadratic elements.

python examples/void_driver.py          or: mpirun -n 2 python examples/void_driver.py
"""

from pathlib import Path

from mpi4py import MPI

from multiscale import DefectCase, run_defect
from multiscale.units import ANGSTROM_IN_NM

CASE = {
    "potential": "eam-al",
    "crystal": {"element": "Al", "structure": "fcc"},
    "body": {"plane": [1, 1, 1], "size": ["24 nm", "24 nm"]},
    "defect": {"type": "void", "radius": "0.6 nm"},
    "strain": {"xx": 0.01},
    "compare": {"all_atoms": True},
}


def main(directory: str = "runs/void_driver", margins: tuple[str, ...] = ("0.6 nm", "0.9 nm", "1.2 nm")) -> None:
    """Run the case for each margin with linear and quadratic elements; print atoms, nodes and error."""
    for elements in ("linear", "quadratic"):
        for margin in margins:
            case = DefectCase(
                **CASE | {"body": CASE["body"] | {"elements": elements}, "zone": {"shape": "around", "margin": margin}}
            )
            result = run_defect(case, directory=Path(directory) / f"{elements} {margin}", force=True)
            if MPI.COMM_WORLD.rank == 0:
                atoms, width = sum(result.model.partition.counts.values()), result.plan.width * ANGSTROM_IN_NM
                nodes, error = len(result.model.body.nodes), 100 * result.comparison.strain
                print(f"{elements}, blend {width:.1f} nm: {atoms} atoms, {nodes} nodes, error {error:.3f} %")


if __name__ == "__main__":
    main()
