"""Small periodic (111) stacks, strained, opened and rattled: what the learning benchmarks train on and are held against.

The training and the held-out structures share no temperature, no in-plane strain and no opening: each list is its own. What
lies between the training values is marked `interpolated`, what lies beyond them `beyond` (hotter, more strained).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from ase import Atoms
from ase.lattice.cubic import Diamond

from atomistic.labelled import LabelledFrame

#: Root mean square displacement of an atom along one axis at 300 K, Å, by Debye's model at high temperature (394 and 543 K).
_AMPLITUDE = {"Al": 0.102, "Si": 0.073}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The values that structures are made from, and the seed of their rattling.

    Attributes:
        element: "Al" or "Si". seed: of the random displacements.
        temperatures: K. strains: in-plane, (along x, along y). openings: of the gap, Å.
        stacks: (planes, atoms per plane, directions): 1 or 2 atoms, displaced along "xyz", or along "z" alone, which leaves
            a plane its symmetry and quantum mechanics a tenth of the work. Silicon: one cell, 6 planes of 2.
        free: added to the largest opening, Å: surfaces that no longer feel each other.
    """

    element: str
    seed: int
    temperatures: Sequence[float]
    strains: Sequence[tuple[float, float]]
    openings: Sequence[float]
    stacks: Sequence[tuple[int, int, str]]
    free: float


#: None of these lists may be changed once a potential has been trained: the files that ship were made from them.
_CELL = ((6, 2, "xyz"),)
TRAINING = Plan(
    element="Si",
    seed=20261123,
    temperatures=(100.0, 300.0, 600.0),
    strains=((0.0, 0.0), (0.03, 0.03), (-0.03, -0.03), (0.03, -0.015), (-0.015, 0.015)),
    openings=(0.0, 0.3, 0.7, 1.1, 1.6, 2.2, 3.0),
    stacks=_CELL,
    free=3.0,
)
HELD_BETWEEN = Plan(
    element="Si",
    seed=7,
    temperatures=(200.0, 450.0),
    strains=((0.015, 0.015), (-0.02, -0.01), (0.02, -0.01)),
    openings=(0.15, 0.5, 0.9, 1.35, 1.9, 2.6, 3.4),
    stacks=_CELL,
    free=3.0,
)
HELD_BEYOND = Plan(
    element="Si",
    seed=11,
    temperatures=(900.0,),
    strains=((0.045, 0.045), (-0.045, -0.045), (0.045, -0.045)),
    openings=(0.05, 0.4, 0.8, 1.45, 2.0, 2.5, 3.7),
    stacks=_CELL,
    free=3.0,
)

#: For quantum mechanics: stacks of three and six planes, whose cells stand upright.
QUANTUM_TRAINING = Plan(
    element="Al",
    seed=31,
    temperatures=(100.0, 300.0, 600.0),
    strains=((0.0, 0.0), (0.02, 0.02), (-0.02, -0.02), (0.02, -0.01)),
    openings=(0.0, 0.15, 0.4, 0.65, 0.9, 1.2, 1.7, 2.3, 3.4),
    stacks=(
        *((3, 1, "xyz"), (6, 1, "z"), (3, 1, "z"), (6, 1, "xyz"), (6, 1, "z"), (3, 1, "xyz")),
        *((6, 1, "z"), (3, 1, "xyz"), (6, 1, "z"), (3, 1, "z"), (3, 1, "xyz")),
    ),
    free=3.0,
)
QUANTUM_BETWEEN = Plan(
    element="Al",
    seed=37,
    temperatures=(200.0, 450.0),
    strains=((0.01, 0.01), (-0.01, -0.01), (0.01, -0.005)),
    openings=(0.3, 0.55, 0.8, 1.4, 2.7),
    stacks=((6, 1, "z"), (3, 1, "xyz"), (6, 1, "z"), (3, 1, "xyz")),
    free=3.0,
)
QUANTUM_BEYOND = Plan(
    element="Al",
    seed=41,
    temperatures=(900.0,),
    strains=((0.03, 0.03), (-0.03, -0.03)),
    openings=(0.05, 0.35, 0.7, 1.45, 3.7),
    stacks=((6, 1, "z"), (3, 1, "xyz"), (3, 1, "xyz"), (6, 1, "xyz")),
    free=3.0,
)
#: Openings (Å) of the rigid separation of the perfect stack, which no training structure shares (but 0, rattled there).
CURVE = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)


