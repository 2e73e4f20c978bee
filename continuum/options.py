"""Settings of the solvers."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from continuum.errors import ContinuumError

LinearSolver = Literal["auto", "direct", "iterative"]
_Contact = Literal["penalty", "augmented lagrangian"]


@dataclass(frozen=True, kw_only=True)
class SolverOptions:
    """How equilibria are sought.

    Attributes:
        rtol: unbalanced force relative to the reactions and interface forces. Rounding in K u leaves some 3e-10 in a slender
            micrometre specimen with facets of 0.3 nm.
        max_iterations: passes at one load before the step is cut.
        max_cutbacks: times that a load step may be halved.
        max_zone_iterations: Newton and secant steps inside one pass.
        zone_threshold: deviation from the linear reference, as a share of the peak traction, that takes a facet into the
            process zone.
        zone_padding: neighbours (itself included) that come with it.
        zone_renewal: unknowns of the zone beyond which the next load step renews the factor.
        slow_rounds: rounds (solutions with the factor) at one load beyond which the factor is renewed at the next, if it is older
            than `least_age` loads.
        max_newton_iterations: of Newton's method on the whole solid at the first load; the zone is condensed where it fails.
        least_age: loads that a factor serves at least, unless the zone outgrows it.
        zone_limit: unknowns of the zone beyond which Newton's method on the whole solid takes over.
        contact: ``penalty`` lets faces sink into each other by pressure over penalty; ``augmented lagrangian`` repeats each load
            with the pressures found so far as multipliers until they stand still.
        max_augmentations: times that a load is repeated.
        contact_rtol: change of the largest pressure at which they stand still.
        linear_solver: ``direct`` (MUMPS), ``iterative`` (multigrid; the process zone is not condensed then), or ``auto``: by the
            number of unknowns, see `continuum.preconditioner`.
    """

    rtol: float = 1e-9
    max_iterations: int = 40
    max_cutbacks: int = 6
    max_zone_iterations: int = 400
    zone_threshold: float = 0.02
    zone_padding: int = 5
    zone_renewal: int = 300
    zone_limit: int = 3000
    slow_rounds: int = 8
    least_age: int = 4
    max_newton_iterations: int = 10
    linear_solver: LinearSolver = "auto"
    contact: _Contact = "penalty"
    max_augmentations: int = 30
    contact_rtol: float = 1e-6

    def __post_init__(self) -> None:
        if not 1e-14 <= self.rtol <= 1e-2:
            raise ContinuumError(f"rtol = {self.rtol!r}: expected a relative tolerance between 1e-14 and 1e-2")
        if not 0.0 < self.zone_threshold <= 1.0:
            raise ContinuumError(f"zone_threshold = {self.zone_threshold!r}: expected a share of the peak in (0, 1]")
        for name in (
            "max_iterations",
            "max_zone_iterations",
            "zone_padding",
            "zone_renewal",
            "zone_limit",
            "slow_rounds",
            "least_age",
            "max_newton_iterations",
            "max_augmentations",
        ):
            if int(getattr(self, name)) < 1:
                raise ContinuumError(f"{name} = {getattr(self, name)!r}: expected at least 1")
        if self.linear_solver not in get_args(LinearSolver):
            raise ContinuumError(
                f"linear_solver = {self.linear_solver!r}: expected one of {', '.join(get_args(LinearSolver))}"
            )
        if self.contact not in get_args(_Contact):
            raise ContinuumError(f"contact = {self.contact!r}: expected one of {', '.join(get_args(_Contact))}")
        if not 0.0 < self.contact_rtol < 1.0:
            raise ContinuumError(f"contact_rtol = {self.contact_rtol!r}: expected a share in (0, 1)")
        if self.max_cutbacks < 0:
            raise ContinuumError(f"max_cutbacks = {self.max_cutbacks!r}: expected 0 or more")


@dataclass(frozen=True, kw_only=True)
class PathOptions:
    """How a path is followed.

    Attributes:
        rtol: unbalanced force relative to the forces in play.
        max_iterations: Newton's, of one step.
        wanted_iterations: step sizes are steered towards it.
        resolution: most energy that a step may spend, as a share of all that the interfaces can spend.
        finest: smallest step, as a share of the largest, before the search gives up.
        load_cuts: times that a load step is halved before the path is followed by another control.
        snap: ``follow`` goes through snap-back by arc length; ``jump`` lets an unstable solid fall to its next stable state
            at the same load by alternate minimisation, as it would under real supports with the kinetic energy lost.
        viscosity: η of a viscous traction η d⟦u⟧/dt at the interfaces, eV/Å⁴ times the unit of time, in which the load moves by
            one `step`; 0: none. Steps are then controlled by the load alone.
        max_viscous_share: viscous energy, as a share of all that the interfaces can spend, beyond which a run is refused.
        max_steps: of the whole path.
    """

    rtol: float = 1e-8
    max_iterations: int = 20
    wanted_iterations: int = 6
    resolution: float = 0.01
    finest: float = 1e-4
    load_cuts: int = 1
    snap: Literal["follow", "jump"] = "follow"
    viscosity: float = 0.0
    max_viscous_share: float = 0.01
    max_steps: int = 5000

    def __post_init__(self) -> None:
        for name, low, high in (
            ("rtol", 1e-14, 1e-2),
            ("resolution", 1e-6, 1.0),
            ("finest", 1e-12, 1.0),
            ("max_viscous_share", 0.0, 1.0),
        ):
            if not low <= getattr(self, name) <= high:
                raise ContinuumError(
                    f"{name} = {getattr(self, name)!r}: expected a number between {low:g} and {high:g}"
                )
        for name in ("max_iterations", "wanted_iterations", "max_steps"):
            if int(getattr(self, name)) < 1:
                raise ContinuumError(f"{name} = {getattr(self, name)!r}: expected at least 1")
        if self.load_cuts < 0 or not (np.isfinite(self.viscosity) and self.viscosity >= 0.0):
            raise ContinuumError(
                f"load_cuts = {self.load_cuts!r}, viscosity = {self.viscosity!r}: expected both finite and not negative"
            )
        if self.snap not in ("follow", "jump"):
            raise ContinuumError(
                f"snap = {self.snap!r}: expected 'follow' (arc length) or 'jump' (falls at fixed load)"
            )
