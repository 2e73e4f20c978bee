"""An interface that asks atoms while it opens: a block of aluminium pulled apart, its law an EAM cell evaluated live.

python examples/live_points_driver.py, on any number of ranks
"""

import numpy as np
from mpi4py import MPI

from atomistic.crystal import relax_crystal
from atomistic.potentials import load_potential
from continuum.materials import LinearElastic
from continuum.mesh import block
from continuum.solid import Solid
from continuum.supports import Displacement
from coupling.live import InterfaceCell, LiveLaw, LiveRun, follow_live


def main(nodes: str | None = None) -> LiveRun:
    """Open the block by 2 Å; `nodes` is a file that keeps the evaluated openings for another run."""
    world, potential = MPI.COMM_WORLD, load_potential("eam-al")
    crystal = relax_crystal(potential, symbols="Al", structure="fcc", comm=world)
    cell = InterfaceCell(potential=potential, crystal=crystal, plane=(1, 1, 1))
    metal = LinearElastic(stiffness=cell.orientation.stiffness)
    solid = Solid(
        block(MPI.COMM_SELF, size=[20.0, 10.0], divisions=[10, 4], cell="quadrilateral"),
        materials={"lower": metal, "upper": metal},
        interfaces={"interface": LiveLaw(cell, comm=world, cache=nodes)},
        supports=[Displacement(group="bottom", component=c) for c in "xy"]
        + [Displacement(group="top", component="y", factor=1.0)],
    )
    run = follow_live(solid, np.linspace(0.1, 2.0, 20))
    record, strongest = run.records["interface"], max(step.reaction for step in run.steps) / 20.0 * 160.218
    if world.rank == 0:
        print(f"{record.evaluations} cells for {record.active_points_asked} points: strongest pull {strongest:.2f} GPa")
    assert abs(strongest / 8.47 - 1.0) < 0.02, strongest  # GPa: the strongest pull of the cell itself, to the tolerance
    return run


if __name__ == "__main__":
    main()
