"""Following a solid whose interfaces ask atoms: solve on the tables as they stand, ask where the state came to rest, repeat.

A load step is solved with every law frozen. Where a converged state then stands on openings that were not evaluated, or not
well enough, the step is taken back, the cells are computed, shared out over the ranks, and the step is solved again. So
no cell is ever computed inside a solver, which may be running on one rank alone: every evaluation is a collective call that
all ranks reach together, after they have agreed on what became of the solution, and rank 0's openings are those of all.
What a solver merely tries costs `LiveLaw` nothing; a committed state rests on evaluated openings only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from continuum.checkpoint import Keep, gather_state, scatter_state
from continuum.options import SolverOptions
from continuum.path import PathOptions, trace
from continuum.solid import Snapshot, Solid
from continuum.solvers import ConvergenceError, Step, follow
from coupling.errors import CouplingError
from coupling.live.coupled import LiveCoupledLaw, NotEvaluated
from coupling.live.errors import LiveCacheError, LiveCellError
from coupling.live.law import LiveLaw
from coupling.live.record import LiveRecord

Array = NDArray[np.float64]
AnyLiveLaw = LiveLaw | LiveCoupledLaw
#: How many times a step may be taken back: more means that law and state do not settle.
_MOST_RETRIES = 200


@dataclass(frozen=True, kw_only=True)
class LiveRun:
    """A run over live interfaces.

    Attributes:
        steps: converged, one a load.
        records: interface name -> what its law has cost.
        evaluations: (steps,) cells computed until the end of each step, over all laws.
        taken_back: solutions of steps that had to be repeated with better tables.
        refinement_energy: Σ|ΔΠ| by which better tables changed the energy of states at rest, eV: what the work of the loads
            and the energies of the steps may differ by beyond the solver's own closure.
    """

    steps: list[Step]
    records: dict[str, LiveRecord]
    evaluations: tuple[int, ...]
    taken_back: int
    refinement_energy: float


class _Refined(Exception):
    """Raised on all ranks from a converged step: tables have changed, solve on from the last step that stands."""


class _Apart(CouplingError):
    """Raised on all ranks where they disagree on what became of a solution."""


def follow_live(
    solid: Solid,
    loads: Sequence[float],
    *,
    options: SolverOptions | None = None,
    on_step: Callable[[Step], None] | None = None,
    ahead: float = 1.0,
    state: Mapping[str, Any] | None = None,
    keep: Keep | None = None,
) -> LiveRun:
    """Take a solid through loads, its live laws asking their cells as they are needed (collective).

    Other laws may stand beside live ones. Specimens that are whole on every rank and distributed ones are treated alike.

    Args:
        solid: its state is changed; at least one interface has a live law.
        loads: load parameters, in order.
        options: of the solver.
        on_step: called on every rank after each step that stands.
        ahead: openings are evaluated this many times the last step's growth ahead of the state, so that several cells are
            computed at once; 0 asks for nothing before a state needs it.
        state: what `keep` was given after a step through the same loads: they go on from there, wherever the solid stands and
            whatever its live laws know; a law's cache is brought back to what it held then.
        keep: called on every rank after each step, after `on_step`, with a function that makes the state, a tree (collective).

    Returns:
        Steps, those before `state` among them, and what they cost.

    Raises:
        LiveCellError: on all ranks, naming interface, facet, place, opening, rank and cause. The solid stands at the last step.
        ConvergenceError: on all ranks; the solid stands at the last step.
        CouplingError: no live law, or one whose ranks are not those of the solid.
    """
    return _Follower(solid, loads, options=options, on_step=on_step, ahead=ahead).run(state, keep)


def trace_live(
    solid: Solid,
    *,
    to: float,
    step: float,
    options: PathOptions | None = None,
    ahead: float = 0.5,
    state: Mapping[str, Any] | None = None,
    keep: Keep | None = None,
) -> LiveRun:
    """Follow the equilibrium path through limit points and snap-back, live laws asking their cells (collective).

    Each walk goes from the start with the tables frozen and ends where a state needs more; the last one, which needs nothing, is
    the answer, so that one law holds along all of it. Walking is cheap beside asking atoms.

    Args:
        solid: its state is changed; at least one interface has a live law.
        to, step, options: as for `continuum.path.trace`.
        ahead: a walk that needs an opening has it evaluated with all up to (1 + ahead) times as far.
        state, keep: as for `follow_live`; steps are kept of walks that a later one may replace, too.

    Returns:
        Steps (`continuum.path.PathStep`) and what they cost.

    Raises:
        LiveCellError, ConvergenceError, CouplingError: as for `follow_live`; the solid stands where the last walk ended.
    """
    runner = _Follower(solid, [], options=None, on_step=None, ahead=ahead)
    return runner.walk(partial(trace, solid, to=to, step=step, options=options), state, keep)


class _Path(Protocol):
    """A path from where its solid stands, or on from a state."""

    def __call__(
        self, *, on_step: Callable[[Step], bool], state: Mapping[str, Any] | None, keep: Keep
    ) -> Sequence[Step]: ...


class _Follower:
    """One run: loads, steps that stand, and the state to go back to."""

    def __init__(
        self,
        solid: Solid,
        loads: Sequence[float],
        *,
        options: SolverOptions | None,
        on_step: Callable[[Step], None] | None,
        ahead: float,
    ) -> None:
        self.solid, self.loads, self.options, self.on_step, self.ahead = solid, list(loads), options, on_step, ahead
        self.laws = _live_laws(solid)
        self.comm = next(iter(self.laws.values())).comm
        for law in self.laws.values():
            if isinstance(law, LiveLaw):
                law.asks = True
        self.steps: list[Step] = []
        self.costs: list[int] = []
        self.taken_back, self.refinement_energy = 0, 0.0
        self.saved: Snapshot = solid.snapshot()
        # Steps that stood when the present attempt began; whether the present walk needs more cells.
        self._standing, self._missing = 0, False

    def run(self, state: Mapping[str, Any] | None = None, keep: Keep | None = None) -> LiveRun:
        """Solve, look, ask, until all loads stand."""
        inner = None if state is None else self._restore(state)
        retries = 0
        while len(self.steps) < len(self.loads):
            outcome = self._attempt(inner, keep)
            inner = None
            if outcome is not None:
                self._recover(outcome)
            retries = retries + 1 if len(self.steps) == self._standing else 0
            self._standing = len(self.steps)
            if retries > _MOST_RETRIES:
                raise CouplingError(
                    f"load {self.loads[self._standing]:.6g}: after {retries} refinements the state still moves to openings that "
                    "were not evaluated; take smaller load steps or a larger tolerance"
                )
        return self._result(self.steps)

    def _state(self, inner: Callable[[], dict[str, Any]] | None = None) -> dict[str, Any]:
        """All that decides on the steps to come, as a tree; `inner` makes that of the solution under way (collective)."""
        here = self.solid.snapshot()
        self.solid.restore(self.saved)
        saved = gather_state(self.solid)
        self.solid.restore(here)
        return {
            "laws": {name: law.state() for name, law in self.laws.items()},
            "steps": list(self.steps),
            "costs": list(self.costs),
            "refined": (self.taken_back, self.refinement_energy),
            "saved": saved,
            "standing": len(self.steps) if inner is None else self._standing,
            "inner": None if inner is None else inner(),
        }

    def _restore(self, state: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Stand where a run stood; the state of the solution that was under way (collective)."""
        # A solid's state is one under its laws.
        for name, law in self.laws.items():
            law.restore(state["laws"][name])
        scatter_state(self.solid, state["saved"])
        self.saved = self.solid.snapshot()
        self.steps, self.costs, self._standing = list(state["steps"]), list(state["costs"]), state["standing"]
        self.taken_back, self.refinement_energy = state["refined"]
        inner: Mapping[str, Any] | None = state["inner"]
        return inner

    def walk(self, path: _Path, state: Mapping[str, Any] | None = None, keep: Keep | None = None) -> LiveRun:
        """Walk a path from the start until no state on it needs a cell that was not evaluated."""
        inner = None if state is None else self._restore(state)

        def keep_all(walk: Callable[[], dict[str, Any]]) -> None:
            if keep is not None and not self._missing:
                keep(partial(self._state, walk))

        for _ in range(_MOST_RETRIES):
            failure = None
            try:
                steps = path(on_step=self._look, state=inner, keep=keep_all)
                if not self._missing:
                    return self._result(list(steps))
            except (NotEvaluated, ConvergenceError) as signal:
                failure = self._told(signal)
            inner, self._missing, self.costs = None, False, []
            self.solid.restore(self.saved)
            self.taken_back += 1
            if failure is not None and not sum(law.extend() for law in self.laws.values()):
                raise failure
        raise CouplingError(
            f"after {_MOST_RETRIES} walks states still need openings that were not evaluated: take a larger tolerance"
        )

    def _look(self, step: Step) -> bool:
        """Whether a step of a walk needs cells that were not evaluated; they are now, and more ahead."""
        self._agree("converged")
        self.costs.append(self._count())
        self._missing = self._ask_here() > 0
        if self._missing:
            for law, jump, history, *_ in self._live_points():
                law.ask_beyond(jump, history, ahead=self.ahead)
        return self._missing

    def _told(self, signal: NotEvaluated | ConvergenceError) -> ConvergenceError | None:
        """What all ranks make of a solver's signal: answers for a law that misses them, or a failure."""
        self._agree(type(signal).__name__)
        if isinstance(signal, ConvergenceError):
            return signal
        self._supply(signal)
        return None

    def _count(self) -> int:
        """Cells computed so far, over all laws."""
        return sum(law.nodes.evaluations for law in self.laws.values())

    def _result(self, steps: list[Step]) -> LiveRun:
        return LiveRun(
            steps=steps,
            records={name: law.record() for name, law in self.laws.items()},
            evaluations=tuple(self.costs),
            taken_back=self.taken_back,
            refinement_energy=self.refinement_energy,
        )

    def _attempt(self, inner: Mapping[str, Any] | None, keep: Keep | None) -> ConvergenceError | None:
        """Solve on until tables change, a step fails, or all loads stand; every rank leaves with the same outcome."""

        def keep_all(solution: Callable[[], dict[str, Any]]) -> None:
            if keep is not None:
                keep(partial(self._state, solution))

        try:
            follow(
                self.solid,
                self.loads[self._standing :],
                options=self.options,
                on_step=lambda step: self._converged(step, keep),
                state=inner,
                keep=keep_all,
            )
        except _Refined:
            return None
        except (_Apart, LiveCellError, LiveCacheError):
            # All ranks raise these together.
            raise
        except (NotEvaluated, ConvergenceError) as signal:
            return self._told(signal)
        except Exception as error:
            self._agree(f"{type(error).__name__}: {error}")
            raise
        return None

    def _agree(self, outcome: str) -> None:
        """Let all ranks say what became of their solution before anything else is done together.

        Raises:
            CouplingError: on every rank, where they say different things: one has failed alone.
        """
        said = self.comm.allgather(outcome)
        if len(set(said)) > 1:
            raise _Apart("ranks came to different ends: " + "; ".join(f"rank {i}: {s}" for i, s in enumerate(said)))

    def _recover(self, failure: ConvergenceError) -> None:
        """After a failed solution: perhaps the foretold part of a law is to blame; evaluate on, or give up."""
        self.solid.restore(self.saved)
        self.taken_back += 1
        if not sum(law.extend() for law in self.laws.values()):
            raise failure

    def _supply(self, signal: NotEvaluated) -> None:
        """A solver came to separations that a coupled law has not asked yet: ask, and solve the step again."""
        self.solid.restore(self.saved)
        self.taken_back += 1
        for law in self.laws.values():
            if isinstance(law, LiveCoupledLaw):
                law.supply(signal.keys)

    def _converged(self, step: Step, keep: Keep | None) -> None:
        """A state is at rest on the present tables: keep it, or take it back and ask the cells."""
        self._agree("converged")
        if self._ask_here():
            self.solid.restore(self.saved)
            self.taken_back += 1
            raise _Refined
        self.steps.append(step)
        self.saved = self.solid.snapshot()
        changed = self._ask_ahead()
        self.costs.append(self._count())
        if self.on_step is not None:
            self.on_step(step)
        if changed and len(self.steps) < len(self.loads):
            if keep is not None:
                keep(self._state)
            raise _Refined

    def _ask_here(self) -> int:
        """Evaluate where the tractions of the present state stand; how many cells were computed."""
        return sum(
            law.ask(jump, history, where=self._label(index, live))
            for law, jump, history, index, live in self._live_points()
        )

    def _ask_ahead(self) -> int:
        """Evaluate where the next step is expected to go; how many cells were computed."""
        before = self.solid.energies().total
        points = self._live_points()
        computed = sum(law.ask_ahead(jump, history, ahead=self.ahead) for law, jump, history, _, _ in points)
        if computed:
            self.refinement_energy += abs(self.solid.energies().total - before)
        return computed

    def _live_points(self) -> list[tuple[AnyLiveLaw, Array, Array, int, NDArray[np.int64]]]:
        """For each live interface its law, jumps and history at sound points, its number, and which points these are."""
        jumps, interfaces = self.solid.jumps(), self.solid.interfaces
        found = []
        for index, part in enumerate(interfaces.parts):
            if part.name in self.laws:
                law, rows = self.laws[part.name], interfaces.slices[index]
                live = np.flatnonzero(~interfaces.cracked[rows])
                history = self.solid.history[rows, : law.history_size]
                found.append((law, jumps[rows][live], history[live], index, live))
        return found

    def _label(self, index: int, live: NDArray[np.int64]) -> Callable[[int], str]:
        """From the index of an opening to the words that name its point."""
        part = self.solid.interfaces.parts[index]
        per_facet, places = part.weights.shape[1], part.places.reshape(-1, self.solid.dim)

        def words(point: int) -> str:
            at = int(live[point])
            place = ", ".join(f"{x:.6g}" for x in places[at])
            return f"interface {part.name!r}, facet {at // per_facet}, point {at % per_facet} at ({place}) Å"

        return words


def _live_laws(solid: Solid) -> dict[str, AnyLiveLaw]:
    """The live laws of a solid by interface, checked to be asked by the ranks that solve."""
    laws = {p.name: p.law for p in solid.interfaces.parts if isinstance(p.law, AnyLiveLaw)}
    if not laws:
        raise CouplingError("no interface has a live law: use continuum.solvers.follow, or give one")
    sizes = {law.comm.size for law in laws.values()}
    if len(sizes) > 1 or solid.comm.size not in (1, *sizes):
        raise CouplingError(
            f"live laws on {sorted(sizes)} ranks and a solid on {solid.comm.size}: give all laws the "
            "communicator of the run, comm=..."
        )
    return laws
