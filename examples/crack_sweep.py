"""How much zone a crack needs: K+ and K- of silicon over the radius of the atomistic core.

python examples/crack_sweep.py          or: mpirun -n 2 python examples/crack_sweep.py
"""

from pathlib import Path

from mpi4py import MPI

from multiscale import FractureCase, run_fracture
from multiscale.units import EV_PER_A25_IN_MPA_SQRT_M

CASE = {
    "potential": "sw-si-brittle",
    "crystal": {"element": "Si", "structure": "diamond"},
    "crack": {"plane": [1, 1, 1], "front": [-1, 1, 0], "cut": "shuffle"},
    "body": {"shape": "disc", "radius": "2 um"},
    "load": {"path": "follow", "start": "0.9 K_G", "advance": 1},
}


def main(
    directory: str = "runs/crack_sweep", radii: tuple[str, ...] = ("0.8 nm", "1.2 nm", "1.6 nm", "2.4 nm")
) -> None:
    """Run the case for each radius; print atoms, K+ and K-."""
    for radius in radii:
        result = run_fracture(
            FractureCase(**CASE, zone={"radius": radius}), directory=Path(directory) / radius, force=True
        )
        if MPI.COMM_WORLD.rank == 0:
            plus, minus = (EV_PER_A25_IN_MPA_SQRT_M * k for k in (result.trapping.k_plus, result.trapping.k_minus))
            print(f"core {radius}: {len(result.pictures[0].reference)} atoms, K+ {plus:.4f}, K- {minus:.4f} MPa√m")


if __name__ == "__main__":
    main()
