"""The main job from Python: SevenNet-0 pulls Al(111) apart, a double cantilever beam follows the law.

python examples/adhesion_driver.py          or: mpirun -n 2 python examples/adhesion_driver.py
"""

from mpi4py import MPI

from multiscale import AdhesionCase, Progress, run_adhesion

J_PER_M2, GPA, NM = 16.02176634, 160.2176634, 0.1


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
        print(f"work of separation {law.work * J_PER_M2:.3f} J/m², peak {law.peak_traction * GPA:.2f} GPa")
        print(
            f"crack advance {result.crack_advance * NM:.1f} nm, energy unaccounted for {result.ledger.run_closure():.1e}"
        )


if __name__ == "__main__":
    main()
