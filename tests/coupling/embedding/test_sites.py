"""Quantum regions and interstitial atoms in a zone: nothing counted twice, forces that derive from the energy, refusals."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator

from atomistic.errors import EvaluationError
from atomistic.interstitials import find_interstitials
from atomistic.potentials import as_potential, load_potential
from atomistic.potentials.base import Evaluation
from atomistic.site_energies import AtomCluster
from coupling.embedding import Region, SubCell
from coupling.embedding.extra import ExtraAtoms, RestOptions
from coupling.embedding.sites import QUANTUM, TAKEN_OUT, EmbeddedSites, check_inside
from coupling.embedding.zone_region import ZoneRegion
from coupling.errors import EmbeddingError
from coupling.handshake import find_equilibrium, make_method
from coupling.handshake.equilibrium import HandshakeOptions
from multiscale.codec import decode, encode
from tests.coupling.cracked_crystals import aluminium
from tests.mpi import run_mpi

A = 4.05
HYDROGEN = {"name": "lammps", "pair_style": "eam/alloy", "files": ["NiAlH_jea.eam.alloy"], "elements": ["Al", "H"]}
RNG = np.random.default_rng(7)
CRYSTAL = aluminium(half=20.0)
SITES, PERIOD = CRYSTAL.reference, CRYSTAL.thickness
WEIGHTS = np.clip((17.0 - np.linalg.norm(SITES[:, :2], axis=1)) / 4.0, 0.0, 1.0)
MOVED = SITES + 0.03 * RNG.normal(size=SITES.shape)
CELL = SubCell(np.diag([A * 6**0.5 / 2, 6 * A / 3**0.5, PERIOD]), periodic=(True, False, True))


class Tethered(Calculator):
    """The same potential, and a spring between the hydrogen atom, first in C, and its neighbour: known chemistry."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012
    stiffness = 1.3

    def __init__(self) -> None:
        super().__init__()
        self.under, self.partner = potential(), -1

    def stretch(self, atoms):
        if self.partner < 0:
            self.partner = 1 + int(np.linalg.norm(atoms.positions[1:] - atoms.positions[0], axis=1).argmin())
        return atoms.positions[0] - atoms.positions[self.partner]

    def calculate(self, atoms=None, properties=("energy",), system_changes=("positions",)):
        super().calculate(atoms, properties, system_changes)
        found: Evaluation = self.under.evaluate(atoms.copy(), stress=False)
        forces, stretch = found.forces.copy(), self.stretch(self.atoms)
        forces[0] -= self.stiffness * stretch
        forces[self.partner] += self.stiffness * stretch
        energy = found.energy + 0.5 * self.stiffness * float(stretch @ stretch)
        self.results = {"energy": energy, "forces": forces}


@cache
def potential():
    return load_potential(HYDROGEN)


@cache
def hole() -> tuple[float, ...]:
    atoms = Atoms("Al" * len(SITES), positions=SITES, cell=[80.0, 80.0, PERIOD], pbc=[False, False, True])
    return tuple(find_interstitials(atoms, near=[0.0, 0.0, 0.0], kind="octahedral", within=6.0)[0].position)


def zone() -> Atoms:
    symbols = ["Al"] * len(SITES) + ["H"]
    places = np.vstack([SITES, hole()])
    return Atoms(symbols, positions=places, cell=[80.0, 80.0, PERIOD], pbc=[False, False, True])


def region_of(qm, *, cell=CELL, repeat=1, mixing=False) -> ZoneRegion:
    mask = np.arange(len(SITES) + 1) == len(SITES)
    region = Region(core=[0], cell=cell)
    return ZoneRegion(zone(), region, qm=qm, ml=potential(), core=mask, repeat=repeat, mixing=mixing)


def hydrogen(*, surrogate=True, **options) -> ExtraAtoms:
    rows = np.flatnonzero(np.linalg.norm((SITES - hole())[:, :2], axis=1) < 12.0)
    local = AtomCluster(potential(), symbols=["Al"] * len(rows) + ["H"], thickness=PERIOD)

    def gradient(y, x):
        return local.energy_and_gradient(np.vstack([y[rows], x]))[1][len(rows) :]

    return ExtraAtoms(
        start=np.array([hole()]),
        near=np.argsort(np.linalg.norm(SITES - hole(), axis=1))[:12],
        reference=SITES,
        surrogate=gradient if surrogate else None,
        options=RestOptions(**{"tolerance": 1e-9, **options}),
    )


def sites(*regions, **options) -> EmbeddedSites:
    return EmbeddedSites(
        AtomCluster(potential(), symbols=list(zone().symbols), thickness=PERIOD),
        regions=regions,
        extra=hydrogen(**options),
    )


