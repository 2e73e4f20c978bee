"""C as an engine sees it: the atoms of a region out of their environment, capped, in vacuum or in a periodic cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from atomistic.caps import Caps, closed_region
from atomistic.surroundings import Surroundings, surroundings
from coupling.embedding.images import inside_cell
from coupling.embedding.region import Mask, Region
from coupling.errors import EmbeddingError

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Cluster:
    """Core and buffer of a region, and how the engine's answers come back to the whole system.

    Attributes:
        region: that it was cut for.
        indices: (n,) atoms of the whole system: core and buffer.
        core: (n,) whether it is core.
        weights: (n,) w of force mixing: 1 in the core, falling to 0 over the blend.
        caps: link atoms; they come after the atoms.
        relative: (n, 3) places relative to the first core atom when the cluster was cut, Å.
        whole_cell: (3, 3) of the whole system at that time, completed where it is not periodic, Å.
        pbc: (3,) directions in which the whole system repeats.
        symbols: chemical symbols of atoms and caps.
    """

    region: Region
    indices: Indices
    core: Mask
    weights: Array
    caps: Caps
    relative: Array
    whole_cell: Array
    pbc: NDArray[np.bool_]
    symbols: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def periodic(self) -> bool:
        """Whether C is a periodic sub-cell."""
        return self.region.cell is not None

    def structure(self, whole: Atoms) -> Atoms:
        """Return C with its caps at the present places of the whole system, with charge and spin in `info`.

        The box around a cluster, and the vacuum of a slice, grow in whole steps of the vacuum's width, so that the answer
        is a function of the places alone.
        """
        places, strain = self.places(whole)
        box, corner = self._box(places, strain)
        atoms = Atoms(self.symbols, positions=places - corner, cell=box, pbc=self.periodic)
        region = self.region
        atoms.info.update(charge=int(region.charge), spin=int(region.spin))
        share = np.concatenate([self.core / self.core.sum(), np.zeros(len(self.caps.inner))])
        if region.charge:
            atoms.set_initial_charges(region.charge * share)
        if region.spin:
            atoms.set_initial_magnetic_moments(region.spin * share)
        return atoms

    def places(self, whole: Atoms) -> tuple[Array, Array]:
        """Return places of atoms and caps relative to the first core atom (n + m, 3), Å, and the strain (3, 3) of the cell.

        They hang together whatever cells the atoms have been wrapped into.
        """
        cell = np.asarray(whole.cell.complete())
        strain = np.linalg.solve(self.whole_cell, cell)
        anchor = whole.positions[self.indices[np.flatnonzero(self.core)[0]]]

        def together(indices: Indices, expected: Array) -> Array:
            relative = whole.positions[indices] - anchor
            cells = np.rint(np.linalg.solve(cell.T, (expected @ strain - relative).T).T) * self.pbc
            found: Array = relative + cells @ cell
            return found

        own = together(self.indices, self.relative)
        caps = self.caps
        if len(caps.inner) == 0:
            return own, strain
        inner = own[caps.inner]
        ends = inner + caps.ratio[:, None] * (together(caps.outer, caps.relative) - inner)
        return np.concatenate([own, ends]), strain

    def _box(self, places: Array, strain: Array) -> tuple[Array, Array]:
        """Return the cell (3, 3) that the engine gets, and where its corner lies relative to the first core atom."""
        cell = self.region.cell
        directions = np.eye(3) if cell is None else cell.vectors @ strain
        ends_freely = np.ones(3, dtype=bool) if cell is None else ~cell.periodic
        along = places @ np.linalg.inv(directions)
        lower, extent = along.min(axis=0), np.ptp(along, axis=0)
        step = max(self.region.vacuum, 1.0) / np.linalg.norm(directions, axis=1)
        # A flat molecule along an axis has an extent of zero, give or take rounding.
        length = np.where(ends_freely, (np.ceil(extent / step - 1e-6) + 2.0) * step, 1.0)
        start = np.where(ends_freely, lower + 0.5 * (extent - length), lower - 0.5 * (1.0 - extent))
        return length[:, None] * directions, start @ directions

    def forces_on_all(self, forces: Array, count: int) -> Array:
        """Carry forces (n + m, 3) on atoms and caps to the `count` atoms of the whole system, by the chain rule."""
        found = np.zeros((count, 3))
        found[self.indices] = forces[: len(self)]
        on_caps, ratio = forces[len(self) :], self.caps.ratio[:, None]
        np.add.at(found, self.indices[self.caps.inner], (1.0 - ratio) * on_caps)
        np.add.at(found, self.caps.outer, ratio * on_caps)
        return found

    def mixed(self, change: Array) -> Array:
        """Return forces (count, 3) on the whole system weighed for force mixing, their net force taken back from all of C."""
        weights = np.zeros(len(change))
        weights[self.indices] = self.weights
        found: Array = weights[:, None] * change
        found[self.indices] -= found.sum(axis=0) / len(self)
        return found

    def virial(self, forces: Array, whole: Atoms) -> Array:
        """Return −∂E/∂ε of a cluster in vacuum, Σ f ⊗ r over atoms and caps, (3, 3), eV: they strain with the whole."""
        found = forces.T @ self.places(whole)[0]
        result: Array = 0.5 * (found + found.T)
        return result


def cut_cluster(atoms: Atoms, region: Region, core: Mask | None = None) -> Cluster:
    """Cut C out of a system: the core, the atoms around it, and caps on the bonds cut.

    Args:
        atoms: the whole system.
        region: what is wanted.
        core: (n,) which atoms are core; by default what the region's selection says.

    Raises:
        EmbeddingError: an empty core, a cluster that meets its own image, a sub-cell that does not fit.
        CapError: a cut bond with a metal.
    """
    check_places(atoms)
    core = region.choose(atoms) if core is None else core
    caps = Caps.none()
    if region.cell is not None:
        chosen = inside_cell(atoms, core, region.cell)
        taken = np.ones(len(chosen.indices), dtype=bool)
    else:
        chosen, taken, caps = _around(atoms, region, core)
    _refuse_images(chosen, taken, atoms, region)
    indices = chosen.indices[taken]
    symbols = [*(atoms.symbols[int(i)] for i in indices), *[caps.element] * len(caps.inner)]
    return Cluster(
        region=region,
        indices=indices,
        core=chosen.core[taken],
        weights=fade(chosen.distance[taken], region.blend),
        caps=caps,
        relative=chosen.relative[taken],
        whole_cell=np.array(atoms.cell.complete()),
        pbc=np.array(atoms.pbc),
        symbols=tuple(symbols),
    )


def check_places(atoms: Atoms) -> None:
    """Refuse atoms that are nowhere: of those outside C the engines would not notice all.

    Raises:
        EmbeddingError: a place that is not finite.
    """
    if not np.isfinite(atoms.positions).all():
        bad = int(np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[0])
        raise EmbeddingError(
            f"Atom {bad} ({atoms.symbols[bad]}) has no finite place: {atoms.positions[bad].tolist()}. In a run, forces have "
            "grown without bound: shorten the time step, or look at the first configuration."
        )


def _around(atoms: Atoms, region: Region, core: Mask) -> tuple[Surroundings, Mask, Caps]:
    """Return the atoms around a core, those of them that C takes in, and the caps on the bonds cut."""
    reach = region.blend + region.buffer
    if region.links is None:
        chosen = surroundings(atoms, core, reach)
        return chosen, np.ones(len(chosen.indices), dtype=bool), Caps.none()
    return closed_region(atoms, core, reach, region.links)


def fade(distance: Array, width: float) -> Array:
    """Return the weight of force mixing at a distance (Å) from the core: 1 in it, falling to 0 over `width`.

    w = 1 − s³(10 − 15 s + 6 s²), s = distance/width: two derivatives vanish at both ends.
    """
    s = np.clip(distance / width, 0.0, 1.0) if width > 0.0 else (distance > 0.0).astype(float)
    found: Array = 1.0 - s**3 * (10.0 - 15.0 * s + 6.0 * s**2)
    return found


def _refuse_images(chosen: Surroundings, taken: Mask, atoms: Atoms, region: Region) -> None:
    """Refuse a cluster that holds an atom twice, in two images."""
    indices, counts = np.unique(chosen.indices[taken], return_counts=True)
    twice = indices[counts > 1]
    if len(twice) == 0:
        return
    if region.cell is not None:
        instead = "Its cell is larger than the whole one: take a smaller cell, or make the whole system larger."
    else:
        instead = "Take a smaller buffer, a larger system, or a periodic sub-cell as its cell."
    count = "1 atom" if len(twice) == 1 else f"{len(twice)} atoms"
    raise EmbeddingError(
        f"{count}, the first number {twice[0]}, would be in the region {region.name!r} twice, in two images: core, blend and "
        f"buffer ({region.blend + region.buffer:g} Å) reach round the periodic cell "
        f"{np.round(atoms.cell.lengths(), 2).tolist()} Å. {instead}"
    )
