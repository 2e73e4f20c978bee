"""Coupled cracks: what must vanish, mirror, close or agree, and the path of one through a fold."""

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from atomistic.cauchy_born import cauchy_born
from atomistic.cleavage import created_surfaces, find_cuts
from atomistic.column_interaction import measure_columns
from atomistic.columns import Columns, crack_columns
from atomistic.crystal import orient, relax_crystal
from atomistic.inner_shifts import InnerShifts, inner_shifts
from atomistic.potentials import Potential, load_potential
from atomistic.site_energies import AtomCluster
from continuum.crack_bodies import Disc, ThinStrip
from continuum.j_integral import JIntegral
from continuum.stroh import CrackField, crack_field
from coupling.crack import (
    CrackForces,
    CrackModel,
    CrackSolver,
    CrackTangent,
    FollowOptions,
    HarmonicTangent,
    couple_crack,
    follow,
    grip_load,
    intensity_load,
)
from coupling.crack.build import with_inner
from coupling.crack.tip import shifted_difference
from coupling.errors import HandshakeConvergenceError, MethodError, PartitionError
from multiscale.units import EV_PER_A25_IN_MPA_SQRT_M

ZONES = {"eam-fe": (8.0, 6.0, 11.0), "sw-si-brittle": (9.0, 6.0, 8.0)}  # core, blend, pad, Å
RANGE = {"eam-fe": 11.0, "sw-si-brittle": 7.6}  # of the forces: twice the cutoff
OPENING = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Crystal:
    """A crystal, its cleavage plane at y = 0, and Griffith's K, eV/Å^2.5."""

    potential: Potential
    columns: Columns
    shifts: InnerShifts
    material: object
    field: CrackField
    griffith: float

    def clusters(self, indices):
        symbols = self.columns.chemical_symbols(len(indices))
        return AtomCluster(self.potential, symbols=symbols, thickness=self.columns.lattice.thickness)

    def couple(self, outer, zone, **options) -> CrackModel:
        radius, width, pad = zone
        return couple_crack(
            columns=self.columns,
            shifts=self.shifts,
            make_atoms=self.clusters,
            material=self.material,
            outer=outer,
            radius=radius,
            width=width,
            pad=pad,
            **options,
        )


@cache
def crystal(name, periods=1) -> Crystal:
    """Iron cleaves on (110) with the front along [1-10], which has a mirror; silicon on (111), two atoms to a site."""
    symbol, structure, plane = ("Fe", "bcc", (1, 1, 0)) if name == "eam-fe" else ("Si", "diamond", (1, 1, 1))
    potential = load_potential(name)
    relaxed = relax_crystal(potential, symbols=symbol, structure=structure)
    orientation = orient(relaxed, plane=plane, front=(1, -1, 0))
    cut = find_cuts(relaxed, orientation)[0]
    columns = crack_columns(relaxed, orientation, cut=cut, periods=periods)
    field = crack_field(orientation.stiffness)
    return Crystal(
        potential=potential,
        columns=columns,
        shifts=inner_shifts(potential, relaxed, orientation, columns),
        material=cauchy_born(potential, relaxed, orientation, largest_strain=0.05),
        field=field,
        griffith=field.stress_intensity(created_surfaces(potential, relaxed, orientation, cut).relaxed),
    )


@cache
def cracked(name, periods=1) -> CrackForces:
    return CrackForces(crystal(name, periods).couple(Disc(radius=400.0), ZONES[name]))


def solver(name, method, unit, tolerance=1e-8, **options) -> CrackSolver:
    model, potential = method.model, crystal(name).potential
    return CrackSolver(
        method,
        unit,
        FollowOptions(tolerance=tolerance, **options),
        tangent=CrackTangent(method, reach=RANGE[name]),
        springs=HarmonicTangent(method, measure_columns(potential, model.columns)),
    )


@cache
def loaded(name, mode=(0.0, 1.0, 0.0)):
    """A stable crack below K_G."""
    method = cracked(name)
    unit = intensity_load(method.model, crystal(name).field, np.array(mode))
    return solver(name, method, unit).at_load(0.9 * crystal(name).griffith)


