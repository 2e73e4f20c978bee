"""A committee as one ASE calculator: the members' mean, and how far they are apart."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from mpi4py import MPI
from numpy.typing import ArrayLike, NDArray

from atomistic.committee.disagreement import Disagreement, disagreement, exceeds, force_spread
from atomistic.committee.head_model import HeadCalculator, HeadModel, head_potential
from atomistic.committee.members import Members
from atomistic.errors import CommitteeError
from atomistic.potentials.base import Capabilities, Potential
from atomistic.potentials.imported import as_potential

Array = NDArray[np.float64]


class Source(Protocol):
    """One or several members that are evaluated together.

    Attributes:
        size: how many.
        potential: their mean.
    """

    size: int
    potential: Potential

    def deviations(self, atoms: Atoms) -> Members:
        """Return the members about their mean."""
        ...

    def member(self, k: int) -> Potential:
        """Return one of them as a potential."""
        ...


class SingleSource:
    """A potential that is one member."""

    size = 1

    def __init__(self, potential: Potential) -> None:
        self.potential = potential

    def deviations(self, atoms: Atoms) -> Members:
        """Nothing: one member is its own mean."""
        return Members(energies=np.zeros(1), forces=np.zeros((1, len(atoms), 3)), stresses=np.zeros((1, 3, 3)))

    def member(self, k: int) -> Potential:
        """The potential itself."""
        return self.potential


class HeadSource:
    """Heads on one backbone: K members at the price of one, and of K − 1 passes back through early layers when asked."""

    def __init__(self, model: HeadModel, *, name: str) -> None:
        self.model = model
        self.name = name
        self.size = model.heads.size
        self.potential = head_potential(model, name=name)

    def deviations(self, atoms: Atoms) -> Members:
        """Return the heads about their mean, from the early layers alone."""
        return self.model.deviations(atoms)

    def member(self, k: int) -> Potential:
        """Return one head on its backbone as a potential."""
        return head_potential(
            HeadModel(self.model.heads.member(k), self.model.backbone), name=f"{self.name}, member {k}"
        )


@dataclass
class CheckRecord:
    """How often doubt was asked: checks, those in which pairs had to be compared, and seconds."""

    checks: int = 0
    compared: int = 0
    seconds: float = 0.0


class Committee(Calculator):
    """The mean of members as energy, forces and stress; their disagreement on request.

    `calculate` costs what the voting members' means cost. Disagreement is computed only when it is asked for: for heads from what
    the evaluation has left. By name also `energy_std` (eV), `forces_std` (n,) (eV/Å), `stress_std` (6,) (eV/Å³), over K − 1, and
    `disagreement` (n,), eV/Å.

    Args:
        members: ASE calculators or potentials; one that is a committee itself brings all its members.
        voting: numbers of `members` whose mean is the energy; the others doubt, and are evaluated only when doubt is asked for.
            All by default.

    Attributes:
        sources: what the members come from.
        record: how often doubt was asked.

    Raises:
        CommitteeError: fewer than two members, the same calculator twice, no common element, or `voting` that names none.
    """

    implemented_properties = [  # noqa: RUF012 - ASE's own declaration
        "energy", "energies", "forces", "stress", "energy_std", "forces_std", "stress_std", "disagreement",
    ]  # fmt: skip

    def __init__(self, members: Sequence[Any], *, voting: Sequence[int] | None = None) -> None:
        super().__init__()
        sources: list[Source] = []
        votes: list[bool] = []
        chosen = _checked_voting(voting, len(members))
        for number, member in enumerate(members):
            own = _sources(member)
            sources += own
            votes += [number in chosen] * len(own)
        self.sources = tuple(sources)
        self.votes = np.repeat(votes, [s.size for s in sources]) if sources else np.zeros(0, dtype=bool)
        self.size = int(sum(source.size for source in sources))
        if self.size < 2:
            raise CommitteeError(f"A committee has at least two members; got {self.size}. Add another potential.")
        engines = [id(source.potential.calculator) for source in sources]
        if len(set(engines)) < len(engines):
            raise CommitteeError(
                "The same calculator is a member twice: it would always agree with itself. Load each anew."
            )
        self.elements = common_elements([source.potential for source in sources])
        self._voting = [s for s, vote in zip(sources, votes, strict=True) if vote]
        self.record = CheckRecord()

    @property
    def names(self) -> tuple[str, ...]:
        """The members' names."""
        return tuple(
            s.potential.capabilities.name if s.size == 1 else f"{s.potential.capabilities.name} {k}"
            for s in self.sources
            for k in range(s.size)
        )

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """Return what changed, charge and spin in `atoms.info` included: members may be quantum engines."""
        changes: list[str] = super().check_state(atoms, tol=tol)
        if self.atoms is not None and any(atoms.info.get(k) != self.atoms.info.get(k) for k in ("charge", "spin")):
            changes.append("info")
        return changes

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Evaluate the voting members' mean, and the spread where its name is asked for (ASE's interface).

        Raises:
            UnknownElementError: a member does not know an element.
            EvaluationError: a member's result is missing or not finite.
        """
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        self._check_elements(self.atoms)
        self.results = self._mean(self.atoms)
        if {"energy_std", "forces_std", "stress_std", "disagreement"} & set(properties):
            self.results |= self._spread(self.atoms)

    def evaluate_members(self, atoms: Atoms) -> Members:
        """Return what each of the K members says.

        Raises:
            UnknownElementError, EvaluationError: as `calculate`.
        """
        self._check_elements(atoms)
        parts = []
        for source in self.sources:
            mean = source.potential.evaluate(atoms)
            about = source.deviations(atoms)
            parts.append(
                Members(
                    energies=mean.energy + about.energies,
                    forces=mean.forces + about.forces,
                    stresses=mean.stress + about.stresses,
                )
            )
        return Members(
            energies=np.concatenate([p.energies for p in parts]),
            forces=np.concatenate([p.forces for p in parts]),
            stresses=np.concatenate([p.stresses for p in parts]),
        )

    def deviations(self, atoms: Atoms) -> Members:
        """Return the members up to what they have in common: all that disagreement needs, and cheaper than the whole."""
        if len(self.sources) == 1:
            self._check_elements(atoms)
            return self.sources[0].deviations(atoms)
        return self.evaluate_members(atoms)

    def disagreement(self, atoms: Atoms, *, judged: ArrayLike | None = None) -> Disagreement:
        """Return the exact disagreement of the members' forces.

        Args:
            atoms: the structure.
            judged: (n,) bool, the atoms whose disagreement counts in the largest; all by default.
        """
        start = time.perf_counter()
        found = disagreement(self.deviations(atoms).forces, judged=judged)
        self.record.checks += 1
        self.record.compared += 1
        self.record.seconds += time.perf_counter() - start
        return found

    def exceeds(self, atoms: Atoms, threshold: float, *, judged: ArrayLike | None = None) -> bool:
        """Tell exactly whether any atom disagrees by more than a threshold (eV/Å); pairs are compared where bounds don't tell."""
        start = time.perf_counter()
        above, compared = exceeds(self.deviations(atoms).forces, threshold, judged=judged)
        self.record.checks += 1
        self.record.compared += compared
        self.record.seconds += time.perf_counter() - start
        return above

    def novelty(self, atoms: Atoms) -> Array | None:
        """Return how unlike the training atoms each atom is (n,), 1 for the farthest of them; None where no member knows.

        Heads on one backbone agree too easily far from their data: this gate needs no backward pass and does not.
        """
        found = [s.model.novelty(atoms) for s in self.sources if isinstance(s, HeadSource)]
        return np.max(found, axis=0) if found else None

    def save(self, path: str | Path) -> Path:
        """Write trained heads as .npz, which `load_potential({"path": ...})` reads.

        Raises:
            CommitteeError: a committee of other members, which a mapping of their specifications describes better.
            ModelFileError: the file cannot be written.
        """
        if len(self.sources) != 1 or not isinstance(self.sources[0], HeadSource):
            raise CommitteeError(
                "Only heads on one backbone are saved as a file; write a committee of several potentials as "
                "{committee: [first, second, ...]}."
            )
        return self.sources[0].model.heads.save(path)

    def member(self, k: int) -> Potential:
        """Return member k alone, as a potential.

        Raises:
            CommitteeError: no such member.
        """
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 0 <= k < self.size:
            raise CommitteeError(f"There is no member {k!r}; the committee has members 0 to {self.size - 1}.")
        for source in self.sources:
            if k < source.size:
                return source.member(int(k))
            k -= source.size
        raise AssertionError  # sizes add up to self.size

    def _check_elements(self, atoms: Atoms) -> None:
        for source in self.sources:
            source.potential.check_elements(atoms.symbols)

    def _shares(self) -> Array:
        sizes = np.array([source.size for source in self._voting], dtype=float)
        return sizes / sizes.sum()

    def _mean(self, atoms: Atoms) -> dict[str, Any]:
        shares = self._shares()
        found = [source.potential.evaluate(atoms) for source in self._voting]
        results: dict[str, Any] = {
            "energy": float(sum(w * e.energy for w, e in zip(shares, found, strict=True))),
            "forces": sum(w * e.forces for w, e in zip(shares, found, strict=True)),
        }
        each = [source.potential.calculator.results.get("energies") for source in self._voting]
        if all(e is not None for e in each):
            results["energies"] = sum(w * np.asarray(e, dtype=float) for w, e in zip(shares, each, strict=True))
        if atoms.pbc.all():
            stress = sum(w * e.stress for w, e in zip(shares, found, strict=True))
            results["stress"] = full_3x3_to_voigt_6_stress(stress)
        return results

    def _spread(self, atoms: Atoms) -> dict[str, Any]:
        members = self.deviations(atoms)
        return {
            "energy_std": float(members.energies.std(ddof=1)),
            "forces_std": force_spread(members.forces),
            "stress_std": full_3x3_to_voigt_6_stress(members.stresses.std(axis=0, ddof=1)),
            "disagreement": disagreement(members.forces).per_atom,
        }


