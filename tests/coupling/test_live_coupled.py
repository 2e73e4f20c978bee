"""Opening and slip asked from one cell: a potential, continuous, refined where its own stiffnesses say so."""

import json

import numpy as np
import pytest
from mpi4py import MPI

from atomistic.crystal import relax_crystal
from atomistic.potentials import load_potential
from continuum.materials import LinearElastic
from continuum.mesh import block
from continuum.solid import Solid
from continuum.supports import Displacement
from coupling.errors import CouplingError
from coupling.live import CellAnswer, InterfaceCell, LiveCellError, LiveCoupledLaw, follow_live
from tests.mpi import run_mpi

WORK, LENGTH, BARRIER, PERIOD = 0.0743, 0.55, 0.03, 2.86


class FormulaCell:
    """UBER in the opening times a corrugation in the slip that dies with it."""

    components, full_opening, length, noise, shared, name = 2, 8.8, 2.338, 0.0, False, "formula"
    stiffness = np.diag([0.9, 0.6])

    def __init__(self, fails_above=np.inf):
        self.asked, self.fails_above = [], fails_above

    def exact(self, gap):
        x, turn = gap[..., 0] / LENGTH, 2 * np.pi * gap[..., 1] / PERIOD
        fall, bumps = np.exp(-x), 0.5 * BARRIER * (1 - np.cos(turn))
        energy = WORK * (1 - (1 + x) * fall) + bumps * fall
        normal = (WORK * x - bumps) * fall / LENGTH
        slip = np.pi * BARRIER / PERIOD * np.sin(turn) * fall
        return energy, np.stack([normal, slip], axis=-1)

    def __call__(self, opening):
        self.asked.append(tuple(opening))
        if self.fails_above < opening[0] < 8.0:
            raise RuntimeError("lost atoms")
        energy, traction = self.exact(opening)
        return CellAnswer(energy=2.5 + float(energy), traction=traction, spread=np.zeros(2))


def separations():
    rng = np.random.default_rng(0)
    return np.column_stack([rng.uniform(0.05, 1.5, 60), rng.uniform(-0.7, 0.7, 60)])


def rice(cell, gap, share=1.0):
    energy, traction = cell.exact(gap)
    compliance = share * cell.length * np.linalg.inv(cell.stiffness)
    return (
        gap - traction @ compliance,
        energy - 0.5 * np.einsum("pi,ij,pj->p", traction, compliance, traction),
        traction,
    )


def test_the_true_error_is_within_the_tolerance():
    cell = FormulaCell()
    law = LiveCoupledLaw(cell, tolerance=0.02)
    gap = separations()
    jump, potential, traction = rice(cell, gap, law.share)
    law.ask(jump, law.fresh(len(jump)))
    answer = law.evaluate(jump, law.fresh(len(jump)))
    assert np.abs(law._surface(gap)[1] - traction).max() < 0.02 * law.peak_traction
    # At a given jump of the elements an error is 1/(1 − S K) times as large: here up to 2.8 times.
    assert np.abs(answer.traction - traction).max() < 0.056 * law.peak_traction
    assert np.abs(answer.stored - potential).max() < 2e-3 * WORK
    assert law.record().largest_estimate <= 0.02
    assert max(opening for opening, _ in cell.asked if opening < 8.0) < 2.5


def test_traction_and_tangent_are_derivatives_of_the_one_potential():
    law = LiveCoupledLaw(FormulaCell())
    jump = np.vstack([separations(), [[-0.05, 0.1], [-0.1, -0.3], [9.5, 0.2]]])
    law.ask(jump, law.fresh(len(jump)))
    answer, step = law.evaluate(jump, law.fresh(len(jump))), 1e-5
    for axis, unit in enumerate(np.eye(2)):
        up, down = (law.evaluate(jump + sign * step * unit, law.fresh(len(jump))) for sign in (1, -1))
        assert np.allclose((up.stored - down.stored) / (2 * step), answer.traction[:, axis], atol=1e-8)
        slope = (up.traction - down.traction) / (2 * step)
        assert np.median(np.abs(slope - answer.tangent[:, :, axis])) < 1e-7
        assert np.allclose(slope, answer.tangent[:, :, axis], atol=0.02)  # at the edge of a box K may jump
    assert np.allclose(answer.tangent, np.swapaxes(answer.tangent, 1, 2), atol=1e-12)


