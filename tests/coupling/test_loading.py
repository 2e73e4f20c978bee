"""Interfaces of atoms and law under load: the whole's work of separation, ghost tractions, cracks, the account of work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from mpi4py import MPI

from atomistic.builders import gap_spacing
from atomistic.cauchy_born import CauchyBorn, cauchy_born
from atomistic.crystal import relax_crystal
from atomistic.decohesion import default_openings, stack_separation
from atomistic.lattice import Lattice, plane_lattice
from atomistic.orientation import orient
from atomistic.potentials import Potential, load_potential
from atomistic.site_energies import AtomCluster
from continuum.laws import CohesiveLaw
from continuum.mesh.growth import Growth
from coupling.cohesive import CohesiveExtraction, extract_law
from coupling.errors import HandshakeConvergenceError, MethodError, PartitionError
from coupling.handshake import CoupledModel, HandshakeOptions, couple, make_method
from coupling.handshake.descent import descend
from coupling.handshake.loading import LoadPath, LoadStep, with_crack
from coupling.handshake.profile import interface_profile
from coupling.stacks import GapCurve, reduce_to_gap
from coupling.zones import Box, Zone
from multiscale.studies.interface import crystal_elasticity

PLANE = (1, 1, 1)
LENGTH, HEIGHT = 160.0, 70.0
TIGHT = HandshakeOptions(tolerance=2e-5, max_iterations=80)


@dataclass(frozen=True, kw_only=True, eq=False)
class Crystal:
    """A potential's crystal with the law of its interface."""

    potential: Potential
    symbol: str
    lattice: Lattice
    material: CauchyBorn
    extraction: CohesiveExtraction
    law: CohesiveLaw


@cache
def crystal(name: str) -> Crystal:
    """Copper (smooth to the last digit) or aluminium (whose energy jumps at its cutoff)."""
    symbol = {"eam-cu": "Cu", "eam-al": "Al"}[name]
    potential = load_potential(name)
    found = relax_crystal(potential, symbols=symbol, structure="fcc")
    axes = orient(found, plane=PLANE)
    own = crystal_elasticity(potential, found, plane=PLANE, comm=MPI.COMM_SELF)
    stack = stack_separation(
        potential, found, plane=PLANE, openings=default_openings(to=8.0, points=32), n_planes=10, comm=MPI.COMM_SELF
    )
    opening, energy, traction = reduce_to_gap(stack, own, spacing=stack.spacing)
    curve = GapCurve(opening=opening, energy=energy, traction=traction)
    extraction = extract_law(curve, own, length=stack.spacing)
    return Crystal(
        potential=potential,
        symbol=symbol,
        lattice=plane_lattice(found, axes, origin=(0.0, 0.5 * gap_spacing(found, plane=PLANE))),
        material=cauchy_born(potential, found, axes),
        extraction=extraction,
        law=extraction.law(unloading="damaging"),
    )


def block(
    name: str = "eam-cu",
    *,
    half: float = 8.0,
    width: float = 12.0,
    at: float = 0.0,
    pad: float = 9.0,
    potential: Potential | None = None,
) -> CoupledModel:
    """A block about the origin, atoms in a square patch of its interface, top and bottom held."""
    of = crystal(name) if potential is None else replace(crystal(name), potential=potential)
    corner = 0.5 * np.array([LENGTH, HEIGHT])
    zone: Zone = Box(lower=(at - half, -half), upper=(at + half, half))

    def held(nodes):
        outer = np.abs(np.abs(nodes[:, 1]) - corner[1]) < 1e-6
        ends = np.abs(np.abs(nodes[:, 0]) - corner[0]) < 1e-6
        return np.stack([ends | outer, outer, outer], axis=1)

    return couple(
        lattice=of.lattice,
        make_atoms=lambda indices: AtomCluster(of.potential, symbols=of.symbol, thickness=of.lattice.thickness),
        material=of.material,
        zone=zone,
        domain=np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * corner,
        width=width,
        pad=pad,
        interaction=5.0,
        growth=Growth(radius=16.0),
        interface=0.0,
        law=of.law,
        held=held,
    )


