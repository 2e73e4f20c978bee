"""Runs that can learn: molecular dynamics and relaxations of one structure.

Both restart to the last bit from a snapshot wherever the potential answers the same structure with the same bits, whatever it was
asked before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.md.langevin import Langevin
from ase.md.md import MolecularDynamics
from ase.md.verlet import VelocityVerlet
from numpy.typing import ArrayLike, NDArray

from atomistic.active_learning.base import Frame, Snapshot
from atomistic.dynamics import AdaptiveLangevin, ThermostatState
from atomistic.errors import LearningError
from atomistic.potentials.base import Potential

Array = NDArray[np.float64]

# FIRE's constants as published (Bitzek et al. 2006, Phys. Rev. Lett. 97, 170201), with ASE's first and longest time step.
_FIRST_STEP, _LONGEST_STEP, _MIXING = 0.1, 1.0, 0.1
_PATIENCE, _FASTER, _SLOWER, _LESS_MIXING = 5, 1.1, 0.5, 0.99
#: Longest displacement of all atoms together in one step, Å.
_LONGEST_MOVE = 0.2


class MDRun:
    """Molecular dynamics as a run that learns.

    A potential that changes changes the energy of the same structure. That jump is no drift: it is added up in `jump`, and
    `conserved` is the energy without it and without what the thermostat gave.

    Args:
        atoms: start with momenta, constraints as usual; left as they are.
        dynamics: from atoms to dynamics, e.g. lambda atoms: AdaptiveLangevin(atoms, 2 * fs, temperature_K=300, rng=1). Those of
            which everything can be saved: AdaptiveLangevin (with tau=inf: BAOAB), ASE's Langevin with an `rng` of its own, and
            ASE's VelocityVerlet.
        steps: to make.
        judged: (n,) mask of the atoms whose doubt counts; None for all.
        config_type: group of the frames that are labelled.
        note: kept beside the labels.

    Attributes:
        atoms: of the dynamics, as they are now.
        step: made so far.
        jump: what changes of the potential added to the energy so far, eV.

    Raises:
        LearningError: other dynamics, a number of steps that is not positive, a mask of another shape.
    """

    def __init__(
        self,
        atoms: Atoms,
        *,
        dynamics: Callable[[Atoms], MolecularDynamics],
        steps: int,
        judged: ArrayLike | None = None,
        config_type: str = "md",
        note: Mapping[str, Any] | None = None,
    ) -> None:
        self.steps = _positive("steps", steps)
        self.atoms = atoms.copy()
        self.dynamics = _savable(dynamics(self.atoms), self.atoms)
        self.judged = _mask(judged, len(atoms))
        self.config_type, self.note = config_type, dict(note or {})
        self.step, self.jump = 0, 0.0
        self._energy: float | None = None

    @property
    def finished(self) -> bool:
        """Whether all steps are made."""
        return self.step >= self.steps

    @property
    def conserved(self) -> float:
        """Total energy less the thermostat's heat and the potential's jumps, eV; ASE's Langevin does not count its heat."""
        heat = float(np.sum(self.dynamics.heat)) if isinstance(self.dynamics, AdaptiveLangevin) else 0.0
        return float(self.atoms.get_total_energy()) - heat - self.jump

    def advance(self) -> None:
        """Make one step."""
        self.dynamics.step()  # type: ignore[attr-defined]
        self.dynamics.nsteps += 1
        self.step += 1
        self._energy = float(self.atoms.get_potential_energy())

    def frame(self) -> Frame:
        """Return the structure now, with its step and kinetic temperature noted."""
        note = {**self.note, "temperature_K": round(float(self.atoms.get_temperature()), 3)}
        return Frame(atoms=_bare(self.atoms), judged=self.judged, config_type=self.config_type, note=note)

    def snapshot(self) -> Snapshot:
        """Return places, momenta, cell, the thermostat with its random numbers, and the account of the energy."""
        return {
            **_places(self.atoms),
            "momenta": self.atoms.get_momenta(),
            "step": self.step,
            "jump": self.jump,
            "energy": self._energy,
            "thermostat": _thermostat(self.dynamics),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot.

        Raises:
            LearningError: it is of other atoms or of other dynamics.
        """
        _check_kind(snapshot, "thermostat", "molecular dynamics")
        _set_places(self.atoms, snapshot)
        # Momenta as they were: constraints have been applied to them already.
        self.atoms.set_momenta(snapshot["momenta"], apply_constraint=False)
        _set_thermostat(self.dynamics, snapshot["thermostat"])
        self.step, self.jump, self._energy = int(snapshot["step"]), float(snapshot["jump"]), snapshot["energy"]

    def adopt(self, potential: Potential) -> None:
        """Go on with this potential, from the same places and momenta; what that changes of the energy is booked."""
        self.atoms.calc = potential.calculator
        energy = float(self.atoms.get_potential_energy())
        self.jump += 0.0 if self._energy is None else energy - self._energy
        self._energy = energy


class RelaxationRun:
    """Relaxation of the atoms in a fixed cell as a run that learns, by FIRE (Bitzek et al. 2006, Phys. Rev. Lett. 97, 170201).

    Its memory is one velocity for each coordinate, so that a snapshot is small and complete.

    Args:
        atoms: the start; left as it is. Constraints are kept.
        fmax: largest force on an atom at rest, eV/Å.
        steps: at most.
        judged, config_type, note: as for `MDRun`.

    Attributes:
        atoms: as they are now.
        step: made so far.

    Raises:
        LearningError: an fmax or a number of steps that is not positive, a mask of another shape.
    """

    def __init__(
        self,
        atoms: Atoms,
        *,
        fmax: float = 0.02,
        steps: int = 500,
        judged: ArrayLike | None = None,
        config_type: str = "relaxation",
        note: Mapping[str, Any] | None = None,
    ) -> None:
        if not (isinstance(fmax, int | float) and np.isfinite(fmax) and fmax > 0.0):
            raise LearningError(f"fmax, the largest force at rest, must be positive (eV/Å); got {fmax!r}.")
        self.fmax, self.steps = float(fmax), _positive("steps", steps)
        self.atoms = atoms.copy()
        self.judged = _mask(judged, len(atoms))
        self.config_type, self.note = config_type, dict(note or {})
        self.step = 0
        self._velocity: Array = np.zeros((len(self.atoms), 3))
        self._time, self._mixing, self._downhill = _FIRST_STEP, _MIXING, 0

    @property
    def converged(self) -> bool:
        """Whether no atom feels more than fmax."""
        return bool(np.linalg.norm(self.atoms.get_forces(), axis=1).max() <= self.fmax)

    @property
    def finished(self) -> bool:
        """Whether the atoms are at rest, or no step is left."""
        return self.step >= self.steps or self.converged

    def advance(self) -> None:
        """Make one step."""
        force = self.atoms.get_forces()
        power = float(np.vdot(force, self._velocity))
        if power > 0.0:
            norm = np.sqrt(np.vdot(self._velocity, self._velocity) / np.vdot(force, force))
            self._velocity = (1.0 - self._mixing) * self._velocity + self._mixing * norm * force
            if self._downhill > _PATIENCE:
                self._time = min(self._time * _FASTER, _LONGEST_STEP)
                self._mixing *= _LESS_MIXING
            self._downhill += 1
        else:
            self._velocity = np.zeros_like(force)
            self._mixing, self._time, self._downhill = _MIXING, self._time * _SLOWER, 0
        self._velocity = self._velocity + self._time * force
        move = self._time * self._velocity
        length = float(np.sqrt(np.vdot(move, move)))
        self.atoms.set_positions(self.atoms.get_positions() + move * min(1.0, _LONGEST_MOVE / max(length, 1e-300)))
        self.step += 1
        self.atoms.get_forces()

    def frame(self) -> Frame:
        """Return the structure now."""
        return Frame(atoms=_bare(self.atoms), judged=self.judged, config_type=self.config_type, note=self.note)

    def snapshot(self) -> Snapshot:
        """Return places and the optimiser's memory."""
        return {
            **_places(self.atoms),
            "velocity": self._velocity,
            "fire": [self._time, self._mixing, self._downhill],
            "step": self.step,
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot.

        Raises:
            LearningError: it is of other atoms, or of no relaxation.
        """
        _check_kind(snapshot, "fire", "a relaxation")
        _set_places(self.atoms, snapshot)
        self._velocity = np.array(snapshot["velocity"])
        time, mixing, downhill = snapshot["fire"]
        self._time, self._mixing, self._downhill = float(time), float(mixing), int(downhill)
        self.step = int(snapshot["step"])

    def adopt(self, potential: Potential) -> None:
        """Go on with this potential from the present places; velocities gathered on another surface are kept.

        FIRE stops by itself where they point uphill.
        """
        self.atoms.calc = potential.calculator


def _positive(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise LearningError(f"{name} must be a whole number, 1 or more; got {value!r}.")
    return int(value)


def _mask(judged: ArrayLike | None, count: int) -> NDArray[np.bool_] | None:
    if judged is None:
        return None
    mask = np.asarray(judged)
    if mask.dtype != bool or mask.shape != (count,) or not mask.any():
        raise LearningError(
            f"`judged` must be a mask of shape ({count},) with at least one atom; got {mask.dtype} of shape {mask.shape}."
        )
    return mask


def _bare(atoms: Atoms) -> Atoms:
    """The structure alone: no calculator, constraints or momenta."""
    bare = Atoms(
        numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=dict(atoms.info)
    )
    if atoms.has("initial_magmoms"):
        bare.set_initial_magnetic_moments(atoms.get_initial_magnetic_moments())
    return bare


def _places(atoms: Atoms) -> dict[str, Array]:
    return {"numbers": atoms.numbers.copy(), "positions": atoms.get_positions(), "cell": atoms.cell.array.copy()}


def _set_places(atoms: Atoms, snapshot: Snapshot) -> None:
    if not np.array_equal(snapshot["numbers"], atoms.numbers):
        raise LearningError(
            f"The snapshot is of other atoms than {atoms.symbols}: give the run the structure that it was started with."
        )
    atoms.set_cell(snapshot["cell"])
    atoms.set_positions(snapshot["positions"], apply_constraint=False)


def _check_kind(snapshot: Snapshot, key: str, what: str) -> None:
    if key not in snapshot:
        raise LearningError(f"The snapshot is not one of {what}: the folder belongs to another kind of run.")


def _savable(dynamics: MolecularDynamics, atoms: Atoms) -> MolecularDynamics:
    """Refuse dynamics of which not everything can be saved."""
    if type(dynamics) not in (AdaptiveLangevin, Langevin, VelocityVerlet) or dynamics.atoms is not atoms:
        raise LearningError(
            f"A run that learns saves all of its state; of {type(dynamics).__name__} on these atoms it cannot. Give a function "
            "from atoms to AdaptiveLangevin (atomistic.dynamics), or to ASE's Langevin or VelocityVerlet."
        )
    if type(dynamics) is Langevin and not isinstance(dynamics.rng, np.random.Generator | np.random.RandomState):
        raise LearningError(
            "Langevin draws from NumPy's shared random numbers; give it rng=numpy.random.default_rng(SEED)."
        )
    return dynamics


def _thermostat(dynamics: MolecularDynamics) -> dict[str, Any]:
    """The state of the dynamics beside places and momenta, ready for JSON."""
    kind = type(dynamics).__name__
    if isinstance(dynamics, AdaptiveLangevin):
        state = dynamics.snapshot()
        return {
            "kind": kind,
            "friction": state.adaptive_friction.tolist(),
            "heat": state.heat.tolist(),
            "rng": dict(state.rng),
        }
    if isinstance(dynamics, Langevin):
        rng = dynamics.rng
        drawn = rng.bit_generator.state if isinstance(rng, np.random.Generator) else rng.get_state(legacy=False)
        return {"kind": kind, "rng": drawn}
    return {"kind": kind}


def _set_thermostat(dynamics: MolecularDynamics, kept: Mapping[str, Any]) -> None:
    kind = type(dynamics).__name__
    if kept["kind"] != kind:
        raise LearningError(
            f"The snapshot is one of {kept['kind']}, and these dynamics are {kind}; give the same ones."
        )
    if isinstance(dynamics, AdaptiveLangevin):
        dynamics.restore(
            ThermostatState(
                adaptive_friction=np.array(kept["friction"]),
                heat=np.array(kept["heat"]),
                rng=kept["rng"],
                steps=dynamics.nsteps,
            )
        )
    elif isinstance(dynamics, Langevin):
        rng = dynamics.rng
        if isinstance(rng, np.random.Generator):
            rng.bit_generator.state = kept["rng"]
        else:
            rng.set_state(kept["rng"])