class Whole(Disc):
    """A disc that is not cracked."""

    def is_open(self, x):
        return np.zeros(len(x), dtype=bool)


# What must vanish


@pytest.mark.parametrize("periods", [1, 2])
@pytest.mark.parametrize("name", ZONES)
def test_without_load_atoms_come_to_rest_in_the_perfect_crystal(name, periods):
    """From 0.03 Å of noise: forces below 1e-8 eV/Å.

    Places come back to a tenth of the noise only: nodes of the slit inside the core have no equation, drift a little on the way,
    and lie in elements at the core's edge.
    """
    method = cracked(name, periods)
    model = method.model
    unit = intensity_load(model, crystal(name, periods).field, OPENING)
    start = np.where(method.free, 0.03 * np.random.default_rng(0).standard_normal(model.shape), 0.0)
    start[model.line] = 0.0  # those of them in the core have no force that would bring them back
    state = solver(name, method, unit, tolerance=1e-9).at_load(0.0, guess=start)
    assert np.abs(method.evaluate(state.u).residual[method.free]).max() <= 1e-8
    # Nodes of the slit inside the core belong to no element that counts and to no atom.
    held = np.ones(model.shape[0], dtype=bool)
    held[model.line] = False
    assert np.abs(state.u[held]).max() < 3e-3
    assert np.abs(state.positions - model.reference).max() < 3e-3


@pytest.mark.parametrize(("name", "falls"), [("eam-fe", False), ("sw-si-brittle", True)])
def test_homogeneous_strain_of_the_whole_crystal_is_an_equilibrium(name, falls):
    """Patch test, all six components of a plane body's gradient, both signs.

    With one atom to a site only rounding is left, or what the pad cuts off. With two, atoms shift against each other in
    proportion to the strain, and what they would do beyond that is of second order: forces fall to a quarter with half of it.
    """
    radius, width, pad = ZONES[name]
    model = crystal(name).couple(Whole(radius=300.0), (radius + 3.0, width, pad))
    method = CrackForces(model)
    assert model.partition.audit.relative_error <= 1e-12

    def ghost_force(gradient):
        found = method.evaluate(with_inner(model, model.body.nodes @ gradient.T)).residual
        return np.abs(found[method.free]).max()

    for i, j in np.ndindex(3, 2):
        gradient = np.zeros((3, 2))
        for size in (-1e-3, 1e-3):
            gradient[i, j] = size
            large, small = ghost_force(gradient), ghost_force(0.5 * gradient)
            if falls:
                assert large < 1e-4  # eV/Å; without the shifts 1e-2
                assert large / small == pytest.approx(4.0, abs=0.2)
            else:
                assert large < 1e-10


def test_no_force_where_atoms_and_elements_both_carry_a_free_face():
    """A crack without load: blended forces vanish on both faces, in core, blend and elements."""
    method = cracked("sw-si-brittle")
    residual = method.evaluate(np.zeros(method.shape)).residual
    assert np.abs(residual[method.free]).max() < 1e-10


def test_periods_along_the_front_are_alike():
    one, two = loaded("sw-si-brittle"), cracked("sw-si-brittle", 2)
    unit = intensity_load(two.model, crystal("sw-si-brittle").field, OPENING)
    state = solver("sw-si-brittle", two, unit).at_load(one.load)
    thin = cracked("sw-si-brittle").model
    moved = (state.positions - two.model.reference).reshape(-1, 2, 2, 3)
    alone = (one.positions - thin.reference).reshape(-1, 2, 3)
    np.testing.assert_allclose(moved[:, 0], alone, atol=1e-7)  # Å, from forces of 1e-8 eV/Å
    np.testing.assert_allclose(moved[:, 1], alone, atol=1e-7)
    assert state.conjugate == pytest.approx(2.0 * one.conjugate, rel=1e-9)


# Derivatives


def directional(method, u, direction):
    step = 1e-5 / np.abs(direction).max()
    ahead, behind = (method.evaluate(u + sign * step * direction).residual for sign in (1.0, -1.0))
    return np.where(method.free, ahead - behind, 0.0) / (2.0 * step)


