"""Opening and slip together: a law of the separation vector that asks its cell, on a grid that refines where it is used.

The plane of openings and slips is ruled by lines; each box between four of them carries the bicubic polynomial with φ, both
tractions and the twist φ_nt of its corners (Bogner, Fox and Schmit 1965), so that tractions are continuous across boxes. A
corner costs three cells: its own, and one beside it in each direction, which give the twist and the stiffnesses K_nn
and K_tt. These are not used by the polynomial: what its own second derivatives miss of them is its error. With

    T − T_exact <= 0.0080 h³ |φ''''|,    K − K_exact = h²|φ''''|/12 at the ends    of a cubic Hermite polynomial,

a box of width h has the estimate 0.1 h |K − K_cell|, in each direction; a line is drawn through it where that is too large.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from continuum.laws.base import CohesiveLaw, LawResponse
from coupling.errors import CouplingError
from coupling.live.cell import Cell
from coupling.live.nodes import Key, Nodes
from coupling.live.record import LiveRecord

Array = NDArray[np.float64]
#: From (f₀, h f₀', f₁, h f₁') to the powers 1, s, s², s³.
_HERMITE = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [-3.0, -2.0, 3.0, -1.0], [2.0, 1.0, -2.0, 1.0]])
#: Fine steps between a corner and the cell beside it; the narrowest box is twice as wide.
_BESIDE = 4
#: Largest eigenvalue of S K whose compliance is taken out: the law is then at most 20 times as stiff as its plane.
_STIFFEST = 0.95
_ITERATIONS, _LONGEST, _CLOSE = 200, 0.2, 1e-12


class NotEvaluated(Exception):
    """A law was asked where its cell has not answered yet; the places travel with it, from rank 0 to all."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        super().__init__(keys)
        self.keys = keys


