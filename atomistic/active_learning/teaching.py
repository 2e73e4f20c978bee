"""Stages train, validate and resume: what is learnt, what it is worth, and the way back into the run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from atomistic.active_learning.account import Trigger
from atomistic.active_learning.labelling import frames_from
from atomistic.active_learning.session import Session
from atomistic.errors import LearningError
from atomistic.validation import validate


def train_stage(session: Session) -> None:
    """Train on the data set as its file has it, so that interruptions make no difference."""
    account, number = session.account, session.account.round + 1
    session.tell("training", f"Trains the potential of round {number}.", {})

    def train(part: Path) -> None:
        potential = session.student.train(session.data.frames(), held_out=session.held_out)
        session.student.save(potential, part)

    began = time.perf_counter()
    with account.timed("train"):
        session.store.put("potentials", session.file(number), train)
    frames = session.store.first(lambda: len(session.data))
    account.round, account.stage = number, "validate"
    text = f"Round {number}: trained on {frames} frames."
    session.note("trained", text, {"frames": frames, "seconds": time.perf_counter() - began})
    session.save()


def validate_stage(session: Session) -> None:
    """Measure what was learnt."""
    account = session.account
    figures: dict[str, Any] = {}
    improved = account.round == 0
    with account.timed("validate"):
        if session.held_out:
            improved |= _watch(session, figures)
        if account.trigger is not None:
            improved |= _doubt_now(session, account.trigger, figures)
    account.improved[account.round :] = [improved]
    account.stage = "resume"
    session.note("validated", _validated(account.round, figures), {**figures, "improved": improved})
    session.save()


def _watch(session: Session, figures: dict[str, Any]) -> bool:
    """Measure the error on the held-out frames, check the contract; return whether the error fell."""
    account, number = session.account, session.account.round
    found = validate(session.held_out, session.present, doubts=session.contract is not None, comm=session.comm).metrics
    error = found.value("forces_rmse")
    if error is None:
        raise LearningError("No held-out frame has forces: there is no error to watch. Give frames with forces.")
    # Frames that cannot be evaluated are in no mean.
    error = float("inf") if found.failed else error
    fell = number == 0 or error < (1.0 - session.options.improvement) * min(account.held_out[:number])
    account.held_out[number:] = [error]
    figures["held_out"] = error
    if session.contract is not None:
        account.contract[number:] = [bool(session.contract.check(found).passed)]
        figures["contract"] = account.contract[-1]
    return fell


def _doubt_now(session: Session, trigger: Trigger, figures: dict[str, Any]) -> bool:
    """Judge the frame that was labelled first once more; return whether the doubt fell."""
    chosen = frames_from(session.store.state(trigger.state))[trigger.outcomes.index("labelled")]
    after = session.judge(chosen.frame)
    now, novelty = (float("inf"),) * 2 if after is None else (after.largest, after.most_novel)
    figures |= {"disagreement_before": trigger.disagreement, "disagreement_after": now}
    if session.limits.novelty is not None:
        figures |= {"novelty_before": trigger.novelty, "novelty_after": novelty}
    part = 1.0 - session.options.improvement
    return now < part * trigger.disagreement or novelty < part * trigger.novelty


def resume_stage(session: Session) -> None:
    """Stop, or find the way back to where the run was trusted."""
    account, kept = session.account, session.account.contract
    if kept and not kept[-1] and (any(kept) or session.options.contract_stops == "failed"):
        session.stop("contract")
        return
    patience = session.options.patience
    if len(account.improved) > patience and not any(account.improved[-patience:]):
        session.stop("no improvement")
        return
    if not account.trusted:
        session.run.adopt(session.present)
        session.trusted = session.run.snapshot()
    elif account.round > 0:
        session.run.restore(session.store.state(account.trusted))
        _jump(session)
    account.stage, account.trigger = "run", None
    session.save()


def _jump(session: Session) -> None:
    """Write down what the new potential changes of the energy where the run goes on: that is no drift."""
    atoms = session.run.frame().atoms
    before = session.energy(session.potential(session.account.round - 1), atoms)
    after = session.energy(session.present, atoms)
    jump = after - before
    figures = {"energy_before": before, "energy_after": after, "jump": jump}
    session.note("resumed", f"Back to step {session.run.step}; the energy there jumps by {jump:+.6g} eV.", figures)


def _validated(number: int, figures: dict[str, Any]) -> str:
    """Say what was found of a new potential."""
    parts = []
    if "held_out" in figures:
        parts.append(f"force error on held-out frames {figures['held_out']:.4g} eV/Å")
    if "disagreement_after" in figures:
        before, after = figures["disagreement_before"], figures["disagreement_after"]
        parts.append(f"doubt about the frame that asked {before:.4g} → {after:.4g} eV/Å")
    if "contract" in figures:
        parts.append("contract kept" if figures["contract"] else "contract not kept")
    return f"Round {number}: {', '.join(parts) or 'nothing held out'}."