def test_without_anything_it_is_the_wrapped_object():
    base = AtomCluster(potential(), symbols="Al", thickness=PERIOD)
    plain, wrapped = base.energy_and_gradient(MOVED, WEIGHTS), EmbeddedSites(base).energy_and_gradient(MOVED, WEIGHTS)
    assert plain[0] == wrapped[0]
    np.testing.assert_array_equal(plain[1], wrapped[1])


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("mixing", [False, True])
def test_an_engine_that_is_the_potential_changes_nothing(weights, mixing):
    if mixing and weights is not None:
        pytest.skip("mixed forces take no weights")
    plain = sites().energy_and_gradient(MOVED, weights)
    found = sites(region_of(potential(), mixing=mixing)).energy_and_gradient(MOVED, weights)
    assert found[0] == plain[0]
    np.testing.assert_array_equal(found[1], plain[1])


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_known_chemistry_is_counted_once_whatever_the_weights(weights):
    engine = Tethered()
    region = region_of(as_potential(engine))
    embedded = sites(region)
    answer = embedded.answer(MOVED, weights)
    places = np.vstack([MOVED, answer.extra])
    neighbour = int(region.cluster.indices[engine.partner])
    base, gradient = embedded.base.energy_and_gradient(places, None if weights is None else np.append(weights, 1.0))
    stretch = engine.stretch(region.structure(places))
    assert answer.energy - base == pytest.approx(0.5 * Tethered.stiffness * stretch @ stretch, abs=1e-9)
    gradient[neighbour] -= Tethered.stiffness * stretch
    np.testing.assert_allclose(answer.gradient, gradient[: len(SITES)], atol=1e-9)
    # The hydrogen atom is in balance with the spring, and no longer without it.
    np.testing.assert_allclose(gradient[-1], -Tethered.stiffness * stretch, atol=1e-8)
    assert np.linalg.norm(stretch) > 0.5


@pytest.mark.parametrize("surrogate", [True, False])
@pytest.mark.parametrize("engine", [None, "emt"])
def test_the_gradient_is_that_of_the_energy_with_the_interstitial_at_rest(surrogate, engine):
    regions = [] if engine is None else [region_of(load_potential(engine))]
    embedded = sites(*regions, surrogate=surrogate)
    _, gradient = embedded.energy_and_gradient(MOVED, WEIGHTS)
    direction, step = RNG.normal(size=SITES.shape), 2e-5
    ahead, behind = (embedded.energy_and_gradient(MOVED + s * direction, WEIGHTS)[0] for s in (step, -step))
    assert (ahead - behind) / (2.0 * step) == pytest.approx(float(np.sum(gradient * direction)), rel=1e-6)


def test_moving_everything_moves_the_interstitial_along():
    embedded, shift = sites(region_of(load_potential("emt"))), np.array([0.3, -0.2, 0.1])
    first, second = embedded.answer(MOVED), embedded.answer(MOVED + shift)
    assert second.energy == pytest.approx(first.energy, abs=1e-8)
    np.testing.assert_allclose(second.extra, first.extra + shift, atol=1e-7)
    np.testing.assert_allclose(first.gradient.sum(axis=0), 0.0, atol=1e-8)


def test_the_answer_is_a_function_of_the_sites_and_not_of_the_way():
    straight, wandering = sites(), sites()
    for amplitude in (0.2, 0.4, 0.1):
        wandering.answer(SITES + amplitude * np.sin(SITES[:, ::-1]))
    first, second = straight.answer(MOVED, WEIGHTS), wandering.answer(MOVED, WEIGHTS)
    assert second.energy == pytest.approx(first.energy, abs=1e-10)
    np.testing.assert_allclose(second.gradient, first.gradient, atol=1e-8)


def test_a_state_can_be_taken_and_put_back():
    embedded = sites()
    embedded.answer(MOVED)
    state = embedded.snapshot()
    first = embedded.answer(MOVED + 0.01)
    for stretch in (1.01, 1.03):
        embedded.answer(stretch * MOVED)
    embedded.restore(state)
    second = embedded.answer(MOVED + 0.01)
    assert second.energy == first.energy
    np.testing.assert_array_equal(second.gradient, first.gradient)


def test_objects_made_anew_go_on_as_if_they_had_been_there():
    """State in the middle of a way: the same answers to the last bit, and the same evaluations counted."""
    one, other = sites(region_of(potential())), sites(region_of(potential()))
    rng, way = np.random.default_rng(3), [MOVED]
    for _ in range(6):
        way.append(way[-1] + 0.02 * rng.standard_normal(way[-1].shape))
    for places in way[:4]:
        one.answer(places)
    other.go_on(decode(encode(one.state())))
    # The last place is known in both: no evaluation.
    for places in way[3:]:
        found, wanted = other.answer(places), one.answer(places)
        assert found.energy == wanted.energy
        assert np.array_equal(found.gradient, wanted.gradient)
        assert np.array_equal(found.extra, wanted.extra)
    for name in ("searches", "rounds", "local_calls"):
        assert getattr(other.extra, name) == getattr(one.extra, name)
    assert other.counter.calls == one.counter.calls


