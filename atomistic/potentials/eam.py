"""Embedded-atom potentials in double precision: weighted site energies, their gradient, Hessian and Cauchy–Born density.

V_i = F(t_i) + ½ Σ_j φ(r_ij), t_i = Σ_j ρ(r_ij) (Daw and Baskes 1984; for eam/fs ρ depends on both elements, Finnis and
Sinclair 1984). The functions come from the file that LAMMPS reads, by the same cubic pieces.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import bsr_matrix, csr_matrix

from atomistic.errors import AtomisticError, CauchyBornError, UnknownElementError
from atomistic.pair_list import PairList
from atomistic.potentials.base import checked_weights
from atomistic.potentials.setfl import PiecewiseCubic, SetflTables
from atomistic.radial import Jet, RadialCauchyBorn, half_list, lattice_vectors_within

#: Å; wider means rarer searches for neighbours and more pairs to look at.
SKIN = 0.6

Array = NDArray[np.float64]


class EAMModel:
    """An embedded-atom potential from its tables; evaluates any structure, or is bound to one by `cluster`."""

    def __init__(self, tables: SetflTables, *, name: str, comm: MPI.Comm = MPI.COMM_SELF) -> None:
        self.tables = tables
        self.name = name
        self.comm = comm
        self.cutoff = tables.cutoff
        count = len(tables.elements)
        self.embedding = PiecewiseCubic(tables.embedding, step=tables.density_step, linear_beyond=True)
        # Row a·e + b: what b adds at a, so that a pair (first, second) reads its two densities at two rows.
        added = tables.density.swapaxes(0, 1).reshape(count * count, -1)
        self.density = PiecewiseCubic(added, step=tables.distance_step)
        self.pair = PiecewiseCubic(tables.pair.reshape(count * count, -1), step=tables.distance_step)
        self._bound: EAMCluster | None = None

    def cluster(
        self, symbols: Sequence[str], *, cell: ArrayLike | None = None, periodic: ArrayLike = (False, False, False)
    ) -> EAMCluster:
        """Bind the potential to atoms of these elements in a cell; rows of `cell` that are not periodic are not read."""
        return EAMCluster(self, symbols=tuple(symbols), cell=cell, periodic=periodic)

    def weighted(self, atoms: Atoms, weights: Array) -> tuple[Array, Array]:
        """Return V_i (n,) and d(Σ w_i V_i)/dy (n, 3) of any structure; neighbours are kept while atoms move little."""
        bound = self._bound
        key = tuple(atoms.symbols), tuple(atoms.pbc), (atoms.cell.array * atoms.pbc[:, None]).tobytes()
        if bound is None or bound.key != key:
            bound = self.cluster(key[0], cell=atoms.cell.array, periodic=atoms.pbc)
            bound.key = key
            self._bound = bound
        _, gradient, energies = bound.evaluate(atoms.positions, weights)
        return energies, gradient

    def functions(self, symbol: str) -> EAMFunctions:
        """Return φ, ρ and F of one element alone."""
        return EAMFunctions(self.tables.only((symbol,)))


class EAMFunctions:
    """φ(r), ρ(r) and F(t) of one element with two derivatives; zero beyond the cutoff."""

    def __init__(self, tables: SetflTables) -> None:
        if len(tables.elements) != 1:
            raise AtomisticError(f"Functions of one element are wanted; the tables hold {', '.join(tables.elements)}.")
        self.cutoff = tables.cutoff
        self._embedding = PiecewiseCubic(tables.embedding, step=tables.density_step, linear_beyond=True)
        self._density = PiecewiseCubic(tables.density[0], step=tables.distance_step)
        self._pair = PiecewiseCubic(tables.pair[0], step=tables.distance_step)

    def pair(self, r: Array) -> Jet:
        """Return φ, φ', φ'' (eV, Å) at the distances `r`."""
        return self._cut(r, _divided(_jet(self._pair, r), r))

    def density(self, r: Array) -> Jet:
        """Return ρ, ρ', ρ'' at the distances `r`."""
        return self._cut(r, _jet(self._density, r))

    def embedding(self, t: Array) -> Jet:
        """Return F, F', F'' (eV) at the densities `t`."""
        return _jet(self._embedding, t)

    def slopes(self, r: Array) -> tuple[Array, Array, Array, Array]:
        """Return φ, φ', ρ, ρ' at the distances `r`: one search in the tables, no second derivatives."""
        piece, p = self._density.locate(r)
        density, slope = self._density.value_and_slope(piece, p)
        pair, pair_slope = self._pair.value_and_slope(piece, p)
        pair /= r
        pair_slope -= pair
        pair_slope /= r
        beyond = r >= self.cutoff
        if beyond.any():
            for values in (pair, pair_slope, density, slope):
                values[beyond] = 0.0
        return pair, pair_slope, density, slope

    def _cut(self, r: Array, jet: Jet) -> Jet:
        """Set to zero from the cutoff on."""
        inside = r < self.cutoff
        return jet[0] * inside, jet[1] * inside, jet[2] * inside


