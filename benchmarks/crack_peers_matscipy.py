"""matscipy's crack in a cluster whose rim is fixed to the anisotropic K-field: the other half of `crack_peers.py`.

python benchmarks/crack_peers_matscipy.py [--radius 16] [--potential sw-si|holland-marder]

Stillinger-Weber silicon, plane (111) through its shuffle bonds, front [1-10], one period thick. matscipy makes the block of
crystal, its round regions and the field; atoms beyond the radius follow u = K u_1(x), centred at the nominal tip, and those
within are at rest to 1e-8 eV/Å on a branch that starts at K_G. K_plus is the load at which this branch turns on the way up (where
a ramp would see the tip jump), K_minus that on the way down. What happens there is looked at, not presumed: with the published
parameters the tip blunts at K_plus (bonds beside the plane break), with those of Holland and Marder (1998) it advances.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from ase import Atoms
from crack_peers_branch import Branch, Turn
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms import stillinger_weber
from matscipy.fracture_mechanics.clusters import diamond, set_regions
from matscipy.fracture_mechanics.crack import CubicCrystalCrack
from matscipy.neighbours import neighbour_list
from scipy.optimize import minimize

from atomistic.crystal import Crystal, relax_crystal
from atomistic.potentials import Potential, load_potential
from atomistic.site_energies import AtomCluster
from multiscale.units import EV_PER_A2_IN_J_PER_M2, EV_PER_A3_IN_GPA, EV_PER_A25_IN_MPA_SQRT_M

Array = np.ndarray
PLANE, FRONT = [1, 1, 1], [1, -1, 0]
#: Cutoff of the potential, Å; matscipy's regions II and IV, the fixed ones, are each as wide.
CUTOFF = 3.78
#: Atoms whose displacements are compared lie this near to the middle of the first whole bond, Å.
CORE = 8.0
#: Largest component of a force at rest, eV/Å.
TOLERANCE = 1e-8
#: Pairs nearer than this are bonded, Å; the second neighbours of the crystal are 3.84 Å apart.
BONDED = 2.95
#: Where the field is centred: on the middle of the first whole bond, or half a period of the bonds behind it.
TIPS = {"bond": 0.0, "between": 0.5}
#: matscipy's tables of parameters.
TABLES = {
    "sw-si": stillinger_weber.Stillinger_Weber_PRB_31_5262_Si,
    "holland-marder": stillinger_weber.Holland_Marder_PRL_80_746_Si,
}


@dataclass(frozen=True, kw_only=True)
class Material:
    """What the potential says of the crystal.

    Attributes:
        potential: drives the atoms.
        crystal: at zero stress.
        surface: energy γ of a face, relaxed, eV/Å².
        field: matscipy's.
        k_griffith: eV/Å^2.5, of G = 2γ.
    """

    potential: Potential
    crystal: Crystal
    surface: float
    field: CubicCrystalCrack
    k_griffith: float


@cache
def material(name: str = "sw-si") -> Material:
    """Return silicon by the published parameters (sw-si), or by those of Holland and Marder, brittle (holland-marder)."""
    potential = _holland_marder() if name == "holland-marder" else load_potential(name)
    crystal = relax_crystal(potential, symbols="Si", structure="diamond")
    c11, c12, c44 = (float(crystal.stiffness[i, j]) for i, j in ((0, 0), (0, 1), (3, 3)))
    field = CubicCrystalCrack(PLANE, FRONT, C11=c11, C12=c12, C44=c44)
    surface = _surface_energy(potential, crystal.a)
    return Material(
        potential=potential, crystal=crystal, surface=surface, field=field, k_griffith=float(field.k1g(surface))
    )


def _holland_marder() -> Potential:
    """Return LAMMPS's Stillinger-Weber style with matscipy's table of their parameters."""
    p = TABLES["holland-marder"]
    # LAMMPS adds cos θ₀ where matscipy subtracts its negative, and reads the file again whenever the number of atoms changes.
    front = [p[key] for key in ("epsilon", "sigma", "a", "lambda1", "gamma")]
    numbers = [*front, -p["costheta0"], *(p[key] for key in ("A", "B", "p")), 0, 0]
    file = Path(tempfile.gettempdir()) / "Si.holland-marder.sw"
    file.write_text("# Holland and Marder, PRL 80, 746 (1998)\nSi Si Si " + " ".join(map(repr, numbers)) + "\n")
    return load_potential({"name": "lammps", "pair_style": "sw", "files": [str(file)], "elements": ["Si"]})


def _surface_energy(potential: Potential, a: float) -> float:
    """Energy of a relaxed face of the shuffle cut, eV/Å²."""
    slab = diamond("Si", a, [1, 4, 1], PLANE, FRONT)
    slab.pbc = True
    area = slab.cell[0, 0] * slab.cell[2, 2]
    whole = potential.evaluate(slab).energy
    # matscipy's unit cell starts and ends at the middle of a gap; which one, the heights tell.
    heights = np.unique(np.round(slab.positions[:, 1], 4))
    slab.positions[:, 1] = (slab.positions[:, 1] - _widest_gap(heights, 0.0)) % slab.cell[1, 1]
    slab.set_cell(slab.cell.lengths() + np.array([0.0, 15.0, 0.0]))

    def energy(x: Array) -> tuple[float, Array]:
        moved = slab.copy()
        moved.positions = x.reshape(-1, 3)
        result = potential.evaluate(moved)
        return result.energy, -result.forces.ravel()

    found = minimize(energy, slab.positions.ravel(), jac=True, method="L-BFGS-B", options={"gtol": 1e-6})
    return float(found.fun - whole) / (2.0 * area)


def _widest_gap(heights: Array, near: float) -> float:
    """Middle of the widest gap between planes of atoms that is nearest to a height, Å."""
    gaps, middles = np.diff(heights), 0.5 * (heights[1:] + heights[:-1])
    wide = middles[gaps > gaps.max() - 1e-2]
    return float(wide[np.argmin(np.abs(wide - near))])


class FixedCluster:
    """matscipy's cluster of silicon around a crack tip, its rim fixed to the K-field.

    Args:
        substance: see `material`.
        radius: of the free atoms, Å.
        tip: one of `TIPS`.
    """

    def __init__(self, substance: Material, radius: float, tip: str = "bond") -> None:
        self.material, a = substance, substance.crystal.a
        step = a * np.sqrt(3.0 / 8.0)  # of the bonds along the plane
        atoms = _round_block(a, radius, TIPS[tip] * step)
        self.cell = atoms.cell
        self.free = atoms.arrays["region"] == 1
        self.reference, centre = atoms.positions.copy(), atoms.cell.diagonal()[:2] / 2.0
        self.places = self.reference[:, :2] - centre
        along, up = substance.field.displacements(*self.reference[:, :2].T, *centre, 1.0)
        self.unit_field = np.column_stack([along, up, np.zeros_like(up)])
        self.atoms = AtomCluster(substance.potential, symbols="Si", thickness=float(atoms.cell[2, 2]))
        self.calls = 0
        # Plane translations of the crystal: along the plane, and from one double layer to the next.
        tile = 4.0 * np.array([[step, 0.0], [-step / 3.0, a / np.sqrt(3.0)]])
        self.branch = Branch(
            lambda v, k: self.gradient(v, k)[1],
            places=self.places[self.free],
            tile=tile,
            reach=5.6,
            scale=substance.k_griffith,
            tolerance=TOLERANCE,
        )

    def positions(self, v: Array, k: float) -> Array:
        """Places (N, 3) with the field of k and what the free atoms add to it, v (n, 3), Å: matscipy's unknowns."""
        places = self.reference + k * self.unit_field
        places[self.free] += v
        return places

    def gradient(self, v: Array, k: float) -> tuple[float, Array]:
        """Energy (eV), and its derivative by the free atoms (n, 3), eV/Å."""
        self.calls += 1
        energy, gradient = self.atoms.energy_and_gradient(self.positions(v, k))
        return energy, gradient[self.free]

    def relaxed(self, v: Array, k: float, tolerance: float) -> Array:
        """Minimise the energy at a load, from v, to a largest component of the force in eV/Å."""

        def energy(x: Array) -> tuple[float, Array]:
            value, gradient = self.gradient(x.reshape(-1, 3), k)
            return value, gradient.ravel()

        options = {"maxiter": 10_000, "maxfun": 20_000, "gtol": tolerance, "ftol": 0.0, "maxcor": 30}
        return np.asarray(minimize(energy, v.ravel(), jac=True, method="L-BFGS-B", options=options).x.reshape(-1, 3))

    def bonds(self, v: Array, k: float) -> set[tuple[int, int]]:
        """Pairs of atoms nearer than `BONDED`."""
        atoms = Atoms(positions=self.positions(v, k), cell=self.cell, pbc=[False, False, True])
        i, j = neighbour_list("ij", atoms, BONDED)
        return {(int(a), int(b)) for a, b in zip(i, j, strict=True) if a < b}

    def event(self, turn: Turn, start: set[tuple[int, int]]) -> str:
        """Say what happens beyond a turn, advance, healing or anything else, by the bonds that change from `start` on."""
        up = turn.k > self.material.k_griffith
        push = 0.05 * turn.onward / np.abs(turn.onward).max()
        k = turn.k * (1.003 if up else 0.997)
        after = self.bonds(self.relaxed(turn.v + push, k, 1e-4), k)
        lost, gained = start - after, after - start
        if all(self._crosses(pair) for pair in lost ^ gained) and not (gained if up else lost):
            return f"advance {self._middles(lost)}" if up else f"healing {self._middles(gained)}"
        return f"blunting: lost {self._middles(lost)}; new {self._middles(gained)}"

    def ramp(self, v: Array, k: float, *, tolerance: float, step: float = 0.02, share: float = 1e-4) -> float:
        """Return the load at which the tip jumps, as a ramp finds it: steps, each relaxed from the last, then bisection.

        Args:
            v: (n, 3), Å, at rest at k.
            k: the load to begin with.
            tolerance: of the forces, eV/Å.
            step: first step, a share of K_G.
            share: last one.
        """
        while step > share:
            new = self.relaxed(v, k + step * self.material.k_griffith, tolerance)
            # At a jump atoms move by a good part of a bond; between two stable states by hundredths of it.
            if np.abs(new - v).max() > 0.5:
                step *= 0.5
            else:
                v, k = new, k + step * self.material.k_griffith
        return k

    def _crosses(self, pair: tuple[int, int]) -> bool:
        return bool(np.prod(self.places[list(pair), 1]) < 0.0)

    def _middles(self, pairs: set[tuple[int, int]]) -> str:
        return " ".join("({:.2f}, {:.2f})".format(*self.places[list(pair)].mean(axis=0)) for pair in sorted(pairs))

    def unbroken(self, v: Array, k: float) -> float:
        """Place x of the middle of the first whole bond across the plane, Å from the nominal tip."""
        whole = [self.places[list(pair), 0].mean() for pair in self.bonds(v, k) if self._crosses(pair)]
        return float(min(whole))

    def core(self, v: Array, k: float) -> tuple[Array, Array]:
        """Undeformed places (m, 2) from the middle of the first whole bond, and displacements (m, 3), Å, in order of place."""
        places = self.places - [self.unbroken(v, k), 0.0]
        near = np.flatnonzero(self.free & (np.hypot(*places.T) < CORE))
        near = near[np.lexsort(np.round(places[near].T, 3))]
        return places[near], (self.positions(v, k) - self.reference)[near]