def test_asking_again_costs_nothing_and_a_step_one_evaluation():
    embedded = sites()
    embedded.answer(MOVED)
    calls = embedded.counter.calls
    embedded.energy_and_gradient(MOVED)
    embedded.terms(MOVED)
    assert embedded.counter.calls == calls
    embedded.energy_and_gradient(MOVED + 0.01 * RNG.normal(size=SITES.shape))
    assert embedded.counter.calls == calls + 1


def test_a_saddle_is_left():
    """Between two halves pulled apart the middle is a balance, not a rest."""
    apart = SITES + np.where(SITES[:, 1:2] > 0.0, 1.0, -1.0) * np.array([0.0, 1.2, 0.0])
    found = sites(tolerance=1e-6).answer(apart)
    assert abs(found.extra[0, 1] - hole()[1]) > 0.3
    assert found.gradient[np.abs(SITES[:, 1]).argmin()].any()


def test_no_rest_is_told():
    with pytest.raises(EvaluationError, match=r"came to no rest: .* after 1 evaluations"):
        sites(surrogate=False, max_rounds=1).answer(MOVED)


def test_several_periods_of_c_count_for_one():
    two = SubCell(np.diag([A * 6**0.5 / 2, 6 * A / 3**0.5, 2.0 * PERIOD]), periodic=(True, False, True))
    engine = load_potential("emt")
    one, other = sites(region_of(engine)), sites(region_of(engine, cell=two, repeat=2))
    first, second = one.answer(MOVED, WEIGHTS), other.answer(MOVED, WEIGHTS)
    assert len(other.regions[0]) == 2 * len(one.regions[0])
    assert second.energy == pytest.approx(first.energy, abs=1e-8)
    np.testing.assert_allclose(second.gradient, first.gradient, atol=1e-7)


def test_the_ledgers_terms_and_the_remainder():
    embedded = sites(region_of(load_potential("emt")))
    answer, terms = embedded.answer(MOVED, WEIGHTS), embedded.terms(MOVED, WEIGHTS)
    places = embedded.all_places(MOVED)
    base, _ = embedded.base.energy_and_gradient(places, np.append(WEIGHTS, 1.0))
    assert list(terms) == [QUANTUM, TAKEN_OUT]
    assert base + sum(terms.values()) == pytest.approx(answer.energy, abs=1e-10)
    region = embedded.regions[0]
    rest = region.remainder(places)
    whole, cut = embedded.base.site_energies(places), potential().evaluate(region.structure(places)).energy
    assert rest.total == pytest.approx(whole[region.rows].sum() - cut, abs=1e-9)
    # Of the sites' energies the extra atom's is entered beside it.
    assert embedded.site_energies(MOVED).sum() == pytest.approx(whole.sum(), abs=1e-9)


def test_half_of_the_zone_alone():
    region, upper = region_of(potential()), np.flatnonzero(SITES[:, 1] > 0.0)
    half = sites(region).restricted(AtomCluster(potential(), symbols="Al", thickness=PERIOD), upper)
    plain = AtomCluster(potential(), symbols="Al", thickness=PERIOD).energy_and_gradient(MOVED[upper])
    found = half.energy_and_gradient(MOVED[upper])
    assert found[0] == plain[0]
    np.testing.assert_array_equal(found[1], plain[1])
    np.testing.assert_array_equal(upper[half.regions[0].rows], [row for row in region.rows if row in upper])
    whole = region.evaluate(np.vstack([MOVED, hole()])).ml
    assert half.regions[0].evaluate(MOVED[upper]).ml > whole


def test_the_tangent_is_exact_without_a_quantum_region():
    embedded, direction, step = sites(), RNG.normal(size=SITES.shape), 1e-5
    tangent = embedded.hessian(MOVED, WEIGHTS) @ direction.ravel()
    ahead, behind = (embedded.energy_and_gradient(MOVED + s * direction, WEIGHTS)[1] for s in (step, -step))
    np.testing.assert_allclose(((ahead - behind) / (2.0 * step)).ravel(), tangent, atol=2e-4)
    assert not hasattr(EmbeddedSites(AtomCluster(load_potential("emt"), symbols="Al", thickness=PERIOD)), "hessian")