class EAMCauchyBorn(RadialCauchyBorn):
    """W(F), P(F), C(F) of a Bravais crystal from the very functions that drive the atoms, per undeformed volume.

    Args:
        functions: φ, ρ and F of the element.
        lattice_vectors: (3, 3), rows are primitive vectors of the undeformed crystal, Å.
    """

    def __init__(self, functions: EAMFunctions, lattice_vectors: ArrayLike) -> None:
        self.lattice_vectors = np.asarray(lattice_vectors, dtype=float)
        if self.lattice_vectors.shape != (3, 3):
            raise AtomisticError(f"Expected three primitive vectors as rows, (3, 3); got {self.lattice_vectors.shape}.")
        self._eam, self._cutoff = functions, functions.cutoff
        self._compression = 0.0
        super().__init__(functions, bonds=np.zeros((0, 3)), site_volume=float(abs(np.linalg.det(self.lattice_vectors))))
        self._reach_for(0.9)

    def _bonds_for(self, gradients: Array) -> Array:
        """Return all bonds that can come within the cutoff: |F a| ≥ σ_min |a| with σ_min the least singular value."""
        right = np.swapaxes(gradients, 1, 2) @ gradients - np.eye(gradients.shape[1])
        # σ_min² ≥ 1 − |FᵀF − I|: singular values themselves cost as much as the stress, and are wanted at large strains only.
        square = 1.0 - float(np.sqrt(np.einsum("nij,nij->n", right, right).max(initial=0.0)))
        if square > 0.9**2:
            least = float(np.sqrt(square))
        else:
            least = float(np.linalg.svd(gradients, compute_uv=False).min(initial=1.0))
        if least < 0.3:
            raise CauchyBornError(
                f"A deformation gradient shrinks a direction to {least:.3g} of its length: no crystal is left there."
            )
        if least < self._compression:
            self._reach_for(0.9 * least)
        return self.bonds[: np.searchsorted(self._lengths, self._cutoff / least, side="right")]

    def _slopes(self, r: Array) -> tuple[Array, ...]:
        """Return φ, φ', ρ, ρ' from the tables in one go."""
        return self._eam.slopes(r)

    def _reach_for(self, compression: float) -> None:
        """Take in every bond that comes within the cutoff when the crystal is shrunk to `compression`."""
        self._compression = compression
        vectors = lattice_vectors_within(self.lattice_vectors, self._cutoff / compression)
        bonds = half_list(vectors) @ self.lattice_vectors
        lengths = np.linalg.norm(bonds, axis=1)
        order = np.argsort(lengths, kind="stable")
        self.bonds, self._lengths = bonds[order], lengths[order]


