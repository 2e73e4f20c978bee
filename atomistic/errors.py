"""What can go wrong with potentials and crystals, each with a name of its own."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AtomisticError(ValueError):
    """A request that the atomistic side cannot meet as it was given; the message says what would do."""


class StoppedError(BaseException):
    """A run that was asked to stop, and has: no failure, so nothing that deals with failures catches it.

    What the run had reached is kept, and it can be resumed.

    Attributes:
        reason: why, such as "by SIGTERM".
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"stopped {reason}")
        self.reason = reason


class UnknownPotentialError(AtomisticError):
    """The specification names no potential that `load_potential` knows, or describes one badly."""


class UnknownElementError(AtomisticError):
    """The potential has no parameters for an element of the structure."""


class ModelFileError(AtomisticError):
    """A model or parameter file is missing, or is not what its name promises."""


class DeviceError(AtomisticError):
    """The device asked for does not exist here, or the potential cannot run on it."""


class CrystalError(AtomisticError):
    """A crystal structure that is unknown, does not fit its symbols, or is no minimum of the potential."""


class InvalidPlaneError(AtomisticError):
    """Miller indices that name no lattice plane or direction of the crystal."""


class UnknownCutError(AtomisticError):
    """A cut that the plane of a crystal does not offer."""


class InvalidCurveError(AtomisticError):
    """Openings, strains or numbers of planes from which no separation curve can be computed."""


class BicrystalError(AtomisticError):
    """Two crystals that have no common cell within the limits, or limits that make no sense."""


class InterstitialError(AtomisticError):
    """A request for holes between atoms, or for an impurity in one, that the structure does not meet."""


class LatticeError(AtomisticError):
    """A crystal or a request from which no lattice of sites can be made."""


class CauchyBornError(AtomisticError):
    """A deformation, range or potential for which the strain energy of the homogeneous crystal cannot be given."""


class CrystalMismatchError(AtomisticError):
    """Two descriptions of one crystal whose lattice constants or elastic constants differ beyond the bounds."""


class InteractionError(AtomisticError):
    """A request for force constants that the potential, the displacement or the supercell cannot meet."""


class WeightedEnergiesError(AtomisticError):
    """Weighted site energies asked of a potential that gives forces only, or with weights that make no sense."""


class DynamicsError(AtomisticError):
    """A thermostat or a time series whose settings, groups or samples make no sense."""


class OracleInputError(AtomisticError):
    """A structure, setting or engine name with which no quantum calculation can be made."""


class OracleCacheError(AtomisticError):
    """A folder of quantum results that cannot be used, or a file in it that is damaged."""


class DataSetError(AtomisticError):
    """Labelled structures that cannot be kept: nothing in them, labels that are no numbers, other answers than before."""


class ExcerptError(AtomisticError):
    """A piece that cannot be cut out of a structure as it was asked for."""


class CapError(AtomisticError):
    """A cut bond that no link atom can close, or a link atom that is none."""


class LabelledDataError(AtomisticError):
    """Reference data that cannot be used: no such file, nothing in it, labels missing, not finite or of another shape."""


class ValidationError(AtomisticError):
    """A comparison with reference data that cannot be made, or a contract of accuracy that makes no sense."""


class PropertyError(AtomisticError):
    """A property of a crystal that cannot be computed as it was asked for."""


class LearningError(AtomisticError):
    """A loop of active learning that cannot be started or gone on with as it was asked for."""


class CommitteeError(AtomisticError):
    """Members that make no committee: fewer than two, unlike elements or structures, data from which none can be trained."""


class MissingEngineError(ImportError):
    """A potential whose package is not installed; the message is the line that installs it."""

    def __init__(self, what: str, install: str) -> None:
        self.install = install
        super().__init__(f"{what} is not installed. Install it with: {install}")


class EvaluationError(RuntimeError):
    """The potential ran but gave no usable numbers: not a number, lost atoms, an engine's own error."""


class OracleError(EvaluationError):
    """A quantum engine gave no result with any of its settings; says where the structure was saved, and what to try."""


class OracleBudgetError(OracleError):
    """An oracle was asked for more fresh calculations than it may make; everything computed so far is kept."""


class RelaxationError(RuntimeError):
    """Atoms that did not come to rest; carries the largest force left (eV/Å) and the number of evaluations."""

    def __init__(self, message: str, force: float = 0.0, calls: int = 0) -> None:
        self.force = force
        self.calls = calls
        # All arguments go to the base class, so that the error can travel between ranks.
        super().__init__(message, force, calls)

    def __str__(self) -> str:
        return str(self.args[0])


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return ' Did you mean ...?' for the valid name closest to `name`, or an empty string."""
    close = difflib.get_close_matches(name.lower(), list(valid), n=1, cutoff=0.4)
    return f" Did you mean {close[0]!r}?" if close else ""