def _round_block(a: float, radius: float, offset: float) -> Atoms:
    """Return matscipy's cluster with regions; its centre lies on the cut, `offset` ahead of the middle of a shuffle bond."""
    period = a * np.array([np.sqrt(1.5), np.sqrt(3.0)])
    cells = np.ceil(2.0 * (radius + 2.0 * CUTOFF + 8.0) / period).astype(int) + 1
    block = diamond("Si", a, [*cells, 1], PLANE, FRONT)
    centre = block.cell.diagonal() / 2.0
    height = _widest_gap(np.unique(np.round(block.positions[:, 1], 4)), centre[1])
    below = block.positions[np.abs(block.positions[:, 1] - height + a * np.sqrt(3.0) / 8.0) < 1e-2]
    bond = below[np.argmin(np.abs(below[:, 0] - centre[0])), 0]
    block.translate([centre[0] - bond - offset, centre[1] - height, 0.0])
    return set_regions(block, radius, CUTOFF, radius + CUTOFF)


def fixed_boundary(
    radius: float,
    *,
    potential: str = "sw-si",
    tip: str = "bond",
    k_core: float | None = None,
    healing: bool = True,
) -> dict:
    """Follow matscipy's fixed cluster up to K_plus and down to K_minus.

    Args:
        radius: of the free atoms, Å; the fixed ones lie in a ring of two cutoffs around them.
        potential: sw-si or holland-marder.
        tip: the field is centred on the middle of the first unbroken bond ("bond", as matscipy's own `clamped_cluster` does)
            or midway between the last broken and the first unbroken one ("between").
        k_core: load at which the core's displacements are taken, eV/Å^2.5; K_G by default.
        healing: whether K_minus is wanted.

    Returns:
        k_griffith, k_plus, k_minus, k_core in eV/Å^2.5 and the first three also in MPa√m (`..._mpa`); `..._error` of the
        turns, eV/Å^2.5; plus, minus: what happens there; core_places (m, 2) from the middle of the first whole bond, which
        lies `unbroken` ahead of the nominal tip, and core_displacements (m, 3) from the perfect lattice, Å; atoms, free;
        calls and seconds, in all and for K_plus alone.
    """
    substance = material(potential)
    began = time.perf_counter()
    cluster = FixedCluster(substance, radius, tip)
    k_griffith = cluster.material.k_griffith
    load = k_griffith if k_core is None else k_core
    start = np.zeros((int(cluster.free.sum()), 3))
    v = cluster.branch.rest(cluster.relaxed(start, load, 1e-4), load)
    places, displacements = cluster.core(v, load)
    bonds = cluster.bonds(v, load)
    up = cluster.branch.turn(v, load, up=True)
    plus = {"calls_plus": cluster.calls, "seconds_plus": time.perf_counter() - began}
    found: dict = {"plus": cluster.event(up, bonds), "k_plus": up.k, "k_plus_error": up.error}
    if healing:
        down = cluster.branch.turn(v, load, up=False)
        found |= {"minus": cluster.event(down, bonds), "k_minus": down.k, "k_minus_error": down.error}
    found |= {"k_griffith": k_griffith, "k_core": load}
    in_mpa = {
        f"{key}_mpa": found[key] * EV_PER_A25_IN_MPA_SQRT_M
        for key in ("k_griffith", "k_plus", "k_minus")
        if key in found
    }
    return {
        "radius": radius,
        "tip": tip,
        "atoms": len(cluster.reference),
        "free": int(cluster.free.sum()),
        **found,
        **in_mpa,
        "tip_periods": TIPS[tip],
        "unbroken": cluster.unbroken(v, load),
        "core_places": places,
        "core_displacements": displacements,
        **plus,
        "calls": cluster.calls,
        "seconds": time.perf_counter() - began,
    }


