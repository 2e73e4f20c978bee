"""A crystal pulled apart, as a run that can be judged and taught: state by state along the curve that becomes the law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from mpi4py import MPI

from atomistic.active_learning import Frame, Snapshot
from atomistic.builders import Stack, build_stack
from atomistic.crystal import Crystal, relax_crystal
from atomistic.decohesion import default_openings
from atomistic.potentials import Potential
from atomistic.pulling import full_opening, normal_moduli
from atomistic.ranks import on_first_rank
from atomistic.relaxation import minimise, springs
from multiscale.config import AdhesionCase
from multiscale.studies.learning_run import astray, atoms_kept, guessed_crystal, kept_atoms

#: Strains along the normal at which the crystal on both sides of the interface is judged: what the bodies bear.
BODY_STRAINS = (0.02, -0.02, 0.05)
#: Largest force left on an atom of a relaxed surface, eV/Å, as for the work of separation.
_FMAX = 1e-3


@dataclass(frozen=True)
class State:
    """One structure on the way: "strain", "opening" with its value in Å, or "relaxed"."""

    kind: str
    value: float = 0.0


@dataclass(frozen=True, kw_only=True)
class _Built:
    """What depends on the potential: the crystal at rest, and the stack of its planes."""

    crystal: Crystal
    stack: Stack


class SeparationRun:
    """The states that the law of an interface is made from, one a step: strained stacks, rigid openings, relaxed surfaces.

    Nothing is carried from state to state: after a lesson the crystal is relaxed and the stack built anew, and the run goes on at
    the same opening in Å.

    A stack of perfect planes is so symmetric that its forces have one component, on few atoms, and none where it is strained:
    what is fitted to it fits it and nothing else. So each state is shown, to be judged and labelled, with its atoms displaced
    at random.

    Args:
        case: of the interface.
        potential: of the run's start.
        comm: ranks that call together.
        rattle: standard deviation of a component of these displacements, Å.
        seed: of them.
    """

    def __init__(
        self, case: AdhesionCase, potential: Potential, *, comm: MPI.Comm, rattle: float = 0.0, seed: int = 0
    ) -> None:
        self._case, self._potential, self._comm = case, potential, comm
        self._rattle, self._seed = rattle, seed
        self._built: _Built | None = None
        self._relaxed: Atoms | None = None
        self.step = 0
        self.states = states_of(case)

    @property
    def finished(self) -> bool:
        """Whether the last state has been reached."""
        return self.step >= len(self.states) - 1

    @property
    def state(self) -> State:
        """Where the run stands."""
        return self.states[self.step]

    def advance(self) -> None:
        """The next state.

        Raises:
            BrokenRunError: the potential has no such crystal.
            RelaxationError: its surfaces do not come to rest.
        """
        with astray():
            self._make()
            self._relaxed = self._rest() if self.states[self.step + 1].kind == "relaxed" else None
        self.step += 1

    def frame(self) -> Frame:
        """The stack in this state with displaced atoms, all of them judged."""
        state = self.state
        if self.step == 0 and self._built is None:
            return Frame(atoms=guessed_crystal(self._case), config_type="crystal")
        built = self._make()
        if state.kind == "relaxed":
            atoms = self._open() if self._relaxed is None else self._relaxed
        elif state.kind == "strain":
            atoms = built.stack.opened(0.0)
            atoms.set_cell(atoms.cell.array * np.array([1.0, 1.0, 1.0 + state.value]), scale_atoms=True)
        else:
            atoms = built.stack.opened(state.value)
        atoms = atoms.copy()
        random = np.random.default_rng((self._seed, self.step))
        atoms.positions += self._rattle * random.standard_normal(atoms.positions.shape)
        return Frame(atoms=atoms, config_type="separation", note={"state": state.kind, "value": state.value})

    def snapshot(self) -> Snapshot:
        """The number of the state, and the relaxed atoms where it has any."""
        kept: dict[str, Any] = {"step": self.step}
        return kept if self._relaxed is None else kept | kept_atoms(self._relaxed, None)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a state."""
        self.step = int(snapshot["step"])
        self._relaxed = atoms_kept(snapshot)[0] if "positions" in snapshot else None

    def adopt(self, potential: Potential) -> None:
        """Go on with the crystal of another potential."""
        self._potential, self._built, self._relaxed = potential, None, None

    def _make(self) -> _Built:
        if self._built is None:
            guess, interface = self._case.crystal, self._case.interface
            crystal = relax_crystal(
                self._potential,
                symbols=guess.species,
                structure=guess.structure,
                a=guess.a,
                c=guess.c,
                comm=self._comm,
            )
            stack = build_stack(
                crystal, plane=interface.plane, n_planes=self._case.decohesion.planes, cut=interface.cut
            )
            self._built = _Built(crystal=crystal, stack=stack)
        return self._built

    def _open(self) -> Atoms:
        """The stack with its halves out of each other's reach."""
        stack = self._make().stack
        return stack.opened(full_opening(self._potential, stack, 0.0))

    def _rest(self) -> Atoms:
        """The same with its surfaces relaxed (collective)."""
        built = self._make()

        def compute() -> Atoms:
            model = springs(built.stack, moduli=normal_moduli(built.crystal, built.stack), crossing=False)
            return minimise(self._potential, self._open(), inverse_hessian=model, fmax=_FMAX).atoms

        return on_first_rank(compute, potential=self._potential, comm=self._comm)


def states_of(case: AdhesionCase) -> Sequence[State]:
    """Strained stacks, the openings of the case's curve, and relaxed surfaces where the case asks for them."""
    openings = default_openings(to=case.decohesion.opening.to, points=case.decohesion.opening.points)
    relaxed = case.decohesion.relax or case.decohesion.mode == "relaxed" or case.zone is not None
    first, *others = [State("opening", float(opening)) for opening in openings]
    found = [first, *(State("strain", strain) for strain in BODY_STRAINS), *others]
    return [*found, State("relaxed")] if relaxed else found
