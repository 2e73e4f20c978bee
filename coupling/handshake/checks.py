"""What can be checked of a method without a reference: patch tests, consistency, invariance, closure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coupling.handshake.arlequin import Arlequin
from coupling.handshake.methods import Method

Array = NDArray[np.float64]


def homogeneous(method: Method, deformation: ArrayLike) -> Array:
    """Unknowns (rows, c) under the homogeneous deformation F (c, c): u = (F − F₀)X."""
    if isinstance(method, Arlequin):
        return method.homogeneous(deformation)
    beyond = np.asarray(deformation, dtype=float) - method.model.far_field
    places = _places(method)
    return places @ beyond[:, : places.shape[1]].T


def _places(method: Method) -> Array:
    """(rows, m) undeformed places of the rows that are displacements: all, or all but the multipliers at the end."""
    if isinstance(method, Arlequin):
        return method.model.row_places
    return np.concatenate([method.model.body.nodes] * (method.shape[0] // method.model.shape[0]))


def ghost_force(method: Method, deformation: ArrayLike) -> float:
    """Largest force (eV/Å) on an unknown of a perfect crystal under F: zero for a method that passes the patch test."""
    residual = method.evaluate(homogeneous(method, deformation)).residual
    return float(np.abs(residual[method.free]).max())


def energy_defect(method: Method, deformation: ArrayLike) -> float:
    """Relative difference of E^β(Fx) on a perfect crystal from |Ω| W(F)."""
    model = method.model
    balance = method.evaluate(homogeneous(method, deformation))
    counted = sum(value for name, value in balance.terms.items() if name in ("atoms", "bulk"))
    gradient = np.asarray(deformation, dtype=float)[None]
    expected = float(model.body.volumes.sum()) * float(model.body.material.energy(gradient)[0])
    return abs(counted - expected) / abs(expected)


@dataclass(frozen=True, kw_only=True)
class ForceCheck:
    """A directional derivative of the energy beside the forces' (eV/Å)."""

    from_energy: float
    from_force: float

    @property
    def relative(self) -> float:
        """Their difference relative to the larger one."""
        return abs(self.from_energy - self.from_force) / max(abs(self.from_energy), abs(self.from_force))


def force_check(method: Method, u: Array, *, step: float = 1e-4, seed: int = 1) -> ForceCheck:
    """Differentiate the energy along a random direction of the unknowns, to fourth order, and compare with the forces."""
    free = method.free
    direction = np.where(free, np.random.default_rng(seed).standard_normal(method.shape), 0.0)
    direction /= np.abs(direction).max()

    def energy(length: float) -> float:
        value = method.evaluate(u + length * direction).energy
        if value is None:
            raise ValueError(f"the method {method.name!r} has no energy to differentiate")
        return value

    slope = (8.0 * (energy(step) - energy(-step)) - (energy(2.0 * step) - energy(-2.0 * step))) / (12.0 * step)
    return ForceCheck(from_energy=slope, from_force=float(np.sum(method.evaluate(u).residual * direction)))


def total_force(method: Method, u: Array) -> float:
    """|Σ r| over all rows, supports included (eV/Å): zero where the energy does not feel a translation."""
    return float(np.linalg.norm(method.evaluate(u).residual[: len(_places(method))].sum(axis=0)))


def total_torque(method: Method, u: Array) -> float:
    """|Σ y × r| about the origin over all rows (eV): zero where the energy does not feel a rotation.

    In plane bodies the component along the thickness; others would turn the period itself.
    """
    places = _places(method)
    rows, m = places.shape
    residual = method.evaluate(u).residual[:rows]
    y = places @ method.model.far_field[:, :m].T + u[:rows]
    if m == 2:
        return float(abs(np.sum(y[:, 0] * residual[:, 1] - y[:, 1] * residual[:, 0])))
    return float(np.linalg.norm(np.cross(y, residual).sum(axis=0)))
