"""A specimen with a zone of atoms at its interface as a run that can be judged and taught: one opening of its grips a step.

After a lesson everything that the potential decides is made anew: crystal, law, continuum, mesh and zone. The loading goes on at
the same opening in Å from the last trusted state, whose displacements are carried over node by node; the law's history there is
that of the openings themselves, and the account of work begins again, so that only a run from the unloaded body has an account.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.active_learning import Frame, Snapshot
from atomistic.potentials import Potential
from atomistic.site_energies import AtomCluster
from coupling.carried import CarriedState, bring_in, carry_away
from coupling.errors import HandshakeConvergenceError
from coupling.handshake import CoupledModel, make_method
from coupling.handshake.loading import LoadPath, LoadStep
from multiscale.config import AdhesionCase
from multiscale.progress import Progress
from multiscale.studies.interface import characterise_interface
from multiscale.studies.learning_run import astray, atoms_kept, guessed_crystal, kept_atoms
from multiscale.studies.patch import Supports, build_patch, characterise_patch, plan_patch, zone_of
from multiscale.studies.zone_loading import options_of

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class _Built:
    """What the potential decides: the coupled specimen, and what holds it."""

    model: CoupledModel
    holds: Supports


class ZoneRun:
    """The load steps of a specimen with a zone; what is judged are the zone's atoms of core and blend.

    Each step begins from what a snapshot holds, so that a restored run takes the same steps.

    Args:
        case: with a zone, without impurity and quantum region.
        potential: of the run's start.
        comm: ranks that call together.
    """

    def __init__(self, case: AdhesionCase, potential: Potential, *, comm: MPI.Comm) -> None:
        self._case, self._potential, self._comm = case, potential, comm
        self._built: _Built | None = None
        self._standing: dict[str, Any] | None = None
        opening = case.loading.opening
        self._loads = np.linspace(0.0, opening.to, opening.steps + 1)
        self.step = 0
        #: How often the loading could not go on from the state that was kept, and began again.
        self.restarts = 0

    @property
    def finished(self) -> bool:
        """Whether the specimen is opened as far as the case asks."""
        return self.step >= len(self._loads) - 1

    def advance(self) -> None:
        """The next opening.

        Raises:
            BrokenRunError: no equilibrium, or a crystal that cannot be coupled.
        """
        with astray():
            built = self._make()
            step = self._next(built, self.step + 1)
            self.step += 1
            self._keep(built, step)

    def frame(self) -> Frame:
        """The zone's atoms at this opening; of the unloaded body the perfect crystal."""
        if self._standing is None:
            return Frame(atoms=guessed_crystal(self._case), config_type="crystal")
        atoms, judged = atoms_kept(self._standing)
        return Frame(atoms=atoms, judged=judged, config_type="interface", note={"opening": self._standing["load"]})

    def snapshot(self) -> Snapshot:
        """The opening and the displacements there."""
        return {} if self._standing is None else dict(self._standing)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to an opening; the empty one is the unloaded body."""
        self._standing = dict(snapshot) if snapshot else None
        self.step = int(snapshot["step"]) if snapshot else 0

    def adopt(self, potential: Potential) -> None:
        """Go on from the present state with another potential, whose crystal is made anew."""
        self._potential, self._built = potential, None

    def _make(self) -> _Built:
        if self._built is None:
            case, comm, quiet = self._case, self._comm, Progress.silent()
            interface = characterise_interface(quick(case), comm=comm, progress=quiet, potential=self._potential)
            character = characterise_patch(case, interface, comm=comm, progress=quiet)
            plan = plan_patch(case, interface, character)
            model = build_patch(case, interface, character, plan, comm)
            self._built = _Built(model=model, holds=Supports(plan))
        return self._built

    def _path(self, built: _Built) -> LoadPath:
        return LoadPath(
            make_method(zone_of(self._case).method, built.model),
            direction=built.holds.direction(built.model.body),
            options=options_of(self._case),
            max_cutbacks=zone_of(self._case).solver.max_cutbacks,
            apart=built.holds.apart(built.model.body),
        )

    def _next(self, built: _Built, number: int) -> LoadStep:
        """The equilibrium at the next opening: from the one that was kept, or if there is none near it from the unloaded body."""
        path = self._path(built)
        if self._standing is not None:
            try:
                path.begin(float(self._standing["load"]), self._start(built.model))
                return path.follow([float(self._loads[number])])[-1]
            except HandshakeConvergenceError:
                self.restarts += 1
                path = self._path(built)
        return path.follow(self._loads[1 : number + 1].tolist())[-1]

    def _start(self, model: CoupledModel) -> Array:
        """Displacements (nodes, c) near the state that was kept: its own on the same mesh, else carried over."""
        assert self._standing is not None
        carried = CarriedState.of_mapping(self._standing)
        mine = carry_away(model, np.zeros(model.shape))
        if np.array_equal(mine.places, carried.places) and mine.spacing == carried.spacing:
            return np.array(carried.own)
        return bring_in(model, carried, scale=False)

    def _keep(self, built: _Built, step: LoadStep) -> None:
        model = built.model
        assert isinstance(model.atoms, AtomCluster)
        atoms: Atoms = model.atoms.structure(model.places(step.u))
        judged = model.partition.weighted[model.present]
        self._standing = {
            "step": self.step,
            "load": step.load,
            **carry_away(model, step.u).to_mapping(),
            **kept_atoms(atoms, judged),
        }


def quick(case: AdhesionCase) -> AdhesionCase:
    """The case without the checks that cost calls and that no law needs."""
    return case.model_copy(
        update={
            "verification": case.verification.model_copy(update={"stacks": ()}),
            "decohesion": case.decohesion.model_copy(update={"relax": False}),
        }
    )
