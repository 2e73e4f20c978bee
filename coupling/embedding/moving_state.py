"""Clusters and records of moving cores as plain lists and numbers for JSON, and back.

A cluster must be kept as it was cut: cut anew at the places of a restart it would be another one, and forces would jump.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from ase import Atoms

from atomistic.caps import Caps
from coupling.embedding.base import CoreChange
from coupling.embedding.cluster import Cluster
from coupling.embedding.region import Region
from coupling.embedding.transition import CoreMove
from coupling.errors import EmbeddingError

#: Arrays of a cluster and of its caps, and what they hold.
_ARRAYS = {"indices": np.int64, "core": bool, "weights": float, "relative": float, "whole_cell": float, "pbc": bool}
_CAPS = {"inner": np.int64, "outer": np.int64, "relative": float, "ratio": float}


def clusters_to(clusters: Sequence[Cluster]) -> list[dict[str, Any]]:
    """Return clusters as lists and numbers; floating-point numbers come back bit by bit."""
    return [
        {
            "region": cluster.region.name,
            **{name: getattr(cluster, name).tolist() for name in _ARRAYS},
            "symbols": list(cluster.symbols),
            "caps": {**{name: getattr(cluster.caps, name).tolist() for name in _CAPS}, "element": cluster.caps.element},
        }
        for cluster in clusters
    ]


def clusters_from(kept: Sequence[dict[str, Any]], regions: Sequence[Region], atoms: Atoms) -> tuple[Cluster, ...]:
    """Return clusters that were kept.

    Raises:
        EmbeddingError: they are of other regions or other atoms.
    """
    names, known = [entry["region"] for entry in kept], [region.name for region in regions]
    if names != known:
        raise EmbeddingError(f"The state is of the regions {names}; this calculator has {known}. Give the same ones.")
    for entry in kept:
        rows = np.array(entry["indices"], dtype=np.int64)
        count = len(rows)
        if rows.max() >= len(atoms) or atoms[rows].get_chemical_symbols() != entry["symbols"][:count]:
            raise EmbeddingError(
                f"The state of the region {entry['region']!r} is of other atoms than {atoms.symbols}: restore it with the "
                "atoms that it was taken with, in the same order."
            )
    return tuple(_cluster(entry, region) for entry, region in zip(kept, regions, strict=True))


def _cluster(entry: dict[str, Any], region: Region) -> Cluster:
    caps = entry["caps"]
    places = {name: np.array(caps[name], dtype=kind) for name, kind in _CAPS.items()}
    # No rows at all would lose their width.
    places["relative"] = places["relative"].reshape(-1, 3)
    return Cluster(
        region=region,
        caps=Caps(**places, element=caps["element"]),
        symbols=tuple(entry["symbols"]),
        **{name: np.array(entry[name], dtype=kind) for name, kind in _ARRAYS.items()},
    )


def move_to(move: CoreMove) -> dict[str, Any]:
    """Return a record as a mapping."""
    return asdict(move)


def move_from(kept: dict[str, Any]) -> CoreMove:
    """Return a record that was kept."""
    changes = tuple(
        CoreChange(**{**change, "entered": tuple(change["entered"]), "left": tuple(change["left"])})
        for change in kept["changes"]
    )
    return CoreMove(**{**kept, "changes": changes})
