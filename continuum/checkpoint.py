"""A committed state of a solid in a file, to go on from on any number of ranks.

Displacements are stored by body and place, interfaces by the order of their places: neither depends on how the mesh was shared
among ranks when the file was written.
"""

from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from continuum.errors import ContinuumError

Array = NDArray[np.float64]
# Nodes of the same place differ by rounding only, as a share of the specimen's size.
_SAME = 1e-9
_NAMES = ("body", "places", "displacement", "history", "pressure", "load", "kind")


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
    body, places = _nodes(solid)
    parts = solid.comm.gather((body, places, solid.owned().reshape(-1, solid.dim).copy()))
    failure = None
    if parts is not None:
        whole = [np.concatenate([p[i] for p in parts]) for i in range(3)]
        try:
            np.savez(
                path,
                body=whole[0],
                places=whole[1],
                displacement=whole[2],
                history=solid.history,
                pressure=solid.interfaces.pressure,
                load=solid.load,
                kind=_kind(solid),
            )
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
    body, places = _nodes(solid)
    total = solid.comm.allreduce(len(places))
    failure = None
    if str(found["kind"]) != _kind(solid):
        failure = f"state file {path}: of a {found['kind']}; this is a {_kind(solid)}: expected the same solid and laws"
    elif not all(np.isfinite(found[name]).all() for name in _NAMES[:-1]):
        failure = f"state file {path}: holds NaN or infinite numbers; the run that wrote it had broken down"
    elif (
        found["pressure"].shape != solid.interfaces.pressure.shape
        or found["displacement"].shape != (len(found["body"]), solid.dim)
        or found["places"].shape != (len(found["body"]), solid.dim)
        or found["load"].shape
    ):
        failure = f"state file {path}: its arrays do not fit each other; expected a file that save_state wrote"
    elif found["history"].shape != solid.history.shape or len(found["body"]) != total:
        failure = (
            f"state file {path}: {len(found['body'])} nodes and a history of shape {found['history'].shape}; this solid has "
            f"{total} and {solid.history.shape}: expected the same mesh, degree and laws"
        )
    else:
        size = float(np.ptp(found["places"], axis=0).max())
        values = np.zeros((len(places), solid.dim))
        for number in np.unique(body):
            mine, theirs = body == number, found["body"] == number
            distance, partner = cKDTree(found["places"][theirs]).query(places[mine]) if theirs.any() else (np.inf, 0)
            if np.max(distance) > _SAME * size:
                failure = f"state file {path}: nodes at other places than this solid's; expected the same mesh"
                break
            values[mine] = found["displacement"][theirs][partner]
    _raise_together(solid.comm, failure)
    solid.owned()[:] = values.ravel()
    solid.u.x.scatter_forward()
    solid.history, solid.load = found["history"].copy(), float(found["load"])
    solid.interfaces.pressure = found["pressure"].copy()


def _nodes(solid: Any) -> tuple[NDArray[np.int64], Array]:
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
