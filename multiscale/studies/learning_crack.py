"""A crack under load as a run that can be judged and taught: one equilibrium of the coupled body a step.

After a lesson everything that the potential decides is made anew: crystal, elastic constants, surfaces, K_G, continuum, mesh
and zone. The path goes on from the last trusted state: at the same level of the case, or the same share of K_G, with the
displacements beyond the K-field carried over site by site. Where that cannot be (another cut, no equilibrium near it) the path
begins again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.active_learning import BrokenRunError, Frame, Snapshot
from atomistic.potentials import Potential
from atomistic.site_energies import AtomCluster
from coupling.carried import CarriedState, bring_in, carry_away
from coupling.crack import FollowOptions
from coupling.errors import HandshakeConvergenceError
from multiscale.config import FollowModel, FractureCase, StepsModel
from multiscale.errors import ValidityError
from multiscale.progress import Progress
from multiscale.studies.crack_path import Walk
from multiscale.studies.crack_references import check_fit, find_references
from multiscale.studies.crack_stage import Stage
from multiscale.studies.crack_states import Start, states_of
from multiscale.studies.crack_system import CrackCharacter, CrackPlan, characterise_crack, plan_crack
from multiscale.studies.fracture_state import CrackReferences, PathPoint
from multiscale.studies.learning_run import astray, atoms_kept, guessed_crystal, kept_atoms
from multiscale.units import Level

Array = NDArray[np.float64]
#: A followed path goes on from a state only where its branch is known to go on by so many first steps of the load.
_ROOM = 2.0


@dataclass(frozen=True, kw_only=True)
class _Built:
    """What the potential decides."""

    character: CrackCharacter
    references: CrackReferences
    plan: CrackPlan


class CrackRun:
    """The states of a crack's path, one a step; what is judged are the atoms of core and blend.

    Where loads are taken one by one, each step begins from what a snapshot holds, so that a restored run takes the same steps.
    Where branches are followed, the path goes on from the last stable state that is not at the very end of its branch: only such
    a state can be found again, and only from there can the load first rise.

    Args:
        case: of the crack, without impurity and quantum region.
        potential: of the run's start.
        comm: ranks that call together.
    """

    def __init__(self, case: FractureCase, potential: Potential, *, comm: MPI.Comm) -> None:
        self._case, self._potential, self._comm = case, potential, comm
        self._built: _Built | None = None
        self._walk: Walk | None = None
        self._ahead: Iterator[PathPoint] | None = None
        self._standing: dict[str, Any] | None = None
        self._seen: tuple[Atoms, NDArray[np.bool_]] | None = None
        self._note: dict[str, Any] = {}
        self._branch: list[dict[str, Any]] = []
        self.step, self.finished = 0, False
        #: How often the path could not go on from the state that was kept, and began again.
        self.restarts = 0
        self._anew = False

    def advance(self) -> None:
        """The next state of the path, or its end.

        Raises:
            BrokenRunError: no equilibrium, or a crystal in which there is no such crack.
        """
        ahead, self._ahead = self._ahead, None
        with astray():
            # A path that has broken down does not go on by itself: the next step begins from what is kept.
            ahead = ahead or self._begin()
            point = next(ahead, None)
        self.step += 1
        if point is None:
            self.finished = True
        else:
            self._keep(point)
        if isinstance(self._case.load, StepsModel):
            assert self._walk is not None
            self.finished = self.finished or not self._walk.left or bool(self._walk.reason)
        else:
            # Where loads are taken one by one, nothing but what a snapshot holds goes on to the next step.
            self._ahead = ahead
        if self._standing is not None:
            self._standing["finished"] = self.finished

    def frame(self) -> Frame:
        """The zone's atoms in the present state; before the first one the perfect crystal."""
        if self._seen is None:
            return Frame(atoms=guessed_crystal(self._case), config_type="crystal")
        atoms, judged = self._seen
        return Frame(atoms=atoms.copy(), judged=judged.copy(), config_type="crack", note=dict(self._note))

    def snapshot(self) -> Snapshot:
        """Where the path stands, without the lengths of its crystal; of an unstable state the stable one before it."""
        return {} if self._standing is None else dict(self._standing)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a state; the empty one is the beginning."""
        self._walk = self._ahead = self._seen = self._standing = None
        self._branch = []
        self.step, self.finished, self._note = 0, False, {}
        if snapshot:
            self._standing = dict(snapshot)
            self.step, self.finished = int(snapshot["step"]), bool(snapshot["finished"])
            self._note, self._seen = dict(snapshot["note"]), atoms_kept(snapshot)

    def adopt(self, potential: Potential) -> None:
        """Go on from the present state with another potential, whose crystal is made anew."""
        self._potential = potential
        self._built = self._walk = self._ahead = None
        self._anew, self._branch = False, []

    def _make(self) -> _Built:
        if self._built is None:
            case, quiet = self._case, Progress.silent()
            character = characterise_crack(case, comm=self._comm, progress=quiet, potential=self._potential)
            references = find_references(case, character, comm=self._comm, progress=quiet)
            plan = plan_crack(case, character)
            check_fit(case, character, plan, references)
            self._built = _Built(character=character, references=references, plan=plan)
        return self._built

    def _new_walk(self) -> Walk:
        built = self._make()
        with Progress.silent().phase("path") as phase:
            return Walk(
                case=self._case,
                character=built.character,
                references=built.references,
                plan=built.plan,
                comm=self._comm,
                phase=phase,
            )

    def _begin(self) -> Iterator[PathPoint]:
        """The states that come after that of the snapshot, or all from the beginning of the path."""
        standing, built = self._standing, self._make()
        if standing is not None and standing["cut"] == built.references.cut.name:
            try:
                return self._stand(standing)
            except (HandshakeConvergenceError, ValidityError) as error:
                # This potential has no such state; but it must not take the path in circles.
                if self._anew:
                    raise BrokenRunError(f"a state of this potential's own is not found again: {error}") from error
        if standing is not None:
            self._anew, self.restarts = True, self.restarts + 1
        self._walk = self._new_walk()
        self._walk.begin()
        return states_of(self._walk)

    def _stand(self, standing: dict[str, Any]) -> Iterator[PathPoint]:
        """Find the state that was kept in this crystal's body, and return those that come after it."""
        walk = self._walk = self._new_walk()
        period = walk.character.period
        x, y = walk.plan.center
        stage = walk.begin((x + period * int(standing["moved"]), y), tip=period * standing["tip"])
        walk.origin = period * standing["origin"]
        load = self._load(walk, standing)
        start = Start(
            load=load,
            guess=_guess(stage, load, standing),
            leg=standing["leg"],
            number=int(standing["number"]),
            left=tuple(int(number) for number in standing["left"]),
        )
        ahead = states_of(walk, start)
        next(ahead)
        if isinstance(self._case.load, StepsModel):
            return ahead
        # A branch of this potential's may end before the first step along it.
        return chain([next(ahead)], ahead)

    def _load(self, walk: Walk, standing: dict[str, Any]) -> float:
        """The load to go on at: the level's own, or where branches are followed the same share of K_G or the same opening."""
        load = self._case.load
        if isinstance(load, StepsModel):
            return walk.load_of(load.wanted[int(standing["number"])])
        if load.start.of == "K_G":
            return walk.load_of(Level(value=standing["share"], of="K_G"))
        return float(standing["load"])

    def _share(self, walk: Walk, load: float) -> float:
        """A load over that which is K_G by elasticity; NaN where the case tells loads by openings."""
        follow = isinstance(self._case.load, FollowModel) and self._case.load.start.of == "K_G"
        return load / walk.load_of(Level(value=1.0, of="K_G")) if follow else float("nan")

    def _keep(self, point: PathPoint) -> None:
        """Take down a new state: all of it to be judged, and where the path can go on from if it is stable."""
        walk = self._walk
        assert walk is not None
        stage = walk.stage
        model, state = stage.observer.model, point.state
        assert isinstance(model.atoms, AtomCluster)
        atoms, judged = model.atoms.structure(state.positions), stage.observer.own
        share = point.intensity / walk.references.griffith
        self._seen = (atoms, judged)
        self._note = {"share_of_griffith": share, "advance_periods": point.advance, "leg": point.leg}
        if isinstance(self._case.load, FollowModel) and (point.leg == "down" or not state.stable):
            # Branches towards lower load are unstable half of the way, and no flag says which half.
            self._branch = []
            return
        period, carried = walk.character.period, carry_away(model, state.u, state.load * stage.unit.field)
        assert walk.origin is not None
        kept = {
            "step": self.step,
            "finished": False,
            "cut": walk.references.cut.name,
            "moved": round((stage.observer.center[0] - walk.plan.center[0]) / period),
            "tip": point.tip_bonds / period if np.isfinite(point.tip_bonds) else 0.0,
            "origin": walk.origin / period,
            "load": state.load,
            "share": self._share(walk, state.load),
            "leg": point.leg,
            "number": walk.number,
            "left": list(walk.left),
            "note": self._note,
            "u": state.u,
            **carried.to_mapping(),
            **kept_atoms(atoms, judged),
        }
        if isinstance(self._case.load, StepsModel):
            self._standing = kept
            return
        self._branch.append(kept)
        known = [one for one in self._branch if one["load"] * (1.0 + _ROOM * FollowOptions.first_step) <= state.load]
        self._branch = self._branch[len(known) :]
        self._standing = known[-1] if known else self._standing


def _guess(stage: Stage, load: float, standing: dict[str, Any]) -> Array:
    """Unknowns (rows, 3) near the state that was kept: its own where body and load are the same, else carried over."""
    model, field, carried = stage.observer.model, load * stage.unit.field, CarriedState.of_mapping(standing)
    mine = carry_away(model, field, field)
    same = np.array_equal(mine.places, carried.places) and mine.spacing == carried.spacing
    if same and load == standing["load"] and standing["u"].shape == model.shape:
        return np.array(standing["u"])
    return bring_in(model, carried, field)
