"""Going on with a run that was stopped or killed, from its directory alone."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from multiscale.config.common import CheckedCase
from multiscale.progress import Progress
from multiscale.run import RunDirectory, strict_json
from multiscale.survival import RunOptions, present_options, run_options

#: What `multiscale rerun` offers, and a resumed run, whose states belong to one case, cannot take.
_INPUTS = ", or give --inputs DIR with a folder that holds it"
#: What ``run.json`` says of runs that came neither to their end nor to an error: killed, stopped well, interrupted.
_UNFINISHED = ("running", "stopped", "interrupted")


def resume_run(
    directory: str | Path, *, comm: Any, progress: Progress | None = None, options: RunOptions | None = None
) -> bool:
    """Go on with the run in a directory to the end of its own case, never beyond (collective).

    The case is the one that ``run.json`` records; nothing of it can be changed. The number of ranks can.

    Args:
        directory: of the run.
        comm: the ranks.
        progress: shown on rank 0; silent if None.
        options: of saving and stopping; the defaults if None.

    Returns:
        False where the run was finished already, and nothing was done.

    Raises:
        RunExistsError: on all ranks; the directory holds no run.
        RerunError: on all ranks; the run is of something that has no checkpoints, or its model or input files have changed.
        CheckpointError: on all ranks; what was kept cannot be gone on with.
        StoppedError: on all ranks; the run was asked to stop again.
    """
    from multiscale.report import make_report
    from multiscale.rerun import RerunError, case_and_runner, plan_together

    where = Path(directory).absolute()
    if RunDirectory.reopen(where, comm=comm).recorded.get("status") == "finished":
        if comm.rank == 0 and not (where / "report.html").exists():
            # Killed while it was made.
            make_report(where)
        return False
    try:
        plan = plan_together(where, comm, inputs=None)
        case, run_case = case_and_runner(plan, where)
    except RerunError as error:
        raise RerunError(str(error).replace(_INPUTS, "")) from None
    if not isinstance(case, CheckedCase):
        raise RerunError(f"{directory} is a run of {plan.study}, which keeps nothing to go on from. Run it again")
    if changed := [str(difference) for difference in plan.differences if difference.files]:
        raise RerunError(
            f"{directory} cannot be gone on with: {'; '.join(changed)}. Bring back what was there before, or begin again: "
            f"multiscale run CASE.yaml -o {shlex.quote(str(directory))} --force"
        )
    if progress is not None:
        for difference in plan.differences:
            progress.note(f"resumed with another {difference}")
    with run_options(replace(options or RunOptions(), resume=True)):
        run_case(case, directory=directory, comm=comm, progress=progress)
    return True


@contextmanager
def within_another(directory: str | Path, case: Any, *, comm: Any) -> Iterator[None]:
    """Carry out a run that is part of another one, in a folder of that: a member of a committee, the study before a lesson.

    Where the whole is resumed and the part stands in the middle of this very case, it is resumed, else it begins anew
    (collective).

    Args:
        directory: of the part.
        case: of the part.
        comm: the ranks.
    """
    options = present_options()
    there = options.resume and (comm.rank != 0 or _in_the_middle(Path(directory), case))
    with run_options(replace(options, resume=comm.bcast(there, root=0))):
        yield


def _in_the_middle(directory: Path, case: Any) -> bool:
    """Whether a directory holds a run of a case that was stopped or killed."""
    try:
        recorded = json.loads((directory / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    wanted = json.loads(strict_json(case.model_dump(mode="json")))
    return recorded.get("status") in _UNFINISHED and recorded.get("case") == wanted
