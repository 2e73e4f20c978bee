"""Tables of embedded-atom potentials in LAMMPS's setfl format, as cubic polynomials between their points."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atomistic.errors import ModelFileError, UnknownElementError

STYLES = ("eam/alloy", "eam/fs")


@dataclass(frozen=True, kw_only=True, eq=False)
class SetflTables:
    """Tabulated functions of an embedded-atom potential, as the file gives them.

    Attributes:
        path: the file.
        elements: (e) chemical symbols.
        cutoff: Å.
        density_step: spacing of `embedding`; the first point is at zero.
        distance_step: spacing of `density` and `pair` (Å); the first point is at zero.
        embedding: (e, points) F of each element, eV.
        density: (e, e, points): [a, b] what an atom of element a adds at one of element b.
        pair: (e, e, points) r·φ(r), eV·Å, symmetric.
    """

    path: Path
    elements: tuple[str, ...]
    cutoff: float
    density_step: float
    distance_step: float
    embedding: NDArray[np.float64]
    density: NDArray[np.float64]
    pair: NDArray[np.float64]

    def only(self, elements: tuple[str, ...]) -> SetflTables:
        """Return the tables of some of the elements, in this order.

        Raises:
            UnknownElementError: the file has no such element.
        """
        unknown = sorted(set(elements) - set(self.elements))
        if unknown:
            raise UnknownElementError(
                f"{self.path.name} has no {', '.join(unknown)}; it holds {', '.join(self.elements)}."
            )
        chosen = [self.elements.index(e) for e in elements]
        return SetflTables(
            path=self.path,
            elements=tuple(elements),
            cutoff=self.cutoff,
            density_step=self.density_step,
            distance_step=self.distance_step,
            embedding=self.embedding[chosen],
            density=self.density[np.ix_(chosen, chosen)],
            pair=self.pair[np.ix_(chosen, chosen)],
        )


def read_setfl(path: Path, *, style: str) -> SetflTables:
    """Read a setfl file of style "eam/alloy" (Daw and Baskes 1984) or "eam/fs" (Finnis and Sinclair 1984).

    Three lines of comment; the elements; numbers and steps of points, cutoff; then for each element a line about it, F, and ρ
    (for eam/fs one ρ for each element that feels it); last r·φ of all pairs a ≥ b.

    Raises:
        ModelFileError: the style is another one, or the file is not such a table.
    """
    if style not in STYLES:
        raise ModelFileError(f"Tables of style {style!r} cannot be read; expected {' or '.join(STYLES)}.")
    lines = path.read_text().splitlines()
    try:
        head = lines[3].split()
        count, elements = int(head[0]), tuple(head[1:])
        if len(elements) != count:
            raise ValueError(f"line 4 announces {count} elements and names {len(elements)}")
        sizes = lines[4].split()
        points, density_step, radii, distance_step, cutoff = (
            int(sizes[0]), float(sizes[1]), int(sizes[2]), float(sizes[3]), float(sizes[4]),
        )  # fmt: skip
        embedding = np.zeros((count, points))
        density = np.zeros((count, count, radii))
        pair = np.zeros((count, count, radii))
        place = 5

        def take(size: int) -> NDArray[np.float64]:
            """Read a table: it begins on a line of its own, and goes on over as many as it needs."""
            nonlocal place
            words: list[str] = []
            while len(words) < size:
                words += lines[place].split()
                place += 1
            if len(words) > size:
                raise ValueError(f"a table of {size} numbers does not end with line {place}")
            return np.array([word.replace("D", "E") for word in words], dtype=float)

        for a in range(count):
            place += 1  # atomic number, mass, lattice constant, lattice
            embedding[a] = take(points)
            density[a] = [take(radii) for _ in range(count)] if style == "eam/fs" else take(radii)
        for a in range(count):
            for b in range(a + 1):
                pair[a, b] = pair[b, a] = take(radii)
    except IndexError as error:
        raise ModelFileError(f"{path} is no table of style {style}: it ends too early. Is it cut off?") from error
    except ValueError as error:
        raise ModelFileError(f"{path} is no table of style {style}: {error}. Check the file and the style.") from error
    return SetflTables(
        path=path,
        elements=elements,
        cutoff=cutoff,
        density_step=density_step,
        distance_step=distance_step,
        embedding=embedding,
        density=density,
        pair=pair,
    )


def cubic_pieces(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return c (4, ..., points) with f = c0 + c1 p + c2 p² + c3 p³ between a point (p = 0) and the next one (p = 1).

    Hermite's cubic with slopes from five points, (f_{k−2} − f_{k+2} + 8 (f_{k+1} − f_{k−1})) / 12, fewer at the ends: LAMMPS's
    own choice, so that both give the same numbers. First derivatives are continuous, second ones jump a little at the points.
    """
    f = np.asarray(values, dtype=float)
    slope = np.empty_like(f)
    slope[..., 0] = f[..., 1] - f[..., 0]
    slope[..., 1] = 0.5 * (f[..., 2] - f[..., 0])
    slope[..., -2] = 0.5 * (f[..., -1] - f[..., -3])
    slope[..., -1] = f[..., -1] - f[..., -2]
    slope[..., 2:-2] = (f[..., :-4] - f[..., 4:] + 8.0 * (f[..., 3:-1] - f[..., 1:-3])) / 12.0
    step = f[..., 1:] - f[..., :-1]
    pieces = np.zeros((4, *f.shape))
    pieces[0], pieces[1] = f, slope
    pieces[2, ..., :-1] = 3.0 * step - 2.0 * slope[..., :-1] - slope[..., 1:]
    pieces[3, ..., :-1] = slope[..., :-1] + slope[..., 1:] - 2.0 * step
    return pieces


