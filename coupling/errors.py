"""Mistakes that a bridge between two descriptions finds in what it is given."""


class CouplingError(ValueError):
    """Something that cannot be bridged: the message says what was given, what was expected and what to do."""


class InvalidCurveError(CouplingError):
    """A separation curve from which no law can be made."""


class LedgerError(CouplingError):
    """An entry that does not fit the energy ledger."""