def plain(result: dict) -> dict:
    """Return a result as JSON can hold it."""
    return {
        key: np.round(value, 7).tolist() if isinstance(value, np.ndarray) else value for key, value in result.items()
    }


def checks(name: str) -> dict:
    """Return what the potential says of the crystal, and that LAMMPS's forces on a disordered one are those of matscipy."""
    substance = material(name)
    atoms = diamond("Si", substance.crystal.a, [2, 2, 3], PLANE, FRONT)
    atoms.pbc = True
    atoms.rattle(0.1, seed=1)
    theirs = Manybody(**stillinger_weber.StillingerWeber(TABLES[name])).get_forces(atoms)
    constants = {"c11": (0, 0), "c12": (0, 1), "c44": (3, 3)}
    return {
        "force_difference_eV_per_A": float(np.abs(theirs - substance.potential.evaluate(atoms).forces).max()),
        "a_A": substance.crystal.a,
        **{f"{c}_GPa": float(substance.crystal.stiffness[place]) * EV_PER_A3_IN_GPA for c, place in constants.items()},
        "surface_J_per_m2": substance.surface * EV_PER_A2_IN_J_PER_M2,
        "k_griffith_MPa_sqrt_m": substance.k_griffith * EV_PER_A25_IN_MPA_SQRT_M,
    }


