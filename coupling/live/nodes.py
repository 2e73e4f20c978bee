"""The openings at which a cell was evaluated: shared out over ranks, kept, written to a file, never asked twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.whole_file import write_whole
from coupling.errors import CouplingError
from coupling.live.cell import Cell, CellAnswer
from coupling.live.errors import LiveCacheError, LiveCellError

Array = NDArray[np.float64]
#: A node's place on the grid of openings: whole numbers of the finest step along each component.
Key = tuple[int, ...]
OnFailure = Literal["stop", "predict"]
_TITLE, _STEP, _REST, _NOTES = "# cell: ", "# finest step, Å: ", "# energy at rest, eV/Å²: ", "# notes: "


@dataclass(frozen=True, kw_only=True)
class Node:
    """One evaluated opening.

    Attributes:
        opening: Δ (m,), Å.
        energy: φ, eV/Å², above that at rest.
        traction: T (m,), eV/Å³.
        spread: (m,), eV/Å³, of a committee.
        calls: potential calls.
        rank: where it was computed.
        source: "cell"; "cache"; or "predicted", where the cell failed and a fallback was asked for.
    """

    opening: Array
    energy: float
    traction: Array
    spread: Array
    calls: int
    rank: int
    source: Literal["cell", "cache", "predicted"] = "cell"


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What one evaluation came to, on whichever rank: an answer, or the reason why there is none."""

    answer: CellAnswer | None
    cause: str
    rank: int


