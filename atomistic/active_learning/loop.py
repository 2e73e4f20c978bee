"""The loop: run, doubt, ask, learn, go on from where the potential could be trusted; a stage machine whose state is on disk.

Stages, each of which starts from what is on disk and ends by saving what comes next:

    train     the data set so far makes the potential of the next round
    validate  its errors on held-out frames, its contract, its doubt about the frame that asked
    resume    the run goes back to the last trusted snapshot; the jump of the energy there is written down
    run       steps and checks, until the doubt is too large (label) or the run is at its end
    label     the oracle is asked, frame by frame; each answer is in the data set before the next is asked

A killed process therefore repeats at most one stage, of `run` at most `save_every` checks, of `label` at most one calculation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mpi4py import MPI

from atomistic.active_learning.account import Account, check_of, compare_identity, event_of, identity
from atomistic.active_learning.asking import broken, checked, label_stage
from atomistic.active_learning.base import Cutter, LearningRun, Student
from atomistic.active_learning.doubt import doubting
from atomistic.active_learning.labelling import Passed
from atomistic.active_learning.records import Event, LearningOptions, LearningResult
from atomistic.active_learning.session import Session
from atomistic.active_learning.store import Store
from atomistic.active_learning.teaching import resume_stage, train_stage, validate_stage
from atomistic.errors import LearningError
from atomistic.labelled import LabelledFrame
from atomistic.potentials import as_potential
from atomistic.potentials.base import Potential

if TYPE_CHECKING:
    from atomistic.validation import Contract


def learn(
    run: LearningRun,
    *,
    student: Student,
    oracle: Potential,
    directory: str | Path,
    options: LearningOptions,
    initial: Sequence[LabelledFrame] = (),
    potential: Potential | None = None,
    held_out: Sequence[LabelledFrame] = (),
    contract: Contract | None = None,
    excerpt: Cutter | None = None,
    comm: MPI.Comm | None = None,
    report: Callable[[Event], None] | None = None,
) -> LearningResult:
    """Let a run ask an oracle where its potential is in doubt, learn, and go on from where the potential was trusted.

    Called again with the same folder and the same arguments it goes on where it stopped or was killed, with the same bits.
    Afterwards the run is at its end, or in its last trusted state, with the last potential.

    Args:
        run: what steps; it is given every potential by `adopt`.
        student: what is taught.
        oracle: what answers; an ASE calculator will do.
        directory: of this loop alone: manifest.json, events.jsonl, checks.csv, data/ (the data set), potentials/ (one file by
            round), states/, failed/ (structures that the oracle could not compute).
        options: when to ask and when to stop.
        initial: labelled frames of the first training.
        potential: the first potential instead, a committee that `student.save` can write. With `initial` too, those frames are
            only part of later trainings.
        held_out: frames that are never trained on: their error is watched and the contract is checked on them.
        contract: bounds of accuracy on the held-out frames.
        excerpt: how a piece around the doubtful atom is cut out for the oracle; None: it is asked about whole frames.
        comm: ranks that call together. All step the run; the first one asks, trains and writes, unless a potential's
            evaluations are shared by several ranks themselves.
        report: called on the first rank with every event as it happens.

    Raises:
        LearningError: arguments that do not go together, a folder of another loop or in use, a student that cannot doubt.
        AtomisticError: mistakes in frames, elements or settings. What was labelled is kept, and calling again goes on.
    """
    if contract is not None and not held_out:
        raise LearningError("A contract of accuracy is checked on held-out frames; give `held_out` too.")
    store = Store(directory, comm=comm)
    try:
        session = Session(
            run=run,
            student=student,
            oracle=as_potential(oracle),
            store=store,
            options=options,
            account=Account(identity=identity(options, initial=initial, held_out=held_out)),
            held_out=held_out,
            contract=contract,
            excerpt=excerpt,
            report=report,
        )
        kept = store.manifest()
        if kept is None:
            _begin(session, initial, potential)
        else:
            _go_on(session, Account.of(kept))
        while session.account.stop is None:
            _STAGES[session.account.stage](session)
        return _result(session)
    finally:
        store.close()


def _begin(session: Session, initial: Sequence[LabelledFrame], potential: Potential | None) -> None:
    """Put what is given into the folder."""
    account, store = session.account, session.store
    if initial:
        store.first(lambda: session.data.add(initial))
    if potential is not None:
        doubting(potential)
        store.put("potentials", session.file(0), lambda part: session.student.save(potential, part))
        account.round, account.stage = 0, "validate"
    elif not store.first(lambda: len(session.data)):
        raise LearningError(
            "There is nothing to start from: give `initial` frames with labels, or a committee as the first `potential`."
        )
    session.save()


def _go_on(session: Session, account: Account) -> None:
    """Take up what is in the folder."""
    compare_identity(account.identity, session.account.identity)
    session.account = account
    if account.stop == "finished":
        return
    before, account.stop = account.stop, None
    if before == "contract":
        account.stage = "validate"
    if before == "oracle failed" and account.trigger is not None:
        account.trigger.outcomes = []
    session.note("continued", f"Goes on with the stage {account.stage!r}.", {"stopped": before})


def _run_stage(session: Session) -> None:
    """Steps and checks."""
    account, options, run = session.account, session.options, session.run
    session.enter()
    if options.check_start and not account.trusted_checked:
        session.passed.append(Passed(frame=run.frame(), step=run.step))
        if not checked(session):
            return
    checks = 0
    while not run.finished:
        failure = session.advanced()
        if failure is not None:
            broken(session, failure)
            return
        account.steps_made += 1
        account.farthest = max(account.farthest, run.step)
        session.passed.append(Passed(frame=run.frame(), step=run.step))
        if run.step % options.check_every == 0 or run.finished:
            if not checked(session):
                return
            checks += 1
            if session.trusted is not None and checks % options.save_every == 0:
                session.save()
    account.final = account.name("final")
    session.store.keep(account.final, run.snapshot())
    session.stop("finished")


def _result(session: Session) -> LearningResult:
    """Say how it ended."""
    account, store = session.account, session.store
    potential = session.potential(account.round)
    if account.trusted:
        session.enter()
    always = max(1, account.farthest)
    return LearningResult(
        stop=str(account.stop),
        text=account.text,
        potential=potential,
        rounds=account.round,
        steps=session.run.step,
        steps_made=account.steps_made,
        triggers=account.triggers,
        oracle_calls=account.asked,
        labelled=account.labelled,
        failures=account.failures,
        known=account.known,
        always=always,
        share=account.asked / always,
        potential_calls=account.potential_calls,
        seconds=dict(account.seconds),
        checks=tuple(check_of(line) for line in store.journal("checks.csv")),
        events=tuple(event_of(line) for line in store.journal("events.jsonl")),
        held_out=tuple(account.held_out),
        contract_kept=account.contract[-1] if account.contract else None,
        potentials=tuple(store.path("potentials", session.file(k)) for k in range(account.round + 1)),
        data=session.data.folder,
    )


_STAGES: dict[str, Callable[[Session], None]] = {
    "train": train_stage,
    "validate": validate_stage,
    "resume": resume_stage,
    "run": _run_stage,
    "label": label_stage,
}
