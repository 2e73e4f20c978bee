"""What each study costs: which stages are measured at once, and which follow from numbers of recorded runs."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from mpi4py import MPI

from multiscale.cost.survey import Survey

#: Where the outline of each study is.
_OUTLINES = {
    "adhesion": "outline_interface",
    "contact": "outline_interface",
    "defect": "outline_zone",
    "fracture": "outline_zone",
    "properties": "outline_atoms",
    "embedding": "outline_atoms",
    "active-learning": "outline_atoms",
}
#: What a process does beside its phases, imports most of all: a phase of its own in this account.
BESIDE = "imports and the rest"


def survey_case(case: Any) -> Survey:
    """Look at a case on this process alone: what is quick is done once, what is long is put into numbers.

    Raises:
        ValueError: with the cause, for anything in the case that its run would refuse as well.
    """
    from multiscale.spread import members_of

    module = importlib.import_module(f"multiscale.cost.{_OUTLINES[case.study]}")
    outline: Callable[..., None] = getattr(module, f"outline_{case.study.replace('-', '_')}")
    survey = Survey()
    with survey.own("survey"):
        survey.members = 1 + len(members_of(case))
    plain = case
    if getattr(case, "learning", None) is not None and case.study != "active-learning":
        survey.missing.append("the learning: how often the oracle is asked shows on the way")
        plain = case.model_copy(update={"learning": None, "spread": "none"})
    outline(plain, survey, MPI.COMM_SELF)
    survey.kind = survey.kind or case.study
    for phase in (BESIDE, "results", "report"):
        survey.add(phase, "seconds", f"{case.study}.{phase}")
    return survey.finish()
