"""Active learning: a run asks an oracle where its potential is in doubt, learns, and goes on from where it was trusted."""

from atomistic.active_learning.base import BrokenRunError, Cutter, Frame, LearningRun, Snapshot, Student
from atomistic.active_learning.loop import learn
from atomistic.active_learning.records import STOPS, Check, Event, LearningOptions, LearningResult
from atomistic.active_learning.runs import MDRun, RelaxationRun
from atomistic.active_learning.student import HeadStudent

__all__ = [
    "STOPS",
    "BrokenRunError",
    "Check",
    "Cutter",
    "Event",
    "Frame",
    "HeadStudent",
    "LearningOptions",
    "LearningResult",
    "LearningRun",
    "MDRun",
    "RelaxationRun",
    "Snapshot",
    "Student",
    "learn",
]
