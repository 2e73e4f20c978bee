"""The committee's spread carried through a study: the same case with every member, and what its results differ by.

A committee of K potentials gives one answer, that of its voting members' mean. What the doubt in it means for a work of
separation or a toughness no local measure tells: the study is run K times more, each member alone, and every scalar result
gets the mean, the standard deviation (with K − 1), the least and the largest of its members.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpi4py import MPI

from atomistic.whole_file import write_whole
from multiscale.config.common import CheckedCase
from multiscale.errors import SpreadError
from multiscale.failures import all_arrive, is_ours, save_traceback
from multiscale.progress import Progress
from multiscale.run import RunDirectory, strict_json
from multiscale.spread_results import write_spread

FOLDER = "members"
"""Folder of the members' runs in a run directory."""
MARK = "member.json"
"""File in a member's run that says of what it is: written when it has finished."""
PATIENCE = 120.0
"""Seconds that a rank on which a member failed waits for the others."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One member of a case's committee.

    Attributes:
        number: from 0, as the committee counts.
        name: of its potential.
        case: the same case with this member as its potential.
    """

    number: int
    name: str
    case: CheckedCase

    @property
    def folder(self) -> str:
        """Where it runs, below the run directory."""
        return f"{FOLDER}/{self.number}"


def members_of(case: CheckedCase, *, asked: bool = False) -> tuple[Member, ...]:
    """The members that a case runs with; none where its potential is no committee, or where it does not ask for them.

    Members that don't vote take no part: a foreign potential that only doubts has a bias of its own, which is no spread.

    Args:
        case: of any study.
        asked: whatever the case says about its spread.

    Raises:
        ValueError: a committee's file that cannot be loaded.
    """
    choice, spec = getattr(case, "spread", None), getattr(case, "potential", None)
    if getattr(case, "learning", None) is not None:
        # A study that learns carries the spread of what it has taught, not of what it began with.
        return ()
    if choice is None or (choice == "none" and not asked) or not isinstance(spec, Mapping) or "member" in spec:
        return ()
    return tuple(
        Member(
            number=number,
            name=name,
            case=case.model_copy(update={"potential": {**spec, "member": number}, "spread": "none"}),
        )
        for number, name in _voting(spec, device=getattr(case, "device", "cpu"))
    )


def _voting(spec: Mapping[str, Any], *, device: str) -> list[tuple[int, str]]:
    """Numbers and names of the members whose mean the potential is; none where fewer than two vote."""
    if "committee" in spec and not any(_may_be_several(member) for member in spec["committee"]):
        votes = set(spec.get("voting") or range(len(spec["committee"])))
        found = [(k, _name(member)) for k, member in enumerate(spec["committee"]) if k in votes]
    elif _may_be_several(spec):
        from atomistic.committee import committee_of
        from atomistic.potentials import load_potential

        committee = committee_of(load_potential(spec, device=device))
        named = [] if committee is None else list(zip(committee.names, committee.votes, strict=True))
        found = [(k, name) for k, (name, votes) in enumerate(named) if votes]
    else:
        found = []
    return found if len(found) > 1 else []


def _may_be_several(spec: Any) -> bool:
    """Whether a potential may be a committee: only loading a file of heads tells how many they are."""
    return isinstance(spec, Mapping) and ("committee" in spec or str(spec.get("path", "")).endswith(".npz"))


def _name(spec: Any) -> str:
    """What a member is called: of several LAMMPS potentials each by its file."""
    from multiscale.report_words import potential_name

    files = spec.get("files") if isinstance(spec, Mapping) else None
    return Path(str(files[0])).stem if files else potential_name({"potential": spec})


def prediction(case: CheckedCase) -> tuple[list[tuple[str, str]], list[str]]:
    """What ``validate`` tells about the spread: rows and warnings."""
    members = members_of(case)
    if not members:
        return [], []
    count = len(members)
    rows = [("committee", f"{count} members: {', '.join(member.name for member in members)}")]
    rows.append(("runs", f"{count + 1}: the committee's mean, then every member; spread: none for the mean alone"))
    if case.study not in COSTLY:
        return rows, []
    return rows, [
        f"with a committee of {count} the whole {case.study} runs {count + 1} times, for results with their spread: {count + 1} "
        'times the calls above. Write spread: none for the mean alone; "multiscale spread DIR" adds the members later'
    ]


COSTLY = ("fracture", "defect")
"""Studies whose runs are long."""


