"""What every potential looks like from outside: a counted ASE calculator and a record of what it can do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError, all_changes
from ase.data import chemical_symbols
from ase.stress import voigt_6_to_full_3x3_stress
from mpi4py import MPI
from numpy.typing import ArrayLike, NDArray

from atomistic.errors import EvaluationError, UnknownElementError, WeightedEnergiesError
from atomistic.potentials.memory import Answer, Memory, key_of, present_memory
from atomistic.potentials.tally import book, clock, since

#: The 89 elements of the Materials Project trajectories (Deng et al. 2023): up to Pu, without Po, At, Rn, Fr and Ra.
MPTRJ_ELEMENTS = frozenset(s for z, s in enumerate(chemical_symbols[:95]) if z > 0 and not 84 <= z <= 88)


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a potential knows and gives.

    Attributes:
        name: the name under which it was loaded.
        elements: chemical symbols that it has parameters for; None where it does not say (any may be tried).
        stress: whether it gives stresses.
        energies_per_atom: whether it gives an energy for each atom.
        weighted_site_energies: whether it gives Σ w_i V_i and its gradient for any weights w of the atoms' energies V_i.
        precision: "float32" or "float64", that of the energies.
        devices: where it can run.
        parallel: whether one evaluation spreads over the ranks of its communicator.
        cutoff: distance up to which two atoms are linked in one layer (Å), if known.
        model_file: the file of weights or parameters, if there is one.
        model_sha256: the hash of that file.
        reference: what to cite.
        electronic: whether it treats electrons, so that charge and spin mean something to it.
        members: of a committee, how many; 1 for a single potential.
    """

    name: str
    elements: frozenset[str] | None
    stress: bool = True
    energies_per_atom: bool = False
    weighted_site_energies: bool = False
    precision: str = "float64"
    devices: tuple[str, ...] = ("cpu",)
    parallel: bool = False
    cutoff: float | None = None
    model_file: Path | None = None
    model_sha256: str | None = None
    reference: str = ""
    electronic: bool = False
    members: int = 1


@dataclass
class CallCounter:
    """Evaluations made so far: how many, over how many atoms altogether, and the seconds spent inside them."""

    calls: int = 0
    atoms: int = 0
    seconds: float = 0.0

    def add(self, name: str, *, atoms: int, seconds: float, cpu_seconds: float) -> None:
        """Count an evaluation by the potential `name`, here and in the tally of this process."""
        self.calls += 1
        self.atoms += atoms
        self.seconds += seconds
        book(name, atoms=atoms, seconds=seconds, cpu_seconds=cpu_seconds)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One evaluation of a structure.

    Attributes:
        energy: eV.
        forces: (n, 3), eV/Å.
        stress: (3, 3), symmetric, eV/Å³, positive in tension; zeros unless all directions are periodic.
    """

    energy: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class WeightedEvaluation:
    """Site energies V_i of a structure and the gradient of their weighted sum.

    Attributes:
        energy: E = Σ w_i V_i, eV.
        gradient: dE/dy (n, 3), eV/Å; with all weights one it is minus the forces.
        site_energies: V_i (n,), eV, without their weights.
    """

    energy: float
    gradient: NDArray[np.float64]
    site_energies: NDArray[np.float64]


class SiteModel(Protocol):
    """The inside of a potential with site energies: one evaluation gives all V_i and one weighted gradient."""

    def weighted(self, atoms: Atoms, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return V_i (n,), eV, and d(Σ w_i V_i)/dy (n, 3), eV/Å."""
        ...