def test_a_separation_on_an_edge_has_one_traction():
    law = LiveCoupledLaw(FormulaCell())
    jump = separations()
    law.ask(jump, law.fresh(len(jump)))
    for axis in range(2):
        edges = law._lines[axis] * law._step
        edge = edges[np.argmin(np.abs(edges - 0.5))]
        gap = np.full((2, 2), 0.17)
        gap[:, axis] = edge + np.array([-1e-9, 1e-9])
        while True:
            try:
                _, traction, _ = law._surface(gap)
                break
            except Exception as signal:
                law.supply(signal.keys)
        assert np.allclose(traction[0], traction[1], atol=1e-8)


def sheared(law, comm=MPI.COMM_SELF):
    metal = LinearElastic.isotropic(E=0.6, nu=0.3)
    mesh = block(comm, size=[6.0, 6.0], divisions=[3, 2], cell="quadrilateral")
    held = [Displacement(group="bottom", component=c) for c in "xy"]
    pulled = [
        Displacement(group="top", component="y", factor=1.0),
        Displacement(group="top", component="x", factor=0.3),
    ]
    return Solid(
        mesh,
        materials={"lower": metal, "upper": metal},
        interfaces={"interface": law},
        degree=1,
        supports=[*held, *pulled],
    )


def test_finite_elements_follow_it_and_the_ledger_closes():
    law = LiveCoupledLaw(FormulaCell())
    solid = sheared(law)
    run = follow_live(solid, np.linspace(0.1, 1.6, 16))
    work = sum(s.work for s in run.steps)
    assert abs(sum(s.closure for s in run.steps)) < 1e-6 * work
    state, record = solid.interface_state("interface"), run.records["interface"]
    assert np.abs(state.opening).max() > 0.2
    assert record.saved > 20
    assert record.largest_estimate <= 0.02


def test_a_failed_cell_stops_it():
    with pytest.raises(LiveCellError, match=r"interface.*rank 0: RuntimeError: lost atoms"):
        follow_live(sheared(LiveCoupledLaw(FormulaCell(fails_above=0.3))), np.linspace(0.1, 3.0, 16))


def followed(comm):
    """Cells computed by each rank, and reactions."""
    cell = FormulaCell()
    run = follow_live(sheared(LiveCoupledLaw(cell, comm=comm), comm), [0.3, 0.9])
    return comm.gather(len(cell.asked)), [float(s.reaction) for s in run.steps]


def test_the_same_on_two_ranks_and_nobody_waits():
    script = """
        import json
        from mpi4py import MPI
        from tests.coupling.test_live_coupled import followed
        answer = followed(MPI.COMM_WORLD)
        if MPI.COMM_WORLD.rank == 0:
            print(json.dumps(answer))
    """
    alone, exact = followed(MPI.COMM_SELF)
    shares, reactions = json.loads(run_mpi(2, script, timeout=100).stdout)
    assert sum(shares) == alone[0]
    assert np.ptp(shares) <= 1
    assert np.allclose(reactions, exact, rtol=1e-8)


def test_atoms_open_and_slip():
    potential = load_potential("eam-al")
    crystal = relax_crystal(potential, symbols="Al", structure="fcc")
    cell = InterfaceCell(potential=potential, crystal=crystal, plane=(1, 1, 1), growth=(1, 1, -2), components=2)
    law = LiveCoupledLaw(cell, tolerance=0.05)
    jump = np.array([[0.0, 0.0], [0.4, 0.0], [0.4, 0.3], [0.8, -0.3]])
    law.ask(jump, law.fresh(4))
    gap = law.cell_separations(jump)
    answer = law.evaluate(jump, law.fresh(4))
    for row, traction in zip(gap, answer.traction, strict=True):
        assert np.allclose(cell(row).traction, traction, atol=0.05 * law.peak_traction)
    assert 0.8 < law.share <= 1.0


def test_settings_and_cells_that_make_no_law_are_refused():
    with pytest.raises(CouplingError, match="takes 2"):
        LiveCoupledLaw(type("One", (FormulaCell,), {"components": 1})())
    with pytest.raises(CouplingError, match="tolerance"):
        LiveCoupledLaw(FormulaCell(), tolerance=2.0)
