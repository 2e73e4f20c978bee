"""Errors that a user's mistake raises in the continuum package."""


class ContinuumError(ValueError):
    """A wrong argument: the message says what was given, what was expected and what to do."""


class MaterialError(ContinuumError):
    """A stiffness that is no stiffness: not symmetric, not positive definite, or not fit for plane strain."""


class LawError(ContinuumError):
    """A traction–separation law whose parameters make no law."""


class MeshError(ContinuumError):
    """A mesh, group, body or interface that cannot be built or does not exist."""


class SupportError(ContinuumError):
    """Supports or loads that name what does not exist or leave the solid free to move."""


class BodyError(ContinuumError):
    """Displacements, weights, cells or places that do not fit a body."""


class FactorError(ContinuumError):
    """A matrix that cannot be factorised."""


class FieldError(ContinuumError):
    """Places, stress intensities or energies at which the field of a crack does not exist."""


class ContactError(ContinuumError):
    """An adhesive contact whose radius, modulus, work or strength makes none."""


class NotReached(RuntimeError):
    """No equilibrium found at this load from this start: the caller cuts the step.

    Attributes:
        residual: relative, where the search ended.
    """

    def __init__(self, residual: float) -> None:
        super().__init__(f"relative residual {residual:.3g}")
        self.residual = residual