def ramped(radius: float, *, potential: str, tip: str) -> dict:
    """Return K_plus (eV/Å^2.5), evaluations and seconds of a plain ramp: relaxed to 1e-4 eV/Å, bisected to 1e-4 K_G."""
    substance = material(potential)
    began = time.perf_counter()
    cluster = FixedCluster(substance, radius, tip)
    k = cluster.material.k_griffith
    v = cluster.relaxed(np.zeros((int(cluster.free.sum()), 3)), k, 1e-4)
    k = cluster.ramp(v, k, tolerance=1e-4)
    return {"ramp_k_plus": k, "ramp_calls": cluster.calls, "ramp_seconds": time.perf_counter() - began}


def main() -> int:
    """Print one cluster at each place of the tip, with its errors against the stored limit, as JSON."""
    from crack_peers_limit import deviation, reference

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--radius", type=float, default=16.0, help="of the free atoms, Å")
    parser.add_argument("--potential", default="sw-si", choices=("sw-si", "holland-marder"))
    given = parser.parse_args()
    limit, figures = reference(given.potential), checks(given.potential)
    for tip in TIPS:
        found = fixed_boundary(given.radius, potential=given.potential, tip=tip)
        griffith = found["k_griffith"]
        errors = {
            "k_plus_error_percent": 100.0 * (found["k_plus"] / griffith / limit.k_plus[0] - 1.0),
            "k_minus_error_percent": 100.0 * (found["k_minus"] / griffith / limit.k_minus[0] - 1.0),
            "core_error_A": deviation(found["core_places"], found["core_displacements"], limit),
        }
        ramp = ramped(given.radius, potential=given.potential, tip=tip)
        figures[tip] = {k: v for k, v in plain(found).items() if not k.startswith("core")} | errors | ramp
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
