"""From one choice of quantum atoms to the next in steps: how many, how far each, and what is kept of it.

Let 1 be the old choice and 2 the new one, E_k and F_k what the scheme gives with either (E_ML(all) is common to both, so only the
corrections E_QM(C) − E_ML(C) differ). In between, with a share λ of the new one,

    E_λ = E_1 + λ (E_2 − E_1),      F_λ = F_1 + λ (F_2 − F_1).

*Force.* A step from λ to λ + δ is taken at fixed places. It changes the force on atom i by δ (F_2,i − F_1,i), hence by no more
than δ g with g = max_i |F_2,i − F_1,i| **at these places**, which is known before the step: both ends are evaluated throughout.
With the rest 1 − λ divided into n equal steps, of which one is taken, any n ≥ (1 − λ) g/J keeps every jump within J. g changes as
atoms move, so n is found anew before each step; the bound needs no estimate of what comes.

*Energy.* The step changes E_λ by δ (E_2 − E_1). Nothing moves, so no work is done: it is energy that the change of the model puts
in, and it is booked, W = Σ δ (E_2 − E_1). E_λ − W is the same before and after every step, however large E_2 − E_1 is (two
engines that count atoms from different zeros make it as large as one likes). Between steps λ stands still and F_λ = −∂E_λ/∂r, so
K + E_λ − W is what exact Newtonian dynamics conserves, and what an integrator conserves to its own order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coupling.embedding.base import CoreChange
from coupling.embedding.cluster import Cluster

Array = NDArray[np.float64]
Results = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class CoreMove:
    """One change of cores or buffers, from the look at which it was decided to the step that completed it.

    Attributes:
        step: looks at the atoms before it was decided: for dynamics, its steps.
        time: of the dynamics, fs; None where there is none.
        changes: every region that changed: who entered its core, who left, and the size of C. Both empty: its buffer only.
        difference: largest |F_2,i − F_1,i| of an atom when it was decided, eV/Å.
        steps: taken from the old choice to the new.
        largest_jump: largest change of an atom's force in one of them, eV/Å.
        largest_energy_jump: largest change of E in one of them, eV; None where the scheme has no energy.
        booked: W of this change, eV; None where the scheme has no energy.
        done: looks at the atoms before it was complete; None while it is under way.
    """

    step: int
    time: float | None
    changes: tuple[CoreChange, ...]
    difference: float
    steps: int = 0
    largest_jump: float = 0.0
    largest_energy_jump: float | None = None
    booked: float | None = None
    done: int | None = None


@dataclass(frozen=True, kw_only=True)
class Transition:
    """Where a change stands.

    Attributes:
        old: clusters that are left, one for each region.
        new: clusters that are gone to; the same object as the old one where a region does not change.
        share: λ.
        move: what has happened so far.
    """

    old: tuple[Cluster, ...]
    new: tuple[Cluster, ...]
    share: float
    move: CoreMove

    def mixed(self, first: Results, second: Results) -> Results:
        """Return energy, forces and stress of the mixture from those of both ends; equal ends give themselves."""
        return {name: first[name] + self.share * (second[name] - first[name]) for name in first}

    def stepped(
        self, first: Results, second: Results, *, jump: float | None, energy_jump: float | None, looks: int
    ) -> Transition:
        """Return the transition one step farther.

        Args:
            first: results of the old clusters at the present places.
            second: those of the new ones.
            jump: J, eV/Å; None takes all that is left at once.
            energy_jump: the same for the energy, eV; None does not limit it.
            looks: at the atoms so far.
        """
        left = 1.0 - self.share
        apart = largest_force(second["forces"] - first["forces"])
        energy = float(second["energy"] - first["energy"]) if "energy" in first else None
        count = steps_needed(left, apart, jump) if jump is not None else 1
        if jump is not None and energy is not None and energy_jump is not None:
            count = max(count, steps_needed(left, abs(energy), energy_jump))
        share = 1.0 if count == 1 else self.share + left / count
        delta, move = share - self.share, self.move
        move = replace(
            move,
            steps=move.steps + 1,
            largest_jump=max(move.largest_jump, delta * apart),
            done=looks if share == 1.0 else None,
        )
        if energy is not None:
            move = replace(
                move,
                booked=(move.booked or 0.0) + delta * energy,
                largest_energy_jump=max(move.largest_energy_jump or 0.0, delta * abs(energy)),
            )
        return replace(self, share=share, move=move)


def steps_needed(left: float, apart: float, bound: float) -> int:
    """Least number of equal steps over what is left of λ so that none changes anything by more than the bound."""
    return max(1, int(np.ceil(left * apart / bound)))


def largest_force(forces: Array) -> float:
    """Length of the longest of forces (n, 3)."""
    return float(np.linalg.norm(forces, axis=1).max(initial=0.0))
