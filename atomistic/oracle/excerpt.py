"""A piece of a large structure that an oracle can afford: what surrounds one atom, cut out, closed, or made periodic."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from atomistic.caps import Caps, Links, absorb, cut_bonds, farthest_bond
from atomistic.errors import ExcerptError
from atomistic.labelled import LabelledFrame
from atomistic.oracle.completion import complete
from atomistic.oracle.settings import one_of
from atomistic.surroundings import Array, Indices, Mask, Surroundings, surroundings

#: A body that has atoms this close (Å) to the piece, or as close as its buffer is wide, goes on where the piece ends.
_NEAR = 4.0
PERIODIC = ("keep", "none", "complete", "auto")


@dataclass(frozen=True, kw_only=True)
class Excerpt:
    """How a piece is cut out around an atom.

    The forces on the core's atoms are those of the body as far as the buffer reaches: nearsightedness (Kohn 1996), on which
    teaching by the forces in a piece's middle rests (Zeng, Chen and Peterson, J. Chem. Phys. 156, 064104, 2022). How far that
    is has been measured (docs/engines.md).

    Attributes:
        core: atoms up to this distance (Å) from the centre count.
        buffer: atoms up to this distance (Å) from a core atom surround the core; their forces don't count.
        vacuum: Å between the piece and each side of its box, along directions in which it does not repeat.
        passivate: caps on cut covalent bonds; None, as for metals, leaves them open.
        periodic: "keep": a direction whose period the piece spans, such as the thickness of a plane body, stays periodic;
            "none": a cluster in vacuum always, for engines that know molecules only; "complete": the piece of a nearly
            homogeneous crystal becomes one period of a crystal, without any surface, and is refused where it does not fit;
            "auto": completed where that fits, else as by "keep".
        mismatch: how far (Å) atoms that the core sees may lie, in a completed cell, from where the body has them.

    Raises:
        ExcerptError: lengths that are none.
    """

    core: float = 4.0
    buffer: float = 5.0
    vacuum: float = 5.0
    passivate: Links | None = None
    periodic: str = "keep"
    mismatch: float = 0.5

    def __post_init__(self) -> None:
        for name in ("core", "buffer", "vacuum", "mismatch"):
            value = getattr(self, name)
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not (number and np.isfinite(value) and value >= 0.0):
                raise ExcerptError(f"The {name} of an excerpt must be a length in Å, 0 or more; got {value!r}.")
        one_of("periodic", self.periodic, PERIODIC)
        if self.passivate is not None and not isinstance(self.passivate, Links):
            raise ExcerptError(f"passivate is Links(...) for caps, or None for none; got {self.passivate!r}.")

    def cut(self, atoms: Atoms, centre: int) -> LabelledFrame:
        """Return the piece around an atom, without labels.

        `counted` marks the core; it is None, for all, where nothing was cut (the piece is the whole structure, or was
        completed to a period). `provenance["excerpt"]` says what was done: `kind` (whole, cell, slab, column, cluster), `cut`
        (whether the piece ends where the body does not: then its energy means nothing, `atomistic.oracle.label`), `centre`,
        `of` (the number of atoms of the body), `atoms` (indices in the body; −1 for caps).

        Args:
            atoms: the whole structure.
            centre: index of the atom in the middle.

        Raises:
            ExcerptError: no such atom, places that are not finite, or ("complete") a surrounding that is no strained crystal.
            CapError: a cut bond with a metal, where caps were asked for.
        """
        _check(atoms, centre)
        kept = self._kept(atoms)
        if kept.all() and len(kept):
            return _whole(atoms, centre)
        if self.periodic in ("complete", "auto"):
            try:
                return self._completed(atoms, centre)
            except ExcerptError:
                if self.periodic == "complete":
                    raise
        return self._cut(atoms, centre, kept)

    def _kept(self, atoms: Atoms) -> Mask:
        """Which directions stay periodic: those whose images of the piece would touch."""
        if self.periodic == "none":
            return np.zeros(3, dtype=bool)
        lengths = np.linalg.norm(atoms.cell.array, axis=1)
        found: Mask = np.asarray(atoms.pbc) & (lengths <= 2.0 * (self.core + self.buffer))
        return found

    def _completed(self, atoms: Atoms, centre: int) -> LabelledFrame:
        """The piece as one period of a strained crystal."""
        piece, indices, facts = complete(atoms, centre, core=self.core, buffer=self.buffer, mismatch=self.mismatch)
        return _frame(piece, None, _note(atoms, centre, indices, kind="cell", cut=False, **facts))

    def _cut(self, atoms: Atoms, centre: int, kept: Mask) -> LabelledFrame:
        """The piece with its cut surfaces."""
        column = _Column(atoms, centre, kept)
        around, caps = self._taken(column)
        indices, places = around.indices, around.relative
        cut = column.goes_on(around, max(self.buffer, _NEAR))
        if not cut and len(indices) == len(atoms):
            return _whole(atoms, centre)
        ends = places[caps.inner] + caps.ratio[:, None] * (caps.relative - places[caps.inner])
        every = np.concatenate([places, ends])
        cell, corner = column.box(every, self.vacuum)
        numbers = np.concatenate([atoms.numbers[indices], Atoms(caps.element * len(ends)).numbers]).astype(int)
        piece = Atoms(numbers=numbers, positions=every - corner, cell=cell, pbc=bool(kept.any()))
        _keep_moments(atoms, piece, indices)
        if not kept.any():
            # An engine for molecules needs to know; electrons pair up as far as they can.
            piece.info.update(charge=0, spin=int(piece.numbers.sum()) % 2)
        counted = np.concatenate([around.core, np.zeros(len(ends), dtype=bool)]) if cut else None
        kind = ("cluster", "column", "slab")[int(kept.sum())]
        whole = np.concatenate([indices, np.full(len(ends), -1)])
        return _frame(piece, counted, _note(atoms, centre, whole, kind=kind, cut=cut, caps=len(ends)))

    def _taken(self, column: _Column) -> tuple[Surroundings, Caps]:
        """Atoms of core and buffer, relative to the centre, and the caps on the bonds cut."""
        links = self.passivate
        bond = 0.0 if links is None else farthest_bond(column.atoms, links)
        radius = self.core + self.buffer + 2.0 * bond
        while True:
            around = column.around(radius, self.core)
            taken, caps = around.distance <= self.buffer, Caps.none()
            if links is not None:
                taken, caps = column.closed(around, taken, links, bond)
            if links is None or column.reach(around, taken) <= radius - bond:
                return _picked(around, taken), caps
            radius += 2.0 * bond


class _Column:
    """The body seen along its kept periods: distances are measured across them."""

    def __init__(self, atoms: Atoms, centre: int, kept: Mask) -> None:
        self.atoms, self.centre, self.kept = atoms, centre, kept
        self.periods = atoms.cell.array[kept]
        span = np.linalg.qr(self.periods.T)[0] if len(self.periods) else np.zeros((3, 0))
        self.across = np.eye(3) - span @ span.T
        cell = np.array(atoms.cell.complete())
        self._steps = cell[atoms.pbc & ~kept]
        flat = cell @ self.across
        flat[kept] = span.T
        self._flat = Atoms(
            numbers=atoms.numbers, positions=atoms.positions @ self.across, cell=flat, pbc=atoms.pbc & ~kept
        )

    def around(self, radius: float, core: float) -> Surroundings:
        """Atoms within `radius` (Å) of the centre across the periods, once a period; `distance` is that to the core."""
        mask = np.zeros(len(self.atoms), dtype=bool)
        mask[self.centre] = True
        seen = surroundings(self._flat, mask, radius)
        inside = np.linalg.norm(seen.relative, axis=1) <= core + 1e-6
        distance = cKDTree(seen.relative[inside]).query(seen.relative)[0]
        moved = seen.relative - (self._flat.positions[seen.indices] - self._flat.positions[self.centre])
        places = self.atoms.positions[seen.indices] - self.atoms.positions[self.centre]
        if len(self._steps):
            shifts = np.rint(np.linalg.lstsq((self._steps @ self.across).T, moved.T, rcond=None)[0].T)
            places = places + shifts @ self._steps
        return Surroundings(
            indices=seen.indices, relative=self._wrapped(places), distance=np.where(inside, 0.0, distance), core=inside
        )

    def goes_on(self, piece: Surroundings, near: float) -> bool:
        """Whether the body has atoms beside the piece that the piece has not, within `near` (Å) across the periods."""
        own = piece.relative @ self.across
        beyond = self.around(float(np.linalg.norm(own, axis=1).max()) + near, 0.0)
        distance = cKDTree(own).query(beyond.relative @ self.across)[0]
        taken = np.isin(beyond.indices, piece.indices) & (distance < 1e-3)
        return bool((~taken & (distance <= near)).any())

    def reach(self, around: Surroundings, taken: Mask) -> float:
        """The largest distance (Å) across the periods of an atom taken from the centre."""
        return float(np.linalg.norm(around.relative[taken] @ self.across, axis=1).max())

    def _wrapped(self, places: Array) -> Array:
        """Places within half a period of the centre's."""
        if not len(self.periods):
            return places
        along = np.linalg.lstsq(self.periods.T, places.T, rcond=None)[0].T
        wrapped: Array = places - np.rint(along - 1e-9) @ self.periods
        return wrapped

    def closed(self, around: Surroundings, taken: Mask, links: Links, bond: float) -> tuple[Mask, Caps]:
        """Who is inside after those have joined that must, and caps on the bonds cut, bonds across the periods included."""
        copies = self._copies(bond)
        count, many = len(taken), len(copies)
        numbers = np.tile(self.atoms.numbers[around.indices], many)
        whole = Surroundings(
            indices=np.tile(around.indices, many),
            relative=(around.relative + copies[:, None]).reshape(-1, 3),
            distance=np.tile(around.distance, many),
            core=np.tile(around.core, many),
        )
        while True:
            joined = absorb(whole, np.tile(taken, many), numbers, links)
            # Whoever joins in one period has joined in all of them.
            found = joined.reshape(many, count).any(axis=0)
            if np.array_equal(found, taken):
                break
            taken = found
        caps = cut_bonds(whole, np.tile(taken, many), numbers, links)
        own = caps.inner < taken.sum()
        return taken, replace(
            caps, inner=caps.inner[own], outer=caps.outer[own], relative=caps.relative[own], ratio=caps.ratio[own]
        )

    def _copies(self, bond: float) -> Array:
        """Shifts (k, 3) of the periods next to the first one, which comes first."""
        if not len(self.periods):
            return np.zeros((1, 3))
        heights = 1.0 / np.linalg.norm(np.linalg.pinv(self.periods), axis=0)
        counts = [int(np.ceil(bond / height)) for height in heights]
        steps = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in counts], indexing="ij"), -1).reshape(
            -1, len(counts)
        )
        order = np.argsort(np.abs(steps).sum(axis=1), kind="stable")
        shifts: Array = steps[order] @ self.periods
        return shifts

    def box(self, places: Array, vacuum: float) -> tuple[Array, Array]:
        """The cell (3, 3) around places relative to the centre, and where its corner lies relative to the centre, Å."""
        directions = np.array(self.atoms.cell.array)
        directions[~self.kept] = _complement(self.periods)
        if np.linalg.det(directions) < 0.0:
            last = np.flatnonzero(~self.kept)[-1]
            directions[last] = -directions[last]
        along = places @ np.linalg.inv(directions)
        lower, extent = along.min(axis=0), np.ptp(along, axis=0)
        length = np.where(self.kept, 1.0, extent + 2.0 * vacuum)
        length = np.maximum(length, 1e-3)
        start = np.where(self.kept, -0.5, lower - 0.5 * (length - extent))
        return length[:, None] * directions, start @ directions


