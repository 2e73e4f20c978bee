"""The state of a zone of atoms in its body, written in one frame of reference.

Atoms (`zone.extxyz`) and body (`body.vtu`) are both in the laboratory's axes, in Å, deformed: OVITO and ParaView show them one
upon the other without any shift.
"""

from __future__ import annotations

import ase.io
import meshio
import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from coupling.handshake import CoupledModel, HandshakeSolution
from multiscale.config import DefectCase, InclusionModel
from multiscale.run import RunDirectory
from multiscale.studies.coupled_zone import ZonePlan
from multiscale.units import ANGSTROM_IN_NM, EV_PER_A3_IN_GPA

Array = NDArray[np.float64]


def deformed_nodes(model: CoupledModel, u: Array) -> Array:
    """Deformed places of the nodes, (nodes, c), Å: F₀X + u."""
    nodes = model.body.nodes
    return nodes @ model.far_field[:, : nodes.shape[1]].T + u


def cell_strains(model: CoupledModel, u: Array) -> Array:
    """‖∇u‖ of each cell, (k,), from its vertices; NaN where an atom is missing.

    In plane bodies jumps of u_z by whole periods, as across the cut of a dipole, are no strain and are taken out.
    """
    mesh, partition = model.body.mesh, model.partition
    corners, moved = mesh.points[mesh.cells], u[mesh.cells]
    edges, change = corners[:, 1:] - corners[:, :1], moved[:, 1:] - moved[:, :1]
    lattice = partition.lattice
    if lattice.components > lattice.dimension:
        period = lattice.thickness * model.far_field[2, 2]
        change[..., 2] -= period * np.rint(change[..., 2] / period)
    found = np.linalg.norm(np.linalg.solve(edges, change).reshape(len(edges), -1), axis=1)
    gone = np.zeros(len(model.body.nodes), dtype=bool)
    gone[partition.node[partition.absent & (partition.node >= 0)]] = True
    return np.where(gone[mesh.cells].any(axis=1), np.nan, found)


def cell_stresses(model: CoupledModel, u: Array) -> Array:
    """Von Mises stress of the elements' own share, (k,), eV/Å³; zero where only atoms count.

    From Cauchy's stress σ = P Fᵀ/det F, averaged over the cell.
    """
    body, weights = model.body, model.partition.cell_weights
    points = np.flatnonzero(weights[body.cell_of_point] > 0.0)
    gradient = body.gradients(u)[points]
    cauchy = body.material.stress(gradient) @ np.swapaxes(gradient, 1, 2) / np.linalg.det(gradient)[:, None, None]
    shear = cauchy - np.trace(cauchy, axis1=1, axis2=2)[:, None, None] * np.eye(3) / 3.0
    mises = np.sqrt(1.5 * np.einsum("nij,nij->n", shear, shear))
    share, count = body.point_volumes[points], len(body.cells)
    total = np.bincount(body.cell_of_point[points], share * mises, minlength=count)
    return total / np.maximum(np.bincount(body.cell_of_point[points], share, minlength=count), np.finfo(float).tiny)


def write_state(
    run: RunDirectory, case: DefectCase, plan: ZonePlan, model: CoupledModel, solution: HandshakeSolution
) -> None:
    """The state, converged or not: atoms for OVITO, body for ParaView, arrays for the figures, the search."""
    run.write_csv(
        "convergence.csv",
        {"iteration": np.arange(len(solution.history)), "largest force [eV/angstrom]": np.array(solution.history)},
        comment=f"Tolerance {case.solver.tolerance!r} eV/angstrom.",
    )
    if not run.writes:
        return
    u, partition, mesh = solution.u, model.partition, model.body.mesh
    places, moved = model.places(u), deformed_nodes(model, u)
    role = np.where(partition.beta == 0.0, 0, np.where(partition.weighted, 1, 2))[model.present]
    displacement = model.to_atoms @ u
    strain = cell_strains(model, u)
    atoms = _atoms(case, plan, model, places)
    atoms.set_array("role", role)
    atoms.set_array("beta", partition.beta[model.present])
    atoms.set_array("displacement", displacement)
    ase.io.write(run.file("zone.extxyz"), atoms, format="extxyz", parallel=False)
    vertices = len(mesh.points)
    stress = cell_stresses(model, u)
    meshio.Mesh(
        points=moved[:vertices],
        cells=[("triangle" if mesh.points.shape[1] == 2 else "tetra", mesh.cells)],
        point_data={"displacement": u[:vertices], "beta": partition.node_beta[:vertices]},
        cell_data={
            "strain": [np.nan_to_num(strain)],
            "weight": [partition.cell_weights],
            "von Mises stress [GPa]": [stress * EV_PER_A3_IN_GPA],
            "missing": [np.isnan(strain).astype(np.int32)],
        },
    ).write(run.file("body.vtu"))
    run.write_arrays(
        "zone.npz",
        points=mesh.points * ANGSTROM_IN_NM,
        deformed=moved[:vertices] * ANGSTROM_IN_NM,
        cells=mesh.cells,
        strain=strain,
        beta=partition.node_beta[:vertices],
        atoms=places * ANGSTROM_IN_NM,
        atom_beta=partition.beta[model.present],
        atom_role=role,
        atom_displacement=displacement,
        width=plan.width * ANGSTROM_IN_NM,
        atom_foreign=plan.defect.foreign(partition.lattice.places(partition.indices[model.present])),
    )


def _atoms(case: DefectCase, plan: ZonePlan, model: CoupledModel, places: Array) -> Atoms:
    """The present atoms at their deformed places; a plane body repeats along z."""
    lattice = model.partition.lattice
    sites = lattice.places(model.partition.indices[model.present])
    symbols = np.full(len(sites), str(lattice.symbol), dtype=object)
    if isinstance(case.defect, InclusionModel):
        symbols[plan.defect.foreign(sites)] = case.defect.element
    cell = np.diag(np.maximum(np.ptp(places, axis=0), 1.0))
    if lattice.dimension == 2:
        cell[2] = model.far_field @ np.array([0.0, 0.0, lattice.thickness])
    return Atoms(symbols.tolist(), positions=places, cell=cell, pbc=[False, False, lattice.dimension == 2])
