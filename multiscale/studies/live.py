"""The live law of the adhesion study: the interface carries the atomistic cell itself, asked while the specimen is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mpi4py import MPI

from continuum.checkpoint import Keep
from continuum.options import SolverOptions
from continuum.path import PathOptions, trace
from continuum.solid import Solid
from continuum.solvers import Step, follow
from coupling.live import InterfaceCell, LiveLaw, LiveRecord, follow_live
from multiscale.config import AdhesionCase
from multiscale.run import RunDirectory
from multiscale.studies.interface import InterfaceCharacter


def live_law(case: AdhesionCase, interface: InterfaceCharacter, *, comm: MPI.Comm, run: RunDirectory) -> LiveLaw:
    """The cell of a case's interface as its law; evaluated openings are kept in the run's ``cells.csv`` (collective).

    Args:
        case: its law is ``live``.
        interface: potential and crystal.
        comm: ranks that share new cells.
        run: where it is written.
    """
    cache = run.file("cells.csv")
    if run.writes and "resumed" in run.recorded:
        # What the run had asked before comes back with its state, or from its memory, and counts as asked by it.
        cache.unlink(missing_ok=True)
    cell = InterfaceCell(
        potential=interface.potential,
        crystal=interface.crystal,
        plane=case.interface.plane,
        growth=case.interface.growth,
        n_planes=case.decohesion.planes,
        cut=case.interface.cut,
    )
    return LiveLaw(
        cell,
        tolerance=case.law.tolerance,
        comm=comm,
        unloading=case.law.unloading,
        stiffness_cap=case.law.stiffness_cap,
        cache=cache,
    )


def load(
    case: AdhesionCase,
    solid: Solid,
    loads: Sequence[float],
    options: SolverOptions,
    *,
    on_step: Callable[[Step], None],
    state: Mapping[str, Any] | None = None,
    keep: Keep | None = None,
) -> LiveRecord | None:
    """Take the specimen through its loads as the case asks: the record of a live law, None of any other (collective).

    With `state`, from where a walk through the same loads stood that gave it to `keep`.
    """
    walk: dict[str, Any] = {"on_step": on_step, "state": state, "keep": keep}
    if case.law.type == "live":
        return next(iter(follow_live(solid, loads, options=options, **walk).records.values()))
    if case.solver.snap_back == "follow":
        path = PathOptions(rtol=options.rtol, max_iterations=options.max_iterations)
        trace(solid, to=loads[-1], step=loads[-1] / len(loads), options=path, **walk)
    else:
        follow(solid, loads, options=options, **walk)
    return None


def live_quantities(record: LiveRecord | None) -> list[tuple[str, str, float | str | None, str, str]]:
    """Rows of the results: what the live law has cost and what it knows of its error."""
    if record is None:
        return []
    note = f"{record.active_points_asked} points in the cohesive zone asked: {record.saved:.0f} times as many"
    return [
        ("cells evaluated by the live law", "", record.evaluations, "", note),
        ("estimated error of its traction", "", 100 * record.largest_estimate, "%", "of the peak traction, largest"),
    ]


def live_warnings(record: LiveRecord | None) -> list[str]:
    """What the reader of a live law's results should know."""
    if record is None or not record.unresolved:
        return []
    places = ", ".join(f"{a:.2f} to {b:.2f} Å" for a, b in record.unresolved[:3])
    return [
        f"the live law could not bring its estimated error below law.tolerance at openings of {places}: the cell's energy has "
        "steps or kinks there, as some tables of potentials have at their cutoff"
    ]