class CommitteeSites:
    """The mean of the voting members' weighted site energies."""

    def __init__(self, sources: Sequence[Source], shares: Array) -> None:
        self._sources = sources
        self._shares = shares

    def weighted(self, atoms: Atoms, weights: Array) -> tuple[Array, Array]:
        """Return the mean V_i (n,), eV, and d(Σ w_i V_i)/dy (n, 3), eV/Å."""
        energies, gradient = np.zeros(len(atoms)), np.zeros((len(atoms), 3))
        for share, source in zip(self._shares, self._sources, strict=True):
            found = source.potential.evaluate_weighted(atoms, weights)
            energies += share * found.site_energies
            gradient += share * found.gradient
        return energies, gradient


def committee_potential(committee: Committee, *, name: str | None = None, comm: MPI.Comm = MPI.COMM_SELF) -> Potential:
    """Return a committee as a potential: what all its voting members can do, it can."""
    voting = [source.potential for source in committee._voting]
    known = [p.capabilities for p in voting]
    sites = all(p.site_model is not None for p in voting)
    single = known[0] if len(known) == 1 else None
    cutoffs = [c.cutoff for c in known]
    return Potential(
        calculator=committee,
        capabilities=Capabilities(
            name=name or f"committee of {', '.join(s.potential.capabilities.name for s in committee.sources)}",
            elements=committee.elements,
            stress=all(c.stress for c in known),
            energies_per_atom=all(c.energies_per_atom for c in known),
            weighted_site_energies=sites,
            precision="float64" if all(c.precision == "float64" for c in known) else "float32",
            cutoff=None if None in cutoffs else max(c for c in cutoffs if c is not None),
            model_file=single.model_file if single else None,
            model_sha256=single.model_sha256 if single else None,
            reference="; ".join(dict.fromkeys(c.reference for c in known if c.reference)),
            electronic=any(c.electronic for c in known),
            members=committee.size,
        ),
        comm=comm,
        site_model=CommitteeSites(committee._voting, committee._shares()) if sites else None,
    )


