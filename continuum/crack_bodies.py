"""Outlines of cracked bodies, where they are cut, and how they are held and pulled.

The tip stands at the origin, the crack on y = 0 behind it (x < 0), its front along z; lengths in Å. All but the disc are
pulled by grips, whose unit load is an opening of 1 Å between them; the disc's outer boundary follows the field of a crack.
The intensities K are handbooks' for isotropic bodies in plane strain, turned from loads to the openings of grips; the thin
strip's holds for any crystal.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from continuum.errors import MeshError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
# Part of the body's extent: nodes this close to a side lie on it.
_ON = 1e-9
_GAUSS = np.polynomial.legendre.leggauss(32)


class CrackBody(Protocol):
    """A cracked body, tip at the origin.

    Attributes:
        gripped: True where grips pull it, False where its boundary follows a crack's field.
    """

    gripped: ClassVar[bool]

    @property
    def corners(self) -> Array:
        """Outline (k, 2), Å: a convex polygon, counter-clockwise; y = 0 crosses two of its sides."""

    @property
    def tips(self) -> Array:
        """Ends (t, 2) of the slit inside the body, Å, the origin first: where the mesh must be fine."""

    def is_open(self, x: Array) -> Mask:
        """Where the line y = 0 is cut, (f,), from x (f,), Å: the `open` of `open_slit`."""

    def held(self, nodes: Array, side: Array) -> Mask:
        """Components (n, 3) that are prescribed at nodes (n, 2), Å, on the sides (n,) that `node_sides` gives."""

    def grips(self, nodes: Array, side: Array) -> Array:
        """Prescribed displacement (n, 3) for an opening of 1 Å between the grips; zero where nothing is held."""

    def intensity(self, load: float, modulus: float, uniaxial: float | None = None) -> float | None:
        """K of mode I, eV/Å^2.5, at an opening `load`, Å; None where no handbook knows it.

        Args:
            load: opening of the grips, Å.
            modulus: E* with G = K²/E*, eV/Å³.
            uniaxial: C_yyyy, eV/Å³: stiffness of uniaxial strain along y.
        """


class _Pulled:
    """What most bodies share: a crack that comes from the left, grips at top and bottom that neither turn nor rub."""

    gripped: ClassVar[bool] = True

    @property
    def corners(self) -> Array:
        """Outline (4, 2), Å."""
        raise NotImplementedError

    @property
    def tips(self) -> Array:
        """The origin alone."""
        return np.zeros((1, 2))

    def is_open(self, x: Array) -> Mask:
        """From the left end to the tip."""
        return np.asarray(x) < 0.0

    def held(self, nodes: Array, side: Array) -> Mask:
        """Top and bottom along y and z; the lower right corner along x, where it bears no force."""
        return _components(self._ends(nodes) != 0.0, "yz") | _components(_at(nodes, self.corners[1]), "x")

    def grips(self, nodes: Array, side: Array) -> Array:
        """±½ Å along y at top and bottom."""
        return _opening(self._ends(nodes))

    def _ends(self, nodes: Array) -> Array:
        """1 at the top, −1 at the bottom, else 0, (n,)."""
        top = self.corners[:, 1].max()
        return np.where(np.abs(nodes[:, 1]) > (1.0 - _ON) * top, np.sign(nodes[:, 1]), 0.0)


@dataclass(frozen=True, kw_only=True)
class Disc:
    """A disc around the tip whose boundary follows the field of a crack.

    Attributes:
        radius: of the corners, Å.
        sides: of the polygon, even: the crack's line then crosses the middle of two sides.
    """

    radius: float
    sides: int = 48
    gripped: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _positive(radius=self.radius)
        if self.sides < 8 or self.sides % 2:
            raise MeshError(
                f"sides = {self.sides!r}: expected an even number of at least 8, so that no corner is on y = 0"
            )

    @property
    def corners(self) -> Array:
        """Outline (sides, 2), Å."""
        angle = (np.arange(self.sides) + 0.5) * 2.0 * np.pi / self.sides
        return self.radius * np.column_stack([np.cos(angle), np.sin(angle)])

    @property
    def tips(self) -> Array:
        """The origin alone."""
        return np.zeros((1, 2))

    def is_open(self, x: Array) -> Mask:
        """Behind the tip."""
        return np.asarray(x) < 0.0

    def held(self, nodes: Array, side: Array) -> Mask:
        """Everything on the boundary."""
        apothem = self.radius * np.cos(np.pi / self.sides)
        normals = np.arange(self.sides) * 2.0 * np.pi / self.sides
        reach = (nodes @ np.stack([np.cos(normals), np.sin(normals)])).max(axis=1)
        return _components(reach > apothem - _ON * self.radius, "xyz")

    def grips(self, nodes: Array, side: Array) -> Array:
        """No grips.

        Raises:
            MeshError: always.
        """
        raise MeshError("a disc has no grips: its boundary follows the field of a crack (CrackField.displacement)")

    def intensity(self, load: float, modulus: float, uniaxial: float | None = None) -> float | None:
        """None: the load is K itself."""
        return None


@dataclass(frozen=True, kw_only=True)
class EdgeCrack(_Pulled):
    """A plate cracked from its left edge, pulled along y by grips at top and bottom that neither turn nor rub.

    Attributes:
        width: W along x, Å.
        height: H along y, between the grips, Å.
        crack: length a, Å.
    """

    width: float
    height: float
    crack: float

    def __post_init__(self) -> None:
        _positive(width=self.width, height=self.height, crack=self.crack)
        _shorter("crack", self.crack, "width", self.width)

    @property
    def corners(self) -> Array:
        """Outline (4, 2), Å."""
        return _rectangle(-self.crack, self.width - self.crack, self.height)

    def intensity(self, load: float, modulus: float, uniaxial: float | None = None) -> float | None:
        """K of a plate whose ends stay parallel, from the handbook's K under tension and under bending.

        A tension σ and a bending stress b at the edge give K = √(πa)(σF_t + bF_b) (Tada, Paris and Irwin 2000, sections
        2.10 and 2.13, both within 0.5%); the crack's part of opening and rotation is Castigliano's of ∫K²/E* da, and b is
        such that the ends do not turn (Marchand, Parks and Pelloux 1986).

        Returns:
            eV/Å^2.5; None for plates shorter than they are wide, where the ends disturb the crack.
        """
        if self.height < self.width:
            return None
        share = np.asarray(self.crack / self.width)
        both = _integral(lambda s: s * _tension(s) * _bending(s), share)
        bend = -both / (_integral(lambda s: s * _bending(s) ** 2, share) + self.height / (6.0 * np.pi * self.width))
        crack = 2.0 * np.pi * self.width * (_integral(lambda s: s * _tension(s) ** 2, share) + bend * both)
        stress = modulus * load / (self.height + crack)
        return float(stress * np.sqrt(np.pi * self.crack) * (_tension(share) + bend * _bending(share)))


@dataclass(frozen=True, kw_only=True)
class CentreCrack(_Pulled):
    """A plate with a crack in its middle, pulled along y by grips that neither turn nor rub; the right tip is the origin.

    Attributes:
        width: W along x, Å.
        height: H along y, between the grips, Å.
        crack: half-length a, Å: the slit goes from x = −2a to 0.
    """

    width: float
    height: float
    crack: float

    def __post_init__(self) -> None:
        _positive(width=self.width, height=self.height, crack=self.crack)
        _shorter("crack (half its length)", self.crack, "width/2", 0.5 * self.width)

    @property
    def corners(self) -> Array:
        """Outline (4, 2), Å."""
        return _rectangle(-self.crack - 0.5 * self.width, -self.crack + 0.5 * self.width, self.height)

    @property
    def tips(self) -> Array:
        """Right and left end."""
        return np.array([[0.0, 0.0], [-2.0 * self.crack, 0.0]])

    def is_open(self, x: Array) -> Mask:
        """Between the two tips."""
        x = np.asarray(x)
        return (x > -2.0 * self.crack) & (x < 0.0)

    def intensity(self, load: float, modulus: float, uniaxial: float | None = None) -> float | None:
        """K = σ√(πa)F(2a/W) (Tada, Paris and Irwin 2000, section 2.1, within 0.1%).

        The stress σ follows from the opening: σH/E* without the crack, and the crack's part by Castigliano of 2∫K²/E* da.

        Returns:
            eV/Å^2.5; None for plates less than 1.5 times as high as wide, where the ends disturb the crack.
        """
        if self.height < 1.5 * self.width:
            return None
        share = np.asarray(2.0 * self.crack / self.width)
        crack = np.pi * self.width * _integral(lambda s: s * _central(s) ** 2, share)
        stress = modulus * load / (self.height + crack)
        return float(stress * np.sqrt(np.pi * self.crack) * _central(share))


@dataclass(frozen=True, kw_only=True)
class DoubleCantilever(_Pulled):
    """Two arms that are pulled apart at their left ends, whose faces may turn.

    Attributes:
        length: of the body along x, Å.
        height: of both arms together, Å.
        crack: from the loaded ends to the tip, Å.
    """

    length: float
    height: float
    crack: float

    def __post_init__(self) -> None:
        _positive(length=self.length, height=self.height, crack=self.crack)
        _shorter("crack", self.crack, "length", self.length)

    @property
    def corners(self) -> Array:
        """Outline (4, 2), Å."""
        return _rectangle(-self.crack, self.length - self.crack, self.height)

    def held(self, nodes: Array, side: Array) -> Mask:
        """The end faces along y and z; the lower right corner along x and y, where it bears no force."""
        return _components(self._face(nodes), "yz") | _components(_at(nodes, self.corners[1]), "xy")

    def grips(self, nodes: Array, side: Array) -> Array:
        """±½ along y on the end face of each arm; `side` tells the arms apart where they meet."""
        return _opening(np.where(self._face(nodes), side, 0.0))

    def intensity(self, load: float, modulus: float, uniaxial: float | None = None) -> float | None:
        """K = √12 P(a/h + 0.673)/√h for arms of height h (Foote and Buchwald 1985), with P from its compliance.

        dC/da = 2K²/(E*P²) gives C = 8(a/h + 0.673)³/E*, so that K = (√3/4) E* load/(√h (a/h + 0.673)²).

        Returns:
            eV/Å^2.5; None for arms or a rest of the body shorter than twice an arm's height.
        """
        arm = 0.5 * self.height
        if min(self.crack, self.length - self.crack) < 2.0 * arm:
            return None
        return float(np.sqrt(3.0) / 4.0 * modulus * load / (np.sqrt(arm) * (self.crack / arm + 0.673) ** 2))

    def _face(self, nodes: Array) -> Mask:
        return nodes[:, 0] < -self.crack + _ON * self.length


@dataclass(frozen=True, kw_only=True)
class ThinStrip(_Pulled):
    """A long strip between rigid clamps, cracked halfway up from its left end.

    Attributes:
        length: along x, Å.
        height: between the clamps, Å.
        crack: length, Å.
    """

    length: float
    height: float
    crack: float

    def __post_init__(self) -> None:
        _positive(length=self.length, height=self.height, crack=self.crack)
        _shorter("crack", self.crack, "length", self.length)

    @property
    def corners(self) -> Array:
        """Outline (4, 2), Å."""
        return _rectangle(-self.crack, self.length - self.crack, self.height)

    def held(self, nodes: Array, side: Array) -> Mask:
        """Top and bottom in all directions."""
        return _components(self._ends(nodes) != 0.0, "xyz")

    def intensity(self, load: float, modulus: float, uniaxial: float | None = None) -> float | None:
        """K = √(E*G) with G = ½ C_yyyy load²/height, exact for an infinite strip of any crystal (Rivlin and Thomas 1953).

        Each length by which the crack grows relaxes as much of the strip from uniform uniaxial strain to nothing.

        Returns:
            eV/Å^2.5; None without `uniaxial`, or where less than its height of the strip is cracked or less than twice
            its height is whole: its ends then count for more than 0.5%.
        """
        if uniaxial is None or min(self.crack, 0.5 * (self.length - self.crack)) < self.height:
            return None
        return float(load * np.sqrt(0.5 * modulus * uniaxial / self.height))


def _positive(**lengths: float) -> None:
    for name, value in lengths.items():
        if not (np.isfinite(value) and value > 0.0):
            raise MeshError(f"{name} = {value!r}: expected a length in Å above zero")


def _shorter(name: str, value: float, whole: str, limit: float) -> None:
    if not value < limit:
        raise MeshError(
            f"{name} = {value:g} Å in a body of {whole} = {limit:g} Å: expected a crack that ends inside it"
        )


def _rectangle(left: float, right: float, height: float) -> Array:
    """Corners (4, 2) from the lower left one, counter-clockwise."""
    half = 0.5 * height
    return np.array([[left, -half], [right, -half], [right, half], [left, half]])


def _components(where: Mask, names: str) -> Mask:
    """(n, 3) True for the named components of some nodes (n,)."""
    return where[:, None] & np.array([axis in names for axis in "xyz"])


def _opening(share: Array) -> Array:
    """Displacements (n, 3), Å: half an ångström along y, up or down."""
    return 0.5 * share[:, None] * np.array([0.0, 1.0, 0.0])


def _at(nodes: Array, place: Array) -> Mask:
    """Nodes (n, 2) at a place far from the origin."""
    return np.linalg.norm(nodes - place, axis=1) < _ON * np.linalg.norm(place)


def _tension(share: Array) -> Array:
    """F_t of an edge crack over a/W under tension."""
    x = 0.5 * np.pi * share
    return np.sqrt(np.tan(x) / x) * (0.752 + 2.02 * share + 0.37 * (1.0 - np.sin(x)) ** 3) / np.cos(x)


def _bending(share: Array) -> Array:
    """F_b of an edge crack over a/W under pure bending."""
    x = 0.5 * np.pi * share
    return np.sqrt(np.tan(x) / x) * (0.923 + 0.199 * (1.0 - np.sin(x)) ** 4) / np.cos(x)


def _central(share: Array) -> Array:
    """F of a central crack over 2a/W."""
    return (1.0 - 0.025 * share**2 + 0.06 * share**4) * np.sqrt(1.0 / np.cos(0.5 * np.pi * share))


def _integral(function: Callable[[Array], Array], end: Array) -> float:
    """Integral from 0 to `end`."""
    places, weights = _GAUSS
    return float(0.5 * end * (weights @ function(0.5 * end * (places + 1.0))))
