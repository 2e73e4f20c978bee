"""Silicon pulled apart, again and again: a run of active learning that visits several temperatures and strains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from _learning_structures import silicon
from ase import units
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from atomistic.active_learning import Frame, MDRun, Snapshot
from atomistic.dynamics import AdaptiveLangevin
from atomistic.potentials.base import Potential


@dataclass(frozen=True, kw_only=True)
class Pull:
    """A crystal pulled apart at a temperature (K), strained in the plane."""

    temperature: float
    strain: tuple[float, float]


class Pulls:
    """A `LearningRun`: molecular dynamics of one crystal after the other while its cell grows along the normal.

    Args:
        pulls: in this order.
        lattice: constant, Å.
        steps: of each pull. timestep: fs.
        to: how far the cell has grown at the end of a pull, Å.
        seed: of velocities and thermostats.
    """

    def __init__(
        self, pulls: Sequence[Pull], *, lattice: float, steps: int, timestep: float, to: float, seed: int
    ) -> None:
        self.rate = to / steps
        self.runs = [
            _dynamics(pull, lattice=lattice, steps=steps, timestep=timestep, seed=seed + k)
            for k, pull in enumerate(pulls)
        ]
        self.current = 0
        self._potential: Potential | None = None

    @property
    def steps(self) -> int:
        """Steps of all pulls."""
        return sum(run.steps for run in self.runs)

    @property
    def finished(self) -> bool:
        """Whether the last pull is at its end."""
        return self.current == len(self.runs) - 1 and self.runs[-1].finished

    @property
    def step(self) -> int:
        """Steps made in all pulls."""
        return sum(run.step for run in self.runs[: self.current + 1])

    def advance(self) -> None:
        """Make one step, and let the cell grow after it."""
        if self.runs[self.current].finished:
            self.current += 1
            assert self._potential is not None
            self.runs[self.current].adopt(self._potential)
        run = self.runs[self.current]
        run.advance()
        cell = run.atoms.cell.array.copy()
        cell[2, 2] += self.rate
        run.atoms.set_cell(cell, scale_atoms=False)

    def frame(self) -> Frame:
        """Return the present structure."""
        return self.runs[self.current].frame()

    def snapshot(self) -> Snapshot:
        """Return which pull, how far the ones before are, and that pull's own snapshot."""
        return {"pull": self.current, "run": self.runs[self.current].snapshot()}

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot."""
        self.current = int(snapshot["pull"])
        for run in self.runs[: self.current]:
            run.step = run.steps
        self.runs[self.current].restore(snapshot["run"])

    def adopt(self, potential: Potential) -> None:
        """Go on with this potential."""
        self._potential = potential
        self.runs[self.current].adopt(potential)


def _dynamics(pull: Pull, *, lattice: float, steps: int, timestep: float, seed: int) -> MDRun:
    atoms = silicon(lattice=lattice, strain=pull.strain)
    MaxwellBoltzmannDistribution(atoms, temperature_K=2.0 * pull.temperature, rng=np.random.default_rng(seed))
    return MDRun(
        atoms,
        dynamics=lambda a: AdaptiveLangevin(
            a, timestep * units.fs, temperature_K=pull.temperature, rng=seed, friction=0.01 / units.fs, tau=np.inf
        ),
        steps=steps,
        config_type="pull",
        note={"thermostat_K": pull.temperature, "strain": list(pull.strain)},
    )
