"""What the embedding study writes: the curve, results, atoms."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from ase.io import write
from mpi4py import MPI

from atomistic.whole_file import write_whole
from multiscale.config import EmbeddingCase
from multiscale.run import RunDirectory, describe_potential
from multiscale.studies.adhesion_files import Row
from multiscale.studies.embedding_measure import WHOLE, Answer, BufferRow, Convergence, Task
from multiscale.studies.embedding_system import EmbeddingSystem
from multiscale.units import format_length

FORCE = "eV/angstrom"


def task_text(system: EmbeddingSystem, task: Task) -> str:
    """An evaluation as the progress shows it."""
    engine = (system.oracle if task.engine == "qm" else system.potential).capabilities.name
    where = "all atoms" if task.part == WHOLE else f"buffer {format_length(system.buffers[task.part])}"
    return f"{engine}, {where}, {task.size} atoms" + (", displaced" if task.displaced else "")


def task_event(system: EmbeddingSystem, task: Task, answer: Answer) -> dict[str, Any]:
    """An evaluation as `events.jsonl` keeps it."""
    return {
        "engine": task.engine,
        "buffer_angstrom": None if task.part == WHOLE else system.buffers[task.part],
        "displaced": task.displaced,
        "atoms": task.size,
        "seconds": round(answer.seconds, 4),
        "reused": answer.reused,
    }


def write_structure(run: RunDirectory, system: EmbeddingSystem) -> None:
    """structure.extxyz: all atoms, with the smallest buffer at which each belongs to the quantum region; 0 in the core."""
    if not run.writes:
        return
    atoms = system.atoms.copy()
    reached = np.full(len(atoms), -1.0)
    for buffer, cluster in zip(reversed(system.buffers), reversed(system.clusters), strict=True):
        reached[cluster.indices] = buffer
    reached[system.core] = 0.0
    core = np.zeros(len(atoms), dtype=bool)
    core[system.core] = True
    for name in [name for name in atoms.arrays if name not in ("numbers", "positions")]:
        del atoms.arrays[name]
    atoms.info = {}
    atoms.set_array("core", core)
    atoms.set_array("in_buffer", reached)
    text = io.StringIO()
    write(text, atoms, format="extxyz", parallel=False)
    write_whole(run.file("structure.extxyz"), text.getvalue())


def write_results(
    run: RunDirectory,
    case: EmbeddingCase,
    system: EmbeddingSystem,
    convergence: Convergence,
    warnings: list[str],
    *,
    comm: MPI.Comm,
) -> None:
    """buffers.csv, results.json, and what `run.json` records about both engines (collective)."""
    write_curve(run, convergence)
    names = ("name", "symbol", "value", "unit", "note")
    rows = quantities(case, system, convergence)
    recommended = convergence.recommended()
    run.write_json(
        "results.json",
        {
            "quantities": [dict(zip(names, row, strict=True)) for row in rows],
            "warnings": warnings,
            "embedding": {
                "tolerance": convergence.tolerance,
                "recommended": recommended,
                "recommended_by_substitution": convergence.recommended("substitution"),
                "alone": convergence.alone.largest,
                "alone_rms": convergence.alone.rms,
                "reference": case.converge.reference,
                "engine": system.oracle.capabilities.name,
                "potential": system.potential.capabilities.name,
                "rows": [_table_row(row) for row in convergence.rows],
                "note": verdict(convergence),
            },
        },
    )
    record = describe_oracle(system, comm=comm)
    run.record(potential=describe_potential(system.potential), engine=record)


def describe_oracle(system: EmbeddingSystem, *, comm: MPI.Comm) -> dict[str, Any]:
    """Return what `run.json` records about the quantum engine; calls and the cache's use are those of all ranks (collective)."""
    entry = describe_potential(system.oracle)
    record = getattr(system.oracle.calculator, "record", None)
    if record is not None:
        entry |= {name: comm.allreduce(getattr(record, name)) for name in ("fresh", "reused", "retried")}
    return entry


def write_curve(run: RunDirectory, convergence: Convergence) -> None:
    """buffers.csv: errors, size and time over the buffer."""
    rows = convergence.rows

    def column(function: Any) -> np.ndarray:
        return np.array([np.nan if (value := function(row)) is None else value for row in rows], dtype=float)

    def rest(name: str) -> np.ndarray:
        return column(lambda row: None if row.remainder is None else getattr(row.remainder, name))

    run.write_csv(
        "buffers.csv",
        {
            "buffer [angstrom]": column(lambda row: row.buffer),
            "atoms": column(lambda row: row.atoms).astype(int),
            "caps": column(lambda row: row.caps).astype(int),
            f"difference largest [{FORCE}]": column(lambda row: row.difference.largest),
            f"difference rms [{FORCE}]": column(lambda row: row.difference.rms),
            f"substitution largest [{FORCE}]": column(lambda row: row.substitution.largest),
            f"substitution rms [{FORCE}]": column(lambda row: row.substitution.rms),
            "energy error [eV]": column(lambda row: row.energy),
            "energy change error [eV]": column(lambda row: row.change),
            "remainder core [eV]": rest("core"),
            "remainder buffer [eV]": rest("buffer"),
            "remainder caps [eV]": rest("caps"),
            "remainder largest core atom [eV]": rest("largest_core"),
            "quantum [s]": column(lambda row: row.quantum_seconds),
            "potential [s]": column(lambda row: row.ml_seconds),
        },
        comment=f"Errors of the core's forces; the potential alone: largest {convergence.alone.largest!r}, rms "
        f"{convergence.alone.rms!r} eV/angstrom.",
    )