# Analytic second derivatives: what is left is the error of the check's own differences. Differences of forces over 1e-4 Å, and
# no derivatives of the pad's inner shifts, which the motifs next to it feel: Newton's iteration makes up for them.
@pytest.mark.parametrize(("name", "nodes", "inner"), [("eam-fe", 1e-4, 0.0), ("sw-si-brittle", 0.02, 0.5)])
def test_the_tangent_is_the_derivative_of_the_forces(name, nodes, inner):
    method, state = cracked(name), loaded(name)
    tangent = CrackTangent(method, reach=RANGE[name])
    tangent.update(state.u)
    wanted = np.where(method.free, np.random.default_rng(1).standard_normal(method.shape), 0.0)
    line = method.model.line
    wanted[line[method.node_share[line] <= 0.0]] = 0.0  # these have no force
    direction = tangent.solve(wanted)
    assert not direction[~method.moving].any()
    error = directional(method, state.u, direction) - wanted
    count = method.model.nodes
    assert np.linalg.norm(error[:count]) <= nodes * np.linalg.norm(wanted[:count])
    assert np.linalg.norm(error[count:]) <= inner * np.linalg.norm(wanted[count:])


def test_columns_taken_anew_near_a_change_make_the_whole_tangent():
    """A site moved by 0.1 Å: the tangent that knows the state before is brought up to date in fewer calls, and is the same."""
    method, state = cracked("sw-si-brittle"), loaded("sw-si-brittle")
    counter, model = method.model.atoms.counter, method.model
    moved = state.u.copy()
    nearest = int(np.argmin(np.linalg.norm(model.partition.lattice.places(model.partition.indices), axis=1)))
    moved[model.partition.node[nearest]] += [0.05, 0.08, 0.0]
    wanted = np.where(method.free, np.random.default_rng(1).standard_normal(method.shape), 0.0)
    answers, calls = [], []
    for before in (state.u, None):
        tangent = CrackTangent(method, reach=RANGE["sw-si-brittle"])
        if before is not None:
            tangent.update(before)
        begun = counter.calls
        tangent.update(moved)
        calls.append(counter.calls - begun)
        answers.append(tangent.solve(wanted))
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-8 * np.abs(answers[1]).max())
    assert calls[0] < 0.4 * calls[1]
    begun = counter.calls
    tangent.update(moved)
    assert counter.calls == begun  # nothing has changed


def test_springs_find_the_state_that_newton_finds():
    method, state = cracked("sw-si-brittle"), loaded("sw-si-brittle")
    made = crystal("sw-si-brittle")
    springs = HarmonicTangent(method, measure_columns(made.potential, made.columns))
    unit = intensity_load(method.model, made.field, OPENING)
    found = CrackSolver(method, unit, FollowOptions(tolerance=1e-7, max_iterations=60), springs=springs).at_load(
        state.load
    )
    np.testing.assert_allclose(found.positions, state.positions, atol=1e-6)
    with pytest.raises(MethodError, match="CrackTangent"):
        list(follow(CrackSolver(method, unit, springs=springs), state))


# Symmetry


@pytest.mark.parametrize("mode", [(0.1, 1.0, 0.0), (0.3, 1.0, 0.0)])
def test_the_other_sign_of_mode_two_is_the_mirror_image(mode):
    """Rows of (110) planes of bcc face each other: y → −y is a symmetry, of crystal, mesh and weights, to rounding."""
    model = cracked("eam-fe").model
    one, other = loaded("eam-fe", mode), loaded("eam-fe", (-mode[0], *mode[1:]))
    places = {tuple(place): row for row, place in enumerate(np.round(model.reference[:, :2], 6) + 0.0)}
    image = np.array([places[x, 0.0 - y] for x, y in places])
    moved, mirrored = one.positions - model.reference, (other.positions - model.reference)[image]
    assert np.abs(moved).max() > 0.5
    np.testing.assert_allclose(moved[:, :2], mirrored[:, :2] * [1.0, -1.0], atol=1e-6)
    assert np.abs(moved[:, 2]).max() < 1e-6
    # Without mode II the fields are their own image; with it they are not.
    assert np.abs(moved[:, :2] - moved[image][:, :2] * [1.0, -1.0]).max() > 0.1


