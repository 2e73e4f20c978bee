"""Crystals with a crack at y = 0, x < 0, made of nothing but geometry: atoms from ase, fields from textbooks."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from ase import Atoms
from ase.lattice.cubic import BodyCenteredCubic, Diamond, FaceCenteredCubic


@dataclass(frozen=True, kw_only=True, eq=False)
class CrackedCrystal:
    """Atoms (n, 3) in laboratory axes, Å, with what is known of them.

    Attributes:
        step: (3,) lattice vector along x by which the crystal repeats, with the change of height that goes with it.
        length: of a bond, Å.
        k: Griffith's K of the element, roughly, eV/Å^2.5.
    """

    reference: np.ndarray
    thickness: float
    step: np.ndarray
    length: float
    shear: float
    poisson: float
    k: float

    @property
    def period(self) -> float:
        return float(self.step[0])


def _cluster(cell: Atoms, cut: float, half: float, periods: int) -> tuple[np.ndarray, float]:
    """Repeat a cell to |x|, |y| < half with the plane y = cut moved to zero and no atom at x = 0."""
    a, b, c = cell.cell.lengths()
    many = cell.repeat((2 * int(half / a) + 4, 2 * int(half / b) + 4, periods))
    places = many.positions - [a * (int(half / a) + 2), b * (int(half / b) + 2) + cut, 0.0]
    return places[np.all(np.abs(places[:, :2]) < half, axis=1)], periods * c


def tungsten(half: float = 30.0, periods: int = 1) -> CrackedCrystal:
    """bcc, (010)[001] crack."""
    a = 3.165
    cell = BodyCenteredCubic("W", latticeconstant=a, directions=[[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    places, thickness = _cluster(cell, 0.25 * a, half, periods)
    return CrackedCrystal(
        reference=places,
        thickness=thickness,
        step=np.array([a, 0, 0]),
        length=a * 3**0.5 / 2,
        shear=1.0,
        poisson=0.28,
        k=1.2,
    )


def _close_packed(
    kind, symbol: str, a: float, cut: float, half: float, periods: int
) -> tuple[np.ndarray, float, np.ndarray]:
    cell = kind(symbol, latticeconstant=a, directions=[[1, 1, -2], [1, 1, 1], [1, -1, 0]])
    places, thickness = _cluster(cell, cut * a, half, periods)
    return places, thickness, a * np.array([6**0.5 / 4, 0.0, 2**0.5 / 4])


def aluminium(half: float = 30.0, periods: int = 1) -> CrackedCrystal:
    """fcc, (111)[1-10] crack."""
    a = 4.05
    places, thickness, step = _close_packed(FaceCenteredCubic, "Al", a, 3**0.5 / 6, half, periods)
    return CrackedCrystal(
        reference=places, thickness=thickness, step=step, length=a / 2**0.5, shear=0.17, poisson=0.35, k=0.26
    )


def silicon(half: float = 30.0, periods: int = 1, cut: str = "shuffle") -> CrackedCrystal:
    """Diamond, (111)[1-10] crack between the widely (shuffle) or the closely (glide) spaced planes."""
    a = 5.431
    # The planes of one double layer lie at 0 and a√3/12 below or above: the cell's own origin tells which.
    heights = {"shuffle": 3**0.5 / 8, "glide": -(3**0.5) / 24}
    places, thickness, step = _close_packed(Diamond, "Si", a, heights[cut], half, periods)
    return CrackedCrystal(
        reference=places, thickness=thickness, step=step, length=a * 3**0.5 / 4, shear=0.4, poisson=0.22, k=0.42
    )


KINDS = ("tungsten", "aluminium", "silicon", "glide")


@cache
def crystal(kind: str) -> CrackedCrystal:
    if kind == "glide":
        return silicon(cut="glide")
    return {"tungsten": tungsten, "aluminium": aluminium, "silicon": silicon}[kind]()


@dataclass(frozen=True, kw_only=True)
class Williams:
    """The field of a crack in an isotropic medium in plane strain (Williams 1957), intensities in the order II, I, III."""

    shear: float
    poisson: float

    def displacement(self, places, k, *, tip=(0.0, 0.0)):
        x, y = (np.asarray(places) - tip).T
        half, kappa = 0.5 * np.arctan2(y, x), 3.0 - 4.0 * self.poisson
        cos, sin = np.cos(half), np.sin(half)
        opening = np.column_stack([cos * (kappa - 1 + 2 * sin**2), sin * (kappa + 1 - 2 * cos**2), 0 * x])
        sliding = np.column_stack([sin * (kappa + 1 + 2 * cos**2), -cos * (kappa - 1 - 2 * sin**2), 0 * x])
        tearing = np.column_stack([0 * x, 0 * x, 4.0 * sin])
        size = np.sqrt(np.hypot(x, y) / (2 * np.pi)) / (2 * self.shear)
        return size[:, None] * (k[0] * sliding + k[1] * opening + k[2] * tearing)

    @classmethod
    def of(cls, crystal: CrackedCrystal) -> "Williams":
        return cls(shear=crystal.shear, poisson=crystal.poisson)


def volterra(places, *, at, burgers, angle, poisson):
    """Isotropic straight dislocation along z (Hirth and Lothe 1982, eq. 3-45), cut running back from it at 180° to `angle`.

    Above the slip plane (the side to which its normal points) atoms have moved by +b against those below.
    """
    t = np.radians(angle)
    turn = np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])
    x, y = turn @ (np.asarray(places)[:, :2] - at).T
    b, bz = turn @ np.asarray(burgers)[:2], burgers[2]
    assert abs(b[1]) < 1e-9 * np.linalg.norm(burgers), "a dislocation glides in the plane of its Burgers vector"
    r2, nu = x**2 + y**2, poisson
    theta = np.arctan2(y, x)
    ux = b[0] / (2 * np.pi) * (theta + x * y / (2 * (1 - nu) * r2))
    uy = -b[0] / (2 * np.pi) * ((1 - 2 * nu) / (4 * (1 - nu)) * np.log(r2) + (x**2 - y**2) / (4 * (1 - nu) * r2))
    return np.column_stack([np.column_stack([ux, uy]) @ turn, bz * theta / (2 * np.pi)])


def axes(angle):
    """Unit vectors along the trace of a plane and normal to it."""
    t = np.radians(angle)
    return np.array([np.cos(t), np.sin(t)]), np.array([-np.sin(t), np.cos(t)])