def committee_of(potential: Any) -> Committee | None:
    """Return the committee inside a potential, or None where it is none."""
    calculator = potential.calculator if isinstance(potential, Potential) else potential
    return calculator if isinstance(calculator, Committee) else None


def common_elements(potentials: Sequence[Potential]) -> frozenset[str] | None:
    """Return the elements that all members know; None where none of them says.

    Raises:
        CommitteeError: members that share no element.
    """
    known = [(p.capabilities.name, p.capabilities.elements) for p in potentials if p.capabilities.elements is not None]
    if not known:
        return None
    shared = frozenset.intersection(*[elements for _, elements in known if elements is not None])
    if not shared:
        told = "; ".join(f"{name}: {_listed(elements)}" for name, elements in known)
        raise CommitteeError(
            f"The members of the committee share no element ({told}). Choose members for the same elements."
        )
    return shared


def _listed(elements: frozenset[str] | None) -> str:
    names = sorted(elements or ())
    return ", ".join(names) if len(names) <= 6 else f"{len(names)} elements"


def _checked_voting(voting: Sequence[int] | None, count: int) -> set[int]:
    if voting is None:
        return set(range(count))
    chosen = list(voting) if isinstance(voting, Sequence) and not isinstance(voting, str) else [voting]
    known = all(not isinstance(v, bool) and isinstance(v, int) and 0 <= v < count for v in chosen)
    if not chosen or not known or len(set(chosen)) < len(chosen):
        raise CommitteeError(
            f"voting names some of the members 0 to {count - 1} whose mean is the energy; got {chosen}."
        )
    return set(chosen)


def _sources(member: Any) -> list[Source]:
    """What a member of the list brings: itself, or all the members of a committee."""
    inner = committee_of(member)
    if inner is not None:
        return list(inner.sources)
    potential = as_potential(member)
    if isinstance(potential.calculator, HeadCalculator) and potential.calculator.model.heads.size > 1:
        return [HeadSource(potential.calculator.model, name=potential.capabilities.name)]
    return [SingleSource(potential)]
