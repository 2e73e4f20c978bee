"""What every study does around its story: a run directory, what survives a stop, the committee's members, a record of how it
ended, and the report.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mpi4py import MPI

from atomistic.potentials.memory import Memory, remembering
from multiscale.at_work import at_work
from multiscale.checkpoint import FOLDER, Checkpoints
from multiscale.config.common import CheckedCase
from multiscale.cost.meter import Meter
from multiscale.errors import LearningStoppedError, StoppedError
from multiscale.failures import mark_failed
from multiscale.progress import Progress
from multiscale.report import make_report
from multiscale.run import RunDirectory
from multiscale.spread import carry_spread
from multiscale.stopping import Stopper, present_stopper
from multiscale.survival import RunOptions, present_options
from multiscale.watchdog import watching


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

    Within `multiscale.survival.run_options` the run may go on where an earlier one was stopped, and stops as asked there.

    Args:
        case: what to do.
        story: the study itself.
        directory: where everything is written; must be new or empty unless `force`, or there is a run to resume.
        comm: the ranks.
        progress: shown on rank 0; silent if None.
        force: write into a directory that is not empty.
        reported: an error that leaves results behind: a report is made of them before it is raised, as it always is of a
            learning that stopped.

    Returns:
        What the story returns, on every rank.

    Raises:
        AtWorkError: on all ranks; another process is at work in the directory.
        StoppedError: on all ranks, where the run was asked to stop: what it had reached is kept.
        CheckpointError: on all ranks; what was kept cannot be gone on with, or cannot be written.
    """
    with at_work(directory, comm=comm):
        return _launch(case, story, directory, comm, progress or Progress.silent(), force, reported)


def _launch[Case: CheckedCase, Result](
    case: Case,
    story: Callable[[Case, RunDirectory, MPI.Comm, Progress], Result],
    directory: str | Path,
    comm: MPI.Comm,
    progress: Progress,
    force: bool,
    reported: type[Exception] | tuple[()],
) -> Result:
    """`launch` in a directory in which nobody else is at work."""
    options = present_options()
    run = RunDirectory(directory, case=case, comm=comm, force=force, resume=options.resume)
    meter = Meter()
    progress.listener = meter.listening(run.event)
    try:
        # Defaults left out: keys that belong to others' company are refused where they are written out.
        run.record(given=case.model_dump(mode="json", exclude_unset=True))
        with _surviving(case, run, comm, progress, options) as checkpoints:
            result = story(case, run, comm, progress)
            run.record(story="finished")
            carry_spread(case, run, comm=comm, progress=progress)
            run.record(saving=checkpoints.costs)
            checkpoints.remove()
    except BaseException as error:
        run.fail(error, phases=progress.seconds)
        if isinstance(error, (LearningStoppedError, reported)) and comm.rank == 0:
            make_report(run.path)
        if isinstance(error, LearningStoppedError):
            # Every rank meets it, and none must take rank 0, still at its report, for lost.
            comm.Barrier()
        raise
    work = meter.gathered(comm)
    run.record(work=work)
    run.finish("finished", phases=progress.seconds)
    if comm.rank == 0:
        with progress.phase("report"):
            make_report(run.path)
        run.record(work=[meter.work(), *work[1:]])
    return result


@contextmanager
def _surviving(
    case: CheckedCase, run: RunDirectory, comm: MPI.Comm, progress: Progress, options: RunOptions
) -> Iterator[Checkpoints]:
    """Keep what the run reaches, and listen for what asks it to stop; a run within another one stops with that one."""
    stopper = present_stopper() or Stopper(run.path, comm=comm, time_limit=options.time_limit)
    folder = run.path / FOLDER
    memory = None
    if run.writes:
        folder.mkdir(exist_ok=True)
    comm.Barrier()
    if options.save != "never" or options.resume:
        memory = Memory(folder, rank=comm.rank, recording=options.save != "never")
        memory.sign = stopper.at_evaluation
    comm.Barrier()
    checkpoints = Checkpoints(
        folder,
        case=hashlib.sha256(case.model_dump_json().encode()).hexdigest(),
        options=options,
        comm=comm,
        stopper=stopper,
        memory=memory,
        passing=lambda: {**run.passing(), "phases": progress.seconds},
    )
    if checkpoints.latest is not None:
        progress.seconds.update(checkpoints.latest.get("phases", {}))
    run.survive(checkpoints)
    watched = watching(
        options.watchdog,
        directory=run.path,
        rank=comm.rank,
        whereabouts=progress.stand,
        on_end=lambda text: mark_failed(run.path, text),
    )
    with stopper.listening(), remembering(memory), watched:
        try:
            yield checkpoints
        except StoppedError:
            stopper.clear()
            raise