def _picked(around: Surroundings, taken: Mask) -> Surroundings:
    """Some of the atoms."""
    return Surroundings(
        indices=around.indices[taken],
        relative=around.relative[taken],
        distance=around.distance[taken],
        core=around.core[taken],
    )


def _complement(periods: Array) -> Array:
    """Unit vectors (3 − k, 3) at right angles to k vectors and to each other, along the axes where they can be."""
    found = np.zeros((0, 3))
    span = np.linalg.qr(periods.T)[0].T if len(periods) else np.zeros((0, 3))
    for _ in range(3 - len(periods)):
        rest = np.eye(3) - np.concatenate([span, found]).T @ np.concatenate([span, found])
        lengths = np.linalg.norm(rest, axis=1)
        best = int(np.flatnonzero(lengths >= lengths.max() - 1e-9)[0])
        found = np.concatenate([found, rest[best : best + 1] / lengths[best]])
    return found


def _check(atoms: Atoms, centre: int) -> None:
    """Refuse a centre that is no atom, and atoms that are nowhere."""
    if isinstance(centre, bool) or not isinstance(centre, int | np.integer) or not 0 <= centre < len(atoms):
        raise ExcerptError(f"The centre of an excerpt is an atom, 0 to {len(atoms) - 1}; got {centre!r}.")
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise ExcerptError(f"Places or cell of {atoms.get_chemical_formula()} are not finite: nothing can be cut out.")


