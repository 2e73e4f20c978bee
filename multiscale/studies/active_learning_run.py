"""The run of the active-learning study: its atoms, and dynamics under a load that grows with the steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from ase import Atoms, units
from ase.md.md import MolecularDynamics
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.active_learning import Frame, LearningRun, MDRun, RelaxationRun, Snapshot
from atomistic.builders import build_stack
from atomistic.dynamics import AdaptiveLangevin
from atomistic.potentials.base import Potential
from multiscale.config.learning_case import (
    CellStrainModel,
    DynamicsModel,
    LearningStructureModel,
    RelaxationModel,
)
from multiscale.studies.embedding_system import build_structure, guessed_crystal, rattled, with_defects

Array = NDArray[np.float64]
INCREMENTS = 100
"""Largest number of increments of a load that grows over the steps: each costs a call of the potential."""


def build_start(model: LearningStructureModel, potential: Potential, *, comm: MPI.Comm) -> Atoms:
    """Return the atoms that a run starts from, without calculator and constraints (collective).

    Raises:
        StructureFileError: a file that ASE cannot read, a site that is not there.
        InvalidPlaneError, InvalidCurveError: a stack that cannot be built.
    """
    if model.stack is None:
        return build_structure(model, potential, comm=comm)
    assert model.crystal is not None
    crystal = guessed_crystal(model.crystal, potential, comm)
    stack = build_stack(crystal, plane=model.stack.plane, n_planes=model.stack.planes, cut=model.stack.cut)
    atoms = stack.repeated(*model.repeat[:2]).opened(model.stack.opening)
    return rattled(with_defects(atoms, model), model)


def strain_of(model: CellStrainModel) -> Array:
    """Return ε (3, 3) of a case."""
    return np.array([[model.xx, model.xy, model.xz], [model.xy, model.yy, model.yz], [model.xz, model.yz, model.zz]])


def build_run(model: DynamicsModel | RelaxationModel, start: Atoms) -> LearningRun:
    """Return the run that a case asks for, at its start; a relaxation is loaded before, dynamics while they run."""
    if isinstance(model, RelaxationModel):
        atoms = start.copy()
        load_cell(atoms, strain_of(model.strain), model.opening)
        return RelaxationRun(atoms, fmax=model.fmax, steps=model.steps)
    atoms = start.copy()
    rng = np.random.default_rng(model.seed)
    thermalize_momenta(atoms, temperature_K=model.temperature, rng=rng)
    if len(atoms) > 1:
        Stationary(atoms)

    def dynamics(moving: Atoms) -> MolecularDynamics:
        return AdaptiveLangevin(
            moving,
            model.timestep * units.fs,
            temperature_K=model.temperature,
            rng=rng,
            friction=1.0 / (model.damping * units.fs),
        )

    run = MDRun(atoms, dynamics=dynamics, steps=model.steps)
    last = model.temperature if model.heat_to is None else model.heat_to
    return DrivenRun(run, strain=strain_of(model.strain), opening=model.opening, temperatures=(model.temperature, last))


def along_load(model: DynamicsModel | RelaxationModel, start: Atoms, *, count: int) -> list[Atoms]:
    """Return `count` structures that the run will come near, evenly along its load; of a relaxation, as it begins."""
    begin = 1.0 if isinstance(model, RelaxationModel) else 0.0
    found = []
    for share in np.linspace(begin, 1.0, max(count, 1)):
        atoms = start.copy()
        load_cell(atoms, share * strain_of(model.strain), share * model.opening)
        found.append(atoms)
    return found


def load_cell(atoms: Atoms, strain: Array, opening: float) -> None:
    """Strain cell and atoms by I + ε, then widen the cell along z by the opening (Å) with every atom where it is."""
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    open_gap(atoms, opening)


def open_gap(atoms: Atoms, opening: float) -> None:
    """Widen the cell along z by `opening` (Å): a stack's gap lies between its period's end and the next one's beginning."""
    cell = atoms.cell.array.copy()
    cell[2, 2] += opening
    atoms.set_cell(cell, scale_atoms=False)


class DrivenRun:
    """Dynamics whose cell is strained, whose gap is opened and whose thermostat is heated, evenly over the steps.

    The load is a function of the step alone, and cell and places are in the snapshot: a restored run is driven on alike.

    Args:
        run: dynamics with an adaptive Langevin thermostat.
        strain: (3, 3), reached at the last step.
        opening: Å, added until the last step.
        temperatures: K, at the first and the last step.
    """

    def __init__(self, run: MDRun, *, strain: Array, opening: float, temperatures: tuple[float, float]) -> None:
        self.run, self.strain, self.opening, self.temperatures = run, strain, opening, temperatures
        self.every = max(1, -(-run.steps // INCREMENTS))
        self.loaded = bool(opening) or bool(np.any(strain))

    @property
    def finished(self) -> bool:
        """Whether all steps are made."""
        return self.run.finished

    @property
    def step(self) -> int:
        """Steps made."""
        return self.run.step

    @property
    def share(self) -> float:
        """How much of the load is on, 0 to 1."""
        return self._share(self.run.step)

    def _share(self, step: int) -> float:
        """Share of the load at a step: in increments."""
        return 1.0 if step >= self.run.steps else self.every * (step // self.every) / self.run.steps

    def advance(self) -> None:
        """Load further where an increment is due, and make one step."""
        before, after = self._share(self.run.step), self._share(self.run.step + 1)
        if self.loaded and after > before:
            unit = np.eye(3)
            change = np.linalg.solve(unit + before * self.strain, unit + after * self.strain)
            load_cell(self.run.atoms, change - unit, (after - before) * self.opening)
        first, last = self.temperatures
        dynamics = self.run.dynamics
        assert isinstance(dynamics, AdaptiveLangevin)
        dynamics.temperature_K = first + (last - first) * self.run.step / self.run.steps
        self.run.advance()

    def frame(self) -> Frame:
        """Return the structure now, with the share of the load noted."""
        frame = self.run.frame()
        return replace(frame, note={**frame.note, "load": round(self.share, 6)}) if self.loaded else frame

    def snapshot(self) -> Snapshot:
        """Return what the dynamics' `restore` needs."""
        return self.run.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot."""
        self.run.restore(snapshot)

    def adopt(self, potential: Potential) -> None:
        """Go on with this potential."""
        self.run.adopt(potential)