def test_what_does_not_lie_in_the_core_is_refused():
    region = region_of(potential())
    deepest = float(np.linalg.norm(SITES[region.rows[:-1], :2], axis=1).max())

    def check(radius, extra=(), reach=0.0):
        check_inside(
            [region],
            weights=(np.linalg.norm(SITES[:, :2], axis=1) <= radius).astype(float),
            places=SITES[:, :2],
            depth=lambda places: np.linalg.norm(places, axis=1) - radius,
            extra=np.reshape(extra, (-1, 2)),
            reach=reach,
        )

    check(deepest + 0.1)
    with pytest.raises(EmbeddingError, match=r"lie in the blend or the pad, up to 2\.00 Å .* Enlarge .* by 2\.01 Å"):
        check(deepest - 2.0)
    with pytest.raises(EmbeddingError, match=r"interstitial .* Enlarge the core of the zone by"):
        check(deepest + 0.1, extra=np.array([[deepest - 1.0, 0.0]]), reach=5.0)


def test_regions_that_do_not_repeat_with_the_body_are_refused():
    with pytest.raises(EmbeddingError, match=r"repeats along its front every 2\.86.* periodic quantum cell"):
        region_of(potential(), cell=None)
    wrong = SubCell(np.diag([A * 6**0.5 / 2, 6 * A / 3**0.5, 2.0 * PERIOD]), periodic=(True, False, True))
    with pytest.raises(EmbeddingError, match=r"give the cell the body's own period"):
        region_of(potential(), cell=wrong)
    with pytest.raises(EmbeddingError, match="share a name"):
        EmbeddedSites(AtomCluster(potential(), symbols="Al"), regions=[region_of(potential()), region_of(potential())])


def embedded_body(method: str, *, embedded: bool):
    """A vacancy in aluminium in finite elements; with a quantum region that is the same potential."""
    from tests.coupling.handshake.bodies import plane

    model = plane(core=12.0, width=8.0, size=45.0, absent=lambda places: np.linalg.norm(places, axis=1) < 0.5)
    if embedded:
        places = model.places(np.zeros(model.shape))
        base = model.atoms
        lattice = model.partition.lattice
        along = 4.0 * np.linalg.norm(lattice.row @ lattice.basis)
        cell = SubCell(np.diag([along, 4.0 * lattice.row_spacing, lattice.thickness]), periodic=(True, False, True))
        core = np.linalg.norm(places[:, :2], axis=1) < 3.2
        engine = load_potential("eam-al")
        region = ZoneRegion(
            base.structure(places), Region(core=[0], cell=cell), qm=engine, ml=base.potential, core=core
        )
        made = EmbeddedSites(base.of(["Al"] * len(places)), regions=[region])
        assert len(region.rows) > 6
        model = replace(model, make_atoms=lambda indices: made, make_perfect=model.make_atoms)
    return make_method(method, model)


@pytest.mark.parametrize("method", ["bgfc", "bqcf", "schwarz"])
def test_the_solved_state_is_the_plain_one(method):
    options = HandshakeOptions(tolerance=1e-8)
    plain = find_equilibrium(embedded_body(method, embedded=False), options=options)
    found = find_equilibrium(embedded_body(method, embedded=True), options=options)
    np.testing.assert_allclose(found.u, plain.u, atol=1e-12)
    assert np.abs(plain.u).max() > 1e-2
    if plain.balance.energy is not None:
        assert found.balance.energy == pytest.approx(plain.balance.energy, abs=1e-9)
        assert QUANTUM in found.balance.terms
        assert sum(found.balance.terms.values()) == pytest.approx(found.balance.energy, abs=1e-9)


PARALLEL = """
import numpy as np
from mpi4py import MPI
from atomistic.site_energies import AtomCluster
from atomistic.potentials import load_potential
from coupling.embedding import Region
from coupling.embedding.sites import EmbeddedSites
from coupling.embedding.zone_region import ZoneRegion
from tests.coupling.embedding.test_sites import CELL, HYDROGEN, MOVED, PERIOD, SITES, WEIGHTS, hydrogen, zone

comm = MPI.COMM_WORLD
ml, qm = load_potential(HYDROGEN), load_potential("emt")
mask = np.arange(len(SITES) + 1) == len(SITES)
region = ZoneRegion(zone(), Region(core=[0], cell=CELL), qm=qm, ml=ml, core=mask, comm=comm)
base = AtomCluster(ml, symbols=list(zone().symbols), thickness=PERIOD, comm=comm)
found = EmbeddedSites(base, regions=[region], extra=hydrogen()).answer(MOVED, WEIGHTS)
bits = comm.allgather((found.energy.hex(), found.gradient.tobytes(), found.extra.tobytes()))
assert len(set(bits)) == 1
import hashlib
if comm.rank == 0:
    print(hashlib.sha256(repr(bits[0]).encode()).hexdigest())
"""


def test_the_same_bits_on_any_number_of_ranks():
    assert run_mpi(1, PARALLEL).stdout == run_mpi(2, PARALLEL).stdout
