"""Doubt, and what follows from it: which frame asks, what the oracle answers, what is done where it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from atomistic.active_learning.account import Trigger
from atomistic.active_learning.doubt import Judgement, counted_errors
from atomistic.active_learning.labelling import Answer, Candidate, Passed, ask, candidates, frames_from, frames_to
from atomistic.active_learning.records import STOPS, Check
from atomistic.active_learning.session import Session
from atomistic.errors import EvaluationError, ExcerptError
from atomistic.labelled import LabelledFrame, write_frames
from atomistic.ranks import on_first_rank

SYMMETRIC = 1e-5
"""Disagreement, eV/Å, below which a first check is that of a structure without forces."""


def checked(session: Session) -> bool:
    """Look at the doubt; return whether the run goes on."""
    account, here = session.account, session.passed[-1]
    judged = session.judge(here.frame)
    if judged is None:
        broken(session, "The committee gave no usable answer.")
        return False
    check = Check(
        round=account.round,
        step=here.step,
        disagreement=judged.largest,
        atom=judged.atom,
        trusted=judged.trusted,
        novelty=judged.most_novel,
    )
    session.check(check)
    if not judged.trusted:
        return not _asks(session, judged)
    if not account.trusted_checked and judged.largest < SYMMETRIC:
        text = (
            f"The first check finds {judged.largest:.1g} eV/Å: where symmetry leaves no forces, as in a perfect crystal, members "
            "agree whatever they know. Start from displaced atoms or at a temperature"
        )
        session.note("symmetric", text, {"disagreement": judged.largest})
    session.trusted, account.trusted_checked = session.run.snapshot(), True
    session.home = here
    session.passed.clear()
    return True


def _asks(session: Session, judged: Judgement) -> bool:
    """Make a trigger of the last frame, unless its label is there already: then asking again would teach nothing."""
    step = session.run.step
    passed, judged = _physical(session, list(session.passed), judged)
    found = candidates(passed, judged, session.choice)
    if _known(session, found[0]):
        session.account.known += 1
        text = f"Step {step}: {session.words(judged)} about a frame that has its label already; the run goes on."
        session.note("known", text, {"disagreement": judged.largest})
        return False
    _trigger(session, "doubt", judged, found, f"Step {step}: {session.words(judged)}.")
    return True


def _physical(session: Session, passed: list[Passed], judged: Judgement) -> tuple[list[Passed], Judgement]:
    """Go back to a frame whose doubt is below the ceiling."""
    ceiling = session.options.ceiling
    if ceiling is None:
        return passed, judged
    while judged.largest > ceiling and len(passed) > 1:
        passed = passed[:-1]
        judged = session.judge(passed[-1].frame) or judged
    return passed, judged


def broken(session: Session, why: str) -> None:
    """Make a trigger of the newest frame that can be judged and is not labelled yet; else the loop stops."""
    assert session.home is not None
    frames = [session.home, *session.passed]
    for count in range(len(frames), 0, -1):
        judged = session.judge(frames[count - 1].frame)
        if judged is None:
            continue
        found = candidates(frames[:count], judged, session.choice)
        if not _known(session, found[0]):
            session.note("broken", f"After step {frames[-1].step}: {why}", {"why": why})
            _trigger(session, "broken", judged, found, f"The frame of step {found[0].step} is labelled instead.")
            return
    session.stop("run failed", f"after step {frames[-1].step}, where nothing new is left to be labelled: {why}")


def _trigger(session: Session, reason: str, judged: Judgement, found: list[Candidate], text: str) -> None:
    account = session.account
    account.triggers += 1
    name = account.name("asked")
    session.store.keep(name, frames_to(found))
    account.trigger = Trigger(
        number=account.triggers,
        reason=reason,
        step=found[0].step,
        disagreement=judged.largest,
        novelty=judged.most_novel,
        state=name,
    )
    account.stage = "label"
    figures = {"number": account.triggers, "reason": reason, "disagreement": judged.largest, "atom": judged.atom}
    if session.limits.novelty is not None:
        figures["novelty"] = judged.most_novel
    session.note("trigger", text, figures)
    session.save()


def label_stage(session: Session) -> None:
    """Ask about one candidate after the other; a killed process repeats one calculation at most."""
    account, options, trigger = session.account, session.options, session.account.trigger
    assert trigger is not None
    found = frames_from(session.store.state(trigger.state))
    outcomes = trigger.outcomes
    spent, last = "", ""
    while (
        outcomes.count("labelled") < options.frames_per_trigger
        and outcomes.count("failed") <= options.neighbours
        and len(outcomes) < len(found)
    ):
        if account.asked >= options.budget:
            first = f", {options.spent} of them for first frames" if options.spent else ""
            spent = f"all {options.budget + options.spent} calculations of the oracle are made{first}; a larger budget goes on"
            break
        answer = _asked(session, found[len(outcomes)], trigger)
        if answer.kind == "budget":
            spent = answer.why
            break
        outcomes.append(answer.kind)
        last = answer.why or last
        session.save()
    if "labelled" in outcomes:
        account.stage = "train"
        session.save()
    elif spent:
        session.stop("budget", spent)
    else:
        session.stop("oracle failed", f"{STOPS['oracle failed']} (the last failure: {last})")


def _there(session: Session, candidate: Candidate) -> LabelledFrame | None:
    """The label of a candidate in the data set."""
    try:
        return session.data.find(candidate.piece(session.excerpt).atoms)
    except ExcerptError:
        return None


def _known(session: Session, candidate: Candidate) -> bool:
    return session.store.first(lambda: _there(session, candidate) is not None)


def _asked(session: Session, candidate: Candidate, trigger: Trigger) -> Answer:
    """The oracle's answer about a candidate, in the data set."""
    account, number = session.account, len(trigger.outcomes)
    mark = {"trigger": trigger.number, "candidate": number}
    there = session.store.first(lambda: _there(session, candidate))
    if there is None:
        answer = _fresh(session, candidate, {**mark, "round": account.round, "reason": trigger.reason})
        if answer.kind == "budget":
            return answer
    else:
        learning = there.provenance.get("learning", {})
        mine = all(learning.get(key) == value for key, value in mark.items())
        # A killed process may have come as far as the data set.
        answer = Answer(frame=there, kind="labelled" if mine else "known")
    account.asked += answer.kind != "known"
    if answer.kind == "failed":
        account.failures += 1
        _failed(session, candidate, answer.why, f"trigger-{trigger.number:04d}-{number}.extxyz")
    elif answer.frame is not None and answer.kind == "labelled":
        account.labelled += 1
        error = _error(session, answer.frame)
        figures = {**mark, "of_step": candidate.step, "error": error, "seconds": answer.seconds}
        text = f"The oracle labelled the frame of step {candidate.step}; the largest force error was {error:.4g} eV/Å."
        session.note("labelled", text, figures)
    return answer