class EAMCluster:
    """Atoms driven by an embedded-atom potential: E = Σ w_i V_i with gradient (one pass over pairs) and Hessian.

    Pairs of two atoms of weight zero are left out: they touch no energy that counts.
    """

    def __init__(
        self, model: EAMModel, *, symbols: tuple[str, ...], cell: ArrayLike | None, periodic: ArrayLike
    ) -> None:
        known = model.tables.elements
        unknown = sorted(set(symbols) - set(known))
        if unknown:
            raise UnknownElementError(f"{model.name!r} has no parameters for {', '.join(unknown)}; it knows {known}.")
        self.model = model
        self.count = len(symbols)
        self.key: object = None
        self._types = np.array([known.index(s) for s in symbols], dtype=np.intp)
        self._alike = len(set(symbols)) <= 1 and len(known) == 1
        comm = model.comm
        self._pairs = PairList(
            cutoff=model.cutoff, skin=SKIN, cell=cell, periodic=periodic, share=(comm.rank, comm.size)
        )
        self._counted: NDArray[np.bool_] | None = None
        self._first = self._second = np.zeros(0, dtype=np.intp)
        self._shift: Array | None = None
        self._slots: _Slots | None = None

    def evaluate(self, positions: Array, weights: Array | None = None) -> tuple[float, Array, Array]:
        """Return E = Σ w_i V_i (eV), dE/dy (n, 3) (eV/Å) and V_i (n,); V_i are whole only where w_i ≠ 0."""
        y, w = self._prepare(positions, weights)
        i, j, vectors, r = self._close(y)
        kind_i, kind_j = self._kinds(i, j)
        piece, p = self.model.density.locate(r)
        at_i, slope_i = self.model.density.value_and_slope(piece + kind_i, p)
        at_j, slope_j = (at_i, slope_i) if self._alike else self.model.density.value_and_slope(piece + kind_j, p)
        pair, pair_slope = self.model.pair.value_and_slope(piece + kind_i, p)
        inverse = 1.0 / r
        pair *= inverse
        pair_slope -= pair
        pair_slope *= inverse
        n = self.count
        sums = (
            np.bincount(i, at_i, n) + np.bincount(j, at_j, n),
            0.5 * (np.bincount(i, pair, n) + np.bincount(j, pair, n)),
        )
        t, halves = self._summed(np.stack(sums))
        embedding, embedding_slope = self._embedding(t)
        energies = halves + embedding
        force = slope_i
        if w is None:
            force = force * embedding_slope[i] + slope_j * embedding_slope[j] + pair_slope
        else:
            weighted = w * embedding_slope
            force = force * weighted.take(i) + slope_j * weighted.take(j)
            half = 0.5 * w
            force += (half.take(i) + half.take(j)) * pair_slope
        force *= inverse
        gradient = np.empty((3, n))
        for k in range(3):
            component = force * vectors[k]
            gradient[k] = np.bincount(j, component, n) - np.bincount(i, component, n)
        energy = float(np.sum(energies) if w is None else w @ energies)
        return energy, np.ascontiguousarray(self._summed(gradient).T), energies

    def energy_and_gradient(self, positions: Array, weights: Array | None = None) -> tuple[float, Array]:
        """Return E = Σ w_i V_i (eV) and dE/dy (n, 3), eV/Å; all weights are one by default."""
        return self.evaluate(positions, weights)[:2]

    def hessian(self, positions: Array, weights: Array | None = None) -> csr_matrix:
        """Return d²E/dy² as a sparse (3n, 3n) matrix, eV/Å²; the unknown of atom i, component k is 3i + k.

        Atoms are linked to the neighbours of their neighbours through the densities of common ones: in fcc Al that is
        some 460 blocks a row. `hessian_parts` avoids multiplying them out.
        """
        direct, densities, curvatures = self.hessian_parts(positions, weights)
        return (direct + densities.T @ densities.multiply(curvatures[:, None]).tocsr()).tocsr()

    def hessian_parts(self, positions: Array, weights: Array | None = None) -> tuple[csr_matrix, csr_matrix, Array]:
        """Return K, T, d with d²E/dy² = K + Tᵀ diag(d) T: the pairs' part, dt_i/dy (n, 3n) and w_i F''(t_i) (n,).

        Second derivatives of cubic pieces jump at the table's points; first derivatives don't.
        """
        y, w = self._prepare(positions, weights)
        w = np.ones(self.count) if w is None else w
        i, j, vectors, r = self._close(y)
        # What lies in the skin must not show, not even in the order of sums: it depends on when the list was made.
        if self._slots is None or not self._slots.of(i, j):
            self._slots = _Slots(i, j, self.count)
        kind_i, kind_j = self._kinds(i, j)
        piece, p = self.model.density.locate(r)
        density, pair = self.model.density, self.model.pair
        at_i, slope_i = density.value_and_slope(piece + kind_i, p)
        at_j, slope_j = density.value_and_slope(piece + kind_j, p)
        _, pair_slope, pair_curvature = _divided(
            (*pair.value_and_slope(piece + kind_i, p), pair.curvature(piece + kind_i, p)), r
        )
        n = self.count
        t = self._summed(np.bincount(i, at_i, n) + np.bincount(j, at_j, n))
        kind = self._types if len(self.model.tables.elements) > 1 else 0
        place = self.model.embedding.locate(t, kind)
        first = w * self.model.embedding.value_and_slope(*place)[1]
        second = w * self.model.embedding.curvature(*place)
        mean = 0.5 * (w[i] + w[j])
        bend = first[i] * density.curvature(piece + kind_i, p) + first[j] * density.curvature(piece + kind_j, p)
        along = mean * pair_curvature + bend
        across = (mean * pair_slope + first[i] * slope_i + first[j] * slope_j) / r
        normals = (vectors / r).T
        blocks = (along - across)[:, None, None] * normals[:, :, None] * normals[:, None, :]
        blocks += across[:, None, None] * np.eye(3)
        changes_i, changes_j = slope_i[:, None] * normals, slope_j[:, None] * normals
        direct = self._slots.matrix(np.concatenate([-blocks, -blocks, blocks, blocks]))
        densities = self._slots.matrix(np.concatenate([changes_i, -changes_j, -changes_i, changes_j])[:, None, :])
        if self.model.comm.size > 1:
            direct = sum(self.model.comm.allgather(direct), csr_matrix(direct.shape))
            densities = sum(self.model.comm.allgather(densities), csr_matrix(densities.shape))
        return direct, densities, second

    def _prepare(self, positions: Array, weights: Array | None) -> tuple[Array, Array | None]:
        """Check the arguments, and bring the list of pairs and its part that counts up to date."""
        y = np.ascontiguousarray(positions, dtype=float)
        if y.shape != (self.count, 3):
            raise AtomisticError(f"Expected positions of {self.count} atoms, ({self.count}, 3); got shape {y.shape}.")
        w = None if weights is None else checked_weights(weights, self.count)
        rebuilt = self._pairs.update(y)
        counted = None if w is None or np.all(w) else w != 0.0
        same = (counted is None and self._counted is None) or (
            counted is not None and self._counted is not None and np.array_equal(counted, self._counted)
        )
        if rebuilt or not same:
            self._counted, self._slots = counted, None
            i, j, shift = self._pairs.first, self._pairs.second, self._pairs.shift
            if counted is not None:
                keep = np.flatnonzero(counted[i] | counted[j])
                i, j, shift = i[keep], j[keep], None if shift is None else shift[keep]
            self._first, self._second = i, j
            self._shift = None if shift is None else np.ascontiguousarray(shift.T)
        return y, w

    def _separations(self, y: Array) -> tuple[Array, Array]:
        """Return y_j − y_i (3, pairs) of the listed pairs and its length."""
        columns = np.ascontiguousarray(y.T)
        vectors = np.empty((3, len(self._first)))
        for k in range(3):
            np.subtract(columns[k].take(self._second), columns[k].take(self._first), out=vectors[k])
        if self._shift is not None:
            vectors += self._shift
        return vectors, np.sqrt(np.einsum("kp,kp->p", vectors, vectors))

    def _close(self, y: Array) -> tuple[NDArray[np.intp], NDArray[np.intp], Array, Array]:
        """Return the pairs within the cutoff, their separations (3, pairs) and distances."""
        vectors, r = self._separations(y)
        near = np.flatnonzero(r < self.model.cutoff)
        return self._first.take(near), self._second.take(near), vectors.take(near, axis=1), r.take(near)

    def _kinds(self, i: NDArray[np.intp], j: NDArray[np.intp]) -> tuple[NDArray[np.intp] | int, NDArray[np.intp] | int]:
        """Return where the tables of each pair start, seen from its first and its second atom."""
        count = len(self.model.tables.elements)
        if count == 1:
            return 0, 0
        a, b = self._types[i], self._types[j]
        return (a * count + b) * self.model.density.points, (b * count + a) * self.model.density.points

    def _embedding(self, t: Array) -> tuple[Array, Array]:
        """Return F(t_i) and F'(t_i)."""
        kind = self._types if len(self.model.tables.elements) > 1 else 0
        return self.model.embedding.value_and_slope(*self.model.embedding.locate(t, kind))

    def _summed(self, values: Array) -> Array:
        """Add the ranks' shares; every rank gets the same bits."""
        comm = self.model.comm
        if comm.size == 1:
            return values
        total = np.empty_like(values)
        comm.Reduce(np.ascontiguousarray(values), total, op=MPI.SUM, root=0)
        comm.Bcast(total, root=0)
        return total