def _whole(atoms: Atoms, centre: int) -> LabelledFrame:
    """The whole structure, which is no larger than the piece would be."""
    piece = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    piece.info.update({key: atoms.info[key] for key in ("charge", "spin") if key in atoms.info})
    indices = np.arange(len(atoms))
    _keep_moments(atoms, piece, indices)
    return _frame(piece, None, _note(atoms, centre, indices, kind="whole", cut=False))


def _keep_moments(atoms: Atoms, piece: Atoms, indices: Indices) -> None:
    """Give the piece's atoms the initial magnetic moments that they have in the body."""
    moments = atoms.get_initial_magnetic_moments()
    if moments.any():
        own = np.concatenate([moments[indices], np.zeros(len(piece) - len(indices))])
        piece.set_initial_magnetic_moments(own)


def _note(atoms: Atoms, centre: int, indices: Indices, **facts: Any) -> dict[str, Any]:
    """What is kept of where a piece comes from."""
    return {**facts, "centre": int(centre), "of": len(atoms), "atoms": [int(i) for i in indices]}


def _frame(piece: Atoms, counted: NDArray[np.bool_] | None, note: dict[str, Any]) -> LabelledFrame:
    return LabelledFrame(atoms=piece, counted=counted, config_type="excerpt", provenance={"excerpt": note})
