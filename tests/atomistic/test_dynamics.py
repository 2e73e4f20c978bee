"""Adaptive Langevin dynamics keep the temperature under forces that heat; drifts and means come with honest intervals."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.constraints import FixAtoms, FixBondLength, FixCartesian, FixCom
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet
from scipy.linalg import solve_continuous_lyapunov
from scipy.signal import lfilter

from atomistic.dynamics import AdaptiveLangevin, ShadowEnergy, energy_drift, mean_estimate, trend_estimate
from atomistic.errors import DynamicsError
from atomistic.potentials import load_potential

T, STIFFNESS, DT, FRICTION = 300.0, 2.0, 4.0 * units.fs, 0.02 / units.fs  # K, eV/Å²
CONFIDENCE = 0.99  # of each interval: some ten are tested with fixed seeds


class Wells(Calculator):
    """Atoms in springs at their places, with a force that turns around them (no gradient) and one that is random."""

    implemented_properties = ("energy", "forces")

    def __init__(self, places, *, curl=0.0, noise=0.0):
        super().__init__()
        self.places, self.curl, self.noise = places, curl, np.broadcast_to(noise, (len(places), 1))
        self.rng = np.random.default_rng(77)

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        u = atoms.positions - self.places
        forces = -STIFFNESS * u + self.noise * self.rng.standard_normal(u.shape)
        forces[:, :2] += self.curl * np.column_stack([-u[:, 1], u[:, 0]])
        self.results = {"energy": 0.5 * STIFFNESS * float(np.sum(u**2)), "forces": forces}


def in_wells(count=80, **kinds):
    atoms = Atoms(f"Al{count}", np.random.default_rng(0).uniform(0.0, 50.0, (count, 3)))
    atoms.calc = Wells(atoms.positions.copy(), **kinds)
    thermalize_momenta(atoms, temperature_K=T, rng=np.random.default_rng(1))
    return atoms


def langevin(atoms, **options):
    return AdaptiveLangevin(atoms, DT, **{"temperature_K": T, "rng": 2, "friction": FRICTION} | options)


def sampled(atoms, steps=2400, settle=300, **options):
    """Series of kinetic and of configurational temperature (K), of χ, and of temperatures by group."""
    dynamics, rows = langevin(atoms, **options), []

    def note():
        kinetic = 2.0 * atoms.get_kinetic_energy() / (3 * len(atoms) * units.kB)
        potential = 2.0 * atoms.get_potential_energy() / (3 * len(atoms) * units.kB)
        rows.append([kinetic, potential, *dynamics.adaptive_friction, *dynamics.temperatures.values()])

    dynamics.attach(note)
    dynamics.run(steps)
    return np.array(rows)[settle:].T


def estimate(values):
    return mean_estimate(values, confidence=CONFIDENCE)


def test_the_ensemble_is_canonical():
    """Kinetic energy, its fluctuation, ⟨½kx²⟩ = ½k_BT, and χ, Gaussian with variance 1/(Nτ²)."""
    kinetic, potential, chi, _ = sampled(in_wells(), steps=4300)
    for series in (kinetic, potential):
        found = estimate(series)
        assert found.covers(T)
        assert found.half_width < 0.03 * T
    freedom, tau = 240, 2.0 / FRICTION
    # Sampling error of a variance: √(2/samples), with some 100 independent ones.
    assert np.var(kinetic) == pytest.approx(2.0 * T**2 / freedom, rel=0.3)
    assert np.var(potential) == pytest.approx(2.0 * T**2 / freedom, rel=0.3)
    assert np.var(chi) == pytest.approx(1.0 / (freedom * tau**2), rel=0.4)
    assert estimate(chi).covers(0.0)


def test_random_heating_goes_into_the_adaptive_friction():
    """A force of variance s², kept for a step, heats as friction Δt s²/(2k_BTm) would: known, so both answers are."""
    noise = 0.42
    extra = DT * noise**2 / (2.0 * units.kB * T * in_wells(1).get_masses()[0])
    plain, adaptive = sampled(in_wells(noise=noise), tau=np.inf), sampled(in_wells(noise=noise))
    hot = T * (1.0 + extra / FRICTION)
    assert hot > 1.2 * T
    assert estimate(plain[0]).covers(hot)
    assert not estimate(plain[0]).covers(T)
    assert np.all(plain[2] == 0.0)
    for series in adaptive[:2]:  # velocities and places alike: this heating leaves the ensemble canonical
        assert estimate(series).covers(T)
        assert not estimate(series).covers(hot)
    assert estimate(adaptive[2]).covers(extra)
    assert not estimate(adaptive[2]).covers(0.0)


def test_forces_with_a_curl_heat_plain_langevin_only():
    """The stationary covariance of linear Langevin dynamics solves Lyapunov's equation."""
    curl, mass = 0.6, in_wells(1).get_masses()[0]
    drift = np.zeros((4, 4))
    drift[:2, 2:], drift[2:, 2:] = np.eye(2) / mass, -FRICTION * np.eye(2)
    drift[2:, :2] = [[-STIFFNESS, -curl], [curl, -STIFFNESS]]
    covariance = solve_continuous_lyapunov(drift, -np.diag([0.0, 0.0, 1.0, 1.0]) * 2 * FRICTION * mass * units.kB * T)
    hot = (2.0 * covariance[2, 2] / mass / units.kB + T) / 3.0
    assert hot > 1.1 * T
    plain, adaptive = sampled(in_wells(curl=curl), tau=np.inf)[0], sampled(in_wells(curl=curl))[0]
    assert estimate(plain).covers(hot)
    assert not estimate(plain).covers(T)
    assert estimate(adaptive).covers(T)
    assert not estimate(adaptive).covers(hot)


