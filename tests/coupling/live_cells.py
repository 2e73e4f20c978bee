"""Cells whose answers are formulas, and a small block that opens along the plane between its halves."""

from dataclasses import dataclass, field

import numpy as np
from mpi4py import MPI
from scipy.special import erf

from continuum.materials import LinearElastic
from continuum.mesh import block
from continuum.solid import Solid
from continuum.supports import Displacement
from coupling.live import CellAnswer, LiveLaw, follow_live

WORK, LENGTH, SPACING, MODULUS = 0.0743, 0.55, 2.338, 0.76  # about Al(111): eV/Å², Å, Å, eV/Å³


@dataclass
class FormulaCell:
    """The universal binding curve, with a bump (height eV/Å², place, width Å) in its traction; remembers what it was asked."""

    work: float = WORK
    scale: float = LENGTH
    full_opening: float = 9.0
    length: float = SPACING
    components: int = 1
    noise: float = 0.0
    shared: bool = False
    name: str = "formula"
    bump: tuple[float, float, float] = (0.0, 1.0, 1.0)
    fails_above: float = np.inf
    how: str = "raise"
    asked: list = field(default_factory=list)
    stiffness: np.ndarray = field(default_factory=lambda: np.array([[MODULUS]]))

    def exact(self, opening):
        """φ and T."""
        x, (height, place, width) = opening / self.scale, self.bump
        z = (opening - place) / width
        energy = self.work * (1 - (1 + x) * np.exp(-x)) + 0.5 * height * (1 + erf(z))
        return energy, self.work / self.scale * x * np.exp(-x) + height / (width * np.sqrt(np.pi)) * np.exp(-(z**2))

    def __call__(self, opening):
        self.asked.append(float(opening[0]))
        if self.fails_above < opening[0] < self.full_opening - 1e-6:
            if self.how == "raise":
                raise RuntimeError("lost atoms")
            return CellAnswer(energy=np.nan, traction=np.array([np.nan]), spread=np.zeros(1))
        energy, traction = self.exact(float(opening[0]))
        return CellAnswer(energy=-3.7 + float(energy), traction=np.array([float(traction)]), spread=np.zeros(1))


def block_with(law, *, comm=MPI.COMM_SELF, height=6.0):
    """Two elastic halves, pulled apart by their outer faces."""
    metal = LinearElastic.isotropic(E=0.6, nu=0.3)
    mesh = block(comm, size=[6.0, height], divisions=[3, 2], cell="quadrilateral")
    return Solid(
        mesh,
        materials={"lower": metal, "upper": metal},
        interfaces={"interface": law},
        degree=1,
        supports=[
            Displacement(group="bottom", component="y"),
            Displacement(group="top", component="y", factor=1.0),
            Displacement(group="left", component="x"),
        ],
    )


def followed(comms, comm):
    """For each communicator of a specimen: cells computed by this rank, and the reactions of a short run."""
    answers = []
    for own in comms:
        cell = FormulaCell(stiffness=np.array([[WORK / LENGTH**2 * SPACING / 0.75]]))
        run = follow_live(block_with(LiveLaw(cell, comm=comm), comm=own), np.linspace(0.2, 2.0, 5))
        answers.append([comm.gather(len(cell.asked)), [float(s.reaction) for s in run.steps]])
    return answers