def complete_spread(directory: str | Path, *, comm: MPI.Comm, progress: Progress | None = None) -> None:
    """Add the members to a run whose mean is there, or those that are missing, and make its report again (collective).

    Raises:
        SpreadError: the run did not get to its results, or its potential is no committee.
        RunExistsError: the directory holds no run.
    """
    from multiscale.config.load import STUDIES
    from multiscale.report import make_report
    from multiscale.studies.learning_effect import warn_of_effect

    progress = progress or Progress.silent()
    run = RunDirectory.reopen(directory, comm=comm)
    study = (run.recorded.get("case") or {}).get("study")
    if run.recorded.get("story") != "finished" or study not in STUDIES:
        raise SpreadError(f"the run in {directory} did not get to its results. Run its case again")
    case = STUDIES[study](**run.recorded.get("spread_case", run.recorded["given"]))
    if not members_of(case, asked=True):
        raise SpreadError(
            f"the potential of the run in {directory} is no committee: its results have no spread. Give {{committee: [...]}} or "
            "the heads of a taught potential"
        )
    carry_spread(case, run, comm=comm, progress=progress, asked=True)
    if run.writes:
        warn_of_effect(run)
    run.record(status="finished")
    if comm.rank == 0:
        make_report(run.path)


def carry_spread(
    case: CheckedCase, run: RunDirectory, *, comm: MPI.Comm, progress: Progress, asked: bool = False
) -> None:
    """Run the study with every member and put the spread into the results (collective); nothing without a committee.

    A member whose run in the directory is finished, of the same case and model files, is not repeated, and one in the middle of
    its run is resumed where the whole is. One that fails is kept out of the spread, and results, report and events say so.
    """
    members = members_of(case, asked=asked)
    if not members:
        return
    failed: dict[int, str] = {}
    listener = progress.listener
    run.record(spread_case=case.model_dump(mode="json", exclude_unset=True))
    run.event("spread_started", members=[member.name for member in members])
    with progress.phase("members", total=len(members)) as phase:
        for member in members:
            phase.advance(0, f"{member.name}, {member.number + 1} of {len(members)}")
            directory = run.path / member.folder
            mark = _fingerprint(member)
            here = {"member": member.number, "name": member.name}
            if comm.bcast(_finished(directory, mark) if comm.rank == 0 else None, root=0):
                run.event("member_kept", **here)
            elif (cause := _run_member(member, directory, comm)) is not None:
                failed[member.number] = cause
                run.event("member_failed", **here, cause=cause)
            else:
                if comm.rank == 0:
                    write_whole(directory / MARK, strict_json(mark) + "\n")
                run.event("member_finished", **here)
            phase.advance(1)
    progress.listener = listener
    if run.writes:
        write_spread(run, [member.name for member in members], [member.folder for member in members], failed)


def _run_member(member: Member, directory: Path, comm: MPI.Comm) -> str | None:
    """Run a member (collective); returns why it failed, the same on every rank."""
    from multiscale.resume import within_another
    from multiscale.studies import runner

    agreement = comm.Dup()
    error: Exception | None = None
    try:
        with within_another(directory, member.case, comm=comm):
            runner(member.case)(member.case, directory=directory, comm=comm, progress=Progress.silent(), force=True)
    except Exception as found:  # whatever goes wrong in one member must not cost the others
        error = found
    # A rank whose part went well waits for the others to end theirs; one that failed not for ever: they may wait for it.
    if not all_arrive(agreement, math.inf if error is None else PATIENCE):
        assert error is not None
        raise error
    causes = comm.allgather(None if error is None else _cause(error, directory))
    agreement.Free()
    return next((cause for cause in causes if cause is not None), None)


def _cause(error: Exception, directory: Path) -> str:
    """What to tell about a member's failure; a defect's traceback is kept beside its run."""
    return str(error) if is_ours(error) else f"{type(error).__name__}: {error}{save_traceback(error, directory)}"


def _fingerprint(member: Member) -> dict[str, Any]:
    """What decides a member's results: its case and the content of its model files."""
    return {"case": member.case.model_dump(mode="json"), "files": dict(_files(getattr(member.case, "potential", None)))}


def _files(spec: Any) -> Iterator[tuple[str, str]]:
    """SHA-256 of every file that a potential's specification names."""
    if isinstance(spec, Mapping):
        for value in spec.values():
            yield from _files(value)
    elif isinstance(spec, list | tuple):
        for value in spec:
            yield from _files(value)
    elif isinstance(spec, str) and Path(spec).is_file():
        yield spec, hashlib.sha256(Path(spec).read_bytes()).hexdigest()


def _finished(directory: Path, mark: Mapping[str, Any]) -> bool:
    """Whether a directory holds a finished run of just this member."""
    try:
        run = json.loads((directory / "run.json").read_text(encoding="utf-8"))
        there = json.loads((directory / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    wanted = json.loads(strict_json(mark))
    return run.get("status") == "finished" and (directory / "results.json").is_file() and there == wanted
