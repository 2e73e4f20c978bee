"""What can go wrong where a law asks its atoms while the finite elements run."""

from coupling.errors import CouplingError


class LiveCellError(RuntimeError):
    """A cell that gave no usable answer: names the point, the opening, the rank and the cause."""


class LiveCacheError(CouplingError):
    """A cache file that belongs to another cell, or that cannot be read."""
