"""A committed state of a solid, in memory or in a file, to go on from on any number of ranks.

Displacements stand in the order of bodies and places, interfaces in that of their places: neither depends on how the mesh was
shared among ranks when the state was taken.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from continuum.errors import ContinuumError

Array = NDArray[np.float64]
#: Takes the function that makes the complete state of a loop after one of its steps.
Keep = Callable[[Callable[[], dict[str, Any]]], None]

# Nodes of the same place differ by rounding only, as a share of the specimen's size.
_SAME = 1e-9
# Places are ordered on a grid this fine, as a share of the size; no node of a regular mesh lies on the border of such a cell.
_GRID, _OFF_GRID = 1e-7, 0.3183098861837907
_NAMES = ("body", "places", "displacement", "history", "pressure", "load", "kind")
_ORDERS: WeakKeyDictionary[Any, tuple[NDArray[np.int64], NDArray[np.int64]]] = WeakKeyDictionary()


def gather_nodal(solid: Any, values: Array) -> Array:
    """Values of this rank's own dofs, for all nodes in an order that no partition changes (collective).

    Args:
        solid: `continuum.solid.Solid`.
        values: (own dofs,) as `solid.owned()` has them.

    Returns:
        (nodes, dim), on every rank.
    """
    order, _ = _order(solid)
    parts = solid.comm.allgather(np.array(values, dtype=float).reshape(-1, solid.dim))
    whole: Array = np.concatenate(parts)[order]
    return whole


def scatter_nodal(solid: Any, gathered: Array) -> Array:
    """The inverse of `gather_nodal`, on any number of ranks: (own dofs,).

    Raises:
        ContinuumError: on all ranks; the values are of a solid with another number of nodes.
    """
    order, mine = _order(solid)
    if np.shape(gathered) != (len(order), solid.dim):
        raise ContinuumError(
            f"values of shape {np.shape(gathered)} for a solid with {len(order)} nodes: expected those of the same mesh, degree"
        )
    found: Array = np.asarray(gathered, dtype=float)[mine].ravel()
    return found


def gather_state(solid: Any) -> dict[str, Any]:
    """Displacement, history, contact pressures and load of a solid, the same on every rank (collective)."""
    return {
        "kind": _kind(solid),
        "displacement": gather_nodal(solid, solid.owned()),
        "history": solid.history.copy(),
        "pressure": solid.interfaces.pressure.copy(),
        "load": solid.load,
    }


def scatter_state(solid: Any, state: Mapping[str, Any]) -> None:
    """Take a solid to a state that `gather_state` gave of the same mesh, laws and degree (collective).

    Raises:
        ContinuumError: on all ranks; the state is of another solid.
    """
    if str(state["kind"]) != _kind(solid):
        raise ContinuumError(
            f"a state of a {state['kind']}; this is a {_kind(solid)}: expected the same solid and laws"
        )
    if state["history"].shape != solid.history.shape or state["pressure"].shape != solid.interfaces.pressure.shape:
        raise ContinuumError(
            f"a state with a history of shape {state['history'].shape}; this solid's is {solid.history.shape}: expected the same "
            "mesh, degree and laws"
        )
    solid.owned()[:] = scatter_nodal(solid, state["displacement"])
    solid.u.x.scatter_forward()
    solid.history, solid.load = state["history"].copy(), float(state["load"])
    solid.interfaces.pressure = state["pressure"].copy()


def save_state(path: str | Path, solid: Any) -> Path:
    """Write displacement, history, contact pressures and load of a solid; rank 0 writes (collective).

    Args:
        path: of the file; ``.npz`` is added where it does not end so.
        solid: `continuum.solid.Solid`.

    Raises:
        ContinuumError: on all ranks, where the file cannot be written.
    """
    path = Path(path)
    path = path if path.suffix == ".npz" else path.with_name(f"{path.name}.npz")
    body, places = _all_nodes(solid)
    state, failure = gather_state(solid), None
    if solid.comm.rank == 0:
        try:
            np.savez(path, body=body, places=places, **state)
        except Exception as error:
            # Whatever it is, all ranks must hear of it.
            failure = f"state file {path}: cannot be written ({error})"
    _raise_together(solid.comm, failure)
    return path


def load_state(path: str | Path, solid: Any) -> None:
    """Take a solid to a state that `save_state` wrote of the same mesh, laws and degree (collective).

    Raises:
        ContinuumError: on all ranks, where there is no such file or it belongs to another solid.
    """
    path = Path(path)
    found: dict[str, Array] | str = {}
    if solid.comm.rank == 0:
        try:
            with np.load(path) as file:
                found = {name: file[name] for name in _NAMES}
        except Exception as error:
            # Damaged archives fail in many ways, and all ranks must hear of each.
            found = f"state file {path}: cannot be read ({error!r}); expected a file that save_state wrote"
    found = solid.comm.bcast(found)
    if isinstance(found, str):
        raise ContinuumError(found)
    if not all(np.isfinite(found[name]).all() for name in _NAMES[:-1]):
        raise ContinuumError(f"state file {path}: holds NaN or infinite numbers; the run that wrote it had broken down")
    body, places = _all_nodes(solid)
    try:
        _require_nodes(found, body, places)
        scatter_state(solid, found)
    except ContinuumError as error:
        raise ContinuumError(f"state file {path}: {error}") from error


def _require_nodes(found: Mapping[str, Array], body: NDArray[np.int64], places: Array) -> None:
    """Refuse a state of other nodes than these."""
    if found["places"].shape != places.shape or not np.array_equal(found["body"], body):
        raise ContinuumError(
            f"{len(found['body'])} nodes; this solid has {len(body)}: expected the same mesh and degree"
        )
    if np.abs(found["places"] - places).max() > _SAME * float(np.ptp(places, axis=0).max()):
        raise ContinuumError("nodes at other places than this solid's; expected the same mesh")


def _all_nodes(solid: Any) -> tuple[NDArray[np.int64], Array]:
    """Body (n,) and place (n, dim) of all nodes in the order of `gather_nodal`, on every rank; collective."""
    order, _ = _order(solid)
    body, places = _own_nodes(solid)
    return np.concatenate(solid.comm.allgather(body))[order], np.concatenate(solid.comm.allgather(places))[order]


def _order(solid: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where in the ranks' nodes, one rank after the other, the ordered ones stand; and where in order this rank's own do."""
    if solid not in _ORDERS:
        body, places = _own_nodes(solid)
        counts = solid.comm.allgather(len(body))
        bodies, everywhere = np.concatenate(solid.comm.allgather(body)), np.concatenate(solid.comm.allgather(places))
        low, size = everywhere.min(axis=0), float(np.ptp(everywhere, axis=0).max())
        cells = np.floor((everywhere - low) / (_GRID * size) + _OFF_GRID)
        order = np.lexsort([*cells.T[::-1], bodies])
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        first = sum(counts[: solid.comm.rank])
        _ORDERS[solid] = order, rank[first : first + len(body)]
    return _ORDERS[solid]


def _own_nodes(solid: Any) -> tuple[NDArray[np.int64], Array]:
    """Body (n,) and place (n, dim) of this rank's own nodes."""
    owned = solid.space.dofmap.index_map.size_local
    body = np.zeros(len(solid.space.tabulate_dof_coordinates()), dtype=np.int64)
    for number in range(len(solid.bodies.bodies)):
        body[solid.space.dofmap.list[solid.bodies.body_of_cell == number].ravel()] = number
    return body[:owned], solid.space.tabulate_dof_coordinates()[:owned, : solid.dim]


def _kind(solid: Any) -> str:
    """What a state belongs to beside its mesh: the kind of solid, and each interface's law by its main figures."""
    laws = [
        f"{p.name}: {type(p.law).__name__}({p.law.fracture_energy:.9g}, {p.law.peak_traction:.9g}, {p.law.unloading})"
        for p in solid.interfaces.parts
    ]
    return f"{type(solid).__name__} with {'; '.join(laws) or 'no interfaces'}"


def _raise_together(comm: MPI.Comm, failure: str | None) -> None:
    failure = next((f for f in comm.allgather(failure) if f), None)
    if failure:
        raise ContinuumError(failure)
