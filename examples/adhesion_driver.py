"""The main job from Python: SevenNet-0 pulls Al(111) apart, a double cantilever beam follows the law.

python examples/adhesion_driver.py          or: mpirun -n 2 python examples/adhesion_driver.py
"""

from mpi4py import MPI

from multiscale import AdhesionCase, Progress, run_adhesion
from multiscale.units import ANGSTROM_IN_NM, EV_PER_A2_IN_J_PER_M2, EV_PER_A3_IN_GPA


def main(directory: str = "runs/driver", **changes: object) -> None:
    """Run the case, any of its fields changed, and print the numbers that matter."""
    settings = {
        "potential": "sevennet-0",
        "crystal": {"element": "Al", "structure": "fcc"},
        "interface": {"plane": [1, 1, 1]},
        "decohesion": {"mode": "rigid", "opening": {"to": "6 angstrom", "points": 24}},
        "specimen": {
            "shape": "double cantilever beam",
            "length": "2 um",
            "arm_height": "200 nm",
            "initial_crack": "600 nm",
        },
        "loading": {"opening": {"to": "80 nm", "steps": 60}},
    }
    case = AdhesionCase(**(settings | changes))
    result = run_adhesion(case, directory=directory, progress=Progress.on(MPI.COMM_WORLD), force=True)
    if MPI.COMM_WORLD.rank == 0:
        law = result.interface.extraction
        work, peak = law.work * EV_PER_A2_IN_J_PER_M2, law.peak_traction * EV_PER_A3_IN_GPA
        advance, missing = result.crack_advance * ANGSTROM_IN_NM, result.ledger.run_closure()
        print(f"work of separation {work:.3f} J/m², peak {peak:.2f} GPa")
        print(f"crack advance {advance:.1f} nm, energy unaccounted for {missing:.1e}")


if __name__ == "__main__":
    main()
