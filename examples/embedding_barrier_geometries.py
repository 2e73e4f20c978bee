"""Geometries of examples/embedding_barrier_driver.py: a proton between two oxygens, all other atoms relaxed by GFN2-xTB.

python examples/embedding_barrier_geometries.py      (needs tblite; the results are shipped under examples/embedding_barrier)

The enol of undecane-5,7-dione, CH3(CH2)3–C(OH)=CH–C(=O)–(CH2)3CH3, free and with its two ends held farther apart.
"""

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.constraints import FixInternals
from ase.io import write
from ase.optimize import BFGS

DATA = Path(__file__).parent / "embedding_barrier"
DONOR, ACCEPTOR, PROTON, ENDS = 3, 4, 5, (16, 29)
PULLED = 1.0  # Å by which the ends are drawn apart
SHIFTS = np.linspace(-0.6, 0.6, 9)  # r(O–H) − r(H···O), Å


def molecule() -> Atoms:
    """The planar ring C3O2H with a zigzag butyl chain on either side, to be relaxed."""
    ring = [
        (0, 0, 0),
        (-1.22, -0.7, 0),
        (1.25, -0.7, 0),
        (-1.25, -2.03, 0),
        (1.27, -1.95, 0),
        (-0.3, -2.35, 0),
        (0, 1.09, 0),
    ]
    symbols, places = list("CCCOOHH"), [np.array(p, dtype=float) for p in ring]
    for start, side in ((1, -1.0), (2, 1.0)):
        place, up = places[start], 1.0
        for _ in range(4):
            place = place + np.array([1.30 * side, 0.75 * up, 0.0])
            symbols += "CHH"
            places += [place, place + np.array([0.0, 0.63 * up, 0.89]), place + np.array([0.0, 0.63 * up, -0.89])]
            up = -up
        symbols.append("H")
        places.append(place + np.array([0.93 * side, 0.6 * up, 0.0]))
    return Atoms(symbols, positions=places)


def relax(atoms: Atoms, *, shift: float | None = None, length: float | None = None, fmax: float = 0.005) -> Atoms:
    """Return the molecule relaxed with the proton's shift and the distance of the ends held, where given."""
    from tblite.ase import TBLite

    found = atoms.copy()
    if shift is not None:
        held: dict = {"bondcombos": [[shift, [[DONOR, PROTON, 1.0], [ACCEPTOR, PROTON, -1.0]]]]}
        if length is not None:
            held["bonds"] = [[length, list(ENDS)]]
        found.set_constraint(FixInternals(**held, epsilon=1e-9))
        found.set_positions(found.positions)
    found.calc = TBLite(method="GFN2-xTB", verbosity=0, accuracy=0.01)
    if not BFGS(found, logfile=None, maxstep=0.1).run(fmax=fmax, steps=500):
        raise SystemExit(f"the molecule did not relax at a shift of {shift} Å")
    found.set_constraint()
    found.calc = None
    return found


def main() -> None:
    """Relax both scans and write them."""
    start = relax(molecule())
    # Out of the plane of the axes: a flat molecule's box would depend on rounding.
    start.rotate(40.0, (1.0, 2.0, 3.0))
    natural = start.get_distance(*ENDS)
    for name, pull in (("free", 0.0), ("pulled", PULLED)):
        atoms = start
        for length in natural + np.arange(0.2, pull + 0.01, 0.2):
            atoms = relax(atoms, shift=float(SHIFTS[0]), length=float(length), fmax=0.05)
        frames = []
        for shift in SHIFTS:
            atoms = relax(atoms, shift=float(shift), length=natural + pull if pull else None)
            frames.append(atoms.copy())
            frames[-1].info = {"shift": round(float(shift), 3), "charge": 0, "spin": 0}
        DATA.mkdir(exist_ok=True)
        write(DATA / f"{name}.extxyz", frames)
        print(f"{name}: {len(frames)} geometries of {len(start)} atoms")


if __name__ == "__main__":
    main()
