"""From DMT to JKR: the pull-off force of a sphere over the strength of the attraction, at one work of adhesion.

python examples/contact_sweep.py
"""

from pathlib import Path

import numpy as np
from mpi4py import MPI

from multiscale import ContactCase, run_contact

CASE = {
    "indenter": {"shape": "sphere", "radius": "100 nm"},
    "material": {"E": "70 GPa", "nu": 0.3},
}
STRENGTHS = ("0.2 GPa", "0.5 GPa", "1 GPa", "2 GPa", "4 GPa", "8 GPa")


def main(directory: str = "runs/contact_sweep", strengths: tuple[str, ...] = STRENGTHS, steps: int = 30) -> None:
    """Run the case for each strength; print λ and the pull-off force, by finite elements and by Maugis."""
    for strength in strengths:
        case = ContactCase(
            **CASE,
            law={"type": "dugdale", "work": "0.5 J/m^2", "strength": strength},
            path={"steps": steps},
        )
        result = run_contact(case, directory=Path(directory) / strength.replace(" ", "_"), force=True)
        contact = result.system.contact
        unit = np.pi * contact.work * contact.radius
        if MPI.COMM_WORLD.rank == 0:
            print(
                f"{strength}: λ {contact.maugis_lambda:.3f}, pull-off/πwR {result.pull_off / unit:.4f} "
                f"(Maugis {contact.pull_off / unit:.4f})"
            )


if __name__ == "__main__":
    main()
