"""Defects in a plane body of aluminium, by atoms alone and by atoms in a finite-element body: what `all_atom.py` compares.

python benchmarks/all_atom_problem.py PROBLEM METHOD ATOMS TOLERANCE FILE

solves the coupled problem once in a fresh process and saves the displacements of all atoms.

Both bodies have the same sites, the same potential, the same homogeneous deformation F₀ and start, and the same clamped rim.
The body is one period thick. Its half height is a whole number of lattice rows; along x the clamped ends of the rows are
staggered, and the finite elements end in the middle of them.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from atomistic.cauchy_born import CauchyBorn, cauchy_born
from atomistic.crystal import relax_crystal
from atomistic.lattice import Lattice, plane_lattice
from atomistic.orientation import orient
from atomistic.potentials import load_potential
from atomistic.potentials.base import Potential
from atomistic.site_energies import AtomCluster
from continuum.body import Body as FiniteElements
from continuum.factorise import Factor
from continuum.mesh.growth import Growth
from continuum.mesh.simplex import SimplexMesh
from coupling.acceleration import Anderson
from coupling.defects import Defect, ScrewDipole, Void, screw_dipole
from coupling.handshake import HandshakeOptions, HandshakeSolution, couple, solve
from coupling.handshake.model import CoupledModel

Array = np.ndarray
#: Width of the blend, Å: half as wide again as the cutoff of the potential, 6.7 Å.
WIDTH = 10.0
#: Of the pads, Å: a site's energy sees one cutoff, its force two.
PADS = {"bgfc": 7.0, "bqcf": 13.5, "schwarz": 13.5}
#: Of the clamped rim, Å: beyond two cutoffs no free atom feels that the body ends.
RIM = 13.5
#: Elements beyond the blend, h = h₀(1 + d/10 Å): quadratic ones need not begin as small as the lattice for long.
GROWTH = Growth(radius=10.0, exponent=1.0)
STRAINED = np.array([[1.01, 0.004, 0.0], [0.0, 1.005, 0.0], [0.0, 0.0, 1.0]])


@dataclass(frozen=True, kw_only=True)
class Dissociated(ScrewDipole):
    """The same with each dislocation split into halves side by side on its glide plane, as partials begin.

    Whole ones sit at a saddle: they split on either of two planes, and which one is left to rounding.

    Attributes:
        half: distance of the halves from the middle, Å.
    """

    half: float

    def displacement(self, places: Array) -> Array:
        """Volterra's field of the halves (n, 3), Å; beside the cut of the whole, one along each glide plane jumps by b/2."""
        found = super().displacement(places)
        z = places[:, 0] + 1j * places[:, 1]
        for end, sign in ((self.upper, 1.0), (self.lower, -1.0)):
            middle = complex(*end)
            for shift in (self.half, -self.half):
                found[:, 2] += sign * self.burgers / (4.0 * np.pi) * np.angle((z - middle - shift) / (z - middle))
        return found


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A defect and its surroundings.

    Attributes:
        defect: missing atoms, and the displacements (beyond F₀X) that everything starts from.
        far_field: F₀.
        margin: from the defect to the edge of the core, Å.
    """

    defect: Defect
    far_field: Array
    margin: float


class Aluminium:
    """The crystal and its descriptions, set up once in a process."""

    def __init__(self) -> None:
        self.potential: Potential = load_potential("eam-al")
        self.crystal = relax_crystal(self.potential, symbols="Al", structure="fcc")
        orientation = orient(self.crystal, plane=(1, 1, 1))
        self.lattice: Lattice = plane_lattice(self.crystal, orientation)
        self.material: CauchyBorn = cauchy_born(self.potential, self.crystal, orientation)

    def cluster(self, indices: Array | None = None) -> AtomCluster:
        """What drives the atoms at any sites."""
        return AtomCluster(self.potential, symbols="Al", thickness=self.lattice.thickness)

    def problem(self, name: str) -> Problem:
        """A void of 10 Å radius in a crystal strained by about 1%, or two screw dislocations of opposite sign 40 Å apart."""
        if name == "void":
            defect: Defect = Void(center=(0.0, 0.0), radius=10.0, components=3)
            return Problem(defect=defect, far_field=STRAINED, margin=12.0)
        whole = screw_dipole(self.lattice, center=(0.0, 0.0), separation=40.0)
        defect = Dissociated(upper=whole.upper, lower=whole.lower, burgers=whole.burgers, half=4.0)
        return Problem(defect=defect, far_field=np.eye(3), margin=35.0)


@cache
def aluminium() -> Aluminium:
    """The crystal of this process."""
    return Aluminium()


@dataclass(frozen=True, eq=False)
class Body:
    """All sites of a body with a defect.

    Attributes:
        problem: what is in it.
        lattice: the sites.
        atoms: about how many.
    """

    problem: Problem
    lattice: Lattice
    atoms: int

    @cached_property
    def half(self) -> Array:
        """(2,) half width and half height of the free part, Å, on columns and rows of sites."""
        side = 0.5 * np.sqrt(self.atoms * self.lattice.site_volume / self.lattice.thickness) - RIM
        # Rows are staggered by a third of their period.
        steps = np.array([abs(self.lattice.basis[1, 0]) / 3.0, self.lattice.basis[0, 1]])
        return np.rint(side / steps) * steps

    @cached_property
    def polygon(self) -> Array:
        """(4, 2) corners of the finite-element body."""
        x, y = self.half + np.array([abs(self.lattice.basis[1, 0]) / 3.0, 0.0])
        return np.array([[-x, -y], [x, -y], [x, y], [-x, y]])

    @cached_property
    def indices(self) -> Array:
        """(n, 2) lattice indices of all atoms."""
        reach = self.half + RIM
        return self.lattice.indices_within(lambda x: ~self.problem.defect.absent(x), -reach, reach)

    @cached_property
    def places(self) -> Array:
        """(n, 2) undeformed places, Å."""
        return self.lattice.places(self.indices)

    @cached_property
    def clamped(self) -> Array:
        """(n,) atoms of the rim."""
        return (np.abs(self.places) > self.half - 1e-6).any(axis=1)

    @cached_property
    def reference(self) -> Array:
        """(n, 3) F₀X, Å."""
        return self.lattice.positions(self.indices) @ self.problem.far_field.T

    @cached_property
    def start(self) -> Array:
        """(n, 3) displacements that everything starts from, Å."""
        return self.problem.defect.displacement(self.places)

    @cached_property
    def triangles(self) -> Array:
        """(k, 3) counter-clockwise lattice triangles whose corners are all atoms of the body."""
        low = self.indices.min(axis=0)
        table = np.full(self.indices.max(axis=0) - low + 1, -1)
        table[tuple((self.indices - low).T)] = np.arange(len(self.indices))
        a, b, c, d = table[:-1, :-1], table[1:, :-1], table[:-1, 1:], table[1:, 1:]
        found = np.concatenate([np.stack(corners, axis=-1).reshape(-1, 3) for corners in ((a, b, c), (d, c, b))])
        return found[(found >= 0).all(axis=1)]

    def gradients(self, u: Array) -> Array:
        """Du (k, 2, 3) on the lattice triangles for displacements u (n, 3)."""
        corners, values = self.places[self.triangles], u[self.triangles]
        return np.linalg.solve(corners[:, 1:] - corners[:, :1], values[:, 1:] - values[:, :1])

    def strain_error(self, u: Array, exact: Array) -> float:
        """‖D(u − u_ref)‖/‖D(u_ref − start)‖ over the lattice triangles, which all have the same area."""
        wrong, right = self.gradients(u - exact), self.gradients(exact - self.start)
        return float(np.linalg.norm(wrong) / np.linalg.norm(right))


@dataclass(frozen=True, kw_only=True, eq=False)
class Coupled:
    """A coupled solution and what it cost.

    Attributes:
        u: (n, 3) displacements of all atoms beyond F₀X, Å.
        model: what was solved.
        solution: on its nodes.
        seconds: wall time of building, of solving and of interpolating back to all atoms, Å.
        atom_evaluations: atoms times potential calls.
    """

    u: Array
    model: CoupledModel
    solution: HandshakeSolution
    seconds: tuple[float, float, float]
    atom_evaluations: int


def coupled(body: Body, *, method: str, tolerance: float, degree: int = 2, solver: str = "lbfgs") -> Coupled:
    """Mesh, partition and solve, and interpolate to every atom of the body."""
    metal, problem = aluminium(), body.problem
    evaluated = metal.potential.counter.atoms
    times = [time.perf_counter()]
    model = coupled_model(body, pad=PADS[method], degree=degree)
    times.append(time.perf_counter())
    solution = solve(
        model,
        method=method,
        start=problem.defect.displacement(model.body.nodes),
        options=HandshakeOptions(tolerance=tolerance, solver=solver),
    )
    times.append(time.perf_counter())
    u = body.start.copy()
    free = ~body.clamped
    u[free] = model.body.interpolation(body.places[free]) @ solution.u
    times.append(time.perf_counter())
    return Coupled(
        u=u,
        model=model,
        solution=solution,
        seconds=tuple(np.diff(times).tolist()),
        atom_evaluations=metal.potential.counter.atoms - evaluated,
    )


def coupled_model(body: Body, *, pad: float, width: float = WIDTH, degree: int = 2) -> CoupledModel:
    """Atoms around the defect in a finite-element body."""
    metal, problem = aluminium(), body.problem
    return couple(
        lattice=body.lattice,
        make_atoms=metal.cluster,
        material=metal.material,
        zone=problem.defect.around(problem.margin),
        domain=body.polygon,
        width=width,
        pad=pad,
        interaction=metal.potential.capabilities.cutoff or 0.0,
        absent=problem.defect.absent,
        far_field=problem.far_field,
        degree=degree,
        growth=GROWTH,
    )


def polished(body: Body, u: Array, *, tolerance: float = 1e-8) -> tuple[Array, float, int]:
    """Bring all atoms to rest to rounding from a state near it: the reference for errors.

    The stiffness of linear elements between all atoms preconditions; without it, long waves would take thousands of steps.

    Returns:
        (n, 3) displacements, the largest force left on a free atom (eV/Å), and evaluations of all forces.
    """
    metal = aluminium()
    mesh = SimplexMesh(points=body.places, cells=body.triangles, boundary=body.clamped)
    elements = FiniteElements(
        mesh, material=metal.material, components=3, thickness=body.lattice.thickness, F0=body.problem.far_field
    )
    free = np.repeat(~body.clamped[:, None], 3, axis=1)
    factor = Factor(elements.stiffness(np.zeros_like(u)), free, symmetric=True)
    cluster, accelerate = metal.cluster(), Anderson(depth=12)
    for count in range(1, 200):
        force = cluster.energy_and_gradient(body.reference + u)[1] * free
        left = float(np.abs(force).max())
        if left <= tolerance:
            return u, left, count
        step = -factor.solve(force)
        step *= min(1.0, 0.2 / float(np.abs(step).max()))
        u = accelerate.next(u, u + step)
    raise RuntimeError(f"all atoms don't come to rest: {left:.2g} eV/Å after {count} evaluations")


def make_body(name: str, atoms: int) -> Body:
    """One of the problems in a body of about so many atoms."""
    metal = aluminium()
    return Body(metal.problem(name), metal.lattice, atoms)


def main() -> int:
    """Solve once and save."""
    name, method, atoms, tolerance, file = sys.argv[1:]
    body = make_body(name, int(atoms))
    found = coupled(body, method=method, tolerance=float(tolerance))
    np.savez(Path(file), u=found.u, seconds=found.seconds, evaluations=found.atom_evaluations)
    return 0


if __name__ == "__main__":
    sys.exit(main())
