"""What every study does around its story: a run directory, the committee's members, a record of how it ended, and the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mpi4py import MPI

from multiscale.config.common import CheckedCase
from multiscale.errors import LearningStoppedError
from multiscale.progress import Progress
from multiscale.report import make_report
from multiscale.run import RunDirectory
from multiscale.spread import carry_spread


def launch[Case: CheckedCase, Result](
    case: Case,
    story: Callable[[Case, RunDirectory, MPI.Comm, Progress], Result],
    *,
    directory: str | Path,
    comm: MPI.Comm,
    progress: Progress | None,
    force: bool,
    reported: type[Exception] | tuple[()] = (),
) -> Result:
    """Tell a story in its run directory, once more with every member of a committee, and make the report (collective).

    Args:
        case: what to do.
        story: the study itself.
        directory: where everything is written; must be new or empty unless `force`.
        comm: the ranks.
        progress: shown on rank 0; silent if None.
        force: write into a directory that is not empty.
        reported: an error that leaves results behind: a report is made of them before it is raised, as it always is of a
            learning that stopped.

    Returns:
        What the story returns, on every rank.
    """
    progress = progress or Progress.silent()
    run = RunDirectory(directory, case=case, comm=comm, force=force)
    progress.listener = run.event
    try:
        result = story(case, run, comm, progress)
        # Defaults left out: keys that belong to others' company are refused where they are written out.
        run.record(story="finished", given=case.model_dump(mode="json", exclude_unset=True))
        carry_spread(case, run, comm=comm, progress=progress)
    except BaseException as error:
        run.fail(error, phases=progress.seconds)
        if isinstance(error, (LearningStoppedError, reported)) and comm.rank == 0:
            make_report(run.path)
        if isinstance(error, LearningStoppedError):
            # Every rank meets it, and none must take rank 0, still at its report, for lost.
            comm.Barrier()
        raise
    run.finish("finished", phases=progress.seconds)
    if comm.rank == 0:
        with progress.phase("report"):
            make_report(run.path)
    return result
