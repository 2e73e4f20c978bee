"""A run of the fracture study with invented numbers on a real mesh: Si(111)[1-10] shuffle, K-field around a tip that snakes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from atomistic.cauchy_born import LinearCauchyBorn
from atomistic.cleavage import CreatedSurfaces, Cut
from atomistic.elasticity import rotate_stiffness
from continuum.body import Body
from continuum.crack_bodies import Disc
from continuum.mesh import graded_mesh, node_sides, open_slit
from continuum.mesh.growth import Growth
from continuum.stroh import CrackField, crack_field
from coupling.crack.state import CrackState
from coupling.ledger import EnergyLedger, Term
from multiscale.config import FractureCase
from multiscale.run import RunDirectory
from multiscale.studies.fracture_state import CrackPicture, CrackReferences, FractureResult, PathPoint, Trapping

A = 5.431
ROW, HEIGHT, THICKNESS = A * np.sqrt(3 / 8), A / np.sqrt(3), A / np.sqrt(2)
BASIS = np.array([[ROW, 0.0], [ROW / 3, HEIGHT]])
#: Two atoms of a double layer, about their site, and how z rises from site to site.
OFFSETS = np.array([[-ROW / 6, -A / np.sqrt(3) / 8, 0.0], [ROW / 6, A / np.sqrt(3) / 8, THICKNESS / 2]])
ORIGIN = np.array([0.25 * ROW, HEIGHT / 2])
CORE, BLEND, PAD, RIM = 14.0, 9.0, 5.0, 300.0
GPA = 160.2176634
TWO_GAMMA = 2.72 / 16.02176634
#: Of the trapping, in K²: K± = K_G √(1 ± TRAP).
TRAP = 0.16


def case(**changes) -> FractureCase:
    return FractureCase(
        potential="sw-si",
        crystal={"element": "Si", "structure": "diamond"},
        crack={"plane": [1, 1, 1], "front": [1, -1, 0]},
        zone={"radius": "1.4 nm"},
        body={"shape": "disc", "radius": "30 nm"},
        **changes,
    )


def field() -> CrackField:
    c11, c12, c44 = np.array([151.4, 76.4, 56.4]) / GPA
    cubic = np.full((3, 3), c12) + (c11 - c12) * np.eye(3)
    stiffness = np.block([[cubic, np.zeros((3, 3))], [np.zeros((3, 3)), c44 * np.eye(3)]])
    y, z = np.array([1.0, 1.0, 1.0]) / np.sqrt(3), np.array([1.0, -1.0, 0.0]) / np.sqrt(2)
    return crack_field(rotate_stiffness(stiffness, np.array([np.cross(y, z), y, z])))


def references() -> CrackReferences:
    found = field()
    shuffle = Cut(name="shuffle", height=1.96, gap=2.352, broken_bonds=1, bond_density=0.0783, energy=1.06 * TWO_GAMMA)
    glide = Cut(name="glide", height=0.39, gap=0.784, broken_bonds=3, bond_density=0.235, energy=2.3 * TWO_GAMMA)
    return CrackReferences(
        cut=shuffle,
        cuts=(shuffle, glide),
        surfaces=CreatedSurfaces(rigid=1.06 * TWO_GAMMA, relaxed=TWO_GAMMA, calls=9, layers=24, convergence=1e-9),
        stiffness=found.stiffness,
        field=found,
        direction=np.array([0.0, 1.0, 0.0]),
        griffith=found.stress_intensity(TWO_GAMMA),
        peak=22.0 / GPA,
        cohesive_length=6.4,
        calls=21,
    )


def body(crack: CrackField) -> Body:
    mesh = graded_mesh(
        basis=BASIS,
        origin=ORIGIN,
        distance=lambda places: np.hypot(*places.T) - (CORE + BLEND + PAD),
        domain=Disc(radius=RIM).corners,
        growth=Growth(exponent=1.0),
        interface=0.0,
    )
    # Open as far as the tip goes: in the core no element has a weight.
    slit = open_slit(mesh, open=lambda x: x < 10.0)
    return Body(slit, material=LinearCauchyBorn(crack.stiffness), components=3, thickness=THICKNESS)


def picture(crack: CrackField) -> CrackPicture:
    elements = body(crack)
    i, j = np.stack(np.meshgrid(np.arange(-40, 41), np.arange(-20, 20), indexing="ij"), axis=-1).reshape(-1, 2).T
    sites = np.stack([i, j], axis=1) @ BASIS + ORIGIN
    radius = np.hypot(*sites.T)
    near = radius < CORE + BLEND + PAD
    sites, radius, rise = sites[near], radius[near], (THICKNESS / 2 * (i + j))[near] % THICKNESS
    places = np.column_stack([sites, rise])[:, None] + OFFSETS
    beta = np.clip((radius - CORE) / BLEND, 0.0, 1.0)
    role = np.digitize(radius, [CORE, CORE + BLEND])
    middle = elements.mesh.points[elements.cells].mean(axis=1)
    return CrackPicture(
        reference=places.reshape(-1, 3),
        symbols=("Si",) * (2 * len(sites)),
        beta=np.repeat(beta, 2),
        role=np.repeat(role, 2),
        site=np.repeat(np.arange(len(sites)), 2),
        thickness=THICKNESS,
        body=elements,
        node_beta=np.clip((np.hypot(*elements.mesh.points.T) - CORE) / BLEND, 0.0, 1.0),
        cell_weights=np.clip((np.hypot(*middle.T) - CORE) / BLEND, 0.0, 1.0),
        center=(0.0, 0.0),
        radius=CORE,
        width=BLEND,
    )


@dataclass(frozen=True, kw_only=True)
class Track:
    """A crack whose energy under a lattice is Π = ½cK² − (K²/E* − 2γ)Bx + V, V periodic: K² = K_G²(1 + TRAP sin 2πx/p)."""

    share: np.ndarray
    load: np.ndarray
    energy: np.ndarray
    conjugate: np.ndarray
    stable: np.ndarray


def track_of(known: CrackReferences, count: int = 90) -> Track:
    share = np.linspace(-0.2, 2.22, count)
    load = known.griffith * np.sqrt(1 + TRAP * np.sin(2 * np.pi * share))
    x, compliance = share * ROW, 4e4
    lattice = -TWO_GAMMA * TRAP * THICKNESS * ROW / (2 * np.pi) * np.cos(2 * np.pi * share)
    excess = load**2 / known.modulus - TWO_GAMMA
    energy = 0.5 * compliance * load**2 - excess * THICKNESS * x + lattice
    conjugate = compliance * load - 2 * load / known.modulus * THICKNESS * x
    return Track(
        share=share,
        load=load,
        energy=energy - energy[0],
        conjugate=conjugate,
        stable=np.cos(2 * np.pi * share) > 0,
    )


def points(known: CrackReferences, shown: CrackPicture, track: Track) -> list[PathPoint]:
    mesh = shown.body.mesh
    side = node_sides(mesh, shown.body.ends)
    atoms = np.sign(shown.reference[:, 1])
    found = []
    for index, (share, load) in enumerate(zip(track.share, track.load, strict=True)):
        k, tip = load * known.direction, (share * ROW, 0.0)
        ahead = np.where(side == 0, 1, side)
        u = known.field.displacement(shown.body.nodes, k, tip=tip, side=ahead)
        moved = known.field.displacement(shown.reference[:, :2], k, tip=tip, side=atoms)
        release = known.release(load)
        state = CrackState(
            load=load,
            u=np.concatenate([u, np.zeros((5, 3))]),
            positions=shown.reference + moved,
            conjugate=track.conjugate[index],
            work=track.energy[index],
            stable=bool(track.stable[index]),
            residual=3e-6,
            calls=12 + index % 7,
            seconds=0.3,
            terms={},
        )
        found.append(
            PathPoint(
                index=index,
                leg="follow",
                load=load,
                intensity=load,
                release=release,
                j=release * (1 + 0.003 * np.sin(index)),
                tip_bonds=np.round(share) * ROW,
                tip_field=share * ROW,
                field_scale=1.0,
                field_residual=0.01,
                broken=int(np.round(share)) + 12,
                advance=float(np.round(share)),
                emitted=0,
                emission="",
                recentred=False,
                energy_jump=float("nan"),
                picture=0,
                state=state,
            )
        )
    return found


def trapping(known: CrackReferences) -> Trapping:
    plus, minus = (known.griffith * np.sqrt(1 + sign * TRAP) for sign in (1, -1))
    load = np.linspace(minus, plus, 21)
    excess = (load / known.griffith) ** 2 - 1
    angle = np.arcsin(np.clip(excess / TRAP, -1, 1))
    # Of V − excess·2γBx between the minimum at angle/2π and the maximum half a period on, less the angle.
    scale = TWO_GAMMA * THICKNESS * ROW / (2 * np.pi)
    advance = scale * (2 * TRAP * np.cos(angle) - excess * (np.pi - 2 * angle))
    healing = scale * (2 * TRAP * np.cos(angle) + excess * (np.pi + 2 * angle))
    return Trapping(
        plus=(plus, 1.0001 * plus),
        minus=(minus, 1.0001 * minus),
        plus_error=(0.0, 0.0),
        minus_error=(0.0, 0.0),
        barrier=float(np.interp(known.griffith, load, advance)),
        barrier_load=known.griffith,
        barriers=np.column_stack([load, advance, healing]),
        barrier_from="work of the forces",
        shift_error=2.1e-4,
    )


def ledger(track: Track) -> EnergyLedger:
    """Two terms that hold the work but for an error of a ten-thousandth."""
    book = EnergyLedger(
        terms=[
            Term(name="atoms", domain="core and blend"),
            Term(name="bulk", domain="elements", note="(1 − β) counted"),
        ]
    )
    work = np.diff(track.energy, prepend=0.0)
    for index, (load, energy) in enumerate(zip(track.load, track.energy, strict=True)):
        atoms = 0.3 * energy - 0.4 * np.sin(2 * np.pi * track.share[index])
        book.record(
            load=load,
            work_increment=work[index],
            step_defect=1e-6 * np.cos(index) * abs(work).max(),
            atoms=atoms,
            bulk=energy * (1 + 1e-4) - atoms,
        )
    return book


def character() -> SimpleNamespace:
    """What the potential would have said."""
    distance = np.linspace(2.0, 12.0, 30)
    return SimpleNamespace(
        potential=SimpleNamespace(
            capabilities=SimpleNamespace(name="sw-si", precision="float64"),
            counter=SimpleNamespace(calls=1500, seconds=20.0),
        ),
        crystal=SimpleNamespace(
            a=A, structure="diamond", symbols=["Si"], stiffness=np.diag([151.4, 151.4, 151.4, 56.4, 56.4, 56.4]) / GPA
        ),
        match=SimpleNamespace(stiffness_mismatch=1e-5, atoms_strain=1e-9, continuum_strain=1e-9),
        material=None,
        interaction=SimpleNamespace(
            distances=distance, decay=10 * np.exp(-2 * distance), site_decay=None, cut_off_part=lambda reach: 1e-8
        ),
        force_range=7.5,
    )


def result(directory: Path) -> FractureResult:
    known = references()
    shown = picture(known.field)
    track = track_of(known)
    return FractureResult(
        directory=directory,
        character=character(),
        references=known,
        plan=None,
        pictures=[shown],
        points=points(known, shown, track),
        trapping=trapping(known),
        ledger=ledger(track),
        warnings=["invented numbers"],
    )


def kept(found: FractureResult) -> dict[str, PathPoint]:
    """The states that a run writes: first, at K₊, last."""
    loads = np.array([point.load for point in found.points])
    first = np.arange(len(loads)) < len(loads) // 2
    top = int(np.argmax(np.where(first, loads, 0.0)))
    return {"first": found.points[0], "plus": found.points[top], "last": found.points[-1]}


def make_run(path: Path, *, force: bool = False) -> RunDirectory:
    from multiscale.studies import fracture_fields, fracture_files, fracture_plane

    run = RunDirectory(path, case=case(), force=force)
    found = result(path)
    fracture_files.write_crystal(run, found.character)
    fracture_files.write_references(run, case(), found.references)
    fracture_files.write_path(run, found.references, found.points, grips=False)
    for name, point in kept(found).items():
        fracture_fields.write_state(run, found.pictures[0], point, name=name)
    states = kept(found)
    fracture_plane.write_plane(run, found.references, found.pictures[0], states["plus"])
    rings = [fracture_plane.rings_about(found.pictures[0], point, room=260.0) for point in states.values()]
    fracture_plane.write_rings(run, found.references, rings)
    fracture_files.write_results(run, case(), found)
    run.finish("finished", phases={"references": 3.0, "path": 40.0})
    return run