def verdict(convergence: Convergence) -> str:
    """What the curve says, in a sentence or two."""
    tolerance, judged = convergence.tolerance, convergence.rows[: convergence.judged]

    def said(form: Literal["difference", "substitution"]) -> str:
        found = convergence.recommended(form)
        if found is None:
            last = getattr(judged[-1], form).largest
            return f"stays above it up to {format_length(judged[-1].buffer)} ({last:.3g} eV/Å)"
        return f"is within it from {format_length(found)} on"

    return (
        f"Tolerance {tolerance:g} eV/Å on every core atom: the difference form F_ML + F_QM(C) − F_ML(C) {said('difference')}; "
        f"plain substitution of F_QM(C) {said('substitution')}. "
        f"The potential alone errs by {convergence.alone.largest:.3g} eV/Å{_worse(judged, convergence.alone.largest)}."
    )


def _worse(rows: Sequence[BufferRow], alone: float) -> str:
    """Words on buffers so narrow that embedding makes forces worse; nothing where none is."""
    harmful = [row.buffer for row in rows if row.difference.largest > alone]
    return f", less than the difference form with a buffer of {format_length(harmful[-1])}" if harmful else ""


def _table_row(row: BufferRow) -> dict[str, Any]:
    """A buffer as the report's table shows it."""
    found: dict[str, Any] = {
        "buffer (Å)": row.buffer,
        "atoms": row.atoms,
        "caps": row.caps,
        "difference, largest (eV/Å)": row.difference.largest,
        "difference, rms (eV/Å)": row.difference.rms,
        "substitution, largest (eV/Å)": row.substitution.largest,
        "substitution, rms (eV/Å)": row.substitution.rms,
    }
    if row.energy is not None:
        found["energy error (eV)"] = row.energy
    if row.change is not None:
        found["energy change error (eV)"] = row.change
    if row.remainder is not None:
        found["remainder, core (eV)"] = row.remainder.core
        found["remainder, buffer and caps (eV)"] = row.remainder.buffer + row.remainder.caps
    return found | {"quantum (s)": row.quantum_seconds, "potential (s)": row.ml_seconds}


def quantities(case: EmbeddingCase, system: EmbeddingSystem, convergence: Convergence) -> list[Row]:
    """The numbers of the run."""
    recommended = convergence.recommended()
    best = next((row for row in convergence.rows if row.buffer == recommended), None)
    engine, potential = system.oracle.capabilities.name, system.potential.capabilities.name
    rows: list[Row] = [
        (
            "recommended buffer",
            "R_b",
            recommended,
            "Å",
            f"within {convergence.tolerance:g} eV/Å from here on" if best else "no buffer is within the tolerance",
        ),
        (
            "recommended buffer, plain substitution",
            "R_s",
            convergence.recommended("substitution"),
            "Å",
            "of F_QM(C) for F_ML, without taking F_ML(C) out",
        ),
        (
            "error of the potential alone",
            "ε_ML",
            convergence.alone.largest,
            "eV/Å",
            f"largest on the core: {potential}",
        ),
        ("largest force on the core", "F_max", convergence.force, "eV/Å", _reference_words(case, engine)),
        ("atoms", "N", len(system.atoms), "", str(system.atoms.symbols)),
        ("atoms of the core", "N_A", len(system.core), "", str(system.atoms[system.core].symbols)),
    ]
    if best is not None:
        rows += _at_recommended(best)
    if convergence.alone_change is not None:
        note = f"core displaced by {format_length(case.converge.displace)}"
        rows.append(("energy change error of the potential alone", "", convergence.alone_change, "eV", note))
    if convergence.whole_seconds is not None:
        rows.append(("seconds of the engine on all atoms", "", convergence.whole_seconds, "s", engine))
    return rows


def _at_recommended(row: BufferRow) -> list[Row]:
    rows: list[Row] = [
        ("force error there", "ε_F", row.difference.largest, "eV/Å", f"largest; rms {row.difference.rms:.3g} eV/Å"),
        ("force error there, plain substitution", "", row.substitution.largest, "eV/Å", "largest"),
        ("atoms of core and buffer", "N_C", row.atoms, "", f"and {row.caps} caps" if row.caps else ""),
    ]
    if row.energy is not None:
        rows.append(
            (
                "energy error there",
                "",
                row.energy,
                "eV",
                "subtractive, all of it: potential against engine outside C as well",
            )
        )
    if row.change is not None:
        rows.append(("energy change error there", "ε_ΔE", row.change, "eV", "subtractive, core displaced"))
    if row.remainder is not None:
        rows.append(
            ("uncancelled remainder, core", "R_A", row.remainder.core, "eV", "miscounted; vanishes with the buffer")
        )
        rest = row.remainder.buffer + row.remainder.caps
        rows.append(("uncancelled remainder, buffer and caps", "", rest, "eV", "the cut surface by the potential"))
    return rows


def _reference_words(case: EmbeddingCase, engine: str) -> str:
    return f"by {engine}, {case.converge.reference}"
