"""Hartree–Fock and density functional theory of molecules with Gaussian basis sets, by PySCF."""

from __future__ import annotations

import importlib.util
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from ase.units import Bohr, Hartree

from atomistic.errors import MissingEngineError, OracleInputError
from atomistic.oracle.base import Engine, Outcome, Rung, ScfFailure, Task
from atomistic.oracle.settings import identity_of, one_of, positive, read_settings, way, whole
from atomistic.potentials.base import Capabilities

MODULE = "pyscf"
INSTALL = 'pip install "multiscale-mlip[pyscf]"'
REFERENCE = "Q. Sun et al., J. Chem. Phys. 153, 024109 (2020) (Apache-2.0)"
HARTREE_FOCK = "hf"
#: Iterations of further attempts, at least.
MANY = 200


@dataclass(frozen=True, kw_only=True)
class PySCFSettings:
    """Settings of PySCF.

    Attributes:
        xc: exchange and correlation as PySCF names them ("PBE", "B3LYP", "wB97X-V" ...), or "HF" for Hartree–Fock.
        basis: Gaussian basis; def2 sets bring their effective core potentials along.
        restricted: "auto" (restricted without unpaired electrons, else unrestricted), "yes" or "no".
        density_fit: whether the Coulomb integrals are fitted (faster; changes energies by about 1e-4 Hartree).
        grid_level: PySCF's integration grid, 0 to 9.
        conv_tol: Hartree; of the energy between iterations.
        max_cycle: iterations of one attempt.
    """

    xc: str = "PBE"
    basis: str = "def2-svp"
    restricted: str = "auto"
    density_fit: bool = False
    grid_level: int = 3
    conv_tol: float = way(1e-9)
    max_cycle: int = way(60)

    def __post_init__(self) -> None:
        for name in ("xc", "basis"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name).strip():
                raise OracleInputError(f"{name} must be a name; got {getattr(self, name)!r}.")
        one_of("restricted", self.restricted, ("auto", "yes", "no"))
        if not isinstance(self.density_fit, bool):
            raise OracleInputError(f"density_fit must be true or false; got {self.density_fit!r}.")
        whole("grid_level", self.grid_level, least=0)
        positive("conv_tol", self.conv_tol)
        whole("max_cycle", self.max_cycle)


def installed() -> bool:
    """Whether PySCF is there, without importing it."""
    return importlib.util.find_spec(MODULE) is not None