def _fresh(session: Session, candidate: Candidate, origin: dict[str, Any]) -> Answer:
    session.tell("asking", f"Asks the oracle about the frame of step {candidate.step}.", {})
    origin = {**dict(candidate.frame.note), **origin, "step": candidate.step, "atom": candidate.centre}
    with session.account.timed("oracle"):
        answer = on_first_rank(
            lambda: ask(session.oracle, candidate, session.excerpt, origin=origin),
            potential=session.oracle,
            comm=session.comm,
        )
    if session.comm is not None:
        # Ranks that share an evaluation may name its failure differently.
        answer = session.comm.bcast(answer, root=0)
    labelled = answer.frame
    if labelled is not None:
        session.store.first(lambda: session.data.add(labelled))
    return answer


def _failed(session: Session, candidate: Candidate, why: str, name: str) -> None:
    """Write down a failure and keep its structure."""

    def write(part: Path) -> None:
        try:
            piece = candidate.piece(session.excerpt)
        except ExcerptError:
            piece = candidate.piece(None)
        write_frames(part, [piece])

    path = session.store.put("failed", name, write)
    text = f"The oracle failed at the frame of step {candidate.step} ({why}); it is kept in failed/{path.name}."
    session.note("oracle failed", text, {"of_step": candidate.step, "why": why})


def _error(session: Session, frame: LabelledFrame) -> float:
    """The largest force error of the present potential on a frame that it has not been taught, eV/Å."""

    potential = session.present

    def first() -> float:
        return float(np.linalg.norm(counted_errors(potential, frame), axis=1).max())

    try:
        return on_first_rank(first, potential=potential, comm=session.comm)
    except EvaluationError:
        return float("nan")
