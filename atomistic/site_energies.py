"""What drives the atoms of a zone: energies of sites, weighted and summed, with their gradient.

E = Σ_i w_i V_i. With w_i = 1 − β_i each site's energy counts as far as the site is atomistic (Luskin and Ortner 2013); with
all weights one it is the plain energy, and the gradient is minus the forces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix

from atomistic.errors import AtomisticError, EvaluationError
from atomistic.potentials.base import CallCounter, Potential, checked_weights
from atomistic.potentials.eam import EAMCluster, EAMModel
from atomistic.potentials.tally import clock, since
from atomistic.ranks import on_first_rank

Array = NDArray[np.float64]

#: In directions that are not periodic: least room (Å) beyond a potential's cutoff around the atoms, and the steps in which it
#: grows; the cutoff where none is stated.
_GAP, _ROOM, _UNKNOWN_CUTOFF = 0.5, 4.0, 12.0


class SiteEnergies(Protocol):
    """A fixed set of n atoms (sites) whose energy can be asked for at any positions.

    Attributes:
        weighted: whether it takes weights; otherwise it gives the plain energy and forces only.
        counter: the evaluations made so far.
        name: for reports and messages.
    """

    @property
    def weighted(self) -> bool: ...  # noqa: D102

    @property
    def counter(self) -> CallCounter: ...  # noqa: D102

    @property
    def name(self) -> str: ...  # noqa: D102

    def energy_and_gradient(self, positions: Array, weights: Array | None = None) -> tuple[float, Array]:
        """Return E = Σ w_i V_i (eV) and dE/dy (n, c), eV/Å; all weights are one by default.

        Raises:
            WeightedEnergiesError: weights were given, and the potential gives forces only.
        """
        ...


class AtomCluster:
    """A potential bound to n atoms: free in all directions, periodic along z, or periodic in a whole cell.

    Positions are (n, 3), Å. Where the potential has analytic second derivatives (the embedded-atom ones) there is also
    `hessian(positions, weights)`, a sparse (3n, 3n) matrix; other clusters lack that attribute. `periodic` (3,) says along
    which axes the body repeats.

    Args:
        potential: what drives the atoms.
        symbols: one chemical symbol for all atoms, or one for each.
        thickness: the period of a plane body, Å: its length along z, or the vector (3,) that a far strain has made of it; the
            body ends freely in x and y.
        cell: (3, 3), rows are the periods of a body that is periodic in all directions, Å.
        comm: ranks that call together. Potentials that share one evaluation among the ranks of their own communicator do
            so; others are evaluated on the first rank, and all ranks get the same bits.

    Raises:
        AtomisticError: thickness and cell together, or one that is no period.
        UnknownElementError: the potential does not know an element.
    """

    fixed_neighbours = False

    def __init__(
        self,
        potential: Potential,
        *,
        symbols: str | Sequence[str],
        thickness: ArrayLike | None = None,
        cell: ArrayLike | None = None,
        comm: MPI.Comm | None = None,
    ) -> None:
        if thickness is not None and cell is not None:
            raise AtomisticError("A body has either a thickness (plane, periodic along z) or a cell; got both.")
        period = np.zeros(3) if thickness is None else np.asarray(thickness, dtype=float)
        period = np.array([0.0, 0.0, float(period)]) if period.ndim == 0 else period
        if thickness is not None and not (period.shape == (3,) and np.isfinite(period).all() and period[2] > 0.0):
            raise AtomisticError(
                f"The thickness must be a positive length or a period (3,) up z, in Å; got {thickness!r}."
            )
        self.potential = potential
        self.comm = comm
        self.symbols = symbols
        potential.check_elements([symbols] if isinstance(symbols, str) else symbols)
        self.periodic = np.array([cell is not None, cell is not None, cell is not None or thickness is not None])
        self._cell = np.array([np.zeros(3), np.zeros(3), period]) if cell is None else np.array(cell, dtype=float)
        if self._cell.shape != (3, 3) or (cell is not None and not abs(np.linalg.det(self._cell)) > 1e-9):
            raise AtomisticError(f"The cell must be three independent vectors as rows, (3, 3), Å; got {cell!r}.")
        self._atoms: Atoms | None = None
        self._eam: EAMCluster | None = None

    @property
    def weighted(self) -> bool:
        """Whether the potential gives weighted site energies."""
        return self.potential.capabilities.weighted_site_energies

    @property
    def counter(self) -> CallCounter:
        """The potential's own counter: clusters of one potential share it."""
        return self.potential.counter

    @property
    def name(self) -> str:
        """The potential's name."""
        return self.potential.capabilities.name

    @property
    def reach(self) -> float | None:
        """The potential's cutoff, Å, if it says: for message-passing potentials that of one layer."""
        return self.potential.capabilities.cutoff

    @property
    def precision(self) -> str:
        """ "float32" or "float64", that of the energies."""
        return self.potential.capabilities.precision

    def energy_and_gradient(self, positions: Array, weights: Array | None = None) -> tuple[float, Array]:
        """Return E = Σ w_i V_i (eV) and dE/dy (n, 3), eV/Å; all weights are one by default.

        Raises:
            WeightedEnergiesError: weights were given and the potential gives forces only; or weights that don't fit.
            EvaluationError: a result is not finite.
        """
        y = self._checked(positions)
        if weights is not None:
            self.potential.site_model_or_refuse()
            weights = checked_weights(weights, len(y))
        if isinstance(self.potential.site_model, EAMModel):
            energy, gradient, _ = self._evaluate_eam(self.potential.site_model, y, weights)
            return energy, gradient
        return self._on_ranks(lambda: self._evaluate(y, weights))

    @property
    def divisible(self) -> bool:
        """Whether the potential says what each atom's energy is, weighted or not."""
        return self.weighted or self.potential.capabilities.energies_per_atom

    def site_energies(self, positions: Array) -> Array:
        """Return V_i (n,), eV: also of potentials that give energies per atom without their weighted gradient.

        Raises:
            WeightedEnergiesError: the potential gives forces only.
        """
        y = self._checked(positions)
        if self.potential.site_model is None and self.potential.capabilities.energies_per_atom:
            return self._on_ranks(lambda: self._plain_site_energies(y))
        model = self.potential.site_model_or_refuse()
        if isinstance(model, EAMModel):
            return self._evaluate_eam(model, y, None)[2]
        return self._on_ranks(lambda: self.potential.evaluate_weighted(self._placed(y)).site_energies)

    def __getattr__(self, name: str) -> object:
        # Whether there are second derivatives is asked by hasattr: only clusters that have them may answer.
        if name == "hessian" and isinstance(self.potential.site_model, EAMModel):
            return self._hessian
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _hessian(self, positions: Array, weights: Array | None = None) -> csr_matrix:
        """Return d²E/dy² as a sparse (3n, 3n) matrix, eV/Å²."""
        y = self._checked(positions)
        model = self.potential.site_model
        if not isinstance(model, EAMModel):
            raise AtomisticError(f"{self.name!r} has no analytic second derivatives.")
        return self._bound(model, len(y)).hessian(y, weights)

    def of(self, symbols: Sequence[str]) -> AtomCluster:
        """Return the same potential bound to other atoms of a body with the same periods."""
        periodic = self.periodic
        return AtomCluster(
            self.potential,
            symbols=list(symbols),
            thickness=self._cell[2] if periodic[2] and not periodic[0] else None,
            cell=self._cell if periodic[0] else None,
            comm=self.comm,
        )

    def structure(self, positions: Array) -> Atoms:
        """Return the atoms at positions (n, 3), Å, in the cell in which they would be evaluated."""
        return self._placed(self._checked(positions)).copy()

    def state(self) -> dict[str, Any]:
        """Return what `go_on` takes: evaluations counted, and places that the engine still has the answer for (collective)."""
        counter = self.potential.counter
        known = on_first_rank(self._known_places, potential=self.potential, comm=self.comm)
        return {"known": known, "counted": (counter.calls, counter.atoms, counter.seconds)}

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Count on from a state, which another process may have left, asked again no more often than there (collective)."""
        if state["known"] is not None:
            self._on_ranks(lambda: self._evaluate(state["known"], None))
        counter = self.potential.counter
        counter.calls, counter.atoms, counter.seconds = state["counted"]

    def _known_places(self) -> Array | None:
        """Places (n, 3) whose energy would be no evaluation: the last ones, where the calculator keeps results."""
        calculator, atoms = self.potential.calculator, self._atoms
        if self.potential.site_model is not None or atoms is None or not getattr(calculator, "results", None):
            return None
        return None if calculator.check_state(atoms) else atoms.positions.copy()

    def _evaluate(self, y: Array, weights: Array | None) -> tuple[float, Array]:
        """Evaluate on this rank; energies of sites are added in double even where the model's own sum is single."""
        atoms = self._placed(y)
        if self.potential.site_model is not None:
            result = self.potential.evaluate_weighted(atoms, weights)
            return result.energy, result.gradient
        plain = self.potential.evaluate(atoms)
        return plain.energy, -plain.forces

    def _plain_site_energies(self, y: Array) -> Array:
        """Energies per atom as the calculator gives them beside forces."""
        atoms = self._placed(y)
        self.potential.evaluate(atoms)
        found: Array = np.array(self.potential.calculator.results["energies"], dtype=float)
        return found

    def _evaluate_eam(self, model: EAMModel, y: Array, weights: Array | None) -> tuple[float, Array, Array]:
        """Evaluate by our own embedded-atom code, counted like any other evaluation."""
        bound = self._bound(model, len(y))
        began = clock()
        result = bound.evaluate(y, weights)
        seconds, processor = since(began)
        self.potential.counter.add(self.name, atoms=len(y), seconds=seconds, cpu_seconds=processor)
        if not (np.isfinite(result[0]) and np.all(np.isfinite(result[1]))):
            raise EvaluationError(
                f"{self.name!r} gave energies or forces that are not finite numbers: some of the {len(y)} atoms sit on "
                "each other."
            )
        return result

    def _bound(self, model: EAMModel, count: int) -> EAMCluster:
        """Return the embedded-atom potential bound to this many atoms."""
        if self._eam is None or self._eam.count != count:
            symbols = [self.symbols] * count if isinstance(self.symbols, str) else self.symbols
            self._eam = model.cluster(symbols, cell=self._cell, periodic=self.periodic)
        return self._eam

    def _on_ranks[Result](self, evaluate: Callable[[], Result]) -> Result:
        """Evaluate on the first rank where ranks call together, and keep their counters equal."""
        counter = self.potential.counter

        def counted() -> tuple[Result, tuple[int, int, float]]:
            try:
                result = evaluate()
            except Exception as error:
                error.__dict__.setdefault("place", f"the zone of atoms, {len(self._atoms or ())} of them")
                raise
            return result, (counter.calls, counter.atoms, counter.seconds)

        result, counts = on_first_rank(counted, potential=self.potential, comm=self.comm)
        counter.calls, counter.atoms, counter.seconds = counts
        return result

    def _placed(self, y: Array) -> Atoms:
        """Return the atoms at these positions, in a cell with enough room in directions that are not periodic."""
        free = ~self.periodic
        atoms = self._atoms
        if atoms is None or len(atoms) != len(y):
            symbols = [self.symbols] * len(y) if isinstance(self.symbols, str) else list(self.symbols)
            atoms = self._atoms = Atoms(symbols, cell=self._cell, pbc=self.periodic)
        extent = np.ptp(y, axis=0) if len(y) else np.zeros(3)
        cutoff = self.potential.capabilities.cutoff or _UNKNOWN_CUTOFF
        # Some engines take every direction as periodic: no atom may see an image across the gap. How wide it is shows in the last
        # bits of float32, so it depends on these positions alone, in steps.
        cell = self._cell.copy()
        cell[free, free] = _ROOM * np.ceil((extent[free] + cutoff + _GAP) / _ROOM)
        atoms.set_cell(cell)
        atoms.positions = y
        return atoms

    def _checked(self, positions: Array) -> Array:
        """Return the positions as finite doubles of the right shape."""
        y = np.ascontiguousarray(positions, dtype=float)
        count = None if isinstance(self.symbols, str) else len(self.symbols)
        if y.ndim != 2 or y.shape[1] != 3 or (count is not None and len(y) != count):
            raise AtomisticError(f"Expected positions of {count or 'n'} atoms, ({count or 'n'}, 3), Å; got {y.shape}.")
        if not np.all(np.isfinite(y)):
            raise EvaluationError(f"Atom {int(np.flatnonzero(~np.isfinite(y).all(axis=1))[0])} has no finite position.")
        return y