class PySCFEngine(Engine):
    """PySCF's molecular SCF with analytic gradients, the response of the integration grid included.

    Without that response forces of a density functional miss finite differences of the energy by about 1e-3 eV/Å
    and don't sum to zero.
    """

    name = "pyscf"
    advice = "Check charge and spin, try another spin, restricted: no, a smaller basis, or HF first; look for bonds that broke."

    def __init__(self, settings: dict[str, Any] | None = None) -> None:
        self.settings = read_settings(PySCFSettings, settings, engine=self.name)
        self.capabilities = Capabilities(
            name=self.name, elements=frozenset(chemical_symbols[1:]), stress=False, electronic=True, reference=REFERENCE
        )

    def identity(self, task: Task) -> dict[str, Any]:
        """Return functional, basis and what else differs from the defaults."""
        return identity_of(self.settings) | {"xc": self.settings.xc.upper(), "basis": self.settings.basis.lower()}

    def check(self, task: Task) -> None:
        """Refuse periodic structures, and unpaired electrons where a restricted method was asked for."""
        if task.periodic:
            raise OracleInputError(
                f"The pyscf engine computes molecules; got {task.title} with pbc {task.atoms.pbc.tolist()}. Use gpaw or tblite, "
                "or cut a cluster (pbc False)."
            )
        if self.settings.restricted == "yes" and task.spin:
            raise OracleInputError(f"restricted: yes needs spin 0; got {task.title}. Use restricted: auto.")

    def rungs(self, task: Task) -> tuple[Rung, ...]:
        """Return: as asked; level shift and damping; second-order; smeared orbitals, then second-order without smearing."""
        return (
            Rung(label="as asked"),
            Rung(label="level shift 0.3 Hartree, damping 0.3", changes={"level_shift": 0.3, "damp": 0.3}),
            Rung(label="second-order (Newton)", changes={"newton": True}),
            Rung(label="orbitals of a smeared start, then second-order", changes={"newton": True, "smearing": 0.02}),
        )

    def compute(self, task: Task, rung: Rung, *, log: Path | None = None) -> Outcome:
        """Compute with PySCF."""
        began = time.perf_counter()
        try:
            from pyscf import gto
        except ModuleNotFoundError as error:
            raise MissingEngineError("PySCF", INSTALL) from error
        molecule = self._molecule(gto, task)
        field = self._solve(molecule, task, rung)
        gradient = field.nuc_grad_method()
        if self._functional:
            gradient.grid_response = True
        forces = -np.asarray(gradient.kernel()) * Hartree / Bohr
        return Outcome(
            energy=float(field.e_tot) * Hartree,
            free_energy=float(field.e_tot) * Hartree,
            forces=forces,
            magmom=float(task.spin) if task.spin else None,
            engine=f"pyscf {metadata.version('pyscf')}",
            seconds=time.perf_counter() - began,
        )

    @property
    def _functional(self) -> bool:
        return self.settings.xc.lower() != HARTREE_FOCK

    def _molecule(self, gto: Any, task: Task) -> Any:
        """PySCF's description of the molecule."""
        basis = self.settings.basis
        places = list(zip(task.atoms.get_chemical_symbols(), task.atoms.positions.tolist(), strict=True))
        heavy = {symbol for symbol, z in zip(task.atoms.symbols, task.atoms.numbers, strict=True) if z > 36}
        options = {"ecp": dict.fromkeys(sorted(heavy), basis)} if heavy and basis.lower().startswith("def2") else {}
        try:
            return gto.M(
                atom=places,
                unit="Angstrom",
                basis=basis,
                charge=round(task.charge),
                spin=task.spin,
                verbose=0,
                **options,
            )
        except (KeyError, RuntimeError, ValueError) as error:
            raise OracleInputError(
                f"PySCF cannot set up {task.title} with basis {basis!r}: {_first_line(error)}. Check the basis' name, and "
                "that it has these elements."
            ) from error

    def _mean_field(self, molecule: Any, task: Task) -> Any:
        """The mean field of a molecule, not yet solved."""
        from pyscf import dft, scf

        choice = self.settings.restricted
        restricted = choice == "yes" or (choice == "auto" and not task.spin)
        if not self._functional:
            field = (scf.RHF if restricted else scf.UHF)(molecule)
        else:
            try:
                dft.libxc.parse_xc(self.settings.xc)
            except (KeyError, ValueError) as error:
                raise OracleInputError(
                    f"PySCF has no functional {self.settings.xc!r}: {_first_line(error)}."
                ) from error
            field = (dft.RKS if restricted else dft.UKS)(molecule, xc=self.settings.xc)
            field.grids.level = self.settings.grid_level
        if self.settings.density_fit:
            field = field.density_fit()
        field.conv_tol = self.settings.conv_tol
        field.max_cycle = self.settings.max_cycle
        return field

    def _solve(self, molecule: Any, task: Task, rung: Rung) -> Any:
        """Iterate to self-consistency as the rung says."""
        field = self._mean_field(molecule, task)
        changes = rung.changes
        if changes:
            field.max_cycle = max(MANY, 2 * field.max_cycle)
        field.level_shift = changes.get("level_shift", 0.0)
        if "damp" in changes:
            field.damp = changes["damp"]
        try:
            start = self._smeared(molecule, task, changes["smearing"]) if "smearing" in changes else None
            field = field.newton() if changes.get("newton") else field
            field.kernel(start)
        except np.linalg.LinAlgError as error:
            raise ScfFailure(f"linear algebra failed: {error}") from error
        if not field.converged:
            raise ScfFailure(f"not converged in {field.max_cycle} iterations (last energy {field.e_tot:.6f} Hartree)")
        return field

    def _smeared(self, molecule: Any, task: Task, sigma: float) -> Any:
        """Density matrix of a start with fractional occupations of width `sigma` (Hartree)."""
        from pyscf.scf import addons

        smeared = addons.smearing(self._mean_field(molecule, task), sigma=sigma, method="fermi")
        smeared.kernel()
        return smeared.make_rdm1()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip("'\"").splitlines()), type(error).__name__).rstrip(".")