class LiveCoupledLaw(CohesiveLaw):
    """The law of a cell of two components, opening and slip along the growth direction; for interfaces in the plane.

    Reversible: φ(Δ) is a potential, and a slip by a lattice vector heals. The compliance S of the plane is taken out as
    Rice (1992) does, δ = Δ − θ S T, ψ = φ − ½ θ T·S T, with θ = 1 unless the interface at rest is stiffer than the crystal: the
    share θ then leaves it 20 times as stiff. Under compression φ goes on with its slope at Δ_n = 0 and the stiffness at rest.

    Args:
        cell: of two components.
        tolerance: of the tractions, as a share of the largest one evaluated so far.
        comm: ranks that share evaluations; None for the calling rank alone.
        first_step: widest box, Å.
        levels: times that a box may be halved.
        largest_slip: to either side, Å; beyond it φ does not change.
        cache: CSV file of evaluated openings, read first and extended.

    Attributes:
        share: θ.

    Raises:
        CouplingError: a cell or settings that make no law.
        LiveCellError, LiveCacheError: on every rank.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        tolerance: float = 0.02,
        comm: MPI.Comm | None = None,
        first_step: float = 0.4,
        levels: int = 7,
        largest_slip: float = 8.0,
        cache: Path | str | None = None,
    ) -> None:
        if cell.components != 2:
            raise CouplingError(
                f"a cell of {cell.components} components: LiveCoupledLaw takes 2, opening and slip along x"
            )
        if not (1e-6 <= tolerance < 1.0 and first_step > 0.0 and 5 <= levels <= 20 and largest_slip > first_step):
            raise CouplingError(
                f"tolerance = {tolerance!r}, first_step = {first_step!r}, levels = {levels!r}, largest_slip = {largest_slip!r}: "
                "expected 1e-6 <= tolerance < 1, 0 < first_step < largest_slip, 5 <= levels <= 20"
            )
        self.cell, self.tolerance, self.comm = cell, tolerance, MPI.COMM_SELF if comm is None else comm
        coarse = 2**levels
        self._last = int(np.ceil(cell.full_opening / first_step)) * coarse
        self._step = cell.full_opening / self._last
        sides = int(np.ceil(largest_slip / (coarse * self._step)))
        self._lines = [np.arange(0, self._last + 1, coarse), np.arange(-sides, sides + 1) * coarse]
        self.nodes = Nodes(cell, step=np.full(2, self._step), comm=self.comm, cache=cache, on_failure="stop")
        self._asked_points, self._active_points = 0, 0
        self._patches: dict[tuple[int, int], Array] = {}
        self._estimates: dict[tuple[int, int], tuple[float, float]] = {}
        first = [*self._cells_of((0, 0)), (self._last, 0)]
        self.nodes.evaluate(first, where=lambda key: "the separated interface" if key[0] else "the interface at rest")
        self._set_numbers()

    def state(self) -> dict[str, Any]:
        """All that the law has learnt and counted, as a tree."""
        return {
            "nodes": self.nodes.state(),
            "lines": list(self._lines),
            "boxes": list(self._patches),
            "peak": self.peak_traction,
            "points": (self._asked_points, self._active_points),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Be as the law of the same cell and settings was that gave its state; its cache as well (collective)."""
        self.nodes.restore(state["nodes"])
        self._lines, self.peak_traction = list(state["lines"]), state["peak"]
        self._asked_points, self._active_points = state["points"]
        self._estimates = {}
        self._patches = {box: self._patch(box) for box in state["boxes"]}

    def _set_numbers(self) -> None:
        self.fracture_energy = self.nodes[(self._last, 0)].energy
        if self.fracture_energy <= 0.0:
            raise CouplingError(
                f"the separated cell has energy {self.fracture_energy:.3g} eV/Å²: expected a positive one"
            )
        _, _, _, twist, normal, slip = self._corner((0, 0))
        rest = np.array([[normal, twist], [twist, slip]])
        full = self.cell.length * np.linalg.inv(self.cell.stiffness)
        stiffest = float(np.linalg.eigvals(full @ rest).real.max())
        if np.linalg.eigvalsh(rest)[0] <= 0.0:
            raise CouplingError(f"the closed cell is not stable: its stiffness is {rest.tolist()} eV/Å⁴")
        self.share = min(1.0, _STIFFEST / stiffest)
        self._compliance = self.share * full
        law = rest @ np.linalg.inv(np.eye(2) - self._compliance @ rest)
        self._rest_stiffness = normal
        self.initial_stiffness, self._secant = float(law[0, 0]), np.linalg.eigvalsh(0.5 * (law + law.T))[-1]
        # A universal binding curve of the same energy and stiffness, until more is known.
        length = np.sqrt(self.fracture_energy / normal)
        self.peak_traction, self.opening_at_peak = float(self.fracture_energy / (np.e * length)), float(length)
        self.final_opening = self.cell.full_opening
        self._finish("reversible", self.initial_stiffness)

    def evaluate(self, jump: Array, history: Array) -> LawResponse:
        """Answer jumps (n, 2), normal first; the history (n, 1) is the largest ψ so far, eV/Å². Local.

        Raises:
            NotEvaluated: the cell has not been asked there; `follow_live` then asks it on all ranks.
        """
        if jump.shape[1] != 2:
            raise CouplingError(f"jumps of {jump.shape[1]} components: LiveCoupledLaw is for interfaces in the plane")
        gap, energy, traction, stiffness = self._solve(jump)
        self._asked_points += len(jump)
        size = np.linalg.norm(traction, axis=1)
        self._active_points += int(
            np.count_nonzero((size > 0.01 * self.peak_traction) & (gap[:, 0] < self.final_opening))
        )
        potential = energy - 0.5 * np.einsum("pi,ij,pj->p", traction, self._compliance, traction)
        largest = np.maximum(history[:, 0], potential)
        zeros = np.zeros(len(jump))
        return LawResponse(
            traction=traction,
            tangent=stiffness @ np.linalg.inv(np.eye(2) - self._compliance @ stiffness),
            secant=np.full_like(jump, self._secant),
            history_new=largest[:, None],
            stored=potential,
            dissipated=zeros,
            contact=zeros,
            damage=np.clip(largest / self.fracture_energy, 0.0, 1.0),
        )

    def cell_separations(self, jump: Array) -> Array:
        """The cell's Δ (n, 2) for jumps δ (n, 2) of the elements, Å.

        Raises:
            NotEvaluated: the cell has not been asked there.
        """
        return self._solve(np.asarray(jump, dtype=float))[0]

    def ask(self, jump: Array, history: Array, *, where: Callable[[int], str] | None = None) -> int:
        """Evaluate the cell until the table is good at jumps (n, 2), Å; returns how many cells were computed (collective)."""
        before = self.nodes.evaluations
        jump = self.comm.bcast(jump)
        while True:
            try:
                gap = self._solve(jump)[0]
            except NotEvaluated as missing:
                self.supply(missing.keys, where=where)
                continue
            if not self._draw_lines(gap):
                return self.nodes.evaluations - before

    def supply(self, keys: tuple[Key, ...], *, where: Callable[[int], str] | None = None) -> None:
        """Evaluate cells at places of the grid that a solver came to (collective)."""
        words = "a point of the interface" if where is None else where(0).split(", facet")[0]
        self.nodes.evaluate(keys, where=lambda key: f"{words}, separation {self.nodes.opening(key).tolist()}")
        largest = max(abs(float(t)) for n in self.nodes.found.values() for t in n.traction)
        self.peak_traction = max(self.peak_traction, largest)

    def ask_ahead(self, jump: Array, history: Array, *, ahead: float) -> int:
        """Nothing: boxes are wide enough to be their own outlook."""
        return 0

    def ask_beyond(self, jump: Array, history: Array, *, ahead: float) -> int:
        """Nothing, as for `ask_ahead`."""
        return 0

    def extend(self) -> int:
        """Nothing to extend: no state is foretold."""
        return 0

    def record(self) -> LiveRecord:
        """What was asked and what it cost."""
        step, nodes = self._step, self.nodes
        errors = {box: max(e) for box, e in self._estimates.items()}
        over = [box for box, e in errors.items() if e > self.tolerance * self.peak_traction]
        spans = [(float(self._lines[0][i] * step), float(self._lines[0][i + 1] * step)) for i, _ in over]
        return LiveRecord(
            evaluations=nodes.evaluations,
            calls=nodes.calls,
            from_cache=sum(n.source == "cache" for n in nodes.found.values()),
            points_asked=self._asked_points,
            active_points_asked=self._active_points,
            saved=self._active_points / nodes.evaluations if nodes.evaluations else float("inf"),
            largest_estimate=max(errors.values(), default=0.0) / self.peak_traction,
            largest_surprise=float("nan"),
            unresolved=tuple(spans),
            predicted=(),
            frontier=float(max((k[0] for k in nodes.found if k[0] < self._last), default=0) * step),
        )

    def _solve(self, jump: Array) -> tuple[Array, Array, Array, Array]:
        """Δ, φ, T and K at jumps δ = Δ − S T: Newton's method, steps limited; (n, 2), (n,), (n, 2), (n, 2, 2)."""
        gap = jump.copy()
        for _ in range(_ITERATIONS):
            energy, traction, stiffness = self._surface(gap)
            defect = gap - traction @ self._compliance - jump
            if np.abs(defect).max(initial=0.0) < _CLOSE:
                return gap, energy, traction, stiffness
            step = -np.linalg.solve(np.eye(2) - self._compliance @ stiffness, defect[:, :, None])[:, :, 0]
            length = np.linalg.norm(step, axis=1, keepdims=True)
            gap = gap + step * np.minimum(1.0, _LONGEST / np.maximum(length, _LONGEST))
        worst = int(np.abs(defect).max(axis=1).argmax())
        raise CouplingError(
            f"no separation of the cell answers to the jump {jump[worst].tolist()} Å: the interface is stiffer there than "
            "the crystal beside it; take a cell with more planes, or LiveLaw for opening alone"
        )

    def _surface(self, gap: Array) -> tuple[Array, Array, Array]:
        """φ (n,), T (n, 2) and K (n, 2, 2) of the cell's separations (n, 2)."""
        places = gap / self._step
        normal, slip = np.maximum(places[:, 0], 0.0), np.clip(places[:, 1], self._lines[1][0], self._lines[1][-1])
        i = np.clip(np.searchsorted(self._lines[0], normal, side="right") - 1, 0, len(self._lines[0]) - 2)
        j = np.clip(np.searchsorted(self._lines[1], slip, side="right") - 1, 0, len(self._lines[1]) - 2)
        apart = normal >= self._last
        boxes, which = np.unique(np.column_stack([i, j])[~apart], axis=0, return_inverse=True)
        coefficients = self._coefficients([(int(a), int(b)) for a, b in boxes])
        energy, traction, stiffness = (
            np.full(len(gap), self.fracture_energy),
            np.zeros_like(gap),
            np.zeros((len(gap), 2, 2)),
        )
        if len(boxes):
            kept = ~apart
            wide = np.column_stack([np.diff(self._lines[0])[i[kept]], np.diff(self._lines[1])[j[kept]]])
            u = (normal[kept] - self._lines[0][i[kept]]) / wide[:, 0]
            v = (slip[kept] - self._lines[1][j[kept]]) / wide[:, 1]
            powers = [
                [_powers(s, order, w * self._step) for order in range(3)] for s, w in ((u, wide[:, 0]), (v, wide[:, 1]))
            ]

            def value(a: int, b: int) -> Array:
                return np.einsum("pi,pij,pj->p", powers[0][a], coefficients[which.ravel()], powers[1][b])

            # Under compression: the slope at the closed interface, and its stiffness at rest.
            pressed = np.minimum(gap[kept, 0], 0.0)
            below = pressed < 0.0
            k = self._rest_stiffness
            energy[kept] = value(0, 0) + pressed * value(1, 0) + 0.5 * k * pressed**2
            traction[kept] = np.column_stack([value(1, 0) + k * pressed, value(0, 1) + pressed * value(1, 1)])
            stiffness[kept, 0, 0] = np.where(below, k, value(2, 0))
            stiffness[kept, 0, 1] = stiffness[kept, 1, 0] = value(1, 1)
            stiffness[kept, 1, 1] = value(0, 2) + pressed * value(1, 2)
        return energy, traction, stiffness

    def _coefficients(self, boxes: list[tuple[int, int]]) -> Array:
        """(boxes, 4, 4) polynomials; NotEvaluated with all that is missing for them."""
        missing = {
            key
            for box in boxes
            if box not in self._patches
            for corner in self._corners(box)
            for key in self._cells_of(corner)
            if key not in self.nodes
        }
        if missing:
            raise NotEvaluated(tuple(sorted(missing)))
        for box in boxes:
            if box not in self._patches:
                self._patches[box] = self._patch(box)
        return np.array([self._patches[box] for box in boxes]).reshape(-1, 4, 4)

    def _patch(self, box: tuple[int, int]) -> Array:
        """Coefficients (4, 4) of a box; its estimate is noted."""
        widths = [float(np.diff(lines)[k]) * self._step for lines, k in zip(self._lines, box, strict=True)]
        data, known = np.empty((4, 4)), []
        for place, corner in enumerate(self._corners(box)):
            energy, normal, slip, twist, *stiff = self._corner(corner)
            a, b = 2 * (place // 2), 2 * (place % 2)
            data[a : a + 2, b : b + 2] = [
                [energy, widths[1] * slip],
                [widths[0] * normal, widths[0] * widths[1] * twist],
            ]
            known.append(stiff)
        patch = _HERMITE @ data @ _HERMITE.T
        errors = np.zeros(2)
        for place, stiff in enumerate(known):
            ends = [np.array([float(place // 2)]), np.array([float(place % 2)])]
            for axis in range(2):
                order = (2, 0) if axis == 0 else (0, 2)
                u, v = (_powers(s, n, w)[0] for s, n, w in zip(ends, order, widths, strict=True))
                errors[axis] = max(errors[axis], 0.1 * widths[axis] * abs(float(u @ patch @ v) - stiff[axis]))
        self._estimates[box] = float(errors[0]), float(errors[1])
        return patch

    def _draw_lines(self, gap: Array) -> bool:
        """Halve boxes in use whose estimate is too large; True if any line was drawn."""
        limit = self.tolerance * self.peak_traction
        new: list[set[int]] = [set(), set()]
        places = np.clip(gap / self._step, 0.0, None)
        places[:, 1] = gap[:, 1] / self._step
        used = [np.searchsorted(lines, places[:, k], side="right") - 1 for k, lines in enumerate(self._lines)]
        for box in {(int(a), int(b)) for a, b in zip(*used, strict=True)} & set(self._estimates):
            for axis in range(2):
                first, second = (int(x) for x in self._lines[axis][box[axis] : box[axis] + 2])
                if self._estimates[box][axis] > limit and second - first > 2 * _BESIDE:
                    new[axis].add((first + second) // 2)
        if not (new[0] or new[1]):
            return False
        self._lines = [np.array(sorted({*lines.tolist(), *more})) for lines, more in zip(self._lines, new, strict=True)]
        self._patches, self._estimates = {}, {}
        return True

    def _corners(self, box: tuple[int, int]) -> list[Key]:
        """The four corners of a box: (0, 0), (0, 1), (1, 0), (1, 1)."""
        i, j = box
        return [(int(self._lines[0][i + a]), int(self._lines[1][j + b])) for a in (0, 1) for b in (0, 1)]

    def _cells_of(self, corner: Key) -> list[Key]:
        """Cells that a corner needs; none where the interface is apart."""
        i, j = corner
        return [] if i >= self._last else [corner, (i + _BESIDE, j), (i, j + _BESIDE)]

    def _corner(self, corner: Key) -> tuple[float, float, float, float, float, float]:
        """φ, T_n, T_t, φ_nt, K_nn and K_tt of a corner."""
        if corner[0] >= self._last:
            return self.fracture_energy, 0.0, 0.0, 0.0, 0.0, 0.0
        here, above, beside = (self.nodes[key] for key in self._cells_of(corner))
        span = _BESIDE * self._step
        up, over = (above.traction - here.traction) / span, (beside.traction - here.traction) / span
        rest = not any(corner)
        normal, slip = (0.0, 0.0) if rest else here.traction
        return here.energy, float(normal), float(slip), float(0.5 * (up[1] + over[0])), float(up[0]), float(over[1])


def _powers(s: Array, order: int, width: Array | float) -> Array:
    """d^order/dx^order of (1, s, s², s³) with x = s·width: (n, 4)."""
    ones, zeros = np.ones_like(s), np.zeros_like(s)
    table = {
        0: [ones, s, s**2, s**3],
        1: [zeros, ones, 2 * s, 3 * s**2],
        2: [zeros, zeros, 2 * ones, 6 * s],
    }[order]
    return np.stack(table, axis=-1) / np.power(np.atleast_1d(width), order)[:, None]
