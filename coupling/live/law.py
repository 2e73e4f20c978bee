"""A cohesive law that asks an atomistic cell for the openings that the finite elements come to.

The law is a table at every moment: the solver sees a smooth curve with its exact tangent, and nothing is computed by atoms
inside a Newton solve. Between solves `prepare` evaluates the cell where the table is asked and not yet good enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import ArrayLike, NDArray

from continuum.laws.base import EffectiveLaw, Unloading
from continuum.laws.tabulated import TabulatedLaw
from coupling.cohesive import corrected
from coupling.elasticity import LinearUniaxial, UniaxialElasticity
from coupling.errors import CouplingError
from coupling.live.cell import Cell
from coupling.live.curve import OpeningCurve
from coupling.live.nodes import Key, Nodes, OnFailure
from coupling.live.record import LiveRecord

Array = NDArray[np.float64]
#: A crystal at rest pulls with less than this strain's traction; a separated one with less than this share of W per step.
_AT_REST, _SEPARATED = 1e-3, 0.02
#: The initial stiffness in units of C'/L before anything is evaluated.
_FIRST_SLOPE = 0.8
#: Share of the peak traction above which a point counts as active.
_ACTIVE = 0.01
#: An energy's rounding over the width of an interval, times this, is traction that no finer interval resolves.
_NOISE = 5.0
#: Halving an interval that lowers its estimate by less than to this share has not helped (a kink of T gives one half).
_HELPED = 0.7


class LiveLaw(EffectiveLaw):
    """The law of a cell, through an adaptive table in the opening (mode I carried to all modes by the effective opening).

    The elasticity that the elements hold is taken out as in `coupling.cohesive`: δ = Δ − L ε(T), ψ = φ − L w(T). Two openings
    are evaluated at once: rest, and complete separation, whose energy W scales the damage and ends the law. All others are
    asked when a state rests on them. Constructing and `prepare` are collective over `comm`; evaluating is local.

    Args:
        cell: of one component.
        tolerance: of the traction, as a share of its peak so far.
        elasticity: of the finite-element body along the normal; linear with the cell's own modulus if None.
        comm: ranks that share evaluations; None for the calling rank alone.
        unloading: ``damaging`` or ``reversible``.
        penalty: stiffness in compression, eV/Å⁴; 10 C'/L if None.
        stiffness_cap: in units of C'/L, as in `extract_law`.
        first_step: widest interval of openings, Å.
        levels: times that an interval may be halved.
        cache: CSV file of evaluated openings, read first and extended.
        on_failure: "stop", or "predict": the curve's own continuation stands in for a failed cell, and is recorded.

    Attributes:
        table: the law as it stands.
        curve_of_gaps: the curve φ(Δ) under it.

    Raises:
        CouplingError: a cell or settings that make no law.
        LiveCellError: on every rank; a cell failed.
        LiveCacheError: on every rank; a cache of another cell.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        tolerance: float = 0.02,
        elasticity: UniaxialElasticity | None = None,
        comm: MPI.Comm | None = None,
        unloading: Unloading = "damaging",
        penalty: float | None = None,
        stiffness_cap: float = 50.0,
        first_step: float = 0.3,
        levels: int = 7,
        cache: Path | str | None = None,
        on_failure: OnFailure = "stop",
    ) -> None:
        _check(cell, tolerance, first_step, levels)
        self.cell, self.tolerance = cell, tolerance
        self.elasticity = elasticity or LinearUniaxial(float(cell.stiffness[0, 0]))
        self.comm = MPI.COMM_SELF if comm is None else comm
        self._plane = self.elasticity.modulus / (cell.length or cell.full_opening)
        self._cap = stiffness_cap * self._plane
        self._coarse = 2**levels
        self._last = int(np.ceil(cell.full_opening / first_step)) * self._coarse
        step = np.array([cell.full_opening / self._last])
        self.nodes = Nodes(cell, step=step, comm=self.comm, cache=cache, on_failure=on_failure)
        self._recall()
        #: Whether somebody evaluates cells for it: set by `prepare` and by those who follow live laws.
        self.asks = False
        self._asked_points, self._active_points, self._surprise, self._furthest = 0, 0, 0.0, 0.0
        self._checked: set[int] = set()
        ends = {0: "the interface at rest", self._last: "the separated interface"}
        self.nodes.evaluate([(k,) for k in ends], where=lambda key: ends[key[0]])
        self._check_ends()
        self._rebuild()
        self._finish(unloading, 10.0 * self._plane if penalty is None else penalty)

    def _recall(self) -> None:
        """What the notes beside the nodes say."""
        halved, sealed = self.nodes.notes.get("halved", []), self.nodes.notes.get("sealed", [])
        # Estimates of intervals when they were halved; intervals that halving does not improve.
        self._halved: dict[tuple[int, int], float] = {(a, b): estimate for a, b, estimate in halved}
        self._sealed: set[tuple[int, int]] = {(a, b) for a, b in sealed}

    def state(self) -> dict[str, Any]:
        """All that the law has learnt and counted, as a tree."""
        return {
            "nodes": self.nodes.state(),
            "points": (self._asked_points, self._active_points),
            "surprise": self._surprise,
            "furthest": self._furthest,
            "checked": sorted(self._checked),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Be as the law of the same cell and settings was that gave its state; its cache as well (collective)."""
        self.nodes.restore(state["nodes"])
        self._asked_points, self._active_points = state["points"]
        self._surprise, self._furthest = state["surprise"], state["furthest"]
        self._checked = set(state["checked"])
        self._recall()
        self._rebuild()

    def _check_ends(self) -> None:
        rest, apart = self.nodes[(0,)], self.nodes[(self._last,)]
        if abs(rest.traction[0]) > _AT_REST * self.elasticity.modulus:
            raise CouplingError(
                f"the closed cell pulls with {rest.traction[0]:.3g} eV/Å³: relax the crystal with the cell's own potential"
            )
        if (
            apart.energy <= 0.0
            or abs(apart.traction[0]) * self._coarse * self.nodes.step[0] > _SEPARATED * apart.energy
        ):
            raise CouplingError(
                f"at its full opening, {apart.opening[0]:.3g} Å, the cell has energy {apart.energy:.3g} eV/Å² and traction "
                f"{apart.traction[0]:.3g} eV/Å³: expected a positive energy and no traction; give a larger full_opening"
            )

    def curve(self, opening: Array) -> tuple[Array, Array, Array]:
        """ψ, T and K at effective openings ≥ 0, each (n,); local, from the table as it stands."""
        if not self.asks and opening.max(initial=0.0) > 0.0:
            raise CouplingError(
                "a live law was asked by a solver that evaluates no cells for it: take follow_live or trace_live (coupling.live) "
                "or prepare(openings) it first"
            )
        self._asked_points += len(opening)
        self._active_points += int(np.count_nonzero((opening > self._active[0]) & (opening < self._active[1])))
        return self.table.curve(opening)

    def potential(self, opening: ArrayLike) -> Array:
        """ψ(δ) in mode I, (n,) Å -> (n,) eV/Å²."""
        return self.table.potential(opening)

    def traction(self, opening: ArrayLike) -> Array:
        """T(δ) in mode I, (n,) Å -> (n,) eV/Å³."""
        return self.table.traction(opening)

    def stiffness(self, opening: ArrayLike) -> Array:
        """K(δ) in mode I, (n,) Å -> (n,) eV/Å⁴."""
        return self.table.stiffness(opening)

    def gap(self, opening: ArrayLike) -> Array:
        """The cell's opening Δ for openings δ of the elements, (n,) Å."""
        return np.interp(np.asarray(opening, dtype=float), self.table.nodes, self._gaps)

    def opening_of(self, gap: ArrayLike) -> Array:
        """The elements' opening δ for openings Δ of the cell, (n,) Å -> (n,) Å."""
        return np.interp(np.asarray(gap, dtype=float), self._gaps, self.table.nodes)

    def uncertainty(self, opening: ArrayLike) -> Array:
        """Of the traction at openings δ (n,), eV/Å³: interpolation's estimate plus the committee's spread.

        Infinite beyond the openings that were evaluated, short of complete separation.
        """
        gap, curve = self.gap(opening), self.curve_of_gaps
        spreads = np.nan_to_num([self.nodes[(k,)].spread[0] for k in self._known], nan=np.inf)
        spread = np.interp(gap, curve.opening, spreads)
        if len(curve.opening) == 1:
            return np.where(gap >= curve.end, 0.0, np.inf)
        interval = np.clip(np.searchsorted(curve.opening, gap, side="right") - 1, 0, len(curve.estimate) - 1)
        inside = curve.estimate[interval] + spread
        return np.where(gap <= curve.frontier, inside, np.where(gap >= curve.end, 0.0, np.inf))

    def effective(self, jump: Array, history: Array) -> Array:
        """The opening (n,) Å that decides on the traction of jumps (n, dim) with history (n, 1)."""
        opened = np.column_stack([np.maximum(jump[:, 0], 0.0), jump[:, 1:]])
        now = np.linalg.norm(opened, axis=1)
        return np.maximum(now, history[:, 0]) if self.unloading == "damaging" else now

    def prepare(self, opening: ArrayLike, *, where: Callable[[int], str] | None = None) -> int:
        """Evaluate the cell until the table is good at openings δ (n,) Å; collective over `comm`.

        Args:
            opening: rank 0's count.
            where: names the point that asks, from its index; for errors.

        Returns:
            How many cells were computed; 0 where the table was good already.

        Raises:
            LiveCellError: on every rank.
        """
        self.asks = True
        wanted = self.comm.bcast(np.asarray(opening, dtype=float).ravel())
        before = self.nodes.evaluations
        while request := self._next(wanted):

            def label(key: Key, asked: dict[int, int] = request) -> str:
                index = asked[key[0]]
                place = "an opening ahead" if where is None else where(index)
                return f"{place} (opening {wanted[index]:.6g} Å)"

            foretold = {k: self.curve_of_gaps.at(k * self.nodes.step[0]) for k in request}
            known = self.curve_of_gaps.frontier
            predicted: dict[Key, tuple[float, Array]] = {
                (k,): (energy, np.array([traction])) for k, (energy, traction) in foretold.items()
            }
            self.nodes.evaluate(list(predicted), where=label, predict=predicted.__getitem__)
            for key, (_, traction) in foretold.items():
                node = self.nodes[(key,)]
                if node.opening[0] < known and node.source == "cell":
                    self._surprise = max(self._surprise, abs(float(node.traction[0]) - traction))
            self._rebuild()
        return self.nodes.evaluations - before

    def _next(self, opening: Array) -> dict[int, int]:
        """What to evaluate next for openings δ; intervals that are given up on the way change the table first."""
        while True:
            known = len(self._sealed)
            request = self._request(self.gap(opening))
            halved = [[a, b, estimate] for (a, b), estimate in sorted(self._halved.items())]
            self.nodes.notes = {"halved": halved, "sealed": [list(pair) for pair in sorted(self._sealed)]}
            if len(self._sealed) == known:
                return request
            self.nodes.save()
            self._rebuild()

    def ask(self, jump: Array, history: Array, *, where: Callable[[int], str] | None = None) -> int:
        """`prepare` at the openings that decide on the tractions of jumps (n, dim) with history (n, 1); collective."""
        return self.prepare(self.effective(jump, history), where=where)

    def ask_ahead(self, jump: Array, history: Array, *, ahead: float) -> int:
        """Evaluate to `ahead` times the growth since the last call beyond the furthest opening; collective."""
        furthest = float(self.gap(self.effective(jump, history).max(initial=0.0)))
        expected = min(furthest + ahead * max(furthest - self._furthest, 0.0), self.curve_of_gaps.end)
        self._furthest = furthest
        if ahead <= 0.0 or expected <= self.curve_of_gaps.frontier:
            return 0
        return self.prepare([self.opening_of(expected)])

    def ask_beyond(self, jump: Array, history: Array, *, ahead: float) -> int:
        """Evaluate all openings up to (1 + ahead) times the furthest one of jumps (n, dim); collective."""
        furthest = float(self.gap(self.effective(jump, history).max(initial=0.0)))
        expected = min((1.0 + ahead) * furthest, self.curve_of_gaps.end)
        return self.prepare(self.opening_of(np.linspace(0.0, expected, 200)))

    def extend(self) -> int:
        """Evaluate the next opening beyond the frontier; 0 where there is none (collective)."""
        following = self._known[-1] + self._coarse
        if following > self._last:
            return 0
        return self.prepare([self.opening_of(following * self.nodes.step[0])])

    def record(self) -> LiveRecord:
        """What was asked and what it cost, on this rank's count of points."""
        curve, peak = self.curve_of_gaps, self._peak()
        inside = [(curve.estimate[i], self._known[i], self._known[i + 1]) for i in self._leaves_asked()]
        over = [(a, b) for e, a, b in inside if e > self.tolerance * peak]
        nodes, step = self.nodes.found.values(), float(self.nodes.step[0])
        evaluations = self.nodes.evaluations
        return LiveRecord(
            evaluations=evaluations,
            calls=self.nodes.calls,
            from_cache=sum(n.source == "cache" for n in nodes),
            points_asked=self._asked_points,
            active_points_asked=self._active_points,
            saved=self._active_points / evaluations if evaluations else float("inf"),
            largest_estimate=float(max((e for e, _, _ in inside), default=0.0) / peak),
            largest_surprise=self._surprise / peak,
            unresolved=tuple((a * step, b * step) for a, b in over),
            predicted=tuple(float(n.opening[0]) for n in nodes if n.source == "predicted"),
            frontier=curve.frontier,
        )

    def _request(self, gaps: Array) -> dict[int, int]:
        """Places to evaluate next, each with the index of an opening that needs it."""
        if not len(gaps):
            return {}
        step, curve = float(self.nodes.step[0]), self.curve_of_gaps
        # A hair inside: an opening on a node needs no interval beyond it.
        places = np.clip((gaps / step - 1e-6), 0.0, self._last)
        furthest = int(np.argmax(places))
        reach = int(np.ceil(places[furthest] / self._coarse)) * self._coarse
        missing = [k for k in range(0, reach + 1, self._coarse) if (k,) not in self.nodes]
        if missing:
            return dict.fromkeys(missing, furthest)
        opened = np.flatnonzero(places > 0.0)
        interval = np.searchsorted(np.array(self._known), places[opened], side="right") - 1
        asked = {int(i): int(opened[n]) for i, n in zip(*np.unique(interval, return_index=True), strict=True)}
        self._checked.update(self._known[i] for i in asked)
        peak = self._peak()
        halves = {}
        for i, index in asked.items():
            if i >= len(curve.estimate):
                continue
            first, second = self._known[i], self._known[i + 1]
            floor = _NOISE * self.cell.noise / ((second - first) * step)
            if second - first > 1 and curve.estimate[i] > max(self.tolerance * peak, floor):
                if (first, second) in self._sealed or self._seal(first, second, float(curve.estimate[i])):
                    continue
                self._halved[first, second] = float(curve.estimate[i])
                halves[(first + second) // 2] = index
        return halves

    def _seal(self, first: int, second: int, estimate: float) -> bool:
        """Give up on an interval's grandparent where two halvings did not lower the estimate; True if so.

        A step in the energy, as cut-off potentials have, is a traction over the width of its interval: halving makes it
        twice as large. It is left spread over the widest of the three.
        """
        width = second - first
        parent, grand = (((first // (n * width)) * n * width, (first // (n * width) + 1) * n * width) for n in (2, 4))
        before = self._halved.get(parent, np.inf)
        if not (estimate > _HELPED * before and before > _HELPED * self._halved.get(grand, np.inf)):
            return False
        self._sealed.add(grand)
        return True

    def _leaves_asked(self) -> list[int]:
        """Intervals that openings were asked in, or whose halves were."""
        starts = sorted(self._checked)
        return sorted(
            {int(np.searchsorted(self._known, k, side="right")) - 1 for k in starts} & set(range(len(self._known) - 1))
        )

    def _peak(self) -> float:
        """The largest traction that is known or foretold, eV/Å³."""
        return self.table.peak_traction

    def _rebuild(self) -> None:
        """The table of the nodes from rest to the frontier."""
        inside = {k for a, b in self._sealed for k in range(a + 1, b)}
        known = sorted(k for (k,) in self.nodes.found if k not in inside)
        gap = next((i for i in range(1, len(known)) if known[i] - known[i - 1] > self._coarse), len(known))
        self._known = known[:gap]
        nodes = [self.nodes[(k,)] for k in self._known]
        energy, traction = np.array([n.energy for n in nodes]), np.array([n.traction[0] for n in nodes])
        traction[0] = 0.0
        apart = self.nodes[(self._last,)]
        if self._known[-1] == self._last:
            traction[-1] = 0.0
        curve = OpeningCurve.through(
            np.array([n.opening[0] for n in nodes]),
            energy,
            traction,
            first_slope=_FIRST_SLOPE * self._plane,
            work=apart.energy,
            end=float(apart.opening[0]),
        )
        self.curve_of_gaps = curve
        self._gaps, energies, tractions, slopes = curve.samples()
        law = corrected(
            self._gaps, energies, tractions, slopes, elasticity=self.elasticity, length=self.cell.length, cap=self._cap
        )
        self.correction = law
        self.table = TabulatedLaw(
            opening=law.opening,
            potential=law.potential,
            traction=law.traction,
            stiffness=law.stiffness,
            unloading="reversible",
        )
        for name in ("fracture_energy", "peak_traction", "opening_at_peak", "initial_stiffness", "final_opening"):
            setattr(self, name, getattr(self.table, name))
        strong = law.opening[law.traction > _ACTIVE * self.peak_traction]
        self._active = float(strong[0]), float(strong[-1])


def _check(cell: Cell, tolerance: float, first_step: float, levels: int) -> None:
    """Raise CouplingError unless cell and settings make a law of one opening."""
    if cell.components != 1:
        raise CouplingError(f"a cell of {cell.components} components: LiveLaw takes 1; see LiveCoupledLaw for shear")
    if not 1e-6 <= tolerance < 1.0:
        raise CouplingError(f"tolerance = {tolerance!r}: expected a share of the peak traction, from 1e-6 to below 1")
    if not first_step > 0.0 or not 1 <= levels <= 20:
        raise CouplingError(f"first_step = {first_step!r} Å, levels = {levels!r}: expected a positive length, 1 to 20")