# The path


@pytest.fixture(scope="module")
def path():
    """Iron from below K₊ over it, down to K₋ and up again: the crack has then grown by one period of 1.43 Å."""
    made = crystal("eam-fe")
    model = made.couple(Disc(radius=2000.0), (8.0, 6.0, 8.0))
    method = CrackForces(model)
    follower = solver("eam-fe", method, intensity_load(model, made.field, OPENING), tolerance=1e-7, max_states=60)
    states = []

    def far_enough(state):
        loads = np.array([s.load for s in states] + [state.load])
        return bool(loads.min() < made.griffith) and state.load > 1.06 * made.griffith

    for state in follow(follower, follower.at_load(1.05 * made.griffith), advance=far_enough):
        states.append(state)
    return follower, states


def fold(states, row):
    """Load of a fold at the middle one of three states, by a parabola over the way of the core."""
    three = states[row - 1 : row + 2]
    ways = [np.linalg.norm(b.positions - a.positions) for a, b in itertools.pairwise(three)]
    a, b, c = np.polyfit([-ways[0], 0.0, ways[1]], [state.load for state in three], 2)
    return c - b**2 / (4.0 * a)


def test_the_path_snaps_at_the_loads_of_a_much_larger_zone(path):
    """K₊ and K₋ of a core of 24 Å in a disc of 2000 Å (benchmarks/crack.py) with a core of 8 Å: to the issue's 1%."""
    _, states = path
    loads = np.array([state.load for state in states]) * EV_PER_A25_IN_MPA_SQRT_M
    top = int(np.argmax(loads))
    bottom = top + int(np.argmin(loads[top:]))
    assert 0 < top < bottom < len(states) - 1
    assert fold(states, top) * EV_PER_A25_IN_MPA_SQRT_M == pytest.approx(1.0897, rel=0.01)
    assert fold(states, bottom) * EV_PER_A25_IN_MPA_SQRT_M == pytest.approx(0.8078, rel=0.01)
    # One branch up, one down, one up: no other turns.
    assert (np.diff(np.sign(np.diff(loads))) != 0).sum() == 2
    assert all(state.stable for state in states[: top - 1])
    assert not any(state.stable for state in states[top + 1 : bottom])
    assert all(state.stable for state in states[bottom + 1 :])
    assert max(state.residual for state in states) <= 1e-7
    assert all(state.calls > 0 and state.seconds > 0.0 for state in states)


def test_work_is_the_conjugate_force_times_the_load(path):
    _, states = path
    loads, forces, works = np.array([[s.load, s.conjugate, s.work] for s in states]).T
    steps = 0.5 * (forces[1:] + forces[:-1]) * np.diff(loads)
    np.testing.assert_allclose(np.diff(works), steps, atol=1e-9 * np.abs(works).max())
    follower = path[0]
    assert follower.conjugate(states[3].u) == states[3].conjugate


def test_the_compliance_grows_as_the_energy_release_demands(path):
    """∂²Π/∂K∂a = −2Kt/E* (Irwin 1957): at one K, the force conjugate to it falls by 2KLt/E* as the crack grows by L.

    Nothing of this went into the solver. Off by the strain's second order near the tip: 0.5% for zones of 8 to 24 Å.
    """
    _, states = path
    made = crystal("eam-fe")
    lattice = made.columns.lattice
    period = float(np.linalg.norm(lattice.row @ lattice.basis))
    loads = np.array([state.load for state in states])
    top, bottom = int(np.argmax(loads)), int(np.argmin(loads))
    load = 1.055 * made.griffith
    # Force over load is all but constant on a branch: interpolated, it is good to 1e-6.
    shares = np.array([state.conjugate for state in states]) / loads
    before, after = (np.interp(load, loads[part], shares[part]) for part in (slice(top), slice(bottom, None)))
    expected = -2.0 * period * lattice.thickness / made.field.effective_modulus
    assert after - before == pytest.approx(expected, rel=0.02)