def test_a_thermostat_for_each_group():
    """Heat made in the core is taken out there: one thermostat for all leaves it hot and cools the rest."""
    core = np.arange(80) < 20
    noise = np.where(core, 0.42, 0.0)[:, None]
    extra = DT * 0.42**2 / (2.0 * units.kB * T * in_wells(1).get_masses()[0])
    both = {"core": core, "rest": ~core}
    apart = sampled(in_wells(noise=noise), groups=both)
    for series in apart[-2:]:
        assert estimate(series).covers(T)
    assert estimate(apart[2]).covers(extra)
    assert estimate(apart[3]).covers(0.0)
    atoms = in_wells(noise=noise)
    dynamics = langevin(atoms)
    kinetic = []
    dynamics.attach(lambda: kinetic.append([m.sum() for m in np.split((atoms.get_momenta() ** 2).sum(axis=1), [20])]))
    dynamics.run(1800)
    temperatures = np.mean(kinetic[300:], axis=0) / (atoms.get_masses()[0] * 3 * np.array([20, 60]) * units.kB)
    assert temperatures[0] > 1.1 * T
    assert temperatures[1] < 0.98 * T


def test_atoms_in_no_group_follow_newton():
    atoms = in_wells(4)
    start = atoms.positions[2] - atoms.calc.places[2], atoms.get_velocities()[2]
    dynamics = langevin(atoms, groups={"first": [0]})
    dynamics.run(50)
    omega, time = np.sqrt(STIFFNESS / atoms.get_masses()[2]), 50 * DT
    expected = start[0] * np.cos(omega * time) + start[1] / omega * np.sin(omega * time)
    found = atoms.positions[2] - atoms.calc.places[2]
    assert np.abs(found - expected).max() < 0.02 * np.linalg.norm(start[1]) / omega  # phase error (ωΔt)²/24 a step
    assert dynamics.heat.shape == (1,)


@pytest.mark.parametrize("tau", [None, np.inf])
def test_energy_less_heat_is_conserved_to_second_order(tau):
    errors = []
    for dt in (4.0, 2.0):
        atoms = in_wells()
        dynamics = AdaptiveLangevin(atoms, dt * units.fs, temperature_K=T, rng=3, friction=FRICTION, tau=tau)
        rest: list[float] = []
        dynamics.attach(lambda a=atoms, d=dynamics, r=rest: r.append(a.get_total_energy() - d.heat.sum()))
        dynamics.run(round(2000 / dt))
        errors.append(np.std(rest))
    assert errors[0] < 2e-3 * 80 * units.kB * T
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.25)


def test_fixed_coordinates_stay_and_do_not_count():
    atoms = in_wells(20)
    atoms.set_constraint([FixAtoms([0, 1]), FixCartesian([2, 3], mask=(False, True, True))])
    atoms.set_momenta(atoms.get_momenta())
    before = atoms.positions.copy()
    groups = {"held in part": np.arange(4), "rest": np.arange(4, 20)}
    kinetic, *_, held, rest = sampled(atoms, steps=3000, groups=groups)
    assert np.array_equal(atoms.positions[:2], before[:2])
    assert np.array_equal(atoms.positions[2:4, 1:], before[2:4, 1:])
    assert np.all(atoms.positions[2:4, 0] != before[2:4, 0])
    assert np.allclose(60 * kinetic, 2 * held + 48 * rest)
    assert estimate(held).covers(T)
    assert estimate(rest).covers(T)


