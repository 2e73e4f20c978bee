"""Split-beam specimens of the benchmarks: materials, dimensions, meshes; mm, N, MPa and N/mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from mpi4py import MPI

from continuum.beams import DoubleCantileverEstimate
from continuum.materials import LinearElastic
from continuum.mesh import BodyMesh, split_bodies

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Alfano:
    """The double cantilever beam of Alfano (2006), Compos. Sci. Technol. 66, 723: slender, isotropic."""

    length: float = 100.0
    height: float = 1.5
    crack: float = 30.0
    width: float = 20.0
    modulus: float = 70e3
    poisson: float = 0.3
    toughness: float = 0.5

    @property
    def material(self) -> LinearElastic:
        """Aluminium."""
        return LinearElastic.isotropic(E=self.modulus, nu=self.poisson)

    @property
    def estimate(self) -> DoubleCantileverEstimate:
        """Its beam estimate."""
        return DoubleCantileverEstimate(
            **moduli(self.material), arm_height=self.height, initial_crack=self.crack, fracture_energy=self.toughness
        )


@dataclass(frozen=True, kw_only=True)
class Peek:
    """AS4/PEEK of Reeder and Crews (1990) with the constants of Camanho and Dávila (2002), NASA/TM-2002-211737.

    Half span L, arm h, width b; G_Ic, G_IIc and η of Benzeggagh and Kenane; strengths N, S and stiffness K of the interface.
    """

    half_span: float = 51.0
    height: float = 1.56
    width: float = 25.4
    mode_1: float = 0.969
    mode_2: float = 1.719
    exponent: float = 2.284
    strength: float = 80.0
    shear_strength: float = 100.0
    stiffness: float = 1e6

    @property
    def material(self) -> LinearElastic:
        """Fibres along x, transversely isotropic: E11, E22 = E33, ν12 = ν13, ν23, G12 = G13; G23 follows."""
        along, across, shear, poisson, transverse = 122.7e3, 10.1e3, 5.5e3, 0.25, 0.45
        compliance = np.diag([1 / along, 1 / across, 1 / across, 2 * (1 + transverse) / across, 1 / shear, 1 / shear])
        compliance[0, 1:3] = compliance[1:3, 0] = -poisson / along
        compliance[1, 2] = compliance[2, 1] = -transverse / across
        return LinearElastic(np.linalg.inv(compliance))


ALFANO, PEEK = Alfano(), Peek()


def moduli(material: LinearElastic) -> dict[str, float]:
    """The moduli of a beam estimate in plane strain."""
    compliance = material.plane_strain_compliance
    names = ("modulus", "transverse_modulus", "shear_modulus")
    return {name: float(1.0 / compliance[i, i]) for i, name in enumerate(names)}


@dataclass(frozen=True, kw_only=True)
class BeamGrid:
    """Lines of a grid of quadrilaterals, the lower arm a mirror of the upper.

    Attributes:
        x: (n,) from the cracked end to the other.
        y: (m,) of one arm, from 0 to its height.
        crack: length of the initial crack.
        mid: None, or the line that mid-span loads are centred on.
    """

    x: Array
    y: Array
    crack: float
    mid: float | None = None


def beam_mesh(comm: MPI.Comm, grid: BeamGrid) -> BodyMesh:
    """Two arms joined along y = 0.

    Groups: ``lower grip`` and ``upper grip`` (end faces at x = 0), ``right``, ``foot`` (the last facet of the bottom) and, with
    `mid`, ``mid top`` (the two facets of the top that meet there).
    """
    x, y = grid.x, np.concatenate([-grid.y[:0:-1], grid.y])
    points = np.stack([g.ravel() for g in np.meshgrid(x, y, indexing="ij")], axis=1)
    i, j = (g.ravel() for g in np.meshgrid(np.arange(len(x) - 1), np.arange(len(y) - 1), indexing="ij"))
    first = i * len(y) + j
    cells = np.stack([first, first + len(y), first + 1, first + len(y) + 1], axis=1)
    near = 1e-9 * x[-1]
    top, foot = float(y[-1]), 0.5 * (x[-1] + x[-2])
    groups = {
        "lower grip": lambda m: (m[:, 0] < near) & (m[:, 1] < 0.0),
        "upper grip": lambda m: (m[:, 0] < near) & (m[:, 1] > 0.0),
        "right": lambda m: m[:, 0] > x[-1] - near,
        "foot": lambda m: (m[:, 1] < near - top) & (np.abs(m[:, 0] - foot) < near),
    }
    if grid.mid is not None:
        at = int(np.argmin(np.abs(x - grid.mid)))
        groups["mid top"] = lambda m: (m[:, 1] > top - near) & (m[:, 0] > x[at - 1]) & (m[:, 0] < x[at + 1])
    return split_bodies(
        comm,
        points=points,
        cells=cells,
        cell="quadrilateral",
        body_of_cell=(points[cells].mean(axis=1)[:, 1] > 0.0).astype(np.int64),
        bodies=["lower", "upper"],
        interfaces={"interface": ("lower", "upper")},
        groups=groups,
        cracked={"interface": lambda m: m[:, 0] < grid.crack},
    )


def pieces(*parts: tuple[float, int], start: float = 0.0) -> Array:
    """Lines of a grid: from `start` to each (end, number of cells) in turn, even inside each part."""
    lines = [np.array([start])]
    for end, count in parts:
        lines.append(np.linspace(float(lines[-1][-1]), end, count + 1)[1:])
    return np.concatenate(lines)
