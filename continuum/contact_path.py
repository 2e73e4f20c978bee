"""The path of an indenter: towards the half space, into contact, and back until it lets go, through jumps.

The approach is taken not from the indenter's displacement, which a body of finite size changes by a/size, but from the tractions,
by Boussinesq's integral over the surface of an infinite half space.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from continuum.adhesive_contact import SphereContact
from continuum.checkpoint import Keep, gather_state, scatter_state
from continuum.contact_bodies import Contact, ContactPlan
from continuum.errors import ContactError
from continuum.laws import CohesiveLaw
from continuum.options import SolverOptions
from continuum.solid import Snapshot, Solid
from continuum.solvers import ConvergenceError, Step, follow

Array = NDArray[np.float64]
Profile = tuple[Array, Array, Array]
Stage = Literal["approach", "retract"]
Leg = Literal["attract", "touch", "press", "release", "close in", "part"]
#: Legs of the path in their order, each of equal steps until something happens. Where the surfaces jump apart while they are
#: released, the path goes back and closes in on the jump before they part.
_LEGS: tuple[Leg, ...] = ("attract", "touch", "press", "release", "part")
#: Unbalanced force at which a state counts as found: hard faces leave more rounding than the solver's own default allows for.
_RTOL = 1e-6
#: Surfaces farther apart than this many ranges w/σ_max do not count as attracting each other any more.
_FAR = 12.0
#: Surfaces nearer than this many ranges w/σ_max pull each other strongly; least number of steps in which they cross a range.
_NEAR, _ACROSS = 2.0, 20.0
#: A jump out of contact is closed in on by restarting before it with steps this much shorter, so many times.
_FINER, _TIMES = 8, 2
#: Steps of a leg at most.
_MOST = 4000


@dataclass(frozen=True, kw_only=True)
class ContactState:
    """One equilibrium.

    Attributes:
        stage: of the path.
        displacement: of the indenter towards the half space, from where the undeformed surfaces just touch, Å.
        approach: the same against an infinite half space, Å; NaN for a cylinder.
        load: pressing positive; eV/Å, of a cylinder per length, eV/Å².
        radius: contact radius (half width): where the opening reaches that at which the law is strongest, Å; 0 where nothing
            touches.
        zone: radius up to which the opening is below w/σ_max, the range of the equivalent Dugdale law, Å.
        gap: least opening, Å.
        stored: energy of bulk and interface, from where the path begins, eV (cylinder: per length).
        work: of the load since the last state.
        lost: work that nothing stores since the last state: it went into motion in a jump.
    """

    stage: Stage
    displacement: float
    approach: float
    load: float
    radius: float
    zone: float
    gap: float
    stored: float
    work: float
    lost: float


@dataclass(frozen=True, kw_only=True)
class ContactPath:
    """Equilibria from first attraction to contact and back.

    Attributes:
        states: in order.
        profiles: name -> points (n,) Å, opening (n,) Å, traction (n,) eV/Å³ (tension positive), of the states that matter:
            "pressed", "zero load", "pull-off".
        snapshots: name -> the whole state.
        iterations: of the solver.
    """

    states: tuple[ContactState, ...]
    profiles: dict[str, Profile]
    snapshots: dict[str, Snapshot]
    iterations: int

    @property
    def pull_off(self) -> ContactState:
        """The state of the least load on the way back."""
        return min((s for s in self.states if s.stage == "retract"), key=lambda s: s.load)

    @property
    def lost(self) -> float:
        """Energy of all jumps, eV (cylinder: per length)."""
        return sum(s.lost for s in self.states)


class _Done(Exception):
    """The leg is where it should go."""


class ContactRun:
    """Follows a solid of `build_contact`: towards the half space up to the plan's contact radius, then back until it lets go.

    Args:
        contact: gives radius, contact modulus and the scale of the steps.
        solid: in its undeformed state.
        plan: its sizes.
        steps: from first attraction to the largest contact, some more before the first touch; as many or more on the way back.
        options: of the solver.
        on_state: called with each state.
    """

    def __init__(
        self,
        contact: Contact,
        solid: Solid,
        plan: ContactPlan,
        *,
        steps: int = 40,
        options: SolverOptions | None = None,
        on_state: Callable[[ContactState], None] = lambda state: None,
    ) -> None:
        self.contact, self.solid, self.plan = contact, solid, plan
        self.options, self.on_state = options or SolverOptions(rtol=_RTOL), on_state
        self.sphere = isinstance(contact, SphereContact)
        law = solid.interfaces.parts[0].law
        self.touching, self.ending = touching_opening(law), law.fracture_energy / law.peak_traction
        # A tail (Lennard-Jones) is followed as far as it matters.
        self.gone = min(law.final_opening, _FAR * self.ending)
        self.near = min(self.gone, _NEAR * self.ending)
        self.begin, deepest = -self.gone, self._deepest()
        self.step = (deepest + self.near) / steps
        self._both = 1.0 if self.sphere else 2.0
        # From here on what changes along the path: all of it is in `state`.
        self.states: list[ContactState] = []
        self.profiles: dict[str, Profile] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.iterations = 0
        self._first_energy = 0.0
        # The present leg (None: the path is at its end), its first load and its step, Å; how often a jump was closed in on.
        self._leg: Leg | None = None
        self._start, self._pace, self._closer = 0.0, 0.0, 0
        # The solid before its last state, and at it; number, state and solid to go back to if closing in fails.
        self._before = self._reached = solid.snapshot()
        self._jumped: tuple[int, ContactState, Snapshot] | None = None

    def _deepest(self) -> float:
        """Displacement of the largest contact, about, Å."""
        if isinstance(self.contact, SphereContact):
            deepest = float(self.contact.jkr(self.plan.largest).approach[0])
            return max(deepest, 0.0) + 0.02 * self.plan.largest**2 / self.contact.radius
        # A line load sinks a body of depth D by 2P/πE* (ln(2D/a) + ...): the depth is the body's own.
        sunk = 2.0 * np.log(2.0 * self.plan.size / self.plan.largest) / (np.pi * self.contact.modulus)
        load = float(self.contact.jkr(self.plan.largest).load[0])
        return max(sunk * load, 0.0) + self.plan.largest**2 / (2.0 * self.contact.radius)

    def follow(self, *, state: Mapping[str, Any] | None = None, keep: Keep | None = None) -> ContactPath:
        """The whole path (collective).

        Args:
            state: what `keep` was given along the same path: it goes on from there with the same states as if it had never been
                left. `on_state` hears of new states only.
            keep: called on every rank after each state, after `on_state`, with a function that makes the path's state, a tree.

        Raises:
            ConvergenceError: no equilibrium was found.
        """
        if state is None:
            self._place()
            self._begin("attract")
        else:
            self.restore(state)
        inner = None if state is None else state["follow"]
        while self._leg is not None:
            self._walk(self._leg, inner, keep)
            self._turn(self._leg)
            inner = None
            if keep is not None:
                keep(self.state)
        return ContactPath(
            states=tuple(self.states), profiles=self.profiles, snapshots=self.snapshots, iterations=self.iterations
        )

    def state(self, inner: Callable[[], dict[str, Any]] | None = None) -> dict[str, Any]:
        """All that decides on the states to come, as a tree; `inner` makes the state of the solver within a leg."""

        here, jumped = self.solid.snapshot(), self._jumped

        def tree(snapshot: Snapshot) -> dict[str, Any]:
            self.solid.restore(snapshot)
            return gather_state(self.solid)

        found = {
            "states": list(self.states),
            "profiles": dict(self.profiles),
            "snapshots": {name: tree(snapshot) for name, snapshot in self.snapshots.items()},
            "numbers": (self.iterations, self._first_energy, self._leg, self._start, self._pace, self._closer),
            "reached": tree(self._reached),
            "jumped": None if jumped is None else (jumped[0], jumped[1], tree(jumped[2])),
            "solid": tree(here),
        }
        self.solid.restore(here)
        return {**found, "follow": None if inner is None else inner()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Stand where a run of the same solid stood when it gave its state."""

        def snapshot(tree: Mapping[str, Any]) -> Snapshot:
            scatter_state(self.solid, tree)
            return self.solid.snapshot()

        self.states, self.profiles = list(state["states"]), dict(state["profiles"])
        self.snapshots = {name: snapshot(tree) for name, tree in state["snapshots"].items()}
        self.iterations, self._first_energy, self._leg, self._start, self._pace, self._closer = state["numbers"]
        self._before = self._reached = snapshot(state["reached"])
        jumped = state["jumped"]
        self._jumped = None if jumped is None else (jumped[0], jumped[1], snapshot(jumped[2]))
        scatter_state(self.solid, state["solid"])

    def _begin(self, leg: Leg | None) -> None:
        """Set out on a leg from where the solid stands."""
        self._leg = leg
        if leg is None:
            return
        self._pace = {
            "attract": self.gone / _ACROSS,
            "touch": min(self.step, self.near / _ACROSS),
            "press": self.step,
            "release": -self.step,
            "close in": -self.step / _FINER**self._closer,
            "part": -max(self.step, self.gone / _ACROSS),
        }[leg]
        self._start = self.solid.load + self._pace
        self._reached = self.solid.snapshot()

    def _turn(self, leg: Leg) -> None:
        """What comes after a leg that is over: those that are over before they begin are left out."""
        last = self.states[-1]
        if leg in ("release", "close in"):
            if self._closer < _TIMES and self._fell(last):
                # It let go within this step: back to the last contact, and again with shorter ones.
                self.states.pop()
                self._jumped = len(self.states), last, self.solid.snapshot()
                self.solid.restore(self._before)
                self._closer += 1
                self._begin("close in")
                return
            leg = "release"
        ahead = _LEGS[_LEGS.index(leg) + 1 :]
        self._begin(next((one for one in ahead if one == "release" or not self._over(one, last)), None))

    def _over(self, leg: Leg, state: ContactState) -> bool:
        """Whether a leg has come to its end with a state."""
        match leg:
            case "attract":
                return state.gap < self.near
            case "touch":
                return state.radius > 0.0 or state.displacement >= 0.0
            case "press":
                return state.radius >= self.plan.largest
            case "release" | "close in":
                return state.gap >= self.near or self._fell(state)
            case "part":
                return state.gap >= self.gone

    @property
    def _stage(self) -> Stage:
        return "approach" if self._leg in ("attract", "touch", "press") else "retract"

    def _place(self) -> None:
        """Move the whole indenter to where attraction begins; the half space is at rest."""
        solid = self.solid
        solid.set_load(self.begin)
        cells = np.flatnonzero(solid.bodies.body_of_cell == solid.bodies.bodies.index("indenter"))
        nodes = np.unique(solid.space.dofmap.list[cells])
        solid.u.x.array[nodes * solid.dim + 1] = -self.begin
        self._first_energy = self._both * solid.energies().total

    def _fell(self, state: ContactState) -> bool:
        """Whether the surfaces jumped apart on the way to this last state."""
        return len(self.states) > 1 and self.states[-2].gap < 0.2 * self.ending and state.gap > 0.5 * self.ending

    def _walk(self, leg: Leg, inner: Mapping[str, Any] | None, keep: Keep | None) -> None:
        """Equal steps until the leg is over."""

        def note(taken: Step) -> None:
            self.iterations += taken.iterations
            state = self._measure(taken)
            self.states.append(state)
            self.on_state(state)
            self._before = self._reached
            if self._over(leg, state):
                raise _Done
            self._reached = self.solid.snapshot()

        def keep_all(solver: Callable[[], dict[str, Any]]) -> None:
            if keep is not None:
                keep(lambda: self.state(solver))

        loads = (self._start + self._pace * np.arange(_MOST)).tolist()
        try:
            follow(self.solid, loads, options=self.options, on_step=note, state=inner, keep=keep_all)
        except _Done:
            return
        except ConvergenceError:
            if leg != "close in" or self._jumped is None:
                raise
            # On the brink of the jump Newton's method may find neither side; the longer step has found the other.
            known, gone, after = self._jumped
            self.states[known:] = [gone]
            self.solid.restore(after)
            self._closer = _TIMES
            return
        raise ContactError(f"{_MOST} steps were not enough: expected the indenter to let go; take fewer, longer steps")

    def _measure(self, taken: Step) -> ContactState:
        """What the present equilibrium says."""
        solid, both = self.solid, self._both
        state = solid.interface_state("contact")
        x, opening, traction = state.points[:, 0], state.opening[:, 0], state.traction[:, 0]
        radius, zone = reached(x, opening, self.touching), reached(x, opening, self.ending)
        approach = np.nan
        if self.sphere:
            # Boussinesq: tractions p lift the middle of the surface by (1/πE*)∫p/r dA; the rest of the way is the gap.
            lifted = float((state.weights * traction / x).sum()) / (np.pi * self.contact.modulus)
            approach = -(opening[0] - x[0] ** 2 / (2.0 * self.contact.radius)) - lifted
        load, stored = both * taken.reaction, both * taken.energies.total - self._first_energy
        last = self.states[-1].stored if self.states else 0.0
        found = ContactState(
            stage=self._stage,
            displacement=taken.load,
            approach=approach,
            load=load,
            radius=radius,
            zone=zone,
            gap=float(opening.min()),
            stored=stored,
            work=both * taken.work,
            lost=both * taken.work - (stored - last),
        )
        self._keep(found, (x, opening, traction))
        return found

    def _keep(self, state: ContactState, profile: Profile) -> None:
        """Keep the states that matter."""
        name = "pressed" if self._stage == "approach" else "zero load"
        if state.load < 0.0 and self._stage == "retract":
            name = "pull-off"
            if name in self.profiles and state.load > min(s.load for s in self.states if s.stage == "retract"):
                return
        self.profiles[name], self.snapshots[name] = profile, self.solid.snapshot()


def touching_opening(law: CohesiveLaw) -> float:
    """The first opening (Å) at which a law reaches its peak: of Dugdale's the end of the rising flank."""
    openings = law.opening_at_peak * np.geomspace(1e-6, 1.0, 20001)
    return float(openings[np.argmax(law.traction(openings) >= (1.0 - 1e-6) * law.peak_traction)])


def reached(x: Array, opening: Array, level: float) -> float:
    """Where an opening that grows outwards passes a level, linear between points; 0 where it does so from the start."""
    inside = np.flatnonzero(opening < level)
    if not len(inside):
        return 0.0
    i = int(inside[-1])
    if i == len(x) - 1:
        return float(x[-1])
    return float(x[i] + (x[i + 1] - x[i]) * (level - opening[i]) / (opening[i + 1] - opening[i]))