def stack(
    planes: int, per_plane: int, *, lattice: float, strain: tuple[float, float] = (0.0, 0.0), opening: float = 0.0
) -> Atoms:
    """Return a periodic stack of (111) planes of aluminium, one gap of which is opened.

    Args:
        planes: in one period; any number, since the third cell vector leans as the stacking wants.
        per_plane: atoms of a plane: 1, or 2 in a rectangle.
        lattice: constant of the cubic cell, Å.
        strain: in the plane, along x and y; the spacing of the planes stays.
        opening: of the gap above the last plane, Å.
    """
    side, spacing = lattice / np.sqrt(2.0), lattice / np.sqrt(3.0)
    rows = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]]) * side
    shift = rows.sum(axis=0) / 3.0
    # The lean is taken modulo the lattice of the plane, so that cells stay compact.
    lean = planes * shift @ np.linalg.inv(rows)
    lean = (lean - np.round(lean)) @ rows
    base = np.zeros((1, 2))
    if per_plane == 2:
        base = np.array([[0.0, 0.0], rows[1]])
        rows = np.array([[1.0, 0.0], [0.0, np.sqrt(3.0)]]) * side
    scale = 1.0 + np.asarray(strain)
    positions = [[*((b + k * shift) * scale), k * spacing] for k in range(planes) for b in base]
    cell = np.zeros((3, 3))
    cell[:2, :2], cell[2, :2], cell[2, 2] = rows * scale, lean * scale, planes * spacing + opening
    return Atoms(f"Al{len(positions)}", positions=positions, cell=cell, pbc=True)


def silicon(*, lattice: float, strain: tuple[float, float] = (0.0, 0.0), opening: float = 0.0) -> Atoms:
    """Return silicon cut between (111) planes a bond length apart: 12 atoms, edges along [1-10], [11-2] and [111].

    Args:
        lattice, strain, opening: as for `stack`; the gap is above the last plane.
    """
    atoms = Diamond("Si", directions=[[1, -1, 0], [1, 1, -2], [1, 1, 1]], latticeconstant=lattice)
    height, bond = atoms.cell[2, 2], lattice * np.sqrt(3.0) / 4.0
    heights = np.sort(atoms.get_scaled_positions()[:, 2]) * height
    gaps = np.diff(np.append(heights, heights[0] + height))
    above = heights[int(np.flatnonzero(np.isclose(gaps, bond))[0])] + 0.5 * bond
    z = np.mod(atoms.positions[:, 2] - above, height)
    positions = np.column_stack([atoms.positions[:, :2], z - z.min()])
    cell = atoms.cell.array.copy()
    scale = np.array([1.0 + strain[0], 1.0 + strain[1], 1.0])
    return Atoms("Si12", positions=positions * scale, cell=cell * scale + np.diag([0.0, 0.0, opening]), pbc=True)


def rattled(atoms: Atoms, temperature: float, rng: np.random.Generator, *, directions: str = "xyz") -> Atoms:
    """Return the atoms displaced at random as the crystal's are at a temperature (K): independent, of the Debye amplitude."""
    moved = atoms.copy()
    kicks = rng.normal(scale=_AMPLITUDE[atoms.symbols[0]] * np.sqrt(temperature / 300.0), size=moved.positions.shape)
    moved.positions += kicks * [axis in directions for axis in "xyz"]
    return moved


def frames(plan: Plan, count: int, *, lattice: float, name: str) -> list[LabelledFrame]:
    """Return `count` structures of a plan, without answers; openings go round fastest, then the other lists at their own pace."""
    rng = np.random.default_rng(plan.seed)
    rounds = zip(cycle(plan.openings), cycle(plan.stacks), _slow(plan.temperatures, plan.openings), cycle(plan.strains))
    made = []
    for _, (opening, (planes, per_plane, directions), temperature, strain) in zip(range(count), rounds, strict=False):
        wide = opening + (plan.free if opening == max(plan.openings) else 0.0)
        if plan.element == "Si":
            atoms = silicon(lattice=lattice, strain=strain, opening=wide)
        else:
            atoms = stack(planes, per_plane, lattice=lattice, strain=strain, opening=wide)
        state = "closed" if opening == 0.0 else "surface" if wide > opening else "opened"
        origin = {"temperature_K": temperature, "strain": list(strain), "opening_A": wide, "seed": plan.seed}
        origin["displaced"] = directions
        made.append(
            LabelledFrame(
                atoms=rattled(atoms, temperature, rng, directions=directions),
                config_type=f"{name}-{state}",
                provenance=origin,
            )
        )
    return made


def _slow(values: Sequence[float], faster: Sequence[float]):
    """Yield the values in turn, moving one place on after each round of the faster list, so that all pairs come up."""
    number = 0
    while True:
        yield values[(number + number // len(faster)) % len(values)]
        number += 1
