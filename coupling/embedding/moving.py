"""Quantum cores that move and grow during a run, without jumps in force and with every energy accounted for.

How a change is carried out, and why its jumps are bounded, stands in `transition`. This module decides when to change, evaluates
both ends, and attaches to ASE's dynamics and optimisers.

Bounded by construction, and checked at every step: the change of any atom's force, at fixed places, from one step of a run to the
next; on request that of the energy. Not bounded: what forces change by because atoms move, which no embedding can; the stress,
which goes over in the same steps; the number of steps, which is what the bounds cost (each with one quantum evaluation more than
usual); and how far a core lags behind a selection while a change is under way (changes do not overlap: the next is decided when
the last is complete, from the places of that moment).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray

from atomistic.potentials import Evaluation
from coupling.embedding.base import CoreChange, Embedding, Evaluated
from coupling.embedding.cluster import Cluster
from coupling.embedding.distances import distance_to_atoms
from coupling.embedding.force_mixing import mixed_property
from coupling.embedding.moving_state import clusters_from, clusters_to, move_from, move_to
from coupling.embedding.transition import CoreMove, Results, Transition, largest_force
from coupling.errors import EmbeddingError

Array = NDArray[np.float64]
#: A weight of force mixing that differs by more than this from that of a cluster cut anew is out of date.
_STALE_WEIGHT = 0.25
#: Rounding that the check of a jump allows, of the bound and in eV/Å.
_ROUNDING, _FLOOR = 1e-9, 1e-12


class MovingEmbedding(Calculator):
    """An embedding whose cores follow their selections, as an ASE calculator.

    It gives what the scheme gives; during a change, the mixture of both ends. Cores are looked at when the run says so: by
    `attach` for dynamics and optimisers, by `update` between load steps. A buffer is cut anew with its core, and by itself when
    an atom has come or gone across its edge by more than the slack (hysteresis of the buffer).

    Args:
        scheme: subtractive or force mixing; it belongs to this calculator from now on.
        largest_jump: J, of any atom's force in one step, eV/Å.
        largest_energy_jump: the same for the energy, eV; by default unlimited, since the booked energy makes up for it.
        slack: Å.

    Raises:
        EmbeddingError: bounds that are not positive; a bound for energies that the scheme does not give.
    """

    def __init__(
        self,
        scheme: Embedding,
        *,
        largest_jump: float = 0.05,
        largest_energy_jump: float | None = None,
        slack: float = 1.0,
    ) -> None:
        super().__init__()
        if not isinstance(scheme, Embedding):
            raise EmbeddingError(f"Expected a SubtractiveEmbedding or a ForceMixing; got {scheme!r}.")
        for name, value in (("largest_jump", largest_jump), ("largest_energy_jump", largest_energy_jump)):
            if value is not None and not (isinstance(value, int | float) and np.isfinite(value) and value > 0.0):
                raise EmbeddingError(f"{name} must be positive; got {value!r}.")
        if largest_energy_jump is not None and "energy" not in scheme.implemented_properties:
            raise EmbeddingError("Force mixing has no energy: leave largest_energy_jump out.")
        if not (isinstance(slack, int | float) and np.isfinite(slack) and slack >= 0.0):
            raise EmbeddingError(f"The buffer's slack must be a length in Å, 0 or more; got {slack!r}.")
        self.scheme = scheme
        self.implemented_properties = list(scheme.implemented_properties)
        self.largest_jump, self.largest_energy_jump, self.slack = largest_jump, largest_energy_jump, slack
        self.moves: tuple[CoreMove, ...] = ()
        self.transition: Transition | None = None
        self._clusters: tuple[Cluster, ...] = ()
        self._earlier = 0.0
        self._looks = 0
        self._seen: tuple[Array, Array] | None = None
        self._stress = False
        self._ends: tuple[Results, Results] | None = None
        self._whole: Evaluation | None = None
        self._parts: dict[Cluster, tuple[Evaluation, Evaluation]] = {}

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """The clusters of the last choice: those gone to while a change is under way."""
        return self._clusters if self.transition is None else self.transition.new

    @property
    def settled(self) -> bool:
        """Whether no change is under way."""
        return self.transition is None

    @property
    def booked(self) -> float:
        """W of all changes so far, eV; 0 for force mixing, whose change at fixed places does no work."""
        return self._earlier + (0.0 if self.transition is None else self.transition.move.booked or 0.0)

    def continuous_energy(self, atoms: Atoms) -> float:
        """E − W, eV: no change of the core makes it jump. With the kinetic energy it is what NVE dynamics conserves.

        Raises:
            EmbeddingError: force mixing, which has no energy.
        """
        if "energy" not in self.implemented_properties:
            raise EmbeddingError(
                "Force mixing has no energy: take ∫F·dr along the path (coupling.embedding.path_energy)."
            )
        return float(self.get_property("energy", atoms)) - self.booked

    def get_property(self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True) -> Any:
        """Return what ASE asks for; with mixed forces as `ForceMixing` answers."""
        found = lambda: super(MovingEmbedding, self).get_property(name, atoms, allow_calculation)  # noqa: E731
        return found() if "energy" in self.implemented_properties else mixed_property(name, found)

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("forces",), system_changes: Any = ("positions",)
    ) -> None:
        """Evaluate for ASE."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        self._stress = self._stress or "stress" in properties
        self._parts, self._whole = {}, None
        if not (self._clusters and self.scheme.fits(self.atoms)):
            self._begin_with(self.atoms)
        self._evaluate(self.atoms)

    def attach(self, dynamics: Any, *, interval: int = 10) -> None:
        """Let cores follow during dynamics or an optimisation.

        Every step of the run moves a change on by one step; selections are asked every `interval` steps. An optimiser may
        find its forces small in the midst of a change: go on until `settled`, or complete it by `update`. Integrators must ask
        for the forces at the beginning of a step, as ASE's do.

        Args:
            dynamics: an ASE dynamics or optimiser whose atoms have this calculator.
            interval: steps from one choice to the next.

        Raises:
            EmbeddingError: an interval that is no positive whole number.
        """
        if int(interval) != interval or interval < 1:
            raise EmbeddingError(f"The interval is a number of steps, 1 or more; got {interval!r}.")
        clock = getattr(dynamics, "get_time", None)
        # A filter of the cell holds its atoms one level down.
        atoms = getattr(dynamics.atoms, "atoms", dynamics.atoms)
        dynamics.attach(
            lambda: self.observe(atoms, interval, None if clock is None else clock() / units.fs), interval=1
        )

    def observe(self, atoms: Atoms, interval: int = 1, time: float | None = None) -> CoreMove | None:
        """Take one step of the change under way, or choose cores if it is time to (collective).

        Does nothing where the atoms have not moved since the last look: one step per place is what the bound counts.

        Args:
            atoms: as they are now.
            interval: looks from one choice to the next.
            time: of the run, fs, for the record.

        Returns:
            The change that this step has completed, if it has.
        """
        atoms = self._current(atoms)
        if self._seen is not None and all(map(np.array_equal, self._seen, _places(atoms))):
            return None
        self._seen = _places(atoms)
        look, self._looks = self._looks, self._looks + 1
        if self.transition is None and look % interval == 0:
            self._choose(atoms, look, time)
        return self._step(atoms, look, self.largest_jump)

    def update(self, atoms: Atoms) -> tuple[CoreMove, ...]:
        """Choose cores and complete every change at once: for load steps, between which forces jump anyway (collective).

        Returns:
            The changes completed: one that was under way, and what these places ask for. Their jumps are recorded.
        """
        atoms = self._current(atoms)
        self._seen = _places(atoms)
        look, self._looks = self._looks, self._looks + 1
        rest = self._step(atoms, look, None)
        self._choose(atoms, look, None)
        return tuple(move for move in (rest, self._step(atoms, look, None)) if move is not None)

    def state(self) -> dict[str, Any]:
        """Everything that a restart needs beyond the atoms and this calculator's arguments, ready for JSON."""
        change = self.transition
        return {
            "looks": self._looks,
            "booked": self._earlier,
            "clusters": clusters_to(self._clusters),
            "moves": [move_to(move) for move in self.moves],
            "transition": None
            if change is None
            else {"new": clusters_to(change.new), "share": change.share, "move": move_to(change.move)},
        }

    def restore(self, state: dict[str, Any], atoms: Atoms) -> None:
        """Go on from a state with the atoms as they were: same clusters, same λ, same account.

        Raises:
            EmbeddingError: the state is of other regions or other atoms.
        """
        self._clusters = clusters_from(state["clusters"], self.scheme.regions, atoms)
        change, self.transition = state["transition"], None
        if change is not None:
            fresh = clusters_from(change["new"], self.scheme.regions, atoms)
            # Regions that do not change share their cluster, and its evaluations.
            pairs = zip(self._clusters, fresh, state["clusters"], change["new"], strict=True)
            new = tuple(old if was == now else cluster for old, cluster, was, now in pairs)
            self.transition = Transition(
                old=self._clusters, new=new, share=change["share"], move=move_from(change["move"])
            )
        self.moves = tuple(move_from(move) for move in state["moves"])
        self._looks, self._earlier, self._seen = state["looks"], state["booked"], _places(atoms)
        self.scheme.adopt(atoms, self.clusters)
        self.reset()

    def _current(self, atoms: Atoms) -> Atoms:
        """Make sure that the results are those of these atoms."""
        atoms = self.scheme.same_everywhere(atoms)
        self.get_property("forces", atoms)
        return atoms

    def _begin_with(self, atoms: Atoms) -> None:
        """Take the scheme's cores, or choose them where it has none for these atoms."""
        if not self.scheme.fits(atoms):
            self.scheme.reselect(atoms)
        self._clusters, self.transition = self.scheme.clusters, None
        self.moves, self._earlier, self._looks, self._seen = (), 0.0, 0, None

    def _choose(self, atoms: Atoms, look: int, time: float | None) -> None:
        """Ask the selections; begin a change if there is one."""
        old = self._clusters
        self.scheme.adopt(atoms, old)
        try:
            changes = self.scheme.reselect(atoms)
            pairs = list(zip(old, self.scheme.clusters, changes, strict=True))
            keep = [not _differs(atoms, was, now, self.slack) for was, now, _ in pairs]
            new = tuple(was if same else now for (was, now, _), same in zip(pairs, keep, strict=True))
        finally:
            self.scheme.adopt(atoms, old)
        if all(keep):
            return
        changed: Sequence[CoreChange] = [change for (_, _, change), same in zip(pairs, keep, strict=True) if not same]
        move = CoreMove(step=look, time=time, changes=tuple(changed), difference=0.0)
        self.transition = Transition(old=old, new=new, share=0.0, move=move)
        try:
            self._evaluate(atoms)
        except BaseException:
            # The new cluster has no answer: the old one still has.
            self.transition = None
            self.scheme.adopt(atoms, old)
            raise
        assert self._ends is not None
        apart = largest_force(self._ends[1]["forces"] - self._ends[0]["forces"])
        self.transition = replace(self.transition, move=replace(move, difference=apart))

    def _step(self, atoms: Atoms, look: int, jump: float | None) -> CoreMove | None:
        """Take one step of the change under way; return it if that was the last."""
        if self.transition is None:
            return None
        assert self._ends is not None
        before = self.results["forces"]
        change = self.transition.stepped(*self._ends, jump=jump, energy_jump=self.largest_energy_jump, looks=look)
        results = change.mixed(*self._ends)
        jumped = largest_force(results["forces"] - before)
        if jump is not None and jumped > jump * (1.0 + _ROUNDING) + _FLOOR:
            raise EmbeddingError(
                f"A step of a moving core changes a force by {jumped:.3g} eV/Å where {jump:.3g} are allowed: the forces that "
                "were given are not those of these places. Do the atoms share this calculator with others?"
            )
        self.transition, self.results = change, results
        if change.share < 1.0:
            return None
        self._clusters, self.transition, self._ends = change.new, None, None
        self.scheme.adopt(atoms, change.new)
        self.moves = (*self.moves, change.move)
        self._earlier += change.move.booked or 0.0
        return change.move

    def _evaluate(self, atoms: Atoms) -> None:
        """Set the results at these places: of the one choice, or of the mixture of two."""
        stress = self._stress and "stress" in self.implemented_properties and bool(atoms.pbc.all())
        change = self.transition
        if change is None:
            self._ends, self.results = None, self._of(self._clusters, atoms, stress)
            return
        self._evaluate_missing((*change.old, *change.new), atoms, stress)
        self._ends = self._of(change.old, atoms, stress), self._of(change.new, atoms, stress)
        self.results = change.mixed(*self._ends)

    def _evaluate_missing(self, clusters: Sequence[Cluster], atoms: Atoms, stress: bool) -> None:
        """Evaluate those clusters that have not been at these places, and the whole if it has not."""
        missing = list(dict.fromkeys(cluster for cluster in clusters if cluster not in self._parts))
        if not missing:
            return
        self.scheme.adopt(atoms, missing)
        found = self.scheme.evaluate_parts(atoms, stress=stress)
        self._whole = found.whole if self._whole is None else self._whole
        for cluster, quantum, ml in zip(missing, found.quantum, found.ml, strict=True):
            self._parts[cluster] = quantum, ml

    def _of(self, clusters: tuple[Cluster, ...], atoms: Atoms, stress: bool) -> Results:
        """Return what the scheme gives with these clusters."""
        self._evaluate_missing(clusters, atoms, stress)
        self.scheme.adopt(atoms, clusters)
        quantum, ml = zip(*(self._parts[cluster] for cluster in clusters), strict=True)
        assert self._whole is not None
        return self.scheme.combine(atoms, Evaluated(whole=self._whole, quantum=quantum, ml=ml), stress=stress)


def _differs(atoms: Atoms, was: Cluster, now: Cluster, slack: float) -> bool:
    """Whether a cluster cut anew is worth a change: another core, or a buffer out of date by more than the slack."""
    if set(was.indices[was.core]) != set(now.indices[now.core]):
        return True
    if was.periodic:
        # A sub-cell is one period of the environment whoever has moved within it.
        return False
    region, core = was.region, np.zeros(len(atoms), dtype=bool)
    core[was.indices[was.core]] = True
    edge = region.blend + region.buffer
    slack = min(slack, 0.5 * edge)
    distance = distance_to_atoms(atoms, core, reach=edge + slack)
    joined, gone = np.setdiff1d(now.indices, was.indices), np.setdiff1d(was.indices, now.indices)
    weights = np.zeros((2, len(atoms)))
    weights[0, was.indices], weights[1, now.indices] = was.weights, now.weights
    outdated = np.abs(weights[1] - weights[0]).max() > _STALE_WEIGHT
    return bool(np.any(distance[joined] < edge - slack) or np.any(distance[gone] > edge + slack) or outdated)


def _places(atoms: Atoms) -> tuple[Array, Array]:
    return atoms.positions.copy(), np.array(atoms.cell)
