"""What a study writes of the quantum region in its zone: the states, the table of quantum calculations, the words of results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from coupling.embedding.account import Remainder
from coupling.embedding.sites import QUANTUM, TAKEN_OUT
from multiscale.config.embedding_zone import ZoneEmbeddingModel
from multiscale.progress import Progress
from multiscale.run import RunDirectory
from multiscale.studies.embedded_zone import EmbeddedZone

Array = NDArray[np.float64]
Row = tuple[str, str, float | int | str | None, str, str]

#: Where the terms of a quantum region are counted, for ledgers.
DOMAINS = {
    QUANTUM: ("quantum region", "core and buffer by the quantum engine"),
    TAKEN_OUT: ("quantum region", "the same atoms by the potential, taken out, so that the core counts once"),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class KeptState:
    """A state of the zone's atoms.

    Attributes:
        zone: that it belongs to.
        label: how the state is called in tables.
        places: (n + m, 3), Å.
    """

    zone: EmbeddedZone[Any]
    label: str
    places: Array


@dataclass(frozen=True, kw_only=True)
class QuantumPoint:
    """One state by both engines.

    Attributes:
        state: its number.
        label: how it is called.
        quantum: E_QM(C), eV.
        ml: E_ML(C), eV.
        remainder: what of the potential's energy of C does not cancel; None without energies of sites.
    """

    state: int
    label: str
    quantum: float
    ml: float
    remainder: Remainder | None

    @property
    def difference(self) -> float:
        """E_QM(C) − E_ML(C), eV."""
        return self.quantum - self.ml


@dataclass
class EmbeddedRecord:
    """Keeps the states of a run, and asks the engines for those that a case names.

    Attributes:
        embedding: the block of the case; None where there is only an impurity.
        states: so far.
        points: asked for at the end.
    """

    embedding: ZoneEmbeddingModel | None
    states: list[KeptState] = field(default_factory=list)
    points: list[QuantumPoint] = field(default_factory=list)

    def keep(self, zone: EmbeddedZone[Any], u: Array, label: str) -> None:
        """Keep a state by its displacements (rows, c), where anything is embedded (collective: an impurity is at rest in it)."""
        if zone.region is None and not zone.extras:
            return
        self.states.append(KeptState(zone=zone, label=label, places=zone.sites.all_places(zone.model.places(u))))

    def state(self, zones: Sequence[EmbeddedZone[Any]]) -> list[tuple[int, str, Array]]:
        """The states so far, each with the number of its zone among these, for `go_on`."""
        numbers = {id(zone): number for number, zone in enumerate(zones)}
        return [(numbers[id(kept.zone)], kept.label, kept.places) for kept in self.states]

    def go_on(self, state: Sequence[tuple[int, str, Array]], zones: Sequence[EmbeddedZone[Any]]) -> None:
        """Take the states that an earlier process has left, in the same zones made anew."""
        self.states = [KeptState(zone=zones[number], label=label, places=places) for number, label, places in state]

    def conclude(self, run: RunDirectory, progress: Progress) -> None:
        """Ask for what the case wants, and write it (collective)."""
        if self.states:
            with progress.phase("quantum region"):
                self.ask()
                self.write(run)

    def ask(self) -> None:
        """Evaluate the quantum regions of the states asked for: by default the first and the last (collective)."""
        if self.embedding is None or not self.states:
            return
        count = len(self.states)
        wanted = self.embedding.states or (0, -1)
        numbers = sorted({number % count for number in wanted if -count <= number < count})
        for number in numbers:
            kept = self.states[number]
            region = kept.zone.region
            assert region is not None
            answer = region.evaluate(kept.places)
            self.points.append(
                QuantumPoint(
                    state=number,
                    label=kept.label,
                    quantum=answer.quantum,
                    ml=answer.ml,
                    remainder=region.remainder(kept.places),
                )
            )

    @property
    def correction(self) -> float:
        """By how much E_QM(C) − E_ML(C) changes from the first to the last state asked for, eV; NaN for fewer than two."""
        if len(self.points) < 2:
            return float("nan")
        return self.points[-1].difference - self.points[0].difference

    def rows(self) -> list[Row]:
        """Quantities of results.json."""
        if not self.states:
            return []
        zone = self.states[-1].zone
        found: list[Row] = _impurity_rows(self.states[0], self.states[-1])
        if self.embedding is None or zone.region is None:
            return found
        region, engine = zone.region, zone.region.qm
        structure = region.structure(self.states[-1].places)
        caps = len(region.cluster.caps.inner)
        found.append(
            (
                "quantum region",
                "C",
                len(region),
                "atoms",
                f"{structure.symbols}: {len(region.core_rows)} core, {caps} caps; {engine.capabilities.name}, "
                f"{self.embedding.scheme}, {self.embedding.mode}",
            )
        )
        found.append(_calls_row(zone))
        if self.points and self.points[-1].remainder is not None:
            rest = self.points[-1].remainder
            found.append(
                (
                    "remainder of the core",
                    "",
                    1000 * rest.core,
                    "meV",
                    f"site energies that the cut has changed; largest of an atom {1000 * rest.largest_core:.2g} meV. Of buffer "
                    f"and caps {rest.buffer + rest.caps:.3g} eV",
                )
            )
        if np.isfinite(self.correction):
            first, last = self.points[0], self.points[-1]
            found.append(
                (
                    "change of E_QM(C) − E_ML(C)",
                    "ΔΔE",
                    self.correction,
                    "eV",
                    f"from {first.label} to {last.label}: {last.quantum - first.quantum:.4g} eV by the engine, "
                    f"{last.ml - first.ml:.4g} eV by the potential",
                )
            )
        return found

    def section(self) -> dict[str, Any]:
        """The table of quantum calculations, for results.json and the report."""
        if not self.points:
            return {}
        rows = [
            {
                "state": point.label,
                "E_QM(C) [eV]": point.quantum,
                "E_ML(C) [eV]": point.ml,
                "difference [eV]": point.difference,
                "remainder of the core [meV]": None if point.remainder is None else 1000 * point.remainder.core,
            }
            for point in self.points
        ]
        note = (
            "Per period of the body. Only changes of the difference from state to state mean anything: the two engines count "
            "energies from different zeros. The remainder is shown, not counted."
        )
        return {"rows": rows, "note": note}

    def write(self, run: RunDirectory) -> None:
        """embedding.extxyz: all atoms of the kept states with their role; quantum_region.extxyz and quantum.csv: C alone."""
        if not run.writes or not self.states:
            return
        frames = [_frame(kept) for kept in self.states]
        ase.io.write(run.file("embedding.extxyz"), frames, format="extxyz", parallel=False)
        if not self.points:
            return
        regions = []
        for point in self.points:
            kept = self.states[point.state]
            assert kept.zone.region is not None
            atoms = kept.zone.region.structure(kept.places)
            atoms.info |= {"state": point.label, "E_QM": point.quantum, "E_ML": point.ml}
            regions.append(atoms)
        ase.io.write(run.file("quantum_region.extxyz"), regions, format="extxyz", parallel=False)
        run.write_csv(
            "quantum.csv",
            {
                "state": np.array([point.state for point in self.points]),
                "E_QM(C) [eV]": np.array([point.quantum for point in self.points]),
                "E_ML(C) [eV]": np.array([point.ml for point in self.points]),
                "difference [eV]": np.array([point.difference for point in self.points]),
            },
            comment="Per period of the body; only changes of the difference mean anything.",
        )


def corrected_separation(record: EmbeddedRecord) -> tuple[float, float, float] | None:
    """Work of separation of the quantum cell from the first to the last point, by engine and potential, eV/Å²; its area, Å².

    None where C is a cluster, which has no area, or where there are fewer than two points.
    """
    if len(record.points) < 2:
        return None
    region = record.states[-1].zone.region
    assert region is not None
    cell = region.region.cell
    if cell is None:
        return None
    area = float(np.linalg.norm(np.cross(cell.vectors[0], cell.vectors[2]))) / region.repeat
    first, last = record.points[0], record.points[-1]
    return (last.quantum - first.quantum) / area, (last.ml - first.ml) / area, area


def _impurity_rows(first: KeptState, last: KeptState) -> list[Row]:
    zone = last.zone
    if not zone.extras:
        return []
    count = len(last.places) - zone.extras
    moved = float(np.linalg.norm(last.places[count:] - first.places[count:], axis=1).max())
    away = np.linalg.norm(last.places[:count] - last.places[count], axis=1).min()
    extra = zone.sites.extra
    assert extra is not None
    symbol = zone.atoms.symbols[count]
    rounds = extra.rounds / max(extra.searches, 1)
    return [
        ("impurity", "", zone.extras, "", f"{symbol}, {away:.3f} Å from its nearest atom at the end"),
        ("displacement of the impurity", "", moved, "Å", "from the first state to the last"),
        (
            "evaluations for the impurity's rest",
            "",
            rounds,
            "per state of the sites",
            f"{extra.searches} searches; {extra.local_calls} calls on its neighbours alone",
        ),
    ]


def _calls_row(zone: EmbeddedZone[Any]) -> Row:
    """How often the engine was asked, and what its cache spared."""
    assert zone.region is not None
    engine = zone.region.qm
    note = f"{engine.counter.seconds:.1f} s inside the engine"
    record = getattr(engine.calculator, "record", None)
    if record is not None:
        note += f"; {record.fresh} computed, {record.reused} found in the cache"
    return ("calls of the quantum engine", "", engine.counter.calls, "", note)


def _frame(kept: KeptState) -> Atoms:
    """All atoms of a state, with `region`, readable by OVITO."""
    atoms = kept.zone.atoms.copy()
    atoms.positions = kept.places
    names = np.full(len(atoms), "environment", dtype="<U11")
    if kept.zone.region is not None:
        names = kept.zone.region.roles()
    atoms.set_array("region", names)
    count = len(atoms) - kept.zone.extras
    atoms.set_array("impurity", (np.arange(len(atoms)) >= count).astype(int))
    box = np.diag(np.maximum(np.ptp(kept.places, axis=0), 1.0) + 4.0)
    if atoms.pbc[2]:
        box[2] = atoms.cell.array[2]
    atoms.set_cell(box)
    corner = kept.places.min(axis=0) - 2.0
    atoms.info |= {"state": kept.label, "Origin": np.where(atoms.pbc, 0.0, corner)}
    return atoms


def ledger_domains(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Where the terms of quantum regions are counted, for those of these names that are such terms."""
    found = {}
    for name in names:
        for head, domain in DOMAINS.items():
            if name.startswith(head):
                found[name] = domain
    return found