@dataclass
class Potential:
    """An ASE calculator whose evaluations are counted and checked, with the record of what it can do.

    Attributes:
        calculator: the ASE calculator; attach it to atoms as usual.
        capabilities: what it knows and gives.
        comm: the communicator that takes part in one evaluation (MPI.COMM_SELF for engines that run on one rank).
        counter: the evaluations made so far; results that the calculator remembers are not counted.
        site_model: what gives weighted site energies, where the potential has any.
        identity: all that decides its answers, for the memory of a run; None for one that may change, or keeps what others ask
            of it: its evaluations are always made.
    """

    calculator: Any
    capabilities: Capabilities
    comm: MPI.Comm
    counter: CallCounter = field(default_factory=CallCounter)
    site_model: SiteModel | None = None
    identity: str | None = None

    def __post_init__(self) -> None:
        self.calculator.calculate = self._counted(self.calculator.calculate)

    def check_elements(self, symbols: Iterable[str]) -> None:
        """Raise UnknownElementError unless the potential has parameters for every one of `symbols`."""
        known = self.capabilities.elements
        unknown = sorted(set(symbols) - known) if known is not None else []
        if known is not None and unknown:
            listed = ", ".join(sorted(known)) if len(known) <= 20 else f"{len(known)} elements"
            raise UnknownElementError(
                f"The potential {self.capabilities.name!r} has no parameters for {', '.join(unknown)}; it knows {listed}. "
                "Choose another potential (`multiscale potentials` lists them) or other elements."
            )

    def evaluate(self, atoms: Atoms, *, stress: bool = True) -> Evaluation:
        """Return energy, forces and stress of `atoms` from at most one evaluation of the calculator.

        Args:
            atoms: the structure.
            stress: False where it is not needed and costs: then it is zeros.

        Raises:
            EvaluationError: a result is missing or not finite.
        """
        calculator = self.calculator
        periodic = stress and bool(atoms.pbc.all())
        wanted = ["energy", "forces", *(["stress"] if periodic else [])]
        changes = calculator.check_state(atoms)
        if changes:
            # Mixtures of calculators have results and nothing else to forget.
            calculator.reset() if hasattr(calculator, "reset") else calculator.results.clear()
        if changes or any(name not in calculator.results for name in wanted):
            try:
                calculator.calculate(atoms, wanted, changes or all_changes)
            except (PropertyNotImplementedError, NotImplementedError) as error:
                raise EvaluationError(
                    f"The potential {self.capabilities.name!r} does not give all of {', '.join(wanted)} ({error})."
                ) from error
        results = calculator.results
        missing = [name for name in wanted if name not in results]
        if missing:
            raise EvaluationError(f"The potential {self.capabilities.name!r} gives no {', '.join(missing)}.")
        found = np.asarray(results["stress"] if periodic else np.zeros(6), dtype=float)
        return Evaluation(
            energy=float(results["energy"]),
            forces=np.array(results["forces"], dtype=float),
            stress=found.copy() if found.shape == (3, 3) else voigt_6_to_full_3x3_stress(found),
        )

    def evaluate_weighted(self, atoms: Atoms, weights: ArrayLike | None = None) -> WeightedEvaluation:
        """Return Σ w_i V_i and its gradient, at about the cost of one ordinary evaluation.

        Args:
            atoms: the structure.
            weights: (n,), any finite numbers; all one by default.

        Raises:
            WeightedEnergiesError: the potential gives forces only, or the weights don't fit the atoms.
            UnknownElementError: it has no parameters for an element.
            EvaluationError: a result is not finite.
        """
        model = self.site_model_or_refuse()
        self.check_elements(atoms.symbols)
        w = checked_weights(np.ones(len(atoms)) if weights is None else weights, len(atoms))

        def weigh() -> Answer:
            energies, gradient = model.weighted(atoms, w)
            return {"energies": energies, "gradient": gradient}

        answer = self._remembered(weigh, atoms, "weighted", w)
        energies, gradient = answer["energies"], answer["gradient"]
        if not (np.all(np.isfinite(energies)) and np.all(np.isfinite(gradient))):
            raise EvaluationError(
                f"{self.capabilities.name!r} gave site energies that are not finite numbers for {atoms.symbols}"
                f"{_shortest_distance(atoms)}. Atoms too close together are the usual cause."
            )
        return WeightedEvaluation(energy=float(w @ energies), gradient=gradient, site_energies=energies)

    def site_model_or_refuse(self) -> SiteModel:
        """Return what gives weighted site energies.

        Raises:
            WeightedEnergiesError: the potential gives forces only.
        """
        if self.site_model is None:
            raise WeightedEnergiesError(
                f"{self.capabilities.name} gives forces only, and energies of sites cannot be weighted with it; use bqcf "
                "or schwarz, or a potential with site energies (eam-al, sevennet-0, chgnet ...)."
            )
        return self.site_model

    def isolated_energy(self, symbol: str) -> float | None:
        """Return the energy (eV) of one free atom, or None where the potential cannot evaluate it.

        Foundation models were hardly shown free atoms: theirs is an extrapolation, and so is a cohesive energy from it.
        """
        atoms = Atoms(symbol, cell=[30.0] * 3, pbc=False)
        try:
            self.calculator.reset()
            self.calculator.calculate(atoms, ["energy"], all_changes)
        except (EvaluationError, ValueError, RuntimeError, IndexError, AttributeError, NotImplementedError):
            # Engines differ in how they refuse an atom without neighbours; any refusal means the same here.
            return None
        return float(self.calculator.results["energy"])

    def _counted(self, bare: Callable[..., None]) -> Callable[..., None]:
        """Wrap the calculator's `calculate`: recall, count, time, and refuse results that are not finite."""
        calculator, name = self.calculator, self.capabilities.name

        def calculate(
            atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
        ) -> None:
            made = False

            def evaluate() -> Answer:
                nonlocal made
                made = True
                # Told that all is new, engines drop lists and orders of sums that depend on where atoms were before: the answer
                # is then one of the structure alone, and a resumed run goes on to the last bit. Electrons may begin where they
                # were.
                bare(atoms, list(properties), system_changes if self.capabilities.electronic else all_changes)
                return {
                    key: value for key, value in calculator.results.items() if np.asarray(value).dtype.kind in "fiub"
                }

            answer = self._remembered(evaluate, atoms, "plain", *sorted(properties))
            if not made and atoms is not None:
                calculator.atoms, calculator.results = atoms.copy(), dict(answer)
            for key in ("energy", "forces", "stress"):
                if key in calculator.results and not np.all(np.isfinite(calculator.results[key])):
                    calculator.results = {}
                    shortest = _shortest_distance(atoms)
                    raise EvaluationError(
                        f"{name!r} gave {key} that is not a finite number for {atoms.symbols if atoms else 'no atoms'}"
                        f"{shortest}. Atoms too close together and elements outside the training set are the usual causes."
                    )

        return calculate

    def _remembered(self, evaluate: Callable[[], Answer], atoms: Atoms | None, *asked: Any) -> Answer:
        """An evaluation, made or recalled, counted either way: a run that was stopped tells the same costs."""
        memory = present_memory()
        key = None
        if memory is not None and self.identity is not None and atoms is not None:
            key = key_of(self.identity, atoms, *asked)
            if (known := self._recalled(memory, key)) is not None:
                seconds = known.pop("_seconds")
                self._count(atoms, seconds, seconds)
                return known
        began = clock()
        try:
            answer = evaluate()
        except Exception as error:
            if _is_told(error):
                raise
            raise EvaluationError(
                f"The potential {self.capabilities.name!r} failed on {atoms.symbols if atoms else 'no atoms'}: "
                f"{type(error).__name__}: {error}"
            ) from error
        seconds, processor = since(began)
        self._count(atoms, seconds, processor)
        if memory is not None:
            # What is not finite is an error, which the next attempt need not meet again.
            if key is not None and self.comm.rank == 0 and all(np.all(np.isfinite(v)) for v in answer.values()):
                memory.keep(key, {**answer, "_seconds": seconds})
            memory.sign()
        return answer

    def _recalled(self, memory: Memory, key: bytes) -> Answer | None:
        """What is known of an evaluation; ranks that share it recall it together or make it together."""
        known = memory.recall(key)
        if memory.empty or self.comm.size == 1:
            return known
        return known if self.comm.allreduce(int(known is not None), op=MPI.MIN) else None

    def _count(self, atoms: Atoms | None, seconds: float, cpu_seconds: float) -> None:
        count = len(atoms) if atoms is not None else 0
        self.counter.add(self.capabilities.name, atoms=count, seconds=seconds, cpu_seconds=cpu_seconds)


