"""Adaptive Langevin dynamics: the right temperature under forces that heat or cool by an amount that nobody knows.

Forces that are no gradient (force mixing, noisy or float32 forces) do work around closed loops, and a run heats up. Langevin
dynamics of friction γ then settles at T + P/(γ N k_B), with P the heating power and N the degrees of freedom: plainly wrong, or
right at a friction so strong that nothing moves any more. Here a second friction χ follows the kinetic energy, as in a
Nosé–Hoover thermostat, until it takes out just what comes in (Jones and Leimkuhler 2011, J. Chem. Phys. 135, 084125; for
force mixing Bernstein et al. 2012, Phys. Chem. Chem. Phys. 14, 646):

    dx = p/m dt
    dp = F dt − (γ + χ) p dt + √(2γ m k_B T) dW
    dχ = (Σ p²/m − N k_B T)/Q dt,                        Q = N k_B T τ²

Without heating the stationary distribution is exp[−(H + Q (χ − χ₀)²/2)/k_B T], χ₀ = 0: canonical, with χ Gaussian about zero of
variance 1/(N τ²). Heating by white noise of power P shifts it to χ₀ = P/(N k_B T) and changes nothing else; any other
heating leaves ⟨Σ p²/m⟩ = N k_B T, since ⟨dχ/dt⟩ = 0.

A step is the symmetric splitting B A D O D A B (Leimkuhler and Shang 2016, SIAM J. Sci. Comput. 38, A712), one force call:

    B  p += ½Δt F                                   A  x += ½Δt p/m
    D  χ += ½Δt (Σ p²/m − N k_B T)/Q                O  p → e^(−ΓΔt) p + √(m k_B T γ (1 − e^(−2ΓΔt))/Γ) R,   Γ = γ + χ

with R normal deviates. It is of second order in Δt. With τ = ∞ it is BAOAB, whose positions in a harmonic crystal carry no
error of Δt at all (Leimkuhler and Matthews 2013, Appl. Math. Res. Express 2013, 34).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.constraints import FixAtoms, FixCartesian, FixCom, FixSubsetCom
from ase.md.md import MolecularDynamics
from numpy.typing import ArrayLike, NDArray

from atomistic.errors import DynamicsError

Array = NDArray[np.float64]

#: 2/ps: 80 periods of a 40 THz mode, 5 to 10 of the slow phonons of a metal. Weak enough to leave vibrations alone.
FRICTION = 0.002 / units.fs


@dataclass(frozen=True, kw_only=True)
class ThermostatState:
    """All that a restart needs beside positions and momenta: with them a run goes on with the same bits.

    Attributes:
        adaptive_friction: χ of each group (g,), in ASE's inverse unit of time.
        heat: given to the atoms by the thermostat of each group so far (g,), eV.
        rng: state of the random numbers.
        steps: steps made.
    """

    adaptive_friction: Array
    heat: Array
    rng: Mapping[str, Any]
    steps: int


class AdaptiveLangevin(MolecularDynamics):
    """Langevin dynamics with a friction that adapts to unknown heating; one thermostat for each group of atoms.

    Fixed coordinates (FixAtoms, FixCartesian) are not thermostatted and not counted; FixCom takes three degrees of freedom away,
    shared by mass. Constraints are those at the time of construction.

    Every rank that draws from an equally seeded `rng` makes the same run; nothing is communicated, so that independent runs on
    different ranks do not wait for each other. (Calculators may well be parallel.)

    Args:
        atoms: with calculator; momenta should be near the temperature (ase.md.velocitydistribution).
        timestep: ASE units, e.g. 2 * units.fs.
        temperature_K: of all groups.
        rng: seed or generator.
        friction: γ, ASE's inverse unit of time (default 0.002/fs), one for all or by name of group.
        tau: response time τ of χ (default 2/γ: the temperature of a solid then returns as fast as it can without swinging),
            one for all or by name of group. np.inf: χ stays zero, plain Langevin.
        groups: atoms (indices or a mask) by name of group, e.g. core with buffer apart from the environment; each has its
            χ, so that heat made in one place is taken out there. Atoms in no group follow Newton. Default: one group "all".
        **kwargs: as for any ASE dynamics (trajectory, logfile, loginterval ...).

    Attributes:
        names: of the groups.
        adaptive_friction: χ (g,), ASE's inverse unit of time. Its mean × N k_B T is the heating power of the forces.
        heat: given to the atoms of each group by its thermostat so far (g,), eV: energy − heat is conserved when forces are.

    Raises:
        DynamicsError: a time or temperature that is not positive; groups that are empty, overlap or have no freedom to move;
            constraints other than those above.
    """

    def __init__(
        self,
        atoms: Atoms,
        timestep: float,
        *,
        temperature_K: float,
        rng: int | np.random.Generator,
        friction: float | Mapping[str, float] = FRICTION,
        tau: float | Mapping[str, float] | None = None,
        groups: Mapping[str, ArrayLike] | None = None,
        **kwargs: Any,
    ) -> None:
        if not (timestep > 0.0 and np.isfinite(timestep)):
            raise DynamicsError(f"The time step must be positive, e.g. 2 * ase.units.fs; got {timestep}.")
        if not (temperature_K > 0.0 and np.isfinite(temperature_K)):
            raise DynamicsError(f"The temperature (K) must be positive; got {temperature_K}.")
        self.temperature_K = float(temperature_K)
        self.rng = np.random.default_rng(rng)
        self._friction, self._tau = friction, tau
        super().__init__(atoms, timestep, **kwargs)
        self.names: tuple[str, ...] = ()
        self.adaptive_friction, self.heat = np.zeros(0), np.zeros(0)
        self.regroup({"all": np.arange(len(atoms))} if groups is None else groups)

    def regroup(self, groups: Mapping[str, ArrayLike]) -> None:
        """Take other atoms into the groups, as when a core moves; groups of the same name keep their χ and their heat.

        Raises:
            DynamicsError: as at construction.
        """
        names = tuple(groups)
        label, free = _labels(groups, len(self.atoms)), _free(self.atoms)
        freedom = np.array([float(free[label == g].sum()) for g in range(len(names))])
        if any(isinstance(c, FixCom) for c in self.atoms.constraints):
            mass = self.masses[:, 0]
            freedom -= 3.0 * np.array([mass[label == g].sum() for g in range(len(names))]) / mass.sum()
        for name, count in zip(names, freedom, strict=True):
            if count < 1.0:
                raise DynamicsError(f"The group {name!r} has no atom that is free to move: leave it out of `groups`.")
        gamma = np.array([_of_group(self._friction, name, "friction") for name in names])
        if not np.all((gamma > 0.0) & np.isfinite(gamma)):
            raise DynamicsError(
                f"The friction must be positive (Nosé–Hoover alone, without noise, is not ergodic); got {gamma.tolist()}. "
                "Leave atoms that shall follow Newton out of `groups`."
            )
        tau = 2.0 / gamma if self._tau is None else np.array([_of_group(self._tau, name, "tau") for name in names])
        if not np.all(tau > 2.0 * self.dt):
            raise DynamicsError(
                f"The response time tau must be longer than two time steps ({2 * self.dt / units.fs:.3g} fs), better "
                f"some hundred fs; got {(tau / units.fs).tolist()} fs."
            )
        kept = {name: (self.adaptive_friction[i], self.heat[i]) for i, name in enumerate(self.names)}
        self.adaptive_friction, self.heat = np.array([kept.get(name, (0.0, 0.0)) for name in names]).reshape(-1, 2).T
        self.names, self._label, self._mobile = names, label, free & (label >= 0)[:, None]
        self._freedom, self._gamma = freedom, gamma
        self._rate = 1.0 / (freedom * tau**2)

    @property
    def temperatures(self) -> dict[str, float]:
        """Kinetic temperature of each group now, K."""
        twice = self._twice_kinetic(self.atoms.get_momenta())
        return dict(zip(self.names, (twice / (self._freedom * units.kB)).tolist(), strict=True))

    @property
    def heating(self) -> dict[str, float]:
        """Power that χ takes out of each group now, χ N k_B T, eV per ASE unit of time; average it over a run."""
        power = self.adaptive_friction * self._freedom * units.kB * self.temperature_K
        return dict(zip(self.names, power.tolist(), strict=True))

    def snapshot(self) -> ThermostatState:
        """Return the state of the thermostats."""
        return ThermostatState(
            adaptive_friction=self.adaptive_friction.copy(),
            heat=self.heat.copy(),
            rng=self.rng.bit_generator.state,
            steps=self.nsteps,
        )

    def restore(self, state: ThermostatState) -> None:
        """Go on from a state of a run with as many groups; positions and momenta are the caller's to set.

        Raises:
            DynamicsError: another number of groups.
        """
        if state.adaptive_friction.shape != self.adaptive_friction.shape:
            raise DynamicsError(
                f"The state is one of {len(state.adaptive_friction)} groups, these dynamics have {len(self.names)}."
            )
        self.adaptive_friction, self.heat = state.adaptive_friction.copy(), state.heat.copy()
        self.rng.bit_generator.state = dict(state.rng)
        self.nsteps = state.steps

    def todict(self) -> dict[str, Any]:
        """Return what describes the run in a trajectory's header."""
        return super().todict() | {"temperature_K": self.temperature_K, "friction": self._gamma.tolist()}

    def step(self) -> None:
        """Make one step B A D O D A B."""
        atoms, dt = self.atoms, self.dt
        momenta = atoms.get_momenta() + 0.5 * dt * atoms.get_forces(md=True)
        atoms.set_momenta(momenta)
        momenta = atoms.get_momenta()
        half = atoms.get_positions() + 0.5 * dt * momenta / self.masses
        self._adapt(momenta)
        momenta = self._exchange(momenta)
        self._adapt(momenta)
        atoms.set_positions(half + 0.5 * dt * momenta / self.masses)
        atoms.set_momenta(momenta + 0.5 * dt * atoms.get_forces(md=True))

    def _adapt(self, momenta: Array) -> None:
        """D: half a step of χ."""
        excess = self._twice_kinetic(momenta) / (units.kB * self.temperature_K) - self._freedom
        self.adaptive_friction = self.adaptive_friction + 0.5 * self.dt * self._rate * excess

    def _exchange(self, momenta: Array) -> Array:
        """O: friction and noise of a whole step, solved exactly; counts the heat."""
        total = self._gamma + self.adaptive_friction
        # One value more, read by label −1: the atoms without a thermostat keep their momenta.
        decay = np.append(np.exp(-total * self.dt), 1.0)[self._label, None]
        # (1 − e^(−2ΓΔt))/Γ stays finite and positive for Γ = 0 and below.
        x = np.where(np.abs(total) * self.dt < 1e-12, 1e-12, total * self.dt)
        spread = np.append(-self._gamma * self.dt * np.expm1(-2.0 * x) / x, 0.0)[self._label, None]
        noise = self.rng.standard_normal(momenta.shape) * self._mobile
        before = self._twice_kinetic(momenta)
        self.atoms.set_momenta(decay * momenta + np.sqrt(self.masses * units.kB * self.temperature_K * spread) * noise)
        after = self.atoms.get_momenta()
        self.heat = self.heat + 0.5 * (self._twice_kinetic(after) - before)
        return after

    def _twice_kinetic(self, momenta: Array) -> Array:
        """Return Σ p²/m of each group (g,), eV."""
        each = np.einsum("ij,ij->i", momenta, momenta) / self.masses[:, 0]
        chosen = self._label >= 0
        return np.bincount(self._label[chosen], weights=each[chosen], minlength=len(self.names))


