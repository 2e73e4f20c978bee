"""The asymptotic field of a sharp crack in an elastic medium of any anisotropy, by Stroh's formalism.

With Q = C_i1k1, R = C_i1k2, T = C_i2k2, everything follows from the fundamental matrix (Ting 1996, Anisotropic Elasticity,
eq. 5.5-4)

    N = [[−T⁻¹Rᵀ, T⁻¹], [R T⁻¹ Rᵀ − Q, −R T⁻¹]],

whose six roots are three pairs p, p̄. Textbooks take eigenvectors [a; b] and functions of single roots; where roots
coincide (isotropic media, cubic ones in some axes) there are too few eigenvectors. Here the invariant subspace of the
roots above the real axis takes their place: an ordered Schur form N [A; B] = [A; B] P with P (3, 3) upper triangular.
It always exists, is as accurate as rounding (the other three roots lie a finite way off), and

    u = √(2/π) Re[A (x + y P)^½ B⁻¹] k

does not depend on the basis chosen, so coinciding roots are no special case: the root of a triangular matrix follows by a
recursion (Björck and Hammarling 1983) that divides only by sums of two roots of one quadrant.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg as la
from numpy.typing import ArrayLike, NDArray

from continuum.errors import FieldError, MaterialError
from continuum.materials import LinearElastic

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

# Voigt index of the components (i, j), order xx, yy, zz, yz, xz, xy.
_VOIGT = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
# A place whose height over the crack's plane is below this share of its distance to the tip lies on that plane.
_ON_PLANE = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class CrackField:
    """Field of a half-infinite crack, faces y = 0 and x < 0 free of traction, in generalised plane strain (∂/∂z = 0).

    A vector of stress intensities k = (K_II, K_I, K_III), eV/Å^2.5, is ordered like the components of displacement: ahead
    of the tip σ_iy = k_i/√(2πx). Modes I, II and III are defined by these tractions, whatever the medium couples.

    Attributes:
        stiffness: C, (6, 6), eV/Å³, in the laboratory axes: x along the crack's growth, y normal to it, z along its front.
        p: (3,) the roots of Stroh's equation with positive imaginary part.
        P: (3, 3) upper triangular with `p` as diagonal; diagonal where A and B are eigenvectors.
        A, B: (3, 3) basis of displacements (1) and of stress functions (eV/Å³), N [A; B] = [A; B] P.
        L_inverse: (3, 3), Å³/eV, inverse of the Barnett–Lothe tensor L: symmetric, positive definite.
    """

    stiffness: Array
    p: Complex
    P: Complex
    A: Complex
    B: Complex
    L_inverse: Array

    def displacement(
        self, places: ArrayLike, k: ArrayLike, *, tip: ArrayLike = (0.0, 0.0), side: ArrayLike | None = None
    ) -> Array:
        """Displacement u = √(2/π) Re[A (x + yP)^½ B⁻¹] k, zero at the tip.

        Args:
            places: (n, 2) x and y, Å.
            k: (3,) K_II, K_I, K_III, eV/Å^2.5.
            tip: (2,) Å.
            side: (n,) +1 or −1: the upper or lower face for places on the crack itself; elsewhere without effect.

        Returns:
            (n, 3), Å.

        Raises:
            FieldError: arrays of a wrong shape or not finite; places on the crack without a side.
        """
        ray = self._rays(places, tip, side)
        function = np.linalg.solve(self.B, _intensities(k))
        moved = np.einsum("nij,j->ni", ray.root(self.P), function) @ self.A.T
        return np.sqrt(2.0 * ray.radius / np.pi)[:, None] * moved.real

    def gradient(
        self, places: ArrayLike, k: ArrayLike, *, tip: ArrayLike = (0.0, 0.0), side: ArrayLike | None = None
    ) -> Array:
        """Displacement gradient ∂u_i/∂x_j, j = x, y (nothing varies along z).

        Takes the arguments of `displacement`; returns (n, 3, 2).

        Raises:
            FieldError: as `displacement`, and for a place at the tip, where the field is singular.
        """
        ray = self._rays(places, tip, side)
        if not ray.radius.all():
            raise FieldError(
                f"{int((ray.radius == 0.0).sum())} places at the crack tip {tuple(np.asarray(tip, dtype=float))}: strain "
                "and stress are singular there; expected places off the tip"
            )
        function = np.linalg.solve(self.B, _intensities(k))
        # d/dZ of Z^½ is ½ Z^−½; Z, P and their functions commute.
        along_x = np.linalg.solve(ray.root(self.P), np.broadcast_to(function[:, None], (len(ray.radius), 3, 1)))[..., 0]
        both = np.stack([along_x @ self.A.T, along_x @ (self.A @ self.P).T], axis=2)
        return both.real / np.sqrt(2.0 * np.pi * ray.radius)[:, None, None]

    def stress(
        self, places: ArrayLike, k: ArrayLike, *, tip: ArrayLike = (0.0, 0.0), side: ArrayLike | None = None
    ) -> Array:
        """Stress σ = C : ∇u, all nine components with σ_zz of plane strain.

        Takes the arguments of `displacement`; returns (n, 3, 3), eV/Å³.

        Raises:
            FieldError: as `gradient`.
        """
        gradient = self.gradient(places, k, tip=tip, side=side)
        return np.einsum("ijkl,nkl->nij", self.stiffness[_VOIGT[:, :, None, None], _VOIGT[:, :2]], gradient)

    def energy_release(self, k: ArrayLike) -> float:
        """Energy release rate G = ½ kᵀ L⁻¹ k of k (3,), eV/Å² (Barnett and Asaro 1972)."""
        intensities = _intensities(k)
        return float(0.5 * intensities @ self.L_inverse @ intensities)

    @property
    def effective_modulus(self) -> float:
        """E* with G = K_I²/E* in pure mode I, eV/Å³: 1/E* = ½ (L⁻¹)_yy; E/(1 − ν²) for an isotropic medium."""
        return float(2.0 / self.L_inverse[1, 1])

    def stress_intensity(self, energy: float, *, mode: ArrayLike = (0.0, 1.0, 0.0)) -> float:
        """Factor K for which k = K·mode releases `energy`: √(2G / modeᵀ L⁻¹ mode), in pure mode I √(G E*).

        Args:
            energy: G, eV/Å²; twice the surface energy for Griffith's K_G.
            mode: (3,) direction (II, I, III), not normalised here.

        Returns:
            K, eV/Å^2.5.

        Raises:
            FieldError: a negative energy or one that is not finite; a mode of all zeros.
        """
        unit = self.energy_release(mode)
        if not np.isfinite(energy) or energy < 0.0:
            raise FieldError(f"energy release rate {energy!r}: expected a finite number of eV/Å², zero or more")
        if unit == 0.0:
            raise FieldError("mode (0, 0, 0): expected a direction (II, I, III) with some component")
        return float(np.sqrt(energy / unit))

    def _rays(self, places: ArrayLike, tip: ArrayLike, side: ArrayLike | None) -> "_Rays":
        """Distance and direction from the tip, and the face for places on the crack."""
        relative = _finite(places, "places", (-1, 2)) - _finite(tip, "tip", (2,))
        radius = np.hypot(relative[:, 0], relative[:, 1])
        # The tip itself gets the direction of x: √r is zero there.
        direction = np.where(radius[:, None] > 0.0, relative / np.where(radius > 0.0, radius, 1.0)[:, None], [1.0, 0.0])
        on_crack = (np.abs(direction[:, 1]) <= _ON_PLANE) & (direction[:, 0] < 0.0)
        if side is None:
            if on_crack.any():
                raise FieldError(
                    f"{int(on_crack.sum())} places on the crack itself, where the field has two values: "
                    "give side, +1 for the upper and -1 for the lower face"
                )
            return _Rays(radius=radius, direction=direction, face=np.zeros(len(radius)))
        sides = _finite(side, "side", (len(radius),))
        if not np.isin(sides[on_crack], (-1.0, 1.0)).all():
            raise FieldError("side: expected +1 (upper face) or -1 (lower face) for every place on the crack")
        direction[on_crack] = [-1.0, 0.0]
        return _Rays(radius=radius, direction=direction, face=np.where(on_crack, sides, 0.0))


def crack_field(stiffness: ArrayLike) -> CrackField:
    """Set up the field of a crack along x with its front along z.

    Args:
        stiffness: C, (6, 6) Voigt (xx, yy, zz, yz, xz, xy; engineering shears), eV/Å³, in the laboratory axes.

    Raises:
        MaterialError: a stiffness that is not (6, 6), not finite, not symmetric or not positive definite.
    """
    constants = LinearElastic(stiffness).stiffness
    # In units of the largest constant, both halves of a column [a; b] are of one size.
    scale = float(np.abs(constants).max())
    triangle, basis, above = la.schur(
        _fundamental(constants / scale), output="complex", sort=lambda root: root.imag > 0.0
    )
    if above != 3:
        raise MaterialError(
            f"stiffness for which {above} roots of Stroh's equation lie above the real axis: expected 3; it is so close to "
            f"singular (eigenvalues {np.linalg.eigvalsh(constants)[0]:.3g} to {scale:.3g}) that rounding decides"
        )
    A, B, P = basis[:3, :3], basis[3:, :3] * scale, triangle[:3, :3]
    inverse = (1j * A @ np.linalg.inv(B)).real
    return CrackField(stiffness=constants, p=np.diag(P), P=P, A=A, B=B, L_inverse=0.5 * (inverse + inverse.T))


@dataclass(frozen=True, kw_only=True)
class _Rays:
    """Places as seen from the tip.

    Attributes:
        radius: (n,) distance to the tip, Å.
        direction: (n, 2) cos θ and sin θ; (1, 0) at the tip.
        face: (n,) ±1 for places on the upper or lower face of the crack, 0 elsewhere.
    """

    radius: Array
    direction: Array
    face: Array

    def root(self, P: Complex) -> Complex:
        """(cos θ + P sin θ)^½, (n, 3, 3) upper triangular, cut along the crack."""
        cosine, sine = self.direction.T
        squared = cosine[:, None, None] * np.eye(3) + sine[:, None, None] * P
        root = np.zeros_like(squared)
        for i in range(3):
            # Above the crack the argument has a positive imaginary part, below a negative one: the principal root is cut there.
            root[:, i, i] = np.where(self.face == 0.0, np.sqrt(squared[:, i, i]), 1j * self.face)
        for i, j in ((0, 1), (1, 2), (0, 2)):
            between = root[:, i, 1] * root[:, 1, j] if j - i == 2 else 0.0
            root[:, i, j] = (squared[:, i, j] - between) / (root[:, i, i] + root[:, j, j])
        return root


def _fundamental(stiffness: Array) -> Array:
    """Stroh's fundamental matrix N, (6, 6), of a stiffness without unit."""
    Q, R, T = (stiffness[np.ix_(_VOIGT[i], _VOIGT[j])] for i, j in ((0, 0), (0, 1), (1, 1)))
    inverse = np.linalg.inv(T)
    return np.block([[-inverse @ R.T, inverse], [R @ inverse @ R.T - Q, -R @ inverse]])


def _intensities(k: ArrayLike) -> Array:
    """Check a vector of stress intensities (or a mode), (3,)."""
    return _finite(k, "k = (K_II, K_I, K_III)", (3,))


def _finite(values: ArrayLike, name: str, shape: tuple[int, ...]) -> Array:
    """Check the shape (−1: any number) and finiteness of an argument."""
    array = np.array(values, dtype=float)
    fits = array.ndim == len(shape) and all(n in (-1, m) for n, m in zip(shape, array.shape, strict=True))
    if not fits or not np.isfinite(array).all():
        expected = str(shape).replace("-1", "n")
        raise FieldError(f"{name} of shape {array.shape}: expected {expected} finite numbers")
    return array
