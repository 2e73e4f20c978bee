"""Energies made of radial functions: pair terms and embedding functions, and the Cauchy–Born density of both.

V_i = ½ Σ_j φ(r_ij) + G(t_i) with t_i = Σ_j ρ(r_ij) (Daw and Baskes 1984). Pair potentials have G = 0.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomistic.errors import AtomisticError

#: A function's values, first and second derivatives, each of the argument's shape.
Jet = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]

_CHUNK = 400_000  # bonds times components squared looked at together: their arrays stay in the processor's cache


class RadialFunctions(Protocol):
    """The three functions of V_i, each with its first two derivatives."""

    def pair(self, r: NDArray[np.float64]) -> Jet:
        """Return φ, φ', φ'' at the distances `r`."""
        ...

    def density(self, r: NDArray[np.float64]) -> Jet:
        """Return ρ, ρ', ρ'' at the distances `r`."""
        ...

    def embedding(self, t: NDArray[np.float64]) -> Jet:
        """Return G, G', G'' at the densities `t`."""
        ...


class RadialCauchyBorn:
    """Energy density of a homogeneously deformed Bravais crystal, W(F) = V(F a_1, F a_2, ...) / Ω, exact.

    One site stands for all of them; its neighbours are at F a_k (Born and Huang 1954; Ericksen 1984). Energies are per
    *undeformed* volume Ω.

    Args:
        functions: the potential.
        bonds: (k, c) vectors a_k of the undeformed crystal, one of each pair ±a_k.
        site_volume: Ω, the volume (area) of one site before deformation.
    """

    def __init__(self, functions: RadialFunctions, *, bonds: ArrayLike, site_volume: float) -> None:
        self.functions = functions
        self.bonds = np.asarray(bonds, dtype=float)
        self.site_volume = float(site_volume)
        if self.bonds.ndim != 2 or not np.all(np.isfinite(self.bonds)) or not self.site_volume > 0.0:
            raise AtomisticError(
                f"Expected bonds (k, c) and a positive site volume; got shape {self.bonds.shape} and {site_volume!r}."
            )

    @property
    def components(self) -> int:
        """Number of displacement components, c."""
        return int(self.bonds.shape[1])

    def energy(self, deformation: ArrayLike) -> NDArray[np.float64]:
        """Return W (n,), eV per undeformed volume, at the deformation gradients (n, c, c)."""
        return self._evaluate(deformation, stress=False)[0]

    def stress(self, deformation: ArrayLike) -> NDArray[np.float64]:
        """Return the first Piola–Kirchhoff stress P = dW/dF, (n, c, c)."""
        return self._evaluate(deformation, stress=True)[1]

    def energy_and_stress(self, deformation: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return W and P at once: looking up the functions is most of the cost, and both need the same."""
        return self._evaluate(deformation, stress=True)

    def _evaluate(self, deformation: ArrayLike, *, stress: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return W (n,) and, where asked for, P (n, c, c)."""
        gradients = self._checked(deformation)
        energies, stresses = np.empty(len(gradients)), np.empty_like(gradients)
        for part, bonds in self._parts(gradients):
            c = self.components
            # One matrix product for all points, (points · c, c) times (c, bonds).
            vectors = (gradients[part].reshape(-1, c) @ bonds.T).reshape(-1, c, len(bonds))
            r = np.sqrt(np.einsum("nik,nik->nk", vectors, vectors))
            pair, pair_slope, density, slope = self._slopes(r)
            embedded, first, _ = self.functions.embedding(2.0 * density.sum(axis=1))
            energies[part] = (pair.sum(axis=1) + embedded) / self.site_volume
            if stress:
                slope *= 2.0 * first[:, None]
                slope += pair_slope
                slope /= r
                vectors *= slope[:, None, :]
                stresses[part] = (vectors.reshape(-1, len(bonds)) @ (bonds / self.site_volume)).reshape(-1, c, c)
        return energies, stresses

    def _slopes(self, r: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """Return φ, φ', ρ, ρ' at distances: new arrays."""
        pair, pair_slope, _ = self.functions.pair(r)
        density, slope, _ = self.functions.density(r)
        return pair, pair_slope, density, slope

    def tangent(self, deformation: ArrayLike) -> NDArray[np.float64]:
        """Return C = d²W/dF dF with C[n, i, j, p, q] = dP_ij/dF_pq, (n, c, c, c, c)."""
        gradients = self._checked(deformation)
        c = self.components
        tangents = np.empty((len(gradients), c, c, c, c))
        for part, bonds in self._parts(gradients):
            vectors = np.einsum("nij,kj->nki", gradients[part], bonds)
            r = np.linalg.norm(vectors, axis=2)
            normals = vectors / r[:, :, None]
            density, slope, curvature = self.functions.density(r)
            _, first, second = self.functions.embedding(2.0 * density.sum(axis=1))
            _, pair_slope, pair_curvature = self.functions.pair(r)
            along = pair_curvature + 2.0 * first[:, None] * curvature
            across = (pair_slope + 2.0 * first[:, None] * slope) / r
            # Σ_k M_k[i, p] a_k[j] a_k[q] as one matrix product over the bonds k.
            blocks = (along - across)[:, :, None, None] * normals[:, :, :, None] * normals[:, :, None, :]
            blocks += across[:, :, None, None] * np.eye(c)
            squares = (bonds[:, :, None] * bonds[:, None, :]).reshape(len(bonds), c * c)
            product = np.swapaxes(blocks.reshape(len(blocks), len(bonds), c * c), 1, 2) @ squares
            tangent = product.reshape(-1, c, c, c, c).transpose(0, 1, 3, 2, 4)  # (n, i, p, j, q) -> (n, i, j, p, q)
            gradient = 2.0 * np.swapaxes(slope[:, :, None] * normals, 1, 2) @ bonds  # dt/dF
            outer = gradient[:, :, :, None, None] * gradient[:, None, None, :, :]
            tangents[part] = (tangent + second[:, None, None, None, None] * outer) / self.site_volume
        return tangents

    def _bonds_for(self, gradients: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the undeformed bonds that count under these deformations; here the neighbours are fixed."""
        return self.bonds

    def _parts(self, gradients: NDArray[np.float64]) -> list[tuple[slice, NDArray[np.float64]]]:
        """Split the points into slices small enough for memory, each with its bonds."""
        bonds = self._bonds_for(gradients)
        step = max(1, _CHUNK // (max(len(bonds), 1) * self.components**2))
        return [(slice(k, k + step), bonds) for k in range(0, len(gradients), step)]

    def _checked(self, deformation: ArrayLike) -> NDArray[np.float64]:
        """Return the deformation gradients as an (n, c, c) array."""
        gradients = np.asarray(deformation, dtype=float)
        c = self.components
        if gradients.ndim != 3 or gradients.shape[1:] != (c, c):
            raise AtomisticError(
                f"Expected deformation gradients of shape (n, {c}, {c}); got {gradients.shape}. One gradient F is F[None]."
            )
        return gradients


def half_list(vectors: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one of each pair ±v of integer vectors (k, m): that whose first component other than zero is positive."""
    leading = np.where(vectors != 0, vectors, 0)
    first = np.argmax(leading != 0, axis=1)
    return vectors[np.take_along_axis(leading, first[:, None], axis=1)[:, 0] > 0]


def lattice_vectors_within(basis: ArrayLike, radius: float) -> NDArray[np.int64]:
    """Return the integer coordinates (k, m), zero left out, of lattice vectors up to `radius` long.

    Args:
        basis: (m, m), rows are the primitive vectors.
        radius: the longest vector wanted, in the basis's unit.
    """
    rows = np.asarray(basis, dtype=float)
    # |n_i| <= radius times the length of the i-th reciprocal vector.
    bound = np.floor(radius * np.linalg.norm(np.linalg.inv(rows), axis=0) + 1e-9).astype(int)
    axes = [np.arange(-b, b + 1) for b in bound]
    candidates = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(rows))
    lengths = np.linalg.norm(candidates @ rows, axis=1)
    return candidates[(lengths <= radius * (1.0 + 1e-12)) & np.any(candidates != 0, axis=1)]