def test_after_one_period_the_fields_are_the_same_one_period_on(path):
    """The disc's boundary stays where it was: its field is off by about half a period times K/E* √(2/πR), 0.03 Å here."""
    follower, states = path
    model, made = follower.model, crystal("eam-fe")
    first = states[0]
    last = follower.at_load(
        first.load, guess=states[-1].u + (first.load - states[-1].load) * follower.unit.field, near=True
    )
    lattice = made.columns.lattice
    step = np.array([*(lattice.row @ lattice.basis), lattice.row @ lattice.lift])
    core = model.atom_beta == 0.0
    before, after = (state.positions - model.reference for state in (first, last))
    found = shifted_difference(model.reference, before, after, vector=step, thickness=lattice.thickness, select=core)
    assert len(found) > 0.8 * core.sum()
    assert np.abs(found).max() < 0.03 * step[0]
    # The states themselves are far from each other.
    assert np.abs(after - before)[core].max() > 0.3


def test_a_load_beyond_what_the_crystal_bears_finds_no_state():
    method, made = cracked("sw-si-brittle"), crystal("sw-si-brittle")
    hasty = solver(
        "sw-si-brittle", method, intensity_load(method.model, made.field, OPENING), max_iterations=2, max_fall=5
    )
    with pytest.raises(
        HandshakeConvergenceError, match=r"no equilibrium of the crack at load .* wanted 1e-08"
    ) as caught:
        hasty.at_load(2.5 * made.griffith)
    u, load = caught.value.solution
    assert u.shape == method.shape
    assert load == 2.5 * made.griffith


# Bodies


def test_the_strip_between_clamps_releases_what_its_width_has_stored():
    """J = ½ C_yyyy δ²/H (Rivlin and Thomas 1953), which holds to 0.1% for small loads; at 0.8 K_G strains show by 1%."""
    made = crystal("eam-fe")
    strip = ThinStrip(length=1200.0, height=300.0, crack=400.0)
    model = made.couple(strip, ZONES["eam-fe"])
    method, unit = CrackForces(model), grip_load(model, strip)
    assert unit.intensity is None
    uniaxial = float(made.material.tangent(np.eye(3)[None])[0][1, 1, 1, 1])
    modulus = made.field.effective_modulus
    ring = JIntegral(model.body, inner=20.0, outer=120.0, weights=model.partition.cell_weights)

    def release(load):
        return strip.intensity(load, modulus, uniaxial) ** 2 / modulus

    small = 1e-4
    assert ring.value(small * unit.field[: model.nodes]) == pytest.approx(release(small), rel=0.003)
    load = 0.8 * made.griffith / strip.intensity(1.0, modulus, uniaxial)
    state = solver("eam-fe", method, unit, tolerance=1e-6).at_load(load)
    assert ring.value(state.u[: model.nodes]) == pytest.approx(release(load), rel=0.02)
    # Clapeyron: grips that are pulled by δ have done ½ δ dΠ/dδ; in the strip, uniform strain stores ½ C δ²/H per area.
    stored = 0.5 * uniaxial * load**2 / strip.height * (strip.length - strip.crack) * model.partition.lattice.thickness
    assert 0.5 * load * state.conjugate == pytest.approx(stored, rel=0.1)


def test_what_does_not_fit_is_refused():
    made = crystal("eam-fe")
    disc = Disc(radius=400.0)
    with pytest.raises(PartitionError, match=r"a blend 3 Å wide for a potential whose atoms reach 5\.3 Å"):
        made.couple(disc, (8.0, 3.0, 8.0))
    with pytest.raises(PartitionError, match=r"a pad 2 Å wide .* make it at least that"):
        made.couple(disc, (8.0, 6.0, 2.0))
    with pytest.raises(PartitionError, match=r"the zone touches the boundary|pad atoms lie outside"):
        made.couple(Disc(radius=20.0), (8.0, 6.0, 8.0))


@pytest.mark.parametrize("wrong", [{"tolerance": 0.0}, {"largest_step": float("nan")}, {"max_states": 0}])
def test_options_are_checked(wrong):
    with pytest.raises(MethodError, match=next(iter(wrong))):
        FollowOptions(**wrong)
