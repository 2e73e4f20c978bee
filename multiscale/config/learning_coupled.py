"""Learning in a coupled study: what is asked beside the learning itself."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from multiscale.config.base import KeyedError
from multiscale.config.learning import LearningModel


class CoupledLearningModel(LearningModel):
    """A study whose potential is taught where its interface or its crack leaves what it knows."""

    check_every: int = Field(default=1, ge=1)
    """states between two looks at the committee"""
    before: bool = True
    """run the study with the untaught potential too, for what learning changes"""
    compare: Literal["none", "references", "whole"] = "references"
    """the oracle's own values beside those: references: of crystal, surfaces and separation curve; whole: of the study itself"""


def check_learning(case: Any) -> None:
    """Refuse what a study that learns cannot have.

    Args:
        case: of a study with `learning`, `embedding` and `impurity`.

    Raises:
        KeyedError: pointing at the key.
    """
    if case.learning is None:
        return
    for name in ("embedding", "impurity"):
        if getattr(case, name) is not None:
            raise KeyedError(
                f"a study learns, or has its {'quantum region' if name == 'embedding' else 'impurity'}: {name} and learning are "
                "both given. Teach the potential first, then write potential: {path: taught.npz} with the other",
                name,
            )
    student = case.learning.student
    if student.factory is None and student.backbone is None and not isinstance(case.potential, str):
        raise KeyedError(
            "the heads stand on a SevenNet model, and the potential is not given by its name. Write potential: sevennet-0, or "
            "learning: {student: {backbone: sevennet-0}}",
            "potential",
        )


def learning_rows(case: Any) -> list[tuple[str, str]]:
    """What to expect of the learning of a coupled study, before it runs: rows of label and value; none for other cases."""
    learning = getattr(case, "learning", None)
    if not isinstance(learning, CoupledLearningModel):
        return []
    oracle = {"none": "", "references": ", and its references by the oracle", "whole": ", and by the oracle"}
    told = "twice, before and after learning" if learning.before else "once, after learning"
    rows = [
        ("learning", f"up to {learning.budget} calculations of the oracle"),
        ("study", f"told {told}{oracle[learning.compare]}"),
    ]
    if case.spread == "members" and learning.student.factory is None:
        rows.append(("spread", f"{learning.student.members} times more, by each head; spread: none leaves that out"))
    return rows