class _Slots:
    """Where the blocks of pairs go in a sparse matrix: (i, j), (j, i), (i, i), (j, j) of all pairs, in this order."""

    def __init__(self, first: NDArray[np.intp], second: NDArray[np.intp], count: int) -> None:
        self.count = count
        self._pairs = first, second
        keys = np.concatenate(
            [first * count + second, second * count + first, first * (count + 1), second * (count + 1)]
        )
        self._order = np.argsort(keys, kind="stable")
        ordered = keys[self._order]
        self._starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(keys) else keys
        places = ordered[self._starts]
        self._columns = places % count
        self._rows = np.searchsorted(places // count, np.arange(count + 1))

    def of(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> bool:
        """Whether they were made for these pairs."""
        return np.array_equal(first, self._pairs[0]) and np.array_equal(second, self._pairs[1])

    def matrix(self, blocks: Array) -> csr_matrix:
        """Return the sparse matrix whose blocks are the sums of `blocks` (4 · pairs, a, b) that share a place."""
        _, a, b = blocks.shape
        data = np.add.reduceat(blocks[self._order], self._starts, axis=0) if len(blocks) else blocks
        return bsr_matrix((data, self._columns, self._rows), shape=(self.count * a, self.count * b)).tocsr()


def _jet(function: PiecewiseCubic, x: Array) -> Jet:
    """Return a tabulated function with two derivatives at arguments of any shape."""
    piece, p = function.locate(np.asarray(x, dtype=float))
    return (*function.value_and_slope(piece, p), function.curvature(piece, p))


def _divided(jet: Jet, r: Array) -> Jet:
    """Return φ, φ', φ'' from those of r·φ."""
    value = jet[0] / r
    slope = (jet[1] - value) / r
    return value, slope, (jet[2] - 2.0 * slope) / r
