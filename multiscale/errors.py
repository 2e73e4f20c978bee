"""Cases whose keys fit together but whose physics does not, as far as it is the studies that find out."""


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


class SpreadError(StudyError):
    """A spread of a committee that a run does not have or cannot be given."""
