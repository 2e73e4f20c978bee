"""Prescribed displacements, and whether they hold the solid."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from dolfinx import fem
from mpi4py import MPI
from numpy.typing import NDArray

from continuum.errors import SupportError
from continuum.mesh import BodyMesh

Array = NDArray[np.float64]
_AXES = {"x": 0, "y": 1, "z": 2}


@dataclass(frozen=True, kw_only=True)
class Displacement:
    """One component of the displacement of a group of facets: factor × load parameter.

    Attributes:
        group: name of a group of facets, or of a body that moves as a rigid one.
        component: x, y or z (or 0, 1, 2).
        factor: prescribed value per unit of the load parameter; 0 holds it fixed.
    """

    group: str
    component: int | str
    factor: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Force:
    """A dead load on a group of facets: total × load parameter, spread evenly over the facets.

    Attributes:
        group: name of a group of the mesh.
        component: x, y or z (or 0, 1, 2).
        total: force per unit of the load parameter, eV/Å (of the given thickness in the plane, of the whole ring about an axis).
    """

    group: str
    component: int | str
    total: float


def axis_of(component: int | str, dim: int) -> int:
    """Number of an axis that is given by letter or number.

    Raises:
        SupportError: where there is no such axis.
    """
    number = _AXES.get(str(component), component)
    if number not in range(dim):
        raise SupportError(f"component = {component!r}: expected one of {list('xyz'[:dim])}")
    return int(number)


@dataclass(frozen=True, kw_only=True)
class Prescribed:
    """All prescribed dofs of this rank.

    Attributes:
        dofs: (n,) local dof numbers, ghosts included.
        factors: (n,) value per unit of the load parameter.
        owned: (n,) True where this rank owns the dof.
    """

    dofs: NDArray[np.int64]
    factors: Array
    owned: NDArray[np.bool_]


def prescribe(
    bodies: BodyMesh,
    space: fem.FunctionSpace,
    supports: Sequence[Displacement],
    tied: set[str],
    *,
    axisymmetric: bool = False,
) -> Prescribed:
    """Dofs and factors of all supports (collective).

    Args:
        bodies: the mesh.
        space: of the displacement.
        supports: what is prescribed.
        tied: names of the interfaces that hold bodies together.
        axisymmetric: x is a radius: nodes on the axis stay there, and no body can move along x.

    Raises:
        SupportError: where a group or component does not exist, two supports disagree on a dof, or a body is free.
    """
    comm, dim = bodies.mesh.comm, bodies.mesh.geometry.dim
    table: dict[int, float] = {}
    clash = None
    for support in supports:
        if support.group not in {*bodies.groups, *bodies.bodies}:
            raise SupportError(
                f"support of group {support.group!r}: expected one of {sorted(bodies.groups)}, or a body, "
                f"{sorted(bodies.bodies)}"
            )
        component = axis_of(support.component, dim)
        if not np.isfinite(support.factor):
            raise SupportError(f"factor = {support.factor!r} of group {support.group!r}: expected a finite number")
        if support.group in bodies.groups:
            facets = bodies.groups[support.group]
            blocks = fem.locate_dofs_topological(space, bodies.mesh.topology.dim - 1, facets)
        else:
            cells = np.flatnonzero(bodies.body_of_cell == bodies.bodies.index(support.group))
            blocks = np.unique(space.dofmap.list[cells])
        for dof in (blocks * dim + component).tolist():
            if table.setdefault(dof, support.factor) != support.factor:
                clash = f"group {support.group!r} moves a corner by {support.factor}, another support by {table[dof]}"
    if axisymmetric:
        x = space.tabulate_dof_coordinates()[:, 0]
        on_axis = np.flatnonzero(x < 1e-9 * comm.allreduce(float(x.max(initial=0.0)), MPI.MAX))
        for dof in (on_axis * dim).tolist():
            if table.setdefault(dof, 0.0) != 0.0:
                clash = f"a support moves a corner on the axis by {table[dof]} along the radius, where it can only be 0"
    clash = next((c for c in comm.allgather(clash) if c), None)
    if clash:
        raise SupportError(f"{clash}: expected one value for each component; restrict one of the groups")
    dofs = np.array(sorted(table), dtype=np.int64)
    owned = dofs < space.dofmap.index_map.size_local * dim
    _check_held(bodies, space, dofs, tied, axisymmetric)
    return Prescribed(dofs=dofs, factors=np.array([table[d] for d in dofs.tolist()]), owned=owned)


def _check_held(
    bodies: BodyMesh, space: fem.FunctionSpace, dofs: NDArray[np.int64], tied: set[str], axisymmetric: bool
) -> None:
    """Raise where a set of bodies that hang together can move as a rigid one (its modes are not all suppressed)."""
    comm, dim = bodies.mesh.comm, bodies.mesh.geometry.dim
    body_of_block = np.zeros(len(space.tabulate_dof_coordinates()), dtype=np.int64)
    for body in range(len(bodies.bodies)):
        cells = np.flatnonzero(bodies.body_of_cell == body)
        body_of_block[space.dofmap.list[cells].ravel()] = body
    low, high = bodies.mesh.geometry.x.min(axis=0, initial=np.inf), bodies.mesh.geometry.x.max(axis=0, initial=-np.inf)
    low, high = np.min(comm.allgather(low), axis=0), np.max(comm.allgather(high), axis=0)
    scale = float((high - low).max())
    x = (space.tabulate_dof_coordinates()[dofs // dim] - 0.5 * (low + high)) / scale
    rotations = [(0, 1)] if dim == 2 else [(0, 1), (1, 2), (2, 0)]
    modes = np.zeros((len(dofs), dim + len(rotations)))
    modes[np.arange(len(dofs)), dofs % dim] = 1.0
    for column, (a, b) in enumerate(rotations, start=dim):
        modes[:, column] = np.where(dofs % dim == b, x[:, a], 0.0) - np.where(dofs % dim == a, x[:, b], 0.0)
    if axisymmetric:
        modes = modes[:, 1:2]
    grams = []
    for body in range(len(bodies.bodies)):
        mine = modes[body_of_block[dofs // dim] == body]
        grams.append(comm.allreduce(mine.T @ mine))
    group = list(range(len(bodies.bodies)))
    for name, sides in bodies.interfaces.items():
        if name in tied and comm.allreduce(int((~sides.cracked).sum())):
            a, b = (group[bodies.bodies.index(n)] for n in (sides.first, sides.second))
            group = [a if g == b else g for g in group]
    for root in set(group):
        members = [i for i, g in enumerate(group) if g == root]
        values = np.linalg.eigvalsh(sum(grams[i] for i in members))
        if values[0] <= 1e-10 * max(values[-1], 1e-300):
            names = ", ".join(bodies.bodies[i] for i in members)
            raise SupportError(f"the supports leave {names} free to move as a rigid body: fix more components")
