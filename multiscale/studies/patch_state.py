"""States of a zone of atoms at an interface: atoms for OVITO, elements for ParaView, both deformed and in one frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ase.io
import meshio
import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from coupling.handshake import CoupledModel
from multiscale.run import RunDirectory
from multiscale.studies.zone_files import deformed_nodes
from multiscale.units import ANGSTROM_IN_NM, EV_PER_A3_IN_GPA

if TYPE_CHECKING:
    from multiscale.studies.adhesion_zone import AdhesionZoneResult

Array = NDArray[np.float64]
#: File of the atoms in all states written so far.
FRAMES = "zone.extxyz"
#: Elements with less weight than this are not drawn: their displacement means next to nothing.
_SHOWN = 0.01


def write_state(
    run: RunDirectory, result: AdhesionZoneResult, u: Array, name: str, *, load: float | None = None
) -> None:
    """A state: atoms for OVITO, elements for ParaView, both deformed and in one frame, and arrays for the figures.

    Args:
        run: where to.
        result: of the run so far; the output that the state belongs to is its last one.
        u: (nodes, c), Å.
        name: of the state.
        load: opening of the specimen (Å); None for the last state of a search that failed.
    """
    if not run.writes:
        return
    model, partition = result.model, result.model.partition
    mesh, lattice = model.body.mesh, partition.lattice
    places, vertices = model.places(u), len(mesh.points)
    moved = deformed_nodes(model, u)[:vertices]
    role = np.where(partition.beta == 0.0, 0, np.where(partition.weighted, 1, 2))[model.present]
    length, height = result.plan.size
    atoms = Atoms(
        [str(lattice.symbol)] * len(places),
        positions=places,
        cell=np.diag([length, height, lattice.thickness]),
        pbc=[False, False, True],
    )
    atoms.set_array("role", role)
    atoms.set_array("beta", partition.beta[model.present])
    atoms.set_array("displacement", model.to_atoms @ u)
    atoms.info["state"] = name
    appended = len(result.outputs) > (1 if load is not None else 0)
    ase.io.write(run.file(FRAMES), atoms, format="extxyz", append=appended, parallel=False)
    stress = cell_stresses(model, u)
    shown = partition.cell_weights > 0.0
    (run.path / "fields").mkdir(exist_ok=True)
    meshio.Mesh(
        points=moved,
        cells=[("triangle", mesh.cells[shown])],
        point_data={"displacement": u[:vertices], "beta": partition.node_beta[:vertices]},
        cell_data={
            "weight": [partition.cell_weights[shown]],
            "normal stress [GPa]": [np.nan_to_num(stress[shown, 1, 1]) * EV_PER_A3_IN_GPA],
            "shear stress [GPa]": [np.nan_to_num(stress[shown, 0, 1]) * EV_PER_A3_IN_GPA],
        },
    ).write(run.path / "fields" / f"body_{name}.vtu")
    drawn = partition.cell_weights > _SHOWN
    arrays = {
        "deformed": moved * ANGSTROM_IN_NM,
        "cells": mesh.cells[drawn],
        "stress": stress[drawn, 1, 1] * EV_PER_A3_IN_GPA,
        "atoms": places * ANGSTROM_IN_NM,
        "role": role,
        "opening": np.array((load if load is not None else np.nan) * ANGSTROM_IN_NM),
    }
    run.write_arrays("patch_last.npz", **arrays)
    reactions = [output.step.reaction for output in result.outputs]
    if load is not None and reactions[-1] == max(reactions):
        run.write_arrays("patch.npz", **arrays)


def cell_stresses(model: CoupledModel, u: Array) -> Array:
    """First Piola–Kirchhoff stress of the elements, (k, 3, 3), eV/Å³: force per undeformed area; NaN where only atoms count."""
    body, weights = model.body, model.partition.cell_weights
    points = np.flatnonzero(weights[body.cell_of_point] > _SHOWN)
    stress = body.material.stress(body.gradients(u)[points]) * body.point_volumes[points, None, None]
    found = np.zeros((len(body.cells), 3, 3))
    np.add.at(found, body.cell_of_point[points], stress)
    found /= body.volumes[:, None, None]
    found[weights <= _SHOWN] = np.nan
    return found


def strain_over_range(result: AdhesionZoneResult, u: Array) -> float:
    """The largest strain of elements that count over the range of their fitted energy; zero for energies that are not fitted."""
    material, body = result.character.material, result.model.body
    if not hasattr(material, "strain_over_range"):
        return 0.0
    weighted = (result.model.partition.cell_weights > 0.01)[body.cell_of_point]
    return float(material.strain_over_range(body.gradients(u)[weighted]).max())
