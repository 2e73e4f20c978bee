"""Cases whose keys fit together but whose physics does not, as far as it is the studies that find out."""

from __future__ import annotations

from typing import Any

from atomistic.errors import StoppedError as StoppedError


class StudyError(ValueError):
    """What a study refuses to compute: the message says what was given, what was expected and what to do."""


class PrecisionError(StudyError):
    """A way of loading that the potential's precision does not bear."""


class CohesiveZoneError(StudyError):
    """A zone of atoms smaller than the length over which its crack's faces still hold each other."""


class ValidityError(StudyError):
    """A load under which elements next to the zone are strained beyond what their material describes."""


class CrackLoadError(StudyError):
    """A load that the body cannot be given."""


class StructureFileError(StudyError):
    """A structure that cannot be read or built."""


class NothingToLearnError(StudyError):
    """A student without anything to learn from before the run."""


class LearningStoppedError(RuntimeError):
    """A learning that did not get where it should: stopped before the run's end, or with a contract that is not kept.

    All is written, and every rank raises it.

    Attributes:
        result: what the study would have returned.
    """

    def __init__(self, message: str, *, result: Any = None) -> None:
        super().__init__(message)
        self.result = result


class AtWorkError(StudyError):
    """A directory in which another process is at work."""


class CheckpointError(RuntimeError):
    """What a run has kept that cannot be written, read, or gone on with."""


class SpreadError(StudyError):
    """A spread of a committee that a run does not have or cannot be given."""


class CostError(StudyError):
    """A prediction of costs that cannot be made: no ranks to predict for, or no runs to learn from."""


class RerunError(StudyError):
    """A run that cannot be repeated as it was."""


class SweepError(StudyError):
    """A sweep that cannot be planned, gone on with or collected."""


class SweepBrokenError(RuntimeError):
    """A sweep that could not go on, for what is no mistake of its user: a full disk, a ledger that is gone."""