def checked_weights(weights: ArrayLike, count: int) -> NDArray[np.float64]:
    """Return site weights as a double array (n,).

    Raises:
        WeightedEnergiesError: another number of weights than sites, or weights that are not finite.
    """
    w = np.asarray(weights, dtype=float)
    if w.shape != (count,):
        raise WeightedEnergiesError(
            f"Expected one weight for each of {count} sites, shape ({count},); got shape {w.shape}."
        )
    if not np.all(np.isfinite(w)):
        bad = int(np.flatnonzero(~np.isfinite(w))[0])
        raise WeightedEnergiesError(
            f"Site weights must be finite numbers (1 − β of each site); site {bad} has {w[bad]}."
        )
    return w


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_told(error: Exception) -> bool:
    """Whether an error inside an engine says by itself what is wrong: ours, what it cannot do, what it needs."""
    ours = type(error).__module__.partition(".")[0] in ("atomistic", "continuum", "coupling", "multiscale")
    return ours or isinstance(error, NotImplementedError | ImportError | MemoryError)


def _shortest_distance(atoms: Atoms | None) -> str:
    """Describe the shortest distance between two atoms, for an error message."""
    if atoms is None or len(atoms) < 2:
        return ""
    distances = atoms.get_all_distances(mic=bool(atoms.pbc.any()))
    return f" (shortest distance {distances[np.triu_indices(len(atoms), 1)].min():.3f} Å)"
