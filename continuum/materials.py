"""Linear elastic materials of any anisotropy, in 3D and in plane strain."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from continuum.errors import MaterialError

Array = NDArray[np.float64]
_IN_PLANE = np.array([0, 1, 5])  # xx, yy, xy of the Voigt order xx, yy, zz, yz, xz, xy
_ANTI_PLANE = np.array([3, 4])
_AXIAL = np.array([0, 1, 2, 5])
# A coupling below this share of the largest constant is rounding of a rotation or noise of a float32 potential.
_COUPLING = 1e-3


@dataclass(frozen=True, eq=False)
class LinearElastic:
    """σ = C ε with engineering shear strains, Voigt order xx, yy, zz, yz, xz, xy.

    Attributes:
        stiffness: (6, 6), eV/Å³, in the laboratory axes: x along the crack, y normal to it, z along its front.

    Raises:
        MaterialError: where the matrix is not symmetric or not positive definite.
    """

    stiffness: Array

    def __init__(self, stiffness: ArrayLike) -> None:
        matrix = np.array(stiffness, dtype=float)
        if matrix.shape != (6, 6) or not np.isfinite(matrix).all():
            raise MaterialError(f"stiffness of shape {matrix.shape}: expected (6, 6) finite numbers in eV/Å³")
        scale = np.abs(matrix).max()
        defect = np.abs(matrix - matrix.T).max()
        if defect > 1e-6 * scale:
            raise MaterialError(
                f"stiffness that is not symmetric (defect {defect:.3g} of {scale:.3g}): expected C = Cᵀ; symmetrise it"
            )
        matrix = 0.5 * (matrix + matrix.T)
        least = float(np.linalg.eigvalsh(matrix)[0])
        if least <= 0.0:
            raise MaterialError(
                f"stiffness with the eigenvalue {least:.3g}: expected all positive; an unstable crystal or a wrong unit?"
            )
        matrix.setflags(write=False)
        object.__setattr__(self, "stiffness", matrix)

    @classmethod
    def isotropic(cls, *, E: float, nu: float) -> Self:
        """Isotropic material from Young's modulus (eV/Å³) and Poisson's ratio."""
        if not np.isfinite(E) or E <= 0.0 or not -1.0 < nu < 0.5:
            raise MaterialError(f"E = {E!r}, nu = {nu!r}: expected E > 0 and -1 < nu < 0.5")
        lame, shear = E * nu / ((1 + nu) * (1 - 2 * nu)), E / (2 * (1 + nu))
        matrix = np.zeros((6, 6))
        matrix[:3, :3] = lame
        matrix[np.arange(6), np.arange(6)] += np.array([2, 2, 2, 1, 1, 1]) * shear
        return cls(matrix)

    @cached_property
    def plane_strain_stiffness(self) -> Array:
        """(3, 3) stiffness for xx, yy, xy at zero strain along z, eV/Å³.

        Raises:
            MaterialError: where C couples in-plane strain to out-of-plane shear, so that plane strain is no solution.
        """
        coupling = float(np.abs(self.stiffness[np.ix_(_IN_PLANE, _ANTI_PLANE)]).max())
        if coupling > _COUPLING * float(np.abs(self.stiffness).max()):
            raise MaterialError(
                f"stiffness that couples in-plane strain to out-of-plane shear ({coupling:.3g} eV/Å³): plane strain "
                "needs z = 0 to be a mirror plane of the crystal; choose another growth direction or a 3D mesh"
            )
        return self.stiffness[np.ix_(_IN_PLANE, _IN_PLANE)]

    @cached_property
    def axisymmetric_stiffness(self) -> Array:
        """(4, 4) stiffness for xx (radial), yy (axial), zz (hoop), xy, eV/Å³.

        Raises:
            MaterialError: where the material is not isotropic about y.
        """
        c = self.stiffness
        twin = np.zeros((6, 6))
        radial, across = 0.5 * (c[0, 0] + c[2, 2]), 0.5 * (c[0, 1] + c[1, 2])
        twin[0, 0] = twin[2, 2] = radial
        twin[1, 1], twin[0, 2] = c[1, 1], c[0, 2]
        twin[0, 1] = twin[1, 2] = across
        twin[3, 3] = twin[5, 5] = 0.5 * (c[3, 3] + c[5, 5])
        twin[4, 4] = 0.5 * (radial - c[0, 2])
        twin = np.triu(twin) + np.triu(twin, 1).T
        defect = float(np.abs(twin - c).max())
        if defect > _COUPLING * float(np.abs(c).max()):
            raise MaterialError(
                f"stiffness that changes by {defect:.3g} eV/Å³ when turned about y: axial symmetry needs a material that is "
                "isotropic about its axis; average the tensor about y, or use a 3D mesh"
            )
        return c[np.ix_(_AXIAL, _AXIAL)]

    @cached_property
    def plane_strain_compliance(self) -> Array:
        """(3, 3) compliance b for xx, yy, xy at zero strain along z, Å³/eV (Lekhnitskii's reduced constants)."""
        return np.linalg.inv(self.plane_strain_stiffness)

    @property
    def plane_strain_modulus(self) -> float:
        """E' = 1/b₁₁ of a wide beam along x, eV/Å³; E/(1 − ν²) for an isotropic material."""
        return float(1.0 / self.plane_strain_compliance[0, 0])

    @property
    def uniaxial_modulus(self) -> float:
        """C' = C_yyyy: stiffness of uniaxial strain along the interface's normal, eV/Å³."""
        return float(self.stiffness[1, 1])

    @property
    def crack_modulus(self) -> float:
        """E* with G = K_I²/E* for a crack along x, eV/Å³ (Sih, Paris and Irwin 1965).

        1/E* = √(b₁₁b₂₂/2) [√(b₂₂/b₁₁) + (2b₁₂ + b₆₆)/(2b₁₁)]^½, exact where x and y are axes of orthotropy.
        """
        b = self.plane_strain_compliance
        root = np.sqrt(b[1, 1] / b[0, 0]) + (2 * b[0, 1] + b[2, 2]) / (2 * b[0, 0])
        return float(1.0 / (np.sqrt(0.5 * b[0, 0] * b[1, 1]) * np.sqrt(root)))


@dataclass(frozen=True, eq=False)
class Eigenstrain:
    """A stress-free strain of a body: thermal expansion, lattice misfit, swelling.

    Attributes:
        strain: (6,) engineering strain in Voigt order xx, yy, zz, yz, xz, xy.
        with_load: True where it grows in proportion to the load parameter, False where it is there from the start.

    Raises:
        MaterialError: where the strain is not (6,) finite numbers.
    """

    strain: Array
    with_load: bool

    def __init__(self, strain: ArrayLike, *, with_load: bool = False) -> None:
        values = np.array(strain, dtype=float)
        if values.shape != (6,) or not np.isfinite(values).all():
            raise MaterialError(
                f"eigenstrain of shape {values.shape}: expected six finite numbers, Voigt order xx, yy, zz, yz, xz, xy"
            )
        values.setflags(write=False)
        object.__setattr__(self, "strain", values)
        object.__setattr__(self, "with_load", bool(with_load))

    @classmethod
    def thermal(cls, expansion: float, *, change: float = 1.0, with_load: bool = False) -> Self:
        """Isotropic expansion α ΔT; with the load parameter as ΔT where `with_load` and `change` is 1.

        Args:
            expansion: coefficient α, 1/K.
            change: ΔT, K.
            with_load: see the class.
        """
        return cls([expansion * change] * 3 + [0.0] * 3, with_load=with_load)