def test_the_centre_of_mass_stays():
    atoms = in_wells(6)
    atoms.symbols[:3] = "Cu"
    atoms.set_constraint(FixCom())
    atoms.set_momenta(atoms.get_momenta())
    centre = atoms.get_center_of_mass()
    kinetic, *_, own = sampled(atoms, steps=3000)
    assert np.allclose(atoms.get_center_of_mass(), centre, atol=1e-10)
    assert np.abs(atoms.get_momenta().sum(axis=0)).max() < 1e-10
    found = estimate(kinetic)  # of 18 coordinates; 15 move
    assert found.covers(T * 15 / 18)
    assert not found.covers(T)
    assert np.allclose(own, kinetic * 18 / 15)


def test_same_seed_same_run_and_restart():
    def run(steps, seed=5):
        atoms = in_wells(5)
        dynamics = langevin(atoms, rng=seed)
        dynamics.run(steps)
        return atoms, dynamics

    whole, dynamics = run(40)
    assert np.array_equal(whole.positions, run(40)[0].positions)
    assert not np.array_equal(whole.positions, run(40, seed=6)[0].positions)
    half, first = run(20)
    again = in_wells(5)
    again.positions[:] = half.positions
    again.set_momenta(half.get_momenta())
    second = langevin(again, rng=999)
    second.restore(first.snapshot())
    second.run(20)
    assert np.array_equal(again.positions, whole.positions)
    assert np.array_equal(second.heat, dynamics.heat)
    assert second.nsteps == 40


def test_groups_can_move():
    dynamics = langevin(in_wells(10, noise=0.3), groups={"core": [0, 1, 2], "rest": np.arange(3, 10)})
    dynamics.run(20)
    chi, heat = dynamics.adaptive_friction.copy(), dynamics.heat.copy()
    dynamics.regroup({"core": [2, 3, 4, 5], "edge": [0, 1]})
    assert dynamics.names == ("core", "edge")
    assert np.array_equal(dynamics.adaptive_friction, [chi[0], 0.0])
    assert np.array_equal(dynamics.heat, [heat[0], 0.0])
    dynamics.run(5)


def test_aluminium():
    """Half of the energy put into a crystal at rest goes into its springs; ½Nk_BT each, to what is anharmonic at 300 K."""
    atoms = bulk("Al", cubic=True, a=4.05) * (3, 3, 3)
    atoms.calc = load_potential("eam-al").calculator
    lowest = atoms.get_potential_energy()
    thermalize_momenta(atoms, temperature_K=T, rng=np.random.default_rng(1))
    dynamics, kinetic, potential = langevin(atoms, groups={"all": np.arange(108)}), [], []

    def note():
        kinetic.append(dynamics.temperatures["all"])
        potential.append(2.0 * (atoms.get_potential_energy() - lowest) / (321 * units.kB))

    dynamics.attach(note)
    dynamics.run(1200)
    assert mean_estimate(kinetic[300:]).covers(T)
    assert np.mean(potential[300:]) == pytest.approx(T, rel=0.06)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"temperature_K": 0.0}, "temperature"),
        ({"friction": 0.0}, "not ergodic"),
        ({"friction": {"core": 0.1}}, "not for 'all'"),
        ({"tau": DT}, "two time steps"),
        ({"groups": {}}, "No group"),
        ({"groups": {"a": [0], "b": [0, 1]}}, "in 'a' too"),
        ({"groups": {"a": []}}, "no atoms"),
        ({"groups": {"a": [9]}}, "not there"),
    ],
)
def test_settings_that_make_no_sense(changes, words):
    with pytest.raises(DynamicsError, match=words):
        langevin(in_wells(3), **changes)


def test_constraints_that_are_not_supported():
    atoms = in_wells(3)
    atoms.set_constraint(FixBondLength(0, 1))
    with pytest.raises(DynamicsError, match="FixBondLength"):
        langevin(atoms)
    atoms.set_constraint(FixAtoms([0, 1, 2]))
    with pytest.raises(DynamicsError, match="free to move"):
        langevin(atoms)
    with pytest.raises(DynamicsError, match="groups"):
        langevin(in_wells(3)).restore(langevin(in_wells(3), groups={"a": [0], "b": [1]}).snapshot())


def noises(kind, trials, count=256):
    rng = np.random.default_rng(8)
    for _ in range(trials):
        white = rng.standard_normal(count + 2000)
        yield {"white": white, "correlated": lfilter([1.0], [1.0, -0.9], white), "walk": np.cumsum(white)}[kind][2000:]