def sides(model: CoupledModel) -> np.ndarray:
    """(nodes,) one half above the interface, minus one half below."""
    body, up = model.body, np.zeros(len(model.body.nodes), dtype=bool)
    up[body.cells[body.nodes[body.cells].mean(axis=1)[:, 1] > 0.0].ravel()] = True
    return np.where(up, 0.5, -0.5)


def path(model: CoupledModel, method: str, **options: object) -> LoadPath:
    direction = np.zeros(model.shape)
    direction[:, 1] = np.where(model.held[:, 1], sides(model), 0.0)
    parted = np.zeros(model.shape)
    parted[:, 1] = sides(model)
    settings = {"options": TIGHT, "apart": lambda load: load * parted} | options
    return LoadPath(make_method(method, model), direction=direction, **settings)


def area(model: CoupledModel) -> float:
    return LENGTH * model.body.thickness


def work_of_the_whole(steps: list[LoadStep], model: CoupledModel) -> float:
    return (sum(steps[-1].energies.values()) - sum(steps[0].energies.values())) / area(model)


@pytest.mark.parametrize("name", ["eam-cu", "eam-al"])
@pytest.mark.parametrize("method", ["bgfc", "bqcf"])
def test_the_work_of_separation_does_not_depend_on_where_the_handshake_lies(name, method):
    """Moved by a third of the block, thrice as large, blended over twice the width: 1e-3, and that of the law alone."""
    works = []
    for at, half, width in [(0.0, 5.0, 8.0), (40.0, 5.0, 8.0), (0.0, 14.0, 8.0), (0.0, 5.0, 14.0)]:
        model = block(name, at=at, half=half, width=width, pad=7.0)
        works.append(work_of_the_whole(path(model, method, max_cutbacks=0).follow([24.0]), model))
    law = crystal(name).extraction.work
    assert np.ptp(works) <= 1e-3 * law
    assert np.array(works) == pytest.approx(law, rel=1e-3)


def test_a_law_that_keeps_its_weight_in_the_core_counts_twice():
    """The deliberate break: facets whole where atoms are."""
    model = block()
    wrong = replace(
        model, partition=replace(model.partition, facet_weights=np.ones_like(model.partition.facet_weights))
    )
    work = work_of_the_whole(path(wrong, "bqcf", max_cutbacks=0).follow([24.0]), wrong)
    assert work > 1.05 * crystal("eam-cu").extraction.work


@pytest.mark.parametrize(("method", "bound"), [("bgfc", 0.01), ("bqcf", 0.01)])
@pytest.mark.parametrize("name", ["eam-cu", "eam-al"])
def test_ghost_traction_under_uniform_pulling(name, method, bound):
    """At three quarters of the peak no site's traction differs from the mean by more than 1% of the peak."""
    model = block(name, half=10.0, width=14.0, pad=7.0)
    followed = path(model, method)
    peak = crystal(name).extraction.peak_traction
    steps = followed.follow(np.linspace(0.0, {"eam-cu": 5.5, "eam-al": 5.0}[name], 6)[1:])
    step = steps[-1]
    mean = step.reaction / area(model)
    assert 0.55 * peak < mean < 0.9 * peak
    profile = interface_profile(followed.model, step.u)
    ghost = np.nanmax(np.abs(profile.traction[:, 0] - mean)) / peak
    assert ghost <= bound
    assert profile.jump <= 1.5 * bound * peak
    # Atoms alone in the core carry what the block is pulled with.
    assert profile.traction[profile.weight == 1.0, 0] == pytest.approx(mean, rel=0.01)


