"""What a fracture run has left, read back from its directory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.plots import INK, RED, TEAL
from multiscale.tables import Table, read_table

State = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class FractureData:
    """What the figures are drawn from; what a run has not written is None or empty.

    Attributes:
        references: of references.json.
        trapping: of trapping.json; empty where it is not known.
        path, barriers, plane, rings, ledger: tables.
        states: arrays of the states that were kept, in the order of the path.
    """

    references: dict[str, Any]
    trapping: dict[str, Any]
    path: Table | None
    barriers: Table | None
    plane: Table | None
    rings: Table | None
    ledger: Table | None
    states: tuple[State, ...]

    @property
    def griffith(self) -> float:
        """K_G, MPa√m."""
        return float(self.references["k_griffith"])

    @property
    def period(self) -> float | None:
        """By how much the crack advances at a time, nm; None where no state was kept."""
        return float(self.states[0]["period"]) if self.states else None

    @property
    def levels(self) -> list[tuple[str, float, str]]:
        """Label, K in MPa√m and colour of K₋, K_G and K₊, as far as they are known."""
        found = [("$K_\\mathrm{G}$", self.griffith, INK)]
        for key, label, colour in (("k_minus", "$K_-$", TEAL), ("k_plus", "$K_+$", RED)):
            if self.trapping.get(key):
                found.append((label, float(self.trapping[key][0]), colour))
        return found

    def chosen(self) -> list[tuple[str, State]]:
        """The states that are drawn with their names: the first, the one at K₊ and the last."""
        if not self.states:
            return []
        states = self.states
        # The bond that breaks at K₊ may count as broken a little before.
        still = [state for state in states if state["advance"] < states[0]["advance"] + 0.75]
        top = max(still, key=lambda state: float(state["intensity"]))
        picked = {id(top): ("before the first advance", top)}
        picked |= {id(states[-1]): ("last state", states[-1]), id(states[0]): ("first state", states[0])}
        return sorted(picked.values(), key=lambda named: int(named[1]["index"]))


def read_fracture(directory: str | Path) -> FractureData:
    """Read what a fracture run has left."""
    directory = Path(directory)

    def table(name: str) -> Table | None:
        return read_table(directory / name) if (directory / name).is_file() else None

    def document(name: str) -> dict[str, Any]:
        path = directory / name
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}

    states: dict[int, State] = {}
    for path in sorted((directory / "states").glob("*.npz")):
        with np.load(path) as archive:
            states[int(archive["index"])] = {key: archive[key] for key in archive.files}
    return FractureData(
        references=document("references.json"),
        trapping=document("trapping.json"),
        path=table("path.csv"),
        barriers=table("barriers.csv"),
        plane=table("plane.csv"),
        rings=table("rings.csv"),
        ledger=table("ledger.csv"),
        states=tuple(states[number] for number in sorted(states)),
    )