class Nodes:
    """Evaluated openings of one cell on a regular fine grid, the same on every rank (collective over `comm`).

    Args:
        cell: what is asked.
        step: (m,) finest spacing of openings, Å.
        comm: ranks that share the evaluations; each computes whole cells.
        cache: CSV file that is read first, where it exists, and extended by each batch.
        on_failure: "stop", or "predict": the law's own continuation stands in and is recorded.

    Raises:
        LiveCacheError: on every rank; a file of another cell or grid, or one that cannot be read.
    """

    def __init__(
        self, cell: Cell, *, step: Array, comm: MPI.Comm, cache: Path | str | None, on_failure: OnFailure
    ) -> None:
        if on_failure not in get_args(OnFailure):
            raise CouplingError(f"on_failure = {on_failure!r}: expected 'stop' or 'predict'")
        self.cell, self.step, self.comm = cell, step, comm
        self.cache = None if cache is None else Path(cache)
        self.on_failure = on_failure
        self.found: dict[Key, Node] = {}
        # What a law has learnt beside the nodes, kept in the cache with them: anything that JSON can hold.
        self.notes: dict[str, Any] = {}
        self.evaluations = 0
        self.calls = 0
        self._zero = 0.0
        if self.cache is not None:
            self._read()

    def __contains__(self, key: Key) -> bool:
        return key in self.found

    def __getitem__(self, key: Key) -> Node:
        return self.found[key]

    def opening(self, key: Key) -> Array:
        """Δ (m,) of a place on the grid, Å."""
        return np.asarray(key) * self.step

    def state(self) -> dict[str, Any]:
        """All that is known here, as a tree."""
        nodes = self.found.values()
        return {
            "keys": list(self.found),
            "energy": [n.energy for n in nodes],
            "traction": np.array([n.traction for n in nodes]),
            "spread": np.array([n.spread for n in nodes]),
            "origin": [(n.calls, n.rank, n.source) for n in nodes],
            "notes": self.notes,
            "zero": self._zero,
            "counts": (self.evaluations, self.calls),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Know what was known when `state` was taken and nothing else, in the cache too (collective)."""
        columns = (state[name] for name in ("keys", "energy", "traction", "spread", "origin"))
        self.found = {
            key: Node(
                opening=self.opening(key),
                energy=energy,
                traction=traction,
                spread=spread,
                calls=calls,
                rank=rank,
                source=source,
            )
            for key, energy, traction, spread, (calls, rank, source) in zip(*columns, strict=True)
        }
        self.notes, self._zero = state["notes"], state["zero"]
        self.evaluations, self.calls = state["counts"]
        self.save()

    def evaluate(
        self,
        keys: Sequence[Key],
        *,
        where: Callable[[Key], str],
        predict: Callable[[Key], tuple[float, Array]] | None = None,
    ) -> None:
        """Ask the cell at places that are not known yet; all ranks get every answer (collective).

        Each goes to the rank that has worked least so far; no rank raises alone, and what is asked is what rank 0 asks.

        Args:
            keys: places on the grid.
            where: names the point of the finite elements that asks, for the error.
            predict: energy above rest and traction to go on with where the cell fails, if that was asked for.

        Raises:
            LiveCellError: on every rank, the same message.
        """
        asked: list[Key] = self.comm.bcast([k for k in dict.fromkeys(keys) if k not in self.found])
        if not asked:
            return
        outcomes = self._outcomes(asked)
        self.evaluations += len(asked)
        stopped = ""
        for key, outcome in zip(asked, outcomes, strict=True):
            if outcome.answer is not None or (self.on_failure == "predict" and predict is not None):
                self._take(key, outcome, predict)
            elif not stopped:
                shown = as_text(self.opening(key))
                stopped = f"{where(key)}: the cell at opening {shown} Å failed on rank {outcome.rank}: {outcome.cause}"
        self.save()
        if stopped := self.comm.bcast(stopped):
            raise LiveCellError(stopped)

    def _outcomes(self, asked: Sequence[Key]) -> list[_Outcome]:
        """The cell at all places, in their order, the same on every rank."""
        if self.cell.shared:
            # All ranks make each evaluation together; one that fails on any rank has failed on all.
            every = self.comm.allgather([self._ask(key) for key in asked])
            return [next((o for o in column if o.answer is None), column[0]) for column in zip(*every, strict=True)]
        turns = self._turns(len(asked))
        mine = [i for i, rank in enumerate(turns) if rank == self.comm.rank]
        parts = self.comm.allgather({i: self._ask(asked[i]) for i in mine})
        return [parts[rank][i] for i, rank in enumerate(turns)]

    def _turns(self, count: int) -> list[int]:
        """The rank for each of `count` evaluations: whichever has made the fewest potential calls so far."""
        done = [0] * self.comm.size
        for node in self.found.values():
            # Ranks of a run that was stopped may be gone.
            if node.source == "cell" and node.rank < self.comm.size:
                done[node.rank] += node.calls
        usual = max(1, sum(done) // max(1, self.evaluations))
        turns = []
        for _ in range(count):
            rank = int(np.argmin(done))
            done[rank] += usual
            turns.append(rank)
        return turns

    def _ask(self, key: Key) -> _Outcome:
        """The cell's answer on this rank; whatever goes wrong becomes a cause, so that no rank is left waiting."""
        rank, opening = self.comm.rank, self.opening(key)
        try:
            answer = self.cell(opening)
        except Exception as error:
            return _Outcome(answer=None, cause=f"{type(error).__name__}: {error}", rank=rank)
        traction, spread = np.asarray(answer.traction, dtype=float), np.asarray(answer.spread, dtype=float)
        if traction.shape != self.step.shape or spread.shape != self.step.shape:
            expected = f"expected ({len(self.step)},)"
            return _Outcome(answer=None, cause=f"traction of shape {traction.shape}, {expected}", rank=rank)
        if not (np.isfinite(answer.energy) and np.isfinite(traction).all() and np.isfinite(spread).all()):
            cause = f"energy {answer.energy}, traction {as_text(traction)}: not finite"
            return _Outcome(answer=None, cause=cause, rank=rank)
        return _Outcome(answer=answer, cause="", rank=rank)

    def _take(self, key: Key, outcome: _Outcome, predict: Callable[[Key], tuple[float, Array]] | None) -> None:
        opening = self.opening(key)
        if outcome.answer is None:
            assert predict is not None
            energy, traction = predict(key)
            spread = np.full(len(opening), np.nan)
            self.found[key] = Node(
                opening=opening,
                energy=energy,
                traction=traction,
                spread=spread,
                calls=0,
                rank=outcome.rank,
                source="predicted",
            )
            return
        answer = outcome.answer
        if not any(key):
            self._zero = answer.energy
        self.calls += answer.calls
        self.found[key] = Node(
            opening=opening,
            energy=float(answer.energy - self._zero),
            traction=np.asarray(answer.traction, dtype=float),
            spread=np.asarray(answer.spread, dtype=float),
            calls=answer.calls,
            rank=outcome.rank,
        )

    def write(self, path: Path | str) -> None:
        """Write all nodes as CSV, ascending; numbers in full, so that a run goes on from them to the last bit.

        Nodes that were predicted, because their cell failed, are marked so and are asked again by whoever reads the file.
        """
        m = len(self.step)
        names = [f"{what}_{i}" for what in ("key", "opening", "traction", "spread") for i in range(m)]
        head = [_TITLE + self.cell.name, _STEP + repr(self.step.tolist()), _REST + repr(self._zero)]
        lines = [*head, _NOTES + json.dumps(self.notes), ",".join([*names, "energy", "calls", "rank", "source"])]
        for key in sorted(self.found):
            node = self.found[key]
            numbers = [*node.opening.tolist(), *node.traction.tolist(), *node.spread.tolist(), node.energy]
            lines.append(",".join([*map(str, key), *map(repr, numbers), str(node.calls), str(node.rank), node.source]))
        write_whole(Path(path), ("\n".join(lines) + "\n").encode())

    def save(self) -> None:
        """Write the cache, if there is one, on rank 0; every rank learns where that fails (collective)."""
        if self.cache is None:
            return
        cause = ""
        if self.comm.rank == 0:
            try:
                self.write(self.cache)
            except OSError as error:
                cause = str(error)
        if cause := self.comm.bcast(cause):
            raise LiveCacheError(f"cache {str(self.cache)!r} cannot be written: {cause}")

    def _read(self) -> None:
        """Take the cache of an earlier run; rank 0 reads, all ranks get its nodes or its complaint."""
        assert self.cache is not None
        zero, cause = 0.0, ""
        notes: dict[str, Any] = {}
        found: dict[Key, Node] = {}
        if self.comm.rank == 0 and self.cache.exists():
            try:
                zero, notes, found = self._parse(self.cache.read_text().splitlines())
            except (OSError, ValueError, IndexError) as error:
                cause = str(error)
        self._zero, self.notes, self.found, cause = self.comm.bcast((zero, notes, found, cause))
        if cause:
            raise LiveCacheError(f"cache {str(self.cache)!r}: {cause}; give another file, or remove this one")

    def _parse(self, lines: Sequence[str]) -> tuple[float, dict[str, Any], dict[Key, Node]]:
        """Energy at rest, notes and nodes of a file's lines."""
        m, expected = len(self.step), (_TITLE + self.cell.name, _STEP + repr(self.step.tolist()))
        if tuple(lines[:2]) != expected:
            raise ValueError(f"it holds {lines[:2]}, and this law asks {list(expected)}")
        found: dict[Key, Node] = {}
        for line in lines[5:]:
            *columns, calls, rank, source = line.split(",")
            if source == "predicted":
                continue
            numbers = np.array([float(c) for c in columns[m:]])
            found[tuple(int(c) for c in columns[:m])] = Node(
                opening=numbers[:m],
                traction=numbers[m : 2 * m],
                spread=numbers[2 * m : 3 * m],
                energy=float(numbers[3 * m]),
                calls=int(calls),
                rank=int(rank),
                source="cache",
            )
        return float(lines[2].removeprefix(_REST)), json.loads(lines[3].removeprefix(_NOTES)), found


def as_text(vector: Array) -> str:
    """An opening or traction as people write it."""
    numbers = ", ".join(f"{x:.6g}" for x in np.atleast_1d(vector))
    return numbers if len(np.atleast_1d(vector)) == 1 else f"({numbers})"
