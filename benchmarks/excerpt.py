"""How wrong the forces in the middle of a piece are, against the whole body with the same potential, and what a piece costs.

python benchmarks/excerpt.py [--silicon]     --silicon: SevenNet-0 too, some minutes
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from _report import report
from ase import Atoms
from ase.build import bulk
from ase.lattice.cubic import FaceCenteredCubic

from atomistic.caps import Links
from atomistic.oracle import Excerpt
from atomistic.potentials import Potential, load_potential

KINDS: dict[str, dict[str, Any]] = {
    "open": {},
    "capped": {"passivate": Links()},
    "completed": {"periodic": "complete", "mismatch": 0.6},
}


def main() -> int:
    """Print the tables of docs/engines.md and report the figures that have bounds."""
    eam = load_potential("eam-al")
    figures: dict[str, float] = {}
    centres = np.random.default_rng(1).choice(2048, 12, replace=False).tolist()
    figures |= table(eam, strained("Al", 4.05, 8, 0.08), centres, core=3.0, kinds=("open", "completed"), label="al")
    body, tip = slit()
    figures |= table(eam, body, [tip], core=4.0, kinds=("open",), label="al_slit")
    bounds = {
        "al_open_7_rms_eV_per_A": ("<=", 5e-3),
        "al_open_9_rms_eV_per_A": ("<=", 5e-5),
        "al_completed_over_open_5": ("<=", 0.5),
        "al_slit_open_7_rms_eV_per_A": ("<=", 5e-3),
    }
    figures["al_completed_over_open_5"] = figures["al_completed_5_rms_eV_per_A"] / figures["al_open_5_rms_eV_per_A"]
    if "--silicon" in sys.argv:
        body = strained("Si", 5.46, 5, 0.06)
        figures |= table(load_potential("sevennet-0"), body, [496], core=2.6, kinds=tuple(KINDS), label="si")
        figures["si_capped_over_open_6"] = figures["si_capped_6_rms_eV_per_A"] / figures["si_open_6_rms_eV_per_A"]
        figures["si_completed_over_open_6"] = figures["si_completed_6_rms_eV_per_A"] / figures["si_open_6_rms_eV_per_A"]
        bounds |= {"si_capped_over_open_6": ("<=", 0.7), "si_completed_over_open_6": ("<=", 0.3)}
    return report("excerpt", figures, bounds)


def strained(symbol: str, a: float, repeats: int, rattle: float) -> Atoms:
    """A cubic crystal, strained and with atoms displaced at random (Å)."""
    atoms = bulk(symbol, a=a, cubic=True).repeat(repeats)
    atoms.set_cell(atoms.cell.array * [1.02, 0.99, 1.0], scale_atoms=True)
    atoms.rattle(rattle, seed=3)
    return atoms


def slit() -> tuple[Atoms, int]:
    """A plane body of aluminium with a slit, and the atom at its end."""
    atoms = FaceCenteredCubic(
        "Al", directions=[[1, -1, 0], [1, 1, 1], [-1, -1, 2]], latticeconstant=4.05, size=(16, 8, 1)
    )
    atoms.rattle(0.03, seed=1)
    height = atoms.positions[:, 1].mean()
    atoms = atoms[~((abs(atoms.positions[:, 1] - height) < 2.5) & (atoms.positions[:, 0] < 22))]
    atoms.center(vacuum=8, axis=(0, 1))
    atoms.pbc = [False, False, True]
    away = np.hypot(atoms.positions[:, 0] - 31.5, atoms.positions[:, 1] - atoms.positions[:, 1].mean())
    return atoms, int(np.argmin(away))


def table(
    potential: Potential, body: Atoms, centres: Sequence[int], *, core: float, kinds: Sequence[str], label: str
) -> Mapping[str, float]:
    """Measure r.m.s. errors of core forces (eV/Å) and atoms of a piece for buffers of 3 to 9 Å, and print them."""
    forces = potential.evaluate(body).forces
    sys.stdout.write(f"{label}: {len(body)} atoms, r.m.s. force {np.sqrt((forces**2).sum(axis=1).mean()):.3f} eV/Å\n")
    figures = {}
    for buffer in (3, 4, 5, 6, 7, 8, 9):
        line = f"  buffer {buffer} Å"
        for kind in kinds:
            excerpt = Excerpt(core=core, buffer=float(buffer), **KINDS[kind])
            errors, sizes = [], []
            for centre in centres:
                piece = excerpt.cut(body, int(centre))
                errors.append(core_errors(potential, body, forces, piece.atoms, piece.provenance["excerpt"], core))
                sizes.append(len(piece.atoms))
            found = float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))
            figures[f"{label}_{kind}_{buffer}_rms_eV_per_A"] = found
            figures[f"{label}_{kind}_{buffer}_atoms"] = float(np.mean(sizes))
            line += f"   {kind} {found:.2e} ({np.mean(sizes):.0f} atoms)"
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    return figures


def core_errors(
    potential: Potential, body: Atoms, forces: np.ndarray, piece: Atoms, facts: Mapping[str, Any], core: float
) -> np.ndarray:
    """Errors (eV/Å) of the forces on the core's atoms."""
    indices = np.array(facts["atoms"])
    rows = np.flatnonzero(indices >= 0)
    moved = body.get_distances(facts["centre"], indices[rows], mic=True, vector=True)
    # Of a plane body all atoms count that are near across it.
    across = moved[:, :2] if facts["kind"] == "column" else moved
    rows = rows[np.linalg.norm(across, axis=1) <= core + 1e-6]
    found: np.ndarray = np.linalg.norm(potential.evaluate(piece).forces[rows] - forces[indices[rows]], axis=1)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
