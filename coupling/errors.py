"""Mistakes that a bridge between two descriptions finds in what it is given."""

from typing import Any

from atomistic.errors import CapError as CapError


class CouplingError(ValueError):
    """Something that cannot be bridged: the message says what was given, what was expected and what to do."""


class InvalidCurveError(CouplingError):
    """A separation curve from which no law can be made."""


class LedgerError(CouplingError):
    """An entry that does not fit the energy ledger."""


class ZoneError(CouplingError):
    """A zone or a blend whose description makes no shape, or that does not fit its lattice."""


class DoubleCountingError(CouplingError):
    """Weights and effective volumes that count some piece of the body twice, or not at all."""


class TransferError(CouplingError):
    """Atoms, fields or forces that do not fit the finite elements between which they are carried."""


class DefectError(CouplingError):
    """A defect that its lattice or its zone cannot hold."""


class ForeignElementError(DefectError):
    """An inclusion of an element that the potential does not know."""


class TooManyAtomsError(CouplingError):
    """A comparison with all atoms of a body that has more of them than allowed."""


class StrainError(CouplingError):
    """A far field under which the perfect crystal is unstable."""


class PartitionError(CouplingError):
    """A zone, blend or pad that does not fit its body, its mesh or its potential."""


class MethodError(CouplingError):
    """A coupling method or solver that does not exist, or that a potential or a partition cannot serve."""


class BondsError(CouplingError):
    """Atoms whose first-neighbour bonds are not those of the undeformed crystal that was announced."""


class TipError(CouplingError):
    """A crack tip that cannot be placed in the atoms that are given."""


class ProfileError(CouplingError):
    """Sites or triangles from which no profile along the crack's plane can be taken."""


class EmbeddingError(CouplingError):
    """A quantum region, or the engines for it, that cannot be embedded as described."""


class SelectionError(EmbeddingError):
    """A choice of the quantum core that chooses nothing, names what is not there, or contradicts itself."""


class PathError(EmbeddingError):
    """Frames along which no energy can be taken from the forces, or whose error stays above what is asked for."""


class HandshakeConvergenceError(RuntimeError):
    """No coupled equilibrium was found.

    Attributes:
        solution: the last state, with the forces left on it.
    """

    def __init__(self, message: str, *, solution: Any) -> None:
        super().__init__(message)
        self.solution = solution
