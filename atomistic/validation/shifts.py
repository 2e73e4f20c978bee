"""Two methods count energies from different zeros: a constant per atom of each species, fitted openly or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from atomistic.errors import ValidationError

#: "none", "species" (fitted by least squares), or eV per atom of each species.
ShiftChoice = Literal["none", "species"] | Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class EnergyShifts:
    """What is added to the potential's energies before they are compared.

    Attributes:
        per_species: eV per atom of that species; empty where nothing is added.
        fitted: whether they were fitted to the very energies that they are tested on.
        determined: whether the compositions of the frames tell the species' shifts apart; otherwise their sum is right for
            these compositions, and no single one of them means anything.
        frames: number of energies that they were fitted to.
    """

    per_species: Mapping[str, float] = field(default_factory=dict)
    fitted: bool = False
    determined: bool = True
    frames: int = 0

    def of(self, atoms: Atoms) -> float:
        """Return the sum over the atoms, eV."""
        return float(sum(self.per_species.get(symbol, 0.0) for symbol in atoms.symbols))


def energy_shifts(choice: ShiftChoice, structures: Sequence[Atoms], differences: NDArray[np.float64]) -> EnergyShifts:
    """Return the shifts that `choice` asks for.

    Fitted ones minimise Σ_frames ((E_ref − E_pot)/n − Σ_s x_s δ_s)², x_s the share of species s.

    Args:
        choice: see `ShiftChoice`.
        structures: those with an energy.
        differences: (frames,) reference energy minus the potential's, eV.

    Raises:
        ValidationError: an unknown choice, a species without a given shift, or fewer energies than would leave any to test.
    """
    if (isinstance(choice, str) and choice == "none") or not len(structures):
        return EnergyShifts()
    species = sorted({symbol for atoms in structures for symbol in atoms.symbols})
    if isinstance(choice, Mapping):
        return _given(choice, species)
    if choice != "species":
        raise ValidationError(
            f"Energy shifts are none, species (fitted for each species) or numbers such as Al=1.23; got {choice!r}."
        )
    shares = np.array([[atoms.symbols.count(s) / len(atoms) for s in species] for atoms in structures])
    sizes = np.array([len(atoms) for atoms in structures])
    solution, _, rank, _ = np.linalg.lstsq(shares, differences / sizes, rcond=1e-8)
    if len(structures) <= rank:
        raise ValidationError(
            f"{len(structures)} energ{'y' if len(structures) == 1 else 'ies'} cannot be fitted with {rank} shift"
            f"{'' if rank == 1 else 's'} ({', '.join(species)}) and tested too: the error would be zero whatever the potential. "
            "Give more frames, give the shifts as numbers, or take none."
        )
    shifts = {s: float(value) for s, value in zip(species, solution, strict=True)}
    return EnergyShifts(per_species=shifts, fitted=True, determined=rank == len(species), frames=len(structures))


def _given(choice: Mapping[str, float], species: Sequence[str]) -> EnergyShifts:
    """Return shifts given as numbers."""
    missing = [s for s in species if s not in choice]
    if missing:
        raise ValidationError(
            f"No energy shift is given for {', '.join(missing)}; given are {', '.join(choice) or 'none'}."
        )
    bad = [s for s, value in choice.items() if isinstance(value, bool) or not np.isfinite(value)]
    if bad:
        raise ValidationError(
            f"The energy shift of {bad[0]} must be a finite number (eV per atom); got {choice[bad[0]]!r}."
        )
    return EnergyShifts(per_species={s: float(choice[s]) for s in species})
