"""Quantum regions and interstitial atoms inside the atoms of a zone, as one set of weighted site energies.

    E(y; w) = Σ_i w_i V_i(y, x) + Σ_k [E_QM(C_k) − E_ML(C_k)],      x = x*(y) at rest

The handshake weighs sites by w = 1 − β, whichever its method. Where w = 1 on all of C, Σ w_i V_i holds every site of C once, and
the bracket takes out what the potential says of C and puts in what the quantum engine says: the core counts once, by the quantum
engine, in every method. Were C to reach into the blend, the bracket would have to be weighed too, and engines cannot do that;
so such regions are refused. Forces alone (bqcf, schwarz, cracks) need the same for the same reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

from atomistic.potentials.base import CallCounter
from atomistic.site_energies import SiteEnergies
from coupling.embedding.extra import ExtraAtoms, RestState
from coupling.embedding.zone_region import RegionAnswer, ZoneRegion
from coupling.errors import EmbeddingError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Terms of a ledger, in its order; with several regions their names are appended.
QUANTUM, TAKEN_OUT = "quantum E_QM(C)", "ML of the quantum region −E_ML(C)"
#: Results of the last evaluations that are kept: energies after forces, states after searches.
_KEPT = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddedAnswer:
    """One evaluation.

    Attributes:
        energy: of all, eV; with force mixing that of the potential alone.
        gradient: (n, 3) by the sites' places, eV/Å.
        extra: (m, 3) places of the extra atoms at rest, Å.
        regions: answers of the quantum regions.
    """

    energy: float
    gradient: Array
    extra: Array
    regions: tuple[RegionAnswer, ...]


class EmbeddedSites:
    """Site energies of n lattice atoms with quantum regions, and with m more atoms that are no sites.

    Without regions and extra atoms it is the wrapped object, to the last bit.

    Args:
        base: site energies of the n atoms and, after them, the m extra ones.
        regions: quantum regions of these n + m atoms.
        extra: keeps the extra atoms at rest.

    Attributes:
        counter: evaluations of the whole zone; its seconds include all engines.
    """

    fixed_neighbours = False

    def __init__(
        self, base: SiteEnergies, *, regions: Sequence[ZoneRegion] = (), extra: ExtraAtoms | None = None
    ) -> None:
        self.base, self.regions, self.extra = base, tuple(regions), extra
        self.counter = CallCounter()
        self._memory: list[tuple[tuple[bytes, bytes], EmbeddedAnswer]] = []
        if len({region.mixing for region in self.regions}) > 1:
            raise EmbeddingError("regions of one zone either subtract energies or mix forces, not some of each")
        names = [region.region.name for region in self.regions]
        if len(set(names)) != len(names):
            raise EmbeddingError(f"two quantum regions share a name: {names}; give each its own")

    @property
    def mixing(self) -> bool:
        """Whether forces are mixed: then they have no energy."""
        return any(region.mixing for region in self.regions)

    @property
    def weighted(self) -> bool:
        """Whether it takes weights: as the potential does, but not where forces are mixed."""
        return self.base.weighted and not self.mixing

    @property
    def name(self) -> str:
        """The potential's name, and the engines'."""
        engines = [region.qm.capabilities.name for region in self.regions]
        return " with ".join([self.base.name, *dict.fromkeys(engines)])

    @property
    def reach(self) -> float | None:
        """The potential's cutoff, Å."""
        return getattr(self.base, "reach", None)

    @property
    def precision(self) -> str:
        """ "float32" if one of the engines is."""
        found = [getattr(self.base, "precision", "float64")]
        found += [region.qm.capabilities.precision for region in self.regions]
        return "float32" if "float32" in found else "float64"

    @property
    def divisible(self) -> bool:
        """Whether each site has an energy."""
        return bool(getattr(self.base, "divisible", self.base.weighted)) and not self.mixing

    @property
    def extras(self) -> int:
        """m."""
        return 0 if self.extra is None else len(self.extra)

    def energy_and_gradient(self, positions: Array, weights: Array | None = None) -> tuple[float, Array]:
        """Return E (eV) and dE/dy (n, 3), eV/Å, at places of the sites (n, 3); all weights one by default.

        With extra atoms it is a function of y to their tolerance, see `coupling.embedding.extra`; asked again at one of the last
        places it returns what it returned.

        Raises:
            EvaluationError: extra atoms that come to no rest, results that are not finite.
            WeightedEnergiesError: weights for forces that have no energy.
        """
        answer = self.answer(positions, weights)
        return answer.energy, answer.gradient.copy()

    def answer(self, positions: Array, weights: Array | None = None) -> EmbeddedAnswer:
        """The same with what belongs to it."""
        y = np.ascontiguousarray(positions, dtype=float)
        key = y.tobytes(), b"" if weights is None else np.asarray(weights, dtype=float).tobytes()
        for known, answer in self._memory:
            if known == key:
                return answer
        began = time.perf_counter()
        parts: list[RegionAnswer] = []

        def whole(x: Array) -> tuple[float, Array]:
            energy, gradient, parts[:] = self._whole(np.concatenate([y, x]), weights)
            return energy, gradient

        if self.extra is None:
            extra = np.zeros((0, 3))
            energy, gradient = whole(extra)
        else:
            extra, energy, gradient = self.extra.rest(y, whole)
        answer = EmbeddedAnswer(energy=energy, gradient=gradient, extra=extra, regions=tuple(parts))
        self.counter.seconds += time.perf_counter() - began
        self._memory = [(key, answer), *self._memory][:_KEPT]
        return answer

    def _whole(self, places: Array, weights: Array | None) -> tuple[float, Array, list[RegionAnswer]]:
        """E and its gradient by all n + m atoms, extra atoms where they are put."""
        if weights is not None and self.extras:
            weights = np.concatenate([weights, np.ones(self.extras)])
        energy, gradient = self.base.energy_and_gradient(places, weights)
        self.counter.calls += 1
        self.counter.atoms += len(places)
        answers = [region.evaluate(places) for region in self.regions]
        for answer in answers:
            gradient = gradient + answer.gradient
            energy += 0.0 if self.mixing else answer.difference
        return energy, gradient, answers

    def terms(self, positions: Array, weights: Array | None = None) -> dict[str, float]:
        """Terms of the energy beside Σ w_i V_i, eV, by name; none where forces are mixed."""
        if self.mixing or not self.regions:
            return {}
        found: dict[str, float] = {}
        for region, answer in zip(self.regions, self.answer(positions, weights).regions, strict=True):
            of = f" of {region.region.name}" if len(self.regions) > 1 else ""
            found[QUANTUM + of] = answer.quantum
            found[TAKEN_OUT + of] = -answer.ml
        return found

    def site_energies(self, positions: Array) -> Array:
        """Return V_i (n,), eV; the energy of an extra atom is entered at the site nearest to it. Quantum regions are apart.

        Raises:
            WeightedEnergiesError: the potential gives forces only.
        """
        places = self.all_places(positions)
        energies: Array = self.base.site_energies(places)  # type: ignore[attr-defined]
        found = energies[: len(positions)].copy()
        if self.extra is not None:
            for x, energy in zip(places[len(positions) :], energies[len(positions) :], strict=True):
                found[self.extra.near[np.argmin(np.linalg.norm(positions[self.extra.near] - x, axis=1))]] += energy
        return found

    def all_places(self, positions: Array) -> Array:
        """Return places (n + m, 3) of the sites and the extra atoms at rest, Å."""
        if self.extra is None:
            return np.asarray(positions, dtype=float)
        for known, answer in self._memory:
            if known[0] == np.ascontiguousarray(positions, dtype=float).tobytes():
                return np.concatenate([positions, answer.extra])
        return np.concatenate([positions, self.answer(positions).extra])

    def restricted(self, base: SiteEnergies, rows: NDArray[np.int64]) -> EmbeddedSites:
        """The same with some of the sites alone, extra atoms left out: what one side of an interface does by itself.

        Args:
            base: site energies of the sites that are left.
            rows: (k,) their numbers, ascending.
        """
        found = [region.restricted(rows) for region in self.regions]
        return EmbeddedSites(base, regions=[region for region in found if region is not None])

    def snapshot(self) -> RestState | None:
        """Return what the next search of the extra atoms begins with; None without any."""
        return None if self.extra is None else self.extra.snapshot()

    def restore(self, state: RestState | None) -> None:
        """Put back what `snapshot` gave, and forget what was evaluated since."""
        if (state is None) != (self.extra is None):
            raise EmbeddingError("a state of extra atoms belongs to the object that it was taken from")
        self._memory = []
        if self.extra is not None and state is not None:
            self.extra.restore(state)

    def state(self) -> dict[str, Any]:
        """Return all that the next evaluation depends on, and what has been counted, for `go_on` (collective)."""
        known = [(_array(y), _array(w) if w else None, answer) for (y, w), answer in self._memory]
        return {
            "base": self.base.state(),  # type: ignore[attr-defined]
            "extra": None if self.extra is None else self.extra.state(),
            "known": known,
            "counted": asdict(self.counter),
            "engines": [region.counted() for region in self.regions],
        }

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, which another process may have left (collective)."""
        if (state["extra"] is None) != (self.extra is None) or len(state["engines"]) != len(self.regions):
            raise EmbeddingError("a state of quantum regions and extra atoms belongs to the same regions and atoms")
        self.base.go_on(state["base"])  # type: ignore[attr-defined]
        if self.extra is not None:
            self.extra.go_on(state["extra"])
        self._memory = [((y.tobytes(), b"" if w is None else w.tobytes()), answer) for y, w, answer in state["known"]]
        for region, counted in zip(self.regions, state["engines"], strict=True):
            region.count_on(counted)
        for name, value in state["counted"].items():
            setattr(self.counter, name, value)

    def __getattr__(self, name: str) -> Callable[..., sp.csr_matrix]:
        # Asked by hasattr: only where the potential itself has second derivatives.
        if name == "hessian" and hasattr(self.__dict__.get("base"), "hessian"):
            return self._hessian
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _hessian(self, positions: Array, weights: Array | None = None) -> sp.csr_matrix:
        """Return second derivatives (3n, 3n) of the potential alone, extra atoms at rest, eV/Å².

        A tangent that is close, and exact where there is no quantum region.

        By the implicit function theorem H = H_yy − H_yx H_xx⁻¹ H_xy.
        """
        if weights is not None and self.extras:
            weights = np.concatenate([weights, np.ones(self.extras)])
        full = self.base.hessian(self.all_places(positions), weights).tocsc()  # type: ignore[attr-defined]
        if not self.extras:
            return full.tocsr()
        size = 3 * len(positions)
        cross = full[:size, size:].tocsc()
        solved = splu(full[size:, size:].tocsc()).solve(cross.T.toarray())
        rows = np.flatnonzero(np.diff(cross.tocsr().indptr))
        block = cross.tocsr()[rows] @ solved[:, rows]
        place = np.array(np.meshgrid(rows, rows, indexing="ij")).reshape(2, -1)
        return (full[:size, :size] - sp.csr_matrix((block.ravel(), place), shape=(size, size))).tocsr()


def _array(numbers: bytes) -> Array:
    return np.frombuffer(numbers, dtype=float).copy()


def check_inside(
    regions: Sequence[ZoneRegion],
    *,
    weights: Array,
    places: Array,
    depth: Callable[[Array], Array],
    extra: Array,
    reach: float,
) -> None:
    """Refuse quantum regions and extra atoms that do not lie where atoms alone count.

    Args:
        regions: of the zone.
        weights: (n,) 1 − β of the sites.
        places: (n, k) undeformed places of the sites, as `depth` takes them, Å.
        depth: distance (n,) of places from the core, Å: negative inside it.
        extra: (m, k) places of extra atoms, in the same frame.
        reach: the potential's cutoff, Å: sites within it of an extra atom must count whole.

    Raises:
        EmbeddingError: with the length by which the core must grow.
    """
    count = len(weights)
    for region in regions:
        touched = region.touched[region.touched < count]
        outside = touched[weights[touched] < 1.0]
        if len(outside):
            short = float(depth(places[outside]).max())
            raise EmbeddingError(
                f"{len(outside)} of the {len(region.rows)} atoms of the quantum region {region.region.name!r}, its buffer "
                f"included, lie in the blend or the pad, up to {short:.2f} Å beyond the core's edge: there atoms count in part, "
                f"and a quantum energy cannot. Enlarge the core of the zone by {short + 0.01:.2f} Å, or take a smaller quantum "
                "region"
            )
    if not len(extra):
        return
    room = float(depth(extra).max())
    if room > -reach:
        raise EmbeddingError(
            f"an interstitial atom lies {-room:.2f} Å inside the core's edge, and the potential links atoms up to {reach:.2f} Å: "
            f"sites that it touches would count in part. Enlarge the core of the zone by {reach + room + 0.01:.2f} Å, or move "
            "the impurity"
        )
