"""A case looked at, costed and told: the work of ``multiscale run CASE --dry-run``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from multiscale.cost.coefficients import merged, observe, read_coefficients
from multiscale.cost.forecast import Forecast, Layout, forecast
from multiscale.cost.machine import Machine, cores, keep, this_machine, whole_memory, with_observations
from multiscale.cost.outlines import survey_case
from multiscale.cost.records import find_runs, read_case
from multiscale.errors import CostError
from multiscale.progress import format_seconds

_GIGABYTE = 1e9


def dry_run(case: Any, *, ranks: int | None = None, records: Sequence[Path] = ()) -> Forecast:
    """Predict time and memory of a case on this machine; runs on this process alone.

    Args:
        case: of any study.
        ranks: the most ranks to tell of; this machine's cores by default.
        records: directories of runs that were made on this machine, or folders of such; what they say is kept.

    Raises:
        CostError: a number of ranks below one, or records without a run that can be learnt from.
        ValueError: with the cause, for anything in the case that its run would refuse as well.
    """
    if ranks is not None and ranks < 1:
        raise CostError(f"-n {ranks}: expected a number of ranks from 1")
    survey = survey_case(case)
    usual, beside = read_coefficients()
    machine = this_machine()
    speed = beside["probe_seconds"] / machine.probe_seconds
    if records:
        machine = learn(machine, records, speed=speed)
        keep(machine)
    told = [observation for entries in machine.observations.values() for observation in entries]
    return forecast(
        survey,
        merged(usual, told),
        speed=speed,
        ranks=doubled(ranks or cores()),
        memory=whole_memory(),
    )


def learn(machine: Machine, records: Sequence[Path], *, speed: float) -> Machine:
    """The machine with what recorded runs say of their coefficients; runs that are known already are not looked at again.

    Raises:
        CostError: there is no run that can be learnt from.
    """
    runs = find_runs(records)
    for record in runs:
        if record.key not in machine.observations:
            stages = survey_case(read_case(record)).stages
            machine = with_observations(machine, record.key, observe(stages, record.work, speed=speed))
    return machine


def doubled(most: int) -> list[int]:
    """1, 2, 4 ... up to a number of ranks, and that number."""
    counts = [1]
    while counts[-1] * 2 <= most:
        counts.append(counts[-1] * 2)
    return sorted({*counts, most})


def as_json(found: Forecast) -> dict[str, Any]:
    """Everything that is told, and the survey's open numbers, for programs."""
    survey = found.survey
    return {
        "recommended_ranks": found.recommended,
        "layouts": [asdict(layout) for layout in found.layouts],
        "stages": [asdict(stage) for stage in found.stages],
        "survey": {
            "seconds": survey.seconds,
            "memory": survey.memory,
            "unknowns": survey.unknowns,
            "sizes": survey.sizes,
            "missing": survey.missing,
            "kind": survey.kind,
            "members": survey.members,
            "stages": [asdict(stage) for stage in survey.stages],
        },
    }


def print_forecast(path: Path, found: Forecast) -> None:
    """Tell a person."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    survey = found.survey
    console.print(f"[bold]{path}[/bold] will cost, on this machine with nothing else running:", soft_wrap=True)
    sizes = Table(show_header=False, box=None, padding=(0, 2))
    for label, value in survey.sizes.items():
        sizes.add_row(label, f"[bold]{value}[/bold]")
    console.print(sizes)
    stages = Table("stage", "one rank", "calls of a potential", "how it is known", box=None, padding=(0, 2))
    for row in _rows(found):
        stages.add_row(*row)
    console.print(stages)
    layouts = Table(
        "ranks", "time", "two runs of three within", "memory of each rank", "of all", box=None, padding=(0, 2)
    )
    for layout in found.layouts:
        layouts.add_row(*_layout_row(layout, recommended=layout.ranks == found.recommended))
    console.print(layouts)
    console.print(
        f"Recommended: {found.recommended} {'rank' if found.recommended == 1 else 'ranks'}. {_why(found)}",
        soft_wrap=True,
    )
    for missing in survey.missing:
        console.print(f"[yellow]not in it:[/yellow] {missing}", soft_wrap=True)
    console.print(f"This prediction took {format_seconds(survey.seconds)}.")


def _rows(found: Forecast) -> list[tuple[str, str, str, str]]:
    phases = list(dict.fromkeys(stage.phase for stage in found.stages))
    rows = []
    for phase in phases:
        stages = [stage for stage in found.stages if stage.phase == phase]
        calls = sum(stage.calls for stage in stages)
        known = "measured now" if all(stage.known for stage in stages) else "recorded runs"
        seconds = sum(stage.seconds for stage in stages)
        rows.append((phase, format_seconds(seconds), f"{calls:.0f}" if calls else "", known))
    return rows


def _layout_row(layout: Layout, *, recommended: bool) -> tuple[str, ...]:
    memory, room = layout.memory / _GIGABYTE, "" if layout.fits else " (more than this machine has)"
    return (
        f"{layout.ranks}{' *' if recommended else ''}",
        format_seconds(layout.seconds),
        f"{format_seconds(layout.low)} to {format_seconds(layout.high)}",
        f"{memory:.2f} GB",
        f"{memory * layout.ranks:.2f} GB{room}",
    )


def _why(found: Forecast) -> str:
    """What more ranks would bring."""
    one, most = found.layouts[0], found.layouts[-1]
    if most.ranks == 1:
        return "More cores were not asked about."
    shared = sum(stage.seconds for stage in found.stages if stage.pieces > 1) / sum(s.seconds for s in found.stages)
    if found.recommended == 1:
        return f"Ranks share {shared:.0%} of the work only: {most.ranks} would take {most.seconds / one.seconds:.0%} of the time."
    best = found.on(found.recommended)
    return f"Ranks share {shared:.0%} of the work: it takes {best.seconds / one.seconds:.0%} of one rank's time."