@pytest.mark.parametrize("method", ["bgfc", "bqcf", "schwarz"])
def test_the_account_of_work(method):
    """Nodal forces of the parts do the supports' work; with an energy its change is that work, to the rule's second order."""
    model = block()
    defects = {}
    for count in (6, 12):
        steps = path(model, method).follow(np.linspace(0.0, 5.0, count + 1)[1:])
        work = sum(step.work for step in steps)
        changed = sum(steps[-1].energies.values()) - sum(steps[0].energies.values())
        defects[count] = abs(changed - work) / work
        if method != "schwarz":
            assert max(abs(step.defect) for step in steps) <= 2e-6 * work
            assert set(steps[-1].part_works) >= {"atoms", "bulk", "interface"}
    assert defects[12] <= 2e-3
    if method == "bgfc":
        assert defects[12] == pytest.approx(defects[6] / 4.0, rel=0.15)


def test_the_step_identity_sees_a_lost_part():
    """The deliberate break: a part whose forces are left out of the residual's account."""
    model = block()
    followed = path(model, "bgfc")
    evaluate = type(followed.method).evaluate

    def forgetful(self, u):
        balance = evaluate(self, u)
        return replace(balance, parts=balance.parts | {"interface": 0.99 * balance.parts["interface"]})

    steps = path(model, "bgfc").follow([1.0, 2.0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(followed.method), "evaluate", forgetful)
        broken = followed.follow([1.0, 2.0])
    assert abs(steps[-1].defect) < 1e-5 * steps[-1].work
    # The law's own work is small beside that of the stretched bulk.
    assert abs(broken[-1].defect) > 1e-5 * broken[-1].work


def test_a_path_that_breaks_off_goes_on_with_the_halves_apart():
    model = block()
    steps = path(model, "bqcf", options=HandshakeOptions(tolerance=1e-4, max_iterations=25), max_cutbacks=0).follow(
        [4.0, 20.0, 22.0]
    )
    assert [step.jumped for step in steps] == [False, False, True, False]
    assert abs(steps[-1].reaction) / area(model) < 1e-4 * crystal("eam-cu").extraction.peak_traction
    assert work_of_the_whole(steps, model) == pytest.approx(crystal("eam-cu").extraction.work, rel=1e-3)


def test_without_an_equilibrium_the_last_state_is_kept():
    model = block()
    followed = path(
        model, "bqcf", options=HandshakeOptions(tolerance=1e-10, max_iterations=2), apart=None, max_cutbacks=1
    )
    with pytest.raises(HandshakeConvergenceError, match=r"no equilibrium at load .* after 1 halvings") as caught:
        followed.follow([3.0])
    assert caught.value.solution.u.shape == model.shape


def beam(*, crack: float = 60.0, at: float = 88.0) -> CoupledModel:
    """A beam clamped at its right end, cracked from the left, atoms ahead of the crack."""
    of = crystal("eam-cu")
    length, arm = 220.0, 40.0

    def held(nodes):
        left, right = nodes[:, 0] < 1e-6, nodes[:, 0] > length - 1e-6
        return np.stack([right, left | right, left | right], axis=1)

    model = couple(
        lattice=replace(of.lattice, origin=np.array([at, of.lattice.origin[1]])),
        make_atoms=lambda indices: AtomCluster(of.potential, symbols=of.symbol, thickness=of.lattice.thickness),
        material=of.material,
        zone=Box(lower=(at - 8.0, -8.0), upper=(at + 8.0, 8.0)),
        domain=np.array([[0, -arm], [length, -arm], [length, arm], [0, arm]]),
        width=8.0,
        pad=8.0,
        interaction=5.0,
        growth=Growth(radius=40.0),
        interface=0.0,
        law=of.law,
        held=held,
    )
    return with_crack(model, before=crack)


def grips(model: CoupledModel) -> np.ndarray:
    direction = np.zeros(model.shape)
    direction[:, 1] = np.where(model.held[:, 1] & (model.body.nodes[:, 0] < 1e-6), sides(model), 0.0)
    return direction


@pytest.mark.parametrize("method", ["bgfc", "bqcf"])
def test_a_cracked_beam(method):
    model = beam()
    interface = model.body.interface
    cracked = model.whole_facets == 0.0
    tip = (interface.midpoints[:, 0] + 0.5 * interface.lengths)[cracked].max()
    assert abs(tip - 60.0) < 6.0
    assert (model.partition.facet_weights[cracked] == 0.0).all()
    followed = LoadPath(make_method(method, model), direction=grips(model), options=TIGHT)
    steps = followed.follow([3.0, 6.0, 9.0])
    openings = interface.openings(steps[-1].u)[:, 0]
    x = interface.places[:, 0]
    assert openings[x < 20.0].min() > 4.0
    assert np.abs(openings[x > 150.0]).max() < 0.05
    # Free faces carry nothing; ahead of the tip the law and the atoms pull.
    work = sum(step.work for step in steps)
    assert max(abs(step.defect) for step in steps) < 3e-5 * work
    changed = sum(steps[-1].energies.values()) - sum(steps[0].energies.values())
    assert changed == pytest.approx(work, rel=5e-3)
    profile = interface_profile(followed.model, steps[-1].u)
    assert profile.gap[0, 0] > profile.gap[len(profile.gap) // 2, 0]
    traction, peak = profile.traction[:, 0], crystal("eam-cu").extraction.peak_traction
    bends = np.abs(traction[1:-1] - 0.5 * (traction[:-2] + traction[2:]))[profile.handshake[1:-1]]
    assert bends.max() < 0.01 * peak


def test_a_zone_over_the_crack_is_refused():
    with pytest.raises(PartitionError, match=r"begin at x = .* and the initial crack ends at .*: move the zone ahead"):
        beam(crack=80.0)


def test_a_crack_needs_an_interface():
    model = block()
    without = replace(model, body=model.body)
    without.body.interface, kept = None, without.body.interface
    try:
        with pytest.raises(PartitionError, match="without an interface"):
            with_crack(without, before=0.0)
    finally:
        model.body.interface = kept


def test_the_law_remembers():
    """Opened past the peak of a damaging law and closed again, the interface gives less than before."""
    model = beam()
    followed = LoadPath(make_method("bqcf", model), direction=grips(model), options=TIGHT)
    up = followed.follow([8.0, 16.0, 24.0])
    down = followed.follow([16.0, 8.0])
    assert model.history is None
    intact = model.whole_facets[model.body.interface.facet_of_point] > 0.0
    assert 0.1 < followed.model.history[intact].max() < 10.0
    assert down[-1].load == up[1].load
    assert down[-1].reaction < 0.998 * up[1].reaction
    assert sum(step.work for step in [*up, *down]) > sum(step.work for step in up[:2])


def test_falling_finds_the_equilibrium_of_the_path():
    model = beam()
    method = make_method("bgfc", model)
    step = LoadPath(method, direction=grips(model), options=TIGHT).follow([3.0])[-1]
    start = np.where(model.held, step.u, 0.7 * step.u)
    fallen = descend(method, start=start, options=TIGHT)
    assert fallen.u == pytest.approx(step.u, abs=2e-3)
    assert fallen.balance.energy == pytest.approx(step.balance.energy, abs=1e-6)


def test_directions_that_do_not_fit_are_refused():
    model = block()
    method = make_method("bqcf", model)
    with pytest.raises(MethodError, match="direction of shape"):
        LoadPath(method, direction=np.zeros(3))
    with pytest.raises(MethodError, match="moves nodes that are not held"):
        LoadPath(method, direction=np.ones(model.shape))
    with pytest.raises(MethodError, match="zero everywhere"):
        LoadPath(method, direction=np.zeros(model.shape))
    with pytest.raises(MethodError, match="two fields"):
        descend(make_method("schwarz", model), start=np.zeros((2 * model.shape[0], 3)))
