"""An interface whose middle is atoms, pulled apart from Python: its work of separation does not feel where the handshake lies.

python examples/adhesion_zone_driver.py          or: mpirun -n 2 python examples/adhesion_zone_driver.py
"""

from mpi4py import MPI

from multiscale import AdhesionCase, Progress, run_adhesion
from multiscale.units import EV_PER_A2_IN_J_PER_M2, EV_PER_A3_IN_GPA


def main(directory: str = "runs/zone_driver", sizes: tuple[str, ...] = ("1 nm", "2 nm")) -> list[float]:
    """Part a block of copper with zones of several sizes; print and return the work of separation of the whole, J/m²."""
    works = []
    for size in sizes:
        case = AdhesionCase(
            potential="eam-cu",
            crystal={"element": "Cu", "structure": "fcc"},
            interface={"plane": [1, 1, 1]},
            specimen={"shape": "block", "width": "16 nm", "height": "8 nm"},
            zone=dict(shape="box", size=[size, size], blend="1.2 nm", method="bgfc", solver={"max_cutbacks": 0}),
            loading={"opening": {"to": "12 angstrom", "steps": 12}},
        )
        result = run_adhesion(
            case, directory=f"{directory}/{size[0]}nm", progress=Progress.on(MPI.COMM_WORLD), force=True
        )
        works.append(result.work_of_separation * EV_PER_A2_IN_J_PER_M2)
        if MPI.COMM_WORLD.rank == 0:
            ghost = max(o.ghost for o in result.outputs if not o.step.jumped) * EV_PER_A3_IN_GPA
            law = result.interface.extraction.work * EV_PER_A2_IN_J_PER_M2
            print(f"core of {size}: {works[-1]:.4f} J/m² (law alone {law:.4f}), ghost traction {ghost:.2f} GPa")
    return works


if __name__ == "__main__":
    main()
