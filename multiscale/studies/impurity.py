"""An interface with and without an impurity: the potential's curves, quantum single points at its states, corrected laws.

Relax the stack with the impurity in its gap, pull it apart, let both surfaces come to rest with the impurity on one of them;
compute a small periodic cell around the gap by quantum mechanics, closed and open, with the impurity and without; put
E = E_ML(all) + E_QM(C) − E_ML(C) in place of E_ML(all) in the works of separation; end the curves there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from mpi4py import MPI

from atomistic.around_gap import planes_around_gap
from atomistic.builders import Stack, build_stack
from atomistic.curves import SeparationCurve
from atomistic.decohesion import default_openings, fit_uber
from atomistic.impurity import ImpureStack, build_impure_stack
from atomistic.impurity_energies import dilute_energy
from atomistic.impurity_states import AtRest, apart, impure_separation, relax_closed, relax_open, rigid_state
from atomistic.potentials import Potential
from atomistic.ranks import on_first_rank
from coupling.cohesive import CohesiveExtraction, extract_law
from coupling.corrected_separation import rescale_separation
from coupling.elasticity import LinearUniaxial
from coupling.errors import EmbeddingError
from multiscale.config import AdhesionCase
from multiscale.config.embedding import EmbeddingModel
from multiscale.config.impurity_stack import LARGEST_CELL
from multiscale.progress import Progress
from multiscale.studies.embedding_build import load_engine
from multiscale.studies.interface import InterfaceCharacter

#: Vacuum (Å) between the surfaces of an open stack: enough for the tails of a density of electrons.
VACUUM = 10.0
#: Forces (eV/Å) left on atoms at rest: energies err in second order, and cached geometries are found again.
AT_REST = 1e-3


@dataclass(frozen=True, kw_only=True)
class QuantumPoint:
    """A state whose cell around the gap was computed by quantum mechanics.

    Attributes:
        impure: whether the impurity is in it.
        opening: of the gap beyond the closed state, Å.
        area: of the whole stack in the plane, Å².
        whole: E_ML(all), eV.
        quantum: E_QM(C), eV.
        ml: E_ML(C), eV.
        atoms: of C.
        of: of the whole stack.
        force: largest force of the quantum engine on an atom of C, eV/Å: how far the potential's state is from its own.
        reused: whether the result was in the cache.
        away: largest component, Å, by which the stored structure lay off this one; 0 where it was computed.
        seconds: that the engine took, when it was computed.
    """

    impure: bool
    opening: float
    area: float
    whole: float
    quantum: float
    ml: float
    atoms: int
    of: int
    force: float
    reused: bool
    away: float
    seconds: float

    @property
    def energy(self) -> float:
        """E = E_ML(all) + E_QM(C) − E_ML(C), eV."""
        return self.whole + self.quantum - self.ml


@dataclass(frozen=True, kw_only=True)
class CurveCheck:
    """A corrected curve held against a single point in its middle.

    Attributes:
        impure: which curve.
        opening: Å.
        potential: φ of the potential there, eV/Å².
        curve: φ of the corrected curve.
        point: φ from quantum single points.
    """

    impure: bool
    opening: float
    potential: float
    curve: float
    point: float


@dataclass(frozen=True, kw_only=True)
class Separation:
    """One interface, with the impurity or without.

    Attributes:
        closed, open: at rest.
        area: Å².
        curve: of the potential, halves rigid.
        corrected: with quantum energies at its ends; None without them.
        extraction: the law of the corrected curve, or of the potential's.
        work: of the potential between the states at rest, eV/Å².
        quantum_work: the same from the single points; None without them.
    """

    closed: AtRest
    open: AtRest
    area: float
    curve: SeparationCurve
    corrected: SeparationCurve | None
    extraction: CohesiveExtraction
    work: float
    quantum_work: float | None

    @property
    def best_work(self) -> float:
        """Work of separation by the best description at hand, eV/Å²."""
        return self.work if self.quantum_work is None else self.quantum_work


@dataclass(frozen=True, kw_only=True)
class ImpurityStudy:
    """What an impurity does to an interface, and quantum mechanics to both.

    Attributes:
        clean: without the impurity.
        impure: with it; None where the case has none.
        stack: that holds it.
        dilute: what it costs far inside the crystal, eV, of the potential; None without.
        points: the quantum calculations.
        checks: of the corrected curves.
    """

    clean: Separation
    impure: Separation | None
    stack: ImpureStack | None
    dilute: float | None
    points: tuple[QuantumPoint, ...]
    checks: tuple[CurveCheck, ...]

    @property
    def calculations(self) -> tuple[int, int]:
        """Quantum results computed here, and found in the cache."""
        reused = sum(point.reused for point in self.points)
        return len(self.points) - reused, reused

    def potency(self, *, quantum: bool) -> float | None:
        """Δg_int − Δg_surf, eV for each impurity: how much more strongly it is bound to the surface than to the closed gap.

        W(Γ) = W(0) − (Δg_int − Δg_surf) Γ where the interface parts too fast for the impurity to be exchanged with the bulk
        (Rice and Wang 1989, Mater. Sci. Eng. A 107, 23, eq. 13 at constant Γ); positive: it embrittles.
        """
        if self.impure is None:
            return None
        works = [(side.quantum_work if quantum else side.work) for side in (self.clean, self.impure)]
        if works[0] is None or works[1] is None:
            return None
        return (works[0] - works[1]) * self.impure.area

    def binding(self) -> tuple[float, float] | None:
        """Energies of the impurity in the closed gap and on the surface less that in the bulk, eV, of the potential."""
        if self.impure is None or self.stack is None or self.dilute is None:
            return None
        copies = self.impure.area / self.clean.area
        lost = round(copies * len(self.clean.closed.atoms)) - len(self.stack.stack.atoms)
        own = self.clean.closed.energy / len(self.clean.closed.atoms)
        pairs = ((self.impure.closed, self.clean.closed), (self.impure.open, self.clean.open))
        gap, surface = (state.energy - copies * pure.energy + lost * own - self.dilute for state, pure in pairs)
        return gap, surface


def study_impurity(
    case: AdhesionCase, interface: InterfaceCharacter, *, directory: Path, comm: MPI.Comm, progress: Progress
) -> tuple[InterfaceCharacter, ImpurityStudy]:
    """Compute the interface with its impurity and correct the laws (collective).

    Args:
        case: with an impurity, an embedding, or both.
        interface: what the potential says of it without them.
        directory: of the run; quantum results are kept below it where the case names no place.
        comm: ranks.
        progress: told of the phases.

    Returns:
        The interface, its curve and its law corrected where there is an embedding; and the study.

    Raises:
        ValueError: no such hole, a quantum cell of too many atoms, an engine that is missing.
        RelaxationError: a state that does not come to rest.
    """
    potential, crystal = interface.potential, interface.crystal
    plane, cut, planes = case.interface.plane, case.interface.cut, case.decohesion.planes
    host = build_stack(crystal, plane=plane, n_planes=planes, cut=cut)
    far = max(VACUUM, apart(potential, host))
    perfect = AtRest(atoms=host.atoms, energy=len(host.atoms) * crystal.energy_per_atom, opening=0.0)
    before = potential.counter.calls
    if case.embedding is not None:
        copies = 1 if case.impurity is None else math.prod(case.impurity.repeat)
        check_cell(case.embedding, host.repeated(copies, 1))
    with progress.phase("impurity"):
        clean = relax_open(potential, crystal, host, opening=far, fmax=AT_REST, comm=comm)
        states: list[tuple[ImpureStack | Stack, AtRest, AtRest, SeparationCurve]] = [
            (host, perfect, clean, interface.curve)
        ]
        stack, dilute = None, None
        if case.impurity is not None:
            potential.check_elements([case.impurity.element])
            stack = build_impure_stack(
                crystal,
                plane=plane,
                n_planes=planes,
                element=case.impurity.element,
                site=case.impurity.site,
                repeat=case.impurity.repeat,
                cut=cut,
            )
            dilute = dilute_energy(potential, crystal, element=stack.element, site=stack.site, fmax=AT_REST, comm=comm)
            closed = relax_closed(potential, crystal, stack, fmax=AT_REST, comm=comm)
            open_ = relax_open(potential, crystal, stack, closed=closed, opening=far, fmax=AT_REST, comm=comm)
            openings = default_openings(to=case.decohesion.opening.to, points=case.decohesion.opening.points)
            face = open_.face or "lower"
            curve = impure_separation(potential, crystal, stack, closed, face=face, openings=openings, comm=comm)
            states.append((stack, closed, open_, curve))
    points: list[QuantumPoint] = []
    if case.embedding is not None:
        with progress.phase("quantum points"):
            points = quantum_points(case, potential, states, far, cache=directory / "quantum", comm=comm)
    sides = [_separation(case, interface, state, points) for state in states]
    study = ImpurityStudy(
        clean=sides[0],
        impure=sides[1] if len(sides) > 1 else None,
        stack=stack,
        dilute=dilute,
        points=tuple(points),
        checks=tuple(_checks(sides, points)),
    )
    calls = interface.calls + comm.allreduce(potential.counter.calls - before)
    if study.clean.corrected is None:
        return replace(interface, calls=calls), study
    # The images keep the potential's own energies; curve and law go on with the corrected ones.
    corrected = replace(
        interface,
        curve=study.clean.corrected,
        uber=fit_uber(study.clean.corrected),
        extraction=study.clean.extraction,
        calls=calls,
    )
    return corrected, study


def quantum_points(
    case: AdhesionCase,
    potential: Potential,
    states: list[tuple[ImpureStack | Stack, AtRest, AtRest, SeparationCurve]],
    far: float,
    *,
    cache: Path,
    comm: MPI.Comm,
) -> list[QuantumPoint]:
    """Compute the cells of closed, open and partly open stacks, on the first rank; all get the results (collective)."""
    embedding = case.embedding
    assert embedding is not None
    cells = []
    for stack, closed, open_, _ in states:
        host = stack.stack if isinstance(stack, ImpureStack) else stack
        kept = planes_kept(host, embedding.buffer)
        between = [
            (opening, rigid_state(potential, stack, closed, opening, face=open_.face or "lower"))
            for opening in case.verification.quantum_openings
        ]
        for opening, state in [(0.0, closed), (far, open_), *between]:
            cell, rows = planes_around_gap(state.atoms, host, kept)
            cells.append((isinstance(stack, ImpureStack), opening, host.area, state, cell, len(state.atoms), len(rows)))

    def compute() -> list[QuantumPoint]:
        engine = load_engine(embedding, cache=cache, comm=MPI.COMM_SELF)
        record = engine.calculator.record
        found = []
        for impure, opening, area, state, cell, whole, _ in cells:
            known = record.reused
            result = engine.evaluate(cell, stress=False)
            found.append(
                QuantumPoint(
                    impure=impure,
                    opening=opening,
                    area=area,
                    whole=state.energy,
                    quantum=result.energy,
                    ml=potential.evaluate(cell).energy,
                    atoms=len(cell),
                    of=whole,
                    force=float(np.linalg.norm(result.forces, axis=1).max()),
                    reused=record.reused > known,
                    away=record.last.away if record.last is not None else 0.0,
                    seconds=record.last.seconds if record.last is not None else 0.0,
                )
            )
        return found

    return on_first_rank(compute, potential=potential, comm=comm)


def check_cell(embedding: EmbeddingModel, stack: Stack) -> None:
    """Refuse a quantum cell that nobody can afford before anything is computed.

    Raises:
        EmbeddingError: it holds more atoms than are affordable.
    """
    kept = planes_kept(stack, embedding.buffer)
    count, most = len(planes_around_gap(stack.atoms, stack, kept)[0]), LARGEST_CELL - 1
    if count > most:
        raise EmbeddingError(
            f"the quantum cell of {kept} planes holds {count} atoms of the crystal, more than {most}. Narrow embedding.buffer or "
            "repeat the cell less (impurity.repeat)"
        )


def planes_kept(stack: Stack, buffer: float) -> int:
    """Planes of a quantum cell: on either side those within `buffer` (Å) of the middle of the gap, at least one."""
    distances = 0.5 * stack.cut_gap + np.concatenate([[0.0], np.cumsum(stack.gaps[:-1])])
    return min(2 * max(int((distances <= buffer).sum()), 1), stack.n_planes)


def _separation(
    case: AdhesionCase,
    interface: InterfaceCharacter,
    state: tuple[ImpureStack | Stack, AtRest, AtRest, SeparationCurve],
    points: list[QuantumPoint],
) -> Separation:
    """Works, curve and law of one interface."""
    stack, closed, open_, curve = state
    impure = isinstance(stack, ImpureStack)
    area = (stack.stack if isinstance(stack, ImpureStack) else stack).area
    ends = sorted((p for p in points if p.impure == impure), key=lambda p: p.opening)
    quantum = (ends[-1].energy - ends[0].energy) / area if ends else None
    corrected = None if quantum is None else rescale_separation(curve, quantum)
    cap = case.law.stiffness_cap
    if corrected is None and not impure:
        extraction = interface.extraction
    else:
        body = LinearUniaxial(interface.material.uniaxial_modulus)
        extraction = extract_law(corrected or curve, body, length=curve.length, stiffness_cap=cap)
    return Separation(
        closed=closed,
        open=open_,
        area=area,
        curve=curve,
        corrected=corrected,
        extraction=extraction,
        work=(open_.energy - closed.energy) / area,
        quantum_work=quantum,
    )


def _checks(sides: list[Separation], points: list[QuantumPoint]) -> list[CurveCheck]:
    """Hold the corrected curves against the single points between their ends."""
    found = []
    for impure, side in enumerate(sides):
        if side.corrected is None:
            continue
        own = sorted((p for p in points if p.impure == bool(impure)), key=lambda p: p.opening)
        for point in own[1:-1]:
            found.append(
                CurveCheck(
                    impure=bool(impure),
                    opening=point.opening,
                    potential=(point.whole - own[0].whole) / side.area,
                    curve=float(side.extraction.fit.energy(point.opening)),
                    point=(point.energy - own[0].energy) / side.area,
                )
            )
    return found