def least_squares_covers(t, y, slope):
    """The interval that takes all samples as independent."""
    (a, b), covariance = np.polyfit(t, y, 1, cov="unscaled")
    return abs(a - slope) < 1.96 * np.sqrt(covariance[0, 0] * np.sum((y - a * t - b) ** 2) / (len(t) - 2))


@pytest.mark.parametrize(
    ("kind", "least", "naive"), [("white", 0.92, 1.0), ("correlated", 0.92, 0.5), ("walk", 0.80, 0.2)]
)
def test_intervals_cover_as_often_as_they_say(kind, least, naive):
    """95% (a random walk: some 87%, as its correlation cannot be told from one run); independent samples: a third, a tenth."""
    t, slope, trials = np.arange(256.0), 0.02, 200
    series = [noise + slope * t for noise in noises(kind, trials)]
    found = [trend_estimate(t, y) for y in series]
    assert least < np.mean([e.covers(slope) for e in found]) < 0.998
    assert np.mean([least_squares_covers(t, y, slope) for y in series]) <= naive
    # Not wide for the sake of covering.
    assert np.mean([e.half_width for e in found]) < 4.0 * 1.96 * np.std([e.value for e in found])
    if kind != "walk":
        means = [mean_estimate(y - slope * t + 3.0) for y in series]
        assert 0.92 < np.mean([e.covers(3.0) for e in means]) < 0.998


def test_drift_in_its_unit():
    """2 eV/ns on 4 atoms, under a vibration that is far larger: 0.5 meV per atom and ps."""
    times = np.arange(5000) * 2.0 * units.fs
    energies = -10.0 + 2.0 * times / (1e6 * units.fs) + 0.01 * np.sin(times / (9.0 * units.fs))
    drift = energy_drift(times, energies, atoms=4)
    assert drift.slope == pytest.approx(0.5, abs=0.01)
    assert drift.low < 0.5 < drift.high
    assert drift.within(0.6)
    assert not drift.within(0.505 * drift.slope)
    assert drift.duration == pytest.approx(9.998)
    assert drift.scatter == pytest.approx(1e3 * 0.01 / np.sqrt(2.0) / 4, rel=0.02)
    assert "per atom and ps" in str(drift)


def kept_energy(atoms, step, time=800.0):
    kept = ShadowEnergy(atoms, step * units.fs)
    dynamics = VelocityVerlet(atoms, step * units.fs)
    dynamics.attach(kept)
    dynamics.run(round(time / step))
    assert kept.times.shape == kept.plain.shape == kept.energies.shape
    return kept


def test_the_energy_that_verlet_keeps():
    """Its ripple is of fourth order in the step where that of the energy is of second; a drift is the same in both."""
    (coarse, coarse_kept), (fine, fine_kept) = (
        (np.std(kept.plain), np.std(kept.energies)) for kept in (kept_energy(in_wells(20), step) for step in (8.0, 4.0))
    )
    assert coarse / fine == pytest.approx(4.0, rel=0.2)
    assert coarse_kept / fine_kept == pytest.approx(16.0, rel=0.2)
    atoms = bulk("Al", cubic=True, a=4.05) * (2, 2, 2)
    atoms.calc = load_potential("eam-al-mendelev").calculator
    thermalize_momenta(atoms, temperature_K=2.0 * T, rng=np.random.default_rng(1))
    kept = kept_energy(atoms, 3.0)
    plain, better = (energy_drift(kept.times, energies, atoms=32) for energies in (kept.plain, kept.energies))
    assert better.scatter < 0.1 * plain.scatter
    assert better.within(0.02)
    assert plain.low < better.slope < plain.high
    with pytest.raises(DynamicsError, match="3 steps"):
        _ = ShadowEnergy(atoms, 1.0).energies
    with pytest.raises(DynamicsError, match="positive"):
        ShadowEnergy(atoms, 0.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: mean_estimate(np.zeros(15)),
        lambda: mean_estimate([np.nan] * 20),
        lambda: mean_estimate(np.zeros(20), confidence=95.0),
        lambda: mean_estimate(np.zeros(20), blocks=2),
        lambda: trend_estimate(np.arange(20.0) ** 2, np.zeros(20)),
        lambda: trend_estimate(np.arange(19.0), np.zeros(20)),
        lambda: energy_drift(np.arange(20.0), np.zeros(20), atoms=0),
    ],
)
def test_series_that_say_nothing(call):
    with pytest.raises(DynamicsError):
        call()
