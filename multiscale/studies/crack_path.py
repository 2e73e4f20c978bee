"""What is known of a crack's path while it is walked: its models, its states, its loads; moving the zone along with the tip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from coupling.crack import (
    CrackForces,
    CrackModel,
    CrackSolver,
    CrackState,
    CrackTangent,
    FollowOptions,
    grip_load,
    intensity_load,
)
from coupling.crack.harmonic import HarmonicTangent
from coupling.crack.recentre import carry, relaxation_energy
from coupling.crack.tip import tip_by_bonds
from multiscale.config import FollowModel, FractureCase
from multiscale.errors import CrackLoadError
from multiscale.progress import Phase
from multiscale.studies.crack_observer import BROKEN_STRETCH, Observer
from multiscale.studies.crack_references import level_intensity, valid_intensity
from multiscale.studies.crack_stage import Run, Stage
from multiscale.studies.crack_system import CrackCharacter, CrackPlan, build_crack, check_precision
from multiscale.studies.embedded_cases import embed_crack
from multiscale.studies.embedded_files import EmbeddedRecord
from multiscale.studies.fracture_state import CrackReferences, Leg, PathPoint
from multiscale.units import Level, format_intensity, format_length

Array = NDArray[np.float64]
#: Between tip and the core's edge there are at least so many periods, and the cohesive zone.
_PERIODS = 1.0
#: What a walk knows of its path beside its models.
_KEPT = ("points", "runs", "at", "reason", "origin", "number", "left")
#: Opening (Å) at which the elastic answer of a gripped body is weighed: small against everything.
_PROBE = 1e-3


@dataclass(kw_only=True, eq=False)
class Walk:
    """The path of one crack.

    Attributes:
        case: what is asked for.
        character: of the crystal.
        references: of the crack.
        plan: of zone and body.
        comm: ranks that share the potential.
        phase: told where the path stands.
        watch: called after each state with the walk.
        keep: called once each state has been dealt with, with a function that makes the state of the walk, a tree (collective).
        stages: models, one more each time that the zone is moved.
        points: states so far.
        runs: loads at which the crack did not stand.
        at: number of the stage where the path is now.
        called: calls of the potential before the path began.
        reason: why the path ended before it was done; empty while it goes on or where it came to its end.
        cache: directory of finished quantum calculations; None keeps none.
        origin: x from which advances are counted, Å; None: the tip of the first state.
        number: of the case's level at which the crack stands.
        left: numbers of the levels that are still to come.
        quantum: states with their impurities, and those that the quantum engine is asked for.
    """

    case: FractureCase
    character: CrackCharacter
    references: CrackReferences
    plan: CrackPlan
    comm: MPI.Comm
    phase: Phase
    watch: Callable[[Walk], None] = lambda walk: None
    keep: Callable[[Callable[[], dict[str, Any]]], None] = lambda state: None
    stages: list[Stage] = field(default_factory=list)
    points: list[PathPoint] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    at: int = 0
    called: int = 0
    reason: str = ""
    cache: Path | None = None
    origin: float | None = None
    number: int = 0
    left: tuple[int, ...] = ()
    quantum: EmbeddedRecord = field(init=False)

    def __post_init__(self) -> None:
        self.quantum = EmbeddedRecord(embedding=self.case.embedding)
        self.called = self.character.potential.counter.calls

    @property
    def stage(self) -> Stage:
        """Where the path is now."""
        return self.stages[self.at]

    @property
    def calls(self) -> int:
        """Calls of the potential since the path began."""
        return self.character.potential.counter.calls - self.called

    def begin(self, center: tuple[float, float] | None = None, *, tip: float = 0.0) -> Stage:
        """Build a model, its zone about a place, and what solves it; the path is there now."""
        about = self.plan.center if center is None else center
        model = build_crack(self.character, self.plan, self.comm, center=about, tip=tip)
        zone = embed_crack(
            self.case, self.character, self.plan, model, self.comm, center=about, tip=tip, cache=self.cache
        )
        model = zone.model
        for region in zone.sites.regions:
            check_precision(self.case, region.qm)
        gripped = self.case.gripped
        known = self.references
        unit = grip_load(model, self.plan.outer) if gripped else intensity_load(model, known.field, known.direction)
        method = CrackForces(model)
        tangent = None
        if self._newton(model):
            # Strained and broken, atoms reach farther than in the perfect crystal: up to twice the cutoff.
            cutoff = self.character.potential.capabilities.cutoff or 0.0
            tangent = CrackTangent(method, reach=max(self.character.force_range, 2.0 * cutoff))
        springs = HarmonicTangent(method, self.character.interaction)
        solver = CrackSolver(method, unit, self.options(), tangent=tangent, springs=springs, report=self._report)
        observer = Observer(
            model=model,
            character=self.character,
            references=self.references,
            plan=self.plan,
            center=about,
            number=len(self.stages),
            gripped=gripped,
        )
        self.stages.append(Stage(observer=observer, solver=solver, unit=unit, zone=zone, tip=tip))
        self.at = len(self.stages) - 1
        if gripped and observer.j_integral is not None:
            # Openings of grips are weighed against displacements of the core as the K that they stand for.
            solver.scale *= self.intensity_per_opening(self.stage)
        return self.stage

    def state(self) -> dict[str, Any]:
        """All that decides how the walk goes on, but for where it stands in the loads (collective)."""
        return {
            "stages": [(stage.observer.center, stage.tip, stage.solver.state()) for stage in self.stages],
            "quantum": self.quantum.state([stage.zone for stage in self.stages]),
            "calls": self.calls,
            **{name: getattr(self, name) for name in _KEPT},
        }

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Take the place of a walk that has left a state, perhaps in another process: its models are made anew (collective)."""
        for center, tip, _ in state["stages"]:
            self.begin(center, tip=tip)
        for name in _KEPT:
            setattr(self, name, state[name])
        # Stages share the potential and its counter: that of the present one has the last word.
        order = sorted(range(len(self.stages)), key=lambda number: number == self.at)
        for number in order:
            self.stages[number].solver.go_on(state["stages"][number][2])
        self.quantum.go_on(state["quantum"], [stage.zone for stage in self.stages])
        self.called = self.character.potential.counter.calls - state["calls"]
        self.phase.advance(len(self.points), "gone on with")

    def _newton(self, model: CrackModel) -> bool:
        """Whether states are found by second derivatives."""
        kind = self.case.solver.type
        if kind != "auto":
            return kind == "newton"
        return isinstance(self.case.load, FollowModel) or hasattr(model.atoms, "hessian")

    def options(self) -> FollowOptions:
        """The case's solver settings."""
        load, solver = self.case.load, self.case.solver
        settings = FollowOptions(
            tolerance=solver.tolerance,
            max_iterations=solver.max_iterations,
            depth=solver.depth,
            rough=max(FollowOptions.rough, solver.tolerance),
            max_fall=min(FollowOptions.max_fall, solver.max_calls),
        )
        if isinstance(load, FollowModel):
            settings = replace(settings, largest_step=load.largest_step, max_states=load.max_states)
        return settings

    def load_of(self, level: Level) -> float:
        """The load of a level: K of the mixture (eV/Å^2.5), or for grips their opening (Å).

        Raises:
            CrackLoadError: a share of K_G in a body whose elastic answer leaves no room for J.
        """
        if not self.case.gripped:
            return level_intensity(level, self.references)
        if level.of == "length":
            return level.value
        # Of the first model: what a level means must not change with where the zone is.
        return level_intensity(level, self.references) / self.intensity_per_opening(self.stages[0])

    def intensity_per_opening(self, stage: Stage) -> float:
        """K per opening of the grips by the elastic body, eV/Å^3.5.

        Raises:
            CrackLoadError: there is no room for J.
        """
        observer = stage.observer
        if observer.j_integral is None:
            raise CrackLoadError(
                "the body is too small about its zone to tell K from the opening of the grips: no ring of whole elements fits "
                'between them. Write the load as an opening, for example "2 nm", or enlarge the body'
            )
        nodes = observer.model.nodes
        release = observer.j_integral.value(_PROBE * stage.unit.field[:nodes]) / _PROBE**2
        return self.references.intensity(release)

    def _report(self, iteration: int, force: float) -> None:
        self.phase.describe(f"state {len(self.points)}, iteration {iteration}, largest force {force:.2e} eV/Å")

    def record(self, state: CrackState, leg: Leg, *, jump: float | None = None) -> PathPoint:
        """Look at a state and keep it; `jump` (eV) where the zone was moved for it."""
        if self.origin is None:
            self.origin = self.stage.observer.tip(state).x
        since = self.origin
        point = self.stage.observer.point(state, index=len(self.points), leg=leg, since=since, jump=jump)
        self.points.append(point)
        self.quantum.keep(self.stage.zone, state.u, f"state {point.index}")
        self.phase.advance(
            1,
            f"K = {point.intensity / self.references.griffith:.4f} K_G, tip {point.advance:+.2f} periods, "
            f"{state.calls} calls",
        )
        self.watch(self)
        return point

    def must_end(self, point: PathPoint) -> bool:
        """Whether the path cannot go on from a state; says why in `reason`."""
        limit = valid_intensity(self.case, self.character, self.plan, self.references)
        if point.intensity > limit:
            self.reason = (
                f"at {format_intensity(point.intensity)} the elements in the blend leave what their material describes "
                f"(up to about {format_intensity(limit)}): enlarge zone.radius or material.largest_strain"
            )
        elif self.calls >= self.case.solver.max_calls:
            self.reason = f"{self.calls} calls of the potential were made: raise solver.max_calls"
        elif self.at_edge(point) and not self.case.load.recentre:
            self.reason = (
                f"the tip came within {format_length(self.least_room)} of the blend, {format_length(abs(point.tip_bonds))} from "
                "where it began: enlarge zone.radius, or move the zone along with load.recentre: true"
            )
        return bool(self.reason)

    def bound_fall(self) -> None:
        """Let the next search fall no farther than the calls that are left."""
        solver, left = self.stage.solver, max(1, self.case.solver.max_calls - self.calls)
        solver.options = replace(solver.options, max_fall=min(FollowOptions.max_fall, left))

    def moved(self, positions: Array, point: PathPoint) -> float:
        """How far the tip of atoms (n, 3) has moved since a state, Å; infinite where it has left them."""
        observer = self.stage.observer
        tip = tip_by_bonds(positions, observer.across, stretch=BROKEN_STRETCH).x
        return tip - point.tip_bonds if abs(tip - point.tip_bonds) > 0.1 * self.character.period else 0.0

    @property
    def least_room(self) -> float:
        """Distance between tip and the core's edge at which the zone is left, Å."""
        return max(_PERIODS * self.character.period, self.references.cohesive_length)

    def at_edge(self, point: PathPoint, *, ahead: float = 0.0) -> bool:
        """Whether the tip, or a place ahead of it (Å), is about to leave the core."""
        return not self.stage.observer.room(point.tip_bonds + ahead) > self.least_room

    def recentre(self, point: PathPoint) -> PathPoint:
        """Move the zone by whole periods to the tip of a stable state, and find the state again in the new model.

        Raises:
            HandshakeConvergenceError: it is not found again.
        """
        old, period = self.stage, self.character.period
        x, y = old.observer.center
        assert self.origin is not None
        ahead = (self.plan.center[0] - self.origin) + point.tip_bonds - x
        new = self.begin((x + period * round(ahead / period), y), tip=point.tip_bonds)
        start = carry(old.observer.model, point.state.u, new.observer.model)
        state = new.solver.at_load(point.load, guess=start, before=point.state, near=new.solver.tangent is not None)
        jump = relaxation_energy(new.solver.method, start, state.u)
        return self.record(state, point.leg, jump=jump)