class PiecewiseCubic:
    """Functions tabulated at 0, step, 2 step, ..., with derivatives; several tables of one length in a row.

    Args:
        values: (kinds, points).
        step: spacing of the points.
        linear_beyond: continue by the last slope beyond the table (embedding), else by the last value.
    """

    def __init__(self, values: NDArray[np.float64], *, step: float, linear_beyond: bool = False) -> None:
        table = np.atleast_2d(values)
        self.points = table.shape[1]
        self.step = float(step)
        self.linear_beyond = linear_beyond
        # Four arrays rather than one of rows: each stays in the processor's cache while it is looked up.
        self._pieces = [np.ascontiguousarray(c).ravel() for c in cubic_pieces(table)]

    def locate(
        self, x: NDArray[np.float64], kind: NDArray[np.intp] | int = 0
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return the piece that each x falls in and the place inside it, for use with tables of the same points."""
        p = x * (1.0 / self.step)
        piece = p.astype(np.intp)
        np.clip(piece, 0, self.points - 2, out=piece)
        p -= piece
        if not self.linear_beyond:
            np.minimum(p, 1.0, out=p)
        return piece + kind * self.points if np.any(kind) else piece, p

    def value_and_slope(
        self, piece: NDArray[np.intp], p: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return f and f' at located places."""
        if self.linear_beyond and p.max(initial=0.0) > 1.0:
            beyond = np.maximum(p - 1.0, 0.0)
            value, slope = self._value_and_slope(piece, np.minimum(p, 1.0))
            return value + slope * (beyond * self.step), slope
        return self._value_and_slope(piece, p)

    def curvature(self, piece: NDArray[np.intp], p: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return f'' at located places; it jumps from piece to piece."""
        _, _, c2, c3 = self._pieces
        second = (6.0 * c3.take(piece) * p + 2.0 * c2.take(piece)) / self.step**2
        return np.where(p > 1.0, 0.0, second) if self.linear_beyond else second

    def _value_and_slope(
        self, piece: NDArray[np.intp], p: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Evaluate the cubics in place: these lines are most of the cost of an evaluation."""
        c0, c1, c2, c3 = (c.take(piece) for c in self._pieces)
        value = c3 * p
        slope = 3.0 * value
        value += c2
        slope += c2
        slope += c2
        slope *= p
        slope += c1
        slope *= 1.0 / self.step
        value *= p
        value += c1
        value *= p
        value += c0
        return value, slope
