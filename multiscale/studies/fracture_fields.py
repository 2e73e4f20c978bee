"""States of a crack on disk: atoms for OVITO, elements for ParaView, arrays for the figures, all in one frame."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import ase.io
import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from atomistic.whole_file import write_whole
from continuum.body_output import write_body
from coupling.crack.bonds import first_neighbours
from multiscale.run import RunDirectory
from multiscale.units import ANGSTROM_IN_NM, EV_PER_A3_IN_GPA, EV_PER_A25_IN_MPA_SQRT_M

if TYPE_CHECKING:
    from multiscale.studies.fracture_state import CrackPicture, PathPoint

Array = NDArray[np.float64]
#: Elements with less weight than this are not drawn: their displacement means next to nothing.
_SHOWN = 0.01


def begin_states(run: RunDirectory) -> None:
    """Take away what an earlier run has left of its states and path, so that nothing old is taken for new."""
    if not run.writes:
        return
    shutil.rmtree(run.path / "states", ignore_errors=True)
    for name in ("atoms.extxyz", "path.csv", "plane.csv", "rings.csv", "ledger.csv", "barriers.csv", "trapping.json"):
        run.file(name).unlink(missing_ok=True)


def write_state(run: RunDirectory, picture: CrackPicture, point: PathPoint, *, name: str) -> None:
    """Write ``states/NAME.npz``, ``.vtu`` and ``.extxyz``, and all states so far in the path's order as ``atoms.extxyz``.

    The atoms are at their deformed places, and so are the elements once ParaView warps them by their displacement.

    Args:
        run: where to.
        picture: that the state belongs to.
        point: the state.
        name: of its files; a state may have several.
    """
    if not run.writes:
        return
    folder = run.path / "states"
    folder.mkdir(exist_ok=True)
    nodal = point.state.u[: picture.body.size]
    fields = cell_fields(picture, nodal)
    _write_atoms(folder, picture, point, name)
    _write_elements(run, picture, nodal, fields, name)
    run.write_arrays(f"states/{name}.npz", **_arrays(picture, point, nodal, fields))
    # One frame for each number of a state.
    frames = {_number(text): text for text in (path.read_text() for path in sorted(folder.glob("*.extxyz")))}
    write_whole(run.file("atoms.extxyz"), "".join(frames[number] for number in sorted(frames)))


def _number(frame: str) -> int:
    """Place on the path of a frame, from its second line."""
    found = re.search(r"\bindex=(\d+)", frame.split("\n", 2)[1])
    assert found is not None  # written above
    return int(found[1])


def cell_fields(picture: CrackPicture, nodal: Array) -> dict[str, Array]:
    """Stress and strain energy density of the elements.

    Args:
        picture: with body and weights.
        nodal: (nodes, 3) displacements, Å.

    Returns:
        Cauchy's ``stress`` (k, 3, 3), the first Piola–Kirchhoff stress ``nominal`` (k, 3, 3) and ``energy`` (k,), eV/Å³; NaN
        where only atoms count: no energy need be known there.
    """
    body = picture.body
    drawn = picture.cell_weights > _SHOWN
    points = np.flatnonzero(drawn[body.cell_of_point])
    gradient = body.gradients(nodal)[points]
    density = body.material.energy(gradient) - body.material.energy(np.eye(3)[None])
    nominal = body.material.stress(gradient)
    cauchy = nominal @ np.swapaxes(gradient, 1, 2) / np.linalg.det(gradient)[:, None, None]
    cell, share = body.cell_of_point[points], body.point_volumes[points]
    whole = np.where(drawn, body.volumes, np.nan)

    def mean(values: Array) -> Array:
        total = np.zeros((len(body.cells), *values.shape[1:]))
        np.add.at(total, cell, (share * values.T).T)
        return np.asarray((total.T / whole).T)

    return {"stress": mean(cauchy), "nominal": mean(nominal), "energy": mean(density)}


def plane_stress(picture: CrackPicture, stress: Array) -> tuple[Array, Array]:
    """Normal traction of the elements on the crack's plane, one value for each of their edges on it.

    Args:
        picture: whose elements keep their whole weight there.
        stress: (k, 3, 3) nominal one of the cells, eV/Å³.

    Returns:
        x (e,) Å, ascending, and the mean over both sides (e,), eV/Å³.
    """
    mesh = picture.body.mesh
    if mesh.seam is None:
        return np.zeros(0), np.zeros(0)
    on = np.zeros(len(mesh.points), dtype=bool)
    on[mesh.seam] = True
    edges = on[mesh.cells]
    beside = np.flatnonzero((edges.sum(axis=1) == 2) & (picture.cell_weights > 1.0 - 1e-9))
    middle = np.where(edges[beside], mesh.points[mesh.cells[beside], 0], 0.0).sum(axis=1) / 2.0
    order = np.argsort(middle, kind="stable")
    middle, value = middle[order], stress[beside[order], 1, 1]
    # Opposite edges, joined or not, are at one place but for rounding.
    group = np.cumsum(np.diff(middle, prepend=middle[:1]) > 1e-6)
    count = np.bincount(group)
    return np.bincount(group, middle) / count, np.bincount(group, value) / count


def bond_length(reference: Array, thickness: float) -> float:
    """Shortest distance of two atoms, images along the front included, Å."""
    images = [reference + np.array([0.0, 0.0, turns * thickness]) for turns in (-1, 0, 1)]
    return float(cKDTree(np.concatenate(images)).query(reference, k=2)[0][:, 1].min())


def row_period(picture: CrackPicture) -> float:
    """Distance of neighbouring sites along the crack: what it advances by, Å."""
    first = np.unique(picture.site, return_index=True)[1]
    sites = picture.reference[first]
    row = sites[np.abs(sites[:, 1] - sites[np.argmin(np.abs(sites[:, 1])), 1]) < 1e-6]
    steps = np.diff(np.sort(row[:, 0]))
    return float(steps[steps > 1e-6].min())


def _write_atoms(folder: Path, picture: CrackPicture, point: PathPoint, name: str) -> None:
    """The atoms of one state; their box begins at the `Origin` that OVITO reads."""
    state = point.state
    low, high = state.positions.min(axis=0), state.positions.max(axis=0)
    box = np.diag([*(high - low)[:2] + 4.0, picture.thickness])
    atoms = Atoms(list(picture.symbols), positions=state.positions, cell=box, pbc=[False, False, True])
    atoms.set_array("role", np.asarray(picture.role))
    atoms.set_array("beta", picture.beta)
    atoms.set_array("site", np.asarray(picture.site))
    atoms.set_array("displacement", state.positions - picture.reference)
    atoms.info |= {
        "state": name,
        "index": point.index,
        "K_MPa_sqrt_m": point.intensity * EV_PER_A25_IN_MPA_SQRT_M,
        "tip_angstrom": point.tip_bonds,
        "Origin": np.array([low[0] - 2.0, low[1] - 2.0, 0.0]),
    }
    ase.io.write(folder / f"{name}.extxyz", atoms, format="extxyz", parallel=False)


def _write_elements(
    run: RunDirectory, picture: CrackPicture, nodal: Array, fields: dict[str, Array], name: str
) -> None:
    body = picture.body
    stress = np.nan_to_num(fields["stress"]) * EV_PER_A3_IN_GPA
    shear = stress - np.trace(stress, axis1=1, axis2=2)[:, None, None] * np.eye(3) / 3.0
    beta = np.concatenate([picture.node_beta[: len(body.mesh.points)], picture.node_beta[body.ends].mean(axis=1)])
    write_body(
        run.path / "states" / f"{name}.vtu",
        body,
        nodal,
        point_data={"beta": beta},
        cell_data={
            "weight": picture.cell_weights,
            "Cauchy stress [GPa]": stress,
            "normal stress [GPa]": stress[:, 1, 1],
            "von Mises stress [GPa]": np.sqrt(1.5 * np.einsum("nij,nij->n", shear, shear)),
            "strain energy [eV/angstrom^3]": np.nan_to_num(fields["energy"]),
        },
    )


def _arrays(picture: CrackPicture, point: PathPoint, nodal: Array, fields: dict[str, Array]) -> dict[str, Array]:
    """What the figures are drawn from: lengths in nm, stresses in GPa, K in MPa√m; u and positions as computed, Å."""
    body, state = picture.body, point.state
    vertices, drawn = len(body.mesh.points), picture.cell_weights > _SHOWN
    position = np.zeros((body.size, 3))
    position[:, :2] = body.nodes
    deformed = position @ body.F0.T + nodal
    length = bond_length(picture.reference, picture.thickness)
    bonds = first_neighbours(picture.reference, picture.thickness, length)
    return {
        "index": np.array(point.index),
        "load": np.array(state.load),
        "intensity": np.array(point.intensity * EV_PER_A25_IN_MPA_SQRT_M),
        "stable": np.array(np.nan if state.stable is None else float(state.stable)),
        "tip_bonds": np.array(point.tip_bonds * ANGSTROM_IN_NM),
        "tip_field": np.array(point.tip_field * ANGSTROM_IN_NM),
        "advance": np.array(point.advance),
        "u": state.u,
        "positions": state.positions,
        "atoms": state.positions * ANGSTROM_IN_NM,
        "reference": picture.reference * ANGSTROM_IN_NM,
        "role": np.asarray(picture.role),
        "beta": picture.beta,
        "bonds": np.column_stack([bonds.first, bonds.second]),
        "stretch": bonds.stretch(state.positions),
        "crossing": bonds.crossing(),
        "points": deformed[:vertices] * ANGSTROM_IN_NM,
        "cells": body.cells[drawn],
        "stress": fields["stress"][drawn, 1, 1] * EV_PER_A3_IN_GPA,
        "energy": fields["energy"][drawn],
        "center": np.array(picture.center) * ANGSTROM_IN_NM,
        "radius": np.array(picture.radius * ANGSTROM_IN_NM),
        "width": np.array(picture.width * ANGSTROM_IN_NM),
        "period": np.array(row_period(picture) * ANGSTROM_IN_NM),
        "thickness": np.array(picture.thickness * ANGSTROM_IN_NM),
    }