def _labels(groups: Mapping[str, ArrayLike], count: int) -> NDArray[np.intp]:
    """Return the number of the group of each atom (count,), −1 for none."""
    if not groups:
        raise DynamicsError(
            "No group is named. Leave `groups` out to thermostat all atoms, or use ASE's VelocityVerlet."
        )
    label = np.full(count, -1)
    for number, (name, chosen) in enumerate(groups.items()):
        try:
            rows = np.arange(count)[np.asarray(chosen)] if np.size(chosen) else np.zeros(0, dtype=int)
        except IndexError as error:
            raise DynamicsError(
                f"The group {name!r} names atoms that are not there ({error}); there are {count}."
            ) from None
        if rows.size == 0:
            raise DynamicsError(f"The group {name!r} has no atoms: leave it out of `groups`.")
        if taken := np.unique(label[rows][label[rows] >= 0]).tolist():
            raise DynamicsError(
                f"Atoms of the group {name!r} are in {list(groups)[taken[0]]!r} too; an atom has one thermostat at most."
            )
        label[rows] = number
    return label


def _free(atoms: Atoms) -> NDArray[np.bool_]:
    """Return which coordinates (n, 3) may move."""
    free = np.ones((len(atoms), 3), dtype=bool)
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            free[constraint.index] = False
        elif isinstance(constraint, FixCartesian):
            free[constraint.index] &= ~constraint.mask
        elif not isinstance(constraint, FixCom) or isinstance(constraint, FixSubsetCom) or len(atoms.constraints) > 1:
            raise DynamicsError(
                f"{type(constraint).__name__} (of {len(atoms.constraints)} constraints) is not supported: FixAtoms and "
                "FixCartesian together, or FixCom alone, are. Remove it, or use ase.md.langevin.Langevin."
            )
    return free


def _of_group(setting: float | Mapping[str, float], name: str, what: str) -> float:
    """Return the setting of one group."""
    if not isinstance(setting, Mapping):
        return float(setting)
    if name not in setting:
        raise DynamicsError(f"`{what}` is given by group, but not for {name!r}; it names {', '.join(setting)}.")
    return float(setting[name])
